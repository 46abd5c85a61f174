"""What the options of every verb come to: whom to ask, as whom, for how long, and in which form.

Rules:

  - What the options say is checked before any server is asked; an empty value is refused and never taken for none.
  - A verb asks `manager()`, which says what a person should know of who answers, or `opening()`, which says nothing.
  - One that asks many servers has an Invocation for each (`each`), all as the same user.
  - Of a cluster, a verb says what it knows of each node. What nodes did not tell (`missing`) is said in the end, and
    makes status 4 of what would have been 0. Each wait for a node takes `timeout` seconds at most, and one that is away
    is waited for once.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, LanmanError
from lanman.faces.cli.credentials import credentials_from
from lanman.faces.cli.output import (
    EXIT_INCOMPLETE,
    Format,
    complain,
    emit_json,
    is_terminal,
    no_entries,
    note,
    success,
    tell,
    warn,
    write,
)
from lanman.faces.dialect import DialectError, computer_name
from lanman.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lanman.manage.answers import Absent
    from lanman.manage.manager import Manager
    from lanman.net.approach import Approach
    from lanman.net.credentials import Credentials
    from lanman.records import ServiceState

# How often a question is asked before the answers are taken for none: a program may answer for ever.
MAX_QUESTIONS = 10

MAX_ANSWER = 1000

DEFAULT_TIMEOUT = 10.0

DATABASE_VARIABLE: Final = "LANMAN_DB"
"""What names the database of history, in which an order is noted (`databases`, `deeds`)."""

PORT_HINT = "A port is a number from 1 to 65535."


@dataclass(slots=True)
class Invocation:
    """What the options of every verb come to. `server` None is this machine, and `service` which of its services.

    `port` None is the default, which nobody has named.
    """

    server: str | None = None
    port: int | None = None
    credentials: Credentials | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    home: str | None = None
    format: Format = Format.TABLE
    answer: bool | None = None
    given_port: int | None = None
    service: str | None = None
    samba_config: str | None = None
    verbose: bool = False
    others: tuple[str, ...] = ()
    """The servers that were named besides, by a verb that may ask many."""
    others_credentials: tuple[Credentials | None, ...] = field(default=(), repr=False)
    """Who to be at each of these: what lanman.toml says of one cluster is for its nodes alone."""
    noted: bool = False
    """Whether it was said who answers."""
    node: str | None = None
    """What this one is called as a node of a cluster."""
    approach: Approach | None = field(default=None, repr=False)
    """How one of several servers is approached: they do not all try a password at once."""
    missing: dict[str, LanmanError] = field(default_factory=dict)
    """The nodes of a cluster whose part of the answer is missing, and why."""

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Invocation:
        """Check the options against each other, read the authentication file, and ask for the password if need be."""
        if (options["json"] and options["csv"]) or (options["yes"] and options["no"]):
            pair = "--json and --csv" if options["json"] and options["csv"] else "/YES and /NO"
            raise DialectError(3510, hint=f"Give one of {pair}.")
        named = options["server"]
        _check_clusters(named)
        several = list(dict.fromkeys(named)) if isinstance(named, tuple) else [] if named is None else [named]
        server, port = _where(several[0] if several else None, options["port"])
        service = _service(options["which_service"], options["samba_config"])
        credentials = _credentials(options, several or [None], service)
        return cls(
            server,
            port,
            credentials[0],
            DEFAULT_TIMEOUT if options["timeout"] is None else options["timeout"],
            _home(options["home"]),
            Format.JSON if options["json"] else Format.CSV if options["csv"] else Format.TABLE,
            True if options["yes"] else False if options["no"] else None,
            options["port"],
            service,
            options["samba_config"],
            options["verbose"],
            tuple(several[1:]),
            tuple(credentials[1:]),
        )

    def groups(self) -> list[tuple[str | None, list[Invocation]]]:
        """What was typed behind each -S, and the single servers that it means: one alone for None, or the nodes of the
        cluster of that name. Each is asked as the user that is meant there. Raises DialectError for what is no server,
        and what `single_servers` does."""
        alone = replace(self, others=(), others_credentials=())
        others = zip(self.others, self.others_credentials, strict=True)
        places = [(*_where(named, self.given_port), who) for named, who in others]
        named = [alone, *(replace(alone, server=server, port=port, credentials=who) for server, port, who in places)]
        if len(named) == 1 and not alone.is_cluster:
            return [(None, named)]
        import asyncio

        from lanman.manage.cluster import single_servers
        from lanman.manage.cluster.gate import LogonGates

        gates = LogonGates()
        for one in named:
            one.approach = gates.approach(one.credentials)
        groups: list[tuple[str | None, list[Invocation]]] = []
        for one in named:
            if not one.is_cluster:
                groups.append((None, [one]))
                continue
            nodes = asyncio.run(single_servers(one.server, port=one.port))
            parts = [replace(one, server=each.server, port=each.port, node=each.node) for each in nodes]
            groups.append((one.server, parts))
        return groups

    def each(self) -> list[Invocation]:
        """One for each server that is named, and for each node of a cluster; see `groups`. Each is there once."""
        found = [one for _, group in self.groups() for one in group]
        return list({(one.server, one.port): one for one in reversed(found)}.values())[::-1]

    @property
    def is_cluster(self) -> bool:
        """Whether several servers are meant as one, or one that has to be looked up first."""
        if self.server is None:
            return False
        from lanman.manage.cluster import is_cluster

        return is_cluster(self.server)

    def require_single(self, verb: str) -> None:
        """Raise LanmanError 50 where several servers are meant as one: `verb` is for one server."""
        if self.is_cluster:
            raise LanmanError(
                f"{self.server}: a cluster is not one server: `{verb}` is for one",
                code=codes.ERROR_NOT_SUPPORTED,
                hint="Name a node: -S HOST.",
            )

    def note_missing(self, missing: Iterable[Absent]) -> None:
        """Some part of the answer is missing; it is said in the end (`report_missing`)."""
        for node, error in missing:
            self.missing.setdefault(node, error)

    def report_missing(self, status: int | None) -> int | None:
        """Say which nodes did not answer; the exit status, 4 where it would be 0."""
        from lanman.faces.cli.several import missing_lines

        if not self.missing:
            return status
        complain(missing_lines(self.missing))
        return status or EXIT_INCOMPLETE

    def no_entries(self) -> None:
        """Say that a list is empty, where nothing of it is missing: what is, is said in the end."""
        if not self.missing:
            no_entries()

    def success(self) -> None:
        """Say that the command has succeeded, where nothing is missing."""
        if not self.missing:
            success()

    def emit_json(self, server: str | None, **parts: Any) -> None:
        """Write one JSON object; for a cluster with what is missing."""
        if self.is_cluster:
            from lanman.faces.cli.several import missing_json

            # What an explanation calls missing are sentences.
            parts["missing_nodes" if "missing" in parts else "missing"] = missing_json(self.missing)
        emit_json(server, **parts)

    def columns(self, names: str) -> list[str]:
        """The columns of CSV: for a cluster, the node before these."""
        return [*(["node"] if self.is_cluster else []), *names.split()]

    @property
    def is_own(self) -> bool:
        """Whether lanman's own Server of this machine may be meant."""
        if self.server is None:
            return self.service in (None, "lanman")
        from lanman.manage.this_machine import is_own_name

        return self.service == "lanman" and is_own_name(self.server)

    def require_own(self, message: str) -> None:
        """Raise LanmanError 50 with `message`, and what to leave out, where another Server than our own was named."""
        if self.is_own:
            return
        if self.server is not None:
            raise LanmanError(f"{self.server}: {message}", code=codes.ERROR_NOT_SUPPORTED, hint="Leave out -S.")
        raise LanmanError(f"{self.service}: {message}", code=codes.ERROR_NOT_SUPPORTED, hint="Leave out --service.")

    def manager(self, *, long_work: bool = False) -> AbstractAsyncContextManager[Manager]:
        """The Manager to ask; every wait of it ends `timeout` seconds from now. With `long_work` each wait may take
        that long: what makes progress is not broken off."""
        import asyncio

        from lanman.faces.cli.progress import shown_waiting

        # What is asked behind a node that is away needs time of its own: see the rules above.
        bounded = not long_work and not self.is_cluster
        deadline = asyncio.get_running_loop().time() + self.timeout if bounded else None
        what = f"Waiting for {self.server or 'the Server service'}"
        return shown_waiting(what, self._noting(self.opening(deadline)))

    def opening(self, deadline: float | None = None) -> AbstractAsyncContextManager[Manager]:
        """The Manager to ask, of which nothing is said. Every wait of it takes `timeout` seconds at most, and ends
        before a deadline by the loop's clock."""
        from lanman.manage.open import open_manager

        if self.port is not None and not 1 <= self.port <= 65535:
            # `serve --port 0` is any free port; there is no server to be asked there.
            raise DialectError(3952, "--port", PORT_HINT)
        return open_manager(
            self.server,
            self.credentials,
            port=self.port,
            timeout=self.timeout,
            home=self.home,
            deadline=deadline,
            service=self.service,
            samba_config=self.samba_config,
            approach=self.approach,
        )

    @asynccontextmanager
    async def _noting(self, opening: AbstractAsyncContextManager[Manager]) -> AsyncIterator[Manager]:
        """Say who answers: beside a table where it is not our own Server, and always with --verbose. Say what lacks."""
        async with opening as manager:
            beside_table = manager.answered_by is not None and self.format is Format.TABLE
            if (beside_table or self.verbose) and not self.noted:
                self.noted = True
                note(f"answered by {manager.who_answers}")
            try:
                yield manager
            finally:
                self.note_missing(manager.missing)
            if manager.incomplete is not None:
                warn(manager.incomplete)
            doubles: dict[str, str] = getattr(manager, "doubles", {})
            if doubles and not self.noted:
                self.noted = True
                for name, node in doubles.items():
                    note(f"{name} is {node} by another address, and counts once")

    @property
    def name_served(self) -> str:
        """What a program that serves figures or pages of this server calls it: its node, or its name and a port that
        was said; this machine by its own name."""
        from lanman.manage.metrics.exporter import this_machine

        if self.node is None and self.server is not None and self.port is not None:
            return f"{self.server}:{self.port}"
        return self.node or self.server or this_machine()

    def confirm(self, question: str, *, default: bool) -> bool:
        """Ask, or take the answer of /YES or /NO. Raises LanmanError 3757 when no answer comes, or none that is one."""
        if self.answer is not None:
            return self.answer
        prompt = f"{question} (Y/N) [{'Y' if default else 'N'}]: "
        for _ in range(MAX_QUESTIONS):
            self.say(prompt)
            line = sys.stdin.readline(MAX_ANSWER) if sys.stdin is not None else ""
            if not line:
                self.say("\n")
                break
            answer = line.strip().casefold()
            if not answer:
                return default
            if "yes".startswith(answer) or "no".startswith(answer):
                return answer.startswith("y")
            self.say(f"{codes.message_text(3756)}\n")
        raise LanmanError(
            codes.message_text(3757), code=3757, hint="Give /Y to go on, or /N not to, without being asked."
        )

    def say(self, text: str) -> None:
        """Write a question, or what leads to it, where the person who is to answer will see it."""
        # Standard output is for the data where a program reads it, and a question in a pipe is not seen.
        if self.format is Format.TABLE and (is_terminal(sys.stdout) or not is_terminal(sys.stdin)):
            write(text)
        else:
            tell(text)


