r"""pywin32's win32net: its session, file, share and server functions, for any server, from any system.

    from lanman.compat import win32net                  # instead of: import win32net
    for session in win32net.NetSessionEnum(10, r"\\fs1"):
        print(session["client_name"], session["user_name"], session["idle_time"])

Signatures, dictionary keys, shapes and errors are pywin32's. Arguments are positional. An error is a `win32net.error`
with winerror, funcname and strerror, whatever went wrong; its `__cause__` says more where more is known. Ids and flags
are unsigned. A server of None is this machine; `lanman.compat.login` sets the credentials for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

from lanman import codes
from lanman.compat import _calls
from lanman.compat._arguments import number, required, text
from lanman.errors import LanmanError
from lanman.records import ServerInfo, ShareInfo
from lanman.rpc import srvsvc as rpc

__all__ = [
    "SERVICE_SERVER",
    "SERVICE_WORKSTATION",
    "USE_FORCE",
    "USE_LOTS_OF_FORCE",
    "USE_NOFORCE",
    "NetFileClose",
    "NetFileEnum",
    "NetFileGetInfo",
    "NetServerDiskEnum",
    "NetServerGetInfo",
    "NetServerSetInfo",
    "NetSessionDel",
    "NetSessionEnum",
    "NetSessionGetInfo",
    "NetShareAdd",
    "NetShareCheck",
    "NetShareDel",
    "NetShareEnum",
    "NetShareGetInfo",
    "NetShareSetInfo",
    "NetStatisticsGet",
    "error",
]

T = TypeVar("T")

SERVICE_SERVER: Final = "LanmanServer"
SERVICE_WORKSTATION: Final = "LanmanWorkstation"
USE_NOFORCE: Final = 0
USE_FORCE: Final = 1
USE_LOTS_OF_FORCE: Final = 2

Dictionary = dict[str, Any]

_OK: Final = (codes.NERR_Success, codes.ERROR_MORE_DATA)


class error(Exception):
    """What pywintypes.error is: `args` are (winerror, funcname, strerror)."""

    winerror: int
    funcname: str
    strerror: str

    def __init__(self, winerror: int, funcname: str, strerror: str) -> None:
        super().__init__(winerror, funcname, strerror)
        self.winerror, self.funcname, self.strerror = winerror, funcname, strerror


def _error(code: int, function: str) -> error:
    known = codes.has_win32_text(code)
    return error(code, function, codes.win32_text(code) if known else "No error message is available")


def _called(function: str, call: Callable[[], T]) -> T:
    """What a call gives, with what keeps it from being made as an `error`."""
    try:
        return call()
    except LanmanError as failure:
        raise _error(failure.code, function) from failure


def _check(function: str, status: int) -> None:
    if status != codes.NERR_Success:
        raise _error(status, function)


# --- dictionaries


def _keys(levels: Any, level: int, prefix: str = "", **renamed: str) -> dict[str, str]:
    """The keys of a level's dictionary, in order, each with the name of its field."""
    return {renamed.get(name, prefix + name): name for name in levels.table[level].split()}


def _server_keys(level: int, names: str = "") -> dict[str, str]:
    chosen = names.split() or rpc.SERVER_INFO.table[level].split()
    return {name: name for name in chosen}


_SESSION: Final = {level: _keys(rpc.SESSION_INFO, level) for level in (0, 1, 2, 10, 502)}
_FILE: Final = {level: _keys(rpc.FILE_INFO, level, path="path_name") for level in (2, 3)}
_SHARE: Final = {level: _keys(rpc.SHARE_INFO, level) for level in (0, 1, 2, 501, 502)}
_STATISTICS: Final = _keys(rpc.STATISTICS, 0, "sts0_")
# pywin32 leaves some members out: licenses of 102, enablesoftcompat and others of 502 and 503.
_502: Final = (
    "sessopens sessvcs opensearch sizreqbuf initworkitems maxworkitems rawworkitems irpstacksize maxrawbuflen "
    "sessusers sessconns maxpagedmemoryusage maxnonpagedmemoryusage enableforcedlogoff timesource "
    "acceptdownlevelapis lmannounce"
)
_SERVER: Final = {
    100: _server_keys(100),
    101: _server_keys(101),
    102: {name: name for name in _server_keys(102) if name != "licenses"},
    # Levels that no server of this protocol has (lmserver.h keeps them for LAN Manager): 124.
    402: {},
    403: {},
    502: _server_keys(502, _502),
    503: _server_keys(
        503,
        _502 + " domain maxkeepsearch scavtimeout minrcvqueue minfreeworkitems xactmemsize threadpriority maxmpxct "
        "oplockbreakwait oplockbreakresponsewait enableoplocks enablefcbopens enableraw enablesharednetdrives "
        "minfreeconnections maxfreeconnections",
    ),
}
_BOOLS: Final = frozenset(
    {"hidden", "timesource", "acceptdownlevelapis", "lmannounce", "enableforcedlogoff"}
    | {"enableoplocks", "enablefcbopens", "enableraw", "enablesharednetdrives"}
)


