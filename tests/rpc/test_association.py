"""Client and server joined in memory; what either refuses; and PDUs that Samba's and impacket's clients really sent."""

from __future__ import annotations

import pathlib
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman import codes
from lanman.dtyp import Guid
from lanman.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from lanman.records import SessionInfo
from lanman.rpc import pdu as pdus
from lanman.rpc.client import (
    BindAccepted,
    BindRefused,
    FaultReceived,
    ResponseReceived,
    RpcClient,
    ShutdownReceived,
)
from lanman.rpc.control import LANMAN, Stop
from lanman.rpc.ndr import LARGE_REQUEST, SMALL_REQUEST, Interface
from lanman.rpc.server import CallReceived, RpcServer
from lanman.rpc.srvsvc import (
    SRVSVC,
    NetrFileClose,
    NetrRemoteTOD,
    NetrSessionDel,
    NetrSessionEnum,
    NetrSessionEnumResponse,
)

OTHER = Interface("other", "11111111-2222-3333-4444-555555555555", 1)
SRVSVC_SYNTAX = pdus.Syntax(SRVSVC.uuid, 3)


def rows(peer: str) -> list[tuple[str, bytes]]:
    path = pathlib.Path(__file__).parent.parent / "vectors" / "rpc_pdus.txt"
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(direction, bytes.fromhex(raw)) for name, direction, raw in lines if name == peer]


def bound(*, ndr64: bool = False, max_frag: int = 0xFFF8) -> tuple[RpcClient, RpcServer]:
    client, server = RpcClient(max_frag=max_frag), RpcServer([SRVSVC, LANMAN], max_frag=max_frag)
    assert server.receive_data(client.bind(ndr64=ndr64)) == []
    assert client.receive_data(b"".join(server.data_to_send())) == [BindAccepted(SRVSVC, ndr64)]
    return client, server


def one(calls: list[CallReceived]) -> CallReceived:
    (call,) = calls
    return call


def bind_pdu(*contexts: pdus.Context, type: int = pdus.BIND, frag: int = 4280) -> bytes:
    return pdus.build(type, pdus.PFC_WHOLE, 1, pdus.Bind(frag, frag, 0, list(contexts)).pack())


def results(server: RpcServer) -> list[tuple[int, int, pdus.Syntax | None]]:
    (raw,) = server.data_to_send()
    ack = pdus.BindAck.unpack(pdus.parse(raw))
    nothing = pdus.Syntax(Guid(bytes(16)), 0)
    return [(r.result, r.reason, None if r.transfer == nothing else r.transfer) for r in ack.results]


# --- Together ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndr64", [False, True])
@pytest.mark.parametrize("max_frag", [1432, 4280, 0xFFF8])
def test_a_long_answer_comes_in_fragments(ndr64: bool, max_frag: int) -> None:
    client, server = bound(ndr64=ndr64, max_frag=max_frag)
    request = NetrSessionEnum(r"\\srv", None, "ann" * 2000, 502)
    calls = [call for raw in client.call(request) for call in server.receive_data(raw)]
    call = one(calls)
    assert (call.interface, call.opnum, call.ndr64, call.request()) == (SRVSVC, 12, ndr64, request)

    entries = [SessionInfo(f"\\\\{n}", "ann", n, n, n, 0, "", "") for n in range(3000)]
    answer = NetrSessionEnumResponse(502, entries, 3000, 0)
    server.respond(call, answer.pack(ndr64))
    sent = server.data_to_send()
    assert len(sent) > 2
    assert max(map(len, sent)) <= max_frag
    assert [pdus.parse(raw).flags for raw in sent] == [1, *[0] * (len(sent) - 2), 2]
    # Each but the last carries a multiple of eight bytes, and says how much is still to come.
    hints = [pdus.parse(raw).number(0, 4) for raw in sent]
    sizes = [len(raw) - 24 for raw in sent]
    assert hints == [sum(sizes[number:]) for number in range(len(sizes))]
    assert not any(size % 8 for size in sizes[:-1])

    events = [event for raw in sent for event in client.receive_data(raw)]
    (event,) = events
    assert isinstance(event, ResponseReceived)
    assert request.answer(event.stub, event.ndr64) == answer


