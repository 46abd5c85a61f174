"""Figures for Prometheus, of what the viewers share: `GET /metrics`. `lanman metrics` is for those who have no browser.

A person gets the figures of the servers that they are shown, as of the last look; so one that does not answer delays
nobody. What has been counted since the start of an exporter is no part of it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from lanman import codes
from lanman.faces.web.answers import Refused
from lanman.faces.web.api.routing import Asked, route

if TYPE_CHECKING:
    from lanman.manage.metrics.watched import Sample


@route("GET", "/metrics", "Figures for Prometheus", media="text/plain", refusals=(501,))
async def metrics(asked: Asked) -> Response:
    """Of the servers that you are shown, as of the last look; docs/reference/metrics.md says what they are. Whoever has
    no cookie has `lanman metrics` scraped."""
    try:
        from lanman.manage.metrics.exposition import Exposition
    except ModuleNotFoundError as error:
        raise Refused(
            HTTPStatus.NOT_IMPLEMENTED,
            f"figures need {error.name}",
            code=codes.ERROR_NOT_SUPPORTED,
            hint="install lanman with its extra metrics: pip install 'lanman[metrics]'",
        ) from None
    from lanman.manage.metrics import table
    from lanman.manage.metrics.watched import Watched, build
    from lanman.manage.watching.changes import Update

    samples: list[Sample] = [build()]
    for access in list(asked.person.accesses.values()):
        viewing = await asked.console.hub.join(asked.person, access)
        if viewing.picture is None:
            continue
        watched = Watched(access.server, viewing.picture)
        watched.take(Update(viewing.picture))
        for _ in watched.brought_up_to_date():
            pass
        counted_since = (table.OPENED, table.CLOSED)
        samples += [one for one in watched.samples(asked.console.wall_clock()) if one[0] not in counted_since]
    exposition = Exposition(asked.request.headers.get("accept", ""))
    return Response(b"".join(exposition.pieces(samples)), media_type=exposition.content_type)
