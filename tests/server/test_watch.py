"""Folders that go and come back, accounts that are deleted, rights that are taken: what is open is reached by it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.auth.outcome import Accepted, Step
from lanman.auth.spnego import KERBEROS_OID, NegTokenInit, pack_init
from lanman.domain import Reason, SessionClosed, Share, ShareAvailability, TreeDisconnected
from lanman.dtyp import MAXIMUM_ALLOWED
from lanman.errors import StatusError
from lanman.rpc.srvsvc import NetrSessionEnum, NetrShareEnum
from lanman.server import watch
from lanman.server.disk_effects import CheckShare, OpenFile
from lanman.server.effects import StepLogon
from lanman.server.watch import ACCOUNTS_EVERY, NOT_LOOKED_AT, SHARES_EVERY
from lanman.settings import NullSessions
from lanman.smb2.constants import FILE_CREATE, FILE_OPEN, FILE_OVERWRITE_IF, SMB2_OPLOCK_LEVEL_EXCLUSIVE
from lanman.smb2.messages import CreateRequest, SessionSetupRequest, TreeDisconnectRequest, WriteRequest
from support.disk_server import READ, DiskWorld
from support.memory_server import World
from support.passwords import PASSWORD
from support.raw_client import RawClient


@pytest.fixture
def world(tmp_path: Path) -> DiskWorld:
    (tmp_path / "share").mkdir()
    world = DiskWorld(tmp_path / "share")
    world.dispatch.watch.start(world.now)
    return world


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(StatusError) as caught:
        action()
    return codes.ntstatus_name(caught.value.status)


def accounts_of(world: World) -> Accounts:
    """The accounts to be changed, as if their file had been read anew."""
    world.accounts = Accounts.parse(world.accounts.dump())
    return world.accounts


# --- shares whose folders come and go


def test_a_folder_that_is_gone_comes_back_when_it_is_used(world: DiskWorld, tmp_path: Path) -> None:
    share = world.share("mounted", tmp_path / "mounted", problem=NOT_LOOKED_AT)
    ann = world.user()
    for _ in range(2):
        assert refused(lambda: ann.tree_connect(r"\\server\mounted")) == "STATUS_BAD_NETWORK_NAME"
    assert share.problem == "there is no such folder"
    (tmp_path / "mounted").mkdir()
    ann.tree_connect(r"\\server\mounted")
    ann.make("letter", b"dear bob")
    told = [event for event in world.events if isinstance(event, ShareAvailability)]
    assert [event.before for event in told] == [NOT_LOOKED_AT, "there is no such folder"]


def test_the_others_do_not_wait_for_it(world: DiskWorld, tmp_path: Path) -> None:
    """A disk that does not answer holds up who wants that share."""
    world.share("dead", tmp_path / "dead", problem=NOT_LOOKED_AT)
    world.held = lambda effect: getattr(effect, "root", "") == str(tmp_path / "dead")
    world.dispatch.watch.look_at_shares(world.service.shares())
    bob = world.user("bob")
    assert bob.status("letter", disposition=FILE_CREATE) == "STATUS_SUCCESS"
    world.advance(5 * SHARES_EVERY)
    assert len(world._waiting) == 1  # and it is not looked at again before the first look has come to its end


def test_a_folder_is_looked_at_from_time_to_time(world: DiskWorld, tmp_path: Path) -> None:
    share = world.share("mounted", tmp_path / "mounted")
    world.advance(SHARES_EVERY)
    assert share.problem == "there is no such folder"
    (tmp_path / "mounted").write_text("")
    world.advance(SHARES_EVERY)
    assert share.problem == "it is not a folder"
    (tmp_path / "mounted").unlink()
    (tmp_path / "mounted").mkdir()
    world.advance(SHARES_EVERY)
    assert share.problem == ""


def test_who_asks_during_a_look_is_told_what_the_next_one_sees(world: DiskWorld, tmp_path: Path) -> None:
    share = world.share("mounted", tmp_path / "mounted", problem=NOT_LOOKED_AT)
    looked = []
    world.hold_effects = True
    world.dispatch.watch.look_at_shares([share], lambda: looked.append(share.problem))
    ((ticket, look),) = world.dispatch.scheduler.effects()
    assert isinstance(look, CheckShare)
    seen = world.files.check_share(look)
    (tmp_path / "mounted").mkdir()  # after the disk was asked, before its answer is here
    for _ in range(2):
        world.dispatch.watch.look_at_shares([share], lambda: looked.append(share.problem))
    assert world.dispatch.scheduler.effects() == []
    world.dispatch.scheduler.completed(ticket, seen, world.now)
    assert looked == ["there is no such folder"]
    ((ticket, look),) = world.dispatch.scheduler.effects()
    world.perform(ticket, look)
    assert looked[1:] == ["", ""]
    assert world.dispatch.scheduler.effects() == []


@pytest.mark.parametrize("path", ["/proc", "/proc/self/fd"])
def test_a_folder_that_is_no_storage(world: DiskWorld, path: str) -> None:
    share = world.share("data", Path(path), problem=NOT_LOOKED_AT)
    world.dispatch.watch.look_at_shares([share])
    world.pump()
    assert share.problem == "proc is not storage"


def test_who_is_told_of_a_share_that_cannot_be_used(world: DiskWorld, tmp_path: Path) -> None:
    world.share("mounted", tmp_path / "mounted")
    world.advance(SHARES_EVERY)
    for user, seen in (("admin", True), ("ann", False)):
        client = world.connect().log_on(user).bind()
        answer = client.call(NetrShareEnum(None, 1))
        assert ("mounted" in [entry.netname for entry in answer.entries]) is seen


# --- shares within bounds


def test_a_folder_that_is_replaced_by_a_link(world: DiskWorld, tmp_path: Path) -> None:
    """What was shared over the network lies in share_roots when it is used, too."""
    (tmp_path / "roots" / "data").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    world.set(share_roots=(str(tmp_path / "roots"),))
    share = world.share("data", tmp_path / "roots" / "data", confined=True)
    world.files.confined[share.path] += 1
    ann = world.user("ann", "data")
    letter = ann.make("letter", b"dear bob")
    (tmp_path / "roots" / "data").rename(tmp_path / "roots" / "old")
    (tmp_path / "roots" / "data").symlink_to(tmp_path / "outside")
    assert ann.status("secret", access=READ) == "STATUS_VOLUME_DISMOUNTED"
    world.advance(SHARES_EVERY)
    assert share.problem == "it is not a folder, or a link leads there now"
    assert codes.ntstatus_name(ann.get(letter).status) == "STATUS_NETWORK_NAME_DELETED"
    assert refused(lambda: ann.tree_connect(r"\\server\data")) == "STATUS_BAD_NETWORK_NAME"


def test_share_roots_that_are_taken_back(world: DiskWorld, tmp_path: Path) -> None:
    (tmp_path / "roots" / "data").mkdir(parents=True)
    world.set(share_roots=(str(tmp_path / "roots"),))
    share = world.share("data", tmp_path / "roots" / "data", confined=True)
    ann = world.user("ann", "data")
    world.advance(SHARES_EVERY)
    assert share.problem == ""
    world.set(share_roots=())
    world.dispatch.watch.look_at_shares([share])
    world.pump()
    assert share.problem == "it is not within share_roots"
    assert ann.status("letter", access=READ) == "STATUS_NETWORK_NAME_DELETED"


# --- rights


def test_rights_that_are_taken_reach_what_is_open(world: DiskWorld) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    ann, bob = world.user("ann"), world.user("bob")
    written = ann.make("letter", b"dear bob")
    reading = ann.open("letter", access=READ)
    of_bob = bob.open("letter", access=READ)
    share.writers = frozenset({"admin"})
    world.dispatch.watch.reassess()
    assert codes.ntstatus_name(ann.get(written).status) == "STATUS_FILE_CLOSED"
    assert bytes(ann.get(reading).message.data) == b"dear bob"  # type: ignore[attr-defined]
    assert ann.status("letter") == "STATUS_ACCESS_DENIED"
    share.readers = frozenset({"ann"})
    world.dispatch.watch.reassess()
    assert codes.ntstatus_name(bob.get(of_bob).status) == "STATUS_NETWORK_NAME_DELETED"
    assert codes.ntstatus_name(ann.get(reading).status) == "STATUS_SUCCESS"
    assert [event.reason for event in world.events if isinstance(event, TreeDisconnected)] == [Reason.RIGHTS]


def test_rights_that_are_given_count_at_once_too(world: DiskWorld) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    share.writers = frozenset({"admin"})
    ann = world.user("ann")
    assert ann.status("letter", disposition=FILE_CREATE) == "STATUS_ACCESS_DENIED"
    share.writers = None
    world.dispatch.watch.reassess()
    assert ann.status("letter", disposition=FILE_CREATE) == "STATUS_SUCCESS"


def test_pipes_that_a_null_session_may_open_no_more() -> None:
    world = World()
    world.set(null_sessions=NullSessions(pipes=("srvsvc",)))
    nobody = world.connect().log_on().bind()
    world.dispatch.watch.reassess()
    assert nobody.call(NetrShareEnum(None, 1)).status == 0
    world.set(null_sessions=NullSessions())
    world.dispatch.watch.reassess()
    assert refused(lambda: nobody.call(NetrShareEnum(None, 1))) == "STATUS_FILE_CLOSED"


@pytest.mark.parametrize("disposition", [FILE_OPEN, FILE_CREATE, FILE_OVERWRITE_IF])
@pytest.mark.parametrize("how", ["share", "identity"])
def test_rights_that_are_taken_while_the_disk_opens(
    world: DiskWorld, tmp_path: Path, how: str, disposition: int
) -> None:
    """What is granted is what may be done when it is open, not when it was asked for."""
    share = world.service.share_by_name("share")
    assert share is not None
    ann = world.user("ann")
    if disposition != FILE_CREATE:
        ann.shut(ann.make("letter", b"dear bob"))
    world.held = lambda effect: isinstance(effect, OpenFile)
    number = ann.send(ann.create("letter", disposition=disposition))
    if how == "share":
        share.writers = frozenset({"admin"})
        world.dispatch.watch.reassess()
    else:
        ann.log_on("", again=True)
    world.let_go()
    assert ann.result(number) == "STATUS_ACCESS_DENIED"
    assert not world.service.opens()
    letter = tmp_path / "share" / "letter"
    assert not letter.exists() if disposition == FILE_CREATE else letter.read_bytes() == b"dear bob"


def test_rights_that_are_taken_while_others_are_asked(world: DiskWorld) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    ann, bob = world.user("ann"), world.user("bob")
    letter = bob.make("letter", oplock=SMB2_OPLOCK_LEVEL_EXCLUSIVE)
    number = ann.send(ann.create("letter"))
    assert not ann.result(number)
    share.writers = frozenset({"bob"})
    world.dispatch.watch.reassess()
    bob.shut(letter)
    assert ann.result(number) == "STATUS_ACCESS_DENIED"


def test_nobody_opens_more_on_what_a_user_has_connected_to(world: DiskWorld) -> None:
    ann = world.user("ann")
    ann.shut(ann.make("letter"))
    ann.log_on("", again=True)
    for access in (READ, MAXIMUM_ALLOWED):
        assert ann.status("letter", access=access) == "STATUS_ACCESS_DENIED"
    ann.log_on("ann", again=True)
    world.held = lambda effect: isinstance(effect, OpenFile)
    number = ann.send(ann.create("letter", access=MAXIMUM_ALLOWED))
    ann.log_on("", again=True)
    world.let_go()
    assert ann.result(number) == "STATUS_ACCESS_DENIED"
    ann.log_on("ann", again=True)
    assert ann.status("letter", access=READ) == "STATUS_SUCCESS"


def test_strangers_who_are_guests_no_more() -> None:
    """A guest who has an account goes on; strangers do not, where strangers may not log on any more."""
    world = World(guest=True)
    world.accounts.add("gus", PASSWORD)
    world.accounts.add_member("Guests", "gus")
    for user in ("stranger", "gus", "ann"):
        assert RawClient(world).log_on(user) == 0
    world.dispatch.watch.reassess()
    assert world.users() == ["Guest", "gus", "ann"]
    world.set(guest=False)
    world.dispatch.watch.reassess()
    assert world.users() == ["gus", "ann"]


# --- accounts


@pytest.mark.parametrize("how", ["deleted", "disabled"])
@pytest.mark.parametrize("ends", [True, False])
def test_an_account_that_is_gone(world: DiskWorld, how: str, ends: bool) -> None:
    world.set(end_sessions_of_removed_accounts=ends)
    ann, bob = world.user("ann"), world.user("bob")
    letter = ann.make("letter", b"dear bob")
    if how == "deleted":
        accounts_of(world).delete("ann")
    else:
        accounts_of(world).change("ann", disabled=True)
    world.advance(ACCOUNTS_EVERY)
    assert world.users() == (["bob"] if ends else ["ann", "bob"])
    status = codes.ntstatus_name(ann.get(letter).status)
    assert status == ("STATUS_USER_SESSION_DELETED" if ends else "STATUS_SUCCESS")
    assert bob.status("letter", access=READ) == "STATUS_SUCCESS"
    closed = [event.reason for event in world.events if isinstance(event, SessionClosed)]
    assert closed == ([Reason.ACCOUNT] if ends else [])


def test_a_deleted_administrator_whose_session_goes_on(world: DiskWorld) -> None:
    world.set(end_sessions_of_removed_accounts=False)
    admin = world.connect().log_on("admin").bind()
    accounts_of(world).delete("admin")
    for _ in range(2):
        assert admin.call(NetrSessionEnum(None, None, None, 502)).status == codes.ERROR_ACCESS_DENIED
        accounts_of(world)
    assert world.users() == ["admin"]


def test_who_is_put_into_guests_is_a_guest(world: DiskWorld) -> None:
    """And with keys a user again; without, a guest stays one, since nothing that is asked is protected."""
    accounts_of(world).add_member("Guests", "bob")
    admin, bob = world.user("admin"), RawClient(world)
    assert bob.log_on("bob") == 0
    letter = admin.make("letter", b"dear bob")
    accounts_of(world).add_member("Guests", "admin")
    accounts_of(world).remove_member("Guests", "bob")
    world.advance(ACCOUNTS_EVERY)
    assert [(each.user_name, each.guest) for each in world.service.sessions()] == [("admin", True), ("bob", True)]
    assert codes.ntstatus_name(admin.get(letter).status) == "STATUS_NETWORK_NAME_DELETED"
    assert refused(lambda: admin.tree_connect(r"\\server\share")) == "STATUS_ACCESS_DENIED"
    admin.bind()
    call = NetrSessionEnum(None, None, None, 502)
    assert admin.call(call).status == codes.ERROR_ACCESS_DENIED
    accounts_of(world).remove_member("Guests", "admin")
    world.advance(ACCOUNTS_EVERY)
    assert admin.call(call).status == codes.ERROR_SUCCESS


def test_a_password_that_is_changed_ends_nothing(world: DiskWorld) -> None:
    ann = world.user("ann")
    accounts_of(world).set_password("ann", "An0ther-secret")
    world.advance(ACCOUNTS_EVERY)
    assert ann.status("letter", disposition=FILE_CREATE) == "STATUS_SUCCESS"


def test_accounts_that_cannot_be_read_take_nothing_away(world: DiskWorld) -> None:
    ann = world.user("ann")
    world.fail_effects = codes.STATUS_INTERNAL_ERROR
    world.advance(5 * ACCOUNTS_EVERY)
    world.fail_effects = 0
    assert ann.status("letter", disposition=FILE_CREATE) == "STATUS_SUCCESS"


@pytest.mark.parametrize("by_writing", [False, True])
def test_groups_are_looked_up_for_each_call(world: DiskWorld, by_writing: bool) -> None:
    admin, ann = world.connect().log_on("admin").bind(), world.connect().log_on("ann").bind()
    call = NetrSessionEnum(None, None, None, 502)
    for _ in range(2):
        assert admin.call(call, by_writing=by_writing).status == codes.ERROR_SUCCESS
        assert ann.call(call, by_writing=by_writing).status == codes.ERROR_ACCESS_DENIED
        accounts_of(world).remove_member("Administrators", "admin")
        accounts_of(world).add_member("Administrators", "ann")
        assert admin.call(call, by_writing=by_writing).status == codes.ERROR_ACCESS_DENIED
        assert ann.call(call, by_writing=by_writing).status == codes.ERROR_SUCCESS
        accounts_of(world).remove_member("Administrators", "ann")
        accounts_of(world).add_member("Administrators", "admin")
    assert not admin.pendings  # nobody is told to wait for so short a moment


def test_an_account_that_goes_between_two_calls(world: DiskWorld) -> None:
    admin = world.connect().log_on("admin").bind()
    call = NetrSessionEnum(None, None, None, 502)
    assert admin.call(call).status == codes.ERROR_SUCCESS
    accounts_of(world).delete("admin")
    assert refused(lambda: admin.call(call)) == "STATUS_CANCELLED"
    assert world.users() == []


def test_one_look_serves_all_who_wait_for_the_next(world: DiskWorld) -> None:
    """A look that began before a call was made does not count for it."""
    admins = [world.connect().log_on("admin").bind() for _ in range(5)]
    call = NetrSessionEnum(None, None, None, 502)
    world.hold_effects = True
    for each in admins:
        each.send(WriteRequest(each.rpc.call(call)[0], file_id=each.file_id))
    ((ticket, _),) = world.dispatch.scheduler.effects()
    before = world.accounts
    accounts_of(world).remove_member("Administrators", "admin")
    world.dispatch.scheduler.completed(ticket, before, world.now)
    world.pump()
    ((ticket, _),) = world.dispatch.scheduler.effects()
    world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    assert world.dispatch.scheduler.effects() == []
    world.hold_effects = False
    statuses = []
    for each in admins:
        (event,) = each.rpc.receive_data(bytes(each.read().message.data))  # type: ignore[attr-defined]
        statuses.append(call.answer(event.stub, event.ndr64).status)  # type: ignore[union-attr]
    assert statuses == [codes.ERROR_SUCCESS] + [codes.ERROR_ACCESS_DENIED] * 4


def test_a_question_asked_while_a_call_is_unanswered(world: DiskWorld) -> None:
    """MS-FSCC 2.3.48: a transaction gets its own answer and no other's."""
    admin = world.connect().log_on("admin").bind()
    world.hold_effects = True
    pdu = admin.rpc.call(NetrSessionEnum(None, None, None, 502))[0]
    admin.write(pdu)
    assert refused(lambda: admin.transceive(pdu)) == "STATUS_PIPE_BUSY"
    world.hold_effects = False


