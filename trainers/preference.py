"""Preferences between what was done in the same place: DPO on turns, on steps with all that follows, and on whole episodes.

    trajectories of a group, values of turns -> [Pair] -> Learner.prefer -> one optimizer step

A side of a pair is a trajectory of which only the compared turns are trained; its score is the sum of the log-probs of their action
tokens, however many samples they are cut into. Sources: DPO, arXiv 2305.18290; IPR ("Watch Every Step"), arXiv 2406.11176.

Letters: P pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, cast, get_args

import torch

from ..records import TokenTrace, Trajectory

Kind = Literal["outcome", "step"]
Same = Literal["prefix", "anchor"]
Extent = Literal["turn", "suffix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``chosen`` and ``rejected`` hold the compared turns (trained) and their context (not trained)."""

    chosen: Trajectory
    rejected: Trajectory
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceOptions:
    """``beta``: DPO's temperature (IPR: 0.1). ``sft``: weight of the likelihood of the chosen episodes (IPR: 1; 0 is DPO alone).

    Raises ``ValueError`` for a ``beta`` that is not positive, or a negative ``sft``.
    """

    beta: float = 0.1
    sft: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta > 0 or self.sft < 0:
            raise ValueError(f"beta is {self.beta} and sft {self.sft}; allowed: beta above 0, sft 0 and above")


def dpo_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, ref_chosen: torch.Tensor, ref_rejected: torch.Tensor, beta: float = 0.1
) -> torch.Tensor:
    """[P] -log sigmoid(beta [(log pi - log pi_ref)(chosen) - (log pi - log pi_ref)(rejected)]), arXiv 2305.18290, equation 7.

    All [P], sums of log-probs of the compared action tokens.
    """
    return -torch.nn.functional.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


