"""The Manager of this machine's ksmbd, on files that were made from the kernel's sources and never seen on one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.errors import AccessDenied, MalformedMessage, Win32Error
from lanman.manage import loopback, own
from lanman.manage import open as opening
from lanman.manage.doctor.examine import examine_tools
from lanman.manage.doctor.facts import Facts, Way
from lanman.manage.doctor.rights import sessions as sessions_check
from lanman.manage.doctor.run import _way_of
from lanman.manage.granted import GrantedLevels
from lanman.manage.ksmbd import kernel as reading
from lanman.manage.ksmbd.kernel import Kernel, Roots
from lanman.manage.ksmbd.manager import KsmbdFile, KsmbdManager, KsmbdSession
from lanman.manage.orders.plan import Plan, Verb
from lanman.manage.samba_local import find, processes
from lanman.records import ConnectionInfo, ServerInfo, SessionInfo, ShareInfo

DATA = Path(__file__).parent.parent.parent / "data" / "ksmbd"
CONF = "[global]\nnetbios name = FILES\ndeadtime = 5\n[pub]\npath = /srv/pub\ncomment = all\nmax connections = 9\n"

# Half a minute after what `clients` says of 192.0.2.7.
NOW = 1795648320.0


@dataclass
class Machine:
    """A machine's folders, with a ksmbd that runs."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("proc", "sys/class/ksmbd-control", "etc/ksmbd", "run"):
            (self.folder / name).mkdir(parents=True)
        self.stats("2 running 445 3\n")
        (self.folder / "etc/ksmbd/ksmbd.conf").write_text(CONF)

    @property
    def roots(self) -> Roots:
        return Roots(*(self.folder / name for name in ("proc", "sys", "etc", "run")))

    @property
    def lists(self) -> Path:
        return self.folder / "proc" / "fs" / "ksmbd"

    def stats(self, text: str) -> None:
        (self.folder / "sys/class/ksmbd-control/stats").write_text(text)

    def of(self, name: str) -> Machine:
        """With the lists of a kernel."""
        shutil.copytree(DATA / f"{name}-made-from-source", self.lists, dirs_exist_ok=True)
        return self

    def manager(self) -> KsmbdManager:
        return KsmbdManager(Kernel(self.roots), timeout=60, now=lambda: NOW)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_sessions_of_7_0(machine: Machine) -> None:
    manager = machine.of("linux-7.0").manager()
    found = await manager.sessions()
    assert (found.level, found.server) == (1, manager.server)
    assert found.entries == [
        KsmbdSession(
            client_name="192.0.2.7",
            user_name="ann",
            num_opens=1,
            idle_time=30,
            user_flags=0,
            session_id=1,
            state="valid",
            dialect="3.1.1",
            signing="aes-gmac",
            channels=["192.0.2.7"],
        ),
        # It has no connection, and no file of its own: nothing of that is known.
        KsmbdSession(
            client_name="2001:db8::7",
            user_name="(Guest)",
            user_flags=1,
            session_id=2,
            state="valid",
            channels=["2001:db8::7"],
        ),
    ]
    assert [entry.user_name for entry in await manager.sessions(user="ANN")] == ["ann"]
    assert [entry.user_name for entry in await manager.sessions(client=r"\\2001:DB8::7")] == ["(Guest)"]
    with pytest.raises(Win32Error) as refused:
        await manager.sessions(level=502)
    assert refused.value.code == 124


async def test_what_several_connections_leave_unknown(machine: Machine) -> None:
    found = (await machine.of("between").manager().sessions()).entries
    told = [(e.user_name, e.num_opens, e.idle_time, e.dialect, e.state, len(e.channels)) for e in found]  # type: ignore[attr-defined]
    assert told == [
        ("ann", 2, 30, "3.1.1", "valid", 1),
        ("a user 7", None, None, "3.0.2", "valid", 2),
        # A null session has no user. Who is logging on is none yet.
        ("", None, None, None, "expired", 1),
        ("bob 12", None, None, None, None, 1),
    ]
    assert found[0].encryption == "aes128-gcm"  # type: ignore[attr-defined]


