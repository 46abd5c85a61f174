"""Oplocks (MS-SMB2 3.3.4.6, 3.3.5.22.1, 3.3.6.1): who may cache a file, and how that is taken back.

    exclusive   no other open: cache reads and writes
    batch       the same, and keep it open when the program has closed it
    level II    others have it open too: cache reads

An open that comes in between breaks an exclusive or batch oplock and waits until its holder has acknowledged that,
closed the file, or said nothing for `BREAK_TIMEOUT`. A level II oplock is broken by whoever changes the contents, and
no open waits for it.
"""

from __future__ import annotations

import weakref
from typing import Final, Protocol

from lanman import codes
from lanman.domain import Open
from lanman.server.state import ServerSession
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

# Those that keep others out until they are broken.
ALONE: Final = (SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_BATCH)


# What the domain calls the levels.
_NAMES: Final = {
    SMB2_OPLOCK_LEVEL_NONE: "",
    SMB2_OPLOCK_LEVEL_II: "level II",
    SMB2_OPLOCK_LEVEL_EXCLUSIVE: "exclusive",
    SMB2_OPLOCK_LEVEL_BATCH: "batch",
}


class CachedFile(Protocol):
    """The file that an oplock is on: it counts who may cache it."""

    def oplock_changed(self, oplock: Oplock, before: tuple[int, bool], after: tuple[int, bool]) -> None:
        """An oplock is of another level, or is being broken, or no longer; each as (level, is being broken)."""

    def report_oplock(self, open_: Open, oplock: str) -> None:
        """Tell the domain by its name of the oplock that an open has now."""

    def wake(self, now: float) -> None:
        """Something has changed that those may wait for who were not admitted."""

    @property
    def timers(self) -> Timers:
        """The Server's timers."""

    def close(self, open_: Open) -> None:
        """Close an open of it."""


class Holder(Protocol):
    """The open that holds an oplock."""

    open: Open
    session: ServerSession | None

    @property
    def file_id(self) -> bytes:
        """Its FileId."""

    @property
    def state(self) -> CachedFile:
        """Its file."""


class Oplock:
    """One open's oplock. `breaking_to` is the level that its client was told, until it has acknowledged."""

    __slots__ = ("_held_by", "_timer", "breaking_to", "level")

    def __init__(self, holder: Holder) -> None:
        self.level = SMB2_OPLOCK_LEVEL_NONE
        self.breaking_to: int | None = None
        self._held_by = weakref.ref(holder)  # which holds this: a cycle would keep both
        self._timer: Timer | None = None

    @property
    def _holder(self) -> Holder:
        holder = self._held_by()
        assert holder is not None, "its timer and its file's state let go of it when its open is released"
        return holder

    @property
    def excludes(self) -> bool:
        """Whether it has to be broken before another open is made."""
        return self.level in ALONE

    def grant(self, level: int) -> None:
        """Its open has this oplock from now on."""
        self._become(level, None)

    def _become(self, level: int, breaking_to: int | None) -> None:
        before = self.level, self.breaking_to is not None
        self.level, self.breaking_to = level, breaking_to
        holder = self._holder
        holder.state.oplock_changed(self, before, (level, breaking_to is not None))
        holder.state.report_oplock(holder.open, _NAMES[level])

    def break_to(self, level: int, now: float) -> None:
        """Take it back, down to that level; nothing if that is under way. 3.3.4.6."""
        if self.breaking_to is not None or self.level <= level:
            return
        holder = self._holder
        if holder.session is None:
            self._break_preserved(holder, level)
            return
        if self.excludes:
            self._become(self.level, level)
            self._timer = holder.state.timers.at(now + BREAK_TIMEOUT, self._timed_out)
        else:
            self._become(level, None)  # note 218: level II is gone when the client is told
        holder.session.send_oplock_break(OplockBreak(level, holder.file_id))

    def _break_preserved(self, holder: Holder, level: int) -> None:
        """3.3.4.6: no connection is left to notify. The open ends for which others would have to wait."""
        if self.excludes:
            holder.state.close(holder.open)
        else:
            self._become(level, None)

    def acknowledge(self, level: int) -> int:
        """3.3.5.22.1; the status. The level then is what the client has chosen, or none."""
        if self.breaking_to is None:
            return codes.STATUS_INVALID_OPLOCK_PROTOCOL
        allowed = level in (SMB2_OPLOCK_LEVEL_NONE, SMB2_OPLOCK_LEVEL_II) and level <= self.breaking_to
        self._settle(level if allowed else SMB2_OPLOCK_LEVEL_NONE)
        return codes.STATUS_SUCCESS if allowed else codes.STATUS_INVALID_OPLOCK_PROTOCOL

    def release(self) -> None:
        """Its open is gone."""
        self._settle(SMB2_OPLOCK_LEVEL_NONE)

    def _settle(self, level: int) -> None:
        self._become(level, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self, now: float) -> None:
        self._settle(SMB2_OPLOCK_LEVEL_NONE)
        self._holder.state.wake(now)
