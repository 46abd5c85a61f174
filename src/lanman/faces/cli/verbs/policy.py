"""`lanman policy`: sessions that are ended by rule, after those who have them were told.

Rules:

  - The first word says what is to be done; what stands behind it is checked before any file or server is looked at.
  - `check` and `plan` change nothing; `run` does what policies.toml says, which is nothing but reports where no policy
    says `mode = "enforce"`; `status` and `spare` look into the database, and no server is asked.
  - `plan` with a server that does not answer has status 4, as every answer with a part missing.
"""

from __future__ import annotations

from typing import Final

from lanman.faces.cli import completers
from lanman.faces.cli.databases import database_option
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument, option
from lanman.faces.dialect import DialectError
from lanman.shown import seconds_of

SUBVERBS: Final = {
    "check": "read policies.toml, and say what is wrong with it",
    "plan": "what policies would do now",
    "run": "put policies to work, until it is stopped",
    "spare": "leave a session, a user or a client alone for a time",
    "status": "what was promised to whom, and when it is due",
}
"""What the first word may be, with what it means."""

YEAR: Final = 86400 * 365


@verb(
    "policy",
    summary="end sessions by rule, after telling people",
    aliases=("policies",),
    takes_paths=True,
    syntax=r"""
lanman policy check [NAME]... [--policies FILE]
lanman policy plan [NAME]... [-S HOST]... [--policies FILE] [--db DATABASE]
lanman policy run [NAME]... [-S HOST]... [--policies FILE] [--db DATABASE]
lanman policy status [--db DATABASE]
lanman policy spare KEY DURATION [-S HOST [--policies FILE]] [--db DATABASE]
""",
    about=r"""
Ends sessions as policies.toml says, which lies beside lanman.toml: who has been idle for too long, who is connected
outside working hours, who has more sessions than is allowed. Each [policies.NAME] there reports what it would do until
it has `mode = "enforce"`; people are told first, as lanman.toml says; who may lose work is left alone; and where more
than `at_most` sessions are meant on a server, nothing is done there at all.
`plan` shows what would be done now. `run` does it, again and again, until Ctrl-C or SIGTERM; SIGHUP has it read
policies.toml and lanman.toml anew. What was promised is kept in the database of `lanman history` (--db): a run that is
started again forgets no deadline and tells nobody twice. One run works with a database at a time.
`spare` leaves somebody alone: KEY is a user, a client (\\pc7), or the key of a session in `plan --json`; DURATION is
30m, 2h or 1d; 0 ends that. NAME is the name of a policy; without one, all are meant. With -S only these servers are
asked, and policies that name no servers are for them.
""",
    examples=r"""
lanman policy check                        is policies.toml right?
lanman policy plan -S fs1 -A login         what would be done there now
lanman policy run -A login                 do it
lanman policy status                       what is due when, and why
lanman policy spare bob 2h                 leave bob alone until then
lanman policy spare '\\pc7' 0              and \\pc7 no longer
""",
)
@argument("what", required=False, shell_complete=lambda context, begun: completers.beginning(SUBVERBS.items(), begun))
@argument("words", many=True)
@option(
    "-S",
    "--server",
    "servers",
    multiple=True,
    metavar="HOST[:PORT]",
    help="the server, several times for several; without it, those that the policies name, or this machine's",
)
@option(
    "--policies",
    metavar="FILE",
    shell_complete=completers.files,
    help="the policies, where they are not in policies.toml beside lanman.toml",
)
@database_option()
def policy(
    invocation: Invocation,
    what: str | None,
    words: tuple[str, ...],
    servers: tuple[str, ...],
    policies: str | None,
    database: str | None,
) -> int | None:
    """Check, plan, run, show or spare. Gives the exit status. DialectError: words that are missing, or do not go
    together."""
    chosen = subverb(what)
    _check(invocation, chosen, words, servers, policies)
    # What works on policies takes time to load.
    from lanman.faces.cli import policies as work

    wish = work.Wish(",".join(servers) or None, policies, database)
    if chosen == "check":
        return work.check(invocation, words, wish)
    if chosen == "plan":
        return work.plan(invocation, words, wish)
    if chosen == "run":
        return work.run(invocation, words, wish)
    if chosen == "status":
        return work.status(invocation, wish)
    return work.spare(invocation, words[0], spare_time(words[1]), wish)


def subverb(word: str | None) -> str:
    """Which of the sub-verbs a word is, in any case, shortened while that is unambiguous. Raises DialectError."""
    words = ", ".join(SUBVERBS)
    if word is None:
        raise DialectError(3953, hint=f"Say what: {words}.")
    folded = word.casefold()
    found = [each for each in SUBVERBS if folded and each.startswith(folded)]
    if folded in SUBVERBS or len(found) == 1:
        return folded if folded in SUBVERBS else found[0]
    if found:
        raise DialectError(3507, word, f"It may mean {' or '.join(found)}.")
    raise DialectError(3506, word, f"It is one of {words}.")


def spare_time(text: str) -> float:
    """For how long somebody is left alone, in seconds. Raises DialectError 3952."""
    seconds = seconds_of(text)
    if seconds is None or (text.isdigit() and seconds) or seconds > YEAR:
        raise DialectError(
            3952, "DURATION", "It is a time of at most a year, such as 30m, 2h or 1d, or 0 for no longer."
        )
    return seconds


def _check(
    invocation: Invocation, chosen: str, words: tuple[str, ...], servers: tuple[str, ...], policies: str | None
) -> None:
    """Raises DialectError for words and options that do not go with a sub-verb."""
    if invocation.format is Format.CSV and chosen != "plan":
        raise DialectError(3510, hint=f"--csv goes with `policy plan`, and not with `{chosen}`.")
    if chosen == "spare" and len(words) != 2:
        raise DialectError(3503, hint="`policy spare` wants a user, client or session, and a duration: bob 2h.")
    if chosen == "status" and words:
        raise DialectError(3503, hint="`policy status` takes no words behind it.")
    if chosen == "spare" and not words[0].strip("\\/ \t"):
        raise DialectError(3952, "KEY", "It is a user, a client or the key of a session, and not empty.")
    if chosen in ("check", "status") and servers:
        raise DialectError(3510, hint=f"-S does not go with `policy {chosen}`: no server is asked.")
    if policies is not None and (chosen == "status" or (chosen == "spare" and not servers)):
        raise DialectError(3510, hint=f"--policies does not go with `policy {chosen}`: the database is asked.")
    if policies == "" or "" in words:
        raise DialectError(3952, "--policies" if policies == "" else "NAME", "It is empty.")
    for each in servers:
        if not each.strip("\\/ ,"):
            raise DialectError(3952, "--server", "It is a server, and not empty.")
