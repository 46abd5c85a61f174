"""The Manager over calls that are scripted: levels, pages, traps, and what is never done.

The script stands where the connection stands, so these are the answers that servers give, without their bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, RemoteProtocolError, TimedOut, Win32Error
from lanman.manage import calls, clients
from lanman.manage.granted import GrantedLevels
from lanman.manage.link import split_server
from lanman.manage.manager import CloseResult, FileCloseResult
from lanman.manage.orders import pauses as orders
from lanman.manage.samba import SambaManager
from lanman.manage.srvsvc import SrvsvcManager
from lanman.net import identity, kerberos
from lanman.net.credentials import Credentials
from lanman.records import ConnectionInfo, FileInfo, ServerInfo, SessionInfo
from lanman.rpc import srvsvc
from lanman.rpc.ndr import MAX_ENTRIES, EntryList, Interface
from lanman.rpc.srvsvc import (
    NetrConnectionEnum,
    NetrConnectionEnumResponse,
    NetrFileClose,
    NetrFileCloseResponse,
    NetrFileEnum,
    NetrFileEnumResponse,
    NetrFileGetInfo,
    NetrFileGetInfoResponse,
    NetrServerGetInfo,
    NetrServerGetInfoResponse,
    NetrServerSetInfo,
    NetrServerSetInfoResponse,
    NetrSessionDel,
    NetrSessionDelResponse,
    NetrSessionEnum,
    NetrSessionEnumResponse,
)

ADMIN = Credentials("admin", "secret")
Answer = Callable[[Any], Any]


class Script:
    """A link whose calls are answered by functions, one for each kind of call; it keeps what it was asked."""

    port = 445

    def __init__(self, *, samba: bool = False, credentials: Credentials = ADMIN) -> None:
        self.server = "fs1"
        self.is_samba = samba
        self.credentials = credentials
        self.local_address = "10.0.0.9"
        self.age = 1e9
        self.alive = True
        self.doing = "no answer"
        self.calls: list[Any] = []
        self.orders: list[Any] = []
        self.closed = 0
        self.granted = GrantedLevels()
        self.answers: dict[type, Answer] = {}

    async def call(self, request: Any, *, again: bool = True) -> Any:
        self.calls.append(request)
        if not again:
            self.orders.append(request)
        return self.answers[type(request)](request)

    @contextlib.asynccontextmanager
    async def conversation(self, interface: Interface) -> AsyncIterator[Script]:
        yield self

    async def close(self) -> None:
        self.closed += 1

    def manager(self, timeout: float | None = None) -> SrvsvcManager:
        kind = SambaManager if self.is_samba else SrvsvcManager
        return kind(self, timeout=timeout, deadline=None, granted=self.granted)

    def asked(self, kind: type) -> list[Any]:
        return [request for request in self.calls if type(request) is kind]


def listing(*entries: SessionInfo, grants: Iterable[int] = (502, 2, 1, 10, 0), refusal: int = 124) -> Answer:
    """A NetrSessionEnum that grants some levels; a refusal above 1700 is a fault."""

    def answer(request: Any) -> Any:
        if request.level in grants:
            return NetrSessionEnumResponse(request.level, list(entries), len(entries), 0, 0)
        if refusal > 1700:
            raise Win32Error(refusal)
        return NetrSessionEnumResponse(request.level, None, 0, 0, refusal)

    return answer


def ann(client: str = r"\\10.0.0.1") -> SessionInfo:
    return SessionInfo(client, "ann", 1, 20, 10, 0)


def bob(client: str = r"\\10.0.0.2") -> SessionInfo:
    return SessionInfo(client, "bob", 0, 30, 20, 0)


# --- levels


@pytest.mark.parametrize("refusal", [124, 5, 1733, 1745, 1783])
@pytest.mark.parametrize("granted", [502, 2, 1, 10, 0])
async def test_level_fallback_ends_at_the_first_level_granted(granted: int, refusal: int) -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann(), grants=[granted], refusal=refusal)
    found = await script.manager().sessions()
    assert (found.server, found.level, found.entries) == ("fs1", granted, [ann()])
    levels = [502, 2, 1, 10, 0]
    assert [request.level for request in script.calls] == levels[: levels.index(granted) + 1]


async def test_what_was_granted_is_remembered_for_the_server_and_user() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann(), grants=[10])
    await script.manager().sessions()
    script.calls.clear()
    await script.manager().sessions()
    assert [request.level for request in script.calls] == [10]
    script.credentials = Credentials("other")
    script.calls.clear()
    await script.manager().sessions()
    assert [request.level for request in script.calls] == [502, 2, 1, 10]


async def test_what_was_granted_is_known_to_those_that_share_the_memory() -> None:
    script, other = Script(), Script()
    script.answers[NetrSessionEnum] = other.answers[NetrSessionEnum] = listing(ann(), grants=[10])
    await script.manager().sessions()
    await other.manager().sessions()
    assert [request.level for request in other.calls] == [502, 2, 1, 10]
    other.granted = script.granted
    other.calls.clear()
    await other.manager().sessions()
    assert [request.level for request in other.calls] == [10]


async def test_denied_only_when_the_poorest_level_is_denied() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(grants=[], refusal=5)
    with pytest.raises(AccessDenied, match=r"\\\\fs1: access denied to the list of sessions") as raised:
        await script.manager().sessions()
    assert len(script.calls) == 5
    hint = raised.value.hint or ""
    assert "LocalAccountTokenFilterPolicy" in hint
    assert "Server Operators" in hint
    assert "SrvsvcSessionInfo" in hint
    script.is_samba = True
    with pytest.raises(AccessDenied) as raised:
        await script.manager().sessions()
    assert "S-1-5-32-544" in (raised.value.hint or "")


async def test_other_refusals_end_the_fallback() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(grants=[], refusal=8)
    with pytest.raises(Win32Error) as raised:
        await script.manager().sessions()
    assert raised.value.code == 8
    assert len(script.calls) == 1


async def test_a_level_that_is_asked_for_is_the_only_one() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann(), grants=[1])
    assert (await script.manager().sessions(level=1)).level == 1
    with pytest.raises(Win32Error) as raised:
        await script.manager().sessions(level=502)
    assert raised.value.code == 124


# --- errors


async def test_a_refusal_says_of_whom_and_what_in_fields() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(grants=[], refusal=8)
    with pytest.raises(Win32Error) as raised:
        await script.manager().sessions()
    assert (raised.value.code, raised.value.server, raised.value.subject) == (8, "fs1", "the list of sessions")
    script.answers[NetrSessionEnum] = listing(grants=[], refusal=5)
    with pytest.raises(PermissionError) as denied:
        await script.manager().sessions()
    assert isinstance(denied.value, AccessDenied)
    assert (denied.value.server, denied.value.subject) == ("fs1", "the list of sessions")


async def test_a_time_out_is_pythons_own_too() -> None:
    script = Script()

    async def never(request: Any, *, again: bool = True) -> Any:
        await asyncio.Event().wait()

    script.call = never  # type: ignore[method-assign]
    with pytest.raises(TimeoutError, match=r"^\\\\fs1: no answer within 0 seconds$") as raised:
        await script.manager(timeout=0).sessions()
    assert isinstance(raised.value, TimedOut)
    assert (raised.value.code, raised.value.server) == (121, "fs1")


# --- pages


def paged(pages: list[tuple[list[SessionInfo], int | None, int]]) -> Answer:
    left = iter(pages)

    def answer(request: Any) -> Any:
        entries, resume, status = next(left)
        return NetrSessionEnumResponse(request.level, entries, len(entries), resume, status)

    return answer


async def test_pages_follow_the_status_and_not_the_handle() -> None:
    script = Script()
    # Windows leaves a handle behind on success.
    script.answers[NetrSessionEnum] = paged([([ann()], 1, 234), ([bob()], 2, 234), ([ann()], 7, 0)])
    found = await script.manager().sessions()
    assert found.entries == [ann(), bob(), ann()]
    assert [request.resume_handle for request in script.calls] == [0, 1, 2]


@pytest.mark.parametrize(
    "pages",
    [
        [([], 1, 234)],
        [([ann()], 0, 234)],
        [([ann()], None, 234)],
        [([ann()], 1, 234), ([ann()], 1, 234)],
        [([ann()], 1, 234), ([ann()], 2, 234), ([ann()], 1, 234)],
    ],
)
async def test_a_server_that_never_advances_is_left(pages: list[tuple[list[SessionInfo], int | None, int]]) -> None:
    script = Script()
    script.answers[NetrSessionEnum] = paged(pages)
    with pytest.raises(RemoteProtocolError, match="there is more of the list of sessions"):
        await script.manager().sessions()


# --- filters


@pytest.mark.parametrize(("entries", "size"), [(10_000, 0), (1, 9 << 20)])
async def test_a_list_without_end_is_given_up(entries: int, size: int) -> None:
    """A server could page for ever, with few large entries or many small ones."""
    pages = 0

    def answer(request: NetrSessionEnum) -> Any:
        nonlocal pages
        pages += 1
        page = EntryList([SessionInfo(client_name="a")] * entries, size)
        return NetrSessionEnumResponse(request.level, page, 99, pages, codes.ERROR_MORE_DATA)

    script = Script()
    script.answers[NetrSessionEnum] = answer
    with pytest.raises(RemoteProtocolError, match="longer than 262,144 entries or 64 MiB") as raised:
        await script.manager().sessions(level=502)
    assert raised.value.hint
    assert pages * entries <= MAX_ENTRIES + entries
    assert pages * size <= calls.MAX_LISTING + size


async def test_filters_hold_where_the_server_ignores_them() -> None:
    script = Script(samba=True)
    script.answers[NetrSessionEnum] = listing(ann("10.0.0.1"), bob("10.0.0.1"), ann("10.0.0.2"), grants=[1])
    manager = script.manager()
    assert [entry.user_name for entry in (await manager.sessions(client="//10.0.0.1")).entries] == ["ann", "bob"]
    assert [entry.client_name for entry in (await manager.sessions(user=r"CORP\ann")).entries] == [
        "10.0.0.1",
        "10.0.0.2",
    ]
    assert (await manager.sessions(client="10.0.0.3")).entries == []
    assert {request.client_name for request in script.calls} == {None}


async def test_a_name_means_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses_of(name: str) -> frozenset[str]:
        return {"pc7": frozenset({"10.0.0.2", "fe80::7"})}.get(name, frozenset())

    monkeypatch.setattr(clients, "addresses_of", addresses_of)
    script = Script()
    listed = [bob(), SessionInfo(r"\\[fe80::7]", "cleo"), SessionInfo(r"\\PC7", "dave"), ann()]
    script.answers[NetrSessionEnum] = listing(*listed)
    assert (await script.manager().sessions(client=r"\\pc7")).entries == listed[:3]
    assert (await script.manager().sessions(client="pc8")).entries == []
    # As it is listed it means itself alone.
    assert (await script.manager().sessions(client=r"\\PC7")).entries == [listed[2]]


async def test_a_clients_name_that_nobody_resolves_is_not_held_against_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def addresses_of(name: str) -> frozenset[str]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    monkeypatch.setattr(clients, "addresses_of", addresses_of)
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann())
    with pytest.raises(ConnectionLost, match=r": the name of the client pc7 was not resolved here within") as raised:
        await script.manager(timeout=0.001).sessions(client="pc7")
    assert raised.value.code == 121


@pytest.mark.parametrize("status", [2312, 2221])
async def test_a_server_that_knows_no_such_user_has_none_of_his_sessions(status: int) -> None:
    script = Script()
    script.answers[NetrSessionEnum] = lambda request: NetrSessionEnumResponse(request.level, None, 0, 0, status)
    assert (await script.manager().sessions(user="zoe")).entries == []


@pytest.mark.parametrize("user", ["", "EXAMPLE\\", "@x", "EXAMPLE\\@x", "\\"])
async def test_an_empty_user_is_refused_before_anybody_is_asked(user: str) -> None:
    script = Script()
    for attempt in (script.manager().sessions(user=user), script.manager().files(user=user)):
        with pytest.raises(Win32Error, match="empty") as raised:
            await attempt
        assert raised.value.code == 87
    assert script.calls == []


@pytest.mark.parametrize("client", ["", "\\\\", "//"])
async def test_an_empty_client_is_refused_before_anybody_is_asked(client: str) -> None:
    script = Script()
    for attempt in (script.manager().sessions(client=client), script.manager().files(client=client)):
        with pytest.raises(Win32Error, match="empty") as raised:
            await attempt
        assert raised.value.code == 2351
    assert script.calls == []


async def test_an_empty_path_is_refused_before_anybody_is_asked() -> None:
    script = Script()
    with pytest.raises(Win32Error, match="empty") as raised:
        await script.manager().files(path="")
    assert (raised.value.code, script.calls) == (87, [])


async def test_one_session() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann(), bob())
    assert await script.manager().session("10.0.0.2", "bob") == bob()
    with pytest.raises(Win32Error) as raised:
        await script.manager().session("10.0.0.2", "ann")
    assert raised.value.code == 2312
    # A name is no pattern, unless it is listed so.
    for client, user in (("10.0.0.2", "*"), ("10.0.0.*", "bob")):
        with pytest.raises(Win32Error) as raised:
            await script.manager().session(client, user)
        assert raised.value.code == 2312
    starred = SessionInfo(r"\\10.0.0.2", "b*")
    script.answers[NetrSessionEnum] = listing(ann(), bob(), starred)
    assert await script.manager().session("10.0.0.2", "b*") == starred
    for client, user in (("", "ann"), ("10.0.0.1", "")):
        with pytest.raises(Win32Error) as raised:
            await script.manager().session(client, user)
        assert raised.value.code == 87


async def test_samba_does_not_know_what_it_says() -> None:
    script = Script(samba=True)
    script.answers[NetrSessionEnum] = listing(SessionInfo("::1", "ann", 1, 0xFFFFFFFF, 0, 0), grants=[1])
    (entry,) = (await script.manager().sessions()).entries
    assert (entry.active_time, entry.idle_time, entry.num_opens) == (0, None, 1)


# --- ending


def ending(status: int = 0) -> Answer:
    return lambda request: NetrSessionDelResponse(status)


def names(sessions: Iterable[SessionInfo]) -> list[str | None]:
    return [session.user_name for session in sessions]


class World:
    """Sessions that can be ended, for a script whose server really has some."""

    def __init__(self, script: Script, *entries: SessionInfo) -> None:
        self.script, self.entries = script, list(entries)
        self.status = 0
        self.lost = False
        self.whole_connection: set[str] = set()
        script.answers[NetrSessionEnum] = lambda request: listing(*self.entries)(request)
        script.answers[NetrSessionDel] = self.end

    def end(self, request: Any) -> Any:
        self.entries = [
            entry
            for entry in self.entries
            if (entry.client_name or "").lstrip("\\") != request.client_name.lstrip("\\")
            or not (request.user_name in (None, entry.user_name) or entry.user_name in self.whole_connection)
        ]
        if self.lost:
            self.script.alive = False
            raise ConnectionLost("lost")
        return NetrSessionDelResponse(self.status)


async def test_a_session_is_ended_by_the_name_the_server_listed() -> None:
    script = Script()
    World(script, ann(r"\\PC1.corp"), bob())
    (ended,) = await script.manager().close_sessions([ann(r"\\pc1.CORP")])
    assert (ended.session, ended.error, ended.note) == (ann(r"\\pc1.CORP"), None, None)
    (order,) = script.asked(NetrSessionDel)
    assert (order.client_name, order.user_name) == (r"\\PC1.corp", "ann")
    assert script.orders == [order]


async def test_samba_lists_names_without_backslashes() -> None:
    script = Script(samba=True)
    World(script, ann("::1"))
    (ended,) = await script.manager().close_sessions([ann("::1")])
    assert ended.error is None
    assert script.asked(NetrSessionDel)[0].client_name == r"\\::1"


async def test_what_is_not_listed_is_not_ended() -> None:
    script = Script(samba=True)
    World(script, ann())
    (ended,) = await script.manager().close_sessions([bob()])
    assert ended.error is not None
    assert ended.error.code == 2312
    assert script.asked(NetrSessionDel) == []


async def test_nothing_to_end_asks_nobody() -> None:
    script = Script()
    assert await script.manager().close_sessions([]) == []
    assert script.calls == []


async def test_samba_denies_what_it_has_just_listed() -> None:
    script = Script(samba=True)
    script.answers[NetrSessionEnum] = listing(ann())
    script.answers[NetrSessionDel] = ending(5)
    (ended,) = await script.manager().close_sessions([ann()])
    assert isinstance(ended.error, AccessDenied)
    assert "admin users" in (ended.error.hint or "")


async def test_samba_denies_what_ended_by_itself_meanwhile() -> None:
    script = Script(samba=True)
    world = World(script, ann())
    world.status = 5
    (ended,) = await script.manager().close_sessions([ann()])
    assert ended.error is None


async def test_others_say_themselves_that_there_is_no_such_session() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann())
    script.answers[NetrSessionDel] = ending(2312)
    (ended,) = await script.manager().close_sessions([ann()])
    assert ended.error is not None
    assert (ended.error.code, ended.error.message.startswith(r"\\10.0.0.1 and user ann")) == (2312, True)


async def test_bystanders_on_a_connection_that_samba_ended_are_named() -> None:
    script = Script(samba=True)
    world = World(script, ann(), bob("10.0.0.1"), bob())
    world.whole_connection = {"bob"}
    assert [names(others) for others in await script.manager().bystanders([ann()])] == [["bob"]]
    (ended,) = await script.manager().close_sessions([ann()], with_others=True)
    assert ended.error is None
    assert ended.note is not None
    assert "bob" in ended.note
    assert names(ended.others) == ["bob"]


async def test_a_target_with_bystanders_is_left_alone_without_consent() -> None:
    script = Script(samba=True)
    cleo = SessionInfo("10.0.0.1", "cleo", 3)
    dave = SessionInfo("10.0.0.4", "dave", 0)
    world = World(script, ann("10.0.0.1"), cleo, dave)
    alone, ended = await script.manager().close_sessions([ann("10.0.0.1"), dave])
    assert alone.error is not None
    assert alone.error.code == 170
    assert "cleo (3 open files)" in alone.error.message
    assert "--with-others" in (alone.error.hint or "")
    assert alone.others == [cleo]
    assert (ended.error, ended.others) == (None, [])
    assert names(world.entries) == ["ann", "cleo"]
    assert [order.user_name for order in script.orders] == ["dave"]


async def test_consent_is_to_those_who_were_named() -> None:
    script = Script(samba=True)
    cleo, late = SessionInfo("10.0.0.1", "cleo"), SessionInfo("10.0.0.1", "late")
    world = World(script, ann("10.0.0.1"), cleo)
    (others,) = await script.manager().bystanders([ann("10.0.0.1")])
    # Between the plan and the orders somebody else has come.
    world.entries.append(late)
    (alone,) = await script.manager().close_sessions([ann("10.0.0.1")], with_others=others)
    assert alone.error is not None
    assert alone.error.code == 170
    world.entries.remove(late)
    (ended,) = await script.manager().close_sessions([ann("10.0.0.1")], with_others=others)
    assert ended.error is None


async def test_all_of_a_client_have_no_bystanders() -> None:
    script = Script(samba=True)
    world = World(script, ann("10.0.0.1"), bob("10.0.0.1"), bob())
    everyone = (await script.manager().sessions(client="10.0.0.1")).entries
    assert await script.manager().bystanders(everyone) == [[], []]
    outcome = await script.manager().close_sessions(everyone)
    assert [ended.error for ended in outcome] == [None, None]
    assert names(world.entries) == ["bob"]


async def test_our_own_connection_carries_nobody_else() -> None:
    script = Script(samba=True)
    World(script, admin("10.0.0.9"), ann("10.0.0.9"))
    (ended,) = await script.manager().close_sessions([ann("10.0.0.9")])
    assert ended.error is None
    # Nor does anybody go with ours.
    script = Script(samba=True)
    World(script, admin("10.0.0.9"), ann("10.0.0.9"))
    (own,) = await script.manager().close_sessions([admin("10.0.0.9")])
    assert (own.error, own.others, script.closed) == (None, [], 1)
    # A second session of ours may be anywhere.
    script = Script(samba=True)
    World(script, admin("10.0.0.9"), admin("10.0.0.9"), ann("10.0.0.9"))
    (alone,) = await script.manager().close_sessions([ann("10.0.0.9")])
    assert names(alone.others) == ["admin"]


async def test_who_differs_in_letter_case_alone_goes_along_on_any_server() -> None:
    script = Script()
    other = SessionInfo(r"\\10.0.0.1", "ANN", 2)
    World(script, ann(), other)
    (alone,) = await script.manager().close_sessions([ann()])
    assert alone.error is not None
    assert alone.error.code == 170
    assert "ANN (2 open files)" in alone.error.message
    (ended,) = await script.manager().close_sessions([ann()], with_others=True)
    assert (ended.error, ended.others) == (None, [other])


async def test_sharp_s_is_another_user_than_ss() -> None:
    script = Script()
    one, two = SessionInfo(r"\\10.0.0.1", "strasse"), SessionInfo(r"\\10.0.0.1", "straße")
    world = World(script, one, two)
    (ended,) = await script.manager().close_sessions([two])
    assert ended.error is None
    assert world.entries == [one]
    assert [order.user_name for order in script.orders] == ["straße"]
    (gone,) = await script.manager().close_sessions([two])
    assert gone.error is not None
    assert gone.error.code == 2312


async def test_a_lost_answer_is_looked_up_and_the_order_not_repeated() -> None:
    script = Script()
    world = World(script, ann())
    world.lost = True
    (ended,) = await script.manager().close_sessions([ann()])
    assert ended.error is None
    assert len(script.asked(NetrSessionDel)) == 1
    assert len(script.asked(NetrSessionEnum)) == 2


async def test_a_lost_order_that_had_no_effect_is_not_called_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "PAUSES", (0.0, 0.0))

    def lose(_: Any) -> Any:
        script.alive = False
        raise ConnectionLost("lost")

    script = Script()
    script.answers[NetrSessionEnum] = listing(ann())
    script.answers[NetrSessionDel] = lose
    (ended,) = await script.manager().close_sessions([ann()])
    assert ended.error is not None
    assert "still lists it" in ended.error.message


def admin(client: str = r"\\10.0.0.9") -> SessionInfo:
    return SessionInfo(client, "admin", 1, 1, 0, 0)


async def test_our_own_session_ends_by_logging_off() -> None:
    script = Script()
    World(script, admin(), ann())
    own, other = await script.manager().close_sessions([admin(), ann()])
    assert own.error is None
    assert own.note is not None
    assert "this program" in own.note
    assert other.error is None
    assert [order.user_name for order in script.asked(NetrSessionDel)] == ["ann"]
    assert script.closed == 1


@pytest.mark.parametrize(
    ("credentials", "listed", "is_ours"),
    [
        (Credentials("ann", "x"), r"EXAMPLE\ann", True),
        (Credentials("ann", "x", domain="example"), r"EXAMPLE\Ann", True),
        (Credentials("ann@example.org", "x"), r"EXAMPLE\ann", True),
        (Credentials("ann", "x", domain="example.org"), r"EXAMPLE\ann", True),
        (Credentials("ann", "x", domain="example"), r"OTHER\ann", False),
        (Credentials("ann", "x"), r"EXAMPLE\bob", False),
        (Credentials(kerberos=True), "ann", True),
        (Credentials(kerberos=True), r"EXAMPLE\ann", True),
        (Credentials(kerberos=True), "", False),
        (Credentials(anonymous=True), "", True),
        (Credentials(anonymous=True), "ann", False),
    ],
)
@pytest.mark.parametrize("on_windows", [False, True])
async def test_our_own_session_by_its_user(
    monkeypatch: pytest.MonkeyPatch, credentials: Credentials, listed: str, is_ours: bool, on_windows: bool
) -> None:
    """Where the credentials name nobody, Kerberos' ticket cache tells who it is, and Windows who has logged on."""
    monkeypatch.setattr(identity, "_ON_WINDOWS", on_windows)
    monkeypatch.setattr(kerberos, "principal_of", lambda who: "" if on_windows else "ann@EXAMPLE.ORG")
    monkeypatch.setenv("USERNAME", "ann" if on_windows else "")
    monkeypatch.setenv("USERDOMAIN", "EXAMPLE" if on_windows else "")
    script = Script(samba=True, credentials=credentials)
    World(script, SessionInfo("10.0.0.9", listed, 0), SessionInfo("10.0.0.9", "eve", 1))
    (others,) = await script.manager().bystanders([SessionInfo("10.0.0.9", "eve")])
    assert names(others) == ([] if is_ours else [listed])


