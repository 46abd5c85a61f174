"""Oplocks (MS-SMB2 3.3.4.6, 3.3.5.22.1, 3.3.6.1): what one open may cache, and how its client is told that it may not.

    exclusive   no other open: cache reads and writes
    batch       the same, and keep it open when the program has closed it
    level II    others have it open too: cache reads

What each of them stands for, and who takes it back, is told in `caching`. An open that comes in between breaks an
exclusive or batch oplock and waits until its holder has acknowledged that, closed the file, or said nothing for
`BREAK_TIMEOUT`.
"""

from __future__ import annotations

import weakref
from typing import Final, Protocol

from lanman import codes
from lanman.domain import Open
from lanman.server.files.caching import NONE, RW, RWH, Caching, FileCaching, Holder, R, steady
from lanman.server.state import HandlerConnection, ServerSession
from lanman.server.timers import Timer, Timers
from lanman.smb2.constants import (
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import OplockBreak

# 3.3.6.1 with note 217: how many seconds a client has to acknowledge.
BREAK_TIMEOUT: Final = 35.0

_RIGHTS: Final = {
    SMB2_OPLOCK_LEVEL_NONE: NONE,
    SMB2_OPLOCK_LEVEL_II: R,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE: RW,
    SMB2_OPLOCK_LEVEL_BATCH: RWH,
}
_LEVELS: Final = {rights: level for level, rights in _RIGHTS.items()}

# What the domain calls them.
_NAMES: Final = {NONE: "", R: "level II", RW: "exclusive", RWH: "batch"}


def rights_of(level: int) -> int:
    """What an oplock of that level lets its client do; nothing if there is no such level."""
    return _RIGHTS.get(level, NONE)


def no_more_than(level: int, wanted: int) -> int:
    """What of an oplock of that level is told to who wants one of another level."""
    return _LEVELS[rights_of(level) & rights_of(wanted)]


class CachedFile(Protocol):
    """The file that an oplock is on."""

    caching: FileCaching

    def report_oplock(self, open_: Open, oplock: str, *, breaking: bool) -> None:
        """Tell the domain by its name of the oplock that an open has now."""

    def wake(self, now: float) -> None:
        """Something has changed that those may wait for who were not admitted."""

    @property
    def timers(self) -> Timers:
        """The Server's timers."""

    def close(self, open_: Open) -> None:
        """Close an open of it."""


class OplockOpen(Protocol):
    """The open that has an oplock."""

    open: Open
    session: ServerSession | None

    @property
    def file_id(self) -> bytes:
        """Its FileId."""

    @property
    def state(self) -> CachedFile:
        """Its file."""


class Oplock(Holder):
    """One open's oplock. While it is broken, `caching.offered` is what its client was told, and `_told_by` by which
    connection."""

    __slots__ = ("_held_by", "_timer", "_told_by")

    is_lease = False

    def __init__(self, holder: OplockOpen) -> None:
        super().__init__()
        self._held_by = weakref.ref(holder)  # which holds this: a cycle would keep both
        self._timer: Timer | None = None
        self._told_by: HandlerConnection | None = None

    @property
    def _holder(self) -> OplockOpen:
        holder = self._held_by()
        assert holder is not None, "its timer and its file's state let go of it when its open is released"
        return holder

    @property
    def level(self) -> int:
        """Its level, as requests and answers have it."""
        return _LEVELS[self.caching.rights]

    def grant(self, rights: int) -> None:
        """Its open has this oplock from now on."""
        self._become(steady(rights))

    def _become(self, caching: Caching) -> None:
        before, holder = self.caching, self._holder
        holder.state.caching.put(self, caching)
        if (before.rights, before.breaking) != (caching.rights, caching.breaking):
            holder.state.report_oplock(holder.open, _NAMES[caching.rights], breaking=caching.breaking)

    def take(self, left: int, now: float) -> None:
        """3.3.4.6."""
        caching, notice = self.caching.take(left)
        holder = self._holder
        if notice is None:
            self._become(caching)
        elif holder.session is None or holder.session.has_ended:
            # No connection is left to notify. The open ends for which others would have to wait.
            if notice.acknowledged:
                holder.state.close(holder.open)
            else:
                self._become(caching)
        else:
            self._become(caching)
            if notice.acknowledged:
                self._timer = holder.state.timers.at(now + BREAK_TIMEOUT, self._timed_out)
            told_by = holder.session.send_oplock_break(OplockBreak(_LEVELS[notice.after], holder.file_id))
            if notice.acknowledged:
                self._told_by = told_by

    def tell_again(self, lost: HandlerConnection) -> None:
        """3.3.4.6: that connection is lost, and may have taken a notice with it that is to be acknowledged."""
        offered, holder = self.caching.offered, self._holder
        if self._told_by is lost and offered is not None and holder.session is not None:
            self._told_by = holder.session.send_oplock_break(OplockBreak(_LEVELS[offered], holder.file_id))

    def acknowledge(self, level: int) -> int:
        """3.3.5.22.1; the status. The level then is what the client has chosen, or none."""
        offered = self.caching.offered
        if offered is None:
            return codes.STATUS_INVALID_OPLOCK_PROTOCOL
        rights = _RIGHTS.get(level, RWH)
        allowed = not rights & ~offered
        self._settle(rights if allowed else NONE)
        return codes.STATUS_SUCCESS if allowed else codes.STATUS_INVALID_OPLOCK_PROTOCOL

    def release(self) -> None:
        """Its open is gone."""
        self._settle(NONE)

    def _settle(self, rights: int) -> None:
        self._become(steady(rights))
        self._told_by = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self, now: float) -> None:
        self._settle(NONE)
        self._holder.state.wake(now)
