"""The sessions of one client and user at several nodes, as one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from lanman.manage.selection import canonical_client
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import SessionInfo


@dataclass(slots=True)
class MergedSession(SessionInfo):
    """All sessions of one client and user. `nodes` are where they are, `count` is how many there are.

    `num_opens` is the sum, `active_time` that of the oldest and `idle_time` that of the one used last; None where one
    of them was not told. What is not the same in all of them is None.
    """

    nodes: list[str] = field(default_factory=list)
    count: int = 0


def merged(sessions: Iterable[SessionInfo]) -> list[MergedSession]:
    """One row for each client and user, in the order in which they were listed first. Clients are the same however
    slashes, brackets and letter case are written, users whatever their letter case."""
    groups: dict[tuple[str, str | None], list[SessionInfo]] = {}
    for each in sessions:
        user = None if each.user_name is None else fold(each.user_name)
        groups.setdefault((canonical_client(each.client_name or ""), user), []).append(each)
    return [_one(group) for group in groups.values()]


def _one(group: Sequence[SessionInfo]) -> MergedSession:
    first = group[0]
    nodes = dict.fromkeys(each.node for each in group if each.node is not None)
    return MergedSession(
        first.client_name,
        first.user_name,
        _all([each.num_opens for each in group], sum),
        _all([each.active_time for each in group], max),
        _all([each.idle_time for each in group], min),
        first.user_flags if all(each.user_flags == first.user_flags for each in group) else None,
        first.client_type if all(each.client_type == first.client_type for each in group) else None,
        first.transport if all(each.transport == first.transport for each in group) else None,
        nodes=list(nodes),
        count=len(group),
    )


def _all(values: Sequence[int | None], of: Callable[[list[int]], int]) -> int | None:
    known = [value for value in values if value is not None]
    return of(known) if len(known) == len(values) else None
