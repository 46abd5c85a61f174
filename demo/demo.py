"""See it work: a Server, clients of several users, the list of sessions, one ended, and what its client gets.

Everything happens in a temporary folder and on the loopback interface, as whatever user runs it. The commands are shown
as one would type them, and are really run; the clients are lanman's own library, and smbclient where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from lanman import codes
from lanman.errors import LanmanError, StatusError
from lanman.net.client import Pipe, SmbClient
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrServerGetInfo

HOST = "127.0.0.1"


class Shell:
    """Runs commands as a person at a terminal would see it, with LANMAN_HOME set to the demo's folder."""

    def __init__(self, home: Path) -> None:
        self._environment = {**os.environ, "LANMAN_HOME": str(home)}

    async def __call__(self, *words: str, typed: str = "") -> int:
        """Show the command, run it, show what it says. `typed` is what it reads from standard input."""
        print(f"\n$ {shlex.join(['lanman', *words])}", flush=True)
        status, output = await self.run(*words, typed=typed)
        print(output.rstrip("\n"), flush=True)
        return status

    async def run(self, *words: str, typed: str = "") -> tuple[int, str]:
        """Run a command; its exit status, and what it says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lanman",
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
        )
        output, _ = await process.communicate(typed.encode())
        return process.returncode or 0, output.decode(errors="replace")

    async def until_listed(self, sessions: int) -> None:
        """Wait until the Server lists so many sessions, five seconds at most: smbclient takes a moment to log on."""
        for _ in range(50):
            _, output = await self.run("session", "--csv")
            if len(output.splitlines()) > sessions:
                return
            await asyncio.sleep(0.1)


class Visitor:
    """One user who stays connected with a few pipes open, as someone at a workstation would with files."""

    def __init__(self, user: str, pipes: list[Pipe]) -> None:
        self.user = user
        self._pipes = pipes

    async def ask(self) -> str:
        """Make a request, and say in a line what came of it."""
        try:
            await self._pipes[0].call(NetrServerGetInfo(None, 100))
        except LanmanError as error:
            reason = error.__cause__
            if not isinstance(reason, StatusError):
                return error.message
            return f"{codes.ntstatus_name(reason.status)} (0x{reason.status:08X}): {reason.message}"
        return "answered as before."


@asynccontextmanager
async def visitor(user: str, password: str, port: int, address: str, *, opens: int) -> AsyncIterator[Visitor]:
    """Connect from `address`, log on, and hold `opens` pipes open."""
    client = SmbClient(HOST, port, Credentials(user, password), local_address=address)
    try:
        await client.connect()
        await client.log_on()
        yield Visitor(user, [await client.open_pipe("srvsvc") for _ in range(opens)])
    finally:
        await client.abort()


@asynccontextmanager
async def smbclient(user: str, password: str, port: int) -> AsyncIterator[bool]:
    """Samba's own client, logged on and waiting for its user to type; False where it is not installed."""
    program = shutil.which("smbclient")
    if program is None:
        yield False
        return
    process = await asyncio.create_subprocess_exec(
        program,
        f"//{HOST}/IPC$",
        f"--port={port}",
        f"--user={user}",
        "--configfile=/dev/null",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PASSWD": password},
    )
    try:
        yield True
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def workstation(number: int) -> str:
    """A loopback address for a workstation of its own; "" where the system has 127.0.0.1 alone."""
    address = f"127.0.0.{number}"
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return ""
    return address


def say(text: str) -> None:
    print(f"\n-- {text}", flush=True)


async def show(shell: Shell, port: int, passwords: dict[str, str]) -> None:
    async with AsyncExitStack() as stack:
        say("People connect: Ann has two pipes open, Bob one; Carol uses smbclient, where it is installed.")
        ann = await stack.enter_async_context(visitor("ann", passwords["ann"], port, workstation(2), opens=2))
        bob = await stack.enter_async_context(visitor("bob", passwords["bob"], port, workstation(3), opens=1))
        carol = await stack.enter_async_context(smbclient("carol", passwords["carol"], port))
        await shell.until_listed(3 if carol else 2)

        say("Who is connected?")
        await shell("session")
        await shell("session", r"\\127.0.0.3" if workstation(3) else "--user=bob")

        say("Bob has to go.")
        if workstation(3):
            await shell("session", r"\\127.0.0.3", "/delete", "/y")
        else:
            await shell("session", "--user=bob", "/delete", "/y")

        say("What do their programs get for the next request?")
        for one in (bob, ann):
            print(f"   {one.user}: {await one.ask()}")

        say("And the table after it:")
        await shell("session")


async def main() -> int:
    passwords = {name: secrets.token_urlsafe(12) for name in ("ann", "bob", "carol")}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lanman-demo-") as folder:
        shell = Shell(Path(folder) / "home")
        say(f"Accounts for a Server of our own, in {folder}; their passwords come from standard input.")
        for name, password in passwords.items():
            if await shell("user", name, "*", "/add", typed=f"{password}\n"):
                return 1
        if await shell("start", "server", "--listen", HOST, "--port", str(port)):
            return 1
        try:
            await show(shell, port, passwords)
        except LanmanError as error:
            print(f"The demo failed: {error.message}", file=sys.stderr)
            return 1
        finally:
            say("That was it.")
            await shell("stop", "server")
    print(
        """
-- What to try next

   lanman session -S SERVER -U USER        the sessions of any SMB server: Windows, Samba, lanman
   lanman file -S SERVER -U USER           who has what open there
   lanman user ann '*' /add                an account for a Server of your own
   lanman start server                     ... and the Server (port 445 takes root; --port 4450 does not)
   lanman help                             everything else

   .venv/bin/lanman is where `make demo` has put the command."""
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
