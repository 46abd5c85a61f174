"""Security descriptors of POSIX modes (MS-DTYP 2.4.6), for those who ask who may do what with a file.

The owner is S-1-22-1-UID and the group S-1-22-2-GID, as other Unix servers name them; the access control list has the
three parts of the mode. It is told, not enforced here: what the Server may do on the disk and the share's lists decide.
"""

from __future__ import annotations

import struct
from typing import Final

from lanman.server.disk_effects import FileStat
from lanman.server.files.access import FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE
from lanman.smb2.constants import (
    DACL_SECURITY_INFORMATION,
    DELETE,
    FILE_DELETE_CHILD,
    GROUP_SECURITY_INFORMATION,
    OWNER_SECURITY_INFORMATION,
)

_DESCRIPTOR: Final = struct.Struct("<BBHIIII")
_ACL: Final = struct.Struct("<BBHHH")
_ACE: Final = struct.Struct("<BBHI")

SE_DACL_PRESENT: Final = 0x0004
SE_SELF_RELATIVE: Final = 0x8000

_EVERYONE: Final = (1, (0,))
_UNIX_USER: Final = 1
_UNIX_GROUP: Final = 2


def pack_sid(authority: int, parts: tuple[int, ...]) -> bytes:
    """SID (MS-DTYP 2.4.2.2)."""
    head = struct.pack("<BB", 1, len(parts)) + authority.to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *parts)


def security_descriptor(stat: FileStat, wanted: int) -> bytes:
    """The parts that `wanted` (SECURITY_INFORMATION) asks for, self-relative."""
    owner = pack_sid(22, (_UNIX_USER, stat.user_id))
    group = pack_sid(22, (_UNIX_GROUP, stat.group_id))
    at = _DESCRIPTOR.size
    control = SE_SELF_RELATIVE
    offsets = [0, 0, 0]
    body = b""
    parts = (
        (OWNER_SECURITY_INFORMATION, owner),
        (GROUP_SECURITY_INFORMATION, group),
        (DACL_SECURITY_INFORMATION, _access_control_list(stat, owner, group)),
    )
    for number, (bit, part) in enumerate(parts):
        if wanted & bit:
            offsets[number] = at + len(body)
            body += part
    if wanted & DACL_SECURITY_INFORMATION:
        control |= SE_DACL_PRESENT
    return _DESCRIPTOR.pack(1, 0, control, offsets[0], offsets[1], 0, offsets[2]) + body


def _access_control_list(stat: FileStat, owner: bytes, group: bytes) -> bytes:
    entries = (
        (owner, _rights(stat.mode >> 6 & 7, stat.directory) | FILE_ALL_ACCESS & ~0x1FF),
        (group, _rights(stat.mode >> 3 & 7, stat.directory)),
        (pack_sid(*_EVERYONE), _rights(stat.mode & 7, stat.directory)),
    )
    packed = b"".join(_ACE.pack(0, 0, _ACE.size + len(sid), rights) + sid for sid, rights in entries if rights)
    count = sum(bool(rights) for _, rights in entries)
    return _ACL.pack(2, 0, _ACL.size + len(packed), count, 0) + packed


def _rights(mode: int, directory: bool) -> int:
    """What the three bits of one part of a mode allow."""
    rights = 0
    if mode & 4:
        rights |= FILE_GENERIC_READ
    if mode & 2:
        rights |= FILE_GENERIC_WRITE | DELETE | (FILE_DELETE_CHILD if directory else 0)
    if mode & 1:
        rights |= FILE_GENERIC_EXECUTE
    return rights
