"""Lines of a log that a flood cannot multiply."""

from __future__ import annotations

from lanman.server.quiet import KEYS, OTHERS, PERIOD, LeftOut, Quiet


def test_one_line_of_a_kind_about_a_peer_in_a_period_and_then_the_count() -> None:
    quiet = Quiet()
    assert [quiet.allows("waits", "a", 0) for _ in range(5)] == [True, False, False, False, False]
    assert quiet.allows("waits", "b", 1)
    assert quiet.allows("ends", "a", 1)
    assert quiet.over(PERIOD - 1) == []
    assert quiet.next_deadline() == PERIOD
    assert quiet.over(PERIOD) == [LeftOut("waits", "a", 4)]
    assert quiet.allows("waits", "a", PERIOD)
    assert quiet.over(10 * PERIOD) == []  # nothing was left out of what is still kept
    assert quiet.next_deadline() is None


def test_some_kinds_have_several_lines() -> None:
    quiet = Quiet()
    assert [quiet.allows("refused", "a", 0, burst=3) for _ in range(5)] == [True, True, True, False, False]


def test_a_flood_from_any_number_of_addresses_is_a_bounded_number_of_lines() -> None:
    quiet = Quiet()
    written = sum(quiet.allows("waits", f"10.0.{number // 256}.{number % 256}", 0) for number in range(20_000))
    assert written == KEYS + 1
    assert quiet.allows("ends", "10.9.9.9", 0)
    assert quiet.over(PERIOD) == [LeftOut("waits", OTHERS, 20_000 - KEYS - 1)]
