"""The stream over real HTTP, in front of our own Server: limits, log-out, and the end with streams open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import lanman
from lanman.faces.web.app import make_app
from lanman.faces.web.console import Console, Offered, Settings
from lanman.faces.web.live import hub
from lanman.faces.web.logins import OneTime
from lanman.manage.kept import Opening
from lanman.manage.open import open_manager
from lanman.manage.watching import poller
from lanman.net.approach import Approach
from lanman.net.credentials import Credentials
from support.passwords import PASSWORD
from support.platforms import need_posix
from support.waiting import until

PATIENCE = 30.0
"""In seconds: what ends at once, and else never, may take so long on a machine that is busy."""


@dataclass
class Site:
    """A console at a port, in front of a Server whose administrators are ann and adam."""

    console: Console
    port: int
    server: lanman.Server
    once: str
    """The word of the one-time link."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def ask(self, method: str, path: str, cookie: str = "", body: Any = None) -> Answer:
        """Send a request over a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        self.writers.append(writer)
        text = "" if body is None else json.dumps(body)
        head = f"{method} /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nSec-Fetch-Site: same-origin\r\n"
        head += f"Cookie: {cookie}\r\n" if cookie else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n" if body is not None else ""
        writer.write(f"{head}\r\n{text}".encode())
        status = int((await reader.readline()).split()[1])
        headers: dict[str, str] = {}
        while (line := (await reader.readline()).decode().strip()) != "":
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        return Answer(reader, writer, status, headers)

    async def logged_on(self, user: str) -> str:
        """The cookie of somebody who is logged on at the server."""
        return await self._logged_in({"server": "fs1", "user": user, "password": PASSWORD})

    async def by_link(self) -> str:
        """The cookie of whoever has the one-time link, and asks with the command's own credentials."""
        return await self._logged_in({"once": self.once})

    async def _logged_in(self, who: dict[str, str]) -> str:
        answer = await self.ask("POST", "login", body=who)
        assert answer.status == 204, await answer.rest()
        await answer.close()
        return answer.headers["set-cookie"].split(";")[0]


@dataclass
class Answer:
    """An answer whose body is read by whoever wants it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int
    headers: dict[str, str]

    async def events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The events of a stream, until it ends."""
        name = ""
        while line := await self.reader.readline():
            if line.startswith(b"event: "):
                name = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                yield name, json.loads(line[6:])

    async def rest(self) -> bytes:
        """What is left of it."""
        length = self.headers.get("content-length")
        return await (self.reader.read() if length is None else self.reader.readexactly(int(length)))

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def site(folder: Path, **options: Any) -> AsyncIterator[Site]:
    need_posix()
    names = ("ann", "adam", "mallory")
    server = lanman.Server(
        {}, dict.fromkeys(names, PASSWORD), administrators=("ann", "adam"), home=folder / "home", name="fs1"
    )
    async with server:

        def opening_as(credentials: Credentials, approach: Approach) -> Opening:
            return lambda: open_manager("127.0.0.1", credentials, port=server.port, approach=approach)

        offered = Offered("fs1", lambda: open_manager(None, home=folder / "home"), opening_as)
        async with Console([offered], Settings(every=0.5, **options)) as console:
            listening = socket.create_server(("127.0.0.1", 0))
            once = OneTime(console.clock())
            config = uvicorn.Config(make_app(console, once), http="h11", log_level="error", lifespan="off")
            serving = uvicorn.Server(config)
            task = asyncio.create_task(serving.serve([listening]))
            there = Site(console, listening.getsockname()[1], server, once.word)
            try:
                yield there
            finally:
                for writer in there.writers:
                    writer.close()
                serving.should_exit = True
                console.hub.stop()
                async with asyncio.timeout(PATIENCE):
                    await task


def run(folder: Path, test: Callable[[Site], Awaitable[None]]) -> None:
    async def with_site() -> None:
        async with asyncio.timeout(60), site(folder) as there:
            await test(there)

    asyncio.run(with_site())


def test_two_people_see_a_log_on_by_one_poll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # How slowly a busy machine is asked is another matter.
    monkeypatch.setattr(poller, "LOAD", 0)

    async def test(site: Site) -> None:
        streams = []
        for user in ("ann", "adam"):
            stream = await site.ask("GET", "events?servers=fs1", await site.logged_on(user))
            assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            events = stream.events()
            name, hello = await anext(events)
            assert (name, hello["person"]["name"], hello["servers"][0]["state"]) == ("hello", user, "up")
            streams.append((stream, events))
        polls = {viewing.poll for guest in site.console.hub._guests.values() for viewing in guest.viewings.values()}
        assert len(polls) == 1

        async def seen(events: AsyncIterator[tuple[str, dict[str, Any]]]) -> bool:
            async for name, data in events:
                opened = [row["user_name"] for row in data.get("open", [])]
                if name == "delta" and "mallory" in opened:
                    return True
            return False

        async with open_manager("127.0.0.1", Credentials("mallory", PASSWORD), port=site.server.port):
            assert await asyncio.gather(*(seen(events) for _, events in streams)) == [True, True]
        for stream, _ in streams:
            await stream.close()

    run(tmp_path, test)


