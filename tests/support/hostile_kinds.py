"""What hostile connections do, as scripts without a socket: `KINDS` by their names. `hostile_crowd` runs thousands.

A script is a generator: it puts what is to be sent into its `Peer`, and each `yield` gives it the Server's next frame.
One that returns stays as it is, connected and silent; with `peer.again` it hangs up, and comes again. The bytes are
prepared once for all peers of a kind where that can be, so that a crowd costs the Server more than itself.

STRANGERS have no account. INSIDERS are logged on (as USER, on the share SHARE that has FOLDER and BIG), and sign.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Generator
from functools import cache
from itertools import count
from typing import Final

from lanman.auth.initiator import AnonymousInitiator
from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
from lanman.rpc import pdu as pdus
from lanman.rpc.client import RpcClient
from lanman.smb2.constants import (
    FILE_DIRECTORY_FILE,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_SHARED_LOCK,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_RESTART_SCANS,
    SMB2_WATCH_TREE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CreateContext,
    CreateDurableHandle,
    CreateLease,
    CreateRequest,
    CreateResponse,
    EchoRequest,
    IoctlRequest,
    LockElement,
    LockRequest,
    Message,
    NegotiateRequest,
    QueryDirectoryRequest,
    ReadRequest,
    SessionSetupRequest,
    SessionSetupResponse,
    TreeConnectRequest,
    WriteRequest,
)
from support.passwords import PASSWORD

USER: Final = "mallory"
SHARE: Final = "data"
FOLDER: Final = "many"
"""A folder with long names in it, for patterns that are dear."""
BIG: Final = "big"
"""A file of some MiB, to be read and not to be taken."""

ALL: Final = 0x001F01FF
READ: Final = 0x00120089

Script = Generator[None, bytes, None]

_HEADER: Final = struct.Struct("<4sHHIHHIIQIIQ16s")
_SIGNED: Final = 8


class Peer:
    """One hostile connection, as far as its bytes go. `number` tells it from others."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.out: list[bytes] = []
        self.pour = b""  # sent again and again, as far as the socket takes it
        self.reading = True
        self.again = False
        self.logged_on = False
        self.next_id = 0
        self.session_id = self.tree_id = 0
        self.key = b""

    def pdu(
        self, command: int, body: bytes, *, credits: int = 64, charge: int = 1, flags: int = 0, more: int = 0
    ) -> bytes:
        """A request of this session, signed if it has a key. `more`: the offset of the next one of its compound."""
        if self.key:
            flags |= _SIGNED
        fields = (b"\xfeSMB", 64, charge, 0, command, credits, flags, more, self.next_id, 0xFEFF, self.tree_id)
        self.next_id += max(charge, 1)
        packed = _HEADER.pack(*fields, self.session_id, bytes(16))
        if self.key:
            return packed[:48] + hmac.digest(self.key, packed + body, "sha256")[:16] + body
        return packed + body

    def send(self, command: int, body: bytes, **fields: int) -> None:
        """A request in a frame of its own."""
        self.frame(self.pdu(command, body, **fields))

    def frame(self, data: bytes) -> None:
        """A frame."""
        self.out.append(len(data).to_bytes(4, "big") + data)

    def ask(self, message: Message, **fields: int) -> None:
        """A request in a frame of its own, from its message."""
        self.send(message.command, message.pack(), **fields)

    def compound(self, commands: list[tuple[int, bytes]]) -> None:
        """Requests of one frame, which have nothing to do with each other."""
        parts = []
        for number, (command, body) in enumerate(commands):
            last = number == len(commands) - 1
            body += b"" if last else bytes(-len(body) % 8)
            parts.append(self.pdu(command, body, more=0 if last else 64 + len(body)))
        self.frame(b"".join(parts))


def status_of(frame: bytes) -> int:
    """The status of an answer."""
    return int.from_bytes(frame[8:12], "little")


