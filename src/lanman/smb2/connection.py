"""The role-neutral half of an SMB 2/3 connection: frames, compounds, signatures, encryption, pre-authentication hash.

Rules that hold for both ends:

* Bytes go in by `receive_data` and come out of `data_to_send`, in frames of the direct TCP transport (MS-SMB2 2.1).
  Nothing here waits, reads a clock or draws random numbers.
* A frame holds one message or a compound of several, or a TRANSFORM_HEADER and the same, encrypted.
* After a RemoteProtocolError (MalformedMessage is one) the connection is dead: close the transport. Answers made before
  that may still be sent.
* Before the first log-on a frame is at most `FIRST_FRAME_LIMIT` bytes long, afterwards as long as NEGOTIATE allowed.
  An incomplete one takes the memory of what has arrived of it; from a quarter on its whole length is allocated
  (`receive_buffer`).
* A frame holds at most `MAX_COMPOUND` messages.
* A connection has channels: a session here is its keys and what must be done with them (`session.SessionKeys`), which
  all its channels share. Users, trees and opens are not known in this room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from lanman.errors import LocalProtocolError, MalformedMessage, ProtocolError, RemoteProtocolError
from lanman.few import NOTHING, without
from lanman.plain import dataclass
from lanman.smb2 import crypto
from lanman.smb2.constants import (
    AES_CMAC,
    CREDIT_SIZE,
    HMAC_SHA256,
    SMB2_CANCEL,
    SMB2_COMPRESSION_PROTOCOL_ID,
    SMB2_FLAGS_SIGNED,
    SMB2_GLOBAL_CAP_DIRECTORY_LEASING,
    SMB2_GLOBAL_CAP_LARGE_MTU,
    SMB2_GLOBAL_CAP_MULTI_CHANNEL,
    SMB2_TRANSFORM_PROTOCOL_ID,
    Dialect,
)
from lanman.smb2.header import HEADER_SIZE, TRANSFORM_SIZE, Header, TransformHeader
from lanman.smb2.messages import Message
from lanman.smb2.session import Channel, SessionKeys
from lanman.wire import Data

# A security buffer's length is 16 bits wide; the rest is for headers, contexts and the other messages of a compound.
FIRST_FRAME_LIMIT: Final = 0x10000 + 0x1000
# How many bytes longer than the largest payload a frame may be: headers, and the other messages of a compound.
_FRAME_EXTRA: Final = 0x10000
# The shortest header is that of SMB 1. Frames of nothing would be work without end: a kilobyte holds 256 of them.
_LEAST_FRAME: Final = 32
# The direct TCP transport has 24 bits for a length (2.1).
_LARGEST_FRAME: Final = 0xFFFFFF
# A frame of so many bytes is sent as one buffer: to copy it takes less than to count several.
_JOINED: Final = 16 * 1024
NO_PREAUTH: Final = bytes(64)
# The messages that one frame may hold. MS-SMB2 has no bound; clients compound ten at most (Linux' MAX_COMPOUND).
MAX_COMPOUND: Final = 64


@dataclass(slots=True)
class Negotiated:
    """What NEGOTIATE settled. `cipher` is 0 where nothing can be encrypted; sizes are bytes.

    `signing_required` is what the *peer* demands, in addition to what this side demands.
    """

    dialect: int
    max_transact_size: int
    max_read_size: int
    max_write_size: int
    server_guid: bytes
    security_mode: int  # the peer's
    capabilities: int  # the server's, from its NEGOTIATE response
    security_blob: bytes
    cipher: int
    signing_algorithm: int
    signing_required: bool
    system_time: int = 0  # the server's, a FILETIME; 0 where it does not tell it

    @property
    def multi_credit(self) -> bool:
        """Whether a request may cost more than one credit (Connection.SupportsMultiCredit)."""
        return self.dialect > Dialect.SMB_2_0_2 and bool(self.capabilities & SMB2_GLOBAL_CAP_LARGE_MTU)

    @property
    def multichannel(self) -> bool:
        """Whether sessions that are set up here may have further channels (Connection.SupportsMultiChannel)."""
        return bool(self.capabilities & SMB2_GLOBAL_CAP_MULTI_CHANNEL)

    @property
    def directory_leasing(self) -> bool:
        """Whether there are leases for directories (Connection.SupportsDirectoryLeasing)."""
        return bool(self.capabilities & SMB2_GLOBAL_CAP_DIRECTORY_LEASING)


class Event:
    """What a received frame meant. Its subclasses are in `client` and `server`."""

    __slots__ = ()


class Connection:
    """One end of an SMB 2/3 connection. ClientConnection and ServerConnection add what differs."""

    # Servers have thousands: objects of one class share the keys of their dicts up to 30 attributes and no further.
    __slots__ = (
        "_beginning",
        "_channels",
        "_dead",
        "_filled",
        "_frame",
        "_frame_limit",
        "_length",
        "_outgoing",
        "_preauth",
        "_random",
        "arrived",
        "negotiated",
        "unsent",
    )
    _is_server: ClassVar[bool]

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self.negotiated: Negotiated | None = None
        self._random = random
        self._channels: Mapping[int, Channel] = NOTHING  # by session id
        self._preauth = NO_PREAUTH
        self._outgoing: list[Data] | None = None
        self.unsent = 0  # bytes for `data_to_send`
        self._beginning = b""  # the first bytes of a frame's length field
        self.arrived: list[memoryview | MalformedMessage] = []  # complete frames, for `next_events`
        # An incomplete frame: the bytes that have arrived, and from a quarter of its length on a buffer for all of it.
        self._frame: bytearray | None = None
        self._filled = 0  # bytes of it that have arrived
        self._length = 0  # bytes that it will have
        self._frame_limit = FIRST_FRAME_LIMIT
        self._dead = False

    # --- bytes in, bytes out ---

    def receive_data(self, data: Data) -> list[Event]:
        """The events of the frames that are complete with `data`, in order. After a RemoteProtocolError it is dead."""
        events: list[Event] = []
        if not self.arrived and not self._dead and self._is_whole_frame(data):  # as most that arrives
            try:
                self._receive_frame(memoryview(bytes(data))[4:], events)
            except ProtocolError:
                self._dead = True
                raise
            return events
        self.take(data)
        while self.arrived:
            events += self.next_events()
        return events

    def take(self, data: Data) -> None:
        """Keep what the peer sent for `next_events`. `data` is copied, so its buffer may be reused. What follows on
        something that is no frame is not looked at."""
        if self._dead:
            raise RemoteProtocolError("the connection is dead")
        if self.arrived and isinstance(self.arrived[-1], MalformedMessage):
            return
        if self._is_whole_frame(data):
            self.arrived.append(memoryview(bytes(data))[4:])
            return
        try:
            self.arrived.extend(self._frames(data))
        except MalformedMessage as error:
            self.arrived.append(error)  # the frames before it are still valid

    def _is_whole_frame(self, data: Data) -> bool:
        """Whether what has come is exactly one frame."""
        length = len(data) - 4
        return (
            self._frame is None
            and not self._beginning
            and int.from_bytes(data[:4], "big") == length
            and _LEAST_FRAME <= length <= self._frame_limit
        )

    def receive_buffer(self) -> memoryview | None:
        """The buffer for the rest of an incomplete frame, for reading into without a copy: call `received` with the
        number of bytes put at its start, instead of `take`. None: there is no frame of which a quarter has arrived."""
        if self._frame is None or len(self._frame) < self._length:
            return None
        return memoryview(self._frame)[self._filled :]

    def received(self, count: int) -> None:
        """`count` bytes have been put at the start of `receive_buffer`."""
        if self._dead:
            raise RemoteProtocolError("the connection is dead")
        self._filled += count
        if (frame := self._whole_frame()) is not None:
            self.arrived.append(frame)

    @property
    def has_frames(self) -> bool:
        """Whether there are complete frames that `next_events` has not taken."""
        return bool(self.arrived)

    def next_events(self) -> list[Event]:
        """The events of the next complete frame. Raises RemoteProtocolError, as `receive_data` does."""
        if self._dead:
            raise RemoteProtocolError("the connection is dead")
        events: list[Event] = []
        frame = self.arrived.pop(0)
        try:
            if isinstance(frame, MalformedMessage):
                raise frame
            self._receive_frame(frame, events)
        except ProtocolError:
            self._dead = True
            self.arrived.clear()
            raise
        return events

    def data_to_send(self) -> list[Data]:
        """The buffers to send, for `transport.writelines()`. They are removed here."""
        outgoing, self._outgoing, self.unsent = self._outgoing, None, 0
        return outgoing or []

    def forget_session(self, session_id: int) -> None:
        """Drop this connection's channel of a session. A session that is not there is no error."""
        self._channels = without(self._channels, session_id)

    # --- frames ---

    def _frames(self, data: Data) -> Iterator[memoryview]:
        """The frames that are complete with `data`, without their 4 bytes of length."""
        view = memoryview(data)
        if self._frame is not None:
            missing = self._length - self._filled
            self._add(view[:missing])
            if (frame := self._whole_frame()) is None:
                return
            yield frame
            if len(view) == missing:
                return
            view = view[missing:]
        view = memoryview(self._beginning + bytes(view))
        self._beginning = b""
        at, size = 0, len(view)
        while at < size:
            if size - at < 4:
                self._beginning = bytes(view[at:])
                return
            length = int.from_bytes(view[at : at + 4], "big")
            if not _LEAST_FRAME <= length <= self._frame_limit:
                raise MalformedMessage(self._wrong_length(bytes(view[at : at + 8]), length))
            at += 4
            if length > size - at:
                self._frame, self._filled, self._length = bytearray(), 0, length
                self._add(view[at:])
                return
            yield view[at : at + length]
            at += length

    def _add(self, data: memoryview) -> None:
        """Add bytes to the incomplete frame. Its buffer is never more than four times what has arrived of it, because
        its length is only a claim of the peer."""
        assert self._frame is not None
        if len(self._frame) == self._length:
            self._frame[self._filled : self._filled + len(data)] = data
        else:
            self._frame += data
        self._filled += len(data)
        if self._length > len(self._frame) >= self._length / 4:
            whole = bytearray(self._length)
            whole[: self._filled] = self._frame
            self._frame = whole

    def _whole_frame(self) -> memoryview | None:
        """The incomplete frame, if it is complete now."""
        if self._frame is None or self._filled < self._length:
            return None
        frame, self._frame = self._frame, None
        return memoryview(frame)

    def _wrong_length(self, start: bytes, length: int) -> str:
        if start[0]:
            return "not a direct-TCP SMB frame"
        if length < _LEAST_FRAME:
            return f"a frame of {length} bytes, which holds no message"
        return f"a frame of {length} bytes, and {self._frame_limit} are allowed"

    def _receive_frame(self, frame: memoryview, events: list[Event]) -> None:
        raise NotImplementedError

    def _allow_large_frames(self) -> None:
        """Frames may be as long as the largest negotiated payload with its headers, now that there is a session."""
        if self.negotiated is not None:
            largest = max(
                self.negotiated.max_transact_size, self.negotiated.max_read_size, self.negotiated.max_write_size
            )
            self._frame_limit = min(max(largest, FIRST_FRAME_LIMIT) + _FRAME_EXTRA, _LARGEST_FRAME)

    def _send_frame(self, parts: Sequence[Data], encryptor: crypto.Encryptor | None = None) -> None:
        """Send a message or compound, given in parts; encrypted where there is an encryptor."""
        if encryptor is not None:
            # What a client sends is its user's, who may go on with it; what a server answers was made for that.
            parts = encryptor.encrypt_parts(parts, in_place=self._is_server)
        size = sum(map(len, parts))
        length = size.to_bytes(4, "big")
        self.unsent += size + 4
        outgoing = self._outgoing
        if outgoing is None:
            outgoing = self._outgoing = []
        if size <= _JOINED:
            outgoing.append(b"".join((length, *parts)))
        else:
            outgoing.append(length + parts[0])
            outgoing += parts[1:]

    # --- messages of a frame ---

    @staticmethod
    def _split(frame: memoryview) -> Iterable[tuple[Header, memoryview]]:
        """The messages of a compound (3.2.5.1.9, 3.3.5.2.7), each with its header."""
        header = Header.unpack(frame)
        return messages_behind(header, frame) if header.next_command else ((header, frame),)

    def _open(self, frame: memoryview) -> tuple[memoryview, Channel | None]:
        """A frame's messages; if they were encrypted, decrypted, and with them the channel of their session."""
        magic = bytes(frame[:4])
        if magic == SMB2_TRANSFORM_PROTOCOL_ID:
            return self._decrypt(frame)
        if magic == SMB2_COMPRESSION_PROTOCOL_ID:
            raise RemoteProtocolError("a compressed message, and compression was not negotiated")
        return frame, None

    def _decrypt(self, frame: memoryview) -> tuple[memoryview, Channel]:
        """3.2.5.1.1, 3.3.5.2.1.1: whatever is wrong with an encrypted message ends the connection."""
        header = TransformHeader.unpack(frame)
        channel = self._channels.get(header.session_id)
        if channel is None or not channel.keys.decryption_key:
            raise RemoteProtocolError("an encrypted message for a session that has no keys here")
        # In 3.1.1 the field is Flags and says Encrypted; in 3.0 and 3.0.2 it is the cipher, AES-128-CCM. Both are 1.
        if header.flags != 1 or header.original_message_size != len(frame) - TRANSFORM_SIZE:
            raise RemoteProtocolError("TRANSFORM_HEADER: flags or size are wrong")
        message = memoryview(crypto.decrypt(channel.keys.cipher, channel.keys.decryption_key, header, frame))
        if bytes(message[:4]) == SMB2_COMPRESSION_PROTOCOL_ID:
            raise RemoteProtocolError("a compressed message, and compression was not negotiated")
        return message, channel

    # --- signatures ---

    def _verify(
        self, key: bytes, message_id: int, pdu: memoryview, *, algorithm: int | None = None, cancel: bool = False
    ) -> bool:
        """Whether the peer signed this message with that key (3.1.5.1), and the connection's algorithm or another."""
        assert self.negotiated is not None
        nonce = crypto.signing_nonce(message_id, response=not self._is_server, cancel=cancel)
        used = self.negotiated.signing_algorithm if algorithm is None else algorithm
        return crypto.verify(used, key, pdu, nonce)

    def _sign(self, key: bytes, header: Header, body: list[Data], *, algorithm: int | None = None) -> bytes:
        """The header of a message to send, signed with that key (3.1.4.1), by the connection's algorithm or another."""
        assert self.negotiated is not None
        header.flags |= SMB2_FLAGS_SIGNED
        bare = header.pack()
        nonce = crypto.signing_nonce(header.message_id, response=self._is_server, cancel=header.command == SMB2_CANCEL)
        used = self.negotiated.signing_algorithm if algorithm is None else algorithm
        signature = crypto.sign(used, key, [bare, *body], nonce)
        return bare[:48] + signature

    # --- sessions ---

    def _first_channel(
        self, session_id: int, session_key: bytes, preauth: bytes, *, protected: bool, encrypt: bool
    ) -> Channel:
        """The channel of a new session, whose keys are derived now."""
        assert self.negotiated is not None
        keys = SessionKeys(
            session_id,
            self.negotiated.dialect,
            self.negotiated.signing_algorithm,
            multichannel=self.negotiated.multichannel,
        )
        if protected:
            keys.derive(session_key, preauth, self.negotiated.cipher, self._random, server=self._is_server)
            keys.encrypt = encrypt
        return Channel(keys, keys.signing_key)

    def _further_channel(self, keys: SessionKeys, session_key: bytes, preauth: bytes) -> Channel:
        """One more channel, of a session that another connection has established: it shares the session's keys and
        signs with a key of its own. Raises LocalProtocolError where this connection cannot be one."""
        if self.negotiated is None or keys.session_id in self._channels:
            raise LocalProtocolError("a channel is bound once, after NEGOTIATE")
        keys.check_binding(self.negotiated)
        return Channel(keys, crypto.signing_key(self.negotiated.dialect, session_key, preauth))


