"""Where browsers come to: who may, over real sockets, and how slow and how many they may be."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lanman.errors import LanmanError
from lanman.faces.web import listening
from lanman.faces.web.console import Console
from lanman.faces.web.listening import Door, Listening, names_in_certificate
from lanman.faces.web.program import WebConsole
from lanman.faces.web.protection import SOCKET
from support.waiting import until

GET = b"GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def serving(**how: Any) -> AsyncIterator[WebConsole]:
    async with WebConsole(Console([]), Listening(**{"place": "127.0.0.1:0", **how})) as running:
        yield running


async def connect(running: WebConsole, **how: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert running._opened is not None
    if running._opened.place.path is not None:
        return await asyncio.open_unix_connection(str(running._opened.place.path), **how)
    return await asyncio.open_connection("127.0.0.1", running._opened.place.port, **how)


async def exchange(running: WebConsole, request: bytes, **how: Any) -> bytes:
    """Everything that comes until the console ends the connection."""
    reader, writer = await connect(running, **how)
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def door(running: WebConsole) -> Door:
    assert running._serving is not None
    return running._serving.door


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of console.example.com and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console")])
    names = [x509.DNSName("Console.example.com"), x509.DNSName("*.apps.example.com")]
    begin = datetime.datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365 * 80))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "locked.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a word"),
        )
    )
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


# --- who may come


@pytest.mark.parametrize("place", ["0.0.0.0:0", "[::]:0", "192.0.2.1:8445"])
def test_without_tls_others_are_not_listened_to(place: str) -> None:
    with pytest.raises(LanmanError, match="passwords would travel in the clear") as refused:
        Listening(place).opened()
    assert refused.value.code == 87
    assert "--tls-cert" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "how",
    [
        {"place": "fs1:8445"},
        {"place": "unix:relative"},
        {"tls_key": "key.pem"},
        {"user_header": "X-Remote-User"},
        {"trust_proxy": "10.0.0.7", "user_header": "X Remote"},
        {"trust_proxy": "proxy.example.com"},
        {"trust_proxy": "10.0.0.0/8"},
        {"trust_proxy": "unix"},
        {"place": "unix:/tmp/x", "trust_proxy": "10.0.0.7"},
        {"allow_hosts": ("a b",)},
        {"allow_hosts": ("",)},
        {"allow_hosts": ("*",)},
        {"allow_hosts": ("console.example.com:443",)},
    ],
)
def test_what_does_not_go_together(how: dict[str, Any]) -> None:
    with pytest.raises(LanmanError) as refused:
        Listening(**how).opened()
    assert (refused.value.code, bool(refused.value.hint)) == (87, True)


def test_beyond_this_machine_with_a_proxy_in_front() -> None:
    opened = Listening("0.0.0.0:0", trust_proxy="10.0.0.7", user_header="X-Remote-User", allow_hosts=("C.Example.com",))
    found = opened.opened()
    found.place.close()
    assert (found.rules.proxy, found.rules.proxy_only, found.rules.user_header) == ("10.0.0.7", True, "x-remote-user")
    assert {"localhost", "c.example.com"} <= found.rules.hosts


async def test_a_socket_is_for_its_owner_alone_and_goes_with_the_console(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    async with serving(place=f"unix:{path}") as running:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await exchange(running, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).startswith(
            b"HTTP/1.1 200 "
        )
        with pytest.raises(LanmanError, match="another program listens"):
            Listening(f"unix:{path}").opened()
        assert (running.url, running.link, bool(running.once)) == (None, None, True)
    assert not path.exists()


async def test_behind_a_proxy_there_is_no_link(tmp_path: Path) -> None:
    async with serving(place=f"unix:{tmp_path}/web.sock", trust_proxy=SOCKET) as running:
        assert running.once is None
    async with serving() as running:
        assert running.link == f"http://{running.where}/#once={running.once}"


# --- TLS


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_from_1_2_on_for_the_names_of_the_certificate(certificate: tuple[str, str]) -> None:
    assert names_in_certificate(certificate[0]) == {"console.example.com", "*.apps.example.com"}
    async with serving(place="0.0.0.0:0", tls_cert=certificate[0], tls_key=certificate[1]) as running:
        assert (running.url or "").startswith("https://console.example.com:")
        trusting = ssl.create_default_context(cafile=certificate[0])
        how = {"ssl": trusting, "server_hostname": "console.example.com"}
        request = GET.replace(b"localhost", b"a.apps.example.com").replace(
            b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
        )
        assert (await exchange(running, request, **how)).startswith(b"HTTP/1.1 200 ")
        other = request.replace(b"a.apps", b"evil")
        assert (await exchange(running, other, **how)).startswith(b"HTTP/1.1 421 ")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(running, ssl=old)
        await until(lambda: len(door(running)) == 0)


async def test_a_handshake_that_does_not_come(certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HANDSHAKE_TIMEOUT", 0.05)
    async with serving(tls_cert=certificate[0], tls_key=certificate[1]) as running:
        assert await exchange(running, b"") == b""
        assert await exchange(running, b"GET / HTTP/1.1\r\n\r\n" * 4) == b""
        await until(lambda: len(door(running)) == 0)


def test_what_is_no_certificate(certificate: tuple[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("nothing")
    for cert, key, code, words in (
        (str(tmp_path / "missing.pem"), None, 2, "missing.pem"),
        (certificate[0], str(tmp_path / "missing.pem"), 2, "missing.pem"),
        (certificate[0], None, 13, "cert.pem"),
        (str(other), certificate[1], 13, "other.pem"),
        (certificate[0], str(tmp_path / "locked.pem"), 13, "a password"),
    ):
        with pytest.raises(LanmanError, match=words) as refused:
            Listening("127.0.0.1:0", tls_cert=cert, tls_key=key).opened()
        assert refused.value.code == code


# --- how slow, how long, how many


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_head_that_does_not_come(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_TIMEOUT", 0.05)
    async with serving() as running:
        assert await exchange(running, sent) == b""
        await until(lambda: len(door(running)) == 0)


async def test_a_head_that_comes_byte_by_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_TIMEOUT", 0.2)
    async with serving() as running:
        reader, writer = await connect(running)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):  # noqa: PT012
            for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 10000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.01)
            await reader.readexactly(1)
        writer.close()


async def test_a_request_with_two_lengths_is_none_and_what_follows_it_neither() -> None:
    async with serving() as running:
        head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        hidden = b"GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        for lengths in (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 0",
        ):
            answer = await exchange(running, head + lengths + b"\r\n\r\n0\r\n\r\n" + hidden)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_head_that_is_too_long() -> None:
    async with serving() as running:
        answer = await exchange(running, b"GET / HTTP/1.1\r\nX: " + b"a" * 100000)
        assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")) or answer == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", 413),
        (b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n", 415),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", 400),
    ],
)
async def test_a_body_without_end_ends_the_connection(head: bytes, status: int) -> None:
    async with serving() as running:
        reader, writer = await connect(running)
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")

        async def flood() -> None:
            while True:
                writer.write(b"2000\r\n" + b" " * 8192 + b"\r\n")
                await writer.drain()

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(30):
            assert (await reader.readline()).startswith(b"HTTP/1.1 %d " % status)
            with pytest.raises(ConnectionError):
                await flooding
            await until(lambda: len(door(running)) == 0)
        writer.close()


async def test_an_answer_that_nobody_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SEND_TIMEOUT", 0.05)
    async with serving() as running:
        receiver = socket.socket()
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.connect(("127.0.0.1", int(running.where.rpartition(":")[2])))
        receiver.setblocking(False)
        request = b"GET /js/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(receiver, request * 400)
        await until(lambda: len(door(running)) == 0)
        receiver.close()


@pytest.mark.parametrize(
    "path", [b"/../console.py", b"/js/../../console.py", b"/js/..%2f..%2fconsole.py", b"//console.py", b"/%00", b"/%ff"]
)
async def test_no_path_as_it_is_sent_leads_out(path: bytes) -> None:
    async with serving() as running:
        answer = await exchange(running, b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
        assert answer.startswith(b"HTTP/1.1 404 ")
        answer = await exchange(running, b"GET http://evil/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.split(b" ")[1] in (b"400", b"404")


async def test_only_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening.Door.__init__, "__defaults__", (8, 5))
    async with serving() as running:
        held = [await connect(running) for _ in range(5)]
        await until(lambda: len(door(running)) == 5)
        assert await exchange(running, GET) == b""  # one of this address is too many
        for _, writer in held:
            writer.close()
        await until(lambda: len(door(running)) == 0)
        closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert (await exchange(running, closing)).startswith(b"HTTP/1.1 200 ")


async def test_whoever_asks_nothing_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening.Door.__init__, "__defaults__", (4, 4))
    async with serving() as running:
        held = [await connect(running, local_addr=(f"127.0.0.{number}", 0)) for number in range(2, 6)]
        await until(lambda: len(door(running)) == 4)
        held[1][1].write(GET)  # this one has asked after the others
        assert (await held[1][0].readline()).startswith(b"HTTP/1.1 200 ")
        closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        for number, (reader, _) in ((0, held[0]), (2, held[2])):
            assert (await exchange(running, closing)).startswith(b"HTTP/1.1 200 "), number
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            held.append(await connect(running, local_addr=("127.0.0.9", 0)))
            await until(lambda: len(door(running)) == 4)
        held[1][1].write(GET)
        async with asyncio.timeout(60):
            while b"HTTP/1.1 200 " not in await held[1][0].readline():
                pass
        for _, writer in held:
            writer.close()
        await until(lambda: len(door(running)) == 0)
        assert running._serving is not None
        assert running._serving._waiting == {}


def test_who_is_counted_as_one() -> None:
    door = Door("10.0.0.7", most=6, most_of_one=2)
    assert [door.enter(f"2001:db8::{number}") for number in range(1, 4)] == [True, True, False]
    assert [door.enter("10.0.0.7") for _ in range(3)] == [True, True, True]
    assert [door.enter(SOCKET), door.enter("10.0.0.8")] == [True, False]
    for peer in ("2001:db8::9", "2001:db8::9", *["10.0.0.7"] * 3, SOCKET):
        door.leave(peer)
    assert len(door) == 0


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX")
async def test_what_is_no_http(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as running:
        for sent in (
            b"\x16\x03\x01\x02\x00" * 50,
            b"GET / HTTP/9.9\r\n\r\n",
            b"G\xff\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            assert (await exchange(running, sent)).startswith(b"HTTP/1.1 400 ")
        await until(lambda: len(door(running)) == 0)
