"""The state of a service, and the rights of this process, through handles that are counted."""

from __future__ import annotations

import ctypes
import sys

import pytest

from lanman.errors import AccessDenied, Win32Error
from lanman.manage.windows import system
from lanman.manage.windows.system import ServiceStatusProcess
from support.netapi_stub import LAYOUT
from support.system_stub import SystemStub


def test_the_structure_lies_as_a_compiler_puts_it() -> None:
    measured = LAYOUT["SERVICE_STATUS_PROCESS"]
    assert ctypes.sizeof(ServiceStatusProcess) == measured["size64"] == measured["size32"]
    offsets = [getattr(ServiceStatusProcess, field[0]).offset for field in ServiceStatusProcess._fields_]
    assert offsets == sorted(at for at, _ in measured["fields"].values())
    assert ServiceStatusProcess.state.offset == measured["fields"]["dwCurrentState"][0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", [system.STOPPED, system.RUNNING, system.PAUSED])
def test_the_state_of_a_service(state: int) -> None:
    stub = SystemStub(state=state)
    assert stub.system.service_state() == state
    assert (stub.handles, stub.faults) == ({}, [])


def test_a_service_that_there_is_not() -> None:
    stub = SystemStub(service="Another")
    with pytest.raises(Win32Error) as refused:
        stub.system.service_state()
    assert (refused.value.code, stub.handles, stub.faults) == (1060, {}, [])


@pytest.mark.parametrize("function", ["OpenSCManagerW", "OpenServiceW", "QueryServiceStatusEx"])
@pytest.mark.parametrize("error", [5, 1722])
def test_each_call_for_a_state_may_fail(function: str, error: int) -> None:
    stub = SystemStub()
    stub.fail[function] = error
    with pytest.raises(AccessDenied if error == 5 else Win32Error) as refused:
        stub.system.service_state()
    assert (refused.value.code, stub.handles, stub.faults) == (error, {}, [])


@pytest.mark.parametrize(("elevation", "limited"), [(1, False), (2, False), (3, True)])
def test_an_administrator_who_is_not_elevated(elevation: int, limited: bool) -> None:
    stub = SystemStub(elevation=elevation)
    assert stub.system.is_limited() is limited
    assert (stub.handles, stub.faults) == ({}, [])


@pytest.mark.parametrize("function", ["OpenProcessToken", "GetTokenInformation"])
def test_each_call_for_a_token_may_fail(function: str) -> None:
    stub = SystemStub()
    stub.fail[function] = 87
    with pytest.raises(Win32Error) as refused:
        stub.system.is_limited()
    assert (refused.value.code, stub.handles, stub.faults) == (87, {}, [])


@pytest.mark.skipif(sys.platform == "win32", reason="there it is Windows")
def test_no_dll_elsewhere() -> None:
    for load in (system.this_system, system.this_netapi32):
        with pytest.raises(Win32Error) as refused:
            load()
        assert refused.value.code == 50
        assert "no Windows" in refused.value.message
