"""Where a folder that is to be shared at run time may lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lanman import codes
from lanman.net.disk.find import find_folder
from lanman.net.disk.guard import Guard
from lanman.net.disk.system import DiskRefused
from lanman.server.changes import FindFolder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders `in` and `in/sub`, a file `in/file`, a folder `inner`, and links that lead out, in and nowhere."""
    tmp_path = Path(os.path.realpath(tmp_path))
    for name in ("in/sub", "inner"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "in" / "file").write_text("")
    for name, target in (("out", "../inner"), ("back", "sub"), ("nowhere", "none"), ("loop", "loop"), ("etc", "/etc")):
        (tmp_path / "in" / name).symlink_to(target)
    (tmp_path / "root").symlink_to("in")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("in", "in"),
        ("in/sub", "in/sub"),
        ("in/sub/", "in/sub"),
        ("in//sub/../sub/.", "in/sub"),
        ("in/back", "in/sub"),
        ("root/sub", "in/sub"),
    ],
)
def test_what_lies_in_a_root(tree: Path, path: str, found: str) -> None:
    for root in ("in", "root"):
        assert find_folder(FindFolder(f"{tree}/{path}", ("/nowhere", f"{tree}/{root}"))) == f"{tree}/{found}"


@pytest.mark.parametrize("path", ["inner", "", "in/..", "in/out", "in/etc", "none", "in/../none"])
def test_what_lies_outside_is_refused_whether_or_not_it_is_there(tree: Path, path: str) -> None:
    with pytest.raises(DiskRefused) as caught:
        find_folder(FindFolder(f"{tree}/{path}", (f"{tree}/in",)))
    assert caught.value.status == codes.STATUS_ACCESS_DENIED


@pytest.mark.parametrize("path", ["in/none", "in/file", "in/nowhere", "in/loop"])
@pytest.mark.parametrize("anywhere", [False, True])
def test_what_is_no_folder(tree: Path, path: str, anywhere: bool) -> None:
    with pytest.raises(DiskRefused) as caught:
        find_folder(FindFolder(f"{tree}/{path}", None if anywhere else (f"{tree}/in",)))
    assert caught.value.status == codes.STATUS_OBJECT_PATH_NOT_FOUND


def test_anywhere_links_stay_as_they_were_given(tree: Path) -> None:
    assert find_folder(FindFolder(f"/{tree}/in/out", None)) == f"{tree}/in/out"
    for path in ("in/sub", "", "C:\\nowhere"):
        with pytest.raises(DiskRefused):
            find_folder(FindFolder(path, None))


def test_no_roots_is_nothing(tree: Path) -> None:
    with pytest.raises(DiskRefused) as caught:
        find_folder(FindFolder(f"{tree}/in", ()))
    assert caught.value.status == codes.STATUS_ACCESS_DENIED


def test_the_root_of_all(tree: Path) -> None:
    assert find_folder(FindFolder(f"{tree}/in", ("/",))) == f"{tree}/in"
    assert find_folder(FindFolder("/", ("/",))) == "/"


def test_what_no_share_can_be_is_refused_when_it_is_added(tree: Path) -> None:
    """It would only be left out: the Server's home, above all, and what is no storage."""
    guard = Guard([tree / "in"])
    for path in (tree / "in", tree / "in" / "sub", Path("/proc"), Path("/proc/self/fd")):
        if not path.exists():
            continue
        for roots in (None, ("/",)):
            with pytest.raises(DiskRefused) as caught:
                find_folder(FindFolder(str(path), roots), guard)
            assert caught.value.status == codes.STATUS_ACCESS_DENIED
    assert find_folder(FindFolder(f"{tree}/inner", None), guard) == f"{tree}/inner"
