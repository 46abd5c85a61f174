"""`lanman pause server`: no newcomers but administrators."""

from __future__ import annotations

from lanman.faces.cli import completers
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.services import change_service


@verb(
    "pause",
    summary="let no newcomers in but administrators",
    syntax="lanman pause server",
    about=r"""
Pauses a Server service. Who is there stays, with all that is open. New sessions, and new connections to shares, are
refused with system error 70, unless they are those of administrators. It lasts until `lanman continue server`, or until
the service is started again. Samba cannot be paused.
""",
    examples=r"""
lanman pause server                   pause this machine's Server
lanman pause server -S fs1 -U ann     pause that of \\fs1, as ann
""",
)
@argument("service", required=False, shell_complete=completers.server_service)
def pause(invocation: Invocation, service: str | None) -> int | None:
    """Pause the Server service. Win32Error 50: the server cannot be paused."""
    unchanged = "The Server service was paused already."
    return change_service(invocation, service, "pause", lambda manager: manager.pause(), 3537, unchanged)
