"""Estimators that weigh what a process reward says of a turn against how its episode ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .batch import TurnBatch
from .modifiers import modify
from .outcome import Singleton, rewards_with_outcome, to_turns
from .registry import ENTROPIES, anchored, estimate, needed, register_estimator
from .segments import Array, relabel, returns_to_go, segment_sum, standardize, where, zeros


@register_estimator("mt_grpo")
def mt_grpo(batch: TurnBatch, *, turn_weight: float = 1.0, ddof: int = 1, eps: float = 1e-4) -> Array:
    """The first turn gets z(o_i) + turn_weight z(s_i), later ones z(o_i); s: the episode's sum of turn rewards.

    An episode of one turn (no tool was called) gets z(s + o) of the group. All z over the group. For tasks of a tool call and an answer.
    Source: MT-GRPO, arXiv 2505.11821.
    """
    score = segment_sum(batch.reward, batch.episode, batch.num_episodes)
    options: dict[str, Any] = {"std": True, "ddof": ddof, "eps": eps}
    ended, turned, combined = (
        standardize(x, batch.group, batch.num_groups, batch.valid, **options) for x in (batch.outcome, score, batch.outcome + score)
    )
    single = batch.offsets[1:] - batch.offsets[:-1] == 1
    first = where(batch.position == 0, (turn_weight * turned)[batch.episode], 0.0)
    return where(batch.valid[batch.episode], where(single[batch.episode], combined[batch.episode], ended[batch.episode] + first), 0.0)


@register_estimator("istar")
def istar(
    batch: TurnBatch, *, step_weight: float = 1.0, ddof: int = 1, step_ddof: int = 1, eps: float = 1e-6, singleton: Singleton = "zero"
) -> Array:
    """A_{i,t} = z(o_i) + step_weight z(r_{i,t}): outcomes over the group's episodes, scored turn rewards over all of the group's turns.

    r is the implicit process reward beta sum log(pi_phi / pi_old) of the turn; nothing is accumulated. The paper and its code differ in
    ddof and in leave-one-out forms; these are the paper's z-scores. Source: iStar (OPRL), arXiv 2509.19199.
    """
    member = batch.scored & batch.valid[batch.episode]
    episode_part = standardize(batch.outcome, batch.group, batch.num_groups, batch.valid, std=True, ddof=ddof, eps=eps, singleton=singleton)
    step_part = standardize(batch.reward, batch.group[batch.episode], batch.num_groups, member, std=True, ddof=step_ddof, eps=eps)
    return to_turns(batch, episode_part) + step_weight * where(member, step_part, 0.0)


@register_estimator("rebel")
def rebel(batch: TurnBatch, *, gamma: float = 0.95, step_weight: float = 0.5) -> Array:
    """A = (o_i - mean(o)) + step_weight ([gamma^{T-1-t} o_i - mean_g] + [sum_k gamma^{k-t} r_{i,k} - mean_g]).

    g: the turns of the group that were taken in the same belief, which is the anchor; a belief seen once gives 0. r: belief rewards, one
    per turn. Precondition: anchors. Source: ReBel, arXiv 2605.20061, without its normalisation per task at the end.
    """
    anchored(batch, "rebel")
    valid = batch.valid[batch.episode]
    known = valid & (batch.anchor >= 0)
    anchor = where(known, batch.anchor, 0)
    alone = returns_to_go(rewards_with_outcome(replace(batch, reward=batch.reward * 0)), batch.offsets, gamma)
    own = returns_to_go(batch.reward, batch.offsets, gamma)
    options: dict[str, Any] = {"std": False, "ddof": 0, "eps": 0.0}
    steps = sum(standardize(x, anchor, max(1, batch.num_anchors), known, **options) for x in (alone, own))
    episode_part = standardize(batch.outcome, batch.group, batch.num_groups, batch.valid, **options)
    return to_turns(batch, episode_part) + step_weight * where(known, steps, 0.0)


@register_estimator("gated")
def gated(batch: TurnBatch, *, base: str = "turn_rloo", base_args: dict[str, Any] | None = None, threshold: float = 0.0) -> Array:
    """The estimator ``base`` on turn rewards that count only in episodes whose outcome is above ``threshold``.

    Where the goal is missed, nothing can be earned on the way. Source: G-RA, arXiv 2508.10548 (one level of its priorities; its values
    were not to be confirmed). ``gate`` in a recipe does the same before credit, component by component.
    """
    passed = (batch.outcome > threshold)[batch.episode]
    return estimate(base, replace(batch, reward=where(passed, batch.reward, 0.0)), **(base_args or {}))


@register_estimator("empg")
def empg(
    batch: TurnBatch,
    *,
    base: str = "grpo",
    base_args: dict[str, Any] | None = None,
    k: float = 1.0,
    k_next: float = 1.0,
    zeta: float = 0.1,
) -> Array:
    """The modifier ``empg`` on the advantages of the estimator ``base``. Precondition: entropies. Source: EMPG, arXiv 2509.09265."""
    needed(batch.entropies, "empg", *ENTROPIES)
    return modify("empg", batch, estimate(base, batch, **(base_args or {})), k=k, k_next=k_next, zeta=zeta)


@register_estimator("hgpo")
def hgpo(
    batch: TurnBatch,
    *,
    gamma: float = 0.95,
    history: int = 2,
    alpha: float = 1.0,
    std: bool = True,
    ddof: int = 0,
    eps: float = 1e-6,
    base_group: bool = False,
) -> Array:
    """A_{i,t} = sum_k w_k a_k: a_k compares returns among turns of the group that share their last k states, k = 1..history+1.

    w_k is proportional to (k+1)^alpha over the levels that say something: pools of one and advantages of exactly 0 are left out.
    ``base_group`` adds the episode's z-score as level 0. Precondition: anchors. Source: HGPO (its recipe in verl-agent); gamma, ddof and
    the exclusion of zeros are the code's.
    """
    anchored(batch, "hgpo")
    valid = batch.valid[batch.episode]
    rewards = rewards_with_outcome(batch)
    returns = returns_to_go(rewards, batch.offsets, gamma)
    total, weight = zeros(batch.num_turns, returns), zeros(batch.num_turns, returns)
    options: dict[str, Any] = {"std": std, "ddof": ddof, "eps": eps}

    def add(part: Array, number: int) -> None:
        nonlocal total, weight
        share = where(part != 0, part * 0 + float(number + 1) ** alpha, 0.0)
        total, weight = total + share * part, weight + share

    if base_group:
        score = segment_sum(rewards, batch.episode, batch.num_episodes)
        add(to_turns(batch, standardize(score, batch.group, batch.num_groups, batch.valid, **options)), 0)
    known = valid & (batch.anchor >= 0)
    shared, count = where(known, batch.anchor, 0), max(1, batch.num_anchors)
    for number in range(1, history + 2):
        if number > 1:
            shared, count, known = _longer(batch, shared, known, number)
        part = standardize(returns, where(known, shared, 0), count, known, **options)
        add(where(known, part, 0.0), number)
    return total / (weight + eps)


def _longer(batch: TurnBatch, shared: Array, known: Array, number: int) -> tuple[Array, int, Array]:
    """Labels of the last ``number`` states out of those of the last ``number`` - 1; not known where the episode is too short."""
    before = zeros(batch.num_turns, shared)
    before[1:] = shared[:-1]
    reaches = zeros(batch.num_turns, known)
    reaches[1:] = known[:-1]
    known = known & reaches & (batch.position >= number - 1) & (batch.anchor >= 0)
    pairs = where(known, before * max(1, batch.num_anchors) + batch.anchor, 0)
    labels, count = relabel(pairs)
    return labels, max(1, count), known
