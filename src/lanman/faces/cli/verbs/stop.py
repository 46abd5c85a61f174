"""`lanman stop server`: the end of the Server service that runs in the background."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, windows_service
from lanman.faces.cli.background import (
    LOG_NAME,
    POLL,
    SLOW,
    is_running,
    list_started,
    own_home,
    progress_lines,
)
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.progress import turning_when_slow
from lanman.faces.cli.services import SERVICE, must_be_server
from lanman.faces.dialect import DialectError

if TYPE_CHECKING:
    from lanman.net.home import Home


@verb(
    "stop",
    summary="stop the Server service",
    syntax="lanman stop server",
    about="""
Stops this user's Server service; all of its sessions end. With --service windows it is Windows' own Server service that
is stopped, from an elevated prompt, after what depends on it: that is asked first.
""",
    examples="lanman stop server",
)
@argument("service", required=False, shell_complete=completers.server_service)
def stop(invocation: Invocation, service: str | None) -> int | None:
    """Stop the Server and wait for its end, `--timeout` seconds at most. LanmanError 3521: none runs."""
    if service is None:
        raise DialectError(3503, hint="Name the service: lanman stop server. `lanman start` lists what is started.")
    must_be_server(service)
    if invocation.service == "windows":
        return windows_service.stop(invocation)
    home = own_home(invocation)
    if not is_running(home):
        raise LanmanError(codes.message_text(3521, SERVICE), code=3521, hint=f"Nobody listens at {home.control}.")
    progress_lines(invocation, codes.message_text(3527, SERVICE))
    asyncio.run(_request_stop(home, invocation.timeout))
    deadline = time.monotonic() + invocation.timeout
    with turning_when_slow("Waiting for the Server service to stop", patience=SLOW) as look:
        while is_running(home):
            if time.monotonic() > deadline:
                raise LanmanError(codes.message_text(3528, SERVICE), code=3528, hint=f"See {home.path / LOG_NAME}.")
            look()
            time.sleep(POLL)
    progress_lines(invocation, codes.message_text(3529, SERVICE), "")
    if invocation.format is not Format.TABLE:
        list_started(invocation)
    return None


async def _request_stop(home: Home, timeout: float) -> None:
    from lanman.net.control.client import ControlClient

    try:
        async with asyncio.timeout(timeout), ControlClient(home.control) as client:
            await client.stop()
    except TimeoutError:
        message = f"{home.control}: the Server does not answer"
        raise LanmanError(message, code=codes.ERROR_SERVICE_REQUEST_TIMEOUT) from None
