"""What policies keep from one start to the next: promises, spares, and how the clock stood.

It stands beside history, in the same database (`lanman.manage.history`): notes of a role are texts by name. One
process, which holds the role `policy`, writes promises; any may write a spare.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Protocol

from lanman.errors import MalformedMessage
from lanman.manage.history.records import Deed
from lanman.manage.policies.promises import LATELY, Promise, Spare, State, promise_of, spare_of
from lanman.plain import dataclass
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lanman.manage.history.store import Store

ROLE: Final = "policy"
"""The role that a runner of policies holds, and whose notes promises are."""

SPARES: Final = "policy spare"
CLOCK: Final = "clock"
"""The name of the note of how the clock stands; promises have longer ones."""

STEP: Final = 2.0
"""A clock that is put by no more than so many seconds is one that was corrected, and shifts nothing."""


class Notes(Protocol):
    """What is needed of a database."""

    async def notes(self, role: str) -> dict[str, str]:
        """The notes of a role, by name."""

    async def put_notes(self, role: str, notes: Mapping[str, str | None], *deeds: Deed) -> None:
        """Write some notes, None to remove one, and deeds with them: all of it or nothing. It is on the disk when this
        returns."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the clock of the wall stands to one that nobody sets, `ahead` by so many seconds, since a start of the
    machine that `boot` names."""

    boot: str
    ahead: float


class Kept:
    """The promises of one runner, in memory and in a database. Raises what that raises."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self.promises: dict[str, Promise] = {}
        self._standing: Standing | None = None
        # What is written later has to be there later.
        self._writing = asyncio.Lock()

    async def read(self) -> None:
        """Read what is kept, and change nothing."""
        found = await self._notes.notes(ROLE)
        self._standing = _standing(found.pop(CLOCK, None))
        self.promises = {name: promise_of(text) for name, text in found.items()}

    async def load(self, now: float) -> None:
        """Read what is kept, as the one who goes on with it: who was being told when the last runner ended is LOST."""
        await self.read()
        lost = [one for one in self.promises.values() if one.state is State.TELLING]
        for one in lost:
            one.state = State.LOST
        await self.put(*lost)
        await self.forget_old(now)

    def of(self, policy: str, server: str) -> list[Promise]:
        """The promises of a policy on a server."""
        return [one for one in self.promises.values() if one.policy == policy and one.server == server]

    def due_next(self, server: str) -> float | None:
        """When something is due on a server next; None where nothing is."""
        open_ones = (one for one in self.promises.values() if one.server == server and one.state.is_open)
        return min(
            (max(one.due_at, one.again_at) for one in open_ones if one.state is not State.REPORTED), default=None
        )

    async def put(self, *promises: Promise, deeds: Iterable[Deed] = ()) -> None:
        """Keep promises as they are now, with what was done."""
        noted = tuple(deeds)
        if not promises and not noted:
            return
        async with self._writing:
            await self._notes.put_notes(ROLE, {one.name: one.as_text() for one in promises}, *noted)
        # What could not be kept was not promised.
        self.promises |= {one.name: one for one in promises}

    async def forget_old(self, now: float) -> None:
        """Let go of promises that are settled and count for nothing any more; their deeds stay."""
        old = [
            one.name
            for one in self.promises.values()
            if not one.state.is_open and (one.settled_at is None or not now - LATELY < one.settled_at)
        ]
        if old:
            for name in old:
                del self.promises[name]
            async with self._writing:
                await self._notes.put_notes(ROLE, dict.fromkeys(old))

    async def clock_is(self, standing: Standing) -> float:
        """Compare how the clock stands with how it stood, and shift all times by as much as it was set; gives by how
        much. After a start of the machine nothing can be compared."""
        before = self._standing
        known = before is not None and before.boot == standing.boot
        shift = standing.ahead - before.ahead if before is not None and known else 0.0
        if known and abs(shift) <= STEP / 4:
            return 0.0  # nothing to be noted either
        self._standing = standing
        shift = shift if abs(shift) > STEP else 0.0
        moved = list(self.promises.values()) if shift else []
        for one in moved:
            one.shifted(shift)
        # All at once: what was shifted and not noted would be shifted again.
        async with self._writing:
            notes: dict[str, str | None] = {one.name: one.as_text() for one in moved}
            await self._notes.put_notes(ROLE, {**notes, CLOCK: json.dumps(asdict(standing))})
        return shift

    async def spares(self, now: float) -> list[Spare]:
        """Who is to be left alone now."""
        return await spares(self._notes, now)


def _standing(text: str | None) -> Standing | None:
    try:
        found = None if text is None else json.loads(text)
        return None if found is None else Standing(str(found["boot"]), float(found["ahead"]))
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedMessage(f"how the clock stood cannot be read: {error!r}") from None


async def spares(notes: Notes, now: float) -> list[Spare]:
    """Who is to be left alone now."""
    found = [spare_of(text) for text in (await notes.notes(SPARES)).values()]
    return [one for one in found if one.until > now]


async def spare(notes: Notes, word: str, until: float, *, server: str = "", by: str, now: float) -> Spare | None:
    """Leave a session, a user or a client alone until a time; a time that is over ends that, and gives None. Those that
    are over are let go of."""
    name = f"{server} {word}".strip()
    old = [each for each, text in (await notes.notes(SPARES)).items() if spare_of(text).until <= now]
    one = Spare(word, until, server, by) if until > now else None
    deed = Deed(
        round(now),
        server,
        by,
        "spare",
        "done",
        detail=f"{word} until {rfc3339(until)}" if one else f"{word} no longer",
    )
    await notes.put_notes(SPARES, {**dict.fromkeys(old), name: None if one is None else one.as_text()}, deed)
    return one


async def counted(store: Store, since: int, until: int) -> Counter[tuple[str, str]]:
    """How many sessions policies have ended in a time, both seconds included: by policy and outcome (`done`, `spared`,
    `held` for now, `failed`, and `reported` for what `mode = "report"` would have ended)."""
    deeds = await store.deeds(since, until)
    return Counter((deed.plan or "", deed.outcome) for deed in deeds if deed.verb == "end" and deed.plan is not None)
