"""`lanman web`: the web console."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.databases import database_url, named_database
from lanman.faces.cli.ending import end_on_signals
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, option
from lanman.faces.dialect import DialectError
from lanman.shown import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanman.faces.web.console import Offered
    from lanman.faces.web.program import WebConsole


def place(parameter: Parameter, text: str | None) -> str | None:
    """Where browsers come to, with a whole path. What is none is told when it is listened on."""
    if text is not None and text[:5].lower() == "unix:" and len(text) > 5:
        return f"unix:{os.path.abspath(text[5:])}"
    return text


@verb(
    "web",
    summary="serve a page of sessions, files and shares to browsers",
    many_servers=True,
    syntax="""
lanman web [-S HOST]... [--listen {ADDRESS:PORT | unix:PATH}]
           [--tls-cert FILE [--tls-key FILE]] [--allow-host NAME]...
           [--trust-proxy {ADDRESS | unix} [--user-header NAME]]
           [--readonly] [--db DATABASE] [--every T]
""",
    about="""
Serves a page on which sessions, open files and shares are seen while they change, with explanations, settings,
statistics and history, and on which those who may end sessions and close files can do so. It goes on until Ctrl-C or a
SIGTERM.
It listens on 127.0.0.1:8445. The link that it writes at the start is for this machine: whoever opens it first, within
ten minutes, asks the servers as the user that the command line says. Everybody else logs in to the page as themselves,
at one of the servers that were named here, and may do what that server lets them. Passwords are kept in memory, until
they log out or have done nothing for 15 minutes.
An address that others reach wants a certificate (--tls-cert), or a proxy in front that has one and is named by
--trust-proxy; otherwise nothing is served. Users whom the proxy names in --user-header see what the command line's user
sees, and give no orders. A Unix socket is made for this user alone. Names by which browsers come, beyond this machine's
own and those of the certificate, are given with --allow-host.
With --readonly nobody gives orders. --db names the database of `lanman history`.
Needs the extra web: pip install 'lanman[web]'.
""",
    examples="""
lanman web                                         this machine's Server
lanman web -S fs1 -S fs2 -U 'EXAMPLE\\ann'         two servers
lanman web -S fs1 -N --listen 0.0.0.0:8445 --tls-cert fs1.pem --tls-key fs1.key
lanman web -S fs1 -A ~/look --readonly --listen unix:/run/lanman/web.sock --trust-proxy unix --user-header X-Remote-User
""",
)
@option("--listen", metavar="PLACE", callback=place, help="where browsers come to (127.0.0.1:8445)")
@option("--tls-cert", metavar="FILE", shell_complete=completers.files, help="serve TLS with this certificate, in PEM")
@option("--tls-key", metavar="FILE", shell_complete=completers.files, help="its key, where that is another file")
@option("--allow-host", "hosts", metavar="NAME", multiple=True, help="a name by which browsers come: NAME, *.NAME")
@option("--trust-proxy", metavar="ADDRESS", help="the one proxy that is believed; `unix`: who has the socket")
@option("--user-header", metavar="NAME", help="the header in which that proxy names the user, who may look")
@option("--readonly", is_flag=True, help="nobody gives orders")
@option(
    "--db",
    "database",
    metavar="DATABASE",
    shell_complete=completers.files,
    callback=database_url,
    help="the history's: sqlite:///FILE, or postgresql://USER@HOST/NAME (LANMAN_DB)",
)
@option("--every", metavar="T", callback=seconds, help="how often to ask a server while somebody watches (2s)")
@option("--deadline", "--timeout", metavar="S", callback=seconds, help="seconds for each answer (10)")
def web(
    invocation: Invocation,
    listen: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    hosts: tuple[str, ...],
    trust_proxy: str | None,
    user_header: str | None,
    readonly: bool,
    database: str | None,
    every: float | None,
    deadline: float | None,
) -> int | None:
    """Serve the page until it is told to end. DialectError 3510: words that do not go together."""
    if invocation.format is not Format.TABLE:
        raise DialectError(3510, hint="The page is for browsers; programs ask its REST interface, /api/v1.")
    try:
        from lanman.faces.web.console import EVERY, Console, Settings
        from lanman.faces.web.listening import LISTEN, Listening
        from lanman.faces.web.program import WebConsole
    except ModuleNotFoundError as error:
        raise _without_the_extra(error) from None
    timeout = deadline or invocation.timeout
    settings = Settings(
        readonly, named_database(database), EVERY if every is None else every, timeout, home=invocation.home
    )
    listening = Listening(listen or LISTEN, tls_cert, tls_key, trust_proxy, user_header, hosts)
    console = Console(_offered([replace(each, timeout=timeout) for each in invocation.each()]), settings)
    _log_to_standard_error()
    return asyncio.run(_run(WebConsole(console, listening)))


def _without_the_extra(error: ModuleNotFoundError) -> LanmanError:
    if error.name not in ("starlette", "uvicorn", "anyio", "h11"):
        raise error
    return LanmanError(
        f"the web console needs {error.name}, which is not installed",
        code=codes.ERROR_NOT_SUPPORTED,
        hint="Install the extra web: pip install 'lanman[web]'.",
    )


def _offered(invocations: Sequence[Invocation]) -> list[Offered]:
    """The servers that are meant, each once."""
    from lanman.faces.web.console import Offered
    from lanman.faces.web.program import examined, over_smb
    from lanman.net.drains import drain_name

    offered: dict[str, Offered] = {}
    for each in invocations:
        name = each.name_served
        here = {"home": each.home, "service": each.service, "samba_config": each.samba_config}
        offered.setdefault(
            name,
            Offered(
                name,
                each.opening,
                over_smb(each.server, each.port, each.timeout),
                "" if each.credentials is None else each.credentials.logon_name,
                examined(each.server, each.port, each.timeout, each.credentials, **here),
                drain_name(each.server, each.port, each.service),
            ),
        )
    return list(offered.values())


def _log_to_standard_error() -> None:
    """Who logs in, what was refused, and errors of ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    for name, level in (("lanman.web", logging.INFO), ("uvicorn.error", logging.ERROR)):
        log = logging.getLogger(name)
        log.addHandler(handler)
        log.setLevel(level)
        log.propagate = False


async def _run(running: WebConsole) -> int | None:
    """Serve until a signal. The exit status: 130 after Ctrl-C."""
    from lanman.net.collector import keep_pauses_short

    _have_descriptors()
    async with running:
        keep_pauses_short()
        told = end_on_signals(running.stop)
        _say_where(running)
        await running.wait()
    return output.EXIT_INTERRUPTED if signal.SIGINT in told else None


def _have_descriptors() -> None:
    """As many descriptors as there may be connections."""
    if sys.platform != "win32":
        from lanman.faces.web.listening import MAX_CONNECTIONS
        from lanman.net.descriptors import fit

        fit(MAX_CONNECTIONS)


def _say_where(running: WebConsole) -> None:
    """How to get in, and where the page is. Addresses stand alone in their lines: a terminal takes a period or a quote
    behind one into the link."""
    page = running.url or running.where
    if running.link is not None:
        _say("this link lets in whoever opens it first, on this machine and within 10 minutes", running.link)
    elif running.once is not None:
        path = running.where.removeprefix("unix:")
        _say(
            f"behind `ssh -L 8445:{path} THIS-MACHINE`, this link lets in whoever opens it first, within 10 minutes",
            f"http://localhost:8445/#once={running.once}",
        )
    _say("the page is at" if running.once is None else "everybody else logs in at", page)


def _say(words: str, address: str) -> None:
    output.complain([f"Note: {escape(words)}:", escape(address)])
