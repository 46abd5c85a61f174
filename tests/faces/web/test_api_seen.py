"""What the REST interface tells of servers, sessions, files and shares."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost
from lanman.faces.web.api import seen
from lanman.records import FileInfo, ServerInfo, SessionInfo, ShareInfo
from support.fake_manager import FakeManager
from support.web_api import Asker, Web, api


def fs1() -> FakeManager:
    return FakeManager(
        server="fs1",
        entries=[
            SessionInfo(r"\\10.0.0.9", "bob", 2, 600, 30, 0, "", "tcp"),
            SessionInfo(r"\\10.0.0.22", "carol", 1, 60, 0, 0, "", "tcp"),
            SessionInfo(r"\\pc7", "Bob", 0, 10, 5, 1, "", "tcp"),
            SessionInfo(r"\\10.0.0.100", None, None, None, None, None, None, None),
        ],
        opened=[
            FileInfo(7, 0x23, 2, r"C:\srv\projects\budget.xlsx", "carol"),
            FileInfo(8, 1, 0, r"C:\srv\projects\plan.docx", "bob"),
            FileInfo(9, 1, 0, r"C:\srv\pub\menu.pdf", "dave"),
        ],
        shared=[
            ShareInfo("projects", 0, "all of us", max_uses=0xFFFFFFFF, current_uses=3, path=r"C:\srv\projects"),
            ShareInfo("IPC$", 0x80000003, "", max_uses=0xFFFFFFFF, current_uses=1, path=""),
        ],
        info=ServerInfo(500, "fs1", 10, 0, 0x9003, "the first", 20, 15, False),
    )


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with api({"fs1": fs1(), "fs2": FakeManager(server="fs2")}) as web:
        yield web


@pytest.fixture
def ann(web: Web) -> Asker:
    return web.log_in("ann", "fs1")


async def test_how_many_sessions_a_server_admits_is_left_out_where_it_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(level: int | None = None) -> ServerInfo:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(seen, "PATIENCE", 0.01)
    silent = fs1()
    silent.server_info = never  # type: ignore[method-assign]
    async with api({"fs1": silent}) as web:
        (one,) = (await web.log_in("ann", "fs1").get("/servers")).json["servers"]
    assert (one["state"], one["sessions"], one["session_limit"]) == ("up", 4, None)


async def test_servers_up_and_those_where_one_has_to_log_on(web: Web, ann: Asker) -> None:
    answer = await ann.get("/servers")
    assert answer.status == 200
    one, other = answer.json["servers"]
    assert (one["name"], one["state"], one["user"], one["level"]) == ("fs1", "up", "ann", 502)
    assert (one["sessions"], one["users"], one["files"], one["locks"], one["shares"]) == (4, 3, 3, 2, 2)
    assert one["session_limit"] == 20
    assert one["capabilities"] == dict.fromkeys(("end", "close", "share", "set", "pause", "drain"), True)
    assert (one["why"], one["age"], one["error"]) == ({}, 0, None)
    assert (other["name"], other["state"], other["sessions"]) == ("fs2", "login", None)
    assert set(other["capabilities"].values()) == {False}
    assert other["why"]["end"] == "log on at fs2 first"
    alone = await ann.get("/servers/fs1")
    assert alone.json["server"] == one
    assert (await ann.get("/servers/fs9")).status == 404
    assert (await ann.get("/servers/fs2/sessions")).status == 403


async def test_the_rows_are_those_of_watch(ann: Asker) -> None:
    answer = (await ann.get("/servers/fs1/sessions", sort="client_name")).json
    assert (answer["kind"], answer["total"], answer["matching"], answer["next"]) == ("session", 4, 4, None)
    assert answer["state"] == "up"
    # Addresses by number, and then names.
    assert [row["client_name"] for row in answer["rows"]] == [
        r"\\10.0.0.9",
        r"\\10.0.0.22",
        r"\\10.0.0.100",
        r"\\pc7",
    ]
    bob = answer["rows"][0]
    assert (bob["user_name"], bob["num_opens"], bob["begun_how"]) == ("bob", 2, "told")
    assert bob["begun_at"].endswith("Z")
    nobody = answer["rows"][2]
    assert {name for name, value in nobody.items() if value is not None} == {"key", "kind", "client_name", "begun_how"}
    shares = (await ann.get("/servers/fs1/shares")).json
    assert {row["name"]: row["current_uses"] for row in shares["rows"]} == {"projects": 3, "IPC$": 1}


@pytest.mark.parametrize(
    ("query", "users"),
    [
        ({"user": "bob"}, ["bob"]),  # equal before alike
        ({"user": "BOB"}, ["Bob", "bob"]),
        ({"user": "c*"}, ["carol"]),
        ({"client": "10.0.0.22"}, ["carol"]),
        ({"client": r"\\PC7"}, ["Bob"]),
        ({"client": "10.0.0.*"}, [None, "bob", "carol"]),
        ({"user": "bob", "client": "pc7"}, []),
        ({"q": "TCP bob"}, ["Bob", "bob"]),
        ({"q": "0.0.22"}, ["carol"]),
        ({"sort": "-num_opens"}, ["bob", "carol", "Bob", None]),
        ({"sort": "num_opens"}, ["Bob", "carol", "bob", None]),
        ({"sort": "-user_name", "limit": 2}, ["carol", "bob"]),
    ],
)
async def test_filters_and_order(ann: Asker, query: dict[str, str], users: list[str | None]) -> None:
    answer = (await ann.get("/servers/fs1/sessions", **query)).json
    found = [row["user_name"] for row in answer["rows"]]
    assert found == users if "sort" in query else sorted(found, key=str) == sorted(users, key=str)
    assert answer["total"] == 4


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"path": r"\\fs1\projects\budget.xlsx"}, [7]),
        ({"path": "/srv/projects/*"}, [7, 8]),
        ({"path": r"\\fs1\projects\*.docx"}, [8]),
        ({"user": "dave"}, [9]),
        ({"q": "menu"}, [9]),
        ({"client": "10.0.0.22"}, [7]),
    ],
)
async def test_files_by_path_user_and_client(ann: Asker, query: dict[str, str], ids: list[int]) -> None:
    answer = (await ann.get("/servers/fs1/files", sort="id", **query)).json
    assert [row["id"] for row in answer["rows"]] == ids


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/servers/fs1/sessions?user=", "user is empty"),
        ("/servers/fs1/sessions?user=%20%20", "nothing"),
        ("/servers/fs1/sessions?q=%20", "q is blank"),
        ("/servers/fs1/sessions?client=%5C%5C", "the client in the filter"),
        ("/servers/fs1/sessions?user=a&user=b", "twice"),
        ("/servers/fs1/sessions?usr=a", "usr is not known"),
        ("/servers/fs1/sessions?path=a", "path is not known"),
        ("/servers/fs1/sessions?sort=passwd", "sort is passwd"),
        ("/servers/fs1/sessions?limit=0", "limit is 0"),
        ("/servers/fs1/sessions?limit=many", "limit is many"),
        ("/servers/fs1/sessions?limit=1e3", "limit is 1e3"),
        ("/servers/fs1/sessions?after=%21%21", "after is no"),
        ("/servers/fs1/sessions?after=WzFd", "after is no"),
        ("/servers/fs1/files?path=%5C%5Cfs1%5Cnowhere%5Ca", "no share nowhere"),
        ("/servers/fs1/files?user=" + "x" * 300, "300 characters"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_words(ann: Asker, path: str, says: str) -> None:
    answer = await ann.ask("GET", path)
    if says == "nothing":
        assert answer.json["matching"] == 0
        return
    assert answer.status == 400, answer
    assert says in answer.message
    assert answer.json["error"]["code"] in (codes.ERROR_INVALID_PARAMETER, codes.NERR_InvalidComputer)


async def test_a_list_goes_on_where_it_ended() -> None:
    many = FakeManager(
        server="fs1", entries=[SessionInfo(f"\\\\pc{n}", f"user{n % 7}", n % 3, 100 + n, 0) for n in range(25)]
    )
    async with api({"fs1": many}) as web:
        ann = web.log_in("ann")
        for sort in ("num_opens", "-num_opens", "key", "-client_name"):
            whole = await ann.keys("fs1", "sessions", sort=sort)
            pages: list[str] = []
            after: dict[str, str] = {}
            while True:
                answer = (await ann.get("/servers/fs1/sessions", sort=sort, limit=4, **after)).json
                pages += [row["key"] for row in answer["rows"]]
                if answer["next"] is None:
                    break
                after = {"after": answer["next"]}
            assert pages == whole
            assert len(set(whole)) == 25


async def test_who_is_told_nothing_hears_why() -> None:
    denied = FakeManager(server="fs1", fails=AccessDenied(subject="the list of sessions", hint="be an operator"))
    names = FakeManager(server="fs1", entries=[SessionInfo(r"\\pc1", "x")])
    async with api({"fs1": {"mallory": denied, "": names}}) as web:
        mallory, ann = web.log_in("mallory"), web.log_in("ann")
        denied.shared = []
        answer = await mallory.get("/servers/fs1/sessions")
        assert (answer.status, answer.json["error"]["hint"]) == (403, "be an operator")
        assert (await ann.get("/servers/fs1/sessions")).json["total"] == 1


async def test_a_server_that_is_away_says_so() -> None:
    away = FakeManager(server="fs1", fails=ConnectionLost("nobody answers", code=codes.ERROR_BAD_NETPATH))
    async with api({"fs1": away}) as web:
        ann = web.log_in("ann")
        answer = await ann.get("/servers/fs1/sessions")
        assert (answer.status, answer.json["error"]["code"]) == (502, codes.ERROR_BAD_NETPATH)
        (server,) = (await ann.get("/servers")).json["servers"]
        assert (server["state"], server["sessions"], server["error"]["message"]) == ("away", None, "nobody answers")


async def test_a_kind_that_is_refused_is_an_error_of_that_list() -> None:
    class Closed(FakeManager):
        async def files(self, **filters: object) -> list[FileInfo]:
            raise AccessDenied(subject="the list of open files")

    async with api({"fs1": Closed(server="fs1", entries=[SessionInfo(r"\\pc1", "x")])}) as web:
        ann = web.log_in("ann")
        assert (await ann.get("/servers/fs1/sessions")).status == 200
        assert (await ann.get("/servers/fs1/files")).status == 403
        (server,) = (await ann.get("/servers")).json["servers"]
        assert (server["kinds"], server["files"]) == (["session", "share"], None)
        assert server["refused"]["file"]["code"] == 5
        assert not server["capabilities"]["close"]


EVIL = '<script>alert(1)</script>\u202e\x00\x1b[2J\ud800"\\'


async def test_what_a_hostile_server_says_comes_through_as_it_is() -> None:
    manager = FakeManager(
        server="fs1",
        entries=[SessionInfo(f"\\\\{EVIL}", EVIL, 1, 5, 5, 0, EVIL, EVIL), SessionInfo(None, None)],
        opened=[FileInfo(1, 1, 0, EVIL, EVIL), FileInfo(None, None, None, None, None)],
        shared=[ShareInfo(EVIL, 0, EVIL, path=EVIL), ShareInfo("")],
    )
    async with api({"fs1": manager}) as web:
        ann = web.log_in("ann")
        sessions = await ann.get("/servers/fs1/sessions")
        assert {row["user_name"] for row in sessions.json["rows"]} == {EVIL, None}
        files = await ann.get("/servers/fs1/files")
        assert {row["path"] for row in files.json["rows"]} == {EVIL, None}
        shares = await ann.get("/servers/fs1/shares")
        assert {row["remark"] for row in shares.json["rows"]} == {EVIL, None}
        for key in (row["key"] for answer in (sessions, files, shares) for row in answer.json["rows"]):
            assert key.isascii()
        found = await ann.get("/servers/fs1/sessions", q="<script>")
        assert found.json["matching"] == 1


async def test_ten_thousand_rows_are_given_in_steps() -> None:
    entries = [SessionInfo(f"\\\\10.0.{n // 250}.{n % 250}", f"user{n}", 1, 1000 + n, n) for n in range(10_000)]
    async with api({"fs1": FakeManager(server="fs1", entries=entries)}) as web:
        ann = web.log_in("ann")
        first = await ann.get("/servers/fs1/sessions")
        assert (first.json["total"], len(first.json["rows"])) == (10_000, 10_000)
        assert len({row["key"] for row in first.json["rows"]}) == 10_000
        again = await ann.get("/servers/fs1/sessions")
        assert json.dumps(again.json["rows"]) == json.dumps(first.json["rows"])
        assert again.json["at"] == first.json["at"]


async def test_nobody_who_is_not_logged_on_is_told_anything(web: Web) -> None:
    nobody = web.asker(None)
    for path in ("/servers", "/servers/fs1/sessions", "/explain", "/doctor", "/plans", "/metrics", "/history/at"):
        answer = await nobody.get(path)
        assert (answer.status, "fs1" in answer.text) == (401, False)
    assert (await nobody.get("/healthz")).json == {"schema": 1, "ok": True}
