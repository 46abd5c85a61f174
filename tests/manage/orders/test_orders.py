"""A plan is run on a server that has changed since: what changed is spared, and never anybody else ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import lanman
from lanman.errors import LocalProtocolError, Win32Error
from lanman.manage.orders import (
    Cost,
    Outcome,
    Plan,
    Reason,
    Target,
    Verb,
    What,
    plan_files,
    plan_sessions,
    plan_share,
    run,
)
from lanman.manage.watching.keys import SessionKey
from lanman.records import FileInfo, SessionInfo, ShareInfo
from lanman.rpc.srvsvc.files import NetrFileClose, NetrFileEnum, NetrFileGetInfo
from lanman.rpc.srvsvc.sessions import NetrSessionDel, NetrSessionEnum
from lanman.rpc.srvsvc.shares import NetrShareDel, NetrShareGetInfo
from support.scripted_link import ScriptedServer

BOTH = pytest.mark.parametrize("samba", [False, True])


def session(client: str, user: str, opens: int = 0, age: int = 5000, idle: int | None = 10) -> SessionInfo:
    return SessionInfo(rf"\\{client}", user, opens, age, idle, 0)


def became(outcomes: list[Outcome]) -> list[tuple[str, str | None]]:
    return [(one.what.value, one.reason and one.reason.value) for one in outcomes]


# --- sessions


@BOTH
async def test_a_session_that_began_anew_is_spared(samba: bool) -> None:
    server = ScriptedServer(samba=samba, sessions=[session("pc7", "bob"), session("pc8", "eve")])
    manager = server.manager()
    plan = await plan_sessions(manager, server.sessions)
    server.sessions[0] = session("pc7", "bob", age=2)
    outcomes = await run(manager, plan)
    assert became(outcomes) == [("spared", "changed"), ("done", None)]
    assert "another one has begun" in str(outcomes[0].error)
    assert [one.user_name for one in server.ended] == ["eve"]
    assert server.count(NetrSessionDel) == 1


@BOTH
async def test_a_session_that_began_anew_after_the_first_order_is_spared_too(samba: bool) -> None:
    """At the very moment: the server changes while the plan is being run."""
    server = ScriptedServer(samba=samba, sessions=[session("pc7", "bob"), session("pc8", "eve")])
    manager = server.manager()
    plan = await plan_sessions(manager, server.sessions)

    def change() -> None:
        server.sessions = [session("pc8", "eve", age=1)]

    server.after(NetrSessionDel, change)
    assert became(await run(manager, plan)) == [("done", None), ("spared", "changed")]
    assert [one.user_name for one in server.ended] == ["bob"]


@BOTH
async def test_another_user_at_the_client_is_not_ended(samba: bool) -> None:
    server = ScriptedServer(samba=samba, sessions=[session("pc7", "bob")])
    manager = server.manager()
    plan = await plan_sessions(manager, server.sessions)
    server.sessions = [session("pc7", "carol")]
    (outcome,) = await run(manager, plan)
    assert (outcome.what, outcome.reason, outcome.error and outcome.error.code) == (What.SPARED, Reason.GONE, 2312)
    assert server.ended == []


@BOTH
async def test_who_came_since_is_a_bystander(samba: bool) -> None:
    """A second session of the pair would end with the first, and on a Samba anybody of the client."""
    server = ScriptedServer(samba=samba, sessions=[session("pc7", "bob")])
    manager = server.manager()
    plan = await plan_sessions(manager, server.sessions)
    server.sessions.append(session("pc7", "carol" if samba else "bob", opens=2, age=1))
    (alone,) = await run(manager, plan)
    assert (alone.what, alone.reason) == (What.SPARED, Reason.BYSTANDERS)
    assert [one.num_opens for one in alone.others] == [2]
    assert server.ended == []
    (ended,) = await run(manager, plan, with_others=True)
    assert ended.what is What.DONE
    assert server.sessions == []


@BOTH
async def test_our_own_session_is_spared_unless_it_is_included(samba: bool) -> None:
    server = ScriptedServer(samba=samba, sessions=[session("10.0.0.9", "admin"), session("pc8", "eve")])
    manager = server.manager()
    plan = await plan_sessions(manager, server.sessions)
    assert [target.is_own for target in plan.targets] == [False, True]
    assert became(await run(manager, plan)) == [("done", None), ("spared", "own")]
    assert server.connections_closed == 0
    plan = await plan_sessions(manager, server.sessions)
    (own,) = await run(manager, plan, include_mine=True)
    assert (own.what, server.connections_closed) == (What.DONE, 1)
    assert server.count(NetrSessionDel) == 1


async def test_a_plan_of_another_connection_whose_own_session_has_gone() -> None:
    server = ScriptedServer(sessions=[session("10.0.0.9", "admin", age=5)])
    plan = await plan_sessions(server.manager(), server.sessions)
    # The second connection has another session, begun later.
    server.sessions = [session("10.0.0.9", "admin", age=0)]
    (target,) = plan.targets
    assert isinstance(target.key, SessionKey)
    target.key = SessionKey(target.key.client_name, target.key.user_name, 1)
    (own,) = await run(server.manager(), plan, include_mine=True)
    assert (own.what, own.note) == (What.DONE, "it was the session of this program itself, which has logged off")
    assert server.ended == []


async def test_without_ages_the_names_are_what_is_compared() -> None:
    server = ScriptedServer(levels=[0], sessions=[SessionInfo(r"\\pc7"), SessionInfo(r"\\pc8")])
    manager = server.manager()
    plan = await plan_sessions(manager, [SessionInfo(r"\\pc7")])
    assert [target.cost for target in plan.targets] == [Cost.UNKNOWN]
    assert became(await run(manager, plan)) == [("done", None)]
    assert [one.client_name for one in server.sessions] == [r"\\pc8"]


async def test_what_is_not_listed_is_missing() -> None:
    server = ScriptedServer(sessions=[session("pc7", "bob")])
    plan = await plan_sessions(server.manager(), [session("pc9", "ann"), *server.sessions])
    assert [(place, one.error.code) for place, one in plan.missing.items()] == [(0, 2312)]
    assert plan.asked == [[], [0]]


async def test_a_plan_with_nobody_in_it_asks_and_does_nothing() -> None:
    server = ScriptedServer()
    plan = await plan_sessions(server.manager(), [])
    asked = len(server.asked)
    assert await run(server.manager(), plan) == []
    assert len(server.asked) == asked


async def test_a_plan_is_for_its_server() -> None:
    server = ScriptedServer(sessions=[session("pc7", "bob")])
    plan = await plan_sessions(server.manager(), server.sessions)
    server.server = "fs2"
    with pytest.raises(LocalProtocolError, match="fs1"):
        await run(server.manager(), plan)
    assert server.ended == []


@BOTH
async def test_few_orders_have_a_look_each_and_many_share_some(samba: bool) -> None:
    for number in (5, 300):
        server = ScriptedServer(samba=samba, sessions=[session(f"pc{n}", f"user{n}") for n in range(number)])
        plan = await plan_sessions(server.manager(), server.sessions, costs=False)
        looks = server.count(NetrSessionEnum)
        outcomes = await run(server.manager(), plan)
        assert {one.what for one in outcomes} == {What.DONE}
        assert server.count(NetrSessionEnum) - looks <= min(number, 16) + 1


# --- files

PLAN, NOTES = FileInfo(7, 1, 0, r"C:\data\plan.txt", "bob"), FileInfo(8, 3, 1, r"C:\data\notes.txt", "eve")


@BOTH
@pytest.mark.parametrize(
    "now",
    [replace(PLAN, path=r"C:\data\other.txt"), replace(PLAN, user_name="eve"), replace(PLAN, id=9)],
    ids=["path", "user", "id"],
)
async def test_a_number_that_means_another_file_is_spared(samba: bool, now: FileInfo) -> None:
    server = ScriptedServer(samba=samba, files=[PLAN, NOTES])
    manager = server.manager()
    plan = await plan_files(manager, [PLAN, NOTES], costs=False)
    server.files[0] = now
    outcomes = await run(manager, plan)
    assert became(outcomes) == [("spared", "gone" if now.id == 9 else "changed"), ("done", None)]
    assert (server.files, server.closed) == ([now], [NOTES])


@BOTH
async def test_a_number_that_is_given_again_between_two_orders_is_spared(samba: bool) -> None:
    server = ScriptedServer(samba=samba, files=[PLAN, NOTES])
    manager = server.manager()
    plan = await plan_files(manager, [PLAN, NOTES], costs=False)
    now = replace(NOTES, path=r"C:\data\other.txt")

    def change() -> None:
        server.files = [now]

    server.after(NetrFileClose, change)
    assert became(await run(manager, plan)) == [("done", None), ("spared", "changed")]
    assert (server.files, server.closed) == ([now], [PLAN])


async def test_a_number_that_two_files_have_by_now_is_closed_for_neither() -> None:
    server = ScriptedServer(samba=True, files=[PLAN])
    plan = await plan_files(server.manager(), [PLAN], costs=False)
    server.files.append(replace(NOTES, id=7))
    (outcome,) = await run(server.manager(), plan)
    assert (outcome.what, outcome.reason, outcome.error and outcome.error.code) == (What.SPARED, Reason.CHANGED, 52)
    assert server.closed == []


async def test_one_number_asked_for_twice_is_one_target() -> None:
    server = ScriptedServer(files=[PLAN])
    plan = await plan_files(server.manager(), [FileInfo(7), PLAN, FileInfo(99)], costs=False)
    assert (len(plan.targets), plan.asked, list(plan.missing)) == (1, [[0], [0], []], [2])
    results = await server.manager().close_files([FileInfo(7), PLAN, FileInfo(99)])
    assert [one.error and one.error.code for one in results] == [None, None, 2314]


@BOTH
async def test_many_files_take_few_looks(samba: bool) -> None:
    files = [FileInfo(number, 1, 0, rf"C:\data\{number}", "bob") for number in range(1, 401)]
    server = ScriptedServer(samba=samba, files=files)
    plan = await plan_files(server.manager(), files, costs=False)
    assert server.count(NetrFileEnum) == 1
    outcomes = await run(server.manager(), plan)
    assert {one.what for one in outcomes} == {What.DONE}
    assert server.count(NetrFileEnum) + server.count(NetrFileGetInfo) <= (33 if samba else 401)


# --- a share

DATA = ShareInfo("data", 0, "", max_uses=0xFFFFFFFF, path=r"C:\data")


async def test_a_share_takes_along_what_is_open_there() -> None:
    elsewhere = FileInfo(9, 3, 0, r"C:\database\x", "eve")
    server = ScriptedServer(files=[PLAN, NOTES, elsewhere], shares=[DATA], sessions=[session("pc7", "eve", idle=5)])
    plan = await plan_share(server.manager(), "data")
    share, *opened = plan.targets
    assert (share.cost, share.why) == (Cost.UNSAVED, "2 open there")
    assert [(one.cost, one.why) for one in opened] == [
        (Cost.REOPEN, "read access, idle time unknown"),
        (Cost.UNSAVED, "write access, 1 lock"),
    ]

    def change() -> None:
        server.files = [NOTES]

    server.after(NetrShareDel, change)
    assert became(await run(server.manager(), plan)) == [("done", None), ("done", None), ("failed", None)]
    assert server.shares == []


async def test_a_share_that_is_another_folder_by_now_is_spared() -> None:
    server = ScriptedServer(shares=[DATA])
    plan = await plan_share(server.manager(), "data")
    server.shares = [replace(DATA, path=r"C:\other")]
    assert became(await run(server.manager(), plan)) == [("spared", "changed")]
    server.shares = []
    assert became(await run(server.manager(), plan)) == [("spared", "gone")]
    assert server.count(NetrShareDel) == 0
    with pytest.raises(Win32Error) as raised:
        await plan_share(server.manager(), "data")
    assert raised.value.code == 2310
    assert server.count(NetrShareGetInfo) > 0


# --- what it costs


async def test_a_session_costs_what_the_worst_of_its_files_does() -> None:
    sessions = [
        session("pc1", "ann", 0),
        session("pc2", "bob", 2, idle=7200),
        session("pc3", "eve", 1, idle=7200),
        session("pc4", "dave", 1),
        session("pc5", "dave", 1),
        session("pc6", "finn", 3),
    ]
    files = [
        PLAN,
        replace(NOTES, user_name="BOB"),
        replace(PLAN, id=10, user_name="eve"),
        replace(PLAN, user_name="dave"),
    ]
    server = ScriptedServer(sessions=sessions, files=files)
    plan = await plan_sessions(server.manager(), sessions)
    assert [(one.cost.value, one.why) for one in plan.targets] == [
        ("none", "nothing is open"),
        ("unsaved", r"write access, 1 lock: C:\data\notes.txt"),
        ("none", r"read access, idle for 120 minutes: C:\data\plan.txt"),
        ("unknown", "which files it has open cannot be told"),
        ("unknown", "which files it has open cannot be told"),
        ("unknown", "what it has open is not listed"),
    ]
    assert plan.cost is Cost.UNSAVED


async def test_where_files_may_not_be_asked_for_the_cost_is_unknown() -> None:
    server = ScriptedServer(sessions=[session("pc1", "ann", 1)], knows_files=False)
    plan = await plan_sessions(server.manager(), server.sessions)
    assert plan.targets[0].cost is Cost.UNKNOWN
    assert became(await run(server.manager(), plan)) == [("done", None)]


def names(plan: Plan) -> list[object]:
    return [target.record.user_name for target in plan.targets if isinstance(target.record, SessionInfo)]


async def test_some_of_a_plan() -> None:
    sessions = [session("pc1", "ann"), session("pc1", "ann", age=9), session("pc2", "bob")]
    server = ScriptedServer(sessions=sessions)
    plan = await plan_sessions(server.manager(), sessions)
    assert names(plan.only(lambda target: True)) == ["ann", "ann", "bob"]
    # One order ends both of ann's, so it is not given for one of them.
    assert names(plan.only(lambda target: target is not plan.targets[0])) == ["bob"]
    assert became(await run(server.manager(), plan.only(lambda target: target is plan.targets[2]))) == [("done", None)]
    assert len(server.sessions) == 2


async def test_for_programs() -> None:
    server = ScriptedServer(samba=True, sessions=[session("pc1", "ann", 1), session("pc1", "bob", 2)], files=[PLAN])
    plan = await plan_sessions(server.manager(), server.sessions[:1])
    data = plan.as_json()
    (target,) = data["targets"]
    assert (target["kind"], target["client_name"], target["cost"], target["num_bystanders"]) == (
        "session",
        r"\\pc1",
        "unknown",
        1,
    )
    assert target["begun_at"].endswith("Z")
    assert target["key"].startswith("session:")
    assert data["bystanders"] == [{"client_name": r"\\pc1", "user_name": "bob", "num_opens": 2}]
    (outcome,) = await run(server.manager(), plan)
    assert (outcome.as_json()["outcome"], outcome.as_json()["reason"], outcome.as_json()["error"]) == (
        "spared",
        "bystanders",
        170,
    )


@BOTH
async def test_what_costs_more_by_now_than_it_may_is_spared(samba: bool) -> None:
    """Somebody begins to write while a person thinks about the question."""
    files = [FileInfo(1, 1, 0, r"D:\a", "bob"), FileInfo(2, 1, 0, r"D:\b", "eve")]
    server = ScriptedServer(samba=samba, sessions=[session("pc7", "bob", 1), session("pc8", "eve", 1)], files=files)
    manager = server.manager()
    closing, ending = await plan_files(manager, files), await plan_sessions(manager, server.sessions)
    server.files[0] = replace(files[0], num_locks=1)
    told: list[Outcome] = []
    outcomes = await run(manager, closing, limit=Cost.REOPEN, done=told.append)
    assert became(outcomes) == [("spared", "changed"), ("done", None)]
    assert [one.target for one in told] == [one.target for one in outcomes]
    assert [one.id for one in server.closed] == [2]
    server.files.append(files[1])
    assert became(await run(manager, ending, limit=Cost.REOPEN)) == [("spared", "changed"), ("done", None)]
    assert [one.user_name for one in server.ended] == ["eve"]


async def test_a_limit_is_one_of_the_blocking_call_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs without asyncio leave alone what costs more by then as well."""
    files = [FileInfo(1, 1, 0, r"D:\a", "bob")]
    server = ScriptedServer(files=files)
    plan = await plan_files(server.manager(), files)
    server.files[0] = replace(files[0], permissions=3)

    monkeypatch.setattr("lanman.manage.sync.open_manager", lambda *_, **__: server.manager())

    def blocking() -> list[Outcome]:
        with lanman.connect("fs1") as manager:
            assert manager.clients_called("PC7", [r"\\pc7", r"\\pc8"]) == {r"\\pc7"}
            return manager.run(plan, limit=Cost.REOPEN)

    assert became(await asyncio.to_thread(blocking)) == [("spared", "changed")]
    assert server.closed == []


