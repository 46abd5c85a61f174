"""`lanman continue server`: newcomers are let in again."""

from __future__ import annotations

from lanman.errors import LanmanError
from lanman.faces.cli import completers
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.output import warn
from lanman.faces.cli.parameters import argument
from lanman.faces.cli.services import change_service


@verb(
    "continue",
    summary="let newcomers in again after a pause",
    syntax="lanman continue server",
    about="Continues a Server service that `lanman pause server` has paused, whoever paused it.",
    examples=r"""
lanman continue server                   continue this machine's Server
lanman continue server -S fs1 -U ann     continue that of \\fs1, as ann
""",
)
@argument("service", required=False, shell_complete=completers.server_service)
def continue_(invocation: Invocation, service: str | None) -> int | None:
    """Continue the Server service. Win32Error 50: the server cannot be paused, and so not continued."""
    unchanged = "The Server service was not paused."
    status = change_service(invocation, service, "continue", lambda manager: manager.continue_(), 3536, unchanged)
    for each in invocation.each():
        if each.node not in invocation.missing:
            _forget_drain(each)
    return status


def _forget_drain(invocation: Invocation) -> None:
    """What a drain that was killed has noted is undone now."""
    from lanman.net.drains import KeptDrain, drain_name

    name = drain_name(invocation.server, invocation.port, invocation.service)
    try:
        KeptDrain(name, invocation.home).forget()
    except LanmanError as error:
        warn(error.with_hint)
