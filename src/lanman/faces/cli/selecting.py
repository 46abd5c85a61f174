"""The filters of `session` and `file`: what may be typed, before any server is asked.

What a filter selects is said in `lanman.manage.selection`. Here an empty one is refused, with NET's message for a bad
value: a variable that is not set must never mean everything.
"""

from __future__ import annotations

import os
from typing import Any

from lanman.errors import Win32Error
from lanman.faces.cli.options import bad_value
from lanman.faces.cli.parameters import Parameter
from lanman.faces.dialect import DialectError
from lanman.manage.selection import bare_client, canonical_client, check_filters, is_pattern, split_unc

MAX_CLIENT_NAME = 255


def client_filter(parameter: Parameter, typed: str | None) -> str | None:
    """A client, with or without backslashes."""
    return _checked(parameter, "client", typed)


def user_filter(parameter: Parameter, typed: str | None) -> str | None:
    """A user, with or without a domain."""
    return _checked(parameter, "user", typed)


def path_filter(parameter: Parameter, typed: str | None) -> str | None:
    """A path or a pattern."""
    return _checked(parameter, "path", typed)


def _checked(parameter: Parameter, kind: str, typed: str | None) -> str | None:
    try:
        check_filters(**{kind: typed})
    except Win32Error as error:
        raise bad_value(parameter, f"{error.message[0].upper()}{error.message[1:]}.") from None
    return typed


def server_of_path(own: dict[str, Any], options: dict[str, Any]) -> str | None:
    """The server that a verb's path names; None where it is this machine, or where one of its services is named."""
    import socket

    unc = None if own["path"] is None else split_unc(own["path"])
    if unc is None or options["home"] or options["which_service"] or options["samba_config"]:
        return None
    here = {"localhost", "127.0.0.1", "::1", socket.gethostname(), os.environ.get("COMPUTERNAME", "")}
    elsewhere = options["port"] is not None or options["login"] is not None
    if not elsewhere and canonical_client(unc.server) in {canonical_client(name) for name in here if name}:
        return None
    return unc.server


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
