"""The modules of the web console's pages, by node's own test runner: tests/faces/web/js/ has the tests.

What they share with the command (how names are compared and shown, what filters mean, cells of CSV) has to agree with
the Python functions: their answers are written to vectors.json, and the scripts have to give the same.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pytest

import lanman
from lanman import names, shown
from lanman.errors import Win32Error
from lanman.faces.text import duration
from lanman.manage import selection
from lanman.manage.selection import Pattern

SCRIPTS: Final = Path(lanman.__file__).parent / "faces" / "web" / "static" / "js"
TESTS: Final = Path(__file__).parent / "js"
NODE: Final = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="not installed: node (comes with npm, see system-packages.txt)")

# A character of every sort: separators, patterns, both kinds of control, a pair of surrogates, half of one, letters
# whose cases are odd.
ODD: Final = "ab\\/*?.:@ \"'=+-\u0130\u0131\u00df\u1f80\u1fb3\u03c2\u202e\u200b\U0001f600\ud800\ue000\x1b\n\uff1d"


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs tests of a name beside a copy of the scripts, in a folder that says that they are modules."""
    shutil.copytree(SCRIPTS, tmp_path, dirs_exist_ok=True)
    shutil.copytree(TESTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def run(*tests: str, **environment: str) -> subprocess.CompletedProcess[str]:
        assert NODE is not None
        command = [NODE, "--test", *(str(tmp_path / name) for name in tests)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}
        return subprocess.run(
            command, env=inherited | environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    return run


def passed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tests of a run have passed; fails with what it wrote where one has not."""
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"^# pass (\d+)", done.stdout, re.MULTILINE) or re.search(r"pass (\d+)", done.stdout)
    assert counted is not None, done.stdout
    return int(counted[1])


@pytest.mark.parametrize(
    "name", sorted(path.name for path in TESTS.glob("*.test.mjs") if path.name != "vectors.test.mjs")
)
def test_scripts(name: str, runner: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert passed(runner(name)) > 0


# --- the same answers as in Python


def test_scripts_agree_with_python(tmp_path: Path, runner: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Names, filters, cells: thousands of odd values, and every character of the first 17 planes' first."""
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(vectors()))
    assert passed(runner("vectors.test.mjs", VECTORS=str(path))) >= 13


def vectors() -> dict[str, Any]:
    """What the Python functions say, as JSON: `functions` by name as [arguments, answer], and so on."""
    chance = random.Random(17)
    texts = odd_texts(chance, 400)
    clients = list(odd_clients())
    functions: dict[str, list[Any]] = {
        "visible": [[[text], shown.escape(text)] for text in texts],
        "fold": [[[text], names.fold(text)] for text in texts],
        "uncClient": [[[text], names.unc_client(text)] for text in clients + texts],
        "cell": [[[value], shown.cell(value)] for value in [*texts, None, True, 7, ["=a", "b"], "-1+2", "a,=b", " @x"]],
        "bareClient": [[[text], selection.bare_client(text)] for text in clients + texts],
        "canonicalClient": [[[text], selection.canonical_client(text)] for text in clients + texts],
        "duration": [[[length], duration(length)] for length in (None, 0, 59, 3600, 86399, 86400, 10**7)],
        "lengthOf": [
            [[text], shown.seconds_of(text)]
            for text in ("1h", "1d2h30m5.5s", "90", "", "h", "1h1d", "1.5", "2x", "1e3")
        ],
        "pattern": [
            [[typed, text], Pattern(typed).matches(text)]
            for typed, text in itertools.product(
                odd_texts(chance, 60, "ab*?\U0001f600"), odd_texts(chance, 40, "ab\U0001f600")
            )
        ],
        "user": list(chosen(odd_users(), meant_user)),
        "client": list(chosen([*clients, "10.0.0.*", "*", "PC?", ""], meant_client)),
        "path": list(chosen(odd_paths(), meant_path)),
        "splitUnc": [
            [[text], None if (unc := selection.split_unc(text)) is None else [unc.server, unc.share, unc.rest]]
            for text in (
                "\\\\fs1\\data\\a.txt",
                "//fs1/data",
                "\\\\fs1",
                "C:\\a",
                "\\\\f*\\data\\x",
                "\\\\fs1\\d\\a\\b*",
            )
        ],
    }
    orderable = sorted(set(filter(None, map(strip_slashes, clients))))
    return {
        "functions": functions,
        "characters": [
            [
                None if (said := shown.escape(chr(code))) == chr(code) else said,
                None if (upper := names.fold(chr(code))) == chr(code) else upper,
            ]
            for code in range(0x11000)
        ],
        "clients": orderable,
        "sortedClients": sorted(orderable, key=lambda name: (client_order(name), name)),
    }


def strip_slashes(name: str) -> str:
    """Names of clients as a server lists them."""
    return name.lstrip("\\")


def client_order(name: str) -> Any:
    """As the screen of `lanman watch` sorts; it needs no terminal."""
    from lanman.faces.tui.listing import client_order as order

    return order(name)


def odd_texts(chance: random.Random, count: int, alphabet: str = ODD) -> list[str]:
    """Texts of up to eight characters of an alphabet, each once."""
    return sorted({"".join(chance.choices(alphabet, k=chance.randrange(9))) for _ in range(count)})


def odd_users() -> list[str]:
    """Users as they are typed and listed."""
    return [
        *(
            "bob",
            "BOB",
            "Bob",
            "EXAMPLE\\bob",
            "example\\BOB",
            "bob@example.com",
            "EXAMPLE\\*",
            "*\\bob",
            "b?b",
            "*",
            "a*b",
        ),
        *(
            "stra\u00dfe",
            "strasse",
            "STRA\u00dfE",
            "\u0130",
            "i",
            "I",
            "exe\u202egpj",
            "exe\\u202egpj",
            "b*b",
            "",
            "EXAMPLE\\",
        ),
        *("@example.com", "x\\y@z", "y"),
    ]


def odd_clients() -> Iterable[str]:
    """Clients as they are typed and listed, addresses in many ways of writing."""
    yield from ("pc7", "PC7", "\\\\pc7", "//PC7", "\\PC7.", "pc7.example.com", "[pc7]", "[::1]", "\\\\[2001:DB8::7]")
    yield from (
        "10.0.0.1",
        "010.0.0.1",
        "10.0.0.256",
        "10.0.0.1.",
        "1.2.3",
        "1.2.3.4.5",
        "10.0.0.20",
        "9.1.1.1",
        "1e1.0.0.0",
    )
    yield from (
        "::",
        "::1",
        "0:0::1",
        "0:0:0:0:0:0:0:1",
        "1::",
        "1::2::3",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "1:2:3:4:5:6:7:8",
    )
    yield from (
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:9",
        "1:0:0:2:0:0:0:3",
        "1:0:0:2:3:0:0:4",
        ":1",
        "1:",
        ":::",
    )
    yield from (
        "fe80::1%eth0",
        "fe80::1%",
        "fe80::1%a%b",
        "12345::",
        "g::",
        "::1.2.3",
        "::1.2.3.04",
        "fe80::ffff:0",
        "\u0664.1.1.1",
    )


def odd_paths() -> list[str]:
    """Paths as they are typed and listed."""
    return [
        *(
            "C:\\srv\\a.txt",
            "/srv/a.txt",
            "c:/SRV/A.TXT",
            "D:\\srv\\a.txt",
            "C:\\data\\",
            "C:\\data",
            "/data",
            "*.txt",
            "*\\a.*",
        ),
        *(
            "C:\\data\\*",
            "a*/",
            "a\u202eb",
            "a\\u202eb",
            "C:",
            "/",
            "\\",
            "?:\\srv\\*",
            "",
            "[ab].txt",
            "a.txt",
            "\\pipe\\srvsvc",
        ),
    ]


def chosen(typed: list[str], meant: Callable[[str, str], bool]) -> Iterable[list[Any]]:
    """Each typed value against each listed one; the name of an error where what is typed is none."""
    for one, listed in itertools.product(typed, typed):
        try:
            answer: Any = meant(one, listed)
        except Win32Error:
            answer = "FilterError"
        yield [[one, listed], answer]


def meant_user(typed: str, listed: str) -> bool:
    """Whether `--user` of `lanman watch` means a row of this user."""
    return bool(selection.chosen_users([listed], typed))


def meant_path(typed: str, listed: str) -> bool:
    """Whether `--path` of `lanman watch` means a row of this path."""
    return bool(selection.chosen_paths([listed], typed))


def meant_client(typed: str, listed: str) -> bool:
    """Whether `--client` means this client, as `Clients.meant` has it where no name is looked up."""
    selection.check_filters(client=typed)
    return bool(selection.equal_clients([listed], typed) or selection.alike_clients([listed], typed))