async def test_a_session_that_is_older_than_ours_is_not_ours() -> None:
    """Behind a translator of addresses somebody else may have our address, and our name."""
    theirs, ours = SessionInfo("10.0.0.9", "admin", 3, 4000), SessionInfo("203.0.113.5", "admin", 0, 2)
    script = Script(samba=True)
    script.age = 1.0
    world = World(script, theirs, ours, ann("10.0.0.9"))
    (alone,) = await script.manager().close_sessions([ann("10.0.0.9")])
    assert alone.error is not None
    assert names(alone.others) == ["admin"]
    (ended,) = await script.manager().close_sessions([theirs], with_others=True)
    assert ended.error is None
    assert [order.client_name for order in script.orders] == [r"\\10.0.0.9"]
    assert theirs not in world.entries
    # The server may count a little otherwise.
    script = Script(samba=True)
    script.age = 1.0
    World(script, SessionInfo("10.0.0.9", "admin", 0, 4), ann("10.0.0.9"))
    assert await script.manager().bystanders([ann("10.0.0.9")]) == [[]]


async def test_ours_goes_last_where_others_share_its_names() -> None:
    script = Script()
    world = World(script, admin(), admin(), ann())
    outcome = await script.manager().close_sessions([admin(), ann()])
    assert [ended.error for ended in outcome] == [None, None]
    assert [order.user_name for order in script.asked(NetrSessionDel)] == ["ann", "admin"]
    assert world.entries == []


