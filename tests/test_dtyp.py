"""MS-DTYP: times, SIDs and security descriptors, with the bytes of Samba 4.17.12's `security.descriptor.from_sddl`."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import dtyp
from lanman.dtyp import Ace, Acl, Guid, OtherAce, SecurityDescriptor, Sid
from lanman.errors import CutShort, LocalProtocolError, MalformedMessage
from lanman.wire import Structure

ADMINISTRATORS = Sid.parse("S-1-5-32-544")
SYSTEM = Sid.parse("S-1-5-18")
EVERYONE = Sid.parse(dtyp.EVERYONE)
USER = Sid.parse("S-1-5-21-1-2-3-500")
AUTHENTICATED = Sid.parse("S-1-5-11")

RIGHT = "00299570-246d-11d0-a768-00aa006e0529"  # the object type of an entry that is not looked into
OBJECT_ACE = "00010000 01000000 709529006d24d011a76800aa006e0529 0105000000000005 15000000 01000000 02000000 03000000"


@pytest.mark.parametrize(
    ("nanoseconds", "filetime"),
    [
        (0, 116_444_736_000_000_000),  # 1970-01-01
        (946_684_800_000_000_000, 125_911_584_000_000_000),  # 2000-01-01
        (-11_644_473_600_000_000_000, 0),  # 1601-01-01
        (199, 116_444_736_000_000_001),
    ],
)
def test_filetimes(nanoseconds: int, filetime: int) -> None:
    assert dtyp.filetime(nanoseconds) == filetime
    assert dtyp.nanoseconds(filetime) == nanoseconds // 100 * 100


def test_a_time_outside_the_range_becomes_its_end() -> None:
    assert dtyp.filetime(-11_644_473_600_000_000_001) == 0
    assert dtyp.filetime(1 << 80) == dtyp.FILETIME_MAX == 0x7FFF_FFFF_FFFF_FFFF


@given(st.integers(0, dtyp.FILETIME_MAX))
def test_a_filetime_there_and_back(time: int) -> None:
    assert dtyp.filetime(dtyp.nanoseconds(time)) == time


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("S-1-1-0", "0101 000000000001 00000000"),
        ("S-1-5-32-544", "0102 000000000005 20000000 20020000"),
        ("S-1-22-1-1000", "0102 000000000016 01000000 e8030000"),
        ("S-1-5-21-1-2-3-500", "0105 000000000005 15000000 01000000 02000000 03000000 f4010000"),
        ("S-1-0x00100000000f-4294967295", "0101 00100000000f ffffffff"),
    ],
)
def test_sids(text: str, packed: str) -> None:
    raw = bytes.fromhex(packed)
    assert str(Sid.unpack(raw)) == text
    assert Sid.parse(text).pack() == raw
    assert Sid.unpack(raw + b"what follows") == Sid.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S",
        "S-1",
        "1-5-18",
        "S-2-5-18",
        "S-1-5-",
        "S-1-5-x",
        "S-1--1",
        "S-1-5-4294967296",
        "S-1-5" + "-1" * 16,
        "S-1-٣-1",
    ],
)
def test_what_is_no_sid(text: str) -> None:
    with pytest.raises(ValueError, match="not a SID"):
        Sid.parse(text)


@pytest.mark.parametrize(
    "packed",
    [
        "0201 000000000001 00000000",  # revision 2
        "0110 000000000001" + "00000000" * 16,  # 16 sub-authorities; 15 are the most
        "0102 000000000001 00000000",
        "0100 0000000000",
    ],
)
def test_what_is_no_packed_sid(packed: str) -> None:
    with pytest.raises(MalformedMessage):
        Sid.unpack(bytes.fromhex(packed))


DESCRIPTORS = {
    "O:BAG:SYD:P(D;OICI;GR;;;WD)(A;;0x1ff;;;BA)S:(AU;SA;0x1ff;;;WD)": (
        SecurityDescriptor(
            0x9014,
            ADMINISTRATORS,
            SYSTEM,
            Acl(4, [Ace(dtyp.SYSTEM_AUDIT_ACE_TYPE, 0x40, EVERYONE, 0x000001FF)]),
            Acl(
                4,
                [
                    Ace(dtyp.ACCESS_DENIED_ACE_TYPE, 3, EVERYONE, dtyp.GENERIC_READ),
                    Ace(dtyp.ACCESS_ALLOWED_ACE_TYPE, 0, ADMINISTRATORS, 0x000001FF),
                ],
            ),
        ),
        "010014901400000024000000300000004c0000000102000000000005200000002002000001010000000000051200000004001c0001000000"
        "02401400ff0100000101000000000001000000000400340002000000010314000000008001010000000000010000000000001800ff010000"
        "01020000000000052000000020020000",
    ),
    "O:S-1-22-1-1000G:S-1-22-2-100D:": (
        SecurityDescriptor(0x8004, Sid.parse("S-1-22-1-1000"), Sid.parse("S-1-22-2-100"), None, Acl(4, [])),
        "0100048014000000240000000000000034000000010200000000001601000000e803000001020000000000160200000064000000"
        "0400080000000000",
    ),
    "D:(OA;;CR;RIGHT;;S-1-5-21-1-2-3-500)(A;;0x1200a9;;;AU)": (
        SecurityDescriptor(
            0x8004,
            dacl=Acl(
                4,
                [
                    OtherAce(5, 0, bytes.fromhex(OBJECT_ACE) + bytes.fromhex("f4010000")),
                    Ace(dtyp.ACCESS_ALLOWED_ACE_TYPE, 0, AUTHENTICATED, 0x001200A9),
                ],
            ),
        ),
        "01000480000000000000000000000000140000000400540002000000050038000001000001000000709529006d24d011a76800aa006e0529"
        "010500000000000515000000010000000200000003000000f401000000001400a900120001010000000000050b000000",
    ),
    "O:BA": (
        SecurityDescriptor(0x8000, ADMINISTRATORS),
        "010000801400000000000000000000000000000001020000000000052000000020020000",
    ),
}


@pytest.mark.parametrize("sddl", DESCRIPTORS)
def test_security_descriptors(sddl: str) -> None:
    descriptor, packed = DESCRIPTORS[sddl]
    assert SecurityDescriptor.unpack(bytes.fromhex(packed)) == descriptor
    assert descriptor.pack().hex() == packed


def test_an_entry_may_be_longer_than_its_sid() -> None:
    """AceSize tells where the next one begins (2.4.4.1)."""
    entry = Ace(dtyp.ACCESS_ALLOWED_ACE_TYPE, 0, EVERYONE, 7)
    longer = bytearray(entry.pack() + bytes(4))
    longer[2] += 4
    acl = OtherAce(2, 0, bytes((2, 0, 0, 0)) + longer + entry.pack()).pack()
    assert Acl.unpack(acl).aces == [entry, entry]


@pytest.mark.parametrize(
    ("packed", "wrong"),
    [
        ("0200 0800 0100 0000", CutShort),  # an entry that is not there
        ("0200 0700 0000 0000", MalformedMessage),  # shorter than itself
        ("0200 0c00 0000 0000", CutShort),
        ("0200 1000 0100 0000 0000 0800 00000000", CutShort),  # an entry without a SID
        ("0200 0c00 0100 0000 0500 0300", MalformedMessage),  # an entry that is shorter than its header
    ],
)
def test_what_is_no_acl(packed: str, wrong: type[MalformedMessage]) -> None:
    with pytest.raises(wrong):
        Acl.unpack(bytes.fromhex(packed))


def test_an_offset_outside_the_descriptor_is_malformed() -> None:
    raw = bytearray(SecurityDescriptor(0x8000, ADMINISTRATORS).pack())
    for offset in (19, 37, 0xFFFFFFFF):
        raw[4:8] = offset.to_bytes(4, "little")
        with pytest.raises(MalformedMessage):
            SecurityDescriptor.unpack(bytes(raw))


def test_what_has_no_room_is_our_own_mistake() -> None:
    for value in (
        Ace(0, 0, EVERYONE, 1 << 32),
        Sid((), 1 << 48),
        Sid((1 << 32,), 5),
        Sid((-1,), 5),
        Sid((1,) * 16, 5),
        Sid((), -1),
    ):
        with pytest.raises(LocalProtocolError):
            value.pack()


sids = st.builds(Sid, st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple), st.integers(0, (1 << 48) - 1))
plain = st.builds(Ace, st.sampled_from([0, 1, 2, 17, 19]), st.integers(0, 255), sids, st.integers(0, 0xFFFFFFFF))
other = st.builds(OtherAce, st.sampled_from([3, 5, 9, 16, 255]), st.integers(0, 255), st.binary(max_size=40))
acls = st.builds(Acl, st.integers(0, 255), st.lists(plain | other, max_size=5))


@given(sids)
def test_a_sid_there_and_back(sid: Sid) -> None:
    assert Sid.unpack(sid.pack()) == sid == Sid.parse(str(sid))


@given(st.integers(0, 0xFFFF), *[st.none() | sids] * 2, *[st.none() | acls] * 2)
def test_a_descriptor_there_and_back(
    control: int, owner: Sid | None, group: Sid | None, sacl: Acl | None, dacl: Acl | None
) -> None:
    descriptor = SecurityDescriptor(control, owner, group, sacl, dacl)
    assert SecurityDescriptor.unpack(memoryview(descriptor.pack())) == descriptor


@given(st.binary(max_size=80), st.sampled_from([Sid, Ace, OtherAce, Acl, SecurityDescriptor]))
def test_any_bytes_give_a_value_or_malformed(data: bytes, kind: type[Structure]) -> None:
    with suppress(MalformedMessage):
        value = kind.unpack(data)
        assert kind.unpack(value.pack()) == value


@given(st.data())
def test_damaged_descriptors_give_a_value_or_malformed(data: st.DataObject) -> None:
    raw = bytearray.fromhex(data.draw(st.sampled_from([packed for _, packed in DESCRIPTORS.values()])))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MalformedMessage):
        value = SecurityDescriptor.unpack(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
        assert SecurityDescriptor.unpack(value.pack()) == value


def test_a_guid_is_written_in_both_orders() -> None:
    """The name of NDR (C706, appendix I), as MS-DTYP 2.3.4.2 packs it; Python's own `uuid` says the same."""
    text = "8a885d04-1ceb-11c9-9fe8-08002b104860"
    guid = Guid.parse(text)
    assert guid == bytes.fromhex("045d888aeb1cc9119fe808002b104860") == uuid.UUID(text).bytes_le
    assert guid.big_endian() == uuid.UUID(text).bytes
    assert Guid.from_big_endian(guid.big_endian()) == guid
    assert (str(guid), repr(guid)) == (text, f"Guid('{text}')")
    for wrong in (text[:-2], f"{text}00", "", "x" * 32):
        with pytest.raises(ValueError):
            Guid.parse(wrong)
