"""Settings that are declared once: what the declarations promise to all who read them."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from lanman.settings import (
    BY_MEMBER,
    CHANGEABLE,
    MAX_COMMENT,
    SECTIONS,
    UNLIMITED,
    Configuration,
    Limits,
    NullSessions,
    RunningSettings,
    ShareConfiguration,
    check_comment,
    value_of,
    with_values,
)


def test_every_field_of_a_section_is_declared() -> None:
    sections = {"limits", "null_sessions", "domain", "log", "metrics", "shares"}
    assert {each.name for each in dataclasses.fields(Configuration)} == SECTIONS["server"].keys() | sections
    assert {each.name for each in dataclasses.fields(Limits)} == SECTIONS["limits"].keys()
    assert {each.name for each in dataclasses.fields(ShareConfiguration)} == SECTIONS["shares.NAME"].keys()
    assert SECTIONS.keys() == {"server", "shares.NAME"} | sections - {"shares"}


@pytest.mark.parametrize(
    ("name", "setting"), [(name, each) for settings in SECTIONS.values() for name, each in settings.items()]
)
def test_a_default_is_one_of_the_values(name: str, setting: Any) -> None:
    """But for those that say what is otherwise: "" is this machine's name, no file, no realm."""
    assert setting.name == name
    assert setting.doc
    if setting.default_text or setting.default == "":
        return
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    assert setting.check(default) == setting.default


def test_members_and_their_numbers() -> None:
    """MS-SRVS 2.2.2.12, and what 3.1.4.18 lets each be."""
    assert {name: (each.name, each.member.parameter) for name, each in BY_MEMBER.items() if each.member} == {
        "comment": ("comment", 5),
        "disc": ("autodisconnect", 10),
        "hidden": ("hidden", 16),
        "users": ("max_sessions", 107),
        "sessopens": ("opens_per_session", 501),
        "sessusers": ("sessions_per_connection", 510),
        "sessconns": ("tree_connects_per_session", 511),
    }


@pytest.mark.parametrize(
    ("member", "value", "wire", "understood"),
    [
        ("users", 0, UNLIMITED, (-1, UNLIMITED)),
        ("users", 7, 7, (7,)),
        ("disc", -1, -1, (-1, UNLIMITED)),
        ("disc", 0, 0, (0,)),
        ("hidden", True, True, (True, 1)),
        ("comment", "", "", ("", None)),
    ],
)
def test_values_as_management_has_them(member: str, value: object, wire: object, understood: tuple[Any, ...]) -> None:
    setting = BY_MEMBER[member]
    assert setting.member is not None
    assert setting.member.shown(value) == wire
    assert [setting.from_member(each) for each in understood] == [value] * len(understood)


@pytest.mark.parametrize(
    ("member", "value"),
    [("users", 0), ("users", 0x80000000), ("disc", -2), ("disc", 65536), ("sessopens", 0), ("sessopens", 16385),
     ("sessusers", 2049), ("sessconns", 2049), ("comment", "x" * 49), ("comment", "two\nlines"), ("comment", "\ud800")],
)  # fmt: skip
def test_what_management_may_not_ask_for(member: str, value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        BY_MEMBER[member].from_member(value)


def test_values_find_their_sections() -> None:
    changed = with_values(Configuration(), {"comment": "x", "opens_per_session": 5, "sessions_per_connection": 6})
    assert changed == Configuration(comment="x", limits=Limits(opens_per_session=5, sessions_per_connection=6))
    assert value_of(changed, CHANGEABLE["opens_per_session"]) == 5
    assert value_of(changed, CHANGEABLE["comment"]) == "x"


def test_a_change_is_whole_or_not_at_all() -> None:
    settings = RunningSettings()
    before = settings.current
    assert settings.changed(comment="", hidden=True) == {"hidden": True}
    with pytest.raises(ValueError, match="opens_per_session: must be a number from 1 to 16384"):
        settings.change(comment="new", opens_per_session=16385)
    with pytest.raises(ValueError, match="port: port cannot be set"):
        settings.change(port=1)
    assert settings.current is before
    settings.change(comment="new", max_sessions=3)
    assert (settings.current.comment, settings.current.max_sessions) == ("new", 3)
    assert before == Configuration()


def test_names_of_null_sessions_in_any_case() -> None:
    null = NullSessions(pipes=("SrvSvc",), shares=("Public",))
    assert null.has_pipe("srvsvc")
    assert null.has_share("PUBLIC")
    assert not null.has_pipe("wkssvc")
    assert not null.has_share("srvsvc")


def test_comments() -> None:
    assert check_comment("x" * 48) == "x" * 48
    for bad in ("x" * 49, "a\tb", "\udfff", 3):
        with pytest.raises(ValueError, match="must be"):
            check_comment(bad)


def test_what_the_command_says_of_its_values_is_what_is_declared() -> None:
    """The help of `lanman config server` is not made from the declarations, so that it costs no import."""
    from lanman.faces.cli.loader import load

    about = re.sub(r"\s+", " ", load("config").about)
    assert SECTIONS["server"]["autodisconnect"].kind.values == "-1 to 65535"
    assert "-1 (never) to 65535" in about
    assert f"at most {MAX_COMMENT} characters" in about
