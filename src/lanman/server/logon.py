"""SESSION_SETUP and LOGOFF (MS-SMB2 3.3.5.5, 3.3.5.6): log-ons of several legs, renewed ones, refused ones.

A log-on that is under way lives here and nowhere else: the domain hears of a session when it is one, so a
half-finished log-on is neither listed nor counted. A session that is renewed keeps its keys, and so its first user: see
`_may_renew`. The accounts are read from their file before every leg that could decide, so a password changed a moment
ago counts. When a password is judged, and when its refusal is told, is decided in `throttle`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanman import codes
from lanman.auth.acceptor import Acceptor
from lanman.auth.accounts import Accounts
from lanman.auth.outcome import Accepted, Refused, Step
from lanman.domain import Limit, LimitReached, Reason, State
from lanman.names import fold
from lanman.server.effects import Later, Outcome, Perform, ReadAccounts, Reply, StepLogon
from lanman.server.refusals import CHOICES
from lanman.server.state import Context, ServerSession
from lanman.server.throttle import Attempt
from lanman.smb2.constants import (
    SMB2_SESSION_FLAG_BINDING,
    SMB2_SESSION_FLAG_ENCRYPT_DATA,
    SMB2_SESSION_FLAG_IS_GUEST,
    SMB2_SESSION_FLAG_IS_NULL,
)
from lanman.smb2.messages import LogoffRequest, LogoffResponse, SessionSetupRequest, SessionSetupResponse


@dataclass(slots=True, eq=False)
class Logon:
    """A log-on under way. `existing` is the session that is to be renewed; `busy` while a leg is being looked at.

    `fresh` says that no leg has come yet: NTLM decides nothing by its first message, so that is answered without a look
    at the accounts.
    """

    session_id: int
    acceptor: Acceptor
    started: float
    existing: ServerSession | None = None
    busy: bool = False
    fresh: bool = True
    attempt: Attempt | None = None
    accounts: Accounts | None = None  # by which the leg under way is judged


def handle_session_setup(context: Context, message: SessionSetupRequest) -> Outcome:
    """SMB2 SESSION_SETUP (MS-SMB2 3.3.5.5)."""
    connection, request = context.connection, context.request
    if connection.server.settings.encryption == "required" and not connection.can_encrypt:
        connection.server.service.refuse_logon(
            connection.client_name, "", Reason.UNENCRYPTED, CHOICES[Reason.UNENCRYPTED]
        )
        return Reply(codes.STATUS_ACCESS_DENIED)
    if message.flags & SMB2_SESSION_FLAG_BINDING:
        # 3.3.5.5: this Server has no multichannel (IsMultiChannelCapable is FALSE), so there is nothing to bind.
        return Reply(codes.STATUS_REQUEST_NOT_ACCEPTED if request.session_id else codes.STATUS_INVALID_PARAMETER)
    logon = _find_logon(context)
    if isinstance(logon, Reply):
        return logon
    if logon.busy:
        # The client does not wait for its answers; a GSS exchange has one message under way at a time.
        return Reply(codes.STATUS_REQUEST_OUT_OF_SEQUENCE)
    if logon.fresh and not logon.acceptor.may_block:
        logon.fresh = False
        return _step(context, message, logon, context.now)
    logon.fresh = False
    logon.busy = True
    return _Deciding(context, message, logon).read()


@dataclass(slots=True, eq=False)
class _Deciding:
    """A leg that may decide: read the accounts, wait for the turn of whose password it proves, then judge."""

    context: Context
    message: SessionSetupRequest
    logon: Logon

    def read(self) -> Outcome:
        return Perform(ReadAccounts(), self._decide, self._abandon)

    def _decide(self, accounts: Accounts, now: float) -> Outcome:
        context, logon, token = self.context, self.logon, bytes(self.message.security_buffer)
        logon.accounts = accounts
        logon.acceptor.use_accounts(accounts)
        context.connection.server.watch.use_accounts(accounts)
        if logon.acceptor.may_block:
            leg = StepLogon(logon.acceptor, token, context.connection.server.wall_clock(now))
            return Perform(leg, self._go_on, self._abandon)
        account = logon.acceptor.claimed_account(token)
        logon.attempt = None if account is None else logon.attempt or Attempt(context.connection.network, account)
        if (waits := self._wait(now)) is not None:
            return waits
        logon.busy = False
        return _step(context, self.message, logon, now)

    def _wait(self, now: float) -> Outcome | None:
        if (attempt := self.logon.attempt) is None:
            return None
        at = self.context.connection.server.throttle.turn(attempt, now)
        if attempt.displaced:
            # Told no sooner than the others, or asking again would cost nothing.
            due = attempt.waits_until or now
            return (
                Later(due, lambda then: _displaced(self.context, self.logon))
                if due > now
                else _displaced(self.context, self.logon)
            )
        return Later(at, lambda then: self._wait(then) or self.read()) if at > now else None

    def _go_on(self, step: Step, now: float) -> Outcome:
        self.logon.busy = False
        return _stepped(self.context, self.message, self.logon, step, now)

    def _abandon(self, status: int, now: float) -> Outcome:
        return _abandon(self.context, self.logon, status)


def _find_logon(context: Context) -> Logon | Reply:
    """The log-on that a request begins or goes on with."""
    connection = context.connection
    session_id = context.request.session_id
    if logon := connection.logons.get(session_id):
        return logon
    existing = connection.sessions.get(session_id)
    if session_id and (existing is None or existing.closing):
        return Reply(codes.STATUS_USER_SESSION_DELETED)
    if len(connection.logons) >= connection.server.settings.limits.logons_per_connection:
        return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
    logon = Logon(
        session_id or connection.server.new_session_id(),
        connection.server.new_acceptor(),
        context.now,
        existing,
    )
    connection.logons[logon.session_id] = logon
    return logon


def _step(context: Context, message: SessionSetupRequest, logon: Logon, now: float) -> Outcome:
    wall = context.connection.server.wall_clock(now)
    return _stepped(context, message, logon, logon.acceptor.step(bytes(message.security_buffer), wall), now)


def _stepped(context: Context, message: SessionSetupRequest, logon: Logon, step: Step, now: float) -> Outcome:
    connection = context.connection
    outcome = step.outcome
    existing = logon.existing
    if existing is not None and (existing.closing or connection.sessions.get(logon.session_id) is not existing):
        connection.logons.pop(logon.session_id, None)
        return Reply(codes.STATUS_USER_SESSION_DELETED)  # it has ended meanwhile
    if isinstance(outcome, Accepted):
        connection.logons.pop(logon.session_id, None)
        return _accepted(context, message, logon, outcome, step.token, now)
    if isinstance(outcome, Refused):
        connection.logons.pop(logon.session_id, None)
        return _refused(context, logon, outcome, now)
    # 3.3.5.5.2: a session that is being renewed keeps its id; a new one learns it here.
    return Reply(
        codes.STATUS_MORE_PROCESSING_REQUIRED,
        SessionSetupResponse(0, step.token),
        session_id=logon.session_id,
    )


def _abandon(context: Context, logon: Logon, status: int) -> Reply:
    """The log-on cannot go on, through nobody's wrong password."""
    context.connection.logons.pop(logon.session_id, None)
    return Reply(status)


