"""What reads bytes or text of others, as functions of bytes, with the errors that they may raise and their seeds.

    TARGETS["smb2-request"].run(data)      nothing, or an error that is a finding

Where a target has several decoders the first byte says which one is given the rest. A target keeps nothing from one
input to the next, so that an input alone makes a finding again. `tests/fuzz/fuzz.py` runs them by the million;
`tests/fuzz/test_fuzz.py` replays what was kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from lanman.auth import ntlm, spnego
from lanman.auth.acceptor import Acceptor
from lanman.auth.accounts import Accounts, AccountsError
from lanman.auth.ntlm_client import NtlmInitiator
from lanman.errors import LanmanError, MalformedMessage, RemoteProtocolError
from lanman.faces.cli.loader import every_verb
from lanman.faces.cli.options import COMMON_OPTIONS, switches
from lanman.faces.dialect import DialectError, Grammar, normalise, split_verb
from lanman.faces.moments import NotATime, parse_moment
from lanman.faces.tui.listing import Filter
from lanman.fscc import directories, files, notify, volumes
from lanman.manage.ksmbd import conf
from lanman.manage.ksmbd import text as ksmbd
from lanman.manage.metrics.http import Request as HttpRequest
from lanman.manage.policies.hours import parse_hours
from lanman.manage.policies.reading import parse_policies
from lanman.manage.samba_local.json_status import parse_json
from lanman.manage.samba_local.testparm import parse_testparm
from lanman.manage.samba_local.text_status import parse_text
from lanman.manage.selection import chosen_paths, chosen_users, equal_clients, split_unc
from lanman.net.client_configuration import parse_client_configuration, parse_credentials
from lanman.net.configuration import parse_configuration
from lanman.net.overlay import parse as parse_overlay
from lanman.rpc import control, control_events, pdu, svcctl
from lanman.rpc.client import RpcClient
from lanman.rpc.ndr import Interface
from lanman.rpc.server import RpcServer
from lanman.rpc.srvsvc import SRVSVC, NetrSessionEnum
from lanman.smb2 import messages
from lanman.smb2.constants import SMB2_CREATE_REQUEST_LEASE
from lanman.smb2.header import Header, TransformHeader
from lanman.smb2.messages import (
    CreateContext,
    CreateLease,
    CreateLeaseV2,
    CreateRequest,
    CreateResponse,
    EchoRequest,
    EchoResponse,
    LeaseBreak,
    LogoffRequest,
    LogoffResponse,
    OplockBreak,
    ReadRequest,
    ReadResponse,
    TreeConnectRequest,
    TreeConnectResponse,
)
from lanman.smb2.server import Request, ServerConnection
from lanman.wire import Structure, unpack_chain
from support.memory_server import World
from support.raw_client import RawClient
from support.smb2_pair import Answering, Wire, ask, connected, make_pair

ROOT: Final = Path(__file__).resolve().parents[2]
VECTORS: Final = ROOT / "tests" / "vectors"
DATA: Final = ROOT / "tests" / "data"

Reader = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """`read` takes an input; `allowed` are the errors that say it is none of its; `seeds` gives what to begin from, and
    `tokens` are words that changes put in. `slow`: an input takes a millisecond or more."""

    read: Reader
    seeds: Callable[[], Iterable[bytes]]
    allowed: tuple[type[Exception], ...] = (MalformedMessage,)
    tokens: Sequence[bytes] = ()
    slow: bool = False

    def run(self, data: bytes) -> None:
        """Let it read. Any error that it may not raise is a finding."""
        try:
            self.read(data)
        except self.allowed:
            pass


def one_of(readers: Sequence[Reader]) -> Reader:
    """The first byte chooses."""

    def read(data: bytes) -> object:
        return readers[data[0] % len(readers)](data[1:]) if data else None

    return read


def each_with(readers: Sequence[Reader], seeds: Iterable[bytes]) -> Iterator[bytes]:
    """Every seed for every reader."""
    seeds = list(seeds)
    return (bytes([number]) + seed for number in range(len(readers)) for seed in seeds)


# --- SMB2


def frames(mark: str) -> Iterator[bytes]:
    """What real peers sent: `>` clients, `<` servers."""
    for path in sorted(VECTORS.glob("smb2_*.hex")):
        for line in path.read_text().splitlines():
            if line.startswith(mark):
                yield bytes.fromhex(line[2:])


def pdus(mark: str) -> Iterator[bytes]:
    """The messages of compounds one by one, those that are alike in command and size once."""
    seen = set()
    for frame in frames(mark):
        while frame[:4] == b"\xfeSMB" and len(frame) >= 64:
            following = int.from_bytes(frame[20:24], "little")
            single = frame[:following] if following else frame
            if len(single) < 2000 and (key := (single[12:14], len(single))) not in seen:
                seen.add(key)
                yield single
            frame = frame[following:] if following else b""


def read_request(data: bytes) -> object:
    """A request, as its header says."""
    view = memoryview(data)
    return messages.unpack_request(Header.unpack(view).command, view)


def read_response(data: bytes) -> object:
    """A response, as its header says."""
    view = memoryview(data)
    header = Header.unpack(view)
    return messages.unpack_response(header.command, header.status, view)


def structures_of(*modules: Any) -> list[Reader]:
    """`unpack` of all structures that modules declare, in the order of their names."""
    found: list[Reader] = []
    for module in modules:
        own = [kind for _, kind in sorted(vars(module).items()) if getattr(kind, "__module__", "") == module.__name__]
        kinds = [kind for kind in own if isinstance(kind, type) and issubclass(kind, Structure)]
        found += [kind.unpack for kind in kinds if not issubclass(kind, messages.Message)]
    return found


def chains() -> list[Reader]:
    """Lists of entries."""
    kinds: list[Any] = [kind for kind in vars(directories).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, Structure) and kind.__module__ == directories.__name__]
    kinds += [files.FileStreamInformation, notify.FileNotifyInformation, messages.NetworkInterfaceInfo]
    return [partial(unpack_chain, kind) for kind in kinds]


CONTEXTS: Final[list[Reader]] = [
    lambda data: messages.unpack_create_contexts(memoryview(data)),
    lambda data: messages.ValidateNegotiateInfoRequest.unpack(data),
    lambda data: TransformHeader.unpack(memoryview(data)),
    lambda data: messages.NegotiateRequest.unpack(memoryview(bytes(64) + data)),
    lambda data: messages.NegotiateResponse.unpack(memoryview(bytes(64) + data)),
    *(
        kind.unpack
        for kind in (
            messages.PreauthIntegrityCapabilities,
            messages.CompressionCapabilities,
            messages.NetnameNegotiateContextId,
            messages.TransportCapabilities,
            messages.RdmaTransformCapabilities,
            messages.SigningCapabilities,
            messages.EncryptionCapabilities,
        )
    ),
    *structures_of(messages),
]
FSCC: Final = [*structures_of(directories, files, notify, volumes), *chains()]


def small_structures() -> Iterator[bytes]:
    """Bytes in which numbers and strings of several widths can be found."""
    name = "a name".encode("utf-16-le")
    yield bytes(120)
    yield bytes(range(120))
    yield bytes(60) + len(name).to_bytes(4, "little") + bytes(30) + name
    yield (16).to_bytes(4, "little") + bytes(4) + len(name).to_bytes(4, "little") + name + bytes(40)
    yield (40).to_bytes(4, "little") + bytes(36) + bytes(4) + (12).to_bytes(4, "little") + name


# --- the cores of both ends, and the whole Server


def reply(request: Request) -> Any:
    """What a server might answer."""
    if isinstance(request.message, TreeConnectRequest):
        return TreeConnectResponse(1)
    if isinstance(request.message, ReadRequest):
        return ReadResponse(bytes(min(request.message.length, 100)))
    if isinstance(request.message, LogoffRequest):
        return LogoffResponse()
    if isinstance(request.message, CreateRequest):
        return CreateResponse(oplock_level=255, contexts=request.message.contexts)
    if isinstance(request.message, LeaseBreak | OplockBreak):
        return request.message
    return EchoResponse()


def leases() -> list[Any]:
    """Requests for leases of both versions, and what acknowledges a break."""
    key = b"k" * 16
    contexts = [CreateLease(key, 7).pack(), CreateLeaseV2(key, 7, 4, parent_lease_key=key, epoch=1).pack()]
    asked = [CreateContext(SMB2_CREATE_REQUEST_LEASE, data) for data in contexts]
    creates = [CreateRequest(requested_oplock_level=255, name="a", contexts=[context]) for context in asked]
    return [*creates, LeaseBreak(0, key, 3), OplockBreak(1, key)]


@cache
def conversations(to_server: bool) -> list[bytes]:
    """One end's bytes of our own conversations, and of those of real peers."""
    found = []
    for encrypt in (False, True):
        wire, answer = Wire(), Answering(reply, encrypt=encrypt)
        client, server, session_id = connected(answer, wire, encrypt=encrypt)
        for message in (
            TreeConnectRequest(0, "x"),
            EchoRequest(),
            ReadRequest(length=50),
            *leases(),
            LogoffRequest(),
        ):
            ask(client, server, answer, message, session_id=session_id, wire=wire)
        found.append(bytes(wire.to_server if to_server else wire.to_client))
    for path in sorted(VECTORS.glob("smb2_*.hex")):
        lines = [line for line in path.read_text().splitlines() if line.startswith("<>"[to_server])]
        frames = [bytes.fromhex(line[2:]) for line in lines]
        found.append(b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)[:8192])
    return found


