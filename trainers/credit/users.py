"""UserRL's estimator: what a turn gets and what an episode is compared by are two independent settings."""

from __future__ import annotations

import math

from ...rewards.users import DIGITS, MAX_EXPONENT, TrajectoryScore, TurnCredit, check_choices
from .batch import TurnBatch
from .outcome import Singleton, rewards_with_outcome, to_turns
from .registry import register_estimator
from .segments import Array, as_float, is_torch, returns_to_go, segment_sum, standardize, where, zeros
from .turn import Unscored, return_members


@register_estimator("user_rl")
def user_rl(
    batch: TurnBatch,
    *,
    turn: TurnCredit = "equalized",
    score: TrajectoryScore = "sum",
    gamma: float = 0.8,
    k: float = 2.0,
    ddof: int = 1,
    eps: float = 1e-6,
    singleton: Singleton = "raw",
    unscored: Unscored = "out",
) -> Array:
    """A_{i,t} = z_i c_{i,t} N_i / sum over tokens of c_i, where z_i = (s_i - mean(s)) / (std(s) + eps) over the group.

    ``score``, s_i: "sum", the mean of the turn rewards rounded to 4 decimals (the name is UserRL's), or "r2g", their discounted return.
    ``turn``, c_{i,t}: "equalized" 1; "r2g" discounted return-to-go; "em" 0.5 + 0.5 (1 - e^{-k r}) / (1 - e^{-k}), rounded; "naive" r.
    N_i: tokens whose credit is not 0, so that their mean advantage is z_i (turns count by ``token_counts``, or as one token each).
    The outcome is part of the last turn's reward. An unscored turn is not in the mean of "sum", unless ``unscored`` is "zero" or it is
    the last; its reward is 0 elsewhere. A group of one gets its raw score as z, or 0. Source: UserRL, arXiv 2509.19736.

    With "r2g" and "naive" a turn without credit gets 0 whatever the episode is worth, an episode without any credit learns nothing even
    from a bad score, and a negative credit turns the sign: a reward may then move a turn's advantage against itself.
    """
    check_choices(turn, score)
    if turn == "em" and k == 0:
        raise ValueError("k is 0; em divides by 1 - e^{-k}")
    rewards = rewards_with_outcome(batch)
    returns = returns_to_go(rewards, batch.offsets, gamma)
    if score == "sum":
        counted = segment_sum(as_float(return_members(batch, unscored), rewards), batch.episode, batch.num_episodes)
        scores = _rounded(segment_sum(rewards, batch.episode, batch.num_episodes) / where(counted > 0, counted, 1.0))
    else:
        scores = zeros(batch.num_episodes, rewards)
        nonempty = batch.offsets[1:] > batch.offsets[:-1]
        scores[nonempty] = returns[batch.offsets[:-1][nonempty]]
    z = standardize(scores, batch.group, batch.num_groups, batch.valid, std=True, ddof=ddof, eps=eps, singleton=singleton)
    credit = {"equalized": rewards * 0 + 1, "r2g": returns, "naive": rewards}[turn] if turn != "em" else _em(rewards, k)
    return to_turns(batch, z) * credit * _scale(batch, credit)[batch.episode]


def _em(rewards: Array, k: float) -> Array:
    exponent = where(-k * rewards < MAX_EXPONENT, -k * rewards, MAX_EXPONENT)
    return _rounded(0.5 + 0.5 * (1 - math.e**exponent) / (1 - math.exp(-k)))


def _rounded(values: Array) -> Array:
    scaled = values * 10.0**DIGITS
    if is_torch(scaled):
        return scaled.round() / 10.0**DIGITS
    import numpy as np

    return np.rint(scaled) / 10.0**DIGITS


def _scale(batch: TurnBatch, credit: Array) -> Array:
    """[E] N / sum over tokens of the credit; 0 where the credits cancel out, up to rounding."""
    tokens = as_float(credit == credit, credit) if batch.token_counts is None else as_float(batch.token_counts, credit)
    weighed = credit * tokens
    total = segment_sum(weighed, batch.episode, batch.num_episodes)
    size = segment_sum(abs(weighed), batch.episode, batch.num_episodes)
    nonzero = segment_sum(where(credit != 0, tokens, 0.0), batch.episode, batch.num_episodes)
    enough = abs(total) > 1e-12 * size
    return where(enough, nonzero / where(enough, total, 1.0), 0.0)