async def test_a_null_session_is_not_ended_with_others_by_accident() -> None:
    nobody = SessionInfo(r"\\10.0.0.1", "")
    script = Script()
    World(script, nobody, ann(), bob())
    (ended,) = await script.manager().close_sessions([nobody])
    assert isinstance(ended.error, Win32Error)
    assert "cannot be ended alone" in ended.error.message
    assert script.asked(NetrSessionDel) == []
    both = await script.manager().close_sessions([nobody, ann()])
    assert [ended.error for ended in both] == [None, None]


async def test_two_sessions_of_one_pair_are_one_order() -> None:
    script = Script()
    World(script, ann(), ann())
    outcome = await script.manager().close_sessions([ann(), ann()])
    assert [ended.error for ended in outcome] == [None, None]
    assert len(script.asked(NetrSessionDel)) == 1


def steps(work: Callable[[], Any]) -> int:
    """How many calls of lanman's Python functions a piece of work takes."""
    count = 0

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        if event == "call" and frame.f_globals.get("__name__", "").startswith("lanman."):
            count += 1

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


class QuickWorld:
    """Sessions that end in constant time, listed in pages of none but one."""

    def __init__(self, script: Script, entries: Iterable[SessionInfo]) -> None:
        self.left = {(entry.client_name, entry.user_name): entry for entry in entries}
        self.looks = 0
        script.answers[NetrSessionEnum] = self.list
        script.answers[NetrSessionDel] = self.end

    def list(self, request: Any) -> Any:
        self.looks += 1
        return listing(*self.left.values())(request)

    def end(self, request: Any) -> Any:
        return NetrSessionDelResponse(0 if self.left.pop((request.client_name, request.user_name), None) else 2312)