def test_a_pipe_whose_tree_connect_ends_while_it_is_opened(world: DiskWorld) -> None:
    ann = world.connect().log_on("ann")
    ann.tree_connect()
    world.hold_effects = True
    number = ann.send(CreateRequest(desired_access=0x0012019F, share_access=3, name="srvsvc"))
    ann.send(TreeDisconnectRequest())
    world.hold_effects = False
    world.pump()
    assert codes.ntstatus_name(ann.answers[number].status) == "STATUS_NETWORK_NAME_DELETED"
    assert not ann.finished


def test_an_account_that_goes_while_its_session_is_nobodys(world: DiskWorld) -> None:
    """Who renews a session anonymously keeps what is open, and is still the one who opened it."""
    ann = world.user("ann")
    letter = ann.make("letter", b"dear bob")
    ann.log_on("", again=True)
    assert codes.ntstatus_name(ann.get(letter).status) == "STATUS_SUCCESS"
    accounts_of(world).delete("ann")
    world.advance(ACCOUNTS_EVERY)
    assert world.users() == []
    assert codes.ntstatus_name(ann.get(letter).status) == "STATUS_USER_SESSION_DELETED"


def test_a_group_that_may_use_a_share(world: DiskWorld) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    accounts_of(world).add_group("Staff")
    accounts_of(world).add_member("Staff", "ann")
    share.readers = frozenset({"Staff"})
    ann = world.user("ann")
    letter = ann.make("letter", b"dear bob")
    accounts_of(world).remove_member("Staff", "ann")
    world.advance(ACCOUNTS_EVERY)
    assert codes.ntstatus_name(ann.get(letter).status) == "STATUS_NETWORK_NAME_DELETED"


