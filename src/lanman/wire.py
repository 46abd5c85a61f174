"""Structures of fixed layout with variable parts behind them, declared once and compiled.

    @wire(25)
    class SessionSetupRequest(Message):
        flags: u8
        security_mode: u8
        capabilities: u32
        channel: u32
        security_buffer: blob           # (offset, length) here, the bytes behind the fixed part
        previous_session_id: u64 = 0

A declaration becomes a dataclass with slots, and gains `pack()` and `unpack()`: one function each, around one
`struct.Struct`, generated and compiled when it is first called, since a command uses few of all messages.
StructureSize, offsets, lengths, counts and padding are computed and cannot be set. Reading checks every bound: any
bytes give a value or MalformedMessage, which is CutShort if there are too few of them.

What a field can be:

    Fixed       a number, a flag, so many bytes. `reserved: ClassVar[pad2]` is skipped when read and written as zeros;
                `revision: ClassVar[Annotated[int, Fixed("B", constant=1)]]` is written so and must be read so.
    Variable    bytes behind the fixed part, and in the fixed part whatever says where they are and how many: an offset
                and a length, a length alone, an offset alone, a count (see the class).
    structure   another class declared with @wire whose fields are all Fixed: its fields stand here in a row.

Offsets count from the start of what `unpack` is given; a class with `wire_base = 64` begins behind a 64-byte header.
A size of None declares a structure without a StructureSize field. An odd StructureSize stands for a variable part of at
least one byte (MS-SMB2 2.2): the fixed part is one byte shorter, and pack() never writes less than the odd size.

Lists of entries that each say where the next one begins (NextEntryOffset) are `pack_chain` and `unpack_chain`. The
class of an entry declares that field first, as `next_entry_offset: ClassVar[pad4]`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from lanman.errors import CutShort, LocalProtocolError, MalformedMessage
from lanman.plain import dataclass, plain

T = TypeVar("T")

Data = bytes | memoryview
"""Bytes that are not copied on their way through: read, they are a slice of the frame that they came in."""


def text(view: memoryview) -> str:
    """UTF-16LE without terminator. Lone surrogates are refused: no file system here could hold such a name."""
    try:
        return str(view, "utf-16-le")
    except UnicodeDecodeError:
        raise MalformedMessage("a string is not UTF-16") from None


def text_bytes(value: str) -> bytes:
    """UTF-16LE without terminator. Raises LocalProtocolError for a lone surrogate."""
    try:
        return value.encode("utf-16-le")
    except UnicodeEncodeError:
        raise LocalProtocolError("a string cannot be written as UTF-16") from None


class Structure:
    """A structure of no more than its own bytes. `pack` and `unpack` are compiled from the declaration.

    Derive from it, so that a type checker knows the functions that `@wire` adds.
    """

    __slots__ = ()

    def pack(self) -> bytes:
        """Its bytes. LocalProtocolError: a value has no room in its field."""
        raise NotImplementedError

    def parts(self) -> list[Data]:
        """The same in pieces, so that large ones are not copied."""
        raise NotImplementedError

    @classmethod
    def unpack(cls, pdu: Data) -> Self:
        """Read it from the start of `pdu`; what follows it is ignored. Raises MalformedMessage."""
        raise NotImplementedError


@dataclass(slots=True)
class Fixed:
    """A field of fixed size: its `struct` code, without byte order.

    `padding` is skipped when read and written as zeros. A `constant` is no argument of the class: it is written, and
    anything else in its place is malformed. `read` and `write` convert from and to what `struct` has for the code.
    """

    code: str
    padding: bool = False
    constant: int | None = None
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None


@dataclass(slots=True)
class Variable:
    """A field whose bytes lie behind the fixed part; what stands in the fixed part says where.

    `layout` is the struct codes of what stands there, a letter before each that means something:

        "oH nH"     offset and length, the usual pair; "oH 2x nI" has two reserved bytes in the middle, "nI oH" comes
                    the other way round
        "nI"        a length alone: the bytes lie behind the fixed part and behind the variable fields before it
        "oI"        an offset alone: what lies there knows its own length. An offset of 0 is None
        "nH cH"     a length and the number of elements in it; `read` is given the bytes and that number

    A length counts bytes or, with `unit`, elements of so many bytes; with `whole`, the structure's fixed part too.
    More than `most` bytes are malformed.
    """

    layout: str
    align: int = 1
    empty: Literal["here", "before", "zero"] = "here"  # the offset of no bytes: as of some, of the part before, or 0
    read: Callable[..., Any] | None = bytes  # None hands out the slice itself
    write: Callable[[Any], bytes] | None = None
    unit: int = 1
    whole: bool = False
    most: int | None = None

    def has(self, letter: str) -> bool:
        """Whether the layout has an offset `o`, a length `n` or a count `c`."""
        return any(token[0] == letter for token in self.layout.split())


u8 = Annotated[int, Fixed("B")]
u16 = Annotated[int, Fixed("H")]
u32 = Annotated[int, Fixed("I")]
u64 = Annotated[int, Fixed("Q")]
i64 = Annotated[int, Fixed("q")]
boolean = Annotated[bool, Fixed("?")]
"""One byte; any but 0 is true."""
guid = Annotated[bytes, Fixed("16s")]
bytes8 = Annotated[bytes, Fixed("8s")]
bytes16 = Annotated[bytes, Fixed("16s")]
pad1 = Annotated[int, Fixed("x", padding=True)]
pad2 = Annotated[int, Fixed("2x", padding=True)]
pad3 = Annotated[int, Fixed("3x", padding=True)]
pad4 = Annotated[int, Fixed("4x", padding=True)]
pad8 = Annotated[int, Fixed("8x", padding=True)]
blob = Annotated[bytes, Variable("oH nH")]
utf16 = Annotated[str, Variable("oH nH", read=text, write=text_bytes)]


@dataclass_transform()
def wire(size: int | None = None, *, minimum: int | None = None) -> Callable[[type[T]], type[T]]:
    """Compile a declaration. `size` is the StructureSize, `minimum` the least that pack() writes (default: `size`)."""

    def decorate(cls: type[T]) -> type[T]:
        made: Any = plain(cls)
        made.wire_declaration = declared = size, (size or 0) if minimum is None else minimum
        _compile_later(made, *declared)
        return cast("type[T]", made)

    return decorate


def _compile_later(cls: type[Any], size: int | None, minimum: int) -> None:
    """Have the first call of a generated function generate it. Most programs need one direction of a message."""

    def unpack(kind: Any, pdu: Any) -> Any:
        _compile(cls, size, minimum, reads=True)
        return cls.unpack.__func__(kind, pdu)

    def parts(self: Any) -> Any:
        _compile(cls, size, minimum, reads=False)
        return cls.parts(self)

    def pack(self: Any) -> Any:
        _compile(cls, size, minimum, reads=False)
        return cls.pack(self)

    cls.unpack, cls.parts, cls.pack = classmethod(unpack), parts, pack


class _Layout:
    """What the generated functions are made from, in the order of the declaration.

    The local name of a field is its own; the field `b` of a nested structure `a` is `a__b`.
    """

    def __init__(self, structure_size: int | None) -> None:
        self.codes: list[str] = []  # struct codes
        self.read: list[str] = []  # a target name for each value that the struct yields
        self.write: list[str] = []  # an expression for each value that the struct takes
        self.arguments: list[str] = []  # the local name of each field
        self.constants: list[tuple[str, int]] = []
        self.convert: list[str] = []  # statements that make a field's value from what the struct yields
        self.variables: list[tuple[str, Variable]] = []
        self.namespace: dict[str, Any] = {}
        if structure_size is not None:
            self._fixed("structure_size", Fixed("H", constant=structure_size), "")

    def declare(self, cls: type[Any], prefix: str = "", owner: str = "self.") -> list[str]:
        """Add the fields of `cls`, whose values are `owner` and their names. The local names of its arguments."""
        arguments: list[str] = []
        for field, hint in get_type_hints(cls, include_extras=True).items():
            name = prefix + field
            kind = _kind(hint)
            if kind is None:
                if get_origin(hint) is ClassVar:
                    continue
                if not hasattr(hint, "wire_declaration"):
                    raise TypeError(f"{cls.__name__}.{field}: {hint!r} has no layout")
                self._nested(name, hint, f"{owner}{field}.")
            elif isinstance(kind, Fixed):
                self._fixed(name, kind, owner + field)
                if kind.padding or kind.constant is not None:
                    continue
            elif prefix:
                raise TypeError(f"{cls.__name__}.{field}: a structure within another has fixed fields alone")
            else:
                self._variable(name, kind)
            arguments.append(name)
        return arguments

    def _fixed(self, name: str, kind: Fixed, value: str) -> None:
        self.codes.append(kind.code)
        if kind.padding:
            return
        self.read.append(name)
        if kind.constant is not None:
            self.constants.append((name, kind.constant))
            self.write.append(str(kind.constant))
            return
        if kind.read is not None:
            self.namespace[f"read_{name}"] = kind.read
            self.convert.append(f"{name} = read_{name}({name})")
        if kind.write is not None:
            self.namespace[f"write_{name}"] = kind.write
            value = f"write_{name}({value})"
        self.write.append(value)

    def _nested(self, name: str, cls: type[Any], owner: str) -> None:
        arguments = self.declare(cls, f"{name}__", owner)
        self.namespace[f"make_{name}"] = cls
        self.convert.append(f"{name} = make_{name}({', '.join(arguments)})")

    def _variable(self, name: str, kind: Variable) -> None:
        self.variables.append((name, kind))
        self.namespace[f"read_{name}"] = kind.read
        self.namespace[f"write_{name}"] = kind.write
        for token in kind.layout.split():
            self.codes.append(token.lstrip("onc"))
            if token[0] in "onc":
                self.read.append(f"{token[0]}_{name}")
                self.write.append(f"{token[0]}_{name}")


def _kind(hint: Any) -> Fixed | Variable | None:
    """The layout that an annotation carries, within ClassVar[] too (a reserved field or a constant)."""
    if get_origin(hint) is ClassVar:
        hint = get_args(hint)[0]
    if get_origin(hint) is Annotated:
        for note in hint.__metadata__:
            if isinstance(note, Fixed | Variable):
                return note
    return None


def _compile(cls: type[Any], size: int | None, minimum: int, *, reads: bool) -> None:
    """Generate `unpack`, or `parts` and `pack`, of a declared class, in place of what generates them."""
    layout = _Layout(size)
    layout.arguments = layout.declare(cls)
    packer = struct.Struct("<" + "".join(layout.codes))
    if size is not None and packer.size != size & ~1:
        raise TypeError(f"{cls.__name__}: the fields fill {packer.size} bytes, StructureSize says {size}")
    base = int(getattr(cls, "wire_base", 0))
    tail = minimum - packer.size
    give = packer
    if tail > 0 and not layout.variables:
        give, tail = struct.Struct(packer.format + f"{tail}x"), 0
    namespace: dict[str, Any] = {
        **layout.namespace,
        "take": packer.unpack_from,
        "give": give.pack,
        "StructError": struct.error,
        "CutShort": CutShort,
        "MalformedMessage": MalformedMessage,
        "LocalProtocolError": LocalProtocolError,
    }
    if reads:
        lines = _unpack_lines(cls.__name__, layout, base, base + packer.size)
    else:
        lines = _pack_lines(cls.__name__, layout, base + packer.size, packer.size, tail)
    exec(compile("\n".join(lines), f"<wire {cls.__name__}>", "exec"), namespace)
    if reads:
        cls.unpack = classmethod(namespace["unpack"])
    else:
        cls.parts, cls.pack = namespace["parts"], namespace["pack"]


def _unpack_lines(title: str, layout: _Layout, base: int, end: int) -> list[str]:
    lines = [
        "def unpack(cls, pdu):",
        "    try:",
        f"        ({''.join(name + ', ' for name in layout.read)}) = take(pdu, {base})",
        "    except StructError:",
        f"        raise CutShort('{title}: cut short') from None",
    ]
    for name, constant in layout.constants:
        field = "StructureSize" if name == "structure_size" else name
        lines += [
            f"    if {name} != {constant}:",
            f"        raise MalformedMessage(f'{title}: {field} {{{name}}}, not {constant}')",
        ]
    lines += [f"    {line}" for line in layout.convert]
    if layout.variables:
        lines.append("    size = len(pdu)")
    if any(not variable.has("o") for _, variable in layout.variables):
        lines.append(f"    at = {end}")
    for name, variable in layout.variables:
        lines += [f"    {line}" for line in _read_variable(title, name, variable, base, end)]
    return [*lines, f"    return cls({', '.join(layout.arguments)})"]


def _read_variable(title: str, name: str, variable: Variable, base: int, end: int) -> list[str]:
    """The statements that make one variable field's value."""
    value = "view" if variable.read is None else f"read_{name}(view)"
    if variable.has("c"):
        value = f"read_{name}(view, c_{name})"
    outside = f"raise MalformedMessage('{title}: {name} lies outside the message')"
    if not variable.has("n"):
        return [
            f"{name} = None",
            f"if o_{name}:",
            f"    if o_{name} < {end} or o_{name} > size:",
            f"        {outside}",
            f"    view = pdu[o_{name}:]",
            f"    {name} = {value}",
        ]
    lines = []
    if variable.whole:
        lines += [f"n_{name} -= {end - base}", f"if n_{name} < 0:", f"    {outside}"]
    elif variable.unit > 1:
        lines.append(f"n_{name} *= {variable.unit}")
    if variable.most is not None:
        lines += [
            f"if n_{name} > {variable.most}:",
            f"    raise MalformedMessage(f'{title}: {name} has {{n_{name}}} bytes, more than {variable.most}')",
        ]
    if variable.has("o"):
        return [
            *lines,
            f"if n_{name}:",
            f"    stop = o_{name} + n_{name}",
            f"    if o_{name} < {end} or stop > size:",
            f"        {outside}",
            f"    view = pdu[o_{name}:stop]",
            "else:",
            "    view = pdu[:0]",
            f"{name} = {value}",
        ]
    return [
        *lines,
        f"stop = at + n_{name}",
        "if stop > size:",
        f"    raise CutShort('{title}: {name} is cut short')",
        "view = pdu[at:stop]",
        "at = stop",
        f"{name} = {value}",
    ]


