"""CHANGE_NOTIFY (MS-SMB2 3.3.5.19, MS-FSCC 2.7.1): tell clients of changes in directories that they watch.

Only changes that clients make through the Server are seen; those by other programs on the disk are not. Between two
requests changes are kept, up to MAX_KEPT for each open and MAX_KEPT_IN_ALL for the Server; beyond that the client is
told to list the directory (STATUS_NOTIFY_ENUM_DIR).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lanman import codes
from lanman.fscc.notify import CHANGE_ALIGNMENT, FILE_ACTION_RENAMED_OLD_NAME, FileNotifyInformation
from lanman.names import fold
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
    """The watch of one open directory. Its first request sets the filter; changes are kept between requests."""

    def __init__(self, root: str, path: Path, message: ChangeNotifyRequest, tree: bool) -> None:
        self.root = root
        self.path = tuple(map(fold, path))
        self.filter = message.completion_filter
        self.tree = tree
        self._size = message.output_buffer_length  # the first request's, as on Windows (notify.valid-req)
        self.watches: Watches | None = None
        self._changes: list[tuple[int, str]] = []
        self._kept = 0
        self._overflow = False
        self._waiting: dict[Waiter[Reply], int] = {}  # in their order; how many bytes of changes each takes

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
        if self.watches is not None:
            if self.watches.kept + size > MAX_KEPT_IN_ALL:
                return False
            self.watches.kept += size
        self._kept += size
        return True

    def drop(self) -> None:
        """Drop all changes that are kept."""
        self._changes = []
        if self.watches is not None:
            self.watches.kept -= self._kept
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

    def __init__(self) -> None:
        self.kept = 0
        self._roots: dict[str, _Folder] = {}

    def add(self, watch: Watch) -> None:
        """Watch a directory from now on."""
        self._put(watch)
        watch.watches = self

    def moved(self, watch: Watch, path: Path) -> None:
        """Follow a directory to its new path."""
        self._take(watch)
        watch.path = tuple(map(fold, path))
        self._put(watch)

    def remove(self, watch: Watch) -> None:
        """Watch a directory no more."""
        watch.drop()
        watch.watches = None
        self._take(watch)

    def _put(self, watch: Watch) -> None:
        folder = self._roots.setdefault(watch.root, _Folder())
        for name in watch.path:
            folder = folder.below.setdefault(name, _Folder())
        folder.watches[watch] = None

    def _take(self, watch: Watch) -> None:
        way = [self._roots[watch.root]]
        for name in watch.path:
            way.append(way[-1].below[name])
        del way[-1].watches[watch]
        # Remove folders without watches, from the lowest up.
        for name in reversed(watch.path):
            folder = way.pop()
            if folder.watches or folder.below:
                return
            del way[-1].below[name]
        if not (way[0].watches or way[0].below):
            del self._roots[watch.root]

    def changed(self, root: str, path: Path, action: int, what: int, now: float) -> None:
        """Tell the watches that `path` below `root` has changed; `what` has the bits of the completion filter."""
        folder = self._roots.get(root)
        for depth, name in enumerate(path):
            if folder is None:
                return
            for watch in list(folder.watches):
                if watch.filter & what and (watch.tree or depth == len(path) - 1):
                    watch.add(action, "\\".join(path[depth:]), now)
            folder = folder.below.get(fold(name))
