"""`make bench`: what a figure says, when one has fallen, and what becomes of a benchmark that cannot run."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from support.waiting import wait_until

ROOT = Path(__file__).parent.parent


def load(name: str) -> Any:
    """A module of benchmarks/, whose folder is not among those that tests import from."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


figures = load("figures")
run = load("run")
Figure = figures.Figure


@pytest.mark.parametrize(
    ("better", "value", "reached"), [("lower", 9.9, True), ("lower", 10.1, False), ("higher", 9.9, False)]
)
def test_a_goal_is_reached_or_not(better: str, value: float, reached: bool) -> None:
    assert Figure("x", value, better=better, goal=10.0).reached is reached
    assert Figure("x", value, better=better).reached is None


@pytest.mark.parametrize(
    ("unit", "better", "kept", "now", "said"),
    [
        ("x", "higher", 5.0, 4.1, "reached"),  # within a fifth
        ("x", "higher", 5.0, 3.9, "FELL"),
        ("x", "lower", 5.0, 5.9, "not reached"),
        ("x", "lower", 5.0, 6.1, "FELL"),
        ("x", "lower", 5.0, 0.1, "reached"),  # better is never a fall
        ("KiB", "lower", 5.0, 6.1, "FELL"),
        ("ms", "lower", 5.0, 60.0, "not reached"),  # a time is the machine's, and not compared
        ("/s", "higher", 5.0, 1.0, "not reached"),
    ],
)
def test_what_is_said_beside_what_was_kept(unit: str, better: str, kept: float, now: float, said: str) -> None:
    goal = 4.0
    one, other = (Figure("a", value, unit, better, goal, tolerance=0.2) for value in (now, kept))
    assert figures.verdict(one, other) == said


def test_without_a_goal_or_without_a_figure() -> None:
    assert figures.verdict(Figure("a", 1.0), None) == "-"
    assert figures.verdict(None, Figure("a", 1.0)) == "NOT MEASURED"
    # Another unit than the kept one is another figure.
    assert figures.verdict(Figure("a", 9.0, "KiB"), Figure("a", 1.0, "x")) == "-"


def test_a_report_is_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Figure("a", 1.25, "x", "higher", 1.0, "smbd"), Figure("b", 3.0, "KiB")]
    with figures.for_people(True):
        print("| a table |")
    figures.report("some", found, True)
    out, err = capsys.readouterr()
    assert json.loads(out)["benchmark"] == "some"
    assert figures.figures_of(out) == found
    assert err == "| a table |\n"
    figures.report("some", found, False)
    assert capsys.readouterr().out == "\na: 1.25 x, to reach: 1, reached\n"
    with pytest.raises(ValueError, match="one name"):
        figures.report("some", [found[0], found[0]], True)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"figures": [{"nome": 1}]}', '{"figures": [1]}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        figures.figures_of(text)


def outcome(now: list[Any], kept: list[Any], reason: str = "") -> Any:
    return run.Outcome("some", now, kept, reason)


def test_the_status_tells_the_worst() -> None:
    good = outcome([Figure("a", 1.0, goal=2.0)], [Figure("a", 1.0)])
    missed = outcome([Figure("a", 3.0, goal=2.0)], [])
    fell = outcome([Figure("a", 3.0)], [Figure("a", 1.0)])
    absent = outcome([], [], "smbd is missing")
    dropped = outcome([Figure("a", 1.0)], [Figure("a", 1.0), Figure("b", 1.0)])
    assert [each.status for each in (good, missed, fell, absent, dropped)] == [0, 0, 3, 4, 4]
    assert run.status_of([good, missed]) == 0
    assert run.status_of([good, absent]) == 4
    assert run.status_of([absent, fell, good]) == 3
    assert "could not run: smbd is missing" in run.table(absent)
    assert re.search(r"b +- +1 +x +- +NOT MEASURED", run.table(dropped))
    assert re.search(r"a +3 +1 +x +- +FELL", run.table(fell))


def test_what_fell_is_measured_once_more() -> None:
    """And the better of both counts; what did not fall is measured once."""
    kept = [Figure("a", 1.0), Figure("b", 1.0, better="higher")]
    found = [
        [Figure("a", 9.0), Figure("b", 1.0, better="higher")],
        [Figure("a", 1.1), Figure("b", 0.1, better="higher")],
    ]
    answers = iter(found)
    judged = run.judge("some", kept, lambda name: next(answers))
    assert [each.value for each in judged.figures] == [1.1, 1.0]
    assert judged.status == 0
    assert next(answers, None) is None
    assert run.judge("some", kept, lambda name: found[1]).status == 3  # it fell twice


