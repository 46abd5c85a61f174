"""Several nodes as one beside the same nodes one by one, and with a black hole among them.

    .venv/bin/python benchmarks/cluster.py [--nodes 5] [--sessions 200] [--rounds 5] [--delay 0.2] [--timeout 5]
        [--json]

Servers of lanman run in processes of their own, each on an address of the loopback interface with so many sessions of
one client; the last one is behind a relay that delays each answer. One process asks for the sessions: of each node by
itself, one after the other; of all as one; and of all and a black hole, which takes no connection, so that its time-out
is waited for. To reach: as one in the time of the slowest node + 5 %, with the black hole in its time-out + 5 %,
however many questions there are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, for_people, report  # noqa: E402

from lanman.manage.open import open_manager  # noqa: E402
from lanman.net.client import SmbClient  # noqa: E402
from lanman.net.credentials import Credentials  # noqa: E402
from lanman.settings import Configuration  # noqa: E402
from support.loopback_server import PASSWORDS, running_server  # noqa: E402

ADMIN = Credentials("admin", PASSWORDS["admin"])
BOB = Credentials("bob", PASSWORDS["bob"])


async def serve(host: str, name: str, delay: float, number: int) -> None:
    """Be a node until standard input ends."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder), Configuration(name=name), host=host) as server:
            clients = [SmbClient(host, server.port, BOB) for _ in range(number)]
            for client in clients:
                await client.connect()
                await client.log_on()
            async with contextlib.AsyncExitStack() as stack:
                port = server.port
                if delay:
                    relay = await stack.enter_async_context(
                        await asyncio.start_server(lambda *pair: _relayed(*pair, host, server.port, delay), host)
                    )
                    port = relay.sockets[0].getsockname()[1]
                print(port, flush=True)
                await asyncio.to_thread(sys.stdin.read)
            for client in clients:
                await client.abort()


async def _relayed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, delay: float
) -> None:
    """Pass bytes on, those to the client later."""
    its_reader, its_writer = await asyncio.open_connection(host, port)

    async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter, wait: float) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                await asyncio.sleep(wait)
                to.write(data)
                await to.drain()
        to.close()

    await asyncio.gather(pump(reader, its_writer, 0.0), pump(its_reader, writer, delay))


@contextlib.contextmanager
def nodes(number: int, sessions: int, delay: float) -> Iterator[list[str]]:
    """So many nodes, the last of which is slow; how each is named."""
    with contextlib.ExitStack() as stack:
        started = []
        for place in range(number):
            host = f"127.0.0.{place + 2}"
            slow = delay if place == number - 1 else 0.0
            words = [sys.executable, __file__, "--serve", host, str(slow), str(sessions)]
            node = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            stack.callback(node.wait)
            assert node.stdin is not None
            stack.callback(node.stdin.close)
            started.append((host, node))
        names = []
        for host, node in started:
            assert node.stdout is not None
            names.append(f"{host}:{node.stdout.readline().strip()}")
        yield names


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes no connection: its queue is full."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.201", 0))
        hole.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(hole.getsockname())
        yield f"127.0.0.201:{hole.getsockname()[1]}"


async def ask(server: str, timeout: float, questions: int = 1) -> int:
    """How many sessions are listed, after so many questions."""
    async with open_manager(server, ADMIN, timeout=timeout) as manager:
        for _ in range(questions):
            found = len(await manager.sessions())
        return found


async def timed(work: Callable[[], Awaitable[int]], rounds: int) -> tuple[float, int]:
    """The median of the seconds that some work takes, and what it found."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        found = await work()
        times.append(time.perf_counter() - began)
    return statistics.median(times), found


async def measure(names: list[str], hole: str, rounds: int, timeout: float) -> list[Figure]:
    """Print what was measured; its ratios."""
    whole = ",".join(names)
    await ask(whole, 30)
    alone = {name: await timed(lambda name=name: ask(name, 30), rounds) for name in names}  # type: ignore[misc]
    for name, (seconds, found) in alone.items():
        print(f"{name:<20} {1000 * seconds:8.1f} ms  {found} sessions")
    slowest, one_by_one = max(each for each, _ in alone.values()), sum(each for each, _ in alone.values())
    seconds, found = await timed(lambda: ask(whole, 30), rounds)
    print(f"{'one by one':<20} {1000 * one_by_one:8.1f} ms")
    print(f"{'as one':<20} {1000 * seconds:8.1f} ms  {found} sessions  {seconds / slowest:.3f} x the slowest")
    figures = [Figure("as one", seconds / slowest, "x", "lower", 1.05, "the slowest node", 0.1)]
    for questions in (1, 5):
        seconds, found = await timed(lambda questions=questions: ask(f"{whole},{hole}", timeout, questions), rounds)  # type: ignore[misc]
        # What is asked behind the first question takes the slowest node as long as it does alone.
        further, _ = await timed(lambda questions=questions: ask(names[-1], 30, questions), rounds)  # type: ignore[misc]
        least = max(timeout, slowest) + max(0.0, further - alone[names[-1]][0])
        print(
            f"{f'and a black hole, {questions} questions':<20} {1000 * seconds:8.1f} ms  {found} sessions  "
            f"{seconds / least:.3f} x its time-out of {timeout:g} s and what the slowest takes for the others"
        )
        name = f"with a black hole, {questions} questions"
        figures.append(Figure(name, seconds / least, "x", "lower", 1.05, "its time-out", 0.1))
    return figures


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        host, delay, number = sys.argv[2:]
        asyncio.run(serve(host, f"NODE{host.rpartition('.')[2]}", float(delay), int(number)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--timeout", type=float, default=5.0)
    add_json(parser)
    given = parser.parse_args()
    with (
        for_people(given.json),
        nodes(given.nodes, given.sessions, given.delay) as names,
        black_hole() as hole,
    ):
        figures = asyncio.run(measure(names, hole, given.rounds, given.timeout))
    report("cluster", figures, given.json)


if __name__ == "__main__":
    main()
