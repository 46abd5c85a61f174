"""The Server's configuration: server.toml read into typed values, every error naming its line and key.

    [server]         listen port name comment hidden user autodisconnect max_sessions signing encryption
                     session_rights guest share_roots keytab end_sessions_of_removed_accounts filesystem_name
    [limits]         opens_per_session tree_connects_per_session sessions_per_connection
                     unauthenticated unauthenticated_per_address anonymous anonymous_per_address connections
    [log]            file max_bytes keep
    [null_sessions]  pipes shares linger
    [domain]         realm
    [shares.NAME]    path comment read write guest max_users hidden encryption windows_names confined

A key that is not in this table is an error: a misspelt `encyption = "required"` must not pass unnoticed.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lanman.domain import SESSION_LIMITS
from lanman.errors import AccessDenied, LanmanError
from lanman.names import fold
from lanman.net.place import read_file

SESSIONS_HINT: Final = "a number from 0 (no limit) to 2147483647, or " + ", ".join(
    f'"{name}"' + (f" ({number})" if number else "") for name, number in SESSION_LIMITS.items()
)


class ConfigurationError(LanmanError):
    """The configuration cannot be used; the message names the file, the line and the key."""

    code = 87  # ERROR_INVALID_PARAMETER


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may take. `unauthenticated` counts connections without a session, `anonymous` those that have null
    sessions and guests' alone, in all and per address (64 bits of an IPv6 one); `connections` counts all of them."""

    opens_per_session: int = 16384
    tree_connects_per_session: int = 2048
    sessions_per_connection: int = 2048
    unauthenticated: int = 1024
    unauthenticated_per_address: int = 64
    anonymous: int = 1024
    anonymous_per_address: int = 64
    connections: int = 4096


@dataclass(frozen=True, slots=True)
class Log:
    """Where the log goes; `file` "" is standard error, or server.log in the home of a Server in the background. It is
    rotated when it has `max_bytes` (0: never), and `keep` older ones stay."""

    file: str = ""
    max_bytes: int = 16 * 1024 * 1024
    keep: int = 4


@dataclass(frozen=True, slots=True)
class NullSessions:
    """What an anonymous session may open; `linger` is how many seconds it stays listed after its last use."""

    pipes: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    linger: int = 30


@dataclass(frozen=True, slots=True)
class Domain:
    """Who else names the Server's users: the Kerberos `realm`, "" being the default realm of krb5.conf."""

    realm: str = ""


@dataclass(frozen=True, slots=True)
class ShareConfiguration:
    """One shared folder. `read` and `write` name users and groups. Without `read` every account may read, without
    `write` whoever reads may write; who may write may read. `guest` is what guests may do, "" being nothing.
    `max_users` 0: no limit. `confined`: no use, if the path is not a real one, without links, within share_roots."""

    path: str
    comment: str = ""
    read: tuple[str, ...] | None = None
    write: tuple[str, ...] | None = None
    max_users: int = 0
    hidden: bool = False
    encryption: bool = False
    guest: Literal["", "read", "write"] = ""
    windows_names: Literal["strict", "allow"] = "strict"
    confined: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole of server.toml. `autodisconnect` is in minutes, -1 never; `max_sessions` 0 is no limit; `name` "" is
    this machine's own name; `user` "" is to stay who one is; `keytab` "" is no Kerberos."""

    listen: tuple[str, ...] = ("0.0.0.0", "::")
    port: int = 445
    name: str = ""
    comment: str = ""
    hidden: bool = False
    user: str = ""
    autodisconnect: int = 15
    max_sessions: int = 0
    signing: Literal["required", "offered"] = "required"
    encryption: Literal["off", "offered", "required"] = "offered"
    session_rights: Literal["hardened", "legacy"] = "hardened"
    guest: bool = False
    share_roots: tuple[str, ...] = ()
    end_sessions_of_removed_accounts: bool = True
    keytab: str = ""
    filesystem_name: str = "NTFS"
    limits: Limits = field(default_factory=Limits)
    null_sessions: NullSessions = field(default_factory=NullSessions)
    domain: Domain = field(default_factory=Domain)
    log: Log = field(default_factory=Log)
    shares: Mapping[str, ShareConfiguration] = field(default_factory=dict)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text in quotation marks")
    return value


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and "\0" not in path


