"""The files of the page: what lies in `static/`, and nothing else.

Rules:

  - The files are read once, when the console starts, and found by their whole name. So no path leads out of the folder,
    however it is written, and a file that changes meanwhile is not mixed with those before.
  - What a file is called says what it is, by the table below: the system's own may call a script text/plain. What
    stands in no line of it is not served.
  - A browser keeps a file and asks each time whether it is still the same (ETag): after an upgrade all of them are new
    at once, and none is sent twice.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lanman.plain import dataclass

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC: Final = Path(__file__).parent / "static"

INDEX: Final = "index.html"

TYPES: Final = {
    "": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str


def read_files(folder: Path = STATIC) -> dict[str, File]:
    """The files of a folder and of those in it, by their names in it: `js/app.js`. Those that begin with a dot, and
    links, are left out."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        media_type = TYPES.get(path.suffix.lower())
        hidden = path.is_symlink() or any(part.startswith(".") for part in name.parts)
        if media_type is None or hidden or not path.is_file():
            continue
        content = path.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        files[name.as_posix()] = File(content, media_type, etag)
    return files


def routes(folder: Path = STATIC) -> list[Route]:
    """The routes of the page: / is its index.html. The last of all routes, since it takes every path."""
    files = read_files(folder)

    async def show(request: Request) -> Response:
        file = files.get(request.path_params["path"] or INDEX)
        if file is None:
            return PlainTextResponse("there is no such page; the console begins at /\n", HTTPStatus.NOT_FOUND)
        headers = {"etag": file.etag, "cache-control": "no-cache"}
        if _has(request.headers.get("if-none-match", ""), file.etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return [Route("/{path:path}", show, methods=["GET"])]


def _has(none_match: str, etag: str) -> bool:
    """Whether a browser has it already (RFC 9110 13.1.2): the comparison is the weak one."""
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in none_match.split(","))
