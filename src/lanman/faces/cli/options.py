"""The options that every verb has, and how a verb is declared.

Rules:

  - Each option is declared once, here or at its verb, as an `Option`; the grammar of the NET dialect is read off
    that.
  - A value is checked and converted before any server is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.cli import completers
from lanman.faces.cli.invocation import PORT_HINT, Invocation
from lanman.faces.cli.parameters import Option, Parameter, declared, option, values
from lanman.faces.dialect import DialectError, Grammar, Line, Switch
from lanman.plain import dataclass
from lanman.shown import seconds_of


class NetOption(Option):
    """An option that NET has too, so that its short form comes before those of other options."""

    def help_record(self) -> tuple[str, str]:
        """How the option is written in NET's way, and what it does: `/DELETE`, `/USERS:n`."""
        names = [f"/{name[2:].upper()}" for name in self.opts if name.startswith("--")]
        value = "" if self.is_flag else f":{self.metavar}"
        return f"{', '.join(names)}{value}", self.help


class LateOption(Option):
    """An option that came to a verb later, and takes no shortened form from those that it had."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Words of a verb that have a help page of their own. `page` gives its lines, None for a word that has none;
    `words` gives each word with what it means."""

    page: Callable[[str], list[str] | None]
    words: Callable[[], Iterable[tuple[str, str]]]


class Verb:
    """One verb. Its function is called with an `Invocation` and its own options, and gives the exit status or None.

    `summary` is one line for the list of verbs, `aliases` are other names. `takes_paths`: `/srv` is a folder where it
    is no switch. `names_server` gives the server that an argument names, where -S names none, from the verb's own
    options and those of every verb. What may stand behind an option or as an argument is told by its
    `shell_complete` (`completers`).
    An option of its own takes the place of one of every verb that is written alike. `many_servers`: -S may be repeated
    (`Invocation.each`); `one_server`: a cluster is refused. `explained` are words of the verb that `lanman help VERB
    WORD` explains. `asks_program`: its function is called with the Program first.
    """

    def __init__(
        self,
        name: str,
        callback: Callable[..., int | None],
        *,
        summary: str,
        syntax: str,
        about: str,
        examples: str = "",
        aliases: tuple[str, ...] = (),
        takes_paths: bool = False,
        explained: Explained | None = None,
        names_server: Callable[[dict[str, Any], dict[str, Any]], str | None] | None = None,
        many_servers: bool = False,
        one_server: bool = False,
        asks_program: bool = False,
    ) -> None:
        self.name = name
        self._callback = callback
        self.summary = summary
        self.aliases = aliases
        self.syntax = syntax
        self.about = about
        self.examples = examples
        self.takes_paths = takes_paths
        self.one_server = one_server
        self.names_server = names_server
        self.asks_program = asks_program
        params = declared(callback)
        own = {name for option in params for name in option.opts}
        common = (MANY_SERVERS if many_servers and option.name == "server" else option for option in COMMON_OPTIONS)
        self._common = tuple(option for option in common if own.isdisjoint(option.opts))
        self.params: list[Parameter] = [*params, *self._common]
        self.explained = explained

    @property
    def grammar(self) -> Grammar:
        """The switches of this verb, in both dialects."""
        return Grammar([*switches(self.params), HELP_SWITCH], self.takes_paths)

    def run(self, line: Line, program: Program) -> int | None:
        """Run the verb, and run it again where the program has started this machine's Server service for it. Gives the
        exit status, None for success."""
        own = values(self.params, line)
        given = {option.name: own.pop(option.name) for option in self._common}
        options: dict[str, Any] = {option.name: given.get(option.name) for option in COMMON_OPTIONS}
        if options["server"] in (None, ()) and self.names_server is not None:
            options["server"] = self.names_server(own, options)
        invocation = Invocation.from_options(options)
        if self.one_server:
            invocation.require_single(self.name)
        callback = partial(self._callback, program) if self.asks_program else self._callback
        try:
            return invocation.report_missing(callback(invocation, **own))
        except LanmanError as error:
            may = error.code == codes.NERR_ServerNotStarted and invocation.is_own
            if not may or not program.start_server(invocation):
                raise
        return callback(invocation, **own)


@dataclass(frozen=True, slots=True)
class Program:
    """What a verb may ask of the command that runs it.

    `load` gives the verb of a name or raises UnknownVerb, `every_verb` gives all. `start_server` may ask whether to
    start this machine's Server service, and says whether it has.
    """

    load: Callable[[str], Verb]
    every_verb: Callable[[], list[Verb]]
    start_server: Callable[[Invocation], bool]


HELP_SWITCH: Final = Switch(("help", "?"), ("h", "?"), net=True)

VERSION_SWITCH: Final = Switch(("version",), ("V",))


def verb(name: str, **attributes: Any) -> Callable[[Callable[..., int | None]], Verb]:
    """Make a function the verb `name`; `option` and `argument` below it add what it takes. `attributes`: see `Verb`."""
    return lambda function: Verb(name, function, **attributes)


