"""The options that every verb has, and what they come to: whom to ask, as whom, for how long, and in which form.

Each option is declared once, here or at its verb, as one of click's; the grammar of the NET dialect is read off that.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, LanmanError
from lanman.faces.cli.credentials import credentials_from
from lanman.faces.cli.output import Format, is_terminal, tell, write
from lanman.faces.dialect import DialectError, Grammar, Switch, computer_name

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from lanman.manage.manager import Manager
    from lanman.net.credentials import Credentials


class NetOption(click.Option):
    """An option that NET has too, so that its short form comes before those of other options."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        names = [f"/{name[2:].upper()}" for name in self.opts if name.startswith("--")]
        value = "" if self.is_flag else f":{self.metavar}"
        return f"{', '.join(names)}{value}", self.help or ""


class Verb(click.Command):
    """One verb. Its function is called with a `Call` and the verb's own options; it gives the exit status or None."""

    def __init__(
        self, name: str, *, syntax: str, about: str, examples: str = "", takes_paths: bool = False, **attributes: Any
    ) -> None:
        # --help is the dialect's, which knows /? too.
        super().__init__(name, add_help_option=False, **attributes)
        self.syntax = syntax
        self.about = about
        self.examples = examples
        self.takes_paths = takes_paths
        self.params.extend(common_options())

    @property
    def grammar(self) -> Grammar:
        return Grammar([*switches(self.params), HELP_SWITCH], self.takes_paths)

    def invoke(self, ctx: click.Context) -> Any:
        assert self.callback is not None
        call = Call.from_options({name: ctx.params.pop(name) for name in _COMMON})
        try:
            return self.callback(call, **ctx.params)
        except LanmanError as error:
            if error.code != codes.NERR_ServerNotStarted or call.server is not None or not _may_start(call):
                raise
        return self.callback(call, **ctx.params)


HELP_SWITCH = Switch(("help", "?"), ("h", "?"), net=True)
VERSION_SWITCH = Switch(("version",), ("V",))


def verb(
    name: str, *, syntax: str, about: str, examples: str = "", takes_paths: bool = False
) -> Callable[[Callable[..., int | None]], Verb]:
    """Make a function the verb `name`; click's own decorators below it add what it takes."""

    def decorate(function: Callable[..., int | None]) -> Verb:
        params = list(reversed(getattr(function, "__click_params__", [])))
        return Verb(
            name,
            syntax=syntax,
            about=about,
            examples=examples,
            takes_paths=takes_paths,
            params=params,
            callback=function,
        )

    return decorate


