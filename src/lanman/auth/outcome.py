"""The outcome of a log-on, and the interface of a security mechanism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol

from lanman.auth.accounts import Accounts
from lanman.plain import dataclass


@dataclass(slots=True, frozen=True)
class Accepted:
    """A log-on that succeeded.

    `user_name` is the account's name as the account file writes it, whatever case the client used; it is empty for
    an anonymous log-on. `domain` is the authority that vouched for the name: this server's own name for its own
    accounts. `session_key` has 16 bytes or, from Kerberos, more; that of an anonymous log-on, and of a `stranger` let
    in as guest, who has no account, is known to everybody and protects nothing (MS-NLMP 3.4). `expires_at` is when the
    credentials run out, in seconds since 1970; None is never.
    """

    user_name: str
    domain: str = ""
    workstation: str = ""
    groups: frozenset[str] = frozenset()
    session_key: bytes = field(default=bytes(16), repr=False)
    anonymous: bool = False
    guest: bool = False
    stranger: bool = False
    expires_at: float | None = None


@dataclass(slots=True, frozen=True)
class Refused:
    """A log-on that failed.

    `status` is the NTSTATUS for the client, and never tells a wrong name from a wrong password. `user_name` is what
    the client claimed; `reason` says what was wrong. Both are for the server's log only.
    `outdated`: the client used a version of the mechanism that is never accepted.
    """

    status: int
    user_name: str = ""
    reason: str = ""
    outdated: bool = False


@dataclass(slots=True, frozen=True)
class Step:
    """One round trip of a log-on: the `token` for the client, and the `outcome`, None while another must follow."""

    token: bytes = b""
    outcome: Accepted | Refused | None = None


class SecurityContext(Protocol):
    """What signs the list of mechanisms once a mechanism has finished (RFC 4178 section 5)."""

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, made by this side."""

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether the peer made `signature` over `data`."""


class Mechanism(Protocol):
    """The server's half of a security mechanism; NTLM is one, Kerberos can be another.

    `accounts` are those that it decides by; they are replaced before a round trip that could end the log-on.
    """

    accounts: Accounts

    @property
    def oids(self) -> Sequence[bytes]:
        """Content bytes of the object identifiers it answers to, the preferred one first."""

    @property
    def security(self) -> SecurityContext | None:
        """Set once the client is accepted. None without a key to sign with: anonymous, or an unknown user as guest."""

    def step(self, token: bytes, now: float) -> Step:
        """Take the client's token; `now` is in seconds since 1970. A refusal is an outcome; raises MalformedMessage."""
