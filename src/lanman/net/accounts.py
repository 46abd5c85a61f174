"""The account file on disk: several writers, many readers, nothing lost (`lanman.net.atomic`).

A file that other users can read is accepted, with a warning in the log of `lanman.accounts`, and gets mode 0600 back
with the next change. Refusing it would lock out every user after one copy with the wrong mode, and the hashes are
disclosed by then anyway. A file of a newer version is refused (`lanman.versions`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lanman.auth.accounts import Accounts, AccountsError
from lanman.errors import LanmanError
from lanman.net.atomic import AtomicFile, Content, Identity
from lanman.plain import dataclass

T = TypeVar("T")

_log = logging.getLogger("lanman.accounts")

# File times tick every few milliseconds (every 2 s on FAT): a file younger than this when it was read may have been
# replaced since by one with the same size and times, even the same inode. So it is read again until it has aged.
_SETTLED_AFTER: Final = 2.5


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of the file last, and a digest of it; `settled` if it had aged by then."""

    accounts: Accounts
    identity: Identity | None
    digest: bytes
    settled: bool


class AccountFile:
    """The accounts of one Server. `read` is cheap while the file does not change; `update` changes it.

    A file that does not exist is no error: there are no users yet. Instances may be used by several threads and
    processes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = AtomicFile(path, "accounts")
        self._last = _Read(Accounts(), None, b"", settled=False)
        self._warned_of: Identity | None = None

    def read(self) -> Accounts:
        """The accounts as they are now. What is returned is shared with later calls: do not change it. It is the same
        object as long as the file says the same, however often it has been written.

        Raises AccountsError for a file that cannot be understood, AccessDenied or LanmanError for one that cannot be
        read.
        """
        last = self._last
        if last.settled and self._file.identity() == last.identity:
            return last.accounts
        content = self._file.read()
        identity = content.identity if content is not None else ()
        settled = content is not None and time.time_ns() - content.identity[0] > _SETTLED_AFTER * 1e9
        digest = hashlib.sha256(content.data).digest() if content is not None else b""
        if last.identity is not None and digest == last.digest:
            # Whoever is given another object compares all sessions with it.
            accounts = last.accounts
            if content is not None:
                self._warn(content)
        else:
            accounts = self._parsed(content)
        self._last = _Read(accounts, identity, digest, settled)
        return accounts

    def unchanged(self) -> Accounts | None:
        """What `read` would give, if one stat(2) shows that the file is what was read last; None: call `read`.

        It reads nothing, so an event loop may call it where the file system answers without a network.
        """
        last = self._last
        try:
            return last.accounts if last.settled and self._file.identity() == last.identity else None
        except LanmanError:
            return None  # `read` will say what it is

    def update(self, change: Callable[[Accounts], T]) -> T:
        """Let `change` alter the accounts as they are now, and keep what it made of them; gives what it returned.

        When `change` raises, nothing is altered. Raises AccountsError for a file that cannot be understood,
        AccessDenied or LanmanError when it cannot be written or another writer does not come to an end.
        """
        results: list[T] = []

        def changed(content: Content | None) -> bytes:
            accounts = self._parsed(content)
            before = accounts.dump()
            results.append(change(accounts))
            after = accounts.dump()
            # What is written by hand stays as it is until there is something to write.
            return content.data if content is not None and after == before else after

        self._file.update(changed)
        return results[0]

    def _parsed(self, content: Content | None) -> Accounts:
        """A model of its own of what was read."""
        if content is None:
            return Accounts()
        self._warn(content)
        try:
            return Accounts.parse(content.data)
        except AccountsError as error:
            raise AccountsError(f"{self.path}: {error.message}", hint=error.hint) from error

    def _warn(self, content: Content) -> None:
        if os.name == "posix" and content.mode & 0o077 and content.identity != self._warned_of:
            self._warned_of = content.identity
            _log.warning(
                "%s can be read by others (mode %03o), and who reads it can log on as anybody: chmod 600 it, "
                "and change the passwords",
                self.path,
                stat.S_IMODE(content.mode),
            )
