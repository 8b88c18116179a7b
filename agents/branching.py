"""Where the episodes of a group branch: which turn boundaries of those played so far the next ones are forked at.

    [Trajectory] of one group, valid ones, by rollout index -> count x Fork(parent, turn)

A fork at turn t shares the turns before t and has turn t sampled anew; at turn 0 it is an independent episode. A turn that several
episodes share is a candidate once, by the episode that took it first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..records import Trajectory, Turn


class Fork(NamedTuple):
    """Before turn ``turn`` of the member with rollout index ``parent``; that member has such a turn."""

    parent: int
    turn: int


class Branching(Protocol):
    def __call__(self, members: Sequence[Trajectory], count: int, rng: np.random.Generator) -> list[Fork]:
        """``count`` forks of ``members`` (each has a turn), the same for the same members and state of ``rng``."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniformly drawn turns that are no episode's last, each of which gets one more child.

    The forks go round the trees of the group, in drawn order: with N times as many forks as trees, N a tree and round, as in Tree-GRPO
    (arXiv 2509.21240), whose scripts expand at random. A tree of single turns can only be forked at its start.
    """

    def __call__(self, members: Sequence[Trajectory], count: int, rng: np.random.Generator) -> list[Fork]:
        trees: dict[int, list[Fork]] = {}
        by_rollout = {t.rollout: t for t in members}
        for t in members:
            trees.setdefault(_root(t, by_rollout), []).extend(Fork(t.rollout, turn + 1) for turn in range(t.fork, len(t.turns) - 1))
        roots = sorted(trees)
        order = rng.permutation(len(roots))
        chosen: list[Fork] = []
        for number in range(count):
            root = roots[order[number % len(roots)]]
            inner = trees[root]
            chosen.append(inner[rng.integers(len(inner))] if inner else Fork(root, 0))
        return chosen


@dataclass(frozen=True, slots=True)
class Entropy:
    """The turns with the highest s = H - ``penalty`` (number of siblings), which are sampled anew; in rounds if there are too few.

    H: mean of -log pi over the turn's sampled tokens. AT2PO (arXiv 2601.04767); the penalty of 0.05 is its code's. That an expansion
    of a turn is a sibling of it, not a child, is read off the penalty.
    """

    penalty: float = 0.05

    def __call__(self, members: Sequence[Trajectory], count: int, rng: np.random.Generator) -> list[Fork]:
        del rng  # the highest are the highest
        own = [(Fork(t.rollout, turn.index), turn) for t in members for turn in t.own_turns]
        state = _states(members)
        shared: dict[Fork, int] = {}
        for fork, _ in own:
            shared[state[fork]] = shared.get(state[fork], 0) + 1
        scores = [entropy(turn) - self.penalty * (shared[state[fork]] - 1) for fork, turn in own]
        ranked = [own[place][0] for place in np.argsort(-np.asarray(scores), kind="stable")]
        return [ranked[number % len(ranked)] for number in range(count)]


@dataclass(frozen=True, slots=True)
class Arpo:
    """Turns after the first, drawn in proportion to p = ``base`` + ``gain`` (H - H of the episode's first turn), clipped to 0 and 1.

    p is the probability with which ARPO (arXiv 2507.19849; 0.5 and 0.2 are its code's) branches while it samples; here the episodes have
    ended, so that a group has its size. H is a whole turn's, where ARPO takes a turn's first tokens. Without candidates: turn 0.
    """

    base: float = 0.5
    gain: float = 0.2

    def __call__(self, members: Sequence[Trajectory], count: int, rng: np.random.Generator) -> list[Fork]:
        later = [(t, turn) for t in members for turn in t.own_turns if turn.index]
        if not later:
            return [Fork(members[number % len(members)].rollout, 0) for number in range(count)]
        change = np.asarray([entropy(turn) - entropy(t.turns[0]) for t, turn in later])
        chances = np.clip(self.base + self.gain * change, 0.0, 1.0)
        if not chances.any():
            chances[:] = 1.0  # none is likelier than another
        places = rng.choice(len(later), count, p=chances / chances.sum())
        return [Fork(later[place][0].rollout, later[place][1].index) for place in places]


@dataclass(frozen=True, slots=True)
class Along:
    """Evenly along the first member, from its start to before its last turn: of an expert's episode, the prefixes of IPR.

    IPR (arXiv 2406.11176) rolls the policy out five times from each; ``branches`` = 5 T does that for an expert's T turns.
    """

    def __call__(self, members: Sequence[Trajectory], count: int, rng: np.random.Generator) -> list[Fork]:
        del rng
        first = members[0]
        return [Fork(first.rollout, number * len(first.turns) // count) for number in range(count)]


STRATEGIES: Mapping[str, Callable[..., Branching]] = {"uniform": Uniform, "entropy": Entropy, "arpo": Arpo, "expert": Along}
"""By the name a recipe gives, what makes a strategy of its arguments."""


def entropy(turn: Turn) -> float:
    """Mean of -log pi over the turn's sampled tokens. Raises ``ValueError`` if its log-probs were not recorded."""
    if turn.tokens is not None:
        return turn.tokens.surprise
    if turn.chat_logprobs is None:
        raise ValueError(
            f"turn {turn.index} was played without log-probs, so its entropy is not known; branch uniformly, or play with a local policy "
            "or an endpoint that offers logprobs"
        )
    return -float(np.mean(turn.chat_logprobs)) if turn.chat_logprobs else 0.0


def _root(trajectory: Trajectory, by_rollout: dict[int, Trajectory]) -> int:
    """The rollout at the root of a tree; a fork whose parent was voided since cannot be, as only valid ones are forked."""
    while trajectory.parent is not None:
        trajectory = by_rollout[trajectory.parent]
    return trajectory.rollout


def _states(members: Sequence[Trajectory]) -> dict[Fork, Fork]:
    """For every turn, as (rollout, turn), the state it was taken in: named by the turn after which it was reached.

    All first turns were taken in the same state, which is (-1, 0).
    """
    by_rollout = {t.rollout: t for t in members}
    out: dict[Fork, Fork] = {}
    for t in members:
        for turn in t.own_turns:
            owner, before = t, turn.index - 1
            while owner.parent is not None and before < owner.fork:
                owner = by_rollout[owner.parent]
            out[Fork(t.rollout, turn.index)] = Fork(-1, 0) if before < 0 else Fork(owner.rollout, before)
    return out
