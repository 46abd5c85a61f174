"""Files that outlive a Server, changed so that nothing is ever lost.

Whoever changes one holds its lock (`NAME.lock` beside it), reads it afresh, and puts a complete new file in its place:
written under another name, forced to the disk, renamed over the old one. So a reader needs no lock and sees one state
or the next, never a part; a writer that is killed leaves the old file, or the new one; and of two writers the second
starts from what the first one left.

The file and its lock have mode 0600 from the start. Where root changes the file of a Server that runs as somebody else,
it stays that user's.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError

# How long to wait for another writer; a change takes milliseconds, so somebody is stuck.
LOCK_TIMEOUT: Final = 10.0
_LOCK_POLL: Final = 0.01

# Far more than the accounts of a hundred thousand users take; a file beyond it is not one of ours.
MAX_SIZE: Final = 64 * 1024 * 1024

Identity = tuple[int, ...]
"""What tells one state of a file from another: it begins with the time of the last write, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read: its octets, its identity, its permission bits."""

    data: bytes
    identity: Identity
    mode: int


class AtomicFile:
    """One such file. `what` is in it, in the plural, for the messages: "accounts"."""

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.path = Path(path)
        self._what = what

    def identity(self) -> Identity:
        """The file's identity now, () where there is none. Raises as `read`."""
        try:
            return _identity(os.stat(self.path))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._failed("read", error) from error

    def read(self) -> Content | None:
        """What is in the file; None where there is none. Raises AccessDenied, or LanmanError for one that cannot be
        read or is far too large."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                data = file.read(MAX_SIZE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error
        if len(data) > MAX_SIZE:
            raise LanmanError(
                f"{self.path}: far too large to hold {self._what}: more than {MAX_SIZE} octets",
                code=codes.ERROR_INVALID_DATA,
            )
        return Content(data, _identity(status), status.st_mode)

    def update(self, change: Callable[[Content | None], bytes]) -> None:
        """Put what `change` makes of the file as it is now in its place; nobody else changes it meanwhile.

        When `change` raises, nothing is altered. Raises AccessDenied, or LanmanError when it cannot be written or
        another writer does not come to an end.
        """
        # The file may be a symbolic link: it is its target that is replaced, and the lock belongs beside that.
        target = Path(os.path.realpath(self.path))
        with self._locked(target):
            before = self.read()
            data = change(before)
            if before is None or data != before.data:
                try:
                    _replace(target, data)
                except OSError as error:
                    raise self._failed("written", error) from error

    def _failed(self, verb: str, error: OSError) -> LanmanError:
        message = f"{self.path}: the {self._what} cannot be {verb}: {error.strerror}"
        if isinstance(error, PermissionError):
            return AccessDenied(message)
        return LanmanError(message, code=codes.NERR_InternalError)

    @contextlib.contextmanager
    def _locked(self, target: Path) -> Iterator[None]:
        """Hold the writers' lock of `target`; it is the system's, so it goes with the process that held it."""
        try:
            descriptor = _open_lock(target)
        except OSError as error:
            raise self._failed("written", error) from error
        try:
            deadline = time.monotonic() + LOCK_TIMEOUT
            while not self._lock(descriptor):
                if time.monotonic() >= deadline:
                    raise LanmanError(
                        f"{target}: another process has been changing the {self._what} for {LOCK_TIMEOUT:.0f} seconds",
                        code=codes.ERROR_LOCK_VIOLATION,
                        hint=f"see who holds {target}.lock",
                    )
                time.sleep(_LOCK_POLL)
            yield
        finally:
            # Closing gives the lock up. The file stays: if it were removed, two writers could lock two different files.
            os.close(descriptor)

    def _lock(self, descriptor: int) -> bool:
        try:
            return _try_lock(descriptor)
        except OSError as error:  # a file system without locks
            raise self._failed("written", error) from error


def _identity(status: os.stat_result) -> Identity:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode


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
