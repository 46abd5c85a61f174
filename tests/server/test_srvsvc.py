"""Every call of MS-SRVS on a Server in memory. Requests and answers go through their stubs, as they would on a pipe."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.domain import (
    DIRECT_TCP,
    STYPE_IPC,
    STYPE_SPECIAL,
    STYPE_TEMPORARY,
    Event,
    Reason,
    ServerService,
    Session,
    SessionClosed,
    Share,
)
from lanman.domain.policy import idle_period
from lanman.records import DiskInfo, ServerInfo, SessionInfo, ShareInfo, TimeOfDay, TransportInfo
from lanman.rpc.ndr import Call, Message
from lanman.rpc.srvsvc import (
    SERVER_INFO,
    SHARE_INFO,
    SRVSVC,
    NetprNameValidate,
    NetrConnectionEnum,
    NetrFileClose,
    NetrFileEnum,
    NetrFileGetInfo,
    NetrRemoteTOD,
    NetrServerDiskEnum,
    NetrServerGetInfo,
    NetrServerSetInfo,
    NetrServerStatisticsGet,
    NetrServerTransportEnum,
    NetrSessionDel,
    NetrSessionEnum,
    NetrShareAdd,
    NetrShareCheck,
    NetrShareDel,
    NetrShareDelSticky,
    NetrShareEnum,
    NetrShareEnumSticky,
    NetrShareGetInfo,
    NetrShareSetInfo,
)
from lanman.server.changes import FindFolder, KeepSettings
from lanman.server.core import Server
from lanman.server.effects import Effect
from lanman.server.rights import Caller
from lanman.settings import CHANGEABLE, NEVER, Configuration, RunningSettings, value_of

R = TypeVar("R", bound=Message)
ROOT = Caller("root", local_admin=True)
ADMINISTRATORS = frozenset({"Administrators"})


class Asked:
    """A Server that is asked by calls alone, at a time of its own."""

    def __init__(self, **configuration: Any) -> None:
        self.now = 1000.0
        self.saved: list[Mapping[str, Any]] = []
        self.settings = RunningSettings(Configuration(name="SERVER", **configuration))
        self.fails: int = 0
        self.performed: list[Effect[Any]] = []
        server = Server(
            self.settings,
            bytes,
            lambda now: 1_700_000_000.25 + now,
            guid=bytes(16),
            start=777,
            minutes_west=lambda: -60,
        )
        self.service, self.endpoint, self.scheduler = server.service, server.endpoint, server.scheduler
        self.service.add_share(Share("data", path="/srv/data", remark="of us all", max_users=5))
        self.next_id = 0

    def _perform(self, ticket: int, effect: Effect[Any]) -> None:
        """A disk that has all folders but those called `none`, and fails with the status `fails`."""
        self.performed.append(effect)
        status, result = self.fails, None
        if isinstance(effect, FindFolder):
            result = effect.path
            if effect.path.endswith("none"):
                status = codes.STATUS_OBJECT_PATH_NOT_FOUND
            elif effect.roots is not None and not any(effect.path.startswith(root) for root in effect.roots):
                status = codes.STATUS_ACCESS_DENIED
        elif isinstance(effect, KeepSettings) and not status:
            self.saved.append(dict(effect.values))
        if status:
            self.scheduler.failed(ticket, status, self.now)
        else:
            self.scheduler.completed(ticket, result, self.now)

    def call(self, caller: Caller, request: Any) -> Any:
        """Make a call, and have its answer."""
        response = self.endpoint.call(caller, request, self.now)
        if not isinstance(response, Generator):
            return response
        answers: list[Any] = []
        self.scheduler.start(response, answers.append)
        while not answers:
            for ticket, effect in self.scheduler.effects():
                self._perform(ticket, effect)
            self.scheduler.expire(self.now)
        return answers[0]

    def log_on(self, client: str = "PC1", user: str = "ann", **details: Any) -> Session:
        self.next_id += 1
        return self.service.register_session(self.next_id, self.next_id, client, user, now=self.now, **details)

    def open(
        self, session: Session, path: str = "/srv/data/a.txt", *, share: str = "data", access: int = 0x120089
    ) -> int:
        """Connect and open; the file's global id."""
        self.next_id += 1
        target = self.service.share_by_name(share)
        assert target is not None
        tree = self.service.register_tree_connect(session, self.next_id, target, self.now)
        return self.service.register_open(session, tree, self.next_id, path, access, self.now).global_id

    def ask(self, request: Call[R], caller: Caller = ROOT) -> R:
        """Make a call, through its stubs in both transfer syntaxes, which must tell the same."""
        heard = type(request).unpack(request.pack())
        assert heard == type(request).unpack(request.pack(ndr64=True), ndr64=True)
        response = self.call(caller, heard)
        answer = request.answer(response.pack())
        assert answer == request.answer(response.pack(ndr64=True), ndr64=True)
        return answer


def caller_of(session: Session) -> Caller:
    return Caller(session.user_name, session.groups, session)


@pytest.fixture
def server() -> Asked:
    return Asked()


# --- listing sessions ---


