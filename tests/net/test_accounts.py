"""The account file on a real disk, with real processes: nothing is lost to a rival or to kill -9."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from lanman.auth.accounts import Accounts, AccountsError
from lanman.errors import AccessDenied, LanmanError, Win32Error
from lanman.net import atomic as module
from lanman.net.accounts import AccountFile
from support.kill_points import kill_at_every_step

posix = pytest.mark.skipif(os.name != "posix", reason="only on POSIX are there modes and signals")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts"


def add(file: AccountFile, *names: str) -> None:
    def change(accounts: Accounts) -> None:
        for name in names:
            accounts.add(name, "Secret1")

    file.update(change)


def names(path: Path) -> list[str]:
    return list(AccountFile(path).read().users)


def test_no_file_is_no_users(path: Path) -> None:
    file = AccountFile(path)
    assert file.read() == Accounts()
    assert not path.exists()
    add(file, "ann")
    assert list(file.read().users) == ["ann"]


def test_update_gives_what_the_change_returned(path: Path) -> None:
    assert AccountFile(path).update(lambda accounts: accounts.add("ann", "Secret1").name) == "ann"


def test_home_is_made(tmp_path: Path) -> None:
    path = tmp_path / "home" / "accounts"
    add(AccountFile(path), "ann")
    assert names(path) == ["ann"]


def test_others_changes_are_seen(path: Path) -> None:
    reader, writer = AccountFile(path), AccountFile(path)
    for number in range(20):  # all within one tick of the clock, and the size stays the same
        add(writer, f"ann{number:02}")
        assert f"ann{number:02}" in reader.read().users
        writer.update(lambda accounts, n=number: accounts.delete(f"ann{n:02}"))  # type: ignore[misc]
        assert not reader.read().users


def test_unchanged_file_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(AccountFile(path), "ann")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    file = AccountFile(path)
    read, looks = module.AtomicFile.read, list[object]()

    def look(file: module.AtomicFile) -> module.Content | None:
        looks.append(file)
        return read(file)

    monkeypatch.setattr(module.AtomicFile, "read", look)
    first = file.read()
    assert file.read() is first
    assert len(looks) == 1
    os.utime(path, (1_000_000_001, 1_000_000_001))
    assert file.read() is first  # it says the same
    assert len(looks) == 2


def test_change_that_fails_changes_nothing(path: Path) -> None:
    file = AccountFile(path)
    add(file, "ann")
    before = path.read_bytes()

    def change(accounts: Accounts) -> None:
        accounts.add("bob", "Secret1")
        accounts.delete("nobody")

    with pytest.raises(Win32Error, match="user name could not be found"):
        file.update(change)
    assert path.read_bytes() == before
    assert list(file.read().users) == ["ann"]
    add(file, "carl")


def test_change_that_changes_nothing_writes_nothing(path: Path) -> None:
    file = AccountFile(path)
    add(file, "ann")
    before = path.stat().st_ino
    file.update(lambda accounts: None)
    assert path.stat().st_ino == before


def test_reading_does_not_see_a_change_under_way(path: Path) -> None:
    file = AccountFile(path)
    add(file, "ann")

    def change(accounts: Accounts) -> None:
        accounts.delete("ann")
        assert list(file.read().users) == ["ann"]

    file.update(change)
    assert not file.read().users


def test_damaged_file(path: Path) -> None:
    path.write_text("version = 1\n[user ann]\nnt_hash = 1\n")
    file = AccountFile(path)
    for _ in range(2):
        with pytest.raises(AccountsError, match=r"accounts: accounts, line 3: nt_hash"):
            file.read()
    with pytest.raises(AccountsError):
        add(file, "bob")
    assert path.read_text().endswith("nt_hash = 1\n")
    path.unlink()
    assert file.read() == Accounts()


def test_directory_in_the_place_of_the_file(path: Path) -> None:
    path.mkdir()
    with pytest.raises(LanmanError, match="cannot be read"):
        AccountFile(path).read()
    with pytest.raises(LanmanError, match="cannot be"):
        add(AccountFile(path), "ann")
    with pytest.raises(LanmanError, match="cannot be written"):
        add(AccountFile(Path(os.devnull) / "accounts"), "ann")


def test_too_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIZE", 10)
    path.write_text("version = 1\n")
    with pytest.raises(LanmanError, match="far too large"):
        AccountFile(path).read()


@posix
def test_modes(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = AccountFile(path)
    old = os.umask(0)
    try:
        add(file, "ann")
    finally:
        os.umask(old)
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {
        "accounts": 0o600,
        "accounts.lock": 0o600,
    }
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING, "lanman.accounts"):
        assert list(file.read().users) == ["ann"]
        file.read()
    assert len(caplog.records) == 1
    assert "can be read by others (mode 644)" in caplog.text
    add(file, "bob")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "real"
    path.symlink_to(target)
    add(AccountFile(path), "ann")
    assert path.is_symlink()
    assert names(target) == names(path) == ["ann"]


@posix
@pytest.mark.root
def test_root_leaves_the_file_to_its_owner(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 54321)
    add(AccountFile(home / "accounts"), "ann")
    for path in home.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)
    os.chown(home / "accounts", 23456, 54321)
    add(AccountFile(home / "accounts"), "bob")
    assert (home / "accounts").stat().st_uid == 23456


def test_not_permitted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(AccountFile(path), "ann")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(AccessDenied, match="cannot be written: Permission denied"):
            add(AccountFile(path), "bob")
    with monkeypatch.context() as patch:
        patch.setattr(module, "open", refuse, raising=False)
        with pytest.raises(AccessDenied, match="cannot be read"):
            AccountFile(path).read()
    assert names(path) == ["ann"]
    assert not (path.parent / "accounts.new").exists()


def test_writer_that_waits_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.0)
    file = AccountFile(path)

    def change(accounts: Accounts) -> None:
        with pytest.raises(LanmanError, match="another process") as caught:
            add(AccountFile(path), "bob")
        assert caught.value.hint is not None
        assert "accounts.lock" in caught.value.hint
        accounts.add("ann", "Secret1")

    file.update(change)
    assert names(path) == ["ann"]


def test_threads_exclude_each_other(path: Path) -> None:
    def work(number: int) -> None:
        file = AccountFile(path)
        for index in range(5):
            add(file, f"user{number}.{index}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(path)) == 20


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.posix  # Windows replaces no file that another process has open; no Server of ours runs there
def test_two_processes_at_once(path: Path) -> None:
    script = """
        import sys
        from lanman.net.accounts import AccountFile
        file = AccountFile(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        for index in range(25):
            file.update(lambda accounts: accounts.add(f"{sys.argv[2]}{index}", nt_hash=bytes(16)))
    """
    writers = [python(script, path, who) for who in ("ann", "bob", "carl")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    reader = AccountFile(path)
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen = 0
    while any(writer.poll() is None for writer in writers):
        now = len(reader.read().users)
        assert now >= seen  # every state that is seen is whole
        seen = now
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert len(names(path)) == 75


@posix
def test_kill_at_every_step_of_a_write(path: Path) -> None:
    """Whatever system call a writer is killed at, before or after it: the old accounts, or the new ones."""
    work = """
from lanman.net.accounts import AccountFile
#--
AccountFile(argv[0]).update(lambda accounts: accounts.add(argv[1], nt_hash=bytes(16)))
"""
    expected = {"ann"}
    add(AccountFile(path), "ann")

    def check(number: int, lived: bool) -> bool:
        found = set(names(path))
        assert found - {f"user{number}"} == expected
        is_new = found != expected
        expected.update(found)
        return is_new

    kill_at_every_step(work, lambda number: [str(path), f"user{number}"], check)
    add(AccountFile(path), "last")
    assert sorted(p.name for p in path.parent.iterdir()) == ["accounts", "accounts.lock"]


def test_what_says_the_same_is_the_same_object(path: Path) -> None:
    """However often it is read: with another one all sessions would be compared at each log-on, while it is young."""
    add(AccountFile(path), "ann")
    file = AccountFile(path)
    first = file.read()
    assert file.read() is first
    path.write_bytes(path.read_bytes())
    assert file.read() is first
    add(AccountFile(path), "bob")
    second = file.read()
    assert list(second.users) == ["ann", "bob"]
    path.unlink()
    assert file.read() == Accounts()
    assert file.read() is file.read()
