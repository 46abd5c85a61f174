"""Running a tool of the system and reading what it prints: no shell, no environment of the caller's, bounded output.

Rules:

  - A tool is looked for in fixed folders and never in PATH, whose owner need not be who runs this.
  - Its locale is C.UTF-8 and its time zone UTC, whatever the caller's are. Its current folder is `/`.
  - It may not outlive the wait for it: where that is cancelled, by a deadline too, or its output is too long, it is
    killed, with the whole session of processes that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import MalformedMessage, Win32Error
from lanman.plain import dataclass

FOLDERS: Final = tuple(
    Path(folder)
    for folder in ("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/samba/bin", "/usr/local/samba/sbin")
)

_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
if sys.platform == "win32":
    _ENVIRONMENT["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", r"C:\Windows")  # nothing starts without it
_MAX_MESSAGES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Finished:
    """What a tool printed, and its exit status; negative for a signal."""

    status: int
    output: bytes
    messages: str


def find_tool(name: str, folders: Sequence[Path] = FOLDERS) -> Path:
    """Where a tool is. Raises Win32Error 50 where it is not installed."""
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    raise Win32Error(
        codes.ERROR_NOT_SUPPORTED,
        f"{name} is not installed here",
        hint="install Samba's tools, or ask over the network with -S localhost -U USER",
        subject=name,
    )


async def run_tool(
    path: Path, *arguments: str, max_output: int, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run a tool to its end, and read at most so many bytes of output. `environment` is added to the fixed one.

    Raises MalformedMessage for more, Win32Error 50 where it cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env={**_ENVIRONMENT, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise Win32Error(
            codes.ERROR_NOT_SUPPORTED, f"{path} cannot be started: {error.strerror}", subject=path.name
        ) from error
    assert process.stdout is not None
    assert process.stderr is not None
    reading = [
        asyncio.ensure_future(_read(process.stdout, max_output, path.name)),
        asyncio.ensure_future(_read(process.stderr, _MAX_MESSAGES, path.name)),
    ]
    try:
        output, messages = await asyncio.gather(*reading)
        status = await process.wait()
    finally:
        for task in reading:
            task.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if sys.platform == "win32":  # no sessions of processes there
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
        # Pipes that nobody reads any more would keep the process from counting as ended.
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()
    return Finished(status, output, messages.decode("utf-8", "replace"))


async def _read(stream: asyncio.StreamReader, limit: int, name: str) -> bytes:
    """All that a stream gives. Raises MalformedMessage for more than the limit."""
    parts: list[bytes] = []
    size = 0
    while data := await stream.read(1 << 16):
        size += len(data)
        if size > limit:
            raise MalformedMessage(f"the output of {name} is longer than {limit >> 20} MiB")
        parts.append(data)
    return b"".join(parts)
