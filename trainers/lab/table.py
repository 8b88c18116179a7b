"""The numbers of a lab: for every environment and method what its seeds came to, and what that is against the baseline.

runs/ENV/METHOD/seed-N -> Curve -> Row -> lab.json, lab.md, lab.html
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..stats import Interval
from .curves import Curve, over_seeds, read_curve
from .grid import Lab, cells

FLAT = 0.02
"""A rise of the outcome's success below this counts as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method on one environment; intervals over seeds."""

    environment: str
    method: str
    seeds: int
    budget: float
    """Rollouts over which areas are taken: what the shortest run of the environment played."""
    before: Interval
    after: Interval
    area: Interval
    """Mean held-out success over ``budget``."""
    against: Interval
    """``area`` less the baseline's with the same seed."""
    rollouts_to: dict[str, tuple[float | None, int]]
    """For every threshold the median rollouts of the seeds that reached it (over all of them once most did), and how many did."""
    seconds_to: dict[str, tuple[float | None, int]]
    seconds: Interval
    snr: Interval | None
    dead_groups: Interval
    turn_gain: Interval
    """Rise of the training episodes' turn reward, last quarter of the steps against the first."""
    success_gain: Interval
    """The same of their success."""

    @property
    def hacking(self) -> bool:
        """The turn reward rose for sure, and the outcome did not rise."""
        return self.turn_gain.low > 0 and self.success_gain.high < FLAT


def read_curves(lab: Lab, folder: Path) -> dict[tuple[str, str], dict[int, Curve]]:
    """Finished runs: by environment and method, then seed."""
    found: dict[tuple[str, str], dict[int, Curve]] = {}
    for cell in cells(lab):
        curve = read_curve(folder / cell.path)
        if curve is not None:
            found.setdefault((cell.environment, cell.method), {})[cell.seed] = curve
    return found


def rows(lab: Lab, curves: dict[tuple[str, str], dict[int, Curve]]) -> list[Row]:
    """One row for every environment and method that has a finished run, in the lab's order."""
    out: list[Row] = []
    for environment in lab.environments:
        every = [c for (e, _), own in curves.items() if e == environment for c in own.values()]
        if not every:
            continue
        budget = float(min(c.rollouts[-1] for c in every))
        base = curves.get((environment, lab.against), {})
        out += [_row(lab, environment, m, curves[environment, m], base, budget) for m in lab.methods if (environment, m) in curves]
    return out


def _row(lab: Lab, environment: str, method: str, own: dict[int, Curve], base: dict[int, Curve], budget: float) -> Row:
    curves = list(own.values())
    ratios = [c.snr() for c in curves]
    measured = [r for r in ratios if r is not None]
    pairs = [own[s].area(budget) - base[s].area(budget) for s in own if s in base]
    return Row(
        environment=environment,
        method=method,
        seeds=len(curves),
        budget=budget,
        before=over_seeds([c.success[0] for c in curves]),
        after=over_seeds([c.success[-1] for c in curves]),
        area=over_seeds([c.area(budget) for c in curves]),
        against=over_seeds(pairs),
        rollouts_to={f"{t:g}": _typical([c.reached(t) for c in curves]) for t in lab.thresholds},
        seconds_to={f"{t:g}": _typical([c.reached(t, c.seconds) for c in curves]) for t in lab.thresholds},
        seconds=over_seeds([c.seconds[-1] for c in curves]),
        snr=over_seeds(measured) if measured else None,
        dead_groups=over_seeds([c.dead_groups() for c in curves]),
        turn_gain=over_seeds([c.gain("turn_reward") for c in curves]),
        success_gain=over_seeds([c.gain("success") for c in curves]),
    )


def _typical(found: Sequence[float | None]) -> tuple[float | None, int]:
    """(median over all seeds, never counting as infinite; None if that is infinite), and how many reached it."""
    median = statistics.median(math.inf if f is None else f for f in found)
    return (None if math.isinf(median) else float(median)), sum(f is not None for f in found)
