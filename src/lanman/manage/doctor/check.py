"""What a check is, and how one is declared.

    @check("LD012", "reach", "port", stage=Stage.CONNECTED, severity=Mark.PROBLEM,
           looks_at="whether the port accepts connections", means="...", causes=(Cause("closed", ...),))
    def port(facts: Facts) -> Iterator[Said]:
        yield ok("port 445 answers")

Rules:

  - A check is declared once. Its help page, the reference, the list of checks and the report are made from that.
  - It judges facts: it neither asks nor waits, and gives nothing where there is nothing to judge.
  - Of a failure that stops an examination exactly one check says that it is a problem.
  - A cause is named by a word that stays the same. Its texts may have fields ({who}) that the finding fills in; what
    they are filled with comes from a peer or a person and is never taken for a pattern.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from types import MappingProxyType
from typing import Final

from lanman.manage.doctor.builds import described
from lanman.manage.doctor.facts import Facts, Stage
from lanman.manage.doctor.report import Finding, Mark
from lanman.plain import dataclass

CATEGORIES: Final = MappingProxyType(
    {
        "this machine": "what this machine has of its own: home, control socket, port, Samba's tools",
        "reach": "whether there is a server at that name and port",
        "protocol": "which SMB is spoken, signed and encrypted how",
        "log-on": "whether the server takes the user for who it is",
        "levels": "the management interface, and which information levels of sessions it grants",
        "files": "whether open files may be listed",
        "ending": "what ending a session takes",
        "server": "what the server says of itself, and how near it is to its limit",
    }
)
"""The categories in the order in which they are shown, and what each is about."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause that a check can name: a word, and texts in which {name} is filled in by the finding."""

    word: str
    why: str
    fix: str
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a check says, before it is known which check said it. `values` fill the fields of its cause's texts.
    `stops`: nothing behind it can be looked at; a step of an examination that failed stops by itself."""

    mark: Mark
    says: str
    cause: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, object] = field(default_factory=dict)
    fix: str | None = None
    stops: bool = False


Judge = Callable[[Facts], Iterable[Said]]


@dataclass(frozen=True, slots=True)
class Check:
    """A check: what it is called, what it looks at, and how it judges. `severity` is the worst that it finds.

    `stage` is the step of an examination whose outcome it judges, NOTHING for what this machine has of its own.
    """

    id: str
    category: str
    name: str
    stage: Stage
    severity: Mark
    looks_at: str
    means: str
    causes: tuple[Cause, ...]
    judge: Judge

    def texts(self, cause: Cause) -> dict[str, str]:
        """`needs`, `why` and `fix` of a cause as its help page has them: in general, and no server's in particular."""
        texts = {"needs": cause.needs, "why": cause.why, "fix": cause.fix}
        return {name: text.format_map(_General(_GENERAL)) for name, text in texts.items() if text}

    def findings(self, facts: Facts) -> Iterator[Finding]:
        """What it finds in these facts."""
        for said in self.judge(facts):
            cause = next((each for each in self.causes if each.word == said.cause), None)
            texts = {"needs": cause.needs, "why": cause.why, "fix": cause.fix} if cause is not None else {}
            values = {**_common(facts), **said.values}
            filled = {name: text.format_map(values) for name, text in texts.items() if text}
            yield Finding(
                self.id,
                self.category,
                self.name,
                said.mark,
                said.says,
                said.cause,
                filled.get("needs"),
                filled.get("why"),
                said.fix or filled.get("fix"),
                said.evidence,
                stops=said.mark is Mark.PROBLEM
                and (said.stops or (self.stage > Stage.NOTHING and facts.failed_at(self.stage) is not None)),
            )


class _General(dict[str, str]):
    """What stands in general for a field of a text: USER, REASON."""

    def __missing__(self, name: str) -> str:
        return name.upper()


_GENERAL: Final = {"who": "the user", "build": "the build that the server tells", "member": "DOMAIN\\USER"}


def _common(facts: Facts) -> dict[str, str]:
    """What every text may name; commands are to be pasted, so names in them are quoted."""
    user = facts.credentials.user_name or "USER"
    return {
        "who": facts.who,
        "user": shlex.quote(user),
        "member": (facts.credentials.logon_name or user).replace("'", "''"),
        "server": facts.server,
        "port": str(facts.port),
        "build": described(facts.build),
    }


_checks: Final[dict[str, Check]] = {}


def check(
    id: str,
    category: str,
    name: str,
    *,
    stage: Stage,
    severity: Mark,
    looks_at: str,
    means: str,
    causes: tuple[Cause, ...] = (),
) -> Callable[[Judge], Judge]:
    """Declare a check; see `Check`."""

    def declare(judge: Judge) -> Judge:
        assert id not in _checks
        assert category in CATEGORIES
        _checks[id] = Check(id, category, name, stage, severity, looks_at, means, causes, judge)
        return judge

    return declare


def declared() -> list[Check]:
    """The checks that have been declared, in the order of their categories, then by id."""
    order = list(CATEGORIES)
    return sorted(_checks.values(), key=lambda each: (order.index(each.category), each.id))


# --- what a check says


def ok(says: str, **evidence: object) -> Said:
    """All is well."""
    return Said(Mark.OK, says, evidence=evidence)


def unknown(says: str, **evidence: object) -> Said:
    """It was not looked at, or cannot be."""
    return Said(Mark.UNKNOWN, says, evidence=evidence)


def warning(
    says: str,
    cause: str | None = None,
    *,
    fix: str | None = None,
    values: dict[str, str] | None = None,
    **evidence: object,
) -> Said:
    """It works, but."""
    return Said(Mark.WARNING, says, cause, values or {}, evidence, fix)


def problem(
    says: str,
    cause: str | None = None,
    *,
    fix: str | None = None,
    values: dict[str, str] | None = None,
    stops: bool = False,
    **evidence: object,
) -> Said:
    """It does not work."""
    return Said(Mark.PROBLEM, says, cause, values or {}, evidence, fix, stops)
