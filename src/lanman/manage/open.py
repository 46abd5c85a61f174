"""`open_manager`: which Manager answers for a server.

A server that is named is reached over SMB. Without a name it is this machine's: lanman's own Server where its control
socket answers, else Windows' own Server service, Samba or ksmbd where it runs, in this order, else whatever SMB server
has the port of the loopback interface. Whoever names a server, a port, a home or a user does not mean Windows' own,
Samba or ksmbd.

Several servers (`fs1,fs2`, `cluster:NAME`, `name*`: `lanman.manage.cluster`) are one ClusterManager, which reaches each
over SMB.

A `service` that is named wins over all of that: it is the one, and no other is looked for. It is one of this machine's,
so a server beside it must be this machine too; else an order could reach another machine than the one that was named.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import AuthenticationError, LanmanError, Win32Error
from lanman.manage.cluster import is_cluster
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import DEFAULT_PORT, DEFAULT_TIMEOUT, Manager
from lanman.plain import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from lanman.client_settings import ClientConfiguration
    from lanman.manage.ksmbd.kernel import Roots
    from lanman.manage.link import SmbLink
    from lanman.manage.samba_local.tools import SambaTools
    from lanman.manage.srvsvc import SrvsvcManager
    from lanman.net.approach import Approach
    from lanman.net.credentials import Credentials
    from lanman.net.dial import Within
    from lanman.net.server_facts import ServerFacts


LANMAN: Final = "lanman"
WINDOWS: Final = "windows"
SAMBA: Final = "samba"
KSMBD: Final = "ksmbd"
SERVICES: Final = (LANMAN, WINDOWS, SAMBA, KSMBD)
"""The services of this machine that can be named."""

KSMBD_ROOTS: Roots | None = None
"""Where ksmbd's files are; None for the system's own folders."""


@dataclass(frozen=True, slots=True)
class _How:
    """How a server is reached: the options of `open_manager`."""

    credentials: Credentials | None
    named_port: int | None
    timeout: float | None
    encrypt: bool
    deadline: float | None
    granted: GrantedLevels
    samba_config: str | None = None
    approach: Approach | None = None

    @property
    def port(self) -> int:
        """The port that is named, or the default."""
        return DEFAULT_PORT if self.named_port is None else self.named_port


_granted_to_this_process = GrantedLevels()


def open_manager(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
    encrypt: bool = False,
    deadline: float | None = None,
    granted: GrantedLevels | None = None,
    service: str | None = None,
    samba_config: str | None = None,
    approach: Approach | None = None,
    configuration: ClientConfiguration | None = None,
) -> AbstractAsyncContextManager[Manager]:
    """A Manager of `server` (`fs1`, `\\\\fs1`, `//fs1`, an address, `[::1]`), or of this machine's Server for None.

    Several servers are one `lanman.manage.cluster.manager.ClusterManager`: `fs1,fs2`, `cluster:NAME` of `configuration`
    (lanman.toml without one), `name*` for every address of a name. Its nodes are connected to when it is first asked.

    Entering connects and logs on. `port` is 445 where none is given; one that is given says, even as 445, that this
    machine's Samba is not asked by its own tools unless `service` names it. `timeout` is in seconds: one for all of
    entering, and one for each method. `deadline`, on the running event loop's clock, bounds them all together where
    given. `home` is where the Server of this machine is looked for first; `encrypt` refuses a server that cannot
    encrypt. `granted` is where the information levels that servers grant are remembered; without it, one memory serves
    the whole process. `service` names one of this machine's, whatever else is given: "lanman", "windows" for Windows'
    own Server service, which is asked as this process's user, "samba" for the smbd that is asked by Samba's own
    tools, as root, or "ksmbd" for the kernel's server, which is asked by its files, as root. `server`, `port` and
    `credentials` then serve to close files alone, and the server must be this machine by name or address.
    `samba_config` is the smb.conf of the smbd that is meant, where it is not the default, and means "samba".
    `approach` is for who asks very many servers over the network (`lanman.net.approach`); the time that its
    `before_logon` takes is not counted.

    Raises LanmanError: ConnectionLost (53, 1225), TimedOut (121), AuthenticationError (1326, 1330, ...), AccessDenied,
    Win32Error 2114 when this machine has no Server, 1062 when the Samba or ksmbd that is named does not run, 50 for a
    service that it cannot have, 87 for one that there is not and for one that is asked of another machine.
    """
    remembered = _granted_to_this_process if granted is None else granted
    how = _How(credentials, port, timeout, encrypt, deadline, remembered, samba_config, approach)
    service = SAMBA if service is None and samba_config is not None else service
    if service is not None:
        if service not in SERVICES:
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{service!r} is no service: {' or '.join(SERVICES)}")
        if server is not None and is_cluster(server):
            raise _not_here(service, server)
        return _open_service(service, server, home, how)
    if server is not None and is_cluster(server):
        return _open_cluster(server, how, configuration)
    if server is None and _means_windows(home, how):
        return _open_windows(how)
    return _open_own(home, how) if server is None else _open_over_smb(server, how)


@contextlib.asynccontextmanager
async def _open_service(service: str, server: str | None, home: str | Path | None, how: _How) -> AsyncIterator[Manager]:
    """A service of this machine that is named. Raises Win32Error 87 where `server` is another machine."""
    if server is not None:
        await _check_is_here(service, server, how)
    if service == SAMBA:
        opening = _open_samba(how, server)
    elif service == KSMBD:
        opening = _open_ksmbd(how)
    elif service == WINDOWS:
        opening = _open_windows(how)
    else:
        opening = _open_own(home, how, elsewhere=False)
    async with opening as manager:
        yield manager


async def _check_is_here(service: str, server: str, how: _How) -> None:
    from lanman.manage.link import split_server
    from lanman.manage.this_machine import is_this_machine
    from lanman.net.dial import Within

    name, _ = split_server(server, how.port)
    async with Within(how.timeout, lambda: f"looking up {name}", deadline=how.deadline, server=name):
        is_here = await is_this_machine(name)
    if not is_here:
        raise _not_here(service, name)


def _not_here(service: str, server: str) -> Win32Error:
    return Win32Error(
        codes.ERROR_INVALID_PARAMETER,
        f"the service {service} is asked of this machine alone, and that is another",
        hint="leave out the service to ask that server over the network, or the server to ask this machine's",
        server=server,
    )


def _says_otherwise(home: str | Path | None, how: _How) -> bool:
    """Whether a home, a user or a port says that another Server is meant than one that this machine came with."""
    if home is not None or os.environ.get("LANMAN_HOME"):
        return True
    return how.credentials is not None or how.named_port is not None


def _means_windows(home: str | Path | None, how: _How) -> bool:
    """Whether it is Windows' own Server service that answers for this machine where nothing says otherwise."""
    if sys.platform != "win32" or _says_otherwise(home, how):
        return False
    from lanman.manage.windows.manager import is_started

    return is_started()


