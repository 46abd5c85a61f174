"""Shapes that several nouns have in common, and the words of their parameters."""

from __future__ import annotations

from typing import Final

from lanman.faces.web.api.shapes import Shape, many, moment, or_null, record, said, text, whole, words

MAX_NAME: Final = 255

SERVER: Final[Shape] = text("the server, as `GET /servers` calls it", most=MAX_NAME)
USER: Final[Shape] = text("the user: a name, with or without its domain, or a pattern with `*` and `?`", most=MAX_NAME)
CLIENT: Final[Shape] = text("the client: a name, an address, or a pattern with `*` and `?`", most=MAX_NAME)
PATH: Final[Shape] = text(
    r"the path: as it is listed, a pattern over all of it with `*` and `?`, or `\\server\share\path`"
)
TIME: Final[Shape] = text("a time, as RFC 3339 has it: `2026-11-25T14:05:00Z`", most=40, form="date-time")

NAME: Final[Shape] = or_null(said())
COUNT: Final[Shape] = or_null(whole())
WHEN: Final[Shape] = or_null(moment())

COST: Final[Shape] = words(
    "none",
    "reopen",
    "unsaved",
    "unknown",
    doc="what it costs its user: nothing; the program sees an error or opens it again; work that is not saved may be "
    "lost; the server does not say enough to tell",
)
HOW: Final[Shape] = words("told", "inferred", "candidates", "seen", "unknown", doc="how that is known")

ERROR: Final[Shape] = record(
    {
        "schema": whole("the version of this form", 1, 1),
        "error": record(
            {
                "code": or_null(whole("the number of Windows' error that it comes to")),
                "message": said("what is wrong, in a sentence"),
                "hint": or_null(said("what to do about it")),
            }
        ),
    },
    "what every refusal is",
)

TROUBLE: Final[Shape] = or_null(
    record({"code": or_null(whole()), "message": said(), "hint": or_null(said())}, "why it is not answered")
)

NAMES: Final[Shape] = many(said())
