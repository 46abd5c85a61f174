"""The pipe by itself: messages, their pieces, and what breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.rpc.client import BindAccepted, FaultReceived, ResponseReceived, RpcClient
from lanman.rpc.srvsvc import SRVSVC, NetrRemoteTOD, NetrSessionEnum
from lanman.server import pipes
from lanman.server.association import Association
from lanman.server.pipes import NamedPipe, PipeBroken, Pipes, canonical_pipe_name
from lanman.server.rights import Caller


class Echo:
    """Answers every call that it is refused, and keeps who asked what, when."""

    def __init__(self) -> None:
        self.asked: list[tuple[Caller, Any, float]] = []

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        self.asked.append((caller, request, now))
        return request.failed(5)


def new_pipe() -> tuple[NamedPipe, Echo]:
    endpoint = Echo()
    return NamedPipe(Association([(SRVSVC, endpoint)], Caller("ann"))), endpoint


def bound_pipe() -> tuple[NamedPipe, Echo, RpcClient]:
    pipe, endpoint = new_pipe()
    rpc = RpcClient()
    pipe.write(rpc.bind(), 1)
    (event,) = rpc.receive_data(whole(pipe))
    assert isinstance(event, BindAccepted)
    return pipe, endpoint, rpc


def whole(pipe: NamedPipe) -> bytes:
    found = pipe.read(65536)
    assert found is not None
    data, more = found
    assert not more
    return bytes(data)


def test_a_call_reaches_the_endpoint_and_its_answer_the_client() -> None:
    pipe, endpoint, rpc = bound_pipe()
    request = NetrSessionEnum(None, None, "bob", 10)
    (pdu,) = rpc.call(request)
    pipe.write(pdu, 7.5)
    (event,) = rpc.receive_data(whole(pipe))
    assert isinstance(event, ResponseReceived)
    assert request.answer(event.stub).status == 5
    ((caller, asked, now),) = endpoint.asked
    assert (caller.user_name, asked.user_name, now) == ("ann", "bob", 7.5)
    assert pipe.read(10) is None


def test_messages_are_kept_apart_and_come_in_pieces() -> None:
    pipe, _, rpc = bound_pipe()
    (first,) = rpc.call(NetrRemoteTOD(None))
    (second,) = rpc.call(NetrRemoteTOD(None))
    pipe.write(first + second, 1)
    size = pipe.unread
    pieces = []
    while (found := pipe.read(10)) is not None:
        pieces.append(found)
    assert sum(len(data) for data, _ in pieces) == size
    assert [more for _, more in pieces].count(False) == 2
    assert pipe.unread == 0


def test_a_request_may_come_octet_by_octet() -> None:
    pipe, endpoint, rpc = bound_pipe()
    (pdu,) = rpc.call(NetrRemoteTOD(None))
    for octet in pdu[:-1]:
        pipe.write(bytes([octet]), 1)
    assert pipe.read(10) is None
    pipe.write(pdu[-1:], 1)
    assert len(endpoint.asked) == 1
    assert pipe.unread


def test_a_stub_that_is_none_is_a_fault() -> None:
    pipe, endpoint, rpc = bound_pipe()
    (pdu,) = rpc.call(NetrSessionEnum(None, None, None, 0))
    # The stub cut to its first eight octets, and the lengths of PDU and stub with it.
    cut = bytearray(pdu[:32])
    cut[8:10] = len(cut).to_bytes(2, "little")
    pipe.write(bytes(cut), 1)
    (event,) = rpc.receive_data(whole(pipe))
    assert isinstance(event, FaultReceived)
    assert event.status == 1783
    assert endpoint.asked == []


def test_nonsense_breaks_the_pipe_for_good() -> None:
    pipe, _ = new_pipe()
    with pytest.raises(PipeBroken):
        pipe.write(b"\xff" * 64, 1)
    assert pipe.broken
    with pytest.raises(PipeBroken):
        pipe.write(RpcClient().bind(), 1)


def test_a_client_that_never_reads_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MAX_UNREAD", 1000)
    pipe, endpoint, rpc = bound_pipe()
    (pdu,) = rpc.call(NetrRemoteTOD(None))
    with pytest.raises(PipeBroken):  # noqa: PT012
        for _ in range(1000):
            pipe.write(pdu, 1)
    assert len(endpoint.asked) < 100


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_octets_break_it_or_not(pieces: list[bytes]) -> None:
    pipe, _, _ = bound_pipe()
    try:
        for piece in pieces:
            pipe.write(piece, 1)
    except PipeBroken:
        assert pipe.broken


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("srvsvc", "srvsvc"),
        ("SrvSvc", "srvsvc"),
        (r"\srvsvc", "srvsvc"),
        (r"\PIPE\srvsvc", "srvsvc"),
        (r"pipe\srvsvc", "srvsvc"),
        (r"\pipe", "pipe"),
        ("", ""),
        (r"a\b", r"a\b"),
    ],
)
def test_names(name: str, canonical: str) -> None:
    assert canonical_pipe_name(name) == canonical


def test_which_pipes_there_are() -> None:
    here = Pipes({"SRVSVC": (SRVSVC, Echo())})
    opener = here.find("srvsvc")
    assert opener is not None
    assert opener(Caller("ann")) is not opener(Caller("ann"))
    assert here.find("lsarpc") is None
