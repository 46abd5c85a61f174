"""Who has a file open, from where, since when, and what it costs to take it away: as far as it is known, and how.

    explanation = await explain(manager, r"\\\\fs1\\projects\\budget.xlsx")
    for holder in explanation.holders:
        print(holder.user_name, holder.client_name, holder.client_how, holder.cost, holder.why)

Rules:

  - The open files and the sessions are asked for once each, and the share once: three questions beyond the list of
    files at most, however many files are open.
  - MS-SRVS tells neither from where nor since when a file is open. Which session has it is worked out by
    `lanman.manage.openers`; it was opened no earlier than that session began. This machine's own servers tell both.
  - A path of a share is looked for where the share is. Where that may not be asked, by its end: `share_how` says so.
  - What the server does not say is None, and `How.UNKNOWN`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.answers import Absent
from lanman.manage.manager import Manager, poverty
from lanman.manage.openers import Opener, Openers
from lanman.manage.orders.costs import WRITES, cost_of_file
from lanman.manage.orders.plan import Cost
from lanman.manage.selection import (
    UncPath,
    check_filters,
    chosen_paths,
    chosen_users,
    is_pattern,
    split_unc,
)
from lanman.manage.watching.clients import owner_unknown
from lanman.manage.watching.keys import How, session_key
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo
from lanman.shown import rfc3339

# Of a share whose folder may not be asked for: what NetrShareGetInfo answers, or what a Manager without it does.
_UNTOLD: Final = frozenset({codes.ERROR_ACCESS_DENIED, codes.ERROR_NOT_SUPPORTED, codes.ERROR_INVALID_LEVEL})

LOOK_EVERY: Final = 1.0
"""How many seconds are between two looks while it is waited for a file to be free."""


@dataclass(slots=True, eq=False)
class Holder:
    """One open of a file. `file` is as it is listed; times are in seconds since 1970.

    `client_name` is from where, and `client_how` how that is known: TOLD, INFERRED (the user has sessions from there
    alone), CANDIDATES (`candidates` are the clients that it may be), UNKNOWN. `opened_at` is known where `opened_how`
    is TOLD; `not_before` is when the first session began that may have it. `others` is how many other files the user
    has open, or has kept; 0 where there is none who is known.
    """

    file: FileInfo
    opener: Opener
    share: str | None
    opened_at: float | None
    opened_how: How
    not_before: float | None
    cost: Cost
    why: str
    others: int = 0

    @property
    def user_name(self) -> str | None:
        """Whose it is."""
        return self.file.user_name

    @property
    def client_name(self) -> str | None:
        """From where it is open; None where that is not known, or may be one of several."""
        return self.opener.client_name

    @property
    def client_how(self) -> How:
        """How it is known from where."""
        return self.opener.how

    @property
    def candidates(self) -> list[str]:
        """The clients that it may be open from, where they are several."""
        return self.opener.candidates

    @property
    def oplock(self) -> str | None:
        """Which oplock its client has, as the server calls it; "" for none, None where that is not told."""
        return getattr(self.file, "oplock", None)

    @property
    def lease(self) -> str | None:
        """What its client may cache by a lease: "RWH", "RW", "RH", "R", "" for nothing, None where it is not told."""
        return getattr(self.file, "lease", None)

    @property
    def owner(self) -> str | None:
        """For whom it is kept, whose connection was lost; "" where somebody has it open, None where it is not told."""
        return getattr(self.file, "owner", None)

    @property
    def expires_at(self) -> float | None:
        """When it is closed if it is only kept, in seconds since 1970."""
        return getattr(self.file, "expires_at", None)

    @property
    def session(self) -> SessionInfo | None:
        """The session that has it open, where that is one."""
        return self.opener.session

    @property
    def idle_time(self) -> int | None:
        """For how many seconds nothing came from whoever has it open; None where that is not known."""
        times = [session.idle_time for session in self.opener.sessions]
        known = [each for each in times if each is not None]
        return min(known) if known and len(known) == len(times) else None

    @property
    def writes(self) -> bool:
        """Whether it is open for writing."""
        return bool((self.file.permissions or 0) & WRITES)

    def as_json(self) -> dict[str, Any]:
        """The holder for programs; unknown is None, times are RFC 3339."""
        session = self.session
        return ({} if self.file.node is None else {"node": self.file.node}) | {
            "id": self.file.id,
            "path": self.file.path,
            "share": self.share,
            "user_name": self.user_name,
            "client_name": self.client_name,
            "client_how": self.client_how.value,
            "candidates": self.candidates,
            "access": self.file.permissions,
            "locks": self.file.num_locks,
            "opened_at": rfc3339(self.opened_at),
            "opened_how": self.opened_how.value,
            "not_before": rfc3339(self.not_before),
            "session": None
            if session is None
            else {
                "client_name": session.client_name,
                "user_name": session.user_name,
                "begun_at": rfc3339(self.not_before),
                "idle_time": session.idle_time,
                "num_opens": session.num_opens,
                "channels": getattr(session, "channels", None),
            },
            "cost": self.cost.value,
            "cost_why": self.why,
            "oplock": self.oplock,
            "lease": self.lease,
            "lease_key": getattr(self.file, "lease_key", None),
            "durable": getattr(self.file, "durable", None),
            "owner": self.owner,
            "expires_at": rfc3339(self.expires_at),
        }


@dataclass(slots=True, eq=False)
class Explanation:
    r"""Who has what a path means. `path` is as it was typed, `local_path` the server's own for `\\server\share\path`.

    `share_how` is TOLD where the server said where the share is, INFERRED where files were looked for by the end of
    their paths, UNKNOWN for a path without a share. `missing` are sentences about what the server did not tell.
    `num_unsure` counts the opens that filters left out and may be meant all the same. `absent` are the nodes of a
    cluster that did not answer. Where the nodes have the share in different places, `local_path` is None.
    """

    server: str
    path: str
    local_path: str | None = None
    share_how: How = How.UNKNOWN
    level: int | None = None
    holders: list[Holder] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    num_unsure: int = 0
    absent: list[Absent] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The explanation for programs."""
        return {
            "path": self.path,
            "local_path": self.local_path,
            "share_how": self.share_how.value,
            "level": self.level,
            "holders": [holder.as_json() for holder in self.holders],
            "missing": self.missing,
            "num_unsure": self.num_unsure,
        }


