"""``TurnBatch``: rewards, outcomes and groups of many episodes in flat columns, built once and read by every estimator.

Letters: E episodes, T turns of all episodes together, G groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ...records import Trajectory
from .segments import Array

Numbers: TypeAlias = npt.NDArray[Any]
OUTCOME = "outcome"
"""The component that is the outcome."""
STATE_VALUE = "state_value"
"""The measure of a turn that is the estimated value of the state it was taken in."""
Rows: TypeAlias = "Sequence[Sequence[float | None]]"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TurnBatch:
    """Turns of E episodes, episode after episode. Columns are numpy arrays, or torch tensors after ``to_torch``.

    Two episodes, rewards [0.1, unscored, 0.2] and [0.0]:

        offsets=[0 3 4]  reward=[.1 0 .2 0]  scored=[T F T T]  outcome=[1 0]  group=[0 0]  position=[0 1 2 0]  episode=[0 0 0 1]
    """

    offsets: Array
    """[E+1] first turn of each episode, and T."""
    reward: Array
    """[T] turn rewards; 0 where unscored."""
    scored: Array
    """[T] whether the turn has a reward at all (a missing reward is not 0)."""
    outcome: Array
    """[E]"""
    valid: Array
    """[E] False: the environment failed; the episode is in no statistic and its advantages are 0."""
    success: Array
    """[E] whether the task was solved: the environment's verdict, which no change of the outcome moves."""
    group: Array
    """[E] 0..G-1"""
    anchor: Array
    """[T] number of the state the turn was taken in, unique over groups; -1: none known."""
    episode: Array
    """[T] episode of each turn."""
    position: Array
    """[T] index of the turn in its episode."""
    num_groups: int
    num_anchors: int
    anchored: bool = False
    """Whether states were given at all; if not, all of ``anchor`` is -1."""
    values: Array | None = None
    """[T] values of the states turns are taken in, of a critic or of rollouts, if there are any."""
    token_values: Array | None = None
    """[N] values before each action token, if there is a critic of tokens; N is the sum of ``token_counts``."""
    entropies: Array | None = None
    """[T] mean token entropy of the turn, in nats; of trajectories its estimate, the mean of -log pi over the tokens sampled."""
    token_counts: Array | None = None
    """[T] action tokens of the turn."""
    components: Array | None = None
    """[E, C] what each reward component came to in the episode, by ``component_names``."""
    component_names: tuple[str, ...] = ()
    parents: Array | None = None
    """[E] episode this one was forked from; -1: none."""
    forks: Array | None = None
    """[E] its turns that are its parent's: they are nodes of one tree. 0 without a parent."""
    potentials: Array | None = None
    """[T, 2] score of the state before and after the turn; NaN where it is not known."""
    seeds: Array | None = None
    """[E] the seed the episode was sampled with, which no other episode of its group has."""
    nonfinite: int = 0
    """Rewards and outcomes that were NaN or infinite and were taken as 0."""

    @property
    def num_turns(self) -> int:
        return len(self.reward)

    @property
    def num_episodes(self) -> int:
        return len(self.outcome)

    @classmethod
    def from_lists(
        cls,
        turn_rewards: Rows,
        outcomes: Sequence[float],
        groups: Sequence[Hashable] | None = None,
        anchors: Sequence[Sequence[Hashable]] | None = None,
        *,
        valid: Sequence[bool] | None = None,
        values: Sequence[Sequence[float]] | None = None,
        entropies: Sequence[Sequence[float]] | None = None,
        token_counts: Sequence[Sequence[int]] | None = None,
        token_values: Sequence[Sequence[float]] | None = None,
        parents: Sequence[int] | None = None,
        forks: Sequence[int] | None = None,
        components: Mapping[str, Sequence[float]] | None = None,
        success: Sequence[bool] | None = None,
        potentials: Sequence[Sequence[float | None]] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> TurnBatch:
        """A batch from one list per episode. ``None`` as a reward: unscored. ``groups``: any labels; default: one group.

        ``anchors``: any labels, ``None`` where there is none; equal labels of different groups are different states. ``components``:
        for each name what it came to in every episode. ``parents`` and ``forks``: an episode that was forked has its parent's first
        ``forks`` turns as its own first ones. ``token_values``: for each episode one for every action token of its turns. ``success``: by
        default an outcome of at least 1. ``potentials``: of an episode's T + 1 states, ``None`` where not known.
        Raises ``ValueError`` that names the column and the episode when lengths disagree, a reward is no number, or a parent
        is no episode.
        """
        rows = [_rewards(row, number) for number, row in enumerate(turn_rewards)]
        lengths = np.asarray([len(row) for row in rows], np.int64)
        count = len(lengths)
        own = {"outcomes": outcomes, "groups": groups, "valid": valid, "parents": parents, "forks": forks, "success": success}
        _one_each(count, {**own, "potentials": potentials, "seeds": seeds, **(components or {})})
        _check_tree(parents, forks, lengths)
        flat = [r for row in rows for r in row]
        scored = np.asarray([r is not None for r in flat], np.bool_)
        reward = np.asarray([0.0 if r is None else r for r in flat], np.float64)
        outcome = np.asarray(outcomes, np.float64).reshape(count)
        bad = int((~np.isfinite(reward)).sum() + (~np.isfinite(outcome)).sum())
        group, num_groups = _number([0] * count if groups is None else groups)
        episode = np.repeat(np.arange(count), lengths)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        anchor, num_anchors = _anchors(_flat(anchors, lengths, "anchors"), group[episode])
        _check_token_values(token_values, token_counts, count)
        return cls(
            offsets=offsets,
            reward=np.where(np.isfinite(reward), reward, 0.0),
            scored=scored,
            outcome=np.where(np.isfinite(outcome), outcome, 0.0),
            valid=np.ones(count, np.bool_) if valid is None else np.asarray(valid, np.bool_),
            group=group,
            anchor=anchor,
            episode=episode,
            position=np.arange(len(flat)) - offsets[episode],
            num_groups=num_groups,
            num_anchors=num_anchors,
            anchored=anchors is not None,
            values=_column(_flat(values, lengths, "values"), np.float64),
            entropies=_column(_flat(entropies, lengths, "entropies"), np.float64),
            token_counts=_column(_flat(token_counts, lengths, "token_counts"), np.int64),
            token_values=_column(None if token_values is None else [v for row in token_values for v in row], np.float64),
            parents=_column(parents, np.int64),
            forks=_column(forks, np.int64),
            components=None if components is None else np.asarray(list(components.values()), np.float64).reshape(len(components), count).T,
            component_names=tuple(components or ()),
            success=outcome >= 1.0 if success is None else np.asarray(success, np.bool_),
            potentials=None if potentials is None else _potentials(potentials, lengths),
            seeds=_column(seeds, np.int64),
            nonfinite=bad,
        )

    @classmethod
    def from_trajectories(
        cls, trajectories: Sequence[Trajectory], groups: Sequence[Hashable] | None = None, *, trees: bool = False
    ) -> TurnBatch:
        """A batch of trajectories, in order; episodes of one task and environment seed are a group unless ``groups`` is given.

        ``trees``: say of every episode that it was forked from none even if none was, as estimators of trees want to know.
        ``values`` are the turns' measures of that name, if all have one. Raises ``ValueError`` for a parent that is not in the batch.
        """
        sampled = [[len(turn.tokens.action_ids) if turn.tokens else 0 for turn in t.turns] for t in trajectories]
        anchors = [[turn.anchor for turn in t.turns] for t in trajectories]
        states = [[t.start_potential, *(turn.potential for turn in t.turns)] for t in trajectories]
        counted = all(turn.tokens is not None or not turn.trained for t in trajectories for turn in t.turns)
        labels = [(t.task.hash, t.env_seed) for t in trajectories] if groups is None else groups
        forked = trees or any(t.parent is not None for t in trajectories)
        valued = any(t.turns for t in trajectories) and all(STATE_VALUE in turn.measures for t in trajectories for turn in t.turns)
        return cls.from_lists(
            turn_rewards=[[turn.reward for turn in t.turns] for t in trajectories],
            outcomes=[t.outcome.score for t in trajectories],
            groups=labels,
            anchors=anchors if any(label is not None for row in anchors for label in row) else None,
            valid=[t.outcome.valid for t in trajectories],
            values=[[turn.measures[STATE_VALUE] for turn in t.turns] for t in trajectories] if valued else None,
            token_counts=sampled if counted else None,
            entropies=[[turn.tokens.surprise if turn.tokens else 0.0 for turn in t.turns] for t in trajectories] if counted else None,
            parents=_parents(trajectories, labels) if forked else None,
            forks=[t.fork for t in trajectories] if forked else None,
            components=_components(trajectories),
            success=[t.outcome.success for t in trajectories],
            potentials=states if any(phi is not None for row in states for phi in row) else None,
            seeds=[t.policy_seed for t in trajectories],
        )

    def to_torch(self, device: Any = "cpu") -> TurnBatch:
        """The same batch with torch columns; estimators then return a tensor on that device."""
        import torch

        names = ("offsets", "reward", "scored", "outcome", "valid", "group", "anchor", "episode", "position", "success")
        names += ("values", "entropies", "token_counts", "token_values", "parents", "forks", "components", "potentials", "seeds")
        columns = {name: getattr(self, name) for name in names}
        return replace(self, **{n: c if c is None else torch.as_tensor(c, device=device) for n, c in columns.items()})


def _one_each(count: int, columns: Mapping[str, Sequence[Any] | None]) -> None:
    """Raise ``ValueError`` for a column that does not have one entry per episode."""
    for name, given in columns.items():
        if given is not None and len(given) != count:
            raise ValueError(f"{name} has {len(given)} entries for {count} episodes; give one per episode")


def _column(values: Sequence[Any] | None, kind: Any) -> Numbers | None:
    return None if values is None else np.asarray(values, kind)


def _potentials(rows: Sequence[Sequence[float | None]], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """[T, 2] of T + 1 states per episode. Raises ``ValueError`` for another number of them."""
    pairs: list[tuple[float, float]] = []
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        if len(row) != length + 1:
            raise ValueError(f"episode {number}: potentials has {len(row)} states for {length} turns; give one more than turns")
        known = [np.nan if phi is None else float(phi) for phi in row]
        pairs += pairwise(known)
    return np.asarray(pairs, np.float64).reshape(len(pairs), 2)


def _check_tree(parents: Sequence[int] | None, forks: Sequence[int] | None, lengths: npt.NDArray[np.int64]) -> None:
    """Raise ``ValueError`` unless every parent is another episode, no episode comes from itself, and forks lie inside both."""
    count = len(lengths)
    if forks is not None and parents is None:
        raise ValueError("forks are given without parents; give parents too")
    for number, parent in enumerate(() if parents is None else parents):
        if parent == number or not -1 <= parent < count:
            raise ValueError(f"episode {number}: parent is {parent}; give another of the {count} episodes, or -1 for none")
        fork = 0 if forks is None else forks[number]
        most = min(int(lengths[number]), int(lengths[parent])) if parent >= 0 else 0
        if not 0 <= fork <= most:
            raise ValueError(f"episode {number}: fork is {fork}; allowed: 0 to {most}, the turns it can share with its parent")
    for number in range(0 if parents is None else count):
        at, steps = number, 0
        while parents is not None and at >= 0:
            at, steps = parents[at], steps + 1
            if steps > count:
                raise ValueError(f"episode {number} comes from itself by its parents; give a tree")


def _check_token_values(values: Sequence[Sequence[float]] | None, counts: Sequence[Sequence[int]] | None, episodes: int) -> None:
    """Raise ``ValueError`` unless every action token has a value."""
    if values is None:
        return
    if counts is None:
        raise ValueError("token_values are given without token_counts; give token_counts too, which say where turns end")
    if len(values) != episodes:
        raise ValueError(f"token_values has {len(values)} entries for {episodes} episodes; give one per episode")
    for number, (own, row) in enumerate(zip(values, counts, strict=True)):
        if len(own) != sum(row):
            raise ValueError(f"episode {number}: token_values has {len(own)} entries for {sum(row)} action tokens; give one per token")


def _parents(trajectories: Sequence[Trajectory], groups: Sequence[Hashable]) -> list[int]:
    """The place of every episode's parent, which its rollout index names within the group; -1 without one."""
    places = {(group, t.rollout): place for place, (group, t) in enumerate(zip(groups, trajectories, strict=True))}
    out: list[int] = []
    for group, t in zip(groups, trajectories, strict=True):
        place = -1 if t.parent is None else places.get((group, t.parent))
        if place is None:
            raise ValueError(f"task {t.task.id!r}: the parent of rollout {t.rollout}, {t.parent}, is not in the batch; give whole groups")
        out.append(place)
    return out


def _components(trajectories: Sequence[Trajectory]) -> dict[str, list[float]]:
    """For every component of a turn reward its sum over each episode, and the outcome's score."""
    names = dict.fromkeys(name for t in trajectories for turn in t.turns for name in turn.components)
    sums = {name: [sum(turn.components.get(name, 0.0) for turn in t.turns) for t in trajectories] for name in names}
    own = sums.get(OUTCOME, [0.0] * len(trajectories))
    return {**sums, OUTCOME: [score + t.outcome.score for score, t in zip(own, trajectories, strict=True)]}


def _rewards(row: Any, number: int) -> list[float | None]:
    try:
        return [None if r is None else float(r) for r in row]
    except (TypeError, ValueError) as error:
        message = f"episode {number}: turn_rewards holds {row!r}; give a list with one number, or None for unscored, per turn"
        raise ValueError(message) from error


def _number(labels: Sequence[Hashable]) -> tuple[npt.NDArray[np.int64], int]:
    """Labels as 0..n-1 in order of first occurrence."""
    ids: dict[Hashable, int] = {}
    numbered = [ids.setdefault(label, len(ids)) for label in labels]
    return np.asarray(numbered, np.int64), len(ids)


def _anchors(labels: list[Any] | None, group: Numbers) -> tuple[npt.NDArray[np.int64], int]:
    if labels is None:
        return np.full(len(group), -1, np.int64), 0
    ids: dict[Hashable, int] = {}
    pairs = zip(cast("list[int]", group.tolist()), labels, strict=True)
    numbered = [-1 if label is None else ids.setdefault((g, label), len(ids)) for g, label in pairs]
    return np.asarray(numbered, np.int64), len(ids)


def _flat(rows: Sequence[Sequence[Any]] | None, lengths: npt.NDArray[np.int64], name: str) -> list[Any] | None:
    if rows is None:
        return None
    if len(rows) != len(lengths):
        raise ValueError(f"{name} has {len(rows)} episodes, turn_rewards has {len(lengths)}")
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        if len(row) != length:
            raise ValueError(f"episode {number}: {name} has {len(row)} turns, turn_rewards has {length}")
    return [x for row in rows for x in row]
