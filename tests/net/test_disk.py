"""Effects performed in threads: whose turn it is, who waits for whom, and what becomes of results not taken."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.net.disk import AT_ONCE, DELIVER_BYTES, LANE_EFFECTS, SOURCE_EFFECTS, Disk, _Ticket
from lanman.net.disk.folders import closing
from lanman.net.disk.pool import LANE_THREADS, THREADS, Job, Pool, _Lane
from lanman.net.disk.system import CLOCK_TICK, tells_at_once
from lanman.server import disk_effects as do
from lanman.server.disk_effects import Access, Opened, OpenFile
from lanman.server.effects import LATER, Effect, ReadAccounts, StepLogon
from lanman.smb2.constants import FILE_CREATE, FILE_OPEN_IF
from support.open_descriptors import open_files
from support.waiting import until


class Failed(Exception):
    def __init__(self, status: int, error: Exception | None) -> None:
        super().__init__(codes.ntstatus_name(status))
        self.status = status
        self.error = error


class World:
    """A Disk and somebody who waits for its results."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.pressure: list[tuple[Hashable, bool]] = []
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.order: list[int] = []
        self.last = 0
        self.disk = Disk(
            AccountFile(tmp_path / "accounts"),
            self.completed,
            self.failed,
            lambda source, more: self.pressure.append((source, more)),
        )
        self.held = threading.Event()  # what a disk that hangs waits for
        self.hanging = threading.Semaphore(0)  # how many effects hang on it
        self.freed = threading.Semaphore(0)  # how many no longer do

    def completed(self, ticket: int, result: Any) -> bool:
        self.order.append(ticket)
        future = self.waiting.pop(ticket, None)
        if future is None:
            return False
        future.set_result(result)
        return True

    def failed(self, ticket: int, status: int, error: Exception | None) -> None:
        self.order.append(ticket)
        if (future := self.waiting.pop(ticket, None)) is not None:
            future.set_exception(Failed(status, error))

    def start(self, effect: Effect[Any], source: Hashable = None) -> tuple[int, asyncio.Future[Any]]:
        self.last += 1
        future = self.waiting[self.last] = asyncio.get_running_loop().create_future()
        self.disk.perform(self.last, effect, source)
        return self.last, future

    async def do(self, effect: Effect[Any]) -> Any:
        return await self.start(effect)[1]

    def share(self, name: str) -> str:
        folder = self.tmp_path / name
        folder.mkdir(exist_ok=True)
        return str(folder)

    def hang(self, root: str) -> None:
        """From now on the disk of that share answers no LookUp and no OpenFile until it is told to."""
        for kind in (do.LookUp, OpenFile):
            really: Callable[[Any], Any] = self.disk._performers[kind]

            def perform(effect: Any, really: Callable[[Any], Any] = really) -> Any:
                if effect.root == root:
                    self.hanging.release()
                    assert self.held.wait(60)
                try:
                    return really(effect)
                finally:
                    self.freed.release()

            self.disk._performers[kind] = perform


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    before = open_files()
    world = World(tmp_path)
    yield world
    world.held.set()
    assert await world.disk.drain(30)
    world.disk.close()
    world.disk.close()
    assert open_files() <= before, "every descriptor was given back"


async def test_effects_and_their_results(world: World) -> None:
    root = world.share("a")
    opened: Opened = await world.do(OpenFile(root, ("file",), Access.READ | Access.WRITE, FILE_CREATE))
    assert await world.do(do.WriteFile(opened.handle, 0, b"contents")) == 8
    assert bytes(await world.do(do.ReadFile(opened.handle, 0, 100))) == b"contents"
    assert await world.do(do.FlushFile(opened.handle)) is None
    assert (await world.do(do.QueryFile(opened.handle))).size == 8
    assert (await world.do(do.CloseFile(opened.handle))).size == 8
    for effect in (do.CloseFile(opened.handle), do.ReadFile(opened.handle, 0, 1), do.QueryFile(12345)):
        with pytest.raises(Failed) as failed:
            await world.do(effect)
        assert failed.value.status == codes.STATUS_FILE_CLOSED
        assert failed.value.error is None, "that is nothing an administrator has to hear of"
    accounts = await world.do(ReadAccounts())
    assert not accounts.users


