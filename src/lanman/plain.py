"""Plain values: dataclasses with slots whose comparing and printing is shared.

`dataclass()` writes and compiles an `__eq__` and a `__repr__` for each class, which for the many declarations of this
package would take a command longer than all else that it imports.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    return all(getattr(self, name) == getattr(other, name) for name in self.__dataclass_fields__)


def _representation(self: Any) -> str:
    own = self.__match_args__
    names = [name for name in self.__dataclass_fields__ if name in own or getattr(self, name) is not None]
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{type(self).__qualname__}({fields})"
