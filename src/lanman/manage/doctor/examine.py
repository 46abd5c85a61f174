"""Finding out: one connection, one log-on, and a few questions, none of which changes anything.

Rules:

  - Each step and each question has `deadline` seconds. After one that ran out, or a lost connection, nothing more is
    asked: a server that does not answer is not asked nine times more.
  - What is refused is an answer, and the next question is asked all the same. Levels are asked for from the richest
    down to the first that is granted.
  - A list is asked for with little room: that a part of it comes is grant enough, and how many there are in all stands
    in the answer. Some servers give all of it whatever room there is.
  - The session is logged off and the connection closed before the facts are handed back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError, ProtocolError
from lanman.manage.doctor.facts import Answer, Clock, Facts, Stage, Way
from lanman.manage.link import is_samba
from lanman.manage.manager import SESSION_LEVELS, Manager
from lanman.manage.srvsvc import SERVER_LEVELS
from lanman.net.approach import PLAIN, Approach
from lanman.net.client import Pipe, SmbClient
from lanman.net.dial import Within
from lanman.net.server_facts import is_lanman
from lanman.rpc.ndr import Call, Response
from lanman.rpc.srvsvc.files import NetrFileEnum
from lanman.rpc.srvsvc.server import NetrRemoteTOD, NetrServerGetInfo
from lanman.rpc.srvsvc.sessions import NetrSessionEnum

R = TypeVar("R", bound=Response)
Ask = Callable[[Call[Any]], Awaitable[Any]]

# The room that a list is asked for with, in bytes.
ROOM: Final = 65536
FILE_LEVEL: Final = 3

_GRANTED: Final = frozenset({codes.ERROR_SUCCESS, codes.ERROR_MORE_DATA, codes.NERR_BufTooSmall})


async def examine_over_smb(facts: Facts, deadline: float, *, encrypt: bool = False, approach: Approach = PLAIN) -> None:
    """Go as far as `facts.wanted` says, and write down what was found. Raises nothing that a server can cause."""
    client = SmbClient(facts.server, facts.port, facts.credentials, encrypt=encrypt, approach=approach)
    pipe: Pipe | None = None

    async def dial() -> None:
        begun = time.monotonic()
        await client.dial()
        facts.connect_seconds = time.monotonic() - begun

    async def tree() -> None:
        await client.tree_connect("IPC$")

    async def open_pipe() -> None:
        nonlocal pipe
        pipe = await client.open_pipe("srvsvc")

    async def ask() -> None:
        assert pipe is not None
        await ask_by_calls(facts, pipe.call, f"\\\\{facts.server}", deadline, lambda: client.doing)

    async def negotiate() -> None:
        await client.negotiate()
        _note_told(facts, client)

    steps: tuple[tuple[Stage, Callable[[], Awaitable[None]]], ...] = (
        (Stage.RESOLVED, client.resolve),
        (Stage.CONNECTED, dial),
        (Stage.NEGOTIATED, negotiate),
        (Stage.LOGGED_ON, client.log_on),
        (Stage.TREE, tree),
        (Stage.PIPE, open_pipe),
    )
    try:
        for stage, step in steps:
            if stage > facts.wanted:
                break
            if stage is Stage.LOGGED_ON and approach.before_logon is not None:
                await approach.before_logon(client.facts)
            async with Within(deadline, lambda: client.doing, server=facts.server):
                await step()
            facts.stage = stage
        if facts.wanted >= Stage.ASKED:
            await ask()  # each question has its own time
            facts.stage = Stage.ASKED
    except LanmanError as error:
        facts.failure = error
    finally:
        _note(facts, client)
        with contextlib.suppress(LanmanError):
            async with Within(deadline, lambda: client.doing):
                await client.close()
        await client.abort()


def _note(facts: Facts, client: SmbClient) -> None:
    """What the client knows by now."""
    facts.addresses = list(dict.fromkeys(where[0] for _, where in client.addresses))
    facts.address = client.address
    facts.refused, facts.became = client.refused, client.became
    if facts.stage >= Stage.NEGOTIATED:
        facts.told = client.facts


def _note_told(facts: Facts, client: SmbClient) -> None:
    """What the NEGOTIATE told, its clock among it."""
    facts.told = told = client.facts
    facts.is_samba, facts.is_lanman = is_samba(told.server_guid), is_lanman(told.server_guid)
    if told.negotiate_time is not None:
        facts.clock = Clock(told.negotiate_time - time.time(), "NEGOTIATE")


async def ask_by_calls(facts: Facts, call: Ask, unc: str | None, deadline: float, doing: Callable[[], str]) -> None:
    """Ask the calls of MS-SRVS for what there is to know. Raises ConnectionLost, TimedOut and ProtocolError where
    there is no sense in asking more."""

    async def ask(request: Call[R]) -> tuple[Answer, R | None]:
        begun = time.monotonic()
        try:
            async with Within(deadline, doing, server=facts.server):
                response: R = await call(request)
        except (ConnectionLost, ProtocolError):
            raise
        except LanmanError as error:
            return Answer(error.code, error, fault=True, seconds=time.monotonic() - begun), None
        status: int = getattr(response, "status", 0)
        code = 0 if status in _GRANTED else status
        count = getattr(response, "total_entries", None) if code == 0 else None
        return Answer(code, count=count, seconds=time.monotonic() - begun), response

    for level in SESSION_LEVELS:
        facts.levels[level], _ = await ask(
            NetrSessionEnum(unc, None, None, level, prefered_maximum_length=ROOM, resume_handle=0)
        )
        if facts.levels[level].granted:
            break
    for level in SERVER_LEVELS:
        facts.info_levels[level], answer = await ask(NetrServerGetInfo(unc, level))
        if facts.info_levels[level].granted and answer is not None:
            facts.info = answer.info
            break
    before = time.time()
    clock, answer_of_clock = await ask(NetrRemoteTOD(unc))
    if clock.granted and answer_of_clock is not None and answer_of_clock.info is not None:
        # It counts whole seconds, the one that has begun among them.
        facts.clock = Clock(answer_of_clock.info.elapsedt + 0.5 - (before + time.time()) / 2, "NetrRemoteTOD")
    # Last, since it is what may take long (T11).
    facts.files = await _files(ask, unc)


async def _files(ask: Callable[[NetrFileEnum], Awaitable[tuple[Answer, Any]]], unc: str | None) -> Answer:
    request = NetrFileEnum(unc, None, None, FILE_LEVEL, prefered_maximum_length=ROOM, resume_handle=0)
    try:
        answer, _ = await ask(request)
    except (ConnectionLost, ProtocolError) as error:
        return Answer(error.code, error)
    return answer


async def examine_manager(facts: Facts, manager: Manager, deadline: float) -> None:
    """Ask a Manager of this machine, whose calls need no log-on."""
    facts.server = manager.server
    try:
        await ask_by_calls(facts, manager.call, None, deadline, lambda: "no answer")
        facts.stage = Stage.ASKED
    except LanmanError as error:
        facts.failure = error


async def examine_tools(facts: Facts, manager: Manager, deadline: float) -> None:
    """Ask a Manager that makes no calls, by its methods: Samba's own tools, ksmbd's files."""
    facts.server, facts.is_samba = manager.server, facts.way is Way.SAMBA_TOOLS

    async def ask(question: Callable[[], Awaitable[Any]]) -> tuple[Answer, Any]:
        begun = asyncio.get_running_loop().time()
        try:
            async with Within(deadline, lambda: f"no answer {facts.way.value}", server=facts.server):
                found = await question()
        except LanmanError as error:
            return Answer(error.code, error), None
        count = len(found) if hasattr(found, "__len__") else None
        return Answer(0, count=count, seconds=asyncio.get_running_loop().time() - begun), found

    answer, sessions = await ask(manager.sessions)
    facts.levels[sessions.level if sessions is not None else SESSION_LEVELS[0]] = answer
    if facts.way is Way.SAMBA_TOOLS:
        # Linux 7.0 as it first came may crash over ksmbd's list of open files: it is not read without need.
        facts.files, _ = await ask(manager.files)
    facts.info_levels[SERVER_LEVELS[0]], facts.info = await ask(manager.server_info)
    facts.stage = Stage.ASKED