async def test_every_effect_is_performed(world: World) -> None:
    kinds = {kind for kind in vars(do).values() if isinstance(kind, type) and issubclass(kind, Effect)} - {Effect}
    assert kinds | {ReadAccounts, StepLogon} == set(world.disk._performers)


async def test_nothing_comes_back_while_it_is_asked_for(world: World) -> None:
    opened = await world.do(OpenFile(world.share("a"), ("file",), Access.READ, FILE_CREATE))
    ticket, future = world.start(do.ReadFile(opened.handle, 0, 10))
    refused, other = world.start(do.QueryFile(999))
    assert ticket not in world.order
    assert refused not in world.order
    assert bytes(await future) == b""
    with pytest.raises(Failed):
        await other


async def test_failures(world: World) -> None:
    root = world.share("a")
    for effect, status in (
        (OpenFile(root, ("missing",)), codes.STATUS_OBJECT_NAME_NOT_FOUND),
        (OpenFile(root, ("..",)), codes.STATUS_OBJECT_NAME_INVALID),
        (OpenFile(root, ("\ud800",)), codes.STATUS_OBJECT_NAME_INVALID),
        (do.LookUp(root + "/missing", ()), codes.STATUS_VOLUME_DISMOUNTED),
    ):
        with pytest.raises(Failed) as failed:
            await world.do(effect)
        assert failed.value.status == status
    opened = await world.do(OpenFile(root, ("file",), Access.READ | Access.WRITE, FILE_CREATE))
    for offset in (1 << 63, 1 << 64):
        for access in (do.ReadFile(opened.handle, offset, 1), do.WriteFile(opened.handle, offset, b"x")):
            with pytest.raises(Failed) as failed:
                await world.do(access)
            assert failed.value.status == codes.STATUS_INVALID_PARAMETER


async def test_a_disk_that_breaks_and_accounts_that_are_damaged(world: World) -> None:
    def breaks(effect: Any) -> Any:
        raise OSError(5, "Input/output error")

    world.disk._performers[do.LookUp] = breaks
    with pytest.raises(Failed) as failed:
        await world.do(do.LookUp(world.share("a"), ()))
    assert failed.value.status == codes.STATUS_IO_DEVICE_ERROR
    assert isinstance(failed.value.error, OSError), "the administrator is told"

    def damaged(effect: Any) -> Any:
        raise LanmanError("accounts line 3: is damaged")

    world.disk._performers[ReadAccounts] = damaged
    with pytest.raises(Failed) as failed:
        await world.do(ReadAccounts())
    assert failed.value.status == codes.STATUS_INTERNAL_ERROR
    assert isinstance(failed.value.error, LanmanError)


async def test_a_mistake_of_ours_is_heard_of_and_stops_nobody_else(world: World) -> None:
    heard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context["exception"]))

    def mistaken(effect: Any) -> Any:
        raise ZeroDivisionError

    world.disk._performers[ReadAccounts] = mistaken
    _, future = world.start(ReadAccounts())
    _, other = world.start(do.LookUp(world.share("a"), ()))
    with pytest.raises(Failed):
        await future
    assert (await other).directory
    assert [type(error) for error in heard] == [ZeroDivisionError]


# --- disks that hang ---


async def test_a_disk_that_hangs_stops_neither_log_ons_nor_other_shares(world: World) -> None:
    shares = [world.share(f"hanging{number}") for number in range(5)]
    stuck = []
    for root in shares:
        world.hang(root)
        stuck += [world.start(do.LookUp(root, ()))[1] for _ in range(50)]
    # Five shares hang, each with all the threads that it can have: more than there are threads in all.
    for _ in range(THREADS):
        assert await asyncio.to_thread(world.hanging.acquire, timeout=30)
    for _ in range(3):
        await world.do(ReadAccounts())
        for name in ("b", "c"):
            opened = await world.do(OpenFile(world.share(name), ("file",), Access.READ, FILE_OPEN_IF))
            await world.do(do.CloseFile(opened.handle))
    assert not any(future.done() for future in stuck)
    world.held.set()
    await asyncio.gather(*stuck)


