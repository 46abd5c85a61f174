"""Samba's smbtorture against any server: what it runs, and which of its cases pass.

python tests/support/smbtorture.py HOST PORT USER PASSWORD SHARE [SUITE ...]     prints the cases and what they say
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from support.smbd import tool

SUITES = (
    "connect",
    "tcon",
    "read",
    "rw",
    "credits",
    "compound",
    "create",
    "dir",
    "lock",
    "rename",
    "getinfo",
    "sharemode",
    "session",
    "notify",
    "timestamps",
    "oplock",
    "setinfo",
    "ioctl",
)
EXPECTED = Path(__file__).parents[1] / "peers" / "smbtorture.txt"


@dataclass
class Outcome:
    """The cases of one suite by how they ended, as `smb2.lock.cancel`; what was wrong with those that failed."""

    passed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


def run_suite(
    suite: str, host: str, port: int, login: str, share: str, *, timeout: float, directory: Path, offer: str = ""
) -> Outcome:
    """Run `smb2.SUITE`, for so many seconds at most: what has not ended by then has failed. `offer` are the signing
    algorithms to offer; "" is smbtorture's own choice."""
    configuration = directory / "smbtorture.conf"
    configuration.write_text(
        f"[global]\nlock directory = {directory}\ncache directory = {directory}\nstate directory = {directory}\n"
        f"private dir = {directory}\nclient min protocol = SMB2_02\n"
        + (f"client smb3 signing algorithms = {offer}\n" if offer else "")
    )
    command = [tool("smbtorture"), "-s", str(configuration), "-p", str(port), f"//{host}/{share}", "-U", login]
    with tempfile.TemporaryFile("w+", dir=directory, errors="replace") as output:
        try:
            subprocess.run(
                [*command, f"--basedir={directory}", f"smb2.{suite}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pass
        output.seek(0)
        return parse(suite, output.read())


def parse(suite: str, text: str) -> Outcome:
    """What smbtorture has printed."""
    outcome = Outcome()
    begun = re.findall(r"^test: (.+)$", text, re.MULTILINE)
    ended = set()
    for kind, name, why in re.findall(
        r"^(success|skip|failure|error): ([^\[\n]+?)(?: \[\n(.*?)\n\])?$", text, re.M | re.S
    ):
        case = f"smb2.{suite}.{name}"
        ended.add(name)
        if kind == "success":
            outcome.passed.add(case)
        elif kind == "skip":
            outcome.skipped.add(case)
        else:
            outcome.failed[case] = why.strip()
    for name in begun:
        if name not in ended:
            outcome.failed[f"smb2.{suite}.{name}"] = "did not come to its end"
    return outcome


def expected_passes() -> dict[str, set[str]]:
    """The cases that are to pass, by suite."""
    expected: dict[str, set[str]] = {suite: set() for suite in SUITES}
    for line in EXPECTED.read_text().splitlines():
        if line and not line.startswith("#"):
            expected[line.split(".")[1]].add(line)
    return expected


def main() -> None:
    host, port, user, password, share, *suites = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        for suite in suites or SUITES:
            outcome = run_suite(
                suite, host, int(port), f"{user}%{password}", share, timeout=180, directory=Path(directory)
            )
            counts = f"{len(outcome.passed)} passed, {len(outcome.failed)} failed, {len(outcome.skipped)} skipped"
            print(f"# smb2.{suite}: {counts}")
            for case in sorted(outcome.passed):
                print(case)
            for case, why in sorted(outcome.failed.items()):
                print(f"# {case}: {why}")
            for case in sorted(outcome.skipped):
                print(f"# {case}: skipped")


if __name__ == "__main__":
    main()
