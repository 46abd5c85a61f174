"""The server's half of NTLMv2 (MS-NLMP 3.2.5.1).

Its rules:

  - Only NTLMv2 is accepted. A 24-byte NT response is NTLMv1 and an LM response alone is LM; both are refused.
  - An unknown user, and one without a password, costs the same computation as a wrong password and gets the same
    answer. That an account is disabled is disclosed only after its password is verified.
  - The response is computed over the domain name as the client sent it. The domain selects nothing: all accounts are
    local, so ANY\\ann is ann, and ann@any.where too unless an account has that name.
  - Where MsvAvFlags announces a MIC it must be present and right; the response covers the flag, so an attacker cannot
    remove it. Channel bindings are for TLS and are ignored.
  - The client's timestamp is not compared with our clock, as Samba does not either: what makes a response fresh is
    the server challenge, which is random and used for one log-on.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from lanman import codes
from lanman.auth.accounts import MAX_NAME, Account, Accounts
from lanman.auth.md4 import nt_hash
from lanman.auth.ntlm import (
    MIC_LENGTH,
    MIC_PROVIDED,
    NEGOTIATE,
    NTLMSSP_NEGOTIATE_56,
    NTLMSSP_NEGOTIATE_128,
    NTLMSSP_NEGOTIATE_ALWAYS_SIGN,
    NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY,
    NTLMSSP_NEGOTIATE_KEY_EXCH,
    NTLMSSP_NEGOTIATE_NTLM,
    NTLMSSP_NEGOTIATE_OEM,
    NTLMSSP_NEGOTIATE_SEAL,
    NTLMSSP_NEGOTIATE_SIGN,
    NTLMSSP_NEGOTIATE_TARGET_INFO,
    NTLMSSP_NEGOTIATE_UNICODE,
    NTLMSSP_NEGOTIATE_VERSION,
    NTLMSSP_OID,
    NTLMSSP_REQUEST_TARGET,
    NTLMSSP_TARGET_TYPE_SERVER,
    VERSION,
    AuthenticateMessage,
    ChallengeMessage,
    MsvAvDnsComputerName,
    MsvAvDnsDomainName,
    MsvAvFlags,
    MsvAvNbComputerName,
    MsvAvNbDomainName,
    MsvAvTimestamp,
    SessionSecurity,
    expect,
    hmac_md5,
    ntowf_v2,
    packed_filetime,
    rc4k,
    security_context,
    unpack_av_pairs,
)
from lanman.auth.outcome import Accepted, Refused, Step
from lanman.errors import MalformedMessage
from lanman.names import GUESTS, fold, upper_each

# What the server grants of what a client asks for; the rest of the CHALLENGE flags it sets itself (3.2.5.1.1).
_GRANTED: Final = (
    NTLMSSP_NEGOTIATE_UNICODE
    | NTLMSSP_NEGOTIATE_OEM
    | NTLMSSP_REQUEST_TARGET
    | NTLMSSP_NEGOTIATE_SIGN
    | NTLMSSP_NEGOTIATE_SEAL
    | NTLMSSP_NEGOTIATE_ALWAYS_SIGN
    | NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY
    | NTLMSSP_NEGOTIATE_VERSION
    | NTLMSSP_NEGOTIATE_128
    | NTLMSSP_NEGOTIATE_KEY_EXCH
    | NTLMSSP_NEGOTIATE_56
)

_BLANK_PASSWORD: Final = nt_hash("")


class NtlmAcceptor:
    """The server's half of one NTLMv2 log-on: NEGOTIATE in, CHALLENGE out, AUTHENTICATE in, an outcome.

    `random(n)` gives n unpredictable bytes. With `allow_guest` an unknown name is logged on as Guest, as Windows and
    Samba can be configured; a wrong password for a known name never is. `version` is what the CHALLENGE calls this
    product (2.2.2.10), `domain_name` the domain that it is in.
    """

    oids: Final = (NTLMSSP_OID,)

    def __init__(
        self,
        accounts: Accounts,
        *,
        server_name: str,
        dns_name: str,
        random: Callable[[int], bytes],
        allow_anonymous: bool = True,
        allow_guest: bool = False,
        version: bytes = VERSION,
        domain_name: str = "",
    ) -> None:
        self.security: SessionSecurity | None = None
        self.accounts = accounts
        self._server_name = server_name
        self._dns_name = dns_name
        self._random = random
        self._allow_anonymous = allow_anonymous
        self._allow_guest = allow_guest
        self._version = version
        # A machine that is in no domain is its own.
        self._domain_name = domain_name or server_name
        self._negotiate = b""
        self._challenge = b""
        self._server_challenge = b""
        self._flags = 0
        self._read: tuple[bytes, AuthenticateMessage] | None = None

    def step(self, token: bytes, now: float) -> Step:
        """Take the client's NEGOTIATE or AUTHENTICATE; `now` is in seconds since 1970. Raises MalformedMessage."""
        if not self._challenge:
            return Step(self._answer_negotiate(token, now))
        return Step(outcome=self._answer_authenticate(token))

    def claimed_account(self, token: bytes) -> str | None:
        """The account whose password an AUTHENTICATE would prove: its name as the file has it, folded; without such
        an account, the name as claimed, less what follows an @. None if it carries no response. Raises
        MalformedMessage.
        """
        if not self._challenge:
            return None
        message = self._authenticate(token)
        if message.is_anonymous:
            return None
        account = self._find(message.user_name)
        return fold(account.name if account is not None else message.user_name.partition("@")[0][:MAX_NAME])

    def _authenticate(self, token: bytes) -> AuthenticateMessage:
        """The AUTHENTICATE that `token` is, which is read once however often it is asked for."""
        if self._read is None or self._read[0] != token:
            self._read = token, AuthenticateMessage.unpack(token)
        return self._read[1]

    def _answer_negotiate(self, token: bytes, now: float) -> bytes:
        # 3.2.5.1.1. Only the flags matter, and old clients send no more than those.
        expect(token, NEGOTIATE, 16)
        flags = int.from_bytes(token[12:16], "little") & _GRANTED
        if flags & NTLMSSP_NEGOTIATE_UNICODE:
            flags &= ~NTLMSSP_NEGOTIATE_OEM
        elif not flags & NTLMSSP_NEGOTIATE_OEM:
            raise MalformedMessage("NTLM NEGOTIATE that offers no character set")
        flags |= NTLMSSP_NEGOTIATE_NTLM | NTLMSSP_NEGOTIATE_TARGET_INFO | NTLMSSP_TARGET_TYPE_SERVER
        before, between, after = _around_challenge(
            flags, self._server_name, self._dns_name, self._domain_name, self._version
        )
        self._server_challenge = self._random(8)
        self._flags = flags
        self._negotiate = token
        self._challenge = b"".join((before, self._server_challenge, between, packed_filetime(now), after))
        return self._challenge

    def _answer_authenticate(self, token: bytes) -> Accepted | Refused:
        # 3.2.5.1.2
        message = self._authenticate(token)
        if message.is_anonymous:
            return self._answer_anonymous(message)
        user_name = message.user_name[:MAX_NAME]
        if len(message.nt_response) <= 24:
            kind = "NTLMv1" if message.nt_response else "LM"
            return Refused(
                codes.STATUS_LOGON_FAILURE, user_name, f"{kind} response, and only NTLMv2 is accepted", outdated=True
            )
        # 2.2.2.7: NTProofStr, 16 bytes, then the blob whose fixed part has 28 bytes.
        if len(message.nt_response) < 44:
            raise MalformedMessage("NTLMv2 response that is too short")
        pairs = unpack_av_pairs(message.nt_response[44:])
        account = self._find(message.user_name)
        base_key = self._prove(account, message)
        if base_key is None or account is None:
            return self._answer_failure(account, message)
        # 3.4.5.1: for NTLMv2 the key exchange key is the session base key.
        session_key = _exchange_key(message, base_key, self._flags)
        if session_key is None:
            return Refused(codes.STATUS_INVALID_PARAMETER, user_name, "encrypted session key of a wrong length")
        if not self._check_mic(token, message, pairs, session_key):
            return Refused(codes.STATUS_INVALID_PARAMETER, user_name, "the MIC is missing or wrong")
        if account.disabled:
            return Refused(codes.STATUS_ACCOUNT_DISABLED, account.name, "the account is disabled")
        if account.nt_hash == _BLANK_PASSWORD:
            # As on Windows: a blank password is good at the console only, never over the network.
            return Refused(codes.STATUS_ACCOUNT_RESTRICTION, account.name, "the account has a blank password")
        # An account in Guests has a key like any other; that SMB2 signs no guest's session is decided in SMB2.
        self.security = security_context(message.flags & self._flags or self._flags, session_key, server=True)
        return Accepted(
            account.name,
            self._server_name,
            message.workstation[:MAX_NAME],
            account.groups,
            session_key,
            guest=self.accounts.is_guest(account),
        )

    def _answer_anonymous(self, message: AuthenticateMessage) -> Accepted | Refused:
        if not self._allow_anonymous:
            return Refused(codes.STATUS_ACCESS_DENIED, "", "anonymous log-on is not allowed")
        # 3.3.2: the key of an anonymous log-on is 16 zero bytes, which then serve the key exchange like any other.
        key = _exchange_key(message, bytes(16), self._flags) or bytes(16)
        return Accepted("", "", message.workstation[:MAX_NAME], session_key=key, anonymous=True)

    def _answer_failure(self, account: Account | None, message: AuthenticateMessage) -> Accepted | Refused:
        if account is not None:
            reason = "wrong password" if account.nt_hash else "the account has no password"
            return Refused(codes.STATUS_LOGON_FAILURE, message.user_name[:MAX_NAME], reason)
        if self._allow_guest and message.user_name:
            workstation = message.workstation[:MAX_NAME]
            return Accepted("Guest", self._server_name, workstation, frozenset({GUESTS}), guest=True, stranger=True)
        return Refused(codes.STATUS_LOGON_FAILURE, message.user_name[:MAX_NAME], "unknown user")

    def _find(self, user_name: str) -> Account | None:
        if (account := self.accounts.find(user_name)) is None and "@" in user_name:
            account = self.accounts.find(user_name.partition("@")[0])
        return account

    def _prove(self, account: Account | None, message: AuthenticateMessage) -> bytes | None:
        """The session base key if the response proves the password; else None, after the same amount of work."""
        known = account.nt_hash if account is not None and account.nt_hash else self._random(16)
        proof, blob = message.nt_response[:16], message.nt_response[16:]
        base_key = None
        # Windows upper-cases by its table, others as Unicode has it, by the character (ς to Σ) or by the string (ß to
        # SS). Which account is meant does not depend on it. And 3.2.5.1.2: servers should bear with clients that
        # leave the domain out of the computation.
        for upper in _upper_cases(message.user_name):
            for domain in {message.domain_name, ""}:
                response_key = ntowf_v2(known, upper, domain)
                expected = hmac_md5(response_key, self._server_challenge + blob)
                if hmac.compare_digest(expected, proof):
                    base_key = hmac_md5(response_key, expected)
        return base_key if account is not None and account.nt_hash else None

    def _check_mic(
        self, token: bytes, message: AuthenticateMessage, pairs: dict[int, bytes], session_key: bytes
    ) -> bool:
        # 3.2.5.1.2: HMAC_MD5 over the three messages, the last with its MIC zeroed.
        if not int.from_bytes(pairs.get(MsvAvFlags, b""), "little") & MIC_PROVIDED:
            return True
        at = message.mic_offset
        if not at:
            return False
        end = at + MIC_LENGTH
        blanked = token[:at] + bytes(MIC_LENGTH) + token[end:]
        return hmac.compare_digest(hmac_md5(session_key, self._negotiate + self._challenge + blanked), token[at:end])