async def test_what_hangs_and_is_cancelled(world: World) -> None:
    root = world.share("a")
    world.hang(root)
    opening = [world.start(OpenFile(root, (f"file{number}",), Access.READ, FILE_CREATE)) for number in range(20)]
    for _ in range(LANE_THREADS):
        assert await asyncio.to_thread(world.hanging.acquire, timeout=30)
    for ticket, future in opening:
        world.disk.cancel(ticket)
        world.disk.cancel(ticket)
        del world.waiting[ticket]
        future.cancel()
    world.held.set()
    assert await world.disk.drain(30)
    assert not world.order, "nobody hears of what was cancelled"
    assert len(os.listdir(root)) == LANE_THREADS, "what had not begun is not begun"
    assert len(world.disk.files) == 0, "what was opened for nobody is closed"


async def test_a_result_that_nobody_takes_is_released(world: World) -> None:
    ticket, _ = world.start(OpenFile(world.share("a"), ("file",), Access.READ, FILE_CREATE))
    del world.waiting[ticket]
    assert await world.disk.drain(30)
    assert world.order == [ticket]
    assert len(world.disk.files) == 0


async def test_a_close_is_never_cancelled(world: World) -> None:
    root = world.share("a")
    opened = await world.do(OpenFile(root, ("file",), Access.READ, FILE_CREATE))
    world.hang(root)
    stuck = [world.start(do.LookUp(root, ()))[1] for _ in range(LANE_THREADS)]
    for _ in stuck:
        assert await asyncio.to_thread(world.hanging.acquire, timeout=30)
    ticket, _ = world.start(do.CloseFile(opened.handle, delete=True))
    world.disk.cancel(ticket)
    world.held.set()
    assert await world.disk.drain(30)
    assert os.listdir(root) == []


async def test_what_is_done_with_a_small_file_that_is_got_needs_no_thread(world: World) -> None:
    root = world.share("a")
    with closing(os.open(root, os.O_RDONLY)) as descriptor:
        if not tells_at_once(descriptor):
            pytest.skip("this file system is not known to tell of files without waiting")
    path = Path(root, "file")
    path.write_bytes(b"contents")
    await until(lambda: time.time_ns() - path.stat().st_ctime_ns > 2 * CLOCK_TICK)
    opened: Opened = await world.do(OpenFile(root, ("file",), Access.READ))
    assert world.disk.at_once(do.FlushFile(opened.handle)) is LATER, "it waits for the disk"
    assert world.disk.at_once(do.ReadFile(opened.handle, 0, AT_ONCE + 1)) is LATER, "a thread copies that faster"
    assert bytes(world.disk.at_once(do.ReadFile(opened.handle, 0, 100))) == b"contents"
    assert world.disk.at_once(do.QueryFile(opened.handle)).identity == opened.stat.identity
    assert world.disk.at_once(do.CloseFile(opened.handle, tells=False)) is None
    assert len(world.disk.files) == 0
    assert world.disk.at_once(do.QueryFile(opened.handle)) is LATER, "that it is closed is told like every refusal"


async def test_a_close_does_not_overtake_what_waits_for_a_thread(world: World) -> None:
    root = world.share("a")
    Path(root, "file").write_bytes(b"contents")
    opened: Opened = await world.do(OpenFile(root, ("file",), Access.READ))
    world.hang(root)
    for _ in range(LANE_THREADS):
        world.start(do.LookUp(root, ()))
        assert await asyncio.to_thread(world.hanging.acquire, timeout=30)
    _, flushed = world.start(do.FlushFile(opened.handle))
    _, told = world.start(do.QueryFile(opened.handle))
    close = do.CloseFile(opened.handle, tells=False)
    assert world.disk.at_once(do.QueryFile(opened.handle)) is LATER
    assert world.disk.at_once(close) is LATER
    world.held.set()
    assert (await told).size == 8
    assert await flushed is None
    assert await world.do(close) is None


async def test_closing_lets_reads_under_way_come_to_their_end(world: World) -> None:
    opened = await world.do(OpenFile(world.share("a"), ("file",), Access.READ | Access.WRITE, FILE_CREATE))
    await world.do(do.WriteFile(opened.handle, 0, b"contents"))
    handle = world.disk.files.take(opened.handle)
    await world.do(do.CloseFile(opened.handle))
    assert os.pread(handle.descriptor, 8, 0) == b"contents"
    descriptor = handle.descriptor
    world.disk.files.put_back(handle)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


