"""Where browsers come to: who may, in what form, and how many at once.

Rules:

  - Loopback addresses and Unix sockets are for this machine. An address that others reach wants TLS or a trusted proxy:
    without either the console does not start.
  - Unix sockets are bound by us, with mode 0600: uvicorn would make one that everybody may open.
  - TLS is 1.2 at least. Its handshake is over after `HANDSHAKE_TIMEOUT` seconds; the head of a request is there after
    `HEAD_TIMEOUT`; and whoever takes nothing of an answer for `SEND_TIMEOUT` is let go.
  - There are `MAX_CONNECTIONS` at most, and `MAX_OF_ONE` from one address, counted from the moment they come. The
    trusted proxy and the Unix socket stand for many. Where all are there, one more takes the place of the one that has
    waited longest without asking anything.
  - Signals are none of uvicorn's business here. Ending takes no longer than `GRACE` seconds, whatever browsers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lanman import codes
from lanman.errors import AccessDenied, LanmanError, Win32Error
from lanman.faces.web.protection import SOCKET, Rules, network, peer_address
from lanman.faces.web.seldom import Seldom
from lanman.net.bound import Place, names_of_this_machine
from lanman.plain import dataclass
from lanman.settings import place_address

if TYPE_CHECKING:
    import socket

    from lanman.faces.web.protection import Application

log: Final = logging.getLogger("lanman.web")

PORT: Final = 8445
LISTEN: Final = f"127.0.0.1:{PORT}"
MAX_CONNECTIONS: Final = 1000
MAX_OF_ONE: Final = 256
MAX_HEAD: Final = 16384
HANDSHAKE_TIMEOUT: Final = 10.0
HEAD_TIMEOUT: Final = 10.0
SEND_TIMEOUT: Final = 30.0
KEEP_ALIVE: Final = 15
GRACE: Final = 1
"""How long answers have at the end, in seconds."""

_HOST: Final = r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?"
_FIELD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen, and what for. `place` is ADDRESS:PORT or unix:/PATH; `trust_proxy` the address of a proxy in
    front, or `unix` where it comes by the socket; `allow_hosts` what the console is called besides."""

    place: str = LISTEN
    tls_cert: str | None = None
    tls_key: str | None = None
    trust_proxy: str | None = None
    user_header: str | None = None
    allow_hosts: tuple[str, ...] = ()

    def opened(self) -> Opened:
        """Listen. Raises LanmanError 87 for what does not go together, and what binding and certificates raise."""
        try:
            target = place_address(self.place, PORT)
        except ValueError as error:
            raise _wrong(f"{error}", f"it is ADDRESS:PORT, such as {LISTEN}, or unix:/PATH") from None
        is_path = isinstance(target, str)
        is_local = is_path or ipaddress.ip_address(target[0].partition("%")[0]).is_loopback
        proxy = self._proxy(is_path=is_path)
        if self.tls_key is not None and self.tls_cert is None:
            raise _wrong("there is a key and no certificate", "name the certificate with --tls-cert")
        if not is_local and self.tls_cert is None and proxy is None:
            raise _wrong(
                f"{self.place}: others reach this address, and passwords would travel in the clear",
                "give a certificate with --tls-cert and --tls-key, name the proxy in front with --trust-proxy, or"
                f" listen on {LISTEN} and come through SSH",
            )
        tls = None if self.tls_cert is None else tls_context(self.tls_cert, self.tls_key)
        named = names_in_certificate(self.tls_cert) if self.tls_cert is not None else frozenset[str]()
        hosts = names_of_this_machine() | named | self._allowed()
        header = None if self.user_header is None else self.user_header.lower()
        rules = Rules(hosts, proxy, header, proxy_only=not is_local and tls is None)
        return Opened(
            Place(self.place, PORT), tls, rules, min(named, default=None, key=lambda name: ("*" in name, name))
        )

    def _proxy(self, *, is_path: bool) -> str | None:
        if self.user_header is not None:
            if self.trust_proxy is None:
                raise _wrong("a header names users only where a proxy is trusted", "name it with --trust-proxy")
            if not re.fullmatch(_FIELD, self.user_header):
                raise _wrong(f"{self.user_header!r} is no name of a header", "such as X-Remote-User")
        if self.trust_proxy is None:
            return None
        if self.trust_proxy == SOCKET or is_path:
            if not is_path or self.trust_proxy != SOCKET:
                raise _wrong(
                    f"{self.trust_proxy}: a proxy comes by the socket or from an address, as --listen says",
                    f"--trust-proxy {SOCKET} goes with --listen unix:PATH, and an address with an address",
                )
            return SOCKET
        try:
            return str(ipaddress.ip_address(self.trust_proxy))
        except ValueError:
            raise _wrong(f"{self.trust_proxy}: a proxy is trusted by its one address", "such as 10.0.0.7") from None

    def _allowed(self) -> frozenset[str]:
        allowed = frozenset(name.lower().removesuffix(".") for name in self.allow_hosts)
        for name in allowed:
            if not re.fullmatch(_HOST, name):
                raise _wrong(f"{name!r} is no name of a host", "such as console.example.com or *.example.com")
        return allowed


