"""Whether a server that is named is this machine.

Rules:

  - Names are compared with this machine's own before anybody is asked; any other name is resolved, and is this
    machine's where every address of it is.
  - An address is this machine's where the system would send from it to reach it. That asks the routing table and sends
    nothing; unlike an attempt to bind to it, it is not misled by `net.ipv4.ip_nonlocal_bind`.
"""

from __future__ import annotations

import ipaddress
import socket

from lanman.errors import ConnectionLost
from lanman.names import fold
from lanman.net.resolve import resolve

_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
# Nothing is sent there: a UDP socket that is connected only chooses the address that it would send from.
_DISCARD = 9


def is_own_name(host: str) -> bool:
    """Whether a name or address is this machine's by what it says alone: `localhost`, this machine's name, `::1`."""
    address = _address(host)
    if address is not None:
        return address.is_loopback
    own = socket.gethostname()
    return fold(host) in {fold(name) for name in (*_LOOPBACK_NAMES, own, own.partition(".")[0]) if name}


async def is_this_machine(host: str) -> bool:
    """Whether a name or address, without a port, is this machine's. False for a name that is not known."""
    if is_own_name(host):
        return True
    try:
        found = await resolve(host, _DISCARD)
    except ConnectionLost:
        return False
    return bool(found) and all(_is_own_address(family, address) for family, address in found)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_own_address(family: socket.AddressFamily, address: tuple[str, int] | tuple[str, int, int, int]) -> bool:
    told = _address(address[0])
    if told is None or told.is_unspecified or told.is_multicast:
        return False
    if told.is_loopback:
        return True
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
            return _address(probe.getsockname()[0]) == told
        except OSError:
            # Unreachable: then it is not here.
            return False
