"""What JSON may look like: declared once, as JSON Schema, and checked, documented and tested by that.

    PLAN = record({"verb": words("end", "close"), "targets": many(text(), least=1)}, optional=("targets",))
    check({"verb": "end"}, PLAN)          # returns, or raises Mismatch: `verb is missing`

The rules:

  - A shape is a dictionary of JSON Schema (2020-12), of the few words that the functions here use.
  - A record has the members that it names and no others. A whole number is written without a point; true is no number.
  - A choice between records is made by one member, which says which of them is meant; so what is wrong can be named.
  - What is shown to people of a value that does not fit is escaped and short.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lanman.shown import escape

Shape = dict[str, Any]

LONG: Final = 2048
"""How many characters a text has at most, where nothing else is said: a path of Windows has up to 32,767 in theory, and
one that people write far fewer."""

_SHOWN: Final = 40


class Mismatch(ValueError):
    """A value is not of its shape; in words, without a full stop."""


# --- declaring


def text(doc: str = "", *, least: int = 1, most: int = LONG, pattern: str | None = None, form: str = "") -> Shape:
    """A text of so many characters. `pattern` holds for all of it; `form` names a format of JSON Schema."""
    shape: Shape = {"type": "string", "minLength": least, "maxLength": most}
    if pattern is not None:
        shape["pattern"] = f"^(?:{pattern})$"
    if form:
        shape["format"] = form
    return _told(shape, doc)


def said(doc: str = "") -> Shape:
    """A text of an answer: of any length, since it is a server's."""
    return _told({"type": "string"}, doc)


def words(*each: str, doc: str = "") -> Shape:
    """One of a few words."""
    return _told({"type": "string", "enum": list(each)}, doc)


def whole(doc: str = "", least: int | None = None, most: int | None = None) -> Shape:
    """A whole number."""
    return _told({"type": "integer"} | _bounds(least, most), doc)


def number(doc: str = "", least: float | None = None, most: float | None = None) -> Shape:
    """A number."""
    return _told({"type": "number"} | _bounds(least, most), doc)


def truth(doc: str = "") -> Shape:
    """True or false."""
    return _told({"type": "boolean"}, doc)


def moment(doc: str = "") -> Shape:
    """A time, as RFC 3339 has it."""
    return _told({"type": "string", "format": "date-time"}, doc)


def many(of: Shape, doc: str = "", *, least: int = 0, most: int | None = None, unique: bool = False) -> Shape:
    """A list."""
    shape: Shape = {"type": "array", "items": of}
    if least:
        shape["minItems"] = least
    if most is not None:
        shape["maxItems"] = most
    if unique:
        shape["uniqueItems"] = True
    return _told(shape, doc)


def record(members: Mapping[str, Shape], doc: str = "", *, optional: Sequence[str] = ()) -> Shape:
    """An object with these members and no others; those that are optional may be missing."""
    shape: Shape = {"type": "object", "properties": dict(members), "additionalProperties": False}
    if required := [name for name in members if name not in optional]:
        shape["required"] = required
    return _told(shape, doc)


def table(of: Shape, doc: str = "") -> Shape:
    """An object whose members have any names and this shape."""
    return _told({"type": "object", "additionalProperties": of}, doc)


def anything(doc: str = "") -> Shape:
    """An object of which no more is said."""
    return _told({"type": "object"}, doc)


def or_null(shape: Shape) -> Shape:
    """The same, or null."""
    if "$ref" in shape or "oneOf" in shape or "enum" in shape:
        doc = shape.get("description", "")
        bare = {name: value for name, value in shape.items() if name != "description"}
        return _told({"anyOf": [bare, {"type": "null"}]}, doc)
    return {**shape, "type": [shape["type"], "null"]}


def chosen_by(name: str, records: Mapping[str, Shape], doc: str = "") -> Shape:
    """One of some records, of which the member `name` says which."""
    each = [{**shape, "properties": {name: {"const": word}} | shape["properties"]} for word, shape in records.items()]
    for shape in each:
        shape["required"] = [name, *(other for other in shape.get("required", ()) if other != name)]
    return _told({"type": "object", "oneOf": each, "discriminator": {"propertyName": name}}, doc)