def feed_core(data: bytes, *, to_server: bool) -> None:
    """Give fresh cores `data`, frame by frame."""
    client, server = make_pair()
    client.negotiate()
    connection = server if to_server else client
    answer = Answering(reply, sign=False)
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        for event in connection.receive_data(data[at:end]):
            if isinstance(connection, ServerConnection):
                answer(connection, event)
        connection.data_to_send()
        at = end


def feed_server(data: bytes) -> None:
    """Somebody who has logged on, and is in IPC$, sends a request of any body; further ones are parted by `--`."""
    world = World()
    raw = RawClient(world)
    raw.log_on("ann")
    ((header, _),) = raw.send(raw.signed(TreeConnectRequest(0, r"\\srv\IPC$")))
    raw.tree_id = header.tree_id
    for part in data.split(b"--")[:4]:
        if part and raw.connection.connection_id in world.clients:
            raw.send(raw.signed(_AnyBody(part[0] % 19, part[1:])))
    world.disconnect(raw)  # type: ignore[arg-type]
    world.pump()
    world.advance(1000)
    if world.service.sessions() or world.service.opens():
        raise AssertionError("something was left behind")


class _AnyBody(messages.Message):
    """A request whose body is any bytes."""

    def __init__(self, command: int, body: bytes) -> None:
        self.command = command  # type: ignore[misc]
        self._body = body

    def pack(self) -> bytes:
        """Its bytes."""
        return self._body


