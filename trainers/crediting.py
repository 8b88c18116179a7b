"""From a step's episodes to an advantage for every action token.

    episodes -> (values) -> TurnBatch -> estimate -> [T] one number per turn -> [N] the same for each of the turn's action tokens

Modifiers work before and after the estimator, and on the tokens.

Letters: T turns, N action tokens of all episodes together, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..records import Trajectory
from .credit import Tokens, TurnBatch, estimate
from .credit.modifiers import Entry, Modifiers
from .credit.registry import level_of
from .credit.trees import mean_of_nodes

Floats: TypeAlias = npt.NDArray[np.float64]
Credit: TypeAlias = Callable[[Sequence[Trajectory]], Floats]
"""[N] advantages of episodes, which come in whole groups."""
Values: TypeAlias = Callable[[Sequence[Trajectory]], Floats]
"""[T] or [N] values of episodes, by the level of what reads them; any number for a voided one."""


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
    """``Credit`` of an estimator by name, with its parameters and modifiers; see ``turnwise estimators`` and docs/credit.md.

    ``values``: where the batch's values come from (a critic, rollouts); None: it has none. They are asked for at every call.
    ``trees``: the episodes were rolled out with forks, so that a turn which several share gets the mean of what it is given in each.
    Raises ``ValueError`` for modifiers of turns' advantages after an estimator that gives every token its own.
    """

    def __init__(
        self,
        estimator: str,
        parameters: dict[str, Any],
        modifiers: Sequence[Entry] = (),
        *,
        values: Values | None = None,
        trees: bool = False,
    ) -> None:
        self.estimator, self.parameters, self.values, self.trees = estimator, parameters, values, trees
        self._level, self._modifiers = level_of(estimator), Modifiers(modifiers)
        late = [name for name, _ in self._modifiers.of("advantage")]
        if self._level == "token" and late:
            raise ValueError(
                f"modifiers: {', '.join(late)} change advantages of turns, but estimator {estimator!r} gives every token its own; "
                "leave them out, or take an estimator of turns"
            )

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
        batch = self._batch(trajectories, None if self.values is None else self.values(trajectories))
        advantages = estimate(self.estimator, batch, **self.parameters)
        if self._level == "turn":
            advantages = self._modifiers.advantages(batch, advantages)
            advantages = to_tokens(trajectories, mean_of_nodes(batch, advantages) if self.trees else advantages)
        return self._modifiers.tokens(batch, Tokens.from_trajectories(trajectories), advantages)

    def targets(self, trajectories: Sequence[Trajectory]) -> tuple[Floats, Floats]:
        """The values, [T] or [N], and what a critic should have given in their place: lambda-returns.

        They are the advantages before whitening plus the values (arXiv 1506.02438), by the estimator's own rewards, discount and lambda.
        Precondition: an estimator that reads a critic. Raises ``ValueError`` where there are no values.
        """
        if self.values is None:
            raise ValueError(f"estimator {self.estimator!r} was given no values to learn from; pass values= to Estimated")
        values = self.values(trajectories)
        return values, estimate(self.estimator, self._batch(trajectories, values), **{**self.parameters, "whitened": False}) + values

    def _batch(self, trajectories: Sequence[Trajectory], values: Floats | None) -> TurnBatch:
        batch = self._modifiers.rewards(TurnBatch.from_trajectories(self._modifiers.episodes(trajectories), trees=self.trees))
        if values is None:
            return batch
        wanted = token_counts(trajectories).sum() if self._level == "token" else batch.num_turns
        if values.shape != (wanted,):
            raise ValueError(f"{values.shape} values for {wanted} {self._level}s; give one per {self._level}, trajectories in order")
        return replace(batch, **{"token_values" if self._level == "token" else "values": values})
