"""`lanman drain`: what it asks, what it prints, what it exits with; and what is left of one that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lanman.errors import AccessDenied, ConnectionLost
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.faces.cli.manual import manual
from lanman.manage.drain.shell import TELLING
from lanman.net.drains import KeptDrain
from lanman.records import FileInfo, ServiceState, SessionInfo, ShareInfo
from support.fake_manager import Command, FakeManager
from support.process_server import LANMAN, Stage

READ, WRITE = 1, 3


@dataclass
class Closing(FakeManager):
    """A FakeManager whose sessions take what is open along, unless their handles are durable."""

    durable: bool = False

    async def files(self, **filters: Any) -> list[FileInfo]:
        there = {entry.user_name for entry in self.entries}
        return [file for file in await super().files(**filters) if self.durable or file.user_name in there]


@dataclass
class Pausable(Closing):
    """A FakeManager that can be paused."""

    state: ServiceState = ServiceState.RUNNING
    orders: list[str] = field(default_factory=list)

    async def service_state(self) -> ServiceState:
        return self.state

    async def pause(self) -> bool:
        before, self.state = self.state, ServiceState.PAUSED
        self.orders.append("pause")
        return before is ServiceState.RUNNING

    async def continue_(self) -> bool:
        before, self.state = self.state, ServiceState.RUNNING
        self.orders.append("continue")
        return before is ServiceState.PAUSED


class Clock:
    """Virtual time."""

    start = 1_700_049_600.0
    time = start

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if telling := [task for task in asyncio.all_tasks() if task.get_name() == TELLING]:
            await asyncio.wait(telling)  # programs that tell people take their time, which is no virtual one
        type(self).time += seconds


@pytest.fixture
def drained(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    command.manager = Pausable()
    command.manager.entries = [
        SessionInfo(r"\\pc7", "bob", 1, 100, 10),
        SessionInfo(r"\\pc4", "carol", 1, 100, 10),
        SessionInfo(r"\\pc9", "dave", 0, 100, 10),
    ]
    command.manager.opened = [
        FileInfo(1, WRITE, 2, r"D:\projects\budget.xlsx", "bob"),
        FileInfo(2, READ, 0, r"D:\projects\plan.txt", "carol"),
    ]
    command.manager.shared = [ShareInfo("projects", 0, "", path=r"D:\projects")]
    Clock.time = Clock.start
    monkeypatch.setattr("lanman.manage.drain.shell.SystemClock", Clock)
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return command


def manager(command: Command) -> Pausable:
    assert isinstance(command.manager, Pausable)
    return command.manager


def lines(text: str) -> list[str]:
    """What was told, without the times."""
    return [line.partition("  ")[2] for line in text.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]


# --- looking


def test_check_is_a_predicate(drained: Command) -> None:
    result = drained("drain --check")
    assert (result.status, result.err) == (3, "")
    assert result.out == "3 left: bob \\\\pc7 (1 file), carol \\\\pc4 (1 file), dave \\\\pc9 (nothing open)\n\n"
    drained.manager.entries = []
    result = drained("drain --check -S fs1 -N")
    assert (result.status, result.out) == (0, "Nobody is on \\\\FILER01.\n\n")
    assert manager(drained).orders == []


def test_check_counts_whom_drain_counts(drained: Command) -> None:
    answer = json.loads(drained("drain --check --json").out)
    assert answer["schema"] == 1
    assert answer["empty"] is False
    assert [(each["user_name"], each["cost"], each["num_opens"]) for each in answer["left"]] == [
        ("bob", "unsaved", 1),
        ("carol", "reopen", 1),
        ("dave", "none", 0),
    ]
    assert len({each["key"] for each in answer["left"]}) == 3
    assert all(each["begun_at"] for each in answer["left"])


def test_check_of_a_share_and_of_a_path(drained: Command) -> None:
    assert drained("drain --check --share projects").status == 3
    assert drained("drain --check --path D:\\projects\\budget*").out.startswith("1 left: bob D:\\projects\\budget.xlsx")
    drained.manager.opened = []
    result = drained("drain --check --share projects")
    assert (result.status, result.out) == (0, "Nobody has anything open in projects.\n\n")
    assert drained("drain --check --share nothing").status == 2


@pytest.mark.parametrize("switch", ["--dry-run", "/DRY-RUN", "/whatif"])
def test_a_dry_run_shows_the_plan_the_worst_first_and_stops(drained: Command, switch: str) -> None:
    result = drained(f"drain {switch}")
    assert result.status == 0
    assert result.out.splitlines() == [
        "Computer               User name            Opens Cost",
        "-" * 79,
        r"\\pc7                  bob                      1 UNSAVED WORK LIKELY (write access, 2 locks: "
        r"D:\projects\budget.xlsx)",
        r"\\pc4                  carol                    1 reopening (read access: D:\projects\plan.txt)",
        r"\\pc9                  dave                     0 nothing (nothing is open)",
        "",
    ]
    assert manager(drained).orders == []
    plan = json.loads(drained(f"drain {switch} --json").out)["plan"]
    assert (plan["verb"], len(plan["targets"])) == ("end", 3)


# --- draining


def test_the_whole_story(drained: Command) -> None:
    result = drained("drain -S fs1 -N --grace 5m --end all --quiet-for 10s /y")
    assert (result.status, result.err) == (0, "")
    assert lines(result.out) == [
        "paused: no new sessions (administrators excepted)",
        r"3 left: bob \\pc7 (1 file), carol \\pc4 (1 file), dave \\pc9 (nothing open)",
        r"ended dave \\pc9: nothing open",
        r"2 left: bob \\pc7 (1 file), carol \\pc4 (1 file)",
        r"ended bob \\pc7: 1 file (write access, 2 locks: D:\projects\budget.xlsx) UNSAVED WORK LIKELY",
        r"ended carol \\pc4: 1 file (read access: D:\projects\plan.txt)",
        "nobody is left; watching",
        "empty for 10 s. Still paused; `lanman continue server -S fs1` opens it again",
    ]
    assert result.out.splitlines()[0].startswith(f"{datetime.fromtimestamp(Clock.start):%H:%M:%S}  ")
    assert result.out.endswith("The command completed successfully.\n\n")
    assert (manager(drained).orders, manager(drained).state) == (["pause"], ServiceState.PAUSED)


def test_time_runs_out_and_the_server_is_open_again(drained: Command) -> None:
    result = drained("drain --timeout 1m --quiet-for 5s /y")
    assert result.status == 3
    assert lines(result.out)[-2:] == [
        r"time ran out; 2 left: bob \\pc7 (1 file), carol \\pc4 (1 file)",
        "opened again",
    ]
    assert manager(drained).orders == ["pause", "continue"]


def test_lines_of_json_for_programs(drained: Command) -> None:
    result = drained("drain --timeout 1m --quiet-for 5s --end readers --json /y")
    assert result.status == 3
    *events, last = map(json.loads, result.out.splitlines())
    assert {event["schema"] for event in events} == {1}
    assert [event["outcome"] for event in events] == ["paused", "left", "ended", "ended", "finished", "continued"]
    ended = events[2]
    assert {name: ended[name] for name in ("phase", "t", "server", "outcome", "cost", "told")} == {
        "phase": "end",
        "t": 0.0,
        "server": "FILER01",
        "outcome": "ended",
        "cost": "reopen",
        "told": None,
    }
    assert "carol" in ended["key"]
    assert re.fullmatch(r"2023-11-15T12:0\d:\d\dZ", ended["happened_at"])
    assert (last["verdict"], last["cordon"], last["paused"]) == ("timed_out", True, False)
    assert [each["user_name"] for each in last["left"]] == ["bob"]


def test_without_a_pause_it_says_so(drained: Command) -> None:
    class NoPause(Closing):
        async def service_state(self) -> ServiceState:
            raise self._not_a_service("be paused")

    drained.manager = NoPause(entries=drained.manager.entries, opened=drained.manager.opened)
    result = drained("drain --end all --quiet-for 1s /y")
    assert result.status == 0
    assert lines(result.out)[0].startswith("not paused (")
    assert lines(result.out)[-1] == "empty for 1 s. Newcomers may come"
    told = [json.loads(line) for line in drained("drain --quiet-for 0 --json /y").out.splitlines()]
    assert told[-1]["cordon"] is False


def test_no_cordon_and_keep_paused(drained: Command) -> None:
    assert drained("drain --end all --no-cordon --quiet-for 0 /y").status == 0
    assert manager(drained).orders == []
    drained.manager.entries = [SessionInfo(r"\\pc7", "bob", 1, 100, 10)]
    assert drained("drain --keep-paused --timeout 9s --quiet-for 0 /y").status == 3
    assert manager(drained).orders == ["pause"]


def test_a_share_is_drained_of_its_files(drained: Command) -> None:
    result = drained("drain --share projects --end all --quiet-for 0 /y")
    assert result.status == 0
    assert drained.manager.opened == []
    assert len(drained.manager.entries) == 3
    assert r"closed bob D:\projects\budget.xlsx (write access, 2 locks) UNSAVED WORK LIKELY" in lines(result.out)


def test_files_whose_users_have_gone_are_shown_with_their_paths(drained: Command) -> None:
    drained.manager.entries = []
    manager(drained).durable = True
    assert drained("drain --check").out == (
        r"2 left: bob D:\projects\budget.xlsx (UNSAVED WORK LIKELY), carol D:\projects\plan.txt (reopening)" "\n\n"
    )
    assert drained("drain --dry-run").out.splitlines()[2:4] == [
        r"-                      bob                      1 UNSAVED WORK LIKELY (write access, 2 locks: "
        r"D:\projects\budget.xlsx)",
        r"-                      carol                    1 reopening (read access, idle time unknown: "
        r"D:\projects\plan.txt)",
    ]
    result = drained("drain --end all --quiet-for 0 /y")
    assert result.status == 0
    assert lines(result.out)[2:4] == [
        r"closed bob D:\projects\budget.xlsx (write access, 2 locks) UNSAVED WORK LIKELY",
        r"closed carol D:\projects\plan.txt (read access, idle time unknown)",
    ]


# --- the question


def test_the_default_is_no(drained: Command) -> None:
    for words, answer in (("drain --end all", "\n"), ("drain --end all", "y\n"), ("drain", "\n")):
        result = drained(words, answers=answer)
        assert result.status == 2
        assert "UNSAVED WORK LIKELY" in result.out + result.err
        assert ("type the server's name (FILER01)" in result.out) == ("all" in words)
        assert ("(Y/N) [N]: " in result.out) == ("all" not in words)
    assert manager(drained).orders == []
    assert len(drained.manager.entries) == 3
    assert drained("drain --end all --quiet-for 0", answers="filer01\n").status == 0


def test_many_are_drained_by_the_name_of_the_server(drained: Command) -> None:
    drained.manager.opened = []
    drained.manager.entries = [SessionInfo(rf"\\pc{number}", "bob", 0, 100, 10) for number in range(20)]
    assert "(Y/N) [N]: " in drained("drain", answers="\n").out
    drained.manager.entries.append(SessionInfo(r"\\pc20", "bob", 0, 100, 10))
    assert "type the server's name" in drained("drain", answers="y\n").out
    assert len(drained.manager.entries) == 21


def test_nobody_is_asked_about_nobody(drained: Command) -> None:
    drained.manager.entries = []
    result = drained("drain --quiet-for 0")
    assert result.status == 0
    assert "(Y/N)" not in result.out + result.err


# --- telling


def configure(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "lanman"
    folder.mkdir()
    (folder / "lanman.toml").write_text(text)


@pytest.mark.posix
def test_people_are_warned_by_what_is_configured(drained: Command, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "tell"
    script.write_text(f'#!/bin/sh\n[ "$1" = carol ] && exit 7\nprintf "%s|" "$@" >> {told}\n')
    script.chmod(0o755)
    configure(tmp_path, f'[command]\nargv = ["{script}", "{{user}}", "{{message}}"]\n')
    result = drained(
        ["drain", "--warn", "10m", "--message", "Go; home $(now)", "--end", "all", "--quiet-for", "0", "/y"]
    )
    assert result.status == 0
    assert f"warned 2 of 3: command 2; carol: {script} ended with status 7" in lines(result.out)
    assert sorted(told.read_text().strip("|").split("|")) == ["Go; home $(now)", "Go; home $(now)", "bob", "dave"]


@pytest.mark.posix
def test_a_template_without_an_address(drained: Command, tmp_path: Path) -> None:
    configure(tmp_path, '[mail]\nserver = "127.0.0.1"\nsender = "a@b.org"\ntls = "none"\n')
    result = drained("drain --warn 1m --end all --quiet-for 0 --json /y")
    assert result.status == 0
    told = [json.loads(line) for line in result.out.splitlines()]
    assert [(event["told"], event["message"]) for event in told if event.get("outcome") == "told"] == [
        ("no", "no address known")
    ] * 3


@pytest.mark.posix
def test_credentials_that_others_may_read_are_warned_about(drained: Command, tmp_path: Path) -> None:
    configure(tmp_path, '[mail]\nserver = "127.0.0.1"\nsender = "a@b.org"\nport = 1\ncredentials = "x"\n')
    (tmp_path / "lanman" / "credentials").write_text("[x]\nuser = 'ann'\npassword = 'hush'\n")
    (tmp_path / "lanman" / "credentials").chmod(0o644)
    result = drained("drain --warn 1m --end all --quiet-for 0 /y")
    assert result.status == 0
    assert "credentials can be read by others; `chmod 600 " in result.err
    assert "hush" not in result.out + result.err


@pytest.mark.posix
def test_nobody_can_be_told_so_nothing_is_done(drained: Command, tmp_path: Path) -> None:
    result = drained("drain --warn 10m /y")
    assert result.status == 2
    assert "lanman.toml has no [mail], [webhook] or [command]" in result.err
    configure(tmp_path, "[mail]\nserver = 5\n")
    result = drained("drain --warn 10m /y")
    assert result.status == 2
    assert "lanman.toml line 2: [mail] server must be text in quotation marks" in result.err
    assert manager(drained).orders == []


# --- what is wrong


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("drain --warn soon", "It is a duration, such as 30s, 10m, 2h or 1h30m."),
        ("drain --timeout 1m --grace 2m", "The time-out of 60 s is over before"),
        ("drain --end some", "It is idle, readers or all."),
        ("drain --share a --path b", "A share or a path is drained, not both."),
        ("drain --message x", "give --warn too"),
        ("drain --check --dry-run", "Give one of --check and --dry-run."),
        ("drain --path=", "path"),
        (r"drain --path \\fs1\projects\*", r"No server lists open files as \\fs1\projects\*"),
        ("drain --share=", "An empty name is no share and no path."),
        ("drain --csv", "drain has no --csv"),
        ("drain --deadline 0", "It is a time in seconds"),
        ("drain fs1", ""),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_server_is_asked(drained: Command, words: str, hint: str) -> None:
    result = drained(words)
    assert result.status == 1
    assert hint in result.err
    assert drained.manager.opened_with == []


def test_deadline_bounds_each_question_and_timeout_the_drain(drained: Command) -> None:
    drained("drain --check --deadline 3")
    *_, options = drained.manager.opened_with[-1]
    assert (options["timeout"], options["deadline"]) == (3, None)
    drained("drain --check --timeout 5m")
    assert drained.manager.opened_with[-1][-1]["timeout"] == 10


def test_who_may_not_look(drained: Command) -> None:
    drained.manager.fails = AccessDenied("no", server="fs1")
    assert drained("drain --check").status == 5
    drained.manager.fails = ConnectionLost("no answer", server="fs1")
    assert drained("drain --check").status == 2


def test_names_from_peers_drive_no_terminal(drained: Command) -> None:
    drained.manager.entries = [SessionInfo("\\\\pc\x1b[2J", "bob\u202e", 0, 1, 1)]
    result = drained("drain --quiet-for 0 /y")
    assert "\x1b" not in result.out
    assert r"ended bob\u202e \\pc\x1b[2J: nothing open" in result.out


# --- the page and the words


def test_help_manual_and_completion(command: Command) -> None:
    assert "let everybody leave a server, and say when they have" in command("help").out
    page = command("help drain").out
    assert "--quiet-for TIME" in page
    assert "the options of every verb" in page or "--json" in page
    assert ".SS drain\n" in manual()
    assert dict(candidates(["drain"], "--qu", PROGRAM))
    assert [word for word, _ in candidates(["drain", "--end"], "r", PROGRAM)] == ["readers"]
    assert max(map(len, command("drain /?").out.splitlines())) < 80


# --- processes: signals


def test_killed_or_told_to_end(tmp_path: Path) -> None:
    """What Ctrl-C, SIGTERM, SIGHUP and SIGKILL leave behind on a real Server."""
    with Stage() as stage, ExitStack() as begun:
        stage.start()
        stage.connect("bob", 21, "plan.txt")
        environment = stage._environment

        def start() -> subprocess.Popen[str]:
            running = subprocess.Popen(
                [str(LANMAN), "drain", "--timeout", "10m", "--json", "/y"],
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,
            )
            begun.enter_context(running)
            begun.callback(running.kill)  # nothing stays where an assertion fails
            assert running.stdout is not None
            for line in running.stdout:
                if json.loads(line)["outcome"] == "left":
                    break
            return running

        for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            running = start()
            os.kill(running.pid, end)
            out, _ = running.communicate(timeout=60)
            assert running.returncode == 130
            assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["finished", "continued"]
            assert KeptDrain("this machine", stage.home).read() is None
        # A reader that has gone leaves nothing closed either.
        assert stage.run(
            "lanman drain --timeout 5s --quiet-for 0 --json /y | head -1; echo ${PIPESTATUS[0]}"
        ).out.endswith("141\n")
        assert stage.run("lanman pause server").status == 0
        assert stage.run("lanman continue server").status == 0
        for _ in range(2):
            running = start()
            running.kill()
            running.communicate(timeout=60)
            assert KeptDrain("this machine", stage.home).read() is not None
            assert stage.run("lanman continue server").status == 0
            assert KeptDrain("this machine", stage.home).read() is None
            stage.connect("carol", 22)  # who could not come while it was paused
        running = start()
        running.kill()
        running.communicate(timeout=60)
        result = stage.run("lanman drain --timeout 1s --quiet-for 0 --json /y")
        told = [json.loads(line) for line in result.out.splitlines()]
        assert result.status == 3
        assert told[0]["message"] == "an earlier drain had paused it"
        assert (told[-1]["verdict"], told[-1]["paused"]) == ("timed_out", False)
        assert KeptDrain("this machine", stage.home).read() is None
        stage.connect("carol", 22)  # who could not come while it was paused