def _dictionary(keys: Mapping[str, str], record: Any) -> Dictionary:
    return {key: getattr(record, name) for key, name in keys.items()}


def _server_dictionary(keys: Mapping[str, str], record: Any) -> Dictionary:
    return {key: bool(getattr(record, name)) if name in _BOOLS else getattr(record, name) for key, name in keys.items()}


def _share_dictionary(level: int, record: Any) -> Dictionary:
    found = _dictionary(_SHARE[level], record)
    if level == 502:
        descriptor = found.pop("security_descriptor")
        found |= {"reserved": 0, "security_descriptor": descriptor}
    return found


def _fields(keys: Mapping[str, str], levels: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a caller's mapping sets; what it lacks is 0 or NULL, as in a structure wiped to zero."""
    if not hasattr(data, "keys") or not hasattr(data, "__getitem__"):
        raise TypeError("The object must be a mapping")
    found: dict[str, Any] = {}
    for key, name in keys.items():
        if key not in data.keys():  # noqa: SIM118  what is asked for is a mapping, not a container
            continue
        value, kind = data[key], levels.kinds.get(name)
        if kind is not None and kind.text:
            found[name] = text(value, key)
        elif kind is not None and kind.data:
            found[name] = _descriptor(value, key)
        elif not isinstance(value, int):
            raise TypeError(f"The mapping attribute '{key}' must be an integer")
        else:
            found[name] = number(value, key)
    return found


def _descriptor(value: object, key: str) -> bytes | None:
    if value is not None and not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"The mapping attribute '{key}' must be a self-relative security descriptor as bytes, or None")
    return None if value is None else bytes(value)


def _level(level: int, known: Mapping[int, Any], function: str = "") -> int:
    level = number(level, "level")
    if level not in known:
        raise ValueError(f"Invalid level for {function}" if function else "This information level is not supported")
    return level


# --- sessions


def NetSessionEnum(
    level: int, server: str | None = None, client: str | None = None, username: str | None = None, /
) -> list[Dictionary]:
    """NetSessionEnum of lmshare.h: the sessions on a server, of a client and of a user where given.

    One dictionary for each, with the members of SESSION_INFO_n for keys (`client_name`, `user_name`, …); times are in
    seconds. Levels 0, 1, 2, 10, 502. Raises error 5 (no right), 124 (a level that the server lacks), 2312 and 2221 (no
    session of that client, of that user), 2351 (no name of a computer); ValueError for any other level.
    """
    keys = _SESSION[_level(level, _SESSION, "NetSessionEnum")]
    server, client, username = text(server, "server"), text(client, "client"), text(username, "username")
    return _all(
        "NetSessionEnum",
        lambda resume: _calls.session_enum(server, client, username, level, _calls.EVERYTHING, resume),
        keys,
    )


def NetSessionGetInfo(level: int, server: str | None, client: str, username: str, /) -> Dictionary:
    """NetSessionGetInfo of lmshare.h: one session, named by its client and its user, as a dictionary.

    Keys and levels as NetSessionEnum. Raises error 2312 or 2221 where there is none, 87 for an empty name.
    """
    keys = _SESSION[_level(level, _SESSION, "NetSessionGetInfo")]
    server, client, username = text(server, "server"), required(client, "client"), required(username, "username")
    status, found = _called("NetSessionGetInfo", lambda: _calls.session_get_info(server, client, username, level))
    _check("NetSessionGetInfo", status)
    return _dictionary(keys, found)


def NetSessionDel(server: str | None = None, client: str | None = None, username: str | None = None, /) -> None:
    """NetSessionDel of lmshare.h: end the sessions of a client (no `username`: of all its users), or of a user.

    Without `client`, wherever the user is. Raises error 5, 87 without both, 2312 where none is meant; of a Samba 170
    where others of that client would end too, unless the login says `with_others`.
    """
    server, client, username = text(server, "server"), text(client, "client"), text(username, "username")
    _check("NetSessionDel", _called("NetSessionDel", lambda: _calls.session_del(server, client, username)))


def _all(function: str, ask: Callable[[int], Any], keys: Mapping[str, str]) -> list[Dictionary]:
    """A whole enumeration: as pywin32 does it, page by page behind the scenes."""
    status, entries = _calls.whole_list(lambda resume: _called(function, lambda: ask(resume)))
    if status != codes.NERR_Success:
        raise _error(status, function)
    return [_dictionary(keys, entry) for entry in entries]


