"""The description of the REST interface (OpenAPI 3.1), made from what is declared for its routes.

description(declared())         # a document, as JSON
reference(declared())           # the same as the tables of docs/reference/web-api.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from lanman import __version__
from lanman.faces.web.api.common import ERROR, SERVER

if TYPE_CHECKING:
    from lanman.faces.web.api.routing import Declared
    from lanman.faces.web.api.shapes import Shape

VERSION: Final = "3.1.0"
SECURITY: Final = "session"

ALWAYS: Final = (400, 500)
OF_A_PERSON: Final = (401,)
OF_A_SERVER: Final = (403, 404, 502, 504)

_PARTS: Final[Mapping[str, Shape]] = {
    "server": SERVER,
    "plan": {"type": "string", "description": "the id of a plan"},
}


def refusals(one: Declared) -> list[int]:
    """The statuses with which a request of this kind may be refused."""
    found = {*ALWAYS, *one.refusals}
    if not one.is_open:
        found |= {*OF_A_PERSON}
        if "server" in one.parts or "server" in one.query:
            found |= {*OF_A_SERVER}
    return sorted(found)


def description(routes: Iterable[Declared]) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": VERSION,
        "info": {
            "title": "lanman web",
            "version": __version__,
            "description": "Sessions, open files and shares of SMB servers: what there is, and orders by plan and run.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {
                SECURITY: {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-lanman",
                    "description": "what `POST /api/v1/login` sets; `lanman-PORT` on plain loopback",
                }
            },
        },
        "security": [{SECURITY: []}],
    }


def _operation(one: Declared) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": one.answer} if one.answer is not None else {}
    form: dict[str, Any] = {
        "operationId": operation_id(one),
        "summary": one.summary,
        "description": one.about,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _PARTS[name]} for name in one.parts),
            *(
                {"name": name, "in": "query", "required": name in one.needs, "schema": shape}
                for name, shape in one.query.items()
            ),
        ],
        "responses": {
            str(one.status): {"description": HTTPStatus(one.status).phrase, "content": {one.media: content}},
            **{str(status): _error(status) for status in refusals(one)},
        },
    }
    if one.body is not None:
        form["requestBody"] = {"required": True, "content": {"application/json": {"schema": one.body}}}
    if one.is_open:
        form["security"] = []
    return form


def operation_id(one: Declared) -> str:
    """What one path and method is called: `get_servers_server_files`."""
    words = re.sub(r"\W+", "_", one.path.removeprefix("/api/v1")).strip("_")
    return f"{one.method.lower()}_{words}"


def _error(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


# --- for people


def reference(routes: Iterable[Declared]) -> Iterator[str]:
    """The lines of docs/reference/web-api.md about the routes."""
    for one in routes:
        path = one.path
        yield from ("", f"### {one.method} {path}", "", f"{one.summary}. {one.about}")
        if one.query:
            yield from ("", "| Parameter | | |", "|---|---|---|")
            for name, shape in one.query.items():
                needed = "needed" if name in one.needs else ""
                yield f"| `{name}` | {needed} | {_cell(shape)} |"
        if one.body is not None:
            yield from ("", "Sent:", "", *_members(one.body))
        if one.answers is not None:
            yield from ("", f"Answered ({one.status}):", "", *_members(one.answer or {}))
        else:
            yield from ("", f"Answered ({one.status}): `{one.media}`.")
        yield from ("", f"Refused: {', '.join(map(str, refusals(one)))}.")


def _members(shape: Shape) -> Iterator[str]:
    if "oneOf" in shape:
        name = shape["discriminator"]["propertyName"]
        for each in shape["oneOf"]:
            yield from (f"`{name}` is `{each['properties'][name]['const']}`:", "")
            yield from _members(each)
            yield ""
        return
    yield from ("| Member | | |", "|---|---|---|")
    yield from _rows(shape, "")


def _rows(shape: Shape, where: str) -> Iterator[str]:
    needed = shape.get("required", ())
    for name, each in shape.get("properties", {}).items():
        path = f"{where}{name}"
        yield f"| `{path}` | {'' if name in needed else 'may be missing'} | {_cell(each)} |"
        inner, behind = _inner(each)
        if inner is not None:
            yield from _rows(inner, f"{path}{behind}.")


def _inner(shape: Shape) -> tuple[Shape | None, str]:
    """The record that a shape has in it, and what stands between its name and the names of the members."""
    if "anyOf" in shape:
        return _inner(shape["anyOf"][0])
    if "items" in shape:
        inner, behind = _inner(shape["items"])
        return inner, f"[]{behind}"
    return (shape if "properties" in shape else None), ""


def _cell(shape: Shape) -> str:
    return ": ".join(filter(None, (_kind(shape), shape.get("description", "")))).replace("|", "\\|")


def _kind(shape: Shape) -> str:
    if "anyOf" in shape:
        return f"{_kind(shape['anyOf'][0])}, or null"
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    types = shape.get("type", "")
    words = [types] if isinstance(types, str) else list(types)
    kind = " or ".join("time" if word == "string" and shape.get("format") == "date-time" else word for word in words)
    if words == ["array"]:
        kind = f"array of {_kind(shape['items'])}"
    bounds = [shape.get("minimum"), shape.get("maximum")]
    return f"{kind}, {bounds[0]} to {bounds[1]}" if None not in bounds and bounds[0] != bounds[1] else kind
