"""Which smbd runs on this machine, and with which configuration.

Rules:

  - A running smbd holds a write lock on its pid file, which anybody may ask about: unlike the number in the file, the
    lock cannot be left over. A read lock would not do: whoever may read the file could hold one, and be believed.
  - The usual pid files are looked at, and all processes: an smbd with another configuration has its pid file elsewhere.
  - A configuration decides what Samba's tools do as root. So a command line is believed of root's smbd alone, by its
    user ids and its program and not by its name, and where the smb.conf that it names is root's, and its folders are.
  - An smbd in a container has its files there: it is told of, and not asked.
"""

from __future__ import annotations

import itertools
import os
import stat
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.samba_local import processes
from lanman.manage.samba_local.tools import SambaTools
from lanman.plain import dataclass

# struct flock of a 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid.
_FLOCK: Final = struct.Struct("@hhqqi4x")
_MAX_READ: Final = 1 << 16

_USUAL_CONFIGURATION: Final = "/etc/samba/smb.conf"

# Options of smbd that take a value; until 4.15 `-O` was one.
_SHORT_WITH_VALUE: Final = "dlpPsO"
_LONG_WITH_VALUE: Final = (
    "configfile",
    "debuglevel",
    "log-basename",
    "option",
    "port",
    "profiling-level",
    "socket-options",
)


@dataclass(frozen=True, slots=True)
class Smbd:
    """A running smbd: its first process, and its configuration, None for the default.

    `problem` says why it cannot be asked from here without its configuration being named; `is_elsewhere`, that it has
    other files, as in a container, and is not meant by "this machine's".
    """

    pid: int
    configuration: str | None = None
    problem: str | None = None
    is_elsewhere: bool = False


def locked_by(pid_file: Path) -> int | None:
    """The process that holds a write lock on a pid file; None where there is none, or where that cannot be asked."""
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return None
    import fcntl

    try:
        descriptor = os.open(pid_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK or pid <= 0 else pid


def configuration_of(command_line: bytes) -> str | None:
    """The configuration that a command line of smbd names, as popt reads it: the last of several.

    `-s FILE`, `-sFILE`, `-s=FILE`, `-Fs FILE`, `--configfile=FILE`, `--configfile FILE`.
    """
    words = iter([os.fsdecode(word) for word in command_line.split(b"\0")][1:])
    found: str | None = None
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in _LONG_WITH_VALUE and not equals:
                value = next(words, "")
        elif word.startswith("-"):
            flags = "".join(itertools.takewhile(lambda letter: letter not in _SHORT_WITH_VALUE, word[1:]))
            name, value = word[1 + len(flags) : 2 + len(flags)], word[2 + len(flags) :].removeprefix("=")
            if name and not word[2 + len(flags) :]:
                value = next(words, "")
        else:
            continue
        if name in ("s", "configfile"):
            found = value
    return found or None


def first_processes() -> list[int]:
    """The first process of each smbd of root that is seen from here."""
    if os.name != "posix":
        return []
    parents: dict[int, int] = {}
    try:
        names = os.listdir(processes.PROCESSES)
    except OSError:
        return []
    for name in names:
        if name.isascii() and name.isdigit() and (parent := _smbds_parent(processes.PROCESSES / name)) is not None:
            parents[int(name)] = parent
    return sorted(pid for pid, parent in parents.items() if parent not in parents)


def _smbds_parent(process: Path) -> int | None:
    """The parent of a process of root's smbd; None for any other process."""
    fields = {}
    for line in _read(process / "status").decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.strip()
    # smbd's other processes have longer names.
    if not fields.get("Name", "").startswith("smbd") or fields.get("Uid", "").split() != ["0"] * 4:
        return None
    try:
        program = os.readlink(process / "exe").removesuffix(" (deleted)")
    except OSError:
        # An ordinary user may not see it, and runs the tools as nobody else.
        program = "smbd" if os.geteuid() != 0 else ""
    parent = fields.get("PPid", "")
    return int(parent) if os.path.basename(program) == "smbd" and parent.isdecimal() else None


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_READ)
    except OSError:
        return b""


def _seen(pid: int) -> Smbd:
    """An smbd by what its first process says."""
    process = processes.PROCESSES / str(pid)
    command_line = _read(process / "cmdline")
    variables = dict(part.partition(b"=")[::2] for part in _read(process / "environ").split(b"\0"))
    named = configuration_of(command_line) or os.fsdecode(variables.get(b"SMB_CONF_PATH", b"")) or None
    if _is_elsewhere(process, named):
        problem = "it has other files than this process, as in a container: run lanman in there"
        return Smbd(pid, None, problem, is_elsewhere=True)
    if named is None:
        return Smbd(pid)
    if not os.path.isabs(named):
        return Smbd(pid, None, f"it was started with {named}, which does not say where that is")
    if os.geteuid() == 0 and not _is_roots(named):
        return Smbd(pid, named, f"not only root may write or replace its {named}")
    return Smbd(pid, named)


