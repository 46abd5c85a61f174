"""The settings of a Server, each declared once.

A setting is one field of one of the classes below, which are the sections of server.toml:

    [server]         Configuration        [log]            Log
    [limits]         Limits               [metrics]        Metrics
    [null_sessions]  NullSessions         [domain]         Domain
    [shares.NAME]    ShareConfiguration

    autodisconnect: int = setting(15, number(-1, 65535), "after how long an idle session is ended", unit="minutes",
                                  member=Member("disc", SV_DISC_PARMNUM, none=-1))

The field's annotation is the type that readers see; the rest is its default, what may be written in server.toml (a
`Kind`), one line of documentation, and, if management may change it while the Server runs, the member of SERVER_INFO
that it is there. Nothing else has to be told that a setting exists:

* `net.configuration` reads server.toml by these declarations; its errors quote the sentence of the `Kind`.
* `net.overlay` keeps what was changed at run time, for every setting that has a member.
* NetrServerGetInfo and NetrServerSetInfo show and change every setting that has a member.
* The tables of docs/reference-server-toml.md and the example of docs/reference/configuration.md are made from them by
  `python -m lanman.faces.reference`; a test compares.

The rules:

* A `Configuration` is a value: frozen, and complete. One Server has one `RunningSettings`, whose `current` is the
  `Configuration` in force; code that needs a setting reads it there at each use and keeps no copy. A change replaces
  `current` as a whole, so no reader sees a part of one.
* Constructing a `Configuration` in a program checks nothing. What comes from a file, the command line or a client is
  checked by `check` before it gets into one.
* The names of settings that management may change are unique among all sections: the kept file `settings` names them
  without their section.
* Values are in the unit of server.toml (minutes, for example). Code that needs another unit converts at the use.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any, Final, Generic, Literal, TypeVar, cast

from lanman.names import MAX_SHARE_NAME, NOT_IN_A_SHARE_NAME, fold
from lanman.plain import dataclass

T = TypeVar("T")

NEVER: Final = -1
UNLIMITED: Final = 0xFFFFFFFF
"""What SERVER_INFO and SHARE_INFO have for "no limit" (SV_USERS_UNLIMITED, SHI_USES_UNLIMITED)."""

MAX_COMMENT: Final = 48
"""MS-SRVS 3.1.4.7: a remark has at most 48 characters; the Server's own comment is held to the same."""

RESERVED_SHARE_NAMES: Final = frozenset(map(fold, ("pipe", "mailslot")))
"""Folded. They would stand in the way of pipes and mailslots (MS-SRVS 3.1.4.7)."""

# Inbound connection limits of the Windows editions (KB 122920, KB 314882); 0 is no limit.
SESSION_LIMITS: Final = {"unlimited": 0, "workstation": 10, "home": 5, "windows11": 20}
SESSIONS_HINT: Final = "a number from 0 (no limit) to 2147483647, or " + ", ".join(
    f'"{name}"' + (f" ({number})" if number else "") for name, number in SESSION_LIMITS.items()
)

# MS-SRVS 2.2.2.12: what ParmErr calls a member of SERVER_INFO that cannot be set.
SV_COMMENT_PARMNUM: Final = 5
SV_DISC_PARMNUM: Final = 10
SV_HIDDEN_PARMNUM: Final = 16
SV_USERS_PARMNUM: Final = 107
SV_SESSOPENS_PARMNUM: Final = 501
SV_SESSUSERS_PARMNUM: Final = 510
SV_SESSCONNS_PARMNUM: Final = 511

Applies = Literal["reload", "connection", "start"]


