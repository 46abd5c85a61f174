"""A Server of ours in a process of its own, which answers at each loopback address and lists as many sessions as told.

    with answering_server(lists=10) as port:
        ...                                     # 127.0.0.1:port, 127.1.0.1:port, ...: all of them are this Server

So a sweep of very many targets has a server that takes none of the client's memory or processor time. Without `lists`
it lists what there is: a session for each visit that is under way.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from lanman.server.srvsvc import sessions
from lanman.settings import Configuration, Limits
from support.loopback_server import running_server

_TESTS = Path(__file__).parents[1]
_MANY = 100_000


@contextmanager
def answering_server(lists: int | None = None) -> Iterator[int]:
    """Its port. It has the users of `support.loopback_server.PASSWORDS`, and ends with the context."""
    script = f"import sys; sys.path.insert(0, {str(_TESTS)!r}); import support.answering_server as s; s.main({lists})"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()


def main(lists: int | None) -> None:
    """The Server's process, until its input ends."""
    if lists is not None:
        calls: Any = sessions
        listing = calls.listing

        def listed(request: Any, levels: Any, items: Any, *more: Any) -> Any:
            return listing(request, levels, list(islice(cycle(items), lists)), *more)

        calls.listing = listed
    asyncio.run(_serve())


async def _serve() -> None:
    limits = Limits(unauthenticated=_MANY, unauthenticated_per_address=_MANY)
    configuration = Configuration(name="FLEET", limits=limits)
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder), configuration, host="0.0.0.0") as server:
            print(server.port, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
