"""A place where browsers and scrapers come to: a bound socket, of an address or of a path.

Rules:

  - Loopback addresses and Unix sockets are for this machine. What others reach is for whoever asks for it to judge.
  - A Unix socket is made by us, with mode 0600. What is at its path already is removed only where it is a socket that
    nobody answers at any more; another file is never touched.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.net.home import bind_unix
from lanman.settings import place_address

BACKLOG: Final = 64

_ERRORS: Final = {
    errno.EADDRINUSE: ("another program listens there already", codes.ERROR_DUP_NAME),
    errno.EADDRNOTAVAIL: ("this machine has no such address", codes.ERROR_NOT_SUPPORTED),
    errno.EAFNOSUPPORT: ("this machine has no such addresses", codes.ERROR_NOT_SUPPORTED),
}


class Place:
    """A socket that is bound and listens. `address` is what was typed, and `port` what counts where that names none;
    `where` is what it turned out to be. Raises LanmanError."""

    def __init__(self, address: str, port: int) -> None:
        try:
            target = place_address(address, port)
        except ValueError as error:
            raise LanmanError(
                f"{error}",
                code=codes.ERROR_INVALID_PARAMETER,
                hint=f"it is ADDRESS:PORT, such as 127.0.0.1:{port}, or unix:/PATH",
            ) from None
        self.path = Path(target) if isinstance(target, str) else None
        self._made: tuple[int, int] | None = None
        if isinstance(target, str):
            self.is_loopback = True
            self.socket = self._bound_path(Path(target))
            self.where = f"unix:{target}"
            self.port = 0
        else:
            host, port = target
            self.is_loopback = ipaddress.ip_address(host.partition("%")[0]).is_loopback
            self.socket = _bound_address(host, port)
            self.port = self.socket.getsockname()[1]
            self.where = f"{f'[{host}]' if ':' in host else host}:{self.port}"

    def close(self) -> None:
        """Listen no more; the name of a socket that is still ours goes. May be called twice."""
        self.socket.close()
        made, self._made = self._made, None
        if made is not None and self.path is not None:
            with contextlib.suppress(OSError):
                found = os.lstat(self.path)
                if (found.st_dev, found.st_ino) == made:
                    os.unlink(self.path)

    def _bound_path(self, path: Path) -> socket.socket:
        if not hasattr(socket, "AF_UNIX"):
            raise LanmanError(f"{path}: there are no Unix sockets here", code=codes.ERROR_NOT_SUPPORTED)
        _check_free(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bind_unix(listener, path)
            listener.listen(BACKLOG)
            found = os.lstat(path)
        except OSError as error:
            listener.close()
            if isinstance(error, AccessDenied):
                raise
            raise _bind_error(str(path), error) from None
        self._made = found.st_dev, found.st_ino
        return listener


def names_of_this_machine() -> frozenset[str]:
    """What a browser on this machine may call it, in lower case: a page in it can make other names lead here."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, name.partition(".")[0]} - {""})


def _check_free(path: Path) -> None:
    """Raises LanmanError where something is that must stay there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _bind_error(str(path), error) from None
    if not stat.S_ISSOCK(found.st_mode):
        raise LanmanError(
            f"{path}: there is something that is no socket", code=codes.ERROR_FILE_EXISTS, hint="Name another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise _bind_error(str(path), error) from None
    raise _bind_error(str(path), OSError(errno.EADDRINUSE, ""))


def _bound_address(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[
            0
        ]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _bind_error(host, error) from None
    try:
        if os.name == "posix":  # on Windows it lets two programs listen at one address
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _bind_error(f"port {port} of {host}", error) from None
    return listener


def _bind_error(where: str, error: OSError) -> LanmanError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied(f"{where}: permission denied", hint="Choose another place with --listen.")
    problem, code = _ERRORS.get(error.errno or 0, (error.strerror or str(error), codes.NERR_InternalError))
    return LanmanError(f"{where}: {problem}", code=code, hint="Choose another place with --listen.")