# --- What a setting is


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What may be written for a setting. `check` takes a value as tomllib gives it and returns it as the Configuration
    has it, or raises ValueError with a sentence that follows the key: "must be ...". `values` describes it in a table.
    """

    check: Callable[[Any], T]
    values: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """What a setting is to management calls: a member of SERVER_INFO (MS-SRVS 2.2.4.40 on).

    `parameter` is the number that ParmErr has for it (2.2.2.12). `none` is the setting's value for "no limit", "never";
    SERVER_INFO has `wire_none` for that, and both -1 and 0xFFFFFFFF are understood.
    """

    name: str
    parameter: int
    none: int | None = None
    wire_none: int = UNLIMITED

    def shown(self, value: Any) -> Any:
        """A setting's value as SERVER_INFO has it."""
        return self.wire_none if self.none is not None and value == self.none else value

    def understood(self, value: Any) -> Any:
        """The setting's value, unchecked, from that of SERVER_INFO. Raises ValueError for one that says nothing."""
        if self.none is not None:
            if value in (NEVER, UNLIMITED):
                return self.none
            if value == self.none:  # "no users at all" is no limit that anybody means
                raise ValueError("must not be 0")
        return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting. `section` is the heading in server.toml, "shares.NAME" for those of a share; `default` is
    None for one that has to be given (`required` says then what is missing); `applies` is when a new value counts that
    was read from server.toml again. One with a `member` can be changed by management, and that counts at once."""

    section: str
    name: str
    kind: Kind[Any]
    doc: str
    default: Any
    unit: str = ""
    applies: Applies = "reload"
    member: Member | None = None
    default_text: str = ""
    example: Any = None
    required: str = ""

    def check(self, value: Any) -> Any:
        """The value as a Configuration has it. Raises ValueError, whose sentence follows the key."""
        return self.kind.check(value)

    def from_member(self, value: Any) -> Any:
        """The value that a member of SERVER_INFO asks for. Raises ValueError for one out of range."""
        assert self.member is not None
        if isinstance(self.default, bool):
            return bool(value)
        if isinstance(self.default, str):
            return self.check(printable(value or ""))
        return self.check(self.member.understood(value))


def setting(
    default: T,
    kind: Kind[T],
    doc: str,
    *,
    unit: str = "",
    applies: Applies = "reload",
    member: Member | None = None,
    default_text: str = "",
    example: Any = None,
) -> T:
    """Declare a setting: the right side of a field of one of the section classes.

    `doc` is its line in the reference; what stands before the first `;` is its comment in the example there. `unit` is
    "minutes" or the like. `default_text` is what the reference says of a default that is not a value; `example` is what
    the example has in place of the default.
    """
    more = {"unit": unit, "applies": applies, "member": member, "default_text": default_text, "example": example}
    return field(default=default, metadata=declared(kind, doc, **more))


def declared(kind: Kind[Any], doc: str, **more: Any) -> Mapping[str, Any]:
    """The metadata of a field that is a setting, for one that has no default, or one that is made. `more` is as in
    `setting`; `required` is the end of the sentence about a section that lacks it."""
    return {"setting": {"kind": kind, "doc": doc, **more}}


# --- Kinds


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


_FOLDER: Final = "must be the absolute path of a folder"


def _folder(value: Any) -> str:
    if not _is_absolute(text := _text(value)):
        raise ValueError(_FOLDER)
    return text


def _realm(value: Any) -> str:
    if not re.fullmatch(r"[^\x00-\x20/@:\\]+", text := _text(value)):
        raise ValueError("must be the name of a Kerberos realm, such as EXAMPLE.COM; upper and lower case count")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _guest(value: Any) -> Literal["", "read", "write"]:
    if value is False:
        return ""
    if value not in ("read", "write"):
        raise ValueError('must be false, "read" or "write"')
    return cast(Literal["read", "write"], value)


def _list(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of texts, such as ["one", "two"]')
    return tuple(value)


def _metrics_address(value: Any) -> str:
    text = _text(value)
    if text:
        try:
            metrics_address(text)
        except ValueError as error:
            raise ValueError(f"must be ADDRESS:PORT or unix:/PATH; {error}") from None
    return text


def _folders(value: Any) -> tuple[str, ...]:
    if not all(map(_is_absolute, _list(value))):
        raise ValueError("must be a list of the absolute paths of folders")
    return tuple(value)


def _addresses(value: Any) -> tuple[str, ...]:
    for text in _list(value):
        listen_address(text)
    return tuple(value)


def _filesystem_name(value: Any) -> str:
    text = _text(value)
    if not 1 <= len(text) <= 32 or not text.isascii() or not text.isprintable():
        raise ValueError('must be the name of a file system, 1 to 32 characters of ASCII, such as "NTFS"')
    return text


def _multichannel(value: Any) -> Literal["auto"] | bool:
    if not isinstance(value, bool) and value != "auto":
        raise ValueError('must be "auto", true or false')
    return cast(Literal["auto"] | bool, value)


def _sessions(value: Any) -> int:
    if isinstance(value, str) and value in SESSION_LIMITS:
        return SESSION_LIMITS[value]
    try:
        return number(0, 0x7FFFFFFF).check(value)
    except ValueError:
        raise ValueError(f"must be {SESSIONS_HINT}") from None


def check_comment(value: Any) -> str:
    """The comment of the Server or of a share. Raises ValueError for one that is too long or has control characters, or
    lone surrogates, which no file could keep."""
    text = _text(value)
    if len(text) > MAX_COMMENT or any(character < " " or "\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"must be at most {MAX_COMMENT} characters without control characters")
    return text


def printable(text: str) -> str:
    """A text that a client wants kept; server.toml may have more, since its owner sees what is in it. Raises ValueError
    for control, format (bidirectional) and unassigned characters."""
    if not text.isprintable():
        raise ValueError("must be printable characters")
    return text


def number(low: int, high: int) -> Kind[int]:
    """A number from `low` to `high`, both included."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a number from {low} to {high}")
        return value

    return Kind(check, f"at least {low}" if high == 0x7FFFFFFF else f"{low} to {high}")


