"""Whose the folders of a home may be, and that root writes to nothing but files of the home in one."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from lanman.errors import AccessDenied, LanmanError
from lanman.net import place
from lanman.net.accounts import AccountFile
from lanman.net.home import Home, HomeError, bind_unix
from lanman.net.place import directory, place_of, read_file

ANN, MALLORY = 12345, 23456

posix = pytest.mark.skipif(os.name != "posix", reason="handles of directories are POSIX")
root = pytest.mark.root

pytestmark = posix


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of root's that somebody would like to write to, or to own."""
    path = tmp_path / "shadow"
    path.write_bytes(b"root:hash\n")
    path.chmod(0o600)
    return path


def untouched(victim: Path) -> bool:
    found = victim.stat()
    return (victim.read_bytes(), found.st_uid, stat.S_IMODE(found.st_mode)) == (b"root:hash\n", os.geteuid(), 0o600)


def home_of(path: Path, uid: int) -> Home:
    path.mkdir(mode=0o700, parents=True)
    os.chown(path, uid, uid)
    return Home(path)


# --- the folders on the way


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o702])
def test_others_may_not_write_above_a_home(tmp_path: Path, mode: int) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(mode)
    with pytest.raises(AccessDenied, match="above: others may write to it") as caught:
        Home(above / "home").prepare()
    assert caught.value.hint == f"chmod o-w {above}"
    assert not (above / "home").exists()
    above.chmod(mode | stat.S_ISVTX)
    Home(above / "home").prepare()
    above.chmod(mode)
    with pytest.raises(AccessDenied, match="others may write"):
        Home(above / "home").prepare()


@root
def test_nor_may_the_members_of_a_group(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    os.chown(above, 0, 4321)
    above.chmod(0o775)
    with pytest.raises(AccessDenied, match="the members of its group"):
        Home(above / "home").prepare()
    os.chown(above, 0, 0)
    Home(above / "home").prepare()


@root
def test_a_folder_of_somebody_elses_above_a_home(tmp_path: Path) -> None:
    home = home_of(tmp_path / "above" / "home", ANN)
    os.chown(tmp_path / "above", MALLORY, MALLORY)
    with pytest.raises(AccessDenied, match="above: belongs to user 23456"):
        home.prepare()
    with pytest.raises(AccessDenied, match="belongs to user 23456"):
        AccountFile(home.accounts).update(lambda accounts: accounts.add("ann", "Secret1"))
    os.chown(tmp_path / "above", ANN, ANN)
    home.prepare()


@root
def test_as_an_ordinary_user_a_stranger_s_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(tmp_path / "home", MALLORY)
    monkeypatch.setattr(os, "geteuid", lambda: ANN)
    with pytest.raises(AccessDenied, match="belongs to user 23456"), home.opened():
        pass


@root
@pytest.mark.parametrize("owner", [0, ANN, MALLORY])
def test_links_are_root_s_or_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int) -> None:
    home_of(tmp_path / "real", ANN)
    (tmp_path / "link").symlink_to("real")
    os.chown(tmp_path / "link", owner, owner, follow_symlinks=False)
    allowed = {0: (0,), ANN: (0, ANN)}
    for me, owners in allowed.items():
        monkeypatch.setattr(os, "geteuid", lambda me=me: me)
        monkeypatch.setattr(os, "fchmod", lambda *_: None)
        if owner in owners:
            with directory(tmp_path / "link") as found:
                assert found.path == tmp_path / "real"
        else:
            with pytest.raises(AccessDenied, match="is a link that"), directory(tmp_path / "link"):
                pass


@root
def test_the_layout_of_a_dynamic_user(tmp_path: Path) -> None:
    """systemd.exec(5), DynamicUser=: /var/lib/lanman is a link of root's to private/lanman, and `private` is root's."""
    lib = tmp_path / "lib"
    (lib / "private").mkdir(parents=True, mode=0o700)
    home_of(lib / "private" / "lanman", 61234)
    (lib / "lanman").symlink_to("private/lanman")
    home = Home(lib / "lanman")
    home.prepare()
    AccountFile(home.accounts).update(lambda accounts: accounts.add("ann", "Secret1"))
    with home.locked():
        pass
    for name in ("accounts", "accounts.lock", "lock"):
        found = (lib / "private" / "lanman" / name).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (61234, 61234, 0o600)


