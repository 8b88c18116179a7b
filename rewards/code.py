"""Rewards of agents that write and run code: GTPO's turn rewards and code similarity, VSRM's step gains, Agnostics' verdict on programs.

shaped_outcomes([1, 1, 0], ["a = 1", "b = 2", "a = 1"])  # [1.0, 1.0, 0.3...]
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan, sqrt
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..records import Trajectory
from .rubric import RewardValues

Similarity: TypeAlias = Callable[[Sequence[str], Sequence[str]], Sequence[Sequence[float]]]
"""Texts [F] and texts [P] to their similarities [F, P], at most 1."""
Embed: TypeAlias = Callable[[Sequence[str]], "npt.NDArray[np.floating[Any]]"]
"""Texts [N] to vectors [N, D]."""

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|[^\s\w]")


def gtpo_turn_rewards(violations: Sequence[bool], outcome: float, *, penalty: float = 0.1) -> list[float]:
    """GTPO's reward of every turn (arXiv 2511.14846): -``penalty`` for a turn with any format violation, the outcome on the last turn.

    An episode without a turn has no reward. The discounted, group-normalised returns are the estimator ``gtpo``.
    """
    rewards = [-penalty if violated else 0.0 for violated in violations]
    if rewards:
        rewards[-1] += outcome
    return rewards


def token_cosine(a: str, b: str) -> float:
    """Cosine of token counts of two pieces of code (names, numbers, signs), in 0..1; 0 where one has none."""
    left, right = Counter(_TOKEN.findall(a)), Counter(_TOKEN.findall(b))
    norm = sqrt(sum(n * n for n in left.values()) * sum(n * n for n in right.values()))
    return sum(n * right[token] for token, n in left.items()) / norm if norm else 0.0


def token_similarity(a: Sequence[str], b: Sequence[str]) -> list[list[float]]:
    """The default backend: ``token_cosine`` of every pair."""
    return [[token_cosine(x, y) for y in b] for x in a]


def embedding_similarity(embed: Embed) -> Similarity:
    """A backend from an embedding, such as ``Encoder.encode`` of envs.search.dense: the cosine of every pair; 0 for a zero vector.

    Raises ``ValueError`` for anything but one finite vector per text.
    """

    def units(texts: Sequence[str]) -> npt.NDArray[np.float64]:
        vectors = np.asarray(embed(texts), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise ValueError(f"the embedding of {len(texts)} texts has shape {vectors.shape}; it must be finite, one row per text")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1.0)

    def similarity(a: Sequence[str], b: Sequence[str]) -> list[list[float]]:
        return [[float(cell) for cell in row] for row in units(a) @ units(b).T] if a and b else [[] for _ in a]

    return similarity


def shaped_outcomes(
    outcomes: Sequence[float], codes: Sequence[str], *, alpha: float = 0.5, similarity: Similarity = token_similarity
) -> list[float]:
    """GTPO's self-supervised outcomes of one group: a failed episode gets alpha * mean similarity of its code to that of those that
    succeeded (outcome of at least 1); never below 0.

    ``codes``: all code of an episode, concatenated. No episode succeeded: nothing is added. The mean is taken once (a public
    re-implementation divides twice); the paper embeds with a hosted model, here the backend is an argument. Raises ``ValueError`` for
    similarities that are not one finite number for each success.
    """
    good = [code for outcome, code in zip(outcomes, codes, strict=True) if outcome >= 1.0]
    failed = [place for place, outcome in enumerate(outcomes) if outcome < 1.0]
    shaped = [float(outcome) for outcome in outcomes]
    if not good or not failed:
        return shaped
    for place, row in zip(failed, similarity([codes[place] for place in failed], good), strict=True):
        if len(row) != len(good) or not all(map(isfinite, row)):
            raise ValueError(f"the similarities to {len(good)} successes are {list(row)}; give one finite number for each")
        shaped[place] += alpha * max(0.0, sum(row) / len(good))
    return shaped


def step_gains(accuracies: Sequence[float], *, epsilon: float = 0.1, gamma: float = 0.9) -> list[float]:
    """VSRM's reward of every step (arXiv 2508.10293), from the success rate A_0..A_K measured before the first and after every step.

    d_k = A_k - A_{k-1}. r_k = d_k where |d_k| >= epsilon; else gamma^q d_{k+q} for the first such step q later; else 0.
    Raises ``ValueError`` for a rate outside 0..1, or none.
    """
    if not accuracies or not all(0.0 <= a <= 1.0 for a in accuracies):
        raise ValueError(f"success rates {list(accuracies)}; there must be one before the first step and one after each, all in 0..1")
    gains = [b - a for a, b in itertools.pairwise(accuracies)]
    rewards, ahead = [0.0] * len(gains), 0.0
    for place in reversed(range(len(gains))):
        ahead = gains[place] if abs(gains[place]) >= epsilon - 1e-12 else gamma * ahead
        rewards[place] = ahead
    return rewards


def same_output(seen: str, expected: str) -> bool:
    """Equal, but for white space at the ends of lines and of the whole (Agnostics, arXiv 2508.04865)."""

    def lines(text: str) -> list[str]:
        return [line.rstrip() for line in text.strip().splitlines()]

    return lines(seen) == lines(expected)


def io_reward(seen: Sequence[str | None], expected: Sequence[str]) -> float:
    """1 if every hidden case has the expected output, else 0; None: the program failed there. No case: 0."""
    pairs = list(zip(seen, expected, strict=True))
    return float(bool(pairs) and all(out is not None and same_output(out, wanted) for out, wanted in pairs))


class CodeSimilarity:
    """A ``RewardFn``: what ``shaped_outcomes`` adds to the outcome of failed episodes, in groups of one task. Scores no turn.

    ``code_of`` gives all code of an episode.
    """

    def __init__(
        self,
        code_of: Callable[[Trajectory], str],
        *,
        alpha: float = 0.5,
        similarity: Similarity = token_similarity,
        name: str = "code_similarity",
    ) -> None:
        self.code_of, self.alpha, self.similarity, self.name = code_of, alpha, similarity, name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        groups: Mapping[str, list[int]] = defaultdict(list)
        for place, trajectory in enumerate(trajectories):
            groups[trajectory.task.hash].append(place)
        added = [0.0] * len(trajectories)
        for places in groups.values():
            wins = [float(trajectories[p].outcome.success) for p in places]
            codes = [self.code_of(trajectories[p]) for p in places]
            for place, win, shaped in zip(
                places, wins, shaped_outcomes(wins, codes, alpha=self.alpha, similarity=self.similarity), strict=True
            ):
                added[place] = shaped - win
        return [RewardValues(turns=[nan] * len(t.turns), outcome=extra) for t, extra in zip(trajectories, added, strict=True)]


class StepGains:
    """A ``RewardFn``: ``step_gains`` of every turn. ``rates`` gives an episode's T + 1 success rates: a verifier's, or those of rollouts
    from the start and from the end of each turn. Scores no outcome."""

    def __init__(
        self, rates: Callable[[Trajectory], Sequence[float]], *, epsilon: float = 0.1, gamma: float = 0.9, name: str = "step_gain"
    ) -> None:
        self.rates, self.epsilon, self.gamma, self.name = rates, epsilon, gamma, name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        return [RewardValues(turns=step_gains(self.rates(t), epsilon=self.epsilon, gamma=self.gamma)) for t in trajectories]
