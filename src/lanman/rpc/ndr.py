"""Calls and their answers in NDR, declared once for both ends and both transfer syntaxes (C706 14, MS-RPCE 2.2.4 on).

    @SRVSVC.call(13)
    class NetrSessionDel(Call[NetrSessionDelResponse]):
        server_name: string
        client_name: string
        user_name: string

An annotation names the Python type and, in its Annotated part, the wire type (`Wire`). From the annotations of a class,
in order, straight-line code is generated that packs or unpacks the whole stub: runs of numbers become one struct, and
alignment is computed while compiling wherever it can be. A class is compiled when it is first used, since a program
uses few of the many calls. A wire type thus has no code of its own that runs for a message: its `read` and `write` add
lines to the generated function, in which `stub` is the message, `at` the place in it, `out` what has been written and
`referent` the id of the next pointer.

The rules that hold for every stub:

  - Any bytes give a message or MalformedMessage. Counts are checked against the bytes that are there before anything is
    allocated for them, and lists against MAX_ENTRIES.
  - A value that does not fit its type gives LocalProtocolError, and nothing is sent.
  - NDR64 (`ndr64=True`) differs in that pointers, counts and what holds them have 8 bytes and lie at multiples of 8.
  - Bytes behind the last parameter are ignored, as by Windows and Samba: some clients pad the stub.
  - The union of an answer must have the level that the request had; a level that is not declared is the default arm.
  - Long lists are read and written in pieces by the functions that end in `_in_pieces`: generators that yield whenever
    another task may have a turn, so that no list holds up an event loop.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar, dataclass_transform

from lanman.dtyp import Guid
from lanman.errors import LocalProtocolError, MalformedMessage
from lanman.records import DiskInfo
from lanman.rpc.levels import FIRST_REFERENT, TEXT, Codec, Levels, finish

R = TypeVar("R", bound="Message")
T = TypeVar("T", bound="type[Message]")
M = TypeVar("M", bound="Message")
Entry = TypeVar("Entry")


class _Code:
    """The source text of one function, while it is generated. Numbers are collected into one struct until something of
    another kind follows.

    `_modulus` and `_offset` are what is known of the place in the stub: it is `_offset` modulo `_modulus`.
    """

    def __init__(
        self, word: int, *, writing: bool, request: bool, names: dict[str, Any], in_pieces: bool = False
    ) -> None:
        self.word = word
        self.in_pieces = in_pieces
        self.writing = writing
        self.request = request
        self.names = names
        self.lines: list[str] = []
        self._run: list[str] = []
        self._values: list[str] = []
        self._modulus, self._offset = 8, 0
        self._variables = 0

    def line(self, text: str) -> None:
        """Append one statement to the function's body."""
        self.lines.append("    " + text)

    def variable(self) -> str:
        """A fresh name for a local variable."""
        self._variables += 1
        return f"t{self._variables}"

    def bind(self, value: object) -> str:
        """A name by which the code may refer to `value`."""
        name = f"g{len(self.names)}"
        self.names[name] = value
        return name

    def align(self, size: int) -> None:
        """Emit the padding up to the next multiple of `size`, as far as it is not known while compiling."""
        if size <= self._modulus:
            pad = -self._offset % size
            if pad:
                self._run.append("x" * pad)
                self._offset = (self._offset + pad) % self._modulus
            return
        self.flush()
        self.line(f"out += bytes(-len(out) & {size - 1})" if self.writing else f"at = at + {size - 1} & -{size}")
        self._modulus, self._offset = size, 0

    def number(self, code: str, value: str) -> None:
        """Collect a number: an expression to write, or a variable to read into, with its struct code."""
        size = struct.calcsize("<" + code)
        self.align(1 if code.endswith("s") else size)
        self._run.append(code)
        self._values.append(value)
        self._offset = (self._offset + size) % self._modulus

    def pointer(self, value: str) -> str:
        """A pointer: to `value` when writing. Gives the variable that holds its referent id."""
        referent = self.variable()
        if self.writing:
            self.line(f"if {value} is None: {referent} = 0")
            self.line(f"else: {referent} = referent; referent += 4")
        self.number("I" if self.word == 4 else "Q", referent)
        return referent

    def flush(self) -> None:
        """Emit the code that writes or reads the numbers collected so far."""
        if not self._run:
            return
        layout = struct.Struct("<" + "".join(self._run))
        if self.writing:
            self.line(f"out += {self.bind(layout.pack)}({', '.join(self._values)})")
        elif self._values:
            self.line(f"{', '.join(self._values)}, = {self.bind(layout.unpack_from)}(stub, at)")
            self.line(f"at += {layout.size}")
        else:
            self.line(f"at += {layout.size}")
        self._run, self._values = [], []

    def place(self, modulus: int = 1) -> None:
        """From here on no more is known of the place than that it is a multiple of `modulus`."""
        self._modulus, self._offset = modulus, 0


