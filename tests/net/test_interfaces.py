"""Which addresses of the machine clients are told of, for several connections."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import subprocess
from collections.abc import Sequence

import pytest

from lanman.net.interfaces import LocalAddress, local_addresses, reachable

HERE = [
    LocalAddress(1, ipaddress.ip_address("127.0.0.1"), card=False),
    LocalAddress(1, ipaddress.ip_address("::1"), card=False),
    LocalAddress(2, ipaddress.ip_address("192.0.2.7"), speed=10**9),
    LocalAddress(2, ipaddress.ip_address("2001:db8::7"), speed=10**9),
    LocalAddress(2, ipaddress.ip_address("fe80::7"), speed=10**9),
    LocalAddress(3, ipaddress.ip_address("198.51.100.7"), speed=10**10),
    LocalAddress(9, ipaddress.ip_address("172.17.0.1"), card=False),
]


def told(*listening: str, port: int = 445, others: Sequence[tuple[str, int]] = ()) -> list[str]:
    """The addresses that a Server tells of that listens on these, on `port`."""
    found = reachable([(host, port) for host in listening] + list(others), port, HERE)
    addresses = []
    for each in found:
        assert each.if_index
        packed = each.sockaddr[4:8] if each.sockaddr[0] == 2 else each.sockaddr[8:24]
        addresses.append(str(ipaddress.ip_address(packed)))
    return addresses


@pytest.mark.parametrize(
    ("listening", "addresses"),
    [
        (("0.0.0.0", "::"), ["198.51.100.7", "192.0.2.7", "2001:db8::7"]),
        (("0.0.0.0",), ["198.51.100.7", "192.0.2.7"]),
        (("::",), ["2001:db8::7"]),
        (("192.0.2.7",), ["192.0.2.7"]),
        (("172.17.0.1",), ["172.17.0.1"]),  # who names it means it
        (("192.0.2.7", "127.0.0.1"), ["192.0.2.7"]),
        (("127.0.0.1",), ["127.0.0.1"]),
        (("127.0.0.1", "::1"), ["127.0.0.1", "::1"]),
        (("203.0.113.1",), []),
        ((), []),
    ],
)
def test_only_what_leads_to_the_server_is_told(listening: tuple[str, ...], addresses: list[str]) -> None:
    assert told(*listening) == addresses


def test_the_port_cannot_be_told() -> None:
    """An address counts whose listener has the Server's port."""
    assert told("192.0.2.7", others=[("198.51.100.7", 4450)]) == ["192.0.2.7"]
    assert told("192.0.2.7", port=4450, others=[("198.51.100.7", 445)]) == ["192.0.2.7"]


def test_an_interface_has_one_index_and_the_fastest_come_first() -> None:
    found = reachable([("0.0.0.0", 445), ("::", 445)], 445, HERE)
    assert [(each.if_index, each.link_speed) for each in found] == [(3, 10**10), (2, 10**9), (2, 10**9)]


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="Linux alone tells its addresses so")
def test_the_kernel_is_understood() -> None:
    found = local_addresses()
    assert any(each.address.is_loopback and not each.card for each in found)
    for each in found:
        assert socket.if_indextoname(each.if_index)
    if shutil.which("ip") is None:
        return
    listed = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True, text=True).stdout)
    theirs = {
        (link["ifindex"], address["local"])
        for link in listed
        for address in link.get("addr_info", [])
        if "local" in address and not address.get("deprecated") and not address.get("tentative")
    }
    assert {(each.if_index, str(each.address)) for each in found} == theirs


def test_a_system_without_netlink_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK", raising=False)
    assert local_addresses() == []