def _pack_lines(title: str, layout: _Layout, end: int, fixed: int, minimum_tail: int) -> list[str]:
    """parts(): a list of buffers, the fixed part first; pack(): the same as one bytes object.

    A structure whose variable fields have no offsets is written in one piece, and parts() is made of pack().
    """
    if minimum_tail <= 0 and not any(variable.has("o") for _, variable in layout.variables):
        return [
            "def pack(self):",
            *_one_piece_lines(title, layout, fixed, "self."),
            "def parts(self):",
            "    return [self.pack()]",
        ]
    lines = ["def parts(self):", f"    at = {end}"]
    tail: list[str] = []
    before = str(end)
    for name, variable in layout.variables:
        lines += [f"    {line}" for line in _write_variable(name, variable, fixed, "self.", before)]
        if variable.align > 1:
            tail.append(f"bytes(gap_{name})")
        tail.append(f"v_{name}")
        before = f"o_{name}"
    lines += _give_lines(title, layout)
    if minimum_tail > 0:
        lines += [
            f"    if at < {end + minimum_tail}:",
            f"        return [fixed, {', '.join([*tail, ''])}bytes({end + minimum_tail} - at)]",
        ]
    return [*lines, f"    return [fixed, {', '.join(tail)}]", "def pack(self):", "    return b''.join(self.parts())"]


