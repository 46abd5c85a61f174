"""Who calls the Server service, and whom a call is for (MS-SRVS 3.1.4, notes 44 to 109).

Each call names its `Rights` where it is answered (`@answers(…, rights=…)` in `lanman.server.srvsvc`): the groups whose
members may make it, and where it matters for each information level. A refusal is ERROR_ACCESS_DENIED in every case.

Rights are judged when the call runs, by the groups that the caller's user is in then; a call that waited behind others
is judged when its turn has come.

Two presets of the session descriptor (`SrvsvcSessionInfo` of the registry) differ in one call:

    hardened   sessions are for administrators and server operators alone (Windows 10 1607 and later)
    legacy     levels 0 and 10 of NetrSessionEnum are for every authenticated user as well
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal

from lanman.domain import Session, is_member
from lanman.names import ADMINISTRATORS, AUTHENTICATED_USERS, EVERYONE, POWER_USERS, PRINT_OPERATORS, SERVER_OPERATORS
from lanman.plain import dataclass

SessionRights = Literal["hardened", "legacy"]

# The sets of groups that MS-SRVS's notes speak of.
OPERATORS: Final = (ADMINISTRATORS, SERVER_OPERATORS)
MANAGERS: Final = (*OPERATORS, POWER_USERS)
ALL_OPERATORS: Final = (*OPERATORS, PRINT_OPERATORS, POWER_USERS)
ANYBODY: Final = (EVERYONE,)


@dataclass(slots=True)
class Caller:
    """Who makes a call. `session` is None on the control socket; `local_admin` is what the kernel says there."""

    user_name: str
    groups: frozenset[str] = frozenset()
    session: Session | None = None
    local_admin: bool = False

    def is_in(self, group: str) -> bool:
        """Whether the caller belongs to a group. Guests and null sessions are in Everyone and nothing else."""
        if group == EVERYONE:
            return True
        if self.session is not None and (self.session.anonymous or self.session.guest):
            return False
        # A session's groups follow the accounts; the caller's own are those at the start of its connection.
        groups = self.groups if self.session is None else self.session.groups
        return group == AUTHENTICATED_USERS or is_member(groups, group)


@dataclass(frozen=True, slots=True)
class Rights:
    """The groups whose members may make a call: those of its level in `at`, and `groups` at every other level.

    `legacy` stands in place of these rights while the Server's session rights are "legacy".
    """

    groups: tuple[str, ...] = OPERATORS
    at: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    legacy: Rights | None = None

    def groups_at(self, level: int | None = None, session_rights: SessionRights = "hardened") -> tuple[str, ...]:
        """The groups whose members may make the call at this level; None is a call that has no levels."""
        if session_rights == "legacy" and self.legacy is not None:
            return self.legacy.groups_at(level)
        return self.groups if level is None else self.at.get(level, self.groups)

    def allow(self, caller: Caller, level: int | None = None, session_rights: SessionRights = "hardened") -> bool:
        """Whether this caller may make the call at this level. An administrator of the machine may make any."""
        return caller.local_admin or any(caller.is_in(group) for group in self.groups_at(level, session_rights))
