"""The Server as it is assembled: in one place, for the shell as for the tests."""

from __future__ import annotations

import re
from pathlib import Path

from lanman.domain import STYPE_IPC, STYPE_SPECIAL, Event
from lanman.server.core import Server
from lanman.settings import Configuration, RunningSettings

ROOT = Path(__file__).parents[2]
ASSEMBLED = re.compile(r"(?<![\w.])(?:ServerDispatch|SessionTable)\(")


def new_server(settings: RunningSettings | None = None) -> Server:
    return Server(settings or RunningSettings(), bytes, lambda now: 1.7e9 + now, guid=bytes(16), start=1_700_000_000)


def test_its_parts_belong_together() -> None:
    settings = RunningSettings(Configuration(name="FS1"))
    server = new_server(settings)
    assert server.dispatch.service is server.service
    assert server.dispatch.pipes is server.pipes
    assert server.dispatch.has_pipe("srvsvc")
    assert server.scheduler is server.dispatch.scheduler
    assert server.service.counters.start == 1_700_000_000
    (share,) = server.service.shares()
    assert (share.name, share.type) == ("IPC$", STYPE_IPC | STYPE_SPECIAL)


def test_a_connection_goes_by_the_settings_of_its_moment() -> None:
    settings = RunningSettings(Configuration(encryption="required", signing="required"))
    server = new_server(settings)
    first = server.dispatch.connect("192.0.2.1", 5.0)
    settings.current = Configuration(encryption="off", signing="offered")
    second = server.dispatch.connect("192.0.2.2", 6.0)
    assert first is not None
    assert second is not None
    assert (bool(first.core._terms.ciphers), bool(second.core._terms.ciphers)) == (True, False)
    assert (first.core._terms.signing_required, second.core._terms.signing_required) == (True, False)


def test_events_have_the_time_that_the_shell_told_last() -> None:
    server = new_server()
    events: list[Event] = []
    server.service.subscribe(events.append)
    server.dispatch.connect("192.0.2.1", 7.25)
    assert [event.time for event in events] == [1.7e9 + 7.25] * len(events)
    assert events


def test_there_is_no_second_assembly() -> None:
    places = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if ASSEMBLED.search(path.read_text(encoding="utf-8"))
    }
    assert places == {"src/lanman/server/core.py", "src/lanman/server/dispatch.py"}
