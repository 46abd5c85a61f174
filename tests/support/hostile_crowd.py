"""A crowd of hostile connections, in a process of its own: see `Crowd`.

    python hostile.py PORT KIND COUNT ADDRESSES

opens COUNT connections to 127.0.0.1:PORT from that many loopback addresses (127.0.1.1 and on; one is 127.0.0.1) and
prints "ready" when each has got as far as it gets. One that the Server ends comes again. When standard input is closed
all of them end.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lanman.auth.initiator import AnonymousInitiator
from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
from lanman.smb2.client import ClientConnection, ResponseReceived
from lanman.smb2.messages import EchoRequest, SessionSetupRequest

KINDS: Final = ("connected", "negotiated", "half a log-on", "half a frame", "null session", "never reading")

# Seconds after which one that was ended comes again, and after which one that hears nothing counts as settled.
AGAIN: Final = 1.0
PATIENCE: Final = 2.0


def addresses(count: int) -> list[str]:
    return [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(count)]


class Hostile(asyncio.Protocol):
    """One connection. It goes as far as its kind says, and stays there."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.settled = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self.core = ClientConnection(client_guid=os.urandom(16), random=os.urandom)
        self.initiator = (
            AnonymousInitiator()
            if kind in ("null session", "never reading")
            else initiator_for(Credentials("ann", "wrong"), "server")
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.kind == "connected":
            self._settle()
        else:
            self.core.negotiate()
            self._send()

    def data_received(self, data: bytes) -> None:
        for event in self.core.receive_data(data):
            if isinstance(event, ResponseReceived):
                self._answered(event)

    def _answered(self, event: ResponseReceived) -> None:
        if self.kind == "negotiated":
            return self._settle()
        if self.kind == "half a frame":
            self.transport.write((60_000).to_bytes(4, "big") + b"\xfeSMB" + bytes(30_000))
            return self._settle()
        if isinstance(event.message, EchoRequest) or event.header.command not in (0, 1):
            return None
        token = getattr(event.message, "security_buffer", None)
        if event.header.command == 1 and (event.status != 0xC0000016 or self.kind == "half a log-on"):
            if self.kind == "never reading" and event.status == 0:
                self._flood()
            return self._settle()
        first = event.header.command == 0
        step = self.initiator.step(None if first else bytes(token or b""))
        self.core.send(
            SessionSetupRequest(0, 1, 0, 0, step or b"", 0), session_id=0 if first else event.header.session_id
        )
        return self._send()

    def _flood(self) -> None:
        """Ask for as much as credits allow, and read nothing of it."""
        self.transport.pause_reading()
        for _ in range(16):
            self.core.send(EchoRequest())
        self._send()

    def _send(self) -> None:
        self.transport.writelines(self.core.data_to_send())

    def _settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._settle()
        if not self.lost.done():
            self.lost.set_result(None)


async def attend(kind: str, port: int, address: str, first: asyncio.Event) -> None:
    """One member of the crowd: connect, and again whenever that is ended."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((address, 0))
            await asyncio.wait_for(loop.sock_connect(sock, ("127.0.0.1", port)), 20)
            transport, protocol = await loop.create_connection(lambda: Hostile(kind), sock=sock)
        except (OSError, TimeoutError):
            sock.close()
            first.set()
            await asyncio.sleep(AGAIN)
            continue
        try:
            await asyncio.wait([protocol.settled], timeout=PATIENCE)
            first.set()
            await protocol.lost
        finally:
            transport.abort()
        await asyncio.sleep(AGAIN)


async def main(port: int, kind: str, count: int, number: int) -> None:
    froms = addresses(number) if number > 1 else ["127.0.0.1"]
    async with asyncio.TaskGroup() as group:
        firsts = [asyncio.Event() for _ in range(count)]
        for index, first in enumerate(firsts):
            group.create_task(attend(kind, port, froms[index % len(froms)], first))
        await asyncio.gather(*(first.wait() for first in firsts))
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)  # as abruptly as they can end


class Crowd:
    """That process, from its being ready to the end of the context."""

    def __init__(self, port: int, kind: str, count: int, addresses: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port), kind, str(count), str(addresses)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)


def memory(process: int) -> tuple[int, int]:
    """A process's resident memory now and at its highest, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = dict(line.split(":") for line in status.splitlines())
    return tuple(int(found[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def descriptors(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def say(**figures: object) -> None:
    """Add figures to the file that LANMAN_FIGURES names, one JSON object a line."""
    if path := os.environ.get("LANMAN_FIGURES"):
        with open(path, "a") as file:
            print(json.dumps(figures), file=file)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
