"""SESSION_SETUP and LOGOFF (MS-SMB2 3.3.5.5, 3.3.5.6): log-ons of several round trips, renewed ones, refused ones.

The rules:

* A log-on that is under way is a `state.Logon` of its connection, and nothing else: the domain is told of a session
  when the log-on has succeeded, so a half-finished one is neither listed nor counted.
* One token of a log-on is looked at at a time (`Logon.busy`). The accounts are read from their file before every token
  that could decide, so a password that was changed a moment ago counts.
* When a password is judged, and when its refusal is told, is decided in `throttle`. A log-on that had to wait for that
  is judged by the accounts as they are then.
* A session that is renewed keeps its keys, and so its first user: see `_may_renew`. A renewal that is refused ends it.
* A log-on may bind its connection to a session that another one has set up (3.3.5.5.3): `binding` says which. It is a
  log-on like others until it has succeeded, and leaves the session as it is in any case; only its user's own succeeds.
* A user's session without keys (a guest's) and a null session are not protected; where encryption is required they are
  refused.
"""

from __future__ import annotations

from lanman import codes
from lanman.auth.outcome import Accepted, Refused, Step
from lanman.domain import Limit, LimitReached, Reason, State
from lanman.errors import StatusError
from lanman.few import with_one, without
from lanman.names import fold
from lanman.server.binding import session_to_bind
from lanman.server.effects import Outcome, Reply, StepLogon, Until, Work
from lanman.server.refusals import CHOICES
from lanman.server.state import Context, Logon, ServerSession, when_gone, when_many_gone
from lanman.server.throttle import Attempt
from lanman.smb2.constants import (
    SMB2_SESSION_FLAG_BINDING,
    SMB2_SESSION_FLAG_ENCRYPT_DATA,
    SMB2_SESSION_FLAG_IS_GUEST,
    SMB2_SESSION_FLAG_IS_NULL,
)
from lanman.smb2.messages import LogoffRequest, LogoffResponse, SessionSetupRequest, SessionSetupResponse


def handle_session_setup(context: Context, message: SessionSetupRequest) -> Outcome:
    """SMB2 SESSION_SETUP (MS-SMB2 3.3.5.5)."""
    connection = context.connection
    if connection.server.configuration.encryption == "required" and not connection.can_encrypt:
        connection.server.service.refuse_logon(
            connection.client_name, "", Reason.UNENCRYPTED, CHOICES[Reason.UNENCRYPTED]
        )
        return Reply(codes.STATUS_ACCESS_DENIED)
    binding = session_to_bind(context) if message.flags & SMB2_SESSION_FLAG_BINDING else None
    if isinstance(binding, int):
        _drop_ended(context)
        return Reply(binding)
    logon = _find_logon(context, binding)
    if isinstance(logon, Reply):
        return logon
    if logon.busy:
        # The client does not wait for its answers; a GSS exchange has one message under way at a time.
        return Reply(codes.STATUS_REQUEST_OUT_OF_SEQUENCE)
    if logon.fresh and not logon.acceptor.may_block:
        logon.fresh = False
        return _judged(context, message, logon, _step(context, bytes(message.security_buffer), logon))
    logon.fresh = False
    logon.busy = True
    return _decide(context, message, logon)


def _decide(context: Context, message: SessionSetupRequest, logon: Logon) -> Work[Reply]:
    """A token that may decide: read the accounts, wait for the turn of whose password it proves, then judge. Who has
    waited is judged by the accounts of then."""
    server, token = context.server, bytes(message.security_buffer)
    try:
        while True:
            logon.accounts = accounts = yield from server.watch.read()
            logon.acceptor.use_accounts(accounts)
            if logon.acceptor.may_block:
                step = yield StepLogon(logon.acceptor, token, server.wall_clock(context.now))
                break
            account = logon.acceptor.claimed_account(token)
            logon.attempt = None if account is None else logon.attempt or Attempt(context.connection.network, account)
            if logon.attempt is None or not (yield from _wait_for_turn(context, logon.attempt)):
                step = _step(context, token, logon)
                break
            if logon.attempt.displaced:
                return _displaced(context, logon, logon.attempt)
    except StatusError as error:
        return _abandon(context, logon, error.status)
    logon.busy = False
    return (yield from _judged(context, message, logon, step))


def _wait_for_turn(context: Context, attempt: Attempt) -> Work[bool]:
    """Wait until an attempt may be judged, or is displaced. Whether it had to wait."""
    waited = False
    while True:
        at = context.server.throttle.turn(attempt, context.now)
        if attempt.displaced:
            # Told no sooner than the others, or asking again would cost nothing.
            if attempt.waits_until is not None and attempt.waits_until > context.now:
                yield Until(attempt.waits_until)
            return True
        if at <= context.now:
            return waited
        yield Until(at)
        waited = True


