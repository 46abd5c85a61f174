"""The Manager against a real smbd: what it lists and ends there, in every dialect, and that nothing else is touched."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

import lanman
from lanman.errors import AccessDenied, AuthenticationError, LanmanError, Win32Error
from lanman.manage import clients, own
from lanman.manage.granted import GrantedLevels
from lanman.manage.link import is_samba
from lanman.manage.manager import FileCloseResult, Manager
from lanman.manage.selection import is_address
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.home import Home
from lanman.records import SessionInfo
from lanman.smb2.constants import Dialect
from support.smbd import Account, HeldClient, Samba

pytestmark = [pytest.mark.samba, pytest.mark.root]

Opener = Callable[..., AbstractAsyncContextManager[Manager]]


def opened(
    samba: Samba, account: Account | None = None, *, encrypt: bool = False
) -> AbstractAsyncContextManager[Manager]:
    who = account or samba.administrator
    return lanman.open_manager(
        samba.host,
        Credentials(who.user_name, who.password),
        port=samba.port,
        timeout=60,
        encrypt=encrypt,
        granted=GrantedLevels(),
    )


async def held(samba: Samba, account: Account) -> HeldClient:
    return await asyncio.to_thread(samba.hold, account)


async def lives(client: HeldClient) -> bool:
    """Whether that client's session still answers."""
    try:
        return "blocks available" in await asyncio.to_thread(client.command, "ls")
    except ConnectionError:
        return False


async def users(manager: Manager) -> list[str]:
    return sorted(entry.user_name or "" for entry in (await manager.sessions()).entries)


async def test_two_users_on_three_connections(samba: Samba) -> None:
    """List, filter, end one; the others live on."""
    daemon, games = samba.user, samba.other_user
    with await held(samba, daemon) as first, await held(samba, daemon) as second, await held(samba, games) as third:
        async with opened(samba) as manager:
            found = await manager.sessions()
            assert found.level == 1
            assert await users(manager) == ["daemon", "daemon", "games", "root"]
            assert {entry.idle_time for entry in found.entries} == {None}
            assert {entry.client_type for entry in found.entries} == {None}
            # smbd ignores filters: these hold because they are applied here.
            (target,) = (await manager.sessions(user="games")).entries
            assert len((await manager.sessions(client="//127.0.0.1")).entries) == 4
            assert len((await manager.sessions(client="localhost", user="daemon")).entries) == 2
            assert (await manager.sessions(client="127.0.0.2")).entries == []
            # smbd's list does not tell whether they share a connection.
            (alone,) = await manager.close_sessions([target])
            assert (alone.error and alone.error.code, len(alone.others)) == (170, 2)
            assert await users(manager) == ["daemon", "daemon", "games", "root"]
            (ended,) = await manager.close_sessions([target], with_others=True)
            assert ended.error is None
            assert (ended.note, ended.others) == (None, [])
            assert await users(manager) == ["daemon", "daemon", "root"]
        assert not await lives(third)
        for survivor in (first, second):
            assert await lives(survivor)


async def test_ending_who_is_not_there(samba: Samba) -> None:
    async with opened(samba) as manager:
        (ended,) = await manager.close_sessions([SessionInfo("127.0.0.1", "nobody")])
        assert ended.error is not None
        assert ended.error.code == 2312
        assert await users(manager) == ["root"]


async def test_our_own_session_and_another_of_the_same_user(samba: Samba) -> None:
    with await held(samba, samba.administrator) as other:
        async with opened(samba) as manager:
            both = (await manager.sessions()).entries
            assert [entry.user_name for entry in both] == ["root", "root"]
            outcome = await manager.close_sessions(both)
            assert [ended.error for ended in outcome] == [None, None]
            assert await users(manager) == ["root"]
            (own,) = await manager.close_sessions((await manager.sessions()).entries)
            assert own.error is None
            assert "this program" in (own.note or "")
        assert not await lives(other)


async def test_a_server_that_lists_clients_by_name(start_samba: Callable[..., Samba]) -> None:
    """An address finds its name, our own session is ours, and who is ended is ended."""
    samba = await asyncio.to_thread(start_samba, {"hostname lookups": "yes"})
    (samba.share / "plan.txt").write_text("plan")
    with await held(samba, samba.user) as client:
        await asyncio.to_thread(client.command, "open plan.txt")
        async with opened(samba) as manager:
            listed = (await manager.sessions()).entries
            (name,) = {entry.client_name or "" for entry in listed}
            assert not is_address(name)
            for typed in ("127.0.0.1", r"\\127.0.0.1", name, f"//{name.upper()}"):
                found = (await manager.sessions(client=typed)).entries
                assert sorted(entry.user_name or "" for entry in found) == ["daemon", "root"]
            assert (await manager.sessions(client="127.0.0.2")).entries == []
            paths = [entry.path or "" for entry in await manager.files(client="127.0.0.1", user="daemon")]
            assert any(path.endswith("plan.txt") for path in paths)
            outcome = await manager.close_sessions(listed)
            assert [ended.error for ended in outcome] == [None, None]
            assert [ended.note for ended in outcome if ended.session.user_name == "root"] == [
                "it was the session of this program itself, which has logged off"
            ]
            assert await users(manager) == ["root"]
        assert not await lives(client)


