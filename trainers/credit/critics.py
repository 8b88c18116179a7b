"""Estimators with a critic: turn values in ``TurnBatch.values``, V(state before the turn's action)."""

from __future__ import annotations

from .baselines import whiten
from .batch import TurnBatch
from .outcome import rewards_with_outcome
from .registry import needed, register_estimator
from .segments import Array, gae, where, zeros

_CRITIC = "set critic: {level: turn} in the recipe, or give values= to TurnBatch.from_lists"
_VINE = "estimate them by rollouts from snapshots (environments that can snapshot and restore), or give values= to TurnBatch.from_lists"


def with_values(batch: TurnBatch, rewards: Array, gamma: float, lam: float, whitened: bool) -> Array:
    """GAE over turns; without values they are 0, which leaves discounted returns. 0 for voided episodes."""
    values = zeros(batch.num_turns, rewards) if batch.values is None else batch.values
    out = where(batch.valid[batch.episode], gae(rewards, values, batch.offsets, gamma, lam), 0.0)
    return whiten(batch, out) if whitened else out


@register_estimator("turn_ppo", critic=True)
def turn_ppo(batch: TurnBatch, *, gamma: float = 0.99, lam: float = 0.9, whitened: bool = True) -> Array:
    """A_t = d_t + gamma lam A_{t+1}, d_t = r_t + gamma V_{t+1} - V_t: generalised advantages with turns as steps.

    The outcome is part of the last turn's reward. Precondition: values. Source: Turn-PPO, arXiv 2512.17008 (gamma and lam from secondary
    sources, which disagree on lam: 0.9 or 0.95).
    """
    needed(batch.values, "turn_ppo", "values of every turn", _CRITIC)
    return with_values(batch, rewards_with_outcome(batch), gamma, lam, whitened)


@register_estimator("vine")
def vine(batch: TurnBatch, *, gamma: float = 1.0, whitened: bool = False) -> Array:
    """A_t = r_t + gamma V_{t+1} - V_t, V the mean return of several rollouts from the state before turn t.

    Unbiased where the values are, with no critic to train. Precondition: such values. Source: VinePPO, arXiv 2410.01679; its steps are
    turns here.
    """
    needed(batch.values, "vine", "Monte-Carlo values of every turn", _VINE)
    return with_values(batch, rewards_with_outcome(batch), gamma, 0.0, whitened)


@register_estimator("ppr", critic=True)
def ppr(batch: TurnBatch, *, beta: float = 1.0, gamma: float = 1.0, lam: float = 1.0, whitened: bool = True) -> Array:
    """GAE of r^_t = r_t + o - beta for every turn but the last, and r_T + o for the last (ReNorm).

    r: a judge's score of the turn in [0, 1]; a turn without one counts 0 and is shifted too. Good turns then pay only in proportion to
    success. Episodes of one turn are left as they are. Without ``values`` the advantages are returns. Source: PPR, arXiv 2509.25598.
    """
    rewards = rewards_with_outcome(batch)
    last = batch.offsets[1:][batch.episode] - 1
    index = batch.offsets[:-1][batch.episode] + batch.position
    shifted = rewards + (batch.outcome - beta)[batch.episode]
    return with_values(batch, where(index < last, shifted, rewards), gamma, lam, whitened)


@register_estimator("spa", critic=True)
def spa(batch: TurnBatch, *, gamma: float = 1.0, lam: float = 1.0, whitened: bool = True) -> Array:
    """GAE of the turn rewards alone, which are alpha c_t + beta g_t: the turn's share of the outcome, and whether its action was done.

    The shares c_t of a progress estimator sum to the outcome, so the outcome itself is not added again. Without ``values`` the
    advantages are returns. Source: SPA-RL, arXiv 2505.20732.
    """
    return with_values(batch, batch.reward, gamma, lam, whitened)
