"""The verbs over several nodes: rows with their node, what is missing, status 4, and orders at the node of each row."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, Win32Error
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.manage.manager import Manager
from lanman.records import FileInfo, ServiceState, ShareInfo, Statistics
from support.cluster_world import Node, World, files, sessions
from support.fake_manager import Command, FakeManager, Result

Run = Callable[..., Result]
AWAY = ConnectionLost("nothing listens on port 445", code=1225, hint="see whether its Server service runs")


@pytest.fixture
def world() -> World:
    return World(
        [
            Node(
                "fs1",
                FakeManager(
                    entries=sessions("pc7/bob", "pc8/ann"),
                    opened=files(1, 2),
                    shared=[ShareInfo("data", 0, "", path="/srv/a", max_uses=5)],
                    counted=Statistics(sopens=3),
                ),
            ),
            Node(
                "fs2",
                FakeManager(
                    entries=sessions("pc7/bob"),
                    opened=files(2, 3, user="eve"),
                    shared=[ShareInfo("data", 0, "", path="/srv/b"), ShareInfo("more", 0, "", path="/srv/m")],
                    counted=Statistics(sopens=4),
                ),
            ),
        ]
    )


@pytest.fixture
def run(world: World, command: Command, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with -S fs1,fs2 before the words."""

    @asynccontextmanager
    async def opening(server: str, *arguments: Any, **options: Any) -> AsyncIterator[Manager]:
        if server in world.nodes:
            if (error := world[server].error) is not None:
                raise error
            yield world[server].manager
            return
        async with world.cluster(server) as manager:
            yield manager

    def opened(*arguments: Any, **options: Any) -> AbstractAsyncContextManager[Manager]:
        return opening(*arguments, **options)

    monkeypatch.setattr("lanman.manage.open.open_manager", opened)
    return lambda words, answers="": command(["-S", "fs1,fs2", "-N", *words.split()], answers)


def test_the_table_has_the_node_of_each_row(run: Run) -> None:
    result = run("session")
    assert result.status == 0
    assert result.out.splitlines()[1:-2] == [
        "Node Computer               User name            Opens Idle time",
        "",
        "-------------------------------------------------------------------------------",
        r"fs1  \\pc7                  bob                      1 00:00:05",
        r"fs1  \\pc8                  ann                      1 00:00:05",
        r"fs2  \\pc7                  bob                      1 00:00:05",
    ]


def test_merge_sums_the_rows_of_a_client(run: Run) -> None:
    assert r"fs1,fs2 \\pc7                  bob                      2 00:00:05" in run("session --merge").out
    answer = json.loads(run("session --merge --json").out)
    assert [(each["nodes"], each["count"], each["num_opens"]) for each in answer["sessions"]] == [
        (["fs1", "fs2"], 2, 2),
        (["fs1"], 1, 1),
    ]
    assert run("session --merge /delete").status == 1


def test_a_node_that_is_away_makes_status_4_and_missing(run: Run, world: World) -> None:
    world["fs2"].error = AWAY
    result = run("session")
    assert result.status == 4
    assert "The command completed" not in result.out
    assert result.err == (
        "fs2: nothing listens on port 445 (error 1225): this answer is not complete.\n"
        "    see whether its Server service runs\n"
    )
    answer = json.loads(run("session --json").out)
    assert answer["missing"] == [
        {"node": "fs2", "error": 1225, "message": AWAY.message, "hint": "see whether its Server service runs"}
    ]
    assert [each["node"] for each in answer["sessions"]] == ["fs1", "fs1"]
    for words in ("file", "share", "statistics server", "config server", r"session \\pc7", "session --csv"):
        assert run(words).status == 4, words


def test_whole_answers_say_that_nothing_is_missing(run: Run) -> None:
    for words in ("session", "file", "share", "statistics server", "config server"):
        answer = json.loads(run(f"{words} --json").out)
        assert answer["missing"] == [], words
        assert answer["server"] == "fs1,fs2"


def test_csv_begins_with_the_node(run: Run) -> None:
    assert run("session --csv").out.splitlines()[:2] == [
        '"node","client_name","user_name","num_opens","active_time","idle_time","user_flags","client_type","transport"',
        r'"fs1","\\pc7","bob","1","100","5","","",""',
    ]
    assert run("file --csv").out.startswith('"node","id","path"')


