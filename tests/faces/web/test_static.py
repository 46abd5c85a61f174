"""The files of the page: those of its folder and no others, as what they are."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import pytest

from lanman.faces.web.pages import STATIC, TYPES, read_files
from support.web_guarded import guarded


@pytest.mark.parametrize(
    "path",
    [
        "/../console.py",
        "/%2e%2e/console.py",
        "/js/..%2f..%2fconsole.py",
        "/js/%2e%2e/%2e%2e/console.py",
        "/..%5cconsole.py",
        "/js%5c..%5c..%5cconsole.py",
        "/%00",
        "/index.html%00.js",
        "//etc/passwd",
        "/%2fetc/passwd",
        f"/{STATIC.parent}/console.py",
        "/C:/Windows/win.ini",
        "/.gitignore",
        "/js/",
        "/js",
        "/index.html/",
        "/INDEX.HTML",
    ],
)
async def test_no_path_leads_out(path: str) -> None:
    async with guarded() as web, web.browser() as browser:
        answer = await browser.get(path)
        assert (answer.status_code, b"import" in answer.content) == (404, False)


async def test_every_file_is_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")  # as some systems have it
    async with guarded() as web, web.browser() as browser:
        paths = [path for path in STATIC.rglob("*") if path.is_file()]
        assert {"js/app.js", "index.html", "style.css"} <= set(read_files())
        for path in paths:
            name = path.relative_to(STATIC).as_posix()
            answer = await browser.get(f"/{name}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[path.suffix.lower()]), name
            assert answer.content == path.read_bytes()
        assert (await browser.get("/js/app.js")).headers["content-type"] == "text/javascript; charset=utf-8"
        assert (await browser.get("/")).content == (STATIC / "index.html").read_bytes()


async def test_a_browser_asks_again_and_is_sent_nothing_twice() -> None:
    async with guarded() as web, web.browser() as browser:
        first = await browser.get("/js/app.js")
        assert first.headers["cache-control"] == "no-cache"
        for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
            again = await browser.get("/js/app.js", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        other = await browser.get("/style.css", headers={"If-None-Match": first.headers["etag"]})
        assert other.status_code == 200


def test_what_is_no_file_of_the_page_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("here")
    (tmp_path / ".hidden.html").write_text("x")
    (tmp_path / "program.py").write_text("x")
    (tmp_path / "link.html").symlink_to("/etc/passwd")
    assert list(read_files(tmp_path)) == ["index.html"]
