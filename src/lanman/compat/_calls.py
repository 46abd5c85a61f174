r"""The calls behind all stand-ins: one function for each, which goes to the server and gives its answer.

Rules:

  - An answer is passed on as the server gave it, with its status: no other level is tried, nothing is guessed. What
    keeps a call from being made, or its answer from coming, is a LanmanError, whose `code` is what netapi32 would
    return. Only where the login says `richer_levels`, a level that the server does not know (124) is answered from
    another one that has all of its members; `answered_level` and the log say which.
  - A preferred maximum length is advisory: where not even one entry fits, more is asked for, so that a caller who goes
    on from page to page comes to the end. Lengths and handles are the low 32 bits of what the caller gave; the handle
    of the open files has 64 where Windows itself is asked by netapi32.
  - An empty string is no string: the servers of MS-SRVS take both for "not given", Samba does not.
  - What netapi32 refuses without asking the server is refused here too.
  - An order is sent once. A connection that was kept is first asked something harmless, so that an order does not meet
    one that died meanwhile.
  - What a kind of server does otherwise than the originals' servers is put right by its class in `_servers`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from lanman import codes
from lanman.compat import _logins, _pool
from lanman.compat._servers import kind_of
from lanman.manage.sync import BlockingManager
from lanman.records import ServerInfo, SessionInfo, ShareInfo
from lanman.rpc import srvsvc as rpc
from lanman.rpc.ndr import Call, Response

R = TypeVar("R", bound=Response)

EVERYTHING: Final = rpc.MAX_PREFERRED_LENGTH
_32_BITS: Final = 0xFFFFFFFF

SESSION_LEVELS: Final = rpc.NetrSessionEnum.levels
NO_ANSWER: Final = codes.ERROR_BAD_NET_RESP  # a success without what it was to give
FILE_LEVELS: Final = rpc.NetrFileEnum.levels
CONNECTION_LEVELS: Final = rpc.NetrConnectionEnum.levels


@contextlib.contextmanager
def managing(server: str | None, *, order: bool = False) -> Iterator[BlockingManager]:
    """A manager of the server that the caller named, logged on. Raises LanmanError."""
    address = _logins.address_of(server)
    with _pool.borrow(address, _logins.login_for(address)) as (manager, fresh):
        if order and not fresh:
            manager.call(rpc.NetrServerGetInfo(_unc(manager), 100))
        yield manager


def with_others(server: str | None) -> bool:
    """Whether the login for a server consents to bystanders being ended too."""
    return _logins.login_for(_logins.address_of(server)).with_others


def _unc(manager: BlockingManager) -> str:
    return "\\\\" + manager.server


def _ask(server: str | None, make: Callable[[str], Call[R]]) -> R:
    with managing(server) as manager:
        return manager.call(make(_unc(manager)))


def _order(server: str | None, make: Callable[[str], Call[R]]) -> R:
    with managing(server, order=True) as manager:
        return manager.call(make(_unc(manager)), again=False)


# --- pages and levels

# What is asked for, in bytes, where not even one entry fitted into what the caller prefers.
_LARGER: Final = (*(1 << exponent for exponent in range(5, 18)), EVERYTHING)
_NONE_FITS: Final = frozenset({codes.ERROR_MORE_DATA, codes.NERR_BufTooSmall})

log: Final = logging.getLogger("lanman.compat")
_last: Final = threading.local()


def answered_level() -> int | None:
    """The level from which this thread's last question with a level was answered; None before the first."""
    return getattr(_last, "level", None)


def _page(ask: Callable[[int], R], length: int) -> R:
    """One page of an enumeration: with one entry at least, where there is one."""
    length &= _32_BITS
    answer: Any = ask(length)
    for larger in _LARGER:
        if answer.entries or answer.status not in _NONE_FITS:
            break
        if larger > length:
            answer = ask(larger)
    return cast(R, answer)


def whole_list(ask: Callable[[int], Any]) -> tuple[int, list[Any]]:
    """All entries of an enumeration, page by page, and the status that ended it. `ask` is given a resume handle.

    The status is that of the last page. It is ERROR_MORE_DATA where the server says that there is more and does not
    give it: a page without entries, or a handle that has been before.
    """
    entries: list[Any] = []
    resume, seen = 0, set[int]()
    while True:
        answer = ask(resume)
        page = answer.entries or []
        entries += page
        seen.add(resume)
        resume = answer.resume_handle or 0
        if answer.status != codes.ERROR_MORE_DATA or not page or resume in seen:
            return answer.status, entries


def _one_page(
    server: str | None,
    manager: BlockingManager,
    levels: Any,
    level: int,
    length: int,
    request: Callable[[int, int], Call[R]],
) -> R:
    """One page at a level; `request` makes the call for a level and a preferred maximum length."""
    return _at_level(
        server, levels, level, lambda level: _page(lambda length: manager.call(request(level, length)), length)
    )


def _handle(resume: int | None, bits: int = 32) -> int | None:
    return None if resume is None else resume & ((1 << bits) - 1)


