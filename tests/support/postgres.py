"""Debian's PostgreSQL for tests: a server of its own in a temporary folder, on a Unix socket, not as root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from urllib.parse import quote

from support.waiting import wait_until

_USER = "postgres"
_DATABASE = "postgres"


def programs() -> Path | None:
    """The folder with the newest server's programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def missing() -> str | None:
    """Why no server can be started here; None where one can."""
    if programs() is None:
        return "not installed: postgresql (see system-packages.txt)"
    import pwd

    if os.geteuid() == 0 and _USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


class Postgres:
    """A server that runs until it is closed. `new_database` gives the URL of an empty place in it."""

    def __init__(self) -> None:
        bin = programs()
        assert bin is not None
        self._bin = bin
        self._folder = Path(tempfile.mkdtemp(prefix="lanman-pg-"))
        self._numbers = count(1)
        # root gives itself up for the server's own user; anybody else is that user.
        self._as = {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self._folder, _USER, _USER)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with (self._folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [bin / "postgres", "-D", data, "-k", self._folder, "-c", "listen_addresses=", "-c", "fsync=off"],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as,  # type: ignore[call-overload]
            )
        wait_until(lambda: self._run("pg_isready", "-h", str(self._folder), check=False) == 0)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, cwd=self._folder, **self._as)  # type: ignore[call-overload]
        if check and done.returncode:
            raise AssertionError(done.stderr.decode())
        return int(done.returncode)

    def new_database(self) -> str:
        """The URL of a schema that nobody has used, which is made in a moment; a database takes longer."""
        name = f"history{next(self._numbers)}"
        self._run("psql", "-h", str(self._folder), "-U", _USER, "-c", f"CREATE SCHEMA {name}", _DATABASE)
        return f"postgresql://{_USER}@/{_DATABASE}?host={quote(str(self._folder), safe='')}&search_path={name}"

    def close(self) -> None:
        """Stop it, and remove all of it."""
        self._server.send_signal(signal.SIGQUIT)  # at once: nothing is kept
        self._server.wait(30)
        shutil.rmtree(self._folder)
