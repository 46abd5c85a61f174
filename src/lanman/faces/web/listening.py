"""Where browsers come to, and how long it goes on: uvicorn on sockets that are bound here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

from lanman.manage.metrics.listening import Place

if TYPE_CHECKING:
    from lanman.faces.web.logins import Application

LISTEN = "127.0.0.1:8445"
GRACE = 1
"""How long streams and answers have at the end, in seconds."""


class Serving(uvicorn.Server):
    """uvicorn, which leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn: signals are none of its business here."""
        yield


def serving(app: Application) -> Serving:
    """uvicorn for an application."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    return Serving(config)


def bound(listen: str) -> Place:
    """A socket at ADDRESS:PORT or unix:PATH, which listens. Raises LanmanError."""
    return Place(listen)
