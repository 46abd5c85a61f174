"""One server in several spellings: one target, one shard, one exclusion; and a password only where its section says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanman.errors import AuthenticationError, Win32Error
from lanman.fleet.logons import read_fleet_logons
from lanman.fleet.targets import Exclusion, Shard, read_exclusion, targets_of
from lanman.fleet.values import Target

SPELLINGS = [
    ("fs1.example.com", "FS1.Example.Com."),
    ("10.0.0.5", "[::ffff:10.0.0.5]"),
    ("2001:db8::1", "[2001:0DB8:0:0::1]:445"),
    (r"\\fs1", "FS1:445"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_two_spellings_are_one_target_in_one_shard_and_excluded_together(one: str, other: str) -> None:
    (first,), (second,) = targets_of(one), targets_of(other)
    assert first.key == second.key
    assert [Shard(n, 8).has(first.server) for n in range(1, 9)] == [Shard(n, 8).has(second.server) for n in range(1, 9)]
    assert Exclusion([one]).means(second.server)
    assert Exclusion([other]).means(first.server)


def test_targets_of_a_program_are_the_same_in_any_spelling() -> None:
    assert Target("::ffff:10.0.0.5").key == Target("10.0.0.5").key
    assert Exclusion(["10.0.0.0/8"]).means("::ffff:10.0.0.5")
    assert Exclusion(["2001:db8::/32"]).means("2001:db8:1::5")


@pytest.mark.parametrize(
    "line", ["10.0.0.5:4450", "[2001:db8::1]:445", '{"server": "10.0.0.5", "port": 9}', r"\\10.0.0.5"]
)
def test_an_exclusion_is_written_like_a_target(line: str, tmp_path: Path) -> None:
    file = tmp_path / "never"
    file.write_text(f"# never\n{line}\n")
    (target,) = targets_of(line)
    assert read_exclusion(file).means(target.server)
    assert not read_exclusion(file).means("10.0.0.6")


@pytest.mark.parametrize(
    "line", ["10.0.0.5 # printer", "10.0.0.0/33", "10.0.0.1-10.0.0.9", "fs1, fs2", "fs1:x", '{"a": 1}']
)
def test_an_exclusion_that_excludes_nobody_is_an_error(line: str, tmp_path: Path) -> None:
    file = tmp_path / "never"
    file.write_text(f"dc*\n{line}\n")
    with pytest.raises(Win32Error, match=r"never line 2: .*excludes nobody"):
        read_exclusion(file)


def test_a_password_stays_inside_the_hosts_of_its_section(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text('[lab]\nuser = "l"\npassword = "p"\nhosts = ["10.1.0.0/16", "lab*", "fs1.example.com"]\n')
    file.chmod(0o600)
    logons = read_fleet_logons(file)
    assert logons.choose(Target("10.1.2.3", credential="lab")) == "lab"
    assert logons.choose(Target("FS1.example.com.")) == "lab"
    assert logons.choose(Target("x.invalid"), ["10.1.2.3", "10.1.2.4"]) == "lab"
    with pytest.raises(AuthenticationError, match="'lab' is not meant for it"):
        logons.choose(Target("10.2.0.1", credential="lab"))
    with pytest.raises(AuthenticationError, match="no credential for it"):
        logons.choose(Target("x.invalid"), ["10.1.2.3", "203.0.113.9"])


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_tags_that_no_json_has_are_refused(word: str) -> None:
    """They would come back in every row and outcome, which other programs read as JSON."""
    with pytest.raises(Win32Error, match="is no JSON object"):
        list(targets_of(f'{{"server": "fs1", "tags": {{"site": {word}}}}}'))
