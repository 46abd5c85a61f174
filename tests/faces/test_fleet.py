"""`lanman fleet`: what it takes, what it writes, and how it ends, as a person or a script sees it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.fake_manager import Command
from support.loopback_server import PASSWORDS, running_server
from support.process_server import LANMAN
from support.waiting import free_port, until

pytestmark = [
    pytest.mark.posix,
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: its whole 127.0.0.0/8 is this machine"),
]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("fleet", "Say what to ask: sessions, files or doctor."),
        ("fleet sesions fs1", "sessions, files or doctor"),
        ("fleet sessions", "Name targets: servers, networks, @FILE, or - for standard input."),
        ("fleet sessions ''", "An empty word names no target and no folder."),
        ("fleet sessions fs1 --out ''", "An empty word names no target and no folder."),
        ("fleet sessions fs1 -S fs2", "Name the servers as targets, without -S."),
        ("fleet sessions fs1 --csv", "Give --format csv."),
        ("fleet sessions fs1 --out - --json", "leave out --json"),
        ("fleet sessions fs1 --out - --format csv", "With --out - rows are JSON lines."),
        ("fleet sessions fs1 --retry-failed", "--retry-failed goes with --resume DIR."),
        ("fleet --resume s --out t", "A sweep that is resumed keeps its --out: leave it out."),
        ("fleet --resume s --format csv", "keeps its --format"),
        ("fleet --resume s --shard 1/2", "keeps its --shard"),
        ("fleet --resume s fs9 -p 1445", "keeps its --port: write HOST:PORT for another one."),
        ("fleet sessions fs1 --scheduler tcp://10.0.0.5:8786", "is not protected"),
        ("fleet sessions fs1 --scheduler tcp://127.0.0.1 --processes 2", "leave out --processes"),
        ("fleet sessions fs1 --rate 0", "--rate"),
        ("fleet sessions fs1 --in-flight 0", "--in-flight"),
        ("fleet sessions fs1 --deadline -1", "--deadline"),
    ],
)
def test_words_that_do_not_go_together(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command([*shlex.split(words), "-U", "ann%x"])
    assert (result.status, result.out) == (1, "")
    assert remedy in " ".join(result.err.split())
    assert list(tmp_path.iterdir()) == []


async def typed(folder: Path, *words: str, **names: str) -> tuple[int, str, str]:
    """What came of a command: its status, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        str(LANMAN),
        "fleet",
        *words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | names,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def logon_file(folder: Path, password: str = PASSWORDS["admin"]) -> str:
    file = folder / "logon"
    file.write_text(f"username = admin\npassword = {password}\n")
    file.chmod(0o600)
    return str(file)


async def test_a_sweep_its_folder_its_summary_and_what_is_asked_again(tmp_path: Path) -> None:
    async with running_server(tmp_path / "home", host="0.0.0.0") as server:
        who = ("-A", logon_file(tmp_path))
        targets = [f"127.0.0.{number}:{server.port}" for number in (1, 2, 3)] + [f"127.0.0.1:{free_port()}"]
        status, out, err = await typed(tmp_path, "sessions", *targets, *who, "--out", "s", "--json")
        assert (status, err) == (4, "")
        told = json.loads(out)
        assert (told["schema"], told["complete"], told["targets"]) == (1, True, 4)
        assert {name: count for name, count in told["outcomes"].items() if count} == {"ok": 3, "refused": 1}
        outcomes = lines(tmp_path / "s" / "outcomes.jsonl")
        assert sorted((each["server"], each["port"]) for each in outcomes) == sorted(
            (host, int(port)) for host, _, port in (each.partition(":") for each in targets)
        )
        rows = lines(tmp_path / "s" / "rows.jsonl")
        # Each of them sees the three log-ons, or as many of them as there are at its moment; and itself at least.
        assert {row["server"] for row in rows} == {"127.0.0.1", "127.0.0.2", "127.0.0.3"}
        assert {row["user_name"] for row in rows} == {"admin"}
        assert told["rows"] == len(rows)

        status, out, err = await typed(tmp_path, "--resume", "s", *who)
        assert (status, err) == (4, "")  # one is still silent
        assert out.splitlines()[0].endswith("3 answered, 1 refused.")
        assert out.splitlines()[-1] == "Again for those: lanman fleet --resume s --retry-failed"
        assert len(lines(tmp_path / "s" / "outcomes.jsonl")) == 4

    # Now nobody is there at all.
    status, out, _ = await typed(tmp_path, "--resume", "s", "--retry-failed", *who)
    assert status == 4
    assert out.splitlines()[0].endswith("3 answered, 1 refused.")
    assert len(lines(tmp_path / "s" / "outcomes.jsonl")) == 4
    status, _, err = await typed(tmp_path, "sessions", "127.0.0.9", *who, "--out", "s")
    assert status == 2
    assert "s" in err


