"""How a Server service is asked: levels that it may refuse, lists in pages, and refusals in words.

Rules:

  - Level fallback: the richest information level is asked for first. A level is refused by ERROR_INVALID_LEVEL, by
    ERROR_ACCESS_DENIED or by an RPC fault; then the next poorer one is tried, and access is denied only when the
    poorest is denied too. Any other error ends the fallback.
  - What a server granted is kept in `GrantedLevels`, so that the next question begins there. A level is granted to a
    user, so the identity is part of the key; where a ticket cache alone knows who that is, only this Manager remembers.
  - A list continues while the status says so (ERROR_MORE_DATA), never because a resume handle is left over: Windows
    leaves one behind on success. A handle that comes back twice ends the asking, and so does a list that is too long.
  - A status that is no success becomes a Win32Error with the server and the subject in its fields.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, RemoteProtocolError, Win32Error
from lanman.manage.granted import GrantedLevels
from lanman.manage.link import Link
from lanman.names import fold
from lanman.net.identity import identity_of
from lanman.rpc.ndr import MAX_ENTRIES, Call, EntryList, Response

R = TypeVar("R", bound=Response)
T = TypeVar("T")

# Answers that mean that this level, or this call, is not available.
LEVEL_REFUSED: Final = frozenset(
    {
        codes.ERROR_ACCESS_DENIED,
        codes.ERROR_NOT_SUPPORTED,
        codes.ERROR_INVALID_LEVEL,
        codes.RPC_S_INVALID_TAG,
        codes.RPC_S_PROCNUM_OUT_OF_RANGE,
        codes.RPC_X_BAD_STUB_DATA,
    }
)
# RPC faults that mean that the server lacks the call.
_CALL_MISSING: Final = frozenset({codes.RPC_S_PROCNUM_OUT_OF_RANGE, codes.ERROR_NOT_SUPPORTED})

# What a whole list may take on the wire, in bytes; in entries it may have what one answer may (MAX_ENTRIES).
MAX_LISTING: Final = 64 << 20


class Purpose(enum.Enum):
    """What a call is for; which right it takes, and so which hint a denial deserves, depends on it."""

    LIST = enum.auto()
    CLOSE = enum.auto()
    ADD_SHARE = enum.auto()
    CHANGE_SHARE = enum.auto()
    SERVICE = enum.auto()


class Calls:
    """The calls of MS-SRVS to one server, over a link. `denied_hint` says what to do about a denial."""

    def __init__(self, link: Link, granted: GrantedLevels, denied_hint: Callable[[Purpose], str]) -> None:
        self.link = link
        self._granted = granted
        self._granted_here = GrantedLevels()
        self._denied_hint = denied_hint

    @property
    def unc(self) -> str:
        """The server's name as calls carry it: `\\\\fs1`."""
        return f"\\\\{self.link.server}"

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make a call; see `Link.call`."""
        return await self.link.call(request, again=again)

    async def at_level(
        self, kind: str, levels: Sequence[int], level: int | None, ask: Callable[[int], Awaitable[T]]
    ) -> tuple[int, T]:
        """The answer at the richest of `levels` that is granted, and that level.

        A `level` that is given is the only one. `kind` names the question in the memory of what was granted. Raises
        what `ask` raises at the poorest level.
        """
        if level is not None:
            return level, await ask(level)
        credentials = self.link.credentials
        key = (fold(self.link.server), self.link.port, identity_of(credentials, look=False), kind)
        # Whose ticket it is shows in the ticket cache alone, and may be another one's the next time.
        granted = self._granted_here if credentials.kerberos and not credentials.user_name else self._granted
        for tried in levels[levels.index(granted.get(key, levels[0])) :]:
            try:
                answer = await ask(tried)
            except Win32Error as error:
                if error.code not in LEVEL_REFUSED:
                    raise
                refusal = error
            else:
                granted.put(key, tried)
                return tried, answer
        granted.put(key, None)
        raise refusal

    async def pages(self, make: Callable[[int], Call[Any]], what: str) -> list[Any]:
        """A whole enumeration, page by page: `make` gives the request for what follows a resume handle.

        Raises Win32Error for a refusal, RemoteProtocolError for a list that does not end.
        """
        entries: list[Any] = []
        size = 0
        resume, seen = 0, set[int]()
        while True:
            answer = await self.call(make(resume))
            if answer.status not in (codes.ERROR_SUCCESS, codes.ERROR_MORE_DATA):
                raise self.refusal(answer.status, what)
            page = answer.entries or []
            size += page.size if isinstance(page, EntryList) else 0
            if len(entries) + len(page) > MAX_ENTRIES or size > MAX_LISTING:
                raise RemoteProtocolError(
                    f"{what} is longer than {MAX_ENTRIES:,} entries or {MAX_LISTING >> 20} MiB",
                    hint="no server has that much to tell; this one may be damaged or mean harm",
                    server=self.link.server,
                )
            entries.extend(page)
            if answer.status == codes.ERROR_SUCCESS:
                return entries
            seen.add(resume)
            resume = answer.resume_handle or 0
            if not page or resume in seen:
                message = f"says that there is more of {what} and does not give it"
                raise RemoteProtocolError(message, server=self.link.server, subject=what)

    async def optional(self, request: Call[R], what: str) -> R:
        """The answer to a call that not every server has. Raises Win32Error 50 where this one lacks it."""
        try:
            return await self.call(request)
        except Win32Error as error:
            raise self.missing(error, what) from error

    def missing(self, error: Win32Error, what: str) -> Win32Error:
        """A fault for a call that the server lacks, in words; any other error as it is."""
        if error.code not in _CALL_MISSING:
            return error
        return Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"this server does not tell its {what}",
            server=self.link.server,
            subject=f"its {what}",
        )

    def present(self, info: T | None, what: str) -> T:
        """What an answer that calls itself a success must have. Raises RemoteProtocolError where it has not."""
        if info is None:
            raise RemoteProtocolError(
                f"gave no answer about {what} and called it a success", server=self.link.server, subject=what
            )
        return info

    def check(self, status: int, what: str, purpose: Purpose = Purpose.LIST) -> None:
        """Raise what a status means, unless it is a success."""
        if status != codes.ERROR_SUCCESS:
            raise self.refusal(status, what, purpose)

    def refusal(self, status: int, what: str, purpose: Purpose = Purpose.LIST) -> Win32Error:
        """A status as an error that names the server, the subject, and the remedy where it can be told."""
        if status == codes.ERROR_ACCESS_DENIED:
            return AccessDenied(hint=self._denied_hint(purpose), server=self.link.server, subject=what)
        return Win32Error(status, server=self.link.server, subject=what)
