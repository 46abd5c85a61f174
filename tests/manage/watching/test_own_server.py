"""Watching this machine's own Server: its stream, exactly once, and what happens when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.domain import Connection, Reason, Share
from lanman.events import LogonRefused
from lanman.manage.manager import Manager
from lanman.manage.open import open_manager
from lanman.manage.watching.changes import Change, Update, What
from lanman.manage.watching.keys import How
from lanman.manage.watching.poller import Poller, watch
from lanman.manage.watching.rows import FileRow, Kind, SessionRow
from lanman.net.credentials import Credentials
from lanman.net.home import Home
from lanman.net.server import SmbServer
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS, running_server
from support.mirror import Mirror, rows_of


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


def log_on(server: SmbServer, number: int, user: str = "ann") -> Any:
    now = asyncio.get_running_loop().time()
    session = server.service.register_session(number, number, rf"\\PC{number}", user, now=now)
    server.flush()
    return session


async def test_what_is_kept_for_a_lost_client_over_ms_srvs(server: SmbServer, tmp_path: Path) -> None:
    """NetrFileEnum has it under the same id, without a user: it stays the same row, of whom it was, and is theirs again
    when it was reclaimed. Whoever looks first while it is kept does not know whose it is."""
    (tmp_path / "data").mkdir()
    service, path = server.service, str(tmp_path / "data/plan")
    service.add_share(share := Share("data", path=str(tmp_path / "data")))

    def come(number: int) -> tuple[Any, Any]:
        service.open_connection(Connection(number, "192.0.2.7"))
        session = service.register_session(number, number, "192.0.2.7", "ann", now=0)
        return session, service.register_tree_connect(session, 1, share, 0)

    session, tree = come(77)
    opened = service.register_open(session, tree, 7, path, 0x3, 0)
    service.make_durable(opened, ("ann", "LANTEST"), 90)
    service.set_oplock(opened, "batch")
    admin = Credentials("admin", PASSWORDS["admin"])

    def polled() -> Poller:
        return watch("127.0.0.1", admin, port=server.port, every=0.01, kinds=["session", "file"])

    def the_file(update: Update) -> FileRow:
        (row,) = [row for row in update.picture.files.values() if (row.path or "").endswith("plan")]
        return row

    def its_changes(updates: list[Update]) -> list[Change]:
        return [
            one for one in changes_of(updates) if isinstance(one.row, FileRow) and (one.row.path or "").endswith("plan")
        ]

    async with polled() as poller:
        update = await anext(poller)
        assert not update.picture.streamed
        assert (the_file(update).user_name, the_file(update).owner) == ("ann", None)
        key = the_file(update).key
        service.close_connection(77)
        updates = await updates_until(poller, lambda changes: any(isinstance(one.row, FileRow) for one in changes))
        (kept,) = its_changes(updates)
        assert kept.what is What.CHANGED
        row = the_file(updates[-1])
        assert (row.key, row.user_name, row.owner, row.client_name) == (key, "", "ann", None)
        async with polled() as later:
            first = await anext(later)
            assert (the_file(first).user_name, the_file(first).owner) == ("", None)
            service.reclaim_open(opened, *come(78))
            for each, known in [(poller, key), (later, the_file(first).key)]:
                updates = await updates_until(
                    each, lambda changes: any(isinstance(one.row, FileRow) for one in changes)
                )
                (back,) = its_changes(updates)
                assert back.what is What.CHANGED
                row = the_file(updates[-1])
                assert (row.key, row.user_name, row.owner) == (known, "ann", None)
                assert (row.client_name, row.client_how) == (r"\\192.0.2.7", How.INFERRED)


async def updates_until(poller: Poller, wanted: Callable[[list[Change]], bool]) -> list[Update]:
    """Updates, until all of their changes are what is wanted."""
    updates: list[Update] = []
    while not wanted([change for update in updates for change in update.changes]):
        updates.append(await anext(poller))
    return updates


def changes_of(updates: list[Update]) -> list[Change]:
    return [change for update in updates for change in update.changes]


async def test_each_thing_once_and_in_order(server: SmbServer) -> None:
    log_on(server, 1)
    mirror = Mirror()
    async with watch(home=server.home.path, every=3600) as poller:
        update = await anext(poller)
        assert update.first
        assert update.picture.streamed
        assert (update.picture.server, update.picture.level) == ("LANTEST", 502)
        (row,) = update.picture.sessions.values()
        assert (row.client_name, row.user_name, row.begun_how) == (r"\\PC1", "ann", How.TOLD)
        mirror.first(update.picture)

        for number in range(2, 40):
            session = log_on(server, number)
            if number % 2:
                server.service.close_session(session, Reason.IDLE)
                server.flush()
        updates = await updates_until(poller, lambda changes: len(changes) == 38 + 19)
        mirror.take(changes_of(updates))
        words = [(change.what, change.row.client_name) for change in changes_of(updates)]  # type: ignore[union-attr]
        wanted: list[tuple[What, str]] = []
        for number in range(2, 40):
            wanted.append((What.OPENED, rf"\\PC{number}"))
            wanted += [(What.CLOSED, rf"\\PC{number}")] * (number % 2)
        assert words == wanted
        assert {change.why for change in changes_of(updates)} == {None, Reason.IDLE.value}
        assert {change.how for change in changes_of(updates)} == {How.TOLD}
        assert mirror.rows == rows_of(poller.picture)


async def test_as_a_manager_lists_them(server: SmbServer, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    server.service.add_share(Share("data", path=str(tmp_path / "data")))
    session = log_on(server, 1)
    now = asyncio.get_running_loop().time()
    tree = server.service.register_tree_connect(session, 1, server.service.shares()[-1], now)
    server.service.register_open(session, tree, 1, f"{tmp_path}/data/\u00e4.txt", 0x120089, now)
    server.flush()
    async with (
        watch(home=server.home.path) as poller,
        open_manager(home=server.home.path) as manager,
    ):
        picture = (await anext(poller)).picture
        assert [row.as_listed() for row in picture.files.values()] == await manager.files()
        listed = await manager.sessions()
        for row, entry in zip(picture.sessions.values(), listed, strict=True):
            shown = row.as_listed(poller._wall_clock())
            assert (shown.client_name, shown.user_name, shown.num_opens) == (r"\\PC1", "ann", entry.num_opens)
            assert (shown.user_flags, shown.client_type, shown.transport) == (
                entry.user_flags,
                entry.client_type,
                entry.transport,
            )
            assert row.key.id == entry.global_id  # type: ignore[attr-defined]
        shares = {share.netname: share for share in await manager.shares()}
        for share in picture.shares.values():
            same = shares[share.name]
            assert (share.type, share.path, share.remark) == (same.type, same.path, same.remark)
            assert (share.max_uses, share.current_uses) == (same.max_uses, same.current_uses)
        assert len(shares) == len(picture.shares)


async def test_a_visit_over_the_network(server: SmbServer) -> None:
    async with watch(home=server.home.path, every=3600) as poller:
        await anext(poller)
        async with open_manager("127.0.0.1", Credentials("admin", PASSWORDS["admin"]), port=server.port) as manager:
            await manager.statistics()
        updates = await updates_until(
            poller,
            lambda changes: any(change.what is What.CLOSED and change.row.kind is Kind.SESSION for change in changes),
        )
        changes = changes_of(updates)
        (pipe,) = [each.row for each in changes if each.what is What.OPENED and isinstance(each.row, FileRow)]
        assert (pipe.path, pipe.user_name, pipe.client_name) == (r"\PIPE\srvsvc", "admin", r"\\127.0.0.1")
        (closed,) = [each for each in changes if each.what is What.CLOSED and isinstance(each.row, SessionRow)]
        assert closed.why == Reason.LOGOFF.value
        assert not poller.picture.sessions
        assert not poller.picture.files


async def test_refused_log_ons_are_told_too(server: SmbServer) -> None:
    async with watch(home=server.home.path, every=3600) as poller:
        await anext(poller)
        server.service.refuse_logon(r"\\PC9", "eve", Reason.CREDENTIALS)
        server.flush()
        update = await anext(poller)
        while not update.events:
            update = await anext(poller)
        (event,) = update.events
        assert isinstance(event, LogonRefused)
        assert not update.changes


async def test_when_sessions_were_used(server: SmbServer) -> None:
    session = log_on(server, 1)
    async with watch(home=server.home.path, every=0.001) as poller:
        await anext(poller)
        # Who reads and writes makes no events.
        server.service.touch(session, asyncio.get_running_loop().time() + 100)
        updates = await updates_until(poller, bool)
        (change,) = changes_of(updates)
        assert change.fields == ("used_at",)
        assert isinstance(change.row, SessionRow)


async def test_who_is_too_slow_is_told_what_is_otherwise(server: SmbServer) -> None:
    first = log_on(server, 1)
    server.feed._max_events = 3
    mirror = Mirror()
    async with watch(home=server.home.path, every=3600) as poller:
        mirror.first((await anext(poller)).picture)
        for number in range(2, 9):
            log_on(server, number)
        server.service.close_session(first, Reason.DELETED)
        server.flush()
        updates = await updates_until(poller, lambda changes: len(changes) >= 8)
        (gap,) = [update.gap for update in updates if update.gap is not None]
        assert gap.since <= gap.until
        assert "missed" in gap.why
        changes = changes_of(updates)
        mirror.take(changes)
        assert len(changes) == 8
        assert [change.how for change in changes if change.what is What.CLOSED] == [How.SEEN]
        assert mirror.rows == rows_of(poller.picture)


async def test_a_server_that_stops_and_starts(tmp_path: Path) -> None:
    mirror = Mirror()
    async with watch(home=tmp_path / "home", every=0.01) as poller:
        update = await anext(poller)
        assert update.picture.error is not None
        assert update.picture.error.code == codes.NERR_ServerNotStarted
        async with running_server(tmp_path / "home") as server:
            poller.look_now()
            while not (update := await anext(poller)).first:
                poller.look_now()
            mirror.first(update.picture)
            log_on(server, 1)
            mirror.take(changes_of(await updates_until(poller, bool)))
            # What comes next is waited for from here on, whether or not an update is.
            mirror.take((await anext(poller)).changes)
        # It has stopped in order: each session has ended, and it says so itself.
        updates = [await anext(poller)]
        while updates[-1].picture.error is None:
            updates.append(await anext(poller))
        mirror.take(changes_of(updates))
        assert [change.why for change in changes_of(updates) if change.row.kind is Kind.SESSION] == ["server stopped"]
        assert updates[-1].picture.error.code == codes.NERR_ServerNotStarted
        configuration = Configuration(name="LANTEST", listen=("127.0.0.1",), port=0)
        async with SmbServer(configuration, Home(tmp_path / "home")) as server:
            log_on(server, 1, "bob")
            updates = []
            while not updates or updates[-1].picture.error is not None:
                poller.look_now()
                updates.append(await anext(poller))
            assert updates[-1].gap is not None
            mirror.take(changes_of(updates))
            (row,) = poller.picture.sessions.values()
            assert row.user_name == "bob"
            assert mirror.rows == rows_of(poller.picture)


async def test_who_may_not_follow_asks(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.server.following.MAX_FOLLOWERS", 0)
    log_on(server, 1)
    async with watch(home=server.home.path, every=0.001) as poller:
        picture = (await anext(poller)).picture
        assert not picture.streamed
        (key,) = picture.sessions
        assert isinstance(key.id, int)
        log_on(server, 2)
        (change,) = changes_of(await updates_until(poller, bool))
        assert (change.what, change.how) == (What.OPENED, How.SEEN)


async def test_over_the_network_it_is_asked(server: SmbServer) -> None:
    credentials = Credentials("admin", PASSWORDS["admin"])
    async with watch("127.0.0.1", credentials, port=server.port, every=0.001, kinds=["session"]) as poller:
        assert len((await anext(poller)).picture.sessions) == 1  # its own
        log_on(server, 7, "bob")
        (change,) = changes_of(await updates_until(poller, bool))
        assert (change.what, change.how) == (What.OPENED, How.SEEN)
        # The connection of who asks is lost too, and made again: its session is taken for the same where that was a
        # moment later, and for another one where the machine took its time.
        for session in server.service.sessions():
            server.service.close_session(session, Reason.DELETED)
        server.flush()
        updates = await updates_until(poller, bool)
        (change,) = [each for each in changes_of(updates) if each.row.key.user_name != "admin"]  # type: ignore[union-attr]
        assert (change.what, change.row.key.user_name) == (What.CLOSED, "bob")  # type: ignore[union-attr]
        assert len(poller.picture.sessions) == 1
        assert all(update.picture.error is None for update in updates)


async def test_what_can_no_longer_be_followed_begins_anew(server: SmbServer) -> None:
    """Rows of the stream and rows of lists do not compare: their keys are made otherwise."""
    log_on(server, 1)
    refuses = False

    @asynccontextmanager
    async def opening() -> AsyncIterator[Manager]:
        async with open_manager(home=server.home.path) as manager:
            if refuses:
                manager.follow = Manager.follow.__get__(manager)  # type: ignore[method-assign]
            yield manager

    async with Poller(opening, every=0.001) as poller:
        assert (await anext(poller)).picture.streamed
        for refuses in (True, False):
            log_on(server, 2 + refuses)
            await poller._leave(None)  # as where the connection was lost
            update = await anext(poller)
            assert (update.first, list(update.changes)) == (True, [])
            assert update.picture.streamed is not refuses
            wanted = {rf"\\PC{number}" for number in ((1, 3) if refuses else (1, 2, 3))}
            assert {row.client_name for row in update.picture.sessions.values()} == wanted
