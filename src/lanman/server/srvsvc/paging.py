"""Enumerations in pages: PreferedMaximumLength and ResumeHandle (MS-SRVS 3.1.4.1 to 3.1.4.5 and their like).

A page holds whole entries only. The handle is the number of entries of the whole list, filtered out ones included, that
the caller is done with; a list that changes between two calls may show an entry twice or not at all.

Long lists are looked at, and written, in pieces of PIECE entries, between which others have their turns. Who is in a
list is settled when the call begins: whoever comes meanwhile is not in it, whoever goes meanwhile still is. What an
entry says is settled when its piece is made, by the clock of the call: each is true of one moment, and none is half of
two.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Generic, TypeVar, overload

from lanman import codes
from lanman.plain import dataclass
from lanman.rpc.levels import Levels

ALL: Final = 0xFFFFFFFF  # MAX_PREFERRED_LENGTH
PIECE: Final = 512  # items that are looked at in one turn

Item = TypeVar("Item")
Record = TypeVar("Record")


class Described(Sequence[Record]):
    """Items as their records, each of which is made when it is read. An array is written slice by slice
    (`lanman.rpc.levels`): so a long one never is in memory as a whole, and its making is part of each piece."""

    __slots__ = ("_describe", "_items")

    def __init__(self, items: Sequence[Item], describe: Callable[[Item], Record]) -> None:
        self._items: Sequence[Any] = items
        self._describe: Callable[[Any], Record] = describe

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return list(map(self._describe, self._items[index]))
        return self._describe(self._items[index])


@dataclass(slots=True)
class Page(Generic[Record]):
    """`total` counts what passed the filter from where the page begins. `resume_handle` is 0 when nothing is left."""

    entries: Sequence[Record]
    total: int
    resume_handle: int
    status: int


def chosen(items: Sequence[Item], wanted: Callable[[Item], bool]) -> Generator[None, None, list[Item]]:
    """Those that are wanted, looked at in pieces."""
    found: list[Item] = []
    for begin in range(0, len(items), PIECE):
        if begin:
            yield
        found += filter(wanted, items[begin : begin + PIECE])
    return found


def page(
    items: Sequence[Item],
    describe: Callable[[Item], Record],
    size_of: Callable[[Record], int],
    *,
    resume_handle: int,
    length: int,
    wanted: Callable[[Item], bool] | None = None,
    none_fits: int = codes.ERROR_MORE_DATA,
) -> Generator[None, None, Page[Record]]:
    """The entries after the first `resume_handle` items, as many as `length` bytes hold; of those that are `wanted`,
    where that is given. It yields between pieces, so that others may have a turn; some of the items may be gone then.

    `describe` gives an item's entry. `none_fits` is the status when not even one entry fits.
    """
    if length == ALL:
        rest = items[resume_handle:]
        if wanted is not None:
            rest = yield from chosen(rest, wanted)
        return Page(Described(rest, describe), len(rest), 0, codes.ERROR_SUCCESS)
    entries: list[Record] = []
    total = size = 0
    resume = resume_handle
    status = codes.ERROR_SUCCESS
    for number, item in enumerate(items[resume_handle:], resume_handle + 1):
        if not number % PIECE:
            yield
        if wanted is not None and not wanted(item):
            continue
        total += 1
        if status != codes.ERROR_SUCCESS:
            continue
        entry = describe(item)
        if (size := size + size_of(entry)) > length:
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
