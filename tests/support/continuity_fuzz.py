"""Conversations about leases, durable handles, repetitions and several connections, right and wrong, made from a seed.

A round is a Server in memory with a folder of a real disk, three clients of two ClientGuids, and CONVERSATIONS times a
few requests of one of them, whose bodies may be changed before they are signed; in between connections are lost and
bound, files and sessions ended, disks slow, and time passes. Whatever comes out of the Server but answers, or the end
of a connection for what its peer has said, is a finding; so is a rule that does not hold afterwards:

* No client may write into its cache of a file of which another one caches anything.
* An open is in one session or in none, and then it is kept for its client.
* What is outstanding is answered, and when all have left and time has passed nothing is left of anything.

Round N is the same whenever it is made: `round_of(N, folder)` alone reproduces a finding.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

from lanman.domain import Reason
from lanman.errors import LocalProtocolError, RemoteProtocolError, StatusError
from lanman.fscc.controls import FSCTL_CREATE_OR_GET_OBJECT_ID
from lanman.fscc.files import (
    FILE_DISPOSITION_INFORMATION,
    FILE_END_OF_FILE_INFORMATION,
    FILE_POSITION_INFORMATION,
    FILE_RENAME_INFORMATION,
)
from lanman.server.files.caching import W
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.files.table import FileState
from lanman.smb2.constants import (
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FSCTL_LMR_REQUEST_RESILIENCY,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_GLOBAL_CAP_DIRECTORY_LEASING,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateContext,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleV2,
    CreateLease,
    CreateLeaseV2,
    CreateRequest,
    CreateResponse,
    FlushRequest,
    IoctlRequest,
    LeaseBreak,
    LockElement,
    LockRequest,
    LogoffRequest,
    Message,
    OplockBreak,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient

CONVERSATIONS: Final = 50

_GUIDS: Final = (b"\x01" * 16, b"\x02" * 16)
_KEYS: Final = tuple(bytes([number]) * 16 for number in (0, 7, 8, 9))
_CREATES: Final = tuple(bytes([number]) * 16 for number in (0, 17, 18))
_NAMES: Final = ("a", "b", "d", r"d\a", "", "\0", "x" * 300)
_LEVELS: Final = (0, 1, 8, 9, 0xFF, 0xFF, 0xFF, 9, 7)
_APP_INSTANCE_ID: Final = bytes.fromhex("45bca66aefa7f74a9008fa462e144d74")
_STATES: Final = (0, 1, 2, 3, 4, 5, 6, 7, 7, 3, 0xFFFFFFFF)


class Round:
    """One round; `dice` decides everything."""

    def __init__(self, number: int, folder: Path) -> None:
        self.dice = random.Random(number)
        self.world = DiskWorld(folder, at_once=number % 2 == 0, multichannel=True, directory_leases=True)
        self.file_ids = [bytes(16), b"\xff" * 16]
        self.clients: list[FileClient] = []
        for _ in range(3):
            self.arrive()

    def arrive(self) -> None:
        """One more client that has logged on."""
        dice = self.dice
        dialect = dice.choice((0x0210, 0x0300, 0x0302, 0x0311, 0x0311))
        client = FileClient(self.world, guid=dice.choice(_GUIDS), dialects=(dialect,))
        client.core.capabilities = dice.choice((0, SMB2_GLOBAL_CAP_DIRECTORY_LEASING))
        client.negotiate()
        previous = dice.choice([0] * 9 + [each.session_id for each in self.clients])
        client.log_on(dice.choice(("ann", "ann", "bob")), previous=previous)
        client.tree_connect(r"\\server\share")
        self.clients.append(client)

    def leave(self, client: FileClient) -> None:
        """Its connection is lost."""
        self.clients.remove(client)
        self.world.disconnect(client)

    # --- what is said

    def data(self, valid: bytes) -> bytes:
        """The data of a context, mostly as it should be."""
        dice, changed = self.dice, bytearray(valid)
        kind = dice.randrange(12)
        if kind == 0:
            return bytes(changed[: dice.randrange(len(changed) + 1)])
        if kind == 1:
            return bytes(changed) + dice.randbytes(dice.randrange(1, 24))
        if kind == 2 and changed:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        return bytes(changed)

    def context(self) -> CreateContext:
        """One context of a CREATE."""
        dice = self.dice
        key, parent = dice.choice(_KEYS), dice.choice(_KEYS)
        state, guid, file_id = dice.choice(_STATES), dice.choice(_CREATES), dice.choice(self.file_ids)
        flags = dice.choice((0, 0, 2, 4, 0xFFFFFFFF))
        name, data = dice.choice(
            (
                (SMB2_CREATE_REQUEST_LEASE, CreateLease(key, state, flags).pack()),
                (
                    SMB2_CREATE_REQUEST_LEASE,
                    CreateLeaseV2(key, state, flags, parent_lease_key=parent, epoch=dice.randrange(65536)).pack(),
                ),
                (SMB2_CREATE_DURABLE_HANDLE_REQUEST, bytes(16)),
                (SMB2_CREATE_DURABLE_HANDLE_RECONNECT, file_id),
                (
                    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
                    CreateDurableHandleV2(dice.choice((0, 1, 30000, 0xFFFFFFFF)), flags, guid).pack(),
                ),
                (SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, CreateDurableHandleReconnectV2(file_id, guid, flags).pack()),
                (_APP_INSTANCE_ID, bytes(20)),
                (b"MxAc", b""),
                (b"QFid", b""),
                (dice.randbytes(dice.randrange(6)), dice.randbytes(dice.randrange(40))),
            )
        )
        return CreateContext(name, self.data(data))

    def create(self) -> CreateRequest:
        """A CREATE with up to four contexts."""
        dice = self.dice
        options = dice.choice((0, 0, 0, 0, FILE_DIRECTORY_FILE, FILE_DELETE_ON_CLOSE))
        return CreateRequest(
            requested_oplock_level=dice.choice(_LEVELS),
            desired_access=dice.choice((0x001F01FF, READ, 0x80, 0x02000000, 0x00010000)),
            share_access=dice.choice((7, 7, 7, 0, 1, 3)),
            create_disposition=dice.choice((1, 3, 3, 3, 2, 5, 0)),
            create_options=options,
            name="d" if options == FILE_DIRECTORY_FILE else dice.choice(_NAMES[: dice.choice((2, 2, 4, 7))]),
            contexts=[self.context() for _ in range(dice.choice((0, 1, 1, 2, 2, 4)))],
        )

    def other(self, client: FileClient) -> Message:
        """Anything else that can be asked of a file, mostly of one that its client has open."""
        dice = self.dice
        session = client.connection.channels.get(client.session_id)
        mine = [each.file_id for each in session.opens.values()] if session is not None else []
        file_id = dice.choice(mine if mine and dice.random() < 0.9 else self.file_ids)
        offset = dice.choice((0, 1, 1 << 63))
        lock = LockElement(offset, dice.choice((0, 1, 5)), dice.choice((1, 2, 4, 0x11, 0x12)))
        name = dice.choice(_NAMES[:4]).encode("utf-16-le")
        renaming = bytes(16) + len(name).to_bytes(4, "little") + name
        return dice.choice(
            (
                CloseRequest(dice.randrange(2), file_id),
                FlushRequest(file_id),
                ReadRequest(length=9, file_id=file_id),
                WriteRequest(b"data", dice.randrange(9), file_id=file_id),
                WriteRequest(b"data", dice.randrange(9), file_id=file_id),
                LockRequest(file_id, [lock] * dice.choice((1, 1, 3)), dice.choice((0, 0x11, 0x12, 0x401, 0xFFFFFFFF))),
                SetInfoRequest(1, FILE_DISPOSITION_INFORMATION, bytes([dice.randrange(2)]), file_id=file_id),
                SetInfoRequest(1, FILE_END_OF_FILE_INFORMATION, bytes(8), file_id=file_id),
                SetInfoRequest(1, FILE_POSITION_INFORMATION, bytes(8), file_id=file_id),
                SetInfoRequest(1, FILE_RENAME_INFORMATION, renaming, file_id=file_id),
                QueryInfoRequest(1, FILE_POSITION_INFORMATION, 100, file_id=file_id),
                IoctlRequest(FSCTL_LMR_REQUEST_RESILIENCY, file_id, self.data(bytes(8))),
                IoctlRequest(FSCTL_CREATE_OR_GET_OBJECT_ID, file_id, b"", max_output_response=64),
                ChangeNotifyRequest(file_id=file_id, output_buffer_length=100, completion_filter=0xFFF),
                LeaseBreak(dice.choice((0, 1)), dice.choice(_KEYS), dice.choice(_STATES)),
                LeaseBreak(0, dice.choice(_KEYS), dice.choice(_STATES)),
                OplockBreak(dice.choice((0, 1, 8, 9, 0xFF)), file_id),
            )
        )

    def change(self, body: bytes) -> bytes:
        """A body that is not quite what it was."""
        changed = bytearray(body)
        at = self.dice.randrange(len(changed))
        kind = self.dice.randrange(3)
        if kind == 0:
            changed[at] ^= 1 << self.dice.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = self.dice.choice((0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF)).to_bytes(4, "little")
        else:
            del changed[at:]
        return bytes(changed)

    # --- what happens

    def converse(self) -> None:
        """A few requests of one client, and something beside that."""
        dice = self.dice
        client = dice.choice(self.clients)
        sent: list[int] = []
        try:
            for _ in range(dice.randrange(1, 7)):
                core = client.core
                core.channel_sequence = dice.choice((0, 0, 0, 0, 1, 2, 0x8000, 0xFFFF))
                core.replay = dice.random() < 0.25
                core.change = self.change if dice.random() < 0.1 else None
                sent.append(client.send(self.create() if dice.random() < 0.5 else self.other(client)))
                self.learn(client, sent)
        except LocalProtocolError:
            pass  # it has no credits left
        except RemoteProtocolError:
            self.leave(client)
        else:
            core.channel_sequence, core.replay, core.change = 0, False, None
        self.intervene()
        for each in list(self.clients):
            if each.connection.connection_id not in self.world.clients:
                self.clients.remove(each)
            elif each.session_id not in each.connection.channels and dice.random() < 0.8:
                self.leave(each)
        while len(self.clients) < 2:
            self.arrive()
        self.check()

    def learn(self, client: FileClient, sent: list[int]) -> None:
        """FileIds that a client may name from now on."""
        answer = client.answers.get(sent[-1])
        if answer is not None and isinstance(answer.message, CreateResponse):
            self.file_ids.append(bytes(answer.message.file_id))
            del self.file_ids[2 : len(self.file_ids) - 12]

    def intervene(self) -> None:
        """What others do."""
        dice, world = self.dice, self.world
        what = dice.randrange(14)
        client = dice.choice(self.clients) if self.clients else None
        opens, sessions = world.service.opens(), world.service.sessions()
        if what == 0 and client is not None:
            self.leave(client)
        elif what == 1:
            self.arrive()
        elif what == 2 and client is not None:
            self.bind(client)
        elif what == 3 and opens:
            world.service.close_open(dice.choice(opens), Reason.DELETED)
        elif what == 4 and sessions and dice.random() < 0.3:
            world.service.close_session(dice.choice(sessions), Reason.DELETED)
        elif what == 5:
            world.advance(dice.choice((0.0, 1.0, BREAK_TIMEOUT, 61.0)))
        elif what == 6:
            kind = dice.choice(("OpenFile", "OverwriteFile", "WriteFile", "QueryFile", "SetFile", "RenameFile"))
            world.held = lambda effect: type(effect).__name__ == kind
        elif what == 7 and client is not None and client.pendings:
            client.core.cancel(dice.choice(client.pendings))
        elif what == 8 and client is not None and dice.random() < 0.3:
            with_answer = client.send(LogoffRequest(), tree_id=0)
            client.answers.pop(with_answer, None)
            self.leave(client)
        elif what > 10:
            world.let_go()
        world.pump()

    def bind(self, first: FileClient) -> None:
        """One more connection of a client's session."""
        if first.session_id not in first.connection.channels:
            return
        assert first.core.negotiated is not None
        dialect, guid = first.core.negotiated.dialect, first.core._client_guid
        client = FileClient(self.world, guid=guid, dialects=(dialect,))
        client.negotiate()
        try:
            client.bind_to(first)
        except (StatusError, LocalProtocolError):
            self.world.disconnect(client)  # before 3.0
        else:
            self.clients.append(client)

    # --- what holds

    def check(self) -> None:
        """The rules at the top."""
        for state in self.world.dispatch.files._states.values():
            self.check_caching(state)
        sessions = {id(each): each for each in self.world.dispatch.sessions}
        for server_open in self.world.dispatch.sessions._opens.values():
            assert server_open.channel_sequence.outstanding >= 0
            if server_open.session is None:
                assert server_open.open.preserved, "an open without session is kept for its client"
                assert not any(server_open in each.opens.values() for each in sessions.values())
            else:
                assert not server_open.open.preserved
                assert server_open.session.opens[server_open.volatile_id] is server_open
                assert sum(server_open in each.opens.values() for each in sessions.values()) == 1

    @staticmethod
    def check_caching(state: FileState) -> None:
        """Nobody caches beside who writes into a cache."""
        holders = [holder for holders in state.caching._kinds.values() for holder in holders]
        assert not any(each.caching.rights & W for each in holders) or len(holders) == 1, holders

    def end(self) -> None:
        """All leave."""
        world = self.world
        world.let_go()
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.let_go()
        world.advance(100_000)
        world.let_go()
        dispatch = world.dispatch
        left: tuple[Any, ...] = (
            world.service.opens(),
            world.service.sessions(),
            dispatch.files._states,
            dispatch.files._names,
            dispatch.files.creating,
            dispatch.leases._clients,
            dispatch.leases._directories,
            dispatch.leases._told,
            dispatch.connections,
            dispatch.scheduler._outliving,
        )
        assert not any(left), left
        assert len(world.files) == 0
        assert len(dispatch.files.create_guids) == 0
        assert dispatch.next_deadline() is None
        world.files.close_all()


def round_of(number: int, folder: Path) -> None:
    """Make a round in a folder that is there for it."""
    one = Round(number, folder)
    for _ in range(CONVERSATIONS):
        one.converse()
    one.end()