@given(cuts=st.lists(st.integers(0, 3000), max_size=8))
@settings(max_examples=60)
def test_bytes_may_come_in_any_pieces(cuts: list[int]) -> None:
    client, server = RpcClient(), RpcServer([SRVSVC])
    data = client.bind()
    server.receive_data(data)
    client.receive_data(b"".join(server.data_to_send()))
    data = b"".join(b"".join(client.call(NetrSessionDel(None, "x" * n, None))) for n in (1, 600, 20))
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    calls = [call for start, stop in pairwise(at) for call in server.receive_data(data[start:stop])]
    assert [call.request() for call in calls] == [NetrSessionDel(None, "x" * n, None) for n in (1, 600, 20)]
    for call in calls:
        server.respond(call, call.request().failed(5).pack())
    data = b"".join(server.data_to_send())
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    events = [event for start, stop in pairwise(at) for event in client.receive_data(data[start:stop])]
    assert events == [ResponseReceived(n, b"\5\0\0\0") for n in (2, 3, 4)]


def test_a_second_interface_on_the_same_association() -> None:
    client, server = bound()
    server.receive_data(client.bind(LANMAN, ndr64=True))
    assert client.receive_data(server.data_to_send()[0]) == [BindAccepted(LANMAN, True)]
    call = one(server.receive_data(b"".join(client.call(Stop(3)))))
    assert (call.interface, call.request(), call.ndr64) == (LANMAN, Stop(3), True)
    assert client.ndr64(LANMAN)
    assert not client.ndr64()
    # One that is unknown leaves the others as they are.
    server.receive_data(client.bind(OTHER))
    assert client.receive_data(server.data_to_send()[0]) == [BindRefused("it does not know the interface")]
    assert one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None))))).opnum == 28


def test_faults() -> None:
    client, server = bound()
    call = one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None)))))
    server.fault(call, codes.RPC_X_BAD_STUB_DATA)
    assert client.receive_data(server.data_to_send()[0]) == [FaultReceived(2, 0x6F7, executed=False)]
    call = one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None)))))
    server.fault(call, 5, executed=True)
    assert client.receive_data(server.data_to_send()[0]) == [FaultReceived(3, 5)]


def test_a_call_is_answered_once() -> None:
    client, server = bound()
    call = one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None)))))
    server.fault(call, 5)
    server.respond(call, b"")
    assert len(server.data_to_send()) == 1


def orphaned(call_id: int) -> bytes:
    """The PDU by which a client gives a call up (C706 12.6.4.8)."""
    return pdus.build(pdus.ORPHANED, pdus.PFC_WHOLE, call_id, b"")


def test_an_orphaned_call_is_not_answered() -> None:
    client, server = bound()
    call = one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None)))))
    assert server.receive_data(orphaned(client.call_id)) == []
    server.respond(call, b"")
    assert server.data_to_send() == []
    # One that was still on its way in is forgotten, so that another may begin.
    first, *_ = client.call(NetrSessionDel(None, "x" * 40000, None))
    assert server.receive_data(first) == []
    assert server.receive_data(orphaned(client.call_id)) == []
    assert one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None))))).opnum == 28


def test_a_cancelled_call_is_answered() -> None:
    client, server = bound()
    call = one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None)))))
    assert server.receive_data(client.cancel(client.call_id)) == []
    server.respond(call, bytes(8))
    assert client.receive_data(server.data_to_send()[0]) == [ResponseReceived(2, bytes(8))]


def test_a_maybe_call_is_not_answered() -> None:
    _, server = bound()
    raw = bytearray(pdus.fragments(pdus.REQUEST, 9, 0, 28, bytes(4), 4280)[0])
    raw[3] |= pdus.PFC_MAYBE
    server.respond(one(server.receive_data(bytes(raw))), b"")
    assert server.data_to_send() == []


def test_an_object_uuid_is_passed_over() -> None:
    _, server = bound()
    body = struct.pack("<IHH", 4, 0, 28) + bytes(16) + bytes(4)
    raw = pdus.build(pdus.REQUEST, pdus.PFC_WHOLE | pdus.PFC_OBJECT_UUID, 9, body)
    assert one(server.receive_data(raw)).request() == NetrRemoteTOD(None)


# --- What the server refuses ------------------------------------------------------------------------------------------

