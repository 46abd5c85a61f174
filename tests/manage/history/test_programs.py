"""History for programs: the page's program, and the same without asyncio."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lanman
from lanman.net.credentials import Credentials
from support.loopback_server import PASSWORDS, running_server

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "who-was-connected.md"


@pytest.mark.posix
def test_the_page_prints_what_stands_below_its_code() -> None:
    program = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert program is not None
    done = subprocess.run([sys.executable, "-c", program[1]], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == (program[2], 0), done.stderr


@pytest.mark.posix
async def test_without_asyncio(tmp_path: Path) -> None:
    url = tmp_path / "history"

    def record(home: Path) -> None:
        with lanman.blocking_record_history(url=url, home=home, keep=1, paths=False) as recorder:
            assert next(recorder).first
            ready.set()
            for update in recorder:
                if any(change.what.value == "closed" for change in update.changes):
                    break

    ready = threading.Event()
    async with running_server(tmp_path / "home") as server:
        recording = asyncio.create_task(asyncio.to_thread(record, server.home.path))
        await asyncio.to_thread(ready.wait)
        ann = Credentials("ann", PASSWORDS["ann"])
        async with lanman.open_manager("127.0.0.1", ann, port=server.addresses[0][1]) as manager:
            await manager.time_of_day()
        await recording
    with lanman.blocking_history(url) as history:
        (watched,) = history.watched()
        assert (watched.every, watched.paths) == (None, False)
        (stay,) = [stay for stay in history.by_user("ann").stays if stay.kind.value == "session"]
        assert stay.why == "logged off"
        assert stay.ended_at is not None
        assert stay in history.at(stay.begun_at, user="ann").stays
        assert stay in history.between(stay.begun_at, stay.ended_at, client="127.0.0.1").stays
        assert stay in list(history.export(0, stay.ended_at))
        assert history.who("*").stays == []
        assert stay in history.by_client("127.0.0.1", server=stay.server).stays
        history.note_deed(lanman.Deed(stay.ended_at, stay.server, "me", "end", "done", user_name="ann"))
        assert [deed.who for deed in history.deeds(0, stay.ended_at)] == ["me"]
        assert history.stats().deeds == 1
        assert history.gaps(0, 1)[0].ended_at == watched.since
    history.close()
    with pytest.raises(lanman.ConnectionLost):
        history.stats()


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(lanman.LanmanError, match="nothing was recorded there"):
        lanman.blocking_history(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    for wrong in ((), "fs1"):
        with pytest.raises(ValueError, match="a list of names"):
            lanman.blocking_record_history(wrong, url=tmp_path / "x")
    with pytest.raises(ValueError, match="positive"):
        lanman.blocking_record_history(url=tmp_path / "x", every=0)