def _where(named: str | None, port: int | None) -> tuple[str | None, int | None]:
    """The name and the port of a server; `port` is that of -p. Raises DialectError."""
    if named is None or _is_cluster(named):
        return named, port
    server, attached = split_host(named)
    if attached is not None and port is not None and attached != port:
        raise DialectError(3510, hint=f"-S says port {attached} and -p says {port}: give the port once.")
    return server, attached if attached is not None else port


def _is_cluster(named: str) -> bool:
    from lanman.manage.cluster import is_cluster

    return is_cluster(named)


def _check_clusters(named: str | tuple[str, ...] | None) -> None:
    """Raise DialectError 3952 for what is written like several servers and cannot be any, before anything is asked."""
    for each in named if isinstance(named, tuple) else () if named is None else (named,):
        if not _is_cluster(each):
            continue
        from lanman.manage.cluster import HOW, check

        try:
            check(each)
        except LanmanError as error:
            raise DialectError(3952, "--server", f"{error.message}; {error.hint or HOW}.") from None


def _credentials(
    options: dict[str, Any], servers: Sequence[str | None], service: str | None
) -> list[Credentials | None]:
    """Who to be at each of some servers: whom the command line says; else at a cluster whom lanman.toml says, and at
    all others whoever is asked for, once."""
    found = [_configured(options, server) for server in servers]
    if None in found:
        # A service of this machine asks for no user; one that is named closes files.
        server = None if service is not None else servers[found.index(None)]
        asked = credentials_from(options, server)
        found = [asked if each is None else each for each in found]
    return found


