"""What viewers of the web console cost: questions to the server, processor time, memory, and how long the loop is held.

    .venv/bin/python benchmarks/web_live.py [--viewers 100] [--sessions 10000] [--changes 500] [--seconds 20]
        [--json]

One console over real HTTP on the loopback interface, in front of a server that answers from a list, of whose sessions
so many change each second; it is asked every 2 s, however long it takes. Each viewer is a person of their own with a
stream of their own, read by another process. One viewer and many are measured in turns, each in a process of its own.
"Held" is the most processor time that a step of a task took, with the cyclic collector as `lanman web` has it. At last
come 10,000 connections that each want a stream, of one person or of nobody, while an honest viewer is served.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from figures import Figure, add_json, for_people, report

from lanman.faces.web.app import make_app
from lanman.faces.web.console import Console, Offered
from lanman.faces.web.listening import Listening, Serving
from lanman.faces.web.live.deltas import as_json
from lanman.faces.web.people import Access, Person
from lanman.manage.manager import Manager, Sessions
from lanman.manage.watching import poller
from lanman.manage.watching.rows import Kind
from lanman.net.collector import keep_pauses_short
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import FakeManager

poller.LOAD = 0  # type: ignore[misc]  # every 2 s, however long an answer takes on a busy machine

QUESTIONS: Counter[str] = Counter()


class Listing:
    """The sessions of a server, some of which change."""

    def __init__(self, sessions: int, changes: int) -> None:
        self.changes = changes
        self.chance = random.Random(1)
        self.begun = self.at = time.time()
        self.opens = [1] * sessions

    async def now(self) -> list[SessionInfo]:
        """The list as it is now. It is made in steps: a real server makes its own, elsewhere."""
        passed, self.at = time.time() - self.at, time.time()
        for i in self.chance.sample(range(len(self.opens)), min(len(self.opens), round(self.changes * passed))):
            self.opens[i] += 1
        age = round(self.at - self.begun)
        made: list[SessionInfo] = []
        for i, opens in enumerate(self.opens):
            client = rf"\\10.{i >> 8 & 255}.{i & 255}.1"
            made.append(SessionInfo(client, f"user{i % 3000}", opens, 1000 + i % 977 + age, 500 + age, 0, "", ""))
            if i % 200 == 0:
                await asyncio.sleep(0)
        return made


class Scripted(FakeManager):
    """A server that answers from a Listing."""

    listing: Listing

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """The list."""
        QUESTIONS["sessions"] += 1
        return Sessions(self.server, 502, await self.listing.now())

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        """None."""
        QUESTIONS["files"] += 1
        return []

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """One."""
        QUESTIONS["shares"] += 1
        return [ShareInfo("data", 0, "", path=r"C:\data")]


class Held:
    """How long each step of each task took, in seconds of processor time."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = {}
        asyncio.get_running_loop().set_task_factory(
            lambda loop, coroutine, **more: asyncio.Task(_Timed(coroutine, self), loop=loop, **more)
        )

    def of(self) -> dict[str, float]:
        """Milliseconds of the longest steps, by what took them."""
        most = sorted(self.longest.items(), key=lambda item: -item[1])[:6]
        return {name: round(took * 1e3, 1) for name, took in most}


class _Timed(Coroutine[Any, Any, Any]):
    """A coroutine whose steps are timed."""

    def __init__(self, inner: Any, held: Held) -> None:
        self._inner, self._held = inner, held
        self._name = getattr(inner, "__qualname__", repr(inner))

    def send(self, value: Any) -> Any:
        """One step."""
        begun = time.process_time()
        try:
            return self._inner.send(value)
        finally:
            took, longest = time.process_time() - begun, self._held.longest
            longest[self._name] = max(took, longest.get(self._name, 0.0))

    def throw(self, *given: Any) -> Any:
        """One step, with an error."""
        return self._inner.throw(*given)

    def close(self) -> None:
        """The end."""
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


