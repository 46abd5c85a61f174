"""The pipe by itself: messages, their pieces, and what breaks it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.rpc import pdu as pdus
from lanman.rpc.client import BindAccepted, FaultReceived, ResponseReceived, RpcClient
from lanman.rpc.ndr import Call
from lanman.rpc.server import MAX_PDUS
from lanman.rpc.srvsvc import SRVSVC, NetrRemoteTOD, NetrSessionEnum
from lanman.server import pipes
from lanman.server.association import Association
from lanman.server.pipes import NamedPipe, PipeBroken, Pipes, canonical_pipe_name
from lanman.server.rights import Caller
from lanman.server.scheduler import Scheduler
from support.step_counter import steps


class Echo:
    """Answers every call that it is refused, and keeps who asked what, when. `refused` is refused unread."""

    def __init__(self) -> None:
        self.asked: list[tuple[Caller, Any, float]] = []
        self.refused = 0
        self.levels: list[int | None] = []

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        self.levels.append(level)
        return self.refused

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        self.asked.append((caller, request, now))
        return request.failed(5)


def new_pipe() -> tuple[NamedPipe, Echo]:
    endpoint = Echo()
    scheduler = Scheduler()
    scheduler.now = 1
    return NamedPipe(Association([(SRVSVC, endpoint)], Caller("ann"), scheduler)), endpoint


def scheduler_of(pipe: NamedPipe) -> Scheduler:
    return pipe.association._scheduler


def bound_pipe(*, ndr64: bool = False) -> tuple[NamedPipe, Echo, RpcClient]:
    pipe, endpoint = new_pipe()
    rpc = RpcClient()
    pipe.write(rpc.bind(ndr64=ndr64))
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
    scheduler_of(pipe).now = 7.5
    pipe.write(pdu)
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
    pipe.write(first + second)
    scheduler_of(pipe).expire(1)
    size = pipe.unread
    pieces = []
    while (found := pipe.read(10)) is not None:
        pieces.append(found)
    assert sum(len(data) for data, _ in pieces) == size
    assert [more for _, more in pieces].count(False) == 2
    assert pipe.unread == 0


def test_a_request_may_come_byte_by_byte() -> None:
    pipe, endpoint, rpc = bound_pipe()
    (pdu,) = rpc.call(NetrRemoteTOD(None))
    for byte in pdu[:-1]:
        pipe.write(bytes([byte]))
    assert pipe.read(10) is None
    pipe.write(pdu[-1:])
    assert len(endpoint.asked) == 1
    assert pipe.unread


def test_a_stub_that_is_none_is_a_fault() -> None:
    pipe, endpoint, rpc = bound_pipe()
    (pdu,) = rpc.call(NetrSessionEnum(None, None, None, 0))
    # The stub cut to its first eight bytes, and the lengths of PDU and stub with it.
    cut = bytearray(pdu[:32])
    cut[8:10] = len(cut).to_bytes(2, "little")
    pipe.write(bytes(cut))
    (event,) = rpc.receive_data(whole(pipe))
    assert isinstance(event, FaultReceived)
    assert event.status == 1783
    assert endpoint.asked == []


@pytest.mark.parametrize("ndr64", [False, True])
def test_rights_come_before_all_that_is_behind_the_level(ndr64: bool) -> None:
    """A request that its caller may not make is not decoded: what is wrong with it is not even seen."""
    pipe, endpoint, rpc = bound_pipe(ndr64=ndr64)
    endpoint.refused = 5
    request = NetrSessionEnum("srv", "ann", None, 502)
    (pdu,) = rpc.call(request)
    stub = request.pack(ndr64)
    nonsense = stub[: len(stub) - 24] + b"\xff" * 24
    pipe.write(pdu.replace(stub, nonsense))
    (event,) = rpc.receive_data(whole(pipe))
    assert isinstance(event, ResponseReceived)
    answer = request.answer(event.stub, ndr64)
    assert (answer.level, answer.entries, answer.status) == (502, None, 5)
    assert endpoint.levels == [502]
    assert endpoint.asked == []


@pytest.mark.parametrize("ndr64", [False, True])
def test_every_call_can_be_refused_unread(ndr64: bool) -> None:
    for call in SRVSVC.requests.values():
        answer = call.refused(1, 5)
        assert type(answer).unpack(answer.pack(ndr64), ndr64) == answer
        assert answer.status == 5


def test_the_calls_of_one_write_are_answered_each_in_its_turn() -> None:
    pipe, endpoint, rpc = bound_pipe()
    scheduler = scheduler_of(pipe)
    pipe.write(b"".join(rpc.call(NetrRemoteTOD(None))[0] for _ in range(MAX_PDUS)))
    for number in range(1, MAX_PDUS):
        assert len(endpoint.asked) == number
        assert len(scheduler.timers) == 1
        scheduler.expire(number)
    assert len(endpoint.asked) == MAX_PDUS
    assert len(scheduler.timers) == 0


def test_a_turn_is_not_taken_while_too_much_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, endpoint, rpc = bound_pipe()
    pipe.write(b"".join(rpc.call(NetrRemoteTOD(None))[0] for _ in range(3)))
    monkeypatch.setattr(pipes, "MAX_UNREAD", 10)
    scheduler_of(pipe).expire(2)
    assert pipe.broken
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "piece",
    [
        pdus.build(pdus.REQUEST, 3, 9, struct.pack("<IHH", 0, 0, 99)),  # a call that does not exist
        pdus.build(pdus.ORPHANED, 3, 9, b""),
        pdus.build(pdus.BIND, 3, 9, b""),
    ],
)
def test_a_write_brings_so_many_pdus_and_no_more(piece: bytes) -> None:
    pipe, _, _ = bound_pipe()
    pipe.write(piece * MAX_PDUS)
    much = piece * 80_000

    def write() -> None:
        with pytest.raises(PipeBroken):
            pipe.write(much)

    work = steps(write)
    assert pipe.broken
    assert work < 1000 * MAX_PDUS


def test_fragments_of_nothing_are_nothing() -> None:
    pipe, _, _ = bound_pipe()
    pipe.write(pdus.build(pdus.REQUEST, pdus.PFC_FIRST_FRAG, 9, struct.pack("<IHH", 0, 0, 15)))
    before = pipe.association._rpc._incoming
    assert before is not None
    for _ in range(100):
        pipe.write(pdus.build(pdus.REQUEST, 0, 9, struct.pack("<IHH", 0, 0, 15)) * MAX_PDUS)
    assert before.reassembly is not None
    assert before.reassembly.stub() == b""


def test_nonsense_breaks_the_pipe_for_good() -> None:
    pipe, _ = new_pipe()
    with pytest.raises(PipeBroken):
        pipe.write(b"\xff" * 64)
    assert pipe.broken
    with pytest.raises(PipeBroken):
        pipe.write(RpcClient().bind())


def test_a_client_that_never_reads_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MAX_UNREAD", 1000)
    pipe, endpoint, rpc = bound_pipe()
    (pdu,) = rpc.call(NetrRemoteTOD(None))
    with pytest.raises(PipeBroken):  # noqa: PT012
        for _ in range(1000):
            pipe.write(pdu)
    assert len(endpoint.asked) < 100


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_break_it_or_not(pieces: list[bytes]) -> None:
    pipe, _, _ = bound_pipe()
    try:
        for piece in pieces:
            pipe.write(piece)
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
    here = Pipes({"SRVSVC": (SRVSVC, Echo)})
    opener = here.find("srvsvc")
    assert opener is not None
    assert opener(Caller("ann"), Scheduler()) is not opener(Caller("ann"), Scheduler())
    assert here.find("lsarpc") is None
