"""What was kept of fuzzing is replayed, and a few changes of it are tried; findings have tests of their own."""

from __future__ import annotations

import importlib.util
import itertools
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from support.fuzz_targets import TARGETS, Target

HERE = Path(__file__).parent
CHANGES = 150
SLOW_CHANGES = 5


def load() -> Any:
    """The program beside this file."""
    spec = importlib.util.spec_from_file_location("fuzz", HERE / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


fuzz = load()


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_some_changes_of_it(name: str) -> None:
    """Each input gives a value or an error that the target may raise."""
    target = TARGETS[name]
    for data in [*target.seeds(), *fuzz.kept(name)][: 20 if target.slow else None]:
        target.run(data)
    for data in itertools.islice(fuzz.inputs(name, target, 20), SLOW_CHANGES if target.slow else CHANGES):
        target.run(data)


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in ("server", "core-client")])
def test_seeds_are_understood(name: str) -> None:
    """Fuzzing begins from what is right: some seed of each target gives a value. A client's core has seeds too, but
    answers to what it did not send are never right."""
    target = TARGETS[name]

    def understood(data: bytes) -> bool:
        try:
            target.read(data)
        except target.allowed:
            return False
        return True

    assert any(map(understood, target.seeds()))


def test_a_finding_is_found_once_and_made_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds of errors at two places are two findings, however often they come; what may be raised is none."""
    monkeypatch.setattr(fuzz, "FOUND", tmp_path)
    monkeypatch.setattr(fuzz.signal, "setitimer", lambda which, seconds: None)

    def read(data: bytes) -> None:
        if b"\xff\xff" in data:
            raise IndexError("of the reader")
        if data[:1] == b"\x80":
            raise KeyError(data[0])
        if len(data) % 2:
            raise ValueError("odd")

    target = Target(read, lambda: [b"\x80" + bytes(range(99)), b"\xff\xff" + bytes(60)], (ValueError,))
    fuzzer = fuzz.Fuzzer({"some": target}, 1)
    for data in itertools.islice(fuzz.inputs("some", target, 1), 2000):
        try:
            target.run(data)
        except (IndexError, KeyError) as error:
            fuzzer.look("some", [data], error)
    assert sorted(data for _, data in fuzzer.findings.values()) == [b"\x80", b"\xff\xff"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_finding_is_run_again_by_its_file_and_one_that_needs_others_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader that remembers: what an input does depends on those before it, and alone it does nothing."""
    monkeypatch.setattr(fuzz, "FOUND", tmp_path)
    monkeypatch.setattr(fuzz.signal, "setitimer", lambda which, seconds: None)
    seen: set[bytes] = set()

    def read(data: bytes) -> None:
        if data == b"alone":
            raise IndexError("at once")
        if data in seen:
            seen.clear()
            raise KeyError("again")
        seen.add(data)

    target = Target(read, lambda: [b"x"])
    monkeypatch.setitem(TARGETS, "so-me", target)
    fuzzer = fuzz.Fuzzer({"so-me": target}, 1)
    clock = itertools.count()
    monkeypatch.setattr(fuzz.time, "monotonic", lambda: next(clock))
    fuzzer.turn("so-me", iter([b"a", b"b", b"a", b"c"]), 1.5)
    fuzzer.turn("so-me", iter([b"alone"]), 1.5)
    assert fuzzer.counts == {"so-me": 4}
    assert [data for _, data in fuzzer.findings.values()] == [b"a", b"alone"]
    assert ["not alone" in key for key in fuzzer.findings] == [True, False]
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines() if "--again" in line]
    assert sorted(told) == sorted(map(str, tmp_path.iterdir()))
    seen.clear()
    for file, kind in zip(told, (KeyError, IndexError), strict=True):
        with pytest.raises(kind):
            fuzz.again(Path(file))
    libfuzzers = tmp_path / "so-me-crash-0123"
    libfuzzers.write_bytes(b"alone")
    with pytest.raises(IndexError):
        fuzz.again(libfuzzers)
    with pytest.raises(SystemExit, match="no target"):
        fuzz.again(tmp_path / "nobody")


def test_a_call_without_end_is_a_finding() -> None:
    """What is fuzzed cannot catch it."""

    def read(data: bytes) -> None:
        try:
            fuzz._too_long(0, None)
        except Exception:  # noqa: BLE001  # what a careless reader would do
            pass

    assert isinstance(fuzz.is_finding(Target(read, lambda: [b""]), b"x"), fuzz.TooLong)


def test_the_same_seed_makes_the_same_inputs() -> None:
    target = TARGETS["times"]
    one, other, third = (list(itertools.islice(fuzz.inputs("times", target, seed), 50)) for seed in (1, 1, 2))
    assert one == other
    assert one != third
    dice = random.Random(1)
    assert all(len(fuzz.changed(bytes(20000), b"", dice, ())) <= fuzz.LONGEST_INPUT for _ in range(20))


def test_the_corpus_is_small_and_belongs_to_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list((HERE / "corpus").glob("*.txt"))
    assert {file.stem for file in found} <= TARGETS.keys()
    assert sum(file.stat().st_size for file in found) <= 500_000
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    fuzz.keep("times", [bytes(3000), bytes(6000), b"a", b"a", b"bc"])
    assert fuzz.kept("times") == [b"a", b"bc", bytes(3000)]


def test_the_ledger_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads((HERE / "ledger.json").read_text())["inputs"].keys() <= TARGETS.keys()
    monkeypatch.setattr(fuzz, "LEDGER", tmp_path / "ledger.json")
    fuzz.LEDGER.write_text('{"version": 1, "inputs": {}}')
    assert fuzz.enter(fuzz.Counter({"times": 5})) == 5
    assert fuzz.enter(fuzz.Counter({"times": 2, "http": 1})) == 8
    assert json.loads((tmp_path / "ledger.json").read_text()) == {"version": 1, "inputs": {"http": 1, "times": 7}}