def one_of(*choices: T) -> Kind[T]:
    """One of these words, and no other."""

    def check(value: Any) -> T:
        if value not in choices:
            raise ValueError("must be " + " or ".join(f'"{choice}"' for choice in choices))
        return cast(T, value)

    return Kind(check, ", ".join(f'`"{choice}"`' for choice in choices))


ADDRESSES: Final = Kind(_addresses, "addresses, not names")
COMMENT: Final = Kind(check_comment, f"at most {MAX_COMMENT} characters")
COUNT: Final = number(1, 0x7FFFFFFF)
FILE: Final = Kind(_absolute_path, "absolute path")
FILESYSTEM_NAME: Final = Kind(_filesystem_name, "1 to 32 ASCII characters")
FLAG: Final = Kind(_flag, "`true`, `false`")
FOLDER: Final = Kind(_folder, "absolute path")
FOLDERS: Final = Kind(_folders, "absolute paths")
GUEST: Final = Kind(_guest, '`false`, `"read"`, `"write"`')
METRICS_ADDRESS: Final = Kind(_metrics_address, "`ADDRESS:PORT`, `unix:/PATH`")
MULTICHANNEL: Final = Kind(_multichannel, '`"auto"`, `true`, `false`')
NAMES: Final = Kind(_list, "names")
PRINCIPALS: Final[Kind[tuple[str, ...] | None]] = Kind(_list, "users and groups")
REALM: Final = Kind(_realm, "a Kerberos realm; upper and lower case count")
SESSIONS: Final = Kind(_sessions, "number or name")
TEXT: Final = Kind(_text, "text")


# --- The sections


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]: what peers may take. An address is an IPv4 one, or 64 bits of an IPv6 one."""

    opens_per_session: int = setting(
        16384,
        number(1, 16384),  # the maxima of MS-SRVS 3.1.4.18
        "files that one session may have open; the next is refused with STATUS_TOO_MANY_OPENED_FILES",
        member=Member("sessopens", SV_SESSOPENS_PARMNUM),
    )
    opens_per_user: int = setting(
        32768,
        number(0, 0x7FFFFFFF),
        "open files of one user, over all sessions; those kept for a lost connection count, a folder counts twice. "
        "0: no limit but the one that there always is: a user has at most four fifths of what there are descriptors "
        "for. The next is refused with STATUS_TOO_MANY_OPENED_FILES",
    )
    tree_connects_per_session: int = setting(
        2048,
        number(1, 2048),
        "shares that one session may be connected to; the next is refused with STATUS_INSUFFICIENT_RESOURCES",
        member=Member("sessconns", SV_SESSCONNS_PARMNUM),
    )
    sessions_per_connection: int = setting(
        2048,
        number(1, 2048),
        "sessions of one connection; the next log-on is refused with STATUS_REQUEST_NOT_ACCEPTED",
        member=Member("sessusers", SV_SESSUSERS_PARMNUM),
    )
    durable_opens: int = setting(
        16384,
        number(0, 0x7FFFFFFF),
        "open files that clients may reclaim after a lost connection, in all; beyond it files are opened that go with "
        "their connection. 0: there are none",
    )
    durable_opens_per_user: int = setting(4096, number(0, 0x7FFFFFFF), "the same, of one user")
    unauthenticated: int = setting(
        1024,
        COUNT,
        "connections without a session, in all; the next one takes the place of a silent one, or waits for a place",
    )
    unauthenticated_per_address: int = setting(64, COUNT, "the same, of one address")
    anonymous: int = setting(
        1024,
        COUNT,
        "connections that have null sessions and guests' alone, in all; the next such log-on is refused with "
        "STATUS_REQUEST_NOT_ACCEPTED",
    )
    anonymous_per_address: int = setting(64, COUNT, "the same, of one address")
    connections: int = setting(
        4096,
        COUNT,
        "connections in all; the next one takes the place of one without a session. If all have one, it is accepted "
        "when one ends",
    )

    def reached(self, key: str) -> str:
        """The end of a sentence that tells an administrator which number to look at."""
        return f"[limits] {key} = {getattr(self, key)} is reached"


@dataclass(frozen=True, slots=True)
class Log:
    """[log]: where the log goes. `file` "" is standard error, for a Server in the background the home's server.log."""

    file: str = setting(
        "",
        FILE,
        "where the log goes; `lanman start server` has server.log in the home instead",
        applies="start",
        default_text="standard error",
        example="/var/log/lanman/server.log",
    )
    max_bytes: int = setting(
        16 * 1024 * 1024,
        dataclasses.replace(number(0, 0x7FFFFFFFFFFFFFFF), values="bytes; 0 is never"),
        "how large it may get; then the file is renamed to FILE.1, FILE.1 to FILE.2 and so on",
    )
    keep: int = setting(4, number(0, 1000), "how many older files stay; 0: the file begins anew")


