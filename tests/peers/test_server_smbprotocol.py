"""Our Server under smbprotocol, which checks signatures, the pre-authentication hash and the negotiation strictly."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lanman.net.server import SmbServer
from lanman.rpc.client import BindAccepted, ResponseReceived, RpcClient
from lanman.rpc.srvsvc import NetrSessionEnum
from support.loopback_server import PASSWORDS

pytest.importorskip("smbprotocol")
from smbprotocol.connection import Connection, Dialects
from smbprotocol.exceptions import LogonFailure, SMBAuthenticationError
from smbprotocol.ioctl import CtlCode, IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

DIALECTS = [
    Dialects.SMB_2_0_2,
    Dialects.SMB_2_1_0,
    Dialects.SMB_3_0_0,
    Dialects.SMB_3_0_2,
    Dialects.SMB_3_1_1,
]


@contextmanager
def connected(server: SmbServer, dialect: int | None = None) -> Iterator[Any]:
    connection = Connection(uuid.uuid4(), "127.0.0.1", server.port, require_signing=True)
    connection.connect(dialect=dialect, timeout=30)
    try:
        yield connection
    finally:
        connection.disconnect(close=True)


def open_pipe(session: Any) -> Any:
    tree = TreeConnect(session, r"\\127.0.0.1\IPC$")
    tree.connect()
    pipe = Open(tree, "srvsvc")
    pipe.create(
        ImpersonationLevel.Impersonation,
        FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE,
        0,
        ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE,
        CreateDisposition.FILE_OPEN,
        CreateOptions.FILE_NON_DIRECTORY_FILE,
    )
    return pipe


def transceive(pipe: Any, data: bytes) -> bytes:
    request = SMB2IOCTLRequest()
    request["ctl_code"] = CtlCode.FSCTL_PIPE_TRANSCEIVE
    request["file_id"] = pipe.file_id
    request["max_output_response"] = 65536
    request["flags"] = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
    request["buffer"] = data
    session, tree = pipe.tree_connect.session, pipe.tree_connect
    sent = pipe.connection.send(request, session.session_id, tree.tree_connect_id)
    answer = SMB2IOCTLResponse()
    answer.unpack(pipe.connection.receive(sent)["data"].get_value())
    return bytes(answer["buffer"].get_value())


async def run(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_log_on_and_list(server: SmbServer, dialect: int, encrypt: bool) -> None:
    if encrypt and dialect < Dialects.SMB_3_0_0:
        return

    def work() -> None:
        with connected(server, dialect) as connection:
            session = Session(connection, "admin", PASSWORDS["admin"], require_encryption=encrypt, auth_protocol="ntlm")
            session.connect()
            pipe = open_pipe(session)
            rpc = RpcClient()
            (event,) = rpc.receive_data(transceive(pipe, rpc.bind()))
            assert isinstance(event, BindAccepted)
            request = NetrSessionEnum(None, None, None, 502)
            (pdu,) = rpc.call(request)
            (answered,) = rpc.receive_data(transceive(pipe, pdu))
            assert isinstance(answered, ResponseReceived)
            entries = request.answer(answered.stub).entries
            assert entries is not None
            assert [entry.user_name for entry in entries] == ["admin"]
            pipe.close()
            session.disconnect()

    await run(work)


async def test_two_users_on_one_connection(server: SmbServer) -> None:
    def work() -> None:
        with connected(server) as connection:
            users = {
                name: Session(connection, name, PASSWORDS[name], require_encryption=False, auth_protocol="ntlm")
                for name in ("ann", "bob")
            }
            for session in users.values():
                session.connect()
            assert [session.user_name for session in server.service.sessions()] == ["ann", "bob"]
            users["ann"].disconnect()
            open_pipe(users["bob"])

    await run(work)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wrong_password_is_refused(server: SmbServer, dialect: int) -> None:
    def work() -> None:
        with connected(server, dialect) as connection:
            session = Session(connection, "ann", "wrong", require_encryption=False, auth_protocol="ntlm")
            with pytest.raises((LogonFailure, SMBAuthenticationError)):
                session.connect()

    await run(work)
    assert server.service.sessions() == []
