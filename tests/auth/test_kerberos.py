"""Whom a ticket stands for, told by a context that says what it is given. Real ones: tests/net/test_kerberos.py."""

from __future__ import annotations

import pytest

from lanman import codes
from lanman.auth.acceptor import Accepted, Acceptor, Refused
from lanman.auth.accounts import Accounts
from lanman.auth.kerberos import KerberosAcceptor, Ticket, TicketRefused
from lanman.auth.ntlm import NTLMSSP_OID
from lanman.auth.spnego import (
    KERBEROS_OID,
    MS_KERBEROS_OID,
    NegState,
    NegTokenInit,
    NegTokenResp,
    pack_init,
    unpack,
)

NOW = 1_700_000_000.0
KEY = bytes(range(32))


class Context:
    """Takes every token; signs by repeating."""

    def __init__(self, client: str, lifetime: float | None = 600, *, refused: TicketRefused | None = None) -> None:
        self.ticket: Ticket | None = None
        self._ticket = Ticket(client, "cifs/fs1.example.com@EXAMPLE.COM", lifetime, KEY)
        self._refused = refused

    def step(self, token: bytes) -> bytes:
        if self._refused is not None:
            raise self._refused
        self.ticket = self._ticket
        return b"welcome"

    def sign(self, data: bytes) -> bytes:
        return b"mic" + data

    def verify(self, data: bytes, signature: bytes) -> bool:
        return signature == b"mic" + data


@pytest.fixture
def accounts() -> Accounts:
    accounts = Accounts()
    accounts.add("Ann")
    accounts.add("Gone", disabled=True)
    accounts.add("Visitor", groups=["Guests"])
    accounts.add("host")
    return accounts


def log_on(accounts: Accounts, context: Context) -> tuple[bytes, Accepted | Refused | None]:
    acceptor = Acceptor(
        Accounts(), server_name="FS1", dns_name="fs1", random=bytes, mechanisms=[KerberosAcceptor(context)]
    )
    acceptor.use_accounts(accounts)
    step = acceptor.step(pack_init(NegTokenInit([MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID], b"ticket")), NOW)
    return step.token, step.outcome


def test_accepted(accounts: Accounts) -> None:
    token, outcome = log_on(accounts, Context("ann@EXAMPLE.COM"))
    assert outcome == Accepted("Ann", "EXAMPLE.COM", groups=frozenset({"Users"}), session_key=KEY, expires_at=NOW + 600)
    # The first of the client's own names for Kerberos, as Windows answers.
    assert unpack(token) == NegTokenResp(NegState.ACCEPT_COMPLETED, MS_KERBEROS_OID, b"welcome")


def test_ticket_for_ever(accounts: Accounts) -> None:
    _, outcome = log_on(accounts, Context("ann@EXAMPLE.COM", None))
    assert isinstance(outcome, Accepted)
    assert outcome.expires_at is None


def test_guest(accounts: Accounts) -> None:
    _, outcome = log_on(accounts, Context("visitor@EXAMPLE.COM"))
    assert isinstance(outcome, Accepted)
    assert outcome.guest


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("bob@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("gone@EXAMPLE.COM", codes.STATUS_ACCOUNT_DISABLED),
        ("ann@OTHER.COM", codes.STATUS_LOGON_FAILURE),
        ("ann@example.com", codes.STATUS_LOGON_FAILURE),  # realms count upper and lower case
        ("ann@", codes.STATUS_LOGON_FAILURE),
        ("ann", codes.STATUS_LOGON_FAILURE),
        ("", codes.STATUS_LOGON_FAILURE),
        ("ann/admin@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("host/fs1.example.com@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("ann\\@OTHER.COM@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("ann\\@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
    ],
)
def test_nobody_or_not_allowed(accounts: Accounts, client: str, status: int) -> None:
    token, outcome = log_on(accounts, Context(client))
    assert isinstance(outcome, Refused)
    assert outcome.status == status
    assert token == b""


def test_bad_ticket(accounts: Accounts) -> None:
    refused = TicketRefused(codes.STATUS_TIME_DIFFERENCE_AT_DC, "clock skew")
    _, outcome = log_on(accounts, Context("ann@EXAMPLE.COM", refused=refused))
    assert outcome == Refused(codes.STATUS_TIME_DIFFERENCE_AT_DC, "", "clock skew")


def test_ntlm_is_offered_too_and_kerberos_first() -> None:
    acceptor = Acceptor(
        Accounts(), server_name="FS1", dns_name="fs1", random=bytes, mechanisms=[KerberosAcceptor(Context("a@B"))]
    )
    hint = unpack(acceptor.hint_token())
    assert isinstance(hint, NegTokenInit)
    assert hint.mech_types == [MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID]
    assert acceptor.may_block
    acceptor.step(pack_init(NegTokenInit([NTLMSSP_OID])), NOW)
    assert not acceptor.may_block
