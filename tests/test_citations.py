"""Every section of a Microsoft specification that is cited exists, and a call of MS-SRVS cites its own.

A citation names its specification (`MS-SMB2 3.3.5.9`), or is a number of three parts or more, which is then a section
of the specification that its folder is about. What is no citation looks different: an address or a dialect has a 0 in
it, an object identifier begins as those do, and a version of Samba stands behind its name.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman.rpc.srvsvc import SRVSVC
from lanman.server.srvsvc.calls import ANSWERS
from lanman.server.srvsvc.endpoint import NOUNS
from support.sections import SRVS_CALLS, SUBSECTIONS, exists

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEXTS = [
    *SOURCES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

# The first that fits says of which specification a number without one is. None: of none that is in the table.
ABOUT = [
    ("server/srvsvc/", "MS-SRVS"),
    ("rpc/srvsvc/", "MS-SRVS"),
    ("server/svcctl.py", "MS-SCMR"),
    ("rpc/svcctl.py", "MS-SCMR"),
    ("fscc/", "MS-FSCC"),
    ("dtyp.py", "MS-DTYP"),
    ("smb2/", "MS-SMB2"),
    ("server/", "MS-SMB2"),
    ("domain/", "MS-SMB2"),
    ("net/", "MS-SMB2"),
    ("auth/", "MS-NLMP"),
    ("", None),
]

NUMBER = r"\d+(?:\.\d+)+"
LIST = rf"{NUMBER}(?:(?:,? and |,? to |,? or |, ){NUMBER})*"
NAMED = re.compile(rf"\b(MS-[A-Z0-9]+),?(?: note on| sections?)? ({LIST})")
ELSEWHERE = re.compile(rf"\b(?:C706|RFC ?\d+|Samba),?(?: sections?)? {LIST}")
BARE = re.compile(rf"(?<![\w.\-/=]){NUMBER}(?:\.\d+)+(?![\w\-])")
IDENTIFIERS = ("1.3.6.1.", "1.2.840.")


def joined(text: str) -> str:
    """A docstring or some comments as one line, so that a citation that is broken over two lines is whole."""
    return re.sub(r"\s*\n\s*(?:# ?)?", " ", text)


def named(text: str) -> Iterator[tuple[str, str]]:
    """The specification and the number of every section that is cited with its specification."""
    for match in NAMED.finditer(joined(text)):
        for number in re.findall(NUMBER, match[2]):
            yield match[1], number


def bare(text: str) -> Iterator[str]:
    """The sections that are cited by number alone, in docstrings and comments."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and '"""' in token.string):
            plain = ELSEWHERE.sub("", NAMED.sub("", joined(token.string)))
            for number in BARE.findall(plain):
                if "0" not in number.split(".") and not number.startswith(IDENTIFIERS):
                    yield number


def about(path: Path) -> str | None:
    name = str(path.relative_to(ROOT / "src" / "lanman"))
    return next(specification for start, specification in ABOUT if name.startswith(start))


def missing(path: Path) -> list[str]:
    """The citations of a file whose sections do not exist."""
    text = path.read_text()
    found = [
        f"{specification} {number}"
        for specification, number in named(text)
        if specification in SUBSECTIONS and not exists(specification, number)
    ]
    if path in SOURCES and (specification := about(path)) is not None:
        found += [f"{number} of {specification}" for number in bare(text) if not exists(specification, number)]
    return found


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(ROOT)) for path in TEXTS])
def test_cited_sections_exist(path: Path) -> None:
    assert missing(path) == []


def test_specifications_that_are_cited_are_in_the_table() -> None:
    cited = {specification for path in TEXTS for specification, _ in named(path.read_text())}
    assert cited <= SUBSECTIONS.keys()
    assert cited >= {"MS-SMB2", "MS-SRVS", "MS-FSCC", "MS-FSA", "MS-RPCE", "MS-NLMP"}


def section_of(call: str) -> str:
    return f"3.1.4.{SRVS_CALLS.index(call) + 1}"


@pytest.mark.parametrize("call", [call for number, call in SRVSVC.requests.items() if number >= 8])
def test_a_request_cites_the_section_of_its_call(call: type) -> None:
    assert list(named(call.__doc__ or "")) == [("MS-SRVS", section_of(call.__name__))]


@pytest.mark.parametrize("call", [call for call, answer in ANSWERS.items() if answer.function is not None])
def test_what_answers_a_call_names_it_and_cites_its_section(call: type) -> None:
    function = ANSWERS[call].function
    assert function is not None
    text = function.__doc__ or ""
    assert text.startswith(f"{call.__name__} (MS-SRVS ")
    assert next(named(text)) == ("MS-SRVS", section_of(call.__name__))
    assert function.__module__ in {noun.__name__ for noun in NOUNS}


BESIDE = re.compile(r"\b(Net[rp]+[A-Z]\w+)(?:,| \() ?MS-SRVS (3\.1\.4\.\d+)(?! to|,? and|, \d)\b")


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(ROOT)) for path in TEXTS])
def test_a_call_that_stands_beside_its_citation_is_that_of_the_section(path: Path) -> None:
    for call, section in BESIDE.findall(joined(path.read_text())):
        assert section == section_of(call), call


# --- the tests tested


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MS-SMB2 3.3.5.9", [("MS-SMB2", "3.3.5.9")]),
        ("(MS-SRVS 3.1.4.1 to 3.1.4.5 and their like)", [("MS-SRVS", "3.1.4.1"), ("MS-SRVS", "3.1.4.5")]),
        ("MS-FSCC 2.4,\n    # 2.5 and 2.6", [("MS-FSCC", "2.4"), ("MS-FSCC", "2.5"), ("MS-FSCC", "2.6")]),
        ("as in MS-SMB2\n    3.3.4.12", [("MS-SMB2", "3.3.4.12")]),
        ("MS-SRVS notes 30 and 31", []),
        ("C706 14.3.12.3", []),
    ],
)
def test_citations_are_found(text: str, found: list[tuple[str, str]]) -> None:
    assert list(named(text)) == found


def test_numbers_without_a_specification_are_found_where_they_are_citations() -> None:
    source = (
        '"""3.3.5.9 is cited (MS-NLMP 3.1.5), and C706 12.6.3.1, RFC 2744 3.9.1.\n\nSamba 4.17.12 at 192.0.2.7"""\n'
    )
    assert list(bare(source + 'x = "3.3.3.3"  # 3.3.4.1: so; dialect 3.0.2; 1.3.6.1.5.5.2\n')) == ["3.3.5.9", "3.3.4.1"]


@pytest.mark.parametrize(
    ("specification", "section", "there"),
    [
        ("MS-SRVS", "3.1.4.47", True),
        ("MS-SRVS", "3.1.4.48", False),
        ("MS-SRVS", "3.1.6.18", False),
        ("MS-SRVS", "3.1.4.5.1", False),
        ("MS-SRVS", "9", False),
        ("MS-SMB2", "3.3.5.15.12", True),
        ("MS-SMB2", "2.2.0", False),
    ],
)
def test_what_exists(specification: str, section: str, there: bool) -> None:
    assert exists(specification, section) is there