def request_bodies() -> Iterator[bytes]:
    """Real requests without headers, the pipe's own names among them."""
    for each in pdus(">"):
        yield bytes([each[12]]) + each[64:]
    pipe = CreateRequest(name="srvsvc", desired_access=0x12019F, share_access=7, create_disposition=1).pack()
    yield b"\5" + pipe
    for bind in rpc_pdus(">"):
        size = len(bind).to_bytes(4, "little")
        head = bytes.fromhex("3900000017c01100") + b"\xff" * 16 + b"\x78\0\0\0" + size + bytes(4) + b"\x78\0\0\0"
        yield b"\5" + pipe + b"--\x0b" + head + bytes(4) + (4096).to_bytes(4, "little") + b"\1" + bytes(7) + bind


# --- DCE/RPC


def rpc_pdus(mark: str) -> Iterator[bytes]:
    """PDUs of real peers."""
    for line in (VECTORS / "rpc_pdus.txt").read_text().splitlines():
        _, direction, hexes = line.split()
        if direction == mark:
            yield bytes.fromhex(hexes)


def stubs() -> Iterator[bytes]:
    """Stubs of real peers."""
    for file in ("rpc_samba.txt", "rpc_impacket.txt"):
        for line in (VECTORS / file).read_text().splitlines():
            if not line.startswith("#"):
                yield bytes.fromhex(line.split()[2])


def directions(interfaces: Sequence[Interface], response: bool) -> list[Reader]:
    """Requests or responses of all operations in both transfer syntaxes."""
    found: list[Reader] = []
    for interface in interfaces:
        for _, call in sorted(interface.requests.items()):
            kind = call.response if response else call
            found += [partial(kind.unpack, ndr64=False), partial(kind.unpack, ndr64=True)]
            if not response:
                found.append(call.level_in)
    return found


