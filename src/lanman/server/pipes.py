r"""Named pipes: what stands behind `\PIPE\srvsvc` and `\PIPE\svcctl`, and how SMB2 requests read and write it.

The rules:

* A pipe is read message by message, a PDU being one: a read that is too short for it gets its beginning with
  STATUS_BUFFER_OVERFLOW, and the next read the rest (MS-FSCC 2.3). Reads that find no message wait, and are answered in
  their order.
* A WRITE hands its bytes to the `Association`, which answers the first call before the WRITE is answered, if that
  waits for nothing. Later pieces of work are run by the scheduler, through `NamedPipe.run_piece` and `PipeOpen`.
* While a call is made on it (`ServerSession.speaking`) a pipe is not released, even if the call ends its own session:
  the answer is still to be read then (`closing`). It is the last one; no further piece is run.
* What a pipe keeps is bounded: one whose client does not read is broken, and a connection whose pipes keep too much is
  refused further calls (`may_ask_pipes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Final

from lanman import codes
from lanman.domain import Open
from lanman.errors import RemoteProtocolError
from lanman.fscc.attributes import FILE_ATTRIBUTE_NORMAL
from lanman.fscc.controls import PipePeek
from lanman.fscc.files import (
    FILE_BASIC_INFORMATION,
    FILE_INTERNAL_INFORMATION,
    FILE_NETWORK_OPEN_INFORMATION,
    FILE_PIPE_CONNECTED_STATE,
    FILE_PIPE_FULL_DUPLEX,
    FILE_PIPE_INFORMATION,
    FILE_PIPE_LOCAL_INFORMATION,
    FILE_PIPE_MESSAGE_MODE,
    FILE_STANDARD_INFORMATION,
    FileBasicInformation,
    FileInternalInformation,
    FileNetworkOpenInformation,
    FilePipeInformation,
    FilePipeLocalInformation,
    FileStandardInformation,
)
from lanman.plain import dataclass
from lanman.rpc.ndr import Interface
from lanman.server.association import Association, Endpoint
from lanman.server.effects import Outcome, Reply, Wait, Waiter, Work
from lanman.server.rights import Caller
from lanman.server.scheduler import Scheduler
from lanman.server.state import Context, ServerOpen, ServerSession, ServerTree
from lanman.smb2.constants import (
    FILE_READ_DATA,
    FILE_WRITE_DATA,
    FSCTL_PIPE_PEEK,
    FSCTL_PIPE_TRANSCEIVE,
    SMB2_0_INFO_FILE,
)
from lanman.smb2.messages import (
    CloseRequest,
    CloseResponse,
    FlushRequest,
    FlushResponse,
    IoctlRequest,
    IoctlResponse,
    QueryInfoRequest,
    QueryInfoResponse,
    ReadRequest,
    ReadResponse,
    SetInfoRequest,
    SetInfoResponse,
    WriteRequest,
    WriteResponse,
)
from lanman.wire import Structure

# Bytes of answers that are not read yet, beyond which no more questions are taken. One answer may be longer.
MAX_UNREAD: Final = 1024 * 1024

PIPE_QUOTA: Final = 4096  # what Windows gives as the size of its RPC pipes


def _ignore() -> None:
    """No request waits for a message."""


def _ignore_count(difference: int) -> None:
    """The bytes are counted nowhere."""


class PipeBroken(RemoteProtocolError):
    """What was written to the pipe is not DCE/RPC, or its client does not read: nothing is answered any more."""


class NamedPipe:
    """One instance of a pipe in message mode, its client's end.

    `on_message` is called when a message can be read that came after its `write` had returned. `on_kept` is told how
    many bytes more, or less, are kept: those that wait to be read, and those of calls that have not been answered.
    `run_piece` runs each piece of work that no `write` does, as `Association.run_piece`.
    """

    def __init__(self, association: Association) -> None:
        self.association = association
        association.on_answers = self._answered
        association.run_piece = self._do_piece
        self.on_message: Callable[[], None] = _ignore
        self.on_kept: Callable[[int], None] = _ignore_count
        self.run_piece: Callable[[Callable[[], None]], None] = lambda piece: piece()
        self._unread: list[memoryview] = []
        self._unread_size = 0
        self._held = 0
        self.broken = False

    @property
    def unread(self) -> int:
        """Bytes waiting to be read (FILE_STANDARD_INFORMATION's EndOfFile of a pipe)."""
        return self._unread_size

    def write(self, data: bytes) -> None:
        """Give bytes to the endpoint. Answers that do not wait can be read when this returns. Raises PipeBroken."""
        if self._unread_size > MAX_UNREAD:
            self.broken = True
        if self.broken:
            raise PipeBroken("the pipe is broken")
        try:
            answers = self.association.receive_data(data)
        except RemoteProtocolError as error:
            self.broken = True
            raise PipeBroken(str(error)) from error
        finally:
            self._count_held()
        self._append(answers)

    def _do_piece(self, piece: Callable[[], None]) -> None:
        if self._unread_size > MAX_UNREAD:
            self.broken = True
            self.on_message()
        elif not self.broken:
            self.run_piece(piece)
            self._count_held()

    def _append(self, answers: Sequence[bytes]) -> None:
        for answer in answers:
            self._unread.append(memoryview(answer))
            self._count(len(answer))

    def _answered(self, answers: Sequence[bytes]) -> None:
        """Answers have come that were still to come."""
        self._append(answers)
        self._count_held()
        self.on_message()

    def close(self) -> None:
        """It is not read or written any more. What holds its two ends together is undone, so that both are freed."""
        self.on_message = _ignore
        self.run_piece = lambda piece: None
        self.association.close()
        self._unread.clear()
        self._count(-self._unread_size)
        self.on_kept(-self._held)
        self._held = 0
        self.on_kept = _ignore_count

    def _count(self, difference: int) -> None:
        self._unread_size += difference
        self.on_kept(difference)

    def _count_held(self) -> None:
        held = self.association.held
        self.on_kept(held - self._held)
        self._held = held

    def read(self, length: int) -> tuple[memoryview, bool] | None:
        """The next message, or `length` bytes of it and whether there is more of it. None: there is none."""
        if not self._unread:
            return None
        message = self._unread.pop(0)
        data, rest = message[:length], message[length:]
        if rest:
            self._unread.insert(0, rest)
        self._count(-len(data))
        return data, bool(rest)


class Pipes:
    """The pipes that this Server has, by name: an interface, and what gives the endpoint of one more instance."""

    def __init__(self, endpoints: Mapping[str, tuple[Interface, Callable[[], Endpoint]]]) -> None:
        self._endpoints = {name.lower(): endpoint for name, endpoint in endpoints.items()}

    def find(self, name: str) -> Callable[[Caller, Scheduler], NamedPipe] | None:
        """What opens the pipe of that (canonical) name for a caller."""
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return None
        interface, new = endpoint
        return lambda caller, scheduler: NamedPipe(Association([(interface, new())], caller, scheduler))


def canonical_pipe_name(name: str) -> str:
    r"""`srvsvc` for `srvsvc`, `\srvsvc`, `\PIPE\srvsvc`, `pipe\SRVSVC`: clients write all of them."""
    bare = name.lower().lstrip("\\")
    return bare.removeprefix("pipe\\").lstrip("\\")


@dataclass(slots=True, eq=False)
class _Reader:
    """A request that waits for a message: a READ, or the reading half of a transaction."""

    length: int
    transaction: IoctlRequest | None = None
    waiter: Waiter[Reply] = field(default_factory=Waiter)

    def reply(self, data: memoryview, more: bool) -> Reply:
        """Its answer, with a message or the part of it that fits."""
        # 3.3.5.12: the part of a message that fits is data and no error; the client reads on.
        status = codes.STATUS_BUFFER_OVERFLOW if more else codes.STATUS_SUCCESS
        if self.transaction is None:
            return Reply(status, ReadResponse(data=data))
        return Reply(status, ioctl_response(self.transaction, data))


def ioctl_response(request: IoctlRequest, output: bytes | memoryview = b"") -> IoctlResponse:
    """The answer to a control code, which repeats it and the FileId (MS-SMB2 2.2.32)."""
    return IoctlResponse(ctl_code=request.ctl_code, file_id=request.file_id, output=output)


class PipeOpen(ServerOpen):
    """An open pipe. Reads that find no message wait (MS-SMB2 3.3.5.12), and are answered in their order. `give_back` is
    called once, when it is closed."""

    def __init__(
        self,
        open_: Open,
        session: ServerSession,
        tree: ServerTree,
        pipe: NamedPipe,
        give_back: Callable[[], None] = _ignore,
    ) -> None:
        super().__init__(open_, session, tree)
        self._give_back = give_back
        self._session = session  # a pipe is never preserved
        self._pipe = pipe
        pipe.on_message = self._wake
        pipe.on_kept = session.count_unread
        pipe.run_piece = self._do_piece
        pipe.association.failed = self._fail
        pipe.association.look_up = self._look_up
        self._released = False
        self._readers: dict[_Reader, None] = {}  # in their order

    def read(self, context: Context, message: ReadRequest) -> Outcome:
        """3.3.5.12 for a pipe."""
        if not self.open.granted_access & FILE_READ_DATA:
            return Reply(codes.STATUS_ACCESS_DENIED)
        reader = _Reader(message.length)
        if self._readers or (found := self._pipe.read(message.length)) is None:
            if self.closing:
                return Reply(codes.STATUS_FILE_CLOSED)
            return Reply(codes.STATUS_PIPE_BROKEN) if self._pipe.broken else self._wait(reader)
        if self.closing and not self._pipe.unread:
            # The last answer has been read once this reply is sent.
            context.connection.defer(self._release_self)
        return reader.reply(*found)

    def _wait(self, reader: _Reader) -> Work[Reply]:
        """Wait for the message that is this reader's."""
        deferred = self._pipe.association.waits_for_turn
        self._readers[reader] = None
        try:
            reply: Reply = yield Wait(reader.waiter, deferred=deferred)
        finally:
            self._readers.pop(reader, None)
        return reply

    def write(self, context: Context, message: WriteRequest) -> Outcome:
        """3.3.5.13 for a pipe: the bytes of calls."""
        if not self.open.granted_access & FILE_WRITE_DATA:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if not self._session.connection.may_ask_pipes:
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        # A call may end the very session that makes it. Its answer is still to be read then.
        self._session.speaking = self
        try:
            self._pipe.write(bytes(message.data))
        except PipeBroken:
            return Reply(codes.STATUS_PIPE_BROKEN)
        finally:
            self._session.speaking = None
            # Those who wait for the answer get it after the writer got its own.
            context.connection.defer(lambda now: self._wake())
        return Reply(message=WriteResponse(count=len(message.data)))

    def _fail(self, error: Exception) -> None:
        """An error of ours in a call costs the connection that the pipe is accounted to."""
        self._session.connection.fail(error)

    def _look_up(self) -> Waiter[None] | None:
        """Have a call answered by the groups that its user is in now (MS-SRVS 3.1.4: each call asks). Null sessions and
        guests are in none."""
        session = self.open.session
        if session.anonymous or session.guest:
            return None
        return self._session.connection.server.watch.look_up()

    def _do_piece(self, piece: Callable[[], None]) -> None:
        """A piece of an answer that has a turn of its own. One that ends its own session is the last."""
        if self._released or self.closing or not self.open.tree_connect.is_connected:
            return
        self._session.speaking = self
        try:
            piece()
        finally:
            self._session.speaking = None

    def _wake(self) -> None:
        """Give the messages there are to the requests that wait for them, in their order."""
        while self._readers:
            reader = next(iter(self._readers))
            found = self._pipe.read(reader.length)
            if found is None and not self._pipe.broken:
                return
            del self._readers[reader]
            reader.waiter.wake(Reply(codes.STATUS_PIPE_BROKEN) if found is None else reader.reply(*found))
            if self.closing and not self._pipe.unread:
                # The last answer has been read once this reply is sent.
                self._session.connection.defer(self._release_self)

    def _release_self(self, now: float) -> None:
        self._session.connection.server.sessions.release(self)

    def ioctl(self, context: Context, message: IoctlRequest) -> Outcome:
        """3.3.5.15: FSCTL_PIPE_TRANSCEIVE and FSCTL_PIPE_PEEK."""
        if message.ctl_code == FSCTL_PIPE_TRANSCEIVE:
            return self._transceive(context, message)
        if message.ctl_code == FSCTL_PIPE_PEEK:
            # How many messages there are, and how long the first is, is left open, as MS-FSCC 2.3 allows.
            peek = PipePeek(FILE_PIPE_CONNECTED_STATE, self._pipe.unread)
            return Reply(message=ioctl_response(message, peek.pack()))
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def _transceive(self, context: Context, message: IoctlRequest) -> Outcome:
        """FSCTL_PIPE_TRANSCEIVE (MS-SMB2 3.3.5.15.3): write, then read."""
        both = FILE_READ_DATA | FILE_WRITE_DATA
        if self.open.granted_access & both != both:
            return Reply(codes.STATUS_ACCESS_DENIED)
        if self._pipe.unread or self._pipe.association.unanswered_call or self._readers:
            return Reply(codes.STATUS_PIPE_BUSY)  # MS-FSCC 2.3, FSCTL_PIPE_TRANSCEIVE
        if not self._session.connection.may_ask_pipes:
            return Reply(codes.STATUS_INSUFFICIENT_RESOURCES)
        try:
            self._pipe.write(bytes(message.input))
        except PipeBroken:
            return Reply(codes.STATUS_PIPE_BROKEN)
        reader = _Reader(message.max_output_response, message)
        found = self._pipe.read(reader.length)
        # The first fragments of a long request have no answer yet: then the reading half waits.
        return self._wait(reader) if found is None else reader.reply(*found)

    def flush(self, context: Context, message: FlushRequest) -> Outcome:
        """3.3.5.11: what was written has been taken already."""
        return Reply(message=FlushResponse())

    def query_info(self, context: Context, message: QueryInfoRequest) -> Outcome:
        """3.3.5.20.1 for a pipe."""
        information = self._information(message.file_info_class) if message.info_type == SMB2_0_INFO_FILE else None
        if information is None:
            return Reply(codes.STATUS_NOT_SUPPORTED)
        if len(information) > message.output_buffer_length:
            return Reply(codes.STATUS_INFO_LENGTH_MISMATCH)
        return Reply(message=QueryInfoResponse(information))

    def _information(self, information_class: int) -> bytes | None:
        """MS-FSCC 2.4, of a connected pipe in message mode that counts as one link, to be deleted when closed."""
        found: Structure | None = None
        if information_class == FILE_BASIC_INFORMATION:
            found = FileBasicInformation(0, 0, 0, 0, FILE_ATTRIBUTE_NORMAL)
        elif information_class == FILE_STANDARD_INFORMATION:
            found = FileStandardInformation(PIPE_QUOTA, self._pipe.unread, 1, delete_pending=True, directory=False)
        elif information_class == FILE_INTERNAL_INFORMATION:
            found = FileInternalInformation(self.open.file_id)
        elif information_class == FILE_PIPE_INFORMATION:
            found = FilePipeInformation(FILE_PIPE_MESSAGE_MODE, 0)
        elif information_class == FILE_PIPE_LOCAL_INFORMATION:
            found = FilePipeLocalInformation(
                FILE_PIPE_MESSAGE_MODE,
                FILE_PIPE_FULL_DUPLEX,
                maximum_instances=0xFFFFFFFF,
                current_instances=1,
                inbound_quota=PIPE_QUOTA,
                read_data_available=self._pipe.unread,
                outbound_quota=PIPE_QUOTA,
                write_quota_available=PIPE_QUOTA,
                named_pipe_state=FILE_PIPE_CONNECTED_STATE,
            )
        elif information_class == FILE_NETWORK_OPEN_INFORMATION:
            found = FileNetworkOpenInformation(0, 0, 0, 0, PIPE_QUOTA, self._pipe.unread, FILE_ATTRIBUTE_NORMAL)
        return None if found is None else found.pack()

    def set_info(self, context: Context, message: SetInfoRequest) -> Outcome:
        """3.3.5.21 for a pipe: message mode, and no other."""
        # Windows clients set message read mode after opening a pipe. It is in no other.
        if (message.info_type, message.file_info_class) == (SMB2_0_INFO_FILE, FILE_PIPE_INFORMATION):
            return Reply(message=SetInfoResponse())
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def close(self, context: Context, message: CloseRequest) -> Outcome:
        """3.3.5.10 for a pipe."""
        return Reply(message=CloseResponse())

    def released(self) -> None:
        """Close the pipe. The requests that waited on it were cancelled before."""
        self._released = True
        self._give_back()
        self._readers.clear()
        self._pipe.close()
