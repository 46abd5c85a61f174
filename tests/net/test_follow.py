"""Following a real Server over its control socket: each change exactly once, and what a slow or late follower hears."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lanman import codes, open_manager
from lanman.domain import LimitReached, Reason, ServerService, Share
from lanman.errors import AccessDenied, ConnectionLost, EventsLost, Win32Error
from lanman.events import Event, ServerState, ServerStopped, SessionClosed, SessionOpened
from lanman.net.control import server as control_server
from lanman.net.control.client import ControlClient
from lanman.net.control.follow import EventFollower
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.rpc import control_events
from lanman.rpc.control_events import EventEntry, TakeSnapshotResponse, WaitForEvents
from lanman.server import following
from lanman.server.effects import Work
from lanman.server.feed import Feed
from lanman.settings import Limits
from support.loopback_server import PASSWORDS, running_server
from support.waiting import until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


# Without accounts here: what these may do is not looked up, so that their sessions change by what a test does alone.
STRANGERS = ("stranger", "visitor")


def described(service: ServerService) -> ServerState:
    work = service.describe(1 << 30)
    try:
        next(work)
    except StopIteration as end:
        state: ServerState = end.value
        return state
    raise AssertionError("it is too large")


def log_on(server: SmbServer, number: int, user: str = STRANGERS[0]) -> None:
    now = asyncio.get_running_loop().time()
    server.service.register_session(number, number, f"PC{number}", user, now=now)
    server.flush()


async def test_from_a_snapshot_on(server: SmbServer) -> None:
    """What a real client does, seen from the socket."""
    admin = Credentials("admin", PASSWORDS["admin"])
    async with ControlClient(server.home.control) as client:
        follower = await EventFollower.begin(client)
        assert follower.state.running
        assert follower.state.sequence == server.service.sequence
        assert follower.state == described(server.service)
        assert set(follower.state.shares) == {"IPC$"}
        async with open_manager("127.0.0.1", admin, port=server.port) as manager:
            await manager.sessions()
            while not follower.state.files:
                await follower.more()
            (session,) = follower.state.sessions.values()
            assert (session.user_name, session.client_name) == ("admin", r"\\127.0.0.1")
            (file,) = follower.state.files.values()
            assert (file.path, file.share, file.session_id) == (r"\PIPE\srvsvc", "IPC$", session.id)
        seen: list[Event] = []
        while follower.state.connections:
            seen += await follower.more()
        assert [event.sequence for event in seen] == list(range(seen[0].sequence, server.service.sequence + 1))
        assert [event.reason for event in seen if isinstance(event, SessionClosed)] == [Reason.LOGOFF]
        assert follower.state == described(server.service)


async def happen(server: SmbServer, choose: random.Random, numbers: range) -> None:
    """Random changes, some in one turn of the event loop and some in several."""
    service = server.service
    for number in numbers:
        now = asyncio.get_running_loop().time()
        sessions, opens = service.sessions(), service.opens()
        what = choose.random()
        if what < 0.3 or not sessions:
            try:
                service.register_session(choose.randint(1, 4), number, "PC", choose.choice(STRANGERS), now=now)
            except LimitReached:
                pass
        elif what < 0.6:
            session = choose.choice(sessions)
            tree = service.register_tree_connect(session, number, choose.choice(service.shares()), now)
            service.register_open(session, tree, number, f"/srv/{number}", 1, now)
        elif what < 0.7:
            service.close_session(choose.choice(sessions), Reason.DELETED)
        elif what < 0.75:
            service.reauthenticate(choose.choice(sessions), "late stranger")
        elif what < 0.8:
            service.add_share(Share(f"share{number}", path="/srv"))
        elif opens and what < 0.9:
            service.close_open(choose.choice(opens))
        elif opens:
            service.rename_open(choose.choice(opens), f"/srv/new{number}", opens[0])
        if choose.random() < 0.4:
            server.flush()
            await asyncio.sleep(0)
    server.flush()


async def follow(
    server: SmbServer, batch: int, begun: asyncio.Barrier, until: asyncio.Event
) -> tuple[ServerState, list[Event], int]:
    """Follow from now on, in batches of that size, to the end. What is known then, seen, and how often lost."""
    seen: list[Event] = []
    lost = 0
    async with ControlClient(server.home.control) as client:
        follower = await EventFollower.begin(client)
        beginning = asyncio.create_task(begun.wait())
        while not (until.is_set() and follower.state.sequence == server.service.sequence):
            try:
                seen += await follower.more(0.05, batch)
            except EventsLost:
                lost += 1
                await follower.begin_again()
        await beginning
        return follower.state, seen, lost


@pytest.mark.parametrize("seed", range(6))
async def test_each_change_exactly_once(server: SmbServer, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several followers at once, some too slow for a small ring: all end with what there is."""
    monkeypatch.setattr(following, "PART", 7)
    server.feed._max_events = 40 if seed % 2 else 10_000
    everything: list[Event] = []
    server.service.subscribe(everything.append)
    begun, over = asyncio.Barrier(5), asyncio.Event()
    followers = [asyncio.create_task(follow(server, batch, begun, over)) for batch in (1, 3, 1000)]
    choose = random.Random(seed)
    first = server.service.sequence
    await happen(server, choose, range(1, 120))
    late = asyncio.create_task(follow(server, 50, begun, over))
    await happen(server, choose, range(120, 180))
    async with asyncio.timeout(60):
        # However long it took them to begin, each of them sees some of what happens.
        await begun.wait()
        await happen(server, choose, range(180, 200))
        over.set()
        results = await asyncio.gather(*followers, late)
    now = described(server.service)
    by_number = {event.sequence: event for event in everything}
    for state, seen, lost in results:
        assert state == now
        numbers = [event.sequence for event in seen]
        assert numbers == sorted(set(numbers))
        assert lost or numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert seen == [by_number[number] for number in numbers]
    assert len(everything) == server.service.sequence - first
    assert server.feed.followers == 0 or await gone(server.feed)
    assert server.feed.kept == (0, 0)


