"""A Server in a program or a test: `lanman.Server`.

    async with lanman.Server({"projects": "/srv/projects"}, {"ann": "secret"}) as server:
        print(server.port)

The rules:

* It is the same Server as `lanman serve` starts, with the same rules, in the caller's event loop. What blocks that
  loop blocks the Server; a blocking SMB client belongs in a thread (`asyncio.to_thread`).
* Without a home of its own it has a temporary one, which is deleted with all that is in it when the Server has stopped.
* What the arguments say counts: the `server.toml` of a given home is not read. Name it as `configuration` if it is to
  be.
* Everything here belongs to the event loop that the Server was started in, and to its thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from lanman.auth.accounts import Accounts
from lanman.domain import Reason
from lanman.events import Event
from lanman.names import ADMINISTRATORS
from lanman.net.accounts import AccountFile
from lanman.net.configuration import ConfigurationError, read_configuration, with_options
from lanman.net.disk.system import check_platform
from lanman.net.home import Home
from lanman.net.server.smb_server import SmbServer
from lanman.records import FileInfo, SessionInfo, ShareInfo
from lanman.server.srvsvc.files import file_info
from lanman.server.srvsvc.sessions import session_info
from lanman.server.srvsvc.shares import share_info
from lanman.settings import Configuration, ShareConfiguration, parse_share

log: Final = logging.getLogger("lanman.server")

ShareArgument = str | os.PathLike[str] | Mapping[str, Any]


class Server:
    """An SMB Server, from `async with` to the end of it, or from `start()` to `stop()`. It can be started once.

    `shares` are folders by the name that they are shared under. In place of a folder there may be a mapping with the
    keys of `[shares.NAME]` in server.toml: `{"path": "/srv/data", "read": ["Users"], "write": ["ann"]}`. A path that
    is relative is one of the current directory.

    `accounts` are passwords by the name of the user. Those named in `administrators` may manage the Server over the
    network. An account that a given `home` has already gets the password that stands here; its others stay.

    `listen` are addresses, `port` is that of those without a port of their own; 0 is one that is free. Without either
    it listens on 127.0.0.1, on a free port. `home` is the folder with what outlives the Server; none is a temporary
    one. `configuration` names a server.toml, over which everything else lies; further keywords are keys of its section
    `[server]`: `encryption="required"`, `max_sessions=10`.

    Raises ConfigurationError for an argument that cannot be; starting raises LanmanError with a sentence that names
    what is in the way.
    """

    def __init__(
        self,
        shares: Mapping[str, ShareArgument] | None = None,
        accounts: Mapping[str, str] | None = None,
        *,
        administrators: Iterable[str] = (),
        listen: str | Sequence[str] | None = None,
        port: int | None = None,
        home: str | os.PathLike[str] | None = None,
        configuration: str | os.PathLike[str] | None = None,
        **server: Any,
    ) -> None:
        self._accounts = dict(accounts or {})
        self._administrators = tuple(administrators)
        self._home = None if home is None else Home(home)
        self._file = None if configuration is None else Path(configuration).absolute()
        if self._file is None:
            listen = ("127.0.0.1",) if listen is None else listen
            port = 0 if port is None else port
        elif not self._file.exists():
            raise ConfigurationError(f"{self._file}: there is no such file", code=2)
        self._options = {"listen": (listen,) if isinstance(listen, str) else listen, "port": port, **server}
        self._shares = {name: _share(name, share) for name, share in (shares or {}).items()}
        self._configuration = self._read()
        self._server: SmbServer | None = None
        self._exit = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind the addresses and serve. Raises LanmanError, and RuntimeError if it was started before."""
        if self._server is not None:
            raise RuntimeError("a Server can be started once: make another")
        check_platform()
        if self._home is None:
            self._home = Home(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="lanman-")))
        if self._configuration.metrics.listen:
            log.warning("[metrics] listen: a Server in a program does not; lanman.exporter(home=server.home) does")
        private = () if self._file is None else (self._file,)
        self._server = SmbServer(self._configuration, self._home, read=self._read, private=private)
        try:
            self._home.prepare()
            self._server.accounts.update(self._add_accounts)
            await self._server.start()
        except BaseException:
            self._exit.close()
            raise

    async def stop(self) -> None:
        """End every session, send what is still to be sent, close all sockets, and delete a temporary home. May be
        called twice, and before `start()`."""
        try:
            if self._server is not None:
                await self._server.stop()
        finally:
            self._exit.close()

    def request_stop(self) -> None:
        """Make `wait_stopped()` return. So does `lanman stop server` with this Server's home."""
        self._running.request_stop()

    async def wait_stopped(self) -> None:
        """Wait until the Server is asked to stop; leaving the context, or `stop()`, then does it."""
        await self._running.wait_stopped()

    # --- where it is

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self._running.port

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Every address that it listens on, with its port."""
        return list(self._running.addresses)

    @property
    def home(self) -> Path:
        """The folder with its accounts and its control socket: `lanman.open_manager(home=server.home)` manages it."""
        if self._home is None:
            raise RuntimeError("the Server was not started, and its home is a temporary one")
        return self._home.path

    # --- what it does

    def sessions(self) -> list[SessionInfo]:
        """Its sessions, null sessions included, in the order in which they were set up. Times are in seconds."""
        now = asyncio.get_running_loop().time()
        return [session_info(session, now) for session in self._running.service.sessions()]

    def files(self) -> list[FileInfo]:
        """Its open files, folders and pipes, with the paths that they have on this machine."""
        opens = self._running.service.opens()
        return [dataclasses.replace(file_info(opened), path=opened.path) for opened in opens]

    def shares(self) -> list[ShareInfo]:
        """Its shares, hidden ones and `IPC$` included, with the paths that they have on this machine."""
        shares = self._running.service.shares()
        return [dataclasses.replace(share_info(share), path=share.path) for share in shares]

    def end_sessions(self, *, client: str | None = None, user: str | None = None) -> int:
        r"""End the sessions of a client (`\\192.0.2.7`) or a user, as NetrSessionDel does; without either, all. Gives
        how many there were. Their connections stay, and their open files are closed: 64 at once, and the others in the
        turns of the event loop that follow, when they are nobody's any more."""
        sessions = self._running.service.select_sessions(client, user)
        self._running.tick()
        self._running.service.close_sessions(sessions, Reason.DELETED)
        self._running.flush()
        return len(sessions)

    @property
    def paused(self) -> bool:
        """Whether newcomers are refused, administrators excepted."""
        return self._running.service.paused

    def pause(self) -> bool:
        """Let no newcomers in but administrators, as `lanman pause server` does; who is there stays. False where it was
        paused already. `ServerPaused` names nobody then: it was this program."""
        return self._change(self._running.service.pause)

    def continue_(self) -> bool:
        """Let newcomers in again. False if it is not paused."""
        return self._change(self._running.service.continue_)

    def _change(self, order: Callable[[str, str], bool]) -> bool:
        self._running.tick()
        changed = order("", "")
        self._running.flush()
        return changed

    def close_file(self, id: int) -> bool:
        """Close the file with that id, as NetrFileClose does. False if there is none."""
        if (opened := self._running.service.open_by_global_id(id)) is None:
            return False
        self._running.tick()
        self._running.service.close_open(opened, Reason.DELETED)
        self._running.flush()
        return True

    def subscribe(self, on_event: Callable[[Event], None], *kinds: type[Event]) -> Callable[[], None]:
        """Have `on_event` called on the event loop with every event of these classes of `lanman.events`, or with all;
        call the result to end that. What it raises goes to the log, and disturbs neither clients nor others."""
        return self._running.service.subscribe(on_event, *kinds, name="a subscriber of the program")

    def add_account(self, name: str, password: str, *, administrator: bool = False) -> None:
        """Add an account, or give one another password. It counts from the next log-on. Raises AccountsError for a
        name that cannot be."""
        self._account_file.update(lambda accounts: _add(accounts, name, password, administrator))

    def delete_account(self, name: str) -> None:
        """Delete an account; its sessions end soon. Raises AccountsError if there is none."""
        self._account_file.update(lambda accounts: accounts.delete(name))

    @property
    def _account_file(self) -> AccountFile:
        return self._running.accounts

    @property
    def _running(self) -> SmbServer:
        if self._server is None:
            raise RuntimeError("the Server was not started")
        return self._server

    def _read(self) -> Configuration:
        """The configuration, as it is to be now: when the Server is told to reload, the file is read again."""
        base = Configuration() if self._file is None else read_configuration(self._file, named=True)
        configuration = with_options(base, **self._options)
        return dataclasses.replace(configuration, shares={**configuration.shares, **self._shares})

    def _add_accounts(self, accounts: Accounts) -> None:
        for name, password in self._accounts.items():
            _add(accounts, name, password, name in self._administrators)
        for name in self._administrators:
            if name not in self._accounts:
                accounts.add_member(ADMINISTRATORS, name)


def _share(name: str, share: ShareArgument) -> ShareConfiguration:
    """A share as the configuration has it. Raises ConfigurationError."""
    values = dict(share) if isinstance(share, Mapping) else {"path": share}
    if isinstance(path := values.setdefault("path", ""), os.PathLike) or (path and isinstance(path, str)):
        values["path"] = os.path.abspath(os.fspath(path))
    try:
        return parse_share(name, values)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _add(accounts: Accounts, name: str, password: str, administrator: bool) -> None:
    if accounts.find(name) is None:
        accounts.add(name, password)
    else:
        accounts.set_password(name, password)
    if administrator:
        accounts.add_member(ADMINISTRATORS, name)
