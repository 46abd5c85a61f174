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
* What is kept for a client whose connection was lost follows its owner's account and its share's lists likewise.
* Where the configuration begins to end sessions of removed accounts, the next look takes those removed before, too.
* Accounts that have changed are compared with all sessions, AT_ONCE in one turn of the event loop. A request of one
  whose turn has not come has it compared first. Whoever comes with
  accounts meanwhile waits for its turn, so that every session is compared with one state after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Final, Protocol

from lanman import codes
from lanman.auth.accounts import Account, Accounts
from lanman.domain import STYPE_IPC, Open, Reason, ServerService, Session, Share, State
from lanman.errors import StatusError
from lanman.server.disk_effects import CheckShare
from lanman.server.effects import ReadAccounts, Wait, Waiter, Work
from lanman.server.judging import Judging
from lanman.server.scheduler import Scheduler
from lanman.server.state import EndTable, ServerSession, ShareBackend
from lanman.settings import Configuration

SHARES_EVERY: Final = 30.0
ACCOUNTS_EVERY: Final = 2.0

# Sessions, and kept opens, that are compared with accounts in one turn of the event loop.
AT_ONCE: Final = 256

# Why a share is refused before its folder has been looked at for the first time.
NOT_LOOKED_AT: Final = "its folder has not been looked at yet"


def nothing() -> None:
    """Ignore the result."""


class WatchedServer(Protocol):
    """What is asked here of the Server."""

    service: ServerService
    scheduler: Scheduler
    judging: Judging

    @property
    def configuration(self) -> Configuration:
        """The settings in force."""

    @property
    def sessions(self) -> Iterable[ServerSession]:
        """Its sessions."""

    @property
    def ends(self) -> EndTable:
        """What is ended in portions."""

    def accounts_at_once(self) -> Accounts | None:
        """The accounts as they are now, where that takes no ReadAccounts."""

    def session_of(self, session: Session) -> ServerSession | None:
        """Its session of a domain's session; None if that has ended."""

    def backend_of(self, share: Share) -> ShareBackend:
        """What stands behind a share."""


