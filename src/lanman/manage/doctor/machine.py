"""The checks of `this machine`: the home of its Server, its socket and its port, and Samba's tools.

Rules:

  - They are made where no server is named: then it is this machine that is asked.
  - Which Server service answers here is the business of `lanman.manage.open`; these say what is in its way.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lanman import codes
from lanman.manage import loopback
from lanman.manage.doctor.check import Cause, Said, check, ok, problem, unknown, warning
from lanman.manage.doctor.facts import Facts, Stage, Way
from lanman.manage.doctor.report import Mark
from lanman.records import PortionDetails

# How many clients that were refused are told of by themselves.
_MAX_REFUSALS: Final = 5
_FOR_OTHERS: Final = 0o077


@check(
    "LD080",
    "this machine",
    "home",
    stage=Stage.NOTHING,
    severity=Mark.WARNING,
    looks_at="Where this user's Server has its home, whose it is, and who may enter it.",
    means="Who may enter the home may end sessions and read password hashes.",
    causes=(Cause("open-to-others", "the mode of {path} is {mode}", "chmod 700 {pasted}"),),
)
def home(facts: Facts) -> Iterator[Said]:
    """Whether the home is there, and closed to others."""
    if (here := facts.here) is None:
        return
    place = here.home
    seen = {"path": str(place.path), "mode": _octal(place.mode), "owner": place.owner_name or None}
    if place.mode is None:
        if place.control == "absent" and facts.way in (Way.OWN, Way.SMB):
            yield ok(f"no home at {place.path}", **seen)
    elif place.mode & _FOR_OTHERS:
        values = _mode_values(place.path, place.mode)
        yield warning(f"{place.path} is open to others", "open-to-others", values=values, **seen)
    else:
        yield ok(f"home {place.path}, of {place.owner_name}", **seen)


def _mode_values(path: Path, mode: int) -> dict[str, str]:
    return {"path": str(path), "pasted": shlex.quote(str(path)), "mode": f"{mode:04o}"}


def _octal(mode: int | None) -> str | None:
    return None if mode is None else f"{mode:04o}"


@check(
    "LD081",
    "this machine",
    "Server",
    stage=Stage.NOTHING,
    severity=Mark.PROBLEM,
    looks_at="Whether this machine has a Server service that can be asked: lanman's over its control socket, Windows' "
    "own, Samba's, or whatever has the port.",
    means="Who asks needs no password here, but has to be root, or the user that the Server runs as.",
    causes=(
        Cause(
            "denied",
            "{reason}",
            "ask as root (sudo) or as {owner}; or over the network as one of the Server's administrators: -S "
            "localhost:{port} -U USER",
            needs="root, or the user that the Server runs as",
        ),
        Cause(
            "not-started",
            "nobody listens at {path}/control",
            "start one with `lanman start server`, or name another machine's with -S",
        ),
        Cause(
            "credentials-needed",
            "{reason}",
            "say who you are to it with -U USER",
        ),
        Cause("not-available", "{reason}", "see `lanman help doctor`, and name the service with --service"),
    ),
)
def service(facts: Facts) -> Iterator[Said]:
    """Whether there is a Server, and whether it may be asked."""
    if (here := facts.here) is None:
        return
    error = facts.failed_at(Stage.NOTHING)
    path = str(here.home.path)
    if error is not None:
        cause = {
            codes.ERROR_ACCESS_DENIED: "denied",
            codes.NERR_ServerNotStarted: "not-started",
            codes.ERROR_NOT_AUTHENTICATED: "credentials-needed",
        }.get(error.code, "not-available")
        values = {
            "reason": error.text,
            "owner": here.home.owner_name or "its owner",
            "port": str(here.home.port),
            "path": path,
        }
        fix = error.hint if cause == "not-available" else None
        yield Said(Mark.PROBLEM, error.text, cause, values, {"code": error.code}, fix, stops=True)
    elif facts.way is Way.OWN:
        yield ok(f"the Server answers {here.user_name} over its control socket", path=path)
    elif facts.way is Way.SMB:
        yield ok(f"no Server of lanman; port {facts.port} is asked over the network", path=path)
    else:
        name = {Way.WINDOWS: "Windows' own Server service", Way.KSMBD: "ksmbd"}.get(facts.way, "Samba")
        yield ok(f"{name} answers", way=facts.way.value)


@check(
    "LD082",
    "this machine",
    "accounts",
    stage=Stage.NOTHING,
    severity=Mark.PROBLEM,
    looks_at="Whether the account file of this user's Server is closed to others (mode 0600).",
    means="It has the NT hashes of passwords, and a hash is as good as its password for a log-on.",
    causes=(
        Cause(
            "open-to-others",
            "the mode of {path} is {mode}",
            "chmod 600 {pasted}, and have those who are in it change their passwords",
        ),
    ),
)
def accounts(facts: Facts) -> Iterator[Said]:
    """Whether others may read the account file."""
    if facts.here is None or (mode := facts.here.home.accounts_mode) is None:
        return
    if mode & _FOR_OTHERS:
        values = _mode_values(facts.here.home.path / "accounts", mode)
        yield problem("the account file can be read by others", "open-to-others", values=values, mode=_octal(mode))
    else:
        yield ok("accounts closed to others", mode=_octal(mode))


@check(
    "LD083",
    "this machine",
    "port",
    stage=Stage.NOTHING,
    severity=Mark.WARNING,
    looks_at="Whether the port that a Server of lanman would take is free here, or held by Samba, ksmbd or another "
    "program.",
    means="Two servers cannot have one port: the second does not start.",
    causes=(
        Cause(
            "configured-elsewhere",
            "{holder} has port {held_port}, which server.toml names; the Server that runs was given another port or "
            "address, and could not start without that",
            "write the port that it is to have into server.toml, or stop the other one",
        ),
        Cause(
            "held",
            "{holder} has port {held_port}, so a Server of lanman could not start there",
            "stop that one, or give this one another port: `port` in server.toml, `lanman serve --port N`",
        ),
    ),
)
def port(facts: Facts) -> Iterator[Said]:
    """Who holds the port."""
    if (here := facts.here) is None or facts.way in (Way.WINDOWS,):
        return
    number = here.home.port
    holder = here.holder
    if here.ksmbd and holder == loopback.OTHER_SMB:
        holder = "ksmbd, the kernel's SMB server,"
    seen: dict[str, Any] = {
        "port": number,
        "holder": holder,
        "samba": [smbd.pid for smbd in here.samba],
        "ksmbd": here.ksmbd,
    }
    if here.home.control == "answers" and holder == loopback.LANMAN:
        yield ok(f"{holder} has port {number}", **seen)
    elif here.home.control == "answers" and holder is None:
        # Its own port and addresses the Server does not tell.
        yield unknown(f"nothing answers at 127.0.0.1:{number}: it was given another port or address", **seen)
    elif here.home.control == "answers":
        values = {"holder": holder or "", "held_port": str(number)}
        says = f"port {number} is taken by {(holder or '').removesuffix(',')}"
        yield warning(says, "configured-elsewhere", values=values, **seen)
    elif holder is not None and facts.way in (Way.SAMBA_TOOLS, Way.KSMBD):
        yield ok(f"port {number} is {holder}'s", **seen)
    elif holder is not None:
        values = {"holder": holder, "held_port": str(number)}
        yield warning(f"port {number} is taken by {holder.removesuffix(',')}", "held", values=values, **seen)
    else:
        yield ok(f"nothing listens at 127.0.0.1:{number}", **seen)


@check(
    "LD084",
    "this machine",
    "Samba's tools",
    stage=Stage.NOTHING,
    severity=Mark.PROBLEM,
    looks_at="Whether a Samba that runs here can be asked by its own tools: smbstatus, smbcontrol and testparm.",
    means="smbd keeps its sessions in databases that root alone may open.",
    causes=(
        Cause(
            "not-root",
            "smbd runs here, and this is {who}: smbstatus says sessions and open files to root alone",
            "ask as root (sudo lanman ...), or over the network: -S localhost -U USER",
            needs="root",
        ),
        Cause("missing", "smbd runs here, and {tool} is not installed", "install Samba's tools (package samba)"),
    ),
)
def samba_tools(facts: Facts) -> Iterator[Said]:
    """Whether Samba's tools can be used."""
    here = facts.here
    if here is None or not (here.samba or facts.way is Way.SAMBA_TOOLS):
        return
    by_tools = facts.way is Way.SAMBA_TOOLS
    if here.missing_tool is not None:
        says = problem if by_tools else warning
        yield says(f"{here.missing_tool} is not installed", "missing", values={"tool": here.missing_tool})
    elif here.user_id != 0:
        # Where another service answers nobody needs them.
        says = problem if by_tools else warning
        yield says("Samba runs here, and its tools are for root", "not-root", user_id=here.user_id)
    else:
        yield ok("Samba's tools can be used", samba=[smbd.pid for smbd in here.samba])


