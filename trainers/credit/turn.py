"""Estimators that read every turn's reward: what a turn gets depends on what came of it, and of others like it."""

from __future__ import annotations

from typing import Any, Literal

from .batch import TurnBatch
from .outcome import Singleton, last_turns, rewards_with_outcome, to_turns
from .registry import anchored, register_estimator
from .segments import Array, as_float, drop_rounding, is_torch, returns_to_go, segment_max, segment_sum, standardize, where, zeros

Unscored = Literal["out", "zero"]


@register_estimator("turn_rloo")
def turn_rloo(batch: TurnBatch, *, gamma: float = 1.0, std: bool = False, ddof: int = 1, eps: float = 1e-6) -> Array:
    """A_{i,t} = R_{i,t} - (1/(G-1)) sum_{j != i} R_{j,t}, R the discounted return-to-go, 0 once an episode has ended.

    The outcome is part of the last turn's reward. The baseline of turn t of episode i holds one term of every other
    episode, however long i lives, so the policy gradient stays unbiased for episodes of different length; the mean over
    the episodes that reached turn t is not. A group of one gets 0. ``std`` divides by the deviation of the same returns,
    ended episodes counted as 0 (biased; off). Source: leave-one-out as in arXiv 2402.14740, per turn.
    """
    returns = returns_to_go(rewards_with_outcome(batch), batch.offsets, gamma)
    cell, cells, group_of = _cells(batch)
    inside = as_float(batch.valid[batch.episode], returns)
    size = segment_sum(as_float(batch.valid, returns), batch.group, batch.num_groups)[group_of]
    total = segment_sum(returns * inside, cell, cells)
    others = where(size > 1, size - 1, 1.0)
    out = drop_rounding(returns - (total[cell] - returns) / others[cell], returns)
    if std:
        mean = total / where(size > 0, size, 1.0)
        present = segment_sum((returns - mean[cell]) ** 2 * inside, cell, cells)
        ended = size - segment_sum(inside, cell, cells)
        variance = (present + ended * mean**2) / where(size > ddof, size - ddof, 1.0)
        out = out / (variance**0.5 + eps)[cell]
    return where(batch.valid[batch.episode] & (size > 1)[cell], out, 0.0)


@register_estimator("turn_mean")
def turn_mean(batch: TurnBatch, *, gamma: float = 1.0) -> Array:
    """A_{i,t} = R_{i,t} - mean of R_{j,t} over the episodes of the group that reached turn t, its own included: BIASED, for comparison.

    The usual "baseline per turn index". It shrinks a turn's advantage by 1 - 1/N_t, where N_t, how many episodes got that far, depends on
    where the policy itself stops: the only episode that reached a turn gets 0 there, won or lost. ``turn_rloo`` has not this bias. R as
    there. Source: reported for verl (volcengine/verl#7244).
    """
    returns = returns_to_go(rewards_with_outcome(batch), batch.offsets, gamma)
    cell, cells, _ = _cells(batch)
    out = standardize(returns, cell, cells, batch.valid[batch.episode], std=False, ddof=0, eps=0.0)
    return where(batch.valid[batch.episode], out, 0.0)


def _cells(batch: TurnBatch) -> tuple[Array, int, Array]:
    """Number of each turn's (group, position) cell [T], how many cells there are, and the group of each cell."""
    longest = segment_max(batch.offsets[1:] - batch.offsets[:-1], batch.group, batch.num_groups)
    ends = longest.cumsum(0)
    first = ends - longest
    cells = int(ends[-1]) if len(ends) else 0
    cell = first[batch.group[batch.episode]] + batch.position
    group_of = zeros(cells, batch.group)
    group_of[cell] = batch.group[batch.episode]
    return cell, cells, group_of


@register_estimator("igpo")
def igpo(
    batch: TurnBatch,
    *,
    gamma: float = 1.0,
    mode: Literal["separate", "joint"] = "separate",
    ddof: int = 0,
    eps: float = 1e-6,
    inner_eps: float = 1e-8,
) -> Array:
    """A_{i,t} = sum_{k >= t} gamma^{k-t} z(r_{i,k}), with the outcome's own z(o_i) added to the last turn.

    z(x) = (x - mean)/(sqrt(var + inner_eps) + eps). ``mode`` "separate": all scored turn rewards of the group are one pool,
    all outcomes another; "joint": one pool of both. A pool of one gives 0. Source: IGPO, arXiv 2510.14967, where r is the
    information gain of the turn. Precondition: turn rewards of one kind and scale, for they share a pool; here r is whatever
    the environment or a ``RewardFn`` gave.
    """
    valid_turn = batch.valid[batch.episode]
    member = batch.scored & valid_turn
    group = batch.group[batch.episode]
    options: dict[str, Any] = {"std": True, "ddof": ddof, "eps": eps, "inner_eps": inner_eps}
    if mode == "separate":
        turn_part = standardize(batch.reward, group, batch.num_groups, member, **options)
        outcome_part = standardize(batch.outcome, batch.group, batch.num_groups, batch.valid, **options)
    elif mode == "joint":
        pool = _concatenate(batch.reward, batch.outcome)
        ids, inside = _concatenate(group, batch.group), _concatenate(member, batch.valid)
        both = standardize(pool, ids, batch.num_groups, inside, **options)
        turn_part, outcome_part = both[: batch.num_turns], both[batch.num_turns :]
    else:
        raise ValueError(f"igpo has no mode {mode!r}; allowed: separate, joint")
    shaped = where(member, turn_part, 0.0)
    added = zeros(batch.num_turns, batch.reward)
    added[last_turns(batch)] = outcome_part[batch.offsets[1:] > batch.offsets[:-1]]
    return where(valid_turn, returns_to_go(shaped + added, batch.offsets, gamma), 0.0)


