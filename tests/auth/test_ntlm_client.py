"""The client's half of NTLMv2: MS-NLMP's published log-on, our acceptor, and impacket's reading of what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.auth import ntlm
from lanman.auth.accounts import Accounts
from lanman.auth.md4 import nt_hash
from lanman.auth.ntlm import AuthenticateMessage, ChallengeMessage
from lanman.auth.ntlm_client import NtlmInitiator
from lanman.auth.ntlm_server import NtlmAcceptor
from lanman.auth.outcome import Accepted
from lanman.errors import AuthenticationError, LanmanError

NOW = 1_700_000_000.0
# 4.2.4, as in test_ntlm.py
CHALLENGE = bytes.fromhex(
    "4e544c4d53535000 02000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000 2400240044000000"
    "060070170000000f 530065007200760065007200"
    "02000c00 44006f006d00610069006e00 01000c00 530065007200760065007200 00000000"
)
SERVER_CHALLENGE = CHALLENGE[24:32]
RANDOM_SESSION_KEY = b"\x55" * 16
NT_RESPONSE = bytes.fromhex(
    "68cd0ab851e51c96aabc927bebef6a1c 0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000"
    "02000c00 44006f006d00610069006e00 01000c00 530065007200760065007200 00000000 00000000"
)
LM_RESPONSE = bytes.fromhex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")
SESSION_BASE_KEY = bytes.fromhex("8de40ccadbc14a82f15cb0ad0de95ca3")
ENCRYPTED_KEY = bytes.fromhex("c5dad2544fc9799094ce1ce90bc9d03e")
EPOCH = -11_644_473_600.0  # the FILETIME of the published log-on is 0
FLAGS = 0xE28A8233


def random(size: int) -> bytes:
    """The published client's random bytes: its challenge, and the key that it makes up."""
    assert size == 24
    return b"\xaa" * 8 + RANDOM_SESSION_KEY


def initiator(
    user: str = "User", password: str = "Password", target_name: str = "cifs/srv", now: float = NOW
) -> NtlmInitiator:
    return NtlmInitiator(
        user,
        "Domain",
        nt_hash(password),
        target_name=target_name,
        random=random,
        now=now,
        workstation="COMPUTER",
    )


def answer_to(challenge: ChallengeMessage, client: NtlmInitiator | None = None) -> AuthenticateMessage:
    client = client or initiator()
    client.step(None)
    return AuthenticateMessage.unpack(client.step(challenge.pack()) or b"")


def blob_pairs(message: AuthenticateMessage) -> dict[int, bytes]:
    return ntlm.unpack_av_pairs(message.nt_response[16 + 28 :])


def test_published_log_on() -> None:  # 4.2.4
    client = initiator(target_name="", now=EPOCH)
    negotiate = client.step(None)
    assert negotiate is not None
    assert not client.complete
    message = AuthenticateMessage.unpack(client.step(CHALLENGE) or b"")
    assert client.complete
    assert message.nt_response == NT_RESPONSE
    assert message.lm_response == LM_RESPONSE
    assert message.encrypted_session_key == ENCRYPTED_KEY
    assert (message.domain_name, message.user_name, message.workstation) == ("Domain", "User", "COMPUTER")
    assert client.session_key == RANDOM_SESSION_KEY
    assert not client.signs


def test_no_key_is_exchanged_where_the_server_will_not() -> None:
    for gone in (ntlm.NTLMSSP_NEGOTIATE_KEY_EXCH, ntlm.NTLMSSP_NEGOTIATE_SIGN):
        challenge = ChallengeMessage.unpack(CHALLENGE)
        challenge.flags &= ~gone
        client = initiator(target_name="", now=EPOCH)
        assert answer_to(challenge, client).encrypted_session_key == b""
        assert client.session_key == SESSION_BASE_KEY


