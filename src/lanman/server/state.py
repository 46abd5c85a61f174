"""What one connection keeps of its sessions, tree connects and opens, beside what the domain knows of them.

The domain's Session, TreeConnect and Open say who is connected to what and are what management sees. These say how to
go on with a request: which share answers on a tree, which pipe or file stands behind a FileId. Each holds its domain
object.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.domain import Open, Session, TreeConnect
from lanman.server.effects import Outcome, Reply
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateRequest,
    FlushRequest,
    IoctlRequest,
    LockRequest,
    OplockBreak,
    QueryDirectoryRequest,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    WriteRequest,
)
from lanman.smb2.server import Request

if TYPE_CHECKING:
    from lanman.server.dispatch import ConnectionDispatch
    from lanman.server.timers import Timer

# 3.3.5.2.7.2: a related request that names this FileId means the one of the request before it.
CHAINED_FILE_ID: Final = b"\xff" * 16

_FILE_ID: Final = struct.Struct("<QQ")


def pack_file_id(file_id: int) -> bytes:
    """A FileId (MS-SMB2 2.2.14.1): the persistent half, then the volatile one. Ours are alike: no open is durable."""
    return _FILE_ID.pack(file_id, file_id)


def unpack_file_id(data: bytes) -> int:
    """The open's id; 0, which is none's, if the halves differ."""
    persistent, volatile = _FILE_ID.unpack(data)
    return int(volatile) if persistent == volatile else 0


@dataclass(slots=True, eq=False)
class ServerSession:
    """A session on its connection. `closing` means that the domain has ended it by its own request, written to a pipe,
    and that nothing but the answer is still to be read; `last_words` is when nobody waits for that any more.
    `first_user` are the user's name and domain whose log-on its keys come from; None: it has none, and is protected by
    nothing. `stranger`: it is that of a guest without an account."""

    session: Session
    encrypt: bool = False
    trees: dict[int, ServerTree] = field(default_factory=dict)
    opens: dict[int, ServerOpen] = field(default_factory=dict)
    last_tree_id: int = 0
    closing: bool = False
    last_words: Timer | None = None
    first_user: tuple[str, str] | None = None
    stranger: bool = False


@dataclass(slots=True, eq=False)
class ServerTree:
    """A tree connect and the share that answers on it."""

    tree_connect: TreeConnect
    target: ShareBackend
    maximal_access: int = 0


class ShareBackend(ABC):
    """What a tree connect leads to: the pipes of IPC$, or a folder."""

    share_type: int
    capabilities: int

    @property
    @abstractmethod
    def share_flags(self) -> int:
        """SMB2_SHAREFLAG_ of the TREE_CONNECT response, as things stand."""

    @property
    def encrypt(self) -> bool:
        """Share.EncryptData: what comes unencrypted is refused."""
        return False

    @abstractmethod
    def access_for(self, session: Session) -> int:
        """The most that a session may do here (TreeConnect.MaximalAccess); 0: it may not connect."""

    @abstractmethod
    def create(self, context: Context, message: CreateRequest) -> Outcome:
        """SMB2 CREATE (MS-SMB2 3.3.5.9)."""


class ServerOpen(ABC):
    """Something open: what a request with its FileId does. Everything is refused until a kind of open knows better."""

    def __init__(self, opened: Open, tree: ServerTree) -> None:
        self.opened = opened
        self.tree = tree
        self.closing = False  # ended by its own request, as its session may be

    @property
    def file_id(self) -> bytes:
        return pack_file_id(self.opened.file_id)

    def read(self, context: Context, message: ReadRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def write(self, context: Context, message: WriteRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def flush(self, context: Context, message: FlushRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def ioctl(self, context: Context, message: IoctlRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def query_info(self, context: Context, message: QueryInfoRequest) -> Outcome:
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def set_info(self, context: Context, message: SetInfoRequest) -> Outcome:
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def lock(self, context: Context, message: LockRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def query_directory(self, context: Context, message: QueryDirectoryRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_PARAMETER)

    def change_notify(self, context: Context, message: ChangeNotifyRequest) -> Outcome:
        return Reply(codes.STATUS_INVALID_PARAMETER)

    def oplock_break(self, context: Context, message: OplockBreak) -> Outcome:
        return Reply(codes.STATUS_INVALID_OPLOCK_PROTOCOL)

    def ended(self, now: float) -> None:
        """It is about to be released. Requests that wait on it are cancelled then, if they are not answered now."""
        return

    @abstractmethod
    def close(self, context: Context, message: CloseRequest) -> Outcome:
        """SMB2 CLOSE (MS-SMB2 3.3.5.10); the caller then tells the domain, before it looks at the outcome."""

    @abstractmethod
    def released(self) -> None:
        """It has ended, whoever ended it: let go of what stands behind it. Requests that wait were cancelled before."""


@dataclass(slots=True)
class Context:
    """A request on its way: what it came on, and what its ids stand for. A handler that needs no session has none."""

    connection: ConnectionDispatch
    request: Request
    now: float
    session: ServerSession | None = None
    tree: ServerTree | None = None
    opened: ServerOpen | None = None
    file_id: int = 0

    @property
    def wire_session(self) -> ServerSession:
        assert self.session is not None, "the command's row in HANDLERS says that it needs a session"
        return self.session

    @property
    def wire_tree(self) -> ServerTree:
        assert self.tree is not None, "the command's row in HANDLERS says that it needs a tree connect"
        return self.tree

    def find_open(self, file_id: bytes) -> ServerOpen | None:
        """The open that a request names; in a compound the one before it, if it says so."""
        if file_id != CHAINED_FILE_ID:
            self.file_id = unpack_file_id(file_id)
        found = self.wire_session.opens.get(self.file_id)
        # A FileId counts on the tree connect that it was opened on (smb2.tcon). Last words have none any more.
        if found is not None and self.tree is not None and found.tree is not self.tree:
            found = None
        self.opened = found
        return found
