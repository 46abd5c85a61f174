"""What doctor says of a real smbd: rights, accounts, guests, encryption, SMB 1, and its tools on its own machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from lanman.manage.doctor.report import Diagnosis, Mark, Verdict
from lanman.manage.doctor.run import doctor
from lanman.manage.open import open_manager
from lanman.net.credentials import Credentials
from support.smbd import Account, Samba

pytestmark = [pytest.mark.samba, pytest.mark.root]

Start = Callable[..., Samba]


async def examined(samba: Samba, account: Account, *checks: str) -> Diagnosis:
    who = Credentials(account.user_name, account.password)
    return await doctor(samba.host, who, port=samba.port, checks=checks, deadline=60)


def problems(diagnosis: Diagnosis) -> list[tuple[str, str | None]]:
    return [(problem.id, problem.cause) for problem in diagnosis.problems]


async def test_who_may_list_is_well_and_ending_stays_open(samba: Samba) -> None:
    for account in (samba.administrator, samba.operator):
        diagnosis = await examined(samba, account)
        assert diagnosis.verdict() is Verdict.WELL, diagnosis.problems
        (levels,) = (finding for finding in diagnosis.findings if finding.id == "LD034")
        assert levels.evidence["granted"] == 1
        (ending,) = (finding for finding in diagnosis.findings if finding.id == "LD060")
        assert (ending.mark, ending.cause) == (Mark.UNKNOWN, "samba")
        assert "`admin users` of the section [IPC$]" in (ending.fix or "")
        assert not [finding for finding in diagnosis.findings if finding.id == "LD072"]  # smbd's limit is a constant
    assert samba.user_names() == []


async def test_the_remedy_for_ending_helps_and_gives_no_more(start_samba: Start) -> None:
    """`admin users` in [IPC$] ends sessions, and makes nobody root for files."""
    options = {"deadtime": "0\n[IPC$]\nadmin users = bin\n[global]"}
    samba = await asyncio.to_thread(start_samba, options)
    secret = samba.share / "secret"
    secret.write_text("")
    secret.chmod(0o600)
    who = Credentials(samba.operator.user_name, samba.operator.password)
    held = await asyncio.to_thread(samba.hold, samba.user)
    try:
        async with open_manager("127.0.0.1", who, port=samba.port) as manager:
            results = await manager.close_sessions((await manager.sessions(user=samba.user.user_name)).entries)
    finally:
        held.close()
    assert [result.error for result in results] == [None]
    said = await asyncio.to_thread(samba.smbclient, samba.operator, "get secret /dev/null")
    assert "NT_STATUS_ACCESS_DENIED" in said


async def test_who_is_no_member(samba: Samba) -> None:
    diagnosis = await examined(samba, samba.user)
    assert problems(diagnosis) == [("LD034", "samba-group-map"), ("LD050", "as-sessions")]


async def test_no_group_map_denies_even_root(start_samba: Start) -> None:
    samba = await asyncio.to_thread(lambda: start_samba(mapped=False))
    diagnosis = await examined(samba, samba.administrator)
    denied = diagnosis.problems[0]
    assert (denied.id, denied.cause) == ("LD034", "samba-group-map")
    assert "net groupmap add sid=S-1-5-32-544" in (denied.fix or "")
    assert "not even root" in (denied.why or "")


async def test_accounts(start_samba: Start) -> None:
    samba = await asyncio.to_thread(start_samba)
    samba.pdbedit("-c", "[D]", "daemon")
    samba.net("sam", "set", "pwdmustchangenow", "games", "yes")
    samba.pdbedit("-c", "[L]", "bin")
    for account, cause in (
        (samba.user, "disabled"),
        (samba.other_user, "password-must-change"),
        (samba.operator, "locked"),
    ):
        assert problems(await examined(samba, account)) == [("LD042", cause)]
    wrong = Account("root", "wrong")
    assert problems(await examined(samba, wrong)) == [("LD041", "wrong-password")]


async def test_too_many_wrong_passwords(start_samba: Start) -> None:
    samba = await asyncio.to_thread(start_samba)
    samba.administer("pdbedit", "-P", "bad lockout attempt", "-C", "2")
    for _ in range(2):
        assert problems(await examined(samba, Account("games", "wrong"), "log-on"))
    assert problems(await examined(samba, samba.other_user, "log-on")) == [("LD042", "locked")]


@pytest.mark.parametrize(
    ("options", "user_name", "found"),
    [
        ({"map to guest": "bad user"}, "stranger", ("LD043", "mapped-to-guest")),
        ({"map to guest": "never"}, "stranger", ("LD041", "wrong-password")),
        (
            {"smb encrypt": "required", "server max protocol": "SMB2_10"},
            "root",
            ("LD021", "required-and-impossible"),
        ),
        ({"server max protocol": "NT1", "server min protocol": "NT1"}, "root", ("LD020", "hung-up")),
        ({"server max protocol": "NT1", "server min protocol": "SMB2_02"}, "root", ("LD020", "smb1-only")),
        ({"hosts deny": "127.0.0.1"}, "root", ("LD020", "address-refused")),
        ({"invalid users": "root"}, "root", ("LD030", "samba-users")),
    ],
)
async def test_how_it_is_configured(
    start_samba: Start, options: Mapping[str, str], user_name: str, found: tuple[str, str]
) -> None:
    samba = await asyncio.to_thread(start_samba, options)
    password = samba.administrator.password if user_name == "root" else "any"
    assert problems(await examined(samba, Account(user_name, password))) == [found]


async def test_no_encryption_is_a_warning(start_samba: Start) -> None:
    samba = await asyncio.to_thread(start_samba, {"server max protocol": "SMB2_10"})
    diagnosis = await examined(samba, samba.administrator)
    assert [finding.id for finding in diagnosis.warnings] == ["LD021"]
    assert diagnosis.verdict() is Verdict.WELL
    samba = await asyncio.to_thread(start_samba, {"smb encrypt": "required"})
    assert (await examined(samba, samba.administrator)).verdict(strict=True) is Verdict.WELL


async def test_by_its_own_tools(samba: Samba) -> None:
    diagnosis = await doctor(samba_config=str(samba._smb_conf), deadline=60)
    assert diagnosis.verdict() is Verdict.WELL, diagnosis.problems
    found = {finding.id: finding for finding in diagnosis.findings}
    assert found["LD081"].says == "Samba answers"
    assert found["LD084"].mark is Mark.OK
    assert found["LD034"].evidence["granted"] == 1
    assert found["LD050"].mark is Mark.OK
    assert not [finding for finding in diagnosis.findings if finding.category in ("reach", "protocol", "log-on")]
