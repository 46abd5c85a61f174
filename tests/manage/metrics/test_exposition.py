"""What a scrape looks like, as Prometheus' own tools and parsers read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.manage.metrics import table
from lanman.manage.metrics.table import MAX_TOP, TABLE
from lanman.manage.metrics.watched import Answers, Sample, build
from lanman.records import PortionDetails, Statistics
from manage.metrics.test_watched import series, watched
from support.promtool import check_metrics
from support.scripted_watch import file, session, share

parser = pytest.importorskip("prometheus_client.parser", reason="only on machines with the extra metrics")
openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def written(samples: list[Sample], accept: str = "") -> bytes:
    from lanman.manage.metrics.exposition import Exposition

    return b"".join(Exposition(accept).pieces(samples))


Line = tuple[str, dict[str, str], float]


def read_back(samples: list[Sample], accept: str = "") -> list[Line]:
    read = openmetrics if accept else parser
    families = read.text_string_to_metric_families(written(samples, accept).decode())
    return sorted(((s.name, dict(s.labels), float(s.value)) for family in families for s in family.samples), key=repr)


def expected(samples: list[Sample]) -> list[Line]:
    lines = [(metric.name, zip(metric.labels, labels, strict=True), value) for metric, labels, value in samples]
    return sorted(((name, dict(sorted(labels)), float(value)) for name, labels, value in lines), key=repr)


def everything() -> list[Sample]:
    """Series of every metric, of two servers."""
    rows = session(r"\\pc7", "bob"), file(1, "x", "bob", 3), share("pub", "/pub", 2)
    samples = [build(), (table.POLICY_ENDED, ("night", "ended"), 3.0)]
    for streamed in (False, True):
        one = watched(*rows, top=MAX_TOP, streamed=streamed)
        one.name = f"fs{streamed:d}"
        one.answers = Answers(20, Statistics(), [PortionDetails("open files", 3, 9, "ann", 3, 1, "ann")])
        samples += series(one)
    return samples


def test_promtool_finds_nothing() -> None:
    assert {metric for metric, _, _ in everything()} == set(TABLE)
    check_metrics(written(everything()))


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_it_is_read_as_it_was_meant(accept: str) -> None:
    samples = everything()
    assert read_back(samples, accept) == expected(samples)


def test_each_family_is_there_once_and_none_that_is_empty() -> None:
    lines = written(everything()).decode().splitlines()
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types)) == len(TABLE)
    assert written([build()]).decode().splitlines() == [
        "# HELP lanman_build_info The version of lanman.",
        "# TYPE lanman_build_info gauge",
        written([build()]).decode().splitlines()[-1],
    ]


def test_openmetrics_ends_once() -> None:
    text = written(everything(), OPENMETRICS)
    assert text.endswith(b"# EOF\n")
    assert text.count(b"# EOF") == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/plain;version=abc", "text/plain"),
        ("text/plain;version=1.0.0;escaping=values", "text/plain"),
        ("*/*", "text/plain"),
        ("application/openmetrics-text;version=abc", "application/openmetrics-text"),
        ("application/openmetrics-text; version=9.9.9; escaping=values, text/plain", "application/openmetrics-text"),
        # As Prometheus 2.42 and 3 ask.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text",
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;"
            "escaping=allow-utf-8;q=0.3,*/*;q=0.2",
            "application/openmetrics-text",
        ),
    ],
)
def test_there_are_two_forms_whatever_is_accepted(accept: str, kind: str) -> None:
    from lanman.manage.metrics.exposition import Exposition

    exposition = Exposition(accept)
    assert exposition.content_type.partition(";")[0] == kind
    assert exposition.content_type in {Exposition("").content_type, Exposition(OPENMETRICS).content_type}
    assert b'lanman_build_info{version="' in b"".join(exposition.pieces([build()]))


@given(st.text())
def test_any_accept_gives_a_form(accept: str) -> None:
    assert written([build()], accept)


@given(st.lists(st.tuples(st.text(min_size=1), st.text(), st.text(min_size=1)), max_size=8))
def test_no_name_breaks_a_scrape(names: list[tuple[str, str, str]]) -> None:
    rows = [session(client, user, age=number) for number, (client, user, _) in enumerate(names)]
    shares = [share(name, "/s", number) for number, (_, _, name) in enumerate(names)]
    samples = series(watched(*rows, *shares, top=5))
    for accept in ("", OPENMETRICS):
        assert read_back(samples, accept) == expected(samples)
