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
`struct.Struct`, generated and compiled when the first of them is called, since a command uses few of all messages.
StructureSize, offsets, lengths and padding are computed, so nobody can set them wrong. Reading checks every bound: any
bytes give a value or MalformedMessage.

Offsets count from the start of what `unpack` is given; a class with `wire_base = 64` begins behind a 64-byte header.
A size of None declares a structure without a StructureSize field. An odd StructureSize stands for a variable part of at
least one byte (MS-SMB2 2.2): the fixed part is one byte shorter, and pack() never writes less than the odd size.
A reserved field is `reserved: ClassVar[pad2]`: skipped when read, zeros when written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from lanman.errors import LocalProtocolError, MalformedMessage

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
    """What `text` reads."""
    try:
        return value.encode("utf-16-le")
    except UnicodeEncodeError:
        raise LocalProtocolError("a string cannot be written as UTF-16") from None


@dataclass(slots=True)
class Fixed:
    """A field of fixed size: its `struct` code. `padding` is skipped when read and written as zeros."""

    code: str
    padding: bool = False


@dataclass(slots=True)
class Variable:
    """A field whose bytes lie behind the fixed part; what stands in the fixed part is their offset and length.

    `layout` is the struct codes of that pair, `o` before the offset's and `n` before the length's:
    "oH nH" is the usual one, "oH 2x nI" has two reserved bytes in the middle, "nI oH" comes the other way round.
    """

    layout: str
    align: int = 1
    empty: Literal["here", "before", "zero"] = "here"  # the offset of no bytes: as of some, of the part before, or 0
    read: Callable[[memoryview], Any] | None = bytes  # None hands out the slice itself
    write: Callable[[Any], bytes] | None = None


u8 = Annotated[int, Fixed("B")]
u16 = Annotated[int, Fixed("H")]
u32 = Annotated[int, Fixed("I")]
u64 = Annotated[int, Fixed("Q")]
i64 = Annotated[int, Fixed("q")]
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
        # What compares and prints is shared: dataclass() would compile it for each class, which takes a command 10 ms.
        made: Any = dataclass(slots=True, eq=False, repr=False)(cls)
        made.__eq__, made.__hash__, made.__repr__ = _equal, None, _representation
        _compile_later(made, size, (size or 0) if minimum is None else minimum)
        return cast("type[T]", made)

    return decorate


def _compile_later(cls: type[Any], size: int | None, minimum: int) -> None:
    """Have the first call of any of the generated functions generate them all."""

    def unpack(kind: Any, pdu: Any) -> Any:
        _compile(cls, size, minimum)
        return cls.unpack.__func__(kind, pdu)

    def parts(self: Any) -> Any:
        _compile(cls, size, minimum)
        return cls.parts(self)

    def pack(self: Any) -> Any:
        _compile(cls, size, minimum)
        return cls.pack(self)

    cls.unpack, cls.parts, cls.pack = classmethod(unpack), parts, pack


def _equal(self: Any, other: Any) -> bool:
    same = type(other) is type(self)
    return same and all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)


def _representation(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__name__}({fields})"


class _Layout:
    """What the generated functions are made from, in wire order."""

    def __init__(self) -> None:
        self.codes: list[str] = []  # struct codes
        self.read: list[str] = []  # a target name for each value that the struct yields
        self.write: list[str] = []  # an expression for each value that the struct takes
        self.arguments: list[str] = []  # the local name of each field
        self.variables: list[tuple[str, Variable]] = []

    def add(self, name: str, kind: Fixed | Variable) -> None:
        if isinstance(kind, Fixed):
            self.codes.append(kind.code)
            if not kind.padding:
                self.arguments.append(name)
                self.read.append(name)
                self.write.append(f"self.{name}")
            return
        self.arguments.append(name)
        self.variables.append((name, kind))
        for token in kind.layout.split():
            self.codes.append(token.lstrip("on"))
            if token[0] in "on":
                self.read.append(f"{token[0]}_{name}")
                self.write.append(f"{token[0]}_{name}")


def _kind(hint: Any) -> Fixed | Variable | None:
    """The layout that an annotation carries, within ClassVar[] too (a reserved field)."""
    if get_origin(hint) is ClassVar:
        hint = get_args(hint)[0]
    if get_origin(hint) is Annotated:
        for note in hint.__metadata__:
            if isinstance(note, Fixed | Variable):
                return note
    return None


