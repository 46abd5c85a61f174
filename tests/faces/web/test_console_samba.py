"""The web console in front of Samba: what it cannot is said where one would order it. And as the command serves it."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from support.smbd import Samba
from support.waiting import free_port
from support.web_pages import Browsing, axe

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.posix, pytest.mark.root, pytest.mark.samba]


async def log_in(page: Page, user: str, password: str) -> None:
    await page.get_by_label("User").fill(user)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Log in").click()


async def test_samba_behind_the_command(start_samba: Callable[..., Samba], browsing: Browsing) -> None:
    from playwright.async_api import expect

    samba = start_samba()
    (samba.share / "a.txt").write_text("a file\n")
    (samba.share / "a.txt").chmod(0o666)
    port = free_port()
    words = ["-m", "lanman", "web", "-S", samba.host, "-p", str(samba.port), "--listen", f"127.0.0.1:{port}"]
    command = await asyncio.create_subprocess_exec(
        sys.executable, *words, "-N", stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert command.stderr is not None
    try:
        while b"once=" not in await command.stderr.readline():
            assert command.returncode is None
        with samba.hold(samba.user) as client:
            client.command("open a.txt")
            page = await browsing.page()
            browsing.allow("ERR_")  # of the stream, at the end
            await page.goto(f"http://127.0.0.1:{port}/")
            await log_in(page, samba.administrator.user_name, samba.administrator.password)
            await expect(page.get_by_role("button", name="Log out")).to_be_visible()
            name = f"{samba.host}:{samba.port}"
            await page.goto(f"http://127.0.0.1:{port}/#/server/{name}/files")
            await expect(page.get_by_role("row").filter(has_text="a.txt")).to_be_visible()
            await page.goto(f"http://127.0.0.1:{port}/#/server/{name}/settings")
            pause = page.get_by_role("button", name=re.compile("^Pause"))
            await expect(pause).to_have_attribute("aria-disabled", "true")
            await expect(pause).to_have_attribute("title", re.compile("pause", re.IGNORECASE))
            assert await axe(page) == []
            # A stream is open, and the command ends all the same.
            command.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await command.wait() == 0
    finally:
        if command.returncode is None:
            command.kill()
            await command.wait()
    assert samba.administrator.password.encode() not in await command.stderr.read()
