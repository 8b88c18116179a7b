"""How much of a step's gradient is signal: its squared length against its variance, from parts that share no task.

    samples by group -> K parts -> K gradients -> signal |E g|^2, noise E|g - E g|^2 / K

McCandlish et al., "An Empirical Model of Large-Batch Training", arXiv 1812.06162, appendix A, with K batches in place of two.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .assemble import Sample, scale
from .learner import Learner

PARTS = 4


def signal_and_noise(gradients: Sequence[Sequence[torch.Tensor]]) -> tuple[float, float]:
    """Unbiased estimates of |E g|^2 and of the variance of the mean of K gradients, E|mean - E g|^2, from those K.

    The first may come out negative where there is little of it. Raises ``ValueError`` for fewer than two gradients.
    """
    count = len(gradients)
    if count < 2:
        raise ValueError(f"{count} gradients; at least two are needed to tell signal from noise")
    squares = sum(float(g.double().square().sum()) for gradient in gradients for g in gradient)
    total = sum(float(sum(g.double() for g in same).square().sum()) for same in zip(*gradients, strict=True))  # pyright: ignore[reportAttributeAccessIssue]
    signal = (total - squares) / (count * (count - 1))
    return signal, (squares / count - signal) / count


def gradient_signal(learner: Learner, samples: Sequence[Sample], group: Sequence[int], parts: int = PARTS) -> dict[str, float]:
    """``gradient_signal`` and ``gradient_noise`` of the policy loss at the weights as they are; nothing is updated.

    ``group`` [episodes of the batch]: number of each episode's task. Parts hold whole groups in order, each the mean of its own.
    Empty when there are fewer groups than two.
    """
    numbers = sorted({group[s.rollout] for s in samples})
    count = min(parts, len(numbers))
    if count < 2:
        return {}
    place = {number: index * count // len(numbers) for index, number in enumerate(numbers)}
    gradients = list[Sequence[torch.Tensor]]()
    for part in range(count):
        own = [s for s in samples if place[group[s.rollout]] == part]
        gradients.append(learner.gradient(scale(own, 1.0 / sum(float(s.weight.sum()) for s in own))))
    signal, noise = signal_and_noise(gradients)
    return {"gradient_signal": signal, "gradient_noise": noise}
