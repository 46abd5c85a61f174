"""The recorder and its store: what was seen is answered, with how exactly it is known, and no gap is hidden."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from lanman.errors import AccessDenied, LanmanError, Win32Error
from lanman.manage.history import AlreadyHeld, BlockingRecorder, Deed, GapWhy, Holder, open_store
from lanman.manage.history.schema import storable
from lanman.manage.watching.changes import Gap
from lanman.manage.watching.keys import FileKey, How
from lanman.manage.watching.rows import Kind, Row
from support.recorded import DAY, NOON, Clock, ScriptedPoller, Stage, file, session, share


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


async def first_look(stage: Stage, *rows: Row, server: str = "fs1") -> ScriptedPoller:
    """Start, and have a server looked at for the first time."""
    await stage.start()
    poller = stage.pollers[server]
    for row in rows:
        poller.picture.put(row)
    poller.look(first=True)
    await stage.play()
    return poller


async def test_a_stay_over_midnights_is_one(url: str) -> None:
    clock = Clock()
    bob = session(r"\\pc7", "bob", NOON - 100)
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, bob)
        for _ in range(3):
            for _ in range(2):
                clock.now += DAY / 2
                fs1.waiting = DAY
                fs1.look()
                await stage.play()
        clock.now += 10
        fs1.look(fs1.ended_as_told(bob, "logged off"))
        await stage.play()
        whole = (NOON - 103, NOON + 3 * DAY + 10, "logged off")
        for day in range(4):
            [stay] = (await stage.store.at(NOON + day * DAY + 5)).stays
            assert (stay.begun_at, stay.ended_at, stay.why) == whole
        for answer in (await stage.store.by_user("bob"), await stage.store.between(NOON, NOON + 3 * DAY)):
            assert [(stay.begun_at, stay.ended_at, stay.why) for stay in answer.stays] == [whole]
        assert (await stage.store.stats()).stays == 1


async def test_who_ended_it(url: str) -> None:
    clock = Clock()
    bob, eve = session(r"\\pc7", "bob", NOON - 100), session(r"\\pc8", "eve", NOON - 100)
    opened = file(5, r"D:\a.txt", "bob", r"\\pc7")
    async with Stage(url, clock, "fs1", "fs2") as stage:
        fs1 = await first_look(stage, bob, eve, opened)
        clock.now += 5
        deeds = [
            Deed(int(clock.now) - 2, "fs1", "ann", "end", "done", str(bob.key), r"\\PC7", "BOB", plan="drain"),
            Deed(int(clock.now) - 2, "fs2", "ann", "end", "done", str(eve.key), r"\\pc8", "eve"),
            Deed(int(clock.now) - 2, "fs1", "ann", "end", "failed", str(eve.key), r"\\pc8", "eve"),
            Deed(int(clock.now) - 900, "fs1", "ann", "end", "done", str(eve.key), r"\\pc8", "eve"),
        ]
        await stage.store.note_deed(*deeds)
        fs1.look(fs1.gone(opened), fs1.gone(bob), fs1.gone(eve))
        await stage.play()
        answer = await stage.store.between(NOON, NOON + 5)
        assert {(stay.user_name, stay.path): stay.ended_by for stay in answer.stays} == {
            ("bob", None): deeds[0],
            ("bob", r"D:\a.txt"): deeds[0],
            ("eve", None): None,
        }
        assert await stage.store.deeds(NOON, NOON + 5, plan="drain") == [deeds[0]]
        assert await stage.store.deeds(NOON - 1000, NOON + 5, server=r"\\FS2") == [deeds[1]]


async def test_gaps_of_all_kinds(url: str) -> None:
    clock = Clock()
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage)
        clock.now += 10
        fs1.away("it is off")
        await stage.play()
        lasting = (await stage.store.at(int(clock.now))).gaps
        assert [(gap.begun_at, gap.ended_at, gap.why, gap.detail) for gap in lasting] == [
            (NOON, None, GapWhy.AWAY, "it is off")
        ]
        clock.now += 10
        fs1.look()
        clock.now += 100  # it slept
        await stage.play()
        fs1.look()
        await stage.play()
        clock.now += 5
        clock.set(-3600)
        fs1.look()
        await stage.play()
        clock.now += 5
        fs1.look(gap=Gap(clock.now - 4, clock.now - 1, "events were lost"))
        await stage.play()
        clock.now += 5
        fs1.picture.refused[Kind.FILE] = AccessDenied("files are not told")
        fs1.look()
        await stage.play()
        found = await stage.store.gaps(0)
        assert [(gap.why, gap.begun_at, gap.ended_at) for gap in found if gap.begun_at is not None] == [
            (GapWhy.CLOCK, int(clock.now) - 10, int(clock.now) - 10 + 3595),
            (GapWhy.EVENTS, int(clock.now) - 9, int(clock.now) - 6),
            (GapWhy.NOT_TOLD, int(clock.now) - 5, None),
        ]


async def test_another_recorder_is_told_who_records(url: str) -> None:
    clock = Clock()
    async with Stage(url, clock, "fs1") as stage, Stage(url, clock, "fs1") as other:
        await stage.start()
        holder = Holder("recorder", socket.gethostname(), os.getpid(), NOON)
        with pytest.raises(AlreadyHeld) as refused:
            await other.start()
        assert refused.value.holder == holder
        assert f"process {os.getpid()} on {socket.gethostname()}, since 2024-10-04T12:00:00Z" in refused.value.message
        assert await other.store.holder("recorder") == holder
        async with other.store.hold("policy"):
            assert (await other.store.stats()).holders == [holder, holder._replace(role="policy")]
        await stage.stop()
        assert await other.store.holder("recorder") is None
        await other.start()


HOLDS = """
import asyncio, sys
from lanman.manage.history import open_store

