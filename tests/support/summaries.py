"""Events in few words: which event, about which session, file or share, and the fields behind that."""

from __future__ import annotations

from collections.abc import Iterable

from lanman.events import Event, ShareRecord


def summary(event: Event) -> tuple[object, ...]:
    """(class, id or share name, further fields); of an event without a record all its fields."""
    fields = event[2:]
    if not fields or not isinstance(fields[0], tuple):
        return (type(event), *fields)
    record = fields[0]
    subject = record.name if isinstance(record, ShareRecord) else record.id
    return (type(event), subject, *fields[1:])


def summaries(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """The events one by one, in their order."""
    return [summary(event) for event in events]
