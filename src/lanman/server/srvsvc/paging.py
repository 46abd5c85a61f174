"""Enumerations in pages: PreferedMaximumLength and ResumeHandle (MS-SRVS 3.1.4.1 to 3.1.4.5 and their like).

A page holds whole entries only. The handle is the number of entries of the whole list, filtered out ones included, that
the caller is done with; a list that changes between two calls may show an entry twice or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from lanman import codes
from lanman.rpc.levels import Levels

ALL: Final = 0xFFFFFFFF  # MAX_PREFERRED_LENGTH
PIECE: Final = 1024  # items that are looked at in one turn

Item = TypeVar("Item")
Record = TypeVar("Record")


@dataclass(slots=True)
class Page(Generic[Record]):
    """`total` counts what passed the filter from where the page begins. `resume_handle` is 0 when nothing is left."""

    entries: list[Record]
    total: int
    resume_handle: int
    status: int


def page(
    items: Sequence[Item],
    describe: Callable[[Item], Record | None],
    size_of: Callable[[Record], int],
    *,
    resume_handle: int,
    length: int,
    none_fits: int = codes.ERROR_MORE_DATA,
) -> Generator[None, None, Page[Record]]:
    """The entries after the first `resume_handle` items, as many as `length` bytes hold. It yields after PIECE items,
    so that others may have a turn; some of the items may be gone then.

    `describe` gives an item's entry, or None if the caller did not ask for it. `none_fits` is the status when not even
    one entry fits.
    """
    entries: list[Record] = []
    total = size = 0
    resume = resume_handle
    status = codes.ERROR_SUCCESS
    for number, item in enumerate(items[resume_handle:], resume_handle + 1):
        if not number % PIECE:
            yield
        entry = describe(item)
        if entry is None:
            continue
        total += 1
        if status != codes.ERROR_SUCCESS:
            continue
        if length != ALL and (size := size + size_of(entry)) > length:
            status = codes.ERROR_MORE_DATA if entries else none_fits
            continue
        entries.append(entry)
        resume = number
    return Page(entries, total, 0 if status == codes.ERROR_SUCCESS else resume, status)


def sizer(levels: Levels[Any], level: int) -> Callable[[Any], int]:
    """How much of PreferedMaximumLength an entry of a level takes.

    The specification does not say. Here it is four bytes a member, and each string with its terminator.
    """
    members = levels.members(level)
    fixed = sum(8 if kind.data else 4 for _, kind in members)
    texts = [name for name, kind in members if kind.text]
    byte_fields = [name for name, kind in members if kind.data]

    def size_of(entry: Any) -> int:
        return (
            fixed
            + sum(_text_size(getattr(entry, name)) for name in texts)
            + sum(len(getattr(entry, name) or b"") for name in byte_fields)
        )

    return size_of


def _text_size(text: str | None) -> int:
    # UTF-16: what lies beyond the basic plane takes two units.
    return 0 if text is None else 2 * (len(text) + 1 + sum(character > "\uffff" for character in text))