def _find_logon(context: Context, binding: ServerSession | None) -> Logon | Reply:
    """The log-on that a request begins or goes on with; one that binds its connection goes on as such."""
    connection = context.connection
    session_id = context.request.session_id
    if logon := connection.logons.get(session_id):
        return logon if logon.binding is binding else Reply(codes.STATUS_USER_SESSION_DELETED)
    existing = connection.channels.get(session_id)
    if session_id and binding is None and (existing is None or existing.closing):
        return Reply(codes.STATUS_USER_SESSION_DELETED)
    _drop_ended(context)
    if len(connection.logons) >= connection.server.resources.logons_per_connection:
        return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
    logon = Logon(
        session_id or connection.server.new_session_id(),
        connection.server.new_acceptor(),
        context.now,
        existing,
        binding,
    )
    connection.logons = with_one(connection.logons, logon.session_id, logon)
    return logon


def _step(context: Context, token: bytes, logon: Logon) -> Step:
    """Have the acceptor judge a token, which takes no time."""
    return logon.acceptor.step(token, context.server.wall_clock(context.now))


def _judged(context: Context, message: SessionSetupRequest, logon: Logon, step: Step) -> Work[Reply]:
    """What a token has come to."""
    connection = context.connection
    outcome = step.outcome
    if _has_ended(context, logon):
        return _abandon(context, logon, codes.STATUS_USER_SESSION_DELETED)
    if isinstance(outcome, Accepted):
        connection.logons = without(connection.logons, logon.session_id)
        return _accepted(context, message, logon, outcome, step.token, context.now)
    if isinstance(outcome, Refused):
        connection.logons = without(connection.logons, logon.session_id)
        return (yield from _refused(context, logon, outcome))
    # 3.3.5.5.2: a session that is being renewed keeps its id; a new one learns it here.
    return Reply(
        codes.STATUS_MORE_PROCESSING_REQUIRED,
        SessionSetupResponse(0, step.token),
        session_id=logon.session_id,
    )


def _has_ended(context: Context, logon: Logon) -> bool:
    """Whether the session that is to be renewed or bound has ended meanwhile."""
    if (existing := logon.existing) is not None:
        return existing.closing or context.connection.channels.get(logon.session_id) is not existing
    if (binding := logon.binding) is not None:
        return binding.closing or context.server.sessions.find(binding.session) is not binding
    return False


def _drop_ended(context: Context) -> None:
    """Forget the log-ons of the connection that would bind it to sessions that have ended: nobody can go on with them,
    and they would keep the place of others."""
    connection = context.connection
    for logon in [each for each in connection.logons.values() if each.binding is not None]:
        if not logon.busy and _has_ended(context, logon):
            connection.logons = without(connection.logons, logon.session_id)


def _abandon(context: Context, logon: Logon, status: int) -> Reply:
    """The log-on cannot go on, for a reason other than a wrong password."""
    context.connection.logons = without(context.connection.logons, logon.session_id)
    return Reply(status)


def _displaced(context: Context, logon: Logon, attempt: Attempt) -> Reply:
    """Too many attempts on that account wait for their turn. This one's password has not been judged."""
    context.server.service.refuse_logon(context.connection.client_name, attempt.account, Reason.THROTTLED)
    return _abandon(context, logon, codes.STATUS_REQUEST_NOT_ACCEPTED)


def _refused(context: Context, logon: Logon, refusal: Refused) -> Work[Reply]:
    """3.3.5.5.3: the session goes, with all it has open if it was one already; one that was to be bound stays. The
    answer is held back for as long as `throttle` says."""
    connection, now = context.connection, context.now
    service = context.server.service
    malformed = refusal.status in (codes.STATUS_INVALID_PARAMETER, codes.STATUS_NOT_SUPPORTED)
    reason = Reason.MALFORMED if malformed else Reason.CREDENTIALS
    if refusal.outdated:
        service.refuse_logon(
            connection.client_name, refusal.user_name, Reason.NTLMV1, f"{refusal.reason}: {CHOICES[Reason.NTLMV1]}"
        )
    else:
        service.refuse_logon(connection.client_name, refusal.user_name, reason, refusal.reason)
    account = logon.attempt.account if logon.attempt is not None else None
    delay = context.server.throttle.refused(connection.network, account, now)
    connection.held_until = max(connection.held_until, now + delay)
    if delay:
        yield Until(now + delay)
    if logon.existing is not None:
        service.close_session(logon.existing.session, reason)
    return Reply(refusal.status)


