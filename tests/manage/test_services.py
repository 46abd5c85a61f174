"""The same situation on every service: what each tells of it, field by field, beside docs/reference/services.md.

One user has one file open on one share. Our Server, an smbd by its tools and the same over the network are real;
Windows' own is our Server in memory behind a stand-in for netapi32, and ksmbd's files are made from the kernel's
sources and were never seen on one. The table of the page is read here, so neither it nor a Manager can drift.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from lanman.errors import Win32Error
from lanman.faces.cli.main import run
from lanman.manage import open as opening
from lanman.manage.ksmbd.kernel import Roots
from lanman.manage.sync import BlockingManager, connect
from lanman.manage.windows import manager as windows
from lanman.net.credentials import Credentials
from support.disk_server import DiskWorld
from support.netapi_stub import NetapiStub
from support.process_server import Stage
from support.services_page import FIELDS, mark, table
from support.smbd import Samba
from support.system_stub import SystemStub

ROOT: Final = Path(__file__).parent.parent.parent
KSMBD: Final = ROOT / "tests" / "data" / "ksmbd"
NO_LIMIT: Final = 0xFFFFFFFF


class _Time:
    """Any number of seconds: when a test runs is not told in advance."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other >= 0

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Situation:
    """Who is there, and how the service is asked: by Python and by the command."""

    user: str
    client: str
    share: str
    path: str
    access: int
    said: dict[str, Any]
    words: list[str]
    remark: str = ""
    max_uses: int = NO_LIMIT
    name: str = ""
    comment: str = ""
    disc: int = 15
    has_level: int = 502
    truth: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.truth = {
            "session: client_name": self.client,
            "session: user_name": self.user,
            "session: num_opens": 1,
            "session: active_time": _Time(),
            "session: idle_time": _Time(),
            "session: user_flags": 0,
            "session: client_type": "",
            "file: permissions": self.access,
            "file: num_locks": 0,
            "file: path": self.path,
            "file: user_name": self.user,
            "connection: type": 0,
            "connection: num_opens": 1,
            "connection: num_users": 1,
            "connection: active_time": _Time(),
            "connection: user_name": self.user,
            "connection: net_name": self.share,
            "share: netname": self.share,
            "share: type": 0,
            "share: remark": self.remark,
            "share: permissions": 0,
            "share: max_uses": self.max_uses,
            "share: current_uses": 1,
            "share: path": self.path.rpartition("/")[0],
            "share: passwd": "",
            "server: name": self.name,
            "server: comment": self.comment,
            "server: disc": self.disc,
        }


@contextmanager
def lanman_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    with Stage() as stage:
        stage.start()
        stage.connect("bob", 21, "plan.txt")
        yield Situation(
            "bob",
            "127.0.0.21",
            "projects",
            f"{stage.folder}/projects/plan.txt",
            0x120089,
            {"home": stage.home},
            ["--home", str(stage.home)],
            remark="what we work on",
            name="FILER01",
            comment="branch file server",
        )


@contextmanager
def windows_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    world = DiskWorld(tmp_path)
    world.user("ann").make("a.txt", access=0x120089)
    world.advance(70)
    admin = world.connect(address="192.0.2.9").log_on("admin").bind()
    stub, system = NetapiStub(admin.call), SystemStub()
    monkeypatch.setattr(windows, "this_netapi32", lambda: stub)
    monkeypatch.setattr(windows, "this_system", lambda: system.system)
    with stub:
        said = {"service": "windows"}
        yield Situation(
            "ann", "192.0.2.1", "share", f"{tmp_path}/a.txt", 0x120089, said, ["--service", "windows"], name="LANMAN"
        )
        stub.check()
    world.files.close_all()


@contextmanager
def smbd(samba: Samba, said: dict[str, Any], words: list[str]) -> Iterator[Situation]:
    with samba.hold(samba.user) as client:
        (samba.share / "a.txt").write_text("x")
        (samba.share / "a.txt").chmod(0o666)
        client.command("open a.txt")
        yield Situation(
            samba.user.user_name,
            "127.0.0.1",
            "share",
            f"{samba.share}/a.txt",
            3,
            said,
            words,
            name="SAMBA",
            comment="told",
            disc=10080,
            has_level=1,
        )


@contextmanager
def samba_by_its_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    with Samba() as samba:
        conf = str(samba.directory / "smb.conf")
        with smbd(samba, {"samba_config": conf}, ["--samba-config", conf]) as situation:
            yield situation


@contextmanager
def samba_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    with Samba() as samba:
        who = samba.administrator
        said = {
            "server": samba.host,
            "port": samba.port,
            "credentials": Credentials(who.user_name, who.password),
        }
        words = ["-S", samba.host, "-p", str(samba.port), "-U", who.login]
        with smbd(samba, said, words) as situation:
            yield situation


