"""NTLM messages and keys against the examples that MS-NLMP 4.2.4 publishes."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from lanman.auth import ntlm
from lanman.auth.md4 import nt_hash
from lanman.auth.ntlm import AuthenticateMessage, ChallengeMessage, SessionSecurity
from lanman.errors import MalformedMessage

# 4.2.1 and 4.2.4
SERVER_CHALLENGE = bytes.fromhex("0123456789abcdef")
FLAGS = 0xE28A8233
RANDOM_SESSION_KEY = b"\x55" * 16
RESPONSE_KEY = bytes.fromhex("0c868a403bfd7a93a3001ef22ef02e3f")
BLOB = bytes.fromhex(
    "0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000"
    "02000c00 44006f006d00610069006e00 01000c00 530065007200760065007200 00000000 00000000"
)
PROOF = bytes.fromhex("68cd0ab851e51c96aabc927bebef6a1c")
LM_RESPONSE = bytes.fromhex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")
SESSION_BASE_KEY = bytes.fromhex("8de40ccadbc14a82f15cb0ad0de95ca3")
ENCRYPTED_KEY = bytes.fromhex("c5dad2544fc9799094ce1ce90bc9d03e")

CHALLENGE = bytes.fromhex(  # 4.2.4.3
    "4e544c4d53535000 02000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000 2400240044000000"
    "060070170000000f 530065007200760065007200"
    "02000c00 44006f006d00610069006e00 01000c00 530065007200760065007200 00000000"
)
AUTHENTICATE = (
    bytes.fromhex(  # 4.2.4.3, from a client that leaves no room for a MIC
        "4e544c4d53535000 03000000 180018006c000000 5400540084000000 0c000c0048000000 0800080054000000"
        "100010005c000000 10001000d8000000 358288e2 0501280a0000000f"
        "44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200"
    )
    + LM_RESPONSE
    + PROOF
    + BLOB
    + ENCRYPTED_KEY
)


def test_keys() -> None:
    assert ntlm.ntowf_v2(nt_hash("Password"), "USER", "Domain") == RESPONSE_KEY
    assert ntlm.hmac_md5(RESPONSE_KEY, SERVER_CHALLENGE + BLOB) == PROOF
    assert ntlm.hmac_md5(RESPONSE_KEY, PROOF) == SESSION_BASE_KEY
    assert ntlm.rc4k(SESSION_BASE_KEY, RANDOM_SESSION_KEY) == ENCRYPTED_KEY


def test_seal_and_sign() -> None:  # 4.2.4.4
    security = SessionSecurity(FLAGS, RANDOM_SESSION_KEY, server=False)
    plain = "Plaintext".encode("utf-16-le")
    assert security.seal(plain).hex() == "54e50165bf1936dc996020c1811b0f06fb5f"
    assert security.sign(plain).hex() == "010000007fb38ec5c55d497600000000"


@pytest.mark.parametrize("flags", [FLAGS, FLAGS & ~ntlm.NTLMSSP_NEGOTIATE_KEY_EXCH, FLAGS & ~0xA0000000])
def test_both_ends_agree_in_both_directions(flags: int) -> None:
    client = SessionSecurity(flags, RANDOM_SESSION_KEY, server=False)
    server = SessionSecurity(flags, RANDOM_SESSION_KEY, server=True)
    for data in (b"one", b"two"):
        assert server.verify(data, client.sign(data))
        assert client.verify(data, server.sign(data))
    assert not server.verify(b"three", client.sign(b"3"))
    assert not server.verify(b"", b"")


@pytest.mark.parametrize(
    ("key", "plain", "cipher"),
    [  # as they stand in the original posting, and in every test since
        (b"Key", b"Plaintext", "bbf316e8d940af0ad3"),
        (b"Wiki", b"pedia", "1021bf0420"),
        (b"Secret", b"Attack at dawn", "45a01f645fc35b383552544b9bf5"),
    ],
)
def test_rc4(key: bytes, plain: bytes, cipher: str) -> None:
    assert ntlm.rc4k(key, plain).hex() == cipher
    stream = ntlm.RC4(key)
    assert (stream(plain[:2]) + stream(plain[2:])).hex() == cipher


def test_published_challenge() -> None:
    message = ChallengeMessage.unpack(CHALLENGE)
    assert message.flags == FLAGS
    assert message.server_challenge == SERVER_CHALLENGE
    assert message.target_name == "Server"
    assert message.target_info == {
        ntlm.MsvAvNbDomainName: "Domain".encode("utf-16-le"),
        ntlm.MsvAvNbComputerName: "Server".encode("utf-16-le"),
    }
    again = message.pack()
    assert again[:48] + again[56:] == CHALLENGE[:48] + CHALLENGE[56:]  # but for the Version


def test_published_authenticate() -> None:
    message = AuthenticateMessage.unpack(AUTHENTICATE)
    assert (message.domain_name, message.user_name, message.workstation) == ("Domain", "User", "COMPUTER")
    assert message.lm_response == LM_RESPONSE
    assert message.nt_response == PROOF + BLOB
    assert message.encrypted_session_key == ENCRYPTED_KEY
    assert message.mic_offset == 0
    assert not message.is_anonymous
    assert LM_RESPONSE.hex() not in repr(message)


def test_pack_and_unpack() -> None:
    message = AuthenticateMessage(FLAGS, b"l", b"n" * 60, "D", "Käthe 🙂", "W", b"k" * 16, mic_offset=72)
    assert AuthenticateMessage.unpack(message.pack()) == message


def test_short_challenge_of_old_servers() -> None:
    assert ChallengeMessage.unpack(CHALLENGE[:12] + bytes(8) + CHALLENGE[20:32]).server_challenge == SERVER_CHALLENGE


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"NTLMSSP",
        b"NTLMSSP\x00\x02\x00\x00\x00",
        CHALLENGE[:12] + b"\x0c\x00\x0c\x00\xff\xff\xff\xff" + CHALLENGE[20:],  # a name far away
        CHALLENGE[:-4],  # AV_PAIRs cut off
        CHALLENGE[:12] + b"\x0b\x00\x0b\x00\x38\x00\x00\x00" + CHALLENGE[20:],  # half a character
        AUTHENTICATE,
    ],
)
def test_malformed_challenge(token: bytes) -> None:
    with pytest.raises(MalformedMessage):
        ChallengeMessage.unpack(token)


def test_av_pairs() -> None:
    pairs = {1: b"a", 7: bytes(8)}
    assert ntlm.unpack_av_pairs(ntlm.pack_av_pairs(pairs)) == pairs
    assert ntlm.unpack_av_pairs(ntlm.pack_av_pairs(pairs) + b"rest") == pairs
    for broken in (b"", b"\x01\x00", b"\x01\x00\x01\x00", b"\x01\x00\x05\x00abcd", b"\x01\x00\x00\x00"):
        with pytest.raises(MalformedMessage):
            ntlm.unpack_av_pairs(broken)


@given(st.binary(max_size=200), st.sampled_from([CHALLENGE, AUTHENTICATE, b"NTLMSSP\0\1\0\0\0"]), st.data())
def test_any_bytes_are_a_message_or_malformed(noise: bytes, start: bytes, data: st.DataObject) -> None:
    token = start[: data.draw(st.integers(0, len(start)))] + noise
    for unpack in (ChallengeMessage.unpack, AuthenticateMessage.unpack, ntlm.anonymous_authenticate):
        try:
            unpack(token)
        except MalformedMessage:
            pass


def test_anonymous_messages_as_impacket_reads_them() -> None:
    peer = pytest.importorskip("impacket.ntlm")
    negotiate = peer.NTLMAuthNegotiate()
    negotiate.fromString(ntlm.anonymous_negotiate())
    assert negotiate["flags"] & peer.NTLMSSP_NEGOTIATE_UNICODE
    token = ntlm.anonymous_authenticate(CHALLENGE)
    message = peer.NTLMAuthChallengeResponse()
    message.fromString(token)
    assert (message["user_name"], message["domain_name"], message["ntlm"]) == (b"", b"", b"")
    assert message["lanman"] == b"\x00"
    assert message["flags"] & 0x800  # NTLMSSP_NEGOTIATE_ANONYMOUS, which impacket has no name for
    ours = AuthenticateMessage.unpack(token)
    assert ours.is_anonymous
    assert ntlm.rc4k(bytes(16), ours.encrypted_session_key) == ntlm.ANONYMOUS_SESSION_KEY


@pytest.mark.parametrize("key", [bytes(range(16)), bytes(16), RANDOM_SESSION_KEY, b"12345", b"Key"])
def test_rc4_is_the_same_without_openssl(key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has no legacy provider, or a policy forbids RC4."""
    plain = bytes(range(256)) * 3
    by_openssl, stream = ntlm.rc4k(key, plain), ntlm.RC4(key)
    assert stream(plain[:5]) + stream(plain[5:]) == by_openssl
    asked = []

    def refuse(algorithm: object, mode: object) -> None:
        asked.append(algorithm)
        raise UnsupportedAlgorithm("no RC4 here")

    _, arc4, unsupported = ntlm._openssl()
    monkeypatch.setattr(ntlm, "_openssl", lambda: (refuse, arc4, unsupported))
    own = ntlm.RC4(key)
    assert own(plain[:5]) + own(plain[5:]) == by_openssl
    assert bool(asked) == (len(key) != 3)  # OpenSSL is never asked for a key of 24 bits
