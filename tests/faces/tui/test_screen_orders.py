"""Ending and closing from the screen, against servers that change at that moment: what was looked at, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lanman import codes
from lanman.errors import ConnectionLost, Win32Error
from lanman.faces.tui.pages import OutcomePage, PlanPage
from lanman.manage.manager import Manager
from lanman.manage.watching.rows import FileRow, SessionRow
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import FakeManager
from support.scripted_watch import NOW, ScriptedSource, Terminal, closed, file, session

BOB = session(r"\\pc7", "bob", 0, age=3600)
CAROL = session(r"\\pc9", "carol", 0, age=60)
DAVE = session(r"\\pc9", "dave", 0, age=60)
BUDGET = file(5812, r"D:\projects\budget.xlsx", "bob", 3, 2)
PLAN = file(5990, r"D:\projects\plan.txt", "carol", 1, 0)


class ChangingServer(FakeManager):
    """`before` is called before each question: a server on which something happens just then."""

    def before(self) -> None:
        """Nothing happens."""

    async def sessions(self, **filters: Any) -> Any:
        self.before()
        return await super().sessions(**filters)

    async def files(self, **filters: Any) -> Any:
        self.before()
        return await super().files(**filters)

    async def file(self, id: int) -> FileInfo:
        self.before()
        return await super().file(id)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ChangingServer:
    monkeypatch.setattr("time.time", lambda: NOW)
    return ChangingServer("fs1")


@pytest.fixture
def fs1(server: ChangingServer) -> ScriptedSource:
    return ScriptedSource("fs1", server)


def look(source: ScriptedSource, *rows: SessionRow | FileRow) -> None:
    """The server has these and the screen has seen them."""
    assert isinstance(source.told, FakeManager)
    source.told.entries = [row.as_listed(NOW) for row in rows if isinstance(row, SessionRow)]
    source.told.opened = [row.as_listed() for row in rows if isinstance(row, FileRow)]
    source.first(*rows)


@asynccontextmanager
async def allowed(source: ScriptedSource, columns: int = 120) -> AsyncIterator[Terminal]:
    async with Terminal(source).shown(columns) as terminal:
        await terminal.press("w")
        yield terminal


def users(server: ChangingServer) -> list[str | None]:
    return [entry.user_name for entry in server.entries]


async def test_nothing_before_w_and_never_with_readonly(fs1: ScriptedSource, server: ChangingServer) -> None:
    look(fs1, BOB, BUDGET)
    async with Terminal(fs1).shown() as terminal:
        assert "READ-ONLY" in terminal.lines[1]
        assert (await terminal.press("e"))[-1].startswith("READ-ONLY: nothing is ended or closed")
        assert "ORDERS ALLOWED" in (await terminal.press("w"))[1]
        assert "READ-ONLY" in (await terminal.press("w"))[1]
        assert (await terminal.press("2", "c"))[-1].startswith("READ-ONLY: nothing is ended or closed")
    fs1.first(BOB)
    async with Terminal(fs1, readonly=True).shown() as terminal:
        assert "READ-ONLY (--readonly)" in terminal.lines[1]
        assert "--readonly" in (await terminal.press("w"))[-1]
        assert (await terminal.press("e"))[-1].startswith("READ-ONLY")
    assert users(server) == ["bob"]


async def test_a_session_is_ended_after_its_plan_was_shown(fs1: ScriptedSource, server: ChangingServer) -> None:
    look(fs1, BOB, CAROL)
    async with allowed(fs1) as terminal:
        page = await terminal.press("down", "e")
        assert page[0] == "End 1 session on fs1?"
        assert r"carol  \\pc9, 0 open:  costs nothing (nothing is open)" in "\n".join(page)
        assert page[-1] == "End 1 session? y: yes   n: no   [No]"
        assert users(server) == ["bob", "carol"]
        page = await terminal.press("y")
        assert r"  done  carol  \\pc9, 0 open" in page
        assert page[-1] == "1 done, 0 spared, 0 failed.   Escape: back"
        assert users(server) == ["bob"]
        assert fs1.looks == 1
        assert (await terminal.press("escape"))[0].startswith("fs1")


@pytest.mark.parametrize("key", ["n", "enter", "escape", "q"])
async def test_the_default_is_no(fs1: ScriptedSource, server: ChangingServer, key: str) -> None:
    look(fs1, BOB)
    async with allowed(fs1) as terminal:
        assert (await terminal.press("e", key))[-1] == "Nothing was done."
        assert not isinstance(terminal.screen.screen, PlanPage)
    assert users(server) == ["bob"]


async def test_another_session_of_the_same_client_and_user_is_not_what_was_looked_at(
    fs1: ScriptedSource, server: ChangingServer
) -> None:
    look(fs1, BOB)
    async with allowed(fs1) as terminal:
        server.entries = [SessionInfo(r"\\pc7", "bob", 0, 5, 0)]
        page = "\n".join(await terminal.press("e"))
        assert "Nothing is left of what was chosen." in page
        assert r"bob  \\pc7: no longer what was looked at: something else is there now" in page
        await terminal.press("y")
    assert users(server) == ["bob"]


async def test_a_session_that_is_another_by_the_time_of_the_order_is_spared(
    fs1: ScriptedSource, server: ChangingServer
) -> None:
    look(fs1, BOB)
    async with allowed(fs1) as terminal:
        await terminal.press("e")
        server.before = lambda: server.entries.__setitem__(0, SessionInfo(r"\\pc7", "bob", 0, 5, 0))  # type: ignore[method-assign]
        page = "\n".join(await terminal.press("y"))
        assert "  spared (changed)  bob" in page
        assert "0 done, 1 spared, 0 failed" in page
    assert users(server) == ["bob"]


async def test_one_of_two_alike_is_not_ended_for_the_other(fs1: ScriptedSource, server: ChangingServer) -> None:
    """An order names a client and a user, so it would end both."""
    younger = session(r"\\pc7", "bob", 0, age=30)
    look(fs1, BOB, younger)
    async with allowed(fs1) as terminal:
        page = "\n".join(await terminal.press("e"))
        assert "cannot be ended alone" in page
        await terminal.press("y")
        assert users(server) == ["bob", "bob"]
        page = "\n".join(await terminal.press("space", "space", "e"))
        assert "End 2 sessions on fs1?" in page
        assert "2 done" in "\n".join(await terminal.press("y"))
    assert users(server) == []


async def test_a_row_that_goes_between_the_look_and_the_key_is_nobody(
    fs1: ScriptedSource, server: ChangingServer
) -> None:
    look(fs1, BOB, CAROL)
    async with allowed(fs1) as terminal:
        fs1.changed(closed(BOB))
        await terminal.settled()
        assert "no longer there" in (await terminal.press("e"))[-1]
    assert users(server) == ["bob", "carol"]


async def test_marked_sessions_and_not_the_one_under_the_cursor(fs1: ScriptedSource, server: ChangingServer) -> None:
    look(fs1, BOB, CAROL, DAVE)
    async with allowed(fs1) as terminal:
        await terminal.press("space", "down", "space")
        page = await terminal.press("up", "e")
        assert page[0] == "End 2 sessions on fs1?"
        await terminal.press("y")
    assert users(server) == ["carol"]


async def test_what_the_filter_hides_is_not_ended(fs1: ScriptedSource, server: ChangingServer) -> None:
    look(fs1, BOB, CAROL, DAVE)
    async with allowed(fs1) as terminal:
        await terminal.press("space", "space", "slash", *"carol", "enter", "e", "y")
    assert users(server) == ["bob", "dave"]


async def test_unsaved_work_wants_the_servers_name(fs1: ScriptedSource, server: ChangingServer) -> None:
    look(fs1, BOB, BUDGET, PLAN)
    async with allowed(fs1) as terminal:
        page = "\n".join(await terminal.press("2", "c"))
        assert r"bob  WRITE  D:\projects\budget.xlsx  (id 5812):  UNSAVED WORK LIKELY (write access, 2 locks)" in page
        assert "Type fs1 and Enter to do it" in page
        assert (await terminal.press("y", "enter"))[-1] == "Nothing was done."
        assert (await terminal.press("c", *"fs2", "enter"))[-1] == "Nothing was done."
        assert (await terminal.press("c", "enter"))[-1] == "Nothing was done."
        assert [one.id for one in server.opened] == [5812, 5990]
        assert "1 done" in (await terminal.press("c", *"fs1", "enter"))[-1]
    assert [one.id for one in server.opened] == [5990]


async def test_more_than_twenty_want_the_servers_name(fs1: ScriptedSource, server: ChangingServer) -> None:
    rows = [session(rf"\\pc{number}", "ann", 0) for number in range(21)]
    look(fs1, *rows)
    async with allowed(fs1) as terminal:
        await terminal.press(*["space"] * 20)
        assert "y: yes" in (await terminal.press("e"))[-1]
        await terminal.press("n", "space")
        assert "Type fs1" in (await terminal.press("e"))[-2]
        assert "21 done" in (await terminal.press(*"fs1", "enter"))[-1]
    assert server.entries == []


async def test_a_file_id_that_was_used_again_is_spared(fs1: ScriptedSource, server: ChangingServer) -> None:
    look(fs1, PLAN)
    other = FileInfo(5990, 1, 0, r"D:\projects\other.txt", "carol")
    async with allowed(fs1) as terminal:
        await terminal.press("2", "c")
        server.before = lambda: server.opened.__setitem__(0, other)  # type: ignore[method-assign]
        assert "0 done, 1 spared, 0 failed" in "\n".join(await terminal.press("y"))
        assert server.opened == [other]
        await terminal.press("escape")
        page = "\n".join(await terminal.press("c"))
        assert "Nothing is left of what was chosen." in page
    assert server.opened == [other]


async def test_bystanders_are_shown_and_go_along_only_where_o_says_so(
    fs1: ScriptedSource, server: ChangingServer
) -> None:
    server.whole_connections = True
    look(fs1, BOB, CAROL, DAVE)
    async with allowed(fs1) as terminal:
        page = "\n".join(await terminal.press("down", "e"))
        assert "Would end too" in page
        assert "o: [ ] end the 1 other too" in page
        assert "0 done, 1 spared" in "\n".join(await terminal.press("y"))
        assert users(server) == ["bob", "carol", "dave"]
        await terminal.press("escape")
        assert "o: [x] end the 1 other too" in (await terminal.press("e", "o"))[-1]
        assert "1 done" in "\n".join(await terminal.press("y"))
    assert users(server) == ["bob"]


async def test_our_own_session_is_left_alone(fs1: ScriptedSource, server: ChangingServer) -> None:
    server.own_user = "bob"
    look(fs1, BOB)
    async with allowed(fs1) as terminal:
        assert "YOUR OWN, left alone" in "\n".join(await terminal.press("e"))
        assert "spared (own)" in "\n".join(await terminal.press("y"))
    assert users(server) == ["bob"]


async def test_each_target_has_its_own_outcome(fs1: ScriptedSource, server: ChangingServer) -> None:
    server.refuses["carol"] = Win32Error(codes.ERROR_ACCESS_DENIED, "access denied", hint="ask an operator")
    look(fs1, BOB, CAROL, DAVE)
    async with allowed(fs1) as terminal:
        page = "\n".join(await terminal.press("space", "space", "space", "e", "y"))
        assert "2 done, 0 spared, 1 failed" in page
        assert r"FAILED  carol  \\pc9, 0 open: access denied; ask an operator." in page
    assert users(server) == ["carol"]


async def test_a_connection_that_is_lost_leaves_what_was_done_in_sight(
    fs1: ScriptedSource, server: ChangingServer
) -> None:
    look(fs1, BOB)
    async with allowed(fs1) as terminal:
        await terminal.press("e")
        server.fails = ConnectionLost("fs1: the connection was lost")
        page = await terminal.press("y")
        assert isinstance(terminal.screen.screen, OutcomePage)
        assert "BROKEN OFF: fs1: the connection was lost" in "\n".join(page)
        assert (await terminal.press("escape"))[0].startswith("fs1")
        assert (await terminal.press("e"))[-1] == "Nothing was done: fs1: the connection was lost"


async def test_each_key_has_its_tab(fs1: ScriptedSource) -> None:
    look(fs1, BOB, BUDGET)
    async with allowed(fs1) as terminal:
        assert (await terminal.press("c"))[-1] == "c closes files: they are in tab 2."
        assert (await terminal.press("2", "e"))[-1] == "e ends sessions: they are in tab 1."
        assert (await terminal.press("4", "space"))[-1] == "Events are not marked."


async def test_the_screen_is_not_left_while_an_order_is_carried_out(
    fs1: ScriptedSource, server: ChangingServer
) -> None:
    look(fs1, BOB)
    async with allowed(fs1) as terminal:
        terminal.screen.orders_running += 1
        assert "is being carried out" in (await terminal.press("q"))[-1]
        terminal.screen.orders_running -= 1


async def test_no_manager_no_order(fs1: ScriptedSource, monkeypatch: pytest.MonkeyPatch) -> None:
    look(fs1, BOB)

    @asynccontextmanager
    async def none() -> AsyncIterator[Manager]:
        raise ConnectionLost("fs1 does not answer", hint="Orders wait until it answers again.")
        yield

    async with allowed(fs1) as terminal:
        monkeypatch.setattr(fs1, "manager", none)
        said = (await terminal.press("e"))[-1]
    assert said == "Nothing was done: fs1 does not answer. Orders wait until it answers again."


async def test_thousands_of_targets_are_shown_and_done_one_by_one(fs1: ScriptedSource, server: ChangingServer) -> None:
    rows = [session(rf"\\pc{number}", "ann", 0) for number in range(3000)]
    look(fs1, *rows)
    async with allowed(fs1) as terminal:
        listing = terminal.screen.lines.listing
        listing.marked = dict.fromkeys(listing.order)
        page = await terminal.press("e")
        assert page[0] == "End 3,000 sessions on fs1?"
        page = await terminal.press(*"fs1", "enter")
        assert page[-1] == "3,000 done, 0 spared, 0 failed.   Escape: back"
        assert r"\\pc2999" in page[-2]
        assert r"\\pc0," in "".join((await terminal.press("home"))[1:3])
        await terminal.press("pagedown", "pageup", "down", "up", "end")
        assert r"\\pc2999" in terminal.lines[-2]
    assert server.entries == []
