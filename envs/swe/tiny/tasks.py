"""``TinyRepos``: small packages with one planted bug each, made from a seed; nothing is downloaded.

TinyRepos(train=2000).instance("train", 7).statement
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import numpy as np

from ....records import Message, Task
from ...search.world import SPLITS
from ...tasks import Split, TaskSet
from ..instance import Instance
from ..stored import to_data
from .compose import Draft, compose
from .domains import draft as domain_draft
from .easy import FAMILIES
from .easy import draft as easy_draft

ENV_ID = "turnwise/SWE-v0"
Level: TypeAlias = Literal["easy", "normal"]


class TinyRepos(TaskSet):
    """Packages of a few functions in two files with tests; one function has a bug.

    ``level`` "easy": one-line functions with an operator each; the issue names file and function (``functions`` in each of the two files,
    ``families`` of operators: ``easy.FAMILIES``). "normal": packages of several domains and seven kinds of bug; the issue tells a call,
    what it gives and what it should give. Arguments: tasks per split, ``level``, ``seed``, and for the easy level ``functions`` (1 to 6)
    and ``families``. No task is in two splits: each has its own combinations of names. Raises ``ValueError`` for other arguments.
    """

    def __init__(
        self,
        *,
        train: int = 20_000,
        validation: int = 1000,
        test: int = 1000,
        level: Level = "normal",
        functions: int = 3,
        families: tuple[str, ...] | list[str] = ("arithmetic",),
        seed: int = 0,
    ) -> None:
        if level not in get_args(Level):
            raise ValueError(f"level is {level!r}; allowed: {', '.join(get_args(Level))}")
        unknown = sorted(set(families) - set(FAMILIES))
        if unknown or not families:
            raise ValueError(f"families are {list(families)}; allowed: one or more of {', '.join(FAMILIES)}")
        if not 1 <= functions <= 6:
            raise ValueError(f"functions is {functions}; allowed: 1 to 6 in each of the two files")
        if min(train, validation, test) < 1:
            raise ValueError(f"tasks are {train}, {validation}, {test}; a split needs at least one")
        self._counts = {"train": train, "validation": validation, "test": test}
        self.level: Level = level
        self.functions, self.families, self.seed = functions, tuple(families), seed
        self._cached = lru_cache(4096)(self._task)

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self._counts[name]) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        return self._cached(split, index)

    def instance(self, split: str, index: int) -> Instance:
        """The repository of a task."""
        self.check_index(split, index)
        for attempt in range(100):
            place = [self.seed, get_args(Level).index(self.level), [*SPLITS].index(split), index, attempt]
            rng = np.random.default_rng(np.random.SeedSequence(place))
            found = compose(self._draft(rng, split), rng)
            if found is not None:
                return found
        raise RuntimeError(f"no task came about for {split} {index} in 100 attempts; a piece's calls never show its bug")

    def _draft(self, rng: np.random.Generator, split: str) -> Draft:
        if self.level == "easy":
            return easy_draft(rng, split, functions=self.functions, families=self.families)
        return domain_draft(rng, split)

    def _task(self, split: str, index: int) -> Task:
        made = self.instance(split, index)
        return Task(id=f"{made.id}", env_id=ENV_ID, split=split, prompt=(Message(role="user", content=made.statement),), data=to_data(made))

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_cached"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._cached = lru_cache(4096)(self._task)
