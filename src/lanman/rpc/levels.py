r"""Information levels: one record, several wire structures, and arrays of them (MS-SRVS 2.2.3, 2.2.4).

A level is a list of the record's fields in wire order, and becomes two functions, compiled when first used: one reads
an array of such structures, one writes it. A lone structure is an array of one.

An array in NDR is its fixed parts side by side, and behind them what their pointers refer to, in the order of the
pointers (C706 14.3.12.3). If all of that is strings, the rest of the message is decoded as UTF-16 in one call, and
each string is a slice of that text: its length is in the six code units before it. Characters are then counted as code
units, which holds only while there is no surrogate pair: a pair is two units and one character. If the text came out
shorter than its units, it is decoded again with every surrogate replaced by some other character, and the slices that
are not plain ASCII are decoded once more, one by one, from the bytes. Writing is the same backwards: lengths are
counted in characters at first, and again in units if the whole came out longer than that.

UTF-16 that is not well-formed is not refused: a lone surrogate becomes a code point of its own (U+D800 to U+DFFF, as
Python's "surrogatepass" has it), and goes back to the wire as it came. File names on Windows may hold them.
"""

from __future__ import annotations

import dataclasses
import struct
from codecs import utf_16_le_decode, utf_16_le_encode
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Final, Generic, ParamSpec, TypeVar

from lanman.errors import MalformedMessage
from lanman.plain import dataclass

Record = TypeVar("Record")
T = TypeVar("T")
P = ParamSpec("P")

# Structures that are read in one piece, and that are written in one.
PIECE: Final = 2048
WRITTEN_PIECE: Final = 512

FIRST_REFERENT: Final = 0x00020000  # where Windows and Samba begin to number the pointers of a message; then by fours


