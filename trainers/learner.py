"""The learner: samples in, one or more optimizer steps, numbers out.

    [Sample] -> mini-batches -> packs -> forward -> token_logprobs -> loss -> backward -> clip -> AdamW

Nothing here knows environments or credit; a sample carries its advantages and weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from ..agents.images import ImageReader
from ..agents.models import base_model
from .assemble import Sample, assemble, scale
from .correction import correct
from .forward import hidden_states
from .gvpo import gvpo_samples
from .head import token_logprobs
from .loss import LossOptions, LossTerms, policy_loss
from .optimizer import Kind, Optimizer
from .pack import Pack, pack, use_packed_attention
from .preference import Pair, PreferenceOptions, side_weights

Schedule = Literal["constant", "linear", "cosine"]
Beside: TypeAlias = Callable[[set[int]], dict[str, float]]
"""Called in an optimizer step with its episodes (``Sample.rollout``) when the policy's gradient is there: adds to it, returns numbers."""


def learning_rate(step: int, *, base: float, schedule: Schedule, warmup: int, total: int) -> float:
    """Rate of optimizer step ``step`` (from 0): linear warm-up, then constant or a decay to 0 at ``total``."""
    if step < warmup:
        return base * (step + 1) / warmup
    if schedule == "constant":
        return base
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return base * (1.0 - progress if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress)))


def split_samples(samples: Sequence[Sample], count: int, rng: np.random.Generator, *, by_group: bool = False) -> Iterator[list[Sample]]:
    """``count`` mini-batches of whole episodes (or groups), or one for each if there are fewer. One takes nothing of ``rng``."""
    units = [s.group if by_group else s.rollout for s in samples]
    count = min(count, len(set(units)))
    if count == 1:
        yield list(samples)
        return
    for part in np.array_split(rng.permutation(sorted(set(units))), count):
        chosen = {int(u) for u in part}
        yield [s for s, unit in zip(samples, units, strict=True) if unit in chosen]


