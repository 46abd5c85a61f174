"""Names to addresses and back, without ever holding the process.

The system's resolver blocks for as long as it likes and cannot be interrupted. It runs in a daemon thread here: a
caller that stops waiting leaves the thread behind, and the process still ends when it wants to. (The event loop's own
`getaddrinfo` uses a pool whose threads are joined at exit.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from lanman import codes
from lanman.errors import ConnectionLost

T = TypeVar("T")

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]
"""An address family, and what `socket.connect` takes for it."""


async def in_daemon_thread(blocking: Callable[[], T]) -> T:
    """The result of `blocking()`, run in a daemon thread of its own, which the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]  # None is then what blocking() returned

    def work() -> None:
        result, error = None, None
        try:
            result = blocking()
        except BaseException as caught:  # noqa: BLE001  # it is raised where the result is awaited
            error = caught
        # The loop may be closed by now: then the result is not wanted.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=work, name="lanman-resolver", daemon=True).start()
    return await outcome


def numeric_address(host: str, port: int) -> Address | None:
    """The address that `host` already is (`10.0.0.1`, `::1`, `[::1]`, `fe80::1%eth0`); None for a name."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    plain, _, scope = bare.partition("%")
    version = _version(plain)
    if not version:
        return None
    if version == 4:
        return None if scope else (socket.AF_INET, (plain, port))
    if not scope:
        return socket.AF_INET6, (plain, port, 0, 0)
    try:
        return socket.AF_INET6, (plain, port, 0, int(scope) if scope.isdigit() else socket.if_nametoindex(scope))
    except OSError as error:
        message = f"there is no network interface {scope!r}"
        raise ConnectionLost(message, code=codes.ERROR_BAD_NETPATH, server=host) from error


@lru_cache(maxsize=1024)
def _version(text: str) -> int:
    """4 or 6 for a numeric address without scope, 0 for other text. Who asks many servers asks thrice of each."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def known_addresses(texts: Sequence[str], port: int) -> list[Address]:
    """Numeric addresses, as text, as what to connect to. Raises ConnectionLost (53) where none of them is one."""
    found = [known for text in texts if (known := numeric_address(text, port)) is not None]
    if not found:
        raise unknown_host(texts[0] if texts else "", None)
    return found


async def resolve(host: str, port: int) -> list[Address]:
    """Every address of `host`, in the system's order of preference.

    Raises ConnectionLost (53) for a name that is not known, or cannot be one.
    """
    if (known := numeric_address(host, port)) is not None:
        return [known]
    try:
        found = await in_daemon_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise unknown_host(host, error) from error
    addresses: dict[Address, None] = {}
    for family, _, _, _, where in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            addresses[family, where] = None  # type: ignore[index]  # the stub's union also holds AF_NETLINK and so on
    if not addresses:
        raise unknown_host(host, None)
    return list(addresses)


def unknown_host(host: str, error: Exception | None) -> ConnectionLost:
    """What to say of a name that no resolver knows."""
    temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    reason = "the name service does not answer" if temporary else "no host of that name is known"
    return ConnectionLost(
        reason,
        code=codes.ERROR_BAD_NETPATH,
        hint="check the spelling, or give the server's address",
        server=host,
    )


async def addresses_of(name: str) -> frozenset[str]:
    """The addresses of a client's name as text, without scope; empty where the name is not known."""
    try:
        found = await resolve(name, 0)
    except ConnectionLost:
        return frozenset()
    return frozenset(where[0].partition("%")[0] for _, where in found)


async def names_of(address: str) -> frozenset[str]:
    """The names that are said to belong to an address, aliases too; empty where there are none.

    Whoever owns the address says so. That a name is an address's is certain only where the name resolves to it.
    """
    if (known := numeric_address(address.partition("%")[0], 0)) is None:
        return frozenset()
    try:
        name, aliases, _ = await in_daemon_thread(lambda: socket.gethostbyaddr(known[1][0]))
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset({name, *aliases})


async def name_of(address: str) -> str | None:
    """The name that belongs to an address, for showing beside it; None where there is none."""
    known = numeric_address(address, 0)
    if known is None:
        return None
    try:
        name, _ = await in_daemon_thread(lambda: socket.getnameinfo(known[1], socket.NI_NAMEREQD))
    except OSError:
        return None
    return name
