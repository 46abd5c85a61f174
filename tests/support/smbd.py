"""Debian's Samba as a peer of the tests: smbd on a free loopback port, and its tools as clients of any server.

Everything of an smbd lives in one temporary directory and nothing else on the machine is touched. A Samba account needs
a Unix one, and none is made: every Debian has root, daemon, bin and games. Passwords are new each time.

What the fixture knows about smbd 4.17:

* `-s` must be absolute, or samba-dcerpcd and its workers read another configuration than the smbd that starts them.
* With `-F` smbd makes itself a process group and ends, with that whole group, when the pipe on its standard input
  closes: so nothing is left over even where the tests are killed. samba-dcerpcd leaves the group; its pid file says who
  it is, and it ends by itself some ten seconds after its last call.
* A standalone server denies even root what BUILTIN\\Administrators may do, until that group is mapped and has him.
  Listing sessions needs that membership; ending them needs uid 0 (`admin users`). The accounts stand on both sides of
  both lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.waiting import free_port

TOOLS = ("smbd", "smbclient", "rpcclient", "net", "pdbedit", "smbstatus")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # smbd is not in the path of every user
HOST = "127.0.0.1"
WORKGROUP = "LANMANTEST"
ADMINISTRATORS = "S-1-5-32-544"


@dataclass(frozen=True)
class Account:
    """A user of the smbd of the tests. `unix_name` is its Unix user too."""

    user_name: str
    password: str

    @property
    def login(self) -> str:
        """As `-U` of Samba's tools and of lanman takes it."""
        return f"{self.user_name}%{self.password}"


def tool(name: str) -> str:
    """The path of one of Samba's programs; FileNotFoundError where it is not installed."""
    path = shutil.which(name, path=SEARCH)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed (system-packages.txt)")
    return path


def missing_tools(names: Sequence[str] = TOOLS) -> list[str]:
    return [name for name in names if shutil.which(name, path=SEARCH) is None]


