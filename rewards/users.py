"""Rewards of agents that talk to users: UserRL's (arXiv 2509.19736), and what a recommendation is worth.

    credits = turn_credits([0.0, 0.5, 0.0, 1.0], "r2g", gamma=0.8)     # [0.912, 1.14, 0.8, 1.0]
    trajectory_score([0.0, 0.5, 0.0, 1.0], "sum")                      # 0.375

The two settings are independent: any credit may be used with any score. What UserRL's code does is meant throughout; what only its
paper has is named so. Estimator over whole batches: ``user_rl``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

TurnCredit: TypeAlias = Literal["equalized", "r2g", "em", "naive"]
TrajectoryScore: TypeAlias = Literal["sum", "r2g"]
TURN_CREDITS: tuple[TurnCredit, ...] = ("equalized", "r2g", "em", "naive")
TRAJECTORY_SCORES: tuple[TrajectoryScore, ...] = ("sum", "r2g")
DIGITS = 4
"""Decimals to which UserRL's code rounds "sum" and "em"."""
MAX_EXPONENT = 50.0
"""Larger -k r of "em" count as this: rewards far below 0 would overflow."""
IMPORTANCE: Mapping[int, float] = {3: 1.0, 2: 0.7, 1: 0.4}
"""What finding a missing detail of that importance is worth."""
CROWDING = 0.2
"""What every further detail asked for in the same message costs."""


def check_choices(turn: str, score: str) -> None:
    """Raise ``ValueError`` unless both settings are known."""
    if turn not in TURN_CREDITS:
        raise ValueError(f"turn is {turn!r}; allowed: {', '.join(TURN_CREDITS)}")
    if score not in TRAJECTORY_SCORES:
        raise ValueError(f"score is {score!r}; allowed: {', '.join(TRAJECTORY_SCORES)}")


def turn_credits(rewards: Sequence[float], turn: TurnCredit = "equalized", *, gamma: float = 0.8, k: float = 2.0) -> list[float]:
    """Credit c_t of every turn of one episode.

    "equalized": 1. "r2g": c_t = r_t + gamma c_{t+1}. "em": 0.5 + 0.5 (1 - e^{-k r_t}) / (1 - e^{-k}), rounded to 4 decimals.
    "naive" (paper only): r_t. Raises ``ValueError`` for another name, or k = 0 with "em".
    """
    check_choices(turn, "sum")
    if turn == "equalized":
        return [1.0] * len(rewards)
    if turn == "naive":
        return list(rewards)
    if turn == "em":
        if k == 0:
            raise ValueError("k is 0; em divides by 1 - e^{-k}")
        return [round(0.5 + 0.5 * (1 - math.exp(min(-k * r, MAX_EXPONENT))) / (1 - math.exp(-k)), DIGITS) for r in rewards]
    credits, later = list[float](), 0.0
    for reward in reversed(rewards):
        later = reward + gamma * later
        credits.append(later)
    return credits[::-1]


def trajectory_score(rewards: Sequence[float], score: TrajectoryScore = "sum", *, gamma: float = 0.8) -> float:
    """Score of one episode. "sum": the *mean* of its turn rewards, rounded to 4 decimals, as the code has it; "r2g": the discounted
    return r_0 + gamma r_1 + ... Without turns: 0."""
    check_choices("naive", score)
    if not rewards:
        return 0.0
    if score == "sum":
        return round(sum(rewards) / len(rewards), DIGITS)
    return turn_credits(rewards, "r2g", gamma=gamma)[0]


def token_advantages(credits: Sequence[float], lengths: Sequence[int], z: float) -> list[float]:
    """Advantage of every token of turn t: z c_t N / sum over tokens of c, N the number of tokens whose credit is not 0.

    The mean over those N tokens is z. Where the credits sum to 0, all is 0, so an episode without any credit learns nothing even
    from a bad score; a negative credit turns the sign. ``lengths``: tokens per turn.
    """
    total = sum(c * n for c, n in zip(credits, lengths, strict=True))
    size = sum(abs(c) * n for c, n in zip(credits, lengths, strict=True))
    share = sum(n for c, n in zip(credits, lengths, strict=True) if c) / total if abs(total) > 1e-12 * size else 0.0
    return [z * c * share for c, n in zip(credits, lengths, strict=True) for _ in range(n)]


def intention(found: Sequence[int], asked: int) -> float:
    """Reward of one question in UserRL's intention gym: the worth of the most important detail found, less 0.2 (asked - 1).

    ``found``: importance (1 to 3) of each missing detail that the answer told for the first time; ``asked``: how many details the
    message asked for at once. Nothing found: only the cost is left. Golden: importances 3, 2, 1 asked at once, 0.6.
    """
    return max((IMPORTANCE[level] for level in found), default=0.0) - CROWDING * max(0, asked - 1)


def instruction_following(obeyed: Sequence[bool], wanted: int) -> float:
    """Share of an instruction to recommend ``wanted`` items that is kept: the number, and each recommended item's own conditions."""
    return (float(len(obeyed) == wanted) + sum(obeyed)) / (1 + len(obeyed))


def factual_consistency(right: int, made: int, needed: int) -> float:
    """Share of claims that are right, of those made or, where fewer were made, of those needed: saying nothing is no way out."""
    return right / max(made, needed) if made or needed else 1.0


def relevance(liking: Sequence[float], best: float, wanted: int) -> float:
    """Mean liking of what was recommended over the highest mean that ``wanted`` items can have (their total is ``best``), at most 1.

    Items that are missing from ``wanted`` count as 0, so one good item is not worth as much as several.
    """
    return min(1.0, sum(liking) / best * wanted / max(wanted, len(liking))) if best > 0 else 1.0
