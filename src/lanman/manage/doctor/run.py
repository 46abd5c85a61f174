r"""`doctor()`: examine a server, have every check judge, and hand back a report.

    report = await lanman.doctor("fs1", lanman.Credentials("ann", "secret"))
    for finding in report.problems:
        print(finding.id, finding.says, finding.why, finding.fix)

Rules:

  - It changes nothing, and logs on once. No server and no file of this machine is written to.
  - It goes no further than the checks need that were chosen: `reach` alone connects and does not log on.
  - What stopped an examination is reported whether or not its check was chosen.
  - A check that could not be made is unknown, and no problem.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.doctor import logon, machine, protocol, reach, rights, server
from lanman.manage.doctor.check import CATEGORIES, Check, declared
from lanman.manage.doctor.examine import examine_manager, examine_over_smb, examine_tools
from lanman.manage.doctor.facts import Facts, Here, Stage, Way
from lanman.manage.doctor.here import look_here
from lanman.manage.doctor.report import Diagnosis, Finding, Mark
from lanman.manage.ksmbd.manager import KsmbdManager
from lanman.manage.link import split_server
from lanman.manage.loopback import LOOPBACK
from lanman.manage.manager import DEFAULT_PORT, DEFAULT_TIMEOUT, Manager
from lanman.manage.open import open_manager
from lanman.manage.own import OwnManager
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.net.approach import PLAIN, Approach
from lanman.net.credentials import Credentials

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

# Importing them declares their checks.
_ROOMS: Final = (logon, machine, protocol, reach, rights, server)


def checks() -> list[Check]:
    """Every check, in the order in which findings are reported."""
    return declared()


def chosen(words: Sequence[str]) -> list[Check]:
    """The checks of these ids and categories, in any letter case; all for none. Raises Win32Error 87 for a word that
    is neither."""
    known = checks()
    if not words:
        return known
    wanted: set[str] = set()
    for word in words:
        folded = _bare(word)
        found = {each.id for each in known if folded in (_bare(each.id), *_spellings(each.category))}
        if not found:
            categories = ", ".join(CATEGORIES)
            raise Win32Error(
                codes.ERROR_INVALID_PARAMETER,
                f"{word!r} is no check: an id as LD034, or one of {categories}",
                hint="`lanman doctor --list-checks` lists them",
            )
        wanted |= found
    return [each for each in known if each.id in wanted]


def _bare(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter not in "-_ ")


def _spellings(category: str) -> tuple[str, str]:
    """A category as it may be written: `log-on`, `logon`; `this machine`, `machine`."""
    bare = _bare(category)
    return bare, bare.removeprefix("this")


async def doctor(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    port: int | None = None,
    checks: Sequence[str] = (),
    home: str | Path | None = None,
    service: str | None = None,
    samba_config: str | None = None,
    deadline: float = DEFAULT_TIMEOUT,
    encrypt: bool = False,
) -> Diagnosis:
    """Examine `server`, or this machine's Server for None, and say what is wrong, why, and what helps.

    `checks` are ids and categories to choose by; none chooses all. `deadline` is in seconds, for each question to the
    server; after one that ran out no more is asked. The other arguments are those of `lanman.open_manager`; `port` None
    is 445 (here: that of the configuration). What a server does or refuses is a finding and raises nothing. Raises
    Win32Error 87 and 2351 for arguments that cannot be right.
    """
    selected = chosen(checks)
    begun, asked_at = time.monotonic(), time.time()
    wanted = max(each.stage for each in selected)
    by_name = service is not None or samba_config is not None
    if server is not None and not by_name:
        facts = await _examine_named(server, credentials, port, wanted, deadline, encrypt)
    else:
        here = await look_here(home, port, deadline)
        if credentials is not None and not by_name and here.home.control == "absent":
            facts = Facts(LOOPBACK, here.home.port, credentials, wanted=wanted, here=here)
            await examine_over_smb(facts, deadline, encrypt=encrypt)
        else:
            opening = open_manager(
                server, port=port, timeout=deadline, home=home, service=service, samba_config=samba_config
            )
            facts = await _examine_here(here, opening, wanted, deadline)
    findings = tuple(_findings(facts, selected))
    return Diagnosis(facts.server, findings, asked_at, time.monotonic() - begun)


async def examined(
    server: str,
    credentials: Credentials | None = None,
    *,
    port: int | None = None,
    deadline: float = DEFAULT_TIMEOUT,
    approach: Approach = PLAIN,
) -> tuple[Facts, Diagnosis]:
    """What `doctor` makes of a server that is named, by all checks, and the facts that they judged by.

    Raises Win32Error 87 and 2351 for arguments that cannot be right, and what `approach.before_logon` raises is the
    failure of the examination.
    """
    begun, asked_at = time.monotonic(), time.time()
    facts = await _examine_named(server, credentials, port, Stage.ASKED, deadline, False, approach)
    findings = tuple(_findings(facts, checks()))
    return facts, Diagnosis(facts.server, findings, asked_at, time.monotonic() - begun)


async def _examine_named(
    name: str,
    credentials: Credentials | None,
    port: int | None,
    wanted: Stage,
    deadline: float,
    encrypt: bool,
    approach: Approach = PLAIN,
) -> Facts:
    bare, number = split_server(name, DEFAULT_PORT if port is None else port)
    who = Credentials(anonymous=True) if credentials is None else credentials
    facts = Facts(bare, number, who, wanted=wanted)
    await examine_over_smb(facts, deadline, encrypt=encrypt, approach=approach)
    return facts


async def _examine_here(
    here: Here, opening: AbstractAsyncContextManager[Manager], wanted: Stage, deadline: float
) -> Facts:
    """This machine: what it has, and whichever of its services `opening` chooses."""
    facts = Facts("localhost", here.home.port, way=Way.OWN, wanted=wanted, here=here)
    try:
        async with opening as manager:
            facts.server, facts.way = manager.server, _way_of(manager)
            if wanted >= Stage.ASKED:
                await _ask(facts, manager, deadline)
    except LanmanError as error:
        facts.failure = error
    return facts


def _way_of(manager: Manager) -> Way:
    if isinstance(manager, OwnManager):
        return Way.OWN
    if isinstance(manager, KsmbdManager):
        return Way.KSMBD
    return Way.SAMBA_TOOLS if isinstance(manager, SambaLocalManager) else Way.WINDOWS


async def _ask(facts: Facts, manager: Manager, deadline: float) -> None:
    assert facts.here is not None
    if facts.way in (Way.SAMBA_TOOLS, Way.KSMBD):
        await examine_tools(facts, manager, deadline)
        return
    await examine_manager(facts, manager, deadline)
    facts.here.share_problems = await manager.share_problems()
    facts.here.refusals = await manager.refusals()
    facts.here.portions = await manager.portions()
    facts.here.event_loop = await manager.event_loop()


def _findings(facts: Facts, selected: Sequence[Check]) -> Iterator[Finding]:
    """What the checks find, in their order; those that could not be made are unknown where something stopped them."""
    wanted = {each.id for each in selected}
    by_check = {each.id: list(each.findings(facts)) if _applies(each, facts) else [] for each in declared()}
    blocking = next((found for each in by_check.values() for found in each if found.stops), None)
    for each in declared():
        found = by_check[each.id]
        if each.id in wanted:
            yield from found
            if not found and blocking is not None and _was_not_made(each, facts):
                yield Finding(
                    each.id,
                    each.category,
                    each.name,
                    Mark.UNKNOWN,
                    f"not looked at: {blocking.category} failed ({blocking.id})",
                    evidence={"stopped_by": blocking.id},
                )
        else:
            yield from (finding for finding in found if finding.stops)


_ONLY_OVER_SMB: Final = frozenset({"reach", "protocol", "log-on"})


def _was_not_made(each: Check, facts: Facts) -> bool:
    """Whether the examination never got to what a check judges, and would have told it something."""
    if facts.stopped_at is None or not facts.stopped_at < each.stage <= facts.wanted:
        return False
    return each.category != "this machine" and _applies(each, facts)


def _applies(each: Check, facts: Facts) -> bool:
    """Whether it has anything to judge where the server is asked in this way."""
    return facts.way is Way.SMB or each.category not in _ONLY_OVER_SMB
