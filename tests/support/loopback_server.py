"""Our Server in the loop of a test, on a port of the loopback interface, for clients that others wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from lanman.net.home import Home
from lanman.net.server import SmbServer
from lanman.settings import Configuration
from support.platforms import need_posix

PASSWORDS = {"admin": "Adm1n-secret", "ann": "ann's secret", "bob": "b0b"}


@asynccontextmanager
async def running_server(
    path: Path, configuration: Configuration | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[SmbServer]:
    """A Server with the users of PASSWORDS, of whom admin is an administrator."""
    need_posix()
    configuration = replace(configuration or Configuration(name="LANTEST"), listen=(host,), port=port)
    server = SmbServer(configuration, Home(path))
    for name, password in PASSWORDS.items():
        server.accounts.update(lambda accounts, name=name, password=password: accounts.add(name, password))  # type: ignore[misc]
    server.accounts.update(lambda accounts: accounts.add_member("Administrators", "admin"))
    async with server:
        yield server
