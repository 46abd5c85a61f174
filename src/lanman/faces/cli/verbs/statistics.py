"""`lanman statistics server`: what a Server service has counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from lanman import codes
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.services import emit_parts, is_server_service, show_services
from lanman.faces.text import block, escape
from lanman.manage.answers import Part
from lanman.records import Statistics

STATISTICS_WIDTH: Final = 35


@verb(
    "statistics",
    summary="the Server service's counters",
    aliases=("stats",),
    syntax="lanman statistics [server]",
    about="""
Shows what a Server service has counted since it was started. Without a name, lists the services that count.
""",
    examples="""
lanman statistics server            this machine's Server
lanman stats server -S fs1 -U ann   that of \\\\fs1, as ann
""",
)
@argument("service", required=False, shell_complete=completers.server_service)
def statistics(invocation: Invocation, service: str | None) -> None:
    """Print the counters; without a service, list those that count."""
    if not is_server_service(service):
        return show_services(invocation, codes.message_text(4379))

    async def ask() -> tuple[str, list[Part[Statistics]]]:
        async with invocation.manager() as manager:
            return manager.server, (await manager.each(lambda each: each.statistics())).parts

    server, parts = asyncio.run(ask())
    if invocation.format is Format.TABLE:
        for node, counted in parts:
            output.emit(statistics_lines(node or server, counted))
        return invocation.success()
    emit_parts(invocation, server, "statistics", [Part(node, _record(counted)) for node, counted in parts])
    return None


def _record(counted: Statistics) -> dict[str, Any]:
    return output.fields(counted) | {"bytes_sent": counted.bytes_sent, "bytes_received": counted.bytes_received}


def statistics_lines(server: str, counted: Statistics) -> Iterator[str]:
    """NET STATISTICS SERVER."""
    name = escape(server.lstrip("\\"))
    since = datetime.fromtimestamp(counted.start)
    yield f"Server Statistics for \\\\{name}"
    yield from ("", "")
    hour, half = since.hour % 12 or 12, "AM" if since.hour < 12 else "PM"
    yield f"Statistics since {since.month}/{since.day}/{since.year} {hour}:{since:%M:%S} {half}"
    yield from ("", "")
    groups: tuple[tuple[tuple[str, int], ...], ...] = (
        (
            ("Sessions accepted", counted.sopens),
            ("Sessions timed-out", counted.stimedout),
            ("Sessions errored-out", counted.serrorout),
        ),
        (
            ("Kilobytes sent", counted.bytes_sent // 1024),
            ("Kilobytes received", counted.bytes_received // 1024),
        ),
        (("Mean response time (msec)", counted.avresponse),),
        (
            ("System errors", counted.syserrors),
            ("Permission violations", counted.permerrors),
            ("Password violations", counted.pwerrors),
        ),
        (
            ("Files accessed", counted.fopens),
            ("Communication devices accessed", counted.devopens),
            ("Print jobs spooled", counted.jobsqueued),
        ),
    )
    for group in groups:
        yield from block([(label, str(value)) for label, value in group], STATISTICS_WIDTH)
        yield ""
    yield from ("Times buffers exhausted", "")
    pairs = (("  Big buffers", counted.bigbufneed), ("  Request buffers", counted.reqbufneed))
    yield from block([(label, str(value)) for label, value in pairs], STATISTICS_WIDTH)
    yield ""
