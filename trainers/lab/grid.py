"""What a lab is to find out: environments x methods x seeds, every cell an ordinary training run.

    settings: {steps: 24, eval_every: 6}          over everything
    environments:
      door: {env: turnwise/KeyDoor-v0, warm_episodes: 2000}    or {recipe: search-tiny, steps: 20}
    methods:
      grpo: {estimator: grpo}
      turn_rloo: {estimator: turn_rloo}
    seeds: 5

What a cell trains with: its recipe, then ``settings``, then the environment's, then the method's, then the tuned ones, then the seed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..config import TrainConfig, find_recipe, load_config, read_mapping, validated

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
SHARED = ("env", "env_args", "policy", "tiny", "teacher", "teacher_args", "seed", "eval_split", "eval_tasks", "eval_seed", "steps")
"""What methods cannot differ in, beside ``warm_...``: they are compared on one task, from one policy, over the same steps."""
EVALUATION = ("temperature", "max_new_tokens", "max_context", "eval_greedy")
"""What the evaluation of a warm start depends on, beside what methods share."""
WARM_SEED = 0
"""Seed of the one warm start that all seeds share, if they do."""


class Tuning(BaseModel):
    """Equal tuning for every method: each combination of ``grid`` is tried once per environment, the best one is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grid: dict[str, list[Any]] = Field(min_length=1)
    """Values to be tried, by setting."""
    seed: int = 1000
    """Of the tuning runs; none of ``seeds``, so that no run is judged by what it was chosen for."""
    split: str = "validation"
    """What the choice is made on."""

    def combinations(self) -> list[dict[str, Any]]:
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]


class Lab(BaseModel):
    """A lab file. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = "Credit assignment"
    settings: dict[str, Any] = Field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = Field(min_length=1)
    methods: dict[str, dict[str, Any]] = Field(min_length=1)
    seeds: list[int]
    """Numbers, or how many: 3 means 0, 1, 2."""
    baseline: str = ""
    """The method that others are compared with, seed by seed; default: the first."""
    thresholds: list[float] = [0.5, 0.8, 0.9]
    """Held-out success whose cost in rollouts is told."""
    warm: Literal["shared", "seed"] = "shared"
    """One warm start for an environment, or one for each of its seeds. Methods always start from the same policy."""
    tuning: Tuning | None = None
    """None: no method is tuned."""

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, given: Any) -> Any:
        return list(range(given)) if isinstance(given, int) and not isinstance(given, bool) and given > 0 else given

    @model_validator(mode="after")
    def _fits(self) -> Lab:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds is {self.seeds}; give how many, or different numbers")
        for what, names in (("environment", self.environments), ("method", self.methods)):
            bad = [name for name in names if not NAME.fullmatch(name)]
            if bad:
                raise ValueError(f"{what} {bad[0]!r}: a name may hold letters, digits, _ . + - and begins with one of the first two")
        for method, given in self.methods.items():
            wrong = [key for key in given if key in SHARED or key.startswith("warm_")]
            if wrong:
                raise ValueError(f"method {method!r} sets {', '.join(wrong)}, which all methods share; set it in settings or environments")
        if self.baseline and self.baseline not in self.methods:
            raise ValueError(f"baseline is {self.baseline!r}; methods: {', '.join(self.methods)}")
        if self.tuning is not None and self.tuning.seed in self.seeds:
            raise ValueError(f"tuning.seed {self.tuning.seed} is one of the seeds; take another, or the choice is judged by its own run")
        return self

    @property
    def against(self) -> str:
        """The method the others are compared with."""
        return self.baseline or next(iter(self.methods))


@dataclass(frozen=True, slots=True)
class Cell:
    """One training run of a lab."""

    environment: str
    method: str
    seed: int
    tuned: tuple[tuple[str, Any], ...] = ()
    """Settings under trial, of a tuning run; the others take what won."""
    trial: int | None = None
    """Number of the combination tried; None: a run that counts."""

    @property
    def path(self) -> Path:
        """Its run folder, in the lab's."""
        name = f"seed-{self.seed}" if self.trial is None else f"tuning-{self.trial}"
        return Path("runs") / self.environment / self.method / name


def read_lab(path: str | Path) -> Lab:
    """The lab in a YAML file, or one that ships, by name. Raises ``ValueError`` that names the key, and checks every cell's settings."""
    file = find_recipe(str(path))
    lab = validated(Lab, read_mapping(file, "lab"), str(file))
    for cell in [*trials(lab), *cells(lab)]:
        cell_config(lab, cell)
    return lab


def cells(lab: Lab) -> list[Cell]:
    """The runs that count, a seed after the other, so that a lab that is cut short compares equal numbers of seeds."""
    return [Cell(e, m, seed) for seed in lab.seeds for e in lab.environments for m in lab.methods]


def trials(lab: Lab) -> list[Cell]:
    """The tuning runs."""
    if lab.tuning is None:
        return []
    seed, options = lab.tuning.seed, list(enumerate(lab.tuning.combinations()))
    return [Cell(e, m, seed, tuple(option.items()), n) for e in lab.environments for m in lab.methods for n, option in options]


def cell_config(lab: Lab, cell: Cell, chosen: Mapping[str, Any] | None = None) -> TrainConfig:
    """What a cell trains with; ``chosen``: what tuning found. Raises ``ValueError`` that names environment and method."""
    given = dict(lab.environments[cell.environment])
    recipe = given.pop("recipe", None)
    values = {**lab.settings, **given, **lab.methods[cell.method], **dict(cell.tuned), **(chosen or {}), "seed": cell.seed}
    if cell.trial is not None and lab.tuning is not None:
        values["eval_split"] = lab.tuning.split
    try:
        return load_config(None if recipe is None else find_recipe(str(recipe)), values)
    except ValueError as error:
        raise ValueError(f"environment {cell.environment!r} with method {cell.method!r}: {error}") from None


def warm_config(lab: Lab, cell: Cell) -> TrainConfig:
    """What the warm start of a cell is made with: nothing of the method's."""
    given = dict(lab.environments[cell.environment])
    recipe = given.pop("recipe", None)
    seed = WARM_SEED if lab.warm == "shared" else cell.seed
    return load_config(None if recipe is None else find_recipe(str(recipe)), {**lab.settings, **given, "seed": seed, "steps": 0})


def shapes_warm_start(key: str) -> bool:
    """Whether a warm start made with another value of setting ``key`` is another one."""
    return (key in SHARED and key != "steps") or key in EVALUATION or key.startswith("warm_")


def warm_path(lab: Lab, cell: Cell) -> Path:
    """Folder of the warm start of a cell, in the lab's."""
    return Path("warm") / (cell.environment if lab.warm == "shared" else f"{cell.environment}-{cell.seed}")
