"""`lanman history`: the words, the answers as text, JSON and CSV, and what is refused. The store is a fake one."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.manage.history.records import UNKNOWN_END, Deed, GapRecord, GapWhy, Watched
from lanman.manage.watching.keys import How
from support.fake_history import FakeStore, opened, seconds, session
from support.fake_manager import Command

NOW = seconds("2026-11-25T17:30:15Z")  # 18:30:15 in Berlin
BUDGET = r"D:\projects\budget.xlsx"


def berlin(clock: str, day: str = "2026-11-25") -> int:
    return seconds(f"{day}T{clock}+01:00")


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("only on systems whose zone a process can set")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    monkeypatch.setattr("lanman.faces.cli.verbs.history.wall_clock", lambda: float(NOW))
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    drained = Deed(berlin("14:15:00"), "fs1", "ann", "drain", "done")
    store = FakeStore(
        servers=[Watched("fs1", berlin("08:00:00", "2026-11-01"), NOW - 2, 5, True)],
        stays=[
            session("bob", r"\\pc7", berlin("09:12:00"), berlin("14:15:00"), id=1, ended_slack=0, ended_by=drained),
            opened(
                BUDGET, "bob", r"\\pc7", berlin("09:31:00"), berlin("14:15:00"), id=2, access=3, ended_slack=0,
                ended_by=drained,
            ),
            opened(BUDGET, "carol", None, berlin("14:02:35"), berlin("14:06:15"), id=3, candidates=("pc4", "pc9")),
        ],
    )  # fmt: skip

    @asynccontextmanager
    async def opened_store(*_: Any) -> AsyncIterator[FakeStore]:
        yield store

    for module in ("historyquery", "historyexport"):
        monkeypatch.setattr(f"lanman.faces.cli.{module}.opened_store", opened_store, raising=False)
    return store


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have standard output be a terminal with so many columns."""

    def be(columns: int) -> None:
        monkeypatch.setattr("lanman.faces.cli.output.terminal_columns", lambda: columns)

    return be


@pytest.fixture(autouse=True)
def unicode_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.faces.cli.output.can_write", lambda text, stream: True)


# --- text


def test_who_had_it_open_at_a_time(command: Command, store: FakeStore) -> None:
    result = command(["history", "at", "14:05", "--path", BUDGET])
    assert result.out.splitlines() == [
        "On 25 November at 14:05:00 (+01:00), watched every 5 s, no gap within 10 minutes:",
        "",
        "  USER   CLIENT   FROM           UNTIL                          ACCESS",
        r"  bob    \\pc7    09:31:05 ±5 s  14:15:00 ended by ann (drain)  WRITE",
        "  carol  pc4|pc9  14:02:40 ±5 s  14:06:15 ±5 s                  READ",
        "",
        "Opens shorter than 5 s are not seen.",
        "What they did with it is not known: that is an audit log's matter.",
        "",
    ]
    assert (result.status, result.err) == (0, "")
    assert store.asked == [(berlin("14:05:00"), berlin("14:05:00"), None, {"path": BUDGET})]