async def test_the_end_of_the_server_still_deletes_what_is_to_be_deleted(world: World) -> None:
    root = world.share("a")
    kept = await world.do(OpenFile(root, ("kept",), Access.READ, FILE_CREATE))
    opened = await world.do(OpenFile(root, ("file",), Access.READ, FILE_CREATE))
    world.hang(root)
    stuck = [world.start(do.LookUp(root, ()))[1] for _ in range(LANE_THREADS + 3)]
    for _ in range(LANE_THREADS):
        assert await asyncio.to_thread(world.hanging.acquire, timeout=30)
    closed = threading.Event()
    really = world.disk._performers[do.CloseFile]

    def close(effect: Any) -> Any:
        try:
            return really(effect)
        finally:
            closed.set()

    world.disk._performers[do.CloseFile] = close
    world.start(do.CloseFile(opened.handle, delete=True))
    assert not await world.disk.drain(0.0), "it says when it has not come to an end"
    world.disk.close()
    assert len(world.disk.files) == 1
    world.held.set()
    assert await asyncio.to_thread(closed.wait, 30)
    for _ in range(LANE_THREADS):
        assert await asyncio.to_thread(world.freed.acquire, timeout=30)
    assert os.listdir(root) == ["kept"]
    assert len(world.disk.files) == 0
    assert not any(future.done() for future in stuck)
    assert kept.handle
    world.disk._tickets.clear()


# --- too much ---


async def test_who_asks_for_too_much_is_asked_to_wait(world: World) -> None:
    root = world.share("a")
    world.hang(root)
    futures = [world.start(do.LookUp(root, ()), source="greedy")[1] for _ in range(SOURCE_EFFECTS)]
    world.start(do.LookUp(root, ()), source="modest")
    assert world.pressure == []
    futures.append(world.start(do.LookUp(root, ()), source="greedy")[1])
    futures.append(world.start(do.LookUp(root, ()), source="greedy")[1])
    assert world.pressure == [("greedy", True)]
    world.held.set()
    await asyncio.gather(*futures)
    assert world.pressure == [("greedy", True), ("greedy", False)]


async def test_writes_count_by_their_bytes(world: World) -> None:
    root = world.share("a")
    opened = await world.do(OpenFile(root, ("file",), Access.WRITE, FILE_CREATE))
    data = bytes(8 * 1024 * 1024)
    futures = [world.start(do.WriteFile(opened.handle, 0, data), source="greedy")[1] for _ in range(5)]
    assert world.pressure == [("greedy", True)]
    await asyncio.gather(*futures)
    assert world.pressure == [("greedy", True), ("greedy", False)]


async def test_a_lane_that_is_full_refuses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    root = world.share("a")
    opened = await world.do(OpenFile(root, ("file",), Access.WRITE, FILE_CREATE))
    monkeypatch.setattr(world.disk._pool, "waiting", lambda lane: LANE_EFFECTS)
    with pytest.raises(Failed) as failed:
        await world.do(do.LookUp(root, ()))
    assert failed.value.status == codes.STATUS_INSUFF_SERVER_RESOURCES
    assert await world.do(do.CloseFile(opened.handle)), "but closing is always possible"


def test_the_pool_keeps_to_its_limits() -> None:
    pool = Pool(threads=4, lane_threads=2)
    lock = threading.Lock()
    busy: dict[str, int] = {}
    most: dict[str, int] = {}
    left = threading.Semaphore(0)
    gate = threading.Event()

    def work(lane: str) -> Callable[[], None]:
        def run() -> None:
            with lock:
                for key in (lane, "all"):
                    busy[key] = busy.get(key, 0) + 1
                    most[key] = max(most.get(key, 0), busy[key])
            gate.wait(60)
            with lock:
                for key in (lane, "all"):
                    busy[key] -= 1
            left.release()

        return run

    for turn in range(60):
        pool.submit(Job("abcdef"[turn % 6], work("abcdef"[turn % 6])))
    gate.set()
    for _ in range(60):
        assert left.acquire(timeout=60)
    assert all(most[lane] <= 2 for lane in "abcdef")
    assert most["all"] <= 4 + 6
    pool.close()


