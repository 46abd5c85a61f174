"""Messages to test with: every call, both directions, every information level, made from the declarations."""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from lanman.records import DiskInfo
from lanman.rpc import levels, ndr
from lanman.rpc.control import LANMAN
from lanman.rpc.ndr import Message
from lanman.rpc.srvsvc import SRVSVC

CALLS = [*SRVSVC.requests.values(), *LANMAN.requests.values()]
CLASSES: list[type[Message]] = [*CALLS, *dict.fromkeys(call.response for call in CALLS)]

# Self-relative, owner and group BUILTIN\\Administrators, no lists: a peer that looks into one finds nothing amiss.
SECURITY_DESCRIPTOR = bytes.fromhex(
    "01000080140000002400000000000000000000000102000000000005200000002002000001020000000000052000000020020000"
)


def wires(cls: type[Message]) -> dict[str, ndr.Wire]:
    """The wire types of a message's fields, in order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in cls.parameters}


def levels_of(cls: type[Message]) -> list[int | None]:
    """The levels at which a message exists; [None] where it has none, and one that is not declared at the end."""
    for wire in wires(cls).values():
        if isinstance(wire, ndr.Entries | ndr.Info | ndr.InlineInfo):
            return [*wire.levels.table, 4711]
    return [None]


# --- One of each, the same every time ---------------------------------------------------------------------------------


class _Maker:
    """Values that all differ, so that two fields that change places are seen."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def number(self) -> int:
        return next(self._numbers) * 0x01010001 & 0xFFFFFFFF

    def text(self) -> str:
        # Of even and odd lengths, empty ones too.
        number = next(self._numbers)
        return "åbcdefghij"[: number % 7] + (str(number) if number % 7 else "")

    def member(self, kind: levels.Kind) -> Any:
        if kind.text:
            return self.text()
        if kind is levels.COUNTED:
            return SECURITY_DESCRIPTOR
        if kind.data:
            return self.text().encode()
        if kind.truth:
            return bool(next(self._numbers) % 2)
        if kind is levels.BYTES_256:
            return bytes(range(256))
        return self.number() & 0x7FFFFFFF

    def record(self, declared: levels.Levels[Any], level: int) -> Any:
        return declared.record(**{name: self.member(kind) for name, kind in declared.members(level)})

    def value(self, wire: ndr.Wire, level: int | None, *, request: bool) -> Any:
        if isinstance(wire, ndr.String):
            return self.text()
        if isinstance(wire, ndr.RawBytes | ndr.Rest):
            return b"bytes"
        if isinstance(wire, ndr.WideBuffer):
            return "wide\0"
        if isinstance(wire, ndr.ContextHandle):
            return bytes(range(20))
        if isinstance(wire, ndr.Disks):
            return None if request else [DiskInfo("C:"), DiskInfo("D:"), DiskInfo("")]
        if isinstance(wire, ndr.Structure):
            return self.record(wire.levels, wire.level)
        if isinstance(wire, ndr.Entries):
            known = level in wire.levels.table
            return [self.record(wire.levels, level or 0) for _ in range(3)] if known else None
        if isinstance(wire, ndr.Info | ndr.InlineInfo):
            return self.record(wire.levels, level or 0) if level in wire.levels.table else None
        return self.number() & 0x7FFFFFFF


def sample(cls: type[Message], level: int | None) -> Message:
    """The message of a class at a level."""
    maker = _Maker()
    values = {}
    for name, wire in wires(cls).items():
        is_level = name == "level" and level is not None
        values[name] = level if is_level else maker.value(wire, level, request=cls._request)
    return cls(**values)


def samples() -> Iterator[tuple[str, Message]]:
    """Every message at every level, with a name for each."""
    for cls in CLASSES:
        for level in levels_of(cls):
            yield cls.__name__ + ("" if level is None else f"-{level}"), sample(cls, level)


def call_of(cls: type[Message]) -> type[ndr.Call[Any]] | None:
    """The srvsvc call that a request or response class belongs to; None for one that serves several."""
    calls = [call for call in SRVSVC.requests.values() if cls in (call, call.response)]
    return calls[0] if len(calls) == 1 else None


# --- Any at all -------------------------------------------------------------------------------------------------------

U32 = st.integers(0, 2**32 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)
# Surrogates that stand alone are wanted; two that form a pair are one character when they come back.
TEXT = st.text(st.characters(), max_size=12).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)
ANY_TEXT = st.one_of(
    TEXT,
    st.text(st.characters(min_codepoint=0xD700, max_codepoint=0x1F600, categories=["Cs", "So", "Lo"]), max_size=5).map(
        lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    ),
    st.sampled_from(["", "ann", r"\\10.0.0.1", "x" * 300]),
)
PARAMETER = ANY_TEXT.map(lambda text: text.replace("\0", ""))


def members(kind: levels.Kind) -> st.SearchStrategy[Any]:
    if kind.text:
        return st.none() | ANY_TEXT
    if kind.data:
        return st.none() | st.binary(max_size=20)
    if kind.truth:
        return st.booleans()
    if kind is levels.BYTES_256:
        return st.binary(min_size=256, max_size=256)
    return I32 if kind is levels.I32 else U32


def records(declared: levels.Levels[Any], level: int) -> st.SearchStrategy[Any]:
    return st.builds(declared.record, **{name: members(kind) for name, kind in declared.members(level)})


def values(wire: ndr.Wire, level: int | None, *, request: bool) -> st.SearchStrategy[Any]:
    """Any value that a field may have and keep on its way."""
    if isinstance(wire, ndr.String):
        return st.none() | PARAMETER if wire.unique else PARAMETER
    if isinstance(wire, ndr.UniqueNumber):
        return st.none() | U32
    if isinstance(wire, ndr.RawBytes | ndr.Rest):
        return st.binary(max_size=40)
    if isinstance(wire, ndr.WideBuffer):
        return TEXT
    if isinstance(wire, ndr.ContextHandle):
        return st.binary(min_size=20, max_size=20)
    if isinstance(wire, ndr.Disks):
        letters = st.sampled_from(["", "C:", "D", "é:"])
        return st.none() | st.lists(st.builds(DiskInfo, letters), max_size=5)
    if isinstance(wire, ndr.Structure):
        one = records(wire.levels, wire.level)
        return st.none() | one if wire.unique else one
    if isinstance(wire, ndr.Entries):
        if level not in wire.levels.table:
            return st.none()
        # In a request, no entries and no container are the same.
        return st.none() | st.lists(records(wire.levels, level or 0), min_size=int(request), max_size=5)
    if isinstance(wire, ndr.Info):
        return st.none() | records(wire.levels, level or 0) if level in wire.levels.table else st.none()
    if isinstance(wire, ndr.InlineInfo):
        return records(wire.levels, level or 0) if level in wire.levels.table else st.none()
    assert isinstance(wire, ndr.Number)
    return I32 if wire.code == "i" else U32


@st.composite
def messages(draw: st.DrawFn, classes: tuple[type[Message], ...] = tuple(CLASSES)) -> Message:
    """Any message of any of the classes."""
    cls = draw(st.sampled_from(classes))
    level = draw(st.sampled_from(levels_of(cls)))
    chosen = {}
    for name, wire in wires(cls).items():
        is_level = name == "level" and level is not None
        chosen[name] = level if is_level else draw(values(wire, level, request=cls._request))
    return cls(**chosen)


def fields(record: object) -> dict[str, Any]:
    """The fields of a record that are set."""
    found = dataclasses.asdict(record)  # type: ignore[call-overload]
    return {name: value for name, value in found.items() if value is not None}
