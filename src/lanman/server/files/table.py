"""What is open on all shares of the Server, by file and by name: where the opens of different clients meet.

The rules:

* A file is what the disk says it is (`FileStat.identity`), whatever name it was opened by. It has one FileState as long
  as something of it is open, a CREATE waits to open it, or its name is being deleted; `tidy` forgets it then.
* `admit` is asked before an open is made, `enter` is called when it is, `leave` exactly once when it is released. Opens
  are known here by a small protocol, FileOpen, and not by their class.
* An open that `admit` holds back waits in `changes`, and asks again whenever an oplock has been given back or an open
  has gone (`wake`). Until it has asked, its state stays in the table.
* While somebody waits, nobody gets anew what that wait is for, or there would be no end of it: W, and H where handles
  are in the way.
* Share modes are kept as counts, and what clients cache by what they may (`caching`), so that one more open costs the
  same however many there are. Byte ranges are in `locks`; a range that becomes free is granted in the next turn of the
  event loop, in the order of requests.
* A name that is to be deleted goes with the last open of that name. Every way into delete-pending leads through
  `set_delete_pending`, which ends the watches on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Final, Protocol

from lanman import codes
from lanman.domain import Open, Reason, ServerService
from lanman.dtyp import DELETE
from lanman.few import NOTHING, with_one, without
from lanman.plain import dataclass
from lanman.server.disk_effects import FileStat, Path
from lanman.server.effects import Wait, Waiter, Work
from lanman.server.ending import Ends
from lanman.server.files import locks
from lanman.server.files.access import READING, WRITING, is_stat_for_leases, is_stat_only
from lanman.server.files.caching import NONE, Event, FileCaching, H, Holder, rights_name
from lanman.server.files.durable import CreateGuids
from lanman.server.files.handles import Handles
from lanman.server.files.leases import Lease, LeasedOpen, LeaseRequest, Leases, folded, lease_name, path_below, place_of
from lanman.server.files.locks import Locks
from lanman.server.files.moving import Moving
from lanman.server.files.notify import Watches
from lanman.server.files.oplocks import Oplock, rights_of
from lanman.server.resources import ResourceLimits
from lanman.server.scheduler import Scheduler
from lanman.server.state import HandlerConnection, ServerSession
from lanman.server.timers import Timers
from lanman.smb2.constants import (
    FILE_SHARE_DELETE,
    FILE_SHARE_READ,
    FILE_SHARE_WRITE,
)
from lanman.smb2.messages import CreateContext

# The folder of a share, and a folded path below that.
Name = tuple[str, Path]

# Python makes an empty set anew for each who asks.
_NO_NAMES: Final[frozenset[Name]] = frozenset()
_SHARED: Final = ((READING, FILE_SHARE_READ), (WRITING, FILE_SHARE_WRITE), (DELETE, FILE_SHARE_DELETE))
_COUNTS: Final = READING | WRITING | DELETE
_SHARES: Final = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
_COUNT: Final = (1 << 32) - 1
# In one turn of the event loop.
_NAMES_LOOKED_AT: Final = 2048


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
    delete means, and `link_going` says that it is to go. `hard_linked`: the file has more than one name. `handle_of` is
    the user whose part of what is shared out it takes.
    """

    open: Open
    root: str
    path: Path
    access: int
    share_access: int
    delete_on_close: bool
    handle_of: str
    by_link: bool
    link_going: bool
    hard_linked: bool
    lease: Lease | None
    session: ServerSession | None
    client_guid: bytes
    create_guid: bytes
    parent_key: bytes | None
    directory: bool
    replay_eligible: bool

    @property
    def more_than_stat(self) -> bool:
        """Whether it does more than ask for attributes and for the security descriptor."""

    @property
    def holder(self) -> Holder:
        """By what it may cache: its lease or its oplock."""

    @property
    def oplock(self) -> Oplock:
        """Its oplock, which may be none."""

    def release_oplock(self) -> None:
        """It is gone, and so is its oplock."""

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


