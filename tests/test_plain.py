"""Dataclasses that are compiled late are what `dataclasses` makes of the same declaration, before and after."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from lanman import plain

Decorator = Callable[[type[Any]], type[Any]]


def declared(decorate: Decorator) -> type[Any]:
    """One declaration with everything that a field can be."""

    class Base:
        size: int
        names: list[str] = dataclasses.field(default_factory=list)

    class Value(decorate(Base)):  # type: ignore[misc]
        """A value."""

        kind: ClassVar[str] = "value"
        shown: str = "x"
        hidden: int = dataclasses.field(default=7, repr=False, compare=False)
        counted: int = dataclasses.field(default=3, init=False)
        node: str | None = dataclasses.field(default=None, kw_only=True)

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError("a size is not negative")

    Base.__qualname__ = Value.__qualname__ = "Value"
    return decorate(Value)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {"slots": True},
    "frozen": {"slots": True, "frozen": True},
    "by identity": {"slots": True, "eq": False},
    "without slots": {"slots": False},
}


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> tuple[type[Any], type[Any]]:
    """The class as it is here, and as `dataclasses` makes it."""
    arguments = KINDS[request.param]
    return declared(plain.dataclass(**arguments)), declared(dataclasses.dataclass(**arguments))


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, ["a"]), {}),
    ((1, ["a"], "y", 8), {"node": "n"}),
    ((), {"size": 4, "hidden": 2}),
]
WRONG: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((1, [], "y", 8, 9), {}),
    ((1,), {"size": 1}),
    ((1,), {"counted": 1}),
    ((1,), {"colour": "red"}),
]
TIMES = range(plain.USES + 2)
"""So many uses go by the list of fields first and by the compiled method at the end."""


def test_is_made_and_shown_alike(pair: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = pair
    for _ in TIMES:
        for arguments, named in ARGUMENTS:
            value, model = ours(*arguments, **named), theirs(*arguments, **named)
            assert repr(value) == repr(model)
            assert dataclasses.asdict(value) == dataclasses.asdict(model)
        # A list is made for each.
        assert ours(1).names is not ours(1).names


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_complains_alike(pair: tuple[type[Any], type[Any]], arguments: Any, named: Any) -> None:
    said = set()
    for kind in pair:
        for _ in TIMES:
            with pytest.raises(TypeError) as caught:
                kind(*arguments, **named)
            said.add(str(caught.value))
    assert len(said) == 1


def test_checks_itself_always(pair: tuple[type[Any], type[Any]]) -> None:
    for _ in TIMES:
        with pytest.raises(ValueError, match="not negative"):
            pair[0](-1)


def test_compares_and_hashes_alike(pair: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = pair
    for _ in TIMES:
        outcomes = []
        for kind in pair:
            one, same, other, hidden = kind(1, "ab"), kind(1, "ab"), kind(2, "ab"), kind(1, "ab", "x", 9)
            derived = type("Derived", (kind,), {})(1, "ab")
            outcomes.append([one == each for each in (one, same, other, hidden, derived, 1)])
            if kind.__hash__ is not None and one == same:
                outcomes[-1].append(hash(one) == hash(same) == hash(hidden) == hash((1, "ab", "x", 3, None)))
        assert outcomes[0] == outcomes[1]
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)


def test_refuses_changes_alike(pair: tuple[type[Any], type[Any]]) -> None:
    said = []
    for kind in pair:
        value = kind(1)
        try:
            value.size = 2
            del value.size
            said.append("")
        except dataclasses.FrozenInstanceError as error:
            said.append(str(error))
            with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'node'"):
                del value.node
            assert value.size == 1
    assert said[0] == said[1]


def test_looks_alike(pair: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = pair
    assert [each.name for each in dataclasses.fields(ours)] == [each.name for each in dataclasses.fields(theirs)]
    assert ours.__match_args__ == theirs.__match_args__
    assert hasattr(ours, "__slots__") == hasattr(theirs, "__slots__")
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    # Whoever looks at the method has compiled it.
    assert inspect.isfunction(ours.__dict__["__init__"])


def test_is_copied_and_replaced(pair: tuple[type[Any], type[Any]]) -> None:
    value = pair[0](1, ["a"], node="n")
    copies = [copy.copy(value), copy.deepcopy(value), dataclasses.replace(value), dataclasses.replace(value, size=2)]
    assert [each.size for each in copies] == [1, 1, 1, 2]
    assert {each.node for each in copies} == {"n"}
    assert copies[1].names == ["a"]
    assert copies[1].names is not value.names


@plain.dataclass(slots=True, frozen=True)
class Kept:
    """A value that can be found by its name, for pickle."""

    size: int


def test_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(5))) == Kept(5)


def test_methods_of_its_own_stay() -> None:
    @plain.dataclass(slots=True)
    class Own:
        size: int

        def __repr__(self) -> str:
            return "mine"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

    value = Own(1)
    assert repr(value) == "mine"
    assert value == 3
    assert hash(value)


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="order"):
        plain.dataclass(slots=True, order=True)


def test_is_compiled_when_used_often_alone() -> None:
    @plain.dataclass(slots=True)
    class Often:
        size: int

    for _ in range(plain.USES):
        Often(1)
    assert not inspect.isfunction(Often.__dict__["__init__"])
    Often(1)
    assert inspect.isfunction(Often.__dict__["__init__"])
    assert not inspect.isfunction(Often.__dict__["__repr__"])


def test_what_is_within_itself_is_shown_once(pair: tuple[type[Any], type[Any]]) -> None:
    said = []
    for kind in pair:
        value = kind(1, [])
        value.names.append(value)
        said.append([repr(value) for _ in TIMES])
    assert said[0] == said[1]
    assert said[0][0].count("names=") == 1


def test_no_method_makes_a_description_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dataclasses` writes the signature of a class without one, and `inspect` compiles a tokenizer for that."""

    @plain.dataclass(slots=True)
    class Value:
        """A value."""

        size: int

    monkeypatch.setattr(inspect, "signature", None)
    for number in range(plain.USES + 2):
        assert Value(number) == Value(number)
        assert repr(Value(number)).endswith(f"Value(size={number})")


def test_declaring_a_class_searches_no_annotation() -> None:
    """Counted in calls of functions: `dataclasses` makes eleven for each annotation that it looks at as a text."""

    def calls(decorate: Decorator) -> int:
        value = type("Value", (), {"__doc__": "A value.", "__annotations__": {f"f{n}": "int" for n in range(100)}})
        found = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal found
            found += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            decorate(value)
        finally:
            sys.setprofile(None)
        return found

    theirs = calls(dataclasses.dataclass(init=False, repr=False, eq=False, slots=True))
    assert calls(plain.dataclass(slots=True)) < theirs - 1000
