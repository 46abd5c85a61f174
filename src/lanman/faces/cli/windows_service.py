"""Windows' own Server service, started and stopped by its Service Control Manager: `--service windows`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli.background import list_started, progress_lines
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.output import Format
from lanman.faces.cli.services import SERVICE
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.manage.windows.manager import WindowsManager


def start(invocation: Invocation) -> None:
    """Start it, and wait until it runs. LanmanError 2182: it runs already; 3523 with the reason: it does not start."""
    manager = _manager(invocation)
    progress_lines(invocation, codes.message_text(3522, SERVICE))
    try:
        asyncio.run(manager.start_service())
    except LanmanError as error:
        if error.code == codes.ERROR_SERVICE_ALREADY_RUNNING:
            installed = codes.NERR_ServiceInstalled
            raise LanmanError(codes.win32_text(installed), code=installed) from None
        raise
    progress_lines(invocation, codes.message_text(3524, SERVICE), "")
    return None if invocation.format is Format.TABLE else list_started(invocation)


def stop(invocation: Invocation) -> int | None:
    """Stop it, and first what depends on it, after asking. The exit status is 2 where the answer is No. Raises
    LanmanError 3521 where it is not started."""
    known: list[str] = []

    def agree(names: Sequence[str]) -> bool:
        """Whether all of these were agreed to; they are known from now on."""
        agreed = set(names) <= set(known)
        known[:] = names
        return agreed

    try:
        while not asyncio.run(_manager(invocation).stop_service(agree)):
            question = [codes.message_text(3530, SERVICE), "", *(f"   {escape(name)}" for name in known), ""]
            invocation.say("".join(f"{line}\n" for line in question))
            if not invocation.confirm("Do you want to continue this operation?", default=False):
                return 2
    except LanmanError as error:
        if error.code == codes.ERROR_SERVICE_NOT_ACTIVE:
            raise LanmanError(codes.message_text(3521, SERVICE), code=3521) from None
        raise
    progress_lines(invocation, codes.message_text(3529, SERVICE), "")
    if invocation.format is not Format.TABLE:
        list_started(invocation)
    return None


def _manager(invocation: Invocation) -> WindowsManager:
    """A Manager of it, running or not. Raises Win32Error 50 where this is no Windows."""
    from lanman.manage.windows.manager import opened_windows

    return opened_windows(timeout=invocation.timeout, deadline=None)
