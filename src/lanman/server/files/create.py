"""One CREATE on its way to an open (MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1).

    begin       what is asked for is possible at all
    _opened     the disk has it: now it is known which file it is
    _contend    others who have it open agree, at once or after an oplock break
    _register   it is an open: for the domain, for its session, for the others
    _done       its oplock, its contexts, the answer

Until it is registered the handle belongs to this object, and goes back to the disk whatever happens; then to the open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.domain import LimitReached
from lanman.dtyp import DELETE, MAXIMUM_ALLOWED
from lanman.fscc.attributes import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_SYSTEM,
)
from lanman.fscc.notify import FILE_ACTION_ADDED
from lanman.server.disk_effects import (
    SETTABLE_ATTRIBUTES,
    Access,
    CheckDeletable,
    CloseFile,
    FileStat,
    Kind,
    Opened,
    OpenFile,
    OverwriteFile,
)
from lanman.server.effects import Outcome, Park, Perform, Reply
from lanman.server.files.access import WRITING, changes, contents_of, maximal, specific
from lanman.server.files.names import Refused, split_path
from lanman.server.files.notify import names_change
from lanman.server.files.open import DiskOpen
from lanman.server.state import Context
from lanman.smb2.constants import (
    FILE_CREATED,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_NON_DIRECTORY_FILE,
    FILE_OPEN,
    FILE_OPEN_IF,
    FILE_OPENED,
    FILE_OVERWRITE,
    FILE_OVERWRITE_IF,
    FILE_OVERWRITTEN,
    FILE_SUPERSEDE,
    FILE_SUPERSEDED,
    SMB2_CREATE_ALLOCATION_SIZE,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST,
    SMB2_CREATE_QUERY_ON_DISK_ID,
    SMB2_CREATE_TIMEWARP_TOKEN,
)
from lanman.smb2.messages import (
    CreateAllocationSize,
    CreateContext,
    CreateRequest,
    CreateResponse,
    QueryMaximalAccessResponse,
    QueryOnDiskIdResponse,
)

if TYPE_CHECKING:
    from lanman.server.files.backend import DiskShare
    from lanman.server.files.table import FileState

_OVERWRITING: Final = (FILE_SUPERSEDE, FILE_OVERWRITE, FILE_OVERWRITE_IF)

# Options that nobody knows, and those that nobody supports (as Windows; smb2.create.gentest): CREATE_TREE_CONNECTION,
# OPEN_BY_FILE_ID, RESERVE_OPFILTER.
_BAD_OPTIONS: Final = 0xFF000000
_UNSUPPORTED_OPTIONS: Final = 0x00102080
_BAD_ATTRIBUTES: Final = 0xFFFF8048


class Creating:
    """A CREATE request of a share."""

    def __init__(self, share: DiskShare, context: Context, message: CreateRequest) -> None:
        self.share = share
        self.context = context
        self.message = message
        self.server = context.connection.server
        self.overwrites = message.create_disposition in _OVERWRITING
        self.delete_on_close = bool(message.create_options & FILE_DELETE_ON_CLOSE)
        self.contexts = {each.name: each.data for each in message.contexts}
        self.wanted = 0
        self.granted = 0
        self.allocation = 0
        self.opened: Opened
        self.state: FileState
        self.wire_open: DiskOpen

    @property
    def tree_access(self) -> int:
        """What its session may do on the share (TreeConnect.MaximalAccess) now: it may be less than when it asked."""
        return self.context.wire_tree.maximal_access

    # --- what is asked for

    def begin(self) -> Outcome:
        try:
            path = split_path(self.message.name)
            self._check_access()
            self._check()
            self._read_contexts()
        except Refused as refused:
            return Reply(refused.status)
        message = self.message
        directory = bool(message.create_options & FILE_DIRECTORY_FILE)
        kind = Kind.ANY
        if directory:
            kind = Kind.DIRECTORY
        elif message.create_options & FILE_NON_DIRECTORY_FILE:
            kind = Kind.FILE
        attributes = message.file_attributes & SETTABLE_ATTRIBUTES
        access = contents_of(self.wanted)
        effect = OpenFile(
            self.share.share.path,
            self.share.spelling.to_disk(path),
            access | Access.WRITE if self.overwrites else access,
            message.create_disposition,
            kind,
            attributes if directory else attributes | FILE_ATTRIBUTE_ARCHIVE,
            self.allocation,
            maximum_allowed=bool(self.wanted & MAXIMUM_ALLOWED),
            maximal=SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST in self.contexts,
        )
        return Perform(effect, self._opened, self._not_opened)

    def _check(self) -> None:
        """What no file could be opened with (MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1)."""
        message, options = self.message, self.message.create_options
        if message.impersonation_level > 3:
            raise Refused(codes.STATUS_BAD_IMPERSONATION_LEVEL)
        if options & _UNSUPPORTED_OPTIONS and not options & _BAD_OPTIONS:
            raise Refused(codes.STATUS_NOT_SUPPORTED)
        if (
            options & _BAD_OPTIONS
            or message.file_attributes & _BAD_ATTRIBUTES
            or message.create_disposition > FILE_OVERWRITE_IF
            or message.share_access > 7
        ):
            raise Refused(codes.STATUS_INVALID_PARAMETER)
        if options & FILE_DIRECTORY_FILE and (options & FILE_NON_DIRECTORY_FILE or self.overwrites):
            raise Refused(codes.STATUS_INVALID_PARAMETER)

    def _read_contexts(self) -> None:
        """2.2.13.2. What is not known, or not to be had here, is passed over."""
        for name, data in self.contexts.items():
            if len(name) < 4:
                raise Refused(codes.STATUS_INVALID_PARAMETER)
            if name == SMB2_CREATE_ALLOCATION_SIZE:
                if len(data) != 8:
                    raise Refused(codes.STATUS_INVALID_PARAMETER)
                self.allocation = min(CreateAllocationSize.unpack(data).allocation_size, (1 << 63) - 1)
            elif name == SMB2_CREATE_TIMEWARP_TOKEN or name in (
                SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
                SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
            ):
                # There are no snapshots, and nothing that outlived its connection.
                raise Refused(codes.STATUS_OBJECT_NAME_NOT_FOUND)

    def _check_access(self) -> None:
        wanted = specific(self.message.desired_access)
        if wanted is None or not self.tree_access or wanted & ~MAXIMUM_ALLOWED & ~self.tree_access:
            raise Refused(codes.STATUS_ACCESS_DENIED)
        if self.delete_on_close and not wanted & (DELETE | MAXIMUM_ALLOWED):
            raise Refused(codes.STATUS_INVALID_PARAMETER)
        if not changes(self.tree_access) and self.message.create_disposition != FILE_OPEN:
            # OPEN_IF of what exists would be no harm; what it would create is not known before.
            if self.message.create_disposition != FILE_OPEN_IF:
                raise Refused(codes.STATUS_ACCESS_DENIED)
            self.message.create_disposition = FILE_OPEN
        self.wanted = wanted

    # --- the disk has it

    def _not_opened(self, status: int, now: float) -> Outcome:
        if status == codes.STATUS_OBJECT_NAME_COLLISION:
            path = split_path(self.message.name)
            if self.server.files.is_going(self.share.share.path, path):
                status = codes.STATUS_DELETE_PENDING
        return Reply(status)

    def _opened(self, opened: Opened, now: float) -> Outcome:
        self.opened = opened = replace(opened, path=self.share.spelling.from_disk(opened.path))
        attributes = opened.stat.attributes
        self.granted = self.wanted & ~MAXIMUM_ALLOWED
        if self.wanted & MAXIMUM_ALLOWED:
            self.granted |= maximal(self.tree_access, opened.access, 0 if opened.created else attributes)
        if self.delete_on_close and not self.granted & DELETE:
            status = codes.STATUS_ACCESS_DENIED  # MAXIMUM_ALLOWED came to less
        elif opened.created:
            # MS-FSA 2.1.5.1.1
            status = codes.STATUS_CANNOT_DELETE if self.delete_on_close and opened.stat.is_protected else 0
        else:
            status = self._refusal(opened.stat)
        if status:
            return self._give_up(status)
        self.state = self.server.files.state(opened.stat.identity)
        return self._contend(now)

    def _refusal(self, stat: FileStat) -> int:
        """What an existing file's attributes forbid (MS-FSA 2.1.5.1.2.1); 0 if nothing."""
        read_only = bool(stat.attributes & FILE_ATTRIBUTE_READONLY) and not stat.directory
        protected = stat.set_attributes & (FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM)
        if read_only and (self.granted & WRITING or self.overwrites):
            return codes.STATUS_ACCESS_DENIED
        if self.delete_on_close and stat.is_protected and not self.opened.by_link:
            return codes.STATUS_CANNOT_DELETE
        if self.overwrites and stat.directory:
            return codes.STATUS_FILE_IS_A_DIRECTORY
        return codes.STATUS_ACCESS_DENIED if self.overwrites and protected & ~self.message.file_attributes else 0

    def _give_up(self, status: int) -> Reply:
        self.server.perform_apart(CloseFile(self.opened.handle, delete=self.opened.created))
        return Reply(status)

    # --- those who have it open too

    def _contend(self, now: float) -> Outcome:
        status = self.state.admit(self.granted, self.message.share_access, self.overwrites, now)
        if status is not None:
            if status == codes.STATUS_SUCCESS:
                return self._register(now)
            self.state.tidy()
            return self._give_up(status)
        forget: list[Callable[[], None]] = []

        def start(resume: Callable[[Outcome, float], None]) -> None:
            # Looking again may have to wait again; whoever wakes does not know.
            forget.append(self.state.wait(lambda then: resume(self._contend(then), then)))

        def cancel() -> None:
            forget[0]()
            self._give_up(codes.STATUS_CANCELLED)

        return Park(start, cancel)

    # --- it is an open

    def _register(self, now: float) -> Outcome:
        opened, context = self.opened, self.context
        if self._exceeds():
            self.state.tidy()
            return self._give_up(codes.STATUS_ACCESS_DENIED)
        root = self.share.share.path
        path = "/".join([root.rstrip("/"), *opened.path]) if opened.path else root
        try:
            registered = context.connection.register_open(context, path, self.granted)
        except LimitReached:
            self.state.tidy()
            return self._give_up(codes.STATUS_TOO_MANY_OPENED_FILES)
        except ValueError:
            self.state.tidy()
            return self._give_up(codes.STATUS_NETWORK_NAME_DELETED)  # what it was asked on has ended meanwhile
        wire_open = DiskOpen(registered, context.wire_tree, context.connection, self.state, opened, self.message)
        self.wire_open = wire_open
        self.state.enter(wire_open)
        context.wire_session.opens[registered.file_id] = wire_open
        context.file_id, context.opened = registered.file_id, wire_open
        if opened.created:
            what = names_change(opened.stat.directory)
            self.server.files.watches.changed(root, opened.path, FILE_ACTION_ADDED, what, now)
        elif self.overwrites:
            attributes = (self.message.file_attributes & SETTABLE_ATTRIBUTES) | FILE_ATTRIBUTE_ARCHIVE
            effect = OverwriteFile(opened.handle, attributes, self.allocation)
            return Perform(effect, self._done, self._failed)
        if self.delete_on_close and not opened.created:
            return Perform(CheckDeletable(opened.handle), lambda _, then: self._done(opened.stat, then), self._failed)
        return self._done(opened.stat, now)

    def _exceeds(self) -> bool:
        """Whether its session may do less by now than what it would be granted: the disk, or others who have the file
        open, have taken their time."""
        changing = self.opened.created or self.overwrites
        most = self.tree_access
        return not most or bool(self.granted & ~most) or (changing and not changes(most))

    def _failed(self, status: int, now: float) -> Outcome:
        """It was open already, and is not what was asked for."""
        self.wire_open.delete_on_close = False
        self.context.file_id, self.context.opened = 0, None
        self.server.service.close_open(self.wire_open.opened)
        return Reply(status)

    def _done(self, stat: FileStat, now: float) -> Outcome:
        wire_open, message = self.wire_open, self.message
        if self.opened.created or self.overwrites:
            self.state.allocation = self.allocation
        stat = self.state.with_allocation(stat)
        if self.delete_on_close:
            wire_open.delete_on_close = True
        oplock = 0 if stat.directory else self.state.grant(wire_open, message.requested_oplock_level)
        if self.opened.created:
            action = FILE_CREATED
        elif message.create_disposition == FILE_SUPERSEDE:
            action = FILE_SUPERSEDED
        else:
            action = FILE_OVERWRITTEN if self.overwrites else FILE_OPENED
        return Reply(
            message=CreateResponse(
                oplock_level=oplock,
                create_action=action,
                creation_time=stat.creation_time,
                last_access_time=stat.last_access_time,
                last_write_time=stat.last_write_time,
                change_time=stat.change_time,
                allocation_size=0 if stat.directory else stat.allocation,
                end_of_file=0 if stat.directory else stat.size,
                file_attributes=stat.attributes,
                file_id=wire_open.file_id,
                contexts=self._answers(stat),
            )
        )

    def _answers(self, stat: FileStat) -> list[CreateContext]:
        """2.2.14.2."""
        contexts = []
        if SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST in self.contexts:
            most = maximal(self.tree_access, self.opened.maximal, stat.attributes)
            name = SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST
            contexts.append(CreateContext(name, QueryMaximalAccessResponse(codes.STATUS_SUCCESS, most).pack()))
        if SMB2_CREATE_QUERY_ON_DISK_ID in self.contexts:
            identifier = QueryOnDiskIdResponse(stat.file_id, stat.volume & 0xFFFFFFFFFFFFFFFF)
            contexts.append(CreateContext(SMB2_CREATE_QUERY_ON_DISK_ID, identifier.pack()))
        return contexts
