"""Rights that have changed while sessions have trees and opens: a reload of the settings, an account, a share.

The rules:

* Whoever changes them says whose rights are to be looked at (`again`), of some sessions or of all. That is done in
  portions, between which the event loop does something else; the first is done at once. What is more than they allow
  now is ended.
* A request does not wait for that, and is not served by what was in force before: until a session's turn has come, each
  of its requests has the tree connect and the opens that it names judged first (`may_use`, `may_have`), which takes the
  same however many others there are. One that has waited, for the disk or for others, has its open judged again before
  it goes on. So has what a CREATE under way is about to open or to reclaim (`access`).
* While accounts that have changed are compared with very many sessions, whoever comes before their turn is compared
  first (`comparing`).
* A session is looked at once more from its beginning if rights change again while it is its turn.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from lanman.domain import Reason, ServerService, Session, State
from lanman.server.effects import Work
from lanman.server.scheduler import Scheduler
from lanman.server.state import ServerOpen, ServerSession, ServerTree
from lanman.settings import Configuration
from lanman.smb2.constants import SMB2_SHARE_TYPE_PIPE

# How much is done in one turn of the event loop; a unit is some 60 bytecode steps.
AT_ONCE: Final = 1024

# What it costs to look at a session, a tree connect and an open, and to end one of these.
_SESSION: Final = 2
_TREE: Final = 2
_OPEN: Final = 1
_ENDED: Final = 24


class JudgedServer(Protocol):
    """What is asked here of the Server."""

    service: ServerService
    scheduler: Scheduler

    @property
    def configuration(self) -> Configuration:
        """The settings in force."""

    def is_null_share(self, name: str) -> bool:
        """Whether a null session may connect to that share."""


class Judging:
    """Of one Server. `waiting` are the sessions whose rights have still to be looked at; `alert`: there are some, or
    accounts are being compared."""

    __slots__ = ("_at_work", "_changes", "_comparing", "_server", "_then", "alert", "waiting")

    def __init__(self, server: JudgedServer) -> None:
        self._server = server
        self.waiting: OrderedDict[ServerSession, None] = OrderedDict()
        self._changes = 0  # how often rights have changed
        self._at_work = False
        self._then: list[Callable[[], Work[None]]] = []
        self._comparing: Callable[[Session], None] | None = None
        self.alert = False

    def again(self, sessions: Iterable[ServerSession], then: Callable[[], Work[None]] | None = None) -> None:
        """The rights of these sessions have changed. `then` comes when all have been looked at."""
        self._changes += 1
        self.waiting.update(dict.fromkeys(sessions))
        self.alert = bool(self.waiting) or self._comparing is not None
        if then is not None and then not in self._then:
            self._then.append(then)
        if not self._at_work:
            self._server.scheduler.start(self._look())

    def _look(self) -> Work[None]:
        self._at_work = True
        spent = 0
        try:
            while self.waiting or self._then:
                while self.waiting:
                    session, changes = next(iter(self.waiting)), self._changes
                    for cost in self._look_at(session):
                        spent += cost
                        if spent >= AT_ONCE:
                            spent = 0
                            yield None
                    if changes == self._changes:
                        self.waiting.pop(session, None)
                if self._then:
                    yield from self._then.pop()()
        finally:
            self._at_work = False
            self.comparing(self._comparing)

    def _look_at(self, server_session: ServerSession) -> Iterator[int]:
        """End what a session may not go on with; what each step of that has cost."""
        service, session = self._server.service, server_session.session
        yield _SESSION
        if session.state is State.CLOSED:
            return
        stranger = self._is_stranger(server_session)
        trees = list(server_session.trees.values())
        for tree in trees:
            tree.maximal_access = 0 if stranger else self.allowed(session, tree)
            yield _TREE
        for server_open in list(server_session.opens.values()):
            yield _OPEN if self._may_go_on(server_session, server_open) else _ENDED
        for tree in trees:
            if not (tree.maximal_access or stranger):
                service.close_tree_connect(tree.tree_connect, Reason.RIGHTS)
                yield _ENDED
        if stranger:
            service.close_session(session, Reason.RIGHTS)
            yield _ENDED

    def _is_stranger(self, session: ServerSession) -> bool:
        """Whether it is that of a guest without an account, who may not be here any more."""
        return session.stranger and not self._server.configuration.guest

    def comparing(self, compare: Callable[[Session], None] | None) -> None:
        """From now on `compare` is called with the session of whoever asks for something; None: no more."""
        self._comparing = compare
        self.alert = bool(self.waiting) or compare is not None

    # --- what requests ask ---

    def may_use(self, session: ServerSession, tree: ServerTree | None) -> bool:
        """Whether a session may have a request done now, on that tree connect if it names one. What it may do there is
        as things are now."""
        if self._comparing is not None:
            self._comparing(session.session)
            if session.has_ended or (tree is not None and not tree.tree_connect.is_connected):
                return session.closing
        if session not in self.waiting:
            return True
        if self._is_stranger(session):
            return False
        if tree is None:
            return True
        return bool(self.access(session, tree))

    def access(self, session: ServerSession, tree: ServerTree) -> int:
        """The most that a session may do on a tree connect of its own now."""
        if self._comparing is not None:
            self._comparing(session.session)
        if session in self.waiting:
            tree.maximal_access = 0 if self._is_stranger(session) else self.allowed(session.session, tree)
        return tree.maximal_access

    def may_have(self, session: ServerSession, server_open: ServerOpen) -> bool:
        """Whether a session may go on with an open that a request is about. If not, it is closed; one that has ended
        already is nobody's to take."""
        if self._comparing is not None and session.opens.get(server_open.volatile_id) is server_open:
            self._comparing(session.session)
            if session.opens.get(server_open.volatile_id) is not server_open:
                return False
        if session not in self.waiting or session.opens.get(server_open.volatile_id) is not server_open:
            return True
        self.access(session, server_open.tree)
        return self._may_go_on(session, server_open)

    def _may_go_on(self, session: ServerSession, server_open: ServerOpen) -> bool:
        """Whether an open is no more than what its tree connect allows now. If not, it is closed."""
        tree, opened = server_open.tree, server_open.open
        if tree is None or opened.session is not session.session:
            return True
        if not tree.maximal_access or self._exceeds(session.session, opened.path, opened.granted_access, tree):
            self._server.service.close_open(opened, Reason.RIGHTS)
            return False
        return True

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
