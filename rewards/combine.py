"""How single numbers become one reward. Pure functions; what the numbers measure is decided elsewhere.

Names: r a reward, w a weight, phi a potential. Sequences run over components, or over the turns of one episode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise


def weighted_sum(components: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """sum_i w_i r_i; a component without a weight counts once. Raises ``ValueError`` for a weight of no component."""
    unknown = sorted(set(weights) - set(components))
    if unknown:
        raise ValueError(f"weights for {unknown}, but the components are {sorted(components)}; correct the names or drop the weights")
    return sum(weights.get(name, 1.0) * value for name, value in components.items())


def product(components: Mapping[str, float]) -> float:
    """prod_i r_i: all must be good."""
    return math.prod(components.values())


def gate(levels: Sequence[tuple[float, float]], *, strict: bool = True) -> float:
    """Gated accumulation (G-RA, arXiv 2508.10548): a level counts only if every level before it exceeds its threshold.

    ``levels``: (reward, threshold) by falling priority; the last threshold is not used. ``strict`` False: reaching a threshold is enough.
    """
    total = 0.0
    for reward, threshold in levels:
        total += reward
        if not passes(reward, threshold, strict=strict):
            break
    return total


def passes(reward: float, threshold: float, *, strict: bool = True) -> bool:
    """Whether a reward opens the gate behind it: reward > threshold, or >= where not ``strict``."""
    return reward > threshold if strict else reward >= threshold


def log_sigmoid(rewards: Sequence[float], references: Sequence[float]) -> float:
    """sum_i ln sigma(r_i - ref_i): the log-probability that every property is good (arXiv 2402.00742)."""
    return sum(_log_sigmoid(r - ref) for r, ref in zip(rewards, references, strict=True))


def centred_sigmoid(reward: float, references: Sequence[float], slope: float = 1.0) -> float:
    """mean_m sigma(k (r - ref_m)), in [0, 1]: rises quickly, then saturates (PAR, arXiv 2502.18770).

    ``references``: rewards of reference answers to the same task. Raises ``ValueError`` when there are none.
    """
    if not references:
        raise ValueError("centred_sigmoid got no reference rewards; give at least one, such as 0.0 for no centring")
    return sum(math.exp(_log_sigmoid(slope * (reward - ref))) for ref in references) / len(references)


def clip(values: Sequence[float], bound: float) -> list[float]:
    """min(r_k - eta, 0) for every turn: being above the bound earns nothing more (arXiv 2410.15115)."""
    return [min(v - bound, 0.0) for v in values]


def delta(values: Sequence[float]) -> list[float]:
    """r_k - r_{k+1}, the last but one kept and the last 0, so that an episode sums to its first value (arXiv 2410.15115).

    Apply ``clip`` first where both are wanted. The last turn answers and is left to the outcome, so one turn alone gives [0].
    """
    if len(values) < 2:
        return [0.0] * len(values)
    return [*(a - b for a, b in pairwise(values[:-1])), values[-2], 0.0]


def potential_difference(potentials: Sequence[float], gamma: float = 1.0, terminated: bool = True) -> list[float]:
    """F_t = gamma phi(s_{t+1}) - phi(s_t) for phi(s_0), ..., phi(s_T); the optimal policy stays the same (Ng et al., 1999).

    ``terminated``: the last state ends the task, so its potential counts 0; a state at which a limit cut the episode off
    keeps its own. Raises ``ValueError`` without the potential of the first state.
    """
    if not potentials:
        raise ValueError("potential_difference got no potentials; give one per state, T + 1 for T turns")
    after = [*potentials[1:-1], 0.0 if terminated else potentials[-1]]
    return [gamma * new - old for old, new in zip(potentials[:-1], after, strict=False)]  # no turn: both are cut to none


def _log_sigmoid(x: float) -> float:
    """ln sigma(x) = -softplus(-x), without overflow."""
    return -math.log1p(math.exp(-abs(x))) - max(0.0, -x)
