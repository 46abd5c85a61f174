"""The command as a process: its arguments, its descriptors, its signals; and that it never shows a traceback."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LANMAN = [sys.executable, "-m", "lanman"]


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    return subprocess.run(
        [*LANMAN, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, **options
    )


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def waiting(silent_port: int, *words: str) -> subprocess.Popen[str]:
    """A command that waits for an answer, once it has connected."""
    process = subprocess.Popen(
        [*LANMAN, "session", "-S", f"127.0.0.1:{silent_port}", "--timeout", "60", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process


def test_version_loads_next_to_nothing() -> None:
    program = (
        "import sys; sys.argv[1:] = ['--version']; from lanman.__main__ import main; main(); "
        "print(sorted({'rich', 'asyncio', 'lanman.codes', 'lanman.faces', 'cryptography'} & set(sys.modules)))"
    )
    # -S: what a virtual environment's own start-up loads is not ours.
    shown = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        check=True,
    )
    version, loaded = shown.stdout.splitlines()
    assert version.startswith("lanman ")
    assert loaded == "[]"


@pytest.mark.parametrize(
    ("words", "verb", "network"),
    [
        (["helpmsg", "5"], "helpmsg", False),
        (["session", "-N", "-S", "127.0.0.1:1"], "session", True),
        (["sess", "-N", "-S", "127.0.0.1:1"], "session", True),
        (["files", "-N", "-S", "127.0.0.1:1"], "file", True),
    ],
)
def test_a_command_loads_its_verb_and_no_other(words: list[str], verb: str, network: bool) -> None:
    program = (
        "import sys; from lanman.faces.cli.main import run; run(sys.argv[1:]); "
        "print(*sorted(name for name in sys.modules if name.startswith('lanman.faces.cli.verbs.'))); "
        "print(*sorted({'asyncio', 'ssl', 'cryptography'} & set(sys.modules))); "
        "print(*sorted({'lanman.faces.cli.helptext', 'rich'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    shown = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment, check=True
    )
    *_, verbs, reaching, showing = shown.stdout.splitlines()
    assert verbs == f"lanman.faces.cli.verbs.{verb}"
    assert bool(reaching) is network
    assert showing == ""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only on Linux is there /proc")
def test_a_password_is_gone_from_the_arguments() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = waiting(server.getsockname()[1], "-U", "ann%gehe%im", "--client", "büro")
        try:
            # Once it has connected, it has long covered its arguments.
            connection, _ = server.accept()
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            connection.close()
        finally:
            process.communicate()
    assert b"ann%*******" in arguments
    assert not any(b"gehe" in argument for argument in arguments)
    assert "büro".encode() in arguments


@pytest.mark.parametrize(
    ("arguments", "covered"),
    [
        (["-Uann%secret", "session"], ["-Uann%******", "session"]),
        (["--login=ann%secret"], ["--login=ann%******"]),
        (["/LOGIN:ann%secret"], ["/LOGIN:ann%******"]),
        (["--nt-hash", "abc"], ["--nt-hash", "***"]),
        (["--nt-h=abc"], ["--nt-h=***"]),
        (["/NT-HASH:abc"], ["/NT-HASH:***"]),
        (["user", "ann", "secret", "/add"], ["user", "ann", "******", "/add"]),
        (["/add", "USER", "ann", "secret"], ["/add", "USER", "ann", "******"]),
        (["user", "ann", "*", "/add"], ["user", "ann", "*", "/add"]),
        (["user", "--home", "/tmp/h", "ann", "secret"], ["user", "--home", "/tmp/h", "ann", "******"]),
        (["user", "ann", "--", "-secret"], ["user", "ann", "--", "*******"]),
        (["user", "--", "ann", "-secret"], ["user", "--", "ann", "*******"]),
        (["user", "ann", "--", "/add"], ["user", "ann", "--", "****"]),
        (["user", "ann", "--", "--"], ["user", "ann", "--", "**"]),
        (["user", "ann", "-secret", "/add"], ["user", "ann", "*******", "/add"]),
        (["user", "ann", "/secret", "--fulln=A B"], ["user", "ann", "*******", "--fulln=A B"]),
        (["user", "/ACTIVE:NO", "ann", "-", "/y"], ["user", "/ACTIVE:NO", "ann", "*", "/y"]),
        (["session", r"\\pc7", "--user", "ann"], ["session", r"\\pc7", "--user", "ann"]),
        (["--db", "postgresql://ann:secret@h/db"], ["--db", "postgresql://ann:***********"]),
        (["/DB:postgresql://ann:s:e@h"], ["/DB:postgresql://ann:*****"]),
        (["--db=postgresql://h:5432/db?Password=secret"], ["--db=postgresql://h:5432/db?Password=******"]),
        (["--db=postgresql://ann@h:5432/db", "sqlite:///a"], ["--db=postgresql://ann@h:5432/db", "sqlite:///a"]),
        (["-S", "smb://fs1:445/x"], ["-S", "smb://fs1:445/x"]),
    ],
)
def test_what_is_covered(arguments: list[str], covered: list[str]) -> None:
    program = (
        "import sys; from lanman.faces.cli.secrets import cover_secrets; assert cover_secrets(sys.argv[1:]); "
        "print(open('/proc/self/cmdline', 'rb').read().split(b'\\0'))"
    )
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("only on Linux is there /proc")
    shown = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    expected = [argument.encode() for argument in covered]
    assert shown.stdout.rstrip("\n").endswith(f"{str(expected)[1:-1]}, b'']")


def test_interrupted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = waiting(server.getsockname()[1], "-N")
        connection, _ = server.accept()
        # Its first message: by now it waits for the answer.
        connection.recv(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        connection.close()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


def test_a_server_that_says_nothing(silent_port: int) -> None:
    result = run("session", "-S", f"127.0.0.1:{silent_port}", "-N", "--timeout", "0.3")
    assert result.returncode == 2
    assert result.stderr.startswith("System error 121 has occurred.\n")
    assert "127.0.0.1" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("host", "code"),
    [("no-such-host.invalid", 53), ("127.0.0.1:1", 1225)],
)
def test_a_server_that_is_not_there(host: str, code: int) -> None:
    result = run("session", "-S", host, "-N")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"System error {code} has occurred.\n")
    assert host.partition(":")[0] in result.stderr
    assert "Traceback" not in result.stderr


def test_a_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = waiting(server.getsockname()[1], "-N")
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()
        out, err = process.communicate()
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("System error ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["helpmsg", "2312"],
        ["helpmsg", "2312", "--json"],
        ["help"],
        ["session", "/?"],
        ["user", "--csv"],
        ["localgroup"],
        ["completion", "bash"],
        ["--version"],
        ["--version", "--json"],
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(words: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        # It has gone before anything is written.
        reader.wait()
        assert reader.stdin is not None
        home = {**os.environ, "LANMAN_HOME": str(tmp_path)}
        result = subprocess.run([*LANMAN, *words], stdout=reader.stdin, stderr=subprocess.PIPE, text=True, env=home)
        reader.stdin.close()
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", ">&- 2>&-"])
def test_standard_output_that_takes_nothing(redirection: str) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("only on Linux is there /dev/full")
    command = shlex.join([*LANMAN, "helpmsg", "2312"])
    result = subprocess.run(["sh", "-c", f"exec {command} {redirection}"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
    if "2>" not in redirection:
        assert "Standard output cannot be written: " in result.stderr


def test_every_locale_can_show_every_name() -> None:
    result = run("frobnicäte")
    assert result.returncode == 1
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = subprocess.run([*LANMAN, "frobnicäte"], capture_output=True, env=ascii_only)
    assert shown.returncode == 1
    assert b"frobnic\\xe4te" in shown.stderr


@pytest.mark.parametrize(
    "line", ["", "help", "--help", "/?", "help session", "session /?", "help config server", "config server /help"]
)
def test_help_is_at_hand(line: str) -> None:
    result = run(*line.split())
    assert result.returncode == (0 if line else 1)
    assert "The syntax of this command is:" in (result.stdout if line else result.stderr)


def test_nobody_listens_here(tmp_path: Path) -> None:
    result = run("session", "--home", str(tmp_path), "--timeout", "5")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_without_a_terminal_no_password_is_asked_for() -> None:
    # A session of its own has no terminal, whoever runs the tests has one.
    result = run("session", "-S", "127.0.0.1:1", "-U", "ann", start_new_session=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("System error 1244 has occurred.\n")
    assert "there is no password for ann, and no terminal to ask for it on" in result.stderr
