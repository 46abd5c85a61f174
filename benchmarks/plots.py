"""How cost grows: measure it, draw it, and put the plots and their values into docs/background/what-it-costs.md.

    .venv/bin/python benchmarks/plots.py                     draw again what docs/images/what-it-costs.json has
    .venv/bin/python benchmarks/plots.py --measure sessions opens [--most 10000]
    .venv/bin/python benchmarks/plots.py --check             whether the page and the plots are those of the data

`--measure` starts `lanman serve` in a process of its own with a home of its own, and grows it step by step:
`sessions`, each on a connection of its own from one of 250 addresses; `opens`, of one session. At each step: what the
Server's process holds (Anonymous in smaps_rollup), the processor time that the Server has taken for all of them, and
what one list takes: the whole process of `lanman session -S` or `lanman file -S`, and the Server meanwhile, the least
of three. Processor time, since clocks tell more of what else the machine does. `fleet` is measured by `fleet.py sizes`.
Some 2 minutes each; Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from chart import Series, chart  # noqa: E402

from lanman.net.accounts import AccountFile  # noqa: E402
from lanman.net.client import SmbClient  # noqa: E402
from lanman.net.credentials import Credentials  # noqa: E402
from lanman.smb2.messages import CreateRequest  # noqa: E402
from support.passwords import PASSWORD  # noqa: E402

DATA = ROOT / "docs" / "images" / "what-it-costs.json"
PAGE = ROOT / "docs" / "background" / "what-it-costs.md"

LANMAN = [sys.executable, "-c", "import sys; from lanman.__main__ import main; sys.exit(main())"]
# As many as together have nearly all connections: one user alone has four fifths of them at most.
PEOPLE = ("ann", *(f"user{number}" for number in range(19)))
SIZES = (100, 300, 1000, 3000, 9000, 10_000)
OPENS = (100, 300, 1000, 3000, 9000, 16_384)

CONFIGURATION = """[server]
listen = ["127.0.0.1"]
port = 0
[limits]
connections = 20000
unauthenticated = 20000
[shares.data]
path = "{folder}"
"""

# For each plot: its title, what it is drawn over, its series (name, and the member of the data), and its file.
PLOTS: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "sessions": (
        "What sessions cost the Server",
        "sessions, each on a connection of its own",
        [("memory of the Server, MiB", "memory"), ("processor seconds to log all of them on", "server")],
    ),
    "session-lists": (
        "What one list of the sessions costs",
        "sessions",
        [("`lanman session`, the whole process, seconds", "command"), ("the Server meanwhile, seconds", "asked")],
    ),
    "opens": (
        "What open files cost the Server",
        "files that one session has open",
        [("memory of the Server, MiB", "memory"), ("processor seconds to open all of them", "server")],
    ),
    "file-lists": (
        "What one list of the open files costs",
        "open files",
        [("`lanman file`, the whole process, seconds", "command"), ("the Server meanwhile, seconds", "asked")],
    ),
    "fleet": (
        "What a sweep of very many servers costs, one in ten of them dead",
        "servers",
        [("memory of all its processes, MiB", "memory"), ("processor seconds", "cpu"), ("seconds", "seconds")],
    ),
}
OF = {"session-lists": "sessions", "file-lists": "opens"}


# --- measuring


def anonymous(process: int) -> float:
    """MiB of a process that are its own."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:")) / 1024


def used(process: int) -> float:
    """Processor seconds of a process so far, by the clock that Linux has for it."""
    return time.clock_gettime((~process << 3) | 2)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[int, int, dict[str, str]]]:
    """A Server: its process, its port, and the variables for commands that are to ask it."""
    (home := folder / "home").mkdir(mode=0o700)
    (data := folder / "data").mkdir()
    (data / "report.txt").write_text("a report\n")
    (home / "server.toml").write_text(CONFIGURATION.format(folder=data))
    accounts = AccountFile(home / "accounts")
    for name in (*PEOPLE, "admin"):
        accounts.update(lambda accounts, name=name: accounts.add(name, PASSWORD))  # type: ignore[misc]
    accounts.update(lambda accounts: accounts.add_member("Administrators", "admin"))
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    variables |= {"LANMAN_PASSWORD": PASSWORD, "XDG_CONFIG_HOME": str(folder / "config"), "LANMAN_HOME": str(home)}
    log = folder / "log"
    with open(log, "wb") as file:
        server = subprocess.Popen([*LANMAN, "serve"], stdout=file, stderr=file, env=variables)
    try:
        while b"listening" not in log.read_bytes():
            if server.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.05)
        yield server.pid, int(log.read_text().rpartition(" port ")[2].split()[0]), variables
    finally:
        server.terminate()
        server.wait(60)


