r"""Shares: the calls NetrShare* (MS-SRVS 3.1.4.7 to 3.1.4.13, and 3.1.4.16).

* A folder that is shared over the network lies within the configured roots. On the control socket an administrator of
  the machine may share any folder, as the configuration file may.
* What is added, changed or removed is kept on the disk before it is in force. A share of type STYPE_TEMPORARY is never
  kept; NetrShareDelSticky makes a share temporary.
* Access is by users and groups, so a security descriptor cannot be set. The remark, the limit of users and encryption
  can. NetrShareSetInfo ignores the members that identify the share: its name, type and path.
* Special shares (IPC$) can be neither changed nor removed.
* Hidden shares, and those that cannot be used at present, are listed only for callers who may list level 502.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final

from lanman import codes
from lanman.domain import STYPE_DISKTREE, STYPE_SPECIAL, STYPE_TEMPORARY, ServerService, Share
from lanman.errors import StatusError
from lanman.names import MAX_SHARE_NAME, fold
from lanman.records import ShareInfo
from lanman.rpc.srvsvc.paths import drive_path, local_path
from lanman.rpc.srvsvc.shares import (
    SHARE_INFO,
    NetrShareAdd,
    NetrShareCheck,
    NetrShareCheckResponse,
    NetrShareDel,
    NetrShareDelSticky,
    NetrShareEnum,
    NetrShareEnumResponse,
    NetrShareEnumSticky,
    NetrShareEnumStickyResponse,
    NetrShareGetInfo,
    NetrShareGetInfoResponse,
    NetrShareSetInfo,
)
from lanman.server.changes import KEEPING_FAILED, FindFolder, KeepShare
from lanman.server.effects import Work
from lanman.server.rights import ALL_OPERATORS, ANYBODY, MANAGERS, Rights
from lanman.server.srvsvc.calls import CallContext, CallRefused, all_ended, answers, listing
from lanman.settings import RESERVED_SHARE_NAMES, UNLIMITED, check_comment, printable, share_name_problem

SHI1005_FLAGS_ENCRYPT_DATA: Final = 0x8000  # 2.2.4.29

# 2.2.2.11: the numbers of members in ParmErr.
NETNAME_PARM: Final = 1
TYPE_PARM: Final = 3
REMARK_PARM: Final = 4
MAX_USES_PARM: Final = 6
PATH_PARM: Final = 8
FILE_SD_PARM: Final = 501
FLAGS_PARM: Final = 1005

MAX_USERS: Final = 0x7FFFFFFF

# 2.2.2.4: STYPE_CLUSTER_FS, _SOFS and _DFS, which are ignored.
_CLUSTER_BITS: Final = 0x0E000000

# The page of NetShareEnum has levels 0 and 1 for everyone. So has Samba's torture suite, which expects 501 refused.
_LISTING: Final = Rights(ALL_OPERATORS, {0: ANYBODY, 1: ANYBODY})


def share_info(share: Share) -> ShareInfo:
    """Every member of every level. Access is by user: a share has neither permissions nor a password of its own."""
    return ShareInfo(
        netname=share.name,
        type=share.type,
        remark=share.remark,
        permissions=0,
        max_uses=share.max_users or UNLIMITED,
        current_uses=share.current_uses,
        path=drive_path(share.path),
        passwd="",
        flags=share_flags(share),
        server_name="*",
        security_descriptor=share.security_descriptor or None,
    )


def share_flags(share: Share) -> int:
    """SHARE_INFO_1005 (MS-SRVS 2.2.4.29)."""
    return share.flags | (SHI1005_FLAGS_ENCRYPT_DATA if share.encrypt_data else 0)


# --- what there is


@answers(NetrShareEnum, rights=_LISTING)
def share_enum(context: CallContext, request: NetrShareEnum) -> Generator[None, None, NetrShareEnumResponse]:
    """NetrShareEnum (MS-SRVS 3.1.4.8)."""
    return listing(request, SHARE_INFO, _shares_for(context), share_info)


# Samba's torture suite expects ERROR_INVALID_LEVEL for 501 from a null session too: the level is judged first.
@answers(NetrShareEnumSticky, rights=_LISTING, level_first=True)
def share_enum_sticky(
    context: CallContext, request: NetrShareEnumSticky
) -> Generator[None, None, NetrShareEnumStickyResponse]:
    """NetrShareEnumSticky (MS-SRVS 3.1.4.9): the shares that survive a restart, all but temporary ones."""
    return listing(
        request,
        SHARE_INFO,
        _shares_for(context),
        share_info,
        lambda share: not share.type & STYPE_TEMPORARY,
        none_fits=codes.NERR_BufTooSmall,
    )


def _shares_for(context: CallContext) -> list[Share]:
    sees_all = _LISTING.allow(context.caller, 502)
    return [share for share in context.service.shares() if sees_all or not (share.hidden or share.problem)]


@answers(
    NetrShareGetInfo,
    rights=Rights(ALL_OPERATORS, {0: ANYBODY, 1: ANYBODY, 501: ANYBODY, 1005: ANYBODY}),  # note 61
)
def share_get_info(context: CallContext, request: NetrShareGetInfo) -> NetrShareGetInfoResponse:
    """NetrShareGetInfo (MS-SRVS 3.1.4.10)."""
    share = context.service.share_by_name(request.net_name)
    if share is None:
        raise CallRefused(codes.NERR_NetNameNotFound)
    return NetrShareGetInfoResponse(request.level, share_info(share), codes.NERR_Success)


@answers(NetrShareCheck, rights=Rights(ANYBODY))
def share_check(context: CallContext, request: NetrShareCheck) -> NetrShareCheckResponse:
    """NetrShareCheck (MS-SRVS 3.1.4.16): whether, and as what, a folder of the server is shared."""
    path = drive_path(local_path(request.device)).rstrip("\\")
    for share in context.service.shares():
        if fold(drive_path(share.path)).rstrip("\\") == fold(path):
            return NetrShareCheckResponse(share.type & ~STYPE_SPECIAL, codes.NERR_Success)
    raise CallRefused(codes.NERR_DeviceNotShared)


# --- what changes it


@answers(NetrShareAdd, rights=Rights(MANAGERS), exclusive=True)  # note 56
def share_add(context: CallContext, request: NetrShareAdd) -> Work[None]:
    """NetrShareAdd (MS-SRVS 3.1.4.7): within the configured roots, or anywhere for the machine's administrator."""
    assert request.info is not None
    service = context.service
    share = _new_share(request.info)
    if service.share_by_name(share.name) is not None:
        raise CallRefused(codes.NERR_DuplicateShare, NETNAME_PARM)
    roots = None if context.caller.local_admin else context.configuration.share_roots
    try:
        share.path = yield FindFolder(local_path(request.info.path or ""), roots)
    except StatusError as error:
        denied = error.status == codes.STATUS_ACCESS_DENIED
        raise CallRefused(codes.ERROR_ACCESS_DENIED if denied else codes.NERR_UnknownDevDir, PATH_PARM) from None
    share.confined = roots is not None
    yield from _keep(share.name, share)
    try:
        service.add_share(share)
    except ValueError:  # a reload of the configuration has added it meanwhile
        raise CallRefused(codes.NERR_DuplicateShare, NETNAME_PARM) from None


