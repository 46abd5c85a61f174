"""`lanman session`: the sessions of a Server service, one client's in detail, and their end.

The layout is that of NET SESSION. Rules:

  - What is shown, asked about and ended is always one `Selection`; the Manager filters what the server does not.
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
from dataclasses import dataclass, replace
from typing import Any, Final

import click

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import LateOption, net_option, verb
from lanman.faces.cli.output import Format, is_terminal
from lanman.faces.cli.planning import (
    bystander_lines,
    described,
    dry_run_option,
    include_mine_option,
    show_plan,
    whose,
)
from lanman.faces.cli.progress import Progress
from lanman.faces.cli.selecting import client_filter, client_name, user_filter
from lanman.faces.dialect import DialectError
from lanman.faces.text import (
    Column,
    block,
    duration,
    escape,
    number,
    row,
    shorten,
    shorten_client,
    table,
    table_lines,
    with_nodes,
    yes_no,
)
from lanman.manage import orders
from lanman.manage.manager import CloseResult, Manager, Sessions, no_such_session
from lanman.manage.orders.plan import Consent, Outcome, Plan, Reason, Verb, What
from lanman.manage.selection import canonical_client, is_address
from lanman.names import unc_client
from lanman.records import ConnectionInfo, SessionInfo

HEADER: Final = "Computer               User name            Client Type       Opens Idle time"
COLUMNS: Final[tuple[Column, ...]] = (
    Column(0, 22, fitted=shorten_client),
    Column(23, 20, fitted=shorten),
    Column(44, 17),
    Column(62, 5, right=True),
    Column(68, 12),
    Column(81, None),
)
CONNECTIONS_HEADER: Final = "Share name     Type     # Opens"
CONNECTION_COLUMNS: Final[tuple[Column, ...]] = (
    Column(0, 14, fitted=shorten),
    Column(15, 8),
    Column(25, 5, right=True),
)
LABEL_WIDTH: Final = 16
FIELDS: Final = "client_name user_name num_opens active_time idle_time user_flags client_type transport"
OTHER_FIELDS: Final = "client_name user_name num_opens"
QUESTION: Final = "Do you want to continue this operation?"

SESS_GUEST: Final = 0x1
# MS-SRVS 2.2.2.4; the special bits stand above.
SHARE_TYPES: Final = {0: "Disk", 1: "Print", 2: "Comm", 3: "IPC"}

# What is said where this machine has no Server of lanman, and where another SMB server holds its port.
_NO_SERVER_HERE: Final = frozenset({codes.NERR_ServerNotStarted, codes.ERROR_NOT_AUTHENTICATED})

# Looking up the names of addresses may take no longer than this, however many there are.
RESOLVE_SECONDS: Final = 2.0


@verb(
    "session",
    summary="list the sessions, show a client's, end them",
    aliases=("sess", "sessions"),
    syntax=r"""
lanman session [\\CLIENT] [/LIST] [--client NAME] [--user NAME] [--null-sessions] [--resolve] [--merge]
lanman session [\\CLIENT] /DELETE [/Y] [--with-others] [--include-mine] [--dry-run] [--client NAME] [--user NAME]
               [--null-sessions]
""",
    about=r"""
Lists the sessions between a Server service and its clients: who is connected, from where, with how many
open files, and for how long idle. With \\CLIENT, shows the sessions of that client and the shares they use.
/LIST shows blocks in place of the table. /DELETE ends what is selected, and closes all files that are open there.
What a list shows selects itself; otherwise * and ? are patterns, and letter case does not count. Where a server ends
others along (Samba ends whole connections), they are named and asked about; /Y does not answer that question.
The session of this command itself is left alone without --include-mine. --dry-run shows what would end, who would go
along and what it would cost, and does nothing. Of several servers (-S fs1,fs2) each row has its node, and --merge
shows one row for each client and user.
""",
    examples=r"""
