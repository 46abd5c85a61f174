"""The messages of SMB 2 and 3, each declared once for both ends (MS-SMB2 2.2).

Rules:

* A message is what follows the 64-byte header. The offsets in it count from the header's first byte, so `unpack` is
  given the header too.
* Fields keep the order of the wire; a field that most callers never set has a default.
* `@wire(size)` compiles `pack` and `unpack` from the declaration. Only NEGOTIATE, ERROR, LOCK and the lists of contexts
  are packed by hand: their layout depends on their content.
* StructureSize, offsets, lengths and counts are computed. `unpack` checks them; any bytes give a message or a
  MalformedMessage. What is left of the values is checked by those who know what they mean.
* `REQUESTS` and `RESPONSES` say which class belongs to a command; `unpack_request` and `unpack_response` choose.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Final, Self

from lanman.codes import STATUS_BUFFER_OVERFLOW, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS
from lanman.errors import MalformedMessage
from lanman.plain import dataclass
from lanman.smb2.constants import (
    COMMAND_NAMES,
    SMB2_0_IOCTL_IS_FSCTL,
    SMB2_CANCEL,
    SMB2_CHANGE_NOTIFY,
    SMB2_CLOSE,
    SMB2_COMPRESSION_CAPABILITIES,
    SMB2_CREATE,
    SMB2_ECHO,
    SMB2_ENCRYPTION_CAPABILITIES,
    SMB2_FLUSH,
    SMB2_IOCTL,
    SMB2_LOCK,
    SMB2_LOGOFF,
    SMB2_NEGOTIATE,
    SMB2_NETNAME_NEGOTIATE_CONTEXT_ID,
    SMB2_OPLOCK_BREAK,
    SMB2_PREAUTH_INTEGRITY_CAPABILITIES,
    SMB2_QUERY_DIRECTORY,
    SMB2_QUERY_INFO,
    SMB2_RDMA_TRANSFORM_CAPABILITIES,
    SMB2_READ,
    SMB2_SESSION_SETUP,
    SMB2_SET_INFO,
    SMB2_SIGNING_CAPABILITIES,
    SMB2_TRANSPORT_CAPABILITIES,
    SMB2_TREE_CONNECT,
    SMB2_TREE_DISCONNECT,
    SMB2_WRITE,
)
from lanman.smb2.constants import Dialect as Dialect
from lanman.smb2.header import HEADER_SIZE
from lanman.wire import (
    Data,
    Fixed,
    Structure,
    Variable,
    blob,
    bytes16,
    guid,
    pad1,
    pad2,
    pad4,
    pad8,
    text,
    text_bytes,
    u8,
    u16,
    u32,
    u64,
    utf16,
    wire,
)


class Message:
    """What follows the header. `pack` and `unpack` are compiled from the declaration."""

    __slots__ = ()
    wire_base: ClassVar[int] = HEADER_SIZE
    command: ClassVar[int]

    def pack(self) -> bytes:
        """The bytes behind the header."""
        return b"".join(self.parts())

    def parts(self) -> list[Data]:
        """The same in pieces, large payloads uncopied."""
        raise NotImplementedError

    @classmethod
    def unpack(cls, pdu: memoryview) -> Self:
        """Read the message out of `pdu`, which begins with the header. Raises MalformedMessage."""
        raise NotImplementedError

    def payload_size(self) -> int:
        """Bytes of payload that a request sends or asks for, the larger: its credit charge goes by it (3.2.4.1.5)."""
        return 0


# --- NEGOTIATE ---


@dataclass(slots=True)
class NegotiateContext:
    """SMB2_NEGOTIATE_CONTEXT (2.2.3.1), on 3.1.1. The classes below read `data`."""

    type: int
    data: bytes


_NUMBERS: Final = [struct.Struct(f"<{count}H") for count in range(64)]


def _numbers(data: bytes | memoryview, at: int, count: int, what: str) -> list[int]:
    """`count` 16-bit numbers from `at` on."""
    if at + 2 * count > len(data):
        raise MalformedMessage(f"{what}: the list goes beyond its end")
    if count < len(_NUMBERS):
        return list(_NUMBERS[count].unpack_from(data, at))
    return list(struct.unpack_from(f"<{count}H", data, at))


def _pack_numbers(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}H", *numbers)


@dataclass(slots=True)
class PreauthIntegrityCapabilities:
    """Hash algorithms that protect the negotiation, and a salt (2.2.3.1.1)."""

    type: ClassVar[int] = SMB2_PREAUTH_INTEGRITY_CAPABILITIES
    hash_algorithms: list[int]
    salt: bytes

    def pack(self) -> bytes:
        """The context's data."""
        return (
            struct.pack("<HH", len(self.hash_algorithms), len(self.salt))
            + _pack_numbers(self.hash_algorithms)
            + self.salt
        )

    @classmethod
    def unpack(cls, data: bytes) -> PreauthIntegrityCapabilities:
        """Read a context's data."""
        count, salt_size = _numbers(data, 0, 2, "PREAUTH_INTEGRITY_CAPABILITIES")
        algorithms = _numbers(data, 4, count, "PREAUTH_INTEGRITY_CAPABILITIES")
        salt = data[4 + 2 * count : 4 + 2 * count + salt_size]
        if len(salt) != salt_size:
            raise MalformedMessage("PREAUTH_INTEGRITY_CAPABILITIES: the salt goes beyond the end")
        return cls(algorithms, salt)


class _Algorithms:
    """A context that is a count and as many numbers, best first."""

    __slots__ = ("algorithms",)
    type: ClassVar[int]

    def __init__(self, algorithms: Sequence[int]) -> None:
        self.algorithms = list(algorithms)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.algorithms == getattr(other, "algorithms", None)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.algorithms!r})"

    def pack(self) -> bytes:
        """The context's data."""
        return struct.pack("<H", len(self.algorithms)) + _pack_numbers(self.algorithms)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a context's data."""
        (count,) = _numbers(data, 0, 1, cls.__name__)
        return cls(_numbers(data, 2, count, cls.__name__))