class Tools:
    """Samba's command-line tools aimed at one server, with a configuration of their own rather than the machine's."""

    def __init__(self, directory: Path, port: int, host: str = HOST) -> None:
        self.host, self.port = host, port
        self.configuration = directory / "client.conf"
        self.configuration.write_text(
            f"[global]\nworkgroup = {WORKGROUP}\nlock directory = {directory}\ncache directory = {directory}\n"
            f"state directory = {directory}\nprivate dir = {directory}\nclient min protocol = SMB2_02\n"
        )

    def rpcclient(self, account: Account, *commands: str, options: Sequence[str] = ()) -> str:
        """What rpcclient prints for `commands`, each run on one connection; standard error is part of it."""
        return self.run("rpcclient", account, *options, "-c", ";".join(commands), self.host)

    def smbclient(self, account: Account, command: str, share: str = "share", *, options: Sequence[str] = ()) -> str:
        """What smbclient prints for one command line, on a session of its own that is over when this returns."""
        return self.run("smbclient", account, *options, "-c", command, f"//{self.host}/{share}")

    def run(self, name: str, account: Account, *arguments: str) -> str:
        done = subprocess.run(
            [*self.command(name, account), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
            text=True,
        )
        return done.stdout

    def hold(self, account: Account, share: str = "share", *, options: Sequence[str] = ()) -> HeldClient:
        """An smbclient that is logged on and stays; use it as a context manager.

        It waits for the server when it is opened and closed: for one in the loop of the test, do both in a thread.
        """
        # On a pipe smbclient keeps to itself what it prints, and polls for input that its buffer has swallowed already.
        smbclient = [*self.command("smbclient", account), *options, f"//{self.host}/{share}"]
        return HeldClient(["stdbuf", "-i0", "-oL", *smbclient])

    def command(self, name: str, account: Account) -> list[str]:
        """The beginning of a command line: the program, its configuration, the port, and who to be."""
        return [tool(name), "-s", str(self.configuration), "-p", str(self.port), "-U", account.login]


class HeldClient:
    """An smbclient whose standard input is kept open, and with it its session, tree connect and files."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self._marks = 0
        try:
            self.command("")
        except BaseException:
            self.close()
            raise

    def command(self, line: str) -> str:
        """Run one of smbclient's commands (`ls`, `open a.txt`, ...) and return what it prints.

        Raises ConnectionError, with smbclient's words, when smbclient has ended: refused, or the server hung up.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._marks += 1
        mark = f"mark{self._marks}"  # no prompt is printed without a terminal; an unknown command is answered by name
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n{mark}\n".encode())
        printed = b""
        while f"{mark}: command not found".encode() not in printed:
            data = self._process.stdout.read(65536)
            if not data:
                raise ConnectionError(printed.decode(errors="replace").strip() or "smbclient ended")
            printed += data
        return printed.decode(errors="replace").split(f"{mark}: command not found")[0].strip()

    def close(self) -> None:
        """Log off and wait until smbclient is gone."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()


CONFIGURATION = """\
[global]
workgroup = {workgroup}
netbios name = SAMBA
server role = standalone server
interfaces = lo
bind interfaces only = yes
smb ports = {port}
disable netbios = yes
disable spoolss = yes
load printers = no
passdb backend = tdbsam
map to guest = never
admin users = root
private dir = {directory}/private
lock directory = {directory}/lock
state directory = {directory}/state
cache directory = {directory}/cache
pid directory = {directory}/pid
ncalrpc dir = {directory}/ncalrpc
log file = {directory}/log
max log size = 0
log level = {log_level}
{options}

[share]
path = {directory}/share
read only = no
"""


class Samba(Tools):
    """One smbd, started by the constructor; `close()` or the end of `with` stops it and removes its directory.

    `options` are global ones, as smb.conf has them: {"smb encrypt": "required"}. `mapped=False` leaves
    BUILTIN\\Administrators without a group, as a standalone Samba comes out of its package: then everyone is denied.
    `log_level` is smbd's; what it writes is in `log`.
    """

    def __init__(self, options: Mapping[str, str] | None = None, *, mapped: bool = True, log_level: int = 0) -> None:
        # Short, for the sockets in it: a Unix-domain address holds 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="lanman-smbd-"))
        self.directory.chmod(0o711)  # ordinary accounts must reach the share
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc", "share", "client"):
            (self.directory / name).mkdir(mode=0o755)
        self.share = self.directory / "share"
        self.share.chmod(0o777)
        self.log = self.directory / "log"
        self.administrator = Account("root", secrets.token_hex(8))
        self.operator = Account(
            "bin", secrets.token_hex(8)
        )  # of BUILTIN\Administrators, but not uid 0: may list, not end
        self.user = Account("daemon", secrets.token_hex(8))
        self.other_user = Account("games", secrets.token_hex(8))
        self._options = "\n".join(f"{name} = {value}" for name, value in (options or {}).items())
        self._log_level = log_level
        self._process: subprocess.Popen[bytes] | None = None
        self._smb_conf = self.directory / "smb.conf"
        try:
            self._start(mapped)
        except BaseException:
            self.close()
            raise

    @property
    def accounts(self) -> list[Account]:
        return [self.administrator, self.operator, self.user, self.other_user]

    def _start(self, mapped: bool) -> None:
        super().__init__(self.directory / "client", free_port())
        self._configure()
        self.net("setlocalsid", "S-1-5-21-1-2-3")
        for account in self.accounts:
            self.pdbedit("-a", "-t", account.user_name, text=f"{account.password}\n{account.password}\n")
        if mapped:
            self.net(
                "groupmap",
                "add",
                f"sid={ADMINISTRATORS}",
                "unixgroup=operator",
                "type=builtin",
                "ntgroup=Administrators",
            )
            for account in (self.administrator, self.operator):
                self.net("groupmap", "addmem", ADMINISTRATORS, self._sid(account))
        for _ in range(3):  # another process may take the port between our look and smbd's bind
            if self._listen():
                return
            self.port = free_port()
            self._configure()
        words = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
        raise RuntimeError(f"smbd did not start: {words}")

    def _configure(self) -> None:
        self._smb_conf.write_text(
            CONFIGURATION.format(
                workgroup=WORKGROUP,
                directory=self.directory,
                port=self.port,
                log_level=self._log_level,
                options=self._options,
            )
        )

    def _listen(self) -> bool:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [tool("smbd"), "-F", "-s", str(self._smb_conf)], stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return self._process.poll() is None
            time.sleep(0.01)
        self._stop_smbd()
        return False

    def administer(self, name: str, *arguments: str, text: str = "") -> str:
        """Run one of Samba's tools on this smbd's own databases; CalledProcessError, with its output, when it fails."""
        return subprocess.run(
            [tool(name), "-s", str(self._smb_conf), *arguments],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=True,
            text=True,
        ).stdout

    def net(self, *arguments: str) -> str:
        """`net sam set pwdmustchangenow daemon yes`, `net groupmap list`, ..."""
        return self.administer("net", *arguments)

    def pdbedit(self, option: str, *arguments: str, text: str = "") -> str:
        """`pdbedit(user, "-c", "[D]")` and the like; the user name comes last, as `-u`."""
        *options, user = (option, *arguments)
        return self.administer("pdbedit", *options, "-u", user, text=text)

    def status(self) -> Any:
        """What smbstatus says: sessions, tcons and open_files, each by an id of Samba's own."""
        return json.loads(self.administer("smbstatus", "--json"))

    def user_names(self) -> list[str]:
        """Who is logged on, sorted, one entry a session; from Samba's databases, not over the wire."""
        return sorted(session["username"] for session in self.status()["sessions"].values())

    def _sid(self, account: Account) -> str:
        for line in self.pdbedit("-L", "-v", account.user_name).splitlines():
            if line.startswith("User SID:"):
                return line.split()[-1]
        raise LookupError(account.user_name)

    def _stop_smbd(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    @property
    def runs(self) -> bool:
        """Whether smbd's first process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill smbd and all its processes at once, so that it can put nothing in order."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Stop smbd, its sessions and its RPC helpers, and remove the directory. More than once does no harm."""
        self._stop_smbd()
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            helper = int((self.directory / "pid" / "samba-dcerpcd.pid").read_text())
            # The number might have gone to another process since: only one that runs on our configuration is ended.
            if str(self._smb_conf) in Path(f"/proc/{helper}/cmdline").read_bytes().decode():
                os.killpg(helper, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()
