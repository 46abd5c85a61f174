"""The C structures of lmshare.h and lmserver.h, made of the tables of levels that `lanman.rpc.srvsvc` declares.

Rules:

  - A structure has the members of its level in the order of the wire, each aligned to its own size, and ends at a
    multiple of its largest. That is what a C compiler does on every Windows; only a pointer's size (`word`) differs.
  - What is read is copied out of memory at once: a record refers to nothing that the buffer's owner may free.
  - A pointer may be NULL or may point to an empty string. The first is None, the second "".
  - Strings are UTF-16, and need not be well-formed: a lone surrogate is kept, as `lanman.rpc.levels` has it.
  - The member before a security descriptor is its size on the wire, and reserved in C: the descriptor itself says how
    long it is.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from lanman import codes
from lanman.dtyp import SE_SELF_RELATIVE
from lanman.errors import MalformedMessage, Win32Error
from lanman.rpc.levels import COUNTED, Kind, Levels

Record = TypeVar("Record")

POINTER_SIZE: Final = ctypes.sizeof(ctypes.c_void_p)

MAX_UNITS: Final = 1 << 16
"""The longest string, in UTF-16 code units. No name or path is longer than 32,767."""

_DESCRIPTOR: Final = struct.Struct("<BBHIIII")
_SIZES: Final[Mapping[str, int]] = {"I": 4, "i": 4, "B": 1, "256s": 256}


class Layout(Generic[Record]):
    """One level of a record as a C structure, where a pointer has `word` bytes.

    `size` is that of the structure, `offsets` are those of its members by the record's field; the count or the reserved
    member that goes with some of them has the field's name with "_size" behind it.
    """

    def __init__(self, levels: Levels[Record], level: int, word: int = POINTER_SIZE) -> None:
        self.record = levels.record
        self.members = levels.members(level)
        self.offsets: dict[str, int] = {}
        formats, at, alignment = ["<"], 0, 1
        for name, kind in self.members:
            for code in _codes(kind):
                size = word if code == "P" else _SIZES[code]
                bound = 1 if code.endswith("s") else size
                alignment = max(alignment, bound)
                padding = -at % bound
                formats.append("x" * padding + (code if code != "P" else "I" if word == 4 else "Q"))
                self.offsets[name if not kind.data or code == "P" else f"{name}_size"] = at + padding
                at += padding + size
        self.size = at + -at % alignment
        self._struct = struct.Struct("".join(formats) + "x" * (self.size - at))

    def read(self, address: int, count: int) -> list[Record]:
        """The records of an array of `count` structures at `address`. Raises MalformedMessage for an endless string."""
        copied = ctypes.string_at(address, self.size * count)
        return [self._record(values) for values in self._struct.iter_unpack(copied)]

    def _record(self, values: tuple[Any, ...]) -> Record:
        made: dict[str, Any] = {}
        unread = iter(values)
        for name, kind in self.members:
            value = next(unread)
            if kind is COUNTED:
                pointer = next(unread)
                made[name] = ctypes.string_at(pointer, descriptor_size(pointer)) if pointer else None
            elif kind.data:
                size = next(unread)
                made[name] = ctypes.string_at(value, size) if value else None
            elif kind.text:
                made[name] = read_string(value)
            else:
                made[name] = bool(value) if kind.truth else value
        return self.record(**made)

    def write(self, record: Record) -> Written:
        """A record as one structure in memory, with its strings. What is None becomes NULL or 0."""
        written, values = Written(), list[Any]()
        for name, kind in self.members:
            value = getattr(record, name)
            if kind is COUNTED:
                values += [0, written.keep(value)]
            elif kind.data:
                values += [written.keep(value), len(value or b"")]
            elif kind.text:
                values.append(written.keep(None if value is None else string_bytes(value)))
            elif kind.codes == "256s":
                values.append(value or b"")
            else:
                # An unsigned number may be given as the signed one of the same bits, and the other way round.
                number = check_number(int(value or 0)) & 0xFFFFFFFF
                values.append(number - (1 << 32) if kind.codes == "i" and number >> 31 else number)
        written.address = written.keep(self._struct.pack(*values))
        return written


class Written:
    """A structure in this process's memory, at `address`, which stays there for as long as this object does."""

    def __init__(self) -> None:
        self.address = 0
        self._kept: list[ctypes.Array[ctypes.c_char]] = []

    def keep(self, data: bytes | None) -> int:
        """The address of a copy of `data`; NULL for None."""
        if data is None:
            return 0
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        self._kept.append(buffer)
        return ctypes.addressof(buffer)


def read_string(address: int) -> str | None:
    """The UTF-16 string that ends with NUL at `address`; None for NULL. Raises MalformedMessage where none ends."""
    if not address:
        return None
    units = (ctypes.c_uint16 * MAX_UNITS).from_address(address)
    # Unit by unit: behind the NUL there may be nothing that could be read.
    for length in range(MAX_UNITS):
        if not units[length]:
            return ctypes.string_at(address, 2 * length).decode("utf-16-le", "surrogatepass")
    raise MalformedMessage(f"a string of more than {MAX_UNITS:,} units")


def descriptor_size(address: int) -> int:
    """The size of a self-relative security descriptor (MS-DTYP 2.4.6). Raises MalformedMessage for one in pieces."""
    _, _, control, owner, group, sacl, dacl = _DESCRIPTOR.unpack(ctypes.string_at(address, _DESCRIPTOR.size))
    if not control & SE_SELF_RELATIVE:
        raise MalformedMessage("a security descriptor that is not self-relative")
    ends = [_DESCRIPTOR.size]
    # 2.4.2.2: the count of a SID's subauthorities is its second byte; 2.4.5: the size of an ACL its third and fourth.
    ends += [at + 8 + 4 * ctypes.string_at(address + at + 1, 1)[0] for at in (owner, group) if at]
    ends += [at + int.from_bytes(ctypes.string_at(address + at + 2, 2), "little") for at in (sacl, dacl) if at]
    return max(ends)


def check_number(number: int) -> int:
    """A number that 32 bits hold, signed or not. Raises Win32Error 87 for any other: C would cut it to another one."""
    if not -(1 << 31) <= number < 1 << 32:
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{number} has more than 32 bits")
    return number


def string_bytes(text: str) -> bytes:
    """A string as Windows takes it, with the NUL at its end. Raises Win32Error 87 for one that has a NUL within."""
    if "\0" in text:
        # Windows reads to the first NUL: it must not act upon less than what was named here.
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{text!r} has a NUL in it")
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"


def _codes(kind: Kind) -> list[str]:
    """What a member consists of, as struct has it; P is a pointer."""
    return [kind.codes] if kind.codes == "256s" else list(kind.codes)
