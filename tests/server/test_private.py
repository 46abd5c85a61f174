"""The private interface: for administrators of the machine alone."""

from __future__ import annotations

from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError
from lanman.records import SessionDetails
from lanman.rpc.ndr import Call
from lanman.rpc.private import GetSessionDetails, Reload, Stop
from lanman.server.private import PrivateEndpoint
from lanman.server.rights import Caller
from lanman.service import ServerService

ROOT = Caller("root", local_admin=True)


@pytest.fixture
def done() -> list[Any]:
    return []


@pytest.fixture
def endpoint(done: list[Any]) -> PrivateEndpoint:
    service = ServerService()
    service.register_session(
        1,
        1,
        "192.0.2.7",
        "ann",
        now=0,
        domain="WORK",
        groups=frozenset({"Users", "Administrators"}),
        address="192.0.2.7:50000",
        dialect="3.1.1",
        signing="AES-GMAC",
    )

    def reload() -> None:
        done.append("reload")
        if len(done) > 1:
            raise LanmanError("line 3")

    return PrivateEndpoint(service, stop=lambda grace: done.append(grace), reload=reload)


def test_details(endpoint: PrivateEndpoint) -> None:
    answer = endpoint.call(ROOT, GetSessionDetails(), 5)
    assert GetSessionDetails().answer(answer.pack()).entries == [
        SessionDetails(
            1, r"\\192.0.2.7", "ann", "WORK", "192.0.2.7:50000", "3.1.1", "AES-GMAC", "", "Administrators,Users"
        )
    ]
    assert endpoint.call(ROOT, GetSessionDetails(1), 5).status == codes.ERROR_INVALID_LEVEL


def test_stop_and_reload(endpoint: PrivateEndpoint, done: list[Any]) -> None:
    assert endpoint.call(ROOT, Reload(), 5).status == 0
    assert endpoint.call(ROOT, Stop(3), 5).status == 0
    assert endpoint.call(ROOT, Reload(), 5).status == codes.ERROR_INVALID_DATA
    assert done == ["reload", 3, "reload"]


@pytest.mark.parametrize("request_", [GetSessionDetails(), Reload(), Stop()])
def test_nobody_else(endpoint: PrivateEndpoint, done: list[Any], request_: Call[Any]) -> None:
    administrator = Caller("ann", frozenset({"Administrators"}))
    answer = endpoint.call(administrator, request_, 5)
    assert isinstance(answer, request_.response)
    assert (answer.status, getattr(answer, "entries", None), done) == (codes.ERROR_ACCESS_DENIED, None, [])