@dataclass(frozen=True, slots=True)
class Metrics:
    """[metrics]: figures for Prometheus, without another process. `listen` "" is none."""

    listen: str = setting(
        "",
        METRICS_ADDRESS,
        "where `lanman serve` gives its figures to Prometheus; needs the extra metrics. Whoever reaches the address "
        "may read them",
        applies="start",
        default_text="none",
        example="127.0.0.1:9745",
    )
    names: bool = setting(
        False, FLAG, "figures of the users and clients that have the most, with their names", applies="start"
    )


@dataclass(frozen=True, slots=True)
class NullSessions:
    """[null_sessions]: what an anonymous session may open, and how many seconds it stays listed after its last use."""

    pipes: tuple[str, ...] = setting(
        (),
        Kind(_list, "names of pipes"),
        'what a null session may open on IPC$; such as `["srvsvc"]`',
    )
    shares: tuple[str, ...] = setting((), Kind(_list, "names of shares"), "the other shares that it may connect to")
    linger: int = setting(30, number(0, 86400), "how long it stays after its last use", unit="seconds")

    def has_pipe(self, name: str) -> bool:
        """Whether a pipe is named here; letter case does not count."""
        return any(each.lower() == name.lower() for each in self.pipes)

    def has_share(self, name: str) -> bool:
        """Whether a share is named here; letter case does not count."""
        return any(fold(each) == fold(name) for each in self.shares)


@dataclass(frozen=True, slots=True)
class Domain:
    """[domain]: who else names the Server's users: the Kerberos realm, "" being the default realm of krb5.conf."""

    realm: str = setting(
        "",
        REALM,
        "whose principals are the Server's users, where it has a `keytab`",
        applies="start",
        default_text="krb5.conf's default realm",
        example="EXAMPLE.COM",
    )


