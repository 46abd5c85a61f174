"""Every call of netapi32, with random failures, on memory that valgrind watches.

    found = checked()           # Found(...): what valgrind says of so many calls
    found = checked("leaks")    # the same with a mistake of WRONG, which valgrind has to see

Run as a program it makes calls of `NetApi` on the stub, whose blocks are given back to libc at once, so that valgrind
sees what the stub alone can only count: a read behind a block's end or after it was freed, a block that is freed twice,
one that nothing points to any more.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from support.netapi_stub import Failure, Heap, NetapiStub, _libc

TESTS = Path(__file__).parent.parent
WRONG = {
    "leaks": "Leak_DefinitelyLost",
    "frees twice": "InvalidFree",
    "frees and reads": "InvalidRead",
    "reads too far": "InvalidRead behind the end",
}
"""Mistakes, and what valgrind has to call them."""


@dataclass(frozen=True)
class Found:
    """What came of a run: how many calls were made and failed on purpose, and valgrind's errors by their kind."""

    calls: int
    failed: int
    errors: Counter[str]


class WatchedHeap(Heap):
    """Its blocks go back to libc at once, also those that are freed twice."""

    def __init__(self, wrong: str) -> None:
        super().__init__()
        self._wrong = wrong

    def allocate(self, data: bytes, pointers: Any) -> int:
        if self._wrong == "reads too far":
            # Every string that is the last of its block ends beyond it.
            while data.endswith(b"\0\0"):
                data = data[:-2]
        return super().allocate(data, pointers)

    def free(self, address: int | None) -> int:
        self.live.pop(address or 0, None)
        _libc.free(address)
        return 0

    def close(self) -> None:
        """What is left, is left: valgrind counts it."""


def missing() -> str | None:
    """Why this cannot be run; None where it can."""
    if not sys.platform.startswith("linux"):
        return "only on Linux"
    return None if shutil.which("valgrind") else "not installed: valgrind (see system-packages.txt)"


def checked(*wrong: str, seed: int = 1, rounds: int = 300) -> Found:
    """Make calls under valgrind, so many without a mistake, or so many with each of these."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        valgrind = ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite", "--num-callers=6"]
        done = subprocess.run(
            [*valgrind, "--xml=yes", f"--xml-file={report}", sys.executable, __file__, str(seed), str(rounds), *wrong],
            # Python's own allocator would keep what is freed.
            env=os.environ | {"PYTHONMALLOC": "malloc", "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        calls, failed = map(int, done.stdout.split())
        return Found(calls, failed, _errors(report.read_text()))


def _errors(report: str) -> Counter[str]:
    """The errors of a report that are about blocks of the stub, which libc gave away through ctypes.

    Python has others: its collector and libc's comparisons of wide strings are not what valgrind expects.
    """
    found: Counter[str] = Counter()
    for error in Xml.fromstring(report).iter("error"):  # valgrind's, of our own process
        stacks = [[frame.findtext("fn") or "?" for frame in stack.iter("frame")] for stack in error.iter("stack")]
        if any(stack[0] == "malloc" and "ffi_call" in stack[1:5] for stack in stacks if stack):
            where = " behind the end" if "bytes after a block" in (error.findtext("auxwhat") or "") else ""
            found[f"{error.findtext('kind')}{where}"] += 1
    return found


def _calls(wrong: str, seed: int, rounds: int) -> tuple[int, int]:
    """Make calls, each of which may fail; how many were made, and how many were made to fail."""
    from lanman.errors import LanmanError
    from lanman.manage.windows import netapi
    from manage.windows.test_netapi import REQUESTS, answer

    chance = random.Random(seed)
    failed = 0

    def fail(name: str) -> Failure | None:
        nonlocal failed
        if chance.random() < 0.7:
            return None
        failed += 1
        return Failure(chance.choice((5, 8, 87, 234, 1722, 2114)), with_buffer=chance.random() < 0.5)

    stub = NetapiStub(answer, heap=WatchedHeap(wrong))
    stub.fail = fail
    with mistaken(netapi, wrong):
        api = netapi.NetApi(stub)
        for _ in range(rounds):
            stub.page = chance.choice((None, 1, 2))
            with contextlib.suppress(LanmanError):
                api.answer(chance.choice(REQUESTS))
    return len(stub.calls), failed


@contextlib.contextmanager
def mistaken(netapi: Any, wrong: str) -> Iterator[None]:
    """With a mistake in the code that calls netapi32."""
    free, leave, read = netapi.NetApi.free, netapi._Buffer.__exit__, netapi.Layout.read

    def free_twice(self: Any, address: int) -> None:
        free(self, address)
        free(self, address)

    def read_late(self: Any, address: int, count: int) -> Any:
        _libc.free(address)
        return read(self, address, count)

    if wrong == "leaks":
        netapi.NetApi.free = lambda self, address: None
    elif wrong == "frees twice":
        netapi.NetApi.free = free_twice
    elif wrong == "frees and reads":
        netapi.Layout.read = read_late
        netapi._Buffer.__exit__ = lambda self, *_: None
    try:
        yield
    finally:
        netapi.NetApi.free, netapi._Buffer.__exit__, netapi.Layout.read = free, leave, read


if __name__ == "__main__":
    made = [_calls(mistake, int(sys.argv[1]), int(sys.argv[2])) for mistake in sys.argv[3:] or [""]]
    print(sum(calls for calls, _ in made), sum(failed for _, failed in made))