def _absolute_path(value: Any) -> str:
    if not _is_absolute(text := _text(value)):
        raise ValueError("must be the absolute path of a file")
    return text


def _realm(value: Any) -> str:
    if not re.fullmatch(r"[^\x00-\x20/@:\\]+", text := _text(value)):
        raise ValueError("must be the name of a Kerberos realm, such as EXAMPLE.COM; upper and lower case count")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _guest(value: Any) -> str:
    if value is False:
        return ""
    if value not in ("read", "write"):
        raise ValueError('must be false, "read" or "write"')
    return str(value)


def _number(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a number from {low} to {high}")
        return value

    return check


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError("must be " + " or ".join(f'"{choice}"' for choice in choices))
        return str(value)

    return check


def _list(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of texts, such as ["one", "two"]')
    return tuple(value)


def _folders(value: Any) -> tuple[str, ...]:
    if not all(map(_is_absolute, _list(value))):
        raise ValueError("must be a list of the absolute paths of folders")
    return tuple(value)


def listen_address(text: str) -> tuple[str, int | None]:
    r"""An address to listen on and its own port, if it names one: `ADDRESS`, `ADDRESS:PORT`, `[::1]:PORT`, `\\ADDRESS`
    and `smb://ADDRESS/`, as `-S` takes them. Names are none: they may mean another at the next start. Raises
    ValueError."""
    import ipaddress

    bare = re.sub(r"\A(\\{1,2}|//|smb://)", "", text, flags=re.IGNORECASE)
    bare = re.sub(r"[/\\]\Z", "", bare)
    match = re.fullmatch(r"\[([^\]]*)\](?::([0-9]{1,5}))?|([^:]*):([0-9]{1,5})|(.*)", bare, re.DOTALL)
    assert match is not None
    bracketed, port, host, port_of_host, alone = match.groups()
    port = port or port_of_host
    address = bracketed if bracketed is not None else host if host is not None else alone
    known = None
    with suppress(ValueError):
        known = ipaddress.ip_address(address)
    if known is None or known.is_multicast or (bracketed is not None and known.version == 4):
        raise ValueError(f"{text}: is not an IPv4 or IPv6 address to listen on, nor one with a port: [::1]:4450")
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
        raise ValueError(f"{text}: is an IPv4 address; write {known.ipv4_mapped}")
    if port is not None and int(port) > 65535:
        raise ValueError(f"{text}: a port is a number from 0 to 65535")
    return address, None if port is None else int(port)


def _addresses(value: Any) -> tuple[str, ...]:
    for text in _list(value):
        listen_address(text)
    return tuple(value)


# MS-SRVS 3.1.4.7: a remark is at most 48 characters; the Server's own comment is held to the same.
def _comment(value: Any) -> str:
    text = _text(value)
    if len(text) > 48 or any(ord(character) < 32 for character in text):
        raise ValueError("must be at most 48 characters without control characters")
    return text


def _filesystem_name(value: Any) -> str:
    text = _text(value)
    if not 1 <= len(text) <= 32 or not text.isascii() or not text.isprintable():
        raise ValueError('must be the name of a file system, 1 to 32 characters of ASCII, such as "NTFS"')
    return text


def _sessions(value: Any) -> int:
    """A number of sessions, or the name of a Windows edition that has such a limit; 0 is none."""
    if isinstance(value, str) and value in SESSION_LIMITS:
        return SESSION_LIMITS[value]
    try:
        return _number(0, 0x7FFFFFFF)(value)
    except ValueError:
        raise ValueError(f"must be {SESSIONS_HINT}") from None


_COUNT: Final = _number(1, 0x7FFFFFFF)

_SERVER: Final[Mapping[str, Callable[[Any], Any]]] = {
    "listen": _addresses,
    "port": _number(0, 65535),
    "name": _text,
    "comment": _comment,
    "hidden": _flag,
    "user": _text,
    "autodisconnect": _number(-1, 65535),
    "max_sessions": _sessions,
    "signing": _one_of("required", "offered"),
    "encryption": _one_of("offered", "required", "off"),
    "session_rights": _one_of("hardened", "legacy"),
    "guest": _flag,
    "share_roots": _folders,
    "end_sessions_of_removed_accounts": _flag,
    "keytab": _absolute_path,
    "filesystem_name": _filesystem_name,
}
_LIMITS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "opens_per_session": _number(1, 16384),  # the maxima of MS-SRVS 3.1.4.18
    "tree_connects_per_session": _number(1, 2048),
    "sessions_per_connection": _number(1, 2048),
    "unauthenticated": _COUNT,
    "unauthenticated_per_address": _COUNT,
    "anonymous": _COUNT,
    "anonymous_per_address": _COUNT,
    "connections": _COUNT,
}
_LOG: Final[Mapping[str, Callable[[Any], Any]]] = {
    "file": _absolute_path,
    "max_bytes": _number(0, 0x7FFFFFFFFFFFFFFF),
    "keep": _number(0, 1000),
}

# What management calls may set, and those of it that are in [limits].
LIMITS: Final = frozenset({"opens_per_session", "tree_connects_per_session", "sessions_per_connection"})
SETTABLE: Final = frozenset({"comment", "hidden", "autodisconnect", "max_sessions"}) | LIMITS

MAX_SHARE_NAME: Final = 80
RESERVED_SHARE_NAMES: Final = frozenset(map(fold, ("pipe", "mailslot")))  # MS-SRVS 3.1.4.7

# Far more than the configuration of a hundred thousand shares takes, in bytes.
MAX_SIZE: Final = 64 * 1024 * 1024

_NULL_SESSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "pipes": _list,
    "shares": _list,
    "linger": _number(0, 86400),
}
_DOMAIN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "realm": _realm,
}
_SHARE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "path": _text,
    "comment": _comment,
    "read": _list,
    "write": _list,
    "max_users": _number(0, 0x7FFFFFFF),
    "hidden": _flag,
    "encryption": _flag,
    "guest": _guest,
    "windows_names": _one_of("strict", "allow"),
    "confined": _flag,
}


