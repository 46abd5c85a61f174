"""Paths as they come on the wire, taken apart. Whether a name is one is for the disk to judge."""

from __future__ import annotations

from typing import Final

from lanman import codes
from lanman.errors import StatusError
from lanman.server.disk_effects import Path, is_device

# The unnamed stream is the file itself (MS-FSCC 2.1.5.1).
_UNNAMED_STREAM: Final = "::$data"


def split_path(name: str) -> Path:
    r"""`a\b` as ("a", "b"); the share's own folder is (). Raises StatusError.

    As Samba 4.17 takes them: `/` separates names too, empty ones are passed over, a `\` at the end means nothing and a
    `/` there is no name.
    """
    if name.startswith(("\\", "/")):
        raise StatusError(codes.STATUS_INVALID_PARAMETER)  # 3.3.5.9
    if name.endswith("/"):
        raise StatusError(codes.STATUS_OBJECT_NAME_INVALID)
    if not name:
        return ()
    parts = [part for part in name.replace("/", "\\").split("\\") if part]
    if parts[-1].lower().endswith(_UNNAMED_STREAM):
        parts[-1] = parts[-1][: -len(_UNNAMED_STREAM)]
    if not parts[-1]:
        raise StatusError(codes.STATUS_OBJECT_NAME_INVALID)
    return tuple(parts)


# Where a device's name is that of a file, effects have its first letter in the private use area.
_PRIVATE: Final = 0xF000


class Spelling:
    """How a share's clients say the names that Windows keeps for devices (CON, COM1, aux.c).

    On a `strict` share they do not, as on Windows: such a name is refused, and a file that has it on the disk is listed
    with a character of the private use area for its first. Otherwise they are names as any other.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def to_disk(self, path: Path) -> Path:
        """A client's path as effects have it."""
        if self._strict or not any(map(is_device, path)):
            return path
        return tuple(chr(_PRIVATE + ord(name[0])) + name[1:] if is_device(name) else name for name in path)

    def from_disk(self, path: Path) -> Path:
        """A path of an effect's as clients have it."""
        return path if self._strict else tuple(map(self.name, path))

    def name(self, name: str) -> str:
        """One name of an effect's as clients have it."""
        if not self._strict and name and _PRIVATE + 0x41 <= ord(name[0]) <= _PRIVATE + 0x7A:
            plain = chr(ord(name[0]) - _PRIVATE) + name[1:]
            return plain if is_device(plain) else name
        return name


STRICT: Final = Spelling(strict=True)
LIBERAL: Final = Spelling(strict=False)


def wire_name(path: Path) -> str:
    r"""`\a\b`, as information classes name a file; the folder itself is `\`."""
    return "\\" + "\\".join(path)
