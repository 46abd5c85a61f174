"""What a doctor hands back: findings, and what they come to. Values; what a peer said in them is shown escaped."""

from __future__ import annotations

import enum
from dataclasses import field
from typing import Any, Final

from lanman.plain import dataclass
from lanman.shown import rfc3339

FIELDS: Final = ("id", "category", "check", "mark", "says", "cause", "needs", "why", "fix", "evidence")
"""The fields of a finding that programs are given."""


class Mark(enum.Enum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """It works, and may not for long, or not as well as it could."""
    PROBLEM = "problem"
    """Something does not work."""
    UNKNOWN = "unknown"
    """It was not, or could not be, looked at."""


class Verdict(enum.Enum):
    """What all findings come to."""

    WELL = "well"
    PROBLEMS = "problems"
    NO_ANSWER = "no answer"
    """There was nobody to ask: no server answers at that name and port, or none is started on this machine."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `says` is one line; `cause` a word that names the cause among those that the check knows.

    `needs` is what the server wants, `why` what shows that this is the cause, `fix` what to do. `evidence` has what was
    seen, for programs: numbers, texts, booleans, None, and lists and dictionaries of them.
    """

    id: str
    category: str
    check: str
    mark: Mark
    says: str
    cause: str | None = None
    needs: str | None = None
    why: str | None = None
    fix: str | None = None
    evidence: dict[str, object] = field(default_factory=dict)
    stops: bool = False
    """Whether it kept the checks behind it from being made."""

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return {name: getattr(self, name) for name in FIELDS} | {"mark": self.mark.value}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found at one server, in the order of the checks. `asked_at` is in seconds since 1970, `duration` in
    seconds. `server` is the name that was asked."""

    server: str
    findings: tuple[Finding, ...]
    asked_at: float
    duration: float

    def of(self, mark: Mark) -> list[Finding]:
        """The findings of one mark."""
        return [finding for finding in self.findings if finding.mark is mark]

    @property
    def problems(self) -> list[Finding]:
        """What does not work."""
        return self.of(Mark.PROBLEM)

    @property
    def warnings(self) -> list[Finding]:
        """What works, with a warning."""
        return self.of(Mark.WARNING)

    def verdict(self, *, strict: bool = False) -> Verdict:
        """What it comes to: problems decide, with `strict` warnings too. What is unknown never does."""
        if any(finding.category == "reach" or finding.cause == "not-started" for finding in self.problems):
            return Verdict.NO_ANSWER
        return Verdict.PROBLEMS if self.problems or (strict and self.warnings) else Verdict.WELL

    def as_json(self, *, strict: bool = False) -> dict[str, Any]:
        """What was found, for programs; without the server's name."""
        return {
            "verdict": self.verdict(strict=strict).value,
            "problems": len(self.problems),
            "warnings": len(self.warnings),
            "asked_at": rfc3339(self.asked_at, timespec="milliseconds"),
            "duration": round(self.duration, 3),
            "findings": [finding.as_json() for finding in self.findings],
        }
