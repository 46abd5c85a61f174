"""Servers for a sweep that are none: what the Manager of each answers is decided by its port.

    async with sweep("sessions", targets, WHO, scheduler=InProcess(opener=scripted)) as ...
    Processes(2, command=WORKER)        # processes whose servers are scripted, too

The ports say what a server does; a session of it is called by its server's name. `python -m support.fleet_script`,
which WORKER starts, is `lanman.fleet.worker` with this opener.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost, RemoteProtocolError, TimedOut
from lanman.fleet.values import Result
from lanman.manage.answers import Sessions
from lanman.manage.manager import Manager
from lanman.net.approach import Approach
from lanman.net.credentials import Credentials
from lanman.net.server_facts import ServerFacts
from lanman.records import FileInfo, SessionInfo

WHO = Credentials("ann", "secret")
FACTS = ServerFacts("3.1.1", "AES-128-GMAC", True, "", 0, bytes(16))

OK, DEAD, REFUSED, HANGS, DENIED, WRONG, NONSENSE, UNSIGNED, DEADLY, SLOW = range(1, 11)
EXPECTED = {
    OK: Result.OK,
    DEAD: Result.DEAD,
    REFUSED: Result.REFUSED,
    HANGS: Result.TIMEOUT,
    DENIED: Result.DENIED,
    WRONG: Result.LOGON,
    NONSENSE: Result.PROTOCOL,
    UNSIGNED: Result.LOGON,
    SLOW: Result.OK,
}
SESSIONS = 3

_TESTS = Path(__file__).parents[1]
WORKER = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(_TESTS)!r}); import support.fleet_script as s; s.main()",
]


class ScriptedManager:
    """What a visit asks of a Manager."""

    is_samba = False
    server_facts = FACTS

    def __init__(self, server: str) -> None:
        self.server = self.server_address = server

    async def sessions(self) -> Sessions:
        """Three, called by the server."""
        return Sessions(self.server, 502, [SessionInfo(rf"\\pc{n}", self.server, 0, 1, 2) for n in range(SESSIONS)])

    async def files(self) -> list[FileInfo]:
        """One."""
        return [FileInfo(1, 1, 0, r"C:\a", self.server)]


@asynccontextmanager
async def scripted(
    server: str,
    credentials: Credentials,
    *,
    port: int,
    timeout: float,
    deadline: float,
    approach: Approach,
    granted: object = None,
) -> AsyncIterator[Manager]:
    """In the place of `open_manager`."""
    if port == DEADLY:
        os._exit(9)
    await asyncio.sleep(0)
    if port == DEAD:
        await asyncio.sleep(approach.connect_timeout or 0)
        raise ConnectionLost("port 445 did not answer", code=codes.ERROR_BAD_NETPATH)
    if port == REFUSED:
        raise ConnectionLost("nothing listens", code=codes.ERROR_CONNECTION_REFUSED)
    if port == NONSENSE:
        raise RemoteProtocolError("not an SMB2 header")
    if port == HANGS:
        await asyncio.sleep(deadline - asyncio.get_running_loop().time())
        raise TimedOut("no answer")
    facts = FACTS if port != UNSIGNED else ServerFacts("2.1", "HMAC-SHA256", False, "", 0, bytes(16), signs=False)
    if approach.before_logon is not None:
        await approach.before_logon(facts)
    if approach.on_proof is not None:
        approach.on_proof()
    if port == WRONG or credentials.password == "wrong":
        raise AuthenticationError("the user name or password is incorrect")
    if approach.on_logon is not None:
        approach.on_logon()
    if port == DENIED:
        raise AccessDenied("access denied")
    if port == SLOW:
        await asyncio.sleep(0.05)
    yield cast("Manager", ScriptedManager(server))


@asynccontextmanager
async def silent_after_proof(server: str, approach: Approach, sent: Callable[[], None]) -> AsyncIterator[Manager]:
    """In the place of `open_manager`: a server that is sent what shows a password, and says nothing for a day."""
    if approach.before_logon is not None:
        await approach.before_logon(FACTS)
    sent()
    if approach.on_proof is not None:
        approach.on_proof()
    await asyncio.sleep(86400)
    yield cast("Manager", ScriptedManager(server))


def noting(file: Path) -> Callable[..., Any]:
    """An opener whose servers write their names into a file when they are sent what shows a password, and say nothing
    for a day."""

    def opener(server: str, who: Credentials, *, approach: Approach, **_: Any) -> Any:
        return silent_after_proof(server, approach, lambda: _note(file, server))

    return opener


def _note(file: Path, server: str) -> None:
    with file.open("a") as noted:  # by several processes: O_APPEND, and one write
        noted.write(f"{server}\n")


def noting_worker(file: Path) -> list[str]:
    """The command of a process with that opener."""
    return [*WORKER[:2], WORKER[2].replace("s.main()", f"s.main(s.noting(s.Path({str(file)!r})))")]


def main(opener: Any = scripted) -> None:
    """A worker whose servers are scripted."""
    from lanman.fleet.worker import main as work

    work(opener)
