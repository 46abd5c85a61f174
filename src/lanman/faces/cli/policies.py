"""What `lanman policy` does, and how it shows it.

Rules:

  - For people: sentences and tables, times by this machine's clock (of another day with the day). For programs: JSON
    with RFC 3339, `run` a line for each event.
  - Why nothing is done stands where what would be done would stand.
  - Ctrl-C and SIGTERM end `run` once what is being done is done; SIGHUP has it read its files anew.
  - Who to be is asked before anything else where a server over the network is meant and nothing says it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman.faces.cli import output
from lanman.faces.cli.credentials import credentials_from
from lanman.faces.cli.databases import named_database
from lanman.faces.cli.output import Format
from lanman.faces.moments import soon_words
from lanman.faces.text import UNKNOWN, Column, duration, escape, row, shorten, shorten_client
from lanman.manage.policies.api import (
    PolicyStatus,
    check_policies,
    plan_policies,
    policy_status,
    run_policies,
    spare_from_policies,
)
from lanman.manage.policies.promises import Promise, State
from lanman.manage.policies.servers import Access
from lanman.manage.policies.words import What
from lanman.manage.selection import bare_client
from lanman.plain import dataclass
from lanman.shown import as_duration, rfc3339

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation
    from lanman.manage.policies.declared import Policies, Policy
    from lanman.manage.policies.plan import Meant, PolicyPlan
    from lanman.manage.policies.runner import Runner
    from lanman.manage.policies.words import Event
    from lanman.net.credentials import Credentials

INCOMPLETE: Final = 4

HEADER: Final = "Computer           User name        Idle time Opens  What"
COLUMNS: Final = (
    Column(0, 18, fitted=shorten_client),
    Column(19, 16, fitted=shorten),
    Column(36, 9),
    Column(46, 5, right=True),
    Column(53, None),
)
DUE_HEADER: Final = "Due               Policy       Server       Who"
DUE_COLUMNS: Final = (
    Column(0, 17),
    Column(18, 12, fitted=shorten),
    Column(31, 12, fitted=shorten),
    Column(44, None),
)
CSV: Final = "policy server key client_name user_name idle_time num_opens now why due_at cost"

# Options that say who to be, where none of them was given.
_NOBODY: Final = {"login": None, "authentication_file": None, "nt_hash": None, "kerberos": False, "no_pass": False}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options of this verb say."""

    server: str | None
    policies: str | None
    database: str | None


# --- check


def check(invocation: Invocation, names: tuple[str, ...], wish: Wish) -> int | None:
    """Read the policies. Raises LanmanError for a mistake."""
    found = check_policies(wish.policies, names=names)
    if invocation.format is Format.JSON:
        now = time.time()
        output.emit_json(None, source=found.source, policies=[each.as_json(now) for each in found.policies.values()])
        return None
    for each in found.policies.values():
        output.emit(_wrapped(f"{each.name}: {_sentence(each)}", "    "))
    output.emit([""])
    output.success()
    return None


def _sentence(policy: Policy) -> str:
    """A policy in words."""
    from lanman.manage.policies.selecting import described, used

    whom = []
    if policy.max_sessions_per_user is not None:
        whom.append(f"who has more than {policy.max_sessions_per_user} sessions")
    if policy.max_sessions_per_client is not None:
        whom.append(f"more than {policy.max_sessions_per_client} sessions of a client")
    if used(policy.select):
        whom.append(described(policy.select))
    told = "nobody is told" if policy.tell is None else f"told {as_duration(policy.tell.before)} before"
    hours = ""
    if policy.hours is not None:
        state = "awake" if policy.awake(time.time()) else "asleep"
        until = policy.changes_at(time.time())
        word = "outside" if policy.outside is not None else "during"
        hours = f"; {word} {escape(policy.hours.text)} ({policy.zone}), {state}"
        hours += f" until {_time(until)}" if until is not None else ""
    where = ", ".join(policy.servers) or "this machine's server"
    return f"{policy.mode}s on {escape(where)}: {'; '.join(whom)}; {told}; at most {policy.at_most}{hours}"