@dataclass(frozen=True, slots=True)
class ShareConfiguration:
    """[shares.NAME]: one shared folder. `read` and `write` name users and groups. Without `read` every account may
    read, without `write` whoever reads may write; who may write may read. `guest` "" is nothing."""

    path: str = field(
        metadata=declared(
            FOLDER,
            "the folder; while it is not there, or cannot be read, the share is "
            "[left out](#folders-that-are-not-there)",
            required=_FOLDER,
            default_text="none",
            example="/srv/projects",
        )
    )
    comment: str = setting("", COMMENT, "the share's remark", example="what we work on")
    read: tuple[str, ...] | None = setting(
        None, PRINCIPALS, "who may read; a writer always may", default_text="every user", example=("Users",)
    )
    write: tuple[str, ...] | None = setting(
        None, PRINCIPALS, "who may write", default_text="who may read", example=("editors",)
    )
    max_users: int = setting(
        0,
        dataclasses.replace(number(0, 0x7FFFFFFF), values="number; 0 is no limit"),
        "how many may use it at once; the next one gets STATUS_REQUEST_NOT_ACCEPTED",
    )
    hidden: bool = setting(False, FLAG, "list it for those alone who manage shares")
    encryption: bool = setting(False, FLAG, "refuse what comes unencrypted")
    guest: Literal["", "read", "write"] = setting(
        "",
        GUEST,
        "what guests may do here, whatever `read` and `write` say; nothing, unless it is named. A guest is a user that "
        "does not exist (`guest` of `[server]`), the account Guest, or a member of Guests",
        default_text="`false`",
        example=False,
    )
    windows_names: Literal["strict", "allow"] = setting(
        "strict",
        one_of("strict", "allow"),
        "whether files may have names that Windows keeps for devices; such as `aux.c` or `con`. "
        '`"strict"` refuses them, as Windows does, and lists those that are on the disk with another first character. '
        "Windows itself opens them on no share",
    )
    confined: bool = setting(
        False, FLAG, "the path must be a real one, without links, within `share_roots`; whenever it is used"
    )


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole of server.toml; its own fields are [server]. `name` "" is this machine's own name; `user` "" is to stay
    who one is; `keytab` "" is no Kerberos; `max_sessions` 0 is no limit."""

    listen: tuple[str, ...] = setting(
        ("0.0.0.0", "::"),
        ADDRESSES,
        "where to listen; each is `ADDRESS`, `ADDRESS:PORT` or `[::1]:PORT`, written as for `-S`",
        applies="start",
    )
    port: int = setting(445, number(0, 65535), "the port to listen on; 0 is any that is free", applies="start")
    name: str = setting(
        "", TEXT, "what the Server calls itself", applies="start", default_text="this machine's", example="FILER01"
    )
    comment: str = setting(
        "",
        COMMENT,
        "shown in lists of servers and by `lanman config server`",
        member=Member("comment", SV_COMMENT_PARMNUM),
        example="branch file server",
    )
    hidden: bool = setting(False, FLAG, "keep out of lists of servers", member=Member("hidden", SV_HIDDEN_PARMNUM))
    user: str = setting(
        "",
        Kind(_text, "a user of this machine"),
        "whom to become after binding, when started as root",
        applies="start",
        example="files",
    )
    loop: Literal["auto", "asyncio", "uvloop"] = setting(
        "asyncio",
        one_of("asyncio", "auto", "uvloop"),
        "the event loop of `lanman serve` and `lanman start server`; uvloop is installed by "
        "`pip install 'lanman[speed]'`, and `\"auto\"` takes it where it is",
        applies="start",
    )
    autodisconnect: int = setting(
        15,
        number(NEVER, 65535),
        "after how long an idle session without open files is ended; -1 never, 0 within seconds",
        unit="minutes",
        member=Member("disc", SV_DISC_PARMNUM, none=NEVER, wire_none=NEVER),
    )
    max_sessions: int = setting(
        0,
        SESSIONS,
        "how many sessions may exist at once; 0 and "
        '`"unlimited"` are no limit, `"workstation"` is 10, `"home"` 5, `"windows11"` 20, as those editions of Windows '
        "have them",
        member=Member("users", SV_USERS_PARMNUM, none=0),
    )
    signing: Literal["required", "offered"] = setting(
        "required", one_of("required", "offered"), "whether clients must sign", applies="connection"
    )
    encryption: Literal["off", "offered", "required"] = setting(
        "offered",
        one_of("offered", "required", "off"),
        'whether connections are encrypted; `"required"` refuses clients that cannot, null sessions and guests',
        applies="connection",
    )
    multichannel: Literal["auto"] | bool = setting(
        "auto",
        MULTICHANNEL,
        'whether one session may have several connections; `"auto"` is yes where the port is 445. Clients are told of '
        "addresses and not of the port, and take 445 for it ([several connections](sessions.md#several-connections))",
        applies="connection",
    )
    durable_timeout: int = setting(
        300,
        number(1, 86400),
        "for how long a file stays open, at most, for a client that has lost its connection; clients may ask for less "
        "([lost connections](sessions.md#lost-connections))",
        unit="seconds",
    )
    directory_leases: bool = setting(
        False,
        FLAG,
        "whether clients of SMB 3 may cache listings of directories; what other programs change on the disk they learn "
        "late then ([directory leases](sessions.md#directory-leases))",
        applies="connection",
    )
    session_rights: Literal["hardened", "legacy"] = setting(
        "hardened",
        one_of("hardened", "legacy"),
        "who may list sessions; operators only, or, as before Windows 10 1607, levels 0 and 10 for every user",
    )
    guest: bool = setting(
        False,
        FLAG,
        "log users that do not exist on as Guest; they reach the shares alone that name guests",
    )
    filesystem_name: str = setting(
        "NTFS",
        FILESYSTEM_NAME,
        "what the file system of every share calls itself; there are applications that work on `NTFS` alone",
    )
    keytab: str = setting(
        "",
        FILE,
        "the Server's Kerberos keys; without it nobody logs on by Kerberos ([Kerberos](kerberos.md))",
        applies="start",
        example="/etc/lanman/lanman.keytab",
    )
    share_roots: tuple[str, ...] = setting(
        (),
        FOLDERS,
        "the folders within which a share may be added over the network; none: nobody may",
        example=("/srv",),
    )
    end_sessions_of_removed_accounts: bool = setting(
        True,
        FLAG,
        "end the sessions of a user who is deleted or disabled, within two seconds; `false`: they go on until they end "
        "by themselves",
    )
    limits: Limits = field(default_factory=Limits)
    null_sessions: NullSessions = field(default_factory=NullSessions)
    domain: Domain = field(default_factory=Domain)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    shares: Mapping[str, ShareConfiguration] = field(default_factory=dict)


# --- What has been declared


def settings_of(section: str, declaring: Any) -> Mapping[str, Setting]:
    """The settings that a section class declares, by name, in the order of their declaration."""
    settings = {}
    for each in dataclasses.fields(declaring):
        if found := each.metadata.get("setting"):
            default = None if each.default is dataclasses.MISSING else each.default
            if each.default_factory is not dataclasses.MISSING:
                default = each.default_factory()
            settings[each.name] = Setting(section, each.name, default=default, **found)
    return settings


SECTIONS: Final[Mapping[str, Mapping[str, Setting]]] = {
    "server": settings_of("server", Configuration),
    "limits": settings_of("limits", Limits),
    "log": settings_of("log", Log),
    "metrics": settings_of("metrics", Metrics),
    "null_sessions": settings_of("null_sessions", NullSessions),
    "domain": settings_of("domain", Domain),
    "shares.NAME": settings_of("shares.NAME", ShareConfiguration),
}
"""Every setting, by the heading of its section and its name, in the order of the reference."""

_SHARE: Final = SECTIONS["shares.NAME"]
_CLASSES: Final = {"limits": Limits, "log": Log, "metrics": Metrics, "null_sessions": NullSessions, "domain": Domain}

CHANGEABLE: Final[Mapping[str, Setting]] = {
    name: each for settings in SECTIONS.values() for name, each in settings.items() if each.member is not None
}
"""The settings that management may change while the Server runs, by name."""

BY_MEMBER: Final[Mapping[str, Setting]] = {each.member.name: each for each in CHANGEABLE.values() if each.member}
"""The same, by their members of SERVER_INFO."""

assert (
    len(BY_MEMBER)
    == len(CHANGEABLE)
    == sum(each.member is not None for settings in SECTIONS.values() for each in settings.values())
), "two settings that management may change have one name"


def configuration_of(
    sections: Mapping[str, Mapping[str, Any]], shares: Mapping[str, ShareConfiguration]
) -> Configuration:
    """A Configuration from checked values, those of each section by name; the defaults for what is not there."""
    parts: dict[str, Any] = {name: each(**sections.get(name, {})) for name, each in _CLASSES.items()}
    return Configuration(**sections.get("server", {}), **parts, shares=shares)


def value_of(configuration: Configuration, each: Setting) -> Any:
    """What a configuration says of a setting; not for those of a share."""
    section = configuration if each.section == "server" else getattr(configuration, each.section)
    return getattr(section, each.name)


def with_values(configuration: Configuration, values: Mapping[str, Any]) -> Configuration:
    """The configuration with other values, unchecked, for settings that management may change, by name."""
    own: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section = CHANGEABLE[name].section
        (own if section == "server" else parts.setdefault(section, {}))[name] = value
    for section, changes in parts.items():
        own[section] = dataclasses.replace(getattr(configuration, section), **changes)
    return dataclasses.replace(configuration, **own)


def check_changeable(name: str, value: Any) -> Any:
    """A value of a setting that management may change. Raises ValueError, which says what it must be."""
    if name not in CHANGEABLE:
        raise ValueError(f"{name} cannot be set")
    return CHANGEABLE[name].check(value)


def settings_as_text(configuration: Configuration) -> dict[str, str]:
    """What a configuration says of every setting but those of shares, for people: by its name in server.toml, that of
    its section before it (`limits.connections`), but for [server]. Lists are parted by line feeds; "" is none."""
    texts: dict[str, str] = {}
    for section, settings in SECTIONS.items():
        if section != "shares.NAME":
            prefix = "" if section == "server" else f"{section}."
            texts |= {prefix + name: _as_text(value_of(configuration, each)) for name, each in settings.items()}
    return texts


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "\n".join(map(_as_text, value))
    return "" if value is None else str(value)


class RunningSettings:
    """The settings in force in one Server. Read `current` at each use; it is replaced as a whole.

    `on_replaced` is called after that with what was in force before.
    """

    __slots__ = ("_current", "on_replaced")

    def __init__(self, configuration: Configuration | None = None) -> None:
        self._current = configuration or Configuration()
        self.on_replaced: Callable[[Configuration], None] | None = None

    @property
    def current(self) -> Configuration:
        """What is in force. Setting it puts something else in force."""
        return self._current

    @current.setter
    def current(self, configuration: Configuration) -> None:
        before, self._current = self._current, configuration
        if self.on_replaced is not None:
            self.on_replaced(before)

    def changed(self, **values: Any) -> dict[str, Any]:
        """Those of the values that are not in force already. Raises ValueError for what cannot be set, and for a bad
        value; its sentence names the setting."""
        for name, value in values.items():
            try:
                check_changeable(name, value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return {name: value for name, value in values.items() if value_of(self.current, CHANGEABLE[name]) != value}

    def change(self, **values: Any) -> None:
        """Put these in force. Raises ValueError as `changed`; then nothing has changed."""
        self.current = with_values(self.current, self.changed(**values))


# --- Addresses, limits of sessions, shares


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


METRICS_PORT: Final = 9745


def metrics_address(text: str) -> tuple[str, int] | str:
    """Where figures are given to Prometheus; see `place_address`. Raises ValueError."""
    return place_address(text, METRICS_PORT)


def place_address(text: str, default_port: int) -> tuple[str, int] | str:
    """Where a program of this machine is come to: an address and a port (`127.0.0.1:9745`, `[::1]:9745`, `localhost`;
    `default_port` where none is named, 0 is any that is free), or the absolute path of a Unix socket
    (`unix:/run/lanman/metrics`). Raises ValueError."""
    if text[:5].lower() == "unix:":
        if not _is_absolute(path := text[5:]) or path.endswith("/"):
            raise ValueError(f"{text}: is not the absolute path of a socket")
        return path
    named = "127.0.0.1" + text[9:] if text[:9].lower() == "localhost" else text
    address, port = listen_address(named)
    return address, default_port if port is None else port


def number_of_sessions(text: str) -> int | None:
    """A limit of sessions as people type it: a number, or the name of an edition of Windows; None for anything else."""
    try:
        return _sessions(int(text) if text.isascii() and text.isdigit() else text.casefold())
    except ValueError:
        return None


def _units(name: str) -> int:
    """How long a name is on the wire, in UTF-16 code units."""
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def share_name_problem(name: str) -> str:
    """Why a share cannot be called so; "" if it can."""
    if not name.strip(". ") or name != name.strip():
        return "is not a share name (clients take dots and spaces for a place in a path, or fold them away)"
    if fold(name) in RESERVED_SHARE_NAMES:
        return "is not a share name (it would stand in the way of pipes and mailslots)"
    if not 1 <= _units(name) <= MAX_SHARE_NAME or any(
        character < " " or character in NOT_IN_A_SHARE_NAME for character in name
    ):
        return f"is not a share name (1 to {MAX_SHARE_NAME} characters, none of {NOT_IN_A_SHARE_NAME})"
    return ""


def parse_share(name: str, values: Mapping[str, Any]) -> ShareConfiguration:
    """One shared folder from its keys, as tomllib gives them. Raises ValueError, which names the key."""
    if problem := share_name_problem(name):
        raise ValueError(f"{name!a} {problem}")
    checked = {}
    for key, value in values.items():
        if key not in _SHARE:
            raise ValueError(f"{key} is not a key of a share")
        try:
            checked[key] = _SHARE[key].check(value)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from None
    for key, each in _SHARE.items():
        if each.required and key not in checked:
            raise ValueError(f"{key} {each.required}")
    return ShareConfiguration(**checked)