async def test_two_sessions_on_one_connection(machine: Machine) -> None:
    machine.of("linux-7.0")
    rows = machine.lists / "sessions" / "sessions"
    with rows.open("a") as file:
        file.write(" 192.0.2.7 bob 3 valid\n")
    found = await machine.manager().sessions(client="192.0.2.7")
    assert [(entry.user_name, entry.num_opens, entry.idle_time) for entry in found] == [
        ("ann", None, None),
        ("bob", None, None),
    ]


async def test_a_later_kernel(machine: Machine) -> None:
    manager = machine.of("linux-7.0").of("later").manager()
    first = (await manager.sessions()).entries[0]
    assert (first.num_opens, first.idle_time) == (1, 30)
    assert await manager.shares() == [
        ShareInfo(netname="pub", type=0, remark="all", max_uses=9, current_uses=1, path="/srv/pub"),
        ShareInfo(netname="IPC$", type=0x80000003),
    ]


async def test_tree_connects(machine: Machine) -> None:
    manager = machine.of("linux-7.0").manager()
    assert await manager.connections("PUB") == [
        ConnectionInfo(id=1, type=0, num_users=1, user_name="ann", net_name="192.0.2.7")
    ]
    assert [tree.net_name for tree in await manager.connections(r"\\192.0.2.7")] == ["pub", "ipc$"]
    assert await manager.connections(r"\\192.0.2.99") == []
    with pytest.raises(Win32Error):
        await manager.connections("")


async def test_open_files_have_no_user(machine: Machine) -> None:
    manager = machine.of("linux-7.0").manager()
    first = KsmbdFile(
        id=1, permissions=0x120089, path="report.xlsx", tree_id=1, oplock="OPLOCK_II OPLOCK_EXECL OPLOCK_BATCH"
    )
    second = KsmbdFile(id=2, permissions=0x120089, path="two words.txt", tree_id=1, oplock="")
    assert await manager.files() == [first, second]
    assert await manager.files(path="*.TXT") == [second]
    assert await manager.file(1) == first
    with pytest.raises(Win32Error) as missing:
        await manager.file(3)
    assert missing.value.code == 2314
    for said in ({"user": "ann"}, {"client": "192.0.2.7"}):
        with pytest.raises(Win32Error, match="does not tell who opened a file") as refused:
            await manager.files(**said)
        assert refused.value.code == 50


async def test_the_server(machine: Machine) -> None:
    manager = machine.manager()
    assert await manager.server_info() == ServerInfo(name="FILES", disc=5)
    machine.of("linux-7.0")
    assert await manager.server_info() == ServerInfo(name="SMBD SERVER", comment="SMB SERVER", disc=5)
    assert (await manager.share("PUB")).path == "/srv/pub"
    with pytest.raises(Win32Error) as missing:
        await manager.share("nothing")
    assert missing.value.code == 2310