def _at_level(server: str | None, levels: Any, level: int, ask: Callable[[int], R]) -> R:
    """The answer at a level; where the login allows it, made from a richer level if the server does not know this."""
    answer: Any = ask(level)
    _last.level = level
    if answer.status != codes.ERROR_INVALID_LEVEL:
        return cast(R, answer)
    if not _logins.login_for(_logins.address_of(server)).richer_levels:
        return cast(R, answer)
    for richer in _richer(levels, level):
        other: Any = ask(richer)
        if other.status != codes.ERROR_INVALID_LEVEL:
            log.info("%s: level %d is answered from level %d", server or "this machine", level, richer)
            _last.level, other.level = richer, level
            return cast(R, other)
    return cast(R, answer)


def _richer(levels: Any, level: int) -> list[int]:
    """The levels that have all members of `level`, those with the fewest others first."""
    members = set(levels.table[level].split())
    found = [other for other, names in levels.table.items() if other != level and members <= set(names.split())]
    return sorted(found, key=lambda other: len(levels.table[other].split()))


# --- sessions


def session_enum(
    server: str | None,
    client: str | None,
    user: str | None,
    level: int,
    length: int = EVERYTHING,
    resume: int | None = 0,
) -> rpc.NetrSessionEnumResponse:
    """One page of the sessions (MS-SRVS 3.1.4.5)."""
    client, user = client or None, user or None
    with managing(server) as manager:
        kind = kind_of(manager)

        def request(level: int, length: int = EVERYTHING) -> rpc.NetrSessionEnum:
            return rpc.NetrSessionEnum(
                _unc(manager), client, user, level, prefered_maximum_length=length, resume_handle=_handle(resume)
            )

        if level not in SESSION_LEVELS:
            return request(level).failed(codes.ERROR_INVALID_LEVEL)
        answer = _one_page(server, manager, rpc.SESSION_INFO, kind.session_level(level, user), length, request)
        if (client or user) and answer.status in (0, codes.ERROR_MORE_DATA):
            kind.filter_sessions(answer, client, user, level)
        return answer


def session_get_info(
    server: str | None, client: str | None, user: str | None, level: int
) -> tuple[int, SessionInfo | None]:
    """The first session of this client and this user; netapi32 has no other call for it than the enumeration."""
    if not client or not user:
        return codes.ERROR_INVALID_PARAMETER, None
    answer = session_enum(server, client, user, level)
    if answer.status not in (0, codes.ERROR_MORE_DATA):
        return answer.status, None
    if not answer.entries:
        return codes.NERR_ClientNameNotFound, None
    return 0, answer.entries[0]


def session_del(server: str | None, client: str | None, user: str | None) -> int:
    """End the sessions of a client, of a user, or of both (MS-SRVS 3.1.4.6)."""
    client, user = client or None, user or None
    if client is None and user is None:
        # smbd takes neither for everybody.
        return codes.ERROR_INVALID_PARAMETER
    with managing(server, order=True) as manager:
        return kind_of(manager).end_sessions(client, user, with_others(server))


# --- open files


def file_enum(
    server: str | None,
    base_path: str | None,
    user: str | None,
    level: int,
    length: int = EVERYTHING,
    resume: int | None = 0,
) -> rpc.NetrFileEnumResponse:
    """One page of the open files (MS-SRVS 3.1.4.2)."""
    base_path, user = base_path or None, user or None
    with managing(server) as manager:
        kind = kind_of(manager)
        asked = kind.file_user(user)
        handle = _handle(resume, 64 if manager.wide_handles else 32)

        def request(level: int, length: int = EVERYTHING) -> rpc.NetrFileEnum:
            return rpc.NetrFileEnum(
                _unc(manager), base_path, asked, level, prefered_maximum_length=length, resume_handle=handle
            )

        if level not in FILE_LEVELS:
            return request(level).failed(codes.ERROR_INVALID_LEVEL)
        answer = _one_page(server, manager, rpc.FILE_INFO, level, length, request)
        kind.filter_files(answer, base_path, user)
        return answer


def file_get_info(server: str | None, file_id: int, level: int) -> rpc.NetrFileGetInfoResponse:
    """One open file (MS-SRVS 3.1.4.3)."""
    with managing(server) as manager:
        request = rpc.NetrFileGetInfo(_unc(manager), file_id & _32_BITS, level)
        if level not in FILE_LEVELS:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return kind_of(manager).file_info(request)


def file_close(server: str | None, file_id: int) -> int:
    """Close an open file (MS-SRVS 3.1.4.4)."""
    with managing(server, order=True) as manager:
        return kind_of(manager).close_file(file_id & _32_BITS)


# --- connections


