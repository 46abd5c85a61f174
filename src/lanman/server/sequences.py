"""What tells a request from one that its client sends once more, because a connection of its was lost with the answer.

**Channel sequence** (MS-SMB2 3.3.5.2.10). A client counts its lost connections, and each request of 3.x says the count.
The requests on one open that bear the same number are an Era. A request of a newer number than that of the open begins
a new Era; one of an older number is a straggler, overtaken by what its client has sent since. Stragglers that change
something are refused, and so is a repetition while anything of an earlier Era is outstanding: it may yet change what
the repetition is about to write, and the client asks again.

**Lock sequence** (3.3.5.14). A LOCK may bear a number and the index of one of 64 places. The place keeps the number of
the last one that succeeded; the same number again is that request again, and is done already.

Both are values in memory, without requests and without time.
"""

from __future__ import annotations

from typing import Final

# 2.2.26: the places of LockSequenceArray are counted from 1; 0 stands for none.
LOCK_SEQUENCES: Final = 64

# 3.3.5.2.10: a number is newer than another one if it is up to so many ahead of it, in 16 bits.
_AHEAD: Final = 0x7FFF


class Era:
    """The requests on an open that bear the same channel sequence. `outstanding`: how many are not answered yet."""

    __slots__ = ("outstanding",)

    def __init__(self) -> None:
        self.outstanding = 0


class ChannelSequence:
    """An open's ChannelSequence, OutstandingRequestCount and OutstandingPreRequestCount (3.3.1.10). `number` is that of
    the CREATE."""

    __slots__ = ("_earlier", "_era", "_number")

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._era = Era()
        self._earlier: tuple[Era, ...] = ()

    def restart(self, number: int) -> None:
        """The requests from now on count from that number, whatever it is: the CREATE that has opened it, or has
        reclaimed it in another session, bears it."""
        self._advance(number)

    @property
    def outstanding_before(self) -> int:
        """OutstandingPreRequestCount: the requests of earlier numbers that are not answered yet."""
        if self._earlier:
            self._earlier = tuple(era for era in self._earlier if era.outstanding)
        return sum(era.outstanding for era in self._earlier)

    @property
    def outstanding(self) -> int:
        """All requests that are not answered yet."""
        return self._era.outstanding + self.outstanding_before

    def begin(self, number: int, replay: int = False) -> Era | None:
        """A request of that number begins: it is outstanding in the Era that is given, until that counts it no more.
        None: it is to be refused if it changes something (STATUS_FILE_NOT_AVAILABLE), and is not counted."""
        if number == self._number and not replay:
            era = self._era
            era.outstanding += 1
            return era
        if number != self._number:
            if (number - self._number) & 0xFFFF > _AHEAD:
                return None
            self._advance(number)
        if replay and self.outstanding_before:
            return None
        self._era.outstanding += 1
        return self._era

    def _advance(self, number: int) -> None:
        earlier = (*self._earlier, self._era)
        self._earlier = tuple(era for era in earlier if era.outstanding)
        self._number, self._era = number, Era()


class LockSequences:
    """An open's LockSequenceArray (3.3.1.10). Most opens have none of it, so it is made when it is needed."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[int, int] | None = None

    def is_done(self, sequence: int) -> bool:
        """Whether the request of that LockSequence (2.2.26) has succeeded before. If not, its place is free again."""
        if self._numbers is None:
            return False
        index, number = sequence >> 4, sequence & 0xF
        if self._numbers.get(index) == number:
            return True
        self._numbers.pop(index, None)
        return False

    def done(self, sequence: int) -> None:
        """The request of that LockSequence has succeeded."""
        index = sequence >> 4
        if 1 <= index <= LOCK_SEQUENCES:
            self._numbers = self._numbers or {}
            self._numbers[index] = sequence & 0xF
