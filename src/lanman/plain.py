"""Plain values: dataclasses whose methods are compiled only where they are used often.

`dataclasses.dataclass` compiles them when the module is loaded. This package declares hundreds of classes of which a
command uses a few, a few times each, and compiling them took it longer than all else that it does. Rules:

* `dataclass` here takes a part of the arguments of the one in `dataclasses`, and its classes behave as that one's do.
  A type checker takes the one for the other.
* The first uses of a method go by the list of fields, step by step; then the class gets the method that `dataclasses`
  compiles, and later uses cost what they always cost. Whoever looks at the method itself gets that one, and it is also
  the one that complains of wrong arguments.
* A frozen class derives from frozen classes of this module alone.
* Values of `plain` classes compare and show themselves by functions that all of them share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, field, fields
from functools import partial
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, dataclass_transform

T = TypeVar("T")

USES: Final = 8
"""So often a method goes by the list of fields. Compiling one takes as long as about fifty such uses."""

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, slots, frozen=False, eq=True):
        """A dataclass: `frozen` values cannot be changed and are hashable, without `eq` each equals itself alone.

        TypeError: an argument of `dataclasses.dataclass` that is not known here.
        """

        def decorate(cls):
            own = cls.__dict__
            later = [name for name in ("__init__", "__repr__", *(["__eq__"] if eq else [])) if name not in own]
            # A class that has __eq__ alone was given a __hash__ of None by Python.
            is_hashed = own.get("__hash__") is not None
            made = _with_fields(cls, slots)
            if frozen:
                _freeze(made, slots)
            if eq and not is_hashed:
                if frozen:
                    later.append("__hash__")
                else:
                    made.__hash__ = None
            for name in later:
                setattr(made, name, _Later(made, name, frozen))
            return made

        return decorate


def _with_fields(cls: type[Any], slots: bool) -> type[Any]:
    """The class with its fields, as `dataclasses` finds them, and without methods.

    It searches each annotation that is a text three times for what is no field: it is not given those that are fields.
    """
    types = vars(cls).get("__annotations__", {})
    cls.__annotations__ = {name: kind if _may_be_no_field(kind) else object for name, kind in types.items()}
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    made.__annotations__ = types
    for each in fields(made):
        each.type = types.get(each.name, each.type)
    return made


def _may_be_no_field(kind: Any) -> bool:
    return not isinstance(kind, str) or "Var" in kind or "KW_ONLY" in kind


class _Later:
    """A method of a dataclass that is compiled when it has been used a few times, or is looked at."""

    __slots__ = ("_left", "_name", "frozen", "owner", "shown")

    def __init__(self, owner: type[Any], name: str, frozen: bool) -> None:
        self.owner, self._name, self.frozen = owner, name, frozen
        self._left = USES
        self.shown: Callable[[Any], str] | None = None  # `__repr__` step by step: what is within itself is "..."

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        if instance is None or self._left <= 0:
            return self.compiled().__get__(instance, owner)
        self._left -= 1
        return partial(_STEP_BY_STEP[self._name], self, instance)

    def compiled(self) -> Any:
        """The method that `dataclasses` makes of the same fields; the class has it from now on."""
        owner, name = self.owner, self._name
        namespace: dict[str, Any] = {"__module__": owner.__module__, "__qualname__": owner.__qualname__}
        # Without one `dataclasses` writes the signature there, for which `inspect` reads its text token by token.
        namespace["__doc__"] = owner.__doc__ or owner.__qualname__
        if hasattr(owner, "__post_init__"):
            namespace["__post_init__"] = owner.__post_init__
        model = dataclasses.make_dataclass(
            owner.__name__,
            [(each.name, each.type, _copy(each)) for each in fields(owner)],
            namespace=namespace,
            init=name == "__init__",
            repr=name == "__repr__",
            eq=name in ("__eq__", "__hash__"),
            frozen=self.frozen,
            slots="__slots__" in owner.__dict__,
        )
        made = model.__dict__[name]
        made.__qualname__ = f"{owner.__qualname__}.{name}"
        setattr(owner, name, made)
        return made


def _copy(declared: dataclasses.Field[Any]) -> Any:
    # Its types want one of the two defaults, where either may be MISSING.
    make: Callable[..., Any] = field
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
    return make(**{name: getattr(declared, name) for name in names})


def _fill(method: _Later, value: Any, /, *arguments: Any, **named: Any) -> None:
    """`__init__` by the list of fields."""
    declared = fields(method.owner)
    in_order = [each.name for each in declared if each.init and not each.kw_only]
    given = dict(zip(in_order, arguments, strict=False))
    wrong = len(arguments) > len(in_order) or not given.keys().isdisjoint(named)
    given |= named
    found: dict[str, Any] = {}
    for each in declared:
        if each.init and each.name in given:
            found[each.name] = given.pop(each.name)
        elif each.default is not MISSING:
            found[each.name] = each.default
        elif each.default_factory is not MISSING:
            found[each.name] = each.default_factory()
        else:
            wrong = wrong or each.init
    if wrong or given:
        return method.compiled()(value, *arguments, **named)  # type: ignore[no-any-return] # it raises TypeError
    put = object.__setattr__ if method.frozen else setattr
    for name, content in found.items():
        put(value, name, content)
    if hasattr(value, "__post_init__"):
        value.__post_init__()
    return None


def _show(method: _Later, value: Any, /) -> str:
    def shown(value: Any) -> str:
        parts = (f"{each.name}={getattr(value, each.name)!r}" for each in fields(method.owner) if each.repr)
        return f"{type(value).__qualname__}({', '.join(parts)})"

    if method.shown is None:
        method.shown = recursive_repr()(shown)
    return method.shown(value)


def _compare(method: _Later, value: Any, other: Any, /) -> Any:
    if type(other) is not type(value):
        return NotImplemented
    names = [each.name for each in fields(method.owner) if each.compare]
    return [getattr(value, name) for name in names] == [getattr(other, name) for name in names]


def _hash(method: _Later, value: Any, /) -> int:
    counted = (each for each in fields(method.owner) if (each.compare if each.hash is None else each.hash))
    return hash(tuple(getattr(value, each.name) for each in counted))


_STEP_BY_STEP: Final[dict[str, Callable[..., Any]]] = {
    "__init__": _fill,
    "__repr__": _show,
    "__eq__": _compare,
    "__hash__": _hash,
}


def _freeze(cls: type[Any], slots: bool) -> None:
    """Have its values refuse every change of a field, as `dataclasses` would."""
    names = frozenset(each.name for each in fields(cls))

    def set_attribute(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    cls.__setattr__, cls.__delattr__ = set_attribute, delete_attribute  # type: ignore[assignment]
    if slots:
        made: Any = cls
        made.__getstate__, made.__setstate__ = _get_state, _set_state


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


@dataclass_transform(field_specifiers=(field,))
def plain(cls: type[T]) -> type[T]:
    """A dataclass with slots. Values of one class compare by their fields, and are not hashable.

    A field that is given by its name alone (`kw_only`) is no part of the value's own form: it is shown where it is set.
    """
    made: Any = dataclass(slots=True, eq=False)(cls)
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