def _configured(options: dict[str, Any], server: str | None) -> Credentials | None:
    """Whom lanman.toml says to be at a cluster, where the command line says nothing of it."""
    words = ("login", "authentication_file", "nt_hash", "kerberos", "no_pass")
    if server is None or not _is_cluster(server) or any(options[word] not in (None, False) for word in words):
        return None
    from lanman.manage.cluster import configured_credentials

    return configured_credentials(server)


def _home(typed: str | None) -> str | None:
    """The home that is named: on the command line, else in the environment."""
    if typed == "":
        # An empty variable of a script, most likely; another Server would be meant than was said.
        raise DialectError(3952, "--home", "It is a folder. Without --home, LANMAN_HOME or the default counts.")
    return typed or os.environ.get("LANMAN_HOME") or None


def _service(typed: str | None, samba_config: str | None) -> str | None:
    """The service of this machine that is named, or that a configuration of Samba means. Raises DialectError."""
    if typed is None and samba_config is None:
        return None
    if samba_config == "":
        # Another Samba would be meant than was said.
        raise DialectError(3952, "--samba-config", "It is the smb.conf that the smbd was started with.")
    from lanman.manage.open import SAMBA, SERVICES

    name = SAMBA if typed is None else typed.casefold()
    if samba_config is not None and name != SAMBA:
        raise DialectError(3510, hint="--samba-config goes with --service samba.")
    if name not in SERVICES:
        raise DialectError(3952, "--service", f"It is {', '.join(SERVICES[:-1])} or {SERVICES[-1]}.")
    return name


