"""Drains of several servers that are one: all of them are empty at the same time, or none stays closed.

Rules:

  - Each server has a drain of its own, and they run at the same time, with one `Joint`: one that is empty early goes on
    looking until all are.
  - One that fails ends the others, which open their servers again: nobody is ended for a drain that cannot be done.
  - Where not all are drained in the end, those that are have been closed for nothing: they are opened again too, unless
    they are to stay closed.
  - One that is not there at first, or does not tell who is, is an error before anything is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lanman.errors import LanmanError
from lanman.manage.cluster.gate import NotTried
from lanman.manage.drain.looks import Scope
from lanman.manage.drain.machine import Verdict
from lanman.manage.drain.shell import Drain, DrainResult, Seen, look, uninterrupted
from lanman.manage.kept import Opening
from lanman.manage.manager import Manager


async def all_there(cluster: Manager) -> dict[str, str]:
    """See that all nodes are there, none of which is waited for again. Gives the names that are second addresses of
    others, and of which: two drains of one server would wait for each other. Raises LanmanError where one is not."""

    async def is_there(manager: Manager) -> str:
        return manager.server

    answers = await cluster.each(is_there)
    # Who was not tried says only that others have refused.
    if answers.missing:
        away = min(answers.missing, key=lambda each: isinstance(each.error, NotTried))
        raise _not_without(away.node, away.error)
    doubles: dict[str, str] = getattr(cluster, "doubles", {})
    return doubles


async def look_at(nodes: Mapping[str, Opening], scope: Scope, *, include_mine: bool = False) -> dict[str, Seen]:
    """Who is at each node. Raises LanmanError where one does not tell: a part is not drained for the whole."""
    work = (look(opening, scope, include_mine=include_mine) for opening in nodes.values())
    found = await asyncio.gather(*work, return_exceptions=True)
    looked = {}
    for name, each in zip(nodes, found, strict=True):
        if isinstance(each, LanmanError):
            raise _not_without(name, each)
        if isinstance(each, BaseException):
            raise each
        looked[name] = each
    return looked


def _not_without(node: str, error: LanmanError) -> LanmanError:
    error.server = error.server or node
    error.hint = "; ".join(filter(None, [error.hint, f"without {node}, name the other nodes: nothing was done"]))
    return error


def as_one(server: str, results: Mapping[str, DrainResult]) -> DrainResult:
    """What became of the whole: drained where all are, else what the first one that is not says."""
    parts = [*results.values()]
    return DrainResult(
        server,
        next((each.verdict for each in parts if not each.drained), Verdict.DRAINED),
        tuple(holder for each in parts for holder in each.left),
        tuple(reason for each in parts for reason in each.reasons),
        all(each.cordoned for each in parts),
        all(each.paused for each in parts),
        [telling for each in parts for telling in each.told],
        dict(results),
    )


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
