"""One CREATE on its way to an open (MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1): `Creating.run` tells it from top to bottom, and
`_reclaim` that of a client which would have an open back.

The rules:

* What cannot be is refused before the disk is asked.
* Which file it is is not known before the disk has it open. Then its share modes, its oplocks and what is going to be
  deleted are looked at, and until those who have it open agree, the request waits.
* Until it is registered (for the domain, for its session, for the others) the handle belongs to the request, and goes
  back to the disk whatever happens: a refusal, a cancelled request, a lost connection. Then it belongs to the open.
  What was created for it goes with it, unless somebody else has found it by then: that would be their work.
* All that can change while it waits is looked at once more when it is registered.
* Nobody opens a file to change it while the disk is busy with a change that was begun for somebody who is gone, nor a
  name while the disk is busy with a rename from or to it, nor anything below a directory that is being renamed
  (`moving`). Where such a rename came meanwhile, what was opened is an open if it still has the name.
* What gives way may be a file that goes with its last open. Then it is opened once more: there may be another one.
"""

from __future__ import annotations

from typing import Final

from lanman import codes
from lanman.domain import LimitReached, Reason, Share
from lanman.dtyp import DELETE, MAXIMUM_ALLOWED
from lanman.errors import StatusError
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
    LookUp,
    Opened,
    OpenFile,
    OverwriteFile,
    Path,
    QueryFile,
)
from lanman.server.effects import Reply, Work
from lanman.server.ending import MOST_TRIES
from lanman.server.files.access import WRITING, changes, contents_of, maximal, specific
from lanman.server.files.caching import RH
from lanman.server.files.durable import (
    DurableRequest,
    Reclaim,
    Reconnect,
    answer,
    read_durable,
    refusal_of_reclaim,
    timeout_of,
)
from lanman.server.files.leases import Lease, LeaseRequest, lease_name, read_request
from lanman.server.files.notify import names_change
from lanman.server.files.open import DiskOpen
from lanman.server.files.oplocks import no_more_than
from lanman.server.files.paths import Spelling, split_path
from lanman.server.files.replay import Repetition, is_replay_eligible, refusal_of_repetition
from lanman.server.files.table import Files, FileState
from lanman.server.state import Context
from lanman.smb2.connection import Negotiated
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
    SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST,
    SMB2_CREATE_QUERY_ON_DISK_ID,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_CREATE_TIMEWARP_TOKEN,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import (
    CreateAllocationSize,
    CreateContext,
    CreateRequest,
    CreateResponse,
    QueryMaximalAccessResponse,
    QueryOnDiskIdResponse,
)

# How often a name is looked at again because it has been renamed, or what is above it, or may have been removed. Who
# does so without end holds nobody up for ever: the request fails as if the file were in use, or were there.
_MOST_DISTURBED: Final = 16

# Opens of a file that are looked at in one turn of the event loop.
_LOOKED_AT: Final = 1024

_OVERWRITING: Final = (FILE_SUPERSEDE, FILE_OVERWRITE, FILE_OVERWRITE_IF)

# Options that do not exist, and those that Windows does not support either (smb2.create.gentest):
# CREATE_TREE_CONNECTION, OPEN_BY_FILE_ID, RESERVE_OPFILTER.
_BAD_OPTIONS: Final = 0xFF000000
_UNSUPPORTED_OPTIONS: Final = 0x00102080
_BAD_ATTRIBUTES: Final = 0xFFFF8048


