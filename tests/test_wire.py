"""Structures declared once: what is compiled from a declaration, and what it refuses."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import field
from typing import Annotated, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.errors import CutShort, LocalProtocolError, MalformedMessage
from lanman.smb2 import messages
from lanman.wire import (
    Chain,
    Data,
    Fixed,
    Structure,
    Variable,
    blob,
    boolean,
    bytes8,
    guid,
    i64,
    pack_chain,
    packer,
    pad1,
    pad2,
    pad4,
    text,
    text_bytes,
    u8,
    u16,
    u32,
    u64,
    unpack_chain,
    utf16,
    wire,
)


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
    assert Two.unpack(received).rest.obj is received.obj  # type: ignore[union-attr]


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


# --- what lies behind the fixed part without an offset, and what is made of other structures


def _letters(view: memoryview, count: int) -> list[str]:
    if count != len(view):
        raise MalformedMessage("not as many letters")
    return [chr(byte) for byte in view]


def _letter_bytes(letters: list[str]) -> bytes:
    return "".join(letters).encode("latin-1")


@wire()
class Pair(Structure):
    reserved: ClassVar[pad1]
    one: u8
    two: u16


@wire()
class Behind(Structure):
    kind: ClassVar[Annotated[int, Fixed("B", constant=7)]]
    flag: boolean
    pair: Pair
    name: Annotated[str, Variable("nB", read=text, write=text_bytes, most=8)]
    numbers: Annotated[list[int], Variable("nB", unit=2, read=_numbers, write=_number_bytes)]
    hours: Annotated[int, Fixed("H", read=lambda minutes: minutes // 60, write=lambda hours: hours * 60)] = 0


@wire()
class Whole(Structure):
    letters: Annotated[list[str], Variable("nH cH", whole=True, read=_letters, write=_letter_bytes)]
    last: u8


@wire()
class Known(Structure):
    """Offsets of what knows its own length."""

    first: Annotated[Whole | None, Variable("oI", read=Whole.unpack, write=Whole.pack)] = None
    second: Annotated[Whole | None, Variable("oI", read=Whole.unpack, write=Whole.pack)] = None


@wire()
class Link(Structure):
    next_entry_offset: ClassVar[pad4]
    name: Annotated[bytes, Variable("nB")]


@wire(minimum=6)
class Longer(Structure):
    number: u32


@wire(4)
class Sized(Structure):
    two: u16


def test_what_has_no_offset_lies_behind_the_fixed_part() -> None:
    value = Behind(flag=True, pair=Pair(1, 2), name="ab", numbers=[3, 4], hours=5)
    packed = value.pack()
    assert packed.hex(" ") == "07 01 00 01 02 00 04 02 2c 01 61 00 62 00 03 00 04 00"
    assert Behind.unpack(packed) == Behind.unpack(memoryview(packed + b"more")) == value
    assert value.parts() == [packed]
    assert packer(Behind)(True, Pair(1, 2), "ab", [3, 4], 5) == packed
    assert packer(Behind)(False, Pair(1, 2), "", []) == Behind(False, Pair(1, 2), "", []).pack()


@pytest.mark.parametrize(
    ("wrong", "cut"),
    [
        ("08 01 00 01 02 00 00 00 2c 01", False),  # the constant
        ("07 01 00 01 02 00 0a 00 2c 01" + "00" * 10, False),  # a name of more than 8 bytes
        ("07 01 00 01 02 00 01 00 2c 01 61", False),  # half a character
        ("07 01 00 01 02 00 04 00 2c 01 61 00 62", True),
        ("07 01 00 01 02 00 02 01 2c 01 61 00 62", True),
        ("07 01 00 01 02 00 00 00 2c", True),
        ("", True),
    ],
)
def test_what_is_too_short_is_told_from_what_is_wrong(wrong: str, cut: bool) -> None:
    with pytest.raises(MalformedMessage) as raised:
        Behind.unpack(bytes.fromhex(wrong))
    assert isinstance(raised.value, CutShort) is cut


def test_a_length_may_count_the_fixed_part_too() -> None:
    assert Whole(["a", "b"], 9).pack() == b"\x07\x00\x02\x00\x09ab"
    assert Whole.unpack(b"\x07\x00\x02\x00\x09ab?") == Whole(["a", "b"], 9)
    for wrong in (b"\x04\x00\x00\x00\x09", b"\x07\x00\x03\x00\x09ab", b"\x08\x00\x03\x00\x09ab"):
        with pytest.raises(MalformedMessage):
            Whole.unpack(wrong)


def test_an_offset_of_zero_is_none() -> None:
    value = Known(None, Whole(["z"], 1))
    assert value.pack() == bytes(4) + b"\x08\x00\x00\x00" + b"\x06\x00\x01\x00\x01z"
    assert Known.unpack(value.pack()) == value
    assert Known.unpack(Known().pack()) == Known()
    for offset in (7, 9, 15):
        with pytest.raises(MalformedMessage):
            Known.unpack(struct.pack("<II", 0, offset) + bytes(6))


def test_what_is_reserved_at_the_end_need_not_come() -> None:
    assert Longer(1).pack() == b"\x01\0\0\0\0\0"
    assert Longer.unpack(b"\x01\0\0\0") == Longer(1)
    assert packer(Longer)(1) == Longer(1).pack()


def test_only_structures_without_offsets_stand_within_others() -> None:
    @wire()
    class Outer(Structure):
        inner: Known

    @wire()
    class Outermost(Structure):
        inner: Behind

    for wrong in (Outer, Outermost):
        with pytest.raises(TypeError, match="fixed fields alone"):
            wrong.unpack(b"")
    for kind in (Known, Two):
        with pytest.raises(TypeError, match="has offsets"):
            packer(kind)
    assert packer(Sized)(2) == Sized(2).pack() == b"\x04\0\x02\0"


def test_entries_say_where_the_next_one_begins() -> None:
    packed = pack_chain([Link(b"abc"), Link(b""), Link(b"d")], 4)
    assert packed.hex(" ") == "08 00 00 00 03 61 62 63 08 00 00 00 00 00 00 00 00 00 00 00 01 64"
    assert unpack_chain(Link, packed) == [Link(b"abc"), Link(b""), Link(b"d")]
    assert pack_chain([], 4) == b""
    assert unpack_chain(Link, b"") == []


def test_the_next_entry_is_where_it_is_said_to_be() -> None:
    """Neither aligned nor right behind the one before; the bytes between are ignored."""
    raw = b"\x09\0\0\0\x01a???" + b"\0\0\0\0\x01b???"
    assert unpack_chain(Link, raw) == [Link(b"a"), Link(b"b")]
    assert unpack_chain(Link, b"\x07\0\0\0\x02ab") == [Link(b"ab")]  # it ends where a next one would begin


@pytest.mark.parametrize(
    "raw", [b"\x04\0\0\0\x01a", b"\x08\0\0\0\x01a", b"\x06\0\0\0\x01a\0", b"\0\0\0", b"\0\0\0\0\x02a"]
)
def test_an_entry_that_lies_elsewhere_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unpack_chain(Link, raw)


def test_a_chain_takes_what_there_is_room_for() -> None:
    chain = Chain(8)
    assert chain.add(b"\0\0\0\0abc", room=7)
    assert not chain.add(b"\0\0\0\0", room=11)
    assert chain.add(b"\0\0\0\0", room=12)
    assert bytes(chain.data) == b"\x08\0\0\0abc\0\0\0\0\0"


def test_an_empty_chain_has_no_room_for_more_than_there_is() -> None:
    chain = Chain(8)
    assert not chain.add(b"\0\0\0\0a", room=4)
    assert not chain.data


@given(st.binary(max_size=64))
def test_any_bytes_give_a_value_or_malformed_too(data: bytes) -> None:
    for kind in (Behind, Whole, Known, Longer):
        try:
            value = kind.unpack(data)
        except MalformedMessage:
            continue
        assert kind.unpack(value.pack()) == value
    with suppress(MalformedMessage):
        entries = unpack_chain(Link, data)
        assert unpack_chain(Link, pack_chain(entries, 4)) == entries


def test_structures_with_class_variables_compare_and_are_shown() -> None:
    """Padding is declared as a class variable, which no value has."""

    @wire()
    class Padded(Structure):
        reserved: ClassVar[pad4]
        number: u16

    assert Padded(1) == Padded(1) != Padded(2)
    assert repr(Padded(1)).endswith("Padded(number=1)")
