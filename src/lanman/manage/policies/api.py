"""Policies for programs: check, plan, run, status and spare, as `lanman policy` does them.

    for each in await lanman.plan_policies("policies.toml", server="fs1", credentials=credentials):
        print(each.policy.name, each.server, [meant.match.seen.entry.user_name for meant in each.meant])

Everything that is kept is in the database that `database` names, as for `lanman.open_store`.
"""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.policies.kept import ROLE, Kept, spare, spares
from lanman.manage.policies.promises import Promise, Spare
from lanman.manage.policies.runner import Runner, Source, SystemClock
from lanman.manage.policies.servers import Access, find_servers, only_servers
from lanman.manage.selection import canonical_client
from lanman.plain import dataclass

if TYPE_CHECKING:
    from lanman.manage.history.records import Holder
    from lanman.manage.history.store import Store
    from lanman.manage.policies.declared import Policies
    from lanman.manage.policies.plan import PolicyPlan
    from lanman.manage.policies.words import Event


def who_runs() -> str:
    """The user of this process, for deeds."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return "nobody"


def check_policies(path: str | Path | None = None, *, names: tuple[str, ...] = ()) -> Policies:
    """The policies of policies.toml (this user's without a path; those of `names`, all for none), checked with
    lanman.toml. Raises LanmanError, which names the file, the line and the key of the first mistake."""
    return Source(_path(path), names).read()[0]


async def plan_policies(
    path: str | Path | None = None,
    *,
    names: tuple[str, ...] = (),
    access: Access | None = None,
    database: str | Path | None = None,
    **how: Any,
) -> list[PolicyPlan]:
    """What policies would do now; nothing is done. `names` are those that are meant, all for none.

    `access`, or `server`, `credentials`, `port`, `timeout`, `home` and the rest of `lanman.open_manager` by name, say
    how servers are asked; a server that is named is the only one that is asked. What a runner has promised is looked
    up in the database, where there is one. Raises LanmanError for mistakes; a server that does not answer is an
    `error` of its own.
    """
    from lanman.manage.policies.plan import planned

    used = access or Access(**how)
    policies, configuration = Source(_path(path), names).read()
    servers = await only_servers(policies, used, configuration)
    clock = SystemClock()
    async with _existing(database, used.home) as store:
        promises, left = await standing(store, clock.wall())
    return await planned(policies, servers, clock.wall, promises=promises, spares=left)


async def run_policies(
    path: str | Path | None = None,
    *,
    names: tuple[str, ...] = (),
    access: Access | None = None,
    database: str | Path | None = None,
    on_event: Callable[[Event], None],
    ready: Callable[[Runner], None] | None = None,
    **how: Any,
) -> None:
    """Put policies to work, until the task is cancelled; arguments as for `plan_policies`. `on_event` is called with
    each event as it happens, `ready` with the Runner, which can be told to `stop` and to `reload`.

    Raises LanmanError for mistakes, AlreadyHeld where another runner works with the same database.
    """
    from lanman.manage.history.opening import open_store

    used = access or Access(**how)
    async with open_store(database, home=used.home) as store:
        runner = Runner(store, Source(_path(path), names), used, by=who_runs(), on_event=on_event)
        if ready is not None:
            ready(runner)
        await runner.run()


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """What policies have promised. `holder` is who runs them, None for nobody; `promises` are those that stand, the
    first to be due first; `spares` are who is left alone."""

    database: str
    holder: Holder | None
    promises: list[Promise]
    spares: list[Spare]


async def policy_status(*, database: str | Path | None = None, home: str | Path | None = None) -> PolicyStatus:
    """What policies have promised, to whom, and when it is due. Raises LanmanError where nothing is kept."""
    from lanman.manage.history.opening import open_store

    async with open_store(database, home=home, make=False) as store:
        promises, left = await standing(store, SystemClock().wall())
        return PolicyStatus(store.name, await store.holder(ROLE), promises, left)


async def standing(store: Store | None, now: float) -> tuple[list[Promise], list[Spare]]:
    """The promises of a database that stand at a time (seconds since 1970), the first to be due first, and who is left
    alone; none without a database."""
    if store is None:
        return [], []
    kept = Kept(store)
    await kept.read()
    open_ones = sorted((one for one in kept.promises.values() if one.state.is_open), key=lambda one: one.due_at)
    return open_ones, await spares(store, now)


async def spare_from_policies(
    key: str,
    seconds: float,
    *,
    server: str | None = None,
    database: str | Path | None = None,
    home: str | Path | None = None,
    path: str | Path | None = None,
) -> Spare | None:
    r"""Leave a session, a user or a client alone for so many seconds from now; 0 ends that, and gives None.

    `key` is the `key` of a plan's session, a user, or a client (`\\pc7`); a word that may be either is both. With a
    `server`, as policies name it, it is left alone there alone; `path` is the policies.toml that names it (None for
    this user's). Raises LanmanError for an empty key, for a time below zero or of more than a year, and for a server
    that no policy is for.
    """
    from lanman.manage.history.opening import open_store

    if not key.strip("\\/ \t\n"):
        raise LanmanError(
            "an empty key is nobody", code=codes.ERROR_INVALID_PARAMETER, hint="Name a user, a client or a session."
        )
    if not 0 <= seconds <= 86400 * 365:
        raise LanmanError("it is left alone for a time of at most a year", code=codes.ERROR_INVALID_PARAMETER)
    now = SystemClock().wall()
    if server and seconds:
        await _check_server(server, _path(path))
    async with open_store(database, home=home) as store:
        return await spare(store, key, now + seconds, server=server or "", by=who_runs(), now=now)


# --- helpers


async def _check_server(server: str, path: Path | None) -> None:
    """Raises LanmanError for a server that no policy is for, as far as that can be known: policies that name no
    servers are for any, and where this user has no policies.toml, another's may name it."""
    try:
        policies, configuration = Source(path).read()
    except LanmanError as error:
        if path is None and error.code == codes.ERROR_FILE_NOT_FOUND:
            return
        raise
    found = await find_servers(policies, Access(), configuration)
    names = [name for name, each in found.served.items() if any(one.servers for one in each.policies)]
    if canonical_client(server) in map(canonical_client, found.served):
        return
    one = not server.startswith("cluster:") and not set(server) & set(",*")
    if one and (found.unknown or not all(each.servers for each in policies.policies.values())):
        return
    raise LanmanError(
        f"{server}: no policy is for that server" if one else f"{server}: somebody is left alone on one server",
        code=codes.ERROR_INVALID_PARAMETER,
        hint=f"Policies are for {', '.join(names) or 'none that is known'}.",
    )


@contextlib.asynccontextmanager
async def _existing(database: str | Path | None, home: str | Path | None) -> AsyncIterator[Store | None]:
    """The store, None where there is none yet."""
    from lanman.manage.history.opening import open_store

    try:
        store = open_store(database, home=home, make=False)
    except LanmanError as error:
        if error.code != codes.ERROR_FILE_NOT_FOUND:
            raise
        yield None
        return
    async with store:
        yield store


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
