"""Which sessions and opens a management call means (MS-SRVS 3.1.4.3 and 3.1.4.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lanman.domain.nouns import Session
from lanman.names import fold

T = TypeVar("T")


def prefer_exact_user(found: list[T], user: str | None, session_of: Callable[[T], Session]) -> list[T]:
    """Of what was found for a user, what is of a user of exactly that name; all of it if there is none."""
    return ([each for each in found if session_of(each).user_name == user] if user else []) or found


def path_components(path: str) -> list[str]:
    r"""A path as it is compared: `/srv/data` is `/SRV\Data\`. What begins with `\` is a pipe, not a file."""
    if not path:
        return []
    return [path[0], *(part for part in fold(path).replace("\\", "/").split("/") if part)]


def is_at_or_under(path: str, components: list[str]) -> bool:
    """Whether a path begins with these components; every path does with none."""
    return not components or path_components(path)[: len(components)] == components