class Wire:
    """A wire type: `read` makes code that sets the variable `name`, `write` code that appends the value `value`."""

    def read(self, code: _Code, name: str) -> None:
        """Emit the code that reads this type from the stub into the variable `name`."""
        raise NotImplementedError

    def write(self, code: _Code, value: str) -> None:
        """Emit the code that appends `value`, an expression, to what is written."""
        raise NotImplementedError


class Number(Wire):
    """A number in place, by its struct code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def read(self, code: _Code, name: str) -> None:
        """The number becomes one more of the struct that is being collected."""
        code.number(self.code, name)

    def write(self, code: _Code, value: str) -> None:
        """As `read`: to collect one is the same both ways."""
        self.read(code, value)


class Bounded(Number):
    """A number that the interface restricts to `limit` at most ([range]); a greater one is malformed."""

    def __init__(self, code: str, limit: int) -> None:
        super().__init__(code)
        self.limit = limit

    def read(self, code: _Code, name: str) -> None:
        """The number, if it is not too great."""
        code.number(self.code, name)
        code.flush()
        code.line(f"if {name} > {self.limit}: raise {code.bind(MalformedMessage)}({code.bind(_TOO_GREAT)})")

    def write(self, code: _Code, value: str) -> None:
        """The number: whoever sends it knows the limit."""
        code.number(self.code, value)


_TOO_GREAT: Final = "a number is beyond its range"


class StructLevel(Number):
    """The Level that begins an ENUM_STRUCT, and so has that structure's alignment (MS-RPCE 2.2.5.3.4.1)."""

    def read(self, code: _Code, name: str) -> None:
        """The level, aligned as the structure that it begins."""
        code.align(code.word)
        code.number(self.code, name)


class ContextHandle(Wire):
    """A context handle: attributes and a UUID, which only the server can read (C706 14.2.16.6)."""

    def read(self, code: _Code, name: str) -> None:
        """All 20 bytes, which mean nothing here."""
        code.align(4)
        code.number("20s", name)

    def write(self, code: _Code, value: str) -> None:
        """The 20 bytes as they came."""
        self.read(code, value)


class UnionLevel(Wire):
    """Not a parameter: the level is on the wire in the union's own tag alone."""

    def read(self, code: _Code, name: str) -> None:
        """None for now: the union that follows sets it."""
        code.flush()
        code.line(f"{name} = None")

    def write(self, code: _Code, value: str) -> None:
        """Nothing: the union that follows writes it."""


class UniqueNumber(Wire):
    """[unique] DWORD*."""

    def read(self, code: _Code, name: str) -> None:
        """None behind a null pointer."""
        referent = code.pointer(name)
        code.flush()
        code.line(f"{name} = None")
        code.line(f"if {referent}: ({name},) = {code.bind(_U32.unpack_from)}(stub, at); at += 4")
        code.place(4)

    def write(self, code: _Code, value: str) -> None:
        """A null pointer for None."""
        code.pointer(value)
        code.flush()
        code.line(f"if {value} is not None: out += {code.bind(_U32.pack)}({value})")
        code.place(4)


class String(Wire):
    """[string] wchar_t*, a reference or a unique pointer."""

    def __init__(self, *, unique: bool) -> None:
        self.unique = unique

    def read(self, code: _Code, name: str) -> None:
        """None behind a null pointer; a reference pointer is always there."""
        text = code.bind(TEXT[code.word])
        referent = code.pointer(name) if self.unique else "True"
        code.flush()
        code.line(f"if {referent}: {name}, at = {text}.read(stub, at)")
        code.line(f"else: {name} = None")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """A null pointer for None. A NUL within the string is a LocalProtocolError."""
        text = code.bind(TEXT[code.word])
        if self.unique:
            code.pointer(value)
        code.flush()
        code.line(f"if {value} is not None:" if self.unique else "if True:")
        # The peer reads to the first NUL: it must not act upon less than what was named here.
        code.line(f"    if '\\0' in {value}: raise {code.bind(LocalProtocolError)}('a NUL inside a string')")
        code.line(f"    {text}.write(out, {value})")
        code.place()


