"""`lanman start server`: the Server service, in the background."""

from __future__ import annotations

from pathlib import Path

from lanman.faces.cli import completers, windows_service
from lanman.faces.cli.background import (
    LOG_NAME,
    configured,
    list_started,
    own_home,
    server_options,
    start_service,
)
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.services import must_be_server
from lanman.faces.dialect import DialectError


@verb(
    "start",
    summary="start the Server service in the background",
    syntax="""
lanman start
lanman start server [--listen ADDR ...] [--port N] [--config FILE] [--max-sessions N] [--require-encryption]
""",
    about=f"""
Starts this user's Server service in the background. What it has to say goes to {LOG_NAME} in its home.
Without a name, lists the services that are started. With --service windows it is Windows' own Server service that is
started, from an elevated prompt.
""",
    examples="""
lanman start                          which services are started
lanman start server --port 4450       the Server service, on a port that any user may have
""",
)
@argument("service", required=False, shell_complete=completers.server_service)
@server_options
def start(
    invocation: Invocation,
    service: str | None,
    listen: tuple[str, ...],
    config_file: str | None,
    max_sessions: int | None,
    require_encryption: bool,
) -> None:
    """Start the Server in the background with these options; without a service, list what is started."""
    if service is None:
        return list_started(invocation)
    must_be_server(service)
    if invocation.service == "windows":
        if listen or config_file or max_sessions is not None or require_encryption:
            raise DialectError(3510, hint="Those options are for lanman's own Server: leave out --service windows.")
        return windows_service.start(invocation)
    from lanman.net.disk.system import check_platform

    home = own_home(invocation)
    check_platform()
    configured(invocation, home, listen, config_file, max_sessions, require_encryption)
    words = [f"--listen={address}" for address in listen]
    words += [] if invocation.given_port is None else [f"--port={invocation.given_port}"]
    words += [] if config_file is None else [f"--config={Path(config_file).absolute()}"]
    words += [] if max_sessions is None else [f"--max-sessions={max_sessions}"]
    words += ["--require-encryption"] if require_encryption else []
    start_service(invocation, home, words)
    return None if invocation.format is Format.TABLE else list_started(invocation)
