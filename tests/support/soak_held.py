"""What a process and the Server in it hold, by kind and name, so that what is left can be told by name.

`Held` compares; `of_process` is what any process has (descriptors, children, files), `of_server` what is in the tables
of a Server in this process, and `of_this_process` adds its threads. `Memory` judges how memory has grown.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from lanman.domain import Portion

KIB: Final = 1024


@dataclass(frozen=True)
class Held:
    """Of each kind, how many there are of each name."""

    kinds: Mapping[str, Counter[str]] = field(default_factory=dict)

    def beyond(self, first: Held) -> str:
        """What there is that was not there at first, in words; "" for nothing."""
        more = {kind: names - first.kinds.get(kind, Counter()) for kind, names in self.kinds.items()}
        return ", ".join(
            f"{kind}: {count} more ({name})" for kind, names in more.items() for name, count in sorted(names.items())
        )

    @property
    def of_process(self) -> dict[str, Counter[str]]:
        """What is not in the tables of a Server."""
        return {kind: names for kind, names in self.kinds.items() if kind not in OF_SERVER}

    def with_most(self, *others: Held) -> Held:
        """Of each name as many as there are here or in one of the others."""
        most = {kind: Counter(names) for kind, names in self.kinds.items()}
        for other in others:
            for kind, names in other.kinds.items():
                most[kind] = most.get(kind, Counter()) | names
        return Held(most)


# The kinds that `of_server` tells.
OF_SERVER: Final = ("tables", "objects", "numbers")


# --- what a process has


def of_process(pid: int, *folders: Path) -> dict[str, Counter[str]]:
    """Its descriptors and children, and the files in these folders (Linux)."""
    return {
        "descriptors": Counter(_descriptors(pid)),
        "children": Counter(_children(pid)),
        "files": Counter(_files_below(*folders)),
    }


def of_this_process(*folders: Path) -> dict[str, Counter[str]]:
    """The same of this one, and its threads."""
    return of_process(os.getpid(), *folders) | {"threads": Counter(each.name for each in threading.enumerate())}


def _descriptors(pid: int) -> Iterator[str]:
    """What each descriptor leads to: a path, or of what kind it is."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            to = os.readlink(f"/proc/{pid}/fd/{name}").partition(":[")[0]
            if to != f"/proc/{pid}/fd":  # which is looked at just now
                yield to


def _children(pid: int) -> Iterator[str]:
    """The command of each child, whichever of the threads has it."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def _files_below(*folders: Path) -> Iterator[str]:
    """Each file there is; the recorder's database has further ones beside it as it likes."""
    for folder in folders:
        for path in folder.rglob("*"):
            if not path.name.startswith("history"):
                yield str(path.relative_to(folder.parent))


# --- what a Server has

# What may have more in it than at first, since it is bounded by itself.
_BOUNDED: Final = {
    "_Counts._entries": "refused log-ons, for so long: at most `Throttle.KEYS`",
    "_Counts._levels": "the same",
    "Refusals._found": "who was refused lately: so many and no more",
    "Quiet._lines": "what is said once in a while: so many and no more",
    "Moving._last": "renames that have ended: 4,096",
    "News._by_kind": "kinds of events, of which there are so many",
    "Timers._heap": "those that are cancelled too, until they are most; those that are not are counted",
    "Expirations._heap": "times of sessions that are gone too, until they are most",
    "DurableOpens._heap": "times of opens that are reclaimed too, until they are most",
    "Feed._ring": "the latest events, for who follows: so many and no more",
}


def of_server(*parts: object) -> dict[str, Counter[str]]:
    """What is in all tables that can be reached from these parts of a Server (by the class and attribute that has
    each), how many objects of its classes they lead to, and what of it is only a number.

    Nothing is named here, so that a table which is new is looked at too. What a function or a generator keeps is not
    seen: of that, `Memory` judges.
    """
    tables: Counter[str] = Counter()
    objects: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    seen: dict[int, object] = {}  # by id; as long as they are in here, they have theirs alone
    todo: list[tuple[str, Any]] = [("", part) for part in parts]
    while todo:
        name, each = todo.pop()
        if isinstance(each, _ATOMS) or name in _BOUNDED or seen.setdefault(id(each), todo) is not todo:
            continue
        seen[id(each)] = each
        if isinstance(each, Mapping):
            tables[name] += len(each)
            todo += [(name, part) for pair in list(each.items()) for part in pair]
        elif isinstance(each, list | set | frozenset | deque | tuple):
            if not isinstance(each, tuple):
                tables[name] += len(each)
            todo += [(name, part) for part in list(each)]
        elif type(each).__module__.startswith("lanman."):
            kind = type(each).__name__
            objects[kind] += 1
            for attribute, value in _attributes(each):
                of = f"{kind}.{attribute}"
                todo.append((of, value))
                if of in _NUMBERS:
                    numbers[of] += value
            if isinstance(each, Portion):
                taken[each.name] += each.taken
    return {"tables": +tables, "objects": +objects, "numbers": +numbers, "taken": +taken}


_ATOMS: Final = (str, bytes, int, float, type, Enum, type(None))

# Counts that are kept beside the tables: each is to be nothing when nobody is there.
_NUMBERS: Final = frozenset(
    {
        "Timers._alive",
        "Admission.total",
        "Admission.waiting",
        "Admission._ghosts",
        "Admission._anonymous",
        "Room.output",
    }
)


def _attributes(each: object) -> Iterator[tuple[str, Any]]:
    """What an object has, be it in slots or not."""
    names = set(getattr(each, "__dict__", ()))
    for kind in type(each).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names |= {slots} if isinstance(slots, str) else set(slots)
    for name in names:
        with contextlib.suppress(AttributeError):
            yield name, object.__getattribute__(each, name)


# --- memory


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = tuple((f"field{number}", ctypes.c_size_t) for number in range(10))


# The places of what is used of it: `hblkhd` (mapped), `uordblks` (given out).
_MAPPED: Final = "field4"
_GIVEN: Final = "field7"

# What a block of Python's own allocator takes at least, and about on the average.
_BLOCK: Final = 64


def heap() -> int | None:
    """How many bytes of this process are in use, in KiB, whatever of it was free before: what the C library's heap has
    given out, and Python's blocks. None where the C library does not tell (glibc alone does)."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return int(getattr(found, _MAPPED) + getattr(found, _GIVEN) + _BLOCK * sys.getallocatedblocks()) // KIB


def anonymous(process: int | str = "self") -> int:
    """KiB of a process that are its own (Linux)."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    return 0


# How much memory may grow from the second third of all looks to the last: KiB for each session that has begun between
# the middles of the two, beside what comes and goes.
MOST_OF_A_SESSION: Final = 0.5


@dataclass
class Memory:
    """How a process's memory has grown. `noise` is how many KiB come and go."""

    noise: float
    looks: list[tuple[int, int]] = field(default_factory=list)  # how many sessions there had been, and KiB

    def add(self, sessions: int, kib: int) -> None:
        """One look."""
        self.looks.append((sessions, kib))

    def judged(self) -> str:
        """How it has grown, in words. AssertionError where each session leaves something. How much each must leave to
        be told depends on how many there were, and is said."""
        third = len(self.looks) // 3
        assert third, "too few looks"
        (before, second), (after, last) = (
            (sum(each[0] for each in part) / len(part), sum(each[1] for each in part) / len(part))
            for part in (self.looks[third : 2 * third], self.looks[2 * third :])
        )
        sessions, growth = max(after - before, 1.0), last - second
        most = self.noise + MOST_OF_A_SESSION * sessions
        said = f"memory: {growth:+.0f} KiB in {sessions:,.0f} sessions, {self.looks[-1][1]} KiB in all"
        assert growth <= most, f"{said}: each session leaves {growth / sessions:.2f} KiB"
        return f"{said}; {most / sessions:.2f} KiB of each would have been too much"
