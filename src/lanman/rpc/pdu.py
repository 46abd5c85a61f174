"""The PDUs of connection-oriented DCE/RPC 5.0 (C706 12.6, MS-RPCE 2.2.2).

A PDU begins with 16 bytes: version 5.0 or 5.1, type, flags, data representation, length of the whole, length of the
authentication value, and the call's id. The association (`client`, `server`) decides what a PDU means; here are its
bytes alone:

  - What is sent is little-endian, version 5.0, without authentication.
  - What is received may be big-endian in all fields that are read here. A big-endian stub is not understood: the
    association answers a fault.
  - `Splitter` cuts the byte stream into PDUs, and refuses one that is longer than was agreed when its header has come.
  - A call travels in fragments, each a PDU; `Reassembly` joins them up to a limit. No byte of a longer call is kept.
  - Any bytes give a value, MalformedMessage, or RemoteProtocolError where the stream cannot be followed any more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from lanman.dtyp import Guid
from lanman.errors import MalformedMessage, RemoteProtocolError
from lanman.plain import dataclass

# PTYPE (C706 12.6.4.1 to 12.6.4.12, MS-RPCE 2.2.2.10)
REQUEST: Final = 0
RESPONSE: Final = 2
FAULT: Final = 3
BIND: Final = 11
BIND_ACK: Final = 12
BIND_NAK: Final = 13
ALTER_CONTEXT: Final = 14
ALTER_CONTEXT_RESP: Final = 15
RPC_AUTH_3: Final = 16
SHUTDOWN: Final = 17
CO_CANCEL: Final = 18
ORPHANED: Final = 19

# pfc_flags (C706 12.6.3.1)
PFC_FIRST_FRAG: Final = 0x01
PFC_LAST_FRAG: Final = 0x02
PFC_PENDING_CANCEL: Final = 0x04
PFC_CONC_MPX: Final = 0x10
PFC_DID_NOT_EXECUTE: Final = 0x20
PFC_MAYBE: Final = 0x40
PFC_OBJECT_UUID: Final = 0x80
PFC_WHOLE: Final = PFC_FIRST_FRAG | PFC_LAST_FRAG

# p_cont_def_result_t and p_provider_reason_t (C706 12.6.3.1); negotiate_ack is MS-RPCE 2.2.2.4
ACCEPTANCE: Final = 0
PROVIDER_REJECTION: Final = 2
NEGOTIATE_ACK: Final = 3
ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 1
TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 2

# p_reject_reason_t (C706 12.6.3.1, MS-RPCE 2.2.2.5)
REASON_NOT_SPECIFIED: Final = 0
LOCAL_LIMIT_EXCEEDED: Final = 2
PROTOCOL_VERSION_NOT_SUPPORTED: Final = 4
AUTHENTICATION_TYPE_NOT_RECOGNIZED: Final = 8
INVALID_CHECKSUM: Final = 9

RPC_C_AUTHN_LEVEL_NONE: Final = 1  # MS-RPCE 2.2.1.1.8

# Bind time features (MS-RPCE 2.2.2.14)
SECURITY_CONTEXT_MULTIPLEXING: Final = 0x1
KEEP_CONNECTION_ON_ORPHAN: Final = 0x2

HEADER_SIZE: Final = 16
MUST_RECEIVE_FRAG_SIZE: Final = 1432  # C706 12.6.3.1: every implementation takes fragments of this size
MAX_FRAG_SIZE: Final = 0xFFFF
DEFAULT_FRAG_SIZE: Final = 4280  # what Windows offers

# Transfer syntaxes that one context may offer. There are two, and one that stands for features.
MAX_TRANSFERS: Final = 16

_LITTLE: Final = b"\x10\0\0\0"  # little-endian, ASCII, IEEE


@dataclass(slots=True, frozen=True)
class Syntax:
    """The name of an interface or of a transfer syntax (p_syntax_id_t)."""

    uuid: Guid
    major: int
    minor: int = 0

    def __str__(self) -> str:
        return f"{self.uuid} {self.major}.{self.minor}"


NDR32: Final = Syntax(Guid.parse("8a885d04-1ceb-11c9-9fe8-08002b104860"), 2)
NDR64: Final = Syntax(Guid.parse("71710533-beba-4937-8319-b5dbef9ccc36"), 1)
_FEATURES_PREFIX: Final = Guid.parse("6cb71c2c-9812-4540-0000-000000000000").big_endian()[:8]


def offered_features(syntax: Syntax) -> int | None:
    """The features that a transfer syntax stands for (MS-RPCE 3.3.1.5.3), or None if it is a transfer syntax."""
    raw = syntax.uuid.big_endian()
    return int.from_bytes(raw[8:], "little") if raw[:8] == _FEATURES_PREFIX and syntax.major == 1 else None


@dataclass(slots=True)
class Pdu:
    """What all PDUs have in common; `body` is what follows the header, without authentication."""

    type: int
    flags: int
    call_id: int
    body: bytes
    big_endian: bool = False
    auth_level: int = 0
    auth_type: int = 0
    auth_value: bytes = b""
    minor_version: int = 0

    def number(self, at: int, size: int) -> int:
        """An unsigned number of `size` bytes in the body. Raises MalformedMessage if it is not all there."""
        if at + size > len(self.body):
            raise MalformedMessage(f"a PDU of type {self.type} ends within its fields")
        return int.from_bytes(self.body[at : at + size], "big" if self.big_endian else "little")

    def syntax(self, at: int) -> Syntax:
        """A syntax id of 20 bytes in the body."""
        if not self.big_endian and (known := _TRANSFERS.get(self.body[at : at + 20])) is not None:
            return known
        raw = self.body[at : at + 16]
        if len(raw) != 16:
            raise MalformedMessage(f"a PDU of type {self.type} ends within its fields")
        uuid = Guid.from_big_endian(raw) if self.big_endian else Guid(raw)
        # The version is one number, of which the upper half is the minor one.
        version = self.number(at + 16, 4)
        return Syntax(uuid, version & 0xFFFF, version >> 16)


class Splitter:
    """Cuts a stream of bytes into PDUs. They may come in any pieces, several at once too."""

    def __init__(self, max_frag: int) -> None:
        self.max_frag = max_frag
        self._buffer = bytearray()

    def __len__(self) -> int:
        """How many bytes have come of a PDU that is not complete."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> Iterator[Pdu]:
        """Take bytes, and give the PDUs that are complete. Raises RemoteProtocolError: close the connection."""
        buffer = self._buffer
        if not buffer and len(data) >= HEADER_SIZE and self._size(data, 0) == len(data):
            yield parse(data)  # one whole PDU, as most that arrives
            return
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= HEADER_SIZE:
                size = self._size(buffer, at)
                if len(buffer) - at < size:
                    break
                pdu = parse(bytes(buffer[at : at + size]))
                at += size
                yield pdu
        finally:
            del buffer[:at]

    def _size(self, buffer: bytes | bytearray, at: int) -> int:
        if buffer[at] != 5 or buffer[at + 1] > 1:
            raise RemoteProtocolError(f"DCE/RPC version {buffer[at]}.{buffer[at + 1]}, not 5.0")
        size = int.from_bytes(buffer[at + 8 : at + 10], "little" if buffer[at + 4] & 0x10 else "big")
        if not HEADER_SIZE <= size <= self.max_frag:
            raise RemoteProtocolError(f"a PDU of {size} bytes; {self.max_frag} at most were agreed")
        return size