async def explain(manager: Manager, path: str, *, user: str | None = None, client: str | None = None) -> Explanation:
    r"""Who has a file open: `\\server\share\path`, or a path as it is listed, or a pattern over one.

    `user` and `client` leave out others; one that only may be meant does not count (`num_unsure`). Raises Win32Error 53
    for a path of another server, 2310 for a share that does not exist, 50 where the server does not tell its open
    files, 87 and 2351 for an empty filter, and AccessDenied.
    """
    check_filters(client=client, user=user, path=path)
    unc = _unc(path)
    answers = await manager.each(lambda each: _ask(each, path, unc, of_cluster=manager))
    parts = [part for part in answers.parts if not isinstance(part.answer, Win32Error)]
    if not parts:
        raise next(part.answer for part in answers.parts if isinstance(part.answer, Win32Error))
    told = {part.node: part.answer for part in parts if not isinstance(part.answer, Win32Error)}
    found = _together(manager.server, path, told)
    found.absent = list(answers.missing)
    # What is meant is decided by all that is listed; where a share is, each node has it elsewhere.
    listed = [file.path for each in told.values() for file in each.files]
    everywhere = chosen_paths(listed, path) if unc is None else frozenset()
    for each in told.values():
        paths = (
            everywhere if unc is None else chosen_paths((file.path for file in each.files), _wanted(unc, each.found))
        )
        openers = Openers(each.sessions)
        each_has = Counter(fold(whose) for file in each.files if (whose := _whose(file)))
        begun = {id(session): session_key(session, each.at).begun_at for session in each.sessions}
        for file in each.files:
            if file.path in paths:
                found.holders.append(_holder(file, openers.of(file), begun, each_has, unc))
    await _leave_out(manager, found, user, client)
    return found


