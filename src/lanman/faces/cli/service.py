"""`lanman serve`, `lanman start server`, `lanman stop server`: the life of this user's Server service."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.options import Call, bad_value, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.progress import turning_when_slow
from lanman.faces.cli.server import show_services
from lanman.faces.dialect import DialectError
from lanman.faces.text import escape

if TYPE_CHECKING:
    from lanman.net.home import Home
    from lanman.net.logs import LogFile
    from lanman.net.server import SmbServer
    from lanman.settings import Configuration

_server_log: Final = logging.getLogger("lanman.server")

SERVICE: Final = "Server"
LOG_NAME: Final = "server.log"
# As much as is read of what a Server that did not start has said, in bytes.
MAX_SAID: Final = 1024 * 1024

# How often a Server that is starting or stopping is looked at, in seconds.
POLL: Final = 0.05
# After how many seconds of that a sign of waiting is shown: most Servers need one.
SLOW: Final = 2.0


def number_of_sessions(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """A number of sessions, or the name of an edition of Windows that has such a limit."""
    if text is None:
        return None

    from lanman.settings import SESSIONS_HINT, number_of_sessions

    if (sessions := number_of_sessions(text)) is None:
        raise bad_value(parameter, f"It is {SESSIONS_HINT}.")
    return sessions


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `serve`, which `start server` hands on."""
    for option in (
        click.option(
            "--listen",
            metavar="ADDR",
            multiple=True,
            help="an address to listen on, as ADDRESS, ADDRESS:PORT or [::1]:PORT; repeatable; without it, all",
        ),
        click.option(
            "--config", "config_file", metavar="FILE", help="the configuration; without it, server.toml in the home"
        ),
        click.option(
            "--max-sessions",
            metavar="N",
            callback=number_of_sessions,
            help="how many sessions may exist at once: a number (0 is no limit), or workstation, home or windows11",
        ),
        click.option("--require-encryption", is_flag=True, help="refuse clients that cannot encrypt"),
    ):
        function = option(function)
    return function


@verb(
    "serve",
    syntax="lanman serve [[NAME=]DIR ...] [--listen ADDR ...] [--port N] [--config FILE] [--max-sessions N] "
    "[--require-encryption]",
    about="""
Is the Server service, until it is stopped with Ctrl-C, `lanman stop server` or a SIGTERM; SIGHUP reads the
configuration again. Accounts, configuration and the control socket are kept in the home (--home).
Each folder is shared under the name given, or its own. Port 0 is any port that is free.
""",
    examples="""
lanman serve /srv/projects --port 4450
lanman serve pub=/srv/data --listen 127.0.0.1
""",
    takes_paths=True,
)
@click.argument("folders", nargs=-1)
@server_options
def serve(
    call: Call,
    folders: tuple[str, ...],
    listen: tuple[str, ...],
    config_file: str | None,
    max_sessions: int | None,
    require_encryption: bool,
) -> int | None:
    home = own_home(call)
    shares = shares_of(folders)  # looked at now, for mistakes of typing; one that goes later stops no reload

    def read() -> Configuration:
        configuration = configured(call, home, listen, config_file, max_sessions, require_encryption)
        return dataclasses.replace(configuration, shares=dict(configuration.shares) | shares)

    configuration = read()
    said_now = frozenset(shares) | ({"max_sessions"} if max_sessions is not None else frozenset())
    log = _log_to(configuration, home, config_file)
    private = () if config_file is None else (config_file,)
    return asyncio.run(_serve(configuration, home, read, said_now, log, private))


def _log_to(configuration: Configuration, home: Home, config_file: str | None) -> LogFile | None:
    """The log of a Server that is about to be. Root opens it with the rights of whom the Server will be, unless it is
    root who says which file it is. Raises LanmanError."""
    from lanman.net.logs import set_up

    background = str(home.path / LOG_NAME)
    if os.name != "posix" or os.geteuid() != 0:
        return set_up(configuration.log.file, background=background)
    from lanman.net.privileges import acting_as, user_to_become

    user = user_to_become(configuration.user, home)
    if config_file is not None:
        by_root = os.stat(config_file).st_uid == 0
    else:
        with home.opened() as folder:
            by_root = folder.owner[0] == 0
    owner = (user.pw_uid, user.pw_gid) if user is not None else None
    with acting_as(None if by_root else user):
        return set_up(configuration.log.file, background=background, owner=owner)


