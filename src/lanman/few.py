"""Mappings for what most have nothing of, or one: a session's tree connects, a file's opens.

There are thousands of those who have them. An empty dict takes 64 bytes, and one with a single entry 224; here nothing
takes nothing, and one entry 48 bytes. Rules:

* What is kept is a Mapping that nobody changes: `with_one` and `without` give what is to be kept in its place. From two
  entries on that is a dict, which they do change, until nothing is left of it.
* Entries come in the order in which they were added, as those of a dict.
* A set is such a mapping of its members to None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


class One(Mapping[K, V]):
    """One entry."""

    __slots__ = ("_key", "_value")

    def __init__(self, key: K, value: V) -> None:
        self._key = key
        self._value = value

    def __getitem__(self, key: K) -> V:
        if key == self._key:
            return self._value
        raise KeyError(key)

    def get(self, key: K, default: Any = None, /) -> Any:
        """The value of that key, or the default; without the exception that the inherited method catches."""
        return self._value if key == self._key else default

    def __contains__(self, key: object) -> bool:
        return key == self._key

    def __iter__(self) -> Iterator[K]:
        return iter((self._key,))

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return repr({self._key: self._value})


def with_one(those: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    """Those with one more, or with another value for that key, to be kept in their place."""
    if not those:
        return One(key, value)
    if isinstance(those, dict):
        those[key] = value
        return those
    return One(key, value) if key in those else {**those, key: value}


def without(those: Mapping[K, V], key: K) -> Mapping[K, V]:
    """Those without the one of that key, if it is there, to be kept in their place."""
    if isinstance(those, dict):
        those.pop(key, None)
        return those or NOTHING
    return NOTHING if key in those else those