class Watch:
    """Of one Server. Until `start`, nothing is looked at by the clock."""

    def __init__(self, server: WatchedServer) -> None:
        self._server = server
        self._looking: dict[Share, list[Callable[[], None]]] = {}  # who waits for the look that is under way
        self._next_look: dict[Share, list[Callable[[], None]]] = {}  # who waits for the one after it
        self._accounts: Accounts | None = None
        self._asking: list[Waiter[None]] = []  # who waits for the next look at the accounts
        self._reading = False  # whether one is under way
        self._coming: deque[tuple[Accounts, Waiter[None]]] = deque()  # what is to be compared, and who waits for that
        self._comparing = False  # whether many sessions are being compared
        self._newest = 0  # the newest session that was compared with these accounts
        self._ended_removed = False  # whether they were compared to end sessions of removed accounts

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
            yield from self.read()

    def read(self) -> Work[Accounts]:
        """The accounts as they are now; what has changed is in force. Raises StatusError if they cannot be read."""
        accounts = self._server.accounts_at_once()
        if accounts is None:
            accounts = yield ReadAccounts()
        yield from self.use_accounts(accounts)
        return accounts

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

    def use_accounts(self, accounts: Accounts) -> Work[None]:
        """These are the accounts as they are now. It has come to its end when what has changed is in force; that goes
        on even if this is closed."""
        service = self._server.service
        many = len(service.sessions()) > AT_ONCE or len(service.durable) > AT_ONCE
        if not self._comparing and not (many and self._is_anew(accounts)):
            yield from self._take(accounts)  # it does not yield
            return
        done: Waiter[None] = Waiter()
        self._coming.append((accounts, done))
        if not self._comparing:
            self._server.scheduler.start(self._take_all())
        yield Wait(done, cancellable=False, deferred=True)

    def _is_anew(self, accounts: Accounts) -> bool:
        """Whether all sessions are to be compared with them."""
        ends_removed = self._server.configuration.end_sessions_of_removed_accounts
        return accounts is not self._accounts or (ends_removed and not self._ended_removed)

    def _take_all(self) -> Work[None]:
        self._comparing = True
        done: Waiter[None] | None = None
        try:
            while self._coming:
                accounts, done = self._coming.popleft()
                yield from self._take(accounts)
                done.wake(None)
        finally:
            self._comparing = False
            coming, self._coming = self._coming, deque()
            for waiter in (*([done] if done is not None else []), *(waiter for _, waiter in coming)):
                waiter.wake(None)

    def _take(self, accounts: Accounts) -> Work[None]:
        """Compare sessions with accounts: all if these have changed, else those that have come since."""
        anew = self._is_anew(accounts)
        before, self._accounts = self._accounts, accounts
        self._ended_removed = self._server.configuration.end_sessions_of_removed_accounts
        compared = 0 if anew else self._newest
        changed: list[Session] = []
        for number, session in enumerate(reversed(self._server.service.sessions())):
            if session.global_id <= compared:
                break
            if number and number % AT_ONCE == 0:
                self.reassess(changed)
                changed = []
                left = range(compared + 1, session.global_id + 1)
                self._server.judging.comparing(partial(self._compare_first, left, accounts, before))
                try:
                    yield None
                finally:
                    self._server.judging.comparing(None)
            self._newest = max(self._newest, session.global_id)
            if self._compare(session, accounts, before):
                changed.append(session)
        if changed:
            self.reassess(changed)
        if anew:
            yield from self._compare_preserved(accounts)

    def _compare_first(self, left: range, accounts: Accounts, before: Accounts | None, session: Session) -> None:
        """One that asks for something is compared before its turn; `left` are the ids of those whose turn comes."""
        if session.global_id in left and self._compare(session, accounts, before):
            self.reassess([session])

    def _compare_preserved(self, accounts: Accounts) -> Work[None]:
        """Close what is kept for users who are deleted or disabled, or may not have it open any more."""
        yield from self._server.ends.passed()  # which may leave more of it
        configuration = self._server.configuration
        for number, opened in enumerate(self._server.service.durable.preserved):
            if number and number % AT_ONCE == 0:
                yield None
            if not opened.preserved:
                continue  # somebody has reclaimed it meanwhile
            user_name, domain = opened.owner
            account = accounts.find(user_name)
            if (account is None and domain == configuration.name) or (account is not None and account.disabled):
                if configuration.end_sessions_of_removed_accounts:
                    self._server.service.close_open(opened, Reason.ACCOUNT)
            elif self._is_beyond(opened, account):
                self._server.service.close_open(opened, Reason.RIGHTS)

    def _is_beyond(self, opened: Open, account: Account | None) -> bool:
        """Whether a preserved open was granted more than its owner would be now, who has that account."""
        owner = copy(opened.session)
        if account is not None:
            owner.groups = account.groups
        return bool(opened.granted_access & ~self._server.backend_of(opened.tree_connect.share).access_for(owner))

    def follow(self, session: Session, accounts: Accounts | None) -> None:
        """A session whose log-on was judged by these accounts has begun, or has been renewed; they may have changed
        while it was judged."""
        newer = self._accounts if accounts is not None else None
        if newer is not None and newer is not accounts and self._compare(session, newer, accounts):
            self.reassess([session])

    def _compare(self, session: Session, accounts: Accounts, before: Accounts | None) -> bool:
        """Have a session follow its account. Whether it may do something else now."""
        found = self._server.session_of(session)
        first_user = found.first_user if found is not None else None
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
        """End what these sessions may not go on with as things are now; or all, and what is kept for lost ones. From
        now on nobody is served by what was in force before (`judging`)."""
        if sessions is None:
            self._server.judging.again(self._server.sessions, self._judge_preserved)
        else:
            found = map(self._server.session_of, sessions)
            self._server.judging.again(each for each in found if each is not None)

    def _judge_preserved(self) -> Work[None]:
        if self._accounts is not None:
            yield from self._compare_preserved(self._accounts)


def _was_there(accounts: Accounts | None, user_name: str) -> bool:
    account: Account | None = accounts.find(user_name) if accounts is not None else None
    return account is not None and not account.disabled