@contextmanager
def ksmbd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    roots = Roots(*(tmp_path / name for name in ("proc", "sys", "etc", "run")))
    for name in ("linux-7.0", "later"):
        shutil.copytree(KSMBD / f"{name}-made-from-source", roots.proc / "fs" / "ksmbd", dirs_exist_ok=True)
    for path, text in (
        (roots.sys / "class/ksmbd-control/stats", "2 running 445 3\n"),
        (roots.etc / "ksmbd/ksmbd.conf", "[global]\ndeadtime = 15\n[pub]\npath = /srv/pub\nmax connections = 0\n"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setattr(opening, "KSMBD_ROOTS", roots)
    said = {"service": "ksmbd"}
    yield Situation(
        "ann",
        "192.0.2.7",
        "pub",
        "/srv/pub/report.xlsx",
        0x120089,
        said,
        ["--service", "ksmbd"],
        name="SMBD SERVER",
        comment="SMB SERVER",
        has_level=1,
    )


BUILDERS: Final[dict[str, Any]] = {
    "lanman": lanman_itself,
    "windows": windows_itself,
    "samba": samba_by_its_tools,
    "Samba over the network": samba_over_the_network,
    "ksmbd": ksmbd,
}
NEEDS: Final = {
    "lanman": [pytest.mark.posix],
    "windows": [],
    "samba": [pytest.mark.samba, pytest.mark.root],
    "Samba over the network": [pytest.mark.samba],
    "ksmbd": [pytest.mark.posix],
}


@pytest.fixture(params=[pytest.param(name, marks=NEEDS[name]) for name in BUILDERS])
def situation(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Situation]]:
    monkeypatch.delenv("LANMAN_HOME", raising=False)
    with BUILDERS[request.param](tmp_path, monkeypatch) as built:
        yield request.param, built


def records(manager: BlockingManager, situation: Situation) -> dict[str, Any]:
    """The one of each kind that the situation is about; None where it is not to be had (error 50)."""

    def only(found: Any) -> Any:
        (one,) = found
        return one

    name = situation.path.rpartition("/")[2]
    questions: dict[str, Callable[[], Any]] = {
        "session": lambda: only(manager.sessions(user=situation.user)),
        "file": lambda: only(entry for entry in manager.files() if (entry.path or "").endswith(name)),
        "connection": lambda: only(
            entry for entry in manager.connections(f"\\\\{situation.client}") if entry.net_name == situation.share
        ),
        "share": lambda: manager.share(situation.share),
        "server": manager.server_info,
    }
    return {kind: answer(question) for kind, question in questions.items()}


def answer(question: Callable[[], Any]) -> Any:
    """What comes of a question; None for Win32Error 50."""
    try:
        return question()
    except Win32Error as error:
        if error.code != 50:
            raise
        return None


def told(manager: BlockingManager, situation: Situation) -> Iterator[tuple[str, str]]:
    """What the page should say of a service, row by row."""
    found = records(manager, situation)
    if situation.comment == "told":  # smbd's has its version in it
        situation.truth["server: comment"] = found["server"].comment
        assert "Samba" in found["server"].comment
    for kind, names in FIELDS.items():
        for name in names.split():
            row = f"{kind}: {name}"
            value = None if found[kind] is None else getattr(found[kind], name)
            yield row, "50" if found[kind] is None else mark(value, situation.truth.get(row))
    for name in ("statistics", "time_of_day", "transports", "service_state"):
        yield name, "50" if answer(getattr(manager, name)) is None else "yes"
    yield "pause", "50" if answer(manager.pause) is None else "yes"
    answer(manager.continue_)
    yield "close a file", "50" if answer(lambda: manager.close_file(found["file"].id)) is None else "yes"
    ended = answer(lambda: manager.close_sessions([found["session"]], with_others=True))
    assert ended is None or ended[0].error is None
    yield "end a session", "50" if ended is None else "yes"


def test_what_each_tells(situation: tuple[str, Situation]) -> None:
    """Field by field as the page says. Nothing that a service lacks is invented: that is None."""
    service, built = situation
    with connect(**built.said, timeout=60) as manager:
        assert manager.sessions().level == built.has_level
        assert dict(told(manager, built)) == table()[service]


@pytest.mark.parametrize(
    ("verb", "kind", "list_name"),
    [("session", "session", "sessions"), ("file", "file", "files"), ("share", "share", "shares")],
)
def test_json_is_what_the_manager_says(
    situation: tuple[str, Situation], capsys: pytest.CaptureFixture[str], verb: str, kind: str, list_name: str
) -> None:
    _, built = situation
    with connect(**built.said, timeout=60) as manager:
        record = records(manager, built)[kind]
    capsys.readouterr()
    assert run([verb, "--json", "--timeout", "60", *built.words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["schema"] == 1
    key = {"session": "user_name", "file": "id", "share": "netname"}[kind]
    (one,) = (entry for entry in printed[list_name] if entry[JSON_NAMES.get(key, key)] == getattr(record, key))
    for name in FIELDS[kind].split():
        wanted = getattr(record, name)
        if name == "max_uses" and wanted == NO_LIMIT:
            wanted = None
        if JSON_NAMES.get(name, name) in one:
            said = one[JSON_NAMES.get(name, name)]
            assert (_Time() if name.endswith("_time") and wanted is not None else wanted) == said, name
        else:
            assert name in ("permissions", "passwd"), f"{name} is not in JSON"


JSON_NAMES: Final = {"netname": "name", "max_uses": "max_users", "current_uses": "current_users"}
"""What has another name in JSON than in a record."""


def test_the_table_has_the_same_columns(situation: tuple[str, Situation], capsys: pytest.CaptureFixture[str]) -> None:
    service, built = situation
    assert run(["session", "--timeout", "60", *built.words]) == 0
    said = capsys.readouterr()
    assert next(filter(None, said.out.splitlines())).split() == [
        "Computer",
        "User",
        "name",
        "Client",
        "Type",
        "Opens",
        "Idle",
        "time",
    ]
    (row,) = (line for line in said.out.splitlines() if f" {built.user} " in line)
    cells = table()[service]
    words = row.split()
    assert words[:2] == [f"\\\\{built.client}", built.user]
    assert ("-" in words) is ("-" in [cells[f"session: {name}"] for name in ("num_opens", "idle_time")])


def test_every_service_has_a_column() -> None:
    assert set(table()) == set(BUILDERS)
    assert set(opening.SERVICES) < set(BUILDERS)
