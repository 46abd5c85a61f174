"""`lanman session /DELETE`: the end of sessions, and the questions before it. A list of sessions does not load this.

Rules:

  - `/DELETE` lists first and ends afterwards. Where no question is needed, both happen on one connection; else the
    question is asked without a connection, since a person may take long, and a second one ends what was agreed to.
  - A question is needed where files are open or may be, where no client was named as an argument (both NET's rules),
    and where the server would end other sessions along. /Y answers all but the last; only `--with-others` agrees to
    that beforehand.
  - What was agreed to covers the sessions that were named in the question. For whole clients it covers their new
    sessions too, but nobody else's.
  - Each session gets its own result. Work that is broken off reports what had been ended by then.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.output import Format, is_terminal
from lanman.faces.cli.planning import bystander_lines, described, show_plan, whose
from lanman.faces.cli.progress import Progress
from lanman.faces.cli.sessions import FIELDS, Selection, bare
from lanman.faces.text import Column, escape, row
from lanman.manage import orders
from lanman.manage.manager import CloseResult, Manager, Sessions
from lanman.manage.orders.plan import Consent, Outcome, Plan, Reason, Verb, What
from lanman.names import unc_client
from lanman.plain import dataclass
from lanman.records import SessionInfo

OTHER_FIELDS: Final = "client_name user_name num_opens"
QUESTION: Final = "Do you want to continue this operation?"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was said of an end: whether others may go along, whether ours too, and whether only to show the plan."""

    with_others: bool = False
    include_mine: bool = False
    dry_run: bool = False


def end_sessions(invocation: Invocation, selection: Selection, wish: Wish) -> int | None:
    """End what is selected, after the questions that it takes. Gives the exit status; an answer of No is 2."""
    found, plan, outcomes = asyncio.run(_end_without_asking(invocation, selection, wish))
    if not found.entries:
        if selection.filtered:
            return output.report(selection.missing(invocation.server))
        if wish.dry_run:
            show_plan(invocation, plan)
        elif invocation.format is Format.TABLE:
            invocation.no_entries()
        else:
            _emit_ended(invocation, found.server, [])
        return None
    if wish.dry_run:
        show_plan(invocation, plan)
        return None
    if outcomes is None:
        # The agreement covers the sessions that were named, not those that have come since.
        agreed: Consent = wish.with_others or plan.bystanders
        if invocation.answer is not True:
            if not ask_about(invocation, found, plan, named=selection.named):
                return output.EXIT_ERROR
        elif not ask_about_others(invocation, plan):
            agreed = False
        plan, outcomes = asyncio.run(_end(invocation, selection, found, plan, agreed, wish.include_mine))
    return report_ended(invocation, plan, outcomes)


async def _run(
    manager: Manager, invocation: Invocation, plan: Plan, with_others: Consent, include_mine: bool, *, at_once: bool
) -> list[Outcome]:
    """End sessions; where something breaks off the work, say which were ended before."""
    from lanman.faces.cli.deeds import Deeds

    ended: list[Outcome] = []
    deeds = Deeds(invocation, "end")
    with Progress("Ending sessions", len(plan.targets)) as progress:

        def done(one: Outcome) -> None:
            ended.append(one)
            deeds.outcome(one)
            progress.advance()

        try:
            return await orders.run(
                manager, plan, with_others=with_others, include_mine=include_mine, at_once=at_once, done=done
            )
        except (LanmanError, asyncio.CancelledError) as error:
            broken_off = error
        finally:
            await deeds.write()
    if ended:
        _report_broken_off(invocation, plan, ended, broken_off)
    raise broken_off


def _report_broken_off(invocation: Invocation, plan: Plan, ended: Sequence[Outcome], error: BaseException) -> None:
    known = {one.target for one in ended}
    left = [target for target in plan.targets if target not in known]
    if invocation.format is not Format.TABLE:
        code = error.code if isinstance(error, LanmanError) else codes.ERROR_CANCELLED
        unknown = LanmanError("the work was broken off before this one was known to have ended", code=code)
        unsettled = [Outcome(target, What.FAILED, None, unknown) for target in left]
        return _emit_ended(invocation, plan.server, [*ended, *unsettled])
    for title, targets in (
        ("These sessions were ended:", [one.target for one in ended if one.error is None]),
        ("These sessions could not be ended:", [one.target for one in ended if one.error is not None]),
        ("These sessions were not known to have ended when the work was broken off:", left),
    ):
        if targets:
            output.complain([title, "", *(f"    {escape(described(target))}" for target in targets), ""])


async def _end_without_asking(
    invocation: Invocation, selection: Selection, wish: Wish
) -> tuple[Sessions, Plan, list[Outcome] | None]:
    """What is selected and what its end would be; and what became of it, where nothing has to be asked first."""
    async with invocation.manager(long_work=True) as manager:
        found = await selection.of(manager)
        if not found.entries:
            return found, Plan(Verb.END, manager.server, level=found.level), None
        plan = await orders.plan_sessions(manager, found.entries, costs=wish.dry_run)
        # Who has agreed to the others before need not be asked about them. Else a person is, where there is one.
        concerned = [*found.entries, *plan.bystanders]
        quiet = selection.named is not None and not any(map(_may_be_open, concerned))
        unanswered = bool(plan.bystanders) and not wish.with_others
        if invocation.answer is True:
            at_once = not unanswered or not is_terminal(sys.stdin)
        else:
            at_once = quiet and not unanswered and invocation.answer is None
        if not at_once or wish.dry_run:
            return found, plan, None
        outcomes = await _run(manager, invocation, plan, wish.with_others, wish.include_mine, at_once=True)
        return found, plan, outcomes