async def test_a_share_is_gone_even_where_nothing_more_is_answered() -> None:
    server = ScriptedServer(
        shares=[ShareInfo("data", 0, path=r"D:\data")], files=[FileInfo(1, 1, 0, r"D:\data\a", "bob")]
    )
    manager = server.manager()
    plan = await plan_share(manager, "data")
    server.after(NetrShareDel, lambda: setattr(server, "knows_files", False))
    outcomes = await run(manager, plan)
    assert [(one.what, one.error and one.error.code) for one in outcomes] == [(What.DONE, None), (What.FAILED, 50)]


def test_what_is_grave() -> None:
    def plan(*costs: Cost, is_own: bool = False) -> Plan:
        made = [Target(session("pc7", "bob"), SessionKey("pc7", "bob"), cost=cost, is_own=is_own) for cost in costs]
        return Plan(Verb.END, "fs1", made)

    assert [plan(cost).is_grave() for cost in Cost] == [False, False, True, True]
    assert not plan(Cost.UNSAVED, is_own=True).is_grave()
    assert [plan(*[Cost.NONE] * number).is_grave() for number in (0, 20, 21)] == [False, False, True]
    one = plan(Cost.NONE)
    one.targets[0].bystanders = [session("pc7", "eve", opens=1)]
    assert (one.is_grave(), one.is_grave(with_others=True)) == (False, True)