class EncryptionCapabilities(_Algorithms):
    """Ciphers (2.2.3.1.2); in a response the one chosen, or 0 for none."""

    __slots__ = ()
    type = SMB2_ENCRYPTION_CAPABILITIES


class SigningCapabilities(_Algorithms):
    """Signing algorithms (2.2.3.1.7); in a response the one chosen."""

    __slots__ = ()
    type = SMB2_SIGNING_CAPABILITIES


@dataclass(slots=True)
class CompressionCapabilities:
    """Compression algorithms (2.2.3.1.3). Read; never offered here."""

    type: ClassVar[int] = SMB2_COMPRESSION_CAPABILITIES
    algorithms: list[int]
    flags: int = 0

    def pack(self) -> bytes:
        """The context's data."""
        return struct.pack("<HHI", len(self.algorithms), 0, self.flags) + _pack_numbers(self.algorithms)

    @classmethod
    def unpack(cls, data: bytes) -> CompressionCapabilities:
        """Read a context's data."""
        count, _, low, high = _numbers(data, 0, 4, "COMPRESSION_CAPABILITIES")
        return cls(_numbers(data, 8, count, "COMPRESSION_CAPABILITIES"), high << 16 | low)


@dataclass(slots=True)
class NetnameNegotiateContextId:
    """The name by which the client calls the server (2.2.3.1.4)."""

    type: ClassVar[int] = SMB2_NETNAME_NEGOTIATE_CONTEXT_ID
    name: str

    def pack(self) -> bytes:
        """The context's data."""
        return text_bytes(self.name)

    @classmethod
    def unpack(cls, data: bytes) -> NetnameNegotiateContextId:
        """Read a context's data."""
        return cls(text(memoryview(data)))


@dataclass(slots=True)
class TransportCapabilities:
    """What the transport provides itself (2.2.3.1.5)."""

    type: ClassVar[int] = SMB2_TRANSPORT_CAPABILITIES
    flags: int

    def pack(self) -> bytes:
        """The context's data."""
        return struct.pack("<I", self.flags)

    @classmethod
    def unpack(cls, data: bytes) -> TransportCapabilities:
        """Read a context's data."""
        low, high = _numbers(data, 0, 2, "TRANSPORT_CAPABILITIES")
        return cls(high << 16 | low)


@dataclass(slots=True)
class RdmaTransformCapabilities:
    """The transforms of RDMA payloads (2.2.3.1.6)."""

    type: ClassVar[int] = SMB2_RDMA_TRANSFORM_CAPABILITIES
    transforms: list[int]

    def pack(self) -> bytes:
        """The context's data."""
        return struct.pack("<HHI", len(self.transforms), 0, 0) + _pack_numbers(self.transforms)

    @classmethod
    def unpack(cls, data: bytes) -> RdmaTransformCapabilities:
        """Read a context's data."""
        (count,) = _numbers(data, 0, 1, "RDMA_TRANSFORM_CAPABILITIES")
        return cls(_numbers(data, 8, count, "RDMA_TRANSFORM_CAPABILITIES"))


def pack_contexts(contexts: Sequence[NegotiateContext]) -> bytes:
    """A list of contexts, each but the first at a multiple of 8."""
    packed = bytearray()
    for context in contexts:
        packed += bytes(-len(packed) % 8)
        packed += struct.pack("<HHI", context.type, len(context.data), 0)
        packed += context.data
    return bytes(packed)


def unpack_contexts(pdu: memoryview, offset: int, count: int, fixed: int) -> list[NegotiateContext]:
    """`count` contexts at `offset` from the header."""
    contexts: list[NegotiateContext] = []
    if count and offset < fixed:
        raise MalformedMessage("the negotiate contexts lie outside the message")
    for _ in range(count):
        if offset + 8 > len(pdu):
            raise MalformedMessage("a negotiate context goes beyond the end of the message")
        kind, size = _NUMBERS[2].unpack_from(pdu, offset)
        end = offset + 8 + size
        if end > len(pdu):
            raise MalformedMessage("a negotiate context goes beyond the end of the message")
        contexts.append(NegotiateContext(kind, bytes(pdu[offset + 8 : end])))
        offset = end + -end % 8
    return contexts


_NEGOTIATE_REQUEST: Final = struct.Struct("<HHH2xI16sQ")


@dataclass(slots=True)
class NegotiateRequest(Message):
    """SMB2 NEGOTIATE Request (2.2.3). There are contexts only where the dialects hold 3.1.1."""

    command: ClassVar[int] = SMB2_NEGOTIATE
    dialects: list[int]
    security_mode: int = 0
    capabilities: int = 0
    client_guid: bytes = bytes(16)
    contexts: list[NegotiateContext] = field(default_factory=list)
    client_start_time: int = 0  # where there is no 3.1.1; always 0

    def parts(self) -> list[Data]:
        """The message in one piece."""
        dialects = _pack_numbers(self.dialects)
        end = HEADER_SIZE + _NEGOTIATE_REQUEST.size + len(dialects)
        last, gap, contexts = self.client_start_time, b"", b""
        if Dialect.SMB_3_1_1 in self.dialects:
            gap = bytes(-end % 8)
            contexts = pack_contexts(self.contexts)
            last = len(self.contexts) << 32 | (end + len(gap))
        fixed = _NEGOTIATE_REQUEST.pack(
            36, len(self.dialects), self.security_mode, self.capabilities, self.client_guid, last
        )
        return [fixed + dialects + gap + contexts]

    @classmethod
    def unpack(cls, pdu: memoryview) -> NegotiateRequest:
        """Read the message."""
        try:
            size, count, mode, capabilities, client_guid, last = _NEGOTIATE_REQUEST.unpack_from(pdu, HEADER_SIZE)
        except struct.error:
            raise MalformedMessage("NegotiateRequest: cut short") from None
        if size != 36:
            raise MalformedMessage(f"NegotiateRequest: StructureSize {size}, not 36")
        at = HEADER_SIZE + _NEGOTIATE_REQUEST.size
        dialects = _numbers(pdu, at, count, "NegotiateRequest")
        if Dialect.SMB_3_1_1 not in dialects:
            return cls(dialects, mode, capabilities, client_guid, [], last)
        contexts = unpack_contexts(pdu, last & 0xFFFFFFFF, last >> 32 & 0xFFFF, at + 2 * count)
        return cls(dialects, mode, capabilities, client_guid, contexts)


