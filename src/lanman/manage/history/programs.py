"""History for programs: what `lanman.open_history`, `lanman.record_history` and the two without asyncio are.

async with lanman.open_history() as history:
    for stay in (await history.by_user("bob")).stays: ...

with lanman.blocking_history() as history:
    for stay in history.by_user("bob").stays: ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman.manage.background import Background, Closing
from lanman.manage.history.opening import open_store
from lanman.manage.history.recorder import KEEP, BlockingRecorder, Recorder
from lanman.manage.history.records import Answer, Count, Deed, GapRecord, Stats, Stay, Watched
from lanman.manage.history.store import Store
from lanman.manage.manager import DEFAULT_TIMEOUT
from lanman.manage.open import open_manager
from lanman.manage.watching.poller import Poller
from lanman.names import fold

if TYPE_CHECKING:
    from lanman.manage.manager import Manager
    from lanman.net.credentials import Credentials

EVERY: Final = 5.0


def open_history(url: str | Path | None = None, *, home: str | Path | None = None, make: bool = False) -> Store:
    """A database of history, to be used in `async with`: `sqlite:///FILE`, the path of a file, or `postgresql://...`;
    None is the file in the home.

    Without `make`, a file that there is not is refused. Raises LanmanError.
    """
    return open_store(url, home=home, make=make)


@asynccontextmanager
async def record_history(
    servers: Sequence[str | None] = (None,),
    credentials: Credentials | None = None,
    *,
    url: str | Path | None = None,
    every: float = EVERY,
    keep: int = KEEP,
    paths: bool = True,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
) -> AsyncIterator[Recorder]:
    """Record servers (None is this machine's) into a database, as long as the recorder that it gives is iterated.

    `every` is how often each is asked, in seconds, and `keep` how many days are kept, today included; without `paths`
    no names of files are. At the end what was seen is written. The other arguments are those of `lanman.open_manager`.
    Raises ValueError for no servers and times that are not positive; AlreadyHeld (a LanmanError) where a recorder
    writes to that database already.
    """
    pollers = _pollers(servers, credentials, every, port=port, timeout=timeout, home=home)
    async with open_store(url, home=home) as store, Recorder(store, pollers, keep=keep, paths=paths) as recorder:
        yield recorder


def blocking_record_history(
    servers: Sequence[str | None] = (None,),
    credentials: Credentials | None = None,
    *,
    url: str | Path | None = None,
    every: float = EVERY,
    keep: int = KEEP,
    paths: bool = True,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
) -> BlockingRecorder:
    """`lanman.record_history` for programs without asyncio, to be used in `with`: the same arguments and errors."""
    pollers = _pollers(servers, credentials, every, port=port, timeout=timeout, home=home)
    return BlockingRecorder(open_store(url, home=home), pollers, keep=keep, paths=paths)


def _pollers(
    servers: Sequence[str | None],
    credentials: Credentials | None,
    every: float,
    *,
    port: int | None,
    timeout: float,
    home: str | Path | None,
) -> list[Poller]:
    if not servers or isinstance(servers, str):
        raise ValueError("servers are a list of names; None in it is this machine's")
    if not every > 0 or not timeout > 0:
        raise ValueError("times are in seconds, and positive")
    names = {fold(server or ""): server for server in servers}

    def poller(server: str | None) -> Poller:
        def opening() -> AbstractAsyncContextManager[Manager]:
            return open_manager(server, credentials, port=port, timeout=timeout, home=home)

        return Poller(opening, server=server or "", every=every, deadline=timeout)

    return [poller(server) for server in names.values()]


def blocking_history(
    url: str | Path | None = None, *, home: str | Path | None = None, make: bool = False
) -> BlockingHistory:
    """A database of history, open; arguments and errors as `lanman.open_history`.

    Close it, or use it in a `with` statement.
    """
    return BlockingHistory(open_history(url, home=home, make=make))


class BlockingHistory(Closing):
    """A store of history whose methods block; see `lanman.manage.history.store.Store` for what each answers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._background = Background()
        try:
            self._background.run(store.open())
        except BaseException:
            self._background.stop()
            raise

    def close(self) -> None:
        """Let go of the database, and end the thread. May be called twice."""
        self._background.close(self._store.close)

    def at(self, time: int, **filters: str | None) -> Answer:
        """Who was there in that second; `filters` are server, path, user and client."""
        return self._background.run(self._store.at(time, **filters))

    def between(self, since: int, until: int, *, limit: int | None = None, **filters: str | None) -> Answer:
        """Who was there at any moment of that time: the newest `limit`, the oldest first."""
        return self._background.run(self._store.between(since, until, limit=limit, **filters))

    def who(self, path: str, *, limit: int = 200, **span: Any) -> Answer:
        """Who had a file open: the newest `limit`, the newest first; `span` is since, until and server."""
        return self._background.run(self._store.who(path, limit=limit, **span))

    def by_user(self, user: str, *, limit: int = 200, **span: Any) -> Answer:
        """Sessions and files of a user: the newest `limit`, the newest first; `span` is since, until and server."""
        return self._background.run(self._store.by_user(user, limit=limit, **span))

    def by_client(self, client: str, *, limit: int = 200, **span: Any) -> Answer:
        """Sessions and files of a client: the newest `limit`, the newest first; `span` is since, until and server."""
        return self._background.run(self._store.by_client(client, limit=limit, **span))

    def gaps(self, since: int | None = None, until: int | None = None, *, server: str | None = None) -> list[GapRecord]:
        """The gaps in that time; the oldest first."""
        return self._background.run(self._store.gaps(since, until, server=server))

    def counts(self, since: int, until: int, step: int, *, server: str) -> list[Count]:
        """How many sessions and files there were at `since` and every `step` seconds after that."""
        return self._background.run(self._store.counts(since, until, step, server=server))

    def watched(self) -> Sequence[Watched]:
        """The servers of which something was recorded."""
        return self._background.run(self._store.watched())

    def stats(self) -> Stats:
        """What the database holds."""
        return self._background.run(self._store.stats())

    def deeds(self, since: int, until: int, *, server: str | None = None, plan: str | None = None) -> list[Deed]:
        """What was done in that time; the oldest first."""
        return self._background.run(self._store.deeds(since, until, server=server, plan=plan))

    def note_deed(self, *deeds: Deed) -> None:
        """Note what was done."""
        self._background.run(self._store.note_deed(*deeds))

    def export(self, since: int, until: int, *, server: str | None = None) -> Iterator[Stay]:
        """Every stay of that time, one after the other, by their begin."""
        stays = self._store.export(since, until, server=server)
        while (stay := self._background.run(_next_of(stays))) is not None:
            yield stay


async def _next_of(stays: AsyncIterator[Stay]) -> Stay | None:
    return await anext(stays, None)
