"""What a drain leaves behind while it has a server paused, so that a later program can undo it: a file of each server.

    version = 1
    server = "fs1"
    paused_at = 2026-03-01T14:00:00Z
    process = 4711

It is written before the server is told to pause, and removed when it was told to go on. A drain that is killed leaves
it behind: the next drain of that server then knows that the pause is nobody else's, and `lanman continue server`
removes it. The files lie in the folder `drains` of the home (`net.home`); a lock beside each keeps two drains of one
server from running at the same time, and goes with the process that holds it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lanman import codes
from lanman.errors import AccessDenied, LanmanError, Win32Error
from lanman.names import fold
from lanman.net.atomic import AtomicFile, try_lock
from lanman.net.home import default_home
from lanman.net.place import place_of
from lanman.plain import dataclass
from lanman.versions import NewerVersion, check_version

VERSION: Final = 1

LOCAL: Final = "this machine"

# A file's name has at most 255 bytes (POSIX NAME_MAX), with `.running.lock` behind it.
_MAX_NAME: Final = 150


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that a drain has made: of which server, when (seconds since 1970), in which process."""

    server: str
    paused_at: float
    process: int


class KeptDrain:
    """The file about one server; `name` is what `drain_name` calls it."""

    def __init__(self, name: str, home: str | Path | None = None) -> None:
        folder = default_home(None if home is None else str(home)).path / "drains"
        self.name = name
        self.path = folder / _file_name(name)
        self._file = AtomicFile(self.path, "state of a drain")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the server for one drain. Raises Win32Error 170 where another one of this machine is draining it,
        LanmanError where the folder cannot be written."""
        path = self.path.with_name(f"{self.path.name}.running")
        try:
            with place_of(path, make=True) as (folder, name):
                descriptor = folder.open(name, os.O_RDWR | os.O_CREAT)
        except LanmanError:
            raise
        except OSError as error:
            raise _cannot_keep(path, error) from None
        try:
            if not try_lock(descriptor):
                raise Win32Error(
                    codes.ERROR_BUSY,
                    f"{self.name}: another drain of it is running here",
                    hint="Wait for it, or interrupt it; it opens the server again then.",
                    subject=self.name,
                )
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Pause | None:
        """The pause that is noted; None where none is. Raises LanmanError for a file of a newer lanman, and one that is
        damaged."""
        content = self._file.read()
        if content is None or not content.data:
            return None
        try:
            document = tomllib.loads(content.data.decode())
            check_version(int(document["version"]), VERSION)
            at = document["paused_at"]
            if not isinstance(at, datetime):
                raise TypeError("paused_at is no time")
            return Pause(str(document["server"]), at.timestamp(), int(document["process"]))
        except NewerVersion as error:
            raise LanmanError(f"{self.path}: {error.message}", code=error.code, hint=error.hint) from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, OverflowError):
            raise LanmanError(f"{self.path}: is damaged", code=codes.ERROR_INVALID_DATA, hint="Remove it.") from None

    def note(self, paused_at: float) -> None:
        """Note that the server is about to be paused. Raises LanmanError where that cannot be written."""
        import tomli_w

        document = {
            "version": VERSION,
            "server": self.name,
            "paused_at": datetime.fromtimestamp(paused_at, UTC).replace(microsecond=0),
            "process": os.getpid(),
        }
        self._file.update(lambda before: tomli_w.dumps(document).encode())

    def forget(self) -> None:
        """Note that it is paused no longer. Raises LanmanError where that cannot be written."""
        try:
            with place_of(self.path) as (folder, name):
                folder.unlink(name)
        except FileNotFoundError:
            return
        except LanmanError:
            raise
        except OSError as error:
            raise _cannot_keep(self.path, error) from None


def drain_name(server: str | None, port: int | None = None, service: str | None = None) -> str:
    """What a server is called in the notes of drains: its name and port, or this machine's service."""
    if server is None:
        return LOCAL if service is None else f"{LOCAL}, {service}"
    bare = fold(server.strip("\\/"))
    return bare if port in (None, 445) else f"{bare}:{port}"


def _file_name(name: str) -> str:
    quoted = quote(name, safe=" ", errors="surrogatepass").replace(" ", "_")
    if len(quoted) <= _MAX_NAME:
        return f"{quoted}.toml"
    from hashlib import sha256

    return f"{quoted[:64]}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}.toml"


def _cannot_keep(path: Path, error: OSError) -> LanmanError:
    message = f"{path}: the state of a drain cannot be written: {error.strerror}"
    if isinstance(error, PermissionError):
        return AccessDenied(message, hint="Choose another folder with --home.")
    return LanmanError(message, code=codes.NERR_InternalError, hint="Choose another folder with --home.")
