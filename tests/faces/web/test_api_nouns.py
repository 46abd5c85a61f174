"""Explain, doctor, settings, statistics, history, policies and figures over REST."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError
from lanman.faces.web.console import Offered, Settings
from lanman.faces.web.managers import KEEP, Managers
from lanman.faces.web.people import Access, Person
from lanman.manage.doctor.report import Diagnosis, Finding, Mark
from lanman.manage.history import open_store
from lanman.manage.history.records import Deed
from lanman.manage.policies.kept import spare
from lanman.net.credentials import Credentials
from lanman.records import FileInfo, ServerInfo, SessionInfo, ShareInfo, Statistics, TransportInfo
from lanman.shown import rfc3339
from support.fake_manager import FakeManager
from support.recorded import NOON, Clock, Stage, file, session
from support.waiting import until
from support.web_api import api, offer

START = 1_700_000_000


def fs1(**more: Any) -> FakeManager:
    return FakeManager(
        server="fs1",
        entries=[SessionInfo(r"\\pc7", "bob", 2, 600, 30), SessionInfo(r"\\pc9", "carol", 1, 60, 0)],
        opened=[
            FileInfo(7, 0x23, 2, r"C:\srv\budget.xlsx", "bob"),
            FileInfo(8, 1, 0, r"C:\srv\budget.xlsx", "carol"),
            FileInfo(9, 1, 0, r"C:\srv\other.xlsx", "bob"),
        ],
        shared=[ShareInfo("projects", 0, "", path=r"C:\srv")],
        **more,
    )


# --- explain


async def test_who_has_a_file_open() -> None:
    async with api({"fs1": fs1(), "fs2": FakeManager()}) as web:
        ann = web.log_in("ann", "fs1")
        found = (await ann.get("/explain", path=r"\\fs1\projects\budget.xlsx")).json
        assert (found["server"], found["local_path"], found["share_how"]) == ("fs1", r"C:\srv\budget.xlsx", "told")
        holders = {each["id"]: each for each in found["holders"]}
        assert (holders[7]["client_name"], holders[7]["client_how"], holders[7]["cost"]) == (
            r"\\pc7",
            "inferred",
            "unsaved",
        )
        assert holders[7]["session"]["num_opens"] == 2
        assert holders[8]["cost"] == "reopen"
        only = (await ann.get("/explain", server="fs1", path="*budget*", user="carol")).json
        assert [each["id"] for each in only["holders"]] == [8]
        for query, status in (
            ({"path": "*budget*"}, 400),
            ({"path": r"\\fs9\projects\budget.xlsx"}, 404),
            ({"path": r"\\fs2\projects\budget.xlsx"}, 403),
            ({"path": r"\\fs1\nowhere\a"}, 404),
            ({"server": "fs1"}, 400),
            ({"server": "fs1", "path": r"\\other\projects\a"}, 400),
            ({"server": "fs1", "path": "a", "user": "EXAMPLE\\"}, 400),
        ):
            assert (await ann.get("/explain", **query)).status == status, query


async def test_one_manager_answers_a_persons_questions_and_nobody_elses() -> None:
    opened: list[str] = []
    manager = fs1()

    def opening_as(credentials: Credentials, *how: Any) -> Any:
        @asynccontextmanager
        async def opening() -> AsyncIterator[FakeManager]:
            opened.append(f"+{credentials.user_name}")
            yield manager
            opened.append(f"-{credentials.user_name}")

        return opening

    async with api({"fs1": Offered("fs1", opening_as(Credentials("")), opening_as)}) as web:
        ann, bob = web.log_in("ann"), web.log_in("bob")
        for _ in range(3):
            await ann.get("/servers/fs1/settings")
        await bob.get("/servers/fs1/statistics")
        assert opened == ["+ann", "+bob"]
        web.console.people.end(ann.key, "by themselves")
        await until(lambda: opened == ["+ann", "+bob", "-ann"])
    assert opened == ["+ann", "+bob", "-ann", "-bob"]


async def test_a_refused_log_on_is_not_tried_again() -> None:
    tries: list[int] = []

    @asynccontextmanager
    async def opening() -> AsyncIterator[FakeManager]:
        tries.append(1)
        raise AuthenticationError("the log-on was refused")
        yield FakeManager()

    person, managers = Person("ann", "login"), Managers()
    access = Access("fs1", "ann", opening, True)
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            async with managers.of(person, access):
                pass
    assert len(tries) == 1
    # Whoever logs in anew has another access.
    with pytest.raises(AuthenticationError):
        async with managers.of(person, Access("fs1", "ann", opening, True)):
            pass
    assert len(tries) == 2
    await managers.close()


async def test_a_manager_that_lost_its_connection_is_not_asked_again() -> None:
    from lanman.errors import ConnectionLost

    opened: list[FakeManager] = []

    @asynccontextmanager
    async def opening() -> AsyncIterator[FakeManager]:
        opened.append(FakeManager())
        yield opened[-1]

    now = [0.0]
    person, managers = Person("ann", "login"), Managers(clock=lambda: now[0])
    access = Access("fs1", "ann", opening, True)
    with pytest.raises(ConnectionLost):
        async with managers.of(person, access):
            raise ConnectionLost("gone")
    async with managers.of(person, access) as other:
        pass
    assert (len(opened), other) == (2, opened[1])
    now[0] = KEEP
    managers._look()
    await managers.close()
    assert managers._kept == {}


# --- settings and statistics


async def test_settings_and_statistics() -> None:
    manager = fs1(
        info=ServerInfo(500, "fs1", 10, 0, 0x9003, "the first", 20, 15, False, sessopens=2048),
        counted=Statistics(start=START, sopens=7, pwerrors=2, bytessent_low=5, bytessent_high=1),
        listening=[TransportInfo(3, "\\Device\\lanman", b"FS1             ", "10.0.0.5", "EXAMPLE")],
    )
    async with api({"fs1": manager}, wall_clock=lambda: START + 60.0) as web:
        ann = web.log_in("ann")
        told = (await ann.get("/servers/fs1/settings")).json["configuration"]
        assert (told["comment"], told["disc"], told["sessopens"], told["hidden"]) == ("the first", 15, 2048, False)
        assert told["transports"] == [{"name": "lanman", "address": "FS1"}]
        assert "announce" not in told
        counted = (await ann.get("/servers/fs1/statistics")).json["statistics"]
        assert (counted["started_at"], counted["answered_at"]) == (rfc3339(START), rfc3339(START + 60))
        assert (counted["sopens"], counted["pwerrors"], counted["bytes_sent"]) == (7, 2, (1 << 32) + 5)
        manager.listening = None
        assert (await ann.get("/servers/fs1/settings")).json["configuration"]["transports"] is None


# --- doctor


def diagnosis(*findings: Finding) -> Diagnosis:
    return Diagnosis("fs1", findings, float(START), 0.25)


WELL = Finding("LD012", "reach", "port", Mark.OK, "port 445 answers", evidence={"ms": 2})
REFUSED = Finding("LD030", "log-on", "user", Mark.PROBLEM, "wrong user or password", "wrong", fix="x", stops=True)


async def test_doctor_examines_as_the_person_one_at_a_time() -> None:
    asked: list[Any] = []
    go = asyncio.Event()

    async def examine(credentials: Credentials | None) -> Diagnosis:
        asked.append(credentials)
        await go.wait()
        return diagnosis(WELL)

    async with api({"fs1": offer("fs1", fs1())._replace(examine=examine)}) as web:
        ann, bob = web.log_in("ann"), web.log_in("bob")
        first = asyncio.create_task(ann.get("/doctor", server="fs1"))
        await until(lambda: asked)
        assert (await ann.get("/doctor", server="fs1")).status == 409
        other = asyncio.create_task(bob.get("/doctor", server="fs1"))
        await until(lambda: len(asked) == 2)
        go.set()
        found = (await first).json
        assert (found["verdict"], found["problems"], found["findings"][0]["evidence"]) == ("well", 0, {"ms": 2})
        assert (await other).status == 200
        assert [each.user_name for each in asked] == ["ann", "bob"]
        assert (await ann.get("/doctor", server="fs1")).status == 200


async def test_doctor_tries_no_wrong_password_twice() -> None:
    asked: list[Any] = []

    async def examine(credentials: Credentials | None) -> Diagnosis:
        asked.append(credentials)
        return diagnosis(WELL, REFUSED)

    async with api({"fs1": offer("fs1", fs1())._replace(examine=examine), "fs2": fs1()}) as web:
        ann = web.log_in("ann")
        assert (await ann.get("/doctor", server="fs1")).json["verdict"] == "problems"
        again = await ann.get("/doctor", server="fs1")
        assert (again.status, len(asked)) == (401, 1)
        assert (await ann.get("/servers/fs1/settings")).status == 401
        assert (await ann.get("/doctor", server="fs2")).status == 501
        assert (await ann.get("/doctor")).status == 400


# --- history


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[tuple[str, Clock]]:
    """A database in which bob had a file open on fs1, and eve was on fs2."""
    clock, url = Clock(), f"sqlite://{tmp_path}/history.sqlite"
    async with Stage(url, clock, "fs1", "fs2") as stage:
        await stage.start()
        one, other = stage.pollers["fs1"], stage.pollers["fs2"]
        bob, budget = session(r"\\pc7", "bob", NOON - 600), file(1, r"C:\srv\budget.xlsx", "bob", r"\\pc7", 3)
        one.picture.put(bob)
        one.look(first=True)
        other.picture.put(session(r"\\pc2", "eve", NOON - 60))
        other.look(first=True)
        for _ in range(3):
            clock.now += 5
            await stage.play()
            one.look(*([one.seen(budget)] if clock.now == NOON + 5 else []))
            other.look()
        await stage.play()
        await stage.store.note_deed(Deed(NOON + 6, "fs1", "ann", "close", "done", "file:1", None, "bob", "x"))
        yield url, clock


async def test_the_history_of_a_server_that_tells(recorded: tuple[str, Clock]) -> None:
    url, clock = recorded
    at = rfc3339(NOON + 7)
    async with api({"fs1": fs1(), "fs2": fs1()}, Settings(database=url, timeout=60.0)) as web:
        ann = web.log_in("ann", "fs1")
        store = open_store(url, wall_clock=clock.wall)
        await store.open()
        web.console.history._store = store
        found = (await ann.get("/history/at", server="fs1", at=at)).json
        assert [(stay["kind"], stay["user_name"], stay["path"]) for stay in found["stays"]] == [
            ("session", "bob", None),
            ("file", "bob", r"C:\srv\budget.xlsx"),
        ]
        assert found["stays"][1]["certain"]
        span = {"server": "fs1", "since": rfc3339(NOON), "until": rfc3339(NOON + 15)}
        assert len((await ann.get("/history/between", **span)).json["stays"]) == 2
        assert len((await ann.get("/history/between", **span, limit=1)).json["stays"]) == 1
        assert len((await ann.get("/history/who", server="fs1", path="*budget*")).json["stays"]) == 1
        assert len((await ann.get("/history/user", server="fs1", user="BOB")).json["stays"]) == 2
        assert len((await ann.get("/history/client", server="fs1", client="pc7")).json["stays"]) == 2
        assert (await ann.get("/history/user", server="fs1", user="eve")).json["stays"] == []
        assert (await ann.get("/history/gaps", server="fs1")).json["gaps"] == []
        series = (await ann.get("/history/series", **span, points=4)).json
        assert series["step"] == 5
        assert [(point["sessions"], point["files"]) for point in series["points"]] == [(1, 1)] * 4
        # Of another server nothing is told, not even that it was recorded.
        for path in ("/history/at", "/history/user", "/history/gaps"):
            query = {"at": at} if path.endswith("at") else {"user": "eve"} if path.endswith("user") else {}
            assert (await ann.get(path, server="fs2", **query)).status == 403
        assert (await ann.get("/history/gaps")).status == 400


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"at": "14:05"}, "no time"),
        ({"at": "2026-13-01T00:00:00Z"}, "no time"),
        ({"at": "2026-01-01T00:00:00"}, "no time"),
        ({"at": "9999-12-31T23:59:59Z"}, "has not come"),
        ({"at": "2024-01-01T00:00:00Z", "user": ""}, "user is empty"),
        ({}, "at is missing"),
    ],
)
async def test_times_that_are_none(recorded: tuple[str, Clock], query: dict[str, str], says: str) -> None:
    async with api({"fs1": fs1()}, Settings(database=recorded[0], timeout=60.0)) as web:
        answer = await web.log_in("ann").get("/history/at", server="fs1", **query)
        assert (answer.status, says in answer.message) == (400, True), answer


async def test_who_is_not_told_now_is_not_told_of_yesterday(recorded: tuple[str, Clock]) -> None:
    class NoFiles(FakeManager):
        async def files(self, **filters: Any) -> list[FileInfo]:
            raise AccessDenied(subject="the list of open files")

    poor = fs1(level=0)
    servers = {"fs1": {"carl": NoFiles(server="fs1", entries=fs1().entries), "paula": poor, "": fs1()}}
    async with api(servers, Settings(database=recorded[0], timeout=60.0)) as web:
        for user, status in (("carl", 403), ("paula", 403), ("ann", 200)):
            assert (await web.log_in(user).get("/history/gaps", server="fs1")).status == status, user


async def test_without_a_database_there_is_no_history() -> None:
    async with api({"fs1": fs1()}) as web:
        answer = await web.log_in("ann").get("/history/gaps", server="fs1")
        assert (answer.status, answer.json["error"]["code"]) == (501, codes.ERROR_NOT_SUPPORTED)


async def test_what_is_done_is_noted(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/history.sqlite"
    async with open_store(url):
        pass  # there is one now
    async with api({"fs1": fs1()}, Settings(database=url, timeout=60.0)) as web:
        ann = web.log_in("ann")
        (key,) = await ann.keys("fs1", "files", q="other")
        done = await ann.run(await ann.plan("fs1", "close", [key]))
        assert done["note"] is None
    async with open_store(url) as store:
        (deed,) = await store.deeds(0, 1 << 40)
    assert (deed.who, deed.server, deed.verb, deed.outcome, deed.path) == (
        "ann",
        "fs1",
        "close",
        "done",
        r"C:\srv\other.xlsx",
    )


async def test_an_order_does_not_depend_on_the_history(tmp_path: Path) -> None:
    async with api({"fs1": fs1()}, Settings(database=f"sqlite://{tmp_path}/nothing", timeout=60.0)) as web:
        ann = web.log_in("ann")
        (key,) = await ann.keys("fs1", "files", q="other")
        done = await ann.run(await ann.plan("fs1", "close", [key]))
        assert (done["state"], done["outcomes"][0]["outcome"]) == ("done", "done")
        assert "not noted in history" in done["note"]


# --- policies


POLICIES = """
[policies.three]
servers = ["fs1", "fs9"]
max_sessions_per_user = 1
then = "end"
[policies.elsewhere]
servers = ["fs9"]
select = { idle = "2h" }
then = "end"
"""


@pytest.fixture
def policies(tmp_path: Path) -> str:
    path = tmp_path / "policies.toml"
    path.write_text(POLICIES)
    return str(path)


async def test_policies_are_planned_with_the_rights_of_who_asks(policies: str) -> None:
    manager = fs1()
    manager.entries.append(SessionInfo(r"\\pc8", "bob", 0, 300, 200))
    async with api(
        {"fs1": manager, "fs9": FakeManager(server="fs9")}, Settings(policies=policies, timeout=60.0)
    ) as web:
        ann = web.log_in("ann", "fs1")
        listed = (await ann.get("/policies")).json["policies"]
        assert [(each["policy"], each["mode"]) for each in listed] == [("three", "report")]
        plans = (await ann.get("/policies/plan")).json["plans"]
        assert [(each["policy"], each["server"], each["matched"]) for each in plans] == [("three", "fs1", 1)]
        assert [each["client_name"] for each in plans[0]["sessions"]] == [r"\\pc8"]
        assert len(manager.entries) == 3
        assert (await ann.get("/policies/plan", server="fs9")).status == 403
        assert (await ann.get("/policies/status")).status == 501


async def test_no_policies_are_said() -> None:
    async with api({"fs1": fs1()}, Settings(policies="/nowhere/policies.toml", timeout=60.0)) as web:
        assert (await web.log_in("ann").get("/policies")).status == 404


async def test_what_policies_have_promised(policies: str, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/history.sqlite"
    async with open_store(url):
        pass
    async with api({"fs1": fs1()}, Settings(policies=policies, database=url, timeout=60.0)) as web:
        found = (await web.log_in("ann").get("/policies/status")).json
        assert (found["runs"], found["promises"], found["spared"]) == (None, [], [])


async def test_who_is_not_told_of_others_is_not_told_whom_policies_spare(policies: str, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/history.sqlite"
    now = time.time()
    async with open_store(url) as store:
        for word, server in (("bob", "fs1"), ("carol", ""), ("dave", "fs2")):
            await spare(store, word, now + 3600, server=server, by="root", now=now)
    servers: dict[str, Any] = {"fs1": {"paula": fs1(level=0), "": fs1()}, "fs2": fs1()}
    async with api(servers, Settings(policies=policies, database=url, timeout=60.0)) as web:
        for user, told in (("paula", []), ("ann", ["bob", "carol"])):
            found = (await web.log_in(user, "fs1").get("/policies/status")).json
            assert sorted(each["key"] for each in found["spared"]) == told, user


# --- figures


async def test_figures_of_what_one_is_shown() -> None:
    pytest.importorskip("prometheus_client", reason="not installed: prometheus-client (the extra metrics)")
    async with api({"fs1": fs1(), "fs2": fs1()}) as web:
        ann = web.log_in("ann", "fs1")
        answer = await ann.get("/metrics")
        assert answer.status == 200
        assert 'lanman_sessions{server="fs1"} 2.0' in answer.text
        assert 'lanman_open_files{access="write",server="fs1"} 1.0' in answer.text
        assert "fs2" not in answer.text
        assert "bob" not in answer.text
        assert "lanman_sessions_opened" not in answer.text
