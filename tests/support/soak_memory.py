"""A Server in memory with people who come and go by the million, under a clock that jumps; `Churn` is all of it.

Above the sockets it is the Server's own code: SMB2 cores, log-ons, dispatch, files on a real disk, domain, srvsvc. What
people hold is known from what they did; at each check NetrSessionEnum, NetrFileEnum, the statistics and the domain have
to say the same. Sessions end in each way that there is: by a log-off, by hanging up (with files open, locked, leased
and watched, and in the middle of a log-on), by NetrSessionDel, by the Server's own closing, and for idleness.

Whenever nobody is left but the administrator, the Server's tables and this process have to hold what they held before
anybody came (`support/soak_held.py`); what is more is told by name. How the heap grows is judged at the end.
"""

from __future__ import annotations

import contextlib
import gc
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lanman.domain import Reason
from lanman.rpc.srvsvc import NetrFileEnum, NetrServerStatisticsGet, NetrSessionDel, NetrSessionEnum
from lanman.server.files.caching import R
from lanman.smb2.constants import FILE_DIRECTORY_FILE, SMB2_CREATE_REQUEST_LEASE, SMB2_OPLOCK_LEVEL_LEASE
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateContext,
    CreateLeaseV2,
    LockElement,
    LockRequest,
)
from support.disk_server import DiskWorld, FileClient
from support.memory_server import Client, Cut
from support.soak_held import Held, Memory, anonymous, heap, of_server, of_this_process

NAMES = ("ann", "bob")
FILES = tuple(f"report {number}.txt" for number in range(8))
WATCHED = "watched"
# KiB of the heap that come and go.
NOISE = 32.0


@dataclass(eq=False)
class Person:
    """Somebody who has a session, and what they have open."""

    client: FileClient
    user: str
    opens: list[tuple[str, bytes]] = field(default_factory=list)
    locks: Counter[bytes] = field(default_factory=Counter)


