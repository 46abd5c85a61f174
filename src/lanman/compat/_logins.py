r"""Which credentials to use at which server: those of `login`, else the environment's, else a null session.

The originals use the log-on of the process, which only Windows has. Here, in this order:

  1. `login(server, ...)` with that server's name and port, then with its name alone;
  2. `login(None, ...)`, which is for every server;
  3. LANMAN_USER (`[DOMAIN\]USER`), LANMAN_PASSWORD or LANMAN_NT_HASH, LANMAN_DOMAIN; LANMAN_KERBEROS=1 takes the
     tickets that the user has. A password without a user is the one of the user that the process runs as;
  4. the null session, which a server lets do next to nothing.
"""

from __future__ import annotations

import getpass
import os
import threading
from collections.abc import Mapping
from typing import Final

from lanman.compat import _pool
from lanman.compat._endpoint import Address, Login
from lanman.errors import AuthenticationError
from lanman.manage.link import split_server
from lanman.manage.manager import DEFAULT_PORT, DEFAULT_TIMEOUT
from lanman.names import fold
from lanman.net.credentials import Credentials, parse_nt_hash

THIS_MACHINE: Final = frozenset({"", "."})


_lock = threading.Lock()
_logins: dict[tuple[str, int] | None, Login] = {}


def login(
    server: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    domain: str = "",
    nt_hash: bytes | str | None = None,
    kerberos: bool = False,
    anonymous: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    encrypt: bool = False,
    richer_levels: bool = False,
    with_others: bool = False,
) -> None:
    r"""Say who to be at `server` from now on; without one, at every server that has no login of its own.

    `user` may be `DOMAIN\user` or `user@domain`. `nt_hash` (16 bytes, or 32 hexadecimal digits) stands in for the
    password; `kerberos` takes tickets, where the user may be left out; `anonymous` is the null session. `timeout` is in
    seconds, for each call; `encrypt` refuses a server that cannot encrypt. With `richer_levels` an information level
    that the server does not know (error 124) is answered from another one that has all of its members, where the server
    knows such a one; `answered_level` tells which it was. `with_others` agrees to what a Samba may do: to end
    a client's other users with the one that NetSessionDel names. Without it such a call answers 170 and ends nobody.

    Nothing is sent: a wrong password is found out by the first call, as error 1326. Raises ValueError for a mixture
    that cannot be meant, and lanman.Win32Error 2351 or 87 for a server's name or port that cannot be one.
    """
    if anonymous and (user or password is not None or nt_hash is not None or kerberos):
        raise ValueError("a null session has no user, no password and no ticket")
    if password is not None and nt_hash is not None:
        raise ValueError("a password or its NT hash, not both")
    if not (anonymous or kerberos) and (not user or (password is None and nt_hash is None)):
        raise ValueError("a login needs a user with a password or an NT hash, or kerberos, or anonymous")
    name, domain = _split_user(user or "", domain)
    digest = parse_nt_hash(nt_hash) if isinstance(nt_hash, str) else nt_hash
    if digest is not None and len(digest) != 16:
        raise ValueError("an NT hash has 16 bytes")
    credentials = Credentials(name, password, nt_hash=digest, domain=domain, kerberos=kerberos, anonymous=anonymous)
    with _lock:
        _logins[_key(server)] = Login(credentials, timeout, encrypt, richer_levels, with_others)


def logout(server: str | None = None) -> None:
    """Forget the login of `server`; without one, all logins. Connections that are kept are logged off."""
    key = _key(server)
    with _lock:
        if key is None:
            _logins.clear()
        else:
            _logins.pop(key, None)
    _pool.close(key)


def address_of(server: str | None) -> Address | None:
    r"""The server that a caller means: None for this machine, written None, an empty name, `.` or `\\.`.

    Raises Win32Error 2351 for a name that cannot be one, 87 for a port that cannot be one.
    """
    if server is None or server.strip().strip("\\/") in THIS_MACHINE:
        return None
    return Address(*split_server(server, DEFAULT_PORT))


def login_for(address: Address | None) -> Login:
    """The login that counts for a server."""
    with _lock:
        general = _logins.get(None)
        if address is None:
            return general or Login(_for_this_machine())
        host = fold(address.host)
        # A login without a port was given under port 0.
        found = _logins.get((host, address.port)) or _logins.get((host, 0)) or general
    return found or Login(_from_environment(os.environ) or Credentials(anonymous=True))


def _for_this_machine() -> Credentials | None:
    """Its own Server needs none; they are for another SMB server on this machine."""
    try:
        return _from_environment(os.environ)
    except AuthenticationError:
        return None


def _key(server: str | None) -> tuple[str, int] | None:
    if server is None or server.strip().strip("\\/") in THIS_MACHINE:
        return None
    host, port = split_server(server, DEFAULT_PORT)
    # Whether a port was written shows when another one is the default.
    written = split_server(server, DEFAULT_PORT + 1)[1] == port
    return fold(host), port if written else 0


def _split_user(user: str, domain: str) -> tuple[str, str]:
    if "\\" in user and not domain:
        domain, _, user = user.partition("\\")
    return user, domain


def _from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """The environment's credentials; None where it has none. Raises AuthenticationError where they are incomplete."""
    user, domain = _split_user(environ.get("LANMAN_USER", ""), environ.get("LANMAN_DOMAIN", ""))
    kerberos = environ.get("LANMAN_KERBEROS", "") not in ("", "0")
    password, digits = environ.get("LANMAN_PASSWORD"), environ.get("LANMAN_NT_HASH") or None
    if kerberos:
        return Credentials(user, password, domain=domain, kerberos=True)
    if password is None and digits is None:
        if not user:
            return None
        raise AuthenticationError(
            f"LANMAN_USER is {user}, and there is no password for it",
            hint="set LANMAN_PASSWORD, LANMAN_NT_HASH or LANMAN_KERBEROS=1, or call lanman.compat.login()",
        )
    try:
        digest = parse_nt_hash(digits) if password is None and digits is not None else None
        return Credentials(user or getpass.getuser(), password, nt_hash=digest, domain=domain)
    except (ValueError, OSError, KeyError) as error:
        raise AuthenticationError(f"the log-on that the environment describes cannot be made: {error}") from None