def test_dots_and_circles(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with directory(tmp_path / "a" / "b" / ".." / "." / "b") as found:
        assert found.path == tmp_path / "a" / "b"
    (tmp_path / "a" / "up").symlink_to("../a/b/../../a")
    with directory(tmp_path / "a" / "up" / "b") as found:
        assert found.path == tmp_path / "a" / "b"
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(HomeError, match="Too many levels"):
        Home(tmp_path / "circle").prepare()


# --- the files in it


NAMES = ("lock", "server.log", "accounts.lock", "accounts.new", "settings.lock")


@root
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trick", ["link", "hard link", "link to nothing"])
def test_root_writes_to_nothing_else(tmp_path: Path, victim: Path, name: str, trick: str) -> None:
    home = home_of(tmp_path / "home", ANN)
    target = tmp_path / "made by root" if trick == "link to nothing" else victim
    if trick == "hard link":
        os.link(victim, home.path / name)
    else:
        (home.path / name).symlink_to(target)
        os.chown(home.path / name, ANN, ANN, follow_symlinks=False)

    def everything() -> None:
        os.close(home.open_file("server.log", os.O_RDWR | os.O_APPEND | os.O_CREAT))
        AccountFile(home.accounts).update(lambda accounts: accounts.add("ann", "Secret1"))
        AccountFile(home.settings).update(lambda accounts: accounts.add("ann", "Secret1"))
        with home.locked():
            pass

    if name == "accounts.new":
        everything()  # what a killed writer left behind is removed
    else:
        with pytest.raises(LanmanError, match=name.replace(".", "[.]")):
            everything()
    assert untouched(victim)
    assert not (tmp_path / "made by root").exists()


@root
@pytest.mark.parametrize("name", ["accounts", "settings", "server.toml"])
def test_root_reads_nothing_else(tmp_path: Path, victim: Path, name: str) -> None:
    home = home_of(tmp_path / "home", ANN)
    (home.path / name).symlink_to(victim)
    os.chown(home.path / name, ANN, ANN, follow_symlinks=False)
    with pytest.raises(AccessDenied, match=f"{name}: is a link that user 12345 has made"):
        read_file(home.path / name, 100)
    with pytest.raises(AccessDenied):
        AccountFile(home.path / name).update(lambda accounts: accounts.add("ann", "Secret1"))
    assert untouched(victim)


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """And nobody waits for the other end of a FIFO."""
    path = tmp_path / "lock"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            bind_unix(listener, path)
    with pytest.raises(LanmanError, match="lock: "), Home(tmp_path).locked():
        pass
    with pytest.raises((LanmanError, OSError)):
        read_file(path, 10)


@root
def test_a_file_of_a_stranger_is_not_written_to(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home", ANN)
    (home.path / "server.log").write_bytes(b"")
    os.chown(home.path / "server.log", MALLORY, MALLORY)
    with pytest.raises(AccessDenied, match="belongs to user 23456"):
        home.open_file("server.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@root
def test_what_root_makes_is_the_owner_s(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home", ANN)
    os.close(home.open_file("server.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    assert (home.path / "server.log").stat().st_uid == ANN


def test_a_link_swapped_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged is what is followed: between the two there is no name."""
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "link").symlink_to("good")
    real = os.readlink

    def swapped(path: str, **more: int) -> str:
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("bad")
        return real(path, **more)

    monkeypatch.setattr(os, "readlink", swapped)
    if place._O_PATH:
        with directory(tmp_path / "link") as found:
            assert found.path == tmp_path / "good"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none", 10) is None
    assert read_file(tmp_path / "no" / "folder" / "none", 10) is None
    with place_of(tmp_path / "no" / "folder" / "none", make=True) as (folder, name):
        assert (folder.path, name) == (tmp_path / "no" / "folder", "none")


def test_a_socket_is_never_open_to_others(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            bind_unix(listener, tmp_path / "control")
            assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
        (tmp_path / "victim").write_bytes(b"")
        (tmp_path / "control").unlink()
        (tmp_path / "control").symlink_to("victim")
        with socket.socket(socket.AF_UNIX) as listener:
            bind_unix(listener, tmp_path / "control")
        assert (tmp_path / "victim").is_file()
        assert stat.S_ISSOCK((tmp_path / "control").lstat().st_mode)
    finally:
        os.umask(old)
