"""MD4 (RFC 1320) and the NT hash made with it, because OpenSSL 3 no longer offers MD4.

An NT hash is as good as the password it was made from: whoever has it can log on. It belongs in files of mode
0600 and never in a message, a log or a repr.
"""

from __future__ import annotations

import struct
from typing import Final

from lanman.errors import LanmanError

_MASK: Final = 0xFFFFFFFF

# 3.4: for each of three rounds the order in which the sixteen words are taken, and the four shifts in turn.
_ROUND_1: Final = tuple(zip(range(16), (3, 7, 11, 19) * 4, strict=True))
_ROUND_2: Final = tuple(zip((0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13) * 4, strict=True))
_ROUND_3: Final = tuple(zip((0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15) * 4, strict=True))

_BLOCK: Final = struct.Struct("<16I")


class BadHash(LanmanError, ValueError):
    """A text is not an NT hash."""

    code = 87  # ERROR_INVALID_PARAMETER


def md4(data: bytes) -> bytes:
    """The 16-byte MD4 digest of `data` (RFC 1320)."""
    # 3.1 and 3.2: a one bit, zeros up to 56 modulo 64, the length in bits as 64 bits.
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", (len(data) * 8) & 0xFFFFFFFFFFFFFFFF)
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    for words in _BLOCK.iter_unpack(padded):
        state = _block(state, words)
    return struct.pack("<4I", *state)


def _block(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for index, shift in _ROUND_1:
        t = (a + ((b & c) | (~b & d)) + words[index]) & _MASK
        a, b, c, d = d, ((t << shift) | (t >> (32 - shift))) & _MASK, b, c
    for index, shift in _ROUND_2:
        t = (a + ((b & c) | (b & d) | (c & d)) + words[index] + 0x5A827999) & _MASK
        a, b, c, d = d, ((t << shift) | (t >> (32 - shift))) & _MASK, b, c
    for index, shift in _ROUND_3:
        t = (a + (b ^ c ^ d) + words[index] + 0x6ED9EBA1) & _MASK
        a, b, c, d = d, ((t << shift) | (t >> (32 - shift))) & _MASK, b, c
    return (state[0] + a) & _MASK, (state[1] + b) & _MASK, (state[2] + c) & _MASK, (state[3] + d) & _MASK


def nt_hash(password: str) -> bytes:
    """The NT hash of a password: 16 bytes, MD4 of its UTF-16LE form (MS-NLMP 3.3.1, NTOWFv1).

    Windows hashes UTF-16 code units, so a lone surrogate is hashed like any other character.
    """
    return md4(password.encode("utf-16-le", "surrogatepass"))


def parse_nt_hash(text: str) -> bytes:
    """The 16 bytes written as 32 hexadecimal digits; `LM:NT`, as other tools print the pair, gives its NT half.

    Raises BadHash, whose message tells what is wrong without repeating the text.
    """
    digits = text.strip()
    if ":" in digits:
        digits = digits.rpartition(":")[2]
    if len(digits) != 32:
        raise BadHash(f"an NT hash has 32 hexadecimal digits, this one has {len(digits)}")
    if not all(character in "0123456789abcdefABCDEF" for character in digits):
        raise BadHash("an NT hash has 32 hexadecimal digits, this one has other characters")
    return bytes.fromhex(digits)
