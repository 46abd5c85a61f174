"""Pages with programs that manage a server: their code is run, block after block, and prints what stands below it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman import srvsvc
from lanman.rpc.ndr import Call
from support.compat_peers import scripted

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("page", "count"), [("manage-in-a-program.md", 4), ("pause-a-server.md", 1)])
def test_the_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, page: str, count: int) -> None:
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python") == count
    with scripted() as peer:
        connect = lanman.connect
        monkeypatch.setattr(
            lanman,
            "connect",
            lambda server, who: connect("127.0.0.1", lanman.Credentials(who.user_name, peer.password), port=peer.port),
        )
        names: dict[str, Any] = {}
        for number, (code, printed) in enumerate(blocks, 1):
            exec(compile(code, f"{page}, block {number}", "exec"), names)
            assert capsys.readouterr().out.replace("127.0.0.1", "fs1") == printed, f"block {number}"


@pytest.mark.parametrize(
    "noun", ["sessions", "files", "connections", "shares", "server", "transports", "aliases", "names"]
)
def test_every_call_that_servers_answer_is_public(noun: str) -> None:
    module = importlib.import_module(f"lanman.rpc.srvsvc.{noun}")
    calls = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, Call)]
    public = [name for name in calls if vars(module)[name].__module__ == module.__name__]
    assert public
    for name in public:
        assert {name, f"{name}Response"} <= set(vars(srvsvc)["__all__"])
        assert getattr(srvsvc, name) is vars(module)[name]
