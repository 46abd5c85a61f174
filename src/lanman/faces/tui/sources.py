"""A server that is watched and told over one connection: that of the poller.

A second connection would be a second session of ours at the server, and an order that ended the poller's would not know
that it is ours. So orders go to the Manager that the poller has open. While it has none, there is nobody to be told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lanman.errors import ConnectionLost
from lanman.faces.tui.model import Meant
from lanman.manage.manager import DEFAULT_TIMEOUT, Manager
from lanman.manage.watching.poller import ALL_KINDS, EVERY, Opening, Poller
from lanman.manage.watching.rows import Kind


class PolledServer:
    """A server by what opens a Manager of it. `name` is what it was called, and `meant` says which rows are shown, if
    not all; see `lanman.faces.tui.app.Source`."""

    def __init__(
        self,
        name: str,
        opening: Opening,
        *,
        every: float = EVERY,
        deadline: float = DEFAULT_TIMEOUT,
        kinds: frozenset[Kind] = ALL_KINDS,
        meant: Meant | None = None,
    ) -> None:
        self.name = name
        self.meant = meant
        self._opening = opening
        self._every, self._deadline, self._kinds = every, deadline, kinds
        self._open: Manager | None = None
        self._poller: Poller | None = None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Manager]:
        async with self._opening() as manager:
            self._open = manager
            try:
                yield manager
            finally:
                self._open = None

    def watch(self) -> Poller:
        """What there is on it and what happens."""
        self._poller = Poller(
            self._opened, server=self.name, every=self._every, deadline=self._deadline, kinds=self._kinds
        )
        return self._poller

    def look_now(self) -> None:
        """Ask it as soon as may be: something has been done there."""
        if self._poller is not None:
            self._poller.look_now()

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        """The Manager that the poller has open. Raises ConnectionLost where it has none."""
        if self._open is None:
            raise ConnectionLost(f"{self.name} does not answer", hint="Orders wait until it answers again.")
        yield self._open
