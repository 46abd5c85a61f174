"""The interface of what remembers (its two databases stand behind it).

    async with open_store(None) as store:          # a file in the home; or "sqlite:///...", "postgresql://..."
        answer = await store.at(time)
        answer.stays, answer.gaps

All times are whole seconds since 1970. Filters mean what they mean for `lanman session` and `lanman file`
(`lanman.manage.selection`): patterns with `*` and `?`, equal before alike; an empty one is refused (Win32Error 87,
2351). A `server` of which nothing was recorded is refused (LanmanError); None is all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from lanman.manage.history.records import Answer, Deed, GapRecord, Holder, Stats, Stay, Watched


class Store(ABC):
    """A database of history. Everything raises LanmanError where it cannot be read or written."""

    @abstractmethod
    def hold(self, role: str) -> AbstractAsyncContextManager[Holder]:
        """Hold a role (`recorder`, `policy`), which one process can at a time. It is free as soon as that process ends,
        however it ends. Raises AlreadyHeld (a LanmanError with `holder`), which says who holds it, and since when."""

    @abstractmethod
    async def holder(self, role: str) -> Holder | None:
        """Who holds a role now; None where nobody does."""

    @abstractmethod
    async def note_deed(self, *deeds: Deed) -> None:
        """Note what was done. It is on the disk when this returns."""

    @abstractmethod
    async def deeds(self, since: int, until: int, *, server: str | None = None, plan: str | None = None) -> list[Deed]:
        """What was done in that time, both seconds included, the oldest first."""

    @abstractmethod
    async def at(
        self,
        time: int,
        *,
        server: str | None = None,
        path: str | None = None,
        user: str | None = None,
        client: str | None = None,
    ) -> Answer:
        """Who was there in that second: sessions and files, or the files of a path."""

    @abstractmethod
    async def between(
        self,
        since: int,
        until: int,
        *,
        server: str | None = None,
        path: str | None = None,
        user: str | None = None,
        client: str | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Who was there at any moment of that time, both seconds included; the oldest first, the newest `limit`."""

    @abstractmethod
    async def who(
        self,
        path: str,
        *,
        since: int | None = None,
        until: int | None = None,
        server: str | None = None,
        limit: int = 200,
    ) -> Answer:
        r"""Who had the files open whose path matches: the newest `limit`, the newest first. `path` is the server's own,
        a pattern, or `\\server\share\path`."""

    @abstractmethod
    async def by_user(
        self,
        user: str,
        *,
        since: int | None = None,
        until: int | None = None,
        server: str | None = None,
        limit: int = 200,
    ) -> Answer:
        """Sessions and files of a user: the newest `limit`, the newest first."""

    @abstractmethod
    async def by_client(
        self,
        client: str,
        *,
        since: int | None = None,
        until: int | None = None,
        server: str | None = None,
        limit: int = 200,
    ) -> Answer:
        """Sessions of a client, and files that are or may be open from it: the newest `limit`, the newest first."""

    @abstractmethod
    async def gaps(
        self, since: int | None = None, until: int | None = None, *, server: str | None = None
    ) -> list[GapRecord]:
        """The gaps in that time, those that last included; the oldest first."""

    @abstractmethod
    async def watched(self) -> Sequence[Watched]:
        """The servers of which something was recorded."""

    @abstractmethod
    async def stats(self) -> Stats:
        """What the database holds. Counting reads all of it."""

    @abstractmethod
    def export(self, since: int, until: int, *, server: str | None = None) -> AsyncIterator[Stay]:
        """Every stay that `between` would give, one after the other, by their begin; for exports of any size."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the database. May be called twice."""
