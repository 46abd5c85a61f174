"""Generators that wait: how they go on, when they are closed, and what becomes of their errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.domain import Reason
from lanman.errors import StatusError
from lanman.rpc.srvsvc import NetrRemoteTOD
from lanman.server import handlers
from lanman.server.dispatch import ConnectionDispatch
from lanman.server.effects import Detached, Effect, ReadAccounts, Reply, Until, Wait, Waiter, Work
from lanman.server.pipes import PipeOpen
from lanman.server.scheduler import Scheduler
from lanman.server.state import Context
from lanman.smb2.constants import (
    ANY_FILE_ID,
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OVERWRITE_IF,
    FSCTL_SRV_COPYCHUNK,
    FSCTL_SRV_REQUEST_RESUME_KEY,
    SMB2_FLUSH,
    SMB2_OPLOCK_LEVEL_BATCH,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    EchoRequest,
    FlushRequest,
    FlushResponse,
    IoctlRequest,
    LockElement,
    LockRequest,
    LogoffRequest,
    Message,
    QueryDirectoryRequest,
    ReadRequest,
    SetInfoRequest,
    TreeConnectRequest,
    WriteRequest,
)
from support.disk_server import DiskWorld, FileClient
from support.memory_server import World
from support.smb2_pair import send_compound

FLUSH = FlushRequest(ANY_FILE_ID)


class Scripted:
    """A Server whose FLUSH runs `handler`; two clients are logged on and have a pipe."""

    def __init__(self) -> None:
        self.world = World()
        self.client = self.world.connect().log_on("ann").bind()
        self.other = self.world.connect().log_on("bob").bind()
        self.handler: Callable[[Context], Any] = lambda context: Reply(message=FlushResponse())
        self.said: list[Any] = []
        self.errors: list[tuple[ConnectionDispatch | None, str]] = []
        self.world.dispatch._failed = lambda connection, error: self.errors.append((connection, str(error)))

    def waits(self, what: Any, context: Context) -> Work[Reply]:
        """Wait for that and say what has come, or that it has been closed."""
        context.find_open(self.client.file_id)
        try:
            self.said.append((yield what))
        except GeneratorExit:
            self.said.append("closed")
            raise
        return Reply(message=FlushResponse())

    def send(self, what: Any) -> int:
        """A FLUSH that waits for that; effects are held."""
        self.world.hold_effects = True
        self.handler = lambda context: self.waits(what, context)
        return self.client.send(FLUSH)

    def let_go(self) -> None:
        """Perform the effects that were held, and let 2 seconds pass."""
        self.world.hold_effects = False
        self.world.pump()
        self.world.advance(2)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted()
    commands = dict(handlers.COMMANDS)
    commands[SMB2_FLUSH] = handlers.Command(lambda context, message: made.handler(context), handlers.Needs.TREE)
    monkeypatch.setattr("lanman.server.dispatch.COMMANDS", commands)
    return made


# --- what a handler may wait for, and the ways in which it ends

WAITS: dict[str, tuple[Callable[[], Any], bool]] = {
    "effect": (ReadAccounts, False),
    "waiter": (lambda: Wait(Waiter()), True),
    "deferred": (lambda: Wait(Waiter(), deferred=True), True),
    "not cancellable": (lambda: Wait(Waiter(), cancellable=False), False),
    "time": (lambda: Until(1e9), False),
}


@pytest.mark.parametrize("kind", WAITS)
def test_a_client_cancels_what_is_cancellable(scripted: Scripted, kind: str) -> None:
    make, cancellable = WAITS[kind]
    number = scripted.send(make())
    scripted.client.core.cancel(number)
    scripted.world.pump()
    if cancellable:
        assert scripted.client.answers[number].status == codes.STATUS_CANCELLED
        assert scripted.said == ["closed"]
    else:
        assert number not in scripted.client.answers
        assert scripted.said == []


@pytest.mark.parametrize("kind", WAITS)
@pytest.mark.parametrize("end", ["log off", "ended by management", "open closed by management"])
def test_what_it_is_about_ends(scripted: Scripted, kind: str, end: str) -> None:
    number = scripted.send(WAITS[kind][0]())
    (session,) = scripted.client.connection.channels.values()
    if end == "log off":
        assert scripted.client.ask(LogoffRequest(), tree_id=0).status == 0
    elif end == "ended by management":
        scripted.world.service.close_session(session.session, Reason.DELETED)
    else:
        scripted.world.service.close_open(next(iter(session.session.opens.values())), Reason.DELETED)
    scripted.world.pump()
    assert scripted.client.answers[number].status == codes.STATUS_CANCELLED
    assert scripted.said == ["closed"]
    scripted.let_go()
    assert scripted.said == ["closed"]
    assert not scripted.client.connection._waiting
    assert scripted.errors == []


@pytest.mark.parametrize("kind", WAITS)
def test_its_connection_is_lost(scripted: Scripted, kind: str) -> None:
    scripted.send(WAITS[kind][0]())
    scripted.world.disconnect(scripted.client)
    assert scripted.said == ["closed"]
    scripted.let_go()
    assert scripted.said == ["closed"]
    assert scripted.other.want(EchoRequest())


def test_one_whose_step_is_queued_is_closed_with_its_connection(scripted: Scripted) -> None:
    waiter: Waiter[int] = Waiter()
    scripted.send(Wait(waiter))
    scripted.world.dispatch.scheduler._budget = 0
    waiter.wake(7)
    assert scripted.said == []  # it goes on in a step of its own
    scripted.world.disconnect(scripted.client)
    assert scripted.said == ["closed"]


def test_turns_lie_between(scripted: Scripted) -> None:
    """What yields nothing goes on in the next turn of the event loop, when others had theirs."""

    def handler(context: Context) -> Work[Reply]:
        for number in range(3):
            scripted.said.append((number, context.now))
            yield None
        return Reply(message=FlushResponse())

    scripted.handler = handler
    assert scripted.client.ask(FLUSH).status == 0
    assert [number for number, _ in scripted.said] == [0, 1, 2]
    assert scripted.client.pendings == []


def test_a_time_is_waited_for_and_told(scripted: Scripted) -> None:
    at = scripted.world.now + 1.5
    number = scripted.send(Until(at))
    scripted.let_go()
    assert scripted.said == [at]
    assert scripted.client.answers[number].status == 0
    assert scripted.client.pendings == [number]  # it took more than half a second


@pytest.mark.parametrize("before", [False, True])
def test_a_waiter_is_woken(scripted: Scripted, before: bool) -> None:
    waiter: Waiter[int] = Waiter()
    if before:
        waiter.wake(7)
    number = scripted.send(Wait(waiter))
    if not before:
        assert scripted.client.pendings == [number]
        waiter.wake(7)
    waiter.wake(8)
    scripted.world.pump()
    assert scripted.said == [7]
    assert scripted.client.answers[number].status == 0


@pytest.mark.parametrize(("deferred", "told"), [(False, True), (True, False)])
def test_who_waits_is_told_at_once_or_when_it_takes_long(scripted: Scripted, deferred: bool, told: bool) -> None:
    number = scripted.send(Wait(Waiter[None](), deferred=deferred))
    assert scripted.client.pendings == ([number] if told else [])
    scripted.let_go()
    assert scripted.client.pendings == [number]


def test_a_failure_is_raised_where_it_waited(scripted: Scripted) -> None:
    def handler(context: Context) -> Work[Reply]:
        try:
            yield ReadAccounts()
        except StatusError as error:
            scripted.said.append(error.status)
        yield ReadAccounts()
        return Reply(message=FlushResponse())

    scripted.handler = handler
    scripted.world.fail_effects = codes.STATUS_DISK_FULL
    assert scripted.client.ask(FLUSH).status == codes.STATUS_DISK_FULL  # the second one was let through
    assert scripted.said == [codes.STATUS_DISK_FULL]


def test_a_status_that_is_raised_is_the_answer(scripted: Scripted) -> None:
    def handler(context: Context) -> Reply:
        raise StatusError(codes.STATUS_DISK_FULL)

    scripted.handler = handler
    assert scripted.client.ask(FLUSH).status == codes.STATUS_DISK_FULL
    assert scripted.errors == []


# --- errors of ours


def at_the_beginning(scripted: Scripted, context: Context) -> Reply:
    raise KeyError("ours")


def after_an_effect(scripted: Scripted, context: Context) -> Work[Reply]:
    yield ReadAccounts()
    raise KeyError("ours")


def after_a_turn(scripted: Scripted, context: Context) -> Work[Reply]:
    yield None
    raise KeyError("ours")


def when_it_is_closed(scripted: Scripted, context: Context) -> Work[Reply]:
    try:
        yield Until(1e9)
    except GeneratorExit:
        raise KeyError("ours") from None
    return Reply()


@pytest.mark.parametrize(
    "handler", [at_the_beginning, after_an_effect, after_a_turn, when_it_is_closed], ids=lambda each: each.__name__
)
def test_an_error_costs_its_connection_and_no_other(scripted: Scripted, handler: Any) -> None:
    scripted.handler = lambda context: handler(scripted, context)
    number = scripted.client.send(FLUSH)
    if handler is when_it_is_closed:
        scripted.world.service.close_session(
            next(iter(scripted.client.connection.channels.values())).session, Reason.DELETED
        )
        scripted.world.pump()
    assert number not in scripted.client.answers or handler is when_it_is_closed
    assert scripted.errors == [(scripted.client.connection, "'ours'")]
    assert scripted.client.finished == "an error in the server"
    assert scripted.client.connection.connection_id not in scripted.world.dispatch.connections
    assert scripted.other.want(EchoRequest())
    assert scripted.world.users() == ["bob"]


def test_what_yields_something_else_is_an_error(scripted: Scripted) -> None:
    def handler(context: Context) -> Any:
        yield "something else"

    scripted.handler = handler
    scripted.client.send(FLUSH)
    assert scripted.errors == [(scripted.client.connection, "a handler or task has yielded 'something else'")]
    assert scripted.client.finished == "an error in the server"


def test_what_yields_while_it_is_closed_is_an_error(scripted: Scripted) -> None:
    def handler(context: Context) -> Work[Reply]:
        try:
            yield Until(1e9)
        finally:
            yield None
        return Reply()

    scripted.handler = handler
    scripted.client.send(FLUSH)
    scripted.world.disconnect(scripted.client)
    ((connection, why),) = scripted.errors
    assert connection is scripted.client.connection
    assert "GeneratorExit" in why
    assert scripted.other.want(EchoRequest())


# --- compounds


@pytest.mark.parametrize("related", [False, True])
def test_the_effects_of_a_compound_are_performed_in_its_order(scripted: Scripted, related: bool) -> None:
    count = itertools.count()

    def handler(context: Context) -> Work[Reply]:
        number = next(count)
        for part in ("first", "second"):
            scripted.said.append((number, part))
            yield ReadAccounts()
        return Reply(message=FlushResponse())

    scripted.handler = handler
    world, client = scripted.world, scripted.client
    world.hold_effects = True
    ids = {"session_id": client.session_id, "tree_id": client.tree_id}
    numbers = send_compound(client.core, [FLUSH] * 3, related=related, **ids)
    world.pump()
    for done in range(1, 7):
        assert len(scripted.said) == done
        ((ticket, _),) = world.dispatch.scheduler.effects()  # one at a time
        assert world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    world.pump()
    assert scripted.said == [(number, part) for number in range(3) for part in ("first", "second")]
    assert client.order[-3:] == numbers


def test_a_compound_that_is_lost_begins_nothing_more(scripted: Scripted) -> None:
    world, client = scripted.world, scripted.client
    world.hold_effects = True
    scripted.handler = lambda context: scripted.waits(ReadAccounts(), context)
    send_compound(client.core, [FLUSH] * 3, session_id=client.session_id, tree_id=client.tree_id, related=False)
    world.pump()
    ((ticket, _),) = world.dispatch.scheduler.effects()
    world.disconnect(client)
    assert world.dispatch.scheduler.abandoned() == [ticket]
    assert not world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    assert world.dispatch.scheduler.effects() == []
    assert scripted.said == ["closed"]


# --- every request of files, cut at every effect


def create(client: FileClient) -> Message:
    return client.create("new", disposition=FILE_CREATE)


def create_protected_and_going(client: FileClient) -> Message:
    return client.create("new", disposition=FILE_CREATE, options=FILE_DELETE_ON_CLOSE, attributes=1)


def overwrite(client: FileClient) -> Message:
    return client.create("old", disposition=FILE_OVERWRITE_IF)


def delete_on_close(client: FileClient) -> Message:
    return client.create("old", options=FILE_DELETE_ON_CLOSE)


def open_what_another_keeps(client: FileClient) -> Message:
    other = client.world.user("bob")  # type: ignore[attr-defined]
    other.open("old", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    return client.create("old")


def rename(client: FileClient) -> Message:
    name = "old".encode("utf-16-le")
    data = b"\1" + bytes(15) + len(name).to_bytes(4, "little") + name
    return SetInfoRequest(1, 10, data, file_id=client.make("other"))


def set_disposition(client: FileClient) -> Message:
    return SetInfoRequest(1, 13, b"\1", file_id=client.open("old"))


def copy(client: FileClient) -> Message:
    source, target = client.open("old"), client.make("copy")
    key = client.want(IoctlRequest(FSCTL_SRV_REQUEST_RESUME_KEY, source, max_output_response=32)).output[:24]
    chunks = b"".join(at.to_bytes(8, "little") * 2 + (2).to_bytes(4, "little") + bytes(4) for at in range(3))
    data = bytes(key) + (3).to_bytes(4, "little") + bytes(4) + chunks
    return IoctlRequest(FSCTL_SRV_COPYCHUNK, target, data, max_output_response=12)


def list_directory(client: FileClient) -> Message:
    folder = client.open("", options=FILE_DIRECTORY_FILE)
    return QueryDirectoryRequest(37, file_id=folder, name="*", output_buffer_length=65536)


def read(client: FileClient) -> Message:
    return ReadRequest(length=10, file_id=client.open("old"))


def write(client: FileClient) -> Message:
    return WriteRequest(b"new", file_id=client.open("old"))


def close(client: FileClient) -> Message:
    return CloseRequest(file_id=client.open("old"))


def wait_for_a_lock(client: FileClient) -> Message:
    other = client.world.user("bob")  # type: ignore[attr-defined]
    other.want(LockRequest(other.open("old"), [LockElement(0, 1, 2)]))
    return LockRequest(client.open("old"), [LockElement(0, 1, 2)])


def wait_for_changes(client: FileClient) -> Message:
    folder = client.open("", options=FILE_DIRECTORY_FILE)
    return ChangeNotifyRequest(file_id=folder, output_buffer_length=4096, completion_filter=0xFFF)


def connect_to_what_could_not_be_used(client: FileClient) -> Message:
    world = client.world
    share = world.service.share_by_name("share")
    assert share is not None
    world.service.mark_share(share, "it was not there")
    return TreeConnectRequest(0, r"\\server\share")


REQUESTS = [
    create,
    create_protected_and_going,
    overwrite,
    delete_on_close,
    open_what_another_keeps,
    rename,
    set_disposition,
    copy,
    list_directory,
    read,
    write,
    close,
    wait_for_a_lock,
    wait_for_changes,
    connect_to_what_could_not_be_used,
]


def cuts(folder: Path, request: Callable[[FileClient], Message], perform_held: bool) -> Iterator[int]:
    """Have the request's connection cut at each of its effects, and once when it waits or is done; the numbers of
    effects that were performed before."""
    for performed in itertools.count():
        (folder / str(performed)).mkdir()
        world = DiskWorld(folder / str(performed))
        (world.folder / "old").write_bytes(b"contents")
        client = world.user()
        message = request(client)
        count = itertools.count()
        held: list[Effect[Any]] = []

        def hold(effect: Effect[Any], count: Iterator[int] = count, held: list[Effect[Any]] = held) -> bool:
            if next(count) < performed:  # noqa: B023 - it is called within this round
                return False
            held.append(effect)
            return True

        world.held = hold
        client.send(message)
        was_held = bool(held)
        if not perform_held:
            world.held = lambda effect: False
        world.disconnect(client)
        world.let_go()
        for other in list(world.clients.values()):
            world.disconnect(other)
        world.let_go()
        assert len(world.files) == 0, f"a handle is left over after {performed} effects"
        assert not world.dispatch.files._states
        assert not world.dispatch.files._names
        assert not world.service.opens()
        yield performed
        if not was_held:
            return


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("perform_held", [False, True])
def test_no_handle_is_left_wherever_it_is_cut(tmp_path: Path, request_: Any, perform_held: bool) -> None:
    assert list(cuts(tmp_path, request_, perform_held))


@pytest.mark.parametrize(
    ("request_", "cancelled"),
    [(wait_for_a_lock, True), (wait_for_changes, True), (open_what_another_keeps, True), (read, False)],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_a_request_of_files_is_cancelled_by_its_client(tmp_path: Path, request_: Any, cancelled: bool) -> None:
    world = DiskWorld(tmp_path)
    (world.folder / "old").write_bytes(b"contents")
    client = world.user()
    message = request_(client)
    handles = len(world.files)
    if not cancelled:
        world.held = lambda effect: True
    number = client.send(message)
    client.core.cancel(number)
    world.pump()
    assert client.result(number) == ("STATUS_CANCELLED" if cancelled else "")
    world.let_go()
    assert len(world.files) == handles
    assert not any(state.waiting_locks or state._waiting for state in world.dispatch.files._states.values())
    assert client.want(EchoRequest())


def test_a_pipe_is_read_no_more_when_that_was_cancelled() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    number = client.send(ReadRequest(length=10, file_id=client.file_id))
    client.core.cancel(number)
    world.pump()
    assert client.answers[number].status == codes.STATUS_CANCELLED
    (pipe,) = next(iter(client.connection.channels.values())).opens.values()
    assert isinstance(pipe, PipeOpen)
    assert not pipe._readers


# --- management calls


def calling(scripted: Scripted, work: Callable[[], Work[Any]]) -> None:
    """ann makes a call by WRITE, which is answered by that generator."""
    scripted.world.endpoint.call = lambda caller, request, now: work()  # type: ignore[method-assign]
    (pdu,) = scripted.client.rpc.call(NetrRemoteTOD(None))
    scripted.client.write(pdu)


@pytest.mark.parametrize("end", ["pipe closed", "log off", "connection lost"])
@pytest.mark.parametrize("kind", ["effect", "waiter", "time"])
def test_a_call_is_closed_with_its_pipe(scripted: Scripted, kind: str, end: str) -> None:
    def work() -> Work[Any]:
        try:
            yield WAITS[kind][0]()
        finally:
            scripted.said.append("closed")

    scripted.world.hold_effects = kind == "effect"
    known: Waiter[None] = Waiter()
    known.wake(None)
    scripted.world.dispatch.watch.look_up = lambda: known  # type: ignore[method-assign]
    calling(scripted, work)
    assert scripted.said == []
    if end == "pipe closed":
        scripted.client.want(CloseRequest(file_id=scripted.client.file_id))
    elif end == "log off":
        scripted.client.want(LogoffRequest(), tree_id=0)
    else:
        scripted.world.disconnect(scripted.client)
    assert scripted.said == ["closed"]
    scripted.let_go()
    assert scripted.said == ["closed"]
    assert scripted.errors == []


@pytest.mark.parametrize("what", [None, ReadAccounts()], ids=["turn", "effect"])
def test_an_error_in_a_later_piece_of_a_call_costs_its_connection(scripted: Scripted, what: Any) -> None:
    def work() -> Work[Any]:
        yield what
        raise KeyError("ours")

    calling(scripted, work)
    assert scripted.errors == [(scripted.client.connection, "'ours'")]
    assert scripted.client.finished == "an error in the server"
    assert scripted.other.want(EchoRequest())


# --- tasks


@pytest.fixture
def scheduler() -> Scheduler:
    scheduler = Scheduler()
    scheduler.now = 5.0
    return scheduler


def test_a_task_runs_to_its_first_yield_and_then_as_it_comes(scheduler: Scheduler) -> None:
    said: list[Any] = []
    waiter: Waiter[str] = Waiter()

    def work() -> Work[str]:
        said.append("begun")
        said.append((yield ReadAccounts()))
        said.append((yield Wait(waiter)))
        said.append((yield Until(9.0)))
        yield None
        return "done"

    task = scheduler.start(work(), said.append)
    assert said == ["begun"]
    ((ticket, effect),) = scheduler.effects()
    assert effect == ReadAccounts()
    assert scheduler.source_of(ticket) is None
    assert scheduler.completed(ticket, "accounts", 6.0)
    assert said == ["begun", "accounts"]
    waiter.wake("woken")
    assert said == ["begun", "accounts"]  # in the next turn
    scheduler.expire(6.0)
    assert said[2:] == ["woken"]
    scheduler.expire(8.9)
    scheduler.expire(9.0)
    assert said[3:] == [9.0]
    assert not task.over
    scheduler.expire(9.0)
    assert said[4:] == ["done"]
    assert task.over
    assert len(scheduler.timers) == 0


def test_a_task_is_cancelled(scheduler: Scheduler) -> None:
    said: list[str] = []

    def work() -> Work[None]:
        try:
            yield ReadAccounts()
        finally:
            said.append("closed")

    task = scheduler.start(work())
    ((ticket, _),) = scheduler.effects()
    task.cancel()
    task.cancel()
    assert said == ["closed"]
    assert scheduler.abandoned() == [ticket]
    assert not scheduler.completed(ticket, None, 6.0)


def test_a_task_that_cancels_itself_is_closed_at_its_next_yield(scheduler: Scheduler) -> None:
    said: list[str] = []

    def work() -> Work[None]:
        try:
            yield None
            task.cancel()
            said.append("goes on")
            yield None
        finally:
            said.append("closed")

    task = scheduler.start(work())
    scheduler.expire(5.0)
    assert said == ["goes on", "closed"]
    assert scheduler.timers.next() is None


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_is_detached_comes_to_its_end_whoever_waits(scheduler: Scheduler, cancelled: bool) -> None:
    said: list[str] = []

    def inner() -> Work[str]:
        yield ReadAccounts()
        said.append("inner")
        return "result"

    def outer() -> Work[None]:
        said.append((yield Detached(inner())))

    task = scheduler.start(outer())
    ((ticket, _),) = scheduler.effects()
    if cancelled:
        task.cancel()
    assert scheduler.completed(ticket, None, 6.0)
    scheduler.expire(6.0)
    assert said == (["inner"] if cancelled else ["inner", "result"])


def test_the_error_of_what_is_detached_is_raised_where_it_is_waited_for(scheduler: Scheduler) -> None:
    errors: list[Exception] = []
    told: list[Exception] = []

    def inner() -> Work[None]:
        yield ReadAccounts()
        raise KeyError("ours")

    def outer() -> Work[None]:
        yield Detached(inner())

    scheduler._on_error = told.append
    for failed in (errors.append, None):
        task = scheduler.start(outer(), failed=failed)
        ((ticket, _),) = scheduler.effects()
        if failed is None:
            task.cancel()  # nobody waits any more: it is told in the log
        scheduler.completed(ticket, None, 6.0)
        scheduler.expire(6.0)
    assert [str(error) for error in errors] == ["'ours'"]
    assert [str(error) for error in told] == ["'ours'"]


def test_what_is_detached_and_fails_at_once_is_raised_where_it_is_waited_for(scheduler: Scheduler) -> None:
    said: list[str] = []

    def inner() -> Work[None]:
        raise KeyError("ours")
        yield None

    def outer() -> Work[None]:
        try:
            yield Detached(inner())
        except KeyError as error:
            said.append(str(error))

    scheduler.start(outer())
    scheduler.expire(5.0)
    assert said == ["'ours'"]


def test_a_task_that_yields_something_else_ends(scheduler: Scheduler) -> None:
    said: list[str] = []

    def work() -> Any:
        try:
            yield "something else"
        finally:
            said.append("closed")

    with pytest.raises(TypeError, match="something else"):
        scheduler.start(work())
    assert said == ["closed"]


def test_a_later_piece_may_be_left_undone(scheduler: Scheduler) -> None:
    said: list[str] = []
    pieces: list[Callable[[], None]] = []

    def work() -> Work[None]:
        try:
            yield None
            said.append("second")
            yield None
        finally:
            said.append("closed")

    task = scheduler.start(work(), around=pieces.append)
    scheduler.expire(5.0)
    assert said == []
    pieces.pop()()
    assert said == ["second"]
    scheduler.expire(5.0)
    task.cancel()
    assert said == ["second", "closed"]
    pieces.pop()()
    assert said == ["second", "closed"]


def test_the_result_of_an_effect_may_be_ignored(scheduler: Scheduler) -> None:
    scheduler.perform_detached(ReadAccounts())
    scheduler.perform_detached(ReadAccounts())
    (first, _), (second, _) = scheduler.effects()
    assert scheduler.completed(first, None, 6.0)
    scheduler.failed(second, codes.STATUS_DISK_FULL, 6.0)


def test_an_error_of_a_task_is_told(scheduler: Scheduler) -> None:
    def work() -> Work[None]:
        yield None
        raise KeyError("ours")

    scheduler.start(work())
    with pytest.raises(KeyError):
        scheduler.expire(5.0)
    told: list[Exception] = []
    other = Scheduler(told.append)
    other.start(work())
    other.expire(0.0)
    assert [str(error) for error in told] == ["'ours'"]


class Turns:
    """A connection that has one thing to do at a time, and says when it is done."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.has_work = True
        self.party = ""

    def turn(self, now: float, most: int) -> int:
        self.has_work = False
        self.said.append("turn")
        return 1

    def fail(self, error: Exception) -> None:
        raise error


@pytest.mark.parametrize("where", ["first piece", "later piece", "result of an effect", "timer"])
def test_nothing_else_runs_within_a_step(scheduler: Scheduler, where: str) -> None:
    said: list[str] = []

    def give_work() -> None:
        scheduler.has_work(Turns(said))
        scheduler.run(scheduler.now)
        said.append("step ends")

    def work() -> Work[None]:
        if where == "later piece":
            yield None
        elif where == "result of an effect":
            yield ReadAccounts()
        give_work()

    if where == "timer":
        scheduler.timers.at(5.0, lambda now: give_work())
    else:
        scheduler.start(work())
    for ticket, _ in scheduler.effects():
        scheduler.completed(ticket, None, 5.0)
    scheduler.expire(5.0)
    scheduler.run(5.0)
    assert said == ["step ends", "turn"]
