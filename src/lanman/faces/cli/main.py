"""From the words on the command line to a verb, and from whatever happens there to an exit status.

Only the module of the verb that was asked for is loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.options import HELP_SWITCH, VERSION_SWITCH, Verb, common_options, switches
from lanman.faces.dialect import DialectError, Grammar, UnknownVerb, normalise, split_verb
from lanman.faces.text import escape

# Each verb: its module, and what it does in a line.
VERBS: Final = {
    "completion": ("completion", "what a shell needs to complete lanman's words"),
    "config": ("server", "show or change the Server service's settings"),
    "file": ("file", "list the open files, show one, close one"),
    "help": ("help", "explain a verb"),
    "helpmsg": ("help", "explain an error by its number"),
    "localgroup": ("accounts", "the groups of this user's Server"),
    "serve": ("service", "be the Server service, in the foreground"),
    "session": ("session", "list the sessions, show a client's, end them"),
    "share": ("share", "list the shares, show one"),
    "start": ("service", "start the Server service in the background"),
    "statistics": ("server", "the Server service's counters"),
    "stop": ("service", "stop the Server service"),
    "user": ("accounts", "the accounts of this user's Server"),
}
EXAMPLES: Final = r"""
lanman session                      who is connected to this machine
lanman session -S fs1 -U ann        who is connected to \\fs1; asks for ann's password
lanman session \\pc7 /delete        disconnect a client
lanman file -S fs1 -U ann           what is open there, and by whom
lanman serve /srv/data --port 4450  share a folder
"""
ALIASES: Final = {
    "sess": "session",
    "sessions": "session",
    "files": "file",
    "stats": "statistics",
    "shares": "share",
    "users": "user",
    "localgroups": "localgroup",
}


def run(arguments: Sequence[str]) -> int:
    """The whole command; `arguments` are those behind the program's name. Gives the exit status, raises nothing."""
    _forgive_encodings()
    try:
        if arguments[:1] == ["__complete"]:
            from lanman.faces.cli.completion import emit_candidates

            return emit_candidates(arguments[1:])
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
        name, words = split_verb(arguments, Grammar([*switches(common_options()), HELP_SWITCH, VERSION_SWITCH]))
        if name is None:
            return _without_a_verb(words)
        command = load(name)
        line = normalise(words, command.grammar)
        if "--help" in line.options:
            output.emit(short_help(command) if any(word in ("/?", "-?") for word in words) else long_help(command))
            return output.EXIT_SUCCESS
        with command.make_context(command.name, line.argv()) as context:
            status: int | None = command.invoke(context)
            return output.EXIT_SUCCESS if status is None else status
    except DialectError as error:
        return _misspelt(error, command)
    except click.UsageError as error:
        # The dialect has checked every option; what click still finds is a missing or a superfluous argument.
        return _misspelt(DialectError(3503, hint=error.format_message()), command)


def load(name: str) -> Verb:
    """The verb of that name. Raises UnknownVerb."""
    folded = name.casefold()
    folded = ALIASES.get(folded, folded)
    if folded not in VERBS:
        raise UnknownVerb(name, "`lanman help` lists the verbs.")
    module = import_module(f"lanman.faces.cli.{VERBS[folded][0]}")
    command: Any = getattr(module, folded)
    assert isinstance(command, Verb)
    return command


def _without_a_verb(words: Sequence[str]) -> int:
    line = normalise(words, Grammar([*switches(common_options()), HELP_SWITCH, VERSION_SWITCH]))
    if "--version" in line.options:
        from lanman import __version__

        output.emit([f"lanman {__version__}"])
        return output.EXIT_SUCCESS
    if "--help" in line.options:
        output.emit(overview())
        return output.EXIT_SUCCESS
    output.complain(overview())
    return output.EXIT_SYNTAX


def _misspelt(error: DialectError, command: Verb | None) -> int:
    """NET's message, the remedy, and the syntax."""
    lines = [escape(line) for line in error.lines()]
    if error.hint:
        lines += [escape(error.hint), ""]
    if command is not None:
        lines += short_help(command)
    output.complain([*lines, *error.more_help()])
    return output.EXIT_SYNTAX


def _standard_output_failed(error: output.StandardOutputError) -> int:
    """Nobody reads any more, or the disk is full: keep Python from trying again at exit, and tell of the latter.

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


# --- help


def overview() -> list[str]:
    lines = ["The syntax of this command is:", "", "lanman VERB [OPTIONS]", ""]
    lines += [f"  {name:<12}{about}" for name, (_, about) in VERBS.items()]
    lines += ["", output.heading("Examples:"), *(f"  {line}" for line in EXAMPLES.strip().splitlines())]
    lines += ["", "`lanman help VERB` explains a verb, `lanman VERB /?` shows its syntax."]
    return [*lines, "`lanman help syntax` tells how switches are written, `lanman help net` how to type `net`.", ""]


def short_help(command: Verb) -> list[str]:
    return [codes.message_text(4381), "", *command.syntax.strip().splitlines(), ""]


def long_help(command: Verb) -> list[str]:
    """The syntax, what the verb does, and every option."""
    formatter = click.HelpFormatter(width=79)
    import textwrap

    context = click.Context(command)
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context)) is not None]
    formatter.indent()
    formatter.write_dl(records)
    about = textwrap.wrap(" ".join(command.about.split()), 79, break_on_hyphens=False)
    lines = [*short_help(command), *about, ""]
    if command.examples:
        examples = (f"  {line}" for line in command.examples.strip().splitlines())
        lines += [output.heading("Examples:"), *examples, ""]
    lines += [output.heading("Options:"), *formatter.getvalue().splitlines(), ""]
    return [*lines, "Options may be written in NET's way as well (/DELETE, /del, /USER:ann) and stand anywhere.", ""]