def stub_seeds(interfaces: Sequence[Interface], response: bool) -> Iterator[bytes]:
    """Real stubs where they belong, and what an operation packs by itself."""
    number = 0
    known: dict[str, list[tuple[bool, bytes]]] = {}
    for file in ("rpc_samba.txt", "rpc_impacket.txt"):
        for line in (VECTORS / file).read_text().splitlines():
            if not line.startswith("#"):
                name, bits, hexes = line.split()
                known.setdefault(name.partition("-")[0], []).append((bits == "64", bytes.fromhex(hexes)))
    for interface in interfaces:
        for _, call in sorted(interface.requests.items()):
            kind = call.response if response else call
            for wide, stub in known.get(kind.__name__, []):
                yield bytes([number + wide]) + stub
            yield bytes([number]) + bytes(48)
            yield bytes([number + 1]) + bytes(range(1, 97))
            number += 2 if response else 3


def feed_rpc_server(data: bytes) -> None:
    """A server's association that has been bound."""
    server = RpcServer([SRVSVC])
    client = RpcClient()
    server.receive_data(client.bind())
    for call in server.receive_data(data):
        try:
            answer = call.request().failed(5).pack(call.ndr64)
        except MalformedMessage:
            server.fault(call, 1783)
        else:
            server.respond(call, answer)
    server.data_to_send()


def feed_rpc_client(data: bytes) -> None:
    """A client's association that has been bound and has asked."""
    server = RpcServer([SRVSVC])
    client = RpcClient()
    server.receive_data(client.bind())
    client.receive_data(b"".join(server.data_to_send()))
    client.call(NetrSessionEnum(None, None, None, 502))
    client.receive_data(data)


def read_pdu(data: bytes) -> None:
    """One PDU, and what it may be."""
    parsed = pdu.parse(data)
    for kind in (pdu.Bind, pdu.BindAck):
        try:
            kind.unpack(parsed)
        except MalformedMessage:
            pass


# --- log-ons


def tokens_of(who: str) -> Iterator[bytes]:
    """Tokens of real log-ons: of `client`, of `server`, or of both for ""."""
    for path in sorted(VECTORS.glob("ntlm-*.txt")):
        for line in path.read_text().splitlines():
            word, _, value = line.partition(" ")
            if word in ("client", "server") and who in ("", word):
                yield bytes.fromhex(value)


@cache
def accounts() -> Accounts:
    """Whose log-ons are tried."""
    found = Accounts()
    found.add("ann", "Secret1")
    return found


def log_on(data: bytes) -> None:
    """A log-on of up to three tokens: two bytes of length in front of each."""
    acceptor = Acceptor(
        accounts(), server_name="SRV", dns_name="srv.example", random=random.Random(1).randbytes, allow_guest=True
    )
    at = 0
    for _ in range(3):
        size = int.from_bytes(data[at : at + 2], "big")
        step = acceptor.step(data[at + 2 : at + 2 + size], 1.7e9)
        at += 2 + size
        if step.outcome is not None or at >= len(data):
            return


def log_ons() -> Iterator[bytes]:
    """Whole log-ons of real clients."""
    for path in sorted(VECTORS.glob("ntlm-*.txt")):
        words = [line.split() for line in path.read_text().splitlines()]
        sent = [bytes.fromhex(line[1]) for line in words if line and line[0] == "client"]
        yield b"".join(len(each).to_bytes(2, "big") + each for each in sent)


def answer_challenge(data: bytes) -> None:
    """A client that is given a challenge."""
    give = random.Random(1).randbytes
    initiator = NtlmInitiator("ann", "DOM", bytes(16), target_name="cifs/srv", random=give, now=1.7e9)
    initiator.step(None)
    initiator.step(data)


# --- texts


def text_of(read: Callable[[str], object]) -> Reader:
    """A reader of text; bytes that are no UTF-8 are text too, of surrogates, as the command line has them."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


@cache
def grammars() -> list[Grammar]:
    """Of all verbs."""
    return [verb.grammar for verb in every_verb()]


@cache
def _common() -> Grammar:
    return Grammar(switches(COMMON_OPTIONS))


def command_line(data: bytes) -> None:
    """Words that are parted by line feeds, for the verb that the first byte says."""
    words = data[1:].decode("utf-8", "surrogateescape").split("\n")
    try:
        _, words = split_verb(words, _common())
    except DialectError:
        pass
    normalise(words, grammars()[data[0] % len(grammars())] if data else _common())


def command_lines() -> Iterator[bytes]:
    """The words of the documents' own examples."""
    lines = [r"session \\pc7 /del /y", "session pc7 --delete --yes", "SESSION /Y //pc7 /D", "file 7 /c --json", "-h"]
    lines += [
        "share x /delete --server=fs1:445 -U ann%b",
        "serve /srv/data --port 4450 -- /x",
        "user ann /times:M-F,8-17",
    ]
    for number in range(len(grammars())):
        for line in lines:
            yield bytes([number]) + line.replace(" ", "\n").encode()