def _concatenate(a: Array, b: Array) -> Array:
    if is_torch(a):
        import torch

        return torch.cat([a, b])
    import numpy as np

    return np.concatenate([a, b])


def return_members(batch: TurnBatch, unscored: Unscored) -> Array:
    """[T] whose returns enter a pool: scored turns and last turns (they hold the outcome); all turns with "zero"."""
    if unscored not in ("out", "zero"):
        raise ValueError(f"unscored is {unscored!r}; allowed: out, zero")
    valid_turn = batch.valid[batch.episode]
    if unscored == "zero":
        return valid_turn
    last = zeros(batch.num_turns, batch.scored)
    last[last_turns(batch)] = True
    return valid_turn & (batch.scored | last)


@register_estimator("gtpo")
def gtpo(
    batch: TurnBatch,
    *,
    gamma: float = 0.9,
    scope: Literal["group", "turn"] = "group",
    ddof: int = 0,
    floor: float = 1e-8,
    eps: float = 0.0,
    singleton: Singleton = "raw",
    unscored: Unscored = "out",
) -> Array:
    """A_{i,t} = (R_{i,t} - mean) / max(std, floor), over the returns of all turns of the group.

    R: discounted return-to-go of the turn rewards, the outcome inside the last one. ``scope`` "turn" takes the statistics
    per turn index. A pool with fewer than two returns gives the return itself (or 0). An unscored turn is compared with the
    pool but not in it, unless ``unscored`` is "zero"; the last turn holds the outcome and is always in. Source: GTPO, arXiv
    2511.14846. Precondition: none, but returns of longer episodes are discounted more, so equal outcomes are still a signal.
    """
    returns = returns_to_go(rewards_with_outcome(batch), batch.offsets, gamma)
    if scope == "group":
        pool, pools = batch.group[batch.episode], batch.num_groups
    elif scope == "turn":
        pool, pools, _ = _cells(batch)
    else:
        raise ValueError(f"gtpo has no scope {scope!r}; allowed: group, turn")
    member = return_members(batch, unscored)
    out = standardize(returns, pool, pools, member, std=True, ddof=ddof, eps=eps, floor=floor, singleton=singleton)
    return where(batch.valid[batch.episode], out, 0.0)


@register_estimator("gigpo")
def gigpo(
    batch: TurnBatch,
    *,
    gamma: float = 0.95,
    step_weight: float = 1.0,
    std: bool = False,
    ddof: int = 1,
    eps: float = 1e-6,
    cross_steps: bool = False,
    singleton: Singleton = "zero",
    unscored: Unscored = "out",
) -> Array:
    """A = A_episode + step_weight A_step. Precondition: the environment gives anchors, unless ``step_weight`` is 0.

    A_episode: sum of turn rewards plus outcome, minus the group's mean. A_step: discounted return-to-go minus the mean of
    all returns of the group from the same state (anchor); a state seen once gives 0, a state seen twice in one episode
    counts twice. ``unscored`` as in ``gtpo``. ``std`` divides both by their pools' deviation. ``cross_steps`` takes the episode
    statistics over turns, so that long episodes weigh more, as verl-agent's code does. Source: GiGPO, arXiv 2505.10978.
    """
    if step_weight:
        anchored(batch, "gigpo")
    rewards = rewards_with_outcome(batch)
    score = segment_sum(rewards, batch.episode, batch.num_episodes)
    lengths = batch.offsets[1:] - batch.offsets[:-1] if cross_steps else None
    common: dict[str, Any] = {"std": std, "ddof": ddof, "eps": eps}
    episode_part = standardize(score, batch.group, batch.num_groups, batch.valid, weights=lengths, singleton=singleton, **common)
    returns = returns_to_go(rewards, batch.offsets, gamma)
    known = batch.valid[batch.episode] & (batch.anchor >= 0)
    member = known & return_members(batch, unscored)
    anchor = where(known, batch.anchor, 0)
    step_part = standardize(returns, anchor, max(1, batch.num_anchors), member, **common)
    return to_turns(batch, episode_part) + step_weight * where(known, step_part, 0.0)
