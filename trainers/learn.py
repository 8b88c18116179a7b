"""What a step learns from the episodes it played: by their advantages, with a critic beside, or from pairs of them.

Collected -> (told of a success) -> weights -> [Sample] -> (signal) -> Learner.update, update_both or Learner.prefer -> numbers
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..agents.models import base_model
from ..agents.policy import PolicyAgent
from ..agents.render import Renderer
from ..records import Trajectory
from ..rewards.overlong import cut_off
from .assemble import Sample, assemble
from .collect import Collected
from .config import TrainConfig
from .crediting import Estimated, of_turns
from .critic import Critic, update_both
from .demonstrate import tokenize_demonstration
from .distill import Routing
from .learner import Learner
from .preference import Pair, PreferenceOptions, outcome_pairs, step_pairs
from .progress import Clock
from .runs import derived_seed
from .signal import gradient_signal
from .weights import weighted


@dataclass(frozen=True, slots=True)
class Learned:
    """``got``: the episodes with the advantages that were learned from. ``used``: places of those that moved the policy."""

    got: Collected
    used: set[int]
    row: dict[str, float]
    """Numbers of the step."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """A run's way of learning: by its settings, for its learner and its critic, if there is one."""

    config: TrainConfig
    learner: Learner
    critic: Critic | None

    def __call__(self, got: Collected, credit: Estimated, agent: PolicyAgent, clock: Clock, *, step: int) -> Learned:
        """Learn step ``step`` (from 0) from what ``agent`` played and ``credit`` gave advantages to."""
        c = self.config
        masked = {n for n, t in enumerate(got.trajectories) if c.overlong == "mask" and cut_off(t)}
        counts: dict[str, float] = {"overlong_masked": len(masked)} if c.overlong == "mask" else {}
        if c.preference is not None:
            with clock("train"):
                used, row = self._prefer(got, credit, agent, masked, step)
            return Learned(got, used, {**counts, **row})
        with clock("train"):
            got, routes = self._route(got, agent)
            advantages = weighted(got.trajectories, got.advantages, c.loss_weight) if c.loss_weight else got.advantages
            weighing: dict[str, Any] = {"aggregate": c.aggregate, "aggregate_length": c.aggregate_length, "leave_out": masked}
            samples = assemble(got.trajectories, token_advantages=advantages, **weighing)
        signal: dict[str, float] = {}
        if c.signal_every and step % c.signal_every == 0:
            with clock("signal"):
                signal = self._signal(got, samples)
        with clock("train"):
            if self.critic is None:
                row = self.learner.update(samples)
            else:
                row = update_both(self.learner, self.critic, samples, got.trajectories, credit, step=step, aggregate=c.aggregate)
        return Learned(got, {s.rollout for s in samples if s.advantage.any()}, {**counts, **routes, **signal, **row})

    def _route(self, got: Collected, agent: PolicyAgent) -> tuple[Collected, dict[str, float]]:
        """Failures to the policy that is told of a success (SRPO), where the configuration asks for it."""
        if self.config.srpo_beta is None:
            return got, {}
        room = int(base_model(self.learner.model).config.get_text_config().max_position_embeddings)
        route = Routing(self.learner.scores, agent.renderer, beta=self.config.srpo_beta, max_tokens=room)
        advantages, counts = route(got.trajectories, got.advantages)
        return replace(got, advantages=advantages), counts

    def _signal(self, got: Collected, samples: Sequence[Sample]) -> dict[str, float]:
        tasks = {digest: number for number, digest in enumerate(dict.fromkeys(t.task.hash for t in got.trajectories))}
        return gradient_signal(self.learner, samples, [tasks[t.task.hash] for t in got.trajectories])

    def _prefer(
        self, got: Collected, credit: Estimated, agent: PolicyAgent, masked: set[int], step: int
    ) -> tuple[set[int], dict[str, float]]:
        """One step on the pairs of the episodes, in which a turn is worth its advantage."""
        c, p = self.config, self.config.preference
        assert p is not None
        written = [with_tokens(t, agent.renderer) for t in got.trajectories]
        taught = any(own is not t for own, t in zip(written, got.trajectories, strict=True))
        turns = of_turns(written, credit(written) if taught else got.advantages)
        kept = [n for n in range(len(written)) if n not in masked]
        trajectories, values = [whole(written[n]) for n in kept], [value for n in kept for value in turns[n]]
        pairs = outcome_pairs(trajectories, margin=p.outcome_margin) if "outcome" in p.pairs else []
        if "step" in p.pairs:
            margins = {"margin": p.margin, "outcome_margin": p.step_outcome_margin}
            pairs += step_pairs(trajectories, values, same=p.same, extent=p.extent, **margins)
        chosen = fewer(pairs, p.most, seed=derived_seed(c.seed, 6, step))
        row = {"pairs_found": float(len(pairs)), "pairs_left_out": float(len(pairs) - len(chosen))}
        if not chosen:
            return set(), {**row, "optimizer_steps": 0.0}
        found = self.learner.prefer(chosen, PreferenceOptions(beta=p.beta, sft=p.sft))
        own = {_key(side) for pair in chosen for side in (pair.chosen, pair.rejected)}
        return {n for n in kept if _key(got.trajectories[n]) in own}, {**row, **found, "optimizer_steps": 1.0}


def with_tokens(trajectory: Trajectory, renderer: Renderer) -> Trajectory:
    """A teacher's turns, which hold no tokens, get those that the policy would have written them in."""
    if all(turn.tokens is not None for turn in trajectory.turns):
        return trajectory
    traced = tokenize_demonstration(trajectory, renderer).turns
    turns = (
        turn if turn.tokens is not None else replace(turn, tokens=own.tokens) for turn, own in zip(trajectory.turns, traced, strict=True)
    )
    return replace(trajectory, turns=tuple(turns))


def whole(trajectory: Trajectory) -> Trajectory:
    """An episode by itself, of which all turns may be compared: those it shares with a parent, which are trained there, and a teacher's."""
    turns = tuple(turn if turn.trained else replace(turn, trained=True) for turn in trajectory.turns)
    return replace(trajectory, turns=turns, parent=None, fork=0)


def fewer(pairs: Sequence[Pair], most: int | None, *, seed: int) -> list[Pair]:
    """At most ``most`` pairs of every task and kind, drawn by ``seed``, in their order; None: all."""
    if most is None:
        return list(pairs)
    rng = np.random.default_rng(seed)
    kept: list[int] = []
    for group in dict.fromkeys((pair.kind, pair.chosen.task.hash) for pair in pairs):
        own = [n for n, pair in enumerate(pairs) if (pair.kind, pair.chosen.task.hash) == group]
        kept += rng.permutation(own)[:most].tolist()
    return [pairs[n] for n in sorted(kept)]


def _key(trajectory: Trajectory) -> Hashable:
    return trajectory.task.hash, trajectory.env_seed, trajectory.rollout
