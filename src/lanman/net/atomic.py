"""Files that outlive a Server, changed so that no change is lost.

A writer holds the file's lock (`NAME.lock` beside it), reads the file again, and puts a complete new one in its place:
written under another name, forced to the disk, renamed over the old one. So a reader needs no lock and sees one state
or the next, never a part; a writer that is killed leaves the old file, or the new one; and of two writers the second
starts from what the first one left.

The file and its lock have mode 0600 from the start. Where root changes the file of a Server that runs as somebody else,
it stays that user's; how it is found and opened, so that this user cannot make it another, is `net.place`'s.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.net.place import Directory, place_of
from lanman.plain import dataclass

# How long to wait for another writer, in seconds. A change takes milliseconds, so a longer wait means a hung process.
LOCK_TIMEOUT: Final = 10.0
_LOCK_POLL: Final = 0.01

# Far more than the accounts of a hundred thousand users take; a file beyond it is not one of ours.
MAX_SIZE: Final = 64 * 1024 * 1024

Identity = tuple[int, ...]
"""What tells one state of a file from another: it begins with the time of the last write, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read: its bytes, its identity, its permission bits."""

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
            with place_of(self.path) as (folder, name):
                return self._read(folder, name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error

    def _read(self, folder: Directory, name: str) -> Content | None:
        try:
            descriptor = folder.open(name, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with _closing(descriptor), open(descriptor, "rb", closefd=False) as file:
            status = os.fstat(descriptor)
            data = file.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            raise LanmanError(
                f"{self.path}: far too large to hold {self._what}: more than {MAX_SIZE} bytes",
                code=codes.ERROR_INVALID_DATA,
            )
        return Content(data, _identity(status), status.st_mode)

    def append(self, data: bytes, expected: Identity) -> Identity | None:
        """Add to the end of the file, if it still has that identity, and give its new one; None, with nothing altered,
        if it is another by now. A writer that is killed leaves a part of `data` behind. Raises as `update`."""
        with self._place() as (folder, name), self._locked(folder, name):
            try:
                descriptor = folder.open(name, os.O_WRONLY | os.O_APPEND)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise self._failed("written", error) from error
            with _closing(descriptor):
                before = os.fstat(descriptor)
                if _identity(before) != expected:
                    return None
                try:
                    with open(descriptor, "wb", closefd=False) as file:
                        file.write(data)
                        file.flush()
                        os.fsync(descriptor)
                except OSError as error:
                    with contextlib.suppress(OSError):
                        os.ftruncate(descriptor, before.st_size)
                    raise self._failed("written", error) from error
                return _identity(os.fstat(descriptor))

    def update(self, change: Callable[[Content | None], bytes]) -> Identity:
        """Put what `change` makes of the file as it is now in its place, under the lock. Returns the identity that the
        file has afterwards.

        When `change` raises, nothing is altered. Raises AccessDenied, or LanmanError when it cannot be written or
        another writer does not come to an end.
        """
        with self._place() as (folder, name), self._locked(folder, name):
            try:
                before = self._read(folder, name)
            except OSError as error:
                raise self._failed("read", error) from error
            data = change(before)
            if before is None or data != before.data:
                try:
                    _replace(folder, name, data)
                except OSError as error:
                    raise self._failed("written", error) from error
            after = folder.stat(name)
            return _identity(after) if after is not None else ()

    @contextlib.contextmanager
    def _place(self) -> Iterator[tuple[Directory, str]]:
        """Where the file is. It may be a symbolic link: it is its target that is replaced, and the lock belongs beside
        that."""
        with contextlib.ExitStack() as stack:
            try:
                found = stack.enter_context(place_of(self.path, make=True))
            except OSError as error:
                raise self._failed("written", error) from error
            yield found

    def _failed(self, verb: str, error: OSError) -> LanmanError:
        if isinstance(error, AccessDenied):  # by a rule of ours, which names the folder or file and the remedy
            return AccessDenied(error.message, hint=error.hint)
        message = f"{self.path}: the {self._what} cannot be {verb}: {error.strerror}"
        if isinstance(error, PermissionError):
            return AccessDenied(message)
        return LanmanError(message, code=codes.NERR_InternalError)

    @contextlib.contextmanager
    def _locked(self, folder: Directory, name: str) -> Iterator[None]:
        """Hold the writers' lock; it is the system's, so it goes with the process that held it."""
        try:
            descriptor = folder.open(f"{name}.lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise self._failed("written", error) from error
        # Closing gives the lock up. The file stays: if it were removed, two writers could lock two different files.
        with _closing(descriptor):
            deadline = time.monotonic() + LOCK_TIMEOUT
            while not self._lock(descriptor):
                if time.monotonic() >= deadline:
                    raise LanmanError(
                        f"{self.path}: another process has been changing the {self._what} for "
                        f"{LOCK_TIMEOUT:.0f} seconds",
                        code=codes.ERROR_LOCK_VIOLATION,
                        hint=f"see who holds {folder.path / name}.lock",
                    )
                time.sleep(_LOCK_POLL)
            yield

    def _lock(self, descriptor: int) -> bool:
        try:
            return try_lock(descriptor)
        except OSError as error:  # a file system without locks
            raise self._failed("written", error) from error


def _identity(status: os.stat_result) -> Identity:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _replace(folder: Directory, name: str, data: bytes) -> None:
    """Put `data` in the place of a file, whatever happens meanwhile. The caller holds the lock."""
    # One name is enough under the lock, and what a killed writer left behind is found again by it.
    new = f"{name}.new"
    folder.unlink(new)
    before = folder.stat(name)
    descriptor = folder.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with open(descriptor, "wb") as file:
            if before is not None:
                folder.give_to_owner(descriptor, (before.st_uid, before.st_gid))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        folder.replace(new, name)
    except BaseException:
        folder.unlink(new)
        raise
    # Without this the rename itself may be lost with the power.
    folder.sync()


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Take the lock of an open file if nobody has it; it goes with the descriptor. Raises OSError."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the lock of an open file if nobody has it; it goes with the descriptor. Raises OSError."""
        # flock, not lockf: it belongs to this descriptor, so that threads exclude each other too.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
