"""What carries a Manager's calls to a server, and comes back when it was lost.

A link connects when it is first needed. Calls take turns on a few pipes of one connection, since a pipe carries one
call after the other. A question whose connection turns out to be dead is asked once more on a new one; an order is not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import field
from typing import Final, Protocol, TypeVar

from lanman import codes
from lanman.errors import ConnectionLost, ProtocolError, Unprotected, Win32Error
from lanman.net.approach import PLAIN, Approach
from lanman.net.client import Pipe, SmbClient
from lanman.net.credentials import Credentials
from lanman.net.server_facts import ServerFacts
from lanman.plain import dataclass
from lanman.rpc.ndr import Call, Interface, Response

R = TypeVar("R", bound=Response)

_NETBIOS_NAME: Final = re.compile(rb"[!-@\[-~]{1,15}\0+")

_NOT_IN_A_NAME: Final = frozenset("\\/ \0")

# How many pipes one Manager keeps open at a time.
MAX_PIPES: Final = 4


class Link(Protocol):
    """What carries the calls of MS-SRVS to a server."""

    server: str
    """The server's name, without backslashes."""
    port: int
    credentials: Credentials
    local_address: str
    """The address of this machine that the server sees; empty where there is none."""

    @property
    def age(self) -> float:
        """For how many seconds our session may have been there; it has not been for longer."""

    @property
    def alive(self) -> bool:
        """Whether the connection that the last call went over still stands."""

    @property
    def doing(self) -> str:
        """What is being waited for, in words."""

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make a call. A question whose connection turns out to be dead is asked `again`, once."""

    def conversation(self, interface: Interface) -> AbstractAsyncContextManager[Conversation]:
        """Calls of another interface, which belong together: handles that one of them opens are good in the others.

        Entering raises Win32Error 2114 where the server has no such pipe, 1717 where it does not know the interface.
        """

    async def close(self) -> None:
        """Log off and disconnect; a later call connects again."""


class Conversation(Protocol):
    """Calls that belong together."""

    async def call(self, request: Call[R]) -> R:
        """Make a call, once; its answer with whatever status is in it. Raises what a link's `call` raises."""