@answers(NetrShareSetInfo, rights=Rights(MANAGERS), exclusive=True)
def share_set_info(context: CallContext, request: NetrShareSetInfo) -> Work[None]:
    """NetrShareSetInfo (MS-SRVS 3.1.4.11): the members of the level."""
    info, members = request.info, SHARE_INFO.table[request.level].split()
    assert info is not None
    share = _find(context.service, request.net_name)
    new = replace(share)
    if "remark" in members:
        new.remark = _remark(info)
    if "max_uses" in members:
        new.max_users = _max_users(info)
    if "flags" in members:
        new.encrypt_data = _encryption(share, info.flags or 0, context.configuration.encryption != "off")
    if "security_descriptor" in members and info.security_descriptor not in (None, b"", share.security_descriptor):
        raise CallRefused(codes.ERROR_NOT_SUPPORTED, FILE_SD_PARM)
    yield from _keep(share.name, new)
    context.service.change_share(share, remark=new.remark, max_users=new.max_users, encrypt_data=new.encrypt_data)


@answers(NetrShareDel, rights=Rights(MANAGERS), exclusive=True)  # note 70
def share_del(context: CallContext, request: NetrShareDel) -> Work[None]:
    """NetrShareDel (MS-SRVS 3.1.4.12): its tree connects and opens are closed."""
    share = _find(context.service, request.net_name)
    if not share.type & STYPE_TEMPORARY:
        yield from _keep(share.name, None)
    context.service.remove_share(share)
    yield from all_ended(context.service)


