"""How long work keeps the Server's event loop: the instructions of each turn of it, until nothing is left to do.

What others do between two turns is for who asks: `turns` is a generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from lanman.smb2.messages import Message
from support.disk_server import DiskWorld, FileClient
from support.step_counter import steps

# Instructions that may be executed in one turn of the event loop: less than ten milliseconds.
ONE_TURN: Final = 250_000


def begun(client: FileClient, message: Message) -> bytes:
    """A request of a client, which has still to reach the Server."""
    client.core.send(message, session_id=client.session_id, tree_id=client.tree_id)
    return b"".join(map(bytes, client.core.data_to_send()))


def turns(world: DiskWorld, work: Callable[[], object]) -> Iterator[int]:
    """The instructions of what the Server is told by `work`, and of each turn in which it goes on with that."""
    taken: list[int] = []
    completed = world.dispatch.scheduler.completed

    def counted(ticket: int, result: Any, now: float) -> bool:
        done: list[bool] = []
        taken.append(steps(lambda: done.append(completed(ticket, result, now))))
        return done[0]

    world.dispatch.scheduler.completed = counted  # type: ignore[method-assign]
    try:
        yield steps(work)
        while (effects := world.dispatch.scheduler.effects()) or (
            (deadline := world.dispatch.next_deadline()) is not None and deadline <= world.now
        ):
            for ticket, effect in effects:
                world.perform(ticket, effect)
                yield from taken
                taken.clear()
            yield steps(lambda: world.dispatch.expire(world.now))
    finally:
        del world.dispatch.scheduler.completed
    world.pump()


def longest_turn(world: DiskWorld, client: FileClient, message: Message) -> int:
    """The most instructions that a request takes the Server's event loop in one turn, until it is answered."""
    data = begun(client, message)
    return max(turns(world, lambda: client.connection.receive_data(data, world.now)))
