"""IPC$, the tree connect that leads to pipes. Those that lead to folders are in `files`."""

from __future__ import annotations

from functools import partial
from typing import Final

from lanman import codes
from lanman.domain import LimitReached, Portions, Session, State
from lanman.errors import StatusError
from lanman.fscc.attributes import FILE_ATTRIBUTE_NORMAL
from lanman.server.effects import Reply, Work
from lanman.server.pipes import PIPE_QUOTA, PipeOpen, Pipes, canonical_pipe_name
from lanman.server.rights import Caller
from lanman.server.state import Context, ShareBackend
from lanman.settings import RunningSettings
from lanman.smb2.constants import FILE_OPENED, PIPE_ACCESS, SMB2_SHARE_TYPE_PIPE, SMB2_SHAREFLAG_NO_CACHING
from lanman.smb2.messages import CreateRequest, CreateResponse

# Pipes that all together may have open: so many, or this times the connections there may be.
PIPES: Final = 32768

PIPE_SHARE_ACCESS: Final = 0x001F00A9  # as Samba 4.17 and Windows 2019 have it
# GENERIC_READ, _WRITE, _EXECUTE, _ALL and MAXIMUM_ALLOWED: on a pipe they mean PIPE_ACCESS.
GENERIC: Final = 0xF2000000


class PipeShare(ShareBackend):
    """IPC$: what is created on it is a pipe."""

    share_type = SMB2_SHARE_TYPE_PIPE
    share_flags = SMB2_SHAREFLAG_NO_CACHING
    capabilities = 0

    def __init__(self, pipes: Pipes, settings: RunningSettings, portions: Portions) -> None:
        self._pipes = pipes
        self._portion = portions.new(
            "open pipes",
            lambda: max(PIPES, 8 * settings.current.limits.connections),
            remedy="set more [limits] connections: 8 pipes for each",
        )

    def access_for(self, session: Session) -> int:
        """The same for everybody; who may open what is the pipes' business."""
        return PIPE_SHARE_ACCESS

    def create(self, context: Context, message: CreateRequest) -> Work[Reply]:
        """3.3.5.9 for a pipe. What is asked on it is judged by the groups that its user is in now."""
        name = canonical_pipe_name(message.name)
        session = context.checked_session.session
        if not session.anonymous:
            try:
                yield from context.server.watch.read()
            except StatusError:
                pass  # the log says why; those who are known stay what they are
            if session.state is State.CLOSED:
                return Reply(codes.STATUS_USER_SESSION_DELETED)
        return self._open(context, message, name)

    def _open(self, context: Context, message: CreateRequest, name: str) -> Reply:
        session = context.checked_session.session
        # MS-SRVS 3.1.6.17: a null session may open the pipes that were named for it. Asked first, so that it does not
        # learn which others there are.
        if session.anonymous and not context.server.configuration.null_sessions.has_pipe(name):
            return Reply(codes.STATUS_ACCESS_DENIED)
        open_pipe = self._pipes.find(name)
        if open_pipe is None:
            return Reply(codes.STATUS_OBJECT_NAME_NOT_FOUND)
        access = message.desired_access & ~GENERIC
        if message.desired_access & GENERIC:
            access |= PIPE_ACCESS
        caller = Caller(session.user_name, session.groups, session)
        user = session.shares_as
        if not self._portion.fits(user):
            self._portion.refuse(user)
            return Reply(codes.STATUS_TOO_MANY_OPENED_FILES)
        try:
            opened = context.server.sessions.register_open(
                context.checked_session, context.checked_tree, f"\\PIPE\\{name}", access, context.now
            )
        except LimitReached:
            return Reply(codes.STATUS_TOO_MANY_OPENED_FILES)
        except ValueError:
            return Reply(codes.STATUS_NETWORK_NAME_DELETED)  # the tree connect has ended meanwhile
        pipe = open_pipe(caller, context.server.scheduler)
        self._portion.count(user, 1)
        taken = partial(self._portion.give_back, user)
        pipe_open = PipeOpen(opened, context.checked_session, context.checked_tree, pipe, taken)
        context.server.sessions.add_open(pipe_open)
        context.made(pipe_open)
        return Reply(
            message=CreateResponse(
                oplock_level=0,
                flags=0,
                create_action=FILE_OPENED,
                creation_time=0,
                last_access_time=0,
                last_write_time=0,
                change_time=0,
                allocation_size=PIPE_QUOTA,
                end_of_file=0,
                file_attributes=FILE_ATTRIBUTE_NORMAL,
                file_id=pipe_open.file_id,
            )
        )
