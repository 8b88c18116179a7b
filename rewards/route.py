"""Rewards of routing between models that cost money (Router-R1, arXiv 2506.09033): format, answer, price.

    router_reward(score=1.0, format_score=0.0, cost_reward=0.6, cost_coe=0.3)   # 0.88
    window, r = CostWindow().scored(250.0)                                      # r = 0.5: one cost says nothing

Costs are completion tokens times price; the unit does not matter as long as it stays the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Trajectory
from .rubric import RewardValues

TAGS = ("think", "search", "information", "answer")
_TAG = re.compile(r"<(/?)(think|search|information|answer)>")
_PLACEHOLDERS = frozenset(("", "...", "query", "your query", "your-query", "your_query"))
_MIN_RANGE = 1e-8


def router_format(transcript: str, models: Collection[str]) -> float:
    """0 for a well-formed episode, else -1.

    ``transcript``: all that the agent wrote, with the information it was given. Well-formed: starts with ``<think>`` and ends
    with ``</answer>``; tags balanced and not nested; one answer, at least one think, none of them empty or "..."; as many
    searches as informations; every search is ``name:query`` with one colon, a name of ``models`` (in any case), and a query
    that is no placeholder and does not repeat the name as a word.
    """
    text = transcript.strip()
    blocks = _blocks(text)
    if not blocks or not text.startswith("<think>") or not text.endswith("</answer>"):
        return -1.0
    names = [name for name, _ in blocks]
    if names.count("answer") != 1 or names.count("search") != names.count("information"):
        return -1.0
    if any(name == "think" and content in ("", "...") for name, content in blocks):
        return -1.0
    known = {name.lower() for name in models}
    return 0.0 if all(_is_route(content, known) for name, content in blocks if name == "search") else -1.0


def _blocks(text: str) -> list[tuple[str, str]]:
    """(tag, stripped content) in order; empty when a tag is unbalanced or nested, or there is none."""
    blocks: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            if opened is not None:
                return []
            opened = tag
        elif opened is None or opened[2] != tag[2]:
            return []
        else:
            blocks.append((tag[2], text[opened.end() : tag.start()].strip()))
            opened = None
    return blocks if opened is None else []


def _is_route(content: str, known: Collection[str]) -> bool:
    name, _, query = (part.strip().lower() for part in content.partition(":"))
    repeated = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", query) is not None
    return content.count(":") == 1 and query not in _PLACEHOLDERS and name in known and not repeated


def router_reward(score: float, format_score: float, cost_reward: float, cost_coe: float = 0.0) -> float:
    """Router-R1's R: -1 for a bad format (f = -1); f = 0 for a score of 0; else (score + f)(1 - c) + c r_cost."""
    if format_score == -1.0:
        return -1.0
    return format_score if score == 0.0 else (score + format_score) * (1.0 - cost_coe) + cost_coe * cost_reward


def cost_reward(cost: float, costs: Sequence[float]) -> float:
    """1 - clip((sqrt cost - q05) / (q95 - q05), 0, 1); q05 and q95: percentiles (linear interpolation) of the roots of ``costs``,
    which include ``cost``. A range below 1e-8 (one cost, equal costs) gives 0.5. Raises ``ValueError`` for negative costs or none."""
    if not costs or min(cost, *costs) < 0:
        raise ValueError(f"cost is {cost}, of {len(costs)} costs; give at least one, and none below 0")
    low, high = (float(q) for q in np.percentile(np.sqrt(np.asarray(costs, dtype=np.float64)), [5, 95]))
    if high - low < _MIN_RANGE:
        return 0.5
    return 1.0 - min(1.0, max(0.0, (math.sqrt(cost) - low) / (high - low)))


def pool_cost_reward(cost: float, most: float) -> float:
    """1 - min(1, sqrt(cost / most)), ours: depends on the pool alone, not on what other episodes cost. ``most`` 0: all is free, 1."""
    return 1.0 - min(1.0, math.sqrt(cost / most)) if most > 0 else 1.0


@dataclass(frozen=True, slots=True)
class CostWindow:
    """The last ``size`` costs: plain data, to be kept in one place (the trainer), logged and checkpointed.

    Router-R1 normalises each episode by such a window, so its reward depends on the order of episodes; several windows
    (one per worker) would pay the same episode differently.
    """

    costs: tuple[float, ...] = ()
    size: int = 1000

    def scored(self, cost: float) -> tuple[CostWindow, float]:
        """The window with ``cost`` in it, and the cost reward within it."""
        costs = (*self.costs, cost)[-self.size :]
        return CostWindow(costs, self.size), cost_reward(cost, costs)


class RouterReward:
    """Router-R1's blended reward as a ``RewardFn``, computed where the trainer is; ``window`` is the state it keeps.

    What it adds to an outcome is R minus the environment's score, so with weight 1 in a ``Rubric`` the outcome becomes R.
    ``metric``: "em" or "f1". Reads the outcome components ``em``, ``f1``, ``format`` and ``cost``; raises ``ValueError`` where
    an environment gave none.
    """

    name = "router_r1"

    def __init__(self, cost_coe: float = 0.0, *, metric: str = "em", window: CostWindow | None = None) -> None:
        if metric not in ("em", "f1") or not 0.0 <= cost_coe <= 1.0:
            raise ValueError(f"metric is {metric!r} (allowed: em, f1), cost_coe is {cost_coe} (0 to 1)")
        self.cost_coe, self.metric = cost_coe, metric
        self.window = window or CostWindow()

    def __call__(self, trajectories: Sequence[Trajectory], /) -> Sequence[RewardValues]:
        return [RewardValues(turns=[math.nan] * len(t.turns), outcome=self._reward(t) - t.outcome.score) for t in trajectories]

    def _reward(self, trajectory: Trajectory) -> float:
        given = trajectory.outcome.components
        missing = sorted({self.metric, "format", "cost"} - set(given))
        if missing:
            raise ValueError(f"task {trajectory.task.id!r}: its outcome has no components {missing}; use it with turnwise/Route-v0")
        self.window, priced = self.window.scored(given["cost"])
        return router_reward(given[self.metric], given["format"], priced, self.cost_coe)