# --- open files


def NetFileEnum(
    level: int, server: str | None = None, basepath: str | None = None, username: str | None = None, /
) -> list[Dictionary]:
    r"""NetFileEnum of lmshare.h: the open files, below a path and of a user where given.

    One dictionary for each: `id`, and at level 3 `permissions`, `num_locks`, `path_name` and `user_name`. A `username`
    that begins with `\\` is the name of a client. Levels 2, 3. Raises error 5, 124.
    """
    keys = _FILE[_level(level, _FILE, "NetFileEnum")]
    server, basepath, username = text(server, "server"), text(basepath, "basepath"), text(username, "username")
    return _all(
        "NetFileEnum",
        lambda resume: _calls.file_enum(server, basepath, username, level, _calls.EVERYTHING, resume),
        keys,
    )


def NetFileGetInfo(level: int, server: str | None, fileid: int, /) -> Dictionary:
    """NetFileGetInfo of lmshare.h: one open file, as a dictionary; keys and levels as NetFileEnum.

    Raises error 2 for an id that is not open.
    """
    keys = _FILE[_level(level, _FILE, "NetFileGetInfo")]
    server, fileid = text(server, "server"), number(fileid, "fileid")
    answer = _called("NetFileGetInfo", lambda: _calls.file_get_info(server, fileid, level))
    return _dictionary(keys, _present("NetFileGetInfo", answer))


def NetFileClose(server: str | None, fileid: int, /) -> None:
    """NetFileClose of lmshare.h: close an open file.

    Raises error 2314 for an id that is not open, 5, and of a Samba 52 for an id that is ambiguous.
    """
    server, fileid = text(server, "server"), number(fileid, "fileid")
    _check("NetFileClose", _called("NetFileClose", lambda: _calls.file_close(server, fileid)))


def _present(function: str, answer: Any) -> Any:
    _check(function, answer.status)
    if answer.info is None:
        raise _error(_calls.NO_ANSWER, function)
    return answer.info


# --- shares


@overload
def NetShareEnum(server: str | None, /) -> list[tuple[str, int, str]]:
    """Without a level: (netname, type, remark) of all shares."""


@overload
def NetShareEnum(
    server: str | None, level: int, resumeHandle: int | None = None, prefLen: int = -1, /
) -> tuple[list[Dictionary], int, int]:
    """With a level: one page as (list, total, resumeHandle)."""


def NetShareEnum(
    server: str | None, level: int | None = None, resumeHandle: int | None = None, prefLen: int = -1, /
) -> list[tuple[str, int, str]] | tuple[list[Dictionary], int, int]:
    """NetShareEnum of lmshare.h: the shares; with a level, one page as (list, total, resumeHandle).

    Go on until the handle is 0. The list has a dictionary for each share, with the members of SHARE_INFO_n for keys.
    `prefLen` is in bytes, -1 for all. Without a level, as pywin32 did it in the beginning: a list of (netname, type,
    remark). Levels 0, 1, 2, 501, 502. Raises error 5, 124.
    """
    server = text(server, "server")
    if level is None:
        whole = _all("NetShareEnum", lambda resume: _calls.share_enum(server, 1, resume=resume), _SHARE[1])
        return [(entry["netname"], entry["type"], entry["remark"]) for entry in whole]
    level = _level(level, _SHARE)
    resume, length = number(resumeHandle or 0, "resumeHandle"), number(prefLen, "prefLen")
    answer = _called("NetShareEnum", lambda: _calls.share_enum(server, level, length, resume))
    if answer.status not in _OK:
        raise _error(answer.status, "NetShareEnum")
    entries = [_share_dictionary(level, entry) for entry in answer.entries or ()]
    return entries, answer.total_entries, (answer.resume_handle or 0) if answer.status else 0


def NetShareGetInfo(server: str | None, netname: str, level: int, /) -> Dictionary:
    """NetShareGetInfo of lmshare.h: one share, as a dictionary. Levels 0, 1, 2, 501, 502. Raises error 2310, 5."""
    server, netname, level = text(server, "server"), required(netname, "netname"), _level(level, _SHARE)
    answer = _called("NetShareGetInfo", lambda: _calls.share_get_info(server, netname, level))
    return _share_dictionary(level, _present("NetShareGetInfo", answer))


def NetShareSetInfo(server: str | None, netname: str, level: int, data: Mapping[str, Any], /) -> None:
    """NetShareSetInfo of lmshare.h: change a share, to exactly what `data` says; what it lacks is 0 or nothing.

    Raises error 2310, 5, 87; TypeError for what is no mapping of strings and integers.
    """
    server, netname, level = text(server, "server"), required(netname, "netname"), _level(level, _SHARE)
    info = _share_record(level, data)
    answer = _called("NetShareSetInfo", lambda: _calls.share_set_info(server, netname, level, info))
    _check("NetShareSetInfo", answer.status)


