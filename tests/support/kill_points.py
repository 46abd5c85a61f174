"""A process that is killed at every step of what it writes: around each system call, and halfway in a write."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

_SCRIPT = """
import builtins, os, signal, sys

countdown = int(sys.argv[1])

def step():
    global countdown
    countdown -= 1
    if countdown == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def mortal(call):
    def wrapped(*args, **kwargs):
        step()
        result = call(*args, **kwargs)
        step()
        return result
    return wrapped

def torn(file, data, write):
    # Half of it reaches the disk, and only then the rest.
    write(data[: len(data) // 2])
    file.flush()
    step()
    write(data[len(data) // 2 :])

def opened(descriptor, *args, **kwargs):
    file = real_open(descriptor, *args, **kwargs)
    if "w" not in args[0]:
        return file
    class Torn:
        def __enter__(self):
            return self
        def __exit__(self, *exc):
            return file.__exit__(*exc)
        def write(self, data):
            torn(file, data, file.write)
        def __getattr__(self, name):
            return getattr(file, name)
    return Torn()

from lanman.net import atomic
names = {"argv": sys.argv[3:]}
exec(compile(sys.argv[2].partition("#--\\n")[0], "imports", "exec"), names)
real_open = builtins.open
atomic.open = opened
for name in ("open", "fsync", "replace", "close", "unlink"):
    setattr(os, name, mortal(getattr(os, name)))
exec(compile(sys.argv[2].partition("#--\\n")[2], "work", "exec"), names)
"""


def kill_at_every_step(work: str, arguments: Callable[[int], list[str]], check: Callable[[int, bool], bool]) -> None:
    """Run `work` in processes, each killed one step later, until one lives to its end.

    `work` is Python; what stands before its line `#--` is loaded in peace, and `argv` are its arguments, those of
    `arguments` for the number of the try. `check` is told that number and whether that process came to its end; it
    says whether the work is there, having looked that nothing else is lost.
    """
    kills = kept = 0
    for countdown in range(1, 100):
        process = subprocess.run([sys.executable, "-c", _SCRIPT, str(countdown), work, *arguments(countdown)])
        done = check(countdown, process.returncode == 0)
        if process.returncode == 0:
            assert done
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
        kept += done
    else:
        raise AssertionError("it never came to its end")
    assert kills >= 10
    assert kept >= 2  # those that were killed after the rename
