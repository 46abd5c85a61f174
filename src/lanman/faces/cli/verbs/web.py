"""`lanman web`: the web console."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.databases import database_url, named_database
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanman.faces.web.console import Console, Offered
    from lanman.manage.kept import Opening
    from lanman.net.credentials import Credentials

LISTEN: Final = "127.0.0.1:8445"


@verb(
    "web",
    summary="serve a page of sessions, files and shares to browsers",
    many_servers=True,
    syntax="""
lanman web [-S HOST]... [--listen {ADDRESS:PORT | unix:PATH}] [--readonly]
           [--db DATABASE] [--every T]
""",
    about="""
Serves a page on which the sessions, open files and shares of servers are seen while they change, and can be ended and
closed by those who may. It goes on until Ctrl-C or a SIGTERM.
Needs the extra web: pip install 'lanman[web]'.
""",
    examples="""
lanman web                        this machine's Server, for this machine's browsers
lanman web -S fs1 -S fs2 -U ann   two servers
""",
)
@click.option("--listen", metavar="PLACE", help="where browsers come to (127.0.0.1:8445)")
@click.option("--readonly", is_flag=True, help="the page gives no orders")
@click.option(
    "--db",
    "database",
    metavar="DATABASE",
    shell_complete=completers.files,
    callback=database_url,
    help="the history's: sqlite:///FILE, or postgresql://USER@HOST/NAME (LANMAN_DB)",
)
@click.option("--every", metavar="T", callback=seconds, help="how often to ask a server (2s)")
@click.option("--deadline", "--timeout", metavar="S", callback=seconds, help="seconds for each answer (10)")
def web(
    invocation: Invocation,
    listen: str | None,
    readonly: bool,
    database: str | None,
    every: float | None,
    deadline: float | None,
) -> int | None:
    """Serve the page until it is told to end. DialectError 3510: words that do not go together."""
    if invocation.format is not Format.TABLE:
        raise DialectError(3510, hint="The page is for browsers; programs ask its REST interface.")
    try:
        from lanman.faces.web.console import EVERY, Console, Settings
    except ModuleNotFoundError as error:
        raise _without_the_extra(error) from None
    settings = Settings(
        readonly=readonly,
        database=named_database(database),
        every=EVERY if every is None else every,
        timeout=deadline or invocation.timeout,
    )
    offered = _offered([replace(each, timeout=settings.timeout) for each in invocation.each()])
    return asyncio.run(_run(Console(offered, settings), listen or LISTEN))


def _without_the_extra(error: ModuleNotFoundError) -> LanmanError:
    return LanmanError(
        f"the web console needs {error.name}",
        code=codes.ERROR_NOT_SUPPORTED,
        hint="Install lanman with its extra web: pip install 'lanman[web]'.",
    )


def _offered(invocations: Sequence[Invocation]) -> list[Offered]:
    """The servers that are meant, each once."""
    from lanman.faces.web.console import Offered
    from lanman.manage.metrics.exporter import this_machine

    offered: dict[str, Offered] = {}
    for each in invocations:
        name = each.node or each.server or this_machine()
        if each.node is None and each.server is not None and each.port is not None:
            name = f"{name}:{each.port}"
        offered.setdefault(name, Offered(name, each.opening, _opening_as(each)))
    return list(offered.values())


class _opening_as:
    """Opens a server as somebody else: always over SMB, where the password counts."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def __call__(self, credentials: Credentials) -> Opening:
        from lanman.manage.loopback import LOOPBACK

        mine = self._invocation
        server = mine.server or LOOPBACK
        return replace(mine, server=server, credentials=credentials, service=None, home=None, samba_config=None).opening


async def _run(console: Console, listen: str) -> int | None:
    """Serve until a signal. The exit status: 130 after Ctrl-C."""
    from lanman.faces.web.app import make_app
    from lanman.faces.web.listening import bound, serving
    from lanman.faces.web.logins import OneTime
    from lanman.net.collector import keep_pauses_short

    place = bound(listen)
    told: list[int] = []
    try:
        async with console:
            keep_pauses_short()
            once = OneTime(console.clock())
            server = serving(make_app(console, once))

            def end(number: int) -> None:
                told.append(number)
                server.should_exit = True

            for number in (signal.SIGINT, signal.SIGTERM):
                # Windows: the signal ends the process.
                with contextlib.suppress(NotImplementedError):
                    asyncio.get_running_loop().add_signal_handler(number, end, number)
            output.note(f"the page is at http://{place.where}/#once={once.word}")
            await server.serve(sockets=[place.socket])
    finally:
        place.close()
    return output.EXIT_INTERRUPTED if signal.SIGINT in told else None
