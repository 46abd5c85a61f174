"""The counters of STAT_SERVER_0 (MS-SRVS 2.2.4.39) that a server of today can count."""

from __future__ import annotations

from lanman.plain import dataclass


@dataclass(slots=True)
class Counters:
    """Counted since `start`, in seconds since 1970. Names are those of the structure, without `sts0_`.

    `sopens` and `fopens` are what is open now: MS-SMB2 3.3.4.12 and 3.3.4.17 count them down again. `devopens`,
    `jobsqueued`, `serrorout`, `syserrors`, `avresponse` and the two buffer shortages are zero by definition.
    """

    start: int = 0
    fopens: int = 0
    sopens: int = 0
    stimedout: int = 0
    pwerrors: int = 0
    permerrors: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    devopens: int = 0
    jobsqueued: int = 0
    serrorout: int = 0
    syserrors: int = 0
    avresponse: int = 0
    reqbufneed: int = 0
    bigbufneed: int = 0

    def reset(self, start: int) -> None:
        """Count from zero again; what is open stays counted."""
        self.start = start
        self.stimedout = self.pwerrors = self.permerrors = 0
        self.bytes_sent = self.bytes_received = 0
