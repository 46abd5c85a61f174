"""NetrServerSetInfo: which members of which level set what (MS-SRVS 3.1.4.18).

Only what has an effect on this Server can be set. Members that say who the server is are passed over; any other must be
what it already is, so that what was read can be written back with one value changed. Nothing is set unless all can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Final, NamedTuple

from lanman import codes
from lanman.domain import NEVER
from lanman.records import ServerInfo
from lanman.server.changes import KEEPING_FAILED, EffectFailed, KeepSettings, Work
from lanman.server.configuration import MAX_AUTODISCONNECT, ServerConfiguration
from lanman.server.describe import UNLIMITED, server_info


class Setting(NamedTuple):
    """A member that can be set: what it is called in the configuration, and its value there. ValueError: a bad one."""

    name: str
    read: Callable[[Any], Any]


def _within(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not low <= value <= high:
            raise ValueError(value)
        return int(value)

    return read


def _minutes(value: Any) -> int:
    # SV_NODISC is 0xFFFFFFFF, which is -1 in a long.
    return NEVER if value in (NEVER, UNLIMITED) else _within(0, MAX_AUTODISCONNECT)(value)


def _users(value: Any) -> int:
    return 0 if value in (NEVER, UNLIMITED) else _within(1, 0x7FFFFFFF)(value)


# The maxima are those of 3.1.4.18.
SETTINGS: Final[Mapping[str, Setting]] = {
    "comment": Setting("comment", lambda value: value or ""),
    "users": Setting("max_sessions", _users),
    "disc": Setting("autodisconnect", _minutes),
    "hidden": Setting("hidden", bool),
    "sessopens": Setting("opens_per_session", _within(1, 16384)),
    "sessusers": Setting("sessions_per_connection", _within(1, 2048)),
    "sessconns": Setting("tree_connects_per_session", _within(1, 2048)),
}
IDENTITY: Final = frozenset(
    {"platform_id", "name", "version_major", "version_minor", "type", "licenses", "userpath", "domain", "reserved"}
)

# 2.2.2.12: what ParmErr calls a bad member. Those of level 599 are numbered in its order, from 501 on.
_MEMBERS: Final = [member.name for member in fields(ServerInfo)]
PARM_ERR: Final[Mapping[str, int]] = {
    "comment": 5,
    "disc": 10,
    "hidden": 16,
    "announce": 17,
    "anndelta": 18,
    "users": 107,
    **{member: number for number, member in enumerate(_MEMBERS[_MEMBERS.index("sessopens") :], 501)},
}


class BadMember(Exception):
    """A member cannot be set: the code, and the number for ParmErr."""

    def __init__(self, code: int, parm_err: int) -> None:
        super().__init__(code, parm_err)
        self.code = code
        self.parm_err = parm_err


def change_settings(configuration: ServerConfiguration, members: Iterable[str], info: ServerInfo) -> Work[None]:
    """Set the members of a level, having kept them. Raises BadMember, with nothing changed."""
    shown = server_info(configuration)
    changes: dict[str, Any] = {}
    for member in members:
        value = getattr(info, member)
        if member in IDENTITY or value == getattr(shown, member):
            continue
        if (setting := SETTINGS.get(member)) is None:
            raise BadMember(codes.ERROR_NOT_SUPPORTED, PARM_ERR[member])
        try:
            changes[setting.name] = setting.read(value)
        except ValueError:
            raise BadMember(codes.ERROR_INVALID_PARAMETER, PARM_ERR[member]) from None
    try:
        changes = configuration.changed(**changes)
    except ValueError as error:
        bad = next(member for member, setting in SETTINGS.items() if setting.name == error.args[0])
        raise BadMember(codes.ERROR_INVALID_PARAMETER, PARM_ERR[bad]) from None
    if changes:
        try:
            yield KeepSettings(changes)
        except EffectFailed:
            raise BadMember(KEEPING_FAILED, 0) from None
        configuration.change(**changes)