def test_an_account_that_goes_while_a_pipe_is_opened(world: DiskWorld) -> None:
    ann = world.connect().log_on("ann")
    ann.tree_connect()
    accounts_of(world).delete("ann")
    assert refused(lambda: ann.open_pipe()) in ("STATUS_USER_SESSION_DELETED", "STATUS_CANCELLED")
    assert world.users() == []


def test_an_account_that_goes_while_its_session_is_renewed(world: DiskWorld) -> None:
    ann = world.connect().log_on("ann")
    accounts_of(world).delete("ann")
    with pytest.raises(StatusError):
        ann.log_on("ann", again=True)
    assert world.users() == []


class Tickets:
    """A mechanism that takes as long as it likes to judge by accounts of before."""

    oids = (KERBEROS_OID,)
    security = None
    accounts = Accounts()

    def step(self, token: bytes, now: float) -> Step:
        account = self.accounts.users["admin"]
        return Step(b"answer", Accepted("admin", "EXAMPLE.COM", groups=account.groups, session_key=bytes(16)))


@pytest.mark.parametrize("how", ["deleted", "disabled", "taken out"])
def test_an_account_that_changes_while_its_ticket_is_judged(how: str) -> None:
    world = World()
    world.dispatch._mechanisms = lambda: [Tickets()]
    client = RawClient(world)
    token = pack_init(NegTokenInit([KERBEROS_OID], b"ticket"))
    client.send(client.pdu(SessionSetupRequest(0, 1, 0, 0, token, 0)), pump=False)
    ((ticket, effect),) = world.dispatch.scheduler.effects()
    world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    ((ticket, effect),) = world.dispatch.scheduler.effects()
    assert isinstance(effect, StepLogon)
    step = effect.acceptor.step(effect.token, effect.wall)
    if how == "deleted":
        accounts_of(world).delete("admin")
    elif how == "disabled":
        accounts_of(world).change("admin", disabled=True)
    else:
        accounts_of(world).remove_member("Administrators", "admin")
    world.dispatch._mechanisms = tuple
    world.connect().log_on("bob")  # by which the Server hears of it
    world.dispatch.scheduler.completed(ticket, step, world.now)
    world.pump()
    ((header, _),) = client.answers
    if how == "taken out":
        assert "Administrators" not in world.service.sessions()[1].groups
    else:
        assert header.status == codes.STATUS_USER_SESSION_DELETED
        assert world.users() == ["bob"]


