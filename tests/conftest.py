"""What every test may use, and what to do where a peer is missing.

`samba`, `kerberos` and `root` are markers: without Samba's programs, MIT's and python-gssapi, or without root, such a
test is skipped and says why.
Where LANMAN_REQUIRE_PEERS is set, as CI sets it, a skip is a failure, unless its reason begins with "only on" (another
operating system).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest

from lanman.net import home
from support import kdc
from support.platforms import need_posix
from support.smbd import Samba, Tools, missing_tools

REQUIRE_PEERS = os.environ.get("LANMAN_REQUIRE_PEERS", "") not in ("", "0")

# Of these nothing is for Windows: they start a Server of ours, or a shell, fork, send signals, or read the sources.
if sys.platform == "win32":
    collect_ignore = [
        "auth/test_peers.py",
        *(f"faces/test_{name}.py" for name in ("completion", "end_to_end", "examples", "golden", "history_live")),
        *(f"faces/test_{name}.py" for name in ("log", "manual")),
        *(f"faces/test_{name}.py" for name in ("process", "samba", "survival", "terminal")),
        *(f"manage/test_{name}.py" for name in ("bystanders", "follow", "many_endings", "own", "program_page")),
        "faces/web",  # the extra web is not installed there
        "fleet/test_crowd.py",
        "fuzz",
        "fleet/test_schedulers.py",
        "manage/ksmbd/test_manager.py",
        "manage/policies/test_live.py",
        "manage/test_services.py",
        *(f"net/test_{name}.py" for name in ("child", "control", "embedded", "find", "follow", "heap", "home")),
        *(f"net/test_{name}.py" for name in ("kerberos", "listener", "listeners", "logs", "overlay", "place")),
        *(f"net/test_{name}.py" for name in ("privileges", "server", "versions")),
        *(
            f"server/test_{name}.py"
            for name in ("events", "freed", "long_lists", "scheduler", "turns", "watch", "work")
        ),
        *(
            f"test_{name}.py"
            for name in (
                "bench",
                "citations",
                "contrib",
                "contrib_prometheus",
                "contributing",
                "docs",
                "project",
                "rooms",
                "style",
                "wheel",
            )
        ),
        "test_samba_fixture.py",
        "test_screenshots.py",
        "peers",
        "soak",
    ]
    collect_ignore_glob = [
        "faces/web/test_browser*.py",
        "faces/web/test_console*.py",
        "manage/drain/test_*races.py",
        "manage/drain/test_shell.py",
        "manage/test_samba*.py",
        "net/test_disk*.py",
        "server/test_files*.py",
        "server/test_sessions*.py",
    ]

# LANMAN_TEST_LOOP=uvloop: tests that have an event loop run on that one (docs/testing.md).
if os.environ.get("LANMAN_TEST_LOOP") == "uvloop":

    @pytest.fixture(scope="session")
    def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
        """Whose event loops tests run on; pytest-asyncio asks."""
        import uvloop

        policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
        return policy


# No test is timed: machines are shared, and what is compiled at its first use makes the first example a slow one.
hypothesis.settings.register_profile("lanman", deadline=None)
hypothesis.settings.load_profile("lanman")


def _keep_away() -> None:
    """Whoever runs the tests has a home, a configuration and perhaps a Server of lanman: no test, and nothing that one
    starts, is to find or to change them. A test that takes LANMAN_HOME away has the system's home below `nowhere`."""
    nowhere = Path(tempfile.mkdtemp(prefix="lanman-tests-"))
    atexit.register(shutil.rmtree, nowhere, ignore_errors=True)
    os.environ["LANMAN_HOME"] = str(nowhere / "home")
    os.environ["XDG_CONFIG_HOME"] = str(nowhere / "configuration")
    os.environ["XDG_STATE_HOME"] = str(nowhere / "state")
    os.environ.pop("LANMAN_DB", None)
    home.SYSTEM_HOME, home.SYSTEM_RUN = nowhere / "system", nowhere / "run"  # type: ignore[misc]


def pytest_configure() -> None:
    _keep_away()
    # A shell has what it runs in the background ignore Ctrl-C, nohup has it ignore the end of its terminal, and every
    # process under that too; tests send both.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for minutes begins first: in the end it would be waited for by one worker, with the others idle."""
    items.sort(key=lambda item: item.path.name != "test_files_smbtorture.py")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.samba` wants smbd and its clients; `@pytest.mark.samba("smbtorture")` wants just those named."""
    for name in ("posix", "samba", "kerberos", "root"):
        if item.get_closest_marker(name):
            need_posix()
    for marker in item.iter_markers("samba"):
        missing = missing_tools(marker.args) if marker.args else missing_tools()
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)} (see system-packages.txt)")
    if item.get_closest_marker("kerberos") and (absent := kdc.missing()):
        pytest.skip(f"not installed: {', '.join(absent)} (see system-packages.txt)")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs to run as root")


def skip_is_failure(reason: str, *, required: bool = REQUIRE_PEERS) -> bool:
    return required and not reason.startswith("only on")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if skip_is_failure(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, although LANMAN_REQUIRE_PEERS is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def _patience() -> None:
    """People are not kept waiting for what is only good to know: who has the port, what a client is called, how the
    folder of a share looks. Tests run beside others, and want it said however long it takes."""
    from lanman.manage import clients, loopback

    loopback.PATIENCE = clients._OWN_NAME_PATIENCE = 60.0  # type: ignore[misc]
    if sys.platform != "win32":
        from lanman.net.server import smb_server

        smb_server.PATIENCE = 60.0  # type: ignore[misc]


def _need_smbd() -> None:
    need_posix()
    if missing := missing_tools():
        pytest.skip(f"not installed: {', '.join(missing)} (see system-packages.txt)")
    if os.geteuid() != 0:
        pytest.skip("smbd starts as root only")


@pytest.fixture(scope="module")
def samba() -> Iterator[Samba]:
    """An smbd with its own accounts and one share, for the tests of a module; see tests/support/smbd.py."""
    _need_smbd()
    with Samba() as server:
        yield server


@pytest.fixture
def start_samba() -> Iterator[Callable[..., Samba]]:
    """A function that starts an smbd: start_samba({"smb encrypt": "required"}). It is stopped when the test ends."""
    _need_smbd()
    started: list[Samba] = []

    def start(options: Mapping[str, str] | None = None, *, mapped: bool = True, log_level: int = 0) -> Samba:
        started.append(Samba(options, mapped=mapped, log_level=log_level))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def samba_tools(tmp_path: Path) -> Callable[..., Tools]:
    """A function that aims Samba's clients at any server: samba_tools(port).rpcclient(account, "netsessenum")."""
    if missing := missing_tools(("smbclient", "rpcclient")):
        pytest.skip(f"not installed: {', '.join(missing)} (see system-packages.txt)")

    def aim(port: int, host: str = "127.0.0.1") -> Tools:
        return Tools(tmp_path, port, host)

    return aim
