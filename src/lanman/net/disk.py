"""The only place where the Server's effects touch a disk: a few threads perform them and hand back what came of it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.server.effects import Effect, ReadAccounts

THREADS: Final = 8

_STATUS_OF_ERRNO: Final[Mapping[int, int]] = {
    errno.EPERM: codes.STATUS_ACCESS_DENIED,
    errno.EACCES: codes.STATUS_ACCESS_DENIED,
    errno.ENOENT: codes.STATUS_OBJECT_NAME_NOT_FOUND,
    errno.EEXIST: codes.STATUS_OBJECT_NAME_COLLISION,
    errno.ENOTDIR: codes.STATUS_OBJECT_PATH_NOT_FOUND,
    errno.EISDIR: codes.STATUS_FILE_IS_A_DIRECTORY,
    errno.ENOTEMPTY: codes.STATUS_DIRECTORY_NOT_EMPTY,
    errno.ENAMETOOLONG: codes.STATUS_NAME_TOO_LONG,
    errno.ENOMEM: codes.STATUS_INSUFFICIENT_RESOURCES,
    errno.ENFILE: codes.STATUS_TOO_MANY_OPENED_FILES,
    errno.EMFILE: codes.STATUS_TOO_MANY_OPENED_FILES,
    errno.ENOSPC: codes.STATUS_DISK_FULL,
    errno.EDQUOT: codes.STATUS_DISK_FULL,
    errno.EROFS: codes.STATUS_MEDIA_WRITE_PROTECTED,
    errno.EXDEV: codes.STATUS_NOT_SAME_DEVICE,
}


def status_of(error: OSError) -> int:
    """The NTSTATUS that tells a client what went wrong with the disk."""
    return _STATUS_OF_ERRNO.get(error.errno or 0, codes.STATUS_IO_DEVICE_ERROR)


class Disk:
    """Performs effects in a bounded pool of threads.

    `completed(ticket, result)` and `failed(ticket, status, error)` are called on the event loop, in the order in which
    the effects come to their end.
    """

    def __init__(
        self,
        accounts: AccountFile,
        completed: Callable[[int, Any], None],
        failed: Callable[[int, int, Exception], None],
    ) -> None:
        self._accounts = accounts
        self._completed = completed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lanman-disk")
        self._closed = False
        self._performers: Mapping[type[Effect[Any]], Callable[[Any], Any]] = {ReadAccounts: self._read_accounts}

    def perform(self, ticket: int, effect: Effect[Any]) -> None:
        """Perform it some time soon, in a thread."""
        future = self._pool.submit(self._performers[type(effect)], effect)
        future.add_done_callback(lambda done: self._post(ticket, done))

    def _post(self, ticket: int, done: Future[Any]) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(self._deliver, ticket, done)

    def _deliver(self, ticket: int, done: Future[Any]) -> None:
        if self._closed or done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._completed(ticket, done.result())
        elif isinstance(error, OSError):
            self._failed(ticket, status_of(error), error)
        elif isinstance(error, LanmanError):
            # The account file is damaged, say: the administrator is told in the log, the client that it is not its
            # fault.
            self._failed(ticket, codes.STATUS_INTERNAL_ERROR, error)
        else:
            raise error

    def close(self) -> None:
        """Take no more; what is under way ends by itself and nobody hears of it."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_accounts(self, effect: ReadAccounts) -> Any:
        return self._accounts.read()
