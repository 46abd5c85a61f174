"""The Windows Server service and the NET SESSION family, for every operating system.

    async with lanman.open_manager("fs1", lanman.Credentials("ann", "secret")) as manager:
        for session in await manager.sessions(user="bob"):
            print(session.client_name, session.user_name, session.idle_time)

    with lanman.connect("fs1", lanman.Credentials("ann", "secret")) as manager:     # the same without asyncio
        print(manager.files(path="/srv/data/*.xlsx"))

    async with lanman.watch("fs1", lanman.Credentials("ann", "secret")) as poller:             # while it happens
        async for update in poller:
            print(update.changes)

    async with lanman.open_history() as history:                                            # who was there, and when
        print((await history.by_user("bob")).stays)

    async with lanman.sweep("sessions", ["10.0.0.0/16"], credentials) as sweep:       # very many servers
        async for outcome in sweep:
            print(outcome.server, outcome.result, outcome.rows)

    async with lanman.Server({"data": "/srv/data"}, {"ann": "secret"}) as server:      # a Server of one's own
        print(server.port, server.sessions())

Every name below is loaded when it is first used, so that `import lanman` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost more than all the rest
if TYPE_CHECKING:
    from typing import Any

    from lanman.errors import (
        AccessDenied,
        AuthenticationError,
        ConnectionLost,
        EventsLost,
        LanmanError,
        LocalProtocolError,
        MalformedMessage,
        ProtocolError,
        RemoteProtocolError,
        StatusError,
        TimedOut,
        Win32Error,
    )
    from lanman.faces.web.blocking import BlockingWebConsole, blocking_web_console
    from lanman.faces.web.program import WebConsole, web_console
    from lanman.fleet.blocking import BlockingSweep, blocking_sweep
    from lanman.fleet.sweep import Sweep, sweep
    from lanman.fleet.values import FleetOutcome, Target
    from lanman.manage.cluster import single_servers
    from lanman.manage.doctor.report import Diagnosis, Finding, Mark, Verdict
    from lanman.manage.doctor.run import doctor
    from lanman.manage.drain.call import drain
    from lanman.manage.drain.shell import DrainResult
    from lanman.manage.explain import Explanation, Holder, explain
    from lanman.manage.granted import GrantedLevels
    from lanman.manage.history.programs import (
        BlockingHistory,
        blocking_history,
        blocking_record_history,
        open_history,
        record_history,
    )
    from lanman.manage.history.records import Answer, Deed, GapRecord, Stay
    from lanman.manage.manager import CloseResult, FileCloseResult, Manager, Sessions
    from lanman.manage.metrics.blocking import BlockingExporter, blocking_exporter
    from lanman.manage.metrics.exporter import Exporter, exporter
    from lanman.manage.open import open_manager
    from lanman.manage.policies.api import (
        PolicyStatus,
        check_policies,
        plan_policies,
        policy_status,
        run_policies,
        spare_from_policies,
    )
    from lanman.manage.policies.blocking import (
        blocking_plan_policies,
        blocking_policy_status,
        blocking_run_policies,
        blocking_spare_from_policies,
    )
    from lanman.manage.policies.plan import PolicyPlan
    from lanman.manage.sync import BlockingManager, blocking_doctor, blocking_drain, connect
    from lanman.manage.watching.blocking import BlockingPoller, blocking_watch
    from lanman.manage.watching.changes import Change, Picture, Update
    from lanman.manage.watching.nodes import watch_nodes
    from lanman.manage.watching.poller import Poller, watch
    from lanman.net.credentials import Credentials
    from lanman.net.server.embedded import Server
    from lanman.records import (
        ConnectionInfo,
        FileInfo,
        ServerInfo,
        ServiceState,
        SessionInfo,
        ShareInfo,
        Statistics,
        TimeOfDay,
        TransportInfo,
    )

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Answer",
    "AuthenticationError",
    "BlockingExporter",
    "BlockingHistory",
    "BlockingManager",
    "BlockingPoller",
    "BlockingSweep",
    "BlockingWebConsole",
    "Change",
    "CloseResult",
    "ConnectionInfo",
    "ConnectionLost",
    "Credentials",
    "Deed",
    "Diagnosis",
    "DrainResult",
    "EventsLost",
    "Explanation",
    "Exporter",
    "FileCloseResult",
    "FileInfo",
    "Finding",
    "FleetOutcome",
    "GapRecord",
    "GrantedLevels",
    "Holder",
    "LanmanError",
    "LocalProtocolError",
    "MalformedMessage",
    "Manager",
    "Mark",
    "Picture",
    "PolicyPlan",
    "PolicyStatus",
    "Poller",
    "ProtocolError",
    "RemoteProtocolError",
    "Server",
    "ServerInfo",
    "ServiceState",
    "SessionInfo",
    "Sessions",
    "ShareInfo",
    "Statistics",
    "StatusError",
    "Stay",
    "Sweep",
    "Target",
    "TimeOfDay",
    "TimedOut",
    "TransportInfo",
    "Update",
    "Verdict",
    "WebConsole",
    "Win32Error",
    "blocking_doctor",
    "blocking_drain",
    "blocking_exporter",
    "blocking_history",
    "blocking_plan_policies",
    "blocking_policy_status",
    "blocking_record_history",
    "blocking_run_policies",
    "blocking_spare_from_policies",
    "blocking_sweep",
    "blocking_watch",
    "blocking_web_console",
    "check_policies",
    "connect",
    "doctor",
    "drain",
    "explain",
    "exporter",
    "open_history",
    "open_manager",
    "plan_policies",
    "policy_status",
    "record_history",
    "run_policies",
    "single_servers",
    "spare_from_policies",
    "sweep",
    "watch",
    "watch_nodes",
    "web_console",
]

_HOMES = {
    "BlockingWebConsole": "lanman.faces.web.blocking",
    "blocking_web_console": "lanman.faces.web.blocking",
    "WebConsole": "lanman.faces.web.program",
    "web_console": "lanman.faces.web.program",
    "BlockingExporter": "lanman.manage.metrics.blocking",
    "blocking_exporter": "lanman.manage.metrics.blocking",
    "Exporter": "lanman.manage.metrics.exporter",
    "exporter": "lanman.manage.metrics.exporter",
    "BlockingSweep": "lanman.fleet.blocking",
    "blocking_sweep": "lanman.fleet.blocking",
    "Sweep": "lanman.fleet.sweep",
    "sweep": "lanman.fleet.sweep",
    "FleetOutcome": "lanman.fleet.values",
    "Target": "lanman.fleet.values",
    "BlockingManager": "lanman.manage.sync",
    "BlockingPoller": "lanman.manage.watching.blocking",
    "Change": "lanman.manage.watching.changes",
    "Picture": "lanman.manage.watching.changes",
    "Poller": "lanman.manage.watching.poller",
    "Update": "lanman.manage.watching.changes",
    "watch": "lanman.manage.watching.poller",
    "blocking_watch": "lanman.manage.watching.blocking",
    "ConnectionInfo": "lanman.records",
    "Credentials": "lanman.net.credentials",
    "CloseResult": "lanman.manage.manager",
    "FileCloseResult": "lanman.manage.manager",
    "FileInfo": "lanman.records",
    "Explanation": "lanman.manage.explain",
    "Holder": "lanman.manage.explain",
    "explain": "lanman.manage.explain",
    "GrantedLevels": "lanman.manage.granted",
    "Answer": "lanman.manage.history.records",
    "Deed": "lanman.manage.history.records",
    "GapRecord": "lanman.manage.history.records",
    "Stay": "lanman.manage.history.records",
    "BlockingHistory": "lanman.manage.history.programs",
    "blocking_history": "lanman.manage.history.programs",
    "blocking_record_history": "lanman.manage.history.programs",
    "open_history": "lanman.manage.history.programs",
    "record_history": "lanman.manage.history.programs",
    "Manager": "lanman.manage.manager",
    "Server": "lanman.net.server.embedded",
    "ServerInfo": "lanman.records",
    "ServiceState": "lanman.records",
    "SessionInfo": "lanman.records",
    "Sessions": "lanman.manage.manager",
    "ShareInfo": "lanman.records",
    "Statistics": "lanman.records",
    "TimeOfDay": "lanman.records",
    "TransportInfo": "lanman.records",
    "Diagnosis": "lanman.manage.doctor.report",
    "DrainResult": "lanman.manage.drain.shell",
    "Finding": "lanman.manage.doctor.report",
    "Mark": "lanman.manage.doctor.report",
    "Verdict": "lanman.manage.doctor.report",
    "blocking_doctor": "lanman.manage.sync",
    "blocking_drain": "lanman.manage.sync",
    "connect": "lanman.manage.sync",
    "doctor": "lanman.manage.doctor.run",
    "drain": "lanman.manage.drain.call",
    "open_manager": "lanman.manage.open",
    "single_servers": "lanman.manage.cluster",
    "watch_nodes": "lanman.manage.watching.nodes",
    "PolicyStatus": "lanman.manage.policies.api",
    "check_policies": "lanman.manage.policies.api",
    "plan_policies": "lanman.manage.policies.api",
    "policy_status": "lanman.manage.policies.api",
    "run_policies": "lanman.manage.policies.api",
    "spare_from_policies": "lanman.manage.policies.api",
    "blocking_plan_policies": "lanman.manage.policies.blocking",
    "blocking_policy_status": "lanman.manage.policies.blocking",
    "blocking_run_policies": "lanman.manage.policies.blocking",
    "blocking_spare_from_policies": "lanman.manage.policies.blocking",
    "PolicyPlan": "lanman.manage.policies.plan",
}


def __getattr__(name: str) -> Any:
    """Load a public name from where it lives (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "lanman.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