def _accepted(
    context: Context, message: SessionSetupRequest, logon: Logon, who: Accepted, token: bytes, now: float
) -> Reply:
    """The log-on has succeeded: a new session, or one that is renewed."""
    connection = context.connection
    if logon.binding is not None:
        return _bind(context, logon.binding, who, token)
    # The domain has the loop's clock.
    expires_at = None if who.expires_at is None else now + who.expires_at - connection.server.wall_clock(now)
    if logon.existing is not None:
        status = _renew(context, logon.existing, who, expires_at)
        encrypt = logon.existing.encrypt
    else:
        encrypt = connection.server.configuration.encryption == "required"
        status = _establish(context, message, logon, who, encrypt, expires_at, now)
    if status:
        return Reply(status)
    session = connection.channels[logon.session_id].session
    connection.server.watch.follow(session, logon.accounts)
    if session.state is State.CLOSED:
        return Reply(codes.STATUS_USER_SESSION_DELETED)
    flags = (
        (SMB2_SESSION_FLAG_IS_GUEST if who.guest else 0)
        | (SMB2_SESSION_FLAG_IS_NULL if who.anonymous else 0)
        | (SMB2_SESSION_FLAG_ENCRYPT_DATA if encrypt else 0)
    )
    return Reply(message=SessionSetupResponse(flags, token), session_id=logon.session_id)


def _bind(context: Context, session: ServerSession, who: Accepted, token: bytes) -> Reply:
    """3.3.5.5.3 for a connection that is to be a channel of a session: its user has logged on here too. The session
    stays as it is, whatever comes of it: its keys, its rights, and when its credentials run out."""
    connection, server, request = context.connection, context.server, context.request
    if who.anonymous or who.guest or session.first_user != (who.user_name, who.domain):
        server.service.refuse_logon(
            connection.client_name, who.user_name, Reason.OTHER_USER, "binds a connection to another user's session"
        )
        return Reply(codes.STATUS_NOT_SUPPORTED)
    if isinstance(found := session_to_bind(context), int):
        return Reply(found)  # as things are now: it may have expired, or have all the channels that it may have
    try:
        server.sessions.bind(session, connection)
    except LimitReached:
        return Reply(codes.STATUS_REQUEST_NOT_ACCEPTED)
    except ValueError:
        return Reply(codes.STATUS_USER_SESSION_DELETED)
    connection.core.bind_channel(session.keys, who.session_key, request=request)
    return Reply(message=SessionSetupResponse(0, token), session_id=session.session.session_id)


def _may_renew(existing: ServerSession, who: Accepted) -> bool:
    """Whether a session may become that of `who` (3.3.5.5.2).

    Its keys are those of its first log-on, and whoever stands on the way may have made that. A session with keys may
    be its first user's, or anonymous; one without keys stays what it is, or requests as a user would be unprotected.
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
        tree.maximal_access = connection.server.judging.allowed(session, tree)
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
    if why := connection.refusal_of_user(who.user_name) if protected else connection.refusal_of_anonymous():
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
    if session.state is State.CLOSED:  # a subscriber ended it at once
        return codes.STATUS_USER_SESSION_DELETED
    first_user = (who.user_name, who.domain) if protected else None
    keys = connection.core.establish_session(
        logon.session_id,
        who.session_key,
        request=context.request,
        sign=protected,
        encrypt=encrypt,
        large_frames=not who.anonymous or bool(server.configuration.null_sessions.shares),
    )
    server.sessions.establish(ServerSession(session, keys, (connection,), first_user=first_user, stranger=who.stranger))
    return codes.STATUS_SUCCESS


def _replace_previous(context: Context, message: SessionSetupRequest, who: Accepted) -> None:
    """3.3.5.5.3: the same user's session of before a reconnect goes, as if its connection had been lost."""
    service = context.server.service
    previous = service.session_by_session_id(message.previous_session_id)
    if previous is None or who.anonymous or previous.anonymous:
        return
    if (fold(previous.user_name), fold(previous.domain)) == (fold(who.user_name), fold(who.domain)):
        service.close_session(previous, Reason.REPLACED)


def handle_logoff(context: Context, message: LogoffRequest) -> Outcome:
    """SMB2 LOGOFF (MS-SMB2 3.3.5.6): on all channels. What is durable stays open."""
    server, session = context.server, context.checked_session
    opens = list(session.opens.values())
    server.service.close_session(session.session, Reason.LOGOFF)
    reply = Reply(message=LogoffResponse())
    if server.service.endings.under_way and server.service.is_ending(session.session):
        context.session = None  # with which it would be cancelled
        return when_many_gone(server.ends, opens, reply)
    return when_gone(opens, reply)
