"""Which sessions a command means, and a session as programs read it: what listing and ending them share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from lanman.errors import LanmanError
from lanman.manage.manager import Manager, Sessions, no_such_session

FIELDS: Final = "client_name user_name num_opens active_time idle_time user_flags client_type transport"
"""The columns of a session."""


class Selection:
    """Which sessions are meant: those of the client named as an argument, and of all filters."""

    def __init__(self, named: str | None, client: str | None, user: str | None, null_sessions: bool = False) -> None:
        self.named, self.client, self.user, self.null_sessions = named, client, user, null_sessions

    @property
    def filtered(self) -> bool:
        """Whether anything was said that leaves sessions out."""
        return self.null_sessions or any(part is not None for part in (self.named, self.client, self.user))

    @property
    def is_whole_client(self) -> bool:
        """Whether all sessions of a client are meant, whoever has them."""
        return self.user is None and not self.null_sessions and None in (self.named, self.client) and self.filtered

    async def of(self, manager: Manager) -> Sessions:
        """The sessions that are meant."""
        found = await manager.sessions(client=self.named or self.client, user=self.user)
        if self.null_sessions:
            found.entries = [entry for entry in found.entries if entry.user_name == ""]
        if self.named is None or self.client is None:
            return found
        others = await manager.sessions(client=self.client, user=self.user)
        clients = {entry.client_name for entry in others.entries}
        return replace(found, entries=[entry for entry in found.entries if entry.client_name in clients])

    def missing(self, server: str | None) -> LanmanError:
        """That nothing is meant, at `server`, None for this machine; with what may have been meant."""
        error = no_such_session(self.named or self.client, self.user)
        hints = [error.hint or ""]
        # An address is cut in the middle.
        if any("..." in (part or "") for part in (self.named, self.client, self.user)):
            hints = ["`...` stands for what a table had no room for: `lanman session /list` shows names whole"]
        error.hint = "; ".join([*hints, *self.server_hint(server)])
        return error

    def server_hint(self, server: str | None) -> list[str]:
        """How to name a server, where what was named as a client may be one; `server` is the one that was asked."""
        if self.named is None or server is not None or any(map(str.isspace, self.named)):
            return []
        return [f"a server is named by -S: lanman session -S {self.named}"]


def bare(record: dict[str, Any]) -> dict[str, Any]:
    """A record with the client as other programs write it, `10.0.0.7` or `fe80::7`, behind what the server listed."""
    listed = record["client_name"]
    bare = None if listed is None else listed.lstrip("\\/")
    if bare is not None and bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    of_node = {"node": record["node"]} if "node" in record else {}
    return {**of_node, "client_name": listed, "client": bare, **record}
