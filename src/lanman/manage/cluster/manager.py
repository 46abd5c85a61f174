r"""The Manager of several nodes as one.

    async with open_manager("fs1,fs2", credentials) as manager:       # or "cluster:files", "files.example.com*"
        sessions = await manager.sessions()                           # each entry has its `node`
        sessions.missing                                              # the nodes that are not in it, and why

Rules:

  - A list is of all nodes that answer, in their order. What a node's part lacks is said beside each answer (`missing`);
    a list of which no node gave a part is an error.
  - A filter looks at what all nodes list together, as `lanman.manage.selection` has it for one server.
  - An order goes to the node of its record alone. A number that stands alone is asked of all nodes: where several have
    such an open file, or a node that may have one is away, it is refused.
  - What has one answer for one server alone (its configuration, its counters, its clock) is asked of a node, by `each`.
  - The nodes of one command are opened once, and one that is away is waited for once (`lanman.manage.cluster.members`).
  - Passwords are tried as `lanman.manage.cluster.gate` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn, TypeVar

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.answers import Absent, Answers, Listed, Sessions, no_such_file
from lanman.manage.clients import Clients
from lanman.manage.cluster import orders
from lanman.manage.cluster.members import AWAY, Members
from lanman.manage.manager import Manager, poverty
from lanman.manage.orders.plan import Consent, Done, Missing, Outcome, Plan, Verb
from lanman.manage.selection import canonical_client, check_filters, select_files, split_unc
from lanman.net.dial import Within
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)

T = TypeVar("T")
R = TypeVar("R", SessionInfo, FileInfo, ConnectionInfo, ShareInfo)

_ABSENT_FILE: Final = frozenset({codes.NERR_FileIdNotFound})


class ClusterManager(Manager):
    """Several nodes as one. Opened by `lanman.manage.open.open_manager`."""

    def __init__(self, members: Members, *, timeout: float | None = None, deadline: float | None = None) -> None:
        self.server = members.server
        self._timeout, self._deadline = timeout, deadline
        self._members = members
        self._clients = Clients()
        self._missing: dict[str, LanmanError] = {}

    @property
    def missing(self) -> Sequence[Absent]:
        """See `Manager.missing`."""
        there = self._members.doubles
        return [Absent(node, error) for node, error in self._missing.items() if node not in there]

    @property
    def nodes(self) -> Sequence[str]:
        """See `Manager.nodes`."""
        return self._members.names

    @property
    def doubles(self) -> dict[str, str]:
        """Which names turned out to be other addresses of which node, which counts once."""
        return self._members.doubles

    @property
    def who_answers(self) -> str:
        """See `Manager.who_answers`."""
        return ", ".join(f"\\\\{node}" for node in self.nodes)

    async def close(self) -> None:
        """Leave all nodes; see `Manager.close`."""
        await self._members.close()

    # --- asking

    async def each(self, question: Callable[[Manager], Awaitable[T]]) -> Answers[T]:
        """See `Manager.each`."""
        answers = await self._members.ask(question)
        self._note(answers.missing)
        return answers

    def _within(self) -> Within:
        """The bound on looking up names; the nodes keep their own."""
        return self._clients.within(self._timeout, lambda: "its clients", deadline=self._deadline, server=self.server)

    def _note(self, missing: Sequence[Absent]) -> None:
        for node, error in missing:
            self._missing.setdefault(node, error)

    async def _list(self, question: Callable[[Manager], Awaitable[Sequence[R]]]) -> Listed[R]:
        """The lists of all nodes as one, each entry with its node."""
        answers = await self.each(question)
        whole: Listed[R] = Listed(missing=answers.missing)
        for node, entries in answers.parts:
            for entry in entries:
                entry.node = node
            whole += entries
        return whole

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """See `Manager.sessions`. `level` in the answer is the poorest that a node granted."""
        check_filters(client=client, user=user)
        answers = await self.each(lambda manager: manager.sessions(level=level))
        for node, found in answers.parts:
            orders.stamp(found.entries, node)
        granted = max((found.level for _, found in answers.parts), key=poverty)
        entries = [entry for _, found in answers.parts for entry in found.entries]
        async with self._within():
            selected = await self._clients.selected(entries, client, user)
        return Sessions(self.server, granted, selected, answers.missing)

    async def plan_sessions(self, sessions: Sequence[SessionInfo]) -> Plan:
        """See `Manager.plan_sessions`. Raises Win32Error 87 for a session without its node."""
        plan, missing = await orders.plan(
            self._members, Verb.END, sessions, lambda manager, part: manager.plan_sessions(part)
        )
        self._note(missing)
        return plan

    async def end_sessions(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        at_once: bool = False,
        done: Done | None = None,
    ) -> list[Outcome]:
        """See `Manager.end_sessions`. The nodes' parts are run at the same time."""

        async def run(manager: Manager, part: Plan, consent: Consent, done: Done) -> list[Outcome]:
            return await manager.end_sessions(
                part, with_others=consent, include_mine=include_mine, at_once=at_once, done=done
            )

        return await self._run(plan, with_others, at_once, done, run)

    async def _run(
        self,
        plan: Plan,
        consent: Consent,
        at_once: bool,
        done: Done | None,
        run: Callable[[Manager, Plan, Consent, Done], Awaitable[list[Outcome]]],
    ) -> list[Outcome]:
        outcomes, missing = await orders.Run(self._members, plan, consent, at_once, done).all(run)
        self._note(missing)
        return outcomes

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """See `Manager.connections`."""
        return await self._list(lambda manager: manager.connections(qualifier))

    # --- files

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        """See `Manager.files`. A path of a share is looked for where that share is at each node."""
        check_filters(client=client, user=user, path=path)
        unc = None if path is None else split_unc(path)
        if path is None or unc is None:
            found = await self._list(lambda manager: manager.files(client=client))
            everything = found if client is None else await self._list(lambda manager: manager.files())
            return Listed(select_files(found, path=path, user=user, among=everything), found.missing)

        async def at_node(manager: Manager) -> list[FileInfo]:
            assert unc is not None
            if not await self._means(manager, unc.server):
                return []
            own = f"\\\\{manager.server}\\{unc.share}" + (f"\\{unc.rest}" if unc.rest else "")
            return await manager.files(path=own, user=user, client=client)

        return await self._list(at_node)

    async def _means(self, manager: Manager, name: str) -> bool:
        """Whether a name means a node, by itself or as one of all that the cluster's name means."""
        return self.is_own_name(name) or await manager.is_called(name)

    def is_own_name(self, name: str) -> bool:
        """See `Manager.is_own_name`: `files` for cluster:files, the name before the `*`."""
        own = self.server.rstrip("*").removeprefix("cluster:")
        return canonical_client(name) in (canonical_client(own), canonical_client(own.partition(".")[0]))

    async def is_called(self, name: str) -> bool:
        """See `Manager.is_called`: by the cluster's own name, or one of its nodes'."""
        if self.is_own_name(name):
            return True
        return any(called for _, called in (await self.each(lambda manager: manager.is_called(name))).parts)

    async def opened_files(self) -> list[FileInfo]:
        """See `Manager.opened_files`."""
        return await self._list(lambda manager: manager.opened_files())

    async def clients_called(self, client: str, names: Sequence[str]) -> frozenset[str]:
        """See `Manager.clients_called`."""
        async with self._within():
            return await self._clients.meant(client, [SessionInfo(name) for name in names])

    async def file(self, id: int) -> FileInfo:
        """See `Manager.file`. Raises Win32Error 52 where several nodes have such an open file."""
        found, missing = await self._with_id(id)
        if not found:
            raise self._may_be_away(id, missing) if missing else no_such_file(id)
        return found[0]

    async def close_file(self, id: int) -> FileInfo:
        """See `Manager.close_file`. Refused where it is not certain which file is meant: Win32Error 52."""
        found, missing = await self._with_id(id)
        if missing:
            raise self._may_be_away(id, missing)
        if not found:
            raise no_such_file(id)
        (result,) = await self.close_files(found)
        if result.error is not None:
            raise result.error
        return result.file

    async def _with_id(self, id: int) -> tuple[list[FileInfo], list[Absent]]:
        """The open file that has a number, and the nodes that did not tell. Raises Win32Error 52 for several."""

        async def ask(manager: Manager) -> list[FileInfo]:
            try:
                return [await manager.file(id)]
            except Win32Error as error:
                if error.code in _ABSENT_FILE:
                    return []
                raise

        found = await self._list(ask)
        if len(found) > 1:
            nodes = [each.node or "" for each in found]
            raise Win32Error(
                codes.ERROR_DUP_NAME,
                f"{id}: {', '.join(nodes)} have each an open file of this number",
                hint=f"name the node that is meant: -S {nodes[0]}",
                subject=f"open file {id}",
            )
        return found, found.missing

    def _may_be_away(self, id: int, missing: Sequence[Absent]) -> Win32Error:
        nodes = ", ".join(node for node, _ in missing)
        if all(isinstance(error, AWAY) for _, error in missing):
            what = f"{nodes} {'is' if len(missing) == 1 else 'are'} away, and may have an open file of this number too"
        else:
            what = f"{nodes} did not tell, and may have an open file of this number too"
        return Win32Error(
            codes.ERROR_DUP_NAME,
            f"{id}: {what}",
            hint="name the node that is meant with -S",
            subject=f"open file {id}",
        )

    async def plan_files(self, files: Sequence[FileInfo]) -> Plan:
        """See `Manager.plan_files`. A file without its node is looked for at all nodes."""
        errors: dict[int, LanmanError] = {}
        known: list[tuple[int, FileInfo]] = []
        for place, file in enumerate(files):
            try:
                known.append((place, file if file.node is not None else await self._only(file.id or 0)))
            except Win32Error as error:
                errors[place] = error
        made, missing = await orders.plan(
            self._members, Verb.CLOSE, [file for _, file in known], lambda manager, part: manager.plan_files(part)
        )
        self._note(missing)
        places = [place for place, _ in known]
        made.missing = {places[place]: one for place, one in made.missing.items()}
        asked: list[list[int]] = [[] for _ in files]
        for place, targets in zip(places, made.asked, strict=True):
            asked[place] = targets
        made.asked = asked
        made.missing |= {place: Missing(files[place], error) for place, error in errors.items()}
        return made

    async def _only(self, id: int) -> FileInfo:
        found, missing = await self._with_id(id)
        if missing:
            raise self._may_be_away(id, missing)
        if not found:
            raise no_such_file(id)
        return found[0]

    async def end_files(self, plan: Plan, *, at_once: bool = False, done: Done | None = None) -> list[Outcome]:
        """See `Manager.end_files`. The nodes' parts are run at the same time."""

        async def run(manager: Manager, part: Plan, consent: Consent, done: Done) -> list[Outcome]:
            return await manager.end_files(part, at_once=at_once, done=done)

        return await self._run(plan, True, at_once, done, run)

    # --- shares

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """See `Manager.shares`. Those of each node, which may have some in common."""
        return await self._list(lambda manager: manager.shares(level))

    async def share(self, name: str) -> ShareInfo:
        """See `Manager.share`. Refused: each node has its own."""
        self._refuse(f"one share {name}")

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        """Refused: Win32Error 50."""
        self._refuse(f"one share {name}")

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        """Refused: Win32Error 50."""
        self._refuse(f"one share {name}")

    async def delete_share(self, name: str) -> None:
        """Refused: Win32Error 50."""
        self._refuse(f"one share {name}")

    # --- what one server has

    async def server_info(self, level: int | None = None) -> ServerInfo:
        """Refused: Win32Error 50."""
        self._refuse("one configuration")

    async def set_autodisconnect(self, minutes: int) -> None:
        """Refused: Win32Error 50."""
        self._refuse("one configuration")

    async def set_comment(self, text: str) -> None:
        """Refused: Win32Error 50."""
        self._refuse("one configuration")

    async def set_hidden(self, hidden: bool) -> None:
        """Refused: Win32Error 50."""
        self._refuse("one configuration")

    async def statistics(self) -> Statistics:
        """Refused: Win32Error 50."""
        self._refuse("one set of counters")

    async def time_of_day(self) -> TimeOfDay:
        """Refused: Win32Error 50."""
        self._refuse("one clock")

    async def transports(self) -> list[TransportInfo]:
        """Refused: Win32Error 50."""
        self._refuse("one list of transports")

    def _refuse(self, what: str) -> NoReturn:
        """Raise Win32Error 50: a cluster has not one of something, and each node has."""
        raise Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"a cluster is not one server, and has not {what}",
            hint=f"ask a node by itself: -S {self.nodes[0]}",
            server=self.server,
        )
