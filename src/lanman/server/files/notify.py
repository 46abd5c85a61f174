"""CHANGE_NOTIFY (MS-SMB2 3.3.5.19, MS-FSCC 2.7.1): tell clients of changes in directories that they watch.

Only changes that clients make through the Server are seen, through whichever share; those by other programs on the disk
are not. A place on the disk is known by its names from the root down, caseless as everywhere; the folder of a share is
one with this spelling alone, so that nobody hears of another folder that differs by case. Between two
requests changes are kept, up to MAX_KEPT for each open and MAX_KEPT_IN_ALL for the Server, a part of it for each user;
beyond that the client is told to list the directory (STATUS_NOTIFY_ENUM_DIR).
"""

from __future__ import annotations

from dataclasses import field
from typing import Final

from lanman import codes
from lanman.domain import Portions
from lanman.fscc.notify import CHANGE_ALIGNMENT, FILE_ACTION_RENAMED_OLD_NAME, FileNotifyInformation
from lanman.names import fold
from lanman.plain import dataclass
from lanman.server.disk_effects import Path
from lanman.server.effects import Reply, Wait, Waiter, Work
from lanman.smb2.constants import FILE_NOTIFY_CHANGE_DIR_NAME, FILE_NOTIFY_CHANGE_FILE_NAME
from lanman.smb2.messages import ChangeNotifyRequest, ChangeNotifyResponse
from lanman.wire import pack_chain

# Changes that are kept while no request waits, in bytes of the answer: for one open, and for all together.
MAX_KEPT: Final = 64 * 1024
MAX_KEPT_IN_ALL: Final = 16 * 1024 * 1024

# Requests that may wait on one open.
MAX_WAITING: Final = 512

# The bytes of a FILE_NOTIFY_INFORMATION before its name.
_ENTRY: Final = 12


def names_change(directory: bool) -> int:
    """The bit of the completion filter for a name that is added or removed."""
    return FILE_NOTIFY_CHANGE_DIR_NAME if directory else FILE_NOTIFY_CHANGE_FILE_NAME


class Watch:
    """The watch of one open directory, of the user `of`. Its first request sets the filter; changes are kept between
    requests."""

    def __init__(self, root: str, path: Path, message: ChangeNotifyRequest, tree: bool, of: str) -> None:
        self.of = of
        self.root = root
        self.path = path
        self._share = _names(root, ())
        self.filter = message.completion_filter
        self.tree = tree
        self._size = message.output_buffer_length  # the first request's, as on Windows (notify.valid-req)
        self.watches: Watches | None = None
        self._changes: list[tuple[int, str]] = []
        self._kept = 0
        self._overflow = False
        self._waiting: dict[Waiter[Reply], int] = {}  # in their order; how many bytes of changes each takes

    def sees(self, root: str, names: list[str]) -> bool:
        """Whether the folder of its share has the place `names`, of a change through a share of the folder `root`."""
        return self.root == root or names[: len(self._share)] == self._share

    def request(self, length: int) -> Work[Reply]:
        """Answer a CHANGE_NOTIFY with up to `length` bytes of changes, at once or when there are any."""
        if self._changes or self._overflow:
            return self._answer(length)
        if len(self._waiting) >= MAX_WAITING:
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        waiter: Waiter[Reply] = Waiter()
        self._waiting[waiter] = length
        try:
            reply: Reply = yield Wait(waiter)
        finally:
            self._waiting.pop(waiter, None)
        return reply

    def add(self, action: int, name: str, now: float) -> None:
        """Record a change (FILE_ACTION_…) of a path below the directory, and answer a request that waits."""
        size = _ENTRY + 2 * len(name)
        if not self._overflow and self._kept + size <= MAX_KEPT and self._keep(size):
            self._changes.append((action, name))
        else:
            self._overflow = True
            self.drop()
        if self._waiting and action != FILE_ACTION_RENAMED_OLD_NAME:
            waiter = next(iter(self._waiting))
            waiter.wake(self._answer(self._waiting.pop(waiter)))

    def _keep(self, size: int) -> bool:
        """Count `size` bytes as kept, if there is room for them."""
        if self.watches is not None and not self.watches.portion.take(self.of, size):
            return False
        self._kept += size
        return True

    def drop(self) -> None:
        """Drop all changes that are kept."""
        self._changes = []
        if self.watches is not None:
            self.watches.portion.give_back(self.of, self._kept)
        self._kept = 0

    def end(self, status: int, now: float) -> None:
        """Answer all requests that wait with a status."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.wake(Reply(status))

    def _answer(self, length: int) -> Reply:
        data = pack_chain((FileNotifyInformation(*change) for change in self._changes), CHANGE_ALIGNMENT)
        overflow = self._overflow or len(data) > min(length, self._size)
        self._overflow = False
        self.drop()
        if overflow:
            # 3.3.4.4: there are more changes than fit; the client is to list the directory.
            return Reply(codes.STATUS_NOTIFY_ENUM_DIR, ChangeNotifyResponse())
        return Reply(message=ChangeNotifyResponse(data))


@dataclass(slots=True)
class _Folder:
    """A directory that is watched, or above one that is."""

    watches: dict[Watch, None] = field(default_factory=dict)
    below: dict[str, _Folder] = field(default_factory=dict)


class Watches:
    """All watches of the Server, in a tree of directories: a change visits only those on its own path."""

    def __init__(self, portions: Portions) -> None:
        self.portion = portions.new("bytes of changes in directories", lambda: MAX_KEPT_IN_ALL)
        self._top = _Folder()

    @property
    def kept(self) -> int:
        """Bytes of changes that are kept."""
        return self.portion.taken

    def add(self, watch: Watch) -> None:
        """Watch a directory from now on."""
        self._put(watch)
        watch.watches = self

    def moved(self, watch: Watch, path: Path) -> None:
        """Follow a directory to its new path."""
        self._take(watch)
        watch.path = path
        self._put(watch)

    def remove(self, watch: Watch) -> None:
        """Watch a directory no more."""
        watch.drop()
        watch.watches = None
        self._take(watch)

    def _put(self, watch: Watch) -> None:
        folder = self._top
        for name in _names(watch.root, watch.path):
            folder = folder.below.setdefault(fold(name), _Folder())
        folder.watches[watch] = None

    def _take(self, watch: Watch) -> None:
        way = [self._top]
        names = [fold(name) for name in _names(watch.root, watch.path)]
        for name in names:
            way.append(way[-1].below[name])
        del way[-1].watches[watch]
        # Remove folders without watches, from the lowest up.
        for name in reversed(names):
            folder = way.pop()
            if folder.watches or folder.below:
                return
            del way[-1].below[name]

    def changed(self, root: str, path: Path, action: int, what: int, now: float) -> None:
        """Tell the watches that `path` below `root` has changed; `what` has the bits of the completion filter."""
        folder: _Folder | None = self._top
        if not self._top.below and not self._top.watches:
            return
        names = _names(root, path)
        for depth, name in enumerate(names):
            if folder is None:
                return
            for watch in list(folder.watches):
                if watch.filter & what and (watch.tree or depth == len(names) - 1) and watch.sees(root, names):
                    watch.add(action, "\\".join(names[depth:]), now)
            folder = folder.below.get(fold(name))


def _names(root: str, path: Path) -> list[str]:
    """The names from the root of the disk to `path` below the folder of a share."""
    return [*filter(None, root.split("/")), *path]