@pytest.mark.parametrize("samba", [False, True])
@pytest.mark.parametrize("one_client", [False, True])
def test_ending_takes_steps_linear_in_the_number(samba: bool, one_client: bool) -> None:
    def end(number: int) -> int:
        entries = [SessionInfo(r"\\10.0.0.1" if one_client else rf"\\pc{n}", f"user{n}", 0) for n in range(number)]
        script = Script(samba=samba)
        world = QuickWorld(script, entries)
        told: list[CloseResult] = []
        count = steps(lambda: asyncio.run(script.manager().close_sessions(entries, done=told.append)))
        assert [ended.error for ended in told] == [None] * number
        assert world.left == {}
        assert world.looks <= 20
        return count

    few, many = end(200), end(800)
    # Quadratic work would take sixteen times as many.
    assert many < 5 * few


class Terminals(QuickWorld):
    """A Samba with one terminal server: an order for any of its users ends all of them."""

    def end(self, request: Any) -> Any:
        self.left = {pair: entry for pair, entry in self.left.items() if pair[0] != request.client_name}
        return NetrSessionDelResponse(0)


@pytest.mark.parametrize("consent", [False, True])
def test_others_take_steps_linear_in_their_number(consent: bool) -> None:
    """Half of a terminal server's users are to end: all others go with each of them."""

    def end(number: int) -> int:
        entries = [SessionInfo(r"\\10.0.0.1", f"user{n}", 1) for n in range(number)]
        script = Script(samba=True)
        Terminals(script, entries)
        ended: list[CloseResult] = []

        async def work() -> None:
            manager = script.manager()
            assert len((await manager.bystanders(entries[::2]))[0]) == number // 2
            ended.extend(await manager.close_sessions(entries[::2], with_others=consent))

        count = steps(lambda: asyncio.run(work()))
        assert {one.error.code if one.error else None for one in ended} == {None if consent else 170}
        assert [len(one.others) for one in ended] == [number // 2] * (number // 2)
        return count

    few, many = end(100), end(400)
    assert many < 5 * few


async def test_the_time_out_bounds_each_wait_and_not_the_work() -> None:
    """A clock of its own: every answer takes most of the time-out, and all of them take many times as long."""
    loop = asyncio.get_running_loop()
    ahead = 0.0
    real = loop.time
    loop.time = lambda: real() + ahead  # type: ignore[method-assign]
    entries = [SessionInfo(rf"\\pc{n}", f"user{n}", 0) for n in range(30)]
    script = Script()
    QuickWorld(script, entries)
    answer = script.call

    async def slowly(request: Any, *, again: bool = True) -> Any:
        nonlocal ahead
        ahead += 50.0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await answer(request, again=again)

    script.call = slowly  # type: ignore[method-assign]
    try:
        with pytest.raises(ConnectionLost) as raised:
            await script.manager(timeout=40.0).close_sessions(entries)
        assert raised.value.code == 121
        outcome = await script.manager(timeout=90.0).close_sessions(entries)
    finally:
        del loop.time
    assert [ended.error for ended in outcome] == [None] * 30


# --- connections


async def test_sambas_constant_connection_is_no_fact() -> None:
    script = Script(samba=True)
    constant = ConnectionInfo(1, 3, 1, 1, 3, "dummy_user", "IPC$")
    script.answers[NetrConnectionEnum] = lambda request: NetrConnectionEnumResponse(1, [constant], 1, 0, 0)
    with pytest.raises(Win32Error, match="does not tell its connections") as raised:
        await script.manager().connections("IPC$")
    assert raised.value.code == 50
    assert "smbstatus" in (raised.value.hint or "")


async def test_the_connections_of_a_client_are_asked_for_by_its_listed_names() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann("10.0.0.1"), bob())
    script.answers[NetrConnectionEnum] = lambda request: NetrConnectionEnumResponse(
        request.level, [ConnectionInfo(7, net_name=request.qualifier)], 1, 0, 0
    )
    (entry,) = await script.manager().connections("//10.0.0.1")
    assert entry.net_name == r"\\10.0.0.1"
    with pytest.raises(Win32Error) as raised:
        await script.manager().connections("\\\\")
    assert raised.value.code == 87


