"""What outlives a Server beside server.toml: the last word counts, and nothing is lost to a rival or to kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.domain import Share
from lanman.errors import LanmanError
from lanman.net import overlay as overlay_module
from lanman.net.configuration import ConfigurationError
from lanman.net.overlay import Overlay, SettingsFile, ShareChange, _dump, configuration_of, parse
from lanman.plain import dataclass
from lanman.settings import Configuration, Limits, ShareConfiguration
from support.kill_points import kill_at_every_step

BASE = Configuration(comment="of the file", shares={"Data": ShareConfiguration("/srv/data", read=("Users",))})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings"


@pytest.fixture
def state(path: Path) -> SettingsFile:
    return SettingsFile(path)


def test_nothing_was_changed(state: SettingsFile, path: Path) -> None:
    assert state.over(BASE) == BASE
    assert not path.exists()


def test_settings_lie_over_the_configuration(state: SettingsFile, path: Path) -> None:
    state.keep_settings(BASE, {"autodisconnect": -1, "hidden": True, "opens_per_session": 7})
    state.keep_settings(BASE, {"comment": 'quoted " \\ and ümläut\x7f'})
    expected = replace(
        BASE, autodisconnect=-1, hidden=True, comment='quoted " \\ and ümläut\x7f', limits=Limits(opens_per_session=7)
    )
    assert state.over(BASE) == SettingsFile(path).over(BASE) == expected


def test_the_last_word_counts(state: SettingsFile) -> None:
    state.keep_settings(BASE, {"autodisconnect": 30, "max_sessions": 3})
    edited = replace(BASE, autodisconnect=60)
    assert (state.over(edited).autodisconnect, state.over(edited).max_sessions) == (60, 3)
    state.keep_settings(edited, {"autodisconnect": 5})
    assert state.over(edited).autodisconnect == 5
    assert state.over(BASE).autodisconnect == 15


def test_what_is_as_the_configuration_says_is_not_kept(state: SettingsFile, path: Path) -> None:
    state.keep_settings(BASE, {"autodisconnect": 30})
    state.keep_settings(BASE, {"autodisconnect": 15})
    state.keep_share(BASE, "new", Share("new", path="/srv/new"))
    state.keep_share(BASE, "NEW", None)
    assert parse(path.read_bytes(), "") == Overlay()


def test_shares_come_change_and_go(state: SettingsFile) -> None:
    state.keep_share(BASE, "new", Share("new", path="/srv/new", remark="x", max_users=3, encrypt_data=True))
    assert state.over(BASE).shares == {
        **BASE.shares,
        "new": ShareConfiguration("/srv/new", "x", max_users=3, encryption=True),
    }
    changed = Share("Data", path="/srv/data", remark="y", readers=frozenset({"Users"}), writers=frozenset())
    changed.guest = "read"
    state.keep_share(BASE, "Data", changed)
    assert state.over(BASE).shares["Data"] == ShareConfiguration("/srv/data", "y", ("Users",), (), guest="read")
    state.keep_share(BASE, "data", None)
    assert list(state.over(BASE).shares) == ["new"]
    assert state.share_names() == {"DATA", "NEW"}
    # Whoever describes it otherwise in server.toml wants it back; so does who removes it there and adds it later.
    edited = replace(BASE, shares={"DATA": ShareConfiguration("/srv/other")})
    assert state.over(edited).shares["DATA"].path == "/srv/other"
    described = replace(BASE, shares={"new": ShareConfiguration("/srv/described")})
    assert state.over(described).shares["new"].path == "/srv/described"


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30),
    st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=5)),
)
def test_any_text_comes_back(text: str, names: list[str]) -> None:
    state = Overlay()
    share = ShareConfiguration("/" + text, read=tuple(names), write=None)
    state.shares["X"] = ShareChange("x", share, None)
    assert parse(_dump(state), "").shares["X"].value == share


def test_as_the_domain_has_it() -> None:
    share = Share("x", path="/x", remark="r", max_users=1, hidden=True, readers=frozenset("ba"), encrypt_data=True)
    assert configuration_of(share) == ShareConfiguration("/x", "r", ("a", "b"), None, 1, True, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "Expected '='"),
        ("\udcff", "utf-8"),
        ("[other]\n", "other: is nothing that this file has"),
        ("setting = 1\n", "setting: is nothing"),
        (
            '[[setting]]\nname = "autodisconnect"\nvalue = 70000\ninstead_of = 15\n',
            r"\[\[setting\]\] number 1: must be",
        ),
        ('[[setting]]\nname = "port"\nvalue = 1\ninstead_of = 2\n', "port cannot be set"),
        ('[[setting]]\nname = "hidden"\n', "number 1: has no value"),
        ('[[share]]\nname = "x"\nvalue = { path = "relative" }\n', "absolute path"),
        ('[[share]]\nname = "x"\nvalue = { path = "/x", other = 1 }\n', "other is not a key"),
        ('[[share]]\nname = "x"\nvalue = 3\n', r"\[\[share\]\] number 1"),
        ("[[share]]\nname = 3\n", r"\[\[share\]\] number 1"),
        (f'[[share]]\nname = "{"x" * 81}"\nvalue = {{ path = "/x" }}\n', "is not a share name"),
    ],
)
def test_a_file_that_is_broken_is_named_and_left_alone(
    state: SettingsFile, path: Path, text: str, problem: str
) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=problem) as caught:
        state.over(BASE)
    assert str(path) in caught.value.message
    with pytest.raises(ConfigurationError):
        state.keep_settings(BASE, {"autodisconnect": 1})
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_disk_that_takes_nothing(path: Path, state: SettingsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    state.keep_settings(BASE, {"autodisconnect": 30})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LanmanError, match="the settings cannot be written: No space left"):
        state.keep_settings(BASE, {"autodisconnect": 40})
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["settings", "settings.lock"]


WRITER = """
import sys
from pathlib import Path
from lanman.settings import Configuration
from lanman.net.overlay import SettingsFile
from lanman.domain import Share
state = SettingsFile(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for index in range(25):
    state.keep_share(Configuration(), f"{sys.argv[2]}{index}", Share("x", path=f"/srv/{index}"))
"""


def test_two_processes_at_once(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for who in ("ann", "bob")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert len(SettingsFile(path).over(Configuration()).shares) == 50


def test_kill_at_every_step_of_a_write(path: Path) -> None:
    """Whatever system call a writer is killed at, before or after it: what was kept, or that and the new."""
    work = """
from pathlib import Path
from lanman.settings import Configuration
from lanman.net.overlay import SettingsFile
from lanman.domain import Share
#--
SettingsFile(Path(argv[0])).keep_share(Configuration(), argv[1], Share(argv[1], path="/srv"))
"""
    state = SettingsFile(path)
    state.keep_settings(Configuration(), {"autodisconnect": 30})
    expected: set[str] = set()

    def check(number: int, lived: bool) -> bool:
        configuration = state.over(Configuration())
        assert configuration.autodisconnect == 30
        found = set(configuration.shares)
        assert found - {f"share{number}"} == expected
        is_new = found != expected
        expected.update(found)
        return is_new

    kill_at_every_step(work, lambda number: [str(path), f"share{number}"], check)
    state.keep_settings(Configuration(), {"autodisconnect": 40})
    assert sorted(each.name for each in path.parent.iterdir()) == ["settings", "settings.lock"]


def test_what_is_said_now_is_the_last_word(state: SettingsFile, path: Path) -> None:
    state.forget(["anything"])
    assert not path.exists()
    state.keep_settings(BASE, {"max_sessions": 3, "hidden": True})
    state.keep_share(BASE, "data", None)
    state.keep_share(BASE, "new", Share("new", path="/srv/new"))
    state.forget(["max_sessions", "DATA"])
    assert state.over(BASE) == replace(BASE, hidden=True, shares={**BASE.shares, "new": ShareConfiguration("/srv/new")})


# --- many changes


def test_a_change_costs_the_same_however_many_there_are(
    state: SettingsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in entries that are written: each is written once, and again when the whole has doubled."""
    written: list[str] = []
    dump = overlay_module._dump_share

    def counting_writes(change: Any) -> Any:
        written.append(change.name)
        return dump(change)

    monkeypatch.setattr(overlay_module, "_dump_share", counting_writes)
    parsed: list[int] = []
    read = overlay_module.parse

    def counting_reads(data: Any, source: Any) -> Any:
        parsed.append(len(data))
        return read(data, source)

    monkeypatch.setattr(overlay_module, "parse", counting_reads)
    for number in range(1000):
        state.keep_share(BASE, f"share{number}", Share(f"share{number}", path=f"/srv/{number}"))
    assert len(written) <= 4 * 1000
    assert len(parsed) <= 16
    for number in range(0, 1000, 2):
        state.keep_share(BASE, f"share{number}", None)
    assert len(written) <= 4 * 1500
    monkeypatch.undo()
    expected = {f"share{number}" for number in range(1, 1000, 2)} | {"Data"}
    assert set(state.over(BASE).shares) == set(SettingsFile(path).over(BASE).shares) == expected
    assert len(path.read_bytes()) < 250 * 1500


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_what_a_killed_writer_left_behind_is_no_change(state: SettingsFile, path: Path, cut: int) -> None:
    state.keep_share(BASE, "one", Share("one", path="/srv/one"))
    state.keep_share(BASE, "two", Share("two", path="/srv/two"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert set(SettingsFile(path).over(BASE).shares) == {"Data", "one"}
    SettingsFile(path).keep_share(BASE, "three", Share("three", path="/srv/three"))
    state.keep_share(BASE, "four", Share("four", path="/srv/four"))
    assert set(SettingsFile(path).over(BASE).shares) == {"Data", "one", "three", "four"}


def test_two_that_take_turns(path: Path) -> None:
    one, other = SettingsFile(path), SettingsFile(path)
    for number in range(10):
        one.keep_share(BASE, f"one{number}", Share(f"one{number}", path="/srv"))
        other.keep_share(BASE, f"other{number}", Share(f"other{number}", path="/srv"))
    assert len(SettingsFile(path).over(BASE).shares) == 21


def test_a_change_that_is_taken_back(state: SettingsFile, path: Path) -> None:
    for comment in ("one", "two", BASE.comment):
        state.keep_settings(BASE, {"comment": comment})
    state.keep_share(BASE, "new", Share("new", path="/srv"))
    state.keep_share(BASE, "NEW", None)
    assert SettingsFile(path).over(BASE) == BASE
    assert SettingsFile(path).share_names() == frozenset()


@dataclass(frozen=True, slots=True)
class LaterShare(ShareConfiguration):
    """The section of a share with a setting that has been added to it, and that the domain's Share knows nothing of."""

    audited: bool = False


def test_a_setting_that_the_domain_knows_nothing_of_outlives_a_change_of_its_share(tmp_path: Path) -> None:
    base = Configuration(shares={"data": LaterShare("/srv/data", audited=True)})
    SettingsFile(tmp_path / "settings").keep_share(base, "data", Share("data", path="/srv/data", remark="changed"))
    assert tomllib.loads((tmp_path / "settings").read_text())["share"] == [
        {
            "name": "data",
            "value": {"path": "/srv/data", "comment": "changed", "audited": True},
            "instead_of": {"path": "/srv/data", "audited": True},
        }
    ]
