"""A listener of the domain's events that raises disturbs nobody, and the log says which one it was, and when."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lanman import open_manager
from lanman.domain import Reason, Session, SessionClosed
from lanman.events import Event, SessionOpened
from lanman.net.control.client import ControlClient
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.rpc.srvsvc import NetrSessionDel
from lanman.server.sessions import SessionTable
from support.loopback_server import PASSWORDS, running_server
from support.waiting import until

ADMIN = Credentials("admin", PASSWORDS["admin"])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


async def test_a_client_gets_its_answers_and_the_lists_stay_true(
    server: SmbServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: Event) -> None:
        raise RuntimeError(f"cannot take {type(event).__name__}")

    heard: list[Event] = []
    server.service.subscribe(fails, name="bad listener")
    server.service.subscribe(heard.append)
    async with open_manager("127.0.0.1", ADMIN, port=server.port) as manager:
        sessions = await manager.sessions()
        assert [entry.user_name for entry in sessions.entries] == ["admin"]
        assert len(server.service.sessions()) == 1
    service = server.service
    # Nobody waits for the answer to LOGOFF.
    await until(lambda: not service.sessions())
    assert not (service.opens())
    assert not (service.tree_connects())
    assert server.service.counters.sopens == 0
    assert [event.sequence for event in heard] == list(range(heard[0].sequence, heard[0].sequence + len(heard)))
    assert {SessionOpened, SessionClosed} <= {type(event) for event in heard}
    failures = [record for record in caplog.records if "bad listener failed" in record.getMessage()]
    (failure,) = failures  # once in a while, however often it fails
    assert failure.getMessage() == f"bad listener failed on event {heard[0].sequence}, ConnectionOpened"
    assert failure.levelno == logging.ERROR
    assert failure.exc_info is not None
    assert str(failure.exc_info[1]) == "cannot take ConnectionOpened"
    server.journal.close()
    assert f"bad listener failed: {len(heard) - 1} more like this" in caplog.text


async def test_an_error_while_a_session_is_let_go_of_stops_nobody(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has ended it has an answer, nothing is left of it, and its client logs on again."""

    def fails(sessions: SessionTable, session: Session, reason: Reason) -> None:
        raise RuntimeError("cannot let go")

    heard: list[Event] = []
    server.service.subscribe(heard.append, SessionClosed)
    async with open_manager("127.0.0.1", ADMIN, port=server.port) as manager:
        await manager.statistics()
        with monkeypatch.context() as patch:
            patch.setattr(SessionTable, "session_closed", fails)
            async with ControlClient(server.home.control) as control:
                assert (await control.call(NetrSessionDel(None, None, "admin"))).status == 0
        assert server.service.sessions() == []
        assert server.service.opens() == []
        assert [event.session.user_name for event in heard if isinstance(event, SessionClosed)] == ["admin"]
        assert "fails failed on what has ended" in caplog.text
        await manager.statistics()
        assert len(server.service.sessions()) == 1