@dataclass(slots=True, eq=False)
class _Told:
    """What one server, or one node of a cluster, has told; `at` is when it was asked for its sessions."""

    found: Explanation
    files: Sequence[FileInfo]
    sessions: Sequence[SessionInfo]
    at: float


async def _ask(manager: Manager, path: str, unc: UncPath | None, of_cluster: Manager) -> _Told | Win32Error:
    """Ask one server. Of a cluster, a node that is not meant, or has no such share, gives that as its answer."""
    found = Explanation(manager.server, path)
    if unc is not None:
        if of_cluster.nodes and of_cluster.is_own_name(unc.server):
            unc = replace(unc, server=manager.server)
        try:
            await _find_share(manager, unc, found)
        except Win32Error as error:
            if of_cluster.nodes and error.code in (codes.ERROR_BAD_NETPATH, codes.NERR_NetNameNotFound):
                return error
            raise
    files = await manager.opened_files()
    at = time.time()
    return _Told(found, files, await _sessions(manager, found), at)


def _together(server: str, path: str, told: Mapping[str, _Told]) -> Explanation:
    """What is known of where the files are, of all nodes together; each file and session gets its node."""
    parts = {node: each.found for node, each in told.items()}
    found = Explanation(server, path)
    places = {each.local_path for each in parts.values()}
    found.local_path = places.pop() if len(places) == 1 else None
    hows = {each.share_how for each in parts.values()}
    found.share_how = How.INFERRED if How.INFERRED in hows else hows.pop()
    levels = [each.level for each in parts.values() if each.level is not None]
    found.level = max(levels, key=poverty, default=None)
    for node, each in told.items():
        found.missing += [f"{node}: {sentence}" if node else sentence for sentence in each.found.missing]
        records: list[FileInfo | SessionInfo] = [*each.files, *each.sessions]
        for record in records if node else ():
            record.node = node
    return found


async def _find_share(manager: Manager, unc: UncPath, found: Explanation) -> None:
    """Find the folder of a share. Where it may not be asked for, files are found by the end of their paths."""
    if not await manager.is_called(unc.server):
        raise Win32Error(
            codes.ERROR_BAD_NETPATH,
            f"{found.path}: is a path of \\\\{unc.server}, and the one that is asked is \\\\{manager.server}",
            hint=f"ask that one with --server {unc.server}, or give the path without its server",
            subject=found.path,
        )
    try:
        folder = (await manager.share(unc.share)).path
    except Win32Error as error:
        if error.code not in _UNTOLD:
            raise
        folder = None
    if folder and not is_pattern(folder):
        found.local_path, found.share_how = unc.below(folder), How.TOLD
        return
    if not unc.rest:
        raise Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"the folder of the share {unc.share} cannot be told",
            hint="give the path as `lanman file` lists it",
            server=manager.server,
            subject=f"share {unc.share}",
        )
    found.share_how = How.INFERRED
    found.missing.append(f"where the share {unc.share} is, is not told: files were found by the end of their paths")


async def listed_path(manager: Manager, path: str) -> tuple[str, How | None]:
    """What a path means on a server, as `lanman.manage.selection.chosen_paths` takes it, and how the folder of its
    share is known: TOLD, INFERRED (files are found by the end of their paths), None where the path names no share.

    Raises what `explain` does.
    """
    found = Explanation(manager.server, path)
    unc = _unc(path)
    if unc is not None:
        await _find_share(manager, unc, found)
    return _wanted(unc, found), found.share_how if unc is not None else None


