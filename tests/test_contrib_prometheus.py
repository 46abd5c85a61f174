"""The dashboard and the alert rules in contrib/: they name what there is, and the alerts fire when they should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from lanman.faces.cli.loader import load
from lanman.manage.metrics.table import CLOSED, TABLE, Kind
from lanman.manage.metrics.watched import _LE
from support.promtool import promtool

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "contrib" / "lanman-alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "contrib" / "lanman-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
BY_NAME = {each.name: each for each in TABLE}


def expressions() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard, and of the alerts."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for number, expression in enumerate(re.findall(r"^ +expr: (.*)$", ALERTS.read_text(), re.MULTILINE)):
        yield f"alert {number}", expression


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_and_label_that_is_named_exists(where: str, expression: str) -> None:
    named = re.findall(r"\b(lanman_\w+)(?:\{([^}]*)\})?", expression)
    assert named
    for name, labels in named:
        assert name in BY_NAME
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', labels):
            assert label in BY_NAME[name].labels
            assert label != "le" or value in _LE
        # A counter is of use by its increase alone.
        if BY_NAME[name].kind is Kind.COUNTER:
            assert re.search(rf"(rate|increase)\({name}\b", expression), expression
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(labels.split(", ")) <= {label for name, _ in named for label in BY_NAME[name].labels}


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expression for where, expression in expressions() if not where.startswith("alert"))
    assert {name for name in BY_NAME if not re.search(rf"\b{name}\b", shown)} == set()
    assert CLOSED.name in shown


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = []
    for number, (_, expression) in enumerate(expressions()):
        filled = expression.replace("$__rate_interval", "5m").replace("$server", "fs1|fs2")
        assert "$" not in filled
        rules.append(f"      - record: lanman:query:{number}\n        expr: {json.dumps(filled)}\n")
    (tmp_path / "rules.yml").write_text("groups:\n  - name: queries\n    rules:\n" + "".join(rules))
    status, said = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert (status, f"{len(rules)} rules found" in said) == (0, True), said


def test_the_dashboard_is_the_same_wherever_it_is_put() -> None:
    assert DASHBOARD["uid"] == "lanman-servers"
    assert "id" not in DASHBOARD
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    datasource, server = DASHBOARD["templating"]["list"]
    assert (datasource["name"], datasource["type"], datasource["query"]) == ("datasource", "datasource", "prometheus")
    assert (server["name"], server["multi"], server["definition"]) == (
        "server",
        True,
        "label_values(lanman_up, server)",
    )
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"] in {"none", "short", "percentunit", "s", "Bps", "ops"}
        assert panel["description"]
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            for name, labels in re.findall(r"\b(lanman_\w+)(\{[^}]*\})?", target["expr"]):
                assert ("$server" in labels) == ("server" in BY_NAME[name].labels), target["expr"]


def test_panels_do_not_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_promtool_finds_the_alerts_sound() -> None:
    status, said = promtool("check", "rules", str(ALERTS))
    assert (status, "7 rules found" in said) == (0, True), said


def test_alerts_fire_when_they_should_and_not_otherwise() -> None:
    status, said = promtool("test", "rules", "lanman-alerts-test.yml", folder=ROOT / "tests" / "data")
    assert (status, "SUCCESS" in said) == (0, True), said


def test_each_alert_is_tried_both_ways() -> None:
    cases = (ROOT / "tests" / "data" / "lanman-alerts-test.yml").read_text()
    for name in re.findall(r"- alert: (\w+)", ALERTS.read_text()):
        tried = re.findall(rf"alertname: {name}\n +exp_alerts:( \[\]|\n)", cases)
        assert set(tried) == {" []", "\n"}, name


def test_alerts_name_verbs_that_there_are() -> None:
    for verb in re.findall(r"`lanman (\w+)", ALERTS.read_text()):
        assert load(verb)
