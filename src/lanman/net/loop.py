"""Which event loop a Server of its own process runs on: asyncio's, or uvloop's where that is installed.

uvloop is the extra `speed`, and everything works on both. What differs: its clock counts milliseconds and stands still
during a turn; what is written leaves at the end of the turn; its transports are no subclasses of asyncio's; and a timer
that is due at once is a plain handle.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Final

from lanman import codes
from lanman.errors import LanmanError

_SERVED: Final[weakref.WeakSet[asyncio.AbstractEventLoop]] = weakref.WeakSet()


def serve_in(loop: asyncio.AbstractEventLoop) -> None:
    """A Server of ours begins in this event loop."""
    _SERVED.add(loop)


def has_server(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a Server of ours has ever been in this event loop: a client there gives it its turn."""
    return loop in _SERVED


def loop_factory(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop that `[server] loop` asks for; None: asyncio's own. Raises LanmanError where uvloop is asked
    for and is not installed."""
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if wanted == "auto":
            return None
        raise LanmanError(
            '[server] loop = "uvloop": uvloop is not installed',
            code=codes.ERROR_NOT_SUPPORTED,
            hint="pip install 'lanman[speed]'",
        ) from None
    return uvloop.new_event_loop


def loop_name(loop: asyncio.AbstractEventLoop) -> str:
    """`uvloop`, `asyncio`, or whose loop else a program has chosen."""
    return type(loop).__module__.partition(".")[0]
