"""What `lanman`, `lanman help VERB` and `lanman VERB /?` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from lanman import codes
from lanman.faces.cli import output
from lanman.faces.cli.options import Verb
from lanman.faces.cli.parameters import Option

WIDTH: Final = 79

EXAMPLES: Final = r"""
lanman session                      who is connected to this machine
lanman session -S fs1 -U ann        who is connected to \\fs1; asks for ann's password
lanman session \\pc7 /delete        disconnect a client
lanman file -S fs1 -U ann           what is open there, and by whom
lanman serve /srv/data --port 4450  share a folder
"""

# NET HELP explains more than verbs; these are the topics here.
TOPICS: Final = {
    "net": (
        "how to type `net` in place of `lanman`",
        r"""
In a shell, for yourself:

  alias net=lanman NET=lanman

A script does not see aliases. For scripts, put a file named `net` into a
folder that stands early on the PATH:

  #!/bin/sh
  exec lanman "$@"

contrib/net in the sources is that file. lanman never installs it, because
Samba has a command of the same name.

A shell takes backslashes for itself. What it leaves of \\pc7 is \pc7, which
lanman understands as well; so it does '\\pc7' and //pc7. FIND "\\" is
grep -F '\\'.
""",
    ),
    "services": (
        "the services that can be started, stopped and configured",
        """
lanman has one of NET's services: the Server service, which shares folders and keeps sessions.

  lanman start server        start it in the background
  lanman stop server         stop it
  lanman pause server        let no newcomers in but administrators
  lanman continue server     let newcomers in again
  lanman config server       show or change its settings
  lanman statistics server   show what it has counted

There is no Workstation service: nothing has to run on this machine for it to
manage other machines' Servers.
""",
    ),
    "syntax": (
        "how to read the syntax lines, and how to type switches",
        r"""
  CAPITALS   are typed as they stand, in any case, or stand for something of
             yours (NAME)
  [ ]        may be left out
  { | }      choose one
  ...        may be repeated

A switch is written /DELETE or --delete. It may be shortened while that is
unambiguous (/del, /d), and may stand anywhere. A value stands behind a colon
(/AUTODISCONNECT:30) or, in the other form, behind = or a blank
(--autodisconnect 30). /Y answers every question with yes, /N with no.

A computer is written \\pc7, \pc7 or //pc7, and pc7 where nothing else could be
meant. A path such as /srv/data is a path. Behind -- nothing is a switch.

The exit status is 0 for success, 1 for wrong syntax, 3 where the answer is "not
so" (problems found), 4 where it is incomplete (a server did not answer), 5 for
access denied, 2 for any other error or an answer of No, and 130 after Ctrl-C.
""",
    ),
}


def overview(verbs: Iterable[Verb]) -> list[str]:
    """The verbs, each with its summary, and examples."""
    lines = ["The syntax of this command is:", "", "lanman VERB [OPTIONS]", ""]
    lines += [f"  {command.name:<12}{command.summary}" for command in verbs]
    lines += ["", output.heading("Examples:"), *(f"  {line}" for line in EXAMPLES.strip().splitlines())]
    lines += ["", "`lanman help VERB` explains a verb, `lanman VERB /?` shows its syntax."]
    return [*lines, "`lanman help syntax` tells how switches are written, `lanman help net` how to type `net`.", ""]


def short_help(command: Verb) -> list[str]:
    """The syntax of a verb, under NET's heading."""
    return [codes.message_text(4381), "", *command.syntax.strip().splitlines(), ""]


def long_help(command: Verb) -> list[str]:
    """The syntax, what the verb does, and every option."""
    import textwrap

    records = [option.help_record() for option in command.params if isinstance(option, Option)]
    about = textwrap.wrap(" ".join(command.about.split()), WIDTH, break_on_hyphens=False)
    lines = [*short_help(command), *about, ""]
    if command.examples:
        examples = (f"  {line}" for line in command.examples.strip().splitlines())
        lines += [output.heading("Examples:"), *examples, ""]
    lines += [output.heading("Options:"), *_in_two_columns(records), ""]
    return [*lines, "Options may be written in NET's way as well (/DELETE, /del, /USER:ann) and stand anywhere.", ""]


def _in_two_columns(records: Sequence[tuple[str, str]]) -> Iterator[str]:
    """How each option is written, and what it does beside it, or below where the former takes up too much room."""
    import textwrap

    wide = min(max(len(written) for written, _ in records), 30)
    for written, about in records:
        first, *others = textwrap.wrap(about, WIDTH - wide - 4) or [""]
        if len(written) > wide:
            yield f"  {written}"
            yield f"  {'':{wide}}  {first}"
        else:
            yield f"  {written:{wide}}  {first}".rstrip()
        yield from (f"  {'':{wide}}  {line}" for line in others)
