"""The netapi32.dll of the tests and Wine's service control manager, for the tests that only Windows can run."""

from __future__ import annotations

import ctypes
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.waiting import wait_until

# Elsewhere nothing here is collected: each of these tests is for Windows, or for what stands for it.
if sys.platform != "win32":
    collect_ignore_glob = ["test_*.py"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Neither does one run elsewhere that is named: this machine's own Server would be started by it."""
    if sys.platform != "win32":
        pytest.skip("only on Windows")


class Fake:
    """`fake_netapi.c`, loaded by the name of Windows' own: what it counted, and how it is made to fail."""

    def __init__(self) -> None:
        self.dll: Any = ctypes.WinDLL("netapi32")  # type: ignore[attr-defined,unused-ignore]
        self.dll.FakeLog.restype = ctypes.c_char_p
        for name in ("FakeFail", "FakeRefuse"):
            getattr(self.dll, name).restype = None

    def counters(self) -> dict[str, int]:
        """Calls, blocks allocated, freed and live, and faults."""
        numbers = (ctypes.c_uint32 * 5)()
        self.dll.FakeCounters(numbers)
        return dict(zip(("calls", "allocated", "freed", "live", "faults"), numbers, strict=True))

    def log(self) -> list[str]:
        """Each call and each fault, in order."""
        return str(self.dll.FakeLog().decode("utf-8", "replace")).splitlines()

    def fail(self, function: str, status: int, *, n: int = 0, with_buffer: bool = False) -> None:
        """Fail the n-th call of a function from now on, or each; `with_buffer`: after its buffer was set."""
        self.dll.FakeFail(function.encode(), n, status, with_buffer)

    def refuse(self, function: str, level: int, status: int = 124) -> None:
        """Refuse a level of a function."""
        self.dll.FakeRefuse(function.encode(), level, status)

    def page(self, entries: int) -> None:
        """Give so many entries in one answer; 0 for all."""
        self.dll.FakePage(entries)

    def reset(self) -> None:
        """Everything as it was at first."""
        self.dll.FakeReset()

    def check(self) -> None:
        """Nothing is allocated any more, nothing was freed twice, nobody named a server."""
        counted = self.counters()
        assert (counted["live"], counted["faults"]) == (0, 0), self.log()
        assert counted["freed"] == counted["allocated"]


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    fake.reset()
    yield fake
    fake.check()
    fake.reset()


class Service:
    """A service of Wine's service control manager, by pywin32."""

    def __init__(self, name: str = "LanmanServer", *words: str) -> None:
        win32service = importlib.import_module("win32service")

        self._api = win32service
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
        self.handle = win32service.OpenService(manager, name, win32service.SERVICE_ALL_ACCESS)
        program = Path(sys.executable).with_name("fake_service.exe")
        command = " ".join([f'"{program}"', name, *words])
        own, demand = win32service.SERVICE_WIN32_OWN_PROCESS, win32service.SERVICE_DEMAND_START
        win32service.ChangeServiceConfig(
            self.handle, own, demand, win32service.SERVICE_NO_CHANGE, command, None, 0, None, None, None, None
        )

    @property
    def state(self) -> int:
        """SERVICE_STATUS.dwCurrentState."""
        return int(self._api.QueryServiceStatusEx(self.handle)["CurrentState"])

    def start(self) -> None:
        """Start it, and wait until it runs."""
        wait_until(self._begin, limit=300)
        self._wait(4)

    def _begin(self) -> bool:
        """Whether it begins. Wine says that it is stopped while its process is still ending, and then answers a start
        with ERROR_INTERNAL_ERROR; or it starts nevertheless."""
        try:
            self._api.StartService(self.handle, None)
        except self._api.error as error:
            if error.winerror not in (1056, 1359):  # ERROR_SERVICE_ALREADY_RUNNING, ERROR_INTERNAL_ERROR
                raise
            return bool(error.winerror == 1056)
        return True

    def order(self, control: int, state: int) -> None:
        """Send it a control, and wait for a state: 1 stopped, 4 running, 7 paused."""
        self._api.ControlService(self.handle, control)
        self._wait(state)

    def stop(self) -> None:
        """Stop it, unless it is. What was begun ends first."""
        wait_until(lambda: self.state in (1, 4, 7), limit=300)
        if self.state != 1:
            self.order(1, 1)

    def _wait(self, state: int) -> None:
        wait_until(lambda: self.state == state, limit=300)


@pytest.fixture
def service() -> Iterator[Service]:
    """Windows' Server service, which is stopped."""
    service = Service()
    service.stop()
    yield service
    service.stop()


@dataclass
class Ran:
    """What came of a command; `report` is what the DLL had counted in its process, `log` its calls."""

    status: int
    out: bytes
    err: bytes
    report: dict[str, int] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What it printed, as UTF-8."""
        return self.out.decode("utf-8").replace("\r\n", "\n")


@pytest.fixture
def lanman(tmp_path: Path) -> Callable[..., Ran]:
    """A function that runs the command in a process of its own: lanman("session", "--json", PYTHONUTF8="1")."""
    report = tmp_path / "report"

    def run(*words: str, entered: str = "", **environment: str) -> Ran:
        report.unlink(missing_ok=True)
        given = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
        settings = {"LOCALAPPDATA": str(tmp_path / "Local"), "APPDATA": str(tmp_path / "Roaming"), "PYTHONUTF8": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "lanman", *words],
            env={**given, **settings, "FAKE_NETAPI_REPORT": str(report), **environment},
            input=entered.encode(),
            capture_output=True,
            timeout=600,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        if report.exists():
            lines = report.read_text(encoding="utf-8", errors="replace").splitlines()
            ran.report = {name: int(number) for name, number in (line.split() for line in lines[:5])}
            ran.log = lines[5:]
            assert (ran.report["live"], ran.report["faults"]) == (0, 0), ran.log
        return ran

    return run
