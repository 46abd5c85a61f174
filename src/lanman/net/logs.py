"""The Server's log: a file that is opened anew on SIGHUP and rotated by size, and lines that floods cannot multiply.

`LogFile` writes to a file of mode 0600 that is no link. When the file would grow over `max_bytes` it becomes `NAME.1`,
and `NAME.1` becomes `NAME.2`, up to `keep`; where that cannot be done, because the folder is not ours to write, the
file begins anew in its place. `reopen()` goes on in a new file if the old one was renamed (logrotate).

`Journal` writes one line of a kind about one peer in a period, and then how many were left out (`server.quiet`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
import time
from typing import Final

from lanman.errors import AccessDenied, LanmanError
from lanman.server.quiet import PERIOD, Quiet

FORMAT: Final = "%(asctime)s %(name)s: %(message)s"


class Lines(logging.Formatter):
    """Records as lines of FORMAT, as logging.Formatter has them. Most are about sessions, and many within one second:
    its text is made once."""

    def __init__(self) -> None:
        super().__init__(FORMAT)
        self._second: tuple[int, str] = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines with a traceback."""
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        second = int(record.created)
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second, text
        return f"{text},{int(record.msecs):03d} {record.name}: {record.getMessage()}"


class LogFile(logging.Handler):
    """A log file. `max_bytes` 0 never rotates. Raises LanmanError for a file that cannot be opened.

    Where standard error is that same file, as with `lanman start server`, it follows when the file changes. A file that
    root makes is given to `owner`, a user and a group id.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        max_bytes: int = 0,
        keep: int = 0,
        owner: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.setFormatter(Lines())
        self._path = os.fspath(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._owner = owner
        self._descriptor = self._open()
        self._size = os.fstat(self._descriptor).st_size

    def reopen(self) -> None:
        """Go on in the file of that name, a new one if the old has been renamed. Raises LanmanError; the old one is
        written to as before then."""
        self.acquire()
        try:
            self._become(self._open())
        finally:
            self.release()

    def limit(self, max_bytes: int, keep: int) -> None:
        """Rotate by these from now on."""
        self._max_bytes, self._keep = max_bytes, keep

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after rotating if it would not fit. A write that fails is reported as
        logging does (Handler.handleError)."""
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            if self._max_bytes and self._size and self._size + len(line) > self._max_bytes:
                self._rotate()
            self._size += os.write(self._descriptor, line)
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            try:
                descriptor = os.open(self._path, flags | os.O_EXCL, 0o600)
            except FileExistsError:
                descriptor = os.open(self._path, flags, 0o600)
            else:
                if self._owner is not None and os.geteuid() == 0:
                    os.fchown(descriptor, *self._owner)
        except OSError as error:
            hint = "The log must be a file in a folder that the Server's user may write, and no link."
            kind = AccessDenied if isinstance(error, PermissionError) else LanmanError
            raise kind(f"{self._path}: the log cannot be opened: {error.strerror}", hint=hint) from None
        found = os.fstat(descriptor)
        problem = "it is not a file" if not stat.S_ISREG(found.st_mode) else ""
        if found.st_nlink > 1:
            # Whoever may write to the folder would have root add to any file of the machine.
            problem = "it has a second name elsewhere (a hard link)"
        if problem:
            os.close(descriptor)
            raise LanmanError(f"{self._path}: the log cannot be opened: {problem}")
        return descriptor

    def _become(self, descriptor: int) -> None:
        old = self._descriptor
        if _is_standard_error(old):
            sys.stderr.flush()
            os.dup2(descriptor, 2)
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        os.close(old)

    def _rotate(self) -> None:
        try:
            for number in range(self._keep - 1, 0, -1):
                if os.path.lexists(f"{self._path}.{number}"):
                    os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
            if not self._keep:
                raise OSError
            os.replace(self._path, f"{self._path}.1")
            self._become(self._open())
        except (OSError, LanmanError):
            os.ftruncate(self._descriptor, 0)
            self._size = 0


def _is_file(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except OSError:
        return False


def _is_standard_error(descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.fstat(2))
    except OSError:
        return False


def set_up(path: str, *, background: str, owner: tuple[int, int] | None = None) -> LogFile | None:
    """Log to a file, which is not rotated before `limit` says how; without one to standard error, which may be the file
    `background`. Raises LanmanError."""
    if not path and _is_file(background, 2):
        path = background
    file = LogFile(path, owner=owner) if path else None
    handler: logging.Handler = file or logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    _ask_for_what_is_shown()
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    return file


def _ask_for_what_is_shown() -> None:
    """Have logging find out nothing for a record that FORMAT does not show: the source line that has logged it, the
    thread, the process (the ways are those of its own documentation, "Optimization")."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class Journal:
    """Lines that peers can bring about, each kind once in a while for each peer."""

    def __init__(self) -> None:
        self._quiet = Quiet()
        self._timer: asyncio.TimerHandle | None = None
        self._loggers: dict[str, logging.Logger] = {}

    def say(
        self,
        logger: logging.Logger,
        level: int,
        kind: str,
        peer: str,
        message: str,
        *values: object,
        burst: int = 1,
        error: BaseException | None = None,
    ) -> None:
        """Write a line, unless there have been too many of its kind about that peer; with the traceback of `error`."""
        loop = asyncio.get_running_loop()
        self._report_omissions(loop.time())
        self._loggers[kind] = logger
        if self._quiet.allows(kind, peer, loop.time(), burst=burst):
            logger.log(level, message, *values, exc_info=error)
        elif self._timer is None:
            self._timer = loop.call_later(PERIOD, self._expire)

    def close(self) -> None:
        """Report what was left out and is not reported yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._report_omissions(float("inf"))

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        self._report_omissions(loop.time())
        if (deadline := self._quiet.next_deadline()) is not None:
            self._timer = loop.call_at(deadline, self._expire)

    def _report_omissions(self, now: float) -> None:
        for left in self._quiet.over(now):
            self._loggers[left.kind].warning(
                "%s: %d more like this about %s were left out", left.kind, left.count, left.peer
            )