def filters(text: str) -> None:
    """What chooses among names."""
    names = ["ann", "DOM\\ann", "a[b]*?", "\\\\10.0.0.1", "[::1]", "C:\\data\\x.txt", None, text]
    chosen_users(names, text)
    chosen_paths(names, text)
    equal_clients(names, text)
    split_unc(text)
    Filter.parse(text).lets_through([name or "" for name in names])


def files_of(*patterns: str) -> Callable[[], list[bytes]]:
    """Files of the repository, from its root, at most 8 KiB of each."""
    return lambda: [
        path.read_bytes()[:8192] for pattern in patterns for path in sorted(ROOT.glob(pattern)) if path.is_file()
    ]


def texts(*found: str) -> Callable[[], list[bytes]]:
    """Texts in UTF-8."""
    return lambda: [each.encode() for each in found]


SERVER_TOML: Final = """[server]
name = "FS1"
port = 4450
listen = ["127.0.0.1", "[::1]:4451"]
signing = "required"
[limits]
connections = 100
[shares.data]
path = "/srv/data"
max_users = 3
"""
POLICIES_TOML: Final = """[policies.night]
servers = ["fs1", "cluster:files"]
mode = "report"
select = { idle = "2h", opens = 0, not_user = ["svc_*"], not_client = ["10.9.*"] }
outside = "M-F,8am-6pm;Sa,9-12"
zone = "Europe/Berlin"
at_most = 20
[policies.three]
max_sessions_per_user = 3
end = "longest idle"
"""
LANMAN_TOML: Final = """[client]
timeout = 5
[clusters.files]
nodes = ["fs1", "fs2:4450"]
[history]
servers = ["fs1"]
"""
ACCOUNTS: Final = """version = 1
[group ops]
comment = who may
[user ann]
nt_hash = 31d6cfe0d16ae931b73c59d7e0c089c0
groups = Users, ops
full_name = Ann
disabled = no
"""
OVERLAY: Final = """# version 1
version = 1
[[setting]]
name = "autodisconnect"
value = 5
instead_of = 15
"""
TOML: Final = [each.encode() for each in ("[", "]", "[[", '"', "'''", "=", "{", "}", "0x", "inf", "1979-05-27", "true")]
STATUS: Final = (MalformedMessage, LanmanError)
CONFIGURATION: Final = (LanmanError,)

