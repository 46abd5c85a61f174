"""`lanman.drain`: one call that drains a server, or several servers as one.

result = await lanman.drain("fs1", credentials, warn=600, grace=300, end="all")
if result.drained: ...
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanman.manage.cluster import Place, configured_credentials, is_cluster, single_servers
from lanman.manage.cluster.gate import LogonGates
from lanman.manage.drain.looks import Looker
from lanman.manage.drain.machine import DEFAULT_QUIET, End, Event, Joint, Rules
from lanman.manage.drain.nodes import all_there, as_one, look_at, together
from lanman.manage.drain.shell import (
    Drain,
    DrainOrder,
    DrainResult,
    SystemClock,
    configured_teller,
    opening_of,
    rules_of,
    scope_of,
)
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT as DEFAULT_DEADLINE
from lanman.net.drains import KeptDrain, drain_name

if TYPE_CHECKING:
    from lanman.net.credentials import Credentials
    from lanman.net.tell.teller import Teller


async def drain(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    share: str | None = None,
    path: str | None = None,
    warn: float = 0.0,
    message: str | None = None,
    grace: float = 0.0,
    timeout: float | None = None,
    end: str | End = End.IDLE,
    quiet_for: float = DEFAULT_QUIET,
    cordon: bool = True,
    keep_paused: bool = False,
    include_mine: bool = False,
    on_event: Callable[[Event], None] | None = None,
    teller: Teller | None = None,
    deadline: float = DEFAULT_DEADLINE,
    port: int | None = None,
    home: str | Path | None = None,
    encrypt: bool = False,
    service: str | None = None,
    samba_config: str | None = None,
) -> DrainResult:
    """Let everybody leave a server, or a share or a path of it; times are in seconds.

    Newcomers are kept out (`Manager.pause`), who is there is told `warn` seconds before anything happens (by `teller`,
    or as lanman.toml says), whoever has nothing open after that is ended, and after another `grace` those whom `end`
    names: "idle" (who loses nothing), "readers" (nothing open for writing, no locks) or "all". It is drained once
    nobody was there for `quiet_for`; the server stays paused then. Otherwise, and where the call fails or is cancelled,
    it is opened again unless `keep_paused`. Where a server has no pause, or without `cordon`, newcomers are treated
    like the others.

    Several servers (`fs1,fs2`, `cluster:NAME`, `name*`) are drained at the same time, or none stays paused. The result
    has each node's in `nodes`, and is DRAINED where all are; events name their `node`. A node that is not there at
    first, or lacks the share, is an error, and nothing is done.

    `deadline` bounds each question to the server, `timeout` the whole; the rest is as for `lanman.open_manager`. Raises
    LanmanError: what a question raises, AccessDenied where this user may pause or end nobody, Win32Error 87 for times
    that cannot be, 170 where another drain of this server runs here.
    """
    rules = rules_of(warn=warn, grace=grace, timeout=timeout, end=end, quiet_for=quiet_for, include_mine=include_mine)
    order = DrainOrder(scope_of(share, path), cordon, keep_paused, message)
    if warn and teller is None:
        teller = configured_teller()
    how: dict[str, Any] = {"deadline": deadline, "encrypt": encrypt, "samba_config": samba_config}
    if server is not None and is_cluster(server):
        openings = await _openings(server, credentials, port=port, service=service, **how)
        kept = {name: KeptDrain(drain_name(place.server, place.port), home) for name, (place, _) in openings.items()}
        nodes = {name: opening for name, (_, opening) in openings.items()}
        return await _of_several(server, nodes, kept, rules, order, teller, on_event)
    opening = opening_of(server, credentials, port=port, home=home, service=service, **how)
    alone = KeptDrain(drain_name(server, port, service), home)
    clock = SystemClock()
    async with Looker(opening, order.scope, clock, include_mine=include_mine) as looker:
        return await Drain(looker, rules, order, alone, teller=teller, on_event=on_event, clock=clock).run()


async def _openings(
    server: str, credentials: Credentials | None, *, port: int | None, service: str | None, **how: Any
) -> dict[str, tuple[Place, Opening]]:
    """How each node is opened, by its name, once all are there. Raises LanmanError where one is not."""
    async with opening_of(server, credentials, port=port, service=service, **how)() as cluster:
        doubles = await all_there(cluster)
    places = [place for place in await single_servers(server, port=port) if place.node not in doubles]
    if credentials is None:
        credentials = configured_credentials(server)
    gate = LogonGates().approach(credentials)
    return {
        place.node: (place, opening_of(place.server, credentials, port=place.port, approach=gate, **how))
        for place in places
    }


async def _of_several(
    server: str,
    nodes: Mapping[str, Opening],
    kept: Mapping[str, KeptDrain],
    rules: Rules,
    order: DrainOrder,
    teller: Teller | None,
    on_event: Callable[[Event], None] | None,
) -> DrainResult:
    await look_at(nodes, order.scope, include_mine=rules.include_mine)
    clock, joint = SystemClock(), Joint(len(nodes))
    async with contextlib.AsyncExitStack() as stack:
        drains = {}
        for name, opening in nodes.items():

            def happened(event: Event, name: str = name) -> None:
                if on_event is not None:
                    on_event(replace(event, node=name))

            looker = await stack.enter_async_context(
                Looker(opening, order.scope, clock, include_mine=rules.include_mine)
            )
            drains[name] = Drain(
                looker, rules, order, kept[name], teller=teller, on_event=happened, clock=clock, joint=joint
            )
        return as_one(server, await together(drains, keep_paused=order.keep_paused))