def _displaced(context: Context, logon: Logon) -> Reply:
    """Too many attempts on that account wait for their turn; whether this one's password is right nobody has looked."""
    connection = context.connection
    user_name = logon.attempt.account if logon.attempt is not None else ""
    connection.server.service.refuse_logon(connection.client_name, user_name, Reason.THROTTLED)
    return _abandon(context, logon, codes.STATUS_REQUEST_NOT_ACCEPTED)


def _refused(context: Context, logon: Logon, refusal: Refused, now: float) -> Outcome:
    """3.3.5.5.3: the session goes, with all it has open if it was one already."""
    connection = context.connection
    service = connection.server.service
    malformed = refusal.status in (codes.STATUS_INVALID_PARAMETER, codes.STATUS_NOT_SUPPORTED)
    reason = Reason.MALFORMED if malformed else Reason.CREDENTIALS
    if refusal.outdated:
        service.refuse_logon(
            connection.client_name, refusal.user_name, Reason.NTLMV1, f"{refusal.reason}: {CHOICES[Reason.NTLMV1]}"
        )
    else:
        service.refuse_logon(connection.client_name, refusal.user_name, reason, refusal.reason)
    account = logon.attempt.account if logon.attempt is not None else None
    delay = connection.server.throttle.refused(connection.network, account, now)
    connection.held_until = max(connection.held_until, now + delay)

    def answer(now: float) -> Outcome:
        if logon.existing is not None:
            service.close_session(logon.existing.session, reason)
        return Reply(refusal.status)

    return Later(now + delay, answer) if delay else answer(now)


def _accepted(
    context: Context, message: SessionSetupRequest, logon: Logon, who: Accepted, token: bytes, now: float
) -> Outcome:
    connection = context.connection
    # The domain has the loop's clock.
    expires_at = None if who.expires_at is None else now + who.expires_at - connection.server.wall_clock(now)
    if logon.existing is not None:
        status = _renew(context, logon.existing, who, expires_at)
        encrypt = logon.existing.encrypt
    else:
        encrypt = connection.server.settings.encryption == "required"
        status = _establish(context, message, logon, who, encrypt, expires_at, now)
    if status:
        return Reply(status)
    session = connection.sessions[logon.session_id].session
    connection.server.watch.follow(session, logon.accounts)
    if session.state is State.CLOSED:
        return Reply(codes.STATUS_USER_SESSION_DELETED)
    flags = (
        (SMB2_SESSION_FLAG_IS_GUEST if who.guest else 0)
        | (SMB2_SESSION_FLAG_IS_NULL if who.anonymous else 0)
        | (SMB2_SESSION_FLAG_ENCRYPT_DATA if encrypt else 0)
    )
    return Reply(message=SessionSetupResponse(flags, token), session_id=logon.session_id)


