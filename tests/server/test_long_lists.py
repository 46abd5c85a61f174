"""Long lists are looked at and written in pieces, each of which is as much work however long the list is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest

from lanman.domain import Reason, ServerService, Share
from lanman.net.control.calls import ControlEndpoint
from lanman.rpc.control import GetFileDetails, GetSessionDetails
from lanman.rpc.levels import finish
from lanman.rpc.ndr import Call
from lanman.rpc.srvsvc import NetrConnectionEnum, NetrFileEnum, NetrSessionEnum
from lanman.server.feed import Feed
from lanman.server.rights import Caller
from support.memory_server import World
from support.step_counter import steps

ADMIN = Caller("admin", frozenset({"Administrators"}), local_admin=True)
FEW, MANY = 1100, 2200


def crowd(number: int) -> World:
    """So many sessions, each with a tree connect and an open file."""
    world = World()
    service = world.service
    share = Share("data", path="/srv/data")
    service.add_share(share)
    for one in range(number):
        session = service.register_session(one + 1, one + 1, f"192.0.2.{one % 250}", f"user{one % 2}", now=world.now)
        tree = service.register_tree_connect(session, 1, share, world.now)
        service.register_open(session, tree, 1, f"/srv/data/folder/{one}", 1, world.now)
    return world


def pieces(world: World, request: Call[Any]) -> list[int]:
    """How much work each piece of an answer is, in steps of bytecode."""
    if request.interface.name == "srvsvc":
        endpoint: Any = world.endpoint
    else:
        endpoint = ControlEndpoint(Controlled(world))  # type: ignore[arg-type]

    def answer() -> Generator[None, None, None]:
        response = endpoint.call(ADMIN, request, world.now)
        if isinstance(response, Generator):
            response = yield from response
        answered.append((yield from response.pack_in_pieces()))

    answered: list[bytes] = []
    work, took = answer(), []
    while not answered:
        took.append(steps(lambda: next(work, None)))
    return took


class Controlled:
    """What the control socket's calls ask of the Server."""

    def __init__(self, world: World) -> None:
        self.service: ServerService = world.service
        self.feed, self.scheduler = Feed(world.service, "instance"), world.dispatch.scheduler


LISTS: dict[str, Callable[[], Call[Any]]] = {
    **{f"sessions {level}": partial(NetrSessionEnum, None, None, None, level) for level in (0, 1, 2, 10, 502)},
    "sessions of a user": partial(NetrSessionEnum, None, None, "user1", 502),
    "sessions by the page": partial(NetrSessionEnum, None, None, None, 502, [], 10**6, 0),
    "files": partial(NetrFileEnum, None, None, None, 3),
    "files of a user in a folder": partial(NetrFileEnum, None, "C:\\srv\\data\\folder", "user1", 3),
    "tree connects": partial(NetrConnectionEnum, None, "data", 1),
    "details of sessions": partial(GetSessionDetails, 1),
    "details of files": partial(GetFileDetails, 0),
}


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    return crowd(FEW), crowd(MANY)


@pytest.mark.parametrize("name", LISTS)
def test_a_piece_is_as_much_work_however_long_the_list_is(worlds: tuple[World, World], name: str) -> None:
    few, many = (pieces(world, LISTS[name]()) for world in worlds)
    assert max(many) < 1.3 * max(few)
    assert len(many) > len(few) > 1


def test_who_is_listed_is_settled_at_the_beginning_and_what_is_said_of_each_when_it_is_written() -> None:
    world = crowd(FEW)
    first, *_, last = world.service.sessions()
    work: Any = world.endpoint.call(ADMIN, NetrSessionEnum(None, None, None, 502), world.now)
    packing = finish(work).pack_in_pieces()
    next(packing)
    world.service.close_open(first.opens[1])
    world.service.close_open(last.opens[1])
    world.service.close_session(world.service.sessions()[5], Reason.DELETED)
    world.service.register_session(10**6, 10**6, "192.0.2.1", "late", now=world.now)
    listed = NetrSessionEnum(None, None, None, 502).answer(finish(packing)).entries
    assert listed is not None
    assert (len(listed), listed[0].num_opens, listed[-1].num_opens) == (FEW, 1, 0)
    assert "late" not in {entry.user_name for entry in listed}