def _one_piece_lines(title: str, layout: _Layout, fixed: int, owner: str) -> list[str]:
    """The body of a function that gives the bytes of a structure without offsets."""
    lines: list[str] = []
    for name, variable in layout.variables:
        lines += [f"    {line}" for line in _write_variable(name, variable, fixed, owner)]
    lines += _give_lines(title, layout)
    return [*lines, f"    return {' + '.join(['fixed', *(f'v_{name}' for name, _ in layout.variables)])}"]


def _give_lines(title: str, layout: _Layout) -> list[str]:
    return [
        "    try:",
        f"        fixed = give({', '.join(layout.write)})",
        "    except StructError as error:",
        f"        raise LocalProtocolError(f'{title}: {{error}}') from None",
    ]


def _write_variable(name: str, variable: Variable, fixed: int, owner: str, before: str | None = None) -> list[str]:
    """The statements that make one variable field's bytes `v_`, length `n_` and count `c_`; where there are offsets
    too, `o_`, `before` being that of the part before."""
    value = f"{owner}{name}" if variable.write is None else f"write_{name}({owner}{name})"
    if not variable.has("n"):
        value = f"b'' if {owner}{name} is None else {value}"
    lines = [f"v_{name} = {value}", f"n_{name} = len(v_{name})"]
    if variable.has("c"):
        lines.append(f"c_{name} = len({owner}{name})")
    if before is not None:
        if variable.align > 1:
            lines += [f"gap_{name} = -at % {variable.align} if n_{name} else 0", f"at += gap_{name}"]
        if variable.has("o"):
            empty = {"here": "at", "before": before, "zero": "0"}[variable.empty if variable.has("n") else "zero"]
            lines.append(f"o_{name} = at if n_{name} else {empty}")
        lines.append(f"at += n_{name}")
    if variable.whole:
        lines.append(f"n_{name} += {fixed}")
    elif variable.unit > 1:
        lines.append(f"n_{name} //= {variable.unit}")
    return lines


