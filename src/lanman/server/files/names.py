"""Paths as they come on the wire, taken apart. Whether a name is one is for the disk to judge."""

from __future__ import annotations

from typing import Final

from lanman import codes
from lanman.server.disk_effects import Path

# The unnamed stream is the file itself (MS-FSCC 2.1.5.1).
_UNNAMED_STREAM: Final = "::$data"


class Refused(Exception):
    """A request that cannot be; its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(hex(status))
        self.status = status


def split_path(name: str) -> Path:
    r"""`a\b` as ("a", "b"); the share's own folder is (). Raises Refused.

    As Samba 4.17 takes them: `/` separates names too, empty ones are passed over, a `\` at the end means nothing and a
    `/` there is no name.
    """
    if name.startswith(("\\", "/")):
        raise Refused(codes.STATUS_INVALID_PARAMETER)  # 3.3.5.9
    if name.endswith("/"):
        raise Refused(codes.STATUS_OBJECT_NAME_INVALID)
    if not name:
        return ()
    parts = [part for part in name.replace("/", "\\").split("\\") if part]
    if parts[-1].lower().endswith(_UNNAMED_STREAM):
        parts[-1] = parts[-1][: -len(_UNNAMED_STREAM)]
    if not parts[-1]:
        raise Refused(codes.STATUS_OBJECT_NAME_INVALID)
    return tuple(parts)


def wire_name(path: Path) -> str:
    r"""`\a\b`, as information classes name a file; the folder itself is `\`."""
    return "\\" + "\\".join(path)
