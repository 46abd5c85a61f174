"""The only place where the Server's effects touch a disk.

    pool        threads, in lanes that cannot block each other
    files       handles, and what is done with them
    folders     finding a path below a share's folder without leaving it
    guard       what no client gets into: the Server's home, /proc and its like
    names       a name on the wire and on the disk
    attributes  what SMB knows about a file and POSIX does not
    system      what is Linux's alone

The rules:

* Effects are performed in threads, each share in a lane of its own, log-ons in another. What waits for no disk is
  done on the event loop where it is asked for (`at_once`), because the way to a thread and back would take longer: a
  read of what is in memory already (RWF_NOWAIT); a look at what is open, and the end of what was only read, on file
  systems of which it is known that these wait for nothing (`Files.try_query`, `Files.try_close`), if nothing else is
  under way on that handle; and a look at accounts whose file has not changed and lies on this machine
  (`accounts_at_once`).
* Results come back on the event loop, in the order in which effects ended, and never from within `perform`: the
  caller has returned by then. Of many results some are delivered in the next turn of the loop (`DELIVER_FOR`,
  `DELIVER_BYTES`).
* Every effect has exactly one of three ends: `completed`, `failed`, or `ended` because it was cancelled. A handle that
  was opened and not taken is closed here. A CloseFile is always performed, at the end of the Server as well.
* What waits is bounded: a source with too much under way is asked to pause (`pressure`), and a lane that is full
  refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.net.descriptors import raise_limit
from lanman.net.disk.files import Files
from lanman.net.disk.guard import Guard
from lanman.net.disk.pool import Job, Pool
from lanman.net.disk.system import DiskRefused, check_platform, is_at_hand, status_of
from lanman.plain import dataclass
from lanman.server import disk_effects
from lanman.server.disk_effects import CloseFile, CopyFileRange, Opened, OpenFile, QueryFile, ReadFile, WriteFile
from lanman.server.effects import LATER, Effect, ReadAccounts, StepLogon

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

# For how many seconds results are delivered before the event loop does something else; and how many bytes these may
# have, since what has been read is encrypted or signed when it is delivered. One result is always delivered.
DELIVER_FOR: Final = 0.002
DELIVER_BYTES: Final = 1024 * 1024

# How many descriptors this process asks for, and how many of those it gets are not for the files of shares: sockets,
# accounts, the interpreter.
MAX_DESCRIPTORS: Final = 1 << 20
_RESERVED: Final = 256

_FEW: Final = 64

_OF_ACCOUNTS: Final = (ReadAccounts, StepLogon)  # a union would be made at each look


@dataclass(slots=True, eq=False)
class _Ticket:
    """An effect under way. One that is `abandoned` was cancelled: its result is released."""

    number: int
    effect: Effect[Any]
    source: Hashable
    byte_count: int
    handles: tuple[int, ...] = ()  # what it is done with
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
        self._at_hand = False  # whether the file of the accounts was at hand when it was last looked at in a thread
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
        self._bell = _Bell(self._loop, self._deliver)
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
            CopyFileRange: files.copy,
            disk_effects.FlushFile: files.flush,
            QueryFile: files.query,
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
        # What may be done without a thread. Each gives LATER for what it may not.
        self._at_once: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            ReadFile: self._read_at_once,
            QueryFile: self._query_at_once,
            CloseFile: self._close_at_once,
        }
        self._under_way: dict[int, int] = {}  # the effects that a thread has or is to have on each handle

    # --- what the shell asks ---

    def perform(self, number: int, effect: Effect[Any], source: Hashable = None, party: Hashable = None) -> None:
        """Have an effect performed. `number` is its ticket; `source` is asked to pause when too much of it is under way
        (see `pressure`). Parties take turns in a lane, and so do the sources of each."""
        ticket = _Ticket(number, effect, source, _byte_count(effect), _handles(effect))
        self._tickets[number] = ticket
        self._count(ticket)
        try:
            lane = self._lane(effect)
            is_close = isinstance(effect, CloseFile)
            if self._pool.waiting(lane) >= LANE_EFFECTS and not is_close:
                raise DiskRefused(codes.STATUS_INSUFF_SERVER_RESOURCES)
        except DiskRefused as error:
            self._finish_now(ticket, None, error)
            return
        for handle in ticket.handles:
            self._under_way[handle] = self._under_way.get(handle, 0) + 1
        ticket.job = Job(lane, lambda: self._do(ticket), due=is_close, source=source, party=party)
        self._pool.submit(ticket.job)

    def tries(self, effect: Effect[Any]) -> bool:
        """Whether `at_once` may perform it."""
        return type(effect) in self._at_once and not self._closed

    def at_once(self, effect: Effect[Any]) -> Any:
        """Perform an effect that waits for nothing, and give its result. LATER: it might have to wait, or there is
        something the matter with it; have it performed."""
        if not self.tries(effect):
            return LATER
        try:
            return self._at_once[type(effect)](effect)
        except (DiskRefused, OSError):
            return LATER

    def _read_at_once(self, effect: ReadFile) -> Any:
        return self.files.try_read(effect) if effect.length <= AT_ONCE else LATER

    def _query_at_once(self, effect: QueryFile) -> Any:
        return self.files.try_query(effect) if effect.handle not in self._under_way else LATER

    def _close_at_once(self, effect: CloseFile) -> Any:
        return self.files.try_close(effect) if effect.handle not in self._under_way else LATER

    def accounts_at_once(self) -> Accounts | None:
        """The accounts as their file has them now, if that takes no thread: they have been read before, one stat(2)
        shows that the file has not changed, and it lies on a disk of this machine. None: perform ReadAccounts."""
        return self._accounts.unchanged() if self._at_hand and not self._closed else None

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
        self._bell.close()
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
            self._bell.ring()

    # --- on the loop ---

    def _finish_now(self, ticket: _Ticket, result: Any, error: Exception | None) -> None:
        """End an effect without a thread: its result is delivered in the next turn of the loop."""
        self._finished.append((ticket, result, error))
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Deliver results, DELIVER_BYTES and for DELIVER_FOR seconds at most; the rest, and those that come meanwhile,
        in another turn."""
        self._waking = False
        until = time.monotonic() + DELIVER_FOR
        left = DELIVER_BYTES
        try:
            for _ in range(len(self._finished)):
                ticket, result, error = self._finished.popleft()
                self._deliver_one(ticket, result, error)
                left -= ticket.byte_count
                if left <= 0 or time.monotonic() > until:
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
        if isinstance(effect, _OF_ACCOUNTS):
            return ACCOUNTS
        if type(effect) in self._others:
            return OTHERS
        root = getattr(effect, "root", None)
        if root is None:
            number = effect.target if isinstance(effect, CopyFileRange) else getattr(effect, "handle", 0)
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
        if ticket.job is not None:
            ticket.job = None  # which holds the ticket
            for handle in ticket.handles:
                self._under_way[handle] -= 1
                if not self._under_way[handle]:
                    del self._under_way[handle]
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

    def _read_accounts(self, effect: ReadAccounts) -> Accounts:
        accounts = self._accounts.read()
        self._at_hand = is_at_hand(self._accounts.path)
        return accounts


