"""What users, clients and paths are found by in a database: names in one form, no longer than an index can hold."""

from __future__ import annotations

from lanman.manage.history.schema import MAX_KEY, storable
from lanman.manage.selection import canonical_client
from lanman.names import fold


def user_key(name: str) -> str:
    """What a user is found by."""
    return storable(fold(name))[:MAX_KEY]


def client_key(name: str) -> str:
    """What a client is found by."""
    return storable(canonical_client(name))[:MAX_KEY]


def path_key(path: str, *, whole: bool = True) -> str:
    """What a path is found by: folded, with `/`, without one at its end (where it is the `whole` path) and without the
    drive C:, as in `lanman.manage.selection.chosen_paths`."""
    plain = fold(path.replace("\\", "/"))
    if whole:
        plain = plain.rstrip("/")
    return storable(plain[2:] if plain[:2] == "C:" else plain)[:MAX_KEY]