class RawBytes(Wire):
    """A conformant array of bytes."""

    def read(self, code: _Code, name: str) -> None:
        """The bytes, whose number the stub says first."""
        code.flush()
        code.line(f"{name}, at = {code.bind(TEXT[code.word])}.read_bytes(stub, at)")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The number of bytes, and the bytes."""
        code.flush()
        code.line(f"{code.bind(TEXT[code.word])}.write_bytes(out, {value})")
        code.place()


class WideBuffer(Wire):
    """A conformant array of wchar_t, as long as its reader asked for: a string of just that length, NULs included."""

    def read(self, code: _Code, name: str) -> None:
        """The characters, NULs included; a count of 0 is an empty string."""
        code.flush()
        code.line(f"{name}, at = {code.bind(_read_wide)}(stub, at, {code.bind(TEXT[code.word])})")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The count of code units, and the characters."""
        code.flush()
        code.line(f"{code.bind(_write_wide)}(out, {value}, {code.bind(TEXT[code.word])})")
        code.place()


class Rest(Wire):
    """The rest of the stub, as it is."""

    def read(self, code: _Code, name: str) -> None:
        """Everything from here to the end of the stub."""
        code.flush()
        code.line(f"{name} = stub[at:]")

    def write(self, code: _Code, value: str) -> None:
        """The bytes as they are."""
        code.flush()
        code.line(f"out += {value}")


class _Switch(Wire):
    """Something that depends on the field `level`."""

    def __init__(self, levels: Levels[Any]) -> None:
        self.levels = levels

    def _read_tag(self, code: _Code) -> str:
        """The union's tag, which must be the level; and what decodes it, or None for the default arm."""
        tag, codec = code.variable(), code.variable()
        code.align(code.word)
        code.number("I", tag)
        code.align(code.word)
        code.flush()
        code.line(f"if level is None: level = {tag}")
        code.line(f"elif {tag} != level: raise {code.bind(_tag_differs)}(level, {tag})")
        code.line(f"{codec} = {code.bind(self.levels.codec)}(level, {code.word})")
        return codec

    def _write_tag(self, code: _Code) -> str:
        codec = code.variable()
        code.align(code.word)
        code.number("I", "message.level")
        code.align(code.word)
        code.flush()
        code.line(f"{codec} = {code.bind(self.levels.codec)}(message.level, {code.word})")
        return codec


class Entries(_Switch):
    """The union of an ENUM_STRUCT: a unique pointer to {EntriesRead, unique pointer to an array of structures}.

    A level that is not declared is the default arm, which is empty: the method is to answer ERROR_INVALID_LEVEL.
    None is the null container, except in a request: there it is the container without an array, which is what Windows'
    clients send, and Samba answers nothing to the other. Both read as None.
    """

    def read(self, code: _Code, name: str) -> None:
        """The union's tag, the container and its array. No array is None."""
        codec = self._read_tag(code)
        read = f"{code.bind(_read_entries)}(stub, at, {codec})"
        code.line(f"{name}, at = {f'yield from {read}' if code.in_pieces else f'{code.bind(finish)}({read})'}")
        if code.request:
            code.line(f"{name} = {name} or None")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The union's tag, the container and its array, in pieces where the function is one of those."""
        codec = self._write_tag(code)
        records = f"{value} or ()" if code.request else value
        write = f"{code.bind(_write_entries)}(out, {records}, {codec}, referent)"
        code.line(f"referent = {f'yield from {write}' if code.in_pieces else f'{code.bind(finish)}({write})'}")
        code.place()


class Info(_Switch):
    """The union of a Get or Set call: a unique pointer to a structure. An undeclared level is the empty default arm."""

    def read(self, code: _Code, name: str) -> None:
        """The union's tag and the structure behind the pointer, or None."""
        codec = self._read_tag(code)
        code.line(f"{name}, at = {code.bind(_read_pointer)}(stub, at, {codec})")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The union's tag and a pointer to the structure, null for None."""
        codec = self._write_tag(code)
        code.line(f"referent = {code.bind(_write_pointer)}(out, {value}, {codec}, referent)")
        code.place()


