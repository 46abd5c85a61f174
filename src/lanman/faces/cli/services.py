"""The services that `config`, `start`, `statistics` and `stop` know: of NET's, lanman has the Server service."""

from __future__ import annotations

import asyncio

from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation, is_started
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError


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


def show_services(invocation: Invocation, title: str) -> None:
    """The running services that a verb is for. lanman has one where NET has the Workstation service as well."""
    services = ["Server"] if asyncio.run(is_started(invocation)) else []
    if invocation.format is Format.JSON:
        output.emit_json(invocation.server, services=services)
    elif invocation.format is Format.CSV:
        output.emit_csv([{"service": name} for name in services], ["service"])
    elif not services:
        output.no_entries()
    else:
        output.emit([title, "", *(f"   {name}" for name in services), ""])
        output.success()
