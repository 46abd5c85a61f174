"""Events as they travel over the control socket: whatever is written is read again."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import events
from lanman.errors import MalformedMessage
from lanman.events import Event, FileOpened, FileRecord, Reason
from lanman.rpc.control_events import EventEntry, WaitForEventsResponse, pack_event, unpack_event

KINDS: tuple[Any, ...] = get_args(Event)

NUMBERS = st.integers(0, (1 << 32) - 1)
LONG = st.integers(0, (1 << 64) - 1)
TIMES = st.floats(0, 4e9).map(lambda time: round(time, 6))
TEXTS = st.text(st.characters(exclude_characters="\0\n"), max_size=20)


def values(name: str, kind: Any) -> st.SearchStrategy[Any]:
    """Anything that a field may be."""
    if hasattr(kind, "_fields"):
        return records(kind)
    if kind is Reason:
        return st.sampled_from(Reason)
    if kind is float:
        return TIMES
    if kind is bool:
        return st.booleans()
    if kind is int:
        return LONG if name == "sequence" or name.startswith("bytes_") else NUMBERS
    if kind is str:
        return TEXTS
    if kind == tuple[int, ...]:
        return st.lists(NUMBERS, max_size=3).map(tuple)
    assert kind == tuple[str, ...], (name, kind)
    return st.lists(TEXTS.filter(bool), max_size=3).map(tuple)


def records(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, vars(events))
    return st.builds(kind, **{name: values(name, hints[name]) for name in kind._fields})


@pytest.mark.parametrize("ndr64", [False, True])
@given(data=st.data())
def test_what_is_written_is_read_again(ndr64: bool, data: st.DataObject) -> None:
    told = data.draw(st.lists(st.sampled_from(KINDS).flatmap(records), max_size=5))
    stub = WaitForEventsResponse(entries=[pack_event(event) for event in told]).pack(ndr64)
    answer = WaitForEventsResponse.unpack(stub, ndr64)
    found = [unpack_event(entry) for entry in answer.entries or []]
    assert found == told
    assert [type(event) for event in found] == [type(event) for event in told]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_kind(kind: Any, data: st.DataObject) -> None:
    event = data.draw(records(kind))
    assert unpack_event(pack_event(event)) == event


def test_names_that_are_no_utf_16() -> None:
    """A file's name on this machine may be any bytes, and arrives as it is."""
    record = FileRecord(1, 2, 3, "s", "/srv/\udcff\ud800\U0001f600", 0xFFFFFFFF, 0, "", "", "", "", 1.5, 0, 1 << 63)
    event = FileOpened((1 << 64) - 1, 1764079502.250001, record)
    stub = WaitForEventsResponse(entries=[pack_event(event)]).pack()
    (entry,) = WaitForEventsResponse.unpack(stub).entries or []
    assert unpack_event(entry) == event


@pytest.mark.parametrize(
    "entry",
    [
        EventEntry(),
        EventEntry("NoSuchEvent"),
        EventEntry("SessionClosed", reason="NO_SUCH_REASON"),
        EventEntry("SessionClosed"),
        EventEntry("SessionOpened", connection_ids="one"),
    ],
)
def test_what_is_no_event(entry: EventEntry) -> None:
    with pytest.raises(MalformedMessage, match="does not know"):
        unpack_event(entry)


@pytest.mark.parametrize(("time", "arrives"), [(-95.25, 0.0), (5e9, 4294967295.999999)])
def test_a_time_that_cannot_be_said_is_the_nearest_that_can(time: float, arrives: float) -> None:
    """The clock of a Server may be set to before 1970: its followers hear of it all the same."""
    record = events.ConnectionRecord(1, "192.0.2.1", time, 0, 0)
    response = WaitForEventsResponse(entries=[pack_event(events.ConnectionOpened(1, time, record))])
    (entry,) = WaitForEventsResponse.unpack(response.pack()).entries or []
    event = unpack_event(entry)
    assert isinstance(event, events.ConnectionOpened)
    assert (event.time, event.connection.opened_at) == (arrives, arrives)
