"""What Samba's smbd says that is not so, and what it leaves unsaid (seen on 4.17.12 unless noted).

Samba answers MS-SRVS from a table of processes. Many fields have a constant in them, a few calls do more than they say,
and some say that they failed when they did not. Each rule here undoes one of these, so that the Manager above can treat
Samba as any other server. Nothing here talks to anyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Final

from lanman.records import ConnectionInfo, ServerInfo, SessionInfo

_NETBIOS_NAME: Final = re.compile(rb"[!-@\[-~]{1,15}\0+")
UNKNOWN_TIME: Final = 0xFFFFFFFF

# NetrServerGetInfo answers these from the program text, whatever the configuration says.
_CONSTANT_SERVER_FIELDS: Final = frozenset({"users", "disc", "hidden", "announce", "anndelta", "licenses", "userpath"})

LIST_HINT: Final = (
    "Samba lets only its BUILTIN\\Administrators ask this. On the server: "
    "net groupmap add sid=S-1-5-32-544 unixgroup=GROUP type=builtin, and make the user a member of GROUP"
)
END_HINT: Final = (
    "Samba lets BUILTIN\\Administrators list, but only root and Domain Admins end or close: "
    "name the user in `admin users` of the server's smb.conf"
)
SHARE_HINT: Final = (
    "Samba shares at run time where its smb.conf has `add share command`, `change share command` and "
    "`delete share command`, and the user has SeDiskOperatorPrivilege or is root"
)
SLOW_HINT: Final = (
    "a Samba with very many open files answers sooner with `srvsvc:file enum count locks = false` in its smb.conf"
)


def is_samba(server_guid: bytes) -> bool:
    """Whether a NEGOTIATE response comes from Samba.

    smbd's ServerGuid is its NetBIOS name in lower case, padded with zeros to 16 bytes; everyone else's is random.
    """
    return len(server_guid) == 16 and _NETBIOS_NAME.fullmatch(server_guid) is not None


def correct_sessions(entries: Iterable[SessionInfo]) -> None:
    """Take out Samba's inventions: it knows no idle times, and a young session's age may underflow."""
    for entry in entries:
        entry.idle_time = None
        if entry.active_time == UNKNOWN_TIME:
            entry.active_time = 0


def server_info(info: ServerInfo) -> ServerInfo:
    """The configuration without what smbd does not know."""
    names = {field.name for field in fields(info)} & _CONSTANT_SERVER_FIELDS
    return replace(info, **dict.fromkeys(names))


def is_invented(connection: ConnectionInfo) -> bool:
    """Whether a connection is the one constant entry that Samba answers instead of a list."""
    return connection.user_name == "dummy_user"
