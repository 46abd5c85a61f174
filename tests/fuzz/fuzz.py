"""Give what reads bytes of others changed ones, until the time is up: `python tests/fuzz/fuzz.py --minutes 1`.

    .venv/bin/python tests/fuzz/fuzz.py [--minutes 1] [--only TARGET]... [--seed N] [--atheris] [--keep]

The targets (`tests/support/fuzz_targets.py`) take turns, each with as much time as the others. Inputs are changed from
the targets' seeds and from what is kept in tests/fuzz/corpus/. An input is one call of one decoder, or one conversation
with a core. They are made from a seed, which is printed, and are the same again with it. A finding is an error that the
target may not raise, a call that takes more than 2 s of processor time, or one that wants more than 1 GiB of memory. It
is printed, and lies in build/fuzz/ as a file in hex, which `--again FILE` runs once more; the status is 1.

With `--atheris` each target runs in a process of its own, its changes guided by coverage (libFuzzer). With `--keep`
what reached new code is added to the corpus, the shortest first, at most `MOST_KEPT` bytes of each target, and the
inputs that were run are added to tests/fuzz/ledger.json, which is how many there have been in all.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import itertools
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

CORPUS: Final = HERE / "corpus"
LEDGER: Final = HERE / "ledger.json"
FOUND: Final = ROOT / "build" / "fuzz"

LONGEST_INPUT: Final = 16384
LONGEST_CALL: Final = 2.0
MOST_MEMORY: Final = 1 << 30
MOST_KEPT: Final = 8192
TURN: Final = 1.0

NUMBERS: Final = [
    number.to_bytes(size, order)
    for size, numbers in (
        (1, (0, 1, 0x7F, 0x80, 0xFF)),
        (2, (0, 1, 8, 64, 0x7FFF, 0x8000, 0xFFFF, 0xFFFE)),
        (4, (0, 1, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x10000, 0x20000)),
        (8, (0, 1, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1 << 32)),
    )
    for number in numbers
    for order in ("little", "big")
]


class TooLong(BaseException):
    """A call takes longer than any may. Not an Exception, so that what is fuzzed cannot catch it."""


def changed(data: bytes, other: bytes, dice: random.Random, tokens: Sequence[bytes]) -> bytes:
    """A change of `data`: one to four small ones; parts of `other` may come in."""
    out = bytearray(data)
    bits = dice.getrandbits
    for _ in range(1 + (bits(2) if bits(1) else 0)):
        size = len(out)
        at = int(dice.random() * (size + 1))
        kind = bits(3)
        if kind == 0 and at < size:
            out[at] ^= 1 << bits(3)
        elif kind == 1 and at < size:
            out[at] = bits(8)
        elif kind == 2:
            number = NUMBERS[int(dice.random() * len(NUMBERS))]
            out[at : at + len(number)] = number
        elif kind == 3:
            del out[at : at + 1 + bits(5)]
        elif kind == 4:
            out[at:at] = dice.randbytes(1 + bits(4))
        elif kind == 5 and tokens:
            out[at:at] = tokens[int(dice.random() * len(tokens))]
        elif kind == 6:
            start = int(dice.random() * (len(other) + 1))
            out[at : at + (bits(6) if bits(1) else 0)] = other[start : start + 1 + bits(6)]
        else:
            start = int(dice.random() * (size + 1))
            out[at:at] = out[start : start + 1 + bits(6)]
    return bytes(out[:LONGEST_INPUT])


def kept(name: str) -> list[bytes]:
    """What the corpus has for a target."""
    file = CORPUS / f"{name}.txt"
    return [bytes.fromhex(line) for line in file.read_text().splitlines()] if file.exists() else []


def keep(name: str, inputs: Sequence[bytes]) -> None:
    """Write the corpus of a target: the shortest first, as many as have room."""
    lines, size = [], 0
    for data in sorted(set(inputs), key=lambda each: (len(each), each)):
        size += len(data)
        if size > MOST_KEPT:
            break
        lines.append(data.hex() + "\n")
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.txt").write_text("".join(lines))


def inputs(name: str, target: Any, seed: int) -> Iterator[bytes]:
    """The inputs of a target from a seed, without end."""
    samples = [*target.seeds(), *kept(name)]
    tokens, count, dice = target.tokens, len(samples), random.Random(f"{name} {seed}")
    while True:
        data = samples[int(dice.random() * count)]
        yield changed(data, samples[int(dice.random() * count)], dice, tokens)


def place_of(error: BaseException) -> str:
    """What tells findings apart: the kind of error, and the last lines that it came from."""
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    places = (f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames))
    return " < ".join([type(error).__name__, *places])


def is_finding(target: Any, data: bytes) -> BaseException | None:
    """What one input raises that it may not, alone and with its own time."""
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CALL)
    try:
        target.run(data)
    except (Exception, TooLong) as error:  # noqa: BLE001  # a finding, whatever it is
        return error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None


def shorter(target: Any, data: bytes, place: str) -> bytes:
    """A shorter input with the same finding, if cutting makes one."""
    step = len(data) // 2
    while step:
        at = 0
        while at < len(data):
            less = data[:at] + data[at + step :]
            error = is_finding(target, less)
            if error is not None and place_of(error) == place:
                data = less
            else:
                at += step
        step //= 2
    return data


class Fuzzer:
    """All targets in turns, in this process."""

    def __init__(self, targets: dict[str, Any], seed: int) -> None:
        self.targets, self.seed = targets, seed
        self.counts: Counter[str] = Counter()
        self.findings: dict[str, tuple[str, bytes]] = {}

    def turn(self, name: str, stream: Iterator[bytes], seconds: float) -> None:
        """One target for so many seconds."""
        target, end = self.targets[name], time.monotonic() + seconds
        batch = 1 if target.slow else 200
        run, done = target.run, 0
        while time.monotonic() < end:
            some = list(itertools.islice(stream, batch))
            at = -1
            # For the whole batch; which input it was is seen when it is alone.
            signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CALL + batch * 0.05)
            try:
                for at, data in enumerate(some):  # noqa: B007  # where it was is looked at below
                    run(data)
            except (Exception, TooLong) as error:  # noqa: BLE001
                self.look(name, some[: at + 1], error)
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            done += at + 1
        self.counts[name] += done

    def look(self, name: str, some: list[bytes], seen: BaseException) -> None:
        """Say what the last of some inputs has done, once for each place: alone, or after those before it."""
        target = self.targets[name]
        error = is_finding(target, some[-1])
        if error is not None:
            key = f"{name}: {place_of(error)}"
            some = some[-1:]
        elif isinstance(seen, TooLong):
            return  # all of them together, or this machine
        else:
            error, key = seen, f"{name}, not alone: {place_of(seen)}"
        if key in self.findings:
            return
        if len(some) == 1:
            some = [shorter(target, some[0], place_of(error))]
        self.findings[key] = repr(error), some[-1]
        FOUND.mkdir(parents=True, exist_ok=True)
        file = FOUND / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        file.write_text("".join(f"{data.hex()}\n" for data in some) + f"{key}\n{error!r}\n")
        print(f"{key}\n  {error!r:.300}\n  {some[-1].hex()[:2000]}", flush=True)
        print(f"  again: python tests/fuzz/fuzz.py --again {file}", flush=True)

    def run(self, seconds: float) -> None:
        """Until the time is up."""
        streams = {name: inputs(name, target, self.seed) for name, target in self.targets.items()}
        end = time.monotonic() + seconds
        turn = min(TURN, seconds / len(streams))
        while (left := end - time.monotonic()) > 0:
            for name, stream in streams.items():
                self.turn(name, stream, min(turn, left))
                gc.collect()


def again(file: Path) -> None:
    """Give a target what a finding was made by; what it raises is raised."""
    from support.fuzz_targets import TARGETS

    name = file.name.rpartition("-")[0]
    if (raw := re.fullmatch("(.+)-(crash|timeout|oom|leak|slow-unit)", name)) is not None:
        name = raw[1]  # libFuzzer's
    if name not in TARGETS:
        raise SystemExit(f"{file.name} is of no target: a finding is TARGET-DIGEST")
    if raw is not None:
        some = [file.read_bytes()]
    else:
        some = [bytes.fromhex(line) for line in file.read_text().splitlines()[:-2]]
    for data in some:
        TARGETS[name].run(data)
    print(f"{file.name}: nothing is raised any more")


def guided(names: Sequence[str], minutes: float, keeping: bool) -> tuple[Counter[str], int]:
    """Each target by atheris in a process of its own; the counts, and how many ended with a finding."""
    counts: Counter[str] = Counter()
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder, "corpus")
            corpus.mkdir()
            _fill(corpus, name)
            words = [sys.executable, __file__, "--one-by-atheris", name]
            given = [f"-max_total_time={max(1, round(60 * minutes / len(names)))}", "-print_final_stats=1"]
            given += [f"-max_len={LONGEST_INPUT}", "-rss_limit_mb=1024", "-timeout=10", "-verbosity=0"]
            FOUND.mkdir(parents=True, exist_ok=True)
            given += [f"-artifact_prefix={FOUND}/{name}-"]
            done = subprocess.run([*words, *given, str(corpus)], capture_output=True, text=True, errors="replace")
            found = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
            counts[name] += int(found[1]) if found else 0
            print(f"{name}: {counts[name]:,} inputs, {len(list(corpus.iterdir()))} that reach something", flush=True)
            if done.returncode:
                failed += 1
                print(done.stderr[-3000:], flush=True)
            if keeping:
                # What libFuzzer has added is named by its digest. Each reached something that no input before it did.
                new = [each.read_bytes() for each in corpus.iterdir() if len(each.name) == 40]
                keep(name, [*kept(name), *new])
    return counts, failed


def _fill(folder: Path, name: str) -> None:
    from support.fuzz_targets import TARGETS

    for number, data in enumerate([*TARGETS[name].seeds(), *kept(name)]):
        (folder / str(number)).write_bytes(data)


def one_by_atheris(name: str, given: list[str]) -> None:
    """This process is libFuzzer's."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["lanman"]):
        from support.fuzz_targets import TARGETS

    atheris.Setup([sys.argv[0], *given], TARGETS[name].run)
    atheris.Fuzz()


