"""What doctor says of a Windows, which is a scripted one: rights before and after 10 1607, remote UAC, log-ons that
are refused, pipes that are not there, limits, and clocks. No real Windows was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lanman import codes
from lanman.manage.doctor.report import Diagnosis, Finding, Mark, Verdict
from lanman.manage.doctor.run import doctor
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrFileEnum, NetrRemoteTOD, NetrServerGetInfo, NetrSessionEnum
from lanman.smb2.constants import Dialect
from support.scripted_windows import ScriptedWindows, Windows, windows_2019, windows_2025
from support.waiting import until

Change = Callable[[Windows], None]


def windows(**changes: Any) -> Windows:
    """A Windows Server 2019 in the domain EXAMPLE whose clock is right, with some of its settings changed."""
    found = windows_2019()
    found.joined = "EXAMPLE"
    found.time_of_day.elapsedt = int(time.time())
    for name, value in changes.items():
        assert hasattr(found, name)
        setattr(found, name, value)
    return found


async def examined(script: Windows, login: str = r"EXAMPLE\bob", *checks: str, **options: Any) -> Diagnosis:
    """What is said to that user; `DOMAIN\\USER%PASSWORD` has another password than the right one."""
    async with ScriptedWindows(script) as server:
        who = Credentials.parse(login)
        if not who.anonymous and who.password is None:
            who.password = server.password
        return await doctor(server.host, who, port=server.port, checks=checks, **options)


def one(diagnosis: Diagnosis, id: str) -> Finding:
    (found,) = (finding for finding in diagnosis.findings if finding.id == id)
    return found


def marks(diagnosis: Diagnosis) -> dict[str, Mark]:
    return {finding.id: finding.mark for finding in diagnosis.findings}


async def test_a_healthy_server() -> None:
    diagnosis = await examined(windows(), r"EXAMPLE\admin")
    assert diagnosis.verdict(strict=True) is Verdict.WELL
    unknown = [finding.id for finding in diagnosis.of(Mark.UNKNOWN)]
    assert unknown == ["LD060"]  # ending is never tried
    assert one(diagnosis, "LD034").evidence["sessions"] == 6
    assert "17763" in one(diagnosis, "LD071").says
    assert [finding.category for finding in diagnosis.findings] == sorted(
        (finding.category for finding in diagnosis.findings),
        key=["reach", "protocol", "log-on", "levels", "files", "ending", "server"].index,
    )


async def test_one_log_on_and_no_change() -> None:
    for login in ("admin", "ann", "bob"):
        script = windows()
        async with ScriptedWindows(script) as server:
            before = repr(script)
            sessions = server._last_session_id
            await doctor(server.host, Credentials(login, server.password), port=server.port)
            assert server._last_session_id - sessions == 0x40000000000 + 1  # one more
            assert set(map(type, server.asked)) <= {NetrSessionEnum, NetrFileEnum, NetrServerGetInfo, NetrRemoteTOD}
            assert (server.ended, server.closed, repr(script)) == ([], [], before)
            await until(lambda: server.script.callers == {})  # and it has logged off


@pytest.mark.parametrize(
    ("changes", "login", "cause", "names"),
    [
        ({}, r"EXAMPLE\bob", "since-1607", ["17763", "1607", "Add-LocalGroupMember", r"EXAMPLE\bob"]),
        ({"build": 14393}, r"EXAMPLE\bob", "since-1607", ["14393", "Server 2016"]),
        ({"build": 26100}, "bob@example.com", "since-1607", ["Server 2025"]),
        ({}, r"WIN2019\bob", "remote-uac", ["LocalAccountTokenFilterPolicy", "1607", r"WIN2019\bob"]),
        ({}, "bob", "remote-uac", ["LocalAccountTokenFilterPolicy"]),
        ({"joined": ""}, r"EXAMPLE\bob", "remote-uac", ["LocalAccountTokenFilterPolicy"]),  # it is in no domain
        ({"users": {"Administrator": "hardened"}}, "Administrator", "since-1607", ["1607"]),  # UAC spares that one
        ({"build": 10586}, r"EXAMPLE\bob", "descriptor-before-1607", ["10586", "NetCease", "SrvsvcSessionInfo"]),
        ({"build": 9600}, "bob", "descriptor-before-1607", ["9600"]),
        ({"denied": (NetrSessionEnum,)}, r"EXAMPLE\admin", "descriptor-changed", ["SrvsvcSessionInfo", "102"]),
        ({"build": 0}, r"EXAMPLE\bob", "not-an-administrator", ["Add-LocalGroupMember"]),
        ({}, "%", "null-session", ["-U"]),
        ({"faults": {(NetrSessionEnum, None): 5}}, r"EXAMPLE\admin", "rpc-denied", ["RPC"]),
        ({"faults": {(NetrSessionEnum, None): codes.nca_s_op_rng_error}}, "admin", "not-supported", ["MS-SRVS"]),
    ],
)
async def test_every_cause_of_a_denial(changes: dict[str, Any], login: str, cause: str, names: list[str]) -> None:
    who = "" if login == "%" else login
    diagnosis = await examined(windows(**changes), who)
    denied = one(diagnosis, "LD034")
    assert (denied.mark, denied.cause) == (Mark.PROBLEM, cause)
    assert diagnosis.verdict() is Verdict.PROBLEMS
    told = f"{denied.says} {denied.needs} {denied.why} {denied.fix}"
    for name in names:
        assert name in told
    assert set(denied.evidence["levels"]) == {"502", "2", "1", "10", "0"}  # type: ignore[call-overload]


async def test_before_1607_every_user_has_level_10_and_no_files() -> None:
    diagnosis = await examined(windows(build=10586), r"EXAMPLE\ann")
    assert one(diagnosis, "LD034").evidence["granted"] == 10
    poorer = one(diagnosis, "LD035")
    assert (poorer.mark, poorer.cause) == (Mark.WARNING, "every-users")
    assert "502, 2, 1: access denied" in poorer.says
    assert "before 10 1607" in (poorer.why or "")
    assert one(diagnosis, "LD050").cause == "denied"
    assert one(diagnosis, "LD070").evidence["granted"] == 101


async def test_files_alone_are_denied() -> None:
    diagnosis = await examined(windows(denied=(NetrFileEnum,)), r"EXAMPLE\admin")
    assert [finding.id for finding in diagnosis.problems] == ["LD050"]


REFUSED_LOG_ONS = [
    (codes.STATUS_LOGON_FAILURE, "LD041", "wrong-password"),
    (codes.STATUS_PASSWORD_EXPIRED, "LD042", "password-expired"),
    (codes.STATUS_PASSWORD_MUST_CHANGE, "LD042", "password-must-change"),
    (codes.STATUS_ACCOUNT_DISABLED, "LD042", "disabled"),
    (codes.STATUS_ACCOUNT_LOCKED_OUT, "LD042", "locked"),
    (codes.STATUS_ACCOUNT_EXPIRED, "LD042", "account-expired"),
    (codes.STATUS_ACCOUNT_RESTRICTION, "LD042", "restriction"),
    (codes.STATUS_INVALID_LOGON_HOURS, "LD042", "hours"),
    (codes.STATUS_INVALID_WORKSTATION, "LD042", "workstation"),
    (codes.STATUS_LOGON_TYPE_NOT_GRANTED, "LD042", "not-from-the-network"),
    (codes.STATUS_NO_LOGON_SERVERS, "LD044", "no-logon-servers"),
    (codes.STATUS_ACCESS_DENIED, "LD044", "ntlm-refused"),
    (0xC0000418, "LD044", "ntlm-refused"),  # STATUS_NTLM_BLOCKED
    (codes.STATUS_INSUFFICIENT_RESOURCES, "LD044", "not-finished"),
    (codes.STATUS_REQUEST_NOT_ACCEPTED, "LD046", "full"),
    (codes.STATUS_SHARING_PAUSED, "LD046", "paused"),
    (codes.STATUS_TIME_DIFFERENCE_AT_DC, "LD045", "skew"),
]


@pytest.mark.parametrize(("status", "id", "cause"), REFUSED_LOG_ONS, ids=[entry[2] for entry in REFUSED_LOG_ONS])
async def test_every_refused_log_on(status: int, id: str, cause: str) -> None:
    diagnosis = await examined(windows(logon_status=status), r"EXAMPLE\bob")
    (problem,) = diagnosis.problems
    assert (problem.id, problem.cause, problem.category) == (id, cause, "log-on")
    assert problem.why
    assert problem.fix
    assert diagnosis.verdict() is Verdict.PROBLEMS
    behind = [finding for finding in diagnosis.findings if finding.category in ("levels", "files", "ending")]
    assert behind
    assert all(finding.mark is Mark.UNKNOWN for finding in behind)
    assert all(finding.evidence == {"stopped_by": id} for finding in behind)
    assert "17763" in one(diagnosis, "LD071").says  # the challenge came before the refusal


async def test_a_wrong_password_and_no_password() -> None:
    diagnosis = await examined(windows(), r"EXAMPLE\bob%wrong")
    assert [(problem.id, problem.cause) for problem in diagnosis.problems] == [("LD041", "wrong-password")]
    async with ScriptedWindows(windows()) as server:
        diagnosis = await doctor(server.host, Credentials("bob"), port=server.port)
    assert [(problem.id, problem.cause) for problem in diagnosis.problems] == [("LD040", "no-password")]


@pytest.mark.parametrize(
    ("changes", "id", "cause"),
    [
        ({"ipc": False}, "LD030", "missing"),
        ({"refused": {"IPC$": codes.STATUS_ACCESS_DENIED}}, "LD030", "denied"),
        ({"refused": {"IPC$": codes.STATUS_INSUFFICIENT_RESOURCES}}, "LD030", "refused"),
        ({"refused": {"srvsvc": codes.STATUS_OBJECT_NAME_NOT_FOUND}}, "LD031", "missing"),
        ({"refused": {"srvsvc": codes.STATUS_ACCESS_DENIED}}, "LD031", "denied"),
        ({"refused": {"srvsvc": codes.STATUS_PIPE_NOT_AVAILABLE}}, "LD031", "refused"),
        ({"interface": False}, "LD031", "interface"),
        ({"signs": False}, "LD022", "unprotected"),
        ({"encryption": "required", "dialects": [Dialect.SMB_2_1]}, "LD021", "required-and-impossible"),
    ],
)
async def test_what_stands_between_a_log_on_and_the_questions(changes: dict[str, Any], id: str, cause: str) -> None:
    if changes.get("encryption") == "required":
        changes["logon_status"] = codes.STATUS_ACCESS_DENIED  # MS-SMB2 3.3.5.5 refuses a client that cannot encrypt so
    diagnosis = await examined(windows(**changes), r"EXAMPLE\admin")
    (problem,) = diagnosis.problems
    assert (problem.id, problem.cause) == (id, cause)
    assert problem.stops or id == "LD021"
    assert one(diagnosis, "LD034").mark is Mark.UNKNOWN


async def test_no_encryption_is_a_warning_that_counts_when_strict() -> None:
    diagnosis = await examined(windows(encryption="off"), r"EXAMPLE\admin")
    assert [finding.id for finding in diagnosis.warnings] == ["LD021"]
    assert (diagnosis.verdict(), diagnosis.verdict(strict=True)) == (Verdict.WELL, Verdict.PROBLEMS)


async def test_clocks_that_differ() -> None:
    script = windows(clock=7200.0)
    script.time_of_day.elapsedt = int(time.time()) + 7200
    diagnosis = await examined(script, r"EXAMPLE\admin")
    assert "2 h 00 min ahead" in one(diagnosis, "LD045").says
    assert one(diagnosis, "LD045").mark is Mark.WARNING
    # Before there is anybody to ask NEGOTIATE tells it.
    diagnosis = await examined(windows(clock=-600.0, logon_status=codes.STATUS_TIME_DIFFERENCE_AT_DC), "bob")
    assert "by NEGOTIATE its clock is 10 min behind" in (one(diagnosis, "LD045").why or "")


@pytest.mark.parametrize(
    ("sessions", "users", "build", "mark"),
    [
        (3, 20, 26100, Mark.OK),
        (17, 20, 26100, Mark.WARNING),
        (20, 20, 26100, Mark.PROBLEM),
        (17, 0xFFFFFFFF, 22631, Mark.WARNING),  # it says no limit, and is a client
        (9, 0xFFFFFFFF, 2600, Mark.WARNING),  # of which XP allows ten
    ],
)
async def test_a_client_windows_near_its_limit(sessions: int, users: int, build: int, mark: Mark) -> None:
    script = windows(build=build)
    script.sessions = [script.sessions[0]] * sessions
    script.info.type, script.info.users = 0x1003, users
    assert one(await examined(script, r"EXAMPLE\admin"), "LD072").mark is mark


async def test_a_server_windows_has_no_limit() -> None:
    script = windows_2025()
    script.sessions *= 50
    assert "LD072" not in marks(await examined(script, "admin"))


async def test_no_further_than_the_checks_need() -> None:
    for checks, session in ((["reach"], False), (["LD021", "REACH"], False), (["log-on"], True), (["LD071"], False)):
        async with ScriptedWindows(windows()) as server:
            first = server._last_session_id
            await doctor(server.host, Credentials("bob", server.password), port=server.port, checks=checks)
            assert (server._last_session_id != first) is session, checks
            assert server.asked == []


async def test_the_chosen_checks_and_what_stopped_them() -> None:
    diagnosis = await examined(windows(), r"EXAMPLE\bob", "files", "LD034")
    assert list(marks(diagnosis)) == ["LD034", "LD050"]
    diagnosis = await examined(windows(), r"EXAMPLE\bob%wrong", "files")
    assert [finding.id for finding in diagnosis.findings] == ["LD041", "LD050", "LD051"]


async def test_a_call_that_is_never_answered_is_the_last_one() -> None:
    async with ScriptedWindows(windows(silent=(NetrServerGetInfo,))) as server:
        diagnosis = await doctor(server.host, Credentials("admin", server.password), port=server.port, deadline=3)
        assert list(map(type, server.asked)) == [NetrSessionEnum, NetrServerGetInfo]
    (problem,) = diagnosis.problems
    assert (problem.id, problem.cause) == ("LD032", "silent")
    assert one(diagnosis, "LD034").mark is Mark.OK  # what was asked before is known


async def test_files_that_are_never_listed() -> None:
    diagnosis = await examined(windows(silent=(NetrFileEnum,)), r"EXAMPLE\admin", deadline=3)
    (problem,) = diagnosis.problems
    assert (problem.id, problem.cause) == ("LD050", "no-answer")
