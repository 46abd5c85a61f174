r"""`lanman fleet`: one question to very many servers.

Rules:

  - What was asked and answered goes into a folder, and a summary to standard output; with `--out -` the rows themselves
    go to standard output, and everything else to standard error.
  - A line on a terminal tells how far it is; in a pipe there is none.
  - The exit status is 0 where every target answered, 4 where some did not, 130 after Ctrl-C, with everything kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import bad_value, number, seconds, verb
from lanman.faces.cli.output import Format
from lanman.faces.cli.parameters import Parameter, argument, option
from lanman.faces.dialect import DialectError
from lanman.faces.text import fit, wrapped
from lanman.shown import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanman.fleet.sweep import Progress, Sweep

KINDS: Final = ("sessions", "files", "doctor")
STANDARD_OUTPUT: Final = "-"

# Seconds between two lines of progress.
_EVERY: Final = 0.5

_SHORT: Final = {"timeout": "slow"}
_LONG: Final = {
    "ok": "answered",
    "dead": "dead",
    "refused": "refused",
    "denied": "denied",
    "timeout": "timed out",
    "logon": "not logged on",
    "protocol": "not understood",
    "cancelled": "not asked to the end",
}


def _rate(parameter: Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) <= 1e6:
            return value
    raise bad_value(parameter, "It is a number of targets a second, such as 50 or 0.5.")


def _format(parameter: Parameter, text: str | None) -> str | None:
    if text is not None and text.casefold() not in ("jsonl", "csv", "parquet"):
        raise bad_value(parameter, "It is jsonl, csv or parquet.")
    return None if text is None else text.casefold()


_COUNT: Final = "It is a whole number, and more than none."


@verb(
    "fleet",
    summary="ask very many servers one question",
    syntax=r"""
