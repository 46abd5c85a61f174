"""How a server is approached, beyond who asks: what programs say that ask very many servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

from lanman.plain import dataclass

if TYPE_CHECKING:
    from lanman.net.server_facts import ServerFacts


@dataclass(frozen=True, slots=True)
class Approach:
    """What is known of a server, or wanted of the way to it, before it is asked. Nothing of it is needed.

    `addresses` are the numeric addresses of the server's name, which then is not looked up. `connect_timeout` is in
    seconds, for the TCP connection alone: ConnectionLost 53 when it is over, where a server that took the connection
    and says nothing is TimedOut. `before_logon` is awaited between NEGOTIATE and each log-on, with what the server has
    told of itself; an error that it raises ends the connection, and the password is not used. `around_logon` is entered
    for each log-on alone, and left with what came of it. `on_proof` is called right before something leaves that the
    server can judge the password by (with Kerberos, the first message), and `on_logon` when the server has taken it and
    has proven that it knows it too.
    """

    addresses: tuple[str, ...] = ()
    connect_timeout: float | None = None
    before_logon: Callable[[ServerFacts], Awaitable[None]] | None = None
    around_logon: Callable[[], AbstractAsyncContextManager[None]] | None = None
    on_proof: Callable[[], None] | None = None
    on_logon: Callable[[], None] | None = None


PLAIN: Final = Approach()
"""A server of which nothing is known, and of which nothing more is wanted."""
