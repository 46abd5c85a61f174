"""`lanman user`: who may log on to the Server of this home."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.accounts import account_file, keeping_an_administrator, name_table, naming, show_data
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import (
    net_option,
    verb,
    yes_or_no,
)
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.dialect import DialectError
from lanman.faces.text import block, yes_no

LABEL_WIDTH: Final = 29

# In place of a password: ask for it.
ASK: Final = "*"


@verb(
    "user",
    summary="the accounts of this user's Server",
    aliases=("users",),
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
@argument("name", required=False, shell_complete=completers.users)
@argument("password", required=False)
@net_option("--add", is_flag=True, help="a new account")
@net_option("--delete", is_flag=True, help="no such account any more")
@net_option("--fullname", metavar='"text"', help="the person's full name")
@net_option("--comment", metavar='"text"', help="a comment")
@net_option(
    "--active", metavar="YES|NO", callback=yes_or_no, shell_complete=completers.yes_or_no, help="whether it may log on"
)
def user(
    invocation: Invocation,
    name: str | None,
    password: str | None,
    add: bool,
    delete: bool,
    fullname: str | None,
    comment: str | None,
    active: bool | None,
) -> None:
    """List, show or change, as the words say. DialectError 3503 or 3510: words that do not go together."""
    details = (password, fullname, comment, active)
    if name is None:
        if add or delete or details != (None, None, None, None):
            raise DialectError(3503, hint="Name the user.")
        return list_users(invocation)
    if (add and delete) or (delete and details != (None, None, None, None)):
        raise DialectError(3510, hint="/DELETE goes with nothing but the user's name.")
    if not add and not delete and details == (None, None, None, None):
        return show_user(invocation, name)
    if password == ASK:
        password = new_password()
    change_user(invocation, name, password, add=add, delete=delete, fullname=fullname, comment=comment, active=active)
    if invocation.format is not Format.TABLE:
        accounts = account_file(invocation).read()
        return show_data("users", [] if delete else [_user_record(accounts.account(name))], invocation)
    return output.success()


def change_user(
    invocation: Invocation,
    name: str,
    password: str | None,
    *,
    add: bool,
    delete: bool,
    fullname: str | None,
    comment: str | None,
    active: bool | None,
) -> None:
    """Add, delete or change an account; what is None stays. Warns where a new one cannot log on yet."""

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

    with naming(name), keeping_an_administrator(invocation) as update:
        update(change)
    if add and password is None:
        output.warn(f"{name} cannot log on before it has a password: lanman user {name} *")


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


def list_users(invocation: Invocation) -> None:
    """Print the names of the accounts, or all that may be told of them as JSON or CSV."""
    accounts = account_file(invocation).read()
    if invocation.format is Format.TABLE:
        output.emit(name_table("User accounts of this Server", sorted(accounts.users, key=str.casefold)))
        return output.success()
    return show_data("users", [_user_record(account) for account in accounts.users.values()], invocation)


def show_user(invocation: Invocation, name: str) -> None:
    """Print one account, without its password's hash. Raises Win32Error 2221 (NERR_UserNotFound)."""
    with naming(name):
        account = account_file(invocation).read().account(name)
    if invocation.format is not Format.TABLE:
        return show_data("users", [_user_record(account)], invocation)
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


def _labelled(label: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """The label beside the first value, the others below it."""
    return [(label if number == 0 else "", value) for number, value in enumerate(values or [""])]