def test_only_new_sessions_are_compared_while_the_file_does_not_change(world: DiskWorld) -> None:
    compared = []
    find = world.accounts.find
    world.user("ann")

    class Counting:
        def find(self, name: str) -> object:
            compared.append(name)
            return find(name)

        def is_guest(self, account: object) -> bool:
            return False

    accounts = Counting()
    for _ in range(3):
        world.dispatch.scheduler.start(world.dispatch.watch.use_accounts(accounts))  # type: ignore[arg-type]
    assert compared == ["ann"]


def test_a_share_of_its_own_is_not_marked(world: DiskWorld) -> None:
    marked = Share("other", problem="")
    world.service.mark_share(marked, "")
    assert not [event for event in world.events if isinstance(event, ShareAvailability)]


# --- many sessions, which are compared in pieces


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> World:
    """A session of an administrator, then ten, of ann and of bob in turn; three are compared in one turn."""
    monkeypatch.setattr(watch, "AT_ONCE", 3)
    world = World()
    for name in ("admin", *("ann", "bob") * 5):
        world.connect().log_on(name)
    return world


REST = ["admin", *["bob"] * 5]


def test_a_change_of_accounts_is_compared_with_few_sessions_in_a_turn(many: World) -> None:
    accounts_of(many).delete("ann")
    known = many.dispatch.watch.look_up()
    ((ticket, effect),) = many.dispatch.scheduler.effects()
    many.perform(ticket, effect)
    left = [11, len(many.users())]
    while not known.woken:
        many.dispatch.expire(many.now)
        left.append(len(many.users()))
    assert many.users() == REST  # it is known when it is in force
    assert max(before - after for before, after in pairwise(left)) == 2  # every other one is ann