def number_of_sessions(text: str) -> int | None:
    """A limit of sessions as people type it; None for what is none."""
    try:
        return _sessions(int(text) if text.isascii() and text.isdigit() else text.casefold())
    except ValueError:
        return None


def parse_configuration(text: str, source: str = "server.toml") -> Configuration:
    """The configuration that `text` describes. Raises ConfigurationError, which names `source`, line and key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib ends its message with "(at line 3, column 7)".
        where = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = f" line {where[1] if where else len(text.splitlines())}"
        problem = re.sub(r" *\(at .*\)$", "", str(error))
        raise ConfigurationError(f"{source}{line}: {problem}") from None
    reader = _Reader(text, source)
    for name in document:
        if name not in ("server", "limits", "null_sessions", "domain", "log", "shares"):
            raise reader.error((), name, "is not a section of this file")
    shares = reader.table(document, "shares")
    known: dict[str, str] = {}
    for name in shares:
        if (other := known.setdefault(fold(name), name)) != name:
            raise reader.error(
                ("shares", name), None, f"is the same share as [shares.{other}]: letter case does not count"
            )
    return Configuration(
        **reader.section(document, "server", _SERVER),
        limits=Limits(**reader.section(document, "limits", _LIMITS)),
        null_sessions=NullSessions(**reader.section(document, "null_sessions", _NULL_SESSIONS)),
        domain=Domain(**reader.section(document, "domain", _DOMAIN)),
        log=Log(**reader.section(document, "log", _LOG)),
        shares={name: reader.share(shares, name) for name in shares},
    )


def _units(name: str) -> int:
    """How long a name is on the wire, in UTF-16 code units."""
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def share_name_problem(name: str) -> str:
    """Why a share cannot be called so; "" if it can."""
    # MS-SRVS 3.1.4.7: 1 to 80 characters; MS-FSCC 2.1.6 has the characters that a share name may not hold.
    if not name.strip(". ") or name != name.strip():
        return "is not a share name (clients take dots and spaces for a place in a path, or fold them away)"
    if fold(name) in RESERVED_SHARE_NAMES:
        return "is not a share name (it would stand in the way of pipes and mailslots)"
    if not 1 <= _units(name) <= MAX_SHARE_NAME or re.search(r'[\x00-\x1f"\\/\[\]:|<>+=;,*?]', name):
        return f'is not a share name (1 to {MAX_SHARE_NAME} characters, none of "\\/[]:|<>+=;,*?)'
    return ""


def check_setting(name: str, value: Any) -> Any:
    """A value of those that management can set. Raises ValueError, which says what it must be."""
    if name not in SETTABLE:
        raise ValueError(f"{name} cannot be set")
    return (_LIMITS if name in LIMITS else _SERVER)[name](value)


def parse_share(name: str, values: Mapping[str, Any]) -> ShareConfiguration:
    """One shared folder from its keys. Raises ValueError."""
    if problem := share_name_problem(name):
        raise ValueError(f"{name!a} {problem}")
    for key in values:
        if key not in _SHARE:
            raise ValueError(f"{key} is not a key of a share")
    share = ShareConfiguration(**{key: _SHARE[key](value) for key, value in values.items()})
    if not _is_absolute(share.path):
        raise ValueError("path must be the absolute path of a folder")
    return share


def read_configuration(path: Path, *, named: bool = False) -> Configuration:
    """The configuration in a file; the defaults where there is none. One that somebody has `named` may lie anywhere;
    the home's own is found as `net.place` says. Raises ConfigurationError, and AccessDenied as `net.place` does."""
    try:
        found = (path.read_bytes(), None) if named else read_file(path, MAX_SIZE)
        if found is None:
            return Configuration()
        text = found[0].decode("utf-8")
    except FileNotFoundError:
        return Configuration()
    except AccessDenied:
        raise
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}", code=5 if error.errno == 13 else 2
        ) from None
    return parse_configuration(text, str(path))


