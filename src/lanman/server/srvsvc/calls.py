"""How a call of srvsvc is declared on the Server, and what is asked of each before it is answered.

    @answers(NetrSessionDel, rights=Rights(OPERATORS))
    def session_del(context: CallContext, request: NetrSessionDel) -> NetrSessionDelResponse:
        ...

The function is given its context and the request, and returns the response; a refusal is `CallRefused(code)`. Before
it is called these are checked, in this order, and the first that fails is the answer:

    1. rights        may the caller make this call at this level?                   ERROR_ACCESS_DENIED
    2. check         the call's own checks of its parameters, where it has any      as it says
    3. levels        does the call have this level? See `levels` of its request     ERROR_INVALID_LEVEL
    4. info          does a request that carries a record carry one?                ERROR_INVALID_PARAMETER

With `level_first`, 3 comes before 1. What a function may return:

    a response       the answer
    a list           `listing(...)`: a page of records, made in pieces, between which other calls have their turns
    a change         with `exclusive`: a generator that yields effects, of which one runs at a time
                     (`lanman.server.changes`); what it changes is kept on the disk before it is in force. It returns
                     nothing: the answer is success, or the `CallRefused` it ends by.

A call without a function is answered with ERROR_NOT_SUPPORTED, and with ERROR_ACCESS_DENIED where the caller lacks the
rights to it: those of operators, unless `declines` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.domain import ServerService
from lanman.plain import dataclass
from lanman.rpc.levels import Levels
from lanman.rpc.ndr import Call
from lanman.server.rights import Caller, Rights
from lanman.server.srvsvc.paging import page, sizer
from lanman.settings import Configuration, RunningSettings

Item = TypeVar("Item")
Record = TypeVar("Record")
Request = TypeVar("Request", bound=Call[Any])
Given = TypeVar("Given")

# 3.1.4.2 and others: a name has at most 1024 characters, its terminator included.
MAX_NAME: Final = 1023


class CallRefused(Exception):
    """A call answers with this code. Where it has ParmErr, that says by its number which member was bad; 0: none."""

    def __init__(self, code: int, parm_err: int = 0) -> None:
        super().__init__(code, parm_err)
        self.code = code
        self.parm_err = parm_err


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call works on, who makes it, and when.

    `wall_clock` turns the service's time into seconds since 1970; `minutes_west` tells this machine's time zone.
    """

    service: ServerService
    settings: RunningSettings
    caller: Caller
    now: float
    wall_clock: Callable[[float], float]
    minutes_west: Callable[[], int]

    @property
    def configuration(self) -> Configuration:
        """The settings in force."""
        return self.settings.current


@dataclass(frozen=True, slots=True)
class Answer:
    """How the Server answers a call; the module has the rules. `rights` None: every caller gets the same answer."""

    rights: Rights | None
    function: Callable[[CallContext, Any], Any] | None = None
    check: Callable[[Any], None] | None = None
    level_first: bool = False
    exclusive: bool = False

    def may(self, caller: Caller, call: type[Call[Any]], level: int | None, configuration: Configuration) -> bool:
        """Whether the caller may make the call at that level.

        Where the level is judged first, every caller may ask for a level that the call does not have.
        """
        if self.rights is None or (self.level_first and level not in call.levels):
            return True
        return self.rights.allow(caller, level, configuration.session_rights)

    def admit(self, context: CallContext, request: Call[Any]) -> None:
        """Check what is checked of every request. Raises CallRefused."""
        level = getattr(request, "level", None)
        if not self.may(context.caller, type(request), level, context.configuration):
            raise CallRefused(codes.ERROR_ACCESS_DENIED)
        if self.function is None:
            raise CallRefused(codes.ERROR_NOT_SUPPORTED)
        if self.check is not None:
            self.check(request)
        if level is not None and level not in type(request).levels:
            raise CallRefused(codes.ERROR_INVALID_LEVEL)
        if getattr(request, "info", request) is None:
            raise CallRefused(codes.ERROR_INVALID_PARAMETER)


ANSWERS: Final[dict[type[Call[Any]], Answer]] = {}
"""What `answers` and `declines` have declared, by the class of the request."""

UNSUPPORTED: Final = Answer(Rights())
"""How a call is answered that nothing is declared for."""


def answers(
    call: type[Request],
    *,
    rights: Rights | None,
    check: Callable[[Request], None] | None = None,
    level_first: bool = False,
    exclusive: bool = False,
) -> Callable[[Callable[[CallContext, Request], Given]], Callable[[CallContext, Request], Given]]:
    """Declare the function that answers a call. TypeError: it has one already."""

    def register(function: Callable[[CallContext, Request], Given]) -> Callable[[CallContext, Request], Given]:
        _declare(call, Answer(rights, function, check, level_first, exclusive))
        return function

    return register


def declines(*calls: type[Call[Any]], rights: Rights | None) -> None:
    """Declare that these calls are not supported. A caller without the rights is denied access; None: no caller is."""
    for call in calls:
        _declare(call, Answer(rights))


def _declare(call: type[Call[Any]], answer: Answer) -> None:
    if call in ANSWERS:
        raise TypeError(f"{call.__name__} is answered already")
    ANSWERS[call] = answer


def require_lengths(*names: str | None) -> None:
    """Names that are too long are ERROR_INVALID_PARAMETER. Raises CallRefused."""
    if any(name is not None and len(name) > MAX_NAME for name in names):
        raise CallRefused(codes.ERROR_INVALID_PARAMETER)


def all_ended(service: ServerService) -> Generator[None, None, None]:
    """Wait until all is closed that is to be closed now."""
    endings = service.endings
    begun = endings.begun
    while endings.finished < begun:
        yield


def listing(
    request: Any,
    levels: Levels[Record],
    items: Sequence[Item],
    describe: Callable[[Item], Record],
    wanted: Callable[[Item], bool] | None = None,
    *,
    none_fits: int = codes.ERROR_MORE_DATA,
) -> Generator[None, None, Any]:
    """The answer to an enumeration: the page that its ResumeHandle and PreferedMaximumLength ask for, in pieces.

    `describe` gives an item's record, `wanted` says whether it was asked for; None: each was. `none_fits` is the status
    when not even one record fits into the length.
    """
    found = yield from page(
        items,
        describe,
        sizer(levels, request.level),
        resume_handle=request.resume_handle or 0,
        length=request.prefered_maximum_length,
        wanted=wanted,
        none_fits=none_fits,
    )
    # ResumeHandle is optional: where none came, none goes back.
    handle = None if request.resume_handle is None else found.resume_handle
    return request.response(request.level, found.entries, found.total, handle, found.status)