@pytest.fixture
def two(server: Asked) -> tuple[Session, Session]:
    """ann at PC1 since 60 seconds and idle for 20, with a file open; a guest at ::1."""
    ann = server.log_on("PC1", "ann")
    server.open(ann)
    guest = server.log_on("::1", "Guest", guest=True)
    server.now += 40
    server.service.touch(ann, server.now)
    server.now += 20
    return ann, guest


@pytest.mark.parametrize(
    ("level", "ann", "guest"),
    [
        (0, SessionInfo(r"\\PC1"), SessionInfo(r"\\[::1]")),
        (1, SessionInfo(r"\\PC1", "ann", 1, 60, 20, 0), SessionInfo(r"\\[::1]", "Guest", 0, 60, 60, 1)),
        (2, SessionInfo(r"\\PC1", "ann", 1, 60, 20, 0, ""), SessionInfo(r"\\[::1]", "Guest", 0, 60, 60, 1, "")),
        (
            10,
            SessionInfo(r"\\PC1", "ann", active_time=60, idle_time=20),
            SessionInfo(r"\\[::1]", "Guest", active_time=60, idle_time=60),
        ),
        (
            502,
            SessionInfo(r"\\PC1", "ann", 1, 60, 20, 0, "", DIRECT_TCP),
            SessionInfo(r"\\[::1]", "Guest", 0, 60, 60, 1, "", DIRECT_TCP),
        ),
    ],
)
@pytest.mark.usefixtures("two")
def test_sessions_at_every_level(server: Asked, level: int, ann: SessionInfo, guest: SessionInfo) -> None:
    answer = server.ask(NetrSessionEnum(None, None, None, level))
    assert answer.entries == [ann, guest]
    assert (answer.level, answer.total_entries, answer.resume_handle, answer.status) == (level, 2, 0, 0)


@pytest.mark.parametrize(
    ("client", "user", "status", "found"),
    [
        (None, None, 0, ["ann", "Guest"]),
        ("", "", 0, ["ann", "Guest"]),
        (r"\\PC1", None, 0, ["ann"]),
        (r"\\pc1", "ANN", 0, ["ann"]),
        (None, "guest", 0, ["Guest"]),
        (r"\\[::1]", None, 0, ["Guest"]),
        (r"\\::1", None, 0, ["Guest"]),
        (r"\\PC1", "guest", codes.NERR_UserNotFound, None),
        (None, "nobody", codes.NERR_UserNotFound, None),
        (r"\\PC9", None, codes.NERR_ClientNameNotFound, None),
        (r"\\PC9", "ann", codes.NERR_ClientNameNotFound, None),
        ("PC1", None, codes.NERR_InvalidComputer, None),
        (r"\PC1", None, codes.NERR_InvalidComputer, None),
        ("\\\\" + "x" * 1022, None, codes.ERROR_INVALID_PARAMETER, None),
        ("\\\\" + "x" * 1021, None, codes.NERR_ClientNameNotFound, None),
        (None, "x" * 1024, codes.ERROR_INVALID_PARAMETER, None),
        ("x" * 1024, None, codes.ERROR_INVALID_PARAMETER, None),
    ],
)
@pytest.mark.usefixtures("two")
def test_filters_of_sessions(
    server: Asked, client: str | None, user: str | None, status: int, found: list[str] | None
) -> None:
    answer = server.ask(NetrSessionEnum("\\\\SERVER", client, user, 1))
    assert answer.status == status
    assert (None if answer.entries is None else [entry.user_name for entry in answer.entries]) == found


def test_no_sessions_is_no_error(server: Asked) -> None:
    answer = server.ask(NetrSessionEnum(None, None, None, 502))
    assert (answer.entries, answer.total_entries, answer.status) == ([], 0, 0)


@pytest.mark.parametrize("level", [3, 9, 11, 501, 503, 0xFFFFFFFF])
def test_unknown_level_of_sessions(server: Asked, level: int) -> None:
    assert server.ask(NetrSessionEnum(None, None, None, level)).status == codes.ERROR_INVALID_LEVEL


def test_checks_of_session_enum_come_in_order(server: Asked) -> None:
    user = caller_of(server.log_on())
    long = "x" * 2000
    assert server.ask(NetrSessionEnum(None, long, None, 7), user).status == codes.ERROR_ACCESS_DENIED
    assert server.ask(NetrSessionEnum(None, long, None, 7)).status == codes.ERROR_INVALID_PARAMETER
    assert server.ask(NetrSessionEnum(None, "x", None, 7)).status == codes.NERR_InvalidComputer
    assert server.ask(NetrSessionEnum(None, "\\\\x", None, 7)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrSessionEnum(None, "\\\\x", None, 0)).status == codes.NERR_ClientNameNotFound


def test_caller_sees_its_own_session_and_pipe(server: Asked) -> None:
    admin = server.log_on(groups=ADMINISTRATORS)
    server.open(admin, r"\PIPE\srvsvc", share="IPC$")
    answer = server.ask(NetrSessionEnum(None, None, None, 2), caller_of(admin))
    assert [(entry.num_opens, entry.idle_time) for entry in answer.entries or []] == [(1, 0)]


