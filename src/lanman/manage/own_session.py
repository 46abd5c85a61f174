"""Which of the sessions that a server lists is the one of this program.

Lists do not mark it. It is taken to be one of our user, from an address or name of this machine, and no older than our
connection. A wrong guess costs one more order or look-up, never another user's session
(`lanman.manage.orders`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lanman.manage.clients import Clients
from lanman.manage.link import Link
from lanman.manage.selection import canonical_client, same_user
from lanman.names import fold
from lanman.net.identity import own_name
from lanman.records import SessionInfo

# How far a server's idea of a session's age may be beyond ours, in seconds.
_AGES_DIFFER: Final = 5


class OwnSession:
    """The session of a link, as the server may list it."""

    def __init__(self, link: Link, clients: Clients) -> None:
        self._link = link
        self._clients = clients
        self._name: tuple[str, str] | None = None

    async def recogniser(self, listed: Sequence[SessionInfo]) -> Callable[[SessionInfo], bool]:
        """A test whether an entry of `listed` may be the session that asks."""
        names = await self._clients.own_names(self._link.local_address, listed)

        def is_own(session: SessionInfo) -> bool:
            if canonical_client(session.client_name or "") not in names:
                return False
            # Clients behind an address translator share an address. A session older than ours is not ours.
            if session.active_time is not None and session.active_time > self._link.age + _AGES_DIFFER:
                return False
            return self.is_our_user(session.user_name)

        return is_own

    def is_our_user(self, user: str | None) -> bool:
        """Whether a listed user may be the one whom this program has logged on as. None, an unlisted one, may be."""
        if user is None:
            return True
        if self._name is None:
            self._name = own_name(self._link.credentials)
        own, domain = self._name
        if not own:
            return user == "" and self._link.credentials.anonymous
        if same_user(user, own):
            return True
        # A member of a domain may list it. Its short name is the first part of the long one, as a rule.
        listed_domain, backslash, name = user.rpartition("\\")
        ours = not domain or fold(domain.partition(".")[0]) == fold(listed_domain)
        return bool(backslash) and fold(name) == fold(own) and ours


class NoSession(OwnSession):
    """For whoever asks without a session at the server: over the control socket, say."""

    def __init__(self) -> None:
        """Nothing is needed to know that."""

    async def recogniser(self, listed: Sequence[SessionInfo]) -> Callable[[SessionInfo], bool]:
        """A test that no entry passes."""
        return lambda session: False

    def is_our_user(self, user: str | None) -> bool:
        """Nobody is."""
        return False
