"""The screen as people see it: scripted servers, textual's own Pilot for the keys, and the lines of the terminal."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost
from lanman.events import SettingChanged
from lanman.faces.text import width
from lanman.faces.tui.symbols import Symbols
from lanman.manage.watching.changes import Gap
from lanman.manage.watching.keys import How, SessionKey
from lanman.manage.watching.rows import Kind, Row, SessionRow
from support.fake_manager import FakeManager
from support.scripted_watch import (
    NOW,
    ScriptedSource,
    Terminal,
    became,
    closed,
    file,
    opened,
    session,
    share,
)

BOB = session(r"\\pc7", "bob", 2, idle=2530)
CAROL = session(r"\\10.0.0.22", "carol", 0, idle=3)
DAVE = session(r"\\10.0.0.9", "dave", 1)
BUDGET = file(5812, r"D:\projects\budget.xlsx", "bob", 3, 2, r"\\pc7")
PROJECTS = share("projects", r"D:\projects", 3)


@pytest.fixture
def fs1() -> ScriptedSource:
    return ScriptedSource()


async def test_sessions_at_80_columns(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL, DAVE, BUDGET, PROJECTS)
    assert isinstance(fs1.told, FakeManager)
    fs1.told.info.users, fs1.told.info.disc = 20000, 15
    async with Terminal(fs1).shown(80, 10) as terminal:
        since = terminal.row("bob").split()[5]
        assert terminal.lines == [
            "fs1  3 sessions  1 file  limit 20,000  polled 0 s ago, every 2 s  level 502",
            "[1 Sessions] 2 Files  3 Shares  4 Events     ? help  READ-ONLY (w: allow orders)",
            "    CLIENT           USER        OPENS         IDLE  SINCE   DIALECT  SHARES",
            rf">   \\pc7            bob             2     00:42:10  {since}   -        -",
            rf"    \\10.0.0.22      carol           0     00:00:03  {since}   -        -",
            rf"    \\10.0.0.9       dave            1     00:00:00  {since}   -        -",
            "",
            "",
            "",
            "row 1 of 3",
        ]


async def test_sessions_at_200_columns_have_their_notes(fs1: ScriptedSource) -> None:
    told = session(r"\\pc9", "eve")._replace(shares=("projects", "pub"), dialect="3.1.1", guest=True)
    fs1.first(CAROL, told)
    assert isinstance(fs1.told, FakeManager)
    fs1.told.info.disc = 15
    async with Terminal(fs1).shown(200, 10) as terminal:
        assert terminal.row("carol").endswith("autodisconnect in 14:57")
        assert "3.1.1    projects pub" in terminal.row("eve")
        assert terminal.row("eve").endswith("guest, autodisconnect in 15:00")
        assert "/ filter   ? help   READ-ONLY" in terminal.lines[1]
        terminal.time += 900
        terminal.screen.tick()
        await terminal.settled()
        assert "00:15:00" in terminal.row("eve")
        assert terminal.row("eve").endswith("guest")


async def test_files_shares_and_events(fs1: ScriptedSource) -> None:
    fs1.first(BOB, BUDGET, PROJECTS)
    async with Terminal(fs1).shown() as terminal:
        await terminal.press("2")
        assert terminal.row("budget").split()[1:5] == [r"D:\projects\budget.xlsx", "bob", "WRITE", "2"]
        assert r"\\pc7?" in terminal.row("budget")
        await terminal.press("3")
        assert terminal.row("projects").split()[1:] == ["projects", "3", "no", "limit", "disk", r"D:\projects"]
        assert "Nothing has happened" in (await terminal.press("4"))[3]
        fs1.changed(
            closed(BUDGET),
            became(BOB, BOB._replace(num_opens=1, shares=("pub",))),
            became(BOB, BOB._replace(num_opens=1, used_at=NOW)),
            opened(DAVE),
        )
        lines = await terminal.settled()
        assert [line[:4] for line in lines[3:7]] == ["> + ", "  ~ ", "  - ", ""]
        assert "opened   session  dave" in lines[3]
        assert "changed  session  bob        \\\\pc7          num_opens 2 -> 1, s" in lines[4]
        assert "closed   file     bob        \\\\pc7?         D:\\projects\\budget..." in lines[5]


async def test_arrivals_and_departures_are_counted_and_marked_for_a_while(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL)
    async with Terminal(fs1).shown(160) as terminal:
        fs1.changed(opened(DAVE), closed(CAROL), became(BOB, BOB._replace(num_opens=3)))
        lines = await terminal.settled()
        assert lines[0].startswith("fs1  2 sessions (+1 \u22121)")
        assert terminal.row("dave").startswith("  + ")
        assert terminal.row("bob").startswith("> ~ ")
        assert "+ dave" in lines[-2]
        terminal.time += 11
        terminal.screen.tick()
        await terminal.settled()
        assert terminal.row("dave").startswith("    ")
        terminal.time += 50
        terminal.screen.tick()
        assert (await terminal.settled())[0].startswith("fs1  2 sessions  ")


async def test_an_order_means_the_row_and_never_the_line(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL, DAVE)
    async with Terminal(fs1).shown() as terminal:
        await terminal.press("down")
        fs1.changed(closed(BOB), opened(session(r"\\pc1", "abe")), opened(session(r"\\pc2", "zoe")))
        await terminal.settled()
        assert terminal.row("carol").startswith(">")
        fs1.changed(closed(CAROL))
        await terminal.settled()
        assert terminal.row("carol").startswith("> x")
        assert terminal.row("carol").endswith("[gone]")
        await terminal.press("w")
        assert "no longer there" in (await terminal.press("e"))[-1]
        await terminal.press("down")
        assert not any("carol" in line for line in terminal.lines[3:-2])


async def test_marks_go_with_what_a_filter_hides(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL, DAVE)
    async with Terminal(fs1).shown() as terminal:
        lines = await terminal.press("space", "space")
        assert lines[-1] == "row 3 of 3  2 marked"
        assert terminal.row("bob").startswith(" *")
        lines = await terminal.press("slash", *"!bob", "enter")
        assert lines[-1].startswith("1 marked row hidden by the filter")
        assert (await terminal.press("up"))[-1] == "row 1 of 2  filter !bob, 1 hidden  1 marked"
        await terminal.press("escape", "escape")
        assert terminal.lines[-1] == "row 2 of 3"
        assert terminal.row("bob").startswith("    ")


async def test_escape_leaves_the_filter_as_it_was(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL)
    async with Terminal(fs1).shown() as terminal:
        lines = await terminal.press("slash", *"carol", "escape")
        assert (lines[-1], terminal.row("bob")[0]) == ("row 1 of 2", ">")
        assert "No row matches the filter" in (await terminal.press("slash", *"nobody", "enter"))[3]


async def test_sorting_by_clients_is_by_number_and_the_third_press_clears_it(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL, DAVE)
    async with Terminal(fs1).shown() as terminal:
        orders = []
        for _ in range(3):
            lines = await terminal.press("s")
            orders.append(["bob" if "bob" in line else "carol" if "carol" in line else "dave" for line in lines[3:6]])
        assert orders == [["dave", "carol", "bob"], ["bob", "carol", "dave"], ["bob", "carol", "dave"]]
        lines = await terminal.press("right", "right", "s")
        assert lines[-1].endswith("sorted by OPENS upwards")
        assert [line.split()[-5] for line in lines[3:6]] == ["0", "1", "2"]
        assert terminal.row("bob").startswith(">")


async def test_a_server_that_is_away_keeps_its_rows_with_their_age(fs1: ScriptedSource) -> None:
    fs1.first(BOB)
    async with Terminal(fs1).shown() as terminal:
        fs1.away(ConnectionLost("fs1: no answer within 10 s"))
        terminal.time += 192
        lines = await terminal.settled()
        assert "AWAY for 00:03:12, rows of" in lines[0]
        assert "polled" not in lines[0]
        assert terminal.screen.lines.dimmed
        assert terminal.row("bob")
        assert "! does not answer: fs1: no answer within 10 s" in lines[-2]
        fs1.changed(at=NOW + 200)
        lines = await terminal.settled()
        assert "AWAY" not in lines[0]
        assert "answers again" in lines[-2]
        assert not terminal.screen.lines.dimmed


async def test_a_server_that_never_answered(fs1: ScriptedSource) -> None:
    async with Terminal(fs1).shown() as terminal:
        assert terminal.lines[0] == "fs1  waiting for its answer"
        assert "Waiting for fs1." in terminal.lines[3]
        fs1.away(AccessDenied("fs1: access denied to srvsvc"))
        lines = await terminal.settled()
        assert (lines[0], lines[3].strip()) == ("fs1  AWAY", "fs1: access denied to srvsvc")


async def test_the_only_server_that_refuses_the_log_on_ends_the_screen(fs1: ScriptedSource) -> None:
    terminal = Terminal(fs1)
    refused = AuthenticationError("fs1: wrong password")
    async with terminal.shown():
        fs1.away(refused)
        fs1.fail(refused)
        await terminal.settled()
    assert terminal.screen.failure is refused


async def test_one_of_several_that_refuses_the_log_on_does_not(fs1: ScriptedSource) -> None:
    fs2 = ScriptedSource("fs2", FakeManager("fs2"))
    fs2.first(DAVE)
    async with Terminal(fs1, fs2).shown() as terminal:
        fs1.fail(AuthenticationError("fs1: wrong password"))
        assert (await terminal.settled())[0] == "fs1  fs1: wrong password"
        assert terminal.lines[4].strip() == "fs1: wrong password"
        assert (await terminal.press("tab"))[0].startswith("fs2  1 session")
        # One that has answered keeps its rows.
        fs2.fail(AuthenticationError("fs2: the password has expired"))
        assert "NO LONGER WATCHED: fs2: the password has expired" in (await terminal.settled())[0]
        assert terminal.row("dave")


async def test_what_a_server_does_not_tell_is_said_and_not_shown_as_none(fs1: ScriptedSource) -> None:
    fs1.first(
        SessionRow(SessionKey(r"\\pc7", None), r"\\pc7", None), level=0, kinds=frozenset({Kind.SESSION, Kind.FILE})
    )
    fs1.picture.refused[Kind.FILE] = AccessDenied("fs1: access denied to the list of files")
    async with Terminal(fs1).shown() as terminal:
        assert terminal.lines[0] == "fs1  1 session  polled 0 s ago, every 2 s  level 0"
        assert terminal.row("pc7").split()[1:] == [r"\\pc7", "-", "-", "-", "-", "-", "-"]
        assert "access denied to the list of files" in (await terminal.press("2"))[3]
        assert "Shares are not asked for." in (await terminal.press("3"))[3]


async def test_a_gap_is_an_event(fs1: ScriptedSource) -> None:
    fs1.first(BOB)
    async with Terminal(fs1).shown(200) as terminal:
        fs1.changed(gap=Gap(NOW - 30, NOW, "the connection was lost"))
        await terminal.settled()
        assert "may be missing: the connection was lost" in (await terminal.press("4"))[3]


async def test_what_peers_say_cannot_drive_the_terminal(fs1: ScriptedSource) -> None:
    evil = session("\\\\pc\x1b]0;x\x07", "gpj\u202eexe[bold]\r\n")
    fs1.first(evil, file(1, "D:\\a\x9b2J\u2066.txt", evil.user_name or ""))
    async with Terminal(fs1).shown(120) as terminal:
        seen = "".join(terminal.lines)
        for key in ("x", "escape", "2", "x", "escape", "4"):
            seen += "".join(await terminal.press(key))
        assert not set(seen) & set("\x1b\x07\x9b\u202e\u2066\r\n")
        assert r"gpj\u202eexe[bold]\x0d\x0a" in seen


async def test_wide_characters_keep_the_columns_in_line(fs1: ScriptedSource) -> None:
    fs1.first(
        BOB,
        session(r"\\pc8", "山田太郎"),
        session(r"\\pc9", "e\u0301ve"),
        session(r"\\pc10", "a-user-with-a-long-name"),
    )
    async with Terminal(fs1).shown() as terminal:
        ends = {width(line[: line.index("00:")]) for line in terminal.lines[3:7]}
        assert len(ends) == 1
        assert all(width(line) <= 80 for line in terminal.lines)


async def test_ascii_where_symbols_are_not_understood(fs1: ScriptedSource) -> None:
    fs1.first(BOB, session(r"\\pc8", "山田"))
    async with Terminal(fs1, symbols=Symbols("ascii", True)).shown(100) as terminal:
        fs1.changed(closed(BOB))
        await terminal.settled()
        await terminal.press("s", "1")
        for key in ("question_mark", "escape", "x", "escape", "4"):
            assert all(line.isascii() for line in await terminal.press(key)), terminal.lines
        assert "(+0 -1)" in terminal.lines[0]
        await terminal.pilot.resize_terminal(160, 24)
        assert r"\u5c71\u7530" in "".join(await terminal.press("1"))


async def test_the_terminal_may_be_resized(fs1: ScriptedSource) -> None:
    rows = [session(rf"\\pc{number}", f"user{number}") for number in range(50)]
    fs1.first(*rows)
    async with Terminal(fs1).shown(200, 40) as terminal:
        await terminal.press("end")
        assert terminal.row("user49").startswith(">")
        for columns, lines in ((80, 10), (30, 7), (20, 6), (200, 40)):
            await terminal.pilot.resize_terminal(columns, lines)
            await terminal.settled()
            assert all(width(line) <= columns for line in terminal.lines)
            assert any(line.startswith(">") for line in terminal.lines)


async def test_a_long_list_is_scrolled_with_its_cursor(fs1: ScriptedSource) -> None:
    rows = [session(rf"\\pc{number}", f"user{number}") for number in range(1000)]
    fs1.first(*rows)
    async with Terminal(fs1).shown(80, 25) as terminal:
        await terminal.press("pagedown", "pagedown", "up")
        place = next(at for at, line in enumerate(terminal.lines) if line.startswith(">"))
        marked = terminal.lines[place]
        # Rows above go and come: the cursor's row stays on its line of the terminal.
        fs1.changed(*(closed(row) for row in rows[:7]))
        assert (await terminal.settled())[place].split()[:3] == marked.split()[:3]
        assert (await terminal.press("home"))[3].startswith(">")
        assert terminal.row("user7 ")
        assert (await terminal.press("end"))[-1] == "row 993 of 993"


async def test_copying_goes_to_the_terminals_clipboard(fs1: ScriptedSource) -> None:
    fs1.first(BOB, session(r"\\pc9", "e\x1bve"))
    terminal = Terminal(fs1)
    async with terminal.shown():
        written: list[str] = []
        driver = terminal.screen._driver
        assert driver is not None
        driver.write = written.append  # type: ignore[method-assign, assignment]
        await terminal.press("space", "space", "y")
        assert "2 rows copied" in terminal.lines[-1]
        (code,) = [text for text in written if text.startswith("\x1b]52;c;")]
        copied = base64.b64decode(code.removeprefix("\x1b]52;c;").removesuffix("\a")).decode().split("\n")
        assert copied[0].split("\t")[:4] == [r"\\pc7", "bob", "2", "00:42:10"]
        assert copied[1].split("\t")[1] == r"e\x1bve"


async def test_pausing_stops_asking(fs1: ScriptedSource) -> None:
    fs1.first(BOB)
    async with Terminal(fs1).shown() as terminal:
        assert "PAUSED" in (await terminal.press("p"))[0]
        fs1.changed(opened(CAROL))
        fs1.changed(opened(DAVE))
        assert not any("carol" in line for line in await terminal.settled())
        await terminal.press("p")
        assert terminal.row("dave")
        assert "PAUSED" not in terminal.lines[0]


async def test_several_servers_and_their_own_cursors(fs1: ScriptedSource) -> None:
    fs2 = ScriptedSource("fs2", FakeManager("fs2"))
    fs1.first(BOB, CAROL)
    fs2.first(DAVE)
    async with Terminal(fs1, fs2).shown() as terminal:
        assert terminal.lines[1] == "servers (Tab): [fs1 2]  fs2 1"
        await terminal.press("down", "tab")
        assert terminal.lines[0].startswith("fs2  1 session")
        assert terminal.row("dave").startswith(">")
        fs1.away(ConnectionLost("gone"))
        assert (await terminal.settled())[1] == "servers (Tab):  fs1 AWAY  [fs2 1]"
        assert not terminal.screen.lines.dimmed
        await terminal.press("tab")
        assert terminal.screen.lines.dimmed
        assert terminal.row("carol").startswith(">")


async def test_what_is_kept_for_somebody_away_is_no_null_sessions(fs1: ScriptedSource) -> None:
    kept = file(1, "/data/a.txt", "")._replace(owner="ann", durable=True, expires_at=NOW + 61)
    fs1.first(session(r"\\pc1", "", 1, idle=100), kept)
    async with Terminal(fs1).shown(100, 30) as terminal:
        page = "\n".join(await terminal.press("2", "x"))
        assert re.search(r"Kept for +ann, whose connection was lost, 00:01:0. more", page)
        assert re.search(r"Idle +-", page)
        page = "\n".join(await terminal.press("escape", "1", "x"))
        assert "a.txt" not in page


@pytest.mark.parametrize("many", [300, pytest.param(16_384, marks=pytest.mark.long)])
@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("told", [False, True])
async def test_very_many_files_are_kept_for_somebody_away(
    fs1: ScriptedSource, many: int, columns: int, told: bool
) -> None:
    owner, until = ("ann", NOW + 61) if told else (None, None)
    kept = [
        file(number, rf"D:\data\{number:05}.txt", "")._replace(owner=owner, durable=told or None, expires_at=until)
        for number in range(1, many + 1)
    ]
    fs1.first(session(r"\\pc1", "", 2, idle=100), session(r"\\pc2", "ann", 0), *kept)
    async with Terminal(fs1).shown(columns, 30) as terminal:
        assert all(width(line) <= columns for line in terminal.lines)
        assert columns == 40 or f"{many:,} files" in terminal.lines[0]
        page = "\n".join(await terminal.press("2", "x"))
        assert ("ann, whose" if told else "owner unknown") in page
        assert "Durable" not in page
        await terminal.press("escape", "1")
        for _ in range(2):
            page = " ".join(" ".join(await terminal.press("x")).split())
            if told or "A session of ann" in page:
                assert "files open:" not in page
            else:
                assert "cannot be told" in page
            await terminal.press("escape", "down")
        fs1.changed(*(closed(each) for each in kept[1:]))
        assert columns == 40 or "1 file " in (await terminal.settled())[0]


async def test_an_open_that_may_be_reclaimed_is_said_to_be_durable(fs1: ScriptedSource) -> None:
    fs1.first(BOB, BUDGET._replace(durable=True, owner="", lease="RWH", lease_key="6b" * 16))
    async with Terminal(fs1).shown(100, 30) as terminal:
        page = "\n".join(await terminal.press("2", "x"))
        assert re.search(r"Durable +yes", page)
        assert re.search(r"Lease +RWH  (6b){16}", page)
        assert re.search(r"Kept for +-", page)


async def test_explain_says_what_is_known_and_how(fs1: ScriptedSource) -> None:
    two = [session(r"\\pc4", "carol", 1), session(r"\\pc9", "carol", 0)]
    shared = file(5990, r"D:\projects\budget.xlsx", "carol")
    shared = shared._replace(client_how=How.CANDIDATES, candidates=(r"\\pc4", r"\\pc9"))
    fs1.first(BOB, *two, BUDGET, shared)
    async with Terminal(fs1).shown(100, 30) as terminal:
        page = "\n".join(await terminal.press("2", "x"))
        assert "Closing it: UNSAVED WORK LIKELY (write access, 2 locks)" in page
        assert r"\\pc7 (inferred: the user's only client)" in page
        assert "Others have it open too:" in page
        page = "\n".join(await terminal.press("escape", "down", "enter"))
        assert r"\\pc4, \\pc9 (one of these)" in page
        assert "Closing it: the program sees an error, or opens it again" in page
        page = "\n".join(await terminal.press("escape", "1", "x"))
        assert "Ending it: UNSAVED WORK LIKELY" in page
        assert "It has 1 of the listed files open:" in page
        page = "\n".join(await terminal.press("escape", "down", "x"))
        assert "cannot be told from those of the user's other sessions" in page


async def test_help_names_every_key_and_the_way_for_screen_readers(fs1: ScriptedSource) -> None:
    async with Terminal(fs1).shown(100, 60) as terminal:
        page = "\n".join(await terminal.press("question_mark"))
        for key in ("1 2 3 4", "Tab", "/", "Space", "x,", "y ", "p ", "q ", "w ", "e ", "c "):
            assert f"\n  {key}" in page, key
        assert "lanman watch --plain" in page
        assert (await terminal.press("escape"))[0].startswith("fs1")


async def test_leaving_gives_success(fs1: ScriptedSource) -> None:
    terminal = Terminal(fs1)
    async with terminal.shown():
        await terminal.pilot.press("q")
    assert terminal.screen.return_value == 0
    assert fs1.left


async def test_no_colour_where_none_is_wanted(fs1: ScriptedSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    fs1.first(BOB, CAROL)
    async with Terminal(fs1).shown() as terminal:
        await terminal.press("space")
        strips = terminal.screen.screen._compositor.render_strips()
        styles = [style for strip in strips for _, style, _ in strip if style is not None]
        assert all(color is None or color.is_default for style in styles for color in (style.color, style.bgcolor))
        assert terminal.row("carol").startswith(">")


async def test_ctrl_c_leaves_at_once_also_from_a_page(fs1: ScriptedSource) -> None:
    terminal = Terminal(fs1)
    async with terminal.shown():
        await terminal.press("question_mark")
        await terminal.pilot.press("ctrl+c")
    assert terminal.screen.return_value == 130


async def test_rows_that_are_not_meant_are_not_listed_but_count_where_costs_are_told(fs1: ScriptedSource) -> None:
    class Opens:
        def __str__(self) -> str:
            return "what is open"

        async def learn(self, rows: Iterable[Row]) -> None:
            self.learnt = [row.key for row in rows]

        def means(self, row: Row) -> bool:
            return isinstance(row, SessionRow) and bool(row.num_opens)

    opens = fs1.meant = Opens()
    fs1.first(BOB, CAROL, BUDGET)
    async with Terminal(fs1).shown() as terminal:
        assert terminal.lines[0].startswith("fs1  only what is open  1 session  0 files")
        assert opens.learnt == [BOB.key, CAROL.key, BUDGET.key]
        assert "UNSAVED WORK LIKELY" in "".join(await terminal.press("x"))
        await terminal.press("escape")
        fs1.changed(became(CAROL, CAROL._replace(num_opens=2)), opened(DAVE._replace(num_opens=0)))
        assert [line.split()[-6] for line in (await terminal.settled())[3:5]] == ["bob", "carol"]
        fs1.changed(became(CAROL._replace(num_opens=2), CAROL))
        assert (await terminal.settled())[4] == ""


async def test_a_mistake_of_ours_prints_no_local_variables(fs1: ScriptedSource) -> None:
    terminal = Terminal(fs1)

    def fails(now: float) -> None:
        raise ZeroDivisionError

    async def tick() -> None:
        async with terminal.shown():
            terminal.screen.server.tick = fails  # type: ignore[method-assign]
            terminal.screen.call_later(terminal.screen.tick)
            await terminal.settled()

    with pytest.raises(ZeroDivisionError):
        await tick()
    assert terminal.screen._exit_renderables == []


async def test_the_mouse_moves_the_cursor_sorts_and_scrolls(fs1: ScriptedSource) -> None:
    fs1.first(BOB, CAROL, DAVE, *(session(rf"\\pc{number}", f"user{number:02}") for number in range(30)))
    async with Terminal(fs1).shown(80, 12) as terminal:
        await terminal.pilot.click("#lines", offset=(10, 2))
        await terminal.settled()
        assert terminal.row("dave").startswith(">")
        await terminal.pilot.click("Titles", offset=(6, 0))
        assert (await terminal.settled())[-1] == "row 1 of 33  sorted by CLIENT upwards"
        lines = terminal.screen.lines
        terminal.screen.lines.post_message(MouseScrollDown(lines, 5, 5, 0, 1, 0, False, False, False))
        assert not any("dave" in line for line in (await terminal.settled())[3:-2])
        terminal.screen.lines.post_message(MouseScrollUp(lines, 5, 5, 0, -1, 0, False, False, False))
        await terminal.settled()
        assert terminal.row("dave").startswith(">")


async def test_a_setting_that_has_changed_is_asked_for(fs1: ScriptedSource) -> None:
    fs1.first(CAROL)
    assert isinstance(fs1.told, FakeManager)
    fs1.told.info.disc = 15
    async with Terminal(fs1).shown(160) as terminal:
        assert terminal.row("carol").endswith("autodisconnect in 14:57")
        fs1.told.info.disc = 30
        fs1.changed(events=[SettingChanged(1, NOW, "autodisconnect", "30", "15")])
        assert "setting autodisconnect: 15 -> 30" in (await terminal.settled())[-2]
        assert terminal.row("carol").endswith("autodisconnect in 29:57")


@pytest.mark.parametrize(("columns", "lines"), [(12, 3), (5, 5), (40, 4), (1, 1)])
async def test_a_terminal_in_which_nothing_fits(fs1: ScriptedSource, columns: int, lines: int) -> None:
    async with Terminal(fs1).shown(columns, lines) as terminal:
        fs1.first(BOB, CAROL)
        await terminal.settled()
        fs1.changed(closed(BOB), closed(CAROL))
        for key in ("1", "2", "4", "down", "space", "s", "x", "escape", "question_mark", "escape", "slash", "escape"):
            assert all(width(line) <= columns for line in await terminal.press(key))
        await terminal.pilot.resize_terminal(80, 24)
        assert (await terminal.settled())[0].startswith("fs1  0 sessions")


async def test_the_server_that_is_shown_is_seen_among_very_many() -> None:
    sources = [ScriptedSource(f"server{number}", FakeManager()) for number in range(30)]
    async with Terminal(*sources).shown() as terminal:
        assert terminal.lines[1].startswith("servers (Tab): [server0 waiting]")
        assert (await terminal.press("shift+tab"))[1] == "servers (Tab): [server29 waiting]"
