"""Credentials, and the client's half of a log-on: against our own acceptor, liars, and Debian's smbd."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman import codes
from lanman.auth import ntlm
from lanman.auth.acceptor import Accepted, Acceptor, Refused
from lanman.auth.accounts import Accounts
from lanman.auth.md4 import nt_hash
from lanman.auth.ntlm import ChallengeMessage
from lanman.auth.spnego import (
    KERBEROS_OID,
    MS_KERBEROS_OID,
    NegState,
    NegTokenInit,
    NegTokenResp,
    pack_response,
    unpack,
)
from lanman.errors import AuthenticationError, LanmanError
from lanman.net import initiators
from lanman.net.credentials import Credentials
from lanman.net.initiators import Initiator, KerberosInitiator, initiator_for
from support.smbd import WORKGROUP, Account, Samba

NOW = 1_700_000_000.0


# --- credentials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann", Credentials("ann")),
        ("ann%", Credentials("ann", "")),
        ("ann%a%b\\c", Credentials("ann", "a%b\\c")),
        ("DOM\\ann%x", Credentials("ann", "x", domain="DOM")),
        ("DOM/ann", Credentials("ann", domain="DOM")),
        ("DOM\\ann/x", Credentials("ann/x", domain="DOM")),
        ("ann@dom.example%x@y", Credentials("ann@dom.example", "x@y")),
        ("\\ann", Credentials("ann")),
        ("", Credentials(anonymous=True)),
        ("%", Credentials(password="")),
    ],
)
def test_parse(text: str, expected: Credentials) -> None:
    assert Credentials.parse(text) == expected


def test_nothing_secret_is_shown() -> None:
    shown = repr(Credentials("ann", "Secret1", nt_hash("Secret1"), "DOM"))
    assert "ann" in shown
    assert "DOM" in shown
    assert "Secret1" not in shown
    assert "hash" not in shown


def test_importing_is_cheap() -> None:
    script = "import sys, lanman.net.identity, lanman.net.initiators; "
    script += "print([m for m in sys.modules if m.partition('.')[0] in ("
    script += "'spnego', 'cryptography', 'asyncio', 'click', 'rich')])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="it is the way to Windows' own Kerberos")
def test_elsewhere_than_on_windows_pyspnego_is_not_needed() -> None:
    script = "import sys; sys.modules['spnego'] = None\n"
    script += "from lanman.net.credentials import Credentials\n"
    script += "from lanman.net.identity import identity_of\n"
    script += "from lanman.net.initiators import initiator_for\n"
    script += "for who in (Credentials('ann', 'secret'), Credentials(anonymous=True)):\n"
    script += "    print(initiator_for(who, 'fs1').step(None) is not None, len(identity_of(who)))\n"
    script += "try:\n    initiator_for(Credentials('ann', 'secret', kerberos=True), 'fs1')\n"
    script += "except Exception as error:\n    print(type(error).__name__, error)"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    first, second, *rest = printed.stdout.splitlines()
    assert (first, second, printed.stderr) == ("True 16", "True 16", "")
    # Where the kerberos extra is not installed, its absence is what is complained of.
    assert all("Kerberos is not available here" in line for line in rest)


# --- against our own acceptor


def accounts() -> Accounts:
    accounts = Accounts()
    accounts.add("Ann", "Secret1")
    return accounts


def acceptor() -> Acceptor:
    return Acceptor(accounts(), server_name="SRV", dns_name="srv.example", random=os.urandom)


def talk(client: Initiator, server: Acceptor) -> Accepted | Refused:
    token = client.step(None)
    while True:
        step = server.step(token or b"", NOW)
        if isinstance(step.outcome, Refused):
            return step.outcome
        token = client.step(step.token)
        if step.outcome is not None:
            assert token is None
            assert client.complete
            return step.outcome


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("ann", "Secret1"),
        Credentials("ANN", "Secret1", domain="SRV"),
        Credentials("ann@srv.example", "Secret1"),
        Credentials("SRV\\ann", "Secret1"),
        Credentials("ann", nt_hash=nt_hash("Secret1")),
        Credentials("ann", "overruled", nt_hash=nt_hash("Secret1")),
    ],
)
def test_log_on(credentials: Credentials) -> None:
    client = initiator_for(credentials, "srv")
    assert not client.may_block
    outcome = talk(client, acceptor())
    assert isinstance(outcome, Accepted)
    assert outcome.user_name == "Ann"
    assert outcome.session_key == client.session_key


def test_null_session() -> None:
    client = initiator_for(Credentials(anonymous=True), "srv")
    outcome = talk(client, acceptor())
    assert isinstance(outcome, Accepted)
    assert outcome.anonymous
    assert outcome.session_key == client.session_key == bytes(16)


def test_wrong_password_is_the_servers_to_say() -> None:
    outcome = talk(initiator_for(Credentials("ann", "wrong"), "srv"), acceptor())
    assert outcome == Refused(codes.STATUS_LOGON_FAILURE, "ann", "wrong password")


def test_signed_list_goes_along() -> None:
    client, server = initiator_for(Credentials("ann", "Secret1"), "srv"), acceptor()
    proof = unpack(client.step(server.step(client.step(None) or b"", NOW).token) or b"")
    assert isinstance(proof, NegTokenResp)
    assert proof.mech_list_mic is not None


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        (Credentials("ann"), "no password for ann"),
        (Credentials(password="x"), "needs a user name"),
        (Credentials("ann", nt_hash=b"short"), "16 bytes"),
        (Credentials("\udcff", "x"), "'.udcff' is not a user name"),
    ],
)
def test_credentials_that_cannot_serve(credentials: Credentials, says: str) -> None:
    with pytest.raises(AuthenticationError, match=says):
        initiator_for(credentials, "srv")


@pytest.mark.parametrize("level", ["0", "2", "9", "x"])
def test_environment_cannot_ask_for_less(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", level)  # what some other NTLM implementations obey
    assert isinstance(talk(initiator_for(Credentials("ann", "Secret1"), "srv"), acceptor()), Accepted)


def test_server_with_a_wrong_signature_is_found_out() -> None:
    client, server = initiator_for(Credentials("ann", "Secret1"), "srv"), acceptor()
    client.step(server.step(client.step(None) or b"", NOW).token)
    with pytest.raises(AuthenticationError, match="signature"):
        client.step(pack_response(NegTokenResp(NegState.ACCEPT_COMPLETED, None, None, bytes(16))))
    assert not client.complete


@pytest.mark.parametrize(
    "pairs",
    [
        {ntlm.MsvAvTimestamp: bytes(4)},
        {ntlm.MsvAvTimestamp: b"\xff" * 8},
        {ntlm.MsvAvFlags: b"\x02"},
        {ntlm.MsvAvNbComputerName: b"\x00\xd8"},
        {0x1234: b""},
        {},
    ],
)
def test_challenges_that_make_no_sense(pairs: dict[int, bytes]) -> None:
    client = initiator_for(Credentials("ann", "Secret1"), "srv")
    client.step(None)
    challenge = ChallengeMessage(0xE28A8233, bytes(8), "SRV", pairs).pack()
    try:
        client.step(pack_response(NegTokenResp(NegState.ACCEPT_INCOMPLETE, ntlm.NTLMSSP_OID, challenge)))
    except LanmanError:
        assert pairs
    assert not client.complete


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.booleans())
def test_any_answer_is_understood_or_refused(changes: list[tuple[int, int]], inner: bool) -> None:
    client, server = initiator_for(Credentials("ann", "Secret1"), "srv"), acceptor()
    answer = server.step(client.step(None) or b"", NOW).token
    message = unpack(answer)
    assert isinstance(message, NegTokenResp)
    mutant = bytearray((message.response_token or b"") if inner else answer)
    for at, byte in changes:
        mutant[at % len(mutant)] = byte
    if inner:
        message.response_token = bytes(mutant)
    try:
        client.step(pack_response(message) if inner else bytes(mutant))
    except LanmanError:
        pass
    assert not client.complete


# --- Kerberos


@pytest.mark.posix
def test_kerberos_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initiators, "find_spec", lambda name: None)
    with pytest.raises(AuthenticationError, match="Kerberos is not available") as caught:
        initiator_for(Credentials("ann", "Secret1", kerberos=True), "srv")
    assert caught.value.hint == "pip install 'lanman[kerberos]'"
    assert caught.value.code == codes.ERROR_NOT_SUPPORTED


class _FakeContext:
    """What pyspnego gives on Windows: a ticket, then the server's proof. Elsewhere see test_kerberos.py."""

    complete = False
    session_key = bytes(range(32))

    def step(self, token: bytes | None) -> bytes | None:
        self.complete = token is not None
        return None if token else b"ticket"


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (Credentials(kerberos=True), ("CredentialCache", None)),
        (Credentials("ann", domain="dom.example", kerberos=True), ("CredentialCache", "ann@DOM.EXAMPLE")),
        (Credentials("ann@X.Y", "pw", domain="dom", kerberos=True), ("Password", "ann@X.Y")),
    ],
)
def test_sspi(monkeypatch: pytest.MonkeyPatch, credentials: Credentials, expected: tuple[str, str | None]) -> None:
    import spnego

    asked: dict[str, object] = {}

    def client(who: object, **options: object) -> _FakeContext:
        asked.update(
            options, who=(type(who).__name__, getattr(who, "username", None) or getattr(who, "principal", None))
        )
        return _FakeContext()

    monkeypatch.setattr(initiators, "_ON_WINDOWS", True)
    monkeypatch.setattr(spnego, "client", client)
    initiator = initiator_for(credentials, "fs1.example")
    assert isinstance(initiator, KerberosInitiator)
    assert initiator.may_block
    assert asked == {"who": expected, "hostname": "fs1.example", "service": "cifs", "protocol": "kerberos"}
    first = unpack(initiator.step(None) or b"")
    assert isinstance(first, NegTokenInit)
    assert first.mech_types == [MS_KERBEROS_OID, KERBEROS_OID]  # and no NTLM to fall back to
    assert first.mech_token == b"ticket"
    answer = NegTokenResp(NegState.ACCEPT_COMPLETED, KERBEROS_OID, b"proof")
    assert initiator.step(pack_response(answer)) is None
    assert initiator.complete
    assert initiator.session_key == bytes(range(32))  # whole, for AES-256


