"""What a policy decides about a server at one look, without I/O.

    decision = consider(policy, view, choice, promises, spares, now)

The rules:

  - Nobody is ended who was not promised it, and nobody before the promise is due.
  - `at_most` and `at_most_percent` are asked first, with all who are meant, those who were ended within the last hour
    among them: beyond, nobody is told and nobody is ended. Promises stay as they are.
  - A promise holds for one session. One that is no longer meant is spared, and if it is meant again, that is another
    promise, of which is told anew. So is one whose policy sleeps, has gone, or has another mode by now, and one that
    was made when the policy asked for less of a notice than it does now.
  - What a server does not say settles nothing: a session that cannot be decided, and a policy that skips the server,
    leave promises as they are, and end nobody.
  - Deadlines that have passed while nobody looked are due at the next look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Final

from lanman.manage.policies.declared import Policy
from lanman.manage.policies.promises import LATELY, Promise, Spare, State, covers, paired
from lanman.manage.policies.selecting import Choice, Match, View
from lanman.plain import dataclass
from lanman.shown import escape, rfc3339

GONE: Final = "it has left by itself"
NOT_MEANT: Final = "it is no longer meant"
ASLEEP: Final = "the hours are over"
NO_POLICY: Final = "the policy is no longer there"
OTHER_MODE: Final = "the policy has another mode by now"
INTERRUPTED: Final = "the program was ended while people were told: whether a message came is not known"
ANSWER_LOST: Final = "it was to be ended, and nobody heard the answer; the session is gone"
OTHER_TELL: Final = "the policy asks for a notice by now that was not given"

HELD_FOR: Final = 300.0
"""What is due and left alone is looked at again after so many seconds."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a promise. `state` is ENDED or SPARED."""

    promise: Promise
    state: State
    reason: str


@dataclass(slots=True)
class Decision:
    """What is to be done. `new` are sessions to be promised; `again` are promises of which nobody could be told and
    that are to be tried again; `due` are those to be ended, or reported. `stopped` is why nothing is done at all, ""
    where it is not; `meant` is how many are meant, of `total`; `left` are those whom a spare leaves alone, with its
    word and time."""

    settled: list[Settled] = field(default_factory=list)
    new: list[Match] = field(default_factory=list)
    again: list[tuple[Promise, Match]] = field(default_factory=list)
    due: list[tuple[Promise, Match]] = field(default_factory=list)
    left: list[tuple[Match, Spare]] = field(default_factory=list)
    stopped: str = ""
    skipped: str = ""
    asleep: bool = False
    meant: int = 0
    total: int = 0


def ended_lately(promises: Iterable[Promise], now: float) -> int:
    """How many were ended within the last hour."""
    return sum(
        1
        for one in promises
        if one.state is State.ENDED and one.settled_at is not None and one.settled_at > now - LATELY
    )


def consider(
    policy: Policy, view: View, choice: Choice, promises: Sequence[Promise], spares: Sequence[Spare], now: float
) -> Decision:
    """What a policy is to do about a server. `promises` are all that it has there, settled ones too."""
    decision = Decision(meant=len(choice.matches), total=choice.total, skipped=choice.skipped)
    decision.asleep = not policy.awake(now)
    if decision.skipped and not decision.asleep:
        return decision
    open_ones = [one for one in promises if one.state.is_open]
    places = {one.name: place for one, place in paired(open_ones, (seen.key for seen in view.seen))}
    there = _still_there(open_ones, places, decision)
    ours = []
    for one in there:
        if decision.asleep:
            decision.settled.append(Settled(one, State.SPARED, ASLEEP))
        elif one.mode != policy.mode:
            decision.settled.append(Settled(one, State.SPARED, OTHER_MODE))
        elif _lacks_notice(policy, one):
            decision.settled.append(Settled(one, State.SPARED, OTHER_TELL))
        else:
            ours.append(one)
    if decision.asleep:
        return decision
    matches = _left_after_spares(choice, view, spares, now, decision)
    kept = _still_meant(ours, places, view, choice, decision)
    decision.meant = len(matches)
    lately = ended_lately(promises, now) + sum(each.state is State.ENDED for each in decision.settled)
    decision.stopped = _beyond_limits(policy, len(matches), choice.total, lately)
    if decision.stopped:
        return decision
    by_session = {id(view.seen[place]): one for one in kept if (place := places[one.name]) is not None}
    for match in matches:
        promise = by_session.get(id(match.seen))
        if promise is None:
            decision.new.append(match)
        else:
            _go_on(promise, match, now, decision)
    return decision