async def main():
    async with open_store(sys.argv[1]) as store, store.hold("recorder"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_what_a_killed_process_held_is_free_at_once(url: str) -> None:
    command = [sys.executable, "-c", HOLDS, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            async with open_store(url) as store:
                held = await store.holder("recorder")
                assert held is not None
                assert held.pid == process.pid
                process.kill()
                process.wait()
                async with store.hold("recorder") as mine:
                    assert mine.pid == os.getpid()
        finally:
            process.kill()


async def test_paths_that_are_not_recorded(url: str) -> None:
    clock = Clock()
    async with Stage(url, clock, "fs1", paths=False) as stage:
        fs1 = await first_look(stage, share("projects", r"D:\projects"), file(1, r"D:\projects\secret.txt", "bob"))
        fs1.look(fs1.gone(file(1, r"D:\projects\secret.txt", "bob")))
        await stage.play()
        key = str(FileKey(1, r"D:\projects\secret.txt", "bob"))
        deed = Deed(
            NOON, "fs1", "ann", "close", "done", key, None, "bob", r"D:\projects\secret.txt", detail="secret.txt"
        )
        await stage.store.note_deed(deed)
        answer = await stage.store.at(NOON)
        assert [(stay.user_name, stay.path, stay.share) for stay in answer.stays] == [("bob", None, None)]
        assert not answer.watched[0].paths
        for table in ("path", "share", "deed", "person", "stay", "gap"):
            kept = str([tuple(row) for row in await stage.store.database.fetch(f"SELECT * FROM {table}")])
            assert "secret" not in kept
            assert "projects" not in kept


async def test_days_that_are_not_kept(url: str) -> None:
    clock = Clock()
    bob, eve, long = session("pc7", "bob", NOON), session("pc8", "eve", NOON), session("pc9", "long", NOON)
    async with Stage(url, clock, "fs1", keep=2) as stage:
        fs1 = await first_look(stage, bob, long, file(1, "/a.txt", "bob"))
        await stage.store.note_deed(Deed(NOON, "fs1", "ann", "end", "done", user_name="bob"))
        fs1.look(fs1.gone(bob), fs1.gone(file(1, "/a.txt", "bob")))
        for _ in range(3):
            clock.now += DAY
            fs1.look(fs1.seen(eve) if eve.key not in fs1.picture.sessions else fs1.gone(eve))
            await stage.play()
        assert stage.recorder is not None
        await stage.recorder._writer.retain(NOON // DAY + 2)
        stats = await stage.store.stats()
        assert (stats.persons, stats.paths, stats.deeds) == (2, 0, 0)
        assert (await stage.store.by_user("bob")).stays == []
        [stay] = (await stage.store.by_user("long")).stays
        assert stay.begun_at == NOON - 3  # what it says of itself stays
        early = await stage.store.at(NOON + DAY)
        assert early.stays == []
        assert next((gap.why, gap.ended_at) for gap in early.gaps) == (GapWhy.NOT_KEPT, (NOON // DAY + 2) * DAY)


async def test_clients_become_fewer(url: str) -> None:
    clock = Clock(NOON + DAY // 2 - 5)
    several = file(1, "/a.txt", "carol")._replace(client_how=How.CANDIDATES, candidates=("pc4", "pc9"))
    fewer = several._replace(client_how=How.INFERRED, candidates=(), client_name="pc9")
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, several)
        [stay] = (await stage.store.by_client(r"\\PC4")).stays
        assert stay.candidates == ("pc4", "pc9")
        assert stay.client_name is None
        clock.now += 10  # over midnight
        fs1.look(fs1.changed(several, fewer))
        await stage.play()
        assert (await stage.store.by_client("pc4")).stays == []
        [stay] = (await stage.store.by_client("pc?")).stays
        assert (stay.client_name, stay.client_how, stay.ended_at) == ("pc9", How.INFERRED, None)
        assert stay.begun_at == NOON + DAY // 2 - 5


async def test_a_file_that_was_renamed_is_another_stay(url: str) -> None:
    clock = Clock()
    before = file(1, "/a.txt", "bob")
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, before)
        clock.now += 5
        fs1.look(fs1.changed(before, before._replace(path="/b.txt")))
        await stage.play()
        [old], [new] = (await stage.store.who("/a.txt")).stays, (await stage.store.who("/B.TXT")).stays
        assert (old.ended_at, old.why) == (NOON + 5, "renamed")
        assert (new.begun_at, new.begun_slack, new.ended_at) == (NOON, 5, None)


async def test_a_file_is_one_stay_of_its_owner_over_a_lost_connection_and_back(url: str) -> None:
    """Kept, the file has no user: it is still the stay of whom it is kept for, as it is again afterwards."""
    clock = Clock()
    ann = file(1, "/a.txt", "ann", "pc7")._replace(client_how=How.TOLD, durable=True, owner="")
    kept = ann._replace(user_name="", client_name=None, client_how=How.UNKNOWN, owner="ann", expires_at=NOON + 65)
    bobs = file(2, "/b.txt", "")._replace(durable=True, owner="bob")
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, ann, bobs)
        assert [each.path for each in (await stage.store.by_user("bob")).stays] == ["/b.txt"], "kept from the begin"
        for before, now in [(ann, kept), (kept, ann)]:
            clock.now += 5
            fs1.look(fs1.changed(before, now))
            await stage.play()
            [stay] = (await stage.store.who("/a.txt")).stays
            assert (stay.user_name, stay.begun_at, stay.ended_at) == ("ann", NOON, None)
            assert (stay.client_name, stay.client_how) == ("pc7", How.TOLD)
            assert [each.path for each in (await stage.store.by_user("ann")).stays] == ["/a.txt"]
        clock.now += 5
        fs1.look(fs1.changed(ann, kept))
        clock.now += 60
        fs1.look(fs1.ended_as_told(kept, "not reclaimed in time"))
        await stage.play()
        [stay] = (await stage.store.who("/a.txt")).stays
        assert (stay.user_name, stay.begun_at, stay.ended_at) == ("ann", NOON, NOON + 75)
        assert stay.why == "not reclaimed in time"


@pytest.mark.parametrize("many", [300, pytest.param(16_384, marks=pytest.mark.long)])
@pytest.mark.parametrize("told", [False, True])
async def test_very_many_files_are_kept_and_reclaimed(url: str, many: int, told: bool) -> None:
    """Each is one stay of its user all the time, whether the server tells for whom it is kept or not."""
    clock = Clock()
    owner = ("", "ann") if told else (None, None)
    files = [
        file(number, f"/{number}.txt", "ann", "pc7")._replace(client_how=How.TOLD, durable=True, owner=owner[0])
        for number in range(many)
    ]
    kept = [one._replace(user_name="", client_name=None, client_how=How.UNKNOWN, owner=owner[1]) for one in files]
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, *files)
        for before, after in ((files, kept), (kept, files), (files, kept)):
            clock.now += 5
            fs1.look(*(fs1.changed(old, new) for old, new in zip(before, after, strict=True)))
            await stage.play()
            stays = (await stage.store.by_user("ann", limit=2 * many)).stays
            assert len(stays) == many
            assert {(stay.begun_at, stay.ended_at, stay.client_name) for stay in stays} == {(NOON, None, "pc7")}
        clock.now += 5
        fs1.look(*(fs1.ended_as_told(one, "not reclaimed in time") for one in kept))
        await stage.play()
        stays = (await stage.store.by_user("ann", limit=2 * many)).stays
        assert {(stay.begun_at, stay.ended_at, stay.why) for stay in stays} == {
            (NOON, NOON + 20, "not reclaimed in time")
        }
        assert len(stays) == many


async def test_a_file_that_was_kept_from_the_first_is_of_whoever_reclaims_it(url: str) -> None:
    """Over MS-SRVS nothing says for whom it is kept; its owner alone can reclaim it (MS-SMB2 3.3.5.9.7)."""
    clock = Clock()
    kept, null = file(1, "/a.txt", ""), file(2, r"\PIPE\x", "")
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, kept, null)
        assert [each.user_name for each in (await stage.store.who("/a.txt")).stays] == [""]
        clock.now += 5
        fs1.look(fs1.changed(kept, kept._replace(user_name="ann", client_name="pc7", client_how=How.INFERRED)))
        fs1.look(fs1.changed(null, null._replace(user_name="eve")))
        await stage.play()
        [stay] = (await stage.store.who("/a.txt")).stays
        assert (stay.user_name, stay.client_name, stay.ended_at) == ("ann", "pc7", None)
        assert len((await stage.store.who(r"\PIPE\x")).stays) == 2, "a pipe is never kept: it was a null session's"


async def test_paths_by_pattern_and_share(url: str) -> None:
    clock = Clock()
    names = [r"D:\projects\a.txt", r"D:\projects\sub\b.txt", r"D:\other\a.txt", "C:\\srv\\x.txt"]
    rows = [file(number, name, "bob") for number, name in enumerate(names)]
    async with Stage(url, clock, "fs1", "fs2") as stage:
        await first_look(stage, share("projects", r"D:\projects"), *rows)

        async def paths(typed: str) -> list[str]:
            return sorted(stay.path or "" for stay in (await stage.store.who(typed)).stays)

        assert await paths(r"d:\PROJECTS\*") == sorted(names[:2])
        assert await paths(r"\\fs1\Projects\a.txt") == [names[0]]
        assert await paths(r"\\fs1\projects\*") == sorted(names[:2])
        assert await paths("*a.txt") == sorted([names[0], names[2]])
        assert await paths("/srv/x.txt") == [names[3]]
        assert await paths("/srv/*") == [names[3]]
        assert await paths("nothing") == []
        [stay] = (await stage.store.at(NOON, path=r"\\fs1\projects\a.txt")).stays
        assert stay.share == "projects"
        with pytest.raises(LanmanError, match="was never seen to share"):
            await paths(r"\\fs1\none\a.txt")
        with pytest.raises(LanmanError, match="nothing was recorded of fs9"):
            await paths(r"\\fs9\projects\a.txt")
        with pytest.raises(Win32Error):
            await stage.store.at(NOON, user="")
        with pytest.raises(Win32Error, match="not come yet"):
            await stage.store.at(NOON + 1)


async def test_the_newest_are_given(url: str) -> None:
    clock = Clock()
    rows = [file(number, "/a.txt", f"user{number}") for number in range(30)]
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage)
        for row in rows:
            clock.now += 1
            fs1.look(fs1.seen(row))
        await stage.play()
        answer = await stage.store.who("/a.txt", limit=3)
        assert answer.more
        assert [stay.user_name for stay in answer.stays] == ["user29", "user28", "user27"]
        answer = await stage.store.between(NOON, NOON + 40, limit=3)
        assert [stay.user_name for stay in answer.stays] == ["user27", "user28", "user29"]
        assert len((await stage.store.who("/a.txt", limit=30)).stays) == 30
        assert not (await stage.store.who("/a.txt", limit=30)).more


