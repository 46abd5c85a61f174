"""The settings of a client, each declared once, with the declarations of `lanman.settings`.

    lanman.toml     [mail]  Mail      [webhook]  Webhook      [command]  Command      [clusters.NAME]  Cluster
    credentials     [NAME]  Credential

The rules of `lanman.settings` hold here too: a `ClientConfiguration` is a value, complete and checked where it came
from a file; what may be written for a setting is its `Kind`, whose sentence every error quotes. A section that is not
in the file is None: who has no [mail] sends none. `lanman.net.client_configuration` reads the files.

What is secret stands in the file `credentials` alone, and lanman.toml names it: so lanman.toml may be shown, kept with
other configuration, and read by others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal

from lanman.plain import dataclass
from lanman.settings import FLAG, NAMES, TEXT, Kind, Setting, declared, number, one_of, setting, settings_of

MAX_ADDRESS: Final = 254
"""RFC 5321 4.5.3.1.3, less the angle brackets."""

# RFC 5322 3.4.1 without quoted strings and comments; what is beyond ASCII would need SMTPUTF8 (RFC 6531) all the way.
_LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.%]+\]"
_FIELD_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 5.6.2

PLACEHOLDERS: Final = frozenset({"user", "message", "server", "clients"})
"""What may stand in braces in the words of a command."""

# What a request for a web service is made of, and what a configured header must not set or break.
_OWN_HEADERS: Final = frozenset({"content-length", "content-type", "host", "transfer-encoding", "connection"})


# --- Kinds


def is_address(text: str) -> bool:
    """Whether a text is the address of a mailbox, `local@domain` in ASCII, and nothing that could break a header."""
    return len(text) <= MAX_ADDRESS and re.fullmatch(f"{_LOCAL}@{_DOMAIN}", text) is not None


def makes_address(user: str) -> bool:
    """Whether a user's name, which comes from a peer, may be put into an address. Narrower than what addresses may
    have: mail servers read `%` and `!` as the way to another host, `+` as the end of the mailbox's name, `|` and `/`
    as programs and files, and a dash at the beginning as an option; `$` is at the end of machines' names."""
    return re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_.'-]*[A-Za-z0-9_'-])?", user) is not None


def _address(value: Any) -> str:
    if not is_address(text := TEXT.check(value)):
        raise ValueError('must be the address of a mailbox, such as "lanman@example.com"')
    return text


def _template(value: Any) -> str:
    text = TEXT.check(value)
    if text and ("{user}" not in text or not is_address(text.replace("{user}", "u"))):
        raise ValueError('must be an address with {user} in it, such as "{user}@example.com"')
    return text


