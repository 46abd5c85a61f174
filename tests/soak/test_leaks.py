"""A Server, or a process, that keeps something of those who have gone is told by the soak, which names what is left.

Each test breaks one thing: a table that forgets nothing, something that is not given back, something that is made for
each connection and stays. The clean run of test_soak.py is the other half: it finds none of these.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.domain import Portion, ServerService
from lanman.server.disk_effects import CloseFile
from lanman.server.dispatch import ServerDispatch
from lanman.server.effects import Until, Work
from lanman.server.files.leases import Leases
from lanman.server.files.locks import Locks
from lanman.server.files.notify import Watches
from support import soak_stage
from support.soak_held import Memory, heap
from support.soak_memory import Churn

pytestmark = pytest.mark.posix


class Keeps(dict[Any, Any]):
    """A table from which nothing is taken."""

    def pop(self, key: Any, *default: Any) -> Any:
        return self[key] if not default or key in self else default[0]

    def __delitem__(self, key: Any) -> None:
        pass


class KeepsOrder(OrderedDict[Any, Any]):
    """The same of an ordered one."""

    pop = Keeps.pop  # type: ignore[assignment]
    __delitem__ = Keeps.__delitem__


@pytest.fixture
def churn(tmp_path: Path) -> Churn:
    for name in ("shared", "elsewhere"):
        (tmp_path / name).mkdir()
    return Churn(tmp_path / "shared", seed=5, others=[tmp_path / "elsewhere"])


def worked(churn: Churn) -> None:
    """A few people come, do everything, and leave; then they are looked for."""
    for _ in range(6):
        churn.come()
    for person in churn.people:
        for deed in (churn.open, churn.open, churn.open, churn.lock, churn.watch):
            deed(person)
    for _ in range(20):
        churn.step()
    churn.empty()
    churn.end()


def test_nothing_is_told_of_a_server_that_forgets(churn: Churn) -> None:
    worked(churn)


def service(churn: Churn) -> Any:
    return churn.world.service


def dispatch(churn: Churn) -> Any:
    return churn.world.dispatch


def files(churn: Churn) -> Any:
    return churn.world.dispatch.files


TABLES: dict[str, Callable[[Churn], Any]] = {
    "ServerService._sessions|sessions:": service,  # a list tells it first
    "ServerService._by_session_id": service,
    "ServerService._tree_connects": service,
    "ServerService._opens|files:": service,
    "ServerService._connections": service,
    "IdleOrder._order": lambda churn: churn.world.service._idle,
    "SessionTable._sessions": lambda churn: dispatch(churn).sessions,
    "SessionTable._opens": lambda churn: dispatch(churn).sessions,
    "ServerDispatch.connections": dispatch,
    "ServerDispatch.connections_of": dispatch,
    "Files._states": files,
    "Files._names": files,
    "Leases._clients": lambda churn: files(churn).leases,
    "Admission._networks": lambda churn: dispatch(churn).admission,
    "_Ranking._number": lambda churn: dispatch(churn).admission._most_half_open,
    "_Folder.below": lambda churn: files(churn).watches._top,
    "Scheduler._performing": lambda churn: dispatch(churn).scheduler,
    "Portion._of": lambda churn: files(churn).leases._portion,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_forgets_nothing(churn: Churn, name: str) -> None:
    whose = TABLES[name](churn)
    attribute = name.partition("|")[0].rpartition(".")[2]
    table = getattr(whose, attribute)
    kept = KeepsOrder(table) if isinstance(table, OrderedDict) else Keeps(table)
    setattr(whose, attribute, kept)
    with pytest.raises(AssertionError, match=name.replace(".", r"\.")):
        worked(churn)


def after(monkeypatch: pytest.MonkeyPatch, of: type, name: str, more: Callable[..., None]) -> None:
    """Have something done after each call of a method, with what it was called with."""
    done = getattr(of, name)

    def doing_more(self: Any, *words: Any, **named: Any) -> Any:
        result = done(self, *words, **named)
        more(self, *words)
        return result

    monkeypatch.setattr(of, name, doing_more)


def does_nothing(*words: Any, **named: Any) -> None:
    """Forgotten."""


def test_locks_that_stay(churn: Churn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Locks, "release", does_nothing)
    with pytest.raises(AssertionError, match="byte-range locks"):
        worked(churn)


def test_leases_that_stay(churn: Churn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Leases, "forget", does_nothing)
    with pytest.raises(AssertionError, match=r"\(leases\)"):
        worked(churn)


def test_watches_that_stay(churn: Churn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watches, "_take", does_nothing)
    with pytest.raises(AssertionError, match=r"_Folder\.below"):
        worked(churn)


@pytest.mark.parametrize("name", ["sessions", "tree connects", "leases", "byte-range locks"])
def test_a_portion_that_is_not_given_back(churn: Churn, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    give_back = Portion.give_back

    def forgetful(portion: Portion[str], user: str, number: int = 1) -> None:
        if portion.name != name:
            give_back(portion, user, number)

    monkeypatch.setattr(Portion, "give_back", forgetful)
    with pytest.raises(AssertionError, match=rf"\({name}\)"):
        worked(churn)


def test_files_that_the_disk_keeps_open(churn: Churn) -> None:
    churn.world._performers[CloseFile] = does_nothing
    with pytest.raises(AssertionError, match=r"descriptors: \d+ more \(\S+/shared/report 0\.txt\)"):
        worked(churn)


def test_a_task_that_waits_for_ever(churn: Churn, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits() -> Work[None]:
        yield Until(1e12)

    after(monkeypatch, ServerDispatch, "forget_connection", lambda server, *_: server.scheduler.start(waits()))
    with pytest.raises(AssertionError, match=r"numbers: \d+ more \(Timers\._alive\)"):
        worked(churn)


# --- what a process has


@pytest.fixture
def made() -> Iterator[contextlib.ExitStack]:
    """What a test makes for it to be found, and has to end."""
    with contextlib.ExitStack() as stack:
        yield stack


def a_descriptor(made: contextlib.ExitStack, elsewhere: Path) -> None:
    made.callback(os.close, os.open(os.devnull, os.O_RDONLY))


def a_thread(made: contextlib.ExitStack, elsewhere: Path) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    made.callback(thread.join)
    made.callback(end.set)


def a_child(made: contextlib.ExitStack, elsewhere: Path) -> None:
    child = made.enter_context(subprocess.Popen(["sleep", "1000"]))
    made.callback(child.kill)


def a_temporary_file(made: contextlib.ExitStack, elsewhere: Path) -> None:
    number, _ = tempfile.mkstemp(dir=elsewhere, prefix="upload")
    os.close(number)


LEFT = {
    r"descriptors: \d+ more \(/dev/null\)": a_descriptor,
    r"threads: \d+ more \(forgotten\)": a_thread,
    r"children: \d+ more \(sleep 1000\)": a_child,
    r"files: 1 more \(elsewhere/upload": a_temporary_file,
}


@pytest.mark.parametrize("said", LEFT)
def test_what_a_process_keeps_for_a_connection(
    churn: Churn, monkeypatch: pytest.MonkeyPatch, made: contextlib.ExitStack, said: str
) -> None:
    left = iter([True])  # once: it is looked for one by one

    def leave(server: ServerDispatch, *_: Any) -> None:
        if next(left, False):
            LEFT[said](made, churn.folder.parent / "elsewhere")

    after(monkeypatch, ServerDispatch, "connect", leave)
    with pytest.raises(AssertionError, match=said):
        worked(churn)


def emptied_often(churn: Churn) -> None:
    """Some two hundred sessions, and nine looks when nobody is there; the heap is judged."""
    for _ in range(9):
        for _ in range(45):
            churn.step()
        churn.empty()
    churn.memory.judged()


@pytest.mark.skipif(heap() is None, reason="glibc alone tells how much of the heap is in use")
def test_a_kibibyte_that_each_session_leaves(churn: Churn, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a dictionary that nobody looks at: no list tells it, and Python's collector counts one object."""
    emptied_often(churn)
    churn.memory = Memory(churn.memory.noise)
    kept: list[bytes] = []
    after(monkeypatch, ServerService, "close_session", lambda *_: kept.append(bytes(1024)))
    with pytest.raises(AssertionError, match=r"each session leaves 1\.\d\d KiB"):
        emptied_often(churn)


