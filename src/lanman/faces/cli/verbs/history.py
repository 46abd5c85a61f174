"""`lanman history`: who was on a server, and when; and the recorder that remembers it.

Rules:

  - The first word says what is asked; what stands behind it is checked before any database is opened.
  - A question opens what there is and makes no database; only `record` makes one.
  - An answer that touches a time that was not seen says so, in every format, with exit status 4.
"""

from __future__ import annotations

from time import time as wall_clock
from typing import Any, Final

from lanman.faces.cli import completers
from lanman.faces.cli.databases import database_option
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value, number, seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Argument, Parameter, argument, option
from lanman.faces.cli.planning import dry_run_option
from lanman.faces.cli.selecting import client_filter, path_filter, user_filter
from lanman.faces.dialect import DialectError

MAX_LIMIT: Final = 10**9
HOW_MANY: Final = "It is a number, from 1 on."
DAY: Final = 86400

SUBVERBS: Final = {
    "at": "who was there at a time",
    "between": "who was there at any moment between two times",
    "client": "what was open from a client",
    "export": "all of it, for other programs",
    "forget": "delete what is kept of a user, or of a client",
    "gaps": "the times that were not seen",
    "record": "remember who is there, until it is stopped",
    "stats": "what is kept",
    "user": "what a user had open",
    "who": "who had a file open",
}
"""What the first word may be, with what it means."""

# What each of them takes, beside the options of all: how many words (a date and a time may be two), and which options.
_WORDS: Final = {
    "at": (1, 2),
    "between": (2, 4),
    "client": (1, 1),
    "export": (0, 4),
    "forget": (0, 0),
    "gaps": (0, 4),
    "record": (0, 0),
    "stats": (0, 0),
    "user": (1, 1),
    "who": (1, 1),
}
_SPANS: Final = frozenset({"since", "until"})
_OPTIONS: Final = {
    "at": frozenset({"path", "user", "client", "kind"}),
    "between": frozenset({"path", "user", "client", "kind", "limit"}),
    "client": _SPANS | {"path", "user", "kind", "limit"},
    "export": _SPANS | {"parquet", "jsonl"},
    "forget": frozenset({"user", "client", "dry_run"}),
    "gaps": _SPANS,
    "record": frozenset({"every", "keep", "no_paths", "how_long"}),
    "stats": frozenset(),
    "user": _SPANS | {"path", "client", "kind", "limit"},
    "who": _SPANS | {"user", "client", "limit"},
}
_SPELT: Final = {"no_paths": "--no-paths", "how_long": "--for", "dry_run": "--dry-run"}

KINDS: Final = ("session", "file")


def keep_for(parameter: Parameter, text: str | None) -> int | None:
    """How many days are kept; 0 is for ever. Raises DialectError 3952."""
    import re

    if text is None:
        return None
    if text.casefold() == "forever":
        return 0
    found = re.fullmatch(r"([0-9]{1,6})([dwy])", text.casefold())
    days = int(found[1]) * {"d": 1, "w": 7, "y": 365}[found[2]] if found else 0
    if not 0 < days <= 36500:
        raise bad_value(parameter, "It is a number of whole days, such as 30d, 8w or 2y, or `forever`.")
    return days


def kind_of(parameter: Parameter, text: str | None) -> str | None:
    """`session` or `file`, in any case, or what they begin with. Raises DialectError 3952."""
    if text is None:
        return None
    found = [kind for kind in KINDS if text and kind.startswith(text.casefold().removesuffix("s"))]
    if len(found) != 1:
        raise bad_value(parameter, "It is session or file.")
    return found[0]