_NEGOTIATE_RESPONSE: Final = struct.Struct("<HHHH16sIIIIQQHHI")
_FILETIME: Final = struct.Struct("<Q")
# Where SystemTime and NegotiateContextOffset are in it; and where a salt begins that is given with one hash algorithm,
# from the beginning of its context.
_SYSTEM_TIME_AT: Final = 40
_CONTEXTS_AT_AT: Final = 60
_SALT_WITHIN: Final = 14
SALT_SIZE: Final = 32
"""Bytes of a Server's salt in PREAUTH_INTEGRITY_CAPABILITIES."""


@dataclass(slots=True)
class NegotiateResponse(Message):
    """SMB2 NEGOTIATE Response (2.2.4). Times are FILETIMEs, sizes bytes."""

    command: ClassVar[int] = SMB2_NEGOTIATE
    dialect_revision: int
    security_mode: int = 0
    server_guid: bytes = bytes(16)
    capabilities: int = 0
    max_transact_size: int = 65536
    max_read_size: int = 65536
    max_write_size: int = 65536
    system_time: int = 0
    server_start_time: int = 0
    security_buffer: bytes = b""
    contexts: list[NegotiateContext] = field(default_factory=list)

    def parts(self) -> list[Data]:
        """The message in one piece."""
        at = HEADER_SIZE + _NEGOTIATE_RESPONSE.size
        end = at + len(self.security_buffer)
        offset, gap, contexts = 0, b"", b""
        if self.dialect_revision == Dialect.SMB_3_1_1:
            gap = bytes(-end % 8)
            contexts = pack_contexts(self.contexts)
            offset = end + len(gap)
        fixed = _NEGOTIATE_RESPONSE.pack(
            65,
            self.security_mode,
            self.dialect_revision,
            len(self.contexts),
            self.server_guid,
            self.capabilities,
            self.max_transact_size,
            self.max_read_size,
            self.max_write_size,
            self.system_time,
            self.server_start_time,
            at,
            len(self.security_buffer),
            offset,
        )
        return [fixed + self.security_buffer + gap + contexts]

    @classmethod
    def unpack(cls, pdu: memoryview) -> NegotiateResponse:
        """Read the message."""
        try:
            (
                size,
                mode,
                dialect,
                count,
                server_guid,
                capabilities,
                transact,
                read,
                write,
                now,
                start,
                at,
                length,
                offset,
            ) = _NEGOTIATE_RESPONSE.unpack_from(pdu, HEADER_SIZE)
        except struct.error:
            raise MalformedMessage("NegotiateResponse: cut short") from None
        if size != 65:
            raise MalformedMessage(f"NegotiateResponse: StructureSize {size}, not 65")
        fixed = HEADER_SIZE + _NEGOTIATE_RESPONSE.size
        if length and (at < fixed or at + length > len(pdu)):
            raise MalformedMessage("NegotiateResponse: security_buffer lies outside the message")
        security_buffer = bytes(pdu[at : at + length]) if length else b""
        contexts = unpack_contexts(pdu, offset, count, fixed) if dialect == Dialect.SMB_3_1_1 else []
        return cls(
            dialect, mode, server_guid, capabilities, transact, read, write, now, start, security_buffer, contexts
        )


def filled_in(response: bytes, system_time: int, salt: bytes) -> bytes:
    """A NegotiateResponse that is packed, with another SystemTime; and, if `salt` is not empty, with this salt in the
    first of its contexts, a PREAUTH_INTEGRITY_CAPABILITIES of one algorithm and a salt of that size."""
    body = bytearray(response)
    _FILETIME.pack_into(body, _SYSTEM_TIME_AT, system_time)
    if salt:
        at = int.from_bytes(body[_CONTEXTS_AT_AT : _CONTEXTS_AT_AT + 4], "little") - HEADER_SIZE + _SALT_WITHIN
        body[at : at + len(salt)] = salt
    return bytes(body)


# --- sessions and tree connects ---


@wire(25)
class SessionSetupRequest(Message):
    """SMB2 SESSION_SETUP Request (2.2.5)."""

    command: ClassVar[int] = SMB2_SESSION_SETUP
    flags: u8
    security_mode: u8
    capabilities: u32
    channel: u32
    security_buffer: blob
    previous_session_id: u64 = 0


@wire(9)
class SessionSetupResponse(Message):
    """SMB2 SESSION_SETUP Response (2.2.6)."""

    command: ClassVar[int] = SMB2_SESSION_SETUP
    session_flags: u16
    security_buffer: blob = b""


@wire(4)
class LogoffRequest(Message):
    """SMB2 LOGOFF Request (2.2.7)."""

    command: ClassVar[int] = SMB2_LOGOFF
    reserved: ClassVar[pad2]


@wire(4)
class LogoffResponse(Message):
    """SMB2 LOGOFF Response (2.2.8)."""

    command: ClassVar[int] = SMB2_LOGOFF
    reserved: ClassVar[pad2]


@wire(9)
class TreeConnectRequest(Message):
    r"""SMB2 TREE_CONNECT Request (2.2.9): `\\server\share`. A 3.1.1 extension before the path is skipped."""

    command: ClassVar[int] = SMB2_TREE_CONNECT
    flags: u16
    path: utf16


