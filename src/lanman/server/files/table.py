"""What is open on all shares of the Server, by file and by name: where the opens of different clients meet.

The rules:

* A file is what the disk says it is (`FileStat.identity`), whatever name it was opened by. It has one FileState as long
  as something of it is open, a CREATE waits to open it, or its name is being deleted; `tidy` forgets it then.
* `admit` is asked before an open is made, `enter` is called when it is, `leave` exactly once when it is released. Opens
  are known here by a small protocol, FileOpen, and not by their class.
* An open that `admit` holds back waits in `changes`, and asks again whenever an oplock has been given back or an open
  has gone (`wake`). Until it has asked, its state stays in the table.
* Share modes and oplocks are kept as counts, so that one more open costs the same however many there are. Byte ranges
  are in `locks`; a range that becomes free is granted in the next turn of the event loop, in the order of requests.
* A name that is to be deleted goes with the last open of that name. Every way into delete-pending leads through
  `set_delete_pending`, which ends the watches on it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from lanman import codes
from lanman.domain import Open, Reason, ServerService
from lanman.dtyp import DELETE
from lanman.names import fold
from lanman.server.disk_effects import FileStat, Path
from lanman.server.effects import Wait, Waiter, Work
from lanman.server.files.access import READING, WRITING, is_stat_only
from lanman.server.files.locks import Locks, Tally
from lanman.server.files.notify import Watches
from lanman.server.files.oplocks import Oplock
from lanman.server.scheduler import Scheduler
from lanman.server.timers import Timers
from lanman.smb2.constants import (
    FILE_SHARE_DELETE,
    FILE_SHARE_READ,
    FILE_SHARE_WRITE,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
)

_SHARED: Final = ((READING, FILE_SHARE_READ), (WRITING, FILE_SHARE_WRITE), (DELETE, FILE_SHARE_DELETE))
_COUNTS: Final = READING | WRITING | DELETE
# In one turn of the event loop.
_NAMES_LOOKED_AT: Final = 2048

_CACHING: Final = (SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_BATCH)
_ALONE: Final = (SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_BATCH)


def shares_conflict(access: int, share: int, other_access: int, other_share: int) -> bool:
    """Whether two opens cannot be at once (MS-FSA 2.1.5.1.2.2). Opens that only ask for attributes always can."""
    if not access & _COUNTS or not other_access & _COUNTS:
        return False
    return any(
        (access & rights and not other_share & allowed) or (other_access & rights and not share & allowed)
        for rights, allowed in _SHARED
    )


class FileOpen(Protocol):
    """An open file or directory, as far as others that have the same file open must know of it.

    `root` is the folder of its share and `path` its path below that. `by_link`: its name is that of a link, which a
    delete means, and `link_going` says that it is to go. `hard_linked`: the file has more than one name.
    """

    root: str
    path: Path
    access: int
    share_access: int
    delete_on_close: bool
    by_link: bool
    link_going: bool
    hard_linked: bool
    oplock: Oplock

    @property
    def state(self) -> FileState:
        """Its file."""

    def moved(self, path: Path, by: Open) -> None:
        """It has another path now: it was renamed through the open `by`."""

    def end_watch(self, status: int, now: float) -> None:
        """Answer the requests that wait for changes below it."""

    def count_locks(self) -> None:
        """It holds more or fewer byte ranges than before."""


@dataclass(slots=True, eq=False)
class WaitingLock:
    """A LOCK request that waits for a range. Its waiter is given a status."""

    owner: FileOpen
    offset: int
    length: int
    exclusive: bool
    waiter: Waiter[int] = field(default_factory=Waiter)


@dataclass(slots=True)
class _Modes:
    """What the opens of one file have been granted and what they share, in numbers: how many have each of the three
    rights, and how many withhold each from the others. Opens that only ask for attributes do not count."""

    having: list[int] = field(default_factory=lambda: [0] * len(_SHARED))
    withholding: list[int] = field(default_factory=lambda: [0] * len(_SHARED))

    def count(self, access: int, share: int, difference: int) -> None:
        """Count an open (1), or count it no more (-1)."""
        if access & _COUNTS:
            for number, (rights, allowed) in enumerate(_SHARED):
                self.having[number] += difference * bool(access & rights)
                self.withholding[number] += difference * (not share & allowed)

    def conflict(self, access: int, share: int) -> bool:
        """Whether one of them cannot be at once with this open: `shares_conflict` of all of them."""
        return bool(access & _COUNTS) and any(
            (access & rights and self.withholding[number]) or (not share & allowed and self.having[number])
            for number, (rights, allowed) in enumerate(_SHARED)
        )


class FileState:
    """One file of which something is open.

    What one more open must know of the others is kept in numbers and by what they cache, so that it costs the same
    however many there are.
    """

    def __init__(self, files: Files, identity: tuple[int, int]) -> None:
        self.files = files
        self.identity = identity
        self.opens: dict[FileOpen, None] = {}
        self.going: set[tuple[str, Path]] = set()  # the names of it that are to be deleted
        self.removing = 0  # closes under way that take the name away
        # Room that was asked for and not taken (MS-FSCC 2.4.4): told to clients as long as the file is open.
        self.allocation = 0
        self.locks = Locks(files.locks)
        self._retrying = False
        self.waiting_locks: dict[WaitingLock, None] = {}
        self._modes = _Modes()
        self._with_contents = 0  # opens that are not for attributes alone
        self._caching: dict[int, dict[Oplock, None]] = {level: {} for level in _CACHING}
        self._breaking = dict.fromkeys(_CACHING, 0)
        self._waiting: dict[Waiter[None], None] = {}

    # --- opening and closing ---

    def admit(self, access: int, share: int, overwrites: bool, now: float) -> int | None:
        """Whether one more open fits: a status, or None if it is to ask again when something `changes`."""
        if self.delete_pending or self.removing:
            return codes.STATUS_DELETE_PENDING
        violation = self._modes.conflict(access, share)
        if is_stat_only(access) and not overwrites:
            return codes.STATUS_SHARING_VIOLATION if violation else codes.STATUS_SUCCESS
        level = SMB2_OPLOCK_LEVEL_NONE if overwrites else SMB2_OPLOCK_LEVEL_II
        self._break(SMB2_OPLOCK_LEVEL_BATCH, level, now)
        if not violation:
            self._break(SMB2_OPLOCK_LEVEL_EXCLUSIVE, level, now)
            if overwrites:
                self._break(SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_NONE, now)
        if self._breaking[SMB2_OPLOCK_LEVEL_BATCH] or (self._breaking[SMB2_OPLOCK_LEVEL_EXCLUSIVE] and not violation):
            return None
        return codes.STATUS_SHARING_VIOLATION if violation else codes.STATUS_SUCCESS

    def _break(self, held: int, level: int, now: float) -> None:
        """Take back all oplocks of a level, down to another."""
        for each in list(self._caching[held]):
            each.break_to(level, now)

    def take_handles_back(self, now: float) -> bool:
        """Break the batch oplocks, whose clients may keep the file open for no program. Whether none is left; if not,
        something `changes` when they are given back."""
        self._break(SMB2_OPLOCK_LEVEL_BATCH, SMB2_OPLOCK_LEVEL_II, now)
        return not self._breaking[SMB2_OPLOCK_LEVEL_BATCH]

    @property
    def timers(self) -> Timers:
        """The Server's timers."""
        return self.files.scheduler.timers

    def close(self, open_: Open) -> None:
        """Close an open of it that was preserved, and is in the way."""
        self.files.service.close_open(open_, Reason.DISCONNECTED)

    def oplock_changed(self, oplock: Oplock, before: tuple[int, bool], after: tuple[int, bool]) -> None:
        """An oplock is of another level, or is being broken, or no longer; each as (level, is being broken)."""
        for (level, breaking), difference in ((before, -1), (after, 1)):
            if level == SMB2_OPLOCK_LEVEL_NONE:
                continue
            if breaking:
                self._breaking[level] += difference
            elif difference > 0:
                self._caching[level][oplock] = None
            else:
                del self._caching[level][oplock]

    def report_oplock(self, open_: Open, oplock: str) -> None:
        """Tell the domain by its name of the oplock that an open has now."""
        self.files.service.set_oplock(open_, oplock)

    def changes(self) -> Work[None]:
        """Wait until an oplock has been given back or an open is gone. Then the state is the caller's to `tidy`."""
        waiter: Waiter[None] = Waiter()
        self._waiting[waiter] = None
        try:
            yield Wait(waiter)
        except BaseException:
            del self._waiting[waiter]
            self.tidy()
            raise
        del self._waiting[waiter]

    def wake(self, now: float) -> None:
        """Something has changed that those may wait for who were not admitted. They stay in `_waiting`, and the state
        in the table, until each has looked again."""
        if self._breaking[SMB2_OPLOCK_LEVEL_BATCH] and not (self.delete_pending or self.removing):
            return  # all of them would go on waiting
        for waiter in list(self._waiting):
            waiter.wake(None)
        self.tidy()

    def enter(self, file_open: FileOpen) -> None:
        """It is open."""
        self.opens[file_open] = None
        self._modes.count(file_open.access, file_open.share_access, 1)
        self._with_contents += not is_stat_only(file_open.access)
        self.files.entered(file_open)

    def grant(self, file_open: FileOpen, wanted: int) -> int:
        """The oplock that an open gets of the one it wants (MS-FSA 2.1.5.18.1)."""
        if wanted not in (SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_BATCH):
            return SMB2_OPLOCK_LEVEL_NONE
        others = self._with_contents > (not is_stat_only(file_open.access))
        if any(each is not file_open.oplock for level in _ALONE for each in self._caching[level]):
            return SMB2_OPLOCK_LEVEL_NONE  # an open for attributes alone, which has broken nothing
        others = others or any(each is not file_open.oplock for each in self._caching[SMB2_OPLOCK_LEVEL_II])
        level = SMB2_OPLOCK_LEVEL_II if others else wanted
        if level == SMB2_OPLOCK_LEVEL_II and self.locks:
            level = SMB2_OPLOCK_LEVEL_NONE
        file_open.oplock.grant(level)
        return level

    def leave(self, file_open: FileOpen, now: float) -> bool:
        """It is closed. Whether the file is to go now: it was the last one, and the file is to be deleted."""
        del self.opens[file_open]
        self._modes.count(file_open.access, file_open.share_access, -1)
        self._with_contents -= not is_stat_only(file_open.access)
        self.files.left(file_open)
        file_open.oplock.release()
        if file_open.delete_on_close and not file_open.by_link:
            self.set_delete_pending(file_open, now)
        for each in [each for each in self.waiting_locks if each.owner is file_open]:
            del self.waiting_locks[each]
        if self.locks.release(file_open):
            self.retry_locks(now)
        if file_open.by_link:
            return file_open.delete_on_close or file_open.link_going
        # A file may have several names, and each goes with its own last open. Who came by a symbolic link has another.
        name = _name_of(file_open) if self.going else None
        deletes = name in self.going and not any(_name_of(each) == name for each in self.opens if not each.by_link)
        if deletes and name is not None:
            self.going.discard(name)
        self.removing += deletes
        return deletes

    @property
    def is_open(self) -> bool:
        """Whether anything of it is open, or it is just being deleted."""
        return bool(self.opens or self.removing)

    @property
    def delete_pending(self) -> bool:
        """Whether it is to go, by one of its names."""
        return bool(self.going)

    def clear_delete_pending(self, file_open: FileOpen) -> None:
        """The name that is open by this is not to go after all."""
        self.going.discard(_name_of(file_open))

    def renamed(self, root: str, old: Path, new: Path) -> None:
        """One of its names is another."""
        before = root, _folded(old)
        if before in self.going:
            self.going.discard(before)
            self.going.add((root, _folded(new)))

    def set_delete_pending(self, file_open: FileOpen, now: float) -> None:
        """The name that is open by this goes with its last open; whoever watches it hears no more (MS-FSA 2.1.5.15.3).
        Every way into delete-pending leads through here: a client that waits for the end of its watch before it closes
        would keep the directory for ever."""
        before = self.delete_pending
        self.going.add(_name_of(file_open))
        for each in [] if before else list(self.opens):
            each.end_watch(codes.STATUS_DELETE_PENDING, now)

    def removed(self, now: float) -> None:
        """A close that was to delete the file has come to its end."""
        self.removing -= 1
        self.wake(now)

    def tidy(self) -> None:
        """Forget it if nothing of it is open and no CREATE waits to open it."""
        if not (self.opens or self._waiting or self.removing):
            self.files.forget(self)

    # --- contents ---

    def with_allocation(self, stat: FileStat) -> FileStat:
        """What is known of the file, with the room that was asked for. The disk gives it when it is written to."""
        if stat.directory or stat.allocation >= self.allocation:
            return stat
        return replace(stat, allocation=self.allocation)

    def changed(self, now: float) -> None:
        """Its contents change, or are locked: what anybody has cached of it under level II is no longer right. That
        holds for the open that changes them too (MS-FSA 2.1.4.12): an oplock has no key by which it would be spared."""
        self._break(SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_NONE, now)

    def retry_locks(self, now: float) -> None:
        """A range is free again: whoever waits for it has it in the next turn of the event loop, first come first
        served. All who wait are looked at, so once for all that becomes free in one turn."""
        if self.waiting_locks and not self._retrying:
            self._retrying = True
            self.files.scheduler.timers.at(now, self._retry)

    def _retry(self, now: float) -> None:
        self._retrying = False
        for each in list(self.waiting_locks):
            if each not in self.waiting_locks:
                continue  # what the grant of another has led to
            if self.locks.is_full(each.owner):
                continue
            granted = self.locks.lock(each.owner, each.offset, each.length, each.exclusive)
            if granted is not None:
                del self.waiting_locks[each]
                each.owner.count_locks()
                each.waiter.wake(codes.STATUS_SUCCESS)


