r"""`lanman explain`: who has a file open, from where and since when, and what it costs to take it away.

Rules:

  - What is shown is what the server said, or what follows from that; how it is known stands beside it.
  - Orders are plans (`lanman.manage.orders`): shown, asked about, and run on a new connection, which looks again.
  - Nobody is closed whose client is only a guess: a holder that may be from several clients is left out by `--client`,
    and `--end-session` ends only the one session that has a file open.
  - Exit status: 0; with -q and --wait 3 where somebody has it open and 4 where that cannot be known; after orders 3
    where somebody was left alone, by `--if-cost` or since it is not known whose session it is.
  - A path that was found by its end alone may be another file: it is shown, and nothing is closed by it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import completers, output
from lanman.faces.cli.options import duration, net_option, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Argument, Parameter, argument, option
from lanman.faces.cli.planning import confirm_plan, dry_run_option, include_mine_option, plan_lines
from lanman.faces.cli.selecting import client_filter, path_filter, server_of_path, user_filter
from lanman.faces.dialect import DialectError
from lanman.faces.text import MAY_BE_KEPT, escape, kept_for
from lanman.faces.text import duration as shown_duration
from lanman.manage.watching.clients import owner_unknown
from lanman.names import unc_client
from lanman.plain import dataclass

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation
    from lanman.manage.explain import Explanation, Holder
    from lanman.manage.manager import Manager
    from lanman.manage.orders.plan import Outcome, Plan

EXIT_NOT_SO: Final = 3
EXIT_UNKNOWN: Final = 4

CSV: Final = (
    "id path share user_name client_name client_how candidates access locks opened_at opened_how not_before "
    "cost cost_why oplock lease lease_key durable owner expires_at"
)

# What a server says that does not tell its open files, or not to us.
_CANNOT_KNOW: Final = frozenset({codes.ERROR_NOT_SUPPORTED, codes.ERROR_ACCESS_DENIED})

COSTS: Final = ("none", "reopen", "unsaved")
COST_WORDS: Final = {
    "none": "nothing",
    "reopen": "the program sees an error, or opens it again",
    "unsaved": "UNSAVED WORK LIKELY",
    "unknown": "cannot be told",
}


def cost_limit(parameter: Parameter, text: str | None) -> str | None:
    """What it may cost at most. Raises DialectError 3952."""
    if text is None:
        return None
    if text.casefold() not in COSTS:
        raise DialectError(3952, "--if-cost", f"It is one of {', '.join(COSTS)}.")
    return text.casefold()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, and what is to be done."""

    path: str
    user: str | None
    client: str | None
    end: bool
    close: bool
    if_cost: str | None
    wait: float | None
    quiet: bool
    dry_run: bool
    with_others: bool
    include_mine: bool

    @property
    def orders(self) -> bool:
        """Whether anything is to be done."""
        return self.end or self.close


