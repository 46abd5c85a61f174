"""What doctor says of our own Server, over the network and on its own machine."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import os
import socket
from pathlib import Path

import pytest

import lanman
from lanman.errors import AccessDenied, AuthenticationError, LanmanError
from lanman.manage import loopback
from lanman.manage.doctor import here as looking
from lanman.manage.doctor.facts import Answer, Facts, Here, HomeFacts, Way
from lanman.manage.doctor.report import Diagnosis, Finding, Mark, Verdict
from lanman.manage.doctor.run import checks, doctor
from lanman.manage.samba_local.find import Smbd
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.loop import loop_name
from lanman.net.server import SmbServer
from lanman.records import PortionDetails, RefusalDetails
from lanman.rpc.control import LANMAN, GetPortions
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS, running_server
from support.waiting import free_port


async def nothing_runs(*_: object) -> list[Smbd]:
    return []


@pytest.fixture(autouse=True)
def no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine but what a test makes."""
    monkeypatch.setattr(looking, "running", nothing_runs)
    monkeypatch.setattr(looking, "KSMBD", Path("/nonexistent"))
    monkeypatch.delenv("LANMAN_HOME", raising=False)


async def examined(server: SmbServer, user: str, *chosen: str, password: str | None = None) -> Diagnosis:
    who = Credentials(user, PASSWORDS.get(user, "") if password is None else password)
    return await doctor("127.0.0.1", who, port=server.port, checks=chosen, deadline=60)


def problems(diagnosis: Diagnosis) -> list[tuple[str, str | None]]:
    return [(problem.id, problem.cause) for problem in diagnosis.problems]


