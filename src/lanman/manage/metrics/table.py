"""Every metric of `lanman metrics`, declared once: name, labels, where it comes from, and how many series it may have.

The exposition, the reference page, the check of the dashboard and of the alert rules, and the bound of a server's
series are made from this table. The rules:

  - Names and labels are a promise to dashboards: none is renamed.
  - What a server does not tell has no series; a series is never 0 in place of "not told".
  - A server has at most `MAX_SERIES` series whatever is on it: what peers make up (users, clients, shares) is bounded,
    and `lanman_truncated` says how much the bound left out.
  - Names of users and clients are in labels only where they were asked for (`needs_names`).
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from lanman.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SERIES: Final = 400
"""As many series as one server may have."""

MAX_SHARES: Final = 200
"""As many shares as have a series of their own; those most in use do."""

OTHERS: Final = "(others)"
"""The share that stands for all others."""

DEFAULT_TOP: Final = 20
MAX_TOP: Final = 30
"""How many users and clients may have series, at most."""

MAX_LABEL: Final = 128
"""As many characters as a label's value has that a peer made up; a longer one is cut."""

MAX_PORTIONS: Final = 16
"""As many kinds of things that users share as have series; lanman's own Server has ten."""

MAX_POLICIES: Final = 50
"""As many policies as have series."""

BOUNDS: Final = (60, 300, 900, 3600, 4 * 3600, 8 * 3600, 86400, 7 * 86400)
"""The upper bounds of idle times and ages, in seconds, each included; "+Inf" comes after them."""


class Why(Enum):
    """Why a session has closed: the nine values of the label `why`."""

    LOGGED_OFF = "logged_off"
    DISCONNECTED = "disconnected"
    ENDED = "ended"
    IDLE = "idle"
    REPLACED = "replaced"
    STOPPED = "stopped"
    ACCOUNT = "account"
    REFUSED = "refused"
    VANISHED = "vanished"


WHY: Final[Mapping[Why, str]] = MappingProxyType(
    {
        Why.LOGGED_OFF: "its client logged off",
        Why.DISCONNECTED: "its connection was lost",
        Why.ENDED: "an administrator, `lanman drain` or a policy ended it",
        Why.IDLE: "it was idle for longer than autodisconnect allows",
        Why.REPLACED: "the same client logged on again in its place",
        Why.STOPPED: "the server stopped, or was started anew",
        Why.ACCOUNT: "its account was disabled or deleted, lost its rights, or its ticket expired",
        Why.REFUSED: "it logged on again and was refused",
        Why.VANISHED: "a later look did not find it; of servers that are asked nothing else is known",
    }
)


