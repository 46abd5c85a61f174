"""The audit log: what is always written, and what a peer without an account cannot multiply."""

from __future__ import annotations

import logging

import pytest

from lanman.net import audit
from lanman.net.logs import Journal
from support.memory_server import World
from support.raw_client import RawClient


async def test_renewals_are_written_as_log_ons_are(caplog: pytest.LogCaptureFixture) -> None:
    """Null sessions are renewed by anybody, as often as they like; a session with keys by its user alone."""
    caplog.set_level(logging.INFO, "lanman.audit")
    world, journal = World(), Journal()
    world.service.subscribe(audit.listener(journal))
    nobody, ann = RawClient(world), RawClient(world)
    nobody.log_on()
    ann.log_on("ann")
    for _ in range(5 * audit.BURST):
        assert nobody.renew(sign=False)[0].status == 0
        assert ann.renew()[0].status == 0
    world.disconnect(ann)  # type: ignore[arg-type]
    lines = [record.getMessage() for record in caplog.records]
    of_nobody, of_ann = world.service.sessions()[0].global_id, f"id={ann_id(lines)} "
    renewed = [line for line in lines if line.startswith("session renewed")]
    assert len([line for line in renewed if f"id={of_nobody} " in line]) == audit.BURST
    assert len([line for line in renewed if of_ann in line]) == 5 * audit.BURST
    assert [line for line in lines if line.startswith("session ended") and of_ann in line]
    journal.close()
    assert "session renewed: 40 more like this about 192.0.2.99 were left out" in caplog.text


def ann_id(lines: list[str]) -> str:
    (line,) = (line for line in lines if line.startswith("session opened") and 'user="ann"' in line)
    return line.partition(" id=")[2].partition(" ")[0]
