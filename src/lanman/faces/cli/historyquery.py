"""How `lanman history` asks a database, and answers: as text, JSON or CSV.

Rules:

  - Filters that a question has beside its own are the store's. Only `--kind` is chosen here, and as many stays are
    asked for as that takes.
  - A question ends within the time-out, but for `stats` and `export`, which read all there is.
  - The exit status is 4 where an answer touches a gap; the answer says which.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.databases import named_database
from lanman.faces.cli.historylines import (
    NEAR,
    Asked,
    closing,
    gap_lines,
    gap_words,
    heading_of_moment,
    heading_of_time,
    stats_lines,
    stay_lines,
    wrapped,
)
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError
from lanman.faces.moments import NotATime, joined_words, parse_moment
from lanman.faces.text import escape
from lanman.manage.history import forms
from lanman.manage.history.records import Answer, GapRecord
from lanman.manage.history.store import Store
from lanman.manage.selection import is_pattern
from lanman.manage.watching.rows import Kind
from lanman.net.dial import Within
from lanman.plain import dataclass
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation

EXIT_INCOMPLETE: Final = 4

LIMIT: Final = 200
"""How many stays are given where nobody says."""

EVER: Final = 253402300799
"""The last second of the year 9999: after all that is kept."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `name` is the path, user or client that it is about; times are seconds since 1970, and None is no
    bound; no `servers` are all."""

    what: str
    name: str | None
    since: int | None
    until: int | None
    servers: tuple[str, ...]
    path: str | None
    user: str | None
    client: str | None
    kind: str | None
    limit: int | None
    now: float

    @property
    def asked(self) -> Asked:
        """The time that it is about."""
        return Asked(self.since, self.until, self.now)

    @property
    def newest_first(self) -> bool:
        """Whether the newest stays come first."""
        return self.what in ("who", "user", "client")

    @property
    def most(self) -> int | None:
        """How many stays to give at most; None is all."""
        if self.limit is None and not self.newest_first:
            return None
        return self.limit or LIMIT

    def filters(self) -> dict[str, str | None]:
        """The filters, with the one that the question itself is."""
        filters = {"path": self.path, "user": self.user, "client": self.client}
        if self.name is not None:
            filters["path" if self.what == "who" else self.what] = self.name
        return filters


# --- which time is meant


def spans_of(
    what: str, words: Sequence[str], since: str | None, until: str | None, now: float
) -> tuple[int | None, int | None]:
    """The time that a question is about, both seconds included; None is no bound. Raises DialectError."""
    times = [] if what in ("who", "user", "client") else joined_words(words)
    if times and (since is not None or until is not None):
        raise DialectError(3510, hint="Give the times, or --since and --until.")
    if what == "at":
        if len(times) != 1:
            raise DialectError(3503, hint="`history at` wants one time: 14:05, or a date and a time.")
        moment = _moment("TIME", times[0], now)
        _check_past("TIME", times[0], moment, now)
        return moment, moment
    begin: int | None
    end: int | None
    if what == "between" or times:
        if len(times) != 2:
            raise DialectError(3503, hint=f"`history {what}` wants two times, each with its date where it has one.")
        begin, end = _moment("TIME", times[0], now), _moment("TIME", times[1], now, is_end=True)
        named = "TIME", times[0]
    else:
        begin = None if since is None else _moment("--since", since, now)
        end = None if until is None else _moment("--until", until, now, is_end=True)
        named = "--since", since or ""
    if begin is not None:
        _check_past(*named, begin, now)
        if end is not None and end < begin:
            raise DialectError(3952, named[0], f"{named[1]} is later than what it ends with.")
    return begin, end


def _moment(name: str, typed: str, now: float, *, is_end: bool = False) -> int:
    try:
        moment = parse_moment(typed, now, is_end=is_end)
    except NotATime as error:
        raise DialectError(3952, name, str(error)) from None
    if moment.note:
        output.note(moment.note)
    return moment.at


def _check_past(name: str, typed: str, moment: int, now: float) -> None:
    if moment > now:
        hint = f"{typed} is still to come. A time alone is of today: give its date (yesterday {typed})."
        raise DialectError(3952, name, hint if ":" in typed and "-" not in typed else f"{typed} is still to come.")


# --- asking


async def meant_servers(named: Sequence[str]) -> Sequence[str | None]:
    """The servers that are named, the nodes of a cluster one by one; None for all that are recorded."""
    from lanman.manage.cluster import is_cluster, single_servers

    meant: dict[str, None] = {}
    for each in named:
        nodes = [place.node for place in await single_servers(each)] if is_cluster(each) else [each]
        meant |= dict.fromkeys(nodes)
    return list(meant) or [None]


@asynccontextmanager
async def opened_store(invocation: Invocation, database: str | None) -> AsyncIterator[Store]:
    """The store that is meant, which is there. Raises LanmanError."""
    from lanman.manage.history.opening import open_store

    async with open_store(named_database(database), home=invocation.home, make=False) as store:
        yield store


def ask(invocation: Invocation, database: str | None, question: Question) -> int | None:
    """Ask, and answer. Gives the exit status. Raises LanmanError."""
    return asyncio.run(_ask(invocation, database, question))


async def _ask(invocation: Invocation, database: str | None, question: Question) -> int | None:
    patience = None if question.what == "stats" else invocation.timeout
    async with (
        Within(patience, lambda: "the database has not answered"),
        opened_store(invocation, database) as store,
    ):
        if question.what in ("stats", "gaps"):
            await (_stats if question.what == "stats" else _gaps)(invocation, store, question)
            return None
        answer = await answered(store, question)
        near: list[GapRecord] = []
        if question.what == "at" and question.until is not None and invocation.format is Format.TABLE:
            near = await gaps_of(store, question.until - NEAR, question.until + NEAR, question.servers)
    return show(invocation, question, answer, near)


async def answered(store: Store, question: Question) -> Answer:
    """The answer of the store, of all servers that are meant, with the stays of the kind that is meant."""
    answers = [await _of_one(store, question, server) for server in await meant_servers(question.servers)]
    return forms.merged(answers, limit=question.most, newest_first=question.newest_first)


async def _of_one(store: Store, question: Question, server: str | None) -> Answer:
    most = question.most
    asked_for = most
    while True:
        answer = await _asked(store, question, server, asked_for)
        if question.kind is None:
            return answer
        kind = Kind(question.kind)
        stays = [stay for stay in answer.stays if stay.kind is kind]
        if not answer.more or asked_for is None or most is None or len(stays) >= most:
            return answer._replace(stays=stays)
        asked_for *= 4


async def _asked(store: Store, question: Question, server: str | None, limit: int | None) -> Answer:
    filters = question.filters()
    if question.what == "at":
        assert question.until is not None
        return await store.at(question.until, server=server, **filters)
    given = [name for name, value in filters.items() if value is not None]
    span: dict[str, Any] = {"since": question.since, "until": question.until, "server": server}
    if question.newest_first and len(given) == 1:
        named = question.name or ""
        most = LIMIT if limit is None else limit
        if question.what == "who":
            return await store.who(named, **span, limit=most)
        if question.what == "user":
            return await store.by_user(named, **span, limit=most)
        return await store.by_client(named, **span, limit=most)
    since, until = question.since or 0, EVER if question.until is None else question.until
    answer = await store.between(since, until, server=server, **filters, limit=limit)
    return answer._replace(stays=answer.stays[::-1]) if question.newest_first else answer


async def gaps_of(store: Store, since: int | None, until: int | None, servers: Sequence[str]) -> list[GapRecord]:
    """The gaps of the servers that are meant."""
    found = [await store.gaps(since, until, server=server) for server in await meant_servers(servers)]
    return [gap for gaps in found for gap in gaps]


# --- answering


def show(invocation: Invocation, question: Question, answer: Answer, near: Sequence[GapRecord] = ()) -> int | None:
    """Write an answer in the format that is asked for. Gives the exit status."""
    status = None if answer.complete else EXIT_INCOMPLETE
    if invocation.format is Format.JSON:
        moment = question.until if question.what == "at" else None
        output.emit_json(None, **_asked_form(question), **forms.answer_form(answer, moment))
    elif invocation.format is Format.CSV:
        output.emit_csv([forms.stay_row(stay) for stay in answer.stays], forms.ROW_FIELDS)
        warn_of_gaps(answer.gaps, question.asked)
    else:
        output.emit([*_lines(question, answer, near), ""])
    if answer.more and invocation.format is not Format.JSON:
        output.note(f"there are more: these are the newest {len(answer.stays):,}. --limit takes another number")
    return status


def warn_of_gaps(gaps: Sequence[GapRecord], asked: Asked) -> None:
    """Say on standard error what is missing, where the answer itself has no place for it."""
    for gap in gaps:
        output.warn(f"not seen: {gap_words(gap, asked)}")


def _asked_form(question: Question) -> dict[str, Any]:
    if question.what == "at":
        return {"asked": "at", "at": rfc3339(question.until)}
    return {"asked": question.what, "since_at": rfc3339(question.since), "until_at": rfc3339(question.until)}


def _lines(question: Question, answer: Answer, near: Sequence[GapRecord]) -> list[str]:
    asked = question.asked
    heading = heading_of_moment(asked, answer, near) if question.what == "at" else heading_of_time(asked, answer)
    lines = [part for line in heading for part in wrapped(line)]
    if not answer.stays:
        seen = "" if answer.complete else ", as far as was seen"
        return [*lines, *wrapped(f"  {_nobody(question)}{seen}.")]
    path = question.filters()["path"]
    only_one = path is not None and len({stay.path for stay in answer.stays}) == 1 and not is_pattern(path)
    servers = len({stay.server for stay in answer.stays}) > 1
    lines += ["", *stay_lines(answer.stays, asked, paths=not only_one, servers=servers)]
    files = any(stay.kind is Kind.FILE for stay in answer.stays)
    last = [part for line in closing(answer, files=files) for part in wrapped(line)]
    return [*lines, "", *last] if last else lines


def _nobody(question: Question) -> str:
    filters = question.filters()
    if filters["path"] is not None:
        return f"Nobody had {escape(filters['path'])} open"
    named = filters["user"] or filters["client"]
    return "Nobody was there" if named is None else f"{escape(named)} was not there"


async def _gaps(invocation: Invocation, store: Store, question: Question) -> None:
    gaps = await gaps_of(store, question.since, question.until, question.servers)
    if invocation.format is Format.JSON:
        output.emit_json(None, **_asked_form(question), gaps=[forms.gap_form(gap) for gap in gaps])
    elif invocation.format is Format.CSV:
        output.emit_csv([forms.gap_form(gap) for gap in gaps], forms.GAP_FIELDS)
    elif not gaps:
        output.emit(["There are no gaps.", ""])
    else:
        output.emit([*(part for line in gap_lines(gaps, question.asked) for part in wrapped(line)), ""])


async def _stats(invocation: Invocation, store: Store, question: Question) -> None:
    if question.servers:
        raise LanmanError("stats are those of a whole database", code=codes.ERROR_NOT_SUPPORTED, hint="leave out -S")
    stats = await store.stats()
    if invocation.format is Format.JSON:
        output.emit_json(None, **forms.stats_form(stats))
    elif invocation.format is Format.CSV:
        output.emit_csv([forms.watched_form(each) for each in stats.watched], forms.WATCHED_FIELDS)
    else:
        output.emit([*stats_lines(stats, question.now), ""])
