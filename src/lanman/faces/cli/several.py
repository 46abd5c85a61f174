"""What is shown of several servers that are one: their nodes, and those that did not answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lanman import codes
from lanman.faces.cli.output import EXIT_ACCESS_DENIED, EXIT_ERROR
from lanman.faces.text import escape

if TYPE_CHECKING:
    from lanman.errors import LanmanError


def missing_lines(missing: Mapping[str, LanmanError]) -> Iterator[str]:
    """What is said of the nodes that did not answer: one line each, and what to do about it."""
    for node, error in missing.items():
        yield f"{escape(node)}: {escape(error.text)} (error {error.code}): this answer is not complete."
        if error.hint:
            yield f"    {escape(error.hint)}"


def missing_json(missing: Mapping[str, LanmanError]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {"node": node, "error": error.code, "message": error.message, "hint": error.hint}
        for node, error in missing.items()
    ]


def status_of(error: LanmanError) -> int:
    """The exit status of an error that is reported in other words."""
    return EXIT_ACCESS_DENIED if error.code == codes.ERROR_ACCESS_DENIED else EXIT_ERROR