def is_pending(frame: bytes) -> bool:
    """Whether it says that an answer is still to come (STATUS_PENDING)."""
    return status_of(frame) == 0x103


NEGOTIATE: Final = NegotiateRequest([0x0210], 1, 0, bytes(16), []).pack()
_GUID_AT: Final = 12
ECHO: Final = EchoRequest().pack()


def _setup(token: bytes) -> bytes:
    return SessionSetupRequest(0, 1, 0, 0, token, 0).pack()


@cache
def _first_token() -> bytes:
    return _setup(initiator_for(Credentials("ann", "wrong"), "server").step(None) or b"")


_guesses: dict[str, bytes] = {}


def _guess(user: str, challenge: bytes) -> bytes:
    """The proof of a wrong password. It is no worse for a challenge that it was not made for, so there is one."""
    if user not in _guesses:
        initiator = initiator_for(Credentials(user, "wrong"), "server")
        initiator.step(None)
        _guesses[user] = _setup(initiator.step(challenge) or b"")
    return _guesses[user]


def _token_of(frame: bytes) -> bytes:
    return bytes(SessionSetupResponse.unpack(memoryview(frame)).security_buffer)


def negotiate(peer: Peer) -> Script:
    """SMB 2.1, as a client of its own."""
    guid = peer.number.to_bytes(16, "little")
    peer.send(0, NEGOTIATE[:_GUID_AT] + guid + NEGOTIATE[_GUID_AT + 16 :], charge=0)
    yield


# --- strangers


def connected(peer: Peer) -> Script:
    """It says nothing, ever."""
    return
    yield


def hang_up(peer: Peer) -> Script:
    """It goes as soon as it has come."""
    peer.again = True
    return
    yield


def negotiated(peer: Peer) -> Script:
    """It says what everybody says first, and no more."""
    yield from negotiate(peer)


def half_a_log_on(peer: Peer) -> Script:
    """It asks for a challenge, and does not answer it."""
    yield from negotiate(peer)
    peer.send(1, _first_token())
    yield


def half_a_frame(peer: Peer) -> Script:
    """Half of a frame that is as long as one may be."""
    yield from negotiate(peer)
    peer.out.append((60_000).to_bytes(4, "big") + b"\xfeSMB" + bytes(30_000))


def garbage(peer: Peer) -> Script:
    """Bytes that mean nothing, some of them behind a right beginning."""
    noise = bytes((peer.number * 73 + at * at * 31) % 251 for at in range(300))
    if peer.number % 3 == 0:
        peer.out.append(noise)
    elif peer.number % 3 == 1:
        peer.frame(b"\xfeSMB" + noise)
    else:
        yield from negotiate(peer)
        peer.frame(peer.pdu(peer.number % 20, noise))
    yield


def oversized(peer: Peer) -> Script:
    """A frame of 16 MiB, which goes on and on."""
    peer.out.append(b"\0\xff\xff\xff\xfeSMB")
    peer.pour = bytes(65536)
    return
    yield


def endless_set_ups(peer: Peer) -> Script:
    """Log-ons that are begun, one after the other, on one connection."""
    yield from negotiate(peer)
    while True:
        peer.send(1, _first_token())
        yield


def wrong_passwords(peer: Peer, user: str = "ann") -> Script:
    """Guesses at somebody's password, as fast as they are answered."""
    yield from negotiate(peer)
    while True:
        peer.session_id = 0
        peer.send(1, _first_token())
        frame = yield
        peer.session_id = int.from_bytes(frame[40:48], "little")
        if not peer.session_id or status_of(frame) != 0xC0000016:
            peer.again = True
            return
        peer.send(1, _guess(user, _token_of(frame)))
        yield


def wrong_names(peer: Peer) -> Script:
    """Log-ons of people that there are not."""
    yield from wrong_passwords(peer, f"nobody {peer.number % 100}")