def test_what_each_node_has_is_told_for_each(run: Run) -> None:
    counted = json.loads(run("statistics server --json").out)["nodes"]
    assert [(each["node"], each["statistics"]["sopens"]) for each in counted] == [("fs1", 3), ("fs2", 4)]
    shown = run("statistics server").out
    assert r"Server Statistics for \\fs1" in shown
    assert r"Server Statistics for \\fs2" in shown
    shares = json.loads(run("share data --json").out)["shares"]
    assert [(each["node"], each["path"]) for each in shares] == [("fs1", "/srv/a"), ("fs2", "/srv/b")]
    assert json.loads(run("share more --json").out)["shares"][0]["node"] == "fs2"
    assert run("share none").status == 2


def test_what_is_for_one_server_says_so(run: Run) -> None:
    for words in ("config server /autodisconnect:5", "share data /delete /y", "share new=/srv", "doctor"):
        result = run(words)
        assert result.status == 2, words
        assert "a cluster is not one server" in result.err, words


def test_sessions_end_at_their_own_nodes(run: Run, world: World) -> None:
    result = run("session --user ann /delete /y")
    assert (result.status, result.err) == (0, "")
    assert [each.user_name for each in world["fs1"].manager.entries] == ["bob"]
    assert len(world["fs2"].manager.entries) == 1


def test_the_plan_and_the_question_name_the_node(run: Run, world: World) -> None:
    shown = run("session --user bob /delete --dry-run").out
    assert r"fs1: \\pc7, bob" in shown
    assert r"fs2: \\pc7, bob" in shown
    targets = json.loads(run("session --user bob /delete --dry-run --json").out)["plan"]["targets"]
    assert [(each["node"], each["key"].rpartition("@")[2]) for each in targets] == [("fs1", "fs1"), ("fs2", "fs2")]
    result = run("session --user bob /delete", answers="n\n")
    assert r"\\pc7 at fs1" in result.out + result.err
    assert result.status == 2
    assert len(world["fs1"].manager.entries) == 2


def test_an_order_that_one_node_refuses_is_its_own_failure(run: Run, world: World) -> None:
    world["fs2"].manager.refuses["bob"] = AccessDenied(subject="the end of it")
    result = run("session --user bob /delete /y --json")
    assert result.status == 5
    ended = json.loads(result.out)["ended"]
    assert [(each["node"], each["outcome"]) for each in ended] == [("fs1", "done"), ("fs2", "failed")]


def test_files_of_equal_ids(run: Run, world: World) -> None:
    result = run("file 2 /close")
    assert result.status == 2
    assert "fs1, fs2 have each an open file of this number" in result.err
    assert "You were not connected" not in result.err  # Windows' words for 52 are about names of computers
    assert run("file --user eve /close /y").status == 0
    assert [each.id for each in world["fs1"].manager.opened] == [1, 2]
    assert world["fs2"].manager.opened == []


def test_a_file_is_not_closed_by_its_number_while_a_node_is_away(run: Run, world: World) -> None:
    world["fs2"].error = AWAY
    result = run("file 1 /close /y")
    assert result.status == 2
    said = " ".join(result.err.split())
    assert "System error 52 has occurred. 1: fs2 is away, and may have an open file of this number too" in said
    assert "of this number too; name the node that is meant with -S." in said
    assert "You were not connected" not in said
    assert [each.id for each in world["fs1"].manager.opened] == [1, 2]