def mean_of(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Mean of the ``values`` [P] that are ``chosen`` [P]; 0 where none is."""
    return (values * chosen).sum() / chosen.sum().clamp_min(1)


def ipr_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    ref_chosen: torch.Tensor,
    ref_rejected: torch.Tensor,
    tokens: torch.Tensor,
    outcome: torch.Tensor,
    options: PreferenceOptions,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """IPR: mean DPO loss of outcome pairs + mean DPO loss of step pairs + ``sft`` * mean cross-entropy of the chosen, and its parts.

    ``outcome`` [P]: True for pairs of whole episodes, False for those of steps. ``tokens`` [P]: compared tokens of the chosen.
    The cross-entropy is that of chosen outcome sides, per token; of the chosen steps where there is no outcome pair. How the paper weighs
    the three is not confirmed, nor whether its likelihood is a mean over tokens: ``options.sft`` is the weight.
    """
    loss = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, options.beta)
    imitated = outcome if bool(outcome.any()) else ~outcome
    parts = {
        "outcome_loss": mean_of(loss, outcome),
        "step_loss": mean_of(loss, ~outcome),
        "sft_loss": -(chosen * imitated).sum() / (tokens * imitated).sum().clamp_min(1),
    }
    return parts["outcome_loss"] + parts["step_loss"] + options.sft * parts["sft_loss"], parts


def side_weights(
    sums: torch.Tensor, references: torch.Tensor, tokens: torch.Tensor, outcome: torch.Tensor, options: PreferenceOptions
) -> tuple[torch.Tensor, dict[str, float]]:
    """[2P] weights w so that -sum w log pi has the gradient of ``ipr_loss`` where the policy is now; and the loss with its parts.

    ``sums``, ``references``, ``tokens``: [2P] of the sides, chosen and rejected in turn. The loss depends on the tokens through the sums
    alone, so that a first pass without gradients and a second one in packs of any size give its exact gradient.
    """
    at = sums.detach().clone().requires_grad_()
    loss, parts = ipr_loss(at[0::2], at[1::2], references[0::2], references[1::2], tokens[0::2], outcome, options)
    (gradient,) = torch.autograd.grad(loss, at)
    lead = (sums - references)[0::2] - (sums - references)[1::2]
    found = {**parts, "loss": loss, "preferred": (lead > 0).double().mean(), "margin": options.beta * lead.mean()}
    return -gradient, {name: float(value.detach()) for name, value in found.items()}


def outcome_pairs(trajectories: Sequence[Trajectory], *, margin: float = 0.01) -> list[Pair]:
    """Every two valid episodes of one task whose outcomes differ by more than ``margin`` (IPR's pipeline: 0.01; its script 0.2)."""
    pairs: list[Pair] = []
    for _, group in _groups(trajectories):
        for a, b in combinations(group, 2):
            (one, _), (other, _) = sorted((a, b), key=lambda x: -x[0].outcome.score)
            if one.outcome.score - other.outcome.score > margin:
                pairs.append(Pair(chosen=one, rejected=other, kind="outcome"))
    return pairs


def step_pairs(
    trajectories: Sequence[Trajectory],
    values: Sequence[float],
    *,
    same: Same = "prefix",
    extent: Extent = "suffix",
    margin: float = 0.01,
    outcome_margin: float | None = 0.01,
) -> list[Pair]:
    """Two turns of one state in different episodes of a task, the better of which is worth more than ``margin`` more.

    ``values``: one number per turn, trajectories in order: Monte-Carlo values (IPR's step rewards), returns, or advantages.
    ``same``: what a state is: "prefix", the very tokens up to the action (IPR); "anchor", the environment's key of it.
    ``extent``: what is compared: "suffix", the turn and all that follows (IPR); "turn", it alone.
    ``outcome_margin``: IPR also wants the chosen episode's outcome to be more than this above the other's; None: it may be anything.
    IPR's pipeline has 0.01 for both, its script 0.35 and 0.2. A state gives one pair, of its best and its worst turn, so that states
    that are visited often do not outweigh the rest. Raises ``ValueError`` for unknown names, and unless there is one value per turn.
    """
    for name, given, allowed in (("same", same, Same), ("extent", extent, Extent)):
        if given not in get_args(allowed):
            raise ValueError(f"{name} is {given!r}; allowed: {', '.join(get_args(allowed))}")
    count = sum(len(t.turns) for t in trajectories)
    if len(values) != count:
        raise ValueError(f"{len(values)} values for {count} turns; give one per turn, trajectories in order")
    starts = [sum(len(t.turns) for t in trajectories[:n]) for n in range(len(trajectories))]
    pairs: list[Pair] = []
    for _, group in _groups(trajectories):
        visits: dict[Hashable, list[tuple[float, Trajectory, int]]] = defaultdict(list)
        for trajectory, place in group:
            for index, state in enumerate(_states(trajectory, same)):
                if state is not None and trajectory.turns[index].trained:
                    visits[state].append((values[starts[place] + index], trajectory, index))
        for seen in visits.values():
            (high, best, at), (low, worst, where) = max(seen, key=lambda x: x[0]), min(seen, key=lambda x: x[0])
            lead = best.outcome.score - worst.outcome.score
            if high - low <= margin or best is worst or (outcome_margin is not None and lead <= outcome_margin):
                continue
            if _actions(best, at) != _actions(worst, where):
                pairs.append(Pair(chosen=_only(best, at, extent), rejected=_only(worst, where, extent), kind="step"))
    return pairs


def _groups(trajectories: Sequence[Trajectory]) -> Iterator[tuple[Hashable, list[tuple[Trajectory, int]]]]:
    """The valid episodes of each task and environment seed, with their positions."""
    groups: dict[Hashable, list[tuple[Trajectory, int]]] = defaultdict(list)
    for place, trajectory in enumerate(trajectories):
        if trajectory.outcome.valid:
            groups[trajectory.task.hash, trajectory.env_seed].append((trajectory, place))
    yield from groups.items()


def _states(trajectory: Trajectory, same: Same) -> list[Hashable]:
    """For every turn the state it was taken in; None where it has no key."""
    if same == "anchor":
        return [turn.anchor for turn in trajectory.turns]
    history: tuple[int, ...] = ()
    states: list[Hashable] = []
    for turn in trajectory.turns:
        trace = turn.tokens
        if trace is None:  # a teacher's, which no policy's pass has read; the next one restarts
            states.append(None)
            continue
        history = (() if trace.restart else history) + trace.context_ids
        states.append((history, tuple(span.digest for span in trace.images)))
        history += trace.action_ids
    return states


def _actions(trajectory: Trajectory, index: int) -> tuple[int, ...]:
    return cast("TokenTrace", trajectory.turns[index].tokens).action_ids


def _only(trajectory: Trajectory, first: int, extent: Extent) -> Trajectory:
    """The episode with only the compared turns trained."""
    last = first if extent == "turn" else len(trajectory.turns)
    turns = tuple(replace(turn, trained=turn.trained and first <= n <= last) for n, turn in enumerate(trajectory.turns))
    return replace(trajectory, turns=turns)