def long_tokens(peer: Peer) -> Script:
    """SPNEGO that says it is longer than it is, nested as deep as it fits, in frames as long as a stranger's may be."""
    yield from negotiate(peer)
    nested = b"".join(b"\x60\x84" + size.to_bytes(4, "big") for size in range(16_000, 100, -6))
    while True:
        peer.send(1, _setup(nested[: 15_000 + peer.number % 1000]))
        yield


def null_session(peer: Peer) -> Script:
    """A session without a name."""
    yield from negotiate(peer)
    initiator = AnonymousInitiator()
    token = initiator.step(None)
    while token is not None:
        peer.send(1, _setup(token))
        frame = yield
        peer.session_id = int.from_bytes(frame[40:48], "little")
        if status_of(frame) != 0xC0000016:
            return
        token = initiator.step(_token_of(frame))


def unread_echoes(peer: Peer) -> Script:
    """ECHO without end, and none of the answers read."""
    yield from null_session(peer)
    peer.reading = False
    for _ in range(24):
        peer.send(13, ECHO)


# --- insiders


def log_on(peer: Peer) -> Script:
    """A log-on as USER; the session's key signs from then on."""
    initiator = initiator_for(Credentials(USER, PASSWORD), "server")
    token = initiator.step(None)
    while token is not None:
        peer.send(1, _setup(token))
        frame = yield
        peer.session_id = int.from_bytes(frame[40:48], "little")
        if status_of(frame) not in (0, 0xC0000016):
            peer.again = True
            peer.session_id = 0
            return
        token = initiator.step(_token_of(frame))
    peer.key = initiator.session_key
    peer.logged_on = True


def inside(peer: Peer, share: str = SHARE) -> Generator[None, bytes, bool]:
    """A session on a share; False where the Server would have none of it."""
    yield from negotiate(peer)
    yield from log_on(peer)
    if not peer.logged_on:
        return False
    peer.ask(TreeConnectRequest(0, rf"\\server\{share}"), credits=512)
    frame = yield
    peer.tree_id = int.from_bytes(frame[36:40], "little")
    return True


def opened(peer: Peer, name: str, *, options: int = 0, access: int = READ) -> Generator[None, bytes, bytes]:
    """The FileId of a file that is there."""
    peer.ask(
        CreateRequest(desired_access=access, share_access=7, create_disposition=1, create_options=options, name=name)
    )
    frame = yield
    while is_pending(frame):
        frame = yield
    if status_of(frame):
        return b""
    return CreateResponse.unpack(memoryview(frame)).file_id


def idle(peer: Peer) -> Script:
    """It is logged on, and does nothing."""
    yield from inside(peer)


def repeat(peer: Peer, messages: Callable[[int], tuple[int, bytes]], *, at_once: int = 8) -> Script:
    """Requests without end, so many of them under way."""
    for number in count():
        peer.send(*messages(number))
        if number >= at_once:
            frame = yield
            while is_pending(frame):
                frame = yield


def prepared(message: Message) -> tuple[int, bytes]:
    """A request as `Peer.send` takes it."""
    return message.command, message.pack()


def ids_never_released(peer: Peer) -> Script:
    """One message id is left out for ever, and all others are used."""
    if not (yield from inside(peer)):
        return
    peer.next_id += 1
    for number in range(4 * 8192):
        peer.send(13, ECHO, credits=8192)
        if number > 8:
            yield


def abused_credits(peer: Peer) -> Script:
    """All credits are asked for, and then more are used than were given."""
    if not (yield from inside(peer)):
        return
    for _ in range(20):
        peer.send(13, ECHO, credits=65535)
        yield
    for _ in range(40):
        peer.send(13, ECHO, credits=65535, charge=1000)
    peer.again = True
    yield


def unread_answers(peer: Peer) -> Script:
    """A large file is asked for again and again, and nothing of it is read."""
    if not (yield from inside(peer)):
        return
    file_id = yield from opened(peer, BIG)
    body = ReadRequest(length=65536, file_id=file_id).pack()
    peer.reading = False
    for _ in range(200):
        peer.send(8, body)


