"""How the screen starts: on a terminal, with textual, which is loaded here and not before.

The terminal is left as it was found, also after SIGTERM and SIGHUP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import Win32Error

if TYPE_CHECKING:
    from lanman.faces.tui.app import Source, WatchScreen

INSTEAD = "--plain writes a line for each event, and --json is for programs"
INSTALL = "pip install 'lanman[tui]' installs it"


def is_possible(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a terminal that a screen can be drawn on."""
    if sys.platform != "win32" and environment.get("TERM", "dumb") in ("", "dumb"):
        return False
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    return all(stream is not None and not stream.closed and stream.isatty() for stream in streams)


def is_installed() -> bool:
    """Whether textual can be loaded; it is not loaded for that."""
    from importlib.util import find_spec

    return find_spec("textual") is not None


async def run_screen(sources: Sequence[Source], *, every: float = 2.0, readonly: bool = False) -> int:
    """Show servers on the screen until it is left; gives the exit status: 0, or 130 after Ctrl-C.

    Raises Win32Error 50 where there is no terminal, or textual is not installed, and what the only server says that
    refuses the log-on.
    """
    if not is_possible():
        raise Win32Error(codes.ERROR_NOT_SUPPORTED, "the screen of `lanman watch` needs a terminal", hint=INSTEAD)
    try:
        from lanman.faces.tui.app import WatchScreen
        from lanman.faces.tui.symbols import Symbols
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        message = "the screen of `lanman watch` needs textual, which is not installed"
        raise Win32Error(codes.ERROR_NOT_SUPPORTED, message, hint=f"{INSTALL}; {INSTEAD}") from error
    screen = WatchScreen(sources, every=every, readonly=readonly, symbols=Symbols.of(sys.__stderr__))
    with _left_on_signals(screen):
        await screen.run_async()
    failure = screen.failure or screen._exception
    if failure is not None:
        raise failure
    return screen.return_value or 0


@contextlib.contextmanager
def _left_on_signals(screen: WatchScreen) -> Iterator[None]:
    """Leave the screen when the process is told to end, so that the terminal is as it was."""
    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, screen.exit, 128 + each)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
