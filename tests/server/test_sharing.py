"""Shares that come, change and go by management calls; what they want of the disk, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest

from lanman import codes
from lanman.domain import (
    STYPE_SPECIAL,
    STYPE_TEMPORARY,
    FileClosed,
    Reason,
    Share,
    ShareAdded,
    ShareChanged,
    ShareRemoved,
)
from lanman.errors import StatusError
from lanman.records import ServerInfo, ShareInfo
from lanman.rpc.srvsvc import (
    NetrServerSetInfo,
    NetrSessionEnum,
    NetrShareAdd,
    NetrShareCheck,
    NetrShareDel,
    NetrShareDelSticky,
    NetrShareEnumSticky,
    NetrShareGetInfo,
    NetrShareSetInfo,
)
from lanman.server.changes import Changes, FindFolder, KeepSettings, KeepShare
from lanman.server.effects import Effect, ReadAccounts, Work
from lanman.server.rights import Caller
from support.memory_server import World
from support.summaries import summaries, summary

UNLIMITED = 0xFFFFFFFF
ROOT = Caller("root", local_admin=True)


class Disk:
    """Holds the effects of a Server's changes until it is told to perform them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.waiting: list[tuple[int, Effect[Any]]] = []
        self.done: list[Effect[Any]] = []
        self.holds = False
        self._perform = world.perform
        world.perform = self.perform  # type: ignore[method-assign]

    def perform(self, ticket: int, effect: Effect[Any]) -> None:
        if isinstance(effect, ReadAccounts):
            self._perform(ticket, effect)
            return
        self.waiting.append((ticket, effect))
        if not self.holds:
            self.let_go()

    def let_go(self, status: int = 0) -> None:
        """Perform one: `/srv` has every folder but `/srv/none`, and files are written unless `status` says not."""
        ticket, effect = self.waiting.pop(0)
        self.done.append(effect)
        result = None
        if isinstance(effect, FindFolder):
            result = effect.path
            if effect.roots is not None and not any(effect.path.startswith(root) for root in effect.roots):
                status = codes.STATUS_ACCESS_DENIED
            elif effect.path.endswith("none"):
                status = codes.STATUS_OBJECT_PATH_NOT_FOUND
        scheduler = self.world.dispatch.scheduler
        if status:
            scheduler.failed(ticket, status, self.world.now)
        else:
            scheduler.completed(ticket, result, self.world.now)
        self.world.pump()


@pytest.fixture
def world() -> World:
    world = World(share_roots=("/srv",))
    world.service.add_share(Share("data", path="/srv/data", remark="old", readers=frozenset({"Users"})))
    return world


@pytest.fixture
def disk(world: World) -> Disk:
    return Disk(world)


def ask(world: World, request: Any, caller: Caller = ROOT) -> Any:
    (answer,) = world.answer(world.endpoint.call(caller, request, world.now))
    return type(request).unpack(request.pack()) and request.answer(answer.pack())


def new(name: str | None = "docs", **values: Any) -> ShareInfo:
    members: dict[str, Any] = {"type": 0, "remark": "", "permissions": 0, "max_uses": UNLIMITED, "current_uses": 0}
    return ShareInfo(name, **{**members, "path": "C:\\srv\\docs", **values})


@pytest.fixture
def admin(world: World) -> Caller:
    session = world.connect().log_on("admin").connection.channels
    (wire,) = session.values()
    return Caller("admin", wire.session.groups, wire.session)


def test_adding(world: World, disk: Disk, admin: Caller) -> None:
    answer = ask(world, NetrShareAdd(None, 2, new(remark="all", max_uses=3)), admin)
    assert (answer.status, answer.parm_err) == (0, 0)
    share = world.service.share_by_name("DOCS")
    assert share is not None
    assert (share.name, share.path, share.remark, share.max_users) == ("docs", "/srv/docs", "all", 3)
    find, keep = disk.done
    assert find == FindFolder("/srv/docs", ("/srv",))
    assert isinstance(keep, KeepShare)
    assert (keep.name, keep.share is share) == ("docs", False)
    assert summary(world.events[-1]) == (ShareAdded, "docs")
    assert ask(world, NetrShareCheck(None, "C:\\srv\\docs")).status == 0
    info = ask(world, NetrShareGetInfo(None, "docs", 502)).info
    assert (info.path, info.max_uses, info.remark) == ("C:\\srv\\docs", 3, "all")


@pytest.mark.parametrize("level", [2, 502, 503])
def test_levels_of_adding(world: World, disk: Disk, level: int) -> None:
    assert ask(world, NetrShareAdd(None, level, new(server_name="*"))).status == 0


@pytest.mark.parametrize("level", [0, 1, 501, 1004, 1005, 1006, 1501, 7])
def test_levels_that_add_nothing(world: World, disk: Disk, level: int) -> None:
    answer: Any = world.endpoint.call(ROOT, NetrShareAdd(None, level, new()), 0)
    assert answer.status == codes.ERROR_INVALID_LEVEL


