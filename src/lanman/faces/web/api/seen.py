"""What is seen of servers: `GET /servers`, and the lists `.../sessions`, `.../files` and `.../shares`.

The rules:

  - All of it comes from the pictures that viewers share (`lanman.faces.web.live.hub`); asking for it costs a server
    nothing, but for its limit, which is asked for now and then. `at` is the place in the stream that a list is of.
  - A list is of one moment, and is written in steps, so that one of many rows holds nobody up.
  - A server that is away is told as it was last seen, and that it is away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from lanman.errors import LanmanError, TimedOut
from lanman.faces.web.answers import SCHEMA, answer, refused_by
from lanman.faces.web.api import rowshapes
from lanman.faces.web.api.common import CLIENT, COUNT, PATH, TROUBLE, USER, WHEN
from lanman.faces.web.api.filtering import STEP, Wanted, chosen, sorts
from lanman.faces.web.api.routing import Asked, route
from lanman.faces.web.api.shapes import Shape, many, or_null, record, said, table, text, truth, whole, words
from lanman.faces.web.live.deltas import Shown, as_json
from lanman.faces.web.live.packed import json_stream
from lanman.manage.manager import ORDERS
from lanman.manage.watching.forms import instant, row_form
from lanman.manage.watching.rows import FileRow, Kind, Row
from lanman.settings import UNLIMITED

if TYPE_CHECKING:
    from starlette.responses import Response

    from lanman.faces.web.live.hub import Viewing
    from lanman.faces.web.people import Access

MOST: Final = 100_000
"""So many rows are given at once, at most."""

PATIENCE: Final = 2.0
"""For so many seconds the limits of servers are waited for; who has not told by then is told without."""

# --- servers

_STATE: Final = words(
    "up",
    "away",
    "denied",
    "login",
    doc="whether it answers; or it tells you nothing; or you have to log on there first",
)
_REFUSED: Final = table(TROUBLE, "by kind, why it does not tell these rows")

SERVER: Final = record(
    {
        "name": said(),
        "state": _STATE,
        "user": or_null(said("as whom you are logged on there")),
        "level": or_null(whole("the information level at which it tells its sessions")),
        "streamed": truth("whether it tells by itself what happens"),
        "kinds": many(words(*sorted(kind.value for kind in Kind)), "what it tells you"),
        "refused": _REFUSED,
        "asked_at": WHEN,
        "age": or_null(whole("how many seconds ago it was seen last")),
        "error": TROUBLE,
        "sessions": COUNT,
        "users": or_null(whole("how many users have sessions")),
        "files": or_null(whole("how many files are open")),
        "locks": COUNT,
        "shares": COUNT,
        "session_limit": or_null(whole("how many sessions it admits; null where it does not tell, or has no limit")),
        "capabilities": record({order: truth() for order in ORDERS}, "what you can order there"),
        "why": table(said(), "why not, for the others"),
    }
)


@route(
    "GET",
    "/servers",
    "The servers",
    answers={"at": said("the place in the stream that this is of"), "servers": many(SERVER)},
)
async def list_servers(asked: Asked) -> Response:
    """All servers that the console was given, those too where you have to log on first."""
    forms = await asyncio.gather(*(_server(asked, name) for name in asked.console.servers))
    return answer(at=asked.console.hub.numbers.place(), servers=forms)


@route("GET", "/servers/{server}", "One server", answers={"at": said(), "server": SERVER})
async def show_server(asked: Asked) -> Response:
    """As `GET /servers` has it."""
    asked.known(asked.named("server"))
    form = await _server(asked, asked.named("server"))
    return answer(at=asked.console.hub.numbers.place(), server=form)


_NOT_HERE: Final[dict[str, Any]] = {
    "state": "login",
    "user": None,
    "level": None,
    "streamed": False,
    "kinds": [],
    "refused": {},
    "asked_at": None,
    "error": None,
    "capabilities": dict.fromkeys(ORDERS, False),
}
_NOTHING: Final = dict.fromkeys(("age", "sessions", "users", "files", "locks", "shares", "session_limit"))


async def _server(asked: Asked, name: str) -> dict[str, Any]:
    access = asked.person.accesses.get(name)
    if access is None:
        return {"name": name, **_NOT_HERE, **_NOTHING, "why": dict.fromkeys(ORDERS, f"log on at {name} first")}
    viewing, limit = await asyncio.gather(asked.console.hub.join(asked.person, access), _limit(asked, access))
    return {"name": name, **_NOTHING, **viewing.form(), **_counts(asked, viewing), "session_limit": limit}


def _counts(asked: Asked, viewing: Viewing) -> dict[str, Any]:
    picture, shown = viewing.picture, viewing.shown
    if picture is None or picture.asked_at is None:
        return {}
    age = picture.age(asked.console.wall_clock())
    told = picture.kinds - picture.refused.keys()
    form: dict[str, Any] = {"age": None if age is None else int(age)}
    if Kind.SESSION in told:
        rows = shown.of(Kind.SESSION)
        form |= {"sessions": len(rows)}
        if picture.level != 0:
            form["users"] = len({getattr(row, "user_name", None) for row in rows.values()} - {None, ""})
    if Kind.FILE in told:
        files = [row for row in shown.of(Kind.FILE).values() if isinstance(row, FileRow)]
        form |= {"files": len(files)}
        if not any(row.num_locks is None for row in files):
            form["locks"] = sum(row.num_locks or 0 for row in files)
    if Kind.SHARE in told:
        form["shares"] = len(shown.of(Kind.SHARE))
    return form


async def _limit(asked: Asked, access: Access) -> int | None:
    """How many sessions a server admits, as far as it tells that in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            users = await asked.console.managers.limit(asked.person, access)
    except (LanmanError, TimeoutError):
        return None
    return None if users in (0, UNLIMITED) else users


