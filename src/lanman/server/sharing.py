r"""NetrShareAdd, NetrShareSetInfo, NetrShareDel and NetrShareDelSticky: shares that come, change and go at run time
(MS-SRVS 3.1.4.7, 3.1.4.11 to 3.1.4.13).

Whoever manages shares over the network shares folders within the configured roots and nowhere else; whom the kernel
knows as the machine's own administrator shares any folder, as the configuration file may. What is added, changed or
removed is kept before it is in force. A share of type STYPE_TEMPORARY is not kept at all, and NetrShareDelSticky makes
one of any.

Access is by users and groups, so a security descriptor cannot be set. The limit of users and the remark can, and
whether the share is encrypted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from lanman import codes
from lanman.domain import STYPE_DISKTREE, STYPE_SPECIAL, STYPE_TEMPORARY, ServerService, Share
from lanman.names import fold
from lanman.records import ShareInfo
from lanman.server.changes import KEEPING_FAILED, EffectFailed, FindFolder, KeepShare, Work
from lanman.server.configuration import is_comment
from lanman.server.describe import SHI1005_FLAGS_ENCRYPT_DATA, UNLIMITED, local_path, share_flags
from lanman.server.names import SHARE, is_valid
from lanman.server.settings import BadMember

# 2.2.2.11: what ParmErr calls a bad member.
NETNAME_PARM: Final = 1
TYPE_PARM: Final = 3
REMARK_PARM: Final = 4
MAX_USES_PARM: Final = 6
PATH_PARM: Final = 8
FILE_SD_PARM: Final = 501
FLAGS_PARM: Final = 1005

MAX_USERS: Final = 0x7FFFFFFF
_MAX_NAME: Final = 80

# 3.1.4.7: these would stand in the way of the pipes and mailslots of old.
_RESERVED: Final = frozenset({"PIPE", "MAILSLOT"})  # as they are compared

# 2.2.2.4: STYPE_CLUSTER_FS and its like, which are ignored.
_CLUSTER_BITS: Final = 0x0E000000


def add_share(service: ServerService, info: ShareInfo, roots: tuple[str, ...] | None) -> Work[None]:
    """NetrShareAdd. `roots` None: any folder may be shared. Raises BadMember."""
    share = _new_share(info)
    if service.share_by_name(share.name) is not None:
        raise BadMember(codes.NERR_DuplicateShare, NETNAME_PARM)
    try:
        share.path = yield FindFolder(local_path(info.path or ""), roots)
    except EffectFailed as error:
        denied = error.status == codes.STATUS_ACCESS_DENIED
        raise BadMember(codes.ERROR_ACCESS_DENIED if denied else codes.NERR_UnknownDevDir, PATH_PARM) from None
    share.confined = roots is not None
    yield from _keep(share.name, share)
    try:
        service.add_share(share)
    except ValueError:  # the configuration was read again meanwhile, and has it
        raise BadMember(codes.NERR_DuplicateShare, NETNAME_PARM) from None


def change_share(
    service: ServerService, name: str, members: Collection[str], info: ShareInfo, *, can_encrypt: bool = True
) -> Work[None]:
    """NetrShareSetInfo with the members of a level; those that say what the share is are passed over."""
    share = _find(service, name)
    new = replace(share)
    if "remark" in members:
        new.remark = _remark(info)
    if "max_uses" in members:
        new.max_users = _max_users(info)
    if "flags" in members:
        new.encrypt_data = _encryption(share, info.flags or 0, can_encrypt)
    if "security_descriptor" in members and info.security_descriptor not in (None, b"", share.security_descriptor):
        raise BadMember(codes.ERROR_NOT_SUPPORTED, FILE_SD_PARM)
    yield from _keep(share.name, new)
    service.change_share(share, remark=new.remark, max_users=new.max_users, encrypt_data=new.encrypt_data)


def remove_share(service: ServerService, name: str) -> Work[None]:
    """NetrShareDel: what is open there is closed."""
    share = _find(service, name)
    if not share.type & STYPE_TEMPORARY:
        yield from _keep(share.name, None)
    service.remove_share(share)


def forget_share(service: ServerService, name: str) -> Work[None]:
    """NetrShareDelSticky: it stays until the Server ends, and is not there at the next start."""
    share = _find(service, name)
    if not share.type & STYPE_TEMPORARY:
        yield from _keep(share.name, None)
        service.change_share(share, temporary=True)


def _keep(name: str, share: Share | None) -> Work[None]:
    """Keep it, unless it is temporary."""
    if share is not None and share.type & STYPE_TEMPORARY:
        return
    try:
        yield KeepShare(name, share and replace(share))
    except EffectFailed:
        raise BadMember(KEEPING_FAILED, 0) from None


def _find(service: ServerService, name: str) -> Share:
    share = service.share_by_name(name)
    if share is None:
        raise BadMember(codes.NERR_NetNameNotFound, NETNAME_PARM)
    if share.type & STYPE_SPECIAL:
        # IPC$ is how this call has come.
        raise BadMember(codes.ERROR_ACCESS_DENIED, NETNAME_PARM)
    return share


def _new_share(info: ShareInfo) -> Share:
    """What NetrShareAdd describes, as far as it can be judged without a disk; the path is still to be found."""
    name = info.netname or ""
    if not 1 <= len(name.encode("utf-16-le", "surrogatepass")) // 2 <= _MAX_NAME:
        raise BadMember(codes.ERROR_INVALID_PARAMETER, NETNAME_PARM)
    if fold(name) in _RESERVED:
        raise BadMember(codes.ERROR_ACCESS_DENIED, NETNAME_PARM)
    if not is_valid(name, SHARE) or not name.isprintable() or name != name.strip() or not name.strip(". "):
        raise BadMember(codes.ERROR_INVALID_NAME, NETNAME_PARM)
    kind = (info.type or 0) & ~_CLUSTER_BITS
    if kind & ~STYPE_TEMPORARY != STYPE_DISKTREE:
        # There are no printers and devices here, and whoever adds a special share is told to look again.
        raise BadMember(codes.ERROR_INVALID_PARAMETER, TYPE_PARM)
    if not info.path or any(character < " " or "\ud800" <= character <= "\udfff" for character in info.path):
        raise BadMember(codes.ERROR_INVALID_PARAMETER, PATH_PARM)
    if info.security_descriptor:
        raise BadMember(codes.ERROR_NOT_SUPPORTED, FILE_SD_PARM)
    return Share(name, kind, remark=_remark(info), max_users=_max_users(info))


def _remark(info: ShareInfo) -> str:
    remark = info.remark or ""
    if not is_comment(remark):
        raise BadMember(codes.ERROR_INVALID_PARAMETER, REMARK_PARM)
    return remark


def _max_users(info: ShareInfo) -> int:
    # Nobody at all is no limit that anybody means: Samba's `net rpc share add` sends 0 for no limit.
    if info.max_uses in (UNLIMITED, -1):
        return 0
    if info.max_uses is None or not 0 <= info.max_uses <= MAX_USERS:
        raise BadMember(codes.ERROR_INVALID_PARAMETER, MAX_USES_PARM)
    return info.max_uses


def _encryption(share: Share, flags: int, can_encrypt: bool) -> bool:
    if (flags ^ share_flags(share)) & ~SHI1005_FLAGS_ENCRYPT_DATA:
        raise BadMember(codes.ERROR_NOT_SUPPORTED, FLAGS_PARM)
    wanted = bool(flags & SHI1005_FLAGS_ENCRYPT_DATA)
    if wanted and not can_encrypt:
        raise BadMember(codes.ERROR_NOT_SUPPORTED, FLAGS_PARM)
    return wanted
