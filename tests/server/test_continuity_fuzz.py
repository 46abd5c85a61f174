"""Conversations with contexts of leases, durable handles and repetitions, on several connections."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.continuity_fuzz import CONVERSATIONS, round_of

ALL = 1_000_000 // CONVERSATIONS
SAMPLE = range(8)


@pytest.mark.parametrize("number", SAMPLE)
def test_a_sample(tmp_path: Path, number: int) -> None:
    round_of(number, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_million_conversations(tmp_path: Path) -> None:
    """Hours of one core. LANMAN_FUZZ_ROUNDS=FIRST-LAST makes a part of it: rounds are the same in any order."""
    first, _, last = os.environ.get("LANMAN_FUZZ_ROUNDS", f"0-{ALL - 1}").partition("-")
    for number in range(int(first), int(last or first) + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            round_of(number, folder)
        except Exception as error:
            raise AssertionError(f"round {number}: LANMAN_FUZZ_ROUNDS={number} makes it again") from error