def connection_enum(
    server: str | None, qualifier: str | None, level: int, length: int = EVERYTHING, resume: int | None = 0
) -> rpc.NetrConnectionEnumResponse:
    r"""One page of the tree connects to a share, or of a `\\client` (MS-SRVS 3.1.4.1)."""
    with managing(server) as manager:

        def request(length: int = EVERYTHING) -> rpc.NetrConnectionEnum:
            return rpc.NetrConnectionEnum(
                _unc(manager), qualifier, level, prefered_maximum_length=length, resume_handle=_handle(resume)
            )

        if not qualifier:
            return request().failed(codes.ERROR_INVALID_PARAMETER)
        if level not in CONNECTION_LEVELS:
            return request().failed(codes.ERROR_INVALID_LEVEL)
        if not kind_of(manager).tells_connections:
            return request().failed(codes.ERROR_NOT_SUPPORTED)
        return _page(lambda length: manager.call(request(length)), length)


# --- shares


def share_enum(
    server: str | None, level: int, length: int = EVERYTHING, resume: int | None = 0
) -> rpc.NetrShareEnumResponse:
    """One page of the shares (MS-SRVS 3.1.4.8)."""
    with managing(server) as manager:

        def request(level: int, length: int) -> rpc.NetrShareEnum:
            return rpc.NetrShareEnum(
                _unc(manager), level, prefered_maximum_length=length, resume_handle=_handle(resume)
            )

        return _one_page(server, manager, rpc.SHARE_INFO, level, length, request)


def share_get_info(server: str | None, name: str, level: int) -> rpc.NetrShareGetInfoResponse:
    """One share (MS-SRVS 3.1.4.10)."""
    with managing(server) as manager:
        answer = _at_level(
            server,
            rpc.SHARE_INFO,
            level,
            lambda level: manager.call(rpc.NetrShareGetInfo(_unc(manager), name, level)),
        )
        answer.status = kind_of(manager).share_status(answer.status)
        return answer


def share_set_info(server: str | None, name: str, level: int, info: ShareInfo) -> rpc.NetrShareSetInfoResponse:
    """Change a share (MS-SRVS 3.1.4.11)."""
    return _order(server, lambda unc: rpc.NetrShareSetInfo(unc, name, level, info))


def share_add(server: str | None, level: int, info: ShareInfo) -> rpc.NetrShareAddResponse:
    """Share a directory (MS-SRVS 3.1.4.7)."""
    return _order(server, lambda unc: rpc.NetrShareAdd(unc, level, info))


def share_del(server: str | None, name: str, reserved: int = 0) -> int:
    """End a share (MS-SRVS 3.1.4.12)."""
    return _order(server, lambda unc: rpc.NetrShareDel(unc, name, reserved)).status


def share_check(server: str | None, device: str) -> rpc.NetrShareCheckResponse:
    """Whether a folder is shared (MS-SRVS 3.1.4.16)."""
    return _ask(server, lambda unc: rpc.NetrShareCheck(unc, device))


# --- the server itself


def server_get_info(server: str | None, level: int) -> rpc.NetrServerGetInfoResponse:
    """The configuration (MS-SRVS 3.1.4.17)."""
    with managing(server) as manager:
        request = rpc.NetrServerGetInfo(_unc(manager), level)
        if level not in rpc.SERVER_INFO.table:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return _at_level(
            server, rpc.SERVER_INFO, level, lambda level: manager.call(rpc.NetrServerGetInfo(_unc(manager), level))
        )


def server_set_info(server: str | None, level: int, info: ServerInfo) -> rpc.NetrServerSetInfoResponse:
    """Change the configuration (MS-SRVS 3.1.4.18). A number that is None is sent as 0."""
    with managing(server, order=True) as manager:
        request = rpc.NetrServerSetInfo(_unc(manager), level, None)
        if level not in rpc.SERVER_INFO.table:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        request.info = filled(rpc.SERVER_INFO, level, info)
        answer = manager.call(request, again=False)
        if answer.status == 0 and kind_of(manager).has_ignored(level, request.info):
            answer.status = codes.ERROR_NOT_SUPPORTED
        return answer


def server_disk_enum(server: str | None, level: int = 0) -> rpc.NetrServerDiskEnumResponse:
    """The disk drives (MS-SRVS 3.1.4.19)."""
    return _ask(server, lambda unc: rpc.NetrServerDiskEnum(unc, level))


def server_statistics_get(server: str | None, level: int, options: int) -> rpc.NetrServerStatisticsGetResponse:
    """What the server counted (MS-SRVS 3.1.4.20)."""
    return _ask(server, lambda unc: rpc.NetrServerStatisticsGet(unc, "LanmanServer", level, options))


T = TypeVar("T", ServerInfo, ShareInfo)


def filled(levels: Any, level: int, info: T) -> T:
    """A record as a C structure would hold it that was set to zero first: a number for every number that travels."""
    numbers: dict[str, Any] = {}
    for name, kind in levels.members(level):
        if not (kind.text or kind.data):
            value = int(getattr(info, name) or 0) & _32_BITS
            numbers[name] = value - (1 << 32) if kind.codes == "i" and value >> 31 else value
    return replace(info, **numbers)
