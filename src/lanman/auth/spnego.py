"""SPNEGO tokens (RFC 4178, MS-SPNG) and as much DER as they need.

Definite lengths only, every length checked against what encloses it; unknown optional fields are ignored, as the
extension marks of the ASN.1 require. Object identifiers stay as their content bytes: they are compared, never shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

from lanman.auth.ntlm import NTLMSSP_OID, SIGNATURE
from lanman.errors import MalformedMessage
from lanman.plain import dataclass

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
    if size < 0x100:
        return bytes((tag, 0x81, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _element(data: bytes, at: int, limit: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the element at `at`, which ends at `limit` or before."""
    start = at + 2
    if start > limit:
        raise MalformedMessage("SPNEGO token ends inside an element")
    tag, size = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise MalformedMessage("SPNEGO token with a long tag")
    if size >= 0x80:
        byte_count = size & 0x7F
        if not 1 <= byte_count <= 4 or start + byte_count > limit:
            raise MalformedMessage("SPNEGO token with an element of no definite length")
        size = int.from_bytes(data[start : start + byte_count], "big")
        start += byte_count
    end = start + size
    if end > limit:
        raise MalformedMessage("SPNEGO element beyond the end of what encloses it")
    return tag, start, end


def _only(data: bytes, at: int, limit: int, tag: int) -> tuple[int, int]:
    """Where the content is of the one element from `at` to `limit`."""
    found, start, end = _element(data, at, limit)
    if found != tag or end != limit:
        raise MalformedMessage(f"SPNEGO element {found:#04x}, expected {tag:#04x}")
    return start, end


def _fields(data: bytes, at: int, limit: int) -> dict[int, tuple[int, int]]:
    """Where the context-tagged fields are of the SEQUENCE from `at` to `limit`, by number."""
    fields: dict[int, tuple[int, int]] = {}
    at, limit = _only(data, at, limit, _SEQUENCE)
    while at < limit:
        tag, start, at = _element(data, at, limit)
        if tag & 0xE0 != _CONTEXT or tag & 0x1F in fields:
            raise MalformedMessage(f"SPNEGO field with the tag {tag:#04x}")
        fields[tag & 0x1F] = start, at
    return fields


def _content(data: bytes, place: tuple[int, int] | None, tag: int) -> bytes | None:
    """The content of the one element that a field holds; None without the field."""
    if place is None:
        return None
    start, end = _only(data, *place, tag)
    return data[start:end]


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
    inner, mic = token.response_token, token.mech_list_mic
    head, middle = _around(
        token.neg_state, token.supported_mech, None if inner is None else len(inner), None if mic is None else len(mic)
    )
    return b"".join((head, inner or b"", middle, mic or b""))


@lru_cache(256)
def _around(
    state: NegState | None, mech: bytes | None, token_size: int | None, mic_size: int | None
) -> tuple[bytes, bytes]:
    """A NegTokenResp but for its token and its MIC: what comes before the one, and between the two. Most of a server's
    are the same."""
    body = b""
    if state is not None:
        body += _pack(_CONTEXT, _pack(_ENUMERATED, bytes((state,))))
    if mech is not None:
        body += _pack(_CONTEXT | 1, _pack(_OBJECT_IDENTIFIER, mech))
    if token_size is not None:
        body += _pack(_CONTEXT | 2, _pack(_OCTET_STRING, bytes(token_size)))
    at = len(body)
    if mic_size is not None:
        body += _pack(_CONTEXT | 3, _pack(_OCTET_STRING, bytes(mic_size)))
    whole = _pack(_CONTEXT | 1, _pack(_SEQUENCE, body))
    at += len(whole) - len(body)
    return whole[: at - (token_size or 0)], whole[at : len(whole) - (mic_size or 0)]


def unpack(data: bytes) -> NegTokenInit | NegTokenResp:
    """Read a token of either kind. Raises MalformedMessage."""
    return _usual_response(data) or _usual_init(data) or _read(data)


def _read(data: bytes) -> NegTokenInit | NegTokenResp:
    tag, start, end = _element(data, 0, len(data))
    if end != len(data):
        raise MalformedMessage("SPNEGO token followed by other bytes")
    if tag == _APPLICATION_0:
        oid_tag, oid_start, oid_end = _element(data, start, end)
        if oid_tag != _OBJECT_IDENTIFIER or data[oid_start:oid_end] != SPNEGO_OID:
            raise MalformedMessage("GSS-API token of another mechanism than SPNEGO")
        return _unpack_init(data, *_only(data, oid_end, end, _CONTEXT))
    if tag == _CONTEXT:
        return _unpack_init(data, start, end)
    if tag == _CONTEXT | 1:
        return _unpack_response(data, start, end)
    raise MalformedMessage("neither a SPNEGO nor an NTLM token")


