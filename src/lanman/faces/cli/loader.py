"""The verbs by name. Each file in `verbs/` is the verb of its name; only the one that was asked for is loaded.

A verb that is called as a word of Python's own has an underscore behind its name: `continue_`.
"""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules
from typing import Final

from lanman.faces.cli import verbs
from lanman.faces.cli.options import Verb
from lanman.faces.dialect import UnknownVerb

VERBS: Final = tuple(sorted(module.name.rstrip("_") for module in iter_modules(verbs.__path__)))
"""The names of all verbs."""


def load(name: str) -> Verb:
    """The verb of that name or alias, in any case. Raises UnknownVerb."""
    folded = name.casefold()
    if folded in VERBS:
        name = f"{folded}_" if iskeyword(folded) else folded
        verb = getattr(import_module(f"{verbs.__name__}.{name}"), name)
        assert isinstance(verb, Verb)
        return verb
    # An alias is declared with its verb, and begins like it: the verbs that begin so are loaded first.
    for other in sorted(VERBS, key=lambda verb: not verb.startswith(folded[:4])):
        if folded in (verb := load(other)).aliases:
            return verb
    raise UnknownVerb(name, "`lanman help` lists the verbs.")


def every_verb() -> list[Verb]:
    """All verbs, in alphabetical order. It loads all of them."""
    return [load(name) for name in VERBS]
