"""What can go wrong, named by who is at fault.

    LanmanError
      ProtocolError            LocalProtocolError (we broke the rules), RemoteProtocolError (they) > MalformedMessage
                               > CutShort
      StatusError              the peer understood the SMB request and refused it with an NTSTATUS
      Win32Error               the peer's Server service answered with a Win32 or NERR code; AccessDenied is code 5
      AuthenticationError      the log-on was refused, or could not be attempted
      ConnectionLost           the connection ended, or never came to be

Every error carries `code`, the Win32 or NERR number that the NET command would report, and may carry `hint`:
one sentence that says what to do about it.
"""

from __future__ import annotations

from lanman import codes


class LanmanError(Exception):
    """The root of all that lanman raises."""

    code: int = 59  # ERROR_UNEXP_NET_ERR

    def __init__(self, message: str, *, code: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class ProtocolError(LanmanError):
    """A rule of a protocol was broken; the connection it happened on is dead."""

    code = 1728  # RPC_S_PROTOCOL_ERROR


class LocalProtocolError(ProtocolError):
    """This side tried to break a rule; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule."""


class MalformedMessage(RemoteProtocolError):
    """Bytes from the peer do not form the message that they claim to be."""


class CutShort(MalformedMessage):
    """There are fewer bytes than the structure has, or says that it has."""


class StatusError(LanmanError):
    """The peer refused an SMB request. `status` is the NTSTATUS (MS-ERREF 2.3), `code` its Win32 equivalent."""

    def __init__(self, status: int, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or codes.ntstatus_text(status), code=codes.ntstatus_to_win32(status), hint=hint)
        self.status = status


class Win32Error(LanmanError):
    """A management call answered with a Win32 or NERR code (MS-ERREF 2.2, MS-SRVS 2.2.2.10)."""

    def __init__(self, code: int, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or codes.win32_text(code), code=code, hint=hint)


class AccessDenied(Win32Error, PermissionError):
    """ERROR_ACCESS_DENIED: the caller is known and lacks a right; `hint` says which one where that can be told."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(codes.ERROR_ACCESS_DENIED, message, hint=hint)


class AuthenticationError(LanmanError):
    """The log-on failed. `code` tells how: 1326 wrong user or password, 1330 expired, 1331 disabled, ..."""

    code = 1326  # ERROR_LOGON_FAILURE


class ConnectionLost(LanmanError, ConnectionError):
    """The transport ended or could not be made. `code` is 53 for a server that cannot be reached."""

    code = 64  # ERROR_NETNAME_DELETED
