"""Devices that cannot do what is required: the log says what they lack, and what the choices are."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from lanman import codes
from lanman.auth.ntlm import AuthenticateMessage
from lanman.domain import STYPE_DISKTREE, LogonRefused, Reason, Share
from lanman.server.refusals import CHOICES, REMEMBERED, Refusals
from lanman.smb2.header import Header
from lanman.smb2.messages import EchoRequest, NegotiateRequest, SessionSetupRequest, TreeConnectRequest
from support.memory_server import Client, World


def told(world: World) -> list[LogonRefused]:
    return [event for event in world.events if isinstance(event, LogonRefused)]


def unsigned(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """From now on it does not sign."""

    def header(session: Any, header: Header, body: Any) -> bytes:
        return header.pack()

    monkeypatch.setattr(client.core, "_sign", header)
    return client


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302, 0x0311])
def test_a_device_that_does_not_sign(dialect: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = unsigned(world.connect(dialects=(dialect,)).log_on("ann"), monkeypatch)
    for _ in range(3):
        client.core.send(TreeConnectRequest(0, r"\\server\IPC$"), session_id=client.session_id)
        try:
            world.pump()
        except Exception:  # noqa: BLE001
            pass  # our client does not take an answer that is not protected
        if client.finished:
            break
    (event,) = told(world)  # once for a connection
    assert (event.client_name, event.user_name, event.reason) == (client.connection.client_name, "ann", Reason.UNSIGNED)
    assert event.reason.value == "does not sign; signing is required"
    assert '[server] signing = "offered"' in event.detail
    assert [each.reason for each in world.dispatch.refusals.recent()] == [Reason.UNSIGNED]


def test_a_device_that_signs_wrongly_is_not_one_that_does_not_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = world.connect(dialects=(0x0302,)).log_on("ann")
    monkeypatch.setattr(
        client.core, "_sign", lambda session, header, body: header.pack()[:16] + bytes([8]) + header.pack()[17:]
    )
    client.core.send(EchoRequest(), session_id=client.session_id)
    try:
        world.pump()
    except Exception:  # noqa: BLE001
        pass
    assert told(world) == []


def test_a_client_of_ntlmv1() -> None:
    world = World()
    client = world.connect()
    finish = client.log_on_step_by_step("ann")
    (logon,) = client.connection.logons.values()
    token = AuthenticateMessage(0xE28A8233, bytes(24), bytes(24), "", "ann", "").pack()
    step = logon.acceptor._ntlm.step
    logon.acceptor._ntlm.step = lambda wrong, now: step(token, now)  # type: ignore[method-assign, assignment]
    assert finish().status == codes.STATUS_LOGON_FAILURE
    (event,) = told(world)
    assert event.reason is Reason.NTLMV1
    assert "LmCompatibilityLevel" in event.detail


def test_a_client_of_smb1_alone() -> None:
    world = World()
    client = world.arrive()
    frame = b"\xffSMB\x72" + bytes(27) + b"\0" + (14).to_bytes(2, "little") + b"\x02NT LM 0.12\0"
    client.connection.receive_data(len(frame).to_bytes(4, "big") + frame, world.now)
    world.pump()
    assert [(event.reason, event.detail) for event in told(world)] == [(Reason.SMB1, CHOICES[Reason.SMB1])]
    assert client.finished


def test_a_client_that_does_not_encrypt() -> None:
    world = World(encryption="required")
    client = world.connect(dialects=(0x0210,))
    client.ask(SessionSetupRequest(0, 1, 0, 0, b"", 0), session_id=0, tree_id=0)
    assert [(event.reason, event.detail) for event in told(world)] == [
        (Reason.UNENCRYPTED, CHOICES[Reason.UNENCRYPTED])
    ]


def test_a_share_that_is_for_clients_that_encrypt() -> None:
    world = World()
    world.service.add_share(Share("secret", STYPE_DISKTREE, path="/srv", encrypt_data=True))
    client = world.connect(dialects=(0x0210,)).log_on("ann")
    for _ in range(2):
        assert client.ask(TreeConnectRequest(0, r"\\server\secret"), tree_id=0).status == codes.STATUS_ACCESS_DENIED
    assert [event.reason for event in told(world)] == [Reason.UNENCRYPTED_SHARE]


def test_the_record_is_bounded_and_counts() -> None:
    refusals = Refusals()
    for number, now in zip(range(2 * REMEMBERED), itertools.count(1), strict=False):
        refusals.add(LogonRefused(1, 0.0, f"\\\\{number}", "", Reason.SMB1), now)
    refusals.add(LogonRefused(1, 0.0, "\\\\5000", "ann", Reason.UNSIGNED, "what"), 10_000)
    refusals.add(LogonRefused(1, 0.0, "\\\\5000", "bob", Reason.UNSIGNED, "what"), 10_001)
    recent = refusals.recent()
    assert len(recent) == REMEMBERED
    last = recent[0]
    assert (last.client_name, last.count, last.first, last.last, last.user_name) == (
        "\\\\5000",
        2,
        10_000,
        10_001,
        "bob",
    )


def test_negotiate_is_no_refusal() -> None:
    world = World()
    world.connect().log_on("ann").bind()
    assert told(world) == []
    assert NegotiateRequest is not None
