"""How the package reads, as far as a test can tell: docstrings, lengths, words. CONTRIBUTING.md says the rest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "src" / "lanman").rglob("*.py"))
# CHANGELOG.md tells of names that have gone.
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"})

# Lines of a function without its docstring, and those of a file above which it opens with its rules.
MAX_FUNCTION = 60
LONG_FILE = 250
MIN_RULES = 4

# What the field has another word for, and the word.
WORDS = {
    r"octets?": "bytes",
    r"MOST_CREDITS|FIRST_CREDITS": "MAX_CREDITS, INITIAL_CREDITS",
    r"LARGEST_CHUNK": "MAX_CHUNK",
    r"FAREWELL|LAST_WORDS_FOR": "drain timeout, linger",
    r"Park|_apart": "suspend, detached",
    r"Sealer|unseal": "Encryptor, decrypt",
    r"_tell|_heard": "emit, on_event",
    r"_ladder|_meanings|fates|doomed": "level fallback, client aliases, results, targets",
    r"rename_to_nothing|set_aside": "rename_noreplace, preallocate",
    r"unasked": "unsolicited",
    r"[Nn]obody wants to know": "ignore the result",
    r"proven its password": "after the password is verified",
    r"header: not one|is no SMB over TCP": "not an SMB2 header, not a direct-TCP SMB frame",
    r"where \S+ was due": "expected N",
    r"log on as nobody|send one client away|leg of a log-on": "log on anonymously, disconnect a client, round trip",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, *, nested: bool = False) -> Iterator[tuple[Function, bool]]:
    """Every function below `tree`, and whether it stands in another one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node, nested
        yield from functions(node, nested=nested or isinstance(node, Function))


def is_setter(node: Function) -> bool:
    """Whether this is the setter of a property, whose getter has the docstring of both."""
    return any(isinstance(each, ast.Attribute) and each.attr == "setter" for each in node.decorator_list)


def faults(source: str, name: str = "a.py") -> list[str]:
    """What a reader would miss in `source`, or stumble over; one line each."""
    tree = ast.parse(source)
    found = []
    for node, nested in functions(tree):
        documentation = ast.get_docstring(node, clean=False)
        assert node.end_lineno is not None
        length = node.end_lineno - node.lineno + 1 - (documentation.count("\n") + 1 if documentation else 0)
        if length > MAX_FUNCTION:
            found.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
        if documentation is None and not nested and not node.name.startswith("_") and not is_setter(node):
            found.append(f"{name}:{node.lineno}: {node.name} has no docstring")
    rules = ast.get_docstring(tree) or ""
    if source.count("\n") > LONG_FILE and rules.count("\n") + 1 < MIN_RULES:
        found.append(f"{name}: a file of more than {LONG_FILE} lines opens with its rules")
    return found + odd_words(source, name)


def odd_words(text: str, name: str) -> list[str]:
    """The words in `text` for which the field has others."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}: say {better}"
        for word, better in WORDS.items()
        for match in re.finditer(rf"\b(?:{word})\b", text)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "src" / "lanman")))
def test_a_file_is_documented(path: Path) -> None:
    assert faults(path.read_text(), str(path.relative_to(ROOT))) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_the_words_of_the_field(path: Path) -> None:
    assert odd_words(path.read_text(), str(path.relative_to(ROOT))) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def f(): ...", "f has no docstring"),
        ("class _C:\n    @property\n    def size(self): ...", "size has no docstring"),
        ("if True:\n    async def f(): ...", "f has no docstring"),
        ("def f():\n    '''What it is.'''\n" + "    x = 1\n" * 60, "f has 61 lines"),
        ("'''One line.'''\n" + "x = 1\n" * 250, "opens with its rules"),
        ("# so many octets", "say bytes"),
        ("FAREWELL = 5", "say drain timeout"),
    ],
)
def test_the_test_finds(source: str, fault: str) -> None:
    assert any(fault in line for line in faults(source)), faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    '''What it is.'''\n    def g(): ...",
        "def _f(): ...",
        "class C:\n    @size.setter\n    def size(self, size): ...",
        "'''One.\n\nTwo\nthree\nfour.'''\n" + "x = 1\n" * 250,
        "_OCTET_STRING = 4",
    ],
)
def test_the_test_allows(source: str) -> None:
    assert faults(source) == []
