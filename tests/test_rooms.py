"""Who may import whom: the picture in docs/design.md, held by a test.

Every import counts, wherever it stands and however it is written: at the top, inside a function, under TYPE_CHECKING,
as `import_module("lanman. ...")` by any name, or as an attribute of the package (`lanman.smb2.client`). What a module
imports by a computed name stands in COMPUTED. What is not in the tables below is not allowed; a new folder or a new
dependency has to be placed here first, which is the moment to think about where it belongs.

No module leads back to itself, by whatever kind of import: what two modules need of each other stands in a third, or is
a small Protocol.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "lanman"

WORDS = frozenset(
    {"wire", "records", "codes", "errors", "events", "few", "names", "shown", "dtyp", "plain", "settings", "versions"}
)
CLIENTS_WORDS = frozenset({"client_settings"})
PROTOCOLS = frozenset({"smb2", "rpc", "auth", "fscc"})


@dataclass(frozen=True)
class Room:
    """A module or folder under lanman: its floor, the rooms it may import, and what it may use that others wrote."""

    floor: int
    rooms: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


ROOMS = {
    # 0: words
    "codes": Room(0),
    "few": Room(0),
    "plain": Room(0),
    "records": Room(0, frozenset({"plain"})),
    "events": Room(0),
    "names": Room(0),
    "shown": Room(0),
    "errors": Room(0, frozenset({"codes"})),
    "settings": Room(0, frozenset({"names", "plain"})),
    "client_settings": Room(0, frozenset({"plain", "settings"})),
    "versions": Room(0, frozenset({"codes", "errors"})),
    "wire": Room(0, frozenset({"errors", "plain"})),
    "dtyp": Room(0, frozenset({"errors", "wire"})),
    # 1: bytes <-> events, and nouns and rules; these five do not know each other
    "smb2": Room(1, WORDS, frozenset({"cryptography"})),
    "rpc": Room(1, WORDS),
    "auth": Room(1, WORDS),
    "fscc": Room(1, WORDS),
    "domain": Room(
        1, frozenset({"few", "names", "events", "plain", "settings"})
    ),  # sees no byte, no status code and no record of the wire
    # 2: protocol meets domain
    "server": Room(2, WORDS | PROTOCOLS | {"domain"}),
    # 3: the only sockets, clocks and disks
    "net": Room(
        3,
        WORDS | CLIENTS_WORDS | PROTOCOLS | {"domain", "server"},
        frozenset({"aiohappyeyeballs", "tomli_w", "spnego", "gssapi", "krb5", "uvloop"}),
    ),
    # 4, 5, 6: what one can ask of a server, of many, and what people touch
    "manage": Room(4, WORDS | CLIENTS_WORDS | {"rpc", "net"}),
    "fleet": Room(5, WORDS | {"manage", "net"}),
    "faces": Room(6, WORDS | CLIENTS_WORDS | {"net", "manage", "fleet"}, frozenset({"rich"})),
    # stand-ins for other people's APIs: they give answers as they came, so they speak the calls of srvsvc themselves
    "compat": Room(6, WORDS | {"rpc", "net", "manage"}),
    # the calls of MS-SRVS under a public name
    "srvsvc": Room(6, frozenset({"rpc"})),
    # the package itself: its public names, and `python -m lanman`
    "lanman": Room(7, WORDS | {"net", "manage", "fleet", "compat", "faces"}),
}

# What a room may use of another, where that is not all of it: the fleet asks by Managers, and knows no SMB.
NARROW = {
    ("fleet", "net"): frozenset(
        {
            "approach",
            "child",
            "client_configuration",
            "collector",
            "credentials",
            "dial",
            "resolve",
            "server_facts",
        }
    )
}

# What one part of a room alone may use: textual takes a quarter of a second to load, and only the screen needs it;
# asyncpg, pyarrow, prometheus_client, distributed, starlette and uvicorn are extras, and only history in PostgreSQL,
# columns as files, figures for Prometheus, sweeps by a cluster and the web console need them. What a certificate is for
# is read with cryptography, which smb2 needs anyway; so is NTLM's RC4 made.
INNER = {
    "lanman.faces.tui": frozenset({"textual"}),
    "lanman.faces.web": frozenset({"starlette", "uvicorn"}),
    "lanman.auth.ntlm": frozenset({"cryptography"}),
    "lanman.faces.web.listening": frozenset({"cryptography"}),
    "lanman.fleet.dask": frozenset({"distributed"}),
    "lanman.manage.history.postgresql": frozenset({"asyncpg"}),
    "lanman.manage.metrics": frozenset({"prometheus_client"}),
    "lanman.manage.parquet": frozenset({"pyarrow"}),
}

# Floors 0 to 2 do no I/O, read no clock and draw no random numbers: `now` and `random` are arguments.
# So of the standard library they may use what computes, and nothing else.
# fmt: off
PURE = frozenset({
    "__future__", "abc", "base64", "binascii", "bisect", "codecs", "collections", "contextlib", "copy",
    "dataclasses", "datetime", "enum", "fnmatch", "functools", "hashlib", "heapq", "hmac", "inspect",
    "ipaddress", "itertools", "keyword", "math", "operator", "re", "reprlib", "string", "struct", "sys", "textwrap",
    "types", "typing", "unicodedata", "uuid", "weakref", "zlib",
})
# fmt: on
IMPURE_NAMES = frozenset({"open", "input", "print", "breakpoint", "__import__"})
IMPURE_METHODS = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4", "uuid.getnode"}
    | {f"sys.{name}" for name in ("stdin", "stdout", "stderr", "argv", "exit", "modules")}
    | {"codecs.open"}
)

# Imports whose names are computed: what each module may load by one, as a pattern over modules' names.
COMPUTED = {
    "lanman": "lanman.errors",  # and other public names' modules, which it imports by name under TYPE_CHECKING
    "lanman.faces.cli.loader": "lanman.faces.cli.verbs.*",
    "lanman.net.privileges": "lanman.net.kerberos",  # and modules of Python, while their files can still be read
}


def room_of(module: str) -> str:
    """The room of a module's dotted name: `lanman.smb2.header` is in `smb2`, `lanman.__main__` in `lanman`."""
    parts = module.split(".")
    return "lanman" if len(parts) == 1 or parts[1].startswith("__") else parts[1]