lanman fleet {sessions | files | doctor} {TARGET | NETWORK | @FILE | -}... [--out DIR]
             [--format jsonl|csv|parquet] [--exclude FILE] [--shard I/N]
             [--deadline S] [--connect S] [--in-flight N] [--per-subnet N] [--rate N]
             [--processes N] [--polite] [--credentials FILE] [--logon-failures N]
             [--require-signing] [--scheduler tls://HOST:PORT]
lanman fleet [sessions | files | doctor] --resume DIR [--retry-failed]
""",
    about=r"""
Asks all targets for their sessions or open files, or has each examined as `lanman doctor` does, many at a time. A
TARGET is a server (HOST, HOST:PORT, cluster:NAME, "." for this machine), a network (10.0.0.0/16), @FILE or - for
standard input with one target to a line, or a JSON object {"server", "port", "credential", "tags"}. Into the folder go
rows.jsonl (or .csv, .parquet), outcomes.jsonl with a line for each target, and the state with which --resume goes on
after Ctrl-C or a crash: each target has one outcome (ok, denied, dead, refused, timeout, logon, protocol, cancelled).
Who to be at a server say the target itself, the `hosts` of the sections of the file `credentials`, or -U. After three
wrong passwords a credential is not used any more, and none is sent to a server that does not sign. With --out - rows
go to standard output, and nothing is kept. --polite asks 16 at a time, 2 in a subnet, 5 a second, in random order.
The exit status is 0 where all answered, 4 where some did not.
""",
    examples=r"""
lanman fleet sessions 10.0.0.0/16 -U ann --out monday    who is connected, anywhere?
lanman fleet files @servers.txt --format csv             targets from a file
lanman fleet doctor @servers.txt --exclude never.txt     why do some not answer?
lanman fleet --resume monday --retry-failed              again, for those that gave no answer
""",
    takes_paths=True,
)
@argument("words", many=True, shell_complete=completers.one_of(*KINDS))
@option("--out", metavar="DIR", shell_complete=completers.files, help="the folder (sweep-MMDD); - for rows alone")
@option(
    "--format",
    "rows_format",
    metavar="NAME",
    callback=_format,
    shell_complete=completers.one_of("jsonl", "csv", "parquet"),
    help="of the rows: jsonl, csv or parquet (jsonl)",
)
@option("--resume", metavar="DIR", shell_complete=completers.files, help="go on with the sweep in this folder")
@option("--retry-failed", is_flag=True, help="with --resume: ask again all that did not answer")
@option("--exclude", metavar="FILE", shell_complete=completers.files, help="names, patterns, networks to leave out")
@option("--shard", metavar="I/N", help="only the I-th of N parts of the targets, the same on every machine")
@option("--deadline", metavar="S", callback=seconds, help="seconds for a target in all (10)")
@option("--connect", metavar="S", callback=seconds, help="seconds for its connection (1)")
@option("--in-flight", metavar="N", callback=number(1, 100000, _COUNT), help="targets at a time (1000)")
@option("--per-subnet", metavar="N", callback=number(1, 100000, _COUNT), help="of these in one /24 or /64 (50)")
@option("--rate", metavar="N", callback=_rate, help="targets begun in a second (no bound)")
@option(
    "--processes",
    metavar="N",
    callback=number(0, 256, "It is a number of processes; 0 asks in this one."),
    help="processes that ask (one for each processor; 0 for few targets)",
)
@option("--scheduler", metavar="ADDRESS", help="ask by the workers of this Dask scheduler: tls://HOST:PORT")
@option("--polite", is_flag=True, help="for networks that watch: few at a time, slowly, in random order")
@option(
    "--credentials",
    "credentials_file",
    metavar="FILE",
    shell_complete=completers.files,
    help="sections of users, mode 0600 (credentials, beside lanman.toml)",
)
@option(
    "--logon-failures",
    metavar="N",
    callback=number(1, 1000, _COUNT),
    help="wrong passwords after which a credential is not used any more (3)",
)
@option("--require-signing", is_flag=True, help="send passwords only to servers that insist on signing")
def fleet(invocation: Invocation, words: tuple[str, ...], **options: Any) -> int:
    """Ask, and say what came of it."""
    run = _Run(_made(invocation, words, options), invocation.format, options["out"] == STANDARD_OUTPUT)
    try:
        asyncio.run(run.run())
    except KeyboardInterrupt:
        run.summary(interrupted=True)
        return output.EXIT_INTERRUPTED
    except LanmanError:
        if run.sweep.progress.done:
            run.summary(interrupted=True)
        raise
    return run.summary()


def _made(invocation: Invocation, words: Sequence[str], options: dict[str, Any]) -> Sweep:
    """The sweep that is meant. Raises DialectError for what does not go together."""
    from lanman.fleet.sweep import sweep as sweep_of

    kind = words[0].casefold() if words and words[0].casefold() in KINDS else ""
    targets = list(words[1:] if kind else words)
    resume = options["resume"]
    if not kind and resume is None:
        raise DialectError(
            3506 if words else 3510, words[0] if words else "", "Say what to ask: sessions, files or doctor."
        )
    _check(invocation, targets, options)
    out = options["out"]
    if resume is None and out is None:
        out = _new_folder()
    given = ("in_flight", "per_subnet", "rate", "processes", "polite", "require_signing", "logon_failures", "connect")
    more = {name: options[name] for name in given if options[name] is not None}
    deadline = options["deadline"] or invocation.timeout
    try:
        return sweep_of(
            kind,
            targets,
            invocation.credentials,
            out=None if out == STANDARD_OUTPUT or resume is not None else out,
            format=options["rows_format"] or "jsonl",
            port=invocation.port or 445,
            credentials_file=options["credentials_file"],
            exclude=options["exclude"],
            shard=options["shard"],
            resume=resume,
            retry_failed=options["retry_failed"],
            scheduler=options["scheduler"],
            deadline=deadline,
            **more,
        )
    except Win32Error as error:
        raise DialectError(3510, hint=f"{error.with_hint.rstrip('.')}.") from None


def _check(invocation: Invocation, targets: Sequence[str], options: dict[str, Any]) -> None:
    if invocation.server is not None:
        raise DialectError(3510, hint="Name the servers as targets, without -S.")
    if invocation.service is not None:
        raise DialectError(3510, hint="fleet asks servers over the network; the target . is this machine.")
    if invocation.format is Format.CSV:
        raise DialectError(3510, hint="Give --format csv.")
    if not targets and options["resume"] is None:
        raise DialectError(3510, hint="Name targets: servers, networks, @FILE, or - for standard input.")
    if options["retry_failed"] and options["resume"] is None:
        raise DialectError(3510, hint="--retry-failed goes with --resume DIR.")
    if options["resume"] is not None:
        for name in ("out", "exclude", "shard", "rows_format"):
            if options[name] is not None:
                word = "format" if name == "rows_format" else name
                raise DialectError(3510, hint=f"A sweep that is resumed keeps its --{word}: leave it out.")
        if invocation.port is not None:
            raise DialectError(3510, hint="A sweep that is resumed keeps its --port: write HOST:PORT for another one.")
    if options["out"] == STANDARD_OUTPUT:
        if invocation.format is Format.JSON:
            raise DialectError(3510, hint="With --out - standard output has the rows: leave out --json.")
        if options["rows_format"] not in (None, "jsonl"):
            raise DialectError(3510, hint="With --out - rows are JSON lines.")
    if options["scheduler"] is not None:
        if options["processes"] is not None:
            raise DialectError(3510, hint="With --scheduler the workers ask: leave out --processes.")
        from lanman.fleet.dask.address import checked_address

        try:
            checked_address(options["scheduler"])
        except Win32Error as error:
            raise DialectError(3510, hint=f"{error.with_hint.rstrip('.')}.") from None
    if "" in targets or options["out"] == "":
        raise DialectError(3510, hint="An empty word names no target and no folder.")


def _new_folder() -> str:
    """sweep-1125, or sweep-1125-2 where that is there already."""
    name = f"sweep-{datetime.date.today():%m%d}"
    count = 1
    while Path(name if count == 1 else f"{name}-{count}").exists():
        count += 1
    return name if count == 1 else f"{name}-{count}"


class _Run:
    def __init__(self, sweep: Sweep, format: Format, to_standard_output: bool) -> None:
        self.sweep = sweep
        self._format, self._to_standard_output = format, to_standard_output
        self._line = _Line()
        self._begun = time.monotonic()

    async def run(self) -> None:
        """Ask all."""
        try:
            async with self.sweep as sweep:
                showing = asyncio.create_task(self._show())
                try:
                    async for outcome in sweep:
                        for piece in outcome.pieces() if self._to_standard_output else ():
                            output.write(piece.decode())
                finally:
                    showing.cancel()
                    await asyncio.gather(showing, return_exceptions=True)
        finally:
            self._line.clear()

    async def _show(self) -> None:
        while self._line.is_shown:
            await asyncio.sleep(_EVERY)
            self._line.show(progress_line(self.sweep.progress))

    def summary(self, *, interrupted: bool = False) -> int:
        """Say what came of it. The exit status."""
        progress = self.sweep.progress
        failed = progress.done - progress.counts.get("ok", 0)  # type: ignore[call-overload]
        if self._format is Format.JSON:
            output.emit_json(None, **self._record(progress, interrupted))
        else:
            write, stream = (output.complain, sys.stderr) if self._to_standard_output else (output.emit, sys.stdout)
            lines = self._lines(progress, failed, interrupted)
            if (columns := output.terminal_columns(stream)) is not None:
                lines = [part for line in lines for part in wrapped(line, columns - 1, breaks_words=True)]
            write(lines)
        return 4 if failed else output.EXIT_SUCCESS

    def _record(self, progress: Progress, interrupted: bool) -> dict[str, Any]:
        return {
            "sweep": self.sweep.name,
            "folder": str(self.sweep.folder) if self.sweep.is_kept else None,
            "complete": not interrupted,
            "targets": progress.done,
            "outcomes": {name: progress.counts.get(name, 0) for name in _LONG},  # type: ignore[call-overload]
            "rows": progress.rows,
            "in_flight": self.sweep.options.in_flight,
            "duration": round(time.monotonic() - self._begun, 3),
            "stopped_credentials": self.sweep.guard.stopped(),
            "hanging_workers": dict(self.sweep.hanging),
        }

    def _lines(self, progress: Progress, failed: int, interrupted: bool) -> list[str]:
        counts = [f"{count:,} {_LONG[result]}" for result, count in _ordered(progress)]
        verb = "Stopped after" if interrupted else "Done in"
        lines = [f"{verb} {_clock(time.monotonic() - self._begun)}. {', '.join(counts) or 'No target'}."]
        for name, why in self.sweep.guard.stopped().items():
            lines.append(f"The credential {name} is not used any more: {why}.")
        for worker, count in self.sweep.hanging.items():
            threads = "1 thread that hangs and asks" if count == 1 else f"{count} threads that hang and ask"
            lines.append(f"The worker {escape(worker)} has {threads} nobody: end that worker, and start it again.")
        if self.sweep.is_narrowed:
            lines.append(
                f"No more than {self.sweep.options.in_flight:,} were asked at a time, since a process may have so few "
                "open files here: see `ulimit -n`."
            )
        if (folder := self.sweep.folder) is not None and self.sweep.is_kept:
            shown = _shown(folder)
            lines.append(f"{progress.rows:,} rows, and what became of each target: {shown}")
            if interrupted:
                lines.append(f"To go on: lanman fleet --resume {shown}")
            elif failed:
                lines.append(f"Again for those: lanman fleet --resume {shown} --retry-failed")
        return lines


def _ordered(progress: Progress) -> list[tuple[str, int]]:
    counted = {result.value: count for result, count in progress.counts.items() if count}
    return [(name, counted[name]) for name in _LONG if name in counted]


def _shown(folder: Path) -> str:
    with contextlib.suppress(ValueError, OSError):
        folder = folder.relative_to(Path.cwd())
    return shlex.quote(str(folder))


def _clock(duration: float) -> str:
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def progress_line(progress: Progress) -> str:
    """How far a sweep is, in one line."""
    total = "" if progress.total is None else f"/{progress.total:,}"
    parts = [f"{progress.done:,}{total} {progress.rate:,.0f}/s"]
    parts.append(" ".join(f"{_SHORT.get(name, name)} {count:,}" for name, count in _ordered(progress)))
    parts += [f"in flight {progress.in_flight:,}", f"{progress.rows:,} rows"]
    if progress.eta is not None:
        parts.append(f"eta {_clock(progress.eta)}")
    return "  ".join(part for part in parts if part)


class _Line:
    """One line on standard error that is written over again and again, where that is a terminal."""

    def __init__(self) -> None:
        from lanman.faces.cli.progress import can_show

        self.is_shown = can_show()
        self._is_there = False

    def show(self, text: str) -> None:
        """Write it over what was there."""
        columns = output.terminal_columns(sys.stderr) or 80
        output.tell(f"\r\x1b[K{fit(text, columns - 1).rstrip()}")
        self._is_there = True

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._is_there:
            output.tell("\r\x1b[K")
            self._is_there = False
