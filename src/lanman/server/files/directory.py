r"""QUERY_DIRECTORY (MS-SMB2 3.3.5.18): list the names in an open directory that match a pattern, in portions.

- An open directory has one position in its listing, where the next request goes on. SMB2_RESTART_SCANS and SMB2_REOPEN
  begin again; the pattern stays unless the request brings another.
- Requests on one open directory run one after the other, in their order: `Scan._busy` while one runs, MAX_TURNS that
  wait. A request that ends while it waits passes its turn on. The next one starts in a new turn of the event loop.
- `.` and `..` come first, both with the attributes of the directory itself.
- Names are read ahead as far as the client's buffer goes, PORTION at most, so that one answer is packed in one turn of
  the event loop. A client that asks for single entries gets each as it is then, not as it was read ahead.
- No name fits: STATUS_NO_SUCH_FILE for the first request, STATUS_NO_MORE_FILES afterwards. The buffer is too small for
  one entry: STATUS_INFO_LENGTH_MISMATCH, and the entry stays for the next request.
- A pattern without wildcards is a name, which is looked up: clients ask so for each file of a folder that they delete.
- Names as clients have them differ from those of the disk's effects where a share allows the names of devices
  (`files.paths.Spelling`); patterns match what clients see, in time that grows
    with the length of the pattern alone (`matches`).
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
from lanman.server.files.paths import STRICT, Spelling
from lanman.server.scheduler import Scheduler
from lanman.smb2.constants import SMB2_REOPEN, SMB2_RESTART_SCANS, SMB2_RETURN_SINGLE_ENTRY
from lanman.smb2.messages import QueryDirectoryRequest, QueryDirectoryResponse
from lanman.wire import Chain, packer

_CLASSES: Final = frozenset({FILE_NAMES_INFORMATION, *DETAILED_ENTRIES})

# Bytes in one answer at most, whatever the client would take: as much as is packed in one turn of the event loop.
PORTION: Final = 256 * 1024

# QUERY_DIRECTORY requests that may wait for their turn on one open directory.
MAX_TURNS: Final = 2048


@cache
def _entry_packer(information_class: int) -> Callable[[str, FileStat | None], bytes]:
    """A function that packs an entry (MS-FSCC 2.4) from a name and its FileStat, without making an object of each.

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
    """Take entries from the left as long as they fit into `room` bytes, at most `most`, and pack them.

    Empty if not even the first fits.
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
    """A function that says whether a name matches a pattern; None if every name does (MS-FSA 2.1.4.4)."""
    if pattern in ("*", "*.*", "", '<"*'):
        return None
    folded = fold(pattern)
    if is_name(pattern):
        return lambda name: fold(name) == folded
    return lambda name: matches(folded, fold(name))


def is_name(pattern: str) -> bool:
    """Whether a pattern has no wildcards, and so means one name."""
    return bool(pattern) and not any(character in pattern for character in '*?<>"')


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern; both already folded.

    Bit n of a number stands for the position behind n characters of the name. The set of positions that the pattern so
    far may lead to is one number, and each character of the pattern is a few operations on it: the time grows with the
    length of the pattern, whatever it is.
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
    """The position of an open directory in its listing, and the requests that wait for it. `handle` is the disk's."""

    def __init__(self, handle: int, spelling: Spelling, scheduler: Scheduler) -> None:
        self._handle = handle
        self._spelling = spelling
        self._scheduler = scheduler
        self._wanted: Callable[[str], bool] | None = None
        self._name: str | None = None  # the one name that is wanted, as the disk's effects have it
        self._entries: deque[tuple[str, FileStat | None]] = deque()
        self._begun = False
        self._told = False  # whether anything was found since it began
        self._restart = False
        self._last = False
        self._busy = False
        self._turns: dict[Waiter[None], None] = {}  # in their order

    def query(self, message: QueryDirectoryRequest) -> Work[Reply]:
        """Answer a QUERY_DIRECTORY (3.3.5.18), when those before it are answered."""
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
        """Wait until the requests before are done. A turn given to a request that has ended is passed on."""
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
        """Let the next request run, in a new turn of the event loop: there may be thousands."""
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
                self._name = self._spelling.to_disk((message.name,))[0] if is_name(message.name) else None
            self._begun = self._restart = True
            self._told = self._last = False
            self._entries.clear()
            if dots := [name for name in (".", "..") if self._wanted is None or self._wanted(name)]:
                stat = yield QueryFile(self._handle)
                self._entries.extend((name, stat) for name in dots)
            if not (single and self._entries):
                yield from self._read(message)
        while not (self._entries or self._last):
            yield from self._read(message)
        return self._answer(message, single)

    def _read(self, message: QueryDirectoryRequest) -> Work[None]:
        """Have the disk list more names."""
        restart, self._restart = self._restart, False
        # A name that is read ahead may be gone when it is sent: a client that wants one at a time gets it fresh.
        ahead = 1 if message.flags & SMB2_RETURN_SINGLE_ENTRY else min(message.output_buffer_length, PORTION)
        listing = yield ListDirectory(
            self._handle,
            ahead,
            restart,
            self._wanted_on_disk(),
            details=message.file_information_class != FILE_NAMES_INFORMATION,
            name=self._name,
        )
        name = self._spelling.name
        self._entries.extend((name(entry.name), entry.stat) for entry in listing.entries)
        self._last = listing.last

    def _wanted_on_disk(self) -> Callable[[str], bool] | None:
        """The filter for names as the disk's effects have them; None for no filter."""
        wanted, spelling = self._wanted, self._spelling
        if wanted is None or spelling is STRICT:
            return wanted
        return lambda name: wanted(spelling.name(name))

    def _answer(self, message: QueryDirectoryRequest, single: bool) -> Reply:
        """An answer with as many of the entries as fit."""
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
        """Forget the requests that wait: the directory is closed."""
        self._turns.clear()