def module_name(path: Path) -> str:
    """The dotted name of a source file: `.../smb2/__init__.py` is `lanman.smb2`."""
    parts = ("lanman", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def bound_names(tree: ast.AST, module: str, is_package: bool) -> dict[str, str]:
    """What the imports of `tree` bind: `from datetime import datetime as dt` binds `dt` to `datetime.datetime`."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                bound[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom):
            base = imported_from(node, module, is_package)
            bound |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
    return bound


def imported_from(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The absolute name behind `from`."""
    base = node.module or ""
    if not node.level:
        return base
    package = module.split(".") if is_package else module.split(".")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, base] if base else package)


def full_name(node: ast.expr, bound: Mapping[str, str]) -> str:
    """The dotted name of a chain of attributes, its first part as it was imported; "" for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([bound.get(node.id, node.id), *reversed(parts)])


# What loads a module by a name that is a value.
LOADERS = ("import_module", "__import__", "run_module", "resolve_name")


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every name that `tree` imports, absolute and as deep as it is written, with its line; "?" if it is computed."""
    bound = bound_names(tree, module, is_package)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = imported_from(node, module, is_package)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Attribute) and (name := full_name(node, bound)).startswith("lanman."):
            yield node.lineno, name
        elif isinstance(node, ast.Call) and full_name(node.func, bound).split(".")[-1] in LOADERS:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            named = given[0] if given else None
            constant = isinstance(named, ast.Constant) and isinstance(named.value, str)
            text = named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else "?"
            yield node.lineno, text.replace(":", ".") if constant and not text.startswith(".") else "?"


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What `source`, the text of `module`, may not do where it stands; one line each."""
    home = room_of(module)
    if home not in ROOMS:
        return [f"{module}: the room {home!r} has no floor; place it in ROOMS and in docs/design.md"]
    room = ROOMS[home]
    tree = ast.parse(source)
    found = []
    for line, name in imports(tree, module, is_package):
        top = name.split(".")[0]
        if name == "?":
            if module not in COMPUTED:
                found.append(f"{module}:{line}: the name of what is imported here is computed; place it in COMPUTED")
            continue
        if name == "lanman.__version__":
            continue  # a word, though it stands in the package itself
        if top == "lanman":
            # `from lanman import codes` is an import of codes; a name that is no room is one of the package itself.
            second = name.split(".")[1] if "." in name else ""
            target = second if second in ROOMS else "lanman"
            if target != home and target not in room.rooms:
                found.append(f"{module}:{line}: {home} may not import {target} ({name})")
            elif (home, target) in NARROW and NARROW[home, target].isdisjoint(name.split(".")[2:3]):
                found.append(f"{module}:{line}: {home} may not import {target} but for a few of it ({name})")
        elif top in sys.stdlib_module_names:
            if room.floor <= 2 and top not in PURE:
                found.append(f"{module}:{line}: floor {room.floor} does no I/O and may not import {top}")
        elif top not in room.others | inner_others(module):
            found.append(f"{module}:{line}: {home} may not use {top}")
    if room.floor <= 2:
        found += impurities(tree, module, bound_names(tree, module, is_package))
    return found


def inner_others(module: str) -> frozenset[str]:
    """What others wrote and only the part of a room may use that `module` is in."""
    return frozenset().union(*(others for part, others in INNER.items() if f"{module}.".startswith(f"{part}.")))


def impurities(tree: ast.AST, module: str, bound: Mapping[str, str]) -> Iterator[str]:
    """I/O, clocks and random numbers that need no import of their own, or come with a module that also computes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_NAMES:
            yield f"{module}:{node.lineno}: floors 0 to 2 may not call {node.func.id}()"
        elif isinstance(node, ast.Attribute | ast.Name):
            name = full_name(node, bound) or ast.unparse(node)
            if ".".join(name.split(".")[-2:]) in IMPURE_METHODS:
                yield f"{module}:{node.lineno}: floors 0 to 2 may not use {name}"


