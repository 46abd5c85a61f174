"""Both databases, for every test that takes `url`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.platforms import need_posix

if TYPE_CHECKING:
    from support.postgres import Postgres


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    need_posix()
    from support import postgres

    if reason := postgres.missing():
        pytest.skip(reason)
    pytest.importorskip("asyncpg")
    server = postgres.Postgres()
    yield server
    server.close()


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """A function that gives the URL of a database that nobody has used."""
    if getattr(request, "param", "sqlite") == "sqlite":
        numbers = iter(range(1000))
        return lambda: f"sqlite://{tmp_path}/{next(numbers)}.sqlite"
    server: Postgres = request.getfixturevalue("postgresql")
    return server.new_database


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"url", "new_url"} & set(metafunc.fixturenames):
        metafunc.parametrize("new_url", ["sqlite", "postgresql"], indirect=True)
