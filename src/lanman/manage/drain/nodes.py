"""Drains of several servers that are one: all of them are empty at the same time, or none stays closed.

Rules:

  - Each server has a drain of its own, and they run at the same time, with one `Joint`: one that is empty early goes on
    looking until all are.
  - One that fails ends the others, which open their servers again: nobody is ended for a drain that cannot be done.
  - Where not all are drained in the end, those that are have been closed for nothing: they are opened again too, unless
    they are to stay closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lanman.errors import LanmanError
from lanman.manage.drain.machine import Verdict
from lanman.manage.drain.shell import Drain, DrainResult, uninterrupted


async def together(drains: Mapping[str, Drain], *, keep_paused: bool) -> dict[str, DrainResult]:
    """Run drains by the names of their servers. Raises LanmanError as `Drain.run`, which names its server, and
    CancelledError; servers are open again by then."""
    tasks = {name: asyncio.ensure_future(drain.run()) for name, drain in drains.items()}
    results: dict[str, DrainResult] = {}
    is_done = False
    try:
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for name, task in tasks.items():
            error = None if task.cancelled() else task.exception()
            if isinstance(error, LanmanError):
                error.server = error.server or name
                raise error
        results = {name: task.result() for name, task in tasks.items()}
        is_done = all(result.verdict is Verdict.DRAINED for result in results.values())
        return results
    finally:
        for task in tasks.values():
            task.cancel()
        await uninterrupted(_ended(drains, tasks, reopen=not is_done and not keep_paused))
        for name, result in results.items():
            result.paused = drains[name].is_closed


async def _ended(drains: Mapping[str, Drain], tasks: Mapping[str, asyncio.Task[DrainResult]], *, reopen: bool) -> None:
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    if reopen:
        await asyncio.gather(*(drain.reopen() for drain in drains.values()))
