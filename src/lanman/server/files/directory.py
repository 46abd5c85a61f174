r"""QUERY_DIRECTORY (MS-SMB2 3.3.5.18): the names in an open directory, in portions, through a pattern.

The rules:

* A directory that is open has one place in its listing, where the next request goes on (`Scan`). One request is under
  way at a time; those that come meanwhile wait for their turn, and the turn passes on whatever ends a request.
* The disk lists in portions. What it has read ahead is kept until it is asked for, but nothing is read ahead for a
  client that asks for one entry at a time: it wants each as it is then.
* `.` and `..` come first, and both are told as the directory itself.
* A pattern is matched in time that its length bounds, whatever the name (`matches`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Final

from lanman import codes
from lanman.fscc.directories import (
    DETAILED_ENTRIES,
    ENTRY_ALIGNMENT,
    FILE_NAMES_INFORMATION,
    FileIdBothDirectoryInformation,
    FileIdFullDirectoryInformation,
    FileNamesInformation,
)
from lanman.names import fold
from lanman.server.disk_effects import NAME_MAX, FileStat, ListDirectory, QueryFile
from lanman.server.effects import Reply, Wait, Waiter, Work
from lanman.server.files.names import STRICT, Spelling
from lanman.server.scheduler import Scheduler
from lanman.smb2.constants import SMB2_REOPEN, SMB2_RESTART_SCANS, SMB2_RETURN_SINGLE_ENTRY
from lanman.smb2.messages import QueryDirectoryRequest, QueryDirectoryResponse
from lanman.wire import Chain, packer

_CLASSES: Final = frozenset({FILE_NAMES_INFORMATION, *DETAILED_ENTRIES})

# Bytes that one listing brings at most, whatever the client would take: what is packed in one turn of the event loop.
PORTION: Final = 256 * 1024

# QUERY_DIRECTORY requests that may wait for their turn on one open directory.
MAX_TURNS: Final = 2048


@cache
def _entry_packer(information_class: int) -> Callable[[str, FileStat | None], bytes]:
    """What packs an entry of a listing (MS-FSCC 2.4) from a name and what is known of it.

    There are no short names, since none could be opened.
    """
    pack_name = packer(FileNamesInformation)
    if information_class == FILE_NAMES_INFORMATION:
        return lambda name, stat: pack_name(0, name)
    kind = DETAILED_ENTRIES[information_class]
    pack = packer(kind)
    has_id = kind in (FileIdBothDirectoryInformation, FileIdFullDirectoryInformation)

    def entry(name: str, stat: FileStat | None) -> bytes:
        if stat is None:
            return pack_name(0, name)  # read ahead for a request that wanted names alone
        size, allocation = (0, 0) if stat.directory else (stat.size, stat.allocation)
        created, read, written, changed = (
            stat.creation_time,
            stat.last_access_time,
            stat.last_write_time,
            stat.change_time,
        )
        if has_id:
            return pack(
                0, created, read, written, changed, size, allocation, stat.attributes, name, file_id=stat.file_id
            )
        return pack(0, created, read, written, changed, size, allocation, stat.attributes, name)

    return entry


def pack_entries(
    information_class: int, entries: deque[tuple[str, FileStat | None]], room: int, most: int | None = None
) -> bytes:
    """Take entries from the left as long as they fit into `room` bytes, `most` at the most, and pack them.

    No bytes: not even the first fits.
    """
    pack = _entry_packer(information_class)
    output = Chain(ENTRY_ALIGNMENT)
    taken = 0
    while entries and taken != most and output.add(pack(*entries[0]), room):
        entries.popleft()
        taken += 1
    return bytes(output.data)


# --- patterns (MS-FSA 2.1.4.4)


def matcher(pattern: str) -> Callable[[str], bool] | None:
    """What tells whether a name fits a pattern; None if every name does."""
    if pattern in ("*", "*.*", "", '<"*'):
        return None
    folded = fold(pattern)
    if not any(character in folded for character in '*?<>"'):
        return lambda name: fold(name) == folded
    return lambda name: matches(folded, fold(name))


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits; both already folded.

    Bit n of a number stands for the place behind n characters of the name. All places that the beginning of the pattern
    may lead to are kept at once, in one number, and each character of the pattern is a few operations on it: no pattern
    takes longer than its length says.
    """
    size, last_dot = len(name), name.rfind(".")
    everywhere = (2 << size) - 1
    end = 1 << size
    up_to_dot = (2 << last_dot) - 1 if last_dot >= 0 else 0
    where: dict[str, int] = {}
    for at, character in enumerate(name):
        where[character] = where.get(character, 0) | 1 << at
    dots = where.get(".", 0)
    reached = 1
    for character in pattern:
        if character == "*":
            reached = everywhere & -(reached & -reached)
        elif character == "<":  # DOS_STAR: anything but the last dot
            low, high = reached & up_to_dot, reached & ~up_to_dot
            reached = (up_to_dot & -(low & -low) if low else 0) | (everywhere & -(high & -high) if high else 0)
        elif character == "?":
            reached = (reached & ~end) << 1
        elif character == ">":  # DOS_QM: one, or none at a dot or the end
            stays = reached & (dots | end)
            reached = (reached ^ stays) << 1 | stays
        elif character == '"':  # DOS_DOT: a dot, or the end
            reached = (reached & dots) << 1 | (reached & end)
        else:
            reached = (reached & where.get(character, 0)) << 1
        if not reached:
            return False
    return bool(reached & end)


