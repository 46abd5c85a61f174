"""Hostile connections by the thousand, and honest people among them (tests/support/hostile_crowd.py).

While a crowd is there, smbclient logs on, puts a file, gets it back and compares, again and again; an administrator
lists sessions; another client's ECHO is measured. The Server's descriptors, threads and memory stay within what its
limits say (`most_memory`). When the crowd has gone, nothing is left of it: no descriptor, session, open file or lock;
and the same crowd again takes no more memory than before.

`make test` has some of each kind. `make long` has ten thousand, with the limits as they come and with limits that let
all of them in, and a Server with few descriptors. Times are measured and not asserted: LANMAN_FIGURES=FILE collects
them.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lanman.manage import open_manager
from lanman.net.accounts import AccountFile
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.settings import Limits
from lanman.smb2.messages import EchoRequest
from support.hostile_crowd import Crowd, Tally, descriptors, memory, processor_time, threads
from support.hostile_kinds import BIG, FOLDER, INSIDERS, SHARE, STRANGERS, USER
from support.measured import say
from support.passwords import PASSWORD
from support.process_server import LANMAN
from support.smbd import Account, Tools
from support.waiting import wait_until

pytestmark = [
    pytest.mark.samba("smbclient"),
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are all of 127.0.0.0/8 this machine's"),
]

ANN = Account("ann", "Secret-1")
TRIES = 5
ADMIN = Credentials("root1", "Admin-1")

# For all that would come in.
WIDE = Limits(
    connections=16384,
    unauthenticated=12000,
    unauthenticated_per_address=12000,
    anonymous=12000,
)
LIMITS = ("connections", "unauthenticated", "unauthenticated_per_address", "anonymous")


def most_memory(limits: Limits, opens: int) -> int:
    """MiB that a Server may take whatever its peers do, by what docs/security.md promises: itself (50); a stranger's
    frame (68 KiB) for each place; a connection with a session 16 KiB; an open file with its lease 4 KiB; answers
    (64 MiB, and as much in the event loop's buffers); pipes (32); kept changes (16); half a million locks (64)."""
    strangers = limits.unauthenticated * 68 // 1024
    return 50 + strangers + limits.connections * 16 // 1024 + opens * 4 // 1024 + 128 + 32 + 16 + 64


class Served:
    """A Server in a process of its own: a share with a file to get, a large one, and a folder of long names."""

    def __init__(self, folder: Path, limits: Limits | None = None, *, most_descriptors: int = 0) -> None:
        self.limits = limits or Limits()
        self.data = folder / "data"
        (self.data / FOLDER).mkdir(parents=True)
        for number in range(200):
            (self.data / FOLDER / f"{number:03}{'a' * 200}{'.b' * 10}").touch()
        os.truncate(os.open(self.data / BIG, os.O_CREAT | os.O_RDWR), 32 << 20)
        home = folder / "home"
        home.mkdir(mode=0o700)
        AccountFile(home / "accounts").update(_people)
        (home / "server.toml").write_text(
            '[server]\nlisten = ["127.0.0.1"]\nport = 0\ndurable_timeout = 2\n'
            f'[shares.{SHARE}]\npath = "{self.data}"\n'
            "[limits]\n" + "".join(f"{name} = {getattr(self.limits, name)}\n" for name in LIMITS)
        )
        self.log = folder / "log"
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most_descriptors = most_descriptors or min(hard, 65536)
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", f'ulimit -n {self.most_descriptors}; exec "$0" "$@"', LANMAN, "--home", home, "serve"],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.process = self._process.pid
        wait_until(lambda: "listening" in self.log.read_text() or self._process.poll() is not None)
        found = re.search(r" port (\d+)", self.log.read_text())
        assert found is not None, self.log.read_text()
        self.port = int(found[1])
        self.first = descriptors(self.process)

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def check_bounds(self) -> None:
        """What its peers may take of it, they have not taken more of."""
        assert descriptors(self.process) <= min(
            self.limits.connections + self.most_descriptors // 2 + 64, self.most_descriptors
        )
        assert threads(self.process) <= 40
        assert memory(self.process)[1] <= most_memory(self.limits, self.most_descriptors // 2)


def _people(accounts: object) -> None:
    for name, password in ((ANN.user_name, ANN.password), (USER, PASSWORD), (ADMIN.user_name, ADMIN.password)):
        accounts.add(name, password)  # type: ignore[attr-defined]
    accounts.add_member("Administrators", ADMIN.user_name)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.close()


# Whoever guesses at somebody's password from that one's own address makes them wait in the same line, as is promised.
FROM_ONE = {kind: script for kind, script in STRANGERS.items() if kind != "wrong passwords"}


def each(kinds: Mapping[str, object], count: int) -> dict[str, int]:
    """So many of each kind."""
    return dict.fromkeys(kinds, count)


class Honest:
    """What honest people do among a crowd, until it is over; what they got and how long it took."""

    def __init__(self, served: Served, tools: Tools, folder: Path) -> None:
        self.served, self.tools, self.folder = served, tools, folder
        self.over = asyncio.Event()
        self.echoes: list[float] = []
        self.lists: list[float] = []
        self.visits: list[float] = []
        self.turned_away = 0  # how often smbclient had to be started again, as people do

    async def __aenter__(self) -> Honest:
        port = self.served.port
        credentials = Credentials(ANN.user_name, ANN.password)
        self._stack = AsyncExitStack()
        client = SmbClient("127.0.0.1", port, credentials, local_address="127.0.0.2")
        self._client = await self._stack.enter_async_context(client)
        self._manager = await self._stack.enter_async_context(open_manager("127.0.0.1", ADMIN, port=port, timeout=60))
        self._tasks = [asyncio.create_task(self._echo()), asyncio.create_task(self._list())]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.over.set()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            await self._stack.aclose()

    async def _echo(self) -> None:
        """An ECHO every 20 ms."""
        while not self.over.is_set():
            before = time.perf_counter()
            await self._client._ask(EchoRequest())
            self.echoes.append(time.perf_counter() - before)
            await asyncio.sleep(0.02)

    async def _list(self) -> None:
        """An administrator's list of sessions: the other honest one is in it each time."""
        while not self.over.is_set():
            before = time.perf_counter()
            users = [session.user_name for session in await self._manager.sessions()]
            self.lists.append(time.perf_counter() - before)
            assert ANN.user_name in users
            await asyncio.sleep(0.2)

    async def visit(self, number: int) -> None:
        """smbclient logs on, puts a file, gets it back, and it is the same."""
        content, back = self.folder / "content", self.folder / "back"
        content.write_bytes(os.urandom(200_000))
        back.unlink(missing_ok=True)
        before = time.perf_counter()
        command = f"put {content} honest-{number}; get honest-{number} {back}; del honest-{number}"
        said = ""
        for _ in range(TRIES):
            said = await asyncio.to_thread(self.tools.smbclient, ANN, command, SHARE)
            if back.exists():
                break
            self.turned_away += 1
        self.visits.append(time.perf_counter() - before)
        assert back.exists(), said
        assert back.read_bytes() == content.read_bytes()

    def figures(self) -> dict[str, object]:
        """Milliseconds and seconds."""
        echoes = sorted(self.echoes)

        def at(part: float) -> float:
            return round(echoes[min(len(echoes) - 1, int(len(echoes) * part))] * 1000, 1)

        return {
            "echo_median_ms": at(0.5),
            "echo_p99_ms": at(0.99),
            "echo_most_ms": at(1),
            "visit_seconds": round(sum(self.visits) / len(self.visits), 2),
            "visit_most_seconds": round(max(self.visits), 2),
            "turned_away": self.turned_away,
            "list_most_seconds": round(max(self.lists), 2),
        }


async def what_is_left(served: Served) -> tuple[int, int]:
    """How many sessions of the crowd there are, and how many files are open."""
    async with open_manager("127.0.0.1", ADMIN, port=served.port, timeout=60) as manager:
        theirs = [session for session in await manager.sessions() if session.user_name in (USER, "")]
        files = [file for file in await manager.files() if "srvsvc" not in (file.path or "")]
    return len(theirs), len(files)


async def endure(
    served: Served, tools: Tools, folder: Path, kinds: Mapping[str, int], addresses: int, *, visits: int = 2
) -> Tally:
    """A crowd, from its coming to what is left of it."""
    crowd = Crowd(served.port, kinds, addresses)
    spent, began = processor_time(served.process), time.perf_counter()
    async with Honest(served, tools, folder) as honest:
        try:
            coming = asyncio.create_task(asyncio.to_thread(crowd.__enter__))
            await honest.visit(0)  # while they come
            await coming
            for number in range(visits):
                await honest.visit(number)
                served.check_bounds()
            during, most = memory(served.process)
            taken = descriptors(served.process)
            spent, began = processor_time(served.process) - spent, time.perf_counter() - began
        finally:
            await asyncio.to_thread(crowd.__exit__, None, None, None)
    await asyncio.to_thread(wait_until, lambda: descriptors(served.process) <= served.first)
    assert await what_is_left(served) == (0, 0)
    log = served.log.read_text(errors="replace")
    assert "Traceback" not in log
    say(
        kinds=next(iter(kinds)) if len(kinds) == 1 else f"{len(kinds)} kinds",
        addresses=addresses,
        **{name: getattr(crowd.in_all, name) for name in Tally.__slots__},
        **honest.figures(),
        descriptors=taken,
        memory_during=during,
        memory_most=most,
        memory_bound=most_memory(served.limits, served.most_descriptors // 2),
        memory_after=memory(served.process)[0],
        processor_part=round(spent / began, 2),
        log_bytes=len(log),
        log_lines=log.count("\n"),
    )
    return crowd.in_all


@pytest.mark.parametrize(
    ("kinds", "addresses"),
    [(each(STRANGERS, 20), 16), (each(FROM_ONE, 8), 1), (each(INSIDERS, 6), 16)],
    ids=["strangers", "strangers from the honest client's own address", "insiders"],
)
async def test_honest_people_are_served_and_nothing_is_left(
    served: Served, samba_tools: Callable[..., Tools], tmp_path: Path, kinds: dict[str, int], addresses: int
) -> None:
    tally = await endure(served, samba_tools(served.port), tmp_path, kinds, addresses)
    assert tally.established >= sum(kinds.values())
    assert (tally.logged_on > 0) == ("handles" in kinds)


async def test_with_few_descriptors_it_says_so_once_and_waits_without_work(
    tmp_path: Path, samba_tools: Callable[..., Tools]
) -> None:
    served = Served(tmp_path, most_descriptors=256)
    tools = samba_tools(served.port)
    try:
        await asyncio.to_thread(tools.smbclient, ANN, "ls", SHARE)
        # One user leaves a fifth to others, and strangers give way: it takes null sessions to have no place left.
        with Crowd(served.port, {"idle": 150, "null session": 150}, 16) as crowd:
            await asyncio.to_thread(wait_until, lambda: "accepting pauses" in served.log.read_text())
            served.check_bounds()
            before = processor_time(served.process)
            await asyncio.sleep(1)  # what it does meanwhile is what is asked for
            spent = processor_time(served.process) - before
        assert crowd.in_all.logged_on > 0
        assert crowd.tallies["idle"].logged_on < 150, crowd.tallies  # each of them once, were there room
        assert spent < 0.5  # a loop over a full table of descriptors would take all of it
        said = re.findall(r"accepting pauses.*", served.log.read_text())
        assert 1 <= len(said) <= 2
        await asyncio.to_thread(wait_until, lambda: descriptors(served.process) <= served.first)
        assert "blocks available" in await asyncio.to_thread(tools.smbclient, ANN, "ls", SHARE)
    finally:
        served.close()


# --- ten thousand


async def three_waves(served: Served, tools: Tools, folder: Path, kinds: dict[str, int], addresses: int) -> None:
    """The same crowd again and again: the third takes no more memory than those before it. How much one takes depends
    on how many of its requests the machine lets the Server come to, so that one wave alone says nothing of the next."""
    taken = []
    for visits in (2, 2, 1):
        await endure(served, tools, folder, kinds, addresses, visits=visits)
        taken.append(memory(served.process))
    for before in (0, 1):
        assert taken[2][before] <= max(taken[0][before], taken[1][before]) * 1.2 + 10


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("wide", [False, True], ids=["limits as they come", "limits for all"])
async def test_ten_thousand_of_all_kinds(tmp_path: Path, samba_tools: Callable[..., Tools], wide: bool) -> None:
    kinds = each(INSIDERS, 8) | each(STRANGERS, 770)
    served = Served(tmp_path, WIDE if wide else None)
    try:
        await three_waves(served, samba_tools(served.port), tmp_path, kinds, 1000)
    finally:
        served.close()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["connected", "half a log-on", "oversized", "null session", "wrong passwords"])
async def test_ten_thousand_of_one_kind(tmp_path: Path, samba_tools: Callable[..., Tools], kind: str) -> None:
    served = Served(tmp_path)
    try:
        await endure(served, samba_tools(served.port), tmp_path, {kind: 10_000}, 1000)
    finally:
        served.close()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("most_descriptors", [256, 1024])
async def test_with_few_descriptors_it_is_the_same(
    tmp_path: Path, samba_tools: Callable[..., Tools], most_descriptors: int
) -> None:
    served = Served(tmp_path, most_descriptors=most_descriptors)
    try:
        await endure(served, samba_tools(served.port), tmp_path, each(STRANGERS, 200), 250)
    finally:
        served.close()
    assert os.path.getsize(served.log) < 500_000


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_behind_the_address_of_a_thousand_one_waits_in_line(
    tmp_path: Path, samba_tools: Callable[..., Tools]
) -> None:
    served = Served(tmp_path)
    try:
        await endure(served, samba_tools(served.port), tmp_path, each(FROM_ONE, 100), 1)
    finally:
        served.close()
