"""The services that `config`, `pause`, `start` and others know: of NET's, lanman has the Server service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation, service_state
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError
from lanman.faces.text import escape

if TYPE_CHECKING:
    from lanman.manage.answers import Answers, Part
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


def emit_parts(invocation: Invocation, server: str, name: str, parts: Sequence[Part[dict[str, Any]]]) -> None:
    """What each server has, for programs: JSON under a name, or under `nodes` for a cluster; a row for each in CSV."""
    if invocation.format is Format.CSV:
        rows = [({"node": node} if node else {}) | record for node, record in parts]
        output.emit_csv(rows, list(rows[0]))
    elif invocation.is_cluster:
        invocation.emit_json(server, nodes=[{"node": node, name: record} for node, record in parts])
    else:
        invocation.emit_json(server, **{name: parts[0].answer})


def change_service(
    invocation: Invocation,
    service: str | None,
    verb: str,
    change: Callable[[Manager], Awaitable[bool]],
    done: int,
    unchanged: str,
) -> int | None:
    """Pause or continue the Server service. `done` is NET's message that it was; `unchanged` is said where nothing was
    changed. Gives the exit status: of a cluster, each node has its own outcome, and the first that refuses counts."""
    if service is None:
        raise DialectError(3503, hint=f"Name the service: lanman {verb} server.")
    must_be_server(service)

    async def order(manager: Manager) -> tuple[bool, ServiceState]:
        return await change(manager), await manager.service_state()

    async def give() -> tuple[str, Answers[tuple[bool, ServiceState]]]:
        async with invocation.manager() as manager:
            return manager.server, await manager.each(order)

    server, answers = asyncio.run(give())
    if invocation.is_cluster:
        return _changed_nodes(invocation, server, answers, codes.message_text(done, SERVICE), unchanged)
    changed, state = answers.parts[0].answer
    if invocation.format is Format.JSON:
        output.emit_json(server, service=SERVICE, state=state, changed=changed)
    elif invocation.format is Format.CSV:
        output.emit_csv([{"service": SERVICE, "state": state, "changed": changed}], ["service", "state", "changed"])
    else:
        output.emit([codes.message_text(done, SERVICE) if changed else unchanged, ""])
    return None


def _changed_nodes(
    invocation: Invocation, server: str, answers: Answers[tuple[bool, ServiceState]], done: str, unchanged: str
) -> int | None:
    """Say what became of the order at each node."""
    from lanman.errors import Win32Error
    from lanman.faces.cli.several import status_of

    records = [
        {"node": node, "service": SERVICE, "state": state, "changed": changed}
        for node, (changed, state) in answers.parts
    ]
    if invocation.format is Format.JSON:
        invocation.emit_json(server, nodes=records)
    elif invocation.format is Format.CSV:
        output.emit_csv(records, ["node", "service", "state", "changed"])
    else:
        output.emit([f"{escape(node)}: {done if changed else unchanged}" for node, (changed, _) in answers.parts])
        output.emit([""])
    # A node that refused is no node that is away.
    return next((status_of(error) for _, error in answers.missing if isinstance(error, Win32Error)), None)
