"""Estimators for episodes that fork: turns that several episodes share are one node of a tree, and siblings are compared.

A node is the turn of the episode that took it first; its children are the turns that followed it. The first turns of a group's episodes
are children of the group, whose task they share. Leaves are last turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .baselines import whiten
from .batch import TurnBatch
from .outcome import Singleton, rewards_with_outcome, to_turns
from .registry import needed, register_estimator
from .segments import Array, as_float, exp, numbers, segment_max, segment_sum, standardize, where, zeros

_TREE = "roll out with forks (environments that can snapshot and restore), or give parents= and forks= to TurnBatch.from_lists"


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """``node`` [T] flat index of the turn that stands for this one; ``parent`` [T] node before it, T + group for first turns;
    ``own`` [T] whether the turn is its own node."""

    node: Array
    parent: Array
    own: Array
    size: int
    """How many nodes and groups there may be: T + G."""


def tree_of(batch: TurnBatch, estimator: str) -> Tree:
    """The nodes of a batch. Raises ``ValueError`` if it says nothing of forks."""
    parents = needed(batch.parents, estimator, "the episodes that others were forked from", _TREE)
    forks = needed(batch.forks, estimator, "the turns that forked episodes share", _TREE)
    owner = batch.episode
    # A turn before the fork is the parent's, which may have it from its own parent.
    while True:
        shared = (parents[owner] >= 0) & (batch.position < forks[owner])
        if not bool(shared.any()):
            break
        owner = where(shared, parents[owner], owner)
    node = batch.offsets[:-1][owner] + batch.position
    first = batch.position == 0
    before = zeros(batch.num_turns, node)
    before[1:] = node[:-1]
    parent = where(first, batch.num_turns + batch.group[batch.episode], before)
    return Tree(node, parent, owner == batch.episode, batch.num_turns + batch.num_groups)


def roots(batch: TurnBatch, estimator: str) -> Array:
    """[E] the episode at the root of each episode's tree: itself, if it was forked from none."""
    parents = needed(batch.parents, estimator, "the episodes that others were forked from", _TREE)
    root = where(parents >= 0, parents, numbers(parents))
    while bool((parents[root] >= 0).any()):
        root = where(parents[root] >= 0, parents[root], root)
    return root


def mean_of_nodes(batch: TurnBatch, advantages: Array) -> Array:
    """[T] ``advantages`` [T] with those of turns that several episodes share replaced by their mean over the valid ones of these.

    A shared turn is trained once, for all the episodes that go through it. Estimators of nodes give them the same anyway.
    """
    tree = tree_of(batch, "the mean of nodes")
    inside = as_float(batch.valid[batch.episode], advantages)
    count = segment_sum(inside, tree.node, tree.size)
    mean = segment_sum(advantages * inside, tree.node, tree.size) / where(count > 0, count, 1.0)
    return where(batch.valid[batch.episode], mean[tree.node], 0.0)


def node_values(batch: TurnBatch, tree: Tree, leaf: Array, share: Array) -> tuple[Array, Array]:
    """[T + G] value of every node: of a leaf what ``leaf`` [E] says, of others the mean of their children weighed by ``share`` [T]; and
    whether it has one.

    Voided episodes are no leaves; a node without any other has no value.
    """
    value, weight = zeros(tree.size, leaf), zeros(tree.size, leaf)
    nonempty = (batch.offsets[1:] > batch.offsets[:-1]) & batch.valid
    ends = tree.node[batch.offsets[1:][nonempty] - 1]
    value[ends], weight[ends] = leaf[nonempty], 1.0
    longest = int(batch.position.max()) if batch.num_turns else -1
    for position in range(longest, -1, -1):
        here = tree.own & (batch.position == position)
        nodes, parent = tree.node[here], tree.parent[here]
        counted = as_float(weight[nodes] > 0, leaf) * share[here]
        total = segment_sum(counted, parent, tree.size)
        summed = segment_sum(counted * value[nodes], parent, tree.size)
        value = where(total > 0, summed / where(total > 0, total, 1.0), value)
        weight = where(total > 0, total, weight)
    return where(weight > 0, value, 0.0), weight > 0


