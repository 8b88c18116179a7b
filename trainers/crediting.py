"""From a step's episodes to an advantage for every action token.

    episodes -> TurnBatch -> estimate -> [T] one number per turn -> [N] the same for each of the turn's action tokens

Modifiers work before and after the estimator, and on the tokens.

Letters: T turns, N action tokens of all episodes together, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..records import Trajectory
from .credit import Tokens, TurnBatch, estimate
from .credit.modifiers import Entry, Modifiers

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
    """``Credit`` of an estimator by name, with its parameters and modifiers; see ``turnwise estimators`` and docs/credit.md."""

    def __init__(self, estimator: str, parameters: dict[str, Any], modifiers: Sequence[Entry] = ()) -> None:
        self.estimator, self.parameters = estimator, parameters
        self._modifiers = Modifiers(modifiers)

    @property
    def counts(self) -> dict[str, int]:
        """Turns, outcomes and tokens that each modifier changed in the last call."""
        return self._modifiers.counts

    def dropped(self, trajectories: Sequence[Trajectory]) -> dict[str, list[int]]:
        """For each filter the places of the episodes, which come in whole groups, that are not to be trained on."""
        if not any(self._modifiers.of("filter")):
            return {}
        batch = TurnBatch.from_trajectories(self._modifiers.episodes(trajectories))
        return {name: np.flatnonzero(gone).tolist() for name, gone in self._modifiers.dropped(batch).items()}

    def __call__(self, trajectories: Sequence[Trajectory]) -> Floats:
        batch = self._modifiers.rewards(TurnBatch.from_trajectories(self._modifiers.episodes(trajectories)))
        turns = self._modifiers.advantages(batch, estimate(self.estimator, batch, **self.parameters))
        return self._modifiers.tokens(batch, Tokens.from_trajectories(trajectories), to_tokens(trajectories, turns))