# --- files


def opened(*entries: FileInfo) -> Answer:
    return lambda request: NetrFileEnumResponse(request.level, list(entries), len(entries), 0, 0)


PLAN = FileInfo(11, 3, 0, r"C:\srv\data\plan.xlsx", "ann")
NOTES = FileInfo(0x80000001, 1, 0, r"C:\srv\home\notes.txt", "bob")


async def test_files_by_path_and_user() -> None:
    script = Script(samba=True)
    script.answers[NetrFileEnum] = opened(PLAN, NOTES)
    manager = script.manager()
    assert await manager.files() == [PLAN, NOTES]
    assert await manager.files(path="/srv/data/*") == [PLAN]
    assert await manager.files(user="BOB") == [NOTES]
    assert await manager.files(path="*.txt", user="ann") == []
    # Samba takes an empty string for a user without a name.
    assert {(request.base_path, request.user_name, request.level) for request in script.calls} == {(None, None, 3)}


async def test_files_of_a_client_are_the_servers_business() -> None:
    script = Script()
    script.answers[NetrSessionEnum] = listing(ann("10.0.0.1"), bob())
    script.answers[NetrFileEnum] = opened(PLAN)
    assert await script.manager().files(client="10.0.0.1") == [PLAN]
    assert [request.user_name for request in script.asked(NetrFileEnum)] == [r"\\10.0.0.1"]


