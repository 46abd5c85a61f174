"""One handler for each SMB2 command, and the table that says what each of them needs before it is asked.

The rules:

* A handler gets the context of its request and its message. By then `ConnectionDispatch.begin` has checked what the row
  in COMMANDS says that it needs: session, tree connect, protection.
* It returns its Reply, or is a generator that does (`effects`). It does no I/O, knows no clock and sends nothing.
* After a yield anything may have changed: the session may have other rights, the tree connect may have ended. A handler
  that goes on with either looks again. What has ended cancels it before (`requests`).
* What a READ does to a pipe or to a file is decided by the open (`state.ServerOpen`), and what a CREATE does by the
  share (`state.ShareBackend`), not by the handler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final

from lanman import codes
from lanman.domain import AT_ONCE, Limit, LimitReached, Reason, State
from lanman.errors import MalformedMessage
from lanman.few import with_one
from lanman.fscc.controls import PipeWait
from lanman.plain import dataclass
from lanman.server.effects import ListInterfaces, Outcome, Reply, Work
from lanman.server.logon import handle_logoff, handle_session_setup
from lanman.server.pipes import canonical_pipe_name, ioctl_response
from lanman.server.state import Context, ServerOpen, ServerTree, ShareBackend, when_gone, when_many_gone
from lanman.smb2.constants import (
    ANY_FILE_ID,
    FSCTL_DFS_GET_REFERRALS,
    FSCTL_DFS_GET_REFERRALS_EX,
    FSCTL_LMR_REQUEST_RESILIENCY,
    FSCTL_PIPE_WAIT,
    FSCTL_QUERY_NETWORK_INTERFACE_INFO,
    FSCTL_VALIDATE_NEGOTIATE_INFO,
    SMB2_0_IOCTL_IS_FSCTL,
    SMB2_CHANGE_NOTIFY,
    SMB2_CLOSE,
    SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB,
    SMB2_CREATE,
    SMB2_ECHO,
    SMB2_FLUSH,
    SMB2_IOCTL,
    SMB2_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_LOGOFF,
    SMB2_OPLOCK_BREAK,
    SMB2_QUERY_DIRECTORY,
    SMB2_QUERY_INFO,
    SMB2_READ,
    SMB2_SESSION_SETUP,
    SMB2_SET_INFO,
    SMB2_SHARE_TYPE_PIPE,
    SMB2_TREE_CONNECT,
    SMB2_TREE_DISCONNECT,
    SMB2_WRITE,
    Dialect,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateRequest,
    EchoRequest,
    EchoResponse,
    FlushRequest,
    IoctlRequest,
    LeaseBreak,
    LockRequest,
    Message,
    OplockBreak,
    QueryDirectoryRequest,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    TreeConnectRequest,
    TreeConnectResponse,
    TreeDisconnectRequest,
    TreeDisconnectResponse,
    WriteRequest,
)
from lanman.wire import pack_chain

# How many addresses of its own the Server tells a client; nobody has use for more (a session has 32 connections).
MAX_INTERFACES: Final = 64


class Needs(IntEnum):
    """What a command is nothing without; each includes the one before it."""

    NOTHING = 0
    SESSION = 1
    TREE = 2


@dataclass(frozen=True, slots=True)
class Command:
    """`expired`: 3.3.5.2.9 lets it through on a session whose credentials have run out."""

    handler: Callable[[Context, Any], Outcome]
    needs: Needs
    expired: bool = False


def handle_tree_connect(context: Context, message: TreeConnectRequest) -> Work[Reply]:
    r"""SMB2 TREE_CONNECT (MS-SMB2 3.3.5.7): `\\server\share`."""
    server = context.server
    _, _, path = message.path.partition("\\\\")
    _, _, name = path.partition("\\")
    while True:
        share = server.service.share_by_name(name)
        if share is None or not name:
            return Reply(codes.STATUS_BAD_NETWORK_NAME)
        backend = server.backend_of(share)
        maximal_access = _tree_access(context, name, backend)
        if not maximal_access:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if not share.problem:
            break
        # Its folder could not be used, and is looked at again. Meanwhile anything may have changed.
        problem = yield server.watch.check_of(share)
        server.watch.mark(share, problem)
        if problem:
            return Reply(codes.STATUS_BAD_NETWORK_NAME)
    server_session = context.checked_session
    server_session.last_tree_id += 1
    try:
        tree_connect = server.service.register_tree_connect(
            server_session.session, server_session.last_tree_id, share, context.now
        )
    except LimitReached as error:
        return Reply(_NO_TREE_CONNECT.get(error.limit, codes.STATUS_INSUFFICIENT_RESOURCES))
    except ValueError:
        return Reply(codes.STATUS_USER_SESSION_DELETED)  # whoever heard that the folder is there again has ended it
    if server_session.session.tree_connects.get(tree_connect.tree_id) is not tree_connect:
        return Reply(codes.STATUS_NETWORK_NAME_DELETED)  # whoever heard of it has ended it at once
    tree = ServerTree(tree_connect, backend, maximal_access)
    server_session.trees = with_one(server_session.trees, tree.tree_connect.tree_id, tree)
    return Reply(
        message=TreeConnectResponse(
            share_type=backend.share_type,
            share_flags=backend.share_flags,
            capabilities=backend.capabilities,
            maximal_access=maximal_access,
        ),
        tree_id=tree_connect.tree_id,
    )


# 3.3.5.7: a full share; a session that has too many is short of something else. MS-ERREF 2.3.1: who is paused says so.
_NO_TREE_CONNECT: Final = {
    Limit.SHARE_USERS: codes.STATUS_REQUEST_NOT_ACCEPTED,
    Limit.PAUSED: codes.STATUS_SHARING_PAUSED,
}


def _tree_access(context: Context, name: str, backend: ShareBackend) -> int:
    """What the session may do on a share; 0: it may not connect, or cannot as the share demands."""
    connection, session = context.connection, context.checked_session.session
    if session.anonymous and backend.share_type != SMB2_SHARE_TYPE_PIPE and not context.server.is_null_share(name):
        return 0
    maximal_access = backend.access_for(session)
    if maximal_access and backend.encrypt and not connection.can_encrypt:
        connection.lacks(Reason.UNENCRYPTED_SHARE, session.user_name)
        return 0
    return maximal_access


def handle_tree_disconnect(context: Context, message: TreeDisconnectRequest) -> Outcome:
    """SMB2 TREE_DISCONNECT (MS-SMB2 3.3.5.8)."""
    tree, opens = context.checked_tree, context.checked_session.opens.values()
    many, server = tree.tree_connect.open_count > AT_ONCE, context.server
    closed = list(opens) if many else [each for each in opens if each.tree is tree]
    server.service.close_tree_connect(tree.tree_connect)
    reply = Reply(message=TreeDisconnectResponse())
    return when_many_gone(server.ends, closed, reply, tree) if many else when_gone(closed, reply)


def handle_create(context: Context, message: CreateRequest) -> Outcome:
    """SMB2 CREATE (MS-SMB2 3.3.5.9)."""
    return context.checked_tree.backend.create(context, message)


def handle_close(context: Context, message: CloseRequest) -> Outcome:
    """SMB2 CLOSE (MS-SMB2 3.3.5.10). It is closed from this moment on, however long the disk takes over it."""
    opened = context.find_open(message.file_id)
    if opened is None:
        return Reply(codes.STATUS_FILE_CLOSED)
    opened.tells_when_closed = bool(message.flags & SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB)
    context.server.service.close_open(opened.open)
    return opened.close(context, message)


def handle_read(context: Context, message: ReadRequest) -> Outcome:
    """SMB2 READ (MS-SMB2 3.3.5.12)."""
    opened = context.find_open(message.file_id)
    if opened is None:
        return Reply(codes.STATUS_FILE_CLOSED)
    if message.length > context.connection.max_read_size:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    return opened.read(context, message)


def handle_write(context: Context, message: WriteRequest) -> Outcome:
    """SMB2 WRITE (MS-SMB2 3.3.5.13)."""
    opened = context.find_open(message.file_id)
    if opened is None:
        return Reply(codes.STATUS_FILE_CLOSED)
    if len(message.data) > context.connection.max_write_size:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    return opened.write(context, message)


def handle_flush(context: Context, message: FlushRequest) -> Outcome:
    """SMB2 FLUSH (MS-SMB2 3.3.5.11)."""
    opened = context.find_open(message.file_id)
    return Reply(codes.STATUS_FILE_CLOSED) if opened is None else opened.flush(context, message)


def _open_to_answer(context: Context, file_id: bytes, size: int) -> ServerOpen | Reply:
    """The open that a request names, if an answer of `size` bytes is within MaxTransactSize."""
    opened = context.find_open(file_id)
    if opened is None:
        return Reply(codes.STATUS_FILE_CLOSED)
    return Reply(codes.STATUS_INVALID_PARAMETER) if size > context.connection.max_transact_size else opened


def handle_query_info(context: Context, message: QueryInfoRequest) -> Outcome:
    """SMB2 QUERY_INFO (MS-SMB2 3.3.5.20)."""
    opened = _open_to_answer(context, message.file_id, message.output_buffer_length)
    return opened if isinstance(opened, Reply) else opened.query_info(context, message)


def handle_set_info(context: Context, message: SetInfoRequest) -> Outcome:
    """SMB2 SET_INFO (MS-SMB2 3.3.5.21)."""
    opened = context.find_open(message.file_id)
    return Reply(codes.STATUS_FILE_CLOSED) if opened is None else opened.set_info(context, message)


def handle_lock(context: Context, message: LockRequest) -> Outcome:
    """SMB2 LOCK (MS-SMB2 3.3.5.14)."""
    if context.checked_session.session.state is State.EXPIRED and not message.locks[0].flags & SMB2_LOCKFLAG_UNLOCK:
        # 3.3.5.2.9 lets LOCK through for the sake of what is held; as at Samba nothing new is.
        return Reply(codes.STATUS_NETWORK_SESSION_EXPIRED)
    opened = context.find_open(message.file_id)
    return Reply(codes.STATUS_FILE_CLOSED) if opened is None else opened.lock(context, message)


def handle_query_directory(context: Context, message: QueryDirectoryRequest) -> Outcome:
    """SMB2 QUERY_DIRECTORY (MS-SMB2 3.3.5.18)."""
    opened = _open_to_answer(context, message.file_id, message.output_buffer_length)
    return opened if isinstance(opened, Reply) else opened.query_directory(context, message)


def handle_change_notify(context: Context, message: ChangeNotifyRequest) -> Outcome:
    """SMB2 CHANGE_NOTIFY (MS-SMB2 3.3.5.19)."""
    opened = _open_to_answer(context, message.file_id, message.output_buffer_length)
    return opened if isinstance(opened, Reply) else opened.change_notify(context, message)


def handle_oplock_break(context: Context, message: Message) -> Outcome:
    """SMB2 OPLOCK_BREAK Acknowledgment (MS-SMB2 3.3.5.22). Never does it wait for what it releases."""
    if isinstance(message, LeaseBreak):
        return _lease_break(context, message)
    if not isinstance(message, OplockBreak):
        return Reply(codes.STATUS_INVALID_PARAMETER)
    opened = context.find_open(message.file_id)
    return Reply(codes.STATUS_FILE_CLOSED) if opened is None else opened.oplock_break(context, message)


def _lease_break(context: Context, message: LeaseBreak) -> Reply:
    """3.3.5.22.2. Any session of the client may answer whose user has the file open."""
    client = context.connection.core.client_guid
    status = context.server.leases.acknowledge(
        client, message.lease_key, message.lease_state, context.checked_session, context.now
    )
    return Reply(status, None if status else LeaseBreak(0, message.lease_key, message.lease_state))


def handle_echo(context: Context, message: EchoRequest) -> Outcome:
    """SMB2 ECHO (MS-SMB2 3.3.5.17): it needs no session, and renews none."""
    return Reply(message=EchoResponse())


def handle_ioctl(context: Context, message: IoctlRequest) -> Outcome:
    """SMB2 IOCTL (MS-SMB2 3.3.5.15)."""
    if not message.flags & SMB2_0_IOCTL_IS_FSCTL:
        return Reply(codes.STATUS_NOT_SUPPORTED)
    limit = context.connection.max_transact_size
    if max(len(message.input), message.max_input_response, message.max_output_response) > limit:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    if handler := _CONTROLS.get(message.ctl_code):
        return handler(context, message)
    opened = context.find_open(message.file_id)
    if opened is None:
        return Reply(codes.STATUS_FILE_CLOSED)
    if message.ctl_code == FSCTL_LMR_REQUEST_RESILIENCY:
        return _no_resilience(context)
    return opened.ioctl(context, message)


def _no_resilience(context: Context) -> Reply:
    """3.3.5.15.9 for a server that has no resilient opens."""
    negotiated = context.connection.core.negotiated
    if negotiated is not None and negotiated.dialect == Dialect.SMB_2_0_2:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)  # which does not know it
    return Reply(codes.STATUS_NOT_SUPPORTED)


def _pipe_wait(context: Context, message: IoctlRequest) -> Outcome:
    """FSCTL_PIPE_WAIT (MS-FSCC 2.3): our pipes always have room for one more instance."""
    try:
        name = PipeWait.unpack(message.input).name
    except MalformedMessage:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    canonical = canonical_pipe_name(name)
    session = context.checked_session.session
    if session.anonymous and not context.server.configuration.null_sessions.has_pipe(canonical):
        return Reply(codes.STATUS_ACCESS_DENIED)
    if not context.server.has_pipe(canonical):
        return Reply(codes.STATUS_OBJECT_NAME_NOT_FOUND)
    return Reply(message=ioctl_response(message))


def _validate_negotiate(context: Context, message: IoctlRequest) -> Outcome:
    """FSCTL_VALIDATE_NEGOTIATE_INFO (MS-SMB2 3.3.5.15.12): detects a NEGOTIATE modified in transit."""
    connection = context.connection
    answer = connection.core.validate_negotiate_info(bytes(message.input))
    if answer is None:
        connection.finish("the client negotiated something else than arrived here")
        return Reply(codes.STATUS_ACCESS_DENIED)
    if len(answer) > message.max_output_response:
        return Reply(codes.STATUS_INVALID_PARAMETER)
    return Reply(message=ioctl_response(message, answer))


def _no_dfs(context: Context, message: IoctlRequest) -> Outcome:
    # 3.3.5.15.2: no DFS here. Samba without "host msdfs" says NOT_FOUND; Windows FS_DRIVER_REQUIRED, which the text
    # has.
    return Reply(codes.STATUS_FS_DRIVER_REQUIRED)


def _network_interfaces(context: Context, message: IoctlRequest) -> Outcome:
    """FSCTL_QUERY_NETWORK_INTERFACE_INFO (MS-SMB2 3.3.5.15.11): by which addresses the Server may be reached too."""
    agreed = context.connection.core.negotiated
    if agreed is None or not (agreed.multichannel and context.server.multichannel):
        return Reply(codes.STATUS_NOT_SUPPORTED)
    if message.file_id != ANY_FILE_ID:
        return Reply(codes.STATUS_INVALID_PARAMETER)  # 3.3.5.15
    if not context.checked_session.keys.protected:
        return Reply(codes.STATUS_ACCESS_DENIED)  # nobody could bind it
    return _listed_interfaces(message)


def _listed_interfaces(message: IoctlRequest) -> Work[Reply]:
    interfaces = yield ListInterfaces()
    answer = pack_chain(interfaces[:MAX_INTERFACES], 8)
    if len(answer) > message.max_output_response:
        return Reply(codes.STATUS_BUFFER_TOO_SMALL)
    return Reply(message=ioctl_response(message, answer))


# The control codes that are for the server and not for an open; their FileId is all ones.
_CONTROLS: Final[Mapping[int, Callable[[Context, IoctlRequest], Outcome]]] = {
    FSCTL_PIPE_WAIT: _pipe_wait,
    FSCTL_VALIDATE_NEGOTIATE_INFO: _validate_negotiate,
    FSCTL_DFS_GET_REFERRALS: _no_dfs,
    FSCTL_DFS_GET_REFERRALS_EX: _no_dfs,
    FSCTL_QUERY_NETWORK_INTERFACE_INFO: _network_interfaces,
}

# What is not here is answered with STATUS_NOT_SUPPORTED, once its session and tree connect have been checked.
COMMANDS: Final[Mapping[int, Command]] = {
    SMB2_SESSION_SETUP: Command(handle_session_setup, Needs.NOTHING),
    SMB2_LOGOFF: Command(handle_logoff, Needs.SESSION, expired=True),
    SMB2_TREE_CONNECT: Command(handle_tree_connect, Needs.SESSION),
    SMB2_TREE_DISCONNECT: Command(handle_tree_disconnect, Needs.TREE),
    SMB2_CREATE: Command(handle_create, Needs.TREE),
    SMB2_CLOSE: Command(handle_close, Needs.TREE, expired=True),
    SMB2_FLUSH: Command(handle_flush, Needs.TREE),
    SMB2_READ: Command(handle_read, Needs.TREE),
    SMB2_WRITE: Command(handle_write, Needs.TREE),
    SMB2_IOCTL: Command(handle_ioctl, Needs.TREE),
    SMB2_ECHO: Command(handle_echo, Needs.NOTHING),
    SMB2_QUERY_INFO: Command(handle_query_info, Needs.TREE),
    SMB2_SET_INFO: Command(handle_set_info, Needs.TREE),
    SMB2_LOCK: Command(handle_lock, Needs.TREE, expired=True),
    SMB2_QUERY_DIRECTORY: Command(handle_query_directory, Needs.TREE),
    SMB2_CHANGE_NOTIFY: Command(handle_change_notify, Needs.TREE),
    SMB2_OPLOCK_BREAK: Command(handle_oplock_break, Needs.TREE),
}
