"""Log-probs and entropies of chosen tokens, without ever holding the logits of a whole batch.

Letters: M tokens, D hidden dimension, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

CHUNK_LOGITS = 1 << 25
"""Logits held at a time (128 MiB in float32)."""


def token_logprobs(
    head: Any,
    hidden: torch.Tensor,
    target: torch.Tensor,
    *,
    temperature: float = 1.0,
    chunk_logits: int = CHUNK_LOGITS,
    entropy_gradient: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(log-probs [M], entropies [M]) in float32 of ``target`` [M] given the ``hidden`` [M, D] states before them.

    log p(target) under softmax(head(hidden) / temperature), in nats. Logits are made chunk by chunk and recomputed in the
    backward pass. Entropies carry a gradient only with ``entropy_gradient``: it keeps the probabilities of a chunk for the backward pass.
    """
    vocabulary = head.weight.shape[0]
    size = max(1, chunk_logits // vocabulary)
    if len(target) <= size:
        return _chunk(head, hidden, target, temperature, entropy_gradient)
    parts = [
        checkpoint(_chunk, head, h, t, temperature, entropy_gradient, use_reentrant=False)
        for h, t in zip(hidden.split(size), target.split(size), strict=True)
    ]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def _chunk(
    head: Any, hidden: torch.Tensor, target: torch.Tensor, temperature: float, entropy_gradient: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = head(hidden).float()
    if temperature != 1.0:
        logits = logits / temperature
    logprobs = torch.log_softmax(logits, -1)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy = -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(-1, target[:, None])[:, 0], entropy
