"""The recorder and its store: what was seen is answered, with how exactly it is known, and no gap is hidden."""

from __future__ import annotations

from lanman.manage.history import GapWhy
from lanman.manage.watching.keys import How
from support.recorded import NOON, Clock, Stage, file, session


async def test_who_was_there(url: str) -> None:
    clock = Clock()
    bob, budget = session(r"\\pc7", "bob", NOON - 600), file(1, r"D:\budget.xlsx", "bob", r"\\pc7", 3)
    async with Stage(url, clock, "fs1") as stage:
        await stage.start()
        fs1 = stage.pollers["fs1"]
        fs1.picture.put(bob)
        fs1.look(first=True)
        clock.now += 5
        await stage.play()
        fs1.look(fs1.seen(budget))
        clock.now += 5
        await stage.play()
        fs1.look()
        clock.now += 5
        await stage.play()
        fs1.look(fs1.gone(budget))
        await stage.play()
        answer = await stage.store.at(NOON + 7)
        assert answer.complete
        assert [(stay.user_name, stay.path) for stay in answer.stays] == [("bob", None), ("bob", r"D:\budget.xlsx")]
        opened = answer.stays[1]
        assert (opened.begun_at, opened.begun_slack, opened.begun_how) == (NOON, 5, How.SEEN)
        assert (opened.ended_at, opened.ended_slack, opened.why) == (NOON + 15, 5, "vanished")
        assert opened.access == 3
        assert opened.client_how is How.INFERRED
        begun = answer.stays[0]
        assert (begun.begun_at, begun.begun_slack, begun.begun_how) == (NOON - 603, 6, How.TOLD)
        assert begun.ended_at is None
        before = await stage.store.at(NOON - 10)
        assert before.stays == []
        assert [gap.why for gap in before.gaps] == [GapWhy.NOT_KEPT]