def resident() -> float:
    """MiB of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def served(arguments: argparse.Namespace) -> AsyncIterator[tuple[Console, int, Listing]]:
    """A console on a port, and the listing behind it."""
    listing = Listing(arguments.sessions, arguments.changes)

    def opening() -> Any:
        manager = Scripted("fs1")
        manager.listing = listing
        return manager

    async with Console([Offered("fs1", opening, lambda credentials, approach: opening)]) as console:
        opened = Listening("127.0.0.1:0").opened()
        serving = Serving(make_app(console, None, opened.rules), opened)
        task = asyncio.create_task(serving.serve(sockets=[opened.place.socket]))
        try:
            yield console, opened.place.socket.getsockname()[1], listing
        finally:
            console.hub.stop()
            serving.should_exit = True
            await task
            opened.place.close()


def person(console: Console, listing: Listing, number: int) -> str:
    """A person of their own, with an opening of their own; the id of their session."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Manager]:
        manager = Scripted("fs1")
        manager.listing = listing
        yield manager

    access = Access("fs1", f"user{number}", opening, may_order=True)
    return console.people.begin(Person(f"user{number}", "login", {"fs1": access}), console.clock())


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """So many viewers for so many seconds."""
    held = Held()
    keep_pauses_short()
    async with served(arguments) as (console, port, listing):
        keys = [person(console, listing, number) for number in range(arguments.run)]
        readers = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--read", str(port)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert readers.stdin is not None
        assert readers.stdout is not None
        readers.stdin.write((json.dumps({"keys": keys, "seconds": arguments.seconds}) + "\n").encode())
        await readers.stdout.readline()  # all have hello
        for guest in list(console.hub._guests.values()):
            for each in guest.viewings.values():
                await each.known.wait()
        await asyncio.sleep(2)
        readers.stdin.write(b"begin\n")
        QUESTIONS.clear()
        held.longest.clear()
        begun, processor = time.monotonic(), time.process_time()
        report = json.loads(await readers.stdout.readline())
        took, processor = time.monotonic() - begun, time.process_time() - processor
        viewing = next(iter(next(iter(console.hub._guests.values())).viewings.values()))
        assert viewing.poll is not None
        ring = viewing.poll.ring
        result = {
            "viewers": arguments.run,
            "seconds": took,
            "questions": sum(QUESTIONS.values()),
            "processor": processor,
            "held": held.of(),
            "resident": resident(),
            "ring": ring.size / (1 << 20),
            **report,
        }
        readers.stdin.close()
        await readers.wait()
        result |= await snapshot(viewing)
        return result


async def snapshot(viewing: Any) -> dict[str, float]:
    """What the first list costs, and the second: processor milliseconds, and the longest piece of them."""
    found: dict[str, float] = {}
    shown = viewing.shown
    shown._texts.clear()
    shown._forms.clear()
    for name in ("first", "again"):
        pieces, longest, size = 0.0, 0.0, 0
        items = list(shown.of(Kind.SESSION).items())
        for start in range(0, len(items), 100):
            begun = time.process_time()
            text = ",".join(shown.text(key, row) for key, row in items[start : start + 100])
            took = time.process_time() - begun
            pieces, longest, size = pieces + took, max(longest, took), size + len(text)
        found |= {f"{name}_ms": pieces * 1e3, f"{name}_piece_ms": longest * 1e3, "snapshot_KiB": size / 1024}
    whole = as_json(viewing.rows(Kind.SESSION)).encode()
    found["gzip_KiB"] = len(gzip.compress(whole, 5)) / 1024
    return found


