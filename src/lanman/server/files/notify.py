"""CHANGE_NOTIFY (MS-SMB2 3.3.5.19, MS-FSCC 2.7.1): what clients do to a directory that one of them watches.

What is changed behind the Server's back is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lanman import codes
from lanman.fscc.notify import CHANGE_ALIGNMENT, FILE_ACTION_RENAMED_OLD_NAME, FileNotifyInformation
from lanman.names import fold
from lanman.server.disk_effects import Path
from lanman.server.effects import Reply, Wait, Waiter, Work
from lanman.smb2.messages import ChangeNotifyRequest, ChangeNotifyResponse
from lanman.wire import pack_chain

# MS-SMB2 2.2.35
FILE_NOTIFY_CHANGE_FILE_NAME: Final = 0x001
FILE_NOTIFY_CHANGE_DIR_NAME: Final = 0x002
FILE_NOTIFY_CHANGE_ATTRIBUTES: Final = 0x004
FILE_NOTIFY_CHANGE_SIZE: Final = 0x008
FILE_NOTIFY_CHANGE_LAST_WRITE: Final = 0x010
FILE_NOTIFY_CHANGE_LAST_ACCESS: Final = 0x020
FILE_NOTIFY_CHANGE_CREATION: Final = 0x040
FILE_NOTIFY_CHANGE_SECURITY: Final = 0x100

# What is kept for a client that is not asking just now, in bytes of its answer: for one open, and for all together.
# If more has changed it is told to look for itself.
MAX_KEPT: Final = 64 * 1024
MAX_KEPT_IN_ALL: Final = 16 * 1024 * 1024

# Requests that may wait on one open.
MAX_WAITING: Final = 512

# What a change takes beside its name.
_ENTRY: Final = 12


def names_change(directory: bool) -> int:
    """The filter that a name which comes or goes belongs to."""
    return FILE_NOTIFY_CHANGE_DIR_NAME if directory else FILE_NOTIFY_CHANGE_FILE_NAME


class Watch:
    """What one open directory watches. The first request says what for; changes are kept between requests."""

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
        """A CHANGE_NOTIFY that takes up to `length` bytes of changes."""
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
        """Something has happened."""
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
        """Count what is kept. Whether there is room for it."""
        if self.watches is not None:
            if self.watches.kept + size > MAX_KEPT_IN_ALL:
                return False
            self.watches.kept += size
        self._kept += size
        return True

    def drop(self) -> None:
        """Keep nothing any more."""
        self._changes = []
        if self.watches is not None:
            self.watches.kept -= self._kept
        self._kept = 0

    def end(self, status: int, now: float) -> None:
        """Whoever waits hears that there is nothing more to wait for."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.wake(Reply(status))

    def _answer(self, length: int) -> Reply:
        data = pack_chain((FileNotifyInformation(*change) for change in self._changes), CHANGE_ALIGNMENT)
        overflow = self._overflow or len(data) > min(length, self._size)
        self._overflow = False
        self.drop()
        if overflow:
            # 3.3.4.4: too much has changed to be told; the client is to list the directory.
            return Reply(codes.STATUS_NOTIFY_ENUM_DIR, ChangeNotifyResponse())
        return Reply(message=ChangeNotifyResponse(data))


@dataclass(slots=True)
class _Folder:
    """A directory that is watched, or above one that is."""

    watches: dict[Watch, None] = field(default_factory=dict)
    below: dict[str, _Folder] = field(default_factory=dict)


class Watches:
    """All watches of the Server, by the directory that they are on: a change looks at those on its own way alone."""

    def __init__(self) -> None:
        self.kept = 0
        self._roots: dict[str, _Folder] = {}

    def add(self, watch: Watch) -> None:
        """A directory is watched from now on."""
        self._put(watch)
        watch.watches = self

    def moved(self, watch: Watch, path: Path) -> None:
        """The directory that is watched has another path now."""
        self._take(watch)
        watch.path = tuple(map(fold, path))
        self._put(watch)

    def remove(self, watch: Watch) -> None:
        """It is watched no more."""
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
        # Folders that nothing is watched in any more are forgotten, from the lowest up.
        for name in reversed(watch.path):
            folder = way.pop()
            if folder.watches or folder.below:
                return
            del way[-1].below[name]
        if not (way[0].watches or way[0].below):
            del self._roots[watch.root]

    def changed(self, root: str, path: Path, action: int, what: int, now: float) -> None:
        """`path` below the folder `root` has changed, in a way that the bits of `what` stand for."""
        folder = self._roots.get(root)
        for depth, name in enumerate(path):
            if folder is None:
                return
            for watch in list(folder.watches):
                if watch.filter & what and (watch.tree or depth == len(path) - 1):
                    watch.add(action, "\\".join(path[depth:]), now)
            folder = folder.below.get(fold(name))
