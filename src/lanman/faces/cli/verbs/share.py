"""`lanman share`: what a Server service shares, one share in detail, and shares that come, change and go.

The layout is that of NET SHARE. Rules:

  - `NAME=DIR` adds, options alone change, `/DELETE` removes, a bare name shows. `DIR` belongs to the server: a relative
    one is completed only where this machine's own Server is meant.
  - Names are checked here, by the rules of MS-SRVS, before a server is asked.
  - `/DELETE` asks where files are open, or where the server does not tell. The question is asked between two
    connections, since a person may take long.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value, net_option, number, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, argument
from lanman.faces.cli.planning import dry_run_option, show_plan
from lanman.faces.dialect import DialectError
from lanman.faces.text import Column, block, escape, fit, shorten_path, table, width, with_nodes
from lanman.manage import orders
from lanman.manage.answers import Part
from lanman.names import MAX_SHARE_NAME, NOT_IN_A_SHARE_NAME
from lanman.records import ConnectionInfo, ShareInfo

if TYPE_CHECKING:
    from lanman.manage.manager import Manager
    from lanman.manage.orders.plan import Outcome, Plan

T = TypeVar("T")

HEADER: Final = "Share name   Resource                        Remark"
COLUMNS: Final[tuple[Column, ...]] = (
    Column(0, 12, own_line=True),
    Column(13, 31, fitted=shorten_path),
    Column(45, None),
)
LABEL_WIDTH: Final = 18
VALUE_WIDTH: Final = 79 - LABEL_WIDTH
FIELDS: Final = "name type path remark max_users current_users flags guest unavailable"
UNLIMITED: Final = 0xFFFFFFFF

# MS-SRVS 2.2.4.29: the bits of SHARE_INFO_1005 that say what clients may keep offline.
CSC_MASK: Final = 0x30
CACHING: Final = {
    0x00: "Manual caching of documents",
    0x10: "Automatic caching of documents",
    0x20: "Automatic caching of programs and documents",
    0x30: "Caching disabled",
}

# What lanman's own Server says of a share that lets guests in.
GUESTS: Final = {"read": "May read", "write": "May read and write"}


def remark_text(parameter: Parameter, text: str | None) -> str | None:
    """A remark, on one line and not too long for a share. Raises DialectError 3952."""
    from lanman.settings import MAX_COMMENT

    if text is not None and (len(text) > MAX_COMMENT or not text.isprintable()):
        raise bad_value(parameter, f"A remark is at most {MAX_COMMENT} characters on one line.")
    return text


@verb(
    "share",
    summary="list the shares, show one",
    aliases=("shares",),
    syntax="""
lanman share [NAME]
lanman share NAME=DIR [/REMARK:"text"] [/USERS:n | /UNLIMITED]
lanman share NAME [/REMARK:"text"] [/USERS:n | /UNLIMITED]
lanman share {NAME | DIR} /DELETE [/Y] [--dry-run]
""",
    about="""
Lists what a Server service shares, hidden shares included; shows one share and who uses it; shares a folder of
the server, changes a share or stops sharing. What is changed outlives the Server. /USERS is how many may use the share
at once. /DELETE closes what is open there; with --dry-run it shows what that is and what it would cost, and does
nothing.
""",
    examples="""
