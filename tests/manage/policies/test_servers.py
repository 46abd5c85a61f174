"""Whom policies' servers are asked as."""

from __future__ import annotations

from typing import Any

import pytest

from lanman.manage.cluster import Place
from lanman.manage.policies.servers import Access, opener
from lanman.net.credentials import Credentials

TYPED, OWN, ASKED = Credentials("typed"), Credentials("own"), Credentials("asked")


@pytest.mark.parametrize(
    ("typed", "of_the_cluster", "asked", "who"),
    [
        (None, None, None, None),
        (None, None, ASKED, ASKED),
        # What was asked for one server is not tried at a cluster that has its own.
        (None, OWN, ASKED, OWN),
        (TYPED, OWN, None, TYPED),
        (TYPED, None, ASKED, TYPED),
    ],
)
def test_who_to_be(
    monkeypatch: pytest.MonkeyPatch,
    typed: Credentials | None,
    of_the_cluster: Credentials | None,
    asked: Credentials | None,
    who: Credentials | None,
) -> None:
    tried: list[Any] = []
    monkeypatch.setattr("lanman.manage.open.open_manager", lambda server, who, **how: tried.append((server, who)))
    opener(Access(credentials=typed, fallback=asked))(Place("fs1", "fs1"), of_the_cluster)()
    assert tried == [("fs1", who)]