# --- plan


def plan(invocation: Invocation, names: tuple[str, ...], wish: Wish) -> int | None:
    """Show what would be done now."""
    found = check_policies(wish.policies, names=names)
    access = _access(invocation, wish, found)
    results = asyncio.run(
        plan_policies(wish.policies, names=names, access=access, database=named_database(wish.database))
    )
    errors = [each.error for each in results if each.error is not None]
    if errors and len(errors) == len(results):
        raise errors[0]  # nobody has answered anything
    if invocation.format is Format.JSON:
        output.emit_json(None, policies=[each.as_json() for each in results])
    elif invocation.format is Format.CSV:
        records = [
            {"policy": each.policy.name, "server": each.server, **meant.as_json()}
            for each in results
            for meant in each.meant
        ]
        output.emit_csv([{name: one[name] for name in CSV.split()} for one in records], CSV.split())
    else:
        for each in results:
            output.emit([*_wrapped(_heading(each), "    "), *_rows(each), ""])
    return INCOMPLETE if errors else None


def _heading(each: PolicyPlan) -> str:
    """What a policy would do on a server, in a sentence."""
    where = f"{each.policy.name}, {escape(each.server)}: "
    decision = each.decision
    if each.error is not None:
        return f"{where}not looked at: {escape(each.error.with_hint)}"
    if decision.asleep:
        until = each.policy.changes_at(time.time())
        return f"{where}asleep" + (f" until {_time(until)}" if until is not None else "")
    if decision.skipped:
        return f"{where}skipped: {escape(decision.skipped)}"
    if decision.stopped:
        return f"{where}{escape(decision.stopped)}: NOTHING would be done. Raise it, or narrow `select`."
    more = f"; of {len(each.choice.undecided)} too little is known" if each.choice.undecided else ""
    mode = "" if each.policy.mode == "enforce" else ' (mode is "report": nothing is done)'
    return f"{where}{decision.meant} of {decision.total} match{more}{mode}"


def _rows(each: PolicyPlan) -> Iterator[str]:
    if not each.meant or each.decision.asleep:
        return
    yield output.heading(HEADER)
    yield "-" * 79
    for meant in each.meant:
        entry = meant.match.seen.entry
        cells = [
            escape(bare_client(entry.client_name or UNKNOWN)),
            UNKNOWN if entry.user_name is None else escape(entry.user_name),
            duration(entry.idle_time),
            UNKNOWN if entry.num_opens is None else str(entry.num_opens),
            UNKNOWN if each.decision.stopped else _what(each, meant),
        ]
        yield row(COLUMNS, cells)


def _what(each: PolicyPlan, meant: Meant) -> str:
    if meant.now == "leave":
        return f"left alone: {escape(meant.why)}"
    if meant.now == "end":
        return "ended now"
    told = "told now, " if meant.now == "tell" and each.policy.tell is not None else ""
    return f"{told}ended {soon_words(meant.due_at or 0.0, time.time())}"


# --- run


def run(invocation: Invocation, names: tuple[str, ...], wish: Wish) -> int | None:
    """Put policies to work. Gives 130 after Ctrl-C."""
    found = check_policies(wish.policies, names=names)
    access = _access(invocation, wish, found)
    if invocation.format is Format.TABLE:
        for each in found.policies.values():
            output.emit(_wrapped(f"{each.name}: {_sentence(each)}", "    "))
    return asyncio.run(_run(invocation, names, wish, access))


