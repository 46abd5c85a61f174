"""The three servers, and a world without logins before and after every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman import compat
from support.compat_peers import Peer, our_server, samba_peer, scripted
from support.scripted_windows import windows_2019


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No login, no connection kept, no environment, and no Server of this machine's to be found by chance."""
    for name in [name for name in os.environ if name.startswith("LANMAN_") and name != "LANMAN_REQUIRE_PEERS"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path / "nothing here"))
    compat.logout()
    yield
    compat.logout()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with our_server(tmp_path_factory.mktemp("ours") / "home") as peer:
        yield peer


@pytest.fixture
def windows() -> Iterator[Peer]:
    windows = windows_2019()
    windows.list_callers = True
    with scripted(windows) as peer:
        yield peer


@pytest.fixture(params=["ours", pytest.param("samba", marks=[pytest.mark.samba, pytest.mark.root]), "windows"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of the three, with its administrator logged in."""
    found = request.getfixturevalue(request.param)
    peer = found if isinstance(found, Peer) else samba_peer(found)
    compat.login(peer.server, peer.admin, peer.password)
    return peer