# Words that are made of others.
SAME_FLOOR = {
    ("errors", "codes"),
    ("wire", "errors"),
    ("dtyp", "wire"),
    ("dtyp", "errors"),
    ("records", "plain"),
    ("wire", "plain"),
    ("settings", "names"),
    ("settings", "plain"),
    ("client_settings", "settings"),
    ("client_settings", "plain"),
    ("versions", "codes"),
    ("versions", "errors"),
}


def circles(
    sources: Mapping[str, str], packages: frozenset[str] = frozenset(), computed: Mapping[str, str] = COMPUTED
) -> list[list[str]]:
    """The modules that import each other, round by round, wherever an import stands; `sources` by dotted name.

    `from package import name` is an import of the module `package.name` where there is one, and of the package's own
    file otherwise. That importing `a.b` runs `a` first is no edge: a package that imports its modules is no circle.
    """
    edges: dict[str, set[str]] = {}
    for module, source in sources.items():
        edges[module] = set()
        for _, name in imports(ast.parse(source), module, module in packages):
            if name == "?":
                edges[module] |= {each for each in sources if fnmatchcase(each, computed.get(module, ""))}
            if name == "lanman.__version__":
                continue  # the package is there before any of its modules
            while name and name not in sources:
                name = name.rpartition(".")[0]
            edges[module] |= {name} - {"", module}
    return [sorted(found) for found in strongly_connected(edges) if len(found) > 1]


