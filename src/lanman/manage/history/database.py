"""What a store asks of a database, so that everything above is the same for both.

SQL is that of both, with `?` for parameters. Times and ids are integers, names are text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.history.records import Holder

T = TypeVar("T")

Row = Sequence[Any]

_AT_ONCE: Final = 400
"""How many values one SELECT looks for; SQLite takes 999 parameters (before 3.32)."""


class StoreError(LanmanError):
    """A database cannot be reached, read or written."""

    code = codes.ERROR_INVALID_DATA


class Writing(Protocol):
    """A transaction: all of it is kept, or nothing."""

    async def fetch(self, sql: str, parameters: Row = ()) -> list[Any]:
        """The rows of a SELECT, as they are within this transaction."""

    async def execute(self, sql: str, parameters: Row = ()) -> None:
        """Run a statement."""

    async def many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement once for each row of parameters."""

    async def insert(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        """Add rows to a table; `columns` are names with commas between."""


class Database(Protocol):
    """A database that is open. Everything raises StoreError."""

    name: str
    """What it is called where people read it: a path, a URL without its password."""

    async def open(self) -> None:
        """Connect, make what there is not, and bring an older schema up to date."""

    async def close(self) -> None:
        """Let go of it. May be called twice."""

    async def fetch(self, sql: str, parameters: Row = ()) -> list[Any]:
        """The rows of a SELECT. What is being written meanwhile is not seen, and not waited for."""

    def transaction(self) -> AbstractAsyncContextManager[Writing]:
        """A transaction, one at a time; on the disk once it ends, and undone where an exception leaves it."""

    def hold(self, role: str, since: int) -> AbstractAsyncContextManager[Holder]:
        """See `lanman.manage.history.store.Store.hold`."""

    async def holder(self, role: str) -> Holder | None:
        """See `lanman.manage.history.store.Store.holder`."""

    async def schema(self) -> int:
        """How many steps of `schema.STEPS` it has had."""

    async def size(self) -> int:
        """How many bytes it takes on the disk."""


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await something that is never left halfway: where the waiting is cancelled, it ends first."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait({task})


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Values by as many as one statement may look for."""
    rest = iter(values)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def padded(values: Sequence[T]) -> list[T]:
    """Values for `IN (...)`, the last one repeated: so that there are few statements, which databases prepare once."""
    size = 1
    while size < len(values):
        size *= 2
    return [*values, *[values[-1]] * (size - len(values))]


def marks(values: Sequence[object]) -> str:
    """The parameters of `IN (...)`."""
    return ", ".join("?" * len(values))


def without_password(url: str) -> str:
    """A URL as people may see it. Where it is not written as it should be, rather too much of it is left out."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, mark, rest = url.partition(":")
    # A password may have any of the characters that end a name of a host, and `@`, though they should be quoted.
    account, at, place = rest.rpartition("@")
    place, question, query = place.partition("?")
    shown = [each for each in query.split("&") if not unquote(each.partition("=")[0]).casefold().endswith("password")]
    question = "?" if question and any(shown) else ""
    return f"{scheme}{mark}{account.partition(':')[0]}{at}{place}{question}{'&'.join(shown)}"