class Churn:
    """The Server, at most `most` people on it, and how many sessions there have been."""

    def __init__(self, folder: Path, *, seed: int = 1, most: int = 40, others: Sequence[Path] = ()) -> None:
        """`folder` is shared; `others` are further ones where nothing may be left."""
        self.folder, self.others = folder, others
        self.world = DiskWorld(folder)
        self.dice = random.Random(seed)
        self.most = most
        self.people: list[Person] = []
        self.churns = 0
        self.endings: Counter[str] = Counter()
        for name in FILES:
            (folder / name).write_text(name)
        (folder / WATCHED).mkdir()
        self.admin = self.administrator()
        self.memory = Memory(NOISE)
        # What everybody needs is there from the first one on.
        self.come()
        for each in list(self.people):
            self.open(each)
            self.lock(each)
            self.watch(each)
            self.leave(each)
        self.check()
        # What the Server has when nobody at all is there, and when the administrator is.
        self.world.disconnect(self.admin)
        self.world.pump()
        self.bare = Held(of_server(self.world.server))
        self.admin = self.administrator()
        self.check()
        self.first = self.held()

    def administrator(self) -> Client:
        """Who asks for the lists."""
        admin = Client(self.world, "192.0.2.1", (0x0311,))
        admin.negotiate()
        return admin.log_on("admin").bind()

    # --- what people do

    def step(self) -> None:
        """Something that somebody does."""
        turn = self.dice.random()
        if (len(self.people) < self.most and turn < 0.55) or not self.people:
            self.come()
        else:
            deeds = (self.open, self.lock, self.watch, self.close, self.leave)
            (deed,) = self.dice.choices(deeds, (6, 2, 1, 2, 10))
            deed(self.dice.choice(self.people))

    def come(self) -> None:
        """One session more."""
        user = self.dice.choice(NAMES)
        address = f"10.{self.dice.randrange(256)}.{self.dice.randrange(256)}.{self.dice.randrange(1, 255)}"
        client = FileClient(self.world, address)
        client.negotiate()
        if self.dice.random() < 0.02:
            # Gone in the middle of a log-on: there never was a session.
            client.log_on_step_by_step(user)
            self.world.disconnect(client)
            self.endings["half a log-on"] += 1
            return
        client.log_on(user)
        client.tree_connect(r"\\server\share")
        self.people.append(Person(client, user))
        self.churns += 1

    def open(self, person: Person) -> None:
        """A file that stays open, every other one with a lease."""
        name, lease = self.dice.choice(FILES), CreateLeaseV2(self.dice.randbytes(16), R)
        if self.dice.random() < 0.5:
            context = CreateContext(SMB2_CREATE_REQUEST_LEASE, lease.pack())
            file_id = person.client.open(name, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[context])
        else:
            file_id = person.client.open(name)
        person.opens.append((name, file_id))

    def lock(self, person: Person) -> None:
        """A range of one of the files, which nobody else locks."""
        mine = [file_id for name, file_id in person.opens if name != WATCHED]
        if mine:
            file_id = self.dice.choice(mine)
            shared_at_once = 0x01 | 0x10
            person.client.want(LockRequest(file_id, [LockElement(self.dice.randrange(1 << 40), 1, shared_at_once)]))
            person.locks[file_id] += 1

    def watch(self, person: Person) -> None:
        """What changes in a folder is to be told, and nothing does."""
        file_id = person.client.open(WATCHED, options=FILE_DIRECTORY_FILE)
        person.opens.append((WATCHED, file_id))
        person.client.send(ChangeNotifyRequest(0, 4096, file_id, 0x17F))

    def close(self, person: Person) -> None:
        """One of the files."""
        if person.opens:
            _, file_id = person.opens.pop()
            del person.locks[file_id]
            person.client.want(CloseRequest(0, file_id))

    def leave(self, person: Person) -> None:
        """The end of a session, in one of the ways."""
        self.people.remove(person)
        ways = ("log-off", "hang-up", "NetrSessionDel", "the Server", "cut", "idle")
        (way,) = self.dice.choices(ways, (8, 8, 4, 4, 4, 1))
        client = person.client
        if way == "log-off":
            client.log_off()
        elif way == "NetrSessionDel":
            # It ends whoever has that name and address; nobody else has the address.
            answer = self.admin.call(NetrSessionDel(None, rf"\\{client.connection.address}", person.user))
            assert answer.status == 0, answer
        elif way == "the Server":
            self.world.service.close_session(client.connection.channels[client.session_id].session, Reason.DELETED)
            self.world.pump()
        elif way == "cut":
            # The Server's answer, or the request, is not on the way any more.
            self.world.writes = iter(range(10**9))  # type: ignore[assignment]
            self.world.cut_after = self.dice.randrange(2)
            with contextlib.suppress(Cut):
                client.open(self.dice.choice(FILES))
            self.world.cut_after = None
        elif way == "idle":
            self.pass_time(person)
        self.world.disconnect(client)
        self.world.pump()
        self.endings[way] += 1

    def pass_time(self, person: Person) -> None:
        """All others do something, then the time passes after which one who did nothing, and holds nothing, is gone."""
        for _, file_id in person.opens:
            person.client.want(CloseRequest(0, file_id))
        half = self.world.settings.current.autodisconnect * 30.0
        for _ in range(3):
            self.world.advance(half)
            for each in self.people:
                each.client.status("nothing of this name")
            self.admin.call(NetrServerStatisticsGet(None, None, 0))
        assert person.client.connection.channels == {}, "an idle session is still there"

    # --- the truth

    def check(self) -> None:
        """What the Server says, beside what people hold."""
        # The administrator never leaves, and would keep the order of all answers.
        self.admin.order.clear()
        held = Counter((rf"\\{each.client.connection.address}", each.user, len(each.opens)) for each in self.people)
        sessions = self.admin.call(NetrSessionEnum(None, None, None, 502)).entries
        listed = Counter((each.client_name, each.user_name, each.num_opens) for each in sessions)
        (own,) = [each for each in listed if each[1] == "admin"]
        del listed[own]
        assert listed == held, f"sessions: {listed - held} too many, {held - listed} missing"
        files = self.admin.call(NetrFileEnum(None, None, None, 3)).entries
        paths = Counter((each.path.rpartition("\\")[2], each.user_name) for each in files if "srvsvc" not in each.path)
        there = Counter((name, each.user) for each in self.people for name, _ in each.opens)
        assert paths == there, f"files: {paths - there} too many, {there - paths} missing"
        locks, held_locks = sum(each.num_locks or 0 for each in files), sum(each.locks.total() for each in self.people)
        assert locks == held_locks, f"{locks} locks, not {held_locks}"
        statistics = self.admin.call(NetrServerStatisticsGet(None, None, 0)).info
        assert statistics.sopens == len(self.people) + 1, f"sessions: {statistics}"
        assert statistics.stimedout == self.endings["idle"], (statistics, self.endings)
        assert not self.world.dispatch.scheduler.busy

    def held(self) -> Held:
        """What the Server's tables and this process hold."""
        return Held(of_server(self.world.server) | of_this_process(self.folder, *self.others))

    def empty(self) -> int:
        """Nobody is left but the administrator, and nothing of anybody; how many objects the collector then knows of
        this process."""
        for person in list(self.people):
            self.leave(person)
        self.check()
        self.world.events.clear()
        gc.collect()
        left = self.held().beyond(self.first)
        assert not left, f"left behind: {left}"
        self.memory.add(self.churns, heap() or anonymous())
        return len(gc.get_objects())

    def end(self) -> None:
        """The administrator leaves too; nothing may be left."""
        self.empty()
        self.world.disconnect(self.admin)
        self.world.pump()
        self.world.advance(24 * 3600)
        left = Held(of_server(self.world.server)).beyond(self.bare)
        assert not left, f"left behind when nobody is there: {left}"
        assert len(self.world.files) == len(self.world.clients) == 0