class InlineInfo(_Switch):
    """A union whose arms are the structures themselves (TRANSPORT_INFO, MS-SRVS 2.2.3.9)."""

    def read(self, code: _Code, name: str) -> None:
        """The union's tag and the structure."""
        codec = self._read_tag(code)
        code.line(f"{name}, at = {code.bind(_read_structure)}(stub, at, {codec})")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The union's tag and the structure."""
        codec = self._write_tag(code)
        code.line(f"referent = {code.bind(_write_structure)}(out, {value}, {codec}, referent)")
        code.place()


class Structure(Wire):
    """One structure in place, or behind a [unique] pointer."""

    def __init__(self, levels: Levels[Any], level: int, *, unique: bool = False) -> None:
        self.levels = levels
        self.level = level
        self.unique = unique

    def read(self, code: _Code, name: str) -> None:
        """The structure, or None behind a null pointer."""
        code.flush()
        codec = code.bind(self.levels.codec(self.level, code.word))
        function = code.bind(_read_pointer if self.unique else _read_structure)
        code.line(f"{name}, at = {function}(stub, at, {codec})")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The structure; a null pointer for None where it may be one."""
        code.flush()
        codec = code.bind(self.levels.codec(self.level, code.word))
        function = code.bind(_write_pointer if self.unique else _write_structure)
        code.line(f"referent = {function}(out, {value}, {codec}, referent)")
        code.place()


class Disks(Wire):
    """DISK_ENUM_CONTAINER (MS-SRVS 2.2.4.92): its array is varying too, and so is each element, a string in place."""

    def read(self, code: _Code, name: str) -> None:
        """The drives, the empty one that ends the list among them."""
        code.flush()
        code.line(f"{name}, at = {code.bind(_read_disks)}(stub, at, {code.bind(TEXT[code.word])})")
        code.place()

    def write(self, code: _Code, value: str) -> None:
        """The drives, and as many counts as the two arrays have."""
        code.flush()
        code.line(f"referent = {code.bind(_write_disks)}(out, {value}, {code.bind(TEXT[code.word])}, referent)")
        code.place()


u32 = Annotated[int, Number("I")]
i32 = Annotated[int, Number("i")]
struct_level = Annotated[int, StructLevel("I")]
union_level = Annotated[int, UnionLevel()]
optional_u32 = Annotated[int | None, UniqueNumber()]
string = Annotated[str | None, String(unique=True)]
ref_string = Annotated[str, String(unique=False)]
raw_bytes = Annotated[bytes, RawBytes()]
wide_buffer = Annotated[str, WideBuffer()]
handle = Annotated[bytes, ContextHandle()]
rest = Annotated[bytes, Rest()]
disk_container = Annotated[list[DiskInfo] | None, Disks()]

_U32: Final = struct.Struct("<I")


def _tag_differs(level: int, tag: int) -> MalformedMessage:
    return MalformedMessage(f"a union is of level {tag}, but its message of {level}")


def _align(at: int, size: int) -> int:
    return at + size - 1 & -size


def _read_word(stub: bytes, at: int, word: int) -> tuple[int, int]:
    at = _align(at, word)
    if at + word > len(stub):
        raise MalformedMessage(f"a message ends after {len(stub)} bytes")
    return int.from_bytes(stub[at : at + word], "little"), at + word


def _write_word(out: bytearray, value: int, word: int) -> None:
    out += bytes(-len(out) % word)
    out += value.to_bytes(word, "little")


# Entries that one answer may have, and one list. No server has as many sessions or files; an answer of 15 MiB could
# have four million, and take half a gigabyte.
MAX_ENTRIES: Final = 1 << 18


class EntryList(list[Entry]):
    """The entries of an answer, and how many bytes of it they were."""

    __slots__ = ("size",)

    def __init__(self, entries: Iterable[Entry], size: int) -> None:
        super().__init__(entries)
        self.size = size


def _read_entries(
    stub: bytes, at: int, codec: Codec[Any] | None
) -> Generator[None, None, tuple[list[Any] | None, int]]:
    if codec is None:
        return None, at
    word = codec.word
    container, at = _read_word(stub, at, word)
    if not container:
        return None, at
    entries_read, at = _read_word(stub, _align(at, word), 4)
    array, at = _read_word(stub, at, word)
    if not array:
        return [], at
    count, at = _read_word(stub, at, word)
    if count != entries_read:
        raise MalformedMessage(f"an array of {count} entries where {entries_read} are announced")
    if count > MAX_ENTRIES:
        raise MalformedMessage(f"an array of {count} entries; {MAX_ENTRIES} at most are taken")
    begin = _align(at, codec.alignment)
    entries, at = yield from codec.read_in_pieces(stub, begin, count)
    return EntryList(entries, at - begin), at


def _write_entries(out: bytearray, entries: Any, codec: Codec[Any] | None, referent: int) -> Generator[None, None, int]:
    if codec is None:
        return referent
    word = codec.word
    if entries is None:
        _write_word(out, 0, word)
        return referent
    _write_word(out, referent, word)
    out += bytes(-len(out) % word) + _U32.pack(len(entries))
    if not entries:
        _write_word(out, 0, word)
        return referent + 4
    _write_word(out, referent + 4, word)
    _write_word(out, len(entries), word)
    out += bytes(-len(out) % codec.alignment)
    data, referent = yield from codec.write_in_pieces(entries, referent + 8)
    out += data
    return referent


def _read_structure(stub: bytes, at: int, codec: Codec[Any] | None) -> tuple[Any, int]:
    if codec is None:
        return None, at
    (value,), at = codec.read(stub, _align(at, codec.alignment), 1)
    return value, at


def _write_structure(out: bytearray, value: Any, codec: Codec[Any] | None, referent: int) -> int:
    if codec is None:
        return referent
    if value is None:
        raise LocalProtocolError(f"a {codec.owner.record.__name__} is missing")
    out += bytes(-len(out) % codec.alignment)
    data, referent = codec.write([value], referent)
    out += data
    return referent


def _read_pointer(stub: bytes, at: int, codec: Codec[Any] | None) -> tuple[Any, int]:
    if codec is None:
        return None, at
    pointer, at = _read_word(stub, at, codec.word)
    return _read_structure(stub, at, codec) if pointer else (None, at)


def _write_pointer(out: bytearray, value: Any, codec: Codec[Any] | None, referent: int) -> int:
    if codec is None:
        return referent
    if value is None:
        _write_word(out, 0, codec.word)
        return referent
    _write_word(out, referent, codec.word)
    return _write_structure(out, value, codec, referent + 4)


def _read_wide(stub: bytes, at: int, text: Any) -> tuple[str, int]:
    count, at = _read_word(stub, at, text.word)
    end = at + 2 * count
    if end > len(stub):
        raise MalformedMessage(f"an array of {count} characters in {len(stub)} bytes")
    return str(stub[at:end], "utf-16-le", "surrogatepass"), end


def _write_wide(out: bytearray, value: str, text: Any) -> None:
    data = value.encode("utf-16-le", "surrogatepass")
    _write_word(out, len(data) // 2, text.word)
    out += data


def _read_disks(stub: bytes, at: int, text: Any) -> tuple[list[DiskInfo] | None, int]:
    word = text.word
    entries_read, at = _read_word(stub, _align(at, word), 4)
    array, at = _read_word(stub, at, word)
    if not array:
        return None, at
    maximum, at = _read_word(stub, at, word)
    offset, at = _read_word(stub, at, word)
    count, at = _read_word(stub, at, word)
    # An element has two counts at least, so that a count that cannot be true is known before anything is made for it.
    if offset or maximum != entries_read or count > maximum or count > (len(stub) - at) // (2 * word):
        raise MalformedMessage(f"an array of {count} disks, {maximum} at most, {entries_read} announced")
    entries = []
    for _ in range(count):
        offset, at = _read_word(stub, at, word)
        units, at = _read_word(stub, at, word)
        end = at + 2 * units
        if offset or not 1 <= units <= 3 or stub[end - 2 : end] != b"\0\0":
            raise MalformedMessage(f"the name of a disk with {units} characters from {offset}")
        entries.append(DiskInfo(str(stub[at : end - 2], "utf-16-le", "surrogatepass")))
        at = end
    return entries, at


def _write_disks(out: bytearray, entries: list[DiskInfo] | None, text: Any, referent: int) -> int:
    word = text.word
    out += bytes(-len(out) % word) + _U32.pack(len(entries or ()))
    if entries is None:
        _write_word(out, 0, word)
        return referent
    _write_word(out, referent, word)
    for count in (len(entries), 0, len(entries)):
        _write_word(out, count, word)
    for entry in entries:
        data = entry.disk.encode("utf-16-le", "surrogatepass") + b"\0\0"
        if len(data) > 6:
            raise LocalProtocolError(f"{entry.disk!r} is no name of a disk: two characters at most")
        _write_word(out, 0, word)
        _write_word(out, len(data) // 2, word)
        out += data
    return referent + 4


def _first_call(self: Message, *args: Any, **arguments: Any) -> None:
    """The constructor of a class until it is called: makes the real one."""
    cls = type(self)
    constructor = _constructor(cls)
    cls.__init__ = constructor  # type: ignore[method-assign]
    constructor(self, *args, **arguments)


@dataclass_transform()
class _MessageType(type):
    """Makes the classes: slots and a constructor from annotations, as @dataclass(slots=True) would, in less time.

    The interfaces have more than a hundred classes, of which a program uses a few: a constructor is made when it is
    first called, and resolving the annotations waits until something is packed.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _MessageType:
        own: list[str] = [
            field
            for field, annotation in namespace.get("__annotations__", {}).items()
            if not str(annotation).startswith(("ClassVar", "typing.ClassVar"))
        ]
        defaults: dict[str, Any] = {field: namespace.pop(field) for field in own if field in namespace}
        inherited: tuple[str, ...] = next((base.__match_args__ for base in bases if isinstance(base, cls)), ())
        for base in bases:
            if isinstance(base, cls):
                defaults = {**base._defaults, **defaults}
        namespace |= {"__slots__": tuple(own), "__match_args__": (*inherited, *own), "_defaults": defaults}
        namespace["__init__"] = _first_call
        return super().__new__(cls, name, bases, namespace)

    __match_args__: tuple[str, ...]
    _defaults: dict[str, Any]

    @property
    def parameters(cls) -> tuple[str, ...]:
        """The names of the fields, in wire order."""
        return cls.__match_args__


