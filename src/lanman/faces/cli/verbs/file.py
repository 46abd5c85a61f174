"""`lanman file`: what is open through a Server service, one open file in detail, and its end.

The layout is that of NET FILE. Rules:

  - IDs name files themselves, so closing them asks nothing. What filters choose is listed, asked about and then closed.
  - A list and the closing use one connection each, with the question in between. A server may give an ID anew: the
    Manager closes an ID only while it means the file that was listed.
  - Each file gets its own result, in the order of the list. Work that is broken off reports what was closed by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import net_option, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument, option
from lanman.faces.cli.planning import dry_run_option, show_plan
from lanman.faces.cli.progress import Progress
from lanman.faces.cli.selecting import client_filter, path_filter, user_filter
from lanman.faces.dialect import DialectError
from lanman.faces.text import (
    MAY_BE_KEPT,
    Column,
    block,
    escape,
    kept_for,
    number,
    shorten,
    shorten_path,
    table,
    with_nodes,
)
from lanman.manage import orders
from lanman.manage.watching.clients import owner_unknown
from lanman.records import FileInfo
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from lanman.manage.manager import FileCloseResult, Manager
    from lanman.manage.orders.plan import Plan

HEADER: Final = "ID         Path                                    User name            # Locks"
COLUMNS: Final[tuple[Column, ...]] = (
    Column(0, 10),
    Column(11, 39, fitted=shorten_path),
    Column(51, 20, fitted=shorten),
    Column(72, None),
)
LABEL_WIDTH: Final = 17
FIELDS: Final = "id path user_name num_locks permissions"
# What a client may cache of its file, and for whom it is kept, and until when, where a connection was lost.
TOLD_HERE: Final = ("oplock", "lease", "lease_key", "durable", "owner", "expires_at")

# MS-SRVS 2.2.4.7 has the first three; the others are the ACCESS_ bits of lmaccess.h, which servers send as well.
PERMISSIONS: Final = (
    (0x1, "READ"),
    (0x2, "WRITE"),
    (0x4, "CREATE"),
    (0x8, "EXECUTE"),
    (0x10, "DELETE"),
    (0x20, "ATTRIBUTES"),
    (0x40, "PERMISSIONS"),
)


@verb(
    "file",
    summary="list the open files, show one, close one",
    aliases=("files",),
    syntax="lanman file [ID | ID... /CLOSE] [/CLOSE [/Y]] [--dry-run] [--path GLOB] [--user NAME] [--client NAME]",
    about=r"""
Lists the files, pipes and devices that are open through a Server service. With an ID, shows one; /CLOSE closes
it and removes its locks, and so for several IDs. The filters choose what is listed; with /CLOSE and no ID, all that
they choose is closed. What a list shows selects itself; a folder means the folder alone, FOLDER\* what lies below it.
Otherwise * and ? are patterns that match slashes as well, letter case does not count, and / means \ too.
--dry-run shows what would be closed and what that would cost, and closes nothing.
""",
    examples=r"""