@contextlib.asynccontextmanager
async def _open_windows(how: _How) -> AsyncIterator[Manager]:
    """Raises Win32Error 50 where this is no Windows, 2114 where its Server service is stopped."""
    from lanman.manage.windows.manager import opened_windows

    manager = opened_windows(timeout=how.timeout, deadline=how.deadline, granted=how.granted)
    await manager.check_started()
    yield manager


async def _other_service(home: str | Path | None, how: _How) -> AbstractAsyncContextManager[Manager] | None:
    """Samba or ksmbd, whichever answers for this machine where no Server of lanman does and nothing says otherwise."""
    if _says_otherwise(home, how):
        return None
    from lanman.manage.loopback import SAMBA_PIDS
    from lanman.manage.samba_local.find import running

    if any(smbd.problem is None for smbd in await running(SAMBA_PIDS)):
        return _open_samba(how)
    return _open_ksmbd(how) if _ksmbd_runs() else None


@contextlib.asynccontextmanager
async def _open_samba(how: _How, server: str | None = None) -> AsyncIterator[Manager]:
    """This machine's Samba by its own tools; files are closed at `server`. Raises what `find_smbd` raises."""
    from lanman.manage import loopback
    from lanman.manage.samba_local.find import find_smbd
    from lanman.manage.samba_local.manager import SambaLocalManager
    from lanman.net.dial import Within

    async with Within(how.timeout, lambda: "Samba's tools gave no answer", deadline=how.deadline):
        tools, pid = await find_smbd(how.samba_config, loopback.SAMBA_PIDS)
    closer = None if how.credentials is None else lambda: _open_closer(tools, server or loopback.LOOPBACK, how)
    yield SambaLocalManager(tools, timeout=how.timeout, deadline=how.deadline, main_pid=pid, closer=closer)


def _ksmbd_runs() -> bool:
    """Whether this machine's ksmbd serves; anybody may ask."""
    from lanman.manage.ksmbd.kernel import Kernel

    return Kernel(KSMBD_ROOTS).is_running()


@contextlib.asynccontextmanager
async def _open_ksmbd(how: _How) -> AsyncIterator[Manager]:
    """This machine's ksmbd by its files. Raises Win32Error 1062 where it does not run."""
    from lanman.manage.ksmbd.kernel import Kernel
    from lanman.manage.ksmbd.manager import KsmbdManager

    manager = KsmbdManager(Kernel(KSMBD_ROOTS), timeout=how.timeout, deadline=how.deadline)
    await manager.check_running()
    yield manager


@contextlib.asynccontextmanager
async def _open_closer(tools: SambaTools, server: str, how: _How) -> AsyncIterator[Manager]:
    """The same Samba over the network, at the port that is named, else at the one of its configuration."""
    port = how.named_port if how.named_port is not None else (await tools.configured()).port
    async with _open_over_smb(server, replace(how, named_port=port)) as manager:
        yield manager


