"""The account file on disk.

Whoever changes it holds the lock (`accounts.lock` beside it), reads it afresh, and puts a complete new file in its
place: written under another name, forced to the disk, renamed over the old one. So a reader needs no lock and sees
one state or the next, never a part; a writer that is killed leaves the old file, or the new one; and of two
writers the second starts from what the first one left.

The file and its lock have mode 0600 from the start. A file that others can read is used, with a warning in the log
of `lanman.accounts`, and has mode 0600 again after the next change: to refuse it would lock out everybody because of
a careless copy, and the hashes are out already. Where root changes the accounts of a Server that runs as somebody
else, the file stays that user's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from lanman import codes
from lanman.auth.accounts import Accounts, AccountsError
from lanman.errors import AccessDenied, LanmanError

T = TypeVar("T")

_log = logging.getLogger("lanman.accounts")

# How long to wait for another writer; a change takes milliseconds, so somebody is stuck.
LOCK_TIMEOUT: Final = 10.0
_LOCK_POLL: Final = 0.01

# File times tick every few milliseconds (every 2 s on FAT): a file younger than this when it was read may have been
# replaced since by one with the same size and times, even the same inode. So it is read again until it has aged.
_SETTLED_AFTER: Final = 2.5

# Far more than a file of a hundred thousand accounts has; a file beyond it is not an account file.
MAX_SIZE: Final = 64 * 1024 * 1024


class AccountFile:
    """The accounts of one Server. `read` is cheap while the file does not change; `update` changes it.

    A file that does not exist is no error: there are no users yet. Instances may be used by several threads and
    processes, except that `read` of one instance belongs to one thread at a time.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._identity: tuple[int, ...] | None = None
        self._settled = False
        self._accounts = Accounts()
        self._warned_of: tuple[int, ...] | None = None

    def read(self) -> Accounts:
        """The accounts as they are now. What is returned is shared with later calls: do not change it.

        Raises AccountsError for a file that cannot be understood, AccessDenied or LanmanError for one that cannot be
        read.
        """
        try:
            identity = _identity(os.stat(self.path))
        except FileNotFoundError:
            identity = ()
        except OSError as error:
            raise _failed("read", self.path, error) from error
        if not (self._settled and identity == self._identity):
            self._accounts, self._identity = self._load()
            self._settled = bool(self._identity) and time.time_ns() - self._identity[0] > _SETTLED_AFTER * 1e9
        return self._accounts

    def update(self, change: Callable[[Accounts], T]) -> T:
        """Let `change` alter the accounts as they are now, and keep what it made of them; gives what it returned.

        When `change` raises, nothing is altered. Raises AccountsError for a file that cannot be understood,
        AccessDenied or LanmanError when it cannot be written or another writer does not come to an end.
        """
        # The file may be a symbolic link: it is its target that is replaced, and the lock belongs beside that.
        target = Path(os.path.realpath(self.path))
        with _locked(target):
            accounts, identity = self._load()
            before = accounts.dump() if identity else b""
            result = change(accounts)
            data = accounts.dump()
            if data != before:
                try:
                    _replace(target, data)
                except OSError as error:
                    raise _failed("written", self.path, error) from error
        return result

    def _load(self) -> tuple[Accounts, tuple[int, ...]]:
        """A model of its own, and the identity of the file it was read from, () for none."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                data = file.read(MAX_SIZE + 1)
        except FileNotFoundError:
            return Accounts(), ()
        except OSError as error:
            raise _failed("read", self.path, error) from error
        if len(data) > MAX_SIZE:
            raise AccountsError(f"{self.path}: far too large for an account file")
        identity = _identity(status)
        self._warn(status, identity)
        try:
            return Accounts.parse(data), identity
        except AccountsError as error:
            raise AccountsError(f"{self.path}: {error.message}") from error

    def _warn(self, status: os.stat_result, identity: tuple[int, ...]) -> None:
        if os.name == "posix" and status.st_mode & 0o077 and identity != self._warned_of:
            self._warned_of = identity
            _log.warning(
                "%s can be read by others (mode %03o), and who reads it can log on as anybody: chmod 600 it, "
                "and change the passwords",
                self.path,
                stat.S_IMODE(status.st_mode),
            )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode


def _failed(what: str, path: Path, error: OSError) -> LanmanError:
    message = f"{path}: the accounts cannot be {what}: {error.strerror}"
    if isinstance(error, PermissionError):
        return AccessDenied(message)
    return LanmanError(message, code=codes.NERR_InternalError)


def _replace(target: Path, data: bytes) -> None:
    """Put `data` in the place of `target`, whatever happens meanwhile. The caller holds the lock."""
    # One name is enough under the lock, and what a killed writer left behind is found again by it.
    new = target.with_name(f"{target.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with open(descriptor, "wb") as file:
            _keep_owner(descriptor, target)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _keep_owner(descriptor: int, target: Path) -> None:
    """What root creates belongs to whom the file, or else its directory, belongs."""
    if sys.platform != "win32" and os.geteuid() == 0:
        try:
            owner = os.stat(target)
        except FileNotFoundError:
            owner = os.stat(target.parent)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    # Without this the rename itself may be lost with the power. Windows has no such call and orders by itself.
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the writers' lock of `target`; it is the system's, so it goes with the process that held it."""
    try:
        descriptor = _open_lock(target)
    except OSError as error:
        raise _failed("written", target, error) from error
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while not _lock(descriptor, target):
            if time.monotonic() >= deadline:
                raise LanmanError(
                    f"{target}: another process has been changing the accounts for {LOCK_TIMEOUT:.0f} seconds",
                    code=codes.ERROR_LOCK_VIOLATION,
                    hint=f"see who holds {target}.lock",
                )
            time.sleep(_LOCK_POLL)
        yield
    finally:
        # Closing gives the lock up. The file stays: if it were removed, two writers could lock two different files.
        os.close(descriptor)


def _lock(descriptor: int, target: Path) -> bool:
    try:
        return _try_lock(descriptor)
    except OSError as error:  # a file system without locks
        raise _failed("written", target, error) from error


def _open_lock(target: Path) -> int:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(target.with_name(f"{target.name}.lock"), flags, 0o600)
    try:
        _keep_owner(descriptor, target)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        # flock, not lockf: it belongs to this descriptor, so that threads exclude each other too.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