lanman session                      the sessions of this machine
lanman session -S fs1 -U ann        those of \\fs1, as ann
lanman session -S fs1,fs2 --merge   those of two servers, a row for each client and user
lanman session \\pc7                one client, and the shares it uses
lanman session \\pc7 /delete        end the sessions of one client
lanman session --user bob /delete   end those of one user
lanman session --user bob /delete --dry-run   what that would cost whom
lanman session --user 'svc*'        those of users whose names begin so
""",
)
@click.argument("computer", required=False, shell_complete=completers.clients)
@net_option("--delete", is_flag=True, help="end the sessions; without /Y it asks where files are open")
@net_option("--list", "as_list", is_flag=True, help="blocks in place of a table")
@click.option(
    "--client",
    metavar="NAME",
    callback=client_filter,
    shell_complete=completers.clients,
    help="only this client: a name or an address",
)
@click.option(
    "--user",
    metavar="NAME",
    callback=user_filter,
    shell_complete=completers.users,
    help="only the sessions of this user",
)
@click.option("--null-sessions", is_flag=True, help="only null sessions: anonymous log-ons")
@net_option("--with-others", "--withothers", is_flag=True, help="let those end too whom the server ends along")
@include_mine_option()
@dry_run_option()
@click.option("--resolve", is_flag=True, help="look up the names of addresses, and show them beside")
@click.option("--merge", cls=LateOption, is_flag=True, help="one row for each client and user, of all nodes")
def session(
    invocation: Invocation,
    computer: str | None,
    delete: bool,
    as_list: bool,
    client: str | None,
    user: str | None,
    null_sessions: bool,
    with_others: bool,
    include_mine: bool,
    dry_run: bool,
    resolve: bool,
    merge: bool,
) -> int | None:
    """List, show or end, as the words say. DialectError 3510: words that do not go together."""
    named = None if computer is None else client_name(computer)
    if null_sessions and user is not None:
        raise DialectError(3510, hint="A null session has no user: give one of --null-sessions and --user.")
    selection = Selection(named, client, user, null_sessions)
    if delete and as_list:
        raise DialectError(3510, hint="/LIST shows sessions and /DELETE ends them: give one of the two.")
    if merge and (delete or as_list or named is not None):
        raise DialectError(
            3510, hint="--merge goes with the table of sessions, and with none of \\\\CLIENT, /LIST, /DELETE."
        )
    for given, switch in ((with_others, "--with-others"), (include_mine, "--include-mine"), (dry_run, "--dry-run")):
        if given and not delete:
            raise DialectError(3510, hint=f"{switch} goes with /DELETE.")
    try:
        if delete:
            return end_sessions(invocation, selection, Wish(with_others, include_mine, dry_run))
        show_sessions(invocation, selection, as_list=as_list, resolve=resolve, merge=merge)
    except LanmanError as error:
        if error.code in _NO_SERVER_HERE:
            error.hint = "; ".join([*filter(None, [error.hint]), *selection.server_hint(invocation.server)]) or None
        raise
    return None


class Selection:
    """Which sessions are meant: those of the client named as an argument, and of all filters."""

    def __init__(self, named: str | None, client: str | None, user: str | None, null_sessions: bool = False) -> None:
        self.named, self.client, self.user, self.null_sessions = named, client, user, null_sessions

    @property
    def filtered(self) -> bool:
        """Whether anything was said that leaves sessions out."""
        return self.null_sessions or any(part is not None for part in (self.named, self.client, self.user))

    @property
    def is_whole_client(self) -> bool:
        """Whether all sessions of a client are meant, whoever has them."""
        return self.user is None and not self.null_sessions and None in (self.named, self.client) and self.filtered

    async def of(self, manager: Manager) -> Sessions:
        """The sessions that are meant."""
        found = await manager.sessions(client=self.named or self.client, user=self.user)
        if self.null_sessions:
            found.entries = [entry for entry in found.entries if entry.user_name == ""]
        if self.named is None or self.client is None:
            return found
        others = await manager.sessions(client=self.client, user=self.user)
        clients = {entry.client_name for entry in others.entries}
        return replace(found, entries=[entry for entry in found.entries if entry.client_name in clients])

    def missing(self, server: str | None) -> LanmanError:
        """That nothing is meant, at `server`, None for this machine; with what may have been meant."""
        error = no_such_session(self.named or self.client, self.user)
        hints = [error.hint or ""]
        # An address is cut in the middle.
        if any("..." in (part or "") for part in (self.named, self.client, self.user)):
            hints = ["`...` stands for what a table had no room for: `lanman session /list` shows names whole"]
        error.hint = "; ".join([*hints, *self.server_hint(server)])
        return error

    def server_hint(self, server: str | None) -> list[str]:
        """How to name a server, where what was named as a client may be one; `server` is the one that was asked."""
        if self.named is None or server is not None or any(map(str.isspace, self.named)):
            return []
        return [f"a server is named by -S: lanman session -S {self.named}"]


# --- showing


def show_sessions(
    invocation: Invocation, selection: Selection, *, as_list: bool, resolve: bool, merge: bool = False
) -> None:
    """Print what is selected: as a table, or as blocks for one client and with `as_list`; or as JSON or CSV."""
    found, connections, names = asyncio.run(_ask(invocation, selection, detail=not as_list, resolve=resolve))
    if merge:
        from lanman.manage.cluster.merge import merged

        found.entries = list(merged(found.entries))
    if invocation.format is Format.JSON:
        parts: dict[str, Any] = {"level": found.level, "sessions": [_bare(one) for one in _records(found, names)]}
        if connections is not None:
            parts["connections"] = [output.fields(entry) for entry in connections]
        invocation.emit_json(found.server, **parts)
    elif invocation.format is Format.CSV:
        columns = FIELDS.split() if merge else invocation.columns(FIELDS)
        output.emit_csv(_records(found, names), [*(["nodes", "count"] if merge else []), *columns])
    elif not found.entries:
        invocation.no_entries()
    else:
        if selection.named is not None or as_list:
            output.emit(blocks(found.entries, names))
            if connections:
                output.emit(connection_table(connections))
        else:
            output.emit(session_table(found.entries, names))
        invocation.success()


async def _ask(
    invocation: Invocation, selection: Selection, *, detail: bool, resolve: bool
) -> tuple[Sessions, list[ConnectionInfo] | None, dict[str, str] | None]:
    connections = None
    async with invocation.manager() as manager:
        found = await selection.of(manager)
        if selection.named is not None and not found.entries:
            raise selection.missing(invocation.server)
        if selection.named is not None and detail:
            connections = await _connections(manager, found.entries)
    names = await resolve_names([entry.client_name or "" for entry in found.entries]) if resolve else None
    return found, connections, names


async def _connections(manager: Manager, entries: Sequence[SessionInfo]) -> list[ConnectionInfo]:
    """The tree connects of the clients shown, under the names by which the server lists them."""
    connections = []
    users = {(entry.node, entry.user_name) for entry in entries}
    for client in dict.fromkeys(entry.client_name for entry in entries if entry.client_name):
        try:
            listed = await manager.connections(unc_client(client))
        except LanmanError as error:
            # The sessions are known and worth showing. Not every server tells of connections.
            output.warn(f"the shares in use cannot be listed: {error.message}")
            break
        # A client's other users are not asked for.
        connections += [one for one in listed if one.user_name is None or (one.node, one.user_name) in users]
    return connections


async def resolve_names(clients: Sequence[str]) -> dict[str, str]:
    """The names that belong to the addresses among `clients`, by canonical client name."""
    from lanman.net.resolve import name_of

    names: dict[str, str] = {}

    async def look_up(address: str) -> None:
        if (name := await name_of(address)) is not None:
            names[address] = name

    addresses = {canonical_client(client) for client in clients if is_address(client)}
    try:
        async with asyncio.timeout(RESOLVE_SECONDS), asyncio.TaskGroup() as group:
            for address in addresses:
                group.create_task(look_up(address))
    except TimeoutError:
        # What is known by now is shown.
        pass
    return names


def _records(found: Sessions, names: dict[str, str] | None) -> list[dict[str, Any]]:
    records = [output.fields(entry, FIELDS) for entry in found.entries]
    if names is not None:
        for record in records:
            record["resolved_name"] = names.get(canonical_client(record["client_name"] or ""))
    return records


def _bare(record: dict[str, Any]) -> dict[str, Any]:
    """A record with the client as other programs write it, `10.0.0.7` or `fe80::7`, behind what the server listed."""
    listed = record["client_name"]
    bare = None if listed is None else listed.lstrip("\\/")
    if bare is not None and bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    of_node = {"node": record["node"]} if "node" in record else {}
    return {**of_node, "client_name": listed, "client": bare, **record}


def session_table(entries: Sequence[SessionInfo], names: dict[str, str] | None = None) -> Iterator[str]:
    """The table of NET SESSION; with `names`, one more column behind it."""
    rows = [_cells(entry, names) for entry in entries]
    header, columns = (HEADER, COLUMNS[:-1]) if names is None else (f"{HEADER:<81}Name", COLUMNS)
    nodes = [_nodes(entry) for entry in entries]
    if any(nodes):
        # Of the client's type, which hardly any server tells, there is no room beside the node.
        header, columns = header[:44] + header[62:], (*columns[:2], *(_to_the_left(each, 18) for each in columns[3:]))
        header, columns = with_nodes(header, columns, nodes, narrower=1, spare=18)
        rows = [[node, *cells[:2], *cells[3:]] for node, cells in zip(nodes, rows, strict=True)]
    yield from table(header, columns, rows, output.terminal_columns())


def _to_the_left(column: Column, places: int) -> Column:
    return replace(column, start=column.start - places)


def _nodes(entry: SessionInfo) -> str:
    """The node of a session, or the nodes of those that are shown as one; "" without any."""
    return entry.node or ",".join(getattr(entry, "nodes", ()))


def _cells(entry: SessionInfo, names: dict[str, str] | None) -> list[str]:
    cells = [
        unc_client(entry.client_name or ""),
        "-" if entry.user_name is None else entry.user_name,
        entry.client_type or "",
        number(entry.num_opens),
        duration(entry.idle_time),
    ]
    return cells if names is None else [*cells, names.get(canonical_client(entry.client_name or ""), "")]


def blocks(entries: Sequence[SessionInfo], names: dict[str, str] | None = None) -> Iterator[str]:
    """One block of labels and values for each session, a blank line behind each."""
    for entry in entries:
        computer = (entry.client_name or "").lstrip("\\")
        if name := (names or {}).get(canonical_client(computer)):
            computer = f"{computer} ({name})"
        guest = None if entry.user_flags is None else bool(entry.user_flags & SESS_GUEST)
        pairs = [
            *([("Node", entry.node)] if entry.node is not None else []),
            ("User name", "-" if entry.user_name is None else entry.user_name),
            ("Computer", computer),
            ("Guest logon", yes_no(guest)),
            ("Client type", entry.client_type or ""),
            ("Sess time", duration(entry.active_time)),
            ("Idle time", duration(entry.idle_time)),
        ]
        yield from block([*pairs, *_details(entry)], LABEL_WIDTH)
        yield ""


def _details(entry: SessionInfo) -> Iterator[tuple[str, str]]:
    """What the Server of this machine says beyond MS-SRVS."""
    for label, name in (
        ("Address", "address"),
        ("Dialect", "dialect"),
        ("Signing", "signing"),
        ("Encryption", "encryption"),
    ):
        value = getattr(entry, name, None)
        if value is not None:
            # Neither signing nor encryption is something to say in a word, not with an empty place.
            yield label, str(value) or "none"
    channels: list[str] = getattr(entry, "channels", None) or []
    if len(channels) > 1:
        signing: list[str] = getattr(entry, "channel_signing", None) or [""] * len(channels)
        parts = [f"{address} ({by})" if by else address for address, by in zip(channels, signing, strict=False)]
        yield "Connections", f"{len(channels)}: {', '.join(parts)}"


def connection_table(connections: Sequence[ConnectionInfo]) -> Iterator[str]:
    """The lines of NET SESSION's table of the shares that a client uses."""
    rows = [[entry.net_name or "", _kind(entry.type), number(entry.num_opens)] for entry in connections]
    header, columns = CONNECTIONS_HEADER, CONNECTION_COLUMNS
    if any(entry.node for entry in connections):
        header, columns = with_nodes(header, columns, [entry.node for entry in connections], narrower=0)
        rows = [[entry.node or "", *cells] for entry, cells in zip(connections, rows, strict=True)]
    yield from table_lines(header, columns, rows, output.terminal_columns(), between=[])


def _kind(share_type: int | None) -> str:
    return "-" if share_type is None else SHARE_TYPES.get(share_type & 0x0FFFFFFF, "")


# --- ending


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
        invocation.emit_json(server, ended=[_bare(record) for record in records])
    else:
        for record, one in zip(records, all_results, strict=True):
            record["others"] = "; ".join(other.user_name or "nobody" for other in one.others)
        output.emit_csv(
            records, [*invocation.columns(FIELDS), "outcome", "reason", "error", "message", "note", "others"]
        )
