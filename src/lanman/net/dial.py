"""A TCP connection to whichever of a host's addresses answers first, and a bound on how long anything may take.

Rules:

  - One address is tried alone; of several the next is tried beside it after a while, and the first to connect is taken.
  - A bound ends what is awaited by cancelling its task, as asyncio.timeout does. It tells its own end from somebody
    else's cancellation, which goes on, and leaves nothing behind: no cancellation, and no timer.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from lanman import codes
from lanman.errors import ConnectionLost, TimedOut
from lanman.net.resolve import Address
from lanman.net.transport import connect

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

# RFC 8305, 8: how long one address is tried alone before the next is tried beside it.
ATTEMPT_DELAY: Final = 0.25

# What ConnectEx fails of on Windows is no number of errno, and Python takes it for a wrong argument.
_OF_WINDOWS: Final = {
    codes.ERROR_CONNECTION_REFUSED: errno.ECONNREFUSED,
    codes.ERROR_NETWORK_UNREACHABLE: errno.ENETUNREACH,
    codes.ERROR_HOST_UNREACHABLE: errno.EHOSTUNREACH,
    codes.ERROR_SEM_TIMEOUT: errno.ETIMEDOUT,
}

# Said alike on every system: on Windows strerror knows none of them.
_REASONS: Final = {
    errno.ECONNREFUSED: "Connection refused",
    errno.ENETUNREACH: "Network is unreachable",
    errno.EHOSTUNREACH: "No route to host",
    errno.ETIMEDOUT: "Connection timed out",
}


class Within:
    """`async with Within(10.0, describe)`: what is awaited inside ends in time, or raises TimedOut (121).

    `seconds` count from entering; `deadline`, on the loop's clock, may end it sooner; None of both waits for ever.
    `describe()` is asked, when it is too late, what was being waited for: `no answer to the log-on`. `server` is whose
    answer it was, where it is somebody's. Time that is spent under `suspended` is not counted.
    """

    __slots__ = (
        "_at",
        "_cancellations",
        "_deadline",
        "_describe",
        "_is_over",
        "_loop",
        "_seconds",
        "_server",
        "_task",
        "_timer",
        "ended",
        "suspended_for",
    )

    def __init__(
        self,
        seconds: float | None,
        describe: Callable[[], str],
        *,
        deadline: float | None = None,
        server: str | None = None,
    ) -> None:
        self._seconds = seconds
        self._deadline = deadline
        self._describe = describe
        self._server = server
        self._timer: asyncio.TimerHandle | None = None
        self.suspended_for = 0.0
        """Seconds that were not counted."""
        self.ended = False

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """What is awaited in here takes none of the time: it is another's turn, and nobody's fault."""
        begun = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        try:
            yield
        finally:
            taken = self._loop.time() - begun
            self.suspended_for += taken
            if self._at is not None and not self._is_over and not self.ended:
                self._at += taken
                self._timer = self._loop.call_at(self._at, self._end)

    # As asyncio.timeout does, which would be a third of what a method of a Manager costs beyond its call.

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a bound on time is for a task")
        self._task = task
        self._cancellations = task.cancelling()
        self._loop = loop = asyncio.get_running_loop()
        self._is_over = False
        at = self._deadline
        if self._seconds is not None:
            within = loop.time() + self._seconds
            at = within if at is None or within < at else at
        self._at = at
        if at is not None:
            self._timer = loop.call_at(at, self._end)

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_over or self._task.uncancel() > self._cancellations or kind is not asyncio.CancelledError:
            return
        limit = f" within {self._seconds:g} seconds" if self._seconds is not None else " in time"
        raise TimedOut(
            self._describe() + limit,
            hint="see whether it is the right server and port, or allow more time with --timeout",
            server=self._server,
        ) from None


async def dial(
    host: str, port: int, addresses: Sequence[Address], local_address: str = "", seconds: float | None = None
) -> socket.socket:
    """A connected, non-blocking TCP socket to one of `addresses`; the others are let go.

    It comes from `local_address` where one is given. Raises ConnectionLost: 1225 when every address refuses, 53 when
    none can be reached, or none in so many `seconds`, where these are given.
    """
    failures: list[OSError] = []
    try:
        if seconds is None:
            connection = await _dial(addresses, local_address, failures)
        else:
            async with asyncio.timeout(seconds):
                connection = await _dial(addresses, local_address, failures)
    except TimeoutError as error:
        if seconds is None or error.errno is not None:  # ETIMEDOUT is what the system calls so
            raise _unreachable(host, port, failures or [error]) from error
        raise ConnectionLost(
            f"port {port} did not answer within {seconds:g} seconds",
            code=codes.ERROR_BAD_NETPATH,
            hint="see whether it is switched on, and whether a firewall stands between",
            server=host,
        ) from None
    except OSError as error:
        raise _unreachable(host, port, failures or [error]) from error
    return connection


async def _dial(addresses: Sequence[Address], local_address: str, failures: list[OSError]) -> socket.socket:
    if len(addresses) == 1:
        return await _connect(addresses[0], local_address)
    return await _race(addresses, local_address, failures)


async def _connect(address: Address, local_address: str) -> socket.socket:
    """The way to the only address, which is most servers': it needs no race, and imports nothing for one."""
    family, where = address
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        _send_at_once(connection)
        if local_address:
            connection.bind((local_address, 0))
        await connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _race(addresses: Sequence[Address], local_address: str, failures: list[OSError]) -> socket.socket:
    """The first socket to connect (RFC 8305): families take turns, the next address is tried as soon as one has failed
    or ATTEMPT_DELAY has passed. What the attempts failed of is added to `failures`."""
    from aiohappyeyeballs import start_connection

    local_family = socket.AF_INET6 if ":" in local_address else socket.AF_INET
    return await start_connection(
        [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where) for family, where in addresses],
        local_addr_infos=[(local_family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (local_address, 0))]
        if local_address
        else None,
        happy_eyeballs_delay=ATTEMPT_DELAY,
        interleave=1,
        loop=cast("asyncio.AbstractEventLoop", _Observed(asyncio.get_running_loop(), failures)),
    )