lanman share                                    what is shared
lanman share docs=/srv/docs /remark:"For all"   share a folder of this machine
lanman share docs /users:5                      let five use it at once
lanman share docs /delete                       stop sharing it
""",
)
@argument("name", required=False, shell_complete=completers.shares)
@net_option("--delete", is_flag=True, help="stop sharing; without /Y it asks where files are open")
@net_option("--remark", metavar='"text"', callback=remark_text, help="what people are told of the share")
@net_option(
    "--users",
    metavar="n",
    callback=number(1, 0x7FFFFFFF, "It is a number, at least 1; /UNLIMITED is no limit."),
    help="how many may use the share at once",
)
@net_option("--unlimited", is_flag=True, help="any number may")
@dry_run_option()
def share(
    invocation: Invocation,
    name: str | None,
    delete: bool,
    remark: str | None,
    users: int | None,
    unlimited: bool,
    dry_run: bool,
) -> int | None:
    """List, show, add, change or delete, as the words say. DialectError 3510 or 3953: they do not go together."""
    if users is not None and unlimited:
        raise DialectError(3510, hint="Give one of /USERS and /UNLIMITED.")
    if dry_run and not delete:
        raise DialectError(3510, hint="--dry-run goes with /DELETE.")
    if name == "":
        raise DialectError(3953, hint="The name of the share is empty.")
    changes = (remark, users) != (None, None) or unlimited
    max_users = 0 if unlimited else users
    if delete or changes or (name is not None and "=" in name):
        invocation.require_single("share NAME ...")
    if name is None or (delete and ("=" in name or changes)):
        if delete or changes:
            raise DialectError(3953, hint="Name one share: lanman share NAME ...")
        show_shares(invocation)
    elif delete and dry_run:
        show_plan(invocation, asyncio.run(_do(invocation, lambda manager: _planned(manager, name)))[1])
    elif delete:
        return delete_share(invocation, name)
    elif "=" in name:
        new, _, folder = name.partition("=")
        add_share(invocation, new, folder, remark or "", max_users or 0)
    elif changes:
        set_share(invocation, name, remark, max_users)
    else:
        show_share(invocation, name)
    return None


def _record_of(entry: ShareInfo, problems: Mapping[str, str]) -> dict[str, object]:
    return ({} if entry.node is None else {"node": entry.node}) | record(entry, problems)


# --- changing


def add_share(invocation: Invocation, name: str, folder: str, remark: str, max_users: int) -> None:
    """Share a folder of the server; `max_users` 0 is no limit. DialectError 3953: the name cannot be one."""
    if name and not name.strip(". "):
        raise DialectError(
            3953, hint="Dots and spaces alone are no share's name: clients take them for a place in a path."
        )
    if not 1 <= len(name) <= MAX_SHARE_NAME or set(NOT_IN_A_SHARE_NAME) & set(name) or not name.isprintable():
        characters = "".join(sorted(NOT_IN_A_SHARE_NAME))
        raise DialectError(
            3953, hint=f"A share's name has 1 to {MAX_SHARE_NAME} characters, none of them in {characters}"
        )
    if not folder:
        raise DialectError(3953, hint=f"Name the folder: lanman share {name}=DIR")
    # Only here is it known where a relative path begins.
    path = os.path.abspath(folder) if invocation.server is None and invocation.credentials is None else folder

    async def work(manager: Manager) -> None:
        await manager.add_share(name, path, remark=remark, max_users=max_users)

    _report(invocation, "shared", name, codes.message_text(4656, escape(name)), asyncio.run(_do(invocation, work)))


def set_share(invocation: Invocation, name: str, remark: str | None, max_users: int | None) -> None:
    """Change what is not None of a share; `max_users` 0 is no limit."""

    async def work(manager: Manager) -> None:
        await manager.set_share(name, remark=remark, max_users=max_users)

    _report(invocation, "changed", name, None, asyncio.run(_do(invocation, work)))


def delete_share(invocation: Invocation, name: str) -> int | None:
    """Stop sharing what has this name or folder, after asking where something is open. Gives the exit status."""

    async def work(manager: Manager) -> tuple[Plan, Outcome | None]:
        """The plan, and what became of the share where nothing has to be asked."""
        plan = await _planned(manager, name, costs=False)
        try:
            opens = sum(one.num_opens or 0 for one in await manager.connections(_planned_name(plan)))
        except LanmanError:
            # Samba does not tell. Better one question too many.
            opens = None
        if opens == 0 or invocation.answer is True:
            return plan, (await orders.run(manager, plan))[0]
        return plan, None

    server, (plan, outcome) = asyncio.run(_do(invocation, work))
    found = _planned_name(plan)
    if outcome is None:
        if invocation.answer is None:
            invocation.say(f"{codes.message_text(3688, escape(found))}\n\n")
        if not invocation.confirm("Do you want to continue this operation?", default=False):
            return output.EXIT_ERROR
        # A person has been thinking: a new connection, with all of its time.
        outcome = asyncio.run(_do(invocation, lambda manager: orders.run(manager, plan)))[1][0]
    if outcome.error is not None:
        return output.report(outcome.error)
    _report(invocation, "deleted", found, codes.message_text(4650, escape(found)), (server, found))
    return None


async def _planned(manager: Manager, name: str, *, costs: bool = True) -> Plan:
    return await orders.plan_share(manager, await _named(manager, name), costs=costs)


def _planned_name(plan: Plan) -> str:
    record = plan.targets[0].record
    assert isinstance(record, ShareInfo)
    return record.netname or ""


async def _named(manager: Manager, name: str) -> str:
    """The name of the share that is meant by its name, or by its folder."""
    if "/" not in name and "\\" not in name:
        return (await manager.share(name)).netname or name
    folder = name.rstrip("/\\")
    paths = (folder, f"C:{folder}".replace("/", "\\"))
    found = [one.netname for one in await manager.shares() if one.netname and (one.path or "").rstrip("/\\") in paths]
    if len(found) > 1:
        raise Win32Error(
            codes.ERROR_DUP_NAME, f"{name}: is shared as {', '.join(map(escape, found))}", hint="name one of the shares"
        )
    if found and folder:
        return found[0]
    raise Win32Error(codes.NERR_NetNameNotFound, f"{name}: {codes.win32_text(codes.NERR_NetNameNotFound)}")


async def _do(invocation: Invocation, work: Callable[[Manager], Awaitable[T]]) -> tuple[str, T]:
    async with invocation.manager() as manager:
        return manager.server, await work(manager)


def _report(invocation: Invocation, what: str, name: str, line: str | None, done: tuple[str, object]) -> None:
    if invocation.format is Format.JSON:
        output.emit_json(done[0], **{what: [name]})
    elif invocation.format is Format.TABLE:
        if line is None:
            output.success()
        else:
            output.emit([line, ""])


# --- showing


def record(entry: ShareInfo, problems: Mapping[str, str]) -> dict[str, object]:
    """A share for programs, by the names of FIELDS. Its password and security descriptor are left out."""
    return {
        "name": entry.netname,
        "type": entry.type,
        "path": entry.path,
        "remark": entry.remark,
        "max_users": None if entry.max_uses == UNLIMITED else entry.max_uses,
        "current_users": entry.current_uses,
        "flags": entry.flags,
        "guest": None if (guest := _guest(entry)) is None else guest or False,
        "unavailable": problems.get(entry.netname or ""),
    }


def show_shares(invocation: Invocation) -> None:
    """Print the shares, hidden ones included."""

    async def ask() -> tuple[str, list[ShareInfo], dict[str, str]]:
        async with invocation.manager() as manager:
            return manager.server, await manager.shares(), await manager.share_problems()

    server, entries, problems = asyncio.run(ask())
    if invocation.format is Format.JSON:
        invocation.emit_json(server, shares=[_record_of(entry, problems) for entry in entries])
    elif invocation.format is Format.CSV:
        output.emit_csv([_record_of(entry, problems) for entry in entries], invocation.columns(FIELDS))
    elif not entries:
        invocation.no_entries()
    else:
        output.emit(share_table(entries, problems))
        invocation.success()


def share_table(entries: Sequence[ShareInfo], problems: Mapping[str, str]) -> Iterator[str]:
    """The table of NET SHARE; a name too long for its column stands on a line of its own. Why a share cannot be used
    stands in place of its remark."""
    rows = []
    for entry in entries:
        name = entry.netname or ""
        remark = f"Unavailable: {problems[name]}" if name in problems else entry.remark or ""
        rows.append([name, entry.path or "", remark])
    header, columns = HEADER, COLUMNS
    if any(entry.node for entry in entries):
        header, columns = with_nodes(header, columns, [entry.node for entry in entries], narrower=1)
        rows = [[entry.node or "", *cells] for entry, cells in zip(entries, rows, strict=True)]
    yield from table(header, columns, rows, output.terminal_columns())


def show_share(invocation: Invocation, name: str) -> None:
    """Print one share, and who uses it where the server tells. Raises Win32Error 2310 (NERR_NetNameNotFound)."""
    server, parts = asyncio.run(_one_share(invocation, name))
    for node, (entry, connections, _) in parts:
        entry.node = node or None
        for connection in connections:
            connection.node = node or None
    records = [_record_of(entry, problems) for _, (entry, _, problems) in parts]
    if invocation.format is Format.JSON:
        listed = [output.fields(connection) for _, (_, connections, _) in parts for connection in connections]
        invocation.emit_json(server, shares=records, connections=listed)
    elif invocation.format is Format.CSV:
        output.emit_csv(records, invocation.columns(FIELDS))
    else:
        for _, (entry, connections, problems) in parts:
            output.emit(share_block(entry, connections, problems.get(entry.netname or "")))
            output.emit([""])
        invocation.success()


OneShare = tuple[ShareInfo, list[ConnectionInfo], dict[str, str]]


async def _one_share(invocation: Invocation, name: str) -> tuple[str, list[Part[OneShare]]]:
    """A share and who uses it, at each node that has it."""

    async def ask(manager: Manager) -> OneShare | Win32Error:
        try:
            entry = await manager.share(name)
        except Win32Error as error:
            if error.code != codes.NERR_NetNameNotFound:
                raise
            return error
        try:
            connections = await manager.connections(entry.netname or name)
        except LanmanError:
            # Who uses it is for administrators; the share itself is for everybody.
            connections = []
        return entry, connections, await manager.share_problems()

    async with invocation.manager() as manager:
        answers = (await manager.each(ask)).parts
        found = [Part(part.node, part.answer) for part in answers if not isinstance(part.answer, Win32Error)]
        if not found:
            assert isinstance(answers[0].answer, Win32Error)
            raise answers[0].answer
        return manager.server, found


def share_block(entry: ShareInfo, connections: Sequence[ConnectionInfo], problem: str | None = None) -> Iterator[str]:
    """The lines of NET SHARE's view of one share; `problem` says why it cannot be used at present."""
    if entry.max_uses is None:
        users = "-"
    else:
        users = "No limit" if entry.max_uses == UNLIMITED else str(entry.max_uses)
    names = [connection.user_name for connection in connections if connection.user_name]
    lines = _wrapped(names)
    pairs = [
        *([("Node", entry.node)] if entry.node is not None else []),
        ("Share name", entry.netname or ""),
        ("Path", entry.path or ""),
        ("Remark", entry.remark or ""),
        ("Maximum users", users),
        ("Users", lines[0]),
        *(("", line) for line in lines[1:]),
    ]
    if entry.flags is not None:
        pairs.append(("Caching", CACHING[entry.flags & CSC_MASK]))
    if guest := _guest(entry):
        pairs.append(("Guests", GUESTS[guest]))
    if problem:
        pairs.append(("Unavailable", problem))
    return block(pairs, LABEL_WIDTH)


def _guest(entry: ShareInfo) -> str | None:
    """What guests may do: "", "read" or "write"; None where that is not known: lanman's own Server tells it here."""
    return getattr(entry, "guest", None)


def _wrapped(names: Sequence[str]) -> list[str]:
    """Names on lines, each in a column of 21 as NET has them, at least one line."""
    lines = [""]
    for name in names:
        if lines[-1] and width(lines[-1]) + max(width(name), 20) > VALUE_WIDTH:
            lines.append("")
        lines[-1] += fit(name, max(width(name), 20)) + " "
    return [line.rstrip() for line in lines]
