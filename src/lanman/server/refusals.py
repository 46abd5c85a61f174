"""Why clients were refused, in words that name the remedy; and a bounded record of it, for later questions.

A device that cannot do what the Server requires fails with a message of its own that says nothing of that. So what it
lacks is told as a LogonRefused event, once for a connection, with what an administrator can choose.
"""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Final

from lanman.domain import LogonRefused, Reason
from lanman.plain import dataclass

# How many (client, reason) are remembered.
REMEMBERED: Final = 256

CHOICES: Final = MappingProxyType(
    {
        Reason.UNSIGNED: 'turn signing on at the client, or set [server] signing = "offered", for all clients',
        Reason.UNENCRYPTED: 'use a client that encrypts (SMB 3), or set [server] encryption = "offered", for all',
        Reason.UNENCRYPTED_SHARE: "use a client that encrypts (SMB 3), or set encryption = false for that share",
        Reason.NTLMV1: "turn NTLMv2 on at the client (LmCompatibilityLevel 3 or above); NTLMv1 is never accepted",
        Reason.SMB1: "turn SMB 2 or later on at the client; SMB 1 is not spoken here",
    }
)


@dataclass(slots=True)
class Refusal:
    """Clients of one name that were refused for one reason: how often, and what was said last and when."""

    client_name: str
    reason: Reason
    user_name: str = ""
    detail: str = ""
    count: int = 0
    first: float = 0.0
    last: float = 0.0


class Refusals:
    """The record. The least recently refused are forgotten."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, Reason], Refusal] = OrderedDict()

    def add(self, event: LogonRefused, now: float) -> None:
        """One more."""
        key = event.client_name, event.reason
        refusal = self._found.get(key)
        if refusal is None:
            refusal = self._found[key] = Refusal(*key, first=now)
            if len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        refusal.count += 1
        refusal.user_name, refusal.detail, refusal.last = event.user_name, event.detail, now

    def recent(self) -> list[Refusal]:
        """What there was, the most recent first."""
        return list(reversed(self._found.values()))