def test_null_session_is_listed_without_a_name(server: Asked) -> None:
    server.log_on("192.0.2.7", "ANONYMOUS", anonymous=True)
    answer = server.ask(NetrSessionEnum(None, None, None, 1))
    assert answer.entries == [SessionInfo(r"\\192.0.2.7", "", 0, 0, 0, 0)]


def test_pages_of_sessions(server: Asked) -> None:
    for number in range(5):
        server.log_on(f"PC{number}", "ann" if number != 1 else "bob")
    one = 4 + 2 * len("\\\\PC0\0")
    answer = server.ask(NetrSessionEnum(None, None, "ann", 0, None, 2 * one, 0))
    assert [entry.client_name for entry in answer.entries or []] == [r"\\PC0", r"\\PC2"]
    # 1-based in the whole list, whose second entry the filter left out; the total counts what passes it from here on.
    assert (answer.total_entries, answer.resume_handle, answer.status) == (4, 3, codes.ERROR_MORE_DATA)
    answer = server.ask(NetrSessionEnum(None, None, "ann", 0, None, 2 * one, 3))
    assert [entry.client_name for entry in answer.entries or []] == [r"\\PC3", r"\\PC4"]
    assert (answer.total_entries, answer.resume_handle, answer.status) == (2, 0, 0)


def test_not_even_one_session_fits(server: Asked) -> None:
    server.log_on()
    answer = server.ask(NetrSessionEnum(None, None, None, 0, None, 1, 0))
    assert (answer.entries, answer.total_entries, answer.resume_handle) == ([], 1, 0)
    assert answer.status == codes.ERROR_MORE_DATA


def test_resuming_behind_the_end(server: Asked) -> None:
    server.log_on()
    answer = server.ask(NetrSessionEnum(None, None, None, 0, None, 0xFFFFFFFF, 1))
    assert (answer.entries, answer.total_entries, answer.status) == ([], 0, 0)


def test_no_handle_in_none_out(server: Asked) -> None:
    server.log_on()
    server.log_on()
    answer = server.ask(NetrSessionEnum(None, None, None, 0, None, 20, None))
    assert (len(answer.entries or []), answer.resume_handle, answer.status) == (1, None, codes.ERROR_MORE_DATA)


@given(
    users=st.lists(st.sampled_from(["ann", "bob", "a much longer name", "\U0001f600"]), max_size=25),
    level=st.sampled_from([0, 1, 2, 10, 502]),
    length=st.integers(160, 600),
    user=st.sampled_from([None, "ann"]),
)
def test_pages_make_the_whole_list(users: list[str], level: int, length: int, user: str | None) -> None:
    server = Asked()
    for number, name in enumerate(users):
        server.log_on(f"PC{number}", name)
    whole = server.ask(NetrSessionEnum(None, None, user, level))
    found: list[SessionInfo] = []
    handle: int | None = 0
    while whole.status == 0:
        answer = server.ask(NetrSessionEnum(None, None, user, level, None, length, handle))
        assert answer.total_entries == whole.total_entries - len(found)
        found += answer.entries or []
        if answer.status != codes.ERROR_MORE_DATA:
            assert answer.status == 0
            break
        assert answer.entries
        handle = answer.resume_handle
    assert found == (whole.entries or [])


# --- ending sessions ---


@pytest.mark.parametrize(
    ("client", "user", "status", "left"),
    [
        (r"\\PC1", "ann", 0, ["bob", "ann"]),
        (r"\\pc1", None, 0, ["ann"]),
        (None, "ANN", 0, ["bob"]),
        ("", "bob", 0, ["ann", "ann"]),
        (None, None, codes.ERROR_INVALID_PARAMETER, ["ann", "bob", "ann"]),
        ("", "", codes.ERROR_INVALID_PARAMETER, ["ann", "bob", "ann"]),
        ("PC1", None, codes.NERR_ClientNameNotFound, ["ann", "bob", "ann"]),
        (r"\\PC1", "eve", codes.NERR_ClientNameNotFound, ["ann", "bob", "ann"]),
        (None, "eve", codes.NERR_ClientNameNotFound, ["ann", "bob", "ann"]),
        (None, "x" * 1024, codes.ERROR_INVALID_PARAMETER, ["ann", "bob", "ann"]),
    ],
)
def test_ending_sessions(server: Asked, client: str | None, user: str | None, status: int, left: list[str]) -> None:
    server.log_on("PC1", "ann")
    server.log_on("PC1", "bob")
    server.log_on("PC2", "ann")
    assert server.ask(NetrSessionDel(None, client, user)).status == status
    assert [session.user_name for session in server.service.sessions()] == left
    if status == 0:
        assert server.ask(NetrSessionDel(None, client, user)).status == codes.NERR_ClientNameNotFound
        answer = server.ask(NetrSessionEnum(None, None, None, 1))
        assert [entry.user_name for entry in answer.entries or []] == left


