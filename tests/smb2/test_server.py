"""What a server lets through, and with what it answers."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.codes import (
    STATUS_ACCESS_DENIED,
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED,
    STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP,
    STATUS_SUCCESS,
    STATUS_USER_SESSION_DELETED,
)
from lanman.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from lanman.smb2.connection import FIRST_FRAME_LIMIT, Connection
from lanman.smb2.constants import (
    SMB2_ECHO,
    SMB2_FLAGS_RELATED_OPERATIONS,
    SMB2_FLAGS_SERVER_TO_REDIR,
    SMB2_FLAGS_SIGNED,
    SMB2_NEGOTIATE,
    SMB2_READ,
    SMB2_TREE_CONNECT,
    Dialect,
)
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    EchoRequest,
    EchoResponse,
    EncryptionCapabilities,
    ErrorResponse,
    LogoffRequest,
    LogoffResponse,
    Message,
    NegotiateContext,
    NegotiateRequest,
    NegotiateResponse,
    PreauthIntegrityCapabilities,
    ReadRequest,
    SessionSetupRequest,
    SigningCapabilities,
    TreeConnectRequest,
    TreeConnectResponse,
    unpack_response,
)
from lanman.smb2.server import (
    INITIAL_CREDITS,
    MAX_CREDITS,
    MAX_WAITING,
    CommandWindow,
    Request,
    RequestsReceived,
    Response,
    ServerConnection,
    Terms,
)
from support.smb2_pair import Answering, ask, begun, connected, counted_random, feed, log_on, make_pair
from support.step_counter import steps

GUID = bytes(range(16))
PREAUTH = NegotiateContext(1, PreauthIntegrityCapabilities([1], b"salt").pack())
NOT_SIGNED = {"signing_required": False}


def reply(request: Request) -> Any:
    if isinstance(request.message, TreeConnectRequest):
        return TreeConnectResponse(1)
    if isinstance(request.message, LogoffRequest):
        return LogoffResponse()
    return EchoResponse()


def make_server(**options: Any) -> ServerConnection:
    return ServerConnection(Terms(server_guid=GUID, **options), counted_random())


def frame(*messages: tuple[Header, Message]) -> bytes:
    body = b"".join(header.pack() + message.pack() for header, message in messages)
    return len(body).to_bytes(4, "big") + body


def said(server: Connection) -> list[tuple[Header, Message]]:
    """What the server has said, read again."""
    data = memoryview(b"".join(bytes(each) for each in server.data_to_send()))
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        for header, pdu in Connection._split(data[4:end]):
            found.append((header, unpack_response(header.command, header.status, pdu)))
        data = data[end:]
    return found


def requests(events: list[Any]) -> list[Request]:
    return [request for event in events if isinstance(event, RequestsReceived) for request in event.requests]


def sent(connection: Any) -> bytes:
    return b"".join(bytes(each) for each in connection.data_to_send())


# --- the window of message ids ---


def test_the_window_grows_by_grants_and_closes_behind() -> None:
    window = CommandWindow()
    assert window.available == 1
    assert not window.take(1, 1)
    assert window.take(0, 1)
    assert not window.take(0, 1)
    assert window.grant(0, 8) == 1  # nobody is left without any
    assert window.grant(100, 8) == 7
    assert window.available == 8
    assert window.take(3, 2)
    assert not window.take(4, 1)
    assert not window.take(2, 2)
    assert window.take(1, 2)
    assert not window.take(8, 2)
    assert window.available == 4


def test_a_client_that_leaves_an_early_id_gets_no_more() -> None:
    window = CommandWindow()
    window.take(0, 1)
    window.grant(8, 8)
    at, granted = 2, 8
    while granted:
        assert window.take(at, 1)
        at += 1
        granted = window.grant(1, 8)
        assert at < 100
    assert at >= 24
    assert window.available


def test_credits_are_few_before_the_log_on_and_never_too_many() -> None:
    answer = Answering(reply)
    client, server = make_pair()
    client.negotiate()
    feed(client, server)
    assert client.credits <= INITIAL_CREDITS
    session_id = log_on(client, server, answer)
    for _ in range(8):
        message_id = client.send(EchoRequest(), session_id=session_id)
        client._pending[message_id].session_id = session_id
        feed(client, server, answer)
    assert INITIAL_CREDITS < client.credits <= MAX_CREDITS
    assert server._window.available == client.credits


@pytest.mark.parametrize("message_id", [0, 1, 2, 500, 1 << 63])
def test_a_message_id_that_may_not_come_ends_the_connection(message_id: int) -> None:
    _, server, session_id = connected(Answering(reply))
    with pytest.raises(RemoteProtocolError, match="outside the window or was used"):
        begun(server, frame((Header(SMB2_ECHO, message_id, session_id), EchoRequest())))
    with pytest.raises(RemoteProtocolError, match="is dead"):
        begun(server, b"")


def test_a_replayed_request_ends_the_connection() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    client.send(TreeConnectRequest(0, "x"), session_id=session_id)
    data = sent(client)
    assert len(requests(begun(server, data))) == 1
    with pytest.raises(RemoteProtocolError, match="outside the window or was used"):
        begun(server, data)


def test_who_wants_more_than_was_paid_for_is_refused() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer, server=NOT_SIGNED)
    request = (Header(SMB2_READ, client._next_id, session_id, credit_charge=1), ReadRequest(length=65537))
    (found,) = requests(begun(server, frame(request)))
    assert found.status == STATUS_ACCESS_DENIED  # the client said that it wants signing
    for charge, status in ((1, STATUS_INVALID_PARAMETER), (2, 0)):
        answer = Answering(reply, sign=False)
        client, server, session_id = connected(answer, anonymous_or_guest=True)
        header = Header(SMB2_READ, client._next_id, session_id, credit_charge=charge)
        (found,) = requests(begun(server, frame((header, ReadRequest(length=65537)))))
        assert (found.status, found.message is None) == (status, bool(status))


def test_not_many_more_requests_than_credits_wait_at_a_time() -> None:
    client, server, session_id = connected(Answering(reply))
    waiting: list[Request] = []
    while client.credits and len(waiting) < 2 * MAX_CREDITS:
        client.send(ReadRequest(length=1), session_id=session_id)
        (request,) = requests(begun(server, sent(client)))
        server.pending(request)
        client.receive_data(sent(server))
        waiting.append(request)
    assert MAX_WAITING < len(waiting) < MAX_CREDITS + 2 * MAX_WAITING
    server.respond([Response(waiting[-1], STATUS_ACCESS_DENIED)])
    client.receive_data(sent(server))
    assert client.credits


# --- signatures and encryption ---


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_changed_byte_anywhere_is_refused_or_ends_the_connection(dialect: Dialect) -> None:
    refused = 0
    for at in range(4, 200):
        answer = Answering(reply)
        client, server, session_id = connected(answer, client={"dialects": [dialect]})
        client.send(LogoffRequest(), session_id=session_id)
        data = bytearray(sent(client))
        if at >= len(data):
            break
        data[at] ^= 0x01
        try:
            (found,) = requests(begun(server, bytes(data)))
        except RemoteProtocolError:
            continue
        # Another command, another session or none at all: then nobody's session has been touched.
        assert found.status == STATUS_ACCESS_DENIED or found.session_id != session_id
        assert not found.signed
        refused += 1
    assert refused > 20


@pytest.mark.parametrize("dialect", [Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1])
def test_a_changed_byte_of_what_is_encrypted_ends_the_connection(dialect: Dialect) -> None:
    for at in range(4, 200):
        answer = Answering(reply, encrypt=True)
        client, server, session_id = connected(answer, client={"dialects": [dialect]}, encrypt=True)
        client.send(LogoffRequest(), session_id=session_id)
        data = bytearray(sent(client))
        if at >= len(data):
            break
        data[at] ^= 0x01
        with pytest.raises(RemoteProtocolError):
            begun(server, bytes(data))


def test_an_unsigned_request_is_refused_and_the_session_lives() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    (found,) = requests(begun(server, frame((Header(SMB2_ECHO, client._next_id, session_id), EchoRequest()))))
    assert (found.status, found.message, found.signed) == (STATUS_ACCESS_DENIED, None, False)
    server.respond([Response(found, found.status)])
    ((header, message),) = said(server)
    assert header.status == STATUS_ACCESS_DENIED
    assert isinstance(message, ErrorResponse)
    client._next_id += 1
    assert ask(client, server, answer, EchoRequest(), session_id=session_id).status == STATUS_SUCCESS


def test_a_plain_request_on_an_encrypted_session_is_refused() -> None:
    answer = Answering(reply, encrypt=True)
    client, server, session_id = connected(answer, encrypt=True)
    client._channels[session_id].keys.encrypt = False
    client.send(EchoRequest(), session_id=session_id)
    (found,) = requests(begun(server, sent(client)))
    assert (found.status, found.signed, found.encrypted) == (STATUS_ACCESS_DENIED, True, False)


def test_where_nobody_demands_signing() -> None:
    """Neither end: then what is signed is answered signed, and what is not is not."""
    server = make_server(**NOT_SIGNED)
    answer = Answering(reply)
    client, _ = make_pair()
    offer = NegotiateRequest([Dialect.SMB_2_1], 1, 0, GUID)
    client._offer, client._dialects = offer, [Dialect.SMB_2_1]
    header, body = client._request(offer, 0, 0, 0)
    client._send_frame([header.pack(), *body])
    feed(client, server)
    assert client.negotiated is not None
    assert not client.negotiated.signing_required
    client.send(SessionSetupRequest(0, 1, 0, 0, b"first"))
    first = begun(server, sent(client))
    answer(server, first[0])
    (event,) = client.receive_data(sent(server))
    session_id = event.header.session_id  # type: ignore[attr-defined]
    client.send(SessionSetupRequest(0, 1, 0, 0, b"last"), session_id=session_id)
    answer(server, begun(server, sent(client))[0])
    ((header, _),) = said(server)
    assert header.flags & SMB2_FLAGS_SIGNED
    for _ in range(2):
        (found,) = requests(begun(server, frame((Header(SMB2_ECHO, client._next_id, session_id), EchoRequest()))))
        client._next_id += 1
        assert (found.status, found.signed) == (0, False)
        server.respond([Response(found, 0, EchoResponse())])
        ((header, _),) = said(server)
        assert not header.flags & SMB2_FLAGS_SIGNED


def test_an_unprotected_tree_connect_on_3_1_1_ends_the_connection() -> None:
    for options in ({}, NOT_SIGNED):
        client, server, session_id = connected(Answering(reply), server=options)
        with pytest.raises(RemoteProtocolError, match="neither signed nor encrypted"):
            begun(server, frame((Header(SMB2_TREE_CONNECT, client._next_id, session_id), TreeConnectRequest(0, "x"))))
    client, server, session_id = connected(Answering(reply), client={"dialects": [Dialect.SMB_3_0_2]})
    data = frame((Header(SMB2_TREE_CONNECT, client._next_id, session_id), TreeConnectRequest(0, "x")))
    (found,) = requests(begun(server, data))
    assert found.status == STATUS_ACCESS_DENIED
    client, server, session_id = connected(Answering(reply, sign=False), anonymous_or_guest=True)
    data = frame((Header(SMB2_TREE_CONNECT, client._next_id, session_id), TreeConnectRequest(0, "x")))
    (found,) = requests(begun(server, data))
    assert found.status == 0


def test_encryption_that_does_not_hold_ends_the_connection() -> None:
    client, server, session_id = connected(Answering(reply, encrypt=True), encrypt=True)
    server.forget_session(session_id)
    client.send(EchoRequest(), session_id=session_id)
    with pytest.raises(RemoteProtocolError, match="no keys here"):
        begun(server, sent(client))


def test_an_encrypted_request_speaks_for_its_own_session() -> None:
    answer = Answering(reply, encrypt=True)
    client, server, first = connected(answer, encrypt=True)
    second = log_on(client, server, answer, encrypt=True)
    encryptor = client._channels[second].keys.encryptor
    assert encryptor is not None
    inner = Header(SMB2_ECHO, client._next_id, first).pack() + EchoRequest().pack()
    encrypted = b"".join(bytes(each) for each in encryptor.encrypt(inner))
    with pytest.raises(RemoteProtocolError, match="another session's encryption"):
        begun(server, len(encrypted).to_bytes(4, "big") + encrypted)


# --- sessions ---


def test_forgetting_one_session_leaves_the_other() -> None:
    answer = Answering(reply)
    client, server, first = connected(answer)
    second = log_on(client, server, answer)
    server.forget_session(first)
    server.forget_session(first)
    assert set(server._channels) == {second}
    client.send(TreeConnectRequest(0, "x"), session_id=first)
    (found,) = requests(begun(server, sent(client)))
    assert (found.status, found.signed, found.session_id) == (0, False, first)
    server.respond([Response(found, STATUS_USER_SESSION_DELETED)])
    ((header, _),) = said(server)
    assert header.status == STATUS_USER_SESSION_DELETED
    assert ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=second).status == STATUS_SUCCESS


@pytest.mark.parametrize("encrypt", [False, True])
def test_the_answer_to_ones_own_deletion_leaves_first_and_signed(encrypt: bool) -> None:
    def delete(request: Request) -> Any:
        server.forget_session(request.session_id)
        return EchoResponse()

    answer = Answering(delete, encrypt=encrypt)
    client, server, session_id = connected(answer, encrypt=encrypt)
    response = ask(client, server, answer, EchoRequest(), session_id=session_id)
    assert response.status == STATUS_SUCCESS
    assert bool(response.header.flags & SMB2_FLAGS_SIGNED) is not encrypt


def test_frames_are_small_until_somebody_has_logged_on() -> None:
    server = make_server()
    with pytest.raises(MalformedMessage, match="are allowed"):
        begun(server, (FIRST_FRAME_LIMIT + 1).to_bytes(4, "big"))
    _, server, session_id = connected(Answering(reply))
    assert begun(server, (FIRST_FRAME_LIMIT + 1).to_bytes(4, "big")) == []
    _, server, session_id = connected(Answering(reply))
    server.forget_session(session_id)
    with pytest.raises(MalformedMessage, match="are allowed"):
        begun(server, (FIRST_FRAME_LIMIT + 1).to_bytes(4, "big"))


def test_a_session_that_cannot_be_encrypted() -> None:
    for options, sign in (({"encryption": "off"}, True), ({}, False)):
        client, server = make_pair(server=options)
        client.negotiate()
        feed(client, server)
        client.send(SessionSetupRequest(0, 2, 0, 0, b"x"))
        (found,) = requests(begun(server, sent(client)))
        with pytest.raises(LocalProtocolError, match="cannot be encrypted"):
            server.establish_session(7, bytes(16), request=found, sign=sign, encrypt=True)
        server.respond([Response(found, STATUS_ACCESS_DENIED)])
        with pytest.raises(LocalProtocolError, match="is not pending"):
            server.respond([Response(found, STATUS_ACCESS_DENIED)])
        with pytest.raises(LocalProtocolError, match="is not pending"):
            server.pending(found)


def test_no_session_begins_without_session_setup() -> None:
    client, server, _ = connected(Answering(reply))
    client.send(EchoRequest())
    (found,) = requests(begun(server, sent(client)))
    with pytest.raises(LocalProtocolError, match="begins with SESSION_SETUP"):
        server.establish_session(7, bytes(16), request=found)


# --- what is malformed ---


def test_a_malformed_body_is_refused_and_the_connection_lives() -> None:
    client, server, session_id = connected(Answering(reply, sign=False), anonymous_or_guest=True)
    for command, body in ((SMB2_ECHO, b"\5\0\0\0"), (SMB2_READ, b"\x31\0"), (0x77, b"")):
        data = Header(command, client._next_id, session_id).pack() + body
        client._next_id += 1
        (found,) = requests(begun(server, len(data).to_bytes(4, "big") + data))
        assert (found.status, found.message, found.command) == (STATUS_INVALID_PARAMETER, None, command)
        server.respond([Response(found, found.status)])


def test_what_nobody_says_ends_the_connection() -> None:
    compound = Header(SMB2_ECHO, 3, next_command=72)
    for header in (
        Header(SMB2_ECHO, 3, flags=SMB2_FLAGS_SERVER_TO_REDIR),
        Header(SMB2_NEGOTIATE, 3),
        Header(SMB2_ECHO, 3, next_command=7),
        Header(SMB2_ECHO, 3, next_command=64),
        compound,
    ):
        _, server, _ = connected(Answering(reply))
        with pytest.raises(RemoteProtocolError):
            begun(server, frame((header, EchoRequest())))


def test_the_first_of_a_compound_cannot_be_related() -> None:
    client, server, session_id = connected(Answering(reply, sign=False), anonymous_or_guest=True)
    header = Header(SMB2_ECHO, client._next_id, session_id, flags=SMB2_FLAGS_RELATED_OPERATIONS)
    (found,) = requests(begun(server, frame((header, EchoRequest()))))
    assert (found.status, found.related) == (STATUS_INVALID_PARAMETER, True)


# --- NEGOTIATE ---


def negotiate(server: ServerConnection, offer: NegotiateRequest) -> tuple[Header, Message]:
    begun(server, frame((Header(SMB2_NEGOTIATE, 0, credits=31), offer)))
    ((header, message),) = said(server)
    return header, message


def smb1(*dialects: bytes) -> bytes:
    offered = b"".join(b"\x02" + dialect + b"\0" for dialect in dialects)
    body = b"\xffSMB\x72" + bytes(27) + b"\0" + len(offered).to_bytes(2, "little") + offered
    return len(body).to_bytes(4, "big") + body


def test_multi_protocol_negotiation() -> None:
    server = make_server()
    begun(server, smb1(b"NT LM 0.12", b"SMB 2.002", b"SMB 2.???"))
    ((header, message),) = said(server)
    assert (header.command, header.message_id, header.credits) == (SMB2_NEGOTIATE, 0, 1)
    assert isinstance(message, NegotiateResponse)
    assert (message.dialect_revision, message.capabilities) == (0x02FF, 4)
    assert server.negotiated is None
    offer = NegotiateRequest([int(dialect) for dialect in Dialect], 1, 0, GUID, [PREAUTH])
    begun(server, frame((Header(SMB2_NEGOTIATE, 1), offer)))
    ((header, message),) = said(server)
    assert isinstance(message, NegotiateResponse)
    assert message.dialect_revision == Dialect.SMB_3_1_1


def test_multi_protocol_negotiation_of_2_0_2() -> None:
    server = make_server()
    begun(server, smb1(b"NT LM 0.12", b"SMB 2.002"))
    ((_, message),) = said(server)
    assert isinstance(message, NegotiateResponse)
    assert (message.dialect_revision, message.max_read_size) == (0x0202, 65536)
    assert server.negotiated is not None
    # smbclient 4.17, `client max protocol = SMB2_02` beside `client min protocol = NT1`, has this validated.
    assert server.validate_negotiate_info(bytes(22) + bytes.fromhex("0100 0202"))
    assert server.validate_negotiate_info(bytes(20) + bytes.fromhex("0100 0100 0202")) is None
    with pytest.raises(RemoteProtocolError):
        begun(server, smb1(b"SMB 2.002"))


@pytest.mark.parametrize(
    "data",
    [
        smb1(b"NT LM 0.12"),
        smb1(),
        b"\0\0\0\4\xffSMB",
        smb1(b"SMB 2.???").replace(b"\x72", b"\x73"),
        smb1(b"SMB 2.???").replace(b"\0\x0b\0", b"\1\x0b\0"),
        smb1(b"SMB 2.???") * 2,
    ],
)
def test_smb1_that_leads_nowhere(data: bytes) -> None:
    server = make_server()
    with pytest.raises(RemoteProtocolError):
        begun(server, data)


def test_offers_that_cannot_be_taken() -> None:
    twice = [PREAUTH, PREAUTH]
    other_hash = [NegotiateContext(1, PreauthIntegrityCapabilities([9], b"").pack())]
    for offer, status in (
        (NegotiateRequest([]), STATUS_INVALID_PARAMETER),
        (NegotiateRequest([0x0222]), STATUS_NOT_SUPPORTED),
        (NegotiateRequest([0x0311]), STATUS_INVALID_PARAMETER),
        (NegotiateRequest([0x0311], contexts=twice), STATUS_INVALID_PARAMETER),
        (NegotiateRequest([0x0311], contexts=[NegotiateContext(1, b"")]), STATUS_INVALID_PARAMETER),
        (NegotiateRequest([0x0311], contexts=other_hash), STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP),
    ):
        server = make_server()
        header, message = negotiate(server, offer)
        assert header.status == status
        assert isinstance(message, ErrorResponse)
        assert server.negotiated is None


def test_the_server_prefers_and_falls_back() -> None:
    def chosen(*contexts: NegotiateContext, **options: Any) -> tuple[int, int, list[int]]:
        server = make_server(**options)
        _, message = negotiate(server, NegotiateRequest([0x0311], 1, 0, GUID, [PREAUTH, *contexts]))
        assert isinstance(message, NegotiateResponse)
        assert server.negotiated is not None
        return server.negotiated.cipher, server.negotiated.signing_algorithm, [each.type for each in message.contexts]

    def ciphers(*numbers: int) -> NegotiateContext:
        return NegotiateContext(2, EncryptionCapabilities(numbers).pack())

    def algorithms(*numbers: int) -> NegotiateContext:
        return NegotiateContext(8, SigningCapabilities(numbers).pack())

    assert chosen() == (0, 1, [1])
    assert chosen(ciphers(1, 2), algorithms(0, 1, 2)) == (2, 2, [1, 2, 8])
    assert chosen(ciphers(9), algorithms(9)) == (0, 1, [1, 2])
    assert chosen(ciphers(1), encryption="off") == (0, 1, [1])
    assert chosen(NegotiateContext(0x99, b"?"), algorithms(0)) == (0, 0, [1, 8])


def test_negotiate_comes_first_and_alone() -> None:
    for data in (
        frame((Header(SMB2_ECHO, 0), EchoRequest())),
        frame((Header(SMB2_NEGOTIATE, 1), NegotiateRequest([0x0202]))),
        frame((Header(0x0C, 0), EchoRequest())),
    ):
        with pytest.raises(RemoteProtocolError):
            make_server().receive_data(data)


def test_the_time_of_the_server_is_told() -> None:
    _, message = negotiate(make_server(now_filetime=lambda: 133_500_000_000_000_000), NegotiateRequest([0x0210]))
    assert isinstance(message, NegotiateResponse)
    assert message.system_time == 133_500_000_000_000_000


@pytest.mark.parametrize("blob", [b"", b"a", bytes(range(90))])
def test_each_answer_to_a_negotiate_has_its_own_time_and_salt(blob: bytes) -> None:
    clock = iter((5, 6, 7))
    terms = Terms(server_guid=GUID, now_filetime=lambda: next(clock), security_blob=blob)
    random = counted_random()
    offers = (
        (PREAUTH, NegotiateContext(2, EncryptionCapabilities([2, 1]).pack())),
        (PREAUTH, NegotiateContext(2, EncryptionCapabilities([2, 1]).pack())),
        (PREAUTH, NegotiateContext(8, SigningCapabilities([1]).pack())),
    )
    answers = [negotiate(ServerConnection(terms, random), NegotiateRequest([0x0311], contexts=[*o]))[1] for o in offers]
    salts = []
    for answer, time, others in zip(
        answers,
        (5, 6, 7),
        ([(2, EncryptionCapabilities([2]).pack())], [(2, EncryptionCapabilities([2]).pack())], [(8, b"\1\0\1\0")]),
        strict=True,
    ):
        assert isinstance(answer, NegotiateResponse)
        assert (answer.system_time, answer.security_buffer, answer.server_guid) == (time, blob, GUID)
        preauth, *rest = answer.contexts
        assert [(context.type, context.data) for context in rest] == others
        found = PreauthIntegrityCapabilities.unpack(preauth.data)
        assert (preauth.type, found.hash_algorithms, len(found.salt)) == (1, [1], 32)
        salts.append(found.salt)
    known = counted_random()
    assert salts == [known(32) for _ in salts]


@given(st.lists(st.integers(32, 3000), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_frames_arrive_whole_however_they_are_put_in(sizes: list[int], random: Random) -> None:
    """By `take` and in place; and one that has begun has no more memory than four times what has come of it."""
    server = make_server()
    frames = [random.randbytes(size) for size in sizes]
    stream = memoryview(b"".join(len(each).to_bytes(4, "big") + each for each in frames))
    while stream:
        count = random.choice([1, 2, 3, 5, 100, 1000, 5000])
        if (rest := server.receive_buffer()) is not None:
            count = min(count, len(rest), len(stream))
            rest[:count] = stream[:count]
            server.received(count)
        else:
            server.take(stream[:count])
        stream = stream[count:]
        assert len(server._frame or b"") <= 4 * server._filled
    assert server.receive_buffer() is None
    assert [bytes(each) for each in server.arrived] == frames  # type: ignore[arg-type]


@pytest.mark.parametrize("beginning", [b"", b"\0\xff\xff\xff", bytes.fromhex("00000020") + bytes(32)])
def test_what_pours_behind_something_that_is_no_frame_is_not_looked_at(beginning: bytes) -> None:
    """65,536 frames of nothing fit into what one read may bring; and more comes before the connection is ended."""
    server = make_server()
    assert steps(lambda: server.take(beginning + bytes(256 * 1024))) < 500
    assert steps(lambda: server.take(bytes(256 * 1024))) < 50
    assert len(server.arrived) <= 2
    with pytest.raises(MalformedMessage):
        server.receive_data(b"")


def test_the_rest_of_a_long_frame_is_put_where_it_stays() -> None:
    server = make_server()
    server.take((60000).to_bytes(4, "big") + bytes(14999))
    assert server.receive_buffer() is None
    server.take(bytes(1))
    rest = server.receive_buffer()
    assert rest is not None
    assert len(rest) == 45000
    rest[-1:] = b"x"
    server.received(45000)
    (frame,) = server.arrived
    assert isinstance(frame, memoryview)
    assert frame.obj is rest.obj
    assert bytes(frame) == bytes(59999) + b"x"
