"""What valgrind says of the code that calls netapi32: no leak, nothing freed twice, nothing read that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.checked_memory import WRONG, checked, missing


@pytest.fixture(autouse=True)
def valgrind() -> Iterator[None]:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    return iter(())


def test_random_failures_of_every_call() -> None:
    found = checked(rounds=2000)
    assert found.errors == {}
    assert found.calls == 2000
    assert found.failed > 400


# Two errors at one place of the code are one to valgrind: what is read too late and what is read too far.
@pytest.mark.parametrize("wrong", [("leaks", "frees twice", "frees and reads"), ("reads too far",)])
def test_valgrind_would_see_a_mistake(wrong: tuple[str, ...]) -> None:
    assert checked(*wrong, rounds=40).errors.keys() >= {WRONG[mistake] for mistake in wrong}
