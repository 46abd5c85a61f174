"""How many were there, at times that are equally far apart: as many as `at` tells one by one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lanman.errors import LanmanError, Win32Error
from lanman.manage.history.programs import BlockingHistory, open_history
from lanman.manage.history.records import Count
from lanman.manage.history.store import Store
from lanman.manage.watching.rows import FileRow, Kind, SessionRow
from support.recorded import DAY, NOON, Clock, Stage, file, session

MIDNIGHT = NOON + DAY // 2


async def one_by_one(store: Store, since: int, until: int, step: int) -> list[Count]:
    """The same, from what there was in each of these seconds."""
    found = []
    for at in range(since, until + 1, step):
        answer = await store.at(at, server="fs1")
        kinds = [stay.kind for stay in answer.stays if stay.ended_at is None or stay.ended_at > at]
        numbers = None, None
        if answer.complete:
            numbers = kinds.count(Kind.SESSION), kinds.count(Kind.FILE)  # type: ignore[assignment]
        found.append(Count(at, *numbers))
    return found


async def play(stage: Stage, clock: Clock, seed: int, looks: int) -> None:
    """People come and go, and open files, from before midnight until after it."""
    chance = random.Random(seed)
    await stage.start()
    fs1, fs2 = stage.pollers["fs1"], stage.pollers["fs2"]
    there: list[SessionRow | FileRow] = [session(r"\\pc0", "user0", clock.now - 500)]
    fs1.picture.put(there[0])
    fs1.look(first=True)
    fs2.picture.put(session(r"\\other", "other", clock.now - 500))
    fs2.look(first=True)
    for number in range(1, looks):
        clock.now += chance.choice([5, 5, 7])
        await stage.play()
        changes = []
        if len(there) > 1 and chance.random() < 0.5:
            changes.append(fs1.gone(there.pop(chance.randrange(len(there)))))
        for _ in range(chance.randrange(3)):
            name = f"{number}-{len(there)}"
            row: SessionRow | FileRow = session(f"\\\\pc{name}", f"user{name}", clock.now - chance.randrange(3))
            if chance.random() < 0.5:
                row = file(number * 10 + len(there), f"D:\\{name}", f"user{number}")
            there.append(row)
            changes.append(fs1.seen(row))
        fs1.look(*changes)
        fs2.look()
    await stage.play()


@pytest.mark.parametrize("seed", [1, 2])
async def test_as_many_as_one_by_one(url: str, seed: int) -> None:
    clock = Clock(MIDNIGHT - 60)
    async with Stage(url, clock, "fs1", "fs2") as stage:
        await play(stage, clock, seed, 25)
        since, until = MIDNIGHT - 60, int(clock.now)
        for begin, step in ((since, 1), (since + 7, 9), (MIDNIGHT, 5), (MIDNIGHT + 3, 30)):
            counts = await stage.store.counts(begin, until, step, server="fs1")
            assert counts == await one_by_one(stage.store, begin, until, step)
        assert max(count.files or 0 for count in counts) > 1
        # What has not come yet is no part of it.
        assert (await stage.store.counts(since, until + 100, 10, server="fs1"))[-1].at <= until
        await stage.stop()
        # Nobody records any more: what lasts is not known to.
        clock.now += 100
        after = await stage.store.counts(until - 20, until + 50, 1, server="fs1")
        assert after == await one_by_one(stage.store, until - 20, until + 50, 1)
        assert after[-1] == Count(until + 50, None, None)


async def test_what_cannot_be_asked(url: str) -> None:
    clock = Clock()
    async with Stage(url, clock, "fs1", "fs2") as stage:
        await play(stage, clock, 1, 2)
        for step in (0, -1):
            with pytest.raises(ValueError, match="a step"):
                await stage.store.counts(NOON, NOON + 1, step, server="fs1")
        with pytest.raises(Win32Error):
            await stage.store.counts(NOON + 1000, NOON + 2000, 1, server="fs1")
        with pytest.raises(LanmanError, match="nothing was recorded of fs9"):
            await stage.store.counts(NOON, NOON + 1, 1, server="fs9")


def test_without_asyncio(tmp_path: Path) -> None:
    history = BlockingHistory(open_history(tmp_path / "history.sqlite", make=True))
    with history, pytest.raises(LanmanError, match="nothing was recorded"):
        history.counts(NOON, NOON + 1, 1, server="fs1")