def test_the_pool_does_the_jobs_of_a_lane_in_their_order() -> None:
    pool = Pool(lane_threads=1)
    done: list[int] = []
    over = threading.Event()
    for number in range(200):
        pool.submit(Job("lane", lambda number=number: done.append(number)))  # type: ignore[misc]
    pool.submit(Job("lane", over.set))
    assert over.wait(60)
    assert done == list(range(200))
    pool.close()
    pool.submit(Job("lane", lambda: done.append(-1)))
    assert pool.waiting("lane") == 0


async def test_an_effect_is_freed_when_it_is_over_without_the_garbage_collector(world: World) -> None:
    """What it holds may be eight megabytes of a frame."""

    def left() -> Counter[str]:
        kinds = ("_Ticket", "Job", "OpenFile", "WriteFile")
        return Counter(name for each in gc.get_objects() if (name := type(each).__name__) in kinds)

    opened = await world.do(OpenFile(world.share("a"), ("a",), Access.READ | Access.WRITE, 3))
    gc.collect()
    before = left()
    gc.disable()
    try:
        for _ in range(3):
            await world.do(do.WriteFile(opened.handle, 0, bytes(100)))
            with pytest.raises(Failed):
                await world.do(OpenFile(world.share("a"), ("a", "b", "is not there"), Access.READ, 1))
        await asyncio.sleep(0)
        # A thread has its last one until it waits for the next; those of other tests may go meanwhile.
        await until(lambda: left() <= before)
    finally:
        gc.enable()
    world.disk.files.release(opened.handle)


def test_a_job_for_which_there_was_no_thread_is_the_next_again() -> None:
    lane = _Lane()
    jobs = [Job("lane", lambda: None, source=source, party=party) for source, party in ((1, "a"), (2, "b"), (1, "a"))]
    for job in jobs:
        lane.put(job)
    taken = lane.take()
    lane.busy += 1
    lane.put_back(taken)
    assert (lane.waiting, lane.busy) == (3, 0)
    assert [lane.take() for _ in jobs] == [jobs[0], jobs[1], jobs[2]]


def test_in_a_lane_the_sources_take_turns() -> None:
    done: list[str] = []
    begun, go, over = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go.wait(60)

    pool = Pool(threads=1, lane_threads=1)
    pool.submit(Job("share", first))
    assert begun.wait(60)
    greedy = [Job("share", lambda at=at: done.append(f"a{at}"), source="a") for at in range(50)]  # type: ignore[misc]
    for job in greedy:
        pool.submit(job)
    pool.submit(Job("share", lambda: done.append("b0"), source="b"))
    pool.submit(Job("share", lambda: done.append("b1"), source="b"))
    pool.submit(Job("share", over.set, source="a"))
    assert pool.waiting("share") == 53
    assert pool.cancel(greedy[1])
    assert not pool.cancel(greedy[1])
    go.set()
    assert over.wait(60)
    pool.close()
    assert done == ["a0", "b0", "a2", "b1", *(f"a{at}" for at in range(3, 50))]


def test_in_a_lane_parties_take_turns_and_so_do_the_sources_of_each() -> None:
    done: list[str] = []
    begun, go, over = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go.wait(60)

    pool = Pool(threads=1, lane_threads=1)
    pool.submit(Job("share", first))
    assert begun.wait(60)

    def put(name: str, source: int, party: str) -> Job:
        job = Job("share", lambda: done.append(name), source=source, party=party)
        pool.submit(job)
        return job

    greedy = [put(f"a{source}", source, "ann") for source in range(50) for _ in range(2)]
    put("b", 100, "bob")
    put("b", 100, "bob")
    pool.submit(Job("share", over.set, source=49, party="ann"))
    assert pool.cancel(greedy[0])
    assert pool.cancel(greedy[1])
    assert not pool.cancel(greedy[1])
    assert pool.waiting("share") == 101
    go.set()
    assert over.wait(60)
    pool.close()
    sources = [f"a{source}" for source in range(1, 50)]
    assert done == ["a1", "b", "a2", "b", *sources[2:], *sources]


