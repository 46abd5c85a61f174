"""The services that `config`, `pause`, `start` and others know: of NET's, lanman has the Server service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation, service_state
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError

if TYPE_CHECKING:
    from lanman.manage.manager import Manager
    from lanman.records import ServiceState

SERVICE: Final = "Server"


def means_server_service(name: str) -> bool:
    """Whether a service's name is one of the two that the Server service has, in any case."""
    return name.casefold() in ("server", "lanmanserver")


def is_server_service(name: str | None) -> bool:
    """Whether the Server service was named; False for no name at all. Raises DialectError."""
    if name is None:
        return False
    if not means_server_service(name):
        raise DialectError(3953, hint=f"{name} is not a service that lanman has: it has the Server service, `server`.")
    return True


def must_be_server(name: str) -> None:
    """Raise LanmanError 2185 (NERR_BadServiceName) for a service other than the Server service, in any case."""
    if not means_server_service(name):
        raise LanmanError(
            f"{name}: {codes.win32_text(codes.NERR_BadServiceName)}",
            code=codes.NERR_BadServiceName,
            hint="lanman has the Server service: `server`.",
        )


def show_services(invocation: Invocation, title: str) -> None:
    """The running services that a verb is for. lanman has one where NET has the Workstation service as well."""
    state = asyncio.run(service_state(invocation))
    services = [] if state == "stopped" else [SERVICE]
    if invocation.format is Format.JSON:
        output.emit_json(invocation.server, services=services, states=dict.fromkeys(services, state))
    elif invocation.format is Format.CSV:
        output.emit_csv([{"service": name, "state": state} for name in services], ["service", "state"])
    elif not services:
        output.no_entries()
    else:
        shown = "" if state == "running" else f" ({state})"
        output.emit([title, "", *(f"   {name}{shown}" for name in services), ""])
        output.success()


def change_service(
    invocation: Invocation,
    service: str | None,
    verb: str,
    change: Callable[[Manager], Awaitable[bool]],
    done: int,
    unchanged: str,
) -> None:
    """Pause or continue the Server service. `done` is NET's message that it was; `unchanged` is said where nothing was
    changed."""
    if service is None:
        raise DialectError(3503, hint=f"Name the service: lanman {verb} server.")
    must_be_server(service)

    async def order() -> tuple[str, bool, ServiceState]:
        async with invocation.manager() as manager:
            changed = await change(manager)
            return manager.server, changed, await manager.service_state()

    server, changed, state = asyncio.run(order())
    if invocation.format is Format.JSON:
        output.emit_json(server, service=SERVICE, state=state, changed=changed)
    elif invocation.format is Format.CSV:
        output.emit_csv([{"service": SERVICE, "state": state, "changed": changed}], ["service", "state", "changed"])
    else:
        output.emit([codes.message_text(done, SERVICE) if changed else unchanged, ""])
