"""``lab.html``, ``lab.md`` and ``lab.json``: the whole table of a lab and its charts, readable without a network.

lab.yaml + finished runs -> rows and bands -> OUT/{lab.json, lab.md, charts/*.svg, lab.html}
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Template

from ..stats import Interval
from .charts import Series, legend, line_chart
from .curves import Curve, band
from .grid import Lab, cells
from .play import ERROR
from .table import Row, read_curves, rows

_HERE = Path(__file__).parent


def write_lab_report(lab: Lab, folder: Path) -> Path:
    """Write the report of what is finished so far; returns ``lab.html``. Raises ``ValueError`` if nothing is."""
    curves = read_curves(lab, folder)
    table = rows(lab, curves)
    if not table:
        raise ValueError(f"{folder}: no run of this lab is finished; see log.txt and {ERROR} in its runs/ folders")
    charts = draw(lab, curves)
    (folder / "charts").mkdir(exist_ok=True)
    for name, svg in charts.items():
        (folder / "charts" / f"{name}.svg").write_text(svg + "\n", encoding="utf-8")
    (folder / "lab.json").write_text(json.dumps(_finite([asdict(r) | {"hacking": r.hacking} for r in table]), indent=1) + "\n")
    missing = unfinished(lab, curves)
    tuned = json.loads((folder / "tuned.json").read_text()) if (folder / "tuned.json").exists() else []
    (folder / "lab.md").write_text(markdown(lab, table, missing), encoding="utf-8")
    page = Template((_HERE / "page.html").read_text(encoding="utf-8"), autoescape=True).render(
        lab=lab,
        overview=overview(lab, table),
        tables=_tables(lab, table),
        charts=charts,
        missing=missing,
        tuned=tuned,
        settings=json.dumps(lab.model_dump(), indent=1),
    )
    part = folder / "lab.html.part"
    part.write_text(page, encoding="utf-8")
    return part.replace(folder / "lab.html")


def draw(lab: Lab, curves: Mapping[tuple[str, str], Mapping[int, Curve]]) -> dict[str, str]:
    """SVGs by name: ``ENV-rollouts`` and ``ENV-seconds`` for every environment with a finished run, and ``legend``."""
    out = {"legend": legend(list(lab.methods))}
    for environment in lab.environments:
        if not any(e == environment for e, _ in curves):
            continue
        for along, what in (("rollouts", "rollouts"), ("seconds", "seconds of training")):
            lines = [
                Series(method, band(list(curves.get((environment, method), {}).values()), along), index)
                for index, method in enumerate(lab.methods)
            ]
            out[f"{environment}-{along}"] = line_chart(lines, title=environment, x=what, y="held-out success")
    return out


def unfinished(lab: Lab, curves: Mapping[tuple[str, str], Mapping[int, Curve]]) -> list[str]:
    """Runs that are not finished, by name; where they are more than twelve, how many there are of each environment."""
    missing = [c for c in cells(lab) if c.seed not in curves.get((c.environment, c.method), {})]
    if len(missing) <= 12:
        return [" / ".join(c.path.parts[1:]) for c in missing]
    counts = Counter(c.environment for c in missing)
    runs = len(cells(lab)) // len(lab.environments)
    return [f"{counts[name]} of {runs} runs of {name}" for name in lab.environments if counts[name]]


def overview(lab: Lab, table: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """(names of columns, lines) of one table of the whole lab: what the area of every method is over the baseline's, on every environment.

    A star where the interval does not hold 0. Empty where a single environment is to be told of.
    """
    names = [name for name in lab.environments if any(r.environment == name for r in table)]
    others = [method for method in lab.methods if method != lab.against]
    if len(names) < 2 or not others:
        return [], []
    found = {(r.environment, r.method): r.against for r in table}
    return ["method", *names], [[m, *(_gain(found.get((name, m))) for name in names)] for m in others]


def _gain(value: Interval | None) -> str:
    if value is None:
        return ""
    return span(value, signed=True) + (" *" if value.low > 0 or value.high < 0 else "")


def header(lab: Lab, table: Sequence[Row]) -> list[str]:
    """Names of the table's columns."""
    reach = [f"rollouts to {t:g}" for t in lab.thresholds]
    snr = ["gradient SNR"] if any(r.snr is not None for r in table) else []
    return [
        "method",
        "seeds",
        "before",
        "after",
        "area",
        f"area - {lab.against}",
        *reach,
        "seconds",
        *snr,
        "dead groups",
        "turn reward +",
        "success +",
        "",
    ]


def line(lab: Lab, row: Row, table: Sequence[Row]) -> list[str]:
    """One row of the table, as text."""
    reach = [_reached(*row.rollouts_to[f"{t:g}"], row.seeds) for t in lab.thresholds]
    snr = [span(row.snr)] if row.snr is not None else [""] if any(r.snr is not None for r in table) else []
    same = row.method == lab.against
    numbers = [f"{row.before.mean:.3f}", span(row.after), span(row.area), "" if same else span(row.against, signed=True), *reach]
    numbers += [
        f"{row.seconds.mean:.0f}",
        *snr,
        f"{row.dead_groups.mean:.0%}",
        f"{row.turn_gain.mean:+.3f}",
        f"{row.success_gain.mean:+.3f}",
    ]
    return [row.method, str(row.seeds), *numbers, "turn reward up, outcome flat" if row.hacking else ""]


def span(value: Interval, signed: bool = False) -> str:
    """``0.71 +-0.04``"""
    mean = f"{value.mean:+.3f}" if signed else f"{value.mean:.3f}"
    return "" if math.isnan(value.mean) else mean if math.isnan(value.low) else f"{mean} ±{value.high - value.mean:.3f}"


def markdown(lab: Lab, table: Sequence[Row], missing: Sequence[str]) -> str:
    """The whole table as Markdown, an environment after the other."""
    out = [f"# {lab.title}", ""]
    if missing:
        out += [f"Not finished: {', '.join(missing)}.", ""]
    head, lines = overview(lab, table)
    if head:
        out += [f"Area less that of {lab.against} with the same seed; * the 95% interval does not hold 0.", "", *_grid(head, lines), ""]
    for name, head, lines, budget in _tables(lab, table):
        out += [f"## {name}", "", f"Area over the first {budget:,.0f} rollouts.", ""]
        out += [f"![held-out success of {name}](charts/{name}-rollouts.svg)", ""]
        out += [*_grid(head, lines), ""]
    return "\n".join(out)


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(line) + " |" for line in lines)]


def _tables(lab: Lab, table: Sequence[Row]) -> list[tuple[str, list[str], list[list[str]], float]]:
    found: list[tuple[str, list[str], list[list[str]], float]] = []
    for name in lab.environments:
        own = [r for r in table if r.environment == name]
        if own:
            found.append((name, header(lab, own), [line(lab, r, own) for r in own], own[0].budget))
    return found


def _reached(median: float | None, count: int, seeds: int) -> str:
    return ("never" if median is None else f"{median:,.0f}") + ("" if count in (0, seeds) else f" ({count}/{seeds})")


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