def test_what_the_target_information_becomes() -> None:
    info = {
        ntlm.MsvAvNbDomainName: b"D\0",
        ntlm.MsvAvTimestamp: ntlm.packed_filetime(NOW),
        ntlm.MsvAvFlags: b"\x01\0\0\0",
    }
    client = initiator()
    message = answer_to(ChallengeMessage(FLAGS, SERVER_CHALLENGE, "D", info), client)
    target_name = {ntlm.MsvAvTargetName: "cifs/srv".encode("utf-16-le")}
    assert blob_pairs(message) == info | {ntlm.MsvAvFlags: b"\x03\0\0\0"} | target_name
    assert message.lm_response == bytes(24)  # 3.1.5.1.2: none beside a timestamp
    assert message.mic_offset == 72
    assert client.signs


def test_upper_case_as_windows_does_it() -> None:
    """ß has no upper case of one character: so it stays."""
    key = ntlm.ntowf_v2(nt_hash("Password"), "MAß", "Domain")
    message = answer_to(ChallengeMessage.unpack(CHALLENGE), initiator(user="Maß"))
    proof, blob = message.nt_response[:16], message.nt_response[16:]
    assert ntlm.hmac_md5(key, SERVER_CHALLENGE + blob) == proof


@pytest.mark.parametrize("password", ["Secret1", "wrong"])
def test_our_own_server(password: str) -> None:
    accounts = Accounts()
    accounts.add("User", "Secret1")
    server = NtlmAcceptor(accounts, server_name="SRV", dns_name="srv.example", random=bytes)
    client = initiator(password=password)
    step = server.step(client.step(None) or b"", NOW)
    outcome = server.step(client.step(step.token) or b"", NOW).outcome
    assert isinstance(outcome, Accepted) == (password == "Secret1")
    if isinstance(outcome, Accepted):
        assert outcome.session_key == client.session_key
        assert outcome.workstation == "COMPUTER"
        assert server.security is not None
        assert server.security.verify(b"list", client.sign(b"list"))
        assert client.verify(b"list", server.security.sign(b"list"))
        assert not client.verify(b"list", bytes(16))


def test_as_impacket_reads_and_computes_it() -> None:
    impacket = pytest.importorskip("impacket.ntlm", reason="not installed: impacket")
    info = {ntlm.MsvAvNbDomainName: "Domain".encode("utf-16-le"), ntlm.MsvAvTimestamp: ntlm.packed_filetime(NOW)}
    client = initiator()
    negotiate = impacket.NTLMAuthNegotiate()
    negotiate.fromString(client.step(None))
    assert negotiate["flags"] == ntlm.OFFER
    challenge = ChallengeMessage(FLAGS, SERVER_CHALLENGE, "D", info).pack()
    message = impacket.NTLMAuthChallengeResponse()
    message.fromString(client.step(challenge))
    assert message["user_name"].decode("utf-16-le") == "User"
    assert message["domain_name"].decode("utf-16-le") == "Domain"
    assert message["host_name"].decode("utf-16-le") == "COMPUTER"
    smbserver = pytest.importorskip("impacket.smbserver")
    read = impacket.NTLMAuthChallenge()
    read.fromString(challenge)
    hashes = "", nt_hash("Password")
    assert smbserver.computeNTLMv2("User", *hashes, SERVER_CHALLENGE, message, read, negotiate) == (
        0,
        client.session_key,
    )


@pytest.mark.parametrize("pairs", [{ntlm.MsvAvTimestamp: b"1234"}, {ntlm.MsvAvFlags: b""}])
def test_challenges_without_sense(pairs: dict[int, bytes]) -> None:
    with pytest.raises(AuthenticationError, match="no sense"):
        answer_to(ChallengeMessage(FLAGS, SERVER_CHALLENGE, "D", pairs))


def test_signature_that_was_not_agreed_on() -> None:
    challenge = ChallengeMessage.unpack(CHALLENGE)
    challenge.flags &= ~ntlm.NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY
    client = initiator()
    answer_to(challenge, client)
    with pytest.raises(AuthenticationError, match="agreed"):
        client.sign(b"list")


@given(st.binary(max_size=120), st.booleans())
def test_any_challenge_is_answered_or_refused(noise: bytes, start: bool) -> None:
    client = initiator()
    client.step(None)
    try:
        client.step(CHALLENGE[:20] + noise if start else noise)
    except LanmanError:
        assert not client.complete