def net_option(*names: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A switch that NET has too."""
    return option(*names, cls=NetOption, **attributes)


def switches(parameters: Iterable[Parameter]) -> list[Switch]:
    """The dialect's words for options."""
    return [
        Switch(
            tuple(name[2:] for name in option.opts if name.startswith("--")),
            tuple(name[1:] for name in option.opts if not name.startswith("--")),
            takes_value=not option.is_flag,
            net=isinstance(option, NetOption),
            gives_way=isinstance(option, LateOption),
        )
        for option in parameters
        if isinstance(option, Option)
    ]


# --- values

Check = Callable[[Parameter, str | None], Any]


def number(low: int, high: int, hint: str) -> Check:
    """A whole number in a range. What is none is NET's message 3952, which names the option."""

    def check(parameter: Parameter, text: str | None) -> int | None:
        if text is None:
            return None
        digits = text.strip().removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 12 and low <= int(text) <= high:
            return int(text)
        raise bad_value(parameter, hint)

    return check


def seconds(parameter: Parameter, text: str | None) -> float | None:
    """A time in seconds, more than none; a duration as people write it too."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = seconds_of(text) or 0.0
    if not 0 < value <= 86400 * 365:
        raise bad_value(parameter, "It is a time in seconds, such as 10 or 0.5, or a duration: 5s, 2m.")
    return value


def duration(parameter: Parameter, text: str | None) -> float | None:
    """A duration in seconds, as people write it: `90`, `5s`, `10m`, `2h`, `1d`, `1h30m`; none at all is 0."""
    if text is None:
        return None
    value = seconds_of(text)
    if value is None:
        raise bad_value(parameter, "It is a duration, such as 30s, 10m, 2h or 1h30m.")
    if value > 86400 * 365:
        raise bad_value(parameter, "It is a duration of at most a year.")
    return value


def yes_or_no(parameter: Parameter, text: str | None) -> bool | None:
    """YES or NO, or what they begin with."""
    if text is None:
        return None
    answer = text.casefold()
    if not answer or not ("yes".startswith(answer) or "no".startswith(answer)):
        raise bad_value(parameter, "It is YES or NO.")
    return answer.startswith("y")


def bad_value(parameter: Parameter, hint: str) -> DialectError:
    """NET's message 3952 about an option, written as people type it: `/AUTODISCONNECT`, `--port`."""
    name = next((option for option in parameter.opts if option.startswith("--")), f"--{parameter.name}")
    return DialectError(3952, name[1:].upper().replace("-", "/", 1) if isinstance(parameter, NetOption) else name, hint)


# --- the options of every verb

MANY_SERVERS: Final = Option(
    "-S",
    "--server",
    multiple=True,
    metavar="HOST[:PORT]",
    shell_complete=completers.clusters,
    help="the server to ask, or several: -S again, fs1,fs2, cluster:NAME, NAME*; without it, this machine's own",
)
"""In place of -S, for a verb that asks many servers."""

COMMON_OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "-S",
        "--server",
        metavar="HOST[:PORT]",
        shell_complete=completers.clusters,
        help="the server to ask, or several: fs1,fs2, cluster:NAME, NAME*; without it, this machine's own",
    ),
    Option("-p", "--port", metavar="N", callback=number(0, 65535, PORT_HINT), help="its port (445)"),
    Option(
        "-U",
        "--login",
        metavar=r"[DOMAIN\]USER",
        help="who to be; a password is taken from USER%PASSWORD, -A, LANMAN_PASSWORD or a question, in this order",
    ),
    Option(
        "-A",
        "--authentication-file",
        shell_complete=completers.files,
        metavar="FILE",
        help="smbclient's or mount.cifs' file: lines `username =`, `password =`, `domain =`; `nt_hash =` as well",
    ),
    Option("--nt-hash", metavar="HEX", help="the NT hash in place of the password"),
    Option("-k", "--kerberos", is_flag=True, help="log on with the ticket cache or a keytab, and no other way"),
    Option("-N", "--no-pass", is_flag=True, help="log on anonymously (a null session)"),
    Option("--json", is_flag=True, help="answer with one JSON object"),
    Option("--csv", is_flag=True, help="answer with comma-separated values"),
    Option("--timeout", metavar="S", callback=seconds, help="seconds for the whole call (10)"),
    Option(
        "--home",
        metavar="DIR",
        shell_complete=completers.files,
        help="where this user's Server keeps its accounts (LANMAN_HOME)",
    ),
    Option(
        "--service",
        "which_service",  # `service` is an argument of some verbs
        metavar="NAME",
        shell_complete=completers.one_of("lanman", "windows", "samba", "ksmbd"),
        help="which service of this machine to ask: lanman (its own Server), windows (Windows' own), samba, ksmbd",
    ),
    Option(
        "--samba-config",
        metavar="FILE",
        shell_complete=completers.files,
        help="the smb.conf of this machine's Samba, where it is not the default; means --service samba",
    ),
    Option("-v", "--verbose", is_flag=True, help="say on standard error which service answered"),
    NetOption("--yes", "--y", is_flag=True, help="answer every question with yes"),
    NetOption("--no", "--n", is_flag=True, help="answer every question with no"),
)
"""The options that every verb has, as `Invocation.from_options` expects them."""
