"""Who may log on when, at the nodes of a cluster: a wrong password must not be tried at all of them at once.

In a domain each refusal counts at the same account, which a handful of them locks. Rules:

  - One node logs on alone. Where it is let in, the password is right, and all others follow at the same time.
  - Where it is refused, the next one tries: an account may be one node's own. After `MAX_REFUSALS` nobody tries any
    more, and those that are left say that they were not tried.
  - Whoever takes longer than `PATIENCE` with its log-on is not waited for by the next, so one that hangs holds up
    nobody for longer.
  - Connecting is no log-on: all do that at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lanman.errors import AuthenticationError
from lanman.net.approach import PLAIN, Approach

if TYPE_CHECKING:
    from lanman.net.credentials import Credentials

MAX_REFUSALS: Final = 2
PATIENCE: Final = 0.5


class LogonGate:
    """The gate of one set of credentials."""

    def __init__(self) -> None:
        self._is_accepted = False
        self._refusals = 0
        self._ahead: asyncio.Event | None = None

    @asynccontextmanager
    async def log_on(self) -> AsyncIterator[None]:
        """Around one log-on. Raises AuthenticationError where others were refused so often that it is not tried."""
        settled = await self._turn()
        try:
            if self._refusals >= MAX_REFUSALS and not self._is_accepted:
                raise NotTried(self._refusals)
            yield
            self._is_accepted = True
            if self._ahead is not None:
                self._ahead.set()
        except NotTried:
            raise
        except AuthenticationError:
            self._refusals += 1
            raise
        finally:
            settled.set()

    async def _turn(self) -> asyncio.Event:
        """Wait for this one's turn, or until turns do not matter any more; give what is to be set when it is done."""
        while not self._is_accepted and self._ahead is not None and not self._ahead.is_set():
            ahead = self._ahead
            try:
                async with asyncio.timeout(PATIENCE):
                    await ahead.wait()
            except TimeoutError:
                if self._ahead is ahead:
                    break
        settled = asyncio.Event()
        if not self._is_accepted:
            self._ahead = settled
        return settled


class NotTried(AuthenticationError):
    """The log-on was not tried, since so many other nodes have refused it."""

    def __init__(self, refusals: int) -> None:
        super().__init__(
            f"the log-on was not tried: {refusals} other nodes have refused this user and password",
            hint="each wrong password counts, and many lock the account; a node is asked by itself with -S",
        )


class LogonGates:
    """The gates of several sets of credentials, for who opens many servers one by one."""

    def __init__(self) -> None:
        self._gates: dict[Hashable, LogonGate] = {}

    def approach(self, credentials: Credentials | None, approach: Approach = PLAIN) -> Approach:
        """How a server is approached with some credentials: at the gate that is theirs."""
        key = None if credentials is None else (credentials.logon_name, credentials.password, credentials.nt_hash)
        gate = self._gates.setdefault(key, LogonGate())
        return replace(approach, around_logon=gate.log_on)