# Security context multiplexing, and orphans.
FEATURES = pdus.Syntax(Guid.parse("6cb71c2c-9812-4540-0300-000000000000"), 1)
KNOWN = pdus.Context(0, SRVSVC_SYNTAX, [pdus.NDR32])


@pytest.mark.parametrize(
    ("contexts", "expected"),
    [
        ([KNOWN], [(0, 0, pdus.NDR32)]),
        ([pdus.Context(0, pdus.Syntax(OTHER.uuid, 1), [pdus.NDR32])], [(2, 1, None)]),
        ([pdus.Context(0, pdus.Syntax(SRVSVC.uuid, 4), [pdus.NDR32])], [(2, 1, None)]),
        ([pdus.Context(0, pdus.Syntax(SRVSVC.uuid, 3, 1), [pdus.NDR32])], [(2, 1, None)]),
        ([pdus.Context(0, SRVSVC_SYNTAX, [pdus.Syntax(OTHER.uuid, 1)])], [(2, 2, None)]),
        ([pdus.Context(0, SRVSVC_SYNTAX, [])], [(2, 2, None)]),
        ([pdus.Context(0, SRVSVC_SYNTAX, [pdus.NDR32, pdus.NDR64])], [(0, 0, pdus.NDR64)]),
        (
            # What Windows offers, and what Windows answers to it.
            [
                KNOWN,
                pdus.Context(1, SRVSVC_SYNTAX, [pdus.NDR64]),
                pdus.Context(2, SRVSVC_SYNTAX, [FEATURES]),
            ],
            [(2, 2, None), (0, 0, pdus.NDR64), (3, 2, None)],
        ),
    ],
)
def test_presentation_contexts(
    contexts: list[pdus.Context], expected: list[tuple[int, int, pdus.Syntax | None]]
) -> None:
    server = RpcServer([SRVSVC])
    assert server.receive_data(bind_pdu(*contexts)) == []
    assert results(server) == expected


def test_the_features_syntax_is_the_one_on_the_wire() -> None:
    # As Windows sends it, MS-RPCE 4.6: 2C 1C B7 6C 12 98 40 45 03 00 ...
    assert FEATURES.uuid.hex() == "2c1cb76c129840450300000000000000"
    assert pdus.offered_features(FEATURES) == 3
    assert pdus.offered_features(pdus.NDR32) is None


@pytest.mark.parametrize(
    ("offered", "sent", "received"),
    [(4280, 4280, 4280), (0xFFFF, 0xFFF8, 0xFFF8), (16, 1432, 1432), (5840, 5840, 5840)],
)
def test_fragment_sizes_are_agreed(offered: int, sent: int, received: int) -> None:
    server = RpcServer([SRVSVC])
    server.receive_data(bind_pdu(KNOWN, frag=offered))
    (raw,) = server.data_to_send()
    ack = pdus.BindAck.unpack(pdus.parse(raw))
    assert (ack.max_xmit_frag, ack.max_recv_frag, ack.secondary_address) == (sent, received, "\\PIPE\\srvsvc")
    assert ack.assoc_group_id


@pytest.mark.parametrize(("level", "type"), [(1, pdus.BIND_ACK), (2, pdus.BIND_NAK), (6, pdus.BIND_NAK)])
def test_authentication_is_refused_unless_it_is_none(level: int, type: int) -> None:
    server = RpcServer([SRVSVC])
    body = pdus.Bind(4280, 4280, 0, [KNOWN]).pack() + bytes([10, level, 0, 0]) + bytes(4) + b"NTLMSSP\0"
    raw = bytearray(pdus.build(pdus.BIND, pdus.PFC_WHOLE, 1, body))
    raw[10] = 8
    server.receive_data(bytes(raw))
    (answer,) = server.data_to_send()
    pdu = pdus.parse(answer)
    assert pdu.type == type
    if type == pdus.BIND_NAK:
        assert pdu.number(0, 2) == pdus.AUTHENTICATION_TYPE_NOT_RECOGNIZED
        client = RpcClient()
        client.bind()
        assert client.receive_data(answer) == [BindRefused("it wants another kind of authentication")]