async def test_files_of_a_client_of_samba_are_those_of_its_users() -> None:
    script = Script(samba=True)
    script.answers[NetrSessionEnum] = listing(ann("10.0.0.1"), bob("10.0.0.2"))
    script.answers[NetrFileEnum] = opened(PLAN, NOTES)
    assert await script.manager().files(client="10.0.0.2") == [NOTES]
    script.answers[NetrSessionEnum] = listing(ann("10.0.0.1"), ann("10.0.0.2"))
    with pytest.raises(Win32Error, match="cannot tell which of their files ann opened") as raised:
        await script.manager().files(client="10.0.0.2")
    assert raised.value.code == 50


async def test_one_file() -> None:
    script = Script()
    script.answers[NetrFileGetInfo] = lambda request: (
        NetrFileGetInfoResponse(3, NOTES, 0) if request.file_id == NOTES.id else NetrFileGetInfoResponse(3, None, 2)
    )
    assert await script.manager().file(0x80000001) == NOTES
    with pytest.raises(Win32Error) as raised:
        await script.manager().file(99999)
    assert (raised.value.code, raised.value.message[:7]) == (2314, "99999: ")


@pytest.mark.parametrize("samba", [True, False])
async def test_where_one_file_cannot_be_asked_for_all_are(samba: bool) -> None:
    def fault(_: Any) -> Any:
        raise Win32Error(codes.RPC_S_PROCNUM_OUT_OF_RANGE)

    script = Script(samba=samba)
    script.answers[NetrFileGetInfo] = fault
    script.answers[NetrFileEnum] = opened(PLAN, NOTES)
    assert await script.manager().file(11) == PLAN
    with pytest.raises(Win32Error) as raised:
        await script.manager().file(12)
    assert raised.value.code == 2314


async def test_an_ambiguous_id_is_not_closed() -> None:
    script = Script(samba=True)
    script.answers[NetrFileEnum] = opened(PLAN, dataclasses.replace(NOTES, id=11))
    with pytest.raises(Win32Error, match="gave this number to 2 open files") as raised:
        await script.manager().close_file(11)
    assert "plan.xlsx" in raised.value.message
    assert script.asked(NetrFileClose) == []


