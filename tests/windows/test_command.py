"""`lanman` as a user on Windows types it: processes of their own, code pages, and what is refused there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from windows.conftest import Ran, Service

Lanman = Callable[..., Ran]

WHO = b"Note: answered by Windows' own Server service.\r\n"


@pytest.fixture(scope="module")
def _running() -> Iterator[Service]:
    service = Service()
    service.stop()
    service.start()
    yield service
    service.stop()


@pytest.fixture
def here(lanman: Lanman, _running: Service) -> Lanman:
    """The command, while Windows' Server service runs; it may take its time, as a slow machine does."""

    def run(*words: str, **environment: str) -> Ran:
        return lanman(*words, "--timeout", "300", **environment)

    return run


def listed(ran: Ran, key: str) -> list[dict[str, object]]:
    assert ran.status == 0, ran.err
    found = json.loads(ran.text)[key]
    assert isinstance(found, list)
    return found


def test_the_sessions(here: Lanman) -> None:
    sessions = listed(here("session", "--json"), "sessions")
    (ann,) = (each for each in sessions if each["user_name"] == "ann")
    assert (ann["client"], ann["num_opens"]) == ("10.0.0.1", 3)
    shown = here("session")
    assert (shown.status, shown.err) == (0, WHO)
    assert "ann" in shown.text
    assert "bob" in shown.text
    assert {line.split()[0] for line in shown.log} <= {"NetSessionEnum", "NetServerGetInfo", "NetRemoteTOD"}


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        *((words, encoding) for words in ("session", "share") for encoding in ("cp1252", "cp437", "utf-8", "ascii")),
        *(
            (words, "cp437")
            for words in ("file", "config server", "statistics server", r"session \\10.0.0.1", "file 8")
        ),
    ],
)
def test_a_list_in_a_code_page(here: Lanman, words: str, encoding: str) -> None:
    """What a console has no characters for is shown otherwise; it never ends a command."""
    ran = here(*words.split(), PYTHONUTF8="0", PYTHONIOENCODING=encoding)
    assert (ran.status, ran.err) == (0, WHO)
    text = ran.out.decode(encoding)
    if words == "session":
        assert ("b\u00fc" in text) == (encoding != "ascii")
    if words == "share" and encoding != "ascii":
        assert "\u00fcmlaut" in text


def test_in_the_code_page_that_windows_has(here: Lanman) -> None:
    ran = here("session", PYTHONUTF8="0")
    assert (ran.status, ran.err) == (0, WHO)


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ("page=1", "502"),
        ("refuse=NetSessionEnum:502:124", "2"),
        ("refuse=NetSessionEnum:502:5 refuse=NetSessionEnum:2:5 refuse=NetSessionEnum:1:5", "10"),
        ("refuse=NetSessionEnum:502:124 refuse=NetSessionEnum:2:124 refuse=NetSessionEnum:1:124 page=2", "10"),
    ],
)
def test_pages_and_levels(here: Lanman, settings: str, level: str) -> None:
    ran = here("session", "--json", FAKE_NETAPI=settings)
    assert len(listed(ran, "sessions")) == 5
    asked = [line.split()[-1] for line in ran.log if line.startswith("NetSessionEnum -") and "fails" not in line]
    assert asked[-1] == level


def test_a_session_ended_and_a_file_closed(here: Lanman) -> None:
    ended = here("session", r"\\10.0.0.2", "/delete", "--yes")
    assert (ended.status, ended.err) == (0, WHO), ended.err
    assert [line for line in ended.log if line.startswith("NetSessionDel")] == [r"NetSessionDel \\10.0.0.2 -"]
    closed = here("file", "8", "/close", "--yes")
    assert (closed.status, closed.err) == (0, WHO), closed.err
    assert [line for line in closed.log if line.startswith("NetFileClose")] == ["NetFileClose 8"]
    assert here("file", "4711", "/close", "--yes").status == 2


def test_denied(here: Lanman) -> None:
    ran = here("session", FAKE_NETAPI="fail=NetSessionEnum:0:5:1")
    assert ran.status == 5
    assert b"Access is denied." in ran.err
    assert b"elevated prompt" in ran.err


# --- the Server of ours, which is not for Windows


@pytest.mark.parametrize("words", ["serve", "start server", r"serve C:\windows"])
def test_the_server_is_refused(lanman: Lanman, words: str, tmp_path: Path) -> None:
    ran = lanman(*words.split())
    assert ran.status == 2
    assert b"System error 50" in ran.err
    assert b"no Server can be run on this system" in ran.err
    assert b"Linux" in ran.err
    assert b"Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


async def test_a_server_in_a_program_is_refused() -> None:
    import lanman

    with pytest.raises(lanman.LanmanError, match="no Server can be run") as refused:
        async with lanman.Server({}):
            raise AssertionError("started")
    assert refused.value.code == 50
    assert refused.value.hint


def test_without_any_service_it_says_so(lanman: Lanman) -> None:
    service = Service()
    service.stop()
    ran = lanman("session")
    assert ran.status == 2
    assert b"2114" in ran.err
    assert b"Traceback" not in ran.err


# --- where files are


def test_the_home_is_in_local_app_data(lanman: Lanman, tmp_path: Path) -> None:
    added = lanman("user", "ann", "*", "/add", entered="a password of hers\n")
    assert added.status == 0, added.err
    assert (tmp_path / "Local" / "lanman" / "accounts").exists()
    assert "ann" in lanman("user").text


def test_every_module_can_be_imported_on_windows() -> None:
    """And warns of nothing: not of what a later Python will lack. The extras `cluster` and `web` are not there."""
    script = """if True:
        import importlib, pathlib, sys, lanman
        root = pathlib.Path(lanman.__file__).parent
        for path in sorted(root.rglob("*.py")):
            parts = ("lanman", *path.relative_to(root).with_suffix("").parts)
            if parts[-1] != "__main__":
                try:
                    importlib.import_module(".".join(parts).removesuffix(".__init__"))
                except ModuleNotFoundError as error:
                    if error.name not in ("distributed", "starlette", "uvicorn"):
                        raise
        """
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