lanman file -S fs1 --path '*.xlsx'  who has a workbook open
lanman file --path '\\fs1\data\a*'   a path as clients write it
lanman file 1140850707 /close       close one file
lanman file 12 13 /close            close two
lanman file --user bob /close       close what bob has open, after asking
""",
)
@argument("ids", many=True, shell_complete=completers.open_files)
@net_option("--close", is_flag=True, help="close it, or all that the filters choose")
@dry_run_option()
@option("--path", metavar="GLOB", callback=path_filter, help="only what has such a path")
@option(
    "--user",
    metavar="NAME",
    callback=user_filter,
    shell_complete=completers.users,
    help="only what this user has opened",
)
@option(
    "--client",
    metavar="NAME",
    callback=client_filter,
    shell_complete=completers.clients,
    help="only what was opened from this client",
)
def file(
    invocation: Invocation,
    ids: tuple[str, ...],
    close: bool,
    dry_run: bool,
    path: str | None,
    user: str | None,
    client: str | None,
) -> int | None:
    """List, show or close, as the words say. DialectError 3503 or 3510: words that do not go together."""
    filters = {"path": path, "user": user, "client": client}
    filtered = any(value is not None for value in filters.values())
    if dry_run and not close:
        raise DialectError(3510, hint="--dry-run goes with /CLOSE.")
    if ids:
        if filtered:
            raise DialectError(3510, hint="An ID names one file: give it without --path, --user and --client.")
        wanted = list(dict.fromkeys(map(file_id, ids)))
        if len(ids) > 1 and not close:
            raise DialectError(3503, hint="One file is shown at a time. Several IDs go with /CLOSE.")
        if dry_run:
            return plan_closing(invocation, lambda manager: _as_entries(wanted))
        if len(wanted) > 1:
            return close_listed(invocation, wanted)
        (close_one if close else show_one)(invocation, wanted[0])
        return None
    if close:
        if not filtered:
            raise DialectError(3503, hint="Say what to close: an ID, --path, --user or --client.")
        if dry_run:
            return plan_closing(invocation, lambda manager: manager.files(**filters), filters)
        return close_many(invocation, filters)
    show_files(invocation, filters)
    return None


def file_id(text: str) -> int:
    """A file's identification number. Raises DialectError 3960."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= 0xFFFFFFFF):
        raise DialectError(3960, hint=f"{text} is not a number as `lanman file` shows it in its first column.")
    return int(text)


def show_files(invocation: Invocation, filters: dict[str, Any]) -> None:
    """Print the files that the filters choose, as a table, JSON or CSV."""
    server, entries = asyncio.run(_files(invocation, filters))
    if invocation.format is Format.JSON:
        invocation.emit_json(server, files=[_as_json(entry) for entry in entries])
    elif invocation.format is Format.CSV:
        output.emit_csv([output.fields(entry, FIELDS) for entry in entries], invocation.columns(FIELDS))
    elif not entries:
        invocation.no_entries()
    else:
        output.emit(file_table(entries))
        invocation.success()


async def _files(invocation: Invocation, filters: dict[str, Any]) -> tuple[str, list[FileInfo]]:
    async with invocation.manager() as manager:
        entries = await manager.files(**filters)
        if invocation.format is Format.JSON:
            entries = await manager.detailed_files(entries)
        return manager.server, entries


def file_table(entries: Sequence[FileInfo]) -> Iterator[str]:
    """The lines of NET FILE's table, as wide as the terminal allows."""
    header, columns, rows = HEADER, COLUMNS, [_cells(entry) for entry in entries]
    if any(entry.node for entry in entries):
        header, columns = with_nodes(header, columns, [entry.node for entry in entries], narrower=1)
        rows = [[entry.node or "", *cells] for entry, cells in zip(entries, rows, strict=True)]
    yield from table(header, columns, rows, output.terminal_columns())


def _cells(entry: FileInfo) -> list[str]:
    user = "-" if entry.user_name is None else entry.user_name
    return [number(entry.id), entry.path or "", user, number(entry.num_locks)]


def show_one(invocation: Invocation, id: int) -> None:
    """Print one file in detail. Raises Win32Error 2314 (NERR_FileIdNotFound)."""

    async def ask() -> tuple[str, FileInfo]:
        async with invocation.manager() as manager:
            (entry,) = await manager.detailed_files([await manager.file(id)])
            return manager.server, entry

    server, entry = asyncio.run(ask())
    _show(invocation, server, entry)


def _show(invocation: Invocation, server: str, entry: FileInfo, **more: Any) -> None:
    if invocation.format is Format.JSON:
        invocation.emit_json(server, files=[_as_json(entry) | more])
    elif invocation.format is Format.CSV:
        output.emit_csv([output.fields(entry, FIELDS) | more], invocation.columns(FIELDS))
    else:
        output.emit(file_block(entry))
        invocation.success()


