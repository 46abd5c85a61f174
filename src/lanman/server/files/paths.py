"""Paths of requests, split into names. Whether each is a valid name is decided by the disk (`net.disk.translation`)."""

from __future__ import annotations

from typing import Final

from lanman import codes
from lanman.errors import StatusError
from lanman.server.disk_effects import Path, is_device

# The unnamed stream is the file itself (MS-FSCC 2.1.5.1).
_UNNAMED_STREAM: Final = "::$data"


def split_path(name: str) -> Path:
    r"""`a\b` as ("a", "b"); the share's own folder is (). Raises StatusError.

    As in Samba 4.17: `/` separates names too, empty names are skipped, a `\` at the end is ignored and a `/` at the
    end is STATUS_OBJECT_NAME_INVALID.
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


# In effects, a file with the name of a device has its first letter in the private use area.
_PRIVATE: Final = 0xF000


class Spelling:
    """How a share's clients write names that Windows reserves for devices (CON, COM1, aux.c).

    A `strict` share refuses them, as Windows does, and lists a file that has such a name on the disk with a character
    of the private use area for its first. Otherwise they are names as any other.
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


def absolute_name(path: Path) -> str:
    r"""`\a\b`, as information classes name a file; the folder itself is `\`."""
    return "\\" + "\\".join(path)
