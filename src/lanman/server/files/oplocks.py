"""Oplocks (MS-SMB2 3.3.4.6, 3.3.5.22.1, 3.3.6.1): who may cache a file, and how that is taken back.

    exclusive   nobody else has it open: cache reads and writes
    batch       the same, and keep it open when the program has closed it
    level II    others have it open too: cache reads

An open that comes in between breaks an exclusive or batch oplock and waits until its holder has acknowledged that,
closed the file, or said nothing for `BREAK_TIMEOUT`. A level II oplock is broken by whoever changes the contents, and
nobody waits for it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.smb2.constants import (
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import OplockBreak

if TYPE_CHECKING:
    from lanman.server.files.open import DiskOpen
    from lanman.server.timers import Timer

# 3.3.6.1 with note 217: how many seconds a client has to acknowledge.
BREAK_TIMEOUT: Final = 35.0

# Those that keep others out until they are broken.
ALONE: Final = (SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_BATCH)


class Oplock:
    """One open's oplock. `breaking_to` is the level that its client was told, until it has acknowledged."""

    __slots__ = ("_held_by", "_timer", "breaking_to", "level")

    def __init__(self, wire_open: DiskOpen) -> None:
        self.level = SMB2_OPLOCK_LEVEL_NONE
        self.breaking_to: int | None = None
        self._held_by = weakref.ref(wire_open)  # which holds this: a cycle would keep both
        self._timer: Timer | None = None

    @property
    def _open(self) -> DiskOpen:
        wire_open = self._held_by()
        assert wire_open is not None, "its timer and its file's state let go of it when its open is released"
        return wire_open

    @property
    def excludes(self) -> bool:
        return self.level in ALONE

    def grant(self, level: int) -> None:
        """Its open has this oplock from now on."""
        self._become(level, None)

    def _become(self, level: int, breaking_to: int | None) -> None:
        before = self.level, self.breaking_to is not None
        self.level, self.breaking_to = level, breaking_to
        self._open.state.oplock_changed(self._open, before, (level, breaking_to is not None))

    def break_to(self, level: int, now: float) -> None:
        """Take it back, down to that level; nothing if that is under way. 3.3.4.6."""
        if self.breaking_to is not None or self.level <= level:
            return
        connection = self._open.connection
        if self.excludes:
            self._become(self.level, level)
            timers = connection.server.timers
            self._timer = timers.at(now + BREAK_TIMEOUT, self._timed_out)
        else:
            self._become(level, None)  # note 218: level II is gone when the client is told
        notification = OplockBreak(level, self._open.file_id)
        connection.core.send_oplock_break(notification, session_id=self._open.opened.session.session_id)
        connection.server.mark_ready(connection)

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
        self._open.state.wake(now)
