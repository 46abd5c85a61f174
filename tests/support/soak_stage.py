"""`lanman serve` as a process, people who come, work and leave in every way, and the truth of what they hold.

Everything is bounded: the people, what they keep open, the size of files, the time of each wait. All is on 127.0.0.0/8
in a home of its own.

What is left is told by name (`Held`): descriptors by what they lead to, tasks and threads by what they run, children
by their command, files of the home and of the folder for temporary ones by their path, what is taken of what users
share by its kind (`Manager.portions`), and what is in the Server's tables by the class that has each (`of_server`).

Nothing here counts on a quick machine. Each wait has PATIENCE, those for commands and questions included; where one is
in vain it is said how long this program stood still itself meanwhile (`stood_still`). Whether the Server holds its
event loop is told by the processor time of its longest turn (MOST_TURN), to which a machine that stands still adds
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lanman.codes import ntstatus_name
from lanman.errors import LanmanError
from lanman.manage.open import open_manager
from lanman.net.accounts import AccountFile
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrSessionDel
from lanman.smb2.constants import FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_OPEN
from lanman.smb2.messages import CloseRequest, CreateRequest, ReadRequest, WriteRequest
from support.passwords import PASSWORD
from support.soak_held import Held, Memory, anonymous, of_process
from support.waiting import free_port

USERS: Final = ("ann", "bob", "carol")
FILES: Final = tuple(f"report{number}.txt" for number in range(6))
LANMAN: Final = [sys.executable, "-c", "import sys; from lanman.__main__ import main; sys.exit(main())"]
PATIENCE: Final = 60.0
# How many KiB of the Server's memory come and go.
MOST_NOISE: Final = 768.0
# How many seconds of its processor's time one turn of the Server's event loop may take.
MOST_TURN: Final = 2.0
# Bytes of the recorder's database for each session or file that it can have seen, besides what an empty one takes.
MOST_RECORDED: Final = 1500
EMPTY_RECORD: Final = 1 << 20

# `lanman serve`, which says on SIGUSR1 what runs in it, what is in its tables, and how long the longest turn of its
# event loop was, in seconds of processor time.
SERVE: Final = """
import asyncio, gc, json, os, signal, sys, threading, time
from lanman.__main__ import main
from lanman.net.server import SmbServer
sys.path.append(os.environ["SOAK_SUPPORT"])
from support.soak_held import of_server
turn, longest = asyncio.BaseEventLoop._run_once, [0.0]
def measured(loop):
    begun = time.thread_time()
    try:
        turn(loop)
    finally:
        longest[0] = max(longest[0], time.thread_time() - begun)
asyncio.BaseEventLoop._run_once = measured
def say(number, frame):
    loop = asyncio._get_running_loop()
    tasks = [] if loop is None else asyncio.all_tasks(loop)
    told = {
        "turn": longest[0],
        "tasks": [each.get_coro().__qualname__ for each in tasks],
        "threads": [each.name for each in threading.enumerate()],
        "server": of_server(*[each for each in gc.get_objects() if isinstance(each, SmbServer)]),
    }
    with open(os.environ["SOAK_SAYS"] + ".new", "w") as file:
        json.dump(told, file)
    os.replace(os.environ["SOAK_SAYS"] + ".new", os.environ["SOAK_SAYS"])
