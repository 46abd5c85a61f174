"""How `lanman watch` runs: a poller for each server, each with a writer, until the end.

Rules:

  - Each server has a poller of its own, and one that does not answer holds up none of the others. The only one that is
    watched has to answer the first time.
  - It ends by itself after a time, after a number of events, when the reader of standard output has gone, or when no
    server is left to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

from lanman.errors import AuthenticationError
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.output import Format
from lanman.faces.cli.watchfilter import RowFilter
from lanman.faces.cli.watchlines import Lines, Records, Writer
from lanman.manage.kept import Opening
from lanman.manage.manager import Manager
from lanman.manage.watching.poller import ALL_KINDS, EVERY, Poller
from lanman.manage.watching.rows import Kind
from lanman.plain import dataclass

EXIT_INCOMPLETE: Final = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is watched for: which rows, how often servers are asked, and when it ends. None is no filter and no end."""

    files: bool = False
    client: str | None = None
    user: str | None = None
    path: str | None = None
    shares: bool = False
    every: float | None = None
    how_long: float | None = None
    count: int | None = None

    def filter(self) -> RowFilter:
        """Which rows are meant: for one server, since a path of a share is another one on each."""
        return RowFilter(client=self.client, user=self.user, path=self.path)


Group = tuple[str | None, Sequence[Invocation]]
"""A server alone, for None, or the nodes of the cluster of a name."""


def watch_screen(groups: Sequence[Group], wanted: Wanted, *, readonly: bool) -> int | None:
    """Show some servers, and clusters as one each, on the screen until it is left. Gives the exit status; None where
    there is no screen, which is said where textual is all that it lacks."""
    from lanman.faces.tui import start
    from lanman.faces.tui.sources import PolledCluster, PolledServer

    if not start.is_possible():
        return None
    if not start.is_installed():
        output.note(f"there is a screen for this, which needs textual: {start.INSTALL}")
        return None
    every = EVERY if wanted.every is None else wanted.every
    sources: list[PolledServer | PolledCluster] = []
    for name, nodes in groups:
        meant = wanted.filter()
        if name is not None:
            cluster = PolledCluster(
                name,
                {_name(each): _finding(each, meant) for each in nodes},
                every=every,
                deadline=nodes[0].timeout,
                meant=meant if str(meant) else None,
            )
            sources.append(cluster)
            continue
        (each,) = nodes
        source = PolledServer(
            _name(each),
            _finding(each, meant),
            every=every,
            deadline=each.timeout,
            kinds=ALL_KINDS,
            meant=meant if str(meant) else None,
        )
        sources.append(source)
    return asyncio.run(start.run_screen(sources, every=every, readonly=readonly))


def watch_lines(servers: Sequence[Invocation], wanted: Wanted) -> int:
    """Write what happens on some servers, in the format that they are asked for. Gives the exit status."""
    files = wanted.files or wanted.path is not None
    asked = {Kind.SESSION: True, Kind.FILE: files, Kind.SHARE: wanted.shares}
    shown = frozenset(kind for kind, is_asked in asked.items() if is_asked)
    every = EVERY if wanted.every is None else wanted.every
    writers: list[Writer] = []
    pollers: list[Poller] = []
    for each in servers:
        meant = wanted.filter()
        pollers.append(_poller(each, meant, every, shown))
        name, several = _name(each), len(servers) > 1
        if each.format is Format.JSON:
            writers.append(Records(name, meant, shown, several=several))
        else:
            writers.append(Lines(name, meant, shown, every=every, several=several))
    return asyncio.run(_write(pollers, writers, wanted))


def _name(invocation: Invocation) -> str:
    """What a server is called in what is written."""
    if invocation.node is not None:
        return invocation.node
    if invocation.server is None:
        return invocation.service or "This machine"
    return invocation.server if invocation.port is None else f"{invocation.server}:{invocation.port}"


def _finding(invocation: Invocation, meant: RowFilter) -> Opening:
    """Opens the Manager of a server, and finds there what a path of a share means."""

    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[Manager]:
        async with invocation.opening() as manager:
            await meant.find(manager)
            yield manager

    return opening


def _poller(invocation: Invocation, meant: RowFilter, every: float, shown: frozenset[Kind]) -> Poller:
    return Poller(
        _finding(invocation, meant),
        server=invocation.server or "",
        every=every,
        deadline=invocation.timeout,
        # Sessions say who may have a file open, also where they are not shown.
        kinds=shown | {Kind.SESSION},
    )


async def _write(pollers: Sequence[Poller], writers: Sequence[Writer], wanted: Wanted) -> int:
    """Write what the pollers give, until the end; the exit status. Raises LanmanError and StandardOutputError."""
    enough = asyncio.Event()
    count = wanted.count

    async def feed(poller: Poller, writer: Writer) -> None:
        async with poller:
            try:
                async for update in poller:
                    error = update.picture.error
                    if error is not None and len(pollers) == 1 and update.picture.asked_at is None:
                        raise error
                    await writer.write(update)
                    if count is not None and sum(each.written for each in writers) >= count:
                        enough.set()
            except AuthenticationError as error:
                if len(pollers) == 1:
                    raise
                writer.incomplete = True
                output.warn(f"{writer.name} is not watched any more: {error.with_hint}")

    feeds = [asyncio.create_task(feed(*pair)) for pair in zip(pollers, writers, strict=True)]
    ends = [asyncio.create_task(enough.wait())]
    with _reader_gone() as gone:
        try:
            await _until_over(feeds, [*ends, gone], wanted.how_long)
        finally:
            for task in (*feeds, *ends):
                task.cancel()
            await asyncio.wait([*feeds, *ends])
    return EXIT_INCOMPLETE if any(writer.incomplete for writer in writers) else output.EXIT_SUCCESS


async def _until_over(
    feeds: Sequence[asyncio.Task[None]], ends: Sequence[asyncio.Future[Any]], how_long: float | None
) -> None:
    """Wait for the first end, for the last feed, or for so long. Raises what a feed or an end raises."""
    loop = asyncio.get_running_loop()
    over = None if how_long is None else loop.time() + how_long
    waiting: set[asyncio.Future[Any]] = {*feeds, *ends}
    while not all(feed.done() for feed in feeds):
        rest = None if over is None else over - loop.time()
        if rest is not None and rest <= 0:
            return
        done, waiting = await asyncio.wait(waiting, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        if any(end.done() for end in ends):
            return


@contextlib.contextmanager
def _reader_gone() -> Iterator[asyncio.Future[Any]]:
    """A future that fails once nobody can read standard output any more: a pipe whose reader has gone says so only when
    something is written, which may be never."""
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[Any] = loop.create_future()
    try:
        descriptor = sys.stdout.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, ValueError, AttributeError):
        is_pipe = False
    if not is_pipe or sys.platform == "win32":
        yield gone
        return

    def on_end() -> None:
        loop.remove_reader(descriptor)
        error = output.StandardOutputError("nobody reads it")
        error.__cause__ = BrokenPipeError()
        if not gone.done():
            gone.set_exception(error)

    # The writing end of a pipe is never to be read; what is reported of it is its end.
    loop.add_reader(descriptor, on_end)
    try:
        yield gone
    finally:
        loop.remove_reader(descriptor)
        if gone.done():
            gone.exception()
