"""How many Managers the console has open at each server, and as whom: each may be a session that its server lists."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lanman.manage.kept import Opening
    from lanman.manage.manager import Manager


class Connected:
    """Counts Managers by server and user, as long as they are open."""

    def __init__(self) -> None:
        self._open: Counter[tuple[str, str]] = Counter()

    def at(self, server: str) -> Mapping[str, int]:
        """How many are open at a server, by user."""
        return {user: number for (name, user), number in self._open.items() if name == server and number > 0}

    def counted(self, server: str, user: str, opening: Opening) -> Opening:
        """The same opening, whose Managers are counted."""

        def opened() -> AbstractAsyncContextManager[Manager]:
            return self._opened(server, user, opening)

        return opened

    @contextlib.asynccontextmanager
    async def _opened(self, server: str, user: str, opening: Opening) -> AsyncIterator[Manager]:
        async with opening() as manager:
            self._open[server, user] += 1
            try:
                yield manager
            finally:
                self._open[server, user] -= 1
