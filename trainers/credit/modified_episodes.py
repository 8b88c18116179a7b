"""Modifiers of episodes: which states count as one, and which episodes are trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ...records import ImagePart, Observation, Trajectory
from .batch import TurnBatch
from .modifiers import register_modifier
from .segments import Array, as_float, numbers, segment_rank, segment_sum, where

Seen: TypeAlias = tuple[str, tuple[str, ...]]
"""The text of an observation, and which images are in it."""
_BINS = 256
"""Characters are counted modulo this."""


@register_modifier("similar_anchors", "episodes")
def similar_anchors(trajectories: Sequence[Trajectory], *, threshold: float = 0.95) -> list[Trajectory]:
    """The episodes with states told apart by what was observed: turns of a group whose observations are alike share their anchor.

    Alike: ``cluster`` puts their texts together, and they show the same images. The environment's own anchors are not looked at, so it
    need not have any. A group is the episodes of one task and environment seed; voided episodes have no states. Raises ``ValueError`` for
    a threshold outside 0..1. Source: verl-agent's ``enable_similarity`` for GiGPO, arXiv 2505.10978 (0.95 its function's default, 0.9 in
    its search script).
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}; a similarity is in 0..1")
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, trajectory in enumerate(trajectories):
        if trajectory.outcome.valid:
            groups[trajectory.task.hash, trajectory.env_seed].append(number)
    labels: dict[tuple[int, int], str] = {}
    for members in groups.values():
        turns = [(number, turn.index) for number in members for turn in trajectories[number].turns]
        seen = tuple(_seen(trajectories[number].turns[index].observation) for number, index in turns)
        labels |= {turn: f"similar:{label}" for turn, label in zip(turns, _labels(seen, threshold), strict=True)}
    return [
        replace(t, turns=tuple(replace(turn, anchor=labels.get((number, turn.index))) for turn in t.turns))
        for number, t in enumerate(trajectories)
    ]


def cluster(texts: Sequence[str], threshold: float) -> list[int]:
    """[n] cluster of every text, numbered as they open: the first whose first text it resembles, else a new one.

    Resembles: difflib's ratio, 2 M / (characters of both) with M those in matching blocks, is at least ``threshold``; equal texts always
    do. As difflib does by itself, blocks in texts of 200 characters and more are looked for from characters that are not common. One
    pass, so the order of the texts matters.
    """
    return list(_labels(tuple((text, ()) for text in texts), threshold))


@lru_cache(maxsize=256)
def _labels(seen: tuple[Seen, ...], threshold: float) -> tuple[int, ...]:
    """``cluster`` of what was seen. Kept, as a step gives credit to a group when it is played and again with all others."""
    clusters = _Clusters(threshold)
    return tuple(clusters.of(text, images) for text, images in seen)


def _seen(observation: Observation) -> Seen:
    parts = [part for message in observation if not isinstance(message.content, str) for part in message.content]
    return "\n".join(message.text for message in observation), tuple(part.digest for part in parts if isinstance(part, ImagePart))


class _Clusters:
    """The clusters of one group; a text that came before is not compared again."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._known: dict[Seen, int] = {}
        # difflib prepares its second text once and keeps that for all it is compared with
        self._first: list[tuple[SequenceMatcher[str], tuple[str, ...]]] = []
        self._characters = np.zeros((0, _BINS), np.int64)

    def of(self, text: str, images: tuple[str, ...]) -> int:
        found = self._known.get((text, images))
        if found is None:
            own = np.bincount(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) % _BINS, minlength=_BINS)
            fitting = (n for n in self._candidates(own) if self._first[n][1] == images and self._alike(self._first[n][0], text))
            found = next(fitting, len(self._first))
            if found == len(self._first):
                self._first.append((SequenceMatcher(None, "", text), images))
                self._characters = np.vstack([self._characters, own])
            self._known[text, images] = found
        return found

    def _candidates(self, own: npt.NDArray[np.int64]) -> list[int]:
        """Clusters whose first text has enough characters in common, in whatever order: a bound from above on the ratio."""
        common = np.minimum(self._characters, own).sum(1)
        both = self._characters.sum(1) + own.sum()
        return np.flatnonzero(2 * common >= self._threshold * both - 1e-6).tolist()

    def _alike(self, first: SequenceMatcher[str], text: str) -> bool:
        first.set_seq1(text)
        # the quick ratio bounds the slow one from above
        return first.quick_ratio() >= self._threshold and first.ratio() >= self._threshold


@register_modifier("prof", "filter")
def prof(batch: TurnBatch, *, keep: int | None = None) -> Array:
    """[E] the ``keep`` episodes of each group whose turns and outcome agree best, as many successes as failures as far as there are.

    Of the successes those with the lowest mean turn reward go, of the failures those with the highest; of equal ones the later. Where
    one kind is too few, the other fills up; where ``keep`` is odd, the kind there is more of gets one more (successes, if both are as
    many). None: half of the group's valid episodes, rounded up, so that a group is played twice as large as it is trained on. Unscored
    turns are in no mean; an episode without any scored turn has the mean 0. Source: PROF, arXiv 2509.03403 and its README; what happens to
    odd numbers and ties is ours.
    """
    if keep is not None and keep < 1:
        raise ValueError(f"keep is {keep}; at least 1 episode of a group must stay, or None for half of them")
    inside, won = as_float(batch.valid, batch.outcome), batch.valid & batch.success
    size = segment_sum(inside, batch.group, batch.num_groups)
    right = segment_sum(as_float(won, batch.outcome), batch.group, batch.num_groups)
    wrong = size - right
    wanted = (size + size % 2) / 2 if keep is None else where(size < keep, size, float(keep))
    half = (wanted - wanted % 2) / 2
    first = where(right < wrong, half, wanted - half)
    first = where(right < first, right, first)
    first = where(wrong < wanted - first, wanted - wrong, first)  # as many failures as there are, at most
    scored = as_float(batch.scored, batch.reward)
    count = segment_sum(scored, batch.episode, batch.num_episodes)
    mean = segment_sum(batch.reward * scored, batch.episode, batch.num_episodes) / where(count > 0, count, 1.0)
    best = _rank(-mean, batch, won) < first[batch.group]
    worst = _rank(mean, batch, batch.valid & ~batch.success) < (wanted - first)[batch.group]
    return batch.valid & where(batch.success, best, worst)


def _rank(values: Array, batch: TurnBatch, member: Array) -> Array:
    """[E] how many members of the group come before: with a smaller value, or with an equal one and earlier."""
    shared = segment_rank(values, batch.group, batch.num_groups, member)
    return segment_rank(shared * batch.num_episodes + numbers(values), batch.group, batch.num_groups, member)
