"""What a verb takes, and how values come of a line that the dialect has read."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lanman.faces.cli.loader import _WITHOUT_TLS, every_verb, load, names
from lanman.faces.cli.parameters import (
    Argument,
    Candidate,
    Context,
    Option,
    Parameter,
    argument,
    declared,
    option,
    values,
)
from lanman.faces.dialect import DialectError, Line, UnknownVerb

SERVER = Option("-S", "--server", metavar="HOST")
NODE = Option("--node", metavar="NAME", multiple=True)
DRY_RUN = Option("--dry-run", is_flag=True)
RENAMED = Option("--sort-by", "column", metavar="NAME", default="idle")
OPTIONS = (SERVER, NODE, DRY_RUN, RENAMED)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"server": None, "node": (), "dry_run": False, "column": "idle"}),
        (
            ["--server=a", "--dry-run", "--server=b=c", "--node=1", "--node=", "--sort-by="],
            {"server": "b=c", "node": ("1", ""), "dry_run": True, "column": ""},
        ),
    ],
)
def test_the_values_of_options(options: list[str], expected: dict[str, Any]) -> None:
    assert values(OPTIONS, Line(options)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a"], {"first": "a", "second": None, "rest": ()}),
        (["a", ""], {"first": "a", "second": "", "rest": ()}),
        (["a", "b", "--c", "d"], {"first": "a", "second": "b", "rest": ("--c", "d")}),
    ],
)
def test_the_values_of_arguments(words: list[str], expected: dict[str, Any]) -> None:
    taken = (Argument("first"), Argument("second", required=False), Argument("rest", many=True))
    assert values(taken, Line([], words)) == expected


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "Missing argument 'PATH'."),
        (["a", "b"], "Got unexpected extra argument (b)"),
        (["a", "b", "c"], "Got unexpected extra arguments (b c)"),
    ],
)
def test_too_few_words_and_too_many(words: list[str], hint: str) -> None:
    with pytest.raises(DialectError) as refused:
        values([Argument("path")], Line([], words))
    assert (refused.value.message_id, refused.value.hint) == (3503, hint)


def test_every_value_is_checked_in_the_order_in_which_it_was_typed() -> None:
    seen: list[tuple[str, Any]] = []

    def check(parameter: Parameter, value: Any) -> Any:
        seen.append((parameter.name, value))
        return f"<{value}>"

    taken = [
        Option("--one", metavar="N", callback=check),
        Argument("word", callback=check),
        Option("--two", metavar="N", callback=check),
    ]
    assert values(taken, Line(["--two=2"], ["w"])) == {"one": "<None>", "word": "<w>", "two": "<2>"}
    assert seen == [("two", "2"), ("word", "w"), ("one", None)]


def test_declared_from_above() -> None:
    @option("--first", metavar="A")
    @argument("second", required=False)
    @option("--third", is_flag=True)
    def verb() -> None: ...

    assert [each.name for each in declared(verb)] == ["first", "second", "third"]
    assert declared(test_declared_from_above) == []


@pytest.mark.parametrize(
    ("declare", "written"),
    [
        (lambda: SERVER, "-S, --server HOST"),
        (lambda: Option("--list", "-l", is_flag=True), "-l, --list"),
        (lambda: RENAMED, "--sort-by NAME"),
    ],
)
def test_how_an_option_is_written(declare: Callable[[], Option], written: str) -> None:
    assert declare().help_record() == (written, "")


def test_what_may_stand_there() -> None:
    def complete(context: Context, begun: str) -> list[Candidate]:
        return [Candidate(f"{begun}{len(context.words)}", "a number")]

    completed = Argument("number", shell_complete=complete)
    assert completed.candidates(Context(None, ["a", "b"]), "n") == [Candidate("n2", "a number")]
    assert SERVER.candidates(Context(), "") == []


# --- which module a verb is


@pytest.mark.parametrize("word", ["continue_", "__init__", "session.x", "", "sess1on", "help_", "sessión"])
def test_what_is_no_verb(word: str) -> None:
    with pytest.raises(UnknownVerb):
        load(word)


def test_every_name_and_alias_is_found() -> None:
    assert [verb.name for verb in every_verb()] == [load(name).name for name in names()] == list(names())
    for verb in every_verb():
        assert all(load(alias) is verb for alias in verb.aliases)


def test_a_search_for_an_alias_takes_tls_from_no_other_verb() -> None:
    """The verbs that start at once are loaded without it where they begin as what was typed."""
    others = {
        name: verb for verb in every_verb() if verb.name not in _WITHOUT_TLS for name in (verb.name, *verb.aliases)
    }
    assert [name for name in others if any(each.startswith(name[:4]) for each in _WITHOUT_TLS)] == []


@pytest.mark.parametrize(("verb", "has_tls"), [("session", False), ("sess", False), ("files", False), ("web", True)])
def test_which_verbs_load_tls(verb: str, has_tls: bool) -> None:
    program = (
        "import sys; from lanman.faces.cli.loader import load; load(sys.argv[1])\n"
        "from asyncio import base_events\n"
        "print('ssl' in sys.modules, base_events.ssl is not None)\n"
        "import ssl; print(ssl.create_default_context().check_hostname)"
    )
    named = {name: value for name, value in os.environ.items() if name != "LANMAN_DB"}
    shown = subprocess.run([sys.executable, "-c", program, verb], env=named, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [str(has_tls), str(has_tls), "True"]


async def test_an_order_is_noted_in_a_database_that_speaks_tls() -> None:
    """LANMAN_DB names a PostgreSQL: `session /DELETE` writes there, encrypted where the database offers that."""
    asked: list[bytes] = []

    async def database(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readexactly(8))
        writer.write(b"S")
        asked.append(await reader.read(1))
        writer.close()

    program = (
        "import os; from lanman.faces.cli.loader import load; load('session')\n"
        "import asyncio\n"
        "from lanman.errors import LanmanError\n"
        "from lanman.manage.history.opening import open_store\n"
        "async def write():\n"
        "    try:\n"
        "        async with open_store(os.environ['LANMAN_DB'], make=False): pass\n"
        "    except LanmanError as error: print('refused')\n"
        "asyncio.run(write())"
    )
    async with await asyncio.start_server(database, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        named = {"LANMAN_DB": f"postgresql://ann@127.0.0.1:{port}/history?sslmode=require"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=os.environ | named, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
    ssl_request, hello = b"\0\0\0\x08\x04\xd2\x16\x2f", b"\x16"
    assert asked[:2] == [ssl_request, hello]
    assert said == b"refused\n"
