"""The hub: who shares a poll, who does not, and what becomes of it when people come and go."""

from __future__ import annotations

import asyncio

from lanman.manage.watching.rows import Kind
from support.hub_stage import Stage, staged


def test_two_who_are_told_the_same_share_one_poll() -> None:
    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        of_ann, of_eve = await stage.joined(ann), await stage.joined(eve)
        assert of_ann.poll is of_eve.poll
        assert (of_ann.state, of_eve.state) == ("up", "up")
        assert [row["user_name"] for row in of_eve.rows(Kind.SESSION)] == ["bob", "carol"]
        assert of_eve.rows(Kind.SESSION)[0] is of_ann.rows(Kind.SESSION)[0]
        stage.server.asked.clear()
        await asyncio.sleep(21)
        assert set(stage.server.asked) == {"ann"}
        assert len(stage.server.asked) == 3 * 10

    staged(test)
