"""Server-side copy (MS-SMB2 3.3.5.15.5, 3.3.5.15.6): ranges of one open put into another, at a client's word."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.server.disk_effects import CopyFileRange
from lanman.server.effects import Outcome, Perform, Reply
from lanman.server.files.access import READING
from lanman.server.pipes import ioctl_response
from lanman.server.state import Context, unpack_file_id
from lanman.smb2.constants import FILE_READ_DATA, FILE_WRITE_DATA, FSCTL_SRV_COPYCHUNK
from lanman.smb2.messages import IoctlRequest

if TYPE_CHECKING:
    from lanman.server.files.open import DiskOpen

# 3.3.3, note 178: what Windows allows.
MAX_CHUNKS: Final = 256
MAX_CHUNK: Final = 1024 * 1024
MAX_BYTES: Final = 16 * 1024 * 1024

_HEAD: Final = struct.Struct("<24sI4x")
_CHUNK: Final = struct.Struct("<QQI4x")
_ANSWER: Final = struct.Struct("<III")


def resume_key(source: DiskOpen) -> bytes:
    """SRV_REQUEST_RESUME_KEY Response (2.2.32.3): 24 bytes that name an open to its own session, and no context."""
    return source.file_id + bytes(16)


def copy_request(
    target: DiskOpen, context: Context, message: IoctlRequest, find: Callable[[int], DiskOpen | None]
) -> Outcome:
    """FSCTL_SRV_COPYCHUNK and FSCTL_SRV_COPYCHUNK_WRITE. `find` knows the files that the session has open."""
    data = bytes(message.input[: _HEAD.size + MAX_CHUNKS * _CHUNK.size])
    if len(data) < _HEAD.size or message.max_output_response < _ANSWER.size:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    key, count = _HEAD.unpack_from(data)
    if len(data) < _HEAD.size + count * _CHUNK.size and count <= MAX_CHUNKS:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    read = min(count, MAX_CHUNKS)
    chunks = list(_CHUNK.iter_unpack(data[_HEAD.size : _HEAD.size + read * _CHUNK.size])) if read else []
    sizes = [length for _, _, length in chunks]
    if count > MAX_CHUNKS or max(sizes, default=0) > MAX_CHUNK or sum(sizes) > MAX_BYTES or 0 in sizes:
        # 3.3.5.15.6: the answer says how much it might have been.
        answer = _ANSWER.pack(MAX_CHUNKS, MAX_CHUNK, MAX_BYTES)
        return Reply(codes.STATUS_INVALID_PARAMETER, ioctl_response(message, answer))
    source = find(unpack_file_id(key[:16])) if not any(key[16:]) else None
    if source is None:
        return Reply(codes.STATUS_OBJECT_NAME_NOT_FOUND)
    return Copy(source, target, message, iter(chunks)).begin(context)


class Copy:
    """One such request, chunk by chunk."""

    def __init__(
        self, source: DiskOpen, target: DiskOpen, message: IoctlRequest, chunks: Iterator[tuple[int, int, int]]
    ) -> None:
        self._source = source
        self._target = target
        self._message = message
        self._chunks = chunks
        self._written = 0
        self._total = 0

    def begin(self, context: Context) -> Outcome:
        source, target = self._source, self._target
        if source.directory or target.directory:
            return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)
        needs_reading = self._message.ctl_code == FSCTL_SRV_COPYCHUNK
        if (
            not source.access & READING
            or not target.access & FILE_WRITE_DATA
            or (needs_reading and not target.access & FILE_READ_DATA)
        ):
            return Reply(codes.STATUS_ACCESS_DENIED)
        target.state.changed(context.now)
        return self._next()

    def _next(self) -> Outcome:
        chunk = next(self._chunks, None)
        if chunk is None:
            return self._answer(codes.STATUS_SUCCESS)
        source_offset, target_offset, length = chunk
        source, target = self._source, self._target
        if source.state.locks.prevents_reading(source, source_offset, length):
            return self._answer(codes.STATUS_FILE_LOCK_CONFLICT)
        if target.state.locks.prevents_writing(target, target_offset, length):
            return self._answer(codes.STATUS_FILE_LOCK_CONFLICT)
        if max(source_offset, target_offset) + length >= 1 << 63:
            return self._answer(codes.STATUS_INVALID_PARAMETER)

        def then(copied: int, now: float) -> Outcome:
            if copied < length:
                # 3.3.5.15.6: the source ends before the chunk does; what of it was copied is not counted.
                return self._answer(codes.STATUS_INVALID_VIEW_SIZE)
            self._total += copied
            self._written += 1
            return self._next()

        effect = CopyFileRange(source.handle, source_offset, target.handle, target_offset, length)
        return Perform(effect, then, lambda status, now: self._answer(status))

    def _answer(self, status: int) -> Reply:
        answer = _ANSWER.pack(self._written, 0, self._total)
        return Reply(status, ioctl_response(self._message, answer))
