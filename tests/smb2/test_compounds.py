"""Requests that a client sends in one frame (MS-SMB2 3.2.4.1.4), and whatever a server may answer to them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.codes import STATUS_SUCCESS
from lanman.errors import LocalProtocolError, RemoteProtocolError
from lanman.smb2.client import ClientConnection, PendingReceived, ResponseReceived
from lanman.smb2.constants import (
    ANY_FILE_ID,
    FSCTL_PIPE_TRANSCEIVE,
    RELATED_TREE_ID,
    SMB2_FLAGS_RELATED_OPERATIONS,
    SMB2_FLAGS_SIGNED,
)
from lanman.smb2.header import HEADER_SIZE, Header
from lanman.smb2.messages import (
    CreateRequest,
    CreateResponse,
    IoctlRequest,
    IoctlResponse,
    Message,
    TreeConnectRequest,
    TreeConnectResponse,
)
from lanman.smb2.server import Request, RequestsReceived, Response, ServerConnection
from support.smb2_pair import Answering, connected

REQUESTS: list[Message] = [
    TreeConnectRequest(0, r"\\server\IPC$"),
    CreateRequest(name="srvsvc"),
    IoctlRequest(FSCTL_PIPE_TRANSCEIVE, ANY_FILE_ID, b"bind", max_output_response=1024),
]
ANSWERS: list[Message] = [
    TreeConnectResponse(2),
    CreateResponse(file_id=bytes(range(16))),
    IoctlResponse(FSCTL_PIPE_TRANSCEIVE, bytes(range(16)), output=b"bind_ack"),
]


def asked(**options: Any) -> tuple[ClientConnection, ServerConnection, list[int], bytes]:
    """A client that has sent the compound; its message ids and the frame."""
    client, server, session_id = connected(Answering(), **options)
    message_ids = client.send_compound(REQUESTS, session_id=session_id)
    return client, server, message_ids, b"".join(map(bytes, client.data_to_send()))


def headers(frame: bytes) -> list[Header]:
    """The headers of the messages in a frame with its 4 bytes of length."""
    found, rest = [], memoryview(frame)[4:]
    while True:
        found.append(Header.unpack(rest))
        if not found[-1].next_command:
            return found
        rest = rest[found[-1].next_command :]


def requests_of(server: ServerConnection, frame: bytes) -> list[Request]:
    """What arrives at the server, judged and read."""
    (received,) = server.receive_data(frame)
    assert isinstance(received, RequestsReceived)
    for request in received.requests:
        assert server.begin(request) == STATUS_SUCCESS
    return list(received.requests)


def test_one_frame_whose_requests_go_on_from_each_other() -> None:
    client, _, message_ids, frame = asked()
    first, second, third = headers(frame)
    assert [each.message_id for each in (first, second, third)] == message_ids
    assert message_ids == list(range(message_ids[0], message_ids[0] + 3))
    assert [bool(each.flags & SMB2_FLAGS_RELATED_OPERATIONS) for each in (first, second, third)] == [False, True, True]
    assert [each.tree_id for each in (first, second, third)] == [0, RELATED_TREE_ID, RELATED_TREE_ID]
    assert len({each.session_id for each in (first, second, third)}) == 1
    assert all(each.flags & SMB2_FLAGS_SIGNED for each in (first, second, third))
    assert first.next_command % 8 == second.next_command % 8 == 0
    assert third.next_command == 0
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert client.credits >= 0


def test_on_a_tree_connect_that_is_there_each_names_it() -> None:
    client, _, session_id = connected(Answering())
    client.send_compound(REQUESTS[1:], session_id=session_id, tree_id=7)
    assert [each.tree_id for each in headers(b"".join(map(bytes, client.data_to_send())))] == [7, 7]


@pytest.mark.parametrize("options", [{}, {"encrypt": True}, {"anonymous_or_guest": True}], ids=str)
def test_each_is_protected_as_its_session_is(options: dict[str, Any]) -> None:
    answer = Answering(encrypt=options.get("encrypt", False), sign="anonymous_or_guest" not in options)
    client, server, session_id = connected(answer, **options)
    message_ids = client.send_compound(REQUESTS, session_id=session_id)
    frame = b"".join(map(bytes, client.data_to_send()))
    assert (b"srvsvc".decode().encode("utf-16-le") in frame) is not options.get("encrypt", False)
    requests = requests_of(server, frame)
    assert [request.message for request in requests] == REQUESTS
    assert [request.encrypted for request in requests] == [options.get("encrypt", False)] * 3
    server.respond([Response(request, 0, body) for request, body in zip(requests, ANSWERS, strict=True)])
    events = [event for data in server.data_to_send() for event in client.receive_data(data)]
    assert [event.message_id for event in events if isinstance(event, ResponseReceived)] == message_ids


def test_answers_may_come_alone_late_and_in_any_order() -> None:
    client, server, message_ids, frame = asked()
    first, second, third = requests_of(server, frame)
    server.pending(third)
    server.respond([Response(second, 0, ANSWERS[1])])
    server.respond([Response(first, 0, ANSWERS[0], tree_id=9)])
    server.respond([Response(third, 0, ANSWERS[2])])
    events = [event for data in server.data_to_send() for event in client.receive_data(data)]
    assert [type(event) for event in events] == [PendingReceived] + [ResponseReceived] * 3
    answers = [event for event in events if isinstance(event, ResponseReceived)]
    assert [each.message_id for each in answers] == [message_ids[1], message_ids[0], message_ids[2]]
    assert [each.message for each in answers] == [ANSWERS[1], ANSWERS[0], ANSWERS[2]]
    assert answers[1].header.tree_id == 9


def test_it_takes_credits_for_all_of_it() -> None:
    client, _, session_id = connected(Answering())
    client._credits = 2
    assert not client.can_send_all(REQUESTS)
    with pytest.raises(LocalProtocolError, match="3 requests, 2 credits"):
        client.send_compound(REQUESTS, session_id=session_id)
    with pytest.raises(LocalProtocolError):
        client.send_compound([], session_id=session_id)
    assert client.data_to_send() == []
    assert client.credits == 2


# --- servers that answer wrongly

Answer = tuple[Header, bytes]


def answered(*, anonymous: bool) -> tuple[ClientConnection, list[int], list[Answer]]:
    """A client that waits, and the answers that a server would send, as header and body without signatures."""
    options: dict[str, Any] = {"anonymous_or_guest": True} if anonymous else {}
    client, server, session_id = connected(Answering(sign=not anonymous), **options)
    message_ids = client.send_compound(REQUESTS, session_id=session_id)
    requests = requests_of(server, b"".join(map(bytes, client.data_to_send())))
    found = []
    for request, body in zip(requests, ANSWERS, strict=True):
        server.respond([Response(request, 0, body)])
        frame = b"".join(map(bytes, server.data_to_send()))
        found.append((Header.unpack(memoryview(frame)[4:]), frame[4 + HEADER_SIZE :]))
    return client, message_ids, found


def framed(answers: list[Answer], skew: int = 0) -> bytes:
    """The answers in one frame; the first NextCommand is off by `skew`."""
    frame = b""
    for number, (header, body) in enumerate(answers):
        header.next_command = 0
        if number < len(answers) - 1:
            body += bytes(-len(body) % 8)
            header.next_command = max(0, HEADER_SIZE + len(body) + (0 if number else skew))
        frame += header.pack() + body
    return len(frame).to_bytes(4, "big") + frame


def test_fewer_answers_than_requests_leave_the_others_waiting() -> None:
    client, message_ids, found = answered(anonymous=True)
    events = client.receive_data(framed(found[:2]))
    assert [event.message_id for event in events if isinstance(event, ResponseReceived)] == message_ids[:2]
    assert len(client.receive_data(framed(found[2:]))) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found + found[:1],
        lambda found: [*found, (Header(3, 4711, found[0][0].session_id, flags=1), found[0][1])],
        lambda found: [(Header(14, found[0][0].message_id, found[0][0].session_id, flags=1), b"")],
        lambda found: [(Header(3, found[0][0].message_id, 0x4711, flags=1), found[0][1])],
        lambda found: [(Header(3, found[0][0].message_id, found[0][0].session_id, flags=0), found[0][1])],
        lambda found: [(Header(3, found[0][0].message_id, found[0][0].session_id, flags=1), b"\x10")],
    ],
    ids=["twice", "never sent", "another command", "another session", "a request", "cut short"],
)
def test_an_answer_to_nothing_ends_the_connection(change: Any) -> None:
    client, _, found = answered(anonymous=True)
    with pytest.raises(RemoteProtocolError):
        client.receive_data(framed(change(found)))
    with pytest.raises(RemoteProtocolError, match="dead"):
        client.receive_data(b"")


@pytest.mark.parametrize("skew", [1, 4, -8, -HEADER_SIZE, 8, 1 << 16])
def test_a_next_command_that_leads_elsewhere_ends_the_connection(skew: int) -> None:
    client, _, found = answered(anonymous=True)
    with pytest.raises(RemoteProtocolError):
        client.receive_data(framed(found, skew))


def test_the_flag_of_related_answers_proves_nothing_and_may_be_missing() -> None:
    """smbd 4.17 leaves it out of an answer that came late."""
    client, message_ids, found = answered(anonymous=True)
    for header, _ in found:
        header.flags ^= SMB2_FLAGS_RELATED_OPERATIONS
    events = client.receive_data(framed(found))
    assert [event.message_id for event in events if isinstance(event, ResponseReceived)] == message_ids


@given(st.data())
def test_whatever_is_answered_it_is_an_answer_or_an_error(data: st.DataObject) -> None:
    anonymous = data.draw(st.booleans())
    client, message_ids, found = answered(anonymous=anonymous)
    chosen = [found[at] for at in data.draw(st.lists(st.integers(0, 2), max_size=6))]
    frame = bytearray(framed(chosen, data.draw(st.sampled_from((0, 0, 0, -8, 8, 3)))))
    for at in data.draw(st.lists(st.integers(0, max(len(frame) - 1, 0)), max_size=4)):
        if frame:
            frame[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        frame[:4] = struct.pack(">I", len(frame) - 4)
    try:
        events = client.receive_data(bytes(frame))
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            client.receive_data(b"")
        return
    answers = [event for event in events if isinstance(event, ResponseReceived)]
    assert len({each.message_id for each in answers}) == len(answers)
    assert {each.message_id for each in answers} <= set(message_ids)
    if not anonymous:  # only what the server has signed
        for each in answers:
            assert each.status or each.message == ANSWERS[message_ids.index(each.message_id)]
