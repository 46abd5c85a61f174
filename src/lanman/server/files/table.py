"""What is open on all shares of the Server, by file: where those who do not know of each other meet.

A file is what the disk says it is (`FileStat.identity`), whatever name it was opened by. Its state exists as long as
something of it is open, or its name is about to go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.server.disk_effects import Path, fold_name
from lanman.server.files.access import READING, WRITING, is_stat_only
from lanman.server.files.locks import Lock, Locks
from lanman.server.files.notify import Watches
from lanman.smb2.constants import (
    DELETE,
    FILE_SHARE_DELETE,
    FILE_SHARE_READ,
    FILE_SHARE_WRITE,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
)

if TYPE_CHECKING:
    from lanman.server.dispatch import ServerDispatch
    from lanman.server.files.open import DiskOpen

_SHARED: Final = ((READING, FILE_SHARE_READ), (WRITING, FILE_SHARE_WRITE), (DELETE, FILE_SHARE_DELETE))
_COUNTS: Final = READING | WRITING | DELETE


def shares_conflict(access: int, share: int, other_access: int, other_share: int) -> bool:
    """Whether two opens cannot be at once (MS-FSA 2.1.5.1.2.2). Opens that only ask for attributes always can."""
    if not access & _COUNTS or not other_access & _COUNTS:
        return False
    return any(
        (access & rights and not other_share & allowed) or (other_access & rights and not share & allowed)
        for rights, allowed in _SHARED
    )


class WaitingLock:
    """A LOCK request that waits for a range."""

    __slots__ = ("exclusive", "granted", "length", "offset", "owner")

    def __init__(
        self, owner: DiskOpen, offset: int, length: int, exclusive: bool, granted: Callable[[Lock, float], None]
    ) -> None:
        self.owner = owner
        self.offset = offset
        self.length = length
        self.exclusive = exclusive
        self.granted = granted


class FileState:
    """One file of which something is open."""

    def __init__(self, files: Files, identity: tuple[int, int]) -> None:
        self.files = files
        self.identity = identity
        self.opens: list[DiskOpen] = []
        self.delete_pending = False
        self.removing = 0  # closes under way that take the name away
        self.locks = Locks()
        self.waiting_locks: list[WaitingLock] = []
        self._waiting: list[Callable[[float], None]] = []

    # --- opening and closing ---

    def admit(self, access: int, share: int, overwrites: bool, now: float) -> int | None:
        """Whether one more open fits: a status, or None if it is to ask again when it is woken (`wait`)."""
        if self.delete_pending or self.removing:
            return codes.STATUS_DELETE_PENDING
        violation = any(shares_conflict(access, share, each.access, each.share_access) for each in self.opens)
        if is_stat_only(access) and not overwrites:
            return codes.STATUS_SHARING_VIOLATION if violation else codes.STATUS_SUCCESS
        level = SMB2_OPLOCK_LEVEL_NONE if overwrites else SMB2_OPLOCK_LEVEL_II
        must_wait = False
        for each in list(self.opens):
            oplock = each.oplock
            if oplock.level == SMB2_OPLOCK_LEVEL_BATCH or (oplock.excludes and not violation):
                oplock.break_to(level, now)
                must_wait = True
            elif oplock.level == SMB2_OPLOCK_LEVEL_II and overwrites and not violation:
                oplock.break_to(SMB2_OPLOCK_LEVEL_NONE, now)
        if must_wait:
            return None
        return codes.STATUS_SHARING_VIOLATION if violation else codes.STATUS_SUCCESS

    def wait(self, again: Callable[[float], None]) -> Callable[[], None]:
        """Call it when an oplock has been given back or an open is gone; the result takes that back."""
        self._waiting.append(again)

        def forget() -> None:
            if again in self._waiting:
                self._waiting.remove(again)
            self.tidy()

        return forget

    def wake(self, now: float) -> None:
        """Something has changed that those may wait for who were not admitted."""
        waiting, self._waiting = self._waiting, []
        for again in waiting:
            again(now)
        self.tidy()

    def enter(self, wire_open: DiskOpen) -> None:
        """It is open."""
        self.opens.append(wire_open)

    def grant(self, wire_open: DiskOpen, wanted: int) -> int:
        """The oplock that an open gets of the one it wants (MS-FSA 2.1.5.18.1)."""
        if wanted not in (SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_BATCH):
            return SMB2_OPLOCK_LEVEL_NONE
        others = any(each is not wire_open and not is_stat_only(each.access) for each in self.opens)
        level = SMB2_OPLOCK_LEVEL_II if others else wanted
        if level == SMB2_OPLOCK_LEVEL_II and self.locks:
            level = SMB2_OPLOCK_LEVEL_NONE
        wire_open.oplock.level = level
        return level

    def leave(self, wire_open: DiskOpen, now: float) -> bool:
        """It is closed. Whether the file is to go now: it was the last one, and the file is to be deleted."""
        self.opens.remove(wire_open)
        wire_open.oplock.release()
        if wire_open.delete_on_close:
            self.delete_pending = True
        self.waiting_locks = [each for each in self.waiting_locks if each.owner is not wire_open]
        if self.locks.release(wire_open):
            self.retry_locks(now)
        deletes = self.delete_pending and not self.opens
        self.removing += deletes
        return deletes

    def removed(self, now: float) -> None:
        """A close that was to delete the file has come to its end."""
        self.removing -= 1
        self.delete_pending = False
        self.wake(now)

    def tidy(self) -> None:
        if not (self.opens or self._waiting or self.removing):
            self.files.forget(self)

    # --- contents ---

    def changed_by(self, wire_open: DiskOpen, now: float) -> None:
        """Its contents change: what others have cached of it is no longer right."""
        if len(self.opens) > 1:
            for each in list(self.opens):
                if each is not wire_open and each.oplock.level == SMB2_OPLOCK_LEVEL_II:
                    each.oplock.break_to(SMB2_OPLOCK_LEVEL_NONE, now)

    def retry_locks(self, now: float) -> None:
        """A range is free again: whoever waits for it has it now, first come first served."""
        for each in list(self.waiting_locks):
            granted = self.locks.lock(each.owner, each.offset, each.length, each.exclusive)
            if granted is not None:
                self.waiting_locks.remove(each)
                each.granted(granted, now)


class Files:
    """All of it, of all shares."""

    def __init__(self, server: ServerDispatch) -> None:
        self.server = server
        self.watches = Watches()
        self._states: dict[tuple[int, int], FileState] = {}

    def state(self, identity: tuple[int, int]) -> FileState:
        """The state of a file, whether or not it has one yet."""
        state = self._states.get(identity)
        if state is None:
            state = self._states[identity] = FileState(self, identity)
        return state

    def forget(self, state: FileState) -> None:
        if self._states.get(state.identity) is state:
            del self._states[state.identity]

    def find(self, identity: tuple[int, int]) -> FileState | None:
        return self._states.get(identity)

    def below(self, root: str, path: Path) -> list[DiskOpen]:
        """What is open in the directory `path` of the folder `root`, at any depth."""
        wanted = [fold_name(name) for name in path]
        depth = len(wanted)
        return [
            each
            for state in self._states.values()
            for each in state.opens
            if each.root == root and len(each.path) > depth and [fold_name(n) for n in each.path[:depth]] == wanted
        ]

    def at(self, root: str, path: Path) -> list[DiskOpen]:
        """What is open by exactly that path."""
        wanted = [fold_name(name) for name in path]
        return [
            each
            for state in self._states.values()
            for each in state.opens
            if each.root == root and len(each.path) == len(wanted) and [fold_name(n) for n in each.path] == wanted
        ]

    def end_watches(self, root: str, path: Path, now: float) -> None:
        """A directory is to be deleted: who watches it hears no more (MS-FSA 2.1.5.15.3)."""
        self.watches.end(root, path, codes.STATUS_DELETE_PENDING, now)

    def is_going(self, root: str, path: Path) -> bool:
        """Whether a file of that name is to be deleted."""
        wanted = [fold_name(name) for name in path]
        return any(
            (state.delete_pending or state.removing)
            and any(each.root == root and [fold_name(name) for name in each.path] == wanted for each in state.opens)
            for state in self._states.values()
        )
