"""`lanman drain`: lets everybody leave a server, tells them first, and says by its exit status whether they have.

Rules:

  - First comes a look: who is there, and what their end would cost. `--dry-run` stops behind it, `--check` makes it the
    answer; otherwise a question follows where somebody is there, whose default is No.
  - What happens is told as it happens: a line with its time for people, a JSON object a line for programs.
  - Ctrl-C, SIGTERM and SIGHUP end it as a time-out does: the server is opened again first, unless it is to stay paused,
    however often they come.
  - Status 0 is drained and nothing else; 3 that somebody was left when time ran out.
  - Several servers as one are drained at the same time (`lanman.manage.drain.nodes`): all, or none stays closed. One
    that does not answer at first, or lacks the share, is an error, and nothing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lanman.errors import Win32Error
from lanman.faces.cli import completers, output
from lanman.faces.cli.databases import database_option
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value, duration, net_option, seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, option
from lanman.faces.cli.planning import confirm_orders
from lanman.faces.cli.selecting import path_filter
from lanman.faces.dialect import DialectError
from lanman.faces.drainforms import event_form, holder_form, result_form
from lanman.faces.text import OWNER_UNKNOWN, Column, escape, row, shorten, shorten_client
from lanman.manage.watching.clients import may_be_kept

if TYPE_CHECKING:
    from lanman.manage.drain.machine import Event, Holder, Rules
    from lanman.manage.drain.shell import DrainOrder, DrainResult, Seen
    from lanman.manage.orders import Plan

NOT_SO: Final = 3
QUESTION: Final = "Do you want to continue this operation?"

# How many are listed by name before the question, and in one line of what happens.
MAX_LISTED: Final = 50
MAX_NAMED: Final = 5

HEADER: Final = "Computer               User name            Opens Cost"
COLUMNS: Final = (
    Column(0, 22, fitted=shorten_client),
    Column(23, 20, fitted=shorten),
    Column(44, 5, right=True),
    Column(50, None),
)
INDENT: Final = " " * 10
FILE_HEADER: Final = "ID         User name            Cost     Path"
FILE_COLUMNS: Final = (Column(0, 10), Column(11, 20, fitted=shorten), Column(32, 8), Column(41, None))

COSTS: Final = {"none": "nothing", "reopen": "reopening", "unsaved": "UNSAVED WORK LIKELY", "unknown": "unknown"}


def _message(parameter: Parameter, text: str | None) -> str | None:
    if text is not None and (not text.strip() or len(text) > 2000):
        raise bad_value(parameter, "It is a text of at most 2000 characters, and not an empty one.")
    return text


@verb(
    "drain",
    summary="let everybody leave a server, and say when they have",
    syntax=r"""
lanman drain [--share SHARE | --path GLOB] [--warn TIME [--message TEXT]]
             [--grace TIME] [--end {idle | readers | all}] [--timeout TIME]
             [--quiet-for TIME] [--no-cordon] [--keep-paused] [--include-mine]
             [--db DATABASE] [/DRY-RUN] [/Y]
lanman drain --check [--share SHARE | --path GLOB]
""",
    about=r"""
Pauses a Server service, so that nobody new comes in but administrators, and waits until nobody is there any more.
With --warn, people are told beforehand, as lanman.toml says. After that, who has nothing open is ended at once, and
after the --grace those whom --end names: idle (who loses nothing: nothing is open, or only for reading, for over an
hour), readers (who has nothing open for writing, and no locks) or all. Once nobody was seen for --quiet-for (30s) the
server is drained: the exit status is 0, and the server stays paused until `lanman continue server`. When time runs out
(--timeout, 30m beyond the other times) the status is 3. Then, after an error and after Ctrl-C, it is opened again.
A server without a pause (Samba), a share and a path cannot be closed to newcomers: these are treated like the others
while it watches. Of several servers (-S fs1,fs2) all are drained at the same time, or none stays paused; a share is
that of this name at each.
Times are written 30s, 10m, 2h, 1h30m.
Whom it has ended is noted in the history that is kept (`lanman history`), in the home, or where --db says.
""",
    examples=r"""
