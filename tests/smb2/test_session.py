"""Two connections that are channels of one session: shared keys, one nonce counter, a signing key each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lanman.codes import (
    STATUS_ACCESS_DENIED,
    STATUS_INVALID_PARAMETER,
    STATUS_LOGON_FAILURE,
    STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_NOT_SUPPORTED,
    STATUS_REQUEST_NOT_ACCEPTED,
    STATUS_REQUEST_OUT_OF_SEQUENCE,
    STATUS_SUCCESS,
)
from lanman.errors import LocalProtocolError, RemoteProtocolError
from lanman.smb2 import crypto
from lanman.smb2.client import ClientConnection, ResponseReceived
from lanman.smb2.connection import Event
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_128_GCM,
    AES_256_GCM,
    AES_CMAC,
    AES_GMAC,
    HMAC_SHA256,
    SMB2_FLAGS_SIGNED,
    SMB2_SESSION_FLAG_BINDING,
    Dialect,
)
from lanman.smb2.header import TRANSFORM_SIZE, Header, TransformHeader
from lanman.smb2.messages import (
    EchoRequest,
    EchoResponse,
    Message,
    OplockBreak,
    SessionSetupRequest,
    SessionSetupResponse,
)
from lanman.smb2.server import Request, RequestsReceived, Response, ServerConnection
from lanman.smb2.session import SessionKeys
from support.smb2_pair import Answering, answers, ask, connected, counted_random, feed, make_pair

# "The anatomy of signing and cryptographic keys": the second channel of the 3.1.1 example.
SECOND_KEY_311 = bytes.fromhex("84B9DBB730116A8FA6E9889555C265F9")
SECOND_PREAUTH_311 = bytes.fromhex(
    "EA3BF912B11CBFEC5B1889E8209614218687F82FA5294521AD3063425E49E88A"
    "10BD022124CE25123BC9111F52D9566BA88BF46344E6063DC5E3FF0389026F6C"
)
FIRST = SessionSetupRequest(SMB2_SESSION_FLAG_BINDING, 2, 0, 0, b"first")
LAST = SessionSetupRequest(SMB2_SESSION_FLAG_BINDING, 2, 0, 0, b"last")


def echo(request: Request) -> Any:
    return EchoResponse()


class Binding(Answering):
    """A server that has a second connection bound to the session with those keys, by log-ons that give `key`."""

    def __init__(self, keys: SessionKeys, *, key: bytes = b"the second key 1", status: int = STATUS_SUCCESS) -> None:
        super().__init__(echo, key=key, status=status)
        self.keys = keys
        self.refused: list[int] = []

    def one(self, server: ServerConnection, request: Request) -> Response:
        if status := request.status:
            self.refused.append(status)
            return Response(request, status)
        message = request.message
        if not isinstance(message, SessionSetupRequest):
            return super().one(server, request)
        if not request.signed:
            self.refused.append(STATUS_ACCESS_DENIED)
            return Response(request, STATUS_ACCESS_DENIED)
        if message.security_buffer == b"first":
            challenge = SessionSetupResponse(0, b"challenge")
            return Response(request, STATUS_MORE_PROCESSING_REQUIRED, challenge, session_id=request.session_id)
        if self.status:
            return Response(request, self.status)
        server.bind_channel(self.keys, self.key, request=request)
        return Response(request, STATUS_SUCCESS, SessionSetupResponse(0, b"done"))


class Channels:
    """A session with two channels, `first` and `second`, each a client and a server core."""

    def __init__(self, *, encrypt: bool = False, status: int = STATUS_SUCCESS, **options: Any) -> None:
        for side in ("client", "server"):
            options[side] = {"multichannel": True} | options.get(side, {})
        self.answer = Answering(echo, encrypt=encrypt)
        client, server, self.session_id = connected(self.answer, encrypt=encrypt, **options)
        self.first = client, server
        self.client_keys = client._channels[self.session_id].keys
        self.server_keys = server._channels[self.session_id].keys
        self.second = make_pair(**options)
        self.second[0].negotiate()
        feed(*self.second)
        self.binding = Binding(self.server_keys, status=status)

    def bind(self) -> None:
        """Log on a second time, on the second connection."""
        client, _ = self.second
        client.start_binding(self.client_keys)
        response = self.ask(FIRST)
        assert response.status == STATUS_MORE_PROCESSING_REQUIRED
        response = self.ask(LAST)
        assert response.status == STATUS_SUCCESS
        client.bind_channel(self.client_keys, self.binding.key, final=response.message_id)

    def ask(
        self, message: Message, answer: Callable[[ServerConnection, Event], None] | None = None
    ) -> ResponseReceived:
        """A request on the second connection, and its answer."""
        return ask(*self.second, answer or self.binding, message, session_id=self.session_id, binding=self.server_keys)

    def echo(self, pair: tuple[ClientConnection, ServerConnection]) -> ResponseReceived:
        return ask(*pair, self.binding, EchoRequest(), session_id=self.session_id)


def test_the_signing_key_of_a_further_channel() -> None:
    key = crypto.signing_key(Dialect.SMB_3_1_1, SECOND_KEY_311, SECOND_PREAUTH_311)
    assert key.hex() == "c962bca1a9dd1697b030644199705431"
    key = crypto.signing_key(Dialect.SMB_3_0, bytes.fromhex("4E01A2B313BCF660CC250BEF021AEDE6"), b"")
    assert key.hex() == "ba1a17dbbfec349bca105563d598952f"


@pytest.mark.parametrize("dialect", [Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1])
@pytest.mark.parametrize("encrypt", [False, True])
def test_two_channels_of_one_session(dialect: int, encrypt: bool) -> None:
    both = Channels(encrypt=encrypt, client={"dialects": [dialect]})
    both.bind()
    for pair in (both.first, both.second, both.first):
        response = both.echo(pair)
        assert response.status == STATUS_SUCCESS
        assert bool(response.header.flags & SMB2_FLAGS_SIGNED) is not encrypt
    for one, other in (both.first, both.second), (both.second, both.first):
        mine, theirs = (pair[1]._channels[both.session_id] for pair in (one, other))
        assert mine.keys is theirs.keys
        assert mine.signing_key != theirs.signing_key
    assert both.first[1]._channels[both.session_id].signing_key == both.server_keys.signing_key
    assert both.first[0]._channels[both.session_id].keys is both.second[0]._channels[both.session_id].keys


def test_each_answer_of_a_binding_is_signed_with_its_own_key() -> None:
    """MS-SMB2 3.3.4.1.1: with the session's key until the log-on has succeeded, then with the channel's."""
    both = Channels()
    client, server = both.second
    client.start_binding(both.client_keys)
    seen: list[bytes] = []

    def kept(answering: ServerConnection, event: Event) -> None:
        both.binding(answering, event)
        seen.append(b"".join(bytes(each) for each in answering._outgoing or ())[4:])

    for message in (FIRST, LAST):
        both.ask(message, kept)
    assert client.negotiated is not None
    algorithm = client.negotiated.signing_algorithm
    keys = [both.server_keys.signing_key, server._channels[both.session_id].signing_key]
    for pdu, key, other in zip([memoryview(each) for each in seen], keys, reversed(keys), strict=True):
        nonce = crypto.signing_nonce(Header.unpack(pdu).message_id, response=True, cancel=False)
        assert crypto.verify(algorithm, key, pdu, nonce)
        assert not crypto.verify(algorithm, other, pdu, nonce)


@pytest.mark.parametrize("cipher", [AES_128_GCM, AES_128_CCM, AES_256_GCM])
def test_no_nonce_is_used_twice(cipher: int) -> None:
    """Both channels, both directions: under one key each TRANSFORM_HEADER has a nonce of its own."""
    both = Channels(encrypt=True, client={"ciphers": [cipher]})
    both.bind()
    nonces: dict[bool, list[bytes]] = {False: [], True: []}
    for pair in (both.first, both.second, both.second, both.first, both.second):
        client, server = pair
        client.send(EchoRequest(), session_id=both.session_id)
        asked = b"".join(bytes(each) for each in client.data_to_send())
        for event in server.receive_data(asked):
            both.binding(server, event)
        answered = b"".join(bytes(each) for each in server.data_to_send())
        assert len(answers(client.receive_data(answered))) == 1
        for from_server, data in (False, asked), (True, answered):
            header = TransformHeader.unpack(memoryview(data)[4 : 4 + TRANSFORM_SIZE])
            nonces[from_server].append(header.nonce)
    for used in nonces.values():
        assert len(set(used)) == 5
        # One counter: the same prefix, and numbers that follow each other.
        size = crypto.nonce_size(cipher)
        assert len({nonce[: size - 8] for nonce in used}) == 1
        numbers = [int.from_bytes(nonce[size - 8 : size], "little") for nonce in used]
        assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_an_oplock_break_takes_its_nonce_from_the_same_counter() -> None:
    both = Channels(encrypt=True)
    both.bind()
    nonces = set()
    for _, server in (both.first, both.second, both.first):
        server.send_oplock_break(OplockBreak(1, bytes(16)), session_id=both.session_id)
        data = b"".join(bytes(each) for each in server.data_to_send())
        nonces.add(TransformHeader.unpack(memoryview(data)[4:]).nonce)
    assert len(nonces) == 3


def test_a_share_that_encrypts_encrypts_on_all_channels() -> None:
    both = Channels()
    both.bind()
    both.first[0].encrypt_session(both.session_id)
    both.second[0].send(EchoRequest(), session_id=both.session_id)
    (event,) = both.second[1].receive_data(b"".join(bytes(each) for each in both.second[0].data_to_send()))
    assert isinstance(event, RequestsReceived)
    assert event.requests[0].encrypted


def test_forgetting_one_channel_leaves_the_other() -> None:
    both = Channels()
    both.bind()
    for core in both.first:
        core.forget_session(both.session_id)
    assert both.echo(both.second).status == STATUS_SUCCESS
    assert both.server_keys.encryptor is not None


# --- what is refused ---


def test_a_binding_that_is_not_signed_or_signed_with_another_key() -> None:
    """It is no binding for the core, nor is its answer signed. It repeats the flag, with a signature of no key."""
    for key, flag in ((None, 0), (b"another key 1234", SMB2_FLAGS_SIGNED)):
        both = Channels()
        client, server = both.second
        if key is not None:
            wrong = SessionKeys(both.session_id, Dialect.SMB_3_1_1, AES_CMAC, multichannel=True)
            wrong.derive(key, bytes(64), both.client_keys.cipher, counted_random(), server=False)
            client.start_binding(wrong)
        client.send(FIRST, session_id=both.session_id)
        for event in server.receive_data(b"".join(bytes(each) for each in client.data_to_send())):
            assert isinstance(event, RequestsReceived)
            assert server.begin(event.requests[0], binding=both.server_keys) == 0
            assert event.requests[0].binding is None
            both.binding(server, event)
        seen = [bytes(each) for each in server.data_to_send()]
        header = Header.unpack(memoryview(b"".join(seen))[4:])
        assert (header.status, header.flags & SMB2_FLAGS_SIGNED) == (STATUS_ACCESS_DENIED, flag)
        assert b"".join(seen)[52:68] == bytes(16)
        assert not server._channels
        assert both.echo(both.first).status == STATUS_SUCCESS


# The signing algorithms, ciphers and dialects of smbtorture's session.bind_negative_*, and what it wants; a session of
# (algorithms, dialect) and a connection that would be its channel.
GMAC, CMAC, HMAC = [AES_GMAC], [AES_CMAC], [HMAC_SHA256]
V2, V30, V302, V311 = Dialect.SMB_2_1, Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1


@pytest.mark.parametrize(
    ("session", "channel", "status"),
    [
        ((GMAC, V311), (CMAC, V311), STATUS_REQUEST_OUT_OF_SEQUENCE),
        ((GMAC, V311), (HMAC, V311), STATUS_REQUEST_OUT_OF_SEQUENCE),
        ((GMAC, V311), (CMAC, V302), STATUS_REQUEST_OUT_OF_SEQUENCE),
        ((GMAC, V311), (HMAC, V2), STATUS_REQUEST_OUT_OF_SEQUENCE),
        ((CMAC, V311), (GMAC, V311), STATUS_NOT_SUPPORTED),
        ((HMAC, V311), (GMAC, V311), STATUS_NOT_SUPPORTED),
        ((CMAC, V30), (GMAC, V311), STATUS_NOT_SUPPORTED),
        ((HMAC, V2), (GMAC, V311), STATUS_NOT_SUPPORTED),
        ((HMAC, V2), (HMAC, V2), STATUS_REQUEST_NOT_ACCEPTED),
        ((CMAC, V311), (HMAC, V2), STATUS_REQUEST_NOT_ACCEPTED),
        ((HMAC, V2), (CMAC, V311), STATUS_INVALID_PARAMETER),
        ((CMAC, V302), (CMAC, V311), STATUS_INVALID_PARAMETER),
        ((CMAC, V311), (HMAC, V311), 0),
        ((HMAC, V311), (CMAC, V311), 0),
        ((GMAC, V311), (GMAC, V311), 0),
    ],
)
def test_which_connection_may_be_bound(
    session: tuple[list[int], int], channel: tuple[list[int], int], status: int
) -> None:
    def negotiated(algorithms: list[int], dialect: int) -> ServerConnection:
        options = {"dialects": [dialect], "signing_algorithms": algorithms, "multichannel": True}
        client, server = make_pair(client=options, server={"multichannel": True})
        client.negotiate()
        feed(client, server)
        return server

    agreed = negotiated(*session).negotiated
    assert agreed is not None
    keys = SessionKeys(1, agreed.dialect, agreed.signing_algorithm, multichannel=agreed.multichannel)
    keys.cipher = agreed.cipher
    other = negotiated(*channel).negotiated
    assert other is not None
    assert keys.refusal_of_binding(other) == status


def test_a_server_with_multichannel_prefers_what_needs_no_nonce() -> None:
    """AES-GMAC is chosen where it is all that is offered, by a client that speaks of multichannel."""
    for offered, says_so, server_has_it, chosen in (
        ([AES_GMAC, AES_CMAC, HMAC_SHA256], True, True, AES_CMAC),
        ([AES_GMAC, HMAC_SHA256], True, True, HMAC_SHA256),
        ([AES_GMAC], True, True, AES_GMAC),
        ([AES_GMAC, AES_CMAC], False, True, AES_GMAC),
        ([AES_GMAC, AES_CMAC], True, False, AES_GMAC),
    ):
        client, server = make_pair(
            client={"signing_algorithms": offered, "multichannel": says_so}, server={"multichannel": server_has_it}
        )
        client.negotiate()
        feed(client, server)
        assert server.negotiated is not None
        assert client.negotiated is not None
        assert server.negotiated.signing_algorithm == client.negotiated.signing_algorithm == chosen
        assert client.negotiated.multichannel is server.negotiated.multichannel is (says_so and server_has_it)


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_0_2, Dialect.SMB_2_1])
def test_no_dialect_below_3_has_multichannel(dialect: int) -> None:
    client, server = make_pair(client={"multichannel": True, "dialects": [dialect]}, server={"multichannel": True})
    client.negotiate()
    feed(client, server)
    assert client.negotiated is not None
    assert not client.negotiated.multichannel


def test_a_session_without_multichannel_is_bound_to_nothing() -> None:
    both = Channels(client={"multichannel": False, "signing_algorithms": [AES_CMAC]})
    with pytest.raises(LocalProtocolError, match="without multichannel"):
        both.second[0].start_binding(both.client_keys)
    agreed = both.second[1].negotiated
    assert agreed is not None
    assert both.server_keys.refusal_of_binding(agreed) == STATUS_REQUEST_NOT_ACCEPTED


def test_a_refusal_before_the_log_on_takes_no_nonce() -> None:
    """With AES-GMAC the session's own connection may have used it; other algorithms have none."""
    for algorithm, signed in (AES_GMAC, False), (AES_CMAC, True):
        both = Channels(client={"signing_algorithms": [algorithm]})
        client, server = both.second
        client.start_binding(both.client_keys)
        client.send(FIRST, session_id=both.session_id)
        (event,) = server.receive_data(b"".join(bytes(each) for each in client.data_to_send()))
        assert isinstance(event, RequestsReceived)
        (request,) = event.requests
        server.begin(request, binding=both.server_keys)
        server.refuse_binding(request)
        server.respond([Response(request, STATUS_REQUEST_NOT_ACCEPTED)])
        assert (b"".join(bytes(each) for each in server.data_to_send())[52:68] != bytes(16)) is signed