@wire(16)
class TreeConnectResponse(Message):
    """SMB2 TREE_CONNECT Response (2.2.10)."""

    command: ClassVar[int] = SMB2_TREE_CONNECT
    share_type: u8
    reserved: ClassVar[pad1]
    share_flags: u32 = 0
    capabilities: u32 = 0
    maximal_access: u32 = 0


@wire(4)
class TreeDisconnectRequest(Message):
    """SMB2 TREE_DISCONNECT Request (2.2.11)."""

    command: ClassVar[int] = SMB2_TREE_DISCONNECT
    reserved: ClassVar[pad2]


@wire(4)
class TreeDisconnectResponse(Message):
    """SMB2 TREE_DISCONNECT Response (2.2.12)."""

    command: ClassVar[int] = SMB2_TREE_DISCONNECT
    reserved: ClassVar[pad2]


# --- files ---


@dataclass(slots=True)
class CreateContext:
    """SMB2_CREATE_CONTEXT (2.2.13.2): an optional part of a CREATE request or response."""

    name: bytes
    data: bytes = b""


_CREATE_CONTEXT: Final = struct.Struct("<IHHHHI")

# Contexts that one CREATE may bring. There are a dozen of them (2.2.13.2).
MAX_CREATE_CONTEXTS: Final = 64


def pack_create_contexts(contexts: Sequence[CreateContext]) -> bytes:
    """A chain of contexts (2.2.13.2): names and data at multiples of 8."""
    packed = bytearray()
    for number, context in enumerate(contexts):
        name_end = 16 + len(context.name)
        data_at = name_end + -name_end % 8 if context.data else 0
        size = data_at + len(context.data) if context.data else name_end
        last = number == len(contexts) - 1
        following = 0 if last else size + -size % 8
        packed += _CREATE_CONTEXT.pack(following, 16, len(context.name), 0, data_at, len(context.data))
        packed += context.name
        if context.data:
            packed += bytes(data_at - name_end) + context.data
        if not last:
            packed += bytes(following - size)
    return bytes(packed)


def unpack_create_contexts(view: memoryview) -> list[CreateContext]:
    """Read a chain of contexts."""
    contexts: list[CreateContext] = []
    at = 0
    while len(view) > at:
        if len(contexts) == MAX_CREATE_CONTEXTS:
            raise MalformedMessage(f"CreateContext: more than {MAX_CREATE_CONTEXTS} of them")
        entry = view[at:]
        try:
            following, name_at, name_size, _, data_at, data_size = _CREATE_CONTEXT.unpack_from(entry)
        except struct.error:
            raise MalformedMessage("CreateContext: cut short") from None
        if following:
            if following % 8 or following > len(entry):
                raise MalformedMessage("CreateContext: the next one lies outside")
            entry = entry[:following]
        if name_at + name_size > len(entry) or (data_size and data_at + data_size > len(entry)):
            raise MalformedMessage("CreateContext: name or data lie outside")
        data = bytes(entry[data_at : data_at + data_size]) if data_size else b""
        contexts.append(CreateContext(bytes(entry[name_at : name_at + name_size]), data))
        if not following:
            break
        at += following
    return contexts


create_contexts = Annotated[
    list[CreateContext],
    Variable("oI nI", align=8, empty="zero", read=unpack_create_contexts, write=pack_create_contexts),
]


@wire()
class CreateAllocationSize(Structure):
    """SMB2_CREATE_ALLOCATION_SIZE (2.2.13.2.6): room that the new file is to have."""

    allocation_size: u64


@wire()
class CreateLease(Structure):
    """SMB2_CREATE_REQUEST_LEASE and SMB2_CREATE_RESPONSE_LEASE (2.2.13.2.8, 2.2.14.2.10), which look alike."""

    lease_key: bytes16
    lease_state: u32 = 0
    flags: u32 = 0
    lease_duration: u64 = 0


@wire()
class CreateLeaseV2(Structure):
    """SMB2_CREATE_REQUEST_LEASE_V2 and SMB2_CREATE_RESPONSE_LEASE_V2 (2.2.13.2.10, 2.2.14.2.11), which look alike."""

    lease_key: bytes16
    lease_state: u32 = 0
    flags: u32 = 0
    lease_duration: u64 = 0
    parent_lease_key: bytes16 = bytes(16)
    epoch: u16 = 0
    reserved: ClassVar[pad2]


# Which of the two a context of that name is, is told by its size.
LEASE_SIZE: Final = 32
LEASE_V2_SIZE: Final = 52


@wire()
class CreateDurableHandle(Structure):
    """SMB2_CREATE_DURABLE_HANDLE_REQUEST (2.2.13.2.3): it says nothing but that it is there."""

    durable_request: ClassVar[Annotated[int, Fixed("16x", padding=True)]]


@wire()
class CreateDurableHandleResponse(Structure):
    """SMB2_CREATE_DURABLE_HANDLE_RESPONSE (2.2.14.2.3)."""

    reserved: ClassVar[Annotated[int, Fixed("8x", padding=True)]]


@wire()
class CreateDurableHandleReconnect(Structure):
    """SMB2_CREATE_DURABLE_HANDLE_RECONNECT (2.2.13.2.4): which open its client would have again."""

    file_id: bytes16


@wire()
class CreateDurableHandleV2(Structure):
    """SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2 (2.2.13.2.11). `timeout` is in milliseconds; 0 leaves it to the server."""

    timeout: u32
    flags: u32
    reserved: ClassVar[pad8]
    create_guid: bytes16


@wire()
class CreateDurableHandleResponseV2(Structure):
    """SMB2_CREATE_DURABLE_HANDLE_RESPONSE_V2 (2.2.14.2.12). `timeout` is in milliseconds."""

    timeout: u32
    flags: u32 = 0