@dataclass(slots=True)
class SmbLink:
    """The SMB connection of a Manager: made when needed, and a few pipes on it that calls take turns on.

    A server that ends the connection instead of answering a compound, or whose answer cannot be read (impacket's
    smbserver), is connected to once more, without: that is the one case in which it sees a second log-on.
    """

    server: str
    port: int
    credentials: Credentials
    encrypt: bool = False
    local_address: str = ""
    is_samba: bool = False
    approach: Approach = PLAIN
    address: str = ""
    """The server's address, once connected to."""
    _client: SmbClient | None = None
    _since: float = 0.0
    _doing: str = ""
    _lost_in_compound: bool = False
    _idle: list[Pipe] = field(default_factory=list)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_PIPES))
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def age(self) -> float:
        """For how many seconds our session may have been there."""
        return asyncio.get_running_loop().time() - self._since

    @property
    def alive(self) -> bool:
        """Whether the connection that the last call went over still stands."""
        return self._client is not None and self._client.error is None

    @property
    def facts(self) -> ServerFacts | None:
        """What the server has told of itself (NEGOTIATE, NTLM's challenge); None where there is no connection."""
        return self._client.facts if self.alive and self._client is not None else None

    @property
    def doing(self) -> str:
        """What is being waited for, in words; when the connection is gone, what was."""
        return self._client.doing if self._client is not None else self._doing

    async def connect(self) -> SmbClient:
        """The live connection, made and logged on now if there is none."""
        if not self._connecting.locked() and self._client is not None and self._client.error is None:
            return self._client
        async with self._connecting:
            if self._client is not None and self._client.error is None:
                return self._client
            await self._drop(self._client)
            try:
                return await self._connect()
            except (ConnectionLost, ProtocolError) as error:
                if not self._lost_in_compound or isinstance(error, Unprotected):
                    raise
            return await self._connect()

    async def _connect(self) -> SmbClient:
        self._since = asyncio.get_running_loop().time()
        self._client = client = SmbClient(
            self.server, self.port, self.credentials, encrypt=self.encrypt, approach=self.approach
        )
        try:
            await client.connect()
            self.address = client.address
            if self.approach.before_logon is not None:
                await self.approach.before_logon(client.facts)
            if self.approach.around_logon is None:
                await client.log_on()
            else:
                async with self.approach.around_logon():
                    await client.log_on()
            self._idle.append(await client.open_pipe("srvsvc"))
        except BaseException as error:
            self._lost_in_compound = client.lost_in_compound
            await self._drop(client)
            self._name_server(error)
            raise
        self.local_address = client.local_address
        self.is_samba = is_samba(client.negotiated.server_guid)
        return client

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make a call. A question whose connection turns out to be dead is asked `again`, once."""
        try:
            return await self._call(request)
        except ConnectionLost:
            if not again:
                raise
        return await self._call(request)

    async def _call(self, request: Call[R]) -> R:
        async with self._places:
            client = await self.connect()
            pipe = self._idle.pop() if self._idle else await client.open_pipe("srvsvc")
            try:
                return await pipe.call(request)
            except ConnectionLost:
                # It may be the session or the pipe alone that is gone: all of it is made anew.
                await self._drop(client)
                raise
            except ProtocolError as error:
                self._name_server(error)
                raise
            finally:
                if pipe.usable and client is self._client:
                    self._idle.append(pipe)
                elif client.error is None:
                    pipe.abandon()

    @asynccontextmanager
    async def conversation(self, interface: Interface) -> AsyncIterator[Conversation]:
        """A pipe of its own, closed in the end. See `Link.conversation`."""
        client = await self.connect()
        pipe: Pipe | None = None
        try:
            pipe = await client.open_pipe(interface.name, interface)
            yield pipe
        except ConnectionLost:
            await self._drop(client)
            raise
        except ProtocolError as error:
            self._name_server(error)
            raise
        finally:
            if pipe is not None and client.error is None:
                pipe.abandon()

    def _name_server(self, error: BaseException) -> None:
        """The protocol cores do not know the server's name: add it to their errors."""
        if isinstance(error, ProtocolError):
            error.server = self.server

    async def _drop(self, client: SmbClient | None) -> None:
        """Disconnect, unless another connection has taken the place of this one."""
        if client is not None and client is self._client:
            self._idle.clear()
            self._doing, self._client = client.doing, None
            await client.abort()

    async def abort(self) -> None:
        """Disconnect at once; a later call connects again."""
        await self._drop(self._client)

    async def close(self) -> None:
        """Log off and disconnect; a later call connects again."""
        self._idle.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def split_server(server: str, port: int) -> tuple[str, int]:
    """The name and port of a server written `fs1`, `\\\\fs1`, `//fs1/`, `fs1:4455`, `::1` or `[::1]:4455`.

    Raises Win32Error 2351 for a name that cannot be one, 87 for a port that cannot be one.
    """
    bare = server.strip().strip("\\/")
    host, separator, number = bare.rpartition(":")
    if separator and (":" not in host or host.endswith("]")):
        bare = host
        if not (number.isascii() and number.isdigit()):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{number!r} is not a port: 1 to 65535")
        port = int(number)
    if not 1 <= port <= 65535:
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{port} is not a port: 1 to 65535")
    bare = bare.removeprefix("[").removesuffix("]")
    if not bare or not _NOT_IN_A_NAME.isdisjoint(bare):
        raise Win32Error(
            codes.NERR_InvalidComputer,
            f"{server!r}: {codes.win32_text(codes.NERR_InvalidComputer)}",
            hint="a server is written \\\\name, name, name:port or as an address",
        )
    return bare, port


def is_samba(server_guid: bytes) -> bool:
    """Whether a NEGOTIATE response comes from Samba.

    smbd's ServerGuid is its NetBIOS name in lower case, padded with zeros to 16 bytes; everyone else's is random.
    """
    return len(server_guid) == 16 and _NETBIOS_NAME.fullmatch(server_guid) is not None
