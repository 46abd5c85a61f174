r"""The documents, run: what is typed on a page is typed on a stage, and must print what stands there.

In a block marked `console`, a line `$ COMMAND` is run and the lines below it are compared, with times and the like made
equal (`stage.normalised`). What stands behind a prompt there (`(Y/N) [N]: y`) is typed; a line `...` stands for any
lines. A command that ends in ` &` stays, as in a terminal of its own. `<!-- stage: empty -->` is a Server without
people, `<!-- stage: not started -->` none at all. A block marked `toml` must be a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from lanman.client_settings import Credential
from lanman.faces.cli.loader import load
from lanman.manage.policies.reading import parse_policies
from lanman.net.client_configuration import parse_client_configuration, parse_credentials
from lanman.net.configuration import parse_configuration
from support.passwords import PASSWORD
from support.process_server import Stage, normalised

DOCS = Path(__file__).parents[1] / "docs"
KINDS = ("start", "how-to", "reference", "background")
PAGES = sorted([*(page for kind in KINDS for page in (DOCS / kind).glob("*.md")), DOCS / "net-dialect.md"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"(\(Y/N\) \[[YN]\]: )(\S+)\n")
# What getpass asks only where there is a terminal.
PASSWORD_PROMPT = re.compile(r"^(Type a password|Retype the password|Password for).*: *\n", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [match[2] for match in BLOCK.finditer(page.read_text()) if match[1] == language]


def examples(block: str) -> list[tuple[str, str]]:
    """Each command of a block, and what stands below it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    assert not parts[0].strip(), "a block begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def matches(found: str, expected: str) -> bool:
    pattern = re.escape(expected.strip("\n")).replace(r"\.\.\.", r"(?:.*\n)*?.*")
    return re.fullmatch(pattern, found.strip("\n")) is not None


RUN = [page for page in PAGES if blocks(page, "console")]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_examples_print_what_stands_below_them(page: Path) -> None:
    with Stage() as stage:
        scene = re.search(r"<!-- stage: (.*?) -->", page.read_text())
        if scene is None or scene[1] != "not started":
            stage.start()
        if scene is None:
            stage.connect("bob", 21, "plan.txt", "budget.xlsx")
            stage.connect("carol", 22)
            stage.connect("", 23)
            stage.connect("dave", 21)
        for block in blocks(page, "console"):
            for command, below in examples(block):
                if command.endswith(" &"):
                    stage.leave_running(command)
                    continue
                typed = "".join(f"{answer}\n" for _, answer in PROMPT.findall(below))
                typed += f"{PASSWORD}\n" if PASSWORD_PROMPT.search(below) else ""
                expected = normalised(PASSWORD_PROMPT.sub("", PROMPT.sub(r"\1", below)))
                result = stage.run(command, typed)
                found = result.out + result.err
                assert matches(found, expected), f"$ {command}\n{found}\n--- stands there:\n{expected}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_configurations_are_understood(page: Path) -> None:
    credentials: Mapping[str, Credential] = {}
    for text in reversed(blocks(page, "toml")):
        if "authorization = " in text:
            credentials = parse_credentials(text, page.name)
        elif re.match(r"\[(mail|webhook|command|clusters)\b", text.lstrip()):
            parse_client_configuration(text, page.name, credentials)
        elif "[policies." in text:
            parse_policies(text, page.name)
        else:
            parse_configuration(text, page.name)


@pytest.mark.parametrize("page", [*PAGES, DOCS / "index.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere_and_verbs_exist(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", text):
        assert (page.parent / link).exists(), link
    for verb in re.findall(r"(?:^\$ |`)(?:lanman|net) ([a-z]+)", text, re.MULTILINE):
        assert load(verb), verb


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    for page in [*PAGES, *DOCS.glob("*.md"), *(DOCS / "man").iterdir()]:
        assert page.name == "index.md" or f"]({page.relative_to(DOCS)})" in index, page


def test_there_are_pages_of_all_four_kinds() -> None:
    for kind in KINDS:
        assert list((DOCS / kind).glob("*.md")), kind


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
        assert set(fences[::2]) <= {"console", "toml", "text", "python"}, page
        assert set(fences[1::2]) <= {""}, page