@lru_cache(64)
def _around_challenge(
    flags: int, server_name: str, dns_name: str, domain_name: str, version: bytes
) -> tuple[bytes, bytes, bytes]:
    """A CHALLENGE but for the challenge itself and its time, in three pieces. Clients ask for few different flags."""
    dns = dns_name.encode("utf-16-le")
    packed = ChallengeMessage(
        flags,
        bytes(8),
        server_name,
        {
            MsvAvNbDomainName: domain_name.encode("utf-16-le"),
            MsvAvNbComputerName: server_name.encode("utf-16-le"),
            MsvAvDnsDomainName: dns,
            MsvAvDnsComputerName: dns,
            MsvAvTimestamp: bytes(8),
        },
        version,
    ).pack()
    return packed[:24], packed[32:-12], packed[-4:]  # 2.2.1.2; the time is the last before MsvAvEOL


def _upper_cases(name: str) -> set[str]:
    """What clients make of a user's name in upper case."""
    return {fold(name), upper_each(name), name.upper()}


def _exchange_key(message: AuthenticateMessage, key: bytes, granted: int) -> bytes | None:
    """The exported session key; None when the client had to send 16 encrypted bytes and did not.

    3.2.5.1.2 exchanges a key only together with signing or sealing. Samba always does, pyspnego then sends one
    byte: so without either the length decides.
    """
    flags = message.flags & granted or granted
    if not flags & NTLMSSP_NEGOTIATE_KEY_EXCH:
        return key
    if len(message.encrypted_session_key) == 16:
        return rc4k(key, message.encrypted_session_key)
    return None if flags & (NTLMSSP_NEGOTIATE_SIGN | NTLMSSP_NEGOTIATE_SEAL) else key