@cache
def _counted(access: int, share: int) -> tuple[int, int]:
    """What an open adds to the counts of its file, and what of these keeps it out if it is not zero. `access` is of
    _COUNTS alone and `share` of what can be shared, so that there are few of them.

    The counts are one number: how many opens have each of the three rights, and how many withhold each from the
    others, 32 bits for each. Opens that only ask for attributes do not count."""
    adds = kept_out_by = 0
    for number, (rights, allowed) in enumerate(_SHARED if access else ()):
        having, withholding = 64 * number, 64 * number + 32
        if access & rights:
            adds += 1 << having
            kept_out_by |= _COUNT << withholding
        if not share & allowed:
            adds += 1 << withholding
            kept_out_by |= _COUNT << having
    return adds, kept_out_by


class FileState:
    """One file of which something is open.

    What one more open must know of the others is kept in numbers and by what they cache, so that it costs the same
    however many there are.
    """

    __slots__ = (
        "_modes",
        "_more_than_stat",
        "_retrying",
        "_waiting",
        "_waiting_for_handles",
        "_with_contents",
        "allocation",
        "caching",
        "files",
        "following",
        "going",
        "identity",
        "late",
        "locks",
        "opens",
        "removing",
        "waiting_locks",
    )

    def __init__(self, files: Files, identity: tuple[int, int]) -> None:
        self.files = files
        self.identity = identity
        self.opens: Mapping[FileOpen, None] = NOTHING
        self.going = _NO_NAMES  # the names of it that are to be deleted: mostly none
        # Names that it has no more and by which some of its opens are still known, each with the one of now.
        self.following: Mapping[Name, Name] = NOTHING
        self.removing = 0  # closes under way that take the name away
        self.late = 0  # changes of it under way that nobody waits for any more (`ServerOpen.changes_late`)
        # Room that was asked for and not taken (MS-FSCC 2.4.4): told to clients as long as the file is open.
        self.allocation = 0
        self.locks = files.no_locks
        self._retrying = False
        self.waiting_locks: Mapping[WaitingLock, None] = NOTHING
        self._modes = 0  # what its opens have been granted and what they share: see `_counted`
        self._with_contents = 0  # opens that are not for attributes alone
        self._more_than_stat = 0  # opens that are not for attributes and the security descriptor alone
        self.caching = FileCaching()
        self._waiting: Mapping[Waiter[None], Callable[[], Holder | None]] = NOTHING
        self._waiting_for_handles = 0  # how many of those are in the way of handles

    # --- opening and closing ---

    def admit(self, access: int, share: int, overwrites: bool, by: Holder | None, now: float) -> int | None:
        """Whether one more open fits: a status, or None if it is to ask again when something `changes`. `by` is the
        lease that it will have, if its client has that by now. STATUS_FILE_DELETED: what was in the way has been
        closed, and the file goes with it (`removing`)."""
        if self.delete_pending:
            return codes.STATUS_DELETE_PENDING
        if self.removing:
            return codes.STATUS_FILE_DELETED
        violation = self.violates(access, share)
        if is_stat_only(access) and not overwrites:
            return codes.STATUS_SHARING_VIOLATION if violation else codes.STATUS_SUCCESS
        if violation:
            event = Event.HANDLE_OVERWRITE if overwrites else Event.HANDLE
        elif overwrites:
            event = Event.OVERWRITE
        else:
            event = Event.READ_SECURITY if is_stat_for_leases(access) else Event.OPEN
        self.caching.take(event, by, now)
        if self.caching.keeps_waiting(event, by):
            return None
        if self.removing:
            return codes.STATUS_FILE_DELETED
        if self.delete_pending:
            return codes.STATUS_DELETE_PENDING  # what was in the way has been closed, and was to go
        violation = self.violates(access, share)
        return codes.STATUS_SHARING_VIOLATION if violation else codes.STATUS_SUCCESS

    def violates(self, access: int, share: int) -> bool:
        """Whether one more open of that kind is kept out by the share modes of those there are."""
        return self._modes & _counted(access & _COUNTS, share & _SHARES)[1] != 0

    def take_handles_back(self, by: Holder | None, now: float) -> bool:
        """Have the clients, but for that of `by`, give handles back that they may keep open for no program. Whether
        none is left; if not, something `changes` when they are given back."""
        self.caching.take(Event.HANDLE, by, now)
        return not self.caching.keeps_waiting(Event.HANDLE, by)

    def clear_handles(self, mine: Callable[[], Holder | None]) -> Work[None]:
        """Wait until no client but that of `mine` keeps it open for no program. The open that asks may be gone by then,
        and this may be the last that is wanted of the file."""
        while not self.take_handles_back(mine(), self.files.scheduler.now):
            yield from self.changes(mine, for_handles=True)
            self.tidy()

    @property
    def timers(self) -> Timers:
        """The Server's timers."""
        return self.files.scheduler.timers

    def close(self, open_: Open) -> None:
        """Close an open of it that was preserved, and is in the way."""
        self.files.service.close_open(open_, Reason.GAVE_WAY)

    def report_oplock(self, open_: Open, oplock: str, *, breaking: bool) -> None:
        """Tell the domain by its name of the oplock that an open has now."""
        self.files.service.set_oplock(open_, oplock, breaking=breaking)

    def report_lease(self, opened: LeasedOpen, lease: Lease) -> None:
        """Tell the domain what an open's lease lets its client do now. One that nobody could reclaim is closed."""
        rights, breaking = rights_name(lease.caching.rights), lease.caching.breaking
        self.files.service.set_lease(opened.open, rights, lease.key, breaking=breaking)
        if opened.open.preserved and not opened.open.reclaimable:
            self.close(opened.open)

    def changes(
        self, mine: Callable[[], Holder | None], *, for_handles: bool = False, for_disk: bool = False
    ) -> Work[None]:
        """Wait until an oplock or a lease has been given back or an open is gone. `mine` is what the caller itself
        holds, which is not in its way; `for_handles`: others' handles are, and nobody gets new ones meanwhile;
        `for_disk`: it is a matter of moments. Then the state is the caller's to `tidy`."""
        waiter: Waiter[None] = Waiter()
        self._waiting = with_one(self._waiting, waiter, mine)
        self._waiting_for_handles += for_handles
        try:
            yield Wait(waiter, deferred=for_disk)
        except BaseException:
            self._waits_no_more(waiter, for_handles)
            self.tidy()
            raise
        self._waits_no_more(waiter, for_handles)

    def gone(self) -> Work[None]:
        """Wait until the closes that take the file away have come to their end. Then the state is the caller's to
        `tidy`."""
        while self.removing:
            yield from self.changes(lambda: None, for_disk=True)

    def _waits_no_more(self, waiter: Waiter[None], for_handles: bool) -> None:
        self._waiting = without(self._waiting, waiter)
        self._waiting_for_handles -= for_handles

    def wake(self, now: float) -> None:
        """Something has changed that those may wait for who were not admitted. They stay in `_waiting`, and the state
        in the table, until each has looked again. Whoever would certainly go on waiting is left alone."""
        awaited = [] if self.delete_pending or self.removing else self.caching.awaited()
        if len(awaited) == 1 and awaited[0].is_lease:
            for waiter, mine in list(self._waiting.items()):
                if mine() is awaited[0]:
                    waiter.wake(None)
        elif not awaited:
            for waiter in list(self._waiting):
                waiter.wake(None)
        self.tidy()

    def enter(self, file_open: FileOpen) -> None:
        """It is open."""
        self.opens = with_one(self.opens, file_open, None)
        self._modes += _counted(file_open.access & _COUNTS, file_open.share_access & _SHARES)[0]
        self._with_contents += not is_stat_only(file_open.access)
        self._more_than_stat += file_open.more_than_stat
        self.files.create_guids.put(file_open)
        self.files.entered(file_open)

    def grant(self, file_open: FileOpen, level: int) -> int:
        """The level of the oplock that an open gets of the one it wants (MS-FSA 2.1.5.18.1)."""
        oplock = file_open.oplock
        # Who waits to open it would have to wait once more.
        others_open = self._with_contents > (not is_stat_only(file_open.access)) or bool(self._waiting)
        rights = self.caching.grantable(
            rights_of(level), oplock, others_open=others_open, ranges_locked=bool(self.locks)
        )
        if rights:
            oplock.grant(rights)
        return oplock.level

    def join_lease(self, file_open: FileOpen, request: LeaseRequest, connection: HandlerConnection) -> None:
        """The lease that an open asks for is that of the client's opens of this file by this key, if there is one; or
        it is a new one. It has none where the key is in use for another file, or there is no room for one more."""
        leases = self.files.leases
        lease = leases.find(request.client, request.key)
        if lease is None:
            name = lease_name(file_open.root, file_open.path)
            of, directory = file_open.handle_of, file_open.directory
            lease = leases.begin(request, self, name, connection, of, directory=directory)
        if lease is not None and lease.state is self:
            lease.join(file_open)

    def grant_lease(self, file_open: FileOpen, request: LeaseRequest) -> CreateContext:
        """Have its lease promoted to what it asks for, as far as that can be; the context that says so."""
        lease = file_open.lease
        if lease is None:
            return request.answer(NONE)
        wanted = request.wanted & ~H if self.delete_pending or self._waiting_for_handles else request.wanted
        lease.ask(
            wanted,
            others_open=self._more_than_stat > lease.with_contents or bool(self._waiting),
            ranges_locked=bool(self.locks),
        )
        return lease.answer()

    def leave(self, file_open: FileOpen, now: float) -> bool:
        """It is closed. Whether the file is to go now: it was the last one, and the file is to be deleted."""
        self.opens = without(self.opens, file_open)
        self._modes -= _counted(file_open.access & _COUNTS, file_open.share_access & _SHARES)[0]
        self._with_contents -= not is_stat_only(file_open.access)
        self._more_than_stat -= file_open.more_than_stat
        self.files.create_guids.drop(file_open)
        self.files.left(file_open)
        file_open.release_oplock()
        lease = file_open.lease
        if lease is not None:
            lease.part(file_open)
        if file_open.delete_on_close and not file_open.by_link:
            self.set_delete_pending(file_open, now)
            # Nobody waits here: who keeps the file open for no program would have it stay.
            self.caching.take(Event.HANDLE, lease, now)
        for each in [each for each in self.waiting_locks if each.owner is file_open]:
            self.waiting_locks = without(self.waiting_locks, each)
        if self.locks.release(file_open):
            self.retry_locks(now)
        if file_open.by_link:
            return file_open.delete_on_close or file_open.link_going
        # A file may have several names, and each goes with its own last open. Who came by a symbolic link has another.
        name = self._name_of(file_open) if self.going else None
        deletes = name in self.going and not any(self._name_of(each) == name for each in self.opens if not each.by_link)
        if deletes and name is not None:
            self.going -= {name}
        self.removing += deletes
        self.files.removing += deletes
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
        self.going -= {self._name_of(file_open)}

    def follow(self, names: dict[Name, Name]) -> None:
        """Names of it are others now; not all of its opens are known by these yet."""
        self.following = {**self.following, **names}
        if self.going:
            self.going = frozenset(names.get(each, each) for each in self.going)

    def follow_no_more(self, names: dict[Name, Name]) -> None:
        """They are, as far as they are still open."""
        for each in names:
            self.following = without(self.following, each)

    def _name_of(self, file_open: FileOpen) -> Name:
        """What tells one name of the file from another. One of a single name may be open by several paths all the
        same."""
        if not file_open.hard_linked:
            return "", ()
        name = file_open.root, folded(file_open.path)
        return self.following.get(name, name)

    def set_delete_pending(self, file_open: FileOpen, now: float) -> None:
        """The name that is open by this goes with its last open; whoever watches it hears no more (MS-FSA 2.1.5.15.3).
        Every way into delete-pending leads through here: a client that waits for the end of its watch before it closes
        would keep the directory for ever."""
        before = self.delete_pending
        self.going |= {self._name_of(file_open)}
        for each in [] if before else list(self.opens):
            each.end_watch(codes.STATUS_DELETE_PENDING, now)

    def removed(self) -> None:
        """A close that was to delete the file has come to its end: who waited for that waits for no handles of others,
        which may have it open by another name."""
        self.removing -= 1
        self.files.removing -= 1
        self.files.removed += 1
        for waiter in list(self._waiting):
            waiter.wake(None)
        self.tidy()

    def tidy(self) -> None:
        """Forget it if nothing of it is open, no CREATE waits to open it, and nothing is under way for those before."""
        if not (self.opens or self._waiting or self.removing or self.late):
            self.files.forget(self)

    # --- contents ---

    def with_allocation(self, stat: FileStat) -> FileStat:
        """What is known of the file, with the room that was asked for. The disk gives it when it is written to."""
        if stat.directory or stat.allocation >= self.allocation:
            return stat
        return replace(stat, allocation=self.allocation)

    def changed(self, by: Holder, now: float) -> None:
        """Its contents change, or are locked, through an open that `by` belongs to: what others have cached is no
        longer right. A level II oplock is broken of that open too (MS-FSA 2.1.4.12), as it has no key by which it would
        be spared."""
        self.caching.take(Event.CHANGE, by if by.is_lease else None, now)

    def own_locks(self) -> Locks:
        """The same, for somebody who is about to lock a range: most files have none, and no object for them."""
        if self.locks is self.files.no_locks:
            self.locks = Locks(self.files.locks)
        return self.locks

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
            if not self.locks.is_free(each.owner, each.offset, each.length, each.exclusive):
                continue
            self.waiting_locks = without(self.waiting_locks, each)
            if self.locks.is_full(each.owner):
                # Nobody could say when there will be room.
                each.waiter.wake(codes.STATUS_INSUFFICIENT_RESOURCES)
                continue
            self.own_locks().lock(each.owner, each.offset, each.length, each.exclusive)
            each.owner.count_locks()
            each.waiter.wake(codes.STATUS_SUCCESS)


