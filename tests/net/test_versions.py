"""What lanman 0.1.0 kept is read and put into today's version; what a newer lanman kept is refused and left alone.

The files of tests/data/kept-by-0.1.0 were written by that version.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import lanman
from lanman.auth.accounts import AccountsError
from lanman.auth.md4 import nt_hash
from lanman.domain import Share
from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.net.configuration import ConfigurationError
from lanman.net.control.client import ControlClient
from lanman.net.disk import attributes
from lanman.net.disk.system import DiskRefused, statx
from lanman.net.overlay import SettingsFile
from lanman.settings import Configuration, Limits, ShareConfiguration
from lanman.versions import REMEDY
from support.kill_points import kill_at_every_step

KEPT = Path(__file__).parents[1] / "data" / "kept-by-0.1.0"

# What server.toml said when the files were written.
BASE = Configuration(
    comment="of the file",
    shares={"Data": ShareConfiguration("/srv/data", read=("Users",)), "old": ShareConfiguration("/srv/old")},
)
CHANGED = replace(
    BASE,
    autodisconnect=45,
    comment='second "floor" \\ é',
    limits=Limits(opens_per_session=100),
    shares={
        "Data": ShareConfiguration("/srv/data", "of us all", read=("Users",)),
        "new": ShareConfiguration("/srv/new", "added", read=("Users", "ann"), max_users=3, encryption=True),
    },
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("settings", "accounts"):
        shutil.copy(KEPT / name, tmp_path / name)
        (tmp_path / name).chmod(0o600)
    return tmp_path


# --- settings


def test_settings_of_the_first_version_are_read_and_left_as_they_are(home: Path) -> None:
    assert SettingsFile(home / "settings").over(BASE) == CHANGED
    assert (home / "settings").read_bytes() == (KEPT / "settings").read_bytes()


def test_settings_are_put_into_the_newest_version_with_the_first_change(home: Path) -> None:
    state = SettingsFile(home / "settings")
    state.keep_settings(BASE, {"hidden": True})
    assert b"\nversion = 2\n" in (home / "settings").read_bytes()
    assert SettingsFile(home / "settings").over(BASE) == replace(CHANGED, hidden=True)
    state.keep_share(BASE, "late", Share("late", path="/srv/late"))  # appended
    expected = {**CHANGED.shares, "late": ShareConfiguration("/srv/late")}
    assert SettingsFile(home / "settings").over(BASE) == replace(CHANGED, hidden=True, shares=expected)


def test_kill_at_every_step_of_putting_settings_into_the_newest_version(home: Path) -> None:
    """Whatever step a writer is killed at: the file of 0.1.0, or the whole of the new one."""
    work = """
