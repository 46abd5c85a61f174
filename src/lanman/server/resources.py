"""How much of this process its peers may take, beside what [limits] of the settings says. These are no settings."""

from __future__ import annotations

from lanman.plain import dataclass


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What peers may take: log-ons under way on one connection; memory for answers and for calls, in bytes."""

    logons_per_connection: int = 64
    # Null sessions and guests' on one connection, which costs its peer nothing.
    anonymous_sessions_per_connection: int = 64
    # Bytes that are answered, or are being answered, and that the transport has not sent: of one connection, of all,
    # and what a connection may always have.
    output_per_connection: int = 16 * 1024 * 1024
    output: int = 64 * 1024 * 1024
    output_always: int = 32 * 1024
    # Bytes of calls on pipes that are not answered, whole or not, and of answers that nobody has read yet. A connection
    # may always have `output_always`.
    unread_per_connection: int = 8 * 1024 * 1024
    unread: int = 32 * 1024 * 1024
    # Leases of one client, by its GUID, and of all. Who has no room for one opens the file without.
    leases_per_client: int = 16384
    leases: int = 65536
