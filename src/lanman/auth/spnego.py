"""SPNEGO tokens (RFC 4178, MS-SPNG) and as much DER as they need.

Definite lengths only, every length checked against what encloses it; unknown optional fields are ignored, as the
extension marks of the ASN.1 require. Object identifiers stay as their content bytes: they are compared, never shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lanman.errors import MalformedMessage

# 1.3.6.1.5.5.2
SPNEGO_OID: Final = bytes.fromhex("2b0601050502")
# 1.2.840.113554.1.2.2, and 1.2.840.48018.1.2.2 as Windows 2000 wrote it and Windows still offers first.
KERBEROS_OID: Final = bytes.fromhex("2a864886f712010202")
MS_KERBEROS_OID: Final = bytes.fromhex("2a864882f712010202")

# MS-SPNG 3.2.5.2: what servers send in place of a principal name, which clients must not trust.
HINT_NAME: Final = b"not_defined_in_RFC4178@please_ignore"

_SEQUENCE: Final = 0x30
_OBJECT_IDENTIFIER: Final = 0x06
_OCTET_STRING: Final = 0x04
_ENUMERATED: Final = 0x0A
_GENERAL_STRING: Final = 0x1B
_APPLICATION_0: Final = 0x60
_CONTEXT: Final = 0xA0


class NegState(IntEnum):
    """negState of a NegTokenResp (RFC 4178 4.2.2)."""

    ACCEPT_COMPLETED = 0
    ACCEPT_INCOMPLETE = 1
    REJECT = 2
    REQUEST_MIC = 3


@dataclass(slots=True)
class NegTokenInit:
    """The first token of the client (RFC 4178 4.2.1).

    `mech_type_list` is the DER of the list just as it was sent, because that is what the mechListMIC signs.
    """

    mech_types: Sequence[bytes]
    mech_token: bytes | None = None
    mech_list_mic: bytes | None = None
    mech_type_list: bytes = b""


@dataclass(slots=True)
class NegTokenResp:
    """Every later token, in both directions (RFC 4178 4.2.2)."""

    neg_state: NegState | None = None
    supported_mech: bytes | None = None
    response_token: bytes | None = None
    mech_list_mic: bytes | None = None


# --- DER


def _pack(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the element at `at`."""
    if at + 2 > len(data):
        raise MalformedMessage("SPNEGO token ends inside an element")
    tag, size, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise MalformedMessage("SPNEGO token with a long tag")
    if size >= 0x80:
        byte_count = size & 0x7F
        if not 1 <= byte_count <= 4 or start + byte_count > len(data):
            raise MalformedMessage("SPNEGO token with an element of no definite length")
        size = int.from_bytes(data[start : start + byte_count], "big")
        start += byte_count
    if start + size > len(data):
        raise MalformedMessage("SPNEGO element beyond the end of what encloses it")
    return tag, start, start + size


def _only(data: bytes, tag: int) -> bytes:
    """The content of the one element that `data` is."""
    found, start, end = _element(data, 0)
    if found != tag or end != len(data):
        raise MalformedMessage(f"SPNEGO element {found:#04x}, expected {tag:#04x}")
    return data[start:end]


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents of the elements that follow each other in `data`."""
    found = []
    at = 0
    while at < len(data):
        tag, start, at = _element(data, at)
        found.append((tag, data[start:at]))
    return found


def _fields(data: bytes) -> dict[int, bytes]:
    """The context-tagged fields of a SEQUENCE by number."""
    fields: dict[int, bytes] = {}
    for tag, content in _elements(_only(data, _SEQUENCE)):
        if tag & 0xE0 != _CONTEXT or tag & 0x1F in fields:
            raise MalformedMessage(f"SPNEGO field with the tag {tag:#04x}")
        fields[tag & 0x1F] = content
    return fields


def _octet_string(fields: dict[int, bytes], number: int) -> bytes | None:
    return _only(fields[number], _OCTET_STRING) if number in fields else None


# --- tokens


def pack_mech_types(mech_types: Sequence[bytes]) -> bytes:
    """MechTypeList: the DER that a mechListMIC signs."""
    return _pack(_SEQUENCE, b"".join(_pack(_OBJECT_IDENTIFIER, oid) for oid in mech_types))


def pack_init(token: NegTokenInit, *, hint: bool = False) -> bytes:
    """A NegTokenInit in its GSS-API frame (RFC 2743 3.1); with `hint` the server's NegTokenInit2 (MS-SPNG 2.2.1)."""
    body = _pack(_CONTEXT, pack_mech_types(token.mech_types))
    if token.mech_token is not None:
        body += _pack(_CONTEXT | 2, _pack(_OCTET_STRING, token.mech_token))
    if hint:
        name = _pack(_CONTEXT, _pack(_GENERAL_STRING, HINT_NAME))
        body += _pack(_CONTEXT | 3, _pack(_SEQUENCE, name))
    if token.mech_list_mic is not None:
        body += _pack(_CONTEXT | (4 if hint else 3), _pack(_OCTET_STRING, token.mech_list_mic))
    inner = _pack(_CONTEXT, _pack(_SEQUENCE, body))
    return _pack(_APPLICATION_0, _pack(_OBJECT_IDENTIFIER, SPNEGO_OID) + inner)


