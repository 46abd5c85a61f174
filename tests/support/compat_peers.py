"""The servers that the stand-ins are held against: our own, a real smbd, and a scripted Windows; each in one shape.

    with our_server(path) as peer, peer.somebody():
        compat.login(peer.server, peer.admin, peer.password)
        win32net.NetSessionEnum(10, peer.server)

Each has an administrator (`admin`) and somebody without rights (`user`), who comes with `somebody()` and goes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lanman
from lanman import codes
from lanman.records import DiskInfo, SessionInfo, ShareInfo
from lanman.rpc import srvsvc
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS, running_server
from support.platforms import need_posix
from support.scripted_windows import Caller, Script, ScriptedWindows, Windows, windows_2019
from support.smbd import Account, Samba


@dataclass
class Peer:
    """A server that listens on the loopback interface. `peer` is the object behind it."""

    kind: str
    port: int
    admin: str
    password: str
    user: str
    user_password: str
    client: str
    """How the server lists a client on this machine."""
    levels: frozenset[int]
    """The levels of NetSessionEnum that it has."""
    peer: Any
    home: Path | None = None
    files: Callable[[], contextlib.AbstractContextManager[object]] = field(default=contextlib.nullcontext)
    """Has at least one file open while it lasts."""

    @property
    def server(self) -> str:
        return f"\\\\127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def somebody(self) -> Iterator[lanman.BlockingManager]:
        """A session of `user`."""
        credentials = lanman.Credentials(self.user, self.user_password)
        with lanman.connect("127.0.0.1", credentials, port=self.port) as manager:
            yield manager


ALL_LEVELS = frozenset({0, 1, 2, 10, 502})


@contextlib.contextmanager
def our_server(path: Path, configuration: Configuration | None = None) -> Iterator[Peer]:
    """Our Server, on a loop of its own."""
    need_posix()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        running = running_server(path, configuration)
        server = run(running.__aenter__())
        try:
            peer = Peer(
                "ours",
                server.port,
                "admin",
                PASSWORDS["admin"],
                "bob",
                PASSWORDS["bob"],
                r"\\127.0.0.1",
                ALL_LEVELS,
                server,
                path,
            )
            peer.files = peer.somebody  # whose pipe is in the list
            yield peer
        finally:
            run(running.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def samba_peer(samba: Samba, admin: Account | None = None) -> Peer:
    """A real smbd."""

    @contextlib.contextmanager
    def files() -> Iterator[None]:
        (samba.share / "plan.txt").touch()
        (samba.share / "plan.txt").chmod(0o666)
        with samba.hold(samba.user) as client:
            client.command("open plan.txt")
            yield

    admin = admin or samba.administrator
    return Peer(
        "samba",
        samba.port,
        admin.user_name,
        admin.password,
        samba.user.user_name,
        samba.user.password,
        "127.0.0.1",
        frozenset({0, 1}),
        samba,
        files=files,
    )


@contextlib.contextmanager
def scripted(windows: Windows | None = None) -> Iterator[Peer]:
    """A scripted Windows, whose administrator may change its shares too, and who lists its callers."""
    server = ScriptedWindows(windows or windows_2019())
    server.script = WiderScript(server.windows)
    with server.running():
        yield Peer(
            "windows",
            server.port,
            "admin",
            server.password,
            "bob",
            server.password,
            r"\\127.0.0.1",
            ALL_LEVELS,
            server,
        )


class WiderScript(Script):
    """More calls of Windows'. `statuses` are what a call answers instead, by its class."""

    def __init__(self, windows: Windows) -> None:
        super().__init__(windows)
        self.statuses: dict[type, int] = {}

    def answer(self, request: Any, caller: Caller) -> Any:
        if type(request) in self.statuses:
            self.asked.append(request)
            return request.failed(self.statuses[type(request)])
        return super().answer(request, caller)

    def _share(self, name: str) -> ShareInfo | None:
        for share in self.windows.shares:
            if (share.netname or "").casefold() == name.casefold():
                return share
        return None

    def _NetrShareAdd(self, request: srvsvc.NetrShareAdd, caller: Caller) -> Any:
        # MS-SRVS 3.1.4.7: levels 2, 502, 503.
        if request.level not in (2, 502, 503):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        if request.info is None or not request.info.netname or not request.info.path:
            return request.failed(codes.ERROR_INVALID_PARAMETER)
        if self._share(request.info.netname):
            return request.failed(codes.NERR_DuplicateShare)
        self.windows.shares.append(request.info)
        return srvsvc.NetrShareAddResponse(request.parm_err, 0)

    def _NetrShareSetInfo(self, request: srvsvc.NetrShareSetInfo, caller: Caller) -> Any:
        share = self._share(request.net_name)
        if share is None:
            return request.failed(codes.NERR_NetNameNotFound)
        if request.level not in (1, 2, 502) or request.info is None:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        share.remark = request.info.remark
        if request.level != 1:
            share.max_uses = request.info.max_uses
        return srvsvc.NetrShareSetInfoResponse(request.parm_err, 0)

    def _NetrShareDel(self, request: srvsvc.NetrShareDel, caller: Caller) -> Any:
        share = self._share(request.net_name)
        if share is None:
            return request.failed(codes.NERR_NetNameNotFound)
        self.windows.shares.remove(share)
        return srvsvc.NetrShareDelResponse(0)

    def _NetrShareCheck(self, request: srvsvc.NetrShareCheck, caller: Caller) -> Any:
        for share in self.windows.shares:
            if (share.path or "").casefold().rstrip("\\") == request.device.casefold().rstrip("\\"):
                return srvsvc.NetrShareCheckResponse((share.type or 0) & 0xFF, 0)
        return request.failed(codes.NERR_DeviceNotShared)

    def _NetrServerDiskEnum(self, request: srvsvc.NetrServerDiskEnum, caller: Caller) -> Any:
        if request.level:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return srvsvc.NetrServerDiskEnumResponse([DiskInfo("C:"), DiskInfo("D:"), DiskInfo("")], 2, 0, 0)

    def _NetrServerSetInfo(self, request: srvsvc.NetrServerSetInfo, caller: Caller) -> Any:
        if request.level == 102 and request.info is not None:
            for name in ("comment", "disc", "hidden", "users"):
                setattr(self.windows.info, name, getattr(request.info, name))
            return srvsvc.NetrServerSetInfoResponse(request.parm_err, 0)
        return super()._NetrServerSetInfo(request, caller)


def sessions(*users: str, client: str = r"\\10.0.0.7") -> list[SessionInfo]:
    """Sessions for a scripted list: of so many users, on one client."""
    return [SessionInfo(client, user, 1, 60, 5, 0, "", r"\Device\NetbiosSmb") for user in users]