def test_each_session_is_compared_with_one_state_of_the_accounts_after_the_other(many: World) -> None:
    """ann is deleted, and is there again before all her sessions have been looked at: each ends all the same."""
    gone, back = Accounts.parse(many.accounts.dump()), Accounts.parse(many.accounts.dump())
    gone.delete("ann")
    many.accounts = back
    for accounts in (gone, back):
        many.dispatch.scheduler.start(many.dispatch.watch.use_accounts(accounts))
    assert len(many.users()) > 6
    many.pump()
    assert many.users() == REST
    many.connect().log_on("ann")
    assert many.users() == [*REST, "ann"]


def test_a_call_waits_until_the_change_has_reached_its_session(many: World) -> None:
    admin = next(iter(many.clients.values())).bind()
    call = NetrSessionEnum(None, None, None, 502)
    assert admin.call(call).status == codes.ERROR_SUCCESS
    accounts_of(many).remove_member("Administrators", "admin")
    assert admin.call(call).status == codes.ERROR_ACCESS_DENIED
    assert not admin.pendings


def test_it_goes_on_when_whoever_has_asked_is_gone(many: World) -> None:
    accounts_of(many).delete("ann")
    asking = many.dispatch.watch.use_accounts(many.accounts)
    next(asking)
    asking.close()
    assert len(many.users()) > 6
    many.pump()
    assert many.users() == REST
