r"""QUERY_DIRECTORY (MS-SMB2 3.3.5.18): the names in an open directory, in portions, through a pattern.

A directory that is open has one place in its listing, where the next request goes on. Requests that come while one is
under way take their turn. `.` and `..` come first, and both are told as the directory itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.fscc.directories import (
    DETAILED_ENTRIES,
    ENTRY_ALIGNMENT,
    FILE_NAMES_INFORMATION,
    FileIdBothDirectoryInformation,
    FileIdFullDirectoryInformation,
    FileNamesInformation,
)
from lanman.server.disk_effects import NAME_MAX, FileStat, ListDirectory, Listing, QueryFile, fold_name
from lanman.server.effects import Outcome, Park, Perform, Reply
from lanman.server.files.names import STRICT
from lanman.smb2.constants import SMB2_REOPEN, SMB2_RESTART_SCANS, SMB2_RETURN_SINGLE_ENTRY
from lanman.smb2.messages import QueryDirectoryRequest, QueryDirectoryResponse
from lanman.wire import Chain, packer

if TYPE_CHECKING:
    from lanman.server.files.open import DiskOpen

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
    folded = fold_name(pattern)
    if not any(character in folded for character in '*?<>"'):
        return lambda name: fold_name(name) == folded
    return lambda name: matches(folded, fold_name(name))


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
    """Where an open directory is in its listing."""

    def __init__(self, wire_open: DiskOpen) -> None:
        self._open = wire_open
        self._wanted: Callable[[str], bool] | None = None
        self._entries: deque[tuple[str, FileStat | None]] = deque()
        self._begun = False
        self._told = False  # whether anything was found since it began
        self._restart = False
        self._last = False
        self._busy = False
        # In their order; each under a key of its own, so that one can be taken out of the middle.
        self._turns: dict[object, tuple[QueryDirectoryRequest, Callable[[Outcome, float], None]]] = {}

    def query(self, message: QueryDirectoryRequest) -> Outcome:
        """3.3.5.18."""
        if message.file_information_class not in _CLASSES:
            return Reply(codes.STATUS_INVALID_INFO_CLASS)
        if (not message.name and not self._begun) or len(message.name) > NAME_MAX:
            return Reply(codes.STATUS_OBJECT_NAME_INVALID)
        if not self._busy:
            return self._start(message)
        if len(self._turns) >= MAX_TURNS:
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        key = object()

        def start(resume: Callable[[Outcome, float], None]) -> None:
            self._turns[key] = message, resume

        def cancel() -> None:
            self._turns.pop(key, None)

        return Park(start, cancel, brief=True)

    def _start(self, message: QueryDirectoryRequest) -> Outcome:
        self._busy = True
        if not self._begun or message.flags & (SMB2_REOPEN | SMB2_RESTART_SCANS):
            if message.name:
                self._wanted = matcher(message.name)
            self._begun = self._restart = True
            self._told = self._last = False
            self._entries.clear()
            return Perform(
                QueryFile(self._open.handle),
                lambda stat, now: self._with_dots(message, stat, now),
                lambda status, now: self._end(Reply(status), now),
            )
        return self._more(message, 0.0)

    def _with_dots(self, message: QueryDirectoryRequest, stat: FileStat, now: float) -> Outcome:
        for name in (".", ".."):
            if self._wanted is None or self._wanted(name):
                self._entries.append((name, stat))
        single = message.flags & SMB2_RETURN_SINGLE_ENTRY
        return self._answer(message, now) if single and self._entries else self._list(message, now)

    def _more(self, message: QueryDirectoryRequest, now: float) -> Outcome:
        if self._entries or self._last:
            return self._answer(message, now)
        return self._list(message, now)

    def _list(self, message: QueryDirectoryRequest, now: float) -> Outcome:
        restart, self._restart = self._restart, False
        # What is read ahead may be gone when it is told: a client that wants one name at a time gets it fresh.
        ahead = 1 if message.flags & SMB2_RETURN_SINGLE_ENTRY else min(message.output_buffer_length, PORTION)
        effect = ListDirectory(
            self._open.handle,
            ahead,
            restart,
            self._wanted_on_disk(),
            details=message.file_information_class != FILE_NAMES_INFORMATION,
        )
        return Perform(
            effect,
            lambda listing, then: self._listed(message, listing, then),
            lambda status, then: self._end(Reply(status), then),
        )

    def _wanted_on_disk(self) -> Callable[[str], bool] | None:
        """What chooses among the names as the disk's effects have them."""
        wanted, spelling = self._wanted, self._open.spelling
        if wanted is None or spelling is STRICT:
            return wanted
        return lambda name: wanted(spelling.name(name))

    def _listed(self, message: QueryDirectoryRequest, listing: Listing, now: float) -> Outcome:
        name = self._open.spelling.name
        self._entries.extend((name(entry.name), entry.stat) for entry in listing.entries)
        self._last = listing.last
        return self._more(message, now)

    def _answer(self, message: QueryDirectoryRequest, now: float) -> Outcome:
        if not self._entries:
            # 3.3.5.18: nothing fits the pattern, or nothing is left.
            status = codes.STATUS_NO_MORE_FILES if self._told else codes.STATUS_NO_SUCH_FILE
            return self._end(Reply(status), now)
        single = bool(message.flags & SMB2_RETURN_SINGLE_ENTRY)
        room = min(message.output_buffer_length, PORTION)
        output = pack_entries(message.file_information_class, self._entries, room, 1 if single else None)
        if not output:
            return self._end(Reply(codes.STATUS_INFO_LENGTH_MISMATCH), now)
        self._told = True
        return self._end(Reply(message=QueryDirectoryResponse(output)), now)

    def _end(self, reply: Reply, now: float) -> Reply:
        """A request is done; the next one's turn, which is the event loop's next one too: there may be thousands."""
        self._busy = bool(self._turns)
        if self._turns:
            self._open.server.timers.at(now, self._next)
        return reply

    def _next(self, now: float) -> None:
        self._busy = False
        if self._turns:
            message, resume = self._turns.pop(next(iter(self._turns)))
            resume(self._start(message), now)

    def abandon(self) -> None:
        """The directory is closed."""
        self._turns.clear()
