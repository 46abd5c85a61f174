"""What became of an order, as history keeps it: who did what to whom on which server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from lanman.records import FileInfo, SessionInfo

if TYPE_CHECKING:
    from lanman.errors import LanmanError
    from lanman.manage.drain.machine import Event
    from lanman.manage.history.records import Deed
    from lanman.manage.orders.plan import Outcome


class Doer(NamedTuple):
    """Who does something, to which server (as history calls it), and what: `end`, `close`, `drain`."""

    who: str
    server: str
    verb: str


def deed_of_outcome(doer: Doer, one: Outcome) -> Deed | None:
    """What became of one target of a plan; None for a share."""
    record = one.target.record
    if not isinstance(record, SessionInfo | FileInfo):
        return None
    detail = None if one.error is None else one.error.message
    return deed(doer, one.what.value, str(one.target.key), record, detail)


def deed_of_file(doer: Doer, entry: FileInfo, error: LanmanError | None) -> Deed:
    """What became of one file that was to be closed."""
    from lanman.manage.watching.keys import file_key

    outcome = "done" if error is None else "failed"
    return deed(doer, outcome, str(file_key(entry)), entry, None if error is None else error.message)


def deed_of_event(doer: Doer, event: Event) -> Deed | None:
    """What a drain does to somebody; None for what it only sees."""
    holder, what = event.holder, event.what.value
    outcome = {"ended": "done", "failed": "failed", "spared": "spared"}.get(what)
    if holder is None or outcome is None:
        return None
    from lanman.faces.drainforms import holder_key

    record: SessionInfo | FileInfo
    if holder.path is not None:
        record = FileInfo(holder.id, path=holder.path, user_name=holder.user_name)
    else:
        record = SessionInfo(holder.client_name, holder.user_name)
    return deed(doer, outcome, holder_key(holder), record, event.message or None, event.at)


def deed(
    doer: Doer, outcome: str, key: str, record: SessionInfo | FileInfo, detail: str | None, at: float | None = None
) -> Deed:
    """Something that was done to a session or a file, `at` a time in seconds since 1970; None is now."""
    from lanman.manage.history.records import Deed

    return Deed(
        int(time.time() if at is None else at),
        record.node or doer.server,
        doer.who,
        doer.verb,
        outcome,
        key,
        None if isinstance(record, FileInfo) else record.client_name,
        record.user_name,
        record.path if isinstance(record, FileInfo) else None,
        detail=detail,
    )