def test_how_memory_is_judged() -> None:
    """What comes and goes is no leak, and what a short run cannot tell it says."""
    flat, grows = Memory(700.0), Memory(700.0)
    for number in range(60):
        flat.add(number * 100, 30_000 + 300 * (number % 3))
        grows.add(number * 100, 30_000 + number * 100)
    assert "0.85 KiB of each would have been too much" in flat.judged()
    with pytest.raises(AssertionError, match=r"each session leaves 1\.00 KiB"):
        grows.judged()


# --- the same over sockets

SERVES = """
import subprocess, tempfile, threading
from lanman.domain import Portion
from lanman.server.dispatch import ServerDispatch
connect, give_back, left = ServerDispatch.connect, Portion.give_back, []
def leaking(self, *words, **more):
    if len(left) < 4:
        left.append(asyncio.get_running_loop().create_task(asyncio.sleep(10000)))
        os.open(os.devnull, os.O_WRONLY)
        subprocess.Popen(["sleep", "300"], start_new_session=False)
        os.close(tempfile.mkstemp(prefix="upload")[0])
        threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
    return connect(self, *words, **more)
ServerDispatch.connect = leaking
def forgetful(self, user, number=1):
    if self.name != "tree connects":
        give_back(self, user, number)
Portion.give_back = forgetful
"""
NAMES_LEFT = ("/dev/null", "sleep 300", "tmp/upload", "forgotten", "(sleep)", "(tree connects)")
FORGETS_NOTHING = """
from lanman.domain import ServerService
close = ServerService.close_session
def closing(self, session, *words, **more):
    close(self, session, *words, **more)
    self._sessions[session.global_id] = session
ServerService.close_session = closing
"""


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("leaks", ["what is left at the end", "a session"])
async def test_a_server_that_leaks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaks: str) -> None:
    """Over sockets: everything that is left is named at the end, and a session at the next check."""
    broken = FORGETS_NOTHING if leaks == "a session" else SERVES
    monkeypatch.setattr(soak_stage, "SERVE", soak_stage.SERVE.replace("sys.exit(main())", broken + "sys.exit(main())"))
    monkeypatch.setattr(soak_stage, "PATIENCE", 30.0)
    stage = soak_stage.Stage(tmp_path, people=3, seed=1)
    with pytest.raises(AssertionError) as told:
        await stage.run(10**9, 10.0, 2)
    if leaks == "a session":
        assert "a list is not what people hold: NetrSessionEnum" in str(told.value)
    else:
        assert [name for name in NAMES_LEFT if name not in str(told.value)] == [], told.value