def messages_behind(header: Header, frame: memoryview) -> Iterator[tuple[Header, memoryview]]:
    """The messages of a frame, each with its header, of which that of the first has been read."""
    for _ in range(MAX_COMPOUND):
        following = header.next_command
        if not following:
            yield header, frame
            return
        if following % 8 or following < HEADER_SIZE or following + HEADER_SIZE > len(frame):
            raise MalformedMessage(f"NextCommand {following} is outside the frame or misaligned")
        yield header, frame[:following]
        frame = frame[following:]
        header = Header.unpack(frame)
    raise MalformedMessage(f"a compound of more than {MAX_COMPOUND} messages")


def default_signing_algorithm(dialect: int) -> int:
    """What signs where no algorithm was negotiated (3.1.4.1)."""
    return AES_CMAC if dialect >= Dialect.SMB_3_0 else HMAC_SHA256


def chain(header: Header, body: list[Data]) -> None:
    """Have another message follow this one in its compound (3.2.4.1.4, 3.3.4.1.3): pad it to a multiple of 8 bytes and
    set NextCommand. Before it is signed."""
    size = HEADER_SIZE + sum(map(len, body))
    body.append(bytes(-size % 8))
    header.next_command = size + -size % 8


def credits_for(message: Message) -> int:
    """The credit charge of a request where multi-credit requests are possible (3.1.5.2)."""
    size = message.payload_size()
    return (size - 1) // CREDIT_SIZE + 1 if size else 1
