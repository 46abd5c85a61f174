"""The nodes of a cluster as open connections: asked all at once, and what each answers.

Rules:

  - A node is opened when it is first asked, and its question follows at once: no node waits for another to connect.
  - A node that cannot be reached, refuses the log-on, breaks a rule or does not answer in time is away, and stays so
    for as long as these Members live: it is waited for once. One that refuses a question is asked others all the same.
  - Two addresses of one server are one node (`lanman.manage.cluster.identity`). The one that was named first stays.
  - At most `MAX_AT_ONCE` nodes are asked at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost, LanmanError, ProtocolError, Win32Error
from lanman.manage.answers import Absent, Answers, Part
from lanman.manage.cluster import Place
from lanman.manage.cluster.identity import guid_of, name_of
from lanman.manage.manager import Manager

T = TypeVar("T")

MAX_AT_ONCE: Final = 128

Opening = Callable[[Place], AbstractAsyncContextManager[Manager]]
"""Opens a Manager of one server."""

AWAY: Final = (ConnectionLost, AuthenticationError, ProtocolError)
"""What says that a node is away, rather than that it refuses a question."""


class Member:
    """One node: not opened yet, open, away (`error`), or another address of a node that is there (`double_of`)."""

    def __init__(self, place: Place, opening: Opening) -> None:
        self.node = place.node
        self.manager: Manager | None = None
        self.error: LanmanError | None = None
        self.double_of: Member | None = None
        self._place = place
        self._opening = opening
        self._context: AbstractAsyncContextManager[Manager] | None = None
        self._entering: asyncio.Task[Manager] | None = None

    async def opened(self) -> Manager:
        """Its Manager. Raises what opening it raises, as often as it is asked."""
        if self.error is not None:
            raise self.error
        if self._entering is None:
            self._entering = asyncio.create_task(self._enter())
        return await asyncio.shield(self._entering)

    async def _enter(self) -> Manager:
        self._context = context = self._opening(self._place)
        try:
            self.manager = await context.__aenter__()
        except LanmanError as error:
            self._context = None
            self.error = self.error or error
            raise
        return self.manager

    async def leave(self, error: LanmanError | None = None) -> None:
        """Log off and disconnect; disconnect alone where it is away by an `error`."""
        self.error = self.error or error
        if self._entering is not None and not self._entering.done():
            self._entering.cancel()
            with contextlib.suppress(asyncio.CancelledError, LanmanError):
                await self._entering
        context, self._context = self._context, None
        if context is not None and self.manager is not None:
            self.manager = None
            with contextlib.suppress(LanmanError):
                if error is None:
                    await context.__aexit__(None, None, None)
                else:
                    await context.__aexit__(type(error), error, error.__traceback__)


class Members:
    """All nodes of a cluster. `server` is what the cluster is called."""

    def __init__(self, server: str, places: Sequence[Place], opening: Opening) -> None:
        self.server = server
        self._members = {place.node: Member(place, opening) for place in places}
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._compared: set[Member] = set()
        self._comparing = asyncio.Lock()

    @property
    def names(self) -> list[str]:
        """What the nodes are called, without those that turned out to be other addresses of one."""
        return [member.node for member in self._members.values() if member.double_of is None]

    @property
    def doubles(self) -> dict[str, str]:
        """Which names turned out to be other addresses of which node."""
        return {each.node: each.double_of.node for each in self._members.values() if each.double_of is not None}

    async def close(self, error: LanmanError | None = None) -> None:
        """Leave all nodes, at the same time; without logging off where something went wrong."""
        await asyncio.gather(*(member.leave(error) for member in self._members.values()))

    def member(self, node: str | None) -> Member:
        """The node of a name. Raises Win32Error 87 where there is none, or no name, or where it turned out to be
        another by a second address: no row of it was listed then, and what one names may be on another server."""
        found = None if node is None else self._members.get(node)
        if found is None:
            what = "it is not said of which node it is" if node is None else f"{node} is none of its nodes"
            raise Win32Error(
                codes.ERROR_INVALID_PARAMETER,
                what,
                hint=f"take what is listed; its nodes are {', '.join(self.names)}",
                server=self.server,
            )
        if found.double_of is not None:
            raise Win32Error(
                codes.ERROR_INVALID_PARAMETER,
                f"{node} is {found.double_of.node} by another address",
                hint="list again, and take what is listed",
                server=self.server,
            )
        return found

    async def ask(self, question: Callable[[Manager], Awaitable[T]]) -> Answers[T]:
        """Ask all nodes, at the same time. Raises where none of them answers: see `nobody`."""
        asked = [member for member in self._members.values() if member.double_of is None]
        given, errors = await self._ask(asked, lambda member, manager: question(manager))
        there = [member for member in asked if member.double_of is None]
        parts = [Part(member.node, given[member]) for member in there if member in given]
        missing = [Absent(member.node, errors[member]) for member in there if member in errors]
        if not parts:
            raise nobody(self.server, missing)
        return Answers(parts, missing)

    async def ask_each(
        self, nodes: Sequence[str], question: Callable[[str, Manager], Awaitable[T]]
    ) -> tuple[dict[str, T], dict[str, LanmanError]]:
        """Ask some nodes, each its own question; what they answered, and why others did not, by their names."""
        members = {self.member(node): node for node in nodes}
        given, errors = await self._ask(list(members), lambda member, manager: question(members[member], manager))
        return (
            {members[member]: answer for member, answer in given.items()},
            {members[member]: error for member, error in errors.items()},
        )

    async def _ask(
        self, members: Sequence[Member], question: Callable[[Member, Manager], Awaitable[T]]
    ) -> tuple[dict[Member, T], dict[Member, LanmanError]]:
        given: dict[Member, T] = {}
        errors: dict[Member, LanmanError] = {}

        async def ask(member: Member) -> None:
            async with self._at_once:
                try:
                    given[member] = await question(member, await member.opened())
                except LanmanError as error:
                    errors[member] = error
                    if isinstance(error, AWAY):
                        await member.leave(error)

        await _all(ask(member) for member in members)
        async with self._comparing:
            await self._find_doubles()
        return given, errors

    # --- one node by several addresses

    async def _find_doubles(self) -> None:
        """Find the nodes that are open by several addresses, and leave all of these but the first."""
        there = [each for each in self._members.values() if each.manager is not None and each.double_of is None]
        if self._compared.issuperset(there):
            return
        self._compared.update(there)
        alike: dict[bytes | None, list[Member]] = {}
        for member in there:
            assert member.manager is not None
            alike.setdefault(guid_of(member.manager), []).append(member)
        doubtful = [member for members in alike.values() if len(members) > 1 for member in members]
        names = dict(
            zip(
                doubtful,
                await asyncio.gather(*(name_of(each.manager) for each in doubtful if each.manager is not None)),
                strict=True,
            )
        )
        first: dict[tuple[bytes | None, str], Member] = {}
        for guid, members in alike.items():
            for member in members:
                if (name := names.get(member)) is None:
                    continue
                known = first.setdefault((guid, name), member)
                if known is not member:
                    member.double_of = known
        await asyncio.gather(*(member.leave() for member in doubtful if member.double_of is not None))


async def _all(work: Any) -> None:
    """Wait for all of some work; where it is broken off, so is each part of it."""
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


def nobody(server: str, missing: Sequence[Absent]) -> LanmanError:
    """That no node of a cluster answers: an error of the kind that the first gave, with what each said."""
    first = missing[0].error
    told = "; ".join(f"{node}: {error.text.removesuffix('.')}" for node, error in missing)
    denied = all(isinstance(error, AccessDenied) for _, error in missing)
    # Who refuses the log-on is not tried again, so all of them must have.
    refused = all(isinstance(error, AuthenticationError) for _, error in missing)
    if not refused and isinstance(first, AuthenticationError):
        first = next(error for _, error in missing if not isinstance(error, AuthenticationError))
    text = first.text if len(missing) == 1 else f"none of its {len(missing)} nodes answers ({told})"
    made: LanmanError
    if denied:
        made = AccessDenied(text)
    elif isinstance(first, Win32Error):
        made = Win32Error(first.code, text)
    else:
        made = (AuthenticationError if refused else ConnectionLost)(text, code=first.code)
    made.server, made.subject, made.hint = server, first.subject, first.hint
    return made
