"""Handlers that have to wait, in a Server in memory: results, failures, time, cancellation, STATUS_PENDING."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lanman import codes
from lanman.server import handlers
from lanman.server.effects import LATER, Effect, ReadAccounts, Reply, Until, Work
from lanman.server.requests import PENDING_AFTER
from lanman.server.scheduler import BUDGET, Scheduler
from lanman.server.state import Context
from lanman.smb2.constants import ANY_FILE_ID, SMB2_FLUSH, SMB2_QUERY_INFO
from lanman.smb2.messages import EchoRequest, FlushRequest, FlushResponse, LogoffRequest, QueryInfoRequest
from support.memory_server import Client, World
from support.smb2_pair import send_compound


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Logged on and with a pipe, on a Server whose FLUSH reads the accounts and whose QUERY_INFO takes 3 seconds."""

    def flush(context: Context, message: FlushRequest) -> Work[Reply]:
        yield ReadAccounts()
        return Reply(message=FlushResponse())

    def query_info(context: Context, message: Any) -> Work[Reply]:
        yield Until(context.now + 3)
        return Reply(codes.STATUS_NOT_SUPPORTED)

    commands = dict(handlers.COMMANDS)
    commands[SMB2_FLUSH] = handlers.Command(flush, handlers.Needs.TREE)
    commands[SMB2_QUERY_INFO] = handlers.Command(query_info, handlers.Needs.TREE)
    monkeypatch.setattr("lanman.server.dispatch.COMMANDS", commands)
    return World().connect().log_on("admin").bind()


FLUSH = FlushRequest(ANY_FILE_ID)


def held(client: Client) -> int:
    """A FLUSH whose effect is not performed yet."""
    client.world.hold_effects = True
    return client.send(FLUSH)


def release(client: Client) -> None:
    client.world.hold_effects = False
    client.world.pump()


def test_a_result_is_fed_back(client: Client) -> None:
    assert client.ask(FLUSH).status == 0
    assert client.pendings == []


def test_a_failure_is_the_answer(client: Client) -> None:
    client.world.fail_effects = codes.STATUS_DISK_FULL
    assert client.ask(FLUSH).status == codes.STATUS_DISK_FULL


def test_others_go_on_meanwhile(client: Client) -> None:
    number = held(client)
    assert client.ask(EchoRequest()).status == 0
    assert number not in client.answers
    release(client)
    assert client.answers[number].status == 0


def test_who_waits_for_long_is_told(client: Client) -> None:
    number = held(client)
    client.world.advance(PENDING_AFTER / 2)
    assert client.pendings == []
    client.world.advance(PENDING_AFTER)
    assert client.pendings == [number]
    release(client)
    assert client.answers[number].status == 0


def test_time_is_waited_for(client: Client) -> None:
    number = client.send(QueryInfoRequest(1, 5, 100))
    client.world.advance(2.9)
    assert number not in client.answers
    assert client.pendings == [number]
    client.world.advance(0.2)
    assert client.answers[number].status == codes.STATUS_NOT_SUPPORTED


def test_an_effect_is_not_cancelled_by_its_client(client: Client) -> None:
    number = held(client)
    client.core.cancel(number)
    client.world.pump()
    assert number not in client.answers
    release(client)
    assert client.answers[number].status == 0


@pytest.mark.parametrize("tell", [False, True])
def test_the_end_of_its_session_cancels_it(client: Client, tell: bool) -> None:
    world = client.world
    number = held(client)
    if tell:
        world.advance(1)
    assert client.ask(LogoffRequest(), tree_id=0).status == 0
    assert client.answers[number].status == codes.STATUS_CANCELLED
    ((ticket, _),) = world.dispatch.scheduler.effects()
    assert not world.dispatch.scheduler.completed(ticket, world.accounts, world.now)


def test_the_end_of_its_connection_does_too(client: Client) -> None:
    world = client.world
    held(client)
    world.disconnect(client)
    ((ticket, _),) = world.dispatch.scheduler.effects()
    assert not world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    assert not world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    world.advance(10)


def test_a_chain_goes_on_where_it_waited(client: Client) -> None:
    world = client.world
    world.hold_effects = True
    numbers = send_compound(
        client.core,
        [EchoRequest(), FLUSH, FLUSH, EchoRequest()],
        session_id=client.session_id,
        tree_id=client.tree_id,
        related=False,
    )
    world.pump()
    assert not set(numbers) & set(client.answers)
    for _ in range(2):
        ((ticket, _),) = world.dispatch.scheduler.effects()
        assert world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    world.pump()
    assert client.order[-4:] == numbers
    assert {client.answers[number].status for number in numbers} == {0}


def test_many_chains_come_back_in_any_order(client: Client) -> None:
    world = client.world
    numbers = [held(client) for _ in range(5)]
    tickets = [ticket for ticket, _ in world.dispatch.scheduler.effects()]
    finish: Callable[[int], bool] = lambda ticket: world.dispatch.scheduler.completed(ticket, None, world.now)  # noqa: E731
    assert all(finish(ticket) for ticket in reversed(tickets))
    world.pump()
    assert client.order[-5:] == numbers[::-1]


def test_what_waits_for_nothing_is_performed_where_it_is_asked_for(client: Client) -> None:
    client.world.hold_effects = True
    done: list[Effect[Any]] = []

    def at_once(effect: Effect[Any]) -> Any:
        done.append(effect)
        return LATER if len(done) == 3 else None

    client.world.dispatch.scheduler.at_once = at_once
    assert client.ask(FLUSH).status == 0
    first, second = client.send(FLUSH), client.send(FLUSH)
    assert client.answers[first].status == 0
    assert second not in client.answers, "LATER: it is performed as any other"
    release(client)
    assert client.answers[second].status == 0
    assert done == [ReadAccounts()] * 3


def test_a_task_goes_on_with_what_waits_for_nothing() -> None:
    scheduler, found = Scheduler(), list[Any]()

    def work() -> Work[None]:
        found.append((yield ReadAccounts()))
        found.append((yield Until(5)))

    scheduler.at_once = lambda effect: "at once"
    task = scheduler.start(work())
    assert (found, task.over, scheduler.effects()) == (["at once"], False, [])
    scheduler.expire(6)
    assert task.over


def test_what_is_performed_at_once_costs_as_much_as_a_step(client: Client) -> None:
    """Whoever asks for very much of it does not hold the loop."""
    world, scheduler = client.world, client.world.dispatch.scheduler
    scheduler.at_once = lambda effect: world.accounts
    for _ in range(BUDGET):
        client.core.send(FLUSH, session_id=client.session_id, tree_id=client.tree_id)
    before = len(client.order)
    scheduler.refill()
    client.connection.receive_data(b"".join(map(bytes, client.core.data_to_send())), world.now)
    for data in client.connection.data_to_send():
        client.deliver(bytes(data))
    assert len(client.order) - before == BUDGET // 4, "a frame, its request, what is performed, and the answer"
    assert scheduler.needs_turn
    world.pump()
    assert len(client.order) - before == BUDGET


def test_what_a_task_does_at_once_costs_as_much_as_steps() -> None:
    scheduler = Scheduler()
    scheduler.at_once = lambda effect: None

    def work() -> Work[None]:
        for _ in range(BUDGET // 2):
            yield ReadAccounts()

    assert not scheduler.needs_turn
    assert scheduler.start(work()).over
    assert scheduler.needs_turn