def _addresses(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ValueError('must be a table of users and addresses, such as { bob = "b.jones@example.com" }')
    for user, address in value.items():
        if address != "" and (not isinstance(address, str) or not is_address(address)):
            raise ValueError(f'must have for {user!a} the address of a mailbox, or "" for none')
    return dict(value)


def _host(value: Any) -> str:
    if not re.fullmatch(_HOST, text := TEXT.check(value)):
        raise ValueError("must be the name or the address of a host")
    return text


def _nodes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError('must be a list of servers, such as ["fs1", "fs2:4450"]')
    for each in value:
        match = re.fullmatch(rf"(?:{_HOST})(?::([0-9]{{1,5}}))?", each)
        if match is None or not 1 <= int(match[1] or 445) <= 65535:
            raise ValueError(f"must be a list of servers; {each!a} is no HOST and no HOST:PORT")
    if len({each.casefold() for each in value}) < len(value):
        raise ValueError("must name each server once")
    return tuple(value)


def _url(value: Any) -> str:
    text = TEXT.check(value)
    parts = re.fullmatch(rf"https?://(?:{_HOST})(?::([0-9]{{1,5}}))?(?:[/?][!-\"$-~]*)?", text, re.IGNORECASE)
    if parts is None or not 1 <= int(parts[1] or 1) <= 65535:
        raise ValueError(
            'must be an address of the web without a user in it, such as "https://hooks.example.com/lanman"'
        )
    return text


def _headers(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ValueError('must be a table of header lines, such as { X-Priority = "high" }')
    for name, text in value.items():
        if not re.fullmatch(_FIELD_NAME, name) or name.casefold() in _OWN_HEADERS:
            raise ValueError(f"must not have {name!a}: it is no header that can be set")
        if name.casefold() in ("authorization", "cookie", "proxy-authorization"):
            raise ValueError(f"must not have {name}: it is secret, and belongs into the file `credentials`")
        if not _is_header_value(text):
            raise ValueError(f"must have printable ASCII text for {name}")
    return dict(value)


def _is_header_value(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[ -~]*", value) is not None


def _authorization(value: Any) -> str:
    if not _is_header_value(text := TEXT.check(value)):
        raise ValueError("must be printable ASCII text")
    return text


def _place_of_keys(value: Any) -> str:
    text = TEXT.check(value)
    # "FILE:/run/x", "KEYRING:persistent:0": what has a type is the Kerberos library's business.
    if text and ":" not in text and not text.startswith("/"):
        raise ValueError("must be an absolute path, or a type with a path behind it, such as FILE:/run/lanman.ccache")
    return text


def _nt_hash(value: Any) -> str:
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{32})?", text := TEXT.check(value)):
        raise ValueError("must be an NT hash, 32 hexadecimal digits")
    return text


def _argv(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError('must be a list of words, such as ["/usr/local/bin/tell", "{user}", "{message}"]')
    program, *words = value
    if not re.match(r"/|[A-Za-z]:[\\/]", program) or "{" in program:
        raise ValueError("must begin with the absolute path of a program")
    for word in value:
        if "\0" in word:
            raise ValueError("must not have a NUL in it")
    for word in words:
        for name in re.findall(r"\{([^{}]*)\}", word):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{each}}}" for each in sorted(PLACEHOLDERS))
                raise ValueError(f"must have no other word in braces than {known}, and has {{{name}}}")
    return tuple(value)


def _absolute(value: Any) -> str:
    if not re.match(r"/|[A-Za-z]:[\\/]", text := TEXT.check(value)) or "\0" in text:
        raise ValueError("must be the absolute path of a file")
    return text


_HOST_KIND: Final = Kind(_host, "name or address")
_FILE: Final = Kind(_absolute, "absolute path")
_KEYS: Final = Kind(_place_of_keys, "absolute path, or TYPE:PATH")
_CREDENTIAL: Final = Kind(TEXT.check, "a section of `credentials`")
_DEADLINE: Final = number(1, 600)


# --- The sections of lanman.toml


@dataclass(frozen=True, slots=True)
class Mail:
    """[mail]: how people are told by mail. `port` 0 is the usual one of `tls`; `credentials` "" is no log-on."""

    server: str = field(
        metadata=declared(
            _HOST_KIND,
            "the mail server that takes messages from here",
            required="must be the name or the address of a host",
            default_text="none",
            example="smtp.example.com",
        )
    )
    sender: str = field(
        metadata=declared(
            Kind(_address, "an address"),
            "whom the messages are from",
            required="must be the address of a mailbox",
            default_text="none",
            example="lanman@example.com",
        )
    )
    port: int = setting(
        0, number(0, 65535), "its port", default_text='587, 465 for `tls = "tls"`, 25 for `"none"`', example=587
    )
    tls: Literal["starttls", "tls", "none"] = setting(
        "starttls",
        one_of("starttls", "tls", "none"),
        "how the connection is protected; the server's certificate and its name are verified. "
        '`"none"` sends everything readable, and never a password, but for this machine itself',
    )
    ca_file: str = setting(
        "",
        _FILE,
        "the certificates of whom the server's may be signed by, in PEM",
        default_text="the system's",
        example="/etc/ssl/certs/example-ca.pem",
    )
    address: str = setting(
        "",
        Kind(_template, "an address with `{user}` in it"),
        "the address of a user; `{user}` is the name without its domain",
        default_text="none",
        example="{user}@example.com",
    )
    addresses: Mapping[str, str] = field(
        default_factory=dict,
        metadata=declared(
            Kind(_addresses, "users and addresses"),
            'the addresses of those for whom `address` does not hold; `""` is none. A name without a domain counts for '
            "every domain; letter case does not count",
            example={"bob": "b.jones@example.com"},
        ),
    )
    credentials: str = setting(
        "", _CREDENTIAL, "whose `user` and `password` to log on with", default_text="no log-on", example="mail"
    )
    deadline: int = setting(10, _DEADLINE, "how long one message may take", unit="seconds")


@dataclass(frozen=True, slots=True)
class Webhook:
    """[webhook]: how a web service is told that somebody should know. `credentials` "" is none."""

    url: str = field(
        metadata=declared(
            Kind(_url, "http or https"),
            "where the messages are sent, as JSON by POST; redirections are not followed",
            required="must be an address of the web",
            default_text="none",
            example="https://hooks.example.com/lanman",
        )
    )
    headers: Mapping[str, str] = field(
        default_factory=dict,
        metadata=declared(
            Kind(_headers, "names and texts"), "more header lines; none that are secret", example={"X-Priority": "high"}
        ),
    )
    ca_file: str = setting(
        "",
        _FILE,
        "the certificates of whom the service's may be signed by, in PEM",
        default_text="the system's",
        example="/etc/ssl/certs/example-ca.pem",
    )
    credentials: str = setting(
        "",
        _CREDENTIAL,
        "whose `authorization` to send; over https alone, but for this machine itself",
        default_text="none",
        example="webhook",
    )
    deadline: int = setting(10, _DEADLINE, "how long one message may take", unit="seconds")


@dataclass(frozen=True, slots=True)
class Command:
    """[command]: a program that tells somebody."""

    argv: tuple[str, ...] = field(
        metadata=declared(
            Kind(_argv, "words"),
            "the program by its absolute path, and its words; no shell reads them. `{user}`, `{message}`, `{server}` "
            "and `{clients}` stand for what they say",
            required="must be a list of words",
            default_text="none",
            example=("/usr/local/bin/tell", "{user}", "{message}"),
        )
    )
    deadline: int = setting(10, _DEADLINE, "how long it may take for one person", unit="seconds")


@dataclass(frozen=True, slots=True)
class Cluster:
    """[clusters.NAME]: servers that are one to people. `port` 0 and `credentials` "" say nothing."""

    nodes: tuple[str, ...] = field(
        metadata=declared(
            Kind(_nodes, "servers"),
            "the servers, each `HOST` or `HOST:PORT`",
            required="must be a list of servers",
            default_text="none",
            example=("fs1", "fs2"),
        )
    )
    port: int = setting(
        0, number(0, 65535), "the port of the nodes that name none", default_text="that of -p, or 445", example=445
    )
    credentials: str = setting(
        "",
        _CREDENTIAL,
        "whose `user` and `password` to log on with, where the command line says nothing else",
        default_text="as for any server",
        example="files",
    )


# --- The sections of the file `credentials`


@dataclass(frozen=True, slots=True)
class Credential:
    """One section of the file `credentials`; what is "" is not given. Its `repr` has nothing of it."""

    user: str = setting("", TEXT, "whom to log on as", example="lanman")
    password: str = field(
        default="",
        repr=False,
        metadata=declared(TEXT, "the password", example="correct horse battery staple"),
    )
    authorization: str = field(
        default="",
        repr=False,
        metadata=declared(
            Kind(_authorization, "text"),
            "what a web service gets as its header line Authorization",
            example="Bearer 0123456789abcdef",
        ),
    )
    nt_hash: str = field(
        default="",
        repr=False,
        metadata=declared(
            Kind(_nt_hash, "32 hexadecimal digits"),
            "the NT hash of the password, in its place",
            example="0123456789abcdef0123456789abcdef",
        ),
    )
    kerberos: bool = setting(False, FLAG, "whether to log on by Kerberos", example=True)
    keytab: str = setting("", _KEYS, "where Kerberos finds keys", default_text="the system's", example="/etc/lm.keytab")
    ccache: str = setting("", _KEYS, "where Kerberos finds tickets", default_text="the system's", example="/run/lm.cc")
    hosts: tuple[str, ...] = setting(
        (),
        NAMES,
        "where very many are asked, the servers that it is for: names (`*`, `?`), addresses, networks",
        example=("*.example.com", "10.9.0.0/16"),
    )

    @property
    def can_log_on(self) -> bool:
        """Whether there is enough of it to log on at a server."""
        return self.kerberos or bool(self.user and (self.password or self.nt_hash))


@dataclass(frozen=True, slots=True)
class ClientConfiguration:
    """All of lanman.toml, and the credentials that it names. What is not configured is None or empty. `warnings` are
    sentences for whoever runs the program."""

    mail: Mail | None = None
    webhook: Webhook | None = None
    command: Command | None = None
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


CLASSES: Final[Mapping[str, type]] = {"mail": Mail, "webhook": Webhook, "command": Command}
"""The sections that there is one of, in the order of the reference."""

SECTIONS: Final[Mapping[str, Mapping[str, Setting]]] = {
    **{name: settings_of(name, each) for name, each in CLASSES.items()},
    "clusters.NAME": settings_of("clusters.NAME", Cluster),
}
"""Every setting of lanman.toml, by the heading of its section and its name, in the order of the reference."""

CREDENTIAL: Final = settings_of("NAME", Credential)
"""The settings of a section of the file `credentials`, by name."""


def usual_port(mail: Mail) -> int:
    """The port of the mail server: RFC 6409 for submission, RFC 8314 for TLS from the start, RFC 5321 otherwise."""
    return mail.port or {"starttls": 587, "tls": 465, "none": 25}[mail.tls]


def is_this_machine(host: str) -> bool:
    """Whether a host is the loopback interface, on which nobody else listens."""
    bare = host.strip("[]").casefold()
    return bare in ("localhost", "::1") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", bare) is not None
