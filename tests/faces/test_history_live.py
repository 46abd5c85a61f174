"""`lanman history` as it runs: our own Server and Debian's smbd, SQLite and PostgreSQL, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support import postgres
from support.passwords import PASSWORD
from support.process_server import LANMAN, Stage
from support.smbd import Samba
from support.waiting import wait_until

pytestmark = pytest.mark.posix


@pytest.fixture(scope="module")
def postgresql() -> Iterator[postgres.Postgres]:
    if reason := postgres.missing():
        pytest.skip(reason)
    pytest.importorskip("asyncpg")
    server = postgres.Postgres()
    yield server
    server.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        stage.start()
        yield stage


class Recorder:
    """A recorder in a process of its own, and what it has remembered."""

    def __init__(self, *words: str, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = {**environment, "TZ": "UTC"}
        self.folder = folder
        self.process = subprocess.Popen(
            [LANMAN, "history", "record", "--every", "0.2", *words],
            env=self.environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: str) -> Any:
        done = subprocess.run(
            [LANMAN, "history", *words, "--json"], env=self.environment, cwd=self.folder, capture_output=True, text=True
        )
        return json.loads(done.stdout) if done.returncode in (0, 4) else {"stays": [], "error": done.stderr}

    def open_now(self) -> set[tuple[str, str]]:
        """Who is there now, and with what: the last part of the path, or `session`."""
        return {
            (stay["user_name"], re.split(r"[\\/]", stay["path"])[-1] if stay["path"] else stay["kind"])
            for stay in self.ask("at", "now")["stays"]
            if stay["ended_at"] is None
        }

    def wait_for(self, *wanted: tuple[str, str]) -> None:
        wait_until(lambda: set(wanted) <= self.open_now())

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """End it; its exit status, and what it has said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def recorders() -> Iterator[list[Recorder]]:
    made: list[Recorder] = []
    yield made
    for each in made:
        each.kill()


def database_of(kind: str, request: pytest.FixtureRequest) -> str | None:
    if kind == "postgresql":
        server: postgres.Postgres = request.getfixturevalue("postgresql")
        return server.new_database()
    return None


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_our_own_server(stage: Stage, recorders: list[Recorder], request: pytest.FixtureRequest, kind: str) -> None:
    """A day of a Server: who came, what they opened, who ended them, and what was not seen."""
    url = database_of(kind, request)
    environment = {**stage._environment, **({} if url is None else {"LANMAN_DB": url})}
    stage._environment = environment
    stage.connect("bob", 21, "plan.txt", "budget.xlsx")
    stage.connect("carol", 22)
    recorder = Recorder(environment=environment, folder=stage.folder)
    recorders.append(recorder)
    recorder.wait_for(("bob", "session"), ("bob", "plan.txt"), ("bob", "budget.xlsx"), ("carol", "session"))
    second = stage.run("lanman history record --for 1s")
    assert second.status == 2
    assert "its recorder is running already: process" in second.err

    assert stage.run("lanman file --path '*plan.txt' /close /y").status == 0
    assert stage.run(r"lanman session \\10.20.0.22 /delete /y").status == 0
    drained = stage.run("lanman drain --end all --quiet-for 0.2s --timeout 60s /y")
    assert (drained.status, drained.err) == (0, "")
    wait_until(lambda: not recorder.open_now())
    at = stage.run("lanman history user '*' --limit 10")
    ends = {
        (line.split()[0], line.split()[-1].rpartition("/")[2]): line for line in at.out.splitlines() if "by" in line
    }
    assert "ended by root (drain)" in ends["bob", "(session)"]
    assert "closed by root" in ends["bob", "plan.txt"]
    assert "ended by root (drain)" in ends["bob", "budget.xlsx"]
    assert "ended by root " in ends["carol", "(session)"]
    assert "(drain)" not in ends["carol", "(session)"]

    status, out, err = recorder.stop()
    assert status == 0, err
    assert "Recording" in out
    assert re.search(r"lanman.history: \S+ tells what happens\n", err)
    assert err.endswith("lanman.history: stopped\n")
    # Nobody looks any more: whoever asks is told.
    wait_until(lambda: stage.run("lanman history at now").status == 4)  # it was seen in this second
    assert "recorder not running" in stage.run("lanman history gaps").out
    exported = stage.run("lanman history export --parquet out")
    assert "4 rows" in exported.out
    lines = stage.run("lanman history export --json").out.splitlines()
    assert [json.loads(line)["record"] for line in lines] == ["export", "gap", "stay", "stay", "stay", "stay"]
    if url is None:
        kept = stage.home / "history.sqlite"
        assert kept.stat().st_mode & 0o777 == 0o600