REFUSED: dict[str, Callable[[KsmbdManager], Awaitable[Any]]] = {
    "plan sessions": lambda m: m.plan_sessions([SessionInfo("192.0.2.7", "ann")]),
    "end sessions": lambda m: m.end_sessions(Plan(Verb.END, "here")),
    "close sessions": lambda m: m.close_sessions([SessionInfo("192.0.2.7", "ann")]),
    "close a file": lambda m: m.close_file(1),
    "close files": lambda m: m.close_files([KsmbdFile(id=1)]),
    "end files": lambda m: m.end_files(Plan(Verb.CLOSE, "here")),
    "disconnect a share": lambda m: m.disconnect_share("pub"),
    "add a share": lambda m: m.add_share("a", "/srv/a"),
    "set a share": lambda m: m.set_share("pub", remark="x"),
    "delete a share": lambda m: m.delete_share("pub"),
    "idle time": lambda m: m.set_autodisconnect(5),
    "comment": lambda m: m.set_comment("x"),
    "hidden": lambda m: m.set_hidden(True),
    "statistics": lambda m: m.statistics(),
    "time": lambda m: m.time_of_day(),
    "transports": lambda m: m.transports(),
    "state": lambda m: m.service_state(),
    "pause": lambda m: m.pause(),
    "continue": lambda m: m.continue_(),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_ksmbd_lacks(machine: Machine, what: str) -> None:
    manager = machine.of("linux-7.0").manager()
    with pytest.raises(Win32Error) as refused:
        await REFUSED[what](manager)
    assert refused.value.code == 50
    assert refused.value.message
    assert refused.value.hint
    assert not os.access(machine.lists / "changed", os.F_OK)


LISTS: dict[str, Callable[[KsmbdManager], Awaitable[Any]]] = {
    "sessions": lambda m: m.sessions(),
    "files": lambda m: m.files(),
    "connections": lambda m: m.connections("pub"),
}


@pytest.mark.parametrize("what", LISTS)
async def test_before_7_0(machine: Machine, what: str) -> None:
    with pytest.raises(Win32Error, match=r"the first that can is Linux 7\.0") as refused:
        await LISTS[what](machine.manager())
    assert refused.value.code == 50
    assert [share.netname for share in await machine.manager().shares()] == ["pub", "IPC$"]


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As for an ordinary user, whom the kernel lets read none of its lists."""
    read = reading._read

    def refuse(path: Path, limit: int) -> bytes:
        if "fs" in path.parts[-4:] and "ksmbd" in path.parts:
            raise PermissionError(13, "Permission denied")
        return read(path, limit)

    monkeypatch.setattr(reading, "_read", refuse)
    return iter(())


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.usefixtures("nobody")
async def test_an_ordinary_user(machine: Machine, what: str) -> None:
    manager = machine.of("linux-7.0").of("later").manager()
    with pytest.raises(AccessDenied) as refused:
        await LISTS[what](manager)
    assert refused.value.code == 5
    assert refused.value.hint == "ask as root; over the network, -S localhost -U USER, ksmbd tells of its shares alone"
    assert [share.current_uses for share in await manager.shares()] == [None, None]
    assert (await manager.server_info()).name == "FILES"


async def test_a_session_that_ends_meanwhile(machine: Machine) -> None:
    machine.of("linux-7.0")
    (machine.lists / "sessions" / "1").unlink()
    first = (await machine.manager().sessions()).entries[0]
    assert isinstance(first, KsmbdSession)
    assert (first.user_name, first.signing) == ("ann", None)


async def test_a_kernel_that_writes_otherwise(machine: Machine) -> None:
    machine.of("linux-7.0")
    (machine.lists / "clients").write_bytes(b"\xff\0\xfe")
    with pytest.raises(MalformedMessage, match="clients cannot be read"):
        await machine.manager().sessions()
    (machine.lists / "files").unlink()
    (machine.lists / "files").mkdir()
    with pytest.raises(MalformedMessage, match="files cannot be read"):
        await machine.manager().files()


# --- which configuration


@pytest.mark.parametrize("words", [["--config={}"], ["-C", "{}"], ["-n", "--config", "{}", "-v"], ["-c", "{}"]])
async def test_a_configuration_elsewhere(machine: Machine, tmp_path: Path, words: list[str]) -> None:
    other = tmp_path / "other.conf"
    other.write_text("[secret]\npath = /srv/secret\n")
    process = machine.folder / "proc" / "42"
    process.mkdir()
    (machine.folder / "run" / "ksmbd.lock").write_text("42\n")
    (process / "comm").write_text("ksmbd.mountd\n")
    (process / "cmdline").write_text("\0".join(["ksmbd.mountd", *(word.format(other) for word in words), ""]))
    assert [share.netname for share in await machine.manager().shares()] == ["secret", "IPC$"]
    # Another process has the number by now.
    (process / "comm").write_text("bash\n")
    assert [share.netname for share in await machine.manager().shares()] == ["pub", "IPC$"]


async def test_no_configuration(machine: Machine) -> None:
    (machine.folder / "etc/ksmbd/ksmbd.conf").unlink()
    with pytest.raises(Win32Error, match=r"ksmbd\.conf: No such file") as missing:
        await machine.manager().shares()
    assert missing.value.code == 2


# --- which service is this machine's


def opened(**said: Any) -> AbstractAsyncContextManager[Any]:
    return lanman.open_manager(timeout=60, **said)


@pytest.fixture
def only_ksmbd(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Nothing of lanman answers here, no Samba runs, and ksmbd does."""

    async def no_control(home: object) -> None:
        return None

    monkeypatch.delenv("LANMAN_HOME", raising=False)
    monkeypatch.setattr(own, "find_control", no_control)
    monkeypatch.setattr(loopback, "SAMBA_PIDS", ())
    monkeypatch.setattr(processes, "PROCESSES", tmp_path / "none")
    monkeypatch.setattr(opening, "KSMBD_ROOTS", machine.roots)
    return machine.of("linux-7.0")


@pytest.mark.parametrize("said", [{}, {"service": "ksmbd"}, {"service": "ksmbd", "server": "localhost", "port": 445}])
@pytest.mark.usefixtures("only_ksmbd")
async def test_ksmbd_answers(said: dict[str, Any]) -> None:
    async with opened(**said) as manager:
        assert isinstance(manager, KsmbdManager)
        assert manager.answered_by == manager.who_answers == "this machine's ksmbd, by its files"
        assert len(await manager.sessions()) == 2


@pytest.mark.parametrize("said", [{"port": 445}, {"home": "/srv/home"}, {"credentials": lanman.Credentials("a", "b")}])
@pytest.mark.usefixtures("only_ksmbd")
async def test_what_says_that_it_is_not_ksmbd(monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> None:
    async def nothing_there(port: int) -> bool:
        return False

    monkeypatch.setattr(loopback, "answers", nothing_there)
    with pytest.raises(Win32Error) as refused:
        await opened(**said).__aenter__()
    assert refused.value.code == 2114


@pytest.mark.usefixtures("only_ksmbd")
async def test_samba_comes_before_ksmbd(monkeypatch: pytest.MonkeyPatch) -> None:
    async def one_runs(pid_files: object) -> list[find.Smbd]:
        return [find.Smbd(1)]

    monkeypatch.setattr(find, "running", one_runs)
    how = opening._How(None, None, 60, False, None, GrantedLevels())
    other = await opening._other_service(None, how)
    assert other is not None
    assert other.gen.__name__ == "_open_samba"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("stats", "says"), [(None, "is not here"), ("2 startup 445 0", "its state is startup")])
async def test_ksmbd_that_does_not_run(only_ksmbd: Machine, stats: str | None, says: str) -> None:
    if stats is None:
        shutil.rmtree(only_ksmbd.folder / "sys")
    else:
        only_ksmbd.stats(stats)
    with pytest.raises(Win32Error, match=says) as refused:
        await opened(service="ksmbd").__aenter__()
    assert refused.value.code == 1062
    assert not opening._ksmbd_runs()


def test_the_command(only_ksmbd: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    from lanman.faces.cli.main import run

    assert run(["session", "--service", "ksmbd"]) == 0
    said = capsys.readouterr()
    assert "answered by this machine's ksmbd, by its files" in said.err
    assert [line.split()[:2] for line in said.out.splitlines() if "192.0.2.7" in line] == [["\\\\192.0.2.7", "ann"]]
    assert run(["session", r"\\192.0.2.7", "/delete", "/y", "--service", "ksmbd"]) == 2
    said = capsys.readouterr()
    assert "ksmbd ends no session by itself" in said.err
    assert run(["file", "--service", "ksmbd"]) == 0
    assert "report.xlsx" in capsys.readouterr().out
    assert run(["file", "1", "/close", "--service", "ksmbd"]) == 2
    assert "ksmbd closes no file by itself" in capsys.readouterr().err
    assert run(["share", "--service", "ksmbd"]) == 0
    assert "/srv/pub" in capsys.readouterr().out


async def test_the_doctor_leaves_the_open_files_alone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 7.0 as it first came could crash over them."""
    monkeypatch.setattr(Kernel, "opens", None)
    facts = Facts("here", way=_way_of(machine.of("linux-7.0").manager()))
    await examine_tools(facts, machine.manager(), 60)
    assert (facts.way, facts.is_samba, facts.files) == (Way.KSMBD, False, None)
    assert facts.levels[1].count == 2


@pytest.mark.usefixtures("nobody")
async def test_the_doctor_tells_an_ordinary_user_why(machine: Machine) -> None:
    facts = Facts("here", way=Way.KSMBD)
    await examine_tools(facts, machine.of("linux-7.0").manager(), 60)
    (said,) = sessions_check(facts)
    assert said.cause == "ksmbd-not-root"
