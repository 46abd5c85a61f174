r"""A name on the wire and on the disk.

On the wire a name is UTF-16 without `\ / : * ? " < > |`, control characters, a dot or space at its end, and is not a
device's (CON, COM1, AUX.C). On the disk it is any bytes but `/` and NUL. What the disk has and the wire cannot say is
written with characters of the private use area, and read back:

    U+F001-U+F01F  control characters      U+F020 " U+F021 * U+F022 : U+F023 < U+F024 > U+F025 ? U+F026 \ U+F027 |
    U+F028, F029   space, dot at the end   (these are Services for Macintosh's, which the Linux and macOS clients use)
    U+F041-U+F07A  first letter of a device's name: U+F041 is A
    U+EF80-U+EFFF  a byte 80-FF that is no UTF-8

Both ways agree: what is listed opens what was listed. A name that would read back as another is not translated but
taken as it stands, and one that is then `.`, `..` or nothing is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from lanman import codes
from lanman.names import fold
from lanman.net.disk.system import DiskRefused
from lanman.server.disk_effects import NAME_MAX, Path, is_device

# MS-SMB2 2.2.13: a name has at most this many UTF-16 code units.
PATH_MAX: Final = 32767

_FORBIDDEN: Final = re.compile(r'[\x00-\x1f"*/:<>?\\|\ud800-\udfff]')

# Names that are the same on both sides, as most are; what begins like a device's is looked at more closely.
_PLAIN: Final = re.compile(
    rb"(?!con|prn|aux|nul|com|lpt)[a-z0-9_\-.+,=@~!#$%&'()\[\]{}^` ]*[a-z0-9_\-+,=@~!#$%&'()\[\]{}^`]", re.IGNORECASE
)

_TO_WIRE: Final = {byte: 0xF000 + byte for byte in range(1, 0x20)} | {
    ord(character): 0xF020 + index for index, character in enumerate('"*:<>?\\|')
}
_TO_DISK: Final = {private: byte for byte, private in _TO_WIRE.items()} | {0xF028: 0x20, 0xF029: 0x2E}
_RAW_BYTE: Final = 0xEF00
_ENDS: Final = {" ": "\uf028", ".": "\uf029"}


def wire_name(name: bytes) -> str:
    """What a name on the disk is called on the wire."""
    if _PLAIN.fullmatch(name):
        return name.decode()
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = _decode_raw(name)
    text = text.translate(_TO_WIRE)
    if text[-1:] in _ENDS:
        text = text[:-1] + _ENDS[text[-1]]
    if is_device(text):
        text = chr(0xF000 + ord(text[0])) + text[1:]
    return text


def compared_name(name: bytes) -> str:
    """A name on the disk as it is compared. The letter that a device's name begins with has no case of its own."""
    text = fold(wire_name(name))
    return chr(ord(text[0]) - 0x20) + text[1:] if "\uf061" <= text[0] <= "\uf07a" else text


def _decode_raw(name: bytes) -> str:
    """UTF-8 with bytes in between that are none."""
    text = name.decode("utf-8", "surrogateescape")
    return "".join(
        chr(ord(character) - 0xDC00 + _RAW_BYTE) if "\udc80" <= character <= "\udcff" else character
        for character in text
    )


@lru_cache(maxsize=4096)
def disk_name(name: str) -> bytes:
    """What a name on the wire is called on the disk. Raises DiskRefused with OBJECT_NAME_INVALID or NAME_TOO_LONG."""
    if not name or len(name) > NAME_MAX or name in (".", "..") or _FORBIDDEN.search(name) or is_device(name):
        raise DiskRefused(codes.STATUS_OBJECT_NAME_INVALID)
    plain = name.encode()
    if not name.isascii() and any("\uef80" <= character <= "\uf07a" for character in name):
        translated = _translate(name)
        if translated not in (b"", b".", b"..") and b"/" not in translated and wire_name(translated) == name:
            plain = translated
    # Longer than 255 bytes it cannot be on a disk, though a client counts it in other units.
    if len(plain) > NAME_MAX:
        raise DiskRefused(codes.STATUS_NAME_TOO_LONG)
    return plain


def _translate(name: str) -> bytes:
    """The bytes that a name with private characters may stand for."""
    first = ord(name[0])
    if 0xF041 <= first <= 0xF07A and is_device(plain := chr(first - 0xF000) + name[1:]):
        name = plain
    parts = []
    for character in name.translate(_TO_DISK):
        raw = ord(character) - _RAW_BYTE
        parts.append(bytes((raw,)) if 0x80 <= raw <= 0xFF else character.encode())
    return b"".join(parts)


def disk_path(path: Path) -> tuple[bytes, ...]:
    """A path on the wire as it is on the disk. Raises DiskRefused."""
    if sum(map(len, path)) + len(path) > PATH_MAX:
        raise DiskRefused(codes.STATUS_OBJECT_NAME_INVALID)
    return tuple(map(disk_name, path))


def wire_path(path: Sequence[bytes]) -> Path:
    """A path on the disk as it is on the wire."""
    return tuple(map(wire_name, path))