# What log-ons by NTLM say: states and mechanisms beside a token, what stands before a MIC, and how they end.
_MIC_SIZE: Final = 16
_LONGEST_USUAL: Final = 2048
_RESPONSE: Final = bytes((_CONTEXT | 1,))
_BEFORE_MIC: Final = bytes((_CONTEXT | 3, _MIC_SIZE + 2, _OCTET_STRING, _MIC_SIZE))
_USUAL: Final = (
    (NegState.ACCEPT_INCOMPLETE, NTLMSSP_OID),
    (NegState.ACCEPT_INCOMPLETE, None),
    (None, None),
)
_ENDS: Final = b"".join(_around(NegState.ACCEPT_COMPLETED, None, None, _MIC_SIZE))


def _usual_response(data: bytes) -> NegTokenResp | None:
    """A NegTokenResp that is, byte for byte, what `pack_response` makes of what log-ons by NTLM say; None for any other
    token. There is no need to read what can be compared."""
    if not data.startswith(_RESPONSE):
        return None
    at = data.find(SIGNATURE, 0, 64)
    if at < 0:
        if len(data) == len(_ENDS) + _MIC_SIZE and data.startswith(_ENDS):
            return NegTokenResp(NegState.ACCEPT_COMPLETED, None, None, data[len(_ENDS) :])
        return None
    mic = data[-_MIC_SIZE:] if data[-20:-_MIC_SIZE] == _BEFORE_MIC else None
    end = len(data) if mic is None else len(data) - 20
    if not len(SIGNATURE) <= end - at <= _LONGEST_USUAL:
        return None
    for state, mech in _USUAL:
        head, middle = _around(state, mech, end - at, None if mic is None else _MIC_SIZE)
        if len(head) == at and data.startswith(head) and (mic is None or middle == _BEFORE_MIC):
            token = data[at:end]
            return NegTokenResp(state, mech, token, None if mic == token else mic)
    return None


# A client says the same before its first NTLM message each time: which mechanisms it has.
_LONGEST_HEAD: Final = 128


def _usual_init(data: bytes) -> NegTokenInit | None:
    """A NegTokenInit that ends with an NTLM message, as `_read` reads it; None for any other token. What stands before
    the message, which has the lengths of all, is read once."""
    if not data.startswith(_INIT):
        return None
    at = data.find(SIGNATURE, 0, _LONGEST_HEAD + len(SIGNATURE))
    if at < 0 or (head := _init_before(data[:at], len(data) - at)) is None:
        return None
    mech_types, mech_type_list = head
    return NegTokenInit([*mech_types], data[at:], None, mech_type_list)


_INIT: Final = bytes((_APPLICATION_0,))


@lru_cache(256)
def _init_before(head: bytes, size: int) -> tuple[list[bytes], bytes] | None:
    """The mechanisms of a NegTokenInit that consists of `head` and the `size` bytes of its token; None if it does not.
    Nothing looks into a token, so any bytes do; only two kinds of them show that they are the token, and nothing else.
    """
    mechanisms = None
    for filling in (b"\x00" * size, b"\xff" * size):
        try:
            token = _read(head + filling)
        except MalformedMessage:
            return None
        if not isinstance(token, NegTokenInit) or token.mech_token != filling or token.mech_list_mic is not None:
            return None
        mechanisms = list(token.mech_types), token.mech_type_list
    return mechanisms


def _unpack_init(data: bytes, at: int, limit: int) -> NegTokenInit:
    fields = _fields(data, at, limit)
    mech_types, mech_type_list = [], b""
    if (place := fields.get(0)) is not None and place[0] < place[1]:
        mech_type_list = data[place[0] : place[1]]
        at, limit = _only(data, *place, _SEQUENCE)
        while at < limit:
            tag, start, at = _element(data, at, limit)
            if tag != _OBJECT_IDENTIFIER:
                raise MalformedMessage("SPNEGO mechanism that is not an object identifier")
            mech_types.append(data[start:at])
    # MS-SPNG 2.2.1: field 3 is negHints in a NegTokenInit2, whose mechListMIC is field 4.
    third = fields.get(3)
    is_hint = third is not None and third[0] < third[1] and data[third[0]] == _SEQUENCE
    mic = fields.get(4) if is_hint else third
    return NegTokenInit(
        mech_types,
        _content(data, fields.get(2), _OCTET_STRING),
        _content(data, mic, _OCTET_STRING),
        mech_type_list,
    )


def _unpack_response(data: bytes, at: int, limit: int) -> NegTokenResp:
    fields = _fields(data, at, limit)
    state = None
    value = _content(data, fields.get(0), _ENUMERATED)
    if value is not None:
        if len(value) != 1 or value[0] > NegState.REQUEST_MIC:
            raise MalformedMessage("SPNEGO state that does not exist")
        state = NegState(value[0])
    mech = _content(data, fields.get(1), _OBJECT_IDENTIFIER)
    token = _content(data, fields.get(2), _OCTET_STRING)
    mic = _content(data, fields.get(3), _OCTET_STRING)
    # Windows 2000 and its imitators repeat the token in the place of the MIC.
    return NegTokenResp(state, mech, token, None if mic == token else mic)