async def read(port: int) -> None:
    """Another process: streams of so many people, for so long."""
    order = json.loads(sys.stdin.readline())
    counts: Counter[str] = Counter()
    ready = asyncio.Semaphore(0)

    async def stream(key: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        writer.write(request(port, key))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                counts["bytes"] += len(line)
                if line.startswith(b"event: "):
                    name = line[7:].decode().strip()
                    counts[name] += 1
                    if name == "hello":
                        ready.release()
        writer.close()

    tasks = [asyncio.create_task(stream(key)) for key in order["keys"]]
    for _ in tasks:
        await ready.acquire()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    counts.clear()
    await asyncio.sleep(order["seconds"])
    print(json.dumps(dict(counts)), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def request(port: int, key: str) -> bytes:
    """What a browser asks for a stream with."""
    cookie = f"Cookie: lanman-{port}={key}\r\n" if key else ""
    return f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{cookie}\r\n".encode()


async def attack(port: int, key: str, number: int) -> None:
    """Another process: so many connections that each want a stream, of one person or of nobody."""
    counts: Counter[str] = Counter()
    limit = asyncio.Semaphore(200)
    writers: list[asyncio.StreamWriter] = []

    async def one(mine: str) -> None:
        async with limit:
            try:
                async with asyncio.timeout(30):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writers.append(writer)
                    writer.write(request(port, mine))
                    line = await reader.readline()
            except (OSError, TimeoutError) as error:
                counts[type(error).__name__] += 1
            else:
                counts[line.decode().strip()[9:12] or "closed"] += 1

    await asyncio.gather(*(one(key if place % 2 else "") for place in range(number)))
    print(json.dumps(dict(counts)), flush=True)
    for writer in writers:
        writer.close()


async def attacked(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ten thousand connections, and an honest viewer."""
    async with served(arguments) as (console, port, listing):
        honest, other = person(console, listing, 1), person(console, listing, 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        writer.write(request(port, honest))
        late: list[float] = []

        async def watch() -> None:
            last = time.monotonic()
            while line := await reader.readline():
                if line.startswith(b"event: delta"):
                    late.append(time.monotonic() - last)
                    last = time.monotonic()

        watching = asyncio.create_task(watch())
        await asyncio.sleep(5)
        late.clear()
        before = resident()
        attacker = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--attack", str(port), "--key", other, "--number", str(arguments.number)),
            stdout=subprocess.PIPE,
        )
        most, streams = 0, 0
        assert attacker.stdout is not None
        reading = asyncio.create_task(attacker.stdout.readline())
        while not reading.done():
            most, streams = max(most, descriptors()), max(streams, console.hub.streams)
            await asyncio.sleep(0.05)
        counts = json.loads(reading.result())
        await attacker.wait()
        await asyncio.sleep(5)
        watching.cancel()
        writer.close()
        return {
            "answers": counts,
            "descriptors": most,
            "streams": streams,
            "more_MiB": resident() - before,
            "deltas": len(late),
            "longest_between": max(late, default=0.0),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--number", type=int, default=10_000, help="of the connections at last")
    for name in ("--run", "--read", "--attack"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--key", default="", help=argparse.SUPPRESS)
    parser.add_argument("--attacked", action="store_true", help=argparse.SUPPRESS)
    add_json(parser)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if arguments.read or arguments.attack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.read:
        asyncio.run(read(arguments.read))
    elif arguments.attack:
        asyncio.run(attack(arguments.attack, arguments.key, arguments.number))
    elif arguments.run:
        print(json.dumps(asyncio.run(measure(arguments))))
    elif arguments.attacked:
        print(json.dumps(asyncio.run(attacked(arguments))))
    else:
        with for_people(arguments.json):
            figures = compare(arguments)
        report("web_live", figures, arguments.json)


def again(arguments: argparse.Namespace, *more: str) -> dict[str, Any]:
    """The same in a process of its own."""
    options = [f"--{name}={getattr(arguments, name)}" for name in ("sessions", "changes", "seconds", "number")]
    done = subprocess.run([sys.executable, __file__, *options, *more], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(arguments: argparse.Namespace) -> list[Figure]:
    """One viewer and many, in turns: lines for people, and the figures."""
    found: dict[int, list[dict[str, Any]]] = {1: [], arguments.viewers: []}
    for _ in range(arguments.rounds):
        for viewers, results in found.items():
            results.append(again(arguments, f"--run={viewers}"))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    one, many = (min(results, key=lambda each: float(each["processor"])) for results in found.values())
    for each in (one, many):
        print(
            f"{each['viewers']} viewers: {each['questions']} questions in {each['seconds']:.0f} s, "
            f"{each['processor'] / each['seconds']:.1%} of a core, "
            f"{each['resident']:.0f} MiB (ring {each['ring']:.1f}), "
            f"{each.get('delta', 0)} deltas taken, held {max(each['held'].values()):.0f} ms at most"
        )
    more = many["viewers"] - 1
    cost = (many["processor"] / many["seconds"] - one["processor"] / one["seconds"]) / more
    print(f"each viewer more: {cost:.3%} of a core")
    print(f"each viewer more: {(many['resident'] - one['resident']) / more * 1024:.0f} KiB")
    print(", ".join(f"{name} {one[name]:.1f}" for name in one if name.endswith(("_ms", "_KiB"))))
    print(json.dumps(again(arguments, "--attacked")))
    asked = many["questions"] / max(1, one["questions"])
    used = many["processor"] / many["seconds"] / (one["processor"] / one["seconds"])
    kib = (many["resident"] - one["resident"]) / more * 1024
    return [
        Figure(f"questions for {arguments.viewers} viewers", asked, "x", "lower", 1.1, "one viewer", 0.1),
        Figure(f"processor time for {arguments.viewers} viewers", used, "x", "lower", None, "one viewer", 0.4),
        Figure("memory of a viewer more", kib, "KiB", "lower", None, tolerance=0.3),
        Figure("longest step", max(many["held"].values()), "ms", "lower", 20.0),
    ]


if __name__ == "__main__":
    main()