def test_small_jobs_one_after_the_other_are_one_thread_s() -> None:
    """Who has worked last works again: nobody else is woken, and no thread is started."""

    class Watched(Pool):
        def _wait(self, queue: SimpleQueue[Job | None]) -> Job | None:
            waits.set()
            return super()._wait(queue)

    pool, waits, workers = Watched(), threading.Event(), list[int]()
    for _ in range(200):
        waits.clear()
        pool.submit(Job("share", lambda: workers.append(threading.get_ident())))
        assert waits.wait(60)
    assert len(workers) == 200
    assert len(set(workers)) == 1
    pool.close()


def test_jobs_that_have_to_wait_for_each_other_have_threads_up_to_the_lane_s() -> None:
    pool = Pool()
    together, other = threading.Barrier(LANE_THREADS + 1), threading.Event()
    for _ in range(LANE_THREADS):
        pool.submit(Job("share", lambda: together.wait(60)))  # type: ignore[arg-type]
    pool.submit(Job("share", other.set))
    assert pool.waiting("share") == 1
    assert not other.is_set()
    together.wait(60)
    assert other.wait(60)
    pool.close()


async def test_of_large_results_one_is_delivered_in_a_turn_of_the_loop(world: World) -> None:
    """Each is encrypted when it is delivered, and other connections wait for that."""
    opened = await world.do(OpenFile(world.share("a"), ("a",), Access.READ | Access.WRITE, FILE_CREATE))
    turns: list[list[int]] = []
    for size, least, most in ((DELIVER_BYTES, 10, 11), (DELIVER_BYTES // 4, 3, 4)):
        read = [do.ReadFile(opened.handle, 0, size) for _ in range(10)]
        ended = [(_Ticket(world.last + number, effect, None, size), b"") for number, effect in enumerate(read, 1)]
        for ticket, _ in ended:
            world.waiting[ticket.number] = asyncio.get_running_loop().create_future()
            world.disk._tickets[ticket.number] = ticket
            world.disk._count(ticket)
        world.last += len(ended)
        world.order.clear()
        for ticket, data in ended:
            world.disk._finish_now(ticket, data, None)
        turns = []
        while len(world.order) < len(ended):
            before = len(world.order)
            await asyncio.sleep(0)
            if len(world.order) > before:
                turns.append(world.order[before:])
        assert least <= len(turns) <= most
        assert [number for turn in turns for number in turn] == [ticket.number for ticket, _ in ended]
    await world.do(do.CloseFile(opened.handle))


async def test_many_results_wake_the_loop_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "eventfd"):
        pytest.skip("no eventfd(2)")
    opened = await world.do(OpenFile(world.share("a"), ("a",), Access.READ | Access.WRITE, 3))
    rung: list[int] = []
    ring = os.eventfd_write

    def write(descriptor: int, value: int) -> None:
        rung.append(value)
        ring(descriptor, value)

    monkeypatch.setattr(os, "eventfd_write", write)
    query, asked = world.disk._performers[do.QueryFile], threading.Semaphore(0)

    def perform(effect: Any) -> Any:
        try:
            return query(effect)
        finally:
            asked.release()

    world.disk._performers[do.QueryFile] = perform
    tickets = [world.start(do.QueryFile(opened.handle)) for _ in range(50)]
    for _ in tickets:
        assert asked.acquire(timeout=60)  # the loop does nothing meanwhile
    assert len(rung) == 1
    await asyncio.gather(*(result for _, result in tickets))
    await world.do(do.CloseFile(opened.handle))


def test_jobs_are_done_also_where_the_system_has_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have as many threads as a limit allows, which others of its user use up."""
    pool, done, held, here = Pool(), list[str](), threading.Event(), threading.Semaphore(0)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool.submit(Job("share", lambda: done.append("without any thread")))
    assert done == ["without any thread"]
    monkeypatch.setattr(threading.Thread, "start", start)
    pool.submit(Job("share", lambda: done.append(f"a thread, {held.wait(60)}")))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool.submit(Job("share", lambda: done.append("first"), source="first"))
    pool.submit(Job("share", lambda: done.append("second"), source="second"))
    pool.submit(Job("share", here.release, source="third"))
    assert pool.waiting("share") == 3
    held.set()
    assert here.acquire(timeout=60)
    assert done == ["without any thread", "a thread, True", "first", "second"]
    pool.close()