class Creating:
    """A CREATE request of a share."""

    def __init__(
        self, share: Share, spelling: Spelling, files: Files, context: Context, message: CreateRequest
    ) -> None:
        self.share = share
        self.spelling = spelling
        self.files = files
        self.context = context
        self.message = message
        self.overwrites = message.create_disposition in _OVERWRITING
        self.delete_on_close = bool(message.create_options & FILE_DELETE_ON_CLOSE)
        self.contexts = {each.name: each.data for each in message.contexts}
        self.wanted = 0
        self.granted = 0
        self.allocation = 0
        self.disturbed = 0  # by renames and removals of what it is about to open
        self.tries = 0  # that came to nothing because of what was just being closed
        self.has_waited = False  # for others, so that what the disk has said may be no longer so
        self.lease: LeaseRequest | None = None
        self.durable: DurableRequest | None = None
        self.handle_of = context.checked_session.session.shares_as  # who the handle counts for, to the end of the open

    @property
    def tree_access(self) -> int:
        """What its session may do on the share (TreeConnect.MaximalAccess) now: it may be less than when it asked."""
        context = self.context
        return context.server.judging.access(context.checked_session, context.checked_tree)

    def run(self) -> Work[Reply]:
        """From the request to its answer. Raises StatusError."""
        since = self.files.ends.finished
        try:
            asked = self._read_durable()
            if isinstance(asked, Reconnect):
                return (yield from self._reclaim(asked))
            self.durable = asked
            if asked is not None and asked.create_guid:
                return (yield from self._create_once(asked.create_guid))
            return (yield from self._create())
        except StatusError as error:
            if self.tries == MOST_TRIES or not self.files.ends.explain(error.status, since):
                raise
        return (yield from self._run_again())

    def _run_again(self) -> Work[Reply]:
        """It may have been refused because of what is just being closed."""
        yield from self.files.ends.passed()
        self.tries += 1
        return (yield from self.run())

    def _create(self) -> Work[Reply]:
        path = split_path(self.message.name)
        self._check_access()
        self._check()
        self._read_contexts()
        self._check_lease(path)
        while (made := (yield from self._attempt(path))) is None:
            pass
        opened, file_open = made
        try:
            stat = yield from self._prepare(opened, file_open)
            if file_open.is_released:
                raise StatusError(codes.STATUS_FILE_CLOSED)  # by management, while the disk was asked
        except BaseException as error:
            # It was open already, and is not what was asked for; or its connection is lost, and nobody learns its
            # FileId, though its session may go on over another.
            file_open.delete_on_close = False
            self.context.file_id, self.context.opened = 0, None
            reason = Reason.CLOSED if isinstance(error, StatusError) else Reason.DISCONNECTED
            self.context.server.service.close_open(file_open.open, reason)
            raise
        reply = self._answer(opened, file_open, stat)
        file_open.replay_eligible = bool(file_open.create_guid) and is_replay_eligible(file_open)
        return reply

    def _attempt(self, path: Path) -> Work[tuple[Opened, DiskOpen] | None]:
        """Have it opened, and make it an open. None: the file that it was is gone."""
        root, moving, may_change = self.share.path, self.files.moving, self._may_change
        yield from moving.wait(root, path, itself=may_change)
        since, removed = moving.ended, self.files.removed
        opened = yield from self._take_handle(path)
        state: FileState | None = None
        try:
            self._judge(opened)
            while opened.created or self.files.removed == removed or (yield from self._is_still_there(path, opened)):
                removed = self.files.removed
                state = self.files.state(opened.stat.identity)
                if not (yield from self._contend(state, opened)):
                    break
                if not moving.disturbs(since, root, path, itself=may_change):
                    return opened, self._register(opened, state)
                state.tidy()
                self.has_waited = True
                self.disturbed += 1
                if self.disturbed > _MOST_DISTURBED:
                    raise StatusError(codes.STATUS_SHARING_VIOLATION)
                yield from moving.wait(root, path, itself=may_change)
                since = moving.ended
                if not (yield from self._keeps_name(path, opened)):
                    break
        except BaseException:
            self._let_go(opened, state)
            raise
        self._let_go(opened, state)
        return None

    def _take_handle(self, path: Path) -> Work[Opened]:
        """Have it opened, and count the handle for the user that the request is of."""
        handles, user = self.files.handles, self.handle_of
        handles.take(user)
        try:
            opened = yield from self._open(path)
        except BaseException:
            handles.give_back(user)
            raise
        if opened.stat.directory:
            try:
                handles.take(user)
            except StatusError:
                handles.give_back(user)
                self._close(opened)
                raise
        return opened

    @property
    def _may_change(self) -> bool:
        """Whether it creates the file, or may be an open to change it."""
        return (
            self.message.create_disposition != FILE_OPEN or changes(self.wanted) or bool(self.wanted & MAXIMUM_ALLOWED)
        )

    def _keeps_name(self, path: Path, opened: Opened) -> Work[bool]:
        """Whether the name is still that of what was opened, after a rename that concerns it."""
        try:
            stat: FileStat = yield LookUp(self.share.path, self.spelling.to_disk(path))
        except StatusError as error:
            if error.status not in (codes.STATUS_OBJECT_NAME_NOT_FOUND, codes.STATUS_OBJECT_PATH_NOT_FOUND):
                raise
            return False
        return stat.identity == opened.stat.identity

    def _is_still_there(self, path: Path, opened: Opened) -> Work[bool]:
        """Whether what was opened was not taken away by a close that has come to its end since the disk was asked, and
        of which nothing is known any more: what is written to such a file is lost."""
        while True:
            known = self.files.find(opened.stat.identity)
            if not (yield from self._keeps_name(path, opened)):
                return False
            if self.files.find(opened.stat.identity) is known:
                return True

    def _let_go(self, opened: Opened, state: FileState | None) -> None:
        """It does not become an open."""
        if state is not None:
            state.tidy()
        self.files.handles.give_back(self.handle_of, 1 + opened.stat.directory)
        self._close(opened)

    def _close(self, opened: Opened) -> None:
        """Give the handle back, and take back what was created, unless others have it open by now or have had it: the
        disk can say which of its handles came by that name."""
        others = self.files.find(opened.stat.identity)
        other = next(iter(others.opens), None) if others is not None else None
        takes_back = opened.created and other is None
        if opened.created and other is not None:  # it has opened what was there, and so has told nobody of it
            what = names_change(opened.stat.directory)
            self.files.changed(other, other.path, FILE_ACTION_ADDED, what, self.files.scheduler.now)
        effect = CloseFile(opened.handle, delete=takes_back, tells=False, unless_shared=takes_back)
        self.files.scheduler.perform_detached(effect)

    # --- what was open before

    def _create_once(self, create_guid: bytes) -> Work[Reply]:
        """3.3.5.9 and 3.3.5.9.10: the client may have sent it before."""
        key = self.client_guid, create_guid
        if key in self.files.creating:
            raise StatusError(codes.STATUS_FILE_NOT_AVAILABLE)
        found = self.files.create_guids.find(*key)
        if isinstance(found, DiskOpen) and found.replay_eligible:
            return (yield from self._repeat(found))
        self.files.creating.add(key)
        self.context.survives = True
        try:
            return (yield from self._create())
        finally:
            self.files.creating.discard(key)

    def _repeat(self, opened: DiskOpen) -> Work[Reply]:
        """It has been done: answer as it is by now."""
        self._read_contexts()
        context = self.context
        by = Repetition(context.request.replay, self.lease, context.checked_session, context.checked_tree)
        if status := refusal_of_repetition(opened, by):
            raise StatusError(status)
        try:
            stat: FileStat = yield QueryFile(opened.handle)
        except StatusError:
            if self._is_repeated(opened):
                raise
        if not self._is_repeated(opened):
            raise StatusError(codes.STATUS_FILE_NOT_AVAILABLE)  # it has ended, or is in use: the client looks again
        context.made(opened)
        stat = opened.state.with_allocation(stat)
        contexts, oplock = self._answers(opened.maximal, stat), SMB2_OPLOCK_LEVEL_LEASE
        if opened.lease is not None:
            contexts.append(opened.lease.answer())
        else:
            oplock = no_more_than(opened.oplock.level, self.message.requested_oplock_level)
        if opened.open.reclaimable and oplock in (SMB2_OPLOCK_LEVEL_LEASE, SMB2_OPLOCK_LEVEL_BATCH):
            contexts.append(answer(2, opened.open.durable_timeout))
        return self._response(opened, stat, oplock, opened.create_action, contexts)

    def _is_repeated(self, opened: DiskOpen) -> bool:
        """Whether an open is still there for a repetition of its CREATE."""
        return opened.replay_eligible and self.context.checked_session.opens.get(opened.volatile_id) is opened

    def _reclaim(self, asked: Reconnect) -> Work[Reply]:
        """3.3.5.9.7 and 3.3.5.9.12. Nothing of what is usually asked for counts. The file is looked at first, so that
        the open is not made its session's before the answer is known."""
        if SMB2_CREATE_REQUEST_LEASE in self.contexts:
            self._read_lease(self.contexts[SMB2_CREATE_REQUEST_LEASE])
        yield from self.files.ends.passed()  # it may not be preserved yet, or is just being closed with its share
        kept = self._to_reclaim(asked)
        yield from kept.settled()
        try:
            stat: FileStat = yield QueryFile(kept.handle)
        except StatusError:
            if self._to_reclaim(asked) is kept:
                raise
        if self._to_reclaim(asked) is not kept:
            raise StatusError(codes.STATUS_OBJECT_NAME_NOT_FOUND)
        context, session = self.context, self.context.checked_session
        try:
            context.server.sessions.reclaim(kept, session, context.checked_tree)
        except LimitReached:
            raise StatusError(codes.STATUS_TOO_MANY_OPENED_FILES) from None
        except ValueError:
            raise StatusError(codes.STATUS_OBJECT_NAME_NOT_FOUND) from None  # something has ended meanwhile
        context.made(kept)
        kept.replay_eligible = False
        contexts, oplock = list[CreateContext](), kept.oplock.level
        if kept.lease is not None:
            oplock = SMB2_OPLOCK_LEVEL_LEASE
            self.files.leases.heard(kept.lease, context.connection)
            contexts.append(kept.lease.answer())
        return self._response(kept, kept.state.with_allocation(stat), oplock, FILE_OPENED, contexts)

    def _to_reclaim(self, asked: Reconnect) -> DiskOpen:
        """The open that a request would have back, if it may. Raises StatusError."""
        found = self.context.server.sessions.find_open(asked.persistent_id)
        if not isinstance(found, DiskOpen):
            raise StatusError(codes.STATUS_OBJECT_NAME_NOT_FOUND)
        try:
            name = lease_name(self.share.path, split_path(self.message.name))
        except StatusError:
            name = None
        if not self.tree_access:
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        by = Reclaim(asked, self.client_guid, self.lease, name, self._user, self.context.checked_tree)
        if status := refusal_of_reclaim(found, by):
            raise StatusError(status)
        return found

    @property
    def _user(self) -> tuple[str, str] | None:
        """The user that it is a request of, by name and domain; None for guests and null sessions."""
        session = self.context.checked_session
        nobody = session.session.anonymous or session.session.guest
        return None if nobody else session.first_user

    # --- what is asked for

    def _check(self) -> None:
        """What no file could be opened with (MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1)."""
        message, options = self.message, self.message.create_options
        if message.impersonation_level > 3:
            raise StatusError(codes.STATUS_BAD_IMPERSONATION_LEVEL)
        if options & _UNSUPPORTED_OPTIONS and not options & _BAD_OPTIONS:
            raise StatusError(codes.STATUS_NOT_SUPPORTED)
        if (
            options & _BAD_OPTIONS
            or message.file_attributes & _BAD_ATTRIBUTES
            or message.create_disposition > FILE_OVERWRITE_IF
            or message.share_access > 7
        ):
            raise StatusError(codes.STATUS_INVALID_PARAMETER)
        if options & FILE_DIRECTORY_FILE and (options & FILE_NON_DIRECTORY_FILE or self.overwrites):
            raise StatusError(codes.STATUS_INVALID_PARAMETER)

    def _read_durable(self) -> DurableRequest | Reconnect | None:
        """What its contexts say of durable handles."""
        try:
            return read_durable(self.contexts, self.negotiated.dialect)
        except ValueError:
            raise StatusError(codes.STATUS_INVALID_PARAMETER) from None

    def _read_contexts(self) -> None:
        """2.2.13.2, but for durable handles. What is not known, or not to be had here, is passed over."""
        for name, data in self.contexts.items():
            if len(name) < 4:
                raise StatusError(codes.STATUS_INVALID_PARAMETER)
            if name == SMB2_CREATE_ALLOCATION_SIZE:
                if len(data) != 8:
                    raise StatusError(codes.STATUS_INVALID_PARAMETER)
                self.allocation = min(CreateAllocationSize.unpack(data).allocation_size, (1 << 63) - 1)
            elif name == SMB2_CREATE_REQUEST_LEASE and self.message.requested_oplock_level == SMB2_OPLOCK_LEVEL_LEASE:
                self._read_lease(data)
            elif name == SMB2_CREATE_TIMEWARP_TOKEN:
                raise StatusError(codes.STATUS_OBJECT_NAME_NOT_FOUND)  # there are no snapshots

    @property
    def client_guid(self) -> bytes:
        """Connection.ClientGuid of its connection."""
        return self.context.connection.core.client_guid

    @property
    def negotiated(self) -> Negotiated:
        """What has been negotiated on its connection."""
        negotiated = self.context.connection.core.negotiated
        assert negotiated is not None, "a session has begun"
        return negotiated

    def _read_lease(self, data: bytes) -> None:
        """3.3.5.9. Without it, or with another level, there is no lease."""
        try:
            self.lease = read_request(data, self.client_guid, self.negotiated.dialect)
        except ValueError:
            raise StatusError(codes.STATUS_INVALID_PARAMETER) from None

    def _check_lease(self, path: Path) -> None:
        """3.3.5.9.8: a key is of one file, unless that is about to go."""
        lease = self._known_lease()
        if lease is not None and lease.name != lease_name(self.share.path, path) and not lease.goes:
            raise StatusError(codes.STATUS_INVALID_PARAMETER)

    def _known_lease(self) -> Lease | None:
        """The lease of its client that has the key it asks for, if there is one by now."""
        return self.files.leases.find(self.lease.client, self.lease.key) if self.lease is not None else None

    def _check_access(self) -> None:
        wanted = specific(self.message.desired_access)
        if wanted is None or not self.tree_access or wanted & ~MAXIMUM_ALLOWED & ~self.tree_access:
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        if self.delete_on_close and not wanted & (DELETE | MAXIMUM_ALLOWED):
            raise StatusError(codes.STATUS_INVALID_PARAMETER)
        if not changes(self.tree_access) and self.message.create_disposition != FILE_OPEN:
            # OPEN_IF of what exists would be no harm; what it would create is not known before.
            if self.message.create_disposition != FILE_OPEN_IF:
                raise StatusError(codes.STATUS_ACCESS_DENIED)
            self.message.create_disposition = FILE_OPEN
        self.wanted = wanted

    # --- the disk has it

    def _open(self, path: Path) -> Work[Opened]:
        """Have the disk open it, or create it."""
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
            self.share.path,
            self.spelling.to_disk(path),
            access | Access.WRITE if self.overwrites else access,
            message.create_disposition,
            kind,
            attributes if directory else attributes | FILE_ATTRIBUTE_ARCHIVE,
            self.allocation,
            maximum_allowed=bool(self.wanted & MAXIMUM_ALLOWED),
            maximal=SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST in self.contexts,
            to_delete=self.delete_on_close,
        )
        while True:
            before = self.files.removed
            try:
                opened: Opened = yield effect
                break
            except StatusError as error:
                if error.status != codes.STATUS_OBJECT_NAME_COLLISION:
                    raise
                if self.files.is_going(self.share.path, split_path(message.name)):
                    raise StatusError(codes.STATUS_DELETE_PENDING) from None
                if not (yield from self._goes_away(path, before)):
                    raise
        opened.path = self.spelling.from_disk(opened.path)
        return opened

    def _judge(self, opened: Opened) -> None:
        """Check the request against the file itself, apart from its other opens. Raises StatusError."""
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
            status = self._refusal(opened)
        if status:
            raise StatusError(status)

    def _refusal(self, opened: Opened) -> int:
        """What an existing file's attributes forbid (MS-FSA 2.1.5.1.2.1); 0 if nothing."""
        stat = opened.stat
        read_only = bool(stat.attributes & FILE_ATTRIBUTE_READONLY) and not stat.directory
        protected = stat.set_attributes & (FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM)
        if read_only and (self.granted & WRITING or self.overwrites):
            return codes.STATUS_ACCESS_DENIED
        if self.delete_on_close and stat.is_protected and not opened.by_link:
            return codes.STATUS_CANNOT_DELETE
        if self.overwrites and stat.directory:
            return codes.STATUS_FILE_IS_A_DIRECTORY
        return codes.STATUS_ACCESS_DENIED if self.overwrites and protected & ~self.message.file_attributes else 0

    # --- those who have it open too

    def _contend(self, state: FileState, opened: Opened) -> Work[bool]:
        """Wait until those who have it open agree: at once, or after oplock and lease breaks. Whether it is still the
        file that was opened. Raises StatusError."""
        if opened.created:
            # A close that has taken a file away is not heard of yet, and the disk has given its identity to this one.
            yield from state.gone()

        def mine() -> Lease | None:
            lease = self._known_lease()
            return lease if lease is not None and lease.state is state else None

        share_access = self.message.share_access
        changes_it = self.overwrites or bool(self.granted & WRITING)
        while True:
            if self.files.ends.under_way and not opened.created and (yield from self._awaits_end(state)):
                return False
            status = state.admit(self.granted, share_access, self.overwrites, mine(), self.context.now)
            if status is None:
                self.has_waited = True
                yield from state.changes(mine, for_handles=state.violates(self.granted, share_access))
            elif status == codes.STATUS_SUCCESS and changes_it and state.late:
                self.has_waited = True
                yield from state.changes(mine)  # what is acknowledged from now on must not be overwritten by that
            else:
                break
        if status == codes.STATUS_FILE_DELETED:
            yield from state.gone()
            return False
        if status:
            raise StatusError(status)
        return True

    def _awaits_end(self, state: FileState) -> Work[bool]:
        """Wait until opens of it have been closed that are about to be: it may go with them, or be cached by them.
        Whether there was any."""
        if self.tries == MOST_TRIES:
            return False
        for number, each in enumerate(list(state.opens), 1):
            if each.open.ending:
                break
            if number % _LOOKED_AT == 0:
                yield None
                if self.files.find(state.identity) is not state:
                    return True
        else:
            return False
        self.tries += 1
        yield from self.files.ends.passed()
        return True

    def _goes_away(self, path: Path, before: int) -> Work[bool]:
        """Whether what was in the way of a new file goes with its last open, and has gone by now. `before`: how many
        files had gone before it was met."""
        if not self.files.removing and self.files.removed == before:
            return False
        before = self.files.removed
        try:
            stat: FileStat = yield LookUp(self.share.path, self.spelling.to_disk(path))
        except StatusError as error:
            return error.status == codes.STATUS_OBJECT_NAME_NOT_FOUND
        state = self.files.find(stat.identity)
        if state is None or not state.removing:
            self.disturbed += 1  # some file has gone since the disk was asked: it may be this one
            return self.files.removed != before and self.disturbed <= _MOST_DISTURBED
        yield from state.gone()
        state.tidy()
        return True

    # --- it is an open

    def _register(self, opened: Opened, state: FileState) -> DiskOpen:
        """Make it an open: for the domain, for its session, for the others. Raises StatusError."""
        context, root = self.context, self.share.path
        if self._exceeds(opened):
            raise StatusError(codes.STATUS_ACCESS_DENIED)
        path = "/".join([root.rstrip("/"), *opened.path]) if opened.path else root
        try:
            registered = context.server.sessions.register_open(
                context.checked_session, context.checked_tree, path, self.granted, context.now
            )
        except LimitReached:
            raise StatusError(codes.STATUS_TOO_MANY_OPENED_FILES) from None
        except ValueError:
            # What it was asked on has ended meanwhile.
            raise StatusError(codes.STATUS_NETWORK_NAME_DELETED) from None
        session, tree = context.checked_session, context.checked_tree
        file_open = DiskOpen(registered, session, tree, self.files, state, opened, self.message, self.handle_of)
        file_open.client_guid = self.client_guid
        if self.lease is not None:
            file_open.parent_key = self.lease.parent_key
            self._limit_lease(opened.stat)
        if self.durable is not None:
            file_open.create_guid = self.durable.create_guid
            self._make_durable(self.durable, file_open)
        state.enter(file_open)
        if self.lease is not None:
            state.join_lease(file_open, self.lease, context.connection)
        context.server.sessions.add_open(file_open)
        context.made(file_open)
        if opened.created:
            what = names_change(opened.stat.directory)
            self.files.changed(file_open, opened.path, FILE_ACTION_ADDED, what, context.now)
        return file_open

    def _make_durable(self, asked: DurableRequest, file_open: DiskOpen) -> None:
        """Before its oplock or lease is granted, so that all hear at once of both."""
        if not file_open.directory and self._user is not None:
            seconds = timeout_of(asked, self.context.server.configuration.durable_timeout)
            self.context.server.service.make_durable(file_open.open, self._user, seconds)

    def _limit_lease(self, stat: FileStat) -> None:
        """A directory has a lease of version 2 where its client knows of that, and nothing in it to write (3.3.5.9.11);
        or none."""
        if self.lease is None or not stat.directory:
            return
        if self.lease.version == 2 and self.negotiated.directory_leasing:
            self.lease = self.lease._replace(wanted=self.lease.wanted & RH)
        else:
            self.lease = None

    def _exceeds(self, opened: Opened) -> bool:
        """Whether its session may do less by now than what it would be granted: the disk, or others who have the file
        open, have taken their time."""
        changing = opened.created or self.overwrites
        most = self.tree_access
        return not most or bool(self.granted & ~most) or (changing and not changes(most))

    def _prepare(self, opened: Opened, file_open: DiskOpen) -> Work[FileStat]:
        """What is still to be done with a file that was there before; what is known of it then."""
        if opened.created:
            return opened.stat
        if self.overwrites:
            attributes = (self.message.file_attributes & SETTABLE_ATTRIBUTES) | FILE_ATTRIBUTE_ARCHIVE
            try:
                stat: FileStat = yield OverwriteFile(opened.handle, attributes, self.allocation)
            finally:
                # As after a write: others may have come in since.
                now = self.files.scheduler.now
                file_open.state.changed(file_open.holder, now)
                self.files.leases.listing_changed(file_open.root, file_open.path[:-1], file_open, now)
            return stat
        if self.delete_on_close and (self.has_waited or not opened.deletable):
            yield CheckDeletable(opened.handle)
        return opened.stat

    def _answer(self, opened: Opened, file_open: DiskOpen, stat: FileStat) -> Reply:
        """Its oplock or its lease, its contexts, the answer."""
        message, state = self.message, file_open.state
        if opened.created or self.overwrites:
            state.allocation = self.allocation
        stat = state.with_allocation(stat)
        if self.delete_on_close:
            file_open.delete_on_close = True
        contexts = self._answers(opened.maximal, stat)
        oplock = SMB2_OPLOCK_LEVEL_NONE
        if self.lease is not None:
            oplock = SMB2_OPLOCK_LEVEL_LEASE
            contexts.append(state.grant_lease(file_open, self.lease))
        elif not stat.directory:
            oplock = state.grant(file_open, message.requested_oplock_level)
        if self.durable is not None and file_open.open.reclaimable:
            contexts.append(answer(self.durable.version, file_open.open.durable_timeout))
        else:
            self.context.server.service.make_ordinary(file_open.open)
        if opened.created:
            action = FILE_CREATED
        elif message.create_disposition == FILE_SUPERSEDE:
            action = FILE_SUPERSEDED
        else:
            action = FILE_OVERWRITTEN if self.overwrites else FILE_OPENED
        file_open.create_action = action
        return self._response(file_open, stat, oplock, action, contexts)

    def _response(
        self, file_open: DiskOpen, stat: FileStat, oplock: int, action: int, contexts: list[CreateContext]
    ) -> Reply:
        """The answer about an open."""
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
                file_id=file_open.file_id,
                contexts=contexts,
            )
        )

    def _answers(self, owners: Access, stat: FileStat) -> list[CreateContext]:
        """2.2.14.2."""
        contexts = []
        if SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST in self.contexts:
            most = maximal(self.tree_access, owners, stat.attributes)
            name = SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST
            contexts.append(CreateContext(name, QueryMaximalAccessResponse(codes.STATUS_SUCCESS, most).pack()))
        if SMB2_CREATE_QUERY_ON_DISK_ID in self.contexts:
            identifier = QueryOnDiskIdResponse(stat.file_id, stat.volume & 0xFFFFFFFFFFFFFFFF)
            contexts.append(CreateContext(SMB2_CREATE_QUERY_ON_DISK_ID, identifier.pack()))
        return contexts
