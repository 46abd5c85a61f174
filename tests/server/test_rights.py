"""Every call, at every level, by every kind of caller: the table of MS-SRVS's notes, written out once more by hand."""

from __future__ import annotations

from typing import Any

import pytest

from lanman.domain import ServerService
from lanman.rpc.ndr import Call
from lanman.rpc.srvsvc import (
    SRVSVC,
    NetprNameCanonicalize,
    NetprNameCompare,
    NetprNameValidate,
    NetprPathCanonicalize,
    NetprPathCompare,
    NetprPathType,
    NetrConnectionEnum,
    NetrFileClose,
    NetrFileEnum,
    NetrFileGetInfo,
    NetrRemoteTOD,
    NetrServerDiskEnum,
    NetrServerGetInfo,
    NetrServerSetInfo,
    NetrServerStatisticsGet,
    NetrServerTransportAdd,
    NetrServerTransportEnum,
    NetrSessionDel,
    NetrSessionEnum,
    NetrShareAdd,
    NetrShareCheck,
    NetrShareDel,
    NetrShareDelSticky,
    NetrShareEnum,
    NetrShareEnumSticky,
    NetrShareGetInfo,
    NetrShareSetInfo,
)
from lanman.server.rights import Caller, SessionRights
from lanman.server.srvsvc.calls import ANSWERS
from lanman.server.srvsvc.endpoint import ServerServiceEndpoint
from lanman.settings import Configuration, RunningSettings


def session_caller(*groups: str, anonymous: bool = False, guest: bool = False) -> Caller:
    session = ServerService().register_session(
        1, 1, "PC1", "ann", now=0, anonymous=anonymous, guest=guest, groups=frozenset(groups)
    )
    return Caller(session.user_name, session.groups, session)


# n: null session, g: guest who claims to be an administrator, u: user, w: power user, p: print operator,
# s: server operator, a: administrator by a name in another case, l: local user on the control socket, r: root there.
CALLERS = {
    "n": session_caller(anonymous=True),
    "g": session_caller("Administrators", guest=True),
    "u": session_caller("Users"),
    "w": session_caller("Users", "Power Users"),
    "p": session_caller("Print Operators"),
    "s": session_caller("Server Operators"),
    "a": session_caller("ADMINISTRATORS"),
    "l": Caller("ann"),
    "r": Caller("root", local_admin=True),
}
EVERYONE = "nguwpsalr"
OPERATORS = "sar"
MANAGERS = "wsar"
ALL_OPERATORS = "wpsar"

TABLE: list[tuple[type[Call[Any]], int | None, str]] = [
    (NetrConnectionEnum, 0, ALL_OPERATORS),
    (NetrConnectionEnum, 1, ALL_OPERATORS),
    (NetrFileEnum, 2, OPERATORS),
    (NetrFileEnum, 3, OPERATORS),
    (NetrFileGetInfo, 2, OPERATORS),
    (NetrFileGetInfo, 3, OPERATORS),
    (NetrFileClose, None, OPERATORS),
    *((NetrSessionEnum, level, OPERATORS) for level in (0, 1, 2, 10, 502)),
    (NetrSessionDel, None, OPERATORS),
    (NetrShareAdd, 2, MANAGERS),
    (NetrShareAdd, 502, MANAGERS),
    (NetrShareSetInfo, 1004, MANAGERS),
    (NetrShareDel, None, MANAGERS),
    (NetrShareDelSticky, None, MANAGERS),
    (NetrShareCheck, None, EVERYONE),
    (NetrShareEnum, 0, EVERYONE),
    (NetrShareEnum, 1, EVERYONE),
    *((NetrShareEnum, level, ALL_OPERATORS) for level in (2, 501, 502, 503)),
    (NetrShareEnumSticky, 0, EVERYONE),
    (NetrShareEnumSticky, 1, EVERYONE),
    *((NetrShareEnumSticky, level, ALL_OPERATORS) for level in (2, 502, 503)),
    *((NetrShareGetInfo, level, EVERYONE) for level in (0, 1, 501, 1005)),
    *((NetrShareGetInfo, level, ALL_OPERATORS) for level in (2, 502, 503)),
    (NetrServerGetInfo, 100, EVERYONE),
    (NetrServerGetInfo, 101, EVERYONE),
    (NetrServerGetInfo, 102, ALL_OPERATORS),
    (NetrServerGetInfo, 103, ALL_OPERATORS),
    (NetrServerGetInfo, 502, MANAGERS),
    (NetrServerGetInfo, 503, OPERATORS),
    *((NetrServerSetInfo, level, OPERATORS) for level in (101, 102, 502, 503, 599, 1005, 1010)),
    (NetrServerDiskEnum, 0, OPERATORS),
    (NetrServerStatisticsGet, 0, OPERATORS),
    (NetrServerTransportEnum, 0, MANAGERS),
    (NetrRemoteTOD, None, EVERYONE),
    (NetprPathType, None, EVERYONE),
    (NetprPathCanonicalize, None, EVERYONE),
    (NetprPathCompare, None, EVERYONE),
    (NetprNameValidate, None, EVERYONE),
    (NetprNameCanonicalize, None, EVERYONE),
    (NetprNameCompare, None, EVERYONE),
    # What the table does not know, be it a call or a level, is for operators alone.
    (NetrServerTransportAdd, 0, OPERATORS),
    (NetrSessionEnum, 7, OPERATORS),
    (NetrServerGetInfo, 1010, OPERATORS),
]


def may(caller: Caller, call: type[Call[Any]], level: int | None, session_rights: SessionRights = "hardened") -> bool:
    endpoint = ServerServiceEndpoint(ServerService(), RunningSettings(Configuration(session_rights=session_rights)))
    return not endpoint.refuses(caller, call, level)


def row_name(value: object) -> str | None:
    return value.__name__ if isinstance(value, type) else None


@pytest.mark.parametrize(("call", "level", "allowed"), TABLE, ids=row_name)
def test_who_may(call: type[Call[Any]], level: int | None, allowed: str) -> None:
    assert {kind for kind, caller in CALLERS.items() if may(caller, call, level)} == set(allowed)


@pytest.mark.parametrize(("level", "allowed"), [(0, "uwpsalr"), (10, "uwpsalr"), (1, "sar"), (2, "sar"), (502, "sar")])
def test_legacy_shows_names_and_times_to_every_user(level: int, allowed: str) -> None:
    found = {kind for kind, caller in CALLERS.items() if may(caller, NetrSessionEnum, level, "legacy")}
    assert found == set(allowed)


@pytest.mark.parametrize(
    ("call", "level", "allowed"), [row for row in TABLE if row[0] is not NetrSessionEnum], ids=row_name
)
def test_legacy_changes_nothing_else(call: type[Call[Any]], level: int | None, allowed: str) -> None:
    assert {kind for kind, caller in CALLERS.items() if may(caller, call, level, "legacy")} == set(allowed)


def test_calls_that_nobody_answers_are_refused_to_nobody() -> None:
    obsolete = [call for number, call in SRVSVC.requests.items() if number < 8 or call.__name__.startswith("NetrDfs")]
    assert len(obsolete) == 15
    for call in obsolete:
        assert all(may(caller, call, 0) for caller in CALLERS.values()), call


def test_an_unknown_level_of_sticky_shares_is_refused_to_nobody() -> None:
    assert all(may(caller, NetrShareEnumSticky, 501) for caller in CALLERS.values())


def test_the_groups_can_be_named() -> None:
    rights = ANSWERS[NetrSessionDel].rights
    assert rights is not None
    assert rights.groups_at() == ("Administrators", "Server Operators")
