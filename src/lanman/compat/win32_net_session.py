r"""Perl's Win32::Net::Session 0.02: lists the sessions on a server, by NetSessionEnum.

    SESS = Session(server, level, clientname, username)
    ret = SESS.GetSessionInfo()
    numsessions = SESS.NumberofSessions()

Levels are the module's own: 0, 1, 2, 3 for SESSION_INFO_10 and 4 for SESSION_INFO_502. GetSessionInfo gives a
dictionary of dictionaries, with the keys "0", "1", ... and in each entry the module's keys with strings for values:

    0   EntryCount, ClientName
    1   EntryCount, ClientName, User, Opened, Time, IdleTime, UserFlags
    2   level 1 and `ClType Name`
    3   EntryCount, ClientName, User, Time, IdleTime
    4   level 2 and TransportName

What made Perl croak raises `Croak`, in the module's words. Left out are its mistakes: see docs/compat.md.
"""

from __future__ import annotations

from typing import Any, Final

from lanman import codes
from lanman.compat import _calls
from lanman.compat._arguments import number, text
from lanman.errors import LanmanError

__all__ = ["Croak", "Session"]

_LEVELS: Final = {0: 0, 1: 1, 2: 2, 3: 10, 4: 502}

# In the order in which the module fills its hash; a blank in a key is the module's.
_KEYS: Final = {
    "ClientName": "client_name",
    "User": "user_name",
    "Opened": "num_opens",
    "Time": "active_time",
    "IdleTime": "idle_time",
    "UserFlags": "user_flags",
    "ClType Name": "client_type",
    "TransportName": "transport",
}
_FIELDS: Final = {
    0: ("ClientName",),
    1: ("ClientName", "User", "Opened", "Time", "IdleTime", "UserFlags"),
    2: ("ClientName", "User", "Opened", "Time", "IdleTime", "UserFlags", "ClType Name"),
    3: ("ClientName", "User", "Time", "IdleTime"),
    4: ("ClientName", "User", "Opened", "Time", "IdleTime", "UserFlags", "ClType Name", "TransportName"),
}
_ENTRY_COUNT: Final = {0: "1", 1: "6", 2: "7", 3: "4", 4: "8"}
_USER_FLAGS: Final = {1: "guest account", 2: "not using password encryption"}

_WORDS: Final = {
    codes.ERROR_ACCESS_DENIED: "Access denied",
    codes.ERROR_NOT_ENOUGH_MEMORY: "Not enough Memory",
    codes.ERROR_INVALID_PARAMETER: "Invalid Parameter",
    codes.ERROR_INSUFFICIENT_BUFFER: "ERROR_INSUFFICIENT_BUFFER",
    1004: "ERROR_INVALID_FLAGS",
    1113: "NO_UNICODE_TRANSLATION",
    codes.NERR_UserNotFound: "User Not Found",
    codes.NERR_ClientNameNotFound: "Client Name not found",
    codes.NERR_InvalidComputer: "Invalid Computer",
}


class Croak(Exception):
    """What the module croaks with. `code` is NetSessionEnum's status; None where it was not called."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class _Missing:
    """Stands for no argument at all; None is a server: this machine."""


MISSING: Final = _Missing()


class Session:
    """`Win32::Net::Session->new(server, level, [clientname, username])`. Nothing is asked before GetSessionInfo."""

    def __init__(
        self,
        server: str | _Missing | None = MISSING,
        level: int | str = 0,
        clientname: str | None = None,
        username: str | None = None,
    ) -> None:
        if isinstance(server, _Missing):
            raise Croak("parameter required!")
        self.servername: str = text(server, "server") or ""
        # In Perl "2" is as good as 2.
        self.level: int = number(int(level) if isinstance(level, str) else level, "level")
        self.clientname: str = text(clientname, "clientname") or ""
        self.username: str = text(username, "username") or ""
        self.isError = 0
        self.readed = 0
        self.Error: str | None = None

    def GetSessionInfo(self) -> dict[str, dict[str, str]]:
        """The sessions; empty where there are none. Raises Croak."""
        if self.level not in _LEVELS:
            raise self._croak("Wrong Level given! Exit now!")
        status, found = _calls.whole_list(self._ask)
        if status != codes.NERR_Success:
            raise self._croak(_WORDS.get(status, f"unknown Error: {status}"), status)
        entries = [_entry(self.level, info) for info in found]
        self.isError, self.Error, self.readed = 0, None, len(entries)
        return {str(number): entry for number, entry in enumerate(entries)}

    def NumberofSessions(self) -> int:
        """How many sessions GetSessionInfo found last; 0 before it."""
        return self.readed

    get_session_info = GetSessionInfo
    number_of_sessions = NumberofSessions

    def _ask(self, resume: int) -> Any:
        try:
            return _calls.session_enum(
                self.servername, self.clientname, self.username, _LEVELS[self.level], _calls.EVERYTHING, resume
            )
        except LanmanError as error:
            raise self._croak(_WORDS.get(error.code, f"unknown Error: {error.code}"), error.code) from error

    def _croak(self, message: str, code: int | None = None) -> Croak:
        self.isError, self.Error, self.readed = 1, message, 0
        return Croak(message, code)


def _entry(level: int, session: Any) -> dict[str, str]:
    entry = {"EntryCount": _ENTRY_COUNT[level]}
    for key in _FIELDS[level]:
        value = getattr(session, _KEYS[key])
        if key == "UserFlags":
            entry[key] = _USER_FLAGS.get(value, "not known")
        else:
            entry[key] = "" if value is None else str(value)
    return entry
