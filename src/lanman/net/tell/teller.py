"""`Teller`: tells many people, each by every way that is configured, a bounded number at once.

A way that turns out to tell nobody (a log-on that is refused, a server that cannot be reached) is not tried again for
the others, and neither is one that gave no answer `MAX_SILENT` times in a row: they get the same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from lanman.net.tell.people import Message, NotTold, Person, Telling, Told, Way, WayOutcome

if TYPE_CHECKING:
    from lanman.client_settings import ClientConfiguration

AT_ONCE: Final = 8
"""How many people are told at the same time, by each way."""

MAX_SILENT: Final = 3

NOBODY: Final = "nobody is logged on there"


class Teller:
    """Tells people by the ways that it was given."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self.ways = tuple(ways)

    @classmethod
    def of(cls, configuration: ClientConfiguration) -> Teller:
        """The Teller that lanman.toml describes. Raises LanmanError for certificates that cannot be read."""
        ways: list[Way] = []
        if (mail := configuration.mail) is not None:
            from lanman.net.tell.mail import MailWay

            ways.append(MailWay(mail, configuration.credentials.get(mail.credentials)))
        if (webhook := configuration.webhook) is not None:
            from lanman.net.tell.webhook import WebhookWay

            ways.append(WebhookWay(webhook, configuration.credentials.get(webhook.credentials)))
        if configuration.command is not None:
            from lanman.net.tell.command import CommandWay

            ways.append(CommandWay(configuration.command))
        return cls(ways)

    async def tell(
        self, people: Sequence[Person], message: Message, done: Callable[[Telling], None] | None = None
    ) -> list[Telling]:
        """Tell each of them; what became of it in their order. `done` is called with each as it is known."""
        states = [_State(way) for way in self.ways]

        async def one(person: Person) -> Telling:
            outcomes = await asyncio.gather(*(state.tell(person, message) for state in states))
            telling = Telling(person, tuple(outcomes))
            if done is not None:
                done(telling)
            return telling

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(person)) for person in people]
        return [task.result() for task in tasks]


class _State:
    """One way, while people are told."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._places = asyncio.Semaphore(AT_ONCE)
        self._silent = 0
        self._given_up = ""

    async def tell(self, person: Person, message: Message) -> WayOutcome:
        """Tell one person, when it is that one's turn."""
        if not person.user_name:
            return WayOutcome(self._way.name, Told.NO, NOBODY)
        async with self._places:
            if self._given_up:
                return WayOutcome(self._way.name, Told.NO, f"not tried: {self._given_up}")
            try:
                await self._way.tell(person, message)
            except NotTold as error:
                self._learn(error)
                return WayOutcome(self._way.name, error.told, error.reason)
            self._silent = 0
            return WayOutcome(self._way.name, Told.YES)

    def _learn(self, error: NotTold) -> None:
        self._silent = self._silent + 1 if error.silent else 0
        if error.for_all or self._silent >= MAX_SILENT:
            self._given_up = error.reason
