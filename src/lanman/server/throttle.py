"""How fast passwords may be guessed, and who waits for whom. Pure: `now` is an argument, in seconds of one clock.

The rules:

* An account has one key however it is written. Who asks resolves it first (`Acceptor.claimed_account`): `BOB`,
  `DOMAIN\\bob` and `bob@anywhere` are bob. A name that no account has is counted in the same way and in the same
  table, so that the delays do not reveal which names exist.
* One address (an IPv6 network of 64 bits) guessing at one account has its attempts judged one after the other. Each
  refusal keeps the next attempt waiting: nothing for the first, then FIRST seconds, doubled up to LONGEST. Attempts
  sent in parallel, on one connection or on many, wait behind each other, so N of them learn no more in a second
  than one; and who hangs up in order not to wait waits all the same.
* At most WAITING attempts wait there, so that a turn comes before a client gives up. One more displaces a random one
  of them unjudged: its client is told to try again, which says nothing about its password.
* Across addresses, and across the accounts that one address tries, only the answers to *refused* attempts are delayed.
  A right password is accepted at once, however many wrong ones others have tried; no account is ever locked out.
* Memory is bounded. A table that is full gives the place of its key with the fewest refusals to the new one, which
  inherits that count (the Space-Saving algorithm of Metwally, Agrawal and El Abbadi): counts are never
  underestimated, so whoever floods the table with made-up names or addresses flushes nobody's delay out for less than
  a whole table of requests, which costs more than to wait.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import field
from ipaddress import IPv6Address
from typing import Final

from lanman.plain import dataclass


def network_of(address: str) -> str:
    """What counts as one peer: an IPv4 address; of an IPv6 address the network of 64 bits, which is one site's."""
    if ":" not in address:
        return address
    try:
        return str(IPv6Address(int(IPv6Address(address)) >> 64 << 64)) + "/64"
    except ValueError:
        return address


@dataclass(slots=True, eq=False)
class Attempt:
    """One proof of a password that is to be judged. `displaced`: it is not to be judged any more."""

    network: str
    account: str
    waits_until: float | None = None
    displaced: bool = False


@dataclass(slots=True)
class _Entry:
    """What is known of one key: its refusals, the last of them, until when the next attempt waits, and who waits."""

    count: int
    at: float
    level: int = 0
    free_at: float = 0.0
    waiting: list[Attempt] = field(default_factory=list)


class _Counts:
    """Refusals by key, in at most `size` entries. Entries are kept by level, which is the count up to LEVELS."""

    LEVELS: Final = 32

    def __init__(self, size: int, forget: float) -> None:
        self._size = size
        self._forget = forget
        self._entries: dict[int, _Entry] = {}
        self._levels: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(self.LEVELS + 1)]

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Hashable, now: float) -> _Entry | None:
        """What is known of a key; None if that is nothing, or too long ago."""
        entry = self._entries.get(hash(key))
        return entry if entry is not None and now - entry.at <= self._forget else None

    def count(self, key: Hashable, now: float) -> _Entry:
        """One more refusal of that key."""
        # Python's hash of a text is keyed with a secret of the process, so nobody can choose names that collide.
        number = hash(key)
        entry = self._entries.get(number)
        if entry is None:
            entry = _Entry(self._make_room(now), now)
            self._entries[number] = entry
        else:
            del self._levels[entry.level][number]
            if now - entry.at > self._forget:
                entry.count = 0
        entry.count += 1
        entry.at = now
        entry.level = min(entry.count, self.LEVELS)
        self._levels[entry.level][number] = None
        return entry

    def _make_room(self, now: float) -> int:
        """The count that a new key begins with."""
        if len(self._entries) < self._size:
            return 0
        lowest: int | None = None
        for level in self._levels:
            if not level:
                continue
            number = next(iter(level))  # within a level, the one that was refused longest ago
            if now - self._entries[number].at > self._forget:
                del level[number], self._entries[number]
                return 0
            if lowest is None:
                lowest = number
        assert lowest is not None
        entry = self._entries.pop(lowest)
        del self._levels[entry.level][lowest]
        return entry.count


class Throttle:
    """The delays of all log-ons. `random(n)` gives n unpredictable bytes."""

    FORGET: Final = 300.0
    FIRST: Final = 0.1
    LONGEST: Final = 4.0
    KEYS: Final = 8192
    WAITING: Final = 4

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._pairs = _Counts(self.KEYS, self.FORGET)
        self._accounts = _Counts(self.KEYS, self.FORGET)
        self._networks = _Counts(self.KEYS, self.FORGET)

    def turn(self, attempt: Attempt, now: float) -> float:
        """When an attempt may be judged: `now`, or a later time at which to ask again. See `displaced` after it."""
        entry = self._pairs.find((attempt.network, attempt.account), now)
        if attempt.displaced or entry is None:
            return now
        if entry.free_at <= now:
            if attempt in entry.waiting:
                entry.waiting.remove(attempt)
            return now
        attempt.waits_until = entry.free_at
        if attempt not in entry.waiting:
            self._join(entry, attempt, now)
        return now if attempt.displaced else entry.free_at

    def _join(self, entry: _Entry, attempt: Attempt, now: float) -> None:
        # A client that did not ask again in time is taken to have given up.
        entry.waiting = [each for each in entry.waiting if each.waits_until is not None and each.waits_until + 1 > now]
        entry.waiting.append(attempt)
        if len(entry.waiting) > self.WAITING:
            victim = int.from_bytes(self._random(4), "little") % len(entry.waiting)
            entry.waiting.pop(victim).displaced = True

    def refused(self, network: str, account: str | None, now: float) -> float:
        """Count a refusal; the seconds for which its answer is to be held back. `account` None: none was named."""
        worst = self._networks.count(network, now).count
        if account is not None:
            pair = self._pairs.count((network, account), now)
            pair.free_at = now + self._delay(pair.count)
            worst = max(worst, pair.count, self._accounts.count(account, now).count)
        return self._delay(worst)

    def _delay(self, count: int) -> float:
        return 0.0 if count <= 1 else min(self.LONGEST, self.FIRST * 2.0 ** min(count - 2, 10))
