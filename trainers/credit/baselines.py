"""Further estimators that compare episodes as wholes: other baselines, other scales, other shapes of the outcome."""

from __future__ import annotations

from collections.abc import Mapping

from .batch import OUTCOME, TurnBatch
from .outcome import Singleton, grpo, rewards_with_outcome, to_turns
from .registry import register_estimator
from .segments import Array, as_float, drop_rounding, returns_to_go, segment_max, segment_rank, segment_sum, standardize, where

_LOWEST = -1e300


def turn_weights(batch: TurnBatch) -> Array:
    """[T] action tokens of each turn; 1 where they are not known."""
    counts = batch.episode == batch.episode if batch.token_counts is None else batch.token_counts
    return as_float(counts, batch.reward)


def whiten(batch: TurnBatch, advantages: Array) -> Array:
    """(A - mean) / sqrt(var + 1e-8) over all turns of the batch's valid episodes, each counted once for every action token (ddof 1).

    This is verl's ``masked_whiten``. What a group gets then depends on the others.
    """
    valid = batch.valid[batch.episode]
    weights = turn_weights(batch)
    out = standardize(advantages, batch.episode * 0, 1, valid, weights=weights, std=True, ddof=1, eps=0.0, inner_eps=1e-8)
    return where(valid, out, 0.0)


@register_estimator("dr_grpo")
def dr_grpo(batch: TurnBatch, *, singleton: Singleton = "zero") -> Array:
    """A_i = o_i - mean(o) over the group. Source: Dr. GRPO, arXiv 2503.20783 (whose loss divides by a constant length)."""
    return grpo(batch, std=False, singleton=singleton)


@register_estimator("opo")
def opo(batch: TurnBatch, *, singleton: Singleton = "zero") -> Array:
    """A_i = o_i - sum_j(l_j o_j) / sum_j(l_j) over the group; l: action tokens of an episode (turns, if they are not known).

    Source: On-Policy RL with Optimal reward baseline, arXiv 2505.23585. A group of one gets 0, or its raw outcome.
    """
    length = segment_sum(turn_weights(batch), batch.episode, batch.num_episodes)
    # an episode without tokens has no place in the baseline, and nothing to be credited
    member = batch.valid & (length > 0)
    centred = standardize(
        batch.outcome, batch.group, batch.num_groups, member, weights=length, std=False, ddof=0, eps=0.0, singleton=singleton
    )
    return to_turns(batch, centred)


@register_estimator("reinforce_pp")
def reinforce_pp(batch: TurnBatch, *, gamma: float = 1.0) -> Array:
    """A_{i,t} = whitened discounted return-to-go of the turn rewards, the outcome inside the last one; no group is looked at.

    Whitening is over all turns of the batch, weighted by their action tokens. Rewards cross what lies between turns (verl from August
    2026 on; earlier versions lost them there). Source: REINFORCE++, arXiv 2501.03262.
    """
    return whiten(batch, returns_to_go(rewards_with_outcome(batch), batch.offsets, gamma))


@register_estimator("reinforce_pp_baseline")
def reinforce_pp_baseline(batch: TurnBatch, *, singleton: Singleton = "zero") -> Array:
    """A_i = o_i - mean(o) over the group, then whitened over the batch. Source: REINFORCE++-baseline, arXiv 2501.03262."""
    return whiten(batch, grpo(batch, std=False, singleton=singleton))


@register_estimator("pass_at_k")
def pass_at_k(batch: TurnBatch) -> Array:
    """The best episode of a group gets o_best - o_second, all others 0; ties and groups of one get 0.

    An unbiased gradient of the expected best of k. Source: Pass@k policy optimization, arXiv 2505.15201, as in verl.
    """
    outcome = where(batch.valid, batch.outcome, _LOWEST)
    best = segment_max(outcome, batch.group, batch.num_groups, _LOWEST)[batch.group]
    leads = batch.valid & (drop_rounding(best - outcome, outcome) == 0)
    leaders = segment_sum(as_float(leads, outcome), batch.group, batch.num_groups)[batch.group]
    lowest = outcome * 0 + _LOWEST
    second = segment_max(where(leads, lowest, outcome), batch.group, batch.num_groups, _LOWEST)[batch.group]
    alone = leads & (leaders == 1) & (second > _LOWEST / 2)
    return to_turns(batch, where(alone, outcome - second, 0.0))


