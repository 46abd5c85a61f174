"""The server's half of a log-on: SPNEGO around the mechanisms it knows, or NTLM with nothing around it.

If the client guessed the mechanism right: it sends NegTokenInit with the first NTLM message, the server NegTokenResp
with the challenge, the client NegTokenResp with the response, and the log-on is decided. A client that prefers a
mechanism that this server lacks is told which one to use and starts over; then both sides must sign the list of
mechanisms, since an attacker could have shortened it (RFC 4178 section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.auth.ntlm import SIGNATURE, VERSION
from lanman.auth.ntlm_server import NtlmAcceptor
from lanman.auth.outcome import Accepted, Mechanism, Refused, Step
from lanman.auth.spnego import NegState, NegTokenInit, NegTokenResp, pack_init, pack_response, unpack
from lanman.errors import LocalProtocolError, MalformedMessage

__all__ = ["Accepted", "Acceptor", "Mechanism", "Refused", "Step"]

# More than any token can be: a Kerberos ticket with every group of a large domain has 48 KiB, and NTLM's
# three fields of 64 KiB are never full. MS-SMB2 2.2.5 gives the length 16 bits.
MAX_TOKEN: Final = 0xFFFF


class _State(Enum):
    START = auto()
    RAW = auto()  # NTLM without SPNEGO
    MECHANISM = auto()  # tokens of the chosen mechanism, in NegTokenResp
    LIST_MIC = auto()  # the mechanism has finished, the client's mechListMIC is still expected
    DONE = auto()


class Acceptor:
    """One log-on. Pass it the client's tokens with `step` until there is an outcome; it is used once.

    `server_name` is the NetBIOS name and `dns_name` the full name that clients are told. `random(n)` gives n
    unpredictable bytes. `mechanisms` are further ones, preferred to NTLM, in order of preference. `version` is what
    NTLM calls this product, `domain_name` the domain that it is in.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        server_name: str,
        dns_name: str,
        random: Callable[[int], bytes],
        allow_anonymous: bool = True,
        allow_guest: bool = False,
        mechanisms: Sequence[Mechanism] = (),
        version: bytes = VERSION,
        domain_name: str = "",
    ) -> None:
        ntlm = NtlmAcceptor(
            accounts,
            server_name=server_name,
            dns_name=dns_name,
            random=random,
            allow_anonymous=allow_anonymous,
            allow_guest=allow_guest,
            version=version,
            domain_name=domain_name,
        )
        self._ntlm = ntlm
        self._mechanisms: list[Mechanism] = [*mechanisms, ntlm]
        self._mechanism: Mechanism = ntlm
        self._state = _State.START
        self._mech_type_list = b""
        self._mic_required = False
        self._accepted: Accepted | None = None
        self._read: tuple[bytes, NegTokenInit | NegTokenResp] | None = None

    def use_accounts(self, accounts: Accounts) -> None:
        """Use these accounts from now on: the account file has been read again since the log-on began."""
        for mechanism in self._mechanisms:
            mechanism.accounts = accounts

    @property
    def may_block(self) -> bool:
        """Whether the next `step` may block and may end the log-on: other mechanisms read files, NTLM only computes."""
        if self._state is _State.START:
            return len(self._mechanisms) > 1
        return self._mechanism is not self._ntlm

    def claimed_account(self, token: bytes) -> str | None:
        """The account whose password the next `step` would verify, in canonical spelling; None if it verifies none."""
        if self._mechanism is not self._ntlm or self._state not in (_State.RAW, _State.MECHANISM):
            return None
        try:
            if self._state is _State.MECHANISM:
                message = self._unpack(token)
                token = message.response_token or b"" if isinstance(message, NegTokenResp) else b""
            return self._ntlm.claimed_account(token)
        except MalformedMessage:
            return None

    def hint_token(self) -> bytes:
        """The NegTokenInit2 that lists the mechanisms, for the answer to SMB2 NEGOTIATE (MS-SMB2 3.3.5.4)."""
        return pack_init(NegTokenInit([oid for each in self._mechanisms for oid in each.oids]), hint=True)

    def step(self, token: bytes, now: float) -> Step:
        """Take the client's next token; `now` is in seconds since 1970.

        Any bytes give a Step: what cannot be read is refused with STATUS_INVALID_PARAMETER. Raises
        LocalProtocolError after an outcome.
        """
        if self._state is _State.DONE:
            raise LocalProtocolError("this log-on has already ended")
        try:
            if len(token) > MAX_TOKEN:
                raise MalformedMessage("log-on token that is too long")
            step = self._step(token, now)
        except MalformedMessage as error:
            step = Step(outcome=Refused(codes.STATUS_INVALID_PARAMETER, "", error.message))
        if step.outcome is not None:
            self._state = _State.DONE
        return step

    def _step(self, token: bytes, now: float) -> Step:
        if token[:8] == SIGNATURE and self._state in (_State.START, _State.RAW):
            self._state = _State.RAW
            return self._ntlm.step(token, now)
        if self._state is _State.RAW:
            raise MalformedMessage("SPNEGO token during an NTLM log-on")
        message = self._unpack(token)
        if isinstance(message, NegTokenInit):
            if self._state is not _State.START:
                raise MalformedMessage("SPNEGO NegTokenInit during a log-on")
            return self._start(message, now)
        if self._state is _State.START:
            raise MalformedMessage("SPNEGO NegTokenResp before any NegTokenInit")
        if message.neg_state is NegState.REJECT:
            return Step(outcome=Refused(codes.STATUS_LOGON_FAILURE, "", "the client gave up"))
        if self._state is _State.LIST_MIC:
            return self._finish(message)
        return self._continue(message, now)

    def _unpack(self, token: bytes) -> NegTokenInit | NegTokenResp:
        """Read a token, once however often it is asked for."""
        if self._read is None or self._read[0] != token:
            self._read = token, unpack(token)
        return self._read[1]

    def _start(self, message: NegTokenInit, now: float) -> Step:
        chosen = next(((m, oid) for m in self._mechanisms for oid in message.mech_types if oid in m.oids), None)
        if chosen is None:
            reason = "the client offers no mechanism of this server's"
            return Step(outcome=Refused(codes.STATUS_NOT_SUPPORTED, "", reason))
        self._mechanism, oid = chosen
        self._mech_type_list = message.mech_type_list
        self._state = _State.MECHANISM
        # The optimistic token belongs to the client's first choice (RFC 4178 4.2.1), of which Windows has two names.
        guessed = message.mech_types[0] in self._mechanism.oids
        self._mic_required = not guessed
        if guessed and message.mech_token:
            inner = self._mechanism.step(message.mech_token, now)
            return self._answer(inner, message.mech_list_mic, supported_mech=oid)
        state = NegState.ACCEPT_INCOMPLETE if guessed else NegState.REQUEST_MIC
        return Step(pack_response(NegTokenResp(state, oid)))

    def _continue(self, message: NegTokenResp, now: float) -> Step:
        if not message.response_token:
            raise MalformedMessage("SPNEGO token without the mechanism's token in it")
        return self._answer(self._mechanism.step(message.response_token, now), message.mech_list_mic)

    def _answer(self, inner: Step, mic: bytes | None, supported_mech: bytes | None = None) -> Step:
        token = inner.token or None
        if inner.outcome is None:
            return Step(pack_response(NegTokenResp(NegState.ACCEPT_INCOMPLETE, supported_mech, token)))
        if isinstance(inner.outcome, Refused):
            return inner
        security = self._mechanism.security
        # Anonymous and guest log-ons have no key to sign with, and lose nothing by a weaker mechanism.
        if security is None or (mic is None and not self._mic_required):
            return self._accept(inner.outcome, NegTokenResp(NegState.ACCEPT_COMPLETED, supported_mech, token))
        if mic is not None and not security.verify(self._mech_type_list, mic):
            return _bad_mic(inner.outcome)
        signature = security.sign(self._mech_type_list)
        if mic is not None:
            answer = NegTokenResp(NegState.ACCEPT_COMPLETED, supported_mech, token, signature)
            return self._accept(inner.outcome, answer)
        self._state = _State.LIST_MIC
        self._accepted = inner.outcome
        return Step(pack_response(NegTokenResp(NegState.ACCEPT_INCOMPLETE, supported_mech, token, signature)))

    def _finish(self, message: NegTokenResp) -> Step:
        security, accepted = self._mechanism.security, self._accepted
        if security is None or accepted is None or message.response_token or message.mech_list_mic is None:
            raise MalformedMessage("SPNEGO token without the expected mechListMIC")
        if not security.verify(self._mech_type_list, message.mech_list_mic):
            return _bad_mic(accepted)
        return self._accept(accepted, NegTokenResp(NegState.ACCEPT_COMPLETED))

    def _accept(self, accepted: Accepted, answer: NegTokenResp) -> Step:
        return Step(pack_response(answer), accepted)


def _bad_mic(accepted: Accepted) -> Step:
    reason = "the mechListMIC is wrong: somebody may have changed the list of mechanisms"
    return Step(outcome=Refused(codes.STATUS_LOGON_FAILURE, accepted.user_name, reason))