@wire()
class CreateDurableHandleReconnectV2(Structure):
    """SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2 (2.2.13.2.12): which open its client would have again."""

    file_id: bytes16
    create_guid: bytes16
    flags: u32 = 0


@wire()
class QueryMaximalAccessResponse(Structure):
    """SMB2_CREATE_QUERY_MAXIMAL_ACCESS_RESPONSE (2.2.14.2.5)."""

    query_status: u32
    maximal_access: u32


@wire()
class QueryOnDiskIdResponse(Structure):
    """SMB2_CREATE_QUERY_ON_DISK_ID (2.2.14.2.9): the file's number, and its volume's."""

    disk_file_id: u64
    volume_id: u64
    reserved: ClassVar[Annotated[int, Fixed("16x", padding=True)]]


@wire(57)
class CreateRequest(Message):
    """SMB2 CREATE Request (2.2.13)."""

    command: ClassVar[int] = SMB2_CREATE
    security_flags: u8 = 0
    requested_oplock_level: u8 = 0
    impersonation_level: u32 = 2
    smb_create_flags: u64 = 0
    reserved: ClassVar[pad8]
    desired_access: u32 = 0
    file_attributes: u32 = 0
    share_access: u32 = 0
    create_disposition: u32 = 1
    create_options: u32 = 0
    name: utf16 = ""
    contexts: create_contexts = field(default_factory=list)


@wire(89, minimum=88)
class CreateResponse(Message):
    """SMB2 CREATE Response (2.2.14). Times are FILETIMEs."""

    command: ClassVar[int] = SMB2_CREATE
    oplock_level: u8 = 0
    flags: u8 = 0
    create_action: u32 = 1
    creation_time: u64 = 0
    last_access_time: u64 = 0
    last_write_time: u64 = 0
    change_time: u64 = 0
    allocation_size: u64 = 0
    end_of_file: u64 = 0
    file_attributes: u32 = 0
    reserved: ClassVar[pad4]
    file_id: bytes16 = bytes(16)
    contexts: create_contexts = field(default_factory=list)


@wire(24)
class CloseRequest(Message):
    """SMB2 CLOSE Request (2.2.15)."""

    command: ClassVar[int] = SMB2_CLOSE
    flags: u16 = 0
    reserved: ClassVar[pad4]
    file_id: bytes16 = bytes(16)


@wire(60)
class CloseResponse(Message):
    """SMB2 CLOSE Response (2.2.16)."""

    command: ClassVar[int] = SMB2_CLOSE
    flags: u16 = 0
    reserved: ClassVar[pad4]
    creation_time: u64 = 0
    last_access_time: u64 = 0
    last_write_time: u64 = 0
    change_time: u64 = 0
    allocation_size: u64 = 0
    end_of_file: u64 = 0
    file_attributes: u32 = 0


@wire(24)
class FlushRequest(Message):
    """SMB2 FLUSH Request (2.2.17)."""

    command: ClassVar[int] = SMB2_FLUSH
    reserved: ClassVar[pad2]
    reserved2: ClassVar[pad4]
    file_id: bytes16


@wire(4)
class FlushResponse(Message):
    """SMB2 FLUSH Response (2.2.18)."""

    command: ClassVar[int] = SMB2_FLUSH
    reserved: ClassVar[pad2]


@wire(49)
class ReadRequest(Message):
    """SMB2 READ Request (2.2.19). `padding` is the data offset that the client would like, 0x50 the least."""

    command: ClassVar[int] = SMB2_READ
    padding: u8 = 0x50
    flags: u8 = 0
    length: u32 = 0
    offset: u64 = 0
    file_id: bytes16 = bytes(16)
    minimum_count: u32 = 0
    channel: u32 = 0
    remaining_bytes: u32 = 0
    read_channel_info: Annotated[bytes, Variable("oH nH", empty="zero")] = b""

    def payload_size(self) -> int:
        """The length asked for."""
        return self.length


@wire(17)
class ReadResponse(Message):
    """SMB2 READ Response (2.2.20)."""

    command: ClassVar[int] = SMB2_READ
    data: Annotated[Data, Variable("oB x nI", read=None)]
    data_remaining: u32 = 0
    flags: u32 = 0


@wire(49)
class WriteRequest(Message):
    """SMB2 WRITE Request (2.2.21)."""

    command: ClassVar[int] = SMB2_WRITE
    data: Annotated[Data, Variable("oH nI", read=None)]
    offset: u64 = 0
    file_id: bytes16 = bytes(16)
    channel: u32 = 0
    remaining_bytes: u32 = 0
    write_channel_info: Annotated[bytes, Variable("oH nH", empty="zero")] = b""
    flags: u32 = 0

    def payload_size(self) -> int:
        """The length sent."""
        return len(self.data)


@wire(17, minimum=16)
class WriteResponse(Message):
    """SMB2 WRITE Response (2.2.22)."""

    command: ClassVar[int] = SMB2_WRITE
    reserved: ClassVar[pad2]
    count: u32
    remaining: u32 = 0
    write_channel_info: Annotated[bytes, Variable("oH nH", empty="zero")] = b""


@dataclass(slots=True)
class LockElement:
    """SMB2_LOCK_ELEMENT (2.2.26.1): a range of bytes to lock or unlock."""

    offset: int
    length: int
    flags: int


_LOCK: Final = struct.Struct("<HHI16s")
_LOCK_ELEMENT: Final = struct.Struct("<QQI4x")

# Ranges that one LOCK may name. The specification and Windows leave it to the size of the message: so many fit into the
# 64 KiB of a request whose CreditCharge counts no payload (3.3.5.2.5). The Linux client sends a page of them at most.
MAX_LOCK_ELEMENTS: Final = 65536 // _LOCK_ELEMENT.size


