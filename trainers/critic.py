"""A critic: values of states, learned beside the policy.

    [Trajectory] -> States -> packs -> trunk -> ValueHead -> values -> (Estimated) -> advantages for the policy
                                                               lambda-returns -> value loss -> head, and trunk

Letters: P values, one for every turn or for every action token; D hidden dimension.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..agents.images import ImageReader
from ..agents.models import base_model
from ..records import Trajectory
from .assemble import Aggregate, Sample
from .config_parts import CriticConfig
from .crediting import Estimated, token_counts
from .forward import hidden_states
from .learner import Beside, Learner, split_samples
from .optimizer import Optimizer
from .pack import Pack, pack, use_packed_attention
from .states import Floats, Places, States, filled, shares, states_of


def value_loss(
    values: torch.Tensor, target: torch.Tensor, old: torch.Tensor, weight: torch.Tensor, clip: float | None = None
) -> torch.Tensor:
    """sum_p w_p 0.5 (V_p - R_p)^2; with ``clip`` c the larger of that and the same of V_old + clamp(V - V_old, -c, c). All are [P].

    Source: PPO's implementation (arXiv 1707.06347 has the plain form), which clips values as it clips ratios.
    """
    error = (values - target) ** 2
    if clip is not None:
        error = torch.maximum(error, (old + (values - old).clamp(-clip, clip) - target) ** 2)
    return 0.5 * (weight * error).sum()


def explained_variance(values: Floats, target: Floats, weight: Floats) -> float:
    """1 - var(R - V) / var(R), weighted: 1 where values are right, 0 where a constant would do as well; 0 if the returns do not vary."""

    def variance(x: Floats) -> float:
        return float(np.average((x - np.average(x, weights=weight)) ** 2, weights=weight))

    total = variance(target)
    return 1.0 - variance(target - values) / total if total > 1e-12 else 0.0


class ValueHead(torch.nn.Module):
    """V of hidden states [P, D]: linear, or with one hidden layer. Its last layer begins at 0, so that every value does."""

    def __init__(self, width: int, hidden: int = 0, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            last = torch.nn.Linear(hidden or width, 1)
            below = [torch.nn.Linear(width, hidden), torch.nn.SiLU()] if hidden else []
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
        self.layers = torch.nn.Sequential(*below, last)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.layers(states.float())[:, 0]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lesson:
    """What a critic learns from a step: ``target`` and ``old`` values [P], ``weight`` [P] of sum 1 (0: no such state)."""

    states: States
    target: torch.Tensor
    old: torch.Tensor
    weight: torch.Tensor


class Critic:
    """Values by a head on ``policy``'s trunk, or on a copy of it as it is now; see ``CriticConfig``.

    ``minibatches``: optimizer steps per pass. ``token_budget``, ``images``: as for ``Learner``. The policy's weights are never moved
    from here; with ``coef`` above 0, ``beside`` adds to their gradient.
    """

    def __init__(
        self,
        policy: Any,
        config: CriticConfig,
        *,
        minibatches: int = 1,
        max_grad_norm: float = 1.0,
        token_budget: int = 8192,
        seed: int = 0,
        images: ImageReader | None = None,
    ) -> None:
        self.config, self.minibatches, self.token_budget, self.images = config, minibatches, token_budget, images
        self._own = config.trunk == "separate"
        self.trunk = copy.deepcopy(policy) if self._own else policy
        base = base_model(self.trunk)
        use_packed_attention(base)
        self.device = next(base.parameters()).device
        self.head = ValueHead(base.config.get_text_config().hidden_size, config.hidden, seed).to(self.device)
        self._trained = {f"head.{name}": p for name, p in self.head.named_parameters()}
        if self._own:
            logits = base.get_output_embeddings().weight
            logits.requires_grad_(logits.requires_grad and logits is base.get_input_embeddings().weight)  # its own are not used
            self._trained |= {f"trunk.{name}": p for name, p in self.trunk.named_parameters() if p.requires_grad}
        self._optimizer = Optimizer(list(self._trained.values()), lr=config.lr, max_grad_norm=max_grad_norm)
        self._rng = np.random.default_rng(seed)
        self.step = 0
        """Optimizer steps taken."""

    # ---- values ----------------------------------------------------------------------------------------------------

    def values(self, trajectories: Sequence[Trajectory], *, merge: bool = True) -> Floats:
        """[P] values of the episodes' states, in order, without gradients; 0 for voided episodes.

        A turn without tokens has the value of the next one. ``merge``: see ``states_of``, which says what raises ``ValueError``.
        """
        states = states_of(trajectories, self.config.level, merge=merge)
        out = np.zeros(states.count)
        for hidden, places in self._read(states, states.samples):
            with torch.no_grad():
                out[places] = self.head(hidden).double().cpu().numpy()
        return filled(trajectories, states, out)

    def _read(self, states: States, samples: Sequence[Sample]) -> Iterator[tuple[torch.Tensor, Places]]:
        """Hidden states before the marked tokens, pack by pack, without gradients, and the places of their values."""
        base = base_model(self.trunk)
        was_training = base.training
        base.eval()
        for one, places in self._packs(states, samples):
            with torch.no_grad():
                hidden = self._hidden(one)
            yield hidden, places
        base.train(was_training)

    def _hidden(self, one: Pack) -> torch.Tensor:
        return hidden_states(base_model(self.trunk), one, self.images).index_select(0, one.before)

    def _packs(self, states: States, samples: Sequence[Sample]) -> Iterator[tuple[Pack, Places]]:
        """Packs of some of the states' ``samples``, and the places of the values of each."""
        numbers = {id(sample): number for number, sample in enumerate(states.samples)}
        for one in pack(samples, self.token_budget, device=self.device):
            yield one, np.concatenate([states.places[numbers[id(samples[place])]] for place in one.given.tolist()])

    # ---- learning --------------------------------------------------------------------------------------------------

    def lesson(self, trajectories: Sequence[Trajectory], values: Floats, targets: Floats, aggregate: Aggregate = "token") -> Lesson:
        """``values`` [P] as they were, and ``targets`` [P], what they should have been."""
        states = states_of(trajectories, self.config.level)
        columns = (targets, values, shares(trajectories, states, aggregate))
        target, old, weight = (torch.as_tensor(x, dtype=torch.float32, device=self.device) for x in columns)
        return Lesson(states=states, target=target, old=old, weight=weight)

    def update(self, lesson: Lesson) -> dict[str, float]:
        """``epochs`` passes over a step's values, by the critic's own optimizer; means of its loss and gradient norm over them.

        The policy's trunk is left as it is.
        """
        states, rows = lesson.states, list[dict[str, float]]()
        kept = None if self._own else self._all_hidden(states)
        for _ in range(self.config.epochs if states.samples else 0):
            for part in split_samples(states.samples, self.minibatches, self._rng):
                chunks = self._trained_chunks(states, part) if kept is None else self._kept_chunks(states, part, kept)
                rows.append(self._learn(lesson, part, chunks))
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}
        return {**means, "critic_steps": float(len(rows))}

    def beside(self, lesson: Lesson) -> Beside:
        """For ``Learner.update``: the same loss in the policy's own pass, its gradient into the trunk weighed by ``coef``."""

        def learn(rollouts: set[int]) -> dict[str, float]:
            part = [s for s in lesson.states.samples if s.rollout in rollouts]
            coef = self.config.coef
            chunks = self._trained_chunks(lesson.states, part)
            # the head learns from the whole loss, whatever part of it the trunk is told
            return self._learn(lesson, part, ((h.detach() + coef * (h - h.detach()), places) for h, places in chunks))

        return learn

    def _trained_chunks(self, states: States, part: Sequence[Sample]) -> Iterator[tuple[torch.Tensor, Places]]:
        self.trunk.train()
        for one, places in self._packs(states, part):
            yield self._hidden(one), places

    def _all_hidden(self, states: States) -> torch.Tensor:
        """[P, D] of a trunk that stays as it is, read once for all passes."""
        width = base_model(self.trunk).config.get_text_config().hidden_size
        kept = torch.zeros(states.count, width, device=self.device)
        for hidden, places in self._read(states, states.samples):
            kept[torch.from_numpy(places).to(self.device)] = hidden.float()
        return kept

    def _kept_chunks(self, states: States, part: Sequence[Sample], kept: torch.Tensor) -> Iterator[tuple[torch.Tensor, Places]]:
        rollouts = {s.rollout for s in part}
        places = np.concatenate([p for s, p in zip(states.samples, states.places, strict=True) if s.rollout in rollouts])
        yield kept[torch.from_numpy(places).to(self.device)], places

    def _learn(self, lesson: Lesson, part: Sequence[Sample], chunks: Iterator[tuple[torch.Tensor, Places]]) -> dict[str, float]:
        """One optimizer step on ``part``, whose weights are made to sum to 1."""
        rollouts = {s.rollout for s in part}
        own = [p for s, p in zip(lesson.states.samples, lesson.states.places, strict=True) if s.rollout in rollouts]
        if not own:
            return {"value_loss": 0.0, "critic_grad_norm": 0.0}
        share = lesson.weight[torch.from_numpy(np.concatenate(own)).to(self.device)].sum()
        total = 0.0
        for hidden, places in chunks:
            at = torch.from_numpy(places).to(self.device)
            weight = lesson.weight[at] / share
            loss = value_loss(self.head(hidden), lesson.target[at], lesson.old[at], weight, self.config.clip)
            loss.backward()
            total += float(loss.detach())
        norm = self._optimizer.apply(self.config.lr, f"at step {self.step} of the critic")
        self.step += 1
        return {"value_loss": total, "critic_grad_norm": norm}

    # ---- what a checkpoint holds -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: all weights that learn here, optimizer, random state."""
        weights = {name: p.detach() for name, p in self._trained.items()}
        return {"weights": weights, "step": self.step, "rng": self._rng.bit_generator.state, **self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ``ValueError`` for the state of another kind of critic."""
        if state["weights"].keys() != self._trained.keys():
            different = sorted(state["weights"].keys() ^ self._trained.keys())
            raise ValueError(
                f"the saved critic is of another kind (weights that only one has: {', '.join(different[:4])}); keep critic as it was"
            )
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(state["weights"][name])
        self.step = state["step"]
        self._rng.bit_generator.state = state["rng"]
        self._optimizer.load_state_dict(state)


class StepValues:
    """A critic's values of a step's episodes, each read once: nothing learns while episodes are collected."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._known: dict[int, tuple[Trajectory, Floats]] = {}  # holding the episode keeps its id its own

    def __call__(self, trajectories: Sequence[Trajectory]) -> Floats:
        fresh = [t for t in trajectories if id(t) not in self._known]
        if fresh:
            level = self._critic.config.level
            sizes = [len(t.turns) if level == "turn" else int(token_counts([t]).sum()) for t in fresh]
            for t, own in zip(fresh, np.split(self._critic.values(fresh), np.cumsum(sizes)[:-1]), strict=True):
                self._known[id(t)] = (t, own)
        return np.concatenate([self._known[id(t)][1] for t in trajectories]) if trajectories else np.zeros(0)


def update_both(
    learner: Learner,
    critic: Critic,
    samples: Sequence[Sample],
    trajectories: Sequence[Trajectory],
    credit: Estimated,
    *,
    step: int,
    aggregate: Aggregate = "token",
) -> dict[str, float]:
    """Train policy and critic on step ``step`` (from 0); the row's numbers of both. The policy waits for ``warmup_steps``.

    ``samples`` are the policy's of ``trajectories``, to which ``credit`` gave advantages by this critic's values.
    """
    values, targets = credit.targets(trajectories)
    lesson = critic.lesson(trajectories, values, targets, aggregate)
    row = _facts(lesson)
    if step < critic.config.warmup_steps:
        return {**row, **critic.update(lesson), "skipped_samples": float(len(samples)), "optimizer_steps": 0.0}
    if critic.config.coef > 0:
        # an episode in which the policy trains nothing has no part in its pass
        own = {s.rollout for s in samples}
        left = sum(len(p) for s, p in zip(lesson.states.samples, lesson.states.places, strict=True) if s.rollout not in own)
        return {**row, **learner.update(samples, beside=critic.beside(lesson)), "values_left_out": float(left)}
    return {**row, **critic.update(lesson), **learner.update(samples)}


def _facts(lesson: Lesson) -> dict[str, float]:
    target, old, weight = (x.double().cpu().numpy() for x in (lesson.target, lesson.old, lesson.weight))
    empty = float((lesson.states.tokens == 0).sum())
    if not weight.any():
        return {"values": 0.0, "turns_without_tokens": empty}
    return {
        "explained_variance": explained_variance(old, target, weight),
        "value_mean": float((weight * old).sum()),
        "target_mean": float((weight * target).sum()),
        "values": float((weight > 0).sum()),
        "turns_without_tokens": empty,
    }
