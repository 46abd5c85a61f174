"""`lanman history forget`: deletes what is kept of a user or of a client, after saying how much that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.historyquery import opened_store
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError
from lanman.faces.text import escape
from lanman.manage.history.forgetting import Traces, delete_traces, traces_of

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation

MAX_NAMED: Final = 10
QUESTION: Final = "Do you want to delete this for good?"


def forget(
    invocation: Invocation, database: str | None, user: str | None, client: str | None, *, dry_run: bool
) -> int | None:
    """Show what there is, ask, and delete it. Gives the exit status; an answer of No is 2. Raises LanmanError.

    DialectError 3953: nobody is named.
    """
    if user is None and client is None:
        raise DialectError(3953, hint="Say of whom: --user NAME, --client NAME, or both for a user at a client.")
    found = asyncio.run(_look(invocation, database, user, client))
    if found.nothing:
        named = " at ".join(name for name in (user, client) if name is not None)
        raise LanmanError(
            f"nothing is kept of {named}",
            code=codes.ERROR_FILE_NOT_FOUND,
            hint="`lanman history user NAME` shows what is",
        )
    if dry_run:
        _report(invocation, found, "would be deleted")
        return None
    if invocation.answer is not True:
        invocation.say(f"{_sentence(found, 'would be deleted')}\n\n")
    if not invocation.confirm(QUESTION, default=False):
        return output.EXIT_ERROR
    _report(invocation, asyncio.run(_forget(invocation, database, user, client)), "were deleted")
    return None


async def _look(invocation: Invocation, database: str | None, user: str | None, client: str | None) -> Traces:
    async with opened_store(invocation, database) as store:
        return await traces_of(store, user=user, client=client)


async def _forget(invocation: Invocation, database: str | None, user: str | None, client: str | None) -> Traces:
    async with opened_store(invocation, database) as store:
        return await delete_traces(store, user=user, client=client)


def _report(invocation: Invocation, found: Traces, what: str) -> None:
    if invocation.format is Format.JSON:
        deleted = what == "were deleted"
        output.emit_json(None, deleted=deleted, names=list(found.names), rows=found.rows, deeds=found.deeds)
    elif invocation.format is Format.CSV:
        output.emit_csv([{"names": list(found.names), "rows": found.rows, "deeds": found.deeds}], Traces._fields)
    else:
        output.emit([_sentence(found, what), ""])


def _sentence(found: Traces, what: str) -> str:
    named = [escape(name) for name in found.names[:MAX_NAMED]]
    more = f" and {len(found.names) - MAX_NAMED} more names" if len(found.names) > MAX_NAMED else ""
    deeds = "" if not found.deeds else f" and {found.deeds:,} deeds"
    rows = f"{found.rows:,} rows of sessions and files (one for each day){deeds}"
    return f"Of {', '.join(named) or 'null sessions'}{more}: {rows} {what}."
