"""Bind as root, then be an ordinary user: a file server that stays root gives every account root's rights."""

from __future__ import annotations

import logging
import os
from typing import Final

from lanman.errors import AccessDenied
from lanman.net.configuration import ConfigurationError
from lanman.net.home import Home

log: Final = logging.getLogger("lanman.server")


def become(user_name: str, home: Home) -> None:
    """Be that user from now on, for good, and own the home. Does nothing for "" or for who one is already.

    Raises ConfigurationError for a user that does not exist and AccessDenied for one that is out of reach.
    """
    if not user_name:
        if os.geteuid() == 0:
            log.warning(
                "running as root; name an ordinary user in server.toml ([server] user) to become it after binding"
            )
        return
    import pwd

    try:
        entry = pwd.getpwnam(user_name)
    except KeyError:
        raise ConfigurationError(f"[server] user: this machine has no user {user_name!a}") from None
    if entry.pw_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise AccessDenied(
            f"only root can become {user_name}", hint="Start the Server as root, or take out [server] user."
        )
    for path in (home.path, *(each for each in home.path.iterdir() if each.is_file() and not each.is_symlink())):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    os.initgroups(user_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    log.info("running as %s", user_name)
