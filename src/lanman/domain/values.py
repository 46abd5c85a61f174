"""The domain's objects as the values that leave it: the records of `lanman.events`.

Times that never change are kept in that form
from the beginning, so that they are the same in every record, however the time of day is set meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from lanman.domain.nouns import Connection, Open, Session, Share, State, TreeConnect
from lanman.events import ConnectionRecord, FileRecord, SessionRecord, ShareRecord, TreeRecord


def connection_record(connection: Connection) -> ConnectionRecord:
    """A connection as it is now."""
    return ConnectionRecord(
        connection.connection_id,
        connection.address,
        connection.opened_at,
        connection.bytes_received,
        connection.bytes_sent,
    )


def session_record(session: Session, now: float, time_of_day: Callable[[float], float]) -> SessionRecord:
    """A session as it is now, `now` by the service's clock. `time_of_day` turns such a time into seconds since 1970."""
    read, written = session.bytes_read, session.bytes_written
    for opened in session.opens.values():
        read += opened.bytes_read
        written += opened.bytes_written
    return SessionRecord(
        session.global_id,
        session.connection_ids,
        session.client_name,
        session.user_name,
        session.domain,
        session.address,
        session.transport,
        session.dialect,
        session.signing,
        session.encryption,
        tuple(sorted(session.groups)),
        session.anonymous,
        session.guest,
        session.state is State.EXPIRED,
        session.begun_at,
        time_of_day(session.idle_time),
        session.times(now)[0],
        read,
        written,
    )


def tree_record(tree: TreeConnect) -> TreeRecord:
    """A tree connect as it is now."""
    session = tree.session
    return TreeRecord(
        tree.global_id,
        session.global_id,
        tree.share.name,
        tree.share.type & 0xFFFF,
        session.client_name,
        session.user_name,
        session.address,
        tree.connected_at,
    )


def file_record(opened: Open) -> FileRecord:
    """An open as it is now. One that is preserved is nobody's, in no session and on no tree connect."""
    session = opened.session
    return FileRecord(
        opened.global_id,
        0 if opened.preserved else session.global_id,
        0 if opened.preserved else opened.tree_connect.global_id,
        opened.tree_connect.share.name,
        opened.path,
        opened.granted_access,
        opened.num_locks,
        opened.oplock,
        "" if opened.preserved else session.client_name,
        opened.user_name,
        "" if opened.preserved else session.address,
        opened.opened_at,
        opened.bytes_read,
        opened.bytes_written,
        opened.lease,
        opened.lease_key.hex(),
        opened.reclaimable,
        opened.owner[0] if opened.preserved else "",
        opened.expires_at if opened.preserved else 0.0,
    )


def share_record(share: Share) -> ShareRecord:
    """A share as it is now."""
    return ShareRecord(
        share.name,
        share.type,
        share.path,
        share.remark,
        share.max_users,
        share.hidden,
        share.guest,
        share.encrypt_data,
        share.confined,
        share.problem,
    )
