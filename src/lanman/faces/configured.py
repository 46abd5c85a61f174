"""How a Server service is set, as it tells: the question, and the answer for programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from lanman.errors import LanmanError
from lanman.manage.manager import Manager
from lanman.records import ServerInfo, TransportInfo

Configured = tuple[ServerInfo, list[TransportInfo] | None]


async def configuration(manager: Manager) -> Configured:
    """The settings, and what the server listens on; None where it does not tell that. Raises what
    `Manager.server_info` raises."""
    info = await manager.server_info()
    if info.sessopens is None:
        # Levels 100 to 102 lack it. 502 is for administrators alone, and Samba does not know it.
        info = await _merged(manager, info)
    try:
        transports = await manager.transports()
    except LanmanError:
        # Samba does not know the call; the rest of the answer stands.
        transports = None
    return info, transports


async def _merged(manager: Manager, info: ServerInfo) -> ServerInfo:
    try:
        more = await manager.server_info(502)
    except LanmanError:
        return info
    given = {field.name: getattr(more, field.name) for field in dataclasses.fields(more)}
    known = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    return ServerInfo(**{name: known[name] if known[name] is not None else value for name, value in given.items()})


def configuration_form(
    info: ServerInfo, transports: list[TransportInfo] | None, *, with_transports: bool = True
) -> dict[str, Any]:
    """The settings that the server told, the six that people ask for in any case, and what it listens on."""
    told = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    form = {name: value for name, value in told.items() if value is not None}
    for name in ("name", "comment", "hidden", "users", "disc", "sessopens"):
        form.setdefault(name, None)
    if with_transports:
        listed = [transport_form(transport) for transport in transports or ()]
        form["transports"] = None if transports is None else listed
    return form


def transport_form(transport: TransportInfo) -> dict[str, str]:
    """What the server listens on: the device, and the address at it."""
    device = (transport.name or "").removeprefix("\\Device\\")
    name = (transport.address or b"").rstrip(b" \0").decode("ascii", "backslashreplace")
    return {"name": device, "address": name or transport.network_address or ""}