def test_own_session_goes_last(server: Asked) -> None:
    sessions = [server.log_on("PC1", "ann", groups=ADMINISTRATORS) for _ in range(3)]
    file_id = server.open(sessions[0])
    events: list[Event] = []
    server.service.subscribe(events.append)
    assert server.ask(NetrSessionDel(None, None, "ann"), caller_of(sessions[0])).status == 0
    closed = [event.session.id for event in events if isinstance(event, SessionClosed)]
    assert closed == [sessions[number].global_id for number in (1, 2, 0)]
    assert all(event.reason is Reason.DELETED for event in events if isinstance(event, SessionClosed))
    assert server.service.open_by_global_id(file_id) is None


# --- tree connects ---


def test_connections_by_client_and_by_share(server: Asked) -> None:
    ann, bob = server.log_on("PC1", "ann"), server.log_on("PC2", "bob")
    server.open(ann)
    server.open(bob)
    server.open(ann, r"\PIPE\srvsvc", share="IPC$")
    server.now += 9
    of_client = server.ask(NetrConnectionEnum(None, r"\\pc1", 1)).entries or []
    assert [(one.net_name, one.type, one.num_opens, one.num_users, one.active_time) for one in of_client] == [
        ("data", 0, 1, 1, 9),
        ("IPC$", STYPE_IPC | STYPE_SPECIAL, 1, 1, 9),
    ]
    of_share = server.ask(NetrConnectionEnum(None, "DATA", 1)).entries or []
    assert [(one.net_name, one.user_name) for one in of_share] == [(r"\\PC1", "ann"), (r"\\PC2", "bob")]
    assert [one.id for one in server.ask(NetrConnectionEnum(None, "DATA", 0)).entries or []] == [1, 2]
    answer = server.ask(NetrConnectionEnum(None, "nothing", 1))
    assert (answer.entries, answer.status) == ([], 0)


@pytest.mark.parametrize(
    ("qualifier", "level", "status"),
    [
        (None, 1, codes.ERROR_INVALID_PARAMETER),
        ("", 1, codes.ERROR_INVALID_PARAMETER),
        ("x" * 1024, 1, codes.ERROR_INVALID_PARAMETER),
        ("data", 2, codes.ERROR_INVALID_LEVEL),
    ],
)
def test_bad_questions_about_connections(server: Asked, qualifier: str | None, level: int, status: int) -> None:
    assert server.ask(NetrConnectionEnum(None, qualifier, level)).status == status


# --- files ---


def test_files(server: Asked) -> None:
    ann, bob = server.log_on("PC1", "ann"), server.log_on("PC2", "bob")
    a = server.open(ann, "/srv/data/a/x.txt", access=0x12019F)
    b = server.open(bob, "/srv/data/ab.txt")
    pipe = server.open(bob, r"\PIPE\srvsvc", share="IPC$")
    opened = server.service.open_by_global_id(a)
    assert opened is not None
    server.service.set_locks(opened, 2)

    def ids(path: str | None, user: str | None, level: int = 2) -> list[int | None]:
        answer = server.ask(NetrFileEnum(None, path, user, level))
        assert (answer.status, answer.total_entries) == (0, len(answer.entries or []))
        return [entry.id for entry in answer.entries or []]

    assert ids(None, None) == ids("", "") == [a, b, pipe]
    assert ids("C:\\srv\\data\\a", None) == [a]
    assert ids("c:\\srv\\data\\A\\", None) == [a]
    assert ids("/srv/data", None) == [a, b]
    assert ids("C:\\", None) == [a, b]
    assert ids("\\PIPE", None) == [pipe]
    assert ids(None, "BOB") == ids(None, r"\\pc2") == [b, pipe]
    assert ids("C:\\srv", "eve") == []
    entries = server.ask(NetrFileEnum(None, None, "ann", 3)).entries or []
    assert [(one.path, one.user_name, one.permissions, one.num_locks) for one in entries] == [
        ("C:\\srv\\data\\a\\x.txt", "ann", 0x12019F, 2)
    ]


def test_bad_questions_about_files(server: Asked) -> None:
    assert server.ask(NetrFileEnum(None, None, None, 1)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrFileEnum(None, "x" * 1024, None, 3)).status == codes.ERROR_INVALID_PARAMETER
    assert server.ask(NetrFileEnum(None, None, "x" * 1024, 3)).status == codes.ERROR_INVALID_PARAMETER
    server.open(server.log_on())
    assert server.ask(NetrFileEnum(None, None, None, 3, None, 1, 0)).status == codes.NERR_BufTooSmall


def test_one_file_and_its_end(server: Asked) -> None:
    ann = server.log_on()
    file_id = server.open(ann)
    answer = server.ask(NetrFileGetInfo(None, file_id, 3))
    assert (answer.status, answer.info and answer.info.path) == (0, "C:\\srv\\data\\a.txt")
    assert server.ask(NetrFileGetInfo(None, file_id, 4)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrFileGetInfo(None, 99, 3)).status == codes.ERROR_FILE_NOT_FOUND
    assert server.ask(NetrFileClose(None, file_id)).status == 0
    assert server.ask(NetrFileClose(None, file_id)).status == codes.NERR_FileIdNotFound
    assert server.service.sessions() == [ann]
    assert len(ann.tree_connects) == 1


