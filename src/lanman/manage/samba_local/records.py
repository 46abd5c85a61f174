"""The records of this machine's Samba: what smbstatus tells, as a Manager lists it."""

from __future__ import annotations

from collections import Counter
from dataclasses import field

from lanman.manage.samba_local.status import DISCONNECTED, ServerId, Status, StatusOpen, StatusSession
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo


@dataclass(slots=True)
class SambaSession(SessionInfo):
    """A session of this machine's Samba, with what smbstatus tells beyond MS-SRVS.

    `begun` is told since 4.20; `seen_since` is that, or the time of the oldest tree connect: since then at least. Both
    are in seconds since 1970. `channels` are the client's addresses where there are several. `pid`, `unique_id`
    and `ctdb_node` are the process that serves the connection.
    """

    address: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    session_id: str | None = None
    begun: float | None = None
    seen_since: float | None = None
    channels: list[str] = field(default_factory=list)
    pid: int | None = None
    unique_id: int | None = None
    ctdb_node: int | None = None


@dataclass(slots=True)
class SambaFile(FileInfo):
    """An open file of this machine's Samba, with what smbstatus tells beyond MS-SRVS. It tells of durable handles whose
    client is away: `owner` is their user; for how long they are kept it does not say."""

    client_name: str | None = None
    oplock: str | None = None
    opened_at: float | None = None
    pid: int | None = None
    lease: str | None = None
    lease_key: str | None = None
    durable: bool | None = None
    owner: str | None = None


def age(status: Status, since: float | None) -> int | None:
    """How many seconds something has been there; None where that is unknown."""
    return None if since is None or status.at is None else max(0, int(status.at - since))


def entries_of(status: Status) -> list[SambaSession]:
    """The sessions. Where an open's session cannot be told, the numbers of all that may have it are unknown."""
    counts: Counter[StatusSession] = Counter()
    unknown = {session.server_id for session in status.sessions if not status.tells_all_opens_of(session.server_id)}
    for open in status.opens:
        if (session := status.session_of(open)) is None:
            unknown.add(open.server_id)
        else:
            counts[session] += 1
    return [
        SambaSession(
            client_name=session.client,
            user_name=session.user_name,
            num_opens=None if session.server_id in unknown else counts[session],
            active_time=age(status, session.begun),
            address=session.address,
            dialect=session.dialect,
            signing=str(session.signing),
            encryption=str(session.encryption),
            session_id=session.id,
            begun=session.begun,
            seen_since=status.seen_since(session),
            channels=[channel.remote_address for channel in session.channels],
            pid=session.server_id.pid,
            unique_id=session.server_id.unique_id,
            ctdb_node=session.server_id.node,
        )
        for session in status.sessions
    ]


def files_of(status: Status) -> list[SambaFile]:
    """The open files, each with its session's user where that can be told."""
    locks = None if status.locks is None else Counter((lock.server_id, lock.path) for lock in status.locks)
    openers = Counter((open.server_id, open.path) for open in status.opens)
    return [_file(status, open, locks, openers[open.server_id, open.path]) for open in status.opens]


def _file(status: Status, open: StatusOpen, locks: Counter[tuple[ServerId, str]] | None, openers: int) -> SambaFile:
    """An open file. Locks are told by process and path: with several opens of both, none knows whose they are."""
    session = status.session_of(open)
    number = 0 if locks is None else locks[open.server_id, open.path]
    there = status.by_process.get(open.server_id, [])
    away = open.server_id.pid == DISCONNECTED
    return SambaFile(
        id=open.file_id,
        permissions=open.access_mask,
        # Without its number it is from the tables, which tell no locks.
        num_locks=None if locks is None or open.share_file_id is None or (number and openers > 1) else number,
        path=open.path,
        user_name=None if session is None else session.user_name,
        client_name=there[0].client if there else None,
        oplock=open.oplock,
        opened_at=open.opened_at,
        pid=None if away else open.server_id.pid,
        lease=open.lease,
        lease_key=open.lease_key if open.lease else "",
        durable=True if away else None,
        owner=_name_of(open.uid) if away else "",
    )


def _name_of(uid: int | None) -> str | None:
    """The user of this machine by a number; the number itself where there is none."""
    import pwd

    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)