def own_home(call: Call) -> Home:
    """The home of this user's Server. Raises LanmanError where another machine was named."""
    from lanman.net.home import default_home

    if call.server is not None:
        message = f"{call.server}: a Server service is started and stopped on the machine itself"
        raise LanmanError(message, code=codes.ERROR_NOT_SUPPORTED, hint="Leave out -S.")
    return default_home(call.home)


def configured(
    call: Call,
    home: Home,
    listen: tuple[str, ...],
    config_file: str | None,
    max_sessions: int | None,
    require_encryption: bool,
) -> Configuration:
    """The configuration file, and what was given on the command line put over it."""
    from lanman.net.configuration import read_configuration, with_options

    path = Path(config_file) if config_file is not None else home.configuration
    if config_file is not None and not path.exists():
        raise LanmanError(f"{path}: there is no such configuration file", code=codes.ERROR_FILE_NOT_FOUND)
    return with_options(
        read_configuration(path, named=config_file is not None),
        listen=listen or None,
        port=call.given_port,
        max_sessions=max_sessions,
        encryption="required" if require_encryption else None,
    )


def shares_of(folders: Sequence[str]) -> dict[str, Any]:
    """`[NAME=]DIR` as shares. Raises LanmanError for what is no folder."""
    from lanman.settings import ShareConfiguration

    shares = {}
    for word in folders:
        name, equals, folder = word.partition("=")
        if not equals or "/" in name:
            name, folder = "", word
        path = Path(folder).absolute()
        if not path.is_dir():
            raise LanmanError(f"{folder}: there is no such folder", code=codes.ERROR_PATH_NOT_FOUND)
        name = name or path.name
        if not name:
            raise DialectError(3953, hint=f"{folder} has no name of its own: write NAME={folder}.")
        shares[name] = ShareConfiguration(str(path))
    return shares


async def _serve(
    configuration: Configuration,
    home: Home,
    read: Callable[[], Configuration],
    said_now: frozenset[str],
    log: LogFile | None,
    private: Sequence[str],
) -> int | None:
    from lanman.net import heap
    from lanman.net.collector import keep_pauses_short
    from lanman.net.server import SmbServer

    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        server.request_stop()

    server = SmbServer(configuration, home, read=read, said_now=said_now, private=private, idle=heap.give_back)
    loop = asyncio.get_running_loop()
    async with server:
        _limit(server, log)
        loop.add_signal_handler(signal.SIGINT, interrupt)
        loop.add_signal_handler(signal.SIGTERM, server.request_stop)
        loop.add_signal_handler(signal.SIGHUP, _reload, server, log)
        where = [f"  {host} port {port}" for host, port in server.addresses]
        output.emit([codes.message_text(3524, SERVICE), "", "Listening on", *map(escape, where), ""])
        keep_pauses_short()
        heap.keep_freed()
        await server.wait_stopped()
    return output.EXIT_INTERRUPTED if interrupted else None


def _reload(server: SmbServer, log: LogFile | None) -> None:
    """SIGHUP: go on in a new log if the old one was renamed, then read the configuration again."""
    actions = {"the configuration is not read again": server.reload}
    if log is not None:
        actions = {"the log goes on in the old file": log.reopen, **actions}
    for failure, action in actions.items():
        try:
            action()
        except LanmanError as error:
            # To the log, since nobody looks at a Server's standard error: whoever sent the signal is told nothing.
            said = f"{error.message} {error.hint}" if error.hint else error.message
            _server_log.error("SIGHUP: %s: %s", failure, escape(said))
    _limit(server, log)


def _limit(server: SmbServer, log: LogFile | None) -> None:
    if log is not None:
        log.limit(server.configuration.log.max_bytes, server.configuration.log.keep)


# --- in the background


@verb(
    "start",
    syntax="""
lanman start
lanman start server [--listen ADDR ...] [--port N] [--config FILE] [--max-sessions N] [--require-encryption]
""",
    about=f"""
Starts this user's Server service in the background. What it has to say goes to {LOG_NAME} in its home.
Without a name, lists the services that are started.
""",
    examples="""
lanman start                          which services are started
lanman start server --port 4450       the Server service, on a port that any user may have
""",
)
@click.argument("service", required=False)
@server_options
def start(
    call: Call,
    service: str | None,
    listen: tuple[str, ...],
    config_file: str | None,
    max_sessions: int | None,
    require_encryption: bool,
) -> None:
    if service is None:
        return list_started(call)
    _must_be_server(service)
    home = own_home(call)
    configured(call, home, listen, config_file, max_sessions, require_encryption)
    words = [f"--listen={address}" for address in listen]
    words += [] if call.given_port is None else [f"--port={call.given_port}"]
    words += [] if config_file is None else [f"--config={Path(config_file).absolute()}"]
    words += [] if max_sessions is None else [f"--max-sessions={max_sessions}"]
    words += ["--require-encryption"] if require_encryption else []
    start_service(call, home, words)
    return None if call.format is Format.TABLE else list_started(call)


