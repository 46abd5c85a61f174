"""What waits to be sent: in its order, whole, and not copied."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from lanman.net.server.outgoing import Outgoing


class Kernel:
    """A non-blocking socket that takes `room` bytes until it is emptied."""

    def __init__(self, room: int) -> None:
        self.room = self.free = room
        self.arrived = bytearray()
        self.offered: list[Any] = []
        self.calls = 0
        self.error: OSError | None = None

    def send(self, data: Any) -> int:
        return self.sendmsg([data])

    def sendmsg(self, parts: Sequence[Any]) -> int:
        self.calls += 1
        assert 0 < len(parts) <= 1024
        if self.error is not None:
            raise self.error
        if not self.free:
            raise BlockingIOError
        self.offered += parts
        data = b"".join(parts)[: self.free]
        self.free -= len(data)
        self.arrived += data
        return len(data)

    def empty(self, outgoing: Outgoing) -> None:
        """The peer has read all, and the kernel takes again what there is."""
        self.free = self.room
        outgoing.go_on()


@pytest.mark.parametrize("seed", range(20))
def test_all_of_it_arrives_in_its_order(seed: int) -> None:
    chance = random.Random(seed)
    kernel = Kernel(chance.choice([1000, 90_000, 800_000]))
    outgoing = Outgoing(kernel)  # type: ignore[arg-type]
    sent = bytearray()
    for _ in range(30):
        sizes = [chance.choice([1, 80, 4000, 20_000, 300_000]) for _ in range(3)]
        parts = [chance.randbytes(size) for size in sizes[: chance.randint(1, 3)]]
        outgoing.send([memoryview(part) for part in parts])
        sent += b"".join(parts)
        assert outgoing.size == len(sent) - len(kernel.arrived)
        if chance.random() < 0.5:
            kernel.empty(outgoing)
    while outgoing.size:
        kernel.empty(outgoing)
    assert kernel.arrived == sent


def test_what_waits_is_not_copied() -> None:
    kernel = Kernel(room=1024 * 1024)
    outgoing = Outgoing(kernel)  # type: ignore[arg-type]
    answer = bytes(8 * 1024 * 1024)
    outgoing.send([bytes(84), answer])
    while outgoing.size:
        kernel.empty(outgoing)
    assert len(kernel.arrived) == 84 + len(answer)
    assert all(part.obj is answer for part in kernel.offered if len(part) > 84 and not isinstance(part, bytes))
    assert kernel.calls <= 2 * 9


def test_small_answers_are_one_call_each_and_leave_nothing_behind() -> None:
    kernel = Kernel(room=100_000)
    outgoing = Outgoing(kernel)  # type: ignore[arg-type]
    outgoing.send([b"answer"])
    outgoing.send([b"a", b"b", b"c"])
    assert kernel.arrived == b"answerabc"
    assert outgoing.size == 0
    assert kernel.calls == 2


def test_thousands_that_wait_go_in_few_calls() -> None:
    kernel = Kernel(room=0)
    outgoing = Outgoing(kernel)  # type: ignore[arg-type]
    for _ in range(3000):
        outgoing.send([b"x"])
    kernel.room = 1 << 20
    kernel.calls = 0
    kernel.empty(outgoing)
    assert kernel.arrived == b"x" * 3000
    assert kernel.calls <= 50


def test_nothing_is_left_of_what_is_forgotten() -> None:
    kernel = Kernel(room=10)
    outgoing = Outgoing(kernel)  # type: ignore[arg-type]
    outgoing.send([bytes(100), b"the end"])
    assert outgoing.size == 97
    outgoing.forget()
    kernel.empty(outgoing)
    assert outgoing.size == 0
    assert len(kernel.arrived) == 10


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_a_peer_that_has_gone_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    outgoing = Outgoing(ours)
    outgoing.send([bytes(1 << 22), b"more"])
    assert outgoing.size
    theirs.close()
    with pytest.raises(OSError):
        outgoing.go_on()
    with pytest.raises(OSError):
        Outgoing(ours).send([b"answer"])
