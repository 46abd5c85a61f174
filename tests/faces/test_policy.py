"""`lanman policy`: what it takes, what it shows, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.faces.cli.manual import manual
from lanman.faces.cli.policies import event_json
from lanman.manage.history import open_store
from lanman.manage.policies.kept import ROLE
from lanman.manage.policies.promises import Promise, State
from lanman.manage.policies.words import Event, What
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
    assert lines[3].startswith("pc1                ann              02:00:00      0  told now, ended at ")
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


def test_plan_skips_a_server_that_does_not_say(command: Command) -> None:
    for entry in command.manager.entries:
        entry.idle_time = None
    result = command("policy plan")
    assert (result.status, result.err) == (0, "")
    assert "skipped: it does not say idle times: `idle` cannot be decided" in result.out


def test_plan_with_a_server_that_does_not_answer_is_incomplete(command: Command) -> None:
    from lanman.errors import ConnectionLost

    command.manager.fails = ConnectionLost("no answer", code=53, server="fs1")
    result = command("policy plan -S fs1 -N")
    assert result.status == 4
    assert result.out.startswith("night, fs1: not looked at: ")


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