@dataclass(slots=True)
class Opened:
    """Where the console listens. `name` is what the certificate calls it first."""

    place: Place
    tls: ssl.SSLContext | None
    rules: Rules
    name: str | None

    @property
    def url(self) -> str | None:
        """The address for a browser of this machine; None for a Unix socket."""
        if self.place.path is not None:
            return None
        host = self.place.where.rpartition(":")[0]
        if self.tls is not None and self.name is not None and "*" not in self.name:
            host = self.name
        elif ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_unspecified:
            host = "localhost"
        return f"{'http' if self.tls is None else 'https'}://{host}:{self.place.port}"


def _wrong(message: str, hint: str) -> Win32Error:
    return Win32Error(codes.ERROR_INVALID_PARAMETER, message, hint=hint)


# --- TLS


def tls_context(certificate: str, key: str | None) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with a certificate and its key, in PEM; the key may stand in the certificate's file. Raises
    LanmanError, which names the file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in filter(None, (certificate, key)):
        try:
            with open(path, "rb"):
                pass
        except PermissionError:
            raise AccessDenied(f"{path}: permission denied") from None
        except OSError as error:
            raise LanmanError(f"{path}: {error.strerror}", code=codes.ERROR_FILE_NOT_FOUND) from None
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError, OSError):
        files = certificate if key is None else f"{certificate} and {key}"
        raise LanmanError(
            f"{files}: are no certificate in PEM with its key, or the key has a password",
            code=codes.ERROR_INVALID_DATA,
            hint="the certificate stands first, then those that lead to its authority; the key has no password",
        ) from None
    return context


def names_in_certificate(path: str) -> frozenset[str]:
    """The host names that a certificate is for (RFC 6125: its DNS names), in lower case. Addresses are none."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(Path(path).read_bytes())[0]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(name.lower() for name in found.value.get_values_for_type(x509.DNSName))


# --- connections


class Door:
    """Counts who is inside. `stands_for_many` is an address that no limit of its own counts for."""

    def __init__(self, stands_for_many: str | None, most: int = MAX_CONNECTIONS, most_of_one: int = MAX_OF_ONE) -> None:
        self._exempt = {SOCKET, stands_for_many}
        self._most = most
        self._most_of_one = most_of_one
        self._inside: Counter[str] = Counter()
        self._seldom = Seldom(log)

    def __len__(self) -> int:
        return self._inside.total()

    @property
    def is_full(self) -> bool:
        """Whether all are there."""
        return len(self) >= self._most

    def is_full_of(self, peer: str) -> bool:
        """Whether as many of this address are there as there may be."""
        return peer not in self._exempt and self._inside[network(peer)] >= self._most_of_one

    def enter(self, peer: str) -> bool:
        """Count one that has come; whether there is room."""
        who = network(peer)
        if self.is_full or self.is_full_of(peer):
            self._seldom.say("%s: too many connections; one more was closed", who)
            return False
        self._inside[who] += 1
        return True

    def leave(self, peer: str) -> None:
        """Forget one that was counted."""
        who = network(peer)
        self._inside[who] -= 1
        if not self._inside[who]:
            del self._inside[who]


class Connection(H11Protocol):
    """One connection, whose peer may not be slower than the rules say."""

    def __init__(self, door: Door, peer: str, waiting: dict[Connection, None], raw: asyncio.Transport, **how: Any):
        super().__init__(**how)
        self._door = door
        self._waiting = waiting
        self._raw = raw
        waiting[self] = None
        self._peer: str | None = peer
        self._early: list[bytes] = []
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: it begins."""
        super().connection_made(transport)
        self._watch()
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it has ended."""
        for timer in (self._head_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        self.leave()
        if self.transport is not None:
            super().connection_lost(exc)

    def leave(self) -> None:
        """Count it no more. May be called twice."""
        self._waiting.pop(self, None)
        peer, self._peer = self._peer, None
        if peer is not None:
            self._door.leave(peer)

    def displace(self) -> None:
        """Make room for another."""
        self.leave()
        self._raw.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: a piece of a request."""
        if self.transport is None:  # what came with the last message of TLS's handshake
            self._early.append(data)
            return
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """uvicorn: an answer is on its way, and the next request may come."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Count the time in which the head of a request has to come, where one is waited for."""
        waits = self.cycle is None or self.cycle.response_complete
        if not waits:
            self._waiting.pop(self, None)
        elif self._peer is not None:
            self._waiting.setdefault(self)
        if waits and self._head_timer is None:
            idle = KEEP_ALIVE if self.cycle is not None else 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT + idle, self._too_slow)
        elif not waits and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        """asyncio: what was answered is not taken."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(SEND_TIMEOUT, self._too_slow)

    def resume_writing(self) -> None:
        """asyncio: it was."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None


