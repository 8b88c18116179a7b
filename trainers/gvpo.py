"""GVPO: the likelihood of whole responses, weighted by how far their rewards are from what the policy's own log-ratios imply.

    samples of whole groups, their log-probs -> a weight for every action token -> -sum of weights times log pi

Source: GVPO, arXiv 2504.19599, whose formulas are known here from three implementations that agree, not from the paper. Weights of a
group sum to 0, so that the partition function of the optimal policy cancels; no ratio is clipped and any sampler's episodes may be used.

Letters: E episodes, k of one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .assemble import Sample

Floats = npt.NDArray[np.float64]


def penalties(log_ratio: Floats, group: npt.NDArray[np.int64], beta: float) -> Floats:
    """[E] beta (l_i - mean l) within each group: what the rewards must exceed; ``log_ratio`` [E] l_i = log pi / pi_anchor of an episode."""
    size = np.maximum(np.bincount(group), 1)
    return beta * (log_ratio - (np.bincount(group, weights=log_ratio) / size)[group])


def gvpo_samples(
    samples: Sequence[Sample], logprobs: Sequence[npt.ArrayLike], anchor: Sequence[npt.ArrayLike], beta: float
) -> tuple[list[Sample], dict[str, float]]:
    """The samples with weights w so that -sum w log pi is the GVPO loss, and what was found.

    loss = mean over groups of -beta / (k - 1) sum_i w_i log pi(y_i), w_i = A_i - beta (l_i - mean l), detached. A_i is the advantage:
    with the estimator ``dr_grpo`` it is R_i - mean R, as published; estimators of turns give each token its own, and GVPO turn by turn.
    ``logprobs``, ``anchor``: for each sample those of the policy and of what it is measured against [its action tokens]. An episode is
    the sum of its samples. Weights of a group sum to 0 where its advantages do; an episode that is left out of the loss unbalances them.
    A group of one has nothing to be compared with: its weights are 0 and it is counted in ``gvpo_alone``.
    """
    rollouts, which = np.unique([s.rollout for s in samples], return_inverse=True)
    group = np.zeros(len(rollouts), np.int64)
    group[which] = np.unique([s.group for s in samples], return_inverse=True)[1]
    gaps = np.array([float((np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum()) for a, b in zip(logprobs, anchor, strict=True)])
    log_ratio = np.bincount(which, weights=gaps)
    size = np.bincount(group)
    factor = np.where(size > 1, beta / np.maximum(size - 1, 1) / max(1, int((size > 1).sum())), 0.0)[group]
    penalty = penalties(log_ratio, group, beta)
    weighted: list[Sample] = []
    for sample, episode in zip(samples, which, strict=True):
        weight = np.where(sample.action, factor[episode] * (sample.advantage - penalty[episode]), 0.0)
        weighted.append(replace(sample, weight=weight.astype(np.float32)))
    return weighted, {
        "gvpo_log_ratio": float(log_ratio.mean()),
        "gvpo_alone": float((size == 1).sum()),
    }