def test_a_session_setup_that_asks_for_no_binding_is_none() -> None:
    both = Channels()
    client, server = both.second
    client.send(SessionSetupRequest(0, 2, 0, 0, b"first"), session_id=both.session_id)
    (event,) = server.receive_data(b"".join(bytes(each) for each in client.data_to_send()))
    assert isinstance(event, RequestsReceived)
    (request,) = event.requests
    assert server.begin(request, binding=both.server_keys) == 0
    assert request.binding is None
    with pytest.raises(LocalProtocolError, match="verified with the session's key"):
        server.bind_channel(both.server_keys, b"k" * 16, request=request)


def test_a_refused_binding_leaves_the_session_alive() -> None:
    both = Channels(status=STATUS_LOGON_FAILURE)
    client, server = both.second
    client.start_binding(both.client_keys)
    for message, status in ((FIRST, STATUS_MORE_PROCESSING_REQUIRED), (LAST, STATUS_LOGON_FAILURE)):
        assert both.ask(message).status == status
    assert not client._channels
    assert not client._bindings
    assert not client._logons
    assert not server._channels
    assert not server._logons
    assert both.echo(both.first).status == STATUS_SUCCESS


@pytest.mark.parametrize("signed", [False, True])
def test_a_client_believes_no_challenge_that_the_session_did_not_sign(signed: bool) -> None:
    both = Channels()
    client, server = both.second
    client.start_binding(both.client_keys)
    number = client.send(FIRST, session_id=both.session_id)
    client.data_to_send()
    header = Header(1, number, both.session_id, flags=1, status=STATUS_MORE_PROCESSING_REQUIRED, credits=9)
    body = SessionSetupResponse(0, b"challenge").parts()
    server._send_frame([server._sign(b"another key 1234", header, body) if signed else header.pack(), *body])
    with pytest.raises(RemoteProtocolError, match="not signed with its key"):
        client.receive_data(b"".join(bytes(each) for each in server.data_to_send()))


