"""How names are compared, everywhere in lanman: of users, groups, clients, shares and files; and the built-in groups.

Two names are the same when `fold` gives the same for both. That is Windows' rule, which RtlUpcaseUnicodeString and NTFS
follow: each UTF-16 code unit is upper-cased by its own entry in a fixed table (MS-UCODEREF 3.1.5.3), one to one. A
lower-case character has an entry where there is a single upper-case character that leads back to it. So no two
lower-case characters ever meet: U+00DF (sharp s) is not `ss`, U+0131 (dotless i) is not `i`, U+017F (long s) is not
`s`, U+03C2 (final sigma) is not U+03C3. Unicode's case folding, `str.upper()` and `str.lower()` each join some of
these, and compare no names here.

The table is as old as Windows 8. A character that got its other case later has no entry, nor has any outside the Basic
Multilingual Plane: such a character is the same as itself alone.

Where several names are to choose from, a name that is written exactly as one of them means that one (`choose`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# Lower-case characters that had no upper case when the table was made, and those that have none there yet.
_WITHOUT_ENTRY: Final = (
    "[\u019b\u023f\u0240\u0252\u025c\u0261\u0264-\u0266\u026a\u026c\u0282\u0287\u029d\u029e\u03f3\u0525-\u052f"
    "\u10d0-\u10ff\u13f8-\u13fd\u1c8a\u1d8e\u2c5f\u2cec-\u2cf3\u2d27\u2d2d\ua661\ua699\ua69b\ua790-\ua7ff"
    "\uab30-\uabbf\U00010000-\U0010ffff]"
)


class _UpperCase(dict[int, int]):
    """The entries of the table that were asked for; `str.translate` asks."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        upper = character.upper()
        if len(upper) != 1:
            upper = character.title()  # a small alpha with an iota below it: Unicode's upper case are two letters
        if len(upper) != 1 or upper == character or upper.lower() != character:
            return code
        # So large a set takes longer to compile than most commands need names folded: only where one may be in it.
        if not character.isascii() and re.match(_WITHOUT_ENTRY, character):
            return code
        self[code] = ord(upper)
        return self[code]


_UPPER_CASE: Final = _UpperCase()


MAX_SHARE_NAME: Final = 80
"""The longest name of a share, in UTF-16 code units (MS-SRVS 3.1.4.7)."""
NOT_IN_A_SHARE_NAME: Final = '"\\/[]:|<>+=;,*?'
"""What the name of a share may not hold (MS-FSCC 2.1.6), beside control characters."""

# The groups that are there from the beginning (MS-DTYP 2.4.2.4), and two that have no explicit members.
ADMINISTRATORS: Final = "Administrators"
SERVER_OPERATORS: Final = "Server Operators"
POWER_USERS: Final = "Power Users"
PRINT_OPERATORS: Final = "Print Operators"
USERS: Final = "Users"
GUESTS: Final = "Guests"
EVERYONE: Final = "Everyone"
AUTHENTICATED_USERS: Final = "Authenticated Users"
"""All users who logged on with an account: neither guests nor null sessions."""


def fold(name: str) -> str:
    """A name in the upper case in which names are compared; as many code points as before."""
    return name.upper() if name.isascii() else name.translate(_UPPER_CASE)


def unc_client(name: str) -> str:
    r"""A client's name as MS-SRVS lists it and wants it: `\\PC7`, `\\192.0.2.7`, `\\[2001:db8::7]`."""
    if name.startswith("\\\\") and ":" not in name and not name.startswith("\\", 2) and not name.startswith("/", 2):
        return name
    bare = name.lstrip("\\/")
    if ":" in bare and not bare.startswith("["):
        bare = f"[{bare}]"
    return "\\\\" + bare


def upper_each(name: str) -> str:
    """Each character in upper case where that is one character: what some clients, and lanman until 0.1, do instead."""
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in name)


def same(name: str, other: str) -> bool:
    """Whether two names are the same where letter case does not count."""
    return name == other or fold(name) == fold(other)


def choose(wanted: str, names: Iterable[str]) -> list[str]:
    """Which of `names` are meant: those that are `wanted` exactly, else those that differ from it in case alone."""
    names = list(names)
    if exact := [name for name in names if name == wanted]:
        return exact
    folded = fold(wanted)
    return [name for name in names if fold(name) == folded]