def _still_there(promises: Iterable[Promise], places: dict[str, int | None], decision: Decision) -> list[Promise]:
    """Those whose sessions are listed. An order whose answer nobody heard has ended the session, if that is gone."""
    kept = []
    for one in promises:
        if places[one.name] is not None:
            kept.append(one)
        elif one.state is State.ENDING:
            decision.settled.append(Settled(one, State.ENDED, ANSWER_LOST))
        else:
            decision.settled.append(Settled(one, State.SPARED, GONE))
    return kept


def _lacks_notice(policy: Policy, promise: Promise) -> bool:
    """Whether the policy was edited since, and nobody was told as it is to be done now. Who may have been told, for all
    that is known, is left alone as ever (`again_at`)."""
    if policy.tell is None or promise.mode == "report" or promise.state not in (State.TOLD, State.ENDING):
        return False
    return not promise.told or (policy.tell.required and promise.told != "yes" and promise.again_at != float("inf"))


def _left_after_spares(
    choice: Choice, view: View, spares: Sequence[Spare], now: float, decision: Decision
) -> list[Match]:
    matches = []
    for match in choice.matches:
        spare = next((each for each in spares if covers(each, match.seen.key, view.server, now, view.clients)), None)
        if spare is None:
            matches.append(match)
        else:
            decision.left.append((match, spare))
    return matches


def _still_meant(
    promises: Iterable[Promise], places: dict[str, int | None], view: View, choice: Choice, decision: Decision
) -> list[Promise]:
    """Those whose sessions are meant still, or of which that cannot be decided now."""
    spared = {id(match.seen): spare for match, spare in decision.left}
    standing = {id(match.seen) for match in choice.matches} | {id(seen) for seen, _ in choice.undecided}
    kept = []
    for one in promises:
        place = places[one.name]
        assert place is not None
        seen = view.seen[place]
        if (spare := spared.get(id(seen))) is not None:
            reason = f"{escape(spare.word)} is left alone until {rfc3339(spare.until)}"
            decision.settled.append(Settled(one, State.SPARED, reason))
        elif id(seen) in standing:
            kept.append(one)
        else:
            decision.settled.append(Settled(one, State.SPARED, NOT_MEANT))
    return kept


def _beyond_limits(policy: Policy, meant: int, total: int, lately: int) -> str:
    number = meant + lately
    among = f" ({lately} of them ended within the last hour)" if lately else ""
    if number > policy.at_most:
        return f"{number} of {total + lately} match{among}; at_most is {policy.at_most}"
    if number * 100 > policy.at_most_percent * (total + lately):
        return f"{number} of {total + lately} match{among}; at_most_percent is {policy.at_most_percent}"
    return ""


def _go_on(promise: Promise, match: Match, now: float, decision: Decision) -> None:
    """What is next for a promise whose session is meant."""
    if promise.state is State.LOST:
        if promise.due_at <= now:
            decision.settled.append(Settled(promise, State.SPARED, INTERRUPTED))
            decision.new.append(match)
    elif promise.state is State.UNTOLD:
        if promise.again_at <= now:
            decision.again.append((promise, match))
    elif promise.state in (State.TOLD, State.ENDING) and promise.due_at <= now and promise.again_at <= now:
        decision.due.append((promise, match))
