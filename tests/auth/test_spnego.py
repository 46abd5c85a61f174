"""SPNEGO tokens: golden bytes, pyspnego as the other end, and bytes that mean nothing."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.auth import spnego
from lanman.auth.ntlm import NTLMSSP_OID, SIGNATURE
from lanman.auth.spnego import (
    KERBEROS_OID,
    MS_KERBEROS_OID,
    NegState,
    NegTokenInit,
    NegTokenResp,
    pack_init,
    pack_mech_types,
    pack_response,
    unpack,
)
from lanman.errors import MalformedMessage

# What Windows and Samba put into their SMB2 NEGOTIATE answer when NTLM is all they offer (MS-SPNG 3.2.5.2).
HINT = bytes.fromhex(
    "604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa32a3028a0261b24"
    "6e6f745f646566696e65645f696e5f5246433431373840706c656173655f69676e6f7265"
)


def test_hint_is_what_windows_sends() -> None:
    assert pack_init(NegTokenInit([NTLMSSP_OID]), hint=True) == HINT
    token = unpack(HINT)
    assert isinstance(token, NegTokenInit)
    assert token.mech_types == [NTLMSSP_OID]
    assert token.mech_token is token.mech_list_mic is None


@pytest.mark.parametrize("hint", [False, True])
def test_init_round_trip(hint: bool) -> None:
    mechs = [MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID]
    token = NegTokenInit(mechs, b"t" * 300, b"m" * 16, pack_mech_types(mechs))
    assert unpack(pack_init(token, hint=hint)) == token


@pytest.mark.parametrize(
    "token",
    [
        NegTokenResp(),
        NegTokenResp(NegState.ACCEPT_COMPLETED),
        NegTokenResp(NegState.REQUEST_MIC, NTLMSSP_OID),
        NegTokenResp(NegState.ACCEPT_INCOMPLETE, NTLMSSP_OID, b"x" * 70_000, b"m" * 16),
    ],
)
def test_response_round_trip(token: NegTokenResp) -> None:
    assert unpack(pack_response(token)) == token


def test_mic_that_repeats_the_token_is_none() -> None:
    token = unpack(pack_response(NegTokenResp(NegState.ACCEPT_COMPLETED, None, b"same", b"same")))
    assert token == NegTokenResp(NegState.ACCEPT_COMPLETED, None, b"same", None)


def test_as_pyspnego_reads_and_writes_them() -> None:
    peer = pytest.importorskip("spnego._spnego")
    ntlm = "1.3.6.1.4.1.311.2.2.10"
    read = peer.unpack_token(pack_init(NegTokenInit([NTLMSSP_OID], b"token", b"m" * 16)))
    assert (read.mech_types, read.mech_token, read.mech_list_mic) == ([ntlm], b"token", b"m" * 16)
    read = peer.unpack_token(pack_response(NegTokenResp(NegState.REQUEST_MIC, NTLMSSP_OID, b"token", b"m")))
    assert (read.neg_state, read.supported_mech, read.response_token) == (3, ntlm, b"token")
    assert pack_mech_types([KERBEROS_OID, NTLMSSP_OID]) == peer.pack_mech_type_list(["1.2.840.113554.1.2.2", ntlm])
    token = unpack(peer.NegTokenInit([ntlm], mech_token=b"t" * 200, mech_list_mic=b"m").pack())
    assert isinstance(token, NegTokenInit)
    assert (token.mech_types, token.mech_token, token.mech_list_mic) == ([NTLMSSP_OID], b"t" * 200, b"m")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "60",
        "6080",  # indefinite length
        "60850000000001",  # a length of five bytes
        "6003060100",  # another mechanism
        HINT.hex() + "00",  # something behind it
        HINT.hex()[:-2],  # something missing
        "a1053003a0010a",  # a state that is no ENUMERATED
        "a1073005a0030a0104",  # a state that does not exist
        "a1083006a003040100a0",  # a field cut off
        "a10c300aa0030a0100a0030a0100",  # a field twice
        "a107300502030a0100",  # a field without a context tag
        "a2023000",
        "3f8001",
        "a00930073005040101",
    ],
)
def test_malformed(token: str) -> None:
    with pytest.raises(MalformedMessage):
        unpack(bytes.fromhex(token))


@given(st.binary(max_size=100), st.integers(0, len(HINT)), st.integers(0, 255))
def test_any_bytes_are_a_token_or_malformed(noise: bytes, at: int, byte: int) -> None:
    mutant = bytearray(HINT)
    mutant[at % len(mutant)] = byte
    for token in (noise, HINT[:at] + noise, bytes(mutant)):
        try:
            unpack(token)
        except MalformedMessage:
            pass


def _outcome(data: bytes) -> object:
    try:
        return unpack(data)
    except MalformedMessage as error:
        return str(error)


def test_what_is_compared_is_read_as_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens as log-ons by NTLM have them, and those tokens damaged: the same value, or the same refusal."""
    random = Random(22)
    tokens = []
    for state in (None, *NegState):
        for mech in (None, NTLMSSP_OID, KERBEROS_OID):
            for size in (8, 16, 90, 119, 120, 240, 300, 70_000):
                inner = SIGNATURE + random.randbytes(size - len(SIGNATURE))
                for mic in (None, b"", random.randbytes(16), random.randbytes(17), inner):
                    tokens.append(pack_response(NegTokenResp(state, mech, inner, mic)))
        tokens.append(pack_response(NegTokenResp(state, None, None, random.randbytes(16))))
    for token in [each for each in tokens if len(each) < 400] * 8:
        damaged = bytearray(token)
        places = [random.randrange(60), random.randrange(len(token)), -1 - random.randrange(21)]
        damaged[random.choice(places) % len(token)] = random.choice([0, 1, 4, 16, 0x80, 0x81, 0xA3])
        tokens += [bytes(damaged), token[: random.randrange(len(token))], token + b"\0"]
    found = [_outcome(token) for token in tokens]
    compared = [spnego._usual_response(token) for token in tokens]
    monkeypatch.setattr(spnego, "_usual_response", lambda data: None)
    assert found == [_outcome(token) for token in tokens]
    assert sum(each is not None for each in compared) > 50
    assert all(each in (None, value) for each, value in zip(compared, found, strict=True))


