r"""A database of services as Windows' Service Control Manager keeps it, scripted from MS-SCMR 3.1.4 and winsvc.h.

    database = ServiceDatabase()
    database.control("LanmanServer", 2)      # 0
    database.query("LanmanServer").state     # 6, pause pending; 7 when it was asked `slow` times

It stands behind the svcctl pipe of the scripted Windows and behind the advapi32 of the tests; no real one has seen it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lanman import codes

STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)

_ENDS = {START_PENDING: RUNNING, STOP_PENDING: STOPPED, CONTINUE_PENDING: RUNNING, PAUSE_PENDING: PAUSED}
_BEGINS = {1: STOP_PENDING, 2: PAUSE_PENDING, 3: CONTINUE_PENDING}


@dataclass
class Service:
    """`slow` is how often it is asked in vain for the end of what is pending, `rests` where it comes to rest then, if
    not where it should. `needs` are the services that it depends on."""

    name: str
    display_name: str
    state: int = RUNNING
    needs: tuple[str, ...] = ()
    slow: int = 0
    wait_hint: int = 0
    rests: int | None = None
    disabled: bool = False
    accepts: int = 7  # stop, pause and continue, shutdown
    left: int = 0

    def begin(self, state: int) -> None:
        self.state, self.left = state, self.slow


def _installed() -> list[Service]:
    return [
        Service("LanmanServer", "Server"),
        Service("Browser", "Computer Browser", needs=("LanmanServer",)),
        Service("Dfs", "DFS Namespace", needs=("LanmanServer", "Browser")),
        Service("Spooler", "Print Spooler"),
        Service("LanmanWorkstation", "Workstation", STOPPED),
    ]


@dataclass
class ServiceDatabase:
    """The services, and what was done to them: `orders` are (name, control), 0 for a start."""

    services: list[Service] = field(default_factory=_installed)
    orders: list[tuple[str, int]] = field(default_factory=list)

    def find(self, name: str) -> Service | None:
        return next((each for each in self.services if each.name.casefold() == name.casefold()), None)

    def __getitem__(self, name: str) -> Service:
        found = self.find(name)
        assert found is not None
        return found

    def query(self, name: str) -> Service:
        """A service as it is at this look; what is pending comes nearer to its end."""
        service = self[name]
        if service.state in _ENDS:
            if service.left == 0:
                service.state = service.rests or _ENDS[service.state]
            else:
                service.left -= 1
        return service

    def control(self, name: str, code: int) -> int:
        """The status of ControlService."""
        service = self[name]
        self.orders.append((service.name, code))
        if code not in (1, 2, 3, 4):
            return codes.ERROR_INVALID_PARAMETER
        if service.state == STOPPED:
            return codes.ERROR_SERVICE_NOT_ACTIVE
        if service.state in (START_PENDING, STOP_PENDING):
            return codes.ERROR_SERVICE_CANNOT_ACCEPT_CTRL
        if code == 1 and self.dependents(name):
            return codes.ERROR_DEPENDENT_SERVICES_RUNNING
        if code != 4:
            if not service.accepts & (1 if code == 1 else 2):
                return codes.ERROR_INVALID_SERVICE_CONTROL
            service.begin(_BEGINS[code])
        return 0

    def start(self, name: str) -> int:
        """The status of StartService."""
        service = self[name]
        self.orders.append((service.name, 0))
        if service.disabled:
            return codes.ERROR_SERVICE_DISABLED
        if service.state != STOPPED:
            return codes.ERROR_SERVICE_ALREADY_RUNNING
        service.begin(START_PENDING)
        return 0

    def dependents(self, name: str) -> list[Service]:
        """The active services that depend on one, in the order in which they can be stopped."""
        return [each for each in reversed(self.services) if name in each.needs and each.state != STOPPED]
