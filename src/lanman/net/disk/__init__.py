"""The only place where the Server's effects touch a disk.

    pool        threads, in lanes that cannot block each other
    files       handles, and what is done with them
    folders     finding a path below a share's folder without leaving it
    guard       what no client gets into: the Server's home, /proc and its like
    names       a name on the wire and on the disk
    attributes  what SMB knows about a file and POSIX does not
    system      what is Linux's alone

The rules:

* Effects are performed in threads, each share in a lane of its own, log-ons in another. One kind may be performed at
  once, on the event loop: a read of what is in memory already (RWF_NOWAIT), where the way to a thread and back would
  take longer than the copy.
* Results come back on the event loop, in the order in which effects ended, and never from within `perform`: the
  caller has returned by then. Of many results some are delivered in the next turn of the loop (`DELIVER_FOR`).
* Every effect has exactly one of three ends: `completed`, `failed`, or `ended` because it was cancelled. A handle that
  was opened and not taken is closed here. A CloseFile is always performed, at the end of the Server as well.
* What waits is bounded: a source with too much under way is asked to pause (`pressure`), and a lane that is full
  refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.net.descriptors import raise_limit
from lanman.net.disk.files import Files
from lanman.net.disk.guard import Guard
from lanman.net.disk.pool import Job, Pool
from lanman.net.disk.system import DiskRefused, check_platform, status_of
from lanman.server import disk_effects
from lanman.server.disk_effects import CloseFile, Opened, OpenFile, ReadFile, WriteFile
from lanman.server.effects import Effect, ReadAccounts, StepLogon

__all__ = ["ACCOUNTS", "Disk", "status_of"]

# The lane of log-ons, and that of the effects that are not about a share.
ACCOUNTS: Final = object()
OTHERS: Final = object()

# A read up to this size, in bytes, is tried at once. The way to a thread and back costs what copying 200 KiB does;
# above that, a thread copies while the event loop signs or encrypts.
AT_ONCE: Final = 128 * 1024

# What may wait for one source before it is asked to pause, and how little it has to be again before it may go on.
SOURCE_EFFECTS: Final = 128
SOURCE_BYTES: Final = 32 * 1024 * 1024

# Jobs that may wait in one lane; a lane fuller than this belongs to a disk that hangs.
LANE_EFFECTS: Final = 8192

# For how many seconds results are delivered before the event loop does something else.
DELIVER_FOR: Final = 0.005

# How many descriptors this process asks for, and how many of those it gets are not for the files of shares: sockets,
# accounts, the interpreter.
MAX_DESCRIPTORS: Final = 1 << 20
_RESERVED: Final = 256

_FEW: Final = 64


@dataclass(slots=True, eq=False)
class _Ticket:
    """An effect under way. One that is `abandoned` was cancelled: its result is released."""

    number: int
    effect: Effect[Any]
    source: Hashable
    byte_count: int
    job: Job | None = None
    abandoned: bool = False


@dataclass(slots=True)
class _Load:
    effects: int = 0
    byte_count: int = 0
    paused: bool = False


class Disk:
    """Performs effects in a bounded pool of threads.

    `completed(ticket, result)` and `failed(ticket, status, error)` are called on the event loop, in the order in which
    the effects ended, and never from within `perform`. If `completed` returns False the result was not taken; a file
    that was opened is then closed again. `error` is for the log, None for what any client may meet with.

    `ended(ticket)` is called in the same way for an effect that was cancelled, when it is certain that nothing of it is
    under way any more. `pressure(source, True)` asks for no more effects of that source, until it is called with False.
    `others` performs the effects that are not about the files of shares, in a thread as well. `private` are directories
    and files that no client gets into, even if a folder above them is shared: the Server's home, where the password
    hashes are, and its keytab.
    """

    def __init__(
        self,
        accounts: AccountFile,
        completed: Callable[[int, Any], bool | None],
        failed: Callable[[int, int, Exception | None], None],
        pressure: Callable[[Hashable, bool], None] | None = None,
        others: Mapping[type[Effect[Any]], Callable[[Any], Any]] | None = None,
        private: Iterable[str | os.PathLike[str]] = (),
        ended: Callable[[int], None] = lambda ticket: None,
    ) -> None:
        check_platform()
        self._accounts = accounts
        self._completed = completed
        self._failed = failed
        self._ended = ended
        self._pressure = pressure
        self._loop = asyncio.get_running_loop()
        self._pool = Pool()
        self._closed = False
        self._tickets: dict[int, _Ticket] = {}
        self._loads: dict[Hashable, _Load] = {}
        self._finished: deque[tuple[_Ticket, Any, Exception | None]] = deque()
        self._waking = False
        self._drained: asyncio.Future[None] | None = None
        # A handle takes up to two descriptors, its own and that of its directory.
        self.files = files = Files(max(_FEW, (raise_limit(MAX_DESCRIPTORS) - _RESERVED) // 2), Guard(private))
        self._performers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            ReadAccounts: self._read_accounts,
            StepLogon: lambda effect: effect.acceptor.step(effect.token, effect.wall),
            OpenFile: files.open,
            disk_effects.OverwriteFile: files.overwrite,
            disk_effects.LookUp: files.look_up,
            ReadFile: files.read,
            WriteFile: files.write,
            disk_effects.CopyFileRange: files.copy,
            disk_effects.FlushFile: files.flush,
            disk_effects.QueryFile: files.query,
            disk_effects.SetFile: files.set,
            disk_effects.RenameFile: files.rename,
            disk_effects.CheckDeletable: files.check_deletable,
            CloseFile: files.close,
            disk_effects.ListDirectory: files.list,
            disk_effects.QueryVolume: files.volume,
            disk_effects.CheckShare: files.check_share,
            **(others or {}),
        }
        self._others = frozenset(others or ())

    # --- what the shell asks ---

    def perform(self, number: int, effect: Effect[Any], source: Hashable = None) -> None:
        """Have an effect performed. `number` is its ticket; `source` is asked to pause when too much of it is under way
        (see `pressure`)."""
        ticket = _Ticket(number, effect, source, _byte_count(effect))
        self._tickets[number] = ticket
        self._count(ticket)
        try:
            if isinstance(effect, ReadFile) and effect.length <= AT_ONCE:
                data = self.files.try_read(effect)
                if data is not None:
                    self._finish_now(ticket, data, None)
                    return
            lane = self._lane(effect)
            is_close = isinstance(effect, CloseFile)
            if self._pool.waiting(lane) >= LANE_EFFECTS and not is_close:
                raise DiskRefused(codes.STATUS_INSUFF_SERVER_RESOURCES)
        except DiskRefused as error:
            self._finish_now(ticket, None, error)
            return
        ticket.job = Job(lane, lambda: self._do(ticket), due=is_close, source=source)
        self._pool.submit(ticket.job)

    def cancel(self, number: int) -> None:
        """Cancel an effect: it is not performed if it has not begun, and if it has, its result is released. A CloseFile
        is performed all the same."""
        ticket = self._tickets.get(number)
        if ticket is None:
            return
        ticket.abandoned = True
        if ticket.job is not None and not ticket.job.due and self._pool.cancel(ticket.job):
            self._finish_now(ticket, None, None)

    async def drain(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing is under way. Whether that was reached."""
        if not self._tickets:
            return True
        self._drained = self._loop.create_future()
        await asyncio.wait([self._drained], timeout=timeout)
        return not self._tickets

    def close(self) -> None:
        """Accept no more effects. Those that have not begun are dropped, except for CloseFile; those under way end
        without being reported. All handles are closed. May be called twice."""
        self._closed = True
        self._pool.close()
        closing = {ticket.effect.handle for ticket in self._tickets.values() if isinstance(ticket.effect, CloseFile)}
        self.files.close_all(but=closing)

    # --- in a thread ---

    def _do(self, ticket: _Ticket) -> None:
        result, failure = None, None
        try:
            result = self._performers[type(ticket.effect)](ticket.effect)
        except Exception as error:  # noqa: BLE001 - here a task ends; what is a mistake of ours is raised on the loop
            failure = error
            if isinstance(error, (DiskRefused, OSError)):
                # It holds this frame, which holds it, and all that the effect holds.
                error.__traceback__ = error.__context__ = None
        if self._closed:
            self._release(result)
            return
        self._finished.append((ticket, result, failure))
        self._wake()

    def _wake(self) -> None:
        """Have _deliver called, once for all results that come in meanwhile."""
        if not self._waking:
            self._waking = True
            # RuntimeError: the loop has ended without closing the disk.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver)

    # --- on the loop ---

    def _finish_now(self, ticket: _Ticket, result: Any, error: Exception | None) -> None:
        """End an effect without a thread: its result is delivered in the next turn of the loop."""
        self._finished.append((ticket, result, error))
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Deliver results for up to DELIVER_FOR seconds; the rest, and those that come meanwhile, in another turn."""
        self._waking = False
        until = time.monotonic() + DELIVER_FOR
        try:
            for _ in range(len(self._finished)):
                self._deliver_one(*self._finished.popleft())
                if time.monotonic() > until:
                    break
        finally:
            if self._finished:
                self._wake()

    def _deliver_one(self, ticket: _Ticket, result: Any, error: Exception | None) -> None:
        self._discount(ticket)
        if self._closed or ticket.abandoned:
            self._release(result)
            if not self._closed:
                self._ended(ticket.number)
        elif error is not None:
            self._report_failure(ticket.number, error)
        elif self._completed(ticket.number, result) is False:
            self._release(result)

    def _report_failure(self, number: int, error: Exception) -> None:
        """Report that an effect has failed, as the NTSTATUS that its client is told."""
        if isinstance(error, DiskRefused):
            self._failed(number, error.status, None)
        elif isinstance(error, OSError):
            status = status_of(error)
            self._failed(number, status, error if status == codes.STATUS_IO_DEVICE_ERROR else None)
        elif isinstance(error, (OverflowError, MemoryError)):
            # An offset or size beyond what the system can count.
            self._failed(number, codes.STATUS_INVALID_PARAMETER, None)
        else:
            # A LanmanError, of a damaged account file for instance: the log tells the administrator what it is, and the
            # client is told of an internal error.
            self._failed(number, codes.STATUS_INTERNAL_ERROR, error)
            if not isinstance(error, LanmanError):
                raise error

    def _release(self, result: Any) -> None:
        if isinstance(result, Opened):
            self.files.release(result.handle)

    def _lane(self, effect: Effect[Any]) -> Hashable:
        """Where an effect is performed. Raises DiskRefused if it is about a handle that is not there."""
        if isinstance(effect, ReadAccounts | StepLogon):
            return ACCOUNTS
        if type(effect) in self._others:
            return OTHERS
        root = getattr(effect, "root", None)
        if root is None:
            number = effect.target if isinstance(effect, disk_effects.CopyFileRange) else getattr(effect, "handle", 0)
            root = self.files.root_of(number)
        if root is None:
            raise DiskRefused(codes.STATUS_FILE_CLOSED)
        return root

    # --- how much there is ---

    def _count(self, ticket: _Ticket) -> None:
        load = self._loads.setdefault(ticket.source, _Load())
        load.effects += 1
        load.byte_count += ticket.byte_count
        if not load.paused and (load.effects > SOURCE_EFFECTS or load.byte_count > SOURCE_BYTES):
            load.paused = True
            if self._pressure is not None:
                self._pressure(ticket.source, True)

    def _discount(self, ticket: _Ticket) -> None:
        self._tickets.pop(ticket.number, None)
        ticket.job = None  # which holds the ticket
        load = self._loads[ticket.source]
        load.effects -= 1
        load.byte_count -= ticket.byte_count
        if load.paused and load.effects <= SOURCE_EFFECTS // 2 and load.byte_count <= SOURCE_BYTES // 2:
            load.paused = False
            if self._pressure is not None:
                self._pressure(ticket.source, False)
        if not load.effects:
            del self._loads[ticket.source]
        if not self._tickets and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _read_accounts(self, effect: ReadAccounts) -> Any:
        return self._accounts.read()


def _byte_count(effect: Effect[Any]) -> int:
    """What an effect keeps in memory while it waits or when it is done."""
    if isinstance(effect, ReadFile):
        return effect.length
    if isinstance(effect, WriteFile):
        return len(effect.data)
    return 0
