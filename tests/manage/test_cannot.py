"""What a Manager says that its server cannot do, it indeed refuses with ERROR_NOT_SUPPORTED; and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

import lanman
from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.ksmbd.kernel import Kernel
from lanman.manage.ksmbd.manager import KsmbdManager
from lanman.manage.manager import NOTHING, ORDERS, Manager
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.manage.samba_local.tools import SambaTools
from lanman.manage.sync import BlockingManager
from lanman.net.credentials import Credentials
from lanman.records import FileInfo, SessionInfo
from support.loopback_server import PASSWORDS, running_server
from support.smbd import Samba

Ask = Callable[[Manager], Awaitable[Any]]

# An order of each kind that finds nobody, or changes nothing, where it can be given.
PROBES: dict[str, tuple[Ask, ...]] = {
    "end": (lambda manager: manager.plan_sessions([SessionInfo(r"\\192.0.2.77", "nobody-there")]),),
    "close": (lambda manager: _closing(manager),),
    "share": (
        lambda manager: manager.add_share("x", "/nowhere/at/all"),
        lambda manager: manager.set_share("no-such-share", remark="x"),
        lambda manager: manager.delete_share("no-such-share"),
    ),
    "set": (
        lambda manager: manager.set_comment("another"),
        lambda manager: manager.set_autodisconnect(77),
        lambda manager: manager.set_hidden(True),
    ),
    "pause": (lambda manager: manager.pause(), lambda manager: manager.continue_()),
}


async def _closing(manager: Manager) -> None:
    if isinstance(manager, SambaLocalManager):
        # The only way to one file is over the network: without it there is no order, whatever is open.
        await manager._give_close(FileInfo(7, path="x"))
    await manager.plan_files([FileInfo(0x7FFFFFF0)])


async def refused(manager: Manager) -> dict[str, set[bool]]:
    """For each kind of order, whether its probes were refused as what the server cannot do."""
    found: dict[str, set[bool]] = {}
    for order, probes in PROBES.items():
        for probe in probes:
            try:
                await probe(manager)
                outcome = False
            except Win32Error as error:
                outcome = error.code == codes.ERROR_NOT_SUPPORTED
            found.setdefault(order, set()).add(outcome)
    return found


async def agrees(manager: Manager) -> None:
    assert set(manager.cannot) <= set(ORDERS)
    assert all(why and not why.endswith(".") for why in manager.cannot.values())
    assert await refused(manager) == {order: {order in manager.cannot} for order in PROBES}


@pytest.mark.posix
async def test_our_server_can_be_told_everything(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        who = Credentials("admin", PASSWORDS["admin"])
        async with lanman.open_manager("127.0.0.1", who, port=server.port) as manager:
            assert not manager.cannot
            await agrees(manager)


async def test_ksmbd_takes_no_order() -> None:
    manager = KsmbdManager(Kernel(None), timeout=None)
    assert set(manager.cannot) == set(ORDERS)
    await agrees(manager)


@pytest.mark.samba
@pytest.mark.root
async def test_samba_has_no_pause_and_no_settings(samba: Samba) -> None:
    who = Credentials(samba.administrator.user_name, samba.administrator.password)
    async with lanman.open_manager(samba.host, who, port=samba.port, timeout=60) as manager:
        assert set(manager.cannot) == {"set", "pause"}
        assert "hosts deny" in manager.cannot["pause"]
        await agrees(manager)
    here = SambaLocalManager(SambaTools(str(samba.directory / "smb.conf")), timeout=60)
    assert set(here.cannot) == {"close", "share", "set", "pause"}
    await agrees(here)
    closes = SambaLocalManager(here._tools, timeout=60, closer=cast("Any", object()))
    assert set(closes.cannot) == {"share", "set", "pause"}


def test_the_blocking_manager_says_the_same() -> None:
    blocking = BlockingManager.__new__(BlockingManager)
    blocking._manager = KsmbdManager(Kernel(None), timeout=None)
    assert blocking.cannot == blocking._manager.cannot != NOTHING