# --- the listing


class Scan:
    """Where an open directory is in its listing. `handle` is the disk's."""

    def __init__(self, handle: int, spelling: Spelling, scheduler: Scheduler) -> None:
        self._handle = handle
        self._spelling = spelling
        self._scheduler = scheduler
        self._wanted: Callable[[str], bool] | None = None
        self._entries: deque[tuple[str, FileStat | None]] = deque()
        self._begun = False
        self._told = False  # whether anything was found since it began
        self._restart = False
        self._last = False
        self._busy = False
        self._turns: dict[Waiter[None], None] = {}  # in their order

    def query(self, message: QueryDirectoryRequest) -> Work[Reply]:
        """3.3.5.18."""
        if message.file_information_class not in _CLASSES:
            return Reply(codes.STATUS_INVALID_INFO_CLASS)
        if (not message.name and not self._begun) or len(message.name) > NAME_MAX:
            return Reply(codes.STATUS_OBJECT_NAME_INVALID)
        if self._busy:
            if len(self._turns) >= MAX_TURNS:
                return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
            yield from self._take_turn()
        self._busy = True
        try:
            return (yield from self._find(message))
        finally:
            self._end_turn()

    def _take_turn(self) -> Work[None]:
        """Wait until those are done that came before. A turn given to a request that has ended is passed on."""
        turn: Waiter[None] = Waiter()
        self._turns[turn] = None
        try:
            yield Wait(turn, cancellable=False)
        except BaseException:
            if turn in self._turns:
                del self._turns[turn]
            elif turn.woken:
                self._end_turn()
            raise

    def _end_turn(self) -> None:
        """A request is done; the next one's turn, which is the event loop's next one too: there may be thousands."""
        self._busy = bool(self._turns)
        if self._turns:
            self._scheduler.timers.at(self._scheduler.now, self._next)

    def _next(self, now: float) -> None:
        self._busy = bool(self._turns)
        if self._turns:
            turn = next(iter(self._turns))
            del self._turns[turn]
            turn.wake(None)

    def _find(self, message: QueryDirectoryRequest) -> Work[Reply]:
        """Begin the listing anew if that is asked for, and read as many names as an answer needs."""
        single = bool(message.flags & SMB2_RETURN_SINGLE_ENTRY)
        if not self._begun or message.flags & (SMB2_REOPEN | SMB2_RESTART_SCANS):
            if message.name:
                self._wanted = matcher(message.name)
            self._begun = self._restart = True
            self._told = self._last = False
            self._entries.clear()
            stat = yield QueryFile(self._handle)
            self._entries.extend((name, stat) for name in (".", "..") if self._wanted is None or self._wanted(name))
            if not (single and self._entries):
                yield from self._read(message)
        while not (self._entries or self._last):
            yield from self._read(message)
        return self._answer(message, single)

    def _read(self, message: QueryDirectoryRequest) -> Work[None]:
        """Have the disk list more names."""
        restart, self._restart = self._restart, False
        # What is read ahead may be gone when it is told: a client that wants one name at a time gets it fresh.
        ahead = 1 if message.flags & SMB2_RETURN_SINGLE_ENTRY else min(message.output_buffer_length, PORTION)
        listing = yield ListDirectory(
            self._handle,
            ahead,
            restart,
            self._wanted_on_disk(),
            details=message.file_information_class != FILE_NAMES_INFORMATION,
        )
        name = self._spelling.name
        self._entries.extend((name(entry.name), entry.stat) for entry in listing.entries)
        self._last = listing.last

    def _wanted_on_disk(self) -> Callable[[str], bool] | None:
        """What chooses among the names as the disk's effects have them."""
        wanted, spelling = self._wanted, self._spelling
        if wanted is None or spelling is STRICT:
            return wanted
        return lambda name: wanted(spelling.name(name))

    def _answer(self, message: QueryDirectoryRequest, single: bool) -> Reply:
        """As many of the entries as fit."""
        if not self._entries:
            # 3.3.5.18: nothing fits the pattern, or nothing is left.
            return Reply(codes.STATUS_NO_MORE_FILES if self._told else codes.STATUS_NO_SUCH_FILE)
        room = min(message.output_buffer_length, PORTION)
        output = pack_entries(message.file_information_class, self._entries, room, 1 if single else None)
        if not output:
            return Reply(codes.STATUS_INFO_LENGTH_MISMATCH)
        self._told = True
        return Reply(message=QueryDirectoryResponse(output))

    def abandon(self) -> None:
        """The directory is closed."""
        self._turns.clear()
