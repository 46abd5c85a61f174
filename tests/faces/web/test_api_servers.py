"""The REST interface in front of real servers: ours, with people on it, and Debian's Samba."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lanman import codes
from lanman.faces.web.console import Offered, Settings
from lanman.faces.web.plans.drains import Aside, Draining
from lanman.faces.web.program import examined, over_smb
from lanman.manage.drain.machine import End, Holder, Rules
from lanman.manage.drain.shell import DrainOrder, Seen
from lanman.manage.orders.plan import Cost, Plan, Verb
from lanman.net.credentials import Credentials
from support.smbd import Samba
from support.waiting import until
from support.web_api import Web, api
from support.web_world import World, fs1

pytestmark = pytest.mark.posix


def offered(name: str, host: str, port: int) -> Offered:
    opening_as = over_smb(host, port, 20.0)
    nobody = opening_as(Credentials("nobody", "x"), None)  # type: ignore[arg-type]
    return Offered(name, nobody, opening_as, examine=examined(host, port, 20.0, None))


def who_is_there(world: World) -> set[str]:
    assert world.server._server is not None
    return {session.user_name for session in world.server._server.service.sessions()}


def is_paused(world: World) -> bool:
    assert world.server._server is not None
    return world.server._server.service.paused


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with fs1() as world:
        yield world


@pytest.fixture
async def web(world: World, tmp_path: Path) -> AsyncIterator[Web]:
    settings = Settings(home=str(tmp_path / "home"), timeout=20.0, every=60.0)
    async with api({"fs1": offered("fs1", *world.place)}, settings) as web:
        web.console.clock = asyncio.get_running_loop().time
        yield web


async def test_find_explain_and_close(web: Web, world: World) -> None:
    ann, adam, mallory = web.log_in("ann"), web.log_in("adam"), web.log_in("mallory")
    rows = (await ann.get("/servers/fs1/files", user="bob", sort="path")).json["rows"]
    assert [row["path"].rpartition("\\")[2].rpartition("/")[2] for row in rows] == ["budget.xlsx", "plan.docx"]
    assert (await mallory.get("/servers/fs1/files")).status == 403
    found = (await ann.get("/explain", server="fs1", path="*plan.docx")).json
    assert [(each["user_name"], each["client_name"], each["cost"]) for each in found["holders"]] == [
        ("bob", "\\\\127.0.0.21", "reopen")
    ]
    plan = await ann.plan("fs1", "close", [rows[1]["key"]])
    assert (plan["grave"], plan["rows"][0]["cost"]) == (False, "reopen")
    done = await ann.run(plan)
    assert [one["outcome"] for one in done["outcomes"]] == ["done"]
    await web.seen("fs1", ann)
    # Whoever looks at the same server sees it too.
    assert (await adam.get("/servers/fs1/files", q="plan.docx")).json["matching"] == 0
    budget = (await adam.get("/servers/fs1/files", user="bob")).json["rows"]
    grave = await adam.plan("fs1", "close", [row["key"] for row in budget])
    assert (grave["confirm"], grave["rows"][0]["cost"]) == ("fs1", "unsaved")


async def test_a_session_that_came_again_is_spared(web: Web, world: World) -> None:
    ann = web.log_in("ann")
    (eve,) = await ann.keys("fs1", "sessions", user="eve")
    (dave,) = await ann.keys("fs1", "sessions", user="dave")
    plan = await ann.plan("fs1", "end", [eve, dave])
    await world.go("eve")
    await until(lambda: "eve" not in who_is_there(world))
    done = await ann.run(plan)
    assert {one["key"]: one["outcome"] for one in done["outcomes"]} == {eve: "spared", dave: "done"}
    left = who_is_there(world)
    assert {"bob", "carol", "frank"} <= left
    assert "dave" not in left


async def test_settings_shares_and_the_service(web: Web, world: World) -> None:
    ann = web.log_in("ann")
    plan = await ann.plan("fs1", "set", comment="by the web", autodisconnect=30)
    done = await ann.run(plan)
    assert [one["outcome"] for one in done["outcomes"]] == ["done", "done"]
    told = (await ann.get("/servers/fs1/settings")).json["configuration"]
    assert (told["comment"], told["disc"]) == ("by the web", 30)
    (share,) = [row["key"] for row in (await ann.get("/servers/fs1/shares")).json["rows"] if row["name"] == "pub"]
    done = await ann.run(await ann.plan("fs1", "share", [share], action="change", remark="for all", max_users=7))
    assert [one["outcome"] for one in done["outcomes"]] == ["done"]
    assert (await ann.get("/servers/fs1/statistics")).json["statistics"]["sopens"] >= 5
    await ann.run(await ann.plan("fs1", "pause"))
    assert is_paused(world)
    await ann.run(await ann.plan("fs1", "continue"))
    assert not is_paused(world)
    mallory = web.log_in("mallory")
    assert (await mallory.post("/servers/fs1/plans", {"verb": "pause"})).status == 403


async def test_everybody_leaves_but_the_console(web: Web, world: World) -> None:
    ann, adam = web.log_in("ann"), web.log_in("adam")
    # Both have sessions of their own at the server, which stay.
    for each in (ann, adam):
        assert (await each.get("/servers/fs1/settings")).status == 200
        assert (await each.get("/servers/fs1/sessions")).status == 200
    plan = await ann.plan("fs1", "drain", end="all", quiet_for=0)
    assert sorted(row["user_name"] for row in plan["rows"]) == ["bob", "carol", "dave", "eve", "frank"]
    assert (plan["grave"], plan["can_stop"]) == (True, True)
    done = await ann.run(plan)
    assert (done["state"], done["verdict"], done["error"]) == ("done", "drained", None)
    ended = {event["key"] for event in done["events"] if event.get("outcome") == "ended"}
    assert len(ended) == 5
    assert done["events"][-1]["result"]["paused"]
    assert is_paused(world)
    assert who_is_there(world) <= {"ann", "adam"}


@pytest.mark.parametrize(("owner", "whose"), [("bob", "bob"), (None, "owner unknown")])
def test_a_drain_shows_what_is_kept_for_those_who_are_away(owner: str | None, whose: str) -> None:
    ann = Holder(r"\\pc7", "ann", 0, cost=Cost.NONE, why="nothing is open")
    kept = Holder(None, "", cost=Cost.UNSAVED, why="write access", id=7, path="/srv/a", owner=owner)
    order, seen = DrainOrder(), Seen(Plan(Verb.END, "fs1"), (ann,), (kept,))
    for end in (End.IDLE, End.ALL):
        work = Draining(Rules(end=end), order, None, seen, Aside(dict, "ann"))
        assert [(row["number"], row["kind"], row["cost"], row["cost_why"]) for row in work.rows] == [
            (0, "session", "none", "nothing is open"),
            (1, "file", "unsaved", f"open for a client that is away ({whose}), write access"),
        ]
        assert work.is_grave(with_others=False) is (end is End.ALL)


async def test_a_drain_that_is_stopped_opens_the_server_again(web: Web, world: World) -> None:
    ann = web.log_in("ann")
    plan = await ann.plan("fs1", "drain", end="idle", quiet_for=60)
    assert (await ann.post(f"/plans/{plan['plan']}/run", {})).status == 202
    await until(lambda: is_paused(world))
    # Whoever logs in as the same user may see and stop it; another user may not.
    again, adam = web.log_in("ann"), web.log_in("adam")
    web.console.people.end(ann.key, "by themselves")
    assert [each["plan"] for each in (await again.get("/plans")).json["plans"]] == [plan["plan"]]
    assert (await adam.post(f"/plans/{plan['plan']}/stop")).status == 403
    assert (await again.post(f"/plans/{plan['plan']}/run", {})).status == 403
    assert (await again.post(f"/plans/{plan['plan']}/stop")).status == 202
    done = await again.over(plan)
    assert done["state"] == "stopped"
    assert not is_paused(world)
    assert "continued" in [event.get("outcome") for event in done["events"]]


async def test_a_console_that_ends_opens_the_server_again(world: World, tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"), timeout=20.0, every=60.0)
    async with api({"fs1": offered("fs1", *world.place)}, settings) as web:
        ann = web.log_in("ann")
        plan = await ann.plan("fs1", "drain", quiet_for=60)
        await ann.post(f"/plans/{plan['plan']}/run", {})
        await until(lambda: is_paused(world))
    assert not is_paused(world)


async def test_doctor_finds_this_server_well(web: Web) -> None:
    ann = web.log_in("ann")
    found = (await ann.get("/doctor", server="fs1")).json
    assert found["verdict"] == "well", found
    assert {"reach", "protocol", "log-on", "levels"} <= {each["category"] for each in found["findings"]}


@pytest.mark.samba
@pytest.mark.root
async def test_what_a_samba_cannot_do(samba: Samba) -> None:
    with await asyncio.to_thread(samba.hold, samba.user):
        async with api({"smb": offered("smb", samba.host, samba.port)}, Settings(timeout=60.0, every=60.0)) as web:
            root = web.log_in(samba.administrator.user_name, password=samba.administrator.password)
            (server,) = (await root.get("/servers")).json["servers"]
            assert (server["state"], server["level"]) == ("up", 1)
            can = {order for order, yes in server["capabilities"].items() if yes}
            assert can == {"end", "close", "share", "drain"}
            for verb, more in (("pause", {}), ("set", {"comment": "x"})):
                answer = await root.post("/servers/smb/plans", {"verb": verb, **more})
                assert (answer.status, answer.json["error"]["code"]) == (501, codes.ERROR_NOT_SUPPORTED)
            assert (await root.get("/servers/smb/statistics")).status == 501
            (key,) = await root.keys("smb", "sessions", user=samba.user.user_name)
            plan = await root.plan("smb", "end", [key])
            # smbd ends whole connections, and its list does not tell them apart: all of a client may go along.
            # Here these are those of the console itself.
            assert {other["user_name"] for other in plan["bystanders"]} == {samba.administrator.user_name}
            assert all(other["is_console"] for other in plan["bystanders"])
            done = await root.run(plan, confirm="smb")
            assert [(one["outcome"], one["reason"]) for one in done["outcomes"]] == [("spared", "bystanders")]
            assert samba.user.user_name in samba.user_names()
            done = await root.run(await root.plan("smb", "end", [key]), confirm="smb", with_others=True)
            assert [one["outcome"] for one in done["outcomes"]] == ["done"]
            assert samba.user.user_name not in samba.user_names()
