"""A Dask cluster of processes on this machine, on 127.0.0.1 alone, whose workers can be killed one by one.

    with DaskCluster(tmp_path, workers=2) as cluster:
        DaskWorkers(cluster.address, task=scripted_ask)

Its workers read the file `credentials` of `cluster.home`, which has one section: [lab], for all hosts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lanman.fleet.dask.task import Unable, ask
from lanman.fleet.visit import ChunkAnswer
from support import fleet_script

_TESTS = Path(__file__).parents[1]
SECRET = "not-on-the-wire"
SECTION = f'[lab]\nuser = "ann"\npassword = "{SECRET}"\nhosts = ["*"]\n'


def scripted_ask(wanted: str, parcel: bytes, permit: str) -> ChunkAnswer | Unable | None:
    """The task, with servers that do as their ports say."""
    assert SECRET.encode() not in parcel
    return ask(wanted, parcel, permit, fleet_script.scripted)


def other_release(wanted: str, parcel: bytes, permit: str) -> ChunkAnswer | Unable | None:
    """The task, as a client of another release gives it."""
    return ask(f"{wanted}.1", parcel, permit, fleet_script.scripted)


class DaskCluster:
    """A scheduler and workers. A `nanny` starts a worker again that has died."""

    def __init__(self, folder: Path, *, workers: int = 2, threads: int = 2, nanny: bool = False) -> None:
        self.home = folder / "home"
        self._folder, self._threads, self._nanny = folder, threads, nanny
        (self.home / "lanman").mkdir(parents=True)
        self.credentials = self.home / "lanman" / "credentials"
        self.credentials.write_text(SECTION)
        self.credentials.chmod(0o600)
        self.scheduler: subprocess.Popen[bytes]
        self.workers: list[subprocess.Popen[bytes]] = []
        self._count, self._generation = workers, 0
        self.address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """A scheduler, and the workers."""
        self._generation += 1
        file = self._folder / f"scheduler-{self._generation}.json"
        self.scheduler = self._process(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        self.address = _address(file, self.scheduler)
        for _ in range(self._count):
            self.add_worker()

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        self.workers.append(
            self._process(
                "dask_worker",
                self.address,
                "--nthreads",
                str(self._threads),
                "--nanny" if self._nanny else "--no-nanny",
                "--no-dashboard",
                "--local-directory",
                str(self._folder / "scratch"),
            )
        )
        return self.workers[-1]

    def stop(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.scheduler):
            # A nanny is asked first: it takes its worker with it.
            (process.terminate if self._nanny else process.kill)()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.workers.clear()

    def _process(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        environ = os.environ | {"PYTHONPATH": str(_TESTS), "XDG_CONFIG_HOME": str(self.home)}
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=self._folder,
            )


def _address(file: Path, scheduler: subprocess.Popen[bytes]) -> str:
    while scheduler.poll() is None:
        try:
            found: dict[str, Any] = json.loads(file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.02)
            continue
        return str(found["address"])
    raise RuntimeError("the scheduler has ended")
