"""Charts of how cost grows, as SVG without a library: both axes by powers of ten, a line for each series.

A chart has a title and a description for those who do not see it, and colours that do for light and dark pages and for
those who do not tell red from green; each line has marks of its own, and its name at its end. The values stand at the
marks, so that the chart can be read without the axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 30, 70, 50

STYLE = """<style>
  text { font: 12px sans-serif; fill: #24292f }
  .ground { fill: #ffffff } .grid { stroke: #d0d7de }
  .s0 { stroke: #0072b2; fill: #0072b2 } .s1 { stroke: #d55e00; fill: #d55e00 } .s2 { stroke: #117755; fill: #117755 }
  .line { fill: none; stroke-width: 2 } text.s0, text.s1, text.s2 { stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ground { fill: #0d1117 } .grid { stroke: #30363d }
    .s0 { stroke: #56b4e9; fill: #56b4e9 } .s1 { stroke: #f0a35e; fill: #f0a35e } .s2 { stroke: #4fd1a5; fill: #4fd1a5 }
    .line { fill: none }
  }
</style>"""


@dataclass(frozen=True)
class Series:
    """One line: its name with its unit, and the value at each x."""

    name: str
    points: Sequence[tuple[float, float]]


def chart(title: str, description: str, x_name: str, series: Sequence[Series]) -> str:
    """The SVG of at most three series with values above 0."""
    every = [point for each in series for point in each.points]
    x_span, y_span = _decades([x for x, _ in every]), _decades([y for _, y in every])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_span[0]) / (x_span[1] - x_span[0])
        up = (math.log10(y) - y_span[0]) / (y_span[1] - y_span[0])
        return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1
        )

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(description)}</desc>',
        STYLE,
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{WIDTH / 2}" y="20" text-anchor="middle">{escape(title)}</text>',
    ]
    for power in range(y_span[0], y_span[1] + 1):
        _, y = at(10.0 ** x_span[0], 10.0**power)
        lines.append(f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{_shown(10.0**power)}</text>')
    for power in range(x_span[0], x_span[1] + 1):
        x, _ = at(10.0**power, 10.0 ** y_span[0])
        lines.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_shown(10.0**power)}</text>')
    lines.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>')
    for number, each in enumerate(series):
        lines += _line(number, each, [at(x, y) for x, y in each.points])
    return "\n".join([*lines, "</svg>", ""])


def _line(number: int, series: Series, places: Sequence[tuple[float, float]]) -> list[str]:
    """The name above, the line, its marks (circle, square, triangle) and their values."""
    style = f"s{number}"
    lines = [
        f'<text class="{style}" x="{LEFT}" y="{38 + 15 * number}">{"●■▲"[number]} {escape(series.name)}</text>',
        f'<polyline class="line {style}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>',
    ]
    for (x, y), (_, value) in zip(places, series.points, strict=True):
        mark = (
            f'<circle class="{style}" cx="{x}" cy="{y}" r="3"/>',
            f'<rect class="{style}" x="{x - 3:g}" y="{y - 3}" width="6" height="6"/>',
            f'<path class="{style}" d="M{x} {y - 4}l4 7h-8z"/>',
        )[number]
        lines += [mark, f'<text class="{style}" x="{x}" y="{y - 8}" text-anchor="middle">{_shown(value)}</text>']
    return lines


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _shown(value: float) -> str:
    """At most three digits of it, thousands parted."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
