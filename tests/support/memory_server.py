"""A Server and its clients in memory: cores, dispatch, endpoint and service joined, without socket, file or clock.

    world = World()
    ann = world.connect().log_on("ann")
    ann.call(NetrSessionEnum(...))

`World.pump` carries bytes and performs effects until nothing moves any more. `World.advance` lets time pass. A
client's wire may be cut after a number of writes, to see what is left behind.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.domain import Event
from lanman.errors import StatusError
from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
from lanman.rpc.client import BindAccepted, FaultReceived, RpcClient
from lanman.rpc.client import ResponseReceived as CallAnswered
from lanman.rpc.ndr import Interface
from lanman.rpc.srvsvc import SRVSVC
from lanman.server.changes import FindFolder, KeepSettings, KeepShare
from lanman.server.core import Server
from lanman.server.effects import Effect, ListInterfaces, ReadAccounts
from lanman.server.resources import ResourceLimits
from lanman.settings import Configuration, RunningSettings
from lanman.smb2.client import ClientConnection, ResponseReceived
from lanman.smb2.connection import chain
from lanman.smb2.constants import (
    ALL_DIALECTS,
    FSCTL_PIPE_TRANSCEIVE,
    SMB2_FLAGS_REPLAY_OPERATION,
    SMB2_SESSION_FLAG_BINDING,
)
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    CreateRequest,
    IoctlRequest,
    LogoffRequest,
    Message,
    NetworkInterfaceInfo,
    ReadRequest,
    SessionSetupRequest,
    TreeConnectRequest,
    WriteRequest,
)
from lanman.smb2.session import Channel, SessionKeys
from lanman.wire import Data
from support.passwords import PASSWORD

START = 1000.0


class Cut(Exception):
    """The wire was cut."""


class World:
    """The Server. `admin` is an administrator; `ann` and `bob` are users. All have PASSWORD."""

    def __init__(
        self,
        configuration: Configuration | None = None,
        *,
        resources: ResourceLimits | None = None,
        **values: Any,
    ) -> None:
        self.now = START
        self.events: list[Event] = []
        self.accounts = Accounts()
        for name in ("admin", "ann", "bob"):
            self.accounts.add(name, PASSWORD)
        self.accounts.add_member("Administrators", "admin")
        self.settings = RunningSettings(replace(configuration or Configuration(), **{"name": "LANMAN"} | values))
        self.random = random.Random(1).randbytes
        self.server = Server(
            self.settings, self.random, lambda now: 1.7e9 + now, guid=b"\x11" * 16, resources=resources
        )
        self.service, self.endpoint, self.dispatch = self.server.service, self.server.endpoint, self.server.dispatch
        self.dispatch.scheduler.now = self.now
        self.dispatch.port = self.settings.current.port
        self.service.subscribe(self.events.append)
        self.clients: dict[int, Client] = {}
        self.interfaces: list[NetworkInterfaceInfo] = []  # what the Server tells of its addresses
        self.hold_effects = False
        self.fail_effects = 0
        self.writes = itertools.count(1)
        self.cut_after: int | None = None
        self._addresses = itertools.count(1)

    def set(self, **values: Any) -> None:
        """Put other values of [server], or whole other sections, in force."""
        self.settings.current = replace(self.settings.current, **values)

    def connect(self, *, address: str = "", dialects: Any = ALL_DIALECTS) -> Client:
        """A client that has negotiated. Raises ConnectionRefusedError if it has to wait."""
        client = self.arrive(address=address, dialects=dialects)
        if client.connection.waits:
            self.disconnect(client)
            raise ConnectionRefusedError(client.connection.address)
        client.negotiate()
        return client

    def arrive(self, *, address: str = "", dialects: Any = ALL_DIALECTS) -> Client:
        """A client that has connected, and has said nothing yet."""
        return Client(self, address or f"192.0.2.{next(self._addresses)}", dialects)

    def pump(self) -> None:
        """Carry everything everywhere until nothing moves."""
        self.dispatch.scheduler.now = self.now
        moving = True
        while moving:
            moving = self.dispatch.scheduler.busy
            self.dispatch.scheduler.refill()
            self.dispatch.scheduler.run(self.now)
            for connection in self.dispatch.ready():
                client = self.clients.get(connection.connection_id)
                if client is None:
                    continue
                for data in connection.data_to_send():
                    moving = True
                    client.deliver(self._written(data))
                connection.sent(0, self.now)
                if connection.finished is not None:
                    client.finished = connection.finished
                    self.disconnect(client)
            for client in list(self.clients.values()):
                if client.connection.waits:
                    continue  # what it has sent stays in the kernel
                for data in client.core.data_to_send():
                    moving = True
                    client.connection.receive_data(bytes(self._written(data)), self.now)
            if not self.hold_effects:
                for ticket, effect in self.dispatch.scheduler.effects():
                    moving = True
                    if self.fail_effects:
                        self.dispatch.scheduler.failed(ticket, self.fail_effects, self.now)
                    else:
                        self.perform(ticket, effect)
            if not moving and (deadline := self.dispatch.next_deadline()) is not None and deadline <= self.now:
                # What was put off until the next turn of the event loop.
                moving = True
                self.dispatch.expire(self.now)

    def perform(self, ticket: int, effect: Effect[Any]) -> None:
        """Perform what a handler or a call wants done: here there are the accounts, and no folders. Nothing is kept."""
        scheduler = self.dispatch.scheduler
        if isinstance(effect, ListInterfaces):
            scheduler.completed(ticket, self.interfaces, self.now)
        elif isinstance(effect, FindFolder):
            scheduler.failed(ticket, codes.STATUS_NOT_SUPPORTED, self.now)
        elif isinstance(effect, KeepSettings | KeepShare):
            scheduler.completed(ticket, None, self.now)
        else:
            assert isinstance(effect, ReadAccounts)
            scheduler.completed(ticket, self.accounts, self.now)

    def answer(self, response: Any) -> list[Any]:
        """What a management call answers that is answered at once, or as far as the effects are performed."""
        if not isinstance(response, Generator):
            return [response]
        answers: list[Any] = []
        self.dispatch.scheduler.start(response, answers.append)
        self.pump()
        return answers

    def _written(self, data: Any) -> bytes:
        if self.cut_after is not None and next(self.writes) > self.cut_after:
            raise Cut
        return bytes(data)

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.now + seconds
        while (deadline := self.dispatch.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.dispatch.expire(self.now)
            self.pump()
        self.now = end
        self.pump()

    def disconnect(self, client: Client) -> None:
        """The wire is cut."""
        self.clients.pop(client.connection.connection_id, None)
        client.connection.connection_lost(self.now)

    def users(self) -> list[str]:
        """Who has a session, in order."""
        return [session.user_name for session in self.service.sessions()]


class CountingConnection(ClientConnection):
    """A client's end that says in each request what its tests want of ChannelSequence and of the flag for replays."""

    channel_sequence = 0
    replay = False
    capabilities = 0  # that it has beside those of our client
    change: Callable[[bytes], bytes] | None = None  # what becomes of a request's body before it is signed

    def negotiate(self) -> int:
        """Send the NEGOTIATE, with the capabilities that are wanted."""
        number = super().negotiate()
        if self.capabilities:
            assert self._offer is not None
            self._offer.capabilities |= self.capabilities
            # 2.2.3: Capabilities, behind the header.
            offer = bytearray(self._offer_pdu)
            offer[72:76] = self._offer.capabilities.to_bytes(4, "little")
            self._offer_pdu = bytes(offer)
            self.data_to_send()
            self._send_frame([self._offer_pdu])
        return number

    def _request(self, message: Message, session_id: int, tree_id: int, flags: int) -> tuple[Header, list[Data]]:
        flags |= SMB2_FLAGS_REPLAY_OPERATION if self.replay else 0
        header, body = super()._request(message, session_id, tree_id, flags)
        header.status = self.channel_sequence
        if self.change is not None:
            body = [self.change(b"".join(bytes(part) for part in body))]
        return header, body

    def _protected(
        self,
        message: Message,
        session_id: int,
        tree_id: int,
        flags: int,
        channel: Channel | None,
        *,
        is_last: bool = True,
    ) -> list[Data]:
        header, body = self._request(message, session_id, tree_id, flags)
        if not is_last:
            chain(header, body)
        return [self._head(header, body, channel), *body]


