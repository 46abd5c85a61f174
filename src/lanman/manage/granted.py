"""What servers granted, so that it need not be found out again."""

from __future__ import annotations

_Key = tuple[str, int, bytes, str]


class GrantedLevels:
    """The information level that each server granted last: by server, port, identity and kind of question.

    A process has one by itself; who wants to keep apart what is known, as tests do, passes one of its own to
    `open_manager`. An entry is a hint and no more: a level that is refused after all begins the fallback anew below it.
    """

    def __init__(self) -> None:
        self._levels: dict[_Key, int] = {}

    def get(self, key: _Key, otherwise: int) -> int:
        """The level that was granted last, or `otherwise` where none is known."""
        return self._levels.get(key, otherwise)

    def put(self, key: _Key, level: int | None) -> None:
        """Remember a level; None forgets, where every level was refused."""
        if level is None:
            self._levels.pop(key, None)
        else:
            self._levels[key] = level
