"""Structures declared once: what is compiled from a declaration, and what it refuses."""

from __future__ import annotations

import struct
from dataclasses import field
from typing import Annotated, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.errors import LocalProtocolError, MalformedMessage
from lanman.smb2 import messages
from lanman.wire import (
    Data,
    Variable,
    blob,
    bytes8,
    guid,
    i64,
    pad1,
    pad2,
    text,
    text_bytes,
    u8,
    u16,
    u32,
    u64,
    utf16,
    wire,
)


class Structure:
    """What a type checker is to know of the compiled functions."""

    __slots__ = ()

    def pack(self) -> bytes:
        raise NotImplementedError

    def parts(self) -> list[Data]:
        raise NotImplementedError

    @classmethod
    def unpack(cls, pdu: memoryview) -> Structure:
        raise NotImplementedError


@wire()
class Scalars(Structure):
    one: u8
    reserved: ClassVar[pad1]
    two: u16
    four: u32
    eight: u64
    signed: i64
    eight_bytes: bytes8
    sixteen: guid = bytes(16)


@wire(13)
class Two(Structure):
    wire_base: ClassVar[int] = 4
    reserved: ClassVar[pad2]
    name: utf16
    rest: Annotated[Data, Variable("nH oH", align=8, empty="zero", read=None)] = b""


def _numbers(view: memoryview) -> list[int]:
    if len(view) % 2:
        raise MalformedMessage("half a number")
    return list(struct.unpack(f"<{len(view) // 2}H", view))


def _number_bytes(numbers: list[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}H", *numbers)


@wire(8, minimum=12)
class Listed(Structure):
    reserved: ClassVar[pad2]
    numbers: Annotated[
        list[int],
        Variable("oH nH", read=_numbers, write=_number_bytes),
    ] = field(default_factory=list)


@wire(8)
class Before(Structure):
    first: blob = b""
    second: Annotated[bytes, Variable("oB nB", empty="before")] = b""


def test_scalars_stand_in_the_order_of_the_declaration() -> None:
    value = Scalars(1, 2, 3, 4, -5, b"12345678", b"g" * 16)
    packed = value.pack()
    assert packed == struct.pack("<BxHIQq8s16s", 1, 2, 3, 4, -5, b"12345678", b"g" * 16)
    assert Scalars.unpack(memoryview(packed)) == value
    assert value.parts() == [packed]
    assert not hasattr(value, "__dict__")


def test_offsets_lengths_and_padding_are_computed() -> None:
    value = Two("ab", b"xyz")
    assert value.pack().hex() == "0d00000010000400030018006100620000000000" + b"xyz".hex()
    assert Two.unpack(memoryview(b"base" + value.pack())) == value


def test_an_odd_size_stands_for_at_least_one_byte() -> None:
    assert Two("").pack().hex() == "0d000000100000000000000000"
    assert Two.unpack(memoryview(b"base" + Two("").pack()[:12])) == Two("")
    assert Listed([7]).pack().hex() == "080000000800020007000000"


def test_an_empty_part_may_point_where_the_one_before_begins() -> None:
    assert Before(b"abc").pack().hex() == "0800080003000800" + b"abc".hex()


def test_a_loose_part_is_not_copied() -> None:
    payload = memoryview(bytes(1000))
    assert any(part is payload for part in Two("a", payload).parts())
    received = memoryview(b"base" + Two("a", payload).pack())
    assert Two.unpack(received).rest.obj is received.obj  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrong",
    [
        "0c00 0000 1000 0000 0000 0000",  # another StructureSize
        "0d00 0000 1000 0200 0000 0000",  # a name beyond the end
        "0d00 0000 0e00 0200 0000 0000 6100",  # a name in the fixed part
        "0d00 0000 1000 0100 0000 0000 61",  # half a character
        "0d00 0000 1000 0200 0000 0000 00d8",  # half a pair
        "0d00 0000 1000 0000 0100 ffff 00",
        "0d00 0000 1000",
        "",
    ],
)
def test_what_does_not_hold_is_malformed(wrong: str) -> None:
    with pytest.raises(MalformedMessage):
        Two.unpack(memoryview(b"base" + bytes.fromhex(wrong)))


def test_what_has_no_room_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        Scalars(256, 0, 0, 0, 0, b"").pack()
    with pytest.raises(LocalProtocolError):
        Two("a" * 40000).pack()
    with pytest.raises(LocalProtocolError):
        Two("\ud800").pack()


def test_a_declaration_must_add_up() -> None:
    @wire(9)
    class Short(Structure):
        one: u8

    @wire()
    class Plain(Structure):
        one: int

    with pytest.raises(TypeError, match="StructureSize says 9"):
        Short(1).pack()
    with pytest.raises(TypeError, match="no layout"):
        Plain.unpack(memoryview(b""))


@pytest.mark.parametrize("kind", [*messages.REQUESTS, *messages.RESPONSES])
def test_messages_add_up(kind: type[messages.Message]) -> None:
    """They are compiled when first used: so here."""
    with pytest.raises(MalformedMessage):
        kind.unpack(memoryview(b""))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_there_and_back(value: str) -> None:
    assert text(memoryview(text_bytes(value))) == value


@given(st.binary(max_size=64))
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    for kind in (Scalars, Two, Listed, Before):
        try:
            value = kind.unpack(memoryview(data))
        except MalformedMessage:
            continue
        base = getattr(kind, "wire_base", 0)
        assert kind.unpack(memoryview(bytes(base) + value.pack())) == value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.binary(max_size=40))
def test_what_is_packed_is_unpacked(name: str, rest: bytes) -> None:
    assert Two.unpack(memoryview(b"base" + Two(name, rest).pack())) == Two(name, rest)