@pytest.mark.parametrize(
    ("info", "status", "parm_err"),
    [
        (new(""), codes.ERROR_INVALID_PARAMETER, 1),
        (new("x" * 81), codes.ERROR_INVALID_PARAMETER, 1),
        (new("pipe"), codes.ERROR_ACCESS_DENIED, 1),
        (new("MailSlot"), codes.ERROR_ACCESS_DENIED, 1),
        (new("a/b"), codes.ERROR_INVALID_NAME, 1),
        (new("a*"), codes.ERROR_INVALID_NAME, 1),
        (new("a\x07b"), codes.ERROR_INVALID_NAME, 1),
        (new("DATA"), codes.NERR_DuplicateShare, 1),
        (new("ipc$"), codes.NERR_DuplicateShare, 1),
        (new(type=1), codes.ERROR_INVALID_PARAMETER, 3),
        (new(type=3 | STYPE_SPECIAL), codes.ERROR_INVALID_PARAMETER, 3),
        (new(remark="x" * 49), codes.ERROR_INVALID_PARAMETER, 4),
        (new(remark="a\nb"), codes.ERROR_INVALID_PARAMETER, 4),
        (new(remark="a\x7fb"), codes.ERROR_INVALID_PARAMETER, 4),
        (new(remark="a\u202eb"), codes.ERROR_INVALID_PARAMETER, 4),
        (new(max_uses=0x80000000), codes.ERROR_INVALID_PARAMETER, 6),
        (new(path=None), codes.ERROR_INVALID_PARAMETER, 8),
        (new(path="C:\\srv\\a\nb"), codes.ERROR_INVALID_PARAMETER, 8),
        (new(path="C:\\srv\\none"), codes.NERR_UnknownDevDir, 8),
        (new(path="C:\\etc"), codes.ERROR_ACCESS_DENIED, 8),
        (new(path="C:\\etc\\none"), codes.ERROR_ACCESS_DENIED, 8),
    ],
)
def test_what_cannot_be_shared(
    world: World, disk: Disk, admin: Caller, info: ShareInfo, status: int, parm_err: int
) -> None:
    answer = ask(world, NetrShareAdd(None, 2, info), admin)
    assert (answer.status, answer.parm_err) == (status, parm_err)
    assert ask(world, NetrShareAdd(None, 2, info, None), admin).parm_err is None
    assert len(world.service.shares()) == 2
    assert not any(isinstance(effect, KeepShare) for effect in disk.done)


def test_no_roots_is_nothing_from_afar_and_anything_from_here(world: World, disk: Disk, admin: Caller) -> None:
    world.set(share_roots=())
    assert ask(world, NetrShareAdd(None, 2, new()), admin).status == codes.ERROR_ACCESS_DENIED
    assert ask(world, NetrShareAdd(None, 2, new(path="C:\\etc"))).status == 0


def test_a_security_descriptor_is_not_taken_for_granted(world: World, disk: Disk) -> None:
    for request in (
        NetrShareAdd(None, 502, new(security_descriptor=b"x")),
        NetrShareSetInfo(None, "data", 1501, ShareInfo(security_descriptor=b"x")),
    ):
        answer = ask(world, request)
        assert (answer.status, answer.parm_err) == (codes.ERROR_NOT_SUPPORTED, 501)
    assert ask(world, NetrShareSetInfo(None, "data", 1501, ShareInfo())).status == 0


@pytest.mark.parametrize(
    ("level", "info", "changed"),
    [
        (1, ShareInfo("data", 0, "new"), {"remark": "new"}),
        (2, new("x", remark="new", max_uses=2, path="::"), {"remark": "new", "max_users": 2}),
        (502, new("x", remark="new", max_uses=UNLIMITED), {"remark": "new"}),
        (503, new("x", remark="new", max_uses=9, server_name="*"), {"remark": "new", "max_users": 9}),
        (1004, ShareInfo(remark=None), {"remark": ""}),
        (1005, ShareInfo(flags=0x8000), {"encrypt_data": True}),
        (1006, ShareInfo(max_uses=5), {"max_users": 5}),
        (1006, ShareInfo(max_uses=0), {}),
        (1501, ShareInfo(), {}),
    ],
)
def test_changing(world: World, disk: Disk, level: int, info: ShareInfo, changed: dict[str, Any]) -> None:
    assert ask(world, NetrShareSetInfo(None, "DATA", level, info)).status == 0
    share = world.service.share_by_name("data")
    assert share is not None
    expected = {"remark": "old", "max_users": 0, "encrypt_data": False} | changed
    assert {name: getattr(share, name) for name in expected} == expected
    assert (share.path, share.readers) == ("/srv/data", frozenset({"Users"}))
    (keep,) = disk.done
    assert isinstance(keep, KeepShare)
    assert keep.share is not None
    assert {name: getattr(keep.share, name) for name in expected} == expected
    assert summary(world.events[-1]) == (ShareChanged, "data")


