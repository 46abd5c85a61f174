"""A sample of `make soak`: people who come and go in every way, and lists that are true at every check.

`make long` has the same by the hundred thousand. LANMAN_SOAK_CHURNS and LANMAN_SOAK_MINUTES say how much.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.soak_memory import Churn

HERE = Path(__file__).parent

pytestmark = pytest.mark.posix


def soak(*words: str, most: float) -> str:
    """Run the program; what it says."""
    program = [sys.executable, str(HERE / "soak.py"), *words]
    done = subprocess.run(program, capture_output=True, text=True, timeout=most)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_in_memory(tmp_path: Path) -> None:
    """A few hundred sessions end in every way; the lists are true, and when all have left nothing is there."""
    churn = Churn(tmp_path, seed=7)
    objects = []
    for number in range(1, 1201):
        churn.step()
        if number % 100 == 0:
            churn.check()
        if number % 200 == 0:
            objects.append(churn.empty())
    assert churn.churns > 300
    assert {
        "log-off",
        "hang-up",
        "NetrSessionDel",
        "the Server",
        "cut",
        "idle",
        "half a log-on",
    } == churn.endings.keys()
    assert objects[-1] - objects[0] <= 300, objects
    churn.end()
    print(churn.memory.judged())


def test_a_list_that_is_not_true_is_seen(tmp_path: Path) -> None:
    """The check can fail: a session too many, an open too few, somebody who is left. See also test_leaks.py."""
    churn = Churn(tmp_path, seed=7)
    churn.come()
    (person,) = churn.people
    churn.open(person)
    churn.check()
    stranger = churn.world.user("bob")
    with pytest.raises(AssertionError):
        churn.check()
    churn.world.disconnect(stranger)
    churn.check()
    taken = person.opens.pop()
    with pytest.raises(AssertionError):
        churn.check()
    person.opens.append(taken)
    churn.check()
    stranger = churn.world.user("bob")
    with pytest.raises(AssertionError):
        churn.end()


@pytest.mark.timeout(300)
def test_with_sockets() -> None:
    """`lanman serve`, a watcher, a recorder and a scraper, for eight kinds of work and as many checks."""
    said = soak("--rounds", "8", "--people", "3", "--seed", "1", most=280)
    assert "8 checks" in said


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_million_in_memory() -> None:
    churns = os.environ.get("LANMAN_SOAK_CHURNS", "1000000")
    print(soak("--memory", "--churns", churns, "--seed", "1", most=1e6))


@pytest.mark.long
@pytest.mark.timeout(0)
def test_weeks_in_an_hour() -> None:
    print(soak("--minutes", os.environ.get("LANMAN_SOAK_MINUTES", "60"), "--people", "16", "--seed", "1", most=1e6))