class Kind(Enum):
    """How a metric behaves."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "gauge histogram"
    """Cumulative buckets that go up and down, since they count what is there now."""
    INFO = "info"


TOP: Final = -1
"""As many series as `--top` says."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is that of its series; `labels` are in the order of its figures.

    `most` is how many series one server may have of it, 0 for one that is about no server. `unit` is that of the value,
    "" for a count. `told_by` says what it is worked out from, `absent` when there is no series.
    """

    name: str
    kind: Kind
    help: str
    told_by: str
    absent: str = ""
    labels: tuple[str, ...] = ("server",)
    unit: str = ""
    most: int = 1
    needs_names: bool = False

    @property
    def family(self) -> str:
        """The name without what its kind adds to it."""
        return self.name.removesuffix(_ADDED.get(self.kind, ""))


_ADDED: Final = {Kind.COUNTER: "_total", Kind.HISTOGRAM: "_bucket", Kind.INFO: "_info"}

_SESSIONS: Final = "NetrSessionEnum"
_FILES: Final = "NetrFileEnum"
_SHARES: Final = "NetrShareEnum"
_STATISTICS: Final = "NetrServerStatisticsGet"
_NO_SESSIONS: Final = "the server does not list sessions"
_NO_FILES: Final = "the server does not list open files"
_NO_STATISTICS: Final = "the server has no such counters (Samba), or does not tell them"
_OWN: Final = "lanman's own Server, on its machine"
_NOT_OWN: Final = "any other server, and lanman's over the network: MS-SRVS does not tell it"
_STREAM: Final = "lanman's own Server as it happens; otherwise what two looks differ in"

UP: Final = Metric(
    "lanman_up", Kind.GAUGE, "Whether the server answers: 1, or 0 when the last look failed.", "the last look"
)
POLL_AGE: Final = Metric(
    "lanman_poll_age_seconds",
    Kind.GAUGE,
    "How long ago the server was last seen.",
    "the last look that succeeded",
    "it was never seen",
    unit="seconds",
)
POLL_DURATION: Final = Metric(
    "lanman_poll_duration_seconds",
    Kind.GAUGE,
    "How long the server's answers took at the last look.",
    "the last look that succeeded",
    "the server tells by itself what happens, and is not asked",
    unit="seconds",
)
LEVEL: Final = Metric(
    "lanman_level",
    Kind.GAUGE,
    "The information level of the sessions that the server granted.",
    _SESSIONS,
    _NO_SESSIONS,
)
SESSIONS: Final = Metric("lanman_sessions", Kind.GAUGE, "Sessions.", _SESSIONS, _NO_SESSIONS)
SESSION_LIMIT: Final = Metric(
    "lanman_session_limit",
    Kind.GAUGE,
    "How many sessions the server admits at once.",
    "NetrServerGetInfo, level 102",
    "there is no limit, or the server does not tell it (Samba)",
)
USERS: Final = Metric(
    "lanman_users",
    Kind.GAUGE,
    "Users that have sessions, each counted once; null sessions have none.",
    _SESSIONS,
    f"{_NO_SESSIONS}, or lists them without users (level 0)",
)
CLIENTS: Final = Metric(
    "lanman_clients", Kind.GAUGE, "Clients that have sessions, each counted once.", _SESSIONS, _NO_SESSIONS
)
OPEN_FILES: Final = Metric(
    "lanman_open_files",
    Kind.GAUGE,
    "Open files, folders and pipes, by access: write where they may be written to, read otherwise.",
    _FILES,
    f"{_NO_FILES}, or not how they are open",
    ("server", "access"),
    most=2,
)
FILE_LOCKS: Final = Metric(
    "lanman_file_locks",
    Kind.GAUGE,
    "Byte-range locks on open files.",
    _FILES,
    f"{_NO_FILES}, or not their locks",
)
CONNECTIONS: Final = Metric(
    "lanman_session_connections",
    Kind.GAUGE,
    "Connections of all sessions: as many as sessions where none has several (multichannel).",
    _OWN,
    _NOT_OWN,
)
KEPT_FILES: Final = Metric(
    "lanman_kept_files",
    Kind.GAUGE,
    "Files that are kept open for clients whose connection was lost; they are among the open ones.",
    _OWN,
    _NOT_OWN,
)
SHARE_USERS: Final = Metric(
    "lanman_share_users",
    Kind.GAUGE,
    f"Connections to a share; beyond {MAX_SHARES} shares those least in use are one, {OTHERS}.",
    _SHARES,
    "the server does not tell how many use its shares",
    ("server", "share"),
    most=MAX_SHARES + 1,
)
SESSION_IDLE: Final = Metric(
    "lanman_session_idle_seconds_bucket",
    Kind.HISTOGRAM,
    "Sessions that have been idle for no longer than this.",
    _SESSIONS,
    "the server does not tell idle times (Samba, level 0)",
    ("server", "le"),
    unit="seconds",
    most=len(BOUNDS) + 1,
)
SESSION_AGE: Final = Metric(
    "lanman_session_age_seconds_bucket",
    Kind.HISTOGRAM,
    "Sessions that began no longer ago than this.",
    _SESSIONS,
    "the server does not tell when sessions began (level 0)",
    ("server", "le"),
    unit="seconds",
    most=len(BOUNDS) + 1,
)
OPENED: Final = Metric(
    "lanman_sessions_opened_total",
    Kind.COUNTER,
    "Sessions that have begun since the exporter was started.",
    _STREAM,
    _NO_SESSIONS,
)
CLOSED: Final = Metric(
    "lanman_sessions_closed_total",
    Kind.COUNTER,
    "Sessions that have closed since the exporter was started, by the reason.",
    _STREAM,
    f"{_NO_SESSIONS}; of one that is asked there is `vanished` alone",
    ("server", "why"),
    most=len(Why),
)
TOP_USER_SESSIONS: Final = Metric(
    "lanman_top_user_sessions",
    Kind.GAUGE,
    "Sessions of the users that have the most.",
    _SESSIONS,
    f"{_NO_SESSIONS}, or not their users; without --names",
    ("server", "user"),
    most=TOP,
    needs_names=True,
)
TOP_USER_FILES: Final = Metric(
    "lanman_top_user_files",
    Kind.GAUGE,
    "Open files of the users that have the most.",
    _FILES,
    f"{_NO_FILES}; without --names",
    ("server", "user"),
    most=TOP,
    needs_names=True,
)
TOP_CLIENT_SESSIONS: Final = Metric(
    "lanman_top_client_sessions",
    Kind.GAUGE,
    "Sessions of the clients that have the most.",
    _SESSIONS,
    f"{_NO_SESSIONS}; without --names",
    ("server", "client"),
    most=TOP,
    needs_names=True,
)
BOUNDED: Final = (SHARE_USERS, TOP_USER_SESSIONS, TOP_USER_FILES, TOP_CLIENT_SESSIONS)
"""Those of which a bound leaves something out."""

TRUNCATED: Final = Metric(
    "lanman_truncated",
    Kind.GAUGE,
    "How many shares, users or clients the bound of a metric left out.",
    "the figures of that metric",
    "the metric has no series",
    ("server", "metric"),
    most=len(BOUNDED),
)
SERVER_BYTES: Final = Metric(
    "lanman_server_bytes_total",
    Kind.COUNTER,
    "Bytes that the server received from clients and sent to them since it was started.",
    _STATISTICS,
    _NO_STATISTICS,
    ("server", "direction"),
    unit="bytes",
    most=2,
)
PASSWORD_ERRORS: Final = Metric(
    "lanman_server_password_errors_total",
    Kind.COUNTER,
    "Log-ons that the server refused for a wrong password since it was started.",
    _STATISTICS,
    _NO_STATISTICS,
)
PERMISSION_ERRORS: Final = Metric(
    "lanman_server_permission_errors_total",
    Kind.COUNTER,
    "Accesses that the server denied since it was started.",
    _STATISTICS,
    _NO_STATISTICS,
)
TIMEOUTS: Final = Metric(
    "lanman_server_timeouts_total",
    Kind.COUNTER,
    "Sessions that the server ended for idleness since it was started.",
    _STATISTICS,
    _NO_STATISTICS,
)
PORTION_TAKEN: Final = Metric(
    "lanman_server_portion_taken",
    Kind.GAUGE,
    "How much is taken of what all users share: open files, locks, leases, bytes of answers.",
    _OWN,
    _NOT_OWN,
    ("server", "portion"),
    most=MAX_PORTIONS,
)
PORTION_LIMIT: Final = Metric(
    "lanman_server_portion_limit",
    Kind.GAUGE,
    "How much of that there is for all users together.",
    _OWN,
    "any other server, lanman's over the network, and what has no limit, or a limit of 0",
    ("server", "portion"),
    most=MAX_PORTIONS,
)
PORTION_REFUSED: Final = Metric(
    "lanman_server_portion_refused_total",
    Kind.COUNTER,
    "How often a user wanted more of that than one may have, since the server was started.",
    _OWN,
    _NOT_OWN,
    ("server", "portion"),
    most=MAX_PORTIONS,
)
POLICY_ENDED: Final = Metric(
    "lanman_policy_ended_total",
    Kind.COUNTER,
    "What became of the sessions that policies would end, by policy and outcome.",
    "the deeds of policies in the history's database, from its beginning",
    "without --db",
    ("policy", "outcome"),
    most=0,
)
BUILD: Final = Metric(
    "lanman_build_info", Kind.INFO, "The version of lanman.", "the package itself", "", ("version",), most=0
)

TABLE: Final = (
    UP,
    POLL_AGE,
    POLL_DURATION,
    LEVEL,
    SESSIONS,
    SESSION_LIMIT,
    USERS,
    CLIENTS,
    OPEN_FILES,
    FILE_LOCKS,
    CONNECTIONS,
    KEPT_FILES,
    SHARE_USERS,
    SESSION_IDLE,
    SESSION_AGE,
    OPENED,
    CLOSED,
    TOP_USER_SESSIONS,
    TOP_USER_FILES,
    TOP_CLIENT_SESSIONS,
    TRUNCATED,
    SERVER_BYTES,
    PASSWORD_ERRORS,
    PERMISSION_ERRORS,
    TIMEOUTS,
    PORTION_TAKEN,
    PORTION_LIMIT,
    PORTION_REFUSED,
    POLICY_ENDED,
    BUILD,
)
"""All of them, in the order of a scrape."""


def most_series(top: int) -> int:
    """How many series one server may have, with names of so many users and clients."""
    return sum(top if each.most == TOP else each.most for each in TABLE)


assert most_series(MAX_TOP) <= MAX_SERIES, "a server may have too many series"