class _Gate(asyncio.Protocol):
    """Whoever comes, before a byte of theirs is read: counted, and led into TLS where there is any."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: somebody has come."""
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        serving, peer = self._serving, peer_address(transport.get_extra_info("peername"))
        if not serving.admit(peer):
            transport.abort()
            return
        connection = serving.connection(peer, transport)
        if serving.tls is None:
            transport.set_protocol(connection)
            connection.connection_made(transport)
            return
        transport.pause_reading()
        serving.shaking_hands(asyncio.ensure_future(self._shake_hands(transport, connection)))

    async def _shake_hands(self, transport: asyncio.Transport, connection: Connection) -> None:
        assert self._serving.tls is not None
        loop = asyncio.get_running_loop()
        try:
            inner = await loop.start_tls(
                transport, connection, self._serving.tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_TIMEOUT
            )
        except (OSError, asyncio.CancelledError):
            # asyncio tells the connection of its end only where it got far enough.
            connection.leave()
            transport.abort()
            return
        if inner is not None and not inner.is_closing():
            connection.connection_made(inner)


class Serving(uvicorn.Server):
    """uvicorn, which leaves signals to whoever runs it, on sockets that are bound already."""

    def __init__(self, app: Application, opened: Opened) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
                h11_max_incomplete_event_size=MAX_HEAD,
            )
        )
        self.tls = opened.tls
        self.door = Door(opened.rules.proxy)
        self._handshakes: set[asyncio.Task[None]] = set()
        self._waiting: dict[Connection, None] = {}  # those that ask nothing now, in the order in which they began to

    def admit(self, peer: str) -> bool:
        """Count somebody who has come; whether there is room, or was made."""
        if self.door.is_full and not self.door.is_full_of(peer) and self._waiting:
            next(iter(self._waiting)).displace()
        return self.door.enter(peer)

    def connection(self, peer: str, raw: asyncio.Transport) -> Connection:
        """A connection for somebody who was let in."""
        how = {"config": self.config, "server_state": self.server_state, "app_state": {}}
        return Connection(self.door, peer, self._waiting, raw, **how)

    def shaking_hands(self, task: asyncio.Task[None]) -> None:
        """Keep a handshake that goes on."""
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn: what signals do is not for it to decide here."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn: begin to accept."""
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(lambda: _Gate(self), sock=each, backlog=self.config.backlog)
            for each in sockets or []
        ]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn: accept no more, let answers go out for a little while, and let go of everybody."""
        for task in list(self._handshakes):
            task.cancel()
        await super().shutdown(sockets)
        self.abort()

    def abort(self) -> None:
        """Let go of everybody at once, and accept no more."""
        for server in getattr(self, "servers", []):
            server.close()
        for task in [*self._handshakes, *self.server_state.tasks]:
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
