"""What doctor says where there is no server, or none that speaks SMB 2; and that any bytes at all lead to a report."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

import pytest

from lanman.errors import Win32Error
from lanman.manage.doctor.report import Diagnosis, Mark, Verdict
from lanman.manage.doctor.run import doctor
from lanman.net import client as net_client
from lanman.net.credentials import Credentials
from support.waiting import free_port

NULL = Credentials(anonymous=True)


@contextlib.asynccontextmanager
async def answering(data: bytes | None, *, hang_up: bool = False) -> AsyncIterator[int]:
    """The port of a peer that answers every message with `data`, or says nothing."""

    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                if hang_up:
                    break
                writer.write(data or b"")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(lambda *ends: tasks.add(asyncio.create_task(serve(*ends))), "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
    await asyncio.gather(*tasks)


async def stopped(port: int, **options: float) -> tuple[str, str | None, Verdict]:
    """The one problem that was found there, its cause, and the verdict."""
    return only(await doctor("127.0.0.1", NULL, port=port, **options))  # type: ignore[arg-type]


def only(diagnosis: Diagnosis) -> tuple[str, str | None, Verdict]:
    (problem,) = diagnosis.problems
    assert problem.why
    assert problem.fix
    assert problem.stops
    assert all(finding.mark is not Mark.OK for finding in diagnosis.findings if finding.category == "levels")
    return problem.id, problem.cause, diagnosis.verdict()


async def test_a_closed_port() -> None:
    assert await stopped(free_port()) == ("LD012", "closed", Verdict.NO_ANSWER)


async def test_a_port_that_accepts_and_says_nothing() -> None:
    async with answering(None) as port:
        assert await stopped(port, deadline=2) == ("LD013", "says-nothing", Verdict.NO_ANSWER)


async def test_a_host_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(net_client, "dial", never)
    assert await stopped(445, deadline=1) == ("LD012", "silent", Verdict.NO_ANSWER)


@pytest.mark.parametrize(
    ("reason", "cause"), [(socket.EAI_NONAME, "unknown-name"), (socket.EAI_AGAIN, "name-service-silent")]
)
async def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch, reason: int, cause: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(reason, "no")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert only(await doctor("fs1", NULL)) == ("LD011", cause, Verdict.NO_ANSWER)


async def test_a_name_service_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> list[object]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(net_client, "resolve", never)
    assert only(await doctor("fs1", NULL, deadline=1)) == ("LD011", "name-service-silent", Verdict.NO_ANSWER)


async def test_another_service_has_the_port() -> None:
    async with answering(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert await stopped(port) == ("LD013", "not-smb", Verdict.NO_ANSWER)


async def test_a_server_of_smb_1_alone() -> None:
    header = b"\xffSMB\x72" + bytes(27)
    async with answering(len(header).to_bytes(4, "big") + header) as port:
        assert await stopped(port) == ("LD020", "smb1-only", Verdict.PROBLEMS)


async def test_a_server_that_hangs_up_on_the_first_message() -> None:
    async with answering(None, hang_up=True) as port:
        assert await stopped(port) == ("LD020", "hung-up", Verdict.PROBLEMS)


async def test_any_bytes_lead_to_a_report() -> None:
    generator = random.Random(20261126)
    for _ in range(60):
        body = generator.randbytes(generator.randrange(200))
        head = generator.choice([b"\xfeSMB@\0", b"\xffSMB", b"\xfdSMB", b""])
        frame = head + body
        async with answering(len(frame).to_bytes(4, "big") + frame) as port:
            diagnosis = await doctor("127.0.0.1", Credentials("ann", "secret"), port=port, deadline=2)
        assert len(diagnosis.problems) == 1, frame.hex()


async def test_arguments_that_cannot_be_right() -> None:
    for server, options, code in (("fs1:x", {}, 87), ("", {}, 2351), ("fs1", {"checks": ["LD999"]}, 87)):
        with pytest.raises(Win32Error) as caught:
            await doctor(server, NULL, **options)  # type: ignore[arg-type]
        assert caught.value.code == code
