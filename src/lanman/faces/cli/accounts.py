"""The accounts and groups of this home, as `user` and `localgroup` show and change them.

The accounts are a file that a running Server reads again before the next log-on, so nothing has to be told to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.faces.cli import output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.output import Format
from lanman.faces.text import RULER, escape, fit, width

if TYPE_CHECKING:
    from lanman.net.accounts import AccountFile

NAME_COLUMNS: Final = (25, 25, 25)


def account_file(invocation: Invocation, *, to_change: bool = False) -> AccountFile:
    """The account file of this home. Raises LanmanError where another machine was named."""
    from lanman.net.accounts import AccountFile
    from lanman.net.home import default_home

    invocation.require_own("accounts are changed on the machine itself, by the user who runs its Server")
    home = default_home(invocation.home)
    if to_change:
        home.prepare()
    return AccountFile(home.accounts)


@contextmanager
def keeping_an_administrator(invocation: Invocation) -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """Gives a function that changes accounts. Warns when no account is left that may manage the Server remotely."""
    was = is_now = False

    def watched(change: Callable[[Any], None], accounts: Any) -> None:
        nonlocal was, is_now
        was = has_administrator(accounts)
        change(accounts)
        is_now = has_administrator(accounts)

    file = account_file(invocation, to_change=True)
    yield lambda change: file.update(lambda accounts: watched(change, accounts))
    if was and not is_now:
        output.warn(codes.win32_text(codes.ERROR_LAST_ADMIN))
        output.warn("Nobody can manage this Server over the network now: lanman localgroup Administrators NAME /add")


def has_administrator(accounts: Any) -> bool:
    """Whether anybody who may log on is in Administrators."""
    return any(account.nt_hash and not account.disabled for account in accounts.members("Administrators"))


class naming:
    """Errors about a user or group in the body get its name, and a hint where names are listed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Win32Error) and error.message == codes.win32_text(error.code):
            hint = "`lanman user` lists the users, `lanman localgroup` the groups."
            raise Win32Error(error.code, f"{self.name}: {error.message}", hint=error.hint or hint) from None


def name_table(title: str, names: Sequence[str]) -> Iterator[str]:
    """Names side by side in three columns, as NET USER has them; a long one has a line of its own."""
    yield from ("", title, "", RULER)
    line: list[str] = []
    for name in map(escape, names):
        if width(name) >= NAME_COLUMNS[0]:
            if line:
                yield _joined(line)
                line = []
            yield name
            continue
        line.append(name)
        if len(line) == len(NAME_COLUMNS):
            yield _joined(line)
            line = []
    if line:
        yield _joined(line)


def _joined(names: Sequence[str]) -> str:
    return "".join(fit(name, columns) for name, columns in zip(names, NAME_COLUMNS, strict=False)).rstrip()


def show_data(name: str, records: list[dict[str, Any]], invocation: Invocation) -> None:
    """Print `records` as JSON, as the list `name` of the one object, or as CSV."""
    if invocation.format is Format.JSON:
        output.emit_json(None, **{name: records})
    else:
        output.emit_csv(records, list(records[0]) if records else ["name"])
