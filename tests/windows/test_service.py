"""Windows' Server service by Wine's service control manager, which is a real one, and a service that only has states.

Wine knows no dependants of a service (`EnumDependentServices` gives none): that they are stopped first is tested with
the stand-in for advapi32 alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import lanman
from lanman.errors import Win32Error
from lanman.manage.windows.manager import is_started, opened_windows
from lanman.manage.windows.system import this_system
from lanman.records import ServiceState
from windows.conftest import Fake, Ran, Service


@pytest.fixture(autouse=True)
def no_home_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a home means a Server of lanman, and Windows' own is not asked then (tests/conftest.py names one)."""
    monkeypatch.delenv("LANMAN_HOME")


def test_the_state_of_the_service(service: Service) -> None:
    system = this_system()
    assert (system.service_state(), is_started()) == (1, False)
    service.start()
    assert (system.service_state(), is_started()) == (4, True)
    service.order(2, 7)
    assert (system.service_state(), is_started()) == (7, True)
    with pytest.raises(Win32Error) as refused:
        system.service_state("NoSuchService")
    assert refused.value.code == 1060


async def test_it_is_windows_own_that_answers_while_it_runs(fake: Fake, service: Service, tmp_path: object) -> None:
    with pytest.raises(Win32Error) as refused:
        async with lanman.open_manager(service="windows"):
            raise AssertionError("opened")
    assert refused.value.code == 2114
    assert "net start server" in str(refused.value.hint)
    service.start()
    async with lanman.open_manager() as manager:
        assert len((await manager.sessions()).entries) == 5
        assert manager.answered_by is not None


async def test_pause_and_continue(service: Service) -> None:
    service.start()
    async with lanman.open_manager(service="windows") as manager:
        assert await manager.service_state() is ServiceState.RUNNING
        assert await manager.pause()
        assert (service.state, await manager.service_state()) == (7, ServiceState.PAUSED)
        assert not await manager.pause()
        assert await manager.continue_()
        assert (service.state, await manager.service_state()) == (4, ServiceState.RUNNING)
        assert not await manager.continue_()


async def test_start_and_stop(service: Service) -> None:
    manager = opened_windows(timeout=300, deadline=None)
    await manager.start_service()
    assert service.state == 4
    with pytest.raises(Win32Error) as refused:
        await manager.start_service()
    assert refused.value.code == 1056
    await manager.stop_service(lambda dependants: True)
    assert service.state == 1
    with pytest.raises(Win32Error) as refused:
        await manager.stop_service(lambda dependants: True)
    assert refused.value.code == 1062


def test_a_command_while_it_runs_and_while_it_is_stopped(lanman: Callable[..., Ran], service: Service) -> None:
    stopped = lanman("session", "--service", "windows")
    assert stopped.status == 2
    assert b"2114" in stopped.err
    service.start()
    running = lanman("session", "--verbose")
    assert running.status == 0, running.err
    assert "ann" in running.text
    assert b"Windows' own Server service" in running.err
    assert running.report["calls"] >= 1


def test_the_verbs_of_a_service(lanman: Callable[..., Ran], service: Service) -> None:
    def state_after(verb: str, *words: str) -> int:
        ran = lanman(verb, "server", "--service", "windows", "--timeout", "300", *words)
        assert ran.status == 0, ran.err
        return service.state

    assert state_after("start") == 4
    assert state_after("pause") == 7
    assert state_after("continue") == 4
    assert state_after("stop", "--yes") == 1
    assert lanman("stop", "server", "--service", "windows", "--yes").status == 2


@pytest.mark.parametrize("loop", ["ProactorEventLoop", "SelectorEventLoop"])
def test_both_event_loops_of_windows(fake: Fake, service: Service, loop: str) -> None:
    service.start()

    async def ask() -> int:
        async with lanman.open_manager() as manager:
            return len((await manager.sessions()).entries)

    with asyncio.Runner(loop_factory=getattr(asyncio, loop)) as runner:
        assert runner.run(ask()) == 5
