"""What this machine has: the home of a Server of lanman, who holds its port, and Samba's tools. Nothing is changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from lanman.errors import AccessDenied, LanmanError
from lanman.manage import loopback
from lanman.manage.doctor.facts import Here, HomeFacts
from lanman.manage.samba_local.find import running
from lanman.net.configuration import read_configuration
from lanman.net.control.client import ControlClient, ServerNotStarted
from lanman.net.control.peer import user_name_of
from lanman.net.dial import Within
from lanman.net.home import Home, client_homes
from lanman.net.tool import find_tool

# What the kernel's SMB server shows while its module is loaded.
KSMBD: Final = Path("/sys/class/ksmbd-control")
SAMBA_TOOLS: Final = ("smbstatus", "smbcontrol", "testparm")


async def look_here(home: str | Path | None, port: int | None, deadline: float) -> Here:
    """What this machine has; `port` is the one that was named, None for that of the configuration. Each socket has
    `deadline` seconds to answer."""
    places = [await _look_at(each, deadline) for each in client_homes(None if home is None else str(home))]
    order = {"answers": 0, "denied": 1, "absent": 2}
    # Where no socket is, the home that is there counts; `client_homes` has the likeliest first.
    chosen = min(places, key=lambda place: (order[place.control], place.mode is None))
    here = Here(chosen)
    if port is not None:
        chosen.port = port
    if hasattr(os, "geteuid"):
        here.user_id = os.geteuid()
        here.user_name = user_name_of(here.user_id)
    if await loopback.answers(chosen.port):
        here.holder = await loopback.kind_of(chosen.port)
    here.samba = await running(loopback.SAMBA_PIDS)
    here.ksmbd = KSMBD.exists()
    here.missing_tool = next((name for name in SAMBA_TOOLS if not _is_there(name)), None)
    return here


async def _look_at(home: Home, deadline: float) -> HomeFacts:
    place = HomeFacts(home.path)
    try:
        found = os.stat(home.path)
        place.mode, place.owner, place.owner_name = found.st_mode & 0o777, found.st_uid, user_name_of(found.st_uid)
        place.accounts_mode = os.stat(home.accounts).st_mode & 0o777
    except OSError:
        pass  # what is not there, or may not be looked at, stays None
    try:
        place.port = read_configuration(home.configuration).port
    except AccessDenied:
        pass  # another user's home: its port is not known
    except LanmanError as error:
        place.configuration_error = error
    if not _has_unix_sockets():
        return place
    try:
        within = Within(deadline, lambda: f"{home.control}: the Server does not answer")
        async with within, ControlClient(home.control):
            place.control = "answers"
    except ServerNotStarted:
        pass
    except LanmanError as error:
        place.control, place.denied = "denied", error
    return place


def _has_unix_sockets() -> bool:
    return sys.platform != "win32"


def _is_there(name: str) -> bool:
    try:
        find_tool(name)
    except LanmanError:
        return False
    return True