def _may_renew(existing: ServerSession, who: Accepted) -> bool:
    """Whether a session may become that of `who` (3.3.5.5.2).

    Its keys are those of its first log-on, and whoever stands on the way may have made that. A session with keys may
    be its first user's, or nobody's; one without keys stays what it is, or requests as a user would be unprotected.
    """
    if existing.first_user is None:
        session = existing.session
        before = session.anonymous, session.guest, existing.stranger, session.user_name, session.domain
        return before == (who.anonymous, who.guest, who.stranger, who.user_name, who.domain)
    return who.anonymous or (not who.guest and existing.first_user == (who.user_name, who.domain))


def _renew(context: Context, existing: ServerSession, who: Accepted, expires_at: float | None) -> int:
    """3.3.5.5.3 for a session that is there: the keys stay those of the first log-on, and so does what is open. What
    may be done from now on is what the new identity may. The status; 0 if it is renewed."""
    connection = context.connection
    service, session = connection.server.service, existing.session
    if not _may_renew(existing, who):
        service.refuse_logon(connection.client_name, who.user_name, Reason.OTHER_USER)
        service.close_session(session, Reason.OTHER_USER)
        return codes.STATUS_ACCESS_DENIED
    service.reauthenticate(
        session,
        who.user_name,
        domain=who.domain,
        groups=who.groups,
        anonymous=who.anonymous,
        guest=who.guest,
        expires_at=expires_at,
    )
    for tree in existing.trees.values():
        tree.maximal_access = connection.server.watch.allowed(session, tree)
    return codes.STATUS_SUCCESS


def _establish(
    context: Context,
    message: SessionSetupRequest,
    logon: Logon,
    who: Accepted,
    encrypt: bool,
    expires_at: float | None,
    now: float,
) -> int:
    """3.3.5.5.3 for a new session; the status."""
    connection = context.connection
    server = connection.server
    protected = not (who.anonymous or who.guest)
    if encrypt and not protected:
        # A null or guest session has no key that anybody could keep secret.
        server.service.refuse_logon(
            connection.client_name, who.user_name, Reason.UNENCRYPTED, CHOICES[Reason.UNENCRYPTED]
        )
        return codes.STATUS_ACCESS_DENIED
    if not protected and (why := connection.refusal_of_anonymous()):
        server.service.refuse_logon(connection.client_name, who.user_name, Reason.LIMIT, why)
        return codes.STATUS_REQUEST_NOT_ACCEPTED
    _replace_previous(context, message, who)
    try:
        session = server.service.register_session(
            connection.connection_id,
            logon.session_id,
            connection.client_name,
            who.user_name,
            now=now,
            domain=who.domain,
            anonymous=who.anonymous,
            guest=who.guest,
            groups=who.groups,
            address=connection.address,
            dialect=connection.dialect_name,
            signing=connection.signing_name if protected else "",
            encryption=connection.encryption_name if encrypt else "",
            created=logon.started,
            expires_at=expires_at,
        )
    except LimitReached as error:
        paused = error.limit in (Limit.PAUSED, Limit.STOPPED)
        return codes.STATUS_SHARING_PAUSED if paused else codes.STATUS_REQUEST_NOT_ACCEPTED
    if session.state is State.CLOSED:  # whoever heard of it ended it at once
        return codes.STATUS_USER_SESSION_DELETED
    first_user = (who.user_name, who.domain) if protected else None
    connection.established(ServerSession(session, encrypt=encrypt, first_user=first_user, stranger=who.stranger))
    connection.core.establish_session(
        logon.session_id,
        who.session_key,
        request=context.request,
        sign=protected,
        encrypt=encrypt,
        large_frames=not who.anonymous or bool(server.settings.null_shares),
    )
    return codes.STATUS_SUCCESS


def _replace_previous(context: Context, message: SessionSetupRequest, who: Accepted) -> None:
    """3.3.5.5.3: the same user's session of before a reconnect goes, as if its connection had been lost."""
    service = context.connection.server.service
    previous = service.session_by_session_id(message.previous_session_id)
    if previous is None or who.anonymous or previous.anonymous:
        return
    if (fold(previous.user_name), fold(previous.domain)) == (fold(who.user_name), fold(who.domain)):
        service.close_session(previous, Reason.REPLACED)


def handle_logoff(context: Context, message: LogoffRequest) -> Outcome:
    """SMB2 LOGOFF (MS-SMB2 3.3.5.6). No open here is durable, so all of them go."""
    context.connection.server.service.close_session(context.wire_session.session, Reason.LOGOFF)
    return Reply(message=LogoffResponse())
