"""The REST interface: a module for each noun, whose routes are gathered here.

routing    how a path is declared: checked, documented and tested by that
shapes     what JSON may look like; `common` and `rowshapes` are those of several nouns
seen       servers, sessions, files, shares; `filtering` says which rows are meant
planning   orders: a plan, its run, what became of it
explaining, doctoring, settings, histories, policies, figures, health
           a noun each
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanman.faces.web.api import (
    doctoring,
    explaining,
    figures,
    health,
    histories,
    planning,
    policies,
    seen,
    settings,
)
from lanman.faces.web.api.routing import declared, no_such_path, routes_of

if TYPE_CHECKING:
    from starlette.routing import Route

    from lanman.faces.web.console import Console

__all__ = ["NOUNS", "no_such_path", "routes"]

# Importing them declares their routes.
NOUNS = (doctoring, explaining, figures, health, histories, planning, policies, seen, settings)


def routes(console: Console) -> list[Route]:
    """The routes of every noun, below /api/v1."""
    return routes_of(console, declared())