@pytest.mark.parametrize("status", [0, 2, 2314])
async def test_a_file_that_is_gone_is_closed_whatever_was_said(status: int) -> None:
    files = [PLAN, NOTES]

    def close(request: Any) -> Any:
        files.remove(PLAN)
        return NetrFileCloseResponse(status)

    script = Script(samba=True)
    script.answers[NetrFileEnum] = lambda request: opened(*files)(request)
    script.answers[NetrFileClose] = close
    assert await script.manager().close_file(11) == PLAN


async def test_a_file_that_is_still_there_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "PAUSES", (0.0, 0.0))
    script = Script(samba=True)
    script.answers[NetrFileEnum] = opened(PLAN)
    script.answers[NetrFileClose] = lambda request: NetrFileCloseResponse(2)
    with pytest.raises(LanmanError, match="still lists it"):
        await script.manager().close_file(11)


async def test_closing_may_be_denied_where_listing_is_not() -> None:
    script = Script(samba=True)
    script.answers[NetrFileEnum] = opened(PLAN)
    script.answers[NetrFileClose] = lambda request: NetrFileCloseResponse(5)
    with pytest.raises(AccessDenied) as raised:
        await script.manager().close_file(11)
    assert "admin users" in (raised.value.hint or "")


async def test_a_samba_that_takes_too_long_over_its_files_may_be_told_not_to() -> None:
    async def silent(request: Any, *, again: bool = True) -> Any:
        await asyncio.Event().wait()

    script = Script(samba=True)
    script.call = silent  # type: ignore[method-assign]
    with pytest.raises(ConnectionLost) as raised:
        await script.manager(timeout=0.001).files()
    assert "enum count locks" in (raised.value.hint or "")
    with pytest.raises(ConnectionLost) as raised:
        await script.manager(timeout=0.001).sessions()
    assert "--timeout" in (raised.value.hint or "")


@pytest.mark.parametrize("ask", ["share", "delete_share", "set_share"])
async def test_a_share_without_a_name_is_refused_before_anybody_is_asked(ask: str) -> None:
    script = Script()
    with pytest.raises(Win32Error, match="empty") as raised:
        await getattr(script.manager(), ask)("")
    assert (raised.value.code, script.calls) == (87, [])


# --- servers that list clients by name


def resolving(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """A resolver that knows these names, and calls every address by all of its names and by another one's."""

    async def addresses_of(name: str) -> frozenset[str]:
        return frozenset({addresses[name]} if name in addresses else ())

    async def names_of(address: str) -> frozenset[str]:
        # Whoever owns an address may call it anything.
        return frozenset({name for name, known in addresses.items() if known == address} | {"boss"})

    monkeypatch.setattr(clients, "addresses_of", addresses_of)
    monkeypatch.setattr(clients, "names_of", names_of)


async def test_an_address_finds_its_name_and_a_name_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, pc7="10.0.0.7", alias7="10.0.0.7", boss="10.0.0.1")
    script = Script()
    mine, bosses = SessionInfo(r"\\pc7", "ann"), SessionInfo(r"\\boss", "bob")
    script.answers[NetrSessionEnum] = listing(mine, bosses)
    for typed in ("10.0.0.7", r"\\10.0.0.7", "::ffff:10.0.0.7", "alias7", "PC7"):
        assert (await script.manager().sessions(client=typed)).entries == [mine]
    assert (await script.manager().sessions(client="10.0.0.1")).entries == [bosses]
    assert (await script.manager().sessions(client="10.0.0.8")).entries == []


async def test_a_listed_name_is_found_by_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, pc7="10.0.0.7")

    async def names_of(address: str) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(clients, "names_of", names_of)
    script = Script()
    script.answers[NetrSessionEnum] = listing(SessionInfo(r"\\PC7", "ann"), bob())
    (entry,) = (await script.manager().sessions(client="10.0.0.7")).entries
    assert entry.client_name == r"\\PC7"


async def test_a_resolver_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(address: str) -> frozenset[str]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(clients, "names_of", never)
    monkeypatch.setattr(clients, "_OWN_NAME_PATIENCE", 0.01)
    assert await clients.Clients().own_names("10.0.0.9", [ann("pc9")]) == {"10.0.0.9"}


async def test_our_own_session_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, pc9="10.0.0.9")
    script = Script(samba=True)
    World(script, admin("pc9"), ann("pc9"))
    (ended,) = await script.manager().close_sessions([ann("pc9")])
    assert ended.error is None
    (own,) = await script.manager().close_sessions([admin("pc9")])
    assert (own.error, script.closed) == (None, 1)


async def test_our_own_session_is_known_by_the_connection_that_went_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch)
    script = Script(samba=True)
    world = World(script, admin("pc9"), ann("pc8"))

    def end(request: Any) -> Any:
        answer = World.end(world, request)
        if request.user_name == "admin":
            # To look, one logs on again: one more session of that name.
            world.entries.append(admin("pc9"))
            raise ConnectionLost("lost")
        return answer

    script.answers[NetrSessionDel] = end
    outcome = await script.manager().close_sessions([admin("pc9"), ann("pc8")])
    assert [ended.error for ended in outcome] == [None, None]
    assert [order.user_name for order in script.orders] == ["ann", "admin"]


# --- closing many files


class OpenFiles:
    """The open files of a script's server, which can be closed."""

    def __init__(self, script: Script, *files: FileInfo) -> None:
        self.files, self.looks = list(files), 0
        script.answers[NetrFileEnum] = self.list
        script.answers[NetrFileClose] = self.close
        script.answers[NetrFileGetInfo] = self.one

    def list(self, request: Any) -> Any:
        self.looks += 1
        return opened(*self.files)(request)

    def one(self, request: Any) -> Any:
        found = next((entry for entry in self.files if entry.id == request.file_id), None)
        return NetrFileGetInfoResponse(3, found, 0 if found else 2)

    def close(self, request: Any) -> Any:
        self.files = [entry for entry in self.files if entry.id != request.file_id]
        return NetrFileCloseResponse(0)