# --- lists


def _list_of(kind: Kind, **filters: Shape) -> dict[str, Any]:
    """How a list is declared."""
    return {
        "query": {
            **filters,
            "q": text("words that a row has to have in it, parted by blanks", most=200),
            "sort": words(*sorts(kind), doc="the field to sort by, with `-` before it for the other direction"),
            "limit": whole("how many rows to give", 1, MOST),
            "after": text("go on behind the rows that were given: the `next` of the answer before"),
        },
        "answers": {
            "server": said(),
            "kind": words(kind.value),
            "at": said("the place in the stream that the list is of"),
            "state": _STATE,
            "error": TROUBLE,
            "asked_at": WHEN,
            "level": COUNT,
            "total": whole("how many rows there are"),
            "matching": whole("how many the filters select"),
            "next": or_null(said("what `after` is for the next rows; null where there are no more")),
            "rows": many(rowshapes.ROWS[kind]),
        },
    }


@route("GET", "/servers/{server}/sessions", "Its sessions", **_list_of(Kind.SESSION, user=USER, client=CLIENT))
async def list_sessions(asked: Asked) -> Response:
    """Without parameters all of them; what the filters select, the command `lanman session` does too."""
    return await _listed(asked, Kind.SESSION)


@route("GET", "/servers/{server}/files", "Its open files", **_list_of(Kind.FILE, user=USER, client=CLIENT, path=PATH))
async def list_files(asked: Asked) -> Response:
    """Without parameters all of them; what the filters select, the command `lanman file` does too. A file that may be
    open from several clients is meant by each of them."""
    return await _listed(asked, Kind.FILE)


@route("GET", "/servers/{server}/shares", "Its shares", **_list_of(Kind.SHARE))
async def list_shares(asked: Asked) -> Response:
    """All of them, hidden ones too."""
    return await _listed(asked, Kind.SHARE)


async def viewing_of(asked: Asked, access: Access) -> Viewing:
    """What a person is shown of a server. Raises LanmanError where that is nothing, or nothing is known yet."""
    viewing = await asked.console.hub.join(asked.person, access)
    if viewing.state == "denied" or viewing.picture is None or viewing.picture.asked_at is None:
        raise viewing.error or TimedOut(f"{access.server} has not answered yet", hint="ask again in a moment")
    return viewing


async def is_told_all(asked: Asked, access: Access) -> bool:
    """Whether the server tells a person its sessions, with their users, and its open files now: others' names in what
    the console itself keeps are for those alone. Raises LanmanError where that is not known."""
    picture = (await viewing_of(asked, access)).picture
    assert picture is not None
    told = picture.kinds - picture.refused.keys()
    return {Kind.SESSION, Kind.FILE} <= told and picture.level != 0


async def _listed(asked: Asked, kind: Kind) -> Response:
    access = asked.access()
    wanted = Wanted.of(asked.query, kind)
    viewing = await viewing_of(asked, access)
    if (refused := viewing.refused(kind)) is not None:
        raise refused_by(refused)
    # From here to the copy nothing else runs: the rows are those of this place in the stream.
    at, shown, picture, form = viewing.at, viewing.shown, viewing.picture, viewing.form()
    rows = dict(shown.of(kind))
    assert picture is not None
    shares = shown.of(Kind.SHARE).values()
    async with asyncio.timeout(asked.console.settings.timeout):
        found = await chosen(rows, wanted, shares)
    head = {
        "schema": SCHEMA,
        "server": access.server,
        "kind": kind.value,
        "at": at,
        "state": form["state"],
        "error": form["error"],
        "asked_at": instant(picture.asked_at),
        "level": picture.level,
        "total": len(rows),
        "matching": found.matching,
        "next": found.next,
    }
    return json_stream(_written(head, found.rows, shown, kind), asked.request.headers.get("accept-encoding"))


async def _written(head: dict[str, Any], rows: list[tuple[str, Row]], shown: Shown, kind: Kind) -> AsyncIterator[bytes]:
    yield f'{json.dumps(head)[:-1]}, "rows": ['.encode()
    between = ""
    for start in range(0, len(rows), STEP):
        now = shown.of(kind)
        # What is kept of a row's text is that of the row as it is now.
        texts = [
            shown.text(key, row) if now.get(key) is row else as_json(row_form(row))
            for key, row in rows[start : start + STEP]
        ]
        yield (between + ",\n".join(texts)).encode("utf-8", "backslashreplace")
        between = ",\n"
        await asyncio.sleep(0)
    yield b"]}"
