"""What testparm -s -v prints of a configuration: its global settings, and the shares that can be connected to."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Final

from lanman.errors import MalformedMessage
from lanman.plain import dataclass
from lanman.records import ShareInfo

MAX_OUTPUT: Final = 16 << 20
_MAX_SHARES: Final = 1 << 16

_DIRECT: Final = 445
_NETBIOS: Final = 139

STYPE_DISKTREE: Final = 0
STYPE_PRINTQ: Final = 1
_NO_LIMIT: Final = 0xFFFFFFFF

# Sections that are templates: no client connects to them by these names.
_TEMPLATES: Final = frozenset({"homes", "printers"})


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration of Samba. Names of settings are in lower case."""

    settings: dict[str, str] = field(default_factory=dict)
    shares: tuple[ShareInfo, ...] = ()

    @property
    def port(self) -> int | None:
        """The TCP port that smbd listens on for SMB without NetBIOS, the first of several; None where there is none."""
        # Since 4.23 it is in `server smb transports`: `tcp, nbt`, or `tcp:1445`.
        words = re.split(r"[,\s]+", self.settings.get("server smb transports") or self.settings.get("smb ports", ""))
        for word in words:
            kind, _, number = word.rpartition(":")
            if kind in ("", "tcp") and number.isascii() and number.isdigit() and 0 < int(number[:6]) < 65536:
                if int(number) != _NETBIOS:
                    return int(number)
            elif word == "tcp":
                return _DIRECT
        return None


def parse_testparm(output: bytes) -> Configured:
    """What testparm printed. Raises MalformedMessage where that has no global section."""
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    for line in output.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith("[") and line.rstrip().endswith("]"):
            current = sections.setdefault(line.rstrip()[1:-1], {})
            if len(sections) > _MAX_SHARES:
                raise MalformedMessage("the output of testparm has too many sections")
        elif current is not None and line.startswith("\t"):
            name, equals, value = line.strip().partition(" =")
            if equals:
                current[name.lower()] = value.strip()
    if "global" not in sections:
        raise MalformedMessage(
            "the output of testparm has no global section", hint="see what `testparm -s` prints of the configuration"
        )
    settings = sections.pop("global")
    return Configured(
        settings,
        tuple(
            _share(name, section)
            for name, section in sections.items()
            if name.lower() not in _TEMPLATES and _yes(section.get("available", "yes"))
        ),
    )


def _yes(value: str) -> bool:
    return value.lower() in ("yes", "true", "1", "on")


def _share(name: str, section: dict[str, str]) -> ShareInfo:
    limit = section.get("max connections", "0")
    path = section.get("path", "")
    return ShareInfo(
        netname=name,
        type=STYPE_PRINTQ if _yes(section.get("printable", "no")) else STYPE_DISKTREE,
        remark=section.get("comment", ""),
        max_uses=(int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 10 else 0) or _NO_LIMIT,
        # %U and the like stand for something else in each connection.
        path=None if not path or "%" in path else path,
    )
