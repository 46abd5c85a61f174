"""`lanman metrics`: figures of servers, for Prometheus."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lanman.faces.cli import completers, output
from lanman.faces.cli.databases import database_url, named_database
from lanman.faces.cli.ending import end_on_signals
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value, number, seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, option
from lanman.faces.dialect import DialectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanman.manage.metrics.exporter import Exporter, Served

EXIT_INCOMPLETE: Final = 4

# As `lanman.manage.metrics.table` has them, which takes time to load.
MAX_TOP: Final = 30


def place(parameter: Parameter, text: str | None) -> str | None:
    """Where scrapers come to. Raises DialectError 3952."""
    if text is None:
        return None
    from lanman.settings import metrics_address

    if text[:5].lower() == "unix:" and len(text) > 5:
        text = f"unix:{os.path.abspath(text[5:])}"
    try:
        metrics_address(text)
    except ValueError:
        raise bad_value(parameter, "It is ADDRESS:PORT, such as 127.0.0.1:9745 or [::1]:9745, or unix:PATH.") from None
    return text


@verb(
    "metrics",
    summary="give figures of servers to Prometheus",
    many_servers=True,
    syntax="""
lanman metrics [-S HOST]... [--listen {ADDRESS:PORT | unix:PATH}] [--every T]
               [--names] [--top N] [--db DATABASE]
lanman metrics [-S HOST]... --once [--names] [--top N] [--db DATABASE] [--json]
""",
    about="""
Asks servers again and again, and gives Prometheus figures of what it last saw: sessions, users, clients, open files,
locks, shares, how long sessions have been idle, who comes and goes, and what the server itself counts. A figure that a
server does not tell is left out; it is never 0 in its place. A server has at most 400 series.
It listens on 127.0.0.1:9745, and whoever uses this machine may ask. An address that others reach has to be named here:
there is no password and no encryption, so put a proxy in front of it. A Unix socket is made for this user alone.
Users and clients are in the figures only with --names. --db names the database of `lanman history`, in which policies
note what they have ended.
It goes on until Ctrl-C or a SIGTERM. A server that refuses the log-on is not asked again, and is down. --once asks
once, writes the figures and ends; the exit status is 4 where a server did not answer.
Needs the extra metrics: pip install 'lanman[metrics]'. lanman's own Server gives its figures without this command
where [metrics] of its server.toml says where.
""",
    examples="""
lanman metrics                                figures of this machine's Server
lanman metrics -S fs1 -S fs2 -A ~/monitor     of two servers, as the user in a file
lanman metrics --listen unix:/run/lanman.sock --names
lanman metrics --once                         see them
""",
)
@option("--listen", metavar="PLACE", callback=place, help="where Prometheus comes to (127.0.0.1:9745)")
@option("--every", metavar="T", callback=seconds, help="how often to ask a server (15s)")
@option("--names", is_flag=True, help="name the users and clients that have the most")
@option(
    "--top",
    metavar="N",
    callback=number(1, MAX_TOP, f"It is a number from 1 to {MAX_TOP}."),
    help="how many of each are named (20)",
)
@option(
    "--db",
    "database",
    metavar="DATABASE",
    shell_complete=completers.files,
    callback=database_url,
    help="the history's, for what policies have ended: sqlite:///FILE, or postgresql://USER@HOST/NAME (LANMAN_DB)",
)
@option("--once", is_flag=True, help="write the figures and end")
@option("--deadline", "--timeout", metavar="S", callback=seconds, help="seconds for each answer (10)")
def metrics(
    invocation: Invocation,
    listen: str | None,
    every: float | None,
    names: bool,
    top: int | None,
    database: str | None,
    once: bool,
    deadline: float | None,
) -> int | None:
    """Give figures away until it is told to end; or once. DialectError 3510: words that do not go together."""
    if invocation.format is Format.CSV:
        raise DialectError(3510, hint="Figures are written for Prometheus, or with --once and --json for programs.")
    if invocation.format is Format.JSON and not once:
        raise DialectError(3510, hint="--json goes with --once: Prometheus has a form of its own.")
    if once and (listen is not None or every is not None):
        raise DialectError(3510, hint="--once writes the figures here: leave out --listen and --every.")
    if top is not None and not names:
        raise DialectError(3510, hint="--top says how many are named: give --names too.")
    from lanman.manage.metrics.exporter import EVERY, LISTEN, Exporter
    from lanman.manage.metrics.table import DEFAULT_TOP

    exporter = Exporter(
        _served([replace(each, timeout=deadline or each.timeout) for each in invocation.each()]),
        listen=None if once else listen or LISTEN,
        every=EVERY if every is None else every,
        timeout=deadline or invocation.timeout,
        names=names,
        top=DEFAULT_TOP if top is None else top,
        database=named_database(database),
    )
    # What happens while it runs; of one look the answer tells.
    handler = logging.NullHandler() if once else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("lanman.metrics")
    log.addHandler(handler)
    log.propagate = False
    return asyncio.run(_write(exporter, invocation.format) if once else _run(exporter))


def _served(invocations: Sequence[Invocation]) -> list[Served]:
    """The servers that are meant, each once."""
    from lanman.manage.metrics.exporter import Served

    served: dict[str, Served] = {}
    for each in invocations:
        served.setdefault(each.name_served, Served(each.name_served, each.opening))
    return list(served.values())


async def _write(exporter: Exporter, format: Format) -> int:
    """Write the figures of one look. The exit status."""
    async with exporter:
        missing = await exporter.first_look()
        if format is Format.JSON:
            series = [
                {"name": metric.name, "labels": dict(zip(metric.labels, labels, strict=True)), "value": value}
                for metric, labels, value in await exporter.samples()
            ]
            away = [{"server": name, "error": error.message, "code": error.code} for name, error in missing]
            output.emit_json(None, metrics=series, missing=away)
        else:
            output.write((await exporter.scrape())[1].decode())
    for name, error in missing:
        output.warn(f"{name}: {error.with_hint}")
    return EXIT_INCOMPLETE if missing else output.EXIT_SUCCESS


async def _run(exporter: Exporter) -> int | None:
    """Serve until a signal. The exit status: 130 after Ctrl-C."""
    from lanman.net.collector import keep_pauses_short

    async with exporter:
        keep_pauses_short()
        output.note(f"the figures are at {exporter.where}")
        running = asyncio.ensure_future(exporter.wait())
        told = end_on_signals(running.cancel)
        try:
            await running
        except asyncio.CancelledError:
            if not told:
                raise
    return output.EXIT_INTERRUPTED if signal.SIGINT in told else None