class Message(metaclass=_MessageType):
    """One direction of a call: its parameters in wire order."""

    _request: ClassVar[bool] = False

    def pack(self, ndr64: bool = False) -> bytes:
        """The stub. Raises LocalProtocolError if a value does not fit its type."""
        try:
            return typing.cast(bytes, _compiled(type(self), 8 if ndr64 else 4)[0](self))
        except (struct.error, OverflowError) as error:
            raise LocalProtocolError(f"{self!r} cannot be packed: {error}") from None

    def pack_in_pieces(self, ndr64: bool = False) -> Generator[None, None, bytes]:
        """`pack`, which yields whenever others may have a turn: not before 512 entries have been written."""
        try:
            return typing.cast(bytes, (yield from _compiled_to_pack_in_pieces(type(self), 8 if ndr64 else 4)(self)))
        except (struct.error, OverflowError) as error:
            raise LocalProtocolError(f"{self!r} cannot be packed: {error}") from None

    @classmethod
    def unpack(cls: type[M], stub: bytes | bytearray | memoryview, ndr64: bool = False) -> M:
        """Read a stub. Raises MalformedMessage."""
        try:
            return typing.cast(M, _compiled(cls, 8 if ndr64 else 4)[1](bytes(stub)))
        except struct.error:
            raise MalformedMessage(f"{cls.__name__}: a stub of {len(stub)} bytes is too short") from None
        except MalformedMessage as error:
            raise MalformedMessage(f"{cls.__name__}: {error}") from None

    @classmethod
    def unpack_in_pieces(cls: type[M], stub: bytes, ndr64: bool = False) -> Generator[None, None, M]:
        """`unpack`, which yields whenever others may have a turn."""
        try:
            return typing.cast(M, (yield from _compiled_in_pieces(cls, 8 if ndr64 else 4)(stub)))
        except struct.error:
            raise MalformedMessage(f"{cls.__name__}: a stub of {len(stub)} bytes is too short") from None
        except MalformedMessage as error:
            raise MalformedMessage(f"{cls.__name__}: {error}") from None

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).parameters)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in type(self).parameters)})"
        )


