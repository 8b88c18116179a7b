"""The policy loss: clipped ratios of tokens, turns or samples, a KL term, and the numbers that tell whether an update was sane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch

from .assemble import Aggregate, check_aggregate

Ratio: TypeAlias = Literal["token", "turn", "turn_sum", "sequence"]
Objective: TypeAlias = Literal["clip", "cispo", "gvpo"]
Anchor: TypeAlias = Literal["reference", "sampler"]
Divergence: TypeAlias = Literal["k1", "k2", "k3"]
Correction: TypeAlias = Literal["none", "token", "sequence", "geometric"]
BOUNDS: dict[Correction, tuple[float, float]] = {"none": (0.0, 0.0), "token": (0.0, 2.0), "sequence": (0.0, 3.0), "geometric": (0.99, 1.01)}
"""(low, high) of each correction where none are given: the defaults of slime and SkyRL, of TRL, and of SkyRL's geometric mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOptions:
    """``ratio``: what pi / pi_sampled is taken of: "token" (PPO), "turn", the geometric mean over a turn's tokens (AT2PO, arXiv
    2601.04767), "turn_sum", their product (Turn-PPO, arXiv 2512.17008), "sequence", the geometric mean over the sample (GSPO, arXiv
    2507.18071), which is the episode, or its part up to a restart of the context. Wider levels want narrower bounds (GSPO: 3e-4, 4e-4).

    ``objective``: "clip", the smaller of A rho and A clip(rho, 1 - clip_low, 1 + clip_high); "cispo", A log pi times the clipped ratio
    without its gradient, so that no token is lost (CISPO, arXiv 2506.13585); "gvpo", the likelihood of episodes weighted by their
    advantage less ``gvpo_beta`` times their log-ratio to ``gvpo_anchor`` (see ``gvpo.gvpo_samples``). ``dual_clip`` c: an advantage
    below 0 costs at most c |A| (arXiv 1912.09729; 3 is usual). ``kl``: Schulman's estimator of the divergence from the reference,
    ``kl_coef`` its weight. ``entropy_coef``: weight of the policy's entropy (nats per token), which is taken from the loss.

    ``correction``, with ``correction_low`` and ``correction_high``: how the sampler's probabilities are told from those of the learner
    before the update; see ``correction.correct``. ``aggregate``, ``aggregate_length``: see ``assemble``, which makes the weights.

    Raises ``ValueError`` for what is not among these, or does not go together.
    """

    ratio: Ratio = "token"
    objective: Objective = "clip"
    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float | None = None
    kl: Divergence = "k3"
    kl_coef: float = 0.0
    entropy_coef: float = 0.0
    correction: Correction = "none"
    correction_low: float | None = None
    correction_high: float | None = None
    aggregate: Aggregate = "token"
    aggregate_length: int | None = None
    gvpo_beta: float = 0.1
    gvpo_anchor: Anchor = "reference"

    def __post_init__(self) -> None:
        kinds = {"ratio": Ratio, "objective": Objective, "kl": Divergence, "correction": Correction, "aggregate": Aggregate}
        kinds["gvpo_anchor"] = Anchor
        for name, allowed in kinds.items():
            given = getattr(self, name)
            if given not in get_args(allowed):
                raise ValueError(f"{name} is {given!r}; allowed: {', '.join(get_args(allowed))}")
        check_aggregate(self.aggregate, self.aggregate_length)
        self._check_bounds()
        if self.entropy_coef < 0:
            raise ValueError(f"entropy_coef is {self.entropy_coef}; allowed: 0 and above")
        if self.dual_clip is not None and self.dual_clip <= 1:
            raise ValueError(f"dual_clip is {self.dual_clip}; allowed: above 1, or none")
        if self.dual_clip is not None and self.objective != "clip":
            raise ValueError(f"dual_clip is for the objective clip, not {self.objective}; leave it out")
        if self.objective == "gvpo":
            self._check_gvpo()

    @property
    def needs_reference(self) -> bool:
        return self.kl_coef > 0 or (self.objective == "gvpo" and self.gvpo_anchor == "reference")

    @property
    def bounds(self) -> tuple[float, float]:
        """(low, high) of the correction, with its defaults."""
        low, high = BOUNDS[self.correction]
        return low if self.correction_low is None else self.correction_low, high if self.correction_high is None else self.correction_high

    def _check_gvpo(self) -> None:
        plain = LossOptions()
        names = ("ratio", "kl_coef", "entropy_coef", "correction", "aggregate")
        given = [f"{name} {getattr(self, name)}" for name in names if getattr(self, name) != getattr(plain, name)]
        if given:
            raise ValueError(
                f"the objective gvpo has no {', '.join(given)}; leave out what is given beside it (gvpo_beta is its divergence)"
            )
        if not self.gvpo_beta > 0:
            raise ValueError(f"gvpo_beta is {self.gvpo_beta}; allowed: above 0")

    def _check_bounds(self) -> None:
        given = {"correction_low": self.correction_low, "correction_high": self.correction_high}
        named = " and ".join(name for name, bound in given.items() if bound is not None)
        if self.correction == "none" and named:
            raise ValueError(f"{named} given, but correction is none; set correction, or leave the bounds out")
        if self.correction == "token" and self.correction_low is not None:
            raise ValueError(f"correction_low is {self.correction_low}, but a correction of tokens has an upper bound alone; leave it out")
        low, high = self.bounds
        if self.correction != "none" and not 0 <= low < high:
            raise ValueError(
                f"correction {self.correction!r} is bounded by {low} and {high}; allowed: 0 <= correction_low < correction_high"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Sums over the tokens of one pack: ``loss`` carries the gradient, ``stats`` are detached, weighted by ``weight``."""

    loss: torch.Tensor
    stats: dict[str, torch.Tensor]


def k1(logprobs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """log policy - log reference: unbiased as a value; as a loss its gradient is that of the samples' likelihood and not of the KL."""
    return logprobs - reference


def k2(logprobs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Half the squared log-ratio: biased as a value, with the gradient of KL(policy || reference) on the policy's own samples."""
    return 0.5 * (logprobs - reference) ** 2


def k3(logprobs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Schulman's estimator of KL(policy || reference) per token, never negative: exp(d) - d - 1, d = log ref - log policy.

    d is clamped to +-20 and the result to 10 so that one token cannot blow up a batch.
    """
    d = (reference - logprobs).clamp(-20.0, 20.0)
    return (d.exp() - d - 1.0).clamp(max=10.0)


DIVERGENCES = {"k1": k1, "k2": k2, "k3": k3}


def log_ratio_of(level: Ratio, log_ratio: torch.Tensor, turn: torch.Tensor | None, sample: torch.Tensor | None) -> torch.Tensor:
    """[M] log-ratio that each token takes part in: its own, or its turn's or sample's mean or sum. Gradients go to all tokens of it.

    ``turn`` and ``sample``: [M] numbers from 0. Raises ``ValueError`` when the one that ``level`` needs is missing.
    """
    if level == "token":
        return log_ratio
    ids = sample if level == "sequence" else turn
    if ids is None:
        raise ValueError(
            f"a ratio by {level} needs to know which tokens belong together; pass {'sample' if level == 'sequence' else 'turn'}"
        )
    count = int(ids.max()) + 1 if len(ids) else 0
    total = log_ratio.new_zeros(count).index_add(0, ids, log_ratio)
    if level != "turn_sum":
        total = total / log_ratio.new_zeros(count).index_add(0, ids, torch.ones_like(log_ratio)).clamp_min(1.0)
    return total[ids]


def policy_loss(
    logprobs: torch.Tensor,
    sampled: torch.Tensor,
    advantage: torch.Tensor,
    weight: torch.Tensor,
    options: LossOptions | None = None,
    *,
    turn: torch.Tensor | None = None,
    sample: torch.Tensor | None = None,
    reference: torch.Tensor | None = None,
    entropy: torch.Tensor | None = None,
) -> LossTerms:
    """sum_t w_t [ -min(rho_t A_t, clip(rho_t, 1 - low, 1 + high) A_t) + kl_coef k3_t - entropy_coef H_t ], rho = pi / pi_sampled.

    PPO (arXiv 1707.06347) per token with clip-higher (DAPO, arXiv 2503.14476); ``options`` has the other forms. All arguments are [M];
    ``sampled`` are the log-probs before the update (the sampler's, or the learner's own after ``correct``), ``weight`` sums to 1 over the
    batch unless the aggregate is "constant". ``entropy``: of the policy at each token, with its gradient; needed for an ``entropy_coef``.
    Precondition: log-probs at the sampling temperature.
    """
    o = options or LossOptions()
    if o.objective == "gvpo":
        raise ValueError("the objective gvpo weighs whole groups and is no sum of this kind; use Learner.update, or gvpo.gvpo_samples")
    log_ratio = log_ratio_of(o.ratio, logprobs - sampled, turn, sample)
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1.0 - o.clip_low, 1.0 + o.clip_high)
    if o.objective == "cispo":
        surrogate = clipped.detach() * advantage * logprobs
    else:
        surrogate = torch.minimum(ratio * advantage, clipped * advantage)
        if o.dual_clip is not None:
            surrogate = torch.where(advantage < 0, torch.maximum(surrogate, o.dual_clip * advantage), surrogate)
    loss = -(weight * surrogate).sum()
    with torch.no_grad():
        bound = (clipped * advantage < ratio * advantage).float()
        stats = {
            "clip_fraction": (weight * bound).sum(),
            "sampler_kl": (weight * (ratio - 1.0 - log_ratio)).sum(),
            "ratio_max": ratio.max() if len(ratio) else ratio.new_zeros(()),
        }
    if reference is not None:
        kl = DIVERGENCES[o.kl](logprobs, reference)
        loss = loss + o.kl_coef * (weight * kl).sum()
        stats["kl"] = (weight * kl.detach()).sum()
    if o.entropy_coef > 0:
        if entropy is None:
            raise ValueError(f"entropy_coef is {o.entropy_coef} but there are no entropies; pass entropy, or set entropy_coef to 0")
        loss = loss - o.entropy_coef * (weight * entropy).sum()
    return LossTerms(loss=loss, stats=stats)
