"""The hub: who shares a poll, who does not, and what becomes of it when people come and go."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref

import pytest

from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost
from lanman.faces.web.live import hub as module
from lanman.faces.web.live.hub import LINGER, MAX_STREAMS_OF_ONE, RECHECK, LoggedOut, TooManyStreams, Viewing
from lanman.faces.web.people import Access, Person
from lanman.manage.manager import ORDERS
from lanman.manage.watching.changes import Picture
from lanman.manage.watching.rows import Kind
from lanman.records import FileInfo, ShareInfo
from support.hub_stage import Rights, Stage, session, staged

AWAY = ConnectionLost("fs1 does not answer", server="fs1")
REFUSED = AuthenticationError("the password is wrong")


def users(viewing: Viewing) -> list[str]:
    return [row["user_name"] for row in viewing.rows(Kind.SESSION)]


def test_all_who_are_told_the_same_share_one_poll() -> None:
    async def test(stage: Stage) -> None:
        everybody = [stage.person(f"user{number}") for number in range(20)]
        viewings = await asyncio.gather(*map(stage.joined, everybody))
        assert len({id(viewing.poll) for viewing in viewings}) == 1
        assert {viewing.state for viewing in viewings} == {"up"}
        assert users(viewings[3]) == ["bob", "carol"]
        assert viewings[3].rows(Kind.SESSION)[0] is viewings[5].rows(Kind.SESSION)[0]
        assert len(stage.server.asked) == 3 * 20  # each looked once
        stage.server.asked.clear()
        with stage.watched(*everybody):
            await asyncio.sleep(20.5)
            assert len(set(stage.server.asked)) == 1
            assert len(stage.server.asked) == 3 * 10
            assert len(stage.server.logons) == 20

    staged(test)


def test_the_commands_own_credentials_are_asked_once_for_all() -> None:
    async def test(stage: Stage) -> None:
        one = stage.person("root")
        access = one.accesses["fs1"]
        others = [Person(f"proxied{number}", "proxy", {"fs1": access}) for number in range(5)]
        viewings = [await stage.joined(person) for person in (one, *others)]
        assert len({id(viewing.poll) for viewing in viewings}) == 1
        assert stage.server.logons == ["root"]

    staged(test)


def test_looks_that_are_over_take_no_room() -> None:
    async def test(stage: Stage) -> None:
        pictures: list[weakref.ref[Picture]] = []

        def counted(picture: Picture, server: str, kinds: frozenset[Kind]) -> None:
            pictures.append(weakref.ref(picture))
            begun(picture, server, kinds)

        begun = Picture.__init__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Picture, "__init__", counted)
            viewings = [await stage.joined(stage.person(f"user{number}")) for number in range(10)]
        await asyncio.sleep(1)
        assert len(pictures) == 10
        assert [picture() for picture in pictures if picture() is not None] == [viewings[0].picture]

    gc.collect()
    gc.disable()
    try:
        staged(test)
    finally:
        gc.enable()


# What somebody is told, and words of what they are not told.
POORER = {
    "level": (Rights(level=10), []),
    "files": (Rights(denied=frozenset({"files"})), ["mallory", "plan.txt"]),
    "sessions": (Rights(denied=frozenset({"sessions"})), ["trudy", "pc66"]),
    "folders": (Rights(folders=False), ["vault", "cellar"]),
    "a share": (Rights(hidden=frozenset({"secret"})), ["secret", "vault"]),
}


@pytest.mark.parametrize(("less", "words"), POORER.values(), ids=POORER.keys())
@pytest.mark.parametrize("poor_first", [False, True])
def test_who_is_told_less_sees_no_more(less: Rights, words: list[str], poor_first: bool) -> None:
    async def test(stage: Stage) -> None:
        stage.server.shares.append(ShareInfo("secret", 0, "", path=r"C:\vault"))
        rich, poor = stage.person("rich"), stage.person("poor", less)
        order = [poor, rich] if poor_first else [rich, poor]
        viewings = {person.name: await stage.joined(person) for person in order}
        streams = {person.name: stage.stream(person) for person in order}
        await asyncio.sleep(2)
        stage.server.files.append(FileInfo(2, 3, 1, r"C:\data\plan.txt", "mallory"))
        stage.server.sessions.append(session(r"\\pc66", "trudy"))
        stage.server.shares.append(ShareInfo("more", 0, "", path=r"C:\cellar"))
        await asyncio.sleep(5)
        assert viewings["rich"].poll is not viewings["poor"].poll
        seen = {
            name: json.dumps([stream.events, *(viewings[name].rows(kind) for kind in Kind)])
            for name, stream in streams.items()
        }
        for word in words:
            assert word in seen["rich"]
            assert word not in seen["poor"]
        kinds = {"session", "file", "share"} - {kind.rstrip("s") for kind in less.denied}
        (hello,) = streams["poor"].named("hello")
        (server,) = hello["servers"]
        assert (server["level"], set(server["kinds"])) == (less.level if "session" in kinds else None, kinds)
        assert len(server["refused"]) == 3 - len(kinds)
        (delta,) = streams["poor"].named("delta")
        assert {row["kind"] for part in ("open", "change", "close") for row in delta[part]} == kinds
        for stream in streams.values():
            await stream.leave()

    staged(test)


def test_who_is_shown_only_what_is_their_own_shares_with_nobody() -> None:
    async def test(stage: Stage) -> None:
        stage.server.sessions += [session(rf"\\pc{number}", "dave") for number in range(100)]
        ann, eve = stage.person("ann"), stage.person("eve", Rights(only=frozenset({"eve"})))
        assert (await stage.joined(ann)).poll is not (await stage.joined(eve)).poll

    staged(test)


def test_another_takes_over_when_the_first_leaves() -> None:
    async def test(stage: Stage) -> None:
        ann, eve, joe = (stage.person(name) for name in ("ann", "eve", "joe"))
        of_ann, of_eve, of_joe = [await stage.joined(person) for person in (ann, eve, joe)]
        poll = of_joe.poll
        stream = stage.stream(joe)
        await asyncio.sleep(3)
        stage.server.asked.clear()
        stage.log_off(ann)
        await asyncio.sleep(0)
        assert of_ann.poll is None
        await asyncio.sleep(1)
        assert stage.server.open == ["joe"]  # who watches, before who does not
        assert "ann" not in stage.server.asked
        (resync,) = stream.named("resync")
        assert resync["server"] == "fs1"
        assert of_joe.poll is of_eve.poll is poll
        stage.server.sessions.append(session(r"\\pc8", "dave"))
        await asyncio.sleep(3)
        assert users(of_eve) == ["bob", "carol", "dave"]
        (delta,) = stream.named("delta")
        assert [row["user_name"] for row in delta["open"]] == ["dave"]
        stage.log_off(joe)
        await asyncio.sleep(1)
        assert stage.server.open == ["eve"]
        assert stream.ended
        stage.log_off(eve)
        await asyncio.sleep(0.1)
        assert stage.server.open == []

    staged(test)


def test_nobody_is_asked_for_when_nobody_looks() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        await stage.joined(ann)
        await asyncio.sleep(LINGER + 20)
        assert stage.server.open == []
        stage.server.asked.clear()
        await asyncio.sleep(600)
        assert stage.server.asked == []
        assert users(await stage.joined(ann)) == ["bob", "carol"]

    staged(test)


def test_a_stream_keeps_it_going() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        stream = stage.stream(ann)
        await asyncio.sleep(LINGER * 3)
        assert stage.server.open == ["ann"]
        await stream.leave()

    staged(test)


def test_rights_are_looked_at_again() -> None:
    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        of_ann, of_eve = await stage.joined(ann), await stage.joined(eve)
        stream = stage.stream(eve)
        with stage.watched(ann):
            await asyncio.sleep(10)
            assert of_ann.poll is of_eve.poll
            stage.server.rights["eve"] = Rights(denied=frozenset({"files"}))
            await asyncio.sleep(RECHECK)
            assert of_ann.poll is not of_eve.poll
            assert of_eve.rows(Kind.FILE) == []
            assert len(of_ann.rows(Kind.FILE)) == 1
            assert len(stream.named("resync")) == 1
            told = stream.named("server")[-1]
            assert (told["kinds"], set(told["refused"])) == (["session", "share"], {"file"})
            assert told["why"]["close"] == "fs1 does not tell you its files"
            # And when they are again as they were, one poll is enough.
            stage.server.rights["eve"] = Rights()
            await asyncio.sleep(2 * RECHECK)
            assert of_ann.poll is of_eve.poll
            assert set(stage.server.open) == {"ann"}
            assert len(stream.named("resync")) == 2
        await stream.leave()

    staged(test)


@pytest.mark.parametrize("more", [Rights(), Rights(level=10), Rights(denied=frozenset({"files"}))])
def test_the_others_see_nothing_that_only_the_one_who_is_asked_as_is_told_by_now(more: Rights) -> None:
    async def test(stage: Stage) -> None:
        before = Rights(denied=frozenset({"shares"}))
        ann, eve = stage.person("ann", before), stage.person("eve", before)
        of_ann, of_eve = await stage.joined(ann), await stage.joined(eve)
        streams = [stage.stream(ann), stage.stream(eve)]
        await asyncio.sleep(5)
        assert of_ann.poll is of_eve.poll
        stage.server.rights["ann"] = more
        stage.server.sessions.append(session(r"\\pc8", "dave"))
        await asyncio.sleep(10)
        assert of_ann.poll is not of_eve.poll
        assert (of_ann.state, of_eve.state) == ("up", "up")
        assert len(of_ann.rows(Kind.SHARE)) == 1
        assert of_eve.rows(Kind.SHARE) == []
        assert users(of_eve) == users(of_ann) == ["bob", "carol", "dave"]
        assert all(row["kind"] != "share" for event in streams[1].named("delta") for row in event["open"])
        for stream in streams:
            await stream.leave()

    staged(test)


def test_a_log_on_that_is_refused_is_not_tried_again() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann", Rights(refused=REFUSED))
        viewing = await stage.joined(ann)
        assert (viewing.state, viewing.error) == ("denied", REFUSED)
        stream = stage.stream(ann)
        await asyncio.sleep(2 * RECHECK)
        await stage.joined(ann)
        assert stage.server.logons == ["ann"]
        (hello,) = stream.named("hello")
        assert hello["servers"][0]["state"] == "denied"
        assert hello["servers"][0]["error"]["message"] == REFUSED.message
        await stream.leave()
        # Logging in again is another access.
        stage.server.rights["ann"] = Rights()
        ann.accesses["fs1"] = Access("fs1", "ann", stage.server.opening("ann"), may_order=True)
        assert (await stage.joined(ann)).state == "up"
        assert stage.server.logons == ["ann", "ann"]

    staged(test)


def test_one_refusal_counts_for_all_with_the_same_credentials() -> None:
    async def test(stage: Stage) -> None:
        one = stage.person("root")
        others = [Person(f"proxied{number}", "proxy", {"fs1": one.accesses["fs1"]}) for number in range(5)]
        ann = stage.person("ann")
        viewings = [await stage.joined(person) for person in (one, *others, ann)]
        with stage.watched(*others, ann):
            stage.server.rights["root"] = Rights(refused=REFUSED)
            stage.server.away = AWAY
            await asyncio.sleep(5)
            stage.server.away = None
            stage.server.logons.clear()
            await asyncio.sleep(RECHECK)
            assert stage.server.logons.count("root") == 1
            assert [viewing.state for viewing in viewings] == ["denied"] * 6 + ["up"]
            assert viewings[1].rows(Kind.SESSION) == []

    staged(test)


def test_who_may_log_on_and_is_told_nothing() -> None:
    async def test(stage: Stage) -> None:
        nothing = Rights(denied=frozenset({"sessions", "files", "shares"}))
        ann = stage.person("ann", nothing)
        viewing = await stage.joined(ann)
        assert viewing.state == "denied"
        assert isinstance(viewing.error, AccessDenied)
        assert not any(viewing.form()["capabilities"].values())
        with stage.watched(ann):
            stage.server.rights["ann"] = Rights()
            await asyncio.sleep(RECHECK + 5)
            assert viewing.state == "up"
            stage.server.rights["ann"] = nothing
            await asyncio.sleep(5)
            assert (viewing.state, viewing.rows(Kind.SESSION)) == ("denied", [])

    staged(test)


def test_a_server_goes_away_and_comes_back() -> None:
    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        viewing = await stage.joined(ann)
        stream = stage.stream(ann)
        await asyncio.sleep(1)
        stage.server.away = AWAY
        await asyncio.sleep(5)
        assert viewing.state == "away"
        assert users(viewing) == ["bob", "carol"]  # as it was last seen
        away = stream.named("server")[-1]
        assert (away["state"], away["error"]["message"]) == ("away", AWAY.message)
        assert away["why"]["end"] == "fs1 does not answer at the moment"
        await asyncio.sleep(60)
        assert len([event for event in stream.named("server") if event["state"] == "away"]) == 1
        # Whoever comes meanwhile is shown nothing: nobody knows what they are told.
        of_eve = await stage.joined(eve)
        assert (of_eve.state, of_eve.error, of_eve.rows(Kind.SESSION)) == ("away", AWAY, [])
        stage.server.away = None
        stage.server.sessions.append(session(r"\\pc8", "dave"))
        with stage.watched(eve):
            await asyncio.sleep(80)
        assert (viewing.state, of_eve.state) == ("up", "up")
        assert stream.named("server")[-1]["state"] == "up"
        delta = stream.named("delta")[-1]
        assert [row["user_name"] for row in delta["open"]] == ["dave"]
        assert delta["gap"]["why"] == AWAY.message
        assert not stream.named("resync")
        assert of_eve.poll is viewing.poll
        await stream.leave()

    staged(test)


def test_a_server_that_was_never_there() -> None:
    async def test(stage: Stage) -> None:
        stage.server.away = AWAY
        everybody = [stage.person(f"user{number}") for number in range(50)]
        viewings = await asyncio.gather(*map(stage.joined, everybody))
        assert {viewing.state for viewing in viewings} == {"away"}
        assert {viewing.picture for viewing in viewings} == {None}
        with stage.watched(*everybody):
            await asyncio.sleep(600)
            stage.server.logons.clear()
            await asyncio.sleep(600)
            assert len(stage.server.logons) <= 50 * 10  # each once a minute
            stage.server.away = None
            await asyncio.sleep(70)
            assert {viewing.state for viewing in viewings} == {"up"}
            assert len({id(viewing.poll) for viewing in viewings}) == 1

    staged(test)


def test_a_server_that_hangs_does_not_hold_up_the_end() -> None:
    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        await stage.joined(ann)
        stage.server.hangs = True
        stage.hub.attend(eve, eve.accesses["fs1"])
        stream = stage.stream(ann)
        await asyncio.sleep(5)
        before = stage.clock.now
        await stage.hub.close()
        assert stage.clock.now - before <= 2
        assert stream.ended

    staged(test)


def test_who_is_logged_off_gets_nothing() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        access = ann.accesses["fs1"]
        viewing = await stage.joined(ann)
        stage.log_off(ann)
        assert viewing.picture is None
        assert viewing.rows(Kind.SESSION) == []
        with pytest.raises(LoggedOut):
            await stage.hub.join(ann, access)
        with pytest.raises(LoggedOut), stage.hub.listen(ann, ["fs1"]):
            pass
        stage.hub.tell_plan(ann, {"plan": "x"})
        # Also where it happens while they wait.
        eve = stage.person("eve")
        stage.server.hangs = True
        joining = asyncio.create_task(stage.joined(eve))
        await asyncio.sleep(1)
        stage.log_off(eve)
        with pytest.raises(LoggedOut):
            await joining

    staged(test)


def test_a_plan_is_told_to_its_person_alone() -> None:
    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        streams = [stage.stream(ann), stage.stream(ann), stage.stream(eve)]
        await asyncio.sleep(1)
        stage.hub.tell_plan(ann, {"plan": "p1", "outcome": "done"})
        await asyncio.sleep(0.1)
        assert [len(stream.named("plan")) for stream in streams] == [1, 1, 0]
        (event,) = streams[0].named("plan")
        assert event == {"v": 1, "plan": "p1", "outcome": "done"}
        for stream in streams:
            await stream.leave()

    staged(test)


def test_capabilities_and_why_not() -> None:
    async def test(stage: Stage) -> None:
        stage.server.cannot = {"pause": "Samba has no pause"}
        ann = stage.person("ann")
        await stage.joined(ann)
        form = stage.hub.state_of(ann, "fs1")
        assert form["capabilities"] == {order: order != "pause" for order in ORDERS}
        assert form["why"] == {"pause": "Samba has no pause"}
        other = stage.hub.state_of(ann, "fs2")
        assert (other["state"], other["name"]) == ("login", "fs2")
        assert set(other["why"]) == set(ORDERS)
        assert set(other) == set(form)
        looks = Access("fs1", "", ann.accesses["fs1"].opening, may_order=False)
        for kind in ("proxy", "link"):
            person = Person("sam", kind, {"fs1": looks})
            await stage.joined(person)
            why = stage.hub.state_of(person, "fs1")["why"]
            assert set(why) == set(ORDERS)
            assert ("proxy" in why["end"]) == (kind == "proxy")

    staged(test)


def test_no_more_streams_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAMS", 20)

    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        streams = [stage.stream(ann) for _ in range(MAX_STREAMS_OF_ONE)]
        await asyncio.sleep(1)
        with pytest.raises(TooManyStreams) as raised, stage.hub.listen(ann, ["fs1"]):
            pass
        assert not raised.value.of_all
        streams += [stage.stream(eve) for _ in range(20 - MAX_STREAMS_OF_ONE)]
        await asyncio.sleep(1)
        with pytest.raises(TooManyStreams) as raised, stage.hub.listen(eve, ["fs1"]):
            pass
        assert raised.value.of_all
        for stream in streams:
            await stream.leave()
        assert stage.hub.streams == 0
        with stage.hub.listen(ann, ["fs1"]):
            assert stage.hub.streams == 1

    staged(test)


def test_a_look_is_asked_for() -> None:
    async def test(stage: Stage) -> None:
        stage.hub.every = 60.0
        viewing = await stage.joined(stage.person("ann"))
        stage.server.sessions.clear()
        await asyncio.sleep(1)
        assert len(users(viewing)) == 2
        stage.hub.look_now("fs1")
        stage.hub.look_now("fs2")
        await asyncio.sleep(0.1)
        assert users(viewing) == []

    staged(test)


def test_what_cannot_happen_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        viewing = await stage.joined(ann)
        with stage.watched(ann):
            stage.server.broken = ZeroDivisionError("oh")
            await asyncio.sleep(3)
            assert viewing.state == "away"
            assert "failed" in str(viewing.error)
            stage.server.broken = None
            await asyncio.sleep(70)
            assert viewing.state == "up"

    with caplog.at_level(logging.ERROR):
        staged(test)
    assert "looking at fs1 failed" in caplog.text