def _element(tag: int, *content: bytes) -> bytes:
    return spnego._pack(tag, b"".join(content))


def _init(*fields: bytes) -> bytes:
    return _element(0x60, _element(0x06, spnego.SPNEGO_OID), _element(0xA0, _element(0x30, *fields)))


def test_the_first_token_is_read_as_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before a client's first NTLM message is known from its last log-on. The same value, or the same
    refusal, also where what follows is no message of NTLM, or belongs to something else."""
    random = Random(23)
    tokens = []
    for size in (8, 32, 40, 100, 119, 300):
        for _ in range(6):
            inner = SIGNATURE + random.choice([random.randbytes(size - 8), b"\0" * (size - 8)])
            for mechs in ([NTLMSSP_OID], [KERBEROS_OID, NTLMSSP_OID], []):
                list_field = _element(0xA0, pack_mech_types(mechs))
                blank = _element(0xA2, _element(0x04, bytes(size)))
                tokens += [
                    pack_init(NegTokenInit(mechs, inner)),
                    pack_init(NegTokenInit(mechs, inner), hint=True),
                    pack_init(NegTokenInit(mechs, inner, random.randbytes(16))),
                    # What looks like the message is an unknown field, or a mechanism, behind a token of its length.
                    _init(list_field, blank, _element(0xA1, inner)),
                    _init(blank, _element(0xA0, _element(0x30, _element(0x06, inner)))),
                    _init(blank, list_field, _element(0xA3, _element(0x04, inner))),
                ]
    for token in [*tokens] * 4:
        damaged = bytearray(token)
        damaged[random.randrange(60) % len(token)] = random.choice([0, 1, 4, 16, 0x80, 0x81, 0xA2, 0xA3])
        tokens += [bytes(damaged), token[: random.randrange(len(token))], token + b"\0"]
    found = [_outcome(token) for token in tokens]
    known = [spnego._usual_init(token) for token in tokens]
    assert spnego._init_before.cache_info().hits > 50
    monkeypatch.setattr(spnego, "_usual_init", lambda data: None)
    assert found == [_outcome(token) for token in tokens]
    assert sum(each is not None for each in known) > 50
    assert all(each in (None, value) for each, value in zip(known, found, strict=True))