class Files:
    """All of it, of all shares."""

    def __init__(self, scheduler: Scheduler, service: ServerService) -> None:
        self.scheduler = scheduler
        self.service = service
        self.watches = Watches()
        self.locks = Tally()
        self._states: dict[tuple[int, int], FileState] = {}
        self._names: dict[str, _Name] = {}

    def state(self, identity: tuple[int, int]) -> FileState:
        """The state of a file, whether or not it has one yet."""
        state = self._states.get(identity)
        if state is None:
            state = self._states[identity] = FileState(self, identity)
        return state

    def forget(self, state: FileState) -> None:
        """Nothing of that file is open any more."""
        if self._states.get(state.identity) is state:
            del self._states[state.identity]

    def find(self, identity: tuple[int, int]) -> FileState | None:
        """The state of a file; None: nothing of it is open."""
        return self._states.get(identity)

    def entered(self, file_open: FileOpen) -> None:
        """Something is open by its path."""
        self._names.setdefault(file_open.root, _Name()).put(_folded(file_open.path), file_open)

    def left(self, file_open: FileOpen) -> None:
        """It is so no more."""
        top = self._names[file_open.root]
        top.take(_folded(file_open.path), file_open)
        if not top.count:
            del self._names[file_open.root]

    def moved(self, file_open: FileOpen, path: Path) -> None:
        """It has been renamed."""
        self.left(file_open)
        file_open.path = path
        self.entered(file_open)

    def has_open_below(self, root: str, path: Path) -> bool:
        """Whether anything is open in the directory `path` of the folder `root`, at any depth."""
        found = self._find_name(root, path)
        return found is not None and found.count > len(found.opens)

    def cached_below(self, root: str, path: Path) -> list[FileOpen]:
        """Opens in the directory `path`, at any depth, that their clients may keep for no program (batch oplocks). Of
        very many names the first are looked at."""
        found = self._find_name(root, path)
        names = deque(found.below.values() if found is not None else ())
        cached: list[FileOpen] = []
        for _ in range(_NAMES_LOOKED_AT):
            if not names:
                break
            name = names.popleft()
            names.extend(name.below.values())
            cached += [each for each in name.opens if each.oplock.level == SMB2_OPLOCK_LEVEL_BATCH]
        return cached

    def at(self, root: str, path: Path) -> list[FileOpen]:
        """What is open by exactly that path."""
        found = self._find_name(root, path)
        return list(found.opens) if found is not None else []

    def _find_name(self, root: str, path: Path) -> _Name | None:
        found = self._names.get(root)
        for name in path:
            if found is None:
                return None
            found = found.below.get(fold(name))
        return found

    def is_going(self, root: str, path: Path) -> bool:
        """Whether a file of that name is to be deleted."""
        return any(each.state.delete_pending or each.state.removing for each in self.at(root, path))


@dataclass(slots=True)
class _Name:
    """A name below a share's folder by which something is open, or of a directory with such a name in it.

    `count` is how many opens there are here and below.
    """

    opens: dict[FileOpen, None] = field(default_factory=dict)
    below: dict[str, _Name] = field(default_factory=dict)
    count: int = 0

    def put(self, path: Path, file_open: FileOpen) -> None:
        """Something is open by that path below this name."""
        name = self
        name.count += 1
        for part in path:
            name = name.below.setdefault(part, _Name())
            name.count += 1
        name.opens[file_open] = None

    def take(self, path: Path, file_open: FileOpen) -> None:
        """It is open by that path no more."""
        name = self
        name.count -= 1
        for part in path:
            following = name.below[part]
            following.count -= 1
            if not following.count:
                del name.below[part]  # and all that is below it, which is this path alone
                return
            name = following
        del name.opens[file_open]


def _folded(path: Path) -> Path:
    return tuple(map(fold, path))


def _name_of(file_open: FileOpen) -> tuple[str, Path]:
    """What tells one name of a file from another. A file of one name may be open by several paths all the same."""
    return (file_open.root, _folded(file_open.path)) if file_open.hard_linked else ("", ())
