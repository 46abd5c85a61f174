"""`lanman history record`: remembers who is on some servers, until it is stopped.

Rules:

  - Ctrl-C, SIGTERM and the end of --for stop it cleanly: what was seen is written first. Whatever else ends it costs a
    second at most (`lanman.manage.history`).
  - A server that does not answer is tried again, and is a gap until it does. One that refuses the log-on is not; where
    that is the last one, its error ends the recorder.
  - A database that was written to and cannot be any more (the disk is full, PostgreSQL has gone) is waited for; what is
    missed meanwhile is a gap. So is PostgreSQL that does not answer at first.
  - What happens is logged to standard error, each line with its time.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lanman.errors import AuthenticationError, LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.credentials import credentials_from
from lanman.faces.cli.databases import named_database, recorded_name
from lanman.faces.cli.invocation import Invocation
from lanman.faces.text import escape
from lanman.manage.cluster import configured_credentials, single_servers
from lanman.manage.cluster.gate import LogonGates
from lanman.manage.history.database import StoreError
from lanman.manage.history.opening import open_store
from lanman.manage.history.recorder import KEEP, Recorder
from lanman.manage.watching.changes import Update
from lanman.manage.watching.poller import Poller
from lanman.manage.watching.rows import Kind
from lanman.plain import dataclass

EVERY: Final = 5.0
EVER: Final = 1_000_000
"""How many days are kept where nothing is to be deleted."""

AGAIN: Final = 30.0
"""After how many seconds a database that has gone away is tried again."""

_log: Final = logging.getLogger("lanman.history")

# Options that say who to be, where none of them was given.
_NOBODY: Final = {
    "login": None, "authentication_file": None, "nt_hash": None, "kerberos": False, "no_pass": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be recorded: no `servers` are this machine's; `keep` is in days, 0 for ever; None is the default."""

    servers: tuple[str, ...]
    every: float | None
    keep: int | None
    paths: bool
    how_long: float | None


def record(invocation: Invocation, database: str | None, wish: Recording) -> int | None:
    """Record until it is stopped. Gives the exit status: 130 after Ctrl-C. Raises LanmanError."""
    from lanman.net.logs import set_up

    text = ",".join(wish.servers)
    if text and invocation.credentials is None:
        # -S of this verb is its own, so nobody has asked yet who to be there.
        invocation.credentials = configured_credentials(text) or credentials_from(dict(_NOBODY), wish.servers[0])
    set_up("", background="")
    return asyncio.run(_record(invocation, database, wish))


async def servers_of(invocation: Invocation, named: Sequence[str]) -> dict[str, Invocation]:
    """An Invocation for each server that is meant, by what it is called; for this machine's where none is named.

    A cluster is recorded node by node, so that a gap is one node's; a wrong password is not tried at all of them.
    Raises LanmanError for what means no server.
    """
    if not named:
        return {recorded_name(invocation): invocation}
    places = await single_servers(",".join(named), port=invocation.given_port)
    approach = LogonGates().approach(invocation.credentials)
    return {
        place.node: replace(invocation, server=place.server, port=place.port, approach=approach) for place in places
    }


async def _record(invocation: Invocation, database: str | None, wish: Recording) -> int | None:
    """Record, and begin again where the database has failed, until a signal or the end of the time."""
    servers = await servers_of(invocation, wish.servers)
    ended = asyncio.Event()
    interrupted = _end_on_signals(ended)
    timer: list[asyncio.TimerHandle] = []

    def looked() -> None:
        # The time of --for counts from the first look on: on a busy machine it takes a while until then.
        if wish.how_long is not None and not timer:
            timer.append(asyncio.get_running_loop().call_later(wish.how_long, ended.set))

    url = named_database(database)
    begun = asyncio.Event()
    while not ended.is_set():
        work = asyncio.ensure_future(_record_once(servers, url, wish, begun, looked))
        waiting = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
            await work
            break
        except asyncio.CancelledError:
            if not ended.is_set():
                raise
        except StoreError as error:
            if ended.is_set() or not (begun.is_set() or _is_away(url, error)):
                raise
            looked()
            _log.error("%s; trying again in %g s", escape(error.message), AGAIN)
            await asyncio.wait({waiting}, timeout=AGAIN)
        finally:
            waiting.cancel()
    _log.info("stopped")
    return output.EXIT_INTERRUPTED if interrupted.is_set() else None


