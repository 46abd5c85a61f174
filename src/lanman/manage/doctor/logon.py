"""The checks of `log-on`: whether the server takes the user for who it is, and why not.

Rules:

  - Of a log-on that failed exactly one check speaks; what the log-on was refused with decides which (`_speaker`).
  - What the server refused is told apart from what this side could not even try.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

from lanman import codes
from lanman.errors import TimedOut, Unprotected
from lanman.manage.doctor.check import Cause, Said, check, ok, problem, warning
from lanman.manage.doctor.facts import Facts, Stage
from lanman.manage.doctor.protocol import encryption_is_missed
from lanman.manage.doctor.report import Mark

# Kerberos allows so many seconds between two clocks (RFC 4120 1.6).
ALLOWED_SKEW: Final = 300.0

_ACCOUNT: Final = MappingProxyType(
    {
        codes.ERROR_PASSWORD_EXPIRED: "password-expired",
        codes.ERROR_PASSWORD_MUST_CHANGE: "password-must-change",
        codes.ERROR_ACCOUNT_DISABLED: "disabled",
        codes.ERROR_ACCOUNT_LOCKED_OUT: "locked",
        codes.ERROR_ACCOUNT_EXPIRED: "account-expired",
        codes.ERROR_ACCOUNT_RESTRICTION: "restriction",
        codes.ERROR_INVALID_LOGON_HOURS: "hours",
        codes.ERROR_INVALID_WORKSTATION: "workstation",
        codes.ERROR_LOGON_TYPE_NOT_GRANTED: "not-from-the-network",
    }
)
"""What of an account may be in the way, by the Win32 code of the refusal."""

_LIMITS: Final = MappingProxyType(
    {
        codes.ERROR_REQ_NOT_ACCEP: "full",
        codes.ERROR_TOO_MANY_SESS: "full",
        codes.ERROR_REMOTE_SESSION_LIMIT_EXCEEDED: "full",
        codes.ERROR_SHARING_PAUSED: "paused",
    }
)
# STATUS_NTLM_BLOCKED (MS-ERREF 2.3) says it outright.
_NTLM_REFUSED: Final = frozenset({codes.STATUS_ACCESS_DENIED, codes.STATUS_NOT_SUPPORTED, 0xC0000418})
_PASSWORD: Final = frozenset({codes.ERROR_LOGON_FAILURE, codes.ERROR_INVALID_PASSWORD, codes.ERROR_NO_SUCH_USER})


def _speaker(facts: Facts) -> str | None:
    """The check that speaks of the log-on that failed; None where none of these does."""
    error = facts.failed_at(Stage.LOGGED_ON)
    if error is None or isinstance(error, Unprotected) or encryption_is_missed(facts):
        return None
    if facts.became:
        return "guest"
    if error.code == codes.ERROR_TIME_SKEW:
        return "clocks"
    if error.code in _ACCOUNT:
        return "account"
    if error.code in _LIMITS:
        return "room"
    if error.code == codes.ERROR_NOT_AUTHENTICATED:
        return "credentials"
    return "password" if facts.refused and error.code in _PASSWORD else "mechanism"


def _text(facts: Facts) -> str:
    assert facts.failure is not None
    return facts.failure.text


def _seen(facts: Facts) -> dict[str, Any]:
    """The evidence of a refusal."""
    assert facts.failure is not None
    return {"code": facts.failure.code, "status": f"0x{facts.refused:08x}" if facts.refused else None}


@check(
    "LD040",
    "log-on",
    "credentials",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether there is anything that proves who the user is: a password, an NT hash, a Kerberos ticket.",
    means="Nothing was sent: the log-on could not even be tried.",
    causes=(
        Cause(
            "no-ticket",
            "a log-on by Kerberos was asked for (-k), and no ticket of the user can be used",
            "get one with `kinit`, see what there is with `klist`, or log on with a password (without -k)",
        ),
        Cause("no-password", "neither a password nor an NT hash was given", "give it with -A FILE, or be asked for it"),
    ),
)
def credentials(facts: Facts) -> Iterator[Said]:
    """Why there was nothing to send."""
    if _speaker(facts) == "credentials":
        yield problem(_text(facts), "no-ticket" if facts.credentials.kerberos else "no-password", **_seen(facts))


@check(
    "LD041",
    "log-on",
    "password",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether the server accepts user name and password, or the Kerberos ticket.",
    means="The server was asked once and said no. It does not tell a wrong name from a wrong password.",
    causes=(
        Cause(
            "wrong-password",
            "the server says LOGON_FAILURE for {who}",
            "check the name, its domain (DOMAIN\\USER, or SERVER\\USER for an account of that machine) and the "
            "password; some accounts are locked after a few attempts",
        ),
        Cause(
            "ticket-refused",
            "the server took the ticket of {who} and says LOGON_FAILURE: it lacks the key for the name that was asked "
            "for, or knows no such user",
            "see that its keytab has cifs/{server} with the realm's newest key (klist -k), or log on without -k",
        ),
    ),
)
def password(facts: Facts) -> Iterator[Said]:
    """Whether the log-on was accepted."""
    if _speaker(facts) == "password":
        kerberos = facts.credentials.kerberos
        yield problem(_text(facts), "ticket-refused" if kerberos else "wrong-password", **_seen(facts))
    elif facts.stage >= Stage.LOGGED_ON:
        if facts.credentials.anonymous:
            yield ok("a null session, as nobody", mechanism="anonymous")
            return
        mechanism = "Kerberos" if facts.credentials.kerberos else "NTLM"
        yield ok(f"{mechanism} as {facts.who}", mechanism=mechanism, user_name=facts.who)


@check(
    "LD042",
    "log-on",
    "account",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether something of the account, rather than its password, keeps it from logging on.",
    means="The server knows the user, and says what is in the way. Some say so only after the right password.",
    causes=(
        Cause(
            "password-expired",
            "the password of {who} has expired",
            "change it: smbpasswd -r {server} -U USER, or at a Windows with Ctrl+Alt+Del",
        ),
        Cause(
            "password-must-change",
            "the password of {who} has to be changed before the first log-on",
            "change it: smbpasswd -r {server} -U USER, or at a Windows with Ctrl+Alt+Del",
        ),
        Cause(
            "disabled",
            "the account of {who} is disabled",
            "an administrator enables it: Enable-LocalUser or Enable-ADAccount, smbpasswd -e USER on a Samba, "
            "lanman user USER /ACTIVE:YES on a lanman Server",
        ),
        Cause(
            "locked",
            "the account of {who} is locked after too many wrong passwords",
            "wait, or have an administrator unlock it (Unlock-ADAccount, pdbedit -z USER on a Samba); find what "
            "still uses the old password",
        ),
        Cause("account-expired", "the account of {who} has expired", "an administrator can set a later date"),
        Cause(
            "restriction",
            "the account of {who} has a restriction: mostly that without a password it may not log on over the network",
            "give it a password",
        ),
        Cause(
            "hours",
            "{who} may not log on at this hour",
            "come back later, or have an administrator change the hours (net user USER /times:all)",
        ),
        Cause(
            "workstation",
            "{who} may not log on from this machine",
            "log on from one that the account names, or have an administrator add this one (userWorkstations)",
        ),
        Cause(
            "not-from-the-network",
            "{who} lacks the right to access that computer from the network, or is denied it",
            "there, in the local security policy: SeNetworkLogonRight, SeDenyNetworkLogonRight",
        ),
    ),
)
def account(facts: Facts) -> Iterator[Said]:
    """What of the account is in the way."""
    if _speaker(facts) == "account":
        assert facts.failure is not None
        yield problem(_text(facts), _ACCOUNT[facts.failure.code], **_seen(facts))


@check(
    "LD043",
    "log-on",
    "guest",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether the server made the user a guest, or nobody, instead of refusing.",
    means="A guest's session has no key, so nothing of it is protected, and guests may not manage. lanman does not use "
    "it where credentials were given.",
    causes=(
        Cause(
            "mapped-to-guest",
            "the server does not know {who} and made the session {kind} one (`map to guest = bad user` of a Samba, "
            "insecure guest log-ons of a NAS)",
            "check the user name; on a Samba, add the user with smbpasswd -a USER, or set `map to guest = never`",
        ),
    ),
)
def guest(facts: Facts) -> Iterator[Said]:
    """Whether the user was made a guest."""
    if _speaker(facts) == "guest":
        kind = "a guest's" if facts.became == "a guest" else "an anonymous"
        yield problem(_text(facts), "mapped-to-guest", values={"kind": kind}, became=facts.became)


@check(
    "LD044",
    "log-on",
    "mechanism",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether the way of proving who one is works: NTLM, or Kerberos with its realm and its key distribution "
    "centre.",
    means="It is not the user or the password that failed, as far as that can be told.",
    causes=(
        Cause(
            "kerberos",
            "{reason}",
            "name the server by its full name and never by an address; see realm and KDC in krb5.conf; `kinit` anew",
        ),
        Cause(
            "ntlm-refused",
            "the server refuses NTLM itself (policy Restrict NTLM, Protected Users), or every log-on from here",
            "log on by Kerberos: kinit USER@REALM, then -k",
        ),
        Cause(
            "no-logon-servers",
            "that server reaches no domain controller that could say who {who} is",
            "see there that the domain can be reached: nltest /sc_verify:DOMAIN, wbinfo -t on a Samba; an account of "
            "that machine itself may still log on (SERVER\\USER)",
        ),
        Cause("not-finished", "{reason}", "look at the log of the server; try again"),
    ),
)
def mechanism(facts: Facts) -> Iterator[Said]:
    """Why the mechanism failed."""
    if _speaker(facts) != "mechanism":
        return
    assert facts.failure is not None
    if facts.refused and facts.failure.code == codes.ERROR_NO_LOGON_SERVERS:
        cause = "no-logon-servers"
    elif facts.credentials.kerberos:
        cause = "kerberos"
    else:
        cause = "ntlm-refused" if facts.refused in _NTLM_REFUSED else "not-finished"
    reason = facts.failure.text
    # What a deadline that ran out hints at is the server, and not what it waited for.
    fix = None if isinstance(facts.failure, TimedOut) or cause != "kerberos" else facts.failure.hint
    yield problem(reason, cause, fix=fix, values={"reason": reason}, **_seen(facts))


@check(
    "LD045",
    "log-on",
    "clocks",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="How far the server's clock is from this machine's: by NetrRemoteTOD, else as NTLM or NEGOTIATE tell it.",
    means="Kerberos refuses tickets when clocks differ by more than five minutes. NTLM goes on working, but ages and "
    "times that the server lists are wrong by as much.",
    causes=(
        Cause(
            "skew",
            "Kerberos refused it for the clocks; {clocks}",
            "set the clocks by NTP: timedatectl set-ntp true here, w32tm /resync on a Windows",
        ),
        Cause(
            "far-apart",
            "a log-on by Kerberos would be refused",
            "set the clocks by NTP: timedatectl set-ntp true here, w32tm /resync on a Windows",
        ),
    ),
)
def clocks(facts: Facts) -> Iterator[Said]:
    """How far apart the clocks are."""
    clock = facts.clock
    apart = None if clock is None else _difference(clock.ahead)
    if _speaker(facts) == "clocks":
        told = "whose clock differs is not known" if clock is None else f"by {clock.told_by} {apart}"
        yield problem(
            _text(facts), "skew", values={"clocks": told}, seconds_ahead=None if clock is None else round(clock.ahead)
        )
    elif clock is not None and apart is not None and facts.stage >= Stage.NEGOTIATED:
        seen: dict[str, Any] = {"seconds_ahead": round(clock.ahead), "told_by": clock.told_by}
        if abs(clock.ahead) > ALLOWED_SKEW:
            yield warning(apart, "far-apart", **seen)
        else:
            yield ok(apart, **seen)


def _difference(ahead: float) -> str:
    seconds = abs(round(ahead))
    if seconds <= ALLOWED_SKEW:
        return f"clocks differ by {seconds} s" if seconds else "clocks agree"
    hours, rest = divmod(seconds, 3600)
    if hours >= 48:
        amount = f"{hours // 24} days"
    else:
        amount = f"{hours} h {rest // 60:02} min" if hours else f"{rest // 60} min"
    return f"its clock is {amount} {'ahead of' if ahead > 0 else 'behind'} this machine's"


@check(
    "LD046",
    "log-on",
    "room",
    stage=Stage.LOGGED_ON,
    severity=Mark.PROBLEM,
    looks_at="Whether the server admits one more session.",
    means="The user may be right, and there is no room, or nobody is let in now.",
    causes=(
        Cause(
            "full",
            "it has as many sessions as it allows (20 on a client Windows, `max_sessions` of a lanman Server), or too "
            "many wrong passwords come from here at once",
            "end sessions there that nobody needs, or try again later",
        ),
        Cause(
            "paused",
            "its Server service is paused: who is there stays, nobody else gets in but administrators",
            "continue it there: lanman continue server, net continue server",
        ),
    ),
)
def room(facts: Facts) -> Iterator[Said]:
    """Whether there is room."""
    if _speaker(facts) == "room":
        assert facts.failure is not None
        yield problem(_text(facts), _LIMITS[facts.failure.code], **_seen(facts))