def by_id(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {finding.id: finding for finding in diagnosis.findings}


async def test_hardened_and_legacy(tmp_path: Path) -> None:
    async with running_server(tmp_path, Configuration(session_rights="hardened")) as server:
        assert problems(await examined(server, "ann")) == [("LD034", "lanman-rights"), ("LD050", "as-sessions")]
        well = await examined(server, "admin")
        assert well.verdict(strict=True) is Verdict.WELL
        assert by_id(well)["LD071"].evidence["kind"] == "lanman"
    async with running_server(tmp_path / "legacy", Configuration(session_rights="legacy")) as server:
        diagnosis = await examined(server, "ann")
        assert problems(diagnosis) == [("LD050", "denied")]
        assert by_id(diagnosis)["LD035"].mark is Mark.WARNING
        assert "legacy" in (by_id(diagnosis)["LD035"].why or "")


async def test_accounts_and_guests(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        assert problems(await examined(server, "ann", password="wrong")) == [("LD041", "wrong-password")]
        server.accounts.update(lambda accounts: accounts.change("bob", disabled=True))
        assert problems(await examined(server, "bob")) == [("LD042", "disabled")]
        assert problems(await doctor("127.0.0.1", None, port=server.port)) == [("LD031", "denied")]
    async with running_server(tmp_path / "guest", Configuration(guest=True)) as server:
        assert problems(await examined(server, "stranger", password="x")) == [("LD043", "mapped-to-guest")]


async def test_a_limit_that_is_near_and_reached(tmp_path: Path) -> None:
    async with running_server(tmp_path, Configuration(max_sessions=2)) as server:
        credentials = Credentials("ann", PASSWORDS["ann"])
        async with SmbClient("127.0.0.1", server.port, credentials):
            diagnosis = await examined(server, "admin")
            assert problems(diagnosis) == [("LD072", "reached")]
            async with SmbClient("127.0.0.1", server.port, credentials):
                assert problems(await examined(server, "bob")) == [("LD046", "full")]
    async with running_server(tmp_path / "encrypted", Configuration(encryption="required")) as server:
        assert (await examined(server, "admin")).verdict(strict=True) is Verdict.WELL


# --- on its own machine


async def test_the_server_of_this_machine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shares = {"gone": ShareConfiguration(str(tmp_path / "gone"))}
    async with running_server(home, Configuration(name="LANTEST", shares=shares)) as server:
        with pytest.raises(AuthenticationError):
            async with SmbClient("127.0.0.1", server.port, Credentials("ann", "wrong")):
                pass
        diagnosis = await doctor(home=home)
    found = by_id(diagnosis)
    assert diagnosis.verdict() is Verdict.WELL, diagnosis.problems
    assert [finding.id for finding in diagnosis.warnings] == ["LD085"]
    assert "share gone" in found["LD085"].says
    assert found["LD081"].mark is found["LD082"].mark is found["LD080"].mark is Mark.OK
    assert found["LD034"].evidence["granted"] == 502
    assert found["LD088"].mark is Mark.OK
    assert found["LD089"].says == f"the Server runs on {loop_name(asyncio.get_running_loop())}"
    assert found["LD086"].says == "1 log-on refused for what no setting changes"
    assert not {"reach", "protocol", "log-on"} & {finding.category for finding in diagnosis.findings}


async def test_modes_of_what_holds_hashes(tmp_path: Path) -> None:
    async with running_server(tmp_path):
        os.chmod(tmp_path / "accounts", 0o644)
        os.chmod(tmp_path, 0o755)
        diagnosis = await doctor(home=tmp_path, checks=["machine"])
    assert problems(diagnosis) == [("LD082", "open-to-others")]
    assert f"chmod 600 {tmp_path}/accounts" in (diagnosis.problems[0].fix or "")
    assert [finding.id for finding in diagnosis.warnings] == ["LD080"]


async def test_nothing_is_started_here(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('[server]\nencyption = "required"\n')
    diagnosis = await doctor(home=tmp_path)
    assert sorted(problems(diagnosis)) == [("LD081", "not-started"), ("LD087", "mistake")]
    assert diagnosis.verdict() is Verdict.NO_ANSWER
    assert {finding.mark for finding in diagnosis.findings if finding.category == "levels"} == {Mark.UNKNOWN}
    assert "line 2" in (by_id(diagnosis)["LD087"].why or "")


async def test_another_program_has_the_port(tmp_path: Path) -> None:
    async with running_server(tmp_path / "other") as other:
        (tmp_path / "server.toml").write_text(f"[server]\nport = {other.port}\n")
        diagnosis = await doctor(home=tmp_path, checks=["LD083"])
        held = by_id(diagnosis)["LD083"]
        assert (held.mark, held.cause) == (Mark.WARNING, "held")
        assert str(other.port) in held.says
        # With a user it is asked over the network.
        who = Credentials("admin", PASSWORDS["admin"])
        found = by_id(await doctor(None, who, home=tmp_path))
        assert found["LD041"].mark is found["LD034"].mark is Mark.OK
    port = free_port()
    found = by_id(await doctor(home=tmp_path, port=port, checks=["LD083"]))
    assert found["LD083"].says == f"nothing listens at 127.0.0.1:{port}"


async def test_a_control_socket_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    async with running_server(tmp_path):
        monkeypatch.setattr("lanman.net.control.client.connect_unix", refuse)
        diagnosis = await doctor(home=tmp_path)
    assert ("LD081", "denied") in problems(diagnosis)
    assert diagnosis.verdict() is Verdict.PROBLEMS  # a denial is a finding
    assert "root" in (by_id(diagnosis)["LD081"].fix or "")


# --- what cannot be had here, by its facts


async def test_the_port_of_the_configuration_while_the_server_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve --port`: whether the port that server.toml names is its own is looked at, and not supposed."""
    async with running_server(tmp_path) as server:
        found = by_id(await doctor(home=tmp_path, port=server.port))["LD083"]
        assert (found.mark, found.says) == (Mark.OK, f"a lanman Server has port {server.port}")
        port = free_port()
        with socket.create_server(("127.0.0.1", port)):
            monkeypatch.setattr(loopback, "PATIENCE", 0.01)  # it will say nothing
            found = by_id(await doctor(home=tmp_path, port=port))["LD083"]
            assert (found.mark, found.cause) == (Mark.WARNING, "configured-elsewhere")
        found = by_id(await doctor(home=tmp_path, port=port))["LD083"]
        assert (found.mark, found.evidence["holder"]) == (Mark.UNKNOWN, None)


async def test_a_path_to_paste_and_accounts_behind_a_link(tmp_path: Path) -> None:
    home = tmp_path / "my home"
    home.mkdir(mode=0o755)
    (home / "accounts").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").touch(0o600)
    found = by_id(await doctor(home=home, checks=["this-machine"]))
    assert found["LD082"].mark is Mark.OK
    os.chmod(tmp_path / "kept", 0o644)
    found = by_id(await doctor(home=home, checks=["this-machine"]))
    assert found["LD080"].fix == f"chmod 700 '{home}'"
    assert (found["LD082"].fix or "").startswith(f"chmod 600 '{home}/accounts'")


def judged(facts: Facts) -> dict[str, Finding]:
    return {finding.id: finding for check in checks() for finding in check.findings(facts)}


def test_an_ordinary_user_and_sambas_tools() -> None:
    denied = AccessDenied("only root may ask this machine's Samba", subject="its sessions")
    here = Here(HomeFacts(Path("/h")), user_id=1000, user_name="ann", samba=[Smbd(7)])
    facts = Facts("here", way=Way.SAMBA_TOOLS, here=here, levels={502: Answer(5, denied)}, files=Answer(5, denied))
    found = judged(facts)
    assert (found["LD084"].mark, found["LD084"].cause) == (Mark.PROBLEM, "not-root")
    assert (found["LD034"].mark, found["LD034"].cause) == (Mark.PROBLEM, "not-root")
    assert "ann" in (found["LD084"].why or "")
    # Where another service answers nobody needs them.
    assert judged(dataclasses.replace(facts, way=Way.OWN))["LD084"].mark is Mark.WARNING
    here.missing_tool = "smbstatus"
    assert judged(facts)["LD084"].cause == "missing"


def test_windows_without_elevation_and_ksmbd() -> None:
    here = Here(HomeFacts(Path("/h")), user_name="ann", holder="another SMB server", ksmbd=True)
    facts = Facts("here", way=Way.WINDOWS, here=here, levels={502: Answer(5)})
    assert judged(facts)["LD034"].cause == "not-elevated"
    facts.way = Way.OWN
    assert judged(facts)["LD034"].cause == "not-the-servers-user"
    assert "ksmbd" in judged(facts)["LD083"].says


def test_who_was_refused_with_a_remedy_is_a_warning() -> None:
    refusals = [
        RefusalDetails(rf"\\pc{number}", "scan", "speaks SMB 1 only", "", "turn SMB 2 on", 3, 100, 200)
        for number in range(7)
    ]
    here = Here(HomeFacts(Path("/h")), refusals=refusals)
    found = [
        finding
        for check in checks()
        if check.id == "LD086"
        for finding in check.findings(Facts("x", way=Way.OWN, here=here))
    ]
    assert [finding.mark for finding in found] == [Mark.WARNING] * 5 + [Mark.OK]
    assert r"\\pc0 (scan) was refused 3 times: speaks SMB 1 only" in found[0].says
    assert found[0].fix == "turn SMB 2 on"
    when = datetime.datetime.fromtimestamp(200)
    assert found[0].why == f"last at {when:%Y-%m-%d %H:%M:%S}"
    assert found[0].evidence["last"] == 200
    assert "6 other log-ons" in found[5].says


def found_of_portions(*portions: PortionDetails) -> list[Finding]:
    facts = Facts("x", way=Way.OWN, here=Here(HomeFacts(Path("/h")), portions=list(portions)))
    return [finding for check in checks() if check.id == "LD088" for finding in check.findings(facts)]


def test_who_wanted_more_than_a_part_is_a_warning_with_the_setting() -> None:
    files = PortionDetails("open files", 900, 1000, "ann", 800, 3, "ann", "set more [limits] opens_per_user")
    locks = PortionDetails("byte-range locks", 5, 50, "bob", 4, 1, "guests and null sessions", "")
    idle = PortionDetails("leases", 0, 9)
    found = found_of_portions(files, locks, idle)
    assert [(finding.mark, finding.cause) for finding in found] == [
        (Mark.WARNING, "refused"),
        (Mark.WARNING, "refused-always"),
    ]
    assert found[0].says == "open files: more than a user may have was wanted 3 times, the last time by ann"
    assert found[0].why == "900 of 1000 taken, 800 by ann"
    assert found[0].fix == "set more [limits] opens_per_user"
    assert "no setting changes it" in (found[1].fix or "")
    assert found_of_portions() == []
    (well,) = found_of_portions(idle, PortionDetails("open files", 9, 10, "ann", 9))
    assert (well.mark, well.says) == (
        Mark.OK,
        "nobody was refused a part of what all share; open files: 9 of 10 taken, 9 by ann",
    )


async def test_what_an_older_server_does_not_tell_is_said_to_be_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(LANMAN.requests, GetPortions.opnum)
    async with running_server(tmp_path / "home"):
        diagnosis = await doctor(home=tmp_path / "home")
    found = by_id(diagnosis)
    assert diagnosis.verdict(strict=True) is Verdict.WELL
    for check_id, what in (("LD088", "what users share"), ("LD089", "the event loop")):
        assert found[check_id].mark is Mark.UNKNOWN
        assert found[check_id].says == f"{what} is not told by this version of the Server; started again it is told"


def test_other_servers_and_those_that_refuse_all_are_not_called_older() -> None:
    def unknown(way: Way, answer: Answer) -> set[str]:
        here = Here(HomeFacts(Path("/h")), portions=[], event_loop="")
        found = judged(Facts("x", way=way, here=here, levels={502: answer, 2: Answer(0)}))
        return {each for each in ("LD088", "LD089") if each in found and found[each].mark is Mark.UNKNOWN}

    assert unknown(Way.OWN, Answer(0)) == {"LD088", "LD089"}
    assert unknown(Way.OWN, Answer(5)) == unknown(Way.WINDOWS, Answer(0)) == set()


# --- for programs


async def test_public_names(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        who = lanman.Credentials("admin", PASSWORDS["admin"])
        diagnosis = await lanman.doctor("127.0.0.1", who, port=server.port, checks=["levels"])
        assert isinstance(diagnosis, lanman.Diagnosis)
        assert [finding.mark for finding in diagnosis.findings] == [lanman.Mark.OK]


def test_the_blocking_twin() -> None:
    diagnosis = lanman.blocking_doctor("127.0.0.1", port=1, checks=["reach"])
    assert diagnosis.verdict() is lanman.Verdict.NO_ANSWER
    with pytest.raises(LanmanError):
        lanman.blocking_doctor("127.0.0.1", checks=["nothing"])
