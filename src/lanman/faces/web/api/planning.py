"""Orders: a plan first, that does nothing, and then its run. Nothing else changes anything.

The rules:

  - Sessions and files are named by the keys of rows that were listed; what is no longer as it was listed is left out,
    and where that is everything, the plan is refused (409).
  - Nothing is meant by an empty list, and a key that is none is refused.
  - The server says at once what it cannot do (501), and this console who may give no orders (403).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.web.answers import Refused, answer
from lanman.faces.web.api.common import COST, COUNT, MAX_NAME, NAME, TROUBLE, WHEN
from lanman.faces.web.api.routing import Asked, bad_request, route
from lanman.faces.web.api.seen import viewing_of
from lanman.faces.web.api.shapes import (
    Shape,
    anything,
    chosen_by,
    many,
    number,
    or_null,
    record,
    said,
    shown,
    text,
    truth,
    whole,
    words,
)
from lanman.faces.web.plans import drains, service, shares, targets
from lanman.faces.web.plans.kept import LASTS, Kept, State
from lanman.faces.web.plans.work import NothingToDo, Work
from lanman.manage.drain.machine import End, Verdict
from lanman.manage.manager import ORDERS
from lanman.manage.orders.plan import Reason, Verb, What
from lanman.manage.selection import check_filters
from lanman.manage.watching.rows import FileRow, Row, SessionRow, ShareRow

if TYPE_CHECKING:
    from starlette.responses import Response

    from lanman.faces.web.live.hub import Viewing
    from lanman.faces.web.people import Access

MAX_TARGETS: Final = 10_000
MAX_COMMENT: Final = 48
"""A remark and a comment have so many characters (MS-SRVS 3.1.4.7, 3.1.4.18)."""
MAX_USERS: Final = 0xFFFFFFFE

# --- what is asked for

_KEY: Final = text("the `key` of a row, as it was listed", most=8192)
_KEYS: Final = many(_KEY, "the keys of the rows that are meant", least=1, most=MAX_TARGETS, unique=True)
_ONE: Final = many(_KEY, "the key of the share", least=1, most=1)
_NONE: Final = many(_KEY, "none: it is the server that is meant", most=0)
_REMARK: Final = text("what it is for", least=0, most=MAX_COMMENT)
_LIMIT: Final = whole("how many may use it at once; 0 for no limit", 0, MAX_USERS)


def _time(doc: str, most: float = drains.LONGEST) -> Shape:
    return number(f"{doc}, in seconds", 0, most)


_SHARE: Final = record(
    {
        "action": words("add", "change", "delete"),
        "targets": many(_KEY, "the key of the share that is changed or deleted, alone", most=1),
        "name": text("what the new share is called", most=80),
        "path": text("the folder on the server that is shared, `/srv/data` or `C:\\srv\\data`"),
        "remark": _REMARK,
        "max_users": _LIMIT,
    },
    optional=("targets", "name", "path", "remark", "max_users"),
)
_SET: Final = record(
    {
        "targets": _NONE,
        "comment": text("the server's comment", least=0, most=MAX_COMMENT),
        "autodisconnect": whole(
            "after how many idle minutes a session without open files ends; -1 is never", -1, 65535
        ),
        "hidden": truth("whether it is hidden from lists of servers"),
    },
    optional=("targets", "comment", "autodisconnect", "hidden"),
)
_DRAIN: Final = record(
    {
        "targets": _NONE,
        "share": text("only what is open in this share", most=80),
        "path": text("only what is open by these paths, as they are listed"),
        "warn": _time("how long people are told before anybody is ended"),
        "message": text("what they are told, in place of a sentence with the time", most=2000),
        "grace": _time("how long those with open files have after that"),
        "timeout": _time("how long it may take"),
        "end": words(*(end.value for end in End), doc="who is ended after the grace"),
        "quiet_for": _time("for how long nobody must have been seen"),
        "cordon": truth("whether the server is paused meanwhile"),
        "keep_paused": truth("whether it stays paused whatever happens"),
    },
    optional=(
        *("targets", "share", "path", "warn", "message", "grace", "timeout", "end", "quiet_for", "cordon"),
        "keep_paused",
    ),
)
_SERVICE: Final = record({"targets": _NONE}, optional=("targets",))
ORDER: Final = chosen_by(
    "verb",
    {
        "end": record({"targets": _KEYS}),
        "close": record({"targets": _KEYS}),
        "share": _SHARE,
        "set": _SET,
        "pause": _SERVICE,
        "continue": _SERVICE,
        "drain": _DRAIN,
    },
    "what is ordered",
)
VERBS: Final = ("end", "close", "share", "set", "pause", "continue", "drain")

# --- what is answered

_NOTED: Final = or_null(said("something that one would not expect"))
ROW: Final = record(
    {
        "number": whole("its place among the rows, by which outcomes name it"),
        "kind": words("session", "file", "share", "setting", "service"),
        "key": said("the key that was asked for"),
        "cost": COST,
        "cost_why": said(),
        "is_own": truth("whether it may be the session that gives the orders: it is spared"),
        "is_console": truth("whether it may be another session of this console"),
        "num_bystanders": whole("how many others would end with it"),
        "node": said(),
        "client_name": NAME,
        "user_name": NAME,
        "num_opens": COUNT,
        "active_time": COUNT,
        "idle_time": COUNT,
        "begun_at": WHEN,
        "id": COUNT,
        "path": NAME,
        "num_locks": COUNT,
        "permissions": COUNT,
        "netname": NAME,
        "name": said(),
        "remark": NAME,
        "max_users": COUNT,
        "current_uses": COUNT,
        "action": words("add", "change", "delete"),
        "before": said("what it is now") | {"type": ["string", "integer", "boolean", "object", "null"]},
        "after": said("what it will be") | {"type": ["string", "integer", "boolean"]},
    },
    optional=(
        *("node", "client_name", "user_name", "num_opens", "active_time", "idle_time", "begun_at", "id", "path"),
        *("num_locks", "permissions", "netname", "name", "remark", "max_users", "current_uses", "action", "before"),
        "after",
    ),
)
LEFT_OUT: Final = record(
    {
        "key": said("the key that was asked for"),
        "kind": said(),
        "client_name": NAME,
        "user_name": NAME,
        "id": COUNT,
        "path": NAME,
        "why": said("why it is no part of the plan"),
    }
)
BYSTANDER: Final = record(
    {
        "node": said(),
        "client_name": NAME,
        "user_name": NAME,
        "num_opens": COUNT,
        "is_console": truth("whether it may be a session of this console, which would log on again"),
    },
    optional=("node",),
)
OUTCOME: Final = record(
    {
        "number": whole("of the row"),
        "key": said(),
        "kind": said(),
        "outcome": words(*(what.value for what in What)),
        "reason": or_null(words(*(reason.value for reason in Reason), doc="why it was spared")),
        "error": COUNT,
        "message": NAME,
        "hint": NAME,
        "note": _NOTED,
    }
)
PLAN: Final[Mapping[str, Shape]] = {
    "plan": said("its id"),
    "server": said(),
    "verb": words(*VERBS),
    "state": words(*(state.value for state in State)),
    "expires_in": whole(f"for how many seconds it can be run, {LASTS:.0f} at first"),
    "rows": many(ROW, "what would happen, in order"),
    "bystanders": many(BYSTANDER, "who would end too without being meant; they are spared without `with_others`"),
    "left_out": many(LEFT_OUT, "what was asked for and is no longer as it was looked at"),
    "grave": truth("whether many would end, or unsaved work may be lost"),
    "confirm": or_null(said("what has to be typed for that reason: the server's name")),
    "confirm_with_others": or_null(said("what has to be typed where the bystanders end too")),
    "can_stop": truth("whether its run may be stopped"),
    "outcomes": many(OUTCOME, "what became of the rows so far"),
    "events": many(anything(), "what has happened so far in a drain, as `lanman drain --json` has it"),
    "verdict": or_null(words(*(verdict.value for verdict in Verdict), doc="how a drain ended")),
    "error": TROUBLE,
    "note": _NOTED,
}


def form_of(asked: Asked, kept: Kept) -> dict[str, Any]:
    """A plan, and what became of it so far."""
    plans, work = asked.console.plans, kept.work
    grave, with_others = work.is_grave(with_others=False), work.is_grave(with_others=True)
    return {
        "plan": kept.id,
        "server": kept.server,
        "verb": kept.verb,
        "expires_in": plans.expires_in(kept) if kept.state is State.PLANNED else 0,
        "rows": list(work.rows),
        "bystanders": list(work.bystanders),
        "left_out": list(work.left_out),
        "grave": grave,
        "confirm": kept.server if grave else None,
        "confirm_with_others": kept.server if with_others else None,
        "can_stop": work.can_stop,
        "outcomes": [kept.outcomes[number] for number in sorted(kept.outcomes)],
        "events": list(kept.events),
        **plans.progress(kept),
    }


# --- making one


@route(
    "POST",
    "/servers/{server}/plans",
    "Plan an order",
    body=ORDER,
    answers=PLAN,
    status=201,
    refusals=(403, 409, 429, 501),
)
async def make(asked: Asked) -> Response:
    """Asks the server what the order would do, with the rights of who asks, and does nothing. The plan can be run for a
    minute, by whoever made it."""
    access, verb = asked.access(), asked.body["verb"]
    asked.console.plans.check_may_order(asked.person, access)
    viewing = await viewing_of(asked, access)
    _check_can(viewing, "pause" if verb == "continue" else verb)
    try:
        with asked.console.plans.making(asked.person):
            async with asyncio.timeout(asked.console.settings.timeout * _QUESTIONS):
                work = await _MAKERS[verb](asked, access, viewing.row)
    except NothingToDo as error:
        raise _conflict(error) from None
    except Win32Error as error:
        if error.code in _CONFLICTS:
            raise _conflict(error) from None
        raise
    kept = asked.console.plans.keep(asked.person, access, verb, work)
    return answer(HTTPStatus.CREATED, **form_of(asked, kept))


def _check_can(viewing: Viewing, order: str) -> None:
    """Raise Refused 501 for an order that the server cannot carry out, 403 for one that this person cannot give."""
    assert order in ORDERS
    why = viewing.form()["why"].get(order)
    if why is None:
        return
    if viewing.poll is not None and order in viewing.poll.cannot:
        raise Refused(
            HTTPStatus.NOT_IMPLEMENTED, f"{viewing.server} cannot do that: {why}", code=codes.ERROR_NOT_SUPPORTED
        )
    raise Refused(HTTPStatus.FORBIDDEN, f"{viewing.server}: {why}", code=codes.ERROR_ACCESS_DENIED)


_QUESTIONS: Final = 5
"""How many questions to the server a plan takes at most."""

_CONFLICTS: Final = frozenset({codes.ERROR_BUSY, codes.NERR_DuplicateShare, codes.NERR_NetNameNotFound})


def _conflict(error: LanmanError) -> Refused:
    return Refused(HTTPStatus.CONFLICT, error.message, code=error.code, hint=error.hint)


Row_ = Callable[[str], Row | None]


def _looked_at(asked: Asked, row: Row_, kind: type[Row], word: str) -> dict[str, Any]:
    """The rows that are named, None for those that have gone. Raises Refused 400 for a key that is none of that kind,
    409 where none of them is there any more."""
    found: dict[str, Any] = {}
    for key in asked.body["targets"]:
        if not key.startswith(f"{word}:"):
            raise bad_request(f"{shown(key)} is no key of a {word}", "take the `key` of a row as it was listed")
        one = row(key)
        found[key] = one if isinstance(one, kind) else None
    if not any(one is not None for one in found.values()):
        raise Refused(
            HTTPStatus.CONFLICT,
            "nothing of what is meant is listed any more",
            code=codes.ERROR_NOT_FOUND,
            hint="look at the list again",
        )
    return found


async def _end_or_close(asked: Asked, access: Access, row: Row_) -> Work:
    verb = Verb(asked.body["verb"])
    rows = _looked_at(asked, row, *((SessionRow, "session") if verb is Verb.END else (FileRow, "file")))
    users = [user for user in asked.console.connected.at(access.server) if user]
    async with access.opening() as manager:
        work = await targets.looked_at(verb, manager, rows, users, asked.console.wall_clock)
    if not work.rows:
        why = "; ".join(dict.fromkeys(one["why"] for one in work.left_out))
        raise Refused(
            HTTPStatus.CONFLICT,
            f"nothing of what is meant is as it was looked at: {why}",
            code=codes.ERROR_BUSY,
            hint="look at the list again",
        )
    return work


async def _share(asked: Asked, access: Access, row: Row_) -> Work:
    body, action = asked.body, asked.body["action"]
    given = set(body) - {"verb", "action"}
    if action == "add":
        _only(given, {"name", "path"}, {"remark", "max_users"}, action, empty=body.get("targets") == [])
        work = shares.Add(body["name"], body["path"], body.get("remark", ""), body.get("max_users", 0))
        async with access.opening() as manager:
            await work.check(manager)
        return work
    _only(given, {"targets"}, {"remark", "max_users"} if action == "change" else set(), action)
    if not body["targets"]:
        raise bad_request("targets is empty: it would mean nothing, or everything", "name the share that is meant")
    (looked,) = _looked_at(asked, row, ShareRow, "share").values()
    if action == "delete":
        async with access.opening() as manager:
            return await shares.deletion(manager, looked)
    if len(given) == 1:
        raise bad_request("neither remark nor max_users is given: there is nothing to change")
    change = shares.Change(looked, body.get("remark"), body.get("max_users"))
    async with access.opening() as manager:
        await change.check(manager)
    return change


def _only(given: set[str], needed: set[str], possible: set[str], action: str, *, empty: bool = False) -> None:
    if missing := sorted(needed - given):
        raise bad_request(f"{missing[0]} is missing, to {action} a share")
    if more := sorted(given - needed - possible - ({"targets"} if empty else set())):
        raise bad_request(f"{more[0]} has no meaning, to {action} a share")


async def _set(asked: Asked, access: Access, row: Row_) -> Work:
    wanted = {name: asked.body[name] for name in service.MEMBERS if name in asked.body}
    if not wanted:
        raise bad_request("nothing is to be set", f"there are {', '.join(service.MEMBERS)}")
    async with access.opening() as manager:
        return await service.settings(manager, wanted)


async def _pause(asked: Asked, access: Access, row: Row_) -> Work:
    async with access.opening() as manager:
        return await service.pausing(manager, pauses=asked.body["verb"] == "pause")


async def _drain(asked: Asked, access: Access, row: Row_) -> Work:
    if "message" in asked.body and not asked.body.get("warn"):
        raise bad_request("message is what people are told: give warn too")
    if asked.body.get("timeout") == 0:
        raise bad_request("timeout is 0: nothing would be done")
    check_filters(path=asked.body.get("path"))
    console = asked.console
    place = console.plans.place(asked.person, access)
    return await drains.draining(place, asked.body, lambda: console.connected.at(access.server))


_MAKERS: Final[Mapping[str, Callable[[Asked, Access, Row_], Awaitable[Work]]]] = {
    "end": _end_or_close,
    "close": _end_or_close,
    "share": _share,
    "set": _set,
    "pause": _pause,
    "continue": _pause,
    "drain": _drain,
}


# --- running it


@route(
    "GET",
    "/plans",
    "Your plans",
    answers={"plans": many(record({name: PLAN[name] for name in ("plan", "server", "verb", "state", "can_stop")}))},
)
async def list_plans(asked: Asked) -> Response:
    """Those that you made, and runs of others that you may stop; the newest first."""
    plans = asked.console.plans.of(asked.person)
    return answer(
        plans=[
            {
                "plan": kept.id,
                "server": kept.server,
                "verb": kept.verb,
                "state": kept.state.value,
                "can_stop": kept.work.can_stop,
            }
            for kept in plans
        ]
    )


@route("GET", "/plans/{plan}", "A plan, and what became of it", answers=PLAN, refusals=(403, 404))
async def show(asked: Asked) -> Response:
    """It is kept for a quarter of an hour after its end."""
    return answer(**form_of(asked, asked.console.plans.find(asked.person, asked.named("plan"))))


_RUNNING: Final = {"plan": said(), "state": PLAN["state"]}
_RUN: Final = record(
    {
        "confirm": or_null(text("the server's name, where the plan wants it typed", least=0, most=MAX_NAME)),
        "with_others": truth("whether bystanders may end too; they are spared otherwise"),
    },
    optional=("confirm", "with_others"),
)


@route(
    "POST",
    "/plans/{plan}/run",
    "Run a plan",
    body=_RUN,
    answers=_RUNNING,
    status=202,
    refusals=(403, 404, 409, 410),
)
async def run(asked: Asked) -> Response:
    """Begins to run it; what becomes of each row is told in the stream of events (`plan`), and by `GET /plans/{plan}`.
    Each target is read again right before its order, and spared where it is not as it was looked at. A plan is run
    once (409), within its minute (410)."""
    confirm, with_others = asked.body.get("confirm"), asked.body.get("with_others", False)
    kept = asked.console.plans.run(asked.person, asked.named("plan"), confirm, with_others=with_others)
    return answer(HTTPStatus.ACCEPTED, plan=kept.id, state=kept.state.value)


@route("POST", "/plans/{plan}/stop", "Stop a drain", answers=_RUNNING, status=202, refusals=(403, 404, 409))
async def stop(asked: Asked) -> Response:
    """Stops a drain that is being run; the server is opened again, if the drain has closed it."""
    kept = asked.console.plans.stop(asked.person, asked.named("plan"))
    return answer(HTTPStatus.ACCEPTED, plan=kept.id, state=kept.state.value)
