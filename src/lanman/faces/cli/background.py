"""This user's Server service as a process: its options, whether it runs, and how it is started in the background."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, option
from lanman.faces.cli.progress import turning_when_slow
from lanman.faces.cli.services import SERVICE, show_services

if TYPE_CHECKING:
    from lanman.net.home import Home
    from lanman.settings import Configuration

LOG_NAME: Final = "server.log"

# As much as is read of what a Server that did not start has said, in bytes.
MAX_SAID: Final = 1024 * 1024

# How often a Server that is starting or stopping is looked at, in seconds.
POLL: Final = 0.05

# After how many seconds of that a sign of waiting is shown: most Servers need one.
SLOW: Final = 2.0


def number_of_sessions(parameter: Parameter, text: str | None) -> int | None:
    """A number of sessions, or the name of an edition of Windows that has such a limit."""
    if text is None:
        return None

    from lanman.settings import SESSIONS_HINT, number_of_sessions

    if (sessions := number_of_sessions(text)) is None:
        raise bad_value(parameter, f"It is {SESSIONS_HINT}.")
    return sessions


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `serve`, which `start server` hands on."""
    for declare in (
        option(
            "--listen",
            metavar="ADDR",
            multiple=True,
            help="an address to listen on, as ADDRESS, ADDRESS:PORT or [::1]:PORT; repeatable; without it, all",
        ),
        option(
            "--config",
            "config_file",
            metavar="FILE",
            shell_complete=completers.files,
            help="the configuration; without it, server.toml in the home",
        ),
        option(
            "--max-sessions",
            metavar="N",
            callback=number_of_sessions,
            help="how many sessions may exist at once: a number (0 is no limit), or workstation, home or windows11",
        ),
        option("--require-encryption", is_flag=True, help="refuse clients that cannot encrypt"),
    ):
        function = declare(function)
    return function


def own_home(invocation: Invocation) -> Home:
    """The home of this user's Server. Raises LanmanError where another machine was named."""
    from lanman.net.home import default_home

    invocation.require_own("a Server service is started and stopped on the machine itself")
    return default_home(invocation.home)


def configured(
    invocation: Invocation,
    home: Home,
    listen: tuple[str, ...],
    config_file: str | None,
    max_sessions: int | None,
    require_encryption: bool,
) -> Configuration:
    """The configuration file, and what was given on the command line put over it."""
    from lanman.net.configuration import read_configuration, with_options

    path = Path(config_file) if config_file is not None else home.configuration
    if config_file is not None and not path.exists():
        raise LanmanError(f"{path}: there is no such configuration file", code=codes.ERROR_FILE_NOT_FOUND)
    return with_options(
        read_configuration(path, named=config_file is not None),
        listen=listen or None,
        port=invocation.given_port,
        max_sessions=max_sessions,
        encryption="required" if require_encryption else None,
    )


def start_service(invocation: Invocation, home: Home, words: Sequence[str]) -> None:
    """Start the Server of `home` in the background, and wait until it answers. Raises LanmanError."""
    from lanman.net import child

    home.prepare()
    if is_running(home):
        raise LanmanError(
            f"{home.path}: {codes.win32_text(codes.NERR_ServiceInstalled)}",
            code=codes.NERR_ServiceInstalled,
            hint="`lanman stop server` stops it.",
        )
    progress_lines(invocation, codes.message_text(3522, SERVICE))
    with open(home.open_file(LOG_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT), "ab") as log:
        said_before = log.tell()
        process = child.start(
            "serve",
            f"--home={home.path}",
            *words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + invocation.timeout
    with turning_when_slow("Waiting for the Server service", patience=SLOW) as look:
        while not is_running(home):
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                raise _not_started(home, said_before)
            look()
            time.sleep(POLL)
    progress_lines(invocation, codes.message_text(3524, SERVICE), "")


def progress_lines(invocation: Invocation, *lines: str) -> None:
    """What NET says while a service comes or goes. It is no part of the data that a program waits for."""
    if invocation.format is Format.TABLE:
        output.emit(lines)
    else:
        output.complain(lines)


def _not_started(home: Home, said_before: int) -> LanmanError:
    """3523, and what the Server itself said about it."""
    with open(home.open_file(LOG_NAME, os.O_RDONLY), "rb") as log:
        log.seek(said_before)
        said = log.read(MAX_SAID).decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line and not line.startswith("More help is available")]
    return LanmanError(
        codes.message_text(3523, SERVICE),
        code=3523,
        # Its last line names the thing and the remedy.
        hint=lines[-1] if lines else f"See {home.path / LOG_NAME}.",
    )


def is_running(home: Home) -> bool:
    """Whether a Server answers on the home's control socket. Raises AccessDenied for one that is not ours to ask."""
    from lanman.net.home import connect_unix

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            connect_unix(client, home.control)
        except PermissionError:
            hint = "Only root and the user that the Server runs as may use its control socket."
            raise AccessDenied(f"{home.control}: access denied", hint=hint) from None
        except OSError:
            return False
        return True


def list_started(invocation: Invocation) -> None:
    """NET START: the services that are started. lanman knows of one."""
    show_services(invocation, "These services are started:")