class Learner:
    """Trains ``model`` (a transformers causal LM, or a peft model of one) in place.

    ``reference``: a model for the KL term, or "base" for the peft model's own base with the adapter disabled; needed when
    the ``loss`` has a ``kl_coef`` above 0. ``minibatches``: optimizer steps per ``update``. ``token_budget``: packed tokens per
    forward pass. ``temperature``: the sampler's. ``images``: what reads the images of samples that hold some (the sampler's reader).
    ``optimizer``: see ``Optimizer``; "muon" moves the hidden matrices, and leaves embeddings and head to AdamW.
    """

    def __init__(
        self,
        model: Any,
        *,
        lr: float,
        optimizer: Kind = "adamw",
        reference: Any = None,
        schedule: Schedule = "constant",
        warmup: int = 0,
        total_steps: int = 1,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        loss: LossOptions | None = None,
        minibatches: int = 1,
        temperature: float = 1.0,
        token_budget: int = 8192,
        seed: int = 0,
        images: ImageReader | None = None,
    ) -> None:
        self.loss = loss or LossOptions()
        if self.loss.needs_reference and reference is None:
            wants = "gvpo_anchor is 'reference'" if self.loss.objective == "gvpo" else f"kl_coef is {self.loss.kl_coef}"
            raise ValueError(f"{wants} but there is no reference model; pass reference, or change that")
        use_packed_attention(base_model(model))
        self.model, self.reference, self.images = model, reference, images
        if reference is not None and reference != "base":
            use_packed_attention(base_model(reference))
        self.device = next(model.parameters()).device
        self.step = 0
        """Optimizer steps taken."""
        self.minibatches, self.temperature, self.token_budget = minibatches, temperature, token_budget
        self._rate = lambda step: learning_rate(step, base=lr, schedule=schedule, warmup=warmup, total=total_steps)
        base = base_model(model)
        ends = {id(base.get_output_embeddings().weight), *(id(m.weight) for m in base.modules() if isinstance(m, torch.nn.Embedding))}
        trained = [p for p in model.parameters() if p.requires_grad]
        options: dict[str, Any] = {"betas": betas, "weight_decay": weight_decay, "max_grad_norm": max_grad_norm}
        self._optimizer = Optimizer(trained, optimizer, lr=lr, apart=ends, **options)
        self._rng = np.random.default_rng(seed)

    def update(self, samples: Sequence[Sample], *, beside: Beside | None = None) -> dict[str, float]:
        """One pass of the policy loss over ``samples``; returns its metrics (means over mini-batches).

        Samples without any advantage are left out of the computation unless a KL or entropy term or ``beside`` needs them (their
        gradient is 0); they keep their share of the weights and are counted as ``skipped_samples``.
        """
        o = self.loss
        if o.objective == "gvpo":
            return self._update_by_group(samples)
        counts: dict[str, float] = {}
        if o.correction != "none" and samples:
            samples, counts = correct(samples, [x.cpu() for x in self.logprobs(samples)], o.correction, *o.bounds)
        useful = [s for s in samples if o.kl_coef > 0 or o.entropy_coef > 0 or beside is not None or s.advantage.any()]
        counts |= {"skipped_samples": float(len(samples) - len(useful))}
        if not useful:
            return {**counts, "optimizer_steps": 0.0}
        size = _episodes if o.aggregate == "constant" else _total
        share = size(useful)
        rows = [self._step(scale(part, share / size(part)), self._policy_terms, beside) for part in self._split(useful)]
        metrics = _metrics(rows)
        metrics["ratio_max"] = max(row["ratio_max"] for row in rows)
        return {**metrics, **counts}

    def _update_by_group(self, samples: Sequence[Sample]) -> dict[str, float]:
        """GVPO: the weights of a group need the log-probs of all of it, so that mini-batches are of whole groups and forwarded twice."""
        o, rows, skipped, alone = self.loss, list[dict[str, float]](), 0.0, 0.0
        for part in self._split(samples) if samples else ():
            anchor = (
                self.reference_logprobs(part) if o.gvpo_anchor == "reference" else [torch.from_numpy(s.logprobs[s.action]) for s in part]
            )
            weighted, found = gvpo_samples(part, [x.cpu() for x in self.logprobs(part)], [x.cpu() for x in anchor], o.gvpo_beta)
            useful = [s for s in weighted if s.weight.any()]
            skipped, alone = skipped + len(part) - len(useful), alone + found.pop("gvpo_alone")
            if useful:
                rows.append({**self._step(useful, self._imitation_terms), **found})
        counts = {"skipped_samples": skipped, "gvpo_alone": alone}
        return {**_metrics(rows), **counts} if rows else {**counts, "optimizer_steps": 0.0}

    def prefer(self, pairs: Sequence[Pair], options: PreferenceOptions | None = None) -> dict[str, float]:
        """One optimizer step of DPO or IPR on ``pairs``, against the reference.

        Returns its numbers: the loss and its parts, ``preferred``, the share of pairs that the policy orders as they are, more than the
        reference does, and ``margin``, beta times by how much. Raises ``ValueError`` without pairs.
        """
        if not pairs:
            raise ValueError("there are no pairs to learn from; look for some with preference.step_pairs or outcome_pairs")
        o = options or PreferenceOptions()
        samples = assemble([side for pair in pairs for side in (pair.chosen, pair.rejected)])
        side = torch.tensor([s.rollout for s in samples])

        def of_sides(values: Sequence[torch.Tensor]) -> torch.Tensor:
            sums = torch.stack([x.double().sum().cpu() for x in values])
            return sums.new_zeros(2 * len(pairs)).index_add(0, side, sums)

        tokens = of_sides([torch.from_numpy(s.action) for s in samples])
        outcome = torch.tensor([pair.kind == "outcome" for pair in pairs])
        sums, references = of_sides(self.logprobs(samples)), of_sides(self.reference_logprobs(samples))
        weights, found = side_weights(sums, references, tokens, outcome, o)
        row = self._step([replace(s, weight=s.action * np.float32(weights[s.rollout])) for s in samples], self._imitation_terms)
        return {**row, **found, "outcome_pairs": float(outcome.sum()), "step_pairs": float((~outcome).sum())}

    def gradient(self, samples: Sequence[Sample]) -> list[torch.Tensor]:
        """Gradient of the policy loss over ``samples`` by the trained parameters, in their order; nothing is updated."""
        self.model.train()
        for one in pack(samples, self.token_budget, device=self.device):
            self._policy_terms(one)[0].loss.backward()
        parameters = self._optimizer.parameters
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        for parameter in parameters:
            parameter.grad = None
        return found

    def imitate(self, samples: Sequence[Sample]) -> dict[str, float]:
        """One optimizer step of weighted cross-entropy on the action tokens (supervised)."""
        return self._step(samples, self._imitation_terms)

    def logprobs(self, samples: Sequence[Sample]) -> list[torch.Tensor]:
        """Log-probs of the action tokens of each sample, in the order of ``samples``; no gradients."""
        return [logprobs for logprobs, _ in self.scores(samples)]

    def scores(self, samples: Sequence[Sample]) -> list[tuple[torch.Tensor, ...]]:
        """(log-probs, entropies) of the action tokens of each sample, in the order of ``samples``; no gradients."""
        return self._scores(samples, self._forward)

    def reference_logprobs(self, samples: Sequence[Sample]) -> list[torch.Tensor]:
        """``logprobs`` of the reference. Raises ``ValueError`` when there is none."""
        if self.reference is None:
            raise ValueError("there is no reference model; pass reference to the learner")
        return [logprobs for (logprobs,) in self._scores(samples, lambda one: (self._reference_forward(one),))]

    def _scores(self, samples: Sequence[Sample], forward: Callable[[Pack], tuple[torch.Tensor, ...]]) -> list[tuple[torch.Tensor, ...]]:
        """What ``forward`` gives for the action tokens of each sample, in the order of ``samples``; no gradients, no dropout."""
        found = list[tuple[torch.Tensor, ...]]([()] * len(samples))
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            for one in pack(samples, self.token_budget, device=self.device):
                sizes = torch.bincount(one.sample, minlength=len(one.given)).tolist()
                columns = [column.split(sizes) for column in forward(one)]
                for place, own in zip(one.given.tolist(), zip(*columns, strict=True), strict=True):
                    found[place] = own
        self.model.train(training)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model's weights that the next step depends on (float32 copies included)."""
        return {"step": self.step, "rng": self._rng.bit_generator.state, **self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self._rng.bit_generator.state = state["rng"]
        self._optimizer.load_state_dict(state)

    def _split(self, samples: Sequence[Sample]) -> Iterator[list[Sample]]:
        """Mini-batches of whole episodes, or of whole groups where the objective compares them."""
        return split_samples(samples, self.minibatches, self._rng, by_group=self.loss.objective == "gvpo")

    def _step(
        self, samples: Sequence[Sample], terms: Callable[[Pack], tuple[LossTerms, torch.Tensor]], beside: Beside | None = None
    ) -> dict[str, float]:
        self.model.train()
        totals: dict[str, float] = {"loss": 0.0, "entropy": 0.0, "trained_tokens": 0.0, "packed_tokens": 0.0, "sample_tokens": 0.0}
        for one in pack(samples, self.token_budget, device=self.device):
            result, entropy = terms(one)
            result.loss.backward()
            stats = {name: float(value) for name, value in result.stats.items()}
            stats["loss"] = float(result.loss.detach())
            entropy, share = entropy.detach(), one.weight.abs()
            stats["entropy"] = float((share * entropy).sum() / share.sum().clamp_min(1e-12)) * len(one.target)
            stats["trained_tokens"], stats["packed_tokens"] = float(len(one.target)), float(one.ids.shape[1])
            stats["sample_tokens"] = float(one.tokens)
            for name, value in stats.items():
                totals[name] = max(totals.get(name, value), value) if name == "ratio_max" else totals.get(name, 0.0) + value
        totals["entropy"] /= totals["trained_tokens"]
        if beside is not None:
            totals |= beside({s.rollout for s in samples})
        rate = self._rate(self.step)
        norm = self._optimizer.apply(rate, f"at step {self.step}")
        self.step += 1
        return {**totals, "grad_norm": norm, "lr": rate}

    def _forward(self, one: Pack, model: Any = None, *, entropy_gradient: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        base = base_model(self.model if model is None else model)
        before = hidden_states(base, one, self.images).index_select(0, one.before)
        head, temperature = base.get_output_embeddings(), self.temperature
        return token_logprobs(head, before, one.target, temperature=temperature, entropy_gradient=entropy_gradient)

    def _reference_forward(self, one: Pack) -> torch.Tensor:
        """[M] log-probs of the reference, without gradients."""
        with torch.no_grad(), _without_adapter(self.model) if self.reference == "base" else nullcontext():
            return self._forward(one, None if self.reference == "base" else self.reference)[0]

    def _imitation_terms(self, one: Pack) -> tuple[LossTerms, torch.Tensor]:
        logprobs, entropy = self._forward(one)
        return LossTerms(loss=-(one.weight * logprobs).sum(), stats={}), entropy

    def _policy_terms(self, one: Pack) -> tuple[LossTerms, torch.Tensor]:
        reference = self._reference_forward(one) if self.reference is not None and self.loss.kl_coef > 0 else None
        logprobs, entropy = self._forward(one, entropy_gradient=self.loss.entropy_coef > 0)
        terms = policy_loss(
            logprobs,
            one.logprobs,
            one.advantage,
            one.weight,
            self.loss,
            turn=one.turn,
            sample=one.sample,
            reference=reference,
            entropy=entropy,
        )
        return terms, entropy


def _metrics(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over mini-batches, and sums of what is counted."""
    metrics = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for name in ("trained_tokens", "packed_tokens", "sample_tokens"):
        metrics[name] = sum(row[name] for row in rows)
    return {**metrics, "optimizer_steps": float(len(rows))}


def _total(samples: Sequence[Sample]) -> float:
    return sum(float(s.weight.sum()) for s in samples)


def _episodes(samples: Sequence[Sample]) -> float:
    return float(len({s.rollout for s in samples}))


@contextmanager
def _without_adapter(model: Any) -> Iterator[None]:
    if not hasattr(model, "disable_adapter"):
        raise ValueError('reference="base" needs a peft model; this one has no adapter to disable')
    context: AbstractContextManager[Any] = model.disable_adapter()
    with context:
        yield
