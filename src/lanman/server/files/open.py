"""An open file or directory: what a request that names it does (MS-SMB2 3.3.5.10 to 3.3.5.21)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.domain import Open
from lanman.dtyp import DELETE, READ_CONTROL, SACL_SECURITY_INFORMATION
from lanman.errors import CutShort, MalformedMessage
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
    FILE_ACTION_ADDED,
    FILE_ACTION_MODIFIED,
    FILE_ACTION_REMOVED,
    FILE_ACTION_RENAMED_NEW_NAME,
    FILE_ACTION_RENAMED_OLD_NAME,
)
from lanman.server.disk_effects import (
    CheckDeletable,
    CloseFile,
    FileStat,
    FlushFile,
    LookUp,
    Opened,
    QueryFile,
    QueryVolume,
    ReadFile,
    RenameFile,
    SetFile,
    VolumeStat,
    WriteFile,
)
from lanman.server.effects import Later, Outcome, Park, Perform, Reply
from lanman.server.files import info, notify
from lanman.server.files.access import READING, WRITING
from lanman.server.files.copy import copy_request, resume_key
from lanman.server.files.directory import Scan
from lanman.server.files.locks import END, MAX_WAITING, Lock
from lanman.server.files.names import LIBERAL, STRICT, Refused, split_path, wire_name
from lanman.server.files.oplocks import Oplock
from lanman.server.files.security import security_descriptor
from lanman.server.files.table import FileState, WaitingLock, shares_conflict
from lanman.server.pipes import ioctl_response
from lanman.server.state import Context, ServerOpen, ServerTree
from lanman.smb2.constants import (
    FILE_ADD_FILE,
    FILE_LIST_DIRECTORY,
    FILE_NO_INTERMEDIATE_BUFFERING,
    FILE_READ_ATTRIBUTES,
    FILE_READ_EA,
    FILE_SEQUENTIAL_ONLY,
    FILE_SHARE_READ,
    FILE_SHARE_WRITE,
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

if TYPE_CHECKING:
    from lanman.server.dispatch import ConnectionDispatch

_LARGEST: Final = (1 << 63) - 1

# No file can be larger, as on NTFS (smb2.rw.invalid).
_LARGEST_FILE: Final = 0xFFFFFFF0000

# The create options that FileModeInformation tells of (MS-FSCC 2.4).
_MODE: Final = FILE_WRITE_THROUGH | FILE_SEQUENTIAL_ONLY | FILE_NO_INTERMEDIATE_BUFFERING | 0x30

# Byte ranges that are locked or unlocked in one turn of the event loop.
_SLICE: Final = 256

_LOCK_FLAGS: Final = frozenset(
    kind | wait
    for kind in (SMB2_LOCKFLAG_SHARED_LOCK, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)
    for wait in (0, SMB2_LOCKFLAG_FAIL_IMMEDIATELY)
)


class DiskOpen(ServerOpen):
    """An open on a share's disk. It owns its handle, and gives it back once, in `released`."""

    def __init__(
        self,
        opened: Open,
        tree: ServerTree,
        connection: ConnectionDispatch,
        state: FileState,
        disk: Opened,
        message: CreateRequest,
    ) -> None:
        super().__init__(opened, tree)
        self.connection = connection
        self.server = connection.server
        self.state = state
        self.handle = disk.handle
        self.root = tree.tree_connect.share.path
        self.spelling = LIBERAL if tree.tree_connect.share.device_names else STRICT
        self.path = disk.path
        self.directory = disk.stat.directory
        self.access = opened.granted_access
        self.share_access = message.share_access
        self.mode = message.create_options & _MODE
        self.delete_on_close = False
        # A link in its place is what a delete means; the file that it leads to stays, with all who have it open.
        self.by_link = disk.by_link
        self.hard_linked = disk.stat.links > 1 and not disk.stat.directory
        self.link_going = False
        self.oplock = Oplock(self)
        self.position = 0
        self._through = bool(message.create_options & FILE_WRITE_THROUGH)
        self._scan: Scan | None = None
        self._watch: notify.Watch | None = None
        self._waiting_locks: dict[WaitingLock, None] = {}
        self._on_closed: Callable[[FileStat | None, int, float], None] | None = None
        self._closed: tuple[FileStat | None, int] | None = None
        self._released = False

    # --- reading and writing

    def read(self, context: Context, message: ReadRequest) -> Outcome:
        """3.3.5.12."""
        if self.directory:
            return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)
        if not self.access & READING:
            return Reply(codes.STATUS_ACCESS_DENIED)
        length, least = message.length, message.minimum_count
        if message.offset > _LARGEST or message.offset + length > _LARGEST:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if self.state.locks.prevents_reading(self, message.offset, length):
            return Reply(codes.STATUS_FILE_LOCK_CONFLICT)

        def then(data: bytes | bytearray | memoryview, now: float) -> Outcome:
            if (not data and length) or len(data) < least:
                return Reply(codes.STATUS_END_OF_FILE)
            self.position = message.offset + len(data)
            return Reply(message=ReadResponse(memoryview(data)))

        return Perform(ReadFile(self.handle, message.offset, length), then)

    def write(self, context: Context, message: WriteRequest) -> Outcome:
        """3.3.5.13."""
        if self.directory:
            return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)
        if not self.access & WRITING:
            return Reply(codes.STATUS_ACCESS_DENIED)
        size = len(message.data)
        if message.offset > _LARGEST or (size and message.offset + size > _LARGEST_FILE):
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if self.state.locks.prevents_writing(self, message.offset, size):
            return Reply(codes.STATUS_FILE_LOCK_CONFLICT)
        if not size:
            return Reply(message=WriteResponse(count=0))
        self.state.changed(context.now)
        through = self._through or bool(message.flags & SMB2_WRITEFLAG_WRITE_THROUGH)

        def then(written: int, now: float) -> Outcome:
            self.position = message.offset + written
            self._tell_changed(notify.FILE_NOTIFY_CHANGE_SIZE | notify.FILE_NOTIFY_CHANGE_LAST_WRITE, now)
            return Reply(message=WriteResponse(count=written))

        # Who may append and not write does so wherever the end is (MS-FSA 2.1.5.3).
        offset = message.offset if self.access & FILE_WRITE_DATA else None
        return Perform(WriteFile(self.handle, offset, message.data, through), then)

    def flush(self, context: Context, message: FlushRequest) -> Outcome:
        """3.3.5.11."""
        if not self.access & WRITING:
            return Reply(codes.STATUS_ACCESS_DENIED)
        return Perform(FlushFile(self.handle), lambda result, now: Reply(message=FlushResponse()))

    # --- byte ranges

    def lock(self, context: Context, message: LockRequest) -> Outcome:
        """3.3.5.14."""
        if self.directory:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if not self.access & (READING | WRITING):
            return Reply(codes.STATUS_ACCESS_DENIED)
        if message.locks[0].flags & SMB2_LOCKFLAG_UNLOCK:
            return self._unlock(message.locks, context.now)
        several = len(message.locks) > 1
        for each in message.locks:
            if each.flags not in _LOCK_FLAGS or (several and not each.flags & SMB2_LOCKFLAG_FAIL_IMMEDIATELY):
                return Reply(codes.STATUS_INVALID_PARAMETER)
        for each in message.locks:
            if each.offset + each.length > END:
                return Reply(codes.STATUS_INVALID_LOCK_RANGE)
        self.state.changed(context.now)
        return self._lock(message.locks, context.now)

    def _lock(self, elements: list[LockElement], now: float, granted: tuple[Lock, ...] = ()) -> Outcome:
        """Take the ranges from where `granted` ends, a slice of them in one turn of the event loop."""
        if self._released:
            return Reply(codes.STATUS_FILE_CLOSED)
        locks, taken = self.state.locks, list(granted)
        for each in elements[len(granted) : len(granted) + _SLICE]:
            if locks.is_full(self):
                return self._give_back(taken, codes.STATUS_INSUFFICIENT_RESOURCES, now)
            exclusive = bool(each.flags & SMB2_LOCKFLAG_EXCLUSIVE_LOCK)
            lock = locks.lock(self, each.offset, each.length, exclusive)
            if lock is not None:
                taken.append(lock)
            elif each.flags & SMB2_LOCKFLAG_FAIL_IMMEDIATELY:
                # 3.3.5.14.2: all or none of them.
                return self._give_back(taken, codes.STATUS_LOCK_NOT_GRANTED, now)
            else:
                return self._wait_for(each, exclusive)
        self._count_locks()
        if len(taken) < len(elements):
            return Later(now, lambda then: self._lock(elements, then, tuple(taken)))
        return Reply(message=LockResponse())

    def _give_back(self, taken: list[Lock], status: int, now: float) -> Outcome:
        """Take back what a request has got before it failed, a slice in one turn of the event loop."""
        if self._released:
            return Reply(status)
        for _ in range(min(len(taken), _SLICE)):
            self.state.locks.remove(taken.pop())
        self._count_locks()
        if taken:
            return Later(now, lambda then: self._give_back(taken, status, then))
        self.state.retry_locks(now)
        return Reply(status)

    def _wait_for(self, element: LockElement, exclusive: bool) -> Outcome:
        """Until the range is free, the client gives up, or the file is closed."""
        if len(self.state.waiting_locks) >= MAX_WAITING:
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        waiting = WaitingLock(self, element.offset, element.length, exclusive)

        def start(resume: Callable[[Outcome, float], None]) -> None:
            waiting.resume = resume
            self.state.waiting_locks[waiting] = self._waiting_locks[waiting] = None

        def cancel() -> None:
            if self.state.waiting_locks.pop(waiting, self) is None:
                del self._waiting_locks[waiting]

        return Park(start, cancel)

    def lock_granted(self, waiting: WaitingLock, now: float) -> None:
        """The range that it waited for is its own."""
        self._count_locks()
        self._end_lock(waiting, Reply(message=LockResponse()), now)

    def _end_lock(self, waiting: WaitingLock, reply: Reply, now: float) -> None:
        del self._waiting_locks[waiting]
        waiting.resume(reply, now)

    def _unlock(self, elements: list[LockElement], now: float, done: int = 0) -> Outcome:
        """3.3.5.14.1: one after the other, until one is wrong; a slice in one turn of the event loop."""
        if self._released:
            return Reply(codes.STATUS_FILE_CLOSED)
        status = codes.STATUS_SUCCESS
        following = elements[done : done + _SLICE]
        for each in following:
            if each.flags != SMB2_LOCKFLAG_UNLOCK:
                status = codes.STATUS_INVALID_PARAMETER
            elif not self.state.locks.unlock(self, each.offset, each.length):
                status = codes.STATUS_RANGE_NOT_LOCKED
            if status:
                break
        self._count_locks()
        if not status and (done := done + len(following)) < len(elements):
            return Later(now, lambda then: self._unlock(elements, then, done))
        self.state.retry_locks(now)
        return Reply(status, None if status else LockResponse())

    def _count_locks(self) -> None:
        self.server.service.set_locks(self.opened, self.state.locks.count(self))

    # --- directories

    def query_directory(self, context: Context, message: QueryDirectoryRequest) -> Outcome:
        """3.3.5.18."""
        if not self.directory:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if not self.access & FILE_LIST_DIRECTORY:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if self._scan is None:
            self._scan = Scan(self)
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
            self._watch = notify.Watch(self.root, self.path, message, bool(message.flags & SMB2_WATCH_TREE))
            self.server.files.watches.add(self._watch)
        return self._watch.request(message.output_buffer_length)

    def _tell_changed(self, what: int, now: float) -> None:
        self.server.files.watches.changed(self.root, self.path, FILE_ACTION_MODIFIED, what, now)

    # --- asking

    def query_info(self, context: Context, message: QueryInfoRequest) -> Outcome:
        """3.3.5.20."""
        if message.info_type == SMB2_0_INFO_FILE:
            return self._query_file(message)
        if message.info_type == SMB2_0_INFO_FILESYSTEM:
            return self._query_volume(message)
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

        def then(stat: FileStat, now: float) -> Outcome:
            going = self.link_going if self.by_link else self.state.delete_pending
            stat = self.state.with_allocation(stat)
            subject = info.Subject(stat, wire_name(self.path), self.access, self.mode, self.position, going)
            return _bounded(kind.pack(subject), message.output_buffer_length)

        return Perform(QueryFile(self.handle), then)

    def _query_volume(self, message: QueryInfoRequest) -> Outcome:
        """3.3.5.20.2."""
        kind = info.VOLUME_CLASSES.get(message.file_info_class)
        if kind is None:
            return Reply(codes.STATUS_INVALID_INFO_CLASS)
        if message.output_buffer_length < kind.minimum:
            return Reply(codes.STATUS_INFO_LENGTH_MISMATCH)

        def then(stat: VolumeStat, now: float) -> Outcome:
            volume = info.Volume(stat, self.tree.tree_connect.share.name, self.server.settings.filesystem_name)
            return _bounded(kind.pack(volume), message.output_buffer_length)

        return Perform(QueryVolume(self.handle), then)

    def _query_security(self, message: QueryInfoRequest) -> Outcome:
        """3.3.5.20.3."""
        wanted = message.additional_information
        if wanted & SACL_SECURITY_INFORMATION or not self.access & READ_CONTROL:
            return Reply(codes.STATUS_ACCESS_DENIED)

        def then(stat: FileStat, now: float) -> Outcome:
            descriptor = security_descriptor(stat, wanted)
            if len(descriptor) > message.output_buffer_length:
                # 3.3.5.20.3: the answer says how much it would have been.
                return Reply(codes.STATUS_BUFFER_TOO_SMALL, ErrorResponse(len(descriptor).to_bytes(4, "little")))
            return Reply(message=QueryInfoResponse(descriptor))

        return Perform(QueryFile(self.handle), then)

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
        except Refused as refused:
            return Reply(refused.status)
        except (ValueError, MalformedMessage):
            return Reply(codes.STATUS_INVALID_PARAMETER)

    def _set_basic(self, context: Context, data: bytes) -> Outcome:
        if not self.access & FILE_WRITE_ATTRIBUTES:
            return Reply(codes.STATUS_ACCESS_DENIED)
        effect = info.read_basic(data, self.handle, self.directory)
        what = 0
        if effect.attributes is not None:
            what |= notify.FILE_NOTIFY_CHANGE_ATTRIBUTES
        if effect.last_write_time is not None:
            what |= notify.FILE_NOTIFY_CHANGE_LAST_WRITE
        if effect.creation_time is not None:
            what |= notify.FILE_NOTIFY_CHANGE_CREATION
        if effect.last_access_time is not None:
            what |= notify.FILE_NOTIFY_CHANGE_LAST_ACCESS
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
        self.state.changed(context.now)
        effect = SetFile(self.handle, end_of_file=end_of_file, allocation=allocation)
        return self._set(effect, notify.FILE_NOTIFY_CHANGE_SIZE)

    def _set(self, effect: SetFile, what: int) -> Outcome:
        def then(stat: FileStat, now: float) -> Outcome:
            if effect.allocation is not None:
                self.state.allocation = effect.allocation
            elif effect.end_of_file is not None and effect.end_of_file < self.state.allocation:
                self.state.allocation = 0
            self._tell_changed(what, now)
            return Reply(message=SetInfoResponse())

        return Perform(effect, then)

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

        def known(stat: FileStat, now: float) -> Outcome:
            if stat.is_protected and not self.by_link:
                return Reply(codes.STATUS_CANNOT_DELETE)
            return Perform(CheckDeletable(self.handle), deletable)

        def deletable(result: None, now: float) -> Outcome:
            if self.by_link:
                self.link_going = True
            else:
                self.state.set_delete_pending(self, now)
            return Reply(message=SetInfoResponse())

        return Perform(QueryFile(self.handle), known)

    def _set_link(self, context: Context, data: bytes) -> Outcome:
        info.read_new_name(data)
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def _set_extended(self, context: Context, data: bytes) -> Outcome:
        return Reply(codes.STATUS_EAS_NOT_SUPPORTED)

    def _rename(self, context: Context, data: bytes) -> Outcome:
        """MS-FSA 2.1.5.15.11."""
        if not self.access & DELETE:
            return Reply(codes.STATUS_ACCESS_DENIED)
        new = info.read_new_name(data)
        target = split_path(new.file_name.removeprefix("\\"))
        if not self.path or not target:
            return Reply(codes.STATUS_INVALID_PARAMETER)
        if self.directory and self.server.files.has_open_below(self.root, self.path):
            cached = self.server.files.cached_below(self.root, self.path)
            unanswered = [each.state for each in cached if not each.state.take_handles_back(self.server.now)]
            if unanswered:
                return _once_given_back(unanswered[0], lambda: self._rename(context, data))
            return Reply(codes.STATUS_ACCESS_DENIED)  # what is open below it would lose its way
        # It is as if the folder that takes the name in were opened for it.
        for each in self.server.files.at(self.root, target[:-1]):
            if shares_conflict(FILE_ADD_FILE, FILE_SHARE_READ | FILE_SHARE_WRITE, each.access, each.share_access):
                return Reply(codes.STATUS_SHARING_VIOLATION)
        rename = RenameFile(self.handle, self.spelling.to_disk(target), new.replace_if_exists)
        return self._replace(rename) if new.replace_if_exists else Perform(rename, self._renamed)

    def _replace(self, rename: RenameFile) -> Outcome:
        """Rename over what there is of the new name, unless it is open or READONLY (MS-FSA 2.1.5.15.11)."""

        def there(stat: FileStat, now: float) -> Outcome:
            other = self.server.files.find(stat.identity)
            if other is not None and other is not self.state and other.is_open:
                if not other.take_handles_back(now):
                    return _once_given_back(other, lambda: self._replace(rename))
                return Reply(codes.STATUS_ACCESS_DENIED)  # what would be replaced is open
            if stat.is_protected and stat.identity != self.state.identity:
                return Reply(codes.STATUS_ACCESS_DENIED)
            return Perform(rename, self._renamed)

        def not_there(status: int, now: float) -> Outcome:
            missing = status == codes.STATUS_OBJECT_NAME_NOT_FOUND
            return Perform(rename, self._renamed) if missing else Reply(status)

        return Perform(LookUp(self.root, rename.target), there, not_there)

    def _renamed(self, path: tuple[str, ...], now: float) -> Outcome:
        old, path = self.path, self.spelling.from_disk(path)
        watches = self.server.files.watches
        what = notify.names_change(self.directory)
        for each in list(self.state.opens):
            if each.root == self.root and each.path == old:
                each.moved(path)
        self.state.renamed(self.root, old, path)
        if old[:-1] == path[:-1]:
            watches.changed(self.root, old, FILE_ACTION_RENAMED_OLD_NAME, what, now)
            watches.changed(self.root, path, FILE_ACTION_RENAMED_NEW_NAME, what, now)
        else:
            watches.changed(self.root, old, FILE_ACTION_REMOVED, what, now)
            watches.changed(self.root, path, FILE_ACTION_ADDED, what, now)
        return Reply(message=SetInfoResponse())

    def moved(self, path: tuple[str, ...]) -> None:
        """What is open has another path now."""
        self.server.files.moved(self, path)
        self.opened.path = "/".join([self.root.rstrip("/"), *path])
        if self._watch is not None:
            self.server.files.watches.moved(self._watch, path)

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
        context.connection.soon(self.state.wake)
        if status:
            return Reply(status)
        return Reply(message=dataclasses.replace(message, oplock_level=self.oplock.level))

    # --- the end

    def close(self, context: Context, message: CloseRequest) -> Outcome:
        """3.3.5.10. The answer comes when the disk has closed it, and with it the name if that was to go."""
        wants_attributes = bool(message.flags & SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB)

        def start(resume: Callable[[Outcome, float], None]) -> None:
            def closed(stat: FileStat | None, status: int, now: float) -> None:
                # What could not be deleted is closed all the same.
                resume(Reply(message=_close_response(stat if wants_attributes else None)), now)

            if self._closed is not None:
                closed(*self._closed, context.now)
            else:
                self._on_closed = closed

        def cancel() -> None:
            self._on_closed = None

        return Park(start, cancel, brief=True)

    def ended(self, now: float) -> None:
        """3.3.4.17: locks that were waited for are not to be had, and nothing more will be seen."""
        for waiting in list(self._waiting_locks):
            self.state.waiting_locks.pop(waiting, None)
            self._end_lock(waiting, Reply(codes.STATUS_RANGE_NOT_LOCKED), now)
        self.end_watch(codes.STATUS_NOTIFY_CLEANUP, now)

    def end_watch(self, status: int, now: float) -> None:
        """Answer the requests that wait for changes below it, if there are any."""
        if self._watch is not None:
            self._watch.end(status, now)

    def released(self) -> None:
        self._released = True
        now = self.server.now
        if self._watch is not None:
            self.server.files.watches.remove(self._watch)
            self._watch = None
        if self._scan is not None:
            self._scan.abandon()
            self._scan = None
        deletes = self.state.leave(self, now)

        def closed(stat: FileStat | None, status: int, then: float) -> None:
            if deletes:
                if not status:
                    what = notify.names_change(self.directory)
                    watches = self.server.files.watches
                    watches.changed(self.root, self.path, FILE_ACTION_REMOVED, what, then)
                if not self.by_link:
                    self.state.removed(then)
            self._closed = stat, status
            on_closed, self._on_closed = self._on_closed, None
            if on_closed is not None:
                on_closed(stat, status, then)

        self.server.perform_apart(CloseFile(self.handle, delete=deletes), closed)
        self.state.wake(now)


def _once_given_back(state: FileState, again: Callable[[], Outcome]) -> Outcome:
    """Go on when an oplock of that file has been given back."""
    forget: list[Callable[[], None]] = []

    def start(resume: Callable[[Outcome, float], None]) -> None:
        forget.append(state.wait(lambda then: resume(again(), then)))

    return Park(start, lambda: forget[0]())


def _file(context: Context, file_id: int) -> DiskOpen | None:
    found = context.wire_session.opens.get(file_id)
    return found if isinstance(found, DiskOpen) else None


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
