"""The addresses by which clients may reach this machine's Server over several connections (MS-SMB2 3.3.5.15.11).

Told are addresses that the Server listens on, and of those alone that lead to the machine from elsewhere:

* An address that `listen` names is told, whatever it is on, but for a loopback one. Of 0.0.0.0 and ::, those of network
  cards are told, and of bridges, bonds and VLANs that stand on a card. What has no card below it is the network of
  containers or virtual machines, or a tunnel: clients could not get there, or gain nothing.
* Loopback addresses are told where the Server listens on nothing else: its clients are on this machine then.
* Link-local, tentative and deprecated addresses are left out.
* The port cannot be told. So an address counts whose listener has the Server's port.

Linux alone is asked; elsewhere nothing is told, and clients keep to the connection that they have.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from lanman.plain import dataclass
from lanman.smb2.messages import NetworkInterfaceInfo, socket_address

# rtnetlink(7).
_GET_ADDRESSES: Final = 22
_NEW_ADDRESS: Final = 20
_DONE: Final = 3
_REQUEST_DUMP: Final = 0x301
_MESSAGE: Final = struct.Struct("=IHHII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2  # where it differs from the former, which is the other end then
_UNUSABLE: Final = 0x08 | 0x20 | 0x40  # duplicate, deprecated, tentative

# What is told of an interface that does not know how fast it is, in bits per second; as Samba does.
UNKNOWN_SPEED: Final = 1_000_000_000

# Bonds of bridges of VLANs; deeper is nobody's.
_DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """An address of this machine. `card`: a network card is at the bottom of its interface. `speed` is in bits/s."""

    if_index: int
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    card: bool = True
    speed: int = UNKNOWN_SPEED


def reachable(
    listening: Iterable[tuple[str, int]], port: int, local: Iterable[LocalAddress]
) -> list[NetworkInterfaceInfo]:
    """What to tell clients of a Server that listens on these addresses and ports; the fastest interfaces first."""
    heard = {ipaddress.ip_address(host) for host, own_port in listening if own_port == port}
    everywhere = {each.version for each in heard if each.is_unspecified}
    only_loopback = all(each.is_loopback for each in heard)
    told = [
        each
        for each in local
        if (each.address in heard or (each.address.version in everywhere and each.card))
        and each.address.is_loopback == only_loopback
        and not each.address.is_link_local
    ]
    told.sort(key=lambda each: (-each.speed, each.if_index))
    return [NetworkInterfaceInfo(each.if_index, 0, each.speed, socket_address(each.address.packed)) for each in told]


def local_addresses() -> list[LocalAddress]:
    """The addresses of this machine, as the kernel tells; none where it does not."""
    if not hasattr(socket, "AF_NETLINK"):
        return []
    found: list[LocalAddress] = []
    try:
        known: dict[int, tuple[bool, int]] = {}
        for if_index, address in _ask_kernel():
            if if_index not in known:
                name = socket.if_indextoname(if_index)
                known[if_index] = _has_card(name), _speed(name)
            found.append(LocalAddress(if_index, address, *known[if_index]))
    except OSError:  # an interface has just gone, or a sandbox is in the way
        return found
    return found


def _ask_kernel() -> Iterator[tuple[int, ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    """The index of the interface and the address, of each that may be used."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(1)
        kernel.sendto(_MESSAGE.pack(_MESSAGE.size + 1, _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + b"\0", (0, 0))
        while True:
            for kind, body in _messages(kernel.recv(65536)):
                if kind != _NEW_ADDRESS:
                    return  # the end of the list, or an error
                yield from _address(body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, at)
        if length < _MESSAGE.size:
            return
        yield kind, data[at + _MESSAGE.size : at + length]
        at += length + -length % 4


def _address(body: bytes) -> Iterator[tuple[int, ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    """The address of one message, if it may be used."""
    _, _, flags, _, if_index = _ADDRESS.unpack_from(body)
    attributes: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        attributes[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += length + -length % 4
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
    if not flags & _UNUSABLE and len(packed) in (4, 16):
        yield if_index, ipaddress.ip_address(packed)


def _has_card(name: str, depth: int = 0) -> bool:
    """Whether an interface is a network card, or stands on one."""
    folder = f"/sys/class/net/{name}"
    if os.path.exists(f"{folder}/device"):
        return True
    if depth == _DEEPEST:
        return False
    below = (each.removeprefix("lower_") for each in _listed(folder) if each.startswith("lower_"))
    return any(_has_card(each, depth + 1) for each in below)


def _listed(folder: str) -> Sequence[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()


def _speed(name: str) -> int:
    """In bits per second; the kernel has megabits."""
    try:
        with open(f"/sys/class/net/{name}/speed", encoding="ascii") as file:
            speed = int(file.read())
    except (OSError, ValueError):
        return UNKNOWN_SPEED
    return speed * 1_000_000 if speed > 0 else UNKNOWN_SPEED
