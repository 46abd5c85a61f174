"""The Server service of a server: how it is set, and whether it lets newcomers in.

A setting is compared with what the plan has shown right before it is set: what somebody else has set meanwhile is left
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lanman.errors import Win32Error
from lanman.faces.web.plans.work import DONE, NothingToDo, Place, Tell, Work, changed, failed, outcome, row
from lanman.manage.manager import Manager
from lanman.manage.orders.plan import What
from lanman.records import ServerInfo, ServiceState

MEMBERS: Final[Mapping[str, str]] = {"comment": "comment", "autodisconnect": "disc", "hidden": "hidden"}
"""What may be set, and the member of SERVER_INFO that it is."""


def _before(info: ServerInfo, name: str) -> Any:
    value = getattr(info, MEMBERS[name])
    return bool(value) if name == "hidden" and value is not None else value


class Setting(Work):
    """Some settings get other values. Made by `settings`."""

    def __init__(self, wanted: Mapping[str, Any], info: ServerInfo) -> None:
        self._wanted = dict(wanted)
        self.rows = [
            row(number, "setting", f"setting:{name}", name=name, before=_before(info, name), after=value)
            for number, (name, value) in enumerate(self._wanted.items())
        ]

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`."""
        async with place.opening() as manager:
            for number, (name, value) in enumerate(self._wanted.items()):
                now = _before(await manager.server_info(), name)
                if now != self.rows[number]["before"]:
                    tell.outcome(number, changed("it has another value"))
                    continue
                try:
                    await _set(manager, name, value)
                except Win32Error as error:
                    tell.outcome(number, failed(error))
                else:
                    tell.outcome(number, DONE)
        return None


async def settings(manager: Manager, wanted: Mapping[str, Any]) -> Setting:
    """The work that sets these; those that have the value already are none of it. Raises NothingToDo where nothing
    is left."""
    info = await manager.server_info()
    left = {name: value for name, value in wanted.items() if _before(info, name) != value}
    if not left:
        raise NothingToDo("it is set so already")
    return Setting(left, info)


async def _set(manager: Manager, name: str, value: Any) -> None:
    if name == "comment":
        await manager.set_comment(value)
    elif name == "autodisconnect":
        await manager.set_autodisconnect(value)
    else:
        await manager.set_hidden(value)


class Pausing(Work):
    """The service is paused, or goes on. Made by `pausing`."""

    def __init__(self, state: ServiceState, *, pauses: bool) -> None:
        self._pauses = pauses
        after = ServiceState.PAUSED if pauses else ServiceState.RUNNING
        self.rows = [row(0, "service", "service:server", name="Server", before=state.value, after=after.value)]

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`."""
        async with place.opening() as manager:
            try:
                did = await (manager.pause() if self._pauses else manager.continue_())
            except Win32Error as error:
                tell.outcome(0, failed(error))
                return None
        note = None if did else "somebody else has done so meanwhile"
        tell.outcome(0, outcome(What.DONE, note=note))
        return None


async def pausing(manager: Manager, *, pauses: bool) -> Pausing:
    """The work that pauses the service, or has it go on. Raises NothingToDo where it does so already, 50 where it
    cannot."""
    state = await manager.service_state()
    if (state is ServiceState.PAUSED) is pauses:
        raise NothingToDo("it is paused already" if pauses else "it is not paused")
    return Pausing(state, pauses=pauses)
