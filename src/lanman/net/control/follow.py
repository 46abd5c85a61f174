"""Following what happens on this machine's Server, from a snapshot on.

    async with ControlClient(home.control) as client:
        follower = await Follower.begin(client)
        follower.state                     # what there is
        while True:
            for event in await follower.more():
                ...                        # each change once, in order; `state` has taken it in

Whoever is too slow for the Server, which keeps a bounded number of events, gets EventsLost and begins again.
"""

from __future__ import annotations

from typing import Final, Self

from lanman import codes
from lanman.errors import AccessDenied, LanmanError, Win32Error
from lanman.events import Event, ServerState
from lanman.net.control.client import ControlClient
from lanman.rpc.control_events import TakeSnapshot, WaitForEvents, unpack_event

# How long one call waits for events, in seconds.
WAIT: Final = 30.0

MAX_EVENTS: Final = 1000


class EventsLost(LanmanError):
    """Events were missed: whoever follows has been too slow for what the Server keeps. What has happened meanwhile is
    known from a new snapshot."""

    code = codes.ERROR_NOTIFY_ENUM_DIR

    def __init__(self) -> None:
        super().__init__("Events of the Server were missed.", hint="Begin again with a new snapshot of what there is.")


class Follower:
    """One that follows, over a connection of its own. `state` is what there is after the events that were returned."""

    def __init__(self, client: ControlClient) -> None:
        self.state = ServerState()
        self._client = client
        self._instance = ""

    @classmethod
    async def begin(cls, client: ControlClient) -> Self:
        """Follow from now on. Raises AccessDenied, ConnectionLost, and Win32Error where as many follow as may."""
        follower = cls(client)
        await follower.begin_again()
        return follower

    async def begin_again(self) -> None:
        """Take a new snapshot as `state`, and follow from there. Raises as `begin`."""
        request = TakeSnapshot(1)
        events: list[Event] = []
        while True:
            answer = await self._client.call(request)
            _check(answer.status)
            events += [unpack_event(entry) for entry in answer.entries or []]
            if not answer.left:
                break
            request = TakeSnapshot(0)
        state = ServerState()
        for event in events:
            state.apply(event)
        state.sequence = answer.sequence_high << 32 | answer.sequence_low
        self.state, self._instance = state, answer.instance or ""

    async def more(self, wait: float = WAIT, max_events: int = MAX_EVENTS) -> list[Event]:
        """The next events, waiting up to so many seconds for the first; none if there were none.

        Raises EventsLost, and ConnectionLost when the Server ends.
        """
        at = self.state.sequence
        answer = await self._client.call(
            WaitForEvents(self._instance, at & 0xFFFFFFFF, at >> 32, round(wait * 1000), max_events)
        )
        if answer.status == codes.ERROR_NOTIFY_ENUM_DIR:
            raise EventsLost
        _check(answer.status)
        events = [unpack_event(entry) for entry in answer.entries or []]
        for event in events:
            self.state.apply(event)
        return events


def _check(status: int) -> None:
    if status == codes.ERROR_ACCESS_DENIED:
        raise AccessDenied(hint="Only root and the user that the Server runs as may follow what happens on it.")
    if status:
        raise Win32Error(status)
