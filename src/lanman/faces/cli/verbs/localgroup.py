"""`lanman localgroup`: the groups of this home's Server, and who is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lanman.faces.cli import completers, output
from lanman.faces.cli.accounts import account_file, keeping_an_administrator, name_table, naming, show_data
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import net_option, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import argument
from lanman.faces.dialect import DialectError
from lanman.faces.text import RULER, block, escape


@verb(
    "localgroup",
    summary="the groups of this user's Server",
    aliases=("localgroups",),
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
@argument("group", required=False, shell_complete=completers.groups)
@argument("names", many=True, shell_complete=completers.users)
@net_option("--add", is_flag=True, help="a new group, or new members of it")
@net_option("--delete", is_flag=True, help="no such group any more, or no such members of it")
@net_option("--comment", metavar='"text"', help="a comment for a new group")
def localgroup(
    invocation: Invocation, group: str | None, names: tuple[str, ...], add: bool, delete: bool, comment: str | None
) -> None:
    """List, show or change, as the words say. DialectError 3503 or 3510: words that do not go together."""
    if add and delete:
        raise DialectError(3510, hint="Give one of /ADD and /DELETE.")
    if comment is not None and (not add or names):
        raise DialectError(3510, hint="/COMMENT goes with a new group: lanman localgroup GROUP /COMMENT:text /ADD.")
    if group is None:
        if add or delete:
            raise DialectError(3503, hint="Name the group.")
        return list_groups(invocation)
    if not add and not delete:
        if names:
            raise DialectError(3503, hint="Say what to do with these users: /ADD or /DELETE.")
        return show_group(invocation, group)
    change_group(invocation, group, names, add=add, comment=comment or "")
    if invocation.format is not Format.TABLE:
        accounts = account_file(invocation).read()
        deleted = not add and not names
        return show_data("groups", [] if deleted else [_group_record(accounts, accounts.group(group).name)], invocation)
    return output.success()


def change_group(invocation: Invocation, group: str, names: Sequence[str], *, add: bool, comment: str) -> None:
    """Add or delete a group, or members of it if `names` has any: all of them, or none where one is refused."""

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

    with keeping_an_administrator(invocation) as update:
        update(change)


def list_groups(invocation: Invocation) -> None:
    """Print the groups, each with NET's asterisk before it."""
    accounts = account_file(invocation).read()
    if invocation.format is Format.TABLE:
        names = [f"*{name}" for name in sorted(accounts.groups, key=str.casefold)]
        output.emit(name_table("Aliases of this Server", names))
        return output.success()
    records = [_group_record(accounts, name) for name in accounts.groups]
    return show_data("groups", records, invocation)


def show_group(invocation: Invocation, name: str) -> None:
    """Print one group and its members. Raises Win32Error 2220 (NERR_GroupNotFound)."""
    accounts = account_file(invocation).read()
    with naming(name):
        group = accounts.group(name)
    if invocation.format is not Format.TABLE:
        return show_data("groups", [_group_record(accounts, group.name)], invocation)
    output.emit(block([("Alias name", group.name), ("Comment", group.comment)], 15))
    members = [escape(account.name) for account in accounts.members(group.name)]
    output.emit(["", "Members", "", RULER, *members])
    return output.success()


def _group_record(accounts: Any, name: str) -> dict[str, Any]:
    group = accounts.group(name)
    members = [account.name for account in accounts.members(name)]
    return {"name": group.name, "comment": group.comment, "members": members}
