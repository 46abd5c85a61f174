"""The addresses that the Server listens on, bound; what is in the way is said in a sentence that names the address."""

from __future__ import annotations

import errno
import socket

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.net.configuration import ConfigurationError
from lanman.settings import Configuration, listen_address


class ServerError(LanmanError):
    """The Server cannot start: an address that is taken or not ours, a user that does not exist."""

    code = codes.NERR_InternalError


def bind_all(configuration: Configuration) -> tuple[list[socket.socket], list[tuple[str, int]]]:
    """A bound socket for every address, and the addresses. Those without a port of their own have one port; 0 becomes
    whatever the first one is given. Raises LanmanError."""
    listeners: list[socket.socket] = []
    addresses: list[tuple[str, int]] = []
    port = configuration.port
    skipped: LanmanError | None = None
    try:
        for host in configuration.listen:
            try:
                host, own_port = _listen_address(host)
                listener = _bind_one(host, port if own_port is None else own_port)
            except LanmanError as error:
                # A machine without IPv6 is no reason not to serve IPv4.
                if host != "::" or error.code != codes.ERROR_NOT_SUPPORTED:
                    raise
                skipped = error
                continue
            listeners.append(listener)
            bound = listener.getsockname()[1]
            port = port or bound
            addresses.append((host, bound))
        if not listeners:
            raise skipped or ConfigurationError("there is no address to listen on")
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners, addresses


def _listen_address(text: str) -> tuple[str, int | None]:
    try:
        return listen_address(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _bind_one(host: str, port: int) -> socket.socket:
    """A bound, not yet listening socket. Raises LanmanError; code 50 is for an address family that is not there."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError, UnicodeError):
        raise ConfigurationError(f"{host}: is not an IPv4 or IPv6 address to listen on") from None
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ServerError(f"{host}: {error.strerror}", code=codes.ERROR_NOT_SUPPORTED) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _bind_error(host, port, error) from None
    return listener


def _bind_error(host: str, port: int, error: OSError) -> LanmanError:
    where = f"port {port} of {host}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied(
            f"{where}: permission denied",
            hint="Ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --port.",
        )
    if error.errno == errno.EADDRINUSE:
        return ServerError(
            f"{where}: another program listens there already",
            code=codes.ERROR_DUP_NAME,
            hint="If it is Samba, stop smbd or choose another port with --port.",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return ServerError(f"{where}: this machine has no such address", code=codes.ERROR_NOT_SUPPORTED)
    return ServerError(f"{where}: {error.strerror}")