@verb(
    "explain",
    summary="say who has a file open, and what closing it costs",
    aliases=("expl",),
    takes_paths=True,
    names_server=server_of_path,
    syntax=r"""
lanman explain {\\SERVER\SHARE\PATH | PATH | GLOB} [--user NAME] [--client NAME] [--wait TIME] [-q]
lanman explain ... {--close | --end-session} [--if-cost none|reopen|unsaved] [--dry-run] [/Y] [--with-others]
               [--include-mine] [--wait TIME]
""",
    about=r"""
Says who has a file open: how, with how many locks, from where and since when as far as the server tells it or it
follows from what it tells, and what it costs to close it: nothing, an error or a reopening, or unsaved work. A path of
a share names its server; any other is one as `lanman file` lists it, * and ? are patterns, and / means \ too.
--close closes what is shown, --end-session ends the sessions that have it open, after a question; --if-cost leaves
alone what costs more. -q only answers: status 0 where nobody has it open, 3 where somebody has, 4 where that cannot be
known. --wait waits for up to that long until nobody has it open, and answers so too.
""",
    examples=r"""
lanman explain '\\fs1\projects\budget.xlsx'    who has it
lanman explain -S fs1 '*\budget*'              whoever has such a file open
lanman explain -q '\\fs1\data\a.mdb' && run    only while nobody has it
lanman explain '\\fs1\data\a.mdb' --close --if-cost reopen
lanman explain '\\fs1\data\a.mdb' --user bob --end-session --dry-run
""",
)
@argument("path")
@option(
    "--user", metavar="NAME", callback=user_filter, shell_complete=completers.users, help="only what this user has open"
)
@option(
    "--client",
    metavar="NAME",
    callback=client_filter,
    shell_complete=completers.clients,
    help="only what is open from this client",
)
@net_option("--close", is_flag=True, help="close what is shown, after asking")
@option("--end-session", is_flag=True, help="end the sessions that have it open, after asking")
@option(
    "--if-cost",
    metavar="COST",
    callback=cost_limit,
    shell_complete=completers.one_of(*COSTS),
    help="leave alone what costs more: none, reopen or unsaved",
)
@option("--wait", metavar="TIME", callback=duration, help="wait so long for it to be free: 30s, 10m, 2h")
@option("-q", "--quiet", is_flag=True, help="only the exit status: 0 nobody, 3 in use, 4 cannot be known")
@option("--with-others", "--withothers", is_flag=True, help="let those end too whom the server ends along")
@include_mine_option()
@dry_run_option()
def explain(invocation: Invocation, path: str, **options: Any) -> int | None:
    """Explain, wait, close or end, as the words say. DialectError 3510: words that do not go together."""
    path_filter(Argument("path"), path)
    wish = Wish(
        path,
        options["user"],
        options["client"],
        options["end_session"],
        options["close"],
        options["if_cost"],
        options["wait"],
        options["quiet"],
        options["dry_run"],
        options["with_others"],
        options["include_mine"],
    )
    if wish.end and wish.close:
        raise DialectError(3510, hint="Give one of --close and --end-session.")
    if not wish.orders and (wish.if_cost or wish.dry_run or wish.with_others or wish.include_mine):
        raise DialectError(
            3510, hint="--if-cost, --dry-run, --with-others and --include-mine go with --close or --end-session."
        )
    try:
        return _explain(invocation, wish)
    except LanmanError as error:
        if wish.quiet and error.code in _CANNOT_KNOW:
            output.report(error)
            return EXIT_UNKNOWN
        raise


