"""A throwaway Server with people on it, and a shell in which commands are typed: for transcripts and documents.

    with Stage() as stage:
        stage.start()
        stage.connect("bob", 21, "plan.txt")        # bob, from 10.20.0.21, with plan.txt open
        result = stage.run(r"net session \\10.20.0.21")

The Server is a process of its own, named FILER01, started by the command and asked over its control socket; `fs1` in a
command is that Server over the network. What differs from run to run is shown as one thing: the loopback addresses of
its people as 10.20.0.2x, the stage's folder as /srv, times as HH:MM:SS, counts of kilobytes as N.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lanman.net.accounts import AccountFile
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.smb2.messages import CreateRequest
from support.passwords import PASSWORD
from support.platforms import need_posix
from support.waiting import free_port

T = TypeVar("T")

LANMAN = Path(sys.executable).parent / "lanman"
USERS = ("ann", "bob", "carol", "dave")
FILES = ("plan.txt", "budget.xlsx", "notes.txt")

GENERIC_READ, SHARE_ALL, FILE_OPEN = 0x80000000, 7, 1

CONFIGURATION = """
[server]
name = "FILER01"
comment = "branch file server"
listen = ["127.0.0.1"]
port = {port}
share_roots = ["{folder}"]

[null_sessions]
linger = 3600

[shares.projects]
path = "{folder}/projects"
comment = "what we work on"
"""


@dataclass
class Typed:
    """What came of one command."""

    status: int
    out: str
    err: str


class Stage:
    """See above. Its folder has a short name, so that paths fit into the columns of tables."""

    def __init__(self) -> None:
        need_posix()
        self.folder = Path(tempfile.mkdtemp(prefix="l", dir="/tmp"))
        self.home = self.folder / "home"
        self.port = free_port()
        self.scheduler_port = free_port()
        self.people: list[SmbClient] = []
        self._left: list[subprocess.Popen[bytes]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LANMAN_", "NO_COLOR"))}
        self._environment = kept | {
            "LANMAN_HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "LANMAN_PASSWORD": PASSWORD,
            "PATH": f"{LANMAN.parent}:{os.environ['PATH']}",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }

    def __enter__(self) -> Stage:
        projects = self.folder / "projects"
        projects.mkdir(parents=True)
        for name in FILES:
            (projects / name).write_text("hello\n")
        self.home.mkdir(mode=0o700)
        (self.home / "server.toml").write_text(CONFIGURATION.format(port=self.port, folder=self.folder))
        accounts = AccountFile(self.home / "accounts")
        for name in USERS:
            accounts.update(lambda accounts, name=name: accounts.add(name, PASSWORD))  # type: ignore[misc]
        accounts.update(lambda accounts: accounts.add_member("Administrators", "ann"))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for client in self.people:
                self.do(client.abort())
        finally:
            # Whatever went wrong before, no Server is left behind.
            self.run("lanman stop server --timeout 30")
        for process in self._left:
            process.terminate()
            process.wait()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        started = self.run("lanman start server --timeout 60")
        assert started.status == 0, started

    def connect(self, user: str, address: int, *files: str, pipe: bool = False) -> SmbClient:
        """Log on from 10.20.0.`address` and keep files, or the pipe of management, open; "" is the null session."""
        credentials = Credentials(user, PASSWORD) if user else Credentials(anonymous=True)
        client = SmbClient("127.0.0.1", self.port, credentials, local_address=f"127.0.0.{address}")
        self.people.append(client)
        self.do(_visit(client, files, pipe))
        return client

    def ask(self, client: SmbClient, name: str = "notes.txt") -> int:
        """The status of one more request of somebody who is connected."""

        async def ask() -> int:
            tree = await client.tree_connect("projects")
            answer = await client.request_all([_open(name)], tree)
            return answer[0].status

        return self.do(ask())

    def run(self, command: str, typed: str = "", **names: str) -> Typed:
        """Type a line into a bash that has `net` for an alias; `names` are put over the stage's environment."""
        script = f"shopt -s expand_aliases\nalias net=lanman NET=lanman\n{self._put_on_stage(command)}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            input=typed,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self._environment | names,
            timeout=240,
        )
        return Typed(done.returncode, self._taken_off(done.stdout), self._taken_off(done.stderr))

    def leave_running(self, command: str) -> None:
        """Type a line that ends in ` &`: a Server in the foreground, which is there once this returns; or anything
        else, for which whoever wants it waits."""
        line = self._put_on_stage(command.removesuffix(" &"))
        nowhere = subprocess.DEVNULL
        self._left.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                stdin=nowhere,
                stdout=nowhere,
                stderr=nowhere,
                cwd=self.folder,
                env=self._environment,
            )
        )
        if not re.match(r"(lanman|net)\b", command):
            return
        for _ in range(300):
            if "Server" in self.run("lanman start").out:
                return
        raise AssertionError(f"{command}: is not there")

    def _put_on_stage(self, command: str) -> str:
        placed = re.sub(r"(?<![\w.])/srv\b", str(self.folder), command)
        placed = re.sub(r"\b4450\b", str(self.port), placed)
        placed = re.sub(r"\b8786\b", str(self.scheduler_port), placed)
        placed = re.sub(r"-S (\\*)fs1\b", f"-S 127.0.0.1:{self.port}", placed)
        placed = re.sub(r"(fleet \w+ )fs1\b", rf"\g<1>127.0.0.1:{self.port}", placed)
        return re.sub(r"10\.20\.0\.(2\d)\b", r"127.0.0.\1", placed)

    def _taken_off(self, text: str) -> str:
        text = text.replace(str(self.folder), "/srv").replace(f"127.0.0.1:{self.port}", "fs1")
        text = text.replace(r"\\127.0.0.1:", r"\\fs1:")
        text = re.sub(r"\b127\.0\.0\.(2\d)\b", r"10.20.0.\1", text)
        text = re.sub(rf"\b{self.port}\b", "4450", text)
        text = re.sub(rf"\b{self.scheduler_port}\b", "8786", text)
        return normalised(text)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of something asynchronous of the people on it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def normalised(text: str) -> str:
    """`text` with whatever differs from run to run shown as one thing. Columns behind a path move with its length."""
    text = re.sub(r"\b\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d [AP]M", "M/D/YYYY H:MM:SS AM", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", text)
    text = re.sub(r"(Kilobytes \w+ +)\d+", r"\1N", text)
    text = re.sub(r"(port \d+ answers) (?:at once|in \d+ ms)", r"\1 at once", text)
    text = re.sub(r"(Done in|Stopped after) \d+:\d\d\b", r"\1 0:00", text)
    text = re.sub(r"clocks (?:agree|differ by \d+ s)", "clocks agree", text)
    text = re.sub(r'("(?:active|idle)_time": )\d+', r"\1N", text)
    lines = (re.sub("   +", "  ", line) if "/srv/" in line else line for line in text.split("\n"))
    return "\n".join(lines)


async def _visit(client: SmbClient, files: tuple[str, ...], pipe: bool) -> None:
    await client.connect()
    await client.log_on()
    if pipe:
        await client.open_pipe("srvsvc")
    if files:
        tree = await client.tree_connect("projects")
        for name in files:
            (answer,) = await client.request_all([_open(name)], tree)
            assert answer.status == 0, hex(answer.status)


def _open(name: str) -> CreateRequest:
    return CreateRequest(
        name=name,
        desired_access=GENERIC_READ,
        share_access=SHARE_ALL,
        create_disposition=FILE_OPEN,
        create_options=0x40,
    )
