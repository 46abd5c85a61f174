"""CHANGE_NOTIFY (MS-SMB2 3.3.5.19, MS-FSCC 2.7.1): what clients do to a directory that one of them watches.

What is changed behind the Server's back is not seen.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from lanman import codes
from lanman.server.disk_effects import Path, fold_name
from lanman.server.effects import Outcome, Park, Reply
from lanman.smb2.messages import ChangeNotifyRequest, ChangeNotifyResponse

# MS-FSCC 2.7.1
FILE_ACTION_ADDED: Final = 1
FILE_ACTION_REMOVED: Final = 2
FILE_ACTION_MODIFIED: Final = 3
FILE_ACTION_RENAMED_OLD_NAME: Final = 4
FILE_ACTION_RENAMED_NEW_NAME: Final = 5

# MS-SMB2 2.2.35
FILE_NOTIFY_CHANGE_FILE_NAME: Final = 0x001
FILE_NOTIFY_CHANGE_DIR_NAME: Final = 0x002
FILE_NOTIFY_CHANGE_ATTRIBUTES: Final = 0x004
FILE_NOTIFY_CHANGE_SIZE: Final = 0x008
FILE_NOTIFY_CHANGE_LAST_WRITE: Final = 0x010
FILE_NOTIFY_CHANGE_LAST_ACCESS: Final = 0x020
FILE_NOTIFY_CHANGE_CREATION: Final = 0x040
FILE_NOTIFY_CHANGE_SECURITY: Final = 0x100

# Changes that are kept for a client that is not asking just now. More, and it is told to look for itself.
MOST_KEPT: Final = 1000

_HEAD: Final = struct.Struct("<III")


def names_change(directory: bool) -> int:
    """The filter that a name which comes or goes belongs to."""
    return FILE_NOTIFY_CHANGE_DIR_NAME if directory else FILE_NOTIFY_CHANGE_FILE_NAME


class Watch:
    """What one open directory watches. The first request says what for; changes are kept between requests."""

    def __init__(self, root: str, path: Path, message: ChangeNotifyRequest, tree: bool) -> None:
        self.root = root
        self.path = tuple(map(fold_name, path))
        self.filter = message.completion_filter
        self.tree = tree
        self._size = (
            message.output_buffer_length
        )  # the first request's is the watch's, as on Windows (notify.valid-req)
        self._changes: list[tuple[int, str]] = []
        self._overflow = False
        self._waiting: deque[tuple[int, Callable[[Outcome, float], None]]] = deque()

    def request(self, length: int) -> Outcome:
        """A CHANGE_NOTIFY that takes up to `length` octets of changes."""
        if self._changes or self._overflow:
            return self._answer(length)
        entry: list[tuple[int, Callable[[Outcome, float], None]]] = []

        def start(resume: Callable[[Outcome, float], None]) -> None:
            entry.append((length, resume))
            self._waiting.append(entry[0])

        def cancel() -> None:
            if entry and entry[0] in self._waiting:
                self._waiting.remove(entry[0])

        return Park(start, cancel)

    def add(self, action: int, name: str, now: float) -> None:
        """Something has happened."""
        if len(self._changes) < MOST_KEPT:
            self._changes.append((action, name))
        else:
            self._overflow = True
        if self._waiting and action != FILE_ACTION_RENAMED_OLD_NAME:
            length, resume = self._waiting.popleft()
            resume(self._answer(length), now)

    def end(self, status: int, now: float) -> None:
        """Whoever waits hears that there is nothing more to wait for."""
        while self._waiting:
            _, resume = self._waiting.popleft()
            resume(Reply(status), now)

    def _answer(self, length: int) -> Reply:
        data = pack_changes(self._changes)
        overflow = self._overflow or len(data) > min(length, self._size)
        self._changes, self._overflow = [], False
        if overflow:
            # 3.3.4.4: too much has changed to be told; the client is to list the directory.
            return Reply(codes.STATUS_NOTIFY_ENUM_DIR, ChangeNotifyResponse())
        return Reply(message=ChangeNotifyResponse(data))


def pack_changes(changes: list[tuple[int, str]]) -> bytes:
    """FILE_NOTIFY_INFORMATION (MS-FSCC 2.7.1), each at a multiple of 4."""
    packed = bytearray()
    for number, (action, name) in enumerate(changes):
        data = name.encode("utf-16-le", "surrogatepass")
        size = _HEAD.size + len(data)
        padding = -size % 4
        following = 0 if number == len(changes) - 1 else size + padding
        packed += _HEAD.pack(following, action, len(data)) + data
        if following:
            packed += bytes(padding)
    return bytes(packed)


class Watches:
    """All watches of the Server."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    def add(self, watch: Watch) -> None:
        self._watches.append(watch)

    def remove(self, watch: Watch) -> None:
        self._watches.remove(watch)

    def changed(self, root: str, path: Path, action: int, what: int, now: float) -> None:
        """`path` below the folder `root` has changed, in a way that the bits of `what` stand for."""
        if not self._watches or not path:
            return
        folded = tuple(map(fold_name, path))
        for watch in list(self._watches):
            depth = len(watch.path)
            if (
                watch.filter & what
                and watch.root == root
                and len(path) > depth
                and (watch.tree or len(path) == depth + 1)
                and folded[:depth] == watch.path
            ):
                watch.add(action, "\\".join(path[depth:]), now)
