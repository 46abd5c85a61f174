"""Bind as root, then be an ordinary user: a file server that stays root gives every account root's rights.

What the configuration names is touched by root for root alone: where the Server's user can write it, root would append
to, make or empty any file of the machine as its log.

Whose the home is says who the Server may be. Its owner can change `server.toml`, so a Server that root starts there
must become that user: else whoever has broken into the service, and is its user, would take `user` out of the file and
be root after the next start. Only a home of root's is given away, to `user`, and then for good.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final

from lanman.errors import AccessDenied
from lanman.net.configuration import ConfigurationError
from lanman.net.home import Home
from lanman.net.place import Directory

if TYPE_CHECKING:
    from pwd import struct_passwd

log: Final = logging.getLogger("lanman.server")

# What is imported when it is first needed, and must be there before rights are dropped: the new user may not read
# where it comes from, or may write there.
_LATE: Final = (
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16_le",
    "encodings.utf_8_sig",
    "fcntl",
    "grp",
    "ipaddress",
    "pwd",
    "resource",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.ciphers.algorithms",
    "cryptography.hazmat.primitives.ciphers.modes",
    "cryptography.hazmat.primitives.cmac",
    "lanman.net.control.server",
    "lanman.net.disk",
)
_LATE_FOR_KERBEROS: Final = ("gssapi", "krb5", "lanman.net.kerberos")


def user_to_become(user_name: str, home: Home) -> struct_passwd | None:
    """Whom the Server is to become, None for who one is; looked at before anything else is touched.

    Raises ConfigurationError for a user that does not exist, and AccessDenied for one that is out of reach or whose
    home this is not.
    """
    import pwd

    entry = None
    if user_name:
        try:
            entry = pwd.getpwnam(user_name)
        except KeyError:
            raise ConfigurationError(f"[server] user: this machine has no user {user_name!a}") from None
    me = os.geteuid()
    if entry is not None and me not in (entry.pw_uid, 0):
        raise AccessDenied(
            f"only root can become {user_name}", hint="Start the Server as root, or take out [server] user."
        )
    with home.opened(make=True) as folder:
        owner = folder.owner[0]
    if me == 0 and owner not in (0, entry.pw_uid if entry is not None else 0):
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"user {owner}"
        raise AccessDenied(
            f"{home.path}: belongs to {name}, so a Server that root starts there must become {name}",
            hint=f'Write user = "{name}" below [server] in server.toml, start it as {name}, or give the folder and '
            "what is in it to another user (chown -R).",
        )
    return None if entry is None or entry.pw_uid == me else entry


def become(entry: struct_passwd | None, home: Home, *, kerberos: bool = False) -> None:
    """Be that user from now on, for good, and have it own the home. None: stay who one is."""
    if entry is None:
        if os.geteuid() == 0:
            log.warning(
                "running as root; name an ordinary user in server.toml ([server] user) to become it after binding"
            )
        return
    for module in _LATE + (_LATE_FOR_KERBEROS if kerberos else ()):
        with suppress(ImportError):
            import_module(module)
    with home.opened() as folder:
        if folder.owner[0] == 0:
            _give_away(folder, entry.pw_uid, entry.pw_gid)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    log.info("running as %s", entry.pw_name)


@contextmanager
def acting_as(entry: struct_passwd | None) -> Iterator[None]:
    """Have the kernel judge what is done meanwhile as if that user did it; None: as who one is. Only while there are no
    other threads."""
    if entry is None or os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _give_away(folder: Directory, uid: int, gid: int) -> None:
    """Give a home of root's and the files in it to another user. The folder comes last: until then only root can put
    anything into it, and what is put into it afterwards is not given away."""
    with folder.readable() as handle:
        for name in os.listdir(handle):
            found = folder.stat(name)
            if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                continue
            descriptor = folder.open(name, os.O_RDONLY)
            try:
                os.fchown(descriptor, uid, gid)
            finally:
                os.close(descriptor)
        os.fchown(handle, uid, gid)
