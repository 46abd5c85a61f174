"""ksmbd's files: where they are, reading them, and why one may not be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, LanmanError, MalformedMessage, Win32Error
from lanman.manage.ksmbd import conf, text
from lanman.plain import dataclass

T = TypeVar("T")

WAYS_OUT: Final = "ask as root; over the network, -S localhost -U USER, ksmbd tells of its shares alone"

_STATS: Final = "class/ksmbd-control/stats"
_LISTS: Final = "fs/ksmbd"
_MOUNTD: Final = "ksmbd.mountd"
_MAX_SMALL: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the system's folders are."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    etc: Path = Path("/etc")
    run: Path = Path("/run")


class Kernel:
    """The files of this machine's ksmbd. Every method reads, and blocks for as long as the kernel takes."""

    def __init__(self, roots: Roots | None = None) -> None:
        self.roots = Roots() if roots is None else roots

    def stats(self) -> text.Stats | None:
        """What it does; None where there is no ksmbd."""
        try:
            return text.parse_stats(_read(self.roots.sys / _STATS, _MAX_SMALL))
        except OSError:
            return None

    def is_running(self) -> bool:
        """Whether it serves."""
        try:
            stats = self.stats()
        except LanmanError:
            return False
        return stats is not None and stats.state == text.RUNNING

    def check_running(self) -> None:
        """Raise Win32Error 1062 where it does not serve."""
        stats = self.stats()
        if stats is None or stats.state != text.RUNNING:
            said = "ksmbd is not here" if stats is None else f"ksmbd does not run: its state is {stats.state}"
            raise Win32Error(
                codes.ERROR_SERVICE_NOT_ACTIVE, said, hint="`ksmbd.mountd` starts it, as root", subject="ksmbd"
            )

    def channels(self) -> list[text.Channel]:
        """sessions/sessions."""
        return self._list("sessions/sessions", "sessions", text.parse_sessions)

    def details(self, session_id: int) -> text.Details | None:
        """sessions/ID; None where that session has ended meanwhile."""
        try:
            return self._list(f"sessions/{session_id}", "sessions", text.parse_session)
        except FileNotFoundError:
            return None

    def connections(self) -> list[text.Connection]:
        """clients."""
        return self._list("clients", "clients", text.parse_clients)

    def opens(self) -> list[text.Open]:
        """files. Linux 7.0 as it first came could crash over one with a durable handle: read it only when asked."""
        return self._list("files", "open files", text.parse_files)

    def used_shares(self) -> list[text.Used] | None:
        """shares, None where they cannot be read: no such file before later kernels, or not root."""
        try:
            return self._list("shares", "the use of shares", text.parse_shares)
        except (FileNotFoundError, AccessDenied, Win32Error):
            return None

    def server(self) -> dict[str, str] | None:
        """server, None where it cannot be read."""
        try:
            return self._list("server", "the server", text.parse_server)
        except (FileNotFoundError, AccessDenied, Win32Error):
            return None

    def _list(self, name: str, what: str, parse: Callable[[bytes], T]) -> T:
        """A file under /proc/fs/ksmbd. Raises Win32Error 50 where the kernel has none of them, AccessDenied,
        FileNotFoundError, MalformedMessage."""
        folder = self.roots.proc / _LISTS
        if not folder.is_dir():
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"this kernel does not tell ksmbd's {what}: the first that can is Linux 7.0",
                hint="`ss -tn` shows who is connected to the port; there is nothing else to ask",
                subject="ksmbd",
            )
        try:
            return parse(_read(folder / name, text.MAX_FILE))
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise AccessDenied(f"only root may ask ksmbd for its {what}", hint=WAYS_OUT, subject="ksmbd") from error
        except OSError as error:
            raise MalformedMessage(f"ksmbd's file {name} cannot be read: {error.strerror}") from error

    def configured(self) -> conf.Configured:
        """Its ksmbd.conf: the one that ksmbd.mountd was started with, else the default.

        Raises AccessDenied, Win32Error 2 where there is none, MalformedMessage.
        """
        path = self._configuration() or self.roots.etc / "ksmbd" / "ksmbd.conf"
        try:
            return conf.parse_conf(_read(path, conf.MAX_FILE))
        except PermissionError as error:
            raise AccessDenied(f"{path} may not be read", hint="ask as root", subject="ksmbd.conf") from error
        except OSError as error:
            raise Win32Error(
                codes.ERROR_FILE_NOT_FOUND,
                f"{path}: {error.strerror}",
                hint="ksmbd's shares stand there",
                subject="ksmbd",
            ) from error

    def _configuration(self) -> Path | None:
        """The configuration that the command line of ksmbd.mountd names; None for the default."""
        try:
            pid = _read(self.roots.run / "ksmbd.lock", _MAX_SMALL).split(b"\n")[0].strip().decode("ascii", "replace")
            if not pid.isascii() or not pid.isdigit():
                return None
            process = self.roots.proc / pid
            if _read(process / "comm", _MAX_SMALL).strip() != _MOUNTD.encode():
                return None
            words = [os.fsdecode(word) for word in _read(process / "cmdline", _MAX_SMALL).split(b"\0")]
        except OSError:
            return None
        for place, word in enumerate(words[1:-1], 1):
            name, equals, value = word.partition("=")
            if name == "--config" and equals:
                return Path(value) if os.path.isabs(value) else None
            if word in ("-C", "-c", "--config") and os.path.isabs(words[place + 1]):
                return Path(words[place + 1])
        return None


def _read(path: Path, limit: int) -> bytes:
    """A file; no more than one byte beyond `limit`."""
    with open(path, "rb") as file:
        return file.read(limit + 1)
