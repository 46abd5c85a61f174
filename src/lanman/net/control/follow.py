"""Following what happens on this machine's Server, from a snapshot on.

    async with ControlClient(home.control) as client:
        follower = await EventFollower.begin(client)
        follower.state                          # what there is
        async for event in follower:            # each change once, in order, until the Server stops
            follower.state                      # what there is after it

A follower that is too slow for the Server, which keeps a bounded number of events, gets EventsLost and begins again
(`begin_again`); iterating may go on then.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Self

from lanman import codes
from lanman.errors import AccessDenied, EventsLost, Win32Error
from lanman.events import Event, ServerState
from lanman.net.control.client import ControlClient
from lanman.rpc.control_events import TakeSnapshot, WaitForEvents, unpack_event

# How long one call waits for events, in seconds, and how many it brings.
WAIT: Final = 30.0
MAX_EVENTS: Final = 1000


class EventFollower:
    """One that follows, over a connection of its own. `state` is what there is after the events that were given out.

    Iterating and `more` raise EventsLost, ConnectionLost when the Server has gone without a word, and AccessDenied.
    """

    def __init__(self, client: ControlClient) -> None:
        self.state = ServerState()
        self._client = client
        self._instance = ""
        self._ahead: deque[Event] = deque()  # have come, and are not given out yet

    @classmethod
    async def begin(cls, client: ControlClient) -> Self:
        """Follow from now on. Raises AccessDenied, ConnectionLost, and Win32Error where as many follow as may."""
        follower = cls(client)
        await follower.begin_again()
        return follower

    async def begin_again(self) -> None:
        """Take a new snapshot as `state`, and follow from there. Raises as `begin`."""
        self._ahead.clear()
        request = TakeSnapshot(1)
        state = ServerState()
        while True:
            answer = await self._client.call(request)
            _check(answer.status)
            for entry in answer.entries or []:
                state.apply(unpack_event(entry))
            if not answer.left:
                break
            request = TakeSnapshot(0)
        state.sequence = answer.sequence_high << 32 | answer.sequence_low
        self.state, self._instance = state, answer.instance or ""

    @property
    def instance(self) -> str:
        """A name of the run of the Server that `state` is of; no other run has it."""
        return self._instance

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event, whenever it comes; the end, once the Server has stopped."""
        while not self._ahead:
            if not self.state.running:
                raise StopAsyncIteration
            await self._fetch(WAIT, MAX_EVENTS)
        event = self._ahead.popleft()
        self.state.apply(event)
        return event

    async def more(self, wait: float = WAIT, max_events: int = MAX_EVENTS) -> list[Event]:
        """The next events, waiting up to so many seconds for the first; none if there were none."""
        if not self._ahead:
            await self._fetch(wait, max_events)
        events = [self._ahead.popleft() for _ in range(min(max_events, len(self._ahead)))]
        for event in events:
            self.state.apply(event)
        return events

    async def _fetch(self, wait: float, max_events: int) -> None:
        at = self.state.sequence
        answer = await self._client.call(
            WaitForEvents(self._instance, at & 0xFFFFFFFF, at >> 32, round(wait * 1000), max_events)
        )
        if answer.status == codes.ERROR_NOTIFY_ENUM_DIR:
            raise EventsLost
        _check(answer.status)
        self._ahead += [unpack_event(entry) for entry in answer.entries or []]


def _check(status: int) -> None:
    if status == codes.ERROR_ACCESS_DENIED:
        raise AccessDenied(hint="Only root and the user that the Server runs as may follow what happens on it.")
    if status:
        raise Win32Error(status)
