"""What handlers want done on the disk of a share, and what comes of it. Nothing here touches a disk.

    OpenFile            -> Opened            a handle, what was opened, and whether it was there before
    OverwriteFile       -> FileStat          the second half of OVERWRITE and SUPERSEDE
    LookUp              -> FileStat          what a path leads to, without keeping it open
    ReadFile            -> Data              shorter than asked for at the end of the file, empty behind it
    WriteFile           -> int               bytes written: all of them
    CopyFileRange       -> int               server-side copy between two handles
    FlushFile           -> None              it is on the disk, its name too
    QueryFile           -> FileStat
    SetFile             -> FileStat          size, allocation, attributes, times
    RenameFile          -> tuple[str, ...]   the new path, as the disk has it
    CheckDeletable      -> None              whether it could be deleted now
    CloseFile           -> FileStat | None   the handle is gone; with `delete` so is the name
    ListDirectory       -> Listing           the next names of a directory
    QueryVolume         -> VolumeStat
    CheckShare          -> str               why a share's folder cannot be used

Failure is an NTSTATUS, raised as a StatusError where the effect was yielded.

**Paths** are tuples of names below the share's folder, as they came on the wire but for their backslashes; `()` is the
folder itself. Floor 3 judges every name (`..`, separators, streams, wildcards, devices, lone surrogates, length) and
follows no link out of the folder, so that no other part has to. What it answers with is spelt as the disk has it.

**Handles** are numbers that floor 3 hands out and never reuses. The receiver of an `Opened` owns its handle and gives
it back by exactly one `CloseFile`; using a handle that was given back fails with STATUS_FILE_CLOSED. If an `Opened` is
not taken, because its request was cancelled or its connection is gone, floor 3 closes the handle itself. The effects on
one handle are performed in any order, several at a time; `CloseFile` lets those under way come to their end.

**Opening changes nothing that exists.** A file that is to be overwritten keeps its contents until `OverwriteFile`:
between the two, floor 2 compares share modes by `FileStat.identity`, which it cannot know before.

**Not decided here**: share modes, locks, oplocks, granted access, delete-pending, read-only files (as root the disk
would let anyone write to them), what a client may not do with an attribute. A handle may be able to do more than its
open was granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, IntFlag
from typing import Final, TypeAlias

from lanman.fscc.attributes import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_NOT_CONTENT_INDEXED,
    FILE_ATTRIBUTE_OFFLINE,
    FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_SYSTEM,
    FILE_ATTRIBUTE_TEMPORARY,
)
from lanman.plain import dataclass
from lanman.server.effects import Effect
from lanman.smb2.constants import FILE_OPEN
from lanman.wire import Data

Path: TypeAlias = tuple[str, ...]

# The attributes that a client can set; they are kept beside the file.
SETTABLE_ATTRIBUTES: Final = (
    FILE_ATTRIBUTE_READONLY
    | FILE_ATTRIBUTE_HIDDEN
    | FILE_ATTRIBUTE_SYSTEM
    | FILE_ATTRIBUTE_ARCHIVE
    | FILE_ATTRIBUTE_TEMPORARY
    | FILE_ATTRIBUTE_OFFLINE
    | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED
)

# The longest name, in UTF-16 code units on the wire and in bytes on the disk.
NAME_MAX: Final = 255


class Access(IntFlag):
    """What a handle can do with the contents of its file. Asking for what is known about it needs neither."""

    NONE = 0
    READ = 1  # ReadFile; on a directory ListDirectory
    WRITE = 2  # WriteFile; on a directory nothing


class Kind(Enum):
    """What an OpenFile insists on (FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE)."""

    ANY = "any"
    FILE = "file"
    DIRECTORY = "directory"


@dataclass(slots=True)
class FileStat:
    """What is known about a file or directory (MS-FSCC 2.4). Nobody changes one; it is not frozen since a listing makes
    one for each name and that would take four times as long.

    Sizes are bytes, times FILETIMEs (100 ns since 1601). `volume` and `file_id` are st_dev and st_ino; `attributes`
    are as a client sees them, never 0; of them `set_attributes` were set by a client and decide what may be done, while
    the others are derived and only shown. `mode`, `user_id` and `group_id` are POSIX's. Of a name that is a link inside
    the share, this is what the link leads to.
    """

    volume: int
    file_id: int
    directory: bool
    size: int
    allocation: int
    creation_time: int
    last_access_time: int
    last_write_time: int
    change_time: int
    attributes: int
    links: int
    mode: int
    user_id: int
    group_id: int
    set_attributes: int = 0

    @property
    def is_protected(self) -> bool:
        """Whether it is a file that a client has made READONLY: it is neither deleted nor replaced."""
        return bool(self.set_attributes & FILE_ATTRIBUTE_READONLY) and not self.directory

    @property
    def identity(self) -> tuple[int, int]:
        """Equal for two opens exactly if they are of one file, whatever name it was opened by."""
        return self.volume, self.file_id


@dataclass(slots=True)
class Opened:
    """What an OpenFile has got. `path` is spelt as the disk has it; `access` is what the handle can do, `maximal` what
    its owner may do with the contents (only if that was asked for). `by_link`: the name is that of a link, which a
    delete or rename means, and `stat` tells of what the link leads to. `deletable`: it was asked for, and it could be
    deleted then (`CheckDeletable`)."""

    handle: int
    stat: FileStat
    path: Path
    created: bool
    access: Access
    maximal: Access = Access.NONE
    by_link: bool = False
    deletable: bool = False


@dataclass(slots=True)
class Entry:
    """One name in a directory. Without `details` there is no `stat`."""

    name: str
    stat: FileStat | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The next names of a directory, `.` and `..` not among them. May be empty and yet not the last."""

    entries: tuple[Entry, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class VolumeStat:
    """The file system below a share (MS-FSCC 2.5). Sizes are bytes; `available` is what this process may still use,
    `free` what there is."""

    serial: int
    total: int
    free: int
    available: int
    block_size: int
    read_only: bool
    creation_time: int


@dataclass(frozen=True, slots=True)
class OpenFile(Effect[Opened]):
    """Open what `path` leads to below the folder `root`, or create it, by `disposition`.

    `access` is what the handle must be able to do; with `maximum_allowed` it is tried for and what cannot be had is
    left out. `kind` says what must be there; what is created is a directory if it is Kind.DIRECTORY, a file otherwise.
    `attributes` and `allocation` are for what is created. `maximal` asks for `Opened.maximal`, and `to_delete` for
    `Opened.deletable` of what was there.

    Names are looked for as they are spelt, then without regard to case; a new one is spelt as asked for. Fails with
    OBJECT_NAME_NOT_FOUND (only the last name is missing), OBJECT_PATH_NOT_FOUND (one before it is),
    OBJECT_NAME_COLLISION, OBJECT_NAME_INVALID, FILE_IS_A_DIRECTORY, NOT_A_DIRECTORY; ACCESS_DENIED for what the process
    may not do and, alike, for the contents of links that leave the share or lead nowhere, FIFOs, sockets and devices,
    and for whatever lies behind such a link. Those are opened with Access.NONE alone, to be renamed or deleted.
    """

    root: str
    path: Path
    access: Access = Access.NONE
    disposition: int = FILE_OPEN
    kind: Kind = Kind.ANY
    attributes: int = 0
    allocation: int = 0
    maximum_allowed: bool = False
    maximal: bool = False
    to_delete: bool = False


@dataclass(frozen=True, slots=True)
class OverwriteFile(Effect[FileStat]):
    """Empty a file that is open, and give it these attributes and no others (MS-FSA 2.1.5.1.2.1)."""

    handle: int
    attributes: int = 0
    allocation: int = 0


@dataclass(frozen=True, slots=True)
class LookUp(Effect[FileStat]):
    """What `path` leads to; fails as OpenFile does."""

    root: str
    path: Path


@dataclass(frozen=True, slots=True)
class ReadFile(Effect[Data]):
    """Up to `length` bytes from `offset` on. What comes is the caller's own."""

    handle: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class WriteFile(Effect[int]):
    """Write all of `data` at `offset`; None is the end of the file. `through`: it is on the disk before the result."""

    handle: int
    offset: int | None
    data: Data
    through: bool = False


@dataclass(frozen=True, slots=True)
class CopyFileRange(Effect[int]):
    """Copy up to `length` bytes from one handle to another (FSCTL_SRV_COPYCHUNK); fewer where the source ends."""

    source: int
    source_offset: int
    target: int
    target_offset: int
    length: int


@dataclass(frozen=True, slots=True)
class FlushFile(Effect[None]):
    """Have what was written on the disk, and the file's name if this handle created it."""

    handle: int


@dataclass(frozen=True, slots=True)
class QueryFile(Effect[FileStat]):
    """What is known about what is open."""

    handle: int


@dataclass(frozen=True, slots=True)
class SetFile(Effect[FileStat]):
    """Change what is not None. `attributes` replace all settable ones. Times are FILETIMEs; a change time cannot be
    set on POSIX disks. `allocation` below the size cuts the file; above it, there must be room, and none is taken.
    `keeps_write_time` and `keeps_access_time` say whether from now on these times stay as they are whatever is done by
    this handle; what others do changes them all the same (MS-FSA 2.1.4.17, UserSetModificationTime)."""

    handle: int
    end_of_file: int | None = None
    allocation: int | None = None
    attributes: int | None = None
    creation_time: int | None = None
    last_access_time: int | None = None
    last_write_time: int | None = None
    keeps_access_time: bool | None = None
    keeps_write_time: bool | None = None


@dataclass(frozen=True, slots=True)
class RenameFile(Effect[Path]):
    """Move what is open to `target`, a path below the same folder. All handles opened by the old name follow.

    Fails with OBJECT_NAME_COLLISION if there is something else of that name (in any case) and `replace` is not set;
    with ACCESS_DENIED if that is a directory. A link is moved, not what it leads to. Whether what is replaced is open
    is floor 2's to ask, by LookUp.
    """

    handle: int
    target: Path
    replace: bool = False


@dataclass(frozen=True, slots=True)
class CheckDeletable(Effect[None]):
    """Whether what is open could be deleted now. DIRECTORY_NOT_EMPTY, ACCESS_DENIED, CANNOT_DELETE (the share's own
    folder), MEDIA_WRITE_PROTECTED."""

    handle: int


@dataclass(frozen=True, slots=True)
class CloseFile(Effect[FileStat | None]):
    """Give the handle back; what is known about the file as it was left, if it `tells`. Never cancelled, never dropped.

    `delete` removes the name by which it was opened (a link, not what it leads to), unless something else has taken
    its place meanwhile. If that fails the handle is gone all the same. `unless_shared`: this handle has created it, and
    that is to be undone, unless another handle has been found by that name since or the file has been written to. An
    OpenFile that comes at the same time keeps it by that, or does not find it.
    """

    handle: int
    delete: bool = False
    tells: bool = True
    unless_shared: bool = False


@dataclass(frozen=True, slots=True)
class ListDirectory(Effect[Listing]):
    """The next names of a directory, or the first with `restart`.

    As many come as fit into about `size` bytes, 100 and twice its length for each name, at least one if there is one.
    `wanted`, a pure function of the name, chooses; it runs in a thread. One request looks at a bounded number of names,
    so that a Listing may be empty and not the last: ask again. What the taker cannot use it keeps; there is no way back
    but `restart`. FIFOs, sockets, devices and links that leave the share or lead nowhere are listed as files of no
    size.

    `name`: the one name that is wanted. It is looked for as OpenFile looks for it, and no other name is read; the
    Listing is empty if it is not there or can be no file's.
    """

    handle: int
    size: int
    restart: bool = False
    wanted: Callable[[str], bool] | None = None
    details: bool = True
    name: str | None = None


@dataclass(frozen=True, slots=True)
class QueryVolume(Effect[VolumeStat]):
    """The file system that what is open lies on."""

    handle: int


@dataclass(frozen=True, slots=True)
class CheckShare(Effect[str]):
    """Why the folder of a share cannot be used, in words; "" if it can. With `roots`, it must be a real path, without
    links, that lies in one of them."""

    root: str
    roots: tuple[str, ...] | None


_DEVICE: Final = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³])[ .]*(?:\..*)?", re.IGNORECASE | re.DOTALL
)


def is_device(name: str) -> bool:
    """Whether Windows takes this name for a device's, whatever follows its first dot. A file of that name is called
    otherwise in effects: its first letter A is U+F041 there, and so on."""
    return _DEVICE.fullmatch(name) is not None
