"""Modifiers of turn rewards and outcomes, before an estimator reads them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from .batch import TurnBatch
from .modifiers import register_modifier, rewarded
from .registry import needed
from .segments import Array, as_float, is_torch, numbers, segment_rank, segment_sum, where, zeros

Words = npt.NDArray[np.uint64]


def likelihood(batch: TurnBatch, modifier: str) -> tuple[Array, Array]:
    """[E] mean log-prob of each episode's action tokens, and [E] whether it is valid and has any."""
    source = "train with a policy that records tokens, or give entropies= and token_counts="
    surprise = needed(batch.entropies, modifier, "the log-probs of every turn", source, what="modifier")
    counts = needed(batch.token_counts, modifier, "the action tokens of every turn", source, what="modifier")
    weight = as_float(counts, batch.reward)
    total = segment_sum(weight, batch.episode, batch.num_episodes)
    summed = segment_sum(weight * surprise, batch.episode, batch.num_episodes)
    return -summed / where(total > 0, total, 1.0), batch.valid & (total > 0)


@register_modifier("unlikeliness", "reward")
def unlikeliness(batch: TurnBatch, *, beta: float = 0.25) -> TurnBatch:
    """o_i (1 - beta rank_i / G) for outcomes above 0; rank: of the episode's mean log-prob in the group, 0 the least likely.

    What succeeds although the policy would hardly have done it earns most. Others keep their outcome. G: valid episodes that have
    tokens; equal log-probs share the lower rank. Precondition: log-probs, which token-exact episodes have. Source: Rewarding the
    Unlikely, arXiv 2506.02355, as in its code.
    """
    likely, known = likelihood(batch, "unlikeliness")
    size = segment_sum(as_float(known, likely), batch.group, batch.num_groups)[batch.group]
    rank = segment_rank(likely, batch.group, batch.num_groups, known)
    factor = 1.0 - beta * rank / where(size > 0, size, 1.0)
    return rewarded(batch, "unlikeliness", outcome=where(known & (batch.outcome > 0), batch.outcome * factor, batch.outcome))


@register_modifier("redit", "reward")
def redit(
    batch: TurnBatch,
    *,
    noise: Literal["gaussian", "uniform"] = "gaussian",
    scale: float = 0.05,
    of: Literal["outcome", "turns", "both"] = "outcome",
) -> TurnBatch:
    """Zero-mean noise on every outcome (or scored turn reward, or both), so that groups of equal outcomes still say something.

    ``scale``: the deviation of "gaussian", the radius of "uniform" (whose deviation is scale / sqrt 3). The noise of an episode follows
    from the seed it was sampled with: another one each step, the same in a run that is resumed. No group is then without signal, so none
    is replaced. Source: ReDit, arXiv 2506.18631 (abstract and notes; its code was not read).
    """
    if noise not in ("gaussian", "uniform"):
        raise ValueError(f"noise is {noise!r}; allowed: gaussian, uniform")
    if of not in ("outcome", "turns", "both"):
        raise ValueError(f"of is {of!r}; allowed: outcome, turns, both")
    seeds = needed(batch.seeds, "redit", "the seed of every episode", "trajectories have it; give seeds= to lists", what="modifier")
    parts = dict[str, Array]()
    if of != "turns":
        parts["outcome"] = batch.outcome + where(batch.valid, scale * _noise(seeds, seeds * 0, noise), 0.0)
    if of != "outcome":
        drawn = scale * _noise(seeds[batch.episode], batch.position + 1, noise)
        parts["reward"] = batch.reward + where(batch.scored & batch.valid[batch.episode], drawn, 0.0)
    return rewarded(batch, "redit", **parts)


