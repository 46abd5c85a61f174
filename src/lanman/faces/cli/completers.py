r"""What may stand as a value where somebody presses TAB.

Each is one of click's `shell_complete` functions, given with the option or argument that it completes:

    @click.argument("computer", required=False, shell_complete=completers.clients)

What this machine's own Server lists is offered where it can be asked without a password, within `PATIENCE` seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Final

import click
from click.shell_completion import CompletionItem

from lanman.errors import LanmanError
from lanman.faces.cli.invocation import Invocation

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

# How long a person who pressed TAB is kept waiting for the Server of this machine, in seconds.
PATIENCE: Final = 2.0


def one_of(*words: str, help: str | None = None) -> Completer:
    """A completer for words that are known beforehand, in any case."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        return _items(((word, help or "") for word in words), begun)

    return complete


server_service: Final = one_of("server", help="the Server service")

yes_or_no: Final = one_of("YES", "NO")


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names of files and folders, which the shell completes itself."""
    return [CompletionItem(begun, type="file")]


def clients(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    r"""The clients of this machine's Server, behind as many slashes as were typed: `\\pc7`, `//pc7`, `pc7`."""
    bare = begun.lstrip("'\"\\/")
    slashes = begun[: len(begun) - len(bare)]
    return [CompletionItem(f"{slashes}{word}", help=about) for word, about in _asked("sessions", bare)]


def open_files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The identifiers of the files that are open through this machine's Server, each with its path."""
    return [CompletionItem(word, help=about) for word, about in _asked("files", begun)]


def shares(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The shares of this machine's Server, each with its remark."""
    return [CompletionItem(word, help=about) for word, about in _asked("shares", begun)]


def users(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The accounts of this user's Server."""
    return _accounts("users", begun)


def groups(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The groups of this user's Server."""
    return _accounts("groups", begun)


def _asked(what: str, begun: str) -> list[tuple[str, str]]:
    """What this machine's own Server lists; nothing where it cannot be asked without a password."""

    async def ask() -> list[tuple[str, str]]:
        invocation = Invocation(timeout=PATIENCE, home=os.environ.get("LANMAN_HOME") or None)
        async with invocation.manager() as manager:
            if what == "sessions":
                sessions = (await manager.sessions()).entries
                return [((one.client_name or "").lstrip("\\"), one.user_name or "") for one in sessions]
            if what == "files":
                return [(str(one.id), one.path or "") for one in await manager.files()]
            return [(one.netname or "", one.remark or "") for one in await manager.shares()]

    try:
        listed = asyncio.run(ask())
    except LanmanError:
        return []
    # A peer chose these names: only those that no shell makes anything of are offered.
    return [
        (word, about if about.isprintable() else "")
        for word, about in listed
        if word.casefold().startswith(begun.casefold()) and _is_harmless(word)
    ]


def _accounts(what: str, begun: str) -> list[CompletionItem]:
    from lanman.net.accounts import AccountFile
    from lanman.net.home import default_home

    accounts = AccountFile(default_home().accounts).read()
    names = sorted(accounts.users if what == "users" else accounts.groups)
    return [item for item in _items(((name, "") for name in names), begun) if _is_harmless(item.value)]


def _items(pairs: Iterable[tuple[str, str]], begun: str) -> list[CompletionItem]:
    """The words that begin so, each with its meaning."""
    return [CompletionItem(word, help=about) for word, about in pairs if word.casefold().startswith(begun.casefold())]


def _is_harmless(word: str) -> bool:
    # A dollar sign that ends a word (IPC$) is no more than that.
    return bool(word) and all(character.isalnum() or character in "-_.:[]@" for character in word.removesuffix("$"))
