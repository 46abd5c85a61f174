"""What a sweep and its processes say to each other: values in frames, over the pipes of a child process.

A frame is four bytes of length, in network order, and a pickle. Both ends are this program, and the pipe is theirs
alone; what servers said is text inside the values. The words, each a tuple that begins with its name:

    to a worker     hello QUESTION CREDENTIALS NAME    jobs JOBS    cancel    state CREDENTIAL STATE WHY
                    answer NUMBER CREDENTIAL COUNTED WHY (COUNTED None is no)
    from a worker   ready                              outcomes OUTCOMES
                    admit NUMBER CREDENTIAL            withdraw NUMBER        settle CREDENTIAL PROOF COUNTED
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO, Final

from lanman import codes
from lanman.errors import LanmanError

_LENGTH: Final = struct.Struct(">I")
MAX_FRAME: Final = 1 << 30


def packed(*words: Any) -> bytes:
    """A frame. Raises LanmanError for one that is too long."""
    body = pickle.dumps(words, protocol=5)
    if len(body) > MAX_FRAME:
        raise LanmanError("an answer is too long to be passed on", code=codes.ERROR_NOT_ENOUGH_MEMORY)
    return _LENGTH.pack(len(body)) + body


def read_frame(stream: BinaryIO) -> tuple[Any, ...] | None:
    """The next frame; None at the end of the stream, which may be in the middle of one. It blocks."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return pickle.loads(body) if len(body) == length else None


class Frames:
    """Bytes as they come, put together to frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def receive(self, data: bytes) -> list[tuple[Any, ...]]:
        """The frames that are whole now."""
        self._data += data
        found, at = [], 0
        while len(self._data) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data, at)
            end = at + _LENGTH.size + length
            if len(self._data) < end:
                break
            # In place: a frame may have all that a server of a hundred thousand sessions said.
            with memoryview(self._data) as whole, whole[at + _LENGTH.size : end] as body:
                found.append(pickle.loads(body))
            at = end
        del self._data[:at]
        return found