class Response(Message):
    """What a call answers. `status` is the code of the outcome, 0 for success."""


# What a request may have, in bytes. Most are a few names of 1,024 characters and numbers (MS-SRVS 3.1.4.2 and others);
# some bring a share, a server or a transport, with paths, comments and a security descriptor.
SMALL_REQUEST: Final = 16 * 1024
LARGE_REQUEST: Final = 256 * 1024


class Call(Message, Generic[R]):
    """What a call asks; `response` is the class of its answer. A longer stub than `max_request` is none of its.

    `levels` are the information levels that the specification defines for the call; empty where it has none.
    """

    _request: ClassVar[bool] = True
    max_request: ClassVar[int] = SMALL_REQUEST
    levels: ClassVar[frozenset[int]] = frozenset()
    interface: ClassVar[Interface]
    opnum: ClassVar[int]
    response: ClassVar[type[Any]]

    def __init_subclass__(cls) -> None:
        for base in getattr(cls, "__orig_bases__", ()):
            if isinstance(answer := (typing.get_args(base) or (None,))[0], type):
                cls.response = answer

    @classmethod
    def level_in(cls, stub: bytes, ndr64: bool = False) -> int | None:
        """The level that a request is about, and nothing of what is behind it. None: it has none.

        Raises MalformedMessage.
        """
        if "level" not in cls.parameters:
            return None
        try:
            return typing.cast(int, _compiled_head(cls, 8 if ndr64 else 4)(stub))
        except struct.error:
            raise MalformedMessage(f"{cls.__name__}: a stub of {len(stub)} bytes is too short") from None

    @classmethod
    def refused(cls, level: int | None, status: int) -> Any:
        """The answer to a request of that level, which is refused with `status` before anything else of it is read."""
        response = cls.response
        named = {"level": level or 0} if "level" in response.parameters else {}
        return response(**named, status=status)

    def answer(self, stub: bytes | bytearray | memoryview, ndr64: bool = False) -> R:
        """Read the answer to this call. Raises MalformedMessage."""
        return typing.cast(R, self.response.unpack(stub, ndr64))

    def answer_in_pieces(self, stub: bytes, ndr64: bool = False) -> Generator[None, None, R]:
        """`answer`, which yields whenever others may have a turn."""
        return typing.cast("Generator[None, None, R]", self.response.unpack_in_pieces(stub, ndr64))

    def failed(self, status: int) -> R:
        """The answer that this call failed with `status`: the level and handles as they came, the rest empty."""
        response = self.response
        values = {"status": status}
        for name in response.parameters:
            if name not in response._defaults or name in ("resume_handle", "parm_err"):
                values[name] = getattr(self, name)
        return typing.cast(R, response(**values))


