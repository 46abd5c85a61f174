"""Who has a file open: `GET /explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lanman.faces.web.answers import answer
from lanman.faces.web.api.common import CLIENT, COST, COUNT, HOW, NAME, NAMES, PATH, SERVER, USER, WHEN
from lanman.faces.web.api.routing import Asked, bad_request, route
from lanman.faces.web.api.shapes import many, or_null, record, said, truth, whole
from lanman.manage.explain import explain
from lanman.manage.selection import canonical_client, split_unc

if TYPE_CHECKING:
    from starlette.responses import Response

_SESSION: Final = record(
    {
        "client_name": NAME,
        "user_name": NAME,
        "begun_at": WHEN,
        "idle_time": COUNT,
        "num_opens": COUNT,
        "channels": or_null(NAMES),
    },
    "the one session that has it open, where that is known",
)
HOLDER: Final = record(
    {
        "node": said("the node of a cluster"),
        "id": COUNT,
        "path": NAME,
        "share": NAME,
        "user_name": NAME,
        "client_name": NAME,
        "client_how": HOW,
        "candidates": NAMES,
        "access": COUNT,
        "locks": COUNT,
        "opened_at": WHEN,
        "opened_how": HOW,
        "not_before": WHEN,
        "session": or_null(_SESSION),
        "cost": COST,
        "cost_why": said(),
        "oplock": NAME,
        "lease": NAME,
        "lease_key": NAME,
        "durable": or_null(truth("whether its client may reclaim it after a lost connection")),
        "owner": or_null(said("for whom it is kept meanwhile")),
        "expires_at": WHEN,
    },
    optional=("node",),
)


@route(
    "GET",
    "/explain",
    "Who has a file open",
    query={"server": SERVER, "path": PATH, "user": USER, "client": CLIENT},
    needs=("path",),
    answers={
        "server": said(),
        "path": said("as it was asked for"),
        "local_path": or_null(said("the server's own")),
        "share_how": HOW,
        "level": COUNT,
        "holders": many(HOLDER, "who has it open"),
        "missing": many(said(), "what the server did not tell, in sentences"),
        "num_unsure": whole("how many opens the filters left out that may be meant all the same"),
    },
    refusals=(404, 501),
)
async def explain_path(asked: Asked) -> Response:
    r"""Asks the server now, as the person who asks. Without `server` it is the one in `\\server\share\path`."""
    path: str = asked.query["path"]
    access = asked.access(asked.query.get("server") or _server_of(asked, path))
    async with asked.console.managers.of(asked.person, access) as manager:
        found = await explain(manager, path, user=asked.query.get("user"), client=asked.query.get("client"))
    return answer(server=access.server, **found.as_json())


def _server_of(asked: Asked, path: str) -> str:
    """The server that a path names; it has to be one of the console's."""
    unc = split_unc(path)
    if unc is None:
        raise bad_request(
            "the parameter server is missing", r"name the server, or write the path as \\SERVER\SHARE\PATH"
        )
    wanted = canonical_client(unc.server)
    return next((name for name in asked.console.servers if canonical_client(name) == wanted), unc.server)
