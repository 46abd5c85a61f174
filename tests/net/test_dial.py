"""Connecting to the first of several addresses, in time."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from lanman.errors import ConnectionLost
from lanman.net import dial as dialling
from lanman.net.dial import Within, dial
from lanman.net.resolve import Address
from support.waiting import free_port, until

Connect = Callable[[socket.socket, Any], Awaitable[None]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    return free_port()


def local(port: int) -> Address:
    return socket.AF_INET, ("127.0.0.1", port)


async def test_one_address(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with await dial("fs1", port, [local(port)]) as connection:
        assert connection.getpeername() == listener.getsockname()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_one_address_needs_no_race() -> None:
    script = "import asyncio, socket, sys; from lanman.net.dial import dial\n"
    script += "with socket.create_server(('127.0.0.1', 0)) as server:\n"
    script += "    where = server.getsockname()\n"
    script += "    asyncio.run(dial('fs1', where[1], [(socket.AF_INET, where)])).close()\n"
    script += "print('aiohappyeyeballs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"


async def test_the_next_address_is_tried_at_once_when_one_refuses(listener: socket.socket, closed_port: int) -> None:
    port = listener.getsockname()[1]
    with await dial("fs1", port, [local(closed_port), local(closed_port), local(port)]) as connection:
        assert connection.getpeername() == listener.getsockname()


def connecting(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    """Have `connect` stand in for the kernel's answers to connect()."""
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)


async def test_a_silent_address_does_not_hold_up_the_others(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    silent, cancelled = local(1), asyncio.Event()
    really = asyncio.get_running_loop().sock_connect
    sockets: list[socket.socket] = []

    async def connect(sock: socket.socket, where: Any) -> None:
        sockets.append(sock)
        if where == silent[1]:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        await really(sock, where)

    connecting(monkeypatch, connect)
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY", 0.001)
    with await dial("fs1", port, [silent, local(port)]) as connection:
        assert connection.getpeername() == listener.getsockname()
    assert cancelled.is_set()
    assert len(asyncio.all_tasks()) == 1
    assert [sock.fileno() for sock in sockets] == [-1, -1]


async def test_a_race_that_is_called_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is the caller's: it ends every attempt."""
    sockets: list[socket.socket] = []

    async def connect(sock: socket.socket, where: Any) -> None:
        sockets.append(sock)
        await asyncio.Event().wait()

    connecting(monkeypatch, connect)
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY", 0.001)
    racing = asyncio.ensure_future(dial("fs1", 445, [local(1), local(2), local(3)]))
    await until(lambda: len(sockets) == 3)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert len(asyncio.all_tasks()) == 1
    assert [sock.fileno() for sock in sockets] == [-1, -1, -1]


@pytest.mark.parametrize("count", [1, 2])
async def test_it_comes_from_the_local_address(listener: socket.socket, count: int) -> None:
    port = listener.getsockname()[1]
    with await dial("fs1", port, [local(port)] * count, "127.0.0.3") as connection:
        assert connection.getsockname()[0] == "127.0.0.3"
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("count", [1, 3])
async def test_refused_everywhere(closed_port: int, count: int) -> None:
    with pytest.raises(ConnectionLost, match=rf"\\\\fs1: nothing listens on port {closed_port}") as raised:
        await dial("fs1", closed_port, [local(closed_port)] * count)
    assert raised.value.code == 1225
    assert raised.value.hint


async def test_unreachable_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(sock: socket.socket, where: Any) -> None:
        raise OSError(errno.EHOSTUNREACH if where[1] == 1 else errno.ECONNREFUSED, "no")

    connecting(monkeypatch, connect)
    with pytest.raises(ConnectionLost, match="No route to host, Connection refused") as raised:
        await dial("fs1", 445, [local(1), local(2)])
    assert raised.value.code == 53


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    v6: list[Address] = [(socket.AF_INET6, (f"::{n}", 445, 0, 0)) for n in range(1, 4)]
    v4: list[Address] = [(socket.AF_INET, ("10.0.0.1", 445))]
    tried: list[Any] = []

    async def connect(sock: socket.socket, where: Any) -> None:
        tried.append((sock.family, where))
        raise OSError(errno.EHOSTUNREACH, "no")

    connecting(monkeypatch, connect)
    with pytest.raises(ConnectionLost, match=r"\(No route to host\)"):
        await dial("fs1", 445, [*v6, *v4])
    assert tried == [v6[0], v4[0], v6[1], v6[2]]


async def test_within_names_what_was_waited_for() -> None:
    with pytest.raises(ConnectionLost, match=r"^fs1: no answer to the log-on within 0\.001 seconds$") as raised:
        async with Within(0.001, lambda: "fs1: no answer to the log-on"):
            await asyncio.Event().wait()
    assert raised.value.code == 121


async def test_within_a_deadline_that_has_passed() -> None:
    with pytest.raises(ConnectionLost, match="in time"):
        async with Within(None, lambda: "fs1: no answer", deadline=0.0):
            await asyncio.Event().wait()


async def test_within_lets_other_errors_through() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Within(60, lambda: "fs1"):
            raise ZeroDivisionError


async def test_within_lets_the_callers_own_time_limit_through() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), Within(60, lambda: "fs1"):
            await asyncio.Event().wait()


async def test_within_tells_its_own_end_from_being_cancelled() -> None:
    async def work(within: Within) -> None:
        async with within:
            try:
                await asyncio.Event().wait()
            finally:
                asyncio.current_task().cancel()  # type: ignore[union-attr]  # somebody else, in the same turn

    task = asyncio.create_task(work(Within(0, lambda: "fs1")))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_within_leaves_no_cancellation_behind() -> None:
    async with Within(60, lambda: "outer"):
        with pytest.raises(ConnectionLost, match="inner"):
            async with Within(0, lambda: "inner"):
                await asyncio.Event().wait()
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        await asyncio.sleep(0)


async def test_within_an_error_counts_although_it_is_too_late() -> None:
    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with Within(0, lambda: "fs1"):
            await fails()


async def test_within_is_over_with_what_is_awaited_in_it_although_it_is_suspended() -> None:
    """Somebody else's wait may outlast it: nothing is cancelled afterwards."""
    within = Within(0.01, lambda: "fs1")
    goes_on = asyncio.Event()

    async def outlasts() -> None:
        with within.suspended():
            await goes_on.wait()

    async with within:
        other = asyncio.create_task(outlasts())
        await asyncio.sleep(0)
    goes_on.set()
    await other
    assert within._timer is not None
    assert within._timer.cancelled()
