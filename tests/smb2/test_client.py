"""What a client believes, and what it does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lanman.codes import (
    STATUS_ACCESS_DENIED,
    STATUS_CANCELLED,
    STATUS_LOGON_FAILURE,
    STATUS_NETWORK_SESSION_EXPIRED,
    STATUS_PENDING,
    STATUS_SUCCESS,
    STATUS_USER_SESSION_DELETED,
)
from lanman.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from lanman.smb2.client import ClientConnection, OplockBreakReceived, PendingReceived, ResponseReceived
from lanman.smb2.constants import (
    ANY_FILE_ID,
    SMB2_ECHO,
    SMB2_FLAGS_ASYNC_COMMAND,
    SMB2_FLAGS_SERVER_TO_REDIR,
    SMB2_FLAGS_SIGNED,
    SMB2_READ,
    SMB2_SESSION_SETUP,
    Dialect,
)
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    CloseRequest,
    CloseResponse,
    CreateRequest,
    CreateResponse,
    EchoRequest,
    EchoResponse,
    EncryptionCapabilities,
    ErrorResponse,
    Message,
    NegotiateContext,
    NegotiateResponse,
    OplockBreak,
    PreauthIntegrityCapabilities,
    ReadRequest,
    ReadResponse,
    SessionSetupRequest,
    SessionSetupResponse,
    SigningCapabilities,
    TreeConnectRequest,
    TreeConnectResponse,
    WriteRequest,
)
from lanman.smb2.server import CancelReceived, Request, RequestsReceived, Response, ServerConnection
from support.smb2_pair import Answering, answers, ask, connected, feed, log_on, make_pair, send_compound

ID = bytes(range(16))


def reply(request: Request) -> Any:
    if isinstance(request.message, TreeConnectRequest):
        return TreeConnectResponse(1)
    if isinstance(request.message, CreateRequest):
        return CreateResponse(file_id=ID)
    if isinstance(request.message, CloseRequest):
        return CloseResponse()
    if isinstance(request.message, ReadRequest):
        return ReadResponse(b"data")
    return EchoResponse()


def frame(header: Header, message: Message) -> bytes:
    body = header.pack() + message.pack()
    return len(body).to_bytes(4, "big") + body


def sent(connection: Any) -> bytes:
    return b"".join(bytes(each) for each in connection.data_to_send())


def answer_header(command: int, message_id: int, **fields: Any) -> Header:
    return Header(command, message_id, flags=SMB2_FLAGS_SERVER_TO_REDIR | fields.pop("flags", 0), **fields)


# --- order and credits ---


def test_first_things_first() -> None:
    client, server = make_pair()
    with pytest.raises(LocalProtocolError, match="nothing has been negotiated"):
        client.send(EchoRequest())
    with pytest.raises(LocalProtocolError, match="nothing has been negotiated"):
        client.build_validate_negotiate()
    client.negotiate()
    with pytest.raises(LocalProtocolError, match="sent before"):
        client.negotiate()
    feed(client, server)
    with pytest.raises(LocalProtocolError, match="ended no log-on"):
        client.establish_session(7, bytes(16), final=0)
    with pytest.raises(LocalProtocolError, match="no session"):
        client.encrypt_session(7)
    with pytest.raises(LocalProtocolError, match="no dialect"):
        ClientConnection(client_guid=ID, random=bytes, dialects=[])


def test_credits_run_out_and_come_back() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    count = client.credits
    assert count >= 32
    ids = [client.send(EchoRequest(), session_id=session_id) for _ in range(count)]
    assert ids == list(range(ids[0], ids[0] + count))
    assert not client.can_send(EchoRequest())
    with pytest.raises(LocalProtocolError, match="costs 1 credits, 0"):
        client.send(EchoRequest(), session_id=session_id)
    assert len(answers(feed(client, server, answer))) == count
    assert client.credits >= count


def test_a_large_request_costs_several_ids() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    first = client.send(ReadRequest(length=3 * 65536 + 1, file_id=ID), session_id=session_id)
    second = client.send(EchoRequest(), session_id=session_id)
    assert second - first == 4
    assert [each.message_id for each in answers(feed(client, server, answer))] == [first, second]
    assert not client.can_send(ReadRequest(length=8 * 1024 * 1024 * 16))


def test_in_2_0_2_everything_costs_one() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer, client={"dialects": [Dialect.SMB_2_0_2]})
    assert client.charge(WriteRequest(bytes(65536))) == 1
    ask(client, server, answer, ReadRequest(length=65536, file_id=ID), session_id=session_id)
    event = answer.events[-1]
    assert isinstance(event, RequestsReceived)
    assert event.requests[0].credit_charge == 0


# --- compounds, interim answers, cancelling ---


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_related_compound(encrypt: bool) -> None:
    answer = Answering(reply, encrypt=encrypt)
    client, server, session_id = connected(answer, encrypt=encrypt)
    chain: list[Message] = [
        CreateRequest(name="x"),
        ReadRequest(length=5, file_id=ANY_FILE_ID),
        CloseRequest(0, ANY_FILE_ID),
    ]
    ids = send_compound(client, chain, session_id=session_id, tree_id=5)
    found = answers(feed(client, server, answer))
    assert [each.message_id for each in found] == ids
    assert [type(each.message) for each in found] == [CreateResponse, ReadResponse, CloseResponse]
    event = answer.events[-1]
    assert isinstance(event, RequestsReceived)
    assert [(each.related, each.session_id, each.tree_id) for each in event.requests] == [
        (False, session_id, 5),
        (True, session_id, 5),
        (True, session_id, 5),
    ]
    assert all(each.encrypted is encrypt and each.signed is not encrypt for each in event.requests)


def test_an_unrelated_compound_keeps_its_ids() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    send_compound(client, [EchoRequest(), EchoRequest()], session_id=session_id, related=False)
    assert len(answers(feed(client, server, answer))) == 2
    event = answer.events[-1]
    assert isinstance(event, RequestsReceived)
    assert not any(each.related for each in event.requests)
    with pytest.raises(LocalProtocolError, match="needs messages"):
        send_compound(client, [], session_id=session_id)
    with pytest.raises(LocalProtocolError, match="credits for all"):
        send_compound(client, [ReadRequest(length=64 * 1024 * 1024)] * 2, session_id=session_id)


@pytest.mark.parametrize("encrypt", [False, True])
def test_pending_cancelled_and_answered(encrypt: bool) -> None:
    waiting: list[Request] = []

    def hold(server: ServerConnection, event: Any) -> None:
        if isinstance(event, CancelReceived):
            assert (event.message_id, event.async_id) == (waiting[0].message_id, waiting[0].async_id)
            server.respond([Response(waiting[0], STATUS_CANCELLED)])
        elif isinstance(event, RequestsReceived) and isinstance(event.requests[0].message, ReadRequest):
            waiting.append(event.requests[0])
            async_id = server.pending(event.requests[0])
            assert async_id == server.pending(event.requests[0]) == event.requests[0].async_id != 0
        else:
            answer(server, event)

    answer = Answering(reply, encrypt=encrypt)
    client, server, session_id = connected(answer, encrypt=encrypt)
    message_id = client.send(ReadRequest(length=5, file_id=ID), session_id=session_id)
    credits = client.credits
    (told,) = feed(client, server, hold)
    assert told == PendingReceived(message_id, waiting[0].async_id)
    assert client.credits > credits
    client.cancel(message_id)
    client.cancel(message_id)
    (response,) = answers(feed(client, server, hold))
    assert (response.message_id, response.status) == (message_id, STATUS_CANCELLED)
    assert response.header.flags & SMB2_FLAGS_ASYNC_COMMAND
    assert bool(response.header.flags & SMB2_FLAGS_SIGNED) is not encrypt
    client.cancel(message_id)
    assert not client.data_to_send()
    assert ask(client, server, answer, EchoRequest(), session_id=session_id).status == STATUS_SUCCESS


def test_cancelling_what_was_never_told_to_wait() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    message_id = client.send(EchoRequest(), session_id=session_id)
    client.cancel(message_id)
    events = server.receive_data(sent(client))
    assert [type(each) for each in events] == [RequestsReceived, CancelReceived]
    assert events[1] == CancelReceived(message_id, 0)


def test_an_oplock_break_comes_unsolicited() -> None:
    for encrypt in (False, True):
        answer = Answering(reply, encrypt=encrypt)
        client, server, session_id = connected(answer, encrypt=encrypt)
        server.send_oplock_break(OplockBreak(1, ID), session_id=session_id)
        (event,) = feed(client, server)
        assert isinstance(event, OplockBreakReceived)
        assert event.message == OplockBreak(1, ID)


# --- sessions ---


def test_two_sessions_on_one_connection() -> None:
    answer = Answering(reply)
    client, server, first = connected(answer)
    answer.key = b"another key 1234"
    second = log_on(client, server, answer)
    assert first != second
    for session_id in (first, second):
        assert ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=session_id).status == STATUS_SUCCESS
    server.forget_session(first)
    gone = Answering(lambda request: (STATUS_USER_SESSION_DELETED, None))
    response = ask(client, server, gone, EchoRequest(), session_id=first)
    # As at Windows and Samba: the flag of the request, and a signature of no key.
    assert response.status == STATUS_USER_SESSION_DELETED
    assert response.header.flags & SMB2_FLAGS_SIGNED
    assert ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=second).status == STATUS_SUCCESS
    client.forget_session(first)
    assert set(client._channels) == {second}


def test_two_log_ons_at_once_have_a_hash_each() -> None:
    answer = Answering(reply)
    client, server = make_pair()
    client.negotiate()
    feed(client, server)
    for _ in range(2):
        client.send(SessionSetupRequest(0, 2, 0, 0, b"first"))
    started = [each.header.session_id for each in answers(feed(client, server, answer))]
    for session_id in reversed(started):
        response = ask(client, server, answer, SessionSetupRequest(0, 2, 0, 0, b"last"), session_id=session_id)
        client.establish_session(session_id, answer.key, final=response.message_id)
    for session_id in started:
        assert ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=session_id).status == STATUS_SUCCESS


def test_a_refused_log_on_leaves_nothing_behind() -> None:
    answer = Answering(reply, status=STATUS_LOGON_FAILURE)
    client, server = make_pair()
    client.negotiate()
    feed(client, server)
    for _ in range(3):
        first = ask(client, server, answer, SessionSetupRequest(0, 2, 0, 0, b"first"))
        session_id = first.header.session_id
        last = ask(client, server, answer, SessionSetupRequest(0, 2, 0, 0, b"last"), session_id=session_id)
        assert last.status == STATUS_LOGON_FAILURE
        assert isinstance(last.message, ErrorResponse)
    assert not client._logons
    assert not server._logons
    answer.status = STATUS_SUCCESS
    session_id = log_on(client, server, answer)
    assert ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=session_id).status == STATUS_SUCCESS


def test_a_renewed_log_on_keeps_the_keys() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    answer.key = b"the renewed one!"
    assert log_on(client, server, answer, session_id=session_id) == session_id
    event = answer.events[-1]
    assert isinstance(event, RequestsReceived)
    assert event.requests[0].signed
    assert ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=session_id).status == STATUS_SUCCESS
    assert not client._finals


def test_an_anonymous_session_is_not_signed() -> None:
    answer = Answering(reply, sign=False)
    client, server, session_id = connected(answer, anonymous_or_guest=True)
    response = ask(client, server, answer, TreeConnectRequest(0, "x"), session_id=session_id)
    assert response.status == STATUS_SUCCESS
    assert not response.header.flags & SMB2_FLAGS_SIGNED


def test_an_anonymous_session_cannot_be_encrypted() -> None:
    with pytest.raises(RemoteProtocolError, match="no key to encrypt"):
        connected(Answering(reply, sign=False), client={"encrypt": True}, anonymous_or_guest=True)


def test_encryption_that_the_server_cannot() -> None:
    with pytest.raises(RemoteProtocolError, match="the server cannot"):
        connected(Answering(reply), client={"encrypt": True}, server={"encryption": "off"})


def test_a_share_may_want_encryption() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    client.encrypt_session(session_id)
    ask(client, server, answer, EchoRequest(), session_id=session_id)
    event = answer.events[-1]
    assert isinstance(event, RequestsReceived)
    assert event.requests[0].encrypted
    client, _, session_id = connected(answer, server={"encryption": "off"})
    with pytest.raises(RemoteProtocolError, match="without having negotiated"):
        client.encrypt_session(session_id)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_another_key_is_found_out_at_once(dialect: Dialect) -> None:
    answer = Answering(reply)
    client, server = make_pair(client={"dialects": [dialect]})
    client.negotiate()
    feed(client, server)
    first = ask(client, server, answer, SessionSetupRequest(0, 2, 0, 0, b"first"))
    session_id = first.header.session_id
    last = ask(client, server, answer, SessionSetupRequest(0, 2, 0, 0, b"last"), session_id=session_id)
    with pytest.raises(RemoteProtocolError, match="signed wrongly"):
        client.establish_session(session_id, b"wrong key 123456", final=last.message_id)
    with pytest.raises(RemoteProtocolError, match="is dead"):
        client.receive_data(b"")


def test_on_3_1_1_the_last_answer_must_be_signed() -> None:
    answer = Answering(reply, sign=False)
    with pytest.raises(RemoteProtocolError, match="not signed"):
        connected(answer)
    connected(answer, client={"dialects": [Dialect.SMB_2_1]})


# --- a man in the middle ---


@pytest.mark.parametrize(
    ("dialect", "encrypt"),
    [(dialect, encrypt) for dialect in Dialect for encrypt in (False, True) if dialect >= 0x0300 or not encrypt],
)
def test_a_changed_byte_anywhere_ends_the_connection(dialect: Dialect, encrypt: bool) -> None:
    answer = Answering(reply, encrypt=encrypt)
    client, server, session_id = connected(answer, client={"dialects": [dialect]}, encrypt=encrypt)
    client.send(ReadRequest(length=5, file_id=ID), session_id=session_id, tree_id=7)
    for event in server.receive_data(sent(client)):
        answer(server, event)
    good = sent(server)
    for at in range(4, len(good)):
        victim = copy.deepcopy(client)
        bad = bytearray(good)
        bad[at] ^= 0x01
        with pytest.raises(RemoteProtocolError):
            victim.receive_data(bytes(bad))
    assert [event.message for event in answers(client.receive_data(good))] == [ReadResponse(b"data")]


def test_round_trips_of_a_log_on_are_protected_on_3_1_1() -> None:
    """A change anywhere in the negotiation or a round trip shows at the last answer, or before."""

    def attempt(which: int, at: int, mask: int) -> str:
        answer = Answering(reply)
        client, server = make_pair()
        count = 0

        def carry(sender: Any, receiver: Any) -> list[Any]:
            nonlocal count
            data = sent(sender)
            if data and count == which:
                at_here = 4 + at % (len(data) - 4)
                data = data[:at_here] + bytes([data[at_here] ^ mask]) + data[at_here + 1 :]
            count += bool(data)
            return list(receiver.receive_data(data)) if data else []

        def turn() -> list[ResponseReceived]:
            for event in carry(client, server):
                answer(server, event)
            return answers(carry(server, client))

        try:
            client.negotiate()
            turn()
            if client.negotiated is None:
                return "refused"
            client.send(SessionSetupRequest(0, 2, 0, 0, b"first"))
            first = next(iter(turn()), None)
            if first is None or isinstance(first.message, ErrorResponse):
                return "refused"
            client.send(SessionSetupRequest(0, 2, 0, 0, b"last"), session_id=first.header.session_id)
            last = next(iter(turn()), None)
            if last is None or last.status != STATUS_SUCCESS:
                return "refused"
            client.establish_session(last.header.session_id, answer.key, final=last.message_id)
            if client.negotiated.dialect < Dialect.SMB_3_1_1:
                # A weaker dialect was made of it. That is what validation is for.
                asked = bytes(client.build_validate_negotiate().input)
                return "fooled" if server.validate_negotiate_info(asked) else "found out"
        except RemoteProtocolError:
            return "found out"
        return "fooled"

    assert attempt(99, 0, 1) == "fooled"  # nothing was changed
    for which in range(6):
        for at in range(0, 260):
            assert attempt(which, at, 1 << at % 8) != "fooled", (which, at)


def test_answers_to_no_request() -> None:
    cases: list[tuple[Header, Message]] = [
        (answer_header(SMB2_ECHO, 99), EchoResponse()),
        (answer_header(SMB2_READ, 3), ReadResponse(b"")),
        (Header(SMB2_ECHO, 3), EchoResponse()),  # not marked as an answer
        (answer_header(SMB2_ECHO, 3, session_id=1), EchoResponse()),
        (answer_header(SMB2_ECHO, 3), EchoResponse()),  # not signed
        (answer_header(SMB2_ECHO, 3, flags=SMB2_FLAGS_SIGNED), EchoResponse()),
        (answer_header(SMB2_ECHO, 3, status=STATUS_ACCESS_DENIED), ErrorResponse()),
        (answer_header(SMB2_ECHO, 3, status=STATUS_PENDING), ErrorResponse()),  # without an AsyncId
        (answer_header(SMB2_ECHO, 0xFFFFFFFFFFFFFFFF), EchoResponse()),
    ]
    for header, message in cases:
        client, _, session_id = connected(Answering(reply))
        assert client.send(EchoRequest(), session_id=session_id) == 3
        header.session_id = header.session_id or session_id
        with pytest.raises(RemoteProtocolError):
            client.receive_data(frame(header, message))
        with pytest.raises(LocalProtocolError):
            client.send(EchoRequest(), session_id=session_id)


@pytest.mark.parametrize("status", [STATUS_USER_SESSION_DELETED, STATUS_NETWORK_SESSION_EXPIRED])
def test_a_server_without_keys_may_say_so(status: int) -> None:
    for encrypt in (False, True):
        client, _, session_id = connected(Answering(reply, encrypt=encrypt), encrypt=encrypt)
        message_id = client.send(EchoRequest(), session_id=session_id)
        header = answer_header(SMB2_ECHO, message_id, status=status, session_id=session_id)
        (event,) = answers(client.receive_data(frame(header, ErrorResponse())))
        assert event.status == status


def test_an_answer_in_the_clear_to_what_was_encrypted() -> None:
    answer = Answering(reply)
    client, server, session_id = connected(answer)
    message_id = client.send(EchoRequest(), session_id=session_id)
    for event in server.receive_data(sent(client)):
        answer(server, event)
    clear = sent(server)
    assert clear[4:8] == b"\xfeSMB"
    client._pending[message_id].encrypted = True
    with pytest.raises(RemoteProtocolError, match="is not encrypted"):
        client.receive_data(clear)


def test_one_session_may_not_answer_for_another() -> None:
    answer = Answering(reply, encrypt=True)
    client, server, first = connected(answer, encrypt=True)
    second = log_on(client, server, answer, encrypt=True)
    message_id = client.send(EchoRequest(), session_id=first)
    sent(client)
    other = server._channels[second].keys.encryptor
    assert other is not None
    header = answer_header(SMB2_ECHO, message_id, session_id=first)
    encrypted = b"".join(bytes(each) for each in other.encrypt(header.pack() + EchoResponse().pack()))
    with pytest.raises(RemoteProtocolError, match="another session's key"):
        client.receive_data(len(encrypted).to_bytes(4, "big") + encrypted)


def test_a_final_answer_for_a_session_that_is_there() -> None:
    client, _, session_id = connected(Answering(reply))
    message_id = client.send(SessionSetupRequest(0, 2, 0, 0, b"first"))
    header = answer_header(SMB2_SESSION_SETUP, message_id, session_id=session_id)
    with pytest.raises(RemoteProtocolError, match="is taken"):
        client.receive_data(frame(header, SessionSetupResponse(0, b"")))


# --- NEGOTIATE ---

PREAUTH = NegotiateContext(1, PreauthIntegrityCapabilities([1], b"salt").pack())


@pytest.mark.parametrize(
    "response",
    [
        NegotiateResponse(0x02FF),
        NegotiateResponse(0x0311),
        NegotiateResponse(0x0311, contexts=[PREAUTH, PREAUTH]),
        NegotiateResponse(0x0311, contexts=[NegotiateContext(1, PreauthIntegrityCapabilities([1, 1], b"").pack())]),
        NegotiateResponse(0x0311, contexts=[NegotiateContext(1, PreauthIntegrityCapabilities([2], b"").pack())]),
        NegotiateResponse(0x0311, contexts=[PREAUTH, NegotiateContext(2, EncryptionCapabilities([9]).pack())]),
        NegotiateResponse(0x0311, contexts=[PREAUTH, NegotiateContext(2, EncryptionCapabilities([1, 2]).pack())]),
        NegotiateResponse(0x0311, contexts=[PREAUTH, NegotiateContext(2, b"")]),
        NegotiateResponse(0x0311, contexts=[PREAUTH, NegotiateContext(8, SigningCapabilities([7]).pack())]),
        NegotiateResponse(0x0302, max_read_size=100),
    ],
)
def test_a_server_that_chooses_what_was_not_offered(response: NegotiateResponse) -> None:
    client, _ = make_pair()
    client.negotiate()
    with pytest.raises(RemoteProtocolError):
        client.receive_data(frame(answer_header(0, 0, credits=1), response))


def test_a_dialect_that_was_not_offered() -> None:
    client, _ = make_pair(client={"dialects": [Dialect.SMB_3_1_1, Dialect.SMB_2_1]})
    client.negotiate()
    with pytest.raises(RemoteProtocolError, match="0x0302, which was not offered"):
        client.receive_data(frame(answer_header(0, 0, credits=1), NegotiateResponse(0x0302)))


def test_a_server_that_refuses_to_negotiate() -> None:
    client, server = make_pair(client={"dialects": [Dialect.SMB_2_0_2]}, server={"dialects": [Dialect.SMB_3_1_1]})
    client.negotiate()
    (event,) = answers(feed(client, server))
    assert event.status == 0xC00000BB
    assert client.negotiated is None


def test_what_is_no_smb_at_all() -> None:
    for data in (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\0\0\0\x24\xffSMB" + bytes(32),
        b"\0\0\0\4abcd",
        b"\0\0\0\0",
    ):
        client, _ = make_pair()
        client.negotiate()
        with pytest.raises(MalformedMessage):
            client.receive_data(data)
    client, _ = make_pair()
    with pytest.raises(RemoteProtocolError, match="compress"):
        client.receive_data(b"\0\0\0\x24\xfcSMB" + bytes(32))


def test_a_frame_has_its_limit() -> None:
    client, _ = make_pair()
    with pytest.raises(MalformedMessage, match="69632 are allowed"):
        client.receive_data((0x11001).to_bytes(4, "big"))
    client, _, _ = connected(Answering(reply))
    assert client.receive_data((0x11001).to_bytes(4, "big")) == []
    client, _, _ = connected(Answering(reply))
    with pytest.raises(MalformedMessage, match="are allowed"):
        client.receive_data((9 * 1024 * 1024).to_bytes(4, "big"))


def test_the_name_of_the_server_is_told() -> None:
    client, _ = make_pair(client={"server_name": "fs1"})
    client.negotiate()
    assert "fs1".encode("utf-16-le") in sent(client)
