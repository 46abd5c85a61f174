"""From the words on the command line to a verb, and from whatever happens there to an exit status.

What is loaded is what the command needs: the module of its verb and, where help is shown, the texts of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.loader import every_verb, load
from lanman.faces.cli.options import (
    COMMON_OPTIONS,
    HELP_SWITCH,
    VERSION_SWITCH,
    Program,
    Verb,
    switches,
)
from lanman.faces.cli.output import is_terminal
from lanman.faces.dialect import DialectError, Grammar, normalise, split_verb
from lanman.faces.text import escape

_WITHOUT_A_VERB: Final = Grammar([*switches(COMMON_OPTIONS), HELP_SWITCH, VERSION_SWITCH])


def run(arguments: Sequence[str]) -> int:
    """The whole command; `arguments` are those behind the program's name. Gives the exit status, raises nothing."""
    _forgive_encodings()
    try:
        if arguments[:1] == ["__complete"]:
            from lanman.faces.cli.completion import emit_candidates

            return emit_candidates(arguments[1:], PROGRAM)
        return _run(arguments)
    except (KeyboardInterrupt, EOFError):
        output.complain([""])
        return output.EXIT_INTERRUPTED
    except LanmanError as error:
        return output.report(error)
    except output.StandardOutputError as error:
        return _standard_output_failed(error)


def _run(arguments: Sequence[str]) -> int:
    command: Verb | None = None
    try:
        name, words = split_verb(arguments, _WITHOUT_A_VERB)
        if name is None:
            return _without_a_verb(words)
        command = load(name)
        line = normalise(words, command.grammar)
        if "--help" in line.options:
            from lanman.faces.cli.helptext import long_help, short_help

            output.emit(short_help(command) if any(word in ("/?", "-?") for word in words) else long_help(command))
            return output.EXIT_SUCCESS
        status = command.run(line, PROGRAM)
        return output.EXIT_SUCCESS if status is None else status
    except DialectError as error:
        return _misspelt(error, command)


def _without_a_verb(words: Sequence[str]) -> int:
    """Only options: the version or the list of verbs, where one of them was asked for; else it is an error."""
    from lanman.faces.cli.helptext import overview

    line = normalise(words, _WITHOUT_A_VERB)
    if "--version" in line.options:
        from lanman import __version__

        output.emit([f"lanman {__version__}"])
        return output.EXIT_SUCCESS
    if "--help" in line.options:
        output.emit(overview(every_verb()))
        return output.EXIT_SUCCESS
    output.complain(overview(every_verb()))
    return output.EXIT_SYNTAX


def _misspelt(error: DialectError, command: Verb | None) -> int:
    """NET's message, the remedy, and the syntax."""
    lines = [escape(line) for line in error.lines()]
    if error.hint:
        lines += [escape(error.hint), ""]
    if command is not None:
        from lanman.faces.cli.helptext import short_help

        lines += short_help(command)
    output.complain([*lines, *error.more_help()])
    return output.EXIT_SYNTAX


def _standard_output_failed(error: output.StandardOutputError) -> int:
    """The reader has gone, or the disk is full: keep Python from writing again at exit, and report the latter.

    A reader that has seen enough (`| head -1`) is no error. Other programs are ended by SIGPIPE then, without a word.
    """
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        except (OSError, ValueError):
            pass
        finally:
            os.close(nowhere)
    if isinstance(error.__cause__, BrokenPipeError):
        return output.EXIT_BROKEN_PIPE
    lines = output.error_lines(codes.ERROR_GEN_FAILURE)
    output.complain([*lines, f"Standard output cannot be written: {error}."])
    return output.EXIT_ERROR


def _forgive_encodings() -> None:
    # A name that the terminal's encoding lacks is shown escaped; it is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    # What is typed at a question in another encoding is a wrong answer, and no reason to fail either.
    reconfigure = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="surrogateescape")


def _may_start(invocation: Invocation) -> bool:
    """Where there is a person and a configured Server, ask whether to start it as NET does, and start it."""
    from lanman.net.home import default_home

    home = default_home(invocation.home)
    if invocation.answer is False or not is_terminal(sys.stdin) or not home.configuration.exists():
        return False
    invocation.say(f"{codes.win32_text(codes.NERR_ServerNotStarted)}\n\n")
    if not invocation.confirm("Is it OK to start it?", default=True):
        return False
    from lanman.faces.cli.background import start_service

    start_service(invocation, home, [])
    return True


PROGRAM: Final = Program(load, every_verb, _may_start)
