"""What a scripted console (`support.web_scripted`) tells in the tests of pages: five servers, one in each state, and an
answer for each page. `BAD` stands wherever a peer has the choice of a name."""

from __future__ import annotations

import copy
from typing import Any, Final

from support.web_scripted import Answer, ScriptedConsole

BAD: Final = (
    "<img src=x onerror=\"document.body.dataset.ran='1'\"><script>document.body.dataset.ran='1'</script>\u202egpj.exe"
)
"""A name that would run as a script where it were taken for markup, and read backwards where it were not escaped."""
SHOWN: Final = BAD.replace("\u202e", "\\u202e")
"""How it has to be shown."""

ORDERS: Final = ("end", "close", "share", "set", "pause", "drain")
CAN: Final[dict[str, Any]] = {"capabilities": dict.fromkeys(ORDERS, True), "why": {}}
UP: Final[dict[str, Any]] = {"state": "up", "refused": {}, "error": None, "asked_at": "2026-11-26T14:00:00Z", "age": 1}
SERVERS: Final[list[dict[str, Any]]] = [
    {"name": "fs1", **UP, "user": "CORP\\bob", "level": 502, "streamed": True, **CAN}
    | {"sessions": 18, "users": 12, "files": 210, "locks": 31, "shares": 5, "session_limit": 20},
    {"name": "fs2", **UP, "user": "bob", "level": 1, "streamed": False, "sessions": 3}
    | {
        "refused": {"file": {"code": 5, "message": "access denied to its files", "hint": "needs Server Operators"}},
        "capabilities": CAN["capabilities"] | {"set": False, "pause": False, "drain": False},
        "why": {"set": "Samba changes nothing", "pause": "Samba has no pause", "drain": "Samba has no pause"},
    },
    {"name": "nas", "state": "away", "asked_at": "2026-11-26T13:00:00Z"}
    | {"error": {"code": 1231, "message": "nas does not answer at port 445", "hint": "Is it started?"}},
    {"name": "dc7", "state": "denied", "error": {"code": 5, "message": "access denied to srvsvc", "hint": "ask ann"}},
    {"name": "fs9", "state": "login"},
]
PERSON: Final = {"name": "CORP\\bob", "kind": "login"}
HELLO: Final[dict[str, Any]] = {"v": 1, "readonly": False, "person": PERSON, "servers": SERVERS}

PLAN: Final[dict[str, Any]] = {
    "schema": 1,
    "plan": "p1",
    "server": "fs1",
    "verb": "close",
    "state": "planned",
    "expires_in": 60,
    "rows": [
        {"number": 0, "kind": "file", "key": "file:7", "id": 7, "path": "C:\\data\\budget.xlsx", "user_name": "ann"}
        | {"cost": "unsaved", "cost_why": "it is open for writing", "is_own": False, "num_bystanders": 0},
        {"number": 1, "kind": "file", "key": "file:8", "id": 8, "path": f"C:\\{BAD}", "user_name": BAD}
        | {"cost": "reopen", "cost_why": "it is open for reading", "is_own": False, "num_bystanders": 0},
    ],
    "bystanders": [],
    "left_out": [],
    "grave": True,
    "confirm": "fs1",
    "confirm_with_others": "fs1",
    "can_stop": False,
    "outcomes": [],
    "events": [],
    "verdict": None,
    "error": None,
    "note": None,
}

HOLDERS: Final[list[dict[str, Any]]] = [
    {"id": 7, "path": "C:\\data\\budget.xlsx", "share": "projects", "user_name": "ann", "client_name": "pc1"}
    | {"client_how": "inferred", "candidates": [], "access": 3, "locks": 2, "opened_at": None, "opened_how": "unknown"}
    | {"not_before": "2026-11-26T08:00:00Z", "session": {"idle_time": 120}, "cost": "unsaved"}
    | {"cost_why": "it is open for writing", "oplock": None, "lease": "RWH"},
    {"id": 8, "path": "C:\\data\\budget.xlsx", "share": "projects", "user_name": BAD, "client_name": None}
    | {"client_how": "candidates", "candidates": ["pc2", BAD], "access": 1, "locks": 0}
    | {"opened_at": "2026-11-26T09:00:00Z", "opened_how": "seen", "not_before": None, "session": None}
    | {"cost": "reopen", "cost_why": "it is open for reading", "oplock": None, "lease": None},
]

