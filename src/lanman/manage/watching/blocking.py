"""Watching a server in programs without asyncio: the same updates, each given when it is there.

with blocking_watch("fs1", credentials, every=2) as poller:
    for update in poller: ...
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lanman.manage.background import Background, Closing
from lanman.manage.cluster import is_cluster
from lanman.manage.watching.poller import Poller, watch

if TYPE_CHECKING:
    from typing import Self

    from lanman.manage.watching.changes import Picture, Update
    from lanman.manage.watching.nodes import NodesPoller
    from lanman.net.credentials import Credentials


def blocking_watch(server: str | None = None, credentials: Credentials | None = None, **options: Any) -> BlockingPoller:
    """Watch a server, to be used in `with`; the options and what is raised are those of `lanman.watch`. Several servers
    (`fs1,fs2`) are watched as one, with the options of `lanman.watch_nodes`."""
    if server is not None and is_cluster(server):
        from lanman.manage.watching.nodes import watch_nodes

        return BlockingPoller(watch_nodes(server, credentials, **options))
    return BlockingPoller(watch(server, credentials, **options))


class BlockingPoller(Closing):
    """A Poller whose updates are iterated without `await`. The server is asked in a thread of its own.

    Iterating raises AuthenticationError, and ends once it is closed. An interrupt (Ctrl-C) while an update is waited
    for loses none.
    """

    def __init__(self, poller: Poller | NodesPoller) -> None:
        self._poller = poller
        self._background = Background()

    @property
    def picture(self) -> Picture:
        """What there is; see `Update.picture`. It is brought up to date while an update is waited for."""
        return self._poller.picture

    def close(self) -> None:
        """Disconnect and end the thread. May be called twice."""
        self._background.close(self._poller.close)

    def look_now(self) -> None:
        """Ask as soon as may be, and not when it is due."""
        self._background.run(self._look_now())

    async def _look_now(self) -> None:
        self._poller.look_now()

    def more(self, wait: float) -> Update | None:
        """The next update, waiting up to so many seconds for it; None where there was none, or it is closed."""
        return self._background.run(self._more(wait)) if self._background.running else None

    async def _more(self, wait: float | None) -> Update | None:
        try:
            async with asyncio.timeout(wait):
                return await anext(self._poller, None)
        except TimeoutError:
            return None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        """The next update; the end, once it is closed."""
        update = self._background.run(self._more(None)) if self._background.running else None
        if update is None:
            raise StopIteration
        return update