async def _end(
    invocation: Invocation, selection: Selection, found: Sessions, plan: Plan, with_others: Consent, include_mine: bool
) -> tuple[Plan, list[Outcome]]:
    # A person has been thinking since the list was made: a new connection, with all of its time.
    async with invocation.manager(long_work=True) as manager:
        if (selection.is_whole_client or not selection.filtered) and not plan.bystanders:
            # Clients were asked about: of them those are meant too who have come since.
            clients = {(entry.node, entry.client_name) for entry in found.entries}
            now = [entry for entry in await selection.of(manager) if (entry.node, entry.client_name) in clients]
            if now:
                plan = await orders.plan_sessions(manager, now, costs=False)
        return plan, await _run(manager, invocation, plan, with_others, include_mine, at_once=False)


def _may_be_open(entry: SessionInfo) -> bool:
    # A server that does not say may well have open files there.
    return entry.num_opens is None or entry.num_opens > 0


def ask_about(invocation: Invocation, found: Sessions, plan: Plan, *, named: str | None) -> bool:
    """NET's questions: for a client with open files, and for all clients after naming them. Others are named too."""
    entries, lines = found.entries, []
    open_files = [entry for entry in entries if _may_be_open(entry)]
    if named is not None:
        if any(entry.num_opens for entry in open_files):
            lines = [codes.message_text(3675, escape(named)), ""]
    else:
        with_files = dict.fromkeys(map(_client_at, open_files))
        without = dict.fromkeys(map(_client_at, entries))
        for message_id, names in ((3660, [name for name in without if name not in with_files]), (3661, with_files)):
            if names:
                indented = (row((Column(4, None),), [name]) for name in names)
                lines += [codes.message_text(message_id), "", *indented, ""]
    if invocation.answer is None:
        invocation.say("".join(f"{line}\n" for line in [*lines, *_named_others(plan)]))
    return invocation.confirm(QUESTION, default=not open_files and not plan.bystanders)


def _client_at(entry: SessionInfo) -> str:
    """A client, and at which node."""
    client = unc_client(entry.client_name or "")
    return client if entry.node is None else f"{client} at {entry.node}"


def ask_about_others(invocation: Invocation, plan: Plan) -> bool:
    """The question that /Y does not answer: whether those may end whom the server ends along."""
    invocation.say("".join(f"{line}\n" for line in _named_others(plan)))
    return replace(invocation, answer=None).confirm(QUESTION, default=False)


def _named_others(plan: Plan) -> Iterator[str]:
    """Everybody who goes along; nothing where nobody does."""
    if bystanders := plan.bystanders:
        yield from bystander_lines(bystanders)
        yield ""


def report_ended(invocation: Invocation, plan: Plan, outcomes: Sequence[Outcome]) -> int | None:
    """Say what became of each; the first failure gives the exit status.

    The session of this command is no failure where others were to end too: nobody means it by `all`.
    """
    # In the order in which they were listed; orders are given in another.
    places = dict.fromkeys([place for some in plan.asked for place in some] + list(range(len(outcomes))))
    outcomes = [outcomes[place] for place in places]
    missing = [
        CloseResult(one.record, one.error) for one in plan.missing.values() if isinstance(one.record, SessionInfo)
    ]
    ended = [_result(one) for one in outcomes]
    only_own = all(one.reason is Reason.OWN for one in outcomes) and not missing
    failed = [*missing]
    for outcome, one in zip(outcomes, ended, strict=True):
        if one.note:
            output.note(one.note)
        if one.error is not None and (outcome.reason is not Reason.OWN or only_own):
            failed.append(one)
        elif one.error is not None:
            output.note(one.error.with_hint)
    if invocation.format is not Format.TABLE:
        _emit_ended(invocation, plan.server, outcomes, missing)
    elif not failed:
        invocation.success()
    status = None
    number = len(ended) + len(missing)
    for one in failed:
        assert one.error is not None
        if number > 1:
            output.complain([f"{escape(whose(one.session))}:"])
        reported = output.report(one.error)
        status = status or reported
    if number > len(failed) > 0:
        output.complain([codes.message_text(3504), ""])
    return status


def _result(outcome: Outcome) -> CloseResult:
    assert isinstance(outcome.target.record, SessionInfo)
    return CloseResult(outcome.target.record, outcome.error, outcome.note, outcome.others)


def _emit_ended(
    invocation: Invocation, server: str, outcomes: Sequence[Outcome], missing: Sequence[CloseResult] = ()
) -> None:
    records = []
    all_results = [*map(_result, outcomes), *missing]
    words = [(one.what.value, None if one.reason is None else one.reason.value) for one in outcomes]
    words += [(What.SPARED.value, Reason.GONE.value)] * len(missing)
    for one, (outcome, reason) in zip(all_results, words, strict=True):
        record = output.fields(one.session, FIELDS)
        record["outcome"], record["reason"] = outcome, reason
        record["error"] = None if one.error is None else one.error.code
        record["message"] = None if one.error is None else one.error.message
        record["note"] = one.note
        record["others"] = [output.fields(other, OTHER_FIELDS, only=True) for other in one.others]
        records.append(record)
    if invocation.format is Format.JSON:
        invocation.emit_json(server, ended=[bare(record) for record in records])
    else:
        for record, one in zip(records, all_results, strict=True):
            record["others"] = "; ".join(other.user_name or "nobody" for other in one.others)
        output.emit_csv(
            records, [*invocation.columns(FIELDS), "outcome", "reason", "error", "message", "note", "others"]
        )
