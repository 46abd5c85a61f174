"""Whole log-ons: our acceptor with pyspnego's and impacket's clients, with our own anonymous one, and with liars."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
import spnego
from hypothesis import given, settings
from hypothesis import strategies as st
from spnego import NTLMHash

from lanman import codes
from lanman.auth import ntlm
from lanman.auth.acceptor import Accepted, Acceptor, Refused, Step
from lanman.auth.accounts import Accounts
from lanman.auth.initiator import AnonymousInitiator, SpnegoInitiator
from lanman.auth.md4 import nt_hash
from lanman.auth.ntlm import AuthenticateMessage, ChallengeMessage, MsvAvFlags, MsvAvTimestamp
from lanman.auth.outcome import Mechanism
from lanman.auth.spnego import (
    KERBEROS_OID,
    NegState,
    NegTokenInit,
    NegTokenResp,
    pack_init,
    pack_mech_types,
    pack_response,
    unpack,
)
from lanman.errors import LanmanError, LocalProtocolError
from lanman.names import ADMINISTRATORS, GUESTS, USERS

NOW = 1_700_000_000.0

LOGON_FAILURE = codes.STATUS_LOGON_FAILURE
INVALID = codes.STATUS_INVALID_PARAMETER


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    accounts = Accounts()
    accounts.add("Ann", "Secret1", groups=[ADMINISTRATORS, USERS])
    accounts.add("Käthe Maß", "Straße", groups=[USERS])
    accounts.add("Gone", "Secret1", disabled=True)
    accounts.add("Visitor", "Secret1", groups=[GUESTS])
    accounts.add("Blank", nt_hash=nt_hash(""))
    accounts.add("Nobody")  # has no password at all
    return accounts


def acceptor(accounts: Accounts, **options: Any) -> Acceptor:
    return Acceptor(accounts, server_name="SRV", dns_name="srv.example", random=os.urandom, **options)


def pyspnego(user: str, password: str, protocol: str = "ntlm", **options: Any) -> Any:
    credential = NTLMHash(user, nt_hash=nt_hash(password).hex())
    return spnego.client(credential, hostname="srv", service="cifs", protocol=protocol, **options)


def talk(client: Any, server: Acceptor) -> Accepted | Refused:
    """Carry tokens to and fro until the server has decided and the client has seen its last word."""
    token = client.step(None)
    for _ in range(5):
        step = server.step(token, NOW)
        if isinstance(step.outcome, Refused):
            return step.outcome
        token = client.step(step.token) if step.token else None
        if step.outcome is not None:
            return step.outcome
    raise AssertionError("no end to this log-on")


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
@pytest.mark.parametrize("user", ["Ann", "ann", "ANN", "SRV\\ann", "elsewhere\\ann", "ann@srv.example", "ann@anything"])
def test_pyspnego_logs_on(accounts: Accounts, protocol: str, user: str) -> None:
    client = pyspnego(user, "Secret1", protocol)
    outcome = talk(client, acceptor(accounts))
    assert outcome == Accepted(
        "Ann",
        "SRV",
        outcome.workstation if isinstance(outcome, Accepted) else "",
        frozenset({ADMINISTRATORS, USERS}),
        client.session_key,
    )
    assert client.complete
    assert len(client.session_key) == 16


@pytest.mark.parametrize(
    ("user", "upper"),
    [
        ("\u10d0\u10dc\u10d0", "\u10d0\u10dc\u10d0"),  # Georgian: Windows leaves it, Unicode has capitals
        ("\u10d0\u10dc\u10d0", "\u1c90\u1c9c\u1c90"),
        (
            "\u03bd\u03af\u03ba\u03bf\u03c2\u00df",
            "\u039d\u038a\u039a\u039f\u03c2\u00df",
        ),  # a final sigma: Windows leaves it
        ("\u03bd\u03af\u03ba\u03bf\u03c2\u00df", "\u039d\u038a\u039a\u039f\u03a3\u00df"),
        ("\u03bd\u03af\u03ba\u03bf\u03c2\u00df", "\u039d\u038a\u039a\u039f\u03a3SS"),
    ],
)
def test_every_upper_case_that_clients_make(user: str, upper: str) -> None:
    accounts = Accounts()
    accounts.add(user, "Secret1")
    server = acceptor(accounts)
    challenge = ChallengeMessage.unpack(server.step(ntlm.anonymous_negotiate(), NOW).token)
    outcome = server.step(authenticate(challenge, user, "Secret1", upper=upper, mic=False), NOW).outcome
    assert isinstance(outcome, Accepted)
    assert outcome.user_name == user


@pytest.mark.parametrize("user", ["Käthe Maß", "käthe maß", "KÄTHE MAß"])
def test_upper_case_as_windows_and_as_python_do_it(accounts: Accounts, user: str) -> None:
    assert isinstance(talk(pyspnego(user, "Straße"), acceptor(accounts)), Accepted)  # str.upper: MASS
    server = acceptor(accounts)
    challenge = ChallengeMessage.unpack(server.step(ntlm.anonymous_negotiate(), NOW).token)
    token = authenticate(challenge, user, "Straße", upper="KÄTHE MAß", mic=False)
    assert isinstance(server.step(token, NOW).outcome, Accepted)


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
@pytest.mark.parametrize(
    ("user", "password", "status", "reason"),
    [
        ("ann", "secret1", LOGON_FAILURE, "wrong password"),
        ("ann", "", LOGON_FAILURE, "wrong password"),
        ("bob", "Secret1", LOGON_FAILURE, "unknown user"),
        ("Nobody", "", LOGON_FAILURE, "the account has no password"),
        ("Gone", "Secret1", codes.STATUS_ACCOUNT_DISABLED, "the account is disabled"),
        ("Gone", "wrong", LOGON_FAILURE, "wrong password"),
        ("Blank", "", codes.STATUS_ACCOUNT_RESTRICTION, "the account has a blank password"),
        ("Blank", "x", LOGON_FAILURE, "wrong password"),
        ("", "Secret1", LOGON_FAILURE, "unknown user"),
        (ADMINISTRATORS, "Secret1", LOGON_FAILURE, "unknown user"),
    ],
)
def test_refused(accounts: Accounts, protocol: str, user: str, password: str, status: int, reason: str) -> None:
    assert talk(pyspnego(user, password, protocol), acceptor(accounts)) == Refused(status, user, reason)


def test_unknown_user_costs_what_a_known_one_does(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    from lanman.auth import ntlm_server

    calls: list[int] = []

    def counting(key: bytes, data: bytes, hmac_md5: Callable[[bytes, bytes], bytes] = ntlm.hmac_md5) -> bytes:
        calls.append(len(key))
        return hmac_md5(key, data)

    monkeypatch.setattr(ntlm_server, "hmac_md5", counting)
    monkeypatch.setattr(ntlm, "hmac_md5", counting)
    costs = []
    for user in ("ann", "bob", "Nobody", "Gone"):
        calls.clear()
        talk(pyspnego(user, "wrong"), acceptor(accounts))
        costs.append(list(calls))
    assert costs[0]
    assert costs == [costs[0]] * 4


def test_guest_accounts_are_guests(accounts: Accounts) -> None:
    outcome = talk(pyspnego("visitor", "Secret1", "negotiate"), acceptor(accounts))
    assert isinstance(outcome, Accepted)
    assert outcome.guest
    assert outcome.groups == {GUESTS}


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
def test_unknown_users_are_guests_where_that_is_allowed(accounts: Accounts, protocol: str) -> None:
    outcome = talk(pyspnego("bob", "anything", protocol), acceptor(accounts, allow_guest=True))
    assert isinstance(outcome, Accepted)
    assert (outcome.user_name, outcome.guest) == ("Guest", True)
    assert outcome.groups == {GUESTS}
    wrong = talk(pyspnego("ann", "wrong", protocol), acceptor(accounts, allow_guest=True))
    assert isinstance(wrong, Refused)


# --- anonymous


def test_anonymous(accounts: Accounts) -> None:
    client, server = AnonymousInitiator(), acceptor(accounts)
    assert talk(client, server) == Accepted("", anonymous=True, session_key=client.session_key)
    assert client.complete
    assert client.session_key == bytes(16)


def test_anonymous_refused(accounts: Accounts) -> None:
    outcome = talk(AnonymousInitiator(), acceptor(accounts, allow_anonymous=False))
    assert outcome == Refused(codes.STATUS_ACCESS_DENIED, "", "anonymous log-on is not allowed")


def test_anonymous_is_not_a_name_without_a_response(accounts: Accounts) -> None:
    server = acceptor(accounts)
    server.step(ntlm.anonymous_negotiate(), NOW)
    token = AuthenticateMessage(0xE28A8233, lm_response=b"\x00", user_name="Ann").pack()
    assert server.step(token, NOW).outcome == Refused(
        LOGON_FAILURE, "Ann", "LM response, and only NTLMv2 is accepted", outdated=True
    )


def test_anonymous_as_impacket_does_it(accounts: Accounts) -> None:
    peer = pytest.importorskip("impacket.ntlm")
    server = acceptor(accounts)
    negotiate = peer.getNTLMSSPType1("WS", "")
    challenge = server.step(negotiate.getData(), NOW).token
    answer, key = peer.getNTLMSSPType3(negotiate, challenge, "", "", "")
    outcome = server.step(answer.getData(), NOW).outcome
    assert isinstance(outcome, Accepted)
    assert outcome.anonymous
    assert outcome.session_key == key


# --- impacket


@pytest.mark.parametrize("v2", [True, False])
@pytest.mark.parametrize("signing", [True, False])
def test_impacket(accounts: Accounts, v2: bool, signing: bool) -> None:
    peer = pytest.importorskip("impacket.ntlm")
    server = acceptor(accounts)
    negotiate = peer.getNTLMSSPType1("WS", "", signing, use_ntlmv2=v2)
    challenge = server.step(negotiate.getData(), NOW).token
    answer, key = peer.getNTLMSSPType3(negotiate, challenge, "ann", "Secret1", "DOM", use_ntlmv2=v2)
    outcome = server.step(answer.getData(), NOW).outcome
    if v2:
        assert isinstance(outcome, Accepted)
        assert outcome.session_key == key
        assert outcome.user_name == "Ann"
    else:
        assert outcome == Refused(LOGON_FAILURE, "ann", "NTLMv1 response, and only NTLMv2 is accepted", outdated=True)


def test_challenge_as_impacket_reads_it(accounts: Accounts) -> None:
    peer = pytest.importorskip("impacket.ntlm")
    negotiate = peer.getNTLMSSPType1("WS", "", True, use_ntlmv2=True)
    challenge = peer.NTLMAuthChallenge(acceptor(accounts).step(negotiate.getData(), NOW).token)
    pairs = peer.AV_PAIRS(challenge["TargetInfoFields"])
    assert pairs[peer.NTLMSSP_AV_HOSTNAME][1].decode("utf-16-le") == "SRV"
    assert pairs[peer.NTLMSSP_AV_DNS_HOSTNAME][1].decode("utf-16-le") == "srv.example"
    assert struct.unpack("<Q", pairs[peer.NTLMSSP_AV_TIME][1])[0] == 133_444_736_000_000_000  # NOW as a FILETIME


def test_every_challenge_is_new_and_of_its_time(accounts: Accounts) -> None:
    """What stands around the two is kept from one log-on to the next, for each name and what a client asks for."""
    fewer = ntlm.OFFER & ~ntlm.NTLMSSP_NEGOTIATE_128
    given: list[bytes] = []
    seen = []
    for number, (name, flags) in enumerate([("A", ntlm.OFFER), ("A", ntlm.OFFER), ("B", ntlm.OFFER), ("A", fewer)]):
        given.append(bytes([number] * 8))
        server = Acceptor(accounts, server_name=name, dns_name=f"{name}.example", random=lambda size: given[-1])
        token = server.step(ntlm.pack_negotiate(flags), NOW + number).token
        message = ChallengeMessage.unpack(token)
        assert (message.server_challenge, message.time, message.pack()) == (given[-1], NOW + number, token)
        seen.append((message.target_name, message.flags & ntlm.NTLMSSP_NEGOTIATE_128 != 0))
    assert seen == [("A", True), ("A", True), ("B", True), ("A", False)]


# --- a client of our own, that can lie


def authenticate(
    challenge: ChallengeMessage,
    user: str,
    password: str,
    *,
    negotiate: bytes = b"",
    raw_challenge: bytes = b"",
    domain: str = "D",
    upper: str | None = None,
    proof_domain: str | None = None,
    mic: bool = True,
    **fields: Any,
) -> bytes:
    """An AUTHENTICATE_MESSAGE made by the book (MS-NLMP 3.3.2), except where told otherwise."""
    pairs = dict(challenge.target_info)
    if mic:
        pairs[MsvAvFlags] = b"\x02\x00\x00\x00"
    time = challenge.target_info.get(MsvAvTimestamp, bytes(8))
    blob = b"\x01\x01" + bytes(6) + time + b"c" * 8 + bytes(4) + ntlm.pack_av_pairs(pairs) + bytes(4)
    name = user.upper() if upper is None else upper
    key = ntlm.ntowf_v2(nt_hash(password), name, domain if proof_domain is None else proof_domain)
    proof = ntlm.hmac_md5(key, challenge.server_challenge + blob)
    base = ntlm.hmac_md5(key, proof)
    session_key = b"S" * 16
    message = AuthenticateMessage(
        challenge.flags, bytes(24), proof + blob, domain, user, "WS", ntlm.rc4k(base, session_key)
    )
    for field, value in fields.items():
        setattr(message, field, value)
    token = message.pack()
    if mic:
        signature = ntlm.hmac_md5(session_key, negotiate + raw_challenge + token)
        token = token[:72] + signature + token[88:]
    return token


def challenged(accounts: Accounts) -> tuple[Acceptor, bytes, bytes, ChallengeMessage]:
    server = acceptor(accounts)
    negotiate = ntlm.anonymous_negotiate()
    raw = server.step(negotiate, NOW).token
    return server, negotiate, raw, ChallengeMessage.unpack(raw)


def test_by_the_book(accounts: Accounts) -> None:
    server, negotiate, raw, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", negotiate=negotiate, raw_challenge=raw)
    outcome = server.step(token, NOW).outcome
    assert isinstance(outcome, Accepted)
    assert (outcome.session_key, outcome.workstation) == (b"S" * 16, "WS")


def test_client_that_leaves_the_domain_out_of_the_proof(accounts: Accounts) -> None:
    server, negotiate, raw, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", negotiate=negotiate, raw_challenge=raw, proof_domain="")
    assert isinstance(server.step(token, NOW).outcome, Accepted)


@pytest.mark.parametrize("at", [12, 61, 72, 87, 88, -1])
def test_tampered_mic_or_message(accounts: Accounts, at: int) -> None:
    server, negotiate, raw, challenge = challenged(accounts)
    token = bytearray(authenticate(challenge, "ann", "Secret1", negotiate=negotiate, raw_challenge=raw))
    token[at] ^= 1
    assert isinstance(server.step(bytes(token), NOW).outcome, Refused)


def test_mic_over_another_negotiate(accounts: Accounts) -> None:
    server, negotiate, raw, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", negotiate=negotiate[:-1] + b"\x00", raw_challenge=raw)
    assert server.step(token, NOW).outcome == Refused(INVALID, "ann", "the MIC is missing or wrong")


def test_mic_that_was_promised_and_is_missing(accounts: Accounts) -> None:
    server, negotiate, raw, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", negotiate=negotiate, raw_challenge=raw)
    # Cut Version and MIC out, and move every field down by their 24 bytes.
    head = bytearray(token[:64])
    for offset in range(16, 64, 8):
        struct.pack_into("<I", head, offset, struct.unpack_from("<I", head, offset)[0] - 24)
    assert server.step(bytes(head) + token[88:], NOW).outcome == Refused(INVALID, "ann", "the MIC is missing or wrong")


def test_exchanged_key_of_a_wrong_length(accounts: Accounts) -> None:
    server, _, _, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", mic=False, encrypted_session_key=b"k" * 8)
    assert isinstance(server.step(token, NOW).outcome, Refused)


@pytest.mark.parametrize("flags", [0x00000001, 0x00000002, 0x00080201, 0xE2088297 & ~0x40000000])
def test_clients_that_ask_for_less(accounts: Accounts, flags: int) -> None:
    server = acceptor(accounts)
    negotiate = ntlm.SIGNATURE + b"\x01\x00\x00\x00" + struct.pack("<I", flags)
    raw = server.step(negotiate, NOW).token
    challenge = ChallengeMessage.unpack(raw)
    assert challenge.target_name == "SRV"
    token = authenticate(
        challenge, "ann", "Secret1", domain="", mic=False, encrypted_session_key=b"", flags=challenge.flags | 1
    )
    if not flags & 1:  # names in an OEM character set
        message = AuthenticateMessage.unpack(token)
        message.user_name = message.workstation = ""
        name = b"ann"
        packed = bytearray(message.pack())
        struct.pack_into("<HHI", packed, 36, len(name), len(name), len(packed))
        struct.pack_into("<I", packed, 60, challenge.flags)
        token = bytes(packed) + name
    outcome = server.step(token, NOW).outcome
    assert isinstance(outcome, Accepted)
    assert outcome.user_name == "Ann"
    assert len(outcome.session_key) == 16


def test_names_without_end(accounts: Accounts) -> None:
    server, _, _, challenge = challenged(accounts)
    token = authenticate(challenge, "x" * 20_000, "Secret1", mic=False)
    outcome = server.step(token, NOW).outcome
    assert isinstance(outcome, Refused)
    assert len(outcome.user_name) == 256
    server, _, _, challenge = challenged(accounts)
    outcome = server.step(authenticate(challenge, "ann", "Secret1", mic=False, workstation="w" * 20_000), NOW).outcome
    assert isinstance(outcome, Accepted)
    assert len(outcome.workstation) == 256


@pytest.mark.parametrize(
    "nt_response", [bytes(24), bytes(25), bytes(43), bytes(44), bytes(60), b"\x01" * 200, b"\x00" * 65535]
)
def test_responses_that_prove_nothing(accounts: Accounts, nt_response: bytes) -> None:
    server, _, _, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", mic=False, nt_response=nt_response)
    assert isinstance(server.step(token, NOW).outcome, Refused)


def test_challenges_are_fresh(accounts: Accounts) -> None:
    first, negotiate, raw, challenge = challenged(accounts)
    token = authenticate(challenge, "ann", "Secret1", negotiate=negotiate, raw_challenge=raw)
    assert isinstance(first.step(token, NOW).outcome, Accepted)
    second, _, _, other = challenged(accounts)
    assert other.server_challenge != challenge.server_challenge
    assert isinstance(second.step(token, NOW).outcome, Refused)
    with pytest.raises(LocalProtocolError):
        first.step(token, NOW)


# --- SPNEGO around it


class _KerberosFirst:
    """A client that would rather have Kerberos, guesses wrong, and is told to use NTLM."""

    def __init__(self, *, mic: str = "with the proof", mech_token: bytes | None = b"ticket") -> None:
        self.inner = pyspnego("ann", "Secret1")
        self.mechs = [KERBEROS_OID, ntlm.NTLMSSP_OID]
        self.mic, self.mech_token = mic, mech_token
        self.seen: list[NegTokenResp] = []

    def step(self, token: bytes | None) -> bytes | None:
        if token is None:
            return pack_init(NegTokenInit(self.mechs, self.mech_token))
        message = unpack(token)
        assert isinstance(message, NegTokenResp)
        self.seen.append(message)
        if message.mech_list_mic is not None:
            self.inner.verify(pack_mech_types(self.mechs), message.mech_list_mic)
        if not self.inner.complete:
            answer = self.inner.step(message.response_token)
            mic = None
            if self.inner.complete and self.mic == "with the proof":
                mic = self.inner.sign(pack_mech_types(self.mechs))
            return pack_response(NegTokenResp(None, None, answer, mic))
        if message.neg_state is NegState.ACCEPT_COMPLETED:
            return None
        signature = self.inner.sign(pack_mech_types(self.mechs if self.mic == "late" else self.mechs[1:]))
        return pack_response(NegTokenResp(NegState.ACCEPT_COMPLETED, None, None, signature))


@pytest.mark.parametrize("mech_token", [b"ticket", None])
@pytest.mark.parametrize(("mic", "round_trips"), [("with the proof", 3), ("late", 4)])
def test_wrong_guess_needs_a_signed_list(
    accounts: Accounts, mech_token: bytes | None, mic: str, round_trips: int
) -> None:
    client = _KerberosFirst(mic=mic, mech_token=mech_token)
    outcome = talk(client, acceptor(accounts))
    assert isinstance(outcome, Accepted)
    assert outcome.session_key == client.inner.session_key
    assert len(client.seen) == round_trips
    assert client.seen[0] == NegTokenResp(NegState.REQUEST_MIC, ntlm.NTLMSSP_OID)
    assert client.seen[2].mech_list_mic is not None
    assert client.seen[-1].neg_state is NegState.ACCEPT_COMPLETED


def test_list_of_mechanisms_that_was_shortened(accounts: Accounts) -> None:
    outcome = talk(_KerberosFirst(mic="over another list"), acceptor(accounts))
    assert isinstance(outcome, Refused)
    assert "mechListMIC" in outcome.reason


def test_no_common_mechanism(accounts: Accounts) -> None:
    outcome = acceptor(accounts).step(pack_init(NegTokenInit([KERBEROS_OID], b"ticket")), NOW).outcome
    assert isinstance(outcome, Refused)
    assert outcome.status == codes.STATUS_NOT_SUPPORTED


def test_no_optimistic_token(accounts: Accounts) -> None:
    server, client = acceptor(accounts), pyspnego("ann", "Secret1")

    def round_trip(token: bytes) -> Step:
        return server.step(pack_response(NegTokenResp(None, None, token)), NOW)

    step = server.step(pack_init(NegTokenInit([ntlm.NTLMSSP_OID])), NOW)
    assert unpack(step.token) == NegTokenResp(NegState.ACCEPT_INCOMPLETE, ntlm.NTLMSSP_OID)
    challenge = unpack(round_trip(client.step()).token)
    assert isinstance(challenge, NegTokenResp)
    assert isinstance(round_trip(client.step(challenge.response_token)).outcome, Accepted)


def test_hint_lists_what_is_accepted(accounts: Accounts) -> None:
    hint = unpack(acceptor(accounts).hint_token())
    assert isinstance(hint, NegTokenInit)
    assert hint.mech_types == [ntlm.NTLMSSP_OID]


class _Ticket:
    """Stands for Kerberos: one token, no questions, signs by repeating."""

    oids = (KERBEROS_OID,)

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.security = self

    def step(self, token: bytes, now: float) -> Step:
        return Step(b"welcome", Accepted(token.decode()))

    def sign(self, data: bytes) -> bytes:
        return b"mic" + data

    def verify(self, data: bytes, signature: bytes) -> bool:
        return signature == b"mic" + data


def test_other_mechanisms_can_be_plugged_in(accounts: Accounts) -> None:
    mechanism: Mechanism = _Ticket()
    server = acceptor(accounts, mechanisms=[mechanism])
    hint = unpack(server.hint_token())
    assert isinstance(hint, NegTokenInit)
    assert hint.mech_types == [KERBEROS_OID, ntlm.NTLMSSP_OID]
    assert server.may_block
    server.use_accounts(accounts)
    assert mechanism.accounts is accounts
    step = server.step(pack_init(NegTokenInit([KERBEROS_OID, ntlm.NTLMSSP_OID], b"ann@REALM")), NOW)
    assert step.outcome == Accepted("ann@REALM")
    assert unpack(step.token) == NegTokenResp(NegState.ACCEPT_COMPLETED, KERBEROS_OID, b"welcome")


@pytest.mark.parametrize(
    "tokens",
    [
        [b""],
        [b"NTLMSSP\x00\x03\x00\x00\x00" + bytes(60)],
        [b"NTLMSSP\x00\x01\x00\x00\x00\x00\x00\x00\x00"],  # neither Unicode nor OEM
        [pack_response(NegTokenResp(NegState.ACCEPT_INCOMPLETE, None, b"x"))],
        [ntlm.anonymous_negotiate(), ntlm.anonymous_negotiate()],
        [ntlm.anonymous_negotiate(), pack_init(NegTokenInit([ntlm.NTLMSSP_OID]))],
        [pack_init(NegTokenInit([ntlm.NTLMSSP_OID])), pack_init(NegTokenInit([ntlm.NTLMSSP_OID]))],
        [pack_init(NegTokenInit([ntlm.NTLMSSP_OID])), ntlm.anonymous_negotiate()],
        [pack_init(NegTokenInit([ntlm.NTLMSSP_OID])), pack_response(NegTokenResp())],
        [pack_init(NegTokenInit([])) + bytes(70_000)],
    ],
)
def test_out_of_turn(accounts: Accounts, tokens: list[bytes]) -> None:
    server = acceptor(accounts)
    outcome = None
    for token in tokens:
        assert outcome is None
        outcome = server.step(token, NOW).outcome
    assert isinstance(outcome, Refused)
    assert outcome.status == INVALID


def test_client_that_gives_up(accounts: Accounts) -> None:
    server = acceptor(accounts)
    server.step(pack_init(NegTokenInit([ntlm.NTLMSSP_OID], ntlm.anonymous_negotiate())), NOW)
    outcome = server.step(pack_response(NegTokenResp(NegState.REJECT)), NOW).outcome
    assert isinstance(outcome, Refused)


# --- whatever comes

ACCOUNTS = Accounts()
ACCOUNTS.add("Ann", "Secret1")


@given(st.lists(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: b"NTLMSSP\0\1\0\0\0" + b), max_size=3))
def test_any_bytes_give_an_outcome_or_another_leg(tokens: list[bytes]) -> None:
    server = acceptor(ACCOUNTS, allow_anonymous=False)
    for token in tokens:
        step = server.step(token, NOW)
        assert not isinstance(step.outcome, Accepted)
        if step.outcome is not None:
            break


@settings(max_examples=200)
@given(st.data())
def test_no_mutation_of_a_proof_logs_on(data: st.DataObject) -> None:
    client, server = pyspnego("ann", "Secret1"), acceptor(ACCOUNTS, allow_anonymous=False)
    token = client.step(server.step(client.step(), NOW).token)
    mutant = bytearray(token)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(mutant) - 1))
        mutant[at] = data.draw(st.integers(0, 255))
    mutant = mutant[: data.draw(st.integers(0, len(mutant)) | st.just(len(mutant)))]
    mutant += data.draw(st.binary(max_size=3))
    outcome = server.step(bytes(mutant), NOW).outcome
    assert isinstance(outcome, Accepted) == (bytes(mutant) == token)


@settings(max_examples=200)
@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_no_mutation_of_a_spnego_token_changes_who_it_is(at: int, byte: int, first: bool) -> None:
    client, server = pyspnego("ann", "Secret1", "negotiate"), acceptor(ACCOUNTS, allow_anonymous=False)

    def mutate(token: bytes) -> bytes:
        mutant = bytearray(token)
        mutant[at % len(mutant)] = byte
        return bytes(mutant)

    token = client.step()
    step = server.step(mutate(token) if first else token, NOW)
    if step.outcome is None and (message := unpack(step.token)) and getattr(message, "response_token", None):
        try:
            token = client.step(step.token)
        except (spnego.exceptions.SpnegoError, ValueError):
            return
        step = server.step(token if first else mutate(token), NOW)
    if isinstance(step.outcome, Accepted):
        assert step.outcome.user_name == "Ann"
        assert step.outcome.session_key == client.session_key


# --- the client's half, with servers that lie


@given(st.lists(st.binary(max_size=120), min_size=1, max_size=3))
def test_any_bytes_from_a_server(tokens: list[bytes]) -> None:
    client = AnonymousInitiator()
    client.step(None)
    for token in tokens:
        try:
            client.step(token)
        except LanmanError:
            return
        assert not client.complete


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        NegTokenResp(NegState.ACCEPT_COMPLETED),
        NegTokenResp(NegState.REJECT),
        NegTokenResp(NegState.ACCEPT_INCOMPLETE),
        NegTokenResp(NegState.ACCEPT_INCOMPLETE, KERBEROS_OID, b"token"),
        NegTokenResp(NegState.ACCEPT_INCOMPLETE, ntlm.NTLMSSP_OID, b"token"),
        ntlm.anonymous_negotiate(),
        pack_init(NegTokenInit([ntlm.NTLMSSP_OID])),
    ],
)
def test_answers_that_end_a_log_on_in_an_error(answer: bytes | NegTokenResp) -> None:
    client = AnonymousInitiator()
    client.step(None)
    with pytest.raises(LanmanError):
        client.step(pack_response(answer) if isinstance(answer, NegTokenResp) else answer)
    assert not client.complete


def test_final_answer_may_be_empty(accounts: Accounts) -> None:
    client, server = AnonymousInitiator(), acceptor(accounts)
    client.step(server.step(client.step(None) or b"", NOW).token)
    assert not client.complete
    assert client.step(b"") is None
    assert client.complete
    with pytest.raises(LocalProtocolError):
        client.step(b"")


class _Signing:
    """A mechanism of one token each way, that signs by repeating."""

    oids = (KERBEROS_OID,)
    session_key = b"k" * 32
    challenge = None
    signs = False

    def __init__(self) -> None:
        self.complete = False

    def step(self, token: bytes | None) -> bytes | None:
        self.complete = token is not None
        return None if self.complete else b"ticket"

    sign, verify = _Ticket.sign, _Ticket.verify


@pytest.mark.parametrize(
    ("state", "mic", "answers", "complete"),
    [
        (NegState.ACCEPT_COMPLETED, None, False, True),
        (NegState.ACCEPT_COMPLETED, b"mic" + pack_mech_types([KERBEROS_OID]), False, True),
        (NegState.ACCEPT_INCOMPLETE, None, True, False),
        (NegState.REQUEST_MIC, None, True, False),
    ],
)
def test_who_signs_when(state: NegState, mic: bytes | None, answers: bool, complete: bool) -> None:
    client = SpnegoInitiator(_Signing())
    client.step(None)
    answer = client.step(pack_response(NegTokenResp(state, KERBEROS_OID, b"welcome", mic)))
    assert (answer is not None) == answers
    assert client.complete == complete
    assert client.session_key == b"k" * 32


def test_server_whose_signature_is_wrong() -> None:
    client = SpnegoInitiator(_Signing())
    client.step(None)
    with pytest.raises(LanmanError, match="signature"):
        client.step(pack_response(NegTokenResp(NegState.ACCEPT_COMPLETED, KERBEROS_OID, b"welcome", b"wrong")))
    assert not client.complete


def test_answer_that_neither_ends_nor_signs() -> None:
    client = SpnegoInitiator(_Signing())
    client.step(None)
    assert client.step(pack_response(NegTokenResp(NegState.REQUEST_MIC, KERBEROS_OID, b"welcome"))) is not None
    with pytest.raises(LanmanError, match="neither ends"):
        client.step(pack_response(NegTokenResp(NegState.ACCEPT_INCOMPLETE)))


def test_null_session_cannot_be_signed(accounts: Accounts) -> None:
    client, server = AnonymousInitiator(), acceptor(accounts)
    challenge = unpack(server.step(client.step(None) or b"", NOW).token)
    assert isinstance(challenge, NegTokenResp)
    challenge.neg_state = NegState.REQUEST_MIC
    with pytest.raises(LanmanError, match="anonymous"):
        client.step(pack_response(challenge))


def test_list_that_is_never_signed(accounts: Accounts) -> None:
    client, server = _KerberosFirst(mic="late"), acceptor(accounts)
    token = client.step(None)
    for _ in range(3):
        token = client.step(server.step(token or b"", NOW).token)
    outcome = server.step(pack_response(NegTokenResp(NegState.ACCEPT_COMPLETED)), NOW).outcome
    assert isinstance(outcome, Refused)
    assert outcome.status == INVALID