def list_started(call: Call) -> None:
    """NET START: the services that are started. lanman knows of one."""
    show_services(call, "These services are started:")


def start_service(call: Call, home: Home, words: Sequence[str]) -> None:
    """Start the Server of `home` in the background, and wait until it answers. Raises LanmanError."""
    from lanman.net import child

    home.prepare()
    if is_running(home):
        raise LanmanError(
            f"{home.path}: {codes.win32_text(codes.NERR_ServiceInstalled)}",
            code=codes.NERR_ServiceInstalled,
            hint="`lanman stop server` stops it.",
        )
    _progress(call, codes.message_text(3522, SERVICE))
    with open(home.open_file(LOG_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT), "ab") as log:
        said_before = log.tell()
        process = child.start(
            "serve",
            f"--home={home.path}",
            *words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + call.timeout
    with turning_when_slow("Waiting for the Server service", patience=SLOW) as look:
        while not is_running(home):
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                raise _not_started(home, said_before)
            look()
            time.sleep(POLL)
    _progress(call, codes.message_text(3524, SERVICE), "")


def _progress(call: Call, *lines: str) -> None:
    """What NET says while a service comes or goes. It is no part of the data that a program waits for."""
    if call.format is Format.TABLE:
        output.emit(lines)
    else:
        output.complain(lines)


def _not_started(home: Home, said_before: int) -> LanmanError:
    """3523, and what the Server itself said about it."""
    with open(home.open_file(LOG_NAME, os.O_RDONLY), "rb") as log:
        log.seek(said_before)
        said = log.read(MAX_SAID).decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line and not line.startswith("More help is available")]
    return LanmanError(
        codes.message_text(3523, SERVICE),
        code=3523,
        # Its last line names the thing and the remedy.
        hint=lines[-1] if lines else f"See {home.path / LOG_NAME}.",
    )


def is_running(home: Home) -> bool:
    """Whether a Server answers on the home's control socket. Raises AccessDenied for one that is not ours to ask."""
    from lanman.net.home import connect_unix

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            connect_unix(client, home.control)
        except PermissionError:
            hint = "Only root and the user that the Server runs as may use its control socket."
            raise AccessDenied(f"{home.control}: access denied", hint=hint) from None
        except OSError:
            return False
        return True


@verb(
    "stop",
    syntax="lanman stop server",
    about="Stops this user's Server service; all of its sessions end.",
    examples="lanman stop server",
)
@click.argument("service", required=False)
def stop(call: Call, service: str | None) -> None:
    if service is None:
        raise DialectError(3503, hint="Name the service: lanman stop server. `lanman start` lists what is started.")
    _must_be_server(service)
    home = own_home(call)
    if not is_running(home):
        raise LanmanError(codes.message_text(3521, SERVICE), code=3521, hint=f"Nobody listens at {home.control}.")
    _progress(call, codes.message_text(3527, SERVICE))
    asyncio.run(_request_stop(home, call.timeout))
    deadline = time.monotonic() + call.timeout
    with turning_when_slow("Waiting for the Server service to stop", patience=SLOW) as look:
        while is_running(home):
            if time.monotonic() > deadline:
                raise LanmanError(codes.message_text(3528, SERVICE), code=3528, hint=f"See {home.path / LOG_NAME}.")
            look()
            time.sleep(POLL)
    _progress(call, codes.message_text(3529, SERVICE), "")
    return None if call.format is Format.TABLE else list_started(call)


async def _request_stop(home: Home, timeout: float) -> None:
    from lanman.net.control.client import ControlClient

    try:
        async with asyncio.timeout(timeout), ControlClient(home.control) as client:
            await client.stop()
    except TimeoutError:
        message = f"{home.control}: the Server does not answer"
        raise LanmanError(message, code=codes.ERROR_SERVICE_REQUEST_TIMEOUT) from None


def _must_be_server(name: str) -> None:
    if name.casefold() not in ("server", "lanmanserver"):
        raise LanmanError(
            f"{name}: {codes.win32_text(codes.NERR_BadServiceName)}",
            code=codes.NERR_BadServiceName,
            hint="lanman has the Server service: `server`.",
        )
