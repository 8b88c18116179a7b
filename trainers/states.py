"""Where a critic looks: the states before turns or before action tokens, as samples that packs can hold.

    Trajectory -> [context . action . context . action] -> Sample whose ``action`` marks the tokens before which a value is read

A value never sees what it is a value before: it is read off the hidden state of the token in front of the marked one.
Letters: T turns, N action tokens of all episodes together, in order; P places: T or N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..records import Trajectory
from .assemble import Aggregate, Sample, assemble
from .credit.registry import Level
from .crediting import token_counts

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """``samples`` and, for each, the ``places`` its marked tokens have among the values of all episodes, [P]; ``tokens`` [T] action
    tokens of every turn."""

    samples: list[Sample]
    places: list[Places]
    tokens: Places
    level: Level

    @property
    def count(self) -> int:
        """P."""
        return len(self.tokens) if self.level == "turn" else int(self.tokens.sum())


def states_of(trajectories: Sequence[Trajectory], level: Level, *, merge: bool = True) -> States:
    """The states of valid episodes. Turns that the policy is not trained on are states like the others; those without tokens are none.

    ``merge=False`` makes one sample of every turn (same values, more compute). Raises ``ValueError`` as ``assemble`` does.
    """
    every = [replace(t, turns=tuple(replace(turn, trained=True) for turn in t.turns)) for t in trajectories]
    counts = token_counts(trajectories)
    turns = np.cumsum([0, *(len(t.turns) for t in trajectories)])
    tokens = np.concatenate([[0], np.cumsum(counts)])
    samples, places = list[Sample](), list[Places]()
    begun = dict[int, int]()  # marked tokens of an episode's samples so far
    for sample in assemble(every, merge=merge):
        marked = sample.action if level == "token" else _first_tokens(sample)
        number = int(marked.sum())
        if not number:
            continue
        first, last = int(turns[sample.rollout]), int(turns[sample.rollout + 1])
        own = np.arange(tokens[first], tokens[last]) if level == "token" else first + np.flatnonzero(counts[first:last])
        start = begun.get(sample.rollout, 0)
        begun[sample.rollout] = start + number
        samples.append(replace(sample, action=marked))
        places.append(own[start : start + number])
    return States(samples, places, counts, level)


def _first_tokens(sample: Sample) -> npt.NDArray[np.bool_]:
    turn = np.where(sample.action, sample.turn, -1)
    return sample.action & (turn != np.concatenate([[-1], turn[:-1]]))


def filled(trajectories: Sequence[Trajectory], states: States, values: Floats) -> Floats:
    """``values`` [P] with every turn without tokens given the value of its episode's next turn that has some; 0 after the last.

    Nothing is decided in such a turn, so it is worth what comes of it. Of tokens nothing is missing.
    """
    if states.level == "token" or states.tokens.all():
        return values
    index = np.arange(len(values))
    following = np.minimum.accumulate(np.where(states.tokens > 0, index, len(values))[::-1])[::-1]
    ends = np.cumsum([len(t.turns) for t in trajectories])
    end = np.repeat(ends, [len(t.turns) for t in trajectories])
    return np.where(following < end, np.append(values, 0.0)[following], 0.0)


def shares(trajectories: Sequence[Trajectory], states: States, aggregate: Aggregate) -> Floats:
    """[P] share of each value in the critic's loss, sum 1: "rollout", every episode counts the same; else every value."""
    episodes = np.full(states.count, -1)
    for sample, places in zip(states.samples, states.places, strict=True):
        episodes[places] = sample.rollout
    known = episodes >= 0
    if not known.any():
        return np.zeros(states.count)
    if aggregate != "rollout":
        return known / known.sum()
    sizes = np.bincount(episodes[known], minlength=len(trajectories))
    return np.where(known, 1.0 / ((sizes > 0).sum() * np.maximum(sizes, 1)[episodes]), 0.0)
