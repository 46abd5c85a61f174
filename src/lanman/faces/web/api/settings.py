"""How a server is set, and what it has counted: `GET /servers/{server}/settings` and `.../statistics`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from lanman.faces.configured import configuration, configuration_form
from lanman.faces.web.answers import answer
from lanman.faces.web.api.common import WHEN
from lanman.faces.web.api.routing import Asked, route
from lanman.faces.web.api.shapes import Shape, many, moment, or_null, record, said, truth, whole
from lanman.records import ServerInfo, Statistics
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from starlette.responses import Response

_TEXTS: Final = frozenset({"name", "comment", "userpath", "domain"})
_WORDS: Final = {
    "disc": "after how many idle minutes a session without open files is ended; -1 for never",
    "users": "how many sessions it admits; 4294967295 for no limit",
    "sessopens": "how many files a session may have open",
    "hidden": "whether it is hidden from lists of servers",
}
_ALWAYS: Final = frozenset({"name", "comment", "hidden", "users", "disc", "sessopens"})


def _setting(name: str) -> Shape:
    doc = _WORDS.get(name, "")
    shape = said(doc) if name in _TEXTS else truth(doc) if name == "hidden" else whole(doc)
    return or_null(shape) if name in _ALWAYS else shape


_NAMES: Final = [field.name for field in dataclasses.fields(ServerInfo)]
_TRANSPORT: Final = record({"name": said("the device"), "address": said("its address, or its name")})


@route(
    "GET",
    "/servers/{server}/settings",
    "How a server is set",
    answers={
        "server": said(),
        "configuration": record(
            {name: _setting(name) for name in _NAMES}
            | {"transports": or_null(many(_TRANSPORT, "what it listens on; null where it does not tell"))},
            "what the server told, by the names of MS-SRVS; what it did not tell is missing, or null",
            optional=[name for name in _NAMES if name not in _ALWAYS],
        ),
    },
    refusals=(501,),
)
async def show_settings(asked: Asked) -> Response:
    """Asks the server now, by the richest levels that it grants (NetrServerGetInfo, NetrServerTransportEnum)."""
    access = asked.access()
    async with asked.console.managers.of(asked.person, access) as manager:
        info, transports = await configuration(manager)
    return answer(server=access.server, configuration=configuration_form(info, transports))


_COUNTS: Final = [field.name for field in dataclasses.fields(Statistics) if field.name != "start"]


@route(
    "GET",
    "/servers/{server}/statistics",
    "What a server has counted",
    answers={
        "server": said(),
        "statistics": record(
            {"started_at": WHEN, "answered_at": moment("when it was asked")}
            | {name: whole() for name in (*_COUNTS, "bytes_sent", "bytes_received")},
            "what it has counted since `started_at`, by the names of MS-SRVS 2.2.4.39",
        ),
    },
    refusals=(501,),
)
async def show_statistics(asked: Asked) -> Response:
    """Asks the server now (NetrServerStatisticsGet). A Samba does not count."""
    access = asked.access()
    async with asked.console.managers.of(asked.person, access) as manager:
        counted = await manager.statistics()
    form = {name: getattr(counted, name) for name in (*_COUNTS, "bytes_sent", "bytes_received")}
    return answer(
        server=access.server,
        statistics={
            "started_at": rfc3339(counted.start) if counted.start else None,
            "answered_at": rfc3339(asked.console.wall_clock()),
            **form,
        },
    )
