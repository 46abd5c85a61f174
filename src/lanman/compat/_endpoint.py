"""Where a call goes, and who is logged on there: the two nouns that logins and kept connections share."""

from __future__ import annotations

from dataclasses import field
from typing import NamedTuple

from lanman.manage.manager import DEFAULT_TIMEOUT
from lanman.net.credentials import Credentials
from lanman.plain import dataclass


class Address(NamedTuple):
    """A server's name without backslashes, and its port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Login:
    """Who to be, and how to go there. `credentials` None leaves it to the kernel: for this machine's own Server."""

    credentials: Credentials | None = field(hash=False)
    timeout: float = DEFAULT_TIMEOUT
    encrypt: bool = False
    richer_levels: bool = False
    with_others: bool = False
