"""Passwords on the command line, gone from it before anything else happens.

Anybody on the machine may read the arguments of every process (`ps`, /proc/PID/cmdline). What is read there is not
Python's `sys.argv` but the memory that the kernel set up when the process began; so that memory is overwritten. On
Linux it is found in /proc/self/stat (`arg_start`, `arg_end`: proc(5)) and written through /proc/self/mem; on macOS
`_NSGetArgv` gives its pointers. Elsewhere, and where the kernel refuses, the arguments stay as they are.

This runs before the line is understood, so it decides by looks, and rather hides too much: from the first `%` of every
argument on, the value of whatever begins with `--nt`, what follows the user's name in `user NAME PASSWORD`, unless it
looks like an option of that verb, and what follows the user's name, or `password=`, in the URL of a database.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_COVER = b"*"

# What may follow `user NAME` and be seen: options in full or shortened, with the values that are joined to them.
_OPTIONS = (
    "active", "add", "authentication-file", "comment", "csv", "delete", "fullname", "help", "home", "json", "kerberos",
    "login", "no-pass", "nt-hash", "port", "server", "timeout", "yes", "?", "h",
)  # fmt: skip
_SHORT_OPTIONS = ("-S", "-U", "-A", "-p", "-k", "-N", "-h", "-y")


def cover_secrets(arguments: Sequence[str]) -> bool:
    """Overwrite what may be a secret in this process's own arguments; `arguments` are those behind the program's name.

    True when nothing secret can be read there any more. Never raises: a line that is readable is no reason not to work.
    """
    covered = [_cover(argument, start) for argument, start in zip(arguments, _secret_from(arguments), strict=True)]
    plain = [os.fsencode(argument) for argument in arguments]
    if covered == plain:
        return True
    try:
        if sys.platform == "darwin":
            return _overwrite_darwin(plain, covered)
        return _overwrite_linux(plain, covered)
    except (OSError, ValueError, AttributeError):
        return False


def _cover(argument: str, start: int) -> bytes:
    encoded = os.fsencode(argument)
    kept = len(os.fsencode(argument[:start]))
    return encoded[:kept] + _COVER * (len(encoded) - kept)


def _secret_from(arguments: Sequence[str]) -> list[int]:
    """For each argument, from which character on it may be secret; its length where nothing is."""
    starts = []
    names_behind_user = -1
    only_words = False  # behind `--` nothing is an option
    previous = ""
    for argument in arguments:
        start = len(argument)
        lowered = argument.casefold()
        if "%" in argument:
            start = argument.index("%") + 1
        if "://" in argument:
            start = min(start, _in_url(argument, lowered))
        if previous.startswith(("--nt", "/nt")) and not any(mark in previous for mark in "=:"):
            start = 0
        elif lowered.startswith(("--nt", "/nt")):
            start = min([start, *(lowered.index(mark) + 1 for mark in "=:" if mark in lowered)])
        elif names_behind_user >= 0 and argument == "--" and not only_words:
            only_words = True
        elif names_behind_user >= 0 and (only_words or not _is_option(argument, strict=names_behind_user > 0)):
            names_behind_user += 1
            # `*` is the wish to be asked, not a password.
            start = 0 if names_behind_user > 1 and argument != "*" else start
        elif names_behind_user < 0 and lowered in ("user", "users"):
            names_behind_user = 0
        starts.append(start)
        previous = lowered
    return starts


def _in_url(argument: str, lowered: str) -> int:
    """From which character on a URL may hold a password: `postgresql://ann:secret@host/name`, `...?password=secret`."""
    start = len(argument)
    place = argument.index("://") + len("://")
    if "@" in argument[place:] and ":" in (user := argument[place:].partition("@")[0]):
        start = place + user.index(":") + 1
    if (named := lowered.find("password=")) >= 0:
        start = min(start, named + len("password="))
    return start


def _is_option(argument: str, *, strict: bool) -> bool:
    """Whether an argument looks like an option; `strict` where it could be a password, too."""
    if not argument.startswith(("/", "-")):
        return False
    if not strict or argument in _SHORT_OPTIONS:
        return True
    word = argument.lstrip("/-").replace("=", ":").partition(":")[0].casefold()
    return word != "" and any(option.startswith(word) for option in _OPTIONS)


def _overwrite_linux(plain: Sequence[bytes], covered: Sequence[bytes]) -> bool:
    with open("/proc/self/stat", "rb") as file:
        # The second field, the program's name in parentheses, may hold anything; 48 and 49 are counted from the third.
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[48 - 3]), int(fields[49 - 3])
    if not 0 < start < end:
        return False
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        area = memory.read(end - start)
        # The interpreter and its own options come first; ours are the last.
        old, new = (b"".join(argument + b"\0" for argument in arguments) for arguments in (plain, covered))
        if not area.endswith(old):
            return False
        memory.seek(end - len(old))
        memory.write(new)
    return True


def _overwrite_darwin(plain: Sequence[bytes], covered: Sequence[bytes]) -> bool:
    import ctypes

    library = ctypes.CDLL(None)
    library._NSGetArgc.restype = ctypes.POINTER(ctypes.c_int)
    library._NSGetArgv.restype = ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))
    count = library._NSGetArgc()[0]
    pointers = library._NSGetArgv()[0]
    for offset, (old, new) in enumerate(zip(reversed(plain), reversed(covered), strict=True), 1):
        pointer = pointers[count - offset]
        if pointer is None or ctypes.string_at(pointer) != old:
            return False
        ctypes.memmove(pointer, new, len(new))
    return True
