"""A pause among newcomers: whatever they were at when it came, nobody but administrators comes from then on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from lanman import codes
from lanman.errors import StatusError
from lanman.events import LogonRefused, ServerPaused, SessionOpened, TreeConnected
from lanman.rpc import svcctl as scm
from lanman.rpc.svcctl import SVCCTL
from lanman.smb2.client import ResponseReceived
from lanman.smb2.messages import CreateRequest, TreeConnectRequest
from support.memory_server import Client, World

REFUSED = (codes.STATUS_SHARING_PAUSED, codes.STATUS_SUCCESS)


class Newcomer:
    """Somebody who logs on, connects to IPC$, opens a pipe, and leaves, step by step, again and again."""

    def __init__(self, world: World, user: str, draw: random.Random) -> None:
        self.world, self.user, self.draw = world, user, draw
        self.client: Client | None = None
        self.finish: Callable[[], ResponseReceived] | None = None
        self.connected = False

    def step(self) -> None:
        client = self.client
        if client is None:
            self.client = self.world.connect()
        elif client.session_id == 0 and self.finish is None:
            self.finish = client.log_on_step_by_step(self.user)
        elif self.finish is not None:
            finish, self.finish = self.finish, None
            assert finish().status in REFUSED
        elif not self.connected:
            answer = client.ask(TreeConnectRequest(0, r"\\server\IPC$"), tree_id=0)
            assert answer.status in REFUSED
            self.connected = answer.status == codes.STATUS_SUCCESS
            client.tree_id = answer.header.tree_id
        elif self.user and self.draw.random() < 0.5:
            # Who is there goes on with what there is.
            client.want(CreateRequest(desired_access=0x0012019F, share_access=3, name="srvsvc"))
        else:
            self.world.disconnect(client)
            self.client, self.connected = None, False


def ordered(world: World) -> Callable[[int], int]:
    """An administrator who gives the service a control code, by the pipe; its new state."""
    admin = world.connect().log_on("admin").bind(SVCCTL)
    manager = admin.call(scm.ROpenSCManagerW(None, None, 1)).sc_handle
    service = admin.call(scm.ROpenServiceW(manager, "LanmanServer", scm.SERVICE_ALL_ACCESS)).sc_handle
    return lambda code: int(admin.call(scm.RControlService(service, code)).state)


@pytest.mark.parametrize("seed", range(40))
def test_nobody_comes_once_it_is_paused(seed: int) -> None:
    draw = random.Random(seed)
    world = World()
    order = ordered(world)
    people = [Newcomer(world, draw.choice(["ann", "bob", "", "admin"]), draw) for _ in range(5)]
    for _ in range(4):
        for _ in range(draw.randrange(40)):
            draw.choice(people).step()
        assert order(2) == 7
        there = set(world.service.sessions())
        connected = {tree.global_id for tree in world.service.tree_connects()}
        del world.events[:]
        for _ in range(40):
            draw.choice(people).step()
            newcomers = set(world.service.sessions()) - there
            assert all(session.user_name == "admin" for session in newcomers)
        for event in world.events:
            if isinstance(event, SessionOpened):
                assert event.session.user_name == "admin"
            if isinstance(event, TreeConnected):
                assert event.tree_connect.user_name == "admin"
                assert event.tree_connect.id not in connected
        assert order(3) == 4
    assert not any(isinstance(event, ServerPaused) for event in world.events)
    refused = [person for person in people if person.client is not None and person.client.session_id == 0]
    for person in refused:  # continued: everybody gets in again
        for _ in range(3):
            if person.client is not None and person.client.session_id == 0:
                person.step()
        assert person.client is not None
        assert person.client.session_id != 0


def test_who_comes_again_is_refused_and_the_session_of_before_ends() -> None:
    """A client that has come again, while its old connection is thought to stand, is refused; its old session ends, as
    it says itself (PreviousSessionId, MS-SMB2 3.3.5.5.3)."""
    world = World()
    order = ordered(world)
    ann = world.connect().log_on("ann")
    bob = world.connect().log_on("bob")
    order(2)
    with pytest.raises(StatusError) as refused:
        world.connect().log_on("ann", previous=ann.session_id)
    assert refused.value.status == codes.STATUS_SHARING_PAUSED
    assert world.users() == ["admin", "bob"]
    with pytest.raises(StatusError):
        world.connect().log_on("ann", previous=bob.session_id)  # another's does not
    assert world.users() == ["admin", "bob"]
    assert [event.user_name for event in world.events if isinstance(event, LogonRefused)] == ["ann", "ann"]
