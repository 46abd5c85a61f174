"""`lanman share`: what a Server service shares, and one share in detail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import click

from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.options import Call, verb
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError
from lanman.faces.text import Column, block, fit, row, shorten_path, table, width
from lanman.records import ConnectionInfo, ShareInfo

HEADER: Final = "Share name   Resource                        Remark"
COLUMNS: Final = (Column(0, 12), Column(13, 31), Column(45, None))
LABEL_WIDTH: Final = 18
VALUE_WIDTH: Final = 79 - LABEL_WIDTH
FIELDS: Final = "name type path remark max_users current_users flags"
UNLIMITED: Final = 0xFFFFFFFF

# MS-SRVS 2.2.4.29: the bits of SHARE_INFO_1005 that say what clients may keep offline.
CSC_MASK: Final = 0x30
CACHING: Final = {
    0x00: "Manual caching of documents",
    0x10: "Automatic caching of documents",
    0x20: "Automatic caching of programs and documents",
    0x30: "Caching disabled",
}


@verb(
    "share",
    syntax="lanman share [NAME]",
    about="Lists what a Server service shares, hidden shares included, or shows one share and who uses it.",
)
@click.argument("name", required=False)
def share(call: Call, name: str | None) -> None:
    if name is None:
        return show_shares(call)
    if "=" in name:
        hint = "Shares are named under [shares.NAME] in server.toml, or given to `lanman serve`."
        raise DialectError(3953, hint=hint)
    return show_share(call, name)


def record(entry: ShareInfo) -> dict[str, object]:
    """A share for programs. A password and a security descriptor are nobody's business here."""
    return {
        "name": entry.netname,
        "type": entry.type,
        "path": entry.path,
        "remark": entry.remark,
        "max_users": None if entry.max_uses == UNLIMITED else entry.max_uses,
        "current_users": entry.current_uses,
        "flags": entry.flags,
    }


def show_shares(call: Call) -> None:
    async def ask() -> tuple[str, list[ShareInfo]]:
        async with call.manager() as manager:
            return manager.server, await manager.shares()

    server, entries = asyncio.run(ask())
    if call.format is Format.JSON:
        output.emit_json(server, shares=[record(entry) for entry in entries])
    elif call.format is Format.CSV:
        output.emit_csv([record(entry) for entry in entries], FIELDS.split())
    elif not entries:
        output.no_entries()
    else:
        output.emit(share_table(entries))
        output.success()


def share_table(entries: Sequence[ShareInfo]) -> Iterator[str]:
    """The table of NET SHARE; a name too long for its column stands on a line of its own."""
    rows: list[str] = []
    for entry in entries:
        name = entry.netname or ""
        if width(name) > 12:
            rows.append(row((Column(0, None),), [name]))
            name = ""
        rows.append(row(COLUMNS, [name, shorten_path(entry.path or "", 31), entry.remark or ""]))
    yield from table(HEADER, rows)


def show_share(call: Call, name: str) -> None:
    async def ask() -> tuple[str, ShareInfo, list[ConnectionInfo]]:
        async with call.manager() as manager:
            entry = await manager.share(name)
            try:
                connections = await manager.connections(entry.netname or name)
            except LanmanError:
                # Who uses it is for administrators; the share itself is for everybody.
                connections = []
            return manager.server, entry, connections

    server, entry, connections = asyncio.run(ask())
    if call.format is Format.JSON:
        listed = [output.fields(connection) for connection in connections]
        output.emit_json(server, shares=[record(entry)], connections=listed)
    elif call.format is Format.CSV:
        output.emit_csv([record(entry)], FIELDS.split())
    else:
        output.emit(share_block(entry, connections))
        output.emit([""])
        output.success()


def share_block(entry: ShareInfo, connections: Sequence[ConnectionInfo]) -> Iterator[str]:
    if entry.max_uses is None:
        users = "-"
    else:
        users = "No limit" if entry.max_uses == UNLIMITED else str(entry.max_uses)
    names = [connection.user_name for connection in connections if connection.user_name]
    lines = _wrapped(names)
    pairs = [
        ("Share name", entry.netname or ""),
        ("Path", entry.path or ""),
        ("Remark", entry.remark or ""),
        ("Maximum users", users),
        ("Users", lines[0]),
        *(("", line) for line in lines[1:]),
    ]
    if entry.flags is not None:
        pairs.append(("Caching", CACHING[entry.flags & CSC_MASK]))
    return block(pairs, LABEL_WIDTH)


def _wrapped(names: Sequence[str]) -> list[str]:
    """Names on lines, each in a column of 21 as NET has them, at least one line."""
    lines = [""]
    for name in names:
        if lines[-1] and width(lines[-1]) + max(width(name), 20) > VALUE_WIDTH:
            lines.append("")
        lines[-1] += fit(name, max(width(name), 20)) + " "
    return [line.rstrip() for line in lines]