def test_kerberos_never_becomes_ntlm(monkeypatch: pytest.MonkeyPatch) -> None:
    import spnego

    monkeypatch.setattr(initiators, "_ON_WINDOWS", True)
    monkeypatch.setattr(spnego, "client", lambda *_, **__: _FakeContext())
    initiator = initiator_for(Credentials(kerberos=True), "fs1")
    initiator.step(None)
    with pytest.raises(AuthenticationError, match="another way"):
        initiator.step(pack_response(NegTokenResp(NegState.REQUEST_MIC, ntlm.NTLMSSP_OID)))


def test_windows_keeps_its_tickets_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initiators, "_ON_WINDOWS", True)
    with pytest.raises(AuthenticationError, match="no keytab or ticket cache"):
        initiator_for(Credentials("ann", kerberos=True, keytab="/k"), "fs1")


# --- Debian's smbd, asked with the few bytes of SMB 2.1 that a log-on needs


class RawClient:
    """SMB 2.1 by hand: NEGOTIATE, SESSION_SETUP and TREE_CONNECT (MS-SMB2 2.2.1, 2.2.3, 2.2.5, 2.2.9)."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.message_id = self.session_id = self.round_trips = 0
        self.key: bytes | None = None
        self.flags = 0
        status, _ = self.ask(0, struct.pack("<HHHHI16s8sH", 36, 1, 1, 0, 0, bytes(16), bytes(8), 0x0210))
        assert status == 0

    def ask(self, command: int, body: bytes) -> tuple[int, bytes]:
        flags = 8 if self.key is not None else 0
        head = struct.pack(
            "<4sHHIHHIIQIIQ16s",
            b"\xfeSMB",
            64,
            1,
            0,
            command,
            8,
            flags,
            0,
            self.message_id,
            0,
            0,
            self.session_id,
            bytes(16),
        )
        message = head + body
        if self.key is not None:
            message = message[:48] + hmac.digest(self.key, message, hashlib.sha256)[:16] + message[64:]
        self.message_id += 1
        self.socket.sendall(struct.pack(">I", len(message)) + message)
        answer = self._read(struct.unpack(">I", self._read(4))[0])
        self.session_id = struct.unpack_from("<Q", answer, 40)[0]
        return struct.unpack_from("<I", answer, 8)[0], answer

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, "smbd hung up"
            data += part
        return data

    def log_on(self, initiator: Initiator) -> int:
        token = initiator.step(None)
        while True:
            token = token or b""
            body = struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 88, len(token), 0) + token
            status, answer = self.ask(1, body)
            self.round_trips += 1
            if status not in (0, codes.STATUS_MORE_PROCESSING_REQUIRED):
                return status
            self.flags, offset, length = struct.unpack_from("<HHH", answer, 66)
            token = initiator.step(answer[offset : offset + length])
            if status == 0:
                assert token is None
                return status

    def tree_connect(self) -> int:
        path = "\\\\127.0.0.1\\IPC$".encode("utf-16-le")
        return self.ask(3, struct.pack("<HHHH", 9, 0, 72, len(path)) + path)[0]


@pytest.fixture
def client(samba: Samba) -> Iterator[RawClient]:
    client = RawClient(samba.port)
    yield client
    client.socket.close()


def credentials_of(account: Account, *, domain: str = "", hashed: bool = False) -> Credentials:
    if hashed:
        return Credentials(account.user_name, nt_hash=nt_hash(account.password), domain=domain)
    return Credentials(account.user_name.upper(), account.password, domain=domain)


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.parametrize("domain", ["", WORKGROUP, "SAMBA"])
@pytest.mark.parametrize("hashed", [True, False])
def test_smbd(client: RawClient, samba: Samba, domain: str, hashed: bool) -> None:
    initiator = initiator_for(credentials_of(samba.user, domain=domain, hashed=hashed), "127.0.0.1")
    assert client.log_on(initiator) == 0
    assert client.round_trips == 2  # Samba takes a third where the list of mechanisms is not signed
    assert initiator.complete
    client.key = initiator.session_key
    assert client.tree_connect() == 0
    client.key = bytes(16)
    assert client.tree_connect() == codes.STATUS_ACCESS_DENIED  # so the key that was right did matter


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.parametrize("user", ["daemon", "nosuchuser", "daemon@LANMANTEST"])
def test_smbd_refuses(client: RawClient, user: str) -> None:
    assert client.log_on(initiator_for(Credentials(user, "wrong"), "127.0.0.1")) == codes.STATUS_LOGON_FAILURE


@pytest.mark.samba
@pytest.mark.root
def test_smbd_null_session(client: RawClient) -> None:
    initiator = initiator_for(Credentials(anonymous=True), "127.0.0.1")
    assert client.log_on(initiator) == 0
    assert initiator.complete
    assert not client.flags & 1  # nobody, which is not the guest; smbd 4.17 does not set IS_NULL either
    assert client.tree_connect() == 0


@pytest.mark.samba
@pytest.mark.root
def test_smbd_that_makes_strangers_guests(start_samba: Callable[..., Samba]) -> None:
    client = RawClient(start_samba({"map to guest": "bad user"}).port)
    with client.socket:
        initiator = initiator_for(Credentials("nosuchuser", "x"), "127.0.0.1")
        assert client.log_on(initiator) == 0
        assert initiator.complete  # it is for the flags to tell that this was no log-on of ours
        assert client.flags & 1