@check(
    "LD085",
    "this machine",
    "shares",
    stage=Stage.ASKED,
    severity=Mark.WARNING,
    looks_at="Whether the shares of this machine's Server can be used: their folders may be gone, or out of bounds.",
    means="A share that cannot be used is left out: clients are told that there is none of that name.",
    causes=(Cause("unusable", "{problem}", "bring the folder back, or take the share out: lanman share NAME /delete"),),
)
def shares(facts: Facts) -> Iterator[Said]:
    """The shares that cannot be used."""
    if facts.here is None:
        return
    for name, reason in facts.here.share_problems.items():
        yield warning(f"share {name}: {reason}", "unusable", values={"problem": reason}, share=name)


@check(
    "LD086",
    "this machine",
    "refused",
    stage=Stage.ASKED,
    severity=Mark.WARNING,
    looks_at="Which clients this machine's Server has refused lately, and why. It remembers 256 of them while it runs.",
    means="A device that cannot do what the Server requires shows a message of its own that says nothing of that.",
    causes=(Cause("cannot", "{reason}", "{remedy}"),),
)
def refused(facts: Facts) -> Iterator[Said]:
    """Who was refused."""
    if facts.here is None or not facts.here.refusals:
        return
    by_remedy = [each for each in facts.here.refusals if each.remedy]
    for each in by_remedy[:_MAX_REFUSALS]:
        at = datetime.datetime.fromtimestamp(each.last, datetime.UTC).astimezone()
        who = f"{each.client_name}{f' ({each.user_name})' if each.user_name else ''}"
        yield warning(
            f"{who} was refused {each.count} times: {each.reason}"
            if each.count != 1
            else f"{who} was refused: {each.reason}",
            "cannot",
            values={"reason": f"last at {at:%Y-%m-%d %H:%M:%S}", "remedy": each.remedy or ""},
            client_name=each.client_name,
            count=each.count,
            reason=each.reason,
            last=each.last,
        )
    rest = sum(each.count for each in by_remedy[_MAX_REFUSALS:])
    others = sum(each.count for each in facts.here.refusals if not each.remedy)
    if rest + others:
        many = rest + others
        other = "other " if by_remedy else ""
        yield ok(f"{many} {other}log-on{'s' if many != 1 else ''} refused for what no setting changes", count=many)


