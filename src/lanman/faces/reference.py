"""The parts of the documents that say which settings there are, made from their declarations.

`lanman.settings`, `lanman.client_settings` and `lanman.manage.policies.declared` declare them.

    python -m lanman.faces.reference docs/reference-server-toml.md docs/reference/configuration.md \\
        docs/reference/client-configuration.md docs/reference/policies.md

writes those pages anew: what stands between `<!-- settings: limits -->` and `<!-- end of settings -->` becomes the
table of that section, and between `<!-- settings: example -->` and the end a whole server.toml; `client_example` is a
whole lanman.toml, `credentials_example` the file beside it. The rest of a page is left as it is.
tests/faces/test_reference.py fails while a page is not as this would make it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lanman import client_settings
from lanman.manage.policies import declared
from lanman.settings import SECTIONS, Setting

_PART: Final = re.compile(r"<!-- settings: ([\w.]+) -->\n.*?<!-- end of settings -->", re.DOTALL)
_APPLIES: Final = {"reload": "", "start": " (*start*)", "connection": " (*new connections*)"}

# What [shares.NAME], [clusters.NAME] and each [NAME] of the file `credentials` are called in the examples.
_NAMED: Final = {"shares.NAME": "shares.projects", "clusters.NAME": "clusters.files"}
_CREDENTIALS: Final = {
    "mail": {name: client_settings.CREDENTIAL[name] for name in ("user", "password")},
    "webhook": {name: client_settings.CREDENTIAL[name] for name in ("authorization",)},
    "files": {name: client_settings.CREDENTIAL[name] for name in ("user", "password")},
    "branches": {name: client_settings.CREDENTIAL[name] for name in ("user", "nt_hash", "hosts")},
    "tickets": {name: client_settings.CREDENTIAL[name] for name in ("kerberos", "keytab", "ccache")},
}

_EXAMPLES: Final[Mapping[str, Mapping[str, Mapping[str, Setting]]]] = {
    "example": SECTIONS,
    "client_example": client_settings.SECTIONS,
    "credentials_example": _CREDENTIALS,
}

_TABLES: Final = {
    **SECTIONS,
    **client_settings.SECTIONS,
    **declared.SECTIONS,
    "credentials": client_settings.CREDENTIAL,
}


def filled(page: str) -> str:
    """A page with its marked parts made from the declarations. Raises KeyError for a section that does not exist."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        lines = _example(_EXAMPLES[name]) if name in _EXAMPLES else _table(_TABLES[name])
        return f"<!-- settings: {name} -->\n" + "\n".join(lines) + "\n<!-- end of settings -->"

    return _PART.sub(part, page)


def _table(settings: Mapping[str, Setting]) -> Iterator[str]:
    yield ""
    yield "| Key | Default | Unit, values | Meaning |"
    yield "|---|---|---|---|"
    for each in settings.values():
        default = each.default_text or f"`{_literal(each.default)}`"
        values = ", ".join(filter(None, (each.unit, each.kind.values)))
        yield f"| `{each.name}` | {default} | {values} | {each.doc}{_APPLIES[each.applies]} |"
    yield ""


def _example(sections: Mapping[str, Mapping[str, Setting]]) -> Iterator[str]:
    yield "```toml"
    for section, settings in sections.items():
        yield f"[{_NAMED.get(section, section)}]"
        width = max((len(_line(each)) for each in settings.values() if len(_line(each)) < 40), default=0)
        for each in settings.values():
            said = each.doc.split(";")[0]
            yield f"{_line(each):{width}}  # {f'{each.unit}, ' if each.unit else ''}{said}"
        yield ""
    yield "```"


def _line(each: Setting) -> str:
    return f"{each.name} = {_literal(each.default if each.example is None else each.example)}"


def _literal(value: Any) -> str:
    """A value as people write it in TOML."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{name} = {_literal(each)}" for name, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def main() -> None:
    """Write the pages that the command line names anew."""
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
