"""The server's half of a Kerberos log-on: which account a valid ticket means, and until when.

The system's GSS-API verifies the ticket (`lanman.net.kerberos`); which account it means is decided here. A principal of
the configured realm means the account of exactly that name: `ann@EXAMPLE.COM` is ann, and neither
`Ann@EXAMPLE.COM` nor anything that looks like it is, since realms are case-sensitive and may have given each of these
names to another user (RFC 4120 6.2). A principal of another realm, or one of several components such as `ann/admin`,
means no account: a realm that is trusted for its own users is not trusted to name ours. The same holds for a realm that
has given this server a key, so the key that decrypted the ticket must be of the configured realm too.
"""

from __future__ import annotations

from dataclasses import field
from typing import Final, Protocol

from lanman import codes
from lanman.auth.accounts import Account, Accounts
from lanman.auth.outcome import Accepted, Refused, SecurityContext, Step
from lanman.auth.spnego import KERBEROS_OID, MS_KERBEROS_OID
from lanman.errors import LanmanError
from lanman.plain import dataclass

# What is kept of a name that a client claims.
_MAX_NAME: Final = 256


class TicketRefused(LanmanError):
    """A ticket is not valid. `status` is what the client is told, the message is for the server's log."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, code=codes.ntstatus_to_win32(status))
        self.status = status


@dataclass(slots=True, frozen=True)
class Ticket:
    """What a valid ticket says.

    `client` and `service` are principals as text; `lifetime` is how many seconds it is still valid, None without end;
    `session_key` is whole, whatever its length.
    """

    client: str
    service: str
    lifetime: float | None
    session_key: bytes = field(repr=False)


class TicketContext(SecurityContext, Protocol):
    """The server's half of one exchange of GSS-API's Kerberos mechanism."""

    def step(self, token: bytes) -> bytes:
        """Take the client's token and give the answer, which may be empty. Raises TicketRefused."""

    @property
    def ticket(self) -> Ticket | None:
        """Set once the exchange is over."""


class KerberosAcceptor:
    """One Kerberos log-on, as a mechanism of `lanman.auth.acceptor.Acceptor`. `realm` is the one that names our users.

    The client sends one token: SMB does not use the exchange of three (RFC 4757 7.3, DCE style).
    """

    oids: Final = (MS_KERBEROS_OID, KERBEROS_OID)

    def __init__(self, context: TicketContext, realm: str) -> None:
        self.accounts = Accounts()
        self._realm = realm
        self.security: SecurityContext | None = None
        self._context = context

    def step(self, token: bytes, now: float) -> Step:
        """Take the client's token; `now` is in seconds since 1970."""
        try:
            answer = self._context.step(token)
        except TicketRefused as error:
            return Step(outcome=Refused(error.status, "", error.message))
        if (ticket := self._context.ticket) is None:
            # MIT's library answers a token of an unknown kind (TOK_ID, RFC 4121 4.1) with an error token and waits on.
            return Step(outcome=Refused(codes.STATUS_INVALID_PARAMETER, "", "Kerberos: the token brings no ticket"))
        account, problem = account_of(self.accounts, ticket, self._realm)
        claimed = ticket.client[:_MAX_NAME]
        if account is None:
            return Step(outcome=Refused(codes.STATUS_LOGON_FAILURE, claimed, problem))
        if account.disabled:
            return Step(outcome=Refused(codes.STATUS_ACCOUNT_DISABLED, account.name, "the account is disabled"))
        self.security = self._context
        accepted = Accepted(
            account.name,
            ticket.client.rpartition("@")[2],
            groups=account.groups,
            session_key=ticket.session_key.ljust(16, b"\0"),
            guest=self.accounts.is_guest(account),
            expires_at=None if ticket.lifetime is None else now + ticket.lifetime,
        )
        return Step(answer, accepted)


def account_of(accounts: Accounts, ticket: Ticket, realm: str) -> tuple[Account | None, str]:
    """The account that a ticket's principal means; or None, and why there is none."""
    name, _, client_realm = ticket.client.rpartition("@")
    service_realm = ticket.service.rpartition("@")[2]
    if not realm or client_realm != realm:
        return None, f"the principal is not of the realm {realm}"
    if service_realm != realm:
        return None, f"the ticket is for the key of another realm than {realm}: {ticket.service[:_MAX_NAME]}"
    # A backslash escapes a separator within a component; no account has such a name.
    if any(sign in name for sign in "/@\\"):
        return None, "no account goes with a principal of several parts"
    if (account := accounts.users.get(name)) is not None:
        return account, ""
    if (similar := accounts.find(name)) is not None:
        return None, f"no account goes with the principal; letter case counts, and the account is {similar.name}"
    return None, "no account goes with the principal"