@register_estimator("tree_rpo")
def tree_rpo(batch: TurnBatch, *, ddof: int = 1, eps: float = 1e-6, least_variance: float = 0.0) -> Array:
    """A of a turn = (V - mean(V)) / (std(V) + eps) among its siblings; V: an episode's reward at its last turn, else the children's mean.

    The reward is the sum of turn rewards plus the outcome. Siblings whose variance is not above ``least_variance`` get 0 (the paper
    prunes at 0.1). A turn without siblings gets 0. Precondition: parents and forks. Source: TreeRPO, arXiv 2506.05183.
    """
    tree = tree_of(batch, "tree_rpo")
    reward = segment_sum(rewards_with_outcome(batch), batch.episode, batch.num_episodes)
    values, valued = node_values(batch, tree, reward, batch.reward * 0 + 1)
    value, member = values[tree.node], tree.own & valued[tree.node]
    options: dict[str, Any] = {"ddof": ddof, "eps": eps}
    out = standardize(value, tree.parent, tree.size, member, std=True, **options)
    centred = standardize(value, tree.parent, tree.size, member, std=False, **options)
    inside = as_float(member, value)
    size = segment_sum(inside, tree.parent, tree.size)
    variance = segment_sum(centred**2 * inside, tree.parent, tree.size) / where(size > ddof, size - ddof, 1.0)
    out = where((variance > least_variance)[tree.parent], out, 0.0)
    return where(batch.valid[batch.episode], out[tree.node], 0.0)


@register_estimator("tree_grpo")
def tree_grpo(batch: TurnBatch, *, ddof: int = 1, eps: float = 1e-6, singleton: Singleton = "zero") -> Array:
    """A_i = z(o_i) over the group + z(o_i) over the episodes of its tree, for every turn.

    ``singleton``: a group of one gets 0, or its raw outcome as in its code; a tree of one likewise. Precondition: parents. Source:
    Tree-GRPO, arXiv 2509.21240.
    """
    options: dict[str, Any] = {"std": True, "ddof": ddof, "eps": eps, "singleton": singleton}
    whole = standardize(batch.outcome, batch.group, batch.num_groups, batch.valid, **options)
    own = standardize(batch.outcome, roots(batch, "tree_grpo"), batch.num_episodes, batch.valid, **options)
    return to_turns(batch, whole + own)


@register_estimator("at2po")
def at2po(batch: TurnBatch, *, mode: str = "softmax", ddof: int = 0, eps: float = 1e-6, whitened: bool = False) -> Array:
    """A of a turn = V of its node: z(reward) over the group's episodes at last turns, else its children's values weighed by entropy.

    ``mode``: children weigh softmax(H) ("softmax", the code), H / sum H ("proportional", the paper's text) or the same ("mean"); H: mean
    token entropy of the turn. Precondition: parents, forks, and entropies unless "mean". Source: AT2PO, arXiv 2601.04767.
    """
    if mode not in ("softmax", "proportional", "mean"):
        raise ValueError(f"at2po has no mode {mode!r}; allowed: softmax, proportional, mean")
    tree = tree_of(batch, "at2po")
    share = batch.reward * 0 + 1
    if mode != "mean":
        entropy = needed(batch.entropies, "at2po", "the entropy of every turn", "train with a policy that records it, or give entropies=")
        share = entropy
        if mode == "softmax":
            highest = segment_max(entropy, tree.parent, tree.size, -1e300)
            share = exp(entropy - highest[tree.parent])
    reward = segment_sum(rewards_with_outcome(batch), batch.episode, batch.num_episodes)
    leaf = standardize(reward, batch.group, batch.num_groups, batch.valid, std=True, ddof=ddof, eps=eps)
    value, _ = node_values(batch, tree, leaf, share)
    out = where(batch.valid[batch.episode], value[tree.node], 0.0)
    return whiten(batch, out) if whitened else out