@verb(
    "history",
    summary="say who was on a server, and when; and remember it",
    aliases=("hist",),
    takes_paths=True,
    syntax=r"""
lanman history record [-S HOST]... [--every T] [--keep TIME] [--no-paths]
               [--for T] [--db DATABASE]
lanman history at TIME [--path PATH] [--user NAME] [--client NAME]
               [--kind session|file]
lanman history between TIME TIME [--path PATH] [--user NAME] [--client NAME]
               [--kind session|file] [--limit N]
lanman history who PATH | user NAME | client NAME [--since TIME]
               [--until TIME] [--limit N]
lanman history gaps [TIME TIME] | stats
lanman history export [TIME TIME] [--csv | --json | --parquet DIR]
lanman history forget {--user NAME | --client NAME} [/DRY-RUN] [/Y]
""",
    about=r"""
Says who was on a server: who had a session, who had a file open, from where, from when and until when.
`record` remembers it: it asks each server --every 5s, as `lanman watch` does, and keeps what it sees for 30 days, or
for --keep (30d, 8w, 2y, forever), until it is stopped. Without -S it is this machine's Server. One recorder writes to
a database at a time. --no-paths keeps no names of files.
A TIME is 14:05 or 14:05:30 of today, one with its date (2026-11-25 14:05), or RFC 3339 (2026-11-25T13:05:00Z): by this
machine's clock where it names no offset. PATH is a path as `lanman file` lists it, a pattern, or \\SERVER\SHARE\PATH.
What is kept is in a file of the home, or in the database that --db or LANMAN_DB names: sqlite:///FILE, or
postgresql://USER@HOST/NAME where lanman was installed with its extra postgresql. -S chooses servers of those that were
recorded.
What opens and closes between two looks is not seen. Where an answer touches a time in which a server was not seen at
all it says so, and the exit status is 4. `export` writes all of it: JSON, one object a line, CSV, or Parquet files
into a folder (extra parquet). `forget` deletes what is kept of a user or of a client, after asking, while no recorder
runs.
""",
    examples=r"""
lanman history record -S fs1,fs2 -A login --keep 90d    remember two servers
lanman history at 14:05                                 who was there at five past two
lanman history at 14:05 --path '*\budget.xlsx'          who had it open then
lanman history between 2026-11-24 2026-11-25 --user bob a day of one user
lanman history who '\\fs1\projects\*.xlsx' --limit 20   the last twenty to have one open
lanman history gaps --json                              when nothing was seen
lanman history export yesterday today --parquet /srv/archive
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
    help="the server, several times for several; without it, all that are recorded, and to record, this machine's",
)
@database_option()
@option("--path", metavar="PATH", callback=path_filter, help="only files with this path, or like this pattern")
@option("--user", metavar="NAME", callback=user_filter, shell_complete=completers.users, help="only this user")
@option("--client", metavar="NAME", callback=client_filter, shell_complete=completers.clients, help="only this client")
@option(
    "--kind", metavar="KIND", callback=kind_of, shell_complete=completers.one_of(*KINDS), help="only sessions, or files"
)
@option("--since", metavar="TIME", help="only what was there at this time or later")
@option("--until", metavar="TIME", help="only what was there at this time or earlier")
@option("--limit", metavar="N", callback=number(1, MAX_LIMIT, HOW_MANY), help="so many, the newest (200)")
@option("--every", metavar="T", callback=seconds, help="record: how often to ask a server (5s)")
@option("--keep", metavar="TIME", callback=keep_for, help="record: for how long (30d); `forever` deletes nothing")
@option("--no-paths", is_flag=True, help="record: keep no names of files")
@option("--for", "how_long", metavar="T", callback=seconds, help="record: stop after so long")
@option("--parquet", metavar="DIR", shell_complete=completers.files, help="export: Parquet files into this folder")
@option("--jsonl", is_flag=True, help="export: as --json, one object a line")
@dry_run_option()
def history(
    invocation: Invocation,
    what: str | None,
    words: tuple[str, ...],
    servers: tuple[str, ...],
    database: str | None,
    **options: Any,
) -> int | None:
    """Answer, or record. Gives the exit status. DialectError: words that are missing, or do not go together."""
    chosen = subverb(what)
    _check(chosen, words, options)
    if chosen == "record":
        from lanman.faces.cli.historyrecord import Recording, record

        if invocation.format is not Format.TABLE:
            raise DialectError(3510, hint="`record` answers nothing: --json and --csv go with the questions.")
        wish = Recording(servers, options["every"], options["keep"], not options["no_paths"], options["how_long"])
        return record(invocation, database, wish)
    if chosen == "forget":
        from lanman.faces.cli.historyforget import forget

        if servers:
            raise DialectError(3510, hint="`forget` is about all servers of a database: leave out -S.")
        return forget(invocation, database, options["user"], options["client"], dry_run=options["dry_run"])
    # What asks a database takes time to load.
    from lanman.faces.cli.historyquery import Question, ask, spans_of

    now = wall_clock()
    since, until = spans_of(chosen, words, options["since"], options["until"], now)
    question = Question(
        chosen,
        words[0] if chosen in ("who", "user", "client") else None,
        since,
        until,
        servers_named(servers),
        options["path"],
        options["user"],
        options["client"],
        options["kind"],
        options["limit"],
        now,
    )
    if chosen == "export":
        from lanman.faces.cli.historyexport import export

        return export(invocation, database, question, options["parquet"], lines=options["jsonl"])
    return ask(invocation, database, question)


def subverb(word: str | None) -> str:
    """Which of the sub-verbs a word is, in any case, shortened while that is unambiguous. Raises DialectError."""
    words = ", ".join(SUBVERBS)
    if word is None:
        raise DialectError(3953, hint=f"Say what: {words}.")
    folded = word.casefold()
    if folded in SUBVERBS:
        return folded
    found = [each for each in SUBVERBS if folded and each.startswith(folded)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DialectError(3507, word, f"It may mean {', '.join(found)}.")
    raise DialectError(3506, word, f"It is one of {words}.")


def _check(chosen: str, words: tuple[str, ...], options: dict[str, Any]) -> None:
    """Raises DialectError for too many or too few words, empty ones, and options of another sub-verb."""
    least, most = _WORDS[chosen]
    if not least <= len(words) <= most:
        wants = {
            (0, 0): "takes no words behind it",
            (0, 4): "takes two times, or none",
            (1, 1): "wants one name",
            (1, 2): "wants one time",
            (2, 4): "wants two times",
        }[least, most]
        raise DialectError(3503, hint=f"`history {chosen}` {wants}.")
    for name, value in options.items():
        if value not in (None, False, ()) and name not in _OPTIONS[chosen]:
            goes_with = ", ".join(each for each, names in _OPTIONS.items() if name in names)
            spelt = _SPELT.get(name, f"--{name}")
            raise DialectError(3510, hint=f"{spelt} does not go with `{chosen}`: it is for {goes_with}.")
    if chosen in ("who", "user", "client"):
        check = {"who": path_filter, "user": user_filter, "client": client_filter}[chosen]
        check(Argument(chosen), words[0])


def servers_named(typed: tuple[str, ...]) -> tuple[str, ...]:
    """The servers in what was typed behind each -S: one, or several with commas between them. Raises DialectError."""
    named = tuple(dict.fromkeys(part.strip() for each in typed for part in each.split(",")))
    if "" in named:
        raise DialectError(3952, "--server", "It is the name of a server, or several with commas between them.")
    return named