async def test_our_own_session_under_a_name_that_nobody_resolves(
    start_samba: Callable[..., Samba], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def names_of(address: str) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(clients, "names_of", names_of)
    samba = await asyncio.to_thread(start_samba, {"hostname lookups": "yes"})
    with await held(samba, samba.user) as client:
        async with opened(samba) as manager:
            outcome = await manager.close_sessions((await manager.sessions()).entries)
            assert [ended.error for ended in outcome] == [None, None]
            assert await users(manager) == ["root"]
        assert not await lives(client)


async def test_many_files_are_closed_and_looked_after_together(samba: Samba) -> None:
    names = [f"plan{number}.txt" for number in range(12)]
    with await held(samba, samba.user) as client:
        for name in names:
            (samba.share / name).write_text("plan")
            await asyncio.to_thread(client.command, f"open {name}")
        async with opened(samba) as manager:
            files = await manager.files(path="*plan*.txt")
            assert len(files) == 12
            stale = dataclasses.replace(files[0], path="C:\\elsewhere")
            told: list[FileCloseResult] = []
            (left, *closed) = await manager.close_files([stale, *files[1:]], done=told.append)
            assert left.error is not None
            assert left.error.code == 2314
            assert [one.error for one in closed] == [None] * 11
            assert [one.file for one in told] == [stale, *files[1:]]
            assert await manager.files(path="*plan*.txt") == files[:1]


async def test_who_may_list_may_not_end(samba: Samba) -> None:
    with await held(samba, samba.user) as client:
        async with opened(samba, samba.operator) as manager:
            (target,) = (await manager.sessions(user="daemon")).entries
            (ended,) = await manager.close_sessions([target])
            assert isinstance(ended.error, AccessDenied)
            assert "admin users" in (ended.error.hint or "")
        assert await lives(client)


async def test_who_may_not_list_is_told_the_missing_right(samba: Samba) -> None:
    async with opened(samba, samba.user) as manager:
        for attempt in (manager.sessions(), manager.files()):
            with pytest.raises(AccessDenied, match=r"^\\\\127\.0\.0\.1: access denied to the list") as raised:
                await attempt
            assert "S-1-5-32-544" in (raised.value.hint or "")
        assert "IPC$" in [entry.netname for entry in await manager.shares()]


async def test_a_file_is_found_and_closed(samba: Samba) -> None:
    (samba.share / "plan.txt").write_text("plan")
    with await held(samba, samba.user) as client:
        await asyncio.to_thread(client.command, "open plan.txt")
        async with opened(samba) as manager:
            (entry,) = await manager.files(path=str(samba.share / "*.txt"))
            assert (entry.user_name, Path((entry.path or "").replace("\\", "/")).name) == ("daemon", "plan.txt")
            assert await manager.files(user="games") == []
            assert [found.id for found in await manager.files(client="127.0.0.1", user="daemon")].count(entry.id) == 1
            assert entry.id is not None
            assert await manager.file(entry.id) == entry
            assert await manager.close_file(entry.id) == entry
            assert await manager.files(path="*plan.txt") == []
            with pytest.raises(Win32Error) as raised:
                await manager.close_file(entry.id)
            assert raised.value.code == 2314


async def test_what_smbd_does_not_tell(samba: Samba) -> None:
    async with opened(samba) as manager:
        info = await manager.server_info()
        assert (info.name, info.disc, info.users) == ("SAMBA", None, None)
        for attempt in (manager.statistics(), manager.transports(), manager.connections("IPC$")):
            with pytest.raises(Win32Error) as raised:
                await attempt
            assert raised.value.code == 50
        for setting in (manager.set_comment("new"), manager.set_autodisconnect(30)):
            with pytest.raises(Win32Error, match="ignored it"):
                await setting
        assert (await manager.time_of_day()).year >= 2024


async def test_a_question_longer_than_a_fragment(samba: Samba) -> None:
    async with opened(samba) as manager:
        with pytest.raises(Win32Error) as raised:
            await manager.share("x" * 9000)
        assert raised.value.code == 2310
        assert await users(manager) == ["root"]


async def test_wrong_password_and_unknown_user(samba: Samba) -> None:
    for account in (Account("root", "wrong"), Account("zoe", "wrong")):
        with pytest.raises(AuthenticationError) as raised:
            async with opened(samba, account):
                pass
        assert raised.value.code == 1326


async def test_nobody_may_list(samba: Samba) -> None:
    async with lanman.open_manager(samba.host, None, port=samba.port) as manager:
        with pytest.raises(AccessDenied) as raised:
            await manager.sessions()
    assert "log on with -U" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("options", "dialect"),
    [
        ({"server max protocol": "SMB2_02"}, Dialect.SMB_2_0_2),
        ({"server max protocol": "SMB2_10"}, Dialect.SMB_2_1),
        ({"server max protocol": "SMB3_00"}, Dialect.SMB_3_0),
        ({"server max protocol": "SMB3_02", "server signing": "mandatory"}, Dialect.SMB_3_0_2),
        ({"server max protocol": "SMB3_11", "server signing": "mandatory"}, Dialect.SMB_3_1_1),
        ({"server max protocol": "SMB3_00", "smb encrypt": "required"}, Dialect.SMB_3_0),
        ({"smb encrypt": "required"}, Dialect.SMB_3_1_1),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else value.name,
)
async def test_every_dialect(start_samba: Callable[..., Samba], options: dict[str, str], dialect: Dialect) -> None:
    samba = await asyncio.to_thread(start_samba, options)
    who = Credentials("root", samba.administrator.password)
    async with SmbClient(samba.host, samba.port, who) as client:
        assert client.negotiated.dialect == dialect
        assert is_samba(client.negotiated.server_guid)
    (samba.share / "a.txt").write_text("a")
    with await held(samba, samba.user) as victim, await held(samba, samba.other_user) as survivor:
        await asyncio.to_thread(survivor.command, "open a.txt")
        async with opened(samba) as manager:
            assert await users(manager) == ["daemon", "games", "root"]
            assert (await manager.session("127.0.0.1", "games")).user_name == "games"
            (ended,) = await manager.close_sessions((await manager.sessions(user="daemon")).entries, with_others=True)
            assert ended.error is None
            assert await users(manager) == ["games", "root"]
            (entry,) = await manager.files(path="*/a.txt")
            assert entry.id is not None
            await manager.close_file(entry.id)
        async with opened(samba, samba.other_user) as manager:
            with pytest.raises(AccessDenied):
                await manager.sessions()
        assert not await lives(victim)


async def test_encryption_that_only_we_want(samba: Samba, start_samba: Callable[..., Samba]) -> None:
    async with opened(samba, encrypt=True) as manager:
        assert await users(manager) == ["root"]
    old = await asyncio.to_thread(start_samba, {"server max protocol": "SMB2_10"})
    with pytest.raises(Win32Error, match="cannot encrypt"):
        async with opened(old, encrypt=True):
            pass


# The one hangs up on SMB 2, the other refuses every dialect.
@pytest.mark.parametrize("least", ["NT1", "SMB2_02"])
async def test_a_server_of_smb_1_alone(start_samba: Callable[..., Samba], least: str) -> None:
    samba = await asyncio.to_thread(start_samba, {"server max protocol": "NT1", "server min protocol": least})
    with pytest.raises(LanmanError, match=r"^\\\\127\.0\.0\.1: ") as raised:
        async with opened(samba):
            pass
    assert "SMB 1" in (raised.value.message + (raised.value.hint or ""))


async def test_an_unmapped_samba_names_the_remedy(start_samba: Callable[..., Samba]) -> None:
    samba = await asyncio.to_thread(lambda: start_samba(mapped=False))
    async with opened(samba, samba.operator) as manager:
        with pytest.raises(AccessDenied) as raised:
            await manager.sessions()
        assert "net groupmap add sid=S-1-5-32-544" in (raised.value.hint or "")


async def test_accounts_that_may_not_log_on(start_samba: Callable[..., Samba]) -> None:
    samba = await asyncio.to_thread(start_samba)
    samba.pdbedit("-c", "[D]", "daemon")
    samba.net("sam", "set", "pwdmustchangenow", "games", "yes")
    for account, code in ((samba.user, 1331), (samba.other_user, 1907)):
        with pytest.raises(AuthenticationError) as raised:
            async with opened(samba, account):
                pass
        assert raised.value.code == code
        assert raised.value.hint


async def test_guests_are_not_who_they_say(start_samba: Callable[..., Samba]) -> None:
    samba = await asyncio.to_thread(start_samba, {"map to guest": "bad user", "guest account": "games"})
    with pytest.raises(AuthenticationError, match="does not know zoe") as raised:
        async with opened(samba, Account("zoe", "any")):
            pass
    assert "map to guest" in (raised.value.hint or "")


def test_without_asyncio(samba: Samba) -> None:
    credentials = lanman.Credentials("root", samba.administrator.password)
    with lanman.connect(samba.host, credentials, port=samba.port) as manager:
        assert [entry.user_name for entry in manager.sessions().entries] == ["root"]
        assert manager.server_info(100).name == "SAMBA"


async def test_a_samba_of_this_machine_is_called_so(
    samba: Samba, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "client_homes", lambda home: [Home(tmp_path)])
    with pytest.raises(AuthenticationError, match="by another program than lanman, by Samba") as raised:
        async with lanman.open_manager(port=samba.port):
            pass
    assert (raised.value.code, raised.value.hint) == (1244, "say who you are to it with -U")
    credentials = Credentials(samba.administrator.user_name, samba.administrator.password)
    async with lanman.open_manager(None, credentials, port=samba.port) as manager:
        assert (await manager.sessions()).entries
