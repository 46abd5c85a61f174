"""Which schedulers may be used. Workers run whatever the scheduler sends them: nobody else may be able to send it."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from lanman import codes
from lanman.errors import Win32Error

_ADDRESS: Final = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]@]+)(?::(?P<port>\d{1,5}))?/?"
)
DEFAULT_PORT: Final = 8786


def checked_address(text: str) -> str:
    """The scheduler's address as Dask takes it. Raises Win32Error 87 for one that is none, or is not protected."""
    found = _ADDRESS.fullmatch(text)
    if found is None or found["scheme"] not in ("tcp", "tls") or not 0 < int(found["port"] or DEFAULT_PORT) < 65536:
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER,
            f"{text!r} is no scheduler's address",
            hint=f"write tls://HOST:{DEFAULT_PORT}, or tcp://127.0.0.1:{DEFAULT_PORT} on this machine",
        )
    if not is_protected(text):
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER,
            f"{text} is not protected: whoever is on the way could have the workers run anything",
            hint="start scheduler and workers with --tls-ca-file, --tls-cert and --tls-key, and write tls://",
        )
    return f"{found['scheme']}://{found['host']}:{found['port'] or DEFAULT_PORT}"


def is_protected(address: str) -> bool:
    """Whether nobody but the two ends can read or change what goes to an address: TLS, or this machine itself."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return False
    if found["scheme"] == "tls":
        return True
    host = found["host"].strip("[]")
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
