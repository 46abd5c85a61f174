"""The checks of `levels`, `files` and `ending`: the management interface, and what the user may do there.

Rules:

  - The first level that is granted is as good as all below it: servers grant poorer ones to more people.
  - Why every level is denied is told by what kind of server it is (`_why_denied`). What can be told from outside is
    told; what cannot (a member or not, filtered or not) is said to be one of two, with the way to find out.
  - Windows has the descriptor SrvsvcSessionInfo since long, and since 10 1607 it keeps authenticated users from every
    level; before that they had levels 0 and 10 (MS-SRVS 3.1.4.5, MicrosoftDocs on NetSessionEnum).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError, TimedOut, Unprotected
from lanman.manage.doctor.builds import FIRST_HARDENED
from lanman.manage.doctor.check import Cause, Said, check, ok, problem, unknown, warning
from lanman.manage.doctor.facts import Answer, Facts, Stage, Way
from lanman.manage.doctor.report import Mark
from lanman.manage.samba import END_HINT, MAP_ADMINISTRATORS, SLOW_HINT
from lanman.names import fold

_WINDOWS_MEMBERS: Final = "a member of Administrators or Server Operators there"
_ADD_MEMBER: Final = (
    "log on as one with -U; or, where {who} is to be an administrator, there in PowerShell: Add-LocalGroupMember "
    "-Group Administrators -Member '{member}'"
)
# Beyond so many seconds an answer of Samba's to NetrFileEnum is called slow.
SLOW: Final = 2.0


@check(
    "LD030",
    "levels",
    "IPC$",
    stage=Stage.TREE,
    severity=Mark.PROBLEM,
    looks_at="Whether the user may connect to IPC$, through which a server is managed.",
    means="The log-on was accepted, and the way to the management interface is closed behind it.",
    causes=(
        Cause(
            "denied",
            "the server lets {who} log on and not connect to IPC$",
            "see there who has the right to access that computer from the network",
        ),
        Cause("null-session", "the server lets nobody connect to IPC$ by a null session", "log on with -U"),
        Cause(
            "samba-users",
            "the Samba lets {who} log on and not connect to IPC$: its smb.conf leaves {who}, or this machine's "
            "address, out",
            "see `invalid users`, `valid users`, `hosts allow` and `hosts deny` there, in [global] and in [IPC$] "
            "(testparm shows them)",
        ),
        Cause("missing", "the server has no IPC$", "it serves files alone, or its Server service is stopped"),
        Cause("refused", "{reason}", "look at the log of the server; try again"),
    ),
)
def ipc(facts: Facts) -> Iterator[Said]:
    """Whether IPC$ is to be had."""
    error = facts.failed_at(Stage.TREE)
    if error is None or isinstance(error, Unprotected):
        return
    cause = {codes.ERROR_ACCESS_DENIED: "denied", codes.ERROR_BAD_NET_NAME: "missing"}.get(error.code, "refused")
    if cause == "denied" and (facts.credentials.anonymous or facts.is_samba):
        cause = "null-session" if facts.credentials.anonymous else "samba-users"
    yield problem(error.text, cause, values={"reason": error.text}, code=error.code)


@check(
    "LD031",
    "levels",
    "pipe",
    stage=Stage.PIPE,
    severity=Mark.PROBLEM,
    looks_at="Whether the pipe srvsvc opens, and answers as the interface of MS-SRVS.",
    means="Sessions and open files are listed and ended through this pipe alone.",
    causes=(
        Cause(
            "missing",
            "there is no \\PIPE\\srvsvc",
            "on a Windows start the Server service (net start server); a Samba needs its RPC services: see "
            "`rpc start on demand helpers` and that samba-dcerpcd is installed; a NAS without it cannot be managed so",
        ),
        Cause(
            "denied",
            "the server lets {who} log on and not open \\PIPE\\srvsvc",
            "log on as an administrator with -U",
        ),
        Cause(
            "interface",
            "the pipe opens, and what is behind it refuses the interface of MS-SRVS",
            "look at the log of the server: its RPC service is not the one that the pipe is for",
        ),
        Cause("refused", "{reason}", "look at the log of the server; try again"),
    ),
)
def pipe(facts: Facts) -> Iterator[Said]:
    """Whether the management interface is there."""
    error = facts.failed_at(Stage.PIPE)
    if error is None or isinstance(error, Unprotected):
        return
    causes = {
        codes.NERR_ServerNotStarted: "missing",
        codes.ERROR_ACCESS_DENIED: "denied",
        codes.RPC_S_UNKNOWN_IF: "interface",
    }
    yield problem(error.text, causes.get(error.code, "refused"), values={"reason": error.text}, code=error.code)


@check(
    "LD032",
    "levels",
    "answers",
    stage=Stage.ASKED,
    severity=Mark.PROBLEM,
    looks_at="Whether the server goes on answering while it is asked.",
    means="It took the log-on, and then stopped answering or broke off. What was not asked by then is not known.",
    causes=(
        Cause("silent", "no answer came in time", "allow more time with --deadline; look at the server: it may hang"),
        Cause(
            "broken-off",
            "{reason}",
            "somebody may have ended this session there; try again, and look at the log of the server",
        ),
    ),
)
def answers(facts: Facts) -> Iterator[Said]:
    """Whether it stopped answering."""
    error = facts.failed_at(Stage.ASKED)
    if error is None or isinstance(error, Unprotected):
        return
    cause = "silent" if isinstance(error, TimedOut) else "broken-off"
    yield problem(error.text, cause, values={"reason": error.text}, code=error.code)


@check(
    "LD034",
    "levels",
    "sessions",
    stage=Stage.ASKED,
    severity=Mark.PROBLEM,
    looks_at="Whether one of the information levels of NetrSessionEnum is granted: 502, 2, 1, 10 or 0.",
    means="Without one of them nobody's sessions can be listed, and none be ended by name.",
    causes=(
        Cause(
            "since-1607",
            "{build}; since Windows 10 1607 the descriptor SrvsvcSessionInfo admits nobody else, to any level",
            _ADD_MEMBER,
            needs=f"{_WINDOWS_MEMBERS}; {{who}} is neither",
        ),
        Cause(
            "remote-uac",
            "{build}; since Windows 10 1607 the descriptor SrvsvcSessionInfo admits nobody else; {who} is an account "
            "of that machine: either no member, or one from which remote UAC takes the right away over the network, as "
            "from every local account but the built-in Administrator; `net localgroup Administrators` tells which",
            "log on as an administrator's account of the domain, or as the built-in Administrator; "
            "LocalAccountTokenFilterPolicy = 1 there turns the filter off for every local administrator, whose stolen "
            "hash then rules that machine over the network: only where there is no domain, and each machine has "
            "passwords of its own",
            needs=f"{_WINDOWS_MEMBERS}, with a token that is not filtered",
        ),
        Cause(
            "descriptor-before-1607",
            "{build}; before Windows 10 1607 every user may list levels 0 and 10, so the descriptor SrvsvcSessionInfo "
            "was changed there, as NetCease does",
            "log on as an administrator with -U, or restore the value SrvsvcSessionInfo under HKLM\\SYSTEM\\"
            "CurrentControlSet\\Services\\LanmanServer\\DefaultSecurity and restart the Server service",
            needs="whoever that descriptor admits, mostly Administrators",
        ),
        Cause(
            "descriptor-changed",
            "{build}; level 102 of NetrServerGetInfo is granted, so {who} is an administrator or an operator there, "
            "and the descriptor SrvsvcSessionInfo was changed to admit fewer",
            "there: see the value SrvsvcSessionInfo under HKLM\\SYSTEM\\CurrentControlSet\\Services\\LanmanServer\\"
            "DefaultSecurity",
            needs="whoever the descriptor SrvsvcSessionInfo admits",
        ),
        Cause(
            "not-an-administrator",
            "the server says ACCESS_DENIED, and neither its kind nor its build (a log-on by Kerberos does not hear it)",
            _ADD_MEMBER,
            needs=f"{_WINDOWS_MEMBERS}",
        ),
        Cause(
            "samba-group-map",
            "a standalone Samba has nobody in BUILTIN\\Administrators, not even root, until the group is mapped; "
            "either it is not, or {who} is no member of it",
            f"{MAP_ADMINISTRATORS}. net groupmap list there tells what is mapped",
            needs="a member of BUILTIN\\Administrators there",
        ),
        Cause(
            "lanman-rights",
            'a lanman Server with session_rights = "hardened", its default, lets administrators and operators alone '
            "list sessions, as Windows does since 10 1607",
            "log on as one with -U; or, where {who} is to be one, there: lanman localgroup 'Server Operators' {user} "
            "/add",
            needs="a member of Administrators or Server Operators of that Server",
        ),
        Cause(
            "null-session",
            "a null session is nobody, and lists nothing on any server of today",
            "log on with -U",
            needs="a user",
        ),
        Cause(
            "not-elevated",
            "this process runs without the rights of an administrator, which an ordinary prompt has not either",
            "run it from an elevated prompt (Run as administrator)",
            needs="Administrators or Server Operators of this machine, elevated",
        ),
        Cause(
            "not-root",
            "Samba's own tools read databases that are root's",
            "ask as root, or over the network: -S localhost -U USER",
            needs="root",
        ),
        Cause(
            "not-the-servers-user",
            "this machine's Server knows who asks over its control socket, and {who} is neither root nor the user that "
            "it runs as",
            "ask as one of them, or over the network: -S localhost -U USER",
            needs="root, or the user that the Server runs as",
        ),
        Cause(
            "rpc-denied",
            "the RPC service itself says no (a fault), before the call is looked at",
            "see what restricts RPC there: RestrictRemoteClients, an RPC filter (netsh rpc filter), a firewall for RPC",
            needs="leave to call MS-SRVS at all",
        ),
        Cause("ksmbd-not-root", "ksmbd's files are root's", "ask as root", needs="root"),
        Cause("not-supported", "{statuses}", "that server cannot list its sessions by MS-SRVS"),
    ),
)
def sessions(facts: Facts) -> Iterator[Said]:
    """The level that is granted, or why none is."""
    if not facts.levels:
        return
    evidence: dict[str, Any] = {"levels": {str(level): answer.code for level, answer in facts.levels.items()}}
    level = facts.granted_level
    if level is not None:
        count = facts.levels[level].count
        listed = "" if count is None else f": {count} session{'s' if count != 1 else ''}"
        yield ok(f"level {level} granted{listed}", **evidence, granted=level, sessions=count)
        return
    if len(facts.levels) < len(_ALL_LEVELS) and facts.failure is not None:
        return  # it stopped answering in between
    cause = _why_denied(facts)
    values = {"statuses": _statuses(facts.levels)}
    yield problem(_statuses(facts.levels), cause, values=values, **evidence, build=facts.build)


_ALL_LEVELS: Final = (502, 2, 1, 10, 0)


def _statuses(levels: dict[int, Answer]) -> str:
    """`502, 2, 1, 10, 0: access denied`: the levels by what came of them."""
    parts: dict[str, list[str]] = {}
    for level, answer in levels.items():
        if not answer.granted:
            parts.setdefault(_word(answer), []).append(str(level))
    return "; ".join(f"{', '.join(found)}: {word}" for word, found in parts.items())


def _word(answer: Answer) -> str:
    words = {codes.ERROR_ACCESS_DENIED: "access denied", codes.ERROR_INVALID_LEVEL: "not known there"}
    if answer.code in words:
        return words[answer.code] + (
            " (RPC fault)" if answer.fault and answer.code == codes.ERROR_ACCESS_DENIED else ""
        )
    return codes.win32_text(answer.code).rstrip(".") if codes.has_win32_text(answer.code) else f"error {answer.code}"


def _why_denied(facts: Facts) -> str:
    """The cause of a denial of every level."""
    denied = [answer for answer in facts.levels.values() if answer.code == codes.ERROR_ACCESS_DENIED]
    if not denied:
        return "not-supported"
    here = {Way.OWN: "not-the-servers-user", Way.WINDOWS: "not-elevated", Way.SAMBA_TOOLS: "not-root"}
    here[Way.KSMBD] = "ksmbd-not-root"
    if facts.way in here:
        return here[facts.way]
    if facts.credentials.anonymous:
        return "null-session"
    if all(answer.fault for answer in denied):
        return "rpc-denied"
    if facts.is_samba:
        return "samba-group-map"
    if facts.is_lanman:
        return "lanman-rights"
    return _why_windows_denies(facts)


def _why_windows_denies(facts: Facts) -> str:
    if (build := facts.build) is None:
        return "not-an-administrator"
    if build < FIRST_HARDENED:
        return "descriptor-before-1607"
    richest = facts.info_levels.get(102)
    if richest is not None and richest.granted:
        return "descriptor-changed"
    is_built_in = fold(facts.credentials.user_name) == fold("Administrator")
    return "remote-uac" if facts.may_be_local and not is_built_in else "since-1607"


@check(
    "LD035",
    "levels",
    "richest",
    stage=Stage.ASKED,
    severity=Mark.WARNING,
    looks_at="Whether the richest levels of sessions are granted, or only poorer ones, which lack fields.",
    means="Level 10 has no number of open files and level 0 nothing but the client's name. Fields that are lacking are "
    "shown as unknown, never as 0.",
    causes=(
        Cause(
            "every-users",
            "{statuses}; levels 10 and 0 are what every user may list on {kind}",
            "log on as an administrator there to see who has how much open",
            needs=_WINDOWS_MEMBERS,
        ),
    ),
)
def richest(facts: Facts) -> Iterator[Said]:
    """Whether poorer levels alone are granted for want of a right."""
    level = facts.granted_level
    denied = {tried: answer for tried, answer in facts.levels.items() if answer.code == codes.ERROR_ACCESS_DENIED}
    if level is None or not denied:
        return
    kind = "a Windows before 10 1607" if facts.build is not None and facts.build < FIRST_HARDENED else "that server"
    if facts.is_lanman:
        kind = 'a lanman Server with session_rights = "legacy"'
    values = {"statuses": _statuses(denied), "kind": kind}
    yield warning(f"no better than level {level}; {_statuses(denied)}", "every-users", values=values, granted=level)


@check(
    "LD050",
    "files",
    "open files",
    stage=Stage.ASKED,
    severity=Mark.PROBLEM,
    looks_at="Whether NetrFileEnum lists the open files.",
    means="Without it nobody can tell who has a file open, and none can be closed.",
    causes=(
        Cause(
            "denied",
            "the server says ACCESS_DENIED to {who}; open files are for administrators alone on every server",
            "log on as an administrator there with -U",
            needs="an administrator or operator there",
        ),
        Cause("as-sessions", "it takes the right that LD034 says is missing", "see LD034"),
        Cause("not-supported", "{reason}", "that server does not list its open files"),
        Cause("no-answer", "{reason}", "allow more time with --deadline"),
        Cause("slow-samba", "{reason}", SLOW_HINT),
    ),
)
def files(facts: Facts) -> Iterator[Said]:
    """Whether open files can be listed."""
    if (answer := facts.files) is None:
        return
    if answer.granted:
        count = answer.count
        yield ok("listed" if count is None else f"listed: {count} open", count=count)
        return
    reason = answer.error.text if answer.error is not None else codes.win32_text(answer.code)
    if answer.code == codes.ERROR_ACCESS_DENIED:
        nothing_is_granted = facts.granted_level is None
        yield problem("access denied", "as-sessions" if nothing_is_granted else "denied", code=answer.code)
    elif isinstance(answer.error, TimedOut):
        cause = "slow-samba" if facts.is_samba else "no-answer"
        yield problem(reason, cause, values={"reason": reason}, code=answer.code)
    else:
        yield problem(_sentence(answer), "not-supported", values={"reason": reason}, code=answer.code)


def _sentence(answer: Answer) -> str:
    error: LanmanError | None = answer.error
    return error.text if error is not None else _word(answer)


@check(
    "LD051",
    "files",
    "speed",
    stage=Stage.ASKED,
    severity=Mark.WARNING,
    looks_at="How long the list of open files takes on a Samba.",
    means="smbd counts the locks of each open file for it, which takes long where there are very many.",
    causes=(Cause("slow-samba", "the list took {seconds} seconds", SLOW_HINT),),
)
def speed(facts: Facts) -> Iterator[Said]:
    """Whether Samba's list is slow."""
    answer = facts.files
    if answer is not None and answer.granted and facts.is_samba and answer.seconds >= SLOW:
        took = f"{answer.seconds:.1f}"
        yield warning(f"the list took {took} s", "slow-samba", values={"seconds": took}, seconds=answer.seconds)


@check(
    "LD060",
    "ending",
    "ending",
    stage=Stage.ASKED,
    severity=Mark.UNKNOWN,
    looks_at="Nothing: whether sessions may be ended and files be closed shows only when one is.",
    means="A right to list is no right to end everywhere. On a Samba they are two: see `fix`.",
    causes=(
        Cause(
            "samba",
            "a right to list does not tell: on a Samba ending takes another one",
            END_HINT,
            needs="root or a Domain Admin there",
        ),
    ),
)
def ending(facts: Facts) -> Iterator[Said]:
    """That it was not tried."""
    if facts.granted_level is None:
        return
    if facts.is_samba and facts.way is Way.SMB:
        yield Said(Mark.UNKNOWN, "not tried: cannot be tested without ending somebody", "samba")
    else:
        yield unknown("not tried: cannot be tested without ending somebody")
