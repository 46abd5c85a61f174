"""What it costs its user when a file is closed, or a session ended, by what a server lists.

    none      it is open for reading alone, without locks, and its user has been idle for over an hour; or nothing is
              open at all
    reopen    it is open for reading: the program sees an error, or opens it again
    unsaved   it is open for writing, or has locks
    unknown   the server does not say how it is open, or whose it is

Samba tells no idle times, so nothing that is open there costs nothing. A session costs what the worst of its files
does, where its files can be told from those of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lanman.manage.orders.plan import Cost, worst
from lanman.records import FileInfo, SessionInfo

IDLE_LONG: Final = 3600
"""After so many idle seconds a file that is open for reading alone is taken to be needed by nobody."""

# PERM_FILE_WRITE and PERM_FILE_CREATE (MS-SRVS 2.2.4.7). FILE_WRITE_DATA and FILE_APPEND_DATA are the same bits.
WRITES: Final = 0x6

PIPE: Final = "\\pipe\\"


def cost_of_file(file: FileInfo, idle_times: Sequence[int | None]) -> tuple[Cost, str]:
    """What closing a file costs, and why. `idle_times` are those of the sessions that may have opened it."""
    if file.path is not None and file.path.replace("/", "\\").casefold().startswith(PIPE):
        return Cost.REOPEN, "a pipe: nothing is kept in it"
    if file.permissions is None:
        return Cost.UNKNOWN, "the server does not say how it is open"
    reasons = []
    if file.permissions & WRITES:
        reasons.append("write access")
    if file.num_locks:
        reasons.append("1 lock" if file.num_locks == 1 else f"{file.num_locks} locks")
    if reasons:
        return Cost.UNSAVED, ", ".join(reasons)
    if file.num_locks is None:
        return Cost.UNKNOWN, "the server does not say whether it has locks"
    if not idle_times or None in idle_times:
        return Cost.REOPEN, "read access, idle time unknown"
    idle = min(time for time in idle_times if time is not None)
    if idle > IDLE_LONG:
        return Cost.NONE, f"read access, idle for {idle // 60} minutes"
    return Cost.REOPEN, "read access"


def cost_of_session(session: SessionInfo, files: Iterable[FileInfo] | None) -> tuple[Cost, str]:
    """What the end of a session costs, and why. `files` are those that it has open; None where that cannot be told."""
    if session.num_opens == 0:
        return Cost.NONE, "nothing is open"
    if files is None:
        return Cost.UNKNOWN, "which files it has open cannot be told"
    each = [(cost_of_file(file, [session.idle_time]), file) for file in files]
    if not each:
        if session.num_opens is None:
            return Cost.NONE, "nothing is open"
        return Cost.UNKNOWN, "what it has open is not listed"
    cost = worst(cost for (cost, _), _ in each)
    named = [(why, file) for (one, why), file in each if one is cost]
    why, file = named[0]
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    return cost, f"{why}: {file.path or '?'}{more}"
