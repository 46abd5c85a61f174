"""The client's half of a log-on: SPNEGO around one mechanism, and the anonymous mechanism, which is NTLM's.

The client decides on one mechanism before it connects. It offers that one, with its first token, and refuses a server
that answers with another. There is no fallback.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol

from lanman.auth.ntlm import (
    ANONYMOUS_SESSION_KEY,
    NTLMSSP_OID,
    SIGNATURE,
    ChallengeMessage,
    anonymous_authenticate,
    anonymous_negotiate,
)
from lanman.auth.spnego import NegState, NegTokenInit, NegTokenResp, pack_init, pack_mech_types, pack_response, unpack
from lanman.errors import AuthenticationError, LocalProtocolError, MalformedMessage


class InitiatingMechanism(Protocol):
    """The client's half of a security mechanism, without SPNEGO."""

    @property
    def oids(self) -> Sequence[bytes]:
        """Content bytes of the object identifiers to offer, the preferred one first."""

    @property
    def complete(self) -> bool:
        """Whether this side has nothing more to send."""

    @property
    def session_key(self) -> bytes:
        """The key that both sides share once complete."""

    @property
    def challenge(self) -> ChallengeMessage | None:
        """What the server said of itself, where the mechanism is NTLM and has got so far."""

    @property
    def signs(self) -> bool:
        """Once complete: whether the server expects the list of mechanisms to be signed without being asked."""

    def step(self, token: bytes | None) -> bytes | None:
        """Take the server's token, None at the start, and give the next one, None when there is none."""

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`."""

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether the server made `signature` over `data`."""


_NTLM: Final = (NTLMSSP_OID,)


@lru_cache(maxsize=4)
def _ntlm_opening(negotiate: bytes | None) -> tuple[bytes, bytes]:
    """The list of mechanisms that a log-on by NTLM offers, and its first token: all of them begin alike."""
    return pack_mech_types(_NTLM), pack_init(NegTokenInit(_NTLM, negotiate))


class SpnegoInitiator:
    """The client's half of SPNEGO around one mechanism (RFC 4178 4.2).

    `step(None)` gives the first token; each further `step` takes what the server answered. `complete` is True once
    the mechanism has finished and, where the server signed the list of mechanisms, its signature has been verified. A
    final answer may be empty; some servers send that.
    """

    def __init__(self, mechanism: InitiatingMechanism) -> None:
        self._mechanism = mechanism
        self._mech_type_list = b""
        self._started = self._signed = False
        self.complete = False

    @property
    def session_key(self) -> bytes:
        """The mechanism's key, of at least 16 bytes: AES-256 takes all of it, the rest 16 bytes (MS-SMB2 3.2.5.3)."""
        return self._mechanism.session_key.ljust(16, b"\x00")

    @property
    def challenge(self) -> ChallengeMessage | None:
        """What the server said of itself, where the mechanism is NTLM and has got so far."""
        return self._mechanism.challenge

    def step(self, token: bytes | None) -> bytes | None:
        """Take the server's token and give the next one.

        Raises MalformedMessage for a token that cannot be read, and AuthenticationError when the server chooses what
        was not offered or its signature is wrong.
        """
        if not self._started:
            self._started = True
            mechanism = self._mechanism
            if mechanism.oids == _NTLM:
                self._mech_type_list, opening = _ntlm_opening(mechanism.step(None))
                return opening
            self._mech_type_list = pack_mech_types(mechanism.oids)
            return pack_init(NegTokenInit(mechanism.oids, mechanism.step(None)))
        if self.complete:
            raise LocalProtocolError("this log-on has already ended")
        if not token:
            return self._finish(NegTokenResp(NegState.ACCEPT_COMPLETED))
        if token[:8] == SIGNATURE:
            raise MalformedMessage("NTLM token, expected SPNEGO")
        message = unpack(token)
        if not isinstance(message, NegTokenResp):
            raise MalformedMessage("SPNEGO NegTokenInit, expected NegTokenResp")
        return self._answer(message)

    def _answer(self, message: NegTokenResp) -> bytes | None:
        if message.neg_state is NegState.REJECT:
            raise AuthenticationError("the server refused every way to log on that was offered")
        if message.supported_mech is not None and message.supported_mech not in self._mechanism.oids:
            raise AuthenticationError("the server wants another way to log on than the one that was offered")
        if self._mechanism.complete:
            return self._finish(message)
        if message.response_token is None:
            raise MalformedMessage("SPNEGO answer without the mechanism's token in it")
        token = self._mechanism.step(message.response_token)
        if self._mechanism.complete and (token is None or message.neg_state is NegState.ACCEPT_COMPLETED):
            return self._finish(message)
        mic = None
        if self._mechanism.complete and (self._mechanism.signs or message.neg_state is NegState.REQUEST_MIC):
            mic = self._mechanism.sign(self._mech_type_list)
            self._signed = True
        return pack_response(NegTokenResp(NegState.ACCEPT_INCOMPLETE, None, token, mic))

    def _finish(self, message: NegTokenResp) -> bytes | None:
        """Take the server's last token, or the last but one when it wants our signature too (RFC 4178 section 5)."""
        if not self._mechanism.complete:
            raise MalformedMessage("the server ended the log-on before the mechanism had")
        mic = message.mech_list_mic
        if mic is not None and not self._mechanism.verify(self._mech_type_list, mic):
            raise AuthenticationError("the server's signature of the list of mechanisms is wrong")
        if message.neg_state is NegState.ACCEPT_COMPLETED:
            self.complete = True
            return None
        if self._signed:
            raise MalformedMessage("SPNEGO answer that neither ends the log-on nor signs the list of mechanisms")
        self._signed = True
        signature = self._mechanism.sign(self._mech_type_list)
        return pack_response(NegTokenResp(NegState.ACCEPT_COMPLETED, None, None, signature))


class _AnonymousMechanism:
    """NTLM without a user: two messages, and a session key that is known to everybody."""

    oids = (NTLMSSP_OID,)
    session_key = ANONYMOUS_SESSION_KEY
    signs = False

    def __init__(self) -> None:
        self.complete = False
        self.challenge: ChallengeMessage | None = None

    def step(self, token: bytes | None) -> bytes | None:
        """NEGOTIATE first, then AUTHENTICATE for the server's CHALLENGE."""
        if token is None:
            return anonymous_negotiate()
        self.challenge = ChallengeMessage.unpack(token)
        answer = anonymous_authenticate(token)
        self.complete = True
        return answer

    def sign(self, data: bytes) -> bytes:
        """Raises AuthenticationError: the anonymous user has no session security (MS-NLMP 3.4)."""
        raise AuthenticationError("the server wants an anonymous log-on to be signed")

    def verify(self, data: bytes, signature: bytes) -> bool:
        """True for any signature: there is no key that could make or check one."""
        return True


class AnonymousInitiator(SpnegoInitiator):
    """The null session: SPNEGO around an anonymous NTLM log-on. `session_key` is 16 zero bytes."""

    may_block = False

    def __init__(self) -> None:
        super().__init__(_AnonymousMechanism())
