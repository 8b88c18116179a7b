"""The divergence from the reference as a turn reward: what a turn strays costs that turn, before credit is given.

episodes -> log-probs of the reference on their action tokens -> -sum over a turn's tokens of k(log pi_sampled, log pi_ref)

RLHF's penalty in the reward (arXiv 1909.08593, 2203.02155) at the level of turns: the estimator then sees what a turn's divergence buys
later, which a term of the loss does not. The policy's log-probs are the sampler's, as of the policy that acted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..records import Trajectory
from ..rewards.rubric import RewardValues
from .assemble import Sample, assemble
from .loss import DIVERGENCES, Divergence


class KlReward:
    """``RewardFn``: minus the summed divergence (nats) of each turn's action tokens; NaN for turns without trained tokens.

    ``reference``: the log-probs of the reference for the action tokens of samples (``Learner.reference_logprobs``). ``kind``: the
    estimator per token; k1 is the penalty of RLHF, k3 is never negative.
    """

    name = "kl"

    def __init__(self, reference: Callable[[Sequence[Sample]], Sequence[torch.Tensor]], kind: Divergence = "k1") -> None:
        self._reference, self.kind = reference, kind
        self._total, self._tokens = 0.0, 0

    @property
    def per_token(self) -> float:
        """The mean divergence of all tokens seen so far."""
        return self._total / max(1, self._tokens)

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[RewardValues]:
        samples = assemble(trajectories)
        references = self._reference(samples)
        each = [
            DIVERGENCES[self.kind](torch.from_numpy(s.logprobs[s.action]).double(), own.double().cpu())
            for s, own in zip(samples, references, strict=True)
        ]
        flat = torch.cat(each).numpy() if each else np.zeros(0)
        counts = [len(turn.tokens.action_ids) if turn.tokens and turn.trained else 0 for t in trajectories for turn in t.turns]
        sums = np.bincount(np.repeat(np.arange(len(counts)), counts), weights=flat, minlength=len(counts))
        self._total, self._tokens = self._total + float(flat.sum()), self._tokens + len(flat)
        values = iter([-float(x) if count else math.nan for x, count in zip(sums, counts, strict=True)])
        return [RewardValues(turns=[next(values) for _ in t.turns]) for t in trajectories]
