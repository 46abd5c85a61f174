"""A mail server and a web service that do as they are told, and keep what they were sent."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path, name: str = "localhost") -> Path:
    """A certificate for a name and 127.0.0.1 that signs itself, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def server_context(path: Path) -> ssl.SSLContext:
    """What a server proves itself by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@dataclass
class MailServer:
    """An SMTP server (RFC 5321). `answers` replaces what it says to a command, "greeting" and "." (the end of DATA)
    among them; None is silence for ever, and "drip" begins an answer that never ends."""

    context: ssl.SSLContext | None = None
    answers: dict[str, str | None] = field(default_factory=dict)
    port: int = 0
    letters: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self, *, tls: bool = False) -> AsyncIterator[MailServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context if tls else None)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _say(self, writer: asyncio.StreamWriter, command: str, usual: str) -> None:
        answer = self.answers.get(command, usual)
        if answer is None:
            await asyncio.Event().wait()
        while answer == "drip":
            writer.write(b"220-\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(f"{answer}\r\n".encode())
        await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.left.set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "greeting", "220 mx")
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            command = line.split()[0].upper()
            if command == "EHLO":
                offer = "" if self.context is None else "250-STARTTLS\r\n"
                await self._say(writer, command, f"250-mx\r\n{offer}250 AUTH PLAIN")
            elif command == "STARTTLS":
                await self._say(writer, command, "220 go")
                assert self.context is not None
                await writer.start_tls(self.context)
            elif command == "AUTH":
                await self._say(writer, command, "235 ok")
            elif command == "DATA":
                await self._say(writer, command, "354 go")
                letter = (await reader.readuntil(b"\r\n.\r\n")).decode()
                await self._say(writer, ".", "250 taken")
                self.letters.append(letter)
            elif command == "QUIT":
                await self._say(writer, command, "221 bye")
                return
            else:
                await self._say(writer, command, "250 ok")


@dataclass
class WebService:
    """A web service (HTTP/1.1). `answer` is all that it says; None is silence for ever."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    port: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator[WebService]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(line for line in head.splitlines() if line.casefold().startswith("content-length"))
            self.requests.append((head, await reader.readexactly(int(length.split(":")[1]))))
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
            else:
                await reader.read()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.left.set()
