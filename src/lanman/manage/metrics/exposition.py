"""The series of all servers as a scrape has them, by prometheus_client: as text, or as OpenMetrics where asked for.

The only module that needs that library (the extra metrics). A family is written at a time, so that an event loop does
other work between two of them; each is there once, with the series of all servers, as both formats want it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.metrics.table import TABLE, Kind

try:
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.metrics_core import Metric as Family
except ImportError:
    raise LanmanError(
        "figures for Prometheus need prometheus_client, which is not installed",
        code=codes.ERROR_NOT_SUPPORTED,
        hint="pip install 'lanman[metrics]'",
    ) from None

if TYPE_CHECKING:
    from lanman.manage.metrics.watched import Sample

# How prometheus_client calls a metric's kind. In the text format a gauge histogram has the type histogram.
_TYPES: Final = {
    Kind.GAUGE: "gauge",
    Kind.COUNTER: "counter",
    Kind.HISTOGRAM: "gaugehistogram",
    Kind.INFO: "info",
}

_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
_EOF: Final = b"# EOF\n"


class _One:
    """A registry of one family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Iterator[Family]:
        """See prometheus_client."""
        yield self._family


class Exposition:
    """The format that a scraper accepts, by its header Accept: OpenMetrics 1.0 where that names it, else the text
    format. `content_type` says which it is."""

    def __init__(self, accept: str = "") -> None:
        # What else stands there (versions, ways to escape names) has no say: the library trusts in its form.
        wanted = _OPENMETRICS if _OPENMETRICS.partition(";")[0] in accept.lower() else ""
        self._encode, self.content_type = choose_encoder(wanted)

    def pieces(self, samples: Iterable[Sample]) -> Iterator[bytes]:
        """The scrape, in pieces. What belongs to a metric need not stand together in `samples`."""
        by_metric: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_metric[sample[0].name].append(sample)
        marked = False
        for metric in TABLE:
            if metric.name not in by_metric:
                continue
            family = Family(metric.family, metric.help, _TYPES[metric.kind])
            for _, values, value in by_metric[metric.name]:
                family.add_sample(metric.name, dict(zip(metric.labels, values, strict=True)), value)
            piece: bytes = self._encode(_One(family))
            marked |= piece.endswith(_EOF)
            yield piece.removesuffix(_EOF)
        if marked:
            yield _EOF
