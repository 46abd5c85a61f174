"""The command on a terminal: passwords that are asked for and not shown, and the offer to start the Server."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LANMAN = [sys.executable, "-m", "lanman"]


class Terminal:
    """A command on a terminal of its own: read until it has said something, type, and see how it ends."""

    def __init__(self, words: list[str], home: Path, *, stdin: int | None = None, **names: str) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("LANMAN_", "NO_COLOR"))
        }
        self._master, slave = pty.openpty()
        self.said = ""
        self._read_up_to = 0
        self._process = subprocess.Popen(
            [*LANMAN, *words],
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave,
            env=environment | {"LANMAN_HOME": str(home), "TERM": "xterm"} | names,
            start_new_session=True,
            # getpass asks on the terminal itself, so there has to be one that controls the process.
            preexec_fn=lambda: os.close(os.open(os.ttyname(1), os.O_RDWR)),  # noqa: PLW1509
        )
        os.close(slave)

    def until(self, text: str) -> None:
        """Read on until it says `text`, behind what was waited for before: one read may bring more than that."""
        while (at := self.said.find(text, self._read_up_to)) < 0:
            if not self._more():
                raise AssertionError(f"it never said {text!r}, but: {self.said}")
        self._read_up_to = at + len(text)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        while self._more():
            pass
        return self._process.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _more(self) -> bool:
        try:
            data = os.read(self._master, 4096)
        except OSError:
            # Linux' way of saying that nobody has the other end open any more.
            return False
        self.said += data.decode().replace("\r\n", "\n")
        return bool(data)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_(*words: str, stdin: int | None = None, **names: str) -> Terminal:
        opened.append(Terminal(list(words), tmp_path / "home", stdin=stdin, **names))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def test_a_new_password_is_asked_for_twice(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    command = terminal("user", "ann", "*", "/add")
    command.until("Type a password for the user: ")
    command.type("one\n")
    command.until("Retype the password to confirm: ")
    command.type("another\n")
    command.until("The passwords do not match.")
    command.until("Type a password for the user: ")
    command.type("secret\n")
    command.until("Retype the password to confirm: ")
    command.type("secret\n")
    assert command.end() == 0
    assert "The command completed successfully." in command.said
    assert "secret" not in command.said
    assert (tmp_path / "home" / "accounts").exists()


def test_the_password_of_a_log_on_is_asked_for(terminal: Callable[..., Terminal]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = terminal("session", "-S", f"127.0.0.1:{server.getsockname()[1]}", "-U", "ann", "--timeout", "60")
        command.until(f"Password for ann on 127.0.0.1:{server.getsockname()[1]}: ")
        command.type("secret\n")
        connection, _ = server.accept()
        connection.close()
    assert command.end() == 2
    assert "secret" not in command.said


def test_a_password_is_asked_for_on_the_terminal_although_standard_input_is_a_pipe(
    terminal: Callable[..., Terminal],
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"y\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        command = terminal("session", "/delete", "-S", where, "-U", "ann", "--timeout", "60", stdin=reading)
        os.close(reading)
        command.until(f"Password for ann on 127.0.0.1:{server.getsockname()[1]}: ")
        command.type("secret\n")
        connection, _ = server.accept()
        connection.close()
    assert command.end() == 2
    os.close(writing)
    assert "secret" not in command.said
    assert "1244" not in command.said


def test_control_c_at_a_question(terminal: Callable[..., Terminal]) -> None:
    command = terminal("session", "-S", "127.0.0.1:1", "-U", "ann")
    command.until("Password for ann")
    command.type("\x03")
    assert command.end() == 130
    assert "Traceback" not in command.said


def test_the_server_is_started_when_wanted(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text('[server]\nlisten = ["127.0.0.1"]\nport = 0\n')

    refused = terminal("session")
    refused.until("The Server service is not started.\n\nIs it OK to start it? (Y/N) [Y]: ")
    refused.type("n\n")
    assert refused.end() == 2

    wanted = terminal("session", "--timeout", "30")
    wanted.until("Is it OK to start it? (Y/N) [Y]: ")
    wanted.type("\n")
    try:
        assert wanted.end() == 0
        # On a slow machine the sign of waiting is drawn and taken away between the two.
        assert "The Server service is starting.\n" in wanted.said
        assert "The Server service was started successfully.\n" in wanted.said
        assert "There are no entries in the list." in wanted.said
    finally:
        stopped = terminal("stop", "server", "--timeout", "30")
        assert stopped.end() == 0


def test_without_a_configuration_nothing_is_offered(terminal: Callable[..., Terminal]) -> None:
    command = terminal("session")
    assert command.end() == 2
    assert "Is it OK" not in command.said
    assert "The Server service is not started." in command.said


def configured(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text('[server]\nlisten = ["127.0.0.1"]\nport = 0\n')


def test_no_answer_to_the_offer_starts_nothing(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    configured(tmp_path / "home")
    command = terminal("session")
    command.until("Is it OK to start it? (Y/N) [Y]: ")
    command.type("perhaps\n")
    command.until("This is an invalid response.\nIs it OK to start it? (Y/N) [Y]: ")
    command.type("\x04")
    assert command.end() == 2
    assert "No valid response was provided." in command.said
    assert not (tmp_path / "home" / "control").exists()

    beforehand = terminal("session", "/n")
    assert beforehand.end() == 2
    assert "Is it OK" not in beforehand.said


def test_without_a_terminal_nothing_is_offered(tmp_path: Path) -> None:
    configured(tmp_path / "home")
    done = subprocess.run(
        [*LANMAN, "session", "--home", str(tmp_path / "home")], input="y\n", capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "The Server service is not started.\n\nMore help is available by typing NET HELPMSG 2114."
    )
    assert "lanman start server" in done.stderr


def test_a_start_that_fails_says_why(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    configured(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f'[server]\nlisten = ["127.0.0.1"]\nport = {taken.getsockname()[1]}\n'
        (tmp_path / "home" / "server.toml").write_text(text)
        command = terminal("session", "/y", "--timeout", "60")
        assert command.end() == 2
    assert "The Server service is starting.\n" in command.said
    assert "The Server service could not be started." in command.said
    assert "NET HELPMSG 3523" in command.said


def test_waiting_for_a_server_is_shown_and_interrupted(terminal: Callable[..., Terminal]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = terminal("session", "-S", f"127.0.0.1:{server.getsockname()[1]}", "-N", "--timeout", "60")
        command.until("Waiting for 127.0.0.1")
        command.type("\x03")
        assert command.end() == 130
    assert "Traceback" not in command.said


@pytest.mark.parametrize("names", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_where_it_is_wanted(terminal: Callable[..., Terminal], names: dict[str, str]) -> None:
    coloured = terminal("session", "-S", "127.0.0.1:1", "-N")
    assert coloured.end() == 2
    assert coloured.said.startswith("\x1b[31mSystem error 1225 has occurred.\x1b[0m\n\n")
    plain = terminal("session", "-S", "127.0.0.1:1", "-N", **names)
    assert plain.end() == 2
    assert plain.said.startswith("System error 1225 has occurred.\n\n")
    help_ = terminal("help", "session")
    assert help_.end() == 0
    assert "\x1b[1mExamples:\x1b[0m\n" in help_.said


def test_no_colour_in_a_pipe() -> None:
    for words in (["help", "session"], ["frobnicate"], ["session", "-S", "127.0.0.1:1", "-N"]):
        done = subprocess.run([*LANMAN, *words], capture_output=True, env=os.environ | {"TERM": "xterm"}, timeout=60)
        assert b"\x1b" not in done.stdout + done.stderr
