"""Sessions: NetrSessionEnum and NetrSessionDel (MS-SRVS 3.1.4.5 and 3.1.4.6)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from lanman import codes
from lanman.domain import Reason, Session
from lanman.names import AUTHENTICATED_USERS
from lanman.records import SessionInfo
from lanman.rpc.srvsvc.sessions import (
    SESSION_INFO,
    NetrSessionDel,
    NetrSessionDelResponse,
    NetrSessionEnum,
    NetrSessionEnumResponse,
)
from lanman.server.rights import OPERATORS, Rights
from lanman.server.srvsvc.calls import CallContext, CallRefused, all_ended, answers, listing, require_lengths

SESS_GUEST: Final = 0x1  # 2.2.2.3

_USERS: Final = (*OPERATORS, AUTHENTICATED_USERS)


def session_info(session: Session, now: float) -> SessionInfo:
    """Every member of every level (MS-SMB2 3.3.4.18). SMB 2 and 3 do not carry a client type: it is empty."""
    active, idle = session.times(now)
    return SessionInfo(
        session.client_name,
        session.user_name,
        len(session.opens),
        active,
        idle,
        SESS_GUEST if session.guest else 0,
        "",
        session.transport,
    )


def _check_filters(request: NetrSessionEnum) -> None:
    require_lengths(request.client_name, request.user_name)
    if request.client_name and not request.client_name.startswith("\\\\"):
        raise CallRefused(codes.NERR_InvalidComputer)


@answers(
    NetrSessionEnum,
    rights=Rights(OPERATORS, legacy=Rights(OPERATORS, {0: _USERS, 10: _USERS})),  # notes 52 to 55
    check=_check_filters,
)
def session_enum(context: CallContext, request: NetrSessionEnum) -> Generator[None, None, NetrSessionEnumResponse]:
    """NetrSessionEnum (MS-SRVS 3.1.4.5): the sessions of a client and of a user, where given."""
    service, client, user = context.service, request.client_name, request.user_name
    wanted = None
    if client or user:
        meant = set(service.select_sessions(client, user))
        if not meant:
            # 3.1.4.5 allows either code. 2312 means here that this client has no session at all.
            known = not client or service.select_sessions(client)
            raise CallRefused(codes.NERR_UserNotFound if known else codes.NERR_ClientNameNotFound)
        wanted = meant.__contains__
    now = context.now
    return listing(request, SESSION_INFO, service.sessions(), lambda session: session_info(session, now), wanted)


@answers(NetrSessionDel, rights=Rights(OPERATORS))
def session_del(context: CallContext, request: NetrSessionDel) -> Generator[None, None, NetrSessionDelResponse]:
    """NetrSessionDel (MS-SRVS 3.1.4.6): end every session of that client and that user. It is answered when all that
    they had open is closed.

    A caller may end its own session too: the answer to a request that was received is still sent.
    """
    client, user = request.client_name, request.user_name
    require_lengths(client, user)
    if not client and not user:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER)
    # Unlike 3.1.4.5, 3.1.4.6 has no 2351 for a name without backslashes: no session matches it.
    wellformed = not client or client.startswith("\\\\")
    found = context.service.select_sessions(client, user) if wellformed else []
    if not found:
        raise CallRefused(codes.NERR_ClientNameNotFound)
    # The caller's own goes last: the events of the others come first, and its end would end this.
    context.service.close_sessions((each for each in found if each is not context.caller.session), Reason.DELETED)
    yield from all_ended(context.service)
    context.service.close_sessions(found, Reason.DELETED)
    return NetrSessionDelResponse(codes.NERR_Success)