class Client:
    """One connection, with one current session on it (`session_id`), tree connect and pipe."""

    def __init__(self, world: World, address: str, dialects: Any, guid: bytes = b"\x22" * 16) -> None:
        self.world = world
        connection = world.dispatch.connect(address, world.now)
        if connection is None:
            raise ConnectionRefusedError(address)
        self.connection = connection
        self.core = CountingConnection(client_guid=guid, random=world.random, dialects=dialects, multichannel=True)
        self.answers: dict[int, ResponseReceived] = {}
        self.pendings: list[int] = []
        self.order: list[int] = []
        self.finished = ""
        self.session_id = self.tree_id = 0
        self.file_id = b""
        self.rpc = RpcClient()
        world.clients[connection.connection_id] = self

    def deliver(self, data: bytes) -> None:
        for event in self.core.receive_data(data):
            self.received(event)

    def received(self, event: Any) -> None:
        if isinstance(event, ResponseReceived):
            self.answers[event.message_id] = event
            self.order.append(event.message_id)
        else:
            self.pendings.append(event.message_id)

    # --- requests ---

    def send(self, message: Message, *, session_id: int | None = None, tree_id: int | None = None) -> int:
        """Send a request, and carry it as far as it goes."""
        number = self.core.send(
            message,
            session_id=self.session_id if session_id is None else session_id,
            tree_id=self.tree_id if tree_id is None else tree_id,
        )
        self.world.pump()
        return number

    def ask(self, message: Message, **ids: int) -> ResponseReceived:
        """Send a request and have its answer, whatever it says."""
        return self.answers.pop(self.send(message, **ids))

    def want(self, message: Message, **ids: int) -> Any:
        """Send a request and have the message of its answer, which must be a success."""
        answer = self.ask(message, **ids)
        if answer.status != codes.STATUS_SUCCESS:
            raise StatusError(answer.status)
        return answer.message

    # --- a log-on and what follows it ---

    def negotiate(self) -> None:
        number = self.core.negotiate()
        self.world.pump()
        del self.answers[number]

    def log_on(
        self, user_name: str = "", password: str = PASSWORD, *, previous: int = 0, again: bool = False
    ) -> Client:
        """Log on, anonymously if there is no name. Raises StatusError. `again` renews the current session."""
        answer = self.log_on_step_by_step(user_name, password, previous=previous, again=again)()
        if answer.status != codes.STATUS_SUCCESS:
            raise StatusError(answer.status)
        return self

    def log_on_step_by_step(
        self,
        user_name: str = "",
        password: str = PASSWORD,
        *,
        previous: int = 0,
        again: bool = False,
        wait: bool = True,
    ) -> Callable[[], ResponseReceived]:
        """Make the first round trips of a log-on. What is returned makes the last one and gives its answer."""
        credentials = Credentials(user_name, password) if user_name else Credentials(anonymous=True)
        initiator = initiator_for(credentials, "server")
        session_id = self.session_id if again else 0
        answer = self.ask(_setup(initiator.step(None), previous), session_id=session_id, tree_id=0)
        assert answer.status == codes.STATUS_MORE_PROCESSING_REQUIRED, codes.ntstatus_name(answer.status)
        session_id = answer.header.session_id
        token: Any = initiator.step(bytes(answer.message.security_buffer))  # type: ignore[attr-defined]

        def finish() -> ResponseReceived:
            number = self.send(_setup(token, previous), session_id=session_id, tree_id=0)
            while wait and number not in self.answers:
                deadline = self.world.dispatch.next_deadline()
                assert deadline is not None
                self.world.advance(deadline - self.world.now)
            answer = self.answers.pop(number)
            if answer.status == codes.STATUS_SUCCESS and not again:
                self.core.establish_session(
                    session_id,
                    initiator.session_key,
                    final=number,
                    encrypt=self.world.settings.current.encryption == "required",
                    anonymous_or_guest=not user_name,
                )
                self.session_id = session_id
            return answer

        return finish

    def bind_to(self, first: Client) -> Client:
        """Make this connection one more channel of the session of another client, which may use its ids here too.
        Raises StatusError."""
        session = first.connection.channels[first.session_id].session
        keys = first.core._channels[first.session_id].keys
        answer = self.ask_to_bind(keys, session.user_name)
        if answer.status != codes.STATUS_SUCCESS:
            raise StatusError(answer.status)
        self.tree_id, self.file_id, self.rpc = first.tree_id, first.file_id, first.rpc
        return self

    def ask_to_bind(self, keys: SessionKeys, user_name: str, password: str = PASSWORD) -> ResponseReceived:
        """Log on once more, so that this connection is bound to the session that has these keys; the last answer."""
        self.core.start_binding(keys)
        initiator = initiator_for(Credentials(user_name, password), "server")
        answer = self.ask(_setup(initiator.step(None), 0, binding=True), session_id=keys.session_id, tree_id=0)
        if answer.status != codes.STATUS_MORE_PROCESSING_REQUIRED:
            return answer
        token: Any = initiator.step(bytes(answer.message.security_buffer))  # type: ignore[attr-defined]
        number = self.send(_setup(token, 0, binding=True), session_id=keys.session_id, tree_id=0)
        while number not in self.answers:
            assert self.connection.connection_id in self.world.clients, "the connection has ended"
            deadline = self.world.dispatch.next_deadline()
            assert deadline is not None
            self.world.advance(deadline - self.world.now)
        answer = self.answers.pop(number)
        if answer.status == codes.STATUS_SUCCESS:
            self.core.bind_channel(keys, initiator.session_key, final=number)
            self.session_id = keys.session_id
        return answer

    def tree_connect(self, path: str = r"\\server\IPC$") -> int:
        answer = self.ask(TreeConnectRequest(0, path), tree_id=0)
        if answer.status != codes.STATUS_SUCCESS:
            raise StatusError(answer.status)
        self.tree_id = answer.header.tree_id
        return self.tree_id

    def open_pipe(self, name: str = "srvsvc") -> bytes:
        self.file_id = bytes(self.want(CreateRequest(desired_access=0x0012019F, share_access=3, name=name)).file_id)
        return self.file_id

    def bind(self, interface: Interface = SRVSVC) -> Client:
        """Connect to IPC$, open the pipe, bind to the interface."""
        self.tree_connect()
        self.open_pipe(interface.name)
        self.rpc = RpcClient()
        (event,) = self.rpc.receive_data(self.transceive(self.rpc.bind(interface)))
        assert isinstance(event, BindAccepted), event
        return self

    def transceive(self, data: bytes, size: int = 65536) -> bytes:
        answer = self.ask(IoctlRequest(FSCTL_PIPE_TRANSCEIVE, self.file_id, data, max_output_response=size))
        if answer.status not in (codes.STATUS_SUCCESS, codes.STATUS_BUFFER_OVERFLOW):
            raise StatusError(answer.status)
        whole = bytes(answer.message.output)  # type: ignore[attr-defined]
        while answer.status == codes.STATUS_BUFFER_OVERFLOW:
            answer = self.ask(ReadRequest(length=size, file_id=self.file_id))
            whole += bytes(answer.message.data)  # type: ignore[attr-defined]
        return whole

    def write(self, data: bytes) -> None:
        self.want(WriteRequest(data, file_id=self.file_id))

    def read(self, size: int = 65536) -> ResponseReceived:
        return self.ask(ReadRequest(length=size, file_id=self.file_id))

    def call(self, request: Any, *, by_writing: bool = False) -> Any:
        """Make a call, as Samba does in one transaction, or as impacket does by writing and then reading."""
        pdus = self.rpc.call(request)
        answer: list[Any] = []
        if by_writing:
            for pdu in pdus:
                self.write(pdu)
        else:
            for pdu in pdus[:-1]:
                self.write(pdu)
            answer = self.rpc.receive_data(self.transceive(pdus[-1]))
        while not answer:
            read = self.read()
            if read.status not in (codes.STATUS_SUCCESS, codes.STATUS_BUFFER_OVERFLOW):
                raise StatusError(read.status)
            answer = self.rpc.receive_data(bytes(read.message.data))  # type: ignore[attr-defined]
        (event,) = answer
        if isinstance(event, FaultReceived):
            raise RuntimeError(f"fault {event.status:#x}")
        assert isinstance(event, CallAnswered)
        return request.answer(event.stub, event.ndr64)

    def log_off(self) -> None:
        self.want(LogoffRequest(), tree_id=0)
        self.core.forget_session(self.session_id)


def _setup(token: bytes | None, previous: int, *, binding: bool = False) -> SessionSetupRequest:
    return SessionSetupRequest(SMB2_SESSION_FLAG_BINDING if binding else 0, 1, 0, 0, token or b"", previous)
