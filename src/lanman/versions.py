"""The versions of what programs keep: the files of a home, and what is kept beside a shared file.

Each kind of kept thing says its version, a number that grows with every change that an older lanman would not
understand. The rules, the same for all of them:

* A version that is known is read. What an older lanman wrote is put into the newest version with the first change that
  is made to it; until then it stays as it is, so that going back to the older lanman costs nothing.
* A newer version is refused before anything else is looked at, with the sentence of `NewerVersion`, and is never
  written over: what it holds would be lost.

A text has a line `version = N` above its first section; bytes have their version in the first one.
"""

from __future__ import annotations

import re
from typing import Final

from lanman import codes
from lanman.errors import LanmanError

# docs/how-to/back-up-a-server.md tells how.
REMEDY: Final = "A newer lanman wrote it: run that one, or put back what a backup has of it."

_LINE: Final = re.compile(rb"[ \t]*version[ \t]*=[ \t]*([0-9]{1,9})[ \t]*(?:#.*)?")


class NewerVersion(LanmanError):
    """Something kept has a version that this lanman does not know. `found` is that version, `newest` the last that is
    known. The caller puts the file's name before the message."""

    code = codes.ERROR_INVALID_DATA

    def __init__(self, found: int, newest: int) -> None:
        super().__init__(f"it has version {found}, and this lanman knows none after {newest}", hint=REMEDY)
        self.found = found


def check_version(found: int, newest: int) -> None:
    """Raises NewerVersion if `found` is a version after `newest`."""
    if found > newest:
        raise NewerVersion(found, newest)


def version_line(data: bytes) -> tuple[int, int] | None:
    """The number of the line in which a kept text says its version, and the version; None if it does not say any."""
    # Editors of Windows put a byte order mark before what they save.
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if line.lstrip().startswith(b"["):
            return None
        if match := _LINE.fullmatch(line):
            return number, int(match[1])
    return None
