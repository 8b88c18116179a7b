"""Weighting the loss of whole episodes by one of their measures, such as how hard their task is.

    trajectories, advantages of tokens, "difficulty" -> advantages, each times its episode's measure over the mean of the step

GUI-G1 (arXiv 2505.15810) multiplies a sample's policy loss by its difficulty. The clipped loss is homogeneous in the advantage, as the
weight is positive, so that weighting the advantage is weighting the loss. A divergence term (``kl_coef``) stays unweighted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..records import Trajectory
from .crediting import token_counts


def weighted(trajectories: Sequence[Trajectory], advantages: npt.ArrayLike, measure: str) -> npt.NDArray[np.float64]:
    """``advantages`` (one per action token, trajectories in order) times their episode's weight.

    The weight is ``measure`` of the last turn over its mean over the valid episodes. Raises ``ValueError`` where a valid episode has no
    such measure, or one that is not positive, and when the number of advantages is not the number of tokens.
    """
    flat = np.asarray(advantages, np.float64)
    tokens = [int(token_counts([t]).sum()) for t in trajectories]
    if flat.shape != (sum(tokens),):
        raise ValueError(f"{flat.shape} advantages for {sum(tokens)} action tokens; give one per token, trajectories in order")
    raw = np.ones(len(trajectories))
    valid = np.array([t.outcome.valid and bool(t.turns) for t in trajectories], np.bool_)
    for place, trajectory in enumerate(trajectories):
        if not valid[place]:
            continue
        value = trajectory.turns[-1].measures.get(measure)
        if value is None or not value > 0.0:
            known = ", ".join(sorted(trajectory.turns[-1].measures)) or "none"
            raise ValueError(
                f"loss_weight: the last turn of task {trajectory.task.id!r} has {measure!r} = {value}; "
                f"it must be a positive measure of every episode. Measures there: {known}"
            )
        raw[place] = value
    return flat * np.repeat(raw / raw[valid].mean(), tokens) if valid.any() else flat
