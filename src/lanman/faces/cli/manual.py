"""The manual page, made from the verbs: `python -m lanman.faces.cli.manual > docs/man/lanman.1`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lanman import __version__
from lanman.faces.cli.helptext import TOPICS
from lanman.faces.cli.loader import load, names
from lanman.faces.cli.options import COMMON_OPTIONS, Verb
from lanman.faces.cli.parameters import Option, Parameter

DESCRIPTION = """
lanman is the Windows Server service and the NET SESSION family. It lists, inspects and ends the sessions and open files
of any SMB server (Windows, Samba, lanman's own), and it is such a server itself. Without -S, the Server service of this
machine is meant: lanman's own, asked over its control socket and without a password, or else what answers on port 445.
"""

EXIT_STATUS = (
    ("0", "success; an empty list too, and ending all sessions where nobody is connected"),
    ("1", "wrong syntax, a value of the wrong kind included"),
    ("2", "any other error, and an answer of No"),
    ("3", "the answer is not so: `doctor` has found problems"),
    ("4", "incomplete: a server did not answer, or an answer of `history` touches a time that was not seen"),
    ("5", "access denied"),
    ("130", "interrupted"),
    ("141", "whoever read the output has stopped reading (| head); nothing is said of it"),
)

ENVIRONMENT = (
    ("LANMAN_HOME", "where this user's Server keeps its accounts, its configuration and its control socket (--home)"),
    ("LANMAN_PASSWORD", "the password of a log-on, where neither the command line nor the file of -A has one"),
    ("NO_COLOR", "anything but nothing: no colours"),
    ("XDG_STATE_HOME", "holds the home, lanman, of users other than root; ~/.local/state where it is not set"),
)

FILES = (
    ("accounts", "who may log on to this user's Server; mode 0600"),
    ("server.toml", "its configuration"),
    ("control", "the socket over which `lanman` asks it"),
    ("server.log", "what `lanman start server` let it say"),
)


def escaped(text: str) -> str:
    """Text for roff: a backslash is `\\e`, a hyphen one that can be copied, and no line begins with a command."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", safe, flags=re.MULTILINE)


def manual() -> str:
    """The whole page, in the man macros of roff."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield f'.TH LANMAN 1 "" "lanman {__version__}" "User Commands"'
    yield from (".SH NAME", escaped("lanman - the Windows Server service and the NET SESSION family"))
    yield from (".SH SYNOPSIS", ".B lanman", ".I VERB", "[options]")
    yield from (".SH DESCRIPTION", *_prose(DESCRIPTION))
    yield ".SH VERBS"
    for name in names():
        yield from _verb(load(name))
    yield from (".SH OPTIONS OF EVERY VERB", *_options(COMMON_OPTIONS))
    for topic in ("syntax", "net"):
        title, text = TOPICS[topic]
        yield from (f'.SH "{escaped(title.replace("`", "")).upper()}"', *_listing(text))
    for heading, pairs in (("EXIT STATUS", EXIT_STATUS), ("ENVIRONMENT", ENVIRONMENT)):
        yield from (f'.SH "{heading}"', *_pairs(pairs))
    yield from (".SH FILES", *_prose("In the home, which is /var/lib/lanman for root:"), *_pairs(FILES))
    yield from (".SH SEE ALSO", ".BR smbclient (1),", ".BR rpcclient (1),", ".BR net (8)")


def _verb(command: Verb) -> Iterator[str]:
    yield f".SS {command.name}"
    yield from _listing(command.syntax)
    yield from _prose(command.about)
    yield from _options([option for option in command.params if option not in COMMON_OPTIONS])
    if command.examples:
        yield from (".PP", "Examples:", *_listing(command.examples))


def _options(options: Sequence[Parameter]) -> Iterator[str]:
    yield from _pairs([option.help_record() for option in options if isinstance(option, Option)])


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, text in pairs:
        yield from (".TP", f".B {escaped(term)}", escaped(text))


def _prose(text: str) -> Iterator[str]:
    yield ".PP"
    yield from (escaped(line) for line in text.strip().splitlines())


def _listing(text: str) -> Iterator[str]:
    """Lines as they stand."""
    yield from (".PP", ".nf", *(escaped(line) for line in text.strip("\n").splitlines()), ".fi")


if __name__ == "__main__":
    print(manual(), end="")