def test_the_last_answer_proves_that_the_server_has_the_new_log_ons_key() -> None:
    both = Channels()
    client, _ = both.second
    client.start_binding(both.client_keys)
    both.ask(FIRST)
    response = both.ask(LAST)
    with pytest.raises(RemoteProtocolError, match="signed wrongly"):
        client.bind_channel(both.client_keys, b"not the right key", final=response.message_id)
    assert not client._channels


def test_which_connections_can_be_channels() -> None:
    both = Channels(client={"signing_algorithms": [HMAC_SHA256]})
    with pytest.raises(LocalProtocolError, match="bound once"):
        both.first[0].start_binding(both.client_keys)
    with pytest.raises(LocalProtocolError, match="bound once, after NEGOTIATE"):
        make_pair()[0].start_binding(both.client_keys)
    for options, why in (
        ({"dialects": [Dialect.SMB_3_0]}, "cannot be bound in 0x0300"),
        ({"dialects": [Dialect.SMB_2_1]}, "cannot be bound in 0x0210"),
        ({"ciphers": [AES_128_CCM]}, "another cipher"),
        ({"signing_algorithms": [AES_GMAC]}, "from or to AES-GMAC"),
    ):
        other, theirs = make_pair(client=options)
        other.negotiate()
        feed(other, theirs)
        with pytest.raises(LocalProtocolError, match=why):
            other.start_binding(both.client_keys)
    # Otherwise the signing algorithm is the connection's own matter.
    other, theirs = make_pair(client={"signing_algorithms": [AES_CMAC], "multichannel": True})
    other.negotiate()
    feed(other, theirs)
    both.second = other, theirs
    both.bind()
    assert both.echo(both.second).status == STATUS_SUCCESS
    with pytest.raises(LocalProtocolError, match="bound no session"):
        other.bind_channel(both.client_keys, b"k" * 16, final=99)


def test_a_session_without_keys_or_of_2_1_has_one_channel() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"dialects": [Dialect.SMB_2_1]}, {}),
        ({}, {"anonymous_or_guest": True}),
    ]
    for options, logon in cases:
        answer = Answering(echo, sign=not logon)
        client, _, session_id = connected(answer, client=options, **logon)
        other, theirs = make_pair(client=options)
        other.negotiate()
        feed(other, theirs)
        with pytest.raises(LocalProtocolError, match="cannot be bound"):
            other.start_binding(client._channels[session_id].keys)