def strongly_connected(edges: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """The strongly connected components of a graph (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> Iterator[list[str]]:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges[node]):
            if other not in index:
                yield from visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            found = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            yield found

    for node in sorted(edges):
        if node not in index:
            yield from visit(node)


FILES = sorted(SOURCE.rglob("*.py"))
PACKAGES = frozenset(module_name(path) for path in FILES if path.name == "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])
def test_module_keeps_to_its_room(path: Path) -> None:
    assert violations(path.read_text(), module_name(path), is_package=path.name == "__init__.py") == []


def test_table_goes_downwards_only() -> None:
    for name, room in ROOMS.items():
        for other in room.rooms:
            below = ROOMS[other].floor < room.floor
            assert below or (name, other) in SAME_FLOOR, f"{name} -> {other}"


def test_no_module_leads_back_to_itself() -> None:
    assert circles({module_name(path): path.read_text() for path in FILES}, PACKAGES) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"lanman.a": "from lanman import b", "lanman.b": "import lanman.a"},
        {"lanman.a": "from lanman.b import x", "lanman.b": "def f():\n    from lanman.a import y"},
        {
            "lanman.a": "if TYPE_CHECKING:\n    from lanman.b import x",
            "lanman.b": "from lanman.c import y",
            "lanman.c": "from . import a",
        },
        {"lanman.p": "from lanman.p.a import x", "lanman.p.a": "from lanman.p import y"},
        {"lanman.p": "from .a import x", "lanman.p.a": "class C:\n    def f(self):\n        from . import y"},
        {"lanman.a": "importlib.import_module('lanman.b')", "lanman.b": "from lanman.a import x"},
        {
            "lanman.a": "import lanman.b as other",
            "lanman.b": "from importlib import import_module as load; load('lanman.a')",
        },
        {"lanman.a": "import_module(name='lanman.b')", "lanman.b": "__import__('lanman.a')"},
        {"lanman.a": "from .b import *", "lanman.b": "import lanman.a as a\ndef f(x: a.X) -> None: ..."},
        {"lanman.a": "import lanman.b.C.D", "lanman.b": "x = lanman.a.y.z"},
        {"lanman.a": "import_module(f'lanman.{name}')", "lanman.b": "from . import a"},
        {
            "lanman.p.a": "from .. import p",
            "lanman.p": "from .p2.deep import x",
            "lanman.p.p2.deep": "from ..a import x",
        },
    ],
)
def test_a_circle_is_found(sources: dict[str, str]) -> None:
    assert circles(sources, frozenset({"lanman.p"}), {"lanman.a": "lanman.b*"}) == [sorted(sources)]


@pytest.mark.parametrize(
    "sources",
    [
        {"lanman.a": "from lanman import b", "lanman.b": "import os"},
        {"lanman.p": "from lanman.p import a", "lanman.p.a": "from lanman.p import b", "lanman.p.b": ""},
        {"lanman.p": "from .a import x\nfrom .b import y", "lanman.p.a": "from .b import y", "lanman.p.b": ""},
        {
            "lanman.a": "from lanman.c import x",
            "lanman.b": "from lanman.c import x",
            "lanman.c": "from lanman.c import z",
        },
    ],
)
def test_what_is_no_circle(sources: dict[str, str]) -> None:
    assert circles(sources, frozenset({"lanman.p"})) == []


def test_two_circles_are_two() -> None:
    two = {"lanman.a": "import lanman.b", "lanman.b": "import lanman.a, lanman.c", "lanman.c": "import lanman.d"}
    assert circles(two | {"lanman.d": "import lanman.c"}) == [["lanman.c", "lanman.d"], ["lanman.a", "lanman.b"]]


def test_every_room_of_floor_one_stands_alone() -> None:
    ground = {name for name, room in ROOMS.items() if room.floor == 1}
    assert ground == {"smb2", "rpc", "auth", "fscc", "domain"}
    assert all(not ROOMS[name].rooms & ground for name in ground)


def test_there_is_something_to_test() -> None:
    assert {room_of(module_name(path)) for path in FILES} >= {"errors", "records"}


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("lanman.smb2.client", "from lanman.rpc import pdu", "smb2 may not import rpc"),
        ("lanman.smb2.client", "import lanman.auth.ntlm", "smb2 may not import auth"),
        ("lanman.smb2.client", "from ..domain import Session", "smb2 may not import domain"),
        ("lanman.rpc.pdu", "def f():\n    from lanman.net import client", "rpc may not import net"),
        ("lanman.domain.policy", "from lanman import codes", "domain may not import codes"),
        ("lanman.codes", "from lanman.errors import LanmanError", "codes may not import errors"),
        (
            "lanman.server.pipes",
            "if TYPE_CHECKING:\n    from lanman.manage import manager",
            "server may not import manage",
        ),
        ("lanman.server.pipes", "import asyncio", "may not import asyncio"),
        ("lanman.server.pipes", "from lanman import open_manager", "server may not import lanman"),
        ("lanman.auth.ntlm", "import os.path", "may not import os"),
        ("lanman.auth.ntlm", "from time import monotonic", "may not import time"),
        ("lanman.wire", "import secrets", "may not import secrets"),
        ("lanman.domain.core", "import logging.handlers", "may not import logging"),
        ("lanman.domain.core", "datetime.datetime.now()", "may not use datetime.datetime.now"),
        ("lanman.domain.core", "print(1)", "may not call print"),
        ("lanman.rpc.srvsvc", "uuid.uuid4()", "may not use uuid.uuid4"),
        ("lanman.rpc.srvsvc", "importlib.import_module('lanman.smb2')", "rpc may not import smb2"),
        ("lanman.rpc.srvsvc", "from importlib import import_module as load\nload('lanman.smb2')", "not import smb2"),
        ("lanman.rpc.srvsvc", "import_module(name='lanman.smb2')", "rpc may not import smb2"),
        ("lanman.rpc.srvsvc", "pkgutil.resolve_name('lanman.smb2:header')", "rpc may not import smb2"),
        ("lanman.rpc.srvsvc", "import lanman.wire\nx = lanman.smb2.header", "rpc may not import smb2"),
        ("lanman.rpc.srvsvc", "import lanman.smb2 as wire", "rpc may not import smb2"),
        ("lanman.net.client", "import_module('lanman.' + name)", "place it in COMPUTED"),
        ("lanman.net.client", "import_module('.client', 'lanman.faces')", "place it in COMPUTED"),
        ("lanman.rpc.pdu", "import sys\nsys.modules['lanman.net']", "may not use sys.modules"),
        ("lanman.domain.core", "from datetime import datetime as d\nd.now()", "may not use datetime.datetime.now"),
        ("lanman.domain.core", "import datetime as d\nd.datetime.now()", "may not use datetime.datetime.now"),
        ("lanman.domain.core", "from uuid import uuid4 as made\nx = made()", "may not use uuid.uuid4"),
        ("lanman.domain.core", "from sys import stderr\nstderr.write('')", "may not use sys.stderr"),
        ("lanman.net.client", "import impacket", "net may not use impacket"),
        ("lanman.manage.srvsvc", "from smbprotocol.connection import Connection", "manage may not use smbprotocol"),
        ("lanman.manage.srvsvc", "from lanman.faces import text", "manage may not import faces"),
        ("lanman.fleet", "from lanman.net import client", "fleet may not import net"),
        ("lanman.fleet.sweep", "import lanman.net", "fleet may not import net"),
        ("lanman.faces.cli.verbs.watch", "import textual.app", "faces may not use textual"),
        ("lanman.faces.tuition", "from textual import events", "faces may not use textual"),
        ("lanman.faces.cli", "from lanman.smb2 import messages", "faces may not import smb2"),
        ("lanman.attic.things", "", "the room 'attic' has no floor"),
    ],
)
def test_the_test_finds(module: str, source: str, complaint: str) -> None:
    assert any(complaint in line for line in violations(source, module)), violations(source, module)


@pytest.mark.parametrize(
    ("module", "source", "is_package"),
    [
        ("lanman.smb2.client", "from .header import Header\nfrom lanman import codes\nimport struct", False),
        ("lanman.smb2", "from .header import Header\nfrom .. import codes", True),
        ("lanman.errors", "from lanman import codes", False),
        ("lanman.net.client", "import asyncio, socket\nfrom lanman.smb2.client import ClientConnection", False),
        ("lanman.domain.core", "def f(now): return datetime.datetime.fromtimestamp(now)", False),
        ("lanman.__main__", "from lanman.faces.cli import main", False),
        ("lanman.faces.tui.lines", "from textual import events", False),
    ],
)
def test_the_test_allows(module: str, source: str, is_package: bool) -> None:
    assert violations(source, module, is_package=is_package) == []
