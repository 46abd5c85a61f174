"""A crowd of hostile connections, in a process of its own: see `Crowd`. What each does is told in `hostile_kinds`.

    python hostile_crowd.py PORT ADDRESSES KIND:COUNT...

opens so many connections of each kind to 127.0.0.1:PORT, from that many loopback addresses in turn (127.0.1.1 and on;
one is 127.0.0.1), and prints "ready" when each has got as far as it gets. One that the Server ends, or that hangs up by
itself, comes again after AGAIN seconds. When standard input is closed all of them end, as abruptly as they can, and
what became of them is printed: a JSON object of `Tally`s by kind.

It is one loop over epoll and as few objects as will do: the processor is for the Server.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from support.hostile_kinds import KINDS, Peer, Script

# Seconds after which one that was ended comes again, and after which one that hears nothing counts as settled.
AGAIN: Final = 1.0
PATIENCE: Final = 2.0
# After which "ready" is said whatever happens; the kernel asks again for a connection after 1, 3 and 7 seconds.
LONGEST: Final = 45.0
# How many are on their way to the Server at once, and how often what pours does so, in seconds.
COMING: Final = 1000
TICK: Final = 0.1

_SOURCE_PORT_LATE: Final = 24  # IP_BIND_ADDRESS_NO_PORT: an address may have as many connections as there are ports


@dataclass(slots=True)
class Tally:
    """What became of the connections of one kind: how often one was tried, established, answered, logged on, and ended
    by the Server. `most` is how many of them stood at once."""

    tried: int = 0
    established: int = 0
    answered: int = 0
    logged_on: int = 0
    ended: int = 0
    answers: int = 0
    stand: int = 0
    most: int = 0


class Member:
    """One of the crowd: connects, and again whenever that is over."""

    __slots__ = ("address", "buffer", "kind", "number", "peer", "script", "settled", "sock", "tally", "unsent", "up")

    def __init__(self, number: int, kind: str, address: str, tally: Tally) -> None:
        self.number = number
        self.kind = kind
        self.address = address
        self.tally = tally
        self.settled = False
        self.sock: socket.socket | None = None
        self.peer: Peer
        self.script: Script | None = None
        self.up = False
        self.buffer = b""
        self.unsent = b""


@dataclass(slots=True)
class _Loop:
    port: int
    epoll: select.epoll = field(default_factory=select.epoll)
    members: dict[int, Member] = field(default_factory=dict)
    line: deque[tuple[float, Member]] = field(default_factory=deque)  # who comes, and when
    watched: deque[tuple[float, Member]] = field(default_factory=deque)  # who counts as settled, and when
    coming: int = 0
    unsettled: int = 0

    def settle(self, member: Member) -> None:
        if not member.settled:
            member.settled = True
            self.unsettled -= 1

    # --- coming and going

    def connect(self, member: Member) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, _SOURCE_PORT_LATE, 1)
        member.tally.tried += 1
        try:
            sock.bind((member.address, 0))
            sock.connect(("127.0.0.1", self.port))
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            self.settle(member)
            self.line.append((time.monotonic() + AGAIN, member))
            return
        self.coming += 1
        member.sock, member.up, member.buffer, member.unsent = sock, False, b"", b""
        member.peer = Peer(member.number)
        member.script = KINDS[member.kind](member.peer)
        self.members[sock.fileno()] = member
        self.epoll.register(sock.fileno(), select.EPOLLOUT)

    def established(self, member: Member) -> None:
        assert member.sock is not None
        self.coming -= 1
        if member.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.lost(member, by_server=False)
            return
        member.up = True
        tally = member.tally
        tally.established += 1
        tally.stand += 1
        tally.most = max(tally.most, tally.stand)
        if not member.settled:
            self.watched.append((time.monotonic() + PATIENCE, member))
        self.advance(member, None)

    def lost(self, member: Member, *, by_server: bool) -> None:
        sock = member.sock
        assert sock is not None
        self.epoll.unregister(sock.fileno())
        del self.members[sock.fileno()]
        if member.up:
            member.tally.stand -= 1
            member.tally.ended += by_server
        sock.close()
        member.sock = member.script = None
        self.settle(member)
        self.line.append((time.monotonic() + AGAIN, member))

    # --- what one says and hears

    def advance(self, member: Member, frame: bytes | None) -> None:
        if member.script is not None:
            try:
                next(member.script) if frame is None else member.script.send(frame)
            except StopIteration:
                member.script = None
        self.flush(member)

    def flush(self, member: Member) -> None:
        peer, sock = member.peer, member.sock
        assert sock is not None
        if peer.out:
            member.unsent += b"".join(peer.out)
            peer.out.clear()
        try:
            if member.unsent:
                member.unsent = member.unsent[sock.send(member.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.lost(member, by_server=True)
            return
        if peer.again and not member.unsent and member.script is None:
            self.lost(member, by_server=False)
            return
        wanted = (select.EPOLLIN if peer.reading else 0) | (select.EPOLLOUT if member.unsent else 0)
        self.epoll.modify(sock.fileno(), wanted)

    def heard(self, member: Member) -> None:
        sock = member.sock
        assert sock is not None
        try:
            data = sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lost(member, by_server=True)
            return
        data = member.buffer + data
        at = 0
        while len(data) - at >= 4 and len(data) >= (end := at + 4 + int.from_bytes(data[at : at + 4], "big")):
            self.answered(member, data[at + 4 : end])
            at = end
            if member.sock is not sock:
                return
        member.buffer = data[at:]

    def answered(self, member: Member, frame: bytes) -> None:
        tally, peer = member.tally, member.peer
        tally.answers += 1
        tally.answered += frame[12:14] == b"\0\0" and len(frame) >= 64
        before = peer.logged_on
        if member.script is not None:
            self.advance(member, frame)
        tally.logged_on += peer.logged_on and not before

    def event(self, member: Member, events: int) -> None:
        if not member.up:
            self.established(member)
            return
        sock = member.sock
        if events & select.EPOLLOUT:
            self.flush(member)
        if member.sock is sock and events & select.EPOLLIN:
            self.heard(member)
        elif member.sock is sock and events & (select.EPOLLHUP | select.EPOLLERR):
            self.lost(member, by_server=True)

    # --- time

    def turn(self) -> None:
        for fd, events in self.epoll.poll(TICK):
            if (member := self.members.get(fd)) is not None:
                self.event(member, events)
        now = time.monotonic()
        while self.line and self.line[0][0] <= now and self.coming < COMING:
            self.connect(self.line.popleft()[1])
        while self.watched and self.watched[0][0] <= now:
            self.settle(self.watched.popleft()[1])

    def pour(self) -> None:
        for member in [each for each in self.members.values() if each.up and each.peer.pour and not each.unsent]:
            member.peer.out.append(member.peer.pour)
            self.flush(member)


def addresses(count: int) -> list[str]:
    """So many loopback addresses; a single one is the one that everybody else comes from."""
    return ["127.0.0.1"] if count == 1 else [f"127.0.{1 + each // 250}.{1 + each % 250}" for each in range(count)]


def main(port: int, number: int, wanted: Mapping[str, int]) -> None:
    """The process. The kinds come mixed, as many of each at a time as there are."""
    tallies = {kind: Tally() for kind in wanted}
    places = sorted((place / count, kind) for kind, count in wanted.items() for place in range(count))
    froms = addresses(number)
    loop = _Loop(port)
    for index, (_, kind) in enumerate(places):
        loop.line.append((0.0, Member(index, kind, froms[index % len(froms)], tallies[kind])))
    loop.unsettled = len(places)
    began = poured = time.monotonic()
    os.set_blocking(0, False)
    loop.epoll.register(0, select.EPOLLIN)
    ready = False
    while True:
        loop.turn()
        now = time.monotonic()
        if now - poured >= TICK:
            poured = now
            loop.pour()
            if sys.stdin.buffer.read(1) == b"":
                break
        if not ready and (not loop.unsettled or now - began > LONGEST):
            ready = True
            print("ready", flush=True)
    print(json.dumps({kind: asdict(tally) for kind, tally in tallies.items()}), flush=True)
    os._exit(0)


class Crowd:
    """That process, from its being ready to the end of the context. `tallies`, afterwards, say what became of them."""

    def __init__(self, port: int, kinds: Mapping[str, int], addresses: int) -> None:
        self.tallies: dict[str, Tally] = {}
        self._process = subprocess.Popen(
            [
                "nice",
                "-n",
                "10",
                sys.executable,
                __file__,
                str(port),
                str(addresses),
                *(f"{kind}:{n}" for kind, n in kinds.items()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        output, _ = self._process.communicate(timeout=60)
        self.tallies = {kind: Tally(**tally) for kind, tally in json.loads(output).items()}

    @property
    def in_all(self) -> Tally:
        """All kinds together; `most` is the sum of what each had at once."""
        sums = [sum(getattr(each, name) for each in self.tallies.values()) for name in Tally.__slots__]
        return Tally(*sums)


def memory(process: int) -> tuple[int, int]:
    """A process's resident memory now and at its highest, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = dict(line.split(":") for line in status.splitlines())
    return tuple(int(found[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def threads(process: int) -> int:
    """How many threads a process has."""
    return len(os.listdir(f"/proc/{process}/task"))


def processor_time(process: int) -> float:
    """How many seconds of processor time a process has taken, in all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(process: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{process}/fd"))


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    main(
        int(sys.argv[1]),
        int(sys.argv[2]),
        {kind: int(number) for kind, _, number in (word.rpartition(":") for word in sys.argv[3:])},
    )