def _as_json(entry: FileInfo) -> dict[str, Any]:
    """A file for programs. What its client may cache, and for whom it is kept, is told by servers of this machine, and
    null elsewhere; times are RFC 3339."""
    record = dict.fromkeys(TOLD_HERE) | output.fields(entry, FIELDS)
    for name in ("opened_at", "expires_at"):
        if record.get(name) is not None:
            record[name] = rfc3339(record[name])
    order = dict.fromkeys([*FIELDS.split(), *record])
    return {name: record[name] for name in ("node", *order) if name in record}


def file_block(entry: FileInfo) -> Iterator[str]:
    """The lines of NET FILE's view of one file: labels and values."""
    pairs = [
        *([("Node", entry.node)] if entry.node is not None else []),
        ("File ID", number(entry.id)),
        ("User name", "-" if entry.user_name is None else entry.user_name),
        ("Locks", number(entry.num_locks)),
        ("Path", entry.path or ""),
        ("Permissions", permissions(entry.permissions)),
    ]
    if lease := getattr(entry, "lease", None):
        pairs.append(("Lease", f"{lease} {getattr(entry, 'lease_key', None) or ''}".rstrip()))
    elif oplock := getattr(entry, "oplock", None):
        pairs.append(("Oplock", escape(oplock)))
    if owner := getattr(entry, "owner", None):
        pairs.append(("Kept for", escape(kept_for(owner, getattr(entry, "expires_at", None), time.time()))))
    elif owner_unknown(entry.user_name, entry.path, owner):
        pairs.append(("Kept for", MAY_BE_KEPT))
    elif getattr(entry, "durable", None):
        pairs.append(("Durable", "yes"))
    return block(pairs, LABEL_WIDTH)


def permissions(mask: int | None) -> str:
    """The words for an access mask."""
    if mask is None:
        return "-"
    return " ".join(word for bit, word in PERMISSIONS if mask & bit)


def plan_closing(
    invocation: Invocation,
    chosen: Callable[[Manager], Awaitable[list[FileInfo]]],
    filters: Mapping[str, str | None] | None = None,
) -> int | None:
    """Show what would be closed, and what it would cost; close nothing. Gives the exit status."""

    async def ask() -> Plan:
        async with invocation.manager() as manager:
            return await orders.plan_files(manager, await chosen(manager))

    plan = asyncio.run(ask())
    if plan.targets or invocation.format is not Format.TABLE:
        show_plan(invocation, plan)
    elif filters is not None:
        return output.report(_nothing_chosen(filters))
    statuses = [output.report(missing.error) for missing in plan.missing.values()]
    return statuses[0] if statuses else None


async def _as_entries(ids: Sequence[int]) -> list[FileInfo]:
    return [FileInfo(id) for id in ids]


def close_one(invocation: Invocation, id: int) -> None:
    """Close the file of this number without asking, as NET does. Raises Win32Error 2314 (NERR_FileIdNotFound)."""

    async def close() -> tuple[str, FileInfo]:
        from lanman.faces.cli.deeds import Deeds

        async with invocation.manager() as manager:
            server, entry = manager.server, await manager.close_file(id)
        deeds = Deeds(invocation, "close")
        deeds.file(entry, None)
        await deeds.write()
        return server, entry

    server, entry = asyncio.run(close())
    if invocation.format is Format.TABLE:
        invocation.success()
    else:
        _show(invocation, server, entry, error=None)


def close_listed(invocation: Invocation, ids: Sequence[int]) -> int | None:
    """Close the files of these numbers. Each of them was named, so nothing is asked, as with one."""
    return _close_and_report(invocation, invocation.server, [FileInfo(id) for id in ids])


def close_many(invocation: Invocation, filters: dict[str, Any]) -> int | None:
    """Name the files that the filters choose, ask, and close them. Gives the exit status; an answer of No is 2."""
    server, entries = asyncio.run(_files(invocation, filters))
    if not entries:
        return output.report(_nothing_chosen(filters))
    if invocation.answer is None:
        invocation.say("".join(f"{line}\n" for line in [*file_table(entries), ""]))
    if not invocation.confirm("Do you want to continue this operation?", default=False):
        return output.EXIT_ERROR
    return _close_and_report(invocation, server, entries)


