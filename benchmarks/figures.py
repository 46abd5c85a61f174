"""What a benchmark found, in one form: for people, for `benchmarks/run.py`, and beside what was found before.

Rules:

  - A script has one table for people and a list of `Figure`s. With `--json` (`add_json`) its standard output is one
    JSON object (`report`), and everything that it prints for people meanwhile goes to standard error (`for_people`).
  - Only what does not depend on the machine's speed is compared with what was kept: ratios of two times of one run
    (unit "x"), bytes, counts. Times and rates (`TIMES`) have a goal at most.
  - A figure has fallen when it is worse than the kept one by more than its tolerance, a part of the kept one that the
    script knows from its own spread. To be a little worse is noise, to be better is never wrong.
  - A benchmark that cannot run says why and exits with status 4 (`cannot_run`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

VERSION = 1
FELL, NOT_RUN = 3, 4
TIMES = ("s", "ms", "us", "/s", "MB/s", "MiB/s")


@dataclass(frozen=True)
class Figure:
    """One thing that was measured: `value` in `unit`, beside `peer` where it is a ratio."""

    name: str
    value: float
    unit: str = "x"
    better: Literal["lower", "higher"] = "lower"
    goal: float | None = None
    peer: str = ""
    tolerance: float = 0.25

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal

    def fell_from(self, kept: Figure) -> bool:
        """Whether this is worse than what was kept, beyond the tolerance."""
        if self.unit in TIMES or self.unit != kept.unit:
            return False
        worse = self.value - kept.value if self.better == "lower" else kept.value - self.value
        return worse > self.tolerance * abs(kept.value)

    def better_of(self, other: Figure) -> Figure:
        """Of two measurements of the same the better one."""
        ours = self.value <= other.value if self.better == "lower" else self.value >= other.value
        return self if ours else other


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option that every benchmark of `make bench` has."""
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, the table to stderr")


@contextlib.contextmanager
def for_people(as_json: bool) -> Iterator[None]:
    """What is printed in here is for people: with `--json` it goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def report(benchmark: str, figures: Sequence[Figure], as_json: bool) -> None:
    """The figures: with `as_json` one JSON object, otherwise a line for each that has a goal. Names are of one each."""
    names = [each.name for each in figures]
    if len(set(names)) < len(names):
        raise ValueError(f"two figures have one name: {sorted(names)}")
    if as_json:
        print(json.dumps({"benchmark": benchmark, "figures": [asdict(each) for each in figures]}))
        return
    print()
    for each in figures:
        if each.goal is not None:
            print(f"{each.name}: {each.value:.4g} {each.unit}, to reach: {each.goal:g}, {verdict(each, None)}")


def cannot_run(reason: str) -> NoReturn:
    """End, since a peer or a right is missing: status 4, and the reason as the last line of standard error."""
    print(reason, file=sys.stderr)
    sys.exit(NOT_RUN)


def figures_of(report: str) -> list[Figure]:
    """The figures in what `report` printed. Raises ValueError where that is something else."""
    try:
        return [Figure(**each) for each in json.loads(report)["figures"]]
    except (TypeError, KeyError) as error:
        raise ValueError(f"no report of figures: {error}") from error


def verdict(now: Figure | None, kept: Figure | None) -> str:
    """What is to be said of a figure, beside what was kept of it."""
    if now is None:
        return "NOT MEASURED"
    if kept is not None and now.fell_from(kept):
        return "FELL"
    return {None: "-", True: "reached", False: "not reached"}[now.reached]


def read_kept(file: Path) -> dict[str, list[Figure]]:
    """The figures that were kept, by benchmark; none where there is no such file yet."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    if found.get("version") != VERSION:
        raise ValueError(f"{file.name} has version {found.get('version')}, this program knows {VERSION}")
    return {name: [Figure(**each) for each in figures] for name, figures in found["figures"].items()}


def write_kept(file: Path, kept: Mapping[str, Sequence[Figure]]) -> None:
    """Keep them. Values are rounded to four digits, so that a difference can be read."""
    figures = {
        name: [asdict(each) | {"value": float(f"{each.value:.4g}")} for each in kept[name]] for name in sorted(kept)
    }
    file.write_text(json.dumps({"version": VERSION, "figures": figures}, indent=1) + "\n")
