"""What errors say: their fields, the sentence that is made of them, and which of Python's own errors they are."""

from __future__ import annotations

import copy
import pickle

import pytest

import lanman
from lanman import codes
from lanman.errors import (
    AccessDenied,
    AuthenticationError,
    ConnectionLost,
    LanmanError,
    MalformedMessage,
    StatusError,
    TimedOut,
    Win32Error,
)

SHARE = "share data"
GONE = codes.win32_text(codes.NERR_NetNameNotFound)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (LanmanError("no"), 59, "no"),
        (LanmanError("no", server="fs1", code=5), 5, r"\\fs1: no"),
        (Win32Error(codes.NERR_NetNameNotFound), 2310, GONE),
        (Win32Error(codes.NERR_NetNameNotFound, server="fs1", subject=SHARE), 2310, rf"\\fs1: share data: {GONE}"),
        (Win32Error(87, "it is empty", subject=SHARE), 87, "it is empty"),
        (
            AccessDenied(server="fs1", subject="the list of sessions"),
            5,
            r"\\fs1: access denied to the list of sessions",
        ),
        (AccessDenied(), 5, codes.win32_text(5)),
        (StatusError(0xC0000022, server="fs1", subject="IPC$"), 5, rf"\\fs1: IPC$: {codes.ntstatus_text(0xC0000022)}"),
        (TimedOut("no answer within 1 seconds", server="fs1"), 121, r"\\fs1: no answer within 1 seconds"),
        (MalformedMessage("it is cut short", server="fs1"), 1728, r"\\fs1: it is cut short"),
    ],
)
def test_the_sentence_is_made_of_the_fields(error: LanmanError, code: int, sentence: str) -> None:
    assert (error.code, error.message, str(error)) == (code, sentence, sentence)


def test_fields() -> None:
    error = AccessDenied(server="fs1", subject=SHARE, hint="ask")
    assert (error.server, error.subject, error.hint) == ("fs1", "share data", "ask")
    plain = ConnectionLost("it ended")
    assert (plain.server, plain.subject, plain.hint) == (None, None, None)


def test_a_server_that_is_learnt_later_is_in_the_sentence() -> None:
    """The protocol cores do not know whom they talk to."""
    error = MalformedMessage("it is cut short")
    error.server = "fs1"
    assert str(error) == r"\\fs1: it is cut short"


@pytest.mark.parametrize(
    ("text", "hint", "line"),
    [
        ("it is gone", None, "it is gone"),
        ("it is gone", "Start it", "it is gone. Start it."),
        ("Is it gone?", "Start it!", "Is it gone? Start it!"),
        ("it is gone.", "start it", "it is gone; start it."),
    ],
)
def test_a_line_with_the_hint(text: str, hint: str | None, line: str) -> None:
    assert LanmanError(text, hint=hint).with_hint == line
    assert LanmanError(text, hint=hint, server="fs1").with_hint == rf"\\fs1: {line}"


def test_they_are_pythons_own_too() -> None:
    assert isinstance(AccessDenied(), PermissionError)
    assert isinstance(ConnectionLost("no"), ConnectionError)
    assert isinstance(TimedOut("no"), TimeoutError)
    assert isinstance(TimedOut("no"), ConnectionLost)
    assert not isinstance(ConnectionLost("no"), TimeoutError)
    assert lanman.TimedOut is TimedOut


@pytest.mark.parametrize(
    "error",
    [
        Win32Error(2310, server="fs1", subject=SHARE, hint="look"),
        AccessDenied(server="fs1", subject=SHARE),
        StatusError(0xC0000022, server="fs1"),
        TimedOut("no answer", server="fs1"),
        AuthenticationError("no", code=1330),
    ],
    ids=lambda error: type(error).__name__,
)
def test_they_can_be_copied_and_pickled(error: LanmanError) -> None:
    """As worker processes hand them to their parent."""
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (again.code, str(again), again.hint, again.server, again.subject) == (
            error.code,
            str(error),
            error.hint,
            error.server,
            error.subject,
        )
        assert getattr(again, "status", None) == getattr(error, "status", None)