def parse(raw: bytes) -> Pdu:
    """Parse one whole PDU. Raises MalformedMessage."""
    if len(raw) < HEADER_SIZE:
        raise MalformedMessage(f"a PDU of {len(raw)} bytes")
    big = not raw[4] & 0x10
    size, auth_size, call_id = struct.unpack_from(">HHI" if big else "<HHI", raw, 8)
    if size != len(raw):
        raise MalformedMessage(f"a PDU of {len(raw)} bytes says that it has {size}")
    pdu = Pdu(raw[2], raw[3], call_id, raw[HEADER_SIZE:], big, minor_version=raw[1])
    if auth_size:
        # sec_trailer (MS-RPCE 2.2.2.11): type, level, length of the padding before it, reserved, context id.
        at = size - auth_size - 8
        if at < HEADER_SIZE or at - raw[at + 2] < HEADER_SIZE:
            raise MalformedMessage(f"an authentication value of {auth_size} bytes in a PDU of {size}")
        pdu.auth_type, pdu.auth_level = raw[at], raw[at + 1]
        pdu.auth_value = raw[at + 8 :]
        pdu.body = raw[HEADER_SIZE : at - raw[at + 2]]
    return pdu


def build(type: int, flags: int, call_id: int, body: bytes) -> bytes:
    """One PDU, without authentication."""
    return struct.pack("<BBBB4sHHI", 5, 0, type, flags, _LITTLE, HEADER_SIZE + len(body), 0, call_id) + body


def _pack_syntax(syntax: Syntax) -> bytes:
    return syntax.uuid + struct.pack("<HH", syntax.major, syntax.minor)


_TRANSFERS: Final = {_pack_syntax(syntax): syntax for syntax in (NDR32, NDR64)}


@dataclass(slots=True)
class Context:
    """A presentation context as a client offers it (p_cont_elem_t)."""

    id: int
    abstract: Syntax
    transfers: list[Syntax]


@dataclass(slots=True)
class Result:
    """The result for one context (p_result_t). For NEGOTIATE_ACK, `reason` is the set of features."""

    result: int
    reason: int
    transfer: Syntax | None


