"""Watching a real smbd: who comes and goes with smbclient, and what is open meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from lanman.manage.watching.changes import VANISHED, Change, Update, What
from lanman.manage.watching.keys import How
from lanman.manage.watching.poller import Poller, watch
from lanman.manage.watching.rows import FileRow, Kind, SessionRow
from lanman.net.credentials import Credentials
from support.mirror import Mirror, rows_of
from support.smbd import Samba

pytestmark = [pytest.mark.samba, pytest.mark.root]


class Watching:
    """A poller of a smbd, and a mirror of what it says. smbclient is waited for in a thread: the poller goes on."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.mirror = Mirror()

    async def until(self, wanted: Callable[[list[Change]], bool]) -> list[Change]:
        """The changes, until all of them are what is wanted; those of whoever asks are left out."""
        changes: list[Change] = []
        while not wanted(changes):
            update: Update = await anext(self.poller)
            assert update.picture.error is None
            if update.first:
                self.mirror.first(update.picture)
            self.mirror.take(update.changes)
            assert self.mirror.rows == rows_of(update.picture)
            changes += [
                change
                for change in update.changes
                if not (isinstance(change.row, SessionRow | FileRow) and change.row.user_name == "root")
            ]
        return changes

    def sessions(self, user: str) -> list[SessionRow]:
        return [row for row in self.poller.picture.sessions.values() if row.user_name == user]


@pytest.fixture
async def watching(samba: Samba) -> AsyncIterator[Watching]:
    who = samba.administrator
    credentials = Credentials(who.user_name, who.password)
    async with watch(samba.host, credentials, port=samba.port, every=0.1, timeout=60) as poller:
        watching = Watching(poller)
        watching.mirror.first((await anext(poller)).picture)
        yield watching


async def test_who_comes_and_goes(samba: Samba, watching: Watching) -> None:
    ann = samba.user
    client = await asyncio.to_thread(samba.hold, ann)
    try:
        changes = await watching.until(lambda changes: any(change.what is What.OPENED for change in changes))
        opened = next(change for change in changes if change.row.kind is Kind.SESSION)
        assert isinstance(opened.row, SessionRow)
        assert (opened.row.user_name, opened.how) == (ann.user_name, How.SEEN)
        assert opened.after is not None
        assert opened.after <= opened.at
        # Samba knows no idle times, and so who is idle has nothing to tell.
        assert opened.row.used_at is None
        await asyncio.to_thread(client.command, "put /etc/hostname a.txt")
        await asyncio.to_thread(client.command, "open a.txt")
        changes = await watching.until(
            lambda changes: any(
                isinstance(change.row, FileRow) and (change.row.path or "").endswith("a.txt") for change in changes
            )
        )
        file = next(
            change.row
            for change in changes
            if isinstance(change.row, FileRow) and (change.row.path or "").endswith("a.txt")
        )
        assert file.user_name == ann.user_name
        assert (file.client_how, file.client_name) == (How.INFERRED, opened.row.client_name)
        assert file.opened_how is How.SEEN
    finally:
        await asyncio.to_thread(client.close)
    changes = await watching.until(
        lambda changes: any(change.what is What.CLOSED and change.row.kind is Kind.SESSION for change in changes)
    )
    closed = [change for change in changes if change.what is What.CLOSED]
    assert {change.why for change in closed} == {VANISHED}
    assert not watching.sessions(ann.user_name)


async def test_of_two_alike_one_goes(samba: Samba, watching: Watching) -> None:
    ann = samba.user
    first = await asyncio.to_thread(samba.hold, ann)
    second = await asyncio.to_thread(samba.hold, ann)
    try:
        await watching.until(
            lambda changes: (
                sum(change.what is What.OPENED and change.row.kind is Kind.SESSION for change in changes) == 2
            )
        )
        assert len(watching.sessions(ann.user_name)) == 2
        await asyncio.to_thread(first.close)
        changes = await watching.until(
            lambda changes: any(change.what is What.CLOSED and change.row.kind is Kind.SESSION for change in changes)
        )
        sessions = [change for change in changes if change.row.kind is Kind.SESSION]
        assert [change.what for change in sessions if change.what is not What.CHANGED] == [What.CLOSED]
        assert len(watching.sessions(ann.user_name)) == 1
    finally:
        await asyncio.to_thread(first.close)
        await asyncio.to_thread(second.close)