from pathlib import Path
from lanman.net.overlay import SettingsFile
from lanman.settings import Configuration
#--
SettingsFile(Path(argv[0])).keep_settings(Configuration(), {"hidden": True})
"""
    path = home / "settings"
    old = path.read_bytes()

    def check(number: int, lived: bool) -> bool:
        written = path.read_bytes() != old
        assert SettingsFile(path).over(BASE) == (replace(CHANGED, hidden=True) if written else CHANGED)
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_bytes(old)
        return written

    kill_at_every_step(work, lambda number: [str(path)], check)


@pytest.mark.parametrize("text", [b"version = 3\n", b"# heading\nversion = 3\n[later]\nformat of <its> own\n"])
def test_newer_settings_are_refused_and_left_alone(home: Path, text: bytes) -> None:
    path = home / "settings"
    path.write_bytes(text)
    state = SettingsFile(path)
    for act in (
        lambda: state.over(BASE),
        lambda: state.keep_settings(BASE, {"hidden": True}),
        lambda: state.keep_share(BASE, "new", None),
        lambda: state.forget(["hidden"]),
    ):
        with pytest.raises(ConfigurationError) as caught:
            act()
        assert caught.value.message == f"{path}: it has version 3, and this lanman knows none after 2"
        assert "A newer lanman wrote it:" in (caught.value.hint or "")
    assert path.read_bytes() == text


def test_a_version_that_never_was(home: Path) -> None:
    (home / "settings").write_bytes(b"version = 0\n")
    with pytest.raises(ConfigurationError, match="version: is none that there has been"):
        SettingsFile(home / "settings").over(BASE)


def test_newer_settings_written_while_the_server_runs_are_not_written_over(home: Path) -> None:
    """A Server that has read the file knows what it held: it looks again before it writes."""
    path = home / "settings"
    state = SettingsFile(path)
    state.keep_settings(BASE, {"hidden": True})
    path.write_bytes(b"version = 3\n")
    with pytest.raises(ConfigurationError):
        state.keep_settings(BASE, {"hidden": False})
    assert path.read_bytes() == b"version = 3\n"


# --- accounts


def test_accounts_of_the_first_version(home: Path) -> None:
    accounts = AccountFile(home / "accounts").read()
    assert list(accounts.users) == ["ann", "bob"]
    ann, bob = accounts.account("ann"), accounts.account("bob")
    assert ann.nt_hash == nt_hash("correct horse")
    assert ann.groups == {"Administrators", "Auditors", "Users"}
    assert (ann.full_name, ann.comment, ann.disabled) == ("Ann Other", "second floor", False)
    assert (bob.nt_hash, bob.disabled) == (nt_hash("battery staple"), True)
    assert accounts.group("Auditors").comment == "may look, not touch"
    AccountFile(home / "accounts").update(lambda accounts: accounts.change("bob", disabled=False))
    assert AccountFile(home / "accounts").read().account("ann") == ann


def test_newer_accounts_are_refused_and_left_alone(home: Path) -> None:
    path = home / "accounts"
    text = b"# more\nversion = 2\n[user ann]\nargon2 = \xff\n"
    path.write_bytes(text)
    for act in (AccountFile(path).read, lambda: AccountFile(path).update(lambda accounts: accounts.add("eve"))):
        with pytest.raises(AccountsError) as caught:
            act()
        expected = f"{path}: accounts, line 2: version: it has version 2, and this lanman knows none after 1"
        assert caught.value.message == expected
        assert "A newer lanman wrote it:" in (caught.value.hint or "")
    assert path.read_bytes() == text


# --- DOS attributes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("x")
    try:
        os.setxattr(path, "user.lanman.dos", b"")
    except OSError:
        pytest.skip("this disk has no extended attributes")
    return path


def test_attributes_of_the_first_version(file: Path) -> None:
    file.chmod(0o444)
    os.setxattr(file, "user.lanman.dos", bytes.fromhex((KEPT / "dos-attribute.hex").read_text()))
    descriptor = os.open(file, os.O_RDONLY)
    try:
        kept = attributes.read_kept(descriptor)
        assert kept is not None
        shown = attributes.file_stat(statx(descriptor), kept, b"file.txt")
        assert (shown.set_attributes, shown.creation_time) == (0x23, 132_000_000_000_000_000)
        attributes.set_attributes(descriptor, statx(descriptor), b"file.txt", 0x22)
        assert file.stat().st_mode & 0o777 == 0o644
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("newer", [b"\x03", b"\x03" + bytes(15), b"\xff" * 40])
def test_newer_attributes_are_refused_and_left_alone(
    file: Path, newer: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "_told", set())
    os.setxattr(file, "user.lanman.dos", newer)
    descriptor = os.open(file, os.O_RDWR)
    try:
        with caplog.at_level(logging.WARNING):
            assert attributes.read_kept(descriptor) is None
        now = statx(descriptor)
        acts: tuple[Callable[[], object], ...] = (
            lambda: attributes.check_writable(descriptor),
            lambda: attributes.set_attributes(descriptor, now, b"file.txt", 0x22),
            lambda: attributes.set_created_attributes(descriptor, now, b"file.txt", 0x20),
            lambda: attributes.set_creation_time(descriptor, b"file.txt", 1),
        )
        for act in acts:
            with pytest.raises(DiskRefused, match="STATUS_NOT_SUPPORTED"):
                act()
    finally:
        os.close(descriptor)
    assert os.getxattr(file, "user.lanman.dos") == newer
    assert [record.getMessage() for record in caplog.records] == [
        f"{str(file)!a}: the attribute user.lanman.dos: it has version {newer[0]}, and this lanman knows none after 2. "
        + REMEDY
    ]


# --- what a running Server's log says


async def test_the_log_says_what_to_do_about_newer_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever way a Server comes upon one: a change of a setting, a reload, a log-on."""

    async def tell(name: str, text: bytes, act: Callable[[], Awaitable[object]]) -> None:
        (tmp_path / name).write_bytes(text)
        caplog.clear()
        with pytest.raises(LanmanError):
            await act()
        [said] = [record.getMessage() for record in caplog.records if str(tmp_path / name) in record.getMessage()]
        assert said.rstrip('"').endswith(f", and this lanman knows none after {text[-2] - ord('1')}. {REMEDY}")
        assert (tmp_path / name).read_bytes() == text

    async def log_on() -> None:
        ann = lanman.Credentials("ann", "secret")
        await lanman.open_manager("127.0.0.1", ann, port=server.port).__aenter__()

    async with (
        lanman.Server(accounts={"ann": "secret"}, home=tmp_path) as server,
        lanman.open_manager(home=tmp_path) as manager,
        ControlClient(tmp_path / "control") as control,
    ):
        await tell("settings", b"version = 3\n", lambda: manager.set_hidden(True))
        await tell("settings", b"version = 3\n", control.reload)
        await tell("accounts", b"version = 2\n", log_on)