def _nothing_chosen(filters: Mapping[str, str | None]) -> LanmanError:
    what = ", ".join(f"{name} {value}" for name, value in filters.items() if value is not None)
    message = f"{what}: {codes.win32_text(codes.NERR_FileIdNotFound)}"
    hint = "`lanman file` lists what is open."
    if "..." in what:
        hint = "`...` stands for what a table had no room for: `lanman file ID` and --json show paths whole."
    return LanmanError(message, code=codes.NERR_FileIdNotFound, hint=hint)


def _close_and_report(invocation: Invocation, server: str | None, entries: list[FileInfo]) -> int | None:
    results: list[LanmanError | None] = []
    try:
        server = asyncio.run(_close(invocation, entries, results))
    except (KeyboardInterrupt, LanmanError) as broken_off:
        if results or isinstance(broken_off, KeyboardInterrupt):
            _report_broken_off(invocation, server, entries, results)
        raise
    if invocation.format is not Format.TABLE:
        _emit_closed(invocation, server, entries, results)
    failed = [(entry, error) for entry, error in zip(entries, results, strict=True) if error is not None]
    if not failed and invocation.format is Format.TABLE:
        invocation.success()
    statuses = []
    for entry, error in failed:
        if len(entries) > 1:
            output.complain([f"{_which(entry)}:"])
        statuses.append(output.report(error))
    if len(entries) > len(failed) > 0:
        output.complain([codes.message_text(3504), ""])
    return statuses[0] if statuses else None


async def _close(invocation: Invocation, entries: list[FileInfo], results: list[LanmanError | None]) -> str:
    """Close each, and go on when one fails; `results` gets an error or None for each as it happens.

    A number that has come to mean another file since the list was made is left alone. Of an entry with no more than its
    number, the rest is filled in. Gives the server's name.
    """
    from lanman.faces.cli.deeds import Deeds

    deeds = Deeds(invocation, "close")
    try:
        async with invocation.manager(long_work=True) as manager:
            with Progress("Closing files", len(entries)) as progress:

                def done(one: FileCloseResult) -> None:
                    entries[len(results)] = one.file
                    results.append(one.error)
                    deeds.file(one.file, one.error)
                    progress.advance()

                await manager.close_files(list(entries), done=done)
            return manager.server
    finally:
        await deeds.write()


def _report_broken_off(
    invocation: Invocation, server: str | None, entries: Sequence[FileInfo], results: Sequence[LanmanError | None]
) -> None:
    """Say which files were closed before somebody broke off the work."""
    if invocation.format is not Format.TABLE:
        cancelled = Win32Error(codes.ERROR_CANCELLED)
        return _emit_closed(invocation, server, entries, [*results, *[cancelled] * (len(entries) - len(results))])
    known = list(zip(entries, results, strict=False))
    for title, files in (
        ("These files were closed:", [entry for entry, error in known if error is None]),
        ("These files could not be closed:", [entry for entry, error in known if error is not None]),
        ("These files were not known to have been closed when the work was broken off:", entries[len(results) :]),
    ):
        if files:
            output.complain([title, "", *(f"    {_which(entry)}" for entry in files), ""])


def _emit_closed(
    invocation: Invocation, server: str | None, entries: Sequence[FileInfo], results: Sequence[LanmanError | None]
) -> None:
    records = [
        {**output.fields(entry, FIELDS), "error": None if error is None else error.code}
        for entry, error in zip(entries, results, strict=True)
    ]
    if invocation.format is Format.JSON:
        invocation.emit_json(server, closed=records)
    else:
        output.emit_csv(records, [*invocation.columns(FIELDS), "error"])


def _which(entry: FileInfo) -> str:
    at = f"{entry.node}: " if entry.node else ""
    return escape(at + ", ".join([str(entry.id), *([entry.path] if entry.path else [])]))
