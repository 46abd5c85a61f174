"""lanman as it was at another commit, for a benchmark that compares it with what is here, in turns within one run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def unpack(revision: str, scratch: Path, *others: str) -> Path:
    """The folder of the sources at that commit, for PYTHONPATH, unpacked under `scratch`; "" is what is here. `others`
    are folders of the project that are unpacked beside it. Raises CalledProcessError if there is no such commit."""
    if not revision:
        return ROOT / "src"
    folder = scratch / f"lanman {revision} source"
    folder.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", revision, "src", *others], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", folder], check=True, input=archive.stdout)
    return folder / "src"


def environment(source: Path) -> dict[str, str]:
    """The variables of a process that is to run those sources. Compiled modules are kept, as they are for everybody."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(source)}