class _Reader:
    """Checks tables against the key tables above and finds the line that an error is about."""

    def __init__(self, text: str, source: str) -> None:
        self._lines = text.splitlines()
        self._source = source

    def table(self, parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = parent.get(name, {})
        if not isinstance(value, dict):
            raise self.error((), name, f"must be a section, written [{name}]")
        return value

    def section(
        self, parent: Mapping[str, Any], name: str, keys: Mapping[str, Callable[[Any], Any]], *path: str
    ) -> dict[str, Any]:
        checked = {}
        for key, value in self.table(parent, name).items():
            check = keys.get(key)
            if check is None:
                raise self.error((*path, name), key, "is not a key of this section")
            try:
                checked[key] = check(value)
            except ValueError as error:
                raise self.error((*path, name), key, str(error)) from None
        return checked

    def share(self, shares: Mapping[str, Any], name: str) -> ShareConfiguration:
        if problem := share_name_problem(name):
            raise self.error(("shares", name), None, problem)
        values = self.section(shares, name, _SHARE, "shares")
        if not _is_absolute(values.get("path", "")):
            raise self.error(("shares", name), "path", "must be the absolute path of a folder")
        return ShareConfiguration(**values)

    def error(self, section: tuple[str, ...], key: str | None, problem: str) -> ConfigurationError:
        heading = ".".join(section)
        line = self._line(section, key)
        where = f"{self._source} line {line}" if line else self._source
        return ConfigurationError(
            f"{where}: {f'[{heading}] ' if heading else ''}{key or ''} {problem}".replace("  ", " ")
        )

    def _line(self, section: tuple[str, ...], key: str | None) -> int | None:
        """The first line that sets `key` in `section`; the section's heading if there is none; None if inline."""
        current: tuple[str, ...] = ()
        heading_line = None
        for number, line in enumerate(self._lines, 1):
            if heading := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$", line):
                current = tuple(part.strip(" \"'") for part in heading[1].split("."))
                if current == section or (not section and current == (key,)):
                    heading_line = number
            elif key and current == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                return number
        return heading_line


def with_options(configuration: Configuration, **options: Any) -> Configuration:
    """The configuration with what was given on the command line put over it; options that are None change nothing."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        try:
            given[name] = _SERVER[name](list(value) if isinstance(value, tuple) else value)
        except ValueError as error:
            raise ConfigurationError(f"{name.replace('_', '-')}: {error}") from None
    return dataclasses.replace(configuration, **given)
