"""Who was there: `GET /history/...`, where the console was given a database of history.

The rules:

  - A person reads the history of one server at a time, and only of one that tells them its sessions, with their users,
    and its open files by now: who may not see them now does not see those of yesterday. Of other servers nothing is
    told, not even that they were recorded.
  - What the recorder did not see is a gap, and is said; a point of a series that lies in one is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.faces.web.answers import Refused, answer
from lanman.faces.web.api.common import CLIENT, COUNT, HOW, NAME, NAMES, PATH, SERVER, TIME, USER, WHEN
from lanman.faces.web.api.routing import Asked, bad_request, route
from lanman.faces.web.api.seen import is_told_all
from lanman.faces.web.api.shapes import Shape, many, moment, or_null, record, said, shown, truth, whole, words
from lanman.manage.history import forms
from lanman.manage.history.records import GapWhy

if TYPE_CHECKING:
    from starlette.responses import Response

    from lanman.manage.history.records import Answer
    from lanman.manage.history.store import Store

MOST: Final = 10_000
LIMIT: Final = 200
MOST_POINTS: Final = 1000
POINTS: Final = 200
LONGEST: Final = 366 * 86400
"""How many seconds a series may be about."""

_DEED: Final = record(
    {
        "server": said(),
        "who": said(),
        "verb": said(),
        "outcome": said(),
        "target": NAME,
        "client_name": NAME,
        "user_name": NAME,
        "path": NAME,
        "plan": NAME,
        "told": NAME,
        "detail": NAME,
        "done_at": WHEN,
    }
)
_STAY: Final[Mapping[str, Shape]] = {
    "server": said(),
    "kind": words("session", "file"),
    "user_name": NAME,
    "client_name": NAME,
    "client_how": HOW,
    "candidates": NAMES,
    "address": NAME,
    "path": NAME,
    "share": NAME,
    "access": COUNT,
    "writes": or_null(truth()),
    "level": COUNT,
    "begun_at": WHEN,
    "begun_slack": whole("for how many seconds after `begun_at` it may have begun"),
    "begun_how": HOW,
    "ended_at": WHEN,
    "ended_slack": whole("how many seconds before `ended_at` it may have ended"),
    "why": or_null(said("why it ended")),
    "ended_by": or_null(_DEED),
    "certain": truth("whether it was certainly there at that time"),
}
_GAP: Final = record(
    {
        "server": said(),
        "begun_at": WHEN,
        "ended_at": WHEN,
        "why": words(*(why.value for why in GapWhy)),
        "detail": NAME,
    },
    "a time in which the server was not seen",
)
_WATCHED: Final = record(
    {"server": said(), "since_at": WHEN, "seen_at": WHEN, "every": COUNT, "paths": truth()},
    "what is recorded of the server: since when, when it was seen last, how often it is asked",
)
ANSWER: Final[Mapping[str, Shape]] = {
    "complete": truth("whether no gap is touched"),
    "more": truth("whether there is more than was asked for; what is given is the newest"),
    "watched": many(_WATCHED),
    "gaps": many(_GAP),
    "stays": many(record(_STAY, optional=("certain",))),
}
_LIMIT: Final = whole("how many to give, the newest", 1, MOST)
_SINCE_UNTIL: Final = {"since": TIME, "until": TIME}


async def _store(asked: Asked) -> tuple[Store, str]:
    """The database, and the name of the server whose history this person may read. Raises Refused 403."""
    access = asked.access()
    store = await asked.console.history.store()
    if not await is_told_all(asked, access):
        raise Refused(
            HTTPStatus.FORBIDDEN,
            f"{access.server} does not tell you its sessions, their users and its open files now",
            code=codes.ERROR_ACCESS_DENIED,
            hint="its history is for those alone whom it does",
        )
    return store, access.server


def _time(asked: Asked, name: str) -> int | None:
    """A time of the query in seconds since 1970; None where it is not given. Raises Refused 400."""
    text = asked.query.get(name)
    if text is None:
        return None
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII):
        try:
            return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
        except (ValueError, OverflowError):
            pass  # no day of a calendar
    raise bad_request(f"{name} is {shown(text)}, which is no time", "write it as 2026-11-25T14:05:00Z")


def _span(asked: Asked) -> tuple[int | None, int | None]:
    since, until = _time(asked, "since"), _time(asked, "until")
    if since is not None and until is not None and until < since:
        raise bad_request("until is before since")
    return since, until


def _answered(found: Answer, at: int | None = None) -> Response:
    return answer(**forms.answer_form(found, at))


_FILTERS: Final = {"server": SERVER, "path": PATH, "user": USER, "client": CLIENT}


def _filters(asked: Asked) -> dict[str, str]:
    return {name: asked.query[name] for name in ("path", "user", "client") if name in asked.query}


@route(
    "GET",
    "/history/at",
    "Who was there at a time",
    query={**_FILTERS, "at": TIME},
    needs=("server", "at"),
    answers=ANSWER,
    refusals=(404, 501),
)
async def at(asked: Asked) -> Response:
    """Sessions and files in that second; with a `path` the files of that path."""
    time = _time(asked, "at")
    assert time is not None
    store, server = await _store(asked)
    async with asked.console.history.within():
        return _answered(await store.at(time, server=server, **_filters(asked)), time)


@route(
    "GET",
    "/history/between",
    "Who was there in a time",
    query={**_FILTERS, **_SINCE_UNTIL, "limit": _LIMIT},
    needs=("server", "since", "until"),
    answers=ANSWER,
    refusals=(404, 501),
)
async def between(asked: Asked) -> Response:
    """At any moment of it; the oldest first."""
    since, until = _span(asked)
    assert since is not None
    assert until is not None
    store, server = await _store(asked)
    limit = asked.query.get("limit", MOST)
    async with asked.console.history.within():
        return _answered(await store.between(since, until, server=server, limit=limit, **_filters(asked)))


def _about(name: str, shape: Shape) -> dict[str, Any]:
    return {
        "query": {"server": SERVER, name: shape, **_SINCE_UNTIL, "limit": _LIMIT},
        "needs": ("server", name),
        "answers": ANSWER,
        "refusals": (404, 501),
    }


async def _newest(asked: Asked, name: str) -> Response:
    since, until = _span(asked)
    store, server = await _store(asked)
    ask = {"path": store.who, "user": store.by_user, "client": store.by_client}[name]
    limit = asked.query.get("limit", LIMIT)
    async with asked.console.history.within():
        return _answered(await ask(asked.query[name], since=since, until=until, server=server, limit=limit))


@route("GET", "/history/who", "Who had a file open", **_about("path", PATH))
async def who(asked: Asked) -> Response:
    r"""The newest first. `path` is the server's own, a pattern, or `\\server\share\path`."""
    return await _newest(asked, "path")