@contextlib.asynccontextmanager
async def _open_over_smb(server: str, how: _How) -> AsyncIterator[Manager]:
    # A manager of this machine's Server needs none of this, and starts sooner without.
    from lanman.manage.link import SmbLink, split_server
    from lanman.net.credentials import Credentials
    from lanman.net.dial import Within

    name, port = split_server(server, how.port)
    credentials = how.credentials if how.credentials is not None else Credentials(anonymous=True)
    link = SmbLink(name, port, credentials, how.encrypt)
    within = Within(how.timeout, lambda: link.doing, deadline=how.deadline, server=name)
    if how.approach is not None:
        link.approach = _not_counted(how.approach, within)
    try:
        async with within:
            await link.connect()
        deadline = None if how.deadline is None else how.deadline + within.suspended_for
        manager = _kind(link)(link, timeout=how.timeout, deadline=deadline, granted=how.granted)
        yield manager
    except BaseException:
        # Logging off could take as long again: disconnect.
        await link.abort()
        raise
    await manager.close()


def _not_counted(approach: Approach, within: Within) -> Approach:
    """The same, whose `before_logon` takes none of the time of opening."""
    before = approach.before_logon
    if before is None:
        return approach

    async def before_logon(facts: ServerFacts) -> None:
        if within.ended:  # a connection that was lost is made again in the time of a question
            await before(facts)
            return
        with within.suspended():
            await before(facts)

    return replace(approach, before_logon=before_logon)


@contextlib.asynccontextmanager
async def _open_cluster(server: str, how: _How, configuration: ClientConfiguration | None) -> AsyncIterator[Manager]:
    """Several servers as one. Raises what `single_servers` does."""
    from lanman.manage.cluster import Place, configured_credentials, single_servers
    from lanman.manage.cluster.gate import LogonGate
    from lanman.manage.cluster.manager import ClusterManager
    from lanman.manage.cluster.members import Members
    from lanman.net.approach import PLAIN
    from lanman.net.dial import Within

    if how.credentials is None:
        how = replace(how, credentials=configured_credentials(server, configuration))
    async with Within(how.timeout, lambda: f"looking up {server}", deadline=how.deadline):
        places = await single_servers(server, configuration, port=how.named_port)
    approach = replace(how.approach or PLAIN, addresses=(), around_logon=LogonGate().log_on)

    def opening(place: Place) -> AbstractAsyncContextManager[Manager]:
        return _open_over_smb(place.server or "", replace(how, named_port=place.port, approach=approach))

    members = Members(server, places, opening)
    try:
        yield ClusterManager(members, timeout=how.timeout, deadline=how.deadline)
    except BaseException:
        # Logging off could take as long again: disconnect.
        await members.close(LanmanError("the work was broken off"))
        raise
    await members.close()


def _kind(link: SmbLink) -> type[SrvsvcManager]:
    """The class for what the server turned out to be."""
    if link.is_samba:
        from lanman.manage.samba import SambaManager

        return SambaManager
    from lanman.manage.srvsvc import SrvsvcManager

    return SrvsvcManager


@contextlib.asynccontextmanager
async def _open_own(home: str | Path | None, how: _How, *, elsewhere: bool = True) -> AsyncIterator[Manager]:
    """The Server whose control socket answers, or else, with `elsewhere`, whatever serves the port.

    Raises Win32Error 2114 where this machine has no Server, AccessDenied where its socket may not be opened.
    """
    from lanman.manage import loopback
    from lanman.manage.own import OwnManager, find_control
    from lanman.net.dial import Within

    link = None
    other: AbstractAsyncContextManager[Manager] | None = None
    try:
        async with Within(how.timeout, lambda: "the Server of this machine does not answer", deadline=how.deadline):
            link = await find_control(home)
            if link is not None:
                manager = OwnManager(link, timeout=how.timeout, deadline=how.deadline, granted=how.granted)
                await manager.learn_name()
            elif elsewhere and (other := await _other_service(home, how)) is not None:
                pass
            elif home is not None or not elsewhere or not await loopback.answers(how.port):
                raise loopback.not_started(home, await loopback.how_to_ask(how.port))
            elif how.credentials is None:
                kind = await loopback.kind_of(how.port)
                raise AuthenticationError(
                    f"port {how.port} of this machine is served by another program than lanman"
                    + (f", by {kind}" if kind == loopback.SAMBA else ""),
                    code=codes.ERROR_NOT_AUTHENTICATED,
                    hint="say who you are to it with -U",
                )
        if other is not None:
            async with other as manager_of_other:
                yield manager_of_other
        elif link is None:
            async with _open_over_smb(loopback.LOOPBACK, how) as over_smb:
                yield over_smb
        else:
            yield manager
    finally:
        if link is not None:
            await link.close()
