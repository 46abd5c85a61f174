"""The Server's own accounts: users with their NT hashes, the groups they are in, and the file that keeps them.

The file is UTF-8 text, one thing a line:

    version = 1

    [user ann]
    nt_hash = 0123456789abcdef0123456789abcdef
    groups = Administrators, Users
    full_name = Ann Other
    comment = second floor
    disabled = no

    [group Auditors]
    comment = may look, not touch

Lines that start with `#` or `;` and empty lines are ignored, and not kept when the file is rewritten. Neither
`]` nor `,` may occur in a name, so nothing needs quoting. An empty `nt_hash`, or none, is an account that cannot log
on. The built-in groups exist without being written down; a group that users are in must exist.

Names follow Windows: 1 to 256 characters, none of `"/\\[]:;|=,+*?<>@` and no control characters, not only of dots and
spaces. They are compared as `lanman.names` says, a name written exactly first, and users and groups share one
name space. A name, password or membership that is not valid raises a Win32Error with the code that NET would
report; an error in the file raises an AccountsError that names line and key.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import field
from typing import Final

from lanman import codes
from lanman.auth.md4 import BadHash, nt_hash, parse_nt_hash
from lanman.errors import LanmanError, Win32Error
from lanman.names import ADMINISTRATORS, GUESTS, POWER_USERS, PRINT_OPERATORS, SERVER_OPERATORS, USERS, fold, upper_each
from lanman.plain import dataclass
from lanman.versions import NewerVersion, check_version, version_line

BUILT_IN_GROUPS: Final = {
    ADMINISTRATORS: "Administrators have complete and unrestricted access to the server",
    SERVER_OPERATORS: "Members can manage sessions, open files and shares",
    POWER_USERS: "Members can manage shares",
    PRINT_OPERATORS: "Members can look at sessions and shared printers",
    USERS: "Ordinary users",
    GUESTS: "Members log on as guests",
}

# The version of the file: the only one there has been.
VERSION: Final = 1

# LMCONS.H: UNLEN and GNLEN, MAXCOMMENTSZ, PWLEN.
MAX_NAME: Final = 256
MAX_TEXT: Final = 256
MAX_PASSWORD: Final = 256

_FORBIDDEN: Final = frozenset('"/\\[]:;|=,+*?<>@')


class AccountsError(LanmanError):
    """The account file is not valid; the message names line and key."""

    code = codes.ERROR_INVALID_DATA


@dataclass(slots=True)
class Account:
    """A user. `nt_hash` has 16 bytes, or is empty for an account that cannot log on; it is not shown by repr."""

    name: str
    nt_hash: bytes = field(default=b"", repr=False)
    groups: frozenset[str] = frozenset()
    full_name: str = ""
    comment: str = ""
    disabled: bool = False


@dataclass(slots=True)
class Group:
    """A local group; built-in ones cannot be deleted. Its members are listed with the users, not here."""

    name: str
    comment: str = ""
    built_in: bool = False


def check_name(name: str) -> str:
    """The name, if it is valid. Raises Win32Error 2202, whose message says why it is not."""
    wrong = ""
    if not name.strip(". "):
        wrong = "it is empty"
    elif name != name.strip():
        wrong = "it begins or ends with a space"
    elif (units := len(name.encode("utf-16-le", "surrogatepass")) // 2) > MAX_NAME:
        # UNLEN counts what is on the wire: a character beyond U+FFFF is two.
        wrong = f"it has {units} characters, and {MAX_NAME} are allowed"
    elif bad := next((c for c in name if c in _FORBIDDEN), None):
        wrong = f"it has a {bad}"
    elif not _is_clean(name):
        wrong = "it has a character that cannot be shown"
    if wrong:
        raise Win32Error(codes.NERR_BadUsername, f"{name!a} is not a valid name for a user or group: {wrong}")
    return name


def check_password(password: str) -> str:
    """The password, if it is valid. Raises Win32Error 2245; a blank one could never log on over the network."""
    if not password or len(password) > MAX_PASSWORD:
        raise Win32Error(codes.NERR_PasswordTooShort, f"a password has 1 to {MAX_PASSWORD} characters")
    return password


def check_text(text: str) -> str:
    """A full name or comment without blanks around it. Raises Win32Error 87 if it is not a single line."""
    text = text.strip()
    if len(text) > MAX_TEXT or not _is_clean(text):
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER, f"a full name or comment is one line of at most {MAX_TEXT} characters"
        )
    return text


def _is_clean(text: str) -> bool:
    # Cc control, Cs lone surrogate, Zl and Zp line ends; Cf would forbid joiners that Persian and Hindi names need.
    return (text.isascii() and text.isprintable()) or not any(unicodedata.category(c) in _UNCLEAN for c in text)


_UNCLEAN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class Accounts:
    """All users and groups. `users` and `groups` are keyed by canonical name; look names up with `find` and `group`.

    A new one has the built-in groups and no user.
    """

    __slots__ = ("_folded", "_is_loading", "groups", "users")

    def __init__(self) -> None:
        self._is_loading = False
        self.users: dict[str, Account] = {}
        self.groups: dict[str, Group] = {
            name: Group(name, comment, built_in=True) for name, comment in BUILT_IN_GROUPS.items()
        }
        self._folded: dict[str, Account | Group] = {fold(name): group for name, group in self.groups.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Accounts) and (self.users, self.groups) == (other.users, other.groups)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Accounts({len(self.users)} users, {len(self.groups)} groups)"

    # --- users

    def find(self, name: str) -> Account | None:
        """The user of that name, else the one whose name differs in case alone, or None."""
        found = self.users.get(name) or self._folded.get(fold(name))
        return found if isinstance(found, Account) else None

    def account(self, name: str) -> Account:
        """The user of that name. Raises Win32Error 2221."""
        if (account := self.find(name)) is None:
            raise Win32Error(codes.NERR_UserNotFound)
        return account

    def add(
        self,
        name: str,
        password: str | None = None,
        *,
        nt_hash: bytes = b"",
        groups: Iterable[str] = (USERS,),
        full_name: str = "",
        comment: str = "",
        disabled: bool = False,
    ) -> Account:
        """Add a user, with a password or the NT hash of one, or with neither: then it cannot log on yet.

        Raises Win32Error 2202 (name), 2224 (taken), 2220 (no such group), 2245 (password), 87 (texts, hash).
        """
        check_name(name)
        if self._is_taken(name):
            raise Win32Error(codes.NERR_UserExists)
        if password is not None:
            nt_hash = _hash(password)
        elif len(nt_hash) not in (0, 16):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "an NT hash has 16 bytes")
        names = frozenset(self.group(group).name for group in groups)
        account = Account(name, nt_hash, names, check_text(full_name), check_text(comment), disabled)
        self.users[name] = account
        self._folded.setdefault(fold(name), account)
        return account

    def delete(self, name: str) -> Account:
        """Delete a user. Raises Win32Error 2221."""
        account = self.account(name)
        del self.users[account.name]
        self._release(account)
        return account

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password. Raises Win32Error 2221, 2245."""
        self.account(name).nt_hash = _hash(password)

    def change(
        self, name: str, *, full_name: str | None = None, comment: str | None = None, disabled: bool | None = None
    ) -> Account:
        """Change what is given, keep the rest. Raises Win32Error 2221, 87."""
        account = self.account(name)
        if full_name is not None:
            full_name = check_text(full_name)
        if comment is not None:
            account.comment = check_text(comment)
        if full_name is not None:
            account.full_name = full_name
        if disabled is not None:
            account.disabled = disabled
        return account

    def is_guest(self, account: Account) -> bool:
        """MS-SMB2 note on 3.3.5.5.3: the account Guest and every member of Guests log on as guests."""
        return GUESTS in account.groups or fold(account.name) == "GUEST"

    # --- groups

    def group(self, name: str) -> Group:
        """The group of that name, else the one whose name differs in case alone. Raises Win32Error 2220."""
        found = self.groups.get(name) or self._folded.get(fold(name))
        if not isinstance(found, Group):
            raise Win32Error(codes.NERR_GroupNotFound)
        return found

    def add_group(self, name: str, comment: str = "") -> Group:
        """Add a group. Raises Win32Error 2202, 2223 (taken), 87."""
        check_name(name)
        if self._is_taken(name):
            raise Win32Error(codes.NERR_GroupExists)
        group = Group(name, check_text(comment))
        self.groups[name] = group
        self._folded.setdefault(fold(name), group)
        return group

    def delete_group(self, name: str) -> Group:
        """Delete a group and every membership in it. Raises Win32Error 2220, and 2234 for a built-in group."""
        group = self.group(name)
        if group.built_in:
            raise Win32Error(codes.NERR_SpeGroupOp, f"{group.name} is a built-in group and cannot be deleted")
        for account in self.members(group.name):
            account.groups -= {group.name}
        del self.groups[group.name]
        self._release(group)
        return group

    def members(self, name: str) -> list[Account]:
        """The users in a group, in the order of the file. Raises Win32Error 2220."""
        group = self.group(name)
        return [account for account in self.users.values() if group.name in account.groups]

    def add_member(self, group_name: str, user_name: str) -> None:
        """Put a user into a group. Raises Win32Error 2220, 2221, and 1378 when it is there already."""
        group, account = self.group(group_name), self.account(user_name)
        if group.name in account.groups:
            raise Win32Error(codes.ERROR_MEMBER_IN_ALIAS)
        account.groups |= {group.name}

    def remove_member(self, group_name: str, user_name: str) -> None:
        """Take a user out of a group. Raises Win32Error 2220, 2221, and 1377 when it is not there."""
        group, account = self.group(group_name), self.account(user_name)
        if group.name not in account.groups:
            raise Win32Error(codes.ERROR_MEMBER_NOT_IN_ALIAS)
        account.groups -= {group.name}

    # --- names

    def _is_taken(self, name: str) -> bool:
        found = self._folded.get(fold(name))
        if found is None:
            return False
        # A file may hold two names that an earlier version compared as different.
        return not self._is_loading or upper_each(found.name) == upper_each(name)

    def _release(self, entry: Account | Group) -> None:
        """Free the name of an entry that is deleted; another entry of the same folded name keeps it."""
        folded = fold(entry.name)
        if self._folded[folded] is entry:
            del self._folded[folded]
            others: tuple[Account | Group, ...] = (*self.users.values(), *self.groups.values())
            for other in others:
                if fold(other.name) == folded:
                    self._folded[folded] = other
                    break

    # --- the file

    @classmethod
    def parse(cls, data: bytes) -> Accounts:
        """Read the contents of an account file, UTF-8. Raises AccountsError."""
        return _Parser().parse(data)

    def dump(self) -> bytes:
        """The contents of the account file, UTF-8; `parse` gives back an equal model."""
        lines = [
            "# The accounts of the lanman Server service. An NT hash is as good as the password: keep this private.",
            f"version = {VERSION}",
        ]
        for group in self.groups.values():
            if not group.built_in or group.comment != BUILT_IN_GROUPS[group.name]:
                lines += ["", f"[group {group.name}]", f"comment = {group.comment}"]
        for account in self.users.values():
            lines += [
                "",
                f"[user {account.name}]",
                f"nt_hash = {account.nt_hash.hex()}",
                f"groups = {', '.join(sorted(account.groups))}",
                f"full_name = {account.full_name}",
                f"comment = {account.comment}",
                f"disabled = {'yes' if account.disabled else 'no'}",
            ]
        return "\n".join([*lines, ""]).encode()


