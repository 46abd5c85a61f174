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

    def __init__(self, words: list[str], home: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
        self._master, slave = pty.openpty()
        self.said = ""
        self._heard = 0
        self._process = subprocess.Popen(
            [*LANMAN, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment | {"LANMAN_HOME": str(home)},
            start_new_session=True,
            # getpass asks on the terminal itself, so there has to be one that controls the process.
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        )
        os.close(slave)

    def until(self, text: str) -> None:
        """Read on until it says `text`, behind what was waited for before: one read may bring more than that."""
        while (at := self.said.find(text, self._heard)) < 0:
            if not self._more():
                raise AssertionError(f"it never said {text!r}, but: {self.said}")
        self._heard = at + len(text)

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

    def open_(*words: str) -> Terminal:
        opened.append(Terminal(list(words), tmp_path / "home"))
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
        command.until("Password for ann on 127.0.0.1: ")
        command.type("secret\n")
        connection, _ = server.accept()
        connection.close()
    assert command.end() == 2
    assert "secret" not in command.said


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
        assert "The Server service is starting.\nThe Server service was started successfully.\n" in wanted.said
        assert "There are no entries in the list." in wanted.said
    finally:
        stopped = terminal("stop", "server", "--timeout", "30")
        assert stopped.end() == 0


def test_without_a_configuration_nothing_is_offered(terminal: Callable[..., Terminal]) -> None:
    command = terminal("session")
    assert command.end() == 2
    assert "Is it OK" not in command.said
    assert "The Server service is not started." in command.said
