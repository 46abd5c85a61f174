"""Which database of history is meant: `--db`, else LANMAN_DB, else the file in the home.

A password in a URL is erased from the command line (`lanman.faces.cli.secrets`); it is better in LANMAN_DB, or where
PostgreSQL itself looks for it (PGPASSFILE).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lanman.faces.cli import completers
from lanman.faces.cli.invocation import DATABASE_VARIABLE
from lanman.faces.cli.options import LateOption, bad_value
from lanman.faces.cli.parameters import Parameter, option

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def database_url(parameter: Parameter, text: str | None) -> str | None:
    """What --db names. Raises DialectError 3952 for an empty one: a variable that is not set is no database."""
    if text is not None and not text.strip():
        raise bad_value(
            parameter, "It is sqlite:///FILE or postgresql://USER@HOST/NAME; without it, a file of the home."
        )
    return text


def database_option() -> Decorator:
    """`--db URL`."""
    return option(
        "--db",
        "database",
        cls=LateOption,
        metavar="DATABASE",
        shell_complete=completers.files,
        callback=database_url,
        help="where it is kept: sqlite:///FILE, or postgresql://USER@HOST/NAME (LANMAN_DB; a file of the home)",
    )


def named_database(typed: str | None) -> str | None:
    """The URL that is named, on the command line or in the environment; None for the file in the home."""
    return typed or os.environ.get(DATABASE_VARIABLE) or None


def recorded_name(invocation: Invocation) -> str:
    """What a server is called in history: as it was named behind -S, with its port where it was written there
    (`lanman.manage.cluster.Place`); this machine by its own name."""
    server = invocation.server
    if server is None:
        import socket

        return socket.gethostname()
    if invocation.given_port is not None or invocation.port is None:
        return server
    return f"[{server}]:{invocation.port}" if ":" in server else f"{server}:{invocation.port}"


def has_database(typed: str | None, home: str | None) -> bool:
    """Whether there is a database to be written to: one that is named, or the file in the home."""
    if named_database(typed) is not None:
        return True
    from lanman.manage.history.opening import FILE
    from lanman.net.home import default_home

    try:
        return (default_home(home).path / FILE).is_file()
    except OSError:  # a folder that one may not enter
        return False