class Interface:
    """An interface: its name in the specification, its id and version, and its calls by number."""

    def __init__(self, name: str, uuid: str, major: int, minor: int = 0) -> None:
        self.name = name
        self.uuid = Guid.parse(uuid)
        self.major = major
        self.minor = minor
        self.requests: dict[int, type[Call[Any]]] = {}

    def call(self, opnum: int) -> Callable[[T], T]:
        """Declare the request of an operation."""

        def register(cls: T) -> T:
            if not issubclass(cls, Call) or opnum in self.requests:
                raise TypeError(f"{cls.__name__} cannot be operation {opnum} of {self.name}")
            cls.opnum = opnum
            cls.interface = self
            self.requests[opnum] = cls
            return cls

        return register

    def __repr__(self) -> str:
        return f"<{self.name} {self.uuid} {self.major}.{self.minor}>"


def _constructor(cls: type[Message]) -> Callable[..., None]:
    names = cls.parameters
    defaults: Mapping[str, Any] = cls._defaults
    parameters = [f"{name}=defaults[{name!r}]" if name in defaults else name for name in names]
    body = [f"    self.{name} = {name}" for name in names] or ["    pass"]
    source = "\n".join([f"def __init__({', '.join(['self', *parameters])}):", *body])
    namespace: dict[str, Any] = {"defaults": defaults}
    exec(compile(source, f"<{cls.__name__}>", "exec"), namespace)
    return typing.cast("Callable[..., None]", namespace["__init__"])


_COMPILED: Final[dict[tuple[type[Message], int], tuple[Callable[[Any], Any], Callable[[bytes], Any]]]] = {}


