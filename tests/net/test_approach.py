"""What who asks very many servers says of the way to each: known addresses, the time to connect, a word before the
log-on."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator

import pytest

from lanman.errors import AuthenticationError, ConnectionLost, LanmanError, TimedOut
from lanman.manage.doctor.run import examined
from lanman.manage.open import open_manager
from lanman.net.approach import Approach
from lanman.net.credentials import Credentials
from lanman.net.dial import Within, dial
from lanman.net.server_facts import ServerFacts
from support import virtual_time
from support.scripted_windows import ScriptedWindows, windows_2019


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: on Linux what comes beyond it is dropped, as at a black hole."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(2)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield port
        for each in waiting:
            each.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: others refuse what their queue has no room for")
async def test_the_connection_has_a_time_of_its_own(full_port: int) -> None:
    where = (socket.AF_INET, ("127.0.0.1", full_port))
    with pytest.raises(ConnectionLost, match=r"did not answer within 0\.01 seconds") as caught:
        await dial("fs1", full_port, [where], seconds=0.01)
    assert (caught.value.code, isinstance(caught.value, TimedOut)) == (53, False)


async def test_a_known_address_is_not_looked_up() -> None:
    async with ScriptedWindows(windows_2019()) as server:
        approach = Approach(addresses=(server.host,))
        who = Credentials("admin", server.password)
        async with open_manager("no.such.name.invalid", who, port=server.port, approach=approach) as manager:
            assert manager.server == "no.such.name.invalid"
            assert manager.server_address == server.host
            assert manager.server_facts is not None
            assert manager.server_facts.signs


async def test_before_the_log_on_one_may_refuse_and_nothing_has_left() -> None:
    proofs: list[str] = []

    async def refuse(facts: ServerFacts) -> None:
        assert facts.dialect == "3.1.1"
        raise LanmanError("no password for that one", code=1)

    approach = Approach(before_logon=refuse, on_proof=lambda: proofs.append("sent"))
    async with ScriptedWindows(windows_2019()) as server:
        who = Credentials("admin", server.password)
        with pytest.raises(LanmanError, match="no password for that one"):
            async with open_manager(server.host, who, port=server.port, approach=approach):
                pass
        facts, _ = await examined(server.host, who, port=server.port, approach=approach)
    assert proofs == []
    assert facts.failure is not None
    assert facts.failure.code == 1


async def test_it_is_told_when_the_password_can_be_judged() -> None:
    proofs: list[str] = []
    approach = Approach(on_proof=lambda: proofs.append("sent"))
    async with ScriptedWindows(windows_2019()) as server:
        with pytest.raises(AuthenticationError):
            async with open_manager(server.host, Credentials("admin", "x"), port=server.port, approach=approach):
                pass
    assert proofs == ["sent"]


def test_what_is_waited_for_under_suspended_takes_no_time() -> None:
    async def work(clock: virtual_time.VirtualClock) -> None:
        within = Within(10, lambda: "no answer")
        async with within:
            await asyncio.sleep(6)
            with within.suspended():
                await asyncio.sleep(100)
            await asyncio.sleep(3)
        assert within.suspended_for == 100
        with pytest.raises(TimedOut, match="no answer within 10 seconds"):
            await too_long()

    async def too_long() -> None:
        async with (within := Within(10, lambda: "no answer")):
            with within.suspended():
                await asyncio.sleep(100)
            await asyncio.sleep(11)

    virtual_time.run(work)
