"""ksmbd.conf: its global settings and its shares, as ksmbd.mountd reads them.

Rules, of ksmbd.conf(5) and what ksmbd-tools does:

  - `;` and `#` begin a comment anywhere in a line. The first value of a name counts, and an empty one is none.
  - A line that is no comment, section or setting makes the file unreadable for ksmbd.mountd, so here too.
  - A setting of a share in [global] is the default of all shares. `root directory` stands before each path.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Final

from lanman.errors import MalformedMessage
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import ShareInfo

MAX_FILE: Final = 16 << 20

STYPE_DISKTREE: Final = 0
STYPE_IPC: Final = 3
STYPE_SPECIAL: Final = 0x80000000
IPC_SHARE: Final = "IPC$"

_NO_LIMIT: Final = 0xFFFFFFFF
_COMMENT: Final = re.compile("[;#\0]")


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration. Names of settings are in lower case."""

    settings: dict[str, str] = field(default_factory=dict)
    shares: tuple[ShareInfo, ...] = ()


def parse_conf(data: bytes) -> Configured:
    """What a ksmbd.conf says. Raises MalformedMessage where ksmbd.mountd could not read it either."""
    if len(data) > MAX_FILE:
        raise MalformedMessage("ksmbd.conf is too long")
    sections: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    current: dict[str, str] | None = None
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        text = _COMMENT.split(line, maxsplit=1)[0].strip(" \t\r")
        name, equals, value = text.partition("=")
        if text.startswith("[") and text.endswith("]") and len(text) > 2:
            names.setdefault(fold(text[1:-1]), text[1:-1])
            current = sections.setdefault(fold(text[1:-1]), {})
        elif equals and name.strip() and current is not None:
            if value.strip(" \t"):
                current.setdefault(name.strip(" \t").lower(), value.strip(" \t"))
        elif text:
            raise MalformedMessage(f"ksmbd.conf: line {number} is no section and no setting")
    settings = sections.pop(fold("global"), {})
    sections.pop(fold(IPC_SHARE), None)
    shares = [_share(names[key], {**settings, **section}) for key, section in sections.items()]
    ipc = ShareInfo(netname=IPC_SHARE, type=STYPE_IPC | STYPE_SPECIAL)
    return Configured(settings, (*shares, ipc))


def _share(name: str, section: dict[str, str]) -> ShareInfo:
    path = section.get("path", "")
    root = section.get("root directory", "").rstrip("/")
    limit = section.get("max connections", "")
    return ShareInfo(
        netname=name,
        type=STYPE_DISKTREE,
        remark=section.get("comment", ""),
        # Without a number it is the version's default, which differs.
        max_uses=(int(limit) or _NO_LIMIT) if limit.isascii() and limit.isdigit() and len(limit) < 10 else None,
        path=(f"{root}/{path.lstrip('/')}" if root else path) if path else None,
    )
