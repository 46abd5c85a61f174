"""The description of the REST interface, and the page that is made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.faces.web.api import NOUNS
from lanman.faces.web.api.routing import declared
from lanman.faces.web.openapi import description, operation_id, refusals
from lanman.faces.web.reference import PAGE, filled
from support.fake_manager import FakeManager
from support.web_api import api, jsonschema

TEXT = (Path(__file__).parents[3] / PAGE).read_text()
ROUTES = declared()


def test_page_is_as_the_declarations_make_it() -> None:
    assert filled(TEXT) == TEXT, "run .venv/bin/python -m lanman.faces.web.reference"


def test_every_path_is_on_the_page_once() -> None:
    assert len(ROUTES) > len(NOUNS)
    for one in ROUTES:
        assert TEXT.count(f"\n### {one.method} {one.path}\n") == 1


async def test_it_is_given_to_anybody() -> None:
    async with api({"fs1": FakeManager()}) as web:
        answer = await web.asker(None).get("/openapi.json")
        assert answer.json == description(ROUTES)
        assert "fs1" not in answer.text


def schemas(value: Any) -> Iterator[Any]:
    """Every schema of the description."""
    if isinstance(value, dict):
        if "schema" in value and isinstance(value["schema"], dict) and "properties" not in value:
            yield value["schema"]
        for each in value.values():
            yield from schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas(each)


def test_it_is_openapi_3_1() -> None:
    found = description(ROUTES)
    assert re.fullmatch(r"3\.1\.\d", found["openapi"])
    assert {"title", "version"} <= found["info"].keys()
    # Schemas of 3.1 are those of JSON Schema 2020-12, by its own schema.
    each = list(schemas(found["paths"]))
    assert len(each) > 50
    for schema in each:
        jsonschema.Draft202012Validator.check_schema(schema)
    ids = [operation_id(one) for one in ROUTES]
    assert len(set(ids)) == len(ids)
    for path, methods in found["paths"].items():
        in_path = set(re.findall(r"\{(\w+)\}", path))
        for operation in methods.values():
            parameters = operation["parameters"]
            assert {each["name"] for each in parameters if each["in"] == "path"} == in_path
            assert all(each["required"] for each in parameters if each["in"] == "path")
            assert len({each["name"] for each in parameters}) == len(parameters)
            assert operation["summary"]
            assert operation["description"], path
            assert min(operation["responses"]) < "300"


@pytest.mark.parametrize("one", ROUTES, ids=operation_id)
def test_what_is_needed_is_declared(one: Any) -> None:
    assert set(one.needs) <= one.query.keys()
    assert set(one.optional) <= (one.answers or {}).keys()
    assert {400, 500} <= set(refusals(one))
    assert (401 in refusals(one)) is not one.is_open
