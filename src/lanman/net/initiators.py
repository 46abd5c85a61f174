"""The client's half of a log-on, by what its credentials say.

NTLM, in SPNEGO, is ours (docs/design.md says why). Kerberos is the system's: its GSS-API where the `kerberos` extra is
installed (`lanman.net.kerberos`), on Windows SSPI by pyspnego. Both take their time to import, and are imported when
the first log-on by Kerberos begins.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from lanman import codes
from lanman.auth.initiator import AnonymousInitiator, SpnegoInitiator
from lanman.auth.ntlm_client import NtlmInitiator
from lanman.auth.spnego import KERBEROS_OID, MS_KERBEROS_OID
from lanman.errors import AuthenticationError
from lanman.net.credentials import Credentials

if TYPE_CHECKING:
    from spnego import ContextProxy

    from lanman.auth.ntlm import ChallengeMessage

_ON_WINDOWS: Final = sys.platform == "win32"


class Initiator(Protocol):
    """The client's half of one log-on."""

    @property
    def may_block(self) -> bool:
        """Whether `step` may wait for a key distribution centre and belongs into a thread."""

    @property
    def complete(self) -> bool:
        """Whether this side is content; the server's success answer has to be handed to `step` first."""

    @property
    def challenge(self) -> ChallengeMessage | None:
        """What an NTLM server said of itself; None before it has, and for other mechanisms."""

    @property
    def session_key(self) -> bytes:
        """16 bytes, once the mechanism has finished, which may be one step before `complete`."""

    def step(self, token: bytes | None) -> bytes | None:
        """None at the start, then the server's tokens; the answer is for the server, None when there is nothing to say.

        Raises AuthenticationError and MalformedMessage.
        """


def initiator_for(credentials: Credentials, host: str) -> Initiator:
    """The initiator for a log-on to `host`, which is the name as the user typed it: Kerberos knows the server by it.

    Raises AuthenticationError when the credentials cannot serve.
    """
    if credentials.anonymous:
        return AnonymousInitiator()
    if credentials.kerberos:
        return KerberosInitiator(credentials, host)
    return PasswordInitiator(credentials, host)


class PasswordInitiator(SpnegoInitiator):
    """NTLMv2 in SPNEGO, by a password or its NT hash."""

    may_block = False

    def __init__(self, credentials: Credentials, host: str) -> None:
        domain, user_name, hash = _ntlm_identity(credentials)
        mechanism = NtlmInitiator(
            user_name,
            domain,
            hash,
            target_name=f"cifs/{host}",
            random=os.urandom,
            now=time.time(),
            # As every client does. It is what servers log.
            workstation=socket.gethostname().upper(),
        )
        super().__init__(mechanism)


class KerberosInitiator(SpnegoInitiator):
    """Kerberos by the system's GSS-API, on Windows by SSPI, in SPNEGO. Never becomes NTLM."""

    may_block = True

    def __init__(self, credentials: Credentials, host: str) -> None:
        if _ON_WINDOWS:
            super().__init__(_SspiMechanism(credentials, host))
            return
        if find_spec("gssapi") is None:
            raise AuthenticationError(
                "Kerberos is not available here", code=codes.ERROR_NOT_SUPPORTED, hint="pip install 'lanman[kerberos]'"
            )
        from lanman.net.kerberos import KerberosMechanism

        super().__init__(KerberosMechanism(credentials, host))


class _PyspnegoMechanism:
    """A pyspnego context whose every failure is an AuthenticationError."""

    oids: Sequence[bytes] = ()
    signs = False
    challenge = None

    def __init__(self, context: ContextProxy) -> None:
        self._context = context

    @property
    def complete(self) -> bool:
        """Whether this side is content."""
        return self._context.complete

    @property
    def session_key(self) -> bytes:
        """The key that both sides share, once `complete`."""
        return self._context.session_key

    def step(self, token: bytes | None) -> bytes | None:
        """The next token for the server, from its last. Raises AuthenticationError."""
        from spnego.exceptions import SpnegoError

        try:
            return self._context.step(token)
        except SpnegoError as error:
            raise _failed(error) from error
        except (struct.error, ValueError, OverflowError) as error:
            # What pyspnego makes of an answer that is not as it should be.
            raise AuthenticationError(f"the server's answer to the log-on makes no sense: {error}") from error

    def sign(self, data: bytes) -> bytes:
        """GSS_GetMIC of the mechanism, for the mechListMIC of SPNEGO (RFC 4178 5)."""
        from spnego.exceptions import SpnegoError

        try:
            return self._context.sign(data)
        except SpnegoError as error:
            raise _failed(error) from error

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether a mechListMIC is right."""
        from spnego.exceptions import SpnegoError

        try:
            self._context.verify(data, signature)
        except SpnegoError:
            return False
        return True


def _failed(error: Exception) -> AuthenticationError:
    text = str(getattr(error, "message", "") or error)
    return AuthenticationError(f"the log-on could not be made: {text}")


def _ntlm_identity(credentials: Credentials) -> tuple[str, str, bytes]:
    """Domain, user name and NT hash; AuthenticationError when one of them cannot be had."""
    name, hash = credentials.logon_name, credentials.key
    if not credentials.user_name:
        raise AuthenticationError(
            "a log-on needs a user name", code=codes.ERROR_NOT_AUTHENTICATED, hint="-U USER, or -N for a null session"
        )
    try:
        name.encode("utf-16-le")
    except UnicodeEncodeError:
        raise AuthenticationError(
            f"{name!a} is not a user name: it has bytes that are no characters", code=codes.ERROR_NOT_AUTHENTICATED
        ) from None
    if hash is None:
        raise AuthenticationError(
            f"no password for {name}", code=codes.ERROR_NOT_AUTHENTICATED, hint="give one, or an NT hash"
        )
    if len(hash) != 16:
        raise AuthenticationError("an NT hash has 16 bytes", code=codes.ERROR_INVALID_PARAMETER)
    if credentials.domain:
        return credentials.domain, credentials.user_name, hash
    domain, _, user_name = name.rpartition("\\")
    return domain, user_name, hash


class _SspiMechanism(_PyspnegoMechanism):
    # Windows 2000's misspelt identifier first, as every client does; the token in it is the same.
    oids = (MS_KERBEROS_OID, KERBEROS_OID)

    def __init__(self, credentials: Credentials, host: str) -> None:
        import spnego
        from spnego.exceptions import SpnegoError

        try:
            context = spnego.client(_sspi_credential(credentials), hostname=host, service="cifs", protocol="kerberos")
        except (SpnegoError, ImportError) as error:
            raise _failed(error) from error
        super().__init__(context)


def _sspi_credential(credentials: Credentials) -> Any:
    """What pyspnego takes: a password, or the user who is logged on to this machine."""
    import spnego

    principal = credentials.user_name or None
    if principal and credentials.domain and "@" not in principal:
        principal = f"{principal}@{credentials.domain.upper()}"
    if credentials.keytab or credentials.ccache:
        raise AuthenticationError(
            "Windows keeps its Kerberos tickets itself: no keytab or ticket cache can be named",
            code=codes.ERROR_NOT_SUPPORTED,
        )
    if credentials.password is not None and principal:
        return spnego.Password(principal, credentials.password)
    return spnego.CredentialCache(principal)