def packer(cls: type[Any]) -> Callable[..., bytes]:
    """A function that packs a structure from the values of its fields, without making an object: for long lists.

    It takes the arguments of the class and gives what `pack()` of the object would. Each call of `packer` compiles one,
    so keep it. TypeError for a structure with offsets.
    """
    size, minimum = cls.wire_declaration
    layout = _Layout(size)
    arguments = layout.declare(cls, owner="")
    give = struct.Struct("<" + "".join(layout.codes))
    tail = max(minimum - give.size, 0)
    if any(variable.has("o") for _, variable in layout.variables) or (tail and layout.variables):
        raise TypeError(f"{cls.__name__} has offsets, or a minimum beside variable fields")
    give = struct.Struct(give.format + f"{tail}x")
    defaults = {each.name: each.default for each in fields(cls) if each.default is not MISSING}
    namespace: dict[str, Any] = {
        **layout.namespace,
        **{f"default_{name}": default for name, default in defaults.items()},
        "give": give.pack,
        "StructError": struct.error,
        "LocalProtocolError": LocalProtocolError,
    }
    signature = ", ".join(f"{name}=default_{name}" if name in defaults else name for name in arguments)
    lines = [f"def packed({signature}):", *_one_piece_lines(cls.__name__, layout, give.size, "")]
    exec(compile("\n".join(lines), f"<wire packer {cls.__name__}>", "exec"), namespace)
    return cast("Callable[..., bytes]", namespace["packed"])