def _send_at_once(connection: socket.socket) -> None:
    """A request and its answer alternate: nothing is gained by waiting for more to send."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Observed:
    """An event loop that prepares each socket, and remembers what connecting failed of: what start_connection raises
    has no number any more when its attempts have failed of different things."""

    def __init__(self, loop: asyncio.AbstractEventLoop, failures: list[OSError]) -> None:
        self._loop = loop
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket. Raises OSError."""
        try:
            _send_at_once(sock)
            await self._loop.sock_connect(sock, address)
        except OSError as error:
            self._failures.append(error)
            raise


def _unreachable(host: str, port: int, failures: Sequence[OSError]) -> ConnectionLost:
    """What to say when no address could be connected to."""
    numbers = [_number(failure) for failure in failures]
    if set(numbers) == {errno.ECONNREFUSED}:
        return ConnectionLost(
            f"nothing listens on port {port}",
            code=codes.ERROR_CONNECTION_REFUSED,
            hint="see whether its Server service runs, and whether it listens on another port (--port)",
            server=host,
        )
    reasons = ", ".join(dict.fromkeys(_REASONS.get(number) or os.strerror(number) for number in numbers))
    return ConnectionLost(
        f"port {port} cannot be reached ({reasons})",
        code=codes.ERROR_BAD_NETPATH,
        hint="see whether it is switched on, and whether a firewall stands between",
        server=host,
    )


def _number(failure: OSError) -> int:
    """What connecting failed of, as a number of errno; EIO where it has none."""
    return _OF_WINDOWS.get(getattr(failure, "winerror", None) or 0) or failure.errno or errno.EIO