def enter(counts: Counter[str]) -> int:
    """Add to the ledger; how many inputs there have been in all."""
    ledger: dict[str, Any] = json.loads(LEDGER.read_text())
    total = Counter(ledger["inputs"]) + counts
    LEDGER.write_text(json.dumps({"version": 1, "inputs": dict(sorted(total.items()))}, indent=1) + "\n")
    return total.total()


def _too_long(number: int, frame: object) -> None:
    raise TooLong


def main() -> int:
    """Run; 1 where something was found."""
    if sys.argv[1:2] == ["--one-by-atheris"]:
        one_by_atheris(sys.argv[2], sys.argv[3:])
        return 0
    from support.fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", action="append", choices=sorted(TARGETS), metavar="TARGET")
    parser.add_argument("--seed", type=int, help="what is printed when none is given")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage; needs atheris")
    parser.add_argument("--keep", action="store_true", help="write the ledger, and with --atheris the corpus")
    parser.add_argument("--again", action="append", type=Path, metavar="FILE", help="run a finding of build/fuzz again")
    options = parser.parse_args()
    for file in options.again or ():
        again(file)
    if options.again:
        return 0
    names = options.only or list(TARGETS)
    if options.atheris:
        counts, found = guided(names, options.minutes, options.keep)
    else:
        seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
        signal.signal(signal.SIGVTALRM, _too_long)
        fuzzer = Fuzzer({name: TARGETS[name] for name in names}, seed)
        fuzzer.run(60 * options.minutes)
        counts, found = fuzzer.counts, len(fuzzer.findings)
        print(f"seed {seed}")
    for name in names:
        print(f"{name:16} {counts[name]:12,}")
    print(f"{counts.total():,} inputs, {found} findings")
    if options.keep:
        print(f"{enter(counts):,} in all (tests/fuzz/ledger.json)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
