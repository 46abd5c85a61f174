"""Very many sessions of one server, held by a process of its own: `Crowd`.

    python crowd.py PORT SESSIONS CONNECTIONS FILES SHARE < "user password\n"

logs on so many times on so many connections, each from another loopback address, has so many files of the share open,
as many tree connects to it on a few of the sessions, and says "ready". It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVER = "127.0.0.1"
AT_ONCE = 8  # connections that log on at the same time
FLIGHT = 16  # requests under way on one connection
OPEN_IF, SHARE_ALL, READ_AND_WRITE, NORMAL = 3, 7, 0x12019F, 0x80


class Crowd:
    """The process; use it as a context manager."""

    def __init__(
        self, port: int, account: tuple[str, str], *, sessions: int, connections: int, files: int, share: str
    ) -> None:
        numbers = map(str, (port, sessions, connections, files))
        source = str(Path(__file__).resolve().parent.parent / "src")
        self._process = subprocess.Popen(
            [sys.executable, __file__, *numbers, share],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{account[0]} {account[1]}\n".encode())
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        if (said := self._process.stdout.readline()) != b"ready\n":
            self.__exit__(None, None, None)
            raise SystemExit(f"the crowd did not get in: {said!r}")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


class _Connection(asyncio.Protocol):
    """One connection, on which requests are asked one by one by whoever wants."""

    def __init__(self) -> None:
        from lanman.smb2.client import ClientConnection

        self.core = ClientConnection(client_guid=os.urandom(16), random=os.urandom)
        self.waiting: dict[int, asyncio.Future[Any]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        from lanman.smb2.client import ResponseReceived

        for event in self.core.receive_data(data):
            if isinstance(event, ResponseReceived):
                self.waiting.pop(event.message_id).set_result(event)

    def connection_lost(self, error: Exception | None) -> None:
        for waiter in self.waiting.values():
            waiter.set_exception(ConnectionError("hung up"))

    async def answer(self, number: int) -> Any:
        waiter = self.waiting[number] = asyncio.get_running_loop().create_future()
        self.transport.writelines(self.core.data_to_send())
        return await waiter

    async def ask(self, message: Any, session_id: int = 0, tree_id: int = 0) -> Any:
        return await self.answer(self.core.send(message, session_id=session_id, tree_id=tree_id))

    async def log_on(self, user: str, password: str) -> int:
        from lanman.net.credentials import Credentials
        from lanman.net.initiators import initiator_for
        from lanman.smb2.messages import SessionSetupRequest

        initiator = initiator_for(Credentials(user, password), SERVER)
        session_id, token, more = 0, initiator.step(None), 0xC0000016
        while True:
            answer = await self.ask(SessionSetupRequest(0, 1, 0, 0, token or b"", 0), session_id)
            session_id = answer.header.session_id
            if answer.status not in (0, more):
                raise SystemExit(f"a log-on was refused: {answer.status:#x}")
            token = initiator.step(bytes(answer.message.security_buffer))
            if answer.status == 0:
                break
        self.core.establish_session(session_id, initiator.session_key, final=answer.message_id)
        return session_id


async def _fill(number: int, account: tuple[str, str], port: int, sessions: int, files: int, share: str) -> _Connection:
    """One connection with its sessions; the first of them has the files and tree connects."""
    from lanman.smb2.messages import CreateRequest, TreeConnectRequest

    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((f"127.1.{number // 250}.{1 + number % 250}", 0))
    await loop.sock_connect(sock, (SERVER, port))
    _, connection = await loop.create_connection(_Connection, sock=sock)
    await connection.answer(connection.core.negotiate())
    first = await connection.log_on(*account)
    for _ in range(sessions - 1):
        await connection.log_on(*account)

    async def open_one(at: int) -> None:
        tree = await connection.ask(TreeConnectRequest(flags=0, path=rf"\\{SERVER}\{share}"), first)
        request = CreateRequest(
            impersonation_level=2,
            desired_access=READ_AND_WRITE,
            file_attributes=NORMAL,
            share_access=SHARE_ALL,
            create_disposition=OPEN_IF,
            name=rf"{number}\{at}",
        )
        opened = await connection.ask(request, first, tree.header.tree_id)
        if opened.status:
            raise SystemExit(f"a file was not opened: {opened.status:#x}")

    for begin in range(0, files, FLIGHT):
        await asyncio.gather(*(open_one(at) for at in range(begin, min(files, begin + FLIGHT))))
    return connection


async def _hold(port: int, sessions: int, connections: int, files: int, share: str) -> None:
    user, password = sys.stdin.readline().rstrip("\n").split(" ", 1)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> _Connection:
        async with room:
            return await _fill(number, (user, password), port, sessions // connections, files // connections, share)

    held = await asyncio.gather(*map(one, range(connections)))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for each in held:
        each.transport.abort()


if __name__ == "__main__":
    asyncio.run(_hold(*map(int, sys.argv[1:5]), sys.argv[5]))
