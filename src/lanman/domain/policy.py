"""The limits and times that an administrator sets, in the units that the domain counts in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEVER: Final = -1

# KB 138365: zero is not "off" but "within seconds". A session needs a moment between its log-on and its first open,
# so zero lets it live this long.
SECONDS_WHEN_ZERO: Final = 2.0

# Inbound connection limits of the Windows editions (KB 122920, KB 314882); 0 is no limit.
SESSION_LIMITS: Final = {"unlimited": 0, "workstation": 10, "home": 5, "windows11": 20}


@dataclass(slots=True)
class Policy:
    """What the Server service allows. Every value may change while sessions live and counts from that moment.

    `autodisconnect` is in seconds: -1 never, 0 within seconds of becoming idle. `null_session_linger` is in seconds.
    For each limit 0 means none.
    """

    autodisconnect: float = 900.0
    null_session_linger: float = 30.0
    max_sessions: int = 0
    sessions_per_connection: int = 2048  # sv502_sessusers
    tree_connects_per_session: int = 2048  # sv502_sessconns
    opens_per_session: int = 16384  # sv502_sessopens

    def idle_period(self) -> float | None:
        """How long a session without opens may be idle, in seconds; None: for ever."""
        if self.autodisconnect < 0:
            return None
        return self.autodisconnect or SECONDS_WHEN_ZERO

    def anonymous_period(self) -> float:
        """The same for a null session: whichever of its own time-out and autodisconnect comes first."""
        idle = self.idle_period()
        return self.null_session_linger if idle is None else min(idle, self.null_session_linger)