lanman drain --check -S fs1                                  is anybody there? status 0: nobody, 3: somebody
lanman drain -S fs1 --dry-run                                who is there, and what ending them costs
lanman drain -S fs1 --warn 10m --grace 5m --end all /y       for a reboot at night
lanman drain --share projects --end readers --timeout 1h     for a backup of one share
""",
)
@option("--share", metavar="SHARE", shell_complete=completers.shares, help="only what is open in this share")
@option(
    "--path", metavar="GLOB", callback=path_filter, help="only what is open by these paths, as `lanman file` lists them"
)
@option(
    "--warn",
    metavar="TIME",
    callback=duration,
    help="tell people, and leave them this much time before anybody is ended",
)
@option("--message", metavar="TEXT", callback=_message, help="what they are told, in place of a sentence with the time")
@option("--grace", metavar="TIME", callback=duration, help="how long those with open files have after that (0)")
@option(
    "--timeout",
    "drain_timeout",
    metavar="TIME",
    callback=duration,
    help="how long it may take (30m beyond --warn and --grace)",
)
@option(
    "--end",
    metavar="WHO",
    default="idle",
    shell_complete=completers.one_of("idle", "readers", "all"),
    help="who is ended after the grace: idle, readers or all (idle)",
)
@option("--quiet-for", metavar="TIME", callback=duration, help="for how long nobody must have been seen (30s)")
@option("--no-cordon", is_flag=True, help="do not pause the server")
@option("--keep-paused", is_flag=True, help="leave the server paused whatever happens")
@option("--include-mine", is_flag=True, help="end sessions that may be your own too")
@option("--check", is_flag=True, help="only say whether anybody is there: status 0 for nobody, 3 for somebody")
@net_option(
    "--dry-run", "--whatif", "dry_run", is_flag=True, help="show who is there and what ending them costs, and stop"
)
@option("--deadline", metavar="S", callback=seconds, help="seconds for each question to the server (10)")
@database_option()
def drain(invocation: Invocation, **options: Any) -> int | None:
    """Look, ask, and drain."""
    rules, order = _understood(invocation, options)
    if invocation.format is Format.CSV:
        raise DialectError(3510, hint="drain has no --csv: what happens is told by --json, a line each.")
    if options["deadline"] is not None:
        invocation.timeout = options["deadline"]
    if invocation.is_cluster:
        return _nodes(invocation, rules, order, options)
    if options["check"] or options["dry_run"]:
        return asyncio.run(_only_look(invocation, rules, order, check=options["check"]))
    return asyncio.run(_drained(invocation, rules, order, options["database"]))


def _understood(invocation: Invocation, options: dict[str, Any]) -> tuple[Rules, DrainOrder]:
    """What is asked for. Raises DialectError for what does not go together."""
    from lanman.manage.drain.machine import DEFAULT_QUIET, End
    from lanman.manage.drain.shell import DrainOrder, rules_of, scope_of

    if options["message"] is not None and not options["warn"]:
        raise DialectError(3510, hint="--message is what people are told: give --warn too.")
    if options["check"] and options["dry_run"]:
        raise DialectError(3510, hint="Give one of --check and --dry-run.")
    end = options["end"].casefold()
    if end not in [each.value for each in End]:
        raise DialectError(3952, "--end", "It is idle, readers or all.")
    quiet = options["quiet_for"]
    try:
        rules = rules_of(
            warn=options["warn"] or 0.0,
            grace=options["grace"] or 0.0,
            timeout=options["drain_timeout"],
            end=end,
            quiet_for=DEFAULT_QUIET if quiet is None else quiet,
            include_mine=options["include_mine"],
        )
        scope = scope_of(options["share"], options["path"])
    except Win32Error as error:
        sentence = error.with_hint if error.hint else f"{error.message}."
        raise DialectError(3510, hint=sentence[0].upper() + sentence[1:]) from None
    return rules, DrainOrder(scope, not options["no_cordon"], options["keep_paused"], options["message"])


# --- looking


async def _only_look(invocation: Invocation, rules: Rules, order: DrainOrder, *, check: bool) -> int | None:
    from lanman.manage.drain.shell import look

    seen = await look(lambda: invocation.manager(long_work=True), order.scope, include_mine=rules.include_mine)
    if invocation.format is Format.JSON:
        output.emit_json(seen.plan.server, **_seen_form(seen, check=check))
    elif check:
        output.emit([*_counted(seen, order), ""])
    else:
        output.emit([*_listed(seen, order), ""])
    return NOT_SO if check and seen.holders else None


def _seen_form(seen: Seen, *, check: bool) -> dict[str, Any]:
    """What was seen, for programs."""
    kept = {"kept": [holder_form(holder) for holder in seen.kept]}
    if not check:
        return {"plan": seen.plan.as_json(), **kept}
    return {"empty": not seen.holders, "left": [holder_form(holder) for holder in seen.holders], **kept}


def _counted(seen: Seen, order: DrainOrder) -> list[str]:
    """How many are there, and who."""
    holders = seen.holders
    return [f"{len(holders)} left: {_named(holders)}" if holders else _nobody(seen.plan, order), *_kept(seen)]


def _kept(seen: Seen) -> list[str]:
    """What else is open, and counts when nobody is there any more."""
    if not seen.kept:
        return []
    number = len(seen.kept)
    owners = Counter(holder.owner or OWNER_UNKNOWN for holder in seen.kept).most_common()
    named = [escape(f"{owner} {times}") for owner, times in owners[:MAX_NAMED]]
    if len(owners) > MAX_NAMED:
        named.append(f"{len(owners) - MAX_NAMED} more")
    what = "file is" if number == 1 else "files are"
    return _wrapped(
        f"{number} {what} open for clients that are away ({', '.join(named)}), and will count when no session is left"
    )


def _nobody(plan: Plan, order: DrainOrder) -> str:
    where = escape(order.scope.share or order.scope.path or f"\\\\{plan.server}")
    return f"Nobody has anything open in {where}." if not order.scope.whole else f"Nobody is on {where}."


def _listed(seen: Seen, order: DrainOrder) -> list[str]:
    """Who is there, the worst first."""
    holders = seen.holders
    if not holders:
        return [_nobody(seen.plan, order)]
    lines = [output.heading(HEADER if order.scope.whole else FILE_HEADER), "-" * 79]
    worst_first = sorted(holders, key=lambda holder: -holder.cost.rank)
    for holder in worst_first[:MAX_LISTED]:
        user = escape(_user(holder) if holder.path is not None else holder.user_name or "")
        if order.scope.whole:
            opens = "-" if holder.num_opens is None else str(holder.num_opens)
            why = holder.why
            if holder.path is not None:  # its user has gone, and has it open all the same
                opens, why = "1", ": ".join(part for part in (why, holder.path) if part)
            cost = f"{COSTS[holder.cost.value]} ({why})" if why else COSTS[holder.cost.value]
            lines.append(row(COLUMNS, [escape(holder.client_name or "-"), user, opens, escape(cost)]))
        else:
            cells = [str(holder.id or "-"), user, holder.cost.value, escape(holder.path or "-")]
            lines.append(row(FILE_COLUMNS, cells))
    if len(holders) > MAX_LISTED:
        lines.append(f"and {len(holders) - MAX_LISTED} more")
    return [*lines, *_kept(seen)]


# --- draining


async def _drained(invocation: Invocation, rules: Rules, order: DrainOrder, database: str | None) -> int | None:
    from lanman.faces.cli.deeds import Deeds
    from lanman.manage.drain.looks import Looker
    from lanman.manage.drain.shell import Drain, SystemClock, configured_teller, look
    from lanman.net.drains import KeptDrain, drain_name

    def opening() -> Any:
        return invocation.manager(long_work=True)

    teller = configured_teller(output.warn) if rules.warn else None
    seen = await look(opening, order.scope, include_mine=rules.include_mine)
    plan = seen.plan
    if seen.holders and invocation.answer is not True:
        invocation.say("".join(f"{line}\n" for line in [*_listed(seen, order), ""]))
        if not confirm_orders(invocation, plan.server, QUESTION, is_grave=rules.is_grave(seen.holders, seen.kept)):
            return output.EXIT_ERROR
    clock = SystemClock()
    report = _Report(invocation, plan.server, clock.now())
    deeds = Deeds(invocation, "drain", database)

    def happened(event: Event) -> None:
        deeds.event(event)
        report.event(event)

    kept = KeptDrain(drain_name(invocation.server, invocation.port, invocation.service), invocation.home)
    async with Looker(opening, order.scope, clock, include_mine=rules.include_mine) as looker, deeds.written():
        one = Drain(looker, rules, order, kept, teller=teller, on_event=happened, clock=clock)
        task = asyncio.ensure_future(one.run())
        _cancel_on_signals(task)
        try:
            result: DrainResult = await task
        except asyncio.CancelledError:
            if task.cancelled() and not _is_cancelled():
                return output.EXIT_INTERRUPTED
            raise
    report.result(result)
    return None if result.drained else NOT_SO


# --- several servers as one


def _nodes(invocation: Invocation, rules: Rules, order: DrainOrder, options: dict[str, Any]) -> int | None:
    """Look at all nodes, ask once, and drain them at the same time."""
    doubles = asyncio.run(_all_there(invocation))
    nodes = {one.node or "": one for one in invocation.each() if one.node not in doubles}
    looked = asyncio.run(_look_at(nodes, rules, order))
    if options["check"] or options["dry_run"]:
        return _show_nodes(invocation, looked, order, check=options["check"])
    everybody = tuple(holder for seen in looked.values() for holder in seen.holders)
    kept = tuple(holder for seen in looked.values() for holder in seen.kept)
    if everybody and invocation.answer is not True:
        invocation.say("".join(f"{line}\n" for line in [*_listed_at(looked, order), ""]))
        server = invocation.server or ""
        if not confirm_orders(invocation, server, QUESTION, is_grave=rules.is_grave(everybody, kept)):
            return output.EXIT_ERROR
    return asyncio.run(_drained_nodes(nodes, rules, order, options["database"]))


Looked = Mapping[str, "Seen"]


async def _all_there(invocation: Invocation) -> Collection[str]:
    """See that all nodes are there, none of which is waited for again. Gives the names that are second addresses of
    others: two drains of one server would wait for each other. Raises LanmanError where one is not there."""
    from lanman.manage.drain.nodes import all_there

    async with invocation.opening() as cluster:
        doubles = await all_there(cluster)
    for name, node in doubles.items():
        output.note(f"{name} is {node} by another address, and counts once")
    return doubles


async def _look_at(nodes: Mapping[str, Invocation], rules: Rules, order: DrainOrder) -> Looked:
    """Who is at each node. Raises LanmanError where one does not tell: a part is not drained for the whole."""
    from lanman.manage.drain.nodes import look_at

    openings = {name: partial(node.manager, long_work=True) for name, node in nodes.items()}
    return await look_at(openings, order.scope, include_mine=rules.include_mine)


def _listed_at(looked: Looked, order: DrainOrder) -> Iterator[str]:
    for node, seen in looked.items():
        yield f"{escape(node)}:"
        yield from _listed(seen, order)


def _show_nodes(invocation: Invocation, looked: Looked, order: DrainOrder, *, check: bool) -> int | None:
    empty = not any(seen.holders for seen in looked.values())
    if invocation.format is Format.JSON:
        parts: list[dict[str, Any]] = [
            {"node": node, **_seen_form(seen, check=True)} | ({} if check else {"plan": seen.plan.as_json()})
            for node, seen in looked.items()
        ]
        invocation.emit_json(invocation.server, empty=empty, nodes=parts)
    elif check:
        for node, seen in looked.items():
            output.emit([f"{escape(node)}: {line}" for line in _counted(seen, order)])
        output.emit([""])
    else:
        output.emit([*_listed_at(looked, order), ""])
    return NOT_SO if check and not empty else None


async def _drained_nodes(
    nodes: Mapping[str, Invocation], rules: Rules, order: DrainOrder, database: str | None
) -> int | None:
    from lanman.faces.cli.deeds import Deeds
    from lanman.manage.drain.looks import Looker
    from lanman.manage.drain.machine import Joint
    from lanman.manage.drain.nodes import together
    from lanman.manage.drain.shell import Drain, SystemClock, configured_teller
    from lanman.net.drains import KeptDrain, drain_name

    teller = configured_teller(output.warn) if rules.warn else None
    clock, joint = SystemClock(), Joint(len(nodes))
    async with contextlib.AsyncExitStack() as stack:
        drains, reports = {}, {}
        for name, node in nodes.items():
            reports[name] = report = _Report(node, name, clock.now(), of_many=True)
            deeds = Deeds(node, "drain", database)

            def happened(event: Event, deeds: Deeds = deeds, report: _Report = report) -> None:
                deeds.event(event)
                report.event(event)

            def opening(node: Invocation = node) -> Any:
                return node.manager(long_work=True)

            kept = KeptDrain(drain_name(node.server, node.port, node.service), node.home)
            looker = await stack.enter_async_context(
                Looker(opening, order.scope, clock, include_mine=rules.include_mine)
            )
            await stack.enter_async_context(deeds.written())
            drains[name] = Drain(looker, rules, order, kept, teller=teller, on_event=happened, clock=clock, joint=joint)
        task = asyncio.ensure_future(together(drains, keep_paused=order.keep_paused))
        _cancel_on_signals(task)
        try:
            results = await task
        except asyncio.CancelledError:
            if task.cancelled() and not _is_cancelled():
                return output.EXIT_INTERRUPTED
            raise
    for name, result in results.items():
        reports[name].result(result)
    drained = all(result.drained for result in results.values())
    if drained and not any(node.format is Format.JSON for node in nodes.values()):
        output.emit([""])
        output.success()
    return None if drained else NOT_SO


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _cancel_on_signals(task: asyncio.Future[Any]) -> None:
    """What ends a process ends the drain first: Ctrl-C, it is told to go, or its terminal has gone, unless nohup is
    there. Once is as good as twice: a second Ctrl-C does not keep it from opening the server again."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) is signal.SIG_IGN:
            continue
        try:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        except (NotImplementedError, RuntimeError, ValueError):
            return  # Windows, or no main thread: the signal ends the process, and the note tells the next drain


