"""The Manager for programs without asyncio: the same methods, each returning when it has its answer.

    with lanman.connect("fs1", lanman.Credentials("ann", "secret")) as manager:
        for session in manager.sessions(): ...

The connection lives on an event loop in a thread of its own, so this works inside a running event loop, in notebooks
and in any thread; several threads may use one BlockingManager. An interrupt (Ctrl-C) cancels the call it falls into.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lanman.manage.answers import Absent, Answers
from lanman.manage.background import Background, Closing
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import DEFAULT_TIMEOUT, CloseResult, FileCloseResult, Manager, Sessions
from lanman.manage.open import open_manager
from lanman.manage.orders.plan import Consent, Cost, Done, Outcome, Plan
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    PortionDetails,
    RefusalDetails,
    ServerInfo,
    ServiceState,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from lanman.events import Event, ServerState
    from lanman.manage.doctor.report import Diagnosis
    from lanman.manage.drain.machine import Event as DrainEvent
    from lanman.manage.drain.shell import DrainResult
    from lanman.manage.explain import Explanation
    from lanman.net.control.follow import EventFollower
    from lanman.net.credentials import Credentials
    from lanman.net.server_facts import ServerFacts
    from lanman.rpc.ndr import Call, Response

R = TypeVar("R", bound="Response")
T = TypeVar("T")


def connect(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
    encrypt: bool = False,
    granted: GrantedLevels | None = None,
    service: str | None = None,
    samba_config: str | None = None,
) -> BlockingManager:
    """A BlockingManager of `server`, connected and logged on; arguments and errors as `lanman.open_manager`.

    Close it, or use it in a `with` statement.
    """
    return BlockingManager(
        server,
        credentials,
        port=port,
        timeout=timeout,
        home=home,
        encrypt=encrypt,
        granted=granted,
        service=service,
        samba_config=samba_config,
    )


def blocking_drain(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    on_event: Callable[[DrainEvent], None] | None = None,
    **how: Any,
) -> DrainResult:
    """`lanman.drain` for programs without asyncio: the same arguments, result and errors. `on_event` is called in
    another thread. Interrupted (Ctrl-C), it opens the server again before the interrupt goes on."""
    from lanman.manage.drain.call import drain

    background = Background()
    ended = threading.Event()

    async def work() -> DrainResult:
        try:
            return await drain(server, credentials, on_event=on_event, **how)
        finally:
            ended.set()

    try:
        return background.run(work())
    except BaseException:
        while not ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):  # a second one does not hurry it
                ended.wait()
        raise
    finally:
        background.stop()


def blocking_doctor(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    port: int | None = None,
    checks: Sequence[str] = (),
    home: str | Path | None = None,
    service: str | None = None,
    samba_config: str | None = None,
    deadline: float = DEFAULT_TIMEOUT,
    encrypt: bool = False,
) -> Diagnosis:
    """Examine a server and say what is wrong, why, and what helps; arguments and errors as `lanman.doctor`."""
    from lanman.manage.doctor.run import doctor

    background = Background()
    try:
        return background.run(
            doctor(
                server,
                credentials,
                port=port,
                checks=checks,
                home=home,
                service=service,
                samba_config=samba_config,
                deadline=deadline,
                encrypt=encrypt,
            )
        )
    finally:
        background.stop()


class BlockingManager(Closing):
    """A Manager whose methods block. See `lanman.manage.manager.Manager` for what each of them means and raises."""

    def __init__(
        self,
        server: str | None,
        credentials: Credentials | None,
        *,
        port: int | None,
        timeout: float,
        home: str | Path | None,
        encrypt: bool,
        granted: GrantedLevels | None = None,
        service: str | None = None,
        samba_config: str | None = None,
    ) -> None:
        self._background = Background()
        self._stack = contextlib.AsyncExitStack()
        try:
            opening = open_manager(
                server,
                credentials,
                port=port,
                timeout=timeout,
                home=home,
                encrypt=encrypt,
                granted=granted,
                service=service,
                samba_config=samba_config,
            )
            self._manager: Manager = self._background.run(self._stack.enter_async_context(opening))
        except BaseException:
            self._background.stop()
            raise

    @property
    def server(self) -> str:
        """The server's name; see `Manager.server`."""
        return self._manager.server

    @property
    def answered_by(self) -> str | None:
        """Who answers, in words; see `Manager.answered_by`."""
        return self._manager.answered_by

    @property
    def wide_handles(self) -> bool:
        """How wide resume handles are; see `Manager.wide_handles`."""
        return self._manager.wide_handles

    @property
    def cannot(self) -> Mapping[str, str]:
        """Which orders this server cannot carry out, and why; see `Manager.cannot`."""
        return self._manager.cannot

    @property
    def who_answers(self) -> str:
        """Who answers, in words, whoever it is; see `Manager.who_answers`."""
        return self._manager.who_answers

    @property
    def incomplete(self) -> str | None:
        """What is known to be missing in the last answer; see `Manager.incomplete`."""
        return self._manager.incomplete

    @property
    def missing(self) -> Sequence[Absent]:
        """The nodes of a cluster whose part some answer so far lacks; see `Manager.missing`."""
        return self._manager.missing

    @property
    def nodes(self) -> Sequence[str]:
        """What the nodes of a cluster are called; see `Manager.nodes`."""
        return self._manager.nodes

    @property
    def server_facts(self) -> ServerFacts | None:
        """What the server has told of itself; see `Manager.server_facts`."""
        return self._manager.server_facts

    @property
    def server_address(self) -> str | None:
        """The address that it was reached at; see `Manager.server_address`."""
        return self._manager.server_address

    def each(self, question: Callable[[Manager], Awaitable[T]]) -> Answers[T]:
        """What each node of a cluster answers to a question, which is asked of its asynchronous Manager; see
        `Manager.each`."""
        return self._background.run(self._manager.each(question))

    def is_own_name(self, name: str) -> bool:
        """Whether a name is the one that this Manager was opened by; see `Manager.is_own_name`."""
        return self._manager.is_own_name(name)

    def close(self) -> None:
        """Log off, disconnect and end the thread. May be called twice."""
        self._background.close(self._stack.aclose)

    def sessions(self, *, client: str | None = None, user: str | None = None, level: int | None = None) -> Sessions:
        """The sessions of a client and of a user, where given; see `Manager.sessions`."""
        return self._background.run(self._manager.sessions(client=client, user=user, level=level))

    def session(self, client: str, user: str) -> SessionInfo:
        """The one session of this client and user; see `Manager.session`. Raises Win32Error 2312."""
        return self._background.run(self._manager.session(client, user))

    def bystanders(self, sessions: Sequence[SessionInfo]) -> list[list[SessionInfo]]:
        """For each of `sessions`, who else its end would end; see `Manager.bystanders`."""
        return self._background.run(self._manager.bystanders(sessions))

    def own_names(self, listed: Sequence[SessionInfo]) -> frozenset[str]:
        """By which names the server may list this machine; see `Manager.own_names`."""
        return self._background.run(self._manager.own_names(listed))

    def explain(self, path: str, *, user: str | None = None, client: str | None = None) -> Explanation:
        """Who has a file open, from where, and what closing it costs; see `lanman.explain`."""
        from lanman.manage.explain import explain

        return self._background.run(explain(self._manager, path, user=user, client=client))

    def plan_sessions(self, sessions: Sequence[SessionInfo], *, costs: bool = True) -> Plan:
        """What would end, who would go along, and what it would cost; see `lanman.manage.orders.plan_sessions`."""
        from lanman.manage.orders import plan_sessions

        return self._background.run(plan_sessions(self._manager, sessions, costs=costs))

    def plan_files(self, files: Sequence[FileInfo], *, costs: bool = True) -> Plan:
        """What would be closed, and what it would cost; see `lanman.manage.orders.plan_files`."""
        from lanman.manage.orders import plan_files

        return self._background.run(plan_files(self._manager, files, costs=costs))

    def plan_share(self, name: str, *, costs: bool = True) -> Plan:
        """How to take a share away, and what it would cost; see `lanman.manage.orders.plan_share`."""
        from lanman.manage.orders import plan_share

        return self._background.run(plan_share(self._manager, name, costs=costs))

    def run(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        limit: Cost | None = None,
        done: Done | None = None,
    ) -> list[Outcome]:
        """Do what a plan says; see `lanman.manage.orders.run`. `done` is called in the thread of the connection."""
        from lanman.manage.orders import run

        work = run(self._manager, plan, with_others=with_others, include_mine=include_mine, limit=limit, done=done)
        return self._background.run(work)

    def close_sessions(
        self,
        sessions: Sequence[SessionInfo],
        *,
        with_others: bool | Sequence[SessionInfo] = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        """As `Manager.close_sessions`; `done` is called in the thread that the connection lives in."""
        options: dict[str, Any] = {"with_others": with_others} if with_others else {}
        if done is not None:
            options["done"] = done
        return self._background.run(self._manager.close_sessions(sessions, **options))

    def disconnect_share(
        self,
        name: str,
        sessions: Sequence[SessionInfo] | None = None,
        *,
        with_others: bool | Sequence[SessionInfo] = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        """As `Manager.disconnect_share`; `done` is called in the thread that the connection lives in."""
        return self._background.run(self._manager.disconnect_share(name, sessions, with_others=with_others, done=done))

    def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """The tree connects to a share or of a `\\\\client`; see `Manager.connections`."""
        return self._background.run(self._manager.connections(qualifier))

    def files(self, *, path: str | None = None, user: str | None = None, client: str | None = None) -> list[FileInfo]:
        """The open files, pipes and devices that the filters mean; see `Manager.files`."""
        return self._background.run(self._manager.files(path=path, user=user, client=client))

    def opened_files(self) -> list[FileInfo]:
        """All open files with what is told beyond MS-SRVS; see `Manager.opened_files`."""
        return self._background.run(self._manager.opened_files())

    def detailed_files(self, files: Sequence[FileInfo]) -> list[FileInfo]:
        """Files as `files()` listed them, with what `opened_files` tells; see `Manager.detailed_files`."""
        return self._background.run(self._manager.detailed_files(files))

    def clients_called(self, client: str, names: Sequence[str]) -> frozenset[str]:
        """Which of some listed clients' names a typed client means; see `Manager.clients_called`."""
        return self._background.run(self._manager.clients_called(client, names))

    def is_called(self, name: str) -> bool:
        """Whether a name or address is that of this server; see `Manager.is_called`."""
        return self._background.run(self._manager.is_called(name))

    def file(self, id: int) -> FileInfo:
        """One open file; see `Manager.file`. Raises Win32Error 2314."""
        return self._background.run(self._manager.file(id))

    def close_file(self, id: int) -> FileInfo:
        """Close one open file, and say what it was; see `Manager.close_file`. Raises Win32Error 2314."""
        return self._background.run(self._manager.close_file(id))

    def close_files(
        self, files: Sequence[FileInfo], *, done: Callable[[FileCloseResult], None] | None = None
    ) -> list[FileCloseResult]:
        """As `Manager.close_files`; `done` is called in the thread that the connection lives in."""
        return self._background.run(self._manager.close_files(files, done=done))

    def shares(self, level: int | None = None) -> list[ShareInfo]:
        """The shares, hidden ones too; see `Manager.shares`."""
        return self._background.run(self._manager.shares(level))

    def share_problems(self) -> dict[str, str]:
        """Why shares cannot be used as things are, by name; see `Manager.share_problems`."""
        return self._background.run(self._manager.share_problems())

    def refusals(self) -> list[RefusalDetails]:
        """Which clients were refused lately and why; see `Manager.refusals`."""
        return self._background.run(self._manager.refusals())

    def portions(self) -> list[PortionDetails]:
        """What the Server's users share, and who was refused more; see `Manager.portions`."""
        return self._background.run(self._manager.portions())

    def event_loop(self) -> str:
        """Which event loop the Server runs on; see `Manager.event_loop`."""
        return self._background.run(self._manager.event_loop())

    @contextlib.contextmanager
    def follow(self) -> Iterator[BlockingFollower]:
        """Follow what happens on the Server of this machine, from a snapshot on; see `Manager.follow`.

        with manager.follow() as follower:
            for event in follower: ...
        """
        opening = self._manager.follow()
        follower = self._background.run(_entered(opening))
        try:
            yield BlockingFollower(follower, self._background)
        finally:
            self._background.run(_left(opening))

    def share(self, name: str) -> ShareInfo:
        """One share; see `Manager.share`. Raises Win32Error 2310."""
        return self._background.run(self._manager.share(name))

    def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        """Share a folder of the server; see `Manager.add_share`. Raises Win32Error 2118 and 2116."""
        self._background.run(self._manager.add_share(name, path, remark=remark, max_users=max_users))

    def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        """Change what is given of a share; see `Manager.set_share`. Raises Win32Error 2310 and 87."""
        self._background.run(self._manager.set_share(name, remark=remark, max_users=max_users))

    def delete_share(self, name: str) -> None:
        """Stop sharing, and close what is open there; see `Manager.delete_share`. Raises Win32Error 2310."""
        self._background.run(self._manager.delete_share(name))

    def server_info(self, level: int | None = None) -> ServerInfo:
        """The server's configuration at level 102, 101 or 100; see `Manager.server_info`."""
        return self._background.run(self._manager.server_info(level))

    def set_autodisconnect(self, minutes: int) -> None:
        """Set the idle time in minutes, -1 for never; see `Manager.set_autodisconnect`. Raises Win32Error 3952, 50."""
        self._background.run(self._manager.set_autodisconnect(minutes))

    def set_comment(self, text: str) -> None:
        """Set the server's comment; see `Manager.set_comment`."""
        self._background.run(self._manager.set_comment(text))

    def set_hidden(self, hidden: bool) -> None:
        """Hide the server from browse lists, or show it; see `Manager.set_hidden`."""
        self._background.run(self._manager.set_hidden(hidden))

    def statistics(self) -> Statistics:
        """The counters since the server started; see `Manager.statistics`."""
        return self._background.run(self._manager.statistics())

    def time_of_day(self) -> TimeOfDay:
        """The server's clock; see `Manager.time_of_day`."""
        return self._background.run(self._manager.time_of_day())

    def transports(self) -> list[TransportInfo]:
        """What the server listens on; see `Manager.transports`."""
        return self._background.run(self._manager.transports())

    def service_state(self) -> ServiceState:
        """What the Server service does; see `Manager.service_state`. Raises Win32Error 50."""
        return self._background.run(self._manager.service_state())

    def pause(self) -> bool:
        """Let no newcomers in but administrators; see `Manager.pause`. Raises Win32Error 50."""
        return self._background.run(self._manager.pause())

    def continue_(self) -> bool:
        """Let newcomers in again; see `Manager.continue_`. Raises Win32Error 50."""
        return self._background.run(self._manager.continue_())

    @property
    def is_samba(self) -> bool:
        """Whether the server is Samba's smbd; see `Manager.is_samba`."""
        return self._manager.is_samba

    def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make one call of MS-SRVS (`lanman.srvsvc`) and give its answer as it came; see `Manager.call`."""
        return self._background.run(self._manager.call(request, again=again))


class BlockingFollower:
    """One that follows, for programs without asyncio: `lanman.net.control.follow.EventFollower`, whose methods block.

    Iterating gives each event once, until the Server stops. EventsLost: go on after `begin_again`.
    """

    def __init__(self, follower: EventFollower, background: Background) -> None:
        self._follower = follower
        self._background = background

    @property
    def state(self) -> ServerState:
        """What there is after the events that were given out."""
        return self._follower.state

    def begin_again(self) -> None:
        """Take a new snapshot as `state`, and follow from there."""
        self._background.run(self._follower.begin_again())

    def more(self, wait: float) -> list[Event]:
        """The next events, waiting up to so many seconds for the first; none if there were none."""
        return self._background.run(self._follower.more(wait))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """The next event, whenever it comes; the end, once the Server has stopped."""
        event = self._background.run(_next_of(self._follower))
        if event is None:
            raise StopIteration
        return event


async def _entered(opening: contextlib.AbstractAsyncContextManager[T]) -> T:
    return await opening.__aenter__()


async def _left(opening: contextlib.AbstractAsyncContextManager[Any]) -> None:
    await opening.__aexit__(None, None, None)


async def _next_of(follower: EventFollower) -> Event | None:
    return await anext(follower, None)
