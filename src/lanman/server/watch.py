"""What may change between requests: folders that vanish and return, accounts that are deleted, rights that are taken.

The rules:

* A share whose folder cannot be used is there all the same, and refused with BAD_NETWORK_NAME. Its folder is looked at
  when somebody connects, and every SHARES_EVERY seconds; so it comes back by itself. Each look waits for its own disk
  alone, and a second one does not begin while the first is under way: a request made meanwhile gets what the next one
  sees, since this one may have seen the folder already as it was before.
* The accounts are looked at every ACCOUNTS_EVERY seconds, and whenever somebody logs on, opens a pipe or makes a call
  on it. What a user may do follows the groups of that moment; a user who is deleted or disabled has no sessions any
  more, unless the configuration lets them go on.
* Whatever takes rights away reaches what is connected and open: a tree connect that its session may not make any more
  is ended, and an open that has been granted more than it would be now is closed.
* What is kept for a client whose connection was lost follows its owner's account likewise. What its owner may do on a
  share is judged when it is reclaimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol

from lanman import codes
from lanman.auth.accounts import Account, Accounts
from lanman.domain import STYPE_IPC, Reason, ServerService, Session, Share, State
from lanman.errors import StatusError
from lanman.server.disk_effects import CheckShare
from lanman.server.effects import ReadAccounts, Waiter, Work
from lanman.server.scheduler import Scheduler
from lanman.server.state import ServerSession, ServerTree
from lanman.settings import Configuration
from lanman.smb2.constants import SMB2_SHARE_TYPE_PIPE

SHARES_EVERY: Final = 30.0
ACCOUNTS_EVERY: Final = 2.0

# Why a share is refused before its folder has been looked at for the first time.
NOT_LOOKED_AT: Final = "its folder has not been looked at yet"


def nothing() -> None:
    """Ignore the result."""


class WatchedServer(Protocol):
    """What is asked here of the Server."""

    service: ServerService
    scheduler: Scheduler

    @property
    def configuration(self) -> Configuration:
        """The settings in force."""

    @property
    def sessions(self) -> Iterable[ServerSession]:
        """Its sessions."""

    def first_user_of(self, session: Session) -> tuple[str, str] | None:
        """The name and domain of the user whose log-on a session's keys come from; None: it has none."""

    def is_null_share(self, name: str) -> bool:
        """Whether a null session may connect to that share."""


