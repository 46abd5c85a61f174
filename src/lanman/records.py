"""The records that administrators deal in, named as pywin32's users know them.

A field is `None` where the server did not say: an information level that lacks it, or a server known to invent it.
Times are whole seconds. The sections are those of MS-SRVS.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SessionInfo:
    """One session (SESSION_INFO_0, 1, 2, 10, 502: MS-SRVS 2.2.4.11 to 2.2.4.15).

    `client_name` is the name as the server lists it, with its leading backslashes where the server sends them.
    `user_flags`: SESS_GUEST 1, SESS_NOENCRYPTION 2.
    """

    client_name: str | None = None
    user_name: str | None = None
    num_opens: int | None = None
    active_time: int | None = None
    idle_time: int | None = None
    user_flags: int | None = None
    client_type: str | None = None
    transport: str | None = None


@dataclass(slots=True)
class FileInfo:
    """One open file, pipe or device (FILE_INFO_2 and 3: MS-SRVS 2.2.4.6, 2.2.4.7). `permissions` is an access mask."""

    id: int | None = None
    permissions: int | None = None
    num_locks: int | None = None
    path: str | None = None
    user_name: str | None = None


@dataclass(slots=True)
class ConnectionInfo:
    """One tree connect (CONNECTION_INFO_0 and 1: MS-SRVS 2.2.4.1, 2.2.4.2).

    `net_name` is the client's name when a share was asked for, and the share's name when a client was.
    """

    id: int | None = None
    type: int | None = None
    num_opens: int | None = None
    num_users: int | None = None
    active_time: int | None = None
    user_name: str | None = None
    net_name: str | None = None
