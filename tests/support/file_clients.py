"""Programs that people save their files with, behind one interface: the same history can be played by each of them.

`create` fails where the name is taken, if the program knows how (`exclusive`), and writes over it otherwise. `replace`
renames over a name that is taken; a program that cannot deletes first, as its users have to. Whatever a server
refuses is raised as `Refused`, with the program's own words.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from support.smbd import Account, HeldClient, Tools

SYSTEM_PYTHON = "/usr/bin/python3"
NOT_PACKAGED = "only on machines with libsmb2: Debian 12 has no package of it (LANMAN_LIBSMB2 names the library)"


class Refused(Exception):
    """The server, or the program for it, has refused."""


class FileClient(ABC):
    """One program, connected to one share as one user. Names are relative to the share, with "/" between folders."""

    exclusive: ClassVar[bool] = True

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        self.port, self.account, self.share, self.host = port, account, share, host

    @abstractmethod
    def write(self, name: str, data: bytes) -> None: ...

    def create(self, name: str, data: bytes) -> None:
        self.write(name, data)

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    @abstractmethod
    def rename(self, old: str, new: str) -> None: ...

    def replace(self, old: str, new: str) -> None:
        self.delete(new)
        self.rename(old, new)

    @abstractmethod
    def delete(self, name: str) -> None: ...

    @abstractmethod
    def make_folder(self, name: str) -> None: ...

    @abstractmethod
    def remove_folder(self, name: str) -> None: ...

    @abstractmethod
    def names(self, folder: str) -> set[str]: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()


class SmbClient(FileClient):
    """Samba's smbclient, one that stays."""

    exclusive = False

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        super().__init__(port, account, share, host)
        self._folder = Path(tempfile.mkdtemp(prefix="lanman-smbclient-"))
        self._held: HeldClient = Tools(self._folder, port, host).hold(account, share)

    def _run(self, command: str) -> str:
        said = self._held.command(command)
        if found := re.search(r"NT_STATUS_\w+", said):
            raise Refused(found.group())
        return said

    def write(self, name: str, data: bytes) -> None:
        local = self._folder / "out"
        local.write_bytes(data)
        self._run(f'put "{local}" "{name}"')

    def read(self, name: str) -> bytes:
        local = self._folder / "in"
        self._run(f'get "{name}" "{local}"')
        return local.read_bytes()

    def rename(self, old: str, new: str) -> None:
        self._run(f'rename "{old}" "{new}"')

    def replace(self, old: str, new: str) -> None:
        self._run(f'rename "{old}" "{new}" -f')

    def delete(self, name: str) -> None:
        self._run(f'del "{name}"')

    def make_folder(self, name: str) -> None:
        self._run(f'mkdir "{name}"')

    def remove_folder(self, name: str) -> None:
        self._run(f'rmdir "{name}"')

    def names(self, folder: str) -> set[str]:
        lines = self._run(f'ls "{folder}/*"').splitlines()
        found = (re.match(r"  (.+?)\s+[DAHSRN]*\s+\d+  \w{3} \w{3}", line) for line in lines)
        return {match.group(1) for match in found if match} - {".", ".."}

    def close(self) -> None:
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class LibSmbClient(FileClient):
    """libsmbclient by Debian's python3-smbc (what GNOME's and KDE's file managers stand on), in the system's Python."""

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        super().__init__(port, account, share, host)
        self._home = Path(tempfile.mkdtemp(prefix="lanman-smbc-"))
        (self._home / ".smb").mkdir()
        (self._home / ".smb" / "smb.conf").write_text(
            f"[global]\nclient min protocol = SMB2_02\nlock directory = {self._home}\ncache directory = {self._home}\n"
            f"state directory = {self._home}\nprivate dir = {self._home}\n"
        )
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(Path(__file__).with_name("smbc_peer.py")), f"smb://{host}:{port}/{share}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"HOME": str(self._home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            text=True,
            bufsize=1,
        )
        self._ask(account.user_name, account.password)

    def _ask(self, *words: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError("smbc_peer.py ended")
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["result"]

    def write(self, name: str, data: bytes) -> None:
        self._ask("write", name, data.hex())

    def create(self, name: str, data: bytes) -> None:
        self._ask("create", name, data.hex())

    def read(self, name: str) -> bytes:
        return bytes.fromhex(self._ask("read", name))

    def rename(self, old: str, new: str) -> None:
        self._ask("rename", old, new)

    def replace(self, old: str, new: str) -> None:
        self._ask("rename", old, new)  # libsmbclient itself deletes what is in the way

    def delete(self, name: str) -> None:
        self._ask("delete", name)

    def make_folder(self, name: str) -> None:
        self._ask("make_folder", name)

    def remove_folder(self, name: str) -> None:
        self._ask("remove_folder", name)

    def names(self, folder: str) -> set[str]:
        return set(self._ask("names", folder))

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait(60)
        shutil.rmtree(self._home, ignore_errors=True)


class PySmb(FileClient):
    """pysmb."""

    exclusive = False

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        super().__init__(port, account, share, host)
        connection = pytest.importorskip("smb.SMBConnection")
        self._failure: type[Exception] = pytest.importorskip("smb.smb_structs").OperationFailure
        self._connection: Any = connection.SMBConnection(
            account.user_name, account.password, "CLIENT", "SERVER", use_ntlm_v2=True, is_direct_tcp=True
        )
        assert self._connection.connect(host, port, timeout=30)

    def _run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(self.share, *arguments)
        except self._failure as error:
            raise Refused(str(error).partition("\n")[0]) from None

    def write(self, name: str, data: bytes) -> None:
        self._run(self._connection.storeFile, name, io.BytesIO(data))

    def read(self, name: str) -> bytes:
        out = io.BytesIO()
        self._run(self._connection.retrieveFile, name, out)
        return out.getvalue()

    def rename(self, old: str, new: str) -> None:
        self._run(self._connection.rename, old, new)

    def delete(self, name: str) -> None:
        self._run(self._connection.deleteFiles, name)

    def make_folder(self, name: str) -> None:
        self._run(self._connection.createDirectory, name)

    def remove_folder(self, name: str) -> None:
        self._run(self._connection.deleteDirectory, name)

    def names(self, folder: str) -> set[str]:
        every = 0x10000 | 0x37  # archive, folder, read-only, hidden, system and without attributes
        return {entry.filename for entry in self._run(self._connection.listPath, folder, every)} - {".", ".."}

    def close(self) -> None:
        self._connection.close()


class SmbProtocol(FileClient):
    """smbprotocol's `smbclient`, in the manner of `os`."""

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        super().__init__(port, account, share, host)
        self._module: Any = pytest.importorskip("smbclient")
        self._pool: Any = pytest.importorskip("smbclient._pool")
        self._cache: dict[str, Any] = {}
        self._options = {
            "port": port,
            "connection_cache": self._cache,
            "username": account.user_name,
            "password": account.password,
            "auth_protocol": "ntlm",
        }

    def _run(self, name: str, *paths: str) -> Any:
        full = [rf"\\{self.host}\{self.share}\{path}".replace("/", "\\") for path in paths]
        try:
            return getattr(self._module, name)(*full, **self._options)
        except OSError as error:
            raise Refused(str(error)) from None

    def open(self, name: str, mode: str, share_access: str | None = None) -> Any:
        """A file object, with what it lets others do: any of "r", "w" and "d"."""
        path = rf"\\{self.host}\{self.share}\{name}".replace("/", "\\")
        try:
            return self._module.open_file(path, mode, share_access=share_access, **self._options)
        except OSError as error:
            raise Refused(str(error)) from None

    def write(self, name: str, data: bytes) -> None:
        with self.open(name, "wb") as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> None:
        with self.open(name, "xb") as file:
            file.write(data)

    def read(self, name: str) -> bytes:
        with self.open(name, "rb", "rwd") as file:
            return bytes(file.read())

    def rename(self, old: str, new: str) -> None:
        self._run("rename", old, new)

    def replace(self, old: str, new: str) -> None:
        self._run("replace", old, new)

    def delete(self, name: str) -> None:
        self._run("remove", name)

    def make_folder(self, name: str) -> None:
        self._run("mkdir", name)

    def remove_folder(self, name: str) -> None:
        self._run("rmdir", name)

    def names(self, folder: str) -> set[str]:
        return set(self._run("listdir", folder))

    def close(self) -> None:
        self._pool.reset_connection_cache(connection_cache=self._cache)


class Rclone(FileClient):
    """rclone, a process for each command, as a backup script runs it. It sets the time of what it has written."""

    exclusive = False

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        super().__init__(port, account, share, host)
        self._home = Path(tempfile.mkdtemp(prefix="lanman-rclone-"))
        self._environment = {
            "HOME": str(self._home),
            "PATH": os.environ["PATH"],
            "RCLONE_CONFIG": str(self._home / "rclone.conf"),
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
            "RCLONE_SMB_HOST": host,
            "RCLONE_SMB_PORT": str(port),
            "RCLONE_SMB_USER": account.user_name,
        }
        self._environment["RCLONE_SMB_PASS"] = (
            self._run("obscure", "-", data=account.password.encode()).decode().strip()
        )

    def _run(self, *arguments: str, data: bytes = b"") -> bytes:
        done = subprocess.run(
            ["rclone", *arguments], input=data, capture_output=True, env=self._environment, timeout=60, check=False
        )
        if done.returncode:
            raise Refused(done.stderr.decode(errors="replace"))
        return done.stdout

    def _remote(self, name: str) -> str:
        return f":smb:{self.share}/{name}"

    def write(self, name: str, data: bytes) -> None:
        self._run("rcat", self._remote(name), data=data)

    def read(self, name: str) -> bytes:
        return self._run("cat", self._remote(name))

    def rename(self, old: str, new: str) -> None:
        self._run("moveto", self._remote(old), self._remote(new))

    def replace(self, old: str, new: str) -> None:
        self._run("moveto", self._remote(old), self._remote(new))

    def delete(self, name: str) -> None:
        self._run("deletefile", self._remote(name))

    def make_folder(self, name: str) -> None:
        self._run("mkdir", self._remote(name))

    def remove_folder(self, name: str) -> None:
        self._run("rmdir", self._remote(name))

    def names(self, folder: str) -> set[str]:
        return {line.rstrip("/") for line in self._run("lsf", self._remote(folder)).decode().splitlines()}

    def close(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)


def libsmb2_path() -> str | None:
    """The shared library, where this machine has one."""
    return os.environ.get("LANMAN_LIBSMB2") or ctypes.util.find_library("smb2")


class LibSmb2(FileClient):
    """libsmb2 (Kodi, VLC, game consoles), by ctypes."""

    def __init__(self, port: int, account: Account, share: str = "share", host: str = "127.0.0.1") -> None:
        super().__init__(port, account, share, host)
        path = libsmb2_path()
        if path is None:
            pytest.skip(NOT_PACKAGED)
        self._library = ctypes.CDLL(path)
        for name in ("smb2_init_context", "smb2_open", "smb2_opendir", "smb2_readdir"):
            getattr(self._library, name).restype = ctypes.c_void_p
        self._library.smb2_get_error.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._library.smb2_init_context())
        self._call("smb2_set_security_mode", ctypes.c_uint16(1))
        self._call("smb2_set_authentication", 1)
        for name, text in (("user", account.user_name), ("password", account.password)):
            self._call(f"smb2_set_{name}", text.encode())
        if self._call("smb2_connect_share", f"{host}:{port}".encode(), share.encode(), None) < 0:
            raise ConnectionError(self._error())

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, name)(self._context, *arguments)

    def _error(self) -> str:
        return bytes(self._call("smb2_get_error")).decode(errors="replace")

    def _run(self, name: str, *arguments: Any) -> None:
        if self._call(name, *arguments) < 0:
            raise Refused(self._error())

    def _open(self, name: str, flags: int) -> ctypes.c_void_p:
        handle = self._call("smb2_open", name.encode(), flags)
        if not handle:
            raise Refused(self._error())
        return ctypes.c_void_p(handle)

    def _put(self, name: str, data: bytes, flags: int) -> None:
        handle = self._open(name, os.O_WRONLY | os.O_CREAT | flags)
        try:
            while data:
                count = self._call("smb2_write", handle, data, len(data))
                if count < 0:
                    raise Refused(self._error())
                data = data[count:]
        finally:
            self._call("smb2_close", handle)

    def write(self, name: str, data: bytes) -> None:
        self._put(name, data, os.O_TRUNC)

    def create(self, name: str, data: bytes) -> None:
        self._put(name, data, os.O_EXCL)

    def read(self, name: str) -> bytes:
        handle = self._open(name, os.O_RDONLY)
        buffer = ctypes.create_string_buffer(65536)
        data = b""
        try:
            while (count := self._call("smb2_read", handle, buffer, len(buffer))) > 0:
                data += buffer.raw[:count]
            if count < 0:
                raise Refused(self._error())
        finally:
            self._call("smb2_close", handle)
        return data

    def rename(self, old: str, new: str) -> None:
        self._run("smb2_rename", old.encode(), new.encode())

    def delete(self, name: str) -> None:
        self._run("smb2_unlink", name.encode())

    def make_folder(self, name: str) -> None:
        self._run("smb2_mkdir", name.encode())

    def remove_folder(self, name: str) -> None:
        self._run("smb2_rmdir", name.encode())

    def names(self, folder: str) -> set[str]:
        handle = self._call("smb2_opendir", folder.encode())
        if not handle:
            raise Refused(self._error())
        found = set()
        while entry := self._call("smb2_readdir", ctypes.c_void_p(handle)):
            (name,) = ctypes.cast(entry, ctypes.POINTER(ctypes.c_char_p))[:1]
            found.add(name.decode())
        self._call("smb2_closedir", ctypes.c_void_p(handle))
        return found - {".", ".."}

    def close(self) -> None:
        self._call("smb2_disconnect_share")
        self._call("smb2_destroy_context")


CLIENTS: dict[str, type[FileClient]] = {
    "smbclient": SmbClient,
    "python3-smbc": LibSmbClient,
    "pysmb": PySmb,
    "smbprotocol": SmbProtocol,
    "rclone": Rclone,
    "libsmb2": LibSmb2,
}


def need(name: str) -> None:
    """Skip the test where a client is not installed."""
    if name == "smbclient" and shutil.which("smbclient") is None:
        pytest.skip("not installed: smbclient (see system-packages.txt)")
    if name == "rclone" and shutil.which("rclone") is None:
        pytest.skip("not installed: rclone (see system-packages.txt)")
    if name == "python3-smbc":
        found = Path(SYSTEM_PYTHON).exists() and subprocess.run(
            [SYSTEM_PYTHON, "-c", "import smbc"], stderr=subprocess.DEVNULL, check=False
        )
        if not found or found.returncode:
            pytest.skip("not installed: python3-smbc (see system-packages.txt)")
    if name == "libsmb2" and libsmb2_path() is None:
        pytest.skip(NOT_PACKAGED)
