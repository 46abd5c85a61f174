"""Durable handles: what a CREATE asks for (MS-SMB2 3.3.5.9.6, .7, .10, .12), and opens by the GUIDs that clients make
up for them.

Version 1 (DHnQ, DHnC) is that of all dialects, version 2 (DH2Q, DH2C) that of 3.x; before, nobody knows the contexts of
version 2, and they are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from lanman.server.state import unpack_file_id
from lanman.smb2.constants import (
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_DHANDLE_FLAG_PERSISTENT,
    Dialect,
)
from lanman.smb2.messages import CreateDurableHandleReconnect, CreateDurableHandleReconnectV2, CreateDurableHandleV2

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
