"""Modifiers of advantages: of turns, and of their tokens."""

from __future__ import annotations

from typing import Any, Literal

from .batch import TurnBatch
from .modified_rewards import likelihood
from .modifiers import register_modifier
from .registry import ENTROPIES, needed
from .segments import Array, as_float, drop_rounding, exp, numbers, relabel, segment_max, segment_sum, standardize, where, zeros
from .tokens import Tokens


@register_modifier("xrpo", "advantage")
def xrpo(batch: TurnBatch, advantages: Array, *, lam: float = 2.5, kappa: float = 0.5) -> Array:
    """A + min(max(lam (1 - eta_i), 0), kappa A) for the turns of successes with A > 0; eta_i = exp(s_i - mean s) over the group.

    s_i: mean log-prob of the episode's action tokens. A rare success counts up to 1 + kappa times. Only advantages above 0 are
    sharpened: a success's turn may be below its baseline here, which the paper's outcomes never are. Precondition: log-probs. Source:
    XRPO, arXiv 2510.06672; the formula is in part from reviews, not confirmed by the paper's text.
    """
    likely, known = likelihood(batch, "xrpo")
    novelty = exp(standardize(likely, batch.group, batch.num_groups, known, std=False, ddof=0, eps=0.0))
    bonus = where(novelty < 1.0, lam * (1.0 - novelty), 0.0)[batch.episode]
    most = kappa * advantages
    sharpened = (known & batch.success)[batch.episode] & (advantages > 0)
    return where(sharpened, advantages + where(bonus < most, bonus, most), advantages)


@register_modifier("empg", "advantage")
def empg(batch: TurnBatch, advantages: Array, *, k: float = 1.0, k_next: float = 1.0, zeta: float = 0.1) -> Array:
    """A_t g(H_t) + zeta f(H_{t+1}), minus its mean over the batch's turns.

    H: mean token entropy of the turn, scaled to [0, 1] over the batch. g = exp(-k H) / mean exp(-k H): confident turns count more.
    f = exp(-k_next H_{t+1}), 0 after the last turn. Precondition: entropies. Source: EMPG, arXiv 2509.09265 (zeta 0.1 in its listing,
    0.05 in a re-implementation).
    """
    entropy = needed(batch.entropies, "empg", *ENTROPIES, what="modifier")
    valid = batch.valid[batch.episode]
    inside = as_float(valid, batch.reward)
    count = where(inside.sum() > 0, inside.sum(), 1.0)
    if not batch.num_turns:
        return advantages
    ids = batch.episode * 0
    highest = segment_max(where(valid, entropy, -1e300), ids, 1, -1e300)
    lowest = -segment_max(where(valid, -entropy, -1e300), ids, 1, -1e300)
    scaled = where(valid, (entropy - lowest) / (highest - lowest + 1e-8), 0.0)
    clear = exp(-k * scaled)
    certain = clear / ((clear * inside).sum() / count + 1e-6)
    later = zeros(batch.num_turns, batch.reward)
    later[:-1] = exp(-k_next * scaled[1:])
    follows = zeros(batch.num_turns, batch.reward)
    follows[:-1] = as_float(batch.episode[1:] == batch.episode[:-1], batch.reward)
    modified = advantages * certain + zeta * later * follows
    mean = (modified * inside).sum() / count
    return where(valid, drop_rounding(modified - mean, modified), 0.0)


@register_modifier("entropy_weighting", "token")
def entropy_weighting(
    batch: TurnBatch,
    tokens: Tokens,
    advantages: Array,
    *,
    level: Literal["token", "sequence"] = "token",
    mode: Literal["replace", "scale"] = "replace",
    alpha1: float = 1.0,
    alpha2: float = 0.1,
    floor: float = 1e-3,
    ddof: int = 0,
    inner_eps: float = 1e-8,
) -> Array:
    """Where the policy was unsure, a success earns more and a failure loses less: GTPO and GRPO-S, arXiv 2508.04349 (not the GTPO of
    2511.14846, which is the estimator ``gtpo``).

    Token n of a success: alpha1 o_i + alpha2 d h_n; of a failure: -(alpha1 + alpha2 d h_n). h_n: its share of H (of 1/H in a failure)
    among the d successes (failures) of the group that have an n-th token; H: entropy, at least ``floor``. These token rewards are
    normalised among the group's successes and among its failures apart. ``level`` "sequence" (GRPO-S): the same with each
    episode's mean entropy, once for all its tokens.

    ``mode`` "replace" is the paper's: the estimator's advantages are not used, and what separates successes from failures is only which
    tokens they are compared with. "scale" multiplies the advantages by alpha1 + alpha2 d h_n instead, and keeps their sign.
    H of a trajectory's token is its -log pi, one sample of it; the floor is ours, as 1/H of a certain token has no bound. Source: two
    third-party accounts of equations 3 and 5 to 9. Raises ``ValueError`` for another level or mode.
    """
    if level not in ("token", "sequence"):
        raise ValueError(f"level is {level!r}; allowed: token, sequence")
    if mode not in ("replace", "scale"):
        raise ValueError(f"mode is {mode!r}; allowed: replace, scale")
    episode = batch.episode[tokens.turn]
    if level == "token":
        owner, entropy, place, member = episode, tokens.entropies, tokens.place(batch), batch.valid[episode]
    else:
        counts = segment_sum(tokens.entropies * 0.0 + 1.0, episode, batch.num_episodes)
        entropy = segment_sum(tokens.entropies, episode, batch.num_episodes) / where(counts > 0, counts, 1.0)
        owner, place, member = numbers(batch.group), batch.group * 0, batch.valid & (counts > 0)
    won = batch.success[owner]
    pool = 2 * batch.group[owner] + where(won, batch.group[owner] * 0 + 1, batch.group[owner] * 0)
    extra = alpha2 * _share(where(entropy > floor, entropy, floor), won, pool, place, member)
    if mode == "scale":
        factor = alpha1 + extra
        return advantages * (factor if level == "token" else factor[episode])
    reward = where(won, alpha1 * batch.outcome[owner] + extra, -(alpha1 + extra))
    options: dict[str, Any] = {"std": True, "ddof": ddof, "eps": 0.0, "inner_eps": inner_eps}
    normal = where(member, standardize(reward, pool, 2 * batch.num_groups, member, **options), 0.0)
    return normal if level == "token" else normal[episode]


def _share(entropy: Array, won: Array, pool: Array, place: Array, member: Array) -> Array:
    """[n] d h: the part in H (won) or in 1/H (lost) of those at the same place of the same pool, times how many they are."""
    amount = where(won, entropy, 1.0 / entropy)
    inside = as_float(member, amount)
    cell, cells = relabel(pool * (len(place) + 1) + place)
    total, count = segment_sum(amount * inside, cell, cells), segment_sum(inside, cell, cells)
    return (count / where(total > 0, total, 1.0))[cell] * amount
