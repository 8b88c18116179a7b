"""Estimators with a critic of tokens: values in ``TurnBatch.token_values``, V(everything before the token); one advantage per token.

Where turns begin and end is given by ``token_counts`` and never read off the rewards. A turn's reward is on its last action token,
the outcome inside the last turn's; what a turn without tokens earns is on the last token before it.

Letters: T turns, N action tokens of all episodes together, in order.
"""

from __future__ import annotations

from .batch import TurnBatch
from .outcome import rewards_with_outcome
from .registry import needed, register_estimator
from .segments import Array, boundaries, gae, repeat, segment_sum, standardize, where, zeros

_CRITIC = "set critic: {level: token} in the recipe, or give token_values= to TurnBatch.from_lists"
_COUNTS = "play it with a policy that records its tokens, or give token_counts= to TurnBatch.from_lists"


@register_estimator("token_gae", level="token", critic=True)
def token_gae(batch: TurnBatch, *, gamma: float = 1.0, lam: float = 1.0, whitened: bool = True) -> Array:
    """[N] A_k = d_k + gamma lam A_{k+1}, d_k = r_k + gamma V_{k+1} - V_k over the action tokens of an episode; observations are skipped.

    Whitened over all tokens of valid episodes. Precondition: token_values. Source: PPO, arXiv 1707.06347, as in verl with observations
    masked; the defaults are those of A Practitioner's Guide to Multi-turn Agentic RL, arXiv 2510.01132.
    """
    values, counts = _columns(batch, "token_gae")
    starts = boundaries(counts)
    return _finished(batch, gae(_token_rewards(batch, starts), values, starts[batch.offsets], gamma, lam), whitened)


@register_estimator("bilevel_gae", level="token", critic=True)
def bilevel_gae(batch: TurnBatch, *, gamma: float = 1.0, lam: float = 1.0, turn_gamma: float = 0.95, whitened: bool = True) -> Array:
    """[N] GAE over turns first, on the values of their last tokens, then inside each turn with what the turn came to as its reward.

    Turns are discounted by ``turn_gamma``, tokens by ``gamma``; nothing crosses a turn's end but through the turns. Whitened over all
    tokens of valid episodes. Precondition: token_values. Source: VAGEN's bi-level GAE, as in RAGEN (arXiv 2504.20073), without its
    reading of turn ends off rewards that are not 0, which merges a turn without reward into the next.
    """
    values, counts = _columns(batch, "bilevel_gae")
    starts = boundaries(counts)
    has_tokens = counts > 0
    ends = starts[1:][has_tokens] - 1
    at_end = values[ends]
    turns = boundaries(has_tokens + 0)[batch.offsets]  # first turn with tokens of each episode
    rewards = zeros(len(values), values)
    rewards[ends] = gae(_token_rewards(batch, starts)[ends], at_end, turns, turn_gamma, lam) + at_end
    return _finished(batch, gae(rewards, values, boundaries(counts[has_tokens]), gamma, lam), whitened)


def _columns(batch: TurnBatch, estimator: str) -> tuple[Array, Array]:
    """Values of tokens [N] and how many tokens every turn has [T]."""
    counts = needed(batch.token_counts, estimator, "the number of action tokens of every turn", _COUNTS)
    return needed(batch.token_values, estimator, "values of every action token", _CRITIC), counts


def _token_rewards(batch: TurnBatch, starts: Array) -> Array:
    """[N] rewards of tokens; ``starts`` [T+1] first token of each turn. What comes before an episode's first token no token can earn."""
    last = starts[1:] - 1
    earned = last >= starts[batch.offsets[:-1]][batch.episode]
    index, rewards = last[earned], rewards_with_outcome(batch)[earned]
    return segment_sum(rewards, index, int(starts[-1]))


def _finished(batch: TurnBatch, advantages: Array, whitened: bool) -> Array:
    """(A - mean) / sqrt(var + 1e-8) over the tokens of valid episodes if ``whitened`` (ddof 1, verl's ``masked_whiten``); 0 for others."""
    valid = repeat(batch.valid[batch.episode], batch.token_counts)
    if whitened:
        pool = repeat(batch.episode, batch.token_counts) * 0
        advantages = standardize(advantages, pool, 1, valid, std=True, ddof=1, eps=0.0, inner_eps=1e-8)
    return where(valid, advantages, 0.0)
