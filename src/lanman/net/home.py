"""The home of a Server: the folder that holds its accounts, its configuration, its control socket and its lock.

Who may enter the folder may end sessions and read password hashes, so it is made with mode 0700. The lock is taken
before anything else is touched; the kernel lets go of it when the process ends, however it ends. Whose the folder and
those above it may be, and how its files are opened, `net.place` says.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.net.place import Directory, directory

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
        """The account file (`net.accounts`)."""
        return self.path / "accounts"

    @property
    def configuration(self) -> Path:
        """The configuration, which people write and the Server only reads."""
        return self.path / "server.toml"

    @property
    def settings(self) -> Path:
        """What management calls have changed while a Server ran (`net.overlay`)."""
        return self.path / "settings"

    @property
    def control(self) -> Path:
        """The control socket (`net.control`); there is one exactly while a Server runs."""
        return self.path / "control"

    def __repr__(self) -> str:
        return f"Home({str(self.path)!r})"

    @contextmanager
    def opened(self, *, make: bool = False) -> Iterator[Directory]:
        """The folder by its handle; with `make` it is made, and only its owner may enter it then. Raises
        AccessDenied or HomeError, naming the folder."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(directory(self.path, make=make))
                if make and os.name == "posix" and folder.mode & 0o077 and os.geteuid() in (0, folder.owner[0]):
                    # It holds password hashes.
                    with folder.readable() as handle:
                        os.fchmod(handle, 0o700)
            except AccessDenied:
                raise
            except PermissionError as error:
                raise AccessDenied(
                    f"{self.path}: {error.strerror}", hint="Choose another folder with --home."
                ) from None
            except OSError as error:
                raise HomeError(f"{self.path}: {error.strerror}") from None
            yield folder

    def prepare(self) -> None:
        """Make the folder, mode 0700. Raises AccessDenied or HomeError, naming the folder."""
        with self.opened(make=True):
            pass

    def open_file(self, name: str, flags: int) -> int:
        """Open a file of the home, mode 0600 if it is made, never over a link. Raises as `opened`."""
        with self.opened() as folder:
            try:
                return folder.open(name, flags)
            except AccessDenied:
                raise
            except PermissionError as error:
                raise AccessDenied(f"{self.path / name}: {error.strerror}") from None
            except OSError as error:
                raise HomeError(f"{self.path / name}: {error.strerror}", hint="Remove it.") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for one Server. Raises HomeError when another process holds it."""
        import fcntl  # there is none on Windows, where a client may still ask for client_homes()

        self.prepare()
        handle = self.open_file("lock", os.O_RDWR | os.O_CREAT)
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
    if sys.platform == "win32":
        return Home(Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "lanman")
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
    """Bind to `path` with mode 0600, however long the path is, in place of what an earlier Server has left there.
    Raises OSError, and AccessDenied for a folder in which others decide."""
    with directory(path.parent) as folder:
        folder.unlink(path.name)
        with _short(folder, path.name) as address:
            if sys.platform == "linux":
                # unix(7) gives the name the mode of the socket itself, so that it is never wider.
                os.fchmod(listener.fileno(), 0o600)
            listener.bind(address)
            if sys.platform != "linux":
                # Nothing can connect before listen(), so the mode is never too wide.
                os.chmod(address, 0o600)


def connect_unix(client: socket.socket, path: Path) -> None:
    """Connect to the socket at `path`, however long the path is. Raises OSError as connect does, and AccessDenied for a
    link: the home's owner could have root speak to any other service of root's."""
    with _socket_address(path) as address:
        client.connect(address)


@contextmanager
def _socket_address(path: Path) -> Iterator[str]:
    """An address of at most 103 bytes for what is at `path`, good while the context lasts."""
    if os.path.isdir("/proc/self/fd"):
        socket_itself = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if stat.S_ISLNK(os.fstat(socket_itself).st_mode):
                raise AccessDenied(f"{path}: is a link, and no Server makes one", hint="Remove it.")
            yield f"/proc/self/fd/{socket_itself}"
        finally:
            os.close(socket_itself)
        return
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _short(Directory(path.parent, folder), path.name) as address:
            yield address
    finally:
        os.close(folder)


@contextmanager
def _short(folder: Directory, name: str) -> Iterator[str]:
    """An address for a name in a directory that is open, good while the context lasts."""
    if os.path.isdir(f"/proc/self/fd/{folder.descriptor}"):
        yield f"/proc/self/fd/{folder.descriptor}/{name}"
        return
    # No /proc (macOS): the folder is made the current one for as long as the system call takes.
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with folder.readable() as handle:
            os.fchdir(handle)
            try:
                yield name
            finally:
                os.fchdir(here)
    finally:
        os.close(here)
