"""Orders: plans that do nothing, and runs that spare what is not as it was looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost
from lanman.faces.web.console import Settings
from lanman.faces.web.plans.kept import KEEP, LASTS, MOST_MAKING, MOST_OF_ONE, State
from lanman.manage.manager import Sessions
from lanman.records import FileInfo, ServerInfo, ServiceState, SessionInfo, ShareInfo
from support.fake_manager import FakeManager
from support.waiting import until
from support.web_api import Asker, Web, api


class Aging(FakeManager):
    """Its sessions get older, as real ones do."""

    async def sessions(self, **how: Any) -> Sessions:
        now = time.time()
        born = self.__dict__.setdefault("born", {})
        for entry in self.entries:
            # The entry is kept too, so that nothing else gets its identity.
            _, since = born.setdefault(id(entry), (entry, now - (entry.active_time or 0)))
            entry.active_time = int(now - since)
        return await super().sessions(**how)


def server() -> Aging:
    return Aging(
        server="fs1",
        own_user="ann",
        entries=[
            SessionInfo(r"\\pc7", "bob", 1, 600, 30),
            SessionInfo(r"\\pc9", "dave", 0, 60, 0),
            SessionInfo(r"\\pc1", "ann", 0, 5, 0),
        ],
        opened=[
            FileInfo(7, 0x23, 2, r"C:\srv\budget.xlsx", "bob"),
            FileInfo(8, 1, 0, r"C:\srv\menu.pdf", "dave"),
        ],
        shared=[ShareInfo("projects", 0, "all", max_uses=0xFFFFFFFF, current_uses=3, path=r"C:\srv")],
        info=ServerInfo(name="fs1", comment="first", disc=15, hidden=False, users=20),
    )


@pytest.fixture
def fs1() -> FakeManager:
    return server()


@pytest.fixture
async def web(fs1: FakeManager) -> AsyncIterator[Web]:
    async with api({"fs1": fs1, "fs2": FakeManager(server="fs2")}) as web:
        yield web


@pytest.fixture
def ann(web: Web) -> Asker:
    return web.log_in("ann", "fs1")


async def key(asker: Asker, kind: str, **query: str) -> str:
    (found,) = await asker.keys("fs1", kind, **query)
    return found


# --- a plan does nothing, and its run what it says


async def test_a_session_ends_by_plan_and_run(web: Web, ann: Asker, fs1: FakeManager) -> None:
    dave = await key(ann, "sessions", user="dave")
    plan = await ann.plan("fs1", "end", [dave])
    assert (plan["state"], plan["expires_in"], plan["left_out"], plan["bystanders"]) == ("planned", 60, [], [])
    assert (plan["grave"], plan["confirm"]) == (False, None)
    (row,) = plan["rows"]
    assert (row["key"], row["cost"], row["cost_why"], row["is_own"]) == (dave, "none", "nothing is open", False)
    assert len(fs1.entries) == 3
    done = await ann.run(plan)
    assert (done["state"], done["error"]) == ("done", None)
    assert [(one["key"], one["outcome"], one["reason"]) for one in done["outcomes"]] == [(dave, "done", None)]
    assert [entry.user_name for entry in fs1.entries] == ["bob", "ann"]
    # The streams of this person are told, in order, and nobody else's.
    assert {person for person, _ in web.told} == {ann.person}
    assert [event.get("outcome", {}).get("outcome", event["state"]) for _, event in web.told] == ["done", "done"]
    assert {event["plan"] for _, event in web.told} == {plan["plan"]}


async def test_work_that_may_be_lost_wants_the_name_typed(ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "close", [await key(ann, "files", q="budget")])
    assert (plan["grave"], plan["confirm"]) == (True, "fs1")
    assert plan["rows"][0]["cost_why"] == "write access, 2 locks"
    for confirm in (None, "", "fs2", "\\\\", "fs1x"):
        answer = await ann.run(plan, status=400, confirm=confirm)
        assert "typed" in answer.message
    assert len(fs1.opened) == 2
    done = await ann.run(plan, confirm=" \\\\FS1 ")
    assert [one["outcome"] for one in done["outcomes"]] == ["done"]
    assert [file.id for file in fs1.opened] == [8]


async def test_many_want_the_name_typed_too() -> None:
    many = Aging(server="fs1", entries=[SessionInfo(f"\\\\pc{n}", "x", 0, 50, 0) for n in range(21)])
    async with api({"fs1": many}) as web:
        ann = web.log_in("ann")
        keys = await ann.keys("fs1", "sessions")
        assert not (await ann.plan("fs1", "end", keys[:20]))["grave"]
        plan = await ann.plan("fs1", "end", keys)
        assert plan["grave"]
        done = await ann.run(plan)
        assert (len(done["outcomes"]), many.entries) == (21, [])


async def test_the_session_that_gives_the_orders_is_spared(ann: Asker, fs1: FakeManager) -> None:
    keys = await ann.keys("fs1", "sessions")
    plan = await ann.plan("fs1", "end", keys)
    assert [row["user_name"] for row in plan["rows"] if row["is_own"]] == ["ann"]
    done = await ann.run(plan)
    assert sorted((one["outcome"], one["reason"]) for one in done["outcomes"]) == [
        ("done", None),
        ("done", None),
        ("spared", "own"),
    ]
    assert [entry.user_name for entry in fs1.entries] == ["ann"]


async def test_bystanders_are_spared_without_consent(ann: Asker, fs1: FakeManager) -> None:
    fs1.whole_connections = True
    fs1.entries.append(SessionInfo(r"\\pc9", "eve", 3, 60, 0))
    dave = await key(ann, "sessions", user="dave")
    plan = await ann.plan("fs1", "end", [dave])
    assert [other["user_name"] for other in plan["bystanders"]] == ["eve"]
    assert (plan["confirm"], plan["confirm_with_others"], plan["rows"][0]["num_bystanders"]) == (None, "fs1", 1)
    done = await ann.run(plan)
    assert [(one["outcome"], one["reason"]) for one in done["outcomes"]] == [("spared", "bystanders")]
    again = await ann.plan("fs1", "end", [dave])
    await ann.run(again, status=400, with_others=True)
    done = await ann.run(again, with_others=True, confirm="fs1")
    assert [one["outcome"] for one in done["outcomes"]] == ["done"]
    assert {entry.user_name for entry in fs1.entries} == {"bob", "ann"}


# --- what changed meanwhile


async def test_who_came_after_the_look_is_left_out_of_the_plan(ann: Asker, fs1: FakeManager) -> None:
    dave, bob = await key(ann, "sessions", user="dave"), await key(ann, "sessions", user="bob")
    # He has gone, and comes again: the same client, the same user, another session.
    fs1.entries[1] = SessionInfo(r"\\pc9", "dave", 0, 2, 0)
    plan = await ann.plan("fs1", "end", [dave, bob])
    assert [row["key"] for row in plan["rows"]] == [bob]
    (left,) = plan["left_out"]
    assert (left["key"], left["user_name"]) == (dave, "dave")
    assert "no longer what was looked at" in left["why"]
    answer = await ann.post("/servers/fs1/plans", {"verb": "end", "targets": [dave]})
    assert answer.status == 409
    assert "no longer what was looked at" in answer.message


async def test_what_changes_between_plan_and_run_is_spared(ann: Asker, fs1: FakeManager) -> None:
    dave, bob = await key(ann, "sessions", user="dave"), await key(ann, "sessions", user="bob")
    plan = await ann.plan("fs1", "end", [dave, bob])
    fs1.entries[1] = SessionInfo(r"\\pc9", "dave", 0, 2, 0)
    done = await ann.run(plan, confirm="fs1")
    assert {one["key"]: (one["outcome"], one["reason"]) for one in done["outcomes"]} == {
        dave: ("spared", "changed"),
        bob: ("done", None),
    }
    assert [entry.user_name for entry in fs1.entries] == ["dave", "ann"]


async def test_a_file_id_that_is_another_file_by_now_is_spared(ann: Asker, fs1: FakeManager) -> None:
    menu = await key(ann, "files", q="menu")
    plan = await ann.plan("fs1", "close", [menu])
    fs1.opened[1] = FileInfo(8, 0x23, 0, r"C:\srv\other.xlsx", "carol")
    done = await ann.run(plan)
    (one,) = done["outcomes"]
    assert (one["outcome"], one["error"]) == ("spared", codes.NERR_FileIdNotFound)
    assert len(fs1.opened) == 2


async def test_keys_that_are_gone_and_keys_that_are_none(ann: Asker, fs1: FakeManager) -> None:
    dave = await key(ann, "sessions", user="dave")
    gone = "session:%5C%5Cpc4:eve:1:*:0"
    plan = await ann.plan("fs1", "end", [gone, dave])
    assert [(left["key"], left["why"]) for left in plan["left_out"]] == [(gone, "it is no longer listed")]
    answer = await ann.post("/servers/fs1/plans", {"verb": "end", "targets": [gone]})
    assert (answer.status, answer.message) == (409, "nothing of what is meant is listed any more")
    file = await key(ann, "files", q="menu")
    for wrong in (file, "x", "session", "*"):
        answer = await ann.post("/servers/fs1/plans", {"verb": "end", "targets": [dave, wrong]})
        assert (answer.status, "is no key of a session" in answer.message) == (400, True)


# --- once, in time, by whoever made it


async def test_a_plan_runs_once(ann: Asker) -> None:
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    await ann.run(plan)
    answer = await ann.run(plan, status=409)
    assert answer.message == "the plan was run already"


async def test_a_plan_runs_within_its_minute(web: Web, ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    web.now[0] += LASTS - 1
    assert (await ann.get(f"/plans/{plan['plan']}")).json["expires_in"] == 1
    web.now[0] += 1
    answer = await ann.run(plan, status=410)
    assert "60 seconds" in answer.message
    assert (await ann.get(f"/plans/{plan['plan']}")).json["state"] == "expired"
    assert len(fs1.entries) == 3
    web.now[0] += KEEP / 2
    assert (await ann.get("/plans")).status == 200
    web.now[0] += KEEP / 2
    assert (await ann.get(f"/plans/{plan['plan']}")).status == 404


async def test_nobody_else_runs_or_sees_it(web: Web, ann: Asker) -> None:
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    adam, again = web.log_in("adam", "fs1"), web.log_in("ann", "fs1")
    for other in (adam, again):
        assert (await other.post(f"/plans/{plan['plan']}/run", {})).status == 403
        assert (await other.get(f"/plans/{plan['plan']}")).status == 403
        assert (await other.post(f"/plans/{plan['plan']}/stop")).status == 403
        assert (await other.get("/plans")).json["plans"] == []
    assert [each["plan"] for each in (await ann.get("/plans")).json["plans"]] == [plan["plan"]]
    assert (await adam.post("/plans/nonsense/run", {})).status == 404
    nothing: list[Any] = [None, {}]
    for body in nothing:
        answer = await ann.post(f"/plans/{plan['plan']}/stop", body)
        assert (answer.status, answer.message) == (409, "the plan is not being run")
    assert (await ann.post(f"/plans/{plan['plan']}/stop", {"now": True})).status == 400


async def test_who_logs_out_runs_no_plan_any_more(web: Web, ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    web.console.people.end(ann.key, "by themselves")
    assert (await ann.post(f"/plans/{plan['plan']}/run", {})).status == 401
    assert web.console.plans._kept[plan["plan"]].state.value == "expired"
    assert len(fs1.entries) == 3


async def test_a_run_goes_on_when_its_person_leaves(web: Web, ann: Asker, fs1: FakeManager) -> None:
    go = asyncio.Event()
    give = fs1._give

    async def slow(order: Any) -> Any:
        await go.wait()
        return await give(order)

    fs1._give = slow  # type: ignore[method-assign]
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    await ann.post(f"/plans/{plan['plan']}/run", {})
    assert ann.person is not None
    who = ann.person.accesses["fs1"].credentials
    await until(lambda: web.console.connected.at("fs1"))
    web.console.people.end(ann.key, "by themselves")
    assert who is not None
    assert who.password is None
    go.set()
    kept = web.console.plans._kept[plan["plan"]]
    assert kept.task is not None
    await kept.task
    assert (kept.state.value, [one["outcome"] for one in kept.outcomes.values()]) == ("done", ["done"])
    assert [entry.user_name for entry in fs1.entries] == ["bob", "ann"]


@pytest.mark.parametrize("how", ["stop", "close"])
async def test_a_run_that_is_stopped_before_its_first_step_ends_too(web: Web, ann: Asker, how: str) -> None:
    plan = await ann.plan("fs1", "drain", quiet_for=60)
    plans, person = web.console.plans, ann.person
    assert person is not None
    kept = plans.run(person, plan["plan"], plan["confirm"], with_others=False)
    if how == "stop":  # before the event loop has come by
        plans.stop(person, plan["plan"])
    else:
        await plans.close()
    assert kept.task is not None
    await kept.task
    assert kept.state is State.STOPPED
    assert (web.told[-1][1]["plan"], web.told[-1][1]["state"]) == (plan["plan"], "stopped")


async def test_two_plans_on_one_server_at_the_same_time(ann: Asker, fs1: FakeManager) -> None:
    bob, dave = await key(ann, "sessions", user="bob"), await key(ann, "sessions", user="dave")
    one, other = await ann.plan("fs1", "end", [bob, dave]), await ann.plan("fs1", "end", [dave])
    for plan in (one, other):
        assert (await ann.post(f"/plans/{plan['plan']}/run", {"confirm": "fs1"})).status == 202
    found = [await ann.over(plan) for plan in (one, other)]
    outcomes = [outcome for each in found for outcome in each["outcomes"]]
    # Whoever comes first ends him; the other one finds him gone.
    assert sorted((one["key"] == dave, one["outcome"]) for one in outcomes) == [
        (False, "done"),
        (True, "done"),
        (True, "spared"),
    ]
    assert [entry.user_name for entry in fs1.entries] == ["ann"]


async def test_no_more_than_a_few_are_made_at_once(web: Web, ann: Asker, fs1: FakeManager) -> None:
    dave, go = await key(ann, "sessions", user="dave"), asyncio.Event()
    plan_sessions = fs1.plan_sessions

    async def slow(sessions: Any) -> Any:
        await go.wait()
        return await plan_sessions(sessions)

    fs1.plan_sessions = slow  # type: ignore[method-assign]
    body = {"verb": "end", "targets": [dave]}
    making = [asyncio.create_task(ann.post("/servers/fs1/plans", body)) for _ in range(MOST_MAKING)]
    await until(lambda: web.console.plans._making.total() == MOST_MAKING)
    assert (await ann.post("/servers/fs1/plans", body)).status == 429
    go.set()
    assert [(await each).status for each in making] == [201] * MOST_MAKING
    assert web.console.plans._making == {}


async def test_plans_are_bounded(web: Web, ann: Asker) -> None:
    dave = await key(ann, "sessions", user="dave")
    made = [(await ann.plan("fs1", "end", [dave]))["plan"] for _ in range(MOST_OF_ONE + 3)]
    listed = [each["plan"] for each in (await ann.get("/plans")).json["plans"]]
    assert listed == made[::-1][:MOST_OF_ONE]


# --- who may not, and what cannot be


@pytest.mark.parametrize("kind", ["proxy", "login"])
async def test_who_may_only_look(web: Web, kind: Any) -> None:
    looker = web.log_in("ann", "fs1", kind=kind, may_order=False)
    dave = await key(looker, "sessions", user="dave")
    answer = await looker.post("/servers/fs1/plans", {"verb": "end", "targets": [dave]})
    assert answer.status == 403
    assert (answer.json["error"]["code"], answer.json["error"]["hint"] is not None) == (5, True)


async def test_a_console_that_only_looks(fs1: FakeManager) -> None:
    async with api({"fs1": fs1}, Settings(readonly=True, timeout=60.0)) as web:
        ann = web.log_in("ann")
        answer = await ann.post("/servers/fs1/plans", {"verb": "pause"})
        assert (answer.status, answer.message) == (403, "this console only looks")


async def test_what_a_server_cannot_do_is_said_at_once() -> None:
    class Poor(Aging):
        @property
        def cannot(self) -> dict[str, str]:
            return {"pause": "Samba has no pause", "set": "it is configured in its smb.conf"}

    async with api({"fs1": Poor(server="fs1", entries=[SessionInfo(r"\\pc1", "x")])}) as web:
        ann = web.log_in("ann")
        for verb, more in (("pause", {}), ("continue", {}), ("set", {"comment": "x"})):
            answer = await ann.post("/servers/fs1/plans", {"verb": verb, **more})
            assert (answer.status, answer.json["error"]["code"]) == (501, codes.ERROR_NOT_SUPPORTED)
        assert "Samba has no pause" in (await ann.post("/servers/fs1/plans", {"verb": "pause"})).message


async def test_a_denied_order_is_an_outcome(ann: Asker, fs1: FakeManager) -> None:
    fs1.refuses["dave"] = AccessDenied(subject="the end of sessions", hint="be an administrator")
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    done = await ann.run(plan)
    (one,) = done["outcomes"]
    assert (done["state"], one["outcome"], one["error"], one["hint"]) == ("done", "failed", 5, "be an administrator")


async def test_a_server_that_goes_away_fails_the_run(web: Web, ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "end", [await key(ann, "sessions", user="dave")])
    fs1.fails = ConnectionLost("it has gone", code=64)
    done = await ann.run(plan)
    assert (done["state"], done["error"]["code"], done["outcomes"]) == ("failed", 64, [])
    assert web.told[-1][1]["state"] == "failed"


BAD: list[tuple[Any, str]] = [
    ({}, "verb is missing"),
    ({"verb": "END"}, "verb is END"),
    ({"verb": ["end"]}, "verb is a list"),
    ({"verb": "end"}, "targets is missing"),
    ({"verb": "end", "targets": []}, "targets is empty"),
    ({"verb": "end", "targets": [""]}, "targets[0] is empty"),
    ({"verb": "end", "targets": "*"}, "targets is *, and not a list"),
    ({"verb": "end", "targets": ["session:a", "session:a"]}, "the same entry twice"),
    ({"verb": "end", "targets": [1]}, "targets[0] is 1, and not a text"),
    ({"verb": "end", "targets": ["session:a"], "force": True}, "force is not known"),
    ({"verb": "pause", "targets": ["session:a"]}, "targets has 1 entries"),
    ({"verb": "set"}, "nothing is to be set"),
    ({"verb": "set", "autodisconnect": True}, "autodisconnect is true"),
    ({"verb": "set", "autodisconnect": 65536}, "-1 to 65535"),
    ({"verb": "set", "comment": "x" * 49}, "49 characters"),
    ({"verb": "set", "hidden": "yes"}, "hidden is yes"),
    ({"verb": "share", "action": "add", "name": "x"}, "path is missing"),
    ({"verb": "share", "action": "add", "name": "", "path": "/srv"}, "name is empty"),
    ({"verb": "share", "action": "delete"}, "targets is missing"),
    ({"verb": "share", "action": "delete", "targets": []}, "targets is empty"),
    ({"verb": "share", "action": "change", "targets": ["share:projects"]}, "nothing to change"),
    ({"verb": "share", "action": "delete", "targets": ["share:projects"], "remark": "x"}, "remark has no meaning"),
    ({"verb": "share", "action": "delete", "targets": ["session:x"]}, "no key of a share"),
    ({"verb": "drain", "end": "everybody"}, "end is everybody"),
    ({"verb": "drain", "timeout": 0}, "timeout is 0"),
    ({"verb": "drain", "grace": -1}, "grace is -1"),
    ({"verb": "drain", "timeout": 1e9}, "timeout is 1000000000.0"),
    ({"verb": "drain", "message": "go"}, "give warn too"),
    ({"verb": "drain", "share": "a", "path": "b"}, "not both"),
    ({"verb": "drain", "grace": 100, "timeout": 10}, "is over before"),
]


@pytest.mark.parametrize(("body", "says"), BAD, ids=[str(body)[:60] for body, _ in BAD])
async def test_what_cannot_be_meant_is_refused(ann: Asker, fs1: FakeManager, body: Any, says: str) -> None:
    answer = await ann.post("/servers/fs1/plans", body)
    assert answer.status == 400, answer
    assert says in answer.message
    assert len(fs1.entries) == 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "a list, and not an object"),
        (b"null", "null, and not an object"),
        (b'"end"', "and not an object"),
        (b'{"verb": "pause", "verb": "end"}', "verb is given twice"),
        (b'{"verb": "pause", "x": NaN}', "NaN"),
        (b'{"verb": "pause"} trailing', "no JSON"),
        (b'{"verb": "p\xff"}', "no JSON"),
        (b'{"verb": ' + b"9" * 5000 + b"}", "no JSON"),
        (b'{"verb": ' + b"[" * 9 + b"]" * 9 + b"}", "deeper than"),
        (b'{"verb": "' + b'[" : "' * 5 + b'"}', ""),
    ],
)
async def test_what_is_no_json_is_refused(ann: Asker, data: bytes, says: str) -> None:
    how = {"content": data, "headers": {"content-type": "application/json"}}
    answer = await ann.ask("POST", "/servers/fs1/plans", **how)
    assert answer.status == 400, answer
    assert says in answer.message


async def test_a_server_that_takes_too_long_is_an_error(fs1: FakeManager) -> None:
    async def never(sessions: Any) -> Any:
        await asyncio.Event().wait()

    async with api({"fs1": fs1}) as web:
        ann = web.log_in("ann")
        viewing = web.console.hub.attend(ann.person, ann.person.accesses["fs1"])  # type: ignore[union-attr,arg-type]
        await viewing.known.wait()
        dave = await key(ann, "sessions", user="dave")
        fs1.plan_sessions = never  # type: ignore[method-assign]
        web.console.settings = Settings(timeout=0.01, every=60.0)
        answer = await ann.post("/servers/fs1/plans", {"verb": "end", "targets": [dave]})
        assert (answer.status, answer.json["error"]["code"]) == (504, codes.ERROR_SEM_TIMEOUT)


async def test_other_methods_and_paths_are_errors_of_the_same_form(ann: Asker) -> None:
    answer = await ann.ask("DELETE", "/servers/fs1/plans")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert (await ann.get("/nothing")).status == 404


async def test_an_error_of_ours_tells_nothing(ann: Asker, fs1: FakeManager, caplog: pytest.LogCaptureFixture) -> None:
    secret = "4711"

    async def broken() -> Any:
        raise RuntimeError(f"the secret is {secret}")

    fs1.statistics = broken  # type: ignore[method-assign]
    answer = await ann.get("/servers/fs1/statistics")
    assert (answer.status, secret in answer.text) == (500, False)
    assert secret in caplog.text


# --- shares, settings, the service


async def test_a_share_is_added(ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "share", action="add", name="pub", path="/srv/pub", remark="for all", max_users=5)
    assert (plan["rows"][0]["action"], plan["rows"][0]["path"]) == ("add", "/srv/pub")
    assert fs1.told == ["left"] or ("add_share", "pub", "/srv/pub", "for all", 5) not in fs1.told
    done = await ann.run(plan)
    assert [one["outcome"] for one in done["outcomes"]] == ["done"]
    assert ("add_share", "pub", "/srv/pub", "for all", 5) in fs1.told
    answer = await ann.post("/servers/fs1/plans", {"verb": "share", "action": "add", "name": "PUB", "path": "/srv"})
    assert (answer.status, answer.json["error"]["code"]) == (409, codes.NERR_DuplicateShare)


async def test_a_share_is_changed_unless_it_was_changed_meanwhile(ann: Asker, fs1: FakeManager) -> None:
    share = await key(ann, "shares")
    how = {"action": "change", "remark": "mine", "max_users": 3}
    plan = await ann.plan("fs1", "share", [share], **how)
    assert plan["rows"][0]["before"] == {"remark": "all", "max_users": 0}
    fs1.shared[0].remark = "somebody else's"
    done = await ann.run(plan)
    assert [(one["outcome"], one["reason"]) for one in done["outcomes"]] == [("spared", "changed")]
    answer = await ann.post("/servers/fs1/plans", {"verb": "share", "targets": [share], **how})
    assert (answer.status, "not as it was looked at" in answer.message) == (409, True)
    fs1.shared[0].remark = "all"
    done = await ann.run(await ann.plan("fs1", "share", [share], **how))
    assert ("set_share", "projects", "mine", 3) in fs1.told


async def test_a_share_is_taken_away_with_what_is_open_there(ann: Asker, fs1: FakeManager) -> None:
    share = await key(ann, "shares")
    plan = await ann.plan("fs1", "share", [share], action="delete")
    assert [row["kind"] for row in plan["rows"]] == ["share", "file", "file"]
    assert (plan["grave"], plan["rows"][0]["cost_why"]) == (True, "2 open there")
    fs1.shared[0].path = "D:\\other"
    done = await ann.run(plan)
    assert [(one["number"], one["outcome"], one["reason"]) for one in done["outcomes"]] == [(0, "spared", "changed")]
    fs1.shared[0].path = "C:\\srv"
    plan = await ann.plan("fs1", "share", [share], action="delete")
    fs1.opened.clear()
    done = await ann.run(plan)
    assert [one["outcome"] for one in done["outcomes"]] == ["done"] * 3
    assert fs1.shared == []


async def test_settings_are_set_unless_somebody_else_did(ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "set", comment="second", autodisconnect=15, hidden=True)
    assert [(row["name"], row["before"], row["after"]) for row in plan["rows"]] == [
        ("comment", "first", "second"),
        ("hidden", False, True),
    ]
    fs1.info.comment = "third"
    done = await ann.run(plan)
    assert [(one["outcome"], one["reason"]) for one in done["outcomes"]] == [("spared", "changed"), ("done", None)]
    assert [each for each in fs1.told if each != "left"] == [("hidden", True)]
    answer = await ann.post("/servers/fs1/plans", {"verb": "set", "autodisconnect": 15})
    assert (answer.status, answer.message) == (409, "there is nothing to do: it is set so already")


async def test_pause_and_continue(ann: Asker, fs1: FakeManager) -> None:
    plan = await ann.plan("fs1", "pause")
    assert [(row["before"], row["after"]) for row in plan["rows"]] == [("running", "paused")]
    assert fs1.state == "running"
    await ann.run(plan)
    assert fs1.state == "paused"
    answer = await ann.post("/servers/fs1/plans", {"verb": "pause", "targets": []})
    assert (answer.status, answer.message) == (409, "there is nothing to do: it is paused already")
    go_on = await ann.plan("fs1", "continue")
    fs1.state = ServiceState.RUNNING
    done = await ann.run(go_on)
    assert done["outcomes"][0]["note"] == "somebody else has done so meanwhile"


async def test_sessions_of_the_console_are_marked(fs1: FakeManager) -> None:
    class Here(Aging):
        async def own_names(self, listed: Any) -> frozenset[str]:
            return frozenset({"pc1"})

    there = Here(server="fs1", own_user="nobody", entries=list(fs1.entries))
    async with api({"fs1": there}) as web:
        ann = web.log_in("ann")
        keys = await ann.keys("fs1", "sessions")
        plan = await ann.plan("fs1", "end", keys)
        assert {row["user_name"]: row["is_console"] for row in plan["rows"]} == {
            "bob": False,
            "dave": False,
            "ann": True,
        }
