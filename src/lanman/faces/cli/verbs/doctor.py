r"""`lanman doctor`: why a server denies, or does not answer, and what to do about it.

Rules:

  - Nothing is changed, and there is one log-on.
  - The exit status is 0 where all is well, 3 where a server answered and there are problems (a denial is one), and 2
    where there was nobody to ask: no server at that name and port, or none started on this machine.
  - Warnings do not count unless --strict, what is unknown never does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from lanman.errors import Win32Error
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import PORT_HINT, Invocation
from lanman.faces.cli.options import Explained, seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Candidate, Context, argument, option
from lanman.faces.dialect import DialectError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lanman.manage.doctor.report import Diagnosis


def _words() -> list[tuple[str, str]]:
    """The ids of the checks and what each looks at."""
    from lanman.manage.doctor.run import checks

    return [(each.id, f"{each.category}: {each.name}") for each in checks()]


def _page(word: str) -> list[str] | None:
    from lanman.faces.cli.doctor_lines import help_page

    return help_page(word)


def chosen_words(context: Context, begun: str) -> list[Candidate]:
    """The ids and categories that begin so."""
    from lanman.manage.doctor.check import CATEGORIES

    return completers.beginning(
        [*((name.replace(" ", "-"), about) for name, about in CATEGORIES.items()), *_words()], begun
    )


@verb(
    "doctor",
    one_server=True,
    summary="say why a server denies, and what helps",
    syntax=r"""
lanman doctor [CHECK...] [--strict] [--short | --plain]
lanman doctor --list-checks
""",
    about=r"""
Examines a server, or this machine's Server where none is named, and says of everything that does not work what shows
it, why it is so, and what to do. Nothing is changed, and there is one log-on. A CHECK is an id (LD034) or a category:
reach, protocol, log-on, levels, files, ending, server, this-machine. The exit status is 0 where all is well, 3 where
there are problems, and 2 where there was nobody to ask. `lanman help doctor LD034` explains a check.
""",
    examples=r"""
lanman doctor -S fs1 -U ann         why is ann denied on \\fs1?
lanman doctor                       this machine: its Server, its home, its port, its Samba
lanman doctor reach -S fs1 -N       only whether there is a server at all
lanman doctor --strict --short      for a script: what is not as it should be, warnings too
""",
    explained=Explained(_page, _words),
)
@argument("checks", many=True, shell_complete=chosen_words)
@option("--list-checks", is_flag=True, help="list the checks, and make none")
@option("--strict", is_flag=True, help="warnings count as problems for the exit status")
@option("--short", is_flag=True, help="a line for each problem and warning, and nothing else")
@option("--plain", is_flag=True, help="words in place of marks and columns, one finding a line")
@option(
    "--deadline",
    metavar="S",
    callback=seconds,
    help="seconds for each question to the server (10; --timeout is taken where it is not given)",
)
def doctor(
    invocation: Invocation,
    checks: tuple[str, ...],
    list_checks: bool,
    strict: bool,
    short: bool,
    plain: bool,
    deadline: float | None,
) -> int:
    """Examine, and show what was found. The exit status is that of the verdict."""
    if short and plain:
        raise DialectError(3510, hint="Give one of --short and --plain.")
    _check_words(checks)
    if list_checks:
        _list(invocation, checks)
        return output.EXIT_SUCCESS
    found = asyncio.run(_examined(invocation, checks, invocation.timeout if deadline is None else deadline))
    _show(invocation.format, found, strict=strict, short=short, plain=plain)
    from lanman.manage.doctor.report import Verdict

    statuses = {
        Verdict.WELL: output.EXIT_SUCCESS,
        Verdict.PROBLEMS: output.EXIT_NOT_SO,
        Verdict.NO_ANSWER: output.EXIT_ERROR,
    }
    return statuses[found.verdict(strict=strict)]


def _check_words(checks: tuple[str, ...]) -> None:
    """Raise DialectError 3506 for a word that is no check, before any server is asked."""
    from lanman.manage.doctor.run import chosen

    for word in checks:
        try:
            chosen([word])
        except Win32Error as error:
            named = word.startswith(("\\", "/"))
            hint = f"Name a server with -S: -S {word}." if named else f"{error.hint}."
            raise DialectError(3506, word, hint) from None


async def _examined(invocation: Invocation, checks: tuple[str, ...], deadline: float) -> Diagnosis:
    from lanman.faces.cli.progress import shown_waiting
    from lanman.manage.doctor.run import doctor

    if invocation.port is not None and not 1 <= invocation.port <= 65535:
        raise DialectError(3952, "--port", PORT_HINT)

    @contextlib.asynccontextmanager
    async def examining() -> AsyncIterator[Diagnosis]:
        yield await doctor(
            invocation.server,
            invocation.credentials,
            port=invocation.port,
            checks=checks,
            home=invocation.home,
            service=invocation.service,
            samba_config=invocation.samba_config,
            deadline=deadline,
        )

    async with shown_waiting(f"Examining {invocation.server or 'this machine'}", examining()) as found:
        return found


def _show(format: Format, found: Diagnosis, *, strict: bool, short: bool, plain: bool) -> None:
    from lanman.faces.cli import doctor_lines
    from lanman.manage.doctor.report import FIELDS

    if format is Format.JSON:
        output.emit_json(found.server, **found.as_json(strict=strict))
    elif format is Format.CSV:
        records = [finding.as_json() for finding in found.findings]
        output.emit_csv([{**each, "evidence": None} for each in records], FIELDS)
    elif short:
        output.emit(doctor_lines.short_lines(found))
    elif plain:
        output.emit(doctor_lines.plain_lines(found, strict=strict))
    else:
        output.emit(doctor_lines.report_lines(found, strict=strict))


def _list(invocation: Invocation, words: tuple[str, ...]) -> None:
    from lanman.manage.doctor.run import chosen

    listed = [
        {
            "id": each.id,
            "category": each.category,
            "check": each.name,
            "severity": each.severity.value,
            "looks_at": each.looks_at,
        }
        for each in chosen(words)
    ]
    if invocation.format is Format.JSON:
        output.emit_json(None, checks=listed)
    elif invocation.format is Format.CSV:
        output.emit_csv(listed, list(listed[0]))
    else:
        from lanman.faces.cli.doctor_lines import list_lines

        output.emit(list_lines(listed))
