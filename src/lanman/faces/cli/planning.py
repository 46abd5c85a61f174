"""What all verbs that give orders share: their switches, a plan as it is shown, and the question before much is lost.

`--dry-run` (`/WHATIF`) shows the plan and stops. NET's own verbs keep NET's questions. The others have the server's
name typed where an order is grave (`lanman.manage.orders.plan`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.options import LateOption
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import option
from lanman.faces.text import OWNER_UNKNOWN, Column, escape, shorten_path, table
from lanman.names import unc_client
from lanman.records import FileInfo, SessionInfo, ShareInfo

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation
    from lanman.manage.orders.plan import Plan, Target

HEADER: Final = "Target                                   Cost     Why"
COLUMNS: Final = (Column(0, 40, fitted=shorten_path), Column(41, 8), Column(50, None))
CSV: Final = "kind key client_name user_name id path cost cost_why is_own num_bystanders"

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def dry_run_option() -> Decorator:
    """`--dry-run`: show what would be done, and do nothing. `/D` and `--d` stay short for --delete, `--w` for
    --with-others."""
    return option(
        "--dry-run",
        "--whatif",
        "dry_run",
        cls=LateOption,
        is_flag=True,
        help="show what would be done, and do nothing",
    )


def include_mine_option() -> Decorator:
    """`--include-mine`: the session of this command itself too."""
    return option(
        "--include-mine",
        "--includemine",
        "include_mine",
        cls=LateOption,
        is_flag=True,
        help="end this command's own session too",
    )


def show_plan(invocation: Invocation, plan: Plan) -> None:
    """Show a plan: as a table, as JSON or as CSV."""
    if invocation.format is Format.JSON:
        invocation.emit_json(plan.server, plan=plan.as_json())
    elif invocation.format is Format.CSV:
        output.emit_csv(plan.as_json()["targets"], invocation.columns(CSV))
    elif not plan.targets:
        invocation.no_entries()
    else:
        output.emit([*plan_lines(plan), ""])
        output.emit(["Nothing was done: this is the plan.", ""])


def plan_lines(plan: Plan) -> Iterator[str]:
    """The lines of a plan: its targets with what each costs, and who would go along."""
    rows = [[described(target), target.cost.value, target.why] for target in plan.targets]
    yield from table(HEADER, COLUMNS, rows, output.terminal_columns())
    if own := [target for target in plan.targets if target.is_own]:
        yield ""
        yield "Of these may be this command's own, which --include-mine ends too:"
        yield ""
        yield from (f"    {escape(described(target))}" for target in own)
    if bystanders := plan.bystanders:
        yield ""
        yield from bystander_lines(bystanders)


def described(target: Target) -> str:
    """A target in a few words. It is not escaped yet."""
    record = target.record
    if isinstance(record, SessionInfo):
        return whose(record)
    at = f"{record.node}: " if record.node else ""
    if isinstance(record, FileInfo):
        from lanman.manage.watching.clients import owner_unknown  # not for who lists sessions

        unknown = owner_unknown(record.user_name, record.path, getattr(record, "owner", None))
        return f"{at}{record.id} {record.path or ''}, {OWNER_UNKNOWN if unknown else record.user_name or 'nobody'}"
    assert isinstance(record, ShareInfo)
    return f"{at}{record.netname or ''} ({record.path or ''})"


def whose(session: SessionInfo) -> str:
    r"""Whose session it is: `\\pc7, bob`, behind its node where it has one. It is not escaped yet."""
    at = f"{session.node}: " if session.node else ""
    return f"{at}{unc_client(session.client_name or '')}, {session.user_name or 'nobody'}"


def bystander_lines(bystanders: Sequence[SessionInfo]) -> Iterator[str]:
    """Everybody who goes along, one line for each client and user, with what they have open."""
    yield "The server may end these sessions with them:"
    yield ""
    groups: dict[str, list[SessionInfo]] = {}
    for other in bystanders:
        groups.setdefault(whose(other), []).append(other)
    for name, others in groups.items():
        counts = [other.num_opens for other in others]
        opens = "-" if None in counts else str(sum(count or 0 for count in counts))
        yield f"    {escape(name)} (open files: {opens})"


# --- questions


def confirm_plan(invocation: Invocation, plan: Plan, question: str, *, with_others: bool = False) -> bool:
    """Ask before a plan is run, by verbs that NET does not have. `with_others`: its bystanders end too."""
    return confirm_orders(invocation, plan.server, question, is_grave=plan.is_grave(with_others=with_others))


def confirm_orders(invocation: Invocation, server: str, question: str, *, is_grave: bool) -> bool:
    """Ask before orders are given to a server, by verbs that NET does not have. Raises LanmanError 3757 where no answer
    comes.

    What is grave is confirmed by the server's name; anything else by yes or no. Enter is no; /Y and /N answer both.
    """
    if invocation.answer is not None or not is_grave:
        return invocation.confirm(question, default=False)
    why = "Many would be ended, or unsaved work may be lost"
    invocation.say(f"{question} {why}: type the server's name ({escape(server)}) to go on: ")
    from lanman.faces.ordering import is_typed

    line = sys.stdin.readline(1000) if sys.stdin is not None else ""
    if not line:
        invocation.say("\n")
        raise LanmanError(
            "No valid response was provided.", code=3757, hint="Give /Y to go on, or /N not to, without being asked."
        )
    return is_typed(line, server)
