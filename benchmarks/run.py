"""All benchmarks one after the other, and which figure fell: `make bench`.

    make bench [ARGS="--only startup --only transfer"] [ARGS=--keep]

Each runs in its standard setting (2 minutes at most on a quiet machine; together about 20). A figure that does not
depend on the machine's speed is compared with the one in benchmarks/figures.json, which `--keep` rewrites for those
that ran. What fell is measured once more, and the better of both counts. Status: 0, or 3 where something fell, or 4
where a benchmark could not run, or a kept figure was not measured. That a goal is not reached is said, and no failure.
Ctrl-C ends the one that runs, with all that it has started; what was measured before is told, and kept with `--keep`
(status 130).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from figures import FELL, NOT_RUN, Figure, figures_of, read_kept, verdict, write_kept

HERE = Path(__file__).resolve().parent
KEPT = HERE / "figures.json"

# By the name of the script; with what it is to be given beside `--json`. Left out is history.py (ten million rows),
# which runs by hand.
BENCHMARKS: dict[str, list[str]] = {
    "startup": [],
    "decode_sessions": [],
    "logon_enumerate": [],
    "round_trips": [],
    "server_sessions": [],
    "session_memory": [],
    "steps": [],
    "transfer": [],
    "small_files": [],
    "enumerate": [],
    "echo": [],
    "loops": [],
    "fleet": ["visits"],
    "fleet_dask": [],
    "cluster": [],
    "doctor": [],
    "explain": [],
    "local_samba": [],
    "metrics": [],
    "orphans": [],
    "watch": [],
    "watch_screen": [],
    "web_grid": [],
    "web_live": [],
}

# A benchmark that takes longer is ended. Twice what the standard settings may take, for a machine that is busy.
LONGEST = 240.0
# Seconds that one which is ended has to clean up.
GRACE = 10.0

INTERRUPTED = 130


class CannotRun(Exception):
    """A benchmark gave no figures; says why."""


def run_script(name: str, *, longest: float = LONGEST, folder: Path = HERE) -> list[Figure]:
    """The figures of one benchmark. Raises CannotRun with its reason."""
    words = [sys.executable, str(folder / f"{name}.py"), "--json", *BENCHMARKS.get(name, [])]
    # In a session of its own, so that what it has started can be ended with it, and Ctrl-C is for this process alone.
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=longest)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"it took more than {longest:g} s") from None
    finally:
        end_group(process)
    if process.returncode:
        said = err.strip().splitlines() or [f"status {process.returncode}"]
        raise CannotRun(said[-1])
    try:
        return figures_of(out)
    except ValueError as error:
        raise CannotRun(f"it printed something else than figures: {error}") from error


def end_group(process: subprocess.Popen[str]) -> None:
    """End a benchmark that still runs, and the Servers and peers of it that are left: first by SIGINT, as Ctrl-C would,
    so that it takes away what it has made."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@dataclass
class Outcome:
    """What became of one benchmark."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    kept: list[Figure] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0

    def rows(self) -> list[tuple[str, Figure | None, Figure | None, str]]:
        """Name, now, kept and verdict of each figure, those that were kept and not measured last."""
        if self.reason:
            return []
        kept = {each.name: each for each in self.kept}
        found = [(each.name, each, kept.pop(each.name, None)) for each in self.figures]
        missing: list[tuple[str, Figure | None, Figure | None]] = [(name, None, was) for name, was in kept.items()]
        return [(name, now, was, verdict(now, was)) for name, now, was in [*found, *missing]]

    @property
    def fell(self) -> bool:
        """Whether one of its figures did."""
        return any(said == "FELL" for *_, said in self.rows())

    @property
    def status(self) -> int:
        """What the whole run ends with if there is no other benchmark."""
        if self.fell:
            return FELL
        missing = any(now is None for _, now, _, _ in self.rows())
        return NOT_RUN if self.reason or missing else 0


def judge(name: str, kept: Sequence[Figure], run: Callable[[str], list[Figure]]) -> Outcome:
    """Run one benchmark, and once more where something fell."""
    begun = time.monotonic()
    outcome = Outcome(name, kept=list(kept))
    try:
        outcome.figures = run(name)
        if outcome.fell:
            again = {each.name: each for each in run(name)}
            outcome.figures = [each.better_of(again.get(each.name, each)) for each in outcome.figures]
    except CannotRun as reason:
        if not outcome.figures:
            outcome.reason = str(reason)
    outcome.seconds = time.monotonic() - begun
    return outcome


def status_of(outcomes: Sequence[Outcome]) -> int:
    """3 where something fell, else 4 where something could not run, else 0."""
    found = {each.status for each in outcomes}
    return FELL if FELL in found else NOT_RUN if NOT_RUN in found else 0


def table(outcome: Outcome) -> str:
    """One benchmark for people."""
    lines = [f"\n{outcome.name} ({outcome.seconds:.0f} s)"]
    if outcome.reason:
        lines.append(f"  could not run: {outcome.reason}")
    for name, now, was, said in outcome.rows():
        known = now or was
        assert known is not None
        goal = "-" if known.goal is None else f"{'<=' if known.better == 'lower' else '>='} {known.goal:g}"
        values = (f"{each.value:.4g}" if each else "-" for each in (now, was))
        lines.append("  {:<58} {:>9} {:>9} {:<5} {:<9} {}".format(name, *values, known.unit, goal, said))
    return "\n".join(lines)


def keep(file: Path, outcomes: Sequence[Outcome], before: Mapping[str, Sequence[Figure]]) -> None:
    """Write what was found over what was kept, of those that ran."""
    write_kept(file, {**before, **{each.name: each.figures for each in outcomes if not each.reason}})


def main() -> int:
    """Run them; the status of the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", choices=sorted(BENCHMARKS), help="may be repeated")
    parser.add_argument("--keep", action="store_true", help="rewrite benchmarks/figures.json")
    parser.add_argument("--json", action="store_true", help="all figures as one JSON object")
    given = parser.parse_args()
    kept = read_kept(KEPT)
    outcomes = []
    shown = sys.stderr if given.json else sys.stdout
    print(f"{'':<60} {'now':>9} {'kept':>9} {'':<5} {'goal':<9} verdict", file=shown)
    interrupted = False
    for name in BENCHMARKS if given.only is None else given.only:
        try:
            outcomes.append(judge(name, kept.get(name, []), run_script))
        except KeyboardInterrupt:
            print(f"\n{name}: interrupted", file=shown)
            interrupted = True
            break
        print(table(outcomes[-1]), file=shown, flush=True)
    fallen = [f"{each.name}: {name}" for each in outcomes for name, *_, said in each.rows() if said == "FELL"]
    print(f"\n{sum(each.seconds for each in outcomes):.0f} s; fell: {', '.join(fallen) or 'nothing'}", file=shown)
    if given.json:
        found = {each.name: each.reason or [asdict(figure) for figure in each.figures] for each in outcomes}
        print(json.dumps(found))
    if given.keep:
        keep(KEPT, outcomes, kept)
    return INTERRUPTED if interrupted else status_of(outcomes)


if __name__ == "__main__":
    sys.exit(main())
