"""Who hears of a change, in which order, and what happens when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lanman.domain import Connection, Open, Reason, ServerService, Session, Share, TreeConnect
from lanman.events import (
    ConnectionClosed,
    Event,
    FileOpened,
    ServerState,
    SessionClosed,
    SessionOpened,
    ShareAdded,
    ShareAvailability,
    ShareRemoved,
    TreeConnected,
    TreeDisconnected,
)
from support.summaries import summaries


@pytest.fixture
def failures() -> list[tuple[str, Event | None, str]]:
    return []


@pytest.fixture
def service(failures: list[tuple[str, Event | None, str]]) -> ServerService:
    service = ServerService(failed=lambda name, event, error: failures.append((name, event, str(error))))
    service.add_share(Share("data", path="/srv/data"))
    return service


def log_on(service: ServerService, number: int) -> Session:
    return service.register_session(number, number, f"PC{number}", "ann", now=0)


def connect(service: ServerService, session: Session) -> TreeConnect:
    return service.register_tree_connect(session, 1, service.shares()[0], 0)


class Recording:
    """A transport that writes down what it is told, and may fail."""

    def __init__(self, told: list[object]) -> None:
        self.told = told
        self.fails = False

    def _record(self, *what: object) -> None:
        self.told.append(what)
        if self.fails:
            raise RuntimeError("the transport is broken")

    def open_closed(self, opened: Open, reason: Reason) -> None:
        self._record("open", opened, reason)

    def open_preserved(self, opened: Open) -> None:
        self._record("preserved", opened)

    def tree_disconnected(self, tree: TreeConnect) -> None:
        self._record("tree", tree)

    def session_closed(self, session: Session, reason: Reason) -> None:
        self._record("session", session, reason)

    def tree_ending(self, tree: TreeConnect, reason: Reason) -> None:
        self._record("tree ending", tree, reason)

    def session_ending(self, session: Session, reason: Reason) -> None:
        self._record("session ending", session, reason)

    def session_identified(self, session: Session) -> None:
        self._record("identified", session)

    def share_removed(self, share: Share) -> None:
        self._record("share", share)


def test_what_nobody_wants_is_not_made(service: ServerService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes its number all the same."""

    def made(opened: Open) -> None:
        raise AssertionError("a record that nobody asked for")

    heard: list[Event] = []
    service.subscribe(heard.append, SessionOpened, SessionClosed)
    monkeypatch.setattr("lanman.domain.values.file_record", made)
    ann = log_on(service, 1)
    service.register_open(ann, connect(service, ann), 1, "/srv/data/a", 1, 0)
    service.close_session(ann, Reason.LOGOFF)
    assert [(type(event), event.sequence) for event in heard] == [(SessionOpened, 2), (SessionClosed, 7)]
    assert service.sequence == 7


def test_the_transport_is_told_before_the_listeners_and_in_their_order(service: ServerService) -> None:
    told: list[object] = []
    service.attach(Recording(told))
    ann = log_on(service, 1)
    tree = connect(service, ann)
    opened = service.register_open(ann, tree, 1, "/srv/data/a", 1, 0)
    service.subscribe(lambda event: told.append(type(event).__name__))
    service.close_session(ann, Reason.DELETED)
    assert told == [
        ("open", opened, Reason.DELETED),
        "FileClosed",
        ("tree", tree),
        "TreeDisconnected",
        ("session", ann, Reason.DELETED),
        "SessionClosed",
    ]


def test_a_listener_that_raises_is_reported_and_stops_nobody(
    service: ServerService, failures: list[tuple[str, Event | None, str]]
) -> None:
    def fails(event: Event) -> None:
        raise RuntimeError("no")

    heard: list[Event] = []
    service.subscribe(fails, SessionOpened, name="the bad one")
    service.subscribe(fails, TreeConnected)
    service.subscribe(heard.append)
    ann = log_on(service, 1)
    tree = connect(service, ann)
    assert service.sessions() == [ann]
    assert service.tree_connects() == [tree]
    assert summaries(heard) == [(SessionOpened, ann.global_id), (TreeConnected, tree.global_id)]
    assert [name.rpartition(".")[2] for name, _, _ in failures] == ["the bad one", "fails"]
    assert [event for _, event, _ in failures] == heard


def test_a_transport_that_raises_is_reported_and_stops_nobody(
    service: ServerService, failures: list[tuple[str, Event | None, str]]
) -> None:
    told: list[object] = []
    transport = Recording(told)
    service.attach(transport)
    ann = log_on(service, 1)
    service.register_open(ann, connect(service, ann), 1, "/srv/data/a", 1, 0)
    transport.fails = True
    heard: list[Event] = []
    service.subscribe(heard.append, SessionClosed)
    service.close_session(ann, Reason.DELETED)
    assert service.sessions() == []
    assert service.opens() == []
    assert len(told) == 3
    assert [name for name, _, _ in failures] == [
        "Recording.open_closed",
        "Recording.tree_disconnected",
        "Recording.session_closed",
    ]
    assert [event for _, event, _ in failures] == [None, None, None]
    assert summaries(heard) == [(SessionClosed, ann.global_id, Reason.DELETED)]


