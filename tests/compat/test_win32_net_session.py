"""What is Perl's own: the module's words, keys and levels, without its mistakes."""

from __future__ import annotations

import pytest

from lanman import compat
from lanman.compat.win32_net_session import Croak, Session
from lanman.records import SessionInfo
from lanman.rpc.srvsvc import NetrSessionEnum
from support.compat_peers import Peer, sessions


@pytest.fixture
def server(windows: Peer) -> str:
    compat.login(windows.server, windows.admin, windows.password)
    return str(windows.server)


def test_a_new_one_asks_nothing() -> None:
    session = Session(r"\\nowhere:1", 3, "", "ann")
    assert (session.servername, session.level, session.clientname, session.username) == (r"\\nowhere:1", 3, "", "ann")
    assert (session.isError, session.readed, session.Error) == (0, 0, None)
    assert session.NumberofSessions() == 0


def test_a_parameter_is_required() -> None:
    with pytest.raises(Croak, match="parameter required!") as raised:
        Session()
    assert raised.value.code is None


@pytest.mark.parametrize("level", [-1, 5, 10, 502])
def test_levels_are_its_own(level: int) -> None:
    session = Session(r"\\nowhere:1", level)
    with pytest.raises(Croak, match="Wrong Level given! Exit now!"):
        session.GetSessionInfo()
    assert session.isError == 1


def test_texts(windows: Peer, server: str) -> None:
    windows.peer.windows.list_callers = False
    windows.peer.windows.sessions = [
        SessionInfo(r"\\10.0.0.7", "ann", 2, 3700, 13, flags, None, None) for flags in (0, 1, 2, 3)
    ]
    found = Session(server, 4).get_session_info()
    assert [entry["UserFlags"] for entry in found.values()] == [
        "not known",
        "guest account",
        "not using password encryption",
        "not known",
    ]
    assert found["0"] == {
        "EntryCount": "8",
        "ClientName": r"\\10.0.0.7",
        "User": "ann",
        "Opened": "2",
        "Time": "3700",
        "IdleTime": "13",
        "UserFlags": "not known",
        "ClType Name": "",
        "TransportName": "",
    }


def test_level_as_a_string(server: str) -> None:
    assert Session(server, "0").get_session_info()["0"] == {"EntryCount": "1", "ClientName": r"\\10.0.0.7"}


def test_filters(windows: Peer, server: str) -> None:
    session = Session(server, 3, r"\\10.0.0.7", "bob")
    assert [entry["User"] for entry in session.GetSessionInfo().values()] == ["bob"]
    assert session.number_of_sessions() == 1
    # In Perl the empty string stands for none.
    assert len(Session(server, 3, "", "").GetSessionInfo()) == len(windows.peer.windows.sessions) + 1


def test_nobody_there(windows: Peer, server: str) -> None:
    windows.peer.windows.list_callers = False
    windows.peer.windows.sessions = []
    session = Session(server, 3)
    assert session.GetSessionInfo() == {}
    assert session.NumberofSessions() == 0
    assert not session.isError


WORDS = {
    5: "Access denied",
    8: "Not enough Memory",
    87: "Invalid Parameter",
    122: "ERROR_INSUFFICIENT_BUFFER",
    1004: "ERROR_INVALID_FLAGS",
    1113: "NO_UNICODE_TRANSLATION",
    2221: "User Not Found",
    2312: "Client Name not found",
    2351: "Invalid Computer",
    124: "unknown Error: 124",
    50: "unknown Error: 50",
}


@pytest.mark.parametrize("code", WORDS)
def test_croaks(windows: Peer, server: str, code: int) -> None:
    windows.peer.script.statuses[NetrSessionEnum] = code
    session = Session(server, 3)
    with pytest.raises(Croak) as raised:
        session.GetSessionInfo()
    assert (str(raised.value), raised.value.code) == (WORDS[code], code)
    assert (session.isError, session.Error, session.NumberofSessions()) == (1, WORDS[code], 0)
    windows.peer.script.statuses.clear()
    windows.peer.windows.sessions = sessions("ann")
    assert session.GetSessionInfo()
    assert (session.isError, session.Error) == (0, None)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError):
        Session(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Session(None, 3.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Session(None, 3, 7)  # type: ignore[arg-type]
