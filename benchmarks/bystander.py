"""How long other people wait: a client in a process of its own that asks ECHO again and again (`Bystander`).

    python bystander.py PORT EVERY < "user password\n"

logs on, says "ready", asks an ECHO every so many seconds, and for each line of its standard input that ends a stretch
of time ("mark") prints what the ECHOs in that stretch took, in seconds, as a JSON list. It ends with its standard
input. What the machine itself makes a process wait is in the figures: so peers are compared in one run.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVER = "127.0.0.1"


class Bystander:
    """The process; use it as a context manager."""

    def __init__(self, port: int, account: tuple[str, str], every: float) -> None:
        source = str(Path(__file__).resolve().parent.parent / "src")
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port), str(every)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        self._say(f"{account[0]} {account[1]}")

    def __enter__(self) -> Self:
        if (said := self._hear()) != "ready":
            raise SystemExit(f"the bystander did not get in: {said!r}")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def took(self) -> list[float]:
        """What each ECHO since the last call took, in seconds."""
        self._say("mark")
        times: list[float] = json.loads(self._hear())
        return times

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def percentile(times: list[float], part: float) -> float:
    """The value below which that part of them lie, in milliseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] * 1000


class Client:
    """One connection on a blocking socket: no event loop of its own adds to what it measures."""

    def __init__(self, port: int) -> None:
        import socket

        from lanman.smb2.client import ClientConnection

        self._core = ClientConnection(client_guid=os.urandom(16), random=os.urandom)
        self._socket = socket.create_connection((SERVER, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer(self._core.negotiate())

    def _answer(self, number: int) -> Any:
        from lanman.smb2.client import ResponseReceived

        self._socket.sendall(b"".join(map(bytes, self._core.data_to_send())))
        while data := self._socket.recv(65536):
            for event in self._core.receive_data(data):
                if isinstance(event, ResponseReceived) and event.message_id == number:
                    return event
        raise SystemExit("the server hung up")

    def ask(self, message: Any, session_id: int = 0, tree_id: int = 0) -> Any:
        """The answer to a request."""
        return self._answer(self._core.send(message, session_id=session_id, tree_id=tree_id))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def log_on(self, user: str, password: str) -> int:
        """Open a session by NTLMv2; its id."""
        from lanman.net.credentials import Credentials
        from lanman.net.initiators import initiator_for
        from lanman.smb2.messages import SessionSetupRequest

        initiator = initiator_for(Credentials(user, password), SERVER)
        session_id, token, status = 0, initiator.step(None), 1
        while status:
            request = SessionSetupRequest(0, 1, 0, 0, token or b"", 0)
            answer = self.ask(request, session_id)
            session_id, status = answer.header.session_id, answer.status
            if status not in (0, 0xC0000016):
                raise SystemExit(f"the log-on was refused: {status:#x}")
            token = initiator.step(bytes(answer.message.security_buffer))
        self._core.establish_session(session_id, initiator.session_key, final=answer.message_id)
        return int(session_id)

    def echo(self) -> float:
        """Seconds that an ECHO takes."""
        from lanman.smb2.messages import EchoRequest

        before = time.perf_counter()
        self._answer(self._core.send(EchoRequest()))
        return time.perf_counter() - before


def _ask(port: int, every: float) -> None:
    client = Client(port)
    client.log_on(*sys.stdin.readline().rstrip("\n").split(" ", 1))
    print("ready", flush=True)
    took: list[float] = []
    due = time.perf_counter()
    while True:
        took.append(client.echo())
        due = max(due + every, time.perf_counter())
        while (left := due - time.perf_counter()) > 0:
            if select.select([sys.stdin], [], [], left)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps(took), flush=True)
                took = []


if __name__ == "__main__":
    _ask(int(sys.argv[1]), float(sys.argv[2]))