@answers(NetrShareDelSticky, rights=Rights(MANAGERS), exclusive=True)
def share_del_sticky(context: CallContext, request: NetrShareDelSticky) -> Work[None]:
    """NetrShareDelSticky (MS-SRVS 3.1.4.13): the share stays until the Server ends, and is not restored at start."""
    share = _find(context.service, request.net_name)
    if not share.type & STYPE_TEMPORARY:
        yield from _keep(share.name, None)
        context.service.change_share(share, temporary=True)


def _keep(name: str, share: Share | None) -> Work[None]:
    """Keep a share as it is here, or keep that it is removed; a temporary one is not kept."""
    if share is not None and share.type & STYPE_TEMPORARY:
        return
    try:
        yield KeepShare(name, share and replace(share))
    except StatusError:
        raise CallRefused(KEEPING_FAILED, 0) from None


def _find(service: ServerService, name: str) -> Share:
    share = service.share_by_name(name)
    if share is None:
        raise CallRefused(codes.NERR_NetNameNotFound, NETNAME_PARM)
    if share.type & STYPE_SPECIAL:
        # IPC$: this call came through it.
        raise CallRefused(codes.ERROR_ACCESS_DENIED, NETNAME_PARM)
    return share


def _new_share(info: ShareInfo) -> Share:
    """The share that NetrShareAdd describes, checked as far as possible without the disk; its path is still empty."""
    name = info.netname or ""
    if not 1 <= len(name.encode("utf-16-le", "surrogatepass")) // 2 <= MAX_SHARE_NAME:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER, NETNAME_PARM)
    if fold(name) in RESERVED_SHARE_NAMES:
        raise CallRefused(codes.ERROR_ACCESS_DENIED, NETNAME_PARM)
    if share_name_problem(name) or not name.isprintable():
        raise CallRefused(codes.ERROR_INVALID_NAME, NETNAME_PARM)
    kind = (info.type or 0) & ~_CLUSTER_BITS
    if kind & ~STYPE_TEMPORARY != STYPE_DISKTREE:
        # There are no printers and devices here, and special shares are the Server's own.
        raise CallRefused(codes.ERROR_INVALID_PARAMETER, TYPE_PARM)
    if not info.path or any(character < " " or "\ud800" <= character <= "\udfff" for character in info.path):
        raise CallRefused(codes.ERROR_INVALID_PARAMETER, PATH_PARM)
    if info.security_descriptor:
        raise CallRefused(codes.ERROR_NOT_SUPPORTED, FILE_SD_PARM)
    return Share(name, kind, remark=_remark(info), max_users=_max_users(info))


def _remark(info: ShareInfo) -> str:
    try:
        return check_comment(printable(info.remark or ""))
    except ValueError:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER, REMARK_PARM) from None


def _max_users(info: ShareInfo) -> int:
    # 0 is no limit, too: so Samba's `net rpc share add` sends it.
    if info.max_uses in (UNLIMITED, -1):
        return 0
    if info.max_uses is None or not 0 <= info.max_uses <= MAX_USERS:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER, MAX_USES_PARM)
    return info.max_uses


def _encryption(share: Share, flags: int, can_encrypt: bool) -> bool:
    if (flags ^ share_flags(share)) & ~SHI1005_FLAGS_ENCRYPT_DATA:
        raise CallRefused(codes.ERROR_NOT_SUPPORTED, FLAGS_PARM)
    wanted = bool(flags & SHI1005_FLAGS_ENCRYPT_DATA)
    if wanted and not can_encrypt:
        raise CallRefused(codes.ERROR_NOT_SUPPORTED, FLAGS_PARM)
    return wanted
