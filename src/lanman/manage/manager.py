"""One interface to a Server service, wherever it is.

Rules that hold for every Manager:

  - An answer has what the server reported. What it did not report, or is known to make up, is `None`, never 0.
  - A filter holds whether or not the server understands it: it is applied again on this side. What selects what, and
    how names are compared, stands in `lanman.manage.selection`. An empty filter is refused (Win32Error 87, 2351).
  - A client may be written `\\\\pc7`, `\\pc7`, `//pc7` or `pc7`; the server is sent the name as it listed it.
  - Every method ends within the Manager's `timeout`, or before the `deadline` that it was opened with. Where many are
    ended or closed, the `timeout` bounds each wait for the server, not the work as a whole.
  - What fails raises a `lanman.errors.LanmanError`, whose message names the thing and whose `hint` names the remedy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.answers import Absent, Answers, Part
from lanman.manage.answers import CloseResult as CloseResult
from lanman.manage.answers import FileCloseResult as FileCloseResult
from lanman.manage.answers import Sessions as Sessions
from lanman.manage.answers import no_such_file as no_such_file
from lanman.manage.answers import no_such_session as no_such_session
from lanman.manage.selection import bare_client, canonical_client, is_pattern
from lanman.records import FileInfo, ServiceState, SessionInfo

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    from lanman.manage.orders.files import FileOrders
    from lanman.manage.orders.plan import Consent, Done, Outcome, Plan, Target
    from lanman.net.control.follow import EventFollower
    from lanman.net.server_facts import ServerFacts
    from lanman.records import (
        ConnectionInfo,
        PortionDetails,
        RefusalDetails,
        ServerInfo,
        ShareInfo,
        Statistics,
        TimeOfDay,
        TransportInfo,
    )
    from lanman.rpc.ndr import Call, Response

R = TypeVar("R", bound="Response")
T = TypeVar("T")

DEFAULT_PORT = 445
DEFAULT_TIMEOUT = 10.0

NO_PAUSE_HINT = (
    "Samba has no pause: `hosts deny` in its smb.conf and `smbcontrol smbd reload-config` keep newcomers out, "
    "administrators too"
)
"""What a Samba has in place of NET PAUSE."""

ORDERS: Final = ("end", "close", "share", "set", "pause", "drain")
"""What a server can be told: to end sessions, to close files, to share other folders, to be set otherwise, to pause and
to go on, and to let everybody leave."""

# From the richest to the poorest: the order in which a level is asked for.
SESSION_LEVELS = (502, 2, 1, 10, 0)


NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def poverty(level: int) -> int:
    """How little a level of sessions tells: the larger, the less."""
    return SESSION_LEVELS.index(level) if level in SESSION_LEVELS else len(SESSION_LEVELS)


class Manager(ABC):
    """A Server service that can be asked and told. Opened by `open_manager`; an async context manager.

    Methods may run concurrently; each opens nothing that it does not close.
    """

    server: str
    """The server's name as it was typed, without backslashes; this machine's name for the local Server."""

    answered_by: str | None = None
    """Who answers, in words, where it is neither lanman's own Server nor one that was reached over SMB."""

    wide_handles: bool = False
    """Whether the resume handle of the open files has 64 bits, as netapi32's, and not 32 (MS-SRVS 3.1.4.2)."""

    incomplete: str | None = None
    """What is known to be missing in the last answer, in words; None where nothing is."""

    @property
    def missing(self) -> Sequence[Absent]:
        """The nodes of a cluster whose part some answer so far lacks; none for a single server. Each answer has its own
        (`answers.missing_of`)."""
        return ()

    @property
    def nodes(self) -> Sequence[str]:
        """What the nodes of a cluster are called, as in the records' `node`; none for a single server."""
        return ()

    async def each(self, question: Callable[[Manager], Awaitable[T]]) -> Answers[T]:
        """What each node of a cluster answers to a question, and a single server to its own. Raises what the question
        does, where no node answers it."""
        return Answers([Part("", await question(self))], [])

    @property
    def cannot(self) -> Mapping[str, str]:
        """Which of ORDERS this server cannot carry out, whoever gives them, and why, in a sentence without a full stop.
        What is not in it may be ordered, and may be denied. Of a cluster nothing is known before it is asked."""
        return NOTHING

    @property
    def who_answers(self) -> str:
        """Who answers, in words, whoever it is."""
        return self.answered_by or f"\\\\{self.server}"

    @property
    def server_facts(self) -> ServerFacts | None:
        """What the server told of itself at NEGOTIATE and log-on; None where no SMB connection stands."""
        return None

    @property
    def server_address(self) -> str | None:
        """The address at which the server answers; None where it is not asked over the network."""
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @abstractmethod
    async def close(self) -> None:
        """Log off and disconnect; never fails and never waits beyond the deadline. May be called twice."""

    # --- sessions

    @abstractmethod
    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """The sessions of `client` and of `user`, where given (NetrSessionEnum, MS-SRVS 3.1.4.5).

        Without `level`, the richest that the server grants. A client that is a name also means every address that it
        resolves to, and an address its name. No match is an empty answer, not an error. Raises AccessDenied when every
        level is denied, Win32Error 2351 for an empty client and 87 for an empty user. The null sessions are those whose
        `user_name` is empty.
        """

    async def session(self, client: str, user: str) -> SessionInfo:
        """The one session of this client and user (NetSessionGetInfo), which are names and no patterns.

        Raises Win32Error 2312 where there is none.
        """
        if not canonical_client(client) or not user:
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "one session is named by both its client and its user")
        for entry in (await self.sessions(client=client, user=user)).entries:
            # Among several that a pattern matches, there is no telling which was meant.
            is_named = bare_client(entry.client_name or "") == bare_client(client) or not is_pattern(client)
            if is_named and (entry.user_name == user or not is_pattern(user)):
                return entry
        raise no_such_session(client, user)

    @abstractmethod
    async def plan_sessions(self, sessions: Sequence[SessionInfo]) -> Plan:
        """What would end, and who would go along, if sessions as `sessions()` listed them were ended; by a fresh list.

        What it would cost is worked out by `lanman.manage.orders.plan_sessions`.
        """

    @abstractmethod
    async def end_sessions(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        at_once: bool = False,
        done: Done | None = None,
    ) -> list[Outcome]:
        """Run a plan of `plan_sessions`; an outcome for each target, in order. `lanman.manage.orders` has the rules.

        `with_others` agrees to bystanders: to all, or to those that it holds. `at_once`: the plan was made just now by
        this Manager, and need not be compared with another list before the first order.
        """

    async def bystanders(self, sessions: Sequence[SessionInfo]) -> list[list[SessionInfo]]:
        """For each of `sessions`, those that an order to end it would, or may, end without their being among them.

        This is the plan, to be shown before `close_sessions`, which looks again just before it acts.
        """
        if not sessions:
            return []
        plan = await self.plan_sessions(sessions)
        others: list[list[SessionInfo]] = []
        for places in plan.asked:
            # Those of one order have one list.
            lists = {id(plan.targets[place].bystanders): plan.targets[place].bystanders for place in places}
            each = list(lists.values())
            others.append(each[0] if len(each) == 1 else list({id(one): one for some in each for one in some}.values()))
        return others

    async def close_sessions(
        self,
        sessions: Sequence[SessionInfo],
        *,
        with_others: Consent = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        """End sessions as `sessions()` listed them (NetrSessionDel, MS-SRVS 3.1.4.6). The results are in their order.

        The call names a client and a user, so every session of that pair ends. Where others would end that are not
        among `sessions` (see `bystanders`), the session is left alone with Win32Error 170 (50 for a null session),
        unless `with_others` agrees: to all of them, or to those that it holds. A session that cannot be ended is a
        result with its error; what concerns all of them (a lost connection at the start) is raised. `done` is called
        with each result as it comes, to show progress and to know what was done before an interruption. The session of
        this program itself ends too where it is among `sessions`.
        """
        if not sessions:
            return []
        plan = await self.plan_sessions(sessions)
        results = _Results(sessions, plan, done)
        await self.end_sessions(plan, with_others=with_others, include_mine=True, at_once=True, done=results.settle)
        return results.all()

    async def disconnect_share(
        self,
        name: str,
        sessions: Sequence[SessionInfo] | None = None,
        *,
        with_others: bool | Sequence[SessionInfo] = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        """Take a share from `sessions`, from all that use it for None: what they have open there closes, they stay.

        A result for each session, as from `close_sessions`, with Win32Error 2312 for one that does not use the share.
        Nothing keeps a client from connecting to it again. Only this machine's Samba offers it: Win32Error 50.
        """
        raise Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            "a share's use is not ended by itself",
            hint="close the files that are open there, or end the sessions",
            server=self.server,
            subject=f"share {name}",
        )

    # --- connections

    @abstractmethod
    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """The tree connects to a share, or of a client written `\\\\client` (NetrConnectionEnum, MS-SRVS 3.1.4.1).

        Without the backslashes the qualifier is a share's name.
        """

    # --- open files

    @abstractmethod
    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        """The open files, pipes and devices (NetrFileEnum, MS-SRVS 3.1.4.2).

        `path` is a path as it is listed, or a pattern over the whole of it, as `selection.chosen_paths` explains.
        Raises Win32Error 50 where the server cannot tell which client opened a file, 2351 and 87 for an empty filter.
        """

    async def opened_files(self) -> list[FileInfo]:
        """All open files, with what a server of this machine tells of each beyond MS-SRVS: from where, since when."""
        return await self.files()

    async def detailed_files(self, files: Sequence[FileInfo]) -> list[FileInfo]:
        """Files as `files()` listed them, with what `opened_files` tells beyond MS-SRVS."""
        return list(files)

    def is_own_name(self, name: str) -> bool:
        """Whether a name is the one that this Manager was opened by, and means all of it."""
        return canonical_client(name) == canonical_client(self.server)

    async def is_called(self, name: str) -> bool:
        """Whether a name or address is that of this server."""
        return self.is_own_name(name)

    async def clients_called(self, client: str, names: Sequence[str]) -> frozenset[str]:
        """Which of some clients' names, as this server lists them, a client as it is typed means: itself, another
        spelling, a name of its address, or a pattern over it."""
        from lanman.manage.clients import Clients

        return await Clients().meant(client, [SessionInfo(name) for name in names])

    async def own_names(self, listed: Sequence[SessionInfo]) -> frozenset[str]:
        """The names and addresses (`canonical_client`) by which the server may list this machine among some sessions;
        none where it is another that asks without a session."""
        return frozenset()

    @abstractmethod
    async def file(self, id: int) -> FileInfo:
        """One open file (NetrFileGetInfo, MS-SRVS 3.1.4.3). Raises Win32Error 2314 for an id that is not open."""

    @abstractmethod
    async def close_file(self, id: int) -> FileInfo:
        """Close one open file, and say what it was (NetrFileClose, MS-SRVS 3.1.4.4). Raises Win32Error 2314."""

    async def plan_files(self, files: Sequence[FileInfo]) -> Plan:
        """What would be closed if files as `files()` listed them were closed; from a fresh look.

        Of a file of which no more than the id is known, the rest is filled in. What it would cost is worked out by
        `lanman.manage.orders.plan_files`.
        """
        from lanman.manage.orders.files import plan

        return await plan(self._file_orders(), self.server, files)

    async def end_files(self, plan: Plan, *, at_once: bool = False, done: Done | None = None) -> list[Outcome]:
        """Run a plan of `plan_files`; an outcome for each target, in order. `at_once`: see `end_sessions`.

        Each id is looked up right before its order, and spared where it means another file by then.
        """
        from lanman.manage.orders.files import run

        return await run(self._file_orders(), plan, at_once=at_once, done=done)

    def _file_orders(self) -> FileOrders:
        """How files are looked up and closed here."""
        from lanman.manage.orders.files import FileOrders

        async def give(file: FileInfo) -> bool:
            await self.close_file(file.id or 0)
            return False

        return FileOrders(self.server, one=self.file, listed=self.files, give=give)

    async def close_files(
        self, files: Sequence[FileInfo], *, done: Callable[[FileCloseResult], None] | None = None
    ) -> list[FileCloseResult]:
        """Close files as `files()` listed them; one result for each, in order; `done` is called with each.

        An id that means another file by now is left alone with Win32Error 2314; a file of which no more than the id is
        known is closed by that alone.
        """
        if not files:
            return []
        plan = await self.plan_files(files)
        outcomes: dict[Target, Outcome] = {}
        results: list[FileCloseResult] = []

        def settle(outcome: Outcome | None = None) -> None:
            """Report what is known, in the order in which the files were given."""
            if outcome is not None:
                outcomes[outcome.target] = outcome
            for place in range(len(results), len(files)):
                if place not in plan.missing and plan.targets[plan.asked[place][0]] not in outcomes:
                    return
                results.append(_file_result(files[place], place, plan, outcomes))
                if done is not None:
                    done(results[-1])

        settle()
        await self.end_files(plan, at_once=True, done=settle)
        return results

    # --- shares

    @abstractmethod
    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """The shares, hidden ones too (NetrShareEnum, MS-SRVS 3.1.4.8). Without `level`: 2, 1 or 0, as granted."""

    async def share_problems(self) -> dict[str, str]:
        """Why shares cannot be used as things are, by their names: a folder that is not there, say. Only the Server of
        this machine tells; of any other, and where one may not ask, there are none."""
        return {}

    async def refusals(self) -> list[RefusalDetails]:
        """Which clients were refused lately and why, the most recent first. Only the Server of this machine tells; of
        any other, and where one may not ask, there are none."""
        return []

    async def portions(self) -> list[PortionDetails]:
        """What the users of the Server of this machine share (open files, locks, memory for answers, ...): how much is
        taken, by whom most, and who was refused more. Of any other, and where one may not ask, there are none."""
        return []

    async def event_loop(self) -> str:
        """Which event loop the Server of this machine runs on: "asyncio" or "uvloop"; "" where that is not told."""
        return ""

    def follow(self) -> AbstractAsyncContextManager[EventFollower]:
        """Follow what happens on the Server of this machine, from a snapshot on, over a connection of its own.

            async with manager.follow() as follower:
                follower.state                      # a `lanman.events.ServerState`: what there is
                async for event in follower:        # `lanman.events`: each change once, until the Server stops

        Who is too slow gets EventsLost, and goes on after `await follower.begin_again()`. Only this machine's own
        Server can be followed: Win32Error 50 for any other. AccessDenied for who may not ask.
        """
        raise Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"\\\\{self.server} cannot be followed",
            hint="Only the Server of this machine tells what happens on it. Ask others again from time to time.",
        )

    @abstractmethod
    async def share(self, name: str) -> ShareInfo:
        """One share (NetrShareGetInfo, MS-SRVS 3.1.4.10). Raises Win32Error 2310 for one that does not exist."""

    @abstractmethod
    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        r"""Share a folder of the server (NetrShareAdd, MS-SRVS 3.1.4.7). `max_users` 0 is no limit.

        `path` is the server's own, `/srv/data` as well as `C:\srv\data`. Raises Win32Error 2118 for a name that is in
        use and 2116 for a folder that is not there, AccessDenied for one that may not be shared.
        """

    @abstractmethod
    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        """Change what is given of a share (NetrShareSetInfo, MS-SRVS 3.1.4.11). `max_users` 0 is no limit.

        Raises Win32Error 2310 for a share that does not exist, and 87 for a remark of more than 48 characters.
        """

    @abstractmethod
    async def delete_share(self, name: str) -> None:
        """Stop sharing, and close what is open there (NetrShareDel, MS-SRVS 3.1.4.12). Raises Win32Error 2310."""

    # --- the server itself

    @abstractmethod
    async def server_info(self, level: int | None = None) -> ServerInfo:
        """The server's configuration (NetrServerGetInfo, MS-SRVS 3.1.4.17). Without `level`: 102, 101 or 100."""

    @abstractmethod
    async def set_autodisconnect(self, minutes: int) -> None:
        """Set after how many idle minutes a session without opens ends; -1 is never (NetrServerSetInfo level 1010).

        Raises Win32Error 3952 outside -1..65535, and 50 when the server reports success and changes nothing.
        """

    @abstractmethod
    async def set_comment(self, text: str) -> None:
        """Set the server's comment (NetrServerSetInfo level 1005). Errors as `set_autodisconnect`."""

    @abstractmethod
    async def set_hidden(self, hidden: bool) -> None:
        """Hide the server from browse lists, or show it (NetrServerSetInfo level 1016)."""

    @abstractmethod
    async def statistics(self) -> Statistics:
        """The counters since `start` (NetrServerStatisticsGet, MS-SRVS 3.1.4.20)."""

    @abstractmethod
    async def time_of_day(self) -> TimeOfDay:
        """The server's clock (NetrRemoteTOD, MS-SRVS 3.1.4.21)."""

    @abstractmethod
    async def transports(self) -> list[TransportInfo]:
        """What the server listens on (NetrServerTransportEnum, MS-SRVS 3.1.4.24)."""

    # --- the service

    async def service_state(self) -> ServiceState:
        """What the Server service does: `ServiceState.RUNNING`, `.PAUSED`, ... (MS-SCMR 3.1.4.7 and 3.1.4.38).

        Raises Win32Error 50 where a server has no such service (Samba, ksmbd), AccessDenied for who may not ask.
        """
        raise self._not_a_service("tell the state of its service")

    async def pause(self) -> bool:
        """Let no newcomers in but administrators; who is there stays, with all that is open (NET PAUSE SERVER).

        New sessions are refused from the moment when this returns, and so are new connections to shares in sessions
        that are there (KB Q110061). It lasts until `continue_`, whatever becomes of who paused it, and until the
        service is started again. Whether this call paused it: False where it was paused already. Raises Win32Error 50
        where a server cannot be paused (Samba, ksmbd), AccessDenied for who may not.
        """
        raise self._not_a_service("be paused")

    async def continue_(self) -> bool:
        """Let newcomers in again (NET CONTINUE SERVER). Whether it was paused until now. Errors as `pause`."""
        raise self._not_a_service("be paused")

    def _not_a_service(self, what: str) -> Win32Error:
        """Win32Error 50 for a server without a service that can be told to pause; `what` is what it cannot do."""
        return Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"cannot {what}",
            hint=self._no_pause_hint,
            server=self.server,
            subject="the Server service",
        )

    _no_pause_hint: str | None = None
    """What to do where a server has no pause."""

    # --- what the methods above are made of

    @property
    def is_samba(self) -> bool:
        """Whether the server is Samba's smbd, whose answers to `call` often mean something else than they say."""
        return False

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make one call of MS-SRVS and give its answer as it came: any level, any status, one page, nothing corrected.

        For programs that want the protocol itself. A question is asked `again`, once, where the connection turns out
        to be dead; an order should not be. Raises Win32Error for an RPC fault, and 50 where a Manager has no protocol.
        """
        raise Win32Error(codes.ERROR_NOT_SUPPORTED, "is not managed by calls of MS-SRVS", server=self.server)


def _file_result(file: FileInfo, place: int, plan: Plan, outcomes: dict[Target, Outcome]) -> FileCloseResult:
    """What became of the file that was asked for at a place; what it was, where it was closed."""
    if place in plan.missing:
        return FileCloseResult(file, plan.missing[place].error)
    outcome = outcomes[plan.targets[plan.asked[place][0]]]
    closed = outcome.target.record
    return FileCloseResult(closed if outcome.error is None and isinstance(closed, FileInfo) else file, outcome.error)


class _Results:
    """What became of sessions that were asked for, from what became of the targets of their plan."""

    def __init__(self, sessions: Sequence[SessionInfo], plan: Plan, done: Callable[[CloseResult], None] | None) -> None:
        self._sessions, self._plan, self._done = sessions, plan, done
        self._outcomes: dict[Target, Outcome] = {}
        self._places: dict[Target, list[int]] = {}
        for place, targets in enumerate(plan.asked):
            for target in targets:
                self._places.setdefault(plan.targets[target], []).append(place)
        for place in plan.missing:
            self._report(place)

    def settle(self, outcome: Outcome) -> None:
        """A session is done when all of its targets are."""
        self._outcomes[outcome.target] = outcome
        for place in self._places.get(outcome.target, ()):
            if all(self._plan.targets[target] in self._outcomes for target in self._plan.asked[place]):
                self._report(place)

    def all(self) -> list[CloseResult]:
        """What became of each session, in the order in which they were given."""
        return [self._result(place) for place in range(len(self._sessions))]

    def _result(self, place: int) -> CloseResult:
        session = self._sessions[place]
        if place in self._plan.missing:
            return CloseResult(session, self._plan.missing[place].error)
        from lanman.manage.orders.plan import What

        known = [self._outcomes[self._plan.targets[target]] for target in self._plan.asked[place]]
        first = next((one for one in known if one.what is not What.DONE), known[0])
        return CloseResult(session, first.error, first.note, first.others)

    def _report(self, place: int) -> None:
        if self._done is not None:
            self._done(self._result(place))