@dataclass(slots=True)
class Bind:
    """The body of bind and alter_context (C706 12.6.4.3, 12.6.4.1)."""

    max_xmit_frag: int
    max_recv_frag: int
    assoc_group_id: int
    contexts: list[Context]

    def pack(self) -> bytes:
        """The body's bytes."""
        parts = [
            struct.pack("<HHIB3x", self.max_xmit_frag, self.max_recv_frag, self.assoc_group_id, len(self.contexts))
        ]
        for context in self.contexts:
            parts.append(struct.pack("<HBx", context.id, len(context.transfers)))
            parts += map(_pack_syntax, [context.abstract, *context.transfers])
        return b"".join(parts)

    @classmethod
    def unpack(cls, pdu: Pdu) -> Bind:
        """Read the body. Raises MalformedMessage, for more than MAX_TRANSFERS transfer syntaxes in a context too."""
        contexts, at = [], 12
        for _ in range(pdu.number(8, 1)):
            count = pdu.number(at + 2, 1)
            if count > MAX_TRANSFERS:
                raise MalformedMessage(f"{count} transfer syntaxes in a context; {MAX_TRANSFERS} at most are taken")
            syntaxes = [pdu.syntax(at + 4 + 20 * number) for number in range(count + 1)]
            contexts.append(Context(pdu.number(at, 2), syntaxes[0], syntaxes[1:]))
            at += 24 + 20 * count
        return cls(pdu.number(0, 2), pdu.number(2, 2), pdu.number(4, 4), contexts)


# What a BindAck begins with, and each of its results; little-endian and big-endian.
_ACK_HEADS: Final = tuple((struct.Struct(order + "HHIH"), struct.Struct(order + "HH")) for order in "<>")


@dataclass(slots=True)
class BindAck:
    """The body of bind_ack and alter_context_resp (C706 12.6.4.4, 12.6.4.2)."""

    max_xmit_frag: int
    max_recv_frag: int
    assoc_group_id: int
    secondary_address: str
    results: list[Result]

    def pack(self) -> bytes:
        """The body's bytes. The address is a C string, or no bytes at all; the results lie at a multiple of four."""
        address = self.secondary_address.encode() + b"\0" if self.secondary_address else b""
        body = struct.pack("<HHIH", self.max_xmit_frag, self.max_recv_frag, self.assoc_group_id, len(address)) + address
        parts = [body, bytes(-len(body) % 4), struct.pack("<B3x", len(self.results))]
        for result in self.results:
            syntax = bytes(20) if result.transfer is None else _pack_syntax(result.transfer)
            parts += [struct.pack("<HH", result.result, result.reason), syntax]
        return b"".join(parts)

    @classmethod
    def unpack(cls, pdu: Pdu) -> BindAck:
        """Read the body. Raises MalformedMessage."""
        body, heads = pdu.body, _ACK_HEADS[pdu.big_endian]
        try:
            max_xmit, max_recv, group, length = heads[0].unpack_from(body)
            address = body[10 : 10 + length].split(b"\0")[0].decode("ascii", "replace")
            at = 10 + length + (-(10 + length) % 4)
            results = []
            for place in range(at + 4, at + 4 + 24 * body[at], 24):
                result, reason = heads[1].unpack_from(body, place)
                results.append(Result(result, reason, pdu.syntax(place + 4)))
        except (struct.error, IndexError):
            raise MalformedMessage(f"a PDU of type {pdu.type} ends within its fields") from None
        return cls(max_xmit, max_recv, group, address, results)


def bind_nak(call_id: int, reason: int) -> bytes:
    """A bind_nak, with the one protocol version that there is (C706 12.6.4.5)."""
    return build(BIND_NAK, PFC_WHOLE, call_id, struct.pack("<HBBB", reason, 1, 5, 0))


def fault(call_id: int, context_id: int, status: int, *, executed: bool = False) -> bytes:
    """A fault PDU with a status; a call that was not executed may be made again (C706 12.6.4.7)."""
    flags = PFC_WHOLE if executed else PFC_WHOLE | PFC_DID_NOT_EXECUTE
    return build(FAULT, flags, call_id, struct.pack("<IHBxI4x", 0, context_id, 0, status))


def fragments(type: int, call_id: int, context_id: int, opnum: int, stub: bytes, max_frag: int) -> list[bytes]:
    """A request or response in as many PDUs as it takes (C706 12.6.4.9, 12.6.4.10). `opnum` is 0 for a response."""
    # A multiple of eight bytes in each, so that no number is divided between two.
    room = (max_frag - HEADER_SIZE - 8) & ~7
    pdus = []
    for at in range(0, len(stub) or 1, room):
        piece = stub[at : at + room]
        flags = (PFC_FIRST_FRAG if at == 0 else 0) | (PFC_LAST_FRAG if at + room >= len(stub) else 0)
        # alloc_hint is how much of the stub is still to come, this piece included.
        pdus.append(build(type, flags, call_id, struct.pack("<IHH", len(stub) - at, context_id, opnum) + piece))
    return pdus


class Reassembly:
    """The stub of one call on its way in, piece by piece, and never more than `limit` bytes of it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stub = bytearray()

    def add(self, pdu: Pdu, header: int) -> None:
        """Take what a fragment has behind `header` bytes. Raises RemoteProtocolError above the limit."""
        piece = pdu.body[header:]
        if len(self._stub) + len(piece) > self._limit:
            raise RemoteProtocolError(f"a call of more than {self._limit} bytes")
        self._stub += piece

    def __len__(self) -> int:
        """How many bytes have come so far."""
        return len(self._stub)

    def stub(self) -> bytes:
        """All of it."""
        return bytes(self._stub)