def _hash(password: str) -> bytes:
    return nt_hash(check_password(password))


class _Parser:
    """Reads sections in any order, then builds the model: groups first, so that a user may stand above its groups."""

    KEYS: Final = {
        "": {"version"},
        "user": {"nt_hash", "groups", "full_name", "comment", "disabled"},
        "group": {"comment"},
    }

    def parse(self, data: bytes) -> Accounts:
        """The model that a file's contents describe. Raises AccountsError, which names the line."""
        self._check_version(data)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise AccountsError(f"accounts, line {line}: not UTF-8 text") from None
        sections = self._sections(text)
        self._require_version(sections.pop(0)[3])
        accounts = Accounts()
        accounts._is_loading = True
        for kind, name, line, values in sections:
            if kind == "group":
                self._add_group(accounts, name, line, values)
        for kind, name, line, values in sections:
            if kind == "user":
                self._add_user(accounts, name, line, values)
        accounts._is_loading = False
        return accounts

    def _sections(self, text: str) -> list[tuple[str, str, int, dict[str, tuple[int, str]]]]:
        """Kind, name, line and {key: (line, value)} of each, in order; the first is what stands above them all."""
        sections: list[tuple[str, str, int, dict[str, tuple[int, str]]]] = [("", "", 1, {})]
        for number, raw in enumerate(text.split("\n"), 1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if line[0] == "[":
                kind, _, name = line[1:-1].strip().partition(" ")
                if line[-1] != "]" or kind not in ("user", "group"):
                    raise AccountsError(f"accounts, line {number}: expected [user NAME] or [group NAME]")
                sections.append((kind, name.strip(), number, {}))
                continue
            key, equals, value = line.partition("=")
            key = key.rstrip()
            kind, _, _, values = sections[-1]
            if not equals:
                raise AccountsError(f"accounts, line {number}: expected KEY = VALUE")
            if key not in self.KEYS[kind]:
                raise AccountsError(f"accounts, line {number}: {key!a} is not a key here")
            if key in values:
                raise AccountsError(f"accounts, line {number}: {key} is given twice")
            values[key] = number, value.strip()
        return sections

    def _check_version(self, data: bytes) -> None:
        """A newer version may be written in any way, so it comes before everything else."""
        line, found = version_line(data) or (1, VERSION)
        try:
            check_version(found, VERSION)
        except NewerVersion as error:
            raise AccountsError(f"accounts, line {line}: version: {error.message}", hint=error.hint) from None

    def _require_version(self, values: dict[str, tuple[int, str]]) -> None:
        line, version = values.get("version", (1, ""))
        if version != str(VERSION):
            expected = f"expected 'version = {VERSION}' before the first section"
            raise AccountsError(f"accounts, line {line}: version: {expected}")

    def _add_group(self, accounts: Accounts, name: str, line: int, values: dict[str, tuple[int, str]]) -> None:
        at, comment = values.get("comment", (line, ""))
        try:
            found = accounts._folded.get(fold(name))
            if isinstance(found, Group) and found.built_in and "comment" in values:
                found.comment = check_text(comment)
            else:
                accounts.add_group(name, comment)
        except Win32Error as error:
            key = "comment" if error.code == codes.ERROR_INVALID_PARAMETER else "group"
            raise AccountsError(f"accounts, line {at if key == 'comment' else line}: {key}: {error.message}") from None

    def _add_user(self, accounts: Accounts, name: str, line: int, values: dict[str, tuple[int, str]]) -> None:
        key, at = "user", line
        try:
            account = accounts.add(name, groups=())
            for key, (at, value) in values.items():  # noqa: B007 - an error names the line
                if key == "nt_hash":
                    account.nt_hash = parse_nt_hash(value) if value else b""
                elif key == "groups":
                    account.groups = self._groups(accounts, value)
                elif key == "disabled":
                    account.disabled = self._yes_or_no(value)
                else:
                    setattr(account, key, check_text(value))
        except (Win32Error, BadHash) as error:
            raise AccountsError(f"accounts, line {at}: {key}: {error.message}") from None

    def _groups(self, accounts: Accounts, value: str) -> frozenset[str]:
        names = set()
        for part in value.split(",") if value else ():
            name = part.strip()
            try:
                names.add(accounts.group(name).name)
            except Win32Error as error:
                before = [group for group in accounts.groups if upper_each(group) == upper_each(name)]
                if not before:
                    raise Win32Error(error.code, f"there is no group {name!a}") from None
                names.add(before[0])
        return frozenset(names)

    def _yes_or_no(self, value: str) -> bool:
        if value.lower() not in ("yes", "no"):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "expected yes or no")
        return value.lower() == "yes"