@pytest.mark.parametrize("samba", [False, True])
async def test_files_are_closed_where_their_numbers_still_mean_them(samba: bool) -> None:
    script = Script(samba=samba)
    other = FileInfo(13, 1, 0, r"C:\srv\other.txt", "ann")
    there = OpenFiles(script, PLAN, NOTES, other)
    listed = [PLAN, dataclasses.replace(other, path=r"C:\srv\before.txt"), FileInfo(NOTES.id), FileInfo(99)]
    told: list[FileCloseResult] = []
    outcome = await script.manager().close_files(listed, done=told.append)
    assert [one.error and one.error.code for one in outcome] == [None, 2314, None, 2314]
    assert [one.file.path for one in outcome] == [PLAN.path, listed[1].path, NOTES.path, None]
    assert told == outcome
    assert there.files == [other]


async def test_a_number_that_two_files_have_is_closed_for_neither() -> None:
    script = Script(samba=True)
    twin = dataclasses.replace(NOTES, id=PLAN.id)
    there = OpenFiles(script, PLAN, twin)
    outcome = await script.manager().close_files([PLAN, twin])
    assert [one.error and one.error.code for one in outcome] == [52, 52]
    assert there.files == [PLAN, twin]


async def test_many_files_take_few_looks() -> None:
    script = Script(samba=True)
    files = [FileInfo(number, 1, 0, rf"C:\srv\{number}", "ann") for number in range(1, 501)]
    there = OpenFiles(script, *files)
    outcome = await script.manager().close_files(files)
    assert [one.error for one in outcome] == [None] * 500
    assert there.looks <= 2 * 16


# --- configuration


class Configured:
    """A server whose configuration can be set, unless it only says so."""

    def __init__(self, script: Script, info: ServerInfo, *, deaf: bool = False) -> None:
        self.info, self.deaf = info, deaf
        script.answers[NetrServerGetInfo] = lambda request: NetrServerGetInfoResponse(request.level, self.info, 0)
        script.answers[NetrServerSetInfo] = self.set

    def set(self, request: Any) -> Any:
        if not self.deaf:
            given = {
                field.name: getattr(request.info, field.name)
                for field in dataclasses.fields(request.info)
                if getattr(request.info, field.name) is not None
            }
            self.info = dataclasses.replace(self.info, **given)
        return NetrServerSetInfoResponse(None, 0)


async def test_settings_are_read_back() -> None:
    script = Script()
    server = Configured(script, ServerInfo(disc=15, comment="old", hidden=False))
    manager = script.manager()
    for minutes in (30, 0, -1):
        await manager.set_autodisconnect(minutes)
        assert server.info.disc == minutes
    await manager.set_comment("new")
    await manager.set_hidden(True)
    assert (server.info.comment, server.info.hidden) == ("new", 1)
    assert [request.level for request in script.asked(NetrServerSetInfo)] == [1010, 1010, 1010, 1005, 1016]


@pytest.mark.parametrize("samba", [True, False])
async def test_a_server_that_says_yes_and_does_nothing(samba: bool) -> None:
    script = Script(samba=samba)
    Configured(script, ServerInfo(disc=15, comment="old", hidden=False), deaf=True)
    for attempt in (script.manager().set_autodisconnect(30), script.manager().set_comment("new")):
        with pytest.raises(Win32Error, match="ignored it") as raised:
            await attempt
        assert raised.value.code == 50


@pytest.mark.parametrize("minutes", [-2, 65536, 70000])
async def test_an_idle_time_that_is_none(minutes: int) -> None:
    script = Script()
    with pytest.raises(Win32Error) as raised:
        await script.manager().set_autodisconnect(minutes)
    assert raised.value.code == 3952
    assert script.calls == []


async def test_sambas_constants_are_unknown() -> None:
    script = Script(samba=True)
    Configured(script, ServerInfo(name="FS1", comment="hi", disc=15, users=0xFFFFFFFF, hidden=False))
    info = await script.manager().server_info()
    assert (info.name, info.comment, info.disc, info.users, info.hidden) == ("FS1", "hi", None, None, None)


async def test_a_call_that_the_server_lacks_is_said_in_words() -> None:
    def fault(_: Any) -> Any:
        raise Win32Error(codes.RPC_S_PROCNUM_OUT_OF_RANGE)

    script = Script(samba=True)
    for kind in (srvsvc.NetrServerStatisticsGet, srvsvc.NetrServerTransportEnum):
        script.answers[kind] = fault
    for attempt in (script.manager().statistics(), script.manager().transports()):
        with pytest.raises(Win32Error, match=r"\\\\fs1: this server does not tell its") as raised:
            await attempt
        assert raised.value.code == 50


# --- names of servers


@pytest.mark.parametrize(
    ("typed", "name", "port"),
    [
        ("fs1", "fs1", 445),
        (r"\\fs1", "fs1", 445),
        ("//fs1/", "fs1", 445),
        ("fs1:4455", "fs1", 4455),
        ("::1", "::1", 445),
        ("[::1]", "::1", 445),
        (r"\\[::1]:4455", "::1", 4455),
        ("10.0.0.1:1", "10.0.0.1", 1),
    ],
)
def test_a_server_may_be_typed_in_many_ways(typed: str, name: str, port: int) -> None:
    assert split_server(typed, 445) == (name, port)


@pytest.mark.parametrize(
    ("typed", "port", "code"),
    [
        ("", 445, 2351),
        ("\\\\", 445, 2351),
        ("a b", 445, 2351),
        (r"\\fs1\share", 445, 2351),
        ("fs1", 0, 87),
        ("fs1", 99999, 87),
        ("fs1:x", 445, 87),
        ("fs1:0", 445, 87),
    ],
)
def test_what_is_no_server(typed: str, port: int, code: int) -> None:
    with pytest.raises(Win32Error) as raised:
        split_server(typed, port)
    assert raised.value.code == code
