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
REALM = "EXAMPLE.COM"


class Context:
    """Takes every token; signs by repeating."""

    def __init__(
        self,
        client: str,
        lifetime: float | None = 600,
        *,
        realm: str = "EXAMPLE.COM",
        refused: TicketRefused | None = None,
    ) -> None:
        self.ticket: Ticket | None = None
        self._ticket = Ticket(client, f"cifs/fs1.example.com@{realm}", lifetime, KEY)
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
    accounts.add("administrator", groups=["Administrators"])
    return accounts


def log_on(accounts: Accounts, context: Context) -> tuple[bytes, Accepted | Refused | None]:
    acceptor = Acceptor(
        Accounts(), server_name="FS1", dns_name="fs1", random=bytes, mechanisms=[KerberosAcceptor(context, REALM)]
    )
    acceptor.use_accounts(accounts)
    step = acceptor.step(pack_init(NegTokenInit([MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID], b"ticket")), NOW)
    return step.token, step.outcome


def test_accepted(accounts: Accounts) -> None:
    token, outcome = log_on(accounts, Context("Ann@EXAMPLE.COM"))
    assert outcome == Accepted("Ann", "EXAMPLE.COM", groups=frozenset({"Users"}), session_key=KEY, expires_at=NOW + 600)
    # The first of the client's own names for Kerberos, as Windows answers.
    assert unpack(token) == NegTokenResp(NegState.ACCEPT_COMPLETED, MS_KERBEROS_OID, b"welcome")


def test_ticket_for_ever(accounts: Accounts) -> None:
    _, outcome = log_on(accounts, Context("Ann@EXAMPLE.COM", None))
    assert isinstance(outcome, Accepted)
    assert outcome.expires_at is None


def test_guest(accounts: Accounts) -> None:
    _, outcome = log_on(accounts, Context("Visitor@EXAMPLE.COM"))
    assert isinstance(outcome, Accepted)
    assert outcome.guest


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("bob@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("Gone@EXAMPLE.COM", codes.STATUS_ACCOUNT_DISABLED),
        ("ann@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),  # principals count upper and lower case, and so do realms
        ("ANN@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("admini\u017ftrator@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("adm\u0131n\u0131strator@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("Ann@OTHER.COM", codes.STATUS_LOGON_FAILURE),
        ("Ann@example.com", codes.STATUS_LOGON_FAILURE),
        ("Ann@", codes.STATUS_LOGON_FAILURE),
        ("Ann", codes.STATUS_LOGON_FAILURE),
        ("", codes.STATUS_LOGON_FAILURE),
        ("Ann/admin@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("host/fs1.example.com@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("Ann\\@OTHER.COM@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
        ("Ann\\@EXAMPLE.COM", codes.STATUS_LOGON_FAILURE),
    ],
)
def test_nobody_or_not_allowed(accounts: Accounts, client: str, status: int) -> None:
    token, outcome = log_on(accounts, Context(client))
    assert isinstance(outcome, Refused)
    assert outcome.status == status
    assert token == b""


def test_the_realm_is_the_configured_one(accounts: Accounts) -> None:
    """A keytab may hold keys of realms that do not name our users; who gave us one can make any ticket for it."""
    for client in ("Ann@OTHER.COM", "Ann@EXAMPLE.COM"):
        _, outcome = log_on(accounts, Context(client, realm="OTHER.COM"))
        assert isinstance(outcome, Refused)
        assert "realm EXAMPLE.COM" in outcome.reason or "another realm than EXAMPLE.COM" in outcome.reason


def test_the_log_says_that_letter_case_counts(accounts: Accounts) -> None:
    _, outcome = log_on(accounts, Context("ANN@EXAMPLE.COM"))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "no account goes with the principal; letter case counts, and the account is Ann"


def test_an_exchange_that_does_not_end_at_once(accounts: Accounts) -> None:
    class Waiting(Context):
        def step(self, token: bytes) -> bytes:
            return b"an error token"

    token, outcome = log_on(accounts, Waiting("Ann@EXAMPLE.COM"))
    assert token == b""
    assert outcome == Refused(codes.STATUS_INVALID_PARAMETER, "", "Kerberos: the token brings no ticket")


def test_bad_ticket(accounts: Accounts) -> None:
    refused = TicketRefused(codes.STATUS_TIME_DIFFERENCE_AT_DC, "clock skew")
    _, outcome = log_on(accounts, Context("Ann@EXAMPLE.COM", refused=refused))
    assert outcome == Refused(codes.STATUS_TIME_DIFFERENCE_AT_DC, "", "clock skew")


def test_ntlm_is_offered_too_and_kerberos_first() -> None:
    acceptor = Acceptor(
        Accounts(),
        server_name="FS1",
        dns_name="fs1",
        random=bytes,
        mechanisms=[KerberosAcceptor(Context("a@B"), REALM)],
    )
    hint = unpack(acceptor.hint_token())
    assert isinstance(hint, NegTokenInit)
    assert hint.mech_types == [MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID]
    assert acceptor.may_block
    acceptor.step(pack_init(NegTokenInit([NTLMSSP_OID])), NOW)
    assert not acceptor.may_block
