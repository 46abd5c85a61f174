"""The data types that the protocols of Windows share (MS-DTYP): times, access masks, SIDs and security descriptors.

    FILETIME              100 ns since 1601-01-01 UTC, as an int; 0 is "no time" in most places
    access mask           32 bits, as an int; the low 16 mean what the kind of object says (a file's: `smb2.constants`).
    Guid                  `Guid.parse("8a885d04-...")`, and `str()` for the way back.
    Sid                   whom something is about: `Sid.parse("S-1-5-32-544")`, and `str()` for the way back.
    SecurityDescriptor    who owns an object, and who may do what with it (`Acl`, of `Ace`); self-relative

Everything here packs and unpacks; any bytes give a value or MalformedMessage.
"""

from __future__ import annotations

import re
import struct
from typing import Annotated, ClassVar, Final, Self

from lanman.errors import LocalProtocolError
from lanman.wire import Data, Fixed, Structure, Variable, pad1, pad2, u8, u16, u32, wire

# --- FILETIME (2.3.3)

FILETIME_EPOCH: Final = 116_444_736_000_000_000
"""1970-01-01 as a FILETIME."""
FILETIME_MAX: Final = 0x7FFFFFFFFFFFFFFF
"""The latest one: file systems take it for a signed number."""


def filetime(nanoseconds: int) -> int:
    """The FILETIME of so many nanoseconds since 1970, rounded down. What lies outside its range becomes its end."""
    time = nanoseconds // 100 + FILETIME_EPOCH
    return time if 0 <= time <= FILETIME_MAX else min(max(time, 0), FILETIME_MAX)


def nanoseconds(time: int) -> int:
    """Nanoseconds since 1970 of a FILETIME."""
    return (time - FILETIME_EPOCH) * 100


# --- GUID (2.3.4)


class Guid(bytes):
    """A GUID (MS-DTYP 2.3.4), which C706 calls a UUID, as little-endian machines write it.

    Python's `uuid` would do the same; loading it takes longer than a whole log-on.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The one that is written so: `8a885d04-1ceb-11c9-9fe8-08002b104860`. Raises ValueError."""
        raw = bytes.fromhex(text.replace("-", ""))
        if len(raw) != 16:
            raise ValueError(f"{text} is no GUID")
        return cls.from_big_endian(raw)

    @classmethod
    def from_big_endian(cls, raw: bytes) -> Self:
        """The one that a big-endian machine has written."""
        return cls(_turned(raw))

    def big_endian(self) -> bytes:
        """The bytes as a big-endian machine writes them, in the order of the text."""
        return _turned(self)

    def __str__(self) -> str:
        text = self.big_endian().hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def __repr__(self) -> str:
        return f"Guid({str(self)!r})"


def _turned(raw: bytes) -> bytes:
    # Data1, Data2 and Data3 are numbers; Data4 are eight bytes.
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]


# --- ACCESS_MASK (2.4.3): the bits that mean the same for every kind of object

DELETE: Final = 0x00010000
READ_CONTROL: Final = 0x00020000
WRITE_DAC: Final = 0x00040000
WRITE_OWNER: Final = 0x00080000
SYNCHRONIZE: Final = 0x00100000
ACCESS_SYSTEM_SECURITY: Final = 0x01000000
MAXIMUM_ALLOWED: Final = 0x02000000
GENERIC_ALL: Final = 0x10000000
GENERIC_EXECUTE: Final = 0x20000000
GENERIC_WRITE: Final = 0x40000000
GENERIC_READ: Final = 0x80000000

# --- SECURITY_INFORMATION (2.4.7): the parts of a security descriptor

OWNER_SECURITY_INFORMATION: Final = 0x00000001
GROUP_SECURITY_INFORMATION: Final = 0x00000002
DACL_SECURITY_INFORMATION: Final = 0x00000004
SACL_SECURITY_INFORMATION: Final = 0x00000008


# --- SID (2.4.2)


