"""A child process runs the installed package: nothing in the current folder, and nothing that its parent typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lanman.net import child

# What a child would import if the current folder counted: the package's name, and modules that it needs.
PLANTED = ("lanman/__init__.py", "lanman/__main__.py", "inspect.py", "logging.py", "resource.py", "_socket.py")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder in which every module says that it was run."""
    for name in PLANTED:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(tmp_path / 'was run')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("python_path", [None, "", ":", ":/nowhere", "/nowhere:"])
def test_nothing_of_the_current_folder_is_run(
    planted: Path, monkeypatch: pytest.MonkeyPatch, python_path: str | None
) -> None:
    if python_path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", python_path)
    with child.start("helpmsg", "5", stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=60)
    assert b"Access is denied" in said
    assert not (planted / "was run").exists()


def test_the_folder_would_have_been_run(planted: Path) -> None:
    """The test above can fail: this is what it is about."""
    subprocess.run([sys.executable, "-m", "lanman", "helpmsg", "5"], check=False, capture_output=True)
    assert (planted / "was run").exists()


def test_a_child_keeps_no_secrets_and_no_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = child.environment(
        {
            "LANMAN_PASSWORD": "secret",
            "LANMAN_NT_HASH": "0" * 32,
            "LANMAN_HOME": "state",
            "KRB5_KTNAME": "FILE:/etc/krb5.keytab",
            "KRB5_CONFIG": "krb5.conf",
            "PYTHONPATH": "src::/opt/lib",
            "LANG": "C",
        }
    )
    assert given == {
        "LANMAN_HOME": f"{tmp_path}/state",
        "KRB5_KTNAME": "FILE:/etc/krb5.keytab",
        "KRB5_CONFIG": f"{tmp_path}/krb5.conf",
        "PYTHONPATH": f"{tmp_path}/src:/opt/lib",
        "LANG": "C",
    }


def test_every_child_process_is_started_there() -> None:
    source = Path(child.__file__).parent.parent
    for path in source.rglob("*.py"):
        text = path.read_text()
        if path != Path(child.__file__):
            for way in ("sys.executable", "subprocess.Popen(", "subprocess.run(", "os.exec", "os.spawn", "os.system"):
                assert way not in text, (path, way)
