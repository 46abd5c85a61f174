"""Take the pictures of `lanman watch` that stand in the documents, anew.

    .venv/bin/python demo/screenshots.py [FOLDER]

A Server of our own starts in a temporary folder, on the loopback interface, with people on it who have files open. The
screen runs without a terminal, keys are pressed, and what it shows is written as SVG into FOLDER (docs/images). Nothing
in the pictures is invented but the people.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from textual.pilot import Pilot

import lanman
from lanman.faces.tui.app import WatchScreen
from lanman.faces.tui.sources import PolledServer
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.smb2.messages import CreateRequest

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZE = (120, 18)

READ, WRITE = 0x80000000, 0xC0000000
SHARE_ALL, OPEN = 7, 1

# Who comes from where, and has which files of which share open for what.
PEOPLE = [
    ("bob", 21, "projects", {"budget.xlsx": WRITE, "plan.docx": READ}),
    ("carol", 22, "projects", {"budget.xlsx": READ}),
    ("dave", 9, "pub", {"menu.pdf": READ}),
    ("eve", 100, "pub", {}),
    ("frank", 30, "projects", {"minutes.txt": WRITE}),
]
FILES = {"projects": ("budget.xlsx", "plan.docx", "minutes.txt"), "pub": ("menu.pdf",)}


@asynccontextmanager
async def visitor(
    port: int, user: str, password: str, number: int, share: str, files: dict[str, int]
) -> AsyncIterator[None]:
    """One user at a workstation, with files open."""
    client = SmbClient("127.0.0.1", port, Credentials(user, password), local_address=workstation(number))
    try:
        await client.connect()
        await client.log_on()
        tree = await client.tree_connect(share)
        for name, access in files.items():
            request = CreateRequest(
                name=name, desired_access=access, share_access=SHARE_ALL, create_disposition=OPEN, create_options=0x40
            )
            (answer,) = await client.request_all([request], tree)
            if answer.status:
                raise SystemExit(f"{name} cannot be opened: {answer.status:#x}")
        yield
    finally:
        await client.abort()


def workstation(number: int) -> str:
    """A loopback address for each workstation; "" where the system has 127.0.0.1 alone."""
    return f"127.0.0.{number}" if sys.platform == "linux" else ""


@contextmanager
def folder_to_serve() -> Iterator[Path]:
    """A folder for a while: one whose name looks well in a picture, where that can be made."""
    folder = Path("/srv/demo")
    try:
        folder.mkdir()
    except OSError:
        with tempfile.TemporaryDirectory(prefix="lanman-") as other:
            yield Path(other)
        return
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def scene() -> AsyncIterator[lanman.Server]:
    """A Server with people on it."""
    passwords = {name: secrets.token_urlsafe(12) for name, *_ in PEOPLE} | {"mallory": secrets.token_urlsafe(12)}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_to_serve())
        for share, names in FILES.items():
            (folder / share).mkdir()
            for name in names:
                (folder / share / name).write_text("a picture's file\n")
        shares = {share: {"path": str(folder / share), "write": list(passwords)} for share in FILES}
        server = await stack.enter_async_context(lanman.Server(shares, passwords, name="fs1"))
        for user, number, share, files in PEOPLE:
            await stack.enter_async_context(visitor(server.port, user, passwords[user], number, share, files))
        yield server


async def until(pilot: Pilot[int], text: str) -> None:
    """Wait until the screen shows a text, ten seconds at most."""
    deadline = time.monotonic() + 10
    while text not in shown(pilot):
        if time.monotonic() > deadline:
            raise SystemExit(f"the screen does not show {text!r}:\n{shown(pilot)}")
        await pilot.pause(0.05)


def shown(pilot: Pilot[int]) -> str:
    """What the terminal would show."""
    return "\n".join(strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips())


def take(pilot: Pilot[int], folder: Path, name: str) -> None:
    """Write what is shown as a picture."""
    picture = pilot.app.export_screenshot(title="lanman watch")
    # Fonts are the reader's own: a page of documents fetches nothing from anywhere.
    picture = re.sub(r"@font-face\s*\{.*?\}", "", picture, flags=re.DOTALL).replace("Fira Code, ", "")
    (folder / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE), encoding="utf-8")
    print(folder / f"{name}.svg")


async def pictures(server: lanman.Server, folder: Path) -> None:
    """Press keys, and take a picture of each tab and of a question."""
    source = PolledServer("fs1", lambda: lanman.open_manager(home=server.home))
    async with WatchScreen([source]).run_test(size=SIZE) as pilot:
        await until(pilot, "frank")
        await pilot.press("s")
        take(pilot, folder, "watch-sessions")
        await pilot.press("2")
        await until(pilot, "budget.xlsx")
        take(pilot, folder, "watch-files")
        await pilot.press("x")
        await until(pilot, "Closing it")
        take(pilot, folder, "watch-explain")
        await pilot.press("escape", "1", "w", "space", "space", "e")
        await until(pilot, "Escape: no")
        take(pilot, folder, "watch-plan")
        await pilot.press("escape")
        await until(pilot, "Nothing was done")
        server.end_sessions(user="eve")
        await pilot.press("4")
        await until(pilot, "closed")
        take(pilot, folder, "watch-events")


async def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    async with scene() as server:
        await pictures(server, folder)


if __name__ == "__main__":
    asyncio.run(main())