@dataclass(slots=True)
class LockRequest(Message):
    """SMB2 LOCK Request (2.2.26)."""

    command: ClassVar[int] = SMB2_LOCK
    file_id: bytes
    locks: list[LockElement]
    lock_sequence: int = 0

    def parts(self) -> list[Data]:
        """The message in one piece."""
        elements = [_LOCK_ELEMENT.pack(lock.offset, lock.length, lock.flags) for lock in self.locks]
        return [_LOCK.pack(48, len(self.locks), self.lock_sequence, self.file_id) + b"".join(elements)]

    @classmethod
    def unpack(cls, pdu: memoryview) -> LockRequest:
        """Read the message."""
        try:
            size, count, sequence, file_id = _LOCK.unpack_from(pdu, HEADER_SIZE)
        except struct.error:
            raise MalformedMessage("LockRequest: cut short") from None
        if count > MAX_LOCK_ELEMENTS:
            raise MalformedMessage(f"LockRequest: {count} ranges; {MAX_LOCK_ELEMENTS} at most are taken")
        at = HEADER_SIZE + _LOCK.size
        elements = pdu[at : at + count * _LOCK_ELEMENT.size]
        if size != 48 or not count or len(elements) != count * _LOCK_ELEMENT.size:
            raise MalformedMessage("LockRequest: its locks are missing")
        return cls(file_id, [LockElement(*lock) for lock in _LOCK_ELEMENT.iter_unpack(elements)], sequence)


@wire(4)
class LockResponse(Message):
    """SMB2 LOCK Response (2.2.27)."""

    command: ClassVar[int] = SMB2_LOCK
    reserved: ClassVar[pad2]


# --- IOCTL and what travels in it ---


@wire(57)
class IoctlRequest(Message):
    """SMB2 IOCTL Request (2.2.31)."""

    command: ClassVar[int] = SMB2_IOCTL
    reserved: ClassVar[pad2]
    ctl_code: u32
    file_id: bytes16
    input: Annotated[Data, Variable("oI nI", empty="zero", read=None)] = b""
    max_input_response: u32 = 0
    output: Annotated[Data, Variable("oI nI", align=8, empty="before", read=None)] = b""
    max_output_response: u32 = 0
    flags: u32 = SMB2_0_IOCTL_IS_FSCTL
    reserved2: ClassVar[pad4]

    def payload_size(self) -> int:
        """3.3.5.15: what is sent, or what may come back."""
        return max(len(self.input) + len(self.output), self.max_input_response + self.max_output_response)


@wire(49)
class IoctlResponse(Message):
    """SMB2 IOCTL Response (2.2.32)."""

    command: ClassVar[int] = SMB2_IOCTL
    reserved: ClassVar[pad2]
    ctl_code: u32
    file_id: bytes16
    input: Annotated[Data, Variable("oI nI", read=None)] = b""
    output: Annotated[Data, Variable("oI nI", align=8, read=None)] = b""
    flags: u32 = 0
    reserved2: ClassVar[pad4]


_VALIDATE_REQUEST: Final = struct.Struct("<I16sHH")


@dataclass(slots=True)
class ValidateNegotiateInfoRequest:
    """VALIDATE_NEGOTIATE_INFO Request (2.2.31.4): what the client's NEGOTIATE said."""

    capabilities: int
    guid: bytes
    security_mode: int
    dialects: list[int]

    def pack(self) -> bytes:
        """The input of the IOCTL."""
        head = _VALIDATE_REQUEST.pack(self.capabilities, self.guid, self.security_mode, len(self.dialects))
        return head + _pack_numbers(self.dialects)

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> ValidateNegotiateInfoRequest:
        """Read the input of the IOCTL."""
        try:
            capabilities, client_guid, mode, count = _VALIDATE_REQUEST.unpack_from(data)
        except struct.error:
            raise MalformedMessage("ValidateNegotiateInfoRequest: cut short") from None
        dialects = _numbers(data, _VALIDATE_REQUEST.size, count, "ValidateNegotiateInfoRequest")
        return cls(capabilities, client_guid, mode, dialects)


@wire()
class ValidateNegotiateInfoResponse(Structure):
    """VALIDATE_NEGOTIATE_INFO Response (2.2.32.6): what the server's NEGOTIATE said."""

    capabilities: u32
    guid: guid
    security_mode: u16
    dialect: u16


@wire()
class NetworkInterfaceInfo(Structure):
    """NETWORK_INTERFACE_INFO (2.2.32.5): one address of an interface. They are chained at multiples of 8.

    `if_index` is not 0, and the same for all addresses of one interface. `link_speed` is in bits per second.
    `sockaddr` is SOCKADDR_STORAGE (2.2.32.5.1): see `socket_address`.
    """

    next_entry_offset: ClassVar[pad4]
    if_index: u32
    capability: u32
    reserved: ClassVar[pad4]
    link_speed: u64
    sockaddr: Annotated[bytes, Fixed("128s")]


def socket_address(packed: bytes) -> bytes:
    """SOCKADDR_STORAGE of an IPv4 address (4 bytes) or an IPv6 one (16 bytes), without a port (2.2.32.5.1)."""
    if len(packed) == 4:
        return struct.pack("<HH4s", 2, 0, packed).ljust(128, b"\0")
    return struct.pack("<HHI16s", 0x17, 0, 0, packed).ljust(128, b"\0")


@wire(minimum=32)
class RequestResumeKeyResponse(Structure):
    """SRV_REQUEST_RESUME_KEY Response (2.2.32.3): names an open to its own session. Windows writes no context."""

    resume_key: Annotated[bytes, Fixed("24s")]
    context: Annotated[bytes, Variable("nI")] = b""


@wire()
class CopyChunkCopy(Structure):
    """SRV_COPYCHUNK_COPY (2.2.31.1): the open that is copied from. As many CopyChunks follow it."""

    size: ClassVar[int] = 32
    source_key: Annotated[bytes, Fixed("24s")]
    chunk_count: u32
    reserved: ClassVar[pad4]