signal.signal(signal.SIGUSR1, say)
sys.exit(main())
"""

CONFIGURATION: Final = """[server]
name = "SOAK"
listen = ["127.0.0.1"]
port = {port}
autodisconnect = {idle}
[limits]
connections = {connections}
[metrics]
listen = "127.0.0.1:{metrics}"
[shares.data]
path = "{folder}/data"
"""
SECOND_SHARE: Final = """[shares.second]
path = "{folder}/second"
"""


@dataclass(eq=False)
class Person:
    """Somebody with an address of their own, who has a session or none."""

    address: str
    user: str
    client: SmbClient | None = None
    tree: int = 0
    opens: list[tuple[str, bytes]] = field(default_factory=list)


class Stage:
    """See above. `run` is all of it; each further method is a step."""

    def __init__(self, folder: Path, people: int, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.port, self.metrics = free_port(), free_port()
        self.home = folder / "home"
        self.people = [Person(f"127.0.1.{number + 1}", USERS[number % len(USERS)]) for number in range(people)]
        self.churns = 0
        self.copied = 0
        self.endings: Counter[str] = Counter()
        self.memory = Memory(MOST_NOISE)
        self.events = 0
        self.settings = {"idle": 15, "connections": 200, "second": False}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")} | {
            "LANMAN_HOME": str(self.home),
            "LANMAN_PASSWORD": PASSWORD,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "SOAK_SAYS": str(folder / "says"),
            "SOAK_SUPPORT": str(Path(__file__).parent.parent),
            "TMPDIR": str(folder / "tmp"),
        }
        self.stood_still = 0.0  # for how many seconds at most this program was not given its turn
        self.turn = 0.0  # the longest of the Server's, in seconds of processor time

    # --- the processes

    @contextlib.asynccontextmanager
    async def played(self) -> AsyncIterator[None]:
        """The Server, the watcher and the recorder, from their start to their end."""
        for name in ("data", "second", "config", "home", "tmp"):
            (self.folder / name).mkdir(mode=0o700)
        for name in FILES:
            (self.folder / "data" / name).write_text(name * 1000)
        self.configure()
        accounts = AccountFile(self.home / "accounts")
        for name in (*USERS, "admin"):
            accounts.update(lambda accounts, name=name: accounts.add(name, PASSWORD))  # type: ignore[misc]
        accounts.update(lambda accounts: accounts.add_member("Administrators", "admin"))
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(asyncio.create_task(self.beat()).cancel)
            self.server = await self.started(stack, [sys.executable, "-c", SERVE, "serve"], {})
            await self.waited(self.answers, "the Server does not answer")
            self.watching = await self.started(stack, [*LANMAN, "watch", "--json"], {"stdout": subprocess.PIPE})
            stack.callback(asyncio.create_task(self.read_events()).cancel)
            recorder = [*LANMAN, "history", "record", "--every", "1s", "--keep", "1d"]
            self.recording = await self.started(stack, recorder, {})
            yield

    async def started(self, stack: contextlib.AsyncExitStack, words: list[str], how: dict[str, Any]) -> Any:
        """A process, which is ended last."""
        log = (self.folder / "log").open("ab")
        stack.callback(log.close)
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": log, **how}
        process = await asyncio.create_subprocess_exec(*words, env=self.environment, limit=1 << 24, **how)
        stack.push_async_callback(self.ended, process)
        return process

    async def ended(self, process: Any) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"{process} did not end") from None

    async def read_events(self) -> None:
        """Count what the watcher tells: JSON, a line each."""
        while line := await self.watching.stdout.readline():
            json.loads(line)
            self.events += 1

    async def beat(self) -> None:
        """Find out whether this program is given its turns: where it is not, no answer in time says nothing of the
        Server."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.25)
            self.stood_still = max(self.stood_still, time.monotonic() - begun - 0.25)

    async def waited(self, condition: Any, what: str) -> None:
        """Until something holds."""
        end = time.monotonic() + PATIENCE
        while (wrong := await condition()) is not None:
            assert time.monotonic() < end, f"{what}: {wrong} (this program stood still for {self.stood_still:.1f} s)"
            assert self.server.returncode is None, f"the Server has ended: {self.log()}"
            await asyncio.sleep(0.05)

    def control(self) -> Any:
        """A Manager over the control socket."""
        return open_manager(home=self.home, timeout=PATIENCE)

    def over_smb(self) -> Any:
        """A Manager over SMB, as the administrator."""
        who = Credentials("admin", PASSWORD)
        return open_manager("127.0.0.1", who, port=self.port, timeout=PATIENCE)

    async def answers(self) -> str | None:
        try:
            async with self.control() as manager:
                await manager.statistics()
        except LanmanError as error:
            return str(error)
        return None

    def log(self) -> str:
        """The end of what all have written."""
        return (self.folder / "log").read_text()[-2000:]

    def configure(self) -> None:
        """Write server.toml."""
        text = CONFIGURATION + (SECOND_SHARE if self.settings["second"] else "")
        values = {"folder": self.folder, "port": self.port, "metrics": self.metrics, **self.settings}
        (self.home / "server.toml").write_text(text.format(**values))

    # --- what people do

    async def act(self, person: Person) -> None:
        """One thing. Whoever was ended by the administrator notices, and has no session any more."""
        try:
            if person.client is None:
                await self.come(person)
            else:
                deeds = (self.copy, self.open, self.close, self.log_off, self.hang_up, self.gone_at_once)
                (deed,) = self.dice.choices(deeds, (2, 4, 2, 2, 1, 1))
                await deed(person)
        except LanmanError as error:
            self.endings[f"refused: {error}"] += 1
            await self.forget(person)

    async def come(self, person: Person) -> None:
        """A new connection, and a session on it."""
        who = Credentials(person.user, PASSWORD)
        person.client = SmbClient("127.0.0.1", self.port, who, local_address=person.address)
        await person.client.connect()
        await person.client.log_on()
        self.churns += 1
        person.tree = await person.client.tree_connect("data")

    async def asked(self, person: Person, message: Any) -> Any:
        """The answer, which has to be a success."""
        assert person.client is not None
        (answer,) = await person.client.request_all([message], person.tree)
        if answer.status:
            raise LanmanError(f"{type(message).__name__} {ntstatus_name(answer.status)}")
        return answer.message

    async def copy(self, person: Person) -> None:
        """A file of its own is written, read and compared, and is gone when it is closed."""
        data = self.dice.randbytes(self.dice.randrange(1, 60_000))
        name = f"copy of {person.address}"
        asked = create(name, FILE_CREATE, access=0x001F01FF, options=0x40 | FILE_DELETE_ON_CLOSE)
        file_id = bytes((await self.asked(person, asked)).file_id)
        await self.asked(person, WriteRequest(data, file_id=file_id))
        back = bytes((await self.asked(person, ReadRequest(length=len(data), file_id=file_id))).data)
        assert back == data, f"{name}: {len(back)} bytes came back otherwise"
        await self.asked(person, CloseRequest(0, file_id))
        self.copied += 1

    async def open(self, person: Person) -> None:
        """A file that stays open."""
        if len(person.opens) < 20:
            name = self.dice.choice(FILES)
            person.opens.append((name, bytes((await self.asked(person, create(name))).file_id)))

    async def close(self, person: Person) -> None:
        """One of the files."""
        if person.opens:
            await self.asked(person, CloseRequest(0, person.opens.pop()[1]))

    async def log_off(self, person: Person) -> None:
        """As it should be."""
        assert person.client is not None
        await person.client.close()
        await self.forget(person, "log-off")

    async def hang_up(self, person: Person) -> None:
        """A FIN, without a log-off."""
        await self.forget(person, "FIN")

    async def gone_at_once(self, person: Person) -> None:
        """A RST."""
        assert person.client is not None
        protocol = person.client._protocol
        assert protocol is not None
        assert protocol._transport is not None
        made = protocol._transport.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.forget(person, "RST")

    async def forget(self, person: Person, how: str = "") -> None:
        """There is no session of theirs."""
        client, person.client, person.opens = person.client, None, []
        if client is not None:
            await client.abort()
        if how:
            self.endings[how] += 1

    # --- what the administrator does, and strangers

    async def end_by_rpc(self) -> None:
        """NetrSessionDel of somebody's session."""
        if present := [each for each in self.people if each.client is not None]:
            person = self.dice.choice(present)
            async with self.over_smb() as manager:
                answer = await manager.call(NetrSessionDel(None, rf"\\{person.address}", person.user))
            assert answer.status == 0, answer
            await self.forget(person, "NetrSessionDel")

    async def end_by_command(self) -> None:
        """`lanman session --delete`, of this machine's Server."""
        if present := [each for each in self.people if each.client is not None]:
            person = self.dice.choice(present)
            await self.lanman("session", rf"\\{person.address}", "--delete", "--yes")
            await self.forget(person, "session --delete")

    async def lanman(self, *words: str) -> str:
        """Run the command; it has to succeed."""
        pipe = subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *LANMAN,
            *words,
            "--timeout",
            f"{PATIENCE:g}",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        out, err = await asyncio.wait_for(process.communicate(), 3 * PATIENCE)
        assert process.returncode == 0, (
            f"lanman {' '.join(words)}: {process.returncode} {err.decode()} "
            f"(this program stood still for {self.stood_still:.1f} s)"
        )
        return out.decode()

    async def reconfigure(self) -> None:
        """Other settings, which are read."""
        self.settings["idle"] = self.dice.choice((10, 15, 20))
        self.settings["connections"] = self.dice.choice((150, 200, 250))
        self.settings["second"] = not self.settings["second"]
        self.configure()
        self.server.send_signal(signal.SIGHUP)
        await self.waited(self.is_configured, "the settings are not in force")

    async def is_configured(self) -> str | None:
        async with self.control() as manager:
            names = {share.netname for share in await manager.shares()}
        return None if ("second" in names) is self.settings["second"] else f"shares {names}"

    async def accounts_change(self) -> None:
        """Somebody is added, logs on, is removed, and may not any more."""
        accounts = AccountFile(self.home / "accounts")
        who = Credentials("temp", PASSWORD)
        accounts.update(lambda accounts: accounts.add("temp", PASSWORD))
        async with SmbClient("127.0.0.1", self.port, who, local_address="127.0.2.1"):
            self.churns += 1
        accounts.update(lambda accounts: accounts.delete("temp"))
        try:
            async with SmbClient("127.0.0.1", self.port, who, local_address="127.0.2.1"):
                raise AssertionError("an account that is removed can log on")
        except LanmanError:
            self.endings["refused: removed"] += 1

    async def pause(self) -> None:
        """While it is paused nobody new gets in."""
        await self.lanman("pause", "server")
        try:
            who = Credentials("ann", PASSWORD)
            async with SmbClient("127.0.0.1", self.port, who, local_address="127.0.2.2"):
                raise AssertionError("it is paused, and somebody got in")
        except LanmanError:
            self.endings["refused: paused"] += 1
        finally:
            await self.lanman("continue", "server")

    async def smbclient(self) -> None:
        """Samba's client copies a file, which is compared; a second one is killed in the middle."""
        if (program := shutil.which("smbclient")) is None:
            return
        where = [program, f"-p{self.port}", "-Uann%" + PASSWORD, "//127.0.0.1/data", "-c"]
        to = self.folder / "from smbclient"
        for command, killed in ((f'get {FILES[0]} "{to}"', False), (f'get {FILES[1]} "{to}.2"; sleep 100', True)):
            nowhere = subprocess.DEVNULL
            process = await asyncio.create_subprocess_exec(*where, command, stdout=nowhere, stderr=nowhere)
            if killed:
                await asyncio.sleep(self.dice.random() / 3)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait_for(process.wait(), PATIENCE)
            self.churns += 1
            self.endings["smbclient killed" if killed else "smbclient"] += 1
        assert to.read_text() == FILES[0] * 1000, "smbclient got something else"

    async def impacket(self) -> None:
        """impacket puts a file and gets it back, and hangs up or logs off."""
        try:
            from impacket.smbconnection import SMBConnection
        except ImportError:
            return
        data, polite = self.dice.randbytes(5000), self.dice.random() < 0.5

        def visit() -> bytes:
            connection = SMBConnection("127.0.0.1", "127.0.0.1", sess_port=self.port, timeout=60)
            try:
                connection.login("bob", PASSWORD)
                pieces = iter([data, b""])
                connection.putFile("data", "by impacket", lambda size: next(pieces))
                found: list[bytes] = []
                connection.getFile("data", "by impacket", found.append)
                connection.deleteFile("data", "by impacket")
                if polite:
                    connection.logoff()
                return b"".join(found)
            finally:
                connection.close()

        assert await asyncio.to_thread(visit) == data, "impacket got something else"
        self.churns += 1
        self.endings["impacket"] += 1

    # --- the truth

    async def check(self) -> None:
        """Everybody stands still; what the Server says has to be what they hold."""
        await self.waited(self.is_true, "a list is not what people hold")
        self.memory.add(self.churns, anonymous(self.server.pid))
        for process, name in ((self.watching, "watch"), (self.recording, "history record")):
            assert process.returncode is None, f"lanman {name} has ended: {self.log()}"

    async def is_true(self) -> str | None:
        """None, or which list is otherwise. Those who were ended notice that when they do something."""
        held: Counter[Any] = Counter(
            (rf"\\{each.address}", each.user, len(each.opens)) for each in self.people if each.client
        )
        paths: Counter[Any] = Counter((name, each.user) for each in self.people for name, _ in each.opens)
        for where, over in (("NetrSessionEnum", self.over_smb), ("the control socket", self.control)):
            async with over() as manager:
                listed = [each for each in await manager.sessions() if each.user_name != "admin"]
                found: Counter[Any] = Counter((each.client_name, each.user_name, each.num_opens) for each in listed)
                if found != held:
                    return f"{where}: {found - held} too many, {held - found} missing"
                files = [each for each in await manager.files() if each.path and each.path.endswith(".txt")]
                names: Counter[Any] = Counter(
                    (str(each.path).replace("\\", "/").rpartition("/")[2], each.user_name) for each in files
                )
                if names != paths:
                    return f"files by {where}: {names - paths} too many, {paths - names} missing"
        return await self.is_told(len(held.keys() and list(held.elements())))

    async def is_told(self, sessions: int) -> str | None:
        """What the exporter has of the sessions. It looks every few seconds, so that the figure may be late."""
        address = f"http://127.0.0.1:{self.metrics}/metrics"
        text = (await asyncio.to_thread(urllib.request.urlopen, address, timeout=PATIENCE)).read().decode()
        told = [line for line in text.splitlines() if line.startswith("lanman_sessions{")]
        if not told:
            return f"no sessions in {text[:300]}"
        count = sum(float(line.rpartition(" ")[2]) for line in told)
        return None if count == sessions else f"the exporter tells {count:g} sessions, not {sessions}"

    async def held(self) -> Held:
        """What the process holds now."""
        pid = self.server.pid
        async with self.control() as manager:
            portions = await manager.portions()
        (self.folder / "says").unlink(missing_ok=True)
        self.server.send_signal(signal.SIGUSR1)
        await self.waited(self.has_said, "the Server does not say what runs in it")
        said = json.loads((self.folder / "says").read_text())
        self.turn = said["turn"]
        assert self.turn <= MOST_TURN, f"the Server's event loop was held for {self.turn:.1f} s of processor time"
        return Held(
            {kind: Counter(names) for kind, names in said["server"].items()}
            | of_process(pid, self.home, self.folder / "tmp")
            | {
                "tasks": Counter(said["tasks"]),
                "threads": Counter(each for each in said["threads"] if not each.startswith("asyncio_")),
                "taken": Counter({each.name or "": each.taken for each in portions}),
            }
        )

    async def at_rest(self) -> Held:
        """What it holds when nobody has come yet, and the watcher and the recorder have what they want. Those ask from
        time to time, so that of the Server's tables it is the most of some looks."""
        last: list[Held] = []
        while len(last) < 5 or not self.events or any(each.of_process != last[-1].of_process for each in last[-5:]):
            last.append(await self.held())
            assert len(last) < 200, f"the Server does not come to rest: {last[-5:]}"
            await asyncio.sleep(0.5)
        return last[-1].with_most(*last[-5:])

    async def has_said(self) -> str | None:
        return None if (self.folder / "says").exists() else "nothing"

    # --- all of it

    async def round(self, number: int) -> None:
        """Everybody does some things at the same time, and somebody else one; then they are looked at."""
        deeds = [self.act] * 5
        await asyncio.gather(*(self.some(person, len(deeds)) for person in self.people))
        further = (
            self.end_by_rpc,
            self.reconfigure,
            self.smbclient,
            self.end_by_command,
            self.accounts_change,
            self.impacket,
            self.end_by_rpc,
            self.pause,
        )
        await further[number % len(further)]()
        await self.check()

    async def some(self, person: Person, count: int) -> None:
        """So many things, one after the other."""
        for _ in range(count):
            await self.act(person)

    async def run(self, churns: int, minutes: float, rounds: int) -> None:
        """Rounds until the time is up, or there were so many sessions, or so many rounds; then nobody is left."""
        async with self.played():
            end, number, shown = time.monotonic() + 60 * minutes, 0, time.monotonic()
            await self.check()
            first = await self.at_rest()
            while time.monotonic() < end and self.churns < churns and number < rounds:
                await self.round(number)
                number += 1
                if time.monotonic() - shown > 10 or time.monotonic() >= end or number == rounds:
                    shown = time.monotonic()
                    print(f"{number} checks, {self.churns:,} sessions, {self.copied:,} copies, ", end="")
                    print(
                        f"{self.events:,} events, {self.memory.looks[-1][1]} KiB, longest turn {self.turn:.3f} s of ",
                        end="",
                    )
                    print(f"processor time, {dict(sorted(self.endings.items()))}", flush=True)
            for person in self.people:
                await self.forget(person)
            if self.settings["second"]:
                await self.reconfigure()  # the share that was not there at first
            await self.check()
            await self.waited(lambda: self.is_as(first), "something is left")
        self.judge(number)

    async def is_as(self, first: Held) -> str | None:
        """None, or what the process holds that it did not when nobody had come yet. The threads of its disk end when
        they have had nothing to do for a while; those of asyncio's own pool stay, and are at most as many as that has.
        """
        return (await self.held()).beyond(first) or None

    def judge(self, rounds: int) -> None:
        """Of the memory, of the recorder's file, of what was written to the log, and of what people were told."""
        print(f"this program stood still for {self.stood_still:.1f} s at most")
        if rounds >= 30:
            print(self.memory.judged())
        size = sum(path.stat().st_size for path in self.home.rglob("history*") if path.is_file())
        print(f"the recorder's database: {size:,} bytes")
        assert size <= EMPTY_RECORD + MOST_RECORDED * (self.churns * 6), f"the recorder's database has {size:,} bytes"
        with (self.folder / "log").open(errors="replace") as log:
            for line in log:
                assert "Traceback" not in line, line + "".join(itertools.islice(log, 40))
        wrong = [how for how in self.endings if how.startswith("refused: ") and "STATUS_" in how]
        assert not wrong, f"people were refused what they may: {wrong}"


def create(name: str, disposition: int = FILE_OPEN, *, access: int = 0x00120089, options: int = 0x40) -> CreateRequest:
    """A request to open a file that everybody may share."""
    return CreateRequest(
        name=name,
        desired_access=access,
        share_access=7,
        create_disposition=disposition,
        create_options=options,
    )