def test_a_connection_of_a_session_that_is_lost_is_told_by_the_stream(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        stream = await site.ask("GET", "events?servers=fs1", await site.by_link())
        events = stream.events()
        name, hello = await anext(events)
        assert (name, hello["servers"][0]["state"]) == ("hello", "up")
        deltas = (data async for name, data in events if name == "delta")
        service = site.server._running.service
        async with open_manager("127.0.0.1", Credentials("mallory", PASSWORD), port=site.server.port):
            while not (opened := [row for row in (await anext(deltas))["open"] if row["user_name"] == "mallory"]):
                pass
            (session,) = service.sessions()
            _, second = await asyncio.open_connection("127.0.0.1", site.server.port, local_addr=("127.0.0.9", 0))
            site.writers.append(second)
            first = session.connection_id
            await until(lambda: len(service._connections.values()) == 2)
            (other,) = {each.connection_id for each in service._connections.values()} - {first}
            service.add_channel(session, other)
            bound = await change_of(deltas, opened[0]["key"])
            assert (bound["channels_before"], bound["channels"]) == (["127.0.0.1"], ["127.0.0.1", "127.0.0.9"])
            second.transport.abort()
            lost = await change_of(deltas, opened[0]["key"])
            assert (lost["channels_before"], lost["channels"]) == (["127.0.0.1", "127.0.0.9"], ["127.0.0.1"])
            assert lost["user_name"] == "mallory"
        await stream.close()

    async def change_of(deltas: AsyncIterator[dict[str, Any]], key: str) -> dict[str, Any]:
        async for delta in deltas:
            for change in delta["change"]:
                if change["key"] == key and "channels" in change:
                    found: dict[str, Any] = change
                    return found
        raise AssertionError("the stream has ended")

    run(tmp_path, test)


def test_who_may_see_nothing_is_told_so(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        ann = await site.ask("GET", "events", await site.logged_on("ann"))
        await anext(ann.events())
        mallory = await site.ask("GET", "events", await site.logged_on("mallory"))
        _, hello = await anext(mallory.events())
        (server,) = hello["servers"]
        assert not {"session", "file"} & set(server["kinds"])
        assert server["state"] == ("up" if server["kinds"] else "denied")
        assert not server["capabilities"]["end"]
        assert not server["capabilities"]["close"]
        await ann.close()
        await mallory.close()

    run(tmp_path, test)


def test_nobody_and_an_unknown_server(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        nobody = await site.ask("GET", "events")
        assert nobody.status == 401
        await nobody.close()
        cookie = await site.logged_on("ann")
        unknown = await site.ask("GET", "events?servers=fs1,fs9", cookie)
        assert unknown.status == 404
        assert "fs9" in json.loads(await unknown.rest())["error"]["message"]
        await unknown.close()

    run(tmp_path, test)


def test_more_streams_than_may_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MAX_STREAMS_OF_ONE", 2)
    monkeypatch.setattr(hub, "MAX_STREAMS", 3)

    async def test(site: Site) -> None:
        ann, adam = await site.logged_on("ann"), await site.logged_on("adam")
        answers = [await site.ask("GET", "events", cookie) for cookie in (ann, ann, ann, adam, adam)]
        assert [answer.status for answer in answers] == [200, 200, 429, 200, 503]
        for answer in (answers[2], answers[4]):
            assert answer.headers["retry-after"] == "30"
            error = json.loads(await answer.rest())["error"]
            assert "streams" in error["message"]
            assert error["hint"]
        await answers[0].close()
        await until(lambda: site.console.hub.streams < 3)
        again = await site.ask("GET", "events", adam)
        assert again.status == 200
        for answer in (*answers, again):
            await answer.close()

    run(tmp_path, test)


def test_log_out_ends_the_streams(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        ann, adam = await site.logged_on("ann"), await site.logged_on("adam")
        streams = [await site.ask("GET", "events", cookie) for cookie in (ann, ann, adam)]
        every = [stream.events() for stream in streams]
        for events in every:
            await anext(events)
        answer = await site.ask("POST", "logout", ann, {})
        assert answer.status == 204
        await answer.close()
        assert not [event async for event in every[0] if event[0] == "delta"]  # it ends
        assert not [event async for event in every[1] if event[0] == "delta"]
        again = await site.ask("GET", "events", ann)
        assert again.status == 401
        assert site.console.hub.streams == 1
        for each in (*streams, again):
            await each.close()

    run(tmp_path, test)


def test_a_session_that_expires_ends_the_stream(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        stream = await site.ask("GET", "events", await site.logged_on("ann"))
        events = stream.events()
        await anext(events)
        site.console.people.expire(site.console.clock() + 15 * 60)
        assert not [event async for event in events if event[0] == "delta"]
        await stream.close()

    run(tmp_path, test)


def test_the_console_ends_with_streams_open(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        streams = [await site.ask("GET", "events", await site.logged_on("ann")) for _ in range(3)]
        # A stream that is not ended goes on for ever.
        async with asyncio.timeout(PATIENCE):
            await site.console.close()
            for stream in streams:
                await stream.reader.read()
        for stream in streams:
            await stream.close()

    run(tmp_path, test)