# --- entries with a NextEntryOffset

_NEXT: Final = struct.Struct("<I")
_ZEROS: Final = [bytes(count) for count in range(16)]

E = TypeVar("E", bound=Structure)


class Chain:
    """Entries being packed one behind the other, each but the first at a multiple of `align` (16 at most).

    An entry is the bytes of a structure that begins with a NextEntryOffset of 0; `add` sets that of the entry before.
    """

    def __init__(self, align: int) -> None:
        self._align = align
        self._last = 0
        self.data = bytearray()

    def add(self, entry: bytes, room: int | None = None) -> bool:
        """Put an entry behind the others if they are then at most `room` bytes. Whether it was put there."""
        data = self.data
        size = len(data)
        at = size + -size % self._align
        if room is not None and at + len(entry) > room:
            return False
        if size:
            _NEXT.pack_into(data, self._last, at - self._last)
            data += _ZEROS[at - size]
        self._last = at
        data += entry
        return True


def pack_chain(entries: Iterable[Structure], align: int) -> bytes:
    """The bytes of a list of entries; no bytes for none."""
    chain = Chain(align)
    for entry in entries:
        chain.add(entry.pack())
    return bytes(chain.data)


def unpack_chain(kind: type[E], data: Data) -> list[E]:
    """Read a list of entries of one class. Raises MalformedMessage.

    As the specifications demand of a reader, only NextEntryOffset tells where the next entry begins, aligned or not.
    """
    entries: list[E] = []
    view = memoryview(data)
    while view:
        if len(view) < _NEXT.size:
            raise CutShort(f"{kind.__name__}: cut short")
        (following,) = _NEXT.unpack_from(view)
        if following > len(view):
            raise MalformedMessage(f"{kind.__name__}: the next entry lies beyond the end")
        entries.append(kind.unpack(view[:following] if following else view))
        if not following:
            break
        view = view[following:]
    return entries
