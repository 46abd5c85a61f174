"""The client's half of NTLMv2 (MS-NLMP 3.1.5.1).

Its rules:

  - NTLMv2 alone, whatever the server's challenge or the environment asks for. NTLMv1 discloses the password.
  - Where the server sends its time, a MIC protects the three messages, and no LM response is sent.
  - The response covers the service's name (MsvAvTargetName), so that an attacker in between cannot use it with another
    service, where servers check that. Channel bindings are for TLS, which is not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lanman.auth.ntlm import (
    MIC_LENGTH,
    MIC_PROVIDED,
    NTLMSSP_NEGOTIATE_KEY_EXCH,
    NTLMSSP_NEGOTIATE_SEAL,
    NTLMSSP_NEGOTIATE_SIGN,
    NTLMSSP_NEGOTIATE_TARGET_INFO,
    NTLMSSP_NEGOTIATE_UNICODE,
    NTLMSSP_OID,
    OFFER,
    SIGNS,
    AuthenticateMessage,
    ChallengeMessage,
    MsvAvFlags,
    MsvAvTargetName,
    MsvAvTimestamp,
    SessionSecurity,
    hmac_md5,
    ntowf_v2,
    pack_av_pairs,
    pack_negotiate,
    packed_filetime,
    rc4k,
    security_context,
)
from lanman.errors import AuthenticationError
from lanman.names import fold

# AuthenticateMessage.pack() always leaves room for it here.
_MIC_AT: Final = 72
_NEGOTIATE: Final = pack_negotiate(OFFER)


class NtlmInitiator:
    """One NTLMv2 log-on, a mechanism for SpnegoInitiator: NEGOTIATE out, CHALLENGE in, AUTHENTICATE out.

    `hash` is the NT hash, `target_name` the service principal name (`cifs/fs1`), `random(n)` gives n unpredictable
    bytes. `now`, in seconds since 1970, is used with servers that do not send their time.
    """

    oids = (NTLMSSP_OID,)

    def __init__(
        self,
        user_name: str,
        domain: str,
        hash: bytes,
        *,
        target_name: str,
        random: Callable[[int], bytes],
        now: float,
        workstation: str = "",
    ) -> None:
        self.complete = False
        self.session_key = b""
        self.signs = False
        self.challenge: ChallengeMessage | None = None
        self._names = domain, user_name, workstation
        self._hash = hash
        self._target_name = target_name
        self._random = random
        self._now = now
        self._flags = 0
        self._security: SessionSecurity | None = None

    def step(self, token: bytes | None) -> bytes | None:
        """The next message. Raises MalformedMessage, and AuthenticationError for a challenge that is not valid."""
        if token is None:
            return _NEGOTIATE
        self.challenge = challenge = ChallengeMessage.unpack(token)
        answer = self._authenticate(challenge, token)
        self.complete = True
        return answer

    def _authenticate(self, challenge: ChallengeMessage, token: bytes) -> bytes:
        # 3.1.5.1.2, 3.3.2
        info = dict(challenge.target_info)
        timestamp = _value(info, MsvAvTimestamp, 8)
        known_flags = int.from_bytes(_value(info, MsvAvFlags, 4) or b"", "little")
        if timestamp is not None:
            info[MsvAvFlags] = (known_flags | MIC_PROVIDED).to_bytes(4, "little")
        if info and self._target_name:
            info[MsvAvTargetName] = self._target_name.encode("utf-16-le", "surrogatepass")
        domain, user_name, workstation = self._names
        random = self._random(24)
        nonce = random[:8]
        key = ntowf_v2(self._hash, fold(user_name), domain)
        # 2.2.2.7, NTLMv2_CLIENT_CHALLENGE: both versions, 6 reserved, the time, our challenge, 4 reserved, the pairs;
        # and 4 more, which 3.3.2 adds.
        blob = b"".join(
            (
                b"\x01\x01\0\0\0\0\0\0",
                timestamp or packed_filetime(self._now),
                nonce,
                b"\0\0\0\0",
                pack_av_pairs(info),
                b"\0\0\0\0",
            )
        )
        proof = hmac_md5(key, challenge.server_challenge + blob)
        self.session_key = hmac_md5(key, proof)
        self._flags = flags = (OFFER | NTLMSSP_NEGOTIATE_TARGET_INFO) & challenge.flags | NTLMSSP_NEGOTIATE_UNICODE
        exchanged = b""
        if flags & NTLMSSP_NEGOTIATE_KEY_EXCH and flags & (NTLMSSP_NEGOTIATE_SIGN | NTLMSSP_NEGOTIATE_SEAL):
            base_key, self.session_key = self.session_key, random[8:]
            exchanged = rc4k(base_key, self.session_key)
        # Servers that send a timestamp know a signed list of mechanisms, and Samba takes another round trip without.
        self.signs = timestamp is not None and flags & SIGNS == SIGNS
        lm_response = bytes(24)
        if timestamp is None:
            lm_response = hmac_md5(key, challenge.server_challenge + nonce) + nonce
        answer = AuthenticateMessage(flags, lm_response, proof + blob, domain, user_name, workstation, exchanged).pack()
        if timestamp is None:
            return answer
        mic = hmac_md5(self.session_key, _NEGOTIATE + token + answer)
        return answer[:_MIC_AT] + mic + answer[_MIC_AT + MIC_LENGTH :]

    def sign(self, data: bytes) -> bytes:
        """Our signature over `data`. AuthenticationError where the server would negotiate none."""
        return self._signer().sign(data)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether the server made `signature` over `data`."""
        return self._signer().verify(data, signature)

    def _signer(self) -> SessionSecurity:
        if self._security is None:
            self._security = security_context(self._flags, self.session_key, server=False)
            if self._security is None:
                raise AuthenticationError("the server wants signatures without having agreed on how to sign")
        return self._security


def _value(pairs: dict[int, bytes], id: int, size: int) -> bytes | None:
    """The AV_PAIR of that id, None where there is none."""
    value = pairs.get(id)
    if value is not None and len(value) != size:
        raise AuthenticationError("the server's NTLM challenge makes no sense")
    return value