# --- shares ---


def test_shares_at_every_level(server: Asked) -> None:
    server.open(server.log_on())
    whole = ShareInfo("data", 0, "of us all", 0, 5, 1, "C:\\srv\\data", "", 0, "*", None)
    for level in (0, 1, 2, 501, 502, 503):
        answer = server.ask(NetrShareEnum(None, level))
        assert [entry.netname for entry in answer.entries or []] == ["IPC$", "data"]
        share = (answer.entries or [])[1]
        assert [getattr(share, name) for name in SHARE_INFO.table[level].split()] == [
            getattr(whole, name) for name in SHARE_INFO.table[level].split()
        ]
    ipc = (server.ask(NetrShareEnum(None, 2)).entries or [])[0]
    assert (ipc.path, ipc.max_uses, ipc.type) == ("", 0xFFFFFFFF, STYPE_IPC | STYPE_SPECIAL)
    for level in (3, 1004, 1005):
        assert server.ask(NetrShareEnum(None, level)).status == codes.ERROR_INVALID_LEVEL


def test_hidden_shares_are_hidden_from_users_alone(server: Asked) -> None:
    server.service.add_share(Share("secret", path="/srv/secret", hidden=True))
    user = caller_of(server.log_on())
    assert [entry.netname for entry in server.ask(NetrShareEnum(None, 1), user).entries or []] == ["IPC$", "data"]
    assert [entry.netname for entry in server.ask(NetrShareEnumSticky(None, 1), user).entries or []] == ["IPC$", "data"]
    assert len(server.ask(NetrShareEnum(None, 1)).entries or []) == 3
    assert len(server.ask(NetrShareEnumSticky(None, 1)).entries or []) == 3
    assert server.ask(NetrShareGetInfo(None, "SECRET", 1), user).status == 0


def test_sticky_shares(server: Asked) -> None:
    server.service.add_share(Share("tmp", STYPE_TEMPORARY, "/tmp"))
    answer = server.ask(NetrShareEnumSticky(None, 1))
    assert [entry.netname for entry in answer.entries or []] == ["IPC$", "data"]
    for caller in (ROOT, caller_of(server.log_on(anonymous=True))):
        assert server.ask(NetrShareEnumSticky(None, 501), caller).status == codes.ERROR_INVALID_LEVEL


def test_one_share(server: Asked) -> None:
    for level in (0, 1, 2, 501, 502, 503, 1005):
        assert server.ask(NetrShareGetInfo(None, "DATA", level)).status == 0
    for level in (3, 1004, 1006, 1501):
        assert server.ask(NetrShareGetInfo(None, "data", level)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrShareGetInfo(None, "none", 1)).status == codes.NERR_NetNameNotFound


def test_is_it_shared(server: Asked) -> None:
    for path in ("C:\\srv\\data", "c:\\SRV\\data\\", "/srv/data"):
        answer = server.ask(NetrShareCheck(None, path))
        assert (answer.type, answer.status) == (0, 0)
    assert server.ask(NetrShareCheck(None, "")).type == STYPE_IPC  # the path that IPC$ is listed with
    for path in ("C:\\srv", "C:\\", "D:\\srv\\data"):
        assert server.ask(NetrShareCheck(None, path)).status == codes.NERR_DeviceNotShared


# --- the server itself ---


def test_server_info(server: Asked) -> None:
    info = server.ask(NetrServerGetInfo("\\\\192.0.2.1", 102)).info
    assert info is not None
    assert (info.name, info.disc, info.users, info.hidden) == ("SERVER", 15, 0xFFFFFFFF, False)
    assert (info.platform_id, info.version_major, info.licenses, info.announce) == (500, 10, 0, 240)
    for level in (100, 101, 103, 502, 503):
        answer = server.ask(NetrServerGetInfo(None, level))
        assert (answer.status, answer.info is None) == (0, False)
    for level in (0, 599, 1005, 1010):
        assert server.ask(NetrServerGetInfo(None, level)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrServerGetInfo("x" * 1024, 100)).status == codes.ERROR_INVALID_PARAMETER


def get(server: Asked, level: int) -> ServerInfo:
    info = server.ask(NetrServerGetInfo(None, level)).info
    assert info is not None
    return info


@pytest.mark.parametrize(
    ("level", "member", "value", "setting", "kept"),
    [
        (1010, "disc", 30, "autodisconnect", 30),
        (1010, "disc", 0, "autodisconnect", 0),
        (1010, "disc", -1, "autodisconnect", NEVER),
        (1010, "disc", 65535, "autodisconnect", 65535),
        (1005, "comment", "hello", "comment", "hello"),
        (1005, "comment", None, "comment", ""),
        (1016, "hidden", True, "hidden", True),
        (1107, "users", 10, "max_sessions", 10),
        (1107, "users", 0xFFFFFFFF, "max_sessions", 0),
        (1501, "sessopens", 100, "opens_per_session", 100),
        (1510, "sessusers", 7, "sessions_per_connection", 7),
        (1511, "sessconns", 8, "tree_connects_per_session", 8),
        (1528, "scavtimeout", 30, "comment", "old"),
    ],
)
def test_setting_one_member(level: int, member: str, value: Any, setting: str, kept: Any) -> None:
    server = Asked(comment="old", max_sessions=3)
    answer = server.ask(NetrServerSetInfo(None, level, ServerInfo(**{member: value})))
    assert (answer.status, answer.parm_err) == (0, 0)
    assert value_of(server.settings.current, CHANGEABLE[setting]) == kept
    assert server.saved == ([{setting: kept}] if kept != "old" else [])