TARGETS: Final[dict[str, Target]] = {
    "smb2-request": Target(read_request, lambda: pdus(">")),
    "smb2-response": Target(read_response, lambda: pdus("<")),
    "smb2-contexts": Target(one_of(CONTEXTS), lambda: each_with(CONTEXTS, small_structures())),
    "fscc": Target(one_of(FSCC), lambda: each_with(FSCC, small_structures())),
    "core-server": Target(
        lambda data: feed_core(data, to_server=True), lambda: conversations(True), (RemoteProtocolError,), slow=True
    ),
    "core-client": Target(
        lambda data: feed_core(data, to_server=False), lambda: conversations(False), (RemoteProtocolError,), slow=True
    ),
    "server": Target(feed_server, request_bodies, (), (b"--",), slow=True),
    "rpc-pdu": Target(read_pdu, lambda: [*rpc_pdus(">"), *rpc_pdus("<")]),
    "rpc-server": Target(feed_rpc_server, lambda: rpc_pdus(">"), (RemoteProtocolError,)),
    "rpc-client": Target(feed_rpc_client, lambda: rpc_pdus("<"), (RemoteProtocolError,)),
    "srvsvc-request": Target(one_of(directions([SRVSVC], False)), lambda: stub_seeds([SRVSVC], False)),
    "srvsvc-response": Target(one_of(directions([SRVSVC], True)), lambda: stub_seeds([SRVSVC], True)),
    "svcctl": Target(
        one_of(
            [
                *directions([svcctl.SVCCTL], False),
                *directions([svcctl.SVCCTL], True),
                lambda data: svcctl.unpack_services(data[1:], data[0] if data else 0),
            ]
        ),
        lambda: stub_seeds([svcctl.SVCCTL], False),
    ),
    "control": Target(
        one_of([*directions([control.LANMAN], False), *directions([control.LANMAN], True)]),
        lambda: stub_seeds([control.LANMAN], False),
    ),
    "spnego": Target(spnego.unpack, lambda: tokens_of("")),
    "ntlm": Target(
        one_of(
            [
                ntlm.ChallengeMessage.unpack,
                ntlm.AuthenticateMessage.unpack,
                ntlm.unpack_av_pairs,
                lambda data: ntlm.message_type(data),
                answer_challenge,
            ]
        ),
        lambda: each_with([bytes] * 5, [token[token.find(b"NTLMSSP") :] for token in tokens_of("")]),
        (LanmanError,),
    ),
    "log-on": Target(log_on, log_ons),
    "ksmbd": Target(
        one_of(
            [
                ksmbd.parse_stats,
                ksmbd.parse_sessions,
                ksmbd.parse_session,
                ksmbd.parse_clients,
                ksmbd.parse_shares,
                ksmbd.parse_server,
                ksmbd.parse_files,
                conf.parse_conf,
            ]
        ),
        lambda: each_with([bytes] * 8, files_of("tests/data/ksmbd/*/**/*")()),
        STATUS,
        (b"\n", b"\t", b": ", b"[", b"]", b"=", b"-1", b"0x"),
    ),
    "smbstatus-json": Target(
        parse_json, files_of("tests/data/smbstatus/*.json"), STATUS, (b"{", b"}", b"[", b'"', b":", b"null", b"1e999")
    ),
    "smbstatus-text": Target(
        one_of([parse_text, parse_testparm]),
        lambda: each_with([bytes] * 2, files_of("tests/data/smbstatus/*.txt")()),
        STATUS,
        (b"\n", b"   ", b"----", b"DENY_NONE", b"RDONLY"),
    ),
    "server-toml": Target(text_of(parse_configuration), texts(SERVER_TOML), CONFIGURATION, TOML),
    "lanman-toml": Target(
        one_of([text_of(parse_client_configuration), text_of(parse_credentials)]),
        lambda: each_with([bytes] * 2, texts(LANMAN_TOML, '[a]\nuser = "D\\\\ann"\npassword = "x"\n')()),
        CONFIGURATION,
        TOML,
    ),
    "policies-toml": Target(text_of(parse_policies), texts(POLICIES_TOML), CONFIGURATION, TOML),
    "overlay": Target(lambda data: parse_overlay(data, "settings"), texts(OVERLAY), CONFIGURATION, TOML),
    "accounts": Target(Accounts.parse, texts(ACCOUNTS), (AccountsError, LanmanError), (b"[user ", b"[group ", b" = ")),
    "command-line": Target(command_line, command_lines, (DialectError,), (b"\n/", b"\n--", b"=", b":", b"\n-", b"?")),
    "times": Target(
        text_of(parse_hours),
        texts("M-F,8am-6pm", "M,W,8:00-12:00,13:00-17:00;Sa,9-12", "all", "Sa-M,10 p.m.-6 a.m.", "Th;T;F,24:00-0:00"),
        (ValueError,),
        (b"-", b",", b";", b"am", b"pm", b"Sa", b"24:00", b"\xd9\xa3"),
    ),
    "moment": Target(
        text_of(lambda text: parse_moment(text, 1.7e9)),
        texts(
            "14:05",
            "2026-11-25 14:05:30",
            "yesterday 14:05",
            "now",
            "2026-11-25T13:05:00Z",
            "2026-11-25T13:05:60+01:00",
        ),
        (NotATime,),
        (b"today ", b"-", b":", b"+", b"Z", b".5"),
    ),
    "filter": Target(
        text_of(filters),
        texts("ann", "a*b?c", "!x*", "//fs1/share/a b", "C:/data", "10.0.0.*", "[::1]", "DOM\\ann", "*" * 30 + "a"),
        (LanmanError,),
        (b"*", b"?", b"\\", b"/", b"[", b"]", b"!"),
    ),
    "http": Target(
        HttpRequest,
        texts(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain;q=0.5, */*",
            "HEAD http://x/metrics HTTP/1.0",
        ),
        (ValueError,),
        (b"\r\n", b": ", b" ", b"HTTP/1.1", b"\t"),
    ),
    "event": Target(
        lambda data: [
            control_events.unpack_event(each)
            for each in control_events.WaitForEventsResponse.unpack(data).entries or ()
        ],
        lambda: [bytes(64), bytes(range(200))],
    ),
}
