"""What one run of a lab came to, and what several seeds of it say together.

run folder -> Curve (held-out success against rollouts and seconds) -> summary over seeds with intervals
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..stats import Interval

PHASES = ("rollout", "credit", "train")
"""What counts as training time: evaluation, checkpoints and measurements do not."""
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)
"""97.5% points of Student's distribution for 1 to 19 degrees of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One finished run. ``rollouts``, ``seconds`` and ``success`` are as long as it has evaluations, the first before training."""

    rollouts: tuple[int, ...]
    """Episodes played for training up to then, replaced groups included."""
    seconds: tuple[float, ...]
    """Of training up to then."""
    success: tuple[float, ...]
    """Held out, at the training temperature."""
    rows: tuple[dict[str, Any], ...]
    """Metrics of every step."""

    def area(self, rollouts: float | None = None) -> float:
        """Mean held-out success over the first ``rollouts`` (default: all), straight lines between evaluations."""
        end = self.rollouts[-1] if rollouts is None else rollouts
        if end <= 0:
            return self.success[-1]
        places = sorted({0.0, float(end), *(float(r) for r in self.rollouts if r < end)})
        values = np.interp(places, self.rollouts, self.success)
        return float((np.diff(places) * (values[1:] + values[:-1]) / 2).sum() / end)

    def reached(self, success: float, along: Sequence[float] | None = None) -> float | None:
        """Rollouts (or what ``along`` counts) at which held-out success first is ``success``, on straight lines; None: never."""
        places = self.rollouts if along is None else along
        if self.success[0] >= success:
            return float(places[0])
        for (x0, y0), (x1, y1) in pairwise(zip(places, self.success, strict=True)):
            if y1 >= success:
                return x0 + (x1 - x0) * (success - y0) / (y1 - y0)
        return None

    def dead_groups(self) -> float:
        """Share of the groups that were played and gave no gradient."""
        dead = sum(r["groups_without_signal"] + r["groups_replaced"] for r in self.rows)
        return dead / max(1, sum(r["groups"] + r["groups_replaced"] for r in self.rows))

    def snr(self) -> float | None:
        """Gradient's signal over its noise, both summed over the steps at which they were measured; None: never."""
        measured = [r for r in self.rows if "gradient_signal" in r]
        noise = sum(r["gradient_noise"] for r in measured)
        return sum(r["gradient_signal"] for r in measured) / noise if noise > 0 else None

    def gain(self, name: str) -> float:
        """What measure ``name`` of the training episodes rose by: mean of the last quarter of the steps less that of the first."""
        values = [r[name] for r in self.rows]
        part = max(1, len(values) // 4)
        return float(np.mean(values[-part:]) - np.mean(values[:part])) if values else 0.0


def read_curve(folder: Path) -> Curve | None:
    """The curve of a run; None while it is not over."""
    if not (folder / "after.json").exists():
        return None
    groups = _groups(folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [{**r, "groups": groups} for r in lines if r["phase"] == "rl"]
    spent = np.cumsum([sum(r["seconds"].get(phase, 0.0) for phase in PHASES) for r in rows])
    at = {0: (0, 0.0)} | {r["step"]: (r["rollouts"], float(s)) for r, s in zip(rows, spent, strict=True)}
    names = {0: "before"} | {int(p.stem[5:]): p.stem for p in folder.glob("step-*.json")} | {max(at): "after"}
    steps = sorted(names)
    results = [json.loads((folder / f"{names[step]}.json").read_text()) for step in steps]
    return Curve(
        rollouts=tuple(at[s][0] for s in steps),
        seconds=tuple(at[s][1] for s in steps),
        success=tuple(r["sampled"]["success"]["mean"] for r in results),
        rows=tuple(rows),
    )


def _groups(folder: Path) -> int:
    import yaml

    return int(yaml.safe_load((folder / "config.yaml").read_text())["groups"])


def over_seeds(values: Sequence[float]) -> Interval:
    """Mean of one number per seed with Student's 95% interval; a single seed has none (NaN)."""
    if not values:
        return Interval(mean=math.nan, low=math.nan, high=math.nan)
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean=mean, low=math.nan, high=math.nan)
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else 1.96
    half = t * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def band(curves: Sequence[Curve], along: str = "rollouts", points: int = 40) -> list[tuple[float, Interval]]:
    """Held-out success at places as far as every curve goes, over the seeds. ``along``: "rollouts" or "seconds"."""
    if not curves:
        return []
    end = min(float(getattr(c, along)[-1]) for c in curves)
    places = np.linspace(0.0, end, points)
    values = np.stack([np.interp(places, getattr(c, along), c.success) for c in curves])
    return [(float(x), over_seeds(v.tolist())) for x, v in zip(places, values.T, strict=True)]