def test_a_second_bind_is_refused() -> None:
    client, server = bound()
    server.receive_data(bind_pdu(KNOWN))
    assert pdus.parse(server.data_to_send()[0]).type == pdus.BIND_NAK
    assert one(server.receive_data(b"".join(client.call(NetrRemoteTOD(None))))).opnum == 28


@pytest.mark.parametrize(
    ("context", "opnum", "status"),
    [(0, 58, codes.nca_s_op_rng_error), (0, 29, codes.nca_s_op_rng_error), (5, 28, codes.nca_s_unk_if)],
)
def test_calls_that_cannot_be_made(context: int, opnum: int, status: int) -> None:
    _, server = bound()
    assert server.receive_data(pdus.fragments(pdus.REQUEST, 7, context, opnum, bytes(4), 4280)[0]) == []
    pdu = pdus.parse(server.data_to_send()[0])
    assert (pdu.type, pdu.call_id, pdu.number(4, 2), pdu.number(8, 4)) == (pdus.FAULT, 7, context, status)


def test_a_call_before_the_bind_is_a_fault() -> None:
    server = RpcServer([SRVSVC])
    assert server.receive_data(pdus.fragments(pdus.REQUEST, 7, 0, 28, bytes(4), 4280)[0]) == []
    assert pdus.parse(server.data_to_send()[0]).number(8, 4) == codes.nca_s_proto_error


def test_big_endian_clients_can_bind_but_not_call() -> None:
    server = RpcServer([SRVSVC])
    body = struct.pack(">HHIB3x", 4280, 4280, 0, 1) + struct.pack(">HBx", 0, 1)
    body += SRVSVC.uuid.big_endian() + struct.pack(">I", 3) + pdus.NDR32.uuid.big_endian() + struct.pack(">I", 2)
    server.receive_data(struct.pack(">BBBB4sHHI", 5, 0, 11, 3, bytes(4), 16 + len(body), 0, 1) + body)
    assert results(server) == [(0, 0, pdus.NDR32)]
    body = struct.pack(">IHH", 4, 0, 28) + bytes(4)
    server.receive_data(struct.pack(">BBBB4sHHI", 5, 0, 0, 3, bytes(4), 16 + len(body), 0, 2) + body)
    pdu = pdus.parse(server.data_to_send()[0])
    assert (pdu.call_id, pdu.number(8, 4)) == (2, codes.nca_s_unsupported_type)