@wire()
class CopyChunk(Structure):
    """SRV_COPYCHUNK (2.2.31.1.1): a range of the source, and where it goes."""

    size: ClassVar[int] = 24
    source_offset: u64
    target_offset: u64
    length: u32
    reserved: ClassVar[pad4]


@wire()
class CopyChunkResponse(Structure):
    """SRV_COPYCHUNK_RESPONSE (2.2.32.1): what was written; with STATUS_INVALID_PARAMETER, the most of each."""

    chunks_written: u32
    chunk_bytes_written: u32
    total_bytes_written: u32


# --- directories, attributes, notifications ---


@wire(33)
class QueryDirectoryRequest(Message):
    """SMB2 QUERY_DIRECTORY Request (2.2.33)."""

    command: ClassVar[int] = SMB2_QUERY_DIRECTORY
    file_information_class: u8
    flags: u8 = 0
    file_index: u32 = 0
    file_id: bytes16 = bytes(16)
    name: utf16 = ""
    output_buffer_length: u32 = 0

    def payload_size(self) -> int:
        """The length asked for."""
        return self.output_buffer_length


@wire(9)
class QueryDirectoryResponse(Message):
    """SMB2 QUERY_DIRECTORY Response (2.2.34)."""

    command: ClassVar[int] = SMB2_QUERY_DIRECTORY
    output: Annotated[Data, Variable("oH nI", read=None)]


@wire(32)
class ChangeNotifyRequest(Message):
    """SMB2 CHANGE_NOTIFY Request (2.2.35)."""

    command: ClassVar[int] = SMB2_CHANGE_NOTIFY
    flags: u16 = 0
    output_buffer_length: u32 = 0
    file_id: bytes16 = bytes(16)
    completion_filter: u32 = 0
    reserved: ClassVar[pad4]

    def payload_size(self) -> int:
        """The length asked for."""
        return self.output_buffer_length


@wire(9)
class ChangeNotifyResponse(Message):
    """SMB2 CHANGE_NOTIFY Response (2.2.36)."""

    command: ClassVar[int] = SMB2_CHANGE_NOTIFY
    output: Annotated[Data, Variable("oH nI", read=None)] = b""


@wire(41)
class QueryInfoRequest(Message):
    """SMB2 QUERY_INFO Request (2.2.37)."""

    command: ClassVar[int] = SMB2_QUERY_INFO
    info_type: u8
    file_info_class: u8
    output_buffer_length: u32
    input: Annotated[Data, Variable("oH 2x nI", empty="zero", read=None)] = b""
    additional_information: u32 = 0
    flags: u32 = 0
    file_id: bytes16 = bytes(16)

    def payload_size(self) -> int:
        """What is sent, or what may come back."""
        return max(len(self.input), self.output_buffer_length)


@wire(9)
class QueryInfoResponse(Message):
    """SMB2 QUERY_INFO Response (2.2.38)."""

    command: ClassVar[int] = SMB2_QUERY_INFO
    output: Annotated[Data, Variable("oH nI", read=None)]


@wire(33)
class SetInfoRequest(Message):
    """SMB2 SET_INFO Request (2.2.39)."""

    command: ClassVar[int] = SMB2_SET_INFO
    info_type: u8
    file_info_class: u8
    buffer: Annotated[Data, Variable("nI oH 2x", read=None)]
    additional_information: u32 = 0
    file_id: bytes16 = bytes(16)

    def payload_size(self) -> int:
        """The length sent."""
        return len(self.buffer)


@wire(2)
class SetInfoResponse(Message):
    """SMB2 SET_INFO Response (2.2.40)."""

    command: ClassVar[int] = SMB2_SET_INFO


# --- oplocks and leases ---


@wire(24)
class OplockBreak(Message):
    """SMB2 OPLOCK_BREAK Notification, Acknowledgment and Response (2.2.23.1, 2.2.24.1, 2.2.25.1), which look alike."""

    command: ClassVar[int] = SMB2_OPLOCK_BREAK
    oplock_level: u8
    reserved: ClassVar[pad1]
    reserved2: ClassVar[pad4]
    file_id: bytes16


@wire(44)
class LeaseBreakNotification(Message):
    """SMB2 Lease Break Notification (2.2.23.2)."""

    command: ClassVar[int] = SMB2_OPLOCK_BREAK
    new_epoch: u16
    flags: u32
    lease_key: bytes16
    current_lease_state: u32
    new_lease_state: u32
    break_reason: u32 = 0
    access_mask_hint: u32 = 0
    share_mask_hint: u32 = 0


@wire(36)
class LeaseBreak(Message):
    """SMB2 Lease Break Acknowledgment and Response (2.2.24.2, 2.2.25.2), which look alike."""

    command: ClassVar[int] = SMB2_OPLOCK_BREAK
    reserved: ClassVar[pad2]
    flags: u32
    lease_key: bytes16
    lease_state: u32
    lease_duration: u64 = 0


# --- the rest ---


@wire(4)
class CancelRequest(Message):
    """SMB2 CANCEL Request (2.2.30): the header says what is to be cancelled."""

    command: ClassVar[int] = SMB2_CANCEL
    reserved: ClassVar[pad2]


@wire(4)
class EchoRequest(Message):
    """SMB2 ECHO Request (2.2.28)."""

    command: ClassVar[int] = SMB2_ECHO
    reserved: ClassVar[pad2]


@wire(4)
class EchoResponse(Message):
    """SMB2 ECHO Response (2.2.29)."""

    command: ClassVar[int] = SMB2_ECHO
    reserved: ClassVar[pad2]


_ERROR: Final = struct.Struct("<HBxI")
_ERROR_CONTEXT: Final = struct.Struct("<II")