def NetShareAdd(server: str | None, level: int, data: Mapping[str, Any], /) -> None:
    """NetShareAdd of lmshare.h: share a directory of the server. Levels 2, 502.

    Raises error 2118 for a name that is in use, 2116 for a directory that is not there, 5, 124.
    """
    server, level = text(server, "server"), _level(level, _SHARE)
    info = _share_record(level, data)
    _check("NetShareAdd", _called("NetShareAdd", lambda: _calls.share_add(server, level, info)).status)


def _share_record(level: int, data: Mapping[str, Any]) -> ShareInfo:
    info = ShareInfo(**_fields(_SHARE[level], rpc.SHARE_INFO, data))
    return _calls.filled(rpc.SHARE_INFO, level, info)


def NetShareDel(server: str | None, shareName: str, reserved: int = 0, /) -> None:
    """NetShareDel of lmshare.h: end a share, and close what is open there. Raises error 2310, 5."""
    server, shareName = text(server, "server"), required(shareName, "shareName")
    reserved = number(reserved, "reserved")
    _check("NetShareDel", _called("NetShareDel", lambda: _calls.share_del(server, shareName, reserved)))


def NetShareCheck(server: str | None, deviceName: str, /) -> tuple[int, int | None]:
    """NetShareCheck of lmshare.h: whether a folder of the server is shared: (1, type) or (0, None).

    Raises error 5, and 1745 of a Samba.
    """
    server, deviceName = text(server, "server"), required(deviceName, "deviceName")
    answer = _called("NetShareCheck", lambda: _calls.share_check(server, deviceName))
    if answer.status == codes.NERR_DeviceNotShared:
        return 0, None
    _check("NetShareCheck", answer.status)
    return 1, answer.type


# --- the server


def NetServerGetInfo(server: str | None, level: int, /) -> Dictionary:
    """NetServerGetInfo of lmserver.h: the server's configuration, as a dictionary with the members of SERVER_INFO_n.

    `disc` is in minutes. Levels 100, 101, 102, 402, 403, 502, 503. Raises error 5, 124.
    """
    server, level = text(server, "server"), _level(level, _SERVER)
    answer = _called("NetServerGetInfo", lambda: _calls.server_get_info(server, level))
    return _server_dictionary(_SERVER[level], _present("NetServerGetInfo", answer))


def NetServerSetInfo(server: str | None, level: int, data: Mapping[str, Any], /) -> None:
    """NetServerSetInfo of lmserver.h: change the configuration, to exactly what `data` says.

    What the mapping lacks is 0 or nothing, so read a level first. Raises error 5, 87, 124; 50 where a Samba says that
    it did it and did not.
    """
    server, level = text(server, "server"), _level(level, _SERVER)
    info = ServerInfo(**_fields(_SERVER[level], rpc.SERVER_INFO, data))
    answer = _called("NetServerSetInfo", lambda: _calls.server_set_info(server, level, info))
    _check("NetServerSetInfo", answer.status)


def NetServerDiskEnum(server: str | None, level: int = 0, /) -> tuple[str, ...]:
    """NetServerDiskEnum of lmserver.h: the disk drives, as ("C:", "D:"). Raises error 5."""
    server, level = text(server, "server"), number(level, "level")
    answer = _called("NetServerDiskEnum", lambda: _calls.server_disk_enum(server, level))
    _check("NetServerDiskEnum", answer.status)
    # An empty name ends the list.
    return tuple(entry.disk for entry in answer.disks or () if entry.disk)


def NetStatisticsGet(server: str | None, service: str, level: int = 0, options: int = 0, /) -> Dictionary:
    """NetStatisticsGet of lmstats.h: what a server counted, as a dictionary of `sts0_` members.

    `service` is SERVICE_SERVER. The workstation's counters are another protocol's (MS-WKST): error 50. Raises error 5,
    1745 of a Samba; ValueError for another service.
    """
    server, service = text(server, "server"), required(service, "service")
    level, options = number(level, "level"), number(options, "options")
    if service.casefold() == SERVICE_WORKSTATION.casefold():
        # They are another protocol's (MS-WKST).
        raise _error(codes.ERROR_NOT_SUPPORTED, "NetStatisticsGet")
    if service.casefold() != SERVICE_SERVER.casefold():
        raise ValueError("Invalid service name")
    answer = _called("NetStatisticsGet", lambda: _calls.server_statistics_get(server, level, options))
    return _dictionary(_STATISTICS, _present("NetStatisticsGet", answer))
