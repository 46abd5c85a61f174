"""The screen on real Servers: followed over the control socket, and asked over SMB like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import lanman
from lanman.domain import Reason
from lanman.faces.tui.sources import PolledServer
from lanman.net.server import SmbServer
from support.loopback_server import PASSWORDS, running_server
from support.scripted_watch import Terminal
from support.smbd import Samba


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


def log_on(server: SmbServer, number: int, user: str) -> None:
    now = asyncio.get_running_loop().time()
    server.service.register_session(number, number, f"PC{number}", user, now=now)
    server.flush()


def users(server: SmbServer) -> list[str]:
    return [session.user_name for session in server.service.sessions()]


async def seen(terminal: Terminal, *texts: str, without: str = "") -> str:
    """Wait for what the screen is to show: a thousand pauses at most."""
    for _ in range(1000):
        shown = "\n".join(await terminal.settled())
        if all(text in shown for text in texts) and not (without and without in shown):
            return shown
    raise AssertionError(f"it never showed {texts} without {without!r}:\n{shown}")


async def test_our_own_server_tells_and_is_told(server: SmbServer) -> None:
    source = PolledServer("own", lambda: lanman.open_manager(home=server.home.path))
    terminal = Terminal(source, real_time=True)
    log_on(server, 1, "ann")
    async with terminal.shown(120):
        shown = await seen(terminal, "PC1")
        assert "LANTEST  1 session  0 files  told as it happens" in shown
        log_on(server, 2, "bob")
        await seen(terminal, "LANTEST  2 sessions (+1", r"+ bob \\PC2")
        server.service.close_session(server.service.sessions()[0], Reason.DELETED)
        server.flush()
        await seen(terminal, r"[gone]", "ended by an administrator")
        # The cursor is still on what has gone, so this means nobody.
        await terminal.press("w", "e")
        assert users(server) == ["bob"]
        await terminal.press("down", "e")
        await seen(terminal, "End 1 session on LANTEST?")
        await terminal.press("y")
        await seen(terminal, "1 done, 0 spared, 0 failed")
        assert users(server) == []


async def test_a_server_is_asked_and_told_over_smb_and_our_own_session_stays(server: SmbServer) -> None:
    credentials = lanman.Credentials("admin", PASSWORDS["admin"])
    source = PolledServer(
        "127.0.0.1", lambda: lanman.open_manager("127.0.0.1", credentials, port=server.port), every=60
    )
    terminal = Terminal(source, every=60, real_time=True)
    log_on(server, 1, "ann")
    async with terminal.shown(120):
        await seen(terminal, "ann", "admin", "every 60 s")
        log_on(server, 2, "bob")
        source.look_now()
        await seen(terminal, "bob")
        await terminal.press("w", "home", "space", "space", "space", "e")
        await seen(terminal, "YOUR OWN, left alone", "Escape: no" if "UNSAVED" in "".join(terminal.lines) else "End 3")
        await terminal.press("y")
        await seen(terminal, "2 done, 1 spared, 0 failed")
        assert users(server) == ["admin"]
        await terminal.press("escape")
        # It is asked again at once, and not when a minute has passed.
        await seen(terminal, "127.0.0.1  1 session (+1")


async def test_a_server_that_stops_and_comes_back(tmp_path: Path) -> None:
    source = PolledServer("own", lambda: lanman.open_manager(home=tmp_path / "home"), every=0.05)
    terminal = Terminal(source, every=0.05, real_time=True)
    async with terminal.shown(120):
        async with running_server(tmp_path / "home") as server:
            source.look_now()
            log_on(server, 1, "ann")
            await seen(terminal, "ann")
        await seen(terminal, "AWAY for", "does not answer", without="told as it happens")
        assert terminal.screen.lines.dimmed
        async with SmbServer(server.configuration, server.home):
            source.look_now()
            await seen(terminal, "answers again", "told as it happens", without="AWAY")
            assert not terminal.screen.lines.dimmed


@pytest.mark.samba
@pytest.mark.root
async def test_a_real_smbd_says_no_idle_times_and_closes_a_file(samba: Samba) -> None:
    who, ann = samba.administrator, samba.user
    credentials = lanman.Credentials(who.user_name, who.password)
    source = PolledServer(
        "smbd", lambda: lanman.open_manager(samba.host, credentials, port=samba.port, timeout=60), every=0.2
    )
    client = await asyncio.to_thread(samba.hold, ann)
    try:
        await asyncio.to_thread(client.command, "put /etc/hostname a.txt")
        await asyncio.to_thread(client.command, "open a.txt")
        terminal = Terminal(source, every=0.2, real_time=True)
        async with terminal.shown(120):
            await seen(terminal, f" {ann.user_name} ", "every 0.2 s", "level 1")
            assert terminal.row(f" {ann.user_name} ").split()[-4] == "-"
            await terminal.press("2")
            await seen(terminal, "a.txt")
            await terminal.press("slash", *"a.txt", "enter", "w", "c")
            await seen(terminal, "Close 1 file on")
            await terminal.press("escape")
            assert len((await asyncio.to_thread(samba.status))["open_files"]) == 1
            await terminal.press("c")
            shown = await seen(terminal, "Close 1 file on")
            await terminal.press(*(["y"] if "y: yes" in shown else [*shown.split("Type ")[1].split()[0], "enter"]))
            await seen(terminal, "1 done, 0 spared, 0 failed")
            await terminal.press("escape")
            await seen(terminal, "[gone]")
            assert not (await asyncio.to_thread(samba.status))["open_files"]
    finally:
        await asyncio.to_thread(client.close)
