"""The page of the checks of `doctor`, made from their declarations: `python -m lanman.faces.check_reference`.

It writes docs/reference/doctor.md anew, between `<!-- checks -->` and `<!-- end of checks -->`.
tests/faces/test_check_reference.py fails while the page is not as this would make it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from lanman.manage.doctor.check import CATEGORIES
from lanman.manage.doctor.run import checks

PAGE: Final = Path("docs/reference/doctor.md")
_PART: Final = re.compile(r"<!-- checks -->\n.*?<!-- end of checks -->", re.DOTALL)


def filled(page: str) -> str:
    """A page with the checks between its marks."""
    part = "<!-- checks -->\n" + "\n".join(_lines()) + "\n<!-- end of checks -->"
    return _PART.sub(lambda match: part, page)


def _lines() -> Iterator[str]:
    """Every check under its category."""
    for category, found in groupby(checks(), key=lambda each: each.category):
        about = CATEGORIES[category]
        yield from ("", f"## {category}", "", f"{about[0].upper()}{about[1:]}.")
        for each in found:
            yield from (
                "",
                f"### {each.id} {in_markdown(each.name)}",
                "",
                in_markdown(f"{each.looks_at} {each.means}"),
                "",
            )
            yield f"At worst: {each.severity.value}."
            if each.causes:
                yield ""
            for cause in each.causes:
                texts = each.texts(cause).items()
                told = "; ".join(f"*{name}*: {in_markdown(text)}" for name, text in texts)
                yield f"* `{cause.word}`. {told}."
    yield ""


def in_markdown(text: str) -> str:
    """A text in which no character is taken for markup, but for backquotes."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*_<>\[\]$|])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
