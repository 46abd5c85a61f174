"""Any bytes, any chunks, any change, the wire cut anywhere: events or a RemoteProtocolError, nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.codes import STATUS_SUCCESS
from lanman.errors import RemoteProtocolError
from lanman.smb2.client import ClientConnection
from lanman.smb2.connection import Connection
from lanman.smb2.constants import Dialect
from lanman.smb2.messages import (
    EchoRequest,
    EchoResponse,
    LogoffRequest,
    LogoffResponse,
    ReadRequest,
    ReadResponse,
    TreeConnectRequest,
    TreeConnectResponse,
)
from lanman.smb2.server import Request, ServerConnection
from support.smb2_pair import Answering, CutWire, Wire, ask, begun, connected, make_pair


def reply(request: Request) -> Any:
    if isinstance(request.message, TreeConnectRequest):
        return TreeConnectResponse(1)
    if isinstance(request.message, ReadRequest):
        return ReadResponse(bytes(request.message.length))
    if isinstance(request.message, LogoffRequest):
        return LogoffResponse()
    return EchoResponse()


def journey(wire: Wire, *, encrypt: bool = False, dialect: Dialect = Dialect.SMB_3_1_1) -> None:
    """From NEGOTIATE to LOGOFF. Raises CutWire where the wire is cut."""
    answer = Answering(reply, encrypt=encrypt)
    client, server, session_id = connected(answer, wire, client={"dialects": [dialect]}, encrypt=encrypt)
    for message in (TreeConnectRequest(0, "x"), EchoRequest(), ReadRequest(length=5000), LogoffRequest()):
        assert ask(client, server, answer, message, session_id=session_id, wire=wire).status == STATUS_SUCCESS


STREAMS: list[tuple[bytes, bytes]] = []
for encrypted in (False, True):
    whole = Wire()
    journey(whole, encrypt=encrypted)
    STREAMS.append((bytes(whole.to_server), bytes(whole.to_client)))


def poke(connection: Connection, data: bytes) -> bool:
    """Give a core bytes; whether it still lives. Anything but events or RemoteProtocolError fails the test."""
    try:
        events = begun(connection, data)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            connection.receive_data(b"x")
        return False
    answer = Answering(reply)
    if isinstance(connection, ServerConnection):
        for event in events:
            answer(connection, event)
    connection.data_to_send()
    return True


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_wire_cut_after_each_write(dialect: Dialect) -> None:
    whole = Wire()
    journey(whole, dialect=dialect)
    assert whole.writes == 14
    for count in range(whole.writes):
        with pytest.raises(CutWire):
            journey(Wire(cut_after=count), dialect=dialect)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 40), max_size=200), st.booleans())
def test_chunks_do_not_matter(chunks: list[int], encrypt: bool) -> None:
    journey(Wire(chunks=chunks), encrypt=encrypt)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=120), max_size=4), st.booleans())
def test_any_bytes_into_fresh_cores(pieces: list[bytes], framed: bool) -> None:
    client, server = make_pair()
    client.negotiate()
    for connection in (client, server):
        for piece in pieces:
            data = len(piece).to_bytes(4, "big") + piece if framed else piece
            if not poke(connection, data):
                break


@settings(max_examples=200)
@given(st.data())
def test_any_bytes_behind_a_header(data: st.DataObject) -> None:
    """Messages that get past the header, into cores with a session, signed by nobody."""
    answer = Answering(reply, sign=False)
    client, server, session_id = connected(answer, anonymous_or_guest=True)
    client.send(EchoRequest(), session_id=session_id)
    message_id = data.draw(st.integers(0, 6))
    flags = data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 8, 9]))
    status = data.draw(st.sampled_from([0, 0x103, 0xC0000016, 0x80000005, 0xC0000022]))
    command = data.draw(st.integers(0, 20))
    head = b"\xfeSMB\x40\0" + bytes(2) + status.to_bytes(4, "little") + command.to_bytes(2, "little") + b"\1\0"
    head += flags.to_bytes(4, "little") + bytes(4) + message_id.to_bytes(8, "little") + bytes(8)
    head += data.draw(st.sampled_from([0, session_id])).to_bytes(8, "little") + bytes(16)
    body = head + data.draw(st.binary(max_size=150))
    for connection in (client, server):
        poke(connection, len(body).to_bytes(4, "big") + body)


@settings(max_examples=300)
@given(st.sampled_from(STREAMS), st.data())
def test_changed_streams(stream: tuple[bytes, bytes], data: st.DataObject) -> None:
    client, server = make_pair()
    client.negotiate()
    connections: list[tuple[ClientConnection | ServerConnection, bytes]] = [(server, stream[0]), (client, stream[1])]
    for connection, original in connections:
        changed = bytearray(original)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(changed) - 1))
            kind = data.draw(st.integers(0, 3))
            if kind == 0:
                changed[at] = data.draw(st.integers(0, 255))
            elif kind == 1:
                del changed[at : at + data.draw(st.integers(1, 20))]
            elif kind == 2:
                changed[at:at] = data.draw(st.binary(max_size=20))
            else:
                changed += changed[at : at + 200]
            if not changed:
                break
        step = data.draw(st.sampled_from([1, 7, 100, 100000]))
        for at in range(0, len(changed), step):
            if not poke(connection, bytes(changed[at : at + step])):
                break