class _Report:
    """Tells what happens: lines for people, or JSON objects, one a line."""

    def __init__(self, invocation: Invocation, server: str, started: float, *, of_many: bool = False) -> None:
        self._invocation = invocation
        self._at = f"{escape(server)}: " if of_many else ""
        self._server = server
        self._started = started
        self._cordoned = False

    def event(self, event: Event) -> None:
        """Tell one event."""
        if self._invocation.format is Format.JSON:
            output.emit([json.dumps({"schema": output.SCHEMA, **event_form(event, self._server, self._started)})])
        elif text := self._sentence(event):
            output.emit(_wrapped(f"{time.strftime('%H:%M:%S', time.localtime(event.at))}  {self._at}{text}"))

    def result(self, result: DrainResult) -> None:
        """Say at the end what is to be done next."""
        if self._invocation.format is Format.JSON:
            server = self._server if self._at else result.server
            document = {"schema": output.SCHEMA, **result_form(result, server)}
            output.emit([json.dumps(document)])
            return
        for holder, reason in zip(result.left, result.reasons, strict=True):
            if reason:
                output.emit(_wrapped(f"{INDENT}{self._at}{_who(holder)}: {escape(reason)}"))
        if result.drained and not self._at:
            output.emit([""])
            output.success()

    def _sentence(self, event: Event) -> str:
        what, holder, message = event.what.value, event.holder, escape(event.message)
        behind = f" ({message})" if message else ""
        if what == "paused":
            self._cordoned = True
            return f"paused: no new sessions (administrators excepted){f'; {message}' if message else ''}"
        if what == "not_paused":
            self._cordoned = False
            return f"not paused{behind}: newcomers are treated like the others"
        if what == "finished":
            return self._end(event, message)
        if what == "left":
            return f"{len(event.holders)} left: {_named(event.holders)}"
        if what == "empty":
            return "nobody is left; watching"
        if what == "continued":
            return "opened again"
        if what == "not_continued":
            return f"could not be opened again: {message}; `{self._continue()}` does"
        if what == "failed" and holder is None:
            return f"no answer: {message}"
        if holder is None or what == "told":
            return message if what == "warned" else ""
        lost = " UNSAVED WORK LIKELY" if holder.cost.value == "unsaved" else ""
        if holder.path is not None and what in ("gone", "came", "ended"):
            return {
                "gone": f"{_who(holder)} is closed",
                "came": f"{_who(holder)} is open, too: closing it costs: {_opens(holder)}",
                "ended": f"closed {_who(holder)} ({escape(holder.why)}){lost}",
            }[what]
        return {
            "gone": f"{_who(holder)} has left",
            "came": f"{_who(holder)} has come: {_opens(holder)}",
            "ended": f"ended {_who(holder)}: {_opens(holder)}{'' if holder.nothing_open else behind}{lost}",
            "spared": f"left alone: {_who(holder)}: {message}",
            "failed": f"could not end {_who(holder)}: {message}",
        }.get(what, "")

    def _end(self, event: Event, message: str) -> str:
        if event.holders:
            return f"{message}; {len(event.holders)} left: {_named(event.holders)}"
        if message.startswith("empty"):
            still = f"Still paused; `{self._continue()}` opens it again" if self._cordoned else "Newcomers may come"
            return f"{message}. {still}"
        return message

    def _continue(self) -> str:
        server = self._invocation.server
        port = "" if self._invocation.given_port is None else f":{self._invocation.port}"
        return "lanman continue server" + (f" -S {escape(server)}{port}" if server is not None else "")