class Files:
    """All of it, of all shares."""

    def __init__(self, scheduler: Scheduler, service: ServerService, limits: ResourceLimits) -> None:
        self.scheduler = scheduler
        self.service = service
        self.ends = Ends(service, scheduler)
        self.watches = Watches(service.portions)
        self.leases = Leases(scheduler, limits, service.portions)
        self.locks = service.portions.new("byte-range locks", locks.most)
        self.no_locks = Locks(self.locks)  # those of all files that have none
        self.handles = Handles(service.settings, service.portions)
        self.moving = Moving()
        self.create_guids = CreateGuids[FileOpen]()
        self.creating: set[tuple[bytes, bytes]] = set()  # the GUIDs of clients and CREATEs that are under way
        self.removing = 0  # closes under way that take a name away, of all files
        self.removed = 0  # those that have come to their end
        # Files that have been renamed and whose opens have not all followed: what has one of these do so.
        self.followers: dict[FileState, list[Callable[[FileOpen], None]]] = {}
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

    def changed(self, by: FileOpen, path: Path, action: int, what: int, now: float) -> None:
        """A name below the folder of an open's share has changed through that (FILE_ACTION_…), or what there is to tell
        of it: the bits `what` of the completion filter. Who watches is told, and who caches the listing it is in."""
        self.watches.changed(by.root, path, action, what, now)
        if path:
            self.leases.listing_changed(by.root, path[:-1], by, now)

    def entered(self, file_open: FileOpen) -> None:
        """Something is open by its path."""
        self._names.setdefault(file_open.root, _Name()).put(folded(file_open.path), file_open)

    def left(self, file_open: FileOpen) -> None:
        """It is so no more."""
        top = self._names[file_open.root]
        top.take(folded(file_open.path), file_open)
        if not top.count:
            del self._names[file_open.root]

    def catch_up(self, file_open: FileOpen) -> None:
        """Something is about to be told of it by its path: if that is of before a rename, it follows now."""
        for follow in self.followers.get(file_open.state, ()) if self.followers else ():
            follow(file_open)

    def moved(self, file_open: FileOpen, path: Path) -> None:
        """It has been renamed."""
        self.left(file_open)
        file_open.path = path
        self.entered(file_open)

    def has_open_below(self, root: str, path: Path) -> bool:
        """Whether anything is open in the directory `path` of the folder `root`, at any depth and through any share."""
        if any(found.count > len(found.opens) for found in self._names_at(root, path)):
            return True
        return any(True for _ in self._folders_below(root, path))

    def cached_below(self, root: str, path: Path) -> list[FileState]:
        """Files in the directory `path`, at any depth, that clients may keep open for no program (batch oplocks and
        leases with H). Of very many names the first are looked at."""
        names = deque(name for found in self._names_at(root, path) for name in found.below.values())
        names.extend(self._folders_below(root, path))
        states: dict[FileState, None] = {}
        for _ in range(_NAMES_LOOKED_AT):
            if not names:
                break
            name = names.popleft()
            names.extend(name.below.values())
            states.update(dict.fromkeys(map(attrgetter("state"), name.opens)))
        return [each for each in states if each.caching.keeps_handles]

    def at(self, root: str, path: Path) -> list[FileOpen]:
        """What is open by exactly that path, or by that of another share to the same place."""
        return list(chain.from_iterable(found.opens for found in self._names_at(root, path)))

    def names_at(self, root: str, old: Path, new: Path) -> dict[Name, Name]:
        """The names of that place, by the folders of all shares that have something open, each with what it is after
        a rename, as far as that is still in the same folder."""
        names: dict[Name, Name] = {}
        for folder in self._names:
            before, after = path_below(folder, root, old), path_below(folder, root, new)
            if before is not None and after is not None:
                names[folder, folded(before)] = folder, folded(after)
        return names

    def _names_at(self, root: str, path: Path) -> Iterator[_Name]:
        """The name `path` of the folder `root`, and the same place below the folders of other shares."""
        if (found := _descend(self._names.get(root), folded(path))) is not None:
            yield found
        for other, place in self._other_folders(root, path):
            above = place_of(other, ())
            if place == above:
                yield self._names[other]
            elif place.startswith(f"{above}/"):
                parts = place.removeprefix(f"{above}/").split("/")
                if (found := _descend(self._names[other], parts)) is not None:
                    yield found

    def _folders_below(self, root: str, path: Path) -> Iterator[_Name]:
        """The folders of other shares in the directory `path` of the folder `root` that have something open."""
        for other, place in self._other_folders(root, path):
            if place_of(other, ()).startswith(f"{place}/"):
                yield self._names[other]

    def _other_folders(self, root: str, path: Path) -> Iterator[tuple[str, str]]:
        """The folders of other shares that have something open, each with the place of that name."""
        if self._names.keys() - {root}:
            place = place_of(root, path)
            for other in self._names:
                if other != root:
                    yield other, place

    def is_going(self, root: str, path: Path) -> bool:
        """Whether a file of that name is to be deleted."""
        states = set(map(attrgetter("state"), self.at(root, path)))
        return any(each.delete_pending or each.removing for each in states)


@dataclass(slots=True)
class _Name:
    """A name below a share's folder by which something is open, or of a directory with such a name in it.

    `count` is how many opens there are here and below.
    """

    opens: Mapping[FileOpen, None] = field(default_factory=lambda: NOTHING)
    below: Mapping[str, _Name] = field(default_factory=lambda: NOTHING)
    count: int = 0

    def put(self, path: Path, file_open: FileOpen) -> None:
        """Something is open by that path below this name."""
        name = self
        name.count += 1
        for part in path:
            following = name.below.get(part)
            if following is None:
                following = _Name()
                name.below = with_one(name.below, part, following)
            name = following
            name.count += 1
        name.opens = with_one(name.opens, file_open, None)

    def take(self, path: Path, file_open: FileOpen) -> None:
        """It is open by that path no more."""
        name = self
        name.count -= 1
        for part in path:
            following = name.below[part]
            following.count -= 1
            if not following.count:
                name.below = without(name.below, part)  # and all that is below it, which is this path alone
                return
            name = following
        name.opens = without(name.opens, file_open)


def _descend(top: _Name | None, path: Sequence[str]) -> _Name | None:
    """The name that a folded path leads to below another."""
    for part in path:
        if top is None:
            return None
        top = top.below.get(part)
    return top
