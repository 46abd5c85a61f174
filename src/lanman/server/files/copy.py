"""Server-side copy (MS-SMB2 3.3.5.15.5, 3.3.5.15.6): ranges of one open put into another, at a client's word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import MalformedMessage
from lanman.server.disk_effects import CopyFileRange
from lanman.server.effects import Outcome, Perform, Reply
from lanman.server.files.access import READING
from lanman.server.pipes import ioctl_response
from lanman.server.state import Context, unpack_file_id
from lanman.smb2.constants import FILE_READ_DATA, FILE_WRITE_DATA, FSCTL_SRV_COPYCHUNK
from lanman.smb2.messages import CopyChunk, CopyChunkCopy, CopyChunkResponse, IoctlRequest, RequestResumeKeyResponse

if TYPE_CHECKING:
    from lanman.server.files.open import DiskOpen

# 3.3.3, note 178: what Windows allows.
MAX_CHUNKS: Final = 256
MAX_CHUNK: Final = 1024 * 1024
MAX_BYTES: Final = 16 * 1024 * 1024

_ANSWER_SIZE: Final = 12


def resume_key(source: DiskOpen) -> bytes:
    """SRV_REQUEST_RESUME_KEY Response (2.2.32.3): the key is the FileId, and 8 zeros."""
    return RequestResumeKeyResponse(source.file_id + bytes(8)).pack()


def copy_request(
    target: DiskOpen, context: Context, message: IoctlRequest, find: Callable[[int], DiskOpen | None]
) -> Outcome:
    """FSCTL_SRV_COPYCHUNK and FSCTL_SRV_COPYCHUNK_WRITE. `find` knows the files that the session has open."""
    if message.max_output_response < _ANSWER_SIZE:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    try:
        copy = CopyChunkCopy.unpack(message.input)
        count = copy.chunk_count
        places = range(CopyChunkCopy.size, CopyChunkCopy.size + count * CopyChunk.size, CopyChunk.size)
        chunks = [CopyChunk.unpack(message.input[at:]) for at in places] if count <= MAX_CHUNKS else []
    except MalformedMessage:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    sizes = [chunk.length for chunk in chunks]
    if count > MAX_CHUNKS or max(sizes, default=0) > MAX_CHUNK or sum(sizes) > MAX_BYTES or 0 in sizes:
        # 3.3.5.15.6: the answer says how much it might have been.
        answer = CopyChunkResponse(MAX_CHUNKS, MAX_CHUNK, MAX_BYTES).pack()
        return Reply(codes.STATUS_INVALID_PARAMETER, ioctl_response(message, answer))
    key = copy.source_key
    source = find(unpack_file_id(key[:16])) if not any(key[16:]) else None
    if source is None:
        return Reply(codes.STATUS_OBJECT_NAME_NOT_FOUND)
    return Copy(source, target, message, iter(chunks)).begin(context)


class Copy:
    """One such request, chunk by chunk."""

    def __init__(self, source: DiskOpen, target: DiskOpen, message: IoctlRequest, chunks: Iterator[CopyChunk]) -> None:
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
        source_offset, target_offset, length = chunk.source_offset, chunk.target_offset, chunk.length
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
        answer = CopyChunkResponse(self._written, 0, self._total).pack()
        return Reply(status, ioctl_response(self._message, answer))