def _compiled(cls: type[Message], word: int) -> tuple[Callable[[Any], Any], Callable[[bytes], Any]]:
    """The functions that pack and unpack `cls`."""
    found = _COMPILED.get((cls, word))
    if found is None:
        found = _COMPILED[cls, word] = _compile(cls, word)
    return found


_IN_PIECES: Final[dict[tuple[type[Message], int], Callable[[bytes], Generator[None, None, Any]]]] = {}


def _compiled_in_pieces(cls: type[Message], word: int) -> Callable[[bytes], Generator[None, None, Any]]:
    """The function that unpacks `cls` in pieces."""
    found = _IN_PIECES.get((cls, word))
    if found is None:
        hints = typing.get_type_hints(cls, include_extras=True)
        names: dict[str, Any] = {"Message": cls}
        reader = _Code(word, writing=False, request=cls._request, names=names, in_pieces=True)
        for name in cls.parameters:
            hints[name].__metadata__[0].read(reader, name)
        reader.flush()
        made = f"    return Message({', '.join(cls.parameters)})"
        source = "\n".join(["def unpack(stub):", "    at = 0", *reader.lines, made, "    yield"])
        exec(compile(source, f"<{cls.__name__} in pieces, {8 * word} bit>", "exec"), names)
        found = _IN_PIECES[cls, word] = names["unpack"]
    return found


_PACK_IN_PIECES: Final[dict[tuple[type[Message], int], Callable[[Any], Generator[None, None, Any]]]] = {}


def _compiled_to_pack_in_pieces(cls: type[Message], word: int) -> Callable[[Any], Generator[None, None, Any]]:
    """The function that packs `cls` in pieces."""
    found = _PACK_IN_PIECES.get((cls, word))
    if found is None:
        hints = typing.get_type_hints(cls, include_extras=True)
        names: dict[str, Any] = {}
        writer = _Code(word, writing=True, request=cls._request, names=names, in_pieces=True)
        for name in cls.parameters:
            hints[name].__metadata__[0].write(writer, f"message.{name}")
        writer.flush()
        begin = ["def pack(message):", "    out = bytearray()", f"    referent = {FIRST_REFERENT}"]
        source = "\n".join([*begin, *writer.lines, "    return bytes(out)", "    yield"])
        exec(compile(source, f"<{cls.__name__} in pieces, {8 * word} bit>", "exec"), names)
        found = _PACK_IN_PIECES[cls, word] = names["pack"]
    return found


_HEADS: Final[dict[tuple[type[Message], int], Callable[[bytes], Any]]] = {}


def _compiled_head(cls: type[Message], word: int) -> Callable[[bytes], Any]:
    """The function that reads a stub up to its level, and gives that."""
    found = _HEADS.get((cls, word))
    if found is None:
        hints = typing.get_type_hints(cls, include_extras=True)
        names: dict[str, Any] = {}
        reader = _Code(word, writing=False, request=cls._request, names=names)
        for name in cls.parameters[: cls.parameters.index("level") + 1]:
            hints[name].__metadata__[0].read(reader, name)
        reader.flush()
        source = "\n".join(["def level(stub):", "    at = 0", *reader.lines, "    return level"])
        exec(compile(source, f"<level of {cls.__name__}, {8 * word} bit>", "exec"), names)
        found = _HEADS[cls, word] = typing.cast("Callable[[bytes], Any]", names["level"])
    return found


def _compile(cls: type[Message], word: int) -> tuple[Callable[[Any], Any], Callable[[bytes], Any]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields: list[tuple[str, Wire]] = [(name, hints[name].__metadata__[0]) for name in cls.parameters]
    names: dict[str, Any] = {"Message": cls}
    writer = _Code(word, writing=True, request=cls._request, names=names)
    reader = _Code(word, writing=False, request=cls._request, names=names)
    for name, wire in fields:
        wire.write(writer, f"message.{name}")
        wire.read(reader, name)
    writer.flush()
    reader.flush()
    source = "\n".join(
        [
            "def pack(message):",
            "    out = bytearray()",
            f"    referent = {FIRST_REFERENT}",
            *writer.lines,
            "    return bytes(out)",
            "def unpack(stub):",
            "    at = 0",
            *reader.lines,
            f"    return Message({', '.join(cls.parameters)})",
        ]
    )
    exec(compile(source, f"<{cls.__name__}, {8 * word} bit>", "exec"), names)
    return names["pack"], names["unpack"]