@pytest.mark.parametrize(
    ("level", "member", "value", "status", "parm_err"),
    [
        (1010, "disc", -2, codes.ERROR_INVALID_PARAMETER, 10),
        (1010, "disc", 65536, codes.ERROR_INVALID_PARAMETER, 10),
        (1005, "comment", "x" * 49, codes.ERROR_INVALID_PARAMETER, 5),
        (1005, "comment", "a\nb", codes.ERROR_INVALID_PARAMETER, 5),
        (1005, "comment", "a\x7fb", codes.ERROR_INVALID_PARAMETER, 5),
        (1005, "comment", "a\u202eb", codes.ERROR_INVALID_PARAMETER, 5),
        (1107, "users", 0, codes.ERROR_INVALID_PARAMETER, 107),
        (1107, "users", 0x80000000, codes.ERROR_INVALID_PARAMETER, 107),
        (1501, "sessopens", 16385, codes.ERROR_INVALID_PARAMETER, 501),
        (1510, "sessusers", 0, codes.ERROR_INVALID_PARAMETER, 510),
        (1511, "sessconns", 2049, codes.ERROR_INVALID_PARAMETER, 511),
        (1017, "announce", 60, codes.ERROR_NOT_SUPPORTED, 17),
        (1018, "anndelta", 60, codes.ERROR_NOT_SUPPORTED, 18),
        (1528, "scavtimeout", 60, codes.ERROR_NOT_SUPPORTED, 528),
        (1556, "maxworkitemidletime", 60, codes.ERROR_NOT_SUPPORTED, 556),
    ],
)
def test_members_that_cannot_be_set(
    server: Asked, level: int, member: str, value: Any, status: int, parm_err: int
) -> None:
    answer = server.ask(NetrServerSetInfo(None, level, ServerInfo(**{member: value})))
    assert (answer.status, answer.parm_err) == (status, parm_err)
    answer = server.ask(NetrServerSetInfo(None, level, ServerInfo(**{member: value}), None))
    assert (answer.status, answer.parm_err) == (status, None)
    assert server.saved == []


def test_what_was_read_can_be_written_with_one_change(server: Asked) -> None:
    info = get(server, 102)
    info.disc, info.name = 5, "OTHER"
    assert server.ask(NetrServerSetInfo(None, 102, info)).status == 0
    assert get(server, 102).disc == 5
    assert get(server, 102).name == "SERVER"
    for level in (502, 503):
        info = get(server, level)
        info.sessopens = level
        assert server.ask(NetrServerSetInfo(None, level, info)).status == 0
        assert server.settings.current.limits.opens_per_session == level
    assert server.saved == [{"autodisconnect": 5}, {"opens_per_session": 502}, {"opens_per_session": 503}]


def test_all_or_nothing_is_set(server: Asked) -> None:
    info = get(server, 102)
    info.comment, info.disc = "new", 70000
    answer = server.ask(NetrServerSetInfo(None, 102, info))
    assert (answer.status, answer.parm_err) == (codes.ERROR_INVALID_PARAMETER, 10)
    assert server.settings.current.comment == ""


@pytest.mark.parametrize("level", [0, 100, 103, 1504, 2000])
def test_levels_that_cannot_be_set(server: Asked, level: int) -> None:
    info = get(server, 103)
    assert server.ask(NetrServerSetInfo(None, level, info)).status == codes.ERROR_INVALID_LEVEL


def test_setting_nothing(server: Asked) -> None:
    assert server.ask(NetrServerSetInfo(None, 1010, None)).status == codes.ERROR_INVALID_PARAMETER


def test_what_cannot_be_saved_is_not_set(server: Asked) -> None:
    server.fails = codes.STATUS_DISK_FULL
    assert server.ask(NetrServerSetInfo(None, 1010, ServerInfo(disc=3))).status == codes.ERROR_GEN_FAILURE
    assert server.settings.current.autodisconnect == 15
    assert idle_period(server.settings.current) == 900


def test_autodisconnect_is_in_force_at_once(server: Asked) -> None:
    server.log_on()
    assert server.service.next_deadline() == server.now + 15 * 60
    server.ask(NetrServerSetInfo(None, 1010, ServerInfo(disc=1)))
    assert server.service.next_deadline() == server.now + 60
    server.ask(NetrServerSetInfo(None, 1010, ServerInfo(disc=-1)))
    assert server.service.next_deadline() is None
    server.ask(NetrServerSetInfo(None, 1010, ServerInfo(disc=0)))
    assert server.service.next_deadline() == server.now + 2


