"""The shapes of rows are those of the rows' own fields."""

from __future__ import annotations

from enum import Enum
from typing import Any, get_args, get_type_hints

import pytest

from lanman.faces.web.api.rowshapes import ROWS
from lanman.manage.watching.rows import FileRow, Kind, SessionRow, ShareRow

JSON = {str: "string", bool: "boolean", int: "integer", float: "string"}


def json_types(field: str, hint: Any) -> set[str]:
    """The types that a field has in JSON: times are text, tuples lists, keys and values of sets of words text."""
    found = set()
    for each in get_args(hint) if type(None) in get_args(hint) else (hint,):
        if each is type(None):
            found.add("null")
        elif getattr(each, "__origin__", None) is tuple:
            found.add("array")
        elif isinstance(each, type) and (issubclass(each, Enum) or each not in JSON):
            found.add("string")
        else:
            found.add(JSON[each])
    return found


@pytest.mark.parametrize(
    ("kind", "row"),
    [(Kind.SESSION, SessionRow), (Kind.FILE, FileRow), (Kind.SHARE, ShareRow)],
    ids=lambda each: str(each),
)
def test_each_field_has_its_type(kind: Kind, row: Any) -> None:
    hints = {name: hint for name, hint in get_type_hints(row).items() if name in row._fields}
    members = ROWS[kind]["properties"]
    assert set(members) == {*hints, "kind"}
    for name, hint in hints.items():
        declared = members[name].get("type")
        types = {declared} if isinstance(declared, str) else set(declared or ())
        assert types == json_types(name, hint), name
