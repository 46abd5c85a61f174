"""Policies at work: every server is looked at again and again, until somebody ends it.

Rules:

  - One runner for a database: the role `policy` is held as long as it runs.
  - Each server has a task of its own: one that does not answer holds up no other. It is asked again after `every`, when
    something is due, and no sooner than LOAD times as long as its last look took; one that is away ever more seldom.
  - A log-on that is refused ends asking that server until the policies are read anew: trying again could lock the
    account.
  - `reload` (SIGHUP) reads policies.toml and lanman.toml anew. What cannot be read leaves what was there in force, and
    is said.
  - A run of some policies or servers leaves the promises of all others as they are.
  - Whatever ends it, what was promised is kept; the next runner goes on with it. A database that cannot be written
    ends it: nothing is done that could not be kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from lanman import codes
from lanman.errors import AuthenticationError, LanmanError
from lanman.manage.history.database import StoreError
from lanman.manage.policies.declared import Policies
from lanman.manage.policies.enforce import Clock, Enforcer
from lanman.manage.policies.kept import ROLE, Kept, Notes, Standing
from lanman.manage.policies.looks import Looker
from lanman.manage.policies.reading import only, read_policies
from lanman.manage.policies.servers import Access, Opener, Served, Servers, only_servers
from lanman.manage.policies.words import Event, What
from lanman.manage.watching.poller import LOAD, MAX_PAUSE
from lanman.net.client_configuration import FILE as CLIENT_FILE
from lanman.net.client_configuration import read_client_configuration
from lanman.net.tell.teller import Teller
from lanman.plain import dataclass

if TYPE_CHECKING:
    from lanman.client_settings import ClientConfiguration
    from lanman.manage.policies.promises import Promise

SOONEST: Final = 0.5
"""Between two rounds of a server there are so many seconds, at least."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Database(Notes, Protocol):
    """What a runner needs of a database."""

    def hold(self, role: str) -> AbstractAsyncContextManager[object]:
        """Hold a role, which one process can at a time. Raises AlreadyHeld."""


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        try:
            self._boot = _BOOT.read_text().strip()
        except OSError:  # no Linux: how long this process runs is all that is known
            self._boot = f"process {time.time_ns()}"

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def standing(self) -> Standing:
        """How `wall` stands to a clock that nobody sets; it goes on while the machine sleeps, where there is such."""
        clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
        steady = time.monotonic() if clock is None else time.clock_gettime(clock)
        return Standing(self._boot, time.time() - steady)

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Source:
    """Where policies come from: policies.toml (None for this user's), those of some names (all for none), and the
    folder of lanman.toml (None for this user's)."""

    path: Path | None = None
    names: tuple[str, ...] = ()
    folder: Path | None = None

    def read(self) -> tuple[Policies, ClientConfiguration]:
        """Both files, checked against each other. Raises LanmanError."""
        policies = only(read_policies(self.path), self.names)
        configuration = read_client_configuration(self.folder)
        check_ways(policies, configuration)
        return policies, configuration


def check_ways(policies: Policies, configuration: ClientConfiguration) -> None:
    """Raises LanmanError for a policy that is to tell people in a way that lanman.toml does not have."""
    for policy in policies.policies.values():
        if policy.tell is None:
            continue
        for way in policy.tell.by:
            if getattr(configuration, way) is None:
                raise LanmanError(
                    f"{policies.source}: [policies.{policy.name}.tell] by: {CLIENT_FILE} has no [{way}]",
                    code=codes.ERROR_INVALID_PARAMETER,
                    hint=f"Write that section, or take `{way}` out of `by`.",
                )
        ways = (configuration.mail, configuration.webhook, configuration.command)
        if policy.mode == "enforce" and ways == (None, None, None):
            raise LanmanError(
                f"{policies.source}: [policies.{policy.name}] tell: {CLIENT_FILE} has no [mail], no [webhook] and no "
                "[command]",
                code=codes.ERROR_INVALID_PARAMETER,
                hint="Write one of these sections, or tell nobody on purpose with tell = false.",
            )


def tellers(configuration: ClientConfiguration) -> Callable[[tuple[str, ...]], Teller]:
    """What tells people by some ways of lanman.toml, all of them for none."""
    all_ways = Teller.of(configuration)

    def some(names: tuple[str, ...]) -> Teller:
        return Teller([way for way in all_ways.ways if way.name in names]) if names else all_ways

    return some


