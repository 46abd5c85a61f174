"""Several sessions on one TCP connection to an smbd, by smbprotocol and impacket: what smbclient never makes."""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Self

from impacket.smb3structs import (
    SMB2_LOCK,
    SMB2_LOCK_ELEMENT,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2Lock,
)
from impacket.smbconnection import SMBConnection
from smbprotocol.connection import Connection
from smbprotocol.create_contexts import CreateContextName, SMB2CreateContextRequest, SMB2CreateRequestLease
from smbprotocol.exceptions import SMBException
from smbprotocol.open import (
    CreateDisposition,
    FileAttributes,
    ImpersonationLevel,
    Open,
    RequestedOplockLevel,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from support.smbd import Account

READ_AND_WRITE = 0x12019F
SHARED = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
LEASE_RWH = 0x7


def lock(client: SMBConnection, tree: int, file: bytes, offset: int, length: int) -> None:
    """Lock a range of bytes of a file of impacket's, whose own method for it sends no ranges."""
    low = client.getSMBServer()
    element = SMB2_LOCK_ELEMENT()
    element["Offset"], element["Length"] = offset, length
    element["Flags"] = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    request = SMB2Lock()
    request["FileID"] = file
    request["LockCount"] = 1
    request["Locks"] = element.getData()
    packet = low.SMB_PACKET()
    packet["Command"] = SMB2_LOCK
    packet["TreeID"] = tree
    packet["Data"] = request
    low.recvSMB(low.sendSMB(packet)).isValidAnswer(0)


class OneConnection:
    """One TCP connection; use it as a context manager. `log_on` makes sessions on it, each with the share `share`."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host
        self._connection = Connection(uuid.uuid4(), host, port)
        self._connection.connect(timeout=60)
        self._opens: list[Open] = []

    def log_on(self, account: Account, share: str = "share", *, encrypt: bool = False) -> TreeConnect:
        """A session of `account`, and its tree connect."""
        session = Session(self._connection, account.user_name, account.password, require_encryption=encrypt)
        session.connect()
        return self.connect(session, share)

    def connect(self, session: Session, share: str) -> TreeConnect:
        """One more tree connect of a session."""
        tree = TreeConnect(session, rf"\\{self._address}\{share}")
        tree.connect(require_secure_negotiate=False)
        return tree

    def open(self, tree: TreeConnect, name: str, *, lease: bool = False, share: int = SHARED) -> Open:
        """Open a file for reading and writing, and make it where it is not there."""
        contexts: list[Any] = []
        if lease:
            asked = SMB2CreateRequestLease()
            asked["lease_key"] = uuid.uuid4().bytes
            asked["lease_state"] = LEASE_RWH
            context = SMB2CreateContextRequest()
            context["buffer_name"] = CreateContextName.SMB2_CREATE_REQUEST_LEASE
            context["buffer_data"] = asked
            contexts.append(context)
        file = Open(tree, name)
        file.create(
            ImpersonationLevel.Impersonation,
            READ_AND_WRITE,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            share,
            CreateDisposition.FILE_OPEN_IF,
            0,
            create_contexts=contexts,
            oplock_level=(
                RequestedOplockLevel.SMB2_OPLOCK_LEVEL_LEASE if lease else RequestedOplockLevel.SMB2_OPLOCK_LEVEL_NONE
            ),
        )
        self._opens.append(file)
        return file

    def lives(self) -> bool:
        """Whether the server still answers on this connection."""
        try:
            self._connection.echo(timeout=60)
        except (SMBException, OSError):
            return False
        return True

    def may_use(self, tree: TreeConnect) -> bool:
        """Whether a tree connect still works."""
        try:
            self.open(tree, "may-use").close()
        except (SMBException, OSError):
            return False
        return True

    def close(self) -> None:
        """Hang up, without logging off."""
        self._connection.disconnect(close=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()
