"""The filters of `session` and `file`: what may be typed, before any server is asked.

What a filter selects is said in `lanman.manage.selection`. Here an empty one is refused, with NET's message for a bad
value: a variable that is not set must never mean everything.
"""

from __future__ import annotations

import click

from lanman.errors import Win32Error
from lanman.faces.cli.options import bad_value
from lanman.faces.dialect import DialectError
from lanman.manage.selection import bare_client, check_filters, is_pattern

MAX_CLIENT_NAME = 255


def client_filter(context: click.Context, parameter: click.Parameter, typed: str | None) -> str | None:
    """A client, with or without backslashes."""
    return _checked(parameter, "client", typed)


def user_filter(context: click.Context, parameter: click.Parameter, typed: str | None) -> str | None:
    """A user, with or without a domain."""
    return _checked(parameter, "user", typed)


def path_filter(context: click.Context, parameter: click.Parameter, typed: str | None) -> str | None:
    """A path or a pattern."""
    return _checked(parameter, "path", typed)


def _checked(parameter: click.Parameter, kind: str, typed: str | None) -> str | None:
    try:
        check_filters(**{kind: typed})
    except Win32Error as error:
        raise bad_value(parameter, f"{error.message[0].upper()}{error.message[1:]}.") from None
    return typed


def client_name(word: str) -> str:
    """The client named as an argument: one, and no path. Raises DialectError 3870."""
    bare = bare_client(word)
    if not bare.strip() or len(bare) > MAX_CLIENT_NAME or is_pattern(bare) or "\\" in bare or "/" in bare:
        raise DialectError(
            3870,
            word,
            r"A client is written \\NAME or \\ADDRESS, as `lanman session` lists it; --client takes patterns.",
        )
    return bare