def test_a_server_over_the_network_that_goes_away(stage: Stage, recorders: list[Recorder]) -> None:
    stage.connect("bob", 21, "plan.txt")
    words = ("-S", f"127.0.0.1:{stage.port}", "-U", "ann", "--db", "sqlite:net.db", "--no-paths")
    recorder = Recorder(*words, environment=stage._environment, folder=stage.folder)
    recorders.append(recorder)
    recorder.environment["LANMAN_DB"] = f"sqlite:///{stage.folder}/net.db"
    recorder.wait_for(("bob", "session"), ("bob", "file"))
    (file,) = [stay for stay in recorder.ask("user", "bob")["stays"] if stay["kind"] == "file"]
    assert (file["path"], file["client_how"], file["server"]) == (None, "inferred", f"127.0.0.1:{stage.port}")
    assert file["begun_slack"] >= 0
    assert b"plan.txt" not in (stage.folder / "net.db").read_bytes()
    assert stage.run("lanman stop server /y").status == 0
    wait_until(lambda: recorder.ask("gaps")["gaps"])
    (gap,) = recorder.ask("gaps")["gaps"]
    assert (gap["why"], gap["ended_at"]) == ("server away", None)
    assert recorder.ask("at", "now")["complete"] is False
    stage.start()
    wait_until(lambda: recorder.ask("gaps")["gaps"][0]["ended_at"] is not None)
    status, _, err = recorder.stop(signal.SIGINT)
    assert status == 130
    assert "does not answer" in err
    assert "answers at level 502 again" in err
    assert PASSWORD not in err


@pytest.mark.parametrize("words", [("-U", "ann%wrong"), ("-U", "nobody%wrong")])
def test_a_log_on_that_is_refused_ends_it(stage: Stage, recorders: list[Recorder], words: tuple[str, str]) -> None:
    recorder = Recorder("-S", f"127.0.0.1:{stage.port}", *words, environment=stage._environment, folder=stage.folder)
    recorders.append(recorder)
    _, err = recorder.process.communicate(timeout=60)
    assert recorder.process.returncode == 2
    assert "1326" in err
    assert "refuses the log-on, and is not asked again" in err
    assert "wrong" not in err.replace("wrong password", "")


@pytest.mark.samba
@pytest.mark.root
def test_samba(samba: Samba, recorders: list[Recorder], tmp_path: Path) -> None:
    who, ann = samba.administrator, samba.user
    login = tmp_path / "login"
    login.write_text(f"username = {who.user_name}\npassword = {who.password}\n")
    login.chmod(0o600)
    environment = {**os.environ, "LANMAN_DB": f"sqlite:///{tmp_path}/history", "LANMAN_HOME": str(tmp_path / "home")}
    server = f"{samba.host}:{samba.port}"
    recorder = Recorder("-S", server, "-A", str(login), environment=environment, folder=tmp_path)
    recorders.append(recorder)
    recorder.wait_for((who.user_name, "session"))  # its own: it has looked
    client = samba.hold(ann)
    try:
        client.command("put /etc/hostname a.txt")
        client.command("open a.txt")
        recorder.wait_for((ann.user_name, "session"), (ann.user_name, "a.txt"))
        found = recorder.ask("who", "*a.txt")["stays"]
        file = next(stay for stay in found if stay["ended_at"] is None)
        assert (file["user_name"], file["server"], file["begun_how"]) == (ann.user_name, server, "seen")
    finally:
        client.close()
    wait_until(lambda: not {user for user, _ in recorder.open_now()} & {ann.user_name})
    (session,) = [stay for stay in recorder.ask("user", ann.user_name)["stays"] if stay["kind"] == "session"]
    assert session["why"] == "vanished"
    assert session["ended_by"] is None
    assert recorder.stop()[0] == 0


@pytest.mark.parametrize("words", ["at now", "gaps", "stats", "user bob", "export"])
def test_a_question_makes_no_database(tmp_path: Path, words: str) -> None:
    environment = {**os.environ, "LANMAN_HOME": str(tmp_path / "home"), "LANMAN_DB": ""}
    done = subprocess.run(
        [sys.executable, "-m", "lanman", "history", *words.split()], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Record with `lanman history record`" in done.stderr
    assert not (tmp_path / "home").exists()
