"""An SMB 2/3 client as a shell around the protocol cores: it moves bytes, and says in words what went wrong.

`SmbClient` is one TCP connection with one session on it. `Pipe` is a named pipe with a DCE/RPC association on it.

The rules:

* Requests are sent as soon as the server's credits allow, in the order in which they were asked for (`ask` queues,
  `_send_queued` sends), and any number may be in flight.
* A pipe is opened in one round trip: TREE_CONNECT, CREATE and the bind are one compound. What of it a server refuses is
  asked again in single steps, on the same session, and their answers count. A server whose answers to the single steps
  are better, or who ends the connection instead of answering, is asked in single steps from then on
  (`lanman.net.compounds`).
* LOGOFF closes the pipes and trees too (MS-SMB2 3.3.5.6). Nobody waits for its answer: the connection is closed when it
  has been handed to the system.
* A waiter may be cancelled at any moment: the request is then cancelled at the server too (MS-SMB2 3.2.4.24), and its
  late answer is dropped, but for the credits that it returns.
* When the connection ends, every waiter is given the reason, and so is everyone who asks later (`error`). A connection
  is used once; for another, make another SmbClient.
* Nothing here limits its own time: deadlines are the caller's (`lanman.net.dial.Within`), and `SmbClient.doing` says in
  words what is being waited for.
* A pipe has one call under way at a time. One that an interrupted call left with an answer under way is of no more use.
* Until a signed or encrypted answer has proven it, a NEGOTIATE below 3.1.1 may have been weakened on its way: the proof
  is asked for together with the first CREATE, before anything is entrusted to the connection.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar, cast

from lanman import codes
from lanman.errors import (
    AccessDenied,
    AuthenticationError,
    ConnectionLost,
    LanmanError,
    ProtocolError,
    RemoteProtocolError,
    StatusError,
    Unprotected,
    Win32Error,
)
from lanman.net.approach import PLAIN, Approach
from lanman.net.compounds import KNOWN
from lanman.net.credentials import Credentials
from lanman.net.dial import dial
from lanman.net.exchange import next_event, response_of
from lanman.net.initiators import initiator_for
from lanman.net.loop import has_server
from lanman.net.replies import Reply
from lanman.net.resolve import in_daemon_thread, known_addresses, resolve
from lanman.net.server_facts import server_facts
from lanman.net.transport import start
from lanman.rpc.client import BindAccepted, RpcClient
from lanman.rpc.client import Event as RpcEvent
from lanman.rpc.ndr import Interface, Response
from lanman.rpc.srvsvc.interface import SRVSVC
from lanman.smb2.client import KEYLESS, ClientConnection, NoCredits, OplockBreakReceived, ResponseReceived
from lanman.smb2.constants import (
    ALL_DIALECTS,
    ANY_FILE_ID,
    CREDIT_SIZE,
    FILE_OPEN,
    FILE_SHARE_READ,
    FILE_SHARE_WRITE,
    FSCTL_PIPE_TRANSCEIVE,
    PIPE_ACCESS,
    SMB1_PROTOCOL_ID,
    SMB2_0_IOCTL_IS_FSCTL,
    SMB2_FLAGS_ASYNC_COMMAND,
    SMB2_SESSION_FLAG_ENCRYPT_DATA,
    SMB2_SESSION_FLAG_IS_GUEST,
    SMB2_SESSION_FLAG_IS_NULL,
    SMB2_SHAREFLAG_ENCRYPT_DATA,
    Dialect,
)
from lanman.smb2.messages import (
    CloseRequest,
    CreateRequest,
    CreateResponse,
    IoctlRequest,
    IoctlResponse,
    LogoffRequest,
    Message,
    ReadRequest,
    ReadResponse,
    SessionSetupRequest,
    SessionSetupResponse,
    TreeConnectRequest,
    TreeConnectResponse,
    WriteRequest,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.auth.ntlm import ChallengeMessage
    from lanman.net.initiators import Initiator
    from lanman.net.resolve import Address
    from lanman.net.server_facts import ServerFacts
    from lanman.rpc.ndr import Call
    from lanman.smb2.connection import Negotiated
    from lanman.wire import Data

R = TypeVar("R", bound=Response)
M = TypeVar("M", bound=Message)

_IMPERSONATION: Final = 2
# RFC 1002 4.3.4: what smbd answers to addresses that it does not admit, on port 445 too.
_NEGATIVE_SESSION_RESPONSE: Final = b"\x83"
# What a READ of a pipe asks for: one credit's worth. No fragment of DCE/RPC is longer.
_PIPE_READ: Final = CREDIT_SIZE
# The share that has the pipes.
_PIPES: Final = "IPC$"
# What a pipe answers a request with: all there is, or the beginning of it.
_ANSWERED: Final = frozenset({codes.STATUS_SUCCESS, codes.STATUS_BUFFER_OVERFLOW})

# The session, tree or open that a request went to is not there any more; connecting again may help.
_GONE: Final = frozenset(
    {
        codes.STATUS_USER_SESSION_DELETED,
        codes.STATUS_NETWORK_SESSION_EXPIRED,
        codes.STATUS_NETWORK_NAME_DELETED,
        codes.STATUS_FILE_CLOSED,
        codes.STATUS_PIPE_BROKEN,
        codes.STATUS_PIPE_DISCONNECTED,
        codes.STATUS_PIPE_CLOSING,
    }
)

# What to do about a refused log-on, by Win32 code.
_LOGON_HINTS: Final = {
    codes.ERROR_LOGON_FAILURE: "check the user name, its domain and the password",
    codes.ERROR_PASSWORD_EXPIRED: "the password must be changed before the next log-on",
    codes.ERROR_PASSWORD_MUST_CHANGE: "the password must be changed before the first log-on",
    codes.ERROR_ACCOUNT_LOCKED_OUT: "wait, or have an administrator unlock the account",
    codes.ERROR_ACCOUNT_DISABLED: "an administrator of the server can enable the account",
    codes.ERROR_ACCOUNT_RESTRICTION: "an account without a password may not log on over the network",
    codes.ERROR_LOGON_TYPE_NOT_GRANTED: "the account lacks the right to access that computer from the network",
    codes.ERROR_TIME_SKEW: "Kerberos allows five minutes; set the clocks of both machines by NTP",
    codes.ERROR_SHARING_PAUSED: "the server is paused, and lets administrators alone in; try again later",
    codes.ERROR_REQ_NOT_ACCEP: "the server has as many sessions as it allows; try again, or end one there",
    codes.ERROR_ACCESS_DENIED: "the server accepts no log-on of this kind; it may want encryption or Kerberos",
}


class _ClientProtocol(asyncio.Protocol):
    """The TCP connection: bytes into and out of the core, and answers to those who asked."""

    def __init__(self, server: str, core: ClientConnection) -> None:
        self.server = server
        self.core = core
        self.error: LanmanError | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, Reply[ResponseReceived]] = {}
        self._queue: deque[tuple[Reply[ResponseReceived], Message, int, int]] = deque()
        self._closers: list[Reply[None]] | None = []
        self._was_waited_for = False

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the TCP connection stands."""
        # An assertion would end here on loops that others wrote: uvloop's transports are no subclass.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: hand bytes to the core, and its answers to their waiters, which go on when all of them are there."""
        answered: list[Reply[ResponseReceived]] = []
        try:
            for event in self.core.receive_data(data):
                if isinstance(event, ResponseReceived):
                    waiter = self._pending.pop(event.message_id, None)
                    if waiter is not None and not waiter.done():
                        waiter.set_result(event)
                        answered.append(waiter)
                    else:
                        self._close_opened(event)
                elif isinstance(event, OplockBreakReceived):
                    # 3.2.5.19: these come unsigned and at any time, so that a flood of them would never be an error.
                    raise RemoteProtocolError("breaks an oplock or a lease, of which this client has none")
        except ProtocolError as error:
            self.fail(self._not_understood(data, error))
        if self._queue:
            self._send_queued()
        for waiter in answered:
            waiter.wake()

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the socket is closed; every waiter is told why."""
        closers, self._closers = self._closers, None
        self.fail(self._disconnected(error) if self.error is None else self.error)
        for closer in closers or ():
            if not closer.done():
                closer.set_result(None)
                closer.wake()

    # --- what the client calls

    def ask(self, message: Message, session_id: int, tree_id: int) -> Reply[ResponseReceived]:
        """Send a request as soon as credits allow, after those asked for earlier."""
        future: Reply[ResponseReceived] = Reply(self._loop)
        if self.error is not None:
            future.set_exception(self.error)
            return future
        if self._queue:
            self._queue.append((future, message, session_id, tree_id))
            self._send_queued()
            return future
        try:
            self._pending[self.core.send(message, session_id=session_id, tree_id=tree_id)] = future
        except NoCredits:
            self._queue.append((future, message, session_id, tree_id))
        except ProtocolError as error:
            self.fail(error)
            future.set_exception(error)
        self._flush()
        return future

    def ask_together(self, messages: Sequence[Message], session_id: int, tree_id: int) -> list[Reply[ResponseReceived]]:
        """Send requests as a compound, at once; nothing where that cannot be: credits are short, or others wait."""
        if self.error is not None or self._queue:
            return []
        futures = []
        try:
            message_ids = self.core.send_compound(messages, session_id=session_id, tree_id=tree_id)
        except NoCredits:
            return []
        for message_id in message_ids:
            future: Reply[ResponseReceived] = Reply(self._loop)
            self._pending[message_id] = future
            futures.append(future)
        self._flush()
        return futures

    def negotiate(self) -> Reply[ResponseReceived]:
        """Send the NEGOTIATE."""
        future: Reply[ResponseReceived] = Reply(self._loop)
        self._pending[self.core.negotiate()] = future
        self._flush()
        return future

    def forget(self, future: Reply[ResponseReceived]) -> None:
        """Drop an answer that is no longer waited for, and ask the server to stop (MS-SMB2 3.2.4.24)."""
        # The exception is retrieved, so that asyncio does not report it.
        if future.done() and not future.cancelled() and future.exception() is None:
            self._close_opened(future.result())
        for message_id, waiter in self._pending.items():
            if waiter is future:
                # The answer, or STATUS_CANCELLED, still comes and still returns its credits.
                del self._pending[message_id]
                if self.core.negotiated is not None:
                    self.core.cancel(message_id)
                    self._flush()
                return

    def _close_opened(self, response: ResponseReceived) -> None:
        """Close what a CREATE has opened whose answer nobody takes: the connection may stay for long."""
        header = response.header
        if (
            isinstance(response.message, CreateResponse)
            and self.error is None
            and not header.flags & SMB2_FLAGS_ASYNC_COMMAND  # its answer does not say on which tree it is
        ):
            self.ask_and_ignore(CloseRequest(file_id=response.message.file_id), header.session_id, header.tree_id)

    def ask_and_ignore(self, message: Message, session_id: int, tree_id: int) -> None:
        """Send a request and ignore its result."""
        self.ask(message, session_id, tree_id)

    def fail(self, error: LanmanError) -> None:
        """End the connection with `error`, which every waiter and every later request is given."""
        self._end(error)
        if self._transport is not None:
            self._transport.abort()

    def leave(self, error: LanmanError) -> None:
        """The same, as soon as the system has taken what there is to send."""
        self._end(error)
        if self._transport is not None:
            self._transport.close()

    def _end(self, error: LanmanError) -> None:
        if self.error is None:
            self.error = error
        if not self._pending and not self._queue:
            return
        waiting = [*self._pending.values(), *(entry[0] for entry in self._queue)]
        self._pending.clear()
        self._queue.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(self.error)

    @property
    def has_ended(self) -> bool:
        """Whether its socket is closed, and whoever waited for that was told."""
        return self._closers is None and self._was_waited_for

    async def closed(self) -> None:
        """Wait until the transport has let go of its socket, and a Server in this event loop has read what was sent."""
        if self._transport is None:
            return
        if not self._was_waited_for:
            self._was_waited_for = True
            if has_server(self._loop):
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        if self._closers is not None:
            closer: Reply[None] = Reply(self._loop)
            self._closers.append(closer)
            await closer

    def _send_queued(self) -> None:
        queue = self._queue
        try:
            while queue:
                future, message, session_id, tree_id = queue[0]
                if not future.done():
                    if not self.core.can_send(message):
                        break
                    self._pending[self.core.send(message, session_id=session_id, tree_id=tree_id)] = future
                queue.popleft()
        except ProtocolError as error:
            self.fail(error)
        self._flush()

    def _flush(self) -> None:
        if self._transport is not None and (buffers := self.core.data_to_send()):
            if len(buffers) == 1:  # as nearly always: nothing to join
                self._transport.write(buffers[0])
            else:
                self._transport.writelines(buffers)

    def _not_understood(self, data: bytes, error: ProtocolError) -> LanmanError:
        if self.core.negotiated is not None:
            return type(error)(error.text, server=self.server)
        if SMB1_PROTOCOL_ID in data[:8]:
            return _smb1_only(self.server)
        if data[:1] == _NEGATIVE_SESSION_RESPONSE:
            return AccessDenied(
                "refuses connections from this machine's address",
                hint="see which addresses it admits: `hosts allow` and `hosts deny` of a Samba",
                server=self.server,
            )
        return RemoteProtocolError(
            error.text, hint="what listens on that port may be no SMB server", server=self.server
        )

    def _disconnected(self, error: Exception | None) -> LanmanError:
        if self.core.negotiated is None:
            # Windows XP, and servers set to SMB 1 alone, hang up on a header that they do not know.
            return ConnectionLost(
                "hung up on the first message",
                hint="it may speak SMB 1 only, which lanman does not, or not be meant for this machine's address",
                server=self.server,
            )
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        return ConnectionLost(f"the connection was lost{reason}", server=self.server)


def _smb1_only(server: str) -> LanmanError:
    return Win32Error(
        codes.ERROR_SMB1_NOT_AVAILABLE,  # what Windows 10 and later say of a server that has nothing better
        "speaks SMB 1 only",
        hint="SMB 1 is unsafe and not supported; turn on SMB 2 at the server",
        server=server,
    )


class SmbClient:
    """One connection and one session. `async with SmbClient(...) as client:` connects, logs on, and logs off.

    `server` is the name as the user typed it, without backslashes: Kerberos asks for a ticket for it. Credentials of
    None are the null session. `encrypt` refuses a server that cannot encrypt. `local_address` is the address of this
    machine to come from, on one with several. `approach.before_logon` is the business of whoever calls `connect` and
    `log_on`. Raises LanmanErrors that name the server.
    """

    def __init__(
        self,
        server: str,
        port: int = 445,
        credentials: Credentials | None = None,
        *,
        encrypt: bool = False,
        dialects: Sequence[int] = ALL_DIALECTS,
        local_address: str = "",
        approach: Approach = PLAIN,
    ) -> None:
        self.server = server
        self.port = port
        self.approach = approach
        self.credentials = credentials if credentials is not None else Credentials(anonymous=True)
        self.doing = "no answer"
        self.session_id = 0
        self.addresses: Sequence[Address] = ()
        self.address = ""
        """The server's address, once connected to."""
        self.refused = 0
        """The NTSTATUS that the server refused the log-on with; 0 where it did not."""
        self.became = ""
        """"a guest" or "anonymous" where the server made the session of a user such a one."""
        self.lost_in_compound = False
        """Whether the connection ended while it was asked for several things in one frame."""
        self._challenge: ChallengeMessage | None = None
        self.local_address = local_address
        self._encrypt = encrypt
        self._dialects = tuple(dialects)
        self._trees: dict[str, int] = {}
        self._negotiate_unverified = False
        self._core = ClientConnection(
            client_guid=os.urandom(16),
            random=os.urandom,
            encrypt=encrypt,
            dialects=dialects,
        )
        self._protocol: _ClientProtocol | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
            await self.log_on()
        except BaseException:
            await self.abort()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.abort()

    @property
    def negotiated(self) -> Negotiated:
        """What NEGOTIATE settled."""
        if self._core.negotiated is None:
            raise ConnectionLost("not connected", server=self.server)
        return self._core.negotiated

    @property
    def error(self) -> LanmanError | None:
        """Why the connection is over; None while it lives."""
        return self._protocol.error if self._protocol is not None else None

    # --- connecting and leaving

    @property
    def facts(self) -> ServerFacts:
        """What the server has told of itself so far; it may be asked for once NEGOTIATE is through."""
        return server_facts(self.negotiated, self._challenge)

    async def connect(self) -> None:
        """Find the server, connect to it and negotiate."""
        await self.resolve()
        await self.dial()
        await self.negotiate()

    async def resolve(self) -> None:
        """Find the server's addresses: the first step of `connect`."""
        self.doing = "its name was not resolved"
        known = self.approach.addresses
        self.addresses = known_addresses(known, self.port) if known else await resolve(self.server, self.port)

    async def dial(self) -> None:
        """Connect to one of the addresses: the second step of `connect`."""
        self.doing = f"port {self.port} did not answer"
        connection = await dial(
            self.server, self.port, self.addresses, self.local_address, self.approach.connect_timeout
        )
        self.local_address = connection.getsockname()[0]
        self.address = connection.getpeername()[0]
        protocol = _ClientProtocol(self.server, self._core)
        try:
            await start(connection, protocol)
        except BaseException:
            connection.close()
            raise
        # Not before: of one that is given up while it begins, uvloop never tells that it has ended.
        self._protocol = protocol

    async def negotiate(self) -> None:
        """Agree on a dialect: the last step of `connect`."""
        if (protocol := self._protocol) is None:
            raise ConnectionLost("not connected", server=self.server)
        self.doing = f"port {self.port} accepts connections and says nothing"
        response = await self._answer(protocol.negotiate())
        if response.status != codes.STATUS_SUCCESS:
            if response.status == codes.STATUS_NOT_SUPPORTED:
                # 3.3.5.4: none of those offered. A server that knows this error and has no dialect of SMB 2 has SMB 1.
                if set(self._dialects) >= set(ALL_DIALECTS):
                    raise _smb1_only(self.server)
                message = "speaks none of the SMB dialects that were offered"
                raise StatusError(response.status, message, server=self.server)
            raise self._refused(response.status, "SMB")
        if self._encrypt and not self.negotiated.cipher:
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"cannot encrypt (dialect {self.negotiated.dialect:#06x})",
                hint="go without encryption, or enable SMB 3 at the server",
                server=self.server,
            )

    async def log_on(self) -> None:
        """Open a session as `credentials` say (MS-SMB2 3.2.4.2.3)."""
        self.doing = "no answer to the log-on"
        initiator = None
        try:
            initiator = initiator_for(self.credentials, self.server)
            await self._log_on(initiator)
        except AuthenticationError as error:
            # Initiators know a service by its name, if at all.
            error.server = self.server
            raise
        finally:
            self._challenge = initiator.challenge if initiator is not None else None

    async def _log_on(self, initiator: Initiator) -> None:
        async def step(token: bytes | None) -> bytes | None:
            if not initiator.may_block:
                return initiator.step(token)
            self.doing = "no answer from the Kerberos key distribution centre"
            answer = await in_daemon_thread(lambda: initiator.step(token))
            self.doing = "no answer to the log-on"
            return answer

        # The server's hint is not needed: what is offered is what the user asked for.
        token = await step(None)
        session_id = 0
        while True:
            request = SessionSetupRequest(
                flags=0, security_mode=2, capabilities=0, channel=0, security_buffer=token or b"", previous_session_id=0
            )
            if self.approach.on_proof is not None and (initiator.may_block or initiator.challenge is not None):
                self.approach.on_proof()
            response = await self._ask(request, session_id=session_id)
            if response.status not in (codes.STATUS_SUCCESS, codes.STATUS_MORE_PROCESSING_REQUIRED):
                raise self._logon_refused(response.status)
            message = _body(response, SessionSetupResponse)
            session_id = response.header.session_id
            if response.status == codes.STATUS_SUCCESS:
                break
            token = await step(message.security_buffer)
        if message.security_buffer or not initiator.complete:
            await step(message.security_buffer)
        if not initiator.complete:
            raise AuthenticationError("the server did not prove that it knows the password", server=self.server)
        self._establish(response, message.session_flags, initiator.session_key)
        if self.approach.on_logon is not None:
            self.approach.on_logon()

    def _establish(self, response: ResponseReceived, flags: int, session_key: bytes) -> None:
        unknown = flags & (SMB2_SESSION_FLAG_IS_GUEST | SMB2_SESSION_FLAG_IS_NULL)
        if unknown and not self.credentials.anonymous:
            # Anyone could answer so: without a session key nothing that follows is protected.
            kind = "a guest" if flags & SMB2_SESSION_FLAG_IS_GUEST else "anonymous"
            self.became = kind
            raise AuthenticationError(
                f"does not know {self.credentials.logon_name or 'the user'} and made the session {kind}",
                hint="check the user name; a Samba does this under `map to guest`",
                server=self.server,
            )
        if not self._encrypt and flags & SMB2_SESSION_FLAG_ENCRYPT_DATA and not self.negotiated.cipher:
            raise Unprotected("wants encryption without having negotiated it", server=self.server)
        self.session_id = response.header.session_id
        self._core.establish_session(
            self.session_id,
            session_key,
            final=response.message_id,
            encrypt=self._encrypt or bool(flags & SMB2_SESSION_FLAG_ENCRYPT_DATA),
            anonymous_or_guest=bool(unknown) or self.credentials.anonymous,
        )
        # 3.2.5.5: below 3.1.1 nothing proves yet that the NEGOTIATE was not weakened on its way.
        self._negotiate_unverified = self.negotiated.dialect < Dialect.SMB_3_1_1 and not self.credentials.anonymous

    def _logon_refused(self, status: int) -> LanmanError:
        self.refused = status
        code = codes.ntstatus_to_win32(status)
        who = self.credentials.logon_name or ("the null session" if self.credentials.anonymous else "the log-on")
        return AuthenticationError(
            f"{who}: {codes.win32_text(code)}", code=code, hint=_LOGON_HINTS.get(code), server=self.server
        )

    async def close(self) -> None:
        """Log off, which closes every pipe at the server too (MS-SMB2 3.3.5.6), and hang up. Never fails, and waits for
        no answer: only until the system has taken the bytes."""
        protocol = self._protocol
        if protocol is None:
            return
        try:
            if self.session_id and protocol.error is None:
                self.doing = "its log-off could not be sent"
                self.send_and_ignore(LogoffRequest())
                self._forget_session()
                protocol.leave(self._closed_here())
                await protocol.closed()
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Hang up at once, and wait until the socket is closed."""
        self._forget_session()
        if self._protocol is not None and not self._protocol.has_ended:
            self._protocol.fail(self._closed_here())
            await self._protocol.closed()

    def _forget_session(self) -> None:
        self.session_id = 0
        self._trees.clear()

    def _closed_here(self) -> ConnectionLost:
        return ConnectionLost("the connection was closed here", server=self.server)

    # --- trees and pipes

    async def tree_connect(self, share: str = _PIPES) -> int:
        """The tree id of a share (MS-SMB2 3.2.4.2.4); asked for once."""
        if (known := self._trees.get(share)) is not None:
            return known
        self.doing = f"no answer to the connection to {share}"
        return self._connected_to(share, await self._ask(self._tree_request(share), session_id=self.session_id))

    def _tree_request(self, share: str) -> TreeConnectRequest:
        return TreeConnectRequest(flags=0, path=f"\\\\{self.server}\\{share}")

    def _connected_to(self, share: str, response: ResponseReceived) -> int:
        """The tree id, if the server says so; from then on it is known."""
        if response.status == codes.STATUS_BAD_NETWORK_NAME:
            raise StatusError(
                response.status,
                f"has no share named {share}",
                hint="its Server service may be stopped or not be one that can be managed" if share == _PIPES else None,
                server=self.server,
            )
        if response.status != codes.STATUS_SUCCESS:
            raise self._refused(response.status, share)
        tree_id = response.header.tree_id
        if _encrypts(response):
            self._core.encrypt_session(response.header.session_id)  # ours may have been given up meanwhile
        self._trees[share] = tree_id
        return tree_id

    async def open_pipe(self, name: str = "srvsvc", interface: Interface = SRVSVC) -> Pipe:
        """A named pipe, bound to an interface. Raises Win32Error 2114 where the server has no such pipe."""
        pipe = Pipe(self, name, interface)
        try:
            await self._open(pipe)
        except BaseException:
            if pipe.is_open and self.error is None:
                pipe.abandon()  # nobody has it, and the connection may stay for long
            raise
        return pipe

    async def _open(self, pipe: Pipe) -> None:
        now = asyncio.get_running_loop().time
        refused = False
        if not KNOWN.refuses(self.address, self.port, now()):
            if self._negotiate_unverified:
                await self.tree_connect()  # the proof that goes along with the CREATE needs it
            refused = await self._open_together(pipe)
        if not pipe.is_open:
            await self._open_alone(pipe)
        if not pipe.is_bound:
            await pipe.bind()
        if refused:
            KNOWN.refused(self.address, self.port, now())

    async def _open_together(self, pipe: Pipe) -> bool:
        """Do all that is left to do for a pipe in one round trip. Whether something of it was refused in a way that
        single steps may not be. Does nothing where credits are short."""
        assert self._protocol is not None
        tree_id = self._trees.get(_PIPES, 0)
        requests: list[Message] = [] if tree_id else [self._tree_request(_PIPES)]
        requests += (pipe.create_request(), pipe.bind_request())
        futures = self._protocol.ask_together(requests, self.session_id, tree_id)
        if not futures:
            return False
        self.doing = f"no answer to the opening of \\PIPE\\{pipe.name}"
        if self._negotiate_unverified:
            # 3.2.5.5: in the same flight, since nothing has been entrusted to the connection so far.
            proof = self._core.build_validate_negotiate()
            futures.append(self._protocol.ask(proof, self.session_id, tree_id))
        self.lost_in_compound = True
        try:
            responses = await self._answers(futures)
        except BaseException:
            # No answer, or one that makes no sense.
            KNOWN.refused(self.address, self.port, asyncio.get_running_loop().time())
            raise
        self.lost_in_compound = False
        encrypts = False
        if not tree_id:
            connected = responses.pop(0)
            if connected.status not in (codes.STATUS_SUCCESS, codes.STATUS_BAD_NETWORK_NAME):
                return True
            tree_id = self._connected_to(_PIPES, connected)
            encrypts = _encrypts(connected)
        created, bound, *proofs = responses
        for answer in proofs:
            self._check_negotiate(answer)
        if encrypts and created.status == codes.STATUS_ACCESS_DENIED:
            return await self._open_together(pipe)  # what was on its way was not encrypted yet
        if created.status not in (codes.STATUS_SUCCESS, codes.STATUS_OBJECT_NAME_NOT_FOUND):
            return True
        self._created(pipe, created, tree_id)
        if bound.status not in _ANSWERED:
            return True
        KNOWN.taken(self.address, self.port)
        await pipe.take_bind(bound)
        return False

    async def _open_alone(self, pipe: Pipe) -> None:
        """Open a pipe at the server, in single steps."""
        tree_id = await self.tree_connect()
        self.doing = f"no answer to the opening of \\PIPE\\{pipe.name}"
        requests: list[Message] = [pipe.create_request()]
        if self._negotiate_unverified:
            requests.append(self._core.build_validate_negotiate())
        response, *proofs = await self._ask_all(requests, tree_id)
        for proof in proofs:
            self._check_negotiate(proof)
        self._created(pipe, response, tree_id)

    def _created(self, pipe: Pipe, response: ResponseReceived, tree_id: int) -> None:
        """What the answer to the CREATE of a pipe says. The connection may have been given up meanwhile."""
        if response.status == codes.STATUS_OBJECT_NAME_NOT_FOUND:
            raise Win32Error(
                codes.NERR_ServerNotStarted,
                f"has no \\PIPE\\{pipe.name}: {codes.win32_text(codes.NERR_ServerNotStarted)}",
                hint="it serves files without a management interface, or its Server service is stopped",
                server=self.server,
            )
        if response.status != codes.STATUS_SUCCESS:
            raise self._refused(response.status, f"\\PIPE\\{pipe.name}")
        pipe.opened(tree_id, _body(response, CreateResponse).file_id)

    def _check_negotiate(self, response: ResponseReceived) -> None:
        """Have the NEGOTIATE confirmed by a signed answer (MS-SMB2 3.2.5.14.12)."""
        if response.status == codes.STATUS_SUCCESS:
            self._core.check_validate_negotiate(_body(response, IoctlResponse))
        elif response.status == codes.STATUS_ACCESS_DENIED:
            raise Unprotected(
                "the NEGOTIATE was changed on its way",
                hint="someone between here and the server weakens connections",
                server=self.server,
            )
        elif response.status in KEYLESS:
            raise self._refused(response.status, "the proof of the NEGOTIATE")  # anybody may have said so
        # Any other refusal is a server that does not know the request (FILE_CLOSED of a Samba held to 2.0.2, for one);
        # its signature proves that it is the server's.
        self._negotiate_unverified = False

    # --- requests

    async def _ask(self, message: Message, *, session_id: int = 0, tree_id: int = 0) -> ResponseReceived:
        if self._protocol is None:
            raise ConnectionLost("not connected", server=self.server)
        return await self._answer(self._protocol.ask(message, session_id, tree_id))

    async def _answer(self, future: Reply[ResponseReceived]) -> ResponseReceived:
        assert self._protocol is not None
        try:
            return await future
        except asyncio.CancelledError:
            self._protocol.forget(future)
            raise

    async def request(self, request: Message, tree_id: int = 0) -> ResponseReceived:
        """The answer to one request, whatever its status. Raises ConnectionLost as `request_all` does."""
        return self._not_gone(await self._ask(request, session_id=self.session_id, tree_id=tree_id))

    async def request_all(self, requests: Sequence[Message], tree_id: int = 0) -> list[ResponseReceived]:
        """The answers to requests that are sent in one flight, in order, whatever their status.

        Raises ConnectionLost when the connection, the session or what the requests are about is gone.
        """
        return list(map(self._not_gone, await self._ask_all(requests, tree_id)))

    def _not_gone(self, response: ResponseReceived) -> ResponseReceived:
        if response.status in _GONE:
            raise self._refused(response.status, "the request")
        return response

    async def _ask_all(self, requests: Sequence[Message], tree_id: int) -> list[ResponseReceived]:
        if self._protocol is None:
            raise ConnectionLost("not connected", server=self.server)
        return await self._answers([self._protocol.ask(request, self.session_id, tree_id) for request in requests])

    async def _answers(self, futures: Sequence[Reply[ResponseReceived]]) -> list[ResponseReceived]:
        assert self._protocol is not None
        try:
            return [await future for future in futures]
        except BaseException:
            for future in futures:
                self._protocol.forget(future)
                future.cancel()
            raise

    def send_and_ignore(self, request: Message, tree_id: int = 0) -> None:
        """Send a request and ignore its result."""
        if self._protocol is not None:
            self._protocol.ask_and_ignore(request, self.session_id, tree_id)

    def _refused(self, status: int, what: str) -> LanmanError:
        if status in _GONE:
            lost = ConnectionLost(codes.ntstatus_text(status), code=codes.ntstatus_to_win32(status), server=self.server)
            # The NTSTATUS itself, for a caller that needs it.
            lost.__cause__ = StatusError(status)
            return lost
        if codes.ntstatus_to_win32(status) == codes.ERROR_ACCESS_DENIED:
            who = self.credentials.logon_name or "a null session"
            return AccessDenied(
                hint=f"the server lets {who} log on, but not use its management interface",
                server=self.server,
                subject=what,
            )
        return StatusError(status, server=self.server, subject=what)


class Pipe:
    """A named pipe with a DCE/RPC association on it, for one call after the other.

    A pipe that an interrupted call left with an answer under way is of no more use: see `usable`.
    """

    def __init__(self, client: SmbClient, name: str, interface: Interface) -> None:
        self.client = client
        self.name = name
        self.is_bound = False
        self._tree_id = 0
        self._file_id = b""
        self._rpc = RpcClient()
        self._bind = self._rpc.bind(interface)
        self._lock = asyncio.Lock()
        self._busy = False

    @property
    def is_open(self) -> bool:
        """Whether the server has opened it."""
        return bool(self._file_id)

    @property
    def usable(self) -> bool:
        """Whether another call may be made: the connection lives, and no call was interrupted."""
        return not self._busy and self.client.error is None

    def abandon(self) -> None:
        """Close the pipe at the server, without waiting: a call on it was interrupted."""
        self._busy = True
        self.client.send_and_ignore(CloseRequest(file_id=self._file_id), self._tree_id)

    # --- opening, by the client that it is on

    def create_request(self) -> CreateRequest:
        """What opens it."""
        return CreateRequest(
            impersonation_level=_IMPERSONATION,
            desired_access=PIPE_ACCESS,
            share_access=FILE_SHARE_READ | FILE_SHARE_WRITE,
            create_disposition=FILE_OPEN,
            name=self.name,
        )

    def bind_request(self) -> IoctlRequest:
        """What asks for the interface; behind its CREATE in a compound, if it is not open yet."""
        return self._transceive_request(self._bind)

    def opened(self, tree_id: int, file_id: bytes) -> None:
        """The server has opened it."""
        self._tree_id, self._file_id = tree_id, file_id

    async def bind(self) -> None:
        """Agree on the interface. Raises Win32Error 1717 when the server does not know it."""
        await self.take_bind(await self._ask(self.bind_request()))

    async def take_bind(self, response: ResponseReceived) -> None:
        """The server's answer to the bind, or the beginning of it."""
        event = await next_event(self._rpc, _read_from_pipe(_body(response, IoctlResponse).output), self._read)
        if not isinstance(event, BindAccepted):
            reason = getattr(event, "reason", type(event).__name__)
            raise Win32Error(
                codes.RPC_S_UNKNOWN_IF, f"\\PIPE\\{self.name} refuses to be asked: {reason}", server=self.client.server
            )
        self.is_bound = True

    # --- calls

    async def call(self, request: Call[R]) -> R:
        """Make a call and give its answer, whatever status is in it. Raises Win32Error for an RPC fault."""
        name = type(request).__name__
        async with self._lock:
            self.client.doing = f"no answer to {name}"
            event = await self._exchange(self._rpc.call(request))
        return await response_of(request, event, self.client.server)

    async def _exchange(self, fragments: Sequence[bytes]) -> RpcEvent:
        """Send a PDU in its fragments, and read until the association has an answer."""
        if self._busy:
            raise ConnectionLost(f"\\PIPE\\{self.name} was left in the middle of a call", server=self.client.server)
        self._busy = True
        data = await self._transceive(fragments[0]) if len(fragments) == 1 else await self._write(fragments)
        # More is read where STATUS_BUFFER_OVERFLOW left a rest, or where the answer has more fragments than this one.
        event = await next_event(self._rpc, data, self._read)
        self._busy = False
        return event

    async def _transceive(self, pdu: bytes) -> bytes:
        """Write and read in one round trip (MS-SMB2 3.2.4.20.4)."""
        response = await self._ask(self._transceive_request(pdu))
        return _read_from_pipe(_body(response, IoctlResponse).output)

    def _transceive_request(self, pdu: bytes) -> IoctlRequest:
        return IoctlRequest(
            ctl_code=FSCTL_PIPE_TRANSCEIVE,
            file_id=self._file_id or ANY_FILE_ID,
            input=pdu,
            max_output_response=_PIPE_READ,
            flags=SMB2_0_IOCTL_IS_FSCTL,
        )

    async def _write(self, fragments: Sequence[bytes]) -> bytes:
        requests = [WriteRequest(file_id=self._file_id, offset=0, data=fragment) for fragment in fragments]
        for response in await self.client.request_all(requests, self._tree_id):
            self._check(response)
        return b""

    async def _read(self) -> bytes:
        response = await self._ask(ReadRequest(file_id=self._file_id, offset=0, length=_PIPE_READ, minimum_count=0))
        return _read_from_pipe(_body(response, ReadResponse).data)

    async def _ask(self, message: Message) -> ResponseReceived:
        return self._check(await self.client.request(message, self._tree_id))

    def _check(self, response: ResponseReceived) -> ResponseReceived:
        if response.status not in _ANSWERED:
            raise StatusError(response.status, server=self.client.server, subject=f"\\PIPE\\{self.name}")
        return response


def _read_from_pipe(data: Data) -> bytes:
    """What a server has answered of a pipe. More than was asked for would hold up the event loop, and all others."""
    if len(data) > _PIPE_READ:
        raise RemoteProtocolError(f"answers with {len(data)} bytes of a pipe, where {_PIPE_READ} were asked for")
    return bytes(data)


def _encrypts(response: ResponseReceived) -> bool:
    """Whether a TREE_CONNECT was answered for a share that wants encryption."""
    return bool(_body(response, TreeConnectResponse).share_flags & SMB2_SHAREFLAG_ENCRYPT_DATA)


def _body(response: ResponseReceived, kind: type[M]) -> M:
    """The body of an answer whose status says that it is of this kind."""
    if not isinstance(response.message, kind):
        raise RemoteProtocolError(f"expected a {kind.__name__}, got a {type(response.message).__name__}")
    return response.message