def test_disks(server: Asked) -> None:
    answer = server.ask(NetrServerDiskEnum(None))
    assert (answer.disks, answer.total_entries, answer.status) == ([DiskInfo("C:"), DiskInfo("")], 1, 0)
    assert server.ask(NetrServerDiskEnum(None, 1)).status == codes.ERROR_INVALID_LEVEL


def test_statistics(server: Asked) -> None:
    server.open(server.log_on())
    server.service.refuse_logon("PC1", "ann")
    server.service.counters.bytes_sent = 0x1_0000_0002
    info = server.ask(NetrServerStatisticsGet(None, "LanmanServer")).info
    assert info is not None
    assert (info.start, info.sopens, info.fopens, info.pwerrors) == (777, 1, 1, 1)
    assert (info.bytessent_high, info.bytessent_low, info.bytes_sent) == (1, 2, 0x1_0000_0002)
    assert server.ask(NetrServerStatisticsGet(None, None, 1)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrServerStatisticsGet(None, None, 0, 1)).status == codes.ERROR_INVALID_PARAMETER


def test_transports(server: Asked) -> None:
    server.log_on()
    for level in (0, 1, 2):
        entries = server.ask(NetrServerTransportEnum(None, level)).entries
        assert entries == [
            TransportInfo(
                1,
                DIRECT_TCP,
                b"SERVER          ",
                "000000000000",
                "WORKGROUP" if level else None,
                0 if level == 2 else None,
            )
        ]
    assert server.ask(NetrServerTransportEnum(None, 3)).status == codes.ERROR_INVALID_LEVEL
    assert server.ask(NetrServerTransportEnum(None, 0, None, 1, 0)).status == codes.NERR_BufTooSmall


def test_time_of_day(server: Asked) -> None:
    # 1700001000.25 is Tuesday, 14 November 2023, 22:30:00.25 UTC.
    assert server.ask(NetrRemoteTOD(None)).info == TimeOfDay(
        1_700_001_000, 1_700_001_000_250 & 0xFFFFFFFF, 22, 30, 0, 25, -60, 310, 14, 11, 2023, 2
    )


@pytest.mark.parametrize(
    ("name", "name_type", "flags", "status"),
    [
        ("data", 9, 0, 0),
        ("x" * 80, 9, 0, 0),
        ("x" * 81, 9, 0, codes.ERROR_INVALID_NAME),
        ("x" * 13, 9, 0x80000000, codes.ERROR_INVALID_NAME),
        ("a/b", 9, 0, codes.ERROR_INVALID_NAME),
        ("a\nb", 9, 0, codes.ERROR_INVALID_NAME),
        ("", 9, 0, codes.ERROR_INVALID_NAME),
        ("", 2, 0, 0),
        (" pc", 4, 0, codes.ERROR_INVALID_NAME),
        ("p*", 4, 0, codes.ERROR_INVALID_NAME),
        ("a b", 6, 0, codes.ERROR_INVALID_NAME),
        ("ann*", 11, 0, 0),
        ("a*n", 11, 0, codes.ERROR_INVALID_NAME),
        ("data", 0, 0, codes.ERROR_INVALID_PARAMETER),
        ("data", 14, 0, codes.ERROR_INVALID_PARAMETER),
        ("data", 9, 1, codes.ERROR_INVALID_PARAMETER),
    ],
)
def test_names(server: Asked, name: str, name_type: int, flags: int, status: int) -> None:
    assert server.ask(NetprNameValidate(None, name, name_type, flags)).status == status


# --- rights, and what there is not ---


def session_caller(*groups: str, anonymous: bool = False, guest: bool = False) -> Caller:
    return caller_of(
        ServerService().register_session(
            1, 1, "PC1", "ann", now=0, anonymous=anonymous, guest=guest, groups=frozenset(groups)
        )
    )


