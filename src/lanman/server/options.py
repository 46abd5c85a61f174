"""What the shell has decided about the protocol, and how much of the Server its peers may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lanman.server.admission import AdmissionLimits

Encryption = Literal["off", "offered", "required"]


@dataclass(frozen=True, slots=True)
class ResourceLimits(AdmissionLimits):
    """What peers may take: connections, see `admission`; log-ons under way on one connection; memory for answers, in
    bytes."""

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


@dataclass(frozen=True, slots=True)
class Options:
    """How the Server speaks SMB. "required" encryption refuses whoever cannot."""

    server_name: str = "LANMAN"
    dns_name: str = ""
    signing_required: bool = True
    encryption: Encryption = "offered"
    guest: bool = False
    null_pipes: frozenset[str] = frozenset()
    null_shares: frozenset[str] = frozenset()
    filesystem_name: str = "NTFS"
    share_roots: tuple[str, ...] = ()
    end_sessions_of_removed_accounts: bool = True
    limits: ResourceLimits = field(default_factory=ResourceLimits)
