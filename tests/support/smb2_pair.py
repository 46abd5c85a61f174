"""A client core and a server core joined in memory, byte by byte if need be, and a wire that can be cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lanman.codes import STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS
from lanman.errors import LocalProtocolError
from lanman.smb2.client import ClientConnection, ResponseReceived
from lanman.smb2.connection import Connection, Event, chain
from lanman.smb2.constants import RELATED_SESSION_ID, RELATED_TREE_ID, SMB2_FLAGS_RELATED_OPERATIONS
from lanman.smb2.messages import Message, SessionSetupRequest, SessionSetupResponse
from lanman.smb2.server import Request, RequestsReceived, Response, ServerConnection, Terms
from lanman.smb2.session import SessionKeys
from lanman.wire import Data

GUID = bytes(range(16))
KEY = bytes(range(100, 116))
BLOB = b"`\x0bhint of GSS"


class CutWire(Exception):
    """The wire is cut: nothing more goes either way."""


def counted_random() -> Callable[[int], bytes]:
    """Bytes that are different at every call and the same in every run."""
    calls = 0

    def random(size: int) -> bytes:
        nonlocal calls
        calls += 1
        return (calls.to_bytes(4, "big") * (size // 4 + 1))[:size]

    return random


@dataclass
class Wire:
    """What lies between the two: how bytes are chunked, and after how many writes the wire is cut (None: never)."""

    chunks: Iterable[int] = ()
    cut_after: int | None = None
    writes: int = 0
    to_server: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)

    def carry(self, sender: Connection, receiver: Connection, record: bytearray) -> list[Event]:
        """Take what one end has to send to the other. Raises CutWire when its time has come."""
        data = b"".join(bytes(each) for each in sender.data_to_send())
        if not data:
            return []
        if self.cut_after is not None and self.writes >= self.cut_after:
            raise CutWire
        self.writes += 1
        record += data
        events: list[Event] = []
        for chunk in chunked(data, self.chunks):
            events += receiver.receive_data(chunk)
        return events


def chunked(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """`data` in pieces of these sizes, and the rest."""
    at = 0
    for size in sizes:
        if at < len(data):
            yield data[at : at + size]
            at += size
    if at < len(data):
        yield data[at:]


def begun(server: Connection, data: bytes) -> list[Event]:
    """What arrives with `data`, each request judged as if it ran at once."""
    return _begin(server, server.receive_data(data))


def _begin(server: Connection, events: list[Event], binding: SessionKeys | None = None) -> list[Event]:
    for event in events:
        if isinstance(event, RequestsReceived) and isinstance(server, ServerConnection):
            for request in event.requests:
                server.begin(request, binding=binding)
    return events


def feed(
    client: ClientConnection,
    server: ServerConnection,
    answer: Callable[[ServerConnection, Event], None] | None = None,
    wire: Wire | None = None,
    *,
    binding: SessionKeys | None = None,
) -> list[Event]:
    """Carry bytes both ways until there are none; what the client saw. `answer` is what the server does with events,
    `binding` the session that the connection may be bound to."""
    wire = wire if wire is not None else Wire()
    seen: list[Event] = []
    while True:
        arrived = wire.carry(client, server, wire.to_server)
        for event in _begin(server, arrived, binding):
            if answer is not None:
                answer(server, event)
        back = wire.carry(server, client, wire.to_client)
        seen += back
        if not arrived and not back:
            return seen


class Answering:
    """A server's whole policy in a few lines: log-ons of two round trips, and for everything else what `reply` says.

    `reply(request)` gives a message, or (status, message). The events are kept in `events`.
    """

    def __init__(
        self,
        reply: Callable[[Request], Any] | None = None,
        *,
        key: bytes = KEY,
        sign: bool = True,
        encrypt: bool = False,
        status: int = STATUS_SUCCESS,
    ) -> None:
        self.reply = reply
        self.key = key
        self.sign = sign
        self.encrypt = encrypt
        self.status = status
        self.events: list[Event] = []
        self.next_session_id = 0x1000

    def __call__(self, server: ServerConnection, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, RequestsReceived):
            server.respond([self.one(server, request) for request in event.requests])

    def one(self, server: ServerConnection, request: Request) -> Response:
        if server.begin(request):
            return Response(request, request.status)
        if isinstance(request.message, SessionSetupRequest):
            return self._log_on(server, request, request.message)
        said = self.reply(request) if self.reply is not None else None
        if isinstance(said, tuple):
            return Response(request, said[0], said[1])
        return Response(request, STATUS_SUCCESS, said)

    def _log_on(self, server: ServerConnection, request: Request, message: SessionSetupRequest) -> Response:
        if message.security_buffer == b"first":
            session_id = request.session_id
            if not session_id:
                self.next_session_id += 1
                session_id = self.next_session_id
            answer = SessionSetupResponse(0, b"challenge")
            return Response(request, STATUS_MORE_PROCESSING_REQUIRED, answer, session_id=session_id)
        if self.status == STATUS_SUCCESS:
            server.establish_session(
                request.session_id, self.key, request=request, sign=self.sign, encrypt=self.encrypt
            )
            return Response(request, self.status, SessionSetupResponse(4 if self.encrypt else 0, b"done"))
        return Response(request, self.status)


def send_compound(
    client: ClientConnection, messages: Sequence[Message], *, session_id: int, tree_id: int = 0, related: bool = True
) -> list[int]:
    """Send requests in one frame, as other clients do (3.2.4.1.4); their message ids.

    Where related, ANY_FILE_ID is the CREATE's.
    """
    channel = client._ready(session_id)
    if not messages or sum(map(client.charge, messages)) > client.credits:
        raise LocalProtocolError("a compound needs messages, and credits for all of them")
    frame: list[Data] = []
    message_ids: list[int] = []
    for number, message in enumerate(messages):
        flags = SMB2_FLAGS_RELATED_OPERATIONS if related and number else 0
        header, body = client._request(message, session_id, tree_id, flags)
        message_ids.append(header.message_id)
        if flags:
            header.session_id, header.tree_id = RELATED_SESSION_ID, RELATED_TREE_ID
        if number < len(messages) - 1:
            chain(header, body)
        frame += [client._head(header, body, channel), *body]
    client._send_on(channel, frame)
    return message_ids


def make_pair(
    *, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None
) -> tuple[ClientConnection, ServerConnection]:
    """Two fresh cores."""
    return (
        ClientConnection(client_guid=GUID, random=counted_random(), **(client or {})),
        ServerConnection(Terms(server_guid=GUID[::-1], security_blob=BLOB, **(server or {})), counted_random()),
    )


def answers(events: Sequence[Event]) -> list[ResponseReceived]:
    """The answers among events."""
    return [event for event in events if isinstance(event, ResponseReceived)]


def ask(
    client: ClientConnection,
    server: ServerConnection,
    answer: Callable[[ServerConnection, Event], None],
    message: Message,
    *,
    session_id: int = 0,
    tree_id: int = 0,
    wire: Wire | None = None,
    binding: SessionKeys | None = None,
) -> ResponseReceived:
    """One request and its answer."""
    message_id = client.send(message, session_id=session_id, tree_id=tree_id)
    found = [
        each for each in answers(feed(client, server, answer, wire, binding=binding)) if each.message_id == message_id
    ]
    assert len(found) == 1
    return found[0]


def log_on(
    client: ClientConnection,
    server: ServerConnection,
    answer: Answering,
    wire: Wire | None = None,
    *,
    session_id: int = 0,
    **options: Any,
) -> int:
    """A log-on in two round trips; the session's id. The client must have negotiated."""
    first = SessionSetupRequest(0, 2, 0, 0, b"first")
    response = ask(client, server, answer, first, session_id=session_id, wire=wire)
    assert response.status == STATUS_MORE_PROCESSING_REQUIRED
    session_id = response.header.session_id
    last = SessionSetupRequest(0, 2, 0, 0, b"last")
    response = ask(client, server, answer, last, session_id=session_id, wire=wire)
    assert response.status == STATUS_SUCCESS, hex(response.status)
    client.establish_session(session_id, answer.key, final=response.message_id, **options)
    return session_id


def connected(
    answer: Answering,
    wire: Wire | None = None,
    *,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[ClientConnection, ServerConnection, int]:
    """Two cores that have negotiated and logged on; the session's id."""
    ours, theirs = make_pair(client=client, server=server)
    ours.negotiate()
    feed(ours, theirs, answer, wire)
    assert ours.negotiated is not None
    return ours, theirs, log_on(ours, theirs, answer, wire, **options)
