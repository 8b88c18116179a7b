"""What the makers of tasks write with: a ``Draft`` collects the records to change at the start, the goals and the gold steps of one task.

    @kind("wishes")
    def wishes(world, draft): ...

Gold steps name elements by role and accessible name, as the page's accessibility tree does: ("click", "button", "Add to cart"). A name
that ends in * stands for all names that begin so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import yaml

from ...search.world import SplitName, word
from .checks import Condition

AppName: TypeAlias = Literal["shop", "tracker", "mail"]
Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = dict[str, dict[str, Row]]
Step: TypeAlias = list[str]
T = TypeVar("T")
WORDS_PER_TASK = 32
"""Made-up words that one task may use."""


class World:
    """Records of one task, with names that no other task of any split has."""

    def __init__(self, split: SplitName, index: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self._names = (word(split, index * WORDS_PER_TASK + n, 3) for n in range(WORDS_PER_TASK))
        self.tables: Tables = {}
        self.settings: Row = {}
        self.start = ""
        self.fill()

    def fill(self) -> None:
        """Make the records."""
        raise NotImplementedError(f"{type(self).__name__} must implement fill()")

    def name(self) -> str:
        """A new made-up word."""
        return next(self._names)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """``count`` different ones, in random order."""
        return [choices[int(n)] for n in self.rng.permutation(len(choices))[:count]]

    def numbers(self, count: int, low: int, high: int) -> list[int]:
        """``count`` different numbers from low to high - 1, ascending."""
        return sorted(int(n) + low for n in self.rng.permutation(high - low)[:count])

    def amount(self, low: int, high: int) -> int:
        """Cents between two whole amounts."""
        return int(self.rng.integers(low * 20, high * 20)) * 5 + int(self.pick((0, 4, 9)))

    def day(self, month: int) -> str:
        return f"2026-{month:02}-{int(self.rng.integers(1, 28)):02}"


@dataclass(slots=True, kw_only=True)
class Draft:
    """``words`` fill the wording; ``goals`` and ``allowed`` are what ``checks.judge`` reads; ``steps`` are the gold steps."""

    words: dict[str, Any] = field(default_factory=dict[str, Any])
    goals: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    allowed: list[Condition] = field(default_factory=list[Condition])
    steps: list[Step] = field(default_factory=list[Step])
    answer: dict[str, Any] | None = None
    infeasible: bool = False

    def goal(self, name: str, *conditions: Condition, required: bool = True, weight: float = 1.0) -> None:
        self.goals.append({"name": name, "weight": weight, "required": required, "any": list(conditions)})

    def look(self, *routes: str, required: bool = False) -> None:
        """A page that has to be read; half the weight of a change."""
        self.goal(f"seen {routes[0]}", {"kind": "seen", "table": "", "routes": list(routes)}, required=required, weight=0.5)

    def row(self, table: str, key: str, **where: Any) -> None:
        self.goal(f"{table} {key}", has(table, key, **where))

    def gone(self, table: str, key: str) -> None:
        self.goal(f"{table} {key} removed", {"kind": "removed", "table": table, "key": key})

    def new(self, table: str, **where: Any) -> None:
        self.goal(f"new row of {table}", added(table, **where))

    def click(self, role: str, name: str) -> None:
        self.steps.append(["click", role, name])

    def link(self, name: str) -> None:
        self.click("link", name)

    def button(self, name: str) -> None:
        self.click("button", name)

    def fill(self, name: str, text: str) -> None:
        self.steps.append(["fill", "textbox", name, text])

    def select(self, name: str, option: str) -> None:
        self.steps.append(["select", "combobox", name, option])

    def tick(self, name: str, role: str = "checkbox") -> None:
        self.click(role, name)

    def find(self, name: str, following: str) -> None:
        """Click a link, after as many clicks on ``following`` as it takes to see it."""
        self.steps.append(["find", "link", name, following])

    def reply(self, *mentions: str, never: Sequence[str] = ()) -> None:
        """An answer is wanted."""
        self.answer = {"mentions": list(mentions), "never": [other for other in never if other not in mentions]}

    def cannot(self, *routes: str) -> None:
        """The task cannot be done, which one of these pages shows; saying so counts only for who has seen it."""
        self.look(*routes, required=True)
        self.infeasible = True


def has(table: str, key: str | None, **where: Any) -> Condition:
    return {"kind": "row", "table": table, "key": key, "where": where}


def added(table: str, **where: Any) -> Condition:
    return {"kind": "added", "table": table, "where": where}


Maker: TypeAlias = Callable[[Any, Draft], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of task: its name, one wording for each of train, validation and test, and the function that drafts it."""

    app: AppName
    name: str
    wordings: tuple[str, str, str]
    make: Maker


@lru_cache(maxsize=1)
def _wordings() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return yaml.safe_load((files("turnwise.envs.gui.web") / "wordings.yaml").read_text())


def kinds_of(app: AppName) -> tuple[list[Kind], Callable[[str], Callable[[Maker], Maker]]]:
    """An empty list of kinds, and the decorator that adds to it: ``kind(name)``, a name that wordings.yaml knows."""
    found: list[Kind] = []

    def kind(name: str) -> Callable[[Maker], Maker]:
        def add(make: Maker) -> Maker:
            train, validation, test = _wordings()[app][name]
            found.append(Kind(app, name, (train, validation, test), make))
            return make

        return add

    return found, kind


def money(cents: int) -> str:
    """12.50"""
    return f"{cents / 100:.2f}"


def listed(items: Sequence[str]) -> str:
    """A, B and C"""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
