"""`lanman policy`: what it takes, what it shows, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lanman.manage.open
from lanman.errors import ConnectionLost, LanmanError
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.faces.cli.manual import manual
from lanman.faces.cli.policies import event_json
from lanman.manage.history import open_store
from lanman.manage.policies.kept import ROLE
from lanman.manage.policies.promises import Promise, State
from lanman.manage.policies.runner import Runner
from lanman.manage.policies.words import Event, What
from lanman.net.configuration import ConfigurationError
from lanman.records import SessionInfo
from support.fake_manager import Command

IDLE = '[policies.night]\nselect = { idle = "1h", not_user = "svc_*" }\nat_most = 2\n'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> Path:
    """A folder of policies and a home, and a server with three people."""
    folder = tmp_path / "config" / "lanman"
    folder.mkdir(parents=True)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    monkeypatch.setenv("LANMAN_HOME", str(home))
    monkeypatch.delenv("LANMAN_DB", raising=False)
    (folder / "policies.toml").write_text(IDLE)
    command.manager.entries = [
        SessionInfo(r"\\pc1", "ann", 0, 9000, 7200),
        SessionInfo(r"\\pc2", "bob", 1, 9000, 5),
        SessionInfo(r"\\pc3", "svc_backup", 0, 9000, 7200),
    ]
    return folder


def test_check(command: Command, place: Path) -> None:
    result = command("policy check")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("night: reports on this machine's server: idle for 1h; told 15m before; at most 2\n")
    found = json.loads(command("policy check --json").out)
    assert (found["schema"], found["policies"][0]["mode"], found["policies"][0]["before"]) == (1, "report", 900)
    (place / "policies.toml").write_text(IDLE + 'zone = "UTC"\n')
    wrong = command("policy check")
    assert (wrong.status, wrong.out) == (2, "")
    assert "policies.toml line 4: [policies.night] zone does nothing without `outside`" in wrong.err
    (place / "policies.toml").write_text(IDLE + 'mode = "enforce"\n')
    assert "lanman.toml has no [mail], no [webhook] and no [command]" in command("policy check").err
    (place / "policies.toml").write_text(IDLE + 'tell = { by = "mail" }\n')
    assert "[policies.night.tell] by: lanman.toml has no [mail]" in command("policy check").err
    assert command.manager.opened_with == []


def test_plan_shows_who_is_meant_and_does_nothing(command: Command) -> None:
    result = command("policy plan")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].endswith(': 1 of 3 match (mode is "report": nothing is done)')
    assert lines[3].startswith("pc1                ann              02:00:00      0  told now, ended ")
    assert len(command.manager.entries) == 3
    assert all(len(line) <= 80 for line in lines)


def test_plan_for_programs(command: Command) -> None:
    [found] = json.loads(command("policy plan night --json").out)["policies"]
    assert (found["policy"], found["total"], found["matched"], found["stopped"]) == ("night", 3, 1, None)
    [one] = found["sessions"]
    assert (one["user_name"], one["now"], one["cost"], one["meant"]) == ("ann", "tell", "none", "idle for 1h")
    assert one["key"].startswith("session:%5C%5Cpc1:ann:")
    rows = command("policy plan --csv").out.splitlines()
    assert rows[0].startswith('"policy","server","key"')
    assert len(rows) == 2


def test_plan_stops_at_too_many(command: Command) -> None:
    command.manager.entries += [SessionInfo(rf"\\pc{n}", f"user{n}", 0, 9000, 7200) for n in range(10, 15)]
    out = command("policy plan").out
    assert "6 of 8 match; at_most is 2: NOTHING would be done. Raise it, or narrow `select`." in out
    assert "told now" not in out
    [found] = json.loads(command("policy plan --json").out)["policies"]
    assert found["stopped"] == "6 of 8 match; at_most is 2"
    assert {each["now"] for each in found["sessions"]} == {"leave"}


def test_plan_of_a_policy_that_sleeps(command: Command, place: Path) -> None:
    (place / "policies.toml").write_text(IDLE + 'outside = "M-Su,0:00-23:59;M-Su,23:59-24:00"\nzone = "UTC"\n')
    assert "outside must leave some hours of the week" in command("policy check").err
    today = ["M", "T", "W", "Th", "F", "Sa", "Su"][time.gmtime().tm_wday]
    other = "M" if today not in ("M", "Su") else "W"
    (place / "policies.toml").write_text(IDLE + f'during = "{other},12:00-12:01"\nzone = "UTC"\n')
    out = command("policy plan").out
    assert ": asleep until 20" in out
    assert "ann" not in out
    [found] = json.loads(command("policy plan --json").out)["policies"]
    assert (found["asleep"], found["sessions"]) == (True, [])


def test_plan_skips_a_server_that_does_not_say(command: Command) -> None:
    for entry in command.manager.entries:
        entry.idle_time = None
    result = command("policy plan")
    assert (result.status, result.err) == (0, "")
    assert "skipped: it does not say idle times: `idle` cannot be decided" in result.out


def test_a_server_that_does_not_answer(command: Command, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Beside one that does, the answer is incomplete; alone, there is none."""
    (place / "policies.toml").write_text(IDLE + 'servers = ["fs1", "fs2"]\n')
    opened = lanman.manage.open.open_manager

    def open_manager(server: str | None, *arguments: Any, **options: Any) -> Any:
        if server == "fs2":
            raise ConnectionLost("no answer", code=53, server=server)
        return opened(server, *arguments, **options)

    monkeypatch.setattr("lanman.manage.open.open_manager", open_manager)
    result = command("policy plan -N")
    assert result.status == 4
    assert "night, fs1: 1 of 3 match" in result.out
    assert "night, fs2: not looked at: " in result.out
    alone = command("policy plan -N -S fs2")
    assert (alone.status, alone.out) == (2, "")
    assert "System error 53 has occurred." in alone.err


