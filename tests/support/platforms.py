"""What differs between the systems that the tests run on: what Windows has not, and what its event loop keeps."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

ONLY_POSIX = "only on POSIX systems: the Server, its socket and its folders are nothing that Windows has"


def need_posix() -> None:
    """Skip the test on Windows: it wants a Server of ours, or what else POSIX alone has."""
    if sys.platform == "win32":
        pytest.skip(ONLY_POSIX)


def tasks_left() -> set[asyncio.Task[Any]]:
    """The tasks of this loop, without the caller's. A server that listens has one of the loop's own on Windows."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in tasks if task is not None and "IocpProactor.accept." not in repr(task.get_coro())}