@pytest.mark.parametrize(("opnum", "limit"), [(12, SMALL_REQUEST), (14, LARGE_REQUEST), (99, 0)])
def test_a_call_is_no_longer_than_such_a_call_can_be(opnum: int, limit: int) -> None:
    """What is longer is not kept, and answered with a fault when its end has come; other calls go on."""
    server = RpcServer([SRVSVC])
    server.receive_data(bind_pdu(KNOWN))
    server.data_to_send()
    head, most = struct.pack("<IHH", 0, 0, opnum), 0
    server.receive_data(pdus.build(pdus.REQUEST, pdus.PFC_FIRST_FRAG, 2, head))
    for _ in range(300):
        server.receive_data(pdus.build(pdus.REQUEST, 0, 2, head + bytes(4000)))
        incoming = server._incoming
        assert incoming is not None
        most = max(most, len(incoming.reassembly.stub()) if incoming.reassembly is not None else 0)
    assert max(limit - 4000, 0) <= most <= limit
    assert server.receive_data(pdus.build(pdus.REQUEST, pdus.PFC_LAST_FRAG, 2, head)) == []
    fault = pdus.parse(server.data_to_send()[0])
    assert fault.number(8, 4) == (codes.nca_s_op_rng_error if opnum == 99 else codes.RPC_X_BAD_STUB_DATA)
    good = pdus.build(pdus.REQUEST, 3, 3, struct.pack("<IHH", 0, 0, 28) + bytes(4))
    assert one(server.receive_data(good)).call_id == 3


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("version 4", b"\4\0" + bytes(14)),
        ("another minor version", b"\5\2" + bytes(14)),
        ("too short for a header", pdus.build(0, 3, 1, b"")[:8] + b"\x0f\0" + bytes(6)),
        ("longer than agreed", pdus.build(0, 3, 1, b"")[:8] + b"\xff\xff" + bytes(6)),
        ("an answer", pdus.build(pdus.RESPONSE, 3, 1, bytes(8))),
        ("a type that does not exist", pdus.build(77, 3, 1, bytes(8))),
        ("no whole request", pdus.build(pdus.REQUEST, 3, 1, bytes(7))),
        ("a middle without its beginning", pdus.build(pdus.REQUEST, 0, 1, bytes(8))),
        ("a bind that is cut off", pdus.build(pdus.BIND, 3, 1, bytes(11))),
        ("a bind without contexts", pdus.build(pdus.BIND, 3, 1, bytes(12))),
        ("contexts that are not there", pdus.build(pdus.BIND, 3, 1, bytes(8) + b"\xff\0\0\0")),
        ("an alter_context at first", pdus.build(pdus.ALTER_CONTEXT, 3, 1, bytes(12))),
        ("authentication longer than the PDU", pdus.build(0, 3, 1, bytes(12))[:10] + b"\x40\0" + bytes(16)),
    ],
)
def test_what_ends_the_connection(what: str, raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        RpcServer([SRVSVC]).receive_data(raw)


def test_two_calls_may_not_be_interleaved() -> None:
    _, server = bound()
    server.receive_data(pdus.build(pdus.REQUEST, pdus.PFC_FIRST_FRAG, 2, bytes(8)))
    with pytest.raises(RemoteProtocolError, match="call 3 begins within call 2"):
        server.receive_data(pdus.build(pdus.REQUEST, pdus.PFC_FIRST_FRAG, 3, bytes(8)))


# --- What the client refuses ------------------------------------------------------------------------------------------


def test_a_call_needs_a_bind() -> None:
    with pytest.raises(LocalProtocolError, match="srvsvc is not bound"):
        RpcClient().call(NetrRemoteTOD(None))
    client = RpcClient()
    client.bind()
    with pytest.raises(LocalProtocolError, match="under way"):
        client.bind()


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("an answer to nothing", pdus.build(pdus.RESPONSE, 3, 9, bytes(8))),
        ("a fault to nothing", pdus.fault(9, 0, 5)),
        ("a second bind_ack", pdus.build(pdus.BIND_ACK, 3, 1, bytes(12))),
        ("a bind_nak now", pdus.bind_nak(1, 0)),
        ("a request", pdus.build(pdus.REQUEST, 3, 2, bytes(8))),
        ("an answer from the middle", pdus.build(pdus.RESPONSE, 2, 2, bytes(8))),
        ("an answer without its header", pdus.build(pdus.RESPONSE, 3, 2, bytes(4))),
        ("a fault without its status", pdus.build(pdus.FAULT, 3, 2, bytes(8))),
        ("a big-endian answer", struct.pack(">BBBB4sHHI", 5, 0, 2, 3, bytes(4), 24, 0, 2) + bytes(8)),
    ],
)
def test_what_no_server_may_say(what: str, raw: bytes) -> None:
    client, _ = bound()
    client.call(NetrRemoteTOD(None))
    with pytest.raises(RemoteProtocolError):
        client.receive_data(raw)


def test_an_answer_may_not_be_endless() -> None:
    client, server = RpcClient(max_stub=100), RpcServer([SRVSVC])
    server.receive_data(client.bind())
    client.receive_data(server.data_to_send()[0])
    client.call(NetrFileClose(None, 1))
    with pytest.raises(RemoteProtocolError, match="100 bytes"):
        client.receive_data(pdus.build(pdus.RESPONSE, 1, 2, bytes(8 + 101)))


@pytest.mark.parametrize(
    "result",
    [
        pdus.Result(pdus.ACCEPTANCE, 0, pdus.NDR64),
        pdus.Result(pdus.ACCEPTANCE, 0, None),
    ],
)
def test_a_server_may_not_choose_what_was_not_offered(result: pdus.Result) -> None:
    client = RpcClient()
    client.bind()
    ack = pdus.BindAck(4280, 4280, 1, "", [result])
    with pytest.raises(RemoteProtocolError, match="not offered"):
        client.receive_data(pdus.build(pdus.BIND_ACK, 3, 1, ack.pack()))
    client = RpcClient()
    client.bind()
    ack = pdus.BindAck(4280, 4280, 1, "", [])
    with pytest.raises(RemoteProtocolError, match="0 results for 1"):
        client.receive_data(pdus.build(pdus.BIND_ACK, 3, 1, ack.pack()))


