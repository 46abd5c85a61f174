"""The settings of a running Server that its management calls show and change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lanman.domain import NEVER, Policy
from lanman.server.rights import SessionRights

MAX_AUTODISCONNECT: Final = 65535  # minutes; the command's and the domain policy's limit
MAX_COMMENT: Final = 48


@dataclass(slots=True)
class ServerConfiguration:
    """What is set now. `change` is the only way to set anything, and what it sets is in force at once.

    `autodisconnect` is in minutes, -1 never; `max_sessions` 0 is no limit. `policy` is the domain's and follows them.
    """

    name: str = "LANMAN"
    comment: str = ""
    hidden: bool = False
    autodisconnect: int = 15
    max_sessions: int = 0
    sessions_per_connection: int = 2048
    tree_connects_per_session: int = 2048
    opens_per_session: int = 16384
    session_rights: SessionRights = "hardened"
    share_roots: tuple[str, ...] = ()
    can_encrypt: bool = True
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self._apply()

    def changed(self, **values: Any) -> dict[str, Any]:
        """Those of the values that are not set already. Raises ValueError, whose first argument names a bad one."""
        for name, value in values.items():
            if name not in _CHECKS or not _CHECKS[name](value):
                raise ValueError(name)
        return {name: value for name, value in values.items() if getattr(self, name) != value}

    def change(self, **values: Any) -> None:
        """Set these. Raises ValueError as `changed`; then nothing has changed."""
        for name, value in self.changed(**values).items():
            setattr(self, name, value)
        self._apply()

    def _apply(self) -> None:
        self.policy.autodisconnect = NEVER if self.autodisconnect < 0 else self.autodisconnect * 60
        self.policy.max_sessions = self.max_sessions
        self.policy.sessions_per_connection = self.sessions_per_connection
        self.policy.tree_connects_per_session = self.tree_connects_per_session
        self.policy.opens_per_session = self.opens_per_session


def _within(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and low <= value <= high


def is_comment(value: Any) -> bool:
    """Whether it may be the Server's comment or a share's."""
    return isinstance(value, str) and len(value) <= MAX_COMMENT and value.isprintable()


_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "comment": is_comment,
    "hidden": lambda value: isinstance(value, bool),
    "autodisconnect": _within(NEVER, MAX_AUTODISCONNECT),
    "max_sessions": _within(0, 0x7FFFFFFF),
    "opens_per_session": _within(1, 0x7FFFFFFF),
    "sessions_per_connection": _within(1, 0x7FFFFFFF),
    "tree_connects_per_session": _within(1, 0x7FFFFFFF),
}
