r"""The session, file, connection and server functions of netapi32, for those who port C (lmshare.h, lmserver.h).

    status, entries, read, total, resume = NetSessionEnum(r"\\fs1", None, None, 10, MAX_PREFERRED_LENGTH, 0)

The parameters come in the documented order without the pointers that results are written through; those come back in a
tuple, in their order, behind the status. A status is returned and never raised, whatever went wrong: also a server that
cannot be reached (53), and a log-on that is refused (1326). Only what C would not compile raises TypeError or
ValueError. Where a status is not 0 or ERROR_MORE_DATA, the rest of the tuple means nothing. Why a call failed, in
words, is logged by "lanman.compat" at level DEBUG.

A `servername` of None is this machine. `lanman.compat.login` sets the credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, overload

from lanman.codes import (
    ERROR_ACCESS_DENIED,
    ERROR_FILE_NOT_FOUND,
    ERROR_INVALID_LEVEL,
    ERROR_INVALID_PARAMETER,
    ERROR_MORE_DATA,
    ERROR_NOT_ENOUGH_MEMORY,
    NERR_BufTooSmall,
    NERR_ClientNameNotFound,
    NERR_FileIdNotFound,
    NERR_InvalidComputer,
    NERR_Success,
    NERR_UserNotFound,
)
from lanman.compat import _calls, _structures
from lanman.compat._arguments import number, text
from lanman.compat._structures import (
    CONNECTION_INFO_0,
    CONNECTION_INFO_1,
    FILE_INFO_2,
    FILE_INFO_3,
    SERVER_INFO_100,
    SERVER_INFO_101,
    SERVER_INFO_102,
    SERVER_INFO_502,
    SERVER_INFO_503,
    SERVER_INFO_1005,
    SERVER_INFO_1010,
    SERVER_INFO_1016,
    SERVER_INFO_1017,
    SERVER_INFO_1018,
    SERVER_INFO_1107,
    SESSION_INFO_0,
    SESSION_INFO_1,
    SESSION_INFO_2,
    SESSION_INFO_10,
    SESSION_INFO_502,
)
from lanman.compat.win32netcon import (
    PERM_FILE_CREATE,
    PERM_FILE_READ,
    PERM_FILE_WRITE,
    SESS_GUEST,
    SESS_NOENCRYPTION,
    SV_NODISC,
)
from lanman.errors import LanmanError
from lanman.rpc import srvsvc as rpc

__all__ = [
    "CONNECTION_INFO_0",
    "CONNECTION_INFO_1",
    "ERROR_ACCESS_DENIED",
    "ERROR_FILE_NOT_FOUND",
    "ERROR_INVALID_LEVEL",
    "ERROR_INVALID_PARAMETER",
    "ERROR_MORE_DATA",
    "ERROR_NOT_ENOUGH_MEMORY",
    "FILE_INFO_2",
    "FILE_INFO_3",
    "MAX_PREFERRED_LENGTH",
    "PERM_FILE_CREATE",
    "PERM_FILE_READ",
    "PERM_FILE_WRITE",
    "SERVER_INFO_100",
    "SERVER_INFO_101",
    "SERVER_INFO_102",
    "SERVER_INFO_502",
    "SERVER_INFO_503",
    "SERVER_INFO_1005",
    "SERVER_INFO_1010",
    "SERVER_INFO_1016",
    "SERVER_INFO_1017",
    "SERVER_INFO_1018",
    "SERVER_INFO_1107",
    "SESSION_INFO_0",
    "SESSION_INFO_1",
    "SESSION_INFO_2",
    "SESSION_INFO_10",
    "SESSION_INFO_502",
    "SESS_GUEST",
    "SESS_NOENCRYPTION",
    "SV_NODISC",
    "NERR_BufTooSmall",
    "NERR_ClientNameNotFound",
    "NERR_FileIdNotFound",
    "NERR_InvalidComputer",
    "NERR_Success",
    "NERR_UserNotFound",
    "NetApiBufferFree",
    "NetConnectionEnum",
    "NetFileClose",
    "NetFileEnum",
    "NetFileGetInfo",
    "NetServerGetInfo",
    "NetServerSetInfo",
    "NetSessionDel",
    "NetSessionEnum",
    "NetSessionGetInfo",
]

log: Final = logging.getLogger("lanman.compat")

T = TypeVar("T")

MAX_PREFERRED_LENGTH: Final = 0xFFFFFFFF

_SESSION: Final[dict[int, type[Any]]] = {
    0: SESSION_INFO_0,
    1: SESSION_INFO_1,
    2: SESSION_INFO_2,
    10: SESSION_INFO_10,
    502: SESSION_INFO_502,
}
_FILE: Final[dict[int, type[Any]]] = {2: FILE_INFO_2, 3: FILE_INFO_3}
_CONNECTION: Final[dict[int, type[Any]]] = {0: CONNECTION_INFO_0, 1: CONNECTION_INFO_1}
_SERVER: Final[dict[int, type[Any]]] = {
    100: SERVER_INFO_100,
    101: SERVER_INFO_101,
    102: SERVER_INFO_102,
    502: SERVER_INFO_502,
    503: SERVER_INFO_503,
    1005: SERVER_INFO_1005,
    1010: SERVER_INFO_1010,
    1016: SERVER_INFO_1016,
    1017: SERVER_INFO_1017,
    1018: SERVER_INFO_1018,
    1107: SERVER_INFO_1107,
}

# An enumeration: status, entries, how many these are, how many there are from here, where to go on.
Page = tuple[int, list[T], int, int, int | None]


def _tried(call: Callable[[], T], otherwise: Callable[[int], T]) -> T:
    """What a call gives, or what stands for the code that it failed with."""
    try:
        return call()
    except LanmanError as error:
        log.debug("%s%s", error, f" ({error.hint})" if error.hint else "")
        return otherwise(error.code)
    except MemoryError:
        return otherwise(ERROR_NOT_ENOUGH_MEMORY)


def _page(call: Callable[[], Any], kinds: dict[int, type[Any]], levels: Any, level: int) -> Page[Any]:
    def ask() -> Page[Any]:
        answer = call()
        if answer.status not in (NERR_Success, ERROR_MORE_DATA):
            return answer.status, [], 0, 0, 0
        kind = kinds[level]
        entries = [_structures.structure(kind, levels, level, entry) for entry in answer.entries or ()]
        return answer.status, entries, len(entries), answer.total_entries, answer.resume_handle

    return _tried(ask, lambda code: (code, [], 0, 0, 0))


# --- sessions


@overload
def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: Literal[0],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[SESSION_INFO_0]:
    """Level 0: names of clients alone."""


@overload
def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: Literal[1],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[SESSION_INFO_1]:
    """Level 1: clients, users, open files, times and flags."""


@overload
def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: Literal[2],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[SESSION_INFO_2]:
    """Level 2: level 1 and the type of client."""


@overload
def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: Literal[10],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[SESSION_INFO_10]:
    """Level 10: clients, users and times."""


@overload
def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: Literal[502],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[SESSION_INFO_502]:
    """Level 502: level 2 and the transport."""


@overload
def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: int,
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[Any]:
    """A level that is not known before the call."""


def NetSessionEnum(
    servername: str | None,
    UncClientName: str | None,
    username: str | None,
    level: int,
    prefmaxlen: int = MAX_PREFERRED_LENGTH,
    resume_handle: int | None = 0,
) -> Page[Any]:
    """NetSessionEnum of lmshare.h: the sessions on a server, of a client and of a user where given.

    Gives (status, list of SESSION_INFO_n, entriesread, totalentries, resume_handle); `prefmaxlen` is in bytes.

    Status: 0, ERROR_MORE_DATA (call again with the handle), ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL,
    ERROR_INVALID_PARAMETER, ERROR_NOT_ENOUGH_MEMORY, NERR_ClientNameNotFound, NERR_InvalidComputer, NERR_UserNotFound.
    """
    server, client, user = (
        text(servername, "servername"),
        text(UncClientName, "UncClientName"),
        text(username, "username"),
    )
    level, length = number(level, "level"), number(prefmaxlen, "prefmaxlen")
    resume = None if resume_handle is None else number(resume_handle, "resume_handle")
    return _page(
        lambda: _calls.session_enum(server, client, user, level, length, resume), _SESSION, rpc.SESSION_INFO, level
    )


@overload
def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: Literal[0]
) -> tuple[int, SESSION_INFO_0 | None]:
    """Level 0: names of clients alone."""


@overload
def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: Literal[1]
) -> tuple[int, SESSION_INFO_1 | None]:
    """Level 1: clients, users, open files, times and flags."""


@overload
def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: Literal[2]
) -> tuple[int, SESSION_INFO_2 | None]:
    """Level 2: level 1 and the type of client."""


@overload
def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: Literal[10]
) -> tuple[int, SESSION_INFO_10 | None]:
    """Level 10: clients, users and times."""


@overload
def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: Literal[502]
) -> tuple[int, SESSION_INFO_502 | None]:
    """Level 502: level 2 and the transport."""


@overload
def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: int
) -> tuple[int, Any]:
    """A level that is not known before the call."""


def NetSessionGetInfo(
    servername: str | None, UncClientName: str | None, username: str | None, level: int
) -> tuple[int, Any]:
    """NetSessionGetInfo of lmshare.h: one session, by client and user: (status, SESSION_INFO_n or None).

    Status: 0, ERROR_INVALID_PARAMETER without either, ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL,
    NERR_ClientNameNotFound, NERR_UserNotFound, NERR_InvalidComputer.
    """
    server, client, user = (
        text(servername, "servername"),
        text(UncClientName, "UncClientName"),
        text(username, "username"),
    )
    level = number(level, "level")

    def ask() -> tuple[int, Any]:
        status, found = _calls.session_get_info(server, client, user, level)
        return status, found and _structures.structure(_SESSION[level], rpc.SESSION_INFO, level, found)

    return _tried(ask, lambda code: (code, None))


def NetSessionDel(servername: str | None, UncClientName: str | None, username: str | None) -> int:
    """NetSessionDel of lmshare.h: end the sessions of a client, of a user, or of both: status.

    None for `username` is all users of the client, None for `UncClientName` wherever the user is. Status: 0,
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER without both, NERR_ClientNameNotFound; of a Samba 170, see
    docs/compat.md.
    """
    server, client, user = (
        text(servername, "servername"),
        text(UncClientName, "UncClientName"),
        text(username, "username"),
    )
    return _tried(lambda: _calls.session_del(server, client, user), lambda code: code)


# --- files


@overload
def NetFileEnum(
    servername: str | None,
    basepath: str | None,
    username: str | None,
    level: Literal[2],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[FILE_INFO_2]:
    """Level 2: ids alone."""


@overload
def NetFileEnum(
    servername: str | None,
    basepath: str | None,
    username: str | None,
    level: Literal[3],
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[FILE_INFO_3]:
    """Level 3: ids, permissions, locks, paths and users."""


@overload
def NetFileEnum(
    servername: str | None,
    basepath: str | None,
    username: str | None,
    level: int,
    prefmaxlen: int = ...,
    resume_handle: int | None = ...,
) -> Page[Any]:
    """A level that is not known before the call."""


def NetFileEnum(
    servername: str | None,
    basepath: str | None,
    username: str | None,
    level: int,
    prefmaxlen: int = MAX_PREFERRED_LENGTH,
    resume_handle: int | None = 0,
) -> Page[Any]:
    r"""NetFileEnum of lmshare.h: the open files below a path and of a user.

    Gives (status, list of FILE_INFO_n, entriesread, totalentries, resume_handle). A `username` that begins with `\\`
    is the name of a client. Status: 0, ERROR_MORE_DATA, ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL, NERR_UserNotFound.
    """
    server, path, user = text(servername, "servername"), text(basepath, "basepath"), text(username, "username")
    level, length = number(level, "level"), number(prefmaxlen, "prefmaxlen")
    resume = None if resume_handle is None else number(resume_handle, "resume_handle")
    return _page(lambda: _calls.file_enum(server, path, user, level, length, resume), _FILE, rpc.FILE_INFO, level)


@overload
def NetFileGetInfo(servername: str | None, fileid: int, level: Literal[2]) -> tuple[int, FILE_INFO_2 | None]:
    """Level 2: ids alone."""


@overload
def NetFileGetInfo(servername: str | None, fileid: int, level: Literal[3]) -> tuple[int, FILE_INFO_3 | None]:
    """Level 3: ids, permissions, locks, paths and users."""


@overload
def NetFileGetInfo(servername: str | None, fileid: int, level: int) -> tuple[int, Any]:
    """A level that is not known before the call."""


def NetFileGetInfo(servername: str | None, fileid: int, level: int) -> tuple[int, Any]:
    """NetFileGetInfo of lmshare.h: one open file: (status, FILE_INFO_n or None).

    Status: 0, ERROR_FILE_NOT_FOUND for an id that is not open, ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL.
    """
    server, fileid, level = text(servername, "servername"), number(fileid, "fileid"), number(level, "level")
    return _info(lambda: _calls.file_get_info(server, fileid, level), _FILE, rpc.FILE_INFO, level)


def NetFileClose(servername: str | None, fileid: int) -> int:
    """NetFileClose of lmshare.h: close an open file: status.

    0, NERR_FileIdNotFound for an id that is not open, ERROR_ACCESS_DENIED.
    """
    server, fileid = text(servername, "servername"), number(fileid, "fileid")
    return _tried(lambda: _calls.file_close(server, fileid), lambda code: code)


# --- connections


@overload
def NetConnectionEnum(
    servername: str | None, qualifier: str, level: Literal[0], prefmaxlen: int = ..., resume_handle: int | None = ...
) -> Page[CONNECTION_INFO_0]:
    """Level 0: ids alone."""


@overload
def NetConnectionEnum(
    servername: str | None, qualifier: str, level: Literal[1], prefmaxlen: int = ..., resume_handle: int | None = ...
) -> Page[CONNECTION_INFO_1]:
    """Level 1: ids, types, open files, users, times and names of shares."""


@overload
def NetConnectionEnum(
    servername: str | None, qualifier: str, level: int, prefmaxlen: int = ..., resume_handle: int | None = ...
) -> Page[Any]:
    """A level that is not known before the call."""


def NetConnectionEnum(
    servername: str | None,
    qualifier: str,
    level: int,
    prefmaxlen: int = MAX_PREFERRED_LENGTH,
    resume_handle: int | None = 0,
) -> Page[Any]:
    r"""NetConnectionEnum of lmshare.h: the connections to a share, or of a `\\client`.

    Gives (status, list of CONNECTION_INFO_n, entriesread, totalentries, resume_handle). Status: 0, ERROR_MORE_DATA,
    ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL, ERROR_INVALID_PARAMETER; of a Samba 50.
    """
    server, what = text(servername, "servername"), text(qualifier, "qualifier")
    level, length = number(level, "level"), number(prefmaxlen, "prefmaxlen")
    resume = None if resume_handle is None else number(resume_handle, "resume_handle")
    return _page(
        lambda: _calls.connection_enum(server, what, level, length, resume), _CONNECTION, rpc.CONNECTION_INFO, level
    )


# --- the server


@overload
def NetServerGetInfo(servername: str | None, level: Literal[100]) -> tuple[int, SERVER_INFO_100 | None]:
    """Level 100: platform and name."""


@overload
def NetServerGetInfo(servername: str | None, level: Literal[101]) -> tuple[int, SERVER_INFO_101 | None]:
    """Level 101: level 100, version, type and comment."""


@overload
def NetServerGetInfo(servername: str | None, level: Literal[102]) -> tuple[int, SERVER_INFO_102 | None]:
    """Level 102: level 101, limits, idle time and what is announced."""


@overload
def NetServerGetInfo(servername: str | None, level: Literal[502]) -> tuple[int, SERVER_INFO_502 | None]:
    """Level 502: limits of sessions, opens and buffers."""


@overload
def NetServerGetInfo(servername: str | None, level: Literal[503]) -> tuple[int, SERVER_INFO_503 | None]:
    """Level 503: level 502, the domain and the server's tuning."""


