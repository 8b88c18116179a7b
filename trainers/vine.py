"""What states are worth, by playing on from them: probes become the values that the estimator ``vine`` reads.

    members, probes -> mean return of the probes of each state -> measure "state_value" of the turns taken there -> TurnBatch.values

VinePPO (arXiv 2410.01679), section 4, with turns as steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from ..records import Trajectory
from .credit.batch import STATE_VALUE

State: TypeAlias = tuple[str, int, int, int]
"""A task and environment seed, a rollout index and a turn; (-1, 0) after the first two is the start, which a group shares."""


def value_states(groups: Sequence[Sequence[Trajectory]], probes: Sequence[Trajectory], gamma: float) -> tuple[list[list[Trajectory]], int]:
    """The groups with a ``state_value`` on every turn of valid episodes, and how many turns had no valid probe.

    V of a state is the mean over its valid probes of their return from there, discounted by ``gamma`` per turn. A turn without any gets
    the value of the turn before it, which then counts for both, and at the start the mean return of the members played from there.
    Turns of voided episodes get 0, which nothing reads.
    """
    found: dict[State, list[float]] = {}
    for probe in probes:
        if probe.outcome.valid:
            found.setdefault(_state(probe, probe.fork, {}), []).append(return_from(probe, probe.fork, gamma))
    values = {state: float(np.mean(returns)) for state, returns in found.items()}
    missing = 0
    out: list[list[Trajectory]] = []
    for group in groups:
        by_rollout = {t.rollout: t for t in group}
        starts = [return_from(t, 0, gamma) for t in group if t.outcome.valid and t.fork == 0]
        valued: list[Trajectory] = []
        for t in group:
            own: list[float] = []
            for turn in t.turns:
                value = values.get(_state(t, turn.index, by_rollout)) if t.outcome.valid else 0.0
                missing += value is None
                own.append(value if value is not None else own[-1] if own else float(np.mean(starts)) if starts else 0.0)
            valued.append(_measured(t, own))
        out.append(valued)
    return out, missing


def return_from(trajectory: Trajectory, turn: int, gamma: float) -> float:
    """sum_k gamma^k r_{turn+k}, the outcome being part of the last turn's reward; the outcome alone where no turn is left."""
    rewards = np.asarray([t.reward or 0.0 for t in trajectory.turns[turn:]])
    if not len(rewards):
        return trajectory.outcome.score
    rewards[-1] += trajectory.outcome.score
    return float(rewards @ gamma ** np.arange(len(rewards)))


def _state(trajectory: Trajectory, turn: int, by_rollout: dict[int, Trajectory]) -> State:
    """The state before ``turn``. A probe's is its parent's."""
    group = (trajectory.task.hash, trajectory.env_seed)
    if turn == 0:
        return (*group, -1, 0)
    if trajectory.probe and trajectory.parent is not None:
        return (*group, trajectory.parent, turn)
    while trajectory.parent is not None and turn <= trajectory.fork:
        trajectory = by_rollout[trajectory.parent]
    return (*group, trajectory.rollout, turn)


def _measured(trajectory: Trajectory, values: Sequence[float]) -> Trajectory:
    pairs = zip(trajectory.turns, values, strict=True)
    return replace(trajectory, turns=tuple(replace(turn, measures={**turn.measures, STATE_VALUE: value}) for turn, value in pairs))
