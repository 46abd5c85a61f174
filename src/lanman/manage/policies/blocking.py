"""Policies in programs without asyncio: the same calls, each returning when it has its answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from lanman.manage.background import Background
from lanman.manage.policies import api

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lanman.manage.policies.api import PolicyStatus
    from lanman.manage.policies.plan import PolicyPlan
    from lanman.manage.policies.promises import Spare
    from lanman.manage.policies.runner import Runner
    from lanman.manage.policies.words import Event

T = TypeVar("T")


def _answer(work: Coroutine[Any, Any, T]) -> T:
    background = Background()
    try:
        return background.run(work)
    finally:
        background.stop()


def blocking_plan_policies(path: str | Path | None = None, **how: Any) -> list[PolicyPlan]:
    """What policies would do now; arguments and errors as `lanman.plan_policies`."""
    return _answer(api.plan_policies(path, **how))


def blocking_policy_status(**how: Any) -> PolicyStatus:
    """What policies have promised; arguments and errors as `lanman.policy_status`."""
    return _answer(api.policy_status(**how))


def blocking_spare_from_policies(key: str, seconds: float, **how: Any) -> Spare | None:
    """Leave somebody alone for so many seconds; arguments and errors as `lanman.spare_from_policies`."""
    return _answer(api.spare_from_policies(key, seconds, **how))


def blocking_run_policies(
    path: str | Path | None = None,
    *,
    on_event: Callable[[Event], None],
    ready: Callable[[Runner], None] | None = None,
    **how: Any,
) -> None:
    """Put policies to work until its Runner is told to stop; arguments and errors as `lanman.run_policies`. `on_event`
    and `ready` are called in another thread. An interrupt (Ctrl-C) cancels it, and waits until it has let go of
    everything; what was promised is kept."""
    background = Background()
    ended = threading.Event()

    async def work() -> None:
        try:
            await api.run_policies(path, on_event=on_event, ready=ready, **how)
        finally:
            ended.set()

    try:
        background.run(work())
    except BaseException:
        while not ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):  # a second one does not hurry it
                ended.wait()
        raise
    finally:
        background.stop()
