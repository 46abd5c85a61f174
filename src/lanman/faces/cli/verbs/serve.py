"""`lanman serve`: the Server service, in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.background import (
    LOG_NAME,
    configured,
    own_home,
    server_options,
)
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.services import SERVICE
from lanman.faces.dialect import DialectError
from lanman.faces.text import escape

if TYPE_CHECKING:
    from lanman.net.home import Home
    from lanman.net.logs import LogFile
    from lanman.net.server import SmbServer
    from lanman.settings import Configuration

_server_log: Final = logging.getLogger("lanman.server")


@verb(
    "serve",
    summary="be the Server service, in the foreground",
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
@argument("folders", many=True, shell_complete=completers.files)
@server_options
def serve(
    invocation: Invocation,
    folders: tuple[str, ...],
    listen: tuple[str, ...],
    config_file: str | None,
    max_sessions: int | None,
    require_encryption: bool,
) -> int | None:
    """Run a Server until it is stopped. The exit status is 130 after Ctrl-C. LanmanError: it cannot start."""
    from lanman.net.disk.system import check_platform
    from lanman.net.loop import loop_factory

    home = own_home(invocation)
    check_platform()
    shares = shares_of(folders)  # looked at now, for mistakes of typing; one that goes later stops no reload

    def read() -> Configuration:
        configuration = configured(invocation, home, listen, config_file, max_sessions, require_encryption)
        return dataclasses.replace(configuration, shares=dict(configuration.shares) | shares)

    configuration = read()
    said_now = frozenset(shares) | ({"max_sessions"} if max_sessions is not None else frozenset())
    log = _log_to(configuration, home, config_file)
    private = () if config_file is None else (config_file,)
    with asyncio.Runner(loop_factory=loop_factory(configuration.loop)) as runner:
        return runner.run(_serve(configuration, home, read, said_now, log, private))


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

    interrupted = stands = changed = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        server.request_stop()

    def reload() -> None:
        nonlocal changed
        changed = True
        if stands:
            _reload(server, log)

    server = SmbServer(configuration, home, read=read, said_now=said_now, private=private, idle=heap.give_back)
    figures = _figures(server)
    loop = asyncio.get_running_loop()
    # Before the start: who reads in the log that the Server listens may send a signal at once.
    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, server.request_stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    async with server, figures:
        _limit(server, log)
        stands = True
        if changed:
            _reload(server, log)
        where = [f"  {host} port {port}" for host, port in server.addresses]
        output.emit([codes.message_text(3524, SERVICE), "", "Listening on", *map(escape, where), ""])
        keep_pauses_short()
        heap.keep_freed()
        await server.wait_stopped()
    return output.EXIT_INTERRUPTED if interrupted else None


def _figures(server: SmbServer) -> contextlib.AbstractAsyncContextManager[object]:
    """What gives the Server's figures to Prometheus beside it, where that is configured: it asks over the control
    socket, as any other program would. Raises LanmanError where the extra metrics is missing."""
    settings, home, name = server.configuration.metrics, str(server.home.path), server.settings.current.name
    if not settings.listen:
        return contextlib.nullcontext()
    from lanman.manage.metrics.exporter import Exporter, Served
    from lanman.manage.open import LANMAN, open_manager

    own = Served(name, lambda: open_manager(home=home, service=LANMAN))
    return Exporter([own], listen=settings.listen, names=settings.names)


def _reload(server: SmbServer, log: LogFile | None) -> None:
    """SIGHUP: go on in a new log if the old one was renamed, then read the configuration again."""
    actions = {"the configuration is not read again": server.reload}
    if log is not None:
        actions = {"the log goes on in the old file": log.reopen, **actions}
    for failure, action in actions.items():
        try:
            action()
        except LanmanError as error:
            # To the log: who sent the signal cannot be told, and a Server's standard error is rarely read.
            _server_log.error("SIGHUP: %s: %s", failure, escape(error.with_hint))
    _limit(server, log)


def _limit(server: SmbServer, log: LogFile | None) -> None:
    if log is not None:
        log.limit(server.configuration.log.max_bytes, server.configuration.log.keep)