def test_what_was_kept_is_rewritten_for_those_that_ran(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert figures.read_kept(file) == {}
    before = {"some": [Figure("a", 1.0)], "other": [Figure("b", 2.0)], "third": [Figure("c", 3.0)]}
    run.keep(file, [outcome([Figure("a", 1.234567)], []), run.Outcome("other", reason="it broke")], before)
    kept = figures.read_kept(file)
    assert kept == {"some": [Figure("a", 1.235)], "other": [Figure("b", 2.0)], "third": [Figure("c", 3.0)]}
    file.write_text('{"version": 2, "figures": {}}')
    with pytest.raises(ValueError, match="version 2"):
        figures.read_kept(file)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit('smbd is missing')", "smbd is missing"),
        ("import sys; print('smbd is missing', file=sys.stderr); sys.exit(4)", "smbd is missing"),
        ("print('a table')", "it printed something else than figures"),
        ("raise ZeroDivisionError('of it')", "ZeroDivisionError: of it"),
        ("import os; os._exit(9)", "status 9"),
        ("import signal; signal.pause()", "it took more than 1 s"),
    ],
)
def test_a_benchmark_that_cannot_run_has_its_reason(tmp_path: Path, program: str, reason: str) -> None:
    (tmp_path / "broken.py").write_text(program)
    longest = 1 if "pause" in program else 60
    judged = run.judge("broken", [], lambda name: run.run_script(name, longest=longest, folder=tmp_path))
    assert judged.reason.startswith(reason)
    assert judged.status == 4


@pytest.mark.posix
@pytest.mark.parametrize("program", ["time.sleep(1000)", "sys.exit(4)"], ids=["too long", "has ended"])
def test_nothing_is_left_of_what_a_benchmark_has_started(tmp_path: Path, program: str) -> None:
    started = tmp_path / "started"
    (tmp_path / "some.py").write_text(
        "import pathlib, subprocess, sys, time\n"
        "peer = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        f"pathlib.Path({str(started)!r}).write_text(str(peer.pid))\n{program}\n"
    )
    with pytest.raises(run.CannotRun):
        run.run_script("some", longest=3, folder=tmp_path)
    process = Path("/proc") / started.read_text()
    wait_until(lambda: not process.exists() or "\nState:\tZ" in (process / "status").read_text())


def test_what_was_measured_before_ctrl_c_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_script(name: str) -> list[Any]:
        if name == "second":
            raise KeyboardInterrupt
        return [Figure("a", 1.5)]

    monkeypatch.setattr(run, "run_script", run_script)
    monkeypatch.setattr(run, "BENCHMARKS", {"first": [], "second": [], "third": []})
    monkeypatch.setattr(run, "KEPT", tmp_path / "figures.json")
    monkeypatch.setattr(sys, "argv", ["run.py", "--keep", "--json"])
    assert run.main() == 130
    out, err = capsys.readouterr()
    assert list(json.loads(out)) == ["first"]
    assert "second: interrupted" in err
    assert figures.read_kept(tmp_path / "figures.json") == {"first": [Figure("a", 1.5)]}


def test_a_script_that_reports_is_understood(tmp_path: Path) -> None:
    (tmp_path / "fine.py").write_text("""print('{"benchmark": "fine", "figures": [{"name": "a", "value": 1.5}]}')""")
    assert run.run_script("fine", folder=tmp_path) == [Figure("a", 1.5)]


def test_every_benchmark_is_run_or_left_out_by_name() -> None:
    """A script in benchmarks/ belongs to `make bench`, is one of those that run by hand, or is a module of others."""
    by_hand = {"history", "plots"}
    modules = {"figures", "run", "revisions", "bare_server", "census", "chart", "bystander", "crowd", "visit_floor"}
    scripts = {file.stem for file in (ROOT / "benchmarks").glob("*.py")}
    assert scripts == {*run.BENCHMARKS, *by_hand, *modules}
    kept = figures.read_kept(ROOT / "benchmarks" / "figures.json")
    assert kept.keys() <= run.BENCHMARKS.keys()


def test_an_unknown_benchmark_is_refused() -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--only", "nonsense"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'nonsense'" in done.stderr
    assert done.stdout == ""


def test_a_chart_is_read_by_all() -> None:
    """It is XML with a title and a description, and each value stands at its mark, on an axis of powers of ten."""
    chart = load("chart")
    one, other = [(100, 25.0), (1000, 30.0)], [(100, 0.5), (1000, 5000)]
    series = [chart.Series("MiB, <all>", one), chart.Series("seconds", other)]
    root = ElementTree.fromstring(chart.chart("Cost & memory", "From here to there.", "sessions", series))
    svg = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{svg}title") == "Cost & memory"
    assert root.findtext(f"{svg}desc") == "From here to there."
    assert root.get("aria-labelledby") == "t d"
    assert "prefers-color-scheme: dark" in (root.findtext(f"{svg}style") or "")
    texts = {each.text for each in root.iter(f"{svg}text")}
    assert {"25", "30", "0.5", "5,000", "sessions", "100", "1,000", "0.1", "10,000"} <= texts
    first, second = ((each.get("points") or "").split() for each in root.iter(f"{svg}polyline"))
    heights = [float(point.partition(",")[2]) for point in (*first, *second)]
    # One decade is the same everywhere: from 0.5 to 5,000 are four of the five.
    assert heights[2] - heights[3] == pytest.approx((chart.HEIGHT - chart.TOP - chart.BOTTOM) * 4 / 5, abs=0.2)
    assert first[0].partition(",")[0] == second[0].partition(",")[0] == f"{chart.LEFT:.1f}"


def test_the_page_of_costs_is_of_its_data() -> None:
    """Drawn again, the plots and their tables are those in docs/."""
    words = [sys.executable, str(ROOT / "benchmarks" / "plots.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
