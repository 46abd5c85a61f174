"""The console: what there is while it runs, for everybody who asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from lanman.faces.web.attempts import Attempts
from lanman.faces.web.live.hub import Hub
from lanman.faces.web.people import Access, People, Person
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.net.approach import Approach
    from lanman.net.credentials import Credentials

log: Final = logging.getLogger("lanman.web")

EVERY: Final = 2.0
"""How often a server is asked, in seconds."""
LOOK_FOR_IDLE: Final = 10.0


class Offered(NamedTuple):
    """A server that the command was given: what it is called, and how a Manager of it is opened.

    `opening` is with the command's own credentials. `opening_as` gives one with those of a person, approached as is
    said there; it goes over SMB, since a server judges no password otherwise.
    """

    name: str
    opening: Opening
    opening_as: Callable[[Credentials, Approach], Opening]


Finding = Callable[[], Awaitable[Sequence[Offered]]]
"""Finds the servers, where they have to be looked up first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the console works. `database` is the history's; `every` and `timeout` are in seconds."""

    readonly: bool = False
    database: str | None = None
    every: float = EVERY
    timeout: float = DEFAULT_TIMEOUT


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
    ) -> None:
        self.settings = settings or Settings()
        self.servers: dict[str, Offered] = {}
        """By name, in the order in which they were given."""
        self.people = People()
        self.attempts = Attempts()
        self.hub = Hub(self.settings.every, self.settings.timeout)
        self.clock = clock
        self._find = servers if callable(servers) else None
        if not callable(servers):
            self._offer(servers)
        self._expiring: asyncio.Task[None] | None = None

    def _offer(self, servers: Sequence[Offered]) -> None:
        for each in servers:
            if self.servers.setdefault(each.name, each) is not each:
                raise ValueError(f"two servers have one name: {each.name}")

    async def __aenter__(self) -> Self:
        if self._find is not None:
            self._offer(await self._find())
        self.people.on_end(self.hub.leave)
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
        await self.hub.close()

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
        return {name: Access(name, "", each.opening, may_order) for name, each in self.servers.items()}