@route("GET", "/history/user", "What a user did", **_about("user", USER))
async def by_user(asked: Asked) -> Response:
    """Sessions and files, the newest first."""
    return await _newest(asked, "user")


@route("GET", "/history/client", "What was done from a client", **_about("client", CLIENT))
async def by_client(asked: Asked) -> Response:
    """Sessions, and files that are or may be open from there, the newest first."""
    return await _newest(asked, "client")


@route(
    "GET",
    "/history/gaps",
    "When a server was not seen",
    query={"server": SERVER, **_SINCE_UNTIL},
    needs=("server",),
    answers={"gaps": many(_GAP)},
    refusals=(404, 501),
)
async def gaps(asked: Asked) -> Response:
    """The oldest first; those that last, too."""
    since, until = _span(asked)
    store, server = await _store(asked)
    async with asked.console.history.within():
        found = await store.gaps(since, until, server=server)
    return answer(gaps=[forms.gap_form(each) for each in found])


@route(
    "GET",
    "/history/series",
    "How many were there, over a time",
    query={"server": SERVER, **_SINCE_UNTIL, "points": whole("how many points at most", 2, MOST_POINTS)},
    needs=("server", "since", "until"),
    answers={
        "server": said(),
        "step": whole("how many seconds there are from one point to the next"),
        "points": many(
            record(
                {"at": moment(), "sessions": COUNT, "files": COUNT},
                "how many were there in that second; null where the server was not seen",
            )
        ),
        "gaps": many(_GAP),
    },
    refusals=(404, 501),
)
async def series(asked: Asked) -> Response:
    """For charts: how many sessions and open files there were, at times that are equally far apart."""
    since, until = _span(asked)
    assert since is not None
    assert until is not None
    if until - since > LONGEST:
        raise bad_request(f"that is more than {LONGEST // 86400} days", "ask for a shorter time")
    store, server = await _store(asked)
    step = max(1, -(-(until - since) // (asked.query.get("points", POINTS) - 1)))
    async with asked.console.history.within():
        counts = await store.counts(since, until, step, server=server)
        missed = await store.gaps(since, until, server=server)
    return answer(
        server=server,
        step=step,
        points=[forms.count_form(each) for each in counts],
        gaps=[forms.gap_form(each) for each in missed],
    )