@overload
def NetServerGetInfo(servername: str | None, level: int) -> tuple[int, Any]:
    """A level that is not known before the call."""


def NetServerGetInfo(servername: str | None, level: int) -> tuple[int, Any]:
    """NetServerGetInfo of lmserver.h: the server's configuration: (status, SERVER_INFO_n or None).

    Status: 0, ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL.
    """
    server, level = text(servername, "servername"), number(level, "level")
    if level not in _SERVER:
        return ERROR_INVALID_LEVEL, None
    return _info(lambda: _calls.server_get_info(server, level), _SERVER, rpc.SERVER_INFO, level)


def NetServerSetInfo(servername: str | None, level: int, buf: Any) -> tuple[int, int]:
    """NetServerSetInfo of lmserver.h: change the configuration by a SERVER_INFO_n: (status, ParmError).

    With ERROR_INVALID_PARAMETER, ParmError is the number of the member that is wrong (SV_COMMENT_PARMNUM, ...).
    Status: 0, ERROR_ACCESS_DENIED, ERROR_INVALID_LEVEL, ERROR_INVALID_PARAMETER. Raises TypeError for another
    structure.
    """
    server, level = text(servername, "servername"), number(level, "level")
    if level not in _SERVER:
        return ERROR_INVALID_LEVEL, 0
    if not isinstance(buf, _SERVER[level]):
        raise TypeError(f"buf: a SERVER_INFO_{level} is wanted, not {type(buf).__name__}")
    info = _structures.record(rpc.SERVER_INFO, level, buf)

    def order() -> tuple[int, int]:
        answer = _calls.server_set_info(server, level, info)
        return answer.status, answer.parm_err or 0

    return _tried(order, lambda code: (code, 0))


def _info(call: Callable[[], Any], kinds: dict[int, type[Any]], levels: Any, level: int) -> tuple[int, Any]:
    def ask() -> tuple[int, Any]:
        answer = call()
        if answer.status or answer.info is None:
            return answer.status or _calls.NO_ANSWER, None
        return 0, _structures.structure(kinds[level], levels, level, answer.info)

    return _tried(ask, lambda code: (code, None))


def NetApiBufferFree(Buffer: object) -> int:
    """NetApiBufferFree of lmapibuf.h: nothing, since Python frees what was returned.

    Takes anything, None too. Gives NERR_Success.
    """
    return NERR_Success
