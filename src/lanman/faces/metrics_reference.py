"""The page of the metrics, made from their declarations: `python -m lanman.faces.metrics_reference`.

It writes docs/reference/metrics.md anew, between `<!-- metrics -->` and `<!-- end of metrics -->`.
tests/faces/test_metrics_reference.py fails while the page is not as this would make it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lanman.manage.metrics.table import DEFAULT_TOP, TABLE, TOP, WHY, Metric, most_series

PAGE: Final = Path("docs/reference/metrics.md")
_PART: Final = re.compile(r"<!-- metrics -->\n.*?<!-- end of metrics -->", re.DOTALL)


def filled(page: str) -> str:
    """A page with the metrics between its marks."""
    part = "<!-- metrics -->\n" + "\n".join(_lines()) + "\n<!-- end of metrics -->"
    return _PART.sub(lambda match: part, page)


def _lines() -> Iterator[str]:
    yield from (
        "",
        "| Metric | Kind | What it is | From | No series where | Series at most |",
        "|---|---|---|---|---|---|",
    )
    for each in TABLE:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        yield (
            f"| `{each.name}`<br>{labels} | {each.kind.value}{f', {each.unit}' if each.unit else ''} | {each.help} | "
            f"{each.told_by} | {each.absent or '-'} | {_most(each)} |"
        )
    yield ""
    yield f"In all a server has at most {most_series(0)} series, and {most_series(DEFAULT_TOP)} with `--names`."
    yield from ("", "| `why` | A session closed, since |", "|---|---|")
    for why, words in WHY.items():
        yield f"| `{why.value}` | {words} |"
    yield ""


def _most(metric: Metric) -> str:
    return "`--top`" if metric.most == TOP else "-" if metric.most == 0 else str(metric.most)


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