# --- words


def _wrapped(line: str) -> list[str]:
    """A line as a terminal shows it without breaking words, what follows the first one under its text."""
    columns = output.terminal_columns()
    if columns is None or columns < 40:
        return [line]
    from textwrap import wrap

    return wrap(line, columns - 1, subsequent_indent=INDENT, break_on_hyphens=False, drop_whitespace=True)


def _user(holder: Holder) -> str:
    """Whose it is; a file without a user is kept for somebody who is not there, or a null session's."""
    if holder.path is not None and may_be_kept(holder.user_name, holder.path, holder.owner):
        return f"{holder.owner} (away)" if holder.owner else OWNER_UNKNOWN
    return holder.user_name or "nobody"


def _who(holder: Holder) -> str:
    parts = [_user(holder), holder.client_name or "", holder.path or ""]
    return escape(" ".join(part for part in parts if part))


def _opens(holder: Holder) -> str:
    if holder.path is not None:
        return COSTS[holder.cost.value]
    if holder.num_opens is None:
        return "open files unknown"
    return "nothing open" if not holder.num_opens else f"{holder.num_opens} file{'' if holder.num_opens == 1 else 's'}"


def _named(holders: tuple[Holder, ...]) -> str:
    worst_first = sorted(holders, key=lambda holder: -holder.cost.rank)[:MAX_NAMED]
    named = [f"{_who(each)} ({_opens(each)})" for each in worst_first]
    if len(holders) > MAX_NAMED:
        named.append(f"{len(holders) - MAX_NAMED} more")
    return ", ".join(named)
