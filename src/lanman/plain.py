"""Plain values: dataclasses with slots whose comparing and printing is shared.

`dataclass()` writes and compiles an `__eq__` and a `__repr__` for each class, which for the many declarations of this
package would take a command longer than all else that it imports.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast, dataclass_transform

T = TypeVar("T")


@dataclass_transform(field_specifiers=(field,))
def plain(cls: type[T]) -> type[T]:
    """A dataclass with slots. Values of one class compare by their fields, and are not hashable.

    A field that is given by its name alone (`kw_only`) is no part of the value's own form: it is shown where it is set.
    """
    made: Any = dataclass(slots=True, eq=False, repr=False)(cls)
    made.__eq__, made.__hash__, made.__repr__ = _equal, None, _representation
    return cast("type[T]", made)


def _equal(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    own = self.__match_args__
    if len(own) != len(self.__dataclass_fields__):
        own = [each.name for each in fields(self)]  # those that are given by name alone, too; class variables are none
    return all(getattr(self, name) == getattr(other, name) for name in own)


def _representation(self: Any) -> str:
    own = self.__match_args__
    names = [each.name for each in fields(self) if each.name in own or getattr(self, each.name) is not None]
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{type(self).__qualname__}({shown})"