class Watch:
    """Of one Server. Until `start`, nothing is looked at by the clock."""

    def __init__(self, server: WatchedServer) -> None:
        self._server = server
        self._looking: dict[Share, list[Callable[[], None]]] = {}  # who waits for the look that is under way
        self._next_look: dict[Share, list[Callable[[], None]]] = {}  # who waits for the one after it
        self._accounts: Accounts | None = None
        self._asking: list[Waiter[None]] = []  # who waits for the next look at the accounts
        self._reading = False  # whether one is under way
        self._newest = 0  # the newest session that was compared with these accounts

    def start(self, now: float) -> None:
        """Look at shares and accounts from time to time, from now on."""
        self._server.scheduler.timers.at(now + SHARES_EVERY, self._shares_due)
        self._server.scheduler.timers.at(now + ACCOUNTS_EVERY, self._accounts_due)

    # --- shares ---

    def _shares_due(self, now: float) -> None:
        self._server.scheduler.timers.at(now + SHARES_EVERY, self._shares_due)
        self.look_at_shares(self._server.service.shares())

    def look_at_shares(self, shares: Iterable[Share], then: Callable[[], None] = nothing) -> None:
        """Look at the folders of these shares; `then` is called when all have been."""
        waiting = 1

        def one_less() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                then()

        for share in shares:
            if share.type & 0xFFFF != STYPE_IPC:
                waiting += 1
                self._look(share, one_less)
        one_less()

    def _look(self, share: Share, then: Callable[[], None]) -> None:
        if share in self._looking:
            self._next_look.setdefault(share, []).append(then)
        else:
            self._begin_look(share, [then])

    def _begin_look(self, share: Share, waiting: list[Callable[[], None]]) -> None:
        self._looking[share] = waiting
        self._server.scheduler.start(self._look_once(share))

    def check_of(self, share: Share) -> CheckShare:
        """The look at a share's folder."""
        return CheckShare(share.path, self._server.configuration.share_roots if share.confined else None)

    def _look_once(self, share: Share) -> Work[None]:
        """Look at a folder, and say so to those who have asked for this look."""
        try:
            problem = yield self.check_of(share)
        except StatusError as error:
            problem = f"it cannot be looked at ({codes.ntstatus_name(error.status)})"
        waiting = self._looking.pop(share, [])
        self.mark(share, problem)
        if share in self._next_look:
            self._begin_look(share, self._next_look.pop(share))
        for then in waiting:
            then()

    def mark(self, share: Share, problem: str) -> None:
        """What came of a look at a share's folder: why it cannot be used, "" if it can."""
        self._server.service.mark_share(share, problem)

    # --- accounts ---

    def _accounts_due(self, now: float) -> None:
        self._server.scheduler.timers.at(now + ACCOUNTS_EVERY, self._accounts_due)
        if self._server.service.sessions() or self._server.service.durable.any_preserved:
            self._server.scheduler.start(self._read_accounts())

    def _read_accounts(self) -> Work[None]:
        """Look at the accounts. A file that cannot be read or understood takes nothing away: the log says so, and
        nobody new gets in."""
        with suppress(StatusError):
            self.use_accounts((yield ReadAccounts()))

    def look_up(self) -> Waiter[None]:
        """Look at the accounts as they are from now on; what is returned is woken when that which has changed is in
        force. However many ask, one look is under way at a time, and the next is for all who have asked meanwhile."""
        known: Waiter[None] = Waiter()
        self._asking.append(known)
        if not self._reading:
            self._server.scheduler.start(self._look_for_all())
        return known

    def _look_for_all(self) -> Work[None]:
        self._reading = True
        try:
            while self._asking:
                asking, self._asking = self._asking, []
                yield from self._read_accounts()
                for known in asking:
                    known.wake(None)
        finally:
            self._reading = False

    def use_accounts(self, accounts: Accounts) -> None:
        """These are the accounts as they are now."""
        before, self._accounts = self._accounts, accounts
        compared = self._newest if before is accounts else 0
        changed = []
        for session in reversed(self._server.service.sessions()):
            if session.global_id <= compared:
                break
            self._newest = max(self._newest, session.global_id)
            if self._compare(session, accounts, before):
                changed.append(session)
        if changed:
            self.reassess(changed)
        if before is not accounts:
            self._compare_preserved(accounts)

    def _compare_preserved(self, accounts: Accounts) -> None:
        """Close what is kept for users who are deleted or disabled."""
        configuration = self._server.configuration
        if not configuration.end_sessions_of_removed_accounts:
            return
        for opened in self._server.service.durable.preserved:
            user_name, domain = opened.owner
            account = accounts.find(user_name)
            if (account is None and domain == configuration.name) or (account is not None and account.disabled):
                self._server.service.close_open(opened, Reason.ACCOUNT)

    def follow(self, session: Session, accounts: Accounts | None) -> None:
        """A session whose log-on was judged by these accounts has begun, or has been renewed; they may have changed
        while it was judged."""
        newer = self._accounts if accounts is not None else None
        if newer is not None and newer is not accounts and self._compare(session, newer, accounts):
            self.reassess([session])

    def _compare(self, session: Session, accounts: Accounts, before: Accounts | None) -> bool:
        """Have a session follow its account. Whether it may do something else now."""
        first_user = self._server.first_user_of(session)
        user_name, domain = session.user_name, session.domain
        if session.anonymous:
            # A user's session that was renewed anonymously keeps what the user has open.
            user_name, domain = first_user or ("", "")
        if not user_name or session.state is State.CLOSED:
            return False
        account = accounts.find(user_name)
        # A user of a Kerberos realm, or a stranger who is a guest, may never have had an account here.
        own = not session.guest and domain == self._server.configuration.name
        had_one = own or _was_there(before, user_name)
        if account is None or account.disabled:
            if had_one and self._server.configuration.end_sessions_of_removed_accounts:
                self._server.service.close_session(session, Reason.ACCOUNT)
                return False
            if account is None and not had_one:
                return False
        if session.anonymous:
            return False
        groups = account.groups if account is not None else frozenset()
        # Without keys a session stays what it is, or requests as a user would be unprotected.
        has_keys = first_user is not None and account is not None
        guest = accounts.is_guest(account) if has_keys and account is not None else session.guest
        return self._server.service.change_rights(session, groups, guest=guest)

    # --- rights ---

    def reassess(self, sessions: Iterable[Session] | None = None) -> None:
        """End what these sessions, or all, may not go on with as things are now."""
        wanted = None if sessions is None else set(sessions)
        for server_session in self._server.sessions:
            session = server_session.session
            if session.state is not State.CLOSED and (wanted is None or session in wanted):
                self._reassess(server_session)

    def _reassess(self, server_session: ServerSession) -> None:
        service, session = self._server.service, server_session.session
        if server_session.stranger and not self._server.configuration.guest:
            service.close_session(session, Reason.RIGHTS)
            return
        for tree in list(server_session.trees.values()):
            allowed = self.allowed(session, tree)
            if not allowed:
                service.close_tree_connect(tree.tree_connect, Reason.RIGHTS)
                continue
            tree.maximal_access = allowed
            for server_open in list(server_session.opens.values()):
                opened = server_open.open
                if opened.tree_connect is tree.tree_connect and self._exceeds(
                    session, opened.path, opened.granted_access, tree
                ):
                    service.close_open(opened, Reason.RIGHTS)

    def allowed(self, session: Session, tree: ServerTree) -> int:
        """The most that a session may do on a tree connect as things are now; 0: it may not make it any more."""
        name = tree.tree_connect.share.name
        pipes = tree.backend.share_type == SMB2_SHARE_TYPE_PIPE
        if session.anonymous and not pipes and not self._server.is_null_share(name):
            return 0
        return tree.backend.access_for(session)

    def _exceeds(self, session: Session, path: str, granted: int, tree: ServerTree) -> bool:
        if tree.backend.share_type == SMB2_SHARE_TYPE_PIPE:
            pipe = path.rpartition("\\")[2].lower()
            return session.anonymous and not self._server.configuration.null_sessions.has_pipe(pipe)
        return bool(granted & ~tree.maximal_access)


def _was_there(accounts: Accounts | None, user_name: str) -> bool:
    account: Account | None = accounts.find(user_name) if accounts is not None else None
    return account is not None and not account.disabled