def endless_fragments(peer: Peer) -> Script:
    """A call over a pipe whose fragments do not end, some of them empty."""
    if not (yield from inside(peer, "IPC$")):
        return
    file_id = yield from opened(peer, "srvsvc", access=0x0012019F)
    peer.ask(WriteRequest(RpcClient().bind(), file_id=file_id))
    yield
    size = (4000, 0, 64)[peer.number % 3]
    stub = bytes(8) + bytes(size)
    first = WriteRequest(pdus.build(0, 1, 2, stub), file_id=file_id)
    more = WriteRequest(pdus.build(0, 0, 2, stub) * (60 if size < 4000 else 4), file_id=file_id)
    bodies = [prepared(first), prepared(more)]
    yield from repeat(peer, lambda number: bodies[min(number, 1)])


def calls_never_read(peer: Peer) -> Script:
    """Calls over a pipe, whose answers nobody reads."""
    if not (yield from inside(peer, "IPC$")):
        return
    file_id = yield from opened(peer, "srvsvc", access=0x0012019F)
    rpc = RpcClient()
    peer.ask(WriteRequest(rpc.bind(), file_id=file_id))
    yield
    call = pdus.build(0, 3, 2, struct.pack("<IHH", 0, 0, 15) + bytes(64))
    body = prepared(WriteRequest(call * 32, file_id=file_id))
    yield from repeat(peer, lambda number: body)


def long_compounds(peer: Peer) -> Script:
    """Compounds of as many requests as are allowed, and then one of a thousand."""
    if not (yield from inside(peer)):
        return
    create = CreateRequest(desired_access=READ, share_access=7, create_disposition=1, name="nothing\\here")
    for _ in range(20):
        peer.compound([prepared(create)] * 30 + [(13, ECHO)] * 34)
        yield
    peer.send(13, ECHO, credits=8192)
    yield
    peer.compound([(13, ECHO)] * 1000)
    peer.again = True
    yield


def handles(peer: Peer) -> Script:
    """Files are opened, and not closed."""
    if not (yield from inside(peer)):
        return
    body = prepared(CreateRequest(desired_access=READ, share_access=7, create_disposition=1, name=BIG))
    yield from repeat(peer, lambda number: body)


def notifies(peer: Peer) -> Script:
    """Changes of a tree are waited for, as often as that can be asked."""
    if not (yield from inside(peer)):
        return
    while True:
        file_id = yield from opened(peer, FOLDER, options=FILE_DIRECTORY_FILE)
        if not file_id:
            return
        body = ChangeNotifyRequest(SMB2_WATCH_TREE, 65536, file_id, 0xFFF).pack()
        for _ in range(600):
            peer.send(15, body)
            yield


def locks(peer: Peer) -> Script:
    """Ranges of one file are locked, as many as a request may name at a time."""
    if not (yield from inside(peer)):
        return
    flags = SMB2_LOCKFLAG_SHARED_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    place = count(peer.number << 40, 2)
    while True:
        file_id = yield from opened(peer, BIG)
        if not file_id:
            return
        for _ in range(8):
            peer.ask(LockRequest(file_id, [LockElement(next(place), 1, flags) for _ in range(2700)]))
            frame = yield
            while is_pending(frame):
                frame = yield


def leases(peer: Peer) -> Script:
    """A lease with each file that is opened, each of a key of its own."""
    if not (yield from inside(peer)):
        return

    def create(number: int) -> tuple[int, bytes]:
        key = struct.pack("<QQ", peer.number, number)
        contexts = [CreateContext(b"RqLs", CreateLease(key, 1).pack())]
        request = CreateRequest(
            requested_oplock_level=SMB2_OPLOCK_LEVEL_LEASE,
            desired_access=READ,
            share_access=7,
            create_disposition=1,
            name=BIG,
            contexts=contexts,
        )
        return prepared(request)

    yield from repeat(peer, create)


