"""`make test-windows`: the tests that Windows can run, under Wine, with each CPython of `prepare.VERSIONS` at once.

    python tests/windows/run.py [--only 3.13] [--part] [words for pytest ...]

They are the whole suite less what tests/conftest.py leaves out on Windows, and with what only runs there, in
tests/windows/. With each later Python than the first a DeprecationWarning is an error. Without Wine nothing is run,
and the reason is said; where LANMAN_REQUIRE_PEERS is set that is a failure.

`--part` is what CI runs: `PART`, which takes minutes instead of a quarter of an hour. No more than one process of each
Python runs the tests (no `-n`), for its services are those of its Windows.

The servers that lanman is to reach from there run here, on this side: a Server of ours and, as root, an smbd. What the
tests need to know of them is in the environment: LANMAN_TEST_SERVERS, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "src")]

from support.loopback_server import PASSWORDS, running_server  # noqa: E402
from support.smbd import Samba, missing_tools  # noqa: E402
from windows.prepare import ROOT, VERSIONS, Windows, missing_programs, prepare, stop  # noqa: E402

PART = (
    "tests/windows",
    *(f"tests/{room}" for room in ("compat", "manage/windows", "rpc")),
    *(f"tests/manage/test_{name}.py" for name in ("selection", "service", "srvsvc", "windows")),
    *(f"tests/faces/test_{name}.py" for name in ("file", "options", "pause", "session", "share_verb")),
    *(f"tests/test_{name}.py" for name in ("codes", "errors", "names", "public_names", "settings")),
)
"""What Windows' own answers, and a later Python, can change: the DLL, the service, the command, records and wires."""

# pytest's last line.
_SUMMARY = re.compile(r"\b(passed|failed|errors?|skipped|deselected|collected|ran)\b.* in \d+\.\d+s")

REQUIRE_PEERS = os.environ.get("LANMAN_REQUIRE_PEERS", "") not in ("", "0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them; 0 where all passed with each Python."""
    parser = argparse.ArgumentParser(prog="run.py")
    parser.add_argument("--only", choices=VERSIONS, action="append")
    parser.add_argument("--part", action="store_true")
    known, words = parser.parse_known_args(arguments)
    if known.part:
        words += PART
    if missing := missing_programs():
        print(f"no tests under Wine: not installed: {', '.join(missing)} (see system-packages.txt)")
        return int(REQUIRE_PEERS)
    versions = known.only or VERSIONS
    with contextlib.ExitStack() as stack:
        for version in versions:
            stack.callback(stop, version)
        ready = [prepare(version) for version in versions]
        servers = json.dumps({"ours": stack.enter_context(_our_server()), "samba": stack.enter_context(_samba())})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs = {each.version: folder / each.version for each in ready}
        print(f"the tests of Windows, under Wine, with CPython {' and '.join(versions)}", flush=True)
        running = [_started(each, words, servers, logs[each.version]) for each in ready]
        statuses = [process.wait() for process, _ in running]
        for _, copying in running:
            copying.join()
        texts = [logs[version].read_text(encoding="utf-8", errors="replace") for version in versions]
        for version, status, text in zip(versions, statuses, texts, strict=True):
            print(f"--- CPython {version} on Windows, under Wine: exit status {status}")
            print(text, flush=True)
    return outcome({version: (status, text) for version, status, text in zip(versions, statuses, texts, strict=True)})


def outcome(ran: Mapping[str, tuple[int, str]]) -> int:
    """The exit status of all, from each Python's own and what it printed: 1 where one did not come to its end, as a
    process that Wine has ended says 0 as well."""
    broken = [version for version, (_, text) in ran.items() if not _SUMMARY.search(text)]
    if broken:
        print(f"not at its end: pytest with CPython {', '.join(broken)}: it was ended from outside, or has crashed")
        return 1
    return int(any(status for status, _ in ran.values()))


def _started(
    windows: Windows, words: Sequence[str], servers: str, log: Path
) -> tuple[subprocess.Popen[bytes], threading.Thread]:
    """pytest in that Python. Its output goes by way of a pipe: under Wine it would not be written to a file."""
    strict = [] if windows.version == VERSIONS[0] else ["-W", "error::DeprecationWarning"]
    # Windows has no SIGALRM: a test that takes too long ends all of them there. So each is given longer.
    options = ["-p", "no:cacheprovider", "--color=no", "--timeout=1200", *strict]
    pytest = [*windows.command, "-m", "pytest", *options, *words]
    environment = {**windows.environment, "LANMAN_TEST_SERVERS": servers}
    process = subprocess.Popen(
        pytest, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    def copy() -> None:
        assert process.stdout is not None
        with log.open("wb") as file, process.stdout:
            for line in process.stdout:
                file.write(line)
                file.flush()

    copying = threading.Thread(target=copy)
    copying.start()
    return process, copying


@contextlib.contextmanager
def _our_server() -> Iterator[dict[str, object]]:
    """A Server of ours, on a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            running = running_server(Path(folder) / "home")
            server = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result()
            try:
                yield {"port": server.port, "user": "admin", "password": PASSWORDS["admin"]}
            finally:
                asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def _samba() -> Iterator[dict[str, object] | None]:
    """An smbd; None where there is none, or no root to start it."""
    missing = missing_tools()
    if missing or os.geteuid() != 0:
        if REQUIRE_PEERS:
            raise SystemExit(f"LANMAN_REQUIRE_PEERS is set, but: {', '.join(missing) or 'smbd starts as root only'}")
        yield None
        return
    with Samba() as server:
        admin = server.administrator
        yield {"port": server.port, "user": admin.user_name, "password": admin.password}


if __name__ == "__main__":
    sys.exit(main())
