"""Where browsers and scrapers come to: sockets that only their owner opens, and nothing of others that is removed."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.net.bound import Place, names_of_this_machine
from lanman.settings import place_address


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:9745", ("127.0.0.1", 9745)),
        ("127.0.0.1", ("127.0.0.1", 9745)),
        ("localhost:80", ("127.0.0.1", 80)),
        ("[::1]:0", ("::1", 0)),
        ("::1", ("::1", 9745)),
        ("unix:/run/lanman.sock", "/run/lanman.sock"),
        ("UNIX:/run/x:1", "/run/x:1"),
    ],
)
def test_what_may_be_typed(text: str, meant: object) -> None:
    assert place_address(text, 9745) == meant


@pytest.mark.parametrize(
    "text",
    ["", "fs1:9745", "127.0.0.1:99999", "9745", ":9745", "unix:", "unix:x", "unix:/run/", "unix:/a\0", "http://x"],
)
def test_what_may_not(text: str) -> None:
    with pytest.raises(ValueError):
        place_address(text, 9745)
    with pytest.raises(LanmanError) as raised:
        Place(text, 9745)
    assert raised.value.code == codes.ERROR_INVALID_PARAMETER
    assert "127.0.0.1:9745" in (raised.value.hint or "")


def test_an_address_of_this_machine() -> None:
    place = Place("127.0.0.1:0", 9745)
    try:
        assert place.where == f"127.0.0.1:{place.socket.getsockname()[1]}"
        assert place.is_loopback
        with pytest.raises(LanmanError, match="another program listens there") as raised:
            Place(place.where, 9745)
        assert raised.value.code == codes.ERROR_DUP_NAME
    finally:
        place.close()
        place.close()


def test_an_address_that_others_reach() -> None:
    place = Place("0.0.0.0:0", 9745)
    place.close()
    assert not place.is_loopback


def test_what_this_machine_is_called() -> None:
    assert {"localhost", socket.gethostname().lower()} <= names_of_this_machine()
    assert "" not in names_of_this_machine()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(LanmanError, match="no such address"):
        Place("192.0.2.1:0", 9745)


@pytest.mark.posix
def test_a_socket_is_its_owners_alone_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 40) / "metrics"
    path.parent.mkdir()
    before = os.umask(0)
    try:
        place = Place(f"unix:{path}", 9745)
    finally:
        os.umask(before)
    found = path.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert (place.where, place.is_loopback, place.port) == (f"unix:{path}", True, 0)
    place.close()
    assert not path.exists()


@pytest.mark.posix
def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(LanmanError, match="no socket"):
            Place(f"unix:{name}", 9745)
    assert path.read_text() == "data"
    assert link.is_symlink()


@pytest.mark.posix
def test_a_socket_that_answers_stays_and_one_that_does_not_goes(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    first = Place(f"unix:{path}", 9745)
    with pytest.raises(LanmanError, match="another program listens there"):
        Place(f"unix:{path}", 9745)
    first.socket.close()  # as a kill leaves it
    second = Place(f"unix:{path}", 9745)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    second.close()


@pytest.mark.posix
def test_a_folder_in_which_others_decide(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(AccessDenied, match="others may write to it"):
        Place(f"unix:{tmp_path}/metrics", 9745)
    with pytest.raises(LanmanError, match="No such file"):
        Place(f"unix:{tmp_path}/missing/metrics", 9745)
