"""An open file or directory: what a request that names it does (MS-SMB2 3.3.5.10 to 3.3.5.21).

The rules:

* `create` makes a DiskOpen when the disk has opened the file and all other opens of it allow that. From then on it owns
  the disk's handle, and gives it back exactly once, in `released`, whatever ended it: CLOSE, the end of its session,
  management, a lost connection.
* `released` may come while its handlers wait. Those that wait for I/O go on with a handle that is still good, if the
  client itself closed the file (CloseFile waits for them); all others are cancelled before. A handler that changes what
  is in `state` after a yield asks `is_released` first.
* What other opens of the same file must know is in `state` (`table.FileState`): share modes, byte ranges, oplocks,
  delete-pending. What is about names is in `files` (`table.Files`). Nothing of that is kept here.
* What takes long is done in slices: up to `_SLICE` byte ranges in one turn of the event loop.
* A setter of `set_info` reads its bytes before its first yield. Bytes that are wrong therefore change nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from lanman import codes
from lanman.domain import Open
from lanman.dtyp import DELETE, READ_CONTROL, SACL_SECURITY_INFORMATION
from lanman.errors import CutShort, MalformedMessage, StatusError
from lanman.few import NOTHING, with_one, without
from lanman.fscc.controls import (
    FSCTL_CREATE_OR_GET_OBJECT_ID,
    FSCTL_GET_COMPRESSION,
    FSCTL_SET_COMPRESSION,
    Compression,
    FileObjectIdBuffer,
)
from lanman.fscc.files import (
    FILE_ALLOCATION_INFORMATION,
    FILE_BASIC_INFORMATION,
    FILE_DISPOSITION_INFORMATION,
    FILE_END_OF_FILE_INFORMATION,
    FILE_FULL_EA_INFORMATION,
    FILE_LINK_INFORMATION,
    FILE_MODE_INFORMATION,
    FILE_POSITION_INFORMATION,
    FILE_RENAME_INFORMATION,
    FileAllocationInformation,
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileModeInformation,
    FilePositionInformation,
)
from lanman.fscc.notify import (
    FILE_ACTION_MODIFIED,
    FILE_ACTION_REMOVED,
)
from lanman.server.disk_effects import (
    CheckDeletable,
    CloseFile,
    FileStat,
    FlushFile,
    Opened,
    Path,
    QueryFile,
    QueryVolume,
    ReadFile,
    SetFile,
    WriteFile,
)
from lanman.server.effects import Outcome, Reply, Wait, Waiter, Work
from lanman.server.ending import MOST_TRIES
from lanman.server.files import info, notify
from lanman.server.files.access import READING, WRITING, is_stat_for_leases
from lanman.server.files.caching import Holder
from lanman.server.files.copy import copy_request, resume_key
from lanman.server.files.directory import Scan
from lanman.server.files.leases import Lease, lease_name
from lanman.server.files.locks import END, MAX_WAITING, Lock
from lanman.server.files.oplocks import Oplock
from lanman.server.files.paths import LIBERAL, STRICT, absolute_name, split_path
from lanman.server.files.rename import rename
from lanman.server.files.security import security_descriptor
from lanman.server.files.table import Files, FileState, WaitingLock
from lanman.server.pipes import ioctl_response
from lanman.server.sequences import LockSequences
from lanman.server.state import Context, HandlerConnection, ServerOpen, ServerSession, ServerTree, unpack_file_id
from lanman.smb2.constants import (
    FILE_LIST_DIRECTORY,
    FILE_NO_INTERMEDIATE_BUFFERING,
    FILE_NOTIFY_CHANGE_ATTRIBUTES,
    FILE_NOTIFY_CHANGE_CREATION,
    FILE_NOTIFY_CHANGE_LAST_ACCESS,
    FILE_NOTIFY_CHANGE_LAST_WRITE,
    FILE_NOTIFY_CHANGE_SIZE,
    FILE_OPENED,
    FILE_READ_ATTRIBUTES,
    FILE_READ_EA,
    FILE_SEQUENTIAL_ONLY,
    FILE_WRITE_ATTRIBUTES,
    FILE_WRITE_DATA,
    FILE_WRITE_THROUGH,
    FSCTL_SRV_COPYCHUNK,
    FSCTL_SRV_COPYCHUNK_WRITE,
    FSCTL_SRV_REQUEST_RESUME_KEY,
    SMB2_0_INFO_FILE,
    SMB2_0_INFO_FILESYSTEM,
    SMB2_0_INFO_SECURITY,
    SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_SHARED_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_WATCH_TREE,
    SMB2_WRITEFLAG_WRITE_THROUGH,
    Dialect,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CloseResponse,
    CreateRequest,
    ErrorResponse,
    FlushRequest,
    FlushResponse,
    IoctlRequest,
    LockElement,
    LockRequest,
    LockResponse,
    OplockBreak,
    QueryDirectoryRequest,
    QueryInfoRequest,
    QueryInfoResponse,
    ReadRequest,
    ReadResponse,
    SetInfoRequest,
    SetInfoResponse,
    WriteRequest,
    WriteResponse,
)

_LARGEST: Final = (1 << 63) - 1

# No file can be larger, as on NTFS (smb2.rw.invalid).
_LARGEST_FILE: Final = 0xFFFFFFF0000

# The create options that FileModeInformation tells of (MS-FSCC 2.4).
_MODE: Final = FILE_WRITE_THROUGH | FILE_SEQUENTIAL_ONLY | FILE_NO_INTERMEDIATE_BUFFERING | 0x30

# What a WRITE changes.
_WRITTEN: Final = FILE_NOTIFY_CHANGE_SIZE | FILE_NOTIFY_CHANGE_LAST_WRITE

# Byte ranges that are locked or unlocked in one turn of the event loop.
_SLICE: Final = 256

# How a LOCK ends that ranges of others are in the way of.
_NOT_LOCKED: Final = (codes.STATUS_LOCK_NOT_GRANTED, codes.STATUS_INSUFFICIENT_RESOURCES)

_LOCK_FLAGS: Final = frozenset(
    kind | wait
    for kind in (SMB2_LOCKFLAG_SHARED_LOCK, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)
    for wait in (0, SMB2_LOCKFLAG_FAIL_IMMEDIATELY)
)


class DiskOpen(ServerOpen):
    """An open on a share's disk. It owns its handle, and gives it back once, in `released`."""

    __slots__ = (
        "_closed",
        "_lock_sequences",
        "_oplock",
        "_released",
        "_scan",
        "_through",
        "_waiting_locks",
        "_watch",
        "_written",
        "access",
        "by_link",
        "client_guid",
        "create_action",
        "create_guid",
        "delete_on_close",
        "directory",
        "files",
        "handle",
        "handle_of",
        "hard_linked",
        "lease",
        "link_going",
        "maximal",
        "mode",
        "more_than_stat",
        "parent_key",
        "path",
        "position",
        "root",
        "share_access",
        "spelling",
        "state",
    )

    def __init__(
        self,
        open_: Open,
        session: ServerSession,
        tree: ServerTree,
        files: Files,
        state: FileState,
        disk: Opened,
        message: CreateRequest,
        handle_of: str,
    ) -> None:
        super().__init__(open_, session, tree)
        self.files = files
        self.state = state
        self.handle = disk.handle
        self.handle_of = handle_of
        self.root = tree.tree_connect.share.path
        self.spelling = LIBERAL if tree.tree_connect.share.device_names else STRICT
        self.path = disk.path
        self.directory = disk.stat.directory
        self.access = open_.granted_access
        self.share_access = message.share_access
        self.mode = message.create_options & _MODE
        self.delete_on_close = False
        # Opened by the name of a symbolic link: a delete or rename means the link, and not the file it leads to.
        self.by_link = disk.by_link
        self.hard_linked = disk.stat.links > 1 and not disk.stat.directory
        self.link_going = False
        self._oplock: Oplock | None = None  # when somebody has asked for it: most have leases or nothing
        self.lease: Lease | None = None
        self.client_guid = self.create_guid = b""
        self.create_action = FILE_OPENED
        self.maximal = disk.maximal
        self.parent_key: bytes | None = None
        self.more_than_stat = not is_stat_for_leases(self.access)
        self.position = 0
        self._through = bool(message.create_options & FILE_WRITE_THROUGH)
        self._scan: Scan | None = None
        self._watch: notify.Watch | None = None
        self._waiting_locks: Mapping[WaitingLock, None] = NOTHING
        self._lock_sequences = LockSequences()
        self._closed: Waiter[FileStat | None] | None = None
        self._released = False
        self._written = False

    @property
    def holder(self) -> Holder:
        """By what its client may cache the file."""
        return self.oplock if self.lease is None else self.lease

    @property
    def oplock(self) -> Oplock:
        """Its oplock, which may be none."""
        if self._oplock is None:
            self._oplock = Oplock(self)
        return self._oplock

    def release_oplock(self) -> None:
        """It is gone, and so is its oplock."""
        if self._oplock is not None:
            self._oplock.release()

    # --- reading and writing

    def read(self, context: Context, message: ReadRequest) -> Work[Reply]:
        """3.3.5.12."""
        if self.directory:
            return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)
        if not self.access & READING:
            return Reply(codes.STATUS_ACCESS_DENIED)
        offset, length = message.offset, message.length
        if offset > _LARGEST or offset + length > _LARGEST:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if self.state.locks.prevents_reading(self, offset, length):
            yield from self._unlocked(self.state.locks.prevents_reading, offset, length)
        data = yield ReadFile(self.handle, offset, length)
        if (not data and length) or len(data) < message.minimum_count:
            return Reply(codes.STATUS_END_OF_FILE)
        self.position = offset + len(data)
        self.open.bytes_read += len(data)
        return Reply(message=ReadResponse(memoryview(data)))

    def write(self, context: Context, message: WriteRequest) -> Work[Reply]:
        """3.3.5.13."""
        if self.directory:
            return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)
        if not self.access & WRITING:
            return Reply(codes.STATUS_ACCESS_DENIED)
        size = len(message.data)
        if message.offset > _LARGEST or (size and message.offset + size > _LARGEST_FILE):
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if self.state.locks.prevents_writing(self, message.offset, size):
            yield from self._unlocked(self.state.locks.prevents_writing, message.offset, size)
        if not size:
            return Reply(message=WriteResponse(count=0))
        self.state.changed(self.holder, context.now)
        through = self._through or bool(message.flags & SMB2_WRITEFLAG_WRITE_THROUGH)
        # Who may append and not write does so wherever the end is (MS-FSA 2.1.5.3).
        offset = message.offset if self.access & FILE_WRITE_DATA else None
        try:
            written = yield WriteFile(self.handle, offset, message.data, through)
        finally:
            self._changed()
        self.position = message.offset + written
        self.open.bytes_written += written
        self.tell_written()
        return Reply(message=WriteResponse(count=written))

    def _unlocked(self, prevents: Callable[[DiskOpen, int, int], bool], offset: int, length: int) -> Work[None]:
        """Wait for what is just being closed, as long as a range of it is locked. Raises StatusError."""
        is_unlocked = yield from self.files.ends.until(lambda: not prevents(self, offset, length))
        if self.is_released:
            raise StatusError(codes.STATUS_FILE_CLOSED)
        if not is_unlocked:
            raise StatusError(codes.STATUS_FILE_LOCK_CONFLICT)

    def _changed(self) -> None:
        """The disk has changed its contents: who came in meanwhile may cache what was there before."""
        self.state.changed(self.holder, self.files.scheduler.now)

    def changes_late(self) -> None:
        """Until it is done, nobody begins to change the file: what they wrote could be overwritten by it."""
        self.state.late += 1

    def changed_late(self) -> None:
        """As `_changed`, for a request that nobody waited for any more; it may be closed by now, and open to others."""
        self.state.changed(self.holder, self.files.scheduler.now)
        self.state.late -= 1
        self.state.wake(self.files.scheduler.now)

    def flush(self, context: Context, message: FlushRequest) -> Work[Reply]:
        """3.3.5.11."""
        if not self.access & WRITING:
            return Reply(codes.STATUS_ACCESS_DENIED)
        yield FlushFile(self.handle)
        return Reply(message=FlushResponse())

    # --- byte ranges

    def lock(self, context: Context, message: LockRequest) -> Outcome:
        """3.3.5.14. What has succeeded once is done, if its client says by its sequence that it asks again."""
        if not self._keeps_lock_sequences(context):
            return self._lock_or_unlock(context, message)
        if self._lock_sequences.is_done(message.lock_sequence):
            return Reply(message=LockResponse())
        outcome = self._lock_or_unlock(context, message)
        return outcome if isinstance(outcome, Reply) else self._in_sequence(outcome, message.lock_sequence)

    def _keeps_lock_sequences(self, context: Context) -> bool:
        """As the text has it; Windows does so for resilient and persistent opens alone (note 370)."""
        negotiated = context.connection.core.negotiated
        assert negotiated is not None, "a session has begun"
        if negotiated.dialect == Dialect.SMB_2_0_2:
            return False
        return self.open.durable or negotiated.multichannel

    def _in_sequence(self, work: Work[Reply], sequence: int) -> Work[Reply]:
        """Keep the sequence of a request that succeeds."""
        reply = yield from work
        if reply.status == codes.STATUS_SUCCESS:
            self._lock_sequences.done(sequence)
        return reply

    def _lock_or_unlock(self, context: Context, message: LockRequest) -> Outcome:
        if self.directory:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if not self.access & (READING | WRITING):
            return Reply(codes.STATUS_ACCESS_DENIED)
        if message.locks[0].flags & SMB2_LOCKFLAG_UNLOCK:
            return self._unlock(message.locks)
        several = len(message.locks) > 1
        for each in message.locks:
            if each.flags not in _LOCK_FLAGS or (several and not each.flags & SMB2_LOCKFLAG_FAIL_IMMEDIATELY):
                return Reply(codes.STATUS_INVALID_PARAMETER)
        for each in message.locks:
            if each.offset + each.length > END:
                return Reply(codes.STATUS_INVALID_LOCK_RANGE)
        self.state.changed(self.holder, context.now)
        return self._lock(message.locks)

    def _lock(self, elements: list[LockElement]) -> Work[Reply]:
        """Take the ranges: all or none of them (3.3.5.14.2), also if its connection is lost meanwhile and its session
        goes on over another."""
        taken = list[Lock]()
        try:
            for _ in range(MOST_TRIES):
                reply = yield from self._take(elements, taken)
                if reply.status not in _NOT_LOCKED or self.is_released or not (yield from self.files.ends.passed()):
                    return reply
                if self.is_released:
                    return Reply(codes.STATUS_FILE_CLOSED)  # by its client: what it locks now nobody would unlock
            return (yield from self._take(elements, taken))
        except GeneratorExit:
            if taken and not self.is_released:
                self.files.scheduler.start(self._give_back(taken, codes.STATUS_CANCELLED))
            raise

    def _take(self, elements: list[LockElement], taken: list[Lock]) -> Work[Reply]:
        """Take the ranges, a slice of them in one turn of the event loop; `taken` are those that there are so far."""
        locks = self.state.own_locks()
        if locks.is_full(self, len(elements)):
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        for number, each in enumerate(elements):
            if number and number % _SLICE == 0:
                self.count_locks()
                yield None
                if self.is_released:
                    return Reply(codes.STATUS_FILE_CLOSED)
            if number % _SLICE == 0 and locks.is_full(self, min(_SLICE, len(elements) - number)):
                return (yield from self._give_back(taken, codes.STATUS_INSUFFICIENT_RESOURCES))
            exclusive = bool(each.flags & SMB2_LOCKFLAG_EXCLUSIVE_LOCK)
            lock = locks.lock(self, each.offset, each.length, exclusive)
            if lock is not None:
                taken.append(lock)
            elif each.flags & SMB2_LOCKFLAG_FAIL_IMMEDIATELY:
                return (yield from self._give_back(taken, codes.STATUS_LOCK_NOT_GRANTED))
            else:
                return (yield from self._wait_for(each, exclusive))
        self.count_locks()
        return Reply(message=LockResponse())

    def _give_back(self, taken: list[Lock], status: int) -> Work[Reply]:
        """Take back what a request has got before it failed, a slice in one turn of the event loop."""
        while True:
            for _ in range(min(len(taken), _SLICE)):
                self.state.locks.remove(taken.pop())
            self.count_locks()
            if not taken:
                break
            yield None
            if self.is_released:
                return Reply(status)
        self.state.retry_locks(self.files.scheduler.now)
        return Reply(status)

    def _wait_for(self, element: LockElement, exclusive: bool) -> Work[Reply]:
        """Until the range is free, the client gives up, or the file is closed."""
        if len(self.state.waiting_locks) >= MAX_WAITING:
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        waiting = WaitingLock(self, element.offset, element.length, exclusive)
        self.state.waiting_locks = with_one(self.state.waiting_locks, waiting, None)
        self._waiting_locks = with_one(self._waiting_locks, waiting, None)
        try:
            status = yield Wait(waiting.waiter)
        except GeneratorExit:
            if waiting.waiter.value == codes.STATUS_SUCCESS and not self.is_released:
                # Nobody learns any more that it has been granted.
                self.state.locks.unlock(self, element.offset, element.length)
                self.count_locks()
                self.state.retry_locks(self.files.scheduler.now)
            raise
        finally:
            self.state.waiting_locks = without(self.state.waiting_locks, waiting)
            self._waiting_locks = without(self._waiting_locks, waiting)
        return Reply(status, None if status else LockResponse())

    def _unlock(self, elements: list[LockElement]) -> Work[Reply]:
        """3.3.5.14.1: one after the other, until one is wrong; a slice in one turn of the event loop."""
        status = codes.STATUS_SUCCESS
        for number, each in enumerate(elements):
            if number and number % _SLICE == 0:
                self.count_locks()
                yield None
                if self.is_released:
                    return Reply(codes.STATUS_FILE_CLOSED)
            if each.flags != SMB2_LOCKFLAG_UNLOCK:
                status = codes.STATUS_INVALID_PARAMETER
            elif not self.state.locks.unlock(self, each.offset, each.length):
                status = codes.STATUS_RANGE_NOT_LOCKED
            if status:
                break
        self.count_locks()
        self.state.retry_locks(self.files.scheduler.now)
        return Reply(status, None if status else LockResponse())

    def count_locks(self) -> None:
        """Tell the domain how many byte ranges it holds (NetrFileEnum's fi3_num_locks)."""
        self.files.service.set_locks(self.open, self.state.locks.count(self))

    # --- directories

    def query_directory(self, context: Context, message: QueryDirectoryRequest) -> Outcome:
        """3.3.5.18."""
        if not self.directory:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if not self.access & FILE_LIST_DIRECTORY:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if self._scan is None:
            self._scan = Scan(self.handle, self.spelling, self.files.scheduler)
        return self._scan.query(message)

    def change_notify(self, context: Context, message: ChangeNotifyRequest) -> Outcome:
        """3.3.5.19."""
        if not self.directory:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if not self.access & FILE_LIST_DIRECTORY:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if self.state.delete_pending:
            return Reply(codes.STATUS_DELETE_PENDING)
        if self._watch is None:
            tree = bool(message.flags & SMB2_WATCH_TREE)
            self._watch = notify.Watch(self.root, self.path, message, tree, self.handle_of)
            self.files.watches.add(self._watch)
        return self._watch.request(message.output_buffer_length)

    def tell_written(self) -> None:
        """Tell those who watch it that it has been written to. Who has its directory's listing is told when it is
        closed, as on Windows (smb2.lease.v2_request)."""
        files = self.files
        files.catch_up(self)
        self._written = True
        files.watches.changed(self.root, self.path, FILE_ACTION_MODIFIED, _WRITTEN, files.scheduler.now)

    def _report_change(self, what: int, now: float) -> None:
        self.files.catch_up(self)
        self.files.changed(self, self.path, FILE_ACTION_MODIFIED, what, now)

    # --- asking

    def query_info(self, context: Context, message: QueryInfoRequest) -> Outcome:
        """3.3.5.20."""
        if message.info_type == SMB2_0_INFO_FILE:
            return self._query_file(message)
        if message.info_type == SMB2_0_INFO_FILESYSTEM:
            return self._query_volume(context, message)
        if message.info_type == SMB2_0_INFO_SECURITY:
            return self._query_security(message)
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def _query_file(self, message: QueryInfoRequest) -> Outcome:
        """3.3.5.20.1."""
        if message.file_info_class == FILE_FULL_EA_INFORMATION:
            if not self.access & FILE_READ_EA:
                return Reply(codes.STATUS_ACCESS_DENIED)
            return Reply(codes.STATUS_NO_EAS_ON_FILE)
        kind = info.FILE_CLASSES.get(message.file_info_class)
        if kind is None:
            return Reply(codes.STATUS_INVALID_INFO_CLASS)
        if message.output_buffer_length < kind.minimum:
            return Reply(codes.STATUS_INFO_LENGTH_MISMATCH)
        if message.file_info_class in info.NEED_ATTRIBUTES and not self.access & FILE_READ_ATTRIBUTES:
            return Reply(codes.STATUS_ACCESS_DENIED)

        return self._describe(kind, message.output_buffer_length)

    def _describe(self, kind: info.FileClass, length: int) -> Work[Reply]:
        """An information class of the file, as it is now."""
        stat = yield QueryFile(self.handle)
        going = self.link_going if self.by_link else self.state.delete_pending
        stat = self.state.with_allocation(stat)
        subject = info.Subject(stat, absolute_name(self.path), self.access, self.mode, self.position, going)
        return _bounded(kind.pack(subject), length)

    def _query_volume(self, context: Context, message: QueryInfoRequest) -> Work[Reply]:
        """3.3.5.20.2."""
        kind = info.VOLUME_CLASSES.get(message.file_info_class)
        if kind is None:
            return Reply(codes.STATUS_INVALID_INFO_CLASS)
        if message.output_buffer_length < kind.minimum:
            return Reply(codes.STATUS_INFO_LENGTH_MISMATCH)
        stat = yield QueryVolume(self.handle)
        name = context.server.configuration.filesystem_name
        volume = info.Volume(stat, self.tree.tree_connect.share.name, name)
        return _bounded(kind.pack(volume), message.output_buffer_length)

    def _query_security(self, message: QueryInfoRequest) -> Work[Reply]:
        """3.3.5.20.3."""
        wanted = message.additional_information
        if wanted & SACL_SECURITY_INFORMATION or not self.access & READ_CONTROL:
            return Reply(codes.STATUS_ACCESS_DENIED)
        stat = yield QueryFile(self.handle)
        descriptor = security_descriptor(stat, wanted)
        if len(descriptor) > message.output_buffer_length:
            # 3.3.5.20.3: the answer says how much it would have been.
            return Reply(codes.STATUS_BUFFER_TOO_SMALL, ErrorResponse(len(descriptor).to_bytes(4, "little")))
        return Reply(message=QueryInfoResponse(descriptor))

    # --- setting

    def set_info(self, context: Context, message: SetInfoRequest) -> Outcome:
        """3.3.5.21."""
        if message.info_type == SMB2_0_INFO_SECURITY:
            return Reply(codes.STATUS_ACCESS_DENIED)  # shown, and not to be set: see the package
        if message.info_type != SMB2_0_INFO_FILE:
            return Reply(codes.STATUS_NOT_SUPPORTED)
        setter = _SETTERS.get(message.file_info_class)
        if setter is None:
            return Reply(codes.STATUS_INVALID_INFO_CLASS)
        try:
            # No class has more behind its head than a name.
            return setter(self, context, bytes(message.buffer[: info.MAX_SET_INFO]))
        except CutShort:
            return Reply(codes.STATUS_INFO_LENGTH_MISMATCH)
        except (ValueError, MalformedMessage):
            return Reply(codes.STATUS_INVALID_PARAMETER)

    def _set_basic(self, context: Context, data: bytes) -> Outcome:
        if not self.access & FILE_WRITE_ATTRIBUTES:
            return Reply(codes.STATUS_ACCESS_DENIED)
        effect = info.read_basic(data, self.handle, self.directory)
        what = 0
        if effect.attributes is not None:
            what |= FILE_NOTIFY_CHANGE_ATTRIBUTES
        if effect.last_write_time is not None:
            what |= FILE_NOTIFY_CHANGE_LAST_WRITE
        if effect.creation_time is not None:
            what |= FILE_NOTIFY_CHANGE_CREATION
        if effect.last_access_time is not None:
            what |= FILE_NOTIFY_CHANGE_LAST_ACCESS
        return self._set(effect, what)

    def _set_end_of_file(self, context: Context, data: bytes) -> Outcome:
        return self._resize(context, end_of_file=info.not_negative(FileEndOfFileInformation.unpack(data).end_of_file))

    def _set_allocation(self, context: Context, data: bytes) -> Outcome:
        size = FileAllocationInformation.unpack(data).allocation_size
        return self._resize(context, allocation=info.not_negative(size))

    def _resize(self, context: Context, end_of_file: int | None = None, allocation: int | None = None) -> Outcome:
        if self.directory:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if not self.access & FILE_WRITE_DATA:
            return Reply(codes.STATUS_ACCESS_DENIED)
        self.state.changed(self.holder, context.now)
        effect = SetFile(self.handle, end_of_file=end_of_file, allocation=allocation)
        return self._set(effect, FILE_NOTIFY_CHANGE_SIZE)

    def _set(self, effect: SetFile, what: int) -> Work[Reply]:
        """Have something set; `what` are the bits of change notification that it stands for."""
        try:
            yield effect
        finally:
            if effect.end_of_file is not None or effect.allocation is not None:
                self._changed()
        if effect.allocation is not None:
            self.state.allocation = effect.allocation
        elif effect.end_of_file is not None and effect.end_of_file < self.state.allocation:
            self.state.allocation = 0
        self._report_change(what, self.files.scheduler.now)
        return Reply(message=SetInfoResponse())

    def _set_position(self, context: Context, data: bytes) -> Outcome:
        self.position = info.not_negative(FilePositionInformation.unpack(data).current_byte_offset)
        return Reply(message=SetInfoResponse())

    def _set_mode(self, context: Context, data: bytes) -> Outcome:
        mode = FileModeInformation.unpack(data).mode
        if mode & ~_MODE:
            raise ValueError(mode)
        self.mode = mode
        return Reply(message=SetInfoResponse())

    def _set_disposition(self, context: Context, data: bytes) -> Outcome:
        """MS-FSA 2.1.5.15.3."""
        if not self.access & DELETE:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if not FileDispositionInformation.unpack(data).delete_pending:
            if self.by_link:
                self.link_going = False
            else:
                self.state.clear_delete_pending(self)
            return Reply(message=SetInfoResponse())

        return self._set_delete_pending()

    def _set_delete_pending(self) -> Work[Reply]:
        """Have it go with its last open, if it can be deleted, once no other client keeps it open for no program."""
        if not self.by_link:
            yield from self.state.clear_handles(lambda: self.holder)
        stat = yield QueryFile(self.handle)
        if stat.is_protected and not self.by_link:
            return Reply(codes.STATUS_CANNOT_DELETE)
        yield CheckDeletable(self.handle)
        if self.is_released:
            return Reply(codes.STATUS_FILE_CLOSED)
        if self.by_link:
            self.link_going = True
        else:
            self.state.set_delete_pending(self, self.files.scheduler.now)
            # Who has come in since is asked too, and not waited for.
            self.state.take_handles_back(self.holder, self.files.scheduler.now)
        return Reply(message=SetInfoResponse())

    def _set_link(self, context: Context, data: bytes) -> Outcome:
        info.read_new_name(data)
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def _set_extended(self, context: Context, data: bytes) -> Outcome:
        return Reply(codes.STATUS_EAS_NOT_SUPPORTED)

    def _rename(self, context: Context, data: bytes) -> Outcome:
        """MS-FSA 2.1.5.15.12."""
        if not self.access & DELETE:
            return Reply(codes.STATUS_ACCESS_DENIED)
        new = info.read_new_name(data)
        target = split_path(new.file_name.removeprefix("\\"))
        if not self.path or not target:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        return self._move(target, bool(new.replace_if_exists))

    def _move(self, target: Path, replace: bool) -> Work[Reply]:
        yield from rename(self, target, replace)
        return Reply(message=SetInfoResponse())

    def moved(self, path: tuple[str, ...], by: Open) -> None:
        """What is open has another path now: it was renamed through the open `by`."""
        self.files.moved(self, path)
        if self.lease is not None and self.lease.name != (name := lease_name(self.root, path)):
            self.files.leases.moved(self.lease, name)
        self.files.service.rename_open(self.open, "/".join([self.root.rstrip("/"), *path]), by)
        if self._watch is not None:
            self.files.watches.moved(self._watch, path)

    # --- control codes

    def ioctl(self, context: Context, message: IoctlRequest) -> Outcome:
        """3.3.5.15."""
        if message.ctl_code == FSCTL_SRV_REQUEST_RESUME_KEY:
            if message.max_output_response < 32:
                return Reply(codes.STATUS_INVALID_PARAMETER)
            return Reply(message=ioctl_response(message, resume_key(self)))
        if message.ctl_code == FSCTL_GET_COMPRESSION:
            # MS-FSCC 2.3: nothing is compressed, and clients that copy files ask all the same.
            if message.max_output_response < 2:
                return Reply(codes.STATUS_INVALID_PARAMETER)
            return Reply(message=ioctl_response(message, Compression().pack()))
        if message.ctl_code == FSCTL_SET_COMPRESSION:
            # MS-FSCC 2.3: to compress nothing is what is done anyway.
            if bytes(message.input) != Compression().pack():
                return Reply(codes.STATUS_NOT_SUPPORTED)
            return Reply(message=ioctl_response(message, b""))
        if message.ctl_code == FSCTL_CREATE_OR_GET_OBJECT_ID:
            return self._object_id(message)
        if message.ctl_code in (FSCTL_SRV_COPYCHUNK, FSCTL_SRV_COPYCHUNK_WRITE):
            return copy_request(self, context, message, lambda file_id: _file(context, file_id))
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def _object_id(self, message: IoctlRequest) -> Outcome:
        """MS-FSCC 2.3: an identifier that stays with the file, which here is its number on the volume."""
        if message.max_output_response < 64:
            return Reply(codes.STATUS_BUFFER_TOO_SMALL)
        volume, file_id = self.state.identity
        identifier = file_id.to_bytes(8, "little") + (volume & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        return Reply(message=ioctl_response(message, FileObjectIdBuffer(identifier, birth_object_id=identifier).pack()))

    # --- oplocks

    def oplock_break(self, context: Context, message: OplockBreak) -> Outcome:
        """3.3.5.22.1."""
        status = self.oplock.acknowledge(message.oplock_level)
        context.connection.defer(self.state.wake)
        if status:
            return Reply(status)
        return Reply(message=dataclasses.replace(message, oplock_level=self.oplock.level))

    def channel_lost(self, connection: HandlerConnection) -> None:
        """Its session goes on without this connection. A lease's client is told again by `leases`."""
        if self._oplock is not None:
            self._oplock.tell_again(connection)

    # --- the end

    @property
    def _when_closed(self) -> Waiter[FileStat | None]:
        """What is given what the disk says of it when it has closed it."""
        if self._closed is None:
            self._closed = Waiter()
        return self._closed

    def close(self, context: Context, message: CloseRequest) -> Work[Reply]:
        """3.3.5.10. The answer comes when the disk has closed it, and with it the name if that was to go."""
        closed = self._when_closed
        stat = closed.value if closed.woken else (yield Wait(closed, cancellable=False))
        return Reply(message=_close_response(stat if message.flags & SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB else None))

    @property
    def name_going(self) -> Waiter[Any] | None:
        """What is woken when its name is gone; only one waits for that, since whoever has closed it cannot again."""
        return None if self._closed is None or self._closed.woken else self._closed

    def ended(self, now: float) -> None:
        """3.3.4.17: answer the requests that wait for locks and for changes."""
        for waiting in list(self._waiting_locks):
            self.state.waiting_locks = without(self.state.waiting_locks, waiting)
            waiting.waiter.wake(codes.STATUS_RANGE_NOT_LOCKED)
        self.end_watch(codes.STATUS_NOTIFY_CLEANUP, now)

    def end_watch(self, status: int, now: float) -> None:
        """Answer the requests that wait for changes below it, if there are any."""
        if self._watch is not None:
            self._watch.end(status, now)

    @property
    def is_released(self) -> bool:
        """Whether it has been closed, or is just being closed with its session or its tree connect."""
        return self._released or self.open.ending

    def released(self) -> None:
        """Take it out of what is open, and give its handle back."""
        self._released = True
        self.files.catch_up(self)
        self.files.handles.give_back(self.handle_of, 1 + self.directory)
        now = self.files.scheduler.now
        if self._watch is not None:
            self.files.watches.remove(self._watch)
            self._watch = None
        if self._scan is not None:
            self._scan.abandon()
            self._scan = None
        self.files.scheduler.start(self._give_handle_back(self.state.leave(self, now)))
        self.state.wake(now)

    def _give_handle_back(self, deletes: bool) -> Work[None]:
        """Close it on the disk. What could not be deleted is closed all the same."""
        stat: FileStat | None = None
        is_done = False
        if deletes and self._closed is None:
            self._closed = Waiter()  # for `name_going`
        try:
            stat = yield CloseFile(self.handle, delete=deletes, tells=self.tells_when_closed)
            is_done = True
        except StatusError:
            pass
        now = self.files.scheduler.now
        if deletes:
            if is_done:
                what = notify.names_change(self.directory)
                self.files.changed(self, self.path, FILE_ACTION_REMOVED, what, now)
            if not self.by_link:
                self.state.removed()
        elif self._written:
            self.files.leases.listing_changed(self.root, self.path[:-1], self, now)
        self._when_closed.wake(stat)


def _file(context: Context, file_id: bytes) -> DiskOpen | None:
    """The file of that FileId that the session has open, on any of its tree connects."""
    found = context.checked_session.opens.get(unpack_file_id(file_id)[1])
    if not isinstance(found, DiskOpen) or found.file_id != file_id:
        return None
    return found if not found.is_released and context.may_have(found) else None


def _bounded(data: bytes, length: int) -> Reply:
    """3.3.5.20.1: what fits of it."""
    if len(data) > length:
        return Reply(codes.STATUS_BUFFER_OVERFLOW, QueryInfoResponse(data[:length]))
    return Reply(message=QueryInfoResponse(data))


def _close_response(stat: FileStat | None) -> CloseResponse:
    """2.2.16."""
    if stat is None:
        return CloseResponse()
    return CloseResponse(
        SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB,
        stat.creation_time,
        stat.last_access_time,
        stat.last_write_time,
        stat.change_time,
        0 if stat.directory else stat.allocation,
        0 if stat.directory else stat.size,
        stat.attributes,
    )


_SETTERS: Final[dict[int, Callable[[DiskOpen, Context, bytes], Outcome]]] = {
    FILE_BASIC_INFORMATION: DiskOpen._set_basic,
    FILE_RENAME_INFORMATION: DiskOpen._rename,
    FILE_LINK_INFORMATION: DiskOpen._set_link,
    FILE_DISPOSITION_INFORMATION: DiskOpen._set_disposition,
    FILE_POSITION_INFORMATION: DiskOpen._set_position,
    FILE_FULL_EA_INFORMATION: DiskOpen._set_extended,
    FILE_MODE_INFORMATION: DiskOpen._set_mode,
    FILE_ALLOCATION_INFORMATION: DiskOpen._set_allocation,
    FILE_END_OF_FILE_INFORMATION: DiskOpen._set_end_of_file,
}
