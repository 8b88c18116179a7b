"""One step's experience: groups of rollouts, scored, with an advantage for every action token.

tasks -> rollout -> (further rewards) -> (filters) -> Credit -> Collected; groups without signal are replaced
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..agents.base import Agent
from ..agents.rollout import rollout
from ..records import Task, Trajectory
from .crediting import Credit, token_counts
from .progress import Clock
from .vine import value_states

Rewards = Callable[[list[Trajectory]], list[Trajectory]]
Filter = Callable[[Sequence[Trajectory]], Mapping[str, Sequence[int]]]
"""For each reason to drop episodes, the places of those it drops; they come in whole groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The groups a step trains on, and everything that was played for it.

    ``trajectories`` and ``advantages`` (one number per action token, in order) are those of groups with signal; ``played`` holds
    all, replaced groups included, so that curves and counters hide nothing.
    """

    trajectories: list[Trajectory]
    advantages: npt.NDArray[np.float64]
    played: list[Trajectory]
    without_signal: int
    """Groups that still had none after the last round: the step goes without them."""
    replaced: int
    """Groups that were played again with another task."""
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """Episodes that were played and that a filter keeps from training, by the filter's name."""

    probes: list[Trajectory] = field(default_factory=list[Trajectory])
    """Episodes that were played to value the states of the others, and are in nothing else."""
    unvalued: int = 0
    """Turns whose state none of its probes could value."""


def play_groups(env: Any, agent: Agent, tasks: Sequence[Task], group_size: int, **options: Any) -> list[list[Trajectory]]:
    """One group per task, in the order of ``tasks``, members in order: the same for every order of completion. Probes come last."""
    place = {task.hash: number for number, task in enumerate(tasks)}
    if len(place) < len(tasks):
        raise ValueError("a step got the same task twice; give it fewer groups than there are train tasks")
    groups: list[list[Trajectory]] = [[] for _ in tasks]
    for trajectory in rollout(env, agent, tasks, group_size=group_size, **options):
        groups[place[trajectory.task.hash]].append(trajectory)
    return [sorted(group, key=lambda t: t.rollout) for group in groups]


def _per_group(groups: Sequence[Sequence[Trajectory]], credit: Credit) -> list[npt.NDArray[np.float64]]:
    """Advantages of each group, flat; all groups are one batch to the estimator."""
    values = credit([t for group in groups for t in group])
    ends = np.cumsum([token_counts(group).sum() for group in groups])
    return np.split(values, ends[:-1])


def collect(
    play: Callable[[Sequence[Task], int], list[list[Trajectory]]],
    tasks: Iterator[Task],
    groups: int,
    *,
    rewards: Rewards | None,
    credit: Credit,
    rounds: int,
    clock: Clock,
    drop: Filter | None = None,
    gamma: float = 1.0,
) -> Collected:
    """Play ``groups`` tasks and replace those without signal up to ``rounds`` times.

    ``play(tasks, round)`` returns the groups, probes included. What ``drop`` names is counted and not trained on, nor compared with. A
    group has no signal when every advantage in it is 0: its gradient would be 0. ``gamma``: discount of the probes' returns.
    """
    kept: list[list[Trajectory]] = []
    played, probes = list[Trajectory](), list[Trajectory]()
    replaced, unvalued, dropped = 0, 0, Counter[str]()
    for number in range(rounds + 1):
        missing = groups - len(kept)
        if not missing:
            break
        if number:
            replaced += missing
        fresh = play(_draw(tasks, missing), number)
        with clock("credit"):
            tried = [t for group in fresh for t in group if t.probe]
            fresh = [[t for t in group if not t.probe] for group in fresh]
            if rewards is not None:
                scored = rewards([t for group in fresh for t in group])
                fresh = _regroup(scored, [len(group) for group in fresh])
                tried = rewards(tried) if tried else tried  # apart, so that they are compared with no member
            played += [t for group in fresh for t in group]
            probes += tried
            if tried:
                fresh, lacking = value_states(fresh, tried, gamma)
                unvalued += lacking
            if drop is not None:
                fresh, gone = _without(fresh, drop)
                dropped.update(gone)
            signals = _per_group(fresh, credit)
        kept += [group for group, values in zip(fresh, signals, strict=True) if values.any()]
    with clock("credit"):
        advantages = np.concatenate(_per_group(kept, credit)) if kept else np.zeros(0)
    return Collected(
        trajectories=[t for group in kept for t in group],
        advantages=advantages,
        played=played,
        without_signal=groups - len(kept),
        replaced=replaced,
        dropped=dict(dropped),
        probes=probes,
        unvalued=unvalued,
    )


def _without(groups: Sequence[Sequence[Trajectory]], drop: Filter) -> tuple[list[list[Trajectory]], dict[str, int]]:
    """The groups less the episodes to drop, and how many those are by reason."""
    found = drop([t for group in groups for t in group])
    gone = {place for places in found.values() for place in places}
    ends = np.cumsum([len(group) for group in groups])
    numbered = [zip(range(end - len(group), end), group, strict=True) for end, group in zip(ends, groups, strict=True)]
    return [[t for place, t in group if place not in gone] for group in numbered], {name: len(places) for name, places in found.items()}


def _draw(tasks: Iterator[Task], count: int) -> list[Task]:
    """The next ``count`` different tasks; where the stream starts over, one may come up twice and is passed over."""
    chosen: dict[str, Task] = {}
    for _ in range(100 * count):
        task = next(tasks)
        chosen.setdefault(task.hash, task)
        if len(chosen) == count:
            return list(chosen.values())
    raise ValueError(f"only {len(chosen)} different train tasks came up in {100 * count} draws; lower groups to that, or remove copies")


def _regroup(flat: Sequence[Trajectory], sizes: Sequence[int]) -> list[list[Trajectory]]:
    ends = np.cumsum(sizes)
    return [list(flat[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
