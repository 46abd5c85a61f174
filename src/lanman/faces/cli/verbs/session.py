"""`lanman session`: the sessions of a Server service, one client's in detail, and their end.

The layout is that of NET SESSION. Rules (those of an end stand in `lanman.faces.cli.sessionends`):

  - What is shown, asked about and ended is always one `Selection`; the Manager filters what the server does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import LateOption, net_option, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument, option
from lanman.faces.cli.planning import dry_run_option, include_mine_option
from lanman.faces.cli.selecting import client_filter, client_name, user_filter
from lanman.faces.cli.sessions import FIELDS, Selection, bare
from lanman.faces.dialect import DialectError
from lanman.faces.text import (
    Column,
    block,
    duration,
    number,
    shorten,
    shorten_client,
    table,
    table_lines,
    with_nodes,
    yes_no,
)
from lanman.manage.manager import Manager, Sessions
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
@argument("computer", required=False, shell_complete=completers.clients)
@net_option("--delete", is_flag=True, help="end the sessions; without /Y it asks where files are open")
@net_option("--list", "as_list", is_flag=True, help="blocks in place of a table")
@option(
    "--client",
    metavar="NAME",
    callback=client_filter,
    shell_complete=completers.clients,
    help="only this client: a name or an address",
)
@option(
    "--user",
    metavar="NAME",
    callback=user_filter,
    shell_complete=completers.users,
    help="only the sessions of this user",
)
@option("--null-sessions", is_flag=True, help="only null sessions: anonymous log-ons")
@net_option("--with-others", "--withothers", is_flag=True, help="let those end too whom the server ends along")
@include_mine_option()
@dry_run_option()
@option("--resolve", is_flag=True, help="look up the names of addresses, and show them beside")
@option("--merge", cls=LateOption, is_flag=True, help="one row for each client and user, of all nodes")
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
            from lanman.faces.cli.sessionends import Wish, end_sessions

            return end_sessions(invocation, selection, Wish(with_others, include_mine, dry_run))
        show_sessions(invocation, selection, as_list=as_list, resolve=resolve, merge=merge)
    except LanmanError as error:
        if error.code in _NO_SERVER_HERE:
            error.hint = "; ".join([*filter(None, [error.hint]), *selection.server_hint(invocation.server)]) or None
        raise
    return None


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
        parts: dict[str, Any] = {"level": found.level, "sessions": [bare(one) for one in _records(found, names)]}
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
