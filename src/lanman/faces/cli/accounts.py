"""`lanman user` and `lanman localgroup`: who may log on to the Server of this home, and what groups they are in.

The accounts are a file that a running Server reads again before the next log-on, so nothing has to be told to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import output
from lanman.faces.cli.options import Call, net_option, verb, yes_or_no
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError
from lanman.faces.text import RULER, block, escape, fit, width, yes_no

if TYPE_CHECKING:
    from lanman.net.accounts import AccountFile

LABEL_WIDTH: Final = 29
# In place of a password: ask for it.
ASK: Final = "*"
NAME_COLUMNS: Final = (25, 25, 25)


def account_file(call: Call, *, to_change: bool = False) -> AccountFile:
    """The account file of this home. Raises LanmanError where another machine was named."""
    from lanman.net.accounts import AccountFile
    from lanman.net.home import default_home

    if call.server is not None:
        message = f"{call.server}: accounts are changed on the machine itself, by the user who runs its Server"
        raise LanmanError(message, code=codes.ERROR_NOT_SUPPORTED, hint="Leave out -S.")
    home = default_home(call.home)
    if to_change:
        home.prepare()
    return AccountFile(home.accounts)


# --- user


@verb(
    "user",
    syntax="""
lanman user
lanman user NAME [PASSWORD | *] [/FULLNAME:"text"] [/COMMENT:"text"] [/ACTIVE:{YES | NO}]
lanman user NAME [PASSWORD | *] /ADD [/FULLNAME:"text"] [/COMMENT:"text"] [/ACTIVE:{YES | NO}]
lanman user NAME /DELETE
""",
    about="""
Lists the accounts of this user's Server, shows one, adds one, changes it or deletes it. With * the password is
asked for, or read from standard input where that is no terminal.
""",
    examples="""
lanman user ann * /add                  a new account; asks for its password
lanman localgroup Administrators ann /add
""",
)
@click.argument("name", required=False)
@click.argument("password", required=False)
@net_option("--add", is_flag=True, help="a new account")
@net_option("--delete", is_flag=True, help="no such account any more")
@net_option("--fullname", metavar='"text"', help="the person's full name")
@net_option("--comment", metavar='"text"', help="a comment")
@net_option("--active", metavar="YES|NO", callback=yes_or_no, help="whether it may log on")
def user(
    call: Call,
    name: str | None,
    password: str | None,
    add: bool,
    delete: bool,
    fullname: str | None,
    comment: str | None,
    active: bool | None,
) -> None:
    details = (password, fullname, comment, active)
    if name is None:
        if add or delete or details != (None, None, None, None):
            raise DialectError(3503, hint="Name the user.")
        return list_users(call)
    if (add and delete) or (delete and details != (None, None, None, None)):
        raise DialectError(3510, hint="/DELETE goes with nothing but the user's name.")
    if not add and not delete and details == (None, None, None, None):
        return show_user(call, name)
    if password == ASK:
        password = new_password()
    change_user(call, name, password, add=add, delete=delete, fullname=fullname, comment=comment, active=active)
    if call.format is not Format.TABLE:
        accounts = account_file(call).read()
        return _data("users", [] if delete else [_user_record(accounts.account(name))], call)
    return output.success()


def change_user(
    call: Call,
    name: str,
    password: str | None,
    *,
    add: bool,
    delete: bool,
    fullname: str | None,
    comment: str | None,
    active: bool | None,
) -> None:
    def change(accounts: Any) -> None:
        if delete:
            accounts.delete(name)
            return
        if add:
            accounts.add(name, password)
        elif password is not None:
            accounts.set_password(name, password)
        disabled = None if active is None else not active
        accounts.change(name, full_name=fullname, comment=comment, disabled=disabled)

    with naming(name), keeping_an_administrator(call) as update:
        update(change)
    if add and password is None:
        output.warn(f"{name} cannot log on before it has a password: lanman user {name} *")


@contextmanager
def keeping_an_administrator(call: Call) -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """Changes accounts, and warns when nobody is left who may manage the Server over the network."""
    was = is_now = False

    def watched(change: Callable[[Any], None], accounts: Any) -> None:
        nonlocal was, is_now
        was = has_administrator(accounts)
        change(accounts)
        is_now = has_administrator(accounts)

    file = account_file(call, to_change=True)
    yield lambda change: file.update(lambda accounts: watched(change, accounts))
    if was and not is_now:
        output.warn(codes.win32_text(codes.ERROR_LAST_ADMIN))
        output.warn("Nobody can manage this Server over the network now: lanman localgroup Administrators NAME /add")


def has_administrator(accounts: Any) -> bool:
    """Whether anybody who may log on is in Administrators."""
    return any(account.nt_hash and not account.disabled for account in accounts.members("Administrators"))


class naming:
    """Errors about a user or group say which one was meant."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Win32Error) and error.message == codes.win32_text(error.code):
            hint = "`lanman user` lists the users, `lanman localgroup` the groups."
            raise Win32Error(error.code, f"{self.name}: {error.message}", hint=error.hint or hint) from None


