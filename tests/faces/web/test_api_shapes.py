"""What the interface checks by itself is what its declarations say, as jsonschema reads them."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lanman.faces.web.answers import Refused
from lanman.faces.web.api.planning import ORDER
from lanman.faces.web.api.routing import MAX_DEPTH, parsed
from lanman.faces.web.api.shapes import Mismatch, Shape, check, many, or_null, record, shown, text, whole, words
from support.web_api import jsonschema

VALID: list[dict[str, Any]] = [
    {"verb": "end", "targets": ["session:a", "session:b"]},
    {"verb": "close", "targets": ["file:1"]},
    {"verb": "share", "action": "add", "name": "x", "path": "/srv", "remark": "", "max_users": 0},
    {"verb": "share", "action": "delete", "targets": ["share:x"]},
    {"verb": "set", "comment": "c", "autodisconnect": -1, "hidden": False},
    {"verb": "pause"},
    {"verb": "continue", "targets": []},
    {"verb": "drain", "warn": 60, "message": "go", "grace": 0.5, "end": "all", "cordon": True},
]
scalars = st.none() | st.booleans() | st.integers(-10, 70_000) | st.floats(0.25, 9.75) | st.text(max_size=60)
values = st.recursive(scalars, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each))
names = st.sampled_from([*(name for body in VALID for name in body), "other"])


@st.composite
def bodies(draw: Any) -> Any:
    """Something that may be sent: one that is right, with some members that are other ones, or none."""
    body: dict[str, Any] = dict(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(names)
        if draw(st.booleans()):
            body[name] = draw(values | st.sampled_from([body.get(name) for body in VALID]))
        else:
            body.pop(name, None)
    return draw(st.just(body) | values)


def is_whole_float(value: Any) -> bool:
    """Whether somewhere in it is 2.0, which JSON Schema takes for a whole number and we do not."""
    if isinstance(value, dict | list):
        return any(map(is_whole_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value.is_integer()


@settings(max_examples=300)
@given(bodies())
@example({"verb": "end", "targets": ["a", "a"]})
@example({"verb": "set", "hidden": 1})
def test_an_order_is_taken_where_its_schema_takes_it(body: Any) -> None:
    if is_whole_float(body):
        return
    says = None
    try:
        check(body, ORDER)
    except Mismatch as mismatch:
        says = str(mismatch)
    # Characters that this Python's Unicode does not know yet may be in it.
    assert says is None or not {unicodedata.category(each) for each in says} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert (says is None) == jsonschema.Draft202012Validator(ORDER).is_valid(body)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    found = None
    try:
        parsed(data)
    except Refused as refused:
        found = refused
    assert found is None or (found.status, found.code) == (400, 87)


def test_how_deep() -> None:
    assert parsed(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert parsed(b'["[[[[[[[[[[[[", "\\"[[[[[[[[[[[["]') == ["[[[[[[[[[[[[", '"[[[[[[[[[[[[']
    for data in (b"[" * 100_000, b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), b'{"a":' * 50):
        with pytest.raises(Refused):
            parsed(data)


SHAPE: Shape = record({"a": or_null(whole("", 1, 5)), "b": many(words("x", "y"), most=2), "c": text()}, optional=("c",))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": 1, "b": []}, None),
        ({"a": None, "b": ["x", "x"], "c": "z"}, None),
        ({"a": 6, "b": []}, "a is 6, and has to be from 1 to 5"),
        ({"a": 1.5, "b": []}, "a is 1.5, and not a whole number or null"),
        ({"a": 1, "b": ["x", "z"]}, "b[1] is z, and not x or y"),
        ({"a": 1, "b": ["x", "y", "x"]}, "b has 3 entries, and may have 2"),
        ({"a": 1, "b": [], "c": ""}, "c is empty"),
        ({"a": 1, "b": [], "d\u202e\n": 1}, "d\\u202e\\x0a is not known here: there are a, b or c"),
        ({"b": []}, "a is missing"),
        ([], "what was sent is a list, and not an object"),
        ({"a": "<" * 99, "b": []}, f"a is {'<' * 40}..., and not a whole number or null"),
        ({"a": 10**60, "b": []}, "a is a very large number, and has to be from 1 to 5"),
    ],
)
def test_what_is_wrong_is_named(value: Any, says: str | None) -> None:
    if says is None:
        check(value, SHAPE)
        return
    with pytest.raises(Mismatch) as refused:
        check(value, SHAPE)
    assert str(refused.value) == says
    assert shown({"a": 1}) == "an object"