async def gone(feed: Feed) -> bool:
    """The last connections are noticed to be closed a moment later."""
    await until(lambda: not feed.followers)
    return True


async def test_a_large_snapshot_comes_in_parts(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.settings.current = replace(server.settings.current, limits=Limits(sessions_per_connection=0))
    for number in range(1, 2501):
        now = asyncio.get_running_loop().time()
        server.service.register_session(1, number, "PC", f"user{number}", now=now)
    asked: list[int] = []
    call = following.Following.call
    monkeypatch.setattr(
        following.Following,
        "call",
        lambda self, request: asked.append(request.begin) or call(self, request),  # type: ignore[func-returns-value]
    )
    async with ControlClient(server.home.control) as client:
        follower = await EventFollower.begin(client)
    assert asked == [1, 0, 0]
    assert len(follower.state.sessions) == 2500
    assert follower.state == described(server.service)


async def test_a_part_of_a_snapshot_is_bounded_in_bytes(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 paths of 30,000 characters are more than one answer may have."""
    service, now = server.service, asyncio.get_running_loop().time()
    session = service.register_session(1, 1, "PC", STRANGERS[0], now=now)
    tree = service.register_tree_connect(session, 1, service.shares()[0], now)
    for number in range(1, 601):
        service.register_open(session, tree, number, f"/srv/{number}/" + "x" * 30_000, 1, now)
    parts: list[int] = []
    respond = following.Following._next_part

    def measured(self: following.Following) -> Work[TakeSnapshotResponse]:
        response = yield from respond(self)
        parts.append(sum(len(entry.path or "") for entry in response.entries or []))
        return response

    monkeypatch.setattr(following.Following, "_next_part", measured)
    async with ControlClient(server.home.control) as client:
        follower = await EventFollower.begin(client)
    assert follower.state == described(service)
    assert max(parts) <= following.PART_BYTES + 30_100
    assert len(parts) > 3


async def test_a_long_answer_is_packed_in_pieces(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that many who follow a busy Server do not hold its loop."""
    turn, packed = 0, list[int]()
    pack = control_events.pack_event

    def counted(event: Event) -> EventEntry:
        packed.append(turn)
        return pack(event)

    async def turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(following, "pack_event", counted)
    async with ControlClient(server.home.control) as client:
        follower = await EventFollower.begin(client)
        for number in range(500):
            server.service.add_share(Share(f"share{number}"))
        packed.clear()
        counting = asyncio.create_task(turns())
        assert len(await follower.more()) == 500
        counting.cancel()
    assert len(packed) == 500
    assert max(packed.count(each) for each in packed) == following.PACKED_AT_ONCE


async def test_what_waits_is_answered_when_something_happens(server: SmbServer) -> None:
    async with ControlClient(server.home.control) as client, ControlClient(server.home.control) as other:
        follower, second = await EventFollower.begin(client), await EventFollower.begin(other)
        waiting = [asyncio.create_task(each.more(60.0)) for each in (follower, second)]
        await until(lambda: server.feed._followers and all(each._more for each in server.feed._followers))
        log_on(server, 7)
        async with asyncio.timeout(60):
            for events in await asyncio.gather(*waiting):
                (event,) = events
                assert isinstance(event, SessionOpened)
        assert await follower.more(0.01) == []


async def test_a_waiting_call_ends_with_its_connection(server: SmbServer) -> None:
    client = await ControlClient(server.home.control).__aenter__()
    follower = await EventFollower.begin(client)
    waiting = asyncio.create_task(follower.more(60.0))
    await until(lambda: all(each._more for each in server.feed._followers))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await gone(server.feed)
    log_on(server, 1)
    assert server.feed.kept == (0, 0)


async def test_a_position_of_another_run(tmp_path: Path) -> None:
    async with running_server(tmp_path / "one") as server, ControlClient(server.home.control) as client:
        old = await EventFollower.begin(client)
    async with running_server(tmp_path / "two") as server, ControlClient(server.home.control) as client:
        new = await EventFollower.begin(client)
        assert new._instance != old._instance
        new._instance, new.state.sequence = old._instance, old.state.sequence
        with pytest.raises(EventsLost) as caught:
            await new.more()
        assert caught.value.code == codes.ERROR_NOTIFY_ENUM_DIR
        await new.begin_again()
        log_on(server, 1)
        assert len(await new.more()) == 1


async def test_without_a_snapshot_there_is_nothing_to_wait_for(server: SmbServer) -> None:
    async with ControlClient(server.home.control) as client:
        answer = await client.call(WaitForEvents(server.feed.instance, 0, 0, 60_000))
        assert answer.status == codes.ERROR_NOTIFY_ENUM_DIR
    assert server.feed.followers == 0


async def test_so_many_may_follow(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_FOLLOWERS", 1)
    async with ControlClient(server.home.control) as client, ControlClient(server.home.control) as other:
        first = await EventFollower.begin(client)
        with pytest.raises(Win32Error) as caught:
            await EventFollower.begin(other)
        assert caught.value.code == codes.ERROR_REQ_NOT_ACCEP
        await first.begin_again()


async def test_who_has_no_rights_may_not_follow(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "peer_of", lambda sock: os.geteuid() + 12345)
    async with ControlClient(server.home.control) as client:
        with pytest.raises(AccessDenied, match=r".*"):
            await EventFollower.begin(client)
        with pytest.raises(AccessDenied):
            await EventFollower(client).more()
    assert server.feed.followers == 0


async def test_the_last_event_is_that_it_stops(tmp_path: Path) -> None:
    async with running_server(tmp_path / "home") as server:
        client = await ControlClient(server.home.control).__aenter__()
        follower = await EventFollower.begin(client)
        log_on(server, 1)
        waiting = asyncio.create_task(follower.more())
        assert [type(event) for event in await waiting] == [SessionOpened]
        waiting = asyncio.create_task(follower.more(60.0))
        await until(lambda: all(each._more for each in server.feed._followers))
        stopping = asyncio.create_task(server.stop())
        events = await waiting
        await stopping
    assert [type(event) for event in events] == [SessionClosed, ServerStopped]
    assert not follower.state.running
    with pytest.raises(ConnectionLost):
        await follower.more()
    client.close()