@pytest.mark.parametrize(
    ("level", "info", "status", "parm_err"),
    [
        (0, ShareInfo("data"), codes.ERROR_INVALID_LEVEL, 0),
        (501, ShareInfo("data", 0, "x", flags=0), codes.ERROR_INVALID_LEVEL, 0),
        (1004, ShareInfo(remark="x" * 49), codes.ERROR_INVALID_PARAMETER, 4),
        (1006, ShareInfo(max_uses=0x80000000), codes.ERROR_INVALID_PARAMETER, 6),
        (1005, ShareInfo(flags=1), codes.ERROR_NOT_SUPPORTED, 1005),
    ],
)
def test_what_cannot_be_changed(
    world: World, disk: Disk, level: int, info: ShareInfo, status: int, parm_err: int
) -> None:
    answer = ask(world, NetrShareSetInfo(None, "data", level, info))
    assert (answer.status, answer.parm_err) == (status, parm_err)
    assert not disk.done


def test_encryption_that_is_off_cannot_be_asked_for(world: World, disk: Disk) -> None:
    world.set(encryption="off")
    answer = ask(world, NetrShareSetInfo(None, "data", 1005, ShareInfo(flags=0x8000)))
    assert answer.status == codes.ERROR_NOT_SUPPORTED


@pytest.mark.parametrize(
    "request_",
    [
        NetrShareSetInfo(None, "{}", 1004, ShareInfo(remark="x")),
        NetrShareDel(None, "{}"),
        NetrShareDelSticky(None, "{}"),
    ],
)
def test_shares_that_are_not_there_or_not_to_be_touched(world: World, disk: Disk, request_: Any) -> None:
    for name, status in (("none", codes.NERR_NetNameNotFound), ("IPC$", codes.ERROR_ACCESS_DENIED)):
        request_.net_name = name
        assert ask(world, request_).status == status
    assert not disk.done


def test_deletion_closes_what_is_open_there(world: World, disk: Disk) -> None:
    ann = world.connect().log_on("ann")
    (wire,) = ann.connection.channels.values()
    share = world.service.share_by_name("data")
    assert share is not None
    tree = world.service.register_tree_connect(wire.session, 77, share, world.now)
    opened = world.service.register_open(wire.session, tree, 99, "/srv/data/a", 1, world.now)
    assert ask(world, NetrShareDel(None, "data")).status == 0
    assert (FileClosed, opened.global_id, Reason.SHARE_DELETED) in summaries(world.events)
    assert summary(world.events[-1]) == (ShareRemoved, "data")
    assert world.users() == ["ann"]
    assert [effect.name for effect in disk.done if isinstance(effect, KeepShare) and effect.share is None] == ["data"]


def test_a_temporary_share_is_not_kept(world: World, disk: Disk) -> None:
    assert ask(world, NetrShareAdd(None, 2, new(type=STYPE_TEMPORARY))).status == 0
    assert ask(world, NetrShareSetInfo(None, "docs", 1004, ShareInfo(remark="x"))).status == 0
    assert ask(world, NetrShareDel(None, "docs")).status == 0
    assert [type(effect) for effect in disk.done] == [FindFolder]


def test_sticky_no_more(world: World, disk: Disk) -> None:
    assert ask(world, NetrShareDelSticky(None, "data")).status == 0
    assert disk.done == [KeepShare("data", None)]
    assert world.service.share_by_name("data") is not None
    assert [share.netname for share in ask(world, NetrShareEnumSticky(None, 1)).entries] == ["IPC$"]


@pytest.mark.parametrize(
    "request_",
    [
        NetrShareAdd(None, 2, new()),
        NetrShareSetInfo(None, "data", 1004, ShareInfo(remark="new")),
        NetrShareDel(None, "data"),
        NetrShareDelSticky(None, "data"),
        NetrServerSetInfo(None, 1010, ServerInfo(disc=3)),
    ],
)
def test_what_is_not_kept_is_not_done(world: World, disk: Disk, request_: Any) -> None:
    disk.holds = True
    before = [(share.name, share.remark, share.type) for share in world.service.shares()]
    answers = world.answer(world.endpoint.call(ROOT, request_, world.now))
    assert answers == []
    while disk.waiting:
        failing = isinstance(disk.waiting[0][1], KeepShare | KeepSettings)
        disk.let_go(codes.STATUS_INTERNAL_ERROR if failing else 0)
    assert [answer.status for answer in answers] == [codes.ERROR_GEN_FAILURE]
    assert [(share.name, share.remark, share.type) for share in world.service.shares()] == before
    assert world.settings.current.autodisconnect == 15


