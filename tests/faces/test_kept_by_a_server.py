"""Files that a real Server keeps for clients whose connections were cut: lists, explain and drains by the command, over
the control socket and over the network."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from lanman.net.client import SmbClient
from lanman.smb2.constants import (
    FILE_OPEN_IF,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_OPLOCK_LEVEL_BATCH,
)
from lanman.smb2.messages import CreateContext, CreateDurableHandleV2, CreateRequest, CreateResponse
from support.process_server import GENERIC_READ, Stage
from support.waiting import wait_until

pytestmark = pytest.mark.posix

USERS = ("ann", "bob", "carol", "dave")


def create(name: str, number: int) -> CreateRequest:
    asked = CreateDurableHandleV2(300_000, 0, number.to_bytes(16, "little"))
    return CreateRequest(
        name=name,
        desired_access=GENERIC_READ,
        share_access=7,
        create_disposition=FILE_OPEN_IF,
        requested_oplock_level=SMB2_OPLOCK_LEVEL_BATCH,
        contexts=[CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, asked.pack())],
    )


async def open_durably(client: SmbClient, user: str, many: int) -> None:
    tree = await client.tree_connect("projects")
    for at in range(0, many, 50):
        requests = [create(f"{user}-{number}", number) for number in range(at, min(at + 50, many))]
        for answer in await client.request_all(requests, tree):
            made = answer.message
            assert isinstance(made, CreateResponse), hex(answer.status)
            assert SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2 in [each.name for each in made.contexts]


def asked(stage: Stage, command: str, *statuses: int) -> Any:
    result = stage.run(f"lanman {command} --json")
    assert result.status in (statuses or (0,)), result
    return json.loads(result.out)


@pytest.mark.parametrize("many", [40, pytest.param(2_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_what_a_server_keeps_for_lost_clients_is_listed_explained_and_drained(many: int) -> None:
    """Of each of four users: 8,000 in all are what a Server takes with 20,000 descriptors."""
    with Stage() as stage:
        stage.start()
        for place, user in enumerate(USERS):
            client = stage.connect(user, 21 + place)
            stage.do(open_durably(client, user, many))
            stage.do(client.abort())
        wait_until(lambda: asked(stage, "session")["sessions"] == [])
        kept = dict.fromkeys(USERS, many)

        told = asked(stage, "file")["files"]
        assert Counter(each["owner"] for each in told) == kept
        assert {each["user_name"] for each in told} == {""}
        listed = asked(stage, "file -S fs1 -U ann")["files"]
        assert {each["id"] for each in listed} >= {each["id"] for each in told}
        holders = asked(stage, "explain '/srv/projects/bob-*'")["holders"]
        assert Counter(each["owner"] for each in holders) == {"bob": many}

        assert len(asked(stage, "drain --check --share projects", 3)["left"]) == many * len(USERS)
        done = stage.run("lanman drain --share projects --grace 0 --end all --quiet-for 0 /y")
        assert done.status == 0, done
        assert asked(stage, "file")["files"] == []
