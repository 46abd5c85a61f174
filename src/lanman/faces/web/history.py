"""The database of history that the console was given: opened when it is first needed, and kept open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import LanmanError
from lanman.net.dial import Within

if TYPE_CHECKING:
    from lanman.manage.history.records import Deed
    from lanman.manage.history.store import Store


class History:
    """What `--db` names, if anything. `timeout` is in seconds."""

    def __init__(self, database: str | None, home: str | None, timeout: float) -> None:
        self._database, self._home, self._timeout = database, home, timeout
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    @property
    def is_named(self) -> bool:
        """Whether there is one."""
        return self._database is not None

    def within(self) -> Within:
        """The bound on one question."""
        return Within(self._timeout, lambda: "the database has not answered")

    async def store(self) -> Store:
        """The store, open. Raises LanmanError 50 where none is named, and where it cannot be opened."""
        if self._database is None:
            raise LanmanError(
                "this console was given no database of history",
                code=codes.ERROR_NOT_SUPPORTED,
                hint="name one with --db, as `lanman history record` has it",
            )
        from lanman.manage.history.opening import open_store

        async with self._opening:
            if self._store is None:
                store = open_store(self._database, home=self._home, make=False)
                await store.open()
                self._store = store
        return self._store

    async def note(self, deeds: Sequence[Deed]) -> None:
        """Note what was done, where a database is named. Raises LanmanError."""
        if self._database is None or not deeds:
            return
        async with self.within():
            await (await self.store()).note_deed(*deeds)

    async def close(self) -> None:
        """Let go of the database. May be called twice."""
        store, self._store = self._store, None
        if store is not None:
            await store.close()
