"""The log of a Server in a process of its own: SIGHUP after a rename, as logrotate does it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process_server import LANMAN
from support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The home of a Server that was started in the background."""
    home = tmp_path / "home"
    command: list[str | Path] = [LANMAN, "--home", home]
    subprocess.run([*command, "start", "server", "--listen", "127.0.0.1", "--port", "0"], check=True, timeout=60)
    yield home
    subprocess.run([*command, "stop", "server"], check=True, timeout=60)


def process_of(home: Path) -> int:
    return int((home / "lock").read_text())


def test_after_a_rename_and_sighup_everything_goes_to_the_new_file(home: Path) -> None:
    log, old = home / "server.log", home / "server.log.old"
    wait_until(lambda: "listening on 127.0.0.1" in log.read_text())
    log.rename(old)
    os.kill(process_of(home), signal.SIGHUP)
    wait_until(lambda: log.exists() and "configuration read again" in log.read_text())
    assert "configuration read again" not in old.read_text()
    # What is no log record, such as a traceback of the interpreter, goes there too.
    errors, new = os.stat(f"/proc/{process_of(home)}/fd/2"), log.stat()
    assert (errors.st_dev, errors.st_ino) == (new.st_dev, new.st_ino)


def test_limits_of_the_log_count_at_once(home: Path) -> None:
    log = home / "server.log"
    wait_until(lambda: "listening on 127.0.0.1" in log.read_text())
    (home / "server.toml").write_text("[log]\nmax_bytes = 150\nkeep = 1\n")

    def rotated() -> bool:
        os.kill(process_of(home), signal.SIGHUP)
        return (home / "server.log.1").exists() and log.exists()

    wait_until(rotated)
    wait_until(rotated)
    assert not (home / "server.log.2").exists()


def test_a_mistake_in_server_toml_is_told_in_the_log(tmp_path: Path) -> None:
    """Also where standard error goes elsewhere: nobody looks there."""
    home, log = tmp_path / "home", tmp_path / "the.log"
    home.mkdir(mode=0o700)
    text = f'[log]\nfile = "{log}"\n'
    (home / "server.toml").write_text(text)
    command: list[str | Path] = [LANMAN, "--home", home]
    subprocess.run([*command, "start", "server", "--listen", "127.0.0.1", "--port", "0"], check=True, timeout=60)
    try:
        (home / "server.toml").write_text(text + "[server]\nautodisconnect = 99999\n")
        log.rename(tmp_path / "the.log.1")
        os.kill(process_of(home), signal.SIGHUP)
        wait_until(lambda: log.exists() and "autodisconnect must be" in log.read_text())
        assert "SIGHUP: the configuration is not read again" in log.read_text()
        # The remedy is a sentence of its own.
        (home / "settings").write_text("version = 3\n")
        (home / "server.toml").write_text(text)
        os.kill(process_of(home), signal.SIGHUP)
        wait_until(lambda: "knows none after 2. A newer lanman wrote it: " in log.read_text())
        # A log that cannot be opened anew: the old one goes on, and says so.
        log.rename(tmp_path / "the.log.2")
        log.symlink_to(tmp_path / "nowhere")
        os.kill(process_of(home), signal.SIGHUP)
        wait_until(lambda: "SIGHUP: the log goes on in the old file" in (tmp_path / "the.log.2").read_text())
        assert not (tmp_path / "nowhere").exists()
    finally:
        subprocess.run([*command, "stop", "server"], check=True, timeout=60)


def test_a_folder_of_the_command_line_that_is_gone_stops_no_reload(tmp_path: Path) -> None:
    home, folder, said = tmp_path / "home", tmp_path / "folder", tmp_path / "said"
    folder.mkdir()
    command: list[str | Path] = [LANMAN, "--home", home]
    with said.open("wb") as errors:
        words = ["serve", f"data={folder}", "--listen", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL, stderr=errors)
    try:
        wait_until(lambda: "listening on 127.0.0.1" in said.read_text())
        folder.rmdir()
        (home / "server.toml").write_text('[server]\ncomment = "changed"\n')
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration read again" in said.read_text() or "SIGHUP:" in said.read_text())
        shown = subprocess.run([*command, "config", "server"], capture_output=True, text=True, check=True, timeout=60)
        assert "changed" in shown.stdout
    finally:
        process.terminate()
        process.wait(60)


def test_a_signal_counts_from_the_line_that_the_server_listens(tmp_path: Path) -> None:
    """Also where nothing else of the command has run yet: what reads the log sends it as soon as it may."""
    script = """
import logging, signal, sys
from lanman.__main__ import main

ANSWERS = {"listening on": signal.SIGHUP, "configuration read again": signal.SIGTERM}


class Reader(logging.Handler):
    def emit(self, record):
        for words, answer in ANSWERS.items():
            if words in record.getMessage():
                signal.raise_signal(answer)


logging.getLogger("lanman.server").addHandler(Reader())
sys.exit(main())
"""
    words: list[str | Path] = [
        "--home",
        tmp_path / "home",
        "serve",
        f"data={tmp_path}",
        "--listen",
        "127.0.0.1",
        "--port",
        "0",
    ]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "configuration read again" in done.stderr


def rotate(home: Path, tmp_path: Path) -> None:
    """Run logrotate with the file in contrib, with `home` for its paths."""
    text = (ROOT / "contrib" / "lanman.logrotate").read_text()
    text = text.replace("/var/log/lanman/", f"{home}/").replace("/var/lib/lanman/", f"{home}/")
    text = text.replace("    su lanman lanman\n", "" if os.geteuid() else "    su root root\n")
    configuration = tmp_path / "logrotate.conf"
    configuration.write_text(text)
    configuration.chmod(0o600)
    subprocess.run(["logrotate", "-s", tmp_path / "state", "--force", configuration], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="only on machines with logrotate")
def test_logrotate_takes_the_file_in_contrib(home: Path, tmp_path: Path) -> None:
    log = home / "server.log"
    wait_until(lambda: "listening on 127.0.0.1" in log.read_text())
    rotate(home, tmp_path)
    wait_until(lambda: log.exists() and "configuration read again" in log.read_text())
    assert "listening on 127.0.0.1" in (home / "server.log.1").read_text()


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="only on machines with logrotate")
def test_logrotate_is_content_while_no_server_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "server.log").write_text("the last words\n")
    (home / "lock").write_text("")
    rotate(home, tmp_path)
    assert (home / "server.log.1").read_text() == "the last words\n"
