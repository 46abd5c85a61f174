r"""What may stand as a value where somebody presses TAB.

Each is given with the option or argument that it completes:

    @argument("computer", required=False, shell_complete=completers.clients)

It gets what has been typed of the value so far, and gives what begins so. What this machine's own Server lists is
offered where it can be asked without a password, within `PATIENCE` seconds; where it cannot, nothing is offered.

Every verb imports this file, and few commands complete anything: what takes time to load is imported when TAB is
pressed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from lanman.errors import LanmanError
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.parameters import Candidate, Completer, Context

if TYPE_CHECKING:
    from lanman.manage.manager import Manager


# How long a person who pressed TAB is kept waiting for the Server of this machine, in seconds.
PATIENCE: Final = 2.0

Meanings = Iterable[tuple[str, str]]
"""Words, each with what it means; "" where there is nothing to say."""


def beginning(words: Meanings, begun: str) -> list[Candidate]:
    """Those of `words` that begin with `begun`, in any case."""
    return _items((word, about) for word, about in words if word.casefold().startswith(begun.casefold()))


def one_of(*words: str, help: str | None = None) -> Completer:
    """A completer for words that are known beforehand, in any case; `help` is what each of them means."""

    def complete(context: Context, begun: str) -> list[Candidate]:
        return beginning(((word, help or "") for word in words), begun)

    return complete


server_service: Final = one_of("server", help="the Server service")

yes_or_no: Final = one_of("YES", "NO")


def files(context: Context, begun: str) -> list[Candidate]:
    """The names of files and folders, which the shell completes itself."""
    return [Candidate(begun, is_file=True)]


# --- what this machine's Server lists


def clients(context: Context, begun: str) -> list[Candidate]:
    r"""The clients of this machine's Server, behind as many slashes as were typed: `\\pc7`, `//pc7`, `pc7`."""
    bare = begun.lstrip("'\"\\/")
    slashes = begun[: len(begun) - len(bare)]

    async def listed(manager: Manager) -> Meanings:
        entries = (await manager.sessions()).entries
        return [((entry.client_name or "").lstrip("\\"), entry.user_name or "") for entry in entries]

    return _items((f"{slashes}{word}", about) for word, about in _asked(listed, bare))


def open_files(context: Context, begun: str) -> list[Candidate]:
    """The identifiers of the files that are open through this machine's Server, each with its path."""

    async def listed(manager: Manager) -> Meanings:
        return [(str(entry.id), entry.path or "") for entry in await manager.files()]

    return _items(_asked(listed, begun))


def shares(context: Context, begun: str) -> list[Candidate]:
    """The shares of this machine's Server, each with its remark."""

    async def listed(manager: Manager) -> Meanings:
        return [(entry.netname or "", entry.remark or "") for entry in await manager.shares()]

    return _items(_asked(listed, begun))


def _asked(listed: Callable[[Manager], Awaitable[Meanings]], begun: str) -> list[tuple[str, str]]:
    """What of `listed` begins so at this machine's own Server; nothing where it cannot be asked without a password."""
    import asyncio

    async def ask() -> Meanings:
        home = os.environ.get("LANMAN_HOME") or None
        invocation = Invocation(timeout=PATIENCE, home=home, service="lanman")
        async with invocation.manager() as manager:
            return await listed(manager)

    try:
        found = asyncio.run(ask())
    except LanmanError:
        return []
    # Clients chose these words: only those in which no shell sees anything special are offered.
    return [
        (word, about if about.isprintable() else "")
        for word, about in found
        if word.casefold().startswith(begun.casefold()) and _is_harmless(word)
    ]


# --- what this user's lanman.toml lists


def clusters(context: Context, begun: str) -> list[Candidate]:
    """The clusters of lanman.toml, each with its nodes, as -S takes them: `cluster:files`."""
    from lanman.manage.cluster import PREFIX
    from lanman.net.client_configuration import read_client_configuration

    try:
        configured = read_client_configuration().clusters
    except LanmanError:
        return []
    words = [(f"{PREFIX}{name}", ", ".join(cluster.nodes)) for name, cluster in configured.items()]
    return beginning([(word, about) for word, about in words if _is_harmless(word)], begun)


# --- what this user's account file lists


def users(context: Context, begun: str) -> list[Candidate]:
    """The accounts of this user's Server."""
    return _accounts("users", begun)


def groups(context: Context, begun: str) -> list[Candidate]:
    """The groups of this user's Server."""
    return _accounts("groups", begun)


def _accounts(what: str, begun: str) -> list[Candidate]:
    from lanman.net.accounts import AccountFile
    from lanman.net.home import default_home

    accounts = AccountFile(default_home().accounts).read()
    names = sorted(accounts.users if what == "users" else accounts.groups)
    return beginning([(name, "") for name in names if _is_harmless(name)], begun)


def _items(words: Meanings) -> list[Candidate]:
    return [Candidate(word, about) for word, about in words]


def _is_harmless(word: str) -> bool:
    """Whether no shell sees more in `word` than its characters."""
    # A dollar sign that ends a word (IPC$) is no more than that.
    return bool(word) and all(character.isalnum() or character in "-_.:[]@" for character in word.removesuffix("$"))
