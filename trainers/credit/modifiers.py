"""Modifiers by name: what is done before and after any estimator.

    episodes -> [episodes] -> [filter] -> TurnBatch -> [reward] -> estimator -> [advantage] -> tokens -> [token]

@register_modifier("mine", "advantage")
def mine(batch: TurnBatch, advantages: Array, *, scale: float = 1.0) -> Array: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from ...records import Trajectory
from .batch import OUTCOME, TurnBatch
from .registry import check_free, check_keywords, check_name, imported, smallest_batch
from .segments import Array, as_float, is_torch, segment_sum
from .tokens import Tokens

Kind: TypeAlias = Literal["episodes", "filter", "reward", "advantage", "token"]
"""What a modifier takes, and when it works:

episodes: trajectories -> trajectories; filter: ``TurnBatch`` -> [E] which episodes stay; reward: ``TurnBatch`` -> ``TurnBatch``;
advantage: ``TurnBatch``, [T] -> [T]; token: ``TurnBatch``, ``Tokens``, [N] -> [N].
"""
KINDS: tuple[Kind, ...] = get_args(Kind)
Modifier: TypeAlias = Callable[..., Any]
Entry: TypeAlias = "str | Mapping[str, Mapping[str, Any]]"
"""A modifier as a recipe lists it: its name, or {name: its parameters}; ``module:name`` imports ``module`` first."""
M = TypeVar("M", bound=Modifier)
_MODIFIERS: dict[str, tuple[Kind, Modifier]] = {}


def register_modifier(name: str, kind: Kind) -> Callable[[M], M]:
    """Decorator: make a function known as the modifier ``name``; its keyword arguments are its parameters.

    Raises ``ValueError`` for an unknown kind, or when the name is taken by another function.
    """
    check_name(kind, list(KINDS), "kind of modifier")

    def add(function: M) -> M:
        check_free(name, _MODIFIERS[name][1] if name in _MODIFIERS else None, function, "modifier")
        _MODIFIERS[name] = (kind, function)
        return function

    return add


def list_modifiers() -> list[str]:
    """Names that ``modify`` knows, sorted."""
    return sorted(_MODIFIERS)


def modifier_kind(name: str) -> Kind:
    """What the modifier takes and when it works. Raises ``ValueError`` for an unknown one."""
    return _find(name)[0]


def modifier(name: str) -> Modifier:
    """The function of that name. Raises ``ValueError`` for an unknown one, with the closest."""
    return _find(name)[1]


def modify(name: str, /, *inputs: Any, **parameters: Any) -> Any:
    """What the modifier makes of its inputs, which follow from its kind: ``modify("unlikeliness", batch, beta=0.25)``.

    Raises ``ValueError`` for an unknown modifier or parameter, with the closest known name.
    """
    function = modifier(name)
    check_keywords(function, parameters, f"modifier {name!r}")
    return function(*inputs, **parameters)


def _find(name: str) -> tuple[Kind, Modifier]:
    name = imported(name, "modifier")
    check_name(name, list(_MODIFIERS), "modifier")
    return _MODIFIERS[name]


def rewarded(batch: TurnBatch, name: str, *, reward: Array | None = None, outcome: Array | None = None) -> TurnBatch:
    """``batch`` with other turn rewards [T] or outcomes [E], and with components that agree: the outcome's, and one called ``name``.

    A modifier that changed rewards alone would change nothing for an estimator that reads components.
    """
    columns = batch.components
    names = batch.component_names
    if columns is not None and outcome is not None:
        columns = columns + 0.0
        columns[:, names.index(OUTCOME)] += outcome - batch.outcome
    if columns is not None and reward is not None:
        change = segment_sum(reward - batch.reward, batch.episode, batch.num_episodes)
        if name in names:  # the same modifier for the second time
            columns = columns + 0.0
            columns[:, names.index(name)] += change
        else:
            columns, names = _beside(columns, change), (*names, name)
    return replace(
        batch,
        reward=batch.reward if reward is None else reward,
        outcome=batch.outcome if outcome is None else outcome,
        components=columns,
        component_names=names,
    )


def _beside(columns: Array, column: Array) -> Array:
    if is_torch(columns):
        import torch

        return torch.cat([columns, column[:, None]], 1)
    import numpy as np

    return np.concatenate([columns, column[:, None]], 1)


class Modifiers:
    """The modifiers of a recipe, in order: each stage does its own to what it is given.

    ``counts``: for each, how many turns, outcomes or tokens it changed when it last worked, for the row of the step. Raises ``ValueError``
    for an unknown name, parameter or value of one, for one that is listed twice, and for a list that is not in the order the kinds
    work in.
    """

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._listed = [_entry(entry) for entry in entries]
        self.counts: dict[str, int] = {}
        names = [name for name, _ in self._listed]
        if len(set(names)) < len(names):
            raise ValueError(f"modifiers: {names} has one twice; list each once")
        for (before, _), (after, _) in pairwise(self._listed):
            kind, later = modifier_kind(before), modifier_kind(after)
            if KINDS.index(kind) > KINDS.index(later):
                raise ValueError(
                    f"modifiers: {after!r} ({later}) is listed after {before!r} ({kind}), but works before it; "
                    f"list them in the order {', '.join(KINDS)}"
                )
        for name, parameters in self._listed:
            modify(name, *_smallest(modifier_kind(name)), **parameters)

    def of(self, kind: Kind) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Names and parameters of those of one kind, in order."""
        return ((name, parameters) for name, parameters in self._listed if modifier_kind(name) == kind)

    def episodes(self, trajectories: Sequence[Trajectory]) -> Sequence[Trajectory]:
        """The episodes as credit is to see them; those that are recorded and trained on stay as they were."""
        for name, parameters in self.of("episodes"):
            changed: Sequence[Trajectory] = modify(name, trajectories, **parameters)
            turns = zip((turn for t in trajectories for turn in t.turns), (turn for t in changed for turn in t.turns), strict=True)
            self.counts[f"{name}_turns"] = sum(old is not new for old, new in turns)
            trajectories = changed
        return trajectories

    def dropped(self, batch: TurnBatch) -> dict[str, Array]:
        """For each filter [E] the episodes that it drops of those left; a voided episode is nobody's to drop."""
        out: dict[str, Array] = {}
        for name, parameters in self.of("filter"):
            out[name] = batch.valid & ~modify(name, batch, **parameters)
            batch = replace(batch, valid=batch.valid & ~out[name])
        return out

    def rewards(self, batch: TurnBatch) -> TurnBatch:
        """The batch that the estimator gets."""
        for name, parameters in self.of("reward"):
            changed: TurnBatch = modify(name, batch, **parameters)
            self.counts[f"{name}_turns"] = int((changed.reward != batch.reward).sum())
            self.counts[f"{name}_outcomes"] = int((changed.outcome != batch.outcome).sum())
            batch = changed
        return batch

    def advantages(self, batch: TurnBatch, advantages: Array) -> Array:
        """[T] what becomes of the estimator's advantages."""
        for name, parameters in self.of("advantage"):
            changed = modify(name, batch, advantages, **parameters)
            self.counts[f"{name}_turns"] = int((changed != advantages).sum())
            advantages = changed
        return advantages

    def tokens(self, batch: TurnBatch, tokens: Tokens, advantages: Array) -> Array:
        """[N] what becomes of the advantages of action tokens."""
        for name, parameters in self.of("token"):
            changed = modify(name, batch, tokens, advantages, **parameters)
            self.counts[f"{name}_tokens"] = int((changed != advantages).sum())
            advantages = changed
        return advantages


def _entry(entry: Entry) -> tuple[str, Mapping[str, Any]]:
    """Name and parameters of one entry of the list."""
    if isinstance(entry, str):
        return imported(entry, "modifier"), {}
    if len(entry) != 1:
        raise ValueError(f"modifiers: an entry names {sorted(entry)}; give one modifier per entry, as its name or as {{name: parameters}}")
    name, parameters = next(iter(entry.items()))
    return imported(name, "modifier"), parameters


def _smallest(kind: Kind) -> tuple[Any, ...]:
    """Inputs of a modifier of this kind, to try its parameters on."""
    batch = smallest_batch()
    one = as_float(batch.scored, batch.reward)
    inputs: dict[Kind, tuple[Any, ...]] = {"episodes": ([],), "filter": (batch,), "reward": (batch,), "advantage": (batch, one)}
    inputs["token"] = (batch, Tokens.from_turns([[0.5]]), one)
    return inputs[kind]