def net_option(*names: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A switch that NET has too."""
    return click.option(*names, cls=NetOption, **attributes)


def switches(parameters: list[click.Parameter]) -> list[Switch]:
    """The dialect's words for click's options."""
    return [
        Switch(
            tuple(name[2:] for name in option.opts if name.startswith("--")),
            tuple(name[1:] for name in option.opts if not name.startswith("--")),
            takes_value=not option.is_flag,
            net=isinstance(option, NetOption),
        )
        for option in parameters
        if isinstance(option, click.Option)
    ]


# --- values


Check = Callable[[click.Context, click.Parameter, str | None], Any]
"""What click calls with the text that was typed, or None; it gives the value."""


def number(low: int, high: int, hint: str) -> Check:
    """A whole number in a range. What is none is NET's message 3952, which names the option."""

    def check(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
        if text is None:
            return None
        digits = text.strip().removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 12 and low <= int(text) <= high:
            return int(text)
        raise bad_value(parameter, hint)

    return check


def seconds(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """A time in seconds, more than none."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400 * 365:
        raise bad_value(parameter, "It is a time in seconds, such as 10 or 0.5.")
    return value


def yes_or_no(context: click.Context, parameter: click.Parameter, text: str | None) -> bool | None:
    """YES or NO, or what they begin with."""
    if text is None:
        return None
    answer = text.casefold()
    if not answer or not ("yes".startswith(answer) or "no".startswith(answer)):
        raise bad_value(parameter, "It is YES or NO.")
    return answer.startswith("y")


def bad_value(parameter: click.Parameter, hint: str) -> DialectError:
    """NET's message 3952 about an option, written as people type it: `/AUTODISCONNECT`, `--port`."""
    name = next((option for option in parameter.opts if option.startswith("--")), f"--{parameter.name}")
    return DialectError(3952, name[1:].upper().replace("-", "/", 1) if isinstance(parameter, NetOption) else name, hint)


# How often a question is asked before the answers are taken for none: a program may answer for ever.
MAX_QUESTIONS = 10
MAX_ANSWER = 1000

DEFAULT_PORT = 445
DEFAULT_TIMEOUT = 10.0
PORT_HINT = "A port is a number from 1 to 65535."

_COMMON = (
    "server",
    "port",
    "login",
    "authentication_file",
    "nt_hash",
    "kerberos",
    "no_pass",
    "json",
    "csv",
    "timeout",
    "home",
    "yes",
    "no",
)


def common_options() -> list[click.Parameter]:
    """The options of every verb, as shared by all of them."""
    return [
        click.Option(
            ["-S", "--server"], metavar="HOST[:PORT]", help="the server to ask; without it, this machine's own"
        ),
        click.Option(["-p", "--port"], metavar="N", callback=number(0, 65535, PORT_HINT), help="its port (445)"),
        click.Option(
            ["-U", "--login"],
            metavar=r"[DOMAIN\]USER",
            help="who to be; a password is taken from USER%PASSWORD, -A, LANMAN_PASSWORD or a question, in this order",
        ),
        click.Option(
            ["-A", "--authentication-file"],
            metavar="FILE",
            help="smbclient's or mount.cifs' file: lines `username =`, `password =`, `domain =`; `nt_hash =` as well",
        ),
        click.Option(["--nt-hash"], metavar="HEX", help="the NT hash in place of the password"),
        click.Option(
            ["-k", "--kerberos"], is_flag=True, help="log on with the ticket cache or a keytab, and no other way"
        ),
        click.Option(["-N", "--no-pass"], is_flag=True, help="log on anonymously (a null session)"),
        click.Option(["--json"], is_flag=True, help="answer with one JSON object"),
        click.Option(["--csv"], is_flag=True, help="answer with comma-separated values"),
        click.Option(["--timeout"], metavar="S", callback=seconds, help="seconds for the whole call (10)"),
        click.Option(["--home"], metavar="DIR", help="where this user's Server keeps its accounts (LANMAN_HOME)"),
        NetOption(["--yes", "--y"], is_flag=True, help="answer every question with yes"),
        NetOption(["--no", "--n"], is_flag=True, help="answer every question with no"),
    ]


@dataclass(slots=True)
class Call:
    """What the options of every verb come to. `server` None is this machine."""

    server: str | None = None
    port: int = DEFAULT_PORT
    credentials: Credentials | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    home: str | None = None
    format: Format = Format.TABLE
    answer: bool | None = None
    given_port: int | None = None

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Call:
        """Check the options against each other, read the authentication file, and ask for the password if need be."""
        if (options["json"] and options["csv"]) or (options["yes"] and options["no"]):
            pair = "--json and --csv" if options["json"] and options["csv"] else "/YES and /NO"
            raise DialectError(3510, hint=f"Give one of {pair}.")
        server, port = None, options["port"]
        if options["server"] is not None:
            server, attached = split_host(options["server"])
            if attached is not None and port is not None and attached != port:
                raise DialectError(3510, hint=f"-S says port {attached} and -p says {port}: give the port once.")
            port = attached if attached is not None else port
        return cls(
            server,
            DEFAULT_PORT if port is None else port,
            credentials_from(options, server),
            DEFAULT_TIMEOUT if options["timeout"] is None else options["timeout"],
            _home(options["home"]),
            Format.JSON if options["json"] else Format.CSV if options["csv"] else Format.TABLE,
            True if options["yes"] else False if options["no"] else None,
            options["port"],
        )

    def manager(self, *, long_work: bool = False) -> AbstractAsyncContextManager[Manager]:
        """The Manager to ask; every wait of it ends `timeout` seconds from now. With `long_work` each wait may take
        that long: what makes progress is not broken off."""
        import asyncio

        from lanman.faces.cli.progress import shown_waiting
        from lanman.manage.open import open_manager

        if not 1 <= self.port <= 65535:
            # `serve --port 0` is any free port; there is no server to be asked there.
            raise DialectError(3952, "--port", PORT_HINT)
        deadline = None if long_work else asyncio.get_running_loop().time() + self.timeout
        opening = open_manager(
            self.server, self.credentials, port=self.port, timeout=self.timeout, home=self.home, deadline=deadline
        )
        return shown_waiting(f"Waiting for {self.server or 'the Server service'}", opening)

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
        # Standard output belongs to the data where a program reads it, and a pipe shows nobody a question.
        if self.format is Format.TABLE and (is_terminal(sys.stdout) or not is_terminal(sys.stdin)):
            write(text)
        else:
            tell(text)


def _home(typed: str | None) -> str | None:
    """The home that is named: on the command line, else in the environment."""
    if typed == "":
        # An empty variable of a script, most likely; another Server would be meant than was said.
        raise DialectError(3952, "--home", "It is a folder. Without --home, LANMAN_HOME or the default counts.")
    return typed or os.environ.get("LANMAN_HOME") or None


async def is_started(call: Call) -> bool:
    """Whether the Server service that the options mean runs; one that refuses to be asked does."""
    try:
        async with call.manager():
            return True
    except (AccessDenied, AuthenticationError):
        return True
    except LanmanError as error:
        if error.code == codes.NERR_ServerNotStarted:
            return False
        raise


def _may_start(call: Call) -> bool:
    """Where there is a person and a configured Server, ask whether to start it as NET does, and start it."""
    from lanman.net.home import default_home

    home = default_home(call.home)
    if call.answer is False or not is_terminal(sys.stdin) or not home.configuration.exists():
        return False
    call.say(f"{codes.win32_text(codes.NERR_ServerNotStarted)}\n\n")
    if not call.confirm("Is it OK to start it?", default=True):
        return False
    from lanman.faces.cli.service import start_service

    start_service(call, home, [])
    return True


_URL: Final = re.compile(r"(?:smb|cifs)://([^/\\?#]*)", re.IGNORECASE)
_SHARE_PATH: Final = re.compile(r"(?:\\\\|//)([^/\\]+)[/\\]")


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
    if url := _URL.match(text):
        host = url[1]
        if "@" in host:
            raise DialectError(3870, text, "Say who to be with -U, and name the server alone: -S HOST -U USER.")
        return host
    if path := _SHARE_PATH.match(text):
        return path[1]
    # One at the end is what completing the name of a folder leaves.
    return text[:-1] if text[:-1] and text.endswith(("/", "\\")) and text.lstrip("\\/") else text
