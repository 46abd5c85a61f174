"""Policies: what there are, what they would do now, and what they have promised. Nothing is run from here.

The rules:

  - Policies are those of the user that the console runs as (`policies.toml`), and are looked at with the rights of who
    asks: of servers where this person is not logged on nothing is told. What was promised has others' names in it, and
    is told to whom the server tells its sessions, with their users, and its open files now.
  - A plan is a dry run: one look at each server. Nothing is done, and nobody is told.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman.errors import LanmanError
from lanman.faces.web.answers import Refused, answer
from lanman.faces.web.api.common import COST, COUNT, NAME, SERVER, WHEN
from lanman.faces.web.api.routing import Asked, route
from lanman.faces.web.api.seen import is_told_all
from lanman.faces.web.api.shapes import many, or_null, record, said, truth, whole, words
from lanman.manage.policies.api import standing
from lanman.manage.policies.plan import planned
from lanman.manage.policies.promises import State
from lanman.manage.policies.runner import Source
from lanman.manage.policies.servers import Access as How
from lanman.manage.policies.servers import Served, Servers, find_servers
from lanman.manage.selection import canonical_client
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from starlette.responses import Response

    from lanman.client_settings import ClientConfiguration
    from lanman.faces.web.people import Access
    from lanman.manage.policies.declared import Policies

_MODE: Final = words("report", "enforce", doc="`report` says what would be done, `enforce` does it")
_POLICY: Final = record(
    {
        "policy": said(),
        "servers": many(said()),
        "mode": _MODE,
        "awake": truth("whether it is at work at this hour"),
        "changes_at": WHEN,
        "before": or_null(whole("how many seconds before its end somebody is told")),
        "at_most": COUNT,
        "at_most_percent": COUNT,
        "may_cost": COST,
    }
)
_SESSION: Final = record(
    {
        "key": said(),
        "client_name": NAME,
        "user_name": NAME,
        "num_opens": COUNT,
        "idle_time": COUNT,
        "begun_at": WHEN,
        "meant": said("why it is meant"),
        "now": words("tell", "end", "wait", "leave"),
        "why": said(),
        "due_at": WHEN,
        "cost": COST,
        "cost_why": said(),
    }
)
_PLAN: Final = record(
    {
        "policy": said(),
        "server": said(),
        "mode": _MODE,
        "at": WHEN,
        "error": COUNT,
        "message": or_null(said("why the server could not be looked at")),
        "asleep": or_null(truth()),
        "skipped": or_null(said("why nothing can be decided there")),
        "stopped": or_null(said("why nothing would be done")),
        "total": or_null(whole("how many sessions there are")),
        "matched": COUNT,
        "sessions": many(_SESSION),
        "undecided": many(record({"key": said(), "client_name": NAME, "user_name": NAME, "why": said()})),
    }
)
_PROMISE: Final = record(
    {
        "key": said(),
        "policy": said(),
        "server": said(),
        "mode": _MODE,
        "client_name": NAME,
        "user_name": NAME,
        "begun_at": WHEN,
        "state": words(*(state.value for state in State)),
        "matched_at": WHEN,
        "told": NAME,
        "told_at": WHEN,
        "due_at": WHEN,
        "again_at": WHEN,
        "meant": said(),
        "reason": NAME,
    }
)
_SPARED: Final = record(
    {"key": said(), "server": or_null(said("null for every server")), "until_at": WHEN, "by": said()}
)


async def _read(asked: Asked) -> tuple[Policies, ClientConfiguration]:
    path = asked.console.settings.policies
    return await asyncio.to_thread(Source(None if path is None else Path(path)).read)


async def _servers(asked: Asked, policies: Policies, configuration: ClientConfiguration) -> Servers:
    """Those of the policies' servers where this person is logged on, opened as that person."""
    theirs = {canonical_client(name): access for name, access in asked.person.accesses.items()}
    wanted = asked.query.get("server")
    if wanted is not None:
        theirs = {canonical_client(wanted): asked.access(wanted)}
    found = await find_servers(policies, How(), configuration)
    named = {canonical_client(each.name): each for each in found.served.values()}
    everywhere = [policy for policy in policies.policies.values() if not policy.servers]
    served: dict[str, Served] = {}
    for name, access in theirs.items():
        mine = named[name].policies if name in named else []
        # A policy that names no servers is for any.
        mine = [*mine, *(policy for policy in everywhere if policy not in mine)]
        if mine:
            served[access.server] = Served(access.server, access.opening, list(mine))
    return Servers(served, {})


@route("GET", "/policies", "The policies", answers={"policies": many(_POLICY)}, refusals=(404,))
async def list_policies(asked: Asked) -> Response:
    """Those that are for a server where you are logged on."""
    policies, configuration = await _read(asked)
    served = (await _servers(asked, policies, configuration)).served
    names = {policy.name for each in served.values() for policy in each.policies}
    now = time.time()
    return answer(policies=[each.as_json(now) for each in policies.policies.values() if each.name in names])


@route(
    "GET",
    "/policies/plan",
    "What policies would do",
    query={"server": SERVER},
    answers={"plans": many(_PLAN)},
    refusals=(404,),
)
async def plan(asked: Asked) -> Response:
    """A dry run, with your rights, of all servers where you are logged on or of one. What has been promised is taken
    into account where a database is named."""
    policies, configuration = await _read(asked)
    servers = await _servers(asked, policies, configuration)
    if not servers.served:
        raise Refused(
            HTTPStatus.NOT_FOUND, "no policy is for a server where you are logged on", hint="log on at another server"
        )
    promises, spares = await standing(await _store(asked), asked.console.wall_clock())
    found = await planned(policies, servers, asked.console.wall_clock, promises=promises, spares=spares)
    return answer(plans=[each.as_json() for each in found])


@route(
    "GET",
    "/policies/status",
    "What policies have promised",
    answers={
        "database": said(),
        "runs": or_null(record({"host": said(), "pid": whole(), "since_at": WHEN}, "who runs them; null for nobody")),
        "promises": many(_PROMISE),
        "spared": many(_SPARED),
    },
    refusals=(404, 501),
)
async def status(asked: Asked) -> Response:
    """What stands of it, about servers that tell you their sessions, with users, and open files now; the first to be
    due first. What is spared at every server is told to whoever is told of one."""
    from lanman.manage.policies.kept import ROLE

    store = await asked.console.history.store()
    async with asked.console.history.within():
        promises, spares = await standing(store, asked.console.wall_clock())
        holder = await store.holder(ROLE)
    theirs = {canonical_client(name) for name, access in asked.person.accesses.items() if await _is_told(asked, access)}
    return answer(
        database=store.name,
        runs=None if holder is None else {"host": holder.host, "pid": holder.pid, "since_at": rfc3339(holder.since)},
        promises=[one.as_json() for one in promises if canonical_client(one.server) in theirs],
        spared=[
            {"key": each.word, "server": each.server or None, "until_at": rfc3339(each.until), "by": each.by}
            for each in spares
            if (theirs if not each.server else canonical_client(each.server) in theirs)
        ],
    )


async def _is_told(asked: Asked, access: Access) -> bool:
    """Whether a server tells a person of others now; not where it tells nothing, or does not answer."""
    try:
        return await is_told_all(asked, access)
    except LanmanError:
        return False


async def _store(asked: Asked) -> Any:
    return await asked.console.history.store() if asked.console.history.is_named else None