# --- answers that have to wait


def test_calls_take_turns(world: World, disk: Disk) -> None:
    disk.holds = True
    answers: list[int] = []
    requests: list[Any] = [NetrShareAdd(None, 2, new()), NetrShareAdd(None, 2, new()), NetrShareDel(None, "docs")]
    for request in requests:
        work = world.endpoint.call(ROOT, request, world.now)
        world.dispatch.scheduler.start(work, lambda answer: answers.append(answer.status))
    world.pump()
    while disk.waiting:
        assert len(disk.waiting) == 1
        disk.let_go()
    assert answers == [0, codes.NERR_DuplicateShare, 0]
    assert world.service.share_by_name("docs") is None


def test_rights_are_judged_again_when_the_turn_has_come(world: World, disk: Disk, admin: Caller) -> None:
    disk.holds = True
    first = world.answer(world.endpoint.call(ROOT, NetrShareAdd(None, 2, new()), world.now))
    second = world.answer(world.endpoint.call(admin, NetrShareDel(None, "data"), world.now))
    assert (first, second) == ([], [])
    assert admin.session is not None
    admin.session.groups = frozenset({"Users"})
    while disk.waiting:
        disk.let_go()
    assert [answer.status for answer in (*first, *second)] == [0, codes.ERROR_ACCESS_DENIED]
    assert world.service.share_by_name("data") is not None


@pytest.mark.parametrize("by_writing", [False, True])
def test_an_answer_waits_for_the_disk_and_nobody_else_does(world: World, disk: Disk, by_writing: bool) -> None:
    disk.holds = True
    admin, other = world.connect().log_on("admin").bind(), world.connect().log_on("admin").bind()
    done: list[Any] = []
    hook = world.pump

    def pump() -> None:
        hook()
        if disk.waiting:
            # The call waits now; another connection's is answered, and then the disk comes to its end.
            effects, disk.waiting = disk.waiting, []
            done.append(other.call(NetrSessionEnum(None, None, None, 1)).total_entries)
            disk.waiting = effects
            disk.let_go()

    world.pump = pump  # type: ignore[method-assign]
    answer = admin.call(NetrServerSetInfo(None, 1010, ServerInfo(disc=7)), by_writing=by_writing)
    assert (answer.status, world.settings.current.autodisconnect, done) == (0, 7, [2])


def test_whoever_hangs_up_meanwhile_has_said_it_all_the_same(world: World, disk: Disk) -> None:
    disk.holds = True
    admin = world.connect().log_on("admin").bind()
    for pdu in admin.rpc.call(NetrServerSetInfo(None, 1010, ServerInfo(disc=7))):
        admin.write(pdu)
    world.disconnect(admin)
    disk.let_go()
    assert world.settings.current.autodisconnect == 7


def test_calls_of_one_pipe_are_answered_in_order(world: World, disk: Disk) -> None:
    disk.holds = True
    admin = world.connect().log_on("admin").bind()
    for request in (NetrServerSetInfo(None, 1005, ServerInfo(comment="x")), NetrSessionEnum(None, None, None, 0)):
        for pdu in admin.rpc.call(request):
            admin.write(pdu)
    disk.let_go()
    events: list[Any] = [event for _ in range(2) for event in admin.rpc.receive_data(bytes(admin.read().message.data))]  # type: ignore[attr-defined]
    assert [event.call_id for event in events] == sorted(event.call_id for event in events)
    assert len(events) == 2


def test_too_many_calls_behind_one_that_waits(world: World, disk: Disk) -> None:
    disk.holds = True
    admin = world.connect().log_on("admin").bind()
    statuses = []
    for _ in range(80):
        (pdu,) = admin.rpc.call(NetrServerSetInfo(None, 1005, ServerInfo(comment="x")))
        try:
            admin.write(pdu)
        except Exception as error:  # noqa: BLE001 - what it is, is asked below
            statuses.append(str(error))
            break
    assert "PIPE_BROKEN" in statuses[0] or "pipe" in statuses[0].lower()


def test_a_change_that_breaks_lets_the_next_one_go_on(world: World) -> None:
    changes = Changes()
    errors: list[Exception] = []
    answers: list[int] = []

    def broken() -> Work[int]:
        yield KeepSettings({})
        raise KeyError("x")

    def whole() -> Work[int]:
        try:
            yield FindFolder("/", None)
        except StatusError as error:
            return error.status
        return 0

    world.dispatch.scheduler.start(changes.alone(broken()), failed=errors.append)
    world.dispatch.scheduler.start(changes.alone(whole()), answers.append)
    world.pump()
    assert [type(error) for error in errors] == [KeyError]
    # Without a disk nothing fails to be kept, and no folder is found.
    assert answers == [codes.STATUS_NOT_SUPPORTED]
