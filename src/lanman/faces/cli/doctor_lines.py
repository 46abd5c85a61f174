"""What `lanman doctor` prints: a report in columns, in words, or in short, and the help page of a check.

Rules:

  - Everything that a server or a person said is escaped.
  - A category has a line for what is well; what is not has a line of its own, with its id at the right and what it
    needs, why it is so and what helps below it.
  - Marks are symbols where they can be shown, and ASCII elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from lanman.faces.cli import output
from lanman.faces.text import escape, width, wrapped
from lanman.manage.doctor.report import Diagnosis, Finding, Mark, Verdict

SYMBOLS: Final = {Mark.OK: "\u221a", Mark.WARNING: "\u203c", Mark.PROBLEM: "\u00d7", Mark.UNKNOWN: "?"}
ASCII: Final = {Mark.OK: "+", Mark.WARNING: "!", Mark.PROBLEM: "x", Mark.UNKNOWN: "?"}
STYLES: Final = {Mark.WARNING: output.YELLOW, Mark.PROBLEM: output.RED}

_LABEL: Final = 14
_ID: Final = 7
_DETAIL: Final = 7
_NARROW: Final = 79
_LEAST: Final = 40


def columns() -> int:
    """How wide a report may be."""
    return max(_LEAST, (output.terminal_columns() or _NARROW + 1) - 1)


def marks() -> Mapping[Mark, str]:
    """The marks as standard output can show them."""
    return SYMBOLS if output.can_write("".join(SYMBOLS.values()), sys.stdout) else ASCII


# --- the report


def report_lines(found: Diagnosis, *, strict: bool) -> Iterator[str]:
    """The report in columns, and what it comes to."""
    shown, room = marks(), columns()
    for category, findings in groupby(found.findings, key=lambda finding: finding.category):
        label = category
        for line in _category(list(findings), shown, room):
            yield f"{label:<{_LABEL}}{line}".rstrip()
            label = ""
    yield from _summary(found, strict=strict)
    yield ""


def _category(findings: Sequence[Finding], shown: Mapping[Mark, str], room: int) -> Iterator[str]:
    """The lines of one category, without its label."""

    def together(mark: Mark) -> Iterator[str]:
        said = [f"{shown[mark]} {escape(finding.says)}" for finding in findings if finding.mark is mark]
        yield from _joined(list(dict.fromkeys(said)), room - _LABEL)

    yield from together(Mark.OK)
    for finding in findings:
        if finding.mark in (Mark.PROBLEM, Mark.WARNING):
            yield from _own_lines(finding, shown[finding.mark], room)
    yield from together(Mark.UNKNOWN)


def _joined(said: Sequence[str], room: int) -> Iterator[str]:
    """What is well, as much of it on a line as there is room."""
    line = ""
    for text in said:
        if line and width(line) + 2 + width(text) > room:
            yield f"{line};"
            line = ""
        if line:
            line += f"; {text}"
        else:
            *whole, line = wrapped(text, room, indent=2)
            yield from whole
    if line:
        yield line


def _own_lines(finding: Finding, mark: str, room: int) -> Iterator[str]:
    first, *rest = wrapped(escape(finding.says), room - _LABEL - _ID - 2)
    coloured = output.coloured(mark, STYLES[finding.mark], sys.stdout)
    gap = " " * max(room - _LABEL - 2 - width(first) - len(finding.id), 2)
    yield f"{coloured} {first}{gap}{finding.id}"
    yield from (f"  {line}" for line in rest)
    for name, text in (("needs:", finding.needs), ("why:", finding.why), ("fix:", finding.fix)):
        if text:
            head, *tail = wrapped(escape(text), room - _LABEL - 2 - _DETAIL)
            yield f"  {name:<{_DETAIL}}{head}"
            yield from (f"  {'':<{_DETAIL}}{line}" for line in tail)


def _summary(found: Diagnosis, *, strict: bool) -> Iterator[str]:
    verdict = found.verdict(strict=strict)
    if not found.problems and not found.warnings:
        yield "No problems found."
        return
    worst = (found.problems or found.warnings)[0].id
    counts = [_counted(found.problems, "problem"), _counted(found.warnings, "warning")]
    said = ", ".join(count for count in counts if count) or "No problems"
    nobody = " There was nobody to ask." if verdict is Verdict.NO_ANSWER else ""
    yield f"{said}.{nobody} More: `lanman help doctor {worst}`."


def _counted(findings: Sequence[Finding], word: str) -> str:
    return f"{len(findings)} {word}{'s' if len(findings) != 1 else ''}" if findings else ""


def short_lines(found: Diagnosis) -> Iterator[str]:
    """A line for each problem and warning."""
    shown = marks()
    for finding in found.problems + found.warnings:
        mark = output.coloured(shown[finding.mark], STYLES[finding.mark], sys.stdout)
        fix = f" ({escape(finding.fix)})" if finding.fix else ""
        yield f"{mark} {finding.id} {finding.category}: {escape(finding.says)}{fix}"


def plain_lines(found: Diagnosis, *, strict: bool) -> Iterator[str]:
    """The report in words, a line for each thing that is said: for screen readers and for grep."""
    for finding in found.findings:
        yield f"{finding.category}, {finding.mark.value}, {finding.id}: {escape(finding.says)}"
        for name, text in (("needs", finding.needs), ("why", finding.why), ("fix", finding.fix)):
            if text:
                yield f"{finding.category}, {finding.id}, {name}: {escape(text)}"
    yield from _summary(found, strict=strict)


def list_lines(listed: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The checks, each with what it looks at."""
    room = columns()
    for each in listed:
        head = f"{each['id']}  {each['category']:<13} {each['severity']:<9}"
        first, *rest = wrapped(each["looks_at"], room - len(head))
        yield f"{head}{first}"
        yield from (f"{'':<{len(head)}}{line}" for line in rest)
    yield ""


# --- help


def help_page(word: str) -> list[str] | None:
    """What a check looks at, what it means, and its causes; None for a word that is no check's id."""
    from lanman.manage.doctor.run import checks

    found = next((each for each in checks() if each.id.casefold() == word.casefold()), None)
    if found is None:
        return None
    room = columns()
    worst = {Mark.OK: "nothing: it only informs", Mark.UNKNOWN: "unknown"}.get(
        found.severity, f"a {found.severity.value}"
    )
    lines = [output.heading(f"{found.id}: {found.name} ({found.category})"), ""]
    lines += [*wrapped(found.looks_at, room), "", *wrapped(found.means, room), "", f"At worst: {worst}.", ""]
    for cause in found.causes:
        lines.append(output.heading(cause.word))
        for name, text in found.texts(cause).items():
            head, *tail = wrapped(text, room - 9)
            lines += [f"  {name + ':':<7}{head}", *(f"{'':<9}{line}" for line in tail)]
        lines.append("")
    return lines
