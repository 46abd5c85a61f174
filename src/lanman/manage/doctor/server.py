"""The checks of `server`: what it says of itself, and how near it is to its limit of sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lanman import codes
from lanman.manage.doctor.builds import described
from lanman.manage.doctor.check import Cause, Said, check, ok, problem, unknown, warning
from lanman.manage.doctor.facts import Facts, Stage, Way
from lanman.manage.doctor.report import Mark

# SV_TYPE_ bits of SERVER_INFO_101 (MS-SRVS 2.2.2.7).
_DOMAIN_CONTROLLER: Final = 0x8 | 0x10
_NT: Final = 0x1000
_SERVER_NT: Final = 0x8000

# What a client Windows allows at once; XP and before allowed half.
_CLIENT_LIMIT: Final = 20
_OLD_CLIENT_LIMIT: Final = 10
_FIRST_WITH_20: Final = 7600
# sv102_users of a Windows Server as it comes; 0xFFFFFFFF says so outright.
_NO_LIMIT: Final = 1 << 24
# From this part of the limit on there is a warning.
_NEAR: Final = 0.8


@check(
    "LD070",
    "server",
    "information",
    stage=Stage.ASKED,
    severity=Mark.WARNING,
    looks_at="At which level NetrServerGetInfo answers: 102, 101 or 100.",
    means="Level 102 has the settings (limit of sessions, idle time). It is for administrators and operators; 101 and "
    "100 are for everybody.",
    causes=(Cause("denied", "{statuses}", "as for LD034: the right that lists every session reads the settings"),),
)
def information(facts: Facts) -> Iterator[Said]:
    """The level that is granted."""
    if not facts.info_levels:
        return
    level = next((level for level, answer in facts.info_levels.items() if answer.granted), None)
    told = {str(level): answer.code for level, answer in facts.info_levels.items()}
    if level is None:
        statuses = "; ".join(
            f"{level}: {codes.win32_text(answer.code).rstrip('.')}" for level, answer in facts.info_levels.items()
        )
        yield warning("NetrServerGetInfo is refused", "denied", values={"statuses": statuses}, levels=told)
    else:
        by = {Way.SAMBA_TOOLS: "by testparm", Way.KSMBD: "by its files"}
        at = f"information {by.get(facts.way, f'at level {level}')}"
        yield ok(at, levels=told, granted=level)


@check(
    "LD071",
    "server",
    "kind",
    stage=Stage.NEGOTIATED,
    severity=Mark.OK,
    looks_at="Which server it is: Samba and lanman show it in NEGOTIATE, Windows says its build in NTLM's challenge.",
    means="What a server calls itself is for people to read, and proves nothing; appliances often call themselves a "
    "Windows. A log-on by Kerberos hears no build.",
)
def kind(facts: Facts) -> Iterator[Said]:
    """What it is."""
    if facts.way is not Way.SMB or facts.told is None:
        return
    version = None if facts.told.version is None else ".".join(map(str, facts.told.version))
    seen = {"version": version, "computer_name": facts.told.computer_name, "domain_name": facts.told.domain_name}
    named = f"{facts.told.computer_name}: " if facts.told.computer_name else ""
    if facts.is_samba:
        yield ok(f"{named}a Samba", kind="samba", **seen)
    elif facts.is_lanman:
        yield ok(f"{named}a lanman Server", kind="lanman", **seen)
    elif facts.build is not None:
        yield ok(f"{named}{described(facts.build)}", kind="windows", **seen)
    elif facts.stage >= Stage.LOGGED_ON:
        yield unknown("does not say which Windows it is", kind=None, **seen)


@check(
    "LD072",
    "server",
    "limit",
    stage=Stage.ASKED,
    severity=Mark.PROBLEM,
    looks_at="How many sessions there are beside how many are allowed: as the server says, or 20 on a client Windows "
    "(10 up to Vista).",
    means="When the limit is reached newcomers are refused with error 71, and clients that left without a word count "
    "until they are disconnected for idleness.",
    causes=(
        Cause(
            "near",
            "{count} sessions of {limit} that it allows",
            "see who is idle: lanman session; end those, or set a shorter idle time: lanman config server "
            "/autodisconnect:15",
        ),
        Cause(
            "reached",
            "{count} sessions of {limit} that it allows: newcomers are refused",
            "see who is idle and end those: lanman session; a client Windows cannot be given more, a Server can",
        ),
    ),
)
def limit(facts: Facts) -> Iterator[Said]:
    """How near the limit is."""
    level = facts.granted_level
    allowed, count = _limit(facts), facts.levels[level].count if level is not None else None
    if allowed is None or count is None:
        return
    seen: dict[str, Any] = {"sessions": count, "limit": allowed}
    values = {"count": str(count), "limit": str(allowed)}
    if count >= allowed:
        yield problem(f"{count} sessions: the limit of {allowed} is reached", "reached", values=values, **seen)
    elif count >= allowed * _NEAR:
        yield warning(f"{count} of at most {allowed} sessions", "near", values=values, **seen)
    else:
        yield ok(f"{count} of at most {allowed} sessions", **seen)


def _limit(facts: Facts) -> int | None:
    """How many sessions are allowed; None where there is no limit, or none that is known."""
    info = facts.info
    if info is None or facts.is_samba:  # smbd answers with a constant
        return None
    if info.users is not None and info.users < _NO_LIMIT:
        return info.users or None
    is_client = info.type is not None and info.type & _NT and not info.type & (_SERVER_NT | _DOMAIN_CONTROLLER)
    if not is_client or facts.is_lanman or facts.way is Way.OWN:
        return None
    old = facts.build is not None and facts.build < _FIRST_WITH_20
    return _OLD_CLIENT_LIMIT if old else _CLIENT_LIMIT