def _read_authority(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _write_authority(authority: int) -> bytes:
    if not 0 <= authority < 1 << 48:
        raise LocalProtocolError(f"{authority:#x} is no authority of a SID, which has 48 bits")
    return authority.to_bytes(6, "big")


def _read_numbers(view: Data) -> tuple[int, ...]:
    return struct.unpack(f"<{len(view) // 4}I", view)


def _write_numbers(numbers: tuple[int, ...]) -> bytes:
    if len(numbers) > 15:
        raise LocalProtocolError(f"a SID of {len(numbers)} sub-authorities; 15 are the most")
    try:
        return struct.pack(f"<{len(numbers)}I", *numbers)
    except struct.error as error:
        raise LocalProtocolError(f"a sub-authority of a SID: {error}") from None


_SID_TEXT: Final = re.compile("S-1-([0-9]{1,15}|0x[0-9a-f]{12})((?:-[0-9]{1,10}){0,15})", re.IGNORECASE)


@wire()
class Sid(Structure):
    """SID (2.4.2.2): an authority and the numbers below it, 15 at most. `str()` is its text (2.4.2.1)."""

    revision: ClassVar[Annotated[int, Fixed("B", constant=1)]]
    sub_authorities: Annotated[
        tuple[int, ...], Variable("nB", unit=4, most=60, read=_read_numbers, write=_write_numbers)
    ]
    authority: Annotated[int, Fixed("6s", read=_read_authority, write=_write_authority)]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The SID that a text like `S-1-5-32-544` stands for. ValueError: it is none."""
        match = _SID_TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a SID")
        authority = int(match[1], 16 if match[1][:2] in ("0x", "0X") else 10)
        numbers = tuple(int(number) for number in match[2].split("-")[1:])
        if authority >= 1 << 48 or any(number >= 1 << 32 for number in numbers):
            raise ValueError(f"{text!r} is not a SID")
        return cls(numbers, authority)

    def __str__(self) -> str:
        # 2.4.2.1: an authority of more than 32 bits is written in hexadecimal.
        authority = str(self.authority) if self.authority < 1 << 32 else f"0x{self.authority:012x}"
        return "-".join(["S-1", authority, *map(str, self.sub_authorities)])


EVERYONE: Final = "S-1-1-0"
"""The well-known SID of all users (2.4.2.4)."""


# --- ACE and ACL (2.4.4, 2.4.5)

ACCESS_ALLOWED_ACE_TYPE: Final = 0x00
ACCESS_DENIED_ACE_TYPE: Final = 0x01
SYSTEM_AUDIT_ACE_TYPE: Final = 0x02
SYSTEM_MANDATORY_LABEL_ACE_TYPE: Final = 0x11
SYSTEM_SCOPED_POLICY_ID_ACE_TYPE: Final = 0x13

# The types that are a mask and a SID.
_PLAIN_ACES: Final = frozenset(
    {
        ACCESS_ALLOWED_ACE_TYPE,
        ACCESS_DENIED_ACE_TYPE,
        SYSTEM_AUDIT_ACE_TYPE,
        SYSTEM_MANDATORY_LABEL_ACE_TYPE,
        SYSTEM_SCOPED_POLICY_ID_ACE_TYPE,
    }
)


@wire()
class Ace(Structure):
    """An access control entry that is a mask and a SID (2.4.4.2, 2.4.4.4, 2.4.4.10, 2.4.4.13, 2.4.4.16)."""

    type: u8
    flags: u8
    sid: Annotated[Sid, Variable("nH", whole=True, read=Sid.unpack, write=Sid.pack)]
    mask: u32


@wire()
class OtherAce(Structure):
    """An access control entry of any other type, which is not looked into (2.4.4.1)."""

    type: u8
    flags: u8
    data: Annotated[bytes, Variable("nH", whole=True)]


def _read_aces(view: Data, count: int) -> list[Ace | OtherAce]:
    aces: list[Ace | OtherAce] = []
    at = 0
    for _ in range(count):
        # AceSize tells where the next one begins; it may be more than the SID fills.
        header = OtherAce.unpack(view[at:])
        aces.append(Ace.unpack(view[at:]) if header.type in _PLAIN_ACES else header)
        at += 4 + len(header.data)
    return aces


def _write_aces(aces: list[Ace | OtherAce]) -> bytes:
    return b"".join(ace.pack() for ace in aces)


@wire()
class Acl(Structure):
    """ACL (2.4.5): entries, of which the first that concerns somebody decides. Revision 2, or 4 with object entries."""

    revision: u8
    reserved: ClassVar[pad1]
    aces: Annotated[list[Ace | OtherAce], Variable("nH cH", whole=True, read=_read_aces, write=_write_aces)]
    reserved2: ClassVar[pad2]


# --- SECURITY_DESCRIPTOR (2.4.6)

SE_DACL_PRESENT: Final = 0x0004
SE_SACL_PRESENT: Final = 0x0010
SE_SELF_RELATIVE: Final = 0x8000


@wire()
class SecurityDescriptor(Structure):
    """A self-relative SECURITY_DESCRIPTOR (2.4.6). What is None is not there.

    `control` says what an absent list means: with SE_DACL_PRESENT and no `dacl` everybody may do everything.
    """

    revision: ClassVar[Annotated[int, Fixed("B", constant=1)]]
    reserved: ClassVar[pad1]
    control: u16
    owner: Annotated[Sid | None, Variable("oI", read=Sid.unpack, write=Sid.pack)] = None
    group: Annotated[Sid | None, Variable("oI", read=Sid.unpack, write=Sid.pack)] = None
    sacl: Annotated[Acl | None, Variable("oI", read=Acl.unpack, write=Acl.pack)] = None
    dacl: Annotated[Acl | None, Variable("oI", read=Acl.unpack, write=Acl.pack)] = None