ODD = ["a\x00b", "half \ud800 pair", "x" * 5000, "\U0010ffff", "%_'\"; --", "\u202egpj.exe"]


async def test_any_name_is_kept(url: str) -> None:
    clock = Clock()
    rows = [file(number, f"/{name}", name, name) for number, name in enumerate(ODD)]
    async with Stage(url, clock, "fs1") as stage:
        await first_look(stage, *rows)
        answer = await stage.store.at(NOON)
        assert sorted(stay.user_name or "" for stay in answer.stays) == sorted(map(storable, ODD))
        for name in ODD:
            for answer in (await stage.store.by_user(storable(name)), await stage.store.who("/" + storable(name))):
                assert [stay.user_name for stay in answer.stays] == [storable(name)]
        assert [stay.user_name for stay in (await stage.store.by_user(r"\u202egpj.exe")).stays] == [ODD[-1]]


async def test_an_order_of_looks_that_is_not_comparable(url: str) -> None:
    clock = Clock()
    bob = session("pc7", "bob", NOON - 100)
    async with Stage(url, clock, "fs1") as stage:
        fs1 = await first_look(stage, bob)
        clock.now += 5
        fs1.picture.sessions.clear()
        fs1.picture.put(session("pc7", "bob"))
        fs1.look(first=True)
        await stage.play()
        answer = await stage.store.by_user("bob")
        assert [(stay.ended_at, stay.why, stay.begun_how) for stay in answer.stays] == [
            (None, None, How.UNKNOWN),
            (NOON + 5, "unknown", How.TOLD),
        ]


def test_without_asyncio(url: str) -> None:
    clock = Clock()

    async def told() -> list[str | None]:
        async with open_store(url, wall_clock=clock.wall) as store:
            return [stay.user_name for stay in (await store.at(NOON)).stays]

    poller = ScriptedPoller("fs1", clock)
    poller.picture.put(session("pc7", "bob", NOON))
    poller.look(first=True)
    with BlockingRecorder(open_store(url), [poller], wall_clock=clock.wall, steady_clock=clock.steady) as recorder:
        assert next(recorder).picture.server == "fs1"
    assert next(recorder, None) is None
    assert asyncio.run(told()) == ["bob"]