def test_what_a_listener_causes_comes_after_what_it_was_told(service: ServerService) -> None:
    """Even for those that hear later: no listener is called within another."""
    inside = 0
    heard: list[str] = []

    def ends_it(event: Event) -> None:
        nonlocal inside
        assert not inside
        inside += 1
        if isinstance(event, FileOpened):
            (session,) = service.sessions()
            service.close_session(session, Reason.DELETED)
            assert service.sessions() == []  # it is done, and nobody has heard of it yet
            assert heard[-1] == "TreeConnected"
        inside -= 1

    service.subscribe(ends_it)
    service.subscribe(lambda event: heard.append(type(event).__name__))
    ann = log_on(service, 1)
    service.register_open(ann, connect(service, ann), 1, "/srv/data/a", 1, 0)
    assert heard == [
        "SessionOpened",
        "TreeConnected",
        "FileOpened",
        "FileClosed",
        "TreeDisconnected",
        "SessionClosed",
    ]


def test_who_comes_and_goes_within_a_delivery(service: ServerService) -> None:
    """A new listener hears of later changes alone; one that has left hears nothing more, even of this one."""
    heard: list[tuple[str, int]] = []
    cancel: list[Callable[[], None]] = []

    def changes_who_hears(event: Event) -> None:
        if not cancel:
            return
        cancel.pop()()
        service.subscribe(lambda event: heard.append(("new", event.sequence)))

    service.subscribe(changes_who_hears)
    cancel.append(service.subscribe(lambda event: heard.append(("old", event.sequence))))
    log_on(service, 1)
    assert heard == []
    log_on(service, 2)
    assert heard == [("new", 3)]


def test_an_interrupt_is_nobodys_error_and_loses_nothing(service: ServerService) -> None:
    """Ctrl-C in a listener comes out, when the others have heard."""
    heard: list[int] = []

    def interrupted(event: Event) -> None:
        if event.sequence == 2:
            raise KeyboardInterrupt

    service.subscribe(interrupted)
    service.subscribe(lambda event: heard.append(event.sequence))
    with pytest.raises(KeyboardInterrupt):
        log_on(service, 1)
    assert len(service.sessions()) == 1
    assert heard == [2]
    log_on(service, 2)
    assert heard == [2, 3]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), BaseException("no")])
def test_whatever_a_listener_raises_is_reported(
    service: ServerService, failures: list[tuple[str, Event | None, str]], error: BaseException
) -> None:
    def fails(event: Event) -> None:
        raise error

    heard: list[Event] = []
    service.subscribe(fails, name="the bad one")
    service.subscribe(heard.append)
    ann = log_on(service, 1)
    assert summaries(heard) == [(SessionOpened, ann.global_id)]
    assert [name for name, _, _ in failures] == ["the bad one"]


def test_who_cannot_be_told_of_an_error_keeps_no_event_back() -> None:
    """The error of the report comes out when everybody has heard."""

    def failed(name: str, event: Event | None, error: BaseException) -> None:
        raise OSError("the log cannot be written")

    def fails(event: Event) -> None:
        raise RuntimeError("no")

    service = ServerService(failed=failed)
    heard: list[Event] = []
    service.subscribe(fails)
    service.subscribe(heard.append)
    with pytest.raises(BaseExceptionGroup) as caught:
        log_on(service, 1)
    assert [str(error) for error in caught.value.exceptions] == ["the log cannot be written"]
    assert summaries(heard) == [(SessionOpened, 1)]
    assert len(service.sessions()) == 1


def test_a_listener_ends_a_session_that_loses_a_channel(service: ServerService) -> None:
    """The connection that is lost carries one session, and is one of the two channels of another."""
    heard: list[Event] = []
    for number in (1, 2):
        service.open_connection(Connection(number, f"192.0.2.{number}"))
    ann, bob = log_on(service, 1), service.register_session(1, 2, "PC1", "bob", now=0)
    service.add_channel(bob, 2)
    service.subscribe(lambda event: service.close_session(bob, Reason.DELETED), SessionClosed)
    service.subscribe(heard.append, SessionClosed, ConnectionClosed)
    service.close_connection(1)
    assert service.sessions() == []
    assert service.connection_sessions(1) == service.connection_sessions(2) == []
    assert summaries(heard) == [
        (SessionClosed, ann.global_id, Reason.DISCONNECTED),
        (ConnectionClosed, 1, ""),
        (SessionClosed, bob.global_id, Reason.DELETED),
    ]


def test_a_share_that_a_listener_shares_again_is_there(service: ServerService) -> None:
    """Its removal is told as a whole before that: in the sum of the events it is there, as on the Server."""
    state = ServerState()
    heard: list[Event] = []
    ann = log_on(service, 1)
    connect(service, ann)
    service.subscribe(state.apply)
    service.subscribe(lambda event: service.add_share(Share("data", path="/srv/new")), TreeDisconnected)
    service.subscribe(heard.append)
    service.remove_share(service.shares()[0])
    assert [type(event) for event in heard] == [TreeDisconnected, ShareRemoved, ShareAdded]
    assert [share.path for share in state.shares.values()] == ["/srv/new"]
    assert [share.path for share in service.shares()] == ["/srv/new"]


def test_a_share_out_of_its_bounds_that_a_listener_says_is_back(service: ServerService) -> None:
    share = Share("confined", path="/srv/confined", confined=True)
    service.add_share(share)
    service.register_tree_connect(log_on(service, 1), 1, share, 0)
    heard: list[Event] = []
    service.subscribe(lambda event: service.mark_share(share, ""), TreeDisconnected)
    service.subscribe(heard.append, ShareAvailability)
    service.mark_share(share, "it is elsewhere")
    changes = [(event.before, event.share.problem) for event in heard if isinstance(event, ShareAvailability)]
    assert changes == [("", "it is elsewhere"), ("it is elsewhere", "")]
