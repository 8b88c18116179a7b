"""Gated accumulation (G-RA, arXiv 2508.10548): a turn reward counts only in an episode whose more important rewards were good enough.

Gate(levels=["outcome", ["fixed"], ["format"]], thresholds=[0.0, 0.5])(trajectories)

R^(i), the rewards of level i, are kept where R^(j) > delta_j for every level j before it, else they are 0. The value of a level is the
outcome, or the sum of its components over all turns of the episode.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..records import Trajectory, Turn
from .combine import passes
from .rubric import ENVIRONMENT

OUTCOME = "outcome"
"""The outcome's score as a level; "outcome.NAME" is one of its components."""
UNGATED = "ungated:"
"""What the measure is called that keeps the value of a component that was set to 0, before its name."""


class Gate:
    """Sets turn reward components to 0; what it sets to 0 stays readable in ``turn.measures["ungated:NAME"]``.

    ``levels``: by falling priority, each a name or a list of names: turn reward components, "outcome", "outcome.NAME". ``thresholds``: one
    for each level but the last. ``strict``: > (the paper's text) or >= (matters where outcomes come in steps). Components of no
    level are not touched, and neither is the outcome. Turns without a score stay so; voided episodes are returned as they are.
    Raises ``ValueError`` for levels and thresholds that do not fit, and for a name that stands in two levels.
    """

    def __init__(self, levels: Sequence[str | Sequence[str]], thresholds: Sequence[float], *, strict: bool = True) -> None:
        self.levels = [(level,) if isinstance(level, str) else tuple(level) for level in levels]
        self.thresholds, self.strict = [float(t) for t in thresholds], strict
        names = [name for level in self.levels for name in level]
        if len(self.levels) < 2 or not all(self.levels):
            raise ValueError(f"a gate has the levels {list(levels)}; it needs two or more, each with a name, the most important first")
        if len(self.thresholds) != len(self.levels) - 1 or not all(map(math.isfinite, self.thresholds)):
            raise ValueError(
                f"a gate has {len(self.levels)} levels and the thresholds {self.thresholds}; it needs {len(self.levels) - 1} numbers: "
                "one for each level but the last"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} stands in two levels of the gate; a component has one priority")

    @property
    def names(self) -> list[str]:
        return [name for level in self.levels for name in level]

    def check(self, components: Iterable[str]) -> None:
        """Raise ``ValueError`` for names that are neither among these turn reward components nor begin with "outcome."."""
        known = {*components, OUTCOME}
        unknown = [name for name in self.names if name not in known and not name.startswith(f"{OUTCOME}.")]
        if unknown:
            allowed = ", ".join([*sorted(known), f"{OUTCOME}.NAME"])
            raise ValueError(f"the gate names {', '.join(map(repr, unknown))}; allowed: {allowed}")

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Trajectory]:
        """The episodes with the components of closed levels set to 0.

        Raises ``ValueError`` for a name "outcome.NAME" that the outcome of a valid episode does not have.
        """
        return [self._gated(t) if t.outcome.valid else t for t in trajectories]

    def _gated(self, trajectory: Trajectory) -> Trajectory:
        closed: set[str] = set()
        opened = True
        for place, level in enumerate(self.levels):
            if not opened:
                closed.update(level)
            if place < len(self.thresholds):
                value = sum(self._value(trajectory, name) for name in level)
                opened = opened and passes(value, self.thresholds[place], strict=self.strict)
        return replace(trajectory, turns=tuple(_without(turn, closed) for turn in trajectory.turns)) if closed else trajectory

    def _value(self, trajectory: Trajectory, name: str) -> float:
        outcome = trajectory.outcome
        if name == OUTCOME:
            return outcome.score
        if name.startswith(f"{OUTCOME}."):
            part = name.removeprefix(f"{OUTCOME}.")
            if part not in outcome.components:
                listed = ", ".join(f"{OUTCOME}.{n}" for n in sorted(outcome.components)) or "none"
                raise ValueError(f"task {trajectory.task.id!r}: the gate names {name!r}, but the outcome's components are {listed}")
            return outcome.components[part]
        return sum(_components(turn).get(name, 0.0) for turn in trajectory.turns)


def _components(turn: Turn) -> dict[str, float]:
    if turn.reward is not None and not turn.components:
        return {ENVIRONMENT: turn.reward}
    return dict(turn.components)


def _without(turn: Turn, closed: Collection[str]) -> Turn:
    """The turn with these components set to 0 and their values among its measures."""
    own = _components(turn)
    gone = {name: value for name, value in own.items() if name in closed and value != 0.0}
    if not gone:
        return turn
    kept = {name: 0.0 if name in gone else value for name, value in own.items()}
    measures = {**turn.measures, **{f"{UNGATED}{name}": value for name, value in gone.items()}}
    return replace(turn, reward=sum(kept.values()), components=kept, measures=measures)
