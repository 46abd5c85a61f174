"""The times after which sessions end by themselves, in seconds, from the settings in force.

A setting may change while sessions live; it counts from that moment for all of them. The limits of sessions, tree
connects and opens are read where they are enforced (`server_service`); 0 is no limit there.
"""

from __future__ import annotations

from typing import Final

from lanman.settings import Configuration

# KB 138365: zero is not "off" but "within seconds". A session needs a moment between its log-on and its first open,
# so zero lets it live this long.
SECONDS_WHEN_ZERO: Final = 2.0


def idle_period(configuration: Configuration) -> float | None:
    """How long a session without opens may be idle, in seconds (`autodisconnect` is in minutes); None: for ever."""
    if configuration.autodisconnect < 0:
        return None
    return configuration.autodisconnect * 60.0 or SECONDS_WHEN_ZERO


def anonymous_period(configuration: Configuration) -> float:
    """The same for a null session: whichever of its own time-out and autodisconnect comes first."""
    idle = idle_period(configuration)
    linger = float(configuration.null_sessions.linger)
    return linger if idle is None else min(idle, linger)
