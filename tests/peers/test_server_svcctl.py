"""Our Server's `\\PIPE\\svcctl` under impacket's scmr: what is asked, paused, listed and refused."""

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
from impacket.dcerpc.v5 import rpcrt, scmr, transport  # noqa: E402
from impacket.smbconnection import SessionError, SMBConnection  # noqa: E402

RUNNING, PAUSED = 4, 7


@contextmanager
def bound(server: SmbServer, user: str) -> Iterator[Any]:
    connection = SMBConnection("127.0.0.1", "127.0.0.1", sess_port=server.port, timeout=30)
    try:
        connection.login(user, PASSWORDS[user])
        rpc = transport.SMBTransport("127.0.0.1", filename=r"\svcctl", smb_connection=connection).get_dce_rpc()
        rpc.connect()
        rpc.bind(scmr.MSRPC_UUID_SCMR)
        yield rpc
    finally:
        connection.close()


def opened(rpc: Any, access: int = scmr.SERVICE_ALL_ACCESS) -> tuple[Any, Any]:
    manager = scmr.hROpenSCManagerW(rpc)["lpScHandle"]
    return manager, scmr.hROpenServiceW(rpc, manager, "LanmanServer\0", access)["lpServiceHandle"]


def refused(work: Callable[[], Any]) -> int:
    with pytest.raises(scmr.DCERPCSessionError) as error:
        work()
    return int(error.value.get_error_code())


async def run(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


async def test_state_pause_and_continue(server: SmbServer) -> None:
    def work() -> None:
        with bound(server, "admin") as rpc:
            manager, service = opened(rpc)
            state = scmr.hRQueryServiceStatus(rpc, service)["lpServiceStatus"]
            assert (state["dwCurrentState"], state["dwControlsAccepted"]) == (RUNNING, 2)
            answer = scmr.hRControlService(rpc, service, scmr.SERVICE_CONTROL_PAUSE)["lpServiceStatus"]
            assert answer["dwCurrentState"] == PAUSED
            with pytest.raises(SessionError) as error, bound(server, "bob"):
                pass
            assert error.value.getErrorCode() == codes.STATUS_SHARING_PAUSED
            with bound(server, "admin") as another:
                _, again = opened(another)
                assert scmr.hRQueryServiceStatus(another, again)["lpServiceStatus"]["dwCurrentState"] == PAUSED
            answer = scmr.hRControlService(rpc, service, scmr.SERVICE_CONTROL_CONTINUE)["lpServiceStatus"]
            assert answer["dwCurrentState"] == RUNNING
            with bound(server, "bob"):
                pass
            scmr.hRCloseServiceHandle(rpc, service)
            scmr.hRCloseServiceHandle(rpc, manager)
            assert refused(lambda: scmr.hRQueryServiceStatus(rpc, service)) == codes.ERROR_INVALID_HANDLE

    await run(work)
    assert not server.service.paused


async def test_how_it_is_installed_and_listed(server: SmbServer) -> None:
    def work() -> None:
        with bound(server, "admin") as rpc:
            manager, service = opened(rpc)
            config = scmr.hRQueryServiceConfigW(rpc, service)["lpServiceConfig"]
            assert config["lpDisplayName"] == "Server\0"
            (entry,) = scmr.hREnumServicesStatusW(rpc, manager)
            assert (entry["lpServiceName"], entry["lpDisplayName"]) == ("LanmanServer\0", "Server\0")
            assert entry["ServiceStatus"]["dwCurrentState"] == RUNNING

    await run(work)


async def test_refusals(server: SmbServer) -> None:
    def work() -> None:
        with bound(server, "admin") as rpc:
            _, service = opened(rpc)
            stop = refused(lambda: scmr.hRControlService(rpc, service, scmr.SERVICE_CONTROL_STOP))
            assert stop == codes.ERROR_INVALID_SERVICE_CONTROL
            assert refused(lambda: scmr.hRStartServiceW(rpc, service)) == codes.ERROR_SERVICE_ALREADY_RUNNING
            with pytest.raises(rpcrt.DCERPCException) as error:
                scmr.hRDeleteService(rpc, service)
            assert "op_rng" in str(error.value)
        with bound(server, "ann") as rpc:
            with pytest.raises(rpcrt.DCERPCException) as error:
                scmr.hROpenSCManagerW(rpc)
            assert error.value.get_error_code() == codes.ERROR_ACCESS_DENIED

    await run(work)
