"""Starting `lanman` as a child process, so that it runs the installed package and nothing from the current folder.

`python -m` alone puts the current folder in front of where modules come from: whoever may write there would run code as
whoever starts a Server there. So the child is told not to (`-P`), and `/` is its current folder, which is what an empty
or relative entry of PYTHONPATH would stand for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

# What is for the command that was typed and for no process that it leaves behind.
SECRETS: Final = frozenset({"LANMAN_PASSWORD", "LANMAN_NT_HASH"})

# Paths that the child reads from its environment, and that were written for the folder of its parent.
_PATHS: Final = ("LANMAN_HOME", "KRB5_KTNAME", "KRB5_CONFIG")


def command(*words: str) -> list[str]:
    """The command line of `lanman WORD ...` with this interpreter."""
    return [os.path.abspath(sys.executable), "-P", "-m", "lanman", *words]


def module_command(module: str) -> list[str]:
    """The command line of a module of ours that is a program of its own, with this interpreter."""
    return [os.path.abspath(sys.executable), "-P", "-m", module]


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What of the environment a child gets: no secrets, and no path that depends on the current folder."""
    given = {name: value for name, value in environ.items() if name not in SECRETS}
    for name in _PATHS:
        # Kerberos' have a type before the path ("FILE:/etc/krb5.keytab"), which is absolute already.
        if (value := given.get(name)) and ":" not in value:
            given[name] = str(Path(value).expanduser().absolute())
    if "PYTHONPATH" in given:
        given["PYTHONPATH"] = os.pathsep.join(
            os.path.abspath(entry) for entry in given["PYTHONPATH"].split(os.pathsep) if entry
        )
    return given


def start(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start `lanman WORD ...` in the folder `/`; `options` are Popen's. Raises OSError."""
    return subprocess.Popen(command(*words), cwd="/", env=environment(), **options)
