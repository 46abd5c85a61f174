"""The reference of the settings is the one that their declarations make."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanman import client_settings
from lanman.faces.reference import filled
from lanman.manage.policies import declared
from lanman.settings import SECTIONS

DOCS = Path(__file__).parents[2] / "docs"
SERVER = (DOCS / "reference-server-toml.md", DOCS / "reference" / "configuration.md")
CLIENT = DOCS / "reference" / "client-configuration.md"
POLICIES = DOCS / "reference" / "policies.md"
PAGES = (*SERVER, CLIENT, POLICIES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_as_the_declarations_make_it(page: Path) -> None:
    text = page.read_text()
    names = " ".join(str(each.relative_to(DOCS.parent)) for each in PAGES)
    assert filled(text) == text, f"run .venv/bin/python -m lanman.faces.reference {names}"


@pytest.mark.parametrize("page", SERVER, ids=lambda page: page.stem)
def test_every_setting_is_on_the_page(page: Path) -> None:
    text = page.read_text()
    for section, settings in SECTIONS.items():
        assert f"[{section.removesuffix('.NAME')}" in text
        for name in settings:
            assert f"`{name}` |" in text or f"\n{name} = " in text, name


def test_every_setting_of_a_client_is_on_its_page_in_a_table_and_in_the_example() -> None:
    text = CLIENT.read_text()
    for section, settings in client_settings.SECTIONS.items():
        assert f"## [{section}]" in text
        for name in settings:
            assert f"\n| `{name}` |" in text
            assert f"\n{name} = " in text
    for name in client_settings.CREDENTIAL:
        assert f"\n| `{name}` |" in text
        assert f"\n{name} = " in text


def test_every_key_of_policies_is_on_its_page() -> None:
    text = POLICIES.read_text()
    for keys in declared.SECTIONS.values():
        for name in keys:
            assert f"\n| `{name}` |" in text


def test_what_stands_outside_the_marks_is_left_alone() -> None:
    page = "before\n<!-- settings: domain -->\nold\n<!-- end of settings -->\nafter\n"
    lines = filled(page).splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert filled(filled(page)) == filled(page)


def test_a_section_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        filled("<!-- settings: nothing -->\n<!-- end of settings -->")