FINDINGS: Final[list[dict[str, Any]]] = [
    {"id": "net1", "category": "reach", "check": "port", "mark": "ok", "says": "port 445 answers in 3 ms"},
    {"id": "rgt3", "category": "rights", "check": "sessions", "mark": "problem", "says": "sessions may not be listed"}
    | {"needs": "Server Operators", "why": f"{BAD} is no member", "fix": "add the user to Server Operators"},
    {"id": "lim1", "category": "limits", "check": "limit", "mark": "warning", "says": "18 of 20 sessions are in use"},
]


def stay(kind: str, user: str, begun: str, ended: str | None, **more: Any) -> dict[str, Any]:
    """A stay as history answers it; times of the day are of 26 November 2026."""
    whole: dict[str, Any] = {
        "server": "fs1",
        "kind": kind,
        "user_name": user,
        "client_name": "pc1",
        "client_how": "told",
    }
    whole |= {"candidates": [], "path": None, "begun_at": f"2026-11-26T{begun}:00Z", "begun_slack": 2}
    whole |= {"begun_how": "told", "ended_at": ended and f"2026-11-26T{ended}:00Z", "ended_slack": 5}
    return whole | {"why": "vanished" if ended else None, "ended_by": None} | more


HISTORY: Final[dict[str, Any]] = {
    "schema": 1,
    "complete": False,
    "more": False,
    "watched": [
        {
            "server": "fs1",
            "since_at": "2026-11-01T00:00:00Z",
            "seen_at": "2026-11-26T14:00:00Z",
            "every": 10,
            "paths": True,
        }
    ],
    "gaps": [
        {"server": "fs1", "begun_at": "2026-11-26T03:00:00Z", "ended_at": "2026-11-26T04:00:00Z"}
        | {"why": "recorder not running", "detail": BAD}
    ],
    "stays": [
        stay("session", "ann", "00:00", "02:00"),
        stay("session", BAD, "06:00", None, client_name=BAD),
        stay("file", "ann", "08:00", "10:00", path=f"C:\\{BAD}", ended_by={"who": "bob", "verb": "close"}),
    ],
}
SERIES: Final[dict[str, Any]] = {
    "schema": 1,
    "server": "fs1",
    "step": 3600,
    "points": [
        {
            "at": f"2026-11-26T{hour:02}:00:00Z",
            "sessions": None if hour == 3 else hour,
            "files": None if hour == 3 else 2,
        }
        for hour in range(12)
    ],
    "gaps": HISTORY["gaps"],
}

POLICY: Final[dict[str, Any]] = {
    "policy": "evening",
    "servers": ["fs1"],
    "mode": "report",
    "awake": True,
    "changes_at": "2026-11-26T18:00:00Z",
    "before": 600,
    "at_most": 10,
    "at_most_percent": None,
    "may_cost": "reopen",
}
POLICY_PLAN: Final[dict[str, Any]] = {
    "policy": "evening",
    "server": "fs1",
    "mode": "report",
    "at": "2026-11-26T14:00:00Z",
    "error": None,
    "message": None,
    "asleep": False,
    "skipped": None,
    "stopped": None,
    "total": 18,
    "matched": 1,
    "sessions": [
        {"key": "k", "client_name": "pc1", "user_name": BAD, "num_opens": 0, "idle_time": 9000, "begun_at": None}
        | {"meant": "idle for more than 2h", "now": "tell", "why": "nobody was told yet", "cost": "none"}
        | {"due_at": "2026-11-26T14:10:00Z", "cost_why": "nothing is open"}
    ],
    "undecided": [],
}

COUNTERS: Final = ("sopens", "stimedout", "serrorout", "avresponse", "pwerrors", "permerrors", "syserrors", "fopens")
STATISTICS: Final[dict[str, Any]] = (
    {"started_at": "2026-11-20T10:00:00Z", "answered_at": "2026-11-26T14:00:00Z", "bytes_sent": 5 * 2**30}
    | {"bytes_received": 1024, "devopens": 0, "jobsqueued": 0, "bigbufneed": 0, "reqbufneed": 0}
    | {name: 1200 + place for place, name in enumerate(COUNTERS)}
)

