"""Pages: whole entries, handles that lead on, and totals from where a page begins."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.records import SessionInfo
from lanman.rpc.levels import finish, levels
from lanman.server.srvsvc.paging import ALL, Page, page, sizer

SIZE_10 = sizer(
    levels(
        SessionInfo, {10: "client_name user_name active_time idle_time"}, strings="client_name user_name client_type"
    ),
    10,
)


def whole_page(*arguments: Any, **named: Any) -> Page[Any]:
    return finish(page(*arguments, **named))


def test_sizes_count_members_and_strings_with_their_terminators() -> None:
    assert SIZE_10(SessionInfo(r"\\PC1", "ann", active_time=1, idle_time=1)) == 4 * 4 + 2 * 6 + 2 * 4
    assert SIZE_10(SessionInfo(None, "\U0001f600")) == 4 * 4 + 2 * 3


def test_last_entry_returned_is_the_handle_in_the_whole_list() -> None:
    items = ["a", "-", "b", "-", "c"]
    answer = whole_page(items, str, len, wanted=lambda item: item != "-", resume_handle=0, length=2)
    assert (answer.entries, answer.total, answer.resume_handle, answer.status) == (["a", "b"], 3, 3, 234)
    answer = whole_page(items, str, len, wanted=lambda item: item != "-", resume_handle=3, length=2)
    assert (answer.entries, answer.total, answer.resume_handle, answer.status) == (["c"], 1, 0, 0)


def test_none_fits() -> None:
    answer = whole_page(["long"], lambda item: item, len, resume_handle=0, length=3)
    assert (answer.entries, answer.total, answer.resume_handle, answer.status) == ([], 1, 0, codes.ERROR_MORE_DATA)
    answer = whole_page(["long"], lambda item: item, len, resume_handle=0, length=3, none_fits=codes.NERR_BufTooSmall)
    assert answer.status == codes.NERR_BufTooSmall


def test_beyond_the_end_there_is_nothing() -> None:
    for handle in (1, 2, 0xFFFFFFFF):
        answer = whole_page(["a"], lambda item: item, len, resume_handle=handle, length=ALL)
        assert (list(answer.entries), answer.total, answer.status) == ([], 0, 0)


def test_a_later_smaller_entry_does_not_jump_the_queue() -> None:
    answer = whole_page(["aa", "long", "b"], lambda item: item, len, resume_handle=0, length=3)
    assert (answer.entries, answer.total, answer.resume_handle) == (["aa"], 3, 1)


@given(
    items=st.lists(st.tuples(st.booleans(), st.text(min_size=1, max_size=9)), max_size=30),
    length=st.integers(9, 60),
)
def test_pages_make_the_whole_list(items: list[tuple[bool, str]], length: int) -> None:
    wanted = [text for shown, text in items if shown]
    found: list[str] = []
    handle = 0
    while True:
        answer = whole_page(items, itemgetter(1), len, wanted=itemgetter(0), resume_handle=handle, length=length)
        assert answer.total == len(wanted) - len(found)
        assert sum(map(len, answer.entries)) <= length
        found += answer.entries
        if answer.status == codes.ERROR_SUCCESS:
            break
        assert answer.status == codes.ERROR_MORE_DATA
        assert answer.entries
        assert answer.resume_handle > handle
        handle = answer.resume_handle
    assert found == wanted
