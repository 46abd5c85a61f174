"""The web console without a socket, in front of servers that only judge passwords: for tests of who gets in.

async with guarded() as web:
    assert (await web.log_in("fs1", "ann", "secret")).status_code == 204
    web.now += 900
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from lanman.errors import AuthenticationError, LanmanError
from lanman.faces.web.app import make_app
from lanman.faces.web.console import Console, Offered, Settings
from lanman.faces.web.logins import OneTime
from lanman.faces.web.protection import Rules
from lanman.net.approach import PLAIN, Approach
from lanman.net.credentials import Credentials
from support.fake_manager import FakeManager
from support.passwords import PASSWORD

if TYPE_CHECKING:
    from lanman.manage.kept import Opening
    from lanman.manage.manager import Manager


@dataclass
class Judge:
    """A server: everybody's password is PASSWORD. `tried` is whom it has judged; `error` is raised before that."""

    tried: list[Credentials] = field(default_factory=list)
    error: LanmanError | None = None

    def opening_as(self, credentials: Credentials, approach: Approach = PLAIN) -> Opening:
        @asynccontextmanager
        async def opening() -> AsyncIterator[Manager]:
            if self.error is not None:
                raise self.error
            if approach.on_proof is not None:
                approach.on_proof()
            self.tried.append(credentials)
            if credentials.password != PASSWORD:
                raise AuthenticationError("wrong user name or password")
            if approach.on_logon is not None:
                approach.on_logon()
            yield FakeManager()

        return opening


@dataclass
class Guarded:
    """A console whose time is `now`, and browsers that come to it."""

    console: Console
    once: OneTime
    rules: Rules
    judges: dict[str, Judge]
    time: list[float]

    @property
    def now(self) -> float:
        return self.time[0]

    @now.setter
    def now(self, now: float) -> None:
        self.time[0] = now

    def browser(self, url: str = "http://127.0.0.1:8445", peer: str | None = "127.0.0.1") -> httpx.AsyncClient:
        """Somebody who comes from an address, or by a Unix socket for None."""
        app = make_app(self.console, self.once, self.rules)

        async def from_peer(scope: object, receive: object, send: object) -> None:
            if peer is None:
                scope["client"] = None  # type: ignore[index]
            await app(scope, receive, send)  # type: ignore[arg-type]

        transport = httpx.ASGITransport(from_peer, client=(peer or "", 40000))
        return httpx.AsyncClient(transport=transport, base_url=url)

    async def log_in(
        self, browser: httpx.AsyncClient, user: str, password: str = PASSWORD, server: str = "fs1"
    ) -> httpx.Response:
        return await browser.post("/api/v1/login", json={"server": server, "user": user, "password": password})


@asynccontextmanager
async def guarded(
    rules: Rules | None = None, *, readonly: bool = False, own: Credentials | None = None
) -> AsyncIterator[Guarded]:
    """A console of fs1 and fs2, with credentials of its `own`."""
    judges = {"fs1": Judge(), "fs2": Judge()}
    own = own or Credentials("own", PASSWORD)
    offered = [Offered(name, judge.opening_as(own), judge.opening_as) for name, judge in judges.items()]
    time = [1000.0]
    async with Console(offered, Settings(readonly=readonly), clock=lambda: time[0]) as console:
        yield Guarded(console, OneTime(time[0]), rules or Rules(), judges, time)
