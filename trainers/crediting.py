"""From a step's episodes to an advantage for every action token.

    episodes -> TurnBatch -> estimate -> [T] one number per turn -> [N] the same for each of the turn's action tokens

Letters: T turns, N action tokens of all episodes together, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..records import Trajectory
from .credit import TurnBatch, estimate

Floats: TypeAlias = npt.NDArray[np.float64]
Credit: TypeAlias = Callable[[Sequence[Trajectory]], Floats]
"""[N] advantages of episodes, which come in whole groups."""


def token_counts(trajectories: Sequence[Trajectory]) -> npt.NDArray[np.int64]:
    """[T] action tokens of every turn; 0 where none were recorded."""
    return np.asarray([len(turn.tokens.action_ids) if turn.tokens else 0 for t in trajectories for turn in t.turns], np.int64)


def to_tokens(trajectories: Sequence[Trajectory], advantages: npt.ArrayLike) -> Floats:
    """[N] what ``advantages`` [T] says of each token's turn. Raises ``ValueError`` when there is not one number per turn."""
    flat, counts = np.asarray(advantages, np.float64), token_counts(trajectories)
    if flat.shape != counts.shape:
        raise ValueError(f"{flat.shape} advantages for {len(counts)} turns; give one number per turn, trajectories in order")
    return np.repeat(flat, counts)


def of_turns(trajectories: Sequence[Trajectory], advantages: Floats) -> list[list[float]]:
    """For each episode the mean advantage of every turn's tokens, of ``advantages`` [N]; 0 for a turn without tokens."""
    counts = token_counts(trajectories)
    turn = np.repeat(np.arange(len(counts)), counts)
    means = np.bincount(turn, weights=advantages, minlength=len(counts)) / np.maximum(counts, 1)
    ends = np.cumsum([len(t.turns) for t in trajectories])
    return [part.tolist() for part in np.split(means, ends[:-1])] if len(ends) else []


class Estimated:
    """``Credit`` of an estimator by name, with its parameters; see ``turnwise estimators`` and docs/credit.md."""

    def __init__(self, estimator: str, parameters: dict[str, Any]) -> None:
        self.estimator, self.parameters = estimator, parameters

    def __call__(self, trajectories: Sequence[Trajectory]) -> Floats:
        return to_tokens(trajectories, estimate(self.estimator, TurnBatch.from_trajectories(trajectories), **self.parameters))