def _explain(invocation: Invocation, wish: Wish) -> int | None:
    found, planned = asyncio.run(_ask(invocation, wish))
    plan = None if planned is None else planned.plan
    outcomes: list[Outcome] | None = None
    if planned is None or plan is None or wish.dry_run:
        _show(invocation, wish, found, plan, None)
        return _status(found, wish)
    if invocation.format is Format.TABLE and not wish.quiet:
        output.emit([*holder_lines(found, invocation), ""])
    if plan.targets:
        if invocation.answer is None and plan.bystanders:
            invocation.say("".join(f"{line}\n" for line in [*plan_lines(plan), ""]))
        what = "Do you want to end these sessions?" if wish.end else "Do you want to close it for them?"
        if not confirm_plan(invocation, plan, what, with_others=wish.with_others):
            return output.EXIT_ERROR
        outcomes = asyncio.run(_run(invocation, wish, plan))
    if invocation.format is not Format.TABLE:
        _show(invocation, wish, found, plan, outcomes or [])
    return _after(invocation, wish, planned, outcomes or [])


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and how many of those who have it open no order is for: what it costs, or whose it is, forbids it."""

    plan: Plan
    left_alone: int


async def _ask(invocation: Invocation, wish: Wish) -> tuple[Explanation, Planned | None]:
    from lanman.manage import explain as explaining

    async with invocation.manager(long_work=wish.wait is not None) as manager:
        if wish.wait is not None and not wish.orders:
            found = await explaining.wait_until_free(manager, wish.path, wish.wait, user=wish.user, client=wish.client)
        else:
            found = await explaining.explain(manager, wish.path, user=wish.user, client=wish.client)
        return found, await _planned(manager, wish, found) if wish.orders else None


def _is_allowed(holder: Holder, wish: Wish) -> bool:
    from lanman.manage.orders.plan import Cost, allows

    return wish.if_cost is None or allows(Cost(wish.if_cost), holder.cost)


async def _planned(manager: Manager, wish: Wish, found: Explanation) -> Planned:
    """How to close what is open, or to end the sessions that have it open."""
    from lanman.manage import orders
    from lanman.manage.orders.plan import Cost, allows
    from lanman.manage.watching.keys import How

    if found.share_how is How.INFERRED and found.holders:
        raise Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"{wish.path}: where that share is, is not told: files with the same end of their paths may be others",
            hint="give the path as `lanman file` lists it",
            subject=wish.path,
        )
    holders = [holder for holder in found.holders if _is_allowed(holder, wish)]
    if wish.close:
        plan = await orders.plan_files(manager, [holder.file for holder in holders])
        return Planned(plan, len(found.holders) - len(holders))
    sessions = list({id(one): one for one in (holder.session for holder in holders) if one is not None}.values())
    unsure = [holder for holder in holders if holder.session is None]
    if unsure:
        found.missing.append(
            f"which session has it open is not known of {len(unsure)} of them, which are left alone: --close closes it"
        )
    whole = await orders.plan_sessions(manager, sessions)
    plan = whole
    if wish.if_cost is not None:
        # A session costs what all of its files do.
        limit = Cost(wish.if_cost)
        plan = whole.only(lambda target: allows(limit, target.cost))
    kept = set(map(id, plan.targets))
    meant = {
        id(session)
        for place, session in enumerate(sessions)
        if place in whole.missing or any(id(whole.targets[target]) in kept for target in whole.asked[place])
    }
    return Planned(plan, sum(1 for holder in found.holders if id(holder.session) not in meant or holder not in holders))


async def _run(invocation: Invocation, wish: Wish, plan: Plan) -> list[Outcome]:
    from lanman.faces.cli.deeds import Deeds
    from lanman.manage import orders
    from lanman.manage.orders.plan import Cost

    limit = None if wish.if_cost is None else Cost(wish.if_cost)
    deeds = Deeds(invocation, "end" if wish.end else "close")
    try:
        # A person has been thinking: a new connection, with all of its time.
        async with invocation.manager(long_work=True) as manager:
            return await orders.run(
                manager,
                plan,
                with_others=wish.with_others,
                include_mine=wish.include_mine,
                limit=limit,
                done=deeds.outcome,
            )
    finally:
        await deeds.write()


def _after(invocation: Invocation, wish: Wish, planned: Planned, outcomes: Sequence[Outcome]) -> int | None:
    """Say what became of each, wait if that was asked for, and give the exit status."""
    from lanman.manage.orders.plan import Reason

    failed = [one for one in outcomes if one.error is not None and one.reason is not Reason.GONE]
    statuses = [output.report(one.error) for one in failed if one.error is not None]
    for one in outcomes:
        if one.note:
            output.note(one.note)
    if wish.wait is not None:
        later, _ = asyncio.run(_ask(invocation, replace(wish, close=False, end=False)))
        return EXIT_NOT_SO if later.holders else statuses[0] if statuses else None
    if statuses:
        return statuses[0]
    if planned.left_alone:
        why = "which session has it open is not known" if wish.end else ""
        if wish.if_cost is not None:
            limit = "it costs more than --if-cost allows, or that cannot be told"
            why = f"{limit}, or {why}" if why else limit
        output.note(f"{planned.left_alone} left alone: {why}")
        return EXIT_NOT_SO
    if invocation.format is Format.TABLE and not wish.quiet and outcomes:
        invocation.success()
    return None


def _status(found: Explanation, wish: Wish) -> int | None:
    from lanman.manage.watching.keys import How

    if not wish.quiet and wish.wait is None:
        return None
    if found.holders:
        return EXIT_NOT_SO
    # By the end of a path nothing is certain, and a client may be one of several.
    unsure = found.share_how is How.INFERRED or found.num_unsure
    return EXIT_UNKNOWN if unsure else None


# --- showing


def _show(
    invocation: Invocation, wish: Wish, found: Explanation, plan: Plan | None, outcomes: Sequence[Outcome] | None
) -> None:
    if wish.quiet:
        return
    if invocation.format is Format.JSON:
        parts = found.as_json()
        if plan is not None:
            parts["plan"] = plan.as_json()
        if outcomes is not None:
            parts["outcomes"] = [one.as_json() for one in outcomes]
        invocation.emit_json(found.server, **parts)
    elif invocation.format is Format.CSV:
        output.emit_csv([_flat(holder) for holder in found.holders], invocation.columns(CSV))
    else:
        output.emit([*holder_lines(found, invocation), ""])
        if plan is not None:
            if plan.targets:
                output.emit(plan_lines(plan))
            output.emit(["", "Nothing was done: this is the plan.", ""])


def _flat(holder: Holder) -> dict[str, Any]:
    return {name: value for name, value in holder.as_json().items() if name != "session"}


def holder_lines(found: Explanation, invocation: Invocation) -> Iterator[str]:
    """The lines of an explanation: each file with those who have it open."""
    if not found.holders:
        # Of a cluster a part is not the whole.
        where = ", as far as its nodes have answered" if invocation.missing else ""
        yield f"Nobody has {escape(found.path)} open{where}."
    by_path: dict[str, list[Holder]] = {}
    for holder in found.holders:
        by_path.setdefault(holder.file.path or "", []).append(holder)
    for number, (path, holders) in enumerate(by_path.items()):
        if number:
            yield ""
        yield escape(found.path if len(by_path) == 1 and found.local_path else path)
        if len(by_path) == 1 and found.local_path:
            yield f"  = {escape(path)}"
        writers = sum(holder.writes for holder in holders)
        yield (
            f"  open {_times(len(holders))}, {_times(writers)} for writing"
            if writers
            else f"  open {_times(len(holders))}"
        )
        for holder in holders:
            yield ""
            yield from _one(holder)
    if found.missing:
        yield ""
    for sentence in found.missing:
        yield f"Not known: {escape(sentence)}."


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _one(holder: Holder) -> Iterator[str]:
    """The lines about one open."""
    access = "access unknown" if holder.file.permissions is None else "WRITE" if holder.writes else "READ"
    locks = "locks unknown" if holder.file.num_locks is None else f"{holder.file.num_locks} locks"
    locks = "1 lock" if holder.file.num_locks == 1 else locks
    name = "user unknown" if holder.user_name is None else escape(holder.user_name or "nobody")
    at = f"{escape(holder.file.node)}: " if holder.file.node else ""
    yield f"  {at}{name}  {access}  {locks}  id {holder.file.id}"
    if holder.owner:
        yield f"    kept for {escape(kept_for(holder.owner, holder.expires_at, time.time()))}"
    elif owner_unknown(holder.user_name, holder.file.path, holder.owner):
        yield f"    {MAY_BE_KEPT}"
    yield f"    from {_from(holder)}"
    yield f"    idle {'unknown' if holder.idle_time is None else shown_duration(holder.idle_time)}"
    yield f"    open since: {_since(holder)}"
    if holder.lease or holder.oplock:
        cached = f"lease {holder.lease}" if holder.lease else f"oplock {holder.oplock}"
        yield f"    cached by the client: {escape(cached)}"
    yield f"    closing costs: {COST_WORDS[holder.cost.value]} ({escape(holder.why)})"
    if holder.others:
        yield f"    the same user has {holder.others} more {'kept or open' if holder.owner else 'open'}"


def _from(holder: Holder) -> str:
    from lanman.manage.watching.keys import How

    if holder.client_how is How.CANDIDATES:
        named = [escape(unc_client(name)) for name in holder.candidates]
        more = f" or {len(named) - 4} more" if len(named) > 4 else ""
        return f"{' or '.join(named[:4])}{more} (the user's sessions)"
    if holder.client_name is None:
        return "a client that is not known"
    client = escape(unc_client(holder.client_name))
    if len(channels := getattr(holder.session, "channels", None) or ()) > 1:
        client += f", over {len(channels)} connections"
    if holder.client_how is How.TOLD:
        return f"{client} (as the server says)"
    number = len(holder.opener.sessions)
    return f"{client} (the user's only session)" if number == 1 else f"{client} ({number} sessions of the user)"


def _since(holder: Holder) -> str:
    if holder.opened_at is not None:
        return f"{_local(holder.opened_at)} (as the server says)"
    if holder.not_before is not None:
        return f"not known; not before {_local(holder.not_before)}, when the session began"
    return "not known"


def _local(at: float) -> str:
    """A time of today, or a day and a time, by this machine's clock."""
    then = time.localtime(at)
    return time.strftime("%H:%M:%S" if then[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M:%S", then)
