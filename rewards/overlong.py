"""Episodes that were cut off or ran long: which they are, and DAPO's soft punishment of their length.

Source: DAPO, arXiv 2503.14476 (overlong filtering, soft overlong punishment).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..records import StopReason, Trajectory
from .rubric import RewardValues

LIMITS = frozenset((StopReason.MAX_TURNS, StopReason.MAX_TOKENS, StopReason.CONTEXT_OVERFLOW))
"""Ends that a limit of turns or tokens made. A wall-clock limit says nothing of the policy's length and is none."""


def cut_off(trajectory: Trajectory) -> bool:
    """Whether a valid episode was ended by a limit of its turns or tokens."""
    return trajectory.outcome.valid and trajectory.stop in LIMITS


def overlong_penalty(length: int, maximum: int, cache: int) -> float:
    """0 up to ``maximum - cache`` tokens, from there down in a line to -1 at ``maximum``, -1 beyond."""
    return max(-1.0, min(0.0, (maximum - cache - length) / cache))


class Overlong:
    """``RewardFn``: ``overlong_penalty`` of an episode's action tokens, on its outcome; no turn is scored.

    ``maximum`` and ``cache`` in tokens (DAPO: 20480 and 4096). An episode that is short enough is not scored, nor is one without tokens.
    Raises ``ValueError`` unless 0 < cache <= maximum.
    """

    name = "overlong"

    def __init__(self, maximum: int, cache: int) -> None:
        if not 0 < cache <= maximum:
            raise ValueError(f"overlong_cache is {cache} and overlong_max {maximum}; allowed: 0 < overlong_cache <= overlong_max")
        self.maximum, self.cache = maximum, cache

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[RewardValues]:
        found = [overlong_penalty(t.num_action_tokens, self.maximum, self.cache) for t in trajectories]
        return [RewardValues(turns=[math.nan] * len(t.turns), outcome=x or math.nan) for t, x in zip(trajectories, found, strict=True)]
