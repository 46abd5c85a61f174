"""A Manager that stays open from one question to the next, and is opened anew after it was closed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from lanman.manage.manager import Manager

Opening = Callable[[], AbstractAsyncContextManager["Manager"]]
"""Opens a Manager of one server, each time that it is called."""


class KeptManager:
    """An async context manager, which closes the Manager that it has open."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._stack = contextlib.AsyncExitStack()
        self._manager: Manager | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the Manager, if one is open; a later question opens another."""
        self._manager = None
        await self._stack.aclose()

    async def manager(self) -> Manager:
        """The Manager, opened now if none is. Raises LanmanError."""
        if self._manager is None:
            self._manager = await self._stack.enter_async_context(self._opening())
        return self._manager