def _is_elsewhere(process: Path, configuration: str | None) -> bool:
    """Whether a process has another root, or, in a mount namespace of its own, another configuration than is here.

    A service manager makes such a namespace only to hide some folders (PrivateTmp, ProtectHome).
    """
    try:
        if os.readlink(process / "root") != "/":
            return True
        if os.readlink(process / "ns" / "mnt") == os.readlink("/proc/self/ns/mnt"):
            return False
    except OSError:
        # An ordinary user may not see it.
        return False
    path = configuration or _USUAL_CONFIGURATION
    try:
        return not os.path.samefile(f"{process}/root{path}", path)
    except OSError:
        return True


def _is_roots(path: str) -> bool:
    """Whether only root may write a file, and replace it or one of the folders in its path."""
    try:
        status = os.stat(path)
        folders = {*Path(path).parents, *Path(os.path.realpath(path)).parents}
        return _only_root_writes(status) and all(_only_root_replaces(os.stat(folder)) for folder in folders)
    except OSError:
        return False


def _only_root_writes(status: os.stat_result) -> bool:
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _only_root_replaces(folder: os.stat_result) -> bool:
    """Whether nobody else may replace what root has in a folder; in /tmp, which is sticky, others may not."""
    return _only_root_writes(folder) or (folder.st_uid == 0 and bool(folder.st_mode & stat.S_ISVTX))


async def running(pid_files: Sequence[Path]) -> list[Smbd]:
    """The smbds that run on this machine: those that hold one of these pid files, or the one of their configuration.

    Those in containers, or whose configuration is not known, are among them, with a problem.
    """
    holders = [pid for path in pid_files if (pid := locked_by(path)) is not None]
    found = {pid: _seen(pid) for pid in holders}
    for pid in first_processes():
        if pid not in found:
            smbd = _seen(pid)
            if smbd.problem is not None or await _holds_its_pid_file(smbd):
                found[pid] = smbd
    return list(found.values())


async def _holds_its_pid_file(smbd: Smbd) -> bool:
    try:
        return await _holder(SambaTools(smbd.configuration)) == smbd.pid
    except LanmanError:
        # Its configuration is gone, or was changed into none.
        return False


async def _holder(tools: SambaTools) -> int | None:
    folder = (await tools.configured()).settings.get("pid directory", "")
    return locked_by(Path(folder) / "smbd.pid") if folder else None


async def find_smbd(configuration: str | None, pid_files: Sequence[Path]) -> tuple[SambaTools, int]:
    """The tools for the smbd that is meant, and its first process.

    With a `configuration`, the one that runs with it; else the only one that runs here. Raises Win32Error 1062 where it
    does not run or cannot be asked from here, and 52 where several do.
    """
    if configuration is not None:
        tools = SambaTools(configuration)
        if (pid := await _holder(tools)) is None:
            raise _not_running(f"no smbd runs with {configuration}", "name the smb.conf that it was started with")
        return tools, pid
    found = await running(pid_files)
    usable = [smbd for smbd in found if smbd.problem is None]
    here = [smbd for smbd in found if not smbd.is_elsewhere]
    if usable and len(here) > 1:
        # One that cannot be asked may be the one that is meant.
        named = ", ".join([await _named(smbd) for smbd in here])
        raise Win32Error(
            codes.ERROR_DUP_NAME,
            f"several smbd run on this machine: {named}",
            hint="say which one is meant by its --samba-config",
            subject="Samba",
        )
    if usable:
        return SambaTools(usable[0].configuration), usable[0].pid
    if found:
        told = ", ".join(f"process {smbd.pid}: {smbd.problem}" for smbd in found)
        raise _not_running(f"no smbd that can be asked from here: {told}", "name its smb.conf with --samba-config")
    raise _not_running("no smbd runs on this machine", "where one does, name its smb.conf with --samba-config")


async def _named(smbd: Smbd) -> str:
    if smbd.problem is not None:
        return f"process {smbd.pid}: {smbd.problem}"
    path = smbd.configuration or await SambaTools().loaded_from()
    return f"process {smbd.pid} (--samba-config {path})" if path else f"process {smbd.pid} (default configuration)"


def _not_running(message: str, hint: str) -> Win32Error:
    return Win32Error(codes.ERROR_SERVICE_NOT_ACTIVE, message, hint=hint, subject="Samba")