def _told(shape: Shape, doc: str) -> Shape:
    return {**shape, "description": doc} if doc else shape


def _bounds(least: float | None, most: float | None) -> Shape:
    bounds = {"minimum": least, "maximum": most}
    return {name: value for name, value in bounds.items() if value is not None}


# --- checking

_NAMES: Final = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def check(value: Any, shape: Shape, where: str = "") -> None:
    """Raise Mismatch where a value is not of a shape; `where` is what it is called."""
    name = where or "what was sent"
    types = shape.get("type", ())
    types = [types] if isinstance(types, str) else list(types)
    if types and not any(_is(value, each) for each in types):
        raise Mismatch(f"{name} is {shown(value)}, and not {' or '.join(_NAMES[each] for each in types)}")
    if "enum" in shape and value not in shape["enum"]:
        raise Mismatch(f"{name} is {shown(value)}, and not {_listed(shape['enum'])}")
    if "const" in shape and value != shape["const"]:
        raise Mismatch(f"{name} is {shown(value)}, and not {shape['const']}")
    if isinstance(value, str):
        _check_text(value, shape, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, shape, name)
    elif isinstance(value, list):
        _check_list(value, shape, where, name)
    elif isinstance(value, dict):
        _check_object(value, shape, where)


def _is(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, {"string": str, "array": list, "object": dict}[kind])


def _check_text(value: str, shape: Shape, name: str) -> None:
    if len(value) < shape.get("minLength", 0):
        raise Mismatch(f"{name} is empty" if not value else f"{name} is too short")
    if len(value) > shape.get("maxLength", len(value)):
        raise Mismatch(f"{name} has {len(value)} characters, and may have {shape['maxLength']}")
    if "pattern" in shape and re.search(shape["pattern"], value) is None:
        raise Mismatch(f"{name} is {shown(value)}, which it cannot be")


def _check_number(value: float, shape: Shape, name: str) -> None:
    least, most = shape.get("minimum"), shape.get("maximum")
    if (least is not None and value < least) or (most is not None and value > most):
        between = f"from {least} to {most}" if None not in (least, most) else f"at least {least}"
        raise Mismatch(f"{name} is {shown(value)}, and has to be {between}")


def _check_list(value: list[Any], shape: Shape, where: str, name: str) -> None:
    if len(value) < shape.get("minItems", 0):
        raise Mismatch(f"{name} is empty: it would mean nothing, or everything")
    if len(value) > shape.get("maxItems", len(value)):
        raise Mismatch(f"{name} has {len(value)} entries, and may have {shape['maxItems']}")
    if shape.get("uniqueItems") and len(set(map(repr, value))) < len(value):
        raise Mismatch(f"{name} has the same entry twice")
    for place, each in enumerate(value):
        check(each, shape.get("items", {}), f"{where}[{place}]")


def _check_object(value: dict[str, Any], shape: Shape, where: str) -> None:
    if "oneOf" in shape:
        shape = _chosen(value, shape, where)
    members = shape.get("properties", {})
    for name in shape.get("required", ()):
        if name not in value:
            raise Mismatch(f"{_below(where, name)} is missing")
    for name, each in value.items():
        if name in members:
            check(each, members[name], _below(where, name))
        elif shape.get("additionalProperties") is False:
            raise Mismatch(f"{_below(where, shown(name))} is not known here: there are {_listed(list(members))}")
        elif isinstance(of := shape.get("additionalProperties"), dict):
            check(each, of, _below(where, shown(name)))


def _chosen(value: dict[str, Any], shape: Shape, where: str) -> Shape:
    name = shape["discriminator"]["propertyName"]
    known: dict[str, Shape] = {each["properties"][name]["const"]: each for each in shape["oneOf"]}
    if name not in value:
        raise Mismatch(f"{_below(where, name)} is missing")
    word = value[name]
    if not isinstance(word, str) or word not in known:
        raise Mismatch(f"{_below(where, name)} is {shown(word)}, and not {_listed(list(known))}")
    return known[word]


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _listed(each: Sequence[Any]) -> str:
    names = [str(one) for one in each]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else "none"


def shown(value: Any) -> str:
    """A value in a few characters, for a sentence."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return "a very large number"
    plain = escape(str(value))
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}..."
