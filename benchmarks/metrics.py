"""What a scrape of the exporter costs, beside the naive way of three series for each session.

    .venv/bin/python benchmarks/metrics.py [--sessions 10000] [--files 10000] [--shares 300] [--rounds 7] [--json]

Processor time of this process, the best and the median of some rounds, both ways in turns. "After a look" is what a
scrape costs when a look has brought something new: the figures are worked out and written. "Again" is one more scrape
of the same look. Both go over HTTP on the loopback interface, the asking end in this process as well. The naive way has
how many files each session has open, how long it has been idle and how old it is, labelled with client, user and
begin, written by prometheus_client too, and without HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator

from figures import Figure, add_json, for_people, report
from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from lanman.manage.metrics.exposition import Exposition
from lanman.manage.metrics.http import HttpServer
from lanman.manage.metrics.watched import Answers, Watched, build
from lanman.manage.watching.changes import Picture, Update
from lanman.manage.watching.keys import FileKey, How, SessionKey, ShareKey
from lanman.manage.watching.rows import FileRow, SessionRow, ShareRow
from lanman.net.bound import Place
from lanman.records import Statistics

NOW = 1_764_079_502.0


def crowded(sessions: int, files: int, shares: int) -> Picture:
    """A server with many on it: each client once, a third as many users as sessions."""
    picture = Picture("fs1")
    picture.asked_at, picture.duration, picture.level = NOW, 0.4, 502
    for number in range(sessions):
        user, client = f"user{number % (sessions // 3 + 1)}", rf"\\10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        key = SessionKey(client, user, int(NOW) - number)
        picture.put(SessionRow(key, client, user, number % 5, NOW - number * 37 - 60, How.TOLD, NOW - number * 29))
    for number in range(files):
        file = FileKey(number, rf"C:\data\folder\file{number}.txt", f"user{number % 3000}")
        picture.put(FileRow(file, number, file.path, file.user_name, 1 + number % 3, number % 2))
    for number in range(shares):
        share = ShareKey(f"share{number}")
        picture.put(ShareRow(share, share.name, 0, rf"C:\data\{number}", "", 0xFFFFFFFF, number % 40))
    return picture


class Naive:
    """Three series for each session."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def collect(self) -> Iterator[Metric]:
        labels = ("server", "client", "user", "begun")
        opens = GaugeMetricFamily("session_opens", "Files that a session has open.", labels=labels)
        idle = GaugeMetricFamily("session_idle_seconds", "How long a session has been idle.", labels=labels)
        age = GaugeMetricFamily("session_age_seconds", "How old a session is.", labels=labels)
        for row in self._picture.sessions.values():
            values = ("fs1", row.client_name or "", row.user_name or "", str(row.begun_at))
            opens.add_metric(values, row.num_opens or 0)
            idle.add_metric(values, NOW - (row.used_at or 0))
            age.add_metric(values, NOW - (row.begun_at or 0))
        yield from (opens, idle, age)


async def timed(work: Callable[[], Awaitable[bytes]]) -> tuple[float, bytes]:
    """Processor milliseconds, and what came of it."""
    begun = time.process_time()
    text = await work()
    return 1000 * (time.process_time() - begun), text


async def measure(picture: Picture, rounds: int) -> list[Figure]:
    """Print a line for each way; what ours takes beside the naive one."""
    watched = Watched("fs1", picture, top=20)
    watched.answers = Answers(20000, Statistics())

    async def scrape(accept: str) -> tuple[str, bytes]:
        exposition = Exposition(accept)
        for _ in watched.brought_up_to_date():
            await asyncio.sleep(0)
        pieces = list(exposition.pieces([build(), *watched.samples(NOW)]))
        return exposition.content_type, b"".join(pieces)

    place, server = Place("127.0.0.1:0", 0), HttpServer(scrape)
    await server.start(place.socket)
    port = place.socket.getsockname()[1]

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2]

    async def naive() -> bytes:
        return generate_latest(Naive(picture))

    ways: dict[str, tuple[Callable[[], Awaitable[bytes]], list[float], list[bytes]]] = {
        "lanman, after a look": (ask, [], []),
        "lanman, again": (ask, [], []),
        "three series a session": (naive, [], []),
    }
    for _ in range(rounds):
        watched.take(Update(picture))
        for work, took, texts in ways.values():
            each, text = await timed(work)
            took.append(each)
            texts.append(text)
    print(f"{len(picture.sessions)} sessions, {len(picture.files)} files, {len(picture.shares)} shares")
    medians, counts = [], []
    for name, (_, took, texts) in ways.items():
        series = sum(not line.startswith(b"#") for line in texts[-1].splitlines())
        median = statistics.median(took)
        medians.append(median)
        counts.append(series)
        print(
            f"{name:24} best {min(took):7.1f} ms, median {median:7.1f} ms, {series:6} series, {len(texts[-1]):8} bytes"
        )
    await server.close()
    place.close()
    return [
        Figure("the naive way beside a scrape after a look", medians[2] / medians[0], "x", "higher", None, "naive"),
        Figure("the naive way beside one more scrape", medians[2] / medians[1], "x", "higher", None, "naive", 0.4),
        Figure("a scrape after a look", medians[0], "ms", "lower", 20.0),
        Figure("series of a server", counts[0], "series", "lower", 350, tolerance=0.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--shares", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    add_json(parser)
    options = parser.parse_args()
    with for_people(options.json):
        picture = crowded(options.sessions, options.files, options.shares)
        figures = asyncio.run(measure(picture, options.rounds))
    report("metrics", figures, options.json)


if __name__ == "__main__":
    main()
