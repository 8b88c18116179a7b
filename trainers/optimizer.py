"""Parameters that learn: float32 copies, clipping, AdamW or Muon, and what of it a checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Literal

import torch

Kind = Literal["adamw", "muon"]


class Optimizer:
    """One optimizer step at a time over ``parameters``, whose gradients are there when ``apply`` is called.

    ``kind`` "muon" (Jordan 2024; scaled as in arXiv 2502.16982, so ``lr`` means what it means for AdamW) moves matrices in fewer steps;
    everything else stays with AdamW, and so do those in ``apart``, by id. Weights below float32 are trained through float32 copies, so
    small steps are not lost. Raises ``ValueError`` for another ``kind``.
    """

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        kind: Kind = "adamw",
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        apart: Collection[int] = (),
    ) -> None:
        if kind not in ("adamw", "muon"):
            raise ValueError(f"there is no optimizer {kind!r}; allowed: adamw, muon")
        self.parameters, self.max_grad_norm = list(parameters), max_grad_norm
        self.master = [p if p.dtype == torch.float32 else p.detach().float() for p in self.parameters]
        hidden = [p.ndim == 2 and id(p) not in apart and kind == "muon" for p in self.parameters]
        rest = [m for m, inner in zip(self.master, hidden, strict=True) if not inner]
        inner = [m for m, inner in zip(self.master, hidden, strict=True) if inner]
        self._built: list[torch.optim.Optimizer] = []
        if rest:
            self._built.append(torch.optim.AdamW(rest, lr=lr, betas=betas, weight_decay=weight_decay))
        if inner:
            self._built.append(torch.optim.Muon(inner, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))

    def apply(self, rate: float, where: str) -> float:
        """Clip, step at ``rate``, write float32 copies back; the gradient norm before clipping.

        Raises ``FloatingPointError`` that says ``where`` on a gradient that is not finite, and changes nothing then.
        """
        for master, parameter in zip(self.master, self.parameters, strict=True):
            if master is not parameter:
                master.grad = None if parameter.grad is None else parameter.grad.float()
                parameter.grad = None
        norm = float(torch.nn.utils.clip_grad_norm_(self.master, self.max_grad_norm))
        if not math.isfinite(norm):
            self.zero_grad()
            raise FloatingPointError(f"the gradient norm is {norm} {where}; lower the learning rate, or look at the last rollouts")
        for optimizer in self._built:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.zero_grad()
        with torch.no_grad():
            for master, parameter in zip(self.master, self.parameters, strict=True):
                if master is not parameter:
                    parameter.copy_(master)
        return norm

    def zero_grad(self) -> None:
        for optimizer in self._built:
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Moments and float32 copies; not the parameters themselves."""
        return {"optimizers": [o.state_dict() for o in self._built], "master": self._copies()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, saved in zip(self._built, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        with torch.no_grad():
            for mine, saved in zip(self._copies(), state["master"], strict=True):
                mine.copy_(saved)

    def _copies(self) -> list[torch.Tensor]:
        return [m for m, p in zip(self.master, self.parameters, strict=True) if m is not p]