@check(
    "LD087",
    "this machine",
    "configuration",
    stage=Stage.NOTHING,
    severity=Mark.PROBLEM,
    looks_at="Whether server.toml of this user's Server can be read, and has no mistake in it.",
    means="A Server does not start with a mistake in its configuration; one that runs goes on with the last good one.",
    causes=(Cause("mistake", "{reason}", "mend that line; `lanman help serve` tells where the keys are explained"),),
)
def configuration(facts: Facts) -> Iterator[Said]:
    """Whether the configuration is understood."""
    if facts.here is not None and (error := facts.here.home.configuration_error) is not None:
        yield problem("server.toml cannot be used", "mistake", values={"reason": error.text})


@check(
    "LD088",
    "this machine",
    "portions",
    stage=Stage.ASKED,
    severity=Mark.WARNING,
    looks_at="How much is taken of what all users of this machine's Server share (open files, locks, leases, memory), "
    "and who was refused more since it was started.",
    means="A user has at most four times what is free of each kind, so that some is left for others; some kinds have a "
    "limit for each user besides. Programs that are refused seldom say why.",
    causes=(
        Cause("refused", "{most_taken}", "{remedy}"),
        Cause(
            "refused-always",
            "{most_taken}",
            "no setting changes it; see who that is, and what they do: lanman session, lanman file",
        ),
    ),
)
def portions(facts: Facts) -> Iterator[Said]:
    """Who was refused more than a part, and who has most."""
    if facts.own_tells_less:
        yield unknown("what users share is not told by this version of the Server; started again it is told")
    if facts.here is None or not facts.here.portions:
        return
    told = facts.here.portions
    for each in told:
        if each.refused:
            times = "once" if each.refused == 1 else f"{each.refused} times"
            yield warning(
                f"{each.name}: more than a user may have was wanted {times}, the last time by {each.refused_user}",
                "refused" if each.remedy else "refused-always",
                values={"most_taken": _taken(each), "remedy": each.remedy or ""},
                portion=each.name,
                refused=each.refused,
                refused_user=each.refused_user,
                taken=each.taken,
                most=each.most,
                user=each.user,
                of_user=each.of_user,
            )
    if not any(each.refused for each in told):
        used = [each for each in told if each.most]
        most = max(used, key=lambda each: each.taken / each.most, default=None)
        nobody = "nobody was refused a part of what all share"
        taken = {each.name or "": each.taken for each in told}
        yield ok(f"{nobody}; {most.name}: {_taken(most)}" if most is not None else nobody, taken=taken)


def _taken(portion: PortionDetails) -> str:
    of_all = f"{portion.taken} of {portion.most}" if portion.most else str(portion.taken)
    return f"{of_all} taken" + (f", {portion.of_user} by {portion.user}" if portion.of_user else "")


@check(
    "LD089",
    "this machine",
    "event loop",
    stage=Stage.ASKED,
    severity=Mark.OK,
    looks_at="Which event loop this machine's Server runs on: asyncio's, or uvloop's.",
    means="[server] loop chooses it. uvloop is the extra `speed`, and needs some more memory for each connection.",
)
def event_loop(facts: Facts) -> Iterator[Said]:
    """Which it is."""
    if facts.own_tells_less:
        yield unknown("the event loop is not told by this version of the Server; started again it is told")
    if facts.here is not None and (loop := facts.here.event_loop):
        yield ok(f"the Server runs on {loop}", loop=loop)
