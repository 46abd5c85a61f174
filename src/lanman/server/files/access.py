"""Access masks of files (MS-SMB2 2.2.13.1): from what a client asks for to what it is granted."""

from __future__ import annotations

from typing import Final

from lanman.dtyp import (
    ACCESS_SYSTEM_SECURITY,
    DELETE,
    GENERIC_ALL,
    GENERIC_EXECUTE,
    GENERIC_READ,
    GENERIC_WRITE,
    MAXIMUM_ALLOWED,
    READ_CONTROL,
    SYNCHRONIZE,
    WRITE_DAC,
    WRITE_OWNER,
)
from lanman.fscc.attributes import FILE_ATTRIBUTE_READONLY
from lanman.server.disk_effects import Access
from lanman.smb2.constants import (
    FILE_APPEND_DATA,
    FILE_DELETE_CHILD,
    FILE_EXECUTE,
    FILE_READ_ATTRIBUTES,
    FILE_READ_DATA,
    FILE_WRITE_ATTRIBUTES,
    FILE_WRITE_DATA,
    FILE_WRITE_EA,
)

# What the generic rights stand for on a file (MS-FSA 2.1.5.1).
FILE_GENERIC_READ: Final = 0x00120089
FILE_GENERIC_WRITE: Final = 0x00120116
FILE_GENERIC_EXECUTE: Final = 0x001200A0
FILE_ALL_ACCESS: Final = 0x001F01FF

_GENERIC: Final = {
    GENERIC_READ: FILE_GENERIC_READ,
    GENERIC_WRITE: FILE_GENERIC_WRITE,
    GENERIC_EXECUTE: FILE_GENERIC_EXECUTE,
    GENERIC_ALL: FILE_ALL_ACCESS,
}

READING: Final = FILE_READ_DATA | FILE_EXECUTE
WRITING: Final = FILE_WRITE_DATA | FILE_APPEND_DATA

READ_ONLY_ACCESS: Final = FILE_GENERIC_READ | FILE_GENERIC_EXECUTE

# The rights to change anything, which a read-only share or disk does not grant.
_CHANGING: Final = (
    WRITING | FILE_WRITE_EA | FILE_DELETE_CHILD | FILE_WRITE_ATTRIBUTES | DELETE | WRITE_DAC | WRITE_OWNER
)

# An open with no more rights than these caches nothing and breaks no oplock (MS-FSA 2.1.5.1.2.2, Samba's stat opens).
_STAT: Final = SYNCHRONIZE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES
_STAT_READ_CONTROL: Final = _STAT | READ_CONTROL

_DEFINED: Final = FILE_ALL_ACCESS | MAXIMUM_ALLOWED | GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE | GENERIC_ALL


def specific(desired_access: int) -> int | None:
    """A desired access with its generic rights replaced by specific ones; MAXIMUM_ALLOWED stays.

    None if it cannot be granted to anybody: no rights at all, undefined bits, and ACCESS_SYSTEM_SECURITY, which needs a
    privilege that no account here has (as on Windows 7, smb2.create.gentest).
    """
    if desired_access & ~_DEFINED or desired_access & ACCESS_SYSTEM_SECURITY:
        return None
    wanted = desired_access & (FILE_ALL_ACCESS | MAXIMUM_ALLOWED)
    for generic, rights in _GENERIC.items():
        if desired_access & generic:
            wanted |= rights
    return wanted or None


def maximal(tree_access: int, contents: Access, attributes: int) -> int:
    """The most that can be granted on a file: the share's rights, less what the disk and its attributes forbid."""
    rights = tree_access
    if not contents & Access.WRITE:
        rights &= ~WRITING
    if not contents & Access.READ:
        rights &= ~READING
    if attributes & FILE_ATTRIBUTE_READONLY:
        rights &= ~WRITING
    return rights


def contents_of(access: int) -> Access:
    """What a disk handle must be able to do for an open with these rights."""
    wanted = Access.NONE
    if access & READING:
        wanted |= Access.READ
    if access & WRITING:
        wanted |= Access.WRITE
    return wanted


def is_stat_only(access: int) -> bool:
    """Whether an open with these rights breaks no oplock."""
    return not access & ~_STAT


def is_stat_for_leases(access: int) -> bool:
    """Whether an open with these rights breaks no lease: it may ask for the security descriptor too (MS-FSA
    2.1.4.12)."""
    return not access & ~_STAT_READ_CONTROL


def changes(access: int) -> bool:
    """Whether these rights allow any change."""
    return bool(access & _CHANGING)
