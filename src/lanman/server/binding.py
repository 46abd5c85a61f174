"""Who may bind a connection to a session, one more channel of it (MS-SMB2 3.3.5.5): all that is checked before the
log-on that binds it is looked at, with each of its round trips.

The order is that of the specification, but for what `SessionKeys.refusal_of_binding` has first. A session of another
client GUID may be bound, as Windows lets it be: the request proves by its signature that it knows the session's key.
"""

from __future__ import annotations

from typing import Final

from lanman import codes
from lanman.domain import State
from lanman.server.state import Context, ServerSession
from lanman.smb2.constants import SMB2_FLAGS_SIGNED, Dialect

# How many connections a session has at most: as many as at Windows Server 2012 R2 and 2016 (smb2.multichannel
# num_channels).
MAX_CHANNELS: Final = 32


def session_to_bind(context: Context) -> ServerSession | int:
    """The session that a SESSION_SETUP with SMB2_SESSION_FLAG_BINDING may go on to bind, or the status to refuse it
    with. The session is left as it is in either case."""
    session = context.server.sessions.by_id(context.request.session_id)
    status = _refusal(context, session)
    if session is None or status:
        context.connection.core.refuse_binding(context.request)
        return status
    return session


def _refusal(context: Context, session: ServerSession | None) -> int:
    connection, request = context.connection, context.request
    agreed = connection.core.negotiated
    assert agreed is not None, "a SESSION_SETUP comes after NEGOTIATE"
    if not request.session_id:
        return codes.STATUS_INVALID_PARAMETER
    if session is None or session.closing or session.session.state is State.CLOSED:
        # A log-on that is under way is a session in progress.
        logon = connection.logons.get(request.session_id)
        in_progress = agreed.dialect < Dialect.SMB_3_0 or (logon is not None and logon.binding is None)
        return codes.STATUS_REQUEST_NOT_ACCEPTED if in_progress else codes.STATUS_USER_SESSION_DELETED
    if status := session.keys.refusal_of_binding(agreed, multichannel=context.server.multichannel):
        return status
    if not request.flags & SMB2_FLAGS_SIGNED:
        return codes.STATUS_INVALID_PARAMETER
    return _refusal_of_session(context, session)


def _refusal_of_session(context: Context, session: ServerSession) -> int:
    """What speaks against it on the session's side; the signature is the last of it."""
    if session.session.state is State.EXPIRED:
        return codes.STATUS_NETWORK_SESSION_EXPIRED
    if not session.keys.protected or session.session.anonymous or session.session.guest:
        return codes.STATUS_NOT_SUPPORTED
    if context.connection in session.channels:
        return codes.STATUS_REQUEST_NOT_ACCEPTED
    if not context.request.signed:
        return codes.STATUS_ACCESS_DENIED
    full = len(session.channels) >= MAX_CHANNELS or context.connection.refusal_of_user(session.session.user_name)
    return codes.STATUS_INSUFFICIENT_RESOURCES if full else codes.STATUS_SUCCESS