def _unc(path: str) -> UncPath | None:
    """What a path of a share names. Raises Win32Error 53 for one that begins so, and is none."""
    unc = split_unc(path)
    if unc is None and path[:2] in ("\\\\", "//"):
        raise Win32Error(
            codes.ERROR_BAD_NETPATH,
            f"{path}: a path that begins with two slashes names a server and a share, without * and ?",
            hint=r"write it as \\SERVER\SHARE\PATH, or leave out the server: -S SERVER PATH",
        )
    return unc


def _wanted(unc: UncPath | None, found: Explanation) -> str:
    if found.share_how is How.INFERRED and unc is not None:
        return "*\\" + unc.rest.replace("/", "\\")
    return found.local_path or found.path


async def _sessions(manager: Manager, found: Explanation) -> Sequence[SessionInfo]:
    try:
        sessions = await manager.sessions()
    except Win32Error as error:
        found.missing.append(f"who has sessions is not told: {error.message}")
        return []
    found.level = sessions.level
    if sessions.level == 0:
        found.missing.append("the server grants level 0 alone, which does not say whose sessions are whose")
    elif manager.is_samba:
        found.missing.append("Samba does not tell idle times")
    return sessions


def _holder(
    file: FileInfo, opener: Opener, begun: dict[int, int | None], each_has: Counter[str], unc: UncPath | None
) -> Holder:
    opened_at: float | None = getattr(file, "opened_at", None)
    began = [begun.get(id(session)) for session in opener.sessions]
    known = [at for at in began if at is not None]
    cost, why = cost_of_file(file, [session.idle_time for session in opener.sessions])
    share = getattr(file, "share", None) or (None if unc is None else unc.share)
    return Holder(
        file,
        opener,
        share,
        opened_at,
        How.UNKNOWN if opened_at is None else How.TOLD,
        min(known) if known and len(known) == len(began) else None,
        cost,
        why,
        each_has[fold(whose)] - 1 if (whose := _whose(file)) else 0,
    )


def _whose(file: FileInfo) -> str | None:
    """Its user, or for whom it is kept; "" and None for nobody who is known."""
    return getattr(file, "owner", None) or file.user_name


async def _leave_out(manager: Manager, found: Explanation, user: str | None, client: str | None) -> None:
    """Leave out the holders that filters do not mean; those who may be meant all the same are counted and named."""
    if user is not None:
        users = chosen_users((_whose(holder.file) for holder in found.holders), user)
        nameless = [holder for holder in found.holders if holder.user_name is None]
        kept = [each.file for each in found.holders]
        unknown = sum(owner_unknown(file.user_name, file.path, getattr(file, "owner", None)) for file in kept)
        found.holders = [holder for holder in found.holders if _whose(holder.file) in users]
        _note_unsure(found, len(nameless), f"are open by somebody whom the server does not name, who may be {user}")
        _note_unsure(found, unknown, f"have no user, and may be kept for {user}")
    if client is not None:
        names = {name for holder in found.holders for name in (holder.client_name, *holder.candidates) if name}
        meant = await manager.clients_called(client, sorted(names))
        # Who has no session that is listed may be anywhere.
        unsure = [
            holder
            for holder in found.holders
            if holder.client_name is None and (not holder.candidates or not meant.isdisjoint(holder.candidates))
        ]
        found.holders = [holder for holder in found.holders if holder.client_name in meant]
        _note_unsure(found, len(unsure), f"may be open from {client}, or from another client")


def _note_unsure(found: Explanation, number: int, what: str) -> None:
    if number:
        found.num_unsure += number
        found.missing.append(f"{number} more {what}")


async def wait_until_free(
    manager: Manager,
    path: str,
    seconds: float,
    *,
    user: str | None = None,
    client: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = asyncio.sleep,
) -> Explanation:
    """Look again and again for up to so many seconds, until nobody has the file open; what was seen at last."""
    deadline = clock() + seconds
    while True:
        found = await explain(manager, path, user=user, client=client)
        left = deadline - clock()
        if not found.holders or left <= 0:
            return found
        await sleep(min(LOOK_EVERY, left))
