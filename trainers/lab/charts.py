"""Line charts with bands as SVG text: few, small, readable in a browser and on a repository's page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..stats import Interval

COLOURS = ("#3b6fd4", "#d9772b", "#2f9e5f", "#b3479f", "#8a6d3b", "#5a5f6b", "#c23b4b", "#2a9aa8")
DASHES = ("", "6 3", "2 3", "8 3 2 3")
WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 30, 40
_INK = "#7a8089"


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one line, x ascending, with an interval each."""

    name: str
    points: Sequence[tuple[float, Interval]]
    index: int
    """Which colour and dash."""


def line_chart(series: Sequence[Series], *, title: str, x: str, y: str, low: float = 0.0, high: float = 1.0) -> str:
    """An SVG of ``series`` with their bands, x from 0 and y from ``low`` to ``high``. Which line is whose, ``legend`` says."""
    drawn = [s for s in series if s.points]
    most = max((p[0] for s in drawn for p in s.points), default=1.0) or 1.0

    def place(px: float, py: float) -> str:
        across = _LEFT + px / most * (WIDTH - _LEFT - _RIGHT)
        return f"{across:.1f},{_TOP + (high - min(high, max(low, py))) / (high - low) * (HEIGHT - _TOP - _BOTTOM):.1f}"

    parts = [_axes(title, x, y, most, low, high)]
    for s in drawn:
        colour = COLOURS[s.index % len(COLOURS)]
        if not any(math.isnan(i.low) for _, i in s.points):
            ring = [place(px, i.high) for px, i in s.points] + [place(px, i.low) for px, i in reversed(s.points)]
            parts.append(f'<polygon points="{" ".join(ring)}" fill="{colour}" opacity="0.13"/>')
    for s in drawn:
        line = " ".join(place(px, i.mean) for px, i in s.points)
        dash = DASHES[s.index // len(COLOURS) % len(DASHES)]
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[s.index % len(COLOURS)]}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="{escape(title, quote=True)}">{"".join(parts)}</svg>'
    )


def legend(names: Sequence[str]) -> str:
    """An SVG strip that names the lines of the charts beside it."""
    parts, at = [], 4.0
    rows, line = 1, 0
    for index, name in enumerate(names):
        width = 38 + 7.4 * len(name)
        if at + width > 2 * WIDTH:
            at, line, rows = 4.0, line + 1, rows + 1
        y = 12 + 18 * line
        parts.append(
            f'<line x1="{at:.0f}" y1="{y}" x2="{at + 18:.0f}" y2="{y}" stroke-width="3" {_stroke(index)}/>'
            f'<text x="{at + 23:.0f}" y="{y + 4}" fill="{_INK}">{escape(name)}</text>'
        )
        at += width
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {18 * rows + 6}" width="{2 * WIDTH}" height="{18 * rows + 6}" '
        f'font-family="system-ui, sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _stroke(index: int) -> str:
    """Attributes that tell line ``index`` from the others."""
    return f'stroke="{COLOURS[index % len(COLOURS)]}" stroke-dasharray="{DASHES[index // len(COLOURS) % len(DASHES)]}"'


def _axes(title: str, x: str, y: str, most: float, low: float, high: float) -> str:
    inner, bottom = WIDTH - _LEFT - _RIGHT, HEIGHT - _BOTTOM
    parts = [f'<text x="{_LEFT}" y="16" font-size="13" font-weight="600" fill="{_INK}">{escape(title)}</text>']
    for step in range(6):
        value = low + (high - low) * step / 5
        at = bottom - (bottom - _TOP) * step / 5
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="{_INK}" opacity="0.2"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end" fill="{_INK}">{value:g}</text>')
    for value in ticks(most):
        across = _LEFT + value / most * inner
        parts.append(f'<text x="{across:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{_INK}">{value:,.0f}</text>')
    parts.append(f'<text x="{_LEFT + inner / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle" fill="{_INK}">{escape(x)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text x="12" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 12 {middle:.0f})" fill="{_INK}">{escape(y)}</text>'
    )
    return "".join(parts)


def ticks(most: float, count: int = 5) -> list[float]:
    """Round places from 0 to at most ``most``, about ``count`` of them."""
    if most <= 0:
        return [0.0]
    raw = most / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    return [step * n for n in range(int(most / step + 1e-9) + 1)]