@pytest.mark.parametrize("rows", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("was_there", [True, False])
async def test_what_cannot_begin_leaves_the_folder_as_it_was(tmp_path: Path, rows: str, was_there: bool) -> None:
    folder = tmp_path / "s"
    if was_there:
        folder.mkdir()
    names = {"XDG_CONFIG_HOME": str(tmp_path)}
    status, out, err = await typed(tmp_path, "sessions", "127.0.0.9", "--out", "s", "--format", rows, **names)
    assert (status, out) == (2, "")
    assert "nobody said who to be at the servers" in err
    assert folder.exists() == was_there
    assert not was_there or list(folder.iterdir()) == []


async def test_rows_alone_go_to_a_pipe(tmp_path: Path) -> None:
    async with running_server(tmp_path / "home") as server:
        status, out, err = await typed(
            tmp_path, "sessions", f"127.0.0.1:{server.port}", "-A", logon_file(tmp_path), "--out", "-"
        )
    assert status == 0
    assert [json.loads(line)["user_name"] for line in out.splitlines()] == ["admin"]
    assert err.splitlines()[0].endswith(" 1 answered.")
    assert [each.name for each in tmp_path.iterdir() if each.name not in ("home", "logon")] == []


async def test_two_sweeps_each_count_their_own_wrong_passwords(tmp_path: Path) -> None:
    """Each stops after three, so that both together are six at most: the number is of one sweep, as its help says."""
    async with running_server(tmp_path / "home", host="0.0.0.0") as server:
        who = ("-A", logon_file(tmp_path, "wrong"))
        targets = [f"127.0.0.{number}:{server.port}" for number in range(1, 12)]
        found = await asyncio.gather(
            *(typed(tmp_path, "sessions", *targets, *who, "--out", name) for name in ("a", "b"))
        )
    for name, (status, out, _) in zip("ab", found, strict=True):
        assert status == 4
        assert "The credential -U is not used any more: 3 times the user name or the password was wrong." in out
        results = [each["outcome"] for each in lines(tmp_path / name / "outcomes.jsonl")]
        assert sorted(results) == ["cancelled"] * 8 + ["logon"] * 3


@pytest.mark.parametrize("columns", [20, 40, 200])
async def test_the_line_of_progress_is_one_line_on_any_terminal(tmp_path: Path, columns: int) -> None:
    import fcntl
    import pty
    import struct
    import termios

    async with running_server(tmp_path / "home", host="0.0.0.0") as server:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = await asyncio.create_subprocess_exec(
            str(LANMAN),
            "fleet",
            "sessions",
            *(f"127.0.0.{number}:{server.port}" for number in range(1, 40)),
            *("-A", logon_file(tmp_path), "--out", "s", "--rate", "30"),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env=os.environ | {"TERM": "xterm"},
        )
        os.close(slave)
        said = await asyncio.to_thread(_all_of, master)
        assert await process.wait() == 0
    shown = [part for part in said.replace("\r\n", "\n").split("\r\x1b[K") if part]
    assert len(shown) > 1
    assert all(len(part) < columns and "\n" not in part for part in shown)


@pytest.mark.parametrize("out", ["s", "-"])
async def test_the_summary_is_as_narrow_as_the_terminal_and_lacks_nothing(tmp_path: Path, out: str) -> None:
    """On standard output, or with the rows alone there, on standard error."""
    import fcntl
    import pty
    import struct
    import termios

    columns, folder = 40, "monday-" + "m" * 60
    async with running_server(tmp_path / "home", host="0.0.0.0") as server:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = await asyncio.create_subprocess_exec(
            str(LANMAN),
            "fleet",
            "sessions",
            *(f"127.0.0.{number}:{server.port}" for number in range(1, 8)),
            f"127.0.0.1:{free_port()}",
            *("-A", logon_file(tmp_path, "wrong"), "--out", folder if out == "s" else out),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=slave if out == "s" else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if out == "s" else slave,
            env=os.environ | {"TERM": "dumb"},
        )
        os.close(slave)
        said = await asyncio.to_thread(_all_of, master)
        assert await process.wait() == 4
    shown = said.splitlines()
    assert all(len(line) < columns for line in shown)
    words = "".join(said.split())
    expected = [
        "1 refused, 3 not logged on, 4 not asked to the end.",
        "The credential -U is not used any more: 3 times the user name or the password was wrong.",
    ]
    if out == "s":
        expected.append(f"0 rows, and what became of each target: {folder}")
        expected.append(f"Again for those: lanman fleet --resume {folder} --retry-failed")
    assert words.endswith("".join("".join(expected).split())), said


@pytest.mark.parametrize(("limit", "at_a_time"), [(64, 2), (80, 32)])
async def test_few_open_files_are_enough_for_many_targets(tmp_path: Path, limit: int, at_a_time: int) -> None:
    """Both processes together ask as many at a time as they may have connections, and whoever asked is told."""
    async with running_server(tmp_path / "home", host="0.0.0.0") as server:
        targets = [f"127.0.0.{number}:{server.port}" for number in range(1, 61)]
        (tmp_path / "targets").write_text("\n".join(targets))
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", str(LANMAN), "fleet", "sessions", "@targets"),
            *("-A", logon_file(tmp_path), "--out", "s", "--processes", "2", "--per-subnet", "1000"),
            *("--deadline", "60", "--connect", "60"),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b""), (out, err)
    assert b" 60 answered." in out
    told = f"No more than {at_a_time} were asked at a time, since a process may have so few open files here"
    assert told in out.decode()


def _all_of(master: int) -> str:
    said = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            piece = b""
        if not piece:
            os.close(master)
            return said.decode()
        said += piece


async def test_a_signal_before_the_first_target_and_one_after_the_other(tmp_path: Path) -> None:
    """Names are still looked up, or processes started: it ends all the same, and the folder can be resumed."""
    async with running_server(tmp_path / "home") as server:
        who = ("-A", logon_file(tmp_path))
        words = [
            "sessions",
            "127.0.0.0/16",
            "-p",
            str(server.port),
            *who,
            "--out",
            "s",
            "--processes",
            "2",
            "--per-subnet",
            "9",
        ]
        process = await asyncio.create_subprocess_exec(
            str(LANMAN), "fleet", *words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        await until((tmp_path / "s" / "state.sqlite").exists)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert (process.returncode, err) == (130, b""), (out, err)
        assert b"To go on: lanman fleet --resume s\n" in out
