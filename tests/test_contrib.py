"""The systemd units: systemd understands them, what they run is there, and what can be forbidden without a loss is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lanman.faces.cli.loader import load
from lanman.faces.dialect import normalise, split_verb

CONTRIB = Path(__file__).parent.parent / "contrib"
UNITS = sorted(CONTRIB.glob("*.service"))

with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="only on machines with systemd")
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)

# How exposed each may be, by systemd's own measure from 0 to 10. The Server binds a port below 1024.
EXPOSED = {"lanman": 1.8}
LEAST_EXPOSED = 1.4


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def test_there_is_one_for_what_runs_all_the_time() -> None:
    assert {unit.stem for unit in UNITS} == {
        *("lanman", "lanman-history", "lanman-metrics", "lanman-policies", "lanman-web")
    }


@with_systemd
@each_unit
def test_systemd_understands_it(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text().replace("/usr/bin/env lanman", "/bin/true").replace("Documentation=man:lanman(1)\n", "")
    (tmp_path / unit.name).write_text(text)
    done = analyze("verify", str(tmp_path / unit.name))
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
@each_unit
def test_what_systemd_finds_exposed(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(unit))
    if "offline" in done.stderr:
        pytest.skip("only on systemd 250 and later")
    found = re.search(rf"Overall exposure level for {unit.name}: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= EXPOSED.get(unit.stem, LEAST_EXPOSED)


@each_unit
def test_what_it_runs_is_there(unit: Path) -> None:
    # Also the lines that are written there for people to change.
    lines = re.findall(r"ExecStart=/usr/bin/env lanman (.*)", unit.read_text())
    assert lines
    for line in lines:
        words = line.split()
        command = load(words[0])
        assert normalise(words[1:], command.grammar)
        name, _ = split_verb(words, command.grammar)
        assert name == words[0]


def test_all_of_them_forbid_the_same() -> None:
    """What one unit forbids all of them do, but for what the Server needs."""
    forbidden = {
        unit.stem: set(
            re.findall(
                r"^((?:Protect|Private|Restrict[A-Z]|NoNew|Lock|Memory|Keyring|Proc|System).*)$", unit.read_text(), re.M
            )
        )
        for unit in UNITS
    }
    common = {line for line in forbidden["lanman"] if not line.startswith("RestrictAddress")}
    for name, lines in forbidden.items():
        assert common <= lines, name
