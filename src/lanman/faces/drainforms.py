"""What happens in a drain, for programs: the same fields in `lanman drain --json` and wherever else they leave one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanman.manage.watching.keys import FileKey, SessionKey
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from lanman.manage.drain.machine import Event, Holder
    from lanman.manage.drain.shell import DrainResult


def event_form(event: Event, server: str, started: float) -> dict[str, Any]:
    """One event of a drain that began at `started` (seconds since 1970)."""
    holder = event.holder
    form: dict[str, Any] = {
        "phase": event.phase.value,
        "t": round(event.at - started, 3),
        "happened_at": rfc3339(event.at),
        "server": server,
        "key": None if holder is None else holder_key(holder),
        "outcome": event.what.value,
        "cost": None if holder is None or event.told is not None else holder.cost.value,
        "told": event.told,
        "message": event.message or None,
    }
    if event.holders or event.what.value in ("left", "finished"):
        form["left"] = [holder_form(each) for each in event.holders]
    return form


def result_form(result: DrainResult, server: str) -> dict[str, Any]:
    """How a drain ended."""
    return {
        "server": server,
        "verdict": result.verdict.value,
        "cordon": result.cordoned,
        "paused": result.paused,
        "left": [
            {**holder_form(holder), "reason": reason or None}
            for holder, reason in zip(result.left, result.reasons, strict=True)
        ],
    }


def holder_key(holder: Holder) -> str:
    """What a session or a file is known by."""
    if holder.path is not None:
        return str(FileKey(holder.id, holder.path, holder.user_name))
    begun = None if holder.begun is None else round(holder.begun)
    return str(SessionKey(holder.client_name, holder.user_name, begun))


def holder_form(holder: Holder) -> dict[str, Any]:
    """A session or a file that a drain counts."""
    common = {"user_name": holder.user_name, "cost": holder.cost.value, "cost_why": holder.why or None}
    if holder.path is not None:
        return {"key": holder_key(holder), "id": holder.id, "path": holder.path, "owner": holder.owner, **common}
    return {
        "key": holder_key(holder),
        "client_name": holder.client_name,
        "num_opens": holder.num_opens,
        "begun_at": rfc3339(holder.begun),
        **common,
        "is_own": holder.is_own,
    }
