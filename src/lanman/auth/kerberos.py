"""The server's half of a Kerberos log-on: whom a good ticket stands for, and until when.

Whether a ticket is good is for the system's GSS-API to say (`lanman.net.kerberos`); which account it means is decided
here. A principal of the server's own realm means the account of that name: `ann@EXAMPLE.COM` is ann. One of another
realm, or one of several components such as `ann/admin`, means nobody: a realm that is trusted to name its own people is
not thereby trusted to name ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from lanman import codes
from lanman.auth.accounts import Account, Accounts
from lanman.auth.outcome import Accepted, Refused, SecurityContext, Step
from lanman.auth.spnego import KERBEROS_OID, MS_KERBEROS_OID
from lanman.errors import LanmanError

# What is kept of a name that a client claims.
_MAX_NAME: Final = 256


class TicketRefused(LanmanError):
    """A ticket is not good. `status` is what the client is told, the message is for the server's log."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, code=codes.ntstatus_to_win32(status))
        self.status = status


@dataclass(slots=True, frozen=True)
class Ticket:
    """What a good ticket says.

    `client` and `service` are principals as text; `lifetime` is how many seconds it is still good for, None for ever;
    `session_key` is whole, whatever its length.
    """

    client: str
    service: str
    lifetime: float | None
    session_key: bytes


class TicketContext(SecurityContext, Protocol):
    """The server's half of one exchange of GSS-API's Kerberos mechanism."""

    def step(self, token: bytes) -> bytes:
        """Take the client's token and give the answer, which may be empty. Raises TicketRefused."""

    @property
    def ticket(self) -> Ticket | None:
        """Set once the exchange is over."""


class KerberosAcceptor:
    """One Kerberos log-on, as a mechanism of `lanman.auth.acceptor.Acceptor`."""

    oids: Final = (MS_KERBEROS_OID, KERBEROS_OID)

    def __init__(self, context: TicketContext) -> None:
        self.accounts = Accounts()
        self.security: SecurityContext | None = None
        self._context = context

    def step(self, token: bytes, now: float) -> Step:
        """Take the client's token; `now` is in seconds since 1970."""
        try:
            answer = self._context.step(token)
        except TicketRefused as error:
            return Step(outcome=Refused(error.status, "", error.message))
        if (ticket := self._context.ticket) is None:
            return Step(answer)
        account = account_of(self.accounts, ticket)
        claimed = ticket.client[:_MAX_NAME]
        if account is None:
            return Step(outcome=Refused(codes.STATUS_LOGON_FAILURE, claimed, "no account goes with the principal"))
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


def account_of(accounts: Accounts, ticket: Ticket) -> Account | None:
    """The account that a ticket's principal means; None if there is none."""
    name, _, realm = ticket.client.rpartition("@")
    # A backslash escapes what would divide the principal: no account is called so.
    if not realm or realm != ticket.service.rpartition("@")[2] or any(sign in name for sign in "/@\\"):
        return None
    return accounts.find(name)
