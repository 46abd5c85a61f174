"""Which SMB server answers on this machine where lanman's control socket does not, and how to ask it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError, Win32Error
from lanman.manage.link import is_samba
from lanman.manage.manager import DEFAULT_PORT
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.dial import dial
from lanman.net.resolve import resolve
from lanman.net.server_facts import is_lanman

LOOPBACK = "127.0.0.1"

# How long a server that holds the port is given to say what it is, in seconds.
PATIENCE = 1.0
SAMBA = "Samba"
LANMAN = "a lanman Server"
OTHER_SMB = "another SMB server"
# smbd's pid files: as distributions build it, and with its own default paths.
SAMBA_PIDS = (Path("/run/samba/smbd.pid"), Path("/var/run/smbd.pid"), Path("/usr/local/samba/var/run/smbd.pid"))


async def answers(port: int) -> bool:
    """Whether that port of the loopback interface accepts connections."""
    try:
        connection = await dial(LOOPBACK, port, await resolve(LOOPBACK, port))
    except ConnectionLost:
        return False
    connection.close()
    return True


async def kind_of(port: int) -> str:
    """What serves a port of the loopback interface, by its NEGOTIATE response."""
    client = SmbClient(LOOPBACK, port, Credentials(anonymous=True))
    try:
        async with asyncio.timeout(PATIENCE):
            await client.connect()
        guid = client.negotiated.server_guid
        return SAMBA if is_samba(guid) else LANMAN if is_lanman(guid) else OTHER_SMB
    except (LanmanError, TimeoutError):
        # Whatever it is, it holds the port.
        return "another program"
    finally:
        await client.abort()


async def how_to_ask(port: int) -> str | None:
    """How to ask another SMB server of this machine, which is not lanman's; None where there seems to be none."""
    if await answers(port):
        where = "localhost" if port == DEFAULT_PORT else f"localhost:{port}"
        ask = f"ask it with `lanman session -S {where} -U USER`"
        return f"{await kind_of(port)} serves port {port} of this machine: {ask}"
    for path in SAMBA_PIDS:
        if _is_running(path):
            return f"{SAMBA} runs on this machine, and not at 127.0.0.1: ask it with -S ADDRESS -U USER"
    return None


def _is_running(pid_file: Path) -> bool:
    """Whether the process that a pid file names runs."""
    try:
        os.kill(int(pid_file.read_text()), 0)
    except PermissionError:
        # It does, and is another user's.
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return True


def not_started(home: str | Path | None, other: str | None = None) -> Win32Error:
    """NERR_ServerNotStarted, and how to start one; `other` is how to ask another SMB server that is here."""
    where = "" if home is None else f" --home {home}"
    start = f"start one with `lanman start server{where}`, or name another machine's with --server"
    return Win32Error(codes.NERR_ServerNotStarted, hint=f"{other}; {start}" if other else start)
