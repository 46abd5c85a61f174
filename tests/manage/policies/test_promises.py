"""Promises and spares as they are kept: read back, newer ones refused, and what is none is said to be none."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random

import pytest

from lanman.errors import MalformedMessage
from lanman.manage.policies.promises import (
    VERSION,
    Promise,
    Spare,
    State,
    covers,
    paired,
    promise_of,
    session_of,
    spare_of,
)
from lanman.manage.watching.keys import SessionKey
from lanman.versions import NewerVersion

PROMISE = Promise("n", "night", "fs1", "enforce", r"\\pc1", "ann", 1000, 7, 1.5, 2.5, "idle", State.LOST, again_at=9.0)
SPARE = Spare("bob", 5000.0, "fs1", "root")

# As the first version wrote them: every later one has to read these.
FIRST_PROMISE = (
    '{"version": 1, "name": "n", "policy": "night", "server": "fs1", "mode": "enforce", "client_name": "\\\\\\\\pc1", '
    '"user_name": "ann", "begun_at": 1000, "id": 7, "matched_at": 1.5, "due_at": 2.5, "why": "idle", "state": "lost", '
    '"told_at": null, "told": "", "reason": "", "again_at": 9.0, "settled_at": null}'
)
FIRST_SPARE = '{"version": 1, "word": "bob", "until": 5000.0, "server": "fs1", "by": "root"}'


def test_what_is_kept_is_read_back() -> None:
    assert promise_of(PROMISE.as_text()) == promise_of(FIRST_PROMISE) == PROMISE
    assert spare_of(SPARE.as_text()) == spare_of(FIRST_SPARE) == SPARE
    for state in State:
        PROMISE.state = state
        assert promise_of(PROMISE.as_text()).state is state


def test_what_a_newer_lanman_wrote_is_refused() -> None:
    for text, read in ((FIRST_PROMISE, promise_of), (FIRST_SPARE, spare_of)):
        with pytest.raises(NewerVersion):
            read(text.replace('"version": 1', f'"version": {VERSION + 1}'))


def test_any_text_is_a_value_or_malformed() -> None:
    chance = Random(1)
    texts = ["", "{}", "[]", "1", "null", '{"version": "x"}', '{"version": 1}', '{"version": 1, "state": "x"}']
    for text in (FIRST_PROMISE, FIRST_SPARE):
        for _ in range(300):
            place = chance.randrange(len(text))
            texts.append(text[:place] + chance.choice(['"', "{", "9", "", "null", "\u2603"]) + text[place + 1 :])
    for text in texts:
        for read in (promise_of, spare_of):
            with suppress(MalformedMessage, NewerVersion):
                read(text)
    for name in ("due_at", "begun_at", "policy", "told", "client_name"):
        document = json.loads(FIRST_PROMISE)
        document[name] = []
        with pytest.raises(MalformedMessage):
            promise_of(json.dumps(document))


@pytest.mark.parametrize(
    "key",
    [
        SessionKey(r"\\pc1", "ann", 1000),
        SessionKey("a:b@c*", "EX\\\u00e4nn %41", None, "id:9", 3, "fs1:4450"),
        SessionKey(None, None),
        SessionKey("[::1]", "", -5, 12345, 0, None),
    ],
)
def test_the_word_of_a_session_is_its_key(key: SessionKey) -> None:
    assert session_of(str(key)) == key


@pytest.mark.parametrize("word", ["", "bob", "session:", "session:a:b", "session:a:b:c:d:e", "file:1:2:3:4:5", "@"])
def test_what_is_no_word_of_a_session(word: str) -> None:
    assert session_of(word) is None


@pytest.mark.parametrize(
    ("word", "covered"),
    [
        ("ann", True),
        (r"EXAMPLE\ann", True),
        ("ann@example.com", True),
        ("pc1", True),
        (r"\\PC1", True),
        ("//pc1", True),
        ("pc*", True),
        ("ann?", False),
        (r"\\ann", False),
        ("an", False),
        ("*", True),
    ],
)
def test_who_is_covered(word: str, covered: bool) -> None:
    key = SessionKey(r"\\pc1", r"EXAMPLE\Ann", 1000)
    assert covers(Spare(word, 10.0), key, "fs1", 9.0) is covered
    assert covers(Spare(word, 10.0, "FS1"), key, "fs1", 9.0) is covered
    assert not covers(Spare(word, 10.0, "fs2"), key, "fs1", 9.0)
    assert not covers(Spare(word, 10.0), key, "fs1", 10.0)


def _promised(begun: int, name: str) -> Promise:
    return Promise(name, "night", "fs1", "enforce", r"\\pc1", "ann", begun, None, 0.0, 0.0, "")


def test_each_session_is_that_of_one_promise() -> None:
    keys = [SessionKey("PC1", "ANN", begun) for begun in (1001, 1003, 5000)]
    promises = [_promised(1000, "a"), _promised(1002, "b"), _promised(1004, "c"), _promised(9000, "d")]
    found = {one.name: place for one, place in paired(promises, keys)}
    assert found == {"a": 0, "b": 1, "c": None, "d": None}


def test_all_times_are_shifted() -> None:
    one = promise_of(FIRST_PROMISE)
    one.shifted(100.0)
    kept = json.loads(one.as_text())
    assert (kept["begun_at"], kept["matched_at"], kept["due_at"], kept["again_at"]) == (1100, 101.5, 102.5, 109.0)
