"""A recorder that is killed at every step of what it writes, and what its database tells then.

    LD_PRELOAD=killed_at_write.so python killed_recorder.py FOLDER|URL STRIDE

Each try is a process of its own, forked from this one, which has everything loaded. What is written in it, and in which
steps, is `SCRIPT`: some seconds around a midnight, with a server that is away in between. After each second the
recorder writes, and says so to this process. What is found behind a kill has to be what a recorder that was not killed
would have written up to a second that was acknowledged, or to the next one: before another recorder begins, and after
that."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lanman.codes import ERROR_FILE_NOT_FOUND
from lanman.errors import LanmanError
from lanman.manage.history import Stay
from support.recorded import DAY, NOON, Clock, ScriptedPoller, Stage, file, session

BEGIN = NOON + DAY // 2 - 4
SERVERS = ("fs1", "fs2")

Script = list[Callable[[dict[str, ScriptedPoller]], object]]


def script() -> Script:
    """What happens in each second."""
    bob, ann = session(r"\\pc7", "bob", BEGIN - 500), session(r"\\pc9", "ann", BEGIN + 1)
    files = [file(number, rf"D:\projects\{number}.txt", "bob", r"\\pc7") for number in range(8)]

    def first(pollers: dict[str, ScriptedPoller]) -> None:
        for poller in pollers.values():
            poller.picture.put(bob)
            poller.look(first=True)

    return [
        first,
        lambda pollers: pollers["fs1"].look(*map(pollers["fs1"].seen, files[:5])),
        lambda pollers: pollers["fs1"].look(pollers["fs1"].seen(ann), pollers["fs1"].gone(files[0])),
        lambda pollers: (pollers["fs2"].away(), pollers["fs1"].look(pollers["fs1"].seen(files[5]))),
        lambda pollers: pollers["fs1"].look(pollers["fs1"].gone(files[1])),  # midnight
        lambda pollers: (pollers["fs2"].look(pollers["fs2"].gone(bob)), pollers["fs1"].look()),
        lambda pollers: pollers["fs1"].look(pollers["fs1"].gone(ann), pollers["fs1"].seen(files[6])),
    ]


async def record(url: str, seconds: int, acknowledge: Callable[[int], None]) -> None:
    """Record so many seconds, and be gone."""
    clock = Clock(BEGIN)
    async with Stage(url, clock, *SERVERS) as stage:
        await stage.start()
        for number, happens in enumerate(script()[:seconds], 1):
            happens(stage.pollers)
            await stage.play()
            acknowledge(number)
            clock.now += 1
        await stage.kill()


async def told(url: str, seconds: int) -> list[object]:
    """What a database tells some time after a recorder was gone; then after another one has begun, and seen fs1."""
    clock = Clock(BEGIN + seconds + 100)
    answers: list[object] = []
    async with Stage(url, clock, *SERVERS) as stage:
        answers.append(await everything(stage))
        await stage.start()
        poller = stage.pollers["fs1"]
        poller.picture.put(session(r"\\pc7", "bob", BEGIN - 500))
        poller.look(first=True)
        await stage.play()
        answers.append(await everything(stage))
    return answers


async def everything(stage: Stage) -> object:
    """All that a store tells."""
    now = int(stage.clock.now)
    try:
        answer = await stage.store.between(BEGIN - 10, now)
    except LanmanError as error:
        if error.code != ERROR_FILE_NOT_FOUND:
            raise
        return "nothing was recorded"  # killed before its first write, which is no answer that nobody was there
    hours = [await stage.store.at(time) for time in range(BEGIN - 1, BEGIN + 12)]
    plain = [[[*map(without_id, each.stays)], [*map(str, each.gaps)]] for each in (answer, *hours)]
    # No gap is hidden: nobody has looked now, unless a recorder has this very second.
    seen = {each.server: each.seen_at for each in answer.watched}
    for server, at in seen.items():
        gaps = [gap for gap in answer.gaps if gap.server == server and gap.touches(at + 1, now)]
        assert at == now or gaps, f"{server} was seen at {at} and now is {now}, and no gap is told of"
    return json.loads(json.dumps(plain))


def without_id(stay: Stay) -> str:
    """A stay in words; what numbers it may differ."""
    return str(stay._replace(id=0))


class Tries:
    """Processes that are killed, each with a database of its own."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.shim = ctypes.CDLL(None)
        self.expected: list[list[object]] = []
        self.postgresql = "://" in place

    def url(self, name: str) -> str:
        """A database that nobody has used."""
        if not self.postgresql:
            return str(Path(self.place) / f"{name}.sqlite")
        asyncio.run(self._make_schema(name))
        return f"{self.place.partition('&')[0]}&search_path={name}"

    async def _make_schema(self, name: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.place)
        await connection.execute(f"CREATE SCHEMA {name}")
        await connection.close()

    def expect(self) -> None:
        """What is told of a recorder that is gone after each of the seconds; the first: after none."""
        for seconds in range(len(script()) + 1):
            url = self.url(f"whole{seconds}")
            asyncio.run(record(url, seconds, lambda number: None))
            self.expected.append(asyncio.run(told(url, len(script()))))

    def kill_at(self, steps: int) -> bool:
        """Kill a recorder at a step, and look. Whether it was killed, and not at its end before."""
        url = self.url(f"killed{steps}")
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            self.shim.lanman_arm(steps, writer)

            def acknowledge(number: int) -> None:
                os.write(writer, bytes([number, 0]))

            asyncio.run(record(url, len(script()), acknowledge))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            acknowledged = len(pipe.read()) // 2
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or status == 0, f"step {steps}: status {status}"
        if self.postgresql:
            asyncio.run(self._until_gone(child))
        found = asyncio.run(told(url, len(script())))
        possible = self.expected[acknowledged : acknowledged + 2]
        assert found in possible, f"step {steps}, {acknowledged} seconds acknowledged: {found}\n{possible}"
        return killed

    async def _until_gone(self, process: int) -> None:
        """Wait until the server has noticed that a client is gone."""
        import asyncpg

        connection = await asyncpg.connect(self.place)
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        while await connection.fetchval(asked, f"lanman {process}"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await connection.close()


def main() -> None:
    place, stride = sys.argv[1], int(sys.argv[2])
    tries = Tries(place)
    tries.expect()
    steps, kills = 1, 0
    while tries.kill_at(steps):
        steps += stride
        kills += 1
    print(json.dumps({"kills": kills, "steps": steps}))


if __name__ == "__main__":
    main()
