"""Every dialect with every signing algorithm and cipher, both ends in memory."""

from __future__ import annotations

from typing import Any

import pytest

from lanman.codes import STATUS_ACCESS_DENIED, STATUS_SUCCESS
from lanman.errors import RemoteProtocolError
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_CMAC,
    ALL_CIPHERS,
    ALL_SIGNING_ALGORITHMS,
    FSCTL_VALIDATE_NEGOTIATE_INFO,
    HMAC_SHA256,
    Dialect,
)
from lanman.smb2.messages import (
    EchoRequest,
    EchoResponse,
    IoctlRequest,
    IoctlResponse,
    LogoffRequest,
    LogoffResponse,
    ReadRequest,
    ReadResponse,
    TreeConnectRequest,
    TreeConnectResponse,
    WriteRequest,
    WriteResponse,
)
from lanman.smb2.server import Request, RequestsReceived, ServerConnection
from support.smb2_pair import Answering, Wire, ask, connected, feed, make_pair

LARGE = bytes(range(256)) * 1024


def reply(request: Request) -> Any:
    message = request.message
    if isinstance(message, TreeConnectRequest):
        return TreeConnectResponse(1)
    if isinstance(message, ReadRequest):
        return ReadResponse(LARGE[: message.length])
    if isinstance(message, WriteRequest):
        assert bytes(message.data) == LARGE[: len(message.data)]
        return WriteResponse(len(message.data))
    if isinstance(message, LogoffRequest):
        return LogoffResponse()
    return EchoResponse()


def last_request(answer: Answering) -> Request:
    event = answer.events[-1]
    assert isinstance(event, RequestsReceived)
    return event.requests[-1]


def run(answer: Answering, *, encrypt: bool, client: dict[str, Any], server: dict[str, Any]) -> ServerConnection:
    """A log-on, a tree connect, a large read and write, a log-off."""
    wire = Wire(chunks=[1, 2, 3, 70, 5])
    ours, theirs, session_id = connected(answer, wire, client=client, server=server, encrypt=encrypt)
    response = ask(ours, theirs, answer, TreeConnectRequest(0, r"\\s\t"), session_id=session_id, wire=wire)
    assert response.status == STATUS_SUCCESS
    assert last_request(answer).encrypted is encrypt
    assert last_request(answer).signed is not encrypt
    size = 60000 if theirs.negotiated and theirs.negotiated.dialect == Dialect.SMB_2_0_2 else len(LARGE)
    read = ask(ours, theirs, answer, ReadRequest(length=size), session_id=session_id, wire=wire).message
    assert isinstance(read, ReadResponse)
    assert bytes(read.data) == LARGE[:size]
    written = ask(ours, theirs, answer, WriteRequest(LARGE[:size]), session_id=session_id, wire=wire).message
    assert written == WriteResponse(size)
    assert ask(ours, theirs, answer, LogoffRequest(), session_id=session_id, wire=wire).status == STATUS_SUCCESS
    assert session_id not in ours._channels
    return theirs


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_0_2, Dialect.SMB_2_1])
def test_before_3_0(dialect: Dialect) -> None:
    theirs = run(Answering(reply), encrypt=False, client={"dialects": [dialect]}, server={})
    assert theirs.negotiated is not None
    assert (theirs.negotiated.signing_algorithm, theirs.negotiated.cipher) == (HMAC_SHA256, 0)


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("dialect", [Dialect.SMB_3_0, Dialect.SMB_3_0_2])
def test_3_0(dialect: Dialect, encrypt: bool) -> None:
    theirs = run(Answering(reply, encrypt=encrypt), encrypt=encrypt, client={"dialects": [dialect]}, server={})
    assert theirs.negotiated is not None
    assert (theirs.negotiated.signing_algorithm, theirs.negotiated.cipher) == (AES_CMAC, AES_128_CCM)


@pytest.mark.parametrize("signing", ALL_SIGNING_ALGORITHMS)
@pytest.mark.parametrize("cipher", [0, *ALL_CIPHERS])
@pytest.mark.parametrize("side", ["client", "server"])
def test_3_1_1(signing: int, cipher: int, side: str) -> None:
    """One end insists, the other has all of it."""
    wants = {"signing_algorithms": [signing], "ciphers": [cipher] if cipher else []}
    for encrypt in {False, bool(cipher)}:
        answer = Answering(reply, encrypt=encrypt, key=bytes(range(32)))
        theirs = run(
            answer,
            encrypt=encrypt,
            client=wants if side == "client" else {},
            server=wants if side == "server" else {},
        )
        assert theirs.negotiated is not None
        assert (theirs.negotiated.signing_algorithm, theirs.negotiated.cipher) == (signing, cipher)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_greatest_common_dialect(dialect: Dialect) -> None:
    for limited in ("client", "server"):
        ours, theirs = make_pair(**{limited: {"dialects": [each for each in Dialect if each <= dialect]}})
        ours.negotiate()
        feed(ours, theirs)
        assert ours.negotiated is not None
        assert theirs.negotiated is not None
        assert ours.negotiated.dialect == theirs.negotiated.dialect == dialect
        assert ours.negotiated.security_blob == theirs.negotiated.security_blob
        assert ours.negotiated.cipher == theirs.negotiated.cipher
        assert ours.negotiated.max_read_size == theirs.negotiated.max_read_size
        assert ours.negotiated.multi_credit is theirs.negotiated.multi_credit is (dialect > Dialect.SMB_2_0_2)


@pytest.mark.parametrize("dialect", list(Dialect)[:-1])
def test_the_negotiate_is_validated(dialect: Dialect) -> None:
    served: list[ServerConnection] = []

    def validating(request: Request) -> Any:
        if isinstance(request.message, IoctlRequest):
            assert request.message.ctl_code == FSCTL_VALIDATE_NEGOTIATE_INFO
            said = served[0].validate_negotiate_info(bytes(request.message.input))
            if said is None:
                return STATUS_ACCESS_DENIED, None
            return IoctlResponse(request.message.ctl_code, request.message.file_id, output=said)
        return reply(request)

    answer = Answering(validating)
    ours, theirs, session_id = connected(answer, client={"dialects": [d for d in Dialect if d <= dialect]})
    served.append(theirs)
    response = ask(ours, theirs, answer, ours.build_validate_negotiate(), session_id=session_id)
    assert isinstance(response.message, IoctlResponse)
    ours.check_validate_negotiate(response.message)
    # What the client said was changed on the way: the server would hear of it.
    asked = bytearray(ours.build_validate_negotiate().input)
    for at in range(len(asked)):
        changed = bytearray(asked)
        changed[at] ^= 1
        assert theirs.validate_negotiate_info(bytes(changed)) is None
    # What the server said was changed on the way: the client would hear of it.
    for at in range(24):
        changed = bytearray(response.message.output)
        changed[at] ^= 1
        with pytest.raises(RemoteProtocolError, match="modified in transit"):
            ours.check_validate_negotiate(IoctlResponse(0, bytes(16), output=bytes(changed)))


def test_3_1_1_has_no_use_for_validation() -> None:
    _, theirs, _ = connected(Answering(reply))
    assert theirs.validate_negotiate_info(bytes(30)) is None


def test_a_chunk_may_be_anything() -> None:
    answer = Answering(reply)
    wire = Wire(chunks=[1] * 100000)
    ours, theirs, session_id = connected(answer, wire)
    assert ask(ours, theirs, answer, EchoRequest(), session_id=session_id, wire=wire).status == STATUS_SUCCESS