async def service_state(invocation: Invocation) -> ServiceState:
    """What the Server service that the options mean does; one that answers, or refuses to be asked, runs at least."""
    from lanman.records import ServiceState

    try:
        async with invocation.manager() as manager:
            try:
                return await manager.service_state()
            except LanmanError:  # it has no states to tell of, or does not tell everybody
                return ServiceState.RUNNING
    except (AccessDenied, AuthenticationError):
        return ServiceState.RUNNING
    except LanmanError as error:
        if error.code == codes.NERR_ServerNotStarted:
            return ServiceState.STOPPED
        raise


# Only compiled where a server is named: it takes time.
_URL: Final = r"(?i:smb|cifs)://([^/\\?#]*)"

_SHARE_PATH: Final = r"(?:\\\\|//)([^/\\]+)[/\\]"


def split_host(text: str) -> tuple[str, int | None]:
    """The name and port of a server as people write it. Raises DialectError 3870 or 3952.

    `\\\\HOST`, `HOST`, `HOST:PORT`, `[::1]:PORT`; what names a share or a folder there means its server:
    `smb://HOST/SHARE`, `\\\\HOST\\SHARE`, `//HOST/SHARE/FOLDER`, `HOST/`.
    """
    host = _host_in(text)
    # Only the colon behind a bracket, or one that stands alone, is not part of an IPv6 address.
    name, port = host, ""
    attached = not host.endswith("]") and ("]:" in host or host.count(":") == 1)
    if attached:
        name, _, port = host.rpartition(":")
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise DialectError(3952, "--server", f"{text}: {PORT_HINT}")
    try:
        return computer_name(name), int(port) if attached else None
    except DialectError:
        raise DialectError(3870, text, "A server is HOST or HOST:PORT, by name or by address: [::1]:4450.") from None


def _host_in(text: str) -> str:
    """The server in a URL or in the path of a share, with its port; any other text without a slash at its end."""
    if url := re.match(_URL, text):
        host = url[1]
        if "@" in host:
            raise DialectError(3870, text, "Say who to be with -U, and name the server alone: -S HOST -U USER.")
        return host
    if path := re.match(_SHARE_PATH, text):
        return path[1]
    # One at the end is what completing the name of a folder leaves.
    return text[:-1] if text[:-1] and text.endswith(("/", "\\")) and text.lstrip("\\/") else text
