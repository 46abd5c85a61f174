"""`lanman help`: what a verb does, or one of the topics."""

from __future__ import annotations

from lanman.faces.cli import completers, output
from lanman.faces.cli.helptext import TOPICS, long_help, overview
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import Program, verb
from lanman.faces.cli.parameters import Candidate, Context, argument
from lanman.faces.dialect import DialectError


def names(context: Context, begun: str) -> list[Candidate]:
    """The verbs and the topics that begin so."""
    program: Program = context.program
    verbs = [(command.name or "", command.summary) for command in program.every_verb()]
    return completers.beginning([*verbs, *((topic, about) for topic, (about, _) in TOPICS.items())], begun)


def explained(context: Context, begun: str) -> list[Candidate]:
    """The words of the verb before them that have a help page and begin so."""
    program: Program = context.program
    try:
        command = program.load(context.words[0])
    except (DialectError, IndexError):
        return []
    return completers.beginning(() if command.explained is None else command.explained.words(), begun)


@verb(
    "help",
    summary="explain a verb",
    asks_program=True,
    syntax=f"lanman help [VERB [WORD] | {' | '.join(TOPICS)}]",
    about="Explains a verb, one of its words where it has such (doctor LD034), or a topic; or lists the verbs.",
    examples="""
lanman help session     the sessions of a server: every switch, and examples
lanman help syntax      how switches may be written
lanman help net         how to type `net` in place of `lanman`
lanman help doctor LD034  what one of doctor's checks looks at, and what helps
""",
)
@argument("name", required=False, shell_complete=names)
@argument("words", many=True, shell_complete=explained)
def help(program: Program, invocation: Invocation, name: str | None, words: tuple[str, ...]) -> None:
    """Print the list of verbs, a topic, or what a verb does. DialectError 3503: words that nothing is known about."""
    if words and name is not None and name.casefold() not in TOPICS:
        command = program.load(name)
        if command.explained is not None:
            if (page := command.explained.page(" ".join(words))) is None:
                raise DialectError(3506, " ".join(words), f"`lanman help {command.name}` tells which words there are.")
            output.emit(page)
            return
    # NET HELP CONFIG SERVER is a form of its own there.
    if words and (name or "").casefold() not in ("config", "statistics", "stats", "start", "stop"):
        raise DialectError(3503)
    if name is None:
        output.emit(overview(program.every_verb()))
    elif (topic := TOPICS.get(name.casefold())) is not None:
        output.emit([output.heading(f"{name.upper()}: {topic[0]}"), "", *topic[1].strip("\n").splitlines(), ""])
    else:
        output.emit(long_help(program.load(name)))
