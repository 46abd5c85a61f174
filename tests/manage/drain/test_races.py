"""A drain never says that it is done while somebody whom it counts is there: races on our Server, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanman.manage.drain.machine import Verdict
from support.drain_world import Race
from support.measured import say


async def run_race(folder: Path, seed: int) -> Verdict:
    """One race, and all that must be true behind it. One of four is without a cordon."""
    (share := folder / "share").mkdir(parents=True)
    race = Race(share, seed)
    cordon = seed % 4 != 3
    result = await race.run(folder / "home", cordon=cordon)
    assert result.cordoned is cordon
    if result.drained:
        # At no look of the quiet anybody was there, and with the Server paused none but administrators have come since.
        ended_at = race.looks[-1][0]
        quiet = [seen for at, seen in race.looks if at > ended_at - race.rules.quiet_for - 1e-6]
        assert quiet
        assert set(quiet) == {0}, race.looks
        assert not cordon or set(race.others()) <= {"admin", "root"}
        assert race.world.service.paused is cordon
        assert result.left == ()
    else:
        assert result.verdict is Verdict.TIMED_OUT
        assert not race.world.service.paused
        assert not result.paused
    return result.verdict


@pytest.mark.parametrize("seed", range(20))
async def test_a_race(tmp_path: Path, seed: int) -> None:
    await run_race(tmp_path, seed)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_a_thousand_races(tmp_path: Path) -> None:
    verdicts = [await run_race(tmp_path / str(seed), seed) for seed in range(1000)]
    # Both ends are met often: a drain that never said so would prove nothing.
    assert verdicts.count(Verdict.DRAINED) > 500
    assert verdicts.count(Verdict.TIMED_OUT) > 20
    say(races="our Server", number=1000, drained=verdicts.count(Verdict.DRAINED), while_somebody_was_there=0)
