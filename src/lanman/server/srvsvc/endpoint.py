r"""What takes the calls of `\PIPE\srvsvc`: on the pipe, and on the control socket.

A refusal is a code in the answer, never an exception. What a call ends is gone from the domain at once, so that the
next list does not show it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.domain import ServerService
from lanman.rpc.ndr import Call, Message
from lanman.rpc.srvsvc import SRVSVC as SRVSVC  # importing it from the package declares every call
from lanman.server.changes import Changes
from lanman.server.effects import Work
from lanman.server.rights import Caller
from lanman.server.srvsvc import connections, files, names, obsolete, server, sessions, shares, transports
from lanman.server.srvsvc.calls import ANSWERS, UNSUPPORTED, Answer, CallContext, CallRefused
from lanman.settings import RunningSettings

R = TypeVar("R", bound=Message)

NOUNS: Final[tuple[ModuleType, ...]] = (connections, files, names, obsolete, server, sessions, shares, transports)
"""The modules that answer the calls. Importing one puts its calls into ANSWERS."""


class ServerServiceEndpoint:
    """The calls of MS-SRVS on a service and its settings.

    `wall_clock` turns the service's time into seconds since 1970; `minutes_west` tells this machine's time zone.
    `changes` has the calls that wait for the disk.
    """

    def __init__(
        self,
        service: ServerService,
        settings: RunningSettings,
        *,
        wall_clock: Callable[[float], float] = lambda now: now,
        minutes_west: Callable[[], int] = lambda: 0,
    ) -> None:
        self._service = service
        self._settings = settings
        self._wall_clock = wall_clock
        self._minutes_west = minutes_west
        self.changes = Changes()

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """ERROR_ACCESS_DENIED where the caller may not make that call at that level, else 0.

        Asked before anything but the level is read of a request.
        """
        answer = ANSWERS.get(call, UNSUPPORTED)
        return 0 if answer.may(caller, call, level, self._settings.current) else codes.ERROR_ACCESS_DENIED

    def call(self, caller: Caller, request: Call[R], now: float) -> R | Work[R]:
        """The response to a request, or a generator of `Work` that returns it: for a long list, piece by piece; for a
        change, when its turn has come and the disk has kept it. A refusal is a code in the response."""
        answer = ANSWERS.get(type(request), UNSUPPORTED)
        context = CallContext(self._service, self._settings, caller, now, self._wall_clock, self._minutes_west)
        try:
            answer.admit(context, request)
            if answer.exclusive:
                return self.changes.alone(_in_turn(answer, context, request))
            assert answer.function is not None
            response: R | Work[R] = answer.function(context, request)
        except CallRefused as refused:
            return request.failed(refused.code)
        return _or_refused(request, response) if isinstance(response, Generator) else response


def _or_refused(request: Call[R], work: Work[R]) -> Work[R]:
    """The response of a generator, or of the refusal that it ends by."""
    try:
        return (yield from work)
    except CallRefused as refused:
        return request.failed(refused.code)


def _in_turn(answer: Answer, context: CallContext, request: Any) -> Work[Any]:
    """Make a change when its turn has come, if the caller still has the rights. The response is a status, and ParmErr
    where the call has one."""
    assert answer.function is not None
    status, parm_err = codes.NERR_Success, getattr(request, "parm_err", None)
    try:
        answer.admit(context, request)
        yield from answer.function(context, request)
    except CallRefused as refused:
        status = refused.code
        parm_err = None if parm_err is None else refused.parm_err
    if hasattr(request, "parm_err"):
        return request.response(parm_err, status)
    return request.response(status)
