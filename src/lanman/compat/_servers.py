"""How kinds of servers differ where a stand-in has to give the original's answer.

`ServerKind` is one that does what MS-SRVS says. What is not so of a kind of server is overridden by a class for it, as
in `lanman.manage`: there is Samba's. docs/compat.md lists what its users see.
"""

from __future__ import annotations

from typing import Any, Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.selection import canonical_client, select_sessions
from lanman.manage.sync import BlockingManager
from lanman.names import fold
from lanman.records import ServerInfo
from lanman.rpc import srvsvc as rpc

_32_BITS: Final = 0xFFFFFFFF


class ServerKind:
    """A server that answers as MS-SRVS says."""

    tells_connections = True
    """Whether NetrConnectionEnum answers with connections."""

    def __init__(self, manager: BlockingManager) -> None:
        self.manager = manager
        self.unc = "\\\\" + manager.server

    def session_level(self, level: int, user: str | None) -> int:
        """The level at which sessions are asked for, so that `filter_sessions` can do its work."""
        return level

    def filter_sessions(
        self, answer: rpc.NetrSessionEnumResponse, client: str | None, user: str | None, level: int
    ) -> None:
        """Apply filters that the server has not applied, and answer at `level`."""

    def end_sessions(self, client: str | None, user: str | None, with_others: bool) -> int:
        """Status of NetrSessionDel (MS-SRVS 3.1.4.6); `with_others` consents to bystanders being ended too."""
        return self.manager.call(rpc.NetrSessionDel(self.unc, client, user), again=False).status

    def file_user(self, user: str | None) -> str | None:
        """The user whose files are asked for, so that `filter_files` can do its work."""
        return user

    def filter_files(self, answer: rpc.NetrFileEnumResponse, base_path: str | None, user: str | None) -> None:
        """Apply filters that the server has not applied."""

    def file_info(self, request: rpc.NetrFileGetInfo) -> rpc.NetrFileGetInfoResponse:
        """The answer to NetrFileGetInfo (MS-SRVS 3.1.4.3)."""
        return self.manager.call(request)

    def close_file(self, file_id: int) -> int:
        """Status of NetrFileClose (MS-SRVS 3.1.4.4)."""
        return self.manager.call(rpc.NetrFileClose(self.unc, file_id), again=False).status

    def share_status(self, status: int) -> int:
        """What the status of NetrShareGetInfo means."""
        return status

    def has_ignored(self, level: int, wanted: ServerInfo) -> bool:
        """Whether the server said that it changed its configuration and did not."""
        return False


class SambaKind(ServerKind):
    """smbd: it ignores filters, ends whole connections, and lacks calls (seen on 4.17)."""

    # It answers one constant entry.
    tells_connections = False

    def session_level(self, level: int, user: str | None) -> int:
        """Level 1 for 0, which names no users to filter by."""
        return 1 if user and level == 0 else level

    def filter_sessions(
        self, answer: rpc.NetrSessionEnumResponse, client: str | None, user: str | None, level: int
    ) -> None:
        """Apply the filters, which smbd ignores, with the errors of a server that knows them."""
        clients = None if client is None else frozenset({canonical_client(client)})
        of_client = select_sessions(answer.entries or [], clients, None)
        found = select_sessions(of_client, None, user, patterns=False)
        answer.entries, answer.total_entries, answer.level = found, len(found), level
        if not found:
            # As Windows distinguishes them: no session of that client, or none of that user.
            answer.status = codes.NERR_ClientNameNotFound if not of_client else codes.NERR_UserNotFound

    def end_sessions(self, client: str | None, user: str | None, with_others: bool) -> int:
        """By the manager: smbd ends whole processes, answers 5 where nothing matches, and may not get to answer."""
        answer = self.manager.call(rpc.NetrSessionEnum(self.unc, None, None, 1))
        if answer.status:
            return answer.status
        clients = None if client is None else frozenset({canonical_client(client)})
        found = select_sessions(answer.entries or [], clients, user, patterns=False)
        if not found:
            return codes.NERR_ClientNameNotFound
        results = self.manager.close_sessions(found, with_others=with_others)
        errors = [result.error for result in results if result.error is not None]
        return errors[0].code if errors else 0

    def file_user(self, user: str | None) -> str | None:
        """None for a client's name, which smbd would take for a user that does not exist."""
        return None if user and user.startswith("\\\\") else user

    def filter_files(self, answer: rpc.NetrFileEnumResponse, base_path: str | None, user: str | None) -> None:
        """Apply the base path, which smbd ignores, and the client in place of a user, which it does not know."""
        if base_path and answer.entries:
            answer.entries = [entry for entry in answer.entries if _is_below(entry.path or "", base_path)]
            answer.total_entries = len(answer.entries)
        if user and user.startswith("\\\\") and answer.entries:
            # The manager knows whose files are meant, or that it cannot be told (50).
            theirs = {(entry.id, entry.path) for entry in self.manager.files(client=user)}
            answer.entries = [entry for entry in answer.entries if (entry.id, entry.path) in theirs]
            answer.total_entries = len(answer.entries)

    def file_info(self, request: rpc.NetrFileGetInfo) -> rpc.NetrFileGetInfoResponse:
        """From the list of open files, since smbd lacks the call."""
        try:
            info = self.manager.file(request.file_id)
        except Win32Error as error:
            # The API's own word for an id that is not open.
            unknown = error.code == codes.NERR_FileIdNotFound
            return request.failed(codes.ERROR_FILE_NOT_FOUND if unknown else error.code)
        return rpc.NetrFileGetInfoResponse(request.level, info, 0)

    def close_file(self, file_id: int) -> int:
        """By the manager: ids may be ambiguous, and since 4.21 smbd reports that it did not find what it closed."""
        try:
            self.manager.close_file(file_id)
        except Win32Error as error:
            return error.code
        return 0

    def share_status(self, status: int) -> int:
        """smbd answers a name that it does not share with ERROR_INVALID_NAME."""
        return codes.NERR_NetNameNotFound if status == codes.ERROR_INVALID_NAME else status

    def has_ignored(self, level: int, wanted: ServerInfo) -> bool:
        """smbd always reports success, and never changes its configuration."""
        now = self.manager.call(rpc.NetrServerGetInfo(self.unc, 102)).info
        settings = ("comment", "users", "disc", "hidden")
        names = [name for name in rpc.SERVER_INFO.table[level].split() if name in settings]
        return now is None or any(_plain(getattr(now, name)) != _plain(getattr(wanted, name)) for name in names)


def kind_of(manager: BlockingManager) -> ServerKind:
    """What kind of server a manager is connected to."""
    return SambaKind(manager) if manager.is_samba else ServerKind(manager)


def _is_below(path: str, base: str) -> bool:
    # 3.1.4.2: a prefix of whole components.
    path, base = (fold(text).replace("/", "\\").rstrip("\\") + "\\" for text in (path, base))
    return path.startswith(base)


def _plain(value: Any) -> Any:
    return int(value) & _32_BITS if isinstance(value, int) else value or ""