def _is_away(url: str | None, error: StoreError) -> bool:
    """Whether it is a server that may come back; what is wrong with a file stays wrong."""
    return url is not None and url.startswith(("postgresql://", "postgres://")) and error.hint is not None


def _end_on_signals(ended: asyncio.Event) -> asyncio.Event:
    """Have Ctrl-C, SIGTERM and a terminal that goes away set `ended`; the event that is given tells of Ctrl-C."""
    interrupted = asyncio.Event()

    def interrupt() -> None:
        interrupted.set()
        ended.set()

    for name, action in (("SIGINT", interrupt), ("SIGTERM", ended.set), ("SIGHUP", ended.set)):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) is signal.SIG_IGN:
            continue
        try:
            asyncio.get_running_loop().add_signal_handler(number, action)
        except (NotImplementedError, RuntimeError, ValueError):
            break  # Windows, or no main thread: Ctrl-C cancels the task, which ends it as cleanly
    return interrupted


async def _record_once(
    servers: Mapping[str, Invocation],
    url: str | None,
    wish: Recording,
    begun: asyncio.Event,
    looked: Callable[[], None],
) -> None:
    """Record until it is cancelled; `begun` is set once it has, and `looked` called after each look. Raises StoreError
    where it cannot be kept, AuthenticationError where no server is left to be asked."""
    every = EVERY if wish.every is None else wish.every
    keep = KEEP if wish.keep is None else wish.keep or EVER
    logged = {name: _Logged(name) for name in servers}
    pollers = [_poller(name, each, every) for name, each in servers.items()]
    by_picture = {id(poller.picture): name for poller, name in zip(pollers, servers, strict=True)}
    home = next(iter(servers.values())).home
    async with (
        open_store(url, home=home) as store,
        Recorder(store, pollers, keep=keep, paths=wish.paths) as recorder,
    ):
        if not begun.is_set():
            output.emit([_beginning(store.name, list(logged), every, wish), ""])
        begun.set()
        async for update in recorder:
            looked()
            logged[by_picture[id(update.picture)]].take(update)
    if refused := [each.refused for each in logged.values() if each.refused is not None]:
        raise refused[-1]


def _poller(name: str, invocation: Invocation, every: float) -> Poller:
    return Poller(
        invocation.opening,
        server=name,
        every=every,
        deadline=invocation.timeout,
        # Shares say where a path of a share is.
        kinds=frozenset(Kind),
    )


def _beginning(place: str, names: Sequence[str], every: float, wish: Recording) -> str:
    keep = KEEP if wish.keep is None else wish.keep
    days = "for ever" if not keep else f"{keep} day{'' if keep == 1 else 's'}"
    paths = "" if wish.paths else ", without paths"
    return f"Recording {escape(', '.join(names))} every {every:g} s, kept {days}{paths}, in {escape(place)}"


class _Logged:
    """Logs when a server begins to answer, when it does not any more, and what it does not tell."""

    def __init__(self, name: str) -> None:
        self._name = escape(name)
        self._up: bool | None = None
        self.refused: LanmanError | None = None

    def take(self, update: Update) -> None:
        """Log what is new in an update."""
        error, gap = update.picture.error, update.gap
        if isinstance(error, AuthenticationError):
            self.refused = error
            _log.error("%s refuses the log-on, and is not asked again: %s", self._name, escape(error.with_hint))
        elif error is not None:
            if self._up is not False:
                _log.warning("%s does not answer: %s", self._name, escape(error.message))
            self._up = False
            return
        if self._up is not True and error is None:
            again = "" if self._up is None else " again"
            how = "tells what happens" if update.picture.streamed else f"answers at level {update.picture.level}"
            _log.info("%s %s%s", self._name, how, again)
            for kind, why in update.picture.refused.items():
                _log.warning("%s does not tell its %ss: %s", self._name, kind.value, escape(why.message))
        elif gap is not None:
            _log.warning("%s: %s", self._name, escape(gap.why))
        self._up = error is None
