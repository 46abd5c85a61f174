"""Which listed clients a typed one means, where names and addresses have to be resolved to find out.

A server lists clients by address or by name, and people type either. What equals or resembles a listed name
needs no resolver (`lanman.manage.selection`). Otherwise a name also means the addresses that it resolves to, and an
address the names that it has. The owner of an address controls its reverse name, so a name counts only
if it resolves back to the address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from lanman.manage.selection import (
    alike_clients,
    canonical_client,
    chosen_users,
    equal_clients,
    is_address,
    is_pattern,
)
from lanman.net.dial import Within
from lanman.net.resolve import addresses_of, names_of
from lanman.records import SessionInfo

S = TypeVar("S", bound=SessionInfo)

# A server that lists clients by name is asked about this many of its names at a time, and this many in all.
_LOOK_UPS: Final = 16
_MAX_LOOK_UPS: Final = 256

# How long to wait for the names of our own address, in seconds.
_OWN_NAME_PATIENCE: Final = 2.0


class Clients:
    """The clients of one server, by what people call them. `waiting_for` says which look-up is going on, if any."""

    def __init__(self) -> None:
        self.waiting_for: str | None = None

    def within(self, timeout: float | None, doing: Callable[[], str], *, deadline: float | None, server: str) -> Within:
        """The bound on one method of a Manager: what is awaited in it ends in time, or raises TimedOut.

        `doing` says what is waited for where it is no look-up; the times are as `Within` has them.
        """
        self.waiting_for = None
        return Within(timeout, lambda: self.waiting_for or doing(), deadline=deadline, server=server)

    async def selected(self, entries: Iterable[S], client: str | None, user: str | None) -> list[S]:
        """The listed sessions that a client and a user select, both of them where both are given; None selects all.

        Each filter looks at all that is listed, and not at what the other one has left.
        """
        listed = list(entries)
        if client is None and user is None:
            return listed
        users = None if user is None else chosen_users((entry.user_name for entry in listed), user)
        clients = None if client is None else await self.meant(client, listed)
        return [
            entry
            for entry in listed
            if (clients is None or entry.client_name in clients) and (users is None or entry.user_name in users)
        ]

    async def meant(self, client: str, listed: Iterable[SessionInfo]) -> frozenset[str]:
        """The client names among the listed sessions that a typed client means, as they are listed."""
        names = frozenset(entry.client_name for entry in listed if entry.client_name)
        found = equal_clients(names, client)
        if found or not names or is_pattern(client):
            return found or alike_clients(names, client)
        if is_address(client):
            return alike_clients(names, client) or await self._at_address(canonical_client(client), names)
        self.waiting_for = f"the name of the client {client} was not resolved here"
        addresses = frozenset(map(canonical_client, await addresses_of(canonical_client(client))))
        found = alike_clients(names, client, addresses)
        if not found and not all(map(is_address, names)):
            # A server that lists names may list another one of the same computer.
            for address in sorted(addresses):
                found |= alike_clients(names, client, await self._names_of(address))
        self.waiting_for = None
        return found

    async def _at_address(self, address: str, names: frozenset[str]) -> frozenset[str]:
        """Which listed names are those of an address: names that it has, else names that resolve to it."""
        by_name = frozenset(name for name in names if not is_address(name))
        if not by_name:
            return frozenset()
        self.waiting_for = "the clients that it lists by name were not resolved here"
        found = alike_clients(by_name, address, await self._names_of(address))
        left = [] if found else sorted(by_name)[:_MAX_LOOK_UPS]
        while left:
            batch, left = left[:_LOOK_UPS], left[_LOOK_UPS:]
            resolved = await asyncio.gather(*(addresses_of(canonical_client(name)) for name in batch))
            found |= {name for name, known in zip(batch, resolved, strict=True) if _is_among(address, known)}
        self.waiting_for = None
        return found

    async def _names_of(self, address: str) -> frozenset[str]:
        """The canonical names of an address that resolve back to it; others could be forged by the address's owner."""
        names = await names_of(address)
        return frozenset([canonical_client(name) for name in names if _is_among(address, await addresses_of(name))])

    async def own_names(self, address: str, listed: Iterable[SessionInfo]) -> frozenset[str]:
        """The canonical names under which the server may list this machine, which it sees at `address`."""
        own = canonical_client(address)
        clients = frozenset(canonical_client(entry.client_name or "") for entry in listed) - {""}
        if not own or own in clients or all(map(is_address, clients)):
            return frozenset({own})
        try:
            async with asyncio.timeout(_OWN_NAME_PATIENCE):
                return frozenset({own}) | await self._names_of(own)
        except TimeoutError:
            return frozenset({own})

    async def is_host(self, name: str, server: str) -> bool:
        """Whether a canonical name or address is that of the host that `server` names: by address, if nothing else."""
        theirs = {name} if is_address(name) else await addresses_of(name)
        asked = canonical_client(server)
        return bool(theirs & ({asked} if is_address(asked) else await addresses_of(asked)))


def _is_among(address: str, known: Iterable[str]) -> bool:
    return address.partition("%")[0] in {canonical_client(one).partition("%")[0] for one in known}
