"""The REST interface without a socket: a console, people who are logged on, and requests whose answers are checked.

    async with api({"fs1": FakeManager(...)}) as web:
        ann = web.log_in("ann")
        answer = await ann.get("/servers/fs1/sessions", user="bob")

Every answer is held against what its route declares, by jsonschema, and every error against the one form of errors.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from lanman.errors import AuthenticationError
from lanman.faces.web.api.common import ERROR
from lanman.faces.web.api.routing import Declared, declared
from lanman.faces.web.app import make_app
from lanman.faces.web.console import Console, Offered, Settings
from lanman.faces.web.people import Access, Kind, Person
from lanman.manage.manager import Manager
from lanman.net.approach import PLAIN
from lanman.net.credentials import Credentials
from support.passwords import PASSWORD

jsonschema = pytest.importorskip("jsonschema", reason="not installed: jsonschema (of the development tools)")

PLACE = "127.0.0.1:8445"

Managers = Mapping[str, Manager]
"""The Managers that answer a server's users, by user; "" for the command's own credentials and everybody else."""


@dataclass
class Answer:
    """What was answered."""

    status: int
    json: Any
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class Asker:
    """A person's browser."""

    def __init__(self, web: Web, person: Person | None, key: str = "") -> None:
        self.person, self.key = person, key
        self._web = web
        cookies = {f"lanman-{PLACE.partition(':')[2]}": key} if key else {}
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=web.app),
            base_url=f"http://{PLACE}",
            headers={"sec-fetch-site": "same-origin"},
            cookies=cookies,
        )

    async def get(self, path: str, /, **query: Any) -> Answer:
        return await self.ask("GET", path, params=query)

    async def post(self, path: str, body: Any = None, **how: Any) -> Answer:
        return await self.ask("POST", path, **({} if body is None else {"json": body}), **how)

    async def ask(self, method: str, path: str, **how: Any) -> Answer:
        """One request; its answer, which is as it was declared."""
        response = await self._client.request(method, f"/api/v1{path}", **how)
        is_json = response.headers.get("content-type", "").startswith("application/json")
        answer = Answer(
            response.status_code,
            response.json() if is_json and response.content else None,
            response.text,
            response.headers,
        )
        check_shape(method, f"/api/v1{path}", answer)
        return answer

    async def plan(self, server: str, verb: str, targets: list[str] | None = None, **more: Any) -> Any:
        """A plan that is made."""
        body = {"verb": verb, **({} if targets is None else {"targets": targets}), **more}
        answer = await self.post(f"/servers/{server}/plans", body)
        assert answer.status == 201, answer
        return answer.json

    async def run(self, plan: Any, *, status: int = 202, **body: Any) -> Any:
        """A plan that is run, with what became of it, where it is run to its end."""
        answer = await self.post(f"/plans/{plan['plan']}/run", {"confirm": plan["confirm"], **body})
        assert answer.status == status, answer
        return await self.over(plan) if status == 202 else answer

    async def over(self, plan: Any) -> Any:
        """What became of a plan, when it is over."""
        kept = self._web.console.plans._kept[plan["plan"]]
        if kept.task is not None:
            await kept.task
        return (await self.get(f"/plans/{plan['plan']}")).json

    async def keys(self, server: str, kind: str, **query: Any) -> list[str]:
        """The keys of the rows of a list."""
        answer = await self.get(f"/servers/{server}/{kind}", **query)
        assert answer.status == 200, answer
        return [row["key"] for row in answer.json["rows"]]

    async def close(self) -> None:
        await self._client.aclose()


@dataclass
class Web:
    """A console that is entered, and whoever asks it. `now` is its clock."""

    console: Console
    now: list[float]
    app: Any = None
    askers: list[Asker] = field(default_factory=list)
    told: list[tuple[Person, Mapping[str, Any]]] = field(default_factory=list)

    def log_in(
        self, user: str, *servers: str, kind: Kind = "login", may_order: bool = True, password: str = PASSWORD
    ) -> Asker:
        """Somebody with an access to some servers, all for none."""
        accesses = {}
        for name in servers or tuple(self.console.servers):
            who = Credentials(user, password)
            opening = self.console.servers[name].opening_as(who, PLAIN)
            accesses[name] = Access(name, user, opening, may_order, who)
        person = Person(user, kind, accesses)
        return self.asker(person)

    def asker(self, person: Person | None) -> Asker:
        key = "" if person is None else self.console.people.begin(person, self.console.clock())
        asker = Asker(self, person, key)
        self.askers.append(asker)
        return asker

    async def seen(self, server: str, asker: Asker) -> None:
        """Have the console's picture of a server be as it is now."""
        assert asker.person is not None
        viewing = await self.console.hub.join(asker.person, asker.person.accesses[server])
        poll = viewing.poll
        assert poll is not None
        asked = viewing.picture.asked_at if viewing.picture is not None else None
        self.console.hub.look_now(server)
        from support.waiting import until

        await until(lambda: poll.picture.asked_at != asked and not poll._pending)


@asynccontextmanager
async def api(
    servers: Mapping[str, Manager | Managers | Offered], settings: Settings | None = None, **how: Any
) -> AsyncIterator[Web]:
    """A console in front of Managers. Who is no user of a server's Managers is refused the log-on."""
    now = [1000.0]
    offered = [each if isinstance(each, Offered) else offer(name, each) for name, each in servers.items()]
    console = Console(offered, settings or Settings(timeout=60.0, every=60.0), clock=lambda: now[0], **how)
    web = Web(console, now)
    tell = console.plans._emit

    def told(person: Person, what: Mapping[str, Any]) -> None:
        web.told.append((person, what))
        tell(person, what)

    console.plans._emit = told
    async with console:
        web.app = make_app(console)
        try:
            yield web
        finally:
            for asker in web.askers:
                await asker.close()


def offer(name: str, managers: Manager | Managers) -> Offered:
    """A server that is answered for by Managers."""
    by_user = {"": managers} if isinstance(managers, Manager) else managers

    def opening(user: str) -> Callable[[], AbstractAsyncContextManager[Manager]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Manager]:
            manager = by_user.get(user) or by_user.get("")
            if manager is None:
                raise AuthenticationError("the log-on was refused")
            yield manager

        return opened

    return Offered(name, opening(""), lambda credentials, *how: opening(credentials.user_name))


# --- shapes


def route_of(method: str, path: str) -> Declared | None:
    """The route that a path is of."""
    for one in declared():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(one.path))
        if one.method == method and re.fullmatch(pattern, path):
            return one
    return None


def check_shape(method: str, path: str, answer: Answer) -> None:
    """Assert that an answer is as its route declares it."""
    if answer.status >= 400:
        assert answer.json is not None, (path, answer.status, answer.text)
        jsonschema.validate(answer.json, ERROR, jsonschema.Draft202012Validator)
        return
    one = route_of(method, path.partition("?")[0])
    if one is None:
        return
    assert answer.status == one.status, (path, answer)
    if one.answer is not None:
        jsonschema.validate(answer.json, one.answer, jsonschema.Draft202012Validator)