async def _run(invocation: Invocation, names: tuple[str, ...], wish: Wish, access: Access) -> int | None:
    interrupted = asyncio.Event()

    report = _Report(invocation.format is Format.JSON)

    def ready(runner: Runner) -> None:
        def interrupt() -> None:
            interrupted.set()
            runner.stop()

        report.stop = runner.stop
        _on_signals({"SIGINT": interrupt, "SIGTERM": runner.stop, "SIGHUP": runner.reload})

    await run_policies(
        wish.policies,
        names=names,
        access=access,
        database=named_database(wish.database),
        on_event=report.event,
        ready=ready,
    )
    if report.failed is not None:
        raise report.failed
    return output.EXIT_INTERRUPTED if interrupted.is_set() else None


def _on_signals(actions: dict[str, Any]) -> None:
    for name, action in actions.items():
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            asyncio.get_running_loop().add_signal_handler(number, action)
        except (NotImplementedError, RuntimeError, ValueError):
            return  # Windows, or no main thread: Ctrl-C cancels the task, and what was promised is kept


class _Report:
    """Tells what happens: lines for people, or JSON objects, one a line. Where nobody reads it any more, `stop` is
    called, once what is being done is done, and `failed` says why."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self.stop: Callable[[], None] = lambda: None
        self.failed: output.StandardOutputError | None = None

    def event(self, event: Event) -> None:
        """Tell one event."""
        try:
            self._write(event)
        except output.StandardOutputError as error:
            self.failed = error
            self.stop()

    def _write(self, event: Event) -> None:
        if self._as_json:
            output.emit([json.dumps(event_json(event))])
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(event.at))
            output.emit(_wrapped(f"{clock}  {_event_sentence(event)}", " " * 10))


def event_json(event: Event) -> dict[str, Any]:
    """An event for programs."""
    one = event.promise
    return {
        "schema": output.SCHEMA,
        "at": rfc3339(event.at),
        "what": event.what.value,
        "policy": event.policy or None,
        "server": event.server or None,
        "session": None if one is None else one.as_json(),
        "text": event.text or None,
    }


def _event_sentence(event: Event) -> str:
    where = ", ".join(each for each in (event.policy, escape(event.server)) if each)
    who = "" if event.promise is None else f"{_who(event.promise)}: "
    text = escape(event.text)
    due = "" if event.promise is None else _time(event.promise.due_at)
    words = {
        What.TOLD: f"told; it ends at {due} or later",
        What.NOT_TOLD: f"could not be told: {text}",
        What.ENDED: "ended",
        What.REPORTED: f"would have been ended ({text})",
        What.SPARED: f"spared: {text}",
        What.HELD: f"left alone for now: {text}",
        What.STOPPED: f"NOTHING is done: {text}",
        What.SKIPPED: f"skipped: {text}",
        What.GOES_ON: "goes on",
        What.AWAY: f"does not answer: {text}",
        What.BACK: "answers again",
        What.REFUSED: f"refuses the log-on, and is asked no more: {text}",
        What.CLOCK: text,
        What.READ: f"read anew: {text}",
        What.NOT_READ: f"cannot be read anew, those before hold: {text}",
    }
    said = words[event.what]
    if event.what is What.ENDED and text:
        said += f" ({text})"
    return f"{where or 'policies'}: {who}{said}"


# --- status, and spare


def status(invocation: Invocation, wish: Wish) -> int | None:
    """Show what was promised."""
    found = asyncio.run(policy_status(database=named_database(wish.database), home=invocation.home))
    if invocation.format is Format.JSON:
        holder = found.holder
        output.emit_json(
            None,
            database=found.database,
            runs=None
            if holder is None
            else {"host": holder.host, "pid": holder.pid, "since_at": rfc3339(holder.since)},
            promises=[each.as_json() for each in found.promises],
            spared=[
                {"key": each.word, "server": each.server or None, "until_at": rfc3339(each.until), "by": each.by}
                for each in found.spares
            ],
        )
        return None
    output.emit([*_status_lines(found), ""])
    return None


def _status_lines(found: PolicyStatus) -> Iterator[str]:
    who = "Nobody runs policies with this database." if found.holder is None else f"Policies run: {found.holder}."
    yield escape(who)
    for each in found.spares:
        where = f" on {escape(each.server)}" if each.server else ""
        yield f"{escape(each.word)} is left alone{where} until {_time(each.until)}."
    if not found.promises:
        yield "Nothing is due."
        return
    yield ""
    yield output.heading(DUE_HEADER)
    yield "-" * 79
    for one in found.promises:
        yield row(DUE_COLUMNS, [_due(one), one.policy, escape(one.server), _who(one)])
        yield f"    {_standing(one)}"


def _due(one: Promise) -> str:
    if one.state is State.REPORTED or one.again_at == float("inf"):
        return UNKNOWN
    return _time(max(one.due_at, one.again_at))


def _standing(one: Promise) -> str:
    """Where a promise is, and why."""
    reason = escape(one.reason)
    told = {"yes": f"told at {_time(one.told_at or 0.0)}", "no": "not told", "unknown": "told, perhaps"}
    words = {
        State.TELLING: "is being told",
        State.UNTOLD: f"could not be told, and that is tried again: {reason}",
        State.LOST: "may have been told when the last run ended; begins anew when that is over",
        State.REPORTED: 'would have been ended (mode is "report")',
        State.ENDING: "is being ended",
        State.TOLD: told.get(one.told, "nobody is to be told" if one.mode == "enforce" else 'mode is "report"'),
    }
    said = words[one.state]
    if one.state is State.TOLD and reason:
        said += f"; left alone for now: {reason}"
    return f"{said}; meant because: {escape(one.why)}"


def spare(invocation: Invocation, key: str, seconds: float, wish: Wish) -> int | None:
    """Leave somebody alone."""
    found = asyncio.run(
        spare_from_policies(
            key,
            seconds,
            server=wish.server,
            database=named_database(wish.database),
            home=invocation.home,
            path=wish.policies,
        )
    )
    if invocation.format is Format.JSON:
        output.emit_json(wish.server, key=key, until_at=None if found is None else rfc3339(found.until))
        return None
    where = f" on {escape(wish.server)}" if wish.server else ""
    if found is None:
        output.emit([f"{escape(key)} is no longer left alone{where}.", ""])
    else:
        output.emit([f"{escape(key)} is left alone{where} until {_time(found.until)}.", ""])
    output.success()
    return None


# --- helpers


def _access(invocation: Invocation, wish: Wish, policies: Policies) -> Access:
    """How servers are asked. Where some are over the network and nobody has said who to be, that is asked now."""
    named = [each for policy in policies.policies.values() for each in (policy.servers or (wish.server,)) if each]
    fallback: Credentials | None = None
    if invocation.credentials is None and invocation.service is None and named:
        from lanman.manage.cluster import configured_credentials

        lacking = next((each for each in named if configured_credentials(each) is None), None)
        if lacking is not None:
            # For such servers alone: a cluster of lanman.toml has its own.
            fallback = credentials_from(dict(_NOBODY), lacking)
    return Access(
        wish.server,
        invocation.credentials,
        invocation.port,
        invocation.timeout,
        None if invocation.home is None else Path(invocation.home),
        False,
        invocation.service,
        invocation.samba_config,
        fallback,
    )


def _who(one: Promise) -> str:
    return f"{escape(one.user_name or 'nobody')} from {escape(bare_client(one.client_name or UNKNOWN))}"


def _time(at: float) -> str:
    """A time for people, by this machine's clock: of today its hour alone."""
    with contextlib.suppress(OverflowError, ValueError, OSError):
        time_of = datetime.fromtimestamp(at)
        today = time_of.date() == datetime.now().date()
        return time_of.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
    return UNKNOWN


def _wrapped(line: str, indent: str) -> Sequence[str]:
    """A line as a terminal shows it without breaking words."""
    columns = output.terminal_columns() if output.is_terminal(sys.stdout) else None
    if columns is None or columns < 40:
        return [line]
    from textwrap import wrap

    return wrap(line, columns - 1, subsequent_indent=indent, break_on_hyphens=False)
