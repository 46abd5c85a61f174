"""What may be typed for several servers, and which single servers it means."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from lanman.errors import ConnectionLost, LanmanError, Win32Error
from lanman.manage.cluster import Place, configured_credentials, is_cluster, single_servers
from lanman.net.client_configuration import parse_client_configuration, parse_credentials

CONFIGURATION = parse_client_configuration(
    """
[clusters.files]
nodes = ["fs1", "fs2:4450", "[::1]:4451"]
[clusters.web]
nodes = ["w1"]
port = 4455
credentials = "web"
""",
    credentials=parse_credentials('[web]\nuser = "EXAMPLE\\\\ann"\npassword = "a%b"\n'),
)


def meant(server: str | None, port: int | None = None) -> list[tuple[str, str | None, int | None]]:
    return [
        (each.node, each.server, each.port) for each in asyncio.run(single_servers(server, CONFIGURATION, port=port))
    ]


@pytest.mark.parametrize("server", ["fs1,fs2", "cluster:files", "CLUSTER:x", "fs*", "cluster:", "a,", r"\\files*"])
def test_several(server: str) -> None:
    assert is_cluster(server)


@pytest.mark.parametrize(
    "server", ["fs1", "fs1:445", "::1", "[::1]:445", r"\\fs1", "cluster:445", "cluster", "clusters"]
)
def test_one(server: str) -> None:
    assert not is_cluster(server)


@pytest.mark.parametrize(
    ("server", "places"),
    [
        ("fs1,fs2", [("fs1", "fs1", None), ("fs2", "fs2", None)]),
        (r"\\fs1, //fs2:4450", [("fs1", "fs1", None), ("fs2:4450", "fs2", 4450)]),
        ("fs1,FS1,fs1:445", [("fs1", "fs1", None), ("fs1:445", "fs1", 445)]),
        ("::1,[::1]:4450", [("::1", "::1", None), ("[::1]:4450", "::1", 4450)]),
        ("cluster:files", [("fs1", "fs1", None), ("fs2:4450", "fs2", 4450), ("[::1]:4451", "::1", 4451)]),
        ("cluster:web,fs1", [("w1", "w1", 4455), ("fs1", "fs1", None)]),
        ("fs1", [("fs1", "fs1", None)]),
    ],
)
def test_the_single_servers(server: str, places: Sequence[Any]) -> None:
    assert meant(server) == places


def test_the_port_of_p_is_that_of_all_that_name_none() -> None:
    assert meant("fs1,fs2:4450", 4460) == [("fs1", "fs1", 4460), ("fs2:4450", "fs2", 4450)]
    # What stands in lanman.toml is the cluster's own.
    assert meant("cluster:web", 4460) == [("w1", "w1", 4455)]


def test_this_machine() -> None:
    assert asyncio.run(single_servers(None)) == [Place("", None)]


@pytest.mark.parametrize(
    ("server", "message", "hint"),
    [
        ("fs1,,fs2", "a part between its commas is empty", "fs1,fs2"),
        (",", "a part between its commas is empty", "fs1,fs2"),
        (r"fs1,\\", "a part between its commas is empty", "fs1,fs2"),
        ("cluster:", "a name is missing", "there are cluster:files, cluster:web"),
        ("cluster:nope", "no cluster of that name is configured", "there are cluster:files, cluster:web"),
        ("fs*x", "a * stands behind a whole name", "NAME*"),
        ("*", "a * stands behind a whole name", "NAME*"),
        ("fs**", "a * stands behind a whole name", "NAME*"),
        ("fs1,fs2:0", "0 is not a port", ""),
        ("a b,c", "name", ""),
    ],
)
def test_what_means_nothing_is_refused(server: str, message: str, hint: str) -> None:
    with pytest.raises(Win32Error, match=message.replace("*", r"\*")) as raised:
        meant(server)
    assert hint in (raised.value.hint or "")


def test_without_clusters_the_remedy_is_how_to_write_one() -> None:
    with pytest.raises(LanmanError) as raised:
        asyncio.run(single_servers("cluster:files", parse_client_configuration("")))
    assert "write [clusters.files] there" in (raised.value.hint or "")


def test_every_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(host: str, port: int, type: int) -> list[Any]:
        assert host == "files.example.com"
        return [
            (socket.AF_INET, type, 6, "", ("10.0.0.1", port)),
            (socket.AF_INET, type, 6, "", ("10.0.0.2", port)),
            (socket.AF_INET6, type, 6, "", ("fe80::7", port, 0, 3)),
            (socket.AF_INET, type, 6, "", ("10.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert meant("files.example.com*") == [
        ("10.0.0.1", "10.0.0.1", None),
        ("10.0.0.2", "10.0.0.2", None),
        ("fe80::7%3", "fe80::7%3", None),
    ]
    assert meant("files.example.com*:4450")[2] == ("[fe80::7%3]:4450", "fe80::7%3", 4450)


def test_a_name_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: [])
    with pytest.raises(ConnectionLost, match="no host of that name is known") as raised:
        meant("files.example.com*")
    assert raised.value.code == 53


def test_the_credentials_of_a_cluster() -> None:
    found = configured_credentials("cluster:web", CONFIGURATION)
    assert found is not None
    assert (found.domain, found.user_name, found.password) == ("EXAMPLE", "ann", "a%b")
    assert configured_credentials("cluster:files", CONFIGURATION) is None
    assert configured_credentials("fs1,fs2", CONFIGURATION) is None
    for mixed in ("cluster:web,cluster:files", "cluster:web,fs1"):
        with pytest.raises(Win32Error, match="different credentials"):
            configured_credentials(mixed, CONFIGURATION)
