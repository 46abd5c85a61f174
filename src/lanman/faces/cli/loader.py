"""The verbs by name. Each file in `verbs/` is the verb of its name; only the one that was asked for is loaded.

A verb that is called as a word of Python's own has an underscore behind its name: `continue_`.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from keyword import iskeyword
from typing import Final

from lanman.faces.cli import verbs
from lanman.faces.cli.invocation import DATABASE_VARIABLE
from lanman.faces.cli.options import Verb
from lanman.faces.dialect import UnknownVerb

_WITHOUT_TLS: Final = frozenset({"file", "session", "share", "statistics"})
"""Verbs that are to start at once, and of which nothing speaks TLS on an event loop but the way to a PostgreSQL that
LANMAN_DB names, where their orders are noted."""


@cache
def names() -> tuple[str, ...]:
    """The names of all verbs, in alphabetical order."""
    from pkgutil import iter_modules  # a command that is named in full does without

    return tuple(sorted(module.name.rstrip("_") for module in iter_modules(verbs.__path__)))


def load(name: str) -> Verb:
    """The verb of that name or alias, in any case. Raises UnknownVerb."""
    folded = name.casefold()
    if folded.isalpha() and folded.isascii():
        try:
            return _loaded(folded, starts_at_once=True)
        except ModuleNotFoundError as error:
            if error.name != _module(folded):
                raise
    # An alias is declared with its verb, and begins like it: the verbs that begin so are loaded first.
    for other in sorted(names(), key=lambda verb: not verb.startswith(folded[:4])):
        if folded in (verb := _loaded(other, starts_at_once=other.startswith(folded[:4]))).aliases:
            return verb
    raise UnknownVerb(name, "`lanman help` lists the verbs.")


def _loaded(folded: str, *, starts_at_once: bool) -> Verb:
    if starts_at_once and folded in _WITHOUT_TLS:
        _import_asyncio_without_tls()
    module = _module(folded)
    verb = getattr(import_module(module), module.rpartition(".")[2])
    assert isinstance(verb, Verb)
    return verb


def _module(folded: str) -> str:
    return f"{verbs.__name__}.{folded}{'_' if iskeyword(folded) else ''}"


def every_verb() -> list[Verb]:
    """All verbs, in alphabetical order. It loads all of them."""
    return [_loaded(name, starts_at_once=False) for name in names()]


def _import_asyncio_without_tls() -> None:
    """Load asyncio as on a Python without `ssl`, which it does not need; loading that takes a twentieth of a command.

    Whoever imports `ssl` later gets it; only the event loops of this process speak no TLS.
    """
    if "ssl" in sys.modules or "asyncio" in sys.modules or os.environ.get(DATABASE_VARIABLE):
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # which makes `import ssl` fail
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]
