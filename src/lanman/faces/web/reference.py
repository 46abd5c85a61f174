"""The page of the REST interface, made from the declarations of its routes: `python -m lanman.faces.web.reference`.

It writes docs/reference/web-api.md anew, between `<!-- routes -->` and `<!-- end of routes -->`.
tests/faces/web/test_api_reference.py fails while the page is not as this would make it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lanman.faces.web.api import NOUNS
from lanman.faces.web.api.routing import declared
from lanman.faces.web.openapi import reference

PAGE: Final = Path("docs/reference/web-api.md")
_PART: Final = re.compile(r"<!-- routes -->\n.*?<!-- end of routes -->", re.DOTALL)


def filled(page: str) -> str:
    """A page with the routes of all nouns between its marks."""
    assert NOUNS
    part = "<!-- routes -->\n" + "\n".join(reference(declared())) + "\n<!-- end of routes -->"
    return _PART.sub(lambda match: part, page)


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