class _Bell:
    """What a thread has the event loop call something by. An eventfd(2), where there is one: that the loop reads it is
    all there is to it, where `call_soon_threadsafe` takes a handle, a socket, and two calls to empty it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, called: Callable[[], None]) -> None:
        self._loop = loop
        self._called = called
        self._lock = threading.Lock()  # held while it is rung, so that no descriptor is rung that is another's by then
        self._descriptor = -1
        if hasattr(os, "eventfd"):
            self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            loop.add_reader(self._descriptor, self._answer)

    def ring(self) -> None:
        """In any thread: have it called in the next turn of the loop. After `close` nothing is called."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)
            elif not hasattr(os, "eventfd"):
                # RuntimeError: the loop has ended without closing the disk.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._called)

    def _answer(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)
        self._called()

    def close(self) -> None:
        """May be called twice."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)


def _handles(effect: Effect[Any]) -> tuple[int, ...]:
    """What an effect is done with."""
    if isinstance(effect, CopyFileRange):
        return effect.source, effect.target
    number = getattr(effect, "handle", None)
    return (number,) if number is not None else ()


def _byte_count(effect: Effect[Any]) -> int:
    """What an effect keeps in memory while it waits or when it is done."""
    if isinstance(effect, ReadFile):
        return effect.length
    if isinstance(effect, WriteFile):
        return len(effect.data)
    return 0
