"""Accepting connections, as long as there is room and there are descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from typing import cast

import pytest

from lanman.net.descriptors import RESERVE, Descriptors, fit
from lanman.net.listener import Listener, Protocols
from support.waiting import until


class Accepted(asyncio.Protocol):
    """What comes of a connection: it is counted."""

    def __init__(self, door: Door, scarce: bool) -> None:
        self.door = door
        door.scarce.append(scarce)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self.door.transports.append(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.door.lost += 1


class Sock(socket.socket):
    """A listening socket whose accept() fails as often as wanted."""

    failures: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


class Door:
    """A Listener with what it needs."""

    def __init__(self, *, room: int = 1000, scarce_from: int = 1 << 31, failures: tuple[int, ...] = ()) -> None:
        self.room = room
        self.lost = 0
        self.scarce: list[bool] = []
        self.transports: list[asyncio.Transport] = []
        self.paused: list[str] = []
        sock = Sock()
        sock.failures = list(failures)
        sock.bind(("127.0.0.1", 0))
        self.address = sock.getsockname()
        self.listener = Listener(
            sock,
            Protocols(lambda scarce: Accepted(self, scarce)),
            backlog=16,
            has_room=lambda: len(self.transports) < self.room,
            paused=self.paused.append,
            scarce_from=scarce_from,
        )

    async def come(self) -> socket.socket:
        client = socket.socket()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, self.address)
        return client

    def close(self) -> None:
        self.listener.close()
        for transport in self.transports:
            transport.abort()


async def test_accepts_while_there_is_room_and_goes_on_when_there_is_again() -> None:
    door = Door(room=1)
    clients = [await door.come() for _ in range(3)]
    await until(lambda: door.listener.is_paused)
    assert len(door.transports) == 1
    assert door.paused[0] == ""
    door.room = 3
    door.listener.resume()
    await until(lambda: len(door.transports) == 3)
    for client in clients:
        client.close()
    door.close()
    door.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_without_descriptors_it_pauses_quietly_and_goes_on_by_itself(
    number: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lanman.net.listener.RETRY", 0.01)
    door = Door(failures=(number, number))
    client = await door.come()
    await until(lambda: door.transports)
    assert door.paused == [os.strerror(number).lower()] * 2
    assert caplog.messages == []
    client.close()
    door.close()


async def test_a_connection_that_has_gone_already_does_no_harm() -> None:
    door = Door(failures=(errno.ECONNABORTED,))
    client = await door.come()
    await until(lambda: door.transports)
    assert door.paused == []
    client.close()
    door.close()


async def test_says_when_descriptors_are_getting_few() -> None:
    client = socket.socket()
    door = Door(scarce_from=client.fileno() + 3)
    clients = [await door.come() for _ in range(5)]
    await until(lambda: len(door.transports) == 5)
    assert door.scarce == sorted(door.scarce)
    assert door.scarce[-1]
    for each in (client, *clients):
        each.close()
    door.close()


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limits of descriptors, which a test may set: the last is what counts."""
    values = [(1024, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: values[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, both: values.append(both))
    return values


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "raised", "found"),
    [
        (1024, 1024, 4096, None, Descriptors(1024, 480)),
        (1024, 4096, 4096, 4096, Descriptors(4096, 2016)),
        (1024, 1 << 20, 4096, 65536, Descriptors(65536, 4096)),
        (1024, 1 << 20, 100_000, 200_064, Descriptors(200_064, 100_000)),
        (65536, 1 << 20, 4096, None, Descriptors(65536, 4096)),
        (1024, resource.RLIM_INFINITY, 4096, 65536, Descriptors(65536, 4096)),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4096, None, Descriptors(65536, 4096)),
        (64, 64, 4096, None, Descriptors(64, 28)),
    ],
)
def test_the_limit_of_descriptors_is_raised_as_far_as_may_and_need_be(
    limits: list[tuple[int, int]], soft: int, hard: int, wanted: int, raised: int | None, found: Descriptors
) -> None:
    limits[:] = [(soft, hard)]
    assert fit(wanted) == found
    assert limits[1:] == ([] if raised is None else [(raised, hard)])
    assert found.connections < found.scarce_from <= found.limit


def test_a_limit_that_cannot_be_raised_is_what_there_is(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(which: int, both: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limits[:] = [(1024, 1 << 20)]
    assert fit(4096) == Descriptors(1024, (1024 - RESERVE) // 2)