def test_programs_without_asyncio(command: Command) -> None:
    [found] = lanman.blocking_plan_policies(names=("night",))
    assert [one.match.seen.entry.user_name for one in found.meant] == ["ann"]
    assert lanman.blocking_spare_from_policies("ann", 3600.0) is not None
    with pytest.raises(LanmanError, match="an empty key is nobody"):
        lanman.blocking_spare_from_policies(" ", 3600.0)
    assert [one.word for one in lanman.blocking_policy_status().spares] == ["ann"]
    assert lanman.blocking_spare_from_policies("ann", 0.0) is None
    runners: list[Runner] = []
    events: list[Event] = []

    def on_event(event: Event) -> None:
        events.append(event)
        runners[0].stop()

    (place_of(command) / "policies.toml").write_text(IDLE + "tell = false\n")
    lanman.blocking_run_policies(on_event=on_event, ready=runners.append)
    assert [event.what for event in events] == [What.REPORTED]
    with pytest.raises(ConfigurationError, match="has no policy"):
        lanman.blocking_run_policies(names=("none",), on_event=on_event)


def place_of(command: Command) -> Path:
    """Where the policies of a test lie."""
    return Path(os.environ["XDG_CONFIG_HOME"]) / "lanman"


def test_only_the_servers_that_are_named_are_asked(command: Command, place: Path) -> None:
    (place / "policies.toml").write_text(IDLE + 'servers = ["fs1", "fs2"]\n')
    found = json.loads(command("policy plan -N --json").out)["policies"]
    assert [each["server"] for each in found] == ["fs1", "fs2"]
    found = json.loads(command(r"policy plan -N -S \\FS2 --json").out)["policies"]
    assert [each["server"] for each in found] == ["fs2"]
    missing = command("policy plan -N -S fs3")
    assert (missing.status, missing.out) == (2, "")
    assert "fs3: no policy is for that server" in missing.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("policy", "Say what: check, plan, run, spare, status."),
        ("policy plans", "It is one of check, plan"),
        ("policy s", "It may mean spare or status."),
        ("policy spare bob", "wants a user, client or session, and a duration"),
        ("policy spare bob 2", "It is a time of at most a year, such as 30m"),
        ("policy spare bob -1h", ""),
        ("policy spare bob 500d", "It is a time of at most a year"),
        (r"policy spare \\ 2h", "It is a user, a client or the key of a session"),
        ("policy status night", "takes no words behind it"),
        ("policy status -S fs1", "no server is asked"),
        ("policy check -S fs1", "no server is asked"),
        ("policy status --policies x", "the database is asked"),
        ("policy spare bob 2h --policies x", "the database is asked"),
        ("policy run --csv", "--csv goes with `policy plan`"),
    ],
)
def test_words_that_do_not_go_together(command: Command, words: str, said: str) -> None:
    result = command(words)
    assert (result.status, result.out) == (1, "")
    assert said in result.err
    assert command.manager.opened_with == []


def test_a_name_that_is_no_policy(command: Command) -> None:
    result = command("policy plan nigth")
    assert result.status == 2
    assert "has no policy 'nigth': `night` may be meant" in result.err


