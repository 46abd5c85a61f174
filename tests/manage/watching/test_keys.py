"""What sessions and files are known by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.manage.own import DetailedSession
from lanman.manage.watching.keys import FileKey, SessionKey, ShareKey, file_key, same_file, same_session, session_key
from lanman.records import FileInfo, SessionInfo

BOB = SessionKey(r"\\pc7", "bob", 1000)


def test_names_that_no_encoding_can_hold_are_words_too() -> None:
    # UTF-16 from the wire may hold half of a surrogate pair.
    assert str(SessionKey("\\\\pc\ud800", "b\udfff", 1)) == "session:%5C%5Cpc%ED%A0%80:b%ED%BF%BF:1:*:0"
    assert str(FileKey(1, "a\ud800", None, node="n\ud800")) == "file:1:a%ED%A0%80:*:0@n%ED%A0%80"
    assert str(ShareKey("\ud800")) != str(ShareKey("\ud801"))


def test_a_session_is_its_client_its_user_and_when_it_began() -> None:
    entry = SessionInfo(r"\\pc7", "bob", num_opens=3, active_time=50, idle_time=10)
    assert session_key(entry, 1050.0) == BOB
    assert session_key(SessionInfo(r"\\pc7", "bob"), 1050.0) == SessionKey(r"\\pc7", "bob", None)
    detailed = DetailedSession(r"\\pc7", "bob", active_time=50, global_id=7)
    assert session_key(detailed, 1050.0) == SessionKey(r"\\pc7", "bob", 1000, 7)


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (SessionKey(r"\\pc7", "bob", 1003), True),
        (SessionKey(r"\\pc7", "bob", 997), True),
        (SessionKey(r"\\pc7", "bob", 1004), False),
        (SessionKey(r"\\pc7", "bob", 996), False),
        (SessionKey("PC7", "BOB", 1000), True),
        (SessionKey(r"\\pc8", "bob", 1000), False),
        (SessionKey(r"\\pc7", "bo", 1000), False),
        (SessionKey(r"\\pc7", "", 1000), False),
        # What was not told differs from nothing.
        (SessionKey(r"\\pc7", "bob"), True),
        (SessionKey(r"\\pc7", None), True),
        (SessionKey(r"\\pc7", "bob", 1000, 7), True),
        (SessionKey(r"\\pc7", "bob", 1000, number=3), True),
    ],
)
def test_the_same_session(now: SessionKey, same: bool) -> None:
    assert same_session(BOB, now) is same
    assert same_session(now, BOB) is same


def test_an_id_that_the_server_tells_is_compared_too() -> None:
    assert same_session(BOB._replace(id=7), BOB._replace(id=7))
    assert not same_session(BOB._replace(id=7), BOB._replace(id=8))
    # A Server that was started again counts from the beginning.
    assert not same_session(BOB._replace(id=7), BOB._replace(id=7, begun_at=2000))


def test_a_file_is_its_id_its_path_and_its_user() -> None:
    file = FileInfo(5, 3, 0, r"C:\a.txt", "bob")
    assert file_key(file) == FileKey(5, r"C:\a.txt", "bob")
    assert same_file(file, FileInfo(5, 1, 9, r"C:\a.txt", "bob"))
    assert same_file(file, FileInfo(5, user_name="BOB"))
    assert not same_file(file, FileInfo(6, 3, 0, r"C:\a.txt", "bob"))
    assert not same_file(file, FileInfo(5, 3, 0, r"C:\A.txt", "bob"))
    assert not same_file(file, FileInfo(5, 3, 0, r"C:\a.txt", "eve"))
    assert not same_file(FileInfo(path=r"C:\a.txt"), FileInfo(path=r"C:\a.txt"))


TEXTS = st.none() | st.text(alphabet=r"a:*%\/ -", max_size=3)
KEYS = (
    st.builds(SessionKey, TEXTS, TEXTS, st.none() | st.integers(0, 2), st.none() | TEXTS, st.integers(0, 1))
    | st.builds(FileKey, st.none() | st.integers(0, 9), TEXTS, TEXTS, st.integers(0, 1))
    | st.builds(ShareKey, st.text(alphabet="a:*%", max_size=3))
)


@given(KEYS, KEYS)
def test_two_keys_have_two_words(one: SessionKey | FileKey | ShareKey, other: SessionKey | FileKey | ShareKey) -> None:
    assert (str(one) == str(other)) == (one == other and type(one) is type(other))
    assert str(one).isascii()
    assert str(one).isprintable()
