"""How calls are declared on the Server: what is asked before a function is called, and what is known to whom."""

from __future__ import annotations

import subprocess
import sys
import typing
from typing import Any

import pytest

from lanman import codes
from lanman.records import TransportInfo
from lanman.rpc import ndr
from lanman.rpc.ndr import Call
from lanman.rpc.srvsvc import (
    SRVSVC,
    NetrFileGetInfo,
    NetrServerSetInfo,
    NetrServerTransportAdd,
    NetrSessionDel,
    NetrSessionEnum,
    NetrShareAdd,
    NetrShareEnumSticky,
)
from lanman.server.rights import Rights
from lanman.server.srvsvc.calls import ANSWERS, answers, declines
from lanman.server.srvsvc.endpoint import NOUNS
from lanman.server.srvsvc.sessions import session_del
from support.memory_server import World


def levels_of_wire(call: type[Call[Any]]) -> set[int]:
    """The levels that a request or its response can carry."""
    found: set[int] = set()
    for message in (call, call.response):
        hints = typing.get_type_hints(message, include_extras=True)
        for name in message.parameters:
            wire = hints[name].__metadata__[0]
            if isinstance(wire, ndr.Entries | ndr.Info | ndr.InlineInfo):
                found |= set(wire.levels.table)
            elif isinstance(wire, ndr.Structure):
                found.add(wire.level)
    return found


@pytest.mark.parametrize("call", SRVSVC.requests.values())
def test_a_call_with_a_level_names_levels_that_can_travel(call: type[Call[Any]]) -> None:
    assert bool(call.levels) == ("level" in call.parameters)
    if call.__name__ != "NetrServerDiskEnum":  # whose one level is always the same container
        assert call.levels <= levels_of_wire(call)


def test_a_call_has_one_answer() -> None:
    with pytest.raises(TypeError, match="NetrSessionDel is answered already"):
        answers(NetrSessionDel, rights=Rights())(session_del)
    with pytest.raises(TypeError, match="NetrFileGetInfo is answered already"):
        declines(NetrFileGetInfo, rights=None)


def test_every_call_that_is_answered_is_one_of_the_interface() -> None:
    assert ANSWERS.keys() <= set(SRVSVC.requests.values())
    functions = {answer.function.__module__ for answer in ANSWERS.values() if answer.function is not None}
    assert functions <= {noun.__name__ for noun in NOUNS}
    assert len([answer for answer in ANSWERS.values() if answer.function is not None]) == 21


@pytest.mark.parametrize(
    ("user", "request_", "status"),
    [
        # The rights come first, then the call's own checks, the level, and the record that is to come.
        ("ann", NetrSessionEnum(None, "x", None, 7), codes.ERROR_ACCESS_DENIED),
        ("admin", NetrSessionEnum(None, "x", None, 7), codes.NERR_InvalidComputer),
        ("admin", NetrSessionEnum(None, r"\\x", None, 7), codes.ERROR_INVALID_LEVEL),
        ("ann", NetrShareAdd(None, 7, None), codes.ERROR_ACCESS_DENIED),
        ("admin", NetrShareAdd(None, 7, None), codes.ERROR_INVALID_LEVEL),
        ("admin", NetrShareAdd(None, 2, None), codes.ERROR_INVALID_PARAMETER),
        ("admin", NetrServerSetInfo(None, 1010, None), codes.ERROR_INVALID_PARAMETER),
        # There the level comes before the rights.
        ("ann", NetrShareEnumSticky(None, 501), codes.ERROR_INVALID_LEVEL),
        ("ann", NetrShareEnumSticky(None, 502), codes.ERROR_ACCESS_DENIED),
    ],
)
def test_what_is_asked_of_a_call_is_asked_in_order(user: str, request_: Call[Any], status: int) -> None:
    assert World().connect().log_on(user).bind().call(request_).status == status


def test_a_call_that_is_only_declared_is_not_supported_for_those_who_may_ask() -> None:
    assert NetrServerTransportAdd not in ANSWERS
    request = NetrServerTransportAdd(None, 0, TransportInfo(0, "", b"", ""))
    world = World()
    assert world.connect().log_on("ann").bind().call(request).status == codes.ERROR_ACCESS_DENIED
    assert world.connect().log_on("admin").bind().call(request).status == codes.ERROR_NOT_SUPPORTED


def run(program: str) -> str:
    """What a program of its own prints: nothing is imported there yet."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_server_knows_every_call() -> None:
    program = "import lanman.server.srvsvc.endpoint; from lanman.rpc.srvsvc.interface import SRVSVC"
    assert run(f"{program}; print(len(SRVSVC.requests))") == str(len(SRVSVC.requests))


@pytest.mark.parametrize(("module", "others"), [("lanman.manage.srvsvc", set()), ("lanman.manage.own", {"server"})])
def test_a_manager_loads_the_calls_about_sessions_and_no_server(module: str, others: set[str]) -> None:
    loaded = run(f"import sys, {module}; print(*sorted(sys.modules))").split()
    nouns = {name.removeprefix("lanman.rpc.srvsvc.") for name in loaded if name.startswith("lanman.rpc.srvsvc.")}
    assert nouns == {"interface", "paths", "sessions"} | others  # the rest comes with the method that makes them
    assert "lanman.server.srvsvc" not in loaded


def test_every_name_can_be_had_from_the_package_and_no_other() -> None:
    program = """
from lanman.rpc import srvsvc
assert srvsvc.NetrDfsGetVersion.opnum == 43
assert srvsvc.sessions.NetrSessionEnum is srvsvc.NetrSessionEnum
assert not hasattr(srvsvc, "NetrNothing")
from lanman.rpc.srvsvc import SESSION_INFO, NetrSessionDel
print(NetrSessionDel.opnum, len(SESSION_INFO.table))
"""
    assert run(program) == "13 5"
