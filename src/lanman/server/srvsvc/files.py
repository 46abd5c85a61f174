"""Open files: NetrFileEnum, NetrFileGetInfo and NetrFileClose (MS-SRVS 3.1.4.2 to 3.1.4.4)."""

from __future__ import annotations

from collections.abc import Generator

from lanman import codes
from lanman.domain import Open, Reason
from lanman.records import FileInfo
from lanman.rpc.srvsvc.files import (
    FILE_INFO,
    NetrFileClose,
    NetrFileCloseResponse,
    NetrFileEnum,
    NetrFileEnumResponse,
    NetrFileGetInfo,
    NetrFileGetInfoResponse,
)
from lanman.rpc.srvsvc.paths import drive_path, local_path
from lanman.server.rights import OPERATORS, Rights
from lanman.server.srvsvc.calls import CallContext, CallRefused, answers, listing, require_lengths
from lanman.server.srvsvc.paging import PIECE


def file_info(opened: Open) -> FileInfo:
    """Every member of every level (MS-SMB2 3.3.4.20): the permissions are the granted access."""
    return FileInfo(
        opened.global_id, opened.granted_access, opened.num_locks, drive_path(opened.path), opened.user_name
    )


def _check_filters(request: NetrFileEnum) -> None:
    require_lengths(request.base_path, request.user_name)


@answers(NetrFileEnum, rights=Rights(OPERATORS), check=_check_filters)
def file_enum(context: CallContext, request: NetrFileEnum) -> Generator[None, None, NetrFileEnumResponse]:
    """NetrFileEnum (MS-SRVS 3.1.4.2). Since Windows 7 a user name that begins with backslashes is a client's."""
    client, user = None, request.user_name
    if user and user.startswith("\\\\"):
        client, user = user, None
    path = local_path(request.base_path or "")
    service, opens, wanted = context.service, context.service.opens(), None
    if path or client or user:
        meant = set((yield from service.select_opens(path=path, client=client, user=user, size=PIECE)))
        wanted = meant.__contains__
    answer: NetrFileEnumResponse = yield from listing(
        request, FILE_INFO, opens, file_info, wanted, none_fits=codes.NERR_BufTooSmall
    )
    return answer


@answers(NetrFileGetInfo, rights=Rights(OPERATORS))
def file_get_info(context: CallContext, request: NetrFileGetInfo) -> NetrFileGetInfoResponse:
    """NetrFileGetInfo (MS-SRVS 3.1.4.3)."""
    opened = context.service.open_by_global_id(request.file_id)
    if opened is None:
        raise CallRefused(codes.ERROR_FILE_NOT_FOUND)
    return NetrFileGetInfoResponse(request.level, file_info(opened), codes.NERR_Success)


@answers(NetrFileClose, rights=Rights(OPERATORS))
def file_close(context: CallContext, request: NetrFileClose) -> NetrFileCloseResponse:
    """NetrFileClose (MS-SRVS 3.1.4.4): locked, oplocked or not."""
    opened = context.service.open_by_global_id(request.file_id)
    if opened is None:
        raise CallRefused(codes.NERR_FileIdNotFound)
    context.service.close_open(opened, Reason.DELETED)
    return NetrFileCloseResponse(codes.NERR_Success)
