"""The home of a Server: the folder that holds its accounts, its configuration, its control socket and its lock.

Who may enter the folder may end sessions and read password hashes, so it is made with mode 0700. The lock is taken
before anything else is touched; the kernel lets go of it when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError

SYSTEM_HOME: Final = Path("/var/lib/lanman")
SYSTEM_RUN: Final = Path("/run/lanman")

# sockaddr_un has 108 bytes for the path on Linux and 104 on macOS, the closing NUL among them.
_MAX_SOCKET_PATH: Final = 103


class HomeError(LanmanError):
    """The home cannot be used: not a folder, not ours, or a Server is running in it already."""

    code = 2140  # NERR_InternalError


class Home:
    """Where a Server keeps what outlives it. Nothing is made before prepare()."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()

    @property
    def accounts(self) -> Path:
        return self.path / "accounts"

    @property
    def configuration(self) -> Path:
        return self.path / "server.toml"

    @property
    def settings(self) -> Path:
        return self.path / "settings"

    @property
    def control(self) -> Path:
        return self.path / "control"

    def __repr__(self) -> str:
        return f"Home({str(self.path)!r})"

    def prepare(self) -> None:
        """Make the folder, mode 0700. Raises AccessDenied or HomeError, naming the folder."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
        except PermissionError as error:
            raise AccessDenied(f"{self.path}: {error.strerror}", hint="Choose another folder with --home.") from None
        except OSError as error:
            raise HomeError(f"{self.path}: {error.strerror}") from None
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077:
            # It holds password hashes: nobody else has any business in it.
            self.path.chmod(0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for one Server. Raises HomeError when another process holds it."""
        import fcntl  # there is none on Windows, where a client may still ask for client_homes()

        self.prepare()
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AccessDenied(f"{self.path}: {error.strerror}", hint="Choose another folder with --home.") from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise HomeError(f"{self.path}: {error.strerror}") from None
                raise HomeError(
                    f"{self.path}: the Server service has already been started here"
                    + (f" (process {holder})" if (holder := _holder(handle)) else ""),
                    code=codes.NERR_ServiceInstalled,
                    hint="Stop it with `lanman stop server`, or start another one with --home.",
                ) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
            os.ftruncate(handle, 0)
        finally:
            os.close(handle)


def _holder(handle: int) -> int:
    """The process that holds the lock, as it wrote itself there; 0 if it wrote nothing."""
    digits = os.pread(handle, 20, 0).strip()
    return int(digits) if digits.isdigit() else 0


def default_home(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> Home:
    """The home that a Server started now would use: --home, LANMAN_HOME, the state folder of this user."""
    if chosen := explicit or environ.get("LANMAN_HOME"):
        return Home(Path(chosen).expanduser())
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Home(SYSTEM_HOME)
    # The specification says of a relative one: "consider the path invalid and ignore it".
    state = Path(environ.get("XDG_STATE_HOME", ""))
    return Home((state if state.is_absolute() else Path("~/.local/state").expanduser()) / "lanman")


def client_homes(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> list[Home]:
    """Where a client looks for a running Server's control socket, in this order."""
    if explicit or environ.get("LANMAN_HOME"):
        return [default_home(explicit, environ)]
    homes = [default_home(None, environ), Home(SYSTEM_RUN), Home(SYSTEM_HOME)]
    return [home for number, home in enumerate(homes) if home.path not in [other.path for other in homes[:number]]]


def bind_unix(listener: socket.socket, path: Path) -> None:
    """Bind to `path` with mode 0600, however long the path is. The file must not exist."""
    with _reachable(path) as address:
        listener.bind(address)
        # Nobody gets in before listen(), so there is no moment in which the mode is too wide.
        os.chmod(address, 0o600)


def connect_unix(client: socket.socket, path: Path) -> None:
    """Connect to the socket at `path`, however long the path is. Raises OSError as connect does."""
    with _reachable(path) as address:
        client.connect(address)


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """An address of at most 103 bytes for `path`, good while the context lasts."""
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.path.isdir(f"/proc/self/fd/{folder}"):
            yield f"/proc/self/fd/{folder}/{path.name}"
            return
        # No /proc (macOS): the folder is made the current one for as long as the system call takes.
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchdir(folder)
            try:
                yield path.name
            finally:
                os.fchdir(here)
        finally:
            os.close(here)
    finally:
        os.close(folder)
