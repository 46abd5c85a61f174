"""What remembers who was on a server, and answers about it.

    async with open_store(None) as store:          # a file in the home; or "sqlite:///...", "postgresql://..."
        answer = await store.at(time)
        answer.stays, answer.gaps

All times are whole seconds since 1970. The rules:

  - Filters mean what they mean for `lanman session` and `lanman file` (`lanman.manage.selection`): patterns with `*`
    and `?`, equal before alike; an empty one is refused (Win32Error 87, 2351). They choose among what there was at the
    time (`at`), or among all that is recorded. A `server` of which nothing was recorded is refused (LanmanError); None
    is all of them, and refused where there is none.
  - A stay is given as one, however many rows it was cut into. Its ends are those of the whole stay.
  - What lasts on a server that is not seen any more ended when it was seen last, for unknown reasons, as far as can be
    told (`UNKNOWN_END`); where the recorder runs and the server is away, it lasts until then.
  - Every answer has the gaps that it touches: those that were noted, the time before anything was recorded or is kept,
    and the time since the server was seen last where no recorder runs.
  - A stay that a deed has ended says so (`ended_by`): one that was done on its server, to its session, user and client
    or path, within the time in which it can have ended.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.history.database import Database, chunks, marks, padded
from lanman.manage.history.deeds import Deeds
from lanman.manage.history.names import Names
from lanman.manage.history.records import Answer, Count, Deed, GapRecord, GapWhy, Holder, Stats, Stay, Watched
from lanman.manage.history.rows import SELECT, ServerRow, StayRecord
from lanman.manage.history.schema import CUT, DAY, KINDS, SHORT, storable
from lanman.manage.selection import bare_client, check_filters, chosen_paths, chosen_users, split_unc
from lanman.manage.watching.rows import Kind
from lanman.names import fold
from lanman.plain import dataclass

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

RECORDER: Final = "recorder"
"""The role of whoever records."""

MOST: Final = 10_000
"""How many stays `between` gives, where no other limit is named."""

NOTHING: Final = "Record with `lanman history record`, or name another database with --db."
"""What to do where nothing was recorded."""

_PAGE: Final = 1_000
_SPARE: Final = 20
"""How many more rows are read at first than are wanted: some may be of stays that other rows have told of."""
_SERVERS: Final = "SELECT id, name, since, seen, due, every, oldest FROM server ORDER BY name"
_FOREVER: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which rows may be meant: of these servers, in this time, of these persons and paths (None: of all)."""

    servers: dict[int, ServerRow]
    since: int
    until: int
    persons: frozenset[int] | None = None
    paths: frozenset[int] | None = None

    def first_day(self, server: ServerRow) -> int:
        """The first day of a server that is looked at: what lasts from before is found by its row of that day."""
        return max(server.oldest, server.asked_for(self.since) // DAY)


class Store:
    """A database of history. Everything raises LanmanError where it cannot be read or written."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self._wall_clock = wall_clock
        self._words: dict[int, str] = {}
        self._names = Names(database)
        self._deeds = Deeds(database)
        self._opened = False

    @property
    def name(self) -> str:
        """The database, as people may see it: a path, a URL without its password."""
        return self.database.name

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect; make what there is not, and bring an older schema up to date. Raises LanmanError."""
        if not self._opened:
            try:
                await self.database.open()
            except BaseException:
                await self.database.close()
                raise
            self._opened = True

    async def close(self) -> None:
        """Let go of the database. May be called twice."""
        await self.database.close()

    def hold(self, role: str) -> AbstractAsyncContextManager[Holder]:
        """Hold a role (`recorder`, `policy`), which one process can at a time. It is free as soon as that process ends,
        however it ends. Raises AlreadyHeld, which says who holds it, and since when."""
        return self.database.hold(role, int(self._wall_clock()))

    async def holder(self, role: str) -> Holder | None:
        """Who holds a role now; None where nobody does."""
        return await self.database.holder(role)

    # --- deeds

    async def note_deed(self, *deeds: Deed) -> None:
        """Note what was done. It is on the disk when this returns."""
        await self._deeds.note(deeds)

    async def deeds(self, since: int, until: int, *, server: str | None = None, plan: str | None = None) -> list[Deed]:
        """What was done in that time, both seconds included, the oldest first."""
        return await self._deeds.between(since, until, server, plan)

    # --- notes

    async def notes(self, role: str) -> dict[str, str]:
        """What whoever holds a role has noted, by name."""
        rows = await self.database.fetch("SELECT name, value FROM note WHERE role = ?", (storable(role),))
        return {row[0]: row[1] for row in rows}

    async def put_notes(self, role: str, notes: Mapping[str, str | None], *deeds: Deed) -> None:
        """Write some notes of a role, None to remove one, and deeds with them: all of it or nothing. It is on the disk
        when this returns."""
        if not notes and not deeds:
            return
        role = storable(role)
        values = {storable(name): value if value is None else storable(value) for name, value in notes.items()}
        async with self.database.transaction() as writing:
            await writing.many("DELETE FROM note WHERE role = ? AND name = ?", [(role, name) for name in values])
            rows = [(role, name, value) for name, value in values.items() if value is not None]
            if rows:
                await writing.insert("note", "role, name, value", rows)
            if deeds:
                await self._deeds.note_in(writing, deeds)

    # --- questions

    async def at(
        self,
        time: int,
        *,
        server: str | None = None,
        path: str | None = None,
        user: str | None = None,
        client: str | None = None,
    ) -> Answer:
        """Who was there in that second: sessions and files, or the files of a path. Raises Win32Error 87 for a time
        that has not come."""
        check_filters(client=client, user=user, path=path)
        now = self._now(time)
        servers = await self._asked_of(server, path)
        times = _times(servers.values(), time)
        found: list[StayRecord] = []
        for asked, some in times.items():
            for ids in chunks(some):
                ids = padded(ids)
                where = f"{SELECT} WHERE s.server IN ({marks(ids)}) AND s.day = ? AND s.begun <= ? AND"
                short = await self.database.fetch(
                    f"{where} s.begun >= ? AND s.ended - s.begun <= {SHORT} AND s.ended >= ?",
                    (*ids, asked // DAY, asked, asked - SHORT, asked),
                )
                long = await self.database.fetch(
                    f"{where} (s.ended IS NULL OR s.ended - s.begun > {SHORT}) AND (s.ended IS NULL OR s.ended >= ?)",
                    (*ids, asked // DAY, asked, asked),
                )
                found += map(StayRecord._make, (*short, *long))
        if any(asked < time for asked in times):
            # It is just after midnight. What lasts may have been cut by now, and is then of the new day.
            again = await self._servers(server, path)
            if any(row.seen // DAY != servers[id].seen // DAY for id, row in again.items() if id in servers):
                return await self.at(time, server=server, path=path, user=user, client=client)
        found.sort(key=lambda row: (servers[row.server].name, row.begun, row.id))
        found = [row for row in found if servers[row.server].end_of(row.begun, row.ended) >= time]
        stays = await self._stays(found, servers)
        stays = await self._selected(stays, servers, path, user, client)
        return Answer(stays, await self._gaps_of(servers, time, time, now), _watched(servers, await self._paths()))

    async def between(
        self,
        since: int,
        until: int,
        *,
        server: str | None = None,
        path: str | None = None,
        user: str | None = None,
        client: str | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Who was there at any moment of that time, both seconds included; the oldest first, the newest `limit` (None:
        MOST)."""
        answer = await self._newest(since, until, server, path, user, client, MOST if limit is None else limit)
        return answer._replace(stays=answer.stays[::-1])

    async def who(
        self,
        path: str,
        *,
        since: int | None = None,
        until: int | None = None,
        server: str | None = None,
        limit: int = 200,
    ) -> Answer:
        r"""Who had the files open whose path matches: the newest `limit`, the newest first. `path` is the server's own,
        a pattern, or `\\server\share\path`."""
        return await self._newest(since, until, server, path, None, None, limit)

    async def by_user(
        self,
        user: str,
        *,
        since: int | None = None,
        until: int | None = None,
        server: str | None = None,
        limit: int = 200,
    ) -> Answer:
        """Sessions and files of a user: the newest `limit`, the newest first."""
        return await self._newest(since, until, server, None, user, None, limit)

    async def by_client(
        self,
        client: str,
        *,
        since: int | None = None,
        until: int | None = None,
        server: str | None = None,
        limit: int = 200,
    ) -> Answer:
        """Sessions of a client, and files that are or may be open from it: the newest `limit`, the newest first. It may
        be named by its address, where that is recorded."""
        return await self._newest(since, until, server, None, None, client, limit)

    async def gaps(
        self, since: int | None = None, until: int | None = None, *, server: str | None = None
    ) -> list[GapRecord]:
        """The gaps in that time, those that last included; the oldest first."""
        now = int(self._wall_clock())
        servers = await self._asked_of(server)
        # Before anything was recorded is no gap of a question that names no time.
        oldest = min((row.kept_from for row in servers.values()), default=0)
        return await self._gaps_of(servers, oldest if since is None else since, now if until is None else until, now)

    async def counts(self, since: int, until: int, step: int, *, server: str) -> list[Count]:
        """How many sessions and files there were at `since` and every `step` seconds after that, up to `until` or now;
        None where the server was not seen then. Raises ValueError for a step that is not positive, else as `at`.

        Rows are counted where they are, and not read.
        """
        if step <= 0:
            raise ValueError("a step is some seconds, and not below one")
        now = self._now(since)
        servers = await self._asked_of(server)
        times = range(since, min(until, now) + 1, step)
        gaps = await self._gaps_of(servers, since, min(until, now), now)
        totals: dict[int, list[int]] = {}
        for id, row in servers.items():
            for kind, numbers in (await self._counted(id, row, times)).items():
                before = totals.setdefault(kind, [0] * len(times))
                totals[kind] = [one + other for one, other in zip(before, numbers, strict=True)]
        none = [0] * len(times)
        sessions, files = (totals.get(KINDS[kind], none) for kind in (Kind.SESSION, Kind.FILE))
        return [
            Count(at, None, None) if any(gap.hides(at) for gap in gaps) else Count(at, sessions[n], files[n])
            for n, at in enumerate(times)
        ]

    async def _counted(self, id: int, row: ServerRow, times: range) -> dict[int, list[int]]:
        """By the number of a kind, how many rows of a server there are at each of some times.

        A row counts from its begin up to the second before its end; of a stay that was cut, the next row begins where
        the one before has ended.
        """
        first, step = times[0], times.step
        days = row.asked_for(first) // DAY, times[-1] // DAY
        of_days = "server = ? AND day >= ? AND day <= ?"
        steps: dict[int, list[int]] = {}

        def add(kind: int, place: int, number: int) -> None:
            if place < len(times):
                steps.setdefault(kind, [0] * len(times))[max(0, place)] += number

        for kind, place, number in await self.database.fetch(
            f"SELECT kind, (begun - ? + ?) / ? AS place, count(*) FROM stay WHERE {of_days} AND begun <= ? "
            "AND (begun > ? OR (day = ? AND (ended IS NULL OR ended > ?))) GROUP BY 1, 2",
            (first, step - 1, step, id, *days, times[-1], first, days[0], first),
        ):
            add(kind, place, number)
        for kind, place, number in await self.database.fetch(
            f"SELECT kind, (ended - ? + ?) / ? AS place, count(*) FROM stay WHERE {of_days} AND ended > ? "
            "AND ended <= ? GROUP BY 1, 2",
            (first, step - 1, step, id, *days, first, times[-1]),
        ):
            add(kind, place, -number)
        if not row.lasting:
            for kind, number in await self.database.fetch(
                f"SELECT kind, count(*) FROM stay WHERE {of_days} AND ended IS NULL AND begun <= ? GROUP BY 1",
                (id, *days, times[-1]),
            ):
                add(kind, (row.seen - first + step - 1) // step, -number)
        return {kind: list(accumulate(numbers)) for kind, numbers in steps.items()}

    async def watched(self) -> list[Watched]:
        """The servers of which something was recorded."""
        return _watched(await self._servers(None), await self._paths())

    async def stats(self) -> Stats:
        """What the database holds. Counting reads all of it."""
        watched = await self.watched()
        holder = await self.holder(RECORDER), await self.holder("policy")
        return Stats(
            self.name,
            await self.database.schema(),
            await self.database.size(),
            await self._count("stay WHERE first IS NULL"),
            await self._count("stay WHERE ended IS NULL"),
            await self._count("person"),
            await self._count("path"),
            await self._count("gap"),
            await self._count("deed"),
            min((each.since for each in watched), default=None),
            max((each.seen_at for each in watched), default=None),
            watched,
            [each for each in holder if each is not None],
        )

    async def _count(self, what: str) -> int:
        [(found,)] = await self.database.fetch(f"SELECT count(*) FROM {what}")
        return int(found)

    async def export(self, since: int, until: int, *, server: str | None = None) -> AsyncIterator[Stay]:
        """Every stay that `between` would give, one after the other: server by server, the newest first; for exports of
        any size."""
        self._now(since)
        servers = await self._asked_of(server)
        for id, row in servers.items():
            scope = _Scope({id: row}, since, until)
            page: list[StayRecord] = []
            async for record in self._by_day(scope, row):
                page.append(record)
                if len(page) == _PAGE:
                    for stay in await self._stays(page, servers):
                        yield stay
                    page = []
            for stay in await self._stays(page, servers):
                yield stay

    def _now(self, since: int | None) -> int:
        """What time it is. Raises Win32Error 87 where that of a question has not come."""
        now = int(self._wall_clock())
        if since is not None and since > now:
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "that time has not come yet")
        return now

    # --- servers, and what was not seen of them

    async def _asked_of(self, name: str | None, path: str | None = None) -> dict[int, ServerRow]:
        """The servers that a question is about, one at least: of none, no answer would be a whole one. Raises
        LanmanError where nothing was recorded."""
        servers = await self._servers(name, path)
        if not servers:
            raise LanmanError(
                f"{self.name}: nothing was recorded there",
                code=codes.ERROR_FILE_NOT_FOUND,
                hint=NOTHING,
            )
        return servers

    async def _servers(self, name: str | None, path: str | None = None) -> dict[int, ServerRow]:
        r"""The servers that are meant, by number; by the one in `\\server\share\path` too."""
        rows = [ServerRow(*row) for row in await self.database.fetch(_SERVERS)]
        unc = None if path is None else split_unc(path)
        holder = await self.holder(RECORDER) if any(row.due >= self._wall_clock() for row in rows) else None
        away = await self.database.fetch("SELECT server FROM gap WHERE ended IS NULL AND why <> ?", (_NOT_TOLD,))
        gone = {server for (server,) in away}
        for row in rows:
            row.recorded = holder is not None and row.due >= int(self._wall_clock())
            row.lasting = row.recorded and row.id not in gone
        for wanted in (name, None if unc is None else unc.server):
            if wanted is not None:
                recorded = ", ".join(row.name for row in rows)
                rows = [row for row in rows if _bare(row.name) == _bare(wanted)]
                if not rows:
                    raise LanmanError(
                        f"nothing was recorded of {bare_client(wanted)}",
                        code=codes.ERROR_FILE_NOT_FOUND,
                        hint=f"Recorded: {recorded}." if recorded else "Record with `lanman history record`.",
                    )
        return {row.id: row for row in rows}

    async def _paths(self) -> bool:
        found = await self.database.fetch("SELECT value FROM setting WHERE name = 'paths'")
        return not found or found[0][0] != "no"

    async def _gaps_of(self, servers: dict[int, ServerRow], since: int, until: int, now: int) -> list[GapRecord]:
        """The gaps of servers that touch a time, the oldest first."""
        until = min(until, now)
        gaps, lasting = [], set()
        for ids in chunks(servers):
            ids = padded(ids)
            rows = await self.database.fetch(
                f"SELECT server, begun, ended, why, detail FROM gap WHERE server IN ({marks(ids)}) AND begun <= ? "
                "AND (ended IS NULL OR ended >= ?)",
                (*ids, until, since),
            )
            for server, begun, ended, why, detail in rows:
                if ended is None and why != _NOT_TOLD:
                    lasting.add(server)
                gaps.append(GapRecord(servers[server].name, begun, ended, GapWhy(why), detail))
        for id, row in servers.items():
            if since < row.kept_from:
                gaps.append(GapRecord(row.name, None, row.kept_from, GapWhy.NOT_KEPT))
            if not row.recorded and until > row.seen and id not in lasting:
                gaps.append(GapRecord(row.name, row.seen, None, GapWhy.NOT_RUNNING))
        return sorted(gaps, key=lambda gap: (-1 if gap.begun_at is None else gap.begun_at, gap.server))

    # --- rows

    async def _newest(
        self,
        since: int | None,
        until: int | None,
        server: str | None,
        path: str | None,
        user: str | None,
        client: str | None,
        limit: int,
    ) -> Answer:
        """The newest stays that match, the newest first."""
        check_filters(client=client, user=user, path=path)
        now = self._now(since)
        servers = await self._asked_of(server, path)
        from_when = min((row.kept_from for row in servers.values()), default=0) if since is None else since
        to_when = now if until is None else until
        scope = _Scope(
            servers,
            from_when,
            to_when,
            await self._names.persons(user, client),
            None if path is None else await self._names.paths(path, servers),
        )
        found = await self._search(scope, limit + 1)
        return Answer(
            await self._stays(found[:limit], servers),
            await self._gaps_of(servers, from_when, to_when, now),
            _watched(servers, await self._paths()),
            len(found) > limit,
        )

    async def _search(self, scope: _Scope, limit: int) -> list[StayRecord]:
        """The newest rows, each of another stay, the newest first."""
        found: list[StayRecord] = []
        if scope.paths is not None:
            sources = [self._by_column(scope, "path", id, limit) for id in sorted(scope.paths)]
        elif scope.persons is not None:
            sources = [self._by_column(scope, "person", id, limit) for id in sorted(scope.persons)]
        else:
            sources = [self._by_day(scope, row) for row in scope.servers.values()]
        for source in sources:
            worst = found[-1].order if len(found) == limit else None
            got: list[StayRecord] = []
            async for row in source:
                if len(got) == limit or (worst is not None and row.order < worst):
                    break
                got.append(row)
            await source.aclose()
            found = sorted([*found, *got], key=lambda row: row.order, reverse=True)[:limit]
        return found

    async def _by_column(self, scope: _Scope, column: str, value: int, wanted: int) -> AsyncGenerator[StayRecord, None]:
        """The rows of a path or a person, the newest first."""
        begun, id, size = scope.until, _FOREVER, min(_PAGE, wanted + _SPARE)
        while True:
            rows = await self.database.fetch(
                f"{SELECT} WHERE s.{column} = ? AND s.begun <= ? AND (s.begun < ? OR s.id < ?) "
                "ORDER BY s.begun DESC, s.id DESC LIMIT ?",
                (value, begun, begun, id, size),
            )
            for row in map(StayRecord._make, rows):
                if self._is_meant(scope, row):
                    yield row
            if len(rows) < size:
                return
            begun, id, size = rows[-1][4], rows[-1][0], _PAGE

    async def _by_day(self, scope: _Scope, server: ServerRow) -> AsyncGenerator[StayRecord, None]:
        """The rows of a server, the newest first."""
        first = scope.first_day(server)
        # What was recorded last may have begun in the second after the last look.
        for day in range(min(scope.until, server.seen + DAY) // DAY, first - 1, -1):
            begun, id = min(scope.until, (day + 1) * DAY), _FOREVER
            only = "" if day == first else "AND s.first IS NULL "
            while True:
                rows = await self.database.fetch(
                    f"{SELECT} WHERE s.server = ? AND s.day = ? AND s.begun <= ? AND (s.begun < ? OR s.id < ?) {only}"
                    "AND (s.ended IS NULL OR s.ended >= ?) ORDER BY s.begun DESC, s.id DESC LIMIT ?",
                    (server.id, day, begun, begun, id, scope.since, _PAGE),
                )
                for row in map(StayRecord._make, rows):
                    if self._is_meant(scope, row):
                        yield row
                if len(rows) < _PAGE:
                    break
                begun, id = rows[-1][4], rows[-1][0]

    @staticmethod
    def _is_meant(scope: _Scope, row: StayRecord) -> bool:
        """Whether a row is meant, and is the one by which its stay is found."""
        server = scope.servers.get(row.server)
        if server is None or (scope.persons is not None and row.person not in scope.persons):
            return False
        first = scope.first_day(server)
        if row.day < first or (row.first is not None and row.day != first):
            return False
        return server.end_of(row.begun, row.ended) >= scope.since

    # --- stays

    async def _stays(self, rows: Sequence[StayRecord], servers: dict[int, ServerRow]) -> list[Stay]:
        """The stays of rows, whole."""
        cut = {row.chain for row in rows if row.why == CUT}
        ends: dict[int, tuple[int, int | None, int | None, int | None]] = {}
        for ids in chunks(sorted(cut)):
            ids = padded(ids)
            for chain, *end in await self.database.fetch(
                f"SELECT first, begun, ended, ended_slack, why FROM stay WHERE first IN ({marks(ids)}) "
                "AND (why IS NULL OR why <> 0)",
                ids,
            ):
                ends[chain] = tuple(end)
        needed = {row.why for row in rows} | {end[3] for end in ends.values()}
        if needed - self._words.keys() - {None, CUT}:
            self._words = dict(await self.database.fetch("SELECT id, word FROM word"))
        stays = []
        for row in rows:
            end = row.begun, row.ended, row.ended_slack, row.why
            if row.why == CUT:
                end = ends.get(row.chain, end)
            stays.append(row.stay(servers[row.server], end, self._words))
        return await self._deeds.explain(stays)

    async def _selected(
        self,
        stays: list[Stay],
        servers: dict[int, ServerRow],
        path: str | None,
        user: str | None,
        client: str | None,
    ) -> list[Stay]:
        """Those of the stays that filters mean, among these."""
        if user is not None:
            users = chosen_users((stay.user_name for stay in stays), user)
            stays = [stay for stay in stays if stay.user_name in users]
        if client is not None:
            stays = self._names.of_client(stays, client)
        if path is not None:
            typed = await self._names.local_path(path, servers)
            meant = chosen_paths((stay.path for stay in stays), typed)
            stays = [stay for stay in stays if stay.path in meant]
        return stays


_NOT_TOLD: Final = GapWhy.NOT_TOLD.value


def _bare(name: str) -> str:
    return fold(bare_client(storable(name)))


def _times(servers: Iterable[ServerRow], time: int) -> dict[int, list[int]]:
    """The servers by when their rows are asked about, for a question about a time."""
    times: dict[int, list[int]] = {}
    for row in servers:
        times.setdefault(row.asked_for(time), []).append(row.id)
    return times


def _watched(servers: dict[int, ServerRow], paths: bool) -> list[Watched]:
    return [Watched(row.name, row.kept_from, row.seen, row.every, paths) for row in servers.values()]
