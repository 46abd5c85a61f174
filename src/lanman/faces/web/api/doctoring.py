"""Why a server denies, or does not answer: `GET /doctor`.

The rules:

  - It logs on once, as the person who asks; one examination of a person at a time, and none for longer than `LASTS`.
  - Where the log-on was refused, nothing is asked with the same password again (`lanman.faces.web.managers`).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import AuthenticationError
from lanman.faces.web.answers import Refused, answer
from lanman.faces.web.api.common import NAME, SERVER
from lanman.faces.web.api.routing import Asked, route
from lanman.faces.web.api.shapes import anything, many, moment, number, record, said, whole, words
from lanman.manage.doctor.report import Diagnosis, Mark, Verdict

if TYPE_CHECKING:
    from starlette.responses import Response

LASTS: Final = 60.0
"""How many seconds an examination may take."""

FINDING: Final = record(
    {
        "id": said("as `lanman help doctor` explains it"),
        "category": said(),
        "check": said(),
        "mark": words(*(mark.value for mark in Mark)),
        "says": said(),
        "cause": NAME,
        "needs": NAME,
        "why": NAME,
        "fix": NAME,
        "evidence": anything("what was seen, for programs"),
    }
)


@route(
    "GET",
    "/doctor",
    "Examine a server",
    query={"server": SERVER},
    needs=("server",),
    answers={
        "server": said(),
        "verdict": words(*(verdict.value for verdict in Verdict)),
        "problems": whole(),
        "warnings": whole(),
        "asked_at": moment(),
        "duration": number("in seconds"),
        "findings": many(FINDING),
    },
    refusals=(409, 501),
)
async def examine(asked: Asked) -> Response:
    """Examines the server now, with one log-on as the person who asks, and changes nothing. One examination of a person
    runs at a time (409)."""
    person, access = asked.person, asked.access()
    managers, offered = asked.console.managers, asked.console.servers[access.server]
    access.refusal.check()
    if offered.examine is None:
        raise Refused(
            HTTPStatus.NOT_IMPLEMENTED, "this server cannot be examined from here", code=codes.ERROR_NOT_SUPPORTED
        )
    if person in managers.examining:
        raise Refused(
            HTTPStatus.CONFLICT,
            "an examination that you asked for is running already",
            code=codes.ERROR_BUSY,
            hint="wait for it",
        )
    managers.examining.add(person)
    try:
        async with asyncio.timeout(LASTS):
            found = await offered.examine(access.credentials)
    except TimeoutError:
        raise Refused(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"the examination has not ended within {LASTS:.0f} seconds",
            code=codes.ERROR_SEM_TIMEOUT,
            hint="ask again when the server is less busy",
        ) from None
    finally:
        managers.examining.discard(person)
    if (refused := _refused(found)) is not None:
        access.refusal.error = refused
    return answer(server=access.server, **found.as_json())


def _refused(found: Diagnosis) -> AuthenticationError | None:
    """The error that a refused log-on is from now on."""
    for finding in found.problems:
        if finding.category == "log-on" and finding.stops:
            return AuthenticationError(
                f"{found.server}: {finding.says}", hint="it is not tried again with this password: log in anew"
            )
    return None