def test_a_cost_is_unknown_where_the_files_were_not_told(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(**filters: Any) -> list[FileInfo]:
        raise AccessDenied(subject="the list of open files")

    monkeypatch.setattr(world["fs2"].manager, "files", denied)
    result = run("session --user bob /delete --dry-run --json")
    targets = json.loads(result.out)["plan"]["targets"]
    assert [(each["node"], each["cost"]) for each in targets] == [("fs1", "reopen"), ("fs2", "unknown")]
    assert result.status == 4


def test_explain_looks_at_each_node(run: Run, world: World) -> None:
    answer = json.loads(run(r"explain *a.txt --json").out)
    assert [(each["node"], each["id"], each["user_name"], each["client_name"]) for each in answer["holders"]] == [
        ("fs1", 1, "bob", r"\\pc7"),
        ("fs1", 2, "bob", r"\\pc7"),
        # Her sessions are none of fs2: bob's of the other node says nothing.
        ("fs2", 2, "eve", None),
        ("fs2", 3, "eve", None),
    ]
    assert answer["missing_nodes"] == []
    world["fs2"].error = AWAY
    assert run("explain -q *nobody").status == 4
    assert run("explain -q *a.txt").status == 3
    # What the others have is not what all have.
    assert run("explain *nobody").out == "Nobody has *nobody open, as far as its nodes have answered.\n\n"


def test_an_empty_list_of_a_part_is_not_said_to_be_empty(run: Run, world: World) -> None:
    for node in world.nodes.values():
        node.manager.entries, node.manager.opened, node.manager.shared = [], [], []
    for words in ("session", "file", "file --user x", "share", "session --merge", "session /list"):
        assert run(words).out == "There are no entries in the list.\n\n", words
    world["fs2"].error = AWAY
    for words in ("session", "file", "file --user x", "share", "session --merge", "session /list"):
        result = run(words)
        assert (result.status, result.out) == (4, ""), words
        assert "this answer is not complete" in result.err


def test_explain_finds_a_share_where_each_node_has_it(run: Run, world: World) -> None:
    world["fs1"].manager.opened = [FileInfo(1, 1, 0, "/srv/a/x.txt", "bob"), FileInfo(4, 1, 0, "/srv/b/x.txt", "bob")]
    world["fs2"].manager.opened = [FileInfo(2, 1, 0, "/srv/b/x.txt", "bob")]
    answer = json.loads(run(r"explain \\fs1,fs2\data\x.txt --json").out)
    assert [(each["node"], each["id"]) for each in answer["holders"]] == [("fs1", 1), ("fs2", 2)]
    answer = json.loads(run(r"explain \\fs2\data\x.txt --json").out)
    assert [(each["node"], each["id"]) for each in answer["holders"]] == [("fs2", 2)]
    assert run(r"explain \\fs9\data\x.txt").status == 2


def test_pause_and_continue_have_an_outcome_for_each_node(run: Run, world: World) -> None:
    world["fs2"].manager.state = ServiceState.PAUSED
    result = run("pause server")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[:2] == [
        "fs1: The Server service was paused successfully.",
        "fs2: The Server service was paused already.",
    ]
    world["fs2"].manager.fails = Win32Error(codes.ERROR_NOT_SUPPORTED, "cannot be paused")
    result = run("continue server --json")
    answer = json.loads(result.out)
    assert [(each["node"], each["state"]) for each in answer["nodes"]] == [("fs1", "running")]
    assert [each["node"] for each in answer["missing"]] == ["fs2"]
    assert result.status == 2
    world["fs2"].manager.fails, world["fs2"].error = None, AWAY
    assert run("pause server").status == 4


def test_a_drain_looks_at_all_nodes(run: Run, world: World) -> None:
    result = run("drain --check")
    assert result.status == 3
    assert "fs1: 2 left" in result.out
    assert "fs2: 1 left" in result.out
    answer = json.loads(run("drain --dry-run --json").out)
    assert answer["empty"] is False
    assert [(each["node"], len(each["left"])) for each in answer["nodes"]] == [("fs1", 2), ("fs2", 1)]
    world["fs2"].error = AWAY
    for words in ("drain --check", "drain /y"):
        result = run(words)
        assert result.status == 2
        assert "without fs2, name the other nodes: nothing was done" in result.err
    assert world["fs1"].manager.state is ServiceState.RUNNING


def test_a_share_is_drained_where_each_node_has_it(run: Run, world: World) -> None:
    world["fs1"].manager.opened = [FileInfo(1, 1, 0, "/srv/a/x.txt", "bob"), FileInfo(4, 1, 0, "/srv/b/x.txt", "bob")]
    world["fs2"].manager.opened = [FileInfo(2, 1, 0, "/srv/a/x.txt", "eve"), FileInfo(3, 1, 0, "/srv/b/x.txt", "eve")]
    answer = json.loads(run("drain --share data --check --json").out)
    assert [(each["node"], [one["id"] for one in each["left"]]) for each in answer["nodes"]] == [
        ("fs1", [1]),
        ("fs2", [3]),
    ]
    assert run("drain --share data --end all --quiet-for 0s /y").status == 0
    assert [each.id for each in world["fs1"].manager.opened] == [4]
    assert [each.id for each in world["fs2"].manager.opened] == [2]
    assert {node.manager.state for node in world.nodes.values()} == {ServiceState.RUNNING}
    result = run("drain --share more --end all /y")
    assert result.status == 2
    assert "without fs1, name the other nodes: nothing was done" in " ".join(result.err.split())


def test_one_server_by_two_addresses_is_drained_once(run: Run, world: World) -> None:
    world["fs2"].manager.info = world["fs1"].manager.info
    result = run("drain --check")
    assert "fs2 is fs1 by another address, and counts once" in result.err
    assert "fs2" not in result.out


def test_a_drain_closes_all_nodes(run: Run, world: World) -> None:
    for node in world.nodes.values():
        node.manager.entries, node.manager.opened = [], []
    result = run("drain --quiet-for 0s /y")
    assert (result.status, result.err) == (0, "")
    assert "fs1: paused" in result.out
    assert "fs2: paused" in result.out
    assert {node.manager.state for node in world.nodes.values()} == {ServiceState.PAUSED}


def test_a_drain_that_one_node_refuses_leaves_none_closed(run: Run, world: World) -> None:
    for node in world.nodes.values():
        node.manager.entries, node.manager.opened = [], []
    world["fs2"].manager.__class__ = Denying
    result = run("drain --quiet-for 0s /y")
    assert result.status == 5
    assert world["fs1"].manager.state is ServiceState.RUNNING


class Denying(FakeManager):
    """A server that lets nobody pause it."""

    async def pause(self) -> bool:
        await asyncio.sleep(0.05)  # the other one is drained by then
        raise AccessDenied(subject="the Server service")


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("fs1,,fs2", "a part between its commas is empty"),
        ("cluster:", "the name of the cluster is missing"),
        ("fs*x", "a * stands behind a whole name"),
        ("fs1,fs2:x", "'x' is not a port"),
    ],
)
def test_what_cannot_be_servers_is_a_syntax_error(command: Command, server: str, said: str) -> None:
    for verb in ("session", "watch"):
        result = command([verb, "-S", server, "-N"])
        assert (result.status, result.out) == (1, "")
        assert said in result.err