def _compile(cls: type[Any], size: int | None, minimum: int) -> None:
    layout = _Layout()
    if size is not None:
        layout.codes.append("H")
        layout.read.append("structure_size")
        layout.write.append(str(size))
    for name, hint in get_type_hints(cls, include_extras=True).items():
        kind = _kind(hint)
        if kind is not None:
            layout.add(name, kind)
        elif get_origin(hint) is not ClassVar:
            raise TypeError(f"{cls.__name__}.{name}: {hint!r} has no layout")
    packer = struct.Struct("<" + "".join(layout.codes))
    if size is not None and packer.size != size & ~1:
        raise TypeError(f"{cls.__name__}: the fields fill {packer.size} bytes, StructureSize says {size}")
    base = int(getattr(cls, "wire_base", 0))
    namespace: dict[str, Any] = {
        "take": packer.unpack_from,
        "give": packer.pack,
        "StructError": struct.error,
        "MalformedMessage": MalformedMessage,
        "LocalProtocolError": LocalProtocolError,
    }
    for name, variable in layout.variables:
        namespace[f"read_{name}"] = variable.read
        namespace[f"write_{name}"] = variable.write
    lines = _unpack_lines(cls.__name__, layout, base, base + packer.size, size)
    lines += _parts_lines(cls.__name__, layout, base + packer.size, minimum - packer.size)
    exec(compile("\n".join(lines), f"<wire {cls.__name__}>", "exec"), namespace)
    cls.unpack, cls.parts, cls.pack = classmethod(namespace["unpack"]), namespace["parts"], namespace["pack"]


def _unpack_lines(title: str, layout: _Layout, base: int, end: int, size: int | None) -> list[str]:
    lines = [
        "def unpack(cls, pdu):",
        "    try:",
        f"        ({''.join(name + ', ' for name in layout.read)}) = take(pdu, {base})",
        "    except StructError:",
        f"        raise MalformedMessage('{title}: cut short') from None",
    ]
    if size is not None:
        lines += [
            f"    if structure_size != {size}:",
            f"        raise MalformedMessage(f'{title}: StructureSize {{structure_size}}, not {size}')",
        ]
    if layout.variables:
        lines.append("    size = len(pdu)")
    for name, variable in layout.variables:
        value = "view" if variable.read is None else f"read_{name}(view)"
        lines += [
            f"    if n_{name}:",
            f"        stop = o_{name} + n_{name}",
            f"        if o_{name} < {end} or stop > size:",
            f"            raise MalformedMessage('{title}: {name} lies outside the message')",
            f"        view = pdu[o_{name}:stop]",
            "    else:",
            "        view = pdu[:0]",
            f"    {name} = {value}",
        ]
    return [*lines, f"    return cls({', '.join(layout.arguments)})"]


def _parts_lines(title: str, layout: _Layout, end: int, minimum_tail: int) -> list[str]:
    """parts(): a list of buffers, the fixed part first; pack(): the same as one bytes object."""
    lines = ["def parts(self):", f"    at = {end}"]
    tail: list[str] = []
    before = str(end)
    for name, variable in layout.variables:
        value = f"self.{name}" if variable.write is None else f"write_{name}(self.{name})"
        lines += [f"    v_{name} = {value}", f"    n_{name} = len(v_{name})"]
        if variable.align > 1:
            lines += [f"    gap_{name} = -at % {variable.align} if n_{name} else 0", f"    at += gap_{name}"]
            tail.append(f"bytes(gap_{name})")
        empty = {"here": "at", "before": before, "zero": "0"}[variable.empty]
        lines += [f"    o_{name} = at if n_{name} else {empty}", f"    at += n_{name}"]
        before = f"o_{name}"
        tail.append(f"v_{name}")
    lines += [
        "    try:",
        f"        fixed = give({', '.join(layout.write)})",
        "    except StructError as error:",
        f"        raise LocalProtocolError(f'{title}: {{error}}') from None",
    ]
    if minimum_tail > 0:
        lines += [
            f"    if at < {end + minimum_tail}:",
            f"        return [fixed, {', '.join([*tail, ''])}bytes({end + minimum_tail} - at)]",
        ]
    lines += [
        f"    return [fixed, {', '.join(tail)}]",
        "def pack(self):",
        "    return b''.join(self.parts())" if tail or minimum_tail > 0 else "    return self.parts()[0]",
    ]
    return lines
