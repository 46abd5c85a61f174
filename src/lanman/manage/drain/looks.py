"""Looking at a server for a drain, and ending whom it says: plan and run of `lanman.manage.orders`, at one Manager.

The Manager is opened when it is needed, and opened again after its server could not be reached. Of a whole server the
sessions count; where there is none, the open files do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError, ProtocolError, Win32Error
from lanman.manage.drain.machine import Holder, Look, counted
from lanman.manage.kept import KeptManager, Opening
from lanman.manage.manager import Manager
from lanman.manage.orders import Outcome, Plan, Reason, Target, What, plan_files, plan_sessions, run
from lanman.manage.selection import is_below
from lanman.manage.watching.clients import may_be_kept
from lanman.manage.watching.keys import SessionKey
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo


class Clock(Protocol):
    """Time, for the shell of a drain; tests have one of their own."""

    def now(self) -> float:
        """Seconds since 1970."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is drained: the whole server, or what is open in a share, or by a pattern over paths."""

    share: str | None = None
    path: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the whole server, whose sessions count, rather than open files."""
        return self.share is None and self.path is None


@dataclass(frozen=True, slots=True)
class Sight:
    """One look, and the plan for those whom it saw: `places` are those of the look's holders in the plan, None for who
    had gone when it was made."""

    look: Look
    plan: Plan
    places: tuple[int | None, ...]
    server: str


Aside = Callable[[Manager, Sequence[SessionInfo]], Awaitable[Sequence[SessionInfo]]]
"""Which of the sessions that a Manager lists do not count in a drain, though they are not that Manager's own."""


class Looker(KeptManager):
    """Looks, and ends. An async context manager, which closes the Manager that it has open.

    `aside` says which of the sessions that are listed are further ones of this program, which it keeps for other work:
    they do not count, beside the one of the Manager that looks.
    """

    def __init__(
        self, opening: Opening, scope: Scope, clock: Clock, *, include_mine: bool = False, aside: Aside | None = None
    ) -> None:
        super().__init__(opening)
        self._aside = aside
        self._scope = scope
        self._clock = clock
        self._include_mine = include_mine
        self._folder: str | None = None

    async def look(self) -> Sight:
        """See who is there. Raises LanmanError; after ConnectionLost the next look connects anew."""
        asked_at = self._clock.now()
        try:
            manager = await self.manager()
            listed, plan = await self._planned(manager)
            holders, chosen, in_plan = self._counted(listed, plan)
            if not chosen and self._scope.whole and (files := await self._without_session(manager)):
                holders, chosen, in_plan = self._counted(files, plan := await plan_files(manager, files))
        except (ConnectionLost, ProtocolError):
            await self.close()
            raise
        look = Look(tuple(holders[number] for number in chosen), asked_at, self._clock.now())
        return Sight(look, plan, tuple(in_plan[number] for number in chosen), manager.server)

    def _counted(
        self, listed: Sequence[SessionInfo | FileInfo], plan: Plan
    ) -> tuple[list[Holder], tuple[int, ...], list[int | None]]:
        """All who are listed, the places of those who count, and the places of all in the plan."""
        # Planning lists again. Who has come and gone between the two lists is nobody's: the first one alone counts, or
        # one who left and another who came would make a look that saw nobody of a server that was never empty.
        in_plan = _places(plan, len(listed))
        holders = [
            _unplanned(record) if place is None else _holder(plan.targets[place])
            for record, place in zip(listed, in_plan, strict=True)
        ]
        return holders, counted(holders) if self._scope.whole else tuple(range(len(holders))), in_plan

    async def _without_session(self, manager: Manager) -> list[FileInfo]:
        """What is open though nobody is there who has it open: durable and persistent handles outlive their sessions
        (MS-SMB2 3.3.7.1), and the client comes back to them. Nothing where the files may not be asked for."""
        try:
            return [file for file in await manager.files() if not is_pipe(file)]
        except Win32Error:
            return []

    async def kept(self) -> list[Holder]:
        """What may be open for clients that are away, beside the sessions that there are: it counts when none is left.
        Raises LanmanError."""
        manager = await self.manager()
        files = await self._without_session(manager)
        files = [file for file in files if may_be_kept(file.user_name, file.path, _owner(file))]
        return self._counted(files, await plan_files(manager, files))[0] if files else []

    async def _planned(self, manager: Manager) -> tuple[Sequence[SessionInfo | FileInfo], Plan]:
        if self._scope.whole:
            sessions = (await manager.sessions()).entries
            if self._aside is not None:
                aside = {id(session) for session in await self._aside(manager, sessions)}
                sessions = [session for session in sessions if id(session) not in aside]
            return sessions, await plan_sessions(manager, sessions)
        if self._scope.share is None:
            files = await manager.files(path=self._scope.path)
        else:
            if self._folder is None:
                self._folder = await self._folder_of(manager, self._scope.share)
            files = [file for file in await manager.files() if is_below(file.path, self._folder)]
        files = [file for file in files if not is_pipe(file)]
        return files, await plan_files(manager, files)

    async def _folder_of(self, manager: Manager, name: str) -> str:
        """The folder of a share. Raises Win32Error 50 where the server does not say it."""
        if not (folder := (await manager.share(name)).path):
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"the server does not say where the share {name} is",
                hint="Name what is to be drained by --path, as `lanman file` lists it.",
                server=manager.server,
                subject=f"share {name}",
            )
        return folder

    async def end(
        self,
        sight: Sight,
        wanted: Sequence[int],
        done: Callable[[Holder, Outcome], None],
        *,
        whatever_is_open: bool = False,
    ) -> None:
        """End those holders of a look; `done` is called with what became of each. Who has opened more since the look
        is spared, unless they are to be ended with whatever is open. Raises LanmanError for what concerns all."""
        targets = sight.plan.targets
        if not whatever_is_open:
            for target in targets:
                target.most_opens = target.record.num_opens if isinstance(target.record, SessionInfo) else None
        holders = {
            place: sight.look.holders[number] for number in wanted if (place := sight.places[number]) is not None
        }
        together: defaultdict[Any, list[int]] = defaultdict(list)
        for place, target in enumerate(targets):
            if target.order is not None:
                together[target.order].append(place)
        given: set[int] = set()
        for place, holder in holders.items():
            others = [other for other in together[targets[place].order] if other not in holders]
            if all(self._include_mine and targets[other].is_own for other in others):
                given |= {id(targets[place]), *(id(targets[other]) for other in others)}
            else:
                done(holder, Outcome(targets[place], What.SPARED, Reason.BYSTANDERS, _together(holder)))
        if not given:
            return
        manager = await self.manager()
        try:
            outcomes = await run(
                manager, sight.plan.only(lambda target: id(target) in given), include_mine=self._include_mine
            )
        except (ConnectionLost, ProtocolError):
            await self.close()
            raise
        by_target = {id(targets[place]): holder for place, holder in holders.items()}
        for outcome in outcomes:
            if (holder := by_target.get(id(outcome.target))) is not None:  # type: ignore[assignment]
                done(holder, outcome)

    async def open_files(self) -> dict[str, list[str]]:
        """The paths that users have open, by their folded names; nothing where the server does not tell."""
        found: dict[str, list[str]] = {}
        try:
            for file in await (await self.manager()).files():
                if file.path and not is_pipe(file):
                    found.setdefault(fold(file.user_name or ""), []).append(file.path)
        except LanmanError:
            return {}  # people are told without them
        return found


