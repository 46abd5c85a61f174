"""Policies at real servers: our own, and an smbd; people are told by a real program."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.manage.policies.runner import Runner
from lanman.manage.policies.words import Event, What
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from support.loopback_server import PASSWORDS, running_server
from support.smbd import Account, Samba

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the program that tells people is a shell's")

TELL = """#!/bin/sh
echo "$LANMAN_USER is told: $1" >> "$0.log"
"""


class Place:
    """The files of a runner, and what it says. Events are waited for, since real servers take real time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "lanman"
        self.folder.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
        program = self.folder / "tell"
        program.write_text(TELL)
        program.chmod(0o755)
        (self.folder / "lanman.toml").write_text(f'[command]\nargv = ["{program}", "{{message}}"]\n')
        self.database = folder / "db"
        self.events: list[Event] = []
        self._happened = asyncio.Event()

    def write(self, server: str, *policies: str) -> None:
        text = "".join(f'[policies.{part}servers = ["{server}"]\n' for part in policies)
        (self.folder / "policies.toml").write_text(f'every = "1s"\n{text}')

    @property
    def told(self) -> list[str]:
        log = self.folder / "tell.log"
        return log.read_text().splitlines() if log.exists() else []

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._happened.set()

    def said(self, what: What) -> list[Event]:
        return [event for event in self.events if event.what is what]

    async def until(self, what: What, number: int = 1) -> None:
        while len(self.said(what)) < number:
            self._happened.clear()
            try:
                await asyncio.wait_for(self._happened.wait(), 30)
            except TimeoutError:
                raise AssertionError(f"{what} did not happen, but {self.events}") from None

    @asynccontextmanager
    async def running(self, credentials: Credentials, **how: Any) -> AsyncIterator[None]:
        runners: list[Runner] = []
        work = lanman.run_policies(
            credentials=credentials, database=self.database, on_event=self._on_event, ready=runners.append, **how
        )
        task = asyncio.ensure_future(work)
        try:
            yield
        finally:
            runners[0].stop()
            await task


@asynccontextmanager
async def guest(host: str, port: int, user: str, password: str, number: int) -> AsyncIterator[SmbClient]:
    """Somebody with a session, from an address of their own."""
    client = SmbClient(host, port, Credentials(user, password), local_address=f"127.0.0.{number}")
    try:
        await client.connect()
        await client.log_on()
        yield client
    finally:
        await client.abort()


async def test_our_own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch)
    async with running_server(tmp_path / "home") as server:
        port = server.port
        place.write(
            f"127.0.0.1:{port}",
            'mine]\nmode = "enforce"\nselect = { age = "1s", not_user = "b*" }\ntell = { before = "2s" }\n',
            'seen]\nselect = { user = "bob" }\ntell = false\n',
        )
        admin = Credentials("admin", PASSWORDS["admin"])
        async with (
            guest("127.0.0.1", port, "ann", PASSWORDS["ann"], 21),
            guest("127.0.0.1", port, "bob", PASSWORDS["bob"], 22),
        ):
            async with place.running(admin):
                await place.until(What.TOLD)
                [told] = place.said(What.TOLD)
                assert told.promise is not None
                assert told.promise.user_name == "ann"
                [planned, _] = await lanman.plan_policies(credentials=admin, database=place.database)
                [ann] = [one for one in planned.meant if one.match.seen.entry.user_name == "ann"]
                assert (ann.now, ann.due_at) == ("wait", told.promise.due_at)
                status = await lanman.policy_status(database=place.database)
                assert status.holder is not None
                assert status.holder.pid == os.getpid()
                await place.until(What.ENDED)
                await place.until(What.REPORTED)
            # The one that asks is a session of admin's, and neither told nor ended.
            left = {session.user_name for session in server.service.sessions()}
            assert "bob" in left
            assert "ann" not in left
    [ended] = place.said(What.ENDED)
    assert ended.at >= told.promise.due_at
    assert len(place.told) == 1
    assert place.told[0].startswith(
        f"ann is told: Your connection to the file server 127.0.0.1:{port} from 127.0.0.21 will be"
    )


@pytest.mark.samba
@pytest.mark.root
async def test_this_machines_smbd(samba: Samba, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells no idle times: what needs them skips it. The rest is done there, too."""
    place = Place(tmp_path, monkeypatch)
    place.write(
        f"{samba.host}:{samba.port}",
        'mine]\nmode = "enforce"\nselect = { age = "1s", not_user = ["games"] }\ntell = { before = "2s" }\n',
        'idle]\nmode = "enforce"\nselect = { idle = "1s" }\n',
    )

    def come(account: Account, number: int) -> Any:
        return guest(samba.host, samba.port, account.user_name, account.password, number)

    root = Credentials("root", samba.administrator.password)
    async with come(samba.user, 21), come(samba.other_user, 22):
        async with place.running(root):
            await place.until(What.ENDED)
        async with lanman.open_manager(samba.host, root, port=samba.port) as manager:
            users = {session.user_name for session in await manager.sessions()}
    assert samba.other_user.user_name in users
    assert samba.user.user_name not in users
    [skipped] = place.said(What.SKIPPED)
    assert (skipped.policy, skipped.text) == ("idle", "it does not say idle times: `idle` cannot be decided")
    assert [line.split(" is told")[0] for line in place.told] == [samba.user.user_name]