def test_clusters_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "lanman").mkdir()
    monkeypatch.setattr("lanman.net.client_configuration.configuration_folder", lambda: tmp_path / "lanman")
    (tmp_path / "lanman" / "lanman.toml").write_text('[clusters.files]\nnodes = ["fs1", "fs2"]\n')
    assert list(candidates(["session", "-S"], "cl", PROGRAM)) == [("cluster:files", "fs1, fs2")]


def test_a_program_drains_a_cluster(run: Run, world: World, tmp_path: Path) -> None:
    """`lanman.drain` takes several servers as `lanman drain -S` does."""
    for node in world.nodes.values():
        node.manager.opened = []
    world["fs2"].manager.entries = []
    events: list[tuple[str | None, str]] = []
    result = lanman.blocking_drain(
        "fs1,fs2",
        quiet_for=0,
        end="all",
        home=tmp_path,
        on_event=lambda event: events.append((event.node, event.what.value)),
    )
    assert (result.server, result.drained, result.paused, result.left) == ("fs1,fs2", True, True, ())
    assert {name: each.server for name, each in result.nodes.items()} == {"fs1": "fs1", "fs2": "fs2"}
    assert {node.manager.state for node in world.nodes.values()} == {ServiceState.PAUSED}
    assert world["fs1"].manager.entries == []
    assert {("fs1", "paused"), ("fs2", "paused"), ("fs1", "ended"), ("fs1", "finished")} <= set(events)
    assert ("fs2", "ended") not in events


def test_a_program_drains_all_of_a_cluster_or_none(run: Run, world: World, tmp_path: Path) -> None:
    world["fs2"].error = AWAY
    with pytest.raises(ConnectionLost) as raised:
        asyncio.run(lanman.drain("fs1,fs2", quiet_for=0, end="all", home=tmp_path))
    assert "without fs2, name the other nodes: nothing was done" in raised.value.with_hint
    world["fs2"].error = None
    world["fs1"].manager.entries, world["fs1"].manager.opened = [], []
    # Those of fs2 are there until the end.
    result = asyncio.run(lanman.drain("fs1,fs2", quiet_for=0, timeout=0, home=tmp_path))
    assert (result.verdict.value, result.paused) == ("timed_out", False)
    assert len(result.left) == len(result.nodes["fs2"].left) == 1
    assert {node.manager.state for node in world.nodes.values()} == {ServiceState.RUNNING}