@register_estimator("ngrpo")
def ngrpo(
    batch: TurnBatch, *, max_reward: float = 1.0, virtual: int = 1, ddof: int = 1, eps: float = 1e-6, singleton: Singleton = "zero"
) -> Array:
    """A_i = (o_i - mean) / (std + eps), the statistics over the group and ``virtual`` more episodes with outcome ``max_reward``.

    Groups that failed as a whole then learn to do something else. Source: NGRPO, arXiv 2509.18851.
    """
    inside = as_float(batch.valid, batch.outcome)
    size = segment_sum(inside, batch.group, batch.num_groups)
    total = size + virtual
    mean = (segment_sum(batch.outcome * inside, batch.group, batch.num_groups) + virtual * max_reward) / where(total > 0, total, 1.0)
    centred = drop_rounding(batch.outcome - mean[batch.group], batch.outcome)
    squares = segment_sum(centred**2 * inside, batch.group, batch.num_groups) + virtual * (max_reward - mean) ** 2
    deviation = (squares / where(total > ddof, total - ddof, 1.0)) ** 0.5
    out = centred / (deviation + eps)[batch.group]
    if singleton not in ("zero", "raw"):
        raise ValueError(f"singleton is {singleton!r}; allowed: zero, raw")
    return to_turns(batch, where((size > 1)[batch.group], out, batch.outcome if singleton == "raw" else 0.0))


@register_estimator("gdpo")
def gdpo(batch: TurnBatch, *, weights: Mapping[str, float] | None = None, ddof: int = 1, eps: float = 1e-6, whitened: bool = True) -> Array:
    """A_i = sum_c w_c z_c(x_{i,c}), each reward component's sum over the episode normalised in the group by itself; then whitened.

    Components with large numbers or little variance then do not drown the others. ``weights``: 1 each by default; without components
    in the batch they are "turn", the sum of the turn rewards, and "outcome". Source: GDPO, arXiv 2601.05242.
    Raises ``ValueError`` for weights of components that are not there.
    """
    columns = _components(batch)
    unknown = sorted(set(weights or {}) - set(columns))
    if unknown and batch.components is not None and len(batch.outcome):
        raise ValueError(f"gdpo weighs {unknown}, which no episode has; allowed: {', '.join(columns)}")
    out = batch.outcome * 0
    for name, column in columns.items():
        part = standardize(column, batch.group, batch.num_groups, batch.valid, std=True, ddof=ddof, eps=eps)
        out = out + (1.0 if weights is None else weights.get(name, 0.0)) * part
    return whiten(batch, to_turns(batch, out)) if whitened else to_turns(batch, out)


def _components(batch: TurnBatch) -> dict[str, Array]:
    if batch.components is None:
        return {"turn": segment_sum(batch.reward, batch.episode, batch.num_episodes), OUTCOME: batch.outcome}
    return {name: batch.components[:, index] for index, name in enumerate(batch.component_names)}


@register_estimator("s_grpo")
def s_grpo(batch: TurnBatch, *, correct: float = 0.5) -> Array:
    """A_i = r_i - mean(r) over the group; r is 1/2^n for a correct episode with n correct ones shorter than it, 0 for a wrong one.

    Episodes of a group are exits from one chain, ordered by their action tokens (turns, if those are not known); correct: outcome above
    ``correct``. An early right exit earns most. Source: S-GRPO, arXiv 2505.07686 (equations from a third-party note).
    """
    length = segment_sum(turn_weights(batch), batch.episode, batch.num_episodes)
    right = batch.valid & (batch.outcome > correct)
    shorter = segment_rank(length, batch.group, batch.num_groups, right)
    earned = as_float(right, batch.outcome) * 0.5**shorter
    return to_turns(batch, standardize(earned, batch.group, batch.num_groups, batch.valid, std=False, ddof=0, eps=0.0))
