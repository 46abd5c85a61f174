"""Who may make which call of the Server service, and see what of it (MS-SRVS 3.1.4, notes 44 to 109).

One table: for each call, and where it matters for each information level, the groups whose members may. Two presets of
the session descriptor (`SrvsvcSessionInfo` of the registry) differ in one line:

    hardened   sessions are for administrators and server operators alone (Windows 10 1607 and later)
    legacy     levels 0 and 10 of NetrSessionEnum are for every authenticated user as well

A refusal is ERROR_ACCESS_DENIED in every case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lanman.domain import ADMINISTRATORS, Session, is_member

SERVER_OPERATORS: Final = "Server Operators"
PRINT_OPERATORS: Final = "Print Operators"
POWER_USERS: Final = "Power Users"
AUTHENTICATED_USERS: Final = "Authenticated Users"  # whoever logged on as somebody: neither guests nor null sessions
EVERYONE: Final = "Everyone"

SessionRights = Literal["hardened", "legacy"]

_OPERATORS: Final = (ADMINISTRATORS, SERVER_OPERATORS)
_MANAGERS: Final = (*_OPERATORS, POWER_USERS)
_ALL_OPERATORS: Final = (*_OPERATORS, PRINT_OPERATORS, POWER_USERS)
_EVERYONE: Final = (EVERYONE,)

# By call, then by level; None is every level that is not named. A call that is not here is for operators alone.
_RIGHTS: Final[Mapping[str, Mapping[int | None, tuple[str, ...]]]] = {
    "NetrConnectionEnum": {None: _ALL_OPERATORS},  # note 44
    "NetrFileEnum": {None: _OPERATORS},
    "NetrFileGetInfo": {None: _OPERATORS},
    "NetrFileClose": {None: _OPERATORS},
    "NetrSessionEnum": {None: _OPERATORS},  # notes 52 to 55
    "NetrSessionDel": {None: _OPERATORS},
    "NetrShareAdd": {None: _MANAGERS},  # note 56
    # The API page has levels 0 and 1 for everyone, and so has Samba's torture suite, which wants 501 refused.
    "NetrShareEnum": {0: _EVERYONE, 1: _EVERYONE, None: _ALL_OPERATORS},
    "NetrShareEnumSticky": {0: _EVERYONE, 1: _EVERYONE, None: _ALL_OPERATORS},
    # note 61
    "NetrShareGetInfo": {0: _EVERYONE, 1: _EVERYONE, 501: _EVERYONE, 1005: _EVERYONE, None: _ALL_OPERATORS},
    "NetrShareSetInfo": {None: _MANAGERS},
    "NetrShareDel": {None: _MANAGERS},  # note 70
    "NetrShareDelSticky": {None: _MANAGERS},
    "NetrShareCheck": {None: _EVERYONE},
    # note 80; the API page adds the other operators for 102, of which 103 has only one member more.
    "NetrServerGetInfo": {
        100: _EVERYONE,
        101: _EVERYONE,
        102: _ALL_OPERATORS,
        103: _ALL_OPERATORS,
        502: _MANAGERS,
        None: _OPERATORS,
    },
    "NetrServerSetInfo": {None: _OPERATORS},
    "NetrServerDiskEnum": {None: _OPERATORS},
    "NetrServerStatisticsGet": {None: _OPERATORS},
    "NetrServerTransportEnum": {None: _MANAGERS},  # note 96
    "NetrRemoteTOD": {None: _EVERYONE},  # note 90
    "NetprPathType": {None: _EVERYONE},  # note 109
    "NetprPathCanonicalize": {None: _EVERYONE},
    "NetprPathCompare": {None: _EVERYONE},
    "NetprNameValidate": {None: _EVERYONE},
    "NetprNameCanonicalize": {None: _EVERYONE},
    "NetprNameCompare": {None: _EVERYONE},
}

_LEGACY: Final[Mapping[int | None, tuple[str, ...]]] = {
    0: (*_OPERATORS, AUTHENTICATED_USERS),
    10: (*_OPERATORS, AUTHENTICATED_USERS),
    None: _OPERATORS,
}


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
        # A session's groups are those that its user is in now, the caller's own those of the start.
        groups = self.groups if self.session is None else self.session.groups
        return group == AUTHENTICATED_USERS or is_member(groups, group)


def groups_for(call: str, level: int | None = None, session_rights: SessionRights = "hardened") -> tuple[str, ...]:
    """The groups whose members may make this call at this level."""
    table = _RIGHTS.get(call, {})
    if call == "NetrSessionEnum" and session_rights == "legacy":
        table = _LEGACY
    return table.get(level) or table.get(None) or _OPERATORS


def may(caller: Caller, call: str, level: int | None = None, session_rights: SessionRights = "hardened") -> bool:
    """Whether this caller may make this call at this level."""
    return caller.local_admin or any(caller.is_in(group) for group in groups_for(call, level, session_rights))
