"""The log file: opened anew, rotated, bounded; and lines that are left out."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from pathlib import Path

import pytest

from lanman.errors import AccessDenied, LanmanError
from lanman.net.logs import FORMAT, Journal, Lines, LogFile
from lanman.server.quiet import PERIOD


def write(log: LogFile, *lines: str) -> None:
    for line in lines:
        log.emit(logging.LogRecord("lanman.server", logging.INFO, "", 0, line, None, None))


def words(path: Path) -> list[str]:
    """The last word of each line."""
    return [line.split()[-1] for line in path.read_text().splitlines()]


def test_after_a_rename_it_goes_on_in_a_new_file_once_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    log = LogFile(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write(log, "one")
    path.rename(tmp_path / "old")
    write(log, "two")
    log.reopen()
    write(log, "three")
    log.close()
    assert words(tmp_path / "old") == ["one", "two"]
    assert words(path) == ["three"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rotation_keeps_so_many_and_no_file_is_larger_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    log = LogFile(path, max_bytes=200, keep=2)
    write(log, *(str(number) for number in range(100)))
    log.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["server.log", "server.log.1", "server.log.2"]
    assert all(each.stat().st_size <= 200 for each in tmp_path.iterdir())
    kept = words(tmp_path / "server.log.2") + words(tmp_path / "server.log.1") + words(path)
    assert kept == [str(number) for number in range(100)][-len(kept) :]
    assert len(kept) > 5


@pytest.mark.parametrize("keep", [0, 3])
def test_where_it_cannot_be_renamed_it_begins_anew_and_stays_bounded(
    tmp_path: Path, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", refuse)
    path = tmp_path / "server.log"
    log = LogFile(path, max_bytes=200, keep=keep)
    write(log, *(str(number) for number in range(100)))
    log.close()
    assert [each.name for each in tmp_path.iterdir()] == ["server.log"]
    assert path.stat().st_size <= 200
    assert words(path)[-1] == "99"


def test_zero_bytes_is_never(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.limit(0, 4)
    write(log, *(["x" * 1000] * 100))
    log.close()
    assert [each.name for each in tmp_path.iterdir()] == ["log"]


def test_a_link_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root")
    (tmp_path / "link").symlink_to("passwd")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", ".", "none/log"):
        with pytest.raises(LanmanError, match="the log cannot be opened"):
            LogFile(tmp_path / name)
    assert (tmp_path / "passwd").read_text() == "root"


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    real = os.open

    def refuse(name: str, *rest: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AccessDenied):
        log.reopen()
    monkeypatch.setattr(os, "open", real)
    write(log, "still")
    log.close()
    assert words(path) == ["still"]


async def test_lines_that_were_left_out_are_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    journal = Journal()
    log = logging.getLogger("lanman.server")
    for _ in range(5):
        journal.say(log, logging.WARNING, "it waits", "192.0.2.1", "%s waits", "192.0.2.1")
    now += PERIOD
    journal.say(log, logging.WARNING, "another", "192.0.2.2", "another")
    journal.say(log, logging.WARNING, "another", "192.0.2.2", "another")
    journal.close()
    assert caplog.messages == [
        "192.0.2.1 waits",
        "it waits: 4 more like this about 192.0.2.1 were left out",
        "another",
        "another: 1 more like this about 192.0.2.2 were left out",
    ]


def test_lines_are_those_of_logging() -> None:
    lines, theirs = Lines(), logging.Formatter(FORMAT)
    for at in (0.0, 1_700_000_000.0005, 1_700_000_000.9999, 1_700_000_001.25, 1_711_846_800.0, 1_700_000_000.5):
        record = logging.LogRecord(
            "lanman.audit", logging.INFO, "", 0, "session opened user=%s id=%d", ("ann", 3), None
        )
        record.created, record.msecs = at, at % 1 * 1000
        assert lines.format(record) == theirs.format(record)
    try:
        raise ValueError("what was wrong")
    except ValueError as error:
        trace = (type(error), error, error.__traceback__)
    record = logging.LogRecord("lanman.server", logging.ERROR, "", 0, "failed", None, trace)
    assert lines.format(record) == theirs.format(record)
    assert "ValueError: what was wrong" in lines.format(record)