@dataclass(slots=True)
class ErrorResponse(Message):
    """SMB2 ERROR Response (2.2.2): the body of an answer with an error status, to the command in the header.

    On 3.1.1 `data` may be `error_context_count` contexts, which `contexts()` reads; otherwise it is the error data.
    """

    data: bytes = b""
    error_context_count: int = 0

    def parts(self) -> list[Data]:
        """The message in one piece: at least one byte stands for the data."""
        return [_ERROR.pack(9, self.error_context_count, len(self.data)) + (self.data or b"\0")]

    @classmethod
    def unpack(cls, pdu: memoryview) -> ErrorResponse:
        """Read the message."""
        try:
            size, count, length = _ERROR.unpack_from(pdu, HEADER_SIZE)
        except struct.error:
            raise MalformedMessage("ErrorResponse: cut short") from None
        if size != 9:
            raise MalformedMessage(f"ErrorResponse: StructureSize {size}, not 9")
        at = HEADER_SIZE + _ERROR.size
        if at + length > len(pdu):
            raise MalformedMessage("ErrorResponse: its data go beyond the end of the message")
        return cls(bytes(pdu[at : at + length]), count)

    def contexts(self) -> list[tuple[int, bytes]]:
        """The ERROR contexts of 3.1.1 (2.2.2.1): id and data of each. Raises MalformedMessage."""
        found: list[tuple[int, bytes]] = []
        at = 0
        for _ in range(self.error_context_count):
            try:
                length, identifier = _ERROR_CONTEXT.unpack_from(self.data, at)
            except struct.error:
                raise MalformedMessage("ErrorResponse: a context is cut short") from None
            end = at + _ERROR_CONTEXT.size + length
            if end > len(self.data):
                raise MalformedMessage("ErrorResponse: a context is cut short")
            found.append((identifier, self.data[at + _ERROR_CONTEXT.size : end]))
            at = end + -end % 8
        return found


# --- which message is it ---


class _BreakRequest(OplockBreak):
    """The two messages that share the command, told apart by their size."""

    @classmethod
    def unpack(cls, pdu: memoryview) -> Any:
        """An OplockBreak or a LeaseBreak, by StructureSize. Raises MalformedMessage."""
        size = bytes(pdu[HEADER_SIZE : HEADER_SIZE + 1])
        return (LeaseBreak if size == b"\x24" else OplockBreak).unpack(pdu)


class _BreakResponse(OplockBreak):
    """The three messages that share the command, told apart by their size."""

    @classmethod
    def unpack(cls, pdu: memoryview) -> Any:
        """An OplockBreak, a LeaseBreak or a LeaseBreakNotification, by StructureSize. Raises MalformedMessage."""
        size = bytes(pdu[HEADER_SIZE : HEADER_SIZE + 1])
        if size == b"\x2c":
            return LeaseBreakNotification.unpack(pdu)
        return (LeaseBreak if size == b"\x24" else OplockBreak).unpack(pdu)


class _NoResponse(CancelRequest):
    """The response of CANCEL: there is none."""

    @classmethod
    def unpack(cls, pdu: memoryview) -> Any:
        """Raises MalformedMessage, always."""
        raise MalformedMessage("a CANCEL is never answered")


REQUESTS: Final[tuple[type[Message], ...]] = (
    NegotiateRequest,
    SessionSetupRequest,
    LogoffRequest,
    TreeConnectRequest,
    TreeDisconnectRequest,
    CreateRequest,
    CloseRequest,
    FlushRequest,
    ReadRequest,
    WriteRequest,
    LockRequest,
    IoctlRequest,
    CancelRequest,
    EchoRequest,
    QueryDirectoryRequest,
    ChangeNotifyRequest,
    QueryInfoRequest,
    SetInfoRequest,
    _BreakRequest,
)

RESPONSES: Final[tuple[type[Message], ...]] = (
    NegotiateResponse,
    SessionSetupResponse,
    LogoffResponse,
    TreeConnectResponse,
    TreeDisconnectResponse,
    CreateResponse,
    CloseResponse,
    FlushResponse,
    ReadResponse,
    WriteResponse,
    LockResponse,
    IoctlResponse,
    _NoResponse,
    EchoResponse,
    QueryDirectoryResponse,
    ChangeNotifyResponse,
    QueryInfoResponse,
    SetInfoResponse,
    _BreakResponse,
)

# 3.3.4.4: the statuses other than success that have the command's own response.
_PARTIAL: Final = frozenset(
    {
        (SMB2_SESSION_SETUP, STATUS_MORE_PROCESSING_REQUIRED),
        (SMB2_QUERY_INFO, STATUS_BUFFER_OVERFLOW),
        (SMB2_READ, STATUS_BUFFER_OVERFLOW),
        (SMB2_IOCTL, STATUS_BUFFER_OVERFLOW),
    }
)


def unpack_request(command: int, pdu: memoryview) -> Message:
    """The request in `pdu`, which begins with the header."""
    if command >= len(REQUESTS):
        raise MalformedMessage(f"there is no command {command}")
    return REQUESTS[command].unpack(pdu)


def unpack_response(command: int, status: int, pdu: memoryview) -> Message:
    """The response in `pdu`, which begins with the header: the command's own, or an ErrorResponse."""
    if command >= len(RESPONSES):
        raise MalformedMessage(f"there is no command {command}")
    if status == STATUS_SUCCESS or (command, status) in _PARTIAL:
        return RESPONSES[command].unpack(pdu)
    if command == SMB2_IOCTL and bytes(pdu[HEADER_SIZE : HEADER_SIZE + 1]) == b"\x31":
        # 3.3.4.4: a COPYCHUNK that was refused with INVALID_PARAMETER says how large its chunks might have been.
        return IoctlResponse.unpack(pdu)
    return ErrorResponse.unpack(pdu)


def command_name(command: int) -> str:
    """The command's name, for error messages."""
    return COMMAND_NAMES[command] if command < len(COMMAND_NAMES) else f"command {command}"
