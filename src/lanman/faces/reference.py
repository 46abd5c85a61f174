"""The parts of the documents that say which settings there are, made from their declarations in `lanman.settings`.

    python -m lanman.faces.reference docs/reference-server-toml.md docs/reference/configuration.md

writes those pages anew: what stands between `<!-- settings: limits -->` and `<!-- end of settings -->` becomes the
table of that section, and between `<!-- settings: example -->` and the end a whole server.toml. The rest of a page is
left as it is. tests/faces/test_reference.py fails while a page is not as this would make it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lanman.settings import SECTIONS, Setting

_PART: Final = re.compile(r"<!-- settings: ([\w.]+) -->\n.*?<!-- end of settings -->", re.DOTALL)
_APPLIES: Final = {"reload": "", "start": " (*start*)", "connection": " (*new connections*)"}

_EXAMPLE_SHARE: Final = "projects"


def filled(page: str) -> str:
    """A page with its marked parts made from the declarations. Raises KeyError for a section that does not exist."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        lines = _example() if name == "example" else _table(name)
        return f"<!-- settings: {name} -->\n" + "\n".join(lines) + "\n<!-- end of settings -->"

    return _PART.sub(part, page)


def _table(section: str) -> Iterator[str]:
    yield ""
    yield "| Key | Default | Unit, values | Meaning |"
    yield "|---|---|---|---|"
    for each in SECTIONS[section].values():
        default = each.default_text or f"`{_literal(each.default)}`"
        values = ", ".join(filter(None, (each.unit, each.kind.values)))
        yield f"| `{each.name}` | {default} | {values} | {each.doc}{_APPLIES[each.applies]} |"
    yield ""


def _example() -> Iterator[str]:
    yield "```toml"
    for section, settings in SECTIONS.items():
        yield f"[{section.replace('NAME', _EXAMPLE_SHARE)}]"
        width = max(len(_line(each)) for each in settings.values() if len(_line(each)) < 40)
        for each in settings.values():
            said = each.doc.split(";")[0]
            yield f"{_line(each):{width}}  # {f'{each.unit}, ' if each.unit else ''}{said}"
        yield ""
    yield "```"


def _line(each: Setting) -> str:
    return f"{each.name} = {_literal(each.default if each.example is None else each.example)}"


def _literal(value: Any) -> str:
    """A value as people write it in TOML."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def main() -> None:
    """Write the pages that the command line names anew."""
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