# n: null session, g: guest, u: user, w: power user, p: print operator, s: server operator, a: administrator,
# r: root on the control socket.
CALLERS = {
    "n": session_caller(anonymous=True),
    "g": session_caller(guest=True),
    "u": session_caller("Users"),
    "w": session_caller("Power Users"),
    "p": session_caller("Print Operators"),
    "s": session_caller("Server Operators"),
    "a": session_caller("Administrators"),
    "r": ROOT,
}
ALL = "nguwpsar"
BLANK_SHARE = ShareInfo("x", 0, "", 0, 1, 0, "", "", 0, "*", None)
# A number for every number and a text for every text: the rights are asked for before the values are.
_BLANKS: dict[str, Any] = {
    name: "" if name in ("name", "comment", "userpath", "domain") else 1 for name in ServerInfo.__match_args__
}
BLANK = ServerInfo(**_BLANKS)
CALLS: list[tuple[Call[Any], str]] = [
    *((NetrSessionEnum(None, None, None, level), "sar") for level in (0, 1, 2, 10, 502)),
    (NetrSessionDel(None, None, "nobody"), "sar"),
    *((NetrConnectionEnum(None, "data", level), "wpsar") for level in (0, 1)),
    *((NetrFileEnum(None, None, None, level), "sar") for level in (2, 3)),
    *((NetrFileGetInfo(None, 1, level), "sar") for level in (2, 3)),
    (NetrFileClose(None, 99), "sar"),
    *((NetrShareEnum(None, level), ALL) for level in (0, 1)),
    *((NetrShareEnum(None, level), "wpsar") for level in (2, 501, 502, 503)),
    *((NetrShareEnumSticky(None, level), ALL) for level in (0, 1)),
    *((NetrShareEnumSticky(None, level), "wpsar") for level in (2, 502, 503)),
    *((NetrShareGetInfo(None, "data", level), ALL) for level in (0, 1, 501, 1005)),
    *((NetrShareGetInfo(None, "data", level), "wpsar") for level in (2, 502, 503)),
    (NetrShareCheck(None, "C:\\srv"), ALL),
    *((NetrShareAdd(None, level, BLANK_SHARE), "wsar") for level in (2, 502, 503)),
    *(
        (NetrShareSetInfo(None, "none", level, BLANK_SHARE), "wsar")
        for level in (1, 2, 502, 503, 1004, 1005, 1006, 1501)
    ),
    (NetrShareDel(None, "none"), "wsar"),
    (NetrShareDelSticky(None, "none"), "wsar"),
    *((NetrServerGetInfo(None, level), ALL) for level in (100, 101)),
    *((NetrServerGetInfo(None, level), "wpsar") for level in (102, 103)),
    (NetrServerGetInfo(None, 502), "wsar"),
    (NetrServerGetInfo(None, 503), "sar"),
    *((NetrServerSetInfo(None, level, BLANK), "sar") for level in (101, 102, 502, 503, 599)),
    *((NetrServerSetInfo(None, level, BLANK), "sar") for level in sorted(SERVER_INFO.table) if level > 1000),
    (NetrServerSetInfo(None, 1005, ServerInfo(comment="x")), "sar"),
    (NetrServerSetInfo(None, 1010, ServerInfo(disc=15)), "sar"),
    (NetrServerSetInfo(None, 1016, ServerInfo(hidden=False)), "sar"),
    (NetrServerSetInfo(None, 1107, ServerInfo(users=0xFFFFFFFF)), "sar"),
    (NetrServerDiskEnum(None), "sar"),
    (NetrServerStatisticsGet(None), "sar"),
    *((NetrServerTransportEnum(None, level), "wsar") for level in (0, 1, 2)),
    (NetrRemoteTOD(None), ALL),
    (NetprNameValidate(None, "data", 9), ALL),
]


@pytest.mark.parametrize(
    ("request_", "allowed"), CALLS, ids=[f"{type(call).__name__}-{getattr(call, 'level', '')}" for call, _ in CALLS]
)
def test_every_call_at_every_level_by_every_kind_of_caller(server: Asked, request_: Call[Any], allowed: str) -> None:
    server.open(server.log_on())
    for kind, caller in CALLERS.items():
        answer = server.ask(request_, caller)
        assert (answer.status != codes.ERROR_ACCESS_DENIED) == (kind in allowed), kind
        if kind not in allowed:
            assert getattr(answer, "entries", None) is None
            assert getattr(answer, "info", None) is None


def test_legacy_rights(server: Asked) -> None:
    server = Asked(session_rights="legacy")
    user = caller_of(server.log_on())
    granted = [
        level for level in (0, 1, 2, 10, 502) if not server.ask(NetrSessionEnum(None, None, None, level), user).status
    ]
    assert granted == [0, 10]
    assert server.ask(NetrSessionDel(None, None, "ann"), user).status == codes.ERROR_ACCESS_DENIED


def test_a_refused_deletion_deletes_nothing(server: Asked) -> None:
    ann = server.log_on()
    assert server.ask(NetrSessionDel(None, None, "ann"), caller_of(ann)).status == codes.ERROR_ACCESS_DENIED
    assert server.service.sessions() == [ann]


def made_up(request_type: type[Call[Any]]) -> Call[Any]:
    """A request of this type, with something of the right kind everywhere."""
    values: dict[str, Any] = {}
    for name in request_type.__match_args__:
        if name in request_type._defaults:
            continue
        if name in ("level", "file_id", "opcode", "name_type", "flags", "outbuf_len", "path_type", "reserved"):
            values[name] = 0
        elif name == "context_handle":
            values[name] = bytes(20)
        elif name == "info":
            values[name] = TransportInfo(0, "", b"", "") if "Transport" in request_type.__name__ else None
        else:
            values[name] = "x"
    return request_type(**values)


@pytest.mark.parametrize("opnum", sorted(SRVSVC.requests))
@pytest.mark.parametrize("caller", CALLERS.values(), ids=list(CALLERS))
def test_every_operation_has_an_answer_of_its_own_shape(server: Asked, opnum: int, caller: Caller) -> None:
    request = made_up(SRVSVC.requests[opnum])
    response = server.call(caller, request)
    assert isinstance(response, request.response)
    response.pack()
    response.pack(ndr64=True)
    if opnum < 8 or "Dfs" in type(request).__name__:
        assert response.status == codes.ERROR_NOT_SUPPORTED
