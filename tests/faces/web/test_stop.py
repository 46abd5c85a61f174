"""The console as a process and in programs: how it begins, and that it ends while browsers hold streams open."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lanman
from lanman.faces.web import program
from lanman.faces.web.console import Console
from lanman.faces.web.listening import Listening
from lanman.faces.web.program import WebConsole
from support.loopback_server import running_server
from support.waiting import until

ENDS_WITHIN = 60.0
"""In seconds; two are promised, and a stream that is not ended holds up uvicorn until its client leaves: for ever."""


class Running:
    """`lanman web` in a process of its own; `told` is what it says at the start."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "lanman", "web", *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self.process.stderr is not None
        self.told = [self.process.stderr.readline() for _ in range(4)]

    @property
    def url(self) -> str:
        return self.told[3].strip()

    @property
    def word(self) -> str:
        return self.told[1].split("#once=")[1].strip()

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; the exit status, and what else it said."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=ENDS_WITHIN)
        return self.process.returncode, said


@contextlib.contextmanager
def running(*words: str) -> Iterator[Running]:
    console = Running(*words)
    try:
        yield console
    finally:
        if console.process.poll() is None:
            console.process.kill()
            console.process.communicate()


def log_in(console: Running) -> tuple[http.client.HTTPConnection, str]:
    connection = http.client.HTTPConnection(console.url.removeprefix("http://"), timeout=30)
    sent = json.dumps({"once": console.word})
    connection.request("POST", "/api/v1/login", sent, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    return connection, str(answer.headers["Set-Cookie"]).partition(";")[0]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_a_stream_open(number: int, status: int) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{nobody.getsockname()[1]}"
        with running("-S", server, "-N", "--listen", "127.0.0.1:0") as console:
            connection, cookie = log_in(console)
            connection.request("GET", "/api/v1/events", headers={"Cookie": cookie})
            stream = connection.getresponse()
            assert (stream.status, stream.headers["Content-Type"].split(";")[0]) == (200, "text/event-stream")
            assert stream.readline()
            assert console.end(number)[0] == status
            stream.close()
            connection.close()


def test_the_socket_goes_with_the_process(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with running("-S", "127.0.0.1:9", "-N", "--listen", f"unix:{path}") as console:
        assert str(path) in console.told[0]
        # Addresses stand alone: a terminal takes what is behind one into the link.
        assert console.told[1] == f"http://localhost:8445/#once={console.word}\n"
        assert console.url == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        assert console.end(signal.SIGTERM)[0] == 0
    assert not path.exists()


def lanman_web(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lanman", "web", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


def test_without_tls_others_are_refused_before_anything_is_asked() -> None:
    done = lanman_web("-S", "127.0.0.1:9", "-N", "--listen", "0.0.0.0:0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "others reach this address, and passwords would travel in the clear" in done.stderr
    assert "--tls-cert" in done.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')\n")
    done = lanman_web("-S", "127.0.0.1:9", "-N", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "System error 50" in done.stderr
    assert "pip install 'lanman[web]'" in done.stderr


def test_help_loads_nothing_of_it() -> None:
    script = (
        "import sys; from lanman.faces.cli.main import run; run(['help', 'web']);"
        "sys.exit(any(name.split('.')[0] in ('starlette', 'uvicorn') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


# --- programs


async def test_it_ends_whatever_an_answer_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backstop: something that is not told of the end."""
    monkeypatch.setattr(program, "LEAVE", 0.3)
    async with WebConsole(Console([]), Listening("127.0.0.1:0")) as console:
        host, _, port = console.where.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10\r\n\r\n{"
        )
        assert console._serving is not None
        async with asyncio.timeout(ENDS_WITHIN):
            serving = console._serving
            await until(lambda: serving.server_state.tasks)
            await console.close()
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        await console.close()
        writer.close()


async def test_people_log_in_at_a_real_server(tmp_path: Path) -> None:
    import httpx

    async with running_server(tmp_path) as server:
        name = f"127.0.0.1:{server.port}"
        admin = lanman.Credentials("admin", "Adm1n-secret")
        async with (
            lanman.web_console(name, admin, listen="127.0.0.1:0") as console,
            httpx.AsyncClient(base_url=console.url or "", timeout=30) as browser,
        ):
            (offered,) = (await browser.get("/api/v1/login")).json()["servers"]
            for password, status in (("wrong", 401), ("ann's secret", 204)):
                sent = {"server": offered, "user": "ann", "password": password}
                assert (await browser.post("/api/v1/login", json=sent)).status_code == status
            (person,) = [each.person for each in console.console.people._sessions.values()]
            async with person.accesses[offered].opening() as manager:
                with pytest.raises(lanman.AccessDenied):
                    await manager.sessions()
            opening = person.accesses[offered].opening
            await browser.post("/api/v1/logout")
            with pytest.raises(lanman.LanmanError):  # the password is gone
                async with opening():
                    pass


def test_a_program_without_asyncio() -> None:
    with lanman.blocking_web_console(
        "127.0.0.1:9", lanman.Credentials(anonymous=True), listen="127.0.0.1:0"
    ) as console:
        connection = http.client.HTTPConnection(console.where, timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        assert (console.link or "").startswith(f"{console.url}/#once=")
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(console.where, timeout=30).request("GET", "/")


@pytest.mark.parametrize("how", [{"every": 0.0}, {"timeout": -1.0}])
async def test_times_are_positive(how: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        lanman.web_console("fs1", **how)  # type: ignore[arg-type]