def durable_handles(peer: Peer) -> Script:
    """Files that outlive the connection, which is cut; and again."""
    if not (yield from inside(peer)):
        return
    for number in range(100):
        key = struct.pack("<QQ", peer.number, number)
        request = CreateRequest(
            requested_oplock_level=SMB2_OPLOCK_LEVEL_LEASE,
            desired_access=READ,
            share_access=7,
            create_disposition=1,
            name=BIG,
            contexts=[
                CreateContext(b"RqLs", CreateLease(key, 3).pack()),
                CreateContext(b"DHnQ", CreateDurableHandle().pack()),
            ],
        )
        peer.ask(request)
        frame = yield
        while is_pending(frame):
            frame = yield
    peer.again = True


def wildcards(peer: Peer) -> Script:
    """Patterns that blow up, against long names, from the beginning each time."""
    if not (yield from inside(peer)):
        return
    file_id = yield from opened(peer, FOLDER, options=FILE_DIRECTORY_FILE)
    patterns = ["*a" * 120 + "*b", "<" * 250, ">" * 250, "*?" * 120 + '"', '<*?>"' * 50, '*?*?*?<<>>""' * 20]
    bodies = [
        prepared(QueryDirectoryRequest(37, SMB2_RESTART_SCANS, 0, file_id, pattern, 65536)) for pattern in patterns
    ]
    yield from repeat(peer, lambda number: bodies[number % len(bodies)])


def trees(peer: Peer) -> Script:
    """Tree connects without end."""
    if not (yield from inside(peer)):
        return
    body = prepared(TreeConnectRequest(0, rf"\\server\{SHARE}"))
    peer.tree_id = 0
    yield from repeat(peer, lambda number: body)


def sessions(peer: Peer) -> Script:
    """Sessions without end, on one connection."""
    yield from negotiate(peer)
    while True:
        peer.session_id, peer.key = 0, b""
        yield from log_on(peer)
        if peer.again:
            return


def controls(peer: Peer) -> Script:
    """Control codes that there are and that there are not, with as much as an answer may hold."""
    if not (yield from inside(peer)):
        return
    file_id = yield from opened(peer, BIG)
    bodies = [
        prepared(IoctlRequest(code, file_id, bytes(4000), max_output_response=65536))
        for code in (0x001401FC, 0x00140204, 0x001440F2, 0x00110018, 0x000900A4, 0x00060194, 0xFFFFFFFF)
    ]
    yield from repeat(peer, lambda number: bodies[number % len(bodies)])


STRANGERS: Final[dict[str, Callable[[Peer], Script]]] = {
    "connected": connected,
    "hang up": hang_up,
    "negotiated": negotiated,
    "half a log-on": half_a_log_on,
    "half a frame": half_a_frame,
    "garbage": garbage,
    "oversized": oversized,
    "endless set-ups": endless_set_ups,
    "wrong passwords": wrong_passwords,
    "wrong names": wrong_names,
    "long tokens": long_tokens,
    "null session": null_session,
    "unread echoes": unread_echoes,
}

INSIDERS: Final[dict[str, Callable[[Peer], Script]]] = {
    "idle": idle,
    "ids never released": ids_never_released,
    "abused credits": abused_credits,
    "unread answers": unread_answers,
    "endless fragments": endless_fragments,
    "calls never read": calls_never_read,
    "long compounds": long_compounds,
    "handles": handles,
    "notifies": notifies,
    "locks": locks,
    "leases": leases,
    "durable handles": durable_handles,
    "wildcards": wildcards,
    "trees": trees,
    "sessions": sessions,
    "controls": controls,
}

KINDS: Final[dict[str, Callable[[Peer], Script]]] = STRANGERS | INSIDERS
