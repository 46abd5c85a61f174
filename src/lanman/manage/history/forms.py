"""What history answers, for programs: the same fields in JSON, in an export, and wherever else they leave a program.

Times are RFC 3339 in UTC (`..._at`), durations are seconds, what is not known is None, what has a fixed set of values
is a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lanman.manage.history.records import Answer, Count, Deed, GapRecord, Holder, Stats, Stay, Watched
from lanman.shown import rfc3339

# Bits of what is granted that let one change a file: PERM_FILE_WRITE and PERM_FILE_CREATE of MS-SRVS 2.2.2.4, which as
# an access mask are FILE_WRITE_DATA and FILE_APPEND_DATA.
WRITING: Final = 0x6

# fmt: off
STAY_FIELDS: Final = (
    "server", "kind", "user_name", "client_name", "client_how", "candidates", "address", "path", "share", "access",
    "writes", "level", "begun_at", "begun_slack", "begun_how", "ended_at", "ended_slack", "why",
)
# fmt: on
"""The fields of a stay that are one value each, in their order; `ended_by` is an object beside them."""

DEED_FIELDS: Final = ("who", "verb", "plan", "detail", "done_at")
"""Of what ended a stay, each as `ended_by_...` where there are no objects."""

GAP_FIELDS: Final = ("server", "begun_at", "ended_at", "why", "detail")
WATCHED_FIELDS: Final = ("server", "since_at", "seen_at", "every", "paths")


def stay_form(stay: Stay, at: int | None = None) -> dict[str, Any]:
    """A stay. With `at`, also whether it was `certain` to be there in that second."""
    form = {name: _value(stay, name) for name in STAY_FIELDS}
    form["ended_by"] = None if stay.ended_by is None else deed_form(stay.ended_by)
    if at is not None:
        form["certain"] = stay.is_certain_at(at)
    return form


def stay_row(stay: Stay) -> dict[str, Any]:
    """A stay as a row of single values, for tables."""
    deed = stay.ended_by
    row = {name: _value(stay, name) for name in STAY_FIELDS}
    row["candidates"] = "|".join(stay.candidates) or None
    for name in DEED_FIELDS:
        row[f"ended_by_{name}"] = None if deed is None else deed_form(deed)[name]
    return row


ROW_FIELDS: Final = (*STAY_FIELDS, *(f"ended_by_{name}" for name in DEED_FIELDS))
"""The fields of `stay_row`."""


NUMBERS: Final = frozenset({"access", "level", "begun_slack", "ended_slack"})
TRUTHS: Final = frozenset({"writes"})
"""The fields of `stay_row` that are numbers, and those that are true or false; all others are texts and times."""


def writes(stay: Stay) -> bool | None:
    """Whether a file was open for writing; None where that is not known, and for a session."""
    return None if stay.access is None else stay.access & WRITING != 0


def _value(stay: Stay, name: str) -> Any:
    if name == "kind":
        return stay.kind.value
    if name == "writes":
        return writes(stay)
    value = getattr(stay, name)
    if name.endswith("_at"):
        return rfc3339(value)
    if name.endswith("_how"):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def deed_form(deed: Deed) -> dict[str, Any]:
    """Something that was done."""
    form = deed._asdict()
    del form["at"]
    return {**form, "done_at": rfc3339(deed.at)}


def gap_form(gap: GapRecord) -> dict[str, Any]:
    """A time in which a server was not seen."""
    return {
        "server": gap.server,
        "begun_at": rfc3339(gap.begun_at),
        "ended_at": rfc3339(gap.ended_at),
        "why": gap.why.value,
        "detail": gap.detail or None,
    }


def count_form(count: Count) -> dict[str, Any]:
    """How many were there at a time."""
    return {"at": rfc3339(count.at), "sessions": count.sessions, "files": count.files}


def watched_form(watched: Watched) -> dict[str, Any]:
    """A server of which something was recorded."""
    return {
        "server": watched.server,
        "since_at": rfc3339(watched.since),
        "seen_at": rfc3339(watched.seen_at),
        "every": watched.every,
        "paths": watched.paths,
    }


def holder_form(holder: Holder) -> dict[str, Any]:
    """Who holds a role."""
    return {"role": holder.role, "host": holder.host, "process": holder.pid, "since_at": rfc3339(holder.since)}


def answer_form(answer: Answer, at: int | None = None) -> dict[str, Any]:
    """An answer: `stays`, the `gaps` that it touches, `watched`; `complete` where there are none of the gaps."""
    return {
        "complete": answer.complete,
        "more": answer.more,
        "watched": [watched_form(each) for each in answer.watched],
        "gaps": [gap_form(each) for each in answer.gaps],
        "stays": [stay_form(each, at) for each in answer.stays],
    }


def stats_form(stats: Stats) -> dict[str, Any]:
    """What a database holds."""
    counts = ("size", "stays", "open_stays", "persons", "paths", "gaps", "deeds")
    return {
        "database": stats.url,
        "database_schema": stats.schema,  # `schema` is that of the JSON
        **{name: getattr(stats, name) for name in counts},
        "oldest_at": rfc3339(stats.oldest_at),
        "newest_at": rfc3339(stats.newest_at),
        "watched": [watched_form(each) for each in stats.watched],
        "holders": [holder_form(each) for each in stats.holders],
    }


def merged(answers: Sequence[Answer], *, limit: int | None = None, newest_first: bool = False) -> Answer:
    """Some answers as one, about each of their servers, in the order in which one answer is."""
    stays = sorted(
        (stay for answer in answers for stay in answer.stays),
        key=lambda stay: (stay.begun_at, stay.id),
        reverse=newest_first,
    )
    more = any(answer.more for answer in answers)
    if limit is not None and len(stays) > limit:
        more = True
        stays = stays[:limit] if newest_first else stays[-limit:]
    gaps = [gap for answer in answers for gap in answer.gaps]
    return Answer(stays, gaps, [each for answer in answers for each in answer.watched], more)
