"""`lanman metrics`: what may be typed, one look, and the process that Prometheus comes to."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanman.errors import ConnectionLost
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.faces.cli.manual import manual
from lanman.manage.history.opening import open_store
from lanman.manage.history.records import Deed
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import Command
from support.promtool import check_metrics, need, promtool
from support.waiting import free_port, wait_until

pytest.importorskip("prometheus_client", reason="only on machines with the extra metrics")

LANMAN = [sys.executable, "-m", "lanman"]


@pytest.fixture(autouse=True)
def people(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_PASSWORD", "secret")
    command.manager.entries = [SessionInfo(r"\\pc7", "bob", 2, 600, 30)]
    command.manager.opened = [FileInfo(1, 3, 0, "/srv/a", "bob")]


def test_one_look(command: Command) -> None:
    result = command("metrics -S fs1 --once")
    assert (result.status, result.err) == (0, "")
    check_metrics(result.out.encode())
    assert 'lanman_sessions{server="fs1"} 1.0\n' in result.out
    assert "bob" not in result.out
    named = command("metrics /SERVER:fs1 /once /names /top:1")
    assert 'lanman_top_user_sessions{server="fs1",user="bob"} 1.0\n' in named.out


def test_one_look_for_programs(command: Command) -> None:
    result = command("metrics -S fs1 --once --json")
    answer = json.loads(result.out)
    assert (answer["schema"], answer["missing"]) == (1, [])
    assert {"name": "lanman_open_files", "labels": {"server": "fs1", "access": "write"}, "value": 1} in answer[
        "metrics"
    ]


def test_each_server_has_its_series_once(command: Command) -> None:
    out = command(r"metrics -S fs1,fs2 -S \\fs1 -S fs1:4450 -S [::1]:445 --once").out
    found = re.findall(r'^lanman_up\{server="(.*)"\}', out, re.MULTILINE)
    assert sorted(found) == sorted(["fs1", "fs2", "fs1:4450", "[::1]:445"])


def test_the_nodes_of_a_cluster_have_their_series_each(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lanman").mkdir()
    (tmp_path / "lanman" / "lanman.toml").write_text('[clusters.files]\nnodes = ["fs1", "fs2:4450"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    out = command("metrics -S cluster:files -S fs3 --once").out
    assert re.findall(r'^lanman_up\{server="(.*)"\}', out, re.MULTILINE) == ["fs1", "fs2:4450", "fs3"]


def test_credentials_of_a_cluster_are_for_its_nodes_alone(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for a server that is named beside it, nor for the nodes of another cluster."""
    folder = tmp_path / "lanman"
    folder.mkdir()
    (folder / "lanman.toml").write_text(
        '[clusters.a]\nnodes = ["a1", "a2"]\ncredentials = "one"\n'
        '[clusters.b]\nnodes = ["b1"]\ncredentials = "two"\n'
        '[clusters.c]\nnodes = ["c1"]\n'
    )
    (folder / "credentials").write_text('[one]\nuser = "u1"\npassword = "p1"\n[two]\nuser = "u2"\npassword = "p2"\n')
    (folder / "credentials").chmod(0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own = {"a1": ("u1", "p1"), "a2": ("u1", "p1"), "b1": ("u2", "p2")}
    for order in (["cluster:a", "cluster:b", "cluster:c", "fs3"], ["fs3", "cluster:c", "cluster:b", "cluster:a"]):
        command.manager.opened_with.clear()
        command(["metrics", *(word for each in order for word in ("-S", each)), "--once"])
        tried = {server: (who.user_name, who.password) for server, who, _ in command.manager.opened_with}
        assert {node: tried[node] for node in own} == own
        assert tried["fs3"] == tried["c1"]
        assert tried["fs3"][1] == "secret"
    command.manager.opened_with.clear()
    command("metrics -S cluster:a -S fs3 -U ann%typed --once")
    assert {who.password for _, who, _ in command.manager.opened_with} == {"typed"}


def test_a_server_that_does_not_answer_is_down_and_the_answer_incomplete(command: Command) -> None:
    command.manager.fails = ConnectionLost("it has gone", code=53)
    result = command("metrics -S fs1 --once")
    assert result.status == 4
    assert 'lanman_up{server="fs1"} 0.0\n' in result.out
    assert "lanman_sessions{" not in result.out
    assert result.err.startswith("Warning: fs1: it has gone")
    answer = json.loads(command("metrics -S fs1 --once --json").out)
    assert answer["missing"] == [{"server": "fs1", "error": "it has gone", "code": 53}]


def test_what_policies_have_ended(command: Command, tmp_path: Path) -> None:
    async def note() -> None:
        async with open_store(tmp_path / "history.sqlite") as store:
            await store.note_deed(Deed(100, "fs1", "root", "end", "done", plan="night"))

    result = command(f"metrics -S fs1 --once --db {tmp_path}/history.sqlite")
    assert (result.status, "Warning: history: " in result.err, "policy" in result.out) == (4, True, False)
    asyncio.run(note())
    result = command(f"metrics -S fs1 --once --db {tmp_path}/history.sqlite")
    assert (result.status, result.err) == (0, "")
    assert 'lanman_policy_ended_total{outcome="done",policy="night"} 1.0\n' in result.out


def test_help_and_completion(command: Command) -> None:
    assert "  metrics     give figures of servers to Prometheus\n" in command("help").out
    assert ".SS metrics\n" in manual()
    assert ("--listen", "where Prometheus comes to (127.0.0.1:9745)") in candidates(["metrics"], "--li", PROGRAM)


def test_a_socket_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    from lanman.faces.cli.verbs.metrics import metrics, place

    monkeypatch.chdir(tmp_path)
    (listen,) = [each for each in metrics.params if each.name == "listen"]
    assert place(listen, "unix:metrics") == f"unix:{tmp_path}/metrics"
    assert command("metrics --listen unix:").status == 1


# --- as a process


@contextmanager
def started(home: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and where the figures are."""
    environment = os.environ | {"LANMAN_HOME": str(home)}
    process = subprocess.Popen(
        [*LANMAN, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        where = re.search(r"the figures are at (.*)\.\n", said)
        assert where is not None, said + process.stderr.read()
        yield process, where[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_gives_figures_until_it_is_told_to_end(tmp_path: Path, number: int, status: int) -> None:
    with started(tmp_path, "metrics", "--listen", "127.0.0.1:0") as (process, where):
        with urllib.request.urlopen(f"http://{where}/metrics", timeout=60) as answer:
            assert b"lanman_up{" in answer.read()
        process.send_signal(number)
        assert process.wait(60) == status


@pytest.mark.posix
def test_it_ends_at_once_although_a_server_is_stuck(tmp_path: Path) -> None:
    """A port that accepts and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as hole:
        server = f"127.0.0.1:{hole.getsockname()[1]}"
        words = "metrics", "-S", server, "-N", "--timeout", "600", "--listen", f"unix:{tmp_path}/metrics"
        with started(tmp_path, *words) as (process, where):
            assert where == f"unix:{tmp_path}/metrics"
            connection, _ = hole.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            connection.close()
    assert not (tmp_path / "metrics").exists()


@pytest.mark.posix
def test_a_place_that_is_taken(tmp_path: Path) -> None:
    with started(tmp_path, "metrics", "--listen", "127.0.0.1:0") as (_, where):
        environment = os.environ | {"LANMAN_HOME": str(tmp_path)}
        done = subprocess.run([*LANMAN, "metrics", "--listen", where], env=environment, capture_output=True, text=True)
        assert done.returncode == 2
        assert "another program listens there already. Choose another place with --listen." in done.stderr


@pytest.mark.posix
def test_beyond_this_machine_there_is_a_warning(tmp_path: Path) -> None:
    environment = os.environ | {"LANMAN_HOME": str(tmp_path)}
    process = subprocess.Popen([*LANMAN, "metrics", "--listen", "0.0.0.0:0"], env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr:
        assert b"whoever reaches this address may read the figures" in process.stderr.readline()
        process.kill()
        process.wait()


@pytest.mark.posix
def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client").mkdir()
    (tmp_path / "prometheus_client" / "__init__.py").write_text("raise ImportError")
    environment = os.environ | {"LANMAN_HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*LANMAN, "metrics", "--once"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'lanman[metrics]'" in done.stderr


# --- beside our own Server


def configuration(folder: Path, listen: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "server.toml").write_text(
        f'[server]\nlisten = ["127.0.0.1"]\nport = 0\nname = "FILER01"\n[metrics]\nlisten = "{listen}"\n'
        f'[shares.data]\npath = "{folder}/data"\n'
    )


def serving(home: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"LANMAN_HOME": str(home)}
    return subprocess.Popen([*LANMAN, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def figures(where: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://{where}/metrics", timeout=60) as answer:
            text: bytes = answer.read()
    except OSError:
        return b""
    return text


@pytest.mark.posix
def test_our_server_gives_figures_without_another_process(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    configuration(tmp_path / "home", where)
    server = serving(tmp_path / "home")
    try:
        wait_until(lambda: b'lanman_up{server="FILER01"} 1.0' in figures(where))
        wait_until(lambda: b"lanman_server_bytes_total" in figures(where))
        text = figures(where)
        check_metrics(text)
        assert b'lanman_share_users{server="FILER01",share="data"} 0.0' in text
    finally:
        server.terminate()
        assert server.wait(60) == 0
        assert server.stderr is not None
        server.stderr.close()


@pytest.mark.posix
def test_our_server_does_not_start_where_it_cannot_give_them(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    configuration(tmp_path / "home", f"unix:{taken}")
    server = serving(tmp_path / "home")
    _, said = server.communicate(timeout=60)
    assert server.returncode == 2
    assert b"there is something that is no socket" in said
    configuration(tmp_path / "home", "fs1:80")
    server = serving(tmp_path / "home")
    _, said = server.communicate(timeout=60)
    assert server.returncode == 2
    assert b"server.toml line 6: [metrics] listen must be ADDRESS:PORT or unix:/PATH" in said, said


# --- Prometheus itself


@pytest.mark.posix
def test_a_real_prometheus_scrapes_it(tmp_path: Path) -> None:
    need("prometheus", "promtool")
    with started(tmp_path, "metrics", "--listen", "127.0.0.1:0") as (_, where):
        port = free_port()
        (tmp_path / "prometheus.yml").write_text(
            "scrape_configs:\n  - job_name: lanman\n    scrape_interval: 100ms\n    scrape_timeout: 100ms\n"
            f"    static_configs: [{{targets: ['{where}']}}]\n"
        )
        assert promtool("check", "config", str(tmp_path / "prometheus.yml"))[0] == 0
        program = shutil.which("prometheus")
        assert program is not None
        prometheus = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: _asked(port, "lanman_up == 0"))
            assert _asked(port, 'up{job="lanman"} == 1')
            assert _asked(port, "lanman_build_info")
        finally:
            prometheus.terminate()
            prometheus.wait()


def _asked(port: int, query: str) -> list[object]:
    """What Prometheus answers to a query."""
    address = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.request.quote(query)}"  # type: ignore[attr-defined]
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            found: list[object] = json.load(answer)["data"]["result"]
    except OSError:
        return []
    return found