def new_password() -> str:
    """A new password, asked for twice on a terminal, or one line of standard input."""
    if not output.is_terminal(sys.stdin):
        line = sys.stdin.readline() if sys.stdin is not None else ""
        if not line:
            raise LanmanError(codes.message_text(3757), code=3757, hint="Give the password on standard input.")
        password = line.rstrip("\r\n")
        if any("\ud800" <= character <= "\udfff" for character in password):
            # No client could ever send this one.
            hint = f"What was read is not text in {sys.stdin.encoding}."
            raise LanmanError(codes.win32_text(codes.NERR_BadPassword), code=codes.NERR_BadPassword, hint=hint)
        return password
    import getpass

    for _ in range(3):
        password = getpass.getpass("Type a password for the user: ")
        if getpass.getpass("Retype the password to confirm: ") == password:
            return password
        output.complain(["The passwords do not match."])
    raise LanmanError("no password was confirmed", code=codes.NERR_BadPassword)


def list_users(call: Call) -> None:
    accounts = account_file(call).read()
    if call.format is Format.TABLE:
        output.emit(name_table("User accounts of this Server", sorted(accounts.users, key=str.casefold)))
        return output.success()
    return _data("users", [_user_record(account) for account in accounts.users.values()], call)


def show_user(call: Call, name: str) -> None:
    with naming(name):
        account = account_file(call).read().account(name)
    if call.format is not Format.TABLE:
        return _data("users", [_user_record(account)], call)
    pairs = [
        ("User name", account.name),
        ("Full Name", account.full_name),
        ("Comment", account.comment),
        ("Account active", yes_no(not account.disabled)),
        ("Password set", yes_no(bool(account.nt_hash))),
        ("", ""),
    ]
    pairs += _labelled("Local Group Memberships", [f"*{group}" for group in sorted(account.groups)])
    output.emit(block(pairs, LABEL_WIDTH))
    return output.success()


def _user_record(account: Any) -> dict[str, Any]:
    # Nothing of the hash leaves, not even its presence in another form than this.
    return {
        "name": account.name,
        "full_name": account.full_name,
        "comment": account.comment,
        "active": not account.disabled,
        "password_set": bool(account.nt_hash),
        "groups": sorted(account.groups),
    }


# --- localgroup


@verb(
    "localgroup",
    syntax="""
lanman localgroup
lanman localgroup GROUP [/COMMENT:"text"] [/ADD | /DELETE]
lanman localgroup GROUP NAME [...] {/ADD | /DELETE}
""",
    about="""
Lists the groups of this user's Server, shows the members of one, adds or deletes a group, and puts users into it
or takes them out. Members of Administrators and Server Operators may manage sessions and files.
""",
    examples="""
lanman localgroup Administrators            who may manage sessions and files
lanman localgroup Administrators ann /add   let ann
""",
)
@click.argument("group", required=False)
@click.argument("names", nargs=-1)
@net_option("--add", is_flag=True, help="a new group, or new members of it")
@net_option("--delete", is_flag=True, help="no such group any more, or no such members of it")
@net_option("--comment", metavar='"text"', help="a comment for a new group")
def localgroup(
    call: Call, group: str | None, names: tuple[str, ...], add: bool, delete: bool, comment: str | None
) -> None:
    if add and delete:
        raise DialectError(3510, hint="Give one of /ADD and /DELETE.")
    if comment is not None and (not add or names):
        raise DialectError(3510, hint="/COMMENT goes with a new group: lanman localgroup GROUP /COMMENT:text /ADD.")
    if group is None:
        if add or delete:
            raise DialectError(3503, hint="Name the group.")
        return list_groups(call)
    if not add and not delete:
        if names:
            raise DialectError(3503, hint="Say what to do with these users: /ADD or /DELETE.")
        return show_group(call, group)
    change_group(call, group, names, add=add, comment=comment or "")
    if call.format is not Format.TABLE:
        accounts = account_file(call).read()
        deleted = not add and not names
        return _data("groups", [] if deleted else [_group_record(accounts, accounts.group(group).name)], call)
    return output.success()


def change_group(call: Call, group: str, names: Sequence[str], *, add: bool, comment: str) -> None:
    def change(accounts: Any) -> None:
        if not names:
            with naming(group):
                if add:
                    accounts.add_group(group, comment)
                else:
                    accounts.delete_group(group)
            return
        with naming(group):
            accounts.group(group)
        for name in names:
            with naming(name):
                (accounts.add_member if add else accounts.remove_member)(group, name)

    with keeping_an_administrator(call) as update:
        update(change)


def list_groups(call: Call) -> None:
    accounts = account_file(call).read()
    if call.format is Format.TABLE:
        names = [f"*{name}" for name in sorted(accounts.groups, key=str.casefold)]
        output.emit(name_table("Aliases of this Server", names))
        return output.success()
    records = [_group_record(accounts, name) for name in accounts.groups]
    return _data("groups", records, call)


def show_group(call: Call, name: str) -> None:
    accounts = account_file(call).read()
    with naming(name):
        group = accounts.group(name)
    if call.format is not Format.TABLE:
        return _data("groups", [_group_record(accounts, group.name)], call)
    output.emit(block([("Alias name", group.name), ("Comment", group.comment)], 15))
    members = [escape(account.name) for account in accounts.members(group.name)]
    output.emit(["", "Members", "", RULER, *members])
    return output.success()


def _group_record(accounts: Any, name: str) -> dict[str, Any]:
    group = accounts.group(name)
    members = [account.name for account in accounts.members(name)]
    return {"name": group.name, "comment": group.comment, "members": members}


# --- both


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


def _labelled(label: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """The label beside the first value, the others below it."""
    return [(label if number == 0 else "", value) for number, value in enumerate(values or [""])]


def _data(name: str, records: list[dict[str, Any]], call: Call) -> None:
    if call.format is Format.JSON:
        output.emit_json(None, **{name: records})
    else:
        output.emit_csv(records, list(records[0]) if records else ["name"])
