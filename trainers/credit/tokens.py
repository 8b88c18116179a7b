"""``Tokens``: the action tokens of a batch's turns, for what is done token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...records import Trajectory
from .batch import TurnBatch
from .segments import Array, as_float, numbers, segment_sum, zeros


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tokens:
    """N action tokens in the order of the batch's turns; columns are numpy arrays, or torch tensors after ``to_torch``.

    Two turns of two tokens and one: turn=[0 0 1]  entropies=[.4 .2 .6]
    """

    turn: Array
    """[N] flat index of the token's turn."""
    entropies: Array
    """[N] of the policy where the token was sampled, in nats; of trajectories its estimate, -log pi of the token."""

    @classmethod
    def from_turns(cls, entropies: Sequence[Sequence[float]]) -> Tokens:
        """From one list per turn, turns in the batch's order; an empty one for a turn without tokens."""
        turn = np.repeat(np.arange(len(entropies)), [len(row) for row in entropies])
        return cls(turn=turn, entropies=np.asarray([h for row in entropies for h in row], np.float64))

    @classmethod
    def from_trajectories(cls, trajectories: Sequence[Trajectory]) -> Tokens:
        """Of all turns in order, each token with minus its log-prob at the sampler, whose expectation is the entropy."""
        turns = [turn for t in trajectories for turn in t.turns]
        return cls.from_turns([[-x for x in turn.tokens.logprobs] if turn.tokens else [] for turn in turns])

    def to_torch(self, device: Any = "cpu") -> Tokens:
        """The same tokens with torch columns."""
        import torch

        columns = {"turn": self.turn, "entropies": self.entropies}
        return replace(self, **{name: torch.as_tensor(column, device=device) for name, column in columns.items()})

    def place(self, batch: TurnBatch) -> Array:
        """[N] index of each token among the action tokens of its episode."""
        episode = batch.episode[self.turn]
        counts = segment_sum(as_float(episode >= 0, batch.reward), episode, batch.num_episodes)
        first = zeros(batch.num_episodes + 1, batch.offsets)
        first[1:] = counts.cumsum(0)
        return numbers(self.turn) - first[episode]
