"""`lanman watch`: who comes and goes, and what they open and close, while it happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lanman.faces.cli import completers
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value, duration, number, seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, option
from lanman.faces.cli.selecting import client_filter, path_filter, server_of_path, user_filter
from lanman.faces.dialect import DialectError
from lanman.manage.selection import split_unc

MAX_COUNT: Final = 10**9
HOW_MANY: Final = "It is a number of events, from 1 on."


def some_time(parameter: Parameter, text: str | None) -> float | None:
    """A duration that is not none. Raises DialectError 3952."""
    value = duration(parameter, text)
    if value is not None and value <= 0:
        raise bad_value(parameter, "It is a duration, such as 0.5s, 2s or 1m.")
    return value


@verb(
    "watch",
    summary="show who comes and goes, while it happens",
    many_servers=True,
    names_server=server_of_path,
    syntax=r"""
lanman watch [-S HOST]... [--files] [--shares] [--client NAME] [--user NAME]
             [--path PATH] [--every T] [--deadline S] [--for T] [--count N]
             [--plain | --json]
lanman watch [-S HOST]... [--client NAME] [--user NAME] [--path PATH]
             [--every T] [--deadline S] [--readonly]
""",
    about=r"""
Writes a line for each session that comes or goes; with --files for each file that is opened or closed, and with
--shares for each share that is added, changed or removed.
On a terminal, and without --plain, --json or an end, it is a screen of sessions, files and shares, where
lanman was installed with its extra tui.
--path is a path as it is listed, a pattern over such paths, or a path of a share: \\fs1\projects\*.xlsx.
lanman's own Server on this machine tells each event itself, to root and to the user that it runs as. Every other
server is asked again and again: what comes and goes between two answers is not seen. It is asked less often than
--every says where its answers take long. A server that does not answer is tried again until it does, but not one
that refuses the log-on. --json writes one object a line. The exit status is 4 where something may be missing.
""",
    examples=r"""
lanman watch                               this machine's Server
lanman watch -S fs1 -U ann --files         sessions and open files of \\fs1, as ann
lanman watch --path '*.xlsx' --user bob    which spreadsheets a user opens
lanman watch -S fs1,fs2 --json --for 1h    an hour of two servers, for programs
""",
)
@option("--every", metavar="T", callback=some_time, help="how often to ask a server (2s)")
@option("--files", is_flag=True, help="open files too")
@option("--shares", is_flag=True, help="shares too")
@option("--client", metavar="NAME", callback=client_filter, shell_complete=completers.clients, help="only this client")
@option("--user", metavar="NAME", callback=user_filter, shell_complete=completers.users, help="only this user")
@option("--path", metavar="PATH", callback=path_filter, help="only open files with this path, or like this pattern")
@option("--plain", is_flag=True, help="a line for each event, wherever it is written to")
@option("--deadline", "--timeout", metavar="S", callback=seconds, help="seconds for each answer (10)")
@option("--for", "how_long", metavar="T", callback=some_time, help="end after so long")
@option("--count", metavar="N", callback=number(1, MAX_COUNT, HOW_MANY), help="end after so many events")
@option("--readonly", is_flag=True, help="the screen gives no orders")
def watch(
    invocation: Invocation,
    every: float | None,
    files: bool,
    shares: bool,
    client: str | None,
    user: str | None,
    path: str | None,
    plain: bool,
    deadline: float | None,
    how_long: float | None,
    count: int | None,
    readonly: bool,
) -> int:
    """Show a screen, or write what happens, until the end. Gives the exit status.

    DialectError 3510: words that do not go together.
    """
    if invocation.format is Format.CSV:
        raise DialectError(3510, hint="What happens is written with --plain for people and with --json for programs.")
    if plain and invocation.format is Format.JSON:
        raise DialectError(3510, hint="Give one of --plain and --json.")
    # What watches takes time to load.
    from lanman.faces.cli.watching import Wanted, watch_lines, watch_screen

    groups = [
        (name, [replace(each, timeout=deadline or each.timeout) for each in group])
        for name, group in invocation.groups()
    ]
    servers = [each for _, group in groups for each in group]
    if path is not None and len(servers) > 1 and split_unc(path) is not None:
        raise DialectError(3510, hint=f"{path} is on one server: watch that one, or give a path without its server.")
    wanted = Wanted(files, client, user, path, shares, every, how_long, count)
    if invocation.format is Format.TABLE and not plain and how_long is None and count is None:
        status = watch_screen(groups, wanted, readonly=readonly)
        if status is not None:
            return status
    return watch_lines(servers, wanted)
