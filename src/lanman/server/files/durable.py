"""Durable handles: what a CREATE asks for, what it is given, and who may have what back (MS-SMB2 3.3.5.9.6, .7, .10,
.12); and opens by the GUIDs that clients make up for them.

The rules:

* An open is durable if its client may keep it open for no program, by a batch oplock or a lease with H. It is kept
  when its session ends without it, if it still may and is not being asked to give that up (`domain.Open.outlives`).
  Directories are never, nor is what guests and null sessions have open: who would reclaim it could not be told apart.
* Kept, it is an orphan: an open without session. Its share mode, its locks, its oplock or lease stay in force. It is
  closed when its time is over, or as soon as it could not be reclaimed any more: when its oplock is to be broken, or
  its lease loses H, or anything that nobody is there to be told of.
* Who may reclaim one, and what everybody else is answered, is told by `_CHECKS`, first to last. Access, share mode and
  disposition of a CREATE that reclaims count for nothing; with an oplock neither does its name.

Version 1 (DHnQ, DHnC) is that of all dialects, version 2 (DH2Q, DH2C) that of 3.x; before, nobody knows the contexts of
version 2, and they are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from lanman import codes
from lanman.domain import Open
from lanman.server.disk_effects import Path
from lanman.server.files.leases import Lease, LeaseRequest
from lanman.server.state import ServerSession, ServerTree, unpack_file_id
from lanman.smb2.constants import (
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_DHANDLE_FLAG_PERSISTENT,
    Dialect,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateDurableHandleReconnect,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleResponse,
    CreateDurableHandleResponseV2,
    CreateDurableHandleV2,
)

# How long their data is: no shorter and no longer.
_SIZES: Final = {
    SMB2_CREATE_DURABLE_HANDLE_REQUEST: 16,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT: 16,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2: 32,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2: 36,
}
_SECOND_VERSION: Final = (SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2)


class DurableRequest(NamedTuple):
    """That an open shall outlive its connection. Of version 1 nothing more is said.

    `timeout` is in milliseconds, 0 where it is left to the Server; `create_guid` is Open.CreateGuid, 16 bytes, empty
    with version 1. `persistent`: it shall outlive the Server too, which nothing here does.
    """

    version: int
    timeout: int = 0
    create_guid: bytes = b""
    persistent: bool = False


class Reconnect(NamedTuple):
    """Which open a client that has come again would have back. `create_guid` is None with version 1."""

    version: int
    persistent_id: int
    create_guid: bytes | None = None
    persistent: bool = False


def read_durable(contexts: Mapping[bytes, bytes], dialect: int) -> DurableRequest | Reconnect | None:
    """What the contexts of a CREATE ask for, by their names (2.2.13.2); None: nothing.

    Raises ValueError for contexts that cannot be together, or have not the size that they must have.
    """
    names = [
        name for name in _SIZES if name in contexts and (dialect >= Dialect.SMB_3_0 or name not in _SECOND_VERSION)
    ]
    for name in names:
        if len(contexts[name]) != _SIZES[name]:
            raise ValueError(f"{name!r} has {len(contexts[name])} bytes of data")
    if names == [SMB2_CREATE_DURABLE_HANDLE_REQUEST, SMB2_CREATE_DURABLE_HANDLE_RECONNECT]:
        names = names[1:]  # 3.3.5.9.7: the request is ignored
    if len(names) > 1:
        raise ValueError("contexts of durable handles that exclude one another")
    return _read(names[0], contexts[names[0]]) if names else None


def _read(name: bytes, data: bytes) -> DurableRequest | Reconnect:
    if name == SMB2_CREATE_DURABLE_HANDLE_REQUEST:
        return DurableRequest(1)
    if name == SMB2_CREATE_DURABLE_HANDLE_RECONNECT:
        return Reconnect(1, unpack_file_id(CreateDurableHandleReconnect.unpack(data).file_id)[0])
    if name == SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2:
        asked = CreateDurableHandleV2.unpack(data)
        persistent = bool(asked.flags & SMB2_DHANDLE_FLAG_PERSISTENT)
        return DurableRequest(2, asked.timeout, asked.create_guid, persistent)
    wanted = CreateDurableHandleReconnectV2.unpack(data)
    persistent = bool(wanted.flags & SMB2_DHANDLE_FLAG_PERSISTENT)
    return Reconnect(2, unpack_file_id(wanted.file_id)[0], wanted.create_guid, persistent)


# MS-SMB2 notes 335 and 344: for how many seconds an open is kept where the client says nothing, as Windows has it.
_KEPT_V1: Final = 120.0
_KEPT_V2: Final = 60.0


def timeout_of(asked: DurableRequest, most: float) -> float:
    """For how many seconds an open is kept that asks for this; `most` is the setting."""
    wanted = asked.timeout / 1000 if asked.timeout else _KEPT_V1 if asked.version == 1 else _KEPT_V2
    return min(wanted, most)


def answer(version: int, timeout: float) -> CreateContext:
    """The context of the response that grants it, for so many seconds (2.2.14.2.3, 2.2.14.2.12)."""
    if version == 1:
        return CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, CreateDurableHandleResponse().pack())
    granted = CreateDurableHandleResponseV2(round(timeout * 1000))
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, granted.pack())


class KeptOpen(Protocol):
    """An open that somebody would have back. `open.owner` is whose it is."""

    open: Open
    session: ServerSession | None
    client_guid: bytes
    create_guid: bytes
    lease: Lease | None
    access: int


class Reclaim(NamedTuple):
    """Somebody would have an open back: by this request, on this connection, as this user and on this tree connect.

    `lease` is what the request says of a lease, `name` its file's name as `leases` knows it (None: no file can have
    such a name). `user` is None for null sessions and guests.
    """

    asked: Reconnect
    client_guid: bytes
    lease: LeaseRequest | None
    name: tuple[str, Path] | None
    user: tuple[str, str] | None
    tree: ServerTree


class _Check(NamedTuple):
    """What keeps an open from being reclaimed, by requests of which versions, and what is answered."""

    fails: Callable[[KeptOpen, Reclaim], bool]
    status: int
    versions: tuple[int, ...] = (1, 2)


def _is_of_another_name(opened: KeptOpen, by: Reclaim) -> bool:
    return opened.lease is not None and not opened.lease.goes and opened.lease.name != by.name


_ABSENT: Final = codes.STATUS_OBJECT_NAME_NOT_FOUND
_NO_GUID: Final = bytes(16)

# 3.3.5.9.7 and 3.3.5.9.12; the last two are our own. The order is that of version 2 for both, as Windows has it:
# without a lease that there should be, the name does not matter (smb2.durable-open.reopen2-lease).
_CHECKS: Final = (
    _Check(lambda opened, by: opened.lease is not None and opened.client_guid != by.client_guid, _ABSENT),
    _Check(lambda opened, by: (opened.create_guid or _NO_GUID) != by.asked.create_guid, _ABSENT, versions=(2,)),
    _Check(lambda opened, by: not opened.open.durable, _ABSENT),
    _Check(lambda opened, by: opened.session is not None or not opened.open.preserved, _ABSENT),
    _Check(lambda opened, by: (opened.lease is None) != (by.lease is None), _ABSENT),
    _Check(lambda opened, by: not opened.open.reclaimable, _ABSENT),
    _Check(lambda opened, by: opened.lease is not None and opened.lease.key != _of(by).key, _ABSENT),
    _Check(lambda opened, by: opened.lease is not None and opened.lease.version != _of(by).version, _ABSENT),
    _Check(_is_of_another_name, codes.STATUS_INVALID_PARAMETER),
    _Check(lambda opened, by: by.asked.persistent, codes.STATUS_INVALID_PARAMETER),
    _Check(lambda opened, by: by.user is None or by.user != opened.open.owner, codes.STATUS_ACCESS_DENIED),
    _Check(lambda opened, by: opened.open.tree_connect.share is not by.tree.tree_connect.share, _ABSENT),
    _Check(lambda opened, by: bool(opened.access & ~by.tree.maximal_access), codes.STATUS_ACCESS_DENIED),
)


def _of(by: Reclaim) -> LeaseRequest:
    assert by.lease is not None, "a check before has seen that there is one"
    return by.lease


def refusal_of_reclaim(opened: KeptOpen, by: Reclaim) -> int:
    """Why an open is not to be had back: the status of the first check that fails; 0 if it is."""
    for check in _CHECKS:
        if by.asked.version in check.versions and check.fails(opened, by):
            return check.status
    return codes.STATUS_SUCCESS


class GuidedOpen(Protocol):
    """An open as far as it is found by GUIDs: those of its client (Open.ClientGuid) and its own (Open.CreateGuid), 16
    bytes each; the latter is empty where its CREATE gave none."""

    client_guid: bytes
    create_guid: bytes


Known = TypeVar("Known", bound=GuidedOpen)


class CreateGuids(Generic[Known]):
    """Opens by the GUID of their client and their own. An open is in it from its CREATE with DH2Q on until it is
    released, orphaned ones included. Where a client uses a GUID again, it means the newer open."""

    def __init__(self) -> None:
        self._opens: dict[tuple[bytes, bytes], Known] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._opens)

    def put(self, opened: Known) -> None:
        """It is open."""
        if opened.create_guid:
            self._opens[opened.client_guid, opened.create_guid] = opened

    def drop(self, opened: Known) -> None:
        """It is released."""
        key = opened.client_guid, opened.create_guid
        if self._opens.get(key) is opened:
            del self._opens[key]

    def find(self, client_guid: bytes, create_guid: bytes) -> Known | None:
        """The open that a client means by a GUID."""
        return self._opens.get((client_guid, create_guid))
