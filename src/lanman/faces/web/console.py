"""The console: what there is while it runs, for everybody who asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from lanman.faces.web.attempts import Attempts
from lanman.faces.web.connected import Connected
from lanman.faces.web.history import History
from lanman.faces.web.live.hub import Hub
from lanman.faces.web.managers import Managers
from lanman.faces.web.people import Access, People, Person, Refusal
from lanman.faces.web.plans.kept import Plans
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT
from lanman.plain import dataclass

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.manage.doctor.report import Diagnosis
    from lanman.net.approach import Approach
    from lanman.net.credentials import Credentials

log: Final = logging.getLogger("lanman.web")

EVERY: Final = 2.0
"""How often a server is asked, in seconds."""
LOOK_FOR_IDLE: Final = 10.0


class Offered(NamedTuple):
    """A server that the command was given: what it is called, and how a Manager of it is opened.

    `opening` is with the command's own credentials, `user` whose these are, "" for none. `opening_as` gives one with
    those of a person, approached as is said there; it goes over SMB, since a server judges no password otherwise.
    `examine` is the doctor for it, as a person or (None) with the command's own credentials; `drained_as` what it is
    called in the notes of drains (`lanman.net.drains`).
    """

    name: str
    opening: Opening
    opening_as: Callable[[Credentials, Approach], Opening]
    user: str = ""
    examine: Callable[[Credentials | None], Awaitable[Diagnosis]] | None = None
    drained_as: str = ""


Finding = Callable[[], Awaitable[Sequence[Offered]]]
"""Finds the servers, where they have to be looked up first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the console works. `database` is the history's, `policies` the file of policies (None for this user's),
    `home` where the notes of drains lie; `every` and `timeout` are in seconds."""

    readonly: bool = False
    database: str | None = None
    every: float = EVERY
    timeout: float = DEFAULT_TIMEOUT
    policies: str | None = None
    home: str | None = None


class Console:
    """Servers, people, and what is seen of the servers, while it is entered. An async context manager.

    Raises ValueError for two servers of one name; entering raises what finding them raises.
    """

    def __init__(
        self,
        servers: Sequence[Offered] | Finding,
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings()
        self.servers: dict[str, Offered] = {}
        """By name, in the order in which they were given."""
        self.people = People()
        self.attempts = Attempts()
        self.hub = Hub(self.settings.every, self.settings.timeout)
        self.clock, self.wall_clock = clock, wall_clock
        self.connected = Connected()
        self.managers = Managers(clock=clock)
        self.history = History(self.settings.database, self.settings.home, self.settings.timeout)
        self.plans = Plans(self, self.hub.tell_plan)
        self._refusals: defaultdict[str, Refusal] = defaultdict(Refusal)
        self._find = servers if callable(servers) else None
        if not callable(servers):
            self._offer(servers)
        self._expiring: asyncio.Task[None] | None = None

    def _offer(self, servers: Sequence[Offered]) -> None:
        for each in map(self._counted, servers):
            if self.servers.setdefault(each.name, each) is not each:
                raise ValueError(f"two servers have one name: {each.name}")

    def _counted(self, offered: Offered) -> Offered:
        """The same server, whose Managers are counted."""
        name = offered.name

        def opening_as(credentials: Credentials, approach: Approach) -> Opening:
            return self.connected.counted(name, credentials.logon_name, offered.opening_as(credentials, approach))

        # The command's own credentials too are not tried again once they were refused.
        opening = self._refusals[name].guard(self.connected.counted(name, offered.user, offered.opening))
        return offered._replace(opening=opening, opening_as=opening_as)

    async def __aenter__(self) -> Self:
        if self._find is not None:
            self._offer(await self._find())
        for leave in (self.hub.leave, self.managers.leave, self.plans.leave):
            self.people.on_end(leave)
        self._expiring = asyncio.create_task(self._expire())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every stream and session, and disconnect. May be called twice."""
        self.people.end_all("the console ends")
        expiring, self._expiring = self._expiring, None
        if expiring is not None:
            expiring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await expiring
        await asyncio.gather(self.hub.close(), self.plans.close(), self.managers.close())
        await self.history.close()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(LOOK_FOR_IDLE)
            self.people.expire(self.clock())

    # --- people that need no password

    def person_of_link(self) -> Person:
        """Whoever has the one-time link: the user that the command runs as."""
        return Person("this user", "link", self._own_accesses(may_order=not self.settings.readonly))

    def person_of_proxy(self, name: str) -> Person:
        """Whom the trusted proxy names: may look, and gives no orders."""
        return Person(name, "proxy", self._own_accesses(may_order=False), proxy_user=name)

    def _own_accesses(self, *, may_order: bool) -> dict[str, Access]:
        """All servers, with the command's own credentials."""
        return {
            name: Access(name, each.user, each.opening, may_order, refusal=self._refusals[name])
            for name, each in self.servers.items()
        }

    # --- what outlives a question

    def doer(self, access: Access) -> str:
        """What history calls whoever has an access: the user of the log-on, else of this process."""
        if access.user:
            return access.user
        from lanman.manage.policies.api import who_runs

        return who_runs()

    def opening_for(self, access: Access) -> tuple[Opening, Callable[[], None]]:
        """The way to open Managers of an access for a work that outlives the person's session, with a password of its
        own; and what forgets it when the work is done."""
        if access.credentials is None:
            return access.opening, lambda: None
        own = replace(access.credentials)

        def wipe() -> None:
            own.password = None

        from lanman.net.approach import PLAIN

        return access.refusal.guard(self.servers[access.server].opening_as(own, PLAIN)), wipe

    def look_now(self, server: str) -> None:
        """Something was done to a server: have its poll look soon."""
        self.hub.look_now(server)
