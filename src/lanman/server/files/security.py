"""Security descriptors (MS-DTYP 2.4.6) made from POSIX modes, for clients that ask for them.

The owner is S-1-22-1-UID and the group S-1-22-2-GID, as Samba names them; the access control list has an entry for
each of the three parts of the mode. It is shown and not enforced: the permissions of the Server's own process on the
disk and the lists of the share decide.
"""

from __future__ import annotations

from typing import Final

from lanman.dtyp import (
    ACCESS_ALLOWED_ACE_TYPE,
    DACL_SECURITY_INFORMATION,
    DELETE,
    EVERYONE,
    GROUP_SECURITY_INFORMATION,
    OWNER_SECURITY_INFORMATION,
    SE_DACL_PRESENT,
    SE_SELF_RELATIVE,
    Ace,
    Acl,
    SecurityDescriptor,
    Sid,
)
from lanman.server.disk_effects import FileStat
from lanman.server.files.access import FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE
from lanman.smb2.constants import FILE_DELETE_CHILD

_ACL_REVISION: Final = 2

_UNIX_AUTHORITY: Final = 22
_UNIX_USER: Final = 1
_UNIX_GROUP: Final = 2


def security_descriptor(stat: FileStat, wanted: int) -> bytes:
    """A self-relative descriptor with the parts that `wanted` (SECURITY_INFORMATION) asks for."""
    owner = Sid((_UNIX_USER, stat.user_id), _UNIX_AUTHORITY)
    group = Sid((_UNIX_GROUP, stat.group_id), _UNIX_AUTHORITY)
    descriptor = SecurityDescriptor(SE_SELF_RELATIVE)
    if wanted & OWNER_SECURITY_INFORMATION:
        descriptor.owner = owner
    if wanted & GROUP_SECURITY_INFORMATION:
        descriptor.group = group
    if wanted & DACL_SECURITY_INFORMATION:
        descriptor.control |= SE_DACL_PRESENT
        descriptor.dacl = _access_control_list(stat, owner, group)
    return descriptor.pack()


def _access_control_list(stat: FileStat, owner: Sid, group: Sid) -> Acl:
    entries = (
        (owner, _rights(stat.mode >> 6 & 7, stat.directory) | FILE_ALL_ACCESS & ~0x1FF),
        (group, _rights(stat.mode >> 3 & 7, stat.directory)),
        (Sid.parse(EVERYONE), _rights(stat.mode & 7, stat.directory)),
    )
    return Acl(_ACL_REVISION, [Ace(ACCESS_ALLOWED_ACE_TYPE, 0, sid, rights) for sid, rights in entries if rights])


def _rights(mode: int, directory: bool) -> int:
    """The access mask for the three bits of one part of a mode."""
    rights = 0
    if mode & 4:
        rights |= FILE_GENERIC_READ
    if mode & 2:
        rights |= FILE_GENERIC_WRITE | DELETE | (FILE_DELETE_CHILD if directory else 0)
    if mode & 1:
        rights |= FILE_GENERIC_EXECUTE
    return rights
