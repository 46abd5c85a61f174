"""Who goes next: how many at a time, how many in a subnet, how many begun in a second.

It neither waits nor reads a clock: `now` is an argument. What stands in line is bounded by whoever offers.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from dataclasses import field
from typing import Final, Generic, TypeVar

from lanman.plain import dataclass

T = TypeVar("T")

# With a rate, what was not begun in so many seconds is not made good: no burst after a pause.
_BURST: Final = 0.1


@dataclass(slots=True)
class _Subnet(Generic[T]):
    out: int = 0
    waiting: deque[T] = field(default_factory=deque)
    is_able: bool = False


class Line(Generic[T]):
    """What waits to be begun, by subnet. `in_flight` bounds all, `per_subnet` those of one, `rate` those of a second
    (None: no bound). Subnets take turns; a subnet of None is bounded by nothing but `in_flight`."""

    def __init__(self, in_flight: int, per_subnet: int | None = None, rate: float | None = None) -> None:
        self._in_flight, self._per_subnet, self._rate = in_flight, per_subnet, rate
        self._subnets: dict[str | None, _Subnet[T]] = {}
        self._able: deque[str | None] = deque()
        self._begin_at = 0.0
        self.out = 0
        """How many are begun and not done."""

    def offer(self, item: T, subnet: str | None) -> None:
        """Put one in line."""
        place = self._subnets.setdefault(subnet, _Subnet())
        place.waiting.append(item)
        self._enable(subnet, place)

    def done(self, subnet: str | None) -> None:
        """One of a subnet is done."""
        self.out -= 1
        place = self._subnets[subnet]
        place.out -= 1
        self._enable(subnet, place)
        if not place.out and not place.waiting:
            del self._subnets[subnet]

    def ready(self, now: float) -> list[T]:
        """Those that begin now, in order."""
        begun: list[T] = []
        if self._rate is not None:
            self._begin_at = max(self._begin_at, now - _BURST)
        while self._able and self.out < self._in_flight and (self._rate is None or self._begin_at <= now):
            subnet = self._able.popleft()
            place = self._subnets[subnet]
            place.is_able = False
            begun.append(place.waiting.popleft())
            place.out += 1
            self.out += 1
            if self._rate is not None:
                self._begin_at += 1 / self._rate
            self._enable(subnet, place)
        return begun

    def next_at(self) -> float | None:
        """When the rate lets the next one begin; None where something else has to happen first."""
        return self._begin_at if self._rate is not None and self._able and self.out < self._in_flight else None

    def clear(self) -> list[T]:
        """Take out all that wait."""
        waiting = [item for place in self._subnets.values() for item in place.waiting]
        for place in self._subnets.values():
            place.waiting.clear()
            place.is_able = False
        self._able.clear()
        return waiting

    def _enable(self, subnet: str | None, place: _Subnet[T]) -> None:
        has_room = subnet is None or self._per_subnet is None or place.out < self._per_subnet
        if place.waiting and has_room and not place.is_able:
            place.is_able = True
            self._able.append(subnet)


def subnet_of(address: str) -> str | None:
    """The /24 of an IPv4 address, the /64 of another; None for what is no address."""
    head, dot, _ = address.rpartition(".")
    if dot and ":" not in address:
        return head if head.count(".") == 2 else None
    try:
        value = ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return f"{int(value) >> 64:x}"