class Runner:
    """Policies at work. `on_event` is called with each event as it happens; `opens` opens servers in tests."""

    def __init__(
        self,
        store: Database,
        source: Source,
        access: Access,
        *,
        by: str,
        on_event: Callable[[Event], None],
        clock: Clock | None = None,
        opens: Opener | None = None,
    ) -> None:
        self._store = store
        self._source = source
        self._access = access
        self._by = by
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._opens = opens
        self._anew = asyncio.Event()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failed: StoreError | None = None

    def reload(self) -> None:
        """Read the policies anew as soon as may be. May be called from any thread."""
        if self._loop is None:
            self._anew.set()
        else:
            self._loop.call_soon_threadsafe(self._anew.set)

    def stop(self) -> None:
        """End `run`, once what is being done is done. May be called from any thread."""
        self._stopping = True
        self.reload()

    def fail(self, error: StoreError) -> None:
        """End `run` with an error: what cannot be kept is not done."""
        self._failed = error
        self.stop()

    async def run(self) -> None:
        """Until `stop`, or until it is cancelled. Raises LanmanError where the policies cannot be read at first,
        AlreadyHeld where another runner has this database, and StoreError as soon as it cannot be read or written."""
        self._loop = asyncio.get_running_loop()
        policies, configuration = self._source.read()
        servers = await only_servers(policies, self._access, configuration, self._opens)
        async with self._store.hold(ROLE):
            kept = Kept(self._store)
            await kept.load(self._clock.wall())
            while not self._stopping:
                enforcer = Enforcer(kept, tellers(configuration), self._clock, self._on_event, by=self._by)
                await enforcer.check_clock()
                await self._drop(enforcer, servers, policies)
                await self._serve_all(enforcer, kept, servers, policies)
                # Before they are read: who asks for that from now on has it done once more.
                self._anew.clear()
                if not self._stopping:
                    policies, configuration, servers = await self._read_anew(policies, configuration, servers)
        if self._failed is not None:
            raise self._failed

    async def _drop(self, enforcer: Enforcer, servers: Servers, policies: Policies) -> None:
        """Spare whose policy, or server in it, is no longer there. What this run leaves out stays."""
        names = self._source.names

        def meant(one: Promise) -> bool:
            return (not names or one.policy in names) and servers.asks(one.server)

        await enforcer.drop_all_but(servers.of_policies(policies.policies), meant)

    async def _serve_all(self, enforcer: Enforcer, kept: Kept, servers: Servers, policies: Policies) -> None:
        """Serve all servers, until the policies are to be read anew. What is being done is done first."""
        async with asyncio.TaskGroup() as group:
            for served in servers.served.values():
                group.create_task(_Serving(self, enforcer, kept, served, policies.every).run())
            for name, error in servers.unknown.items():
                self._emit(What.AWAY, policy=name, text=error.with_hint)
            if servers.unknown or not servers.served:
                group.create_task(self._look_up_again())
            await self._anew.wait()

    async def _look_up_again(self) -> None:
        """After a while, names that could not be looked up are looked up again."""
        if not await self.wait(10 * MAX_PAUSE):
            self._anew.set()

    async def _read_anew(
        self, policies: Policies, configuration: ClientConfiguration, servers: Servers
    ) -> tuple[Policies, ClientConfiguration, Servers]:
        try:
            fresh, configuration_now = self._source.read()
            found = await only_servers(fresh, self._access, configuration_now, self._opens)
        except LanmanError as error:
            self._emit(What.NOT_READ, text=error.with_hint)
            return policies, configuration, servers
        self._emit(What.READ, text=f"{len(fresh.policies)} policies, {len(found.served)} servers")
        return fresh, configuration_now, found

    async def wait(self, seconds: float) -> bool:
        """Wait so long, or until the policies are to be read anew, which is the answer."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._anew.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            await asyncio.wait({sleeping, waking})
        return self._anew.is_set()

    def _emit(self, what: What, server: str = "", policy: str = "", text: str = "") -> None:
        self._on_event(Event(self._clock.wall(), what, server, policy, None, text))

    def away(self, server: str, error: LanmanError) -> None:
        """Say that a server does not answer."""
        self._emit(What.REFUSED if isinstance(error, AuthenticationError) else What.AWAY, server, text=error.with_hint)

    def back(self, server: str) -> None:
        """Say that a server answers again."""
        self._emit(What.BACK, server)

    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._clock.wall()


class _Serving:
    """One server, until the policies are read anew."""

    def __init__(self, runner: Runner, enforcer: Enforcer, kept: Kept, served: Served, every: float) -> None:
        self._runner = runner
        self._enforcer = enforcer
        self._kept = kept
        self._served = served
        self._every = every
        self._failures = 0

    async def run(self) -> None:
        """Round after round."""
        async with Looker(self._served.name, self._served.opening, self._runner.now) as looker:
            while True:
                began = asyncio.get_running_loop().time()
                try:
                    await self._enforcer.round(self._served.policies, looker)
                except AuthenticationError as error:
                    self._runner.away(self._served.name, error)
                    return
                except StoreError as error:
                    self._runner.fail(error)
                    return
                except LanmanError as error:
                    await self._failed(looker, error)
                else:
                    self._answered()
                if await self._runner.wait(self._pause(asyncio.get_running_loop().time() - began, looker.took)):
                    return

    async def _failed(self, looker: Looker, error: LanmanError) -> None:
        self._failures += 1
        if self._failures == 1:
            self._runner.away(self._served.name, error)
        with contextlib.suppress(LanmanError):
            await looker.close()

    def _answered(self) -> None:
        if self._failures:
            self._runner.back(self._served.name)
        self._failures = 0

    def _pause(self, whole: float, took: float) -> float:
        """How long to wait after a round that took so long, and of it a look."""
        if self._failures:
            return max(self._every, min(MAX_PAUSE, max(LOAD * whole, 2.0 ** min(self._failures, 10))))
        due = self._kept.due_next(self._served.name)
        left = self._every if due is None else min(self._every, due - self._runner.now())
        return max(SOONEST, left, min(LOAD * took, MAX_PAUSE))
