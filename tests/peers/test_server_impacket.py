"""Our Server under impacket: five information levels, both filters, deletion. It writes the pipe, then reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lanman import codes
from lanman.net.server import SmbServer
from support.loopback_server import PASSWORDS

impacket = pytest.importorskip("impacket")
from impacket.dcerpc.v5 import rpcrt, srvs, transport  # noqa: E402
from impacket.nmb import NetBIOSError  # noqa: E402
from impacket.smb3structs import (  # noqa: E402
    SMB2_DIALECT_002,
    SMB2_DIALECT_21,
    SMB2_DIALECT_30,
    SMB2_DIALECT_311,
)
from impacket.smbconnection import SessionError, SMBConnection  # noqa: E402

DIALECTS = [SMB2_DIALECT_002, SMB2_DIALECT_21, SMB2_DIALECT_30, SMB2_DIALECT_311]


@contextmanager
def connected(server: SmbServer, user: str, password: str | None = None, dialect: int | None = None) -> Iterator[Any]:
    connection = SMBConnection("127.0.0.1", "127.0.0.1", sess_port=server.port, preferredDialect=dialect, timeout=30)
    try:
        connection.login(user, PASSWORDS[user] if password is None else password)
        yield connection
    finally:
        connection.close()


@contextmanager
def bound(server: SmbServer, user: str, dialect: int | None = None) -> Iterator[Any]:
    with connected(server, user, dialect=dialect) as connection:
        pipe = transport.SMBTransport("127.0.0.1", filename=r"\srvsvc", smb_connection=connection)
        rpc = pipe.get_dce_rpc()
        rpc.connect()
        rpc.bind(srvs.MSRPC_UUID_SRVS)
        yield rpc


async def run(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


def sessions(rpc: Any, level: int, client: str = "\0", user: str = "\0") -> list[Any]:
    answer = srvs.hNetrSessionEnum(rpc, client, user, level)
    return list(answer["InfoStruct"]["SessionInfo"][f"Level{level}"]["Buffer"])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
async def test_every_level(server: SmbServer, level: int, dialect: int) -> None:
    def work() -> None:
        with bound(server, "admin", dialect) as rpc, connected(server, "ann", dialect=dialect):
            entries = sessions(rpc, level)
            prefix = f"sesi{level}_"
            assert [entry[prefix + "cname"] for entry in entries] == ["\\\\127.0.0.1\0"] * 2
            if level:
                assert [entry[prefix + "username"] for entry in entries] == ["admin\0", "ann\0"]
            if level == 502:
                assert [entry["sesi502_num_opens"] for entry in entries] == [1, 0]

    await run(work)


async def test_both_filters(server: SmbServer) -> None:
    def work() -> None:
        with bound(server, "admin") as rpc, connected(server, "ann"), connected(server, "bob"):
            assert len(sessions(rpc, 10, client="\\\\127.0.0.1\0")) == 3
            assert [entry["sesi10_username"] for entry in sessions(rpc, 10, user="ann\0")] == ["ann\0"]
            assert len(sessions(rpc, 10, client="\\\\127.0.0.1\0", user="BOB\0")) == 1
            for client, code in (
                ("\\\\10.0.0.1\0", codes.NERR_ClientNameNotFound),
                ("pc7\0", codes.NERR_InvalidComputer),
            ):
                with pytest.raises(rpcrt.DCERPCException) as caught:
                    sessions(rpc, 10, client=client)
                assert caught.value.get_error_code() == code

    await run(work)


async def test_deletion(server: SmbServer) -> None:
    def work() -> None:
        # Above 2.1 impacket encrypts, and an encrypted request for a session that is gone ends the connection.
        with (
            bound(server, "admin") as rpc,
            connected(server, "ann", dialect=SMB2_DIALECT_21) as ann,
            connected(server, "bob") as bob,
        ):
            srvs.hNetrSessionDel(rpc, "\\\\127.0.0.1\0", "ann\0")
            assert [entry["sesi1_username"] for entry in sessions(rpc, 1)] == ["admin\0", "bob\0"]
            with pytest.raises(SessionError) as caught:
                ann.connectTree("IPC$")
            assert caught.value.getErrorCode() == codes.STATUS_USER_SESSION_DELETED
            assert bob.connectTree("IPC$")
            with pytest.raises(rpcrt.DCERPCException) as refused:
                srvs.hNetrSessionDel(rpc, "\\\\127.0.0.1\0", "ann\0")
            assert refused.value.get_error_code() == codes.NERR_ClientNameNotFound

    await run(work)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_who_ends_their_own_session_gets_the_answer(server: SmbServer, dialect: int) -> None:
    def work() -> None:
        with bound(server, "admin", dialect) as rpc:
            assert srvs.hNetrSessionDel(rpc, "\0", "admin\0")["ErrorCode"] == 0
            with pytest.raises((SessionError, rpcrt.DCERPCException, NetBIOSError)):
                sessions(rpc, 0)

    await run(work)
    assert server.service.sessions() == []


async def test_only_administrators(server: SmbServer) -> None:
    def work() -> None:
        with bound(server, "ann") as rpc:
            for level in (0, 1, 2, 10, 502):
                with pytest.raises(rpcrt.DCERPCException) as caught:
                    sessions(rpc, level)
                assert caught.value.get_error_code() == codes.ERROR_ACCESS_DENIED

    await run(work)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wrong_password_is_refused(server: SmbServer, dialect: int) -> None:
    def work() -> None:
        with pytest.raises(SessionError) as caught, connected(server, "ann", "wrong", dialect):
            pass
        assert caught.value.getErrorCode() == codes.STATUS_LOGON_FAILURE

    await run(work)
    assert server.service.sessions() == []


async def test_a_null_session_may_do_nothing(server: SmbServer) -> None:
    def work() -> None:
        with connected(server, "", "") as connection:
            tree = connection.connectTree("IPC$")
            with pytest.raises(SessionError) as caught:
                connection.openFile(tree, r"\srvsvc")
            assert caught.value.getErrorCode() == codes.STATUS_ACCESS_DENIED

    await run(work)