def test_spare_and_status(command: Command) -> None:
    nothing = command("policy status")
    assert nothing.status == 2
    assert "nothing was recorded there" in nothing.err
    assert command(r"policy spare \\pc1 2h").out.startswith(r"\\pc1 is left alone until ")
    assert json.loads(command("policy spare carol 30m -S fs1 --json").out)["server"] == "fs1"
    status = command("policy status")
    assert (status.status, status.err) == (0, "")
    assert "Nobody runs policies with this database.\n" in status.out
    assert "carol is left alone on fs1 until " in status.out
    found = json.loads(command("policy status --json").out)
    assert [each["key"] for each in found["spared"]] == [r"\\pc1", "carol"] or len(found["spared"]) == 2
    assert (found["runs"], found["promises"]) == (None, [])
    [planned] = json.loads(command("policy plan --json").out)["policies"]
    assert planned["sessions"][0]["why"].startswith("left alone until ")
    assert command(r"policy spare \\pc1 0").out.startswith(r"\\pc1 is no longer left alone.")
    assert [each["key"] for each in json.loads(command("policy status --json").out)["spared"]] == ["carol"]


def test_nobody_is_spared_on_a_server_of_no_policy(command: Command, place: Path) -> None:
    (place / "policies.toml").write_text(IDLE + 'servers = ["fs1", "fs2"]\n')
    for server in ("fs3", "fs1,fs2", "cluster:x"):
        wrong = command(f"policy spare carol 30m -S {server}")
        assert (wrong.status, wrong.out) == (2, ""), server
        assert "Policies are for fs1, fs2." in wrong.err
    assert "fs3: no policy is for that server" in command("policy spare carol 30m -S fs3").err
    assert command("policy status").status == 2  # nothing was kept
    assert command(r"policy spare carol 30m -S \\FS2").status == 0
    other = place / "other.toml"
    other.write_text(IDLE + 'servers = ["fs3"]\n')
    assert command(f"policy spare dave 30m -S fs3 --policies {other}").status == 0
    # What was written when there was such a policy can be ended still.
    (place / "policies.toml").write_text(IDLE + 'servers = ["fs1"]\n')
    assert command(r"policy spare carol 0 -S \\FS2").status == 0


def _promise(state: State, **more: object) -> Promise:
    now = time.time()
    one = Promise("a" * 32, "night", "fs1", "enforce", r"\\pc1", "ann", int(now), None, now, now + 900, "idle for 1h")
    one.state = state
    for name, value in more.items():
        setattr(one, name, value)
    return one


def test_status_says_what_is_due_and_why(command: Command) -> None:
    async def keep() -> None:
        async with open_store() as store:
            notes = {
                state.value: _promise(
                    state, told="yes", told_at=time.time(), reason="" if number else "work open"
                ).as_text()
                for number, state in enumerate(State)
            }
            await store.put_notes(ROLE, dict(notes))

    asyncio.run(keep())
    out = command("policy status").out
    assert out.count("night        fs1          ann from pc1") == sum(state.is_open for state in State)
    assert "meant because: idle for 1h" in out
    found = json.loads(command("policy status --json").out)["promises"]
    assert {each["state"] for each in found} == {state.value for state in State if state.is_open}


def test_events_for_programs() -> None:
    found = event_json(Event(0.0, What.TOLD, "fs1", "night", _promise(State.TOLD)))
    assert (found["schema"], found["what"], found["policy"], found["at"]) == (
        1,
        "told",
        "night",
        "1970-01-01T00:00:00Z",
    )
    assert found["session"]["user_name"] == "ann"
    assert event_json(Event(0.0, What.READ, text="2 policies"))["session"] is None


def test_help_and_completion(command: Command) -> None:
    assert "  policy      end sessions by rule, after telling people\n" in command("help").out
    assert "lanman policy spare KEY DURATION" in command("help policies").out
    assert ".SS policy\n" in manual()
    assert ("status", "what was promised to whom, and when it is due") in candidates(["policy"], "st", PROGRAM)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals(place: Path, number: int, status: int) -> None:
    """SIGHUP has the files read anew, and a mistake leaves the old ones in force; the others end it."""
    (place / "policies.toml").write_text(IDLE + 'servers = ["127.0.0.1:1"]\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "lanman", "policy", "run", "-N", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["what"] == "away"
        (place / "policies.toml").write_text(IDLE + "servers = []\n")
        process.send_signal(signal.SIGHUP)
        line = json.loads(process.stdout.readline())
        assert line["what"] == "not read"
        assert "line 4: [policies.night] servers must not be empty" in line["text"]
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait() == status
        assert all(json.loads(line)["what"] == "away" for line in rest.splitlines())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
