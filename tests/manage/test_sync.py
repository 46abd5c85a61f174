"""The Manager for programs without asyncio: in threads, inside running loops, interrupted, forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

import lanman
from lanman.errors import ConnectionLost, Win32Error
from lanman.manage import manager as interface
from lanman.manage import open as open_module
from lanman.manage import sync
from lanman.manage.link import SmbLink
from lanman.manage.manager import CloseResult, Manager, Sessions
from lanman.records import SessionInfo


class Fake(Manager):
    """Answers from memory, and remembers what it was asked."""

    server = "fs1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.closed = 0
        self.cancelled = threading.Event()
        self.waiting = threading.Event()

    async def close(self) -> None:
        self.closed += 1

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        if user == "never":
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return Sessions("fs1", level or 502, [SessionInfo(client, user)])

    async def close_sessions(self, sessions: Sequence[SessionInfo], **_: Any) -> list[CloseResult]:
        return [CloseResult(session) for session in sessions]

    async def file(self, id: int) -> Any:
        raise interface.no_such_file(id)


def _answer(name: str) -> Any:
    async def method(self: Fake, *arguments: Any, **options: Any) -> Any:
        self.asked.append((name, arguments or options or None))
        return name

    return method


OTHERS = (
    "connections files close_file shares share add_share set_share delete_share "
    "server_info set_autodisconnect set_comment set_hidden statistics"
)
LAST = ["time_of_day", "transports", "service_state", "pause", "continue_"]
for _name in [*OTHERS.split(), *LAST]:
    setattr(Fake, _name, _answer(_name))
Fake.__abstractmethods__ = frozenset()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()  # type: ignore[abstract]  # the loop above makes it whole

    @contextlib.asynccontextmanager
    async def opening(*_: object, **__: object) -> AsyncIterator[Manager]:
        async with fake:
            yield fake

    monkeypatch.setattr(sync, "open_manager", opening)
    return fake


def test_every_method_is_there(fake: Fake) -> None:
    with lanman.connect("fs1") as manager:
        assert manager.server == "fs1"
        assert manager.sessions(client="pc7", user="ann", level=10) == Sessions("fs1", 10, [SessionInfo("pc7", "ann")])
        assert manager.session("pc7", "ann") == SessionInfo("pc7", "ann")
        assert manager.close_sessions([SessionInfo("pc7")]) == [CloseResult(SessionInfo("pc7"))]
        with pytest.raises(Win32Error):
            manager.file(7)
        manager.connections("data")
        manager.files(path="/srv", user="ann", client="pc7")
        manager.close_file(7)
        manager.shares(1)
        manager.share("data")
        manager.add_share("docs", "/srv/docs", remark="all", max_users=3)
        manager.set_share("docs", max_users=0)
        manager.delete_share("docs")
        manager.server_info(102)
        manager.set_autodisconnect(-1)
        manager.set_comment("text")
        manager.set_hidden(True)
        manager.statistics()
        manager.time_of_day()
        manager.transports()
        manager.service_state()
        manager.pause()
        manager.continue_()
    assert [name for name, _ in fake.asked] == [*OTHERS.split(), *LAST]
    assert fake.asked[1][1] == {"path": "/srv", "user": "ann", "client": "pc7"}
    assert fake.closed == 1


def test_the_same_methods_as_the_manager() -> None:
    # `run` does what these do.
    public = {name for name in vars(Manager) if not name.startswith("_")} - {"end_sessions", "end_files"} | {"run"}
    assert public <= set(dir(sync.BlockingManager))


async def test_inside_a_running_loop(fake: Fake) -> None:
    with lanman.connect("fs1") as manager:
        assert manager.sessions().level == 502


def test_from_several_threads(fake: Fake) -> None:
    answers: list[Sessions] = []
    with lanman.connect("fs1") as manager:
        threads = [threading.Thread(target=lambda: answers.append(manager.sessions())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 8


def test_closed_is_closed(fake: Fake) -> None:
    before = threading.active_count()
    manager = lanman.connect("fs1")
    manager.close()
    manager.close()
    assert fake.closed == 1
    assert threading.active_count() == before
    with pytest.raises(ConnectionLost, match="closed"):
        manager.sessions()


def test_an_interrupt_cancels_the_call(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.run_coroutine_threadsafe

    class Interrupted:
        def __init__(self, future: Any) -> None:
            self.future = future

        def result(self) -> None:
            fake.waiting.wait(60)
            raise KeyboardInterrupt

        def cancel(self) -> None:
            self.future.cancel()

    with lanman.connect("fs1") as manager:
        monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", lambda *a: Interrupted(real(*a)))
        with pytest.raises(KeyboardInterrupt):
            manager.sessions(user="never")
        monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", real)
        assert fake.cancelled.wait(60)


def test_a_failure_to_connect_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(Win32Error) as raised:
        lanman.connect("\\\\")
    assert raised.value.code == 2351
    assert threading.active_count() == before


@pytest.mark.parametrize(("is_samba", "kind"), [(False, "SrvsvcManager"), (True, "SambaManager")])
def test_the_manager_is_of_the_kind_of_the_server(is_samba: bool, kind: str) -> None:
    link = SmbLink("fs1", 445, lanman.Credentials("ann", "secret"), is_samba=is_samba)
    assert open_module._kind(link).__name__ == kind