class Text:
    """How the strings of one transfer syntax look: `word` is the size of a count and of a pointer, 4 bytes or 8."""

    def __init__(self, word: int) -> None:
        self.word = word
        self.header = struct.Struct("<III" if word == 4 else "<QQQ")  # C706 14.3.4.2: maximum, offset, actual count
        self.count = struct.Struct("<I" if word == 4 else "<Q")

    def read(self, stub: bytes, at: int) -> tuple[str, int]:
        """A conformant varying string that ends with NUL, at `at` or the next aligned place; and where it ends."""
        at = at + self.word - 1 & -self.word
        try:
            maximum, offset, actual = self.header.unpack_from(stub, at)
        except struct.error:
            raise MalformedMessage("a string lies outside its message") from None
        at += self.header.size
        end = at + 2 * actual
        if offset or actual > maximum or not actual or end > len(stub):
            raise MalformedMessage(f"a string of {actual} units, {maximum} at most from {offset}, in {len(stub)} bytes")
        if stub[end - 2 : end] != b"\0\0":
            raise MalformedMessage("a string without its terminator")
        return str(stub[at : end - 2], "utf-16-le", "surrogatepass"), end

    def write(self, out: bytearray, value: str) -> None:
        """Append a string, aligned."""
        data = value.encode("utf-16-le", "surrogatepass") + b"\0\0"
        out += bytes(-len(out) % self.word)
        out += self.header.pack(len(data) // 2, 0, len(data) // 2)
        out += data

    def read_bytes(self, stub: bytes, at: int, size: int | None = None) -> tuple[bytes, int]:
        """A conformant array of bytes; `size` is what its size_is member says. And where it ends."""
        at = at + self.word - 1 & -self.word
        try:
            (count,) = self.count.unpack_from(stub, at)
        except struct.error:
            raise MalformedMessage("an array lies outside its message") from None
        at += self.word
        if count > len(stub) - at or (size is not None and count != size):
            raise MalformedMessage(f"an array of {count} bytes, {size} announced, in {len(stub)}")
        return stub[at : at + count], at + count

    def write_bytes(self, out: bytearray, value: bytes) -> None:
        """Append a conformant array of bytes, aligned."""
        out += bytes(-len(out) % self.word)
        out += self.count.pack(len(value))
        out += value


TEXT: Final = {4: Text(4), 8: Text(8)}


# Stands for "no text is like this": the text that is sliced has no character beyond the basic plane.
_NEVER: Final = "\U0010ffff"

# The upper byte of a code unit: a surrogate's becomes that of U+FF00 to U+FFFF.
_NO_SURROGATES: Final = bytes(0xFF if 0xD8 <= byte <= 0xDF else byte for byte in range(256))


def _without_surrogates(units: memoryview) -> str:
    """UTF-16 as text with one character for each unit: instead of any surrogate, one from U+FF00 on."""
    replaced = bytearray(units)
    replaced[1::2] = replaced[1::2].translate(_NO_SURROGATES)
    return utf_16_le_decode(replaced, "strict", True)[0]


def _units(value: str) -> int:
    """The length of a string in code units."""
    return len(value) if value.isascii() else len(utf_16_le_encode(value, "surrogatepass")[0]) // 2


class _Lengths(dict[str, int]):
    """The header of a string, as text: how many code units it and its string have. Checks what it has not yet seen."""

    def __init__(self, word: int, pairs: bool) -> None:
        self._header = TEXT[word].header
        self._pairs = pairs

    def __missing__(self, header: str) -> int:
        if self._pairs and header and max(header) >= "\uff00":
            raise MalformedMessage("a length that may have been mistaken for a surrogate")
        raw = utf_16_le_encode(header, "surrogatepass")[0]
        if len(raw) != self._header.size:
            raise MalformedMessage("a string lies outside its message")
        maximum, offset, actual = self._header.unpack(raw)
        if offset or actual > maximum or not actual:
            raise MalformedMessage(f"a string of {actual} units, {maximum} at most from {offset}")
        length = self._header.size // 2 + int(actual)
        if len(self) >= 4096:  # a hostile peer may send a new one each time
            self.clear()
        self[header] = length
        return length


@cache
def _lengths(word: int, pairs: bool) -> _Lengths:
    """Those of all lists: what a header says depends on nothing else."""
    return _Lengths(word, pairs)


class _Headers(dict[int, str]):
    """The header, as text, of a string that has so many code units."""

    def __init__(self, word: int) -> None:
        self._header = TEXT[word].header

    def __missing__(self, units: int) -> str:
        # 16 bits each become one character, even those that would pair: they never stand side by side in what is sent.
        words = struct.unpack(f"<{self._header.size // 2}H", self._header.pack(units, 0, units))
        header = "".join(map(chr, words))
        if units < 4096:
            self[units] = header
        return header


def _short(count: int, size: int) -> MalformedMessage:
    return MalformedMessage(f"an array of {count} structures of {size} bytes is longer than its message")


def _unterminated() -> MalformedMessage:
    return MalformedMessage("a string without its terminator")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a member is on the wire. `codes` are struct's; P is a pointer, whose size is that of the transfer syntax."""

    codes: str
    text: bool = False  # a string
    data: bool = False  # bytes behind a pointer, with their count in the structure
    truth: bool = False  # a number of which only zero is False


U32: Final = Kind("I")
I32: Final = Kind("i")
BOOL: Final = Kind("I", truth=True)
BOOLEAN: Final = Kind("B", truth=True)
STRING: Final = Kind("P", text=True)
COUNTED: Final = Kind("IP", data=True)  # the count, then the pointer
COUNTED_BEHIND: Final = Kind("PI", data=True)
BYTES_256: Final = Kind("256s")

_SIZES: Final = {"I": 4, "i": 4, "B": 1, "256s": 256}


class Levels(Generic[Record]):
    """The wire structures of a record, by information level. See `levels`."""

    def __init__(
        self, record: type[Record], table: Mapping[int, str], kinds: Mapping[str, Kind], alike: Sequence[str] = ()
    ) -> None:
        self.record = record
        self.table = table
        self.kinds = kinds
        self.alike = frozenset(alike)
        # What is given by its name alone is not on the wire.
        self.fields = [field.name for field in dataclasses.fields(record) if not field.kw_only]  # type: ignore[arg-type]
        self._codecs: dict[tuple[int, int], Codec[Record]] = {}
        unknown = {name for names in table.values() for name in names.split()} - set(self.fields)
        if unknown or set(kinds) - set(self.fields):
            raise TypeError(f"{record.__name__} has no {sorted(unknown | (set(kinds) - set(self.fields)))}")

    def members(self, level: int) -> list[tuple[str, Kind]]:
        """The fields of a level with what they are on the wire, in order."""
        return [(name, self.kinds.get(name, U32)) for name in self.table[level].split()]

    def codec(self, level: int, word: int) -> Codec[Record] | None:
        """What reads and writes a level, or None if there is no such level."""
        found = self._codecs.get((level, word))
        if found is None and level in self.table:
            found = self._codecs[level, word] = Codec(self, level, word)
        return found


def levels(
    record: type[Record],
    table: Mapping[int, str],
    *,
    strings: str = "",
    signed: str = "",
    bools: str = "",
    alike: str = "",
    kinds: Mapping[str, Kind] | None = None,
) -> Levels[Record]:
    """Declare the information levels of `record`: for each the names of its fields, in wire order.

    A field is an unsigned 32-bit number unless named in `strings`, `signed` or `bools`, or `kinds` says otherwise.
    Strings in `alike`, which come behind all others, mostly are what they are in the entry before: that is a hint.
    """
    every = dict.fromkeys(strings.split(), STRING)
    every |= dict.fromkeys(signed.split(), I32)
    every |= dict.fromkeys(bools.split(), BOOL)
    return Levels(record, table, every | dict(kinds or {}), alike.split())


class Codec(Generic[Record]):
    """The compiled form of one level in one transfer syntax.

    `read(stub, at, count)` gives `count` records from `at`, and where they end; `read_in_pieces` gives that in the end,
    and yields after so many of them that others may have a turn. `write(records, referent)` gives their
    bytes and the next free referent; they must come to lie at a multiple of `alignment`. `write_in_pieces` does as
    `read_in_pieces`.
    """

    def __init__(self, owner: Levels[Record], level: int, word: int) -> None:
        self.owner = owner
        self.members = owner.members(level)
        self.word = word
        self.alignment = 4
        self.format = self._format()
        # The fast way needs everything behind the fixed parts to be text.
        texts = [kind.text for _, kind in self.members]
        fast = any(texts) and not any(kind.data for _, kind in self.members)
        self._fast = fast
        self._name = f"{owner.record.__name__} level {level}, {8 * word} bit"

    # A client only reads, and a Server mostly writes: each is compiled when it is first needed.

    @cached_property
    def read_in_pieces(self) -> Callable[[bytes, int, int], Generator[None, None, tuple[list[Record], int]]]:
        """See above."""
        made: Any = self._made("read_fast", self._read_fast()) if self._fast else self._slow_read
        return made  # type: ignore[no-any-return]

    @cached_property
    def write_in_pieces(self) -> Callable[..., Generator[None, None, tuple[bytes, int]]]:
        """See above."""
        made: Any = self._made("write_fast", self._write_fast()) if self._fast else self._slow_write
        return made  # type: ignore[no-any-return]

    @cached_property
    def read(self) -> Callable[[bytes, int, int], tuple[list[Record], int]]:
        """See above."""
        return _whole(self.read_in_pieces)

    @cached_property
    def write(self) -> Callable[[Sequence[Record], int], tuple[bytes, int]]:
        """See above."""
        return _whole(self.write_in_pieces)

    @cached_property
    def read_slowly(self) -> Callable[[bytes, int, int], tuple[list[Record], int]]:
        """String by string: for what the fast way cannot slice."""
        return _whole(self._slow_read)

    @cached_property
    def write_slowly(self) -> Callable[[Sequence[Record], int], tuple[bytes, int]]:
        """String by string."""
        return _whole(self._slow_write)

    @cached_property
    def _slow_read(self) -> Any:
        return self._made("read", self._read_slowly())

    @cached_property
    def _slow_write(self) -> Any:
        return self._made("write", self._write_slowly())

    def _read_again(self, stub: bytes, at: int, count: int) -> Any:
        # The fast way's last resort, compiled when it is taken.
        return self._slow_read(stub, at, count)

    def _made(self, function: str, source: str) -> Any:
        layout = struct.Struct(self.format)
        names: dict[str, Any] = {
            "Record": self.owner.record,
            "iter_fixed": layout.iter_unpack,
            "pack_into": layout.pack_into,
            "text": TEXT[self.word],
            "lengths_of": _lengths,
            "headers": _Headers(self.word),
            "never": _NEVER,
            "decode": utf_16_le_decode,
            "encode": utf_16_le_encode,
            "short": _short,
            "units": _units,
            "unterminated": _unterminated,
            "without_surrogates": _without_surrogates,
            "MalformedMessage": MalformedMessage,
            "read": self._read_again,
        }
        exec(compile(source, f"<{self._name}: {function}>", "exec"), names)
        return names[function]

    def _format(self) -> str:
        """The fixed part of one structure as struct has it, padded as an array wants it."""
        codes, at = ["<"], 0
        for code in (code for _, kind in self.members for code in _codes(kind)):
            if code == "P":
                size = alignment = self.word
                code = "I" if size == 4 else "Q"
            else:
                size = _SIZES[code]
                alignment = 1 if code.endswith("s") else size
            self.alignment = max(self.alignment, alignment)
            codes.append("x" * (-at % alignment) + code)
            at += -at % alignment + size
        self.size = at + -at % self.alignment
        return "".join(codes) + "x" * (self.size - at)

    def _constructor(self) -> str:
        """The record made from local variables of its fields' names."""
        present = {name for name, _ in self.members}
        last = max(self.owner.fields.index(name) for name in present)
        return f"Record({', '.join(name if name in present else 'None' for name in self.owner.fields[: last + 1])})"

    def _targets(self) -> str:
        """The variables that the fixed part is unpacked to: f_ for what is not yet the value, n_ for a count."""
        targets = []
        for name, kind in self.members:
            if kind.data:
                targets += [f"n_{name}", f"f_{name}"] if kind is COUNTED else [f"f_{name}", f"n_{name}"]
            else:
                targets.append(f"f_{name}" if kind.text or kind.truth else name)
        return ", ".join(targets) + ","

    def _read_slowly(self) -> str:
        lines = [
            "def read(stub, at, count):",
            f"    end = at + {self.size} * count",
            "    if end > len(stub):",
            f"        raise short(count, {self.size})",
            "    entries = []",
            "    add = entries.append",
            "    fixed = memoryview(stub)[at:end]",
            "    at = end",
            f"    for begin in range(0, len(fixed), {self.size * PIECE}):",
            f"        for {self._targets()} in iter_fixed(fixed[begin : begin + {self.size * PIECE}]):",
        ]
        for name, kind in self.members:
            if kind.text:
                lines += [
                    f"            if f_{name}:",
                    f"                {name}, at = text.read(stub, at)",
                    "            else:",
                    f"                {name} = None",
                ]
            elif kind.data:
                lines += [
                    f"            if f_{name}:",
                    f"                {name}, at = text.read_bytes(stub, at, n_{name})",
                    "            else:",
                    f"                {name} = None",
                ]
            elif kind.truth:
                lines.append(f"            {name} = f_{name} != 0")
        return "\n".join(
            [
                *lines,
                f"            add({self._constructor()})",
                f"        if count > {PIECE}:",  # most lists are one piece, and take nobody's turn
                "            yield",
                "    return entries, at",
                "",
            ]
        )

    def _read_fast(self) -> str:
        lines = [
            "def read_fast(stub, at, count):",
            f"    end = at + {self.size} * count",
            "    if end > len(stub):",
            f"        raise short(count, {self.size})",
            "    units = len(stub) - end >> 1",
            "    bytes = memoryview(stub)[end : end + 2 * units]",
            "    text = decode(bytes, 'surrogatepass', True)[0]",
            "    pairs = len(text) != units",
            "    if pairs:",
            "        text = without_surrogates(bytes)",
            f"    lengths = lengths_of({self.word}, pairs)",
            "    entries = []",
            "    add = entries.append",
            "    stop = 0",
            "    tail = never",
            "    size = 1",
            "    fixed = memoryview(stub)[at:end]",
            "    try:",
            f"        for begin in range(0, len(fixed), {self.size * PIECE}):",
            f"            for {self._targets()} in iter_fixed(fixed[begin : begin + {self.size * PIECE}]):",
        ]
        alike = self._alike()
        for name, kind in self.members:
            if kind.text and name not in alike:
                lines += self._slice(name, " " * 16)
            elif kind.truth:
                lines.append(f"                {name} = f_{name} != 0")
        if alike:
            lines += self._slice_alike(alike)
        return "\n".join(
            [
                *lines,
                f"                add({self._constructor()})",
                f"            if count > {PIECE}:",
                "                yield",
                "    except (IndexError, MalformedMessage):",  # an IndexError: a string ends behind the text
                "        return (yield from read(stub, at, count))",
                "    return entries, end + 2 * stop",
                "",
            ]
        )

    def _alike(self) -> list[str]:
        """The strings of the level that mostly are as in the entry before."""
        texts = [name for name, kind in self.members if kind.text]
        alike = [name for name in texts if name in self.owner.alike]
        if alike != texts[len(texts) - len(alike) :]:
            raise TypeError(f"{self.owner.record.__name__}: a string that is not alike comes behind one that is")
        return alike

    def _slice(self, name: str, indent: str) -> list[str]:
        """Code that takes one string out of the text, if there is one."""
        header, step = self.word * 3 // 2, self.word // 2  # in code units
        lines = [
            f"if f_{name}:",
            f"    start = stop + {step - 1} & -{step}",
            f"    stop = start + lengths[text[start : start + {header}]]",
            "    if text[stop - 1] != '\\0':",
            "        raise unterminated()",
            f"    {name} = text[start + {header} : stop - 1]",
            f"    if pairs and not {name}.isascii():",
            f"        {name} = decode(bytes[2 * start + {2 * header} : 2 * stop - 2], 'surrogatepass', True)[0]",
            "else:",
            f"    {name} = None",
        ]
        return [indent + line for line in lines]

    def _slice_alike(self, names: list[str]) -> list[str]:
        """Code for the last strings of an entry, that seldom differ from those of the entry before.

        Where the text goes on as it did there, headers and all, the same strings are taken again: a comparison for all
        of them together, and one copy of each in memory. `tail` is that text, or what is in no text.
        """
        step = self.word // 2
        present = " and ".join(f"f_{name}" for name in names)
        return [
            f"                start = stop + {step - 1} & -{step}",
            f"                if text[start : start + size] == tail and {present}:",
            "                    stop = start + size",
            "                else:",
            "                    first = start",
            *(line for name in names for line in self._slice(name, " " * 20)),
            f"                    if {present}:",
            "                        tail = text[first:stop]",
            "                        size = stop - first",
            "                    else:",
            "                        tail = never",
        ]

    def _values(self) -> str:
        values = []
        for name, kind in self.members:
            if kind.data:
                values += [f"n_{name}", f"f_{name}"] if kind is COUNTED else [f"f_{name}", f"n_{name}"]
            elif kind.text:
                values.append(f"f_{name}")
            else:
                values.append(f"record.{name}")
        return ", ".join(values)

    def _write_slowly(self) -> str:
        lines = [
            "def write(records, referent):",
            f"    fixed = bytearray({self.size} * len(records))",
            "    deferred = bytearray()",
            "    at = 0",
            f"    for begin in range(0, len(records), {WRITTEN_PIECE}):",
            "        if begin:",
            "            yield",
            f"        for record in records[begin : begin + {WRITTEN_PIECE}]:",
        ]
        for name, kind in self.members:
            if kind.text or kind.data:
                lines += [
                    f"            value = record.{name}",
                    "            if value is None:",
                    f"                f_{name} = n_{name} = 0",
                    "            else:",
                    f"                f_{name} = referent",
                    "                referent += 4",
                    f"                n_{name} = len(value)",
                    f"                text.{'write' if kind.text else 'write_bytes'}(deferred, value)",
                ]
        return "\n".join(
            [
                *lines,
                f"            pack_into(fixed, at, {self._values()})",
                f"            at += {self.size}",
                "    fixed += deferred",
                "    return fixed, referent",
                "",
            ]
        )

    def _write_fast(self) -> str:
        step = self.word // 2
        lines = [
            "def write_fast(records, first, pairs=False):",
            "    referent = first",
            f"    fixed = bytearray({self.size} * len(records))",
            "    deferred = bytearray()",
            "    pad = ''",
            "    at = 0",
            f"    for begin in range(0, len(records), {WRITTEN_PIECE}):",
            "        if begin:",
            "            yield",
            "        parts = []",
            "        add = parts.append",
            f"        for record in records[begin : begin + {WRITTEN_PIECE}]:",
        ]
        for name, kind in self.members:
            if kind.text:
                lines += [
                    f"            value = record.{name}",
                    "            if value is None:",
                    f"                f_{name} = 0",
                    "            else:",
                    f"                f_{name} = referent",
                    "                referent += 4",
                    "                count = (units(value) if pairs else len(value)) + 1",
                    "                add(f'{pad}{headers[count]}{value}\\0')",
                    f"                pad = {tuple(chr(0) * (-n % step) for n in range(step))!r}[count & {step - 1}]",
                ]
        return "\n".join(
            [
                *lines,
                f"            pack_into(fixed, at, {self._values()})",
                f"            at += {self.size}",
                "        text = ''.join(parts)",
                "        bytes = encode(text, 'surrogatepass')[0]",
                "        if len(bytes) != 2 * len(text) and not pairs:",
                "            yield",
                "            return (yield from write_fast(records, first, True))",
                "        deferred += bytes",
                "    fixed += deferred",
                "    return fixed, referent",
                "",
            ]
        )


def _whole(pieces: Callable[P, Generator[None, None, T]]) -> Callable[P, T]:
    """All pieces in one go."""

    def do(*arguments: P.args, **named: P.kwargs) -> T:
        return finish(pieces(*arguments, **named))

    return do


def finish(work: Generator[None, None, T]) -> T:
    """Do work that is in pieces in one go."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value


def _codes(kind: Kind) -> list[str]:
    """The single codes of a kind: "IP" is two, "256s" is one."""
    return [kind.codes] if kind.codes.endswith("s") else list(kind.codes)