def listed(verb: str, server: int, port: int, variables: dict[str, str]) -> tuple[float, float, int]:
    """Processor seconds of one list, of the command and of the Server; and how many entries it has."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), used(server)
    words = [*LANMAN, verb, "-S", f"127.0.0.1:{port}", "-U", "admin", "--json", "--timeout", "120"]
    done = subprocess.run(words, capture_output=True, env=variables, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (entries,) = [value for value in json.loads(done.stdout).values() if isinstance(value, list)]
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used(server) - begun, len(entries)


async def measure(what: str, most: int, keep: Callable[[list[dict[str, float]]], None]) -> None:
    """The steps of `sessions` or `opens`, up to so many; what was found so far is kept after each."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (hard, max(hard, 50_000)):
        with contextlib.suppress(ValueError, OSError):  # who may not have more has what there is
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    found: list[dict[str, float]] = []
    people: list[SmbClient] = []
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (server, port, variables):
        empty, tree, taken = anonymous(server), 0, 0.0
        # Connections take half of the Server's descriptors, opens the other half, and one user's four fifths of that.
        half = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 500
        most = min(most, half if what == "sessions" else half * 4 // 5)
        for size in [each for each in (SIZES if what == "sessions" else OPENS) if each <= most]:
            begun = used(server)
            if what == "sessions":
                await log_on(people, size, port)
            else:
                tree = tree or await first_of(people, port)
                await open_files(people[0], tree, size - int(found[-1]["opens"] if found else 0))
            taken += used(server) - begun
            verb = "session" if what == "sessions" else "file"
            lists = [await asyncio.to_thread(listed, verb, server, port, variables) for _ in range(3)]
            command, asked, entries = (min(each) for each in zip(*lists, strict=True))
            assert entries >= size, (entries, size)
            step = {what: size, "memory": anonymous(server), "empty": empty}
            step |= {"server": taken, "command": command, "asked": asked}
            found.append({name: round(value, 4) for name, value in step.items()})
            print(json.dumps(found[-1]), flush=True)
            keep(found)
        await asyncio.gather(*(each.abort() for each in people))


async def log_on(people: list[SmbClient], size: int, port: int) -> None:
    """As many more as make so many, some at the same time."""

    async def one(number: int) -> None:
        who = Credentials(PEOPLE[number % len(PEOPLE)], PASSWORD)
        client = SmbClient("127.0.0.1", port, who, local_address=f"127.0.1.{1 + number % 250}")
        await client.connect()
        await client.log_on()
        people.append(client)

    for first in range(len(people), size, 20):
        await asyncio.gather(*(one(number) for number in range(first, min(first + 20, size))))


async def first_of(people: list[SmbClient], port: int) -> int:
    """One who opens files; their tree."""
    await log_on(people, 1, port)
    return await people[0].tree_connect("data")


async def open_files(client: SmbClient, tree: int, count: int) -> None:
    """So many more opens of one file."""
    asked = CreateRequest(name="report.txt", desired_access=0x80000000, share_access=7, create_disposition=1)
    for first in range(0, count, 50):
        answers = await client.request_all([asked] * min(50, count - first), tree)
        assert not any(each.status for each in answers), hex(answers[-1].status)


# --- drawing


def drawn(data: dict[str, list[dict[str, float]]]) -> dict[Path, str]:
    """Every file that is made of the data, by its place."""
    files: dict[Path, str] = {}
    page = PAGE.read_text()
    for name, (title, x_name, members) in PLOTS.items():
        source = OF.get(name, name)
        steps = data[source]
        x = "targets" if source == "fleet" else source
        series = [Series(label.replace("`", ""), [(each[x], each[key]) for each in steps]) for label, key in members]
        first, last = steps[0], steps[-1]
        said = "; ".join(
            f"{label}: {first[key]:g} at {first[x]:,}, {last[key]:g} at {last[x]:,}" for label, key in members
        )
        image = DATA.parent / f"cost-{name}.svg"
        files[image] = chart(title, said.replace("`", "") + ".", x_name, series)
        rows = [f"| {x_name} | {' | '.join(label for label, _ in members)} |", "|---" * (1 + len(members)) + "|"]
        rows += [f"| {each[x]:,} | {' | '.join(f'{each[key]:g}' for _, key in members)} |" for each in steps]
        begin, end = f"<!-- plot: {name} -->", "<!-- end of plot -->"
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        text = "\n".join([f"![{title}](../images/{image.name})", "", *rows])
        page = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    files[PAGE] = page
    return files


def main() -> int:
    """Measure, draw or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", choices=("sessions", "opens"), default=[])
    parser.add_argument("--most", type=int, default=20_000)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    data: dict[str, Any] = json.loads(DATA.read_text())
    for what in options.measure:
        begun = time.monotonic()

        def keep(found: list[dict[str, float]], what: str = what) -> None:
            data[what] = found
            DATA.write_text(json.dumps(data, indent=1) + "\n")

        asyncio.run(measure(what, options.most, keep))
        print(f"{what}: {time.monotonic() - begun:.0f} s")
    files = drawn(data)
    if options.check:
        other = [file.name for file, text in files.items() if not file.exists() or file.read_text() != text]
        print(f"not of the data: {', '.join(other)}" if other else "all of the data")
        return 1 if other else 0
    for file, text in files.items():
        file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