def pack_response(token: NegTokenResp) -> bytes:
    """A NegTokenResp (RFC 4178 4.2.2); what is None is left out."""
    body = b""
    if token.neg_state is not None:
        body += _pack(_CONTEXT, _pack(_ENUMERATED, bytes((token.neg_state,))))
    if token.supported_mech is not None:
        body += _pack(_CONTEXT | 1, _pack(_OBJECT_IDENTIFIER, token.supported_mech))
    if token.response_token is not None:
        body += _pack(_CONTEXT | 2, _pack(_OCTET_STRING, token.response_token))
    if token.mech_list_mic is not None:
        body += _pack(_CONTEXT | 3, _pack(_OCTET_STRING, token.mech_list_mic))
    return _pack(_CONTEXT | 1, _pack(_SEQUENCE, body))


def unpack(data: bytes) -> NegTokenInit | NegTokenResp:
    """Read a token of either kind. Raises MalformedMessage."""
    tag, start, end = _element(data, 0)
    if end != len(data):
        raise MalformedMessage("SPNEGO token followed by other bytes")
    if tag == _APPLICATION_0:
        oid_tag, oid_start, oid_end = _element(data[:end], start)
        if oid_tag != _OBJECT_IDENTIFIER or data[oid_start:oid_end] != SPNEGO_OID:
            raise MalformedMessage("GSS-API token of another mechanism than SPNEGO")
        return _unpack_init(_only(data[oid_end:end], _CONTEXT))
    if tag == _CONTEXT:
        return _unpack_init(data[start:end])
    if tag == _CONTEXT | 1:
        return _unpack_response(data[start:end])
    raise MalformedMessage("neither a SPNEGO nor an NTLM token")


def _unpack_init(data: bytes) -> NegTokenInit:
    fields = _fields(data)
    mech_type_list = fields.get(0, b"")
    mech_types = []
    if mech_type_list:
        for tag, oid in _elements(_only(mech_type_list, _SEQUENCE)):
            if tag != _OBJECT_IDENTIFIER:
                raise MalformedMessage("SPNEGO mechanism that is not an object identifier")
            mech_types.append(oid)
    # MS-SPNG 2.2.1: field 3 is negHints in a NegTokenInit2, whose mechListMIC is field 4.
    is_hint = fields.get(3, b"")[:1] == bytes((_SEQUENCE,))
    mic_field = 4 if is_hint else 3
    return NegTokenInit(mech_types, _octet_string(fields, 2), _octet_string(fields, mic_field), mech_type_list)


def _unpack_response(data: bytes) -> NegTokenResp:
    fields = _fields(data)
    state = None
    if 0 in fields:
        value = _only(fields[0], _ENUMERATED)
        if len(value) != 1 or value[0] > NegState.REQUEST_MIC:
            raise MalformedMessage("SPNEGO state that does not exist")
        state = NegState(value[0])
    mech = _only(fields[1], _OBJECT_IDENTIFIER) if 1 in fields else None
    token, mic = _octet_string(fields, 2), _octet_string(fields, 3)
    # Windows 2000 and its imitators repeat the token in the place of the MIC.
    return NegTokenResp(state, mech, token, None if mic == token else mic)
