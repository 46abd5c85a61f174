"""What can go wrong, named by who is at fault.

    LanmanError
      ProtocolError            LocalProtocolError (we broke the rules), RemoteProtocolError (they) > MalformedMessage
                               > CutShort; Unprotected
      StatusError              the peer understood the SMB request and refused it with an NTSTATUS
      Win32Error               the peer's Server service answered with a Win32 or NERR code; AccessDenied is code 5
      AuthenticationError      the log-on was refused, or could not be attempted
      ConnectionLost           the connection ended, or never came to be > TimedOut

Every error carries fields, so that programs need not read sentences: `code`, the Win32 or NERR number that the NET
command would report; `server`, the name of the server that was asked, without backslashes; `subject`, what was asked
for or told (`the list of sessions`, `share data`); `hint`, one sentence that says what to do about it. What does not
apply or is not known is None. `message`, which is also `str(error)`, is made of them in one place:
`\\\\fs1: access denied to the list of sessions`.

What is also one of Python's own errors derives from it: AccessDenied is a PermissionError, ConnectionLost a
ConnectionError, TimedOut a TimeoutError.
"""

from __future__ import annotations

from typing import Any

from lanman import codes


class LanmanError(Exception):
    """The root of all that lanman raises. The fields are told at the top of this file."""

    code: int = 59  # ERROR_UNEXP_NET_ERR

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        hint: str | None = None,
        server: str | None = None,
        subject: str | None = None,
    ) -> None:
        super().__init__(message)
        self.text = message
        self.hint = hint
        self.server = server
        self.subject = subject
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """The whole sentence, with the server where one is known. It has no full stop where it may go on."""
        return f"\\\\{self.server}: {self.text}" if self.server else self.text

    @property
    def with_hint(self) -> str:
        """The message and the hint in one line, for a log; the message alone where there is no hint."""
        if not self.hint:
            return self.message
        end = self.hint if self.hint.endswith((".", "!", "?")) else f"{self.hint}."
        if not self.hint[0].isupper():
            return f"{self.message.removesuffix('.')}; {end}"
        stop = "" if self.message.endswith((".", "!", "?")) else "."
        return f"{self.message}{stop} {end}"

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The arguments of the constructors differ; pickling and copying restore the fields instead.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[LanmanError], args: tuple[Any, ...], fields: dict[str, Any]) -> LanmanError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class ProtocolError(LanmanError):
    """A rule of a protocol was broken; the connection it happened on is dead."""

    code = 1728  # RPC_S_PROTOCOL_ERROR


class LocalProtocolError(ProtocolError):
    """This side tried to break a rule; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule."""


class Unprotected(RemoteProtocolError):
    """An answer is not signed or encrypted as it has to be, or the negotiation was changed on its way."""


class MalformedMessage(RemoteProtocolError):
    """Bytes from the peer do not form the message that they claim to be."""


class CutShort(MalformedMessage):
    """There are fewer bytes than the structure has, or says that it has."""


class StatusError(LanmanError):
    """The peer refused an SMB request. `status` is the NTSTATUS (MS-ERREF 2.3), `code` its Win32 equivalent."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        hint: str | None = None,
        server: str | None = None,
        subject: str | None = None,
    ) -> None:
        text = message or _about(subject, codes.ntstatus_text(status))
        super().__init__(text, code=codes.ntstatus_to_win32(status), hint=hint, server=server, subject=subject)
        self.status = status


class Win32Error(LanmanError):
    """A management call answered with a Win32 or NERR code (MS-ERREF 2.2, MS-SRVS 2.2.2.10)."""

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        hint: str | None = None,
        server: str | None = None,
        subject: str | None = None,
    ) -> None:
        text = message or _about(subject, codes.win32_text(code))
        super().__init__(text, code=code, hint=hint, server=server, subject=subject)


class AccessDenied(Win32Error, PermissionError):
    """ERROR_ACCESS_DENIED: the caller is known and lacks a right; `hint` says which one where that can be told."""

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        server: str | None = None,
        subject: str | None = None,
    ) -> None:
        text = message or (f"access denied to {subject}" if subject else None)
        super().__init__(codes.ERROR_ACCESS_DENIED, text, hint=hint, server=server, subject=subject)


def _about(subject: str | None, text: str) -> str:
    return f"{subject}: {text}" if subject else text


class EventsLost(LanmanError):
    """A follower of a Server's events has missed some: it was slower than the Server, which keeps a bounded number.

    What has happened meanwhile is known from a new snapshot (`begin_again`).
    """

    code = codes.ERROR_NOTIFY_ENUM_DIR

    def __init__(self, *, server: str | None = None) -> None:
        super().__init__(
            "events of the Server were missed", hint="Begin again with a new snapshot of what there is.", server=server
        )


class AuthenticationError(LanmanError):
    """The log-on failed. `code` tells how: 1326 wrong user or password, 1330 expired, 1331 disabled, ..."""

    code = 1326  # ERROR_LOGON_FAILURE


class ConnectionLost(LanmanError, ConnectionError):
    """The transport ended or could not be made. `code` is 53 for a server that cannot be reached."""

    code = 64  # ERROR_NETNAME_DELETED


class TimedOut(ConnectionLost, TimeoutError):
    """No answer came within the time-out or before the deadline. What was being waited for is in the message."""

    code = codes.ERROR_SEM_TIMEOUT
