"""What a command has done to a server, noted in history, which then says by whom somebody was ended.

Rules:

  - Deeds are noted where there is a database already: named by --db or LANMAN_DB, or in the home. None is made.
  - An order does not depend on it. What cannot be noted is said, and the order's answer is what it was.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lanman.faces.cli import output
from lanman.faces.cli.databases import has_database, named_database, recorded_name
from lanman.faces.deeds import Doer, deed_of_event, deed_of_file, deed_of_outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lanman.errors import LanmanError
    from lanman.faces.cli.invocation import Invocation
    from lanman.manage.drain.machine import Event
    from lanman.manage.history.records import Deed
    from lanman.manage.orders.plan import Outcome
    from lanman.records import FileInfo


class Deeds:
    """What one command does, as it does it. `write` puts it into the database that is there, if there is one.

    `database` is what --db names; `verb` is what is done: `end`, `close`, `drain`.
    """

    def __init__(self, invocation: Invocation, verb: str, database: str | None = None) -> None:
        self._invocation = invocation
        self._verb = verb
        self._database = database
        self._server = recorded_name(invocation)
        self._wanted = has_database(database, invocation.home)
        self._held: list[Deed] = []
        self._some = asyncio.Event()

    def outcome(self, one: Outcome) -> None:
        """What became of one target of a plan."""
        if self._wanted:
            self._hold(deed_of_outcome(self._doer(), one))

    def file(self, entry: FileInfo, error: LanmanError | None) -> None:
        """What became of one file that was to be closed."""
        if self._wanted:
            self._hold(deed_of_file(self._doer(), entry, error))

    def event(self, event: Event) -> None:
        """What a drain does to somebody; what it only sees is no deed."""
        if self._wanted:
            self._hold(deed_of_event(self._doer(), event))

    async def write(self) -> None:
        """Put into the database what has not been put there yet."""
        deeds, self._held = self._held, []
        if not deeds:
            return
        from lanman.errors import LanmanError
        from lanman.manage.history.opening import open_store
        from lanman.net.dial import Within

        invocation = self._invocation
        try:
            async with (
                Within(invocation.timeout, lambda: "the database has not answered"),
                open_store(named_database(self._database), home=invocation.home, make=False) as store,
            ):
                await store.note_deed(*deeds)
        except LanmanError as error:
            output.warn(f"who did this is not noted in history: {error.with_hint}")

    @asynccontextmanager
    async def written(self) -> AsyncIterator[None]:
        """While the context lasts, deeds are written as they come; at its end the last ones are, whatever ends it."""
        task = asyncio.create_task(self._keep_writing())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self.write()

    async def _keep_writing(self) -> None:
        while await self._some.wait():
            self._some.clear()
            # Not to be cut off in the middle: what was taken would be lost.
            await asyncio.shield(asyncio.ensure_future(self.write()))

    def _doer(self) -> Doer:
        return Doer(operator(self._invocation), self._server, self._verb)

    def _hold(self, deed: Deed | None) -> None:
        if deed is not None:
            self._held.append(deed)
            self._some.set()


def operator(invocation: Invocation) -> str:
    """Who gives the orders of this command: the user of the log-on, else of this process."""
    if invocation.credentials is not None and invocation.credentials.logon_name:
        return invocation.credentials.logon_name
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # this process has no user's name
        return "unknown"
