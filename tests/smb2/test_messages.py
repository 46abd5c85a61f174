"""Messages declared once: their bytes, there and back, and what happens to any other bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.codes import STATUS_BUFFER_OVERFLOW, STATUS_NO_SUCH_FILE, STATUS_SUCCESS
from lanman.errors import MalformedMessage
from lanman.fscc.controls import PipeWait
from lanman.smb2.constants import (
    FSCTL_PIPE_TRANSCEIVE,
    SMB2_IOCTL,
    SMB2_OPLOCK_BREAK,
    SMB2_READ,
    Dialect,
)
from lanman.smb2.header import Header, TransformHeader
from lanman.smb2.messages import (
    REQUESTS,
    RESPONSES,
    CancelRequest,
    ChangeNotifyRequest,
    ChangeNotifyResponse,
    CloseRequest,
    CloseResponse,
    CompressionCapabilities,
    CreateContext,
    CreateRequest,
    CreateResponse,
    EchoRequest,
    EchoResponse,
    EncryptionCapabilities,
    ErrorResponse,
    FlushRequest,
    FlushResponse,
    IoctlRequest,
    IoctlResponse,
    LeaseBreak,
    LeaseBreakNotification,
    LockElement,
    LockRequest,
    LockResponse,
    LogoffRequest,
    LogoffResponse,
    Message,
    NegotiateContext,
    NegotiateRequest,
    NegotiateResponse,
    NetnameNegotiateContextId,
    OplockBreak,
    PreauthIntegrityCapabilities,
    QueryDirectoryRequest,
    QueryDirectoryResponse,
    QueryInfoRequest,
    QueryInfoResponse,
    RdmaTransformCapabilities,
    ReadRequest,
    ReadResponse,
    SessionSetupRequest,
    SessionSetupResponse,
    SetInfoRequest,
    SetInfoResponse,
    SigningCapabilities,
    TransportCapabilities,
    TreeConnectRequest,
    TreeConnectResponse,
    TreeDisconnectRequest,
    TreeDisconnectResponse,
    ValidateNegotiateInfoRequest,
    ValidateNegotiateInfoResponse,
    WriteRequest,
    WriteResponse,
    unpack_request,
    unpack_response,
)

ID = bytes(range(16))
CONTEXTS = [NegotiateContext(1, b"12345"), NegotiateContext(2, b""), NegotiateContext(0x77, b"x" * 9)]


@pytest.mark.parametrize(
    ("message", "golden"),
    [
        (TreeConnectRequest(0, r"\\srv\IPC$"), "0900 0000 4800 1400 5c00 5c00 7300 7200 7600 5c00 4900 5000 4300 2400"),
        (SessionSetupRequest(0, 1, 1, 0, b"tok"), "1900 00 01 01000000 00000000 5800 0300 0000000000000000 746f6b"),
        (EchoRequest(), "0400 0000"),
        (CloseRequest(file_id=ID), "1800 0000 00000000 000102030405060708090a0b0c0d0e0f"),
        (ReadResponse(b"ab"), "1100 50 00 02000000 00000000 00000000 6162"),
        (WriteResponse(5), "1100 0000 05000000 00000000 0000 0000"),
        (ErrorResponse(), "0900 00 00 00000000 00"),
        (QueryInfoResponse(b"i"), "0900 4800 01000000 69"),
        (SetInfoResponse(), "0200"),
        (OplockBreak(1, ID), "1800 01 00 00000000 000102030405060708090a0b0c0d0e0f"),
        (
            LockRequest(ID, [LockElement(1, 2, 4)]),
            "3000 0100 00000000 000102030405060708090a0b0c0d0e0f 0100000000000000 0200000000000000 04000000 00000000",
        ),
        (
            IoctlResponse(FSCTL_PIPE_TRANSCEIVE, ID, output=b"out"),
            "3100 0000 17c01100 000102030405060708090a0b0c0d0e0f 70000000 00000000 70000000 03000000 00000000 00000000"
            "6f7574",
        ),
    ],
)
def test_declared_once(message: Message, golden: str) -> None:
    raw = bytes.fromhex(golden)
    assert message.pack() == raw
    assert type(message).unpack(memoryview(bytes(64) + raw)) == message


MESSAGES: list[Message] = [
    NegotiateRequest([0x0202, 0x0210], 1, 2, ID, client_start_time=77),
    NegotiateRequest([0x0202, 0x0210, 0x0311], 1, 2, ID, CONTEXTS),
    NegotiateResponse(0x0302, 3, ID, 4, 1, 2, 3, 4, 5, b"blob"),
    NegotiateResponse(0x0311, 3, ID, 4, 1, 2, 3, 4, 5, b"blob!", CONTEXTS),
    NegotiateResponse(0x0311, contexts=CONTEXTS[:1]),
    SessionSetupRequest(1, 2, 3, 4, b"token", 5),
    SessionSetupResponse(4, b"token"),
    SessionSetupResponse(0),
    LogoffRequest(),
    LogoffResponse(),
    TreeConnectRequest(0, "\\\\größer\\\N{GRINNING FACE}"),
    TreeConnectResponse(1, 2, 3, 4),
    TreeDisconnectRequest(),
    TreeDisconnectResponse(),
    CreateRequest(1, 9, 2, 3, 4, 5, 6, 7, 8, "a name", [CreateContext(b"MxAc"), CreateContext(b"RqLs", b"l" * 33)]),
    CreateRequest(),
    CreateRequest(contexts=[CreateContext(b"QFid")]),
    CreateResponse(1, 1, 2, 3, 4, 5, 6, 7, 8, 9, ID, [CreateContext(b"MxAc", b"12345678"), CreateContext(b"QFid")]),
    CreateResponse(file_id=ID),
    CloseRequest(1, ID),
    CloseResponse(1, 2, 3, 4, 5, 6, 7, 8),
    FlushRequest(ID),
    FlushResponse(),
    ReadRequest(0x50, 1, 2, 3, ID, 4, 5, 6, b"channel"),
    ReadRequest(length=5),
    ReadResponse(b"data", 1, 2),
    WriteRequest(b"data", 1, ID, 2, 3, b"channel", 4),
    WriteRequest(b""),
    WriteResponse(1, 2),
    LockRequest(ID, [LockElement(1, 2, 3), LockElement(4, 5, 6)], 7),
    LockResponse(),
    IoctlRequest(1, ID, b"in", 2, b"out", 3, 4),
    IoctlRequest(1, ID),
    IoctlResponse(1, ID, b"in", b"out", 2),
    CancelRequest(),
    EchoRequest(),
    EchoResponse(),
    QueryDirectoryRequest(37, 1, 2, ID, "*.txt", 3),
    QueryDirectoryResponse(b"entries"),
    ChangeNotifyRequest(1, 2, ID, 3),
    ChangeNotifyResponse(b"changes"),
    ChangeNotifyResponse(),
    QueryInfoRequest(1, 2, 3, b"in", 4, 5, ID),
    QueryInfoResponse(b"info"),
    SetInfoRequest(1, 2, b"info", 3, ID),
    SetInfoResponse(),
    OplockBreak(8, ID),
    LeaseBreakNotification(1, 2, ID, 3, 4, 5, 6, 7),
    LeaseBreak(1, ID, 2, 3),
    ErrorResponse(b"why"),
    ErrorResponse(b"\x04\0\0\0\1\0\0\0why!", 1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_there_and_back(message: Message) -> None:
    pdu = memoryview(bytes(64) + message.pack())
    assert type(message).unpack(pdu) == message
    assert b"".join(message.parts()) == message.pack()
    for size in range(len(pdu)):
        try:
            type(message).unpack(pdu[:size])
        except MalformedMessage:
            continue
        # What is left out can only be the byte that stands for an empty part, or parts that are not there.
        assert size >= 64 + 2


@given(st.sampled_from(MESSAGES), st.data())
def test_a_changed_message_is_another_or_malformed(message: Message, data: st.DataObject) -> None:
    pdu = bytearray(bytes(64) + message.pack())
    for _ in range(data.draw(st.integers(1, 4))):
        pdu[data.draw(st.integers(64, len(pdu) - 1))] = data.draw(st.integers(0, 255))
    try:
        changed = type(message).unpack(memoryview(pdu))
    except MalformedMessage:
        return
    assert isinstance(changed, type(message))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    pdu = memoryview(bytes(64) + data)
    for command in range(len(REQUESTS) + 1):
        with contextlib.suppress(MalformedMessage):
            assert isinstance(unpack_request(command, pdu), Message)
        for status in (STATUS_SUCCESS, STATUS_NO_SUCH_FILE):
            with contextlib.suppress(MalformedMessage):
                assert isinstance(unpack_response(command, status, pdu), Message)


def test_every_command_has_its_messages() -> None:
    assert len(REQUESTS) == len(RESPONSES) == 19


def test_a_status_says_which_response_it_is() -> None:
    def read(command: int, status: int, message: Message) -> Message:
        return unpack_response(command, status, memoryview(bytes(64) + message.pack()))

    assert isinstance(read(SMB2_READ, STATUS_SUCCESS, ReadResponse(b"x")), ReadResponse)
    assert isinstance(read(SMB2_READ, STATUS_BUFFER_OVERFLOW, ReadResponse(b"x")), ReadResponse)
    assert isinstance(read(SMB2_READ, STATUS_NO_SUCH_FILE, ErrorResponse()), ErrorResponse)
    assert isinstance(read(SMB2_IOCTL, STATUS_NO_SUCH_FILE, IoctlResponse(1, ID)), IoctlResponse)
    assert isinstance(read(SMB2_OPLOCK_BREAK, STATUS_SUCCESS, LeaseBreak(0, ID, 0)), LeaseBreak)
    assert isinstance(
        read(SMB2_OPLOCK_BREAK, STATUS_SUCCESS, LeaseBreakNotification(0, 0, ID, 0, 0)), LeaseBreakNotification
    )
    assert isinstance(read(SMB2_OPLOCK_BREAK, STATUS_SUCCESS, OplockBreak(0, ID)), OplockBreak)


def test_contexts_of_negotiate() -> None:
    for context in (
        PreauthIntegrityCapabilities([1], b"salt"),
        EncryptionCapabilities([2, 1]),
        SigningCapabilities([2, 1, 0]),
        CompressionCapabilities([1, 2], 1),
        NetnameNegotiateContextId("fs1"),
        TransportCapabilities(1),
        RdmaTransformCapabilities([1, 2]),
    ):
        assert type(context).unpack(context.pack()) == context
        for size in range(len(context.pack())):
            if not isinstance(context, NetnameNegotiateContextId):
                with pytest.raises(MalformedMessage):
                    type(context).unpack(context.pack()[:size])


def test_what_travels_in_an_ioctl() -> None:
    asked = ValidateNegotiateInfoRequest(1, ID, 2, [0x0202, 0x0311])
    assert ValidateNegotiateInfoRequest.unpack(asked.pack()) == asked
    answered = ValidateNegotiateInfoResponse(1, ID, 2, 0x0302)
    assert ValidateNegotiateInfoResponse.unpack(memoryview(answered.pack())) == answered
    assert len(answered.pack()) == 24
    for wait in (PipeWait(0, "srvsvc"), PipeWait(-50_000_000, "srvsvc", timeout_specified=True)):
        assert PipeWait.unpack(wait.pack()) == wait


@given(st.binary(max_size=400))
def test_any_bytes_in_an_ioctl(data: bytes) -> None:
    for read in (
        ValidateNegotiateInfoRequest.unpack,
        PipeWait.unpack,
        lambda data: ValidateNegotiateInfoResponse.unpack(memoryview(data)),
        lambda data: ErrorResponse(data, 3).contexts(),
    ):
        try:
            read(data)
        except MalformedMessage:
            pass


def test_error_contexts() -> None:
    data = bytes.fromhex("0300000001000000616263000000000001000000020000007a")
    assert ErrorResponse(data, 2).contexts() == [(1, b"abc"), (2, b"z")]


def test_a_3_1_1_extension_of_tree_connect_is_skipped() -> None:
    # 2.2.9.2: flags say that it is there, the path's offset leads over it.
    body = bytes.fromhex("0900 0400 5800 0400".replace(" ", "")) + bytes(16) + "ab".encode("utf-16-le")
    assert TreeConnectRequest.unpack(memoryview(bytes(64) + body)) == TreeConnectRequest(4, "ab")


def test_headers() -> None:
    header = Header(5, 6, 7, 8, 1, 9, 10, 11, 16, signature=b"s" * 16, process_id=0xFEFF)
    assert Header.unpack(memoryview(header.pack())) == header
    asynchronous = Header(5, 6, 7, 0, 3, 9, 10, 11, 0, async_id=1 << 40)
    assert Header.unpack(memoryview(asynchronous.pack())) == asynchronous
    transform = TransformHeader(b"n" * 16, 100, 7)
    assert TransformHeader.unpack(memoryview(transform.pack())) == transform
    for wrong in (b"", header.pack()[:63], b"\xffSMB" + header.pack()[4:], header.pack()[:4] + b"\x41" + bytes(59)):
        with pytest.raises(MalformedMessage):
            Header.unpack(memoryview(wrong))
    for wrong in (b"", transform.pack()[:51], header.pack()):
        with pytest.raises(MalformedMessage):
            TransformHeader.unpack(memoryview(wrong))


def test_payload_sizes() -> None:
    assert ReadRequest(length=70000).payload_size() == 70000
    assert WriteRequest(bytes(5)).payload_size() == 5
    assert IoctlRequest(1, ID, b"12345", max_output_response=3).payload_size() == 5
    assert IoctlRequest(1, ID, b"12345", max_output_response=30).payload_size() == 30
    assert QueryInfoRequest(1, 1, 9).payload_size() == 9
    assert SetInfoRequest(1, 1, b"12").payload_size() == 2
    assert QueryDirectoryRequest(1, output_buffer_length=4).payload_size() == 4
    assert ChangeNotifyRequest(output_buffer_length=4).payload_size() == 4
    assert EchoRequest().payload_size() == 0
    assert Dialect(0x0311) is Dialect.SMB_3_1_1
