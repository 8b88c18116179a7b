"""What the sampler's probabilities are trusted for: importance weights between the engine that sampled and the model that learns.

    samples, log-probs of the learner before the update -> samples whose ratio is the learner's own, advantages weighted or 0

The two differ in kernels and precision, and by whole updates where sampling runs ahead of learning. PPO's ratio then is of the learner
against itself (the proximal policy of decoupled PPO, arXiv 2110.00641; AReaL, arXiv 2505.24298), and what lies between it and the sampler
is a constant weight of the token's term. The clipped loss is homogeneous in the advantage, as weights are positive, so that weighting the
advantage is weighting the loss; terms of divergence and entropy stay as they are.

Letters: N action tokens of all samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .assemble import Sample
from .loss import Correction

Floats = npt.NDArray[np.float64]


def importance_weights(log_ratio: Floats, episode: npt.NDArray[np.int64], kind: Correction, low: float, high: float) -> Floats:
    """[N] weights of ``log_ratio`` [N] = log pi_old - log pi_sampler; ``episode`` [N] numbers the tokens' episodes from 0.

    "token": min(ratio, high), truncated importance sampling. "sequence": the ratio of the whole episode, 0 outside [low, high] (masked
    importance sampling). "geometric": 1 where the geometric mean of the episode's ratios is inside [low, high], else 0.
    An episode is one however many samples it was cut into. Log-ratios of episodes are clamped to +-20.
    """
    if kind == "token":
        return np.minimum(np.exp(np.minimum(log_ratio, 20.0)), high)
    total = np.bincount(episode, weights=log_ratio)
    if kind == "geometric":
        total = total / np.maximum(np.bincount(episode), 1)
    ratio = np.exp(np.clip(total, -20.0, 20.0))
    inside = (ratio >= low) & (ratio <= high)
    return np.where(inside, ratio if kind == "sequence" else 1.0, 0.0)[episode]


def correct(
    samples: Sequence[Sample], old: Sequence[npt.ArrayLike], kind: Correction, low: float, high: float
) -> tuple[list[Sample], dict[str, float]]:
    """The samples with ``old`` in place of the sampler's log-probs and advantages times their importance weights, and what was done.

    ``old``: for each sample the learner's log-probs [its action tokens] before the update; the rest as for ``importance_weights``.
    Masked episodes keep their share of the loss, as a weight of 0 does; they are counted in ``correction_masked``, the share of
    truncated tokens in ``correction_truncated``. ``mismatch_kl`` is Schulman's k3 estimate of KL(sampler || learner) per token.
    Raises ``ValueError`` where a sample and its log-probs differ in length.
    """
    counts = [int(s.action.sum()) for s in samples]
    given = [np.asarray(values, np.float64) for values in old]
    if [len(values) for values in given] != counts:
        raise ValueError(f"log-probs of {[len(v) for v in given]} tokens for samples of {counts} action tokens; give one per token")
    sampled = np.concatenate([s.logprobs[s.action] for s in samples]).astype(np.float64)
    _, which = np.unique([s.rollout for s in samples], return_inverse=True)
    episode = np.repeat(which, counts)
    log_ratio = np.concatenate(given) - sampled
    weights = importance_weights(log_ratio, episode, kind, low, high)
    corrected = [
        _with(sample, values, own) for sample, values, own in zip(samples, given, np.split(weights, np.cumsum(counts)[:-1]), strict=True)
    ]
    ratio = np.exp(np.clip(log_ratio, -20.0, 20.0))
    return corrected, {
        "correction_truncated": float(np.mean(ratio > high)) if kind == "token" else 0.0,
        "correction_masked": float(len(np.unique(episode[weights == 0.0]))),
        "correction_weight": float(weights.mean()),
        "mismatch_kl": float(np.mean(ratio - 1.0 - log_ratio)),
        "mismatch_max": float(np.abs(log_ratio).max(initial=0.0)),
    }


def _with(sample: Sample, old: Floats, weights: Floats) -> Sample:
    logprobs, advantage = sample.logprobs.copy(), sample.advantage.copy()
    logprobs[sample.action] = old
    advantage[sample.action] *= weights.astype(np.float32)
    return replace(sample, logprobs=logprobs, advantage=advantage)
