"""Which single servers policies are for, and whom they are asked as."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lanman.client_settings import ClientConfiguration, Cluster
from lanman.manage.cluster import Place
from lanman.manage.policies.reading import parse_policies
from lanman.manage.policies.servers import Access, find_servers, opener
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


NODES = ClientConfiguration(clusters={"files": Cluster(nodes=("FS1", "fs2"))})


@pytest.mark.parametrize("others", ['["FS1", "fs2"]', '["cluster:files"]', r'["\\\\fs1", "fs2:445", "fs1:445"]'])
def test_two_spellings_are_one_server(others: str) -> None:
    """Each by itself would have an `at_most` of its own, and tell people twice."""
    text = '[policies.a]\nselect = { idle = "2h" }\nservers = ["fs1"]\n[policies.b]\nselect = { idle = "2h" }\n'
    found = asyncio.run(find_servers(parse_policies(f"{text}servers = {others}\n"), Access(), NODES))
    assert {name: [each.name for each in one.policies] for name, one in found.served.items()} in (
        {"fs1": ["a", "b"], "fs2": ["b"]},
        {"fs1": ["a", "b"], "fs2:445": ["b"]},
    )


def test_two_ports_are_two_servers() -> None:
    text = '[policies.a]\nselect = { idle = "2h" }\nservers = ["fs1", "fs1:4450"]\n'
    assert len(asyncio.run(find_servers(parse_policies(text), Access(), NODES)).served) == 2
