"""The stream of events: who hears of a change, in which order, and what happens when a listener fails.

The rules:

* The service first makes a whole change, then posts its events, then delivers them: whoever hears of a change finds the
  service as it is after it.
* A change that consists of several (a share and all that is open on it) is made under `whole`: nothing is delivered
  before the last of them.
* Deliveries are a queue. A listener may call the service; what that leads to is queued behind what is to be delivered
  already, so that all hear of everything in the same order, and no listener is called within another.
* First of all, for each change, come the actions of the transport (`react`), which lets go of what stands behind a
  session or an open; then the listeners in the order of their subscriptions.
* An error in an action or a listener is reported to `failed`, with the name of who failed, and goes no further: the
  others hear the event all the same, and whoever made the change goes on. Without `failed` (tests, small programs)
  it comes out at the end of the delivery, as an exception group; so does an error of `failed` itself.
* That holds for whatever is raised, CancelledError too. KeyboardInterrupt and SystemExit are no errors: the program
  is to end. They come out when the others have heard the event.
* An event that nobody has subscribed to is not made: it takes its number and costs nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from lanman.events import Event

Listener = Callable[[Event], None]
Failed = Callable[[str, Event | None, BaseException], None]
Subject = TypeVar("Subject")


class Subscription:
    """One listener of some kinds of events, all without any; it hears nothing more once it is cancelled."""

    __slots__ = ("active", "kinds", "name", "on_event")

    def __init__(self, on_event: Listener, kinds: tuple[type, ...], name: str) -> None:
        self.on_event = on_event
        self.kinds = kinds
        self.name = name
        self.active = True


class _Whole:
    """`EventStream.whole`. A class, and one object for all, since every connection that ends is such a change."""

    __slots__ = ("_stream",)

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        self._stream.begin_whole()

    def __exit__(self, *error: object) -> None:
        self._stream.end_whole()


class EventStream:
    """Numbers the changes, and delivers them.

    `now` gives the seconds since 1970, to the microsecond. `failed(name, event, error)` is told of an error in the
    listener of that name; `event` is None where it was an action of the transport.
    """

    def __init__(self, now: Callable[[], float], failed: Failed | None = None) -> None:
        self.sequence = 0  # of the last change
        self.failed = failed
        self._now = now
        self._subscriptions: list[Subscription] = []
        self._by_kind: dict[type, tuple[Subscription, ...]] = {}
        self._queue: deque[tuple[Subscription | None, Callable[..., None], tuple[Any, ...]]] = deque()
        self._delivering = False
        self._unfinished = 0  # how many changes are being made that consist of several
        self._whole = _Whole(self)

    def subscribe(self, on_event: Listener, *kinds: type, name: str = "") -> Callable[[], None]:
        """Have `on_event` called with every event of these kinds, or of all; call the result to hear no more. `name` is
        what a report of its errors calls it."""
        subscription = Subscription(on_event, kinds, name or getattr(on_event, "__qualname__", repr(on_event)))
        self._subscriptions.append(subscription)
        self._by_kind.clear()

        def cancel() -> None:
            if subscription.active:
                subscription.active = False
                self._subscriptions.remove(subscription)
                self._by_kind.clear()

        return cancel

    def post(self, kind: type[Event], describe: Callable[[Subject], Any], subject: Subject, *rest: object) -> None:
        """Queue an event about `subject`, as `describe` describes it now; `rest` are the event's other fields."""
        self.sequence += 1
        interested = self._by_kind.get(kind)
        if interested is None:
            interested = self._find(kind)
        if interested:
            self._queue_event(interested, kind, describe(subject), *rest)

    def post_plain(self, kind: type[Event], *fields: object) -> None:
        """Queue an event with these fields."""
        self.sequence += 1
        if interested := self._find(kind):
            self._queue_event(interested, kind, *fields)

    def _find(self, kind: type[Event]) -> tuple[Subscription, ...]:
        """Who has subscribed to a kind of events."""
        found = self._by_kind.get(kind)
        if found is None:
            found = tuple(each for each in self._subscriptions if not each.kinds or kind in each.kinds)
            self._by_kind[kind] = found
        return found

    def _queue_event(self, interested: tuple[Subscription, ...], kind: Any, *fields: object) -> None:
        event = kind(self.sequence, self._now(), *fields)
        for subscription in interested:
            self._queue.append((subscription, subscription.on_event, (event,)))

    def react(self, action: Callable[..., None], *arguments: object) -> None:
        """Queue an action of the transport."""
        self._queue.append((None, action, arguments))

    def whole(self) -> _Whole:
        """Within this (`with`), make changes that are one together: they are delivered at the end."""
        return self._whole

    def begin_whole(self) -> None:
        """What is posted from now on is one change, until `end_whole`."""
        self._unfinished += 1

    def end_whole(self) -> None:
        """The change is whole: deliver it, unless it is part of another."""
        self._unfinished -= 1
        self.deliver()

    def deliver(self) -> None:
        """Deliver what is queued, and what comes of that, unless a delivery is under way, which does, or the change is
        not whole yet."""
        if self._delivering or self._unfinished or not self._queue:
            return
        self._delivering = True
        errors: list[BaseException] = []
        ending: BaseException | None = None
        try:
            while self._queue:
                subscription, action, arguments = self._queue.popleft()
                if subscription is not None and not subscription.active:
                    continue
                try:
                    action(*arguments)
                except (KeyboardInterrupt, SystemExit) as error:
                    ending = error
                except BaseException as error:  # noqa: BLE001 - reported; the change must go on
                    self._report(subscription, action, arguments, error, errors)
        finally:
            self._delivering = False
        if ending is not None:
            raise ending
        if errors:
            raise BaseExceptionGroup("listeners of the Server service failed", errors)

    def require_quiet(self) -> None:
        """RuntimeError if a delivery is under way, or a change that consists of several."""
        if self._delivering or self._unfinished:
            raise RuntimeError("a change is being delivered")

    def _report(
        self,
        subscription: Subscription | None,
        action: Callable[..., None],
        arguments: tuple[Any, ...],
        error: BaseException,
        errors: list[BaseException],
    ) -> None:
        if subscription is None:
            name, event = getattr(action, "__qualname__", repr(action)), None
        else:
            name, event = subscription.name, arguments[0]
        try:
            if self.failed is None:
                raise error
            self.failed(name, event, error)
        except BaseException as unreported:  # noqa: BLE001 - it comes out when all have heard
            errors.append(unreported)