def test_a_shutdown_is_told() -> None:
    client, _ = bound()
    assert client.receive_data(pdus.build(pdus.SHUTDOWN, 3, 0, b"")) == [ShutdownReceived()]


# --- Whatever comes ---------------------------------------------------------------------------------------------------

HEADERS = st.builds(
    lambda type, flags, call_id, body: pdus.build(type, flags, call_id, body),
    st.sampled_from([*range(20), 200]),
    st.integers(0, 255),
    st.integers(0, 4),
    st.binary(max_size=80),
)
STREAMS = st.lists(
    st.one_of(
        HEADERS,
        st.binary(max_size=40),
        st.sampled_from([raw for peer in ("rpcclient", "impacket") for _, raw in rows(peer)]),
    ),
    max_size=5,
)


@given(stream=STREAMS, bound_first=st.booleans())
@settings(max_examples=300)
def test_any_bytes_into_the_server(stream: list[bytes], bound_first: bool) -> None:
    server = bound()[1] if bound_first else RpcServer([SRVSVC])
    try:
        for data in stream:
            for call in server.receive_data(data):
                try:
                    server.respond(call, call.request().failed(50).pack(call.ndr64))
                except MalformedMessage:
                    server.fault(call, codes.RPC_X_BAD_STUB_DATA)
            for raw in server.data_to_send():
                assert len(pdus.parse(raw).body) == len(raw) - 16
    except RemoteProtocolError:
        pass


@given(stream=STREAMS, bound_first=st.booleans())
@settings(max_examples=300)
def test_any_bytes_into_the_client(stream: list[bytes], bound_first: bool) -> None:
    client = bound()[0] if bound_first else RpcClient()
    if bound_first:
        client.call(NetrRemoteTOD(None))
        client.call(NetrFileClose(None, 1))
    else:
        client.bind()
    try:
        for data in stream:
            client.receive_data(data)
    except RemoteProtocolError:
        pass


# --- Real ones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["rpcclient", "impacket"])
def test_real_pdus_are_written_as_they_came(peer: str) -> None:
    for _, raw in rows(peer):
        pdu = pdus.parse(raw)
        if pdu.type == pdus.BIND:
            assert pdus.Bind.unpack(pdu).pack() == pdu.body
        elif pdu.type == pdus.BIND_ACK:
            ack = pdus.BindAck.unpack(pdu)
            assert ack.secondary_address == "\\pipe\\srvsvc"
            assert ack.pack() == pdu.body
        else:
            stub = pdu.body[8:]
            opnum = pdu.number(6, 2)
            again = pdus.fragments(pdu.type, pdu.call_id, pdu.number(4, 2), opnum, stub, 4280)
            assert again == [raw]
        assert pdus.build(pdu.type, pdu.flags, pdu.call_id, pdu.body) == raw


@pytest.mark.parametrize("peer", ["rpcclient", "impacket"])
def test_real_clients_are_served(peer: str) -> None:
    server = RpcServer([SRVSVC], secondary_address="\\pipe\\srvsvc")
    (_, bind), (_, ack), (_, request), (_, _) = rows(peer)
    server.receive_data(bind)
    (answer,) = server.data_to_send()
    assert answer[:20] == ack[:20]
    assert answer[24:] == ack[24:]  # all but the association group's number
    call = one(server.receive_data(request))
    asked = call.request()
    assert isinstance(asked, NetrSessionEnum)
    assert (asked.level, asked.client_name or None, asked.entries) == (1 if peer == "rpcclient" else 10, None, None)


def test_real_answers_are_read() -> None:
    client = RpcClient()
    client.bind()
    (_, _), (_, ack), (_, _), (_, answer) = rows("rpcclient")
    assert client.receive_data(ack) == [BindAccepted(SRVSVC, False)]
    request = NetrSessionEnum(None, None, None, 1)
    client.call(request)
    (event,) = client.receive_data(answer)
    assert isinstance(event, ResponseReceived)
    session = SessionInfo("127.0.0.1", "root", 0, 1, 0, 0)
    assert request.answer(event.stub) == NetrSessionEnumResponse(1, [session], 1, None, 0)