ANSWERS: Final[dict[tuple[str, str], Answer]] = {
    ("GET", "login"): {"schema": 1, "servers": ["fs1", "fs2", "fs9"], "readonly": False, "person": PERSON},
    ("GET", "servers"): {"schema": 1, "at": "e-0", "servers": SERVERS},
    ("GET", "servers/fs1/settings"): {
        "schema": 1,
        "server": "fs1",
        "configuration": {"name": "FS1", "comment": BAD, "disc": 15, "hidden": False, "users": 4294967295}
        | {"sessopens": 2048, "version_major": 10, "version_minor": 0, "domain": "CORP", "sizreqbuf": 16644}
        | {"transports": [{"name": "NetBT_Tcpip", "address": BAD}]},
    },
    ("GET", "servers/fs1/statistics"): {"schema": 1, "server": "fs1", "statistics": STATISTICS},
    ("GET", "doctor"): {"schema": 1, "server": "fs1", "verdict": "problems", "problems": 1, "warnings": 1}
    | {"asked_at": "2026-11-26T14:00:00Z", "duration": 1.2, "findings": FINDINGS},
    ("GET", "explain"): {"schema": 1, "server": "fs1", "path": "\\\\fs1\\projects\\budget.xlsx", "level": 502}
    | {"local_path": "C:\\data\\budget.xlsx", "share_how": "told", "holders": HOLDERS, "num_unsure": 1}
    | {"missing": ["from where files are open is not told"]},
    ("GET", "history/between"): HISTORY,
    ("GET", "history/at"): HISTORY | {"stays": [one | {"certain": False} for one in HISTORY["stays"]]},
    ("GET", "history/series"): SERIES,
    ("GET", "policies"): {"schema": 1, "policies": [POLICY]},
    ("GET", "policies/plan"): {"schema": 1, "plans": [POLICY_PLAN]},
    ("GET", "policies/status"): {"schema": 1, "database": "d", "runs": None, "promises": []}
    | {"spared": [{"key": BAD, "server": None, "until_at": "2026-11-27T00:00:00Z", "by": "bob"}]},
    ("POST", "servers/fs1/plans"): (201, PLAN),
    ("POST", "plans/p1/run"): (202, {"schema": 1, "plan": "p1", "state": "running"}),
    ("GET", "plans/p1"): PLAN | {"state": "running"},
    ("POST", "logout"): (204, None),
}

DELTA: Final[dict[str, Any]] = {
    "v": 1,
    "server": "fs1",
    "seq": [1, 2],
    "t": 1764079502.1,
    "how": "polled",
    "open": [
        {"key": "session:pc9", "kind": "session", "client_name": BAD, "user_name": "carol"},
        {"key": "file:1", "kind": "file", "user_name": BAD, "path": f"C:\\data\\{BAD}"},
    ],
    "change": [],
    "close": [
        {"key": "session:pc2:dave", "kind": "session", "client_name": "pc2", "user_name": "dave", "why": "vanished"}
    ],
}

PAGES: Final[dict[str, str]] = {
    "servers": "#/servers",
    "settings": "#/server/fs1/settings",
    "statistics": "#/server/fs1/statistics",
    "doctor": "#/server/fs1/doctor?run=1",
    "explain": "#/explain?server=fs1&path=%5C%5Cfs1%5Cprojects%5Cbudget.xlsx",
    "history": "#/history?server=fs1&since=2026-11-26T00:00:00Z&until=2026-11-26T12:00:00Z",
    "moment": "#/history?server=fs1&at=2026-11-26T08:30:00Z",
    "policies": "#/policies",
    "events": "#/events",
    "licences": "#/licences",
    "help": "#/help",
}
"""The address of each page, with something on it."""

SEEN: Final[dict[str, str]] = {
    "servers": "18 of 20",
    "settings": "2,048",
    "statistics": "5.0 GiB",
    "doctor": "add the user to Server Operators",
    "explain": "2 hold",
    "history": "2 sessions, 1 file",
    "moment": "perhaps",
    "policies": "idle for more than 2h",
    "events": "carol",
    "licences": "Leon Sorokin",
    "help": "Keys and help",
}
"""A text that each page shows when what it asked for is there."""


def sampled(console: ScriptedConsole) -> ScriptedConsole:
    """Let a scripted console tell all this."""
    console.answers.update(copy.deepcopy(ANSWERS))
    return console