def _together(holder: Holder) -> Win32Error:
    return Win32Error(
        codes.ERROR_BUSY,
        "the server ends it only together with another session of the same user that is not to be ended",
        subject=holder.client_name,
    )


def _places(plan: Plan, number: int) -> list[int | None]:
    """For each that was asked for, the place of its target; those that are alike share theirs out."""
    taken: set[int] = set()
    places: list[int | None] = []
    for asked in range(number):
        free = (place for place in (plan.asked[asked] if asked < len(plan.asked) else ()) if place not in taken)
        places.append(found := next(free, None))
        if found is not None:
            taken.add(found)
    return places


def _unplanned(record: SessionInfo | FileInfo) -> Holder:
    """One who was listed, and had gone when it was planned."""
    if isinstance(record, FileInfo):
        return Holder(None, record.user_name, id=record.id, path=record.path or "", owner=_owner(record))
    return Holder(record.client_name, record.user_name, record.num_opens)


def _holder(target: Target) -> Holder:
    record = target.record
    if isinstance(record, FileInfo):
        return Holder(
            None,
            record.user_name,
            cost=target.cost,
            why=target.why,
            is_own=target.is_own,
            id=record.id,
            path=record.path or "",
            owner=_owner(record),
        )
    assert isinstance(record, SessionInfo)
    begun = target.key.begun_at if isinstance(target.key, SessionKey) else None
    return Holder(record.client_name, record.user_name, record.num_opens, begun, target.cost, target.why, target.is_own)


def _owner(file: FileInfo) -> str | None:
    """For whom a file is kept, where the server tells it."""
    owner: str | None = getattr(file, "owner", None)
    return owner


def is_pipe(file: FileInfo) -> bool:
    r"""Whether it is a pipe, in which nothing is kept; that of whoever asks is among them. Windows lists `\srvsvc`,
    others `\PIPE\srvsvc`."""
    return re.fullmatch(r"(?i:\\(pipe\\.*)?[^\\/]*|/pipe/.*)", file.path or "", re.DOTALL) is not None
