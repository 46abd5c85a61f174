"""docs/compat.md: its code is run, block after block, and prints what stands below it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import compat
from support.compat_peers import Peer, our_server, samba_peer, scripted
from support.smbd import Samba

PAGE = Path(__file__).parent.parent.parent / "docs" / "compat.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    return [(code, printed) for code, printed in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]


def localized(code: str, peer: Peer) -> str:
    """The code with the peer's name and password in place of the page's."""
    return code.replace("fs1", f"127.0.0.1:{peer.port}").replace('"secret"', repr(peer.password))


def block(beginning: str) -> str:
    """The code of the block in which a line begins so."""
    (found,) = [code for code, _ in blocks() if re.search(f"^{re.escape(beginning)}", code, re.MULTILINE)]
    return found


def test_the_page_has_examples() -> None:
    assert len(blocks()) == 7
    assert PAGE.read_text(encoding="utf-8").count("```python") == 7


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "docs"}
    with scripted() as peer:
        for number, (code, printed) in enumerate(blocks(), 1):
            exec(compile(localized(code, peer), f"{PAGE.name}, block {number}", "exec"), names)
            assert capsys.readouterr().out == printed, f"block {number}"
        # The C program ends every one it has begun, and its count went to standard error.
        assert names["wmain"](["sample"] + ["x"] * 4) == 1
        assert capsys.readouterr().out.startswith("Usage: sample [\\\\ServerName] [\\\\ClientName] [UserName]")
        compat.logout()


@pytest.fixture(params=["ours", pytest.param("samba", marks=[pytest.mark.samba, pytest.mark.root])])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    if request.param == "samba":
        samba: Samba = request.getfixturevalue("samba")
        yield samba_peer(samba)
    else:
        with our_server(tmp_path / "home") as peer:
            yield peer


def test_the_c_program_elsewhere(real: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    """smbd has no level 10, and the program says so as it would on Windows."""
    names: dict[str, Any] = {}
    exec(block("def wmain").rpartition("\nwmain(")[0], names)
    wmain: Callable[[list[str]], int] = names["wmain"]
    compat.login(real.server, real.admin, real.password)
    with real.somebody():
        assert wmain(["sample", real.server, r"\\127.0.0.1", real.user]) == 0
    out, err = capsys.readouterr()
    if real.kind == "samba":
        assert (out, err) == ("", "A system error has occurred: 124\n\nTotal of 0 entries enumerated\n")
    else:
        lines = ["", "\tClient: \\\\127.0.0.1", f"\tUser:   {real.user}", "\tActive: 0", "\tIdle:   0", ""]
        assert re.sub(r"\d+$", "0", out, flags=re.MULTILINE) == re.sub(
            r"\d+$", "0", "\n".join(lines), flags=re.MULTILINE
        )
        assert err == "\nTotal of 1 entries enumerated\n"


def test_the_perl_synopsis_elsewhere(real: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    compat.login(real.server, real.admin, real.password)
    code = block("SESS = Session").replace(r'r"\\fs1", 3, "", "ann"', f"{real.server!r}, 1, '', {real.user!r}")
    with real.somebody():
        exec(code, {})
    printed = capsys.readouterr().out
    assert printed.startswith("Number of Sessions: 1\nThe key: 0\nEntryCount=6\nClientName=")
    assert f"\nUser={real.user}\n" in printed
    assert printed.endswith("UserFlags=not known\n\n")


def test_the_perl_synopsis_with_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted() as peer:
        peer.peer.windows.sessions = []
        compat.login(peer.server, peer.admin, peer.password)
        code = localized(block("SESS = Session"), peer).replace('"", "ann"', '"", ""')
        with pytest.raises(SystemExit):
            exec(code, {})
        compat.logout()
    assert capsys.readouterr().out == "No Clients connected\n"
