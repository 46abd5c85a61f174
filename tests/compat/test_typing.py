"""What type checkers see: every public name annotated, and the types of answers by their level."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from types import ModuleType
from typing import Any, assert_type

import pytest

import lanman
from lanman import compat
from lanman.compat import adsi, netapi, win32_net_session, win32net, win32netcon

MODULES = [compat, win32net, netapi, win32_net_session, adsi]


def functions(module: ModuleType) -> list[Any]:
    """The public functions, and the public methods of public classes."""
    found: list[Any] = []
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            found.append(value)
        elif inspect.isclass(value):
            members = [member for key, member in vars(value).items() if not key.startswith("_") or key == "__init__"]
            found += [member.fget if isinstance(member, property) else member for member in members]
    return [value for value in found if inspect.isfunction(value)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.__name__))
def test_everything_is_annotated(module: ModuleType) -> None:
    assert functions(module)
    for function in functions(module):
        parameters = [name for name in inspect.signature(function).parameters if name != "self"]
        annotations = function.__annotations__
        assert set(parameters) <= set(annotations), function.__qualname__
        assert "return" in annotations or function.__name__ == "__init__", function.__qualname__


@pytest.mark.parametrize("name", ["NetSessionEnum", "NetSessionGetInfo", "NetFileEnum", "NetFileGetInfo"])
def test_levels_have_their_types(name: str) -> None:
    assert len(typing.get_overloads(getattr(netapi, name))) > 2


def test_constants_are_numbers() -> None:
    values = {name: value for name, value in vars(win32netcon).items() if name.isupper()}
    assert len(values) > 100
    assert {type(value) for value in values.values()} == {int}


def test_the_package_says_that_it_is_typed() -> None:
    assert lanman.__file__ is not None
    assert (Path(lanman.__file__).parent / "py.typed").exists()


def checked_by_mypy() -> None:
    """Never called: mypy reads it."""
    assert_type(netapi.NetSessionEnum(None, None, None, 10)[1], list[netapi.SESSION_INFO_10])
    assert_type(netapi.NetSessionGetInfo(None, "", "", 502)[1], netapi.SESSION_INFO_502 | None)
    assert_type(netapi.NetFileEnum(None, None, None, 3)[1], list[netapi.FILE_INFO_3])
    assert_type(netapi.NetConnectionEnum(None, "", 1)[1], list[netapi.CONNECTION_INFO_1])
    assert_type(netapi.NetServerGetInfo(None, 102)[1], netapi.SERVER_INFO_102 | None)
    assert_type(win32net.NetShareEnum(None), list[tuple[str, int, str]])
    assert_type(win32net.NetSessionEnum(10), list[dict[str, Any]])
    assert_type(win32_net_session.Session(None).GetSessionInfo(), dict[str, dict[str, str]])
    for session in adsi.GetObject("WinNT://./LanmanServer").Sessions():
        assert_type(session, adsi.IADsSession)
        assert_type(session.IdleTime, int | None)
