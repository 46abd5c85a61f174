"""Following a Server over its control socket: two more calls of the control interface, and events as they travel there.

An event travels as an `EventEntry`, which has the fields of all events and of all their records, most of them empty: a
table (`_WIRE`) says for each field how it is written. A snapshot travels as the events that would lead to it from
nothing (`ServerState.events`), in parts, since a Server may have more than fits one answer.

An entry that is none of these is a MalformedMessage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Annotated, Any, Final, get_args, get_type_hints

from lanman import events
from lanman.errors import MalformedMessage
from lanman.events import Event, Reason
from lanman.plain import dataclass
from lanman.rpc.control import LANMAN
from lanman.rpc.levels import BOOL, levels
from lanman.rpc.ndr import Call, Entries, Response, string, struct_level, u32


@dataclass(slots=True)
class EventEntry:
    """An event. Times are in seconds and microseconds since 1970; numbers of 64 bits come in two halves.

    `since` is the record's begun_at, connected_at or opened_at; `in` counts what was received or written, `out` what
    was sent or read. Lists are parted by line feeds.
    """

    kind: str | None = None
    sequence_low: int = 0
    sequence_high: int = 0
    seconds: int = 0
    microseconds: int = 0
    since_seconds: int = 0
    since_microseconds: int = 0
    used_seconds: int = 0
    used_microseconds: int = 0
    in_low: int = 0
    in_high: int = 0
    out_low: int = 0
    out_high: int = 0
    id: int = 0
    session_id: int = 0
    tree_id: int = 0
    type: int = 0
    access: int = 0
    num_locks: int = 0
    ranges: int = 0
    by: int = 0
    max_users: int = 0
    active_time: int = 0
    anonymous: bool = False
    guest: bool = False
    expired: bool = False
    hidden: bool = False
    encrypt_data: bool = False
    confined: bool = False
    reason: str | None = None
    before: str | None = None
    detail: str | None = None
    value: str | None = None
    name: str | None = None
    share: str | None = None
    path: str | None = None
    oplock: str | None = None
    remark: str | None = None
    problem: str | None = None
    guest_access: str | None = None
    client_name: str | None = None
    user_name: str | None = None
    domain: str | None = None
    address: str | None = None
    transport: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    groups: str | None = None
    connection_ids: str | None = None
    lease: str | None = None
    lease_key: str | None = None
    durable: bool = False
    owner: str | None = None
    expires_seconds: int = 0
    expires_microseconds: int = 0


_STRINGS: Final = (
    "kind reason before detail value name share path oplock remark problem guest_access client_name user_name domain "
    "address transport dialect signing encryption groups connection_ids lease lease_key owner"
)
_BOOLS: Final = "anonymous guest expired hidden encrypt_data confined durable"

EVENTS: Final = levels(
    EventEntry,
    {0: " ".join(EventEntry.__dataclass_fields__)},
    strings=_STRINGS,
    kinds=dict.fromkeys(_BOOLS.split(), BOOL),
)

EventEntries = Annotated[list[EventEntry] | None, Entries(EVENTS)]


class TakeSnapshotResponse(Response):
    """A part of a snapshot, `left` events being still to come. The snapshot is of after change number `sequence` of the
    run of the Server that is named `instance`. ERROR_REQ_NOT_ACCEP: as many follow as may."""

    instance: string = None
    sequence_low: u32 = 0
    sequence_high: u32 = 0
    left: u32 = 0
    level: struct_level = 0
    entries: EventEntries = None
    status: u32 = 0


@LANMAN.call(5)
class TakeSnapshot(Call[TakeSnapshotResponse]):
    """What there is. `begin` not 0: as of now, and whoever asks follows from now on, until the connection ends; 0: the
    next part of what was begun."""

    begin: u32 = 1


class WaitForEventsResponse(Response):
    """The events after the position, in order; none if the time has run out. ERROR_NOTIFY_ENUM_DIR: they are not known
    any more, so take a new snapshot."""

    level: struct_level = 0
    entries: EventEntries = None
    status: u32 = 0


@LANMAN.call(6)
class WaitForEvents(Call[WaitForEventsResponse]):
    """The events after a position, at most `max_events` of them, waiting up to so many milliseconds for the first."""

    instance: string
    sequence_low: u32 = 0
    sequence_high: u32 = 0
    milliseconds: u32 = 0
    max_events: u32 = 1000


# --- one event

_Field = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], Callable[..., Any]]


_LAST_TIME: Final = (1 << 32) * 1_000_000 - 1  # in microseconds


def _halves(low: str, high: str) -> _Field:
    return (low, high), lambda value: (value & 0xFFFFFFFF, value >> 32), lambda low, high: high << 32 | low


def _time(name: str) -> _Field:
    # The nearest number to the microseconds, as `round(time, 6)` gives it: what arrives is what was sent.
    return (
        (f"{name}seconds", f"{name}microseconds"),
        # A clock may be set to before 1970 or after 2106, which the members cannot say.
        lambda value: divmod(min(max(round(value * 1_000_000), 0), _LAST_TIME), 1_000_000),
        lambda seconds, microseconds: (seconds * 1_000_000 + microseconds) / 1_000_000,
    )


def _text(name: str) -> _Field:
    return (name,), lambda value: (value or None,), lambda value: value or ""


def _plain(name: str) -> _Field:
    return (name,), lambda value: (value,), lambda value: value


# A field of an event or a record: the members that it is written to, how, and how it is read from them.
_WIRE: Final[dict[str, _Field]] = {
    **{name: _plain(name) for name in EventEntry.__dataclass_fields__},
    **{name: _text(name) for name in _STRINGS.split()},
    "sequence": _halves("sequence_low", "sequence_high"),
    "time": _time(""),
    "begun_at": _time("since_"),
    "connected_at": _time("since_"),
    "opened_at": _time("since_"),
    "used_at": _time("used_"),
    "expires_at": _time("expires_"),
    "bytes_read": _halves("out_low", "out_high"),
    "bytes_sent": _halves("out_low", "out_high"),
    "bytes_written": _halves("in_low", "in_high"),
    "bytes_received": _halves("in_low", "in_high"),
    "reason": (("reason",), lambda value: (value.name,), lambda value: Reason[value]),
    "groups": (
        ("groups",),
        lambda value: ("\n".join(value) or None,),
        lambda value: tuple(value.split("\n")) if value else (),
    ),
    "connection_ids": (
        ("connection_ids",),
        lambda value: ("\n".join(map(str, value)) or None,),
        lambda value: tuple(map(int, value.split("\n"))) if value else (),
    ),
}

_KINDS: Final[dict[str, Any]] = {kind.__name__: kind for kind in get_args(Event)}


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    """The fields of an event or record, each with the class of the record that it is, or None."""
    hints = get_type_hints(kind, vars(events))
    return tuple((name, hints[name] if hasattr(hints[name], "_fields") else None) for name in kind._fields)


def pack_event(event: Event) -> EventEntry:
    """An event as it travels."""
    entry = EventEntry(type(event).__name__)
    _write(entry, type(event), event)
    return entry


def _write(entry: EventEntry, kind: Any, values: Iterable[Any]) -> None:
    for (name, record), value in zip(_fields(kind), values, strict=True):
        if record is not None:
            _write(entry, record, value)
            continue
        members, write, _ = _WIRE[name]
        for member, part in zip(members, write(value), strict=True):
            setattr(entry, member, part)


def unpack_event(entry: EventEntry) -> Event:
    """The event that has arrived. Raises MalformedMessage."""
    try:
        event: Event = _read(entry, _KINDS[entry.kind or ""])
    except (KeyError, ValueError) as error:
        raise MalformedMessage(f"an event {entry.kind!r} that this version does not know ({error})") from None
    return event


def _read(entry: EventEntry, kind: Any) -> Any:
    values = []
    for name, record in _fields(kind):
        if record is not None:
            values.append(_read(entry, record))
        else:
            members, _, read = _WIRE[name]
            values.append(read(*[getattr(entry, member) for member in members]))
    return kind(*values)
