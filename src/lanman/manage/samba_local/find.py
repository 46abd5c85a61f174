"""Whether smbd runs on this machine, and with which configuration.

A running smbd holds a lock on its pid file, which anybody may ask about: unlike the number in the file, the lock cannot
be left over. Its command line names its configuration where that is not the default.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.samba_local.tools import SambaTools

# struct flock of a 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid.
_FLOCK: Final = struct.Struct("@hhqqi4x")
_MAX_COMMAND_LINE: Final = 1 << 16


def locked_by(pid_file: Path) -> int | None:
    """The process that holds the lock on a pid file; None where there is none, or where that cannot be asked."""
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return None
    import fcntl

    try:
        descriptor = os.open(pid_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK or pid <= 0 else pid


def configuration_of(command_line: bytes) -> str | None:
    """The configuration that a command line of smbd names: `-s FILE`, `-sFILE`, `--configfile=FILE`."""
    words = [os.fsdecode(word) for word in command_line.split(b"\0")]
    for place, word in enumerate(words[1:], 1):
        if word in ("-s", "--configfile"):
            return words[place + 1] if place + 1 < len(words) and words[place + 1] else None
        if word.startswith("--configfile="):
            return word.partition("=")[2] or None
        if word.startswith("-s") and not word.startswith("--"):
            return word[2:]
    return None


def running(pid_files: Sequence[Path]) -> dict[int, str | None]:
    """The smbds that hold these pid files: their first processes, and the configuration each was started with."""
    found: dict[int, str | None] = {}
    for path in pid_files:
        if (pid := locked_by(path)) is None:
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                found[pid] = configuration_of(file.read(_MAX_COMMAND_LINE))
        except OSError:
            found[pid] = None
    return found


async def find_smbd(configuration: str | None, pid_files: Sequence[Path]) -> tuple[SambaTools, int]:
    """The tools for the smbd that is meant, and its first process.

    With a `configuration`, the one that runs with it; else the one that holds one of the usual pid files. Raises
    Win32Error 1062 where it does not run, and 52 where several do.
    """
    if configuration is not None:
        tools = SambaTools(configuration)
        folder = (await tools.configured()).settings.get("pid directory", "")
        if not folder or (pid := locked_by(Path(folder) / "smbd.pid")) is None:
            raise Win32Error(
                codes.ERROR_SERVICE_NOT_ACTIVE,
                f"no smbd runs with {configuration}",
                hint="name the smb.conf that it was started with",
                subject="Samba",
            )
        return tools, pid
    found = running(pid_files)
    if len(found) > 1:
        named = ", ".join(f"process {pid} ({path or 'default configuration'})" for pid, path in found.items())
        raise Win32Error(
            codes.ERROR_DUP_NAME,
            f"several smbd run on this machine: {named}",
            hint="name the smb.conf of the one that is meant with --samba-config",
            subject="Samba",
        )
    for pid, path in found.items():
        return SambaTools(path), pid
    raise Win32Error(
        codes.ERROR_SERVICE_NOT_ACTIVE,
        "no smbd runs with the default configuration of this machine's Samba",
        hint="where it was started with another smb.conf, name that with --samba-config",
        subject="Samba",
    )