def test_everybody_at_a_time(command: Command, store: FakeStore) -> None:
    lines = command("history at 14:05").out.splitlines()
    assert lines[2:6] == [
        "  USER   CLIENT   FROM           UNTIL                          ACCESS  FILE",
        r"  bob    \\pc7    09:12:01 ±2 s  14:15:00 ended by ann (drain)          (session)",
        rf"  bob    \\pc7    09:31:05 ±5 s  14:15:00 ended by ann (drain)  WRITE   {BUDGET}",
        rf"  carol  pc4|pc9  14:02:40 ±5 s  14:06:15 ±5 s                  READ    {BUDGET}",
    ]
    assert [line.split()[-1] for line in command("history at 14:05 --kind session").out.splitlines()[3:4]] == [
        "(drain)"
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_it_fits_into_the_terminal(command: Command, store: FakeStore, wide: Any, columns: int) -> None:
    long = r"D:\projects\a folder\another folder\a long name of a spreadsheet.xlsx"
    store.stays += [
        opened(long, "a-user-with-a-long-name", r"\\a-computer-with-a-long-name", berlin("09:00:00", "2026-11-20")),
    ]
    wide(columns)
    lines = command("history at 14:05").out.splitlines()
    first = lines.index("") + 1
    table = lines[first : lines.index("", first)]
    assert (
        " ".join(line.strip() for line in lines[: first - 1])
        == "On 25 November at 14:05:00 (+01:00), watched every 5 s, no gap within 10 minutes:"
    )
    assert max(map(len, lines[: first - 1])) < max(columns, 40)
    # Whatever has to go below stands there whole.
    assert sum(BUDGET in line for line in table) == 2
    # Where paths have lines of their own, a session has none.
    assert sum("(session)" in line for line in table) == (0 if columns < 200 else 1)
    assert sum(long in line for line in table) == 1
    if columns >= 80:
        assert max(map(len, [line for line in table if long not in line])) < columns
    if columns >= 200:
        assert len(table) == 5


def test_what_is_not_known_is_not_made_up(command: Command, store: FakeStore) -> None:
    store.stays = [
        session("", r"\\pc1", berlin("08:00:00"), begun_how=How.UNKNOWN, begun_slack=0),
        opened(None, "dave", None, berlin("13:00:00"), berlin("14:10:00"), why=UNKNOWN_END, access=None),
        opened("x", "eve", r"\\pc3", berlin("09:00:00"), berlin("14:10:00"), begun_slack=7200, ended_slack=0),
        session("fay", r"\\pc4", berlin("23:59:58", "2026-11-24"), berlin("14:10:00"), ended_slack=0, why="logged off"),
    ]
    lines = command("history at 14:05").out.splitlines()
    columns = [re.split(r"  +", line.strip()) for line in lines[3:7]]
    assert columns == [
        ["fay", r"\\pc4", "2026-11-24 23:59:59 ±2 s", "14:10:00 logged off", "(session)"],
        ["nobody", r"\\pc1", "before 08:00:00", "still there", "(session)"],
        ["eve", r"\\pc3", "09:00:00 to 11:00:00", "14:10:00", "READ", "x"],
        ["dave", "-", "13:00:05 ±5 s", "seen until 14:10:00", "-", "(path not recorded)"],
    ]


def test_names_from_a_peer_are_escaped(command: Command, store: FakeStore) -> None:
    bad = "\x1b[2J\u202egpj.exe"
    deed = Deed(1, "fs1", bad, "drain", "done")
    store.stays = [opened(bad, bad, rf"\\{bad}", berlin("14:00:00"), berlin("14:10:00"), ended_by=deed)]
    store.lacking = [GapRecord("fs1", berlin("14:05:00"), berlin("14:05:30"), GapWhy.AWAY, bad)]
    for words in (["at", "14:05"], ["who", "*"], ["gaps"], ["at", "14:05", "--csv"], ["export", "--csv"]):
        result = command(["history", *words])
        assert not {"\x1b", "\u202e"} & {*result.out, *result.err}


def test_without_unicode_it_is_ascii(command: Command, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.faces.cli.output.can_write", lambda text, stream: text.isascii())
    out = command(["history", "at", "14:05", "--path", BUDGET]).out
    assert out.isascii()
    assert "09:31:05 +-5 s" in out


def test_nobody(command: Command, store: FakeStore) -> None:
    assert command("history at 03:00").out.splitlines()[1] == "  Nobody was there."
    assert command("history at 03:00 --path x").out.splitlines()[1] == "  Nobody had x open."
    assert command("history user zoe").out.splitlines()[1] == "  zoe was not there."


def test_of_several_servers(command: Command, store: FakeStore) -> None:
    store.servers.append(Watched("fs2", berlin("08:00:00"), NOW, None, True))
    store.stays.append(session("eve", r"\\pc2", berlin("14:00:00"), server="fs2", begun_slack=0))
    lines = command("history at 14:05").out.splitlines()
    assert lines[:3] == [
        "On 25 November at 14:05:00 (+01:00):",
        "  fs1: watched every 5 s, no gap within 10 minutes",
        "  fs2: told by the server itself, no gap within 10 minutes",
    ]
    assert lines[4].split()[0] == "SERVER"
    assert [line.split()[0] for line in lines[5:9]] == ["fs1", "fs1", "fs2", "fs1"]  # by their begin
    for typed in ("-S fs2", "-S fs2,fs2", r"--server fs2"):
        store.asked.clear()
        assert "eve" in command(f"history at 14:05 {typed}").out
        assert [asked[3] for asked in store.asked if len(asked) > 1] == [{"server": "fs2"}]
    both = json.loads(command("history at 14:05 -S fs2 -S fs1 --json").out)
    assert [stay["server"] for stay in both["stays"]] == ["fs1", "fs1", "fs2", "fs1"]  # by their begin
    assert [each["server"] for each in both["watched"]] == ["fs2", "fs1"]


# --- gaps


GAP = GapRecord("fs1", berlin("14:01:05"), berlin("14:06:00"), GapWhy.AWAY, "it does not answer within 10 s")


def test_an_answer_that_touches_a_gap_says_so(command: Command, store: FakeStore) -> None:
    store.lacking = [GAP]
    result = command("history at 14:05")
    assert result.status == 4
    assert result.out.splitlines()[:4] == [
        "On 25 November at 14:05:00 (+01:00):",
        "  NOT SEEN: fs1 from 14:01:05 to 14:06:00: server away (it does not answer within 10 s)",
        "  This answer is not complete.",
        "",
    ]
    for words, form in (("between 14:00 15:00", "--json"), ("who *", "--json"), ("export", "--csv"), ("user bob", "")):
        result = command(f"history {words} {form}")
        assert result.status == 4, words
    assert command("history at 15:00").status == 0
    document = json.loads(command("history between 14:00 15:00 --json").out)
    assert document["complete"] is False
    assert document["gaps"] == [
        {
            "server": "fs1",
            "begun_at": "2026-11-25T13:01:05Z",
            "ended_at": "2026-11-25T13:06:00Z",
            "why": "server away",
            "detail": "it does not answer within 10 s",
        }
    ]
    spoken = command("history at 14:05 --csv")
    assert spoken.err == (
        "Warning: not seen: fs1 from 14:01:05 to 14:06:00: server away (it does not answer within 10 s)\n"
    )


def test_a_gap_that_is_near_is_told(command: Command, store: FakeStore) -> None:
    store.lacking = [GAP]
    result = command("history at 14:07")
    assert result.out.splitlines()[0].endswith("watched every 5 s, a gap 00:01:00 away:")
    assert result.status == 0


def test_that_nobody_looked_long_before_is_told(command: Command, store: FakeStore) -> None:
    store.lacking = [GapRecord("fs1", None, berlin("14:03:00"), GapWhy.NOT_KEPT)]
    assert command("history at 14:05").out.splitlines()[0].endswith("watched every 5 s, for 00:02:00 by then:")


def test_the_list_of_gaps_is_no_gap_itself(command: Command, store: FakeStore) -> None:
    store.lacking = [GAP, GapRecord("fs1", None, berlin("08:00:00", "2026-11-01"), GapWhy.NOT_KEPT)]
    result = command("history gaps")
    assert result.out.splitlines() == [
        "  fs1 from 14:01:05 to 14:06:00: server away (it does not answer within 10 s)",
        "  fs1 before 2026-11-01 08:00:00: not kept",
        "",
    ]
    assert result.status == 0
    assert [gap["why"] for gap in json.loads(command("history gaps --json").out)["gaps"]] == ["server away", "not kept"]
    assert len(json.loads(command("history gaps 14:00 15:00 --json").out)["gaps"]) == 1
    rows = list(csv.DictReader(io.StringIO(command("history gaps --csv").out)))
    assert [row["begun_at"] for row in rows] == ["2026-11-25T13:01:05Z", ""]
    store.lacking = []
    assert command("history gaps").out == "There are no gaps.\n\n"


# --- for programs


def test_json(command: Command, store: FakeStore) -> None:
    document = json.loads(command("history at 14:05 --json").out)
    assert (document["schema"], document["asked"], document["at"]) == (1, "at", "2026-11-25T13:05:00Z")
    assert (document["complete"], document["more"], document["gaps"]) == (True, False, [])
    assert document["watched"] == [
        {
            "server": "fs1",
            "since_at": "2026-11-01T07:00:00Z",
            "seen_at": "2026-11-25T17:30:13Z",
            "every": 5,
            "paths": True,
        }
    ]
    session, file, guessed = document["stays"]
    assert (session["kind"], session["path"], session["access"], session["writes"]) == ("session", None, None, None)
    assert (session["begun_at"], session["begun_slack"], session["begun_how"]) == ("2026-11-25T08:12:00Z", 3, "told")
    assert (file["path"], file["access"], file["writes"], file["certain"]) == (BUDGET, 3, True, True)
    assert (file["ended_by"]["who"], file["ended_by"]["verb"]) == ("ann", "drain")
    assert file["ended_by"]["done_at"] == "2026-11-25T13:15:00Z"
    assert (guessed["client_name"], guessed["client_how"], guessed["candidates"]) == (
        None,
        "candidates",
        ["pc4", "pc9"],
    )


def test_csv_is_safe_for_spreadsheets(command: Command, store: FakeStore) -> None:
    store.stays = [opened("=cmd|' /C calc'!A0", "+eve", r"\\pc\x1b3", berlin("14:00:00"), berlin("14:10:00"))]
    for words in ("history at 14:05 --csv", "history export --csv"):
        (row,) = csv.DictReader(io.StringIO(command(words).out))
        assert row["path"].startswith("'=")
        assert row["user_name"] == "'+eve"
        assert row["begun_at"] == "2026-11-25T13:00:00Z"
        assert row["ended_by_who"] == ""


def test_the_newest_first_and_a_limit(command: Command, store: FakeStore) -> None:
    out = json.loads(command("history user bob --json").out)
    assert [stay["kind"] for stay in out["stays"]] == ["file", "session"]
    limited = json.loads(command("history user bob --limit 1 --json").out)
    assert ([stay["kind"] for stay in limited["stays"]], limited["more"]) == (["file"], True)
    result = command("history user bob --limit 1")
    assert result.err == "Note: there are more: these are the newest 1. --limit takes another number.\n"
    # A kind is chosen after the store has answered: it is asked for more until there are enough.
    only = json.loads(command("history user bob --limit 1 --kind session --json").out)
    assert [stay["kind"] for stay in only["stays"]] == ["session"]


def test_further_filters(command: Command, store: FakeStore) -> None:
    found = json.loads(command(["history", "who", "*.xlsx", "--user", "carol", "--json"]).out)
    assert [stay["user_name"] for stay in found["stays"]] == ["carol"]
    found = json.loads(command(["history", "user", "bob", "--path", "*", "--client", "pc7", "--json"]).out)
    assert {stay["user_name"] for stay in found["stays"]} == {"bob"}
    found = json.loads(command(["history", "client", "pc7", "--since", "14:00", "--until", "14:10", "--json"]).out)
    assert (len(found["stays"]), found["since_at"], found["until_at"]) == (
        2,
        "2026-11-25T13:00:00Z",
        "2026-11-25T13:10:00Z",
    )


def test_stats(command: Command, store: FakeStore) -> None:
    out = command("history stats").out
    assert "Sessions and open files     3 (0 still there)" in out
    assert "Running: recorder" in out
    document = json.loads(command("history stats --json").out)
    assert (document["schema"], document["database_schema"], document["stays"]) == (1, 1, 3)
    assert document["holders"] == [
        {"role": "recorder", "host": "here", "process": 12, "since_at": "2025-11-24T16:00:00Z"}
    ]


def test_export_lines(command: Command, store: FakeStore) -> None:
    store.lacking = [GAP]
    for words in ("history export", "history export --json", "history export --jsonl"):
        result = command(words)
        objects = [json.loads(line) for line in result.out.splitlines()]
        assert [each["record"] for each in objects] == ["export", "gap", "stay", "stay", "stay"]
        assert (objects[0]["schema"], objects[0]["complete"], result.status) == (1, False, 4)
    between = command("history export 14:00 14:01")
    assert [json.loads(line)["record"] for line in between.out.splitlines()] == ["export", "stay", "stay"]


def test_export_parquet(command: Command, store: FakeStore, tmp_path: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (extra parquet)")
    store.stays[1] = store.stays[1]._replace(path="=\udc80x", share=None)
    store.lacking = [GAP]
    folder = tmp_path / "out" / "of"
    result = command(["history", "export", "--parquet", str(folder)])
    assert result.status == 4
    rows = parquet.read_table(folder / "stays.parquet").to_pylist()
    assert [row["user_name"] for row in rows] == ["bob", "bob", "carol"]
    assert rows[1]["path"] == "=\\udc80x"
    assert rows[0]["begun_at"].timestamp() == berlin("09:12:00")
    assert (rows[0]["ended_by_who"], rows[1]["writes"], rows[0]["writes"], rows[1]["access"]) == ("ann", True, None, 3)
    (gap,) = parquet.read_table(folder / "gaps.parquet").to_pylist()
    assert gap["why"] == "server away"
    if os.name == "posix":
        assert (folder / "stays.parquet").stat().st_mode & 0o777 == 0o600
    # Again, over those that are there; nothing unfinished is left.
    store.stays = []
    command(["history", "export", "--parquet", str(folder)])
    assert sorted(path.name for path in folder.iterdir()) == ["gaps.parquet", "stays.parquet"]
    assert parquet.read_table(folder / "stays.parquet").num_rows == 0


def test_export_that_fails_leaves_the_older_one(
    command: Command, store: FakeStore, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (extra parquet)")
    command(["history", "export", "--parquet", str(tmp_path)])
    before = (tmp_path / "stays.parquet").read_bytes()

    async def breaks(*_: Any, **__: Any) -> AsyncIterator[Any]:
        yield store.stays[0]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "export", breaks)
    result = command(["history", "export", "--parquet", str(tmp_path)])
    assert (result.status, result.out) == (2, "")
    assert "No space left on device" in result.err
    assert (tmp_path / "stays.parquet").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gaps.parquet", "stays.parquet"]
    file = tmp_path / "file"
    file.write_text("")
    assert command(["history", "export", "--parquet", str(file / "x")]).status == 2


def test_without_pyarrow_the_remedy_is_said(
    command: Command, store: FakeStore, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = command(["history", "export", "--parquet", str(tmp_path / "x")])
    assert (result.status, result.out) == (2, "")
    assert "pip install 'lanman[parquet]'" in result.err
    assert not (tmp_path / "x").exists()


# --- words


@pytest.mark.parametrize(
    "words",
    [
        "history at 14:05",
        "HISTORY AT 14:05",
        "hist at 14:05",
        "history a 14:05",
        "history at 2026-11-25 14:05",
        "history at 2026-11-25T14:05",
        "history at 2026-11-25T14:05:00+01:00",
        "history at 2026-11-25T13:05:00Z",
        "history at today 14:05",
        "history --db x at 14:05",
        "history at --db=x 14:05",
        "history at 14:05 /DB:x",
        "/DB:x history at 14:05",
        "--json history at 14:05",
    ],
)
def test_both_dialects_and_db_anywhere(command: Command, store: FakeStore, words: str) -> None:
    result = command(words)
    assert (result.status, result.err) == (0, "")
    assert store.asked[0][:2] == (berlin("14:05:00"), berlin("14:05:00"))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("history", "Say what: at, between, client"),
        ("history when 14:05", "It is one of at, between"),
        ("history at", "`history at` wants one time."),
        ("history at noon", "'noon' is no time."),
        ("history at 25:00", "hour must be in 0..23"),
        ("history at 14:05 15:05", "wants one time"),
        ("history at 23:00", "23:00 is still to come. A time alone is of today"),
        ("history at 2027-01-01", "2027-01-01 is still to come."),
        ("history between 14:05", "wants two times"),
        ("history between 2026-11-24 14:05", "wants two times"),
        ("history between 15:00 14:00", "15:00 is later than what it ends with."),
        ("history between 14:00 15:00 16:00", "wants two times"),
        ("history who", "wants one name"),
        ("history who a b", "wants one name"),
        ("history user", "wants one name"),
        ("history client", "wants one name"),
        ("history stats now", "takes no words"),
        ("history gaps 14:00", "wants two times"),
        ("history record fs1", "takes no words"),
        ("history at 14:05 --keep 3d", "--keep does not go with `at`: it is for record."),
        ("history at 14:05 --no-paths", "--no-paths does not go with `at`"),
        ("history at 14:05 --limit 3", "--limit does not go with `at`"),
        ("history stats --path x", "--path does not go with `stats`"),
        ("history who x --path y", "--path does not go with `who`"),
        ("history record --path x", "--path does not go with `record`"),
        ("history record --json", "`record` answers nothing"),
        ("history at 14:05 --kind share", "It is session or file."),
        ("history at 14:05 --limit 0", "It is a number, from 1 on."),
        ("history user bob --limit x", "It is a number, from 1 on."),
        ("history user bob --since noon", "'noon' is no time."),
        ("history user bob --since 15:00 --until 14:00", "15:00 is later than what it ends with."),
        ("history gaps 14:00 15:00 --since 14:00", "Give the times, or --since and --until."),
        ("history record --keep 0", "It is a number of whole days"),
        ("history record --keep 12h", "It is a number of whole days"),
        ("history record --keep 99999999d", "It is a number of whole days"),
        ("history record --every 0", "It is a time in seconds"),
        ("history record --every -1", "It is a time in seconds"),
        ("history export --csv --parquet x", "Give one of --csv, --json and --parquet."),
        ("history export --jsonl --csv", "Give one of --csv, --json and --parquet."),
        ("history at 14:05 -S fs1,,fs2", "It is the name of a server"),
    ],
)
def test_bad_words(command: Command, store: FakeStore, words: str, hint: str) -> None:
    result = command(words)
    assert (result.status, result.out) == (1, ""), result
    assert hint in result.err
    assert store.asked == []


@pytest.mark.parametrize(
    "words",
    [
        ["history", "who", ""],
        ["history", "user", ""],
        ["history", "client", r"\\"],
        ["history", "at", ""],
        ["history", "at", "14:05", "--db", ""],
        ["history", "at", "14:05", "--user", ""],
        ["history", "at", "14:05", "--path", ""],
        ["history", "export", "--parquet", ""],
        ["history", "", "14:05"],
        ["history", "at", "14:05", "-S", ""],
    ],
)
def test_nothing_is_meant_by_an_empty_word(command: Command, store: FakeStore, words: list[str]) -> None:
    result = command(words)
    assert (result.status, result.out) == (1, "")
    assert store.asked == []


def test_a_server_that_is_not_recorded(command: Command, store: FakeStore) -> None:
    result = command("history at 14:05 -S fs9")
    assert (result.status, result.out) == (2, "")
    assert "nothing was recorded of fs9" in result.err


def test_what_the_clock_shows_twice_is_said(command: Command, store: FakeStore) -> None:
    result = command("history at 2026-10-25 02:30")
    assert "02:30:00 comes twice on 25 October 2026" in result.err
    span = command("history between 2026-10-25 02:00 2026-10-25 02:59 --json")
    asked = json.loads(span.out)
    assert (asked["since_at"], asked["until_at"]) == ("2026-10-25T00:00:00Z", "2026-10-25T01:59:00Z")


def test_no_password_is_asked_for_where_a_server_is_named(command: Command, store: FakeStore) -> None:
    # What is recorded is in the database: the server itself is not asked.
    assert command("history at 14:05 -S fs1").status == 0
    assert command.manager.opened_with == []


def test_completion() -> None:
    assert ("history", "say who was on a server, and when; and remember it") in candidates([], "hist", PROGRAM)
    assert [word for word, _ in candidates(["history"], "b", PROGRAM)] == ["between"]
    assert len([word for word, _ in candidates(["history"], "", PROGRAM)]) == 10
    assert ("--no-paths", "record: keep no names of files") in candidates(["history", "record"], "--no", PROGRAM)
    assert [word for word, _ in candidates(["history", "at", "--kind"], "", PROGRAM)] == ["session", "file"]
