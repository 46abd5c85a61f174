"""Server-side copy (MS-SMB2 3.3.5.15.5, 3.3.5.15.6): copy ranges of one open file into another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from lanman import codes
from lanman.domain import Open
from lanman.errors import MalformedMessage, StatusError
from lanman.server.disk_effects import CopyFileRange
from lanman.server.effects import Reply, Work
from lanman.server.files.access import READING
from lanman.server.files.caching import Holder
from lanman.server.files.table import FileState
from lanman.server.pipes import ioctl_response
from lanman.server.state import Context
from lanman.smb2.constants import FILE_READ_DATA, FILE_WRITE_DATA, FSCTL_SRV_COPYCHUNK
from lanman.smb2.messages import CopyChunk, CopyChunkCopy, CopyChunkResponse, IoctlRequest, RequestResumeKeyResponse

# 3.3.3, note 178: what Windows allows.
MAX_CHUNKS: Final = 256
MAX_CHUNK: Final = 1024 * 1024
MAX_BYTES: Final = 16 * 1024 * 1024

_ANSWER_SIZE: Final = 12


class CopiedFile(Protocol):
    """An open that is copied from or to. `handle` is the disk's."""

    open: Open
    handle: int
    handle_of: str
    directory: bool
    access: int
    state: FileState

    @property
    def holder(self) -> Holder:
        """By what it may cache."""

    @property
    def file_id(self) -> bytes:
        """Its FileId."""

    def tell_written(self) -> None:
        """Tell those who watch it that it has been written to."""


def resume_key(source: CopiedFile) -> bytes:
    """SRV_REQUEST_RESUME_KEY Response (2.2.32.3): the key is the FileId, and 8 zeros."""
    return RequestResumeKeyResponse(source.file_id + bytes(8)).pack()


def copy_request(
    target: CopiedFile, context: Context, message: IoctlRequest, find: Callable[[bytes], CopiedFile | None]
) -> Work[Reply]:
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
        # 3.3.5.15.6: the answer says how much is allowed.
        answer = CopyChunkResponse(MAX_CHUNKS, MAX_CHUNK, MAX_BYTES).pack()
        return Reply(codes.STATUS_INVALID_PARAMETER, ioctl_response(message, answer))
    key = copy.source_key
    source = find(bytes(key[:16])) if not any(key[16:]) else None
    if source is None:
        return Reply(codes.STATUS_OBJECT_NAME_NOT_FOUND)
    if source.directory or target.directory:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)
    needs_reading = message.ctl_code == FSCTL_SRV_COPYCHUNK
    if (
        not source.access & READING
        or not target.access & FILE_WRITE_DATA
        or (needs_reading and not target.access & FILE_READ_DATA)
    ):
        return Reply(codes.STATUS_ACCESS_DENIED)
    target.state.changed(target.holder, context.now)
    return (yield from _copy(source, target, message, chunks, lambda: find(bytes(key[:16])) is source))


def _unlocked(source: CopiedFile, target: CopiedFile, chunk: CopyChunk) -> Callable[[], bool]:
    """What says whether no range is in the way of a chunk."""
    length = chunk.length
    return lambda: (
        not (
            source.state.locks.prevents_reading(source, chunk.source_offset, length)
            or target.state.locks.prevents_writing(target, chunk.target_offset, length)
        )
    )


def _copy(
    source: CopiedFile,
    target: CopiedFile,
    message: IoctlRequest,
    chunks: Iterable[CopyChunk],
    is_open: Callable[[], bool],
) -> Work[Reply]:
    """Chunk by chunk, until one fails or the session has the source open no more (`is_open`). The answer says how many
    were copied, and how much."""
    status, written, total = codes.STATUS_SUCCESS, 0, 0
    for chunk in chunks:
        source_offset, target_offset, length = chunk.source_offset, chunk.target_offset, chunk.length
        locked = is_open() and not (yield from target.state.files.ends.until(_unlocked(source, target, chunk)))
        if not is_open():
            status = codes.STATUS_FILE_CLOSED
        elif locked:
            status = codes.STATUS_FILE_LOCK_CONFLICT
        elif max(source_offset, target_offset) + length >= 1 << 63:
            status = codes.STATUS_INVALID_PARAMETER
        else:
            try:
                copied = yield CopyFileRange(source.handle, source_offset, target.handle, target_offset, length)
            except StatusError as error:
                status = error.status
            else:
                # As after a write: others may have come in since.
                target.state.changed(target.holder, target.state.files.scheduler.now)
                source.open.bytes_read += copied
                target.open.bytes_written += copied
                if copied < length:
                    # 3.3.5.15.6: the source ends before the chunk does; what of it was copied is not counted.
                    status = codes.STATUS_INVALID_VIEW_SIZE
        if status:
            break
        written, total = written + 1, total + length
    if written:
        target.tell_written()
    return Reply(status, ioctl_response(message, CopyChunkResponse(written, 0, total).pack()))
