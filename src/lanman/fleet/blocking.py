"""`sweep` for programs without asyncio: a context manager, and an iterator of the same outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lanman.fleet.sweep import Progress, Sweep, sweep
from lanman.fleet.values import FleetOutcome, Target
from lanman.manage.background import Background

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.net.credentials import Credentials


def blocking_sweep(
    kind: str,
    targets: str | Iterable[str | Target | Mapping[str, Any]] = (),
    credentials: Credentials | None = None,
    **how: Any,
) -> BlockingSweep:
    """`lanman.sweep` for programs without asyncio: the same arguments, outcomes and errors.

    with lanman.blocking_sweep("sessions", ["10.0.0.0/24"], credentials) as sweep:
        for outcome in sweep: ...
    """
    return BlockingSweep(lambda: sweep(kind, targets, credentials, **how))


class BlockingSweep:
    """A sweep whose outcomes are waited for. It lives on an event loop in a thread of its own."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self._background = Background()
        self._sweep: Sweep

    @property
    def progress(self) -> Progress:
        """How far it is; see `Sweep.progress`."""
        return self._sweep.progress

    def __enter__(self) -> Self:
        try:
            self._sweep = self._background.run(self._enter())
        except BaseException:
            self._background.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._background.run(self._sweep.__aexit__(None, None, None))
        finally:
            self._background.stop()

    def __iter__(self) -> Iterator[FleetOutcome]:
        return self

    def __next__(self) -> FleetOutcome:
        outcome = self._background.run(self._next())
        if outcome is None:
            raise StopIteration
        return outcome

    async def _enter(self) -> Sweep:
        sweep: Sweep = self._made()
        return await sweep.__aenter__()

    async def _next(self) -> FleetOutcome | None:
        return await anext(self._sweep, None)
