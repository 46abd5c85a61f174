r"""The Server service as management sees it: the calls of `\PIPE\srvsvc` (MS-SRVS 3.1.4).

Each call is one method, and each asks in the same order: may the caller, are the names and numbers in bounds, is there
such a level, is there such a thing. A refusal is a code in the answer, never an exception.

What is ended is gone from the domain at once, so that the next list does not show it. A caller may end its own session
too: the answer to a request that has been received still leaves. Its own goes last, so that the listeners hear of the
others first.

A call that changes what outlives the Server waits for the disk and for its turn (`lanman.server.changes`): its answer
is deferred.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Mapping, Sequence
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.domain import STYPE_SPECIAL, STYPE_TEMPORARY, Reason, ServerService, Share, TreeConnect, matches
from lanman.names import fold
from lanman.records import ConnectionInfo, DiskInfo
from lanman.rpc import srvsvc as rpc
from lanman.rpc.levels import Levels
from lanman.rpc.ndr import Call, Message
from lanman.server import describe, sharing
from lanman.server.changes import Changes, Deferred, Work
from lanman.server.configuration import ServerConfiguration
from lanman.server.names import LM2X_COMPATIBLE, NAME_TYPES, is_valid
from lanman.server.paging import Page, page, sizer
from lanman.server.rights import Caller, may
from lanman.server.settings import BadMember, change_settings

Item = TypeVar("Item")
Record = TypeVar("Record")
R = TypeVar("R", bound=Message)

# 3.1.4.2 and others: a name has at most 1024 characters, its terminator included.
MAX_NAME: Final = 1023

SESSION_LEVELS: Final = frozenset({0, 1, 2, 10, 502})
FILE_LEVELS: Final = frozenset({2, 3})
CONNECTION_LEVELS: Final = frozenset({0, 1})
SHARE_LEVELS: Final = frozenset({0, 1, 2, 501, 502, 503})
STICKY_LEVELS: Final = SHARE_LEVELS - {501}
TRANSPORT_LEVELS: Final = frozenset({0, 1, 2})
SERVER_LEVELS: Final = frozenset({100, 101, 102, 103, 502, 503})
SETTABLE_LEVELS: Final = frozenset(rpc.SERVER_INFO.table) - {100, 103}
SHARE_ADD_LEVELS: Final = frozenset({2, 502, 503})
SHARE_SET_LEVELS: Final = frozenset({1, 2, 502, 503, 1004, 1005, 1006, 1501})


# Calls that no Server answers, whoever asks: the rights to them are not asked for.
_FOR_NOBODY: Final = ("NetrCharDev", "NetrDfs")


class Refused(Exception):
    """A call answers with this code, and with nothing else. It never leaves this module."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ServerServiceEndpoint:
    """The calls of MS-SRVS on a service and its configuration.

    `wall_clock` turns the service's time into seconds since 1970; `minutes_west` tells this machine's time zone.
    `changes` has the calls that wait for the disk; the shell sets its `perform`.
    """

    def __init__(
        self,
        service: ServerService,
        configuration: ServerConfiguration,
        *,
        wall_clock: Callable[[float], float] = lambda now: now,
        minutes_west: Callable[[], int] = lambda: 0,
    ) -> None:
        self._service = service
        self._configuration = configuration
        self._wall_clock = wall_clock
        self._minutes_west = minutes_west
        self.changes = Changes()
        self._methods: Mapping[type[Call[Any]], Callable[[Caller, Any, float], Any]] = {
            rpc.NetrSessionEnum: self.session_enum,
            rpc.NetrSessionDel: self.session_del,
            rpc.NetrConnectionEnum: self.connection_enum,
            rpc.NetrFileEnum: self.file_enum,
            rpc.NetrFileGetInfo: self.file_get_info,
            rpc.NetrFileClose: self.file_close,
            rpc.NetrShareEnum: self.share_enum,
            rpc.NetrShareEnumSticky: self.share_enum_sticky,
            rpc.NetrShareGetInfo: self.share_get_info,
            rpc.NetrShareAdd: self.share_add,
            rpc.NetrShareSetInfo: self.share_set_info,
            rpc.NetrShareDel: self.share_del,
            rpc.NetrShareDelSticky: self.share_del_sticky,
            rpc.NetrShareCheck: self.share_check,
            rpc.NetrServerGetInfo: self.server_get_info,
            rpc.NetrServerSetInfo: self.server_set_info,
            rpc.NetrServerDiskEnum: self.server_disk_enum,
            rpc.NetrServerStatisticsGet: self.server_statistics_get,
            rpc.NetrServerTransportEnum: self.server_transport_enum,
            rpc.NetrRemoteTOD: self.remote_tod,
            rpc.NetprNameValidate: self.name_validate,
        }

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """ERROR_ACCESS_DENIED where the caller may not make that call at that level; asked before it is read."""
        if call.__name__.startswith(_FOR_NOBODY):
            return 0
        if call is rpc.NetrShareEnumSticky and level not in STICKY_LEVELS:
            return 0  # the level comes first there
        return 0 if may(caller, call.__name__, level, self._configuration.session_rights) else codes.ERROR_ACCESS_DENIED

    def call(self, caller: Caller, request: Call[R], now: float) -> R | Deferred[R] | Generator[None, None, R]:
        """Answer a request with a response of its own type, or with one that is still to come, or with what is left of
        the work on a long list."""
        method: Callable[[Caller, Any, float], Any] = self._methods.get(type(request), self._unsupported)
        try:
            response: R | Deferred[R] | Generator[None, None, R] = method(caller, request, now)
            if isinstance(response, Generator):
                next(response)
        except StopIteration as end:
            whole: R = end.value
            return whole
        except Refused as refused:
            return request.failed(refused.code)
        return response

    def _change(self, request: Any, work: Work[None], now: float) -> Any:
        """Do the work of a call that changes something; the answer is a status, and ParmErr where the call has one."""

        def answered() -> Work[Any]:
            status, parm_err = codes.NERR_Success, getattr(request, "parm_err", None)
            try:
                yield from work
            except BadMember as bad:
                status = bad.code
                parm_err = None if parm_err is None else bad.parm_err
            if hasattr(request, "parm_err"):
                return request.response(parm_err, status)
            return request.response(status)

        return self.changes.run(answered(), now)

    def _unsupported(self, caller: Caller, request: Call[Any], now: float) -> Any:
        """What this Server does not do: not for anybody, but those who may not ask hear that first."""
        if not type(request).__name__.startswith(_FOR_NOBODY):
            self._require(caller, request, getattr(request, "level", None))
        raise Refused(codes.ERROR_NOT_SUPPORTED)

    # --- sessions ---

    def session_enum(
        self, caller: Caller, request: rpc.NetrSessionEnum, now: float
    ) -> Generator[None, None, rpc.NetrSessionEnumResponse]:
        """NetrSessionEnum (MS-SRVS 3.1.4.5)."""
        client, user = request.client_name, request.user_name
        self._require(caller, request, request.level)
        _require_lengths(client, user)
        if client and not client.startswith("\\\\"):
            raise Refused(codes.NERR_InvalidComputer)
        _require_level(request.level, SESSION_LEVELS)
        meant = set(self._service.select_sessions(client, user))
        if (client or user) and not meant:
            # Either code is right; 2312 says that nobody at all is connected from there.
            known = not client or self._service.select_sessions(client)
            raise Refused(codes.NERR_UserNotFound if known else codes.NERR_ClientNameNotFound)
        found = yield from _page(
            request,
            rpc.SESSION_INFO,
            self._service.sessions(),
            lambda session: describe.session_info(session, now) if session in meant else None,
        )
        return rpc.NetrSessionEnumResponse(
            request.level, found.entries, found.total, _handle(request, found), found.status
        )

    def session_del(self, caller: Caller, request: rpc.NetrSessionDel, now: float) -> rpc.NetrSessionDelResponse:
        """NetrSessionDel (MS-SRVS 3.1.4.6): every session of that client and that user."""
        client, user = request.client_name, request.user_name
        self._require(caller, request)
        _require_lengths(client, user)
        if not client and not user:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        # 3.1.4.6 has no 2351 for a name that cannot be a client's, as listing has: nobody has that name.
        wellformed = not client or client.startswith("\\\\")
        found = self._service.select_sessions(client, user) if wellformed else []
        if not found:
            raise Refused(codes.NERR_ClientNameNotFound)
        found.sort(key=lambda session: session is caller.session)
        self._service.close_sessions(found, Reason.DELETED)
        return rpc.NetrSessionDelResponse(codes.NERR_Success)

    # --- connections ---

    def connection_enum(
        self, caller: Caller, request: rpc.NetrConnectionEnum, now: float
    ) -> Generator[None, None, rpc.NetrConnectionEnumResponse]:
        """NetrConnectionEnum (MS-SRVS 3.1.4.1): a client's, each with its share; or a share's, each with its client."""
        qualifier = request.qualifier
        self._require(caller, request, request.level)
        _require_lengths(qualifier)
        if not qualifier:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        _require_level(request.level, CONNECTION_LEVELS)
        of_client = qualifier.startswith("\\\\")

        def info(tree: TreeConnect) -> ConnectionInfo | None:
            if of_client:
                wanted = matches(tree.session, qualifier, None)
            else:
                wanted = fold(tree.share.name) == fold(qualifier)
            net_name = tree.share.name if of_client else tree.session.client_name
            return describe.connection_info(tree, now, net_name=net_name) if wanted else None

        found = yield from _page(request, rpc.CONNECTION_INFO, self._service.tree_connects(), info)
        return rpc.NetrConnectionEnumResponse(
            request.level, found.entries, found.total, _handle(request, found), found.status
        )

    # --- files ---

    def file_enum(
        self, caller: Caller, request: rpc.NetrFileEnum, now: float
    ) -> Generator[None, None, rpc.NetrFileEnumResponse]:
        """NetrFileEnum (MS-SRVS 3.1.4.2). Since Windows 7 a user name that begins with backslashes is a client's."""
        path, user = request.base_path, request.user_name
        self._require(caller, request, request.level)
        _require_lengths(path, user)
        _require_level(request.level, FILE_LEVELS)
        client = None
        if user and user.startswith("\\\\"):
            client, user = user, None
        chosen = set(self._service.select_opens(path=describe.local_path(path or ""), client=client, user=user))
        found = yield from _page(
            request,
            rpc.FILE_INFO,
            self._service.opens(),
            lambda opened: describe.file_info(opened) if opened in chosen else None,
            none_fits=codes.NERR_BufTooSmall,
        )
        return rpc.NetrFileEnumResponse(
            request.level, found.entries, found.total, _handle(request, found), found.status
        )

    def file_get_info(self, caller: Caller, request: rpc.NetrFileGetInfo, now: float) -> rpc.NetrFileGetInfoResponse:
        """NetrFileGetInfo (MS-SRVS 3.1.4.3)."""
        self._require(caller, request, request.level)
        _require_level(request.level, FILE_LEVELS)
        opened = self._service.open_by_global_id(request.file_id)
        if opened is None:
            raise Refused(codes.ERROR_FILE_NOT_FOUND)
        return rpc.NetrFileGetInfoResponse(request.level, describe.file_info(opened), codes.NERR_Success)

    def file_close(self, caller: Caller, request: rpc.NetrFileClose, now: float) -> rpc.NetrFileCloseResponse:
        """NetrFileClose (MS-SRVS 3.1.4.4): locked, oplocked or not."""
        self._require(caller, request)
        opened = self._service.open_by_global_id(request.file_id)
        if opened is None:
            raise Refused(codes.NERR_FileIdNotFound)
        self._service.close_open(opened, Reason.DELETED)
        return rpc.NetrFileCloseResponse(codes.NERR_Success)

    # --- shares ---

    def share_enum(
        self, caller: Caller, request: rpc.NetrShareEnum, now: float
    ) -> Generator[None, None, rpc.NetrShareEnumResponse]:
        """NetrShareEnum (MS-SRVS 3.1.4.8)."""
        self._require(caller, request, request.level)
        _require_level(request.level, SHARE_LEVELS)
        found = yield from _page(request, rpc.SHARE_INFO, self._shares_for(caller), describe.share_info)
        return rpc.NetrShareEnumResponse(
            request.level, found.entries, found.total, _handle(request, found), found.status
        )

    def share_enum_sticky(
        self, caller: Caller, request: rpc.NetrShareEnumSticky, now: float
    ) -> Generator[None, None, rpc.NetrShareEnumStickyResponse]:
        """NetrShareEnumSticky (MS-SRVS 3.1.4.9): those that survive a restart, which is all that are not temporary."""
        # Samba's torture suite hears that there is no level 501 from a null session too: the level comes first here.
        _require_level(request.level, STICKY_LEVELS)
        self._require(caller, request, request.level)
        found = yield from _page(
            request,
            rpc.SHARE_INFO,
            self._shares_for(caller),
            lambda share: describe.share_info(share) if not share.type & STYPE_TEMPORARY else None,
            none_fits=codes.NERR_BufTooSmall,
        )
        return rpc.NetrShareEnumStickyResponse(
            request.level, found.entries, found.total, _handle(request, found), found.status
        )

    def _shares_for(self, caller: Caller) -> list[Share]:
        """Shares that are hidden, or that cannot be used, are for those who may see all about any."""
        sees_all = may(caller, "NetrShareEnum", 502)
        return [share for share in self._service.shares() if sees_all or not (share.hidden or share.problem)]

    def share_get_info(self, caller: Caller, request: rpc.NetrShareGetInfo, now: float) -> rpc.NetrShareGetInfoResponse:
        """NetrShareGetInfo (MS-SRVS 3.1.4.10)."""
        self._require(caller, request, request.level)
        _require_level(request.level, SHARE_LEVELS | {1005})
        share = self._service.share_by_name(request.net_name)
        if share is None:
            raise Refused(codes.NERR_NetNameNotFound)
        return rpc.NetrShareGetInfoResponse(request.level, describe.share_info(share), codes.NERR_Success)

    def share_check(self, caller: Caller, request: rpc.NetrShareCheck, now: float) -> rpc.NetrShareCheckResponse:
        """NetrShareCheck (MS-SRVS 3.1.4.16): whether, and as what, a folder of the server is shared."""
        self._require(caller, request)
        path = describe.wire_path(describe.local_path(request.device)).rstrip("\\")
        for share in self._service.shares():
            if fold(describe.wire_path(share.path)).rstrip("\\") == fold(path):
                return rpc.NetrShareCheckResponse(share.type & ~STYPE_SPECIAL, codes.NERR_Success)
        raise Refused(codes.NERR_DeviceNotShared)

    def share_add(self, caller: Caller, request: rpc.NetrShareAdd, now: float) -> Any:
        """NetrShareAdd (MS-SRVS 3.1.4.7): within the configured roots, or anywhere for the machine's own."""
        self._require(caller, request, request.level)
        _require_level(request.level, SHARE_ADD_LEVELS)
        if request.info is None:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        roots = None if caller.local_admin else self._configuration.share_roots
        return self._change(request, sharing.add_share(self._service, request.info, roots), now)

    def share_set_info(self, caller: Caller, request: rpc.NetrShareSetInfo, now: float) -> Any:
        """NetrShareSetInfo (MS-SRVS 3.1.4.11)."""
        self._require(caller, request, request.level)
        _require_level(request.level, SHARE_SET_LEVELS)
        if request.info is None:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        members = rpc.SHARE_INFO.table[request.level].split()
        work = sharing.change_share(
            self._service, request.net_name, members, request.info, can_encrypt=self._configuration.can_encrypt
        )
        return self._change(request, work, now)

    def share_del(self, caller: Caller, request: rpc.NetrShareDel, now: float) -> Any:
        """NetrShareDel (MS-SRVS 3.1.4.12)."""
        self._require(caller, request)
        return self._change(request, sharing.remove_share(self._service, request.net_name), now)

    def share_del_sticky(self, caller: Caller, request: rpc.NetrShareDelSticky, now: float) -> Any:
        """NetrShareDelSticky (MS-SRVS 3.1.4.13)."""
        self._require(caller, request)
        return self._change(request, sharing.forget_share(self._service, request.net_name), now)

    # --- the server itself ---

    def server_get_info(
        self, caller: Caller, request: rpc.NetrServerGetInfo, now: float
    ) -> rpc.NetrServerGetInfoResponse:
        """NetrServerGetInfo (MS-SRVS 3.1.4.17)."""
        self._require(caller, request, request.level)
        _require_lengths(request.server_name)
        _require_level(request.level, SERVER_LEVELS)
        return rpc.NetrServerGetInfoResponse(
            request.level, describe.server_info(self._configuration), codes.NERR_Success
        )

    def server_set_info(self, caller: Caller, request: rpc.NetrServerSetInfo, now: float) -> Any:
        """NetrServerSetInfo (MS-SRVS 3.1.4.18)."""
        self._require(caller, request, request.level)
        _require_level(request.level, SETTABLE_LEVELS)
        if request.info is None:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        members = rpc.SERVER_INFO.table[request.level].split()
        return self._change(request, change_settings(self._configuration, members, request.info), now)

    def server_disk_enum(
        self, caller: Caller, request: rpc.NetrServerDiskEnum, now: float
    ) -> rpc.NetrServerDiskEnumResponse:
        """NetrServerDiskEnum (MS-SRVS 3.1.4.19): the one that paths here begin with, and the empty one at the end."""
        self._require(caller, request, request.level)
        _require_level(request.level, {0})
        return rpc.NetrServerDiskEnumResponse(
            [DiskInfo("C:"), DiskInfo("")], 1, request.resume_handle, codes.NERR_Success
        )

    def server_statistics_get(
        self, caller: Caller, request: rpc.NetrServerStatisticsGet, now: float
    ) -> rpc.NetrServerStatisticsGetResponse:
        """NetrServerStatisticsGet (MS-SRVS 3.1.4.20)."""
        self._require(caller, request, request.level)
        _require_level(request.level, {0})
        if request.options:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        return rpc.NetrServerStatisticsGetResponse(describe.statistics(self._service), codes.NERR_Success)

    def server_transport_enum(
        self, caller: Caller, request: rpc.NetrServerTransportEnum, now: float
    ) -> Generator[None, None, rpc.NetrServerTransportEnumResponse]:
        """NetrServerTransportEnum (MS-SRVS 3.1.4.25)."""
        self._require(caller, request, request.level)
        _require_level(request.level, TRANSPORT_LEVELS)
        found = yield from _page(
            request,
            rpc.TRANSPORT_INFO,
            [describe.transport_info(self._service, self._configuration)],
            lambda transport: transport,
            none_fits=codes.NERR_BufTooSmall,
        )
        return rpc.NetrServerTransportEnumResponse(
            request.level, found.entries, found.total, _handle(request, found), found.status
        )

    def remote_tod(self, caller: Caller, request: rpc.NetrRemoteTOD, now: float) -> rpc.NetrRemoteTODResponse:
        """NetrRemoteTOD (MS-SRVS 3.1.4.21)."""
        self._require(caller, request)
        return rpc.NetrRemoteTODResponse(
            describe.time_of_day(self._wall_clock(now), self._minutes_west()), codes.NERR_Success
        )

    # --- names ---

    def name_validate(
        self, caller: Caller, request: rpc.NetprNameValidate, now: float
    ) -> rpc.NetprNameValidateResponse:
        """NetprNameValidate (MS-SRVS 3.1.4.32)."""
        self._require(caller, request)
        if request.flags not in (0, LM2X_COMPATIBLE) or request.name_type not in NAME_TYPES:
            raise Refused(codes.ERROR_INVALID_PARAMETER)
        if not is_valid(request.name, request.name_type, lm2x=bool(request.flags)):
            raise Refused(codes.ERROR_INVALID_NAME)
        return rpc.NetprNameValidateResponse(codes.NERR_Success)

    # --- what is asked of every request ---

    def _require(self, caller: Caller, request: Call[Any], level: int | None = None) -> None:
        if not may(caller, type(request).__name__, level, self._configuration.session_rights):
            raise Refused(codes.ERROR_ACCESS_DENIED)


def _require_lengths(*names: str | None) -> None:
    if any(name is not None and len(name) > MAX_NAME for name in names):
        raise Refused(codes.ERROR_INVALID_PARAMETER)


def _require_level(level: int, known: Container[int]) -> None:
    if level not in known:
        raise Refused(codes.ERROR_INVALID_LEVEL)


def _page(
    request: Any,
    levels: Levels[Record],
    items: Sequence[Item],
    describe_one: Callable[[Item], Record | None],
    *,
    none_fits: int = codes.ERROR_MORE_DATA,
) -> Generator[None, None, Page[Record]]:
    """The page that an enumeration asks for by its ResumeHandle and PreferedMaximumLength."""
    return page(
        items,
        describe_one,
        sizer(levels, request.level),
        resume_handle=request.resume_handle or 0,
        length=request.prefered_maximum_length,
        none_fits=none_fits,
    )


def _handle(request: Any, found: Page[Any]) -> int | None:
    """ResumeHandle as it goes back: where there was none, there is none."""
    return None if request.resume_handle is None else found.resume_handle
