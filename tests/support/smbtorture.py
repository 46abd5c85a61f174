"""Samba's smbtorture against any server: what it runs, and which of its cases pass.

python tests/support/smbtorture.py HOST PORT USER PASSWORD SHARE [SUITE ...]     prints the cases and what they say
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
    "kernel-oplocks",
    "lease",
    "setinfo",
    "ioctl",
    "multichannel",
    "replay",
    "durable-open",
    "durable-open-disconnect",
    "durable-v2-open",
    "durable-v2-delay",
)
# What a suite is run with, once for each: the signing algorithms that smbtorture offers, and whether our Server has
# multichannel. No one choice lets all cases of `session` run. Most of bind_negative_* begin with a connection that
# signs by AES-GMAC, which a Server with multichannel chooses if there is nothing else; some of these then want other
# algorithms offered, so that only a Server without multichannel chooses it.
RUNS = {
    "session": (("", True), ("aes-128-gmac", True), ("", False)),
    "ioctl": (("", True),),
    "multichannel": (("", True),),
    "lock": (("", True),),
}
# Most of these is waiting: their cases are run on several shares at the same time.
BESIDE = ("lease", "replay")
# A CANCEL that this smbtorture signs by anything but AES-GMAC has the message id 0, where no interim response came
# before it: such a CANCEL means no request, so cases of `compound` and `notify` would wait for ever with multichannel.
ONCE = (("", False),)
# Many cases of `lease` wait for lease breaks that do not come or are not answered.
TIMEOUT = 400
EXPECTED = Path(__file__).parents[1] / "peers" / "smbtorture.txt"


@dataclass
class Outcome:
    """The cases of one suite by how they ended, as `smb2.lock.cancel`; what was wrong with those that failed."""

    passed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


def run_suite(
    suite: str,
    host: str,
    port: int,
    login: str,
    share: str,
    *,
    timeout: float,
    directory: Path,
    offer: str = "",
    cases: Sequence[str] = (),
) -> Outcome:
    """Run `smb2.SUITE`, or these cases of it, for so many seconds at most: what has not ended by then has failed.
    `offer` are the signing algorithms to offer; "" is smbtorture's own choice."""
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
                [*command, f"--basedir={directory}", *(cases or [f"smb2.{suite}"])],
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


def run_beside(
    suite: str, host: str, port: int, login: str, shares: Sequence[str], *, timeout: float, directory: Path
) -> Outcome:
    """Run the cases of a suite that are to pass, a share of them on each of several shares at the same time: most of
    `lease` is waiting."""
    cases = sorted(expected_passes()[suite], key=lambda case: "timeout" not in case)
    homes = [directory / share for share in shares]
    for home in homes:
        home.mkdir()

    def run(number: int) -> Outcome:
        return run_suite(
            suite,
            host,
            port,
            login,
            shares[number],
            timeout=timeout,
            directory=homes[number],
            cases=cases[number :: len(shares)],
        )

    whole = Outcome()
    with ThreadPoolExecutor(len(shares)) as pool:
        for part in pool.map(run, range(len(shares))):
            whole.passed |= part.passed
            whole.skipped |= part.skipped
            whole.failed |= part.failed
    return whole


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
                suite, host, int(port), f"{user}%{password}", share, timeout=TIMEOUT, directory=Path(directory)
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