def _noise(seeds: Array, places: Array, noise: str) -> Array:
    """[n] one draw for each (seed, place): of deviation 1, or uniform in -1..1. Drawn in numpy, so that torch gets the same."""
    if is_torch(seeds):
        import torch

        return torch.as_tensor(_noise(seeds.cpu().numpy(), places.cpu().numpy(), noise), device=seeds.device)
    first, second = (_unit(seeds.astype(np.uint64), 2 * places.astype(np.uint64) + np.uint64(n)) for n in (0, 1))
    return 2.0 * first - 1.0 if noise == "uniform" else np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * math.pi * second)


def _unit(seeds: Words, places: Words) -> npt.NDArray[np.float64]:
    """Hashes of the pairs as numbers in (0, 1): the seed and then the place through SplitMix64's mixer (Steele et al., OOPSLA 2014)."""
    mixed = _mixed(_mixed(seeds) + places)
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mixed(x: Words) -> Words:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@register_modifier("clip_delta", "reward")
def clip_delta(batch: TurnBatch, *, eta: float = 0.5, clip: bool = True, delta: bool = True, alpha: float = 1.0) -> TurnBatch:
    """Process rewards that cannot be earned by more steps. Clip: r_k = min(r_k - eta, 0). Delta, after it: r_k - r_{k+1}; times alpha.

    Delta of the last but one turn is its own value and of the last 0, so that an episode's sum is its first turn's reward. Turns that
    nobody scored are passed over and stay so. Source: On Designing Effective RL Reward at Training Time for LLM Reasoning, arXiv
    2410.15115 (formulas from a third-party note); the default of eta is ours, the paper's is not known.
    """
    reward = batch.reward
    if clip:
        reward = where(reward < eta, reward - eta, 0.0)
    if delta:
        # the scored turns but an episode's last, side by side
        counts = batch.scored & (batch.position + 1 < (batch.offsets[1:] - batch.offsets[:-1])[batch.episode])
        at = numbers(reward)[counts]
        values, episode = reward[at], batch.episode[at]
        follows = zeros(len(values), values)
        follows[:-1] = where(episode[1:] == episode[:-1], values[1:], 0.0)
        reward = zeros(len(reward), reward)
        reward[at] = values - follows
    changed = where(batch.scored, alpha * reward, 0.0)
    return rewarded(batch, "clip_delta", reward=where(batch.valid[batch.episode], changed, batch.reward))


@register_modifier("potential", "reward")
def potential(batch: TurnBatch, *, gamma: float = 1.0, weight: float = 1.0, end: Literal["zero", "own"] = "zero") -> TurnBatch:
    """r_t + weight (gamma Phi(s_{t+1}) - Phi(s_t)), Phi the environment's score of a state (``Turn.potential``).

    With ``end`` "zero" the last state counts 0: returns-to-go discounted by the same gamma then change by -weight Phi(s_t) alone, whatever
    is done from there, so the best policy stays the best. The last state counts 0 also where a limit cut the episode off, as no
    estimator here adds a value for what would have followed. "own": the last state keeps its score, so that progress
    pays, and may be worth more than the task. An episode whose states are not all known is left as it was. Precondition: potentials
    (manifest: potentials). Source: Ng, Harada and Russell, ICML 1999; the episode's end: Grzes, AAMAS 2017.
    """
    if end not in ("zero", "own"):
        raise ValueError(f"end is {end!r}; allowed: zero, own")
    source = "the environment's potential() must give it (manifest: potentials), or give potentials="
    states = needed(batch.potentials, "potential", "a score of every state (potentials)", source, what="modifier")
    before, after = states[:, 0], states[:, 1]
    if end == "zero":
        after = where(numbers(after) == (batch.offsets[1:] - 1)[batch.episode], 0.0 * batch.reward, after)
    change = weight * (gamma * after - before)
    missing = change != change  # NaN
    broken = segment_sum(as_float(missing, batch.reward), batch.episode, batch.num_episodes) > 0
    shaped = batch.valid[batch.episode] & ~broken[batch.episode]
    changed = rewarded(batch, "potential", reward=batch.reward + where(shaped, change, 0.0))
    return replace(changed, scored=batch.scored | shaped)
